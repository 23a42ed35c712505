//! Pictures that are no portraits, or not the right way round: a calm answer to each.

use std::path::Path;

use signet::detection::Tier;
use signet::detection::faces::{FaceDetector, People, Person};
use signet::media::Frame;
use turbojpeg::{Compressor, Image, PixelFormat};

use super::{detector, open};
use crate::common::{note, shared};

fn frame(width: u32, height: u32, pixel: impl Fn(f32, f32) -> [u8; 3]) -> Frame {
    let rgb = (0..height)
        .flat_map(|y| (0..width).map(move |x| (x, y)))
        .flat_map(|(x, y)| pixel(x as f32, y as f32))
        .collect();
    Frame::new(width, height, rgb).expect("a frame")
}

/// Everybody of the portraits, by one picture each.
fn everybody(detector: &mut FaceDetector, folder: &Path) -> People {
    let seen = super::portraits(detector, folder);
    People::new(
        seen.into_iter().map(|(name, seen)| Person::new(name, vec![seen.numbers])).collect(),
    )
}

#[test]
fn pictures_of_nothing_have_no_faces() {
    let Some(mut detector) = detector() else { return };
    let mut seed = 1_u32;
    let noise = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    });
    let noise = Frame::new(800, 600, noise.take(3 * 800 * 600).collect()).expect("a frame");
    let black = |width, height| frame(width, height, |_, _| [0; 3]);
    for (name, picture) in [
        ("one pixel", black(1, 1)),
        ("one white pixel", frame(1, 1, |_, _| [255; 3])),
        ("a line", black(1024, 1)),
        ("a column", black(1, 1024)),
        ("a longer line", frame(2000, 2, |x, _| [x as u8; 3])),
        ("black", black(1024, 768)),
        ("white", frame(1024, 768, |_, _| [255; 3])),
        ("noise", noise),
        ("stripes", frame(1024, 768, |x, _| [(x as u8 / 8 % 2) * 255; 3])),
    ] {
        let faces = detector.look(&picture, &picture, &People::default(), &[]).expect("an answer");
        assert!(faces.is_empty(), "{name}: {faces:?}");
    }
}

/// A head with eyes, nose and mouth: a drawing in one colour, or shaded like a statue.
fn head(is_statue: bool) -> Frame {
    let within = |x: f32, y: f32, [cx, cy, rx, ry]: [f32; 4]| {
        ((x - cx) / rx).powi(2) + ((y - cy) / ry).powi(2)
    };
    frame(800, 800, |x, y| {
        let face = within(x, y, [400.0, 400.0, 220.0, 290.0]);
        let eyes = [310.0, 490.0].map(|cx| within(x, y, [cx, 340.0, 42.0, 26.0]));
        let nose = within(x, y, [400.0, 430.0, 26.0, 60.0]);
        let mouth = within(x, y, [400.0, 530.0, 90.0, 26.0]);
        if !is_statue {
            let is_line = eyes.into_iter().chain([nose, mouth]).any(|inside| inside < 1.0);
            if is_line || (face - 1.0).abs() < 0.05 {
                return [20; 3];
            }
            return if face < 1.0 { [250, 205, 60] } else { [255; 3] };
        }
        if face >= 1.0 {
            return [90; 3];
        }
        // Lit from the upper left; hollows are darker.
        let light = 210.0 - 70.0 * face - 0.12 * (x - 300.0) - 0.08 * (y - 300.0);
        let hollow: f32 = eyes.into_iter().chain([mouth]).map(|v| (1.0 - v).max(0.0)).sum();
        let ridge = 25.0 * (1.0 - nose).max(0.0);
        [(light - 60.0 * hollow + ridge).clamp(0.0, 255.0) as u8; 3]
    })
}

#[test]
fn drawing_and_statue_are_nobody() {
    let (Some(mut detector), Some(folder)) = (detector(), shared("faces")) else { return };
    let people = everybody(&mut detector, &folder);
    for (name, picture) in [("drawing", head(false)), ("statue", head(true))] {
        let seen = detector.look(&picture, &picture, &people, &[]).expect("an answer");
        note(&format!("{name}: {} faces", seen.len()));
        assert!(seen.iter().all(|face| face.person.is_none()), "{name}: {seen:?}");
    }
}

/// The picture with its rows and, or, their pixels in reverse.
fn turned(picture: &Frame, is_mirrored: bool, is_upside_down: bool) -> Frame {
    let row_len = 3 * picture.width_px() as usize;
    let mut rows: Vec<Vec<u8>> = picture.rgb().chunks_exact(row_len).map(<[u8]>::to_vec).collect();
    if is_upside_down {
        rows.reverse();
    }
    if is_mirrored {
        for row in &mut rows {
            *row = row.chunks_exact(3).rev().flatten().copied().collect();
        }
    }
    Frame::new(picture.width_px(), picture.height_px(), rows.concat()).expect("a frame")
}

/// A JPEG whose Exif says that it is to be turned by 180 degrees.
fn upside_down_jpeg(picture: &Frame) -> Vec<u8> {
    let mut compressor = Compressor::new().expect("a compressor");
    compressor.set_quality(95).expect("a quality");
    let (width, height) = (picture.width_px() as usize, picture.height_px() as usize);
    let (pixels, pitch, format) = (picture.rgb(), 3 * width, PixelFormat::RGB);
    let image = Image { pixels, width, pitch, height, format };
    let jpeg = compressor.compress_to_vec(image).expect("compresses");
    // Big-endian TIFF, one field: 0x0112 orientation, SHORT, one of them, 3.
    let exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0\0\0\0\0";
    let len = u16::try_from(exif.len() + 2).expect("short").to_be_bytes();
    [&jpeg[..2], b"\xff\xe1", &len, exif, &jpeg[2..]].concat()
}

#[test]
fn mirrored_and_turned_pictures_show_whom_they_show() {
    let (Some(mut detector), Some(folder)) = (detector(), shared("faces")) else { return };
    let people = everybody(&mut detector, &folder);
    let own = tempfile::tempdir().expect("a folder");
    let (mut count, mut upside_down, mut named) = (0, 0, 0);
    for person in people.all().iter().step_by(4) {
        let path = folder.join(&person.name);
        let (upright, preview) = open(&path);
        if detector.find(&upright, &preview).expect("faces").len() != 1 {
            continue;
        }
        count += 1;
        // Who is in several portraits is enrolled as often.
        let is_right = |found: &str| {
            let other = people.all().iter().find(|other| other.name == found).expect("enrolled");
            other.name == person.name || person.likeness(other) > 0.45
        };
        let mut look = |frame: &Frame, preview: &Frame| {
            detector.look(frame, preview, &people, &[]).expect("an answer")
        };

        let mirrored = look(&turned(&upright, true, false), &turned(&preview, true, false));
        let names: Vec<&str> = mirrored.iter().filter_map(|face| face.person.as_deref()).collect();
        assert!(names.iter().any(|name| is_right(name)), "{}: mirrored {mirrored:?}", person.name);

        // Turned, with a word in its Exif that it is.
        let file = own.path().join("turned.jpg");
        std::fs::write(&file, upside_down_jpeg(&turned(&upright, true, true))).expect("written");
        let (frame, small) = open(&file);
        let seen = look(&frame, &small);
        let names: Vec<&str> = seen.iter().filter_map(|face| face.person.as_deref()).collect();
        assert!(names.iter().any(|name| is_right(name)), "{}: by Exif {seen:?}", person.name);

        // Turned without a word: found or not, it is never somebody else's for sure.
        let seen = look(&turned(&upright, true, true), &turned(&preview, true, true));
        upside_down += usize::from(!seen.is_empty());
        for face in &seen {
            let Some(name) = &face.person else { continue };
            named += usize::from(is_right(name));
            assert!(is_right(name) || face.tier != Some(Tier::Order), "{}: {face:?}", person.name);
        }
    }
    note(&format!("upside down: {upside_down} of {count} found, {named} named rightly"));
    assert!(count >= 10);
}
