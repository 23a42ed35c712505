//! What operators ask of rules over the photos that were seen: why a rule spoke, what another file
//! would have ordered, how much a number changes. Nothing is decoded, detected or ordered.
//!
//! In:  a home, whether its agent runs or not; rules, those in force or others. Out: plain values
//! that commands print.
//!
//! - this file: opens a home, hands out photos, replays kept decisions
//! - `study/explain.rs`: one photo
//! - `study/backtest.rs`: all of them, against what was ordered
//!
//! Photos are put together by several threads, each with its own connection, a batch at a time:
//! a collection of any size needs little memory.

pub mod backtest;
pub mod explain;

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::dossier::Dossier;
use crate::access::Consent;
use crate::access::consent::ConsentError;
use crate::access::key::{Key, KeyError};
use crate::base::clock::Timestamp;
use crate::base::config::{Config, ConfigError, Icons};
use crate::base::home::Home;
use crate::base::ids::ContentHash;
use crate::orders::Terms;
use crate::rules::tune::{Sweep, Tuning};
use crate::rules::{Archive, Inputs, Judgement, RuleSet};
use crate::store::index::{Arrival, Index};
use crate::store::{DecisionRow, Decisions, State, StoreError};

/// Photos that are put together before they are asked about.
const BATCH_PHOTOS: usize = 2_048;

/// Decisions that are read from their log at once.
const BATCH_DECISIONS: u32 = 1_024;

/// Why a home cannot be studied.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// `signet.toml`.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The consent.
    #[error(transparent)]
    Consent(#[from] ConsentError),
    /// A database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nothing was ever watched.
    #[error("no photo was looked at yet: start `signet run` once")]
    NothingSeen,
    /// There is no such rule.
    #[error("there is no rule `{0}`")]
    NoSuchRule(String),
}

/// A home whose photos can be asked about.
#[derive(Debug)]
pub struct Study {
    index_path: PathBuf,
    index: Index,
    state: State,
    decisions: Decisions,
    providers: BTreeMap<String, Terms>,
    icons: Icons,
}

/// What became of making a kept decision again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replay {
    /// The rules say what they said.
    Same,
    /// They say something else.
    Differs {
        /// What they said.
        was: Vec<String>,
        /// What they say now.
        is: Vec<String>,
    },
    /// The decision or its rules cannot be read by this version.
    Unreadable(String),
}

impl Study {
    /// Opens a home; its agent may be running.
    ///
    /// # Errors
    /// See [`StudyError`].
    pub fn open(home: &Home) -> Result<Self, StudyError> {
        let config = Config::load(home)?;
        if !home.index_path().exists() {
            return Err(StudyError::NothingSeen);
        }
        let key = Key::load_or_create(&home.keys_dir().join("agent.key"))?;
        Ok(Self {
            index_path: home.index_path(),
            index: Index::open(&home.index_path())?,
            state: State::open(&home.state_path())?,
            decisions: Decisions::open(&home.decisions_path())?,
            providers: Consent::load(home, &key.public())?.providers,
            icons: config.icons,
        })
    }

    /// Makes every kept decision again, oldest first.
    ///
    /// - `progress`: decisions made, and all of them
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn replay(
        &self,
        since: Timestamp,
        progress: &dyn Fn(usize, usize),
        mut see: impl FnMut(&DecisionRow, Replay),
    ) -> Result<(), StoreError> {
        let mut sets: BTreeMap<String, Result<Kept, String>> = BTreeMap::new();
        let (all_count, mut done_count, mut last) = (self.decisions.count(since)?, 0, 0);
        loop {
            let page = self.decisions.page(since, last, BATCH_DECISIONS)?;
            if page.is_empty() {
                return Ok(());
            }
            done_count += page.len();
            for (number, row) in page {
                last = number;
                if !sets.contains_key(&row.revision) {
                    let json = self.decisions.rules(&row.revision)?;
                    sets.insert(row.revision.clone(), rules_of(json.as_deref()));
                }
                let replay = match sets.get(&row.revision) {
                    Some(Ok(Kept { set, lacks_names })) => match replay_of(&row, set) {
                        Replay::Differs { .. } if *lacks_names => {
                            Replay::Unreadable(LACKS_NAMES.to_owned())
                        }
                        replay => replay,
                    },
                    Some(Err(why)) => Replay::Unreadable(why.clone()),
                    None => Replay::Unreadable("its rules were not kept".to_owned()),
                };
                see(&row, replay);
            }
            progress(done_count, all_count.max(done_count));
        }
    }

    /// How many decisions cannot be made again because they were about people who were removed.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn erased_count(&self) -> Result<usize, StoreError> {
        self.decisions.erased_count()
    }

    /// Counts what one rule would order with its numbers moved.
    ///
    /// - `progress`: photos done, and all of them
    ///
    /// # Errors
    /// `NoSuchRule`; or the index.
    pub fn tune(
        &self,
        rules: &RuleSet,
        rule: &str,
        since: Timestamp,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Vec<Sweep>, StudyError> {
        let mut tuning =
            Tuning::new(rules, rule).ok_or_else(|| StudyError::NoSuchRule(rule.to_owned()))?;
        self.each(since, progress, |arrival, dossier| {
            let dossier = dossier.with_past(&arrival.photo, &self.state)?;
            tuning.add(&dossier.inputs);
            Ok(())
        })?;
        Ok(tuning.sweeps())
    }

    /// Hands out all photos in the order in which they came, without their past.
    fn each(
        &self,
        since: Timestamp,
        progress: &dyn Fn(usize, usize),
        mut see: impl FnMut(Arrival, Dossier) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut arrivals = self.index.arrivals()?;
        arrivals.retain(|arrival| arrival.at >= since);
        let threads_count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let indices = (0..threads_count).map(|_| Index::open(&self.index_path));
        let mut indices = indices.collect::<Result<Vec<_>, _>>()?;
        let mut done_count = 0;
        progress(0, arrivals.len());
        for batch in arrivals.chunks(BATCH_PHOTOS) {
            for (arrival, dossier) in self.put_together(&mut indices, batch)? {
                see(arrival, dossier)?;
            }
            done_count += batch.len();
            progress(done_count, arrivals.len());
        }
        Ok(())
    }

    fn put_together(
        &self,
        indices: &mut [Index],
        batch: &[Arrival],
    ) -> Result<Vec<(Arrival, Dossier)>, StoreError> {
        let icons = self.icons;
        let part_len = batch.len().div_ceil(indices.len()).max(1);
        // A connection serves one thread at a time: each thread borrows its own alone.
        let read = |index: &mut Index, part: &[Arrival]| {
            index.at_one_moment(|index| {
                let mut read = Vec::with_capacity(part.len());
                for arrival in part {
                    let dossier = Dossier::of(index, &arrival.photo, icons)?;
                    read.extend(dossier.map(|dossier| (*arrival, dossier)));
                }
                Ok(read)
            })
        };
        let parts: Vec<Result<Vec<_>, StoreError>> = std::thread::scope(|scope| {
            let threads: Vec<_> = indices
                .iter_mut()
                .zip(batch.chunks(part_len))
                .map(|(index, part)| scope.spawn(move || read(index, part)))
                .collect();
            // A thread that panics takes the program with it, as everywhere.
            threads
                .into_iter()
                .map(|thread| {
                    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .collect()
        });
        let mut all = Vec::with_capacity(batch.len());
        for part in parts {
            all.extend(part?);
        }
        Ok(all)
    }
}

/// The rules of a revision as they are kept.
struct Kept {
    set: RuleSet,
    lacks_names: bool,
}

/// Why a decision cannot be made again by rules from which a name was taken.
const LACKS_NAMES: &str = "its rules named somebody who was removed since";

fn rules_of(json: Option<&str>) -> Result<Kept, String> {
    let json = json.ok_or("its rules were not kept")?;
    let archive: Archive = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let lacks_names = archive.lacks_names();
    let set = archive.load().map_err(|mistakes| {
        let first = mistakes.first().map(ToString::to_string).unwrap_or_default();
        match lacks_names {
            true => format!("{LACKS_NAMES}, and cannot be asked without: {first}"),
            false => format!("its rules are refused today: {first}"),
        }
    })?;
    Ok(Kept { set, lacks_names })
}

fn replay_of(row: &DecisionRow, set: &RuleSet) -> Replay {
    let inputs = serde_json::from_str::<Inputs>(&row.inputs_json);
    let answer = serde_json::from_str::<Judgement>(&row.answer_json);
    let (inputs, was) = match (inputs, answer) {
        (Ok(inputs), Ok(answer)) => (inputs, answer),
        (Err(error), _) | (_, Err(error)) => return Replay::Unreadable(error.to_string()),
    };
    let is = inputs.judge(set);
    if is.says_the_same(&was) {
        return Replay::Same;
    }
    let words = |judgement: &Judgement| {
        let verdicts = judgement.verdicts.iter().map(|verdict| {
            let doubts: String = verdict.doubts.iter().map(|doubt| format!("; {doubt}")).collect();
            format!("{}: {verdict} ({}{doubts})", verdict.rule, verdict.reason)
        });
        verdicts.chain(judgement.failures.iter().map(ToString::to_string)).collect()
    };
    Replay::Differs { was: words(&was), is: words(&is) }
}

/// The photo of a file, by what is in it.
///
/// # Errors
/// When the file cannot be read.
pub fn photo_of_file(path: &std::path::Path) -> std::io::Result<ContentHash> {
    std::fs::read(path).map(|bytes| ContentHash::of(&bytes))
}
