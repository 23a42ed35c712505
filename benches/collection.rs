//! What it costs to compare a collection with the disk when nothing changed, and how soon a
//! saved file is told.
//!
//! The yardstick is `find ROOT -printf '%s %T@\n'`, which looks at the same files, in turns
//! with ours. `BIG=1` makes a million files (4 GB on an ext4 disk, below `TMPDIR`).

#![expect(clippy::expect_used, reason = "a bench stops at the first wrong answer")]
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

mod common;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant, UNIX_EPOCH};

use common::{bench, report, smoke};
use signet::base::clock::Timestamp;
use signet::base::config::environment;
use signet::base::file_kind::FileKind;
use signet::base::file_state::FileState;
use signet::base::ids::ContentHash;
use signet::collection::{Collector, Event, Origin, Outlets, Root, Settings};
use signet::store::Index;

/// Files in each folder; folders are ten to a folder, four deep.
const FILES_PER_FOLDER: usize = 100;

const ROUNDS_COUNT: usize = 7;

fn main() {
    let small = rescan(if smoke() { 500 } else { 10_000 });
    if environment("BIG").is_some() {
        let big = rescan(1_000_000);
        println!(
            "cost of a file among a million, over that among ten thousand: {:.2}",
            big / small
        );
    }
    keep_and_ask();
    let folder = tempfile::tempdir().expect("a folder");
    let mut times_ms = found_after_close(folder.path());
    report("collection/found-after-close/wall-clock/inotify", &mut times_ms);
}

/// Files kept in the index and asked for again, as when the collector tells of them.
fn keep_and_ask() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut index = Index::open(&folder.path().join("index.sqlite")).expect("opens");
    let hash = ContentHash::of(b"a photo");
    let files: Vec<(PathBuf, FileState)> = (0..5000)
        .map(|number| {
            let state = FileState {
                bytes_count: 1,
                modified_ns: 2,
                changed_ns: 3,
                device: 4,
                inode: number,
            };
            (PathBuf::from(format!("a/{number}.jpg")), state)
        })
        .collect();
    bench("store/index-record/5000-files/one-batch", || {
        index.begin_batch().expect("begins");
        for (relative, state) in &files {
            index.record_file("c", relative, state, &hash).expect("records");
        }
        index.commit_batch().expect("commits");
    });
    bench("store/index-known/5000-files/one-batch", || {
        index.begin_batch().expect("begins");
        for (relative, state) in &files {
            let known = index.known("c", relative, FileKind::Photo, state).expect("asks");
            assert!(known.is_some());
        }
        index.commit_batch().expect("commits");
    });
}

/// Scans a collection of which all is known, in turns with `find`. Gives µs per file.
fn rescan(files_count: usize) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("photos");
    make_files(&root, files_count);
    let index = folder.path().join("index.sqlite");
    learn(&index, &root, files_count);
    let (mut ours_ms, mut theirs_ms) = (Vec::new(), Vec::new());
    let rounds_count = if smoke() { 1 } else { ROUNDS_COUNT };
    for _ in 0..rounds_count {
        let began = Instant::now();
        let status = Command::new("find")
            .arg(&root)
            .args(["-printf", "%s %T@\\n"])
            .stdout(Stdio::null())
            .status()
            .expect("find");
        assert!(status.success());
        theirs_ms.push(began.elapsed().as_secs_f64() * 1e3);
        ours_ms.push(scan_once(&index, &root, files_count));
    }
    let ours =
        report(&format!("collection/rescan/{files_count}-files/unchanged-2-threads"), &mut ours_ms);
    let theirs = report(&format!("collection/rescan/{files_count}-files/find"), &mut theirs_ms);
    println!("  {:.2} times find, peak memory {} MB", ours / theirs, memory_mb());
    ours * 1e3 / files_count as f64
}

fn make_files(root: &Path, files_count: usize) {
    for number in 0..files_count {
        let folder = number / FILES_PER_FOLDER;
        let digits = [folder / 1000 % 10, folder / 100 % 10, folder / 10 % 10, folder % 10];
        let above = folder / 10_000;
        let below = digits.map(|digit| format!("part-{digit}")).join("/");
        let below = root.join(format!("{above}/{below}"));
        if number % FILES_PER_FOLDER == 0 {
            fs::create_dir_all(&below).expect("a folder");
        }
        let file = File::create(below.join(format!("IMG_{number:07}.jpg"))).expect("a file");
        // What was written just now would be left to its writer.
        file.set_modified(UNIX_EPOCH + Duration::from_secs(1_000_000_000)).expect("sets its time");
    }
}

/// Puts all files into the index, as the agent does.
fn learn(index: &Path, root: &Path, files_count: usize) {
    let mut index = Index::open(index).expect("opens");
    let events = follow(root, index_path(root));
    let began = Instant::now();
    let mut seen_count = 0;
    index.begin_batch().expect("begins");
    loop {
        match events.1.recv().expect("an event") {
            Event::ScanStarted { collection } => index.begin_scan(&collection).expect("begins"),
            Event::Found { collection, relative, kind, state, .. } => {
                seen_count += 1;
                let known = index.known(&collection, &relative, kind, &state).expect("asks");
                assert!(known.is_none() && kind == FileKind::Photo);
                let hash = ContentHash::of(relative.as_os_str().as_encoded_bytes());
                index.record_file(&collection, &relative, &state, &hash).expect("records");
            }
            Event::ScanDone { collection, seen: Some(seen), .. } => {
                index.end_scan(&collection, &seen, Timestamp::now()).expect("ends");
                break;
            }
            _ => {}
        }
    }
    index.commit_batch().expect("commits");
    assert_eq!(seen_count, files_count);
    events.0.shutdown();
    println!("  {files_count} files found and kept in {:.1} s", began.elapsed().as_secs_f64());
}

/// Milliseconds of one scan that finds nothing new, as the collector times itself.
fn scan_once(index: &Path, root: &Path, files_count: usize) -> f64 {
    assert_eq!(index, index_path(root));
    let (collector, events) = follow(root, index.to_path_buf());
    let mut began = Instant::now();
    let took_ms = loop {
        match events.recv().expect("an event") {
            Event::ScanStarted { .. } => began = Instant::now(),
            Event::ScanDone { photos_count, seen, .. } => {
                let took_ms = began.elapsed().as_secs_f64() * 1e3;
                let seen = seen.expect("a whole scan");
                assert_eq!(photos_count, files_count as u64);
                assert_eq!((seen.known_count, seen.unchanged_count), (photos_count, photos_count));
                break took_ms;
            }
            event @ (Event::Found { .. } | Event::Missing { .. }) => {
                unreachable!("nothing changed: {event:?}")
            }
            _ => {}
        }
    };
    collector.shutdown();
    took_ms
}

fn index_path(root: &Path) -> PathBuf {
    root.with_file_name("index.sqlite")
}

fn follow(root: &Path, index: PathBuf) -> (Collector, Receiver<Event>) {
    let (sender, events) = sync_channel(1000);
    let root = Root { collection: "c".to_owned(), path: root.to_path_buf() };
    let outlets = Outlets { live: sender.clone(), scan: sender };
    let collector = Collector::start(vec![root], &Settings::new(index), &outlets).expect("starts");
    (collector, events)
}

/// The most memory that this process ever had.
fn memory_mb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kb = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kb.unwrap_or(0) / 1024
}

/// Wall-clock milliseconds from the end of writing to the event, many times.
fn found_after_close(folder: &Path) -> Vec<f64> {
    let root = folder.join("watched");
    fs::create_dir(&root).expect("a root");
    drop(Index::open(&index_path(&root)).expect("an index"));
    let (collector, events) = follow(&root, index_path(&root));
    let wait_for = |is_it: &dyn Fn(&Event) -> bool| {
        while !is_it(&events.recv_timeout(Duration::from_secs(10)).expect("an event")) {}
    };
    wait_for(&|event| matches!(event, Event::ScanDone { .. }));
    let times_ms = (0..100)
        .map(|number| {
            fs::write(root.join(format!("{number}.jpg")), vec![0; 3_000_000]).expect("writes");
            let closed = Instant::now();
            wait_for(&|event| matches!(event, Event::Found { origin: Origin::Watch, .. }));
            closed.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    collector.shutdown();
    times_ms
}
