//! The agent's HTTP: providers fetch members and hand in receipts. The only home of axum.
//!
//! ```text
//! GET, HEAD  /v1/grants/{grant}/content    the bytes that a grant is about
//! POST       /v1/orders/{order}/receipt    the provider has them, with these digests
//! GET        /v1/health
//! ```
//!
//! The wire carries ids, never paths. Every request for a member is checked by
//! `access::check` before anything is opened; refused ones are counted in the store.

mod content;
pub mod inbox;
mod range;
mod reply;

use std::fs::File;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use crate::access::check::Known;
use crate::access::proof::Seen;
use crate::access::{PublicKey, Refusal, Request, check};
use crate::base::clock::Timestamp;
use crate::base::ids::{ContentHash, is_derived};
use crate::ledger::access_entries;
use crate::orders::Terms;
use crate::store::{self, GrantRow};
use reply::Failure;

/// Responses under way at the same time; more are asked to come back.
const RESPONSES_MAX: usize = 256;

/// Largest receipt, in bytes.
const RECEIPT_BYTES_MAX: usize = 64 * 1024;

/// Where the bytes of a member are found. Called off the async threads.
pub trait Shelf: Send + Sync + 'static {
    /// Opens exactly the version that a grant is about; from the beginning of the file to its
    /// end, or the part of it that the grant names.
    ///
    /// # Errors
    /// Why it cannot be had, and whether it may come back.
    fn open(&self, grant: &GrantRow) -> Result<File, NotThere>;

    /// What the consent in force says of a provider.
    fn terms(&self, provider: &str) -> Option<Terms>;
}

/// Why a member cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotThere {
    /// Its collection is offline.
    #[error("the photo is not reachable just now")]
    Offline,
    /// No file has these bytes any more.
    #[error("the photo was changed or removed")]
    Gone,
}

/// What happened, for whoever reports it.
#[derive(Debug, Clone)]
pub enum Served {
    /// First complete delivery under a grant; it was posted.
    Accessed(Box<GrantRow>),
    /// All members of an order were confirmed.
    Completed(String),
    /// A try was refused.
    Refused {
        /// Address it came from.
        remote: String,
        /// The grant it named.
        grant_id: String,
        /// Why.
        reason: String,
    },
}

/// Everything that requests need.
pub struct Service {
    /// The store.
    pub state: Arc<store::State>,
    /// The agent's public key: grants are checked against it.
    pub agent_key: PublicKey,
    /// Where bytes and consent come from.
    pub shelf: Arc<dyn Shelf>,
    /// Called for what happened.
    pub tell: Box<dyn Fn(Served) + Send + Sync>,
    seen: Mutex<Seen>,
    places: Arc<Semaphore>,
}

impl Service {
    /// Puts together what requests need.
    pub fn new(
        state: Arc<store::State>,
        agent_key: PublicKey,
        shelf: Arc<dyn Shelf>,
        tell: Box<dyn Fn(Served) + Send + Sync>,
    ) -> Self {
        let places = Arc::new(Semaphore::new(RESPONSES_MAX));
        Self { state, agent_key, shelf, tell, seen: Mutex::default(), places }
    }
}

/// Serves on a listener that the caller opened, until `shutdown` becomes true.
///
/// # Errors
/// Only what the listener itself reports.
pub async fn serve(
    listener: TcpListener,
    service: Arc<Service>,
    mut shutdown: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/v1/grants/{grant}/content", get(fetch))
        .route("/v1/orders/{order}/receipt", post(receipt))
        .route("/v1/health", get(|| async { "ok\n" }))
        .layer(DefaultBodyLimit::max(RECEIPT_BYTES_MAX))
        .with_state(service);
    // Without it, small answers wait for the provider's delayed acknowledgements.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
    });
    axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(async move {
            let _ = shutdown.wait_for(|stop| *stop).await;
        })
        .await
}

async fn fetch(
    State(service): State<Arc<Service>>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    Path(grant_id): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let Ok(place) = service.places.clone().try_acquire_owned() else {
        return Failure::Crowded.into_reply();
    };
    let worker = service.clone();
    let opened = tokio::task::spawn_blocking(move || {
        let path = format!("/v1/grants/{grant_id}/content");
        let shown = Shown { method: method.as_str(), path: &path, headers: &headers, remote };
        let grant = authorise(&worker, &shown, &grant_id)?;
        let opened =
            worker.shelf.open(&grant).map_err(Failure::NotThere).and_then(|file| {
                content::open(worker.clone(), &grant, file, &method, &headers, place)
            });
        if let Err(Failure::NotThere(NotThere::Gone)) = &opened {
            give_up(&worker, &grant, &NotThere::Gone.to_string())?;
        }
        opened
    });
    match opened.await {
        Ok(Ok(response)) => response,
        Ok(Err(failure)) => failure.into_reply(),
        Err(error) => Failure::Bug(error.to_string()).into_reply(),
    }
}

/// The provider's word that it has the members of an order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Id of the grant that was used.
    pub grant_id: String,
    /// Digest of the bytes as they lie at the provider.
    pub sha256: ContentHash,
}

async fn receipt(
    State(service): State<Arc<Service>>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    Path(order_key): Path<String>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Response {
    let done = tokio::task::spawn_blocking(move || {
        let receipt: Receipt = serde_json::from_slice(&body).map_err(Failure::Body)?;
        let path = format!("/v1/orders/{order_key}/receipt");
        let shown = Shown { method: "POST", path: &path, headers: &headers, remote };
        let grant = authorise(&service, &shown, &receipt.grant_id)?;
        if grant.order_key != order_key || grant.digest != receipt.sha256 {
            return Err(Failure::OtherDigest);
        }
        // Its word that it has the bytes stands in for deliveries that a crash forgot.
        post_access(&service, &grant)?;
        complete(&service, &order_key)
    });
    match done.await {
        Ok(Ok(())) => reply::done(),
        Ok(Err(failure)) => failure.into_reply(),
        Err(error) => Failure::Bug(error.to_string()).into_reply(),
    }
}

/// What a request showed.
struct Shown<'a> {
    method: &'a str,
    path: &'a str,
    headers: &'a HeaderMap,
    remote: SocketAddr,
}

/// Decides whether a request may have what a grant is about; counts it when not.
fn authorise(service: &Service, shown: &Shown<'_>, grant_id: &str) -> Result<GrantRow, Failure> {
    let header = |name: &str| shown.headers.get(name).and_then(|value| value.to_str().ok());
    let request = Request {
        method: shown.method,
        path: shown.path,
        grant: header("authorization").and_then(|value| value.strip_prefix("DPoP ")),
        proof: header("dpop"),
    };
    let known_id = is_derived(grant_id);
    let grant =
        if known_id { service.state.grant(grant_id).map_err(Failure::Store)? } else { None };
    let terms = grant.as_ref().and_then(|grant| service.shelf.terms(&grant.provider));
    let known = Known {
        agent_key: &service.agent_key,
        grant: grant.as_ref(),
        terms: terms.as_ref(),
        stopped: service.state.stopped_since().map_err(Failure::Store)?.is_some(),
    };
    let now = Timestamp::now();
    let checked = {
        let mut seen = service.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        check(request, &known, &mut seen, now)
    };
    let refusal = match checked {
        Ok(_) => match grant {
            Some(grant) => return Ok(grant),
            None => Refusal::OtherContent,
        },
        Err(refusal) => refusal,
    };
    if let (Some(grant), Refusal::Revoked | Refusal::Expired | Refusal::NoConsent) =
        (&grant, &refusal)
    {
        give_up(service, grant, &refusal.to_string())?;
    }
    // Ids of grants that do not exist are not worth a row each.
    let grant_id = if grant.is_some() { grant_id } else { "" };
    let (remote, reason) = (shown.remote.ip().to_string(), refusal.to_string());
    service.state.record_refusal(&remote, grant_id, &reason, now).map_err(Failure::Store)?;
    (service.tell)(Served::Refused { remote, grant_id: grant_id.into(), reason });
    Err(Failure::Refused(refusal))
}

/// An order does not wait for a companion that its provider cannot have any more: the grant is
/// taken back, and whoever has the photo has everything.
fn give_up(service: &Service, grant: &GrantRow, why: &str) -> Result<(), Failure> {
    if !grant.member.is_companion() {
        return Ok(());
    }
    let revoked = service.state.revoke(Some(&grant.grant_id), why, Timestamp::now());
    revoked.map_err(Failure::Store)?;
    complete(service, &grant.order_key)
}

/// Ends an order of which everything was confirmed.
fn complete(service: &Service, order_key: &str) -> Result<(), Failure> {
    if service.state.complete_order(order_key, Timestamp::now()).map_err(Failure::Store)? {
        (service.tell)(Served::Completed(order_key.to_owned()));
    }
    Ok(())
}

/// Records the first complete delivery under a grant, with what it pays.
fn post_access(service: &Service, grant: &GrantRow) -> Result<(), Failure> {
    let (name, percent) = service
        .shelf
        .terms(&grant.provider)
        .map_or(("signet".to_owned(), 0), |terms| (terms.service, terms.service_percent));
    let entries = access_entries(&grant.provider, &name, grant.fee_minor, percent);
    if service.state.post_access(grant, &entries, Timestamp::now()).map_err(Failure::Store)? {
        (service.tell)(Served::Accessed(Box::new(grant.clone())));
    }
    Ok(())
}
