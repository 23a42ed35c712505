//! Reads the directory of further pictures in a JPEG (MPF, CIPA DC-007).
//!
//! In:  the directory's block, where it begins in the file, and the file.
//! Out: where the further pictures are.
//!
//! Offsets count from the block's own beginning, so every change of an earlier segment
//! makes them wrong. An entry that does not lead to a JPEG is left out.

use std::ops::Range;

use super::bytes::slice;
use super::ifd::Ifd;

/// Pictures of one file that are looked at.
const PICTURES_MAX: usize = 64;

const ENTRIES_TAG: u16 = 0xB002;
const ENTRY_BYTES: usize = 16;

/// Where pictures beside the primary one are, in the directory's order.
pub(super) fn pictures(bytes: &[u8], begin: usize, block: &[u8]) -> Vec<Range<usize>> {
    let Some(directory) = Ifd::first(block) else { return Vec::new() };
    let entries = directory.bytes(ENTRIES_TAG).unwrap_or_default();
    let place = |entry: &[u8]| {
        let order = directory.order();
        let size = usize::try_from(order.u32(entry, 4)?).ok()?;
        let offset = usize::try_from(order.u32(entry, 8)?).ok().filter(|offset| *offset != 0)?;
        let from = begin.checked_add(offset)?;
        slice(bytes, from, size)?.starts_with(&[0xFF, 0xD8, 0xFF]).then_some(from..from + size)
    };
    entries.chunks_exact(ENTRY_BYTES).take(PICTURES_MAX).filter_map(place).collect()
}
