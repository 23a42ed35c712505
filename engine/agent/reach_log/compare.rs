//! What a leaf of the hub's log says, against the own log: pure.
//!
//! Each finding names a kind, what it is about, and says in words what is wrong. Kinds and subjects
//! stay the same over rounds, so a lie that is repeated is one lie.

use crate::ledger::checkpoint::CheckpointError;
use crate::store::leaf::{AccessLeaf, AgentLeaf, BookedLeaf, HubLeaf};

/// Something that cannot be true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) kind: &'static str,
    pub(super) subject: String,
    pub(super) words: String,
}

impl Finding {
    fn new(kind: &'static str, subject: impl Into<String>, words: impl Into<String>) -> Self {
        Self { kind, subject: subject.into(), words: words.into() }
    }

    pub(super) fn not_signed(note: &str, why: CheckpointError) -> Self {
        let subject = crate::base::ids::ContentHash::of(note.as_bytes()).to_string();
        Self::new("signature", subject, format!("a head of the hub's log is not believed: {why}"))
    }

    pub(super) fn went_back(size: u64, known_size: u64) -> Self {
        let words = format!(
            "the hub's log has {size} leaves, and had {known_size} before: it hides some, or was \
             restored from an older backup"
        );
        Self::new("back", format!("{size} of {known_size}"), words)
    }

    pub(super) fn forked(size: u64) -> Self {
        let words = format!("the hub signed two different logs of {size} leaves");
        Self::new("fork", size.to_string(), words)
    }

    pub(super) fn other_leaves(from: u64, to: u64) -> Self {
        let words = format!(
            "the leaves from {from} on that the hub shows do not lead from the log that it signed \
             before to the head of {to} leaves"
        );
        Self::new("leaves", format!("{from} to {to}"), words)
    }

    pub(super) fn no_proof(from: u64, to: u64) -> Self {
        let words = format!("the hub does not prove that its log of {to} leaves continues {from}");
        Self::new("proof", format!("{from} to {to}"), words)
    }

    pub(super) fn no_leaf(index: u64) -> Self {
        let words = format!("leaf {index} of the hub's log says nothing that can be understood");
        Self::new("unreadable", index.to_string(), words)
    }

    pub(super) fn withheld(size: u64) -> Self {
        let words = format!("the hub says that its log has more than {size} leaves and shows none");
        Self::new("withheld", size.to_string(), words)
    }

    pub(super) fn takes_no_log(from: u64, why: &str) -> Self {
        let why = crate::store::leaf::words(why);
        let words = format!("the hub does not take this computer's log from leaf {from} on: {why}");
        Self::new("takes-no-log", from.to_string(), words)
    }

    pub(super) fn more_than_there_is(size: u64, own_size: u64) -> Self {
        let words = format!(
            "the hub says that it has {size} leaves of this computer's log, which has {own_size}: \
             it made some up, or this home was restored from an older backup"
        );
        Self::new("made-up-leaves", size.to_string(), words)
    }

    pub(super) fn other_log(size: u64) -> Self {
        let words = format!("the {size} leaves that the hub keeps are not this computer's log");
        Self::new("other-log", size.to_string(), words)
    }

    pub(super) fn forgot(size: u64, told_size: u64) -> Self {
        let words = format!(
            "the hub has {size} leaves of this computer's log, and had acknowledged {told_size}"
        );
        Self::new("forgot", format!("{size} of {told_size}"), words)
    }

    pub(super) fn silent(access: &AccessLeaf) -> Self {
        let words = format!(
            "the hub's log says nothing of the {} that was fetched under grant {}, and has its leaf",
            access.member, access.grant
        );
        Self::new("silent", subject(&access.grant, access.turn), words)
    }
}

fn subject(grant: &str, turn: u32) -> String {
    format!("{grant}/{turn}")
}

/// Compares a leaf of the hub with the leaves of the own log that it is about.
///
/// - `own`: with their places; of the leaf that is disputed, or of its grant
/// - `earlier`: leaves of the hub's log before it, of the same grant at least
pub(super) fn compare<'a>(
    leaf: &HubLeaf,
    own: &[(u64, AgentLeaf)],
    mut earlier: impl Iterator<Item = &'a HubLeaf>,
) -> Option<Finding> {
    match leaf {
        HubLeaf::Posted(booked) => {
            let is_twice = earlier
                .any(|earlier| matches!(earlier, HubLeaf::Posted(other) if is_same(booked, other)));
            booked_wrongly(booked, own, false, is_twice)
        }
        HubLeaf::Reversed(booked) => {
            let is_twice = earlier.any(
                |earlier| matches!(earlier, HubLeaf::Reversed(other) if is_same(booked, other)),
            );
            booked_wrongly(booked, own, true, is_twice)
        }
        HubLeaf::Relayed { grant, .. } => {
            let is_ours = own.iter().any(|(_, leaf)| matches!(leaf, AgentLeaf::Granted { .. }));
            (!is_ours).then(|| {
                let words = format!(
                    "the hub says that it relayed a photo under grant {grant}, which this computer \
                     never made"
                );
                Finding::new("unknown-grant", grant, words)
            })
        }
        HubLeaf::Disputed { index, why, .. } => {
            let what = match own.first() {
                Some((_, leaf)) => format!("leaf {index} (grant {})", leaf.grant()),
                None => format!("leaf {index}, which is not there"),
            };
            let why = crate::store::leaf::words(why);
            let words = format!("the hub denies {what} of this computer's log: {why}");
            Some(Finding::new("denied", index.to_string(), words))
        }
        HubLeaf::Refused { .. } | HubLeaf::RefusedMore { .. } | HubLeaf::Taken { .. } => None,
    }
}

/// Whether a leaf of the hub is the answer to an access or reversal of the own log.
pub(super) fn answers(leaf: &HubLeaf, own_index: u64, own_turn: u32, is_reversal: bool) -> bool {
    match leaf {
        HubLeaf::Posted(booked) => !is_reversal && booked.turn == own_turn,
        HubLeaf::Reversed(booked) => is_reversal && booked.turn == own_turn,
        HubLeaf::Disputed { index, .. } => *index == own_index,
        _ => false,
    }
}

fn is_same(booked: &BookedLeaf, other: &BookedLeaf) -> bool {
    (&booked.grant, booked.turn) == (&other.grant, other.turn)
}

fn booked_wrongly(
    booked: &BookedLeaf,
    own: &[(u64, AgentLeaf)],
    is_reversal: bool,
    is_twice: bool,
) -> Option<Finding> {
    let (what, verb) = if is_reversal { ("reversal", "posted back") } else { ("access", "posted") };
    let told = own.iter().find_map(|(index, leaf)| match leaf {
        AgentLeaf::Access(access) if !is_reversal && access.turn == booked.turn => {
            Some((*index, access))
        }
        AgentLeaf::Reversal { of, .. } if is_reversal && of.turn == booked.turn => {
            Some((*index, of))
        }
        _ => None,
    });
    let about = subject(&booked.grant, booked.turn);
    let finding = |kind, words: String| Some(Finding::new(kind, about.clone(), words));
    let Some((index, access)) = told else {
        let words = format!(
            "the hub {verb} a delivery under grant {} that this computer knows nothing of",
            booked.grant
        );
        return finding(if is_reversal { "made-up-reversal" } else { "made-up-access" }, words);
    };
    let grant = &booked.grant;
    if is_twice {
        return finding("twice", format!("the hub {verb} the {what} under grant {grant} twice"));
    }
    if (booked.fee_minor, &booked.currency) != (access.fee_minor, &access.currency) {
        let words = format!(
            "the hub {verb} {} {} for grant {grant}, the fee is {} {}",
            crate::base::money::decimal(booked.fee_minor),
            crate::store::leaf::words(&booked.currency),
            crate::base::money::decimal(access.fee_minor),
            access.currency,
        );
        return finding("fee", words);
    }
    match access.way.at_hub() {
        None => finding(
            "not-through-hub",
            format!("the hub {verb} an {what} that did not pass it, under grant {grant}"),
        ),
        Some(name) if name != booked.provider => finding(
            "provider",
            format!(
                "the hub {verb} the {what} under grant {grant} for `{}`, it was `{name}`",
                crate::store::leaf::words(&booked.provider)
            ),
        ),
        Some(_) if (index, access.at) != (booked.index, booked.at) => finding(
            "place",
            format!("the hub {verb} the {what} under grant {grant} with another leaf or time"),
        ),
        Some(_) => None,
    }
}
