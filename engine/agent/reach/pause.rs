//! How long to wait before the hub is called again: full jitter, 1 s at first, twice as much each
//! time, 5 minutes at most.
//!
//! A pure function of the tries so far and of a random number, so that thousands of agents that lost
//! their hub at once do not come back at once.

/// The first, and the longest.
const FIRST_MS: u64 = 1000;
const LONGEST_MS: u64 = 5 * 60 * 1000;

/// Milliseconds to wait.
///
/// - `tries`: those that failed in a row, from 0
/// - `random`: any of all, each as likely
pub fn pause_ms(tries: u32, random: u32) -> u64 {
    let longest = FIRST_MS.saturating_mul(1 << tries.min(20)).min(LONGEST_MS);
    (longest * u64::from(random)) >> 32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pause_grows_to_its_limit_and_not_past_it(tries in 0_u32.., random in 0_u32..) {
            let longest = pause_ms(tries, u32::MAX);
            prop_assert!(pause_ms(tries, random) <= longest);
            prop_assert!(longest <= pause_ms(tries.saturating_add(1), u32::MAX));
            prop_assert!(longest < LONGEST_MS);
        }
    }

    #[test]
    fn agents_that_lost_their_hub_together_are_spread_over_the_whole_pause() {
        assert_eq!(pause_ms(0, 0), 0);
        assert_eq!(pause_ms(0, u32::MAX / 2), 499);
        assert_eq!(pause_ms(4, u32::MAX / 2), 7999);
        assert_eq!(pause_ms(100, u32::MAX), LONGEST_MS - 1);
    }
}
