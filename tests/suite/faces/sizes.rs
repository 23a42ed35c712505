//! How small a face may be: portraits made smaller and laid into 1024-px previews, empty ones and
//! photos of rooms.

use std::borrow::Cow;
use std::path::PathBuf;

use signet::detection::faces::FaceDetector;
use signet::detection::faces::localise::Face;
use signet::detection::warp::bilinear;
use signet::media::Frame;
use signet::media::resize::{Filter, Resampler};

use super::{detector, open};
use crate::common::{note, shared};

/// Sides of the box in px of the preview; the network sees 640/1024 of them.
const SIDES_PX: [u32; 4] = [96, 64, 32, 24];

/// A portrait, and where its face is.
struct Portrait {
    frame: Frame,
    face: Face,
}

fn portraits(detector: &mut FaceDetector, paths: &[PathBuf]) -> Vec<Portrait> {
    let mut found = Vec::new();
    for path in paths {
        let (_, frame) = open(path);
        let faces = detector.find(&frame, &frame).expect("faces");
        // Only whoever is alone in the picture: others would be found in their place.
        if let [face] = faces[..] {
            found.push(Portrait { frame, face });
        }
    }
    found
}

/// A picture enlarged to 1024 px.
fn enlarged(frame: &Frame) -> Frame {
    let factor = 1024.0 / frame.long_side_px() as f32;
    let [width, height] =
        [frame.width_px(), frame.height_px()].map(|px| (px as f32 * factor) as u32);
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let pixels = places.flat_map(|(x, y)| {
        bilinear(frame, (x as f32 + 0.5) / factor, (y as f32 + 0.5) / factor).map(|v| v as u8)
    });
    Frame::new(width, height, pixels.collect()).expect("a frame")
}

/// Lays a smaller portrait over a picture; gives where the face is then.
fn lay(
    onto: &mut Frame,
    portrait: &Portrait,
    side_px: u32,
    resampler: &mut Resampler,
    seed: usize,
) -> Face {
    let factor = side_px as f32 / portrait.face.side_px();
    let long_side_px = (portrait.frame.long_side_px() as f32 * factor).round() as u32;
    let small = resampler.shrink(Cow::Borrowed(&portrait.frame), long_side_px, Filter::CatmullRom);
    let small = small.expect("a smaller one");
    let room = |px: u32, of: u32| (of.saturating_sub(px) as usize).max(1);
    let left = seed * 7919 % room(small.width_px(), onto.width_px());
    let top = seed * 104_729 % room(small.height_px(), onto.height_px());
    let (row_len, width) = (3 * onto.width_px() as usize, 3 * small.width_px() as usize);
    let fits = width.min(row_len - 3 * left);
    let rows = onto.rgb_mut().chunks_exact_mut(row_len).skip(top);
    for (row, source) in rows.zip(small.rgb().chunks_exact(width)) {
        row[3 * left..3 * left + fits].copy_from_slice(&source[..fits]);
    }
    let mut face = portrait.face.scaled(small.width_px() as f32 / portrait.frame.width_px() as f32);
    for (index, value) in face.bounds.iter_mut().enumerate() {
        *value += [left, top][index % 2] as f32;
    }
    face
}

#[test]
fn faces_of_32_px_are_found_as_often_as_large_ones() {
    let (Some(mut detector), Some(folder), Some(photos)) =
        (detector(), shared("faces"), shared("photos/rooms"))
    else {
        return;
    };
    let list = |folder: PathBuf, end: &str| {
        let entries = std::fs::read_dir(folder).expect("a folder");
        let paths = entries.map(|entry| entry.expect("a file").path());
        let mut paths: Vec<PathBuf> =
            paths.filter(|path| path.to_string_lossy().ends_with(end)).collect();
        paths.sort();
        paths
    };
    let portraits = portraits(&mut detector, &list(folder, ".jpg"));
    let rooms = list(photos, ".jpg");
    let rooms: Vec<Frame> = rooms.iter().step_by(9).map(|path| enlarged(&open(path).1)).collect();
    assert!(portraits.len() >= 50 && rooms.len() >= 10, "{} {}", portraits.len(), rooms.len());
    let empty = Frame::new(1024, 768, vec![128; 3 * 1024 * 768]).expect("a frame");
    let mut resampler = Resampler::default();
    for (place, backgrounds) in [("empty", &vec![empty]), ("rooms", &rooms)] {
        let mut shares = Vec::new();
        for side_px in SIDES_PX {
            let (mut count, mut found) = (0, 0);
            for (number, portrait) in portraits.iter().enumerate() {
                // None is enlarged.
                if portrait.face.side_px() < side_px as f32 {
                    continue;
                }
                let mut picture = backgrounds[number % backgrounds.len()].clone();
                let face = lay(&mut picture, portrait, side_px, &mut resampler, number + 1);
                let faces = detector.find(&picture, &picture).expect("faces");
                count += 1;
                found += usize::from(faces.iter().any(|seen| seen.overlap(&face) >= 0.4));
            }
            shares.push(found as f32 / count as f32);
            note(&format!("faces of {side_px} px, {place}: {found} of {count} found"));
        }
        let [_, at_64, at_32, at_24] = shares[..] else { panic!("{shares:?}") };
        assert!(at_32 >= 0.95 && at_32 >= at_64 - 0.03, "{place}: {shares:?}");
        // Nothing is promised below; this is what it gives.
        assert!(at_24 >= 0.8, "{place}: {shares:?}");
    }
}
