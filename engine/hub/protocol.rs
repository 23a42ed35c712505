//! What an agent and its hub say to each other on the control channel: JSON texts of at most
//! [`FRAME_BYTES_MAX`] bytes over one WebSocket that the agent opened.
//!
//! ```text
//! hub    hello     {hub_key, nonce, protocol}
//! agent  hello     a JWS by the agent's key over both nonces and the hub's key
//! hub    welcome   a JWS by the hub's key over the same and the agent's id
//! then   agent  ask      {ask, …}    hub    answer  {ask, …}
//!        hub    serve, provider, …   agent  opens a connection for each transfer
//! ```
//!
//! Bytes of photos never pass here. A transfer is a connection of its own, `POST
//! /v1/transfers/{transfer}`, opened by the agent: head of the answer in [`HEAD_HEADER`], its body
//! as the body. Large bodies cannot hold up small messages that way, and the hub stops reading from
//! the agent when the provider stops reading from the hub.
//!
//! Neither side may believe the other: the agent checks each request as if it had come to it
//! directly, and believes of the hub only that it is the one it joined.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::base::ids::ContentHash;
use crate::store::hub::{CheckpointRow, ProviderState, TakingRow};

/// Version of these messages. A hub talks to agents of this and the version before.
pub const PROTOCOL: u32 = 1;

/// Largest message, in bytes.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;

/// Largest body of a request that is handed to the agent inside a message, in bytes.
pub const BODY_BYTES_MAX: usize = 24 * 1024;

/// Header of a transfer with status and headers of the agent's answer: base64url of a [`Head`] as
/// JSON.
pub const HEAD_HEADER: &str = "signet-head";

/// Kinds of signed texts of the greeting.
pub const AGENT_HELLO: &str = "signet-agent-hello+jws";
/// As [`AGENT_HELLO`], of the hub.
pub const HUB_WELCOME: &str = "signet-hub-welcome+jws";

/// What the hub says first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubHello {
    /// Its Ed25519 key, base64url.
    pub hub_key: String,
    /// 32 random bytes, base64url.
    pub nonce: String,
    /// [`PROTOCOL`]
    pub protocol: u32,
}

/// What the agent signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentHello {
    /// Its id at the hub.
    pub agent_id: String,
    /// Its key now, base64url.
    pub key: String,
    /// The hub that it means: the key that it pinned when it joined.
    pub hub_key: String,
    /// The hub's nonce.
    pub hub_nonce: String,
    /// 32 random bytes of its own.
    pub nonce: String,
    /// [`PROTOCOL`]
    pub protocol: u32,
    /// Its program, for the operator's list.
    pub program: String,
}

/// What the hub signs when it let the agent in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubWelcome {
    /// The agent's id.
    pub agent_id: String,
    /// The agent's nonce.
    pub nonce: String,
    /// Where providers reach the agent: `https://hub.example/o/AGENT`, no slash at the end.
    pub base_url: String,
    /// How much of the agent's own log the hub has.
    pub agent_log_size: u64,
    /// The hub's newest signed head of its log about this agent.
    pub hub_log: Option<CheckpointRow>,
}

/// A message of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FromAgent {
    /// Number of the question, counted by the agent; comes back with its answer.
    pub ask: u64,
    /// What it asks.
    #[serde(flatten)]
    pub what: Ask,
}

/// What an agent asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Ask {
    /// What an access of a provider costs, and whether its account covers it.
    Quote {
        /// The provider's key, base64url, or empty.
        key: String,
        /// Its name at the hub, where it has no key.
        provider: String,
        /// What is fetched. Not called `ask`, which is the question's number.
        access: crate::store::hub::PriceAsk,
    },
    /// A grant that may be fetched through the hub.
    Offer {
        /// The signed grant. Of use to nobody but its holder.
        grant: String,
        /// Name of the provider at the hub, as a quote said it.
        provider: String,
        /// For what.
        purpose: crate::store::Purpose,
        /// The fee that was quoted, minor units.
        fee_minor: i64,
        /// Its currency.
        currency: String,
    },
    /// Takes offers back: all, or those of a grant, order or provider.
    Withdraw {
        /// Which.
        which: Option<String>,
    },
    /// Leaves of the agent's own log that the hub does not have, with the signed head after them.
    Log {
        /// Place of the first.
        from: u64,
        /// Leaves as they are hashed: JSON texts.
        leaves: Vec<String>,
        /// Head with exactly these.
        checkpoint: CheckpointRow,
    },
    /// Leaves of the hub's log about this agent, with proofs.
    HubLog {
        /// Length that the agent knows, with its root: the hub proves that it only added.
        from: u64,
        /// At most so many leaves.
        count_max: u32,
    },
    /// What providers took of copies while the agent was away; what is named here is forgotten.
    Delivered {
        /// What the agent has taken note of: SHA-256 of the proofs.
        noted: Vec<ContentHash>,
    },
    /// Copies that are needed no more.
    Drop {
        /// Of these grants.
        grants: Vec<String>,
    },
}

/// A message of the hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum FromHub {
    /// Answers a question.
    Answer {
        /// Its number.
        ask: u64,
        /// What came of it.
        answer: Answer,
    },
    /// A request of a provider: open a connection for it.
    Serve(Box<Serve>),
    /// A provider may fetch now, or may not.
    Provider {
        /// Its name at the hub.
        name: String,
        /// Whether it may.
        state: ProviderState,
        /// Why, in words.
        why: String,
    },
    /// The hub is about to stop; come back after about so long.
    Closing {
        /// Milliseconds.
        again_ms: u64,
    },
}

/// A request that a provider made at the hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serve {
    /// Names the transfer: 32 random bytes, base64url; good once.
    pub transfer: String,
    /// `GET`, `HEAD` or `POST`.
    pub method: String,
    /// Path at the hub, with `/o/AGENT` in front, as the provider signed it.
    pub path: String,
    /// Headers that matter to an agent, lower case.
    pub headers: BTreeMap<String, String>,
    /// Body, base64; empty for none.
    #[serde(default)]
    pub body: String,
    /// Address that it came from, as the hub says.
    pub remote: String,
    /// Name of the provider, as the hub says.
    pub provider: String,
}

/// Headers of a provider's request that are handed to the agent.
pub const HEADERS_IN: [&str; 8] = [
    "accept",
    "authorization",
    "content-type",
    "dpop",
    "if-none-match",
    "if-range",
    "range",
    "user-agent",
];

/// Head of an agent's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// HTTP status.
    pub status: u16,
    /// Headers, lower case.
    pub headers: BTreeMap<String, String>,
}

/// Headers of an agent's answer that a hub hands on.
pub const HEADERS_OUT: [&str; 13] = [
    "accept-ranges",
    "cache-control",
    "content-length",
    "content-range",
    "content-type",
    "etag",
    "repr-digest",
    "retry-after",
    "signet-seal",
    "vary",
    "www-authenticate",
    "x-content-type-options",
    "last-modified",
];

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Answer {
    /// Done, nothing more to say.
    Done,
    /// No.
    No {
        /// Whether another try later may go well.
        later: bool,
        /// Why, in words for the owner.
        why: String,
    },
    /// A price.
    Quote {
        /// Name of the provider at the hub.
        provider: String,
        /// What an access costs, minor units.
        fee_minor: i64,
        /// Its currency.
        currency: String,
        /// Part that the service keeps, 0 to 100.
        service_percent: u8,
        /// Whether the provider's account covers it now.
        is_covered: bool,
    },
    /// How much of the agent's log the hub has now.
    Log {
        /// Leaves.
        size: u64,
    },
    /// Leaves of the hub's log.
    HubLog {
        /// From where on was asked.
        leaves: Vec<String>,
        /// Head after the last of them.
        checkpoint: CheckpointRow,
        /// RFC 6962 consistency proof from the asked length to that head: SHA-256 values, base64url.
        proof: Vec<String>,
        /// Whether there are more.
        more: bool,
    },
    /// What was taken of copies, oldest first; more when this was noted.
    Delivered {
        /// Bytes that were sent and receipts, each with the provider's proof.
        takings: Vec<TakingRow>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_as_they_were_written() {
        let ask = FromAgent { ask: 7, what: Ask::Withdraw { which: None } };
        let text = serde_json::to_string(&ask).expect("JSON");
        assert_eq!(text, r#"{"ask":7,"type":"withdraw","which":null}"#);
        assert_eq!(serde_json::from_str::<FromAgent>(&text).expect("read"), ask);
        let access = crate::store::hub::PriceAsk {
            member: crate::base::member::Member::Original,
            purpose: crate::store::Purpose::Print,
            megapixels: Some(12),
        };
        let what = Ask::Quote { key: "k".into(), provider: "p".into(), access };
        let quote = FromAgent { ask: 8, what };
        let text = serde_json::to_string(&quote).expect("JSON");
        assert_eq!(serde_json::from_str::<FromAgent>(&text).expect("read"), quote);
        let no = Answer::No { later: true, why: "because".into() };
        let answer = FromHub::Answer { ask: 7, answer: no };
        let text = serde_json::to_string(&answer).expect("JSON");
        assert_eq!(serde_json::from_str::<FromHub>(&text).expect("read"), answer);
    }
}
