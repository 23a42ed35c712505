//! Networks of others, dropped in by a manifest alone; and files that are none, each refused by its
//! name with the cure.

use std::path::Path;

use signet::base::ids::ContentHash;
use signet::detection::detector::{EMBEDDER, LOCALISER};
use signet::detection::faces::{FaceDetector, FaceFiles, FaceModels, People, Person};
use signet::media::Frame;

use super::made::{self, EDGES, Graph};
use super::runtime;
use crate::common::Home;

/// What is said of a finder, beside its source.
const SCRFD: &str = r#"
decoding = "scrfd"
input = "input.1"
outputs = { classes = ["score_8", "score_16", "score_32"], boxes = ["bbox_8", "bbox_16", "bbox_32"], points = ["kps_8", "kps_16", "kps_32"] }
colours = "rgb"
mean = [127.5, 127.5, 127.5]
deviation = [128.0, 128.0, 128.0]
score_min = 0.9
overlap_max = 0.4
"#;

const YUNET: &str = r#"
decoding = "yunet"
input = "input"
outputs = { classes = ["cls_8", "cls_16", "cls_32"], objects = ["obj_8", "obj_16", "obj_32"], boxes = ["bbox_8", "bbox_16", "bbox_32"], points = ["kps_8", "kps_16", "kps_32"] }
colours = "bgr"
mean = [0.0, 0.0, 0.0]
deviation = [1.0, 1.0, 1.0]
score_min = 0.9
overlap_max = 0.3
"#;

const ARCFACE: &str = r#"
input = "input.1"
output = "683"
colours = "rgb"
mean = [127.5, 127.5, 127.5]
deviation = [127.5, 127.5, 127.5]
numbers_count = 512
mirrored_too = false
"#;

const SFACE: &str = r#"
input = "data"
output = "fc1"
colours = "rgb"
mean = [0.0, 0.0, 0.0]
deviation = [1.0, 1.0, 1.0]
numbers_count = 128
mirrored_too = true
"#;

/// A folder of networks of one's own.
struct Own {
    home: Home,
    detector: Vec<u8>,
    recogniser: Vec<u8>,
    /// `long_side_px` and what else is said of the finder.
    detector_says: String,
    recogniser_says: String,
}

impl Own {
    /// The finder of SCRFD's shape and the recogniser of ArcFace's.
    fn new() -> Self {
        Self {
            home: Home::new(),
            detector: made::scrfd([-1, -1]),
            recogniser: made::recogniser("input.1", "683", 7, 1.0),
            detector_says: format!("{SCRFD}long_side_px = 320"),
            recogniser_says: ARCFACE.into(),
        }
    }

    fn path(&self) -> &Path {
        self.home.path()
    }

    /// Writes the manifest and the files that it names.
    fn write(&self) {
        let source = |file: &str, bytes: &[u8]| {
            self.home.write(file, bytes);
            format!(
                "file = \"{file}\"\nlicence = \"own\"\ntrained_on = \"nothing\"\nsha256 = \"{}\"\nbytes = {}\n",
                ContentHash::of(bytes),
                bytes.len()
            )
        };
        let detector = source("finder.onnx", &self.detector);
        let recogniser = source("namer.onnx", &self.recogniser);
        let text = format!(
            "[detector]\n{detector}{}\n[recogniser]\n{recogniser}{}\nside_px = 112\n[thresholds]\n\
             order_min = 0.9\nlead_min = 0.08\nask_min = 0.8\n\
             bar = {{ eyes_px_min = 5.0, sharpness_min = 0.0, turned_max = 1.0, contrast_min = 0.0 }}\n",
            self.detector_says, self.recogniser_says
        );
        self.home.write("model.toml", text);
    }

    /// Opens them as the agent does; or why not.
    fn open(&self) -> Result<FaceDetector, String> {
        self.write();
        let files = FaceFiles::read(self.path()).map_err(|error| error.to_string())?;
        let FaceFiles { manifest, detector, recogniser } = files.expect("a manifest");
        let models = FaceModels::new(&runtime(), &manifest, &detector, &recogniser);
        let models = models.map_err(|error| error.to_string())?;
        Ok(FaceDetector::new(models, manifest.thresholds))
    }

    /// Asserts that they are refused, in one line that says all of this.
    #[track_caller]
    fn refused(&self, what: &str, words: &[&str]) {
        let error = self.open().err().unwrap_or_else(|| panic!("{what} was taken"));
        for word in words {
            assert!(error.contains(word), "{what}: `{word}` is missing in: {error}");
        }
        assert!(!error.contains(char::is_control), "{what}: {error}");
    }
}

/// A dark picture of 320x256 px with a cell of `side` px in one pure colour, and around it the
/// pattern of one of two people in the others.
fn picture(place: [u32; 2], side: u32, colour: [u8; 3], person: u32) -> Frame {
    let inside = |x: u32, y: u32| {
        let at = |value: u32, from: u32| value >= from && value < from + side;
        at(x, place[0]) && at(y, place[1])
    };
    let rgb = (0..256_u32).flat_map(|y| (0..320_u32).map(move |x| (x, y))).flat_map(|(x, y)| {
        if inside(x, y) {
            return colour;
        }
        let [dx, dy] = [(x, place[0]), (y, place[1])].map(|(v, from)| (v + 640 - from) / side);
        let is_light = if person == 0 { dx % 2 == 0 } else { dy % 3 == 0 };
        let light = if is_light { 160 } else { 30 };
        // Nothing in the channel that the finders look at.
        colour.map(|value| if value == 255 { 0 } else { light })
    });
    Frame::new(320, 256, rgb.collect()).expect("a frame")
}

/// Enrols two people from one picture each and finds one of them in another place of another.
#[track_caller]
fn finds_and_names(own: &Own, side: u32, colour: [u8; 3]) {
    let mut detector = own.open().unwrap_or_else(|error| panic!("{error}"));
    let mut enrol = |name: &str, person| {
        let picture = picture([10 * side, 5 * side], side, colour, person);
        let faces = detector.find(&picture, &picture).expect("faces");
        let [face] = faces[..] else { panic!("{faces:?}") };
        let seen = detector.look_at(&picture, face).expect("a look").expect("a face");
        Person::new(name, vec![seen.numbers])
    };
    let people = People::new(vec![enrol("Anna", 0), enrol("Ben", 1)]);
    for (person, name) in [(0, "Anna"), (1, "Ben")] {
        let place = [7 * side, 4 * side];
        let picture = picture(place, side, colour, person);
        let seen = detector.look(&picture, &picture, &people, &[]).expect("a look");
        let [face] = &seen[..] else { panic!("{seen:?}") };
        assert_eq!(face.person.as_deref(), Some(name), "{face:?}");
        let [x, y, cell] = [place[0], place[1], side].map(|value| value as f32);
        let [left, top, right, bottom] = EDGES.map(|edge| edge * cell);
        let expected = [x - left, y - top, x + right, y + bottom];
        let apart = face.bounds.iter().zip(expected).map(|(a, b)| (a - b).abs());
        assert!(apart.fold(0.0, f32::max) < 0.01, "{face:?}, not {expected:?}");
    }
    // The same picture in another colour shows nobody.
    let other = picture([70, 40], side, [0, 255, 0], 0);
    assert!(detector.look(&other, &other, &people, &[]).expect("a look").is_empty());
}

#[test]
fn scrfd_and_arcface_take_their_places_by_a_manifest_alone() {
    finds_and_names(&Own::new(), 8, [255, 0, 0]);
}

#[test]
fn scrfd_of_one_size_sees_squares() {
    let own = Own { detector: made::scrfd([320, 320]), ..Own::new() };
    own.refused("a network of one size", &["finder.onnx", "square = true", "model.toml"]);
    let detector_says = format!("{SCRFD}long_side_px = 320\nsquare = true");
    finds_and_names(&Own { detector_says, ..own }, 8, [255, 0, 0]);
}

#[test]
fn yunet_and_sface_take_their_places_by_a_manifest_alone() {
    let own = Own {
        detector: made::yunet(),
        detector_says: format!("{YUNET}long_side_px = 320"),
        recogniser: made::recogniser("data", "fc1", 14, 1.0 / 255.0),
        recogniser_says: SFACE.into(),
        ..Own::new()
    };
    finds_and_names(&own, 16, [0, 0, 255]);
}

#[test]
fn networks_of_another_kind_are_refused_by_name_with_the_cure() {
    let cure = ["finder.onnx", "model.toml", "signet models pull faces"];
    let finder = |detector: Vec<u8>| Own { detector, ..Own::new() };
    for (what, bytes, why) in [
        ("our icon finder", LOCALISER.to_vec(), "`cells`"),
        ("our icon namer", EMBEDDER.to_vec(), "the manifest says `input.1`"),
        ("another finder", made::yunet(), "the manifest says `input.1`"),
        ("a recogniser", made::recogniser("input.1", "683", 7, 1.0), "score_8"),
        ("a text", b"not a network at all".to_vec(), "no ONNX file"),
        ("nearly nothing", vec![8], "no ONNX file"),
        ("half a network", made::scrfd([-1, -1])[..2000].to_vec(), "no ONNX file"),
    ] {
        finder(bytes).refused(what, &[&cure[..], &[why]].concat());
    }
    // Outputs of the right names and other shapes.
    let text = format!("{SCRFD}long_side_px = 320").replacen("score_8", "kps_8", 1);
    let text = text.replacen("points = [\"kps_8\"", "points = [\"score_8\"", 1);
    Own { detector_says: text, ..Own::new() }
        .refused("outputs that were mixed up", &["finder.onnx", "do not fit", "model.toml"]);
    let recogniser_says = ARCFACE.replace("512", "128");
    Own { recogniser_says, ..Own::new() }
        .refused("another count", &["namer.onnx", "512 numbers, the manifest says 128"]);
    let recogniser = made::recogniser("input.1", "683", 14, 1.0);
    Own { recogniser, ..Own::new() }.refused("a smaller one", &["namer.onnx", "128 numbers"]);
    // A whole file whose operators make no sense is refused by the library, by name all the same.
    let mut graph = Graph::default();
    graph.input("input.1", &[1, 3, 112, 112]);
    graph.output("683", 2);
    Own { recogniser: graph.finish(), ..Own::new() }
        .refused("a network of nothing", &["namer.onnx", "model.toml"]);
}

#[test]
fn weights_elsewhere_and_huge_ones_are_refused_before_the_library_sees_them() {
    let elsewhere = |file: &str| {
        let mut graph = Graph::default();
        graph.input("input.1", &[1, 3, -1, -1]);
        graph.weight_elsewhere("w", &[4], file);
        graph.output("score_8", 2);
        Own { detector: graph.finish(), ..Own::new() }
    };
    // Beside it or not: what was checked by its SHA-256 is one file.
    let own = elsewhere("weights.bin");
    own.home.write("weights.bin", [0; 16]);
    own.refused("weights beside it", &["finder.onnx", "weights.bin", "one file"]);
    for file in ["../weights.bin", "/dev/zero", "\u{1b}[2J"] {
        elsewhere(file).refused(file, &["finder.onnx", "another file", "one file"]);
    }
    for shape in [&[1 << 40][..], &[1 << 20, 1 << 20, 1 << 30], &[u64::MAX, 2]] {
        let mut graph = Graph::default();
        graph.input("input.1", &[1, 3, -1, -1]);
        graph.weight_promised("w", shape);
        graph.output("score_8", 2);
        Own { detector: graph.finish(), ..Own::new() }
            .refused("a huge weight", &["finder.onnx", "`w` would have"]);
    }
    // Small, and without the values that it promises: the library refuses it.
    let mut graph = Graph::default();
    graph.input("input.1", &[1, 3, 112, 112]);
    graph.weight_promised("683", &[1, 512]);
    graph.output("683", 2);
    Own { recogniser: graph.finish(), ..Own::new() }
        .refused("a weight without values", &["namer.onnx", "model.toml"]);
}

#[test]
fn file_that_changed_after_its_manifest_was_written_is_refused() {
    let own = Own::new();
    own.write();
    let whole = own.detector.clone();
    let mut altered = whole.clone();
    altered[whole.len() / 2] ^= 1;
    for (what, bytes) in [
        ("cut off", whole[..whole.len() - 1].to_vec()),
        ("empty", Vec::new()),
        ("longer", [&whole[..], &[0]].concat()),
        ("SHA-256", altered),
    ] {
        own.home.write("finder.onnx", bytes);
        let error = FaceFiles::read(own.path()).expect_err(what).to_string();
        for word in ["finder.onnx", "signet models pull faces"] {
            assert!(error.contains(word), "{what}: {error}");
        }
    }
}

#[test]
fn networks_that_were_dropped_in_are_pulled_and_looked_with() {
    let own = Own::new();
    own.write();
    let home = Home::new();
    home.run(&["init", "--address", "mailto:a@example.org", "--owner", "A"]).done();
    let from = own.path().to_string_lossy().into_owned();
    home.run(&["models", "pull", "faces", "--from", &from]).done();
    let frame = picture([160, 80], 8, [255, 0, 0], 0);
    home.write("photo.png", png(&frame));
    let line = home.run(&["--json", "look", "photo.png"]).done().json().remove(0);
    assert_eq!(line["faces"].as_array().map(Vec::len), Some(1), "{line}");
    assert_eq!(line["faces"][0]["person"], serde_json::Value::Null, "{line}");
    let [left, top, right, bottom] = EDGES.map(|edge| f64::from(edge) * 8.0);
    let expected = [160.0 - left, 80.0 - top, left + right, top + bottom];
    for (value, expected) in line["faces"][0]["box"].as_array().expect("a box").iter().zip(expected)
    {
        assert!((value.as_f64().expect("px") - expected).abs() < 0.1, "{line}");
    }

    // Altered in the home: said by its name, with the cure, and nothing is looked at blindly.
    let folder = signet::base::home::Home::at(home.path()).face_models_dir();
    let path = folder.join("finder.onnx");
    std::fs::write(&path, b"something else").expect("written");
    let run = home.run(&["look", "photo.png"]);
    assert_ne!(run.code, 0, "{run:?}");
    for word in ["finder.onnx", "signet models pull faces"] {
        assert!(run.stderr.contains(word), "{run:?}");
    }
    let run = home.run(&["models", "verify"]);
    assert!(run.code == 1 && run.stderr.contains("finder.onnx"), "{run:?}");
    // Without any, icons are looked for as ever.
    std::fs::remove_dir_all(&folder).expect("removed");
    let line = home.run(&["--json", "look", "photo.png"]).done().json().remove(0);
    assert_eq!(line["faces"].as_array().map(Vec::len), Some(0), "{line}");
}

fn png(frame: &Frame) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, frame.width_px(), frame.height_px());
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().expect("a head");
    writer.write_image_data(frame.rgb()).expect("pixels");
    writer.finish().expect("an end");
    out
}
