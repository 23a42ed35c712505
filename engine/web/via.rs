//! How a request came: at this computer's own address, or through the hub that it joined.
//!
//! What the hub says of a request is worth no more than what a stranger says. It is checked as if it
//! had come directly; only the address that the provider signed has the hub's part in front.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;

use super::cut::Caller;
use crate::store::Way;

/// How a request came to this computer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// At its own address, from there.
    Direct(SocketAddr),
    /// Through the hub.
    Hub {
        /// What stands before our own path in the address that the provider called: `/o/AGENT`.
        prefix: String,
        /// Address that it came from, as the hub says.
        remote: String,
        /// Name of the provider there, as the hub says.
        provider: String,
    },
    /// Nobody knows: a test that made no connection.
    Unknown,
}

impl Via {
    /// Who asked, for records.
    pub(super) fn remote(&self) -> String {
        match self {
            Self::Direct(address) => address.ip().to_string(),
            Self::Hub { remote, provider, .. } => format!("{remote} ({provider} at the hub)"),
            Self::Unknown => "unknown".into(),
        }
    }

    /// How bytes go there, for the log.
    pub(super) fn way(&self) -> Way {
        match self {
            Self::Hub { provider, .. } => Way::Hub(provider.clone()),
            Self::Direct(_) | Self::Unknown => Way::Direct,
        }
    }

    /// The path that a provider signed for one of ours.
    pub(super) fn signed_path(&self, path: &str) -> String {
        match self {
            Self::Hub { prefix, .. } => format!("{prefix}{path}"),
            Self::Direct(_) | Self::Unknown => path.to_owned(),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Via {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let via = parts.extensions.get::<Self>().cloned();
        let direct = || parts.extensions.get::<ConnectInfo<Caller>>();
        Ok(via
            .or_else(|| direct().map(|info| Self::Direct(info.0.address)))
            .unwrap_or(Self::Unknown))
    }
}
