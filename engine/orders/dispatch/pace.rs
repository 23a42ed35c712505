//! When something is tried again.
//!
//! A provider that cannot be reached rests as a whole; an order that did not get through waits by
//! itself.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::base::clock::Timestamp;
use crate::base::ids::derived;

/// Waiting times after each failed try, in seconds, jittered by a fifth; the last repeats.
pub(super) const WAITS_S: [i64; 10] = [1, 4, 15, 60, 300, 1800, 7200, 18_000, 36_000, 86_400];

/// A provider that cannot be reached is tried so often at least, in seconds: an hour.
const REST_S_MAX: i64 = 3600;

/// Providers that cannot be reached just now: until when they rest, and how often they were tried.
#[derive(Debug, Default)]
pub(super) struct Resting(Mutex<BTreeMap<String, (Timestamp, u32)>>);

impl Resting {
    pub(super) fn names(&self, now: Timestamp) -> Vec<String> {
        let resting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let names = resting.iter().filter(|(_, (until, _))| *until > now);
        names.map(|(name, _)| name.clone()).collect()
    }

    /// Lets a provider rest, longer each time; returns until when.
    pub(super) fn rest(&self, provider: &str, asked_s: Option<i64>, now: Timestamp) -> Timestamp {
        let mut resting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (until, tries) = resting.entry(provider.to_owned()).or_insert((now, 0));
        // Tries that were under way at the same time count as one.
        if *until <= now {
            let wait_ms = wait_ms(provider, *tries, None).min(REST_S_MAX * 1000);
            *until = now.plus_millis(wait_ms.max(asked_s.unwrap_or(0).saturating_mul(1000)));
            *tries += 1;
        }
        *until
    }

    pub(super) fn is_back(&self, provider: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(provider);
    }
}

/// Time until the next try: the schedule with a fifth of jitter, or longer if asked to.
pub(super) fn wait_ms(key: &str, attempts_count: u32, asked_s: Option<i64>) -> i64 {
    let index = usize::try_from(attempts_count).unwrap_or(usize::MAX).min(WAITS_S.len() - 1);
    let wait = WAITS_S[index] * 1000;
    let digits = derived("jitter", &[key, &attempts_count.to_string()]);
    let jitter = digits.bytes().take(4).fold(0_i64, |sum, byte| sum + i64::from(byte)) % 41 - 20;
    (wait + wait * jitter / 100).max(asked_s.unwrap_or(0).saturating_mul(1000))
}
