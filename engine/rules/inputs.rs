//! All that a decision about one photo hangs on, beside the rules themselves.
//!
//! In:  facts, the card that applies, what the photo is. Out: what the rules in force say of it.
//! A pure function: the same inputs and the same revision of the rules give the same answer,
//! today and when a kept decision is replayed.
//!
//! Knows no index, clock or money.

use serde::{Deserialize, Serialize};

use super::facts::Facts;
use super::roll::CardFact;
use super::set::{Judgement, RuleSet};
use super::verdict::{Confirm, Verdict, Wish};

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
