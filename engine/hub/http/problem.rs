//! Why a request at the hub got nothing: problem details (RFC 9457), one kind for each cause that a
//! caller can act on.
//!
//! Two texts for each: `detail` for the caller, and what the log says. Disk paths, SQL, secrets and
//! addresses of people are in neither `detail` nor log. `type` is an address at the hub itself,
//! where the kind is explained: `GET /v1/problems/not-found`.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection, StringRejection};
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::hub::metrics::RefusalReason;
use crate::store::StoreError;

/// Media type of a problem.
pub const PROBLEM_TYPE: &str = "application/problem+json";

/// Kinds of problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request is not as it should be.
    Malformed,
    /// Nobody showed who they are.
    Unauthorised,
    /// Out of credit.
    NoCredit,
    /// Paused or closed, or a role that is not enough.
    Forbidden,
    /// No code or signature that would give the right to it.
    NotProven,
    /// Not here, or not theirs: nobody can tell which.
    NotFound,
    /// Not that method.
    Method,
    /// It contradicts what is there.
    Conflict,
    /// It was here and is no more.
    Gone,
    /// Too long.
    TooLarge,
    /// Not JSON.
    MediaType,
    /// Not without WebSocket.
    Upgrade,
    /// A range that lies outside.
    Range,
    /// Too many requests.
    TooMany,
    /// The hub's fault.
    Failed,
    /// Crowded, or about to stop.
    Unavailable,
    /// The owner's computer is away.
    Away,
    /// It is connected and does not answer.
    Late,
    /// It answers what is no answer.
    Nonsense,
    /// The request takes too long.
    Slow,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::Malformed,
        Self::Unauthorised,
        Self::NoCredit,
        Self::Forbidden,
        Self::NotProven,
        Self::NotFound,
        Self::Method,
        Self::Conflict,
        Self::Gone,
        Self::TooLarge,
        Self::MediaType,
        Self::Upgrade,
        Self::Range,
        Self::TooMany,
        Self::Failed,
        Self::Unavailable,
        Self::Away,
        Self::Late,
        Self::Nonsense,
        Self::Slow,
    ];

    /// Status of the answer.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Unauthorised => StatusCode::UNAUTHORIZED,
            Self::NoCredit => StatusCode::PAYMENT_REQUIRED,
            Self::Forbidden | Self::NotProven => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict => StatusCode::CONFLICT,
            Self::Gone => StatusCode::GONE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Upgrade => StatusCode::UPGRADE_REQUIRED,
            Self::Range => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable | Self::Away => StatusCode::SERVICE_UNAVAILABLE,
            Self::Late => StatusCode::GATEWAY_TIMEOUT,
            Self::Nonsense => StatusCode::BAD_GATEWAY,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
        }
    }

    /// Last part of the address in `type`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unauthorised => "unauthorised",
            Self::NoCredit => "no-credit",
            Self::Forbidden => "forbidden",
            Self::NotProven => "not-proven",
            Self::NotFound => "not-found",
            Self::Method => "method",
            Self::Conflict => "conflict",
            Self::Gone => "gone",
            Self::TooLarge => "too-large",
            Self::MediaType => "media-type",
            Self::Upgrade => "upgrade",
            Self::Range => "range",
            Self::TooMany => "too-many",
            Self::Failed => "failed",
            Self::Unavailable => "unavailable",
            Self::Away => "away",
            Self::Late => "late",
            Self::Nonsense => "nonsense",
            Self::Slow => "slow",
        }
    }

    /// What every problem of this kind is called.
    const fn title(self) -> &'static str {
        match self {
            Self::Malformed => "The request is not as the description says",
            Self::Unauthorised => "No valid secret, proof or session",
            Self::NoCredit => "The account does not cover it",
            Self::Forbidden => "Not allowed",
            Self::NotProven => "No code or signature that gives the right to it",
            Self::NotFound => "Not here",
            Self::Method => "Not with that method",
            Self::Conflict => "It contradicts what is there",
            Self::Gone => "It is no longer here",
            Self::TooLarge => "Too long",
            Self::MediaType => "Not JSON",
            Self::Upgrade => "Only by WebSocket",
            Self::Range => "Outside of what is there",
            Self::TooMany => "Too many requests",
            Self::Failed => "The hub has a problem",
            Self::Unavailable => "The hub is busy",
            Self::Away => "The owner's computer is away",
            Self::Late => "The owner's computer does not answer",
            Self::Nonsense => "The owner's computer answers nonsense",
            Self::Slow => "The request took too long",
        }
    }

    /// What the caller does about it.
    pub const fn cure(self) -> &'static str {
        match self {
            Self::Malformed => "Compare the request with /v1/openapi.json.",
            Self::Unauthorised => {
                "Providers send `Authorization: Bearer` with their secret, or `Signet-Proof` with a \
                 fresh signature by their key; operators the token of POST /v1/operator/session."
            }
            Self::NoCredit => "Pay in, then fetch again: the order waits.",
            Self::Forbidden => {
                "A provider that is paused asks the operator of the hub; an operator asks one with \
                 a higher role."
            }
            Self::NotProven => {
                "A computer that joins needs a code that is good (`signet hub invite`); one that is \
                 in signs with the key that the hub knows."
            }
            Self::NotFound => {
                "Check the address. What belongs to somebody else answers exactly like what does \
                 not exist."
            }
            Self::Method => "The header Allow names the methods that work here.",
            Self::Conflict => "Read what is there and decide anew.",
            Self::Gone => "It was withdrawn or its time is over: the owner can order anew.",
            Self::TooLarge => "Send less: the limit is 64 KiB.",
            Self::MediaType => "Send `Content-Type: application/json`.",
            Self::Upgrade => "This is the channel of owners' computers: connect with WebSocket.",
            Self::Range => "Content-Range says how long it is.",
            Self::TooMany => "Wait for as many seconds as Retry-After says.",
            Self::Failed => "Try again later; its log tells the operator what happened.",
            Self::Unavailable => "Wait for as many seconds as Retry-After says.",
            Self::Away => {
                "Wait: a notice `signet.original.available` comes when it is back. Retry-After says \
                 when to ask where you have no address for notices."
            }
            Self::Late => "Wait for as many seconds as Retry-After says.",
            Self::Nonsense => "Tell the operator of the hub: it should not happen.",
            Self::Slow => "Send the body of the request at once.",
        }
    }

    /// Under which reason it is counted.
    const fn reason(self) -> RefusalReason {
        match self {
            Self::NotFound | Self::Gone => RefusalReason::NotFound,
            Self::Unauthorised | Self::NotProven => RefusalReason::Unauthorised,
            Self::NoCredit => RefusalReason::NoCredit,
            Self::Forbidden => RefusalReason::Paused,
            Self::TooMany => RefusalReason::TooMany,
            Self::Away | Self::Late | Self::Nonsense => RefusalReason::Away,
            Self::Slow
            | Self::Malformed
            | Self::Method
            | Self::TooLarge
            | Self::MediaType
            | Self::Upgrade
            | Self::Range => RefusalReason::Malformed,
            Self::Conflict | Self::Failed | Self::Unavailable => RefusalReason::Other,
        }
    }
}

/// A request that got nothing.
#[derive(Debug)]
pub struct Problem {
    kind: Kind,
    detail: String,
    log: Option<String>,
    wait_s: Option<u64>,
    methods: Option<&'static str>,
}

/// A problem as it goes over the wire.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemBody {
    /// Where its kind is explained, at this hub.
    #[schema(example = "/v1/problems/not-found")]
    r#type: String,
    /// The kind in a few words; the same for all of it.
    title: &'static str,
    /// HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong with this request.
    detail: String,
}

impl Problem {
    /// A problem of a kind, with what the caller is told.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), log: None, wait_s: None, methods: None }
    }

    /// Not here, or not theirs.
    pub fn not_found() -> Self {
        Self::new(Kind::NotFound, "there is nothing here for you")
    }

    /// A mistake of the hub; the caller learns nothing of it.
    pub fn failed(log: impl std::fmt::Display) -> Self {
        let detail = "the hub has a problem; its log says which";
        Self { log: Some(log.to_string()), ..Self::new(Kind::Failed, detail) }
    }

    /// With the seconds after which another try makes sense.
    #[must_use]
    pub fn after(self, wait_s: u64) -> Self {
        Self { wait_s: Some(wait_s.max(1)), ..self }
    }

    /// With the methods that work.
    #[must_use]
    pub fn allowing(self, methods: &'static str) -> Self {
        Self { methods: Some(methods), ..self }
    }

    /// What kind it is.
    pub const fn kind(&self) -> Kind {
        self.kind
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::failed(crate::base::causes::one_line(&error))
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        let kind = match rejection.status() {
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Kind::MediaType,
            StatusCode::PAYLOAD_TOO_LARGE => Kind::TooLarge,
            _ => Kind::Malformed,
        };
        Self::new(kind, rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(Kind::Malformed, rejection.body_text())
    }
}

impl From<StringRejection> for Problem {
    fn from(rejection: StringRejection) -> Self {
        let kind = match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Kind::TooLarge,
            _ => Kind::Malformed,
        };
        Self::new(kind, rejection.body_text())
    }
}

impl From<WebSocketUpgradeRejection> for Problem {
    fn from(rejection: WebSocketUpgradeRejection) -> Self {
        Self::new(Kind::Upgrade, rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(_rejection: PathRejection) -> Self {
        Self::not_found()
    }
}

/// Marks an answer with the reason that is counted for it.
#[derive(Debug, Clone, Copy)]
pub struct Counted(pub RefusalReason);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { kind, detail, log, wait_s, methods } = self;
        match &log {
            Some(log) => tracing::error!(kind = kind.word(), "a request failed: {log}"),
            None => tracing::debug!(kind = kind.word(), "a request got nothing"),
        }
        let status = kind.status();
        let body = ProblemBody {
            r#type: format!("/v1/problems/{}", kind.word()),
            title: kind.title(),
            status: status.as_u16(),
            detail,
        };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        let mut put = |name: HeaderName, value: &'static str| {
            headers.insert(name, HeaderValue::from_static(value));
        };
        put(header::CONTENT_TYPE, PROBLEM_TYPE);
        put(header::CACHE_CONTROL, "no-store");
        if kind == Kind::Unauthorised {
            put(header::WWW_AUTHENTICATE, "Bearer");
        }
        if let Some(methods) = methods {
            put(header::ALLOW, methods);
        }
        if let Some(wait_s) = wait_s {
            headers.insert(header::RETRY_AFTER, wait_s.into());
        }
        response.extensions_mut().insert(Counted(kind.reason()));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn caller_learns_what_to_do_and_nothing_of_the_inside() {
        let secret = "SQL logic error in /var/lib/hub.sqlite";
        let response = Problem::failed(secret).into_response();
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()["content-type"], PROBLEM_TYPE);
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.expect("a body");
        let body = String::from_utf8(body.to_vec()).expect("text");
        assert!(body.contains("/v1/problems/failed") && !body.contains("sqlite"), "{body}");
        let response = Problem::new(Kind::TooMany, "slower").after(0).into_response();
        assert_eq!(response.headers()["retry-after"], "1");
    }

    #[test]
    fn each_kind_has_a_word_of_its_own() {
        let words: std::collections::BTreeSet<_> = Kind::ALL.map(Kind::word).into();
        assert_eq!(words.len(), Kind::ALL.len());
        assert!(Kind::ALL.iter().all(|kind| kind.status().as_u16() >= 400));
    }
}
