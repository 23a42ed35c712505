//! The page on which the owner decides about one order, from a link in a mail.
//!
//! ```text
//! GET   /v1/decide/{token}            what it is about; changes nothing, whoever looks at it
//! POST  /v1/decide/{token}            approve or cancel, once; says what came of it
//! GET   /v1/decide/{token}/preview    the photo, for that page
//! ```
//!
//! Programs that scan mail open links, so only POST decides. It names what its page showed: when
//! the order was changed meanwhile, nothing is decided and the new page is shown.
//!
//! The link is the right to decide (`access::decision`). Wrong ones cost one HMAC and are counted
//! like other refused tries; so many a minute, and no more, are answered and counted.

mod pace;
mod page;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::cut::Caller;
use super::reply::Failure;
use super::{Served, Service};
use crate::access::decision::{DecisionError, check};
use crate::base::clock::Timestamp;
use crate::base::ids::is_derived;
use crate::store::StoreError;
use pace::Pace;

/// Tries with wrong links that are looked at in a minute, from everywhere together.
const WRONG_TRIES_MAX: u32 = 30;

/// Requests for one order that are answered in a minute.
const REQUESTS_MAX: u32 = 120;

/// Who knows the orders and decides. Called off the async threads.
pub trait Desk: Send + Sync + 'static {
    /// What is to be decided, or was; nothing for an order that is not known.
    ///
    /// # Errors
    /// As any read of the store.
    fn asked(&self, order_key: &str) -> Result<Option<Asked>, StoreError>;

    /// Decides, if the order is still as the page showed it.
    ///
    /// - `stamp`: from the page, [`Asked::stamp`]
    ///
    /// # Errors
    /// As any write of the store; then nothing was decided.
    fn decide(
        &self,
        order_key: &str,
        decision: Decision,
        stamp: &str,
    ) -> Result<Decided, StoreError>;

    /// The photo of an order as its preview, with its media type.
    fn preview(&self, order_key: &str) -> Option<(&'static str, Vec<u8>)>;
}

/// What the owner wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It goes out.
    Approve,
    /// It does not.
    Cancel,
}

/// What a page shows. All of it is text that may hold anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Such as `print-10x15 x 2`.
    pub what: String,
    /// Who is to fulfil it.
    pub provider: String,
    /// Such as `0.58 EUR`; absent where nothing is to be paid.
    pub price: Option<String>,
    /// Name of the photo's file.
    pub photo: String,
    /// Why it asks, is held, or what became of it.
    pub why: String,
    /// Where the order is now, as in `waits for you`.
    pub state: String,
    /// Whether there is something to decide, and what is missing if not.
    pub can_approve: bool,
    /// Whether it can still be taken back here.
    pub can_cancel: bool,
    /// Changes with everything that one decides about. Lower-case letters and digits.
    pub stamp: String,
}

/// What came of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decided {
    /// It is so, now or since before.
    Done(String),
    /// It cannot be so any more, and why.
    TooLate(String),
    /// The order is not what the page showed.
    Changed,
}

/// What pages need.
pub(super) struct Decisions {
    desk: Arc<dyn Desk>,
    pace: Mutex<Pace>,
}

impl Decisions {
    pub(super) fn new(desk: Arc<dyn Desk>) -> Self {
        Self { desk, pace: Mutex::default() }
    }
}

pub(super) async fn show(
    State(service): State<Arc<Service>>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(token): Path<String>,
) -> Response {
    answer(service, caller.address, token, |decisions, token, order_key| {
        Ok(match decisions.desk.asked(order_key)? {
            Some(asked) => page::html(StatusCode::OK, &page::order(&asked, token, None)),
            None => page::html(StatusCode::NOT_FOUND, &page::message(page::UNKNOWN)),
        })
    })
    .await
}

pub(super) async fn act(
    State(service): State<Arc<Service>>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(token): Path<String>,
    body: Bytes,
) -> Response {
    answer(service, caller.address, token, move |decisions, token, order_key| {
        let Some((decision, stamp)) = form(&body) else {
            return Ok(page::html(StatusCode::BAD_REQUEST, &page::message(page::NOT_SAID)));
        };
        let decided = decisions.desk.decide(order_key, decision, stamp)?;
        let (status, note) = match decided {
            Decided::Done(words) => (StatusCode::OK, words),
            Decided::TooLate(words) => (StatusCode::CONFLICT, words),
            Decided::Changed => (StatusCode::CONFLICT, page::CHANGED.to_owned()),
        };
        Ok(match decisions.desk.asked(order_key)? {
            Some(asked) => page::html(status, &page::order(&asked, token, Some(&note))),
            None => page::html(StatusCode::NOT_FOUND, &page::message(page::UNKNOWN)),
        })
    })
    .await
}

pub(super) async fn preview(
    State(service): State<Arc<Service>>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(token): Path<String>,
) -> Response {
    answer(service, caller.address, token, |decisions, _token, order_key| {
        Ok(match decisions.desk.preview(order_key) {
            Some((media_type, bytes)) => {
                page::guarded(StatusCode::OK, media_type, Body::from(bytes))
            }
            None => StatusCode::NOT_FOUND.into_response(),
        })
    })
    .await
}

/// Answers a request whose link is good.
async fn answer(
    service: Arc<Service>,
    remote: SocketAddr,
    token: String,
    work: impl FnOnce(&Decisions, &str, &str) -> Result<Response, StoreError> + Send + 'static,
) -> Response {
    let Some(place) = service.places.take() else {
        return Failure::Crowded.into_reply();
    };
    let answered = tokio::task::spawn_blocking(move || {
        let _place = place;
        let Some(decisions) = &service.decisions else {
            return Ok(StatusCode::NOT_FOUND.into_response());
        };
        let now = Timestamp::now();
        let checked = check(&service.links, &token, now);
        let (who, most) = match checked {
            Ok(order_key) => (order_key, REQUESTS_MAX),
            Err(_) => ("", WRONG_TRIES_MAX),
        };
        {
            let mut pace = decisions.pace.lock().unwrap_or_else(PoisonError::into_inner);
            if !pace.allows(who, most, now) {
                return Ok(page::too_many());
            }
        }
        match checked {
            Ok(order_key) => work(decisions, &token, order_key),
            Err(error) => refuse(&service, remote, error, now),
        }
    });
    match answered.await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => Failure::Store(error).into_reply(),
        Err(error) => Failure::Bug(error.to_string()).into_reply(),
    }
}

fn refuse(
    service: &Service,
    remote: SocketAddr,
    error: DecisionError,
    now: Timestamp,
) -> Result<Response, StoreError> {
    let (remote, reason) = (remote.ip().to_string(), error.to_string());
    service.state.record_refusal(&remote, "", &reason, now)?;
    (service.tell)(Served::Refused { remote, grant_id: String::new(), reason });
    let status = match error {
        DecisionError::Forged => StatusCode::FORBIDDEN,
        DecisionError::Expired => StatusCode::GONE,
    };
    Ok(page::html(status, &page::message(&error.to_string())))
}

/// Reads what a page's form says: `stamp=…&decision=approve`.
fn form(body: &[u8]) -> Option<(Decision, &str)> {
    let text = std::str::from_utf8(body).ok()?;
    let field = |name: &str| {
        text.split('&').filter_map(|part| part.split_once('=')).find(|(key, _)| *key == name)
    };
    let decision = match field("decision")?.1 {
        "approve" => Decision::Approve,
        "cancel" => Decision::Cancel,
        _ => return None,
    };
    let stamp = field("stamp")?.1;
    is_derived(stamp).then_some((decision, stamp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_says_what_its_buttons_say_and_nothing_else() {
        let stamp = "0123456789abcdefghjkmnpqrs";
        let read = |text: String| form(text.as_bytes()).map(|(decision, _)| decision);
        assert_eq!(read(format!("stamp={stamp}&decision=approve")), Some(Decision::Approve));
        assert_eq!(read(format!("decision=cancel&stamp={stamp}")), Some(Decision::Cancel));
        for text in ["", "decision=approve", "stamp=../x&decision=approve", "decision=yes&stamp=a"]
        {
            assert_eq!(read(text.to_owned()), None, "{text}");
        }
        assert_eq!(form(&[0xFF]), None);
    }
}
