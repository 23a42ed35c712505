//! Decides when a root is scanned next. Pure: time is milliseconds from any beginning.
//!
//! In:  wishes for a scan, how long scans took, whether the computer slept.
//! Out: the moment of the next scan.
//!
//! A scan is made when a root comes online, when events were lost, after the computer slept,
//! and every so often: what is not told by events is found then. Scanning by schedule takes
//! at most one hundredth of the time, however large the collection is.

/// Scanning by schedule takes at most one part in this many of the time.
const SHARE: u64 = 100;

/// How often to scan a root whose events do not tell everything, and when to scan again one
/// in which far too much is missing.
pub(super) const POLL_EVERY_MS: u64 = 30_000;

/// The shortest time between two scans, however many events are lost.
const GAP_MS: u64 = 1000;

/// The computer slept when the clock that counts sleep ran ahead by more than this.
const SLEEP_MS_MIN: u64 = 5000;

/// How soon the next scan is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// Events tell everything in between.
    Usual,
    /// They do not, or the scan has to be confirmed by another.
    Soon,
}

/// When to scan.
#[derive(Debug)]
pub(super) struct Schedule {
    usual_ms: u64,
    next_ms: u64,
    runs: bool,
    is_wanted_again: bool,
    slept_ms: Option<u64>,
}

impl Schedule {
    /// Nothing is scanned until it is wanted.
    ///
    /// - `usual_ms`: from the end of a scan to the next while events come reliably
    pub(super) const fn new(usual_ms: u64) -> Self {
        Self { usual_ms, next_ms: u64::MAX, runs: false, is_wanted_again: false, slept_ms: None }
    }

    /// Scans as soon as it is sensible.
    pub(super) fn want(&mut self, now_ms: u64) {
        if self.runs {
            self.is_wanted_again = true;
        } else {
            self.next_ms = self.next_ms.min(now_ms);
        }
    }

    /// Nothing is scanned until it is wanted: the root went away.
    pub(super) fn rest(&mut self) {
        self.next_ms = u64::MAX;
        self.is_wanted_again = false;
    }

    /// When the next scan is due.
    pub(super) const fn next_ms(&self) -> u64 {
        self.next_ms
    }

    /// A scan was ordered; `false`: it has to wait behind one that still runs.
    pub(super) fn ordered(&mut self, was_taken: bool) {
        self.is_wanted_again = !was_taken;
        self.runs = true;
        self.next_ms = u64::MAX;
    }

    /// A scan ended.
    ///
    /// - `took_ms`: without the time in which it waited for its listener
    pub(super) fn ended(&mut self, now_ms: u64, took_ms: u64, pace: Pace) {
        self.runs = false;
        let usual_ms = match pace {
            Pace::Usual => self.usual_ms,
            Pace::Soon => POLL_EVERY_MS.min(self.usual_ms),
        };
        let wait_ms = match std::mem::take(&mut self.is_wanted_again) {
            true => took_ms.max(GAP_MS),
            false => usual_ms.max(took_ms.saturating_mul(SHARE)),
        };
        self.next_ms = now_ms.saturating_add(wait_ms);
    }

    /// Takes how long the computer has slept in all; `true` when it just woke up.
    pub(super) fn woke(&mut self, slept_ms: u64) -> bool {
        let before = self.slept_ms.replace(slept_ms).unwrap_or(slept_ms);
        slept_ms.saturating_sub(before) >= SLEEP_MS_MIN
    }
}

/// How long the computer slept since it was started: what the clock that counts sleep is
/// ahead of the one that does not.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn slept_ms() -> u64 {
    use rustix::time::{ClockId, clock_gettime};
    let ms = |clock| {
        let time = clock_gettime(clock);
        time.tv_sec * 1000 + time.tv_nsec / 1_000_000
    };
    u64::try_from(ms(ClockId::Boottime) - ms(ClockId::Monotonic)).unwrap_or(0)
}

/// How long the computer slept since it was started; nobody says so here.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn slept_ms() -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    fn after(took_ms: u64, pace: Pace) -> u64 {
        let mut schedule = Schedule::new(HOUR_MS);
        schedule.ordered(true);
        schedule.ended(1000, took_ms, pace);
        schedule.next_ms() - 1000
    }

    #[test]
    fn scanning_takes_at_most_a_hundredth_of_the_time() {
        assert_eq!(after(10, Pace::Usual), HOUR_MS);
        assert_eq!(after(60_000, Pace::Usual), 100 * 60_000);
        assert_eq!(after(10, Pace::Soon), POLL_EVERY_MS);
        assert_eq!(after(3000, Pace::Soon), 300_000);
    }

    #[test]
    fn lost_events_lead_to_a_scan_at_once_and_while_one_runs_to_another() {
        let mut schedule = Schedule::new(HOUR_MS);
        assert_eq!(schedule.next_ms(), u64::MAX);
        schedule.want(5);
        assert_eq!(schedule.next_ms(), 5);
        schedule.ordered(true);
        schedule.want(6);
        assert_eq!(schedule.next_ms(), u64::MAX, "one at a time");
        schedule.ended(10, 3, Pace::Usual);
        assert_eq!(schedule.next_ms(), 10 + GAP_MS);
        schedule.rest();
        assert_eq!(schedule.next_ms(), u64::MAX);
    }

    #[test]
    fn order_that_had_to_wait_is_made_up_for() {
        let mut schedule = Schedule::new(HOUR_MS);
        schedule.ordered(false);
        schedule.ended(10, 3, Pace::Usual);
        assert_eq!(schedule.next_ms(), 10 + GAP_MS);
    }

    #[test]
    fn sleep_is_noticed_and_drift_is_not() {
        let mut schedule = Schedule::new(HOUR_MS);
        assert!(!schedule.woke(100_000), "what was before is no news");
        assert!(!schedule.woke(100_020));
        assert!(schedule.woke(700_000));
        assert!(!schedule.woke(700_000));
    }

    #[test]
    fn clocks_of_this_computer_agree() {
        let mut schedule = Schedule::new(HOUR_MS);
        assert!(!schedule.woke(slept_ms()));
        assert!(!schedule.woke(slept_ms()));
    }
}
