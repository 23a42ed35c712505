//! Hands a provider's request to the agent that it is for, and the agent's answer back.
//!
//! ```text
//! provider            hub                            agent
//!    ├─ GET /o/AGENT/… ─►├─ serve, on the channel ──────►│
//!    │                   │◄─ POST /v1/transfers/… ───────┤  head, and the body as it is read
//!    │◄─ head, body ─────┤                               │
//! ```
//!
//! One piece of the body is on its way between the two connections and none is read before the one
//! before was taken, so a provider that stalls stops the agent's reads from its disk. Nothing is
//! written to a disk here.
//!
//! When either side goes away, the other is ended at once; so is everything when the owner takes
//! the grant back.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;

use super::staged::{self, Sending};
use super::{Pieces, off_thread};
use crate::access::proof::signer;
use crate::base::clock::Timestamp;
use crate::hub::channel::{Channel, Unsaid};
use crate::hub::event::HubEvent;
use crate::hub::greeting::{is_nonce, nonce};
use crate::hub::metrics::{StoreWork, TransferOutcome};
use crate::hub::protocol::{
    BODY_BYTES_MAX, FromHub, HEAD_HEADER, HEADERS_IN, HEADERS_OUT, Head, Serve,
};
use crate::hub::relay::{Aim, Arrived, Entry, Refusal, Ticket, What, admit, aim};
use crate::hub::run::HubState;
use crate::store::hub::ProviderRow;
use crate::store::leaf::{HubLeaf, words};
use crate::web::Cut;

/// How long an agent may take to open a transfer.
const FIRST_BYTE_MAX: Duration = Duration::from_secs(15);

/// How long an agent may send nothing in the middle of a transfer.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// How long the body of a request may take.
const BODY_MAX: Duration = Duration::from_secs(15);

/// Longest head of an answer, as it is written.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// A provider asks something of an agent.
pub(super) async fn hand_on(
    State(state): State<Arc<HubState>>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    connection: Cut,
    request: Request,
) -> Response {
    match ask(&state, remote, connection, request).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    }
}

async fn ask(
    state: &Arc<HubState>,
    remote: SocketAddr,
    connection: Cut,
    request: Request,
) -> Result<Response, Refusal> {
    let (parts, mut body) = request.into_parts();
    let (method, path) = (parts.method.as_str().to_owned(), parts.uri.path().to_owned());
    let aim = aim(&method, &path)?;
    if state.is_stopping() {
        return Err(Refusal::Stopping);
    }
    let (is_free, is_head) = (method != "GET", method == "HEAD");
    let channel = state.channels.of(&aim.agent_id);
    if channel.is_none() {
        let answer = staged::instead(state, &aim, &connection, &parts, &mut body).await;
        let answer = answer.inspect_err(|refusal| note_refused(state, &aim, remote, refusal));
        if let Some(answer) = answer? {
            return Ok(answer);
        }
    }
    let ticket =
        admitted(state, &aim, is_free, channel.is_some()).await.inspect_err(|refusal| {
            note_refused(state, &aim, remote, refusal);
        })?;
    let channel = channel.ok_or(Refusal::Away)?;
    let place = channel.place().ok_or(Refusal::Crowded)?;
    let offer = ticket.offer.as_ref();
    let entry = state.transfers.begin(&aim.agent_id, offer.cloned(), connection);
    let serve = Serve {
        transfer: nonce().map_err(|error| Refusal::Bug(error.to_string()))?,
        method: method.clone(),
        path,
        headers: picked(&parts.headers, &HEADERS_IN),
        body: STANDARD.encode(read(body).await?),
        remote: remote.ip().to_canonical().to_string(),
        provider: offer.map(|offer| offer.provider.clone()).unwrap_or_default(),
    };
    let provider = serve.provider.clone();
    let began = Instant::now();
    let shown = serve.headers.get("dpop").cloned();
    let answered = answer(state, &channel, serve, &entry).await;
    if answered.is_ok() {
        state.api.metrics.first_byte(began.elapsed());
    }
    if let Err(Refusal::Away | Refusal::Late) = &answered {
        wish(state, &ticket).await?;
    }
    let brings_bytes = matches!(&answered, Ok(arrived) if matches!(arrived.head.status, 200 | 206));
    if !brings_bytes {
        give_back(state, &aim, &ticket).await?;
    }
    let arrived = answered?;
    if let (401 | 403 | 410, Some(proof)) = (arrived.head.status, shown) {
        count_refused(state, &provider, &proof).await?;
    }
    (state.tell)(HubEvent::Relayed {
        agent: aim.agent_id.clone(),
        provider,
        grant: aim.grant_id().to_owned(),
        method,
        status: arrived.head.status,
    });
    state.api.metrics.transfer_began();
    let passage = Passage {
        state: state.clone(),
        entry,
        _place: place,
        status: arrived.head.status,
        range: arrived.head.headers.get("content-range").cloned().unwrap_or_default(),
        bytes_count: 0,
        whole_bytes: is_head.then_some(0),
        broken: Some(GONE),
        sending: None,
    };
    respond(arrived, passage)
}

async fn admitted(
    state: &Arc<HubState>,
    aim: &Aim,
    is_free: bool,
    is_connected: bool,
) -> Result<Ticket, Refusal> {
    let (state, aim) = (state.clone(), aim.clone());
    off_thread(move || {
        let pace = |row: &ProviderRow| paced(&state, row);
        state.api.metrics.timed(StoreWork::Reserve, || {
            let now = Timestamp::now();
            admit(state.store.as_ref(), &aim, is_free, is_connected, &pace, now)
        })
    })
    .await
}

/// Whether a provider may make another request now, else the seconds to wait.
pub(super) fn paced(state: &HubState, row: &ProviderRow) -> Result<(), u64> {
    let paced = state.api.pace.provider(&row.name, row.requests_per_minute);
    paced.map_err(|wait| wait.wait_s)
}

/// Notes in the hub's log that it refused a provider without asking the agent. What leads nowhere is
/// not noted: nobody knows whom that would be about.
fn note_refused(state: &HubState, aim: &Aim, remote: SocketAddr, refusal: &Refusal) {
    let is_about_money_or_right =
        matches!(refusal, Refusal::Over | Refusal::Closed(_) | Refusal::NoCredit | Refusal::Away);
    if is_about_money_or_right {
        let leaf = HubLeaf::Refused {
            grant: aim.grant_id().to_owned(),
            provider: String::new(),
            remote: remote.ip().to_canonical().to_string(),
            reason: words(&refusal.to_string()),
            at: Timestamp::now(),
        };
        state.log.note(&aim.agent_id, leaf);
    }
}

/// Notes that a provider wanted something of an agent that is not there after all.
async fn wish(state: &Arc<HubState>, ticket: &Ticket) -> Result<(), Refusal> {
    let Some(offer) = ticket.offer.clone() else { return Ok(()) };
    let store = state.store.clone();
    off_thread(move || {
        let now = Timestamp::now();
        Ok(store.wish(&offer.agent_id, &offer.provider, &offer.grant_id, now)?)
    })
    .await
}

/// Gives the fee back that this request set aside, since it brings no bytes. While others fetch
/// under the same grant it stays: they rely on it.
async fn give_back(state: &Arc<HubState>, aim: &Aim, ticket: &Ticket) -> Result<(), Refusal> {
    let What::Content { grant_id } = &aim.what else { return Ok(()) };
    if !ticket.is_new_reservation || state.transfers.count_of(&aim.agent_id, grant_id) > 1 {
        return Ok(());
    }
    let (store, agent_id, grant_id) = (state.store.clone(), aim.agent_id.clone(), grant_id.clone());
    off_thread(move || Ok(store.release(&agent_id, &grant_id)?)).await
}

/// A try that the agent refused counts against the provider, if its key made the proof.
async fn count_refused(state: &Arc<HubState>, provider: &str, proof: &str) -> Result<(), Refusal> {
    let now = Timestamp::now();
    let Some(signer) = signer(proof, now).map(|key| key.to_string()) else { return Ok(()) };
    let (state, provider) = (state.clone(), provider.to_owned());
    off_thread(move || {
        let row = state.store.provider(&provider)?;
        if row.is_some_and(|row| row.key == Some(signer)) {
            state.api.refused(&provider, now)?;
        }
        Ok(())
    })
    .await
}

pub(super) async fn read(body: Body) -> Result<Bytes, Refusal> {
    let read = timeout(BODY_MAX, axum::body::to_bytes(body, BODY_BYTES_MAX)).await;
    read.map_err(|_late| Refusal::Slow)?.map_err(|_too_long_or_broken| Refusal::Large)
}

/// Those headers that are to be handed on, each once.
fn picked(headers: &HeaderMap, names: &[&str]) -> std::collections::BTreeMap<String, String> {
    let value = |name: &&str| {
        let value = headers.get(*name)?.to_str().ok()?;
        Some(((*name).to_owned(), value.to_owned()))
    };
    names.iter().filter_map(value).collect()
}

/// Asks the agent and waits until it opens the transfer.
async fn answer(
    state: &Arc<HubState>,
    channel: &Channel,
    serve: Serve,
    entry: &Entry<Pieces>,
) -> Result<Arrived<Pieces>, Refusal> {
    let mut expected = state.transfers.expect(&channel.agent_id, &serve.transfer);
    channel.say(&FromHub::Serve(Box::new(serve))).map_err(|unsaid| match unsaid {
        Unsaid::Full => Refusal::Crowded,
        Unsaid::Long => Refusal::Large,
    })?;
    tokio::select! {
        arrived = timeout(FIRST_BYTE_MAX, expected.arrived()) => match arrived {
            Ok(arrived) => arrived.ok_or(Refusal::Away),
            Err(_late) => {
                channel.doubt();
                Err(Refusal::Late)
            }
        },
        () = entry.under_way.cut_off() => Err(Refusal::Over),
    }
}

/// What goes through for one request; when it is dropped, that is said.
pub(super) struct Passage {
    state: Arc<HubState>,
    entry: Entry<Pieces>,
    _place: OwnedSemaphorePermit,
    status: u16,
    range: String,
    bytes_count: u64,
    /// How many there are; nothing more is asked for behind the last of them.
    whole_bytes: Option<u64>,
    broken: Option<&'static str>,
    /// The copy that is sent, where the agent is away.
    sending: Option<Sending>,
}

impl Passage {
    /// Of a copy that lies here.
    ///
    /// - `sending`: `None` where only its head is asked for
    pub(super) fn of_copy(
        state: Arc<HubState>,
        entry: Entry<Pieces>,
        place: OwnedSemaphorePermit,
        head: &Head,
        sending: Option<Sending>,
    ) -> Self {
        Self {
            state,
            entry,
            _place: place,
            status: head.status,
            range: head.headers.get("content-range").cloned().unwrap_or_default(),
            bytes_count: 0,
            whole_bytes: sending.is_none().then_some(0),
            broken: Some(GONE),
            sending,
        }
    }

    /// Why not all went through.
    fn why_not_whole(&self) -> Option<&'static str> {
        match self.broken {
            Some(_) if self.whole_bytes == Some(self.bytes_count) => None,
            Some(_) if self.entry.under_way.is_cut() => Some(CUT),
            broken => broken,
        }
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        let under_way = &self.entry.under_way;
        let broken = self.why_not_whole();
        let metrics = &self.state.api.metrics;
        metrics.bytes(self.bytes_count);
        metrics.transfer_ended(match broken {
            None => TransferOutcome::Complete,
            Some(GONE) => TransferOutcome::ProviderGone,
            Some(CUT) => TransferOutcome::Cut,
            Some(_) => TransferOutcome::AgentGone,
        });
        if let Some(offer) = under_way.offer.as_ref().filter(|_| self.bytes_count > 0) {
            let leaf = HubLeaf::Relayed {
                grant: offer.grant_id.clone(),
                provider: offer.provider.clone(),
                is_staged: self.sending.is_some(),
                status: self.status,
                range: words(&self.range),
                bytes: self.bytes_count,
                is_whole: broken.is_none(),
                at: Timestamp::now(),
            };
            self.state.log.note(&under_way.agent_id, leaf);
        }
        (self.state.tell)(HubEvent::Passed {
            agent: under_way.agent_id.clone(),
            grant: under_way.offer.as_ref().map(|o| o.grant_id.clone()).unwrap_or_default(),
            bytes_count: self.bytes_count,
            broken: broken.map(str::to_owned),
        });
        if let Some(sending) = &mut self.sending {
            sending.sealed_count = self.bytes_count;
        }
    }
}

/// Why an answer was not taken whole, until it was.
const GONE: &str = "the provider went away";

/// Why an answer was cut.
const CUT: &str = "the owner took it back";

/// The agent's answer, as the provider gets it.
pub(super) fn respond(arrived: Arrived<Pieces>, mut passage: Passage) -> Result<Response, Refusal> {
    let Head { status, headers } = arrived.head;
    let status = StatusCode::from_u16(status).ok().filter(|status| status.as_u16() >= 200);
    let mut response = Response::new(Body::empty());
    let status = status.ok_or(Refusal::Nonsense)?;
    *response.status_mut() = status;
    for (name, value) in headers {
        // Compared with the list: no name that an agent made up, in whatever case.
        let Some(name) = HEADERS_OUT.iter().find(|known| **known == name) else { continue };
        let name = HeaderName::from_static(name);
        let value = HeaderValue::try_from(value).map_err(|_no_value| Refusal::Nonsense)?;
        if name == header::CONTENT_LENGTH && passage.whole_bytes.is_none() {
            passage.whole_bytes = Some(length(&value)?);
        }
        response.headers_mut().insert(name, value);
    }
    if matches!(status.as_u16(), 204 | 304) {
        passage.whole_bytes = Some(0);
    }
    passage.entry.under_way.passes();
    let passing = futures_util::stream::unfold(
        Some((passage, arrived.body)),
        |passing: Option<(Passage, Pieces)>| async {
            let (mut passage, mut pieces) = passing?;
            let piece = tokio::select! {
                biased;
                () = passage.entry.under_way.cut_off() => {
                    passage.broken = Some(CUT);
                    Some(Err(io::Error::other("the grant was revoked while it was used")))
                }
                piece = pieces.recv() => piece,
            };
            match piece {
                Some(Ok(piece)) => {
                    passage.bytes_count += piece.len() as u64;
                    Some((Ok(piece), Some((passage, pieces))))
                }
                Some(Err(error)) => {
                    if passage.broken == Some(GONE) {
                        passage.broken = Some("the owner's computer broke off");
                    }
                    // An error ends the answer short of its length, so the provider notices.
                    Some((Err(error), None))
                }
                None => {
                    passage.broken = None;
                    None
                }
            }
        },
    );
    *response.body_mut() = Body::from_stream(passing);
    Ok(response)
}

fn length(value: &HeaderValue) -> Result<u64, Refusal> {
    let text = value.to_str().ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    text.and_then(|text| text.parse().ok()).ok_or(Refusal::Nonsense)
}

/// An agent opens a transfer: what it sends goes to the provider that waits for it.
pub(super) async fn arrive(
    State(state): State<Arc<HubState>>,
    Path(transfer): Path<String>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let Some(head) = head_of(&parts.headers).filter(|_| is_nonce(&transfer)) else {
        return ended(StatusCode::BAD_REQUEST);
    };
    let (taken, pieces) = mpsc::channel(1);
    if !state.transfers.arrive(&transfer, Arrived { head, body: pieces }) {
        return ended(StatusCode::GONE);
    }
    let mut body = body.into_data_stream();
    loop {
        let piece = tokio::select! {
            biased;
            piece = timeout(IDLE_MAX, body.next()) => piece,
            () = taken.closed() => return ended(StatusCode::GONE),
        };
        let piece = match piece {
            Ok(None) => return StatusCode::NO_CONTENT.into_response(),
            Ok(Some(Ok(piece))) if piece.is_empty() => continue,
            Ok(Some(piece)) => piece.map_err(io::Error::other),
            Err(_late) => Err(io::ErrorKind::TimedOut.into()),
        };
        let is_broken = piece.is_err();
        if taken.send(piece).await.is_err() {
            return ended(StatusCode::GONE);
        }
        if is_broken {
            return ended(StatusCode::BAD_REQUEST);
        }
    }
}

/// Status and headers of an agent's answer.
fn head_of(headers: &HeaderMap) -> Option<Head> {
    let text = headers.get(HEAD_HEADER)?.as_bytes();
    if text.len() > HEAD_BYTES_MAX {
        return None;
    }
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

/// An answer to an agent after which its connection is of no more use: the rest of the body is not
/// read.
fn ended(status: StatusCode) -> Response {
    (status, [(header::CONNECTION, "close")]).into_response()
}
