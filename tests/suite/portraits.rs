//! Portraits in the house frame, end to end: told from people who are there, and somebody's icon.
//!
//! People and networks come from the photo set; without it these tests say `skipped`. An ignored
//! test prints how small a portrait may be:
//!
//! ```text
//! cargo test --release --test suite portraits -- --ignored --nocapture
//! ```

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test: what fails fails it, and it prints its figures"
)]

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use signet::detection::draw::Brush;
use signet::detection::faces::manifest::{self, Manifest};
use signet::detection::faces::portrait::{FrameLooks, place_in};
use signet::detection::faces::portrait_card::portrait_card;
use signet::detection::faces::{FaceDetector, FaceModels, FaceSighting, People, Person};
use signet::detection::warp::Pyramid;
use signet::detection::{LibrarySearch, Runtime, Tier};
use signet::media::Frame;

use super::common::shared;
use super::composite::{Dice, Scene, compose, easy, hard, is_held_out, open, photos};
use super::icons;

/// People of the photo set: pictures to enrol from, and others of the same person.
const PEOPLE: [(&str, &[&str], &[&str]); 8] = [
    ("Ada", &["img2", "img4", "img5", "img6", "img7"], &["img1", "img10", "img11"]),
    ("Bea", &["img13", "img14"], &["img15"]),
    ("Cleo", &["img20"], &["img21"]),
    ("Dan", &["img16"], &["img17"]),
    ("Eve", &["img12"], &["img3"]),
    ("Finn", &["img22"], &["img23"]),
    ("Gus", &["img18"], &["img19"]),
    ("Hal", &["img8"], &["img9"]),
];

/// The shipped manifest with the networks of the photo set; none without them.
fn face_detector() -> Option<FaceDetector> {
    let folder = shared("models")?;
    let search = LibrarySearch {
        config: None,
        environment: signet::base::config::environment("ORT_DYLIB_PATH").map(PathBuf::from),
        program: std::env::current_exe().ok(),
    };
    let runtime = Runtime::load(&search.find().expect("the library")).expect("the library");
    let manifest = Manifest::parse(manifest::SHIPPED).expect("the manifest");
    let read = |file: &str| std::fs::read(folder.join(file)).expect("a network");
    let detector = read(&manifest.detector.source.file);
    let recogniser = read(&manifest.recogniser.source.file);
    let models = FaceModels::new(&runtime, &manifest, &detector, &recogniser).expect("networks");
    Some(FaceDetector::new(models, manifest.thresholds))
}

fn picture(folder: &Path, name: &str) -> Frame {
    open(&folder.join(name).with_extension("jpg"), false).expect("a picture")
}

/// Everybody, and a portrait of each in the house frame.
fn everybody(detector: &mut FaceDetector, folder: &Path) -> (People, Vec<(&'static str, Brush)>) {
    let (mut people, mut cards) = (Vec::new(), Vec::new());
    for (name, enrolled, others) in PEOPLE {
        let mut best = |picture_name: &&str| {
            let frame = picture(folder, picture_name);
            let face = *detector.find(&frame, &frame).expect("faces").first().expect("a face");
            (detector.look_at(&frame, face).expect("a look").expect("a face"), frame)
        };
        let faces = enrolled.iter().map(|name| best(name).0.numbers).collect();
        people.push(Person::new(name, faces));
        for other in others {
            let (seen, frame) = best(other);
            let card = portrait_card(&mut Pyramid::new(&frame), &seen.face.points);
            cards.push((name, Brush::new(&card.expect("a card").expect("a face"))));
        }
    }
    (People::new(people), cards)
}

/// How far portraits of one size came.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    proposed: usize,
    framed: usize,
    faces: usize,
    portraits: usize,
    ordered: usize,
    asked: usize,
    wrong: usize,
    alive: usize,
    icons: usize,
    likeness_min: f32,
    gap: [f32; 2],
    off_max: f32,
    sides: [f32; 2],
}

fn tally(
    cards: &[(&str, Brush)],
    people: &People,
    backgrounds: &[PathBuf],
    scene: Scene,
    count: usize,
) -> Tally {
    let begin =
        Tally { likeness_min: 1.0, gap: [9.0, -9.0], sides: [9.0, 0.0], ..Tally::default() };
    let total = Mutex::new(begin);
    let faces: Vec<Mutex<FaceDetector>> =
        (0..2).map(|_| Mutex::new(face_detector().expect("networks"))).collect();
    icons::on_all_cores(count, |detector, index| {
        let mut dice = Dice::new(20_261_121 + index as u64);
        let background =
            open(&backgrounds[dice.below(backgrounds.len())], true).expect("a photo of the set");
        let (name, brush) = &cards[index % cards.len()];
        let composite = compose(&background, brush, scene, &mut dice);
        let findings = detector.examine(&composite.frame).expect("a look");
        let mut faces = faces[index % faces.len()].lock().expect("no panic elsewhere");
        let seen = faces
            .look(&composite.frame, &composite.frame, people, detector.frames())
            .expect("a look");
        drop(faces);
        let mut total = total.lock().expect("no panic elsewhere");
        let is_here = |[x, y]: [f32; 2]| {
            let [u, v] = composite.quad.centre();
            (x - u).hypot(y - v) < scene.side_px * 0.3
        };
        total.icons +=
            findings.iter().filter(|f| f.tier.is_some() && is_here(f.quad.centre())).count();
        let quad = detector.frames().iter().find(|quad| is_here(quad.centre()));
        total.proposed += usize::from(quad.is_some());
        let looks = quad.and_then(|quad| {
            FrameLooks::of(&mut Pyramid::new(&composite.frame), quad).expect("a look")
        });
        if let Some(looks) = looks {
            total.framed += usize::from(looks.is_frame());
            total.likeness_min = total.likeness_min.min(looks.likeness);
            total.gap = [total.gap[0].min(looks.gap), total.gap[1].max(looks.gap)];
        }
        let middle = |face: &FaceSighting| {
            let [left, top, right, bottom] = face.bounds;
            [(left + right) / 2.0, (top + bottom) / 2.0]
        };
        let Some(face) = seen.iter().find(|face| is_here(middle(face))) else { return };
        total.faces += 1;
        if let Some((off, side)) = place_in(&composite.quad, face.bounds) {
            total.off_max = total.off_max.max(off);
            total.sides = [total.sides[0].min(side), total.sides[1].max(side)];
        }
        total.portraits += usize::from(face.is_portrait());
        match (&face.person, face.tier) {
            (Some(person), _) if person != name => total.wrong += 1,
            (Some(_), _) if !face.is_portrait() => total.alive += 1,
            (Some(_), Some(Tier::Order)) => total.ordered += 1,
            (Some(_), _) => total.asked += 1,
            _ => {}
        }
    });
    total.into_inner().expect("no panic elsewhere")
}

#[test]
#[ignore = "a table for people"]
fn portraits_by_size() {
    let (Some(mut detector), Some(folder), Some(photos)) =
        (face_detector(), shared("faces"), photos())
    else {
        println!("skipped: no photo set");
        return;
    };
    let (people, cards) = everybody(&mut detector, &folder);
    let backgrounds: Vec<PathBuf> = photos.into_iter().filter(|path| is_held_out(path)).collect();
    for (name, make) in [("EASY", easy as fn(f32) -> Scene), ("HARD", hard)] {
        for side_px in [48.0, 64.0, 80.0, 96.0, 112.0, 128.0, 160.0, 240.0, 360.0] {
            let found = tally(&cards, &people, &backgrounds, make(side_px), 60);
            println!("{side_px:5} {name} of 60: {found:?}");
        }
    }
}

/// What looks most like a frame around a face in photos without any.
#[test]
#[ignore = "minutes"]
fn frames_in_photos_without_any() {
    let (Some(faces), Some(photos)) = (shared("faces"), photos()) else { return };
    let mut paths: Vec<PathBuf> = std::fs::read_dir(faces)
        .expect("a folder")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "jpg"))
        .collect();
    paths.extend(photos);
    let all = Mutex::new((0, 0, Vec::new()));
    icons::on_all_cores(paths.len(), |detector, index| {
        let frame = open(&paths[index], false).expect("a photo");
        detector.examine(&frame).expect("a look");
        let mut pyramid = Pyramid::new(&frame);
        let mut all = all.lock().expect("no panic elsewhere");
        all.0 += 1;
        for quad in detector.frames() {
            all.1 += 1;
            let looks = FrameLooks::of(&mut pyramid, quad).expect("a look").expect("a quad");
            all.2.push((looks.likeness, looks.gap, looks.contrast, paths[index].clone()));
        }
    });
    let (photos_count, frames_count, mut looks) = all.into_inner().expect("no panic elsewhere");
    looks.sort_by(|a, b| b.0.total_cmp(&a.0));
    println!("{photos_count} photos, {frames_count} proposed frames");
    for look in looks.iter().take(15) {
        println!("{look:?}");
    }
}
