//! What it costs to list a collection, to remember it, and how soon a saved file is told.

#![expect(clippy::expect_used, reason = "a bench stops at the first wrong answer")]

mod common;

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use common::{bench, report};
use signet::base::clock::Timestamp;
use signet::base::ids::ContentHash;
use signet::collection::scan::{Entry, scan};
use signet::collection::{Collector, Event, Origin, Outlets, Root, Settings};
use signet::store::Index;

const FILES_COUNT: usize = 5000;

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    for number in 0..FILES_COUNT {
        let below = folder.path().join(format!("{:02}", number % 50));
        fs::create_dir_all(&below).expect("a folder");
        fs::write(below.join(format!("{number}.jpg")), b"x").expect("writes");
    }
    let list = || {
        let mut entries: Vec<Entry> = Vec::new();
        let summary = scan(folder.path(), Path::new(""), |entry| {
            entries.push(entry);
            ControlFlow::Continue(())
        });
        assert_eq!(summary.files_count, FILES_COUNT as u64);
        entries
    };
    let entries = list();
    bench("collection/scan/5000-files/page-cache", list);

    let mut index = Index::open(&folder.path().join("index.sqlite")).expect("opens");
    let hash = ContentHash::of(b"a photo");
    bench("store/index-record/5000-files/one-batch", || {
        index.begin_batch().expect("begins");
        for entry in &entries {
            index.record_file("c", &entry.relative, &entry.state, &hash).expect("records");
        }
        index.commit_batch().expect("commits");
    });
    bench("store/index-known/5000-files/one-batch", || {
        index.begin_batch().expect("begins");
        index.begin_scan("c").expect("begins");
        for entry in &entries {
            assert!(index.known("c", &entry.relative, &entry.state).expect("asks").is_some());
        }
        index.end_scan("c", Timestamp(0)).expect("ends");
        index.commit_batch().expect("commits");
    });

    let mut times_ms = found_after_close(&folder.path().join("watched"));
    report("collection/found-after-close/wall-clock/inotify", &mut times_ms);
}

/// Wall-clock milliseconds from the end of writing to the event, many times.
fn found_after_close(root: &Path) -> Vec<f64> {
    fs::create_dir(root).expect("a root");
    let (sender, events) = sync_channel(1000);
    let root_of = Root { collection: "c".to_owned(), path: root.to_path_buf() };
    let settings = Settings { quiet_ms: 2000, rescan_minutes: 60 };
    let outlets = Outlets { live: sender.clone(), scan: sender };
    let collector = Collector::start(vec![root_of], settings, &outlets).expect("starts");
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
