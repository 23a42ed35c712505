//! Thresholds for faces: what `people check` says of a home, and that strangers order nothing.

use std::path::{Path, PathBuf};

use signet::detection::faces::detector::SeenFace;
use signet::detection::faces::{FaceDetector, FaceModels, Manifest, People, Person, manifest};
use signet::detection::warp::shrunk;
use signet::detection::{LibrarySearch, Runtime, Tier};
use signet::media::Frame;
use signet::media::decode::{DecodeSpec, decode};
use signet::preview::encode::bare_jpeg;
use signet::preview::orient;

use crate::common::{Home, Run, note, shared};

/// Portraits of 13 people in the shared set, those that the pairs beside them call the same.
const PEOPLE: [(&str, &[u8]); 13] = [
    ("one", &[1, 2, 4, 5, 6, 7, 10, 11]),
    ("two", &[26, 27, 28, 42, 43, 44, 45, 46]),
    ("three", &[8, 9, 47, 48, 49, 50, 51]),
    ("four", &[3, 12, 53, 54, 55, 56]),
    ("five", &[29, 30, 31, 32, 33]),
    ("six", &[16, 17, 59, 61, 62]),
    ("seven", &[13, 14, 15, 57, 58]),
    ("eight", &[38, 39, 40, 41]),
    ("nine", &[34, 35, 36, 37]),
    ("ten", &[18, 19, 67]),
    ("eleven", &[24, 25]),
    ("twelve", &[22, 23]),
    ("thirteen", &[20, 21]),
];

/// Who is enrolled in all, the rest being faces of strangers on photos.
const ENROLLED_COUNT: usize = 20;

fn portrait(folder: &Path, number: u8) -> PathBuf {
    folder.join(format!("img{number}.jpg"))
}

/// A home with the face networks; none without the shared set.
fn home() -> Option<(Home, PathBuf)> {
    let (models, faces) = (shared("models")?, shared("faces")?);
    let home = Home::new();
    home.run(&["init", "--address", "mailto:a@example.org", "--owner", "A"]).done();
    let models = models.to_str().expect("a plain path").to_owned();
    home.run(&["models", "pull", "faces", "--from", &models]).done();
    Some((home, faces))
}

fn enrol(home: &Home, faces: &Path, name: &str, numbers: &[u8]) -> Run {
    let pictures = numbers.iter().map(|number| portrait(faces, *number).display().to_string());
    let mut args: Vec<String> =
        ["people", "add", name, "--consent-by", name].map(String::from).into();
    args.extend(pictures);
    home.run(&args).done()
}

fn with_faces(home: &Home, lines: &str) {
    let path = home.path().join("signet.toml");
    let text = std::fs::read_to_string(&path).expect("signet.toml");
    let (before, after) = text.split_once("[faces]\n").expect("a section");
    let after: Vec<&str> =
        after.lines().filter(|line| !line.contains("_min = ") || line.starts_with('#')).collect();
    std::fs::write(&path, format!("{before}[faces]\n{lines}{}\n", after.join("\n")))
        .expect("written");
}

#[test]
fn people_check_says_who_agrees_and_what_the_thresholds_give() {
    let Some((home, faces)) = home() else { return };
    let empty = home.run(&["people", "check"]);
    assert!(empty.code == 1 && empty.stderr.contains("people add"), "{empty:?}");
    enrol(&home, &faces, "Ann", &[1, 2, 4, 5, 6]);
    enrol(&home, &faces, "Bea", &[8, 9, 47]);

    let said = home.run(&["people", "check", "--json"]).done().json();
    let [ann, bea, gallery] = &said[..] else { panic!("{said:#?}") };
    assert_eq!((&ann["person"], &ann["pictures"]), (&"Ann".into(), &5.into()));
    assert_eq!(ann["nearest"]["person"], "Bea");
    assert!(ann["agreement"].as_array().is_some_and(|list| list.len() == 5));
    assert_eq!(ann["advice"].as_array().map(Vec::len), Some(0), "{ann}");
    assert!(bea["advice"][0].as_str().is_some_and(|text| text.contains("add pictures")), "{bea}");
    assert_eq!(gallery["thresholds"], "networks");
    let order = &gallery["order"];
    assert_eq!((&order["own_found"], &order["own_count"]), (&8.into(), &8.into()), "{gallery}");
    assert_eq!((&order["others_found"], &order["others_count"]), (&0.into(), &8.into()));
    let [wrong, at_most] = ["expected", "at_most"]
        .map(|key| order["wrong_per_1000_photos"][key].as_f64().expect("a number"));
    assert!(wrong <= at_most && at_most > 0.0 && at_most < 10.0, "{gallery}");

    // Photos: Ann once more, and somebody who is not enrolled.
    let folder = home.path().join("photos");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::copy(portrait(&faces, 7), folder.join("ann.jpg")).expect("copied");
    std::fs::copy(portrait(&faces, 29), folder.join("stranger.jpg")).expect("copied");
    std::fs::write(folder.join("broken.jpg"), b"\xff\xd8\xff nothing").expect("written");
    let photos = folder.to_str().expect("a plain path");
    let said = home.run(&["people", "check", photos, "--json"]);
    assert!(said.code == 1 && said.stderr.contains("broken.jpg"), "{said:?}");
    let gallery = said.json().pop().expect("a line");
    let counts = ["photos_count", "faces_count", "sure_count", "asked_count"]
        .map(|key| &gallery["photos"][key]);
    assert_eq!(counts, [2, 2, 1, 0].map(serde_json::Value::from).each_ref(), "{gallery}");
    assert!(gallery["photos"]["wrong_per_1000_photos"].is_null());
    std::fs::remove_file(folder.join("broken.jpg")).expect("removed");
    std::fs::remove_file(folder.join("ann.jpg")).expect("removed");
    let svg = home.path().join("curves.svg");
    let svg_text = svg.to_str().expect("a plain path");
    let said = home.run(&["people", "check", photos, "--strangers", "--svg", svg_text]).done();
    assert!(said.stdout.contains("0.0 wrong answers on 1,000 photos"), "{}", said.stdout);
    assert!(
        said.stdout.contains("order holds") && said.stdout.contains("ask holds"),
        "{}",
        said.stdout
    );
    let drawn = std::fs::read_to_string(&svg).expect("a drawing");
    assert!(drawn.starts_with("<svg") && drawn.contains("order 0.5"), "{drawn}");
}

#[test]
fn thresholds_of_ones_own_are_in_force_and_never_laxer() {
    let Some((home, faces)) = home() else { return };
    enrol(&home, &faces, "Ann", &[1, 2, 4, 5, 6]);
    let picture = portrait(&faces, 7);
    let picture = picture.to_str().expect("a plain path");
    let tier = || {
        let looked = home.run(&["look", picture, "--json"]).done().json();
        let face = looked[0]["faces"][0].clone();
        (face["person"].clone(), face["tier"].clone(), face["score"].as_f64().expect("a score"))
    };
    let (person, sure, score) = tier();
    assert_eq!((person, sure), ("Ann".into(), "order".into()));
    // Stricter than this very face: it is asked about, and then it is nobody's.
    with_faces(&home, &format!("order_min = {:.2}\n", score + 0.02));
    assert_eq!(tier().1, "ask");
    let said = home.run(&["people", "check"]).done();
    assert!(said.stdout.contains("of [faces] in signet.toml"), "{}", said.stdout);
    let strict = format!("order_min = {:.2}\nask_min = {0:.2}\n", score + 0.02);
    with_faces(&home, &strict);
    assert!(tier().0.is_null());
    // Laxer than was measured: refused, with the figure.
    with_faces(&home, "order_min = 0.3\n");
    let doctor = home.run(&["doctor"]);
    assert!(doctor.stdout.contains("BAD  thresholds"), "{}", doctor.stdout);
    for command in [&["people", "check"][..], &["look", picture]] {
        let refused = home.run(command);
        assert_eq!(refused.code, 1, "{refused:?}");
        for word in ["order_min", "signet.toml", "comparisons with faces of others"] {
            assert!(refused.stderr.contains(word), "{}", refused.stderr);
        }
    }
}

/// The shipped manifest with the shared networks.
fn detector(models: &Path) -> FaceDetector {
    let search = LibrarySearch {
        config: None,
        environment: signet::base::config::environment("ORT_DYLIB_PATH").map(PathBuf::from),
        program: std::env::current_exe().ok(),
    };
    let runtime = Runtime::load(&search.find().expect("the library")).expect("the library");
    let manifest = Manifest::parse(manifest::SHIPPED).expect("the manifest");
    let read = |file: &str| std::fs::read(models.join(file)).expect("a network");
    let [finds, names] =
        [&manifest.detector.source.file, &manifest.recogniser.source.file].map(|file| read(file));
    let networks = FaceModels::new(&runtime, &manifest, &finds, &names).expect("networks");
    FaceDetector::new(networks, manifest.thresholds)
}

/// The best face of a frame.
fn best(detector: &mut FaceDetector, frame: &Frame) -> Option<SeenFace> {
    let preview = shrunk(frame, 1024);
    let faces = detector.find(frame, preview.as_ref().unwrap_or(frame)).expect("faces");
    detector.look_at(frame, *faces.first()?).expect("a look")
}

fn open(path: &Path) -> (Frame, Frame) {
    let bytes = std::fs::read(path).expect("a photo");
    let decoded = decode(&bytes, DecodeSpec::default()).expect("a photo");
    let preview = signet::preview::Renderer::default().upright(&decoded, 1024).expect("a preview");
    (orient::upright(decoded.frame, decoded.metadata.orientation), preview)
}

/// Further pictures of somebody of whom there is one: mirrored, smaller, a poor copy, cut out.
fn renderings(frame: &Frame, face: &SeenFace) -> Vec<Frame> {
    let mut mirrored = frame.clone();
    let width = frame.width_px() as usize;
    for row in mirrored.rgb_mut().chunks_exact_mut(3 * width) {
        row.reverse();
        row.chunks_exact_mut(3).for_each(<[u8]>::reverse);
    }
    let smaller = shrunk(frame, frame.long_side_px() * 3 / 4).expect("a smaller one");
    let poor = bare_jpeg(frame, 40).expect("a JPEG");
    let poor = decode(&poor, DecodeSpec::default()).expect("a picture").frame;
    let [left, top, right, bottom] = face.face.bounds;
    let reach = 0.75 * (right - left);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "none is below 0, and what is beyond the frame is cut to it"
    )]
    let within = |value: f32, most: u32| (value.max(0.0) as usize).min(most as usize);
    let (left, right) =
        (within(left - reach, frame.width_px()), within(right + reach, frame.width_px()));
    let (top, bottom) =
        (within(top - reach, frame.height_px()), within(bottom + reach, frame.height_px()));
    let rows = frame.rgb().chunks_exact(3 * width).take(bottom).skip(top);
    let rgb: Vec<u8> = rows.flat_map(|row| &row[3 * left..3 * right]).copied().collect();
    let size = [right - left, bottom - top].map(|side| u32::try_from(side).expect("a side"));
    let cut = Frame::new(size[0], size[1], rgb).expect("a frame");
    vec![mirrored, smaller, poor, cut]
}

/// Photos of the shared set, in their order.
fn photos(folder: &Path) -> Vec<PathBuf> {
    let (mut folders, mut photos) = (vec![folder.to_path_buf()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("a file").path();
            let is_photo = path.extension().is_some_and(|extension| extension != "md");
            if path.is_dir() {
                folders.push(path)
            } else if is_photo {
                photos.push(path)
            }
        }
    }
    photos.sort();
    photos
}

/// A sample of the photos; all of them with `SIGNET_FACES_ALL=1`.
#[test]
fn twenty_who_are_enrolled_are_found_on_no_photo_of_others() {
    let (Some(models), Some(faces), Some(folder)) =
        (shared("models"), shared("faces"), shared("photos"))
    else {
        return;
    };
    let mut detector = detector(&models);
    let bar = Manifest::parse(manifest::SHIPPED).expect("the manifest").thresholds.bar;
    let (mut enrolled, mut left_over, mut taken) = (Vec::new(), Vec::new(), Vec::new());
    for (name, numbers) in PEOPLE {
        let mut seen: Vec<SeenFace> = numbers
            .iter()
            .filter_map(|number| best(&mut detector, &open(&portrait(&faces, *number)).0))
            .collect();
        left_over.extend(
            seen.split_off(seen.len().min(5)).into_iter().map(|seen| (name.to_owned(), seen)),
        );
        enrolled.push(Person::new(name, seen.into_iter().map(|seen| seen.numbers).collect()));
    }
    let all = photos(&folder);
    for path in all.iter().filter(|path| path.components().any(|part| part.as_os_str() == "nature"))
    {
        if enrolled.len() == ENROLLED_COUNT {
            break;
        }
        let (frame, _) = open(path);
        let Some(seen) = best(&mut detector, &frame) else { continue };
        if seen.quality.flaws(&bar).next().is_some() {
            continue;
        }
        let more: Vec<Frame> = renderings(&frame, &seen);
        let more =
            more.iter().filter_map(|frame| best(&mut detector, frame)).map(|seen| seen.numbers);
        let pictures = std::iter::once(seen.numbers.clone()).chain(more).collect();
        enrolled.push(Person::new(path.display().to_string(), pictures));
        taken.push(path.clone());
    }
    let people = People::new(enrolled);
    assert_eq!(people.all().len(), ENROLLED_COUNT);
    // Who is enrolled is found, or this test could not fail.
    let found = |(name, seen): &&(String, SeenFace)| {
        detector
            .name(seen, &people)
            .is_some_and(|(found, tier, _)| found == *name && tier == Tier::Order)
    };
    let found_count = left_over.iter().filter(found).count();
    assert!(found_count * 10 >= left_over.len() * 9, "{found_count} of {}", left_over.len());

    let is_whole = signet::base::config::environment("SIGNET_FACES_ALL").is_some();
    let others =
        all.iter().filter(|path| !taken.contains(path)).step_by(if is_whole { 1 } else { 10 });
    let (mut photos_count, mut faces_count, mut asked) = (0, 0, Vec::new());
    for path in others {
        let (frame, preview) = open(path);
        let sightings = detector.look(&frame, &preview, &people, &[]).expect("a look");
        photos_count += 1;
        faces_count += sightings.len();
        for face in sightings {
            assert_ne!(face.tier, Some(Tier::Order), "{}: {face:?}", path.display());
            if face.tier.is_some() {
                asked.push((path.file_name().map(ToOwned::to_owned), face.person, face.score));
            }
        }
    }
    note(&format!(
        "{photos_count} photos with {faces_count} faces: no order, {} asked: {asked:?}; of the enrolled {found_count} of {} \
         pictures left over order",
        asked.len(),
        left_over.len()
    ));
    assert!(photos_count > 150 && asked.len() * 100 <= photos_count, "{asked:?}");
}
