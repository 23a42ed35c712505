//! Which agent a provider's request is for, whether the hub hands it on, and what waits for what.
//!
//! In:  method and path of a request, and the store.
//! Out: a [`Ticket`], or a [`Refusal`] for the provider; later the agent's answer, when it opens the
//!      transfer that it was asked to open.
//!
//! A path is taken to pieces as it was written, nothing is decoded: each piece has one exact shape,
//! and what has another leads nowhere. So two readings of one path cannot differ between hub and
//! agent.
//!
//! Whatever is decided here only refuses. What may leave, the agent decides.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use super::greeting::is_nonce;
use super::protocol::Head;
use crate::base::clock::Timestamp;
use crate::base::ids::is_derived;
use crate::store::StoreError;
use crate::store::hub::{AgentState, HubStore, OfferRow, ProviderRow, ProviderState, Reserved};
use crate::web::Cut;

/// Longest name at the end of a link, in bytes as they are written.
const NAME_BYTES_MAX: usize = 400;

/// Where a request wants to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aim {
    /// Whose computer.
    pub agent_id: String,
    /// What there.
    pub what: What,
}

/// What a request wants of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// What a grant is about.
    Content {
        /// The grant.
        grant_id: String,
    },
    /// To say something about an order: a receipt, a status, a hint.
    Word,
}

impl Aim {
    /// The grant that it names; empty for words about orders.
    pub fn grant_id(&self) -> &str {
        match &self.what {
            What::Content { grant_id } => grant_id,
            What::Word => "",
        }
    }
}

/// Why the hub does not hand a request on.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is nothing at this address, as far as anybody is told.
    #[error("there is nothing here")]
    Nothing,
    /// Another method is needed.
    #[error("only {0} is possible here")]
    Method(&'static str),
    /// The offer was taken back, or its time is over.
    #[error("the owner took this back, or its time is over")]
    Over,
    /// The provider may not fetch now.
    #[error("the provider may not fetch through this hub now: {0}")]
    Closed(String),
    /// The provider's account does not cover it.
    #[error("the account of the provider does not cover this: pay in, then fetch again")]
    NoCredit,
    /// The agent is not connected.
    #[error("the owner's computer is not connected: you are told when it is back")]
    Away,
    /// Its proof of possession does not hold.
    #[error(transparent)]
    Unproven(crate::access::proof::ProofError),
    /// The grant is not one of this owner for this provider.
    #[error("the grant is not one that allows this")]
    Stranger,
    /// The range lies outside of what is asked for, which is that long.
    #[error("the member has {0} bytes")]
    Range(u64),
    /// The receipt names other bytes than were granted.
    #[error("these are not the bytes that were granted: fetch again")]
    OtherDigest,
    /// There is no room for another copy.
    #[error("this hub has no room for more copies")]
    Full,
    /// The agent is connected and does not answer.
    #[error("the owner's computer does not answer")]
    Late,
    /// The provider makes more requests than it agreed to.
    #[error("more requests a minute than agreed")]
    TooMany {
        /// Seconds after which one more will do.
        wait_s: u64,
    },
    /// Too much of this agent at once.
    #[error("too much is fetched from this computer at once")]
    Crowded,
    /// The hub is about to stop.
    #[error("the hub starts anew: come again in a moment")]
    Stopping,
    /// What the agent answered is no answer.
    #[error("the owner's computer sent what is no answer")]
    Nonsense,
    /// More than a message holds.
    #[error("the request is too large for this way")]
    Large,
    /// The body does not come.
    #[error("the request takes too long")]
    Slow,
    /// The store.
    #[error("the hub has a problem")]
    Store(#[from] StoreError),
    /// A bug.
    #[error("the hub has a problem")]
    Bug(String),
}

/// Reads method and path of a request; the path as it was written, without its query.
///
/// # Errors
/// `Nothing` or `Method`.
pub fn aim(method: &str, path: &str) -> Result<Aim, Refusal> {
    let pieces: Vec<&str> = path.split('/').skip(1).collect();
    let (agent, rest) = match pieces.as_slice() {
        ["o", agent, "v1", rest @ ..] if path.starts_with('/') && is_nonce(agent) => (*agent, rest),
        _ => return Err(Refusal::Nothing),
    };
    let (what, methods) = match rest {
        ["grants", grant, "content"] if is_derived(grant) => {
            (What::Content { grant_id: (*grant).to_owned() }, READS)
        }
        ["links", grant, secret, name]
            if is_derived(grant) && is_nonce(secret) && is_name(name) =>
        {
            (What::Content { grant_id: (*grant).to_owned() }, READS)
        }
        ["callbacks", parcel, secret] if is_derived(parcel) && is_nonce(secret) => {
            (What::Word, WORDS)
        }
        ["orders", order, "receipt" | "status"] if is_derived(order) => (What::Word, WORDS),
        _ => return Err(Refusal::Nothing),
    };
    match methods.split(", ").any(|may| may == method) {
        true => Ok(Aim { agent_id: agent.to_owned(), what }),
        false => Err(Refusal::Method(methods)),
    }
}

const READS: &str = "GET, HEAD";
const WORDS: &str = "POST";

/// A file's name as URLs write it: no separators, nothing hidden, escapes that are whole.
fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte);
    let mut index = 0;
    while let Some(byte) = bytes.get(index) {
        index += match (byte, bytes.get(index + 1..index + 3)) {
            (b'%', Some(hex)) if is_escape(hex) => 3,
            (byte, _) if is_plain(*byte) => 1,
            _ => return false,
        };
    }
    (1..=NAME_BYTES_MAX).contains(&bytes.len()) && !matches!(text, "." | "..")
}

/// Two hexadecimal digits that stand for no separator, no control character and no dot.
fn is_escape(hex: &[u8]) -> bool {
    let value = std::str::from_utf8(hex).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok());
    let is_hex = hex.iter().all(u8::is_ascii_hexdigit);
    is_hex && value.is_some_and(|value| value >= 0x20 && value != 0x7f && !b"/\\.".contains(&value))
}

/// A request that the hub hands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The offer that it is about; `None` for words about orders.
    pub offer: Option<OfferRow>,
    /// Whether this very request set the fee aside.
    pub is_new_reservation: bool,
}

/// Decides whether a request is handed on; blocking. One for an agent that is away is noted, so
/// that its provider is told when it is back.
///
/// - `is_free`: it hands no bytes over, as HEAD
/// - `is_connected`: whether the agent is
/// - `pace`: whether the provider may make another request now, else the seconds to wait
///
/// # Errors
/// The [`Refusal`].
pub fn admit(
    store: &dyn HubStore,
    aim: &Aim,
    is_free: bool,
    is_connected: bool,
    pace: &dyn Fn(&ProviderRow) -> Result<(), u64>,
    now: Timestamp,
) -> Result<Ticket, Refusal> {
    let agent = store.agent(&aim.agent_id)?;
    if agent.is_none_or(|agent| agent.state != AgentState::Active) {
        return Err(Refusal::Nothing);
    }
    let What::Content { grant_id } = &aim.what else {
        return match is_connected {
            true => Ok(Ticket { offer: None, is_new_reservation: false }),
            false => Err(Refusal::Away),
        };
    };
    let offer = store.offer(&aim.agent_id, grant_id)?.ok_or(Refusal::Nothing)?;
    if offer.withdrawn_at.is_some() || offer.expires_at <= now {
        return Err(Refusal::Over);
    }
    match store.provider(&offer.provider)? {
        Some(provider) if provider.state == ProviderState::Active => {
            pace(&provider).map_err(|wait_s| Refusal::TooMany { wait_s })?;
        }
        Some(provider) => return Err(Refusal::Closed(provider.why)),
        None => return Err(Refusal::Nothing),
    }
    if !is_connected {
        store.wish(&aim.agent_id, &offer.provider, grant_id, now)?;
        return Err(Refusal::Away);
    }
    let is_new_reservation = match is_free {
        true => false,
        false => match store.reserve(&aim.agent_id, grant_id, now)? {
            Reserved::Reserved => true,
            Reserved::Already => false,
            Reserved::NoCredit => return Err(Refusal::NoCredit),
            Reserved::NoOffer => return Err(Refusal::Over),
            Reserved::Closed => return Err(Refusal::Closed("it was just closed".into())),
        },
    };
    Ok(Ticket { offer: Some(offer), is_new_reservation })
}

/// Which grants, by agent and id, do not hold any more: what is under way for them ends. Blocking.
///
/// Each agent and provider is read once, however many transfers are theirs.
///
/// # Errors
/// As any read of the store.
pub fn over<'a>(
    store: &dyn HubStore,
    grants: &'a [(String, String)],
    now: Timestamp,
) -> Result<Vec<&'a (String, String)>, StoreError> {
    let (mut agents, mut providers) = (HashMap::new(), HashMap::new());
    let mut over = Vec::new();
    for grant in grants {
        let (agent_id, grant_id) = grant;
        let is_active = match agents.get(agent_id) {
            Some(known) => *known,
            None => {
                let row = store.agent(agent_id)?;
                let is_active = row.is_some_and(|row| row.state == AgentState::Active);
                agents.insert(agent_id, is_active);
                is_active
            }
        };
        let offer = store.offer(agent_id, grant_id)?;
        let offer = offer.filter(|of| of.withdrawn_at.is_none() && of.expires_at > now);
        let Some(offer) = offer.filter(|_| is_active) else {
            over.push(grant);
            continue;
        };
        let may_fetch = match providers.get(&offer.provider) {
            Some(known) => *known,
            None => {
                let row = store.provider(&offer.provider)?;
                let may_fetch = row.is_some_and(|row| row.state == ProviderState::Active);
                providers.insert(offer.provider, may_fetch);
                may_fetch
            }
        };
        if !may_fetch {
            over.push(grant);
        }
    }
    Ok(over)
}

/// Transfers that agents were asked to open, and those that are under way.
#[derive(Debug)]
pub struct Transfers<B> {
    waiting: Mutex<HashMap<String, Waiting<B>>>,
    under_way: Mutex<Vec<Arc<UnderWay>>>,
}

/// A provider waits for this.
#[derive(Debug)]
struct Waiting<B> {
    agent_id: String,
    answer: oneshot::Sender<Arrived<B>>,
}

/// What an agent answered.
#[derive(Debug)]
pub struct Arrived<B> {
    /// Status and headers.
    pub head: Head,
    /// Where the body comes from.
    pub body: B,
}

/// A request of a provider that an agent answers just now.
#[derive(Debug)]
pub struct UnderWay {
    /// Whose.
    pub agent_id: String,
    /// What is fetched; `None` for words about orders.
    pub offer: Option<OfferRow>,
    /// The provider's connection; ended too once bytes go over it, since a reader that stalls asks
    /// for no more and would not notice.
    connection: Cut,
    is_passing: AtomicBool,
    cut: Notify,
    is_cut: AtomicBool,
}

impl UnderWay {
    /// Ends it; the provider notices, since its answer breaks off.
    pub fn cut(&self) {
        self.is_cut.store(true, Ordering::Release);
        self.cut.notify_one();
        if self.is_passing.load(Ordering::Acquire) {
            self.connection.cut();
        }
    }

    /// Bytes go to the provider from here on.
    pub fn passes(&self) {
        self.is_passing.store(true, Ordering::Release);
        if self.is_cut() {
            self.connection.cut();
        }
    }

    /// Whether it was ended.
    pub fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Acquire)
    }

    /// Waits until it is to be ended.
    pub async fn cut_off(&self) {
        while !self.is_cut() {
            self.cut.notified().await;
        }
    }

    fn is_of(&self, agent_id: &str, grant_id: &str) -> bool {
        let offer = self.offer.as_ref();
        self.agent_id == agent_id && offer.is_some_and(|offer| offer.grant_id == grant_id)
    }
}

/// A provider that waits for a transfer; forgets it when it does not wait any more.
#[derive(Debug)]
pub struct Expected<B> {
    transfers: Arc<Transfers<B>>,
    transfer: String,
    answer: oneshot::Receiver<Arrived<B>>,
}

impl<B> Expected<B> {
    /// What the agent answers; `None` when its channel ended.
    pub async fn arrived(&mut self) -> Option<Arrived<B>> {
        (&mut self.answer).await.ok()
    }
}

impl<B> Drop for Expected<B> {
    fn drop(&mut self) {
        locked(&self.transfers.waiting).remove(&self.transfer);
    }
}

/// Keeps a request in the list of those that are under way.
#[derive(Debug)]
pub struct Entry<B> {
    transfers: Arc<Transfers<B>>,
    /// The request.
    pub under_way: Arc<UnderWay>,
}

impl<B> Drop for Entry<B> {
    fn drop(&mut self) {
        locked(&self.transfers.under_way).retain(|one| !Arc::ptr_eq(one, &self.under_way));
    }
}

impl<B> Default for Transfers<B> {
    fn default() -> Self {
        Self { waiting: Mutex::default(), under_way: Mutex::default() }
    }
}

impl<B> Transfers<B> {
    /// Expects that an agent opens a transfer.
    pub fn expect(self: &Arc<Self>, agent_id: &str, transfer: &str) -> Expected<B> {
        let (sender, answer) = oneshot::channel();
        let waiting = Waiting { agent_id: agent_id.to_owned(), answer: sender };
        locked(&self.waiting).insert(transfer.to_owned(), waiting);
        Expected { transfers: self.clone(), transfer: transfer.to_owned(), answer }
    }

    /// An agent opened a transfer: hands its answer to the provider that waits. False when none
    /// does, or no more.
    pub fn arrive(&self, transfer: &str, arrived: Arrived<B>) -> bool {
        let waiting = locked(&self.waiting).remove(transfer);
        waiting.is_some_and(|waiting| waiting.answer.send(arrived).is_ok())
    }

    /// Whether a provider waits for a transfer.
    pub fn is_expected(&self, transfer: &str) -> bool {
        locked(&self.waiting).contains_key(transfer)
    }

    /// The channel of an agent ended: nobody waits for it any more.
    pub fn forget(&self, agent_id: &str) {
        locked(&self.waiting).retain(|_, waiting| waiting.agent_id != agent_id);
    }

    /// Notes that a request is under way.
    ///
    /// - `connection`: of the provider
    pub fn begin(
        self: &Arc<Self>,
        agent_id: &str,
        offer: Option<OfferRow>,
        connection: Cut,
    ) -> Entry<B> {
        let under_way = Arc::new(UnderWay {
            agent_id: agent_id.to_owned(),
            offer,
            connection,
            is_passing: AtomicBool::new(false),
            cut: Notify::new(),
            is_cut: AtomicBool::new(false),
        });
        locked(&self.under_way).push(under_way.clone());
        Entry { transfers: self.clone(), under_way }
    }

    /// How many requests under one grant are under way.
    pub fn count_of(&self, agent_id: &str, grant_id: &str) -> usize {
        let under_way = locked(&self.under_way);
        under_way.iter().filter(|one| one.is_of(agent_id, grant_id)).count()
    }

    /// Agents and grants of what is under way, each once.
    pub fn grants(&self) -> Vec<(String, String)> {
        let under_way = locked(&self.under_way);
        let mut grants: Vec<_> = under_way
            .iter()
            .filter_map(|one| Some((one.agent_id.clone(), one.offer.as_ref()?.grant_id.clone())))
            .collect();
        drop(under_way);
        grants.sort();
        grants.dedup();
        grants
    }

    /// Ends what is under way of an agent: all, or what is of a grant, order or provider.
    pub fn cut(&self, agent_id: &str, which: Option<&str>) {
        for one in locked(&self.under_way).iter() {
            let is_meant = which.is_none_or(|which| {
                one.offer.as_ref().is_some_and(|offer| {
                    [&offer.grant_id, &offer.order_key, &offer.provider]
                        .iter()
                        .any(|name| *name == which)
                })
            });
            if one.agent_id == agent_id && is_meant {
                one.cut();
            }
        }
    }

    /// How many are under way.
    pub fn count(&self) -> usize {
        locked(&self.under_way).len()
    }
}

/// What is in these stays whole whoever panicked.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "relay/tests.rs"]
mod tests;
