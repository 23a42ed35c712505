//! Times one piece of work: CPU time of this thread, median over many runs.
//!
//! Ids read `stage/operation/size/path`. `SIGNET_BENCH_SMOKE=1` runs each once.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::time::{Duration, Instant};

/// Runs `work` until two seconds or 200 runs have passed and prints its median CPU time.
pub(crate) fn bench<T>(id: &str, mut work: impl FnMut() -> T) -> f64 {
    let began = Instant::now();
    let mut times_ms = Vec::new();
    let (runs_max, time_max) =
        if smoke() { (1, Duration::ZERO) } else { (200, Duration::from_secs(2)) };
    while times_ms.len() < runs_max.min(5)
        || (times_ms.len() < runs_max && began.elapsed() < time_max)
    {
        let before = cpu_ms();
        std::hint::black_box(work());
        times_ms.push(cpu_ms() - before);
    }
    report(id, &mut times_ms)
}

/// Whether each bench only has to show that it still runs.
pub(crate) fn smoke() -> bool {
    signet::base::config::environment("SIGNET_BENCH_SMOKE").is_some()
}

/// Prints the median of times that were taken elsewhere, in milliseconds.
pub(crate) fn report(id: &str, times_ms: &mut [f64]) -> f64 {
    times_ms.sort_by(f64::total_cmp);
    let median = times_ms[times_ms.len() / 2];
    println!("{id:<64} {median:>9.3} ms  ({} runs)", times_ms.len());
    median
}

/// CPU time this thread has used.
pub(crate) fn cpu_ms() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}
