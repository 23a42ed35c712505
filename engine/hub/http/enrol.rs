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

use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{Object, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::api::{Body, Named, Text};
use super::problem::{Kind, Problem};
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

/// Who this hub is
///
/// For a computer that is about to join; believed only with the proof that the hub gives then.
#[utoipa::path(get, path = "/v1/join", tag = "agent", security(()),
    responses((status = 200, body = OfferShape)))]
pub(super) async fn offer(State(state): State<Arc<HubState>>) -> Result<Json<JoinOffer>, Problem> {
    Ok(state.desk.offer(state.certificate.clone(), Timestamp::now()).map(Json)?)
}

/// Join
///
/// The body is a JWS (compact, `EdDSA`, `typ` signet-join+jws) by the key of the computer over its
/// key, the hub's key and nonce, a nonce of its own, the certificate that it sees, and the proof that
/// it knows the code. May be repeated.
#[utoipa::path(post, path = "/v1/join", tag = "agent", security(()),
    request_body(content = SignedText, content_type = "text/plain"),
    responses((status = 200, body = AnswerShape)))]
pub(super) async fn join(
    State(state): State<Arc<HubState>>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    Text(ask): Text,
) -> Result<Json<JoinAnswer>, Problem> {
    off_thread(move || {
        let knock = Knock { ask: &ask, remote: &remote.ip().to_string() };
        let pinned = state.certificate.as_deref();
        state.desk.join(state.store.as_ref(), knock, pinned, Timestamp::now())
    })
    .await
    .map(Json)
}

/// Change the key of a computer
///
/// Both keys sign the same: the computer's id, the hub's key, the key that was and the key that will
/// be (JWS, `typ` signet-new-key+jws). May be repeated.
#[utoipa::path(post, path = "/v1/agents/{agent}/key", tag = "agent", security(()),
    params(("agent" = String, Path, description = "Id of the computer")),
    request_body(content = KeyChangeShape, content_type = "application/json"),
    responses((status = 200, body = DoneView)))]
pub(super) async fn change_key(
    State(state): State<Arc<HubState>>,
    Named(agent_id): Named,
    Body(change): Body<KeyChange>,
) -> Result<Json<DoneView>, Problem> {
    off_thread(move || {
        state.desk.change_key(state.store.as_ref(), &agent_id, &change, Timestamp::now())
    })
    .await
    .map(|()| Json(DoneView {}))
}

/// Leave
///
/// The body is a JWS (`typ` signet-leave+jws) by the key of the computer over its id, the hub's key
/// and the moment. May be repeated.
#[utoipa::path(post, path = "/v1/agents/{agent}/leave", tag = "agent", security(()),
    params(("agent" = String, Path, description = "Id of the computer")),
    request_body(content = SignedText, content_type = "text/plain"),
    responses((status = 200, body = DoneView)))]
pub(super) async fn leave(
    State(state): State<Arc<HubState>>,
    Named(agent_id): Named,
    Text(text): Text,
) -> Result<Json<DoneView>, Problem> {
    off_thread(move || state.desk.leave(state.store.as_ref(), &agent_id, &text, Timestamp::now()))
        .await
        .map(|()| Json(DoneView {}))
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EnrolError> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.unwrap_or_else(|error| Err(EnrolError::Broken(error.to_string())))?)
}

impl From<EnrolError> for Problem {
    fn from(error: EnrolError) -> Self {
        let detail = error.to_string();
        match error {
            EnrolError::Code
            | EnrolError::Between
            | EnrolError::Nonce
            | EnrolError::Signature(_) => Self::new(Kind::NotProven, detail),
            EnrolError::Wait { wait_ms } => {
                Self::new(Kind::TooMany, detail).after(wait_ms.unsigned_abs() / 1000 + 1)
            }
            EnrolError::KeyTaken | EnrolError::Refused(_) => Self::new(Kind::Conflict, detail),
            EnrolError::NoAgent => Self::new(Kind::NotFound, detail),
            EnrolError::Operator(error) => error.into(),
            EnrolError::Store(error) => error.into(),
            EnrolError::Random(_) | EnrolError::Broken(_) => Self::failed(detail),
        }
    }
}

/// It is done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DoneView {}

/// Who a hub is: the shape of a [`JoinOffer`].
#[derive(ToSchema)]
#[schema(as = JoinOffer)]
#[expect(dead_code, reason = "it describes what another type says")]
pub(super) struct OfferShape {
    /// The hub's Ed25519 key, base64url.
    #[schema(schema_with = key_schema)]
    hub_key: String,
    /// Good for two minutes.
    nonce: String,
    /// SHA-256 of the certificate that the hub made itself; absent where it shows another one.
    #[schema(required = false, schema_with = certificate_schema)]
    certificate: Option<String>,
    /// Version of what agents and hub say to each other.
    protocol: u32,
    /// Who runs it.
    name: String,
}

/// What a computer gets that joined: the shape of a [`JoinAnswer`].
#[derive(ToSchema)]
#[schema(as = JoinAnswer)]
#[expect(dead_code, reason = "it describes what another type says")]
pub(super) struct AnswerShape {
    /// Its id.
    #[schema(schema_with = key_schema)]
    agent_id: String,
    /// Where providers reach it.
    base_url: String,
    /// What the operator calls it.
    label: String,
    /// Proves that the hub knows the code, base64url.
    proof: String,
}

/// The shape of a [`KeyChange`].
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KeyChange)]
#[expect(dead_code, reason = "it describes what another type says")]
pub(super) struct KeyChangeShape {
    /// By the key that was.
    #[schema(schema_with = signed_schema)]
    by_old: String,
    /// By the key that will be.
    #[schema(schema_with = signed_schema)]
    by_new: String,
}

/// A JWS, compact.
pub(super) struct SignedText;

impl PartialSchema for SignedText {
    fn schema() -> RefOr<Schema> {
        signed_schema().into()
    }
}

impl ToSchema for SignedText {}

fn signed_schema() -> Object {
    text_like(r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$")
}

fn key_schema() -> Object {
    text_like("^[A-Za-z0-9_-]{43}$")
}

fn certificate_schema() -> Object {
    text_like("^[0-9a-f]{64}$")
}

fn text_like(pattern: &str) -> Object {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).build()
}
