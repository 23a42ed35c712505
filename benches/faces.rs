//! What faces cost, in CPU time of one core: a photo without any, and each face by how many people
//! are enrolled.
//!
//! ```text
//! faces/find/SIZE                   what every photo costs
//! faces/know/COUNT-enrolled/WHO     one face: cut, looked at, compared
//! ```
//!
//! `stranger`: far from everybody, so it is looked at once. `enrolled`: one of them, looked at in
//! its mirrored picture, too.
//!
//! The networks are looked for in `models` of `SIGNET_SHARED` (default: `shared` beside the
//! project); without them the bench says so.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

mod common;

use std::path::{Path, PathBuf};

use common::bench;
use signet::base::config::environment;
use signet::detection::faces::embed::unit;
use signet::detection::faces::localise::Face;
use signet::detection::faces::{FaceDetector, FaceModels, Manifest, People, Person, manifest};
use signet::detection::{LibrarySearch, Runtime};
use signet::media::Frame;

type Failure = Box<dyn std::error::Error>;

/// What a photo without faces may cost, ms.
const FIND_MS_MAX: f64 = 8.0;
/// What one face may cost, ms.
const FACE_MS_MAX: f64 = 3.0;

fn main() -> Result<(), Failure> {
    let shared = environment("SIGNET_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let folder = shared.join("models");
    let manifest = Manifest::parse(manifest::SHIPPED)?;
    let read = |file: &str| std::fs::read(folder.join(file));
    let (Ok(finder), Ok(recogniser)) =
        (read(&manifest.detector.source.file), read(&manifest.recogniser.source.file))
    else {
        println!("faces: no networks in `{}`", folder.display());
        return Ok(());
    };
    let search = LibrarySearch {
        config: None,
        environment: environment("ORT_DYLIB_PATH").map(PathBuf::from),
        program: std::env::current_exe().ok(),
    };
    let runtime = Runtime::load(&search.find()?)?;
    let models = FaceModels::new(&runtime, &manifest, &finder, &recogniser)?;
    let mut detector = FaceDetector::new(models, manifest.thresholds);
    let mut seed = 1;

    let mut find = None;
    for (width, height) in [(640, 480), (1024, 768), (1024, 683), (768, 1024)] {
        let photo = drawn(width, height, &mut seed);
        let found = detector.find(&photo, &photo)?;
        if !found.is_empty() {
            return Err(format!("faces in a drawing: {found:?}").into());
        }
        let cost = bench(&format!("faces/find/{width}x{height}"), || detector.find(&photo, &photo));
        find = find.or(Some(cost));
    }
    // As large as a photo is decoded for a 1024-px preview, with a face that fills a third of it.
    let photo = drawn(2016, 1512, &mut seed);
    let points = [[820.0, 600.0], [1120.0, 600.0], [970.0, 780.0], [850.0, 950.0], [1090.0, 950.0]];
    let face = Face { bounds: [700.0, 400.0, 1240.0, 1100.0], score: 0.9, points };
    let seen = detector.look_at(&photo, face)?.ok_or("no face was cut")?;
    let mut known = None;
    for count in [1, 20, 500] {
        let stranger = |number| Person::new(format!("{number}"), vec![random(&mut seed)]);
        let mut people: Vec<Person> = (0..count).map(stranger).collect();
        let strangers = People::new(people.clone());
        if detector.recognise(&photo, face, &strangers)?.is_some() {
            return Err("random numbers are somebody".into());
        }
        let id = format!("faces/know/{count}-enrolled/stranger");
        let cost = bench(&id, || detector.recognise(&photo, face, &strangers));
        known = known.or(Some(cost));
        people.pop();
        people.push(Person::new("seen", vec![seen.numbers.clone()]));
        let people = People::new(people);
        bench(&format!("faces/know/{count}-enrolled/enrolled"), || {
            detector.recognise(&photo, face, &people)
        });
    }
    if let (Some(find), Some(known)) = (find, known) {
        println!(
            "a photo without faces: {:.2} of the {FIND_MS_MAX} ms it may cost",
            find / FIND_MS_MAX
        );
        println!(
            "a face of a stranger:  {:.2} of the {FACE_MS_MAX} ms it may cost",
            known / FACE_MS_MAX
        );
    }
    Ok(())
}

fn next(seed: &mut u32) -> u32 {
    *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    *seed >> 16
}

/// A direction that is nobody's.
fn random(seed: &mut u32) -> Vec<f32> {
    unit((0..128).map(|_| next(seed) as f32 / 32768.0 - 1.0).collect())
}

/// A picture with edges, curves and grain.
fn drawn(width: u32, height: u32, seed: &mut u32) -> Frame {
    let mut rgb = Vec::with_capacity((width * height * 3) as usize);
    for y in 0..height {
        for x in 0..width {
            let base = if (x / 90 + y / 70) % 2 == 0 { 150 } else { 80 };
            let round = if (x % 200).pow(2) + (y % 160).pow(2) < 5000 { 50 } else { 0 };
            let grain = next(seed) >> 13;
            rgb.extend(
                [base + round + grain, base + grain, 200 - base + grain]
                    .map(|v| u8::try_from(v).unwrap_or(255)),
            );
        }
    }
    Frame::new(width, height, rgb).unwrap_or_else(|| unreachable!("the size fits"))
}
