//! The owner's feed of what was fetched, at an address that nobody can guess.
//!
//! The file is written by `agent::reporter`. Feed readers ask often, so one that has it already gets
//! no body. Wrong addresses are counted like other refused tries.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::cut::Caller;
use super::reply::Failure;
use super::{FEED, Served, Service};
use crate::access::Refusal;
use crate::base::clock::Timestamp;
use crate::base::ids::ContentHash;

pub(super) async fn show(
    State(service): State<Arc<Service>>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(secret): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Some(place) = service.places.take() else {
        return Failure::Crowded.into_reply();
    };
    let known = headers.get(header::IF_NONE_MATCH).cloned();
    let answered = tokio::task::spawn_blocking(move || {
        let _place = place;
        answer(&service, caller.address, &secret, known.as_ref())
    });
    match answered.await {
        Ok(Ok(response)) => response,
        Ok(Err(failure)) => failure.into_reply(),
        Err(error) => Failure::Bug(error.to_string()).into_reply(),
    }
}

fn answer(
    service: &Service,
    remote: SocketAddr,
    secret: &str,
    known: Option<&HeaderValue>,
) -> Result<Response, Failure> {
    let Some(path) = &service.feed else {
        return Ok(StatusCode::NOT_FOUND.into_response());
    };
    if !service.links.opens(FEED, "", secret) {
        let (remote, reason) = (remote.ip().to_string(), "no feed is at this address".to_owned());
        let counted = service.state.record_refusal(&remote, "", &reason, Timestamp::now());
        counted.map_err(Failure::Store)?;
        (service.tell)(Served::Refused { remote, grant_id: String::new(), reason });
        return Err(Failure::Refused(Refusal::NoGrant));
    }
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(StatusCode::NOT_FOUND.into_response());
        }
        Err(error) => return Err(Failure::Disk(error)),
    };
    let etag = format!("\"{}\"", ContentHash::of(&text));
    let mut response = match known {
        Some(known) if known.as_bytes() == etag.as_bytes() => {
            StatusCode::NOT_MODIFIED.into_response()
        }
        _ => Body::from(text).into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "application/atom+xml; charset=utf-8"),
        (header::CACHE_CONTROL, "private, no-cache"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(etag) = HeaderValue::try_from(etag) {
        headers.insert(header::ETAG, etag);
    }
    Ok(response)
}
