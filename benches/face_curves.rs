//! How well people are told apart by the face networks, with the pictures and networks of the shared
//! set beside the project; without them it says so and ends.
//!
//! ```text
//! cargo bench --bench face_curves               prints the figures, and which template rule is best
//! cargo bench --bench face_curves -- --write    and writes models/faces/curves.toml and docs/faces.svg
//! cargo bench --bench face_curves -- --draw     draws docs/faces.svg from what is there
//! cargo bench --bench face_curves -- --framing 1.0,0.0     measures another framing than the manifest's
//! ```
//!
//! People: whom `faces/*.csv` call the same; of each, every choice of 1, 3, 5 and 7 pictures (60 at
//! most) is enrolled, and found by the pictures left over, as they are and small. Strangers: every
//! face of `photos/`, also those too faint to be taken (score 0.6), as they are, smaller and poor;
//! those that could be enrolled are, from five renderings of their one picture. Everybody is
//! compared with all who they are not.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a bench prints or stops")]

use std::path::{Path, PathBuf};

use signet::base::clock::Timestamp;
use signet::detection::embed::cosine;
use signet::detection::faces::curves::{Curve, Curves, Histogram};
use signet::detection::faces::detector::SeenFace;
use signet::detection::faces::graph::{grouped, sentence, shipped};
use signet::detection::faces::localise::Face;
use signet::detection::faces::manifest::Framing;
use signet::detection::faces::{FaceDetector, FaceModels, Manifest, Person, manifest};
use signet::detection::warp::shrunk;
use signet::detection::{LibrarySearch, Runtime};
use signet::media::Frame;
use signet::media::decode::{DecodeSpec, decode};
use signet::preview::encode::bare_jpeg;
use signet::preview::orient;

/// The photo that somebody was enrolled from, and their numbers.
type Template = (usize, Vec<Vec<f32>>);

/// Choices of pictures that are enrolled of one person, at most.
const DRAWS_MAX: usize = 60;

/// Numbers of pictures that curves are made for.
const PICTURES: [usize; 4] = [1, 3, 5, 7];

/// Distance of the eyes in the small pictures, in px.
const SMALL_EYES_PX: f32 = 24.0;

/// Folder of photos whose faces are those of animals: nobody enrols them, they are only found.
const ANIMALS: &str = "everyday";

const RECIPE: &str = "\
People: 13 public figures, 61 portraits (those whom master.csv and face-recognition-pivot.csv of the shared set call
the same), 2 to 8 of each; every choice of so many pictures (60 at most for each person) is a template, found by the
pictures left over: `genuine` as they are, `small` shrunk until the eyes are 24 px apart and saved as JPEG 50 (a face
that is not found then counts as -1). Impostors: all others of these portraits in both ways, and everything on 2,235
photos of strangers that the detector gives a score of 0.6 or more (fruit and animals among them), each photo as it is,
at half the size, and at three quarters saved as JPEG 40. Strangers whose picture could be enrolled are templates as
well (five renderings of it: as it is, mirrored, smaller, cut out, JPEG 40); their own photo is left out. No two of
them are the same person: five of the twelve likest pairs were looked at by eye, none was.
";

/// A face with the picture that it is from.
struct Seen {
    seen: SeenFace,
    /// Index of its picture; those of people and of strangers are counted apart.
    place: usize,
}

/// One picture of somebody, as it is and small.
struct Portrait {
    plain: SeenFace,
    small: Option<SeenFace>,
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let asks = |word: &str| words.iter().any(|given| given == word);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut manifest = Manifest::parse(manifest::SHIPPED).expect("the manifest");
    if asks("--draw") {
        return draw(root, &manifest, &std::fs::read_to_string(curves_path(root)).expect("curves"));
    }
    let shared = signet::base::config::environment("SIGNET_SHARED");
    let shared = shared.map_or_else(|| root.join("../shared"), PathBuf::from);
    let is_smoke = signet::base::config::environment("SIGNET_BENCH_SMOKE").is_some();
    if is_smoke || !shared.join("models").is_dir() || !shared.join("faces").is_dir() {
        println!("face_curves: skipped: needs the shared pictures and networks, and minutes");
        return;
    }
    if let Some(place) = words.iter().position(|word| word == "--framing") {
        let (zoom, raise_px) = words[place + 1].split_once(',').expect("ZOOM,RAISE");
        let [zoom, raise_px] = [zoom, raise_px].map(|text| text.parse().expect("a number"));
        manifest.recogniser.framing = Framing { zoom, raise_px };
    }
    let mut eyes = Bench::new(&shared, &manifest);
    let people = eyes.people(&shared.join("faces"));
    let (strangers, enrolled) = eyes.strangers(&shared.join("photos"));
    println!(
        "{} people with {} portraits; {} faces of strangers, {} of them enrolled",
        people.len(),
        people.iter().map(Vec::len).sum::<usize>(),
        strangers.len(),
        enrolled.len()
    );
    let clarity: Vec<f32> =
        people.iter().flatten().map(|portrait| portrait.plain.quality.clarity).collect();
    let small = people
        .iter()
        .flatten()
        .filter_map(|portrait| Some(portrait.small.as_ref()?.quality.clarity));
    println!("clarity of portraits: {}; small: {}", spread(clarity), spread(small.collect()));
    let curves = Curves {
        measured: Timestamp::now().to_string().get(..10).unwrap_or_default().to_owned(),
        detector: manifest.detector.source.sha256,
        recogniser: manifest.recogniser.source.sha256,
        framing: manifest.recogniser.framing,
        recipe: RECIPE.into(),
        by_pictures: PICTURES.map(|count| curve(count, &people, &strangers, &enrolled)).into(),
    };
    let mut comparisons = 0;
    for curve in &curves.by_pictures {
        let Curve { pictures, people, templates, genuine, small, impostors } = curve;
        let highest = impostors.highest().unwrap_or(1.0);
        comparisons += impostors.total();
        println!(
            "{pictures} pictures: {people} people, {templates} templates, {} comparisons with others, highest \
             {highest:.2}; from there {:.3} of {} genuine, {:.3} of {} small",
            grouped(impostors.total()),
            genuine.share_reaching(highest),
            genuine.total(),
            small.share_reaching(highest),
            small.total()
        );
        println!("    {}", sentence("order", curve, manifest.thresholds.order_min));
        println!("    {}", sentence("ask", curve, manifest.thresholds.ask_min));
    }
    println!("{} comparisons with others in all", grouped(comparisons));
    for count in [3, 5] {
        rules(count, &people, &strangers, manifest.thresholds.ask_min);
    }
    if asks("--write") {
        std::fs::write(curves_path(root), curves.text()).expect("written");
        draw(root, &manifest, &curves.text());
    }
}

fn curves_path(root: &Path) -> PathBuf {
    root.join("models/faces/curves.toml")
}

fn draw(root: &Path, manifest: &Manifest, text: &str) {
    let curves = Curves::parse(text).expect("curves");
    std::fs::write(root.join("docs/faces.svg"), shipped(&curves, &manifest.thresholds))
        .expect("written");
}

fn spread(mut values: Vec<f32>) -> String {
    values.sort_by(f32::total_cmp);
    let at = |percent: usize| {
        let place = percent * values.len().saturating_sub(1) / 100;
        values.get(place).copied().unwrap_or(0.0)
    };
    format!("least {:.1}, 5 % {:.1}, median {:.1}", at(0), at(5), at(50))
}

/// The networks, with what they are asked.
struct Bench {
    detector: FaceDetector,
    /// Finds fainter faces as well.
    eager: FaceDetector,
    manifest: Manifest,
}

impl Bench {
    fn new(shared: &Path, manifest: &Manifest) -> Self {
        let search = LibrarySearch {
            config: None,
            environment: signet::base::config::environment("ORT_DYLIB_PATH").map(PathBuf::from),
            program: std::env::current_exe().ok(),
        };
        let runtime = Runtime::load(&search.find().expect("the library")).expect("the library");
        let read = |file: &str| std::fs::read(shared.join("models").join(file)).expect("a network");
        let [found_by, named_by] =
            [&manifest.detector.source.file, &manifest.recogniser.source.file]
                .map(|file| read(file));
        let detector = |manifest: &Manifest| {
            let models =
                FaceModels::new(&runtime, manifest, &found_by, &named_by).expect("networks");
            FaceDetector::new(models, manifest.thresholds)
        };
        let mut eager = manifest.clone();
        eager.detector.score_min = 0.6;
        Self { detector: detector(manifest), eager: detector(&eager), manifest: manifest.clone() }
    }

    /// The face of a frame that is nearest to a place; without one, the best.
    fn one(&mut self, frame: &Frame, near: Option<[f32; 2]>) -> Option<SeenFace> {
        let preview = shrunk(frame, 1024);
        let faces = self.detector.find(frame, preview.as_ref().unwrap_or(frame)).expect("faces");
        let far = |face: &Face| {
            near.map_or(0.0, |[x, y]| {
                let [left, top, right, bottom] = face.bounds;
                ((left + right) / 2.0 - x).hypot((top + bottom) / 2.0 - y)
            })
        };
        let face = faces.into_iter().min_by(|a, b| far(a).total_cmp(&far(b)))?;
        self.detector.look_at(frame, face).expect("a look")
    }

    /// The portraits of each person.
    fn people(&mut self, folder: &Path) -> Vec<Vec<Portrait>> {
        let mut people = Vec::new();
        for names in identities(folder) {
            let mut portraits = Vec::new();
            for name in names {
                let (frame, _) = open(&folder.join(&name)).expect("a portrait");
                let Some(plain) = self.one(&frame, None) else { continue };
                let ratio = (SMALL_EYES_PX / plain.quality.eyes_px).min(1.0);
                let tiny = scaled(&frame, ratio);
                let tiny = poor(&tiny, 50);
                let small = self.one(&tiny, Some(middle(&plain.face).map(|value| value * ratio)));
                portraits.push(Portrait { plain, small });
            }
            people.push(portraits);
        }
        people
    }

    /// Every face of strangers, and templates of those that could be enrolled.
    fn strangers(&mut self, folder: &Path) -> (Vec<Seen>, Vec<Template>) {
        let paths = pictures_below(folder);
        let (mut faces, mut enrolled) = (Vec::new(), Vec::new());
        for (place, path) in paths.iter().enumerate() {
            let Some((frame, preview)) = open(path) else { continue };
            for face in self.eager.find(&frame, &preview).expect("faces") {
                let Some(seen) = self.eager.look_at(&frame, face).expect("a look") else {
                    continue;
                };
                let is_good = seen.quality.flaws(&self.manifest.thresholds.bar).next().is_none();
                let is_person = path.components().all(|part| part.as_os_str() != ANIMALS);
                if is_good && is_person && face.score >= self.manifest.detector.score_min {
                    enrolled.push((place, self.renderings(&frame, &seen)));
                }
                faces.push(Seen { seen, place });
            }
            for frame in [scaled(&frame, 0.5), poor(&scaled(&frame, 0.75), 40)] {
                let preview = shrunk(&frame, 1024);
                for face in
                    self.eager.find(&frame, preview.as_ref().unwrap_or(&frame)).expect("faces")
                {
                    let seen = self.eager.look_at(&frame, face).expect("a look");
                    faces.extend(seen.map(|seen| Seen { seen, place }));
                }
            }
            if place % 500 == 499 {
                println!("    {} photos, {} faces", place + 1, faces.len());
            }
        }
        // To be looked at by eye: who is so alike may be one person twice, and no impostor.
        let mut alike = Vec::new();
        for (place, numbers) in &enrolled {
            let person = Person::new("", numbers.clone());
            for face in faces.iter().filter(|face| face.place != *place) {
                alike.push((person.cosine(&face.seen.numbers), *place, face.place));
            }
        }
        alike.sort_by(|(a, ..), (b, ..)| b.total_cmp(a));
        for (cosine, one, other) in alike.into_iter().take(12) {
            let [one, other] = [one, other].map(|place| paths[place].display());
            println!("    alike {cosine:.3}  {one}  {other}");
        }
        (faces, enrolled)
    }

    /// Five pictures made from the one that there is.
    fn renderings(&mut self, frame: &Frame, seen: &SeenFace) -> Vec<Vec<f32>> {
        let [x, y] = middle(&seen.face);
        let (cut, [left, top]) = cut(frame, &seen.face);
        let rendered = [
            (mirrored(frame), [frame.width_px() as f32 - x, y]),
            (scaled(frame, 0.7), [0.7 * x, 0.7 * y]),
            (cut.clone(), [x - left, y - top]),
            (poor(&cut, 40), [x - left, y - top]),
        ];
        let mut numbers = vec![seen.numbers.clone()];
        for (frame, place) in rendered {
            numbers.extend(self.one(&frame, Some(place)).map(|seen| seen.numbers));
        }
        numbers
    }
}

/// Files of each person, by the pairs that are called the same.
fn identities(folder: &Path) -> Vec<Vec<String>> {
    let mut groups: Vec<Vec<String>> = Vec::new();
    for list in ["master.csv", "face-recognition-pivot.csv"] {
        let text = std::fs::read_to_string(folder.join(list)).expect("the pairs");
        for line in text.lines().skip(1) {
            let mut fields = line.split(',');
            let (Some(one), Some(other), Some(word)) =
                (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let [one, other] =
                [one, other].map(|path| path.rsplit('/').next().unwrap_or(path).to_owned());
            if word.trim() != "Yes" {
                continue;
            }
            let mut joined = vec![one, other];
            groups.retain_mut(|group| {
                let meets = joined.iter().any(|name| group.contains(name));
                if meets {
                    joined.append(group);
                }
                !meets
            });
            joined.sort();
            joined.dedup();
            groups.push(joined);
        }
    }
    groups.sort();
    groups
}

/// What comes of so many pictures for each person.
fn curve(
    pictures: usize,
    people: &[Vec<Portrait>],
    strangers: &[Seen],
    enrolled: &[(usize, Vec<Vec<f32>>)],
) -> Curve {
    let (mut genuine, mut small, mut impostors) = Default::default();
    let (mut found_people, mut templates) = (0, 0);
    for (index, portraits) in people.iter().enumerate() {
        let draws = draws(portraits.len(), pictures);
        found_people += usize::from(!draws.is_empty() && portraits.len() > pictures);
        for draw in draws {
            templates += 1;
            let faces = draw.iter().map(|place| portraits[*place].plain.numbers.clone());
            let person = Person::new("", faces.collect());
            let score = |face: &[f32]| person.cosine(face);
            own(portraits, &draw, &score, &mut genuine, &mut small);
            others(people, index, strangers, None, &score, &mut impostors);
        }
    }
    for (place, numbers) in enrolled {
        templates += 1;
        let person = Person::new("", numbers.iter().take(pictures).cloned().collect());
        others(
            people,
            people.len(),
            strangers,
            Some(*place),
            &|face| person.cosine(face),
            &mut impostors,
        );
    }
    Curve { pictures, people: found_people, templates, genuine, small, impostors }
}

fn own(
    portraits: &[Portrait],
    draw: &[usize],
    score: &impl Fn(&[f32]) -> f32,
    genuine: &mut Histogram,
    small: &mut Histogram,
) {
    for (_, portrait) in portraits.iter().enumerate().filter(|(place, _)| !draw.contains(place)) {
        genuine.add(score(&portrait.plain.numbers));
        small.add(portrait.small.as_ref().map_or(-1.0, |seen| score(&seen.numbers)));
    }
}

/// Compares with everybody who it is not.
fn others(
    people: &[Vec<Portrait>],
    own: usize,
    strangers: &[Seen],
    own_place: Option<usize>,
    score: &impl Fn(&[f32]) -> f32,
    impostors: &mut Histogram,
) {
    for (_, portraits) in people.iter().enumerate().filter(|(index, _)| *index != own) {
        for Portrait { plain, small } in portraits {
            impostors.add(score(&plain.numbers));
            small.iter().for_each(|seen| impostors.add(score(&seen.numbers)));
        }
    }
    for face in strangers.iter().filter(|face| Some(face.place) != own_place) {
        impostors.add(score(&face.seen.numbers));
    }
}

/// Choices of `count` out of `of`, spread evenly where there are too many.
fn draws(of: usize, count: usize) -> Vec<Vec<usize>> {
    let all: Vec<Vec<usize>> = (0_u32..1 << of)
        .filter(|choice| choice.count_ones() as usize == count)
        .map(|choice| (0..of).filter(|place| choice & (1 << place) != 0).collect())
        .collect();
    let step = all.len().div_ceil(DRAWS_MAX).max(1);
    all.into_iter().step_by(step).collect()
}

type Score = fn(&[Vec<f32>], &[f32]) -> f32;

/// How rules that make one score of several pictures compare, also where one picture is of another.
fn rules(count: usize, people: &[Vec<Portrait>], strangers: &[Seen], odd_below: f32) {
    let mean: Score = |pictures, face| Person::new("", pictures.to_vec()).cosine(face);
    let nearest: Score =
        |pictures, face| pictures.iter().map(|picture| cosine(picture, face)).fold(-1.0, f32::max);
    let two: Score = |pictures, face| {
        let mut cosines: Vec<f32> = pictures.iter().map(|picture| cosine(picture, face)).collect();
        cosines.sort_by(|a, b| b.total_cmp(a));
        cosines.iter().take(2).sum::<f32>() / 2.0
    };
    for (name, score) in [("mean", mean), ("nearest", nearest), ("two nearest", two)] {
        for (how, is_wrong, is_mended) in [
            ("", false, false),
            (", one picture of another", true, false),
            (", and taken out", true, true),
        ] {
            let (mut genuine, mut small, mut impostors) = Default::default();
            for (index, portraits) in people.iter().enumerate() {
                for (turn, draw) in draws(portraits.len(), count).into_iter().enumerate() {
                    let faces = draw.iter().map(|place| portraits[*place].plain.numbers.clone());
                    let mut faces: Vec<Vec<f32>> = faces.collect();
                    if is_wrong {
                        let other = &people[(index + 1 + turn % (people.len() - 1)) % people.len()];
                        faces[0].clone_from(&other[turn % other.len()].plain.numbers);
                    }
                    while is_mended && faces.len() > 1 {
                        let agreement = Person::new("", faces.clone()).agreement();
                        let worst =
                            agreement.iter().enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b));
                        let Some((place, _)) = worst.filter(|(_, cosine)| **cosine < odd_below)
                        else {
                            break;
                        };
                        faces.remove(place);
                    }
                    let score = |face: &[f32]| score(&faces, face);
                    own(portraits, &draw, &score, &mut genuine, &mut small);
                    others(people, index, strangers, None, &score, &mut impostors);
                }
            }
            let highest = impostors.highest().unwrap_or(1.0);
            println!(
                "{count} pictures, {name}{how}: others up to {highest:.2}; from there {:.3} genuine, {:.3} small; \
                 from 0.53 {:.3}, {:.3}",
                genuine.share_reaching(highest),
                small.share_reaching(highest),
                genuine.share_reaching(0.53),
                small.share_reaching(0.53)
            );
        }
    }
}

fn middle(face: &Face) -> [f32; 2] {
    let [left, top, right, bottom] = face.bounds;
    [(left + right) / 2.0, (top + bottom) / 2.0]
}

/// A photo, upright, and its preview; `None` for what is none.
fn open(path: &Path) -> Option<(Frame, Frame)> {
    let decoded = decode(&std::fs::read(path).ok()?, DecodeSpec::default()).ok()?;
    let preview = signet::preview::Renderer::default().upright(&decoded, 1024).ok()?;
    Some((orient::upright(decoded.frame, decoded.metadata.orientation), preview))
}

fn pictures_below(folder: &Path) -> Vec<PathBuf> {
    let (mut folders, mut paths) = (vec![folder.to_path_buf()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("a file").path();
            if path.is_dir() { folders.push(path) } else { paths.push(path) }
        }
    }
    paths.sort();
    paths
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sides of a picture")]
fn scaled(frame: &Frame, ratio: f32) -> Frame {
    let side_px = (frame.long_side_px() as f32 * ratio).round().max(1.0) as u32;
    shrunk(frame, side_px).unwrap_or_else(|| frame.clone())
}

fn poor(frame: &Frame, quality: u8) -> Frame {
    let bytes = bare_jpeg(frame, quality).expect("a JPEG");
    decode(&bytes, DecodeSpec::default()).expect("a picture").frame
}

fn mirrored(frame: &Frame) -> Frame {
    let mut frame = frame.clone();
    let width = frame.width_px() as usize;
    for row in frame.rgb_mut().chunks_exact_mut(3 * width) {
        row.reverse();
        row.chunks_exact_mut(3).for_each(<[u8]>::reverse);
    }
    frame
}

/// What is around a face, two and a half times as wide, and where its top left corner was.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "places in a picture")]
fn cut(frame: &Frame, face: &Face) -> (Frame, [f32; 2]) {
    let ([x, y], reach) = (middle(face), 1.25 * face.side_px());
    let within = |value: f32, most: u32| value.clamp(0.0, most as f32) as usize;
    let (left, right) = (within(x - reach, frame.width_px()), within(x + reach, frame.width_px()));
    let (top, bottom) =
        (within(y - reach, frame.height_px()), within(y + reach, frame.height_px()));
    let rows = frame.rgb().chunks_exact(3 * frame.width_px() as usize).take(bottom).skip(top);
    let rgb: Vec<u8> = rows.flat_map(|row| &row[3 * left..3 * right]).copied().collect();
    let frame = Frame::new((right - left) as u32, (bottom - top) as u32, rgb);
    (frame.expect("a frame"), [left as f32, top as f32])
}
