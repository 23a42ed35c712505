//! Finds the blocks of metadata in a picture file of any format.
//!
//! In:  the bytes of a picture.
//! Out: where its Exif, XMP and IPTC blocks are, its multi-picture directory, and where
//!      its own picture data begins.
//!
//! Walks headers only, as far as they make sense; whether the picture can be decoded is
//! for the codecs to say. A block that is repeated counts once, the first time.

use std::borrow::Cow;
use std::io::Cursor;

use super::boxes::{Place, boxes};
use super::bytes::{array, be16, be32, le32, slice};
use crate::media::bmff;
use crate::media::ifd::Tiff;
use crate::media::jpeg::markers::{SCAN, header};

/// Where Exif begins in a JPEG segment; other formats have it without, or by mistake with.
const EXIF_MARK: &[u8] = b"Exif\0\0";
const XMP_MARK: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
const IPTC_MARK: &[u8] = b"Photoshop 3.0\0";
const MPF_MARK: &[u8] = b"MPF\0";

/// Items of one HEIC or AVIF file that are looked at; photos in tiles have some hundred.
const ITEMS_MAX: usize = 4096;

/// More bytes of one item are not taken.
const ITEM_BYTES_MAX: usize = super::xmp::BYTES_MAX;

/// The blocks of one file.
#[derive(Debug, Default)]
pub(crate) struct Blocks<'a> {
    /// A TIFF structure.
    pub(super) exif: Option<Cow<'a, [u8]>>,
    pub(super) xmp: Option<Cow<'a, [u8]>>,
    pub(super) iptc: Option<Iptc<'a>>,
    /// The multi-picture directory and where it begins, which its offsets count from.
    pub(super) multi_picture: Option<(usize, &'a [u8])>,
    /// Where a JPEG's first scan begins: nothing before it is behind the picture.
    pub(super) scan_at: Option<usize>,
    /// Boxes of the top level, in a file that is made of boxes.
    pub(super) boxes: Vec<Place>,
}

/// Press records, in the wrapping they come in.
#[derive(Debug)]
pub(super) enum Iptc<'a> {
    Resources(Cow<'a, [u8]>),
    Records(&'a [u8]),
}

impl<'a> Blocks<'a> {
    /// Looks through a file.
    pub(crate) fn find(bytes: &'a [u8]) -> Self {
        let found = match bytes {
            [0xFF, 0xD8, 0xFF, ..] => Some(Self::in_jpeg(bytes)),
            [0x89, b'P', b'N', b'G', ..] => Some(Self::in_png(bytes)),
            [b'R', b'I', b'F', b'F', ..] => Some(Self::in_webp(bytes)),
            [b'I', b'I', ..] | [b'M', b'M', ..] => Self::in_tiff(bytes),
            [_, _, _, _, b'f', b't', b'y', b'p', ..] => Self::in_boxes(bytes),
            _ => None,
        };
        found.unwrap_or_default()
    }

    fn in_jpeg(bytes: &'a [u8]) -> Self {
        let mut found = Self::default();
        for segment in header(bytes) {
            let payload = segment.payload;
            match segment.marker {
                SCAN => found.scan_at = Some(segment.begin),
                0xE1 if payload.starts_with(EXIF_MARK) => {
                    found.exif.get_or_insert(Cow::Borrowed(without(payload, EXIF_MARK)));
                }
                0xE1 if payload.starts_with(XMP_MARK) => {
                    found.xmp.get_or_insert(Cow::Borrowed(without(payload, XMP_MARK)));
                }
                0xE2 if payload.starts_with(MPF_MARK) => {
                    let begin = segment.end - payload.len() + MPF_MARK.len();
                    found.multi_picture.get_or_insert((begin, without(payload, MPF_MARK)));
                }
                0xED if payload.starts_with(IPTC_MARK) => {
                    // What does not fit into one segment goes on in the next.
                    let more = without(payload, IPTC_MARK);
                    match &mut found.iptc {
                        Some(Iptc::Resources(so_far)) if so_far.len() < ITEM_BYTES_MAX => {
                            so_far.to_mut().extend_from_slice(more);
                        }
                        Some(_) => {}
                        None => found.iptc = Some(Iptc::Resources(more.into())),
                    }
                }
                _ => {}
            }
        }
        found
    }

    fn in_png(bytes: &'a [u8]) -> Self {
        let mut found = Self::default();
        let mut at = 8;
        while let (Some(size), Some(kind)) = (be32(bytes, at), array::<4>(bytes, at + 4)) {
            let Some(payload) = usize::try_from(size).ok().and_then(|n| slice(bytes, at + 8, n))
            else {
                break;
            };
            match &kind {
                b"eXIf" => {
                    found.exif.get_or_insert(Cow::Borrowed(without(payload, EXIF_MARK)));
                }
                // Key, not compressed, no language, no translated key.
                b"iTXt" => {
                    if let Some(packet) = payload.strip_prefix(b"XML:com.adobe.xmp\0\0\0\0\0") {
                        found.xmp.get_or_insert(Cow::Borrowed(packet));
                    }
                }
                _ => {}
            }
            at += payload.len() + 12;
        }
        found
    }

    fn in_webp(bytes: &'a [u8]) -> Self {
        let mut found = Self::default();
        let mut at = 12;
        while let (Some(kind), Some(size)) = (array::<4>(bytes, at), le32(bytes, at + 4)) {
            let Some(payload) = usize::try_from(size).ok().and_then(|n| slice(bytes, at + 8, n))
            else {
                break;
            };
            match &kind {
                b"EXIF" => {
                    found.exif.get_or_insert(Cow::Borrowed(without(payload, EXIF_MARK)));
                }
                b"XMP " => {
                    found.xmp.get_or_insert(Cow::Borrowed(payload));
                }
                _ => {}
            }
            at += 8 + payload.len().next_multiple_of(2);
        }
        found
    }

    fn in_tiff(bytes: &'a [u8]) -> Option<Self> {
        const XMP_TAG: u16 = 700;
        const IPTC_TAG: u16 = 33723;
        let directory = Tiff::read(bytes)?.chain().next()?;
        Some(Self {
            exif: Some(bytes.into()),
            xmp: directory.bytes(XMP_TAG).map(Cow::Borrowed),
            iptc: directory.bytes(IPTC_TAG).map(Iptc::Records),
            ..Self::default()
        })
    }

    fn in_boxes(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Cursor::new(bytes);
        let mut found =
            Self { boxes: boxes(&mut reader, 0..bytes.len() as u64).ok()?, ..Self::default() };
        let meta = found.boxes.iter().find(|place| place.kind == *b"meta").copied();
        if let Some(items) = meta.and_then(|meta| Items::open(bytes, meta)) {
            // Four bytes say where the TIFF header begins behind them.
            found.exif = items.read(b"Exif", b"").and_then(|block| {
                let begin = usize::try_from(be32(&block, 0)?).ok()?.checked_add(4)?;
                Some(without(block.get(begin..)?, EXIF_MARK).to_vec().into())
            });
            found.xmp = items.read(b"mime", b"application/rdf+xml").map(Cow::Owned);
        }
        Some(found)
    }
}

fn without<'a>(payload: &'a [u8], mark: &[u8]) -> &'a [u8] {
    payload.strip_prefix(mark).unwrap_or(payload)
}

/// The items of a HEIC or AVIF file (ISO 14496-12, 8.11): which there are, where they lie.
struct Items<'a> {
    bytes: &'a [u8],
    infos: &'a [u8],
    locations: &'a [u8],
    data: &'a [u8],
}

impl<'a> Items<'a> {
    fn open(bytes: &'a [u8], meta: Place) -> Option<Self> {
        // Four bytes of version and flags come first.
        let begin = usize::try_from(meta.body).ok()?.checked_add(4)?;
        let content = bytes.get(begin..usize::try_from(meta.end).ok()?)?;
        let part = |kind| bmff::find(content, kind);
        let (infos, locations) = (part(b"iinf")?, part(b"iloc")?);
        Some(Self { bytes, infos, locations, data: part(b"idat").unwrap_or_default() })
    }

    /// The content of the first item of a type.
    fn read(&self, kind: &[u8; 4], content_type: &[u8]) -> Option<Vec<u8>> {
        self.extents(self.id_of(kind, content_type)?)
    }

    fn id_of(&self, kind: &[u8; 4], content_type: &[u8]) -> Option<u32> {
        let entries_at = if *self.infos.first()? == 0 { 6 } else { 8 };
        let mut entries = self.infos.get(entries_at..)?;
        for _ in 0..ITEMS_MAX {
            let size = usize::try_from(be32(entries, 0)?).ok()?;
            let (entry, behind) = entries.split_at_checked(size)?;
            entries = behind;
            // `infe`: version 2 has short numbers, version 3 long ones.
            let (id, rest) = match entry.get(8)? {
                2 => (u32::try_from(be16(entry, 12)?).ok()?, entry.get(16..)?),
                3 => (be32(entry, 12)?, entry.get(18..)?),
                _ => continue,
            };
            // Type, name and its zero, type of content and its zero.
            let Some(names) = rest.strip_prefix(kind) else { continue };
            let found = names.split(|byte| *byte == 0).nth(1).unwrap_or_default();
            if content_type.is_empty() || found == content_type {
                return Some(id);
            }
        }
        None
    }

    fn extents(&self, wanted: u32) -> Option<Vec<u8>> {
        let mut rest = Numbers(self.locations);
        let version = rest.take(1)?;
        rest.take(3)?;
        let sizes = rest.take(2)?;
        let nibble = |shift: u32| usize::try_from(sizes >> shift & 15).ok();
        let (offset_bytes, length_bytes, base_bytes) = (nibble(12)?, nibble(8)?, nibble(4)?);
        let index_bytes = if version == 0 { 0 } else { nibble(0)? };
        let id_bytes = if version < 2 { 2 } else { 4 };
        let count = rest.take(id_bytes)?;
        for _ in 0..count.min(ITEMS_MAX as u64) {
            let id = rest.take(id_bytes)?;
            let method = if version == 0 { 0 } else { rest.take(2)? & 15 };
            rest.take(2)?;
            let base = rest.take(base_bytes)?;
            let extents_count = rest.take(2)?;
            let mut content = Vec::new();
            for _ in 0..extents_count {
                rest.take(index_bytes)?;
                let (offset, length) = (rest.take(offset_bytes)?, rest.take(length_bytes)?);
                if id != u64::from(wanted) {
                    continue;
                }
                let source = if method == 1 { self.data } else { self.bytes };
                let begin = usize::try_from(base.checked_add(offset)?).ok()?;
                content.extend_from_slice(slice(source, begin, usize::try_from(length).ok()?)?);
                if content.len() > ITEM_BYTES_MAX {
                    return None;
                }
            }
            if id == u64::from(wanted) {
                return Some(content);
            }
        }
        None
    }
}

/// Numbers of changing width, one behind another.
struct Numbers<'a>(&'a [u8]);

impl Numbers<'_> {
    /// A number of up to 8 bytes, big end first; without bytes it is 0.
    fn take(&mut self, count: usize) -> Option<u64> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}
