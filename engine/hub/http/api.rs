//! What all handlers of the API share: state, bodies and queries that answer mistakes with
//! problems, work off the async threads.
//!
//! ```text
//! openapi       what there is, as OpenAPI; /v1/openapi.json, /v1/problems/…
//! caller        who calls: a provider by secret or key, an operator by session
//! provider_api  /v1/provider/…
//! operator_api  /v1/operator/…
//! pace, problem how often, and why not
//! ```

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{
    ConnectInfo, DefaultBodyLimit, FromRequest, FromRequestParts, Query, Request, State,
};
use axum::http::Extensions;
use axum::http::request::Parts;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::pace::Pace;
use super::problem::{Counted, Kind, Problem};
use super::{openapi, operator_api, provider_api};
use crate::access::proof::Seen;
use crate::base::allow::Allow;
use crate::base::clock::Timestamp;
use crate::hub::brake::{Brake, Looked, Unusual};
use crate::hub::metrics::{Metrics, StoreWork};
use crate::hub::notices;
use crate::hub::operators::Door;
use crate::store::StoreError;
use crate::store::hub::{HubStore, ProviderRow};

/// Largest body of a call, in bytes.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// Everything that calls of the API need.
pub struct Api {
    /// What the hub keeps.
    pub store: Arc<dyn HubStore>,
    /// How owners and providers name the hub, no slash at the end.
    pub base_url: String,
    /// Part that the service keeps where nothing else is said, 0 to 100.
    pub service_percent: u8,
    /// Providers that are told of things elsewhere than at public addresses.
    pub allow: Allow,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Pauses.
    pub brake: Arc<Brake>,
    /// Slows down.
    pub pace: Arc<Pace>,
    /// Where operators come in.
    pub door: Door,
    /// Calls that were signed, each good once.
    pub seen: Mutex<Seen>,
}

impl Api {
    /// Does something with the store off the async threads.
    ///
    /// # Errors
    /// What the work says; `Failed` when it broke off.
    pub async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        operation: StoreWork,
        work: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let api = self.clone();
        let ended = tokio::task::spawn_blocking(move || {
            let metrics = api.metrics.clone();
            metrics.timed(operation, || work(&api))
        });
        ended.await.unwrap_or_else(|error| Err(Problem::failed(error)))
    }

    /// Looks what a provider did lately: counts it, pauses it when that is unusual, and tells it when
    /// little is left on its account.
    ///
    /// # Errors
    /// As the store.
    pub fn look(&self, row: &ProviderRow, now: Timestamp) -> Result<(), StoreError> {
        let Looked { new_count, unusual } = self.brake.look(&*self.store, row, now)?;
        self.metrics.accesses(new_count);
        self.note(unusual);
        notices::warn_of_low_credit(&*self.store, row, now)
    }

    /// A try of a provider was refused, and it was proven to be the provider's.
    ///
    /// # Errors
    /// As the store.
    pub fn refused(&self, provider: &str, now: Timestamp) -> Result<(), StoreError> {
        self.note(self.brake.refused(&*self.store, provider, now)?);
        Ok(())
    }

    fn note(&self, unusual: Option<Unusual>) {
        if unusual.is_some() {
            self.metrics.pulled();
        }
    }
}

/// The routes of the API for providers and operators, and its description. To be merged into the
/// hub's router, which brings what an unknown address is answered with ([`nothing_here`]).
pub fn router(api: &Arc<Api>) -> Router {
    Router::new()
        .merge(provider_api::router(api))
        .merge(operator_api::router(api))
        .merge(openapi::router(api))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn(hide))
}

/// An address that nobody knows.
pub async fn nothing_here() -> Problem {
    Problem::not_found()
}

/// An address that knows other methods.
pub async fn no_such_method() -> Problem {
    Problem::new(Kind::Method, "see the header Allow")
}

/// Counts what was refused.
pub(super) async fn count(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if let Some(Counted(reason)) = response.extensions().get() {
        api.metrics.refusal(*reason);
    }
    response
}

/// Answers of the API are for one caller, and nothing to be shown as a page.
async fn hide(request: Request, next: Next) -> Response {
    use axum::http::{HeaderValue, header};
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// The address that a request came from; who has made no connection is this computer.
pub(super) fn remote(extensions: &Extensions) -> IpAddr {
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    extensions.get::<ConnectInfo<SocketAddr>>().map_or(here, |info| info.0.ip())
}

/// A JSON body; mistakes in it are problems.
pub(super) struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let axum::Json(mut value) = axum::Json::from_request(request, state).await?;
        make_whole(&mut value);
        let read = serde_json::from_value(value);
        read.map(Self).map_err(|error| Problem::new(Kind::Malformed, error.to_string()))
    }
}

/// A body that is text; one that is not, or too long, is a problem.
pub(super) struct Text(pub String);

impl<S: Send + Sync> FromRequest<S> for Text {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        Ok(Self(String::from_request(request, state).await?))
    }
}

/// Makes integers of numbers such as `25.0`: to JSON Schema they are, and some programs write them
/// so.
fn make_whole(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            let whole = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 1e15);
            if let Some(whole) = whole.and_then(|whole| format!("{whole:.0}").parse::<i64>().ok()) {
                *number = whole.into();
            }
        }
        Value::Array(values) => values.iter_mut().for_each(make_whole),
        Value::Object(fields) => fields.values_mut().for_each(make_whole),
        _ => {}
    }
}

/// What stands behind the `?`; mistakes in it are problems.
pub(super) struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(value) = Query::from_request_parts(parts, state).await?;
        Ok(Self(value))
    }
}

/// A piece of the path; what is no text is not here.
pub(super) struct Named(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let axum::extract::Path(name) =
            axum::extract::Path::<String>::from_request_parts(parts, state).await?;
        Ok(Self(name))
    }
}

/// Reads a moment: RFC 3339. One beyond those that can be counted is the last or first of them.
pub(super) fn moment(text: &str, field: &str) -> Result<Timestamp, Problem> {
    let wrong = || {
        let detail = format!("`{field}` should be a moment such as 2026-11-01T00:00:00Z");
        Problem::new(Kind::Malformed, detail)
    };
    let moment = text.parse().or_else(|_unread| {
        let pieces = jiff::fmt::temporal::Pieces::parse(text).ok().ok_or_else(wrong)?;
        match pieces.offset() {
            Some(_) if pieces.date().year() > 0 => Ok(jiff::Timestamp::MAX),
            Some(_) => Ok(jiff::Timestamp::MIN),
            None => Err(wrong()),
        }
    })?;
    Ok(Timestamp(moment.as_millisecond()))
}

#[cfg(test)]
mod tests;
