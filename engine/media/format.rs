//! Tells picture formats apart by their bytes. File names are not asked.
//!
//! In:  the bytes of a file.
//! Out: one of the formats we decode, or what else it seems to be and what to do about it.
//!
//! Most formats begin with a mark of their own. RAW files of most makers are TIFF files and
//! say so only in their directories: a picture of raw sensor data in one of them makes it a
//! RAW file, and the maker's name says whose.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::DecodeError;
use super::ifd::{Directory, Tiff};

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
    /// `image/tiff`
    #[serde(rename = "image/tiff")]
    Tiff,
    /// `image/gif`
    #[serde(rename = "image/gif")]
    Gif,
    /// `image/heic`: HEIF files of any codec but AV1.
    #[serde(rename = "image/heic")]
    Heic,
    /// `image/avif`
    #[serde(rename = "image/avif")]
    Avif,
    /// `image/x-nikon-nef`
    #[serde(rename = "image/x-nikon-nef")]
    Nef,
    /// `image/x-canon-cr2`
    #[serde(rename = "image/x-canon-cr2")]
    Cr2,
    /// `image/x-canon-cr3`
    #[serde(rename = "image/x-canon-cr3")]
    Cr3,
    /// `image/x-sony-arw`
    #[serde(rename = "image/x-sony-arw")]
    Arw,
    /// `image/x-adobe-dng`
    #[serde(rename = "image/x-adobe-dng")]
    Dng,
    /// `image/x-fuji-raf`
    #[serde(rename = "image/x-fuji-raf")]
    Raf,
    /// `image/x-olympus-orf`
    #[serde(rename = "image/x-olympus-orf")]
    Orf,
}

impl MediaType {
    /// As HTTP names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Tiff => "image/tiff",
            Self::Gif => "image/gif",
            Self::Heic => "image/heic",
            Self::Avif => "image/avif",
            Self::Nef => "image/x-nikon-nef",
            Self::Cr2 => "image/x-canon-cr2",
            Self::Cr3 => "image/x-canon-cr3",
            Self::Arw => "image/x-sony-arw",
            Self::Dng => "image/x-adobe-dng",
            Self::Raf => "image/x-fuji-raf",
            Self::Orf => "image/x-olympus-orf",
        }
    }

    /// Whether it is a camera's raw data, of which the preview inside is shown.
    pub const fn is_raw(self) -> bool {
        matches!(
            self,
            Self::Nef | Self::Cr2 | Self::Cr3 | Self::Arw | Self::Dng | Self::Raf | Self::Orf
        )
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
    let found = match bytes {
        [] => return Err(DecodeError::Empty),
        [0xFF, 0xD8, 0xFF, ..] => Ok(MediaType::Jpeg),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Ok(MediaType::Png),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Ok(MediaType::WebP),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Ok(MediaType::Gif),
        [_, _, _, _, b'f', b't', b'y', b'p', brands @ ..] => of_brands(bytes, brands),
        [b'F', b'U', b'J', b'I', b'F', b'I', b'L', b'M', b'C', b'C', b'D', ..] => {
            Ok(MediaType::Raf)
        }
        [b'I', b'I', b'R', b'O' | b'S', ..] | [b'M', b'M', b'O', b'R', ..] => Ok(MediaType::Orf),
        [b'I', b'I', b'*', 0, _, _, _, _, b'C', b'R', ..] => Ok(MediaType::Cr2),
        [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..] => of_directories(bytes),
        _ => Err(describe(bytes)),
    };
    found.map_err(|found| DecodeError::Unsupported { found: found.into() })
}

/// ISO base media files name the standards they keep to, the main one first.
fn of_brands(bytes: &[u8], brands: &[u8]) -> Result<MediaType, &'static str> {
    let length = bytes.first_chunk().map_or(0, |length| u32::from_be_bytes(*length) as usize);
    // Behind the main brand and its version follow the others, inside the box.
    let others = bytes.get(16..length.min(bytes.len())).unwrap_or_default();
    let is_avif = || others.chunks_exact(4).any(|brand| brand == b"avif" || brand == b"avis");
    match brands.first_chunk() {
        Some(b"avif" | b"avis") => Ok(MediaType::Avif),
        Some(b"mif1" | b"msf1" | b"mif2" | b"MiHE" | b"MiHB") if is_avif() => Ok(MediaType::Avif),
        Some(
            b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1" | b"mif2"
            | b"MiHE" | b"MiHB",
        ) => Ok(MediaType::Heic),
        Some(b"crx ") => Ok(MediaType::Cr3),
        Some(b"qt  ") => Err("a QuickTime film; a film is no photo"),
        _ => Err("an MP4 film; a film is no photo"),
    }
}

/// Tells TIFF from the RAW files that are built like it.
fn of_directories(bytes: &[u8]) -> Result<MediaType, &'static str> {
    const MAKE: u16 = 0x010F;
    const SUB_DIRECTORIES: u16 = 0x014A;
    const DNG_VERSION: u16 = 0xC612;
    let directories = || Tiff::read(bytes).into_iter().flat_map(Tiff::chain);
    if directories().any(|directory| directory.number(DNG_VERSION).is_some()) {
        return Ok(MediaType::Dng);
    }
    let is_raw = directories().any(|directory| {
        holds_sensor_data(directory) || directory.children(SUB_DIRECTORIES).any(holds_sensor_data)
    });
    if !is_raw {
        return Ok(MediaType::Tiff);
    }
    let make = directories().find_map(|directory| directory.text(MAKE)).unwrap_or_default();
    match make {
        [b'N', b'I', b'K', b'O', b'N', ..] => Ok(MediaType::Nef),
        [b'S', b'O', b'N', b'Y', ..] => Ok(MediaType::Arw),
        [b'C', b'a', b'n', b'o', b'n', ..] => Ok(MediaType::Cr2),
        _ => Err("the RAW format of a maker that is not known here; convert it to DNG or JPEG"),
    }
}

fn holds_sensor_data(directory: Directory<'_>) -> bool {
    const COMPRESSION: u16 = 0x0103;
    const COLOURS: u16 = 0x0106;
    const COLOUR_FILTER_ARRAY: u32 = 32803;
    const SONY_RAW: u32 = 32767;
    const NIKON_RAW: u32 = 34713;
    directory.number(COLOURS) == Some(COLOUR_FILTER_ARRAY)
        || matches!(directory.number(COMPRESSION), Some(SONY_RAW | NIKON_RAW))
}

/// Names what is not supported, and what the owner can do.
fn describe(bytes: &[u8]) -> &'static str {
    match bytes {
        [b'I', b'I', b'+', 0, ..] | [b'M', b'M', 0, b'+', ..] => {
            "a BigTIFF; save it as an ordinary TIFF"
        }
        [b'I', b'I', b'U', 0, ..] => "a Panasonic RAW (RW2); convert it to DNG or JPEG",
        [b'F', b'O', b'V', b'b', ..] => "a Sigma RAW (X3F); convert it to DNG or JPEG",
        [b'B', b'M', ..] => "a BMP; convert it to PNG",
        [0xFF, 0x0A, ..] | [0, 0, 0, 12, b'J', b'X', b'L', b' ', ..] => {
            "a JPEG XL; convert it to JPEG or PNG"
        }
        [0, 0, 0, 12, b'j', b'P', b' ', b' ', ..] | [0xFF, 0x4F, 0xFF, 0x51, ..] => {
            "a JPEG 2000; convert it to JPEG or PNG"
        }
        [b'8', b'B', b'P', b'S', ..] => "a Photoshop file; export it as JPEG, PNG or TIFF",
        [b'%', b'P', b'D', b'F', ..] => "a PDF; a document is no photo",
        [b'P', b'K', 3, 4, ..] => "a ZIP archive; unpack it",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => {
            "a WAV recording; a recording is no photo"
        }
        _ if bytes.iter().all(|byte| *byte == 0) => {
            "only zero bytes; copy it again from where it came"
        }
        _ if is_text(bytes) => "a text; a text is no photo",
        _ => "not a picture that is known here; convert it to JPEG or PNG",
    }
}

fn is_text(bytes: &[u8]) -> bool {
    let head = bytes.get(..512).unwrap_or(bytes);
    head.iter().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7E | 0x80..))
        && (head.is_ascii() || std::str::from_utf8(bytes.get(..256).unwrap_or(bytes)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::super::ifd::tests::{Builder, Value};
    use super::*;

    fn check(bytes: &[u8], wanted: &str) {
        let answer = match detect(bytes) {
            Ok(media_type) => media_type.to_string(),
            Err(DecodeError::Unsupported { found }) => found.into_owned(),
            Err(other) => other.to_string(),
        };
        assert!(answer.starts_with(wanted), "{answer}, not {wanted}: {bytes:?}");
    }

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        check(b"\xFF\xD8\xFF\xE0", "image/jpeg");
        check(b"\x89PNG\r\n\x1A\n....", "image/png");
        check(b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp");
        check(b"GIF89a", "image/gif");
        check(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "image/heic");
        check(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "image/heic");
        check(b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "image/avif");
        check(b"\0\0\0\x18ftypavif\0\0\0\0mif1avif", "image/avif");
        check(b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom", "image/x-canon-cr3");
        check(b"\0\0\0\x18ftypqt  \0\0\0\0", "a QuickTime film");
        check(b"FUJIFILMCCD-RAW 0201", "image/x-fuji-raf");
        check(b"IIRO\x08\0\0\0", "image/x-olympus-orf");
        check(b"II*\0\x10\0\0\0CR\x02\0", "image/x-canon-cr2");
        check(b"II*\0\x08\0\0\0", "image/tiff");
        check(b"II+\0\x08\0\0\0", "a BigTIFF");
        check(b"<html>not a photo</html>", "a text");
        check(&[0; 4096], "only zero bytes");
        check(b"\xFF\xD8", "not a picture");
        check(b"", "the file is empty");
    }

    /// A TIFF structure with these entries, and those of a sub-directory.
    fn tiff(entries: &[(u16, Value)], sub: &[(u16, Value)]) -> Vec<u8> {
        let mut builder = Builder::new();
        let child = builder.directory(sub, 0);
        let mut entries = entries.to_vec();
        entries.push((0x014A, Value::Longs(vec![child])));
        let first = builder.directory(&entries, 0);
        builder.finish(first)
    }

    #[test]
    fn raw_files_are_told_from_tiff_by_what_is_in_them() {
        let make = |name| (0x010F, Value::Text(name));
        let sensor = (0x0106, Value::Short(32803));
        let colour = (0x0106, Value::Short(2));
        for (entries, sub, wanted) in [
            (vec![make("NIKON CORPORATION")], sensor.clone(), "image/x-nikon-nef"),
            (vec![make("SONY")], sensor.clone(), "image/x-sony-arw"),
            (vec![make("SONY")], (0x0103, Value::Short(32767)), "image/x-sony-arw"),
            (vec![make("Canon")], sensor.clone(), "image/x-canon-cr2"),
            (vec![make("RICOH")], sensor.clone(), "the RAW format of a maker"),
            (
                vec![make("RICOH"), (0xC612, Value::Raw(vec![1, 4, 0, 0]))],
                sensor,
                "image/x-adobe-dng",
            ),
            // What the makers' own programs export as TIFF keeps the camera's name.
            (vec![make("NIKON CORPORATION")], colour.clone(), "image/tiff"),
            (vec![make("Canon")], colour, "image/tiff"),
        ] {
            check(&tiff(&entries, &[sub]), wanted);
        }
    }
}
