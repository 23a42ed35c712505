//! What happens in a hub, for whoever shows it: one JSON object for each event.
//!
//! Names providers and grants by their ids, agents by their aliases (`alias`) when it is shown; no
//! address that a request came from, no owner's name, no file.

use std::sync::Arc;

use serde::Serialize;

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum HubEvent {
    /// Agents and providers can connect.
    Listening {
        /// Address and port.
        address: std::net::SocketAddr,
        /// How they name it.
        public_url: String,
        /// SHA-256 of the certificate where the hub made it itself.
        #[serde(skip_serializing_if = "Option::is_none")]
        certificate: Option<String>,
    },
    /// An agent is there.
    Connected {
        /// Its id.
        agent: String,
    },
    /// An agent is there no more.
    Away {
        /// Its id.
        agent: String,
        /// Why.
        why: String,
    },
    /// Somebody who is no agent of this hub, or may not connect, tried to.
    Stranger {
        /// Why it was turned away.
        why: String,
    },
    /// A request of a provider was handed to an agent and answered.
    Relayed {
        /// Whose.
        agent: String,
        /// Name of the provider; empty where the hub cannot know it.
        provider: String,
        /// The grant; empty for words about orders.
        grant: String,
        /// `GET`, `HEAD` or `POST`.
        method: String,
        /// What the agent answered.
        status: u16,
    },
    /// Bytes of an answer went through.
    Passed {
        /// Whose.
        agent: String,
        /// The grant; empty for words about orders.
        grant: String,
        /// How many.
        bytes_count: u64,
        /// Why they were not all; absent when they were.
        #[serde(skip_serializing_if = "Option::is_none")]
        broken: Option<String>,
    },
    /// Something the operator should know.
    Warning {
        /// What, and what to do.
        text: String,
    },
}

/// Shows events to people or programs.
pub type Tell = Arc<dyn Fn(HubEvent) + Send + Sync>;
