//! What a provider tells of an order: that it has the members, and what becomes of them.
//!
//! Both are shown with the grant of a member and a proof of the provider's key, as a fetch is.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::reply::{self, Failure};
use super::{CONFIRMED, Served, Service, Shown, Via, authorise, complete, post_access};
use crate::base::clock::Timestamp;
use crate::base::ids::ContentHash;
use crate::store::{GrantRow, News, OrderState, Reversed};

/// Most letters of a note that are kept.
const NOTE_CHARS_MAX: usize = 300;

/// The provider's word that it has a member of an order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Id of the grant that was used.
    pub grant_id: String,
    /// Digest of the bytes as they lie at the provider.
    pub sha256: ContentHash,
}

/// The provider's word about what becomes of an order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// Id of the photo's grant.
    pub grant_id: String,
    /// What it is now.
    pub state: Stage,
    /// In words for the owner, with the tracking number where there is one.
    #[serde(default)]
    pub note: String,
}

/// How far a provider is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// It is being made.
    Production,
    /// It is on its way.
    Shipped,
    /// It is over.
    Done,
    /// It cannot be made.
    Failed,
}

impl Stage {
    const fn state(self) -> OrderState {
        match self {
            Self::Production => OrderState::Production,
            Self::Shipped => OrderState::Shipped,
            Self::Done => OrderState::Done,
            Self::Failed => OrderState::Failed,
        }
    }
}

pub(super) async fn receipt(
    State(service): State<Arc<Service>>,
    via: Via,
    Path(order_key): Path<String>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Response {
    answer(move || {
        let receipt: Receipt = serde_json::from_slice(&body).map_err(Failure::Body)?;
        let path = via.signed_path(&format!("/v1/orders/{order_key}/receipt"));
        let shown = Shown { method: "POST", path: &path, headers: &headers, via: &via };
        let grant = authorise_for(&service, &shown, &receipt.grant_id, &order_key)?;
        if grant.digest != receipt.sha256 {
            return Err(reverse(&service, &grant, &receipt.sha256));
        }
        // Its word that it has the bytes stands in for deliveries that a crash forgot.
        post_access(&service, &grant, &via.way())?;
        complete(&service, &order_key, CONFIRMED)
    })
    .await
}

pub(super) async fn status(
    State(service): State<Arc<Service>>,
    via: Via,
    Path(order_key): Path<String>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Response {
    answer(move || {
        let status: Status = serde_json::from_slice(&body).map_err(Failure::Body)?;
        let path = via.signed_path(&format!("/v1/orders/{order_key}/status"));
        let shown = Shown { method: "POST", path: &path, headers: &headers, via: &via };
        authorise_for(&service, &shown, &status.grant_id, &order_key)?;
        let parcel = service.state.parcel_of(&order_key).map_err(Failure::Store)?;
        let parcel = parcel.ok_or(Failure::OtherDigest)?;
        let plain = |c: &char| !c.is_control();
        let note: String = status.note.chars().filter(plain).take(NOTE_CHARS_MAX).collect();
        let news = News { state: status.state.state(), note: &note, next_look_at: None };
        let changed = service.state.parcel_news(&parcel.parcel_key, None, news, Timestamp::now());
        for order in changed.map_err(Failure::Store)? {
            (service.tell)(Served::Moved(Box::new(order)));
        }
        Ok(())
    })
    .await
}

/// A provider has other bytes than were granted: what it paid is posted back, and it may fetch once
/// more; the second time the order fails.
pub(super) fn reverse(service: &Service, grant: &GrantRow, received: &ContentHash) -> Failure {
    let reason =
        format!("`{}` received other bytes than were granted ({received})", grant.provider);
    match service.state.reverse_access(grant, &reason, Timestamp::now()) {
        Ok(Reversed::Back) => (service.tell)(Served::Reversed(Box::new(grant.clone()))),
        Ok(Reversed::Failed(order)) => (service.tell)(Served::Failed(order)),
        Ok(Reversed::NothingPosted | Reversed::Over) => {}
        Err(error) => return Failure::Store(error),
    }
    Failure::OtherDigest
}

/// Decides whether a provider may speak of an order: it shows a grant of it.
fn authorise_for(
    service: &Service,
    shown: &Shown<'_>,
    grant_id: &str,
    order_key: &str,
) -> Result<GrantRow, Failure> {
    let grant = authorise(service, shown, grant_id)?.grant;
    match grant.order_key == order_key {
        true => Ok(grant),
        false => Err(Failure::OtherDigest),
    }
}

/// Does blocking work off the async threads and says how it went.
async fn answer(work: impl FnOnce() -> Result<(), Failure> + Send + 'static) -> Response {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(())) => reply::done(),
        Ok(Err(failure)) => failure.into_reply(),
        Err(error) => Failure::Bug(error.to_string()).into_reply(),
    }
}
