//! Faces in photos: found and named as the public models can, with the pictures and models of the
//! shared set.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "a test: what fails fails it, and it prints its figures; pictures are small"
)]

mod crowd;
mod made;
mod networks;
mod parity;
mod pictures;
mod sizes;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use signet::detection::embed::cosine;
use signet::detection::faces::detector::SeenFace;
use signet::detection::faces::{FaceDetector, FaceModels, Manifest, manifest};
use signet::detection::{LibrarySearch, Runtime};
use signet::media::Frame;
use signet::media::decode::{DecodeSpec, decode};
use signet::preview::orient;

use super::common::shared;

/// What runs networks.
fn runtime() -> Runtime {
    let search = LibrarySearch {
        config: None,
        environment: signet::base::config::environment("ORT_DYLIB_PATH").map(PathBuf::from),
        program: std::env::current_exe().ok(),
    };
    Runtime::load(&search.find().expect("the library")).expect("the library")
}

/// The shipped manifest with the networks of a folder; none without them.
fn detector() -> Option<FaceDetector> {
    let folder = shared("models")?;
    let runtime = runtime();
    let manifest = Manifest::parse(manifest::SHIPPED).expect("the manifest");
    let read = |file: &str| std::fs::read(folder.join(file)).expect("a network");
    let detector = read(&manifest.detector.source.file);
    let recogniser = read(&manifest.recogniser.source.file);
    let models = FaceModels::new(&runtime, &manifest, &detector, &recogniser).expect("networks");
    Some(FaceDetector::new(models, manifest.thresholds))
}

/// A photo, upright, at most 1024 px, and as large as it was decoded.
fn open(path: &Path) -> (Frame, Frame) {
    let bytes = std::fs::read(path).expect("a photo");
    let decoded = decode(&bytes, DecodeSpec::default()).expect("a photo");
    let preview = signet::preview::Renderer::default().upright(&decoded, 1024).expect("a preview");
    (orient::upright(decoded.frame, decoded.metadata.orientation), preview)
}

/// The best face of each portrait.
fn portraits(detector: &mut FaceDetector, folder: &Path) -> BTreeMap<String, SeenFace> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("a file").path();
        if path.extension().is_none_or(|extension| extension != "jpg") {
            continue;
        }
        let (frame, preview) = open(&path);
        let faces = detector.find(&frame, &preview).expect("faces");
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let Some(face) = faces.first() else { panic!("no face in `{name}`") };
        let seen = detector.look_at(&frame, *face).expect("a look").expect("a face");
        found.insert(name, seen);
    }
    found
}

#[test]
fn all_pairs_of_portraits_are_told_apart_at_one_threshold() {
    let (Some(mut detector), Some(folder)) = (detector(), shared("faces")) else { return };
    let seen = portraits(&mut detector, &folder);
    let pairs = std::fs::read_to_string(folder.join("master.csv")).expect("the pairs");
    let (mut same_min, mut other_max, mut count) = (1.0_f32, -1.0_f32, 0);
    for line in pairs.lines().skip(1).filter(|line| !line.trim().is_empty()) {
        let [one, other, decision] = line.split(',').collect::<Vec<_>>()[..] else {
            panic!("`{line}` is no pair")
        };
        let cosine = cosine(&seen[one].numbers, &seen[other].numbers);
        match decision.trim() {
            "Yes" => same_min = same_min.min(cosine),
            _ => other_max = other_max.max(cosine),
        }
        count += 1;
    }
    println!("{count} pairs: same at least {same_min:.3}, other at most {other_max:.3}");
    assert!(count >= 299 && same_min > other_max);
    if let Some(path) = signet::base::config::environment("SIGNET_FACES_DUMP") {
        let rows: Vec<_> = seen
            .iter()
            .map(|(name, s)| serde_json::json!({"name": name, "bounds": s.face.bounds, "points": s.face.points,
                "score": s.face.score, "numbers": s.numbers,
                "quality": [s.quality.eyes_px, s.quality.sharpness, s.quality.turned, s.quality.contrast]}))
            .collect();
        std::fs::write(path, serde_json::to_string(&rows).expect("JSON")).expect("a file");
    }
}
