//! How many requests in a minute: a counter for each who asks, forgotten when the minute is over.

use std::collections::HashMap;

use crate::base::clock::Timestamp;

/// Counters kept at most; beyond it everybody is one.
const COUNTERS_MAX: usize = 1000;

/// Requests of this minute.
#[derive(Debug, Default)]
pub(super) struct Pace {
    minute: i64,
    counts: HashMap<String, u32>,
}

impl Pace {
    /// Counts a request; tells whether it is among the first `most` of this minute.
    pub(super) fn allows(&mut self, who: &str, most: u32, now: Timestamp) -> bool {
        let minute = now.0.div_euclid(60_000);
        if minute != self.minute {
            self.minute = minute;
            self.counts.clear();
        }
        let full = self.counts.len() >= COUNTERS_MAX && !self.counts.contains_key(who);
        let count = self.counts.entry(if full { "" } else { who }.to_owned()).or_insert(0);
        *count = count.saturating_add(1);
        *count <= most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_tries_do_not_use_up_those_of_the_right_ones() {
        let (mut pace, now) = (Pace::default(), Timestamp(60_000_000));
        let allowed = (0..10).filter(|_| pace.allows("", 3, now)).count();
        assert_eq!(allowed, 3);
        assert!(pace.allows("order", 3, now));
        assert!(pace.allows("", 3, now.plus_millis(60_000)), "a new minute begins anew");
        for number in 0..2 * COUNTERS_MAX {
            pace.allows(&number.to_string(), 1, now);
        }
        assert!(pace.counts.len() <= COUNTERS_MAX + 1);
    }
}
