//! Writes a frame as JPEG, with one packet of our own metadata and nothing else.
//!
//! In:  upright pixels, a quality, an XMP packet.
//! Out: a baseline JPEG, 4:2:0, with `APP0` (JFIF) and `APP1` (XMP).

use turbojpeg::{Compressor, Image, PixelFormat, Subsamp};

use super::PreviewError;
use crate::media::Frame;

/// What a segment with a two-byte length can hold beside its length and name.
const PACKET_BYTES_MAX: usize = 65_533 - XMP_NAME.len();

const XMP_NAME: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";

/// Encodes a frame.
///
/// - `quality`: 1 to 100, as libjpeg counts
/// - `packet`: the XMP packet, at most 65,504 bytes
///
/// # Errors
/// `Encode` when the encoder refuses, `ImprintTooLong` when the packet does not fit.
pub fn jpeg(frame: &Frame, quality: u8, packet: &[u8]) -> Result<Vec<u8>, PreviewError> {
    if packet.len() > PACKET_BYTES_MAX {
        return Err(PreviewError::ImprintTooLong {
            bytes_count: packet.len(),
            bytes_max: PACKET_BYTES_MAX,
        });
    }
    let encoded = encode(frame, quality).map_err(|error| PreviewError::Encode(Box::new(error)))?;
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
    fn packet_that_does_not_fit_is_refused() {
        let frame = Frame::new(1, 1, vec![0; 3]).expect("a frame");
        assert!(jpeg(&frame, 80, &vec![b' '; PACKET_BYTES_MAX]).is_ok());
        let error = jpeg(&frame, 80, &vec![b' '; PACKET_BYTES_MAX + 1]).expect_err("too long");
        assert!(matches!(error, PreviewError::ImprintTooLong { .. }), "{error}");
    }
}
