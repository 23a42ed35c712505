//! A picture of 200 faces: all are found, nobody is twice in it for sure, and it costs what 200
//! faces cost.

use std::borrow::Cow;

use signet::detection::Tier;
use signet::detection::faces::localise::{FACES_MAX, Face};
use signet::detection::faces::{People, Person};
use signet::media::Frame;
use signet::media::resize::{Filter, Resampler};

use super::{detector, open};
use crate::common::{note, shared};

const COLUMNS: usize = 20;
const ROWS: usize = 10;
/// Side of one tile in px of the preview.
const TILE_PX: usize = 51;

/// A square around a face, with some of what is around it.
fn square(frame: &Frame, face: &Face) -> Option<Frame> {
    let [left, top, right, bottom] = face.bounds;
    let side = 1.5 * (right - left).max(bottom - top);
    let from = |low: f32, high: f32| (0.5 * (low + high) - 0.5 * side).max(0.0) as usize;
    let (x, y) = (from(left, right), from(top, bottom));
    let side =
        (side as usize).min(frame.width_px() as usize - x).min(frame.height_px() as usize - y);
    let rows = frame.rgb().chunks_exact(3 * frame.width_px() as usize).skip(y).take(side);
    let rgb = rows.flat_map(|row| row[3 * x..3 * (x + side)].iter().copied()).collect();
    Frame::new(side as u32, side as u32, rgb)
}

#[test]
fn crowd_of_200_is_found_and_nobody_is_in_it_twice_for_sure() {
    let (Some(mut detector), Some(folder)) = (detector(), shared("faces")) else { return };
    let mut resampler = Resampler::default();
    let (mut tiles, mut people) = (Vec::new(), Vec::new());
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).expect("a folder").map(|e| e.expect("a file").path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.to_string_lossy().ends_with(".jpg")) {
        let (frame, preview) = open(path);
        let faces = detector.find(&frame, &preview).expect("faces");
        let [face] = faces[..] else { continue };
        let seen = detector.look_at(&frame, face).expect("a look").expect("a face");
        let Some(square) = square(&frame, &face) else { continue };
        let small = resampler.shrink(Cow::Owned(square), TILE_PX as u32, Filter::CatmullRom);
        let small = small.expect("a smaller one").into_owned();
        if small.width_px() as usize == TILE_PX {
            people.push(Person::new(format!("{}", people.len()), vec![seen.numbers]));
            tiles.push(small);
        }
    }
    assert!(tiles.len() >= 30);
    let (width, height) = (COLUMNS * TILE_PX, ROWS * TILE_PX);
    let mut rgb = vec![0; 3 * width * height];
    for (number, tile) in tiles.iter().cycle().take(COLUMNS * ROWS).enumerate() {
        let (left, top) = (number % COLUMNS * TILE_PX, number / COLUMNS * TILE_PX);
        for (row, source) in tile.rgb().chunks_exact(3 * TILE_PX).enumerate() {
            let at = 3 * ((top + row) * width + left);
            rgb[at..at + 3 * TILE_PX].copy_from_slice(source);
        }
    }
    let crowd = Frame::new(width as u32, height as u32, rgb).expect("a frame");
    let faces = detector.find(&crowd, &crowd).expect("faces");
    let mut is_found = [false; COLUMNS * ROWS];
    for face in &faces {
        let [left, top, right, bottom] = face.bounds;
        let [column, row] = [left + right, top + bottom].map(|sum| (0.5 * sum) as usize / TILE_PX);
        is_found[(row.min(ROWS - 1)) * COLUMNS + column.min(COLUMNS - 1)] = true;
    }
    let found = is_found.iter().filter(|found| **found).count();
    note(&format!("a crowd: {found} of {} found, {} boxes", is_found.len(), faces.len()));
    assert!(found == is_found.len() && faces.len() <= FACES_MAX, "{found}, {}", faces.len());

    let sightings = detector.look(&crowd, &crowd, &People::new(people), &[]).expect("a look");
    assert_eq!(sightings.len(), faces.len());
    let mut sure: Vec<&str> = sightings
        .iter()
        .filter(|sighting| sighting.tier == Some(Tier::Order))
        .filter_map(|sighting| sighting.person.as_deref())
        .collect();
    let named = sightings.iter().filter(|sighting| sighting.person.is_some()).count();
    note(&format!("{named} are named, {} of them for sure", sure.len()));
    let count = sure.len();
    sure.sort_unstable();
    sure.dedup();
    assert_eq!(sure.len(), count, "somebody is here twice");
}
