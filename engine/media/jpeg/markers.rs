//! Walks the markers of a JPEG file (ITU-T T.81, annex B).
//!
//! In:  a whole JPEG file.
//! Out: its segments, in order, and what the header says of frame, scans, profile, layout.
//!
//! Ends quietly where the bytes make no sense: libjpeg-turbo judges them, not we.

use super::super::colour::PROFILE_BYTES_MAX;

pub(super) const QUANTISATION: u8 = 0xDB;
pub(in crate::media) const SCAN: u8 = 0xDA;
pub(super) const END: u8 = 0xD9;
const APP0: u8 = 0xE0;
const APP1: u8 = 0xE1;
const APP2: u8 = 0xE2;
const APP14: u8 = 0xEE;
const APP15: u8 = 0xEF;
const COMMENT: u8 = 0xFE;

/// One marker with what belongs to it. The coded data behind a scan header is not part of it.
#[derive(Debug, Clone, Copy)]
pub(in crate::media) struct Segment<'a> {
    pub(in crate::media) marker: u8,
    pub(in crate::media) payload: &'a [u8],
    /// Where the marker itself begins.
    pub(in crate::media) begin: usize,
    /// Where the bytes behind it begin.
    pub(in crate::media) end: usize,
}

impl Segment<'_> {
    /// Whether it tells how Adobe's programs stored the colours.
    pub(super) fn is_adobe(&self) -> bool {
        self.marker == APP14 && self.payload.starts_with(b"Adobe")
    }

    /// Whether the pixels can do without it.
    pub(super) fn is_needless(&self) -> bool {
        matches!(self.marker, APP0..=APP15 | COMMENT) && !self.is_adobe()
    }

    /// Start of a frame: 0xC0 to 0xCF without tables (C4, C8, CC).
    pub(super) fn is_frame(&self) -> bool {
        (0xC0..=0xCF).contains(&self.marker) && !matches!(self.marker, 0xC4 | 0xC8 | 0xCC)
    }
}

/// The segments of the header; that of the first scan comes last.
pub(in crate::media) fn header(bytes: &[u8]) -> impl Iterator<Item = Segment<'_>> {
    let mut is_over = false;
    all(bytes).take_while(move |segment| {
        !std::mem::replace(&mut is_over, matches!(segment.marker, SCAN | END))
    })
}

/// The segments of the whole file, up to and with the end marker when there is one.
pub(super) fn all(bytes: &[u8]) -> impl Iterator<Item = Segment<'_>> {
    let mut at = Some(2);
    std::iter::from_fn(move || {
        let segment = segment_at(bytes, at?)?;
        at = (segment.marker != END).then_some(segment.end);
        Some(segment)
    })
}

/// Whether the picture reaches its end marker. Walks the whole file.
pub(super) fn ends(bytes: &[u8]) -> bool {
    all(bytes).any(|segment| segment.marker == END)
}

/// Reads the next marker at or behind `at` that has a length.
fn segment_at(bytes: &[u8], mut at: usize) -> Option<Segment<'_>> {
    loop {
        at += memchr::memchr(0xFF, bytes.get(at..)?)?;
        at += bytes.get(at..)?.iter().position(|byte| *byte != 0xFF)?;
        let (marker, begin) = (*bytes.get(at)?, at - 1);
        at += 1;
        match marker {
            // Stuffed bytes, restart marks and the like stand alone.
            0x00 | 0x01 | 0xD0..=0xD8 => {}
            END => return Some(Segment { marker, payload: &[], begin, end: at }),
            _ => {
                let length = usize::from(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
                let payload = bytes.get(at + 2..at + length)?;
                return Some(Segment { marker, payload, begin, end: at + length });
            }
        }
    }
}

/// The EXIF block, when there is one.
pub(in crate::media) fn exif(bytes: &[u8]) -> Option<&[u8]> {
    header(bytes).find_map(|segment| match segment.marker {
        APP1 => segment.payload.strip_prefix(b"Exif\0\0"),
        _ => None,
    })
}

/// The ICC profile, put together from its parts (ICC.1:2022, annex B.4); `None` when one is
/// missing.
pub(super) fn profile(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut parts: Vec<(u8, u8, &[u8])> = header(bytes)
        .filter(|segment| segment.marker == APP2)
        .filter_map(|segment| match segment.payload.strip_prefix(b"ICC_PROFILE\0")? {
            [number, count, part @ ..] => Some((*number, *count, part)),
            _ => None,
        })
        .collect();
    parts.sort_by_key(|(number, ..)| *number);
    let count = parts.first()?.1;
    let is_whole = parts.len() == usize::from(count)
        && parts.iter().zip(1..).all(|(part, number)| (part.0, part.1) == (number, count))
        && parts.iter().map(|part| part.2.len()).sum::<usize>() <= PROFILE_BYTES_MAX;
    is_whole.then(|| parts.iter().flat_map(|part| part.2).copied().collect())
}

/// The frame header: what kind of JPEG it is and how its samples are spread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// 0xC0 to 0xCF.
    pub(super) kind: u8,
    /// 8 nearly always.
    pub(super) sample_bits: u8,
    pub(super) width_px: u32,
    pub(super) height_px: u32,
    pub(super) components: Vec<Component>,
}

/// One kind of samples, such as lightness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Component {
    pub(super) id: u8,
    /// Blocks along (x, y) in each unit.
    pub(super) factors: (u32, u32),
    /// Number of its quantisation table.
    pub(super) table: u8,
}

impl FrameHeader {
    /// Finds and reads it.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let segment = header(bytes).find(Segment::is_frame)?;
        let [sample_bits, h1, h0, w1, w0, _count, entries @ ..] = segment.payload else {
            return None;
        };
        let components = entries
            .chunks_exact(3)
            .map(|entry| Component {
                id: entry[0],
                factors: (u32::from(entry[1] >> 4), u32::from(entry[1] & 15)),
                table: entry[2],
            })
            .collect();
        Some(Self {
            kind: segment.marker,
            sample_bits: *sample_bits,
            width_px: u32::from(u16::from_be_bytes([*w1, *w0])),
            height_px: u32::from(u16::from_be_bytes([*h1, *h0])),
            components,
        })
    }

    /// 0xC2 with Huffman codes, 0xCA with arithmetic ones.
    pub(super) const fn is_progressive(&self) -> bool {
        matches!(self.kind, 0xC2 | 0xCA)
    }

    /// No transform, no loss: how cameras store sensor data, among others.
    pub(super) const fn is_lossless(&self) -> bool {
        matches!(self.kind, 0xC3 | 0xCB)
    }

    /// Pictures in several sizes, each made from the smaller one. Nobody writes them.
    pub(super) const fn is_hierarchical(&self) -> bool {
        matches!(self.kind, 0xC5..=0xC7 | 0xCD..=0xCF)
    }

    /// The largest number of blocks in a unit, along (x, y).
    pub(super) fn factors_max(&self) -> (u32, u32) {
        let most = |x: (u32, u32), y: &Component| (x.0.max(y.factors.0), x.1.max(y.factors.1));
        self.components.iter().fold((1, 1), most)
    }

    /// What a decoder holds that cannot work block row by block row: 64 coefficients of
    /// 2 bytes for every block.
    pub(super) fn coefficient_bytes(&self) -> u64 {
        let (x, y) = self.factors_max();
        let units_count =
            u64::from(self.width_px.div_ceil(8 * x)) * u64::from(self.height_px.div_ceil(8 * y));
        let blocks_per_unit: u32 = self.components.iter().map(|c| c.factors.0 * c.factors.1).sum();
        units_count * u64::from(blocks_per_unit) * 128
    }
}
