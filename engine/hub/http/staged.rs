//! Agents bring sealed copies; providers fetch them while the agent is away.
//!
//! What a provider asks is checked by `hub::staged`, pays and is slowed down as what goes to an agent
//! does, and is answered as the agent answers: ranges, `If-Range`, `ETag`, `HEAD`, 304, 416. An agent
//! that comes back and withdraws ends what is under way. A receipt is kept for the agent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::relay::{Passage, paced, read, respond};
use super::{Pieces, off_thread};
use crate::access::sealed::{SEAL_HEADER, plain_end};
use crate::base::clock::Timestamp;
use crate::base::ids::{ContentHash, is_derived};
use crate::hub::greeting::is_nonce;
use crate::hub::metrics::StoreWork;
use crate::hub::protocol::Head;
use crate::hub::relay::{Aim, Arrived, Refusal, Ticket, What, admit};
use crate::hub::run::HubState;
use crate::hub::staged::{self, Opened};
use crate::store::hub::{OfferRow, Taking, TakingRow};
use crate::web::answer::{Answered, Asked, Span};
use crate::web::{Cut, Receipt};

/// How long an agent that brings a copy may send nothing.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// Sealed bytes that are written at once.
const WRITE_BYTES: usize = 512 * 1024;

/// An agent brings a copy.
pub(super) async fn bring(
    State(state): State<Arc<HubState>>,
    Path((agent_id, grant_id)): Path<(String, String)>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let brought = match is_nonce(&agent_id) && is_derived(&grant_id) {
        true => take(&state, shown(&parts, &agent_id, &grant_id), &parts.headers, body).await,
        false => Err(Refusal::Nothing),
    };
    match brought {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refusal) => {
            // The rest of the body is not read, so its connection is of no more use.
            let mut response = refusal.into_response();
            let close = header::HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
            response
        }
    }
}

async fn take(
    state: &Arc<HubState>,
    request: staged::Request,
    headers: &HeaderMap,
    body: Body,
) -> Result<(), Refusal> {
    if state.is_stopping() {
        return Err(Refusal::Stopping);
    }
    let _place = state.copies.place_to_bring().ok_or(Refusal::Crowded)?;
    let seal = text(headers, SEAL_HEADER).to_owned();
    let length = text(headers, "content-length").parse().map_err(|_no_number| Refusal::Large)?;
    let worker = state.clone();
    let (offer, mut incoming) = off_thread(move || {
        let (store, now) = (worker.store.as_ref(), Timestamp::now());
        let offer = worker.copies.may_bring(store, &request, now)?;
        let incoming = worker.copies.begin(store, &offer, &seal, length)?;
        Ok((offer, incoming))
    })
    .await?;
    let mut body = body.into_data_stream();
    let mut gathered = Vec::with_capacity(WRITE_BYTES);
    loop {
        let piece = timeout(IDLE_MAX, body.next()).await.map_err(|_late| Refusal::Slow)?;
        let is_end = piece.is_none();
        if let Some(piece) = piece {
            gathered.extend_from_slice(&piece.map_err(|_broken| Refusal::Slow)?);
        }
        if gathered.len() >= WRITE_BYTES || is_end {
            let bytes = std::mem::take(&mut gathered);
            incoming = off_thread(move || {
                let written = incoming.write(&bytes);
                written.map_err(|error| Refusal::Bug(format!("a copy is not kept: {error}")))?;
                Ok(incoming)
            })
            .await?;
        }
        if is_end {
            break;
        }
    }
    let worker = state.clone();
    off_thread(move || {
        worker.copies.keep(worker.store.as_ref(), &offer, &incoming, Timestamp::now())
    })
    .await
}

/// Answers a provider in the place of an agent that is away; `None` when there is no copy.
pub(super) async fn instead(
    state: &Arc<HubState>,
    aim: &Aim,
    connection: &Cut,
    parts: &Parts,
    body: &mut Body,
) -> Result<Option<Response>, Refusal> {
    // As the path was found right: /o/AGENT/v1/WHAT/ID/…
    let pieces: Vec<&str> = parts.uri.path().split('/').collect();
    match (&aim.what, pieces.as_slice()) {
        (What::Content { grant_id }, [_, _, _, _, "grants", ..]) => {
            let request = shown(parts, &aim.agent_id, grant_id);
            fetch(state, aim, connection, request, &parts.headers).await
        }
        (What::Word, [_, _, _, _, "orders", order_key, "receipt"]) => {
            let body = read(std::mem::take(body)).await?;
            let Ok(receipt) = serde_json::from_slice::<Receipt>(&body) else { return Ok(None) };
            let request = shown(parts, &aim.agent_id, &receipt.grant_id);
            keep(state, request, (*order_key).to_owned(), receipt.sha256).await
        }
        _ => Ok(None),
    }
}

/// What a fetch comes to before any of its bytes are sent.
enum Ready {
    /// The provider has it.
    NotModified(ContentHash),
    /// There are only so many bytes.
    Outside(u64),
    /// Its bytes; those of a GET are noted.
    Bytes { ticket: Box<Ticket>, head: Head, opened: Opened, sending: Option<Sending> },
}

async fn fetch(
    state: &Arc<HubState>,
    aim: &Aim,
    connection: &Cut,
    request: staged::Request,
    headers: &HeaderMap,
) -> Result<Option<Response>, Refusal> {
    let place = state.copies.place().ok_or(Refusal::Crowded)?;
    let (worker, aimed, headers) = (state.clone(), aim.clone(), headers.clone());
    let ready = off_thread(move || {
        let now = Timestamp::now();
        let asked = worker.copies.asked_of(worker.store.as_ref(), &request, now)?;
        let Some((row, offer)) = asked else { return Ok(None) };
        let (digest, bytes_count) = (offer.digest, offer.bytes_count);
        let answered = Answered { digest: &digest, bytes_count, media_type: None };
        let (status, span) = match answered.asked(&headers) {
            Asked::NotModified => return Ok(Some(Ready::NotModified(digest))),
            Asked::Outside => return Ok(Some(Ready::Outside(bytes_count))),
            Asked::Bytes(status, span) => (status, span),
        };
        let Some(opened) = worker.copies.open(&row, &offer, span)? else { return Ok(None) };
        let is_free = request.method != "GET";
        let pace = |row: &_| paced(&worker, row);
        let ticket = worker.api.metrics.timed(StoreWork::Reserve, || {
            admit(worker.store.as_ref(), &aimed, is_free, true, &pace, now)
        })?;
        let sending = match is_free {
            true => None,
            false => Some(
                Sending::begin(&worker, &offer, request.proof, span, now)
                    .inspect_err(|_| unreserve(&worker, &offer, &ticket))?,
            ),
        };
        let mut head = answered.head_of(status, span, opened.length());
        if !is_free {
            head = head.header(SEAL_HEADER, &opened.header);
        }
        let head = head.body(()).map_err(|error| Refusal::Bug(error.to_string()))?;
        let value = |value: &header::HeaderValue| value.to_str().unwrap_or_default().to_owned();
        let headers: BTreeMap<_, _> =
            head.headers().iter().map(|(name, text)| (name.to_string(), value(text))).collect();
        let head = Head { status: status.as_u16(), headers };
        Ok(Some(Ready::Bytes { ticket: Box::new(ticket), head, opened, sending }))
    })
    .await?;
    let (ticket, head, opened, sending) = match ready {
        None => return Ok(None),
        Some(Ready::Bytes { ticket, head, opened, sending }) => (ticket, head, opened, sending),
        Some(Ready::Outside(bytes_count)) => return Err(Refusal::Range(bytes_count)),
        Some(Ready::NotModified(digest)) => {
            let answered = Answered { digest: &digest, bytes_count: 0, media_type: None };
            let response = answered.head(StatusCode::NOT_MODIFIED).body(Body::empty());
            return response.map(Some).map_err(|error| Refusal::Bug(error.to_string()));
        }
    };
    let entry = state.transfers.begin(&aim.agent_id, ticket.offer, connection.clone());
    let body = match &sending {
        Some(_) => pieces(opened),
        None => mpsc::channel(1).1,
    };
    state.api.metrics.transfer_began();
    let passage = Passage::of_copy(state.clone(), entry, place, &head, sending);
    respond(Arrived { head, body }, passage).map(Some)
}

/// Gives the fee back that this request set aside, since it brings no bytes.
fn unreserve(state: &HubState, offer: &OfferRow, ticket: &Ticket) {
    if ticket.is_new_reservation
        && let Err(error) = state.store.release(&offer.agent_id, &offer.grant_id)
    {
        tracing::warn!(%error, "a fee stays set aside until its offer is over");
    }
}

/// A receipt waits for the agent.
async fn keep(
    state: &Arc<HubState>,
    request: staged::Request,
    order_key: String,
    sha256: ContentHash,
) -> Result<Option<Response>, Refusal> {
    let worker = state.clone();
    let is_right = off_thread(move || {
        let (store, now) = (worker.store.as_ref(), Timestamp::now());
        let Some((_, offer)) = worker.copies.asked_of(store, &request, now)? else {
            return Ok(None);
        };
        if offer.order_key != order_key {
            return Err(Refusal::Stranger);
        }
        let taking = TakingRow {
            agent_id: offer.agent_id,
            grant_id: offer.grant_id,
            proof: request.proof,
            what: Taking::Receipt { sha256 },
            at: now,
            is_open: false,
        };
        match store.open_taking(&taking)? {
            true => Ok(Some(sha256 == offer.digest)),
            false => Err(Refusal::Crowded),
        }
    })
    .await?;
    match is_right {
        None => Ok(None),
        Some(true) => {
            let kept = axum::Json(serde_json::json!({ "status": "kept" }));
            Ok(Some((StatusCode::ACCEPTED, kept).into_response()))
        }
        Some(false) => Err(Refusal::OtherDigest),
    }
}

/// A copy that is being sent. When it is dropped, what was sent is noted.
pub(super) struct Sending {
    state: Arc<HubState>,
    agent_id: String,
    name: ContentHash,
    span: Span,
    /// Sealed bytes that were sent.
    pub(super) sealed_count: u64,
}

impl Sending {
    fn begin(
        state: &Arc<HubState>,
        offer: &OfferRow,
        proof: String,
        span: Span,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        let taking = TakingRow {
            agent_id: offer.agent_id.clone(),
            grant_id: offer.grant_id.clone(),
            proof,
            what: Taking::Bytes { start: span.start, end: span.end },
            at: now,
            is_open: true,
        };
        match state.store.open_taking(&taking)? {
            true => Ok(Self {
                state: state.clone(),
                agent_id: taking.agent_id.clone(),
                name: taking.name(),
                span,
                sealed_count: 0,
            }),
            false => Err(Refusal::Crowded),
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        let (state, agent_id, name) = (self.state.clone(), self.agent_id.clone(), self.name);
        let end = plain_end(self.span.start, self.span.end, self.sealed_count);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = state.store.close_taking(&agent_id, &name, end) {
                tracing::warn!(%error, "what was sent of a copy counts as whole after a restart");
            }
        });
    }
}

/// Reads a copy, the next piece when the one before was taken.
fn pieces(opened: Opened) -> Pieces {
    let (sender, pieces) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut opened = opened;
        loop {
            let read = tokio::task::spawn_blocking(move || {
                let piece = opened.piece();
                (opened, piece)
            });
            let Ok((rest, piece)) = read.await else { return };
            opened = rest;
            let is_last = piece.as_ref().map_or(true, Vec::is_empty);
            if piece.as_ref().is_ok_and(Vec::is_empty)
                || sender.send(piece.map(Bytes::from)).await.is_err()
                || is_last
            {
                return;
            }
        }
    });
    pieces
}

fn shown(parts: &Parts, agent_id: &str, grant_id: &str) -> staged::Request {
    let grant = text(&parts.headers, "authorization").strip_prefix("DPoP ").unwrap_or_default();
    staged::Request {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        agent_id: agent_id.to_owned(),
        grant_id: grant_id.to_owned(),
        grant: grant.to_owned(),
        proof: text(&parts.headers, "dpop").to_owned(),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
