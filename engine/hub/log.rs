//! The two logs about each agent that a hub keeps: a mirror of the agent's own, and the hub's.
//!
//! ```text
//! agent's  taken as it is handed in, if its signed head fits; accesses that passed here are posted
//! hub's    relayed, refused, posted, reversed, disputed, taken: what the hub did, under its own key
//! ```
//!
//! What the agent's log tells of is compared with the offer that the hub has of that grant. What
//! does not fit stays in the mirror, since a log has no holes, and is noted as disputed; nothing is
//! posted for it. So each leaf that tells of money that passed here has its answer in the hub's
//! log, and the agent finds it there or has caught the hub.
//!
//! Notes are gathered for a moment and appended together. A crash may take those with it that were
//! not appended yet, which are of requests, never of money: whatever a `taken` does not cover is
//! worked out again from the mirror.
//!
//! INVARIANT: one thread at a time writes the logs of one agent (`lanes`), and answers are noted in
//! the order of the leaves, once each.
//!
//! Knows no HTTP and no WebSocket.

mod notes;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::access::{Key, PublicKey};
use crate::base::clock::Timestamp;
use crate::hub::alias::Aliases;
use crate::hub::protocol::Answer;
use crate::ledger::checkpoint::{self, agent_origin, hub_origin};
use crate::ledger::tree::{self, Node, Tree, TreeError};
use crate::store::StoreError;
use crate::store::hub::{
    AccessReport, AgentRow, Append, CheckpointRow, HubStore, LogKind, OfferRow, Posted,
};
use crate::store::leaf::{AccessLeaf, AgentLeaf, BookedLeaf, HubLeaf, read, write};
use notes::Notes;

/// Leaves of an agent that are looked at, at once.
const PAGE_LEAVES: u64 = 256;

/// Leaves of one answer, in bytes as JSON writes them inside JSON. With head and proof it stays
/// below `FRAME_BYTES_MAX`.
const ANSWER_BYTES_MAX: usize = 48 * 1024;

/// How far an agent's clock may be ahead of ours.
const CLOCK_AHEAD_MS: i64 = 10 * 60 * 1000;

/// Agents whose logs may be written side by side.
const LANES_COUNT: usize = 64;

/// Why a log could not be read or added to.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The tree above the leaves.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// Nothing that we write.
    #[error("a leaf could not be written")]
    Leaf(#[from] serde_json::Error),
    /// Somebody else adds to this log; named as logs of the program call it.
    #[error("the log of agent `{0}` was changed by another program, or there is no such agent")]
    Moved(String),
}

/// Keeps the logs of all agents of a hub.
pub struct HubLog {
    logs: Arc<Logs>,
    notes: Notes,
}

/// What the thread that appends notes shares with those who make them.
struct Logs {
    store: Arc<dyn HubStore>,
    key: Arc<Key>,
    /// Of each agent, how much of its own log the hub's has answered.
    lanes: [Mutex<BTreeMap<String, u64>>; LANES_COUNT],
}

impl HubLog {
    /// Starts the thread that appends notes; it ends with this, after the last note.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(store: Arc<dyn HubStore>, key: Arc<Key>) -> std::io::Result<Self> {
        let lanes = std::array::from_fn(|_| Mutex::default());
        let logs = Arc::new(Logs { store, key, lanes });
        let writer = logs.clone();
        let aliases = Aliases::of(&logs.key);
        let notes =
            Notes::start(aliases, move |agent_id, leaves| writer.append_notes(agent_id, leaves))?;
        Ok(Self { logs, notes })
    }

    /// Notes what the hub did for or refused about an agent. Neither waits nor fails: it is appended
    /// within a moment.
    pub fn note(&self, agent_id: &str, leaf: HubLeaf) {
        self.notes.add(agent_id, leaf);
    }

    /// The newest signed head of the hub's log about an agent, for its welcome.
    ///
    /// # Errors
    /// As any read.
    pub fn head(&self, agent_id: &str) -> Result<Option<CheckpointRow>, LogError> {
        Ok(self.logs.store.checkpoint(agent_id, LogKind::Hub)?)
    }

    /// Takes leaves that an agent hands in (`Ask::Log`), posts what they tell of, and notes for each
    /// what came of it. May be repeated.
    ///
    /// - `agent`: as the store has it now
    ///
    /// # Errors
    /// As any write; the agent then asks again.
    pub fn take(
        &self,
        agent: &AgentRow,
        from: u64,
        leaves: &[String],
        head: &CheckpointRow,
        now: Timestamp,
    ) -> Result<Answer, LogError> {
        let mut answered = self.logs.lane(&agent.agent_id);
        self.notes.flush(&agent.agent_id, |leaves| self.logs.append(&agent.agent_id, leaves))?;
        let taken = match self.logs.mirror(agent, from, leaves, head, now)? {
            Ok(taken) => taken,
            Err(why) => return Ok(Answer::No { later: false, why }),
        };
        self.logs.answer(&mut answered, &agent.agent_id, &taken, now)?;
        Ok(Answer::Log { size: self.logs.store.log_size(&agent.agent_id, LogKind::Agent)? })
    }

    /// The hub's log about an agent from a length on (`Ask::HubLog`).
    ///
    /// # Errors
    /// As any read or write.
    pub fn tell(
        &self,
        agent_id: &str,
        from: u64,
        count_max: u32,
        now: Timestamp,
    ) -> Result<Answer, LogError> {
        let logs = &self.logs;
        {
            let mut answered = logs.lane(agent_id);
            self.notes.flush(agent_id, |leaves| logs.append(agent_id, leaves))?;
            logs.answer(&mut answered, agent_id, &BTreeMap::new(), now)?;
        }
        let size = logs.store.log_size(agent_id, LogKind::Hub)?;
        let until = size.min(from.saturating_add(u64::from(count_max).min(PAGE_LEAVES)));
        let mut told = Vec::new();
        let mut bytes_count = 0;
        for leaf in logs.store.leaves(agent_id, LogKind::Hub, from, until)? {
            // Every leaf of ours is JSON, hence text.
            let leaf = String::from_utf8_lossy(&leaf).into_owned();
            bytes_count += serde_json::to_string(&leaf)?.len() + 1;
            if bytes_count > ANSWER_BYTES_MAX && !told.is_empty() {
                break;
            }
            told.push(leaf);
        }
        // Who knows more than there is gets the head that there is, and may think its part.
        let to = if from > size { size } else { from + told.len() as u64 };
        let head = tree::head_at(to, |numbers| logs.nodes(agent_id, LogKind::Hub, numbers))?;
        let proof = tree::consistency(from.min(to), to, |numbers| {
            logs.nodes(agent_id, LogKind::Hub, numbers)
        })?;
        Ok(Answer::HubLog {
            leaves: told,
            checkpoint: checkpoint::sign(&logs.origin(agent_id), head, &logs.key),
            proof: proof.iter().map(tree::proof_text).collect(),
            more: to < size,
        })
    }
}

/// What a leaf that tells of money comes to before the books are asked: what it wants posted and the
/// offer that it fits, or why nothing is.
type Judged = Result<(Claim, OfferRow), Booking>;

/// What came of each leaf that was just taken and tells of money, by its place.
type Taken = BTreeMap<u64, Booking>;

/// What the books made of one leaf.
enum Booking {
    /// It was posted; so says the offer.
    Posted(BookedLeaf),
    /// It was posted back.
    Reversed(BookedLeaf),
    /// It was not, and why.
    Disputed { grant: String, why: String },
}

/// A leaf of the agent's log that wants something posted.
struct Claim {
    index: u64,
    access: AccessLeaf,
    is_reversal: bool,
    /// When the hub was told, by its own clock.
    told_at: Timestamp,
}

impl Logs {
    fn lane(&self, agent_id: &str) -> MutexGuard<'_, BTreeMap<String, u64>> {
        let place =
            agent_id.bytes().fold(0_usize, |sum, byte| sum * 31 % 65_521 + usize::from(byte));
        let lane = self.lanes.get(place % LANES_COUNT).unwrap_or(&self.lanes[0]);
        // Whoever panicked left the store between two transactions; what is remembered here is only
        // ever behind it.
        lane.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nodes(
        &self,
        agent_id: &str,
        log: LogKind,
        numbers: &[u64],
    ) -> Result<Vec<Node>, StoreError> {
        self.store.nodes(agent_id, log, numbers)
    }

    fn origin(&self, agent_id: &str) -> String {
        hub_origin(&self.key.public(), agent_id)
    }

    fn moved(&self, agent_id: &str) -> LogError {
        LogError::Moved(Aliases::of(&self.key).alias(agent_id))
    }

    fn append_notes(&self, agent_id: &str, leaves: &[HubLeaf]) -> Result<(), LogError> {
        let _lane = self.lane(agent_id);
        self.append(agent_id, leaves)
    }

    /// Appends to the hub's log about an agent, whose lane the caller holds.
    fn append(&self, agent_id: &str, leaves: &[HubLeaf]) -> Result<(), LogError> {
        let from = self.store.log_size(agent_id, LogKind::Hub)?;
        let mut tree = Tree::of(from, |numbers| self.nodes(agent_id, LogKind::Hub, numbers))?;
        let mut nodes = Vec::new();
        let mut texts = Vec::with_capacity(leaves.len());
        for leaf in leaves {
            let text = write(leaf)?.into_bytes();
            tree.append(&text, &mut nodes);
            texts.push(text);
        }
        let checkpoint = checkpoint::sign(&self.origin(agent_id), tree.head(), &self.key);
        let append = Append {
            agent_id,
            log: LogKind::Hub,
            from,
            leaves: &texts,
            nodes: &nodes,
            checkpoint: Some(&checkpoint),
            accesses: &[],
            reversals: &[],
        };
        self.store.append(&append)?.map(|_| ()).ok_or_else(|| self.moved(agent_id))
    }

    /// Puts leaves behind the mirror of an agent's log and posts what they tell of; or says why not.
    fn mirror(
        &self,
        agent: &AgentRow,
        from: u64,
        leaves: &[String],
        head: &CheckpointRow,
        now: Timestamp,
    ) -> Result<Result<Taken, String>, LogError> {
        let agent_id = agent.agent_id.as_str();
        let size = self.store.log_size(agent_id, LogKind::Agent)?;
        let to = from.saturating_add(leaves.len() as u64);
        if from > size {
            // The answer says how much is here; it goes on from there.
            return Ok(Ok(Taken::new()));
        }
        let known_count = usize::try_from(size - from).unwrap_or(usize::MAX).min(leaves.len());
        let (again, new) = leaves.split_at(known_count);
        let kept = self.store.leaves(agent_id, LogKind::Agent, from, from + again.len() as u64)?;
        if let Some(place) =
            again.iter().zip(&kept).position(|(leaf, kept)| leaf.as_bytes() != kept)
        {
            let place = from + place as u64;
            return Ok(Err(format!(
                "leaf {place} is another than the one that was handed in before"
            )));
        }
        if new.is_empty() {
            return Ok(Ok(Taken::new()));
        }
        let key: Result<PublicKey, _> = agent.key.parse();
        let signed = match key {
            Ok(key) => checkpoint::verify(head, &agent_origin(agent_id), &key),
            Err(error) => return Ok(Err(error.to_string())),
        };
        let mut tree = Tree::of(size, |numbers| self.nodes(agent_id, LogKind::Agent, numbers))?;
        let mut nodes = Vec::new();
        new.iter().for_each(|leaf| tree.append(leaf.as_bytes(), &mut nodes));
        match signed {
            Err(why) => return Ok(Err(why.to_string())),
            Ok(signed) if signed != tree.head() || signed.size != to => {
                return Ok(Err(format!(
                    "the leaves from {from} on do not lead to the signed head"
                )));
            }
            Ok(_) => {}
        }
        let mut taken = Taken::new();
        let mut claims = Vec::new();
        for (index, leaf) in (size..).zip(new) {
            match self.claim(agent_id, index, leaf.as_bytes(), now)? {
                None => {}
                Some(Ok((claim, offer))) => claims.push((claim, offer)),
                Some(Err(disputed)) => drop(taken.insert(index, disputed)),
            }
        }
        let texts: Vec<Vec<u8>> = new.iter().map(|leaf| leaf.clone().into_bytes()).collect();
        let posted = self.post(agent_id, size, &texts, &nodes, Some(head), &claims)?;
        taken.extend(posted);
        Ok(Ok(taken))
    }

    /// What a leaf of the agent's log wants posted, if anything, with the offer that it fits; or why
    /// it does not.
    fn claim(
        &self,
        agent_id: &str,
        index: u64,
        leaf: &[u8],
        now: Timestamp,
    ) -> Result<Option<Judged>, StoreError> {
        let (access, is_reversal) = match read::<AgentLeaf>(leaf) {
            Some(AgentLeaf::Access(access)) => (access, false),
            Some(AgentLeaf::Reversal { of, .. }) => (of, true),
            Some(_) => return Ok(None),
            None => {
                let why = "it is no leaf of a kind that this hub knows".to_owned();
                return Ok(Some(Err(Booking::Disputed { grant: String::new(), why })));
            }
        };
        let Some(at_hub) = access.way.at_hub() else { return Ok(None) };
        let offer = self.store.offer(agent_id, &access.grant)?;
        let why = match &offer {
            None => Some("the grant was never offered here"),
            Some(offer) if offer.provider != at_hub => Some("it was offered to another provider"),
            Some(offer)
                if (offer.fee_minor, &offer.currency) != (access.fee_minor, &access.currency) =>
            {
                Some("the offer has another fee")
            }
            Some(offer) if offer.digest != access.sha256 || offer.bytes_count != access.bytes => {
                Some("the offer is of other bytes")
            }
            Some(_) if access.at > now.plus_millis(CLOCK_AHEAD_MS) => Some("it is in the future"),
            Some(_) => None,
        };
        Ok(Some(match (offer, why) {
            (Some(offer), None) => Ok((Claim { index, access, is_reversal, told_at: now }, offer)),
            (_, why) => {
                let why = why.unwrap_or_default().to_owned();
                Err(Booking::Disputed { grant: crate::store::leaf::words(&access.grant), why })
            }
        }))
    }

    /// Posts claims, together with the leaves that make them where those are new.
    fn post(
        &self,
        agent_id: &str,
        from: u64,
        leaves: &[Vec<u8>],
        nodes: &[Node],
        head: Option<&CheckpointRow>,
        claims: &[(Claim, OfferRow)],
    ) -> Result<Taken, LogError> {
        // The store answers for accesses first, then for reversals.
        let (reversals, accesses): (Vec<_>, Vec<_>) =
            claims.iter().partition(|(claim, _)| claim.is_reversal);
        let reports = |claims: &[&(Claim, OfferRow)]| -> Vec<AccessReport> {
            let report = |(claim, _): &&(Claim, OfferRow)| AccessReport {
                agent_id: agent_id.into(),
                leaf_index: claim.index,
                grant_id: claim.access.grant.clone(),
                turn: claim.access.turn,
                at: claim.access.at,
                told_at: claim.told_at,
            };
            claims.iter().map(report).collect()
        };
        let append = Append {
            agent_id,
            log: LogKind::Agent,
            from,
            leaves,
            nodes,
            checkpoint: head,
            accesses: &reports(&accesses),
            reversals: &reports(&reversals),
        };
        let posted = self.store.append(&append)?;
        let posted = posted.ok_or_else(|| self.moved(agent_id))?;
        let booked =
            accesses.iter().chain(&reversals).zip(posted).map(|((claim, offer), posted)| {
                let booked = BookedLeaf {
                    index: claim.index,
                    grant: claim.access.grant.clone(),
                    turn: claim.access.turn,
                    provider: offer.provider.clone(),
                    fee_minor: offer.fee_minor,
                    currency: offer.currency.clone(),
                    at: claim.access.at,
                };
                let booking = match (posted, claim.is_reversal) {
                    (Posted::New(_) | Posted::Again, false) => Booking::Posted(booked),
                    (Posted::New(_) | Posted::Again, true) => Booking::Reversed(booked),
                    (Posted::NoOffer, _) => Booking::Disputed {
                        grant: booked.grant,
                        why: "it follows no delivery and no reversal that was posted".into(),
                    },
                };
                (claim.index, booking)
            });
        Ok(booked.collect())
    }

    /// Notes what came of the leaves of the agent's log that the hub's has not answered yet.
    ///
    /// - `answered`: the lane of the agent
    /// - `taken`: what is known of it; the rest, after a crash, is asked of the books again
    fn answer(
        &self,
        answered: &mut BTreeMap<String, u64>,
        agent_id: &str,
        taken: &Taken,
        now: Timestamp,
    ) -> Result<(), LogError> {
        let size = self.store.log_size(agent_id, LogKind::Agent)?;
        let mut from = match answered.get(agent_id) {
            Some(from) => *from,
            None => last_taken(self.store.log_size(agent_id, LogKind::Hub)?, |from, to| {
                self.store.leaves(agent_id, LogKind::Hub, from, to)
            })?,
        };
        while from < size {
            let to = size.min(from + PAGE_LEAVES);
            let found = self.found_again(agent_id, from, to, size, taken, now)?;
            let mut leaves: Vec<HubLeaf> = (from..to)
                .filter_map(|index| Some((index, taken.get(&index).or_else(|| found.get(&index))?)))
                .map(|(index, booking)| match booking {
                    Booking::Posted(booked) => HubLeaf::Posted(booked.clone()),
                    Booking::Reversed(booked) => HubLeaf::Reversed(booked.clone()),
                    Booking::Disputed { grant, why } => {
                        HubLeaf::Disputed { index, grant: grant.clone(), why: why.clone(), at: now }
                    }
                })
                .collect();
            let head = tree::head_at(to, |numbers| self.nodes(agent_id, LogKind::Agent, numbers))?;
            leaves.push(HubLeaf::Taken { size: to, root: head.root, at: now });
            self.append(agent_id, &leaves)?;
            from = to;
        }
        answered.insert(agent_id.into(), size);
        Ok(())
    }

    /// Asks the books again for leaves `from..to` of which nobody knows what came of them.
    fn found_again(
        &self,
        agent_id: &str,
        from: u64,
        to: u64,
        size: u64,
        taken: &Taken,
        now: Timestamp,
    ) -> Result<Taken, LogError> {
        let mut found = Taken::new();
        let mut claims = Vec::new();
        let leaves = self.store.leaves(agent_id, LogKind::Agent, from, to)?;
        for (index, leaf) in (from..).zip(leaves) {
            if taken.contains_key(&index) {
                continue;
            }
            match self.claim(agent_id, index, &leaf, now)? {
                None => {}
                Some(Ok(claim)) => claims.push(claim),
                Some(Err(disputed)) => drop(found.insert(index, disputed)),
            }
        }
        if !claims.is_empty() {
            found.extend(self.post(agent_id, size, &[], &[], None, &claims)?);
        }
        Ok(found)
    }
}

/// How much of an agent's log a hub's log has answered: what its last `taken` says.
///
/// - `size`: length of the hub's log
/// - `leaves`: gives leaves of it
///
/// # Errors
/// Those of `leaves`.
pub fn last_taken<L: AsRef<[u8]>>(
    size: u64,
    leaves: impl Fn(u64, u64) -> Result<Vec<L>, StoreError>,
) -> Result<u64, StoreError> {
    let mut to = size;
    while to > 0 {
        let from = to.saturating_sub(PAGE_LEAVES);
        for leaf in leaves(from, to)?.iter().rev() {
            if let Some(HubLeaf::Taken { size, .. }) = read(leaf.as_ref()) {
                return Ok(size);
            }
        }
        to = from;
    }
    Ok(0)
}

#[cfg(test)]
mod tests;
