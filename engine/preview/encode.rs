//! Writes a frame as JPEG or WebP, with one packet of our own metadata and nothing else.
//!
//! In:  upright pixels, a quality, an XMP packet.
//! Out: a baseline JPEG, 4:2:0, with `APP0` (JFIF) and `APP1` (XMP); or a lossy WebP in the
//!      extended layout, `VP8X`, `VP8 `, `XMP `.

use turbojpeg::{Compressor, Image, PixelFormat, Subsamp};

use super::PreviewError;
use crate::media::Frame;

/// What a segment with a two-byte length can hold beside its length and name.
const PACKET_BYTES_MAX: usize = 65_533 - XMP_NAME.len();

/// The flag in `VP8X` that says that a packet follows.
const WEBP_HAS_XMP: u8 = 0b0000_0100;

const XMP_NAME: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";

/// Encodes a frame.
///
/// - `quality`: 1 to 100, as libjpeg counts
/// - `packet`: the XMP packet, at most 65,504 bytes
///
/// # Errors
/// `Encode` when the encoder refuses, `ImprintTooLong` when the packet does not fit.
pub fn jpeg(frame: &Frame, quality: u8, packet: &[u8]) -> Result<Vec<u8>, PreviewError> {
    check_packet(packet)?;
    let encoded = bare_jpeg(frame, quality)?;
    let at = behind_app0(&encoded)
        .ok_or_else(|| PreviewError::Encode("the encoder wrote no JFIF header".into()))?;
    let (head, tail) = encoded.split_at(at);
    let length = u16::try_from(2 + XMP_NAME.len() + packet.len()).unwrap_or(u16::MAX);
    let mut bytes = Vec::with_capacity(encoded.len() + 4 + XMP_NAME.len() + packet.len());
    bytes.extend_from_slice(head);
    bytes.extend_from_slice(&[0xFF, 0xE1]);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(XMP_NAME);
    bytes.extend_from_slice(packet);
    bytes.extend_from_slice(tail);
    Ok(bytes)
}

/// Encodes a frame without any metadata, for what never leaves its owner.
///
/// # Errors
/// `Encode` when the encoder refuses.
pub fn bare_jpeg(frame: &Frame, quality: u8) -> Result<Vec<u8>, PreviewError> {
    encode(frame, quality).map_err(|error| PreviewError::Encode(Box::new(error)))
}

fn encode(frame: &Frame, quality: u8) -> Result<Vec<u8>, turbojpeg::Error> {
    let width = frame.width_px() as usize;
    let image = Image {
        pixels: frame.rgb(),
        width,
        pitch: width * 3,
        height: frame.height_px() as usize,
        format: PixelFormat::RGB,
    };
    let mut compressor = Compressor::new()?;
    compressor.set_quality(i32::from(quality.clamp(1, 100)))?;
    compressor.set_subsamp(Subsamp::Sub2x2)?;
    compressor.compress_to_vec(image)
}

/// Encodes a frame as lossy WebP.
///
/// - `quality`: 1 to 100, as libwebp counts
/// - sides: 1 to 16,383 px, which is as far as the format goes
/// - `packet`: the XMP packet
///
/// # Errors
/// `Encode` when the encoder refuses, `ImprintTooLong` as [`jpeg`], so that a preview does not
/// depend on its format.
pub fn webp(frame: &Frame, quality: u8, packet: &[u8]) -> Result<Vec<u8>, PreviewError> {
    check_packet(packet)?;
    let (width_px, height_px) = (frame.width_px(), frame.height_px());
    let encoded = webp::Encoder::from_rgb(frame.rgb(), width_px, height_px)
        .encode_simple(false, f32::from(quality.clamp(1, 100)))
        .map_err(|error| PreviewError::Encode(format!("libwebp says {error:?}").into()))?;
    // `RIFF`, length, `WEBP`, then the one chunk of a simple file.
    let picture = encoded
        .get(12..)
        .filter(|chunk| chunk.starts_with(b"VP8 "))
        .ok_or_else(|| PreviewError::Encode("the encoder wrote no lossy picture".into()))?;
    let mut bytes = Vec::with_capacity(encoded.len() + packet.len() + 64);
    bytes.extend_from_slice(b"RIFF\0\0\0\0WEBP");
    let mut extended = [0; 10];
    extended[0] = WEBP_HAS_XMP;
    extended[4..7].copy_from_slice(&(width_px - 1).to_le_bytes()[..3]);
    extended[7..10].copy_from_slice(&(height_px - 1).to_le_bytes()[..3]);
    put_chunk(&mut bytes, *b"VP8X", &extended);
    bytes.extend_from_slice(picture);
    put_chunk(&mut bytes, *b"XMP ", packet);
    let length =
        u32::try_from(bytes.len() - 8).map_err(|error| PreviewError::Encode(Box::new(error)))?;
    bytes[4..8].copy_from_slice(&length.to_le_bytes());
    Ok(bytes)
}

/// One chunk of a RIFF file, filled up to an even length.
fn put_chunk(bytes: &mut Vec<u8>, name: [u8; 4], content: &[u8]) {
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&name);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(content);
    if content.len() % 2 == 1 {
        bytes.push(0);
    }
}

fn check_packet(packet: &[u8]) -> Result<(), PreviewError> {
    if packet.len() > PACKET_BYTES_MAX {
        return Err(PreviewError::ImprintTooLong {
            bytes_count: packet.len(),
            bytes_max: PACKET_BYTES_MAX,
        });
    }
    Ok(())
}

/// Where the segment behind the JFIF header begins: readers want that header first.
fn behind_app0(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [0xFF, 0xD8, 0xFF, 0xE0, high, low, ..] => {
            Some(4 + usize::from(u16::from_be_bytes([*high, *low])))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packet_lies_right_behind_the_jfif_header() {
        let frame = Frame::new(16, 16, vec![120; 16 * 16 * 3]).expect("a frame");
        let bytes = jpeg(&frame, 80, b"<x/>").expect("encodes");
        assert_eq!(bytes[20..24], [0xFF, 0xE1, 0, 35]);
        assert_eq!(bytes[24..57], *b"http://ns.adobe.com/xap/1.0/\0<x/>");
        let decoded = turbojpeg::decompress(&bytes, PixelFormat::RGB).expect("decodes");
        assert_eq!((decoded.width, decoded.height), (16, 16));
        assert!(decoded.pixels.iter().all(|value| value.abs_diff(120) <= 1));
    }

    #[test]
    fn webp_is_read_back_with_its_packet_by_another_decoder() {
        for (width_px, height_px) in [(16, 16), (1, 1), (33, 7)] {
            let count = (width_px * height_px * 3) as usize;
            let frame = Frame::new(width_px, height_px, vec![120; count]).expect("a frame");
            let bytes = webp(&frame, 80, b"<x/>!").expect("encodes");
            assert_eq!(bytes.len() % 2, 0);
            let mut decoder =
                image_webp::WebPDecoder::new(std::io::Cursor::new(&bytes)).expect("a WebP");
            assert_eq!(decoder.dimensions(), (width_px, height_px));
            assert_eq!(decoder.xmp_metadata().expect("reads"), Some(b"<x/>!".to_vec()));
            assert_eq!(decoder.exif_metadata().expect("reads"), None);
            let mut pixels = vec![0; count];
            decoder.read_image(&mut pixels).expect("decodes");
            assert!(pixels.iter().all(|value| value.abs_diff(120) <= 2));
        }
    }

    #[test]
    fn packet_that_does_not_fit_is_refused() {
        let frame = Frame::new(1, 1, vec![0; 3]).expect("a frame");
        assert!(webp(&frame, 80, &vec![b' '; PACKET_BYTES_MAX + 1]).is_err());
        assert!(jpeg(&frame, 80, &vec![b' '; PACKET_BYTES_MAX]).is_ok());
        let error = jpeg(&frame, 80, &vec![b' '; PACKET_BYTES_MAX + 1]).expect_err("too long");
        assert!(matches!(error, PreviewError::ImprintTooLong { .. }), "{error}");
    }
}
