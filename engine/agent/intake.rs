//! The thread between the collector and the workers: what is known goes no further.
//!
//! In:  what the collector tells.
//! Out: jobs for files that are to be read; everything that somebody should hear of.
//!
//! Events are noted in the order in which they came, because a scan ends after what it
//! found; many at a time, because each commit costs as much as a hundred notes.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, SyncSender};
use std::sync::{Arc, Mutex};

use super::photos::Message;
use super::worker::Job;
use super::{group, lock};
use crate::base::clock::Timestamp;
use crate::base::file_state::FileState;
use crate::collection::Event;
use crate::collection::group::Kind;
use crate::store::{Index, StoreError};

/// Events noted at once.
const EVENTS_AT_ONCE: usize = 256;

/// What the intake needs.
pub(super) struct Intake {
    pub(super) index: Arc<Mutex<Index>>,
    /// Collections by name.
    pub(super) roots: BTreeMap<String, PathBuf>,
    pub(super) jobs: SyncSender<Job>,
    pub(super) messages: Sender<Message>,
}

/// What follows from an event once it is noted.
enum Step {
    Look(Job),
    Tell(Event),
}

impl Intake {
    /// Works until the collector ends or nobody listens.
    pub(super) fn run(&self, found: &Receiver<Event>) {
        while let Ok(first) = found.recv() {
            let events = std::iter::once(first).chain(found.try_iter()).take(EVENTS_AT_ONCE);
            for step in self.note_all(events) {
                let is_heard = match step {
                    Step::Look(job) => self.jobs.send(job).is_ok(),
                    Step::Tell(event) => self.messages.send(Message::Collection(event)).is_ok(),
                };
                if !is_heard {
                    return;
                }
            }
        }
    }

    fn note_all(&self, events: impl Iterator<Item = Event>) -> Vec<Step> {
        let mut index = lock(&self.index);
        let mut mends = |error: StoreError| {
            tracing::error!(%error, "the index cannot be kept, the next scan mends it");
        };
        index.begin_batch().unwrap_or_else(&mut mends);
        let mut steps = Vec::new();
        for event in events {
            tracing::trace!(?event, "told");
            match self.note(&mut index, event) {
                Ok(step) => steps.extend(step),
                Err(error) => mends(error),
            }
        }
        index.commit_batch().unwrap_or_else(&mut mends);
        steps
    }

    fn note(&self, index: &mut Index, event: Event) -> Result<Option<Step>, StoreError> {
        match &event {
            Event::Found { collection, relative, kind, state, .. } => {
                let Some(root) = self.roots.get(collection) else { return Ok(None) };
                let path = root.join(relative);
                // A scan and the watcher tell side by side, so this may be older than what is
                // known: of a state that is over nothing is noted, the file is looked at anew.
                let is_now = is_still(&path, state);
                let is_known = is_now && index.known(collection, relative, *kind, state)?.is_some();
                let is_read = match group::kind_of(relative) {
                    Kind::Photo | Kind::Companion(_) => is_known,
                    // It names photos from where it lies, so one that was moved is read again.
                    Kind::PrintMarks => is_known && index.has_marks(collection, relative)?,
                    Kind::Album | Kind::Other => {
                        // Read where it is of use; noted, it is not told again.
                        if is_now && !is_known {
                            index.note_file(collection, relative, *kind, state, None)?;
                        }
                        true
                    }
                };
                forget_if_gone(index, collection, relative, &path)?;
                if !is_read {
                    let (collection, relative) = (collection.clone(), relative.clone());
                    let (attempts_count, is_unsaid) = (0, false);
                    let job = Job { collection, relative, path, attempts_count, is_unsaid };
                    return Ok(Some(Step::Look(job)));
                }
                // One that was moved beside a photo need not be read, but the photo has it now.
                let is_companion = matches!(group::kind_of(relative), Kind::Companion(_));
                return Ok(is_companion.then_some(Step::Tell(event)));
            }
            Event::Missing { collection, relative, state } => {
                index.miss(collection, relative, state)?;
                return Ok(None);
            }
            Event::Vanished { collection, relative } => index.forget(collection, relative)?,
            Event::ScanStarted { collection } => index.begin_scan(collection)?,
            Event::ScanDone { collection, seen: Some(seen), .. } => {
                index.end_scan(collection, seen, Timestamp::now())?;
            }
            _ => {}
        }
        Ok(Some(Step::Tell(event)))
    }
}

/// Whether a file is just now in the state in which it was read.
pub(super) fn is_still(path: &Path, state: &FileState) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| FileState::of(&metadata) == *state)
}

/// Whether a file is in another state than when it was read.
pub(super) fn is_changed(path: &Path, state: &FileState) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| FileState::of(&metadata) != *state)
}

/// Forgets a file that was recorded just now and is not there any more: that it vanished may
/// have been told before there was anything to forget.
pub(super) fn forget_if_gone(
    index: &mut Index,
    collection: &str,
    relative: &Path,
    path: &Path,
) -> Result<(), StoreError> {
    match path.symlink_metadata() {
        Err(error)
            if matches!(
                error.kind(),
                // A folder on the way is a file by now.
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            index.forget(collection, relative)
        }
        _ => Ok(()),
    }
}
