//! Takes away from a decode worker, one after the other, everything that decoding does not
//! need, and says what could be taken away.
//!
//! | layer | keeps out |
//! |---|---|
//! | process | signals of the terminal, descriptors of the agent, living on without it |
//! | limits | memory, time, files, core dumps without end |
//! | landlock | the file system, TCP, signals and abstract sockets beyond the worker |
//! | seccomp | every system call that computing does not need (`filter`) |
//!
//! The last two exist on Linux only, landlock since 5.13. A layer that is missing is told,
//! and the worker goes on: a photo in a process of its own is still better off than without.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, setsid};

use super::protocol::{Layer, Posture};
use super::{MEMORY_BYTES_MAX, PROCESSOR_TIME_MAX};

/// Of a worker's memory, what the program itself and its stacks fill.
const PROGRAM_BYTES: u64 = 32 << 20;

/// However large a photo is, there is so much to decode it with.
const DECODING_BYTES_MIN: u64 = 256 << 20;

/// Descriptors 0 to 3, the pixels, and two that are on their way.
const DESCRIPTORS_MAX: u64 = 8;

/// Cuts the worker off from the agent's terminal and files. Comes before anything is loaded.
pub(super) fn leave_home() -> Layer {
    close_descriptors();
    let session = setsid().map_err(|error| format!("no session of its own: {error}"));
    let held = session.and_then(|_id| die_with_agent());
    layer(
        "process",
        held.map(|()| "its own session; ends with the agent; no descriptors but its line".into()),
    )
}

/// Closes the jail, before the first byte of a photo is seen.
pub(super) fn close(process: Layer) -> Posture {
    let layers = vec![process, limits(), landlock(), seccomp()];
    Posture { layers, ..Posture::default() }
}

fn layer(name: &str, held: Result<String, String>) -> Layer {
    let holds = held.is_ok();
    Layer { name: name.into(), holds, text: held.unwrap_or_else(|why| why) }
}

fn limits() -> Layer {
    let limit = |resource, count: u64| {
        // Whoever started the agent may have set a lower one, which nobody can raise.
        let count = Some(getrlimit(resource).maximum.map_or(count, |most| most.min(count)));
        setrlimit(resource, Rlimit { current: count, maximum: count })
            .map_err(|error| format!("cannot be set: {error}"))
    };
    let memory = limit(Resource::Data, MEMORY_BYTES_MAX - PROGRAM_BYTES);
    let held = memory
        .and_then(|()| limit(Resource::Nofile, DESCRIPTORS_MAX))
        .and_then(|()| limit(Resource::Core, 0));
    layer(
        "limits",
        held.map(|()| {
            format!(
                "{} MiB of memory, {} s of processor time for each photo, no core dumps",
                MEMORY_BYTES_MAX >> 20,
                PROCESSOR_TIME_MAX.as_secs()
            )
        }),
    )
}

/// Limits what decoding the next photo may take.
///
/// - `seen_bytes_count`: shared memory that the worker looks at; it counts as its own
///
/// Processor time is limited in whole seconds and for the sake of systems where the agent
/// cannot look at a worker's clock; where it can, it is stricter.
pub(super) fn allow_one_photo(seen_bytes_count: usize) {
    let own = MEMORY_BYTES_MAX - PROGRAM_BYTES;
    let memory = own.saturating_sub(seen_bytes_count as u64).max(DECODING_BYTES_MIN);
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let time = u64::try_from(spent.tv_sec).unwrap_or(0) + PROCESSOR_TIME_MAX.as_secs() + 1;
    for (resource, count) in [(Resource::Data, memory), (Resource::Cpu, time)] {
        let maximum = getrlimit(resource).maximum;
        let count = maximum.map_or(count, |most| most.min(count));
        // It held a moment ago; a limit that fails now fails on the safe side: the old stays.
        let _ = setrlimit(resource, Rlimit { current: Some(count), maximum });
    }
}

#[cfg(target_os = "linux")]
fn close_descriptors() {
    // SAFETY: the worker has just begun and is alone; nothing in it owns a descriptor behind
    // the three that it was started with.
    #[expect(unsafe_code, reason = "closing what others may have left open has no safe way")]
    unsafe {
        // On Linux before 5.9 there is no such call; the standard library leaves nothing open.
        libc::close_range(3, libc::c_uint::MAX, 0);
    }
}

#[cfg(not(target_os = "linux"))]
fn close_descriptors() {}

/// The agent's thread, to be exact: a worker belongs to the thread that started it.
#[cfg(target_os = "linux")]
fn die_with_agent() -> Result<(), String> {
    use rustix::process::{Signal, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| format!("may outlive the agent: {error}"))
}

/// It sees the end of its line.
#[cfg(not(target_os = "linux"))]
fn die_with_agent() -> Result<(), String> {
    Ok(())
}

#[cfg(target_os = "linux")]
fn landlock() -> Layer {
    use landlock::{
        ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, LandlockStatus, Ruleset,
        RulesetAttr, RulesetStatus, Scope,
    };
    // Everything is refused, so what newer systems can refuse is asked for as well.
    let abi = ABI::V9;
    let restricted = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(abi)))
        .and_then(|rules| rules.scope(Scope::from_all(abi)))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self);
    let held = match restricted {
        Err(error) => Err(crate::base::causes::one_line(&error)),
        Ok(status) => match status.landlock {
            LandlockStatus::NotImplemented => Err("Linux 5.13 or newer is needed".to_owned()),
            LandlockStatus::NotEnabled => {
                Err("it is switched off: start Linux with `lsm=landlock,...`".to_owned())
            }
            LandlockStatus::Available { .. } if status.ruleset == RulesetStatus::NotEnforced => {
                Err("it is there and holds nothing".to_owned())
            }
            LandlockStatus::Available { effective_abi, .. } => {
                let mut kept_out = vec!["files"];
                if effective_abi >= ABI::V4 {
                    kept_out.push("TCP");
                }
                if effective_abi >= ABI::V6 {
                    kept_out.extend(["signals", "abstract sockets"]);
                }
                Ok(format!("version {effective_abi}; no {}", kept_out.join(", no ")))
            }
        },
    };
    layer("landlock", held)
}

#[cfg(not(target_os = "linux"))]
fn landlock() -> Layer {
    layer("landlock", Err("this system has none".into()))
}

#[cfg(target_os = "linux")]
fn seccomp() -> Layer {
    let held = super::filter::apply().map_err(|error| crate::base::causes::one_line(&error));
    layer("seccomp", held.map(|()| "no system calls but those of computing".into()))
}

#[cfg(not(target_os = "linux"))]
fn seccomp() -> Layer {
    layer("seccomp", Err("this system has none".into()))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn landlock_alone_keeps_out_files_and_connections() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        std::thread::spawn(move || {
            let layer = landlock();
            if !layer.holds {
                assert!(!layer.text.is_empty());
                return;
            }
            let error = std::fs::File::open("/etc/passwd").expect_err("opened");
            assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied, "{layer:?}");
            if layer.text.contains("TCP") {
                let error = std::net::TcpStream::connect(address).expect_err("connected");
                assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied, "{layer:?}");
            }
        })
        .join()
        .expect("refused");
    }
}
