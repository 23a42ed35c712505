//! What a rule answers for one photo.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::limit::span_words;
use crate::base::member::Member;
use crate::base::money::Money;
use crate::preview::PreviewWish;

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
    /// Why, in words for the owner; of a [`Wish::Note`] what is to be told.
    pub reason: String,
    /// Why a person has to confirm, in words; may be empty where a rule always asks.
    pub doubts: Vec<String>,
    /// How long what would leave waits for a person to stop it; 0 not at all.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hold_ms: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
const fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
const fn is_false(truth: &bool) -> bool {
    !*truth
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
        /// Label of who it is for, such as `a`; `None` is the owner.
        addressee: Option<String>,
        /// Whether it is urgent.
        express: bool,
        /// Companions that are to go with it, where the photo has them; each once, in the
        /// order of [`Member::ALL`].
        with: Vec<Member>,
        /// Providers to be asked instead, in this order, should the first not make it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        or: Vec<String>,
        /// Most that it may cost.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        price_max: Option<Money>,
        /// Whether icons on the photo are to be cropped away.
        #[serde(default, skip_serializing_if = "is_false")]
        remove_icon: bool,
    },
    /// The preview for a provider, nothing made of it.
    Share {
        /// Name of a provider in the owner's consent.
        provider: String,
        /// Label of who it is for, such as `a`; `None` is nobody in particular.
        addressee: Option<String>,
        /// How the preview is to be; what is left out is the provider's to say.
        #[serde(default)]
        preview: PreviewWish,
        /// As of an order.
        with: Vec<Member>,
    },
    /// The original is copied into the owner's private folder. Nothing leaves.
    Keep,
    /// The owner is told something. Nothing else happens.
    Note,
    /// Nothing may leave the computer for this photo; wins over every other verdict that
    /// would let something leave.
    Forbid,
}

impl Wish {
    /// Whether something would leave the computer.
    pub const fn leaves(&self) -> bool {
        matches!(self, Self::Order { .. } | Self::Share { .. })
    }

    /// Companions that are to go with the photo.
    pub fn with(&self) -> &[Member] {
        match self {
            Self::Order { with, .. } | Self::Share { with, .. } => with,
            Self::Keep | Self::Note | Self::Forbid => &[],
        }
    }
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

/// `order 2 print-10x15 from lab or lab-2 to a express remove-icon up to 2.00 EUR and voice-memo`,
/// `share with lab to a as 2048 webp`, `keep`,
/// `note`, `forbid`.
impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (addressee, express) = match self {
            Self::Order { provider, product, copies, addressee, express, or, .. } => {
                write!(f, "order {copies} {product} from {provider}")?;
                or.iter().try_for_each(|other| write!(f, " or {other}"))?;
                (addressee, *express)
            }
            Self::Share { provider, addressee, .. } => {
                write!(f, "share with {provider}")?;
                (addressee, false)
            }
            Self::Keep => return f.write_str("keep"),
            Self::Note => return f.write_str("note"),
            Self::Forbid => return f.write_str("forbid"),
        };
        if let Some(label) = addressee {
            write!(f, " to {label}")?;
        }
        if express {
            f.write_str(" express")?;
        }
        match self {
            Self::Share { preview, .. } => write!(f, "{preview}")?,
            Self::Order { price_max, remove_icon, .. } => {
                f.write_str(if *remove_icon { " remove-icon" } else { "" })?;
                price_max.iter().try_for_each(|most| write!(f, " up to {most}"))?;
            }
            Self::Keep | Self::Note | Self::Forbid => {}
        }
        self.with().iter().try_for_each(|member| write!(f, " and {member}"))
    }
}

/// The wish in words, after `ask: ` where a person confirms first, before ` after 24h` where it
/// is held.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ask = if self.confirm == Confirm::Ask { "ask: " } else { "" };
        write!(f, "{ask}{}", self.wish)?;
        match self.hold_ms {
            // Nobody is asked and held: a yes sends it.
            span_ms if span_ms > 0 && ask.is_empty() => {
                write!(f, " after {}", span_words(span_ms))
            }
            _ => Ok(()),
        }
    }
}
