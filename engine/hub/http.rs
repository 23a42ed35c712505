//! The hub's HTTP: agents connect, providers fetch. The other home of axum.
//!
//! ```text
//! GET        /v1/agent                    an agent's control channel (WebSocket)
//! POST       /v1/transfers/{transfer}     an agent's answer to one request of a provider
//! PUT        /v1/staged/{agent}/{grant}   a sealed copy, for while that agent is away
//! GET, HEAD  /o/{agent}/v1/grants/…       what a grant of that agent is about
//! GET, HEAD  /o/{agent}/v1/links/…        the same, for providers that have no key
//! POST       /o/{agent}/v1/orders/…       receipts and words of progress
//! POST       /o/{agent}/v1/callbacks/…    hints
//! GET, POST  /v1/join                     a computer joins (see `enrol`)
//! POST       /v1/agents/{id}/…            it changes its key, or leaves
//! GET        /v1/health
//!            /v1/provider/…, /v1/operator/…, /v1/openapi.json   see `api`
//! ```
//!
//! The pages on which owners decide are not among it: whoever sees such an address may decide by it.
//!
//! Handlers take what they need out of requests and call the plain functions of `hub`; what touches
//! the store happens off the async threads.

mod agent;
pub mod api;
mod caller;
mod enrol;
pub mod listen;
pub mod monitor;
pub mod openapi;
mod operator_api;
pub mod pace;
pub mod problem;
mod provider_api;
mod refused;
mod relay;
mod staged;
pub mod tls;
mod views;

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, get, post, put};
use tokio::sync::mpsc;

use super::relay::Refusal;
use super::run::HubState;

/// Largest body of a request that is not passed on, in bytes.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// The body of an agent's answer, piece by piece; one that breaks off ends with an error.
pub type Pieces = mpsc::Receiver<io::Result<Bytes>>;

/// Everything that is answered here.
pub fn router(state: Arc<HubState>) -> Router {
    let api = state.api.clone();
    let routes = Router::new()
        .route("/v1/agent", get(agent::connect))
        .route("/v1/transfers/{transfer}", post(relay::arrive))
        .route("/v1/staged/{agent}/{grant}", put(staged::bring))
        .route("/o/{*path}", any(relay::hand_on))
        .merge(enrol::routes())
        .route("/v1/health", get(openapi::health))
        .fallback(api::nothing_here)
        .method_not_allowed_fallback(api::no_such_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(state);
    routes.merge(api::router(&api)).layer(from_fn_with_state(api, api::count))
}

/// Does something with the store off the async threads.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Refusal::Bug(error.to_string())))
}
