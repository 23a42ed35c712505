//! Decodes the first picture of a GIF.
//!
//! In:  a whole GIF file.
//! Out: pixels of the whole screen; where the first picture does not reach, white.
//!
//! The decoder holds the whole picture: its size is checked before.
//!
//! A file without its trailer is an unfinished copy.

use std::io::Cursor;

use gif::{ColorOutput, DecodeOptions, DecodingError, MemoryLimit};

use super::colour::Colours;
use super::decode::{DecodeError, DecodeSpec, Stored, WORKING_BYTES_MAX, check_memory, check_size};
use super::shrink::Shrinker;

/// Red, green, blue and opacity of the picture, beside its one byte of before.
const WORKING_BYTES_PER_PIXEL: u64 = 5;

const CHANNELS: usize = 4;

/// Decodes the first picture at full size, reduced by a whole factor as it passes.
pub(super) fn decode(bytes: &[u8], spec: DecodeSpec) -> Result<Stored, DecodeError> {
    if is_cut(bytes) {
        return Err(DecodeError::EndsEarly);
    }
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::RGBA);
    options.set_memory_limit(MemoryLimit::Bytes(
        WORKING_BYTES_MAX.try_into().unwrap_or(std::num::NonZeroU64::MAX),
    ));
    let mut decoder = options.read_info(Cursor::new(bytes)).map_err(judge)?;
    let (width_px, height_px) = (u32::from(decoder.width()), u32::from(decoder.height()));
    check_size(width_px, height_px, spec.pixels_max)?;
    check_memory(u64::from(width_px) * u64::from(height_px) * WORKING_BYTES_PER_PIXEL)?;
    let picture = decoder.read_next_frame().map_err(judge)?.ok_or(DecodeError::EndsEarly)?;

    let screen_width = width_px as usize;
    let (left, width) = (usize::from(picture.left), usize::from(picture.width));
    let (top, height) = (u32::from(picture.top), u32::from(picture.height));
    let seen = width.min(screen_width.saturating_sub(left)) * CHANNELS;
    let mut shrinker = Shrinker::new(width_px, height_px, spec.cover_px);
    let mut row = vec![0; screen_width * CHANNELS];
    for y in 0..height_px {
        row.fill(0);
        if let Some(inside) = y.checked_sub(top).filter(|inside| *inside < height) {
            let begin = inside as usize * width * CHANNELS;
            let source = picture.buffer.get(begin..begin + seen).unwrap_or_default();
            let begin = left * CHANNELS;
            if let Some(target) = row.get_mut(begin..begin + source.len()) {
                target.copy_from_slice(source);
            }
        }
        shrinker.push(&row, CHANNELS);
    }
    let frame = shrinker.finish().ok_or(DecodeError::EndsEarly)?;
    Ok(Stored { frame, width_px, height_px, colours: Colours::Srgb })
}

/// Whether the trailer is missing. Walks the blocks without unpacking them (GIF89a, §15 to
/// §27); those that make no sense are the decoder's business.
fn is_cut(bytes: &[u8]) -> bool {
    const EXTENSION: u8 = 0x21;
    const PICTURE: u8 = 0x2C;
    let table_bytes = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    let mut at = match bytes.get(10) {
        Some(flags) => 13 + table_bytes(*flags),
        None => return true,
    };
    loop {
        at += match bytes.get(at) {
            Some(&EXTENSION) => 2,
            Some(&PICTURE) => match bytes.get(at + 9) {
                // A descriptor, perhaps a table, and the size of the first codes.
                Some(flags) => 11 + table_bytes(*flags),
                None => return true,
            },
            Some(_trailer_or_nonsense) => return false,
            None => return true,
        };
        loop {
            match bytes.get(at) {
                Some(0) => break,
                Some(length) => at += usize::from(*length) + 1,
                None => return true,
            }
        }
        at += 1;
    }
}

fn judge(error: DecodingError) -> DecodeError {
    match error {
        DecodingError::UnexpectedEof => DecodeError::EndsEarly,
        DecodingError::MemoryLimit => {
            DecodeError::TooCostly { needs: "too much memory".to_owned() }
        }
        other => DecodeError::damaged(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A screen of 6 x 4 with a picture of 3 x 2 at (2, 1), of which index 1 cannot be seen.
    fn picture() -> Vec<u8> {
        let palette = [10, 20, 30, 0, 0, 0, 200, 100, 50];
        let mut bytes = Vec::new();
        let mut encoder = gif::Encoder::new(&mut bytes, 6, 4, &palette).expect("a header");
        for index in [2, 0] {
            let frame = gif::Frame {
                left: 2,
                top: 1,
                width: 3,
                height: 2,
                transparent: Some(1),
                buffer: vec![0, 1, 2, index, index, index].into(),
                ..gif::Frame::default()
            };
            encoder.write_frame(&frame).expect("a picture");
        }
        drop(encoder);
        bytes
    }

    #[test]
    fn first_picture_lies_on_a_white_screen() {
        let stored = decode(&picture(), DecodeSpec::default()).expect("decodes");
        assert_eq!((stored.width_px, stored.height_px), (6, 4));
        let white = [255; 3];
        let row = |at: usize| {
            let pixels: Vec<_> = stored.frame.rgb().chunks_exact(3).skip(at * 6).take(6).collect();
            pixels.iter().map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect::<Vec<_>>()
        };
        let (dark, light) = ([10, 20, 30], [200, 100, 50]);
        assert_eq!(row(0), [white; 6]);
        assert_eq!(row(1), [white, white, dark, white, light, white]);
        assert_eq!(row(2), [white, white, light, light, light, white]);
        assert_eq!(row(3), [white; 6]);
    }

    #[test]
    fn file_cut_anywhere_ends_early() {
        let bytes = picture();
        for end in 7..bytes.len() {
            let error = decode(&bytes[..end], DecodeSpec::default()).expect_err("cut");
            assert!(matches!(error, DecodeError::EndsEarly), "cut at {end}: {error:?}");
        }
    }

    #[test]
    fn screen_larger_than_memory_is_refused() {
        let mut bytes = picture();
        bytes[6..10].copy_from_slice(&[0xFF, 0xDF, 0xFF, 0xDF]);
        let spec = DecodeSpec { pixels_max: u64::MAX, ..DecodeSpec::default() };
        let error = decode(&bytes, spec).expect_err("3 billion pixels");
        assert!(matches!(error, DecodeError::TooCostly { .. }), "{error:?}");
    }

    proptest! {
        #[test]
        fn any_changed_byte_is_survived(at in 6_usize..300, value: u8) {
            let mut bytes = picture();
            let at = at % bytes.len();
            bytes[at] = value;
            let spec = DecodeSpec { cover_px: 8, pixels_max: 1_000_000, ..DecodeSpec::default() };
            let _either = decode(&bytes, spec);
        }
    }
}
