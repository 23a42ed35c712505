//! The agent watches while everything in two collections is turned over. In the end it knows
//! what is there, took nothing half written, and ordered nothing twice.
//!
//! `SIGNET_OPERATIONS` says how many things are done (1,500 without it), `SIGNET_SEED` which.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use signet::base::ids::ContentHash;
use signet::preview::encode;

use crate::common::{Service, note};
use crate::disorder::{Content, Disorder};
use crate::world::{Twist, World, sample, variant};

const ROOTS: [&str; 2] = ["one", "two"];

/// Things done between two looks at what the agent knows.
const ROUND: u64 = 250;

/// How long the agent may take to know what happened in a round.
const PATIENCE: Duration = Duration::from_secs(120);

/// One version in so many asks for something.
const MARKED_ONE_IN: u64 = 40;

/// Events that do not fit into the system's queue (`max_queued_events` is 16,384).
const EVENTS_TOO_MANY: u64 = 20_000;

/// A stop of the agent, and more than fits into the queue meanwhile, every so many rounds.
const FLOOD_EVERY: u64 = 8;

/// What tells a file from one that was edited or put in its place.
trait State {
    fn state(&self) -> (i64, i64);
}

impl State for Metadata {
    fn state(&self) -> (i64, i64) {
        (self.ino().cast_signed(), self.ctime() * 1_000_000_000 + self.ctime_nsec())
    }
}

fn number_of(variable: &str, usual: u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "tests have no config")]
    let number = std::env::var(variable).ok();
    number.and_then(|number| number.parse().ok()).unwrap_or(usual)
}

fn is_marked(version: u64) -> bool {
    version % MARKED_ONE_IN == 7
}

/// Versions differ in their bytes; most are a few pixels, some carry an icon.
fn versions() -> impl Fn(u64) -> Vec<u8> + Clone + 'static {
    let rgb = (0..64 * 48 * 3).map(|at| u8::try_from(at * 7 % 251).expect("a byte")).collect();
    let frame = signet::media::Frame::new(64, 48, rgb).expect("a frame");
    let plain = encode::jpeg(&frame, 80, b"").expect("a JPEG");
    let marked = sample("meadow");
    move |version| {
        let picture = if is_marked(version) { &marked } else { &plain };
        variant(picture, usize::try_from(version).expect("small"))
    }
}

/// What the index of a home says. It is only read: the agent writes it meanwhile.
struct Watcher {
    index: PathBuf,
}

/// A row of the index.
struct Row {
    kind: String,
    hash: Option<Vec<u8>>,
    has_failed: bool,
    /// Inode and change time.
    state: (i64, i64),
}

impl Watcher {
    /// Files that are known to be there, by path below the base.
    fn known(&self) -> BTreeMap<PathBuf, Row> {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let index = rusqlite::Connection::open_with_flags(&self.index, flags).expect("opens");
        index.busy_timeout(PATIENCE).expect("waits");
        let sql = "SELECT collection, path, kind, hash, error IS NOT NULL, inode, changed_ns
                   FROM files WHERE is_gone = 0";
        let mut rows = index.prepare(sql).expect("a statement");
        let row = |row: &rusqlite::Row<'_>| {
            let path: Vec<u8> = row.get(1)?;
            let path = Path::new(&row.get::<_, String>(0)?).join(OsStr::from_bytes(&path));
            let (kind, hash, has_failed) = (row.get(2)?, row.get(3)?, row.get(4)?);
            Ok((path, Row { kind, hash, has_failed, state: (row.get(5)?, row.get(6)?) }))
        };
        rows.query_map([], row).expect("rows").map(|row| row.expect("a row")).collect()
    }

    /// What is wrong with what is known.
    fn mistakes(
        &self,
        disorder: &Disorder,
        base: &Path,
        bytes_of: &dyn Fn(u64) -> Vec<u8>,
    ) -> Vec<String> {
        let known = self.known();
        let there: BTreeSet<&Path> = disorder.files().map(|(path, ..)| path).collect();
        let mut mistakes: Vec<String> = known
            .keys()
            .filter(|path| !there.contains(path.as_path()))
            .map(|path| format!("{path:?} is known and not there"))
            .collect();
        for (path, content, was_edited_behind) in disorder.files() {
            let Some(row) = known.get(path) else {
                mistakes.push(format!("{path:?} is not known"));
                continue;
            };
            let is_right = match content {
                Content::Photo(version) => {
                    let hash = ContentHash::of(&bytes_of(version));
                    row.kind == "photo" && row.hash.as_deref() == Some(hash.as_bytes())
                }
                Content::Empty => row.kind == "photo" && row.has_failed,
                Content::Companion => row.kind == "companion",
            };
            // Written through another of its names: the next scan finds it.
            if !is_right && !was_edited_behind {
                let is_now = base.join(path).symlink_metadata().map(|data| data.state());
                mistakes.push(format!(
                    "{path:?} is {content:?} in state {is_now:?} and known in state {:?}",
                    row.state
                ));
            }
        }
        mistakes
    }

    fn settle(&self, disorder: &Disorder, base: &Path, bytes_of: &dyn Fn(u64) -> Vec<u8>) {
        let began = Instant::now();
        loop {
            let mistakes = self.mistakes(disorder, base, bytes_of);
            if mistakes.is_empty() {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "after {PATIENCE:?}: {mistakes:#?}");
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }
}

/// Stops the agent, lets more happen than the system keeps, and lets the agent go on.
fn flood(agent: &Service, base: &Path, disorder: &mut Disorder) {
    let pid = Pid::from_raw(agent.id().cast_signed()).expect("a process");
    kill_process(pid, Signal::STOP).expect("stops");
    // Each makes four events in each root, no two alike in a row.
    for number in 0..EVENTS_TOO_MANY / 4 {
        for root in ROOTS {
            let path = base.join(root).join("flood.txt");
            std::fs::write(&path, b"x").expect("writes");
            std::fs::remove_file(&path).expect("deletes");
        }
        if number % 200 == 0 {
            disorder.step();
        }
    }
    kill_process(pid, Signal::CONT).expect("goes on");
}

#[test]
fn index_is_what_the_disk_is_and_nothing_is_ordered_twice() {
    let base = tempfile::tempdir().expect("a folder");
    let bytes_of = versions();
    let seed = number_of("SIGNET_SEED", 1);
    let mut disorder = Disorder::new(base.path(), &ROOTS, seed, 4, bytes_of.clone());
    let roots = ROOTS.map(|root| base.path().join(root).to_string_lossy().into_owned());
    let init = ["--photos", &roots[0], "--photos", &roots[1]];
    let world = World::with(&Twist { init: &init, ..Twist::default() });
    let mut agent = world.start_agent_unready();
    for _collection in 0..=ROOTS.len() {
        agent.next_line_with(r#""done":true"#);
    }
    let watcher = Watcher { index: world.owner.path().join("index.sqlite") };

    let rounds_count = number_of("SIGNET_OPERATIONS", 1500).div_ceil(ROUND);
    let mut said = Said::default();
    for round in 1..=rounds_count {
        for _ in 0..ROUND {
            disorder.step();
        }
        // The last rounds are without: nothing mends what events did not tell.
        if round % FLOOD_EVERY == 3 && round + 2 < rounds_count {
            flood(&agent, base.path(), &mut disorder);
        }
        // Slow writers go on writing in every other round.
        if round % 2 == 0 || round == rounds_count {
            disorder.finish();
            watcher.settle(&disorder, base.path(), &bytes_of);
        }
        said.take(agent.lines_since());
    }
    // A last scan finds what was written through other names.
    flood(&agent, base.path(), &mut disorder);
    disorder.finish();
    let is_settled = || {
        watcher.known().iter().all(|(path, row)| {
            let metadata = base.path().join(path).symlink_metadata();
            metadata.is_ok_and(|metadata| metadata.state() == row.state)
        }) && watcher.mistakes(&disorder, base.path(), &bytes_of).is_empty()
    };
    let began = Instant::now();
    while !is_settled() {
        let mistakes = || watcher.mistakes(&disorder, base.path(), &bytes_of);
        assert!(began.elapsed() < PATIENCE, "after the last scan: {:#?}", mistakes());
        std::thread::park_timeout(Duration::from_millis(50));
    }
    said.take(agent.lines_since());

    let whole: BTreeSet<String> = (0..disorder.versions_count())
        .map(|version| ContentHash::of(&bytes_of(version)).to_string())
        .collect();
    let partial: Vec<_> = said.photos.iter().filter(|photo| !whole.contains(*photo)).collect();
    assert!(partial.is_empty(), "half a file was taken for a photo: {partial:?}");
    check_orders(&world, &disorder, &bytes_of);
    note(&format!(
        "{} operations, {} versions, {} photos looked at, events lost {} times",
        rounds_count * ROUND,
        disorder.versions_count(),
        said.photos.len(),
        said.losses_count
    ));
    assert!(said.losses_count > 0, "nothing was lost, so that was not tested");
}

/// What the agent told so far.
#[derive(Default)]
struct Said {
    /// Hashes of photos that it looked at.
    photos: Vec<String>,
    losses_count: usize,
}

impl Said {
    fn take(&mut self, lines: Vec<String>) {
        for line in lines {
            let Ok(event) = serde_json::from_str::<serde_json::Value>(&line) else { continue };
            match event["event"].as_str() {
                Some("photo") => {
                    self.photos.push(event["photo"].as_str().expect("a hash").to_owned());
                }
                Some("events-lost") => self.losses_count += 1,
                _ => {}
            }
        }
    }
}

/// Each marked version that is there was ordered, once; no version was ordered twice.
fn check_orders(world: &World, disorder: &Disorder, bytes_of: &dyn Fn(u64) -> Vec<u8>) {
    let hash = |version: u64| ContentHash::of(&bytes_of(version)).to_string();
    let marked: BTreeSet<String> =
        (0..disorder.versions_count()).filter(|version| is_marked(*version)).map(hash).collect();
    let there = disorder.files().filter_map(|(_, content, _)| match content {
        Content::Photo(version) if is_marked(version) => Some(hash(version)),
        _ => None,
    });
    let there: BTreeSet<String> = there.collect();
    let ordered: Vec<String> = crate::common::wait_for("orders for all that is there", || {
        let orders = world.orders().into_iter();
        let ordered: Vec<String> =
            orders.map(|order| order["photo"].as_str().expect("a hash").to_owned()).collect();
        there.iter().all(|photo| ordered.contains(photo)).then_some(ordered)
    });
    let once: BTreeSet<&String> = ordered.iter().collect();
    assert_eq!(once.len(), ordered.len(), "something was ordered twice");
    assert!(once.iter().all(|photo| marked.contains(*photo)), "nobody asked for that");
    assert!(!marked.is_empty(), "nothing was marked, so orders were not tested");
}
