//! The agent's HTTP: providers fetch members and hand in receipts. The only home of axum.
//!
//! ```text
//! GET, HEAD  /v1/grants/{grant}/content    the bytes that a grant is about
//! GET, HEAD  /v1/links/{grant}/{secret}/…  the same, for providers that have no key
//! POST       /v1/callbacks/{parcel}/{secret}  a hint that something changed at the provider
//! POST       /v1/orders/{order}/receipt    the provider has them, with these digests
//! POST       /v1/orders/{order}/status     what becomes of it at the provider
//! GET, POST  /v1/decide/{token}            the owner's own page for one order
//! GET        /v1/feed/{secret}             the owner's own feed of what was fetched
//! GET        /v1/health
//! ```
//!
//! The wire carries ids, never paths. Every request for a member is checked by
//! `access::check` before anything is opened; refused ones are counted in the store.

pub mod answer;
mod chunks;
mod connection;
mod content;
mod cut;
pub mod decide;
mod feed;
mod file_queue;
pub mod inbox;
mod places;
mod range;
mod reply;
pub mod signature;
pub mod staged;
mod via;
mod word;

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::time::MissedTickBehavior;

use crate::access::check::{Allowed, Known, check_link};
use crate::access::proof::Seen;
use crate::access::{LinkKey, PublicKey, Refusal, Request, check};
use crate::base::clock::Timestamp;
use crate::base::ids::is_derived;
use crate::ledger::access_entries;
use crate::orders::Terms;
use crate::store::{self, GrantOffer, GrantRow, Order, StoreError, Way};
use chunks::Chunks;
pub use connection::Connection;
pub use cut::Cut;
use cut::{Caller, LOOK_MS, Listening, UnderWay};
use file_queue::FileQueue;
use places::Places;
use reply::Failure;
pub use via::Via;
pub use word::{Receipt, Stage, Status};

/// Largest receipt, in bytes.
const RECEIPT_BYTES_MAX: usize = 64 * 1024;

/// Kind of address under which a member lies for a provider without a key, see [`LinkKey`].
pub const GRANT: &str = "grant";

/// Kind of address to which a provider sends hints.
pub const CALLBACK: &str = "callback";

/// Kind of address of the owner's feed.
pub const FEED: &str = "feed";

/// What an order that its provider gave receipts for is told to be.
const CONFIRMED: &str = "fetched, and its digest confirmed by the provider";

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
    /// The provider found other bytes than were granted; what it paid was posted back.
    Reversed(Box<GrantRow>),
    /// An order failed at its provider.
    Failed(Box<Order>),
    /// All members of an order were confirmed.
    Completed(String),
    /// The provider tells what becomes of an order.
    Moved(Box<Order>),
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
    /// Knows addresses that nobody can guess.
    pub links: LinkKey,
    /// Notified when a provider hints that something changed.
    pub wake: Arc<Notify>,
    /// Where bytes and consent come from.
    pub shelf: Arc<dyn Shelf>,
    /// Called for what happened.
    pub tell: Box<dyn Fn(Served) + Send + Sync>,
    decisions: Option<decide::Decisions>,
    feed: Option<PathBuf>,
    seen: Mutex<Seen>,
    places: Arc<Places>,
    chunks: Arc<Chunks>,
    under_way: UnderWay,
}

impl Service {
    /// Puts together what requests need.
    pub fn new(
        state: Arc<store::State>,
        agent_key: PublicKey,
        links: LinkKey,
        shelf: Arc<dyn Shelf>,
        wake: Arc<Notify>,
        tell: Box<dyn Fn(Served) + Send + Sync>,
    ) -> Self {
        let (seen, decisions, under_way) = (Mutex::default(), None, UnderWay::default());
        let (places, chunks) = Default::default();
        Self {
            state,
            agent_key,
            links,
            wake,
            shelf,
            tell,
            decisions,
            feed: None,
            seen,
            places,
            chunks,
            under_way,
        }
    }

    /// The owner decides by link too.
    pub fn deciding(self, desk: Arc<dyn decide::Desk>) -> Self {
        Self { decisions: Some(decide::Decisions::new(desk)), ..self }
    }

    /// The owner's feed is this file, where there is one.
    pub fn feeding(self, feed: Option<PathBuf>) -> Self {
        Self { feed, ..self }
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
    let router = providers(service.clone()).merge(
        Router::new()
            .route("/v1/decide/{token}", get(decide::show).post(decide::act))
            .route("/v1/decide/{token}/preview", get(decide::preview))
            .route("/v1/feed/{secret}", get(feed::show))
            .route("/v1/health", get(|| async { "ok\n" }))
            .layer(DefaultBodyLimit::max(RECEIPT_BYTES_MAX))
            .with_state(service.clone()),
    );
    let cutting = tokio::spawn(cut_revoked(service));
    let served =
        axum::serve(Listening(listener), router.into_make_service_with_connect_info::<Caller>())
            .with_graceful_shutdown(async move {
                let _ = shutdown.wait_for(|stop| *stop).await;
            })
            .await;
    cutting.abort();
    served
}

/// Ends transfers whose grant is revoked meanwhile, and all of them when everything is stopped.
async fn cut_revoked(service: Arc<Service>) {
    let mut looks = tokio::time::interval(Duration::from_millis(LOOK_MS));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let grants = service.under_way.grants();
        if grants.is_empty() {
            continue;
        }
        let worker = service.clone();
        let looked = tokio::task::spawn_blocking(move || {
            for grant_id in grants {
                if !worker.state.still_holds(&grant_id)? {
                    worker.under_way.cut(&grant_id);
                }
            }
            Ok::<_, StoreError>(())
        });
        if let Ok(Err(error)) = looked.await {
            tracing::error!(%error, "whether grants were revoked is not known just now");
        }
    }
}

/// What providers may ask, also through a hub: there, each request carries a [`Via::Hub`]. The
/// owner's own pages are not among it, since whoever sees such an address may decide by it.
pub fn providers(service: Arc<Service>) -> Router {
    Router::new()
        .route("/v1/grants/{grant}/content", get(fetch))
        .route("/v1/links/{grant}/{secret}/{name}", get(fetch_link))
        .route("/v1/callbacks/{parcel}/{secret}", post(callback))
        .route("/v1/orders/{order}/receipt", post(word::receipt))
        .route("/v1/orders/{order}/status", post(word::status))
        .layer(DefaultBodyLimit::max(RECEIPT_BYTES_MAX))
        .with_state(service)
}

async fn fetch(
    State(service): State<Arc<Service>>,
    via: Via,
    cut: Cut,
    files: FileQueue,
    Path(grant_id): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    serve_member(service, (cut, files), method, headers, move |service, method, headers| {
        let path = via.signed_path(&format!("/v1/grants/{grant_id}/content"));
        let shown = Shown { method, path: &path, headers, via: &via };
        authorise(service, &shown, &grant_id)
    })
    .await
}

async fn fetch_link(
    State(service): State<Arc<Service>>,
    via: Via,
    cut: Cut,
    files: FileQueue,
    Path((grant_id, secret, _name)): Path<(String, String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    serve_member(service, (cut, files), method, headers, move |service, _method, _headers| {
        judge(service, &via, &grant_id, |known, _seen, now| {
            if !service.links.opens(GRANT, &grant_id, &secret) {
                return Err(Refusal::NoGrant);
            }
            check_link(known, now)
        })
    })
    .await
}

/// Serves a member to whoever may have it.
///
/// - `cut`, `files`: end the connection that it goes by, and send files over it
/// - `may`: decides that, off the async threads
async fn serve_member(
    service: Arc<Service>,
    (cut, files): (Cut, FileQueue),
    method: Method,
    headers: HeaderMap,
    may: impl FnOnce(&Service, &str, &HeaderMap) -> Result<Right, Failure> + Send + 'static,
) -> Response {
    let Some(place) = service.places.take() else {
        return Failure::Crowded.into_reply();
    };
    let worker = service;
    let opened = tokio::task::spawn_blocking(move || {
        let right = may(&worker, method.as_str(), &headers)?;
        let place = place.of(&right.grant.provider).ok_or(Failure::Crowded)?;
        let opened = worker.shelf.open(&right.grant).map_err(Failure::NotThere).and_then(|file| {
            let going = content::Going { file, place, cut, files };
            content::open(worker.clone(), &right, going, &method, &headers)
        });
        if let Err(Failure::NotThere(NotThere::Gone)) = &opened {
            give_up(&worker, &right.grant, &NotThere::Gone.to_string())?;
        }
        opened
    });
    match opened.await {
        Ok(Ok(response)) => response,
        Ok(Err(failure)) => failure.into_reply(),
        Err(error) => Failure::Bug(error.to_string()).into_reply(),
    }
}

/// A hint: whoever knows the address may say that it is worth asking the provider again. What it
/// says besides is not looked at.
async fn callback(
    State(service): State<Arc<Service>>,
    Path((parcel_key, secret)): Path<(String, String)>,
) -> Response {
    if !is_derived(&parcel_key) || !service.links.opens(CALLBACK, &parcel_key, &secret) {
        return Failure::Refused(Refusal::NoGrant).into_reply();
    }
    let kept = tokio::task::spawn_blocking(move || {
        let hinted = service.state.hint_parcel(&parcel_key, Timestamp::now());
        service.wake.notify_one();
        hinted.map_err(Failure::Store)
    });
    match kept.await {
        Ok(Ok(_)) => reply::done(),
        Ok(Err(failure)) => failure.into_reply(),
        Err(error) => Failure::Bug(error.to_string()).into_reply(),
    }
}

/// What a request showed.
struct Shown<'a> {
    method: &'a str,
    path: &'a str,
    headers: &'a HeaderMap,
    via: &'a Via,
}

/// What a request may have.
struct Right {
    grant: GrantRow,
    /// How the bytes go.
    way: Way,
    /// The key that the bytes are sealed to; `None`: they go as they are.
    sealed_to: Option<PublicKey>,
}

/// Decides whether a request may have what a grant is about; counts it when not.
fn authorise(service: &Service, shown: &Shown<'_>, grant_id: &str) -> Result<Right, Failure> {
    let header = |name: &str| shown.headers.get(name).and_then(|value| value.to_str().ok());
    let request = Request {
        method: shown.method,
        path: shown.path,
        grant: header("authorization").and_then(|value| value.strip_prefix("DPoP ")),
        proof: header("dpop"),
    };
    judge(service, shown.via, grant_id, |known, seen, now| check(request, known, seen, now))
}

/// Asks whether the grant that an address names holds; counts the try when it does not.
fn judge(
    service: &Service,
    via: &Via,
    grant_id: &str,
    check: impl FnOnce(&Known<'_>, &mut Seen, Timestamp) -> Result<Allowed, Refusal>,
) -> Result<Right, Failure> {
    let known_id = is_derived(grant_id);
    let grant =
        if known_id { service.state.grant(grant_id).map_err(Failure::Store)? } else { None };
    let terms = grant.as_ref().and_then(|grant| service.shelf.terms(&grant.provider));
    let known = Known {
        agent_key: &service.agent_key,
        grant: grant.as_ref(),
        terms: terms.as_ref(),
        stopped: service.state.stopped_since().map_err(Failure::Store)?.is_some(),
        through_hub: matches!(via, Via::Hub { .. }),
    };
    let now = Timestamp::now();
    let checked = {
        let mut seen = service.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        check(&known, &mut seen, now)
    };
    let refusal = match checked {
        Ok(Allowed { sealed_to, .. }) => match grant {
            Some(grant) => return Ok(Right { grant, way: via.way(), sealed_to }),
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
    let (remote, reason) = (via.remote(), refusal.to_string());
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
    complete(service, &grant.order_key, CONFIRMED)
}

/// Ends an order of which everything was confirmed. One whose provider tells what becomes of it
/// goes into production instead.
fn complete(service: &Service, order_key: &str, note: &str) -> Result<(), Failure> {
    let order = service.state.order(order_key).map_err(Failure::Store)?;
    let terms = order.and_then(|order| service.shelf.terms(&order.provider));
    let tells = terms.is_some_and(|terms| terms.target.carries().progress);
    let completed = service.state.complete_order(order_key, tells, note, Timestamp::now());
    match completed.map_err(Failure::Store)? {
        Some(order) if tells => (service.tell)(Served::Moved(Box::new(order))),
        Some(order) => (service.tell)(Served::Completed(order.order_key)),
        None => {}
    }
    Ok(())
}

/// What the first complete delivery under a grant pays, and which way it went.
fn charge(
    service: &Service,
    grant: &GrantRow,
    way: &Way,
) -> Result<([store::Entry; 3], Way), StoreError> {
    let terms = service.shelf.terms(&grant.provider);
    let offer = service.state.grant_offer(&grant.grant_id)?;
    // What the provider is called at the hub we said ourselves, when we offered the grant.
    let way = match (way, &offer) {
        (Way::Hub(_), Some(offer)) => Way::Hub(offer.provider.clone()),
        (Way::Staged(_), Some(offer)) => Way::Staged(offer.provider.clone()),
        _ => way.clone(),
    };
    Ok((fee_entries(grant, terms.as_ref(), offer.as_ref()), way))
}

/// Records an access that is known from elsewhere than a delivery, with what it pays.
fn post_access(service: &Service, grant: &GrantRow, way: &Way) -> Result<(), Failure> {
    let (entries, way) = charge(service, grant, way).map_err(Failure::Store)?;
    let first = service.state.post_access(grant, &entries, &way, Timestamp::now());
    accessed(service, grant, first.map_err(Failure::Store)?)
}

/// What follows when a whole member is on its way.
///
/// - `first`: for the first time under its grant
fn accessed(service: &Service, grant: &GrantRow, first: bool) -> Result<(), Failure> {
    if first {
        (service.tell)(Served::Accessed(Box::new(grant.clone())));
    }
    // Who has no key sends no receipt; one who tells nothing more has all when it fetched all.
    match service.shelf.terms(&grant.provider) {
        Some(terms) if terms.key.is_empty() && !terms.target.carries().progress => {
            complete(service, &grant.order_key, "everything was fetched")
        }
        _ => Ok(()),
    }
}

/// What an access pays, and to whom.
///
/// - `offer`: how the grant goes by a hub, which has its own share
pub fn fee_entries(
    grant: &GrantRow,
    terms: Option<&Terms>,
    offer: Option<&GrantOffer>,
) -> [store::Entry; 3] {
    let (name, percent) =
        terms.map_or(("signet", 0), |terms| (&terms.service, terms.service_percent));
    let percent = offer.map_or(percent, |offer| offer.service_percent);
    access_entries(&grant.provider, name, grant.fee_minor, percent)
}
