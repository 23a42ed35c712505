//! Decodes camera RAW files through the largest picture inside that the camera developed.
//!
//! In:  a whole NEF, CR2, CR3, ARW, DNG, RAF or ORF file.
//! Out: the pixels of its preview as stored, and what the RAW file says of itself.
//!
//! Sensor data is never developed: what the camera showed is what the owner saw. Upright is
//! what the RAW file says; what the preview says of that is not asked, for it may have been
//! turned already in one and not in the other.
//!
//! **The size reported** is that of the developed picture as the RAW file names it, when its
//! sides are in the same proportion as those of the preview; else the preview's own.
//!
//! A file in which sensor data lies behind the end is an unfinished copy, even when the
//! preview is whole.

use super::bmff;
use super::colour::Colours;
use super::decode::{DecodeError, DecodeSpec, PREVIEW_SIDE_PX_MIN, SIDE_PX_MAX, Stored};
use super::format::MediaType;
use super::ifd::{Directory, Tiff};
use super::jpeg;
use super::metadata::{self, Metadata};

/// Decodes the preview.
pub(super) fn decode(
    bytes: &[u8],
    media_type: MediaType,
    spec: DecodeSpec,
) -> Result<(Stored, Metadata), DecodeError> {
    let contents = Contents::read(bytes, media_type)?;
    let preview = contents.largest_preview().ok_or(DecodeError::NoPreview)?;
    let mut stored = jpeg::decode(preview, spec)?;
    if stored.colours == Colours::Srgb && metadata::says_adobe_rgb(bytes) {
        stored.colours = Colours::AdobeRgb;
    }
    let own = (stored.width_px, stored.height_px);
    let developed = contents.sizes.iter().copied().find(|size| is_same_shape(*size, own));
    (stored.width_px, stored.height_px) = developed.unwrap_or(own);
    Ok((stored, contents.metadata))
}

/// What was found in a RAW file.
struct Contents<'a> {
    /// Anything that may be a JPEG stream.
    previews: Vec<&'a [u8]>,
    /// Sizes that the developed picture may have, the most credible first.
    sizes: Vec<(u32, u32)>,
    metadata: Metadata,
}

impl<'a> Contents<'a> {
    fn read(bytes: &'a [u8], media_type: MediaType) -> Result<Self, DecodeError> {
        match media_type {
            MediaType::Raf => of_raf(bytes),
            MediaType::Cr3 => of_cr3(bytes),
            _ => of_tiff(bytes),
        }
    }

    fn largest_preview(&self) -> Option<&'a [u8]> {
        self.previews
            .iter()
            .filter_map(|preview| Some((jpeg::size(preview)?, *preview)))
            .filter(|((width, height), _)| *width.max(height) >= PREVIEW_SIDE_PX_MIN)
            .max_by_key(|((width, height), _)| u64::from(*width) * u64::from(*height))
            .map(|(_, preview)| preview)
    }
}

/// Whether two sizes differ by no more than 2 % in shape, as trimmed borders do.
fn is_same_shape(size: (u32, u32), other: (u32, u32)) -> bool {
    let cross = |a: u32, b: u32| u64::from(a) * u64::from(b);
    let (one, two) = (cross(size.0, other.1), cross(size.1, other.0));
    let is_size = (1..=SIDE_PX_MAX).contains(&size.0) && (1..=SIDE_PX_MAX).contains(&size.1);
    is_size && one.abs_diff(two) * 50 <= one.max(two)
}

const IMAGE_WIDTH: u16 = 0x0100;
const IMAGE_LENGTH: u16 = 0x0101;
const COMPRESSION: u16 = 0x0103;
const STRIP_OFFSETS: u16 = 0x0111;
const STRIP_BYTE_COUNTS: u16 = 0x0117;
const SUB_DIRECTORIES: u16 = 0x014A;
const JPEG_OFFSET: u16 = 0x0201;
const JPEG_BYTES: u16 = 0x0202;
const EXIF: u16 = 0x8769;
const MAKER_NOTE: u16 = 0x927C;
const PIXEL_X_DIMENSION: u16 = 0xA002;
const PIXEL_Y_DIMENSION: u16 = 0xA003;
const DEFAULT_CROP_SIZE: u16 = 0xC620;

/// Files built like TIFF: NEF, CR2, ARW, DNG, ORF. Previews are JPEG streams in any of their
/// directories (TIFF 6.0 §22, TIFF/EP) or where the maker's note says.
fn of_tiff(bytes: &[u8]) -> Result<Contents<'_>, DecodeError> {
    let tiff = Tiff::read(bytes).ok_or_else(|| DecodeError::damaged("it has no header"))?;
    let mut directories: Vec<_> = tiff.chain().collect();
    let children: Vec<_> =
        directories.iter().flat_map(|directory| directory.children(SUB_DIRECTORIES)).collect();
    directories.extend(children);
    let is_cut = directories.iter().any(|directory| directory.data_end() > bytes.len() as u64);
    if is_cut || tiff.is_cut() {
        return Err(DecodeError::EndsEarly);
    }
    let exif = directories.iter().find_map(|directory| directory.children(EXIF).next());
    let mut previews: Vec<_> =
        directories.iter().flat_map(|directory| streams(bytes, *directory)).collect();
    previews.extend(exif.and_then(|exif| of_maker_note(bytes, tiff, exif)));
    let pair = |directory: &Directory<'_>, width, height| {
        Some((directory.number(width)?, directory.number(height)?))
    };
    let mut sizes: Vec<_> = directories
        .iter()
        .filter_map(|directory| <[u32; 2]>::try_from(directory.numbers(DEFAULT_CROP_SIZE, 2)).ok())
        .map(|[width, height]| (width, height))
        .collect();
    sizes.extend(exif.and_then(|exif| pair(&exif, PIXEL_X_DIMENSION, PIXEL_Y_DIMENSION)));
    let stored = directories.iter().filter_map(|place| pair(place, IMAGE_WIDTH, IMAGE_LENGTH));
    sizes.extend(stored.max_by_key(|(width, height)| u64::from(*width) * u64::from(*height)));
    Ok(Contents { previews, sizes, metadata: Metadata::from_exif(bytes) })
}

/// JPEG streams that a directory names: as such, or as the only strip of a picture.
fn streams<'a>(
    bytes: &'a [u8],
    directory: Directory<'a>,
) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let named = stream_at(bytes, directory, JPEG_OFFSET, JPEG_BYTES);
    let is_jpeg = matches!(directory.number(COMPRESSION), Some(6 | 7 | 99));
    let strip = (is_jpeg && directory.numbers(STRIP_OFFSETS, 2).len() == 1)
        .then(|| stream_at(bytes, directory, STRIP_OFFSETS, STRIP_BYTE_COUNTS))
        .flatten();
    named.into_iter().chain(strip)
}

/// The bytes between an offset and its length, by two tags.
fn stream_at<'a>(
    bytes: &'a [u8],
    directory: Directory<'_>,
    offset: u16,
    length: u16,
) -> Option<&'a [u8]> {
    let (offset, length) = (directory.number(offset)?, directory.number(length)?);
    bytes.get(offset as usize..)?.get(..length as usize)
}

/// The preview of which only the maker's note knows: Olympus, and Nikons of old.
fn of_maker_note<'a>(bytes: &'a [u8], tiff: Tiff<'a>, exif: Directory<'a>) -> Option<&'a [u8]> {
    const NIKON_PREVIEW: u16 = 0x0011;
    const OLYMPUS_SETTINGS: u16 = 0x2020;
    const OLYMPUS_PREVIEW_OFFSET: u16 = 0x0101;
    const OLYMPUS_PREVIEW_BYTES: u16 = 0x0102;
    // Offsets count from the beginning of the note, and may point behind its end.
    let note = bytes.get(exif.offset(MAKER_NOTE)?..)?;
    if note.starts_with(b"Nikon\0\x02") {
        let inner = note.get(10..)?;
        let preview = Tiff::read(inner)?.chain().next()?.children(NIKON_PREVIEW).next()?;
        return stream_at(inner, preview, JPEG_OFFSET, JPEG_BYTES);
    }
    let first = match note {
        [b'O', b'L', b'Y', b'M', b'P', b'U', b'S', 0, ..] => 12,
        [b'O', b'M', b' ', b'S', b'Y', b'S', b'T', b'E', b'M', 0, ..] => 16,
        _ => return None,
    };
    let settings = tiff.over(note).directory(first)?.children(OLYMPUS_SETTINGS).next()?;
    stream_at(note, settings, OLYMPUS_PREVIEW_OFFSET, OLYMPUS_PREVIEW_BYTES)
}

/// Fujifilm: a header of fixed places, all numbers with the high byte first.
fn of_raf(bytes: &[u8]) -> Result<Contents<'_>, DecodeError> {
    const PREVIEW: usize = 0x54;
    const SENSOR_HEADER: usize = 0x5C;
    const SENSOR_DATA: usize = 0x64;
    let number = |at: usize| bytes.get(at..)?.first_chunk().map(|raw| u32::from_be_bytes(*raw));
    let part = |at: usize| -> Result<&[u8], DecodeError> {
        let (offset, length) = number(at).zip(number(at + 4)).ok_or(DecodeError::EndsEarly)?;
        let rest = bytes.get(offset as usize..).ok_or(DecodeError::EndsEarly)?;
        rest.get(..length as usize).ok_or(DecodeError::EndsEarly)
    };
    let (preview, sensor, _whole) = (part(PREVIEW)?, part(SENSOR_HEADER)?, part(SENSOR_DATA)?);
    let metadata = jpeg::exif(preview).map(Metadata::from_exif).unwrap_or_default();
    Ok(Contents {
        previews: vec![preview],
        sizes: raf_size(sensor).into_iter().collect(),
        metadata,
    })
}

/// Size of the developed picture, from a list of entries: tag, length, content.
fn raf_size(mut list: &[u8]) -> Option<(u32, u32)> {
    const CROPPED_SIZE: [u8; 2] = [0x01, 0x11];
    list = list.get(4..)?;
    loop {
        let (tag, rest) = list.split_first_chunk::<2>()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (content, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        if *tag == CROPPED_SIZE {
            let [h1, h0, w1, w0] = *content.first_chunk()?;
            return Some((
                u16::from_be_bytes([w1, w0]).into(),
                u16::from_be_bytes([h1, h0]).into(),
            ));
        }
        list = rest;
    }
}

/// Canon since 2018: an ISO base media file. A preview in a box of its own, a larger one as
/// the first track; EXIF in two boxes of Canon's.
fn of_cr3(bytes: &[u8]) -> Result<Contents<'_>, DecodeError> {
    const CANON: &[u8] = b"\x85\xC0\xB6\x87\x82\x0F\x11\xE0\x81\x11\xF4\xCE\x46\x2B\x6A\x48";
    const PREVIEW: &[u8] = b"\xEA\xF4\x2B\x5E\x1C\x98\x4B\x88\xB9\xFB\xB7\xDC\x40\x6E\x4D\x16";
    if bmff::is_cut(bytes) {
        return Err(DecodeError::EndsEarly);
    }
    let moov = bmff::find(bytes, b"moov").unwrap_or_default();
    let of_id = |place, id: &'static [u8]| {
        bmff::boxes(place)
            .filter(|found| found.kind == b"uuid")
            .find_map(|found| found.payload.strip_prefix(id))
    };
    let canon = of_id(moov, CANON).unwrap_or_default();
    let block =
        |kind| bmff::find(canon, kind).and_then(Tiff::read).and_then(|tiff| tiff.chain().next());
    let (picture, shot) = (block(b"CMT1"), block(b"CMT2"));
    // Eight bytes of no known meaning, then a box: some numbers, then the stream.
    let preview = of_id(bytes, PREVIEW)
        .and_then(|inside| bmff::find(inside.get(8..)?, b"PRVW"))
        .and_then(|inside| inside.get(16..));
    let tracks = bmff::boxes(moov).filter(|found| found.kind == b"trak");
    let samples = tracks.filter_map(|track| first_sample(bytes, track.payload));
    let pair = |directory: Option<Directory<'_>>, width, height| {
        Some((directory?.number(width)?, directory?.number(height)?))
    };
    let sizes = [
        pair(shot, PIXEL_X_DIMENSION, PIXEL_Y_DIMENSION),
        pair(picture, IMAGE_WIDTH, IMAGE_LENGTH),
    ];
    Ok(Contents {
        previews: preview.into_iter().chain(samples).collect(),
        sizes: sizes.into_iter().flatten().collect(),
        metadata: Metadata::from_directories(picture, shot),
    })
}

/// The first sample of a track (ISO/IEC 14496-12 §8.7).
fn first_sample<'a>(bytes: &'a [u8], track: &[u8]) -> Option<&'a [u8]> {
    let path: [&[u8; 4]; 4] = [b"mdia", b"minf", b"stbl", b"stsz"];
    let table = path[..3].iter().try_fold(track, |place, kind| bmff::find(place, kind))?;
    let number = |place: &[u8], at: usize| {
        Some(u32::from_be_bytes(*place.get(at..)?.first_chunk()?) as usize)
    };
    let sizes = bmff::find(table, path[3])?;
    // One size for all, or a list behind their count.
    let length = number(sizes, 4).filter(|size| *size > 0).or_else(|| number(sizes, 12))?;
    let offset = match bmff::find(table, b"co64") {
        Some(places) => u64::from_be_bytes(*places.get(8..)?.first_chunk()?).try_into().ok()?,
        None => number(bmff::find(table, b"stco")?, 8)?,
    };
    bytes.get(offset..)?.get(..length)
}

#[cfg(test)]
mod tests;
