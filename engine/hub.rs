//! The hub: providers fetch here from owners' computers that no address leads to.
//!
//! ```text
//! HOME/hub.toml          name, address, TLS, limits
//! HOME/keys/hub.key      the hub's Ed25519 key; agents pin it when they join
//! HOME/keys/tls.pem, …   the certificate that the hub made for itself, where none is given
//! HOME/hub.sqlite        agents, providers, operators, offers, logs, ledger
//! HOME/staged/           encrypted copies that wait for a provider
//! HOME/hosted/NAME/      homes of agents that run here, for collections that live here
//! ```
//!
//! ```text
//! provider ──GET──► http ──serve──► channel ──► agent
//!     ▲                                           │
//!     └──────────── relay ◄──POST /v1/transfers───┘
//! ```
//!
//! The hub makes no grant and checks none for the agent: the agent does, at each request. What the
//! hub knows of grants it needs to route, to refuse who cannot pay, and to keep its books.

pub mod alias;
pub mod asks;
pub mod backup;
pub mod brake;
pub mod certificate;
pub mod channel;
pub mod code;
pub mod enrol;
pub mod event;
pub mod greeting;
pub mod home;
pub mod hosted;
pub mod http;
pub mod log;
pub mod metrics;
pub mod notices;
pub mod operators;
pub mod protocol;
pub mod providers;
pub mod relay;
pub mod renewal;
pub mod run;
pub mod staged;
pub mod tries;
