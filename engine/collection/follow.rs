//! The thread that follows one root: is it there, what happens in it, when to scan it.
//!
//! In:  notices of the file system, young files from scans.
//! Out: `Found`, `Vanished`, `Offline`, `Online`, `Warning`; orders to scan.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::time::{Duration, Instant};

use super::coalesce::{Answer, Coalescer, Hint};
use super::rescan::{ScanOrder, is_young};
use super::scan::{is_ignored_folder, is_photo_name, is_watched_path, scan};
use super::watch::{Notice, Watch, WatchError, is_remote, watch};
use super::{Event, Origin, Root, Settings, Stop, Stopped};
use crate::base::file_state::FileState;

/// How often to see whether the root is still there.
const PRESENCE_EVERY_MS: u64 = if cfg!(test) { 100 } else { 2000 };

/// How often to scan a root whose events do not tell everything.
const POLL_EVERY_MS: u64 = 30_000;

/// Scanning again and again takes at most one part in this many of the time.
const SCAN_SHARE: u64 = 20;

/// The shortest time between two scans, however many events are lost.
const SCAN_GAP_MS: u64 = 1000;

/// The longest wait for a notice, so that a stop is seen soon.
const WAIT_MS_MAX: u64 = 200;

/// Notices taken before files that are due are looked at again.
const NOTICES_AT_ONCE: usize = 4096;

/// What the follower is told.
#[derive(Debug)]
pub(super) enum Input {
    /// By the file system.
    Notice(Notice),
    /// By a scan: this file was written just now.
    Young(PathBuf),
    /// By a scan: it is over.
    ScanEnded { took_ms: u64 },
}

/// Tells one folder on one disk from another that is later found under the same path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RootId {
    device: u64,
    inode: u64,
}

impl RootId {
    /// The folder that is at this path now, if there is one.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        metadata.is_dir().then(|| Self { device: metadata.dev(), inode: metadata.ino() })
    }
}

/// The channels of a follower.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) inbox: Receiver<Input>,
    pub(super) inbox_sender: SyncSender<Input>,
    pub(super) orders: SyncSender<ScanOrder>,
    pub(super) outlet: SyncSender<Event>,
    pub(super) stop: Arc<Stop>,
}

/// A root that is there.
#[derive(Debug)]
struct Online {
    /// With all links resolved, as events name it.
    path: PathBuf,
    root_id: RootId,
    /// Events come while this is held.
    _watch: Option<Watch>,
    /// Events do not tell everything.
    is_polled: bool,
}

/// Follows one root.
#[derive(Debug)]
pub(super) struct Follower {
    root: Root,
    settings: Settings,
    lines: Lines,
    began: Instant,
    coalescer: Coalescer,
    online: Option<Online>,
    /// The folder last seen; an empty one on another disk is not it.
    last_id: Option<RootId>,
    offline_was_told: bool,
    limit_was_told: bool,
    /// Notices did not fit into the inbox.
    lost: Arc<AtomicBool>,
    scan_runs: bool,
    scan_is_due: bool,
    next_scan_ms: u64,
    next_presence_ms: u64,
}

impl Follower {
    pub(super) fn new(root: Root, settings: Settings, lines: Lines) -> Self {
        Self {
            root,
            settings,
            lines,
            began: Instant::now(),
            coalescer: Coalescer::new(settings.quiet_ms),
            online: None,
            last_id: None,
            offline_was_told: false,
            limit_was_told: false,
            lost: Arc::default(),
            scan_runs: false,
            scan_is_due: false,
            next_scan_ms: u64::MAX,
            next_presence_ms: 0,
        }
    }

    /// Works until the collector is told to stop or nobody listens.
    pub(super) fn run(mut self) {
        while !self.lines.stop.is_set() {
            if self.turn().is_err() {
                return;
            }
        }
    }

    fn turn(&mut self) -> Result<(), Stopped> {
        if self.now_ms() >= self.next_presence_ms {
            self.check_presence()?;
        }
        if self.lost.swap(false, Ordering::AcqRel) {
            self.want_scan();
        }
        if self.now_ms() >= self.next_scan_ms {
            self.order_scan();
        }
        self.tell_due()?;
        let next_ms = self.coalescer.next_due_ms().unwrap_or(u64::MAX);
        let next_ms = next_ms.min(self.next_presence_ms).min(self.next_scan_ms);
        let wait_ms = next_ms.saturating_sub(self.now_ms()).min(WAIT_MS_MAX);
        match self.lines.inbox.recv_timeout(Duration::from_millis(wait_ms)) {
            Ok(input) => self.take(input)?,
            Err(RecvTimeoutError::Timeout) => return Ok(()),
            Err(RecvTimeoutError::Disconnected) => return Err(Stopped),
        }
        for _ in 0..NOTICES_AT_ONCE {
            let Ok(input) = self.lines.inbox.try_recv() else { break };
            self.take(input)?;
        }
        Ok(())
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn tell(&self, event: Event) -> Result<(), Stopped> {
        self.lines.stop.send(&self.lines.outlet, event)
    }

    fn warn(&self, text: String) -> Result<(), Stopped> {
        self.tell(Event::Warning { collection: self.root.collection.clone(), text })
    }

    // Presence

    /// Sees whether the root came, went or was exchanged for another folder.
    fn check_presence(&mut self) -> Result<(), Stopped> {
        self.next_presence_ms = self.now_ms() + PRESENCE_EVERY_MS;
        let found = self.look();
        let is_same = match (&self.online, &found) {
            (Some(online), Some((_, root_id))) => online.root_id == *root_id,
            (None, None) => true,
            _ => false,
        };
        if is_same && (self.online.is_some() || self.offline_was_told) {
            return Ok(());
        }
        if self.online.take().is_some() || found.is_none() {
            self.coalescer.clear();
            self.next_scan_ms = u64::MAX;
            self.scan_is_due = false;
            self.offline_was_told = true;
            self.tell(Event::Offline { collection: self.root.collection.clone() })?;
        }
        match found {
            Some((path, root_id)) => self.come_online(path, root_id),
            None => Ok(()),
        }
    }

    /// The root, if it is there, may be read and is not just an empty mount point.
    fn look(&self) -> Option<(PathBuf, RootId)> {
        let path = self.root.path.canonicalize().ok()?;
        let root_id = RootId::of(&path)?;
        let mut entries = fs::read_dir(&path).ok()?;
        let is_other_disk = self.last_id.is_some_and(|last| last.device != root_id.device);
        if is_other_disk && entries.next().is_none() {
            return None;
        }
        Some((path, root_id))
    }

    fn come_online(&mut self, path: PathBuf, root_id: RootId) -> Result<(), Stopped> {
        self.tell(Event::Online { collection: self.root.collection.clone() })?;
        self.offline_was_told = false;
        self.last_id = Some(root_id);
        let (inbox, lost) = (self.lines.inbox_sender.clone(), Arc::clone(&self.lost));
        // The watch comes before the scan, so nothing falls between them.
        let watched = watch(&path, move |notice| {
            if let Err(TrySendError::Full(_)) = inbox.try_send(Input::Notice(notice)) {
                lost.store(true, Ordering::Release);
            }
        });
        let (watch, is_whole) = match watched {
            Ok(watch) => (Some(watch), true),
            Err(WatchError::Limit(watch)) => {
                self.warn_of_limit()?;
                (watch, false)
            }
            Err(WatchError::Other(reason)) => {
                self.warn(format!(
                    "`{}` cannot be watched and is scanned instead: {reason}",
                    path.display()
                ))?;
                (None, false)
            }
        };
        let is_polled = !is_whole || is_remote(&path);
        self.online = Some(Online { path, root_id, _watch: watch, is_polled });
        self.next_scan_ms = self.now_ms();
        Ok(())
    }

    fn warn_of_limit(&mut self) -> Result<(), Stopped> {
        if self.limit_was_told {
            return Ok(());
        }
        self.limit_was_told = true;
        self.warn(
            "the system's limit of watched folders is reached; new photos are found by scanning, \
             which takes longer. Raise it with `sudo sysctl fs.inotify.max_user_watches=524288`"
                .to_owned(),
        )
    }

    // Scans

    /// Scans as soon as it is sensible.
    fn want_scan(&mut self) {
        if self.online.is_none() {
            return;
        }
        if self.scan_runs {
            self.scan_is_due = true;
        } else {
            self.next_scan_ms = self.next_scan_ms.min(self.now_ms());
        }
    }

    fn order_scan(&mut self) {
        let Some(online) = &self.online else {
            self.next_scan_ms = u64::MAX;
            return;
        };
        let order = ScanOrder { path: online.path.clone(), root_id: online.root_id };
        // Full only when a scan was ordered before the root went and came again.
        self.scan_is_due = self.lines.orders.try_send(order).is_err();
        self.scan_runs = true;
        self.next_scan_ms = u64::MAX;
    }

    fn scan_ended(&mut self, took_ms: u64) {
        self.scan_runs = false;
        let Some(online) = &self.online else { return };
        let usual_ms = if online.is_polled {
            POLL_EVERY_MS
        } else {
            self.settings.rescan_minutes.max(1).saturating_mul(60_000)
        };
        let wait_ms = match std::mem::take(&mut self.scan_is_due) {
            true => took_ms.max(SCAN_GAP_MS),
            false => usual_ms.max(took_ms.saturating_mul(SCAN_SHARE)),
        };
        self.next_scan_ms = self.now_ms().saturating_add(wait_ms);
    }

    // Files

    fn take(&mut self, input: Input) -> Result<(), Stopped> {
        match input {
            Input::ScanEnded { took_ms } => self.scan_ended(took_ms),
            Input::Young(relative) => self.note(&relative, Hint::Written),
            Input::Notice(Notice::Root) => self.next_presence_ms = 0,
            Input::Notice(Notice::Lost) => self.want_scan(),
            Input::Notice(Notice::Limit) => {
                if let Some(online) = &mut self.online {
                    online.is_polled = true;
                }
                self.warn_of_limit()?;
                self.want_scan();
            }
            Input::Notice(Notice::Path { relative, hint, may_be_folder }) => {
                self.take_path(&relative, hint, may_be_folder);
            }
        }
        Ok(())
    }

    fn take_path(&mut self, relative: &Path, hint: Hint, may_be_folder: bool) {
        let Some(name) = relative.file_name() else { return };
        if self.online.is_none() || !is_watched_path(relative) {
            return;
        }
        if is_photo_name(name) {
            self.note(relative, hint);
        } else if may_be_folder && !is_ignored_folder(name) {
            // Whether it is a folder is seen when it is looked at.
            self.note(relative, if hint == Hint::Written { Hint::Complete } else { hint });
        }
    }

    fn note(&mut self, relative: &Path, hint: Hint) {
        if !self.coalescer.note(relative, hint, self.now_ms()) {
            self.want_scan();
        }
    }

    /// Looks at paths that are due and tells what became of them.
    fn tell_due(&mut self) -> Result<(), Stopped> {
        if self.coalescer.next_due_ms().is_none_or(|due_ms| due_ms > self.now_ms()) {
            return Ok(());
        }
        let Some(online) = &self.online else { return Ok(()) };
        let (root, root_id) = (online.path.clone(), online.root_id);
        let mut root_was_seen = false;
        for relative in self.coalescer.due(self.now_ms()) {
            let looked_at = match fs::symlink_metadata(root.join(&relative)) {
                Ok(metadata) if metadata.is_dir() => {
                    self.coalescer.drop_path(&relative);
                    self.take_folder(&root, &relative);
                    continue;
                }
                Ok(metadata) => metadata.is_file().then(|| FileState::of(&metadata)),
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                    ) =>
                {
                    None
                }
                Err(error) => {
                    self.coalescer.drop_path(&relative);
                    self.warn(format!(
                        "`{}` cannot be looked at: {error}",
                        root.join(&relative).display()
                    ))?;
                    continue;
                }
            };
            // Files of a root that went away did not vanish.
            if looked_at.is_none() && !root_was_seen {
                if RootId::of(&root) != Some(root_id) {
                    return self.check_presence();
                }
                root_was_seen = true;
            }
            let collection = || self.root.collection.clone();
            match self.coalescer.examined(&relative, looked_at, self.now_ms()) {
                Answer::Wait => {}
                Answer::Vanished => {
                    self.tell(Event::Vanished { collection: collection(), relative })?
                }
                Answer::Ready(state) => {
                    if relative.file_name().is_some_and(is_photo_name) {
                        let origin = Origin::Watch;
                        self.tell(Event::Found {
                            collection: collection(),
                            relative,
                            state,
                            origin,
                        })?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes up the files of a folder that was made or moved here.
    fn take_folder(&mut self, root: &Path, folder: &Path) {
        if folder.file_name().is_some_and(is_ignored_folder) {
            return;
        }
        let (now_ms, quiet_ms) = (self.now_ms(), self.settings.quiet_ms);
        let coalescer = &mut self.coalescer;
        let summary = scan(root, folder, |entry| {
            let hint =
                if is_young(&entry.state, quiet_ms) { Hint::Written } else { Hint::Complete };
            match coalescer.note(&entry.relative, hint, now_ms) {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        });
        if summary.was_stopped || !summary.unreadable.is_empty() {
            self.want_scan();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[test]
    fn lost_events_lead_to_a_scan() {
        let folder = tempfile::tempdir().expect("a folder");
        let (inbox_sender, inbox) = sync_channel(10);
        let (orders, ordered) = sync_channel(1);
        let (outlet, _events) = sync_channel(100);
        let root = Root { collection: "c".to_owned(), path: folder.path().to_path_buf() };
        let lines = Lines {
            inbox,
            inbox_sender: inbox_sender.clone(),
            orders,
            outlet,
            stop: Arc::default(),
        };
        let mut follower =
            Follower::new(root, Settings { quiet_ms: 2000, rescan_minutes: 60 }, lines);
        let mut turn_until_ordered = || {
            for _ in 0..100 {
                follower.turn().expect("goes on");
                if let Ok(order) = ordered.try_recv() {
                    return order;
                }
            }
            panic!("no scan was ordered");
        };
        let first = turn_until_ordered();
        assert_eq!(Some(first.root_id), RootId::of(folder.path()));
        inbox_sender.send(Input::ScanEnded { took_ms: 0 }).expect("listens");
        inbox_sender.send(Input::Notice(Notice::Lost)).expect("listens");
        turn_until_ordered();
        // While that scan runs more is lost: another one follows, after a gap.
        inbox_sender.send(Input::Notice(Notice::Lost)).expect("listens");
        inbox_sender.send(Input::ScanEnded { took_ms: 0 }).expect("listens");
        turn_until_ordered();
    }
}
