//! A collector and an index that follow two roots while everything in them is turned over.
//!
//! What the agent does with events is done here without looking at pictures: a file's content
//! is known once its bytes are hashed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::*;
use crate::base::ids::ContentHash;
use crate::store::{FilesReader, Index, Known, Standing};

#[path = "../../../tests/suite/disorder.rs"]
mod disorder;

use disorder::{Content, Disorder};

const ROOTS: [&str; 2] = ["one", "two"];

fn bytes_of(version: u64) -> Vec<u8> {
    format!("version {version:08}").into_bytes()
}

/// Follows the roots in `base` until it is dropped.
struct Following {
    collector: Option<Collector>,
    index_path: PathBuf,
    keeper: Option<JoinHandle<u64>>,
}

impl Following {
    fn start(base: &Path, home: &Path) -> Self {
        let index_path = home.join("index.sqlite");
        let mut index = Index::open(&index_path).expect("an index");
        let roots = ROOTS.map(|name| Root { collection: name.to_owned(), path: base.join(name) });
        let (sender, events) = sync_channel(1000);
        let outlets = Outlets { live: sender.clone(), scan: sender };
        let own_folder = Some(home.to_path_buf());
        let settings = Settings { quiet_ms: 400, own_folder, ..Settings::new(index_path.clone()) };
        let collector = Collector::start(roots.to_vec(), &settings, &outlets).expect("starts");
        drop(outlets);
        let base = base.to_path_buf();
        let keeper = std::thread::spawn(move || {
            let mut losses_count = 0;
            for event in events {
                losses_count += u64::from(matches!(event, Event::EventsLost { .. }));
                keep(&mut index, &base, event);
            }
            losses_count
        });
        Self { collector: Some(collector), index_path, keeper: Some(keeper) }
    }

    /// What is known to be there, by path below the base.
    fn known(&self) -> BTreeMap<PathBuf, KnownFileOf> {
        let reader = FilesReader::open(&self.index_path).expect("opens");
        let mut known = BTreeMap::new();
        for root in ROOTS {
            let files = reader.page(root, Path::new(""), usize::MAX).expect("a page");
            for file in files.into_iter().filter(|file| file.standing != Standing::Gone) {
                known.insert(Path::new(root).join(&file.relative), (root, file.kind, file.state));
            }
        }
        known
    }

    /// Waits until the index knows the files that are there, each in a state that it had.
    fn settle(&self, disorder: &Disorder) {
        let until = Instant::now() + PATIENCE;
        let wanted: BTreeSet<&Path> = disorder.files().map(|(path, ..)| path).collect();
        loop {
            let known = self.known();
            let names: BTreeSet<&Path> = known.keys().map(PathBuf::as_path).collect();
            let is_right = names == wanted
                && disorder.files().all(|(path, content, is_doubtful)| {
                    is_doubtful || self.content(path, &known[path]) == wanted_of(content)
                });
            if is_right {
                return;
            }
            if Instant::now() > until {
                let extra: Vec<_> = names.difference(&wanted).collect();
                let absent: Vec<_> = wanted.difference(&names).collect();
                let wrong: Vec<_> = disorder
                    .files()
                    .filter(|(path, content, is_doubtful)| {
                        let known = known.get(*path);
                        !is_doubtful
                            && known.is_some_and(|k| self.content(path, k) != wanted_of(*content))
                    })
                    .map(|(path, ..)| path)
                    .collect();
                panic!("known and not there: {extra:?}; not known: {absent:?}; wrong: {wrong:?}");
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    fn content(&self, path: &Path, known: &KnownFileOf) -> Option<Known> {
        let mut index = Index::open(&self.index_path).expect("opens");
        let (root, kind, state) = known;
        let relative = path.strip_prefix(root).expect("below it");
        index.known(root, relative, *kind, state).expect("asks")
    }

    /// Ends the collector and gives how often events were lost.
    fn end(mut self) -> u64 {
        if let Some(collector) = self.collector.take() {
            collector.shutdown();
        }
        self.keeper.take().map_or(0, |keeper| keeper.join().expect("it kept all"))
    }
}

type KnownFileOf = (&'static str, FileKind, FileState);

fn wanted_of(content: Content) -> Option<Known> {
    Some(match content {
        Content::Photo(version) => Known::Content(ContentHash::of(&bytes_of(version))),
        Content::Empty => Known::Failed("empty".to_owned()),
        Content::Companion => Known::Noted,
    })
}

/// Notes an event as the agent does.
fn keep(index: &mut Index, base: &Path, event: Event) {
    let kept = match event {
        Event::Found { collection, relative, kind, state, .. } => {
            let path = base.join(&collection).join(&relative);
            let known = index.known(&collection, &relative, kind, &state).expect("asks");
            let kept = match kind {
                _ if known.is_some() => Ok(()),
                FileKind::Photo => read(index, &collection, &relative, &path),
                _ => index.note_file(&collection, &relative, kind, &state, None),
            };
            match path.symlink_metadata() {
                Err(_gone) => kept.and_then(|()| index.forget(&collection, &relative)),
                Ok(_) => kept,
            }
        }
        Event::Missing { collection, relative, state } => {
            index.miss(&collection, &relative, &state)
        }
        Event::Vanished { collection, relative } => index.forget(&collection, &relative),
        Event::ScanStarted { collection } => index.begin_scan(&collection),
        Event::ScanDone { collection, seen: Some(seen), .. } => {
            index.end_scan(&collection, &seen, crate::base::clock::Timestamp(0)).map(|_| ())
        }
        Event::Warning { text, .. } => panic!("a warning: {text}"),
        _ => Ok(()),
    };
    kept.expect("keeps");
}

fn read(
    index: &mut Index,
    collection: &str,
    relative: &Path,
    path: &Path,
) -> Result<(), crate::store::StoreError> {
    let state_of = || path.symlink_metadata().ok().map(|metadata| FileState::of(&metadata));
    let Some(before) = state_of() else { return Ok(()) };
    let Ok(bytes) = fs::read(path) else { return Ok(()) };
    if state_of() != Some(before) {
        return Ok(());
    }
    match bytes.len() {
        0 => index.record_failure(collection, relative, &before, "empty"),
        _ => index.record_file(collection, relative, &before, &ContentHash::of(&bytes)),
    }
}

fn number_of(variable: &str, usual: u64) -> u64 {
    let number = crate::base::config::environment(variable);
    number.and_then(|number| number.parse().ok()).unwrap_or(usual)
}

#[test]
fn index_is_what_the_disk_is_after_any_disorder() {
    let (base, home) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("one"));
    let mut disorder = Disorder::new(base.path(), &ROOTS, number_of("SIGNET_SEED", 1), 2, bytes_of);
    let following = Following::start(base.path(), home.path());
    for number in 1..=number_of("SIGNET_OPERATIONS", 3000) {
        disorder.step();
        if number % 500 == 0 {
            disorder.finish();
            following.settle(&disorder);
        }
    }
    disorder.finish();
    following.settle(&disorder);
    assert!(disorder.versions_count() > 0);
    println!("events were lost {} times", following.end());
}

#[test]
fn burst_is_indexed_completely() {
    // `SIGNET_BURST=50000` is the figure that was asked for.
    let count = usize::try_from(number_of("SIGNET_BURST", 2000)).expect("small");
    let (base, home) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("one"));
    fs::create_dir(base.path().join("two")).expect("a root");
    fs::create_dir(base.path().join("one")).expect("a root");
    let following = Following::start(base.path(), home.path());
    for number in 0..count {
        let below = base.path().join(format!("one/{:02}/{:02}", number % 7, number / 500));
        fs::create_dir_all(&below).expect("a folder");
        fs::write(below.join(format!("{number}.jpg")), bytes_of(number as u64)).expect("writes");
    }
    let began = Instant::now();
    let mut known_count = 0;
    while known_count < count {
        assert!(began.elapsed() < 10 * PATIENCE, "{known_count} of {count} are known");
        std::thread::park_timeout(Duration::from_millis(50));
        known_count = following.known().len();
    }
    println!("{count} known after {:?}; events lost {} times", began.elapsed(), following.end());
}

/// A file system in memory that can be mounted at several places, if this test may do so.
struct Disk {
    folder: TempDir,
}

impl Disk {
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let is_mounted =
            rustix::process::geteuid().is_root() && mount(&["-t", "tmpfs", "none"], folder.path());
        is_mounted.then_some(Self { folder })
    }

    fn write(&self, names: std::ops::Range<usize>) {
        for number in names {
            fs::write(self.folder.path().join(format!("{number}.jpg")), bytes_of(number as u64))
                .expect("writes");
        }
    }

    /// Shows it at another place while `work` runs.
    fn at(&self, place: &Path, work: impl FnOnce()) {
        assert!(mount(&["--bind", &self.folder.path().to_string_lossy()], place), "mounts");
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        assert!(unmount(place), "unmounts");
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        unmount(self.folder.path());
    }
}

fn mount(args: &[&str], place: &Path) -> bool {
    let status = std::process::Command::new("mount").args(args).arg(place).status();
    status.is_ok_and(|status| status.success())
}

fn unmount(place: &Path) -> bool {
    let status = std::process::Command::new("umount").arg("-l").arg(place).status();
    status.is_ok_and(|status| status.success())
}

#[test]
fn disk_that_goes_and_another_that_comes_remove_nothing() {
    let (Some(disk), Some(other)) = (Disk::new(), Disk::new()) else {
        println!("skipped: nothing may be mounted here");
        return;
    };
    disk.write(0..30);
    other.write(100..105);
    let (base, home) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("one"));
    let place = base.path().join("one");
    for root in ROOTS {
        fs::create_dir(base.path().join(root)).expect("a root");
    }
    let following = Following::start(base.path(), home.path());
    let until = |what: &str, is_so: &dyn Fn(&BTreeSet<PathBuf>) -> bool| {
        let began = Instant::now();
        while !is_so(&following.known().into_keys().collect()) {
            assert!(began.elapsed() < PATIENCE, "{what}: {:?}", following.known().keys());
            std::thread::park_timeout(Duration::from_millis(20));
        }
    };
    let name = |number: usize| PathBuf::from(format!("one/{number}.jpg"));
    let knows_all = |known: &BTreeSet<PathBuf>| (0..30).all(|number| known.contains(&name(number)));
    disk.at(&place, || until("the disk is known", &knows_all));
    // As often as would be enough to believe that files were deleted.
    for round in 0..4 {
        let new = 200 + round;
        other.write(new..new + 1);
        other.at(&place, || until("the other is known", &|known| known.contains(&name(new))));
        assert!(knows_all(&following.known().into_keys().collect()), "round {round}");
    }
    disk.write(30..31);
    disk.at(&place, || until("the disk is back", &|known| known.contains(&name(30))));
    assert!(knows_all(&following.known().into_keys().collect()));
    following.end();
}
