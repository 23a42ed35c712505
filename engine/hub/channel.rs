//! Control channels: which agents are connected, and how each is spoken to.
//!
//! In:  agents that greeted rightly. Out: messages into their bounded queues.
//!
//! One channel for each agent: a newer one takes the place of the older, which is ended. Whoever
//! speaks to an agent never waits for it: a queue that is full counts as an agent that is away.
//!
//! Knows no sockets; `http::agent` moves what is in the queues.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};

use super::protocol::{FRAME_BYTES_MAX, FromHub};
use crate::base::clock::Timestamp;

/// Messages that wait for one agent; an answer or two and a burst of requests.
const QUEUE_MAX: usize = 32;

/// Transfers of one agent at the same time; more are asked to come back.
pub const TRANSFERS_MAX: usize = 64;

/// Questions that an agent may ask at once, and how many it may ask a second after them.
const ASKS_BURST: u32 = 256;
const ASKS_PER_S: u32 = 32;

/// All connected agents.
#[derive(Debug, Default)]
pub struct Channels {
    live: RwLock<HashMap<String, Arc<Channel>>>,
    next: AtomicU64,
}

/// One connected agent.
#[derive(Debug)]
pub struct Channel {
    /// Its id.
    pub agent_id: String,
    /// The key that it greeted with, base64url.
    pub key: String,
    /// Tells it from earlier and later channels of the same agent.
    number: u64,
    queue: mpsc::Sender<String>,
    places: Arc<Semaphore>,
    end: OnceLock<End>,
    ended: Notify,
    doubted: Notify,
}

/// Why a message was not put into a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsaid {
    /// The agent does not take what is there already.
    Full,
    /// No message may be so long.
    Long,
}

/// Why a channel is ended from this side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The same agent connected again.
    Replaced,
    /// It may not connect any more, or changed its key.
    Dismissed,
    /// The hub is about to stop.
    Closing,
    /// It says more than anybody should.
    Flood,
    /// It says what nobody understands.
    Nonsense,
    /// It does not answer.
    Silent,
}

impl End {
    /// In words, for the agent and for records.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Replaced => "it connected again",
            Self::Dismissed => "it may not connect with this key any more",
            Self::Closing => "the hub stops",
            Self::Flood => "it sent too many messages",
            Self::Nonsense => "it sent what is no message",
            Self::Silent => "it did not answer",
        }
    }
}

impl Channels {
    /// Takes an agent in, and ends the channel that it had before. Its queue is emptied by whoever
    /// has the receiver.
    pub fn enter(&self, agent_id: &str, key: &str) -> (Arc<Channel>, mpsc::Receiver<String>) {
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let channel = Arc::new(Channel {
            agent_id: agent_id.to_owned(),
            key: key.to_owned(),
            number: self.next.fetch_add(1, Ordering::Relaxed),
            queue,
            places: Arc::new(Semaphore::new(TRANSFERS_MAX)),
            end: OnceLock::new(),
            ended: Notify::new(),
            doubted: Notify::new(),
        });
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(older) = live.insert(agent_id.to_owned(), channel.clone()) {
            older.end(End::Replaced);
        }
        (channel, waiting)
    }

    /// Forgets a channel; a newer one of the same agent stays. Whether it was the agent's last.
    pub fn leave(&self, channel: &Channel) -> bool {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        let is_it = live.get(&channel.agent_id).is_some_and(|kept| kept.number == channel.number);
        if is_it {
            live.remove(&channel.agent_id);
        }
        is_it
    }

    /// The channel of an agent that is connected.
    pub fn of(&self, agent_id: &str) -> Option<Arc<Channel>> {
        self.live.read().unwrap_or_else(PoisonError::into_inner).get(agent_id).cloned()
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<Channel>> {
        self.live.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.live.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Says something to all that are connected; those whose queues are full miss it.
    pub fn tell_all(&self, message: &FromHub) {
        for channel in self.all() {
            if let Err(why) = channel.say(message) {
                tracing::debug!(?why, "an agent missed a message");
            }
        }
    }
}

impl Channel {
    /// Puts a message into its queue.
    ///
    /// # Errors
    /// When it takes no more, or the message is too long.
    pub fn say(&self, message: &FromHub) -> Result<(), Unsaid> {
        let text = serde_json::to_string(message).map_err(|error| {
            tracing::error!(%error, "a message could not be written");
            Unsaid::Long
        })?;
        if text.len() > FRAME_BYTES_MAX {
            return Err(Unsaid::Long);
        }
        self.queue.try_send(text).map_err(|_full_or_gone| Unsaid::Full)
    }

    /// A place for one more transfer.
    pub fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.places.clone().try_acquire_owned().ok()
    }

    /// Ends it; the first reason counts.
    pub fn end(&self, why: End) {
        let _first = self.end.set(why);
        self.ended.notify_one();
    }

    /// Waits until somebody ends it.
    pub async fn ended(&self) -> End {
        loop {
            if let Some(why) = self.end.get() {
                return *why;
            }
            self.ended.notified().await;
        }
    }

    /// Asks whoever has its socket to see whether the agent still is at the other end.
    pub fn doubt(&self) {
        self.doubted.notify_one();
    }

    /// Waits until somebody doubts.
    pub async fn doubted(&self) {
        self.doubted.notified().await;
    }
}

/// How many questions an agent may ask: a burst, then so many a second.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    left: u32,
    at: Timestamp,
}

impl Pace {
    /// Full.
    pub const fn new(now: Timestamp) -> Self {
        Self { left: ASKS_BURST, at: now }
    }

    /// Takes one; false when there is none left.
    pub fn take(&mut self, now: Timestamp) -> bool {
        let elapsed_ms = u64::try_from(now.0.saturating_sub(self.at.0)).unwrap_or(0);
        let more = elapsed_ms.saturating_mul(ASKS_PER_S.into()) / 1000;
        if more > 0 {
            let more = u32::try_from(more).unwrap_or(ASKS_BURST);
            self.left = self.left.saturating_add(more).min(ASKS_BURST);
            self.at = now;
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_channel_of_an_agent_takes_the_place_of_the_older() {
        let channels = Channels::default();
        let (older, _queue) = channels.enter("a", "k");
        let (newer, mut waiting) = channels.enter("a", "k");
        assert_eq!(older.end.get(), Some(&End::Replaced));
        assert!(!channels.leave(&older), "the newer stays");
        let now = channels.of("a").expect("connected");
        now.say(&FromHub::Closing { again_ms: 5 }).expect("said");
        assert_eq!(waiting.try_recv().expect("said"), r#"{"type":"closing","again_ms":5}"#);
        assert!(channels.leave(&newer));
        assert_eq!(channels.count(), 0);
    }

    #[test]
    fn queue_of_an_agent_that_takes_nothing_is_bounded() {
        let channels = Channels::default();
        let (channel, _queue) = channels.enter("a", "k");
        let say = |_: &i32| channel.say(&FromHub::Closing { again_ms: 5 }).is_ok();
        let said = (0..100).filter(say).count();
        assert_eq!(said, QUEUE_MAX);
        let places: Vec<_> = (0..100).map_while(|_| channel.place()).collect();
        assert_eq!(places.len(), TRANSFERS_MAX);
    }

    #[test]
    fn pace_lets_a_burst_through_and_then_so_many_a_second() {
        let mut pace = Pace::new(Timestamp(0));
        let taken =
            |pace: &mut Pace, at| (0..10_000).take_while(|_| pace.take(Timestamp(at))).count();
        assert_eq!(taken(&mut pace, 0), 256);
        assert_eq!(taken(&mut pace, 10), 0);
        assert_eq!(taken(&mut pace, 1010), 32);
        assert_eq!(taken(&mut pace, i64::MAX), 256);
        assert_eq!(taken(&mut pace, 0), 0, "a clock that was set back gives nothing");
    }
}
