//! The rules in force, and what they answer for a photo.
//!
//! In:  rule files, later facts. Out: verdicts, in the order of files and lines, and the
//! rules that failed. A pure function of both: no clock, disk or network.
//!
//! What it means:
//! - Every rule is asked; each whose condition holds gives one verdict.
//! - `forbid` wins: where any rule forbids, only the verdicts that forbid are given.
//! - A rule that fails is skipped and reported; the others go on. When a rule that would
//!   forbid fails, nobody knows whether it would have: everything else then waits for a
//!   person ([`Confirm::Ask`]).
//! - Two rules may want the same; making one order of one wish is the planner's work.
//!
//! Knows nothing of orders, consent or money.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::eval::PhotoScope;
use super::facts::Facts;
use super::read::{self, COPIES_MAX, Copies, Known, Plan, Rule};
use super::source::{RuleFile, RuleMistake};
use super::verdict::{Confirm, Verdict, Wish};
use crate::base::ids::ContentHash;

/// Rules that were read without a mistake.
#[derive(Debug, Clone)]
pub struct RuleSet {
    rules: Vec<Rule>,
    revision: String,
}

/// What the rules say of one photo.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// Answers of the rules that apply, in the order of files and lines.
    pub verdicts: Vec<Verdict>,
    /// Rules that gave no answer, and why.
    pub failures: Vec<RuleFailure>,
}

/// A rule that could not be asked about one photo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleFailure {
    /// Name of the rule.
    pub rule: String,
    /// Name of its file.
    pub file: String,
    /// Line of its name, from 1.
    pub line: usize,
    /// Why, lower case, one line.
    pub why: String,
}

impl fmt::Display for RuleFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, file, line, why } = self;
        write!(f, "{file}:{line}: the rule `{rule}` was skipped: {why}")
    }
}

impl RuleSet {
    /// Reads rule files.
    ///
    /// # Errors
    /// Every mistake of every file, sorted by file, line and column.
    pub fn load(files: &[RuleFile], known: &Known) -> Result<Self, Vec<RuleMistake>> {
        let rules = read::read(files, known)?;
        Ok(Self { rules, revision: revision_of(files) })
    }

    /// 12 hexadecimal digits of the SHA-256 over the contents of the files, in their order.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Names of the rules, in the order of files and lines.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.name.as_str())
    }

    /// Number of rules.
    pub fn rules_count(&self) -> usize {
        self.rules.len()
    }

    /// Asks every rule about one photo; see the file's header for what wins.
    pub fn judge(&self, facts: &Facts) -> Judgement {
        let photo = PhotoScope::new(facts);
        let mut judgement = Judgement::default();
        let mut forbids_unknown = false;
        for rule in &self.rules {
            match self.ask(rule, &photo) {
                Ok(None) => {}
                Ok(Some(verdict)) => judgement.verdicts.push(verdict),
                Err(why) => {
                    forbids_unknown |= matches!(rule.plan, Plan::Forbid);
                    let Rule { name, file, line, .. } = rule;
                    let (rule, file, line) = (name.clone(), file.clone(), *line);
                    judgement.failures.push(RuleFailure { rule, file, line, why });
                }
            }
        }
        let verdicts = &mut judgement.verdicts;
        if verdicts.iter().any(|verdict| verdict.wish == Wish::Forbid) {
            verdicts.retain(|verdict| verdict.wish == Wish::Forbid);
        } else if forbids_unknown {
            for verdict in verdicts {
                verdict.confirm = Confirm::Ask;
            }
        }
        judgement
    }

    fn ask(&self, rule: &Rule, photo: &PhotoScope<'_>) -> Result<Option<Verdict>, String> {
        if !rule.when.truth(photo)? {
            return Ok(None);
        }
        let wish = match &rule.plan {
            Plan::Order { provider, product, copies } => {
                let copies = match copies {
                    Copies::Fixed(copies) => *copies,
                    Copies::Computed(condition) => {
                        let number = condition.whole(photo)?;
                        read::copies_within(number).ok_or_else(|| {
                            format!("its copies come to {number}, allowed are 1 to {COPIES_MAX}")
                        })?
                    }
                };
                Wish::Order { provider: provider.clone(), product: product.clone(), copies }
            }
            Plan::Share { provider } => Wish::Share { provider: provider.clone() },
            Plan::Forbid => Wish::Forbid,
        };
        let asks = match &rule.ask_when {
            Some(condition) => condition.truth(photo)?,
            None => false,
        };
        let confirm = if asks { Confirm::Ask } else { rule.confirm };
        let mut reason = rule.reason.clone();
        if let (Confirm::Ask, Some(unsealed)) = (confirm, photo.facts().unsealed()) {
            reason = format!("{reason}; {unsealed}");
        }
        let (rule, revision) = (rule.name.clone(), self.revision.clone());
        Ok(Some(Verdict { rule, revision, wish, confirm, reason }))
    }
}

/// The revision that these files would have, whether they are good or not.
pub fn revision_of(files: &[RuleFile]) -> String {
    let mut bytes = Vec::new();
    for RuleFile { bytes: content, .. } in files {
        // The length goes first, so that no two lists of files look alike.
        bytes.extend_from_slice(&(content.len() as u64).to_be_bytes());
        bytes.extend_from_slice(content);
    }
    let mut digits = ContentHash::of(&bytes).to_string();
    digits.truncate(12);
    digits
}

/// The last good rules, kept while newer files have mistakes.
#[derive(Debug, Clone)]
pub struct RulesInForce {
    set: Arc<RuleSet>,
    refused: Vec<RuleMistake>,
}

/// What became of files that were offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offer {
    /// They are the ones in force.
    Same,
    /// They are in force now, with this revision.
    Taken(String),
    /// They have mistakes; what was in force stays.
    Refused(Vec<RuleMistake>),
}

impl RulesInForce {
    /// Starts with rules that were read without a mistake.
    pub fn new(set: RuleSet) -> Self {
        Self { set: Arc::new(set), refused: Vec::new() }
    }

    /// The rules to judge by; cheap to clone, stays whole while others are taken.
    pub fn set(&self) -> &Arc<RuleSet> {
        &self.set
    }

    /// Mistakes of the files that were refused last; empty when the newest are in force.
    pub fn refused(&self) -> &[RuleMistake] {
        &self.refused
    }

    /// Takes newer files if they have no mistake.
    pub fn offer(&mut self, files: &[RuleFile], known: &Known) -> Offer {
        if revision_of(files) == self.set.revision {
            self.refused.clear();
            return Offer::Same;
        }
        match RuleSet::load(files, known) {
            Ok(set) => {
                let revision = set.revision.clone();
                *self = Self::new(set);
                Offer::Taken(revision)
            }
            Err(mistakes) => {
                self.refused.clone_from(&mistakes);
                Offer::Refused(mistakes)
            }
        }
    }
}

#[cfg(test)]
#[path = "set/tests.rs"]
mod tests;
