//! Small HEIC and AVIF files of four coloured quarters; see `tests/data/heif/README.md`.

use super::*;
use crate::media::{Decoded, decode as decode_any};

const RED: [u8; 3] = [200, 30, 30];
const GREEN: [u8; 3] = [30, 180, 40];
const BLUE: [u8; 3] = [40, 60, 200];
const WHITE: [u8; 3] = [240, 240, 240];

macro_rules! file {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/data/heif/", $name)).as_slice()
    };
}

fn has_library() -> bool {
    if let Err(why) = available() {
        println!("skipped: no libheif: {why}");
        return false;
    }
    true
}

/// Checks the colours near the corners, clockwise from the top left.
fn check(photo: &Decoded, wanted: [[u8; 3]; 4]) {
    let (width, height) = (photo.frame.width_px() as usize, photo.frame.height_px() as usize);
    let places = [(2, 2), (width - 3, 2), (width - 3, height - 3), (2, height - 3)];
    for ((x, y), wanted) in places.into_iter().zip(wanted) {
        let at = (y * width + x) * 3;
        let found = &photo.frame.rgb()[at..at + 3];
        let is_near = found.iter().zip(wanted).all(|(a, b)| a.abs_diff(b) <= 2);
        assert!(is_near, "{found:?}, not {wanted:?}, at {x}, {y}");
    }
}

#[test]
fn picture_turned_by_the_container_is_not_turned_again_by_exif() {
    if !has_library() {
        return;
    }
    for (bytes, size, wanted) in [
        (file!("orientation-1.heic"), (64, 48), [RED, GREEN, WHITE, BLUE]),
        (file!("orientation-2.heic"), (64, 48), [GREEN, RED, BLUE, WHITE]),
        (file!("orientation-6.heic"), (48, 64), [BLUE, RED, GREEN, WHITE]),
        (file!("orientation-6.avif"), (48, 64), [BLUE, RED, GREEN, WHITE]),
    ] {
        let photo = decode_any(bytes, DecodeSpec::default()).expect("decodes");
        assert_eq!((photo.width_px, photo.height_px), size);
        assert_eq!(photo.metadata.orientation, Orientation::Upright);
        check(&photo, wanted);
    }
}

#[test]
fn metadata_is_read() {
    if !has_library() {
        return;
    }
    let photo = decode_any(file!("orientation-6.heic"), DecodeSpec::default()).expect("decodes");
    assert_eq!(photo.media_type, MediaType::Heic);
    assert_eq!(photo.metadata.camera_model.as_deref(), Some("Quarter"));
    assert!(photo.metadata.taken_at.is_some());
}

#[test]
fn ten_bits_become_eight_and_opacity_is_laid_on_white() {
    if !has_library() {
        return;
    }
    let deep = decode_any(file!("ten-bits.heic"), DecodeSpec::default()).expect("decodes");
    check(&deep, [RED, GREEN, WHITE, BLUE]);
    let clear = decode_any(file!("opacity.heic"), DecodeSpec::default()).expect("decodes");
    check(&clear, [[255; 3], GREEN, WHITE, [255; 3]]);
}

#[test]
fn colours_named_by_code_become_srgb() {
    if !has_library() {
        return;
    }
    let photo = decode_any(file!("p3-by-code.heic"), DecodeSpec::default()).expect("decodes");
    // What Little CMS makes of the quarters, taken for Display P3.
    check(&photo, [[219, 0, 6], [0, 183, 0], WHITE, [34, 61, 208]]);
}

#[test]
fn file_cut_anywhere_gives_an_error() {
    let bytes = file!("orientation-6.heic");
    for end in 24..bytes.len() {
        let error = decode_any(&bytes[..end], DecodeSpec::default()).expect_err("cut");
        let is_early = matches!(error, DecodeError::EndsEarly);
        assert!(is_early || matches!(error, DecodeError::Damaged(_)) || !has_library(), "{error}");
    }
}

#[test]
fn any_changed_byte_is_survived() {
    if !has_library() {
        return;
    }
    let spec = DecodeSpec { cover_px: 16, pixels_max: 1_000_000, ..DecodeSpec::default() };
    for file in [file!("orientation-6.heic"), file!("orientation-6.avif"), file!("opacity.heic")] {
        for at in 0..file.len() {
            let mut bytes = file.to_vec();
            for value in [0, bytes[at] ^ 0x40, 0xFF] {
                bytes[at] = value;
                let _either = decode_any(&bytes, spec);
            }
        }
    }
}
