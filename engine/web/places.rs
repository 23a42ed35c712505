//! How many answers are under way at once: of all, and of each provider.
//!
//! A provider that opens many transfers and takes nothing holds its own share of the places and
//! never those of others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Answers under way at the same time; more are asked to come back.
const PLACES_MAX: usize = 1024;

/// Of these for one provider.
const SHARE_MAX: usize = 512;

/// Who is being answered.
#[derive(Debug, Default)]
pub(super) struct Places(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    count: usize,
    by_provider: BTreeMap<String, usize>,
}

/// Being answered; the place is free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    provider: Option<String>,
}

impl Places {
    /// A place for somebody of whom it is not yet known who it is; `None` when all are taken.
    pub(super) fn take(self: &Arc<Self>) -> Option<Place> {
        let mut taken = self.taken();
        if taken.count >= PLACES_MAX {
            return None;
        }
        taken.count += 1;
        Some(Place { places: self.clone(), provider: None })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Counts it to a provider's share; `None` when that one has as many as it may.
    pub(super) fn of(mut self, provider: &str) -> Option<Self> {
        let mut taken = self.places.taken();
        let share = taken.by_provider.entry(provider.to_owned()).or_default();
        if *share >= SHARE_MAX {
            return None;
        }
        *share += 1;
        drop(taken);
        self.provider = Some(provider.to_owned());
        Some(self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.count -= 1;
        if let Some(provider) = &self.provider
            && let Some(share) = taken.by_provider.get_mut(provider)
        {
            *share -= 1;
            if *share == 0 {
                taken.by_provider.remove(provider);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provider_that_takes_its_share_leaves_places_for_others() {
        let places = Arc::<Places>::default();
        let take = |provider: &str| places.take().and_then(|place| place.of(provider));
        let mut greedy: Vec<_> = (0..SHARE_MAX).map(|_| take("a").expect("a place")).collect();
        assert!(take("a").is_none());
        let other = take("b").expect("a place");
        greedy.pop();
        greedy.push(take("a").expect("one was free again"));
        drop((greedy, other));
        assert_eq!(places.taken().count, 0);
        assert!(places.taken().by_provider.is_empty());
    }

    #[test]
    fn there_are_so_many_places_and_no_more() {
        let places = Arc::<Places>::default();
        let all: Vec<_> = (0..PLACES_MAX).map(|_| places.take().expect("a place")).collect();
        assert!(places.take().is_none());
        drop(all);
        assert!(places.take().is_some());
    }
}
