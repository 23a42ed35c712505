//! Tells picture formats apart by their first bytes. File names are not asked.
//!
//! In:  the bytes of a file.
//! Out: one of the formats we decode, or what else it seems to be, in words.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::DecodeError;

/// A format that we decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MediaType {
    /// `image/jpeg`
    #[serde(rename = "image/jpeg")]
    Jpeg,
    /// `image/png`
    #[serde(rename = "image/png")]
    Png,
    /// `image/webp`
    #[serde(rename = "image/webp")]
    WebP,
}

impl MediaType {
    /// As HTTP names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
        }
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Says which format the bytes are in.
///
/// # Errors
/// `Empty` without bytes, `Unsupported` for anything that is not on the allow-list.
pub fn detect(bytes: &[u8]) -> Result<MediaType, DecodeError> {
    match bytes {
        [] => Err(DecodeError::Empty),
        [0xFF, 0xD8, 0xFF, ..] => Ok(MediaType::Jpeg),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Ok(MediaType::Png),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Ok(MediaType::WebP),
        _ => Err(DecodeError::Unsupported { found: describe(bytes).into() }),
    }
}

/// Names what is not supported, so that the owner knows what to convert.
fn describe(bytes: &[u8]) -> &'static str {
    match bytes {
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => match brand.first_chunk() {
            Some(b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1") => {
                "HEIC"
            }
            Some(b"avif" | b"avis") => "AVIF",
            Some(b"crx ") => "Canon RAW (CR3)",
            Some(b"qt  ") => "a QuickTime film",
            _ => "an MP4 film",
        },
        [b'I', b'I', b'*', 0, _, _, _, _, b'C', b'R', ..] => "Canon RAW (CR2)",
        [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..] => "TIFF or RAW",
        [b'I', b'I', b'R', b'O' | b'S', ..] => "Olympus RAW (ORF)",
        [b'I', b'I', b'U', 0, ..] => "Panasonic RAW (RW2)",
        [b'F', b'U', b'J', b'I', b'F', b'I', b'L', b'M', ..] => "Fujifilm RAW (RAF)",
        [b'F', b'O', b'V', b'b', ..] => "Sigma RAW (X3F)",
        [b'G', b'I', b'F', b'8', ..] => "GIF",
        [b'B', b'M', ..] => "BMP",
        [0xFF, 0x0A, ..] | [0, 0, 0, 12, b'J', b'X', b'L', b' ', ..] => "JPEG XL",
        [0, 0, 0, 12, b'j', b'P', b' ', b' ', ..] | [0xFF, 0x4F, 0xFF, 0x51, ..] => "JPEG 2000",
        [b'8', b'B', b'P', b'S', ..] => "a Photoshop file",
        [b'%', b'P', b'D', b'F', ..] => "PDF",
        [b'P', b'K', 3, 4, ..] => "a ZIP archive",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => "a WAV recording",
        _ if bytes.iter().all(|byte| *byte == 0) => "only zero bytes",
        _ if is_text(bytes) => "text",
        _ => "not a picture we know",
    }
}

fn is_text(bytes: &[u8]) -> bool {
    let head = bytes.get(..512).unwrap_or(bytes);
    head.iter().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7E | 0x80..))
        && (head.is_ascii() || std::str::from_utf8(bytes.get(..256).unwrap_or(bytes)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], wanted: &str) {
        let answer = match detect(bytes) {
            Ok(media_type) => media_type.to_string(),
            Err(DecodeError::Unsupported { found }) => found.into_owned(),
            Err(other) => other.to_string(),
        };
        assert_eq!(answer, wanted, "{bytes:?}");
    }

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        check(b"\xFF\xD8\xFF\xE0", "image/jpeg");
        check(b"\x89PNG\r\n\x1A\n....", "image/png");
        check(b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp");
        check(b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC");
        check(b"II*\0\x08\0\0\0", "TIFF or RAW");
        check(b"GIF89a", "GIF");
        check(b"<html>not a photo</html>", "text");
        check(&[0; 4096], "only zero bytes");
        check(b"\xFF\xD8", "not a picture we know");
        check(b"", "the file is empty");
    }
}
