//! The brake: a provider that behaves unlike itself is paused, until an operator looked.
//!
//! ```text
//! a day    more accesses in 24 hours than `accesses_per_day` of the provider
//! an hour  more than 10 times what it fetches in an hour in which it fetches at all
//! refused  more than 100 refused tries in 10 minutes
//! ```
//!
//! In:  the books, every few seconds; each try of a provider that was refused.
//! Out: why the provider was paused, once; its row, the operators' list of actions and a notice to
//! it say so as well. Nothing resumes by itself. When an operator lets the provider go on, the last
//! day is excused, until the hub starts anew: whoever should do so much raises `accesses_per_day`.
//!
//! Hours without accesses do not count into the usual hour: a lab that works on weekdays would be
//! unusual each Monday. Below [`HOUR_FLOOR`] an hour is never unusual.
//!
//! Counts are kept in memory and begin with what the books know of the last week, so that a
//! restart of the hub lets nobody start afresh; refused tries alone are forgotten by it.
//!
//! INVARIANT: a refused try counts only when it was proven whose it was. Else a stranger could have
//! any provider paused.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::base::clock::Timestamp;
use crate::store::StoreError;
use crate::store::hub::{ActionRow, HubStore, ProviderChange, ProviderRow, ProviderState};

use super::notices;

/// Accesses in an hour up to which no hour is unusual.
pub const HOUR_FLOOR: u32 = 200;

/// So many times its usual hour is unusual.
pub const HOUR_TIMES: u32 = 10;

/// Refused tries in [`REFUSED_MINUTES`] up to which nothing is unusual.
pub const REFUSED_MAX: u32 = 100;

/// Minutes over which refused tries are counted.
pub const REFUSED_MINUTES: i64 = 10;

/// Who did something where it was the hub itself.
pub const HUB: &str = "hub";

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_HOURS: i64 = 24;
const WEEK_HOURS: i64 = 7 * DAY_HOURS;

/// How much a provider did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Volume {
    /// Accesses of this hour and the 23 before.
    pub day_count: u32,
    /// Accesses of this hour.
    pub hour_count: u32,
    /// What it had on average in those hours of the week before in which it had any.
    pub usual_hour_count: u32,
    /// Refused tries of the last [`REFUSED_MINUTES`].
    pub refused_count: u32,
}

/// What is unusual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusual {
    /// More in a day than was agreed.
    Day {
        /// Accesses.
        count: u32,
        /// Those agreed.
        count_max: u32,
    },
    /// More in an hour than it ever has.
    Hour {
        /// Accesses.
        count: u32,
        /// Those of its usual hour.
        usual_count: u32,
    },
    /// Refused again and again.
    Refused {
        /// Tries.
        count: u32,
    },
}

impl fmt::Display for Unusual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day { count, count_max } => {
                write!(f, "{count} accesses in 24 hours, {count_max} were agreed")
            }
            Self::Hour { count, usual_count } => {
                write!(f, "{count} accesses in an hour, {usual_count} are usual")
            }
            Self::Refused { count } => {
                write!(f, "{count} refused tries in {REFUSED_MINUTES} minutes")
            }
        }
    }
}

/// Tells whether a volume is unusual.
///
/// - `accesses_per_day`: those agreed; 0 allows none
pub fn judge(volume: Volume, accesses_per_day: u32) -> Option<Unusual> {
    let Volume { day_count, hour_count, usual_hour_count, refused_count } = volume;
    if day_count > accesses_per_day {
        return Some(Unusual::Day { count: day_count, count_max: accesses_per_day });
    }
    if hour_count > usual_hour_count.saturating_mul(HOUR_TIMES).max(HOUR_FLOOR) {
        return Some(Unusual::Hour { count: hour_count, usual_count: usual_hour_count });
    }
    (refused_count > REFUSED_MAX).then_some(Unusual::Refused { count: refused_count })
}

/// What was found when it was looked at a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looked {
    /// Accesses that were posted since it was last looked; 0 the first time.
    pub new_count: u32,
    /// Why the provider was paused, if it was just now.
    pub unusual: Option<Unusual>,
}

/// What each provider did lately.
#[derive(Debug, Default)]
pub struct Brake(Mutex<HashMap<String, History>>);

#[derive(Debug, Default)]
struct History {
    /// Whether what the books know is in it.
    is_loaded: bool,
    /// Whether it had the provider paused.
    is_pulled: bool,
    /// Accesses by hour since 1970; the last week and this hour.
    hours: BTreeMap<i64, u32>,
    /// Those of them that an operator has looked at.
    excused: BTreeMap<i64, u32>,
    /// Refused tries by minute since 1970.
    minutes: BTreeMap<i64, u32>,
}

impl Brake {
    /// Reads what the books know of a provider since it was last looked. Pauses the provider when
    /// that makes its volume unusual.
    ///
    /// # Errors
    /// As the store.
    pub fn look(
        &self,
        store: &dyn HubStore,
        row: &ProviderRow,
        now: Timestamp,
    ) -> Result<Looked, StoreError> {
        let hour = now.0.div_euclid(HOUR_MS);
        let is_loaded = self.with(&row.name, |history| history.is_loaded);
        // An access is posted soon after it was complete, or belongs to a time that is over.
        let hours = if is_loaded { 1 } else { WEEK_HOURS };
        let booked = store.accesses_by_hour(&row.name, Timestamp((hour - hours) * HOUR_MS))?;
        let new_count = self.with(&row.name, |history| {
            history.is_loaded = true;
            let mut new_count = 0;
            for (hour, count) in booked {
                let before = history.hours.insert(hour, count).unwrap_or(0);
                new_count += count.saturating_sub(before);
            }
            if is_loaded { new_count } else { 0 }
        });
        Ok(Looked { new_count, unusual: self.pull_if_unusual(store, row, now)? })
    }

    /// A try of a provider was refused, and it was proven to be the provider's. As [`Self::look`].
    ///
    /// # Errors
    /// As the store.
    pub fn refused(
        &self,
        store: &dyn HubStore,
        provider: &str,
        now: Timestamp,
    ) -> Result<Option<Unusual>, StoreError> {
        let minute = now.0.div_euclid(MINUTE_MS);
        self.with(provider, |history| *history.minutes.entry(minute).or_insert(0) += 1);
        match store.provider(provider)? {
            Some(row) => self.pull_if_unusual(store, &row, now),
            None => Ok(None),
        }
    }

    fn with<T>(&self, provider: &str, act: impl FnOnce(&mut History) -> T) -> T {
        let mut providers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(providers.entry(provider.to_owned()).or_default())
    }

    fn pull_if_unusual(
        &self,
        store: &dyn HubStore,
        row: &ProviderRow,
        now: Timestamp,
    ) -> Result<Option<Unusual>, StoreError> {
        if row.state != ProviderState::Active {
            return Ok(None);
        }
        let volume = self.with(&row.name, |history| history.volume(now));
        let Some(unusual) = judge(volume, row.accesses_per_day) else { return Ok(None) };
        // It was pulled before and the provider is active: an operator looked and let it go on.
        let was_pulled = self.with(&row.name, |history| {
            let was_pulled = history.is_pulled;
            if was_pulled {
                history.excuse();
            }
            history.is_pulled = !was_pulled;
            was_pulled
        });
        if was_pulled {
            return Ok(None);
        }
        pull(store, row, unusual, now)?;
        Ok(Some(unusual))
    }
}

impl History {
    fn volume(&mut self, now: Timestamp) -> Volume {
        let (hour, minute) = (now.0.div_euclid(HOUR_MS), now.0.div_euclid(MINUTE_MS));
        self.hours.retain(|at, _| *at >= hour - WEEK_HOURS);
        self.excused.retain(|at, _| *at >= hour - WEEK_HOURS);
        self.minutes.retain(|at, _| *at > minute - REFUSED_MINUTES);
        let sum = |counts: &mut dyn Iterator<Item = u32>| counts.fold(0, u32::saturating_add);
        let counted = |(hour, count): (&i64, &u32)| {
            count.saturating_sub(self.excused.get(hour).copied().unwrap_or(0))
        };
        let before = || self.hours.range(..hour).map(|(_, count)| *count);
        let hours_count = u32::try_from(before().count()).unwrap_or(u32::MAX);
        Volume {
            day_count: sum(&mut self.hours.range(hour - DAY_HOURS + 1..).map(counted)),
            hour_count: sum(&mut self.hours.range(hour..=hour).map(counted)),
            usual_hour_count: sum(&mut before()).checked_div(hours_count).unwrap_or(0),
            refused_count: sum(&mut self.minutes.values().copied()),
        }
    }

    /// What was fetched and refused so far counts no more.
    fn excuse(&mut self) {
        self.excused = self.hours.clone();
        self.minutes.clear();
    }
}

/// Pauses a provider: row, actions, notice. The notice and the action come first, so that a
/// crash in between leaves a provider that the next access pauses.
fn pull(
    store: &dyn HubStore,
    row: &ProviderRow,
    unusual: Unusual,
    now: Timestamp,
) -> Result<(), StoreError> {
    let why = format!("{unusual}; an operator has to look");
    tracing::warn!(provider = row.name, %unusual, "a provider was paused");
    store.put_notice(&notices::of_state(&row.name, ProviderState::Paused, &why, now))?;
    store.note_action(&ActionRow {
        at: now,
        operator: HUB.into(),
        action: "provider.pause".into(),
        subject: row.name.clone(),
        detail: why.clone(),
    })?;
    let change = ProviderChange::State { state: ProviderState::Paused, why };
    store.change_provider(&row.name, &change).map(|_| ())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hub::operators::Actor;
    use crate::hub::providers::{self, Proofs, ProviderEdit};
    use crate::store::hub::SqliteHub;

    const NOON: Timestamp = Timestamp(1_790_078_400_000);

    fn hours_ago(hours: i64) -> i64 {
        NOON.0.div_euclid(HOUR_MS) - hours
    }

    #[test]
    fn weekend_does_not_make_monday_unusual() {
        let mut history = History::default();
        for day in 3..8 {
            for hour in 0..8 {
                history.hours.insert(hours_ago(day * 24 - hour), 100);
            }
        }
        history.hours.insert(hours_ago(0), 900);
        history.hours.insert(hours_ago(200), 1_000_000);
        let volume = history.volume(NOON);
        assert_eq!((volume.usual_hour_count, volume.hour_count, volume.day_count), (100, 900, 900));
        assert_eq!(judge(volume, 1000), None);
        assert_eq!(judge(volume, 899), Some(Unusual::Day { count: 900, count_max: 899 }));
        history.hours.insert(hours_ago(0), 1001);
        let unusual = Unusual::Hour { count: 1001, usual_count: 100 };
        assert_eq!(judge(history.volume(NOON), 5000), Some(unusual));
    }

    #[test]
    fn provider_that_is_refused_again_and_again_is_paused_until_an_operator_looked() {
        let store = SqliteHub::in_memory().expect("a database");
        let host = Actor::host();
        let proofs = Proofs { key: None, secret: true };
        let edit = ProviderEdit::default();
        providers::add(&store, &host, "lab", &proofs, &edit, 20, NOON).expect("added");
        let brake = Brake::default();
        let refuse = |count: u32| -> Vec<Unusual> {
            let refuse = |_| brake.refused(&store, "lab", NOON).expect("counted");
            (0..count).filter_map(refuse).collect()
        };
        assert_eq!(refuse(REFUSED_MAX), []);
        assert_eq!(refuse(5), [Unusual::Refused { count: 101 }], "once");
        let row = store.provider("lab").expect("read").expect("there");
        assert_eq!(row.state, ProviderState::Paused);
        assert!(row.why.contains("101 refused tries"), "{}", row.why);
        let notices = store.notices_of("lab", 9).expect("read");
        assert_eq!(notices[0].kind, "signet.provider.paused");
        let actions = store.actions(9).expect("read");
        assert!(actions.iter().any(|action| action.operator == HUB), "{actions:?}");
        let active = ProviderState::Active;
        providers::set_state(&store, &host, "lab", active, "it was us", NOON).expect("resumed");
        assert_eq!(refuse(REFUSED_MAX), [], "what was looked at is excused");
        assert_eq!(refuse(9).len(), 1);
    }

    proptest! {
        #[test]
        fn more_is_never_less_unusual(
            day in 0_u32..5000, hour in 0_u32..5000, usual in 0_u32..500, refused in 0_u32..300,
            agreed in 0_u32..5000, more in 0_u32..500,
        ) {
            let volume = Volume {
                day_count: day, hour_count: hour, usual_hour_count: usual, refused_count: refused,
            };
            let worse = Volume {
                day_count: day + more,
                hour_count: hour + more,
                refused_count: refused + more,
                ..volume
            };
            if judge(volume, agreed).is_some() {
                prop_assert!(judge(worse, agreed).is_some());
            }
            if judge(volume, agreed).is_none() {
                prop_assert!(judge(volume, agreed.saturating_add(more)).is_none());
                prop_assert!(day <= agreed && refused <= REFUSED_MAX);
                prop_assert!(hour <= HOUR_FLOOR || hour <= usual * HOUR_TIMES);
            }
        }

        #[test]
        fn quiet_provider_within_its_day_is_never_unusual(
            hour in 0..=HOUR_FLOOR, usual in 0_u32..10_000, refused in 0..=REFUSED_MAX,
        ) {
            let volume = Volume {
                day_count: hour, hour_count: hour, usual_hour_count: usual, refused_count: refused,
            };
            prop_assert_eq!(judge(volume, hour), None);
        }

        #[test]
        fn volume_is_what_was_counted(hours in prop::collection::btree_map(0_i64..400, 1_u32..1000, 0..60)) {
            let mut history = History::default();
            for (ago, count) in &hours {
                history.hours.insert(hours_ago(*ago), *count);
            }
            let volume = history.volume(NOON);
            let within = |from: i64, to: i64| -> Vec<u32> {
                hours.iter().filter(|(ago, _)| (from..=to).contains(*ago)).map(|(_, c)| *c).collect()
            };
            let usual = within(1, WEEK_HOURS);
            let mean = usual.iter().sum::<u32>().checked_div(u32::try_from(usual.len()).expect("few"));
            prop_assert_eq!(volume.day_count, within(0, DAY_HOURS - 1).iter().sum::<u32>());
            prop_assert_eq!(volume.hour_count, within(0, 0).iter().sum::<u32>());
            prop_assert_eq!(volume.usual_hour_count, mean.unwrap_or(0));
        }
    }
}
