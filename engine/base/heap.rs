//! Programs that run for months give free memory back early.
//!
//! The allocator of glibc keeps up to twice its largest freed buffer at the end of each arena, and
//! there are eight arenas for each core: what threads once needed at their busiest stays theirs.
//! Said once that the limit is 128 KiB, it stays there and no longer grows by itself.
//!
//! Surprising: from then on buffers of 128 KiB and more are mapped and unmapped one by one. For a hub,
//! whose pieces are smaller, that is free; whoever decodes pictures asks for large ones all the time.
//!
//! Nothing to do elsewhere: other allocators have no such limit.

/// Free memory that may stay at the end of an arena, in bytes: where glibc begins by itself.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT_BYTES: libc::c_int = 128 * 1024;

/// Has free memory given back from now on. Once, at the beginning of a program.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn give_back_early() {
    // SAFETY: it changes a number inside the allocator, under the allocator's own lock; any value
    // of this parameter is fine.
    #[expect(unsafe_code, reason = "the allocator is told in C")]
    unsafe {
        // 0 says that it knows no such limit: then all is as it was.
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_BYTES);
    }
}

/// Nothing to be said.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn give_back_early() {}
