//! Reads the directory of further pictures in a JPEG (MPF, CIPA DC-007).
//!
//! In:  the directory's block, where it begins in the file, and the file.
//! Out: where the further pictures are.
//!
//! Offsets count from the block's own beginning, so every change of an earlier segment
//! makes them wrong. An entry that does not lead to a JPEG is left out.

use std::ops::Range;

use super::bytes::slice;
use crate::media::ifd::Tiff;

/// Pictures of one file that are looked at.
const PICTURES_MAX: usize = 64;

const ENTRIES_TAG: u16 = 0xB002;
const ENTRY_BYTES: usize = 16;

/// Where pictures beside the primary one are, in the directory's order.
pub(super) fn pictures(bytes: &[u8], begin: usize, block: &[u8]) -> Vec<Range<usize>> {
    let Some(tiff) = Tiff::read(block) else { return Vec::new() };
    let entries = tiff.chain().next().and_then(|directory| directory.bytes(ENTRIES_TAG));
    let place = |entry: &[u8]| {
        let number = |at| usize::try_from(tiff.over(entry).u32_at(at)?).ok();
        let (size, offset) = (number(4)?, number(8).filter(|offset| *offset != 0)?);
        let from = begin.checked_add(offset)?;
        slice(bytes, from, size)?.starts_with(&[0xFF, 0xD8, 0xFF]).then_some(from..from + size)
    };
    let entries = entries.unwrap_or_default().chunks_exact(ENTRY_BYTES);
    entries.take(PICTURES_MAX).filter_map(place).collect()
}
