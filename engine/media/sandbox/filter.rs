//! Which system calls a decode worker may make: those that computing needs.
//!
//! Three answers. What decoding needs is let through. What only somebody who took the worker
//! over would ask for (a socket, another program, a hand on another process, memory to run
//! code from) ends it at once, and the agent tells. Everything else fails with `EPERM`, as it
//! does where files cannot be opened: libraries try this and that, such as the number of
//! processors, and go on without.
//!
//! Threads are allowed, processes are not. `clone3` hides its flags in memory, where no filter
//! sees them: it "does not exist" (`ENOSYS`), so that the C library uses `clone`.
//!
//! Memory shared with others can be mapped from descriptors only, and for reading only: so
//! that all that a worker fills is counted by its limit on data.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, apply_filter,
};

/// Calls that any computing needs, whatever their arguments.
const NEEDED: &[libc::c_long] = &[
    libc::SYS_brk,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_fstat,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_pread64,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_recvmsg,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
    libc::SYS_write,
    libc::SYS_writev,
];

/// Calls that no decoder ever makes, on any system.
const FORBIDDEN: &[libc::c_long] = &[
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_add_key,
    libc::SYS_bind,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_connect,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_keyctl,
    libc::SYS_kill,
    libc::SYS_listen,
    libc::SYS_memfd_create,
    libc::SYS_mount,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_pivot_root,
    libc::SYS_pkey_mprotect,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_request_key,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_sendmmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_setns,
    libc::SYS_shmget,
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_tkill,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
];

/// Rules for system calls; each call with the alternatives under which it matches, and with
/// none where it always does.
type Calls = BTreeMap<libc::c_long, Vec<SeccompRule>>;

/// Filters all calls of this thread and of those that it starts, for ever.
pub(super) fn apply() -> Result<(), Error> {
    // The strictest answer of all filters counts. The list of what is needed comes last: with
    // it in place no more filters can be added.
    let hidden_clone = Calls::from([(libc::SYS_clone3, Vec::new())]);
    for (calls, matching, other) in [
        (forbidden()?, SeccompAction::KillProcess, SeccompAction::Allow),
        (hidden_clone, SeccompAction::Errno(libc::ENOSYS.cast_unsigned()), SeccompAction::Allow),
        (needed()?, SeccompAction::Allow, SeccompAction::Errno(libc::EPERM.cast_unsigned())),
    ] {
        let architecture = std::env::consts::ARCH.try_into()?;
        let filter =
            SeccompFilter::new(calls.into_iter().collect(), other, matching, architecture)?;
        apply_filter(&BpfProgram::try_from(filter)?)?;
    }
    Ok(())
}

fn needed() -> Result<Calls, Error> {
    let mut calls: Calls = NEEDED.iter().map(|call| (*call, Vec::new())).collect();
    let (protection, flags) = (2, 3);
    let private = SeccompRule::new(vec![
        unset(protection, libc::PROT_EXEC)?,
        unset(flags, libc::MAP_SHARED | libc::MAP_GROWSDOWN)?,
    ])?;
    let given = SeccompRule::new(vec![
        unset(protection, libc::PROT_EXEC)?,
        unset(flags, libc::MAP_ANONYMOUS)?,
    ])?;
    calls.insert(libc::SYS_mmap, vec![private, given]);
    calls.insert(libc::SYS_mprotect, vec![SeccompRule::new(vec![unset(2, libc::PROT_EXEC)?])?]);
    let thread = masked(0, libc::CLONE_THREAD, libc::CLONE_THREAD)?;
    calls.insert(libc::SYS_clone, vec![SeccompRule::new(vec![thread])?]);
    // The other filter answers.
    calls.insert(libc::SYS_clone3, Vec::new());
    // Aborting sends a signal to oneself; limits are one's own as well.
    let own_id = equal(0, u64::from(std::process::id()))?;
    calls.insert(libc::SYS_tgkill, vec![SeccompRule::new(vec![own_id])?]);
    calls.insert(libc::SYS_prlimit64, vec![SeccompRule::new(vec![equal(0, 0)?])?]);
    Ok(calls)
}

fn forbidden() -> Result<Calls, Error> {
    let mut calls: Calls = FORBIDDEN.iter().map(|call| (*call, Vec::new())).collect();
    let runs_code = || SeccompRule::new(vec![masked(2, libc::PROT_EXEC, libc::PROT_EXEC)?]);
    calls.insert(libc::SYS_mmap, vec![runs_code()?]);
    calls.insert(libc::SYS_mprotect, vec![runs_code()?]);
    let process = SeccompRule::new(vec![unset(0, libc::CLONE_THREAD)?])?;
    calls.insert(libc::SYS_clone, vec![process]);
    Ok(calls)
}

/// None of these bits is set in an argument.
fn unset(argument: u8, bits: libc::c_int) -> Result<SeccompCondition, seccompiler::BackendError> {
    masked(argument, bits, 0)
}

/// Of these bits of an argument exactly those of `value` are set.
fn masked(
    argument: u8,
    bits: libc::c_int,
    value: libc::c_int,
) -> Result<SeccompCondition, seccompiler::BackendError> {
    let [bits, value] = [bits, value].map(|bits| u64::from(bits.cast_unsigned()));
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(bits), value)
}

fn equal(argument: u8, value: u64) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Filters a thread of its own and tells what happened there.
    fn filtered<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
        let thread = std::thread::spawn(|| {
            apply().expect("this system filters");
            work()
        });
        thread.join().expect("it ends well")
    }

    #[test]
    fn what_libraries_try_fails_as_where_it_is_not_allowed() {
        let error = filtered(|| std::fs::File::open("/etc/passwd").expect_err("opened"));
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
        let error = filtered(|| std::env::current_dir().expect_err("told"));
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    }

    #[test]
    fn computing_goes_on_with_threads_and_much_memory() {
        let sum: u64 = filtered(|| {
            let parts: Vec<_> = (0..4_u64)
                .map(|part| {
                    std::thread::spawn(move || {
                        let many = vec![part; 4 << 20];
                        many.iter().sum::<u64>()
                    })
                })
                .collect();
            parts.into_iter().map(|part| part.join().expect("a sum")).sum()
        });
        assert_eq!(sum, 6 * (4 << 20));
        let caught = filtered(|| std::panic::catch_unwind(|| panic!("on purpose")).is_err());
        assert!(caught);
        let random = filtered(|| std::collections::HashMap::<u8, u8>::new().len());
        assert_eq!(random, 0);
    }
}
