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
use super::dossier::Dossier;
use super::lock;
use crate::access::people_book::Register;
use crate::base::clock::{Moment, Timestamp};
use crate::base::config::Icons;
use crate::base::ids::ContentHash;
use crate::orders::Terms;
use crate::orders::plan::{Agreed, Before, Missing, plan};
use crate::rules::roll::{self, InForce, Role, Step};
use crate::rules::{Judgement, RuleFailure, RuleSet, Wish};
use crate::store::index::{Index, Neighbour, Shot, name_key};
use crate::store::{DecisionRow, Decisions, Replanned, Spent, State, StoreError};

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
    let Some(taken_ms) = analysis.taken_ms() else {
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
    // Photos of the hour speak for each other's people.
    let people = analysis.sure_people();
    let before = index.record_people(photo, taken_ms, &people)?;
    for person in people.iter().chain(&before) {
        for other in index.nearest_of(person, taken_ms)? {
            if !changed.contains(&other) && index.judge_again(&other)? {
                changed.push(other);
            }
        }
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

/// What judging needs.
pub(super) struct Judge<'a> {
    pub(super) index: &'a Mutex<Index>,
    pub(super) state: &'a State,
    pub(super) decisions: &'a Decisions,
    pub(super) rules: &'a RuleSet,
    pub(super) providers: &'a BTreeMap<String, Terms>,
    /// Whether icons have to carry the owner's seal.
    pub(super) icons: Icons,
    /// Who may be named.
    pub(super) register: &'a Register,
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
        let mut dossier = Dossier::of(&lock(self.index), photo, self.icons)?;
        // Somebody may be removed meanwhile: who is named is read again under the lock, and stays
        // enrolled until all is written.
        let held =
            dossier.as_ref().is_some_and(Dossier::names_people).then(|| self.register.hold());
        if let Some(held) = &held {
            let is_enrolled = |name: &str| held.is_enrolled(name);
            dossier = Dossier::naming(&lock(self.index), photo, self.icons, is_enrolled)?;
        }
        let Some(dossier) = dossier.filter(|dossier| dossier.may_order) else {
            // It was there before the first start; or nobody knows it, and the next scan
            // looks at it again.
            return Ok(Judged::Now(Box::new(outcome)));
        };
        let dossier = dossier.with_past(photo, self.state)?;
        let judgement = dossier.inputs.judge(self.rules);
        let wishes = judgement.verdicts.iter().map(|verdict| &verdict.wish);
        let leaves = wishes.clone().any(Wish::leaves);
        let names_companions = wishes.clone().any(|wish| !wish.with().is_empty());
        if leaves && !ready.is_settled && (dossier.is_in_roll || names_companions) {
            return Ok(Judged::Later(Until::Settled));
        }
        let is_awaited = |missing: &Missing| {
            missing.name.is_some()
                || wishes.clone().any(|wish| wish.with().contains(&missing.member))
        };
        let is_complete = ready.unread.is_empty() && !dossier.group.missing.iter().any(is_awaited);
        if leaves && !is_complete && !ready.is_grace_over {
            return Ok(Judged::Later(Until::Complete));
        }
        self.log(photo, &dossier, &judgement, now)?;
        for verdict in &judgement.verdicts {
            match verdict.wish {
                Wish::Note => outcome.notes.push(verdict.reason.clone()),
                Wish::Keep => outcome.keep = true,
                _ => {}
            }
        }
        let agreed = Agreed { consent: self.providers, limits: self.rules.limits() };
        let before = match leaves {
            true => before(self.state, agreed, photo, now)?,
            false => Before::default(),
        };
        let named = dossier.named(photo, ready.unread);
        let orders = plan(&named, &judgement.verdicts, agreed, &before, Moment::local(now));
        outcome.orders = self.state.replan(photo, orders, now)?;
        outcome.failures = judgement.failures;
        (outcome.collection, outcome.relative) = (dossier.collection, dossier.relative);
        Ok(Judged::Now(Box::new(outcome)))
    }

    /// Keeps what the rules were asked and what they said.
    fn log(
        &self,
        photo: &ContentHash,
        dossier: &Dossier,
        judgement: &Judgement,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let decision = DecisionRow {
            photo: *photo,
            at: now,
            revision: self.rules.revision().to_owned(),
            seen_by: dossier.seen_by.clone(),
            inputs_json: json(&dossier.inputs),
            answer_json: json(judgement),
        };
        self.decisions.record(&decision, || json(self.rules.archive()))?;
        Ok(())
    }
}

/// What counts towards limits when a photo is planned, but for its own orders.
pub(super) fn before(
    state: &State,
    agreed: Agreed<'_>,
    photo: &ContentHash,
    now: Timestamp,
) -> Result<Before, StoreError> {
    let mut before = Before {
        held_since: state.held_since(photo)?,
        closing: state.parcels_closing()?,
        ..Before::default()
    };
    for provider in agreed.consent.keys() {
        before.usage.insert(provider.clone(), state.usage(provider, photo, now)?);
    }
    for limit in agreed.limits {
        before.spent.push(match limit.counts() {
            true => state.spent(&limit.of, limit.currency(), photo, now)?,
            false => Spent::default(),
        });
    }
    Ok(before)
}

/// Facts, judgements and rule files hold nothing that JSON cannot: plain fields and texts.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
#[path = "judge/tests.rs"]
mod tests;
