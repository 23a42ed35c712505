//! Finds photos and what travels with them: a first scan, then events, then scans again.
//!
//! In:  the roots of the owner's collections; which files the index knows.
//! Out: [`Event`]s over channels: files to look at, files that vanished, roots that came
//!      or went.
//!
//! Events of the file system are hints, the scan is the truth. Each root is scanned when
//! it comes online, when events were lost, after the computer slept, and every so often. A
//! scan tells only what differs from the index. A root that is gone is *offline*: nothing in
//! it is told to have vanished.
//!
//! Of roots that lie in one another the innermost has the file, so it is counted once.
//!
//! We never write into, move or delete the owner's files, and reading them causes no
//! events: only ends of writing are listened to, not of reading.
//!
//! Each root has two threads, so a scan that waits for its listener does not hold up the
//! photo that was just saved, and a network share that hangs holds up only itself.
//!
//! Knows nothing of contents or of what becomes of a file.

pub mod coalesce;
pub mod group;
pub mod names;
pub mod walk;

mod compare;
mod follow;
mod limits;
mod presence;
mod rescan;
mod schedule;
mod trust;
mod watch;
mod writers;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::base::file_kind::FileKind;
use crate::base::file_state::FileState;
use crate::store::Seen;

/// How long [`Collector::shutdown`] waits for threads that hang in the file system.
const SHUTDOWN_WAIT: Duration = Duration::from_secs(3);

/// How long to wait before trying again to tell a listener that is busy.
const FULL_WAIT: Duration = Duration::from_millis(2);

/// Events of the file system that may wait to be looked at; more lead to a scan.
const INBOX_MAX: usize = 65_536;

/// One folder of the owner that is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Name of the collection.
    pub collection: String,
    /// Where it lies. A link is followed; links below it are not.
    pub path: PathBuf,
}

/// How patient to be, and where our own things are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// A file that nobody closes is taken when it did not change for so long.
    pub quiet_ms: u64,
    /// Whole scans while events come reliably, in minutes; at least 1.
    pub rescan_minutes: u64,
    /// The index that knows the files; it is only read.
    pub index: PathBuf,
    /// A folder of our own. When it is on the disk of a root, a file in it shows from time
    /// to time that events still come.
    pub own_folder: Option<PathBuf>,
    /// Folders that this user may watch with all programs; `None`: as the system says.
    pub watches_max: Option<u64>,
}

impl Settings {
    /// The usual patience.
    ///
    /// - `index`: the file of the index
    pub const fn new(index: PathBuf) -> Self {
        Self { quiet_ms: 2000, rescan_minutes: 60, index, own_folder: None, watches_max: None }
    }
}

/// What the collector has to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A file is there and may be read. It may be known all the same.
    Found {
        /// Name of the collection.
        collection: String,
        /// Path below the root.
        relative: PathBuf,
        /// What it is by its name.
        kind: FileKind,
        /// Its state just now.
        state: FileState,
        /// How it was noticed.
        origin: Origin,
    },
    /// A file, or a folder with all that was in it, is no longer there.
    Vanished {
        /// Name of the collection.
        collection: String,
        /// Path below the root.
        relative: PathBuf,
    },
    /// A scan did not see a file that the index knows. It means something only when the scan
    /// is whole, and what it means depends on how many are missing.
    Missing {
        /// Name of the collection.
        collection: String,
        /// Path below the root.
        relative: PathBuf,
        /// Its state as it is known.
        state: FileState,
    },
    /// A scan of the whole collection begins.
    ScanStarted {
        /// Name of the collection.
        collection: String,
    },
    /// A scan goes on; about twice a second.
    ScanProgress {
        /// Name of the collection.
        collection: String,
        /// Photos seen so far.
        photos_count: u64,
    },
    /// A scan ended; all that differs was told before.
    ScanDone {
        /// Name of the collection.
        collection: String,
        /// Photos seen.
        photos_count: u64,
        /// Files that are neither photos nor anything that travels with them.
        ignored_count: u64,
        /// What was seen, if that was everything. If not, a file that was missing means
        /// nothing.
        seen: Option<Seen>,
    },
    /// The system lost events of a root; it is scanned for what they would have told.
    EventsLost {
        /// Name of the collection.
        collection: String,
        /// How often since it came online.
        times_count: u64,
    },
    /// The root cannot be reached; its files are neither there nor gone.
    Offline {
        /// Name of the collection.
        collection: String,
    },
    /// The root can be reached; a scan follows.
    Online {
        /// Name of the collection.
        collection: String,
    },
    /// Something the owner should know, as a sentence.
    Warning {
        /// Name of the collection.
        collection: String,
        /// What, and what to do about it.
        text: String,
    },
}

/// How a file was noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// By a scan of the whole collection.
    Scan,
    /// Because something happened to it just now.
    Watch,
}

/// Where events go. Both may lead to one channel; with two, what happens now does not
/// wait behind a scan of a hundred thousand files.
#[derive(Debug, Clone)]
pub struct Outlets {
    /// What happens now: `Found` by watching, `Vanished`, `Offline`, `Online`, `Warning`.
    pub live: SyncSender<Event>,
    /// What scans see, from `ScanStarted` to `ScanDone`, in order.
    pub scan: SyncSender<Event>,
}

/// The threads that follow all roots. Dropping it asks them to end.
#[derive(Debug)]
pub struct Collector {
    stop: Arc<Stop>,
    threads: Vec<JoinHandle<()>>,
    /// Gives nothing; it is disconnected when the last thread has ended.
    ended: Receiver<()>,
}

impl Collector {
    /// Begins to follow the roots: each is checked, watched, and scanned.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(roots: Vec<Root>, settings: &Settings, outlets: &Outlets) -> io::Result<Self> {
        let stop = Arc::new(Stop::default());
        let (alive, ended) = sync_channel::<()>(1);
        let mut collector = Self { stop: Arc::clone(&stop), threads: Vec::new(), ended };
        let roots: Arc<[Root]> = roots.into();
        for root in roots.iter().cloned() {
            let (inbox_sender, inbox) = sync_channel(INBOX_MAX);
            // One scan runs and none waits: further wishes are kept as a flag.
            let (orders_sender, orders) = sync_channel(1);
            let name = root.collection.clone();
            let rescanner = rescan::Rescanner {
                collection: name.clone(),
                quiet_ms: settings.quiet_ms,
                index: settings.index.clone(),
                orders,
                inbox: inbox_sender.clone(),
                outlet: outlets.scan.clone(),
                stop: Arc::clone(&stop),
            };
            let follower = follow::Follower::new(
                root,
                Arc::clone(&roots),
                settings.clone(),
                follow::Lines {
                    inbox,
                    inbox_sender,
                    orders: orders_sender,
                    outlet: outlets.live.clone(),
                    stop: Arc::clone(&stop),
                },
            );
            collector.spawn(format!("scan {name}"), alive.clone(), move || rescanner.run())?;
            collector.spawn(format!("watch {name}"), alive.clone(), move || follower.run())?;
        }
        Ok(collector)
    }

    fn spawn(
        &mut self,
        name: String,
        alive: SyncSender<()>,
        work: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            let _until_the_end = alive;
            work();
        })?;
        self.threads.push(thread);
        Ok(())
    }

    /// Ends all threads and waits for them, a few seconds at most: one that hangs in a
    /// network share is left behind.
    pub fn shutdown(mut self) {
        self.stop.set();
        if self.ended.recv_timeout(SHUTDOWN_WAIT) == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
        {
            tracing::warn!("a collection does not answer; leaving without it");
            return;
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread that follows a collection had failed");
            }
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.stop.set();
    }
}

/// Tells all threads to end, and wakes those that wait.
#[derive(Debug, Default)]
struct Stop {
    is_set: AtomicBool,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Stop {
    fn set(&self) {
        let _guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_set.store(true, Ordering::Release);
        self.changed.notify_all();
    }

    fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Acquire)
    }

    /// Waits, or less when told to stop.
    fn wait(&self, how_long: Duration) {
        let until = Instant::now() + how_long;
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        while !self.is_set() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            guard =
                self.changed.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Puts a value into a channel, waiting while it is full. `Err`: told to stop, or
    /// nobody listens any more.
    fn send<T>(&self, sender: &SyncSender<T>, mut value: T) -> Result<(), Stopped> {
        loop {
            match sender.try_send(value) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Disconnected(_)) => return Err(Stopped),
                Err(TrySendError::Full(back)) => value = back,
            }
            self.wait(FULL_WAIT);
            if self.is_set() {
                return Err(Stopped);
            }
        }
    }
}

/// There is nothing more to do for a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stopped;

#[cfg(test)]
mod tests;
