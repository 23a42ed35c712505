//! What the rules of each file see of a photo: under a card, that depends on the file's lists.
//!
//! In:  facts, the card that applies. Out: scopes ready to be asked about, one for each file that
//! sees something of its own, and one for the others.

use super::eval::PhotoScope;
use super::facts::Facts;
use super::roll::{CardFact, combined};
use super::set::RuleSet;

/// What the rules of each file see of a photo: under a card, that depends on the file's lists.
pub(super) struct Views<'f> {
    alone: &'f Facts,
    /// Name of the file, what its rules see, what to add to their reasons.
    under_card: Vec<(&'f str, Facts, Option<String>)>,
}

impl<'f> Views<'f> {
    pub(super) fn new(set: &'f RuleSet, facts: &'f Facts, card: Option<&CardFact>) -> Self {
        let mut views = Self { alone: facts, under_card: Vec::new() };
        let Some(card) = card else { return views };
        for rule in set.rules() {
            if views.under_card.iter().all(|(file, ..)| *file != rule.file) {
                let lists = set.lists_of(&rule.file);
                let (icons, inherited) = combined(&facts.icons, &card.icons, lists);
                let facts = Facts { icons, ..facts.clone() };
                views.under_card.push((&rule.file, facts, card.words(&inherited)));
            }
        }
        views
    }

    pub(super) fn scopes(&self) -> Scopes<'_> {
        let under_card = self.under_card.iter();
        let under_card = under_card
            .map(|(file, facts, words)| (*file, PhotoScope::new(facts), words.as_deref()));
        Scopes { alone: PhotoScope::new(self.alone), under_card: under_card.collect() }
    }
}

/// The same, ready to be asked about.
pub(super) struct Scopes<'v> {
    alone: PhotoScope<'v>,
    under_card: Vec<(&'v str, PhotoScope<'v>, Option<&'v str>)>,
}

impl<'v> Scopes<'v> {
    pub(super) fn of(&self, name: &str) -> (&PhotoScope<'v>, Option<&'v str>) {
        let scope = self.under_card.iter().find(|(file, ..)| *file == name);
        scope.map_or((&self.alone, None), |(_, scope, words)| (scope, *words))
    }
}
