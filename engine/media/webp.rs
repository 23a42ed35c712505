//! Decodes WebP, lossy and lossless.
//!
//! In:  a whole WebP file.
//! Out: pixels as stored, what their colours mean, and where the EXIF block lies.
//!
//! Of an animation the first picture is taken. The decoder holds planes and pixels at
//! once, so its memory is bounded by the size of the picture before it starts.

use std::io::Cursor;

use image_webp::{DecodingError, WebPDecoder};

use super::colour::{Colours, PROFILE_BYTES_MAX};
use super::decode::{DecodeError, DecodeSpec, Stored, check_memory, check_size};
use super::shrink::Shrinker;

/// Pixels with opacity twice (a lossless picture is unpacked beside its target), or
/// pixels, planes and opacity of a lossy one: at most this many bytes a pixel.
const WORKING_BYTES_PER_PIXEL: u64 = 8;

/// `RIFF`, the length of the rest, `WEBP`.
const HEADER_BYTES: usize = 12;

/// Decodes the whole picture at full size, and reduces it by a whole factor where it stays
/// twice as large as what has to be covered.
pub(super) fn decode(bytes: &[u8], spec: DecodeSpec) -> Result<Stored, DecodeError> {
    if is_cut(bytes) {
        return Err(DecodeError::EndsEarly);
    }
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(judge)?;
    let (width_px, height_px) = decoder.dimensions();
    check_size(width_px, height_px, spec.pixels_max)?;
    check_memory(u64::from(width_px) * u64::from(height_px) * WORKING_BYTES_PER_PIXEL)?;
    let channels = if decoder.has_alpha() { 4 } else { 3 };
    let row_bytes = width_px as usize * channels;
    let mut pixels = vec![0; row_bytes * height_px as usize];
    decoder.read_image(&mut pixels).map_err(judge)?;
    let mut shrinker = Shrinker::new(width_px, height_px, spec.cover_px);
    for row in pixels.chunks_exact(row_bytes) {
        shrinker.push(row, channels);
    }
    let frame = shrinker.finish().ok_or_else(|| DecodeError::damaged("it has no pixels"))?;
    let profile = chunk(bytes, b"ICCP").filter(|profile| profile.len() <= PROFILE_BYTES_MAX);
    let colours = profile.map_or(Colours::Srgb, |profile| Colours::Icc(profile.to_vec()));
    Ok(Stored { frame, width_px, height_px, colours })
}

/// The EXIF block, when there is one.
pub(super) fn exif(bytes: &[u8]) -> Option<&[u8]> {
    chunk(bytes, b"EXIF")
}

/// The payload of the first chunk of a kind.
fn chunk<'a>(bytes: &'a [u8], wanted: &[u8; 4]) -> Option<&'a [u8]> {
    let mut rest = bytes.get(HEADER_BYTES..)?;
    loop {
        let (kind, behind) = rest.split_first_chunk::<4>()?;
        let (length, behind) = behind.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let payload = behind.get(..length)?;
        if kind == wanted {
            return Some(payload);
        }
        // Chunks of odd length are followed by one byte of padding.
        rest = behind.get(length.checked_next_multiple_of(2)?..)?;
    }
}

/// The header says how long the file is; padding behind the last chunk may be missing.
fn is_cut(bytes: &[u8]) -> bool {
    let Some(length) = bytes.get(4..8).and_then(|length| length.first_chunk()) else {
        return true;
    };
    (bytes.len() as u64) + 1 < 8 + u64::from(u32::from_le_bytes(*length))
}

fn judge(error: DecodingError) -> DecodeError {
    match error {
        DecodingError::IoError(_) => DecodeError::EndsEarly,
        other => DecodeError::damaged(other),
    }
}

#[cfg(test)]
#[expect(
    clippy::cast_possible_truncation,
    reason = "test pictures hold the low byte of a coordinate"
)]
mod tests {
    use image_webp::{ColorType, WebPEncoder};
    use proptest::prelude::*;

    use super::*;

    fn picture(width_px: u32, height_px: u32) -> Vec<u8> {
        let data: Vec<u8> = (0..height_px)
            .flat_map(|y| (0..width_px).flat_map(move |x| [x as u8, y as u8, 9, 255]))
            .collect();
        let mut bytes = Vec::new();
        let mut encoder = WebPEncoder::new(&mut bytes);
        encoder.set_exif_metadata(b"MM\0*odd".to_vec());
        encoder.encode(&data, width_px, height_px, ColorType::Rgba8).expect("encodes");
        bytes
    }

    #[test]
    fn picture_and_its_exif_are_read() {
        let bytes = picture(7, 5);
        let stored = decode(&bytes, DecodeSpec::default()).expect("decodes");
        assert_eq!((stored.frame.width_px(), stored.frame.height_px()), (7, 5));
        assert_eq!(&stored.frame.rgb()[..6], [0, 0, 9, 1, 0, 9]);
        assert_eq!(exif(&bytes), Some(b"MM\0*odd".as_slice()));
    }

    #[test]
    fn file_cut_anywhere_ends_early() {
        let bytes = picture(32, 32);
        for end in 12..bytes.len() - 1 {
            let error = decode(&bytes[..end], DecodeSpec::default()).expect_err("cut");
            assert!(matches!(error, DecodeError::EndsEarly), "cut at {end}: {error:?}");
        }
    }

    proptest! {
        #[test]
        fn any_changed_byte_is_survived(at in 12_usize..3000, value: u8) {
            let mut bytes = picture(24, 24);
            let at = at % bytes.len();
            bytes[at] = value;
            let spec = DecodeSpec { cover_px: 8, pixels_max: 1_000_000, ..DecodeSpec::default() };
            let _either = std::panic::catch_unwind(|| decode(&bytes, spec).is_ok());
        }
    }
}
