//! All that a decision about one photo hangs on, beside the rules themselves.
//!
//! In:  facts, the card that applies, what the photo is. Out: what the rules in force say of it.
//! A pure function: the same inputs and the same revision of the rules give the same answer,
//! today and when a kept decision is replayed.
//!
//! Knows no index, clock or money.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::facts::Facts;
use super::roll::CardFact;
use super::set::{Judgement, RuleSet};
use super::verdict::{Confirm, Verdict, Wish};
use crate::base::names::Names;

/// What rules are asked about.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    /// What is known of the photo itself.
    pub facts: Facts,
    /// The card that applies to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<CardFact>,
    /// What it is.
    #[serde(default, skip_serializing_if = "Standing::is_photo")]
    pub standing: Standing,
    /// Why whatever would leave asks first, whatever the rules say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<String>,
}

/// What a photo is to the rules.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// A photo, to be asked about.
    #[default]
    Photo,
    /// A card photo: a word to those behind it.
    Card,
    /// A card photo that does not say when it was taken: a word to nobody.
    CardWithoutTime,
    /// Raw data of a picture beside it: it goes with that picture.
    Part,
}

impl Standing {
    /// Whether rules are asked about it.
    pub fn is_photo(&self) -> bool {
        *self == Self::Photo
    }
}

impl Inputs {
    /// What the rules say.
    pub fn judge(&self, rules: &RuleSet) -> Judgement {
        let mut judgement = match self.standing {
            Standing::Photo => rules.judge_with(&self.facts, self.card.as_ref()),
            Standing::Card | Standing::Part => Judgement::default(),
            Standing::CardWithoutTime => nobodys_card(rules),
        };
        for doubt in &self.doubts {
            judgement.ask(doubt);
        }
        judgement
    }
}

/// Inputs as they were kept, as JSON of any version.
impl Inputs {
    /// Whether one of these people was seen.
    pub fn names_any_of(json: &Value, names: &Names) -> bool {
        let people = json["facts"]["people"].as_array();
        let mut people = people.into_iter().flatten().filter_map(|one| one["name"].as_str());
        people.any(|name| names.holds(name))
    }

    /// Takes names out of the words of rules and of ours; those of the photo's files are the owner's.
    /// Tells whether there were any.
    pub fn take_out(json: &mut Value, names: &Names) -> bool {
        let mut changed = json.get_mut("doubts").is_some_and(|doubts| names.out_of_json(doubts));
        let ordered = json.get_mut("facts").and_then(|facts| facts.get_mut("ordered"));
        for order in ordered.and_then(Value::as_array_mut).into_iter().flatten() {
            changed |= order.get_mut("rule").is_some_and(|rule| names.out_of_json(rule));
        }
        changed
    }
}

/// What is told of a card photo that applies to nothing.
fn nobodys_card(rules: &RuleSet) -> Judgement {
    let reason = "a card photo that does not say when it was taken applies to no photo".to_owned();
    let verdict = Verdict {
        rule: "card".to_owned(),
        revision: rules.revision().to_owned(),
        wish: Wish::Note,
        confirm: Confirm::No,
        reason,
        doubts: Vec::new(),
        hold_ms: 0,
    };
    Judgement { verdicts: vec![verdict], failures: Vec::new() }
}
