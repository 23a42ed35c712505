//! Decodes PNG row by row, averaging large pictures down as the rows arrive.
//!
//! In:  a whole PNG file.
//! Out: pixels as stored, what their colours mean, and where the EXIF block lies.
//!
//! Text chunks are never unpacked, and colour profiles only up to a limit: a few kilobytes
//! there can claim gigabytes. Of an animation the default picture is taken.
//!
//! A file without its end chunk is an unfinished copy, even when all pixels are there.

use std::io::Cursor;

use png::{ColorType, Decoder, DecodingError, Transformations};

use super::colour::{Colours, PROFILE_BYTES_MAX};
use super::decode::{DecodeError, DecodeSpec, Stored, check_memory, check_size};
use super::shrink::Shrinker;

const SIGNATURE_BYTES: usize = 8;

/// Decodes the whole picture, reduced by a whole factor where it stays twice as large as
/// what has to be covered.
pub(super) fn decode(bytes: &[u8], spec: DecodeSpec) -> Result<Stored, DecodeError> {
    let mut decoder = Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(Transformations::normalize_to_color8());
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let info = decoder.read_header_info().map_err(|error| judge(bytes, error))?;
    let (width_px, height_px) = (info.width, info.height);
    check_size(width_px, height_px, spec.pixels_max)?;
    if !chunks(bytes).any(|chunk| chunk.kind == b"IEND") {
        return Err(DecodeError::EndsEarly);
    }
    let mut reader = decoder.read_info().map_err(|error| judge(bytes, error))?;
    let channels = match reader.output_color_type().0 {
        ColorType::Grayscale => 1,
        ColorType::GrayscaleAlpha => 2,
        ColorType::Rgb => 3,
        ColorType::Rgba => 4,
        ColorType::Indexed => return Err(DecodeError::damaged("its palette is missing")),
    };
    let mut shrinker = Shrinker::new(width_px, height_px, spec.cover_px);
    let row_bytes = width_px as usize * channels;
    if reader.info().interlaced {
        // All passes have to be there before the first row is whole.
        check_memory(row_bytes as u64 * u64::from(height_px))?;
        let mut pixels = vec![0; row_bytes * height_px as usize];
        reader.next_frame(&mut pixels).map_err(|error| judge(bytes, error))?;
        for row in pixels.chunks_exact(row_bytes) {
            shrinker.push(row, channels);
        }
    } else {
        while let Some(row) = reader.next_row().map_err(|error| judge(bytes, error))? {
            shrinker.push(row.data().get(..row_bytes).unwrap_or_default(), channels);
        }
    }
    let frame = shrinker.finish().ok_or(DecodeError::EndsEarly)?;
    Ok(Stored { frame, width_px, height_px, colours: colours(bytes) })
}

/// What the numbers mean: the chunks are asked in the order of the standard (PNG 3, 4.3).
fn colours(bytes: &[u8]) -> Colours {
    let payload = |kind: &[u8; 4]| {
        // Behind the pixels they mean nothing.
        chunks(bytes).take_while(|c| c.kind != b"IDAT").find(|c| c.kind == kind).map(|c| c.payload)
    };
    if let Some([primaries, transfer, _matrix, _range, ..]) = payload(b"cICP") {
        return Colours::Coded { primaries: *primaries, transfer: *transfer };
    }
    if let Some(profile) = payload(b"iCCP").and_then(unpack_profile) {
        return Colours::Icc(profile);
    }
    let gamma = payload(b"gAMA").and_then(hundred_thousandths::<1>);
    let points = payload(b"cHRM").and_then(hundred_thousandths::<8>);
    match (payload(b"sRGB"), gamma, points) {
        (None, Some([gamma]), Some([wx, wy, rx, ry, gx, gy, bx, by])) => Colours::Primaries {
            points: [[wx, wy], [rx, ry], [gx, gy], [bx, by]],
            exponent: 1.0 / gamma,
        },
        _ => Colours::Srgb,
    }
}

/// A name, a zero, how it is packed, and the profile; what unpacks to more than any profile
/// has is none.
fn unpack_profile(payload: &[u8]) -> Option<Vec<u8>> {
    let name_end = payload.iter().take(80).position(|byte| *byte == 0)?;
    let packed = payload.get(name_end + 2..)?;
    fdeflate::decompress_to_vec_bounded(packed, PROFILE_BYTES_MAX).ok()
}

#[expect(clippy::cast_precision_loss, reason = "none of these numbers needs 24 bits")]
fn hundred_thousandths<const N: usize>(payload: &[u8]) -> Option<[f32; N]> {
    let mut numbers = payload.as_chunks().0.iter().map(|raw| u32::from_be_bytes(*raw) as f32 / 1e5);
    let mut values = [0.0; N];
    for value in &mut values {
        *value = numbers.next()?;
    }
    Some(values)
}

/// The EXIF block, when there is one.
pub(super) fn exif(bytes: &[u8]) -> Option<&[u8]> {
    chunks(bytes).find(|chunk| chunk.kind == b"eXIf").map(|chunk| chunk.payload)
}

fn judge(bytes: &[u8], error: DecodingError) -> DecodeError {
    match error {
        DecodingError::IoError(_) => DecodeError::EndsEarly,
        DecodingError::LimitsExceeded => {
            DecodeError::TooCostly { needs: "too much memory".to_owned() }
        }
        _ if !chunks(bytes).any(|chunk| chunk.kind == b"IEND") => DecodeError::EndsEarly,
        other => {
            let message = other.to_string();
            // This one prints a structure of the decoder.
            let is_check_sum = message.starts_with("CRC error");
            DecodeError::damaged(if is_check_sum {
                "a check sum does not fit".to_owned()
            } else {
                message
            })
        }
    }
}

struct Chunk<'a> {
    kind: &'a [u8; 4],
    payload: &'a [u8],
}

/// All chunks that are whole, in order. Check sums are the decoder's business.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let mut rest = bytes.get(SIGNATURE_BYTES..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, behind) = rest.split_first_chunk::<4>()?;
        let (kind, behind) = behind.split_first_chunk::<4>()?;
        let (payload, behind) = behind.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        rest = behind.get(4..)?;
        Some(Chunk { kind, payload })
    })
}

#[cfg(test)]
#[expect(
    clippy::cast_possible_truncation,
    reason = "test pictures hold the low byte of a coordinate"
)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn picture(
        width_px: u32,
        height_px: u32,
        color: ColorType,
        depth: png::BitDepth,
        data: &[u8],
    ) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width_px, height_px);
        encoder.set_color(color);
        encoder.set_depth(depth);
        encoder.write_header().expect("a header").write_image_data(data).expect("pixels");
        bytes
    }

    fn rgb(width_px: u32, height_px: u32) -> Vec<u8> {
        let data: Vec<u8> = (0..height_px)
            .flat_map(|y| (0..width_px).flat_map(move |x| [x as u8, y as u8, (x ^ y) as u8]))
            .collect();
        picture(width_px, height_px, ColorType::Rgb, png::BitDepth::Eight, &data)
    }

    fn insert_chunk(bytes: &mut Vec<u8>, kind: &[u8; 4], payload: &[u8]) {
        let mut chunk = u32::try_from(payload.len()).expect("short").to_be_bytes().to_vec();
        chunk.extend_from_slice(kind);
        chunk.extend_from_slice(payload);
        // CRC-32 as PNG counts it, over kind and payload.
        let mut crc = u32::MAX;
        for byte in &chunk[4..] {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
            }
        }
        chunk.extend_from_slice(&(!crc).to_be_bytes());
        bytes.splice(33..33, chunk);
    }

    #[test]
    fn small_picture_is_exact() {
        let stored = decode(&rgb(5, 3), DecodeSpec::default()).expect("decodes");
        assert_eq!(&stored.frame.rgb()[..9], [0, 0, 0, 1, 0, 1, 2, 0, 2]);
    }

    #[test]
    fn gray_alpha_and_deep_pictures_become_rgb() {
        use png::BitDepth::{Eight, Sixteen};
        for (color, depth, data, wanted) in [
            (ColorType::Grayscale, Eight, vec![7], [7, 7, 7]),
            (ColorType::GrayscaleAlpha, Eight, vec![7, 0], [255, 255, 255]),
            (ColorType::Rgba, Eight, vec![1, 2, 3, 255], [1, 2, 3]),
            (ColorType::Rgb, Sixteen, vec![1, 99, 2, 99, 3, 99], [1, 2, 3]),
            (ColorType::Rgba, Sixteen, vec![1, 9, 2, 9, 3, 9, 0, 0], [255, 255, 255]),
        ] {
            let bytes = picture(1, 1, color, depth, &data);
            let stored = decode(&bytes, DecodeSpec::default()).expect("decodes");
            assert_eq!(stored.frame.rgb(), wanted, "{color:?} {depth:?}");
        }
    }

    #[test]
    fn large_picture_is_averaged_and_still_covers() {
        let bytes = rgb(1001, 403);
        let stored =
            decode(&bytes, DecodeSpec { cover_px: 100, ..DecodeSpec::default() }).expect("decodes");
        assert_eq!((stored.frame.width_px(), stored.frame.height_px()), (201, 81));
        assert_eq!((stored.width_px, stored.height_px), (1001, 403));
        // Block (1, 1) spans x and y from 5 to 9: their means are 7.
        let at = (201 + 1) * 3;
        assert_eq!(stored.frame.rgb()[at..at + 2], [7, 7]);
    }

    #[test]
    fn file_cut_anywhere_ends_early() {
        let bytes = rgb(60, 40);
        for end in 8..bytes.len() {
            let error = decode(&bytes[..end], DecodeSpec::default()).expect_err("cut");
            assert!(matches!(error, DecodeError::EndsEarly), "cut at {end}: {error:?}");
        }
    }

    #[test]
    fn profile_of_any_chunk_is_found() {
        let colours_with = |kind: &[u8; 4], payload: &[u8]| {
            let mut bytes = rgb(4, 4);
            insert_chunk(&mut bytes, kind, payload);
            decode(&bytes, DecodeSpec::default()).expect("decodes").colours
        };
        let coded = Colours::Coded { primaries: 12, transfer: 13 };
        assert_eq!(colours_with(b"cICP", &[12, 13, 0, 1]), coded);
        assert_eq!(colours_with(b"gAMA", &45_455_u32.to_be_bytes()), Colours::Srgb);
        // "abc" packed without compression (RFC 1950 and 1951).
        let packed = b"name\0\0\x78\x01\x01\x03\0\xFC\xFFabc\x02\x4D\x01\x27";
        assert_eq!(colours_with(b"iCCP", packed), Colours::Icc(b"abc".to_vec()));
        let mut bytes = rgb(4, 4);
        insert_chunk(&mut bytes, b"gAMA", &100_000_u32.to_be_bytes());
        let points: Vec<u8> = [31_270_u32, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000]
            .into_iter()
            .flat_map(u32::to_be_bytes)
            .collect();
        insert_chunk(&mut bytes, b"cHRM", &points);
        let colours = decode(&bytes, DecodeSpec::default()).expect("decodes").colours;
        assert!(matches!(colours, Colours::Primaries { exponent: 1.0, .. }), "{colours:?}");
    }

    #[test]
    fn text_that_would_unpack_to_gigabytes_is_not_unpacked() {
        let mut bytes = rgb(4, 4);
        // A deflate stream that ends in nonsense: unpacking it would be an error.
        let mut text = b"Comment\0\0\x78\x9C".to_vec();
        text.extend_from_slice(&[0xFF; 64]);
        insert_chunk(&mut bytes, b"zTXt", &text);
        let mut profile = b"ICC\0\0\x78\x9C".to_vec();
        profile.extend_from_slice(&[0xFF; 64]);
        insert_chunk(&mut bytes, b"iCCP", &profile);
        decode(&bytes, DecodeSpec::default()).expect("decodes");
    }

    #[test]
    fn exif_chunk_is_found() {
        let mut bytes = rgb(4, 4);
        insert_chunk(&mut bytes, b"eXIf", b"MM\0*");
        assert_eq!(exif(&bytes), Some(b"MM\0*".as_slice()));
    }

    proptest! {
        #[test]
        fn any_changed_byte_is_survived(at in 8_usize..3000, value: u8) {
            let mut bytes = rgb(32, 24);
            let at = at % bytes.len();
            bytes[at] = value;
            let spec = DecodeSpec { cover_px: 8, pixels_max: 1_000_000, ..DecodeSpec::default() };
            let _either = decode(&bytes, spec);
        }
    }
}
