//! Computers join, change their key and leave: requests of agents that have no channel.
//!
//! ```text
//! GET   /v1/join               who this hub is, for somebody who is about to join
//! POST  /v1/join               a signed request with the proof of a code
//! POST  /v1/agents/{id}/key    a new key, signed by the old one and itself
//! POST  /v1/agents/{id}/leave  the end, signed
//! ```
//!
//! Everybody may ask; what is not signed or proven as it should be changes nothing.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;

use crate::base::clock::Timestamp;
use crate::hub::enrol::{ENROL_BYTES_MAX, EnrolError, JoinAnswer, JoinOffer, KeyChange, Knock};
use crate::hub::run::HubState;

/// What agents without a channel ask.
pub(super) fn routes() -> Router<Arc<HubState>> {
    Router::new()
        .route("/v1/join", get(offer).post(join))
        .route("/v1/agents/{agent}/key", post(change_key))
        .route("/v1/agents/{agent}/leave", post(leave))
        .layer(DefaultBodyLimit::max(ENROL_BYTES_MAX))
}

async fn offer(State(state): State<Arc<HubState>>) -> Result<Json<JoinOffer>, EnrolError> {
    state.desk.offer(state.certificate.clone(), Timestamp::now()).map(Json)
}

async fn join(
    State(state): State<Arc<HubState>>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    ask: String,
) -> Result<Json<JoinAnswer>, EnrolError> {
    off_thread(move || {
        let knock = Knock { ask: &ask, remote: &remote.ip().to_string() };
        let pinned = state.certificate.as_deref();
        state.desk.join(state.store.as_ref(), knock, pinned, Timestamp::now())
    })
    .await
    .map(Json)
}

async fn change_key(
    State(state): State<Arc<HubState>>,
    Path(agent_id): Path<String>,
    Json(change): Json<KeyChange>,
) -> Result<Json<serde_json::Value>, EnrolError> {
    off_thread(move || {
        state.desk.change_key(state.store.as_ref(), &agent_id, &change, Timestamp::now())
    })
    .await
    .map(|()| Json(json!({})))
}

async fn leave(
    State(state): State<Arc<HubState>>,
    Path(agent_id): Path<String>,
    text: String,
) -> Result<Json<serde_json::Value>, EnrolError> {
    off_thread(move || state.desk.leave(state.store.as_ref(), &agent_id, &text, Timestamp::now()))
        .await
        .map(|()| Json(json!({})))
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EnrolError> + Send + 'static,
) -> Result<T, EnrolError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(EnrolError::Broken(error.to_string())))
}

impl IntoResponse for EnrolError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Code | Self::Between => StatusCode::FORBIDDEN,
            Self::Wait { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::KeyTaken | Self::Refused(_) => StatusCode::CONFLICT,
            Self::Nonce | Self::Signature(_) => StatusCode::BAD_REQUEST,
            Self::NoAgent => StatusCode::NOT_FOUND,
            Self::Operator(_) | Self::Random(_) | Self::Store(_) | Self::Broken(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        let detail = match status {
            StatusCode::INTERNAL_SERVER_ERROR => {
                tracing::error!(error = %self, "a computer could not join, change its key or leave");
                "the hub has a problem: try again later".to_owned()
            }
            _ => self.to_string(),
        };
        let title = status.canonical_reason();
        let body = json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail });
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        let problem = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, problem);
        if let Self::Wait { wait_ms } = self {
            headers.insert(header::RETRY_AFTER, (wait_ms / 1000 + 1).into());
        }
        response
    }
}
