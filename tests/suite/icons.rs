//! Icons in photos, end to end: seeded composites are read right, ordinary photos order nothing.
//!
//! With the photo set (`SIGNET_SHARED`, else `../shared`) backgrounds are photos that were kept
//! out of training; without it they are invented. Ignored tests print the longer tables:
//!
//! ```text
//! cargo test --release --test suite icons -- --ignored --nocapture
//! ```

#![expect(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test: what fails fails it, and it prints its figures"
)]

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use signet::detection::detector::{Finding, IconModels};
use signet::detection::draw::Brush;
use signet::detection::{IconDetector, IconSet, LibrarySearch, Runtime, Tier};
use signet::media::Frame;

use super::composite::{Dice, Scene, compose, easy, hard, invented, is_held_out, open, photos};

/// A detector of the house set.
pub(crate) fn detector() -> IconDetector {
    detector_of(&IconSet::house().expect("the built-in icons"))
}

/// A detector; set-up has fetched the library, so its absence is a failure.
fn detector_of(set: &IconSet) -> IconDetector {
    let search = LibrarySearch {
        config: None,
        environment: signet::base::config::environment("ORT_DYLIB_PATH").map(PathBuf::from),
        program: std::env::current_exe().ok(),
    };
    let library = search.find().unwrap_or_else(|error| panic!("{error}"));
    let runtime = Runtime::load(&library).unwrap_or_else(|error| panic!("{error}"));
    let models = IconModels::built_in(&runtime).expect("networks that load");
    IconDetector::new(models, set).expect("a detector")
}

/// Does `work` for `0..count` on all cores, a detector each.
pub(crate) fn on_all_cores(count: usize, work: impl Fn(&mut IconDetector, usize) + Sync) {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut detector = detector();
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        break;
                    }
                    work(&mut detector, index);
                }
            });
        }
    });
}

#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    ordered: usize,
    asked: usize,
    missed: usize,
    wrong: usize,
    elsewhere: usize,
    corner_px_max: f32,
}

/// Reads `count` composites and counts; `wrong` is another icon at its place, `elsewhere`
/// an order where nothing was put.
fn tally(scene: Scene, count: usize) -> Tally {
    let set = IconSet::house().expect("the built-in icons");
    let brushes: Vec<Brush> =
        set.icons().iter().map(|icon| Brush::new(&icon.picture(512).expect("a picture"))).collect();
    let backgrounds: Option<Vec<PathBuf>> =
        photos().map(|paths| paths.into_iter().filter(|path| is_held_out(path)).collect());
    let total = Mutex::new(Tally::default());
    on_all_cores(count, |detector, index| {
        let mut dice = Dice::new(20_261_120 + index as u64);
        let background = match &backgrounds {
            Some(paths) => open(&paths[dice.below(paths.len())], true).expect("a photo of the set"),
            None => invented(&mut dice),
        };
        let icon = index % brushes.len();
        let composite = compose(&background, &brushes[icon], scene, &mut dice);
        let sightings = detector.look(&composite.frame).expect("a look");
        let [x, y] = composite.quad.centre();
        let mut total = total.lock().expect("no panic elsewhere");
        let mut here = None;
        for sighting in sightings {
            let quad = signet::detection::quads::Quad(sighting.corners);
            let [found_x, found_y] = quad.centre();
            if (found_x - x).hypot(found_y - y) < scene.side_px / 2.0 {
                here = here.or(Some((sighting, quad)));
            } else if sighting.tier == Tier::Order {
                total.elsewhere += 1;
            }
        }
        match here {
            Some((sighting, quad)) if sighting.name == set.icons()[icon].name() => {
                let off = quad.0.iter().zip(&composite.quad.0);
                let off = off.map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1])).fold(0.0, f32::max);
                if sighting.tier == Tier::Order {
                    total.ordered += 1;
                    total.corner_px_max = total.corner_px_max.max(off);
                } else {
                    total.asked += 1;
                }
            }
            Some((sighting, _)) if sighting.tier == Tier::Order => total.wrong += 1,
            Some(_) => total.asked += 1,
            None => total.missed += 1,
        }
    });
    total.into_inner().expect("no panic elsewhere")
}

/// A photo, the name of the icon nearest to what was found in it, and the finding.
type Seen = (PathBuf, String, Finding);

/// Findings of every `step`-th photo, and how many photos that is; `None` without the set.
fn on_photos(step: usize) -> Option<(Vec<Seen>, usize)> {
    let paths: Vec<PathBuf> = photos()?.into_iter().step_by(step).collect();
    let all = Mutex::new(Vec::new());
    on_all_cores(paths.len(), |detector, index| {
        let frame: Frame = open(&paths[index], false).expect("a photo of the set");
        for finding in detector.examine(&frame).expect("a look") {
            let name = detector.name(finding.matched.index).to_owned();
            all.lock().expect("no panic elsewhere").push((paths[index].clone(), name, finding));
        }
    });
    Some((all.into_inner().expect("no panic elsewhere"), paths.len()))
}

fn expect_no_orders(step: usize) {
    let Some((findings, count)) = on_photos(step) else {
        println!("skipped: no photo set");
        return;
    };
    let asks = findings.iter().filter(|(_, _, finding)| finding.tier == Some(Tier::Ask)).count();
    let by = |key: fn(&Finding) -> f32| {
        findings.iter().max_by(|a, b| key(&a.2).total_cmp(&key(&b.2))).map(
            |(path, name, finding)| format!("{:.3} ({name} in {})", key(finding), path.display()),
        )
    };
    println!("{count} photos: {asks} asks");
    println!("  worst score  {}", by(|f| f.score).unwrap_or_default());
    println!(
        "  worst cosine {}",
        by(|f| if f.evidence.is_some() { f.matched.cosine } else { 0.0 }).unwrap_or_default()
    );
    for (path, name, finding) in &findings {
        assert_ne!(
            finding.tier,
            Some(Tier::Order),
            "{name} seen in {}: {finding:?}",
            path.display()
        );
    }
    // 95 % bound is 3/n; asks may be 5 per 10,000, so even one in a small sample is much.
    assert!(asks <= 1 + count / 1000, "{asks} asks in {count} photos");
}

#[test]
fn icon_of_64_px_is_read_on_photos_not_trained_on() {
    let count = if photos().is_some() { 500 } else { 40 };
    let found = tally(easy(64.0), count);
    println!("{count} composites of 64 px: {found:?}");
    assert!(found.ordered * 10 >= count * 9, "{found:?}");
    assert_eq!((found.wrong, found.elsewhere), (0, 0), "{found:?}");
    assert!(found.corner_px_max < 4.0, "{found:?}");
}

#[test]
fn ordinary_photos_order_nothing() {
    // Every 11th of 2,235: about 200.
    expect_no_orders(11);
}

#[test]
#[ignore = "the whole photo set takes minutes"]
fn no_photo_of_the_whole_set_orders_anything() {
    expect_no_orders(1);
}

#[test]
#[ignore = "a table for people; it checks only that no wrong icon is ordered"]
fn recall_by_size() {
    println!("side px  scene  n    ordered  asked  missed  wrong  elsewhere");
    for (name, make) in [("EASY", easy as fn(f32) -> Scene), ("HARD", hard)] {
        for side_px in [16.0, 20.0, 24.0, 32.0, 48.0, 64.0, 96.0, 160.0, 320.0] {
            let count = 200;
            let found = tally(make(side_px), count);
            println!(
                "{side_px:7}  {name}   {count}  {:7}  {:5}  {:6}  {:5}  {:9}",
                found.ordered, found.asked, found.missed, found.wrong, found.elsewhere
            );
            assert_eq!(found.wrong, 0, "{side_px} {name}");
        }
    }
}

#[test]
fn icon_turned_by_each_quarter_keeps_its_own_top_left() {
    let set = IconSet::house().expect("the built-in icons");
    let mut detector = detector();
    let share = set.get("share").expect("share");
    let brush = Brush::new(&share.picture(512).expect("a picture"));
    let background = invented(&mut Dice::new(5));
    for turn in 0..4 {
        let mut quad = signet::detection::quads::Quad::square(400.0, 300.0, 72.0);
        quad.0.rotate_left(turn);
        let mut frame = background.clone();
        signet::detection::draw::draw(&mut frame, &brush, &quad, 1.0);
        let sightings = detector.look(&frame).expect("a look");
        let sighting = sightings.first().expect("a sighting");
        assert_eq!((sighting.name.as_str(), sighting.tier), ("share", Tier::Order));
        for (found, expected) in sighting.corners.iter().zip(&quad.0) {
            let off = (found[0] - expected[0]).hypot(found[1] - expected[1]);
            assert!(off < 1.5, "turn {turn}: {:?} is not {:?}", sighting.corners, quad.0);
        }
    }
}

#[test]
fn sign_that_is_not_enrolled_is_not_taken_for_one_that_is() {
    // Each icon in turn is left out of the set and shown: nothing may be ordered for it.
    let set = IconSet::house().expect("the built-in icons");
    let background = invented(&mut Dice::new(6));
    for left_out in set.icons() {
        let brush = Brush::new(&left_out.picture(512).expect("a picture"));
        let mut detector = detector_of(&set.without(left_out.name()));
        for (index, side_px) in [20.0, 28.0, 40.0, 64.0, 110.0].into_iter().enumerate() {
            let mut dice = Dice::new(77 + index as u64);
            let composite = compose(&background, &brush, easy(side_px), &mut dice);
            for sighting in detector.look(&composite.frame).expect("a look") {
                assert_eq!(
                    sighting.tier,
                    Tier::Ask,
                    "{} of {side_px} px: {sighting:?}",
                    left_out.name()
                );
            }
        }
    }
}

#[test]
fn frames_of_any_size_are_looked_at_without_trouble() {
    let mut detector = detector();
    for (width, height) in [(1, 1), (7, 3000), (31, 33), (1024, 1), (1600, 1200)] {
        let rgb = (0..width * height * 3).map(|i| (i * 31 % 256) as u8).collect();
        let frame = Frame::new(width, height, rgb).expect("a frame");
        let sightings = detector.look(&frame).expect("a look");
        assert!(sightings.is_empty(), "{width}x{height}: {sightings:?}");
    }
}
