//! The hub's state: one trait of domain operations, each of them one transaction.
//!
//! ```text
//! sqlite   `hub.sqlite`, full durability, commits of several callers gathered into one
//! model    the same in memory, written to be read: what the conformance suite compares with
//! ```
//!
//! Callers know [`HubStore`] and nothing else, so that another database can follow. No operation
//! asks the clock, draws random numbers or calls anybody: all of that comes in as an argument, which
//! is what makes two stores comparable.
//!
//! INVARIANT: every posting adds up to zero in its one currency; neither it nor what hangs on it is
//! ever changed or deleted. A mistake is put right by another posting.
//! INVARIANT: postings are in the order of `posted_at`, whatever the clock does: one that would be
//! before the last counts with it. So what was on an account at the end of a month never changes.
//! INVARIANT: an access is posted once for each (agent, grant, turn), in the transaction that keeps
//! the leaf of the agent's log that tells of it.
//! INVARIANT: rows of one agent are found only with that agent's id.

mod books;
#[cfg(test)]
mod conformance;
pub mod model;
pub mod sqlite;

use serde::{Deserialize, Serialize};

pub use self::books::{
    BACK_NOTICE, MINOR_MAX, RESERVATION_KEPT_MS, WITHDRAWN_NOTICE, owner_account, provider_account,
};
pub use self::model::ModelHub;
pub use self::sqlite::SqliteHub;
use super::db::StoreError;
use super::{Entry, Purpose};
use crate::base::clock::Timestamp;
use crate::base::ids::ContentHash;
use crate::base::member::Member;

/// An owner's computer that joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRow {
    /// Thumbprint of the key that it joined with; stays when its key changes.
    pub agent_id: String,
    /// Its Ed25519 key now, base64url: who it is when it connects.
    pub key: String,
    /// The Ed25519 key that it signs grants with, base64url; stays when `key` changes.
    pub grant_key: String,
    /// The owner's account, see [`owner_account`]: its own, or that of the computer it replaced.
    pub account: String,
    /// The computer that took its place after it was lost.
    pub replaced_by: Option<String>,
    /// What the operator calls it.
    pub label: String,
    /// Whether it may connect and be fetched from.
    pub state: AgentState,
    /// Why it is in that state, in words.
    pub why: String,
    /// When it joined.
    pub joined_at: Timestamp,
    /// When it was last connected.
    pub seen_at: Option<Timestamp>,
}

/// Keys of a computer that joins, base64url; it has shown that it has both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentKeys<'a> {
    /// See [`AgentRow::key`].
    pub key: &'a str,
    /// See [`AgentRow::grant_key`].
    pub grant_key: &'a str,
}

impl<'a> AgentKeys<'a> {
    /// One key for both, as a computer has that never changed it.
    pub const fn one(key: &'a str) -> Self {
        Self { key, grant_key: key }
    }
}

/// Whether an agent may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AgentState {
    /// It may.
    Active,
    /// Its computer was lost: nothing with its key is believed until it joins anew.
    Lost,
    /// It left.
    Left,
}

/// A code by which one computer may join, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeRow {
    /// SHA-256 of `verifier`: names the code on the wire and tells nothing of it.
    pub code_hash: ContentHash,
    /// SHA-256 of a key that is derived from the code: checks that somebody knows it, and is of no
    /// use to join with. The code itself is not kept.
    pub verifier: ContentHash,
    /// What the operator calls the computer.
    pub label: String,
    /// The agent that this computer takes the place of, after it was lost.
    pub replaces: Option<String>,
    /// When it was made.
    pub made_at: Timestamp,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

/// What became of a try to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Joined {
    /// It is in; this is its row.
    New(AgentRow),
    /// The same key joined with the same code before: the answer was lost.
    Again(AgentRow),
    /// No such code, or it was used, or its time is over.
    NoCode,
    /// The key belongs to another agent, or to one that was lost.
    KeyTaken,
}

/// A lab or other third party that may fetch through the hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderRow {
    /// Name in addresses, statements and rule files: `a-z 0-9 -`, 40 at most.
    pub name: String,
    /// Its Ed25519 key, base64url; `None`: it knows URLs only.
    pub key: Option<String>,
    /// SHA-256 of the secret with which it calls the hub's API; `None`: it does so with its key.
    pub secret_hash: Option<ContentHash>,
    /// What it may get photos for.
    pub purposes: Vec<Purpose>,
    /// Currency of its account.
    pub currency: String,
    /// How far its account may go below zero, minor units.
    pub credit_limit_minor: i64,
    /// Part of each fee that the service keeps, 0 to 100.
    pub service_percent: u8,
    /// Requests a minute that it may make.
    pub requests_per_minute: u32,
    /// Accesses a day after which it is paused and people are told.
    pub accesses_per_day: u32,
    /// Where it is told of things, with the secret that signs them; empty: nowhere.
    pub notify_url: String,
    /// Standard Webhooks secret, `whsec_…`; empty where there is no address.
    pub notify_secret: String,
    /// Whether it may fetch.
    pub state: ProviderState,
    /// Why it is in that state, in words.
    pub why: String,
    /// What it pays, most particular first.
    pub prices: Vec<Price>,
}

/// Whether a provider may fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderState {
    /// It may.
    Active,
    /// Not until an operator looked: unusual volume, say.
    Paused,
    /// No more.
    Closed,
}

/// What one access costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// For this member; `None`: for all that have no price of their own.
    pub member: Option<Member>,
    /// For this purpose; `None`: for all.
    pub purpose: Option<Purpose>,
    /// For pictures up to so many megapixels; `None`: for all.
    pub megapixels_max: Option<u32>,
    /// Minor units of the provider's currency.
    pub fee_minor: i64,
}

/// What a price is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceAsk {
    /// What is fetched.
    pub member: Member,
    /// For what.
    pub purpose: Purpose,
    /// How large the picture is; `None` where that is not known or it is no picture.
    pub megapixels: Option<u32>,
}

impl ProviderRow {
    /// What an access costs: of the prices that fit the one that says most, member before purpose
    /// before size, of sizes the smallest. `None` where none fits: then there is no access.
    pub fn fee(&self, ask: PriceAsk) -> Option<i64> {
        let fits = |price: &&Price| {
            price.member.is_none_or(|member| member == ask.member)
                && price.purpose.is_none_or(|purpose| purpose == ask.purpose)
                && price
                    .megapixels_max
                    .is_none_or(|max| ask.megapixels.is_some_and(|megapixels| megapixels <= max))
        };
        let rank = |price: &&Price| {
            let size = price.megapixels_max.unwrap_or(u32::MAX);
            (price.member.is_none(), price.purpose.is_none(), size)
        };
        self.prices.iter().filter(fits).min_by_key(rank).map(|price| price.fee_minor)
    }
}

/// A grant that an agent told the hub of, so that it can be fetched there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferRow {
    /// Whose it is.
    pub agent_id: String,
    /// Id of the grant.
    pub grant_id: String,
    /// The order that made it.
    pub order_key: String,
    /// Name of the provider at the hub.
    pub provider: String,
    /// What it is.
    pub member: Member,
    /// For what.
    pub purpose: Purpose,
    /// SHA-256 of the bytes.
    pub digest: ContentHash,
    /// Their length.
    pub bytes_count: u64,
    /// What the first complete delivery costs.
    pub fee_minor: i64,
    /// Currency of the fee.
    pub currency: String,
    /// Until when it holds.
    pub expires_at: Timestamp,
    /// When the agent took it back.
    pub withdrawn_at: Option<Timestamp>,
}

/// Whether a delivery may begin, as far as money is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reserved {
    /// The fee is set aside until it is posted or given back.
    Reserved,
    /// It was set aside or paid before.
    Already,
    /// The provider's account does not cover it.
    NoCredit,
    /// There is no such offer, or it was withdrawn or is over.
    NoOffer,
    /// The provider is paused or closed, or the agent is not active.
    Closed,
}

/// One access as the agent's signed log tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessReport {
    /// Whose log.
    pub agent_id: String,
    /// Place of the leaf in that log, from 0.
    pub leaf_index: u64,
    /// The grant.
    pub grant_id: String,
    /// 0 for the first delivery; one more after each reversal.
    pub turn: u32,
    /// When the delivery was complete, as the owner's computer says.
    pub at: Timestamp,
    /// When the hub was told, by its own clock: the books count it then.
    pub told_at: Timestamp,
}

/// What a report came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Posted {
    /// This posting was written.
    New(Posting),
    /// It was there before.
    Again,
    /// There is no such offer, or the posting that it should follow or reverse is not there.
    NoOffer,
}

/// A balanced set of entries in one currency; debits are positive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posting {
    /// Derived from what it is about, so that it is written once.
    pub posting_id: String,
    /// What it is.
    pub kind: PostingKind,
    /// Whose access, and under which grant; `None` for money alone.
    pub access: Option<AccessRef>,
    /// Currency of all entries.
    pub currency: String,
    /// When it happened; of an access, as the owner's computer says.
    pub at: Timestamp,
    /// When it was posted, by the hub's clock: that decides the month that it counts in. Never
    /// before the posting before it, so a month that is over stays as it is.
    pub posted_at: Timestamp,
    /// In words.
    pub note: String,
    /// `provider:NAME`, `owner:AGENT`, `service` and `cash`.
    pub entries: Vec<Entry>,
}

/// What an access posting is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessRef {
    /// Whose computer.
    pub agent_id: String,
    /// Under which grant.
    pub grant_id: String,
    /// Which delivery, see [`AccessReport::turn`].
    pub turn: u32,
    /// Place of the leaf in the agent's own log that tells of it.
    pub leaf_index: u64,
}

/// Kinds of postings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PostingKind {
    /// A first complete delivery.
    Access,
    /// The delivery was not what was granted: all of an access back.
    Reversal,
    /// A provider paid in.
    TopUp,
    /// An owner or the service was paid out.
    PayOut,
}

impl PostingKind {
    /// The word used in the database and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Reversal => "reversal",
            Self::TopUp => "top-up",
            Self::PayOut => "pay-out",
        }
    }
}

/// A line of an account with what was on it then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountLine {
    /// The posting.
    pub posting: Posting,
    /// What it did to this account, minor units, debits positive.
    pub minor: i64,
    /// What was on the account after it.
    pub balance_minor: i64,
    /// The offer, where it is about an access.
    pub offer: Option<OfferRow>,
}

/// A signed head of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointRow {
    /// Leaves in the log.
    pub size: u64,
    /// RFC 6962 root.
    pub root: ContentHash,
    /// The signed note as text.
    pub note: String,
}

/// Which of the two logs about one agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogKind {
    /// The hub's own.
    Hub,
    /// What the agent handed in of its own.
    Agent,
}

impl LogKind {
    /// The word used in the database and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hub => "hub",
            Self::Agent => "agent",
        }
    }
}

/// Somebody who runs the hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorRow {
    /// Name to sign in with.
    pub name: String,
    /// Argon2 hash, PHC text.
    pub password_hash: String,
    /// What they may do.
    pub role: Role,
    /// Whether they may sign in.
    pub is_active: bool,
}

/// What an operator may do; each may do what stands above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look.
    Viewer,
    /// Owners and providers.
    Operator,
    /// Money and other operators.
    Admin,
}

/// A signed-in operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRow {
    /// SHA-256 of the session's token.
    pub token_hash: ContentHash,
    /// Who.
    pub operator: String,
    /// Until when.
    pub expires_at: Timestamp,
}

/// Something an operator did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionRow {
    /// When.
    pub at: Timestamp,
    /// Who; `host` for commands on the hub's own computer.
    pub operator: String,
    /// What, such as `provider.top-up`.
    pub action: String,
    /// To whom or what.
    pub subject: String,
    /// With which values; no secrets.
    pub detail: String,
}

/// A message to a provider that waits to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeRow {
    /// Id on the wire; stays over tries.
    pub notice_id: String,
    /// To whom.
    pub provider: String,
    /// CloudEvents type, such as `signet.original.available`.
    pub kind: String,
    /// JSON data.
    pub data: String,
    /// Tries so far.
    pub attempts_count: u32,
    /// When it came up.
    pub made_at: Timestamp,
    /// When it is due.
    pub due_at: Timestamp,
    /// When it was sent or given up; no more tries.
    pub settled_at: Option<Timestamp>,
}

/// How long a notice is kept after it was settled: its id is not used again, and its provider can
/// look it up.
pub const NOTICE_KEPT_MS: i64 = 30 * 86_400_000;

/// One thing of a provider that is changed, whatever else of it changes meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderChange {
    /// Whether it may fetch, and why.
    State {
        /// The new state.
        state: ProviderState,
        /// In words.
        why: String,
    },
    /// Where it is told of things; both empty: nowhere.
    Notify {
        /// Address.
        url: String,
        /// Standard Webhooks secret.
        secret: String,
    },
    /// The secret for the hub's API.
    Secret(ContentHash),
    /// What was agreed with it.
    Terms(Box<TermsChange>),
}

/// What of a provider's terms is different from now on; `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TermsChange {
    /// What it may get photos for.
    pub purposes: Option<Vec<Purpose>>,
    /// Currency of its account.
    pub currency: Option<String>,
    /// How far its account may go below zero, minor units.
    pub credit_limit_minor: Option<i64>,
    /// Part of each fee that the service keeps, 0 to 100.
    pub service_percent: Option<u8>,
    /// Requests a minute.
    pub requests_per_minute: Option<u32>,
    /// Accesses a day.
    pub accesses_per_day: Option<u32>,
    /// Where it is told of things, empty: nowhere; with the secret that signs them if it has none.
    pub notify: Option<(String, String)>,
    /// What it pays.
    pub prices: Option<Vec<Price>>,
}

/// An encrypted copy that waits at the hub for its provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedRow {
    /// Whose.
    pub agent_id: String,
    /// Of which grant.
    pub grant_id: String,
    /// Length of the sealed bytes.
    pub bytes_count: u64,
    /// SHA-256 of the sealed bytes; names the file.
    pub digest: ContentHash,
    /// When it came.
    pub at: Timestamp,
}

/// What a provider took of a copy, or said of it, for its agent to take note of. Named by the SHA-256
/// of its proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakingRow {
    /// Whose copy.
    pub agent_id: String,
    /// Of which grant.
    pub grant_id: String,
    /// The provider's proof of the request (DPoP): what the agent believes it by.
    pub proof: String,
    /// What was taken or said.
    pub what: Taking,
    /// When.
    pub at: Timestamp,
    /// Whether it is under way.
    pub is_open: bool,
}

/// What a provider took or said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Taking {
    /// These plain bytes were sent to it.
    Bytes {
        /// First of them.
        start: u64,
        /// Behind the last.
        end: u64,
    },
    /// It has the member, with this digest.
    Receipt {
        /// SHA-256 as it says.
        sha256: ContentHash,
    },
}

impl TakingRow {
    /// Its name.
    pub fn name(&self) -> ContentHash {
        ContentHash::of(self.proof.as_bytes())
    }
}

/// Takings of one grant that wait for their agent at most; it is fetched no more until it took note.
pub const TAKINGS_MAX: u32 = 64;

/// Everything a hub keeps. Each operation is one transaction; those that say so may be repeated.
#[expect(clippy::missing_errors_doc, reason = "each fails as any read or write, and did nothing")]
pub trait HubStore: Send + Sync + 'static {
    // Owners' computers.

    /// Keeps a code by which a computer may join.
    fn put_code(&self, code: &CodeRow) -> Result<(), StoreError>;
    /// A code that was made and whose time is not over, used or not.
    fn code(&self, code_hash: &ContentHash, now: Timestamp) -> Result<Option<CodeRow>, StoreError>;
    /// Lets a computer join with a code and its keys; may be repeated. One that takes the place of
    /// a lost agent is an agent of its own, with logs and offers of its own, that goes on with the
    /// account of the lost one; a lost one is replaced once. One that left and comes back with its
    /// key is the one it was. A key that an agent once had is nobody else's, whatever it was for.
    ///
    /// - `agent_id`: thumbprint of the key that it connects with
    fn join(
        &self,
        code_hash: &ContentHash,
        agent_id: &str,
        keys: AgentKeys<'_>,
        now: Timestamp,
    ) -> Result<Joined, StoreError>;
    /// One agent.
    fn agent(&self, agent_id: &str) -> Result<Option<AgentRow>, StoreError>;
    /// All agents, by id; `after`: the last one of the page before.
    fn agents(&self, after: Option<&str>, count_max: u32) -> Result<Vec<AgentRow>, StoreError>;
    /// Puts another key in the place of `from`; false when that is not its key any more, when it
    /// is not active, or when `to` is somebody else's.
    fn change_key(
        &self,
        agent_id: &str,
        from: &str,
        to: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Keys that an agent has or had, in the order of their texts.
    fn agent_keys(&self, agent_id: &str) -> Result<Vec<String>, StoreError>;
    /// Moves an agent to another state; withdraws its offers, as [`Self::withdraw`], when it is no
    /// longer active. False when there is no such agent.
    fn set_agent_state(
        &self,
        agent_id: &str,
        state: AgentState,
        why: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Notes that an agent was connected.
    fn seen(&self, agent_id: &str, now: Timestamp) -> Result<(), StoreError>;

    // Providers.

    /// Keeps a provider, a new one or in the place of the one of that name. Refuses a key or a
    /// secret that another provider has.
    fn put_provider(&self, provider: &ProviderRow) -> Result<(), StoreError>;
    /// One provider.
    fn provider(&self, name: &str) -> Result<Option<ProviderRow>, StoreError>;
    /// The provider with a key.
    fn provider_by_key(&self, key: &str) -> Result<Option<ProviderRow>, StoreError>;
    /// The provider with a secret.
    fn provider_by_secret(&self, hash: &ContentHash) -> Result<Option<ProviderRow>, StoreError>;
    /// All providers, by name.
    fn providers(&self) -> Result<Vec<ProviderRow>, StoreError>;
    /// Changes one thing of a provider and leaves everything else of it as it is then; false when
    /// there is none of that name, or when it is closed and is to be something else. Refuses a secret
    /// that another one has, and another currency while there is money on its account.
    fn change_provider(&self, name: &str, change: &ProviderChange) -> Result<bool, StoreError>;

    // Operators.

    /// Keeps an operator, a new one or in the place of the one of that name; ends their sessions.
    fn put_operator(&self, operator: &OperatorRow) -> Result<(), StoreError>;
    /// One operator.
    fn operator(&self, name: &str) -> Result<Option<OperatorRow>, StoreError>;
    /// All operators, by name.
    fn operators(&self) -> Result<Vec<OperatorRow>, StoreError>;
    /// Keeps a session; forgets those that are over.
    fn put_session(&self, session: &SessionRow, now: Timestamp) -> Result<(), StoreError>;
    /// The operator of a session that holds, and is active.
    fn session(
        &self,
        token_hash: &ContentHash,
        now: Timestamp,
    ) -> Result<Option<OperatorRow>, StoreError>;
    /// Ends a session.
    fn end_session(&self, token_hash: &ContentHash) -> Result<(), StoreError>;
    /// Notes what an operator did. Never changed or deleted.
    fn note_action(&self, action: &ActionRow) -> Result<(), StoreError>;
    /// What operators did, newest first.
    fn actions(&self, count_max: u32) -> Result<Vec<ActionRow>, StoreError>;

    // Grants that can be fetched here.

    /// Keeps an offer; may be repeated. One that is there keeps its fee; a later `expires_at`
    /// counts. One that was withdrawn holds again only with a later `expires_at` than it had: its
    /// agent signed the grant anew, so nothing that was said before brings it back. False when it
    /// stays withdrawn, when its agent is not active, or its provider not there.
    fn put_offer(&self, offer: &OfferRow) -> Result<bool, StoreError>;
    /// One offer of one agent.
    fn offer(&self, agent_id: &str, grant_id: &str) -> Result<Option<OfferRow>, StoreError>;
    /// Offers to a provider that hold, by agent and grant; `after`: the last one of the page before.
    fn offers_of(
        &self,
        provider: &str,
        after: Option<(&str, &str)>,
        count_max: u32,
        now: Timestamp,
    ) -> Result<Vec<OfferRow>, StoreError>;
    /// Takes offers of an agent back: all, or those whose grant, order or provider is `which`.
    /// Gives their reservations back, forgets what was staged for them, and puts notices to the
    /// providers of those that held into the outbox, whose data are `{"agent":…,"grants":[…]}`.
    /// Returns how many offers.
    fn withdraw(
        &self,
        agent_id: &str,
        which: Option<&str>,
        now: Timestamp,
    ) -> Result<u32, StoreError>;
    /// Sets the fee of an offer aside. Nothing is asked of the account for what costs nothing. What
    /// a crash left set aside is free again a day after its offer is over.
    fn reserve(
        &self,
        agent_id: &str,
        grant_id: &str,
        now: Timestamp,
    ) -> Result<Reserved, StoreError>;
    /// Gives a reservation back that nothing came of.
    fn release(&self, agent_id: &str, grant_id: &str) -> Result<(), StoreError>;

    // Logs and money.

    /// Appends leaves to a log of an agent at `from`, with the tree's new nodes, and posts what
    /// they tell of. Does nothing when the log is not `from` leaves long, or when there is no such
    /// agent. What each access came to, then each reversal; they are posted in the order of their
    /// leaves, so a delivery, its reversal and the delivery after it may be in one append.
    ///
    /// Refuses (and appends nothing) reports of another agent, of leaves that are not there with
    /// these, or with the hub's own log; a head for another length; another root for a length that
    /// has one.
    fn append(&self, append: &Append<'_>) -> Result<Option<Vec<Posted>>, StoreError>;
    /// Length of a log.
    fn log_size(&self, agent_id: &str, log: LogKind) -> Result<u64, StoreError>;
    /// Leaves `from..to` of a log, those that are there.
    fn leaves(
        &self,
        agent_id: &str,
        log: LogKind,
        from: u64,
        to: u64,
    ) -> Result<Vec<Vec<u8>>, StoreError>;
    /// Nodes of a log's tree by their numbers (as `ledger::tree` counts them), those that are
    /// there, in the order asked for.
    fn nodes(
        &self,
        agent_id: &str,
        log: LogKind,
        numbers: &[u64],
    ) -> Result<Vec<(u64, ContentHash)>, StoreError>;
    /// The newest signed head of a log.
    fn checkpoint(&self, agent_id: &str, log: LogKind)
    -> Result<Option<CheckpointRow>, StoreError>;
    /// Posts money that moves without an access; false when that posting was there before. Refuses
    /// what does not add up, accounts that are none or named twice, and another posting with an id
    /// that is there.
    fn post(&self, posting: &Posting) -> Result<bool, StoreError>;
    /// What is on an account: minor units, debits positive.
    fn balance(&self, account: &str, currency: &str) -> Result<i64, StoreError>;
    /// What is set aside of a provider's account, minor units.
    fn reserved(&self, provider: &str) -> Result<i64, StoreError>;
    /// Accounts with their currencies and balances, by name.
    fn balances(&self) -> Result<Vec<(String, String, i64)>, StoreError>;
    /// Lines of an account with `from <= posted_at < to`, in the order in which they were posted:
    /// that is the order in which each balance follows from the one before.
    fn lines(
        &self,
        account: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<AccountLine>, StoreError>;
    /// Postings with `from <= posted_at < to`, in the order in which they were posted.
    fn postings(&self, from: Timestamp, to: Timestamp) -> Result<Vec<Posting>, StoreError>;
    /// Accesses that a provider had since a time, those that were posted back too.
    fn accesses_count(&self, provider: &str, since: Timestamp) -> Result<u32, StoreError>;
    /// The same by hour: hours since 1970 with how many, those that have any.
    fn accesses_by_hour(
        &self,
        provider: &str,
        since: Timestamp,
    ) -> Result<Vec<(i64, u32)>, StoreError>;
    /// What a provider paid in last.
    fn last_top_up(&self, provider: &str) -> Result<Option<Posting>, StoreError>;
    /// Every mistake that the books have, in words: sums, running balances, postings without
    /// their leaves. None is the only good answer.
    fn audit(&self) -> Result<Vec<String>, StoreError>;

    // Providers that wait, copies that wait.

    /// Notes that a provider wanted something of an agent that was away; may be repeated.
    fn wish(
        &self,
        agent_id: &str,
        provider: &str,
        grant_id: &str,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// The agent is back: takes its wishes and puts a notice for each provider into the outbox
    /// whose data are `{"agent":…,"grants":[…]}`. What was withdrawn or is over is left out. Returns
    /// how many notices.
    fn back(&self, agent_id: &str, now: Timestamp) -> Result<u32, StoreError>;
    /// Puts a notice into the outbox; may be repeated, also after it was settled. Forgets those
    /// that were settled [`NOTICE_KEPT_MS`] before this one was made.
    fn put_notice(&self, notice: &NoticeRow) -> Result<(), StoreError>;
    /// Notices that are due.
    fn due_notices(&self, now: Timestamp, count_max: u32) -> Result<Vec<NoticeRow>, StoreError>;
    /// A notice was tried: it is settled (`None`), or is to be tried again then.
    fn settle_notice(
        &self,
        notice_id: &str,
        again_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// Notices to a provider that are kept, newest first.
    fn notices_of(&self, provider: &str, count_max: u32) -> Result<Vec<NoticeRow>, StoreError>;
    /// Keeps that an encrypted copy lies here; may be repeated. False where there is no such offer,
    /// or it was withdrawn.
    fn put_staged(&self, staged: &StagedRow) -> Result<bool, StoreError>;
    /// The copy for one offer.
    fn staged(&self, agent_id: &str, grant_id: &str) -> Result<Option<StagedRow>, StoreError>;
    /// Sealed bytes of all copies of an agent.
    fn staged_bytes(&self, agent_id: &str) -> Result<u64, StoreError>;
    /// Forgets a copy; what was taken of it stays until its agent took note.
    fn drop_staged(&self, agent_id: &str, grant_id: &str) -> Result<(), StoreError>;
    /// Forgets copies of offers that are over; digests of the rest, each once, for whoever cleans the
    /// folder.
    fn staged_digests(&self, now: Timestamp) -> Result<Vec<ContentHash>, StoreError>;
    /// Notes that something of a copy is taken, or said of it. False when there is no such copy, when
    /// that proof was used before, or when [`TAKINGS_MAX`] of that grant wait.
    fn open_taking(&self, taking: &TakingRow) -> Result<bool, StoreError>;
    /// What was taken is no longer under way: plain bytes up to `end` were sent. None: it is
    /// forgotten.
    fn close_taking(&self, agent_id: &str, name: &ContentHash, end: u64) -> Result<(), StoreError>;
    /// Counts as sent what a crash left under way. Only for the hub, at its start.
    fn settle_takings(&self) -> Result<(), StoreError>;
    /// What was taken and is not under way, for the agent to take note of; oldest first.
    fn takings(&self, agent_id: &str, count_max: u32) -> Result<Vec<TakingRow>, StoreError>;
    /// The agent took note.
    fn forget_takings(&self, agent_id: &str, names: &[ContentHash]) -> Result<(), StoreError>;
}

/// Leaves that are appended to a log.
#[derive(Debug, Clone, Copy)]
pub struct Append<'a> {
    /// Whose log.
    pub agent_id: &'a str,
    /// Which one.
    pub log: LogKind,
    /// How many leaves are there before.
    pub from: u64,
    /// The leaves, as they are hashed.
    pub leaves: &'a [Vec<u8>],
    /// New nodes of the tree by number.
    pub nodes: &'a [(u64, ContentHash)],
    /// The signed head with these leaves; `None` when it is signed later.
    pub checkpoint: Option<&'a CheckpointRow>,
    /// Accesses that the leaves tell of. Each posts provider debit, owner credit, service credit
    /// and frees the reservation.
    pub accesses: &'a [AccessReport],
    /// Reversals that they tell of: the access of that turn is posted back.
    pub reversals: &'a [AccessReport],
}
