//! What those who run the hub look at: `/metrics`, `/health`, `/ready`, at an address of its own that
//! only they reach (`metrics` in hub.toml).
//!
//! ```text
//! /metrics   OpenMetrics text, see `hub::metrics`
//! /health    200 while the program answers at all: restart it when it does not
//! /ready     200 while the database answers and the hub is not about to stop; else 503
//! ```

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::api::Api;
use crate::hub::metrics::{StoreWork, TEXT_TYPE};

/// What is looked at.
pub struct Monitor {
    /// The database and the counts.
    pub api: Arc<Api>,
    /// How many agents are connected just now.
    pub agents_count: Box<dyn Fn() -> usize + Send + Sync>,
    /// Becomes true when the hub is to stop.
    pub shutdown: watch::Receiver<bool>,
}

/// Serves on a listener that the caller opened, until the hub stops.
///
/// # Errors
/// Only what the listener itself reports.
pub async fn serve(listener: TcpListener, monitor: Monitor) -> std::io::Result<()> {
    let mut shutdown = monitor.shutdown.clone();
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(|| async { "ok\n" }))
        .route("/ready", get(ready))
        .with_state(Arc::new(monitor));
    axum::serve(listener, router)
        .with_graceful_shutdown(async move {
            let _ = shutdown.wait_for(|stop| *stop).await;
        })
        .await
}

async fn metrics(State(monitor): State<Arc<Monitor>>) -> Response {
    monitor.api.metrics.agents((monitor.agents_count)());
    ([(header::CONTENT_TYPE, TEXT_TYPE)], monitor.api.metrics.text()).into_response()
}

async fn ready(State(monitor): State<Arc<Monitor>>) -> Response {
    if *monitor.shutdown.borrow() {
        return (StatusCode::SERVICE_UNAVAILABLE, "about to stop\n").into_response();
    }
    let asked = monitor.api.work(StoreWork::Read, |api| Ok(api.store.providers().map(|_| ())?));
    match asked.await {
        Ok(()) => "ready\n".into_response(),
        Err(_logged) => {
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n").into_response()
        }
    }
}
