//! Two texts for each failure: one for the client, one for the log. Paths and SQL appear
//! only in the log.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::NotThere;
use crate::access::Refusal;
use crate::store::StoreError;

/// Why a request got nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// The check said no.
    Refused(Refusal),
    /// The bytes cannot be had.
    NotThere(NotThere),
    /// The receipt names other bytes than were granted.
    OtherDigest,
    /// The body is not what was expected.
    Body(serde_json::Error),
    /// The range lies outside the member, which is that long.
    Range(u64),
    /// Fetched in too many pieces.
    TooManyRanges,
    /// A link was used as often as it may be.
    UsedUp,
    /// Too much at once.
    Crowded,
    /// The disk.
    Disk(std::io::Error),
    /// The store.
    Store(StoreError),
    /// A bug.
    Bug(String),
}

impl Failure {
    fn status(&self) -> StatusCode {
        match self {
            Self::Refused(Refusal::NoGrant | Refusal::NoProof | Refusal::Proof(_)) => {
                StatusCode::UNAUTHORIZED
            }
            Self::Refused(Refusal::Expired | Refusal::Revoked | Refusal::NoConsent)
            | Self::NotThere(NotThere::Gone)
            | Self::UsedUp => StatusCode::GONE,
            Self::Refused(Refusal::Stopped) | Self::NotThere(NotThere::Offline) | Self::Crowded => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Refused(_) => StatusCode::FORBIDDEN,
            Self::OtherDigest => StatusCode::CONFLICT,
            Self::Body(_) => StatusCode::BAD_REQUEST,
            Self::Range(_) => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::TooManyRanges => StatusCode::TOO_MANY_REQUESTS,
            Self::Disk(_) | Self::Store(_) | Self::Bug(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn for_client(&self) -> String {
        match self {
            Self::Refused(refusal) => refusal.to_string(),
            Self::NotThere(why) => why.to_string(),
            Self::OtherDigest => "these are not the bytes that were granted: fetch again".into(),
            Self::Body(_) => "the receipt should be JSON with grant_id and sha256".into(),
            Self::Range(bytes_count) => format!("the member has {bytes_count} bytes"),
            Self::TooManyRanges => "fetched in too many pieces: ask the owner".into(),
            Self::UsedUp => "this link was used as often as it may be: ask for another".into(),
            Self::Crowded => "too many requests at once".into(),
            Self::Disk(_) | Self::Store(_) | Self::Bug(_) => "the agent has a problem".into(),
        }
    }

    pub(super) fn into_reply(self) -> Response {
        match &self {
            Self::Disk(error) => tracing::error!(%error, "a member could not be read"),
            Self::Store(error) => tracing::error!(%error, "the store failed"),
            Self::Bug(error) => tracing::error!(error, "a request broke off"),
            Self::Body(error) => tracing::debug!(%error, "a receipt could not be read"),
            other => tracing::debug!(?other, "request refused"),
        }
        let status = self.status();
        let body = json!({
            "type": "about:blank",
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": self.for_client(),
        });
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        let problem = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, problem);
        match (&self, status) {
            (Self::Range(bytes_count), _) => {
                if let Ok(value) = HeaderValue::try_from(format!("bytes */{bytes_count}")) {
                    headers.insert(header::CONTENT_RANGE, value);
                }
            }
            (_, StatusCode::UNAUTHORIZED) => {
                let scheme = HeaderValue::from_static(r#"DPoP algs="EdDSA""#);
                headers.insert(header::WWW_AUTHENTICATE, scheme);
            }
            (_, StatusCode::SERVICE_UNAVAILABLE) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        response
    }
}

/// The answer to a receipt.
pub(super) fn done() -> Response {
    Json(json!({ "status": "done" })).into_response()
}
