//! Whether what a report says is what the logs prove, line by line.
//!
//! ```text
//! logs    recomputed leaf by leaf; nodes, signed heads and leaves have to agree
//! line    its leaf says the same, is under a signed head by an inclusion proof, and its
//!         posting adds up and has that fee
//! hub     if it went through one: that hub's signed log says that it posted the same
//! ```
//!
//! A line is a posted movement of money: an access, one that was posted back, one that was posted
//! anew. What the logs tell of and no line does is a finding too, so nothing is left out.
//!
//! Only then a leaf that no head covers yet is signed: signing is no proof of what was there before.
//!
//! Works on the store alone, so the agent may run meanwhile or not.

use std::collections::{BTreeMap, BTreeSet};

use crate::access::PublicKey;
use crate::base::clock::Timestamp;
use crate::ledger::checkpoint::{agent_origin, hub_origin, verify};
use crate::ledger::own_log::{OwnLogError, Signer, signed_head};
use crate::ledger::tree::{Head, Tree, TreeError, head_at, inclusion, nodes_count};
use crate::store::leaf::{AccessLeaf, AgentLeaf, BookedLeaf, HubLeaf, read};
use crate::store::log::{HeadRow, OWN};
use crate::store::{AccessRow, CorrectionKind, CorrectionRow, Entry, State, StoreError};

/// Leaves that are read at once.
const PAGE_LEAVES: u64 = 1024;

/// A movement of money that was posted: what one line of a report is about.
#[derive(Debug, Clone, Copy)]
pub struct Movement<'a> {
    /// The access, or the one that was put right.
    pub access: &'a AccessRow,
    /// The posting that put it right; `None` for the access itself.
    pub correction: Option<&'a CorrectionRow>,
}

/// Everything that was posted, oldest first.
pub fn movements<'a>(
    accesses: &'a [AccessRow],
    corrections: &'a [CorrectionRow],
) -> Vec<Movement<'a>> {
    let by_grant: BTreeMap<&str, &AccessRow> =
        accesses.iter().map(|access| (access.grant_id.as_str(), access)).collect();
    let corrected = corrections.iter().filter_map(|row| {
        let access = by_grant.get(row.grant_id.as_str())?;
        Some(Movement { access, correction: Some(row) })
    });
    let mut movements: Vec<Movement<'_>> =
        accesses.iter().map(|access| Movement { access, correction: None }).collect();
    movements.extend(corrected);
    // Those of one moment stay as they follow from each other.
    movements.sort_by_key(Movement::at);
    movements
}

impl<'a> Movement<'a> {
    /// When it was posted.
    pub fn at(&self) -> Timestamp {
        self.correction.map_or(self.access.at, |correction| correction.at)
    }

    /// What was posted.
    pub fn entries(&self) -> &'a [Entry] {
        self.correction.map_or(&self.access.entries, |correction| &correction.entries)
    }

    /// Currency of the entries.
    pub fn currency(&self) -> &'a str {
        self.correction.map_or(&self.access.currency, |correction| &correction.currency)
    }

    /// Which delivery: 0 for the first, one more after each reversal.
    fn turn(&self) -> u32 {
        u32::from(self.correction.is_some_and(|row| row.kind == CorrectionKind::Again))
    }

    fn is_reversal(&self) -> bool {
        self.correction.is_some_and(|row| row.kind == CorrectionKind::Reversal)
    }
}

/// A leaf of the own log that tells of a movement.
struct Told {
    index: u64,
    text: String,
    leaf: AccessLeaf,
    is_reversal: bool,
}

impl Told {
    fn is_of(&self, movement: &Movement<'_>) -> bool {
        let same = (self.leaf.turn, self.is_reversal, self.leaf.at);
        same == (movement.turn(), movement.is_reversal(), movement.at())
    }
}

/// What became of one line of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Its grant.
    pub grant_id: String,
    /// When it was.
    pub at: Timestamp,
    /// What is not as it should be; nothing when it is proven.
    pub faults: Vec<String>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    /// One for each movement, in their order.
    pub proofs: Vec<Proof>,
    /// What is wrong with logs as such.
    pub faults: Vec<String>,
    /// Logs that were recomputed: name, leaves, signed heads.
    pub logs: Vec<(String, u64, usize)>,
}

/// What hubs say that they posted, by grant, turn and whether it was posted back: which hub, the
/// place of the leaf there, its text, and what it says.
type Booked = BTreeMap<(String, u32, bool), Vec<(usize, u64, String, BookedLeaf)>>;

/// A log that was recomputed.
#[derive(Default)]
struct Recomputed {
    size: u64,
    /// Of the newest head.
    head_size: u64,
    /// The newest head, if it is signed.
    head: Option<Head>,
    faults: Vec<String>,
    heads_count: usize,
}

/// Proves lines of a report, and all logs that are kept.
///
/// - `movements`: all that were posted, see [`movements`]
///
/// # Errors
/// When the store cannot be read or written. What does not agree is no error but a finding.
pub fn prove(
    state: &State,
    movements: &[Movement<'_>],
    signer: Signer<'_>,
    now: Timestamp,
) -> Result<Findings, StoreError> {
    let mut findings = Findings::default();
    let own_key = signer.key.public();
    let origin = agent_origin(signer.agent_id);
    let mut told: BTreeMap<String, Vec<Told>> = BTreeMap::new();
    let mut own = recompute(state, OWN, |index, text| {
        let (leaf, is_reversal) = match read::<AgentLeaf>(text.as_bytes()) {
            Some(AgentLeaf::Access(access)) => (access, false),
            Some(AgentLeaf::Reversal { of, .. }) => (of, true),
            other => return other.is_some(),
        };
        let of_grant = told.entry(leaf.grant.clone()).or_default();
        of_grant.push(Told { index, text: text.to_owned(), leaf, is_reversal });
        true
    })?;
    let is_own = |row: &HeadRow, is_newest: bool| {
        if is_newest {
            return verify(&row.head, &origin, &own_key).is_ok();
        }
        // Heads from before the key was changed, or from a backup of the computer whose place this
        // one took, are good as long as the leaves lead to them.
        let named = row.head.note.split('\n').next().unwrap_or_default();
        let key: Option<PublicKey> = row.signer.parse().ok();
        named.starts_with(&agent_origin(""))
            && key.is_some_and(|key| verify(&row.head, named, &key).is_ok())
    };
    check_heads(state, OWN, &mut own, is_own)?;
    let mut booked = Booked::new();
    let mut hubs = Vec::new();
    for log in state.hub_logs()? {
        let mut taken = Head::empty();
        let mut hub = recompute(state, &log, |index, text| {
            let leaf = read::<HubLeaf>(text.as_bytes());
            match &leaf {
                Some(HubLeaf::Posted(posted) | HubLeaf::Reversed(posted)) => {
                    let is_reversal = matches!(leaf, Some(HubLeaf::Reversed(_)));
                    let key = (posted.grant.clone(), posted.turn, is_reversal);
                    let posted = (hubs.len(), index, text.to_owned(), posted.clone());
                    booked.entry(key).or_default().push(posted);
                }
                Some(HubLeaf::Taken { size, root, .. }) => {
                    taken = Head { size: *size, root: *root };
                }
                _ => {}
            }
            leaf.is_some()
        })?;
        let told_size = state.progress(&log)?.told_size;
        if told_size > 0 && state.log_head_at(OWN, told_size)?.is_none() {
            own.faults.push(format!("the head of {told_size} leaves that the hub has is missing"));
        }
        // What was cut off here, with everything that was signed about it, is still known there.
        if head_of_own(state, taken.size)? != Some(taken) {
            own.faults.push(format!("the hub has another one, of {} leaves", taken.size));
        }
        let key: Option<PublicKey> = log.split(' ').next().and_then(|key| key.parse().ok());
        if hub.head_size != hub.size {
            let words = format!("{} leaves are there, {} are signed", hub.size, hub.head_size);
            hub.faults.push(words);
        }
        check_heads(state, &log, &mut hub, |row, _| {
            let Some(key) = &key else { return false };
            // Which agent it is about stands in the note; it may have had another id there.
            let named = row.head.note.split('\n').next().unwrap_or_default();
            let about = named.rsplit('/').next().unwrap_or_default();
            verify(&row.head, &hub_origin(key, about), key).is_ok()
        })?;
        hubs.push((log, hub));
    }

    own.faults.extend(untold(&told, movements));
    for ((grant, turn, is_reversal), of_hubs) in &booked {
        let is_told = told.get(grant).is_some_and(|told| {
            told.iter().any(|told| (told.leaf.turn, told.is_reversal) == (*turn, *is_reversal))
        });
        if let (false, Some((place, index, ..))) = (is_told, of_hubs.first())
            && let Some((_, hub)) = hubs.get_mut(*place)
        {
            hub.faults.push(format!(
                "leaf {index} tells of money under grant {grant} that this computer's log does not"
            ));
        }
    }
    if own.faults.is_empty() && own.size > 0 {
        match signed_head(state, signer, own.size, now) {
            Ok(row) => own.head = Some(Head { size: row.head.size, root: row.head.root }),
            Err(OwnLogError::Store(error)) => return Err(error),
            Err(error) => own.faults.push(error.to_string()),
        }
    }
    for movement in movements {
        let mut faults = posting_faults(movement);
        let of_grant = told.get(&movement.access.grant_id);
        match of_grant.and_then(|told| told.iter().find(|told| told.is_of(movement))) {
            None => faults.push("the log has no leaf for it".into()),
            Some(told) => {
                faults.extend(leaf_faults(movement, &told.leaf));
                faults.extend(under_head(state, OWN, own.head, told.index, &told.text)?);
                if told.leaf.way.at_hub().is_some() {
                    let key = (told.leaf.grant.clone(), told.leaf.turn, told.is_reversal);
                    match booked.get(&key).and_then(|posted| posted.first()) {
                        None => faults.push(unconfirmed(told.is_reversal).into()),
                        Some((place, index, text, posted)) => {
                            faults.extend(booked_faults(&told.leaf, posted));
                            if let Some((log, hub)) = hubs.get(*place) {
                                let fault = under_head(state, log, hub.head, *index, text)?;
                                faults.extend(fault.map(|fault| format!("at the hub, {fault}")));
                            }
                        }
                    }
                }
            }
        }
        let grant_id = movement.access.grant_id.clone();
        findings.proofs.push(Proof { grant_id, at: movement.at(), faults });
    }
    for (log, kept) in std::iter::once((OWN.to_owned(), own)).chain(hubs) {
        findings
            .faults
            .extend(kept.faults.into_iter().map(|fault| format!("log `{log}`: {fault}")));
        findings.logs.push((log, kept.size, kept.heads_count));
    }
    Ok(findings)
}

/// Works a log's tree out anew from its leaves, and compares nodes and heads with it.
///
/// - `understood`: called for each leaf with its place; whether it says anything
fn recompute(
    state: &State,
    log: &str,
    mut understood: impl FnMut(u64, &str) -> bool,
) -> Result<Recomputed, StoreError> {
    let heads = state.log_heads(log)?;
    let mut kept = Recomputed {
        size: state.log_size(log)?,
        heads_count: heads.len(),
        ..Recomputed::default()
    };
    let covered = heads.last().map_or(0, |row| row.head.size);
    kept.head_size = covered;
    let mut heads = heads.iter().peekable();
    let mut tree = Tree::default();
    let mut roots_differ = Vec::new();
    while tree.size() < kept.size {
        let from = tree.size();
        let to = kept.size.min(from + PAGE_LEAVES);
        let leaves = state.log_leaves(log, from, to)?;
        if leaves.len() as u64 != to - from {
            kept.faults.push(format!("leaves between {from} and {to} are missing"));
            return Ok(kept);
        }
        let mut nodes = Vec::new();
        for (index, leaf) in (from..).zip(&leaves) {
            if !understood(index, leaf) {
                kept.faults.push(format!("leaf {index} says nothing that can be understood"));
            }
            let first_new = nodes.len();
            tree.append(leaf.as_bytes(), &mut nodes);
            if tree.size() > covered {
                nodes.truncate(first_new);
            }
            while let Some(row) = heads.next_if(|row| row.head.size <= tree.size()) {
                if row.head.root != tree.head().root {
                    roots_differ.push(row.head.size);
                }
            }
        }
        let numbers: Vec<u64> = nodes.iter().map(|(number, _)| *number).collect();
        let stored = state.log_nodes(log, &numbers)?;
        if stored != nodes {
            kept.faults.push(format!("nodes above the leaves {from} to {to} were changed"));
        }
    }
    if state.log_nodes_count(log)? != nodes_count(covered) {
        kept.faults.push("there are nodes that belong to no leaf, or some are missing".into());
    }
    if covered > tree.size() {
        kept.faults.push(format!("{covered} leaves were signed, {} are there", tree.size()));
    }
    if let (Some(first), Some(last)) = (roots_differ.first(), roots_differ.last()) {
        kept.faults.push(format!(
            "its leaves do not lead to the heads that were signed at {first} to {last}"
        ));
    }
    Ok(kept)
}

/// Checks the signatures of a log's heads. The newest counts if nothing is wrong with it.
fn check_heads(
    state: &State,
    log: &str,
    kept: &mut Recomputed,
    is_signed: impl Fn(&HeadRow, bool) -> bool,
) -> Result<(), StoreError> {
    let heads = state.log_heads(log)?;
    for (place, row) in heads.iter().enumerate() {
        let is_newest = place + 1 == heads.len();
        if !is_signed(row, is_newest) {
            kept.faults.push(format!("the head of {} leaves is not signed", row.head.size));
        } else if is_newest {
            kept.head = Some(Head { size: row.head.size, root: row.head.root });
        }
    }
    Ok(())
}

/// Whether a leaf is proven to be under a signed head; what is wrong if not.
fn under_head(
    state: &State,
    log: &str,
    head: Option<Head>,
    index: u64,
    leaf: &str,
) -> Result<Option<String>, StoreError> {
    let Some(head) = head else {
        return Ok(Some("no head of the log is signed".into()));
    };
    if index >= head.size {
        return Ok(Some(format!("leaf {index} is under no signed head")));
    }
    let proof = match inclusion(index, head.size, |numbers| state.log_nodes(log, numbers)) {
        Ok(proof) => proof,
        Err(TreeError::Store(error)) => return Err(error),
        Err(error) => return Ok(Some(error.to_string())),
    };
    let is_proven = head.includes(index, leaf.as_bytes(), &proof);
    Ok((!is_proven).then(|| format!("leaf {index} is not the one under the signed head")))
}

/// The head that the own log had at a length; `None` when it is shorter.
fn head_of_own(state: &State, size: u64) -> Result<Option<Head>, StoreError> {
    if size > state.log_size(OWN)? {
        return Ok(None);
    }
    match head_at(size, |numbers| state.log_nodes(OWN, numbers)) {
        Ok(head) => Ok(Some(head)),
        Err(TreeError::Store(error)) => Err(error),
        Err(_missing) => Ok(None),
    }
}

/// What leaves of the own log tell of and the records do not have.
fn untold(told: &BTreeMap<String, Vec<Told>>, movements: &[Movement<'_>]) -> Vec<String> {
    let mut posted: BTreeMap<&str, Vec<&Movement<'_>>> = BTreeMap::new();
    for movement in movements {
        posted.entry(&movement.access.grant_id).or_default().push(movement);
    }
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for told in told.values().flatten() {
        let Told { index, leaf, is_reversal, .. } = told;
        let what = if *is_reversal { "a reversal" } else { "an access" };
        if !seen.insert((&leaf.grant, leaf.turn, *is_reversal)) {
            faults.push(format!("leaf {index} tells of {what} that another tells of"));
        }
        let of_grant = posted.get(leaf.grant.as_str());
        if !of_grant.is_some_and(|of| of.iter().any(|movement| told.is_of(movement))) {
            faults.push(format!(
                "the log tells of {what} under grant {} that the records do not have",
                leaf.grant
            ));
        }
    }
    faults
}

const fn unconfirmed(is_reversal: bool) -> &'static str {
    match is_reversal {
        true => "no hub has confirmed that it posted it back",
        false => "no hub has confirmed that it posted it",
    }
}

fn posting_faults(movement: &Movement<'_>) -> Vec<String> {
    let entries = movement.entries();
    let sum: i128 = entries.iter().map(|entry| i128::from(entry.minor)).sum();
    let mut faults = Vec::new();
    if sum != 0 {
        faults.push("its posting does not add up to zero".into());
    }
    let sign = if movement.is_reversal() { -1 } else { 1 };
    let minors = |entries: &[Entry]| -> BTreeMap<String, i128> {
        entries.iter().map(|entry| (entry.account.clone(), i128::from(entry.minor))).collect()
    };
    let of_access = minors(&movement.access.entries);
    let expected = of_access.into_iter().map(|(account, minor)| (account, sign * minor)).collect();
    if minors(entries) != expected {
        faults.push("its posting is not that of its access".into());
    }
    faults
}

fn leaf_faults(movement: &Movement<'_>, leaf: &AccessLeaf) -> Vec<String> {
    let access = movement.access;
    let account = format!("provider:{}", leaf.provider);
    let entries = movement.entries().iter().filter(|entry| entry.account == account);
    let debit: i128 = entries.map(|entry| i128::from(entry.minor)).sum();
    let paid = if movement.is_reversal() { -debit } else { debit };
    [
        (leaf.order != access.order_key, "the log names another order"),
        (leaf.provider != access.provider, "the log names another provider"),
        (leaf.member != access.member, "the log names another member"),
        (leaf.bytes != access.bytes_count, "the log names another length"),
        (leaf.currency != movement.currency(), "the log names another currency"),
        (i128::from(leaf.fee_minor) != paid, "the log names another fee than was posted"),
    ]
    .into_iter()
    .filter(|(is_wrong, _words)| *is_wrong)
    .map(|(_is_wrong, words)| words.to_owned())
    .collect()
}

fn booked_faults(leaf: &AccessLeaf, booked: &BookedLeaf) -> Option<String> {
    let is_same = (booked.fee_minor, &booked.currency, Some(booked.provider.as_str()))
        == (leaf.fee_minor, &leaf.currency, leaf.way.at_hub());
    (!is_same).then(|| "the hub posted another fee or provider".to_owned())
}

#[cfg(test)]
mod tests;
