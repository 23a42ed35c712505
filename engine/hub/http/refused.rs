//! A [`Refusal`] as providers get it: a [`Problem`], with when to come again.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::problem::{Kind, Problem};
use crate::hub::relay::Refusal;

/// A provider is told when an agent is back; one that hears nothing asks again after so long.
const AWAY_S: u64 = 60;
const SOON_S: u64 = 5;
const FULL_S: u64 = 600;

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let kind = match &refusal {
            Refusal::Nothing => Kind::NotFound,
            Refusal::Method(_) => Kind::Method,
            Refusal::Over => Kind::Gone,
            Refusal::Closed(_) => Kind::Forbidden,
            Refusal::NoCredit => Kind::NoCredit,
            Refusal::Unproven(_) => Kind::Unauthorised,
            Refusal::Stranger => Kind::Forbidden,
            Refusal::Range(_) => Kind::Range,
            Refusal::OtherDigest => Kind::Conflict,
            Refusal::TooMany { .. } => Kind::TooMany,
            Refusal::Away => Kind::Away,
            Refusal::Crowded | Refusal::Stopping | Refusal::Full => Kind::Unavailable,
            Refusal::Late => Kind::Late,
            Refusal::Nonsense => Kind::Nonsense,
            Refusal::Large => Kind::TooLarge,
            Refusal::Slow => Kind::Slow,
            Refusal::Store(error) => return Self::failed(crate::base::causes::one_line(error)),
            Refusal::Bug(error) => return Self::failed(error),
        };
        let problem = Self::new(kind, refusal.to_string());
        match refusal {
            Refusal::Method(methods) => problem.allowing(methods),
            Refusal::TooMany { wait_s } => problem.after(wait_s),
            Refusal::Away | Refusal::Late => problem.after(AWAY_S),
            Refusal::Crowded | Refusal::Stopping => problem.after(SOON_S),
            Refusal::Full => problem.after(FULL_S),
            _ => problem,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let header = match &self {
            Self::Unproven(_) => {
                Some((header::WWW_AUTHENTICATE, r#"DPoP algs="EdDSA""#.to_owned()))
            }
            Self::Range(bytes_count) => {
                Some((header::CONTENT_RANGE, format!("bytes */{bytes_count}")))
            }
            _ => None,
        };
        let mut response = Problem::from(self).into_response();
        if let Some((name, value)) = header
            && let Ok(value) = HeaderValue::try_from(value)
        {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
