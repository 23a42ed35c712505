//! Of how many photos each clause of a rule is true: where a rule says nothing, which clause it is.
//!
//! In:  rules, later photos. Out: a [`Silent`] for each rule that would let something leave and never
//! applied. Counting stops after [`PHOTOS_MAX`]: that is enough to see it, and costs little.

use serde::Serialize;

use super::inputs::Inputs;
use super::set::RuleSet;
use super::views::Views;

/// Photos that are counted.
pub const PHOTOS_MAX: usize = 2_000;

/// A rule that never applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Silent {
    /// Its name.
    pub rule: String,
    /// Name of its file.
    pub file: String,
    /// Photos that were counted.
    pub photos_count: usize,
    /// Its clauses, and of how many of them each is true.
    pub clauses: Vec<(String, usize)>,
}

/// Counts photos.
#[derive(Debug)]
pub struct Census<'s> {
    set: &'s RuleSet,
    photos_count: usize,
    /// Of each rule whether it applied, and its clauses' counts.
    rules: Vec<(bool, Vec<usize>)>,
}

impl<'s> Census<'s> {
    /// Prepares the rules.
    pub fn new(set: &'s RuleSet) -> Self {
        let rules =
            set.rules().iter().map(|rule| (false, vec![0; rule.when.clause_texts().count()]));
        Self { set, photos_count: 0, rules: rules.collect() }
    }

    /// Counts a photo.
    pub fn add(&mut self, inputs: &Inputs) {
        if !inputs.standing.is_photo() || self.photos_count == PHOTOS_MAX {
            return;
        }
        self.photos_count += 1;
        let views = Views::new(self.set, &inputs.facts, inputs.card.as_ref());
        let scopes = views.scopes();
        for (rule, (applied, counts)) in self.set.rules().iter().zip(&mut self.rules) {
            let scope = scopes.of(&rule.file).0;
            *applied |= rule.when.truth(scope) == Ok(true);
            for (answer, count) in rule.when.clauses(scope).into_iter().zip(counts) {
                *count += usize::from(answer == Ok(true));
            }
        }
    }

    /// The rules that never applied.
    pub fn silent(self) -> Vec<Silent> {
        let photos_count = self.photos_count;
        let rules = self.set.rules().iter().zip(self.rules);
        let silent = rules.filter(|(rule, (applied, _))| rule.plan.leaves() && !applied);
        let silent = silent.map(|(rule, (_, counts))| Silent {
            rule: rule.name.clone(),
            file: rule.file.clone(),
            photos_count,
            clauses: rule.when.clause_texts().map(str::to_owned).zip(counts).collect(),
        });
        silent.collect()
    }
}
