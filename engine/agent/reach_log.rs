//! What the agent and its hub tell each other of their logs, at every connect and while it lasts.
//!
//! ```text
//! hand in   leaves of the own log that the hub does not have, with a signed head
//! fetch     leaves of the hub's log about this agent, with the hub's signed head
//! check     signature, that the hub only added, that the leaves lead to the head,
//!           and what they say against this computer's own records
//! ```
//!
//! A hub that says what cannot be true is caught: what it said is kept as it was said, with the last
//! good head beside it, and told to the owner once. What it serves is none of this file's business;
//! what it books is, since the owner is paid by that.
//!
//! After a lie about the log itself nothing more of it is taken over. The next connect begins at the
//! last good head again, so a hub that was set right is believed again; the lie stays on record.

mod compare;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::event::AgentEvent;
use super::reach::{Reach, Standing};
use super::{AgentError, Tell};
use crate::access::key::KeyError;
use crate::access::{Key, Membership, PublicKey};
use crate::base::clock::Timestamp;
use crate::hub::log::last_taken;
use crate::hub::protocol::{Answer, Ask, HubWelcome};
use crate::ledger::checkpoint::{self, hub_origin};
use crate::ledger::own_log::{OwnLogError, Signer, signed_head};
use crate::ledger::tree::{self, Head, Tree, TreeError, read_proof};
use crate::store::hub::CheckpointRow;
use crate::store::leaf::{AgentLeaf, HubLeaf, read};
use crate::store::log::{Growth, HeadRow, LieRow, OWN, Progress};
use crate::store::{State, StoreError};
use compare::Finding;

/// How soon the hub's books follow.
const TICK: Duration = Duration::from_millis(500);

/// How often the hub's log is asked for when nothing was handed in.
const FETCH_EVERY_MS: i64 = 30_000;

/// Leaves in one message, in bytes as JSON writes them inside JSON.
const MESSAGE_BYTES_MAX: usize = 48 * 1024;

/// Leaves in one message.
const MESSAGE_LEAVES_MAX: u64 = 256;

/// Messages of the hub's log that are taken over in one round.
const FETCHED_PAGES_MAX: u32 = 64;

/// What is taken over of the hub's log in a day without a reason on this computer: refused tries,
/// of which a hub tells 60 a minute one by one, some 250 bytes each.
const DAY_BYTES: u64 = 32 * 1024 * 1024;

/// What is taken over besides for each leaf of the own log: a delivery in parts is told of part by
/// part.
const ANSWERS_BYTES: u64 = 16 * 1024;

const DAY_MS: i64 = 86_400_000;

/// How long to wait after a round that ended early.
const REST: Duration = Duration::from_secs(10);

/// Asks the hub, off the async threads; in words when there is no answer.
pub type Asking<'a> = dyn Fn(Ask) -> Result<Answer, String> + 'a;

/// Why a round ended early. Another one may be tried.
#[derive(Debug, thiserror::Error)]
pub enum Setback {
    /// The hub gave no answer.
    #[error("the hub gave no answer: {0}")]
    Away(String),
    /// The hub takes no leaves now.
    #[error("the hub does not take the log now: {0}")]
    Later(String),
    /// The hub said what cannot be true; it was told.
    #[error("what the hub says of its log is not believed")]
    Lied,
    /// The own log.
    #[error(transparent)]
    Own(#[from] OwnLogError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The tree above the hub's leaves.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// The key that this computer has at the hub now: it may change while the agent runs.
pub type KeyNow = Box<dyn Fn() -> Result<Arc<Key>, KeyError> + Send + Sync>;

/// Keeps the own log and the hub's in step.
pub struct LogKeeper {
    state: Arc<State>,
    key: KeyNow,
    agent_id: String,
    hub_key: PublicKey,
    joined_at: Timestamp,
    /// Name of the hub's log in the store.
    log: String,
    tell: Tell,
    /// [`DAY_BYTES`]
    day_bytes: u64,
    session: Mutex<Session>,
}

/// What a fetch brought.
struct Fetched {
    is_new: bool,
    /// Whether the hub's log is here to its end.
    is_all: bool,
    /// Whether the rest has to wait: it grows by more than can be.
    is_held: bool,
}

#[derive(Default)]
struct Session {
    /// How much of the own log the hub has, as it says.
    told_size: u64,
    /// When its log was last fetched.
    fetched_at: Option<Timestamp>,
    /// When the owner was last told that it grows by more than can be.
    held_at: Option<Timestamp>,
}

impl LogKeeper {
    /// - `membership`: the hub that the agent joined
    ///
    /// # Errors
    /// When the hub's key in it is none.
    pub fn new(
        state: Arc<State>,
        key: KeyNow,
        membership: &Membership,
        tell: Tell,
    ) -> Result<Self, AgentError> {
        Ok(Self {
            state,
            key,
            agent_id: membership.agent_id.clone(),
            hub_key: membership.hub_key.parse().map_err(|_no_key| {
                AgentError::Hub("the hub's key in hub.json is damaged".into())
            })?,
            joined_at: membership.joined_at,
            log: log_name(membership),
            tell,
            day_bytes: DAY_BYTES,
            session: Mutex::default(),
        })
    }

    /// Looks at what the hub's welcome says of the logs. First thing after a connect.
    ///
    /// # Errors
    /// As any read or write.
    pub fn greeted(
        &self,
        agent_log_size: u64,
        hub_log: Option<&CheckpointRow>,
        now: Timestamp,
    ) -> Result<(), Setback> {
        let own_size = self.state.log_size(OWN)?;
        self.look_at_size(agent_log_size, own_size, now)?;
        {
            let mut session = self.session();
            session.told_size = agent_log_size.min(own_size);
            session.fetched_at = None;
        }
        let known = self.known()?;
        match hub_log {
            None if known.size > 0 => {
                self.lie(Finding::went_back(0, known.size), "no head at all", now)?;
            }
            None => {}
            Some(row) => {
                // What is longer is looked at when its leaves are here.
                self.look_at_head(row, known, now)?;
            }
        }
        Ok(())
    }

    /// Hands in what is new, fetches what the hub's log says, and compares. Tells whether there was
    /// anything.
    ///
    /// # Errors
    /// See [`Setback`]. What was done until then stays done.
    pub fn round(&self, asks: &Asking<'_>, now: Timestamp) -> Result<bool, Setback> {
        let handed_in = self.hand_in(asks, now)?;
        let is_due = {
            let fetched_at = self.session().fetched_at;
            fetched_at.is_none_or(|at| at.plus_millis(FETCH_EVERY_MS) <= now || at > now)
        };
        if !handed_in && !is_due {
            return Ok(false);
        }
        // Looked for before the fetch: what the hub acknowledged until now it must have noted.
        let told_size = {
            let mut session = self.session();
            session.fetched_at = None;
            session.told_size
        };
        let fetched = self.fetch(asks, now)?;
        if fetched.is_all {
            self.look_for_silence(told_size, now)?;
        }
        if fetched.is_all || fetched.is_held {
            self.session().fetched_at = Some(now);
        }
        Ok(handed_in || fetched.is_new)
    }

    /// Keeps the logs in step whenever the hub is there; ends with the way to it.
    pub async fn keep(self: Arc<Self>, reach: Arc<Reach>) {
        let mut standing = reach.standing();
        loop {
            let welcome = match &*standing.borrow_and_update() {
                Standing::Connected(welcome) => Some(welcome.clone()),
                Standing::Away { .. } => None,
            };
            let still = match welcome {
                Some(welcome) => self.follow(&reach, welcome, &mut standing).await,
                None => standing.changed().await,
            };
            if still.is_err() {
                return;
            }
        }
    }

    /// Goes on until the hub is away or was connected anew.
    async fn follow(
        self: &Arc<Self>,
        reach: &Arc<Reach>,
        welcome: Arc<HubWelcome>,
        standing: &mut watch::Receiver<Standing>,
    ) -> Result<(), watch::error::RecvError> {
        let keeper = self.clone();
        blocking(move || {
            keeper.greeted(welcome.agent_log_size, welcome.hub_log.as_ref(), Timestamp::now())
        })
        .await;
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                changed = standing.changed() => return changed,
            }
            let (keeper, reach) = (self.clone(), reach.clone());
            let ask = move |ask| reach.ask_blocking(ask).map_err(|away| away.to_string());
            if !blocking(move || keeper.round(&ask, Timestamp::now())).await {
                ticks.reset_after(REST);
            }
        }
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last good head of the hub's log.
    fn known(&self) -> Result<Head, StoreError> {
        let row = self.state.log_head(&self.log)?;
        Ok(row.map_or_else(Head::empty, |row| Head { size: row.head.size, root: row.head.root }))
    }

    /// Hands in leaves until the hub has all; tells whether there were any.
    fn hand_in(&self, asks: &Asking<'_>, now: Timestamp) -> Result<bool, Setback> {
        let own_size = self.state.log_size(OWN)?;
        let key = (self.key)().map_err(|error| Setback::Later(error.to_string()))?;
        let mut from = self.session().told_size;
        let is_new = from < own_size;
        let mut went_back = false;
        while from < own_size {
            let leaves = self.message(from, own_size)?;
            let to = from + leaves.len() as u64;
            let signer = Signer { agent_id: &self.agent_id, key: &key };
            let head = signed_head(&self.state, signer, to, now)?;
            let ask = Ask::Log { from, leaves, checkpoint: head.head };
            let size = match asks(ask).map_err(Setback::Away)? {
                Answer::Log { size } => size,
                Answer::No { later: true, why } => return Err(Setback::Later(why)),
                Answer::No { later: false, why } => {
                    self.lie(Finding::takes_no_log(from, &why), &why, now)?;
                    return Err(Setback::Lied);
                }
                other => return Err(Setback::Later(format!("{other:?} is no answer to that"))),
            };
            self.look_at_size(size, own_size, now)?;
            if size > own_size {
                return Err(Setback::Lied);
            }
            self.session().told_size = size;
            if size == to {
                let progress = Progress { told_size: size, checked_size: 0 };
                self.state.note_progress(&self.log, progress)?;
            }
            // One that was restored from a backup has less, once; then it goes on.
            if size == from || (size < from && std::mem::replace(&mut went_back, true)) {
                return Err(Setback::Later("it does not go on".into()));
            }
            from = size;
        }
        Ok(is_new)
    }

    /// The next leaves that fit into one message.
    fn message(&self, from: u64, to: u64) -> Result<Vec<String>, StoreError> {
        let mut leaves =
            self.state.log_leaves(OWN, from, to.min(from.saturating_add(MESSAGE_LEAVES_MAX)))?;
        let mut bytes_count = 0;
        let fits = leaves.iter().take_while(|leaf| {
            // Quotes of the inner JSON are escaped in the outer.
            bytes_count += leaf.len() + leaf.bytes().filter(|b| matches!(b, b'"' | b'\\')).count();
            bytes_count <= MESSAGE_BYTES_MAX
        });
        let count = fits.count().max(1);
        leaves.truncate(count);
        Ok(leaves)
    }

    /// Takes over what the hub's log says, as far as it can be believed.
    fn fetch(&self, asks: &Asking<'_>, now: Timestamp) -> Result<Fetched, Setback> {
        let mut is_new = false;
        let mut room = self.room(now)?;
        for _ in 0..FETCHED_PAGES_MAX {
            let known = self.known()?;
            let count_max = u32::try_from(MESSAGE_LEAVES_MAX).unwrap_or(u32::MAX);
            let ask = Ask::HubLog { from: known.size, count_max };
            let (leaves, row, proof, more) = match asks(ask).map_err(Setback::Away)? {
                Answer::HubLog { leaves, checkpoint, proof, more } => {
                    (leaves, checkpoint, proof, more)
                }
                Answer::No { why, .. } => return Err(Setback::Later(why)),
                other => return Err(Setback::Later(format!("{other:?} is no answer to that"))),
            };
            let Some(head) = self.look_at_head(&row, known, now)? else {
                return Err(Setback::Lied);
            };
            let note = row.note.clone();
            let mut tree = Tree::of(known.size, |numbers| self.nodes(numbers))?;
            let mut nodes = Vec::new();
            leaves.iter().for_each(|leaf| tree.append(leaf.as_bytes(), &mut nodes));
            let is_consistent =
                read_proof(&proof).is_some_and(|proof| head.continues(&known, &proof));
            let leaves = leaves_read(leaves);
            let found = match leaves {
                _ if tree.head() != head => Some(Finding::other_leaves(known.size, head.size)),
                _ if !is_consistent => Some(Finding::no_proof(known.size, head.size)),
                Err(index) => Some(Finding::no_leaf(known.size + index)),
                Ok(_) if more && head.size == known.size => Some(Finding::withheld(known.size)),
                Ok(leaves) => {
                    let bytes_count = leaves.iter().map(|(text, _)| text.len() as u64).sum();
                    let Some(left) = room.checked_sub(bytes_count) else {
                        self.hold(now);
                        return Ok(Fetched { is_new, is_all: false, is_held: true });
                    };
                    room = left;
                    if !leaves.is_empty() {
                        self.take_over(known.size, &leaves, &nodes, row, now)?;
                        is_new = true;
                    }
                    None
                }
            };
            if let Some(finding) = found {
                self.lie(finding, &note, now)?;
                return Err(Setback::Lied);
            }
            if !more {
                return Ok(Fetched { is_new, is_all: true, is_held: false });
            }
        }
        Ok(Fetched { is_new, is_all: false, is_held: false })
    }

    /// Bytes of the hub's log for which there is room today, so that a hub that invents leaves
    /// without end does not fill the owner's disk.
    fn room(&self, now: Timestamp) -> Result<u64, StoreError> {
        let day_ago = now.plus_millis(-DAY_MS);
        let own = self.state.log_growth(OWN, day_ago)?.leaves_count;
        let taken = self.state.log_growth(&self.log, day_ago)?.bytes_count;
        Ok(self.day_bytes.saturating_add(own.saturating_mul(ANSWERS_BYTES)).saturating_sub(taken))
    }

    /// Tells the owner once a day that the hub's log waits. It is no lie: a flood of strangers at an
    /// honest hub looks the same.
    fn hold(&self, now: Timestamp) {
        let mut session = self.session();
        if session.held_at.is_some_and(|at| now.0.saturating_sub(at.0).abs() < DAY_MS) {
            return;
        }
        session.held_at = Some(now);
        drop(session);
        tracing::warn!("the hub's log grows by more than what passed the hub explains");
        let words = format!(
            "the hub's log about this computer grew by more than {} MB in a day, which no delivery \
             explains: the rest of it waits until tomorrow. Ask who runs the hub, or leave it",
            self.day_bytes / 1_000_000
        );
        (self.tell)(AgentEvent::HubLogWaits { words });
    }

    /// Keeps leaves of the hub's log, then compares each with the own records.
    fn take_over(
        &self,
        from: u64,
        leaves: &[(String, HubLeaf)],
        nodes: &[tree::Node],
        head: CheckpointRow,
        now: Timestamp,
    ) -> Result<(), Setback> {
        // Compared first: when that breaks off, the leaves come again.
        let mut before: Vec<(u64, &HubLeaf)> = Vec::new();
        for (index, (text, leaf)) in (from..).zip(leaves) {
            let own = self.own_leaves(leaf)?;
            let kept = self.kept_leaves(leaf.grant())?;
            let earlier = kept.iter().chain(before.iter().map(|(_, leaf)| *leaf));
            let mut finding = compare::compare(leaf, &own, earlier);
            if matches!(leaf, HubLeaf::Disputed { .. }) && self.is_from_before(&own) {
                finding = None;
            }
            if let HubLeaf::Taken { size, root, .. } = leaf {
                finding = self.look_at_taken(Head { size: *size, root: *root })?;
            }
            if let Some(finding) = finding {
                self.lie(finding, text, now)?;
            }
            before.push((index, leaf));
        }
        let texts: Vec<(String, String)> =
            leaves.iter().map(|(text, leaf)| (text.clone(), leaf.grant().to_owned())).collect();
        let head = HeadRow { head, signer: self.hub_key.to_string(), at: now };
        let growth = Growth { log: &self.log, leaves: &texts, nodes, head: &head };
        self.state.grow_log(&growth)?;
        Ok(())
    }

    /// Leaves of the own log that a leaf of the hub is about.
    fn own_leaves(&self, leaf: &HubLeaf) -> Result<Vec<(u64, AgentLeaf)>, StoreError> {
        let found = match leaf {
            _ if leaf.grant().is_empty() && !matches!(leaf, HubLeaf::Disputed { .. }) => Vec::new(),
            HubLeaf::Disputed { index, .. } => {
                let at = self.state.log_leaves(OWN, *index, index.saturating_add(1))?;
                at.into_iter().map(|leaf| (*index, leaf)).collect()
            }
            _ => self.state.log_leaves_of(OWN, leaf.grant())?,
        };
        let read = |(index, leaf): (u64, String)| Some((index, read(leaf.as_bytes())?));
        Ok(found.into_iter().filter_map(read).collect())
    }

    /// Whether leaves tell of what was before this hub was joined, which is not its concern: it went
    /// through another one, or was fetched from the lost computer whose place this one took.
    fn is_from_before(&self, own: &[(u64, AgentLeaf)]) -> bool {
        own.first().is_some_and(|(_, leaf)| match leaf {
            AgentLeaf::Access(access) | AgentLeaf::Reversal { of: access, .. } => {
                access.at < self.joined_at
            }
            _ => false,
        })
    }

    fn kept_leaves(&self, grant_id: &str) -> Result<Vec<HubLeaf>, StoreError> {
        if grant_id.is_empty() {
            return Ok(Vec::new());
        }
        let kept = self.state.log_leaves_of(&self.log, grant_id)?;
        Ok(kept.into_iter().filter_map(|(_, leaf)| read(leaf.as_bytes())).collect())
    }

    fn nodes(&self, numbers: &[u64]) -> Result<Vec<tree::Node>, StoreError> {
        self.state.log_nodes(&self.log, numbers)
    }

    /// Whether what the hub says to have of the own log is possible.
    fn look_at_size(&self, size: u64, own_size: u64, now: Timestamp) -> Result<(), Setback> {
        let told_size = self.state.progress(&self.log)?.told_size;
        let proof = format!("it says that it has {size} leaves");
        if size > own_size {
            self.lie(Finding::more_than_there_is(size, own_size), &proof, now)?;
        } else if size < told_size {
            self.lie(Finding::forgot(size, told_size), &proof, now)?;
        }
        Ok(())
    }

    /// Whether a head that the hub signed can stand behind the one that is known; its head then.
    fn look_at_head(
        &self,
        row: &CheckpointRow,
        known: Head,
        now: Timestamp,
    ) -> Result<Option<Head>, Setback> {
        let origin = hub_origin(&self.hub_key, &self.agent_id);
        let finding = match checkpoint::verify(row, &origin, &self.hub_key) {
            Err(why) => Finding::not_signed(&row.note, why),
            Ok(head) if head.size < known.size => Finding::went_back(head.size, known.size),
            Ok(head) if head.size == known.size && head.root != known.root => {
                Finding::forked(head.size)
            }
            Ok(head) => return Ok(Some(head)),
        };
        self.lie(finding, &row.note, now)?;
        Ok(None)
    }

    /// Whether the hub has the log that it was handed.
    fn look_at_taken(&self, taken: Head) -> Result<Option<Finding>, Setback> {
        let signed_size = self.state.log_head(OWN)?.map_or(0, |row| row.head.size);
        if taken.size > signed_size {
            return Ok(Some(Finding::more_than_there_is(taken.size, signed_size)));
        }
        let own = tree::head_at(taken.size, |numbers| self.state.log_nodes(OWN, numbers))?;
        Ok((own != taken).then(|| Finding::other_log(taken.size)))
    }

    /// Whether the hub's log has an answer to every delivery through it that it was told of.
    ///
    /// - `told_size`: what the hub had acknowledged before its log was fetched
    fn look_for_silence(&self, told_size: u64, now: Timestamp) -> Result<(), Setback> {
        let hub_size = self.state.log_size(&self.log)?;
        let taken = last_taken(hub_size, |from, to| self.state.log_leaves(&self.log, from, to))?;
        if taken < told_size {
            let proof = format!("its log of {hub_size} leaves");
            self.lie(Finding::forgot(taken, told_size), &proof, now)?;
        }
        let taken = taken.min(self.state.log_size(OWN)?);
        let mut from = self.state.progress(&self.log)?.checked_size;
        while from < taken {
            let to = taken.min(from + MESSAGE_LEAVES_MAX);
            for (index, leaf) in (from..).zip(self.state.log_leaves(OWN, from, to)?) {
                let Some((access, is_reversal)) = read(leaf.as_bytes()).and_then(through_hub)
                else {
                    continue;
                };
                // What went through another hub, before this one was joined, is not its concern.
                if access.at < self.joined_at {
                    continue;
                }
                let kept = self.kept_leaves(&access.grant)?;
                if !kept.iter().any(|kept| compare::answers(kept, index, access.turn, is_reversal))
                {
                    self.lie(Finding::silent(&access), &leaf, now)?;
                }
            }
            from = to;
            self.state.note_progress(&self.log, Progress { told_size: 0, checked_size: to })?;
        }
        Ok(())
    }

    /// Keeps a lie and tells of it, once.
    fn lie(&self, finding: Finding, proof: &str, now: Timestamp) -> Result<(), StoreError> {
        let lie = LieRow {
            log: self.log.clone(),
            kind: finding.kind.into(),
            subject: finding.subject,
            words: finding.words,
            proof: proof.chars().take(checkpoint::NOTE_BYTES_MAX).collect(),
            at: now,
        };
        if self.state.put_lie(&lie)? {
            tracing::warn!(kind = lie.kind, subject = lie.subject, "the hub lies");
            (self.tell)(AgentEvent::HubLied {
                kind: lie.kind,
                subject: lie.subject,
                words: lie.words,
            });
        }
        Ok(())
    }
}

/// Does work of a round off the async threads; whether it went well. Who is told why not reads logs:
/// lies were told to the owner already.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Setback> + Send + 'static,
) -> bool {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(_)) => return true,
        Ok(Err(setback @ (Setback::Away(_) | Setback::Later(_)))) => {
            tracing::debug!(%setback, "the logs wait");
        }
        Ok(Err(setback)) => tracing::warn!(%setback, "the logs are not in step"),
        Err(error) => tracing::error!(%error, "a round of the logs broke off"),
    }
    false
}

/// Name of a hub's log in the store. Who joins the same hub anew begins anew.
pub fn log_name(membership: &Membership) -> String {
    format!("{} {}", membership.hub_key, membership.joined_at.0)
}

/// Leaves with what they say; the place of the first that says nothing.
fn leaves_read(leaves: Vec<String>) -> Result<Vec<(String, HubLeaf)>, u64> {
    let read = |(index, leaf): (u64, String)| match read(leaf.as_bytes()) {
        Some(said) => Ok((leaf, said)),
        None => Err(index),
    };
    (0..).zip(leaves).map(read).collect()
}

/// The access that a leaf tells of if it passed the hub, and whether it was reversed.
fn through_hub(leaf: AgentLeaf) -> Option<(crate::store::leaf::AccessLeaf, bool)> {
    let (access, is_reversal) = match leaf {
        AgentLeaf::Access(access) => (access, false),
        AgentLeaf::Reversal { of, .. } => (of, true),
        _ => return None,
    };
    access.way.at_hub().is_some().then_some((access, is_reversal))
}

#[cfg(test)]
mod tests;
