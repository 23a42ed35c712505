//! A [`Refusal`] as providers get it: `application/problem+json` (RFC 9457), with when to come again.
//!
//! What went wrong in the hub itself is in the log and not in the answer.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::hub::relay::Refusal;

/// A provider is told when an agent is back; one that hears nothing asks again after so long.
const AWAY_S: u32 = 60;
const SOON_S: u32 = 5;

fn status(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::Nothing => StatusCode::NOT_FOUND,
        Refusal::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
        Refusal::Over => StatusCode::GONE,
        Refusal::Closed(_) => StatusCode::FORBIDDEN,
        Refusal::NoCredit => StatusCode::PAYMENT_REQUIRED,
        Refusal::Away | Refusal::Crowded | Refusal::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        Refusal::Late => StatusCode::GATEWAY_TIMEOUT,
        Refusal::Nonsense => StatusCode::BAD_GATEWAY,
        Refusal::Large => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::Slow => StatusCode::REQUEST_TIMEOUT,
        Refusal::Store(_) | Refusal::Bug(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match &self {
            Self::Store(error) => tracing::error!(%error, "the store failed"),
            Self::Bug(error) => tracing::error!(error, "a request broke off"),
            other => tracing::debug!(%other, "request refused"),
        }
        let status = status(&self);
        let body = json!({
            "type": "about:blank",
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": self.to_string(),
        });
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        let problem = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, problem);
        let again_s = match &self {
            Self::Away | Self::Late => Some(AWAY_S),
            Self::Crowded | Self::Stopping => Some(SOON_S),
            _ => None,
        };
        if let Some(seconds) = again_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Self::Method(methods) = self {
            headers.insert(header::ALLOW, HeaderValue::from_static(methods));
        }
        response
    }
}
