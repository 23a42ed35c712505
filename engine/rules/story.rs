//! How rules came to what they said of one photo: each with its clauses, and what these stood for.
//!
//! In:  the rules, facts, the card that applies. Out: a [`RuleStory`] for every rule, in the order
//! in which they are asked. It tells of each rule by itself; what wins is in the judgement.

use serde::Serialize;

use super::facts::Facts;
use super::roll::CardFact;
use super::set::{Asked, RuleSet};
use super::views::Views;

/// One rule and one photo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleStory {
    /// Name of the rule.
    pub rule: String,
    /// Name of its file.
    pub file: String,
    /// Line of its name, from 1.
    pub line: usize,
    /// What became of asking it.
    pub answer: Answer,
    /// What it says, in words; of one that failed why, of one that was not asked which rule
    /// stopped before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub says: Option<String>,
    /// What `&&` and `||` join in its condition.
    pub clauses: Vec<ClauseStory>,
}

/// What became of asking a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Its condition holds.
    Applies,
    /// It does not, and its `else` speaks.
    Else,
    /// It does not.
    DoesNotApply,
    /// It could not be answered.
    Failed,
    /// A rule before it stopped.
    NotAsked,
}

/// One clause of a condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClauseStory {
    /// As it was written, on one line.
    pub text: String,
    /// Whether it is true; nothing where that cannot be said.
    pub holds: Option<bool>,
    /// Why it cannot be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What its parts stood for.
    pub values: Vec<NamedValue>,
}

/// A part of a clause and what it stood for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamedValue {
    /// Such as `taken.month`.
    pub name: String,
    /// Such as `6`; of a question about icons or people what was seen.
    pub value: String,
}

/// The stories of all rules about one photo.
pub fn stories(set: &RuleSet, facts: &Facts, card: Option<&CardFact>) -> Vec<RuleStory> {
    let views = Views::new(set, facts, card);
    let scopes = views.scopes();
    let mut stories = Vec::new();
    set.ask_each(&scopes, |rule, asked| {
        let scope = scopes.of(&rule.file).0;
        let (answers, values) = (rule.when.clauses(scope), rule.when.values(scope));
        let clauses = rule.when.clause_texts().zip(answers.into_iter().zip(values));
        let clauses = clauses.map(|(text, (answer, values))| ClauseStory {
            text: text.to_owned(),
            holds: answer.as_ref().ok().copied(),
            why: answer.err(),
            values: values.into_iter().map(|(name, value)| NamedValue { name, value }).collect(),
        });
        let (answer, says) = match asked {
            Asked::Says { verdict, applies: true } => (Answer::Applies, Some(verdict.to_string())),
            Asked::Says { verdict, .. } => (Answer::Else, Some(verdict.to_string())),
            Asked::Silent => (Answer::DoesNotApply, None),
            Asked::Failed(why) => (Answer::Failed, Some(why)),
            Asked::Stopped { behind } => {
                let name = set.rules().get(behind).map(|rule| rule.name.clone());
                (Answer::NotAsked, name)
            }
        };
        let clauses = clauses.collect();
        let (rule, file, line) = (rule.name.clone(), rule.file.clone(), rule.line);
        stories.push(RuleStory { rule, file, line, answer, says, clauses });
    });
    stories
}
