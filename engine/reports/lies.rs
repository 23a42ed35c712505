//! What a hub said that cannot be true, in words that its owner can act on.
//!
//! In:  what the agent kept when it caught the hub (`store/log`). Out: what the hub said, what the
//! owner's own record says, what that means, what to do.
//!
//! Says nothing of photos: it goes into everything that the owner is told, also by webhook and feed.

use serde::Serialize;

use crate::base::calendar::Zone;
use crate::store::log::LieRow;

/// Characters of a hub's key that tell hubs apart.
const KEY_CHARS: usize = 8;

/// One thing that a hub said and that cannot be true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lied {
    /// When it was found, by the reader's clocks.
    pub when: String,
    /// Which hub: the beginning of its key.
    pub hub: String,
    /// What kind of lie, such as `fee`.
    pub kind: String,
    /// What it is about, such as a grant.
    pub subject: String,
    /// What the hub said.
    pub said: String,
    /// What the owner's own record says.
    pub own: String,
    /// What that means.
    pub meaning: String,
    /// What to do.
    pub cure: String,
}

/// What kinds of lies have in common for whoever reads of them.
enum Sort {
    /// The hub's books are not what happened.
    Money,
    /// It tells of photos that went their way without a right.
    Relay,
    /// What it signed before and what it shows now do not go together.
    Log,
    /// It may as well be this computer that was restored.
    Restored,
}

impl Lied {
    /// Puts a lie into words.
    pub fn of(row: &LieRow, zone: &Zone) -> Self {
        let (sort, own) = record(&row.kind, &row.subject);
        let (meaning, cure) = match sort {
            Sort::Money => (
                "The hub's books are not what happened, so its statement may pay you too much or too \
                 little. Your own books are not touched by it.",
                "Ask whoever runs the hub to put it right by another posting, and show them `signet \
                 report --verify --json`: it has the words that the hub signed. Do not take its \
                 statement as settled before that.",
            ),
            Sort::Relay => (
                "The hub tells of a delivery that your computer gave nobody the right to. It got no \
                 original for it: your computer checks every request itself.",
                "Ask whoever runs the hub what it relayed, and show them `signet report --verify \
                 --json`. If the answer does not convince you: `signet hub leave`.",
            ),
            Sort::Log => (
                "The hub hides or rewrote part of what it had signed, or was restored from an older \
                 backup. What it showed before is kept here and still counts.",
                "Ask whoever runs the hub whether a backup was restored. If none was, believe none of \
                 its statements and end it: `signet hub leave`.",
            ),
            Sort::Restored => (
                "The hub made up leaves of your computer's log, or your own home was restored from an \
                 older backup.",
                "If you restored this home, ask the hub for what it has of your log; else ask whoever \
                 runs the hub where these leaves come from, and end it if there is no answer: \
                 `signet hub leave`.",
            ),
        };
        Self {
            when: zone.clock(row.at),
            hub: row.log.chars().take(KEY_CHARS).collect(),
            kind: row.kind.clone(),
            subject: row.subject.clone(),
            said: row.words.clone(),
            own,
            meaning: meaning.to_owned(),
            cure: cure.to_owned(),
        }
    }

    /// All of it in one paragraph.
    pub fn words(&self) -> String {
        format!(
            "The hub said: {}. Your own record says: {}. {} {}",
            self.said, self.own, self.meaning, self.cure
        )
    }
}

/// What sort a kind of lie is, and what this computer's own record says of its subject.
fn record(kind: &str, subject: &str) -> (Sort, String) {
    let grant = subject.rsplit_once('/').map_or(subject, |(grant, _turn)| grant);
    match kind {
        "made-up-access" => {
            (Sort::Money, format!("nothing was delivered under grant {grant} then"))
        }
        "made-up-reversal" => (Sort::Money, format!("nothing was posted back under grant {grant}")),
        "twice" => (Sort::Money, format!("it happened once under grant {grant}")),
        "fee" => (Sort::Money, format!("the fee that was agreed with grant {grant}")),
        "not-through-hub" => {
            (Sort::Money, format!("what went out under grant {grant} did not pass the hub"))
        }
        "provider" => (Sort::Money, format!("another provider fetched under grant {grant}")),
        "place" => (Sort::Money, format!("it was another delivery, or another time, of {grant}")),
        "denied" => (Sort::Money, format!("leaf {subject} of its log is as it was signed")),
        "silent" => (Sort::Money, format!("a delivery under grant {grant} passed the hub")),
        "unknown-grant" => (Sort::Relay, format!("there is no grant {subject}")),
        "made-up-leaves" => (Sort::Restored, format!("its log has fewer than {subject} leaves")),
        "other-log" => (Sort::Log, format!("its first {subject} leaves are others")),
        "forgot" => (Sort::Log, "the hub had acknowledged more, under its signature".to_owned()),
        "takes-no-log" => (Sort::Log, "its log is whole, and its head is signed".to_owned()),
        // Heads and leaves of the hub's own log.
        _ => (
            Sort::Log,
            "the last head that the hub signed and that was good says otherwise".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;

    #[test]
    fn every_lie_says_what_was_said_what_is_so_what_it_means_and_what_to_do() {
        let lie = |kind: &str| LieRow {
            log: "0123456789abcdef 5".into(),
            kind: kind.into(),
            subject: "g7/0".into(),
            words: "the hub posted 0.50 EUR for grant g7, the fee is 0.25 EUR".into(),
            proof: "{}".into(),
            at: Timestamp(1_795_269_900_000),
        };
        let fee = Lied::of(&lie("fee"), &Zone::utc());
        assert_eq!((fee.when.as_str(), fee.hub.as_str()), ("2026-11-21 14:05", "01234567"));
        let words = fee.words();
        for part in ["said: the hub posted 0.50 EUR", "agreed with grant g7.", "by another posting"]
        {
            assert!(words.contains(part), "{part}: {words}");
        }
        for (kind, cure) in [
            ("made-up-access", "another posting"),
            ("silent", "another posting"),
            ("unknown-grant", "what it relayed"),
            ("back", "a backup was restored"),
            ("fork", "a backup was restored"),
            ("made-up-leaves", "restored this home"),
            ("of a later version", "a backup was restored"),
        ] {
            let told = Lied::of(&lie(kind), &Zone::utc());
            assert!(told.cure.contains(cure) && !told.own.is_empty(), "{kind}: {told:?}");
        }
    }
}
