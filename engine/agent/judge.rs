//! From what was seen in a photo to its orders: its roll, the rules, the plan.
//!
//! In:  photos as they arrive, in any order. Out: orders in the state, and [`Outcome`]s to
//! tell of.
//!
//! [`arrive`] gives a photo its place in its roll and finds out which card applies to it and
//! to those behind it; whatever that changes is marked as to be judged. [`Judge::judge`]
//! judges one photo that is marked. Both are steps between which a crash does no harm: the
//! marks are in the index, and judging again comes to the same orders.
//!
//! What a photo's icons and its card say is planned as a whole each time. Orders that
//! nobody was told of follow the newest plan; those on their way stay, which is told.
//!
//! Knows no clock and no pixels.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::analyse::{Analysis, path_fact};
use super::group::Group;
use super::lock;
use crate::base::clock::Timestamp;
use crate::base::config::Icons;
use crate::base::ids::ContentHash;
use crate::collection::group::{Kind, kind_of};
use crate::orders::Terms;
use crate::orders::plan::{Missing, Photo, plan};
use crate::rules::facts::OrderedFact;
use crate::rules::roll::{self, InForce, Role, Step, clock_ms};
use crate::rules::{CardFact, Confirm, Facts, Judgement, RuleFailure, RuleSet, Wish};
use crate::store::index::{Index, Neighbour, Shot, name_key};
use crate::store::{Replanned, State, StoreError};

/// What became of judging a photo.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Where it lies.
    pub(super) collection: String,
    /// Path inside the collection.
    pub(super) relative: PathBuf,
    /// What became of its orders.
    pub(super) orders: Replanned,
    /// What the owner is to be told.
    pub(super) notes: Vec<String>,
    /// Rules that gave no answer.
    pub(super) failures: Vec<RuleFailure>,
    /// Whether its original is to be copied into the owner's private folder.
    pub(super) keep: bool,
}

/// Whether a photo was judged.
#[derive(Debug)]
pub(super) enum Judged {
    /// It was; mark it once what follows was done.
    Now(Box<Outcome>),
    /// Something would leave, and there is something to wait for.
    Later(Until),
}

/// What a photo waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// Its collection is quiet: a card may still come, or a companion.
    Settled,
    /// Companions that are known to exist are there, or the time for that is over.
    Complete,
}

/// What may still come for a photo.
#[derive(Debug, Clone, Copy)]
pub(super) struct Readiness<'a> {
    /// No card is to be expected any more that applies to it.
    pub(super) is_settled: bool,
    /// Companions were waited for as long as the owner wants.
    pub(super) is_grace_over: bool,
    /// Files that lay beside it and were not read yet.
    pub(super) unread: &'a [PathBuf],
}

/// Records the place of a photo that the index just got, and what changes by it. Gives the
/// photos that are to be judged now, if they may order: this one first.
///
/// The index should have an open batch, so that all of it is kept or nothing.
pub(super) fn arrive(
    index: &mut Index,
    photo: &ContentHash,
    (collection, relative): (&str, &Path),
    analysis: &Analysis,
    (icons, pause_ms): (Icons, i64),
) -> Result<Vec<ContentHash>, StoreError> {
    let facts = analysis.facts(path_fact(collection, relative), icons);
    let role = Role::of(&facts.icons, analysis.card);
    let taken_ms = analysis.taken_at.as_deref();
    let taken_ms = taken_ms.and_then(|taken| clock_ms(taken, analysis.taken_millis));
    let Some(taken_ms) = taken_ms else {
        index.record_place(photo, collection, relative, None)?;
        return Ok(vec![*photo]);
    };
    let mut changed = vec![*photo];
    let mut shot = Shot {
        photo: *photo,
        collection: collection.to_owned(),
        camera: analysis.camera.clone().unwrap_or_default(),
        taken_ms,
        name_key: name_key(relative),
        role: role.as_str().to_owned(),
        card: None,
        is_doubtful: false,
    };
    let before = index.neighbour(&shot, Neighbour::Before)?;
    follow(&mut shot, before.as_ref(), pause_ms);
    index.record_place(photo, collection, relative, Some(&shot))?;
    // What applies to a photo depends on the one before it alone: the first that stays as it
    // was ends the change.
    while let Some(mut behind) = index.neighbour(&shot, Neighbour::Behind)? {
        if !follow(&mut behind, Some(&shot), pause_ms) {
            break;
        }
        index.set_card(&behind.photo, behind.card.as_ref(), behind.is_doubtful)?;
        changed.push(behind.photo);
        shot = behind;
    }
    Ok(changed)
}

/// Finds out what applies to a shot; tells whether that differs from what it says.
fn follow(shot: &mut Shot, before: Option<&Shot>, pause_ms: i64) -> bool {
    let step = |shot: &Shot| Step {
        photo: shot.photo,
        taken_ms: shot.taken_ms,
        role: Role::parse(&shot.role),
        in_force: shot.card.map(|card| InForce { card, is_doubtful: shot.is_doubtful }),
    };
    let before = before.map(step);
    let now = roll::in_force(before.as_ref(), shot.taken_ms, Role::parse(&shot.role), pause_ms);
    let changed = step(shot).in_force != now;
    shot.card = now.map(|now| now.card);
    shot.is_doubtful = now.is_some_and(|now| now.is_doubtful);
    changed
}

/// A companion that lies beside a photo and was not read in time.
fn unread(path: &Path) -> Option<Missing> {
    let name = path.file_name()?;
    match kind_of(name) {
        Kind::Companion(member) => {
            Some(Missing { member, name: Some(name.to_string_lossy().into_owned()) })
        }
        _ => None,
    }
}

/// What judging needs.
pub(super) struct Judge<'a> {
    pub(super) index: &'a Mutex<Index>,
    pub(super) state: &'a State,
    pub(super) rules: &'a RuleSet,
    pub(super) providers: &'a BTreeMap<String, Terms>,
    /// Whether icons have to carry the owner's seal.
    pub(super) icons: Icons,
}

impl Judge<'_> {
    /// Judges a photo and keeps the orders that follow. The mark in the index stays: take it
    /// away when everything that follows was done.
    ///
    /// A photo of which something would leave waits while its roll is not settled, and for
    /// companions that it says exist.
    pub(super) fn judge(
        &self,
        photo: &ContentHash,
        ready: Readiness<'_>,
        now: Timestamp,
    ) -> Result<Judged, StoreError> {
        let mut outcome = Outcome::default();
        let (row, place, shot) = {
            let index = lock(self.index);
            (index.photo(photo)?, index.first_place(photo)?, index.shot(photo)?)
        };
        let row = row.filter(|row| row.may_order);
        let analysis =
            row.and_then(|row| serde_json::from_str::<Analysis>(&row.analysis_json).ok());
        let (Some(analysis), Some((collection, relative))) = (analysis, place) else {
            // It was there before the first start; or nobody knows it, and the next scan
            // looks at it again.
            return Ok(Judged::Now(Box::new(outcome)));
        };
        let mut facts = analysis.facts(path_fact(&collection, &relative), self.icons);
        let group = Group::of(&lock(self.index), photo, &analysis)?;
        group.add_to(&mut facts);
        facts.album = relative
            .parent()
            .and_then(Path::file_name)
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        facts.ordered = self.ordered(photo, shot.as_ref())?;
        (outcome.collection, outcome.relative) = (collection, relative);
        let mut judgement = match Role::of(&facts.icons, analysis.card) {
            // Raw data of a picture beside it goes with that picture.
            _ if group.is_part => Judgement::default(),
            // A card photo is a word to those behind it, and no photo.
            Role::Card => self.card_alone(shot.as_ref()),
            _ => match self.card_of(shot.as_ref())? {
                Some(card) => self.under(&facts, &card, shot.as_ref())?,
                None => self.rules.judge(&facts),
            },
        };
        let leaves = judgement.verdicts.iter().any(|verdict| verdict.wish.leaves());
        let wished =
            |member| judgement.verdicts.iter().any(|verdict| verdict.wish.with().contains(&member));
        let names_companions =
            judgement.verdicts.iter().any(|verdict| !verdict.wish.with().is_empty());
        if leaves && !ready.is_settled && (shot.is_some() || names_companions) {
            return Ok(Judged::Later(Until::Settled));
        }
        let is_awaited = |missing: &Missing| missing.name.is_some() || wished(missing.member);
        let is_complete = ready.unread.is_empty() && !group.missing.iter().any(is_awaited);
        if leaves && !is_complete && !ready.is_grace_over {
            return Ok(Judged::Later(Until::Complete));
        }
        self.ask_after_raw(&group, &mut judgement)?;
        for verdict in &judgement.verdicts {
            match verdict.wish {
                Wish::Note => outcome.notes.push(verdict.reason.clone()),
                Wish::Keep => outcome.keep = true,
                _ => {}
            }
        }
        outcome.failures = judgement.failures;
        let mut usages = BTreeMap::new();
        if leaves {
            for provider in self.providers.keys() {
                usages.insert(provider.clone(), self.state.usage(provider, photo, now)?);
            }
        }
        let usage = |provider: &str| usages.get(provider).copied().unwrap_or_default();
        let named = Photo {
            hash: *photo,
            collection: outcome.collection.clone(),
            relative: outcome.relative.to_string_lossy().into_owned(),
            companions: group.members(),
            missing: group
                .missing
                .into_iter()
                .chain(ready.unread.iter().filter_map(|path| unread(path)))
                .collect(),
        };
        let orders = plan(&named, &judgement.verdicts, self.providers, &usage, now);
        outcome.orders = self.state.replan(photo, orders, now)?;
        Ok(Judged::Now(Box::new(outcome)))
    }

    /// What providers were told to make of this photo or of another version of it.
    fn ordered(
        &self,
        photo: &ContentHash,
        shot: Option<&Shot>,
    ) -> Result<Vec<OrderedFact>, StoreError> {
        let versions = match shot {
            Some(shot) => lock(self.index).other_versions(shot)?,
            None => Vec::new(),
        };
        let mut ordered = Vec::new();
        for version in std::iter::once(*photo).chain(versions) {
            ordered.extend(self.state.told_orders(&version)?.into_iter().map(|order| {
                OrderedFact {
                    rule: order.rule,
                    provider: order.provider,
                    product: order.product.unwrap_or_default(),
                    copies: order.copies,
                }
            }));
        }
        Ok(ordered)
    }

    /// A picture whose raw data was ordered before it came may be the same wish: it asks.
    fn ask_after_raw(&self, group: &Group, judgement: &mut Judgement) -> Result<(), StoreError> {
        for (name, raw) in group.raws() {
            if self.state.has_live_orders(&raw)? {
                judgement.ask(&format!("its raw file `{name}` was ordered"));
            }
        }
        Ok(())
    }

    /// Judges a photo that a card applies to. A file that was edited where it lies is another
    /// version of a photo that the card was for already: that may be one wish, so it asks.
    fn under(
        &self,
        facts: &Facts,
        card: &CardFact,
        shot: Option<&Shot>,
    ) -> Result<Judgement, StoreError> {
        let mut judgement = self.rules.judge_under(facts, card);
        let Some(shot) = shot else { return Ok(judgement) };
        let versions = lock(self.index).other_versions(shot)?;
        for version in versions {
            if !self.state.has_live_orders(&version)? {
                continue;
            }
            judgement.ask("an earlier version of it was ordered");
            break;
        }
        Ok(judgement)
    }

    /// What follows from a card photo itself: nothing, but one that is in no roll is told of.
    fn card_alone(&self, shot: Option<&Shot>) -> Judgement {
        let mut judgement = Judgement::default();
        if shot.is_none() {
            judgement.verdicts.push(crate::rules::Verdict {
                rule: "card".to_owned(),
                revision: self.rules.revision().to_owned(),
                wish: Wish::Note,
                confirm: Confirm::No,
                reason: "a card photo that does not say when it was taken applies to no photo"
                    .to_owned(),
                doubts: Vec::new(),
            });
        }
        judgement
    }

    /// The card that applies to a photo, as rules see it.
    fn card_of(&self, shot: Option<&Shot>) -> Result<Option<CardFact>, StoreError> {
        let Some((shot, card)) = shot.and_then(|shot| Some((shot, shot.card?))) else {
            return Ok(None);
        };
        let (row, place) = {
            let index = lock(self.index);
            (index.photo(&card)?, index.first_place(&card)?)
        };
        let analysis =
            row.and_then(|row| serde_json::from_str::<Analysis>(&row.analysis_json).ok());
        let Some(analysis) = analysis else { return Ok(None) };
        let (collection, relative) = place.unwrap_or_default();
        let Facts { icons, taken, .. } =
            analysis.facts(path_fact(&collection, &relative), self.icons);
        let photographed = taken.map(|taken| taken.text).unwrap_or_default();
        // `2026-07-01T10:02:00`: the hour and the minute are enough to find it.
        let photographed = photographed.get(11..16).unwrap_or_default().to_owned();
        let card = CardFact { icons, photographed };
        Ok(Some(if shot.is_doubtful { card.doubtful() } else { card }))
    }
}

#[cfg(test)]
#[path = "judge/tests.rs"]
mod tests;
