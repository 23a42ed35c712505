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

use signet::agent::analyse::{Analysis, Analyst, Eyes, path_fact};
use signet::base::config::Icons;

use signet::detection::draw::{Brush, draw};
use signet::detection::faces::manifest::{self, Manifest};
use signet::detection::faces::portrait::{FrameLooks, place_in};
use signet::detection::faces::portrait_card::portrait_card;
use signet::detection::faces::{FaceDetector, FaceModels, FaceSighting, People, Person};
use signet::detection::icon_set::{self, Picture};
use signet::detection::quads::Quad;
use signet::detection::warp::Pyramid;
use signet::detection::{LibrarySearch, Runtime, Tier};
use signet::media::{Decoders, Frame, SharedBytes, read_shared};
use signet::preview::encode;
use signet::rules::{Known, RuleFile, RuleSet};

use super::common::{Home, shared};
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

/// Rules about who is there, and one about a portrait.
const RULES: &str = r#"
[people]
friends = ["Ada", "Bea"]
[[rule]]
name = "there"
when = 'has("Ada")'
note = "Ada is there"
[[rule]]
name = "only-bea"
when = 'only("Bea") && middle("Bea") && largest(friends) && count(friends) == 1'
note = "Bea and nobody else"
[[rule]]
name = "portrait"
when = 'has(portrait("Ada"))'
order = { product = "mug", provider = "lab" }
"#;

/// A home in which Ada and Bea are enrolled, and the eyes of an agent there; none without models and
/// pictures.
fn home_with_friends() -> Option<(Home, PathBuf)> {
    let (models, faces) = (shared("models")?, shared("faces")?);
    let home = Home::new();
    home.run(&["init", "--owner", "Ada", "--address", "mailto:ada@example.org"]).done();
    let models = models.to_string_lossy().into_owned();
    home.run(&["models", "pull", "faces", "--from", &models, "--yes"]).done();
    for (name, pictures) in [
        ("Ada", &["img2", "img4", "img5", "img6", "img7"][..]),
        ("Bea", &["img13", "img14", "img15"]),
    ] {
        let pictures = pictures.iter().map(|picture| {
            faces.join(picture).with_extension("jpg").to_string_lossy().into_owned()
        });
        let mut words: Vec<String> = ["people", "add", name].map(str::to_owned).to_vec();
        words.extend(pictures);
        words.extend(["--consent-by", name].map(str::to_owned));
        home.run(&words).done();
    }
    Some((home, faces))
}

/// What an agent of a home sees with.
fn analyst_of(home: &Home) -> Analyst {
    let home = signet::base::home::Home::open(home.path()).expect("a home");
    let eyes = Eyes::open(None, Some(&home)).expect("eyes");
    let analyst = Analyst::new(&eyes).expect("an analyst");
    analyst.with_decoder(Decoders::in_this_process().decoder())
}

fn seen(analyst: &mut Analyst, photo: &Path) -> Analysis {
    let mut original = SharedBytes::default();
    read_shared(photo, 1 << 30, &mut original).expect("a photo");
    analyst.analyse(&original, None).expect("an analysis").0
}

/// Names of the rules that say something of it.
fn rules_of(seen: &Analysis) -> Vec<String> {
    let set = RuleSet::load(&[RuleFile::new("a.toml", RULES)], &Known::of_icons(Vec::new()));
    let facts = seen.facts(path_fact("photos", Path::new("a.jpg")), Icons::default());
    let judgement = set.expect("rules").judge(&facts);
    assert_eq!(judgement.failures, []);
    judgement.verdicts.into_iter().map(|verdict| verdict.rule).collect()
}

#[test]
fn card_of_somebody_is_their_icon_and_the_same_picture_without_its_frame_is_a_person() {
    let Some((home, faces)) = home_with_friends() else { return };
    let original = faces.join("img1.jpg").to_string_lossy().into_owned();
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let card = home.path().join("Ada.png");
    let folder = text(home.path());
    let before = files_of(home.path());
    home.run(&["people", "card", "Ada", "--from", &original, "--out", &folder]).done();
    let after: Vec<_> = files_of(home.path()).into_iter().filter(|f| !before.contains(f)).collect();
    assert_eq!(after, std::slice::from_ref(&card), "nothing else is kept");
    // Nobody but Ada becomes a card of Ada, and nothing is overwritten.
    for (words, expected) in [
        (["people", "card", "Bea", "--from", &original, "--out", "b.png"], "too much like Ada"),
        (["people", "card", "Cleo", "--from", &original, "--out", "c.png"], "signet people add"),
        (["people", "card", "Ada", "--from", &original, "--out", &folder], "is there already"),
        (["people", "card", "Ada", "--from", "nowhere.jpg", "--out", "d.png"], "nowhere.jpg"),
    ] {
        let run = home.run(&words);
        assert!(run.code != 0 && run.stderr.contains(expected), "{words:?}: {run:#?}");
    }
    // Stamped onto a picture of nobody, and onto one of Bea.
    let empty = home.path().join("empty.jpg");
    let background = super::composite::invented(&mut Dice::new(7));
    std::fs::write(&empty, encode::jpeg(&background, 90, b"").expect("a JPEG")).expect("a file");
    let stamped = |photo: &Path, name: &str| {
        let out = home.path().join(name);
        let words = ["icons", "stamp", &text(photo), "--card", &text(&card), "--out", &text(&out)];
        let more = ["--size-percent", "20", "--at", "top-right"];
        home.run(&[&words[..], &more].concat()).done();
        out
    };
    let mut analyst = analyst_of(&home);
    let portrait = seen(&mut analyst, &stamped(&empty, "portrait.jpg"));
    assert!(portrait.icons.is_empty(), "{:?}", portrait.icons);
    let told: Vec<_> = portrait
        .faces
        .iter()
        .map(|face| (face.person.as_deref(), face.tier, face.is_portrait()))
        .collect();
    assert_eq!(told, [(Some("Ada"), Some(Tier::Order), true)]);
    assert_eq!(rules_of(&portrait), ["portrait"]);
    let bea = stamped(&faces.join("img14.jpg"), "bea.jpg");
    let both = seen(&mut analyst, &bea);
    let mut told: Vec<_> = both
        .faces
        .iter()
        .map(|face| (face.person.as_deref(), face.tier, face.is_portrait()))
        .collect();
    told.sort();
    let expected =
        [(Some("Ada"), Some(Tier::Order), true), (Some("Bea"), Some(Tier::Order), false)];
    assert_eq!(told, expected);
    assert_eq!(rules_of(&both), ["only-bea", "portrait"]);
    let run = home.run(&["look", "--json", &text(&bea)]).done();
    let line = &run.json()[0];
    let flags: Vec<_> =
        line["faces"].as_array().expect("faces").iter().map(|f| &f["portrait"]).collect();
    assert!(flags.len() == 2 && flags[0] != flags[1], "{line}");
    // Faces are counted with the portraits.
    let place = |number| format!("{}#{number}", text(&bea));
    home.run(&["people", "card", "Bea", "--from", &place(1), "--out", "first.png"]).done();
    let run = home.run(&["people", "card", "Bea", "--from", &place(2), "--out", "second.png"]);
    assert!(run.code == 1 && run.stderr.contains("too much like Ada"), "{run:#?}");
    // Without the frame it is Ada who is there.
    let there = seen(&mut analyst, &faces.join("img1.jpg"));
    assert!(there.faces.iter().all(|face| !face.is_portrait()));
    assert_eq!(rules_of(&there), ["there"]);
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files_of(&path)),
            path => found.push(path),
        }
    }
    found
}

#[test]
fn portraits_of_many_people_are_no_icons_and_a_picture_frame_makes_none() {
    let (Some(mut detector), Some(folder)) = (face_detector(), shared("faces")) else { return };
    let (people, cards) = everybody(&mut detector, &folder);
    let mut icons = icons::detector();
    let mut dice = Dice::new(11);
    let mut recognised_count = 0;
    for (name, brush) in &cards {
        let background = super::composite::invented(&mut dice);
        let composite = compose(&background, brush, easy(170.0), &mut dice);
        let findings = icons.examine(&composite.frame).expect("a look");
        assert!(findings.iter().all(|finding| finding.tier.is_none()), "{name}: {findings:?}");
        let frames = icons.frames().to_vec();
        let faces = detector.look(&composite.frame, &composite.frame, &people, &frames);
        let faces = faces.expect("a look");
        assert!(faces.len() == 1 && faces[0].is_portrait(), "{name}: {faces:?} in {frames:?}");
        let person = faces[0].person.as_deref();
        // Most are enrolled from one picture of another day.
        assert!(person.is_none_or(|person| person == *name), "{name}: {faces:?}");
        recognised_count += usize::from(person.is_some());
        // The ring closed, as a picture frame is: whoever is in it is there.
        let mut framed = background.clone();
        let closed = icon_set::render_text(icon_set::CLOSED_FRAME_SVG, 512).expect("a picture");
        let quad = Quad::square(300.0, 200.0, 220.0);
        draw(&mut framed, brush, &quad, 1.0);
        let ring = Picture { rgba: without_middle(&closed), ..closed };
        draw(&mut framed, &Brush::new(&ring), &quad, 1.0);
        icons.examine(&framed).expect("a look");
        let faces = detector.look(&framed, &framed, &people, icons.frames());
        let faces = faces.expect("a look");
        assert!(!faces.is_empty() && faces.iter().all(|face| !face.is_portrait()), "{faces:?}");
    }
    println!("{recognised_count} of {} portraits recognised", cards.len());
    assert!(recognised_count * 10 >= cards.len() * 7);
}

/// The ring of a tile alone.
fn without_middle(tile: &Picture) -> Vec<u8> {
    let inside = tile.side_px * 200 / 1024..tile.side_px * 824 / 1024;
    let pixels = tile.rgba.chunks_exact(4).enumerate().flat_map(|(index, pixel)| {
        let at = [index % tile.side_px, index / tile.side_px];
        let is_inside = at.iter().all(|at| inside.contains(at));
        [pixel[0], pixel[1], pixel[2], if is_inside { 0 } else { pixel[3] }]
    });
    pixels.collect()
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
    let rows = [(easy as fn(f32) -> Scene, "EASY"), (hard, "HARD")].into_iter().flat_map(|scene| {
        [64.0, 80.0, 96.0, 112.0, 128.0, 160.0, 240.0].map(move |side_px| (scene, side_px))
    });
    for ((make, name), side_px) in rows {
        let count = 24;
        let found = tally(&cards, &people, &backgrounds, make(side_px), count);
        println!("{side_px:5} {name} of {count}: {found:?}");
        assert_eq!((found.icons, found.wrong), (0, 0), "a portrait is no icon and nobody else");
    }
}

/// Outlines that the icon stages propose in photos without any frame, and what they look like.
fn proposed(paths: &[PathBuf]) -> Vec<(FrameLooks, PathBuf)> {
    let all = Mutex::new(Vec::new());
    icons::on_all_cores(paths.len(), |detector, index| {
        let frame = open(&paths[index], false).expect("a photo");
        detector.examine(&frame).expect("a look");
        let mut pyramid = Pyramid::new(&frame);
        for quad in detector.frames() {
            let looks = FrameLooks::of(&mut pyramid, quad).expect("a look").expect("a quad");
            all.lock().expect("no panic elsewhere").push((looks, paths[index].clone()));
        }
    });
    let mut all = all.into_inner().expect("no panic elsewhere");
    all.sort_by(|(a, _), (b, _)| b.likeness.total_cmp(&a.likeness));
    all
}

fn no_frame_in(photos_step: usize) {
    let (Some(faces), Some(photos)) = (shared("faces"), photos()) else { return };
    let entries = std::fs::read_dir(faces).expect("a folder");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jpg"));
    paths.extend(photos.into_iter().step_by(photos_step));
    let found = proposed(&paths);
    println!("{} photos without a frame, {} outlines proposed", paths.len(), found.len());
    found.iter().take(5).for_each(|found| println!("  {found:?}"));
    assert!(found.iter().all(|(looks, _)| !looks.is_frame()), "{:?}", found.first());
}

#[test]
fn nothing_in_pictures_of_people_and_things_is_a_frame() {
    no_frame_in(40);
}

#[test]
#[ignore = "the photo set takes minutes"]
fn nothing_in_the_photo_set_is_a_frame() {
    no_frame_in(1);
}
