//! The program on files made to hurt, and what it reads of those that are not.

#![cfg(target_os = "linux")]
#![expect(clippy::expect_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use signet::media::sandbox::MEMORY_BYTES_MAX;
use signet::media::{DecodeSpec, SharedBytes};
use turbojpeg::{Compressor, Image, PixelFormat};

use crate::common::{Service, note, shared, wait_for};
use crate::mutations::{peak_bytes, real_decoders};
use crate::world::{World, sample};

/// Files of a folder and all below it, by name.
fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

/// Processes that were started by another, directly.
fn children(parent: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").expect("/proc");
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.filter(|id: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let behind_name = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        behind_name.split_whitespace().nth(1) == Some(&parent.to_string())
    })
    .collect()
}

#[test]
fn hostile_files_are_listed_each_and_workers_stay_small() {
    let Some(folder) = shared("hostile") else { return };
    let world = World::new();
    let mut command = world.owner.command(&["--json", "look", "--workers", "2"]);
    let mut looking = Service::start(command.arg(&folder));
    let (id, is_over) = (looking.id(), AtomicBool::new(false));
    let peaks = std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut peaks = BTreeMap::<u32, u64>::new();
            while !is_over.load(Ordering::Relaxed) {
                for child in children(id) {
                    let peak = peak_bytes(child).unwrap_or(0);
                    peaks.entry(child).and_modify(|most| *most = peak.max(*most)).or_insert(peak);
                }
                std::thread::park_timeout(Duration::from_millis(5));
            }
            peaks
        });
        for path in files(&folder) {
            if path.file_name().is_some_and(|name| name != "README.md") {
                let name = serde_json::to_string(&path).expect("JSON");
                looking.line_with(&format!("{{\"path\":{name},"));
            }
        }
        wait_for("the end", || (!looking.runs()).then_some(()));
        is_over.store(true, Ordering::Relaxed);
        watching.join().expect("watched")
    });
    let most = peaks.values().max().copied().unwrap_or(0);
    note(&format!("{} workers, at most {} MiB each", peaks.len(), most >> 20));
    assert!(!peaks.is_empty() && most < MEMORY_BYTES_MAX, "{peaks:?}");
}

#[test]
fn good_photos_between_hostile_ones_decode_as_before() {
    let Some(folder) = shared("hostile") else { return };
    let good = SharedBytes::of(&noise_photo(1)).expect("memory");
    let mut decoder = real_decoders().decoder();
    let mut time_of_good = || {
        let began = Instant::now();
        decoder.decode(&good, DecodeSpec::default()).expect("a good photo");
        began.elapsed()
    };
    time_of_good();
    let mut alone: Vec<Duration> = (0..30).map(|_| time_of_good()).collect();
    // One worker for both, so that what a bad photo leaves behind would show.
    let mut decoder = real_decoders().decoder();
    let (mut between, mut refused_count) = (Vec::new(), 0);
    for path in files(&folder).iter().step_by(4) {
        let bad = SharedBytes::of(&std::fs::read(path).expect("reads")).expect("memory");
        refused_count += usize::from(decoder.decode(&bad, DecodeSpec::default()).is_err());
        let began = Instant::now();
        let photo = decoder.decode(&good, DecodeSpec::default()).expect("a good photo");
        between.push(began.elapsed());
        assert_eq!(photo.width_px, 1600);
    }
    alone.sort();
    between.sort();
    let (alone, median) = (alone[alone.len() / 2], between[between.len() / 2]);
    let ratio = alone.as_secs_f64() / median.as_secs_f64();
    note(&format!(
        "good photos alone {alone:?}, between {} hostile files ({refused_count} refused) \
         {median:?}: {ratio:.2} of their speed",
        between.len()
    ));
}

/// A photo of some megabytes that compress badly.
fn noise_photo(seed: u64) -> Vec<u8> {
    let (width, height) = (1600, 1200);
    let mut dice = crate::composite::Dice::new(seed);
    let pixels: Vec<u8> =
        (0..width * height * 3 / 8).flat_map(|_| dice.next().to_le_bytes()).collect();
    let format = PixelFormat::RGB;
    let image = Image { pixels: pixels.as_slice(), width, pitch: width * 3, height, format };
    let mut compressor = Compressor::new().expect("a compressor");
    compressor.set_quality(90).expect("a quality");
    compressor.compress_to_vec(image).expect("compresses")
}

/// Bytes that a process ever read, from wherever.
fn read_bytes(id: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{id}/io")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("rchar: "));
    line.and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// What an agent and its workers read, all together.
fn all_read_bytes(agent: u32) -> u64 {
    children(agent).into_iter().map(read_bytes).sum::<u64>() + read_bytes(agent)
}

#[test]
fn original_is_read_once() {
    let world = World::new();
    let mut agent = world.start_agent();
    // Whatever is loaded for the first photos is not part of reading a photo.
    for number in 0..4 {
        let name = format!("first-{number}.jpg");
        world.drop_photo(&name, &crate::world::variant(&sample("lake"), number));
        agent.line_with(&name);
    }
    let before = all_read_bytes(agent.id());
    let mut file_bytes = 0;
    for number in 0..12 {
        let name = format!("noise-{number}.jpg");
        let photo = noise_photo(number);
        file_bytes += photo.len() as u64;
        world.drop_photo(&name, &photo);
    }
    for number in 0..12 {
        agent.line_with(&format!("noise-{number}.jpg"));
    }
    let read_bytes = all_read_bytes(agent.id()) - before;
    let ratio = read_bytes as f64 / file_bytes as f64;
    note(&format!("{file_bytes} bytes of photos, {read_bytes} bytes read: {ratio:.4}"));
    assert!((1.0..=1.02).contains(&ratio), "{ratio}");
}

#[test]
fn doctor_shows_what_holds() {
    let world = World::new();
    let findings = world.owner.run(&["--json", "doctor"]).json();
    let sandbox: Vec<_> = findings.iter().filter(|finding| finding["part"] == "sandbox").collect();
    let names = sandbox.iter().map(|finding| {
        let text = finding["text"].as_str().expect("a text");
        text.split_once(':').expect("a name").0
    });
    let names: Vec<&str> = names.collect();
    assert_eq!(names, ["process", "limits", "landlock", "seccomp"]);
    for finding in sandbox {
        let is_told = finding["text"].as_str().is_some_and(|text| text.len() > 20);
        assert!(finding["good"] == true || is_told, "{finding}");
    }
}
