//! The thread that scans one root whenever it is told to.
//!
//! In:  orders to scan; what the index knows.
//! Out: `ScanStarted`, `Found` and `Missing` for what differs, `ScanProgress`, `ScanDone`.
//!
//! Two threads work hand in hand: one lists what is known, the other walks the disk and
//! compares. Both go in the same order, so neither keeps a list of everything, and of a file
//! that is as it was nothing is told.
//!
//! A file that was written just now, or that somebody has open for writing, is handed to the
//! follower instead of being told: its writer may not be done.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;
use std::time::{Duration, Instant};

use super::compare::Comparison;
use super::follow::{Input, ScanEnd};
use super::names::kind_of_path;
use super::presence::{Place, RootId};
use super::walk::{Depth, Entry, Item, Summary, is_absence, is_listed, stat_beneath, walk};
use super::writers::Writers;
use super::{Event, Origin, Stop, Stopped};
use crate::base::clock::Timestamp;
use crate::base::file_kind::FileKind;
use crate::base::file_state::FileState;
use crate::store::{FilesReader, KnownFile, Seen, Standing, StoreError};

const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// Folders that could not be read and are told one by one; of more, only the number.
const WARNINGS_MAX: usize = 5;

/// Known files listed at once.
const PAGE_FILES: usize = 2048;

/// Pages that wait to be compared.
const PAGES_AHEAD: usize = 2;

/// A file that changed longer ago is not asked for its writers.
const WRITER_PAUSE_MAX_MS: u64 = 600_000;

/// An event that tells of a change takes no longer than this.
const EVENT_LATE_MAX_MS: u64 = 10_000;

/// File systems may tell the time this late.
const CLOCK_LATE_MS: i64 = 25;

/// One scan to make.
#[derive(Debug)]
pub(super) struct ScanOrder {
    pub(super) place: Place,
    /// Changes after this moment should have been announced by events; `None`: none need.
    pub(super) watched_since: Option<Timestamp>,
    /// No scan was made since then, so files may be missing for longer.
    pub(super) is_first: bool,
    /// When its folders began to be watched; `None`: they are not.
    pub(super) folders_since: Option<Timestamp>,
}

/// Scans one root, again and again.
#[derive(Debug)]
pub(super) struct Rescanner {
    pub(super) collection: String,
    pub(super) quiet_ms: u64,
    pub(super) index: PathBuf,
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
            let mut scan = Scan {
                rescanner: &self,
                order: &order,
                began_at: Timestamp::now(),
                writers: Writers::default(),
                photos_count: 0,
                differences_count: 0,
                missing_count: 0,
                is_doubtful: false,
                waited: Duration::ZERO,
                told_at: Instant::now(),
            };
            let result = std::thread::scope(|scope| scan.make(scope));
            let took = began.elapsed().saturating_sub(scan.waited).as_millis();
            let ended = Input::ScanEnded(ScanEnd {
                took_ms: u64::try_from(took).unwrap_or(u64::MAX),
                differences_count: scan.differences_count,
                is_doubtful: scan.is_doubtful,
            });
            if result.is_err() || self.stop.send(&self.inbox, ended).is_err() {
                return;
            }
        }
    }

    fn tell(&self, event: Event) -> Result<(), Stopped> {
        if self.stop.is_set() {
            return Err(Stopped);
        }
        self.stop.send(&self.outlet, event)
    }
}

/// Lists what is known, page by page, until all is listed or nobody listens.
fn list_known(
    index: &Path,
    collection: &str,
    pages: &SyncSender<Result<Vec<KnownFile>, StoreError>>,
) {
    let reader = match FilesReader::open(index) {
        Ok(reader) => reader,
        Err(error) => {
            // Nobody listens when the scan was stopped.
            let _nobody = pages.send(Err(error));
            return;
        }
    };
    let mut after = PathBuf::new();
    loop {
        let page = reader.page(collection, &after, PAGE_FILES);
        let last = page.as_ref().ok().filter(|page| page.len() == PAGE_FILES);
        let last = last.and_then(|page| page.last()).map(|file| file.relative.clone());
        if pages.send(page).is_err() {
            return;
        }
        let Some(last) = last else { return };
        after = last;
    }
}

/// A scan under way.
struct Scan<'a> {
    rescanner: &'a Rescanner,
    order: &'a ScanOrder,
    began_at: Timestamp,
    writers: Writers,
    photos_count: u64,
    differences_count: u64,
    missing_count: u64,
    is_doubtful: bool,
    /// Time in which the listener was busy.
    waited: Duration,
    told_at: Instant,
}

impl<'a> Scan<'a> {
    fn make<'scope>(&mut self, scope: &'scope Scope<'scope, 'a>) -> Result<(), Stopped> {
        let collection = || self.rescanner.collection.clone();
        self.rescanner.tell(Event::ScanStarted { collection: collection() })?;
        let (sender, pages) = sync_channel(PAGES_AHEAD);
        let (index, name) = (&self.rescanner.index, &self.rescanner.collection);
        let listing = std::thread::Builder::new()
            .name(format!("list {name}"))
            .spawn_scoped(scope, move || list_known(index, name, &sender));
        let trouble = Cell::new(listing.err().map(|error| error.to_string()));
        let known = pages.into_iter().map_while(|page| {
            page.map_err(|error| trouble.set(Some(crate::base::causes::one_line(&error)))).ok()
        });
        let mut comparison = Comparison::new(known.flatten());
        let place = &self.order.place;
        let summary = walk(&place.path, Path::new(""), &place.excluded, Depth::Files, |item| {
            let entry = match item {
                Item::Folder { relative, descriptor } => {
                    return flow(self.take_folder(relative, descriptor));
                }
                Item::File(entry) => entry,
            };
            self.photos_count += u64::from(entry.kind == FileKind::Photo);
            let differs = comparison.listed(&entry, |known| flow(self.take_missing(known)))?;
            if differs {
                flow(self.take_listed(entry))?;
            }
            flow(self.tell_progress())
        });
        if summary.was_stopped || comparison.end(|known| flow(self.take_missing(known))).is_break()
        {
            return Err(Stopped);
        }
        self.warn_of(&summary)?;
        let trouble = trouble.take();
        let is_whole = summary.unreadable.is_empty() && trouble.is_none();
        if let Some(trouble) = trouble {
            let text = format!("all files are looked at, for the index cannot be read: {trouble}");
            self.tell(Event::Warning { collection: self.rescanner.collection.clone(), text })?;
        }
        // When the root went away meanwhile, what was not seen may be there all the same.
        let is_whole = is_whole && RootId::of(&place.path) == Some(place.root_id);
        let seen = is_whole.then(|| Seen {
            volume: place.root_id.volume(&place.path),
            known_count: comparison.known_count,
            unchanged_count: comparison.unchanged_count,
        });
        self.is_doubtful = seen.is_some_and(|seen| seen.doubts(self.missing_count));
        self.tell(Event::ScanDone {
            collection: self.rescanner.collection.clone(),
            photos_count: self.photos_count,
            ignored_count: summary.ignored_count,
            seen,
        })
    }

    /// Has a folder watched that came while its root began to be: it may have come between
    /// the look at its parent and the watch on it, and nobody told of it.
    fn take_folder(&self, relative: &Path, descriptor: BorrowedFd<'_>) -> Result<(), Stopped> {
        let Some(since) = self.order.folders_since else { return Ok(()) };
        let changed_ns =
            rustix::fs::fstat(descriptor).map_or(0, |stat| FileState::of_stat(&stat).changed_ns);
        if changed_ns / 1_000_000 + CLOCK_LATE_MS < since.0 || relative.as_os_str().is_empty() {
            return Ok(());
        }
        let folder = Input::Folder(relative.to_path_buf());
        self.rescanner.stop.send(&self.rescanner.inbox, folder)
    }

    /// A file that is not known as it is now.
    fn take_listed(&mut self, entry: Entry<'_>) -> Result<(), Stopped> {
        self.differences_count += 1;
        let Entry { relative, kind, state } = entry;
        let age_ms = age_ms(state.modified_ns, self.began_at);
        let may_be_written = age_ms.is_some_and(|age_ms| {
            age_ms < self.rescanner.quiet_ms
                || (age_ms < WRITER_PAUSE_MAX_MS && self.writers.have_open(&state))
        });
        if may_be_written {
            let young = Input::Young(relative.to_path_buf());
            return self.rescanner.stop.send(&self.rescanner.inbox, young);
        }
        if self.should_have_been_announced(state.changed_ns) {
            self.tell_surprise(relative)?;
        }
        self.tell(Event::Found {
            collection: self.rescanner.collection.clone(),
            relative: relative.to_path_buf(),
            kind,
            state,
            origin: Origin::Scan,
        })
    }

    /// A known file that was not listed.
    fn take_missing(&mut self, known: KnownFile) -> Result<(), Stopped> {
        let root = &self.order.place.path;
        let KnownFile { relative, state, standing, .. } = known;
        let is_excluded =
            self.order.place.excluded.iter().any(|folder| relative.starts_with(folder));
        if let Some(kind) = kind_of_path(&relative).filter(|_| !is_excluded) {
            // It may have come after its folder was listed, and may be known already. But
            // where case does not matter, a file is found under names that it does not have.
            let there = match stat_beneath(root, &relative) {
                Ok(stat) => is_listed(root, &relative).map(|is_listed| is_listed.then_some(stat)),
                Err(error) if is_absence(&error) => Ok(None),
                Err(error) => Err(error),
            };
            match there {
                Ok(None) => {}
                Ok(Some(stat)) if is_file(&stat) => {
                    let state = FileState::of_stat(&stat);
                    return self.take_listed(Entry { relative: &relative, kind, state });
                }
                Ok(Some(_no_file)) => {}
                // Its folder was found unreadable, too: this scan removes nothing.
                Err(_unreadable) => return Ok(()),
            }
        }
        self.differences_count += u64::from(standing == Standing::There);
        if standing == Standing::There && !self.order.is_first && self.order.watched_since.is_some()
        {
            // A folder that changed just now may have news under way.
            let folder = root.join(relative.parent().unwrap_or(Path::new("")));
            let changed = std::fs::symlink_metadata(folder).map_or(0, |data| data.ctime());
            let changed_ms = changed.saturating_mul(1000);
            if changed_ms.saturating_add(EVENT_LATE_MAX_MS.cast_signed()) < self.began_at.0 {
                self.tell_surprise(&relative)?;
            }
        }
        self.missing_count += u64::from(standing != Standing::Gone);
        self.tell(Event::Missing { collection: self.rescanner.collection.clone(), relative, state })
    }

    /// Whether events had to tell of a change, and had the time to.
    fn should_have_been_announced(&self, changed_ns: i64) -> bool {
        let changed = Timestamp(changed_ns / 1_000_000);
        self.order.watched_since.is_some_and(|since| {
            changed > since
                && age_ms(changed_ns, self.began_at).is_some_and(|age| age > EVENT_LATE_MAX_MS)
        })
    }

    fn tell_surprise(&self, relative: &Path) -> Result<(), Stopped> {
        let differs = Input::Differs(relative.to_path_buf());
        self.rescanner.stop.send(&self.rescanner.inbox, differs)
    }

    fn tell_progress(&mut self) -> Result<(), Stopped> {
        if !self.photos_count.is_multiple_of(256) || self.told_at.elapsed() < PROGRESS_EVERY {
            return Ok(());
        }
        self.told_at = Instant::now();
        let (collection, photos_count) = (self.rescanner.collection.clone(), self.photos_count);
        self.tell(Event::ScanProgress { collection, photos_count })
    }

    fn warn_of(&mut self, summary: &Summary) -> Result<(), Stopped> {
        let collection = || self.rescanner.collection.clone();
        let root = &self.order.place.path;
        for (path, error) in summary.unreadable.iter().take(WARNINGS_MAX) {
            let text = format!("`{}` cannot be read: {error}", root.join(path).display());
            self.rescanner.tell(Event::Warning { collection: collection(), text })?;
        }
        if let Some(more_count @ 1..) = summary.unreadable.len().checked_sub(WARNINGS_MAX) {
            let text = format!("{more_count} further folders cannot be read");
            self.rescanner.tell(Event::Warning { collection: collection(), text })?;
        }
        Ok(())
    }

    fn tell(&mut self, event: Event) -> Result<(), Stopped> {
        let began = Instant::now();
        let told = self.rescanner.tell(event);
        self.waited += began.elapsed();
        told
    }
}

fn flow(result: Result<(), Stopped>) -> ControlFlow<()> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(Stopped) => ControlFlow::Break(()),
    }
}

fn is_file(stat: &rustix::fs::Stat) -> bool {
    rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::RegularFile
}

/// How long ago something was; `None` in the future, which comes from another clock and says
/// nothing.
fn age_ms(then_ns: i64, now: Timestamp) -> Option<u64> {
    u64::try_from(now.0.saturating_sub(then_ns / 1_000_000)).ok()
}

/// Whether a file was written so recently that its writer may still be at it.
pub(super) fn is_young(state: &FileState, quiet_ms: u64) -> bool {
    age_ms(state.modified_ns, Timestamp::now()).is_some_and(|age_ms| age_ms < quiet_ms)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::store::Index;

    const COLLECTION: &str = "c";

    /// Scans a folder once; gives what the follower was told.
    fn scan(home: &Path, root: &Path, folders_since: Option<Timestamp>) -> Vec<Input> {
        let (orders_sender, orders) = sync_channel(1);
        let (inbox, told) = sync_channel(1000);
        let (outlet, _events) = sync_channel(1000);
        let root_id = RootId::of(root).expect("is there");
        let place = Place { path: root.to_path_buf(), root_id, excluded: Vec::new() };
        let order = ScanOrder { place, watched_since: None, is_first: true, folders_since };
        orders_sender.send(order).expect("listens");
        drop(orders_sender);
        let index = home.join("index.sqlite");
        drop(Index::open(&index).expect("an index"));
        let (collection, stop) = (COLLECTION.to_owned(), Arc::default());
        Rescanner { collection, quiet_ms: 0, index, orders, inbox, outlet, stop }.run();
        told.iter().collect()
    }

    #[test]
    fn folder_that_came_while_its_root_began_to_be_watched_is_told() {
        let home = tempfile::tempdir().expect("a folder");
        let root = home.path().join("photos");
        fs::create_dir_all(root.join("a/b")).expect("folders");
        let told = |since| -> Vec<PathBuf> {
            let told = scan(home.path(), &root, since).into_iter();
            let folder =
                |input| if let Input::Folder(folder) = input { Some(folder) } else { None };
            told.filter_map(folder).collect()
        };
        let later = Timestamp(Timestamp::now().0 + 60_000);
        assert_eq!(told(Some(Timestamp(0))), [PathBuf::from("a"), PathBuf::from("a/b")]);
        assert!(told(Some(later)).is_empty(), "these were watched in time");
        assert!(told(None).is_empty(), "nothing is watched");
    }

    #[test]
    fn scan_that_misses_far_too_much_is_doubtful() {
        let home = tempfile::tempdir().expect("a folder");
        let root = home.path().join("photos");
        fs::create_dir_all(&root).expect("a folder");
        let mut index = Index::open(&home.path().join("index.sqlite")).expect("an index");
        let mut is_doubtful_after = |missing_count: u64| {
            for number in 0..missing_count {
                let path = PathBuf::from(format!("{number}.jpg"));
                let state = FileState {
                    bytes_count: 1,
                    modified_ns: 0,
                    changed_ns: 0,
                    device: 1,
                    inode: number,
                };
                index.record_failure(COLLECTION, &path, &state, "odd").expect("noted");
            }
            match scan(home.path(), &root, None).pop() {
                Some(Input::ScanEnded(end)) => end.is_doubtful,
                other => panic!("{other:?}"),
            }
        };
        assert!(!is_doubtful_after(20));
        assert!(is_doubtful_after(21));
    }
}
