//! The thread that scans one root whenever it is told to.
//!
//! In:  orders to scan.
//! Out: `ScanStarted`, a `Found` for every file, `ScanProgress`, `ScanDone`.
//!
//! A file that was written just now is handed to the follower instead of being told: its
//! writer may not be done.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use super::follow::{Input, RootId};
use super::scan::{Entry, scan};
use super::{Event, Origin, Stop, Stopped};
use crate::base::clock::Timestamp;
use crate::base::file_state::FileState;

const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// Folders that could not be read and are told one by one; of more, only the number.
const WARNINGS_MAX: usize = 5;

/// One scan to make.
#[derive(Debug)]
pub(super) struct ScanOrder {
    pub(super) path: PathBuf,
    pub(super) root_id: RootId,
}

/// Scans one root, again and again.
#[derive(Debug)]
pub(super) struct Rescanner {
    pub(super) collection: String,
    pub(super) quiet_ms: u64,
    pub(super) orders: Receiver<ScanOrder>,
    pub(super) inbox: SyncSender<Input>,
    pub(super) outlet: SyncSender<Event>,
    pub(super) stop: Arc<Stop>,
}

impl Rescanner {
    /// Works until the follower ends or the collector is told to stop.
    pub(super) fn run(self) {
        while let Ok(order) = self.orders.recv() {
            let began = Instant::now();
            let took_ms =
                |began: Instant| u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            if self.scan(&order).is_err()
                || self
                    .stop
                    .send(&self.inbox, Input::ScanEnded { took_ms: took_ms(began) })
                    .is_err()
            {
                return;
            }
        }
    }

    fn scan(&self, order: &ScanOrder) -> Result<(), Stopped> {
        let collection = || self.collection.clone();
        self.tell(Event::ScanStarted { collection: collection() })?;
        let (mut files_count, mut told_at) = (0, Instant::now());
        let summary = scan(&order.path, Path::new(""), |entry| {
            files_count += 1;
            let told = self.take(entry).and_then(|()| {
                if told_at.elapsed() < PROGRESS_EVERY {
                    return Ok(());
                }
                told_at = Instant::now();
                self.tell(Event::ScanProgress { collection: collection(), files_count })
            });
            if told.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        if summary.was_stopped {
            return Err(Stopped);
        }
        for (path, error) in summary.unreadable.iter().take(WARNINGS_MAX) {
            let text = format!("`{}` cannot be read: {error}", order.path.join(path).display());
            self.tell(Event::Warning { collection: collection(), text })?;
        }
        if let Some(more_count @ 1..) = summary.unreadable.len().checked_sub(WARNINGS_MAX) {
            let text = format!("{more_count} further folders cannot be read");
            self.tell(Event::Warning { collection: collection(), text })?;
        }
        // When the root went away meanwhile, what was not seen may be there all the same.
        let is_complete =
            summary.unreadable.is_empty() && RootId::of(&order.path) == Some(order.root_id);
        self.tell(Event::ScanDone {
            collection: collection(),
            files_count: summary.files_count,
            ignored_count: summary.ignored_count,
            is_complete,
        })
    }

    fn take(&self, entry: Entry) -> Result<(), Stopped> {
        if is_young(&entry.state, self.quiet_ms) {
            return self.stop.send(&self.inbox, Input::Young(entry.relative));
        }
        self.tell(Event::Found {
            collection: self.collection.clone(),
            relative: entry.relative,
            state: entry.state,
            origin: Origin::Scan,
        })
    }

    fn tell(&self, event: Event) -> Result<(), Stopped> {
        if self.stop.is_set() {
            return Err(Stopped);
        }
        self.stop.send(&self.outlet, event)
    }
}

/// Whether a file was written so recently that its writer may still be at it.
pub(super) fn is_young(state: &FileState, quiet_ms: u64) -> bool {
    let age_ms = Timestamp::now().0.saturating_sub(state.modified_ns / 1_000_000);
    // A time in the future comes from another clock and says nothing.
    u64::try_from(age_ms).is_ok_and(|age_ms| age_ms < quiet_ms)
}
