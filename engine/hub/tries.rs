//! Counts wrong tries, of passwords and of codes, and says who has to wait.
//!
//! In memory only: after a restart everybody has their tries again, which at a handful of tries a
//! quarter of an hour is worth nothing to those who guess.
//!
//! A full table forgets what is over first, then the oldest. Who fills it from many addresses gets
//! no more tries by that than the addresses give anyway.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::base::clock::Timestamp;

/// Most names that are remembered at a time.
const NAMES_MAX: usize = 10_000;

/// Wrong tries by name: of an operator at an address, or of an address.
#[derive(Debug)]
pub struct Tries {
    wrong: Mutex<BTreeMap<String, Wrong>>,
    tries_max: u32,
    wait_ms: i64,
}

#[derive(Debug, Clone, Copy)]
struct Wrong {
    count: u32,
    last_at: Timestamp,
}

impl Tries {
    /// So many wrong tries are free; then each costs a wait.
    pub const fn new(tries_max: u32, wait_ms: i64) -> Self {
        Self { wrong: Mutex::new(BTreeMap::new()), tries_max, wait_ms }
    }

    /// Counts a try before its outcome is known, so that many at once count as many.
    ///
    /// # Errors
    /// Milliseconds to wait, when there were too many; the try does not count then.
    pub fn begin(&self, name: &str, now: Timestamp) -> Result<(), i64> {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        let over = |tries: &Wrong| tries.last_at.plus_millis(self.wait_ms) <= now;
        if let Some(tries) = wrong.get_mut(name).filter(|tries| !over(tries)) {
            if tries.count >= self.tries_max {
                return Err((tries.last_at.0 + self.wait_ms - now.0).max(1));
            }
            *tries = Wrong { count: tries.count + 1, last_at: now };
            return Ok(());
        }
        if wrong.len() >= NAMES_MAX {
            wrong.retain(|_, tries| !over(tries));
        }
        if wrong.len() >= NAMES_MAX {
            let oldest = wrong.iter().min_by_key(|(_, tries)| tries.last_at);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                wrong.remove(&oldest);
            }
        }
        wrong.insert(name.to_owned(), Wrong { count: 1, last_at: now });
        Ok(())
    }

    /// The try was right: nothing is held against that name any more.
    pub fn right(&self, name: &str) {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_wrong_tries_cost_a_wait_and_one_right_try_clears_them() {
        let tries = Tries::new(2, 1000);
        let at = |millis| Timestamp(millis);
        assert_eq!(tries.begin("a", at(0)), Ok(()));
        assert_eq!(tries.begin("a", at(10)), Ok(()));
        assert_eq!(tries.begin("a", at(20)), Err(990));
        assert_eq!(tries.begin("b", at(20)), Ok(()), "somebody else");
        assert_eq!(tries.begin("a", at(1009)), Err(1), "a try that was refused is none");
        assert_eq!(tries.begin("a", at(1010)), Ok(()));
        tries.right("a");
        assert_eq!(tries.begin("a", at(1011)), Ok(()));
        assert_eq!(tries.begin("a", at(1012)), Ok(()));
        assert_eq!(tries.begin("a", at(1013)), Err(999));
    }

    #[test]
    fn full_table_stays_full_and_forgets_the_oldest() {
        let tries = Tries::new(1, 1000);
        let count = i64::try_from(NAMES_MAX).expect("small");
        for number in 0..count {
            assert_eq!(tries.begin(&number.to_string(), Timestamp(number / 100)), Ok(()));
        }
        assert_eq!(tries.begin("one more", Timestamp(200)), Ok(()));
        assert_eq!(tries.wrong.lock().expect("a lock").len(), NAMES_MAX);
        assert_eq!(tries.begin("one more", Timestamp(201)), Err(999));
        assert_eq!(tries.begin("9999", Timestamp(201)), Err(898));
    }
}
