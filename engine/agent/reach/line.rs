//! One connection to the hub, from the greeting to its end: questions out, answers and requests in.
//!
//! Nothing is believed before the hub's signature over this connection was checked, and of what it
//! says afterwards no more than needed: requests are checked as if they had come directly.
//!
//! A computer that slept finds its connection dead without being told. So when the wall clock ran
//! ahead of our timer, the hub is asked at once whether it is there.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

use super::connect::{Connector, Stream};
use super::serve::Errands;
use super::{Away, Providers, Question, Standing};
use crate::access::{Key, Membership, PublicKey};
use crate::agent::books::OutwardBook;
use crate::agent::enrol::finish_change;
use crate::agent::{AgentEvent, Tell};
use crate::base::clock::Timestamp;
use crate::base::home::Home;
use crate::hub::greeting::{GreetingError, agent_hello, read_welcome};
use crate::hub::protocol::{Answer, FRAME_BYTES_MAX, FromAgent, FromHub, HubHello, HubWelcome};

/// How long the greeting may take, and how long a message may take to leave.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a question may take.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// How often timers are looked at.
const TICK: Duration = Duration::from_secs(5);

/// A hub that said nothing for so long is asked whether it is there, and has [`ASKED`] to answer.
const QUIET_MAX: Duration = Duration::from_secs(420);
const ASKED: Duration = Duration::from_secs(15);

/// How far the wall clock may run ahead of our timer before this counts as sleep.
const SLEPT_MS: i64 = 20_000;

/// Buffers of the connection when idle, in bytes.
const IDLE_BYTES: usize = 4 * 1024;

/// A code with which a hub says that another try is of no use.
const REFUSED: u16 = 4003;

/// Everything that connections to the hub need.
pub(super) struct Line {
    pub(super) membership: Membership,
    pub(super) home: Home,
    /// The key of the last greeting.
    pub(super) greeted_with: Option<PublicKey>,
    pub(super) hub_key: PublicKey,
    pub(super) connector: Connector,
    pub(super) outward: Arc<OutwardBook>,
    pub(super) asked: mpsc::Receiver<Question>,
    pub(super) standing: watch::Sender<Standing>,
    pub(super) providers: watch::Sender<Providers>,
    pub(super) shutdown: watch::Receiver<bool>,
}

/// Why a connection ended.
pub(super) enum Ended {
    /// The agent stops.
    Shutdown,
    /// The hub stops, and said when to come back.
    Closing { again_ms: u64 },
    /// It broke, or could not be made.
    Broken(String),
    /// One side does not want the other.
    Refused(String),
}

type Socket = WebSocketStream<Stream>;

impl Line {
    /// Connects and talks until the connection ends.
    ///
    /// - `told`: what was told last: `Some(None)` that the hub is there, `Some(Some(why))` that it
    ///   is not
    pub(super) async fn talk(
        &mut self,
        errands: &Arc<Errands>,
        tell: &Tell,
        told: &mut Option<Option<String>>,
    ) -> Ended {
        let mut shutdown = self.shutdown.clone();
        let greeted = tokio::select! {
            () = stopped(&mut shutdown) => return Ended::Shutdown,
            greeted = self.greet() => greeted,
        };
        let (socket, welcome) = match greeted {
            Ok(greeted) => greeted,
            Err(ended) => return ended,
        };
        if told.as_ref() != Some(&None) {
            tell(AgentEvent::HubConnected { hub: self.membership.url.clone() });
            *told = Some(None);
        }
        if welcome.base_url != self.membership.base_url {
            tracing::warn!(
                now = welcome.base_url,
                "the hub names another address for this computer; the one it was joined with stays"
            );
        }
        self.providers.send_replace(Providers::new());
        self.standing.send_replace(Standing::Connected(Arc::new(welcome)));
        self.converse(socket, errands).await
    }

    /// Waits, and tells those who ask meanwhile that the hub is away.
    pub(super) async fn wait(&mut self, wait_ms: u64) {
        let until = Instant::now() + Duration::from_millis(wait_ms);
        let why = match &*self.standing.borrow() {
            Standing::Away { why } => why.clone(),
            Standing::Connected(_) => String::new(),
        };
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return,
                () = stopped(&mut self.shutdown) => return,
                Some(question) = self.asked.recv() => {
                    let _gone = question.answer.send(Err(Away(why.clone())));
                }
            }
        }
    }

    /// Whether this computer has another key at the hub than the one that it greeted with last.
    pub(super) async fn has_another_key(&self) -> bool {
        let home = self.home.clone();
        let now = tokio::task::spawn_blocking(move || Membership::key(&home)).await;
        now.is_ok_and(|key| key.is_ok_and(|key| Some(key.public()) != self.greeted_with))
    }

    /// The key that this computer has at the hub now; finishes a change that was cut off.
    async fn key(&self) -> Result<Key, String> {
        let (home, outward) = (self.home.clone(), self.outward.current());
        let key = tokio::task::spawn_blocking(move || {
            match finish_change(&home, &outward, Timestamp::now()) {
                Ok(true) => tracing::info!("a change of the key at the hub was finished"),
                Ok(false) => {}
                Err(error) => tracing::warn!("a change of the key at the hub waits: {error}"),
            }
            Membership::key(&home)
        });
        key.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }

    async fn greet(&mut self) -> Result<(Socket, HubWelcome), Ended> {
        let broken = |error: &dyn std::fmt::Display| Ended::Broken(error.to_string());
        let key = self.key().await.map_err(Ended::Broken)?;
        self.greeted_with = Some(key.public());
        let outward = self.outward.current();
        let stream = self.connector.connect(outward).await.map_err(Ended::Broken)?;
        let request = format!("ws://{}/v1/agent", self.connector.host());
        let request = request.into_client_request().map_err(|error| broken(&error))?;
        let config = WebSocketConfig::default()
            .read_buffer_size(IDLE_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(2 * FRAME_BYTES_MAX)
            .max_message_size(Some(FRAME_BYTES_MAX))
            .max_frame_size(Some(FRAME_BYTES_MAX));
        let socket = tokio_tungstenite::client_async_with_config(request, stream, Some(config));
        let greeting = async {
            let (mut socket, _response) = socket.await.map_err(|error| no_socket(&error))?;
            let text = heard(&mut socket).await?;
            let unbelieved = |error: GreetingError| match &error {
                GreetingError::OtherHub(_) | GreetingError::Version(_) => {
                    Ended::Refused(error.to_string())
                }
                _ => broken(&error),
            };
            let hello: HubHello = serde_json::from_str(&text).map_err(|error| broken(&error))?;
            let Membership { hub_key, agent_id, .. } = &self.membership;
            let (said, nonce) = agent_hello(&hello, hub_key, agent_id, &key).map_err(unbelieved)?;
            socket.send(Message::text(said)).await.map_err(|error| broken(&error))?;
            let text = heard(&mut socket).await?;
            let welcome = read_welcome(&text, &self.hub_key, agent_id, &nonce);
            Ok((socket, welcome.map_err(unbelieved)?))
        };
        let greeted = timeout(PATIENCE, Box::pin(greeting)).await;
        greeted.unwrap_or_else(|_late| Err(Ended::Broken("it did not answer in time".into())))
    }

    async fn converse(&mut self, mut socket: Socket, errands: &Arc<Errands>) -> Ended {
        let mut waiting: HashMap<u64, (Question, Instant)> = HashMap::new();
        let mut next = 0;
        let mut again_ms = None;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut clock = Clock::now();
        let (mut heard_at, mut asked_at) = (Instant::now(), None);
        loop {
            tokio::select! {
                () = stopped(&mut self.shutdown) => {
                    let _gone = timeout(PATIENCE, socket.close(None)).await;
                    return Ended::Shutdown;
                }
                Some(question) = self.asked.recv() => {
                    next += 1;
                    let asked = FromAgent { ask: next, what: question.what.clone() };
                    let text = serde_json::to_string(&asked).unwrap_or_default();
                    if text.len() > FRAME_BYTES_MAX {
                        let _gone = question.answer.send(Err(Away("it is too much to say".into())));
                        continue;
                    }
                    waiting.insert(next, (question, Instant::now()));
                    if let Err(ended) = say(&mut socket, Message::text(text)).await {
                        return ended;
                    }
                }
                message = socket.next() => {
                    (heard_at, asked_at) = (Instant::now(), None);
                    let text = match message {
                        Some(Ok(Message::Text(text))) => text,
                        Some(Ok(Message::Close(frame))) => {
                            return closed(frame.map(|frame| (frame.code.into(), frame.reason.to_string())), again_ms);
                        }
                        Some(Ok(_)) => continue,
                        Some(Err(error)) => return again(again_ms, error.to_string()),
                        None => return again(again_ms, "the connection broke".into()),
                    };
                    match serde_json::from_str(&text) {
                        Ok(FromHub::Answer { ask, answer }) => {
                            if let Some((question, _)) = waiting.remove(&ask) {
                                let _gone = question.answer.send(Ok::<Answer, Away>(answer));
                            }
                        }
                        Ok(FromHub::Serve(serve)) => errands.clone().begin(*serve),
                        Ok(FromHub::Provider { name, state, why }) => {
                            self.providers.send_modify(|known| {
                                known.insert(name, (state, why));
                            });
                        }
                        Ok(FromHub::Closing { again_ms: wait_ms }) => again_ms = Some(wait_ms),
                        // A newer hub may say more than this program knows.
                        Err(error) => tracing::debug!(%error, "the hub said what is not known here"),
                    }
                }
                _ = tick.tick() => {
                    waiting.retain(|_, (_, since)| since.elapsed() < ANSWER_MAX);
                    let is_doubtful = clock.slept() || heard_at.elapsed() > QUIET_MAX;
                    match asked_at {
                        Some(since) if Instant::now().duration_since(since) > ASKED => {
                            return Ended::Broken("it does not answer any more".into());
                        }
                        None if is_doubtful => {
                            asked_at = Some(Instant::now());
                            let ping = Message::Ping(Vec::new().into());
                            if let Err(ended) = say(&mut socket, ping).await {
                                return ended;
                            }
                        }
                        _ => {}
                    }
                }
            }
        }
    }
}

/// Two clocks, one of which goes on while the computer sleeps.
struct Clock {
    wall: Timestamp,
    timer: Instant,
}

impl Clock {
    fn now() -> Self {
        Self { wall: Timestamp::now(), timer: Instant::now() }
    }

    /// Whether the computer slept since this was last asked.
    fn slept(&mut self) -> bool {
        let now = Self::now();
        let by_timer = i64::try_from((now.timer - self.timer).as_millis()).unwrap_or(i64::MAX);
        let by_wall = now.wall.0.saturating_sub(self.wall.0);
        *self = now;
        by_wall.saturating_sub(by_timer) > SLEPT_MS
    }
}

async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}

async fn heard(socket: &mut Socket) -> Result<String, Ended> {
    match socket.next().await {
        Some(Ok(Message::Text(text))) => Ok(text.to_string()),
        Some(Ok(Message::Close(frame))) => {
            Err(closed(frame.map(|frame| (frame.code.into(), frame.reason.to_string())), None))
        }
        Some(Ok(_)) => Err(Ended::Broken("it is no hub of Signet".into())),
        Some(Err(error)) => Err(Ended::Broken(error.to_string())),
        None => Err(Ended::Broken("the connection broke".into())),
    }
}

async fn say(socket: &mut Socket, message: Message) -> Result<(), Ended> {
    match timeout(PATIENCE, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Ended::Broken(error.to_string())),
        Err(_late) => Err(Ended::Broken("it takes no more messages".into())),
    }
}

fn again(again_ms: Option<u64>, why: String) -> Ended {
    match again_ms {
        // A hub that lies about it keeps nobody away for long.
        Some(again_ms) => Ended::Closing { again_ms: again_ms.min(5 * 60 * 1000) },
        None => Ended::Broken(why),
    }
}

fn closed(frame: Option<(u16, String)>, again_ms: Option<u64>) -> Ended {
    let Some((code, reason)) = frame else {
        return again(again_ms, "the hub ended the connection".into());
    };
    let reason: String = reason.chars().filter(|c| !c.is_control()).take(200).collect();
    match code {
        REFUSED => Ended::Refused(format!("the hub says: {reason}")),
        _ => again(again_ms, format!("the hub ended the connection: {reason}")),
    }
}

fn no_socket(error: &SocketError) -> Ended {
    match error {
        SocketError::Http(response) => {
            Ended::Broken(format!("it answers with status {}", response.status().as_u16()))
        }
        error => Ended::Broken(error.to_string()),
    }
}
