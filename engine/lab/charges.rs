//! Whether a provider was charged for what the owners' logs say that it fetched.
//!
//! In:  statements as `GET /v1/provider/accesses?proof=true` at the hub answers.
//! Out: for each charge what does not fit, or nothing.
//!
//! The hub is not believed: a charge holds when the owner's computer signed a log in which one leaf,
//! and one charge for it, says the same. A key is taken for the owner's when its thumbprint is the
//! agent's id, which stands in every address that the owner's orders name, or when the caller says
//! so.
//!
//! Asks nobody and reads no disk.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::access::PublicKey;
use crate::base::ids::ContentHash;
use crate::base::member::Member;
use crate::ledger::evidence::{Doubt, Evidence};
use crate::store::hub::PostingKind;
use crate::store::leaf::{AccessLeaf, AgentLeaf};

/// A statement of the hub's API, as far as it matters here.
#[derive(Debug, Clone, Deserialize)]
pub struct Statement {
    /// Its lines.
    pub lines: Vec<Line>,
}

/// A line of a provider's account.
#[derive(Debug, Clone, Deserialize)]
pub struct Line {
    /// Names the posting.
    pub posting: String,
    /// When, RFC 3339.
    pub at: String,
    /// What it is.
    pub kind: PostingKind,
    /// What it did to the account, minor units, debits positive.
    pub minor: i64,
    /// Their currency.
    pub currency: String,
    /// The delivery; `None` for money alone.
    pub access: Option<Charged>,
}

/// The delivery that a line is about, as the hub says.
#[derive(Debug, Clone, Deserialize)]
pub struct Charged {
    /// The owner's computer.
    pub agent: String,
    /// The grant.
    pub grant: String,
    /// Which delivery.
    pub turn: u32,
    /// The order that made the grant.
    pub order: Option<String>,
    /// What was delivered.
    pub member: Option<Member>,
    /// Digest of the bytes.
    pub sha256: Option<ContentHash>,
    /// Their length.
    pub bytes: Option<u64>,
    /// What proves it.
    pub proof: Option<Evidence>,
}

/// What was found about one charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Names the posting.
    pub posting: String,
    /// When, RFC 3339.
    pub at: String,
    /// An access or its reversal.
    pub charge: PostingKind,
    /// The owner's computer.
    pub agent: String,
    /// The grant.
    pub grant: String,
    /// Minor units, debits positive.
    pub minor: i64,
    /// Their currency.
    pub currency: String,
    /// Whether nothing is wrong.
    pub proven: bool,
    /// What is.
    pub faults: Vec<String>,
}

/// Keys that owners named themselves, by the ids of their computers.
pub type Keys = BTreeMap<String, Vec<PublicKey>>;

/// Looks at the charges of statements, in their order. Lines that are money alone are left out.
pub fn check(statements: &[Statement], keys: &Keys) -> Vec<Finding> {
    let mut seen = Seen::default();
    let lines = statements.iter().flat_map(|statement| &statement.lines);
    lines.filter_map(|line| Some(seen.look_at(line, line.access.as_ref()?, keys))).collect()
}

/// What other charges showed already.
#[derive(Default)]
struct Seen {
    /// Postings by the agent and place of their leaf.
    leaves: BTreeMap<(String, u64), String>,
    /// Roots by agent and size of the log.
    roots: BTreeMap<(String, u64), ContentHash>,
}

impl Seen {
    fn look_at(&mut self, line: &Line, charged: &Charged, keys: &Keys) -> Finding {
        let faults = match &charged.proof {
            None => vec![
                "there is no proof: ask for it with ?proof=true, or again once the owner's \
                 computer was connected"
                    .to_owned(),
            ],
            Some(proof) => self.faults(line, charged, proof, keys),
        };
        Finding {
            posting: line.posting.clone(),
            at: line.at.clone(),
            charge: line.kind,
            agent: charged.agent.clone(),
            grant: charged.grant.clone(),
            minor: line.minor,
            currency: line.currency.clone(),
            proven: faults.is_empty(),
            faults,
        }
    }

    fn faults(
        &mut self,
        line: &Line,
        charged: &Charged,
        proof: &Evidence,
        keys: &Keys,
    ) -> Vec<String> {
        let checked = trusted(&charged.agent, proof, keys)
            .and_then(|key| proof.check(&charged.agent, &key).map_err(|doubt| doubt.to_string()));
        let (leaf, head) = match checked {
            Ok(checked) => checked,
            Err(fault) => return vec![fault],
        };
        let mut faults = differences(line, charged, &leaf);
        let log = |place| (charged.agent.clone(), place);
        let first = self.leaves.entry(log(proof.index)).or_insert_with(|| line.posting.clone());
        if *first != line.posting {
            faults.push(format!("its leaf is that of posting {first} already"));
        }
        if *self.roots.entry(log(head.size)).or_insert(head.root) != head.root {
            faults.push(format!("that computer signed two logs of {} leaves", head.size));
        }
        faults
    }
}

/// The key that signed, if it is the owner's.
fn trusted(agent: &str, proof: &Evidence, keys: &Keys) -> Result<PublicKey, String> {
    let signer = proof.signer().map_err(|doubt: Doubt| doubt.to_string())?;
    let is_named = keys.get(agent).is_some_and(|named| named.contains(&signer));
    match is_named || signer.thumbprint() == agent {
        true => Ok(signer),
        false => Err(format!(
            "the log is signed by the key {signer}, not by the one that the computer joined with: \
             ask the owner, and say --key {agent}={signer} if it is theirs"
        )),
    }
}

/// What the hub charged for otherwise than the leaf says.
fn differences(line: &Line, charged: &Charged, leaf: &AgentLeaf) -> Vec<String> {
    let (access, sign): (&AccessLeaf, i64) = match (leaf, line.kind) {
        (AgentLeaf::Access(access), PostingKind::Access) => (access, 1),
        (AgentLeaf::Reversal { of, .. }, PostingKind::Reversal) => (of, -1),
        _ => return vec!["the leaf tells of something else".to_owned()],
    };
    let mut faults = Vec::new();
    let mut same = |what: &str, is_same: bool, in_log: &dyn std::fmt::Display| {
        if !is_same {
            faults.push(format!("the log has another {what}: {in_log}"));
        }
    };
    same("grant", access.grant == charged.grant, &access.grant);
    same("turn", access.turn == charged.turn, &access.turn);
    same("fee", access.fee_minor.checked_mul(sign) == Some(line.minor), &access.fee_minor);
    same("currency", access.currency == line.currency, &access.currency);
    same("moment", access.at.to_string() == line.at, &access.at);
    // The hub forgets nothing of an offer today; what it does not say is not compared.
    same("order", charged.order.as_ref().is_none_or(|o| *o == access.order), &access.order);
    same("member", charged.member.is_none_or(|m| m == access.member), &access.member);
    same("digest", charged.sha256.is_none_or(|d| d == access.sha256), &access.sha256);
    same("length", charged.bytes.is_none_or(|b| b == access.bytes), &access.bytes);
    if access.way.at_hub().is_none() {
        faults.push("the log says that it was fetched without a hub".to_owned());
    }
    faults
}

#[cfg(test)]
mod tests;
