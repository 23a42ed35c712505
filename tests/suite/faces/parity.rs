//! The finder beside OpenCV's `FaceDetectorYN`: the same network, the same 640-px pictures.
//!
//! Both decode for themselves: score, box, points, what to do with two boxes of one face. OpenCV
//! compares boxes of whole px there and we compare them as they are; it made no difference in any
//! picture.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use signet::detection::faces::localise::{Face, FaceLocaliser};
use signet::detection::faces::{Manifest, manifest};
use signet::media::Frame;
use signet::media::resize::{Filter, Resampler};

use super::{open, runtime};
use crate::common::{finish, note, shared, skipped};

/// Python with OpenCV, when set-up could fetch it.
fn opencv() -> Option<PathBuf> {
    let exe = std::env::current_exe().expect("this program");
    let built = exe.ancestors().nth(3).expect("the build folder");
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    let place = "peers/opencv/bin/python";
    let found = [built.join(place), ours.join(place)].into_iter().find(|path| path.is_file());
    if found.is_none() {
        skipped("no package `opencv-contrib-python-headless`");
    }
    found
}

/// All portraits, and every fourth photo of two folders where people are in some.
fn paths(portraits: &Path, photos: &Path) -> Vec<PathBuf> {
    let files = |folder: &Path, step: usize| {
        let entries = std::fs::read_dir(folder).expect("a folder");
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
        let is_photo = |path: &PathBuf| {
            let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
            ["jpg", "jpeg"].contains(&&*extension)
        };
        paths.retain(is_photo);
        paths.sort();
        paths.into_iter().step_by(step)
    };
    let some = ["everyday", "nature"].map(|name| photos.join(name));
    files(portraits, 1).chain(some.iter().flat_map(|folder| files(folder, 4))).collect()
}

fn ppm(frame: &Frame) -> Vec<u8> {
    let head = format!("P6 {} {} 255\n", frame.width_px(), frame.height_px());
    [head.as_bytes(), frame.rgb()].concat()
}

/// A line of the peer as faces.
fn theirs(line: &Value) -> Vec<Face> {
    let faces = line["faces"].as_array().expect("faces");
    let numbers = |face: &Value| -> Vec<f32> {
        let values = face.as_array().expect("numbers").iter();
        values.map(|value| value.as_f64().expect("a number") as f32).collect()
    };
    faces
        .iter()
        .map(|face| {
            let v = numbers(face);
            Face {
                bounds: [v[0], v[1], v[0] + v[2], v[1] + v[3]],
                score: v[14],
                points: std::array::from_fn(|k| [v[4 + 2 * k], v[5 + 2 * k]]),
            }
        })
        .collect()
}

#[test]
fn boxes_points_and_scores_are_those_of_opencv() {
    let (Some(models), Some(portraits), Some(photos)) =
        (shared("models"), shared("faces"), shared("photos"))
    else {
        return;
    };
    let Some(python) = opencv() else { return };
    let spec = Manifest::parse(manifest::SHIPPED).expect("the manifest").detector;
    let network = models.join(&spec.source.file);
    let bytes = std::fs::read(&network).expect("the network");
    let mut localiser = FaceLocaliser::new(&runtime(), &spec, &bytes).expect("the network");
    let folder = tempfile::tempdir().expect("a folder");
    let mut resampler = Resampler::default();
    let mut ours = Vec::new();
    for (number, path) in paths(&portraits, &photos).iter().enumerate() {
        let (_, preview) = open(path);
        let small = resampler.shrink(Cow::Owned(preview), spec.long_side_px, Filter::Hamming);
        let small = small.expect("a smaller one");
        std::fs::write(folder.path().join(format!("{number:04}.ppm")), ppm(&small))
            .expect("written");
        let mut faces = Vec::new();
        localiser.run(&small, &mut faces).expect("faces");
        ours.push(faces);
    }
    let mut command = Command::new(python);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/faces.py");
    command.arg("-IB").arg(script).arg(&network);
    command.args([spec.score_min, spec.overlap_max].map(|value| value.to_string()));
    let run = finish(command.arg(folder.path())).done();
    let lines = run.json();
    assert_eq!(lines.len(), ours.len());

    let (mut count, mut iou_min, mut points_px_max, mut score_max) = (0, 1.0_f32, 0.0_f32, 0.0_f32);
    for (line, ours) in lines.iter().zip(&ours) {
        let theirs = theirs(line);
        assert_eq!(ours.len(), theirs.len(), "{line}: {ours:?}");
        for (some, others) in [(ours, &theirs), (&theirs, ours)] {
            for face in some {
                let best = others.iter().max_by(|a, b| face.overlap(a).total_cmp(&face.overlap(b)));
                let best = best.expect("as many faces");
                iou_min = iou_min.min(face.overlap(best));
                let pairs = face.points.iter().zip(&best.points);
                let apart = pairs.map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1]));
                points_px_max = apart.fold(points_px_max, f32::max);
                score_max = score_max.max((face.score - best.score).abs());
                assert!(face.overlap(best) >= 0.95, "{line}: {face:?}");
            }
        }
        count += ours.len();
    }
    note(&format!(
        "{count} faces in {} pictures: IoU at least {iou_min:.6}, points at most {points_px_max:.4} px \
         and scores {score_max:.6} apart",
        ours.len()
    ));
    assert!(count > 100 && points_px_max < 0.5 && score_max < 0.01);
}
