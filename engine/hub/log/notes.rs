//! Notes that wait to be appended to hub logs: gathered for a moment, so that a busy relay does not
//! pay a transaction for each.
//!
//! Of refused tries each agent's log gets so many a minute one by one; a number stands for the rest,
//! and is noted with the next one in another minute. Who floods a hub fills no disk.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::LogError;
use crate::base::clock::Timestamp;
use crate::hub::alias::Aliases;
use crate::store::leaf::HubLeaf;

/// How long notes are gathered.
const GATHER: Duration = Duration::from_millis(50);

/// How long to wait when the store did not take them.
const AGAIN: Duration = Duration::from_secs(1);

/// Notes that wait for one agent at most: more than its transfers bring in [`AGAIN`].
const WAITING_MAX: usize = 1024;

/// Refused tries a minute that are told of one by one.
const REFUSED_PER_MINUTE_MAX: u32 = 60;

/// Notes, and the thread that appends them.
pub(super) struct Notes {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

struct Shared {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    aliases: Aliases,
}

#[derive(Default)]
struct Waiting {
    notes: BTreeMap<String, Vec<HubLeaf>>,
    refused: BTreeMap<String, Refused>,
    is_over: bool,
}

/// Refused tries about one agent in one minute.
#[derive(Default)]
struct Refused {
    minute: i64,
    told_count: u32,
    more_count: u64,
    last_at: Option<Timestamp>,
}

impl Notes {
    /// - `aliases`: what agents are called in logs
    /// - `append`: appends the notes of one agent, or fails and did nothing
    pub(super) fn start(
        aliases: Aliases,
        append: impl Fn(&str, &[HubLeaf]) -> Result<(), LogError> + Send + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared { waiting: Mutex::default(), wake: Condvar::new(), aliases });
        let writer = shared.clone();
        let writer = std::thread::Builder::new()
            .name("hub log".into())
            .spawn(move || writer.run(&append))?;
        Ok(Self { shared, writer: Some(writer) })
    }

    pub(super) fn add(&self, agent_id: &str, leaf: HubLeaf) {
        self.shared.guard().add(agent_id, leaf);
        self.shared.wake.notify_one();
    }

    /// Appends what waits for one agent now.
    pub(super) fn flush(
        &self,
        agent_id: &str,
        append: impl FnOnce(&[HubLeaf]) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let notes = self.shared.guard().notes.remove(agent_id).unwrap_or_default();
        if notes.is_empty() {
            return Ok(());
        }
        append(&notes).inspect_err(|_| self.shared.guard().put_back(agent_id, notes))
    }
}

impl Drop for Notes {
    fn drop(&mut self) {
        self.shared.guard().is_over = true;
        self.shared.wake.notify_one();
        if let Some(writer) = self.writer.take() {
            let _panicked = writer.join();
        }
    }
}

impl Shared {
    fn guard(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, append: &impl Fn(&str, &[HubLeaf]) -> Result<(), LogError>) {
        let mut pause = GATHER;
        loop {
            let waiting = self.guard();
            let waiting = self
                .wake
                .wait_while(waiting, |waiting| waiting.notes.is_empty() && !waiting.is_over)
                .unwrap_or_else(PoisonError::into_inner);
            let (mut waiting, _) = self
                .wake
                .wait_timeout_while(waiting, pause, |waiting| !waiting.is_over)
                .unwrap_or_else(PoisonError::into_inner);
            let is_over = waiting.is_over;
            if is_over {
                waiting.close_minutes();
            }
            let notes = std::mem::take(&mut waiting.notes);
            drop(waiting);
            pause = GATHER;
            for (agent_id, notes) in notes {
                match append(&agent_id, &notes) {
                    Ok(()) => {}
                    Err(error @ LogError::Moved(_)) => {
                        tracing::warn!(%error, "notes of the hub's log are of nobody");
                    }
                    Err(error) => {
                        let agent = self.aliases.alias(&agent_id);
                        tracing::warn!(%error, agent, "notes of the hub's log wait");
                        self.guard().put_back(&agent_id, notes);
                        pause = AGAIN;
                    }
                }
            }
            if is_over {
                return;
            }
        }
    }
}

impl Waiting {
    fn add(&mut self, agent_id: &str, leaf: HubLeaf) {
        if let HubLeaf::Refused { at, .. } = &leaf {
            let (minute, at) = (at.0.div_euclid(60_000), *at);
            let refused = self.refused.entry(agent_id.into()).or_default();
            let more = if refused.minute == minute { None } else { refused.close() };
            refused.minute = minute;
            if refused.told_count >= REFUSED_PER_MINUTE_MAX {
                refused.more_count += 1;
                refused.last_at = Some(at);
                return;
            }
            refused.told_count += 1;
            self.push(agent_id, more);
        }
        self.push(agent_id, Some(leaf));
    }

    fn push(&mut self, agent_id: &str, leaf: Option<HubLeaf>) {
        let notes = self.notes.entry(agent_id.into()).or_default();
        if notes.len() < WAITING_MAX {
            notes.extend(leaf);
        } else {
            tracing::warn!("the hub's log cannot keep up: a note is lost");
        }
    }

    /// Puts notes back that could not be appended, before those that came meanwhile.
    fn put_back(&mut self, agent_id: &str, mut notes: Vec<HubLeaf>) {
        let later = self.notes.remove(agent_id).unwrap_or_default();
        notes.extend(later);
        notes.truncate(WAITING_MAX);
        self.notes.insert(agent_id.into(), notes);
    }

    fn close_minutes(&mut self) {
        let refused = std::mem::take(&mut self.refused);
        for (agent_id, mut refused) in refused {
            let more = refused.close();
            self.push(&agent_id, more);
        }
    }
}

impl Refused {
    /// What stands for the tries that were not told of one by one.
    fn close(&mut self) -> Option<HubLeaf> {
        let refused = std::mem::take(self);
        Some(HubLeaf::RefusedMore { tries: refused.more_count, at: refused.last_at? })
    }
}
