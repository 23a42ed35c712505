//! Who calls the API: a provider by its secret or its key, an operator by a session.
//!
//! ```text
//! Authorization: Bearer SECRET    a provider that was given one
//! Signet-Proof: JWS               a provider with a key (`access::signed_call`)
//! Authorization: Bearer TOKEN     an operator, below /v1/operator
//! ```
//!
//! Handlers find the caller as an extension of the request and ask nothing more of who it is: a
//! route without one of these layers cannot be written by mistake, since its handler would not be
//! answered. Who fails to show who they are is slowed down by address; a provider is slowed
//! down as agreed with it. What somebody else's secret would open is never told from what is not
//! there.

use std::sync::{Arc, PoisonError};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::api::{Api, BODY_BYTES_MAX, remote};
use super::pace::Wait;
use super::problem::{Kind, Problem};
use crate::access::signed_call::{HEADER, SignedCall};
use crate::base::clock::Timestamp;
use crate::base::ids::ContentHash;
use crate::hub::metrics::StoreWork;
use crate::hub::operators;
use crate::store::hub::{ProviderRow, ProviderState};

/// The provider that calls.
#[derive(Debug, Clone)]
pub(super) struct Caller(pub Arc<ProviderRow>);

/// The session that an operator calls with.
#[derive(Debug, Clone)]
pub(super) struct Signed {
    /// Who.
    pub actor: operators::Actor,
    /// With which token.
    pub token: Arc<str>,
}

/// Lets providers in, and nobody else.
pub(super) async fn provider(
    State(api): State<Arc<Api>>,
    request: Request,
    next: Next,
) -> Response {
    let address = remote(request.extensions());
    // The body is signed as well, so it is read before anybody is let in; it is short.
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, BODY_BYTES_MAX).await else {
        return Problem::new(Kind::TooLarge, "the body has more than 64 KiB").into_response();
    };
    let Some(shown) = Shown::of(&parts.headers) else {
        return refuse(&api, address, "show who you are: see Authorization");
    };
    let call = Call {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        body: body.clone(),
    };
    let found = api.work(StoreWork::Read, move |api| find(api, &shown, &call)).await;
    let row = match found {
        Ok(Ok(row)) => row,
        Ok(Err(why)) => return refuse(&api, address, &why),
        Err(problem) => return problem.into_response(),
    };
    if let Err(wait) = api.pace.provider(&row.name, row.requests_per_minute) {
        return too_many(wait);
    }
    if row.state == ProviderState::Closed {
        return Problem::new(Kind::Forbidden, "this account is closed").into_response();
    }
    let mut request = Request::from_parts(parts, axum::body::Body::from(body));
    request.extensions_mut().insert(Caller(Arc::new(row)));
    next.run(request).await
}

/// Lets operators in, and nobody else.
pub(super) async fn operator(
    State(api): State<Arc<Api>>,
    mut request: Request,
    next: Next,
) -> Response {
    let address = remote(request.extensions());
    let Some(token) = bearer(request.headers()) else {
        return refuse(&api, address, "sign in with POST /v1/operator/session");
    };
    let token: Arc<str> = token.into();
    let shown = token.clone();
    let found = api.work(StoreWork::Read, move |api| {
        Ok(operators::session(&*api.store, &shown, Timestamp::now())?)
    });
    match found.await {
        Ok(Some(actor)) => {
            request.extensions_mut().insert(Signed { actor, token });
            next.run(request).await
        }
        Ok(None) => refuse(&api, address, "this session is over: sign in again"),
        Err(problem) => problem.into_response(),
    }
}

/// Slows down by address whoever calls what is open to all.
pub(super) async fn stranger(
    State(api): State<Arc<Api>>,
    request: Request,
    next: Next,
) -> Response {
    match api.pace.stranger(remote(request.extensions())) {
        Ok(()) => next.run(request).await,
        Err(wait) => too_many(wait),
    }
}

fn refuse(api: &Api, address: std::net::IpAddr, why: &str) -> Response {
    match api.pace.stranger(address) {
        Ok(()) => Problem::new(Kind::Unauthorised, why).into_response(),
        Err(wait) => too_many(wait),
    }
}

fn too_many(Wait { wait_s }: Wait) -> Response {
    Problem::new(Kind::TooMany, "more requests than agreed").after(wait_s).into_response()
}

/// What a provider shows.
enum Shown {
    Secret(String),
    Proof(String),
}

impl Shown {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let proof = headers.get(HEADER).and_then(|value| value.to_str().ok());
        proof
            .map(|proof| Self::Proof(proof.to_owned()))
            .or_else(|| bearer(headers).map(Self::Secret))
    }
}

/// A call as it was signed.
struct Call {
    method: String,
    path: String,
    body: axum::body::Bytes,
}

/// The provider that something shown belongs to, or why it is none.
fn find(api: &Api, shown: &Shown, call: &Call) -> Result<Result<ProviderRow, String>, Problem> {
    match shown {
        Shown::Secret(secret) => {
            let row = api.store.provider_by_secret(&ContentHash::of(secret.as_bytes()))?;
            Ok(row.ok_or_else(|| "this secret is nobody's".into()))
        }
        Shown::Proof(proof) => {
            let url = format!("{}{}", api.base_url, call.path);
            let signed = SignedCall { method: &call.method, url: &url, body: &call.body };
            let checked = {
                let mut seen = api.seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.check_call(proof, signed, Timestamp::now())
            };
            match checked {
                Ok(key) => {
                    let row = api.store.provider_by_key(&key.to_string())?;
                    Ok(row.ok_or_else(|| "this key is nobody's here".into()))
                }
                Err(error) => Ok(Err(format!("{error} (this call is `{} {url}`)", call.method))),
            }
        }
    }
}

/// The token behind `Bearer`.
fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer") && !token.is_empty();
    is_bearer.then(|| token.trim().to_owned())
}
