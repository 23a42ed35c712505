//! The sockets of control channels: greets, carries messages, notices who is gone.
//!
//! An idle channel costs a task with small buffers, so that one hub holds many. What an agent says is
//! bounded in size and number, and read no faster than it is answered; who says more is let go.
//!
//! The agent is asked whether it is there every [`PING`] or so, and when it did not open a transfer
//! that it was asked for.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::listen::Place;
use super::off_thread;
use super::problem::Problem;
use crate::base::clock::Timestamp;
use crate::hub::asks;
use crate::hub::channel::{Channel, End, Pace};
use crate::hub::event::HubEvent;
use crate::hub::greeting::{hub_hello, read_agent_hello, welcome};
use crate::hub::protocol::{FRAME_BYTES_MAX, FromAgent, FromHub, HubHello, HubWelcome};
use crate::hub::relay::Refusal;
use crate::hub::run::{HubState, spread_ms};
use crate::store::hub::{AgentState, LogKind};

/// How long the greeting may take, and how long a message may take to leave.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often an agent that says nothing is asked whether it is there; half of it more or less.
const PING: Duration = Duration::from_secs(240);

/// How often when there is reason to doubt it.
const PING_DOUBTED: Duration = Duration::from_secs(10);

/// An agent is gone when it did not answer so many times.
const MISSED_MAX: u32 = 2;

/// Buffers of an idle channel, in bytes; they grow with what is said.
const IDLE_BYTES: usize = 1024;

/// Codes of ends, for agents: come back with another key or not at all; come back.
const REFUSED: u16 = 4003;
const ENDED: u16 = 4000;

/// Connect
///
/// The control channel of an owner's computer, by WebSocket; both sides greet with signatures.
#[utoipa::path(get, path = "/v1/agent", tag = "agent", security(()),
    responses((status = 101, description = "It goes on as WebSocket")))]
pub(super) async fn connect(
    State(state): State<Arc<HubState>>,
    place: Option<Extension<Arc<Place>>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return Problem::from(rejection).into_response(),
    };
    if state.is_stopping() {
        return Refusal::Stopping.into_response();
    }
    let place = place.map(|Extension(place)| place);
    upgrade
        .read_buffer_size(IDLE_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * FRAME_BYTES_MAX)
        .max_message_size(FRAME_BYTES_MAX)
        .max_frame_size(FRAME_BYTES_MAX)
        .on_upgrade(move |socket| converse(state, place, socket))
}

async fn converse(state: Arc<HubState>, place: Option<Arc<Place>>, mut socket: WebSocket) {
    let greeted = timeout(PATIENCE, Box::pin(greet(&state, &mut socket))).await;
    let (channel, queue) = match greeted.unwrap_or_else(|_late| Err("it said nothing".into())) {
        Ok(greeted) => greeted,
        Err(why) => {
            close(&mut socket, REFUSED, &why).await;
            (state.tell)(HubEvent::Stranger { why });
            return;
        }
    };
    if let Some(place) = &place {
        place.known();
    }
    let agent = channel.agent_id.clone();
    (state.tell)(HubEvent::Connected { agent: agent.clone() });
    note(&state, &agent, true);
    let why = talk(&state, &channel, queue, &mut socket).await;
    if state.channels.leave(&channel) {
        state.transfers.forget(&agent);
        note(&state, &agent, false);
    }
    (state.tell)(HubEvent::Away { agent, why });
}

/// Keeps that an agent was seen, and tells those who waited for it that it is back.
fn note(state: &Arc<HubState>, agent: &str, is_back: bool) {
    let (store, agent) = (state.store.clone(), agent.to_owned());
    tokio::task::spawn_blocking(move || {
        let now = Timestamp::now();
        let noted = store.seen(&agent, now).and_then(|()| match is_back {
            true => store.back(&agent, now).map(drop),
            false => Ok(()),
        });
        if let Err(error) = noted {
            tracing::error!(%error, "it is not kept that an agent was seen");
        }
    });
}

/// Finds out who it is, and says who we are.
async fn greet(
    state: &Arc<HubState>,
    socket: &mut WebSocket,
) -> Result<(Arc<Channel>, mpsc::Receiver<String>), String> {
    let words = |error: &dyn std::fmt::Display| error.to_string();
    let hello = hub_hello(&state.key.public()).map_err(|error| words(&error))?;
    let text = serde_json::to_string(&hello).map_err(|error| words(&error))?;
    socket.send(Message::text(text)).await.map_err(|error| words(&error))?;
    let said = match socket.recv().await {
        Some(Ok(Message::Text(text))) => text.to_string(),
        Some(Ok(_)) => return Err("it did not say who it is".into()),
        Some(Err(error)) => return Err(words(&error)),
        None => return Err("it went away".into()),
    };
    let worker = state.clone();
    let (text, agent, key) = off_thread(move || Ok(judge(&worker, &said, &hello)))
        .await
        .unwrap_or_else(|refusal| Err(words(&refusal)))?;
    let (channel, queue) = state.channels.enter(&agent, &key);
    match socket.send(Message::text(text)).await {
        Ok(()) => Ok((channel, queue)),
        Err(error) => {
            state.channels.leave(&channel);
            Err(words(&error))
        }
    }
}

/// Decides about a hello: the welcome, the agent's id and its key; or why not, for the agent.
fn judge(
    state: &HubState,
    said: &str,
    hello: &HubHello,
) -> Result<(String, String, String), String> {
    let words = |error: &dyn std::error::Error| {
        tracing::error!(%error, "an agent could not be greeted");
        "the hub has a problem".to_owned()
    };
    let said = read_agent_hello(said, hello).map_err(|error| error.to_string())?;
    let row = state.store.agent(&said.agent_id).map_err(|error| words(&error))?;
    match row {
        None => return Err("this computer did not join here: join with a new code".into()),
        Some(row) if row.state == AgentState::Lost => {
            return Err("this computer counts as lost: join with a new code".into());
        }
        Some(row) if row.state == AgentState::Left => {
            return Err("this computer has left: join with a new code".into());
        }
        Some(row) if row.key != said.key => {
            return Err("its key is not the one that it joined with".into());
        }
        Some(_) => {}
    }
    let agent_log_size =
        state.store.log_size(&said.agent_id, LogKind::Agent).map_err(|error| words(&error))?;
    let hub_log =
        state.store.checkpoint(&said.agent_id, LogKind::Hub).map_err(|error| words(&error))?;
    let answer = HubWelcome {
        base_url: state.base_url(&said.agent_id),
        agent_id: said.agent_id.clone(),
        nonce: said.nonce,
        agent_log_size,
        hub_log,
    };
    let text = welcome(&state.key, &answer).map_err(|error| words(&error))?;
    Ok((text, said.agent_id, said.key))
}

/// Carries messages until either side ends it; returns why.
async fn talk(
    state: &Arc<HubState>,
    channel: &Arc<Channel>,
    mut queue: mpsc::Receiver<String>,
    socket: &mut WebSocket,
) -> String {
    let mut pace = Pace::new(Timestamp::now());
    let mut asking: Option<JoinHandle<Option<String>>> = None;
    let (mut missed, mut is_doubted) = (0, false);
    let mut ping_at = Instant::now() + spread(PING);
    loop {
        tokio::select! {
            biased;
            end = channel.ended() => {
                if end == End::Closing {
                    farewell(state, socket).await;
                }
                let code = if end == End::Dismissed { REFUSED } else { ENDED };
                close(socket, code, end.words()).await;
                return end.words().into();
            }
            // The sender is in the channel, which is here.
            Some(text) = queue.recv() => {
                if !send(socket, Message::text(text)).await {
                    return End::Silent.words().into();
                }
            }
            answer = answered(&mut asking), if asking.is_some() => {
                asking = None;
                let Some(text) = answer else {
                    channel.end(End::Nonsense);
                    continue;
                };
                if !send(socket, Message::text(text)).await {
                    return End::Silent.words().into();
                }
            }
            message = socket.recv(), if asking.is_none() => {
                (missed, is_doubted) = (0, false);
                if !pace.take(Timestamp::now()) {
                    channel.end(End::Flood);
                    continue;
                }
                match message {
                    Some(Ok(Message::Text(text))) => {
                        let (state, channel) = (state.clone(), channel.clone());
                        asking = Some(tokio::task::spawn_blocking(move || {
                            answer(&state, &channel, &text)
                        }));
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(_))) | None => return "it went away".into(),
                    Some(Ok(Message::Binary(_))) => channel.end(End::Nonsense),
                    Some(Err(error)) => return format!("the connection broke: {error}"),
                }
            }
            () = channel.doubted() => {
                is_doubted = true;
                ping_at = Instant::now();
            }
            () = tokio::time::sleep_until(ping_at) => {
                if missed >= MISSED_MAX {
                    channel.end(End::Silent);
                    continue;
                }
                missed += 1;
                let wait = if missed > 1 || is_doubted { PING_DOUBTED } else { spread(PING) };
                ping_at = Instant::now() + wait;
                if !send(socket, Message::Ping(Vec::new().into())).await {
                    return End::Silent.words().into();
                }
            }
        }
    }
}

/// Answers a question; `None` when it is none.
fn answer(state: &HubState, channel: &Channel, text: &str) -> Option<String> {
    let FromAgent { ask, what } = serde_json::from_str(text).ok()?;
    let answer = asks::answer(state, channel, what, Timestamp::now());
    serde_json::to_string(&FromHub::Answer { ask, answer }).ok()
}

async fn answered(asking: &mut Option<JoinHandle<Option<String>>>) -> Option<String> {
    asking.as_mut()?.await.ok().flatten()
}

async fn farewell(state: &HubState, socket: &mut WebSocket) {
    let again_ms = spread_ms(state.channels.count());
    if let Ok(text) = serde_json::to_string(&FromHub::Closing { again_ms }) {
        send(socket, Message::text(text)).await;
    }
}

async fn send(socket: &mut WebSocket, message: Message) -> bool {
    matches!(timeout(PATIENCE, socket.send(message)).await, Ok(Ok(())))
}

async fn close(socket: &mut WebSocket, code: u16, why: &str) {
    let reason: String = why.chars().filter(char::is_ascii).take(120).collect();
    let frame = CloseFrame { code, reason: reason.into() };
    send(socket, Message::Close(Some(frame))).await;
}

/// Half of a time more or less, so that agents that came together do not stay so.
fn spread(time: Duration) -> Duration {
    let mut byte = [0; 1];
    let part = getrandom::fill(&mut byte).map_or(0.5, |()| f64::from(byte[0]) / 255.0);
    time.mul_f64(0.5 + part)
}
