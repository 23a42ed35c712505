//! The thread that follows one root: is it there, what happens in it, when to scan it.
//!
//! In:  notices of the file system, young files from scans.
//! Out: `Found`, `Vanished`, `Offline`, `Online`, `EventsLost`, `Warning`; orders to scan.
//!
//! When events were lost, news of new folders may be among them, so everything is watched
//! anew before it is scanned. The watch always comes before the look, so that nothing falls
//! between them.

use std::collections::HashSet;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::time::{Duration, Instant};

use super::coalesce::{Answer, Coalescer, Hint};
use super::limits;
use super::names::{is_ignored_folder, kind_of_path};
use super::presence::{Found, Place, RootId, look};
use super::rescan::{ScanOrder, is_young};
use super::schedule::{Pace, Schedule, slept_ms};
use super::trust::{Change, Trust};
use super::walk::{Depth, Item, is_absence, stat_beneath, walk};
use super::watch::{Folder, Full, Notice, Watch, is_remote};
use super::writers::Writers;
use super::{Event, Origin, Root, Settings, Stop, Stopped};
use crate::base::clock::Timestamp;
use crate::base::file_state::FileState;

/// How often to see whether the root is still there.
const PRESENCE_EVERY_MS: u64 = if cfg!(test) { 100 } else { 2000 };

/// How often to see whether events still come, where we may write on the same disk.
const CANARY_EVERY_MS: u64 = if cfg!(test) { 200 } else { 600_000 };

/// How long to wait for the event of a canary.
const CANARY_WAIT_MS: u64 = if cfg!(test) { 100 } else { 10_000 };

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
    /// By a scan: this folder came while the root began to be watched.
    Folder(PathBuf),
    /// By a scan: this file differs from what is known, and events should have said so.
    Differs(PathBuf),
    /// By a scan: it is over.
    ScanEnded(ScanEnd),
}

/// What a scan says of itself in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ScanEnd {
    /// Without the time in which it waited for its listener.
    pub(super) took_ms: u64,
    /// Files that were not as the index knew them.
    pub(super) differences_count: u64,
    /// So much was missing that it counts only when another scan misses it, too.
    pub(super) is_doubtful: bool,
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
    place: Place,
    /// Events come while this is held.
    watch: Option<Watch>,
    watched_since: Timestamp,
    /// No scan was made since then.
    is_unscanned: bool,
    /// Folders that were there when watching began, until they were scanned.
    listed: HashSet<PathBuf>,
    /// Not all folders are watched.
    is_partial: bool,
    is_remote: bool,
}

impl Online {
    /// Whether the root is watched as a whole, on a disk that tells everything.
    const fn tells_all(&self) -> bool {
        self.watch.is_some() && !self.is_partial && !self.is_remote
    }
}

/// A file of our own whose event shows that events come.
#[derive(Debug)]
struct Canary {
    path: PathBuf,
    next_ms: u64,
    sent_ms: Option<u64>,
}

/// Follows one root.
#[derive(Debug)]
pub(super) struct Follower {
    root: Root,
    roots: Arc<[Root]>,
    settings: Settings,
    lines: Lines,
    began: Instant,
    coalescer: Coalescer,
    schedule: Schedule,
    trust: Trust,
    writers: Writers,
    online: Option<Online>,
    canary: Option<Canary>,
    /// The folder last seen; an empty one on another disk is not it.
    last_id: Option<RootId>,
    offline_was_told: bool,
    limit_was_told: bool,
    twin_was_told: bool,
    /// Notices did not fit into the inbox.
    lost: Arc<AtomicBool>,
    losses_count: u64,
    must_watch_anew: bool,
    next_presence_ms: u64,
}

impl Follower {
    pub(super) fn new(root: Root, roots: Arc<[Root]>, settings: Settings, lines: Lines) -> Self {
        let usual_ms = settings.rescan_minutes.max(1).saturating_mul(60_000);
        Self {
            root,
            roots,
            lines,
            began: Instant::now(),
            coalescer: Coalescer::new(settings.quiet_ms),
            schedule: Schedule::new(usual_ms),
            trust: Trust::default(),
            writers: Writers::default(),
            settings,
            online: None,
            canary: None,
            last_id: None,
            offline_was_told: false,
            limit_was_told: false,
            twin_was_told: false,
            lost: Arc::default(),
            losses_count: 0,
            must_watch_anew: false,
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
            self.events_lost()?;
        }
        self.tend_canary()?;
        if self.now_ms() >= self.schedule.next_ms() {
            self.order_scan()?;
        }
        self.tell_due()?;
        let next_ms = self.coalescer.next_due_ms().unwrap_or(u64::MAX);
        let next_ms = next_ms.min(self.next_presence_ms).min(self.schedule.next_ms());
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

    /// Sees whether the root came, went or was exchanged for another folder, and whether the
    /// computer slept.
    fn check_presence(&mut self) -> Result<(), Stopped> {
        self.next_presence_ms = self.now_ms() + PRESENCE_EVERY_MS;
        if self.schedule.woke(slept_ms()) {
            self.must_watch_anew = true;
            self.want_scan();
        }
        let found = match look(&self.root, &self.roots, self.last_id) {
            Found::Here(place) => Some(place),
            Found::Nothing => None,
            Found::Twin(first) => {
                self.warn_of_twin(&first)?;
                None
            }
        };
        let is_same = match (&self.online, &found) {
            (Some(online), Some(place)) => online.place.root_id == place.root_id,
            (None, None) => true,
            _ => false,
        };
        if is_same && (self.online.is_some() || self.offline_was_told) {
            return Ok(());
        }
        if self.online.take().is_some() || found.is_none() {
            self.coalescer.clear();
            self.schedule.rest();
            self.offline_was_told = true;
            self.tell(Event::Offline { collection: self.root.collection.clone() })?;
        }
        match found {
            Some(place) => self.come_online(place),
            None => Ok(()),
        }
    }

    fn come_online(&mut self, place: Place) -> Result<(), Stopped> {
        self.tell(Event::Online { collection: self.root.collection.clone() })?;
        for folder in &place.excluded {
            self.warn(format!(
                "`{}` is a collection of its own: what lies in it does not count here, too",
                place.path.join(folder).display()
            ))?;
        }
        self.offline_was_told = false;
        self.last_id = Some(place.root_id);
        self.losses_count = 0;
        self.canary = self.canary_for(place.root_id);
        self.online = Some(Online {
            is_remote: is_remote(&place.path),
            place,
            watch: None,
            watched_since: Timestamp::now(),
            is_unscanned: true,
            listed: HashSet::new(),
            is_partial: false,
        });
        self.must_watch_anew = true;
        self.schedule.want(self.now_ms());
        Ok(())
    }

    fn warn_of_twin(&mut self, first: &str) -> Result<(), Stopped> {
        if std::mem::replace(&mut self.twin_was_told, true) {
            return Ok(());
        }
        self.warn(format!(
            "`{}` is the folder of collection `{first}`, where its photos count: \
             take one of the two out of signet.toml",
            self.root.path.display()
        ))
    }

    // Watching

    /// Watches the root and all folders in it, forgetting the watch there was.
    fn watch_anew(&mut self) -> Result<(), Stopped> {
        self.must_watch_anew = false;
        let Some(online) = &mut self.online else { return Ok(()) };
        // First, so that its watches count no more.
        online.watch = None;
        online.watched_since = Timestamp::now();
        online.is_unscanned = true;
        online.is_partial = false;
        self.trust.begin_anew();
        let path = online.place.path.clone();
        let excluded = online.place.excluded.clone();
        let canary = self.canary.as_ref().map(|canary| canary.path.clone());
        let (inbox, lost) = (self.lines.inbox_sender.clone(), Arc::clone(&self.lost));
        let room = limits::room(self.settings.watches_max);
        let begun = Watch::begin(&path, canary.as_deref(), room, move |notice| {
            if let Err(TrySendError::Full(_)) = inbox.try_send(Input::Notice(notice)) {
                lost.store(true, Ordering::Release);
            }
        });
        let mut watch = match begun {
            Ok(watch) => watch,
            Err(reason) => {
                return self.warn(format!(
                    "`{}` cannot be watched and is scanned instead: {reason}",
                    path.display()
                ));
            }
        };
        let mut folders = Vec::new();
        walk(&path, Path::new(""), &excluded, Depth::Folders, |item| {
            if let Item::Folder { relative, descriptor } = item {
                let modified_ns = rustix::fs::fstat(descriptor)
                    .map_or(0, |stat| FileState::of_stat(&stat).modified_ns);
                folders.push(Folder { relative: relative.to_path_buf(), modified_ns });
            }
            ControlFlow::Continue(())
        });
        let listed = folders.iter().map(|folder| folder.relative.clone()).collect();
        let added = watch.add_all(folders);
        if let Some(online) = &mut self.online {
            (online.watch, online.listed) = (Some(watch), listed);
        }
        match added {
            Ok(()) => Ok(()),
            Err(Full) => self.limit_reached(),
        }
    }

    /// Watches one more folder, before it is looked into.
    fn watch_folder(&mut self, relative: &Path) -> Result<(), Full> {
        let Some(online) = &mut self.online else { return Ok(()) };
        let Some(watch) = &mut online.watch else { return Ok(()) };
        if watch.is_full() && !online.is_partial {
            // Folders that went away have made room.
            watch.set_room(limits::room(self.settings.watches_max));
        }
        watch.add(relative)
    }

    fn limit_reached(&mut self) -> Result<(), Stopped> {
        if let Some(online) = &mut self.online {
            online.is_partial = true;
        }
        if std::mem::replace(&mut self.limit_was_told, true) {
            return Ok(());
        }
        self.warn(
            "there are more folders than may be watched without taking the last watches from \
             other programs: those that changed last are watched, the others are scanned, which \
             takes longer. Raise the limit with `sudo sysctl fs.inotify.max_user_watches=524288`"
                .to_owned(),
        )
    }

    fn events_lost(&mut self) -> Result<(), Stopped> {
        if self.online.is_none() {
            return Ok(());
        }
        self.must_watch_anew = true;
        self.want_scan();
        self.losses_count += 1;
        let (collection, times_count) = (self.root.collection.clone(), self.losses_count);
        self.tell(Event::EventsLost { collection, times_count })
    }

    /// A canary for this root, if we may write to its disk without writing into it.
    fn canary_for(&self, root_id: RootId) -> Option<Canary> {
        let folder = self.settings.own_folder.as_ref()?.canonicalize().ok()?;
        let is_on_this_disk = RootId::of(&folder)?.device == root_id.device;
        let number = self.roots.iter().position(|root| root == &self.root)?;
        let path = folder.join(format!("canary-{number}"));
        is_on_this_disk.then_some(Canary { path, next_ms: 0, sent_ms: None })
    }

    /// Lets the canary sing when it is time, and draws the conclusion when it is not heard.
    fn tend_canary(&mut self) -> Result<(), Stopped> {
        let now_ms = self.now_ms();
        let is_watched = self.online.as_ref().is_some_and(|online| online.watch.is_some());
        let Some(canary) = self.canary.as_mut().filter(|_| is_watched) else { return Ok(()) };
        if canary.sent_ms.is_some_and(|sent_ms| now_ms >= sent_ms + CANARY_WAIT_MS) {
            canary.sent_ms = None;
            let change = self.trust.canary(false);
            self.must_watch_anew = true;
            self.want_scan();
            return self.tell_trust(change);
        }
        if now_ms >= canary.next_ms && fs::write(&canary.path, b"").is_ok() {
            canary.next_ms = now_ms + CANARY_EVERY_MS;
            canary.sent_ms = Some(now_ms);
        }
        Ok(())
    }

    fn tell_trust(&mut self, change: Option<Change>) -> Result<(), Stopped> {
        let path = self.root.path.display();
        match change {
            None => Ok(()),
            Some(Change::Lost) => {
                self.must_watch_anew = true;
                self.warn(format!(
                    "not everything that happens in `{path}` is told by its disk: it is scanned \
                     more often, so new photos are found within minutes"
                ))
            }
            Some(Change::Regained) => {
                self.warn(format!("`{path}`: its disk tells everything again"))
            }
        }
    }

    // Scans

    fn want_scan(&mut self) {
        if self.online.is_some() {
            self.schedule.want(self.now_ms());
        }
    }

    fn order_scan(&mut self) -> Result<(), Stopped> {
        if self.must_watch_anew {
            self.watch_anew()?;
        }
        let Some(online) = &mut self.online else {
            self.schedule.rest();
            return Ok(());
        };
        let order = ScanOrder {
            place: online.place.clone(),
            watched_since: online.tells_all().then_some(online.watched_since),
            is_first: online.is_unscanned,
            folders_since: (online.watch.is_some() && online.is_unscanned)
                .then_some(online.watched_since),
        };
        // Full only when a scan was ordered before the root went and came again.
        let was_taken = self.lines.orders.try_send(order).is_ok();
        online.is_unscanned &= !was_taken;
        self.schedule.ordered(was_taken);
        Ok(())
    }

    fn scan_ended(&mut self, end: ScanEnd) -> Result<(), Stopped> {
        let change = self.trust.scan_ended(end.differences_count);
        let Some(online) = &mut self.online else {
            self.schedule.ended(self.now_ms(), end.took_ms, Pace::Usual);
            self.schedule.rest();
            return Ok(());
        };
        if !online.is_unscanned {
            online.listed = HashSet::new();
        }
        let pace = if end.is_doubtful || !online.tells_all() || self.trust.is_lost() {
            Pace::Soon
        } else {
            Pace::Usual
        };
        self.schedule.ended(self.now_ms(), end.took_ms, pace);
        self.tell_trust(change)
    }

    // Files

    fn take(&mut self, input: Input) -> Result<(), Stopped> {
        match input {
            Input::ScanEnded(end) => self.scan_ended(end),
            Input::Young(relative) => self.note(&relative, Hint::Written),
            Input::Folder(relative) => match &self.online {
                Some(online) if !online.listed.contains(&relative) => {
                    self.note(&relative, Hint::Complete)
                }
                _ => Ok(()),
            },
            Input::Differs(relative) => {
                self.trust.differs(&relative);
                Ok(())
            }
            Input::Notice(Notice::Root) => {
                self.next_presence_ms = 0;
                Ok(())
            }
            Input::Notice(Notice::Lost) => self.events_lost(),
            Input::Notice(Notice::Limit) => {
                self.want_scan();
                self.limit_reached()
            }
            Input::Notice(Notice::Canary) => {
                if let Some(canary) = &mut self.canary {
                    canary.sent_ms = None;
                }
                let change = self.trust.canary(true);
                self.tell_trust(change)
            }
            Input::Notice(Notice::Path { relative, hint, may_be_folder }) => {
                self.take_path(&relative, hint, may_be_folder)
            }
        }
    }

    fn take_path(
        &mut self,
        relative: &Path,
        hint: Hint,
        may_be_folder: bool,
    ) -> Result<(), Stopped> {
        let Some(online) = &self.online else { return Ok(()) };
        if online.place.excluded.iter().any(|folder| relative.starts_with(folder)) {
            return Ok(());
        }
        let hint = match (kind_of_path(relative), hint) {
            (Some(_), hint) => hint,
            (None, _) if !may_be_folder || relative.iter().any(is_ignored_folder) => return Ok(()),
            // Whether it is a folder is seen when it is looked at.
            (None, Hint::Written) => Hint::Complete,
            (None, hint) => hint,
        };
        tracing::trace!(?relative, ?hint, "noticed");
        self.trust.announced(relative);
        self.note(relative, hint)
    }

    fn note(&mut self, relative: &Path, hint: Hint) -> Result<(), Stopped> {
        match self.coalescer.note(relative, hint, self.now_ms()) {
            true => Ok(()),
            false => self.overrun(),
        }
    }

    /// More happens than can be followed path by path: a scan sees it all.
    fn overrun(&mut self) -> Result<(), Stopped> {
        self.coalescer.clear();
        self.events_lost()
    }

    /// Looks at paths that are due and tells what became of them.
    fn tell_due(&mut self) -> Result<(), Stopped> {
        if self.coalescer.next_due_ms().is_none_or(|due_ms| due_ms > self.now_ms()) {
            return Ok(());
        }
        let Some(online) = &self.online else { return Ok(()) };
        let (root, root_id) = (online.place.path.clone(), online.place.root_id);
        let mut root_was_seen = false;
        for relative in self.coalescer.due(self.now_ms()) {
            let looked_at = match stat_beneath(&root, &relative) {
                Ok(stat) => Some(stat),
                Err(error) if is_absence(&error) => None,
                Err(error) => {
                    self.coalescer.drop_path(&relative);
                    let path = root.join(&relative);
                    self.warn(format!("`{}` cannot be looked at: {error}", path.display()))?;
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
            let looked_at = looked_at.map(|stat| (file_type(&stat), FileState::of_stat(&stat)));
            match looked_at {
                Some((rustix::fs::FileType::Directory, _)) => {
                    // What was there under this name took its files along.
                    if self.coalescer.was_gone(&relative) || kind_of_path(&relative).is_some() {
                        let collection = self.root.collection.clone();
                        self.tell(Event::Vanished { collection, relative: relative.clone() })?;
                    }
                    self.coalescer.drop_path(&relative);
                    self.take_folder(&root, &relative)?;
                }
                Some((rustix::fs::FileType::RegularFile, state)) => {
                    self.tell_file(relative, Some(state))?;
                }
                _ => self.tell_file(relative, None)?,
            }
        }
        Ok(())
    }

    /// Tells of a path that is a file now, or nothing of ours, if it is time.
    fn tell_file(&mut self, relative: PathBuf, state: Option<FileState>) -> Result<(), Stopped> {
        let now_ms = self.now_ms();
        let kind = kind_of_path(&relative);
        // A folder was there, if anything of ours was.
        let state = state.filter(|_| kind.is_some());
        let writers = &mut self.writers;
        let is_written = |state: &FileState| writers.have_open(state);
        let answer = self.coalescer.examined(&relative, state, now_ms, is_written);
        let collection = self.root.collection.clone();
        match (answer, kind) {
            (Answer::Vanished, _) => self.tell(Event::Vanished { collection, relative }),
            (Answer::Ready(state), Some(kind)) => {
                let origin = Origin::Watch;
                self.tell(Event::Found { collection, relative, kind, state, origin })
            }
            _ => Ok(()),
        }
    }

    /// Takes up the files of a folder that was made or moved here, and watches it.
    fn take_folder(&mut self, root: &Path, folder: &Path) -> Result<(), Stopped> {
        if folder.iter().any(is_ignored_folder) {
            return Ok(());
        }
        let excluded = self.online.as_ref().map(|online| online.place.excluded.clone());
        let (now_ms, quiet_ms) = (self.now_ms(), self.settings.quiet_ms);
        let mut is_full = false;
        let summary = walk(root, folder, &excluded.unwrap_or_default(), Depth::Files, |item| {
            let entry = match item {
                Item::Folder { relative, .. } => {
                    is_full |= self.watch_folder(relative).is_err();
                    return ControlFlow::Continue(());
                }
                Item::File(entry) => entry,
            };
            let hint =
                if is_young(&entry.state, quiet_ms) { Hint::Written } else { Hint::Complete };
            match self.coalescer.note(entry.relative, hint, now_ms) {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        });
        if is_full {
            self.want_scan();
            self.limit_reached()?;
        }
        match summary.was_stopped {
            true => self.overrun(),
            false if summary.unreadable.is_empty() => Ok(()),
            false => {
                self.want_scan();
                Ok(())
            }
        }
    }
}

fn file_type(stat: &rustix::fs::Stat) -> rustix::fs::FileType {
    rustix::fs::FileType::from_raw_mode(stat.st_mode)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    /// A follower whose turns are taken by hand, and what it orders and tells.
    struct Play {
        follower: Follower,
        orders: Receiver<ScanOrder>,
        events: Receiver<Event>,
        inbox: SyncSender<Input>,
    }

    impl Play {
        fn new(root: &Path, own_folder: Option<&Path>) -> Self {
            let (inbox_sender, inbox) = sync_channel(1000);
            let (orders_sender, orders) = sync_channel(1);
            let (outlet, events) = sync_channel(1000);
            let root = Root { collection: "c".to_owned(), path: root.to_path_buf() };
            let lines = Lines {
                inbox,
                inbox_sender: inbox_sender.clone(),
                orders: orders_sender,
                outlet,
                stop: Arc::default(),
            };
            let own_folder = own_folder.map(Path::to_path_buf);
            let settings = Settings { own_folder, ..Settings::new("no index".into()) };
            let follower = Follower::new(root.clone(), [root].into(), settings, lines);
            Self { follower, orders, events, inbox: inbox_sender }
        }

        fn turn_until_ordered(&mut self) -> ScanOrder {
            for _ in 0..200 {
                self.follower.turn().expect("goes on");
                if let Ok(order) = self.orders.try_recv() {
                    return order;
                }
            }
            panic!("no scan was ordered");
        }

        fn scan_ends(&self) {
            self.scan_ends_with(0);
        }

        fn scan_ends_with(&self, differences_count: u64) {
            let end = ScanEnd { took_ms: 0, differences_count, is_doubtful: false };
            self.inbox.send(Input::ScanEnded(end)).expect("listens");
        }

        /// Puts a watch in place of the one there is that lives and says nothing.
        fn deafen(&mut self) {
            let online = self.follower.online.as_mut().expect("is online");
            let elsewhere = std::env::temp_dir();
            online.watch = Some(Watch::begin(&elsewhere, None, 1, |_| {}).expect("watches"));
        }

        fn turn_until_found(&mut self) -> Vec<PathBuf> {
            for _ in 0..200 {
                self.follower.turn().expect("goes on");
                let found = self.events.try_iter().filter_map(|event| match event {
                    Event::Found { relative, .. } => Some(relative),
                    _ => None,
                });
                let found: Vec<PathBuf> = found.collect();
                if !found.is_empty() {
                    return found;
                }
            }
            panic!("nothing was found");
        }

        fn turn_until_warned(&mut self, of: &str) {
            for _ in 0..200 {
                self.follower.turn().expect("goes on");
                if self.orders.try_recv().is_ok() {
                    self.scan_ends();
                }
                let is_it =
                    |event| matches!(event, Event::Warning { text, .. } if text.contains(of));
                if self.events.try_iter().any(is_it) {
                    return;
                }
            }
            panic!("no warning of `{of}`");
        }
    }

    #[test]
    fn lost_events_lead_to_a_scan() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut play = Play::new(folder.path(), None);
        let first = play.turn_until_ordered();
        assert_eq!(Some(first.place.root_id), RootId::of(folder.path()));
        assert!(first.is_first && first.watched_since.is_some());
        play.scan_ends();
        play.inbox.send(Input::Notice(Notice::Lost)).expect("listens");
        assert!(play.turn_until_ordered().is_first, "all is watched anew");
        // While that scan runs more is lost: another one follows, after a gap.
        play.inbox.send(Input::Notice(Notice::Lost)).expect("listens");
        play.scan_ends();
        play.turn_until_ordered();
        let losses = play.events.try_iter().filter(|e| matches!(e, Event::EventsLost { .. }));
        assert_eq!(losses.count(), 2);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn watcher_that_died_is_noticed_by_its_canary_and_replaced() {
        let (folder, home) =
            (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a home"));
        let mut play = Play::new(folder.path(), Some(home.path()));
        play.turn_until_ordered();
        play.scan_ends();
        play.deafen();
        // The first silence may be a delay; all is watched anew all the same.
        let anew = play.turn_until_ordered();
        assert!(anew.is_first);
        assert!(!play.follower.trust.is_lost());
        play.scan_ends();
        fs::write(folder.path().join("a.jpg"), b"x").expect("writes");
        play.turn_until_found();
    }

    #[test]
    fn folder_made_while_events_were_lost_is_watched_afterwards() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut play = Play::new(folder.path(), None);
        play.turn_until_ordered();
        play.scan_ends();
        play.deafen();
        fs::create_dir_all(folder.path().join("a/b")).expect("folders");
        play.inbox.send(Input::Notice(Notice::Lost)).expect("listens");
        play.turn_until_ordered();
        play.scan_ends();
        fs::write(folder.path().join("a/b/c.jpg"), b"x").expect("writes");
        play.turn_until_found();
    }

    #[test]
    fn folder_that_came_while_watching_began_is_watched_and_others_are_not_gone_through_again() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, file) in [("old", "old/a.jpg"), ("new", "new/b.jpg")] {
            fs::create_dir(folder.path().join(name)).expect("a folder");
            fs::write(folder.path().join(file), b"x").expect("writes");
        }
        let mut play = Play::new(folder.path(), None);
        assert!(play.turn_until_ordered().folders_since.is_some());
        // As if it had come between the look at the root and the watch on it.
        let online = play.follower.online.as_mut().expect("is online");
        assert!(online.listed.remove(Path::new("new")));
        for name in ["old", "new"] {
            play.inbox.send(Input::Folder(name.into())).expect("listens");
        }
        play.scan_ends();
        let found = play.turn_until_found();
        assert_eq!(found, [PathBuf::from("new/b.jpg")]);
        assert!(play.follower.online.expect("is online").listed.is_empty());
    }

    #[test]
    fn change_that_was_not_announced_leads_to_polling() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut play = Play::new(folder.path(), None);
        play.turn_until_ordered();
        play.inbox.send(Input::Differs("a.jpg".into())).expect("listens");
        play.scan_ends_with(1);
        play.turn_until_warned("scanned more often");
        assert!(play.follower.trust.is_lost());
        let wait_ms = play.follower.schedule.next_ms() - play.follower.now_ms();
        assert!(wait_ms <= super::super::schedule::POLL_EVERY_MS, "{wait_ms}");
    }
}
