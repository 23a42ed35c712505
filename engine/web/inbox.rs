//! Receives orders over HTTP: the provider's end of a webhook.
//!
//! ```text
//! POST  /orders/{owner}    a signed CloudEvent (Standard Webhooks `v1`)
//! GET   /health
//! ```
//!
//! 202 means that the order is kept safely and will be worked on; sending it again gives
//! 200 and changes nothing.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use standardwebhooks::Webhook;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::orders::webhook::{BODY_BYTES_MAX, CloudEvent, ORDER_EVENT};

/// Whoever keeps orders that arrive. Called off the async threads.
pub trait Inbox: Send + Sync + 'static {
    /// The secret shared with an owner, by the last part of the address they post to.
    fn secret(&self, owner: &str) -> Option<String>;

    /// Keeps an order so that a crash cannot lose it.
    ///
    /// # Errors
    /// See [`NotTaken`].
    fn take(&self, owner: &str, event: CloudEvent) -> Result<Taken, NotTaken>;
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
    let believed = inbox
        .secret(owner)
        .and_then(|secret| Webhook::new(&secret).ok()?.verify(body, headers).ok());
    if believed.is_none() {
        return (StatusCode::UNAUTHORIZED, "the signature does not match".into());
    }
    let event: CloudEvent = match serde_json::from_slice(body) {
        Ok(event) => event,
        Err(error) => return (StatusCode::UNPROCESSABLE_ENTITY, format!("no order: {error}")),
    };
    if event.event_type != ORDER_EVENT {
        let text = format!("events of type {} are not handled here", event.event_type);
        return (StatusCode::UNPROCESSABLE_ENTITY, text);
    }
    match inbox.take(owner, event) {
        Ok(Taken::New) => (StatusCode::ACCEPTED, "kept".into()),
        Ok(Taken::Again) => (StatusCode::OK, "kept before".into()),
        Err(NotTaken::Unfit(why)) => (StatusCode::UNPROCESSABLE_ENTITY, why),
        Err(NotTaken::Trouble(why)) => {
            tracing::error!(why, "an order could not be kept");
            (StatusCode::INTERNAL_SERVER_ERROR, "the lab has a problem".into())
        }
    }
}
