//! What happens in an agent, for whoever shows it: one JSON object for each event.
//!
//! Knows neither how things come to happen nor who listens.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::base::clock::Timestamp;
use crate::base::ids::ContentHash;
use crate::base::member::Member;
use crate::orders::dispatch::Sent;
use crate::rules::{RuleFailure, RuleMistake};
use crate::store::{Order, OrderState};
use crate::web::Served;

/// What happens, for whoever shows it.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum AgentEvent {
    /// Providers can fetch at this address.
    Listening {
        /// Address and port.
        address: std::net::SocketAddr,
    },
    /// The hub that this computer joined is there: providers can fetch through it.
    HubConnected {
        /// Its address.
        hub: String,
    },
    /// The hub is not there, for a reason that was not told before.
    HubAway {
        /// Its address.
        hub: String,
        /// Why.
        why: String,
    },
    /// The hub said what cannot be true.
    HubLied {
        /// What kind of lie.
        kind: String,
        /// What it is about, such as a grant.
        subject: String,
        /// What is wrong, in words.
        words: String,
    },
    /// The hub's log grows by more than what passed the hub explains; the rest of it is taken over
    /// later.
    HubLogWaits {
        /// How much was taken over, in words.
        words: String,
    },
    /// A sealed copy of a member waits at the hub, for while this computer is off.
    Staged {
        /// The order.
        order_key: String,
        /// Who can open it.
        provider: String,
        /// Name of its file.
        name: String,
    },
    /// A scan is under way.
    Scanning {
        /// Collection.
        collection: String,
        /// Photos found so far.
        files_count: u64,
        /// Whether it is over.
        done: bool,
    },
    /// A collection cannot be reached, or can be again.
    Reachable {
        /// Collection.
        collection: String,
        /// Whether it can.
        online: bool,
    },
    /// Files of a hosted collection came from its store, or went.
    Copied {
        /// Collection.
        collection: String,
        /// Files that came.
        fetched_count: usize,
        /// Files that the store has no more and that were removed here.
        removed_count: usize,
        /// Files that it seems to have no more, which stay until that is sure.
        held_count: usize,
    },
    /// The system lost events of a collection; it is scanned for what they would have told.
    EventsLost {
        /// Collection.
        collection: String,
        /// How often since it came online.
        times_count: u64,
    },
    /// A photo version was looked at.
    Photo {
        /// Collection.
        collection: String,
        /// Path inside it.
        #[serde(serialize_with = "as_text")]
        path: PathBuf,
        /// Its content.
        photo: ContentHash,
        /// `name` or `name?` (tier `ask`).
        icons: Vec<String>,
        /// It shows a card and little else: its icons are for the photos behind it.
        card: bool,
        /// It was there before the first start, so it orders nothing.
        existing: bool,
    },
    /// Something that travels with photos was read.
    Companion {
        /// Collection.
        collection: String,
        /// Path inside it.
        path: PathBuf,
        /// What it is.
        role: Member,
        /// Photos beside it whose names fit.
        photos_count: usize,
    },
    /// A print order of a camera or kiosk (DPOF) was read.
    PrintOrder {
        /// Collection.
        collection: String,
        /// Path inside it.
        path: PathBuf,
        /// Photos that it names, each as often as it does.
        jobs_count: usize,
        /// What was odd about it.
        notes: Vec<String>,
    },
    /// A photo could not be read.
    Unreadable {
        /// Collection.
        collection: String,
        /// Path inside it.
        #[serde(serialize_with = "as_text")]
        path: PathBuf,
        /// Why.
        error: String,
    },
    /// An order was planned.
    Planned(Box<Order>),
    /// An order that nobody was told of is another now: a card arrived late.
    Changed(Box<Order>),
    /// An order that nobody was told of is no longer wished: a card arrived late.
    Withdrawn {
        /// The order.
        order_key: String,
    },
    /// An order stays as it is, although a card that arrived late says otherwise.
    Stays {
        /// The order.
        order_key: String,
        /// Path of the photo inside its collection.
        path: String,
    },
    /// Something about a photo that the owner should know; nothing is ordered by it.
    Note {
        /// Collection.
        collection: String,
        /// Path inside it.
        #[serde(serialize_with = "as_text")]
        path: PathBuf,
        /// What.
        text: String,
    },
    /// The original was copied into the owner's private folder.
    KeptPrivately {
        /// Collection.
        collection: String,
        /// Path inside it.
        #[serde(serialize_with = "as_text")]
        path: PathBuf,
        /// The copy.
        #[serde(serialize_with = "as_text")]
        copy: PathBuf,
    },
    /// A provider took an order.
    Accepted {
        /// The order.
        order_key: String,
        /// Who has it.
        provider: String,
    },
    /// An order will be sent again later.
    Postponed {
        /// The order.
        order_key: String,
        /// Why.
        reason: String,
        /// When.
        next_attempt: Timestamp,
    },
    /// A provider tells what became of an order.
    Moved {
        /// The order.
        order_key: String,
        /// Where in its life it is now.
        state: OrderState,
        /// In words.
        note: String,
    },
    /// An order is over without being fulfilled.
    Ended {
        /// The order.
        order_key: String,
        /// How.
        state: OrderState,
        /// Why.
        reason: String,
    },
    /// A provider fetched a member for the first time; it was posted.
    Accessed {
        /// The order.
        order_key: String,
        /// Who fetched.
        provider: String,
        /// What it is.
        member: Member,
        /// Name of its file.
        name: String,
        /// How much.
        bytes_count: u64,
        /// What the provider pays, minor units.
        fee_minor: i64,
        /// Currency of the fee.
        currency: String,
    },
    /// A provider received other bytes than were granted: what it paid was posted back, and it may
    /// fetch once more.
    Reversed {
        /// The order.
        order_key: String,
        /// Who fetched.
        provider: String,
        /// What it is.
        member: Member,
        /// Name of its file.
        name: String,
        /// What was posted back, minor units.
        fee_minor: i64,
        /// Currency of the fee.
        currency: String,
    },
    /// The provider confirmed everything of an order.
    Done {
        /// The order.
        order_key: String,
    },
    /// A try to fetch was refused.
    Refused {
        /// Address it came from.
        remote: String,
        /// The grant it named, if it is one of ours.
        grant_id: String,
        /// Why.
        reason: String,
    },
    /// Saved rule files are in force, or have mistakes and are not.
    Rules {
        /// Revision in force.
        revision: String,
        /// What is wrong with the newest files.
        mistakes: Vec<RuleMistake>,
    },
    /// A rule could not judge a photo and was skipped.
    RuleFailed {
        /// Path of the photo inside its collection.
        #[serde(serialize_with = "as_text")]
        path: PathBuf,
        /// Which rule, and why.
        #[serde(flatten)]
        failure: RuleFailure,
    },
    /// Something the owner should know.
    Warning {
        /// What, and what to do.
        text: String,
    },
}

/// A path as text. JSON has no other bytes, so those that are no text are replaced.
fn as_text<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

pub(super) fn of_served(event: Served) -> AgentEvent {
    match event {
        Served::Accessed(grant) => AgentEvent::Accessed {
            order_key: grant.order_key,
            provider: grant.provider,
            member: grant.member,
            name: grant.name,
            bytes_count: grant.bytes_count,
            fee_minor: grant.fee_minor,
            currency: grant.currency,
        },
        Served::Reversed(grant) => AgentEvent::Reversed {
            order_key: grant.order_key,
            provider: grant.provider,
            member: grant.member,
            name: grant.name,
            fee_minor: grant.fee_minor,
            currency: grant.currency,
        },
        Served::Failed(order) => {
            let reason = order.reason.clone();
            of_sent(Sent::Ended(*order, OrderState::Failed, reason))
        }
        Served::Completed(order_key) => AgentEvent::Done { order_key },
        Served::Moved(order) => of_sent(Sent::Moved(*order)),
        Served::Refused { remote, grant_id, reason } => {
            AgentEvent::Refused { remote, grant_id, reason }
        }
    }
}

pub(super) fn of_sent(event: Sent) -> AgentEvent {
    match event {
        Sent::Accepted(order) => {
            AgentEvent::Accepted { order_key: order.order_key, provider: order.provider }
        }
        Sent::Postponed(order, next_attempt, reason) => {
            AgentEvent::Postponed { order_key: order.order_key, reason, next_attempt }
        }
        Sent::Moved(order) if order.state == OrderState::Done => {
            AgentEvent::Done { order_key: order.order_key }
        }
        Sent::Moved(order) => {
            AgentEvent::Moved { order_key: order.order_key, state: order.state, note: order.reason }
        }
        Sent::Ended(order, state, reason) => {
            AgentEvent::Ended { order_key: order.order_key, state, reason }
        }
    }
}
