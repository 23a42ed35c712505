//! What a rule answers for one photo.

use serde::{Deserialize, Serialize};

/// The answer of one rule that applies to one photo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Name of the rule, unique over all rule files in force.
    pub rule: String,
    /// Revision of the rule files that judged: 12 hexadecimal digits of their hash.
    pub revision: String,
    /// What is wished.
    pub wish: Wish,
    /// Whether a person has to confirm first.
    pub confirm: Confirm,
    /// Why, in words for the owner.
    pub reason: String,
}

/// What a rule wants done with the photo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Wish {
    /// Goods from a provider, who fetches the original.
    Order {
        /// Name of a provider in the owner's consent.
        provider: String,
        /// Product, such as `print-10x15`.
        product: String,
        /// How many, at least 1.
        copies: u32,
    },
    /// The preview for a provider, nothing made of it.
    Share {
        /// Name of a provider in the owner's consent.
        provider: String,
    },
    /// Nothing may leave the computer for this photo; wins over every other verdict.
    Forbid,
}

/// Whether a verdict may act alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confirm {
    /// Goes ahead within the consent.
    No,
    /// Waits for `signet orders approve`.
    Ask,
}
