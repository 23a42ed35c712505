//! Receives orders over HTTP: the provider's end of a webhook.
//!
//! ```text
//! POST  /orders/{owner}    a signed CloudEvent (Standard Webhooks `v1` or `v1a`)
//! GET   /health
//! ```
//!
//! 202 means that the order is kept safely and will be worked on; sending it again gives
//! 200 and changes nothing. An order that is taken back gives 200 when it was stopped, 409 when it
//! is too late.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::signature::Sender;
use crate::base::clock::Timestamp;
use crate::orders::webhook::{
    BODY_BYTES_MAX, CANCEL_EVENT, CancelMessage, CloudEvent, ORDER_EVENT, OrderMessage,
};

/// Whoever keeps orders that arrive. Called off the async threads.
pub trait Inbox: Send + Sync + 'static {
    /// What an owner is known by, by the last part of the address they post to; one that was not
    /// invited has neither secret nor key.
    fn sender(&self, owner: &str) -> Sender;

    /// Keeps an order so that a crash cannot lose it.
    ///
    /// # Errors
    /// See [`NotTaken`].
    fn take(&self, owner: &str, event: CloudEvent) -> Result<Taken, NotTaken>;

    /// Stops an order, also one that has not arrived yet; says in words what that means.
    ///
    /// # Errors
    /// See [`NotStopped`].
    fn stop(&self, event: CloudEvent<CancelMessage>) -> Result<String, NotStopped>;
}

/// An order is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// For the first time.
    New,
    /// It was here before.
    Again,
}

/// Why an order is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotTaken {
    /// It cannot be fulfilled; sending it again will not help.
    Unfit(String),
    /// Something failed here; send it again.
    Trouble(String),
}

/// Why an order is not stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotStopped {
    /// It is being made, or done.
    TooLate(String),
    /// It is somebody else's, or none.
    Unknown(String),
    /// Something failed here; send it again.
    Trouble(String),
}

/// Serves on a listener that the caller opened, until `shutdown` becomes true.
///
/// # Errors
/// Only what the listener itself reports.
pub async fn serve(
    listener: TcpListener,
    inbox: Arc<dyn Inbox>,
    mut shutdown: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/orders/{owner}", post(order))
        .route("/health", get(|| async { "ok\n" }))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(inbox);
    axum::serve(listener, router)
        .with_graceful_shutdown(async move {
            let _ = shutdown.wait_for(|stop| *stop).await;
        })
        .await
}

async fn order(
    State(inbox): State<Arc<dyn Inbox>>,
    Path(owner): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let handled =
        tokio::task::spawn_blocking(move || take(inbox.as_ref(), &owner, &headers, &body));
    let (status, text) = handled.await.unwrap_or_else(|error| {
        tracing::error!(%error, "an order broke off");
        (StatusCode::INTERNAL_SERVER_ERROR, "the lab has a problem".into())
    });
    (status, Json(json!({ "status": status.as_u16(), "detail": text }))).into_response()
}

fn take(inbox: &dyn Inbox, owner: &str, headers: &HeaderMap, body: &[u8]) -> (StatusCode, String) {
    // An unknown owner and a wrong signature look alike from outside.
    if !inbox.sender(owner).signed(headers, body, Timestamp::now()) {
        return (StatusCode::UNAUTHORIZED, "the signature does not match".into());
    }
    let trouble = |why: String| {
        tracing::error!(why, "an order could not be kept");
        (StatusCode::INTERNAL_SERVER_ERROR, "the lab has a problem".into())
    };
    match event_of(body) {
        Err(why) => (StatusCode::UNPROCESSABLE_ENTITY, why),
        Ok(Event::Order(event)) => match inbox.take(owner, *event) {
            Ok(Taken::New) => (StatusCode::ACCEPTED, "kept".into()),
            Ok(Taken::Again) => (StatusCode::OK, "kept before".into()),
            Err(NotTaken::Unfit(why)) => (StatusCode::UNPROCESSABLE_ENTITY, why),
            Err(NotTaken::Trouble(why)) => trouble(why),
        },
        Ok(Event::Cancel(event)) => match inbox.stop(event) {
            Ok(words) => (StatusCode::OK, words),
            Err(NotStopped::TooLate(why)) => (StatusCode::CONFLICT, why),
            Err(NotStopped::Unknown(why)) => (StatusCode::UNPROCESSABLE_ENTITY, why),
            Err(NotStopped::Trouble(why)) => trouble(why),
        },
    }
}

enum Event {
    Order(Box<CloudEvent<OrderMessage>>),
    Cancel(CloudEvent<CancelMessage>),
}

/// An event of a kind that is handled here, or why it is none.
fn event_of(body: &[u8]) -> Result<Event, String> {
    let no_order = |error: serde_json::Error| format!("no order: {error}");
    let event: CloudEvent<serde::de::IgnoredAny> =
        serde_json::from_slice(body).map_err(no_order)?;
    match event.event_type.as_str() {
        ORDER_EVENT => serde_json::from_slice(body).map(Event::Order).map_err(no_order),
        CANCEL_EVENT => serde_json::from_slice(body).map(Event::Cancel).map_err(no_order),
        other => Err(format!("events of type {other} are not handled here")),
    }
}
