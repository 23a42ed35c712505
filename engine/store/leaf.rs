//! What the leaves of logs say: one JSON text each, which is hashed as it is.
//!
//! An agent keeps a log of its own ([`AgentLeaf`]) and its hub keeps one about it ([`HubLeaf`]).
//! Each says what its keeper did or saw, and what one may be asked to answer for: who fetched which
//! bytes under which grant, and what that cost.
//!
//! A leaf names providers, grants, orders and digests. Paths, names of files and people are not in
//! it: the agent's log is handed to the hub.
//!
//! There is one way to write each leaf. A text that says the same with other spaces, another order
//! or more fields is no leaf.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{GrantRow, RefusalRow};
use crate::base::clock::Timestamp;
use crate::base::ids::ContentHash;
use crate::base::member::Member;

/// Longest word of a stranger that goes into a leaf, in characters.
const WORDS_CHARS_MAX: usize = 200;

/// How the bytes of a member came to a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "via", content = "at_hub", rename_all = "lowercase")]
pub enum Way {
    /// It fetched them from this computer.
    Direct,
    /// It fetched them through the hub, where it has this name.
    Hub(String),
    /// It fetched the copy that lay at the hub, where it has this name.
    Staged(String),
    /// They were handed over with the order: mail, hot folder, printer, upload.
    Handover,
}

impl Way {
    /// Name of the provider at the hub, if it passed there.
    pub fn at_hub(&self) -> Option<&str> {
        match self {
            Self::Hub(name) | Self::Staged(name) => Some(name),
            Self::Direct | Self::Handover => None,
        }
    }
}

/// A leaf of the agent's own log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "leaf", rename_all = "kebab-case")]
pub enum AgentLeaf {
    /// A provider may fetch; again when that was made to hold longer.
    Granted {
        /// The grant.
        grant: String,
        /// The order that made it.
        order: String,
        /// Who may, as the owner calls it.
        provider: String,
        /// What.
        member: Member,
        /// SHA-256 of the bytes.
        sha256: ContentHash,
        /// Their number.
        bytes: u64,
        /// What the first complete delivery costs.
        fee_minor: i64,
        /// Currency of the fee.
        currency: String,
        /// Until when.
        until: Timestamp,
        /// When it was made.
        at: Timestamp,
    },
    /// A grant was taken back.
    Revoked {
        /// The grant.
        grant: String,
        /// Why.
        reason: String,
        /// When.
        at: Timestamp,
    },
    /// The first complete delivery under a grant.
    Access(AccessLeaf),
    /// A delivery was not what was granted: what it paid goes back.
    Reversal {
        /// Why.
        why: String,
        /// What is reversed; `at` is when.
        #[serde(flatten)]
        of: AccessLeaf,
    },
    /// A try was refused, the first of its kind in a minute.
    Refusal {
        /// Address that it came from.
        remote: String,
        /// Whose grant it named; empty when it named none.
        provider: String,
        /// Why.
        reason: String,
        /// The grant that it named; empty when it named none.
        grant: String,
        /// When.
        at: Timestamp,
    },
}

/// What is to be known of one access.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessLeaf {
    /// The grant.
    pub grant: String,
    /// The order that made it.
    pub order: String,
    /// Who fetched, as the owner calls it.
    pub provider: String,
    /// What.
    pub member: Member,
    /// SHA-256 of the bytes.
    pub sha256: ContentHash,
    /// Their number.
    pub bytes: u64,
    /// What it costs.
    pub fee_minor: i64,
    /// Currency of the fee.
    pub currency: String,
    /// 0 for the first delivery; one more after each reversal.
    pub turn: u32,
    /// How it came there.
    #[serde(flatten)]
    pub way: Way,
    /// When it was complete.
    pub at: Timestamp,
}

/// A leaf of the hub's log about one agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "leaf", rename_all = "kebab-case")]
pub enum HubLeaf {
    /// Bytes of a member passed through the hub, or were served from the copy there.
    Relayed {
        /// The grant.
        grant: String,
        /// To whom, by its name at the hub.
        provider: String,
        /// Whether from the copy that lay here.
        is_staged: bool,
        /// HTTP status of the answer.
        status: u16,
        /// `Content-Range` of the answer; empty for the whole.
        range: String,
        /// Bytes of the body that the provider took, sealed or not.
        bytes: u64,
        /// Whether that was all of the body.
        is_whole: bool,
        /// When it was over.
        at: Timestamp,
    },
    /// The hub refused a provider, without asking the agent.
    Refused {
        /// The grant that it wanted; empty when it named none.
        grant: String,
        /// Who, by its name at the hub; empty when nobody knows.
        provider: String,
        /// Address that it came from.
        remote: String,
        /// Why.
        reason: String,
        /// When.
        at: Timestamp,
    },
    /// More tries were refused than are worth a leaf each.
    RefusedMore {
        /// How many.
        tries: u64,
        /// When the last of them was.
        at: Timestamp,
    },
    /// An access that the agent's log tells of was posted.
    Posted(BookedLeaf),
    /// A reversal that the agent's log tells of was posted.
    Reversed(BookedLeaf),
    /// A leaf of the agent's log was kept but nothing was posted for it.
    Disputed {
        /// Its place there.
        index: u64,
        /// The grant that it tells of; empty when it cannot be read.
        grant: String,
        /// Why not.
        why: String,
        /// When.
        at: Timestamp,
    },
    /// The hub has this much of the agent's log.
    Taken {
        /// Leaves.
        size: u64,
        /// Root with exactly these.
        root: ContentHash,
        /// When.
        at: Timestamp,
    },
}

/// What the hub's books say of one access.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookedLeaf {
    /// Place of the leaf in the agent's log.
    pub index: u64,
    /// The grant.
    pub grant: String,
    /// Which delivery.
    pub turn: u32,
    /// The provider, by its name at the hub.
    pub provider: String,
    /// What it was debited, or got back.
    pub fee_minor: i64,
    /// In which currency.
    pub currency: String,
    /// When the agent says it was.
    pub at: Timestamp,
}

impl AgentLeaf {
    /// A grant that was made.
    pub fn granted(grant: &GrantRow) -> Self {
        Self::Granted {
            grant: grant.grant_id.clone(),
            order: grant.order_key.clone(),
            provider: grant.provider.clone(),
            member: grant.member,
            sha256: grant.digest,
            bytes: grant.bytes_count,
            fee_minor: grant.fee_minor,
            currency: grant.currency.clone(),
            until: grant.expires_at,
            at: grant.issued_at,
        }
    }

    /// A try that was refused.
    ///
    /// - `provider`: whose grant it named
    pub fn refusal(refusal: &RefusalRow, provider: &str) -> Self {
        Self::Refusal {
            remote: words(&refusal.remote),
            provider: provider.into(),
            reason: words(&refusal.reason),
            grant: refusal.grant_id.clone(),
            at: refusal.at,
        }
    }

    /// The grant that it tells of; empty when of none.
    pub fn grant(&self) -> &str {
        match self {
            Self::Granted { grant, .. }
            | Self::Revoked { grant, .. }
            | Self::Refusal { grant, .. } => grant,
            Self::Access(access) | Self::Reversal { of: access, .. } => &access.grant,
        }
    }
}

impl AccessLeaf {
    /// An access under a grant.
    pub fn of(grant: &GrantRow, turn: u32, way: &Way, at: Timestamp) -> Self {
        Self {
            grant: grant.grant_id.clone(),
            order: grant.order_key.clone(),
            provider: grant.provider.clone(),
            member: grant.member,
            sha256: grant.digest,
            bytes: grant.bytes_count,
            fee_minor: grant.fee_minor,
            currency: grant.currency.clone(),
            turn,
            way: way.clone(),
            at,
        }
    }
}

impl HubLeaf {
    /// The grant that it tells of; empty when of none.
    pub fn grant(&self) -> &str {
        match self {
            Self::Relayed { grant, .. }
            | Self::Refused { grant, .. }
            | Self::Disputed { grant, .. } => grant,
            Self::Posted(booked) | Self::Reversed(booked) => &booked.grant,
            Self::RefusedMore { .. } | Self::Taken { .. } => "",
        }
    }
}

/// The text of a leaf.
///
/// # Errors
/// None for the leaves here.
pub fn write(leaf: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string(leaf)
}

/// Reads a leaf; `None` unless it is written exactly as [`write`] does.
pub fn read<T: Serialize + DeserializeOwned>(text: &[u8]) -> Option<T> {
    let leaf: T = serde_json::from_slice(text).ok()?;
    (write(&leaf).ok()?.as_bytes() == text).then_some(leaf)
}

/// What a stranger said, short enough and harmless on a screen.
pub fn words(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(WORDS_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(way: Way) -> AgentLeaf {
        AgentLeaf::Access(AccessLeaf {
            grant: "g".into(),
            order: "o".into(),
            provider: "lab".into(),
            member: Member::Original,
            sha256: ContentHash::of(b""),
            bytes: 7,
            fee_minor: 25,
            currency: "EUR".into(),
            turn: 0,
            way,
            at: Timestamp(5),
        })
    }

    #[test]
    fn leaf_has_one_text() {
        let text = write(&access(Way::Hub("photo-lab".into()))).expect("JSON");
        assert!(
            text.starts_with(r#"{"leaf":"access","grant":"g","order":"o","provider":"lab","#),
            "{text}"
        );
        assert!(text.ends_with(r#""turn":0,"via":"hub","at_hub":"photo-lab","at":5}"#), "{text}");
        for way in [Way::Direct, Way::Hub("a".into()), Way::Staged("a".into()), Way::Handover] {
            let leaf = access(way);
            let text = write(&leaf).expect("JSON");
            assert_eq!(read(text.as_bytes()), Some(leaf));
            for other in [
                text.replace(":5", ": 5"),
                text.replace("\"turn\":0,", ""),
                text.replace("\"turn\":0", "\"turn\":0,\"path\":\"/home\""),
                text.replace("\"grant\":\"g\",\"order\":\"o\"", "\"order\":\"o\",\"grant\":\"g\""),
            ] {
                assert_ne!(other, text);
                assert_eq!(read::<AgentLeaf>(other.as_bytes()), None, "{other}");
            }
        }
    }

    #[test]
    fn every_leaf_is_read_as_it_was_written() {
        let AgentLeaf::Access(of) = access(Way::Direct) else { unreachable!("it is one") };
        let reversal = AgentLeaf::Reversal { why: "other bytes".into(), of };
        let text = write(&reversal).expect("JSON");
        assert_eq!(read(text.as_bytes()), Some(reversal));
        let booked = BookedLeaf {
            index: 3,
            grant: "g".into(),
            turn: 1,
            provider: "lab".into(),
            fee_minor: 25,
            currency: "EUR".into(),
            at: Timestamp(5),
        };
        for leaf in [
            HubLeaf::Posted(booked.clone()),
            HubLeaf::Reversed(booked),
            HubLeaf::Taken { size: 4, root: ContentHash::of(b""), at: Timestamp(6) },
            HubLeaf::RefusedMore { tries: 9, at: Timestamp(6) },
        ] {
            let text = write(&leaf).expect("JSON");
            assert_eq!(read(text.as_bytes()), Some(leaf));
        }
    }

    #[test]
    fn words_of_strangers_are_short_and_harmless() {
        assert_eq!(words("a\u{1b}[2Jb\n"), "a[2Jb");
        assert_eq!(words(&"ä".repeat(900)).chars().count(), WORDS_CHARS_MAX);
    }
}
