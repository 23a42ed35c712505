//! Reading, decoding and previews on real and on hostile files.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "helpers of tests")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use signet::media::read::BYTES_MAX;
use signet::media::{DecodeError, DecodeSpec, Decoded, Frame, decode, read_original};
use signet::preview::{Imprint, PreviewSpec, Renderer};

use crate::common::{Home, finish, program};
use crate::world::sample;

/// A folder of the shared photo set, or `None` with a word on stdout.
fn shared(folder: &str) -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "tests have no config")]
    let root = std::env::var_os("SIGNET_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = root.join(folder);
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: no photo set");
    None
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    assert!(!files.is_empty());
    files
}

fn open(path: &Path) -> Result<Decoded, DecodeError> {
    let original = read_original(path, BYTES_MAX).expect("reads");
    decode(&original.bytes, DecodeSpec::default())
}

fn imprint() -> Imprint {
    Imprint {
        owner_address: "mailto:owner@example.org".to_owned(),
        owner_name: "Olga Öwner".to_owned(),
        photo_id: "3f9a6c".to_owned(),
    }
}

/// Mean difference of two frames of one size, in steps of 255.
fn difference(a: &Frame, b: &Frame) -> f64 {
    assert_eq!((a.width_px(), a.height_px()), (b.width_px(), b.height_px()));
    let sum: u64 = a.rgb().iter().zip(b.rgb()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / a.rgb().len() as f64
}

#[test]
fn every_orientation_gives_the_same_upright_picture() {
    let Some(folder) = shared("camera/orientation") else {
        return;
    };
    let mut renderer = Renderer::default();
    for (series, is_wide) in [("Landscape", true), ("Portrait", false)] {
        let mut upright = |number: u32| {
            let photo = open(&folder.join(format!("{series}_{number}.jpg"))).expect("decodes");
            assert_eq!(photo.width_px > photo.height_px, is_wide, "{series} {number}");
            renderer.upright(&photo, 256).expect("renders")
        };
        let wanted = upright(1);
        for number in [0, 2, 3, 4, 5, 6, 7, 8] {
            // The pictures differ in a number drawn into them, and in compression.
            let difference = difference(&wanted, &upright(number));
            assert!(difference < 12.0, "{series} {number} differs by {difference}");
        }
    }
}

#[test]
fn pixels_made_for_a_preview_alone_are_those_of_the_preview() {
    let Some(folder) = shared("camera/12mp") else {
        return;
    };
    let mut renderer = Renderer::default();
    for path in files(&folder) {
        let bytes = read_original(&path, BYTES_MAX).expect("reads").bytes;
        let exact = decode(&bytes, DecodeSpec::exactly(640)).expect("decodes");
        assert_eq!(exact.frame.long_side_px(), 640, "{}", path.display());
        let usual = decode(&bytes, DecodeSpec { cover_px: 640, ..DecodeSpec::default() });
        let usual = renderer.upright(&usual.expect("decodes"), 640).expect("renders");
        // Colours are converted before the resize in one and behind it in the other.
        let difference = difference(&usual, &renderer.upright(&exact, 640).expect("renders"));
        assert!(difference < 0.5, "{} differs by {difference}", path.display());
    }
}

#[test]
fn place_is_the_one_that_exiftool_wrote() {
    if !program("exiftool") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.jpg");
    for (latitude, longitude) in [(52.520_008, 13.404_954), (-33.868_8, 151.209_3), (40.7, -74.0)] {
        std::fs::write(&path, sample("meadow")).expect("written");
        let written = Command::new("exiftool")
            .args(["-q", "-overwrite_original", "-n"])
            .arg(format!("-GPSLatitude={latitude}"))
            .arg(format!("-GPSLatitudeRef={}", if latitude < 0.0 { "S" } else { "N" }))
            .arg(format!("-GPSLongitude={longitude}"))
            .arg(format!("-GPSLongitudeRef={}", if longitude < 0.0 { "W" } else { "E" }))
            .arg(&path)
            .status();
        assert!(written.expect("exiftool runs").success());
        let place = open(&path).expect("decodes").metadata.place.expect("a place");
        let off = (place.latitude() - latitude).abs().max((place.longitude() - longitude).abs());
        assert!(off < 2e-6, "{latitude} {longitude} became {place:?}");
    }
}

#[test]
fn camera_files_decode() {
    let Some(folder) = shared("camera") else {
        return;
    };
    let mut failures = Vec::new();
    for part in ["exif", "12mp", "motion", "orientation"] {
        for path in files(&folder.join(part)) {
            if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("jpg"))
                && let Err(error) = open(&path)
            {
                failures.push(format!("{}: {error:?}", path.display()));
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn hostile_files_end_in_an_answer_soon() {
    let Some(folder) = shared("hostile") else {
        return;
    };
    let mut renderer = Renderer::default();
    let (mut decoded_count, mut refused_count) = (0, 0);
    for path in files(&folder) {
        let began = Instant::now();
        match open(&path) {
            Ok(photo) => {
                let preview =
                    renderer.render(&photo, PreviewSpec::default(), &imprint()).expect("renders");
                assert!(preview.frame.long_side_px() <= 1024, "{}", path.display());
                decoded_count += 1;
            }
            Err(_error) => refused_count += 1,
        }
        let took = began.elapsed();
        assert!(took < Duration::from_secs(20), "{} took {took:?}", path.display());
    }
    println!("{decoded_count} decoded, {refused_count} refused");
    assert!(
        decoded_count > 100 && refused_count > 100,
        "{decoded_count} decoded, {refused_count} refused"
    );
}

#[test]
fn valid_pictures_of_the_png_suite_decode() {
    let Some(folder) = shared("hostile/pngsuite") else {
        return;
    };
    for path in files(&folder) {
        // Names that begin with x are the broken ones.
        let is_broken =
            path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"x"));
        let answer = open(&path);
        assert_eq!(answer.is_err(), is_broken, "{}: {:?}", path.display(), answer.err());
    }
}

#[test]
fn preview_tells_the_owner_and_nothing_of_the_camera() {
    let Some(folder) = shared("camera") else {
        return;
    };
    if Command::new("exiftool").arg("-ver").output().is_err() {
        println!("skipped: no exiftool");
        return;
    }
    let out = tempfile::tempdir().expect("a folder");
    let mut renderer = Renderer::default();
    for part in ["exif", "12mp", "motion"] {
        for path in files(&folder.join(part)) {
            let Ok(photo) = open(&path) else { continue };
            let preview =
                renderer.render(&photo, PreviewSpec::default(), &imprint()).expect("renders");
            let name =
                format!("{part}-{}.jpg", path.file_stem().unwrap_or_default().to_string_lossy());
            std::fs::write(out.path().join(name), preview.file).expect("writes");
        }
    }
    let answer = Command::new("exiftool")
        .args(["-json", "-G0:1", "-a", "-u", "-r"])
        .arg(out.path())
        .output()
        .expect("exiftool runs");
    let tags: serde_json::Value = serde_json::from_slice(&answer.stdout).expect("JSON");
    let photos = tags.as_array().expect("a list");
    assert!(photos.len() >= 30, "{}", photos.len());
    for photo in photos {
        let photo = photo.as_object().expect("an object");
        let name = &photo["SourceFile"];
        let ours = [
            ("XMP:XMP-xmpRights:WebStatement", "mailto:owner@example.org"),
            ("XMP:XMP-iptcCore:CreatorWorkEmail", "owner@example.org"),
            ("XMP:XMP-dc:Creator", "Olga Öwner"),
            ("XMP:XMP-dc:Identifier", "3f9a6c"),
        ];
        for (tag, wanted) in ours {
            assert_eq!(
                photo.get(tag).and_then(|value| value.as_str()),
                Some(wanted),
                "{name} {tag}"
            );
        }
        for tag in photo.keys() {
            let groups = [
                "SourceFile",
                "ExifTool:",
                "File:",
                "JFIF:",
                "XMP:",
                "Composite:ImageSize",
                "Composite:Megapixels",
            ];
            assert!(groups.iter().any(|group| tag.starts_with(group)), "{name} has {tag}");
            let lower = tag.to_lowercase();
            for private in
                ["gps", "serial", "thumbnail", "makernote", "previewimage", "createdate", "model"]
            {
                assert!(!lower.contains(private), "{name} has {tag}");
            }
        }
    }
}

/// One line of `signet look --json` for each file, by the real program.
fn look(paths: &[PathBuf]) -> Vec<serde_json::Value> {
    let home = Home::new();
    let lines = finish(home.command(&["--json", "look"]).args(paths)).json();
    for (line, path) in lines.iter().zip(paths) {
        assert_eq!(line["path"].as_str(), path.to_str());
    }
    assert_eq!(lines.len(), paths.len());
    lines
}

#[test]
fn heic_and_avif_photos_are_looked_at_upright() {
    let mut paths = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/heif"));
    paths.retain(|path| path.extension().is_some_and(|extension| extension != "md"));
    if let Some(folder) = shared("camera/heic") {
        paths.extend(files(&folder));
    }
    if let Some(folder) = shared("camera/motion") {
        paths.push(folder.join("motionphoto.heic"));
    }
    // Width, height and time as exiftool tells them, turned as HEIF's own properties say.
    let known = [
        ("orientation-1.heic", 64, 48, Some("2026-07-01T10:00:05")),
        ("orientation-6.heic", 48, 64, Some("2026-07-01T10:00:05")),
        ("orientation-6.avif", 48, 64, None),
        ("HMD_Nokia_8.3_5G.heif", 3456, 4608, Some("2022-02-03T14:44:07")),
        ("HMD_Nokia_8.3_5G_hdr.heif", 4608, 3456, Some("2022-01-12T07:30:14")),
        ("IMG_5195.HEIC", 2566, 3313, Some("2021-04-11T15:47:53")),
        ("motionphoto.heic", 3000, 4000, Some("2023-03-08T12:31:05")),
    ];
    let has_library = signet::media::heif::available().is_ok();
    for (line, path) in look(&paths).iter().zip(&paths) {
        let name = path.file_name().unwrap_or_default();
        if !has_library {
            let error = line["error"].as_str().unwrap_or_default();
            assert!(error.contains("install") && error.contains("libheif"), "{line}");
            continue;
        }
        assert!(line["error"].is_null(), "{line}");
        if let Some((_, width_px, height_px, taken_at)) = known.iter().find(|k| name == k.0) {
            assert_eq!(
                (&line["width_px"], &line["height_px"]),
                (&(*width_px).into(), &(*height_px).into())
            );
            assert_eq!(line["taken_at"].as_str(), *taken_at, "{line}");
        }
    }
}
