//! Reads the trailer that Samsung's phones append to their photos.
//!
//! In:  the bytes of a file up to the trailer's end, or of the box that holds one.
//! Out: its blocks: type, and where their data are.
//!
//! From the end backwards: `SEFT`, length of the directory, the directory from `SEFH` on,
//! and before it the blocks. Each is found by its distance from the directory and has a
//! header of its own: two zero bytes, type, length of a name, the name, then the data.
//! Older phones put a second directory (`QDIO`) behind the first.

use std::ops::Range;

use super::bytes::{array, le16, le32, slice};

/// Blocks of one trailer; phones write up to twenty.
const BLOCKS_MAX: usize = 256;

/// Directories stacked at the end.
const DIRECTORIES_MAX: usize = 4;

/// A recording made with the photo.
pub(super) const SOUND: u16 = 0x0100;
/// A panorama as a film.
pub(super) const SURROUND_FILM: u16 = 0x0201;
/// The film of a motion photo.
pub(super) const MOTION_FILM: u16 = 0x0A30;

/// One block of the trailer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) kind: u16,
    /// Where its data are, without its header.
    pub(super) data: Range<usize>,
}

/// The blocks of a trailer, in the directory's order; none where there is no trailer.
pub(super) fn blocks(bytes: &[u8]) -> Vec<Block> {
    directory(bytes).map(|begin| entries(bytes, begin)).unwrap_or_default()
}

/// Where the directory begins.
fn directory(bytes: &[u8]) -> Option<usize> {
    let bytes = match bytes.strip_suffix(b"BS") {
        Some(inside) if inside.ends_with(b"QDIO") => inside,
        _ => bytes,
    };
    let mut end = bytes.len();
    for _ in 0..DIRECTORIES_MAX {
        let tail = end.checked_sub(8)?;
        let length = usize::try_from(le32(bytes, tail)?).ok()?;
        let begin = tail.checked_sub(length)?;
        match &array::<4>(bytes, tail + 4)? {
            b"SEFT" => return bytes.get(begin..)?.starts_with(b"SEFH").then_some(begin),
            b"QDIO" => end = begin,
            _ => return None,
        }
    }
    None
}

fn entries(bytes: &[u8], directory: usize) -> Vec<Block> {
    let count = le32(bytes, directory + 8).map_or(0, |count| count as usize).min(BLOCKS_MAX);
    let block = |index: usize| {
        let entry = slice(bytes, directory + 12 + 12 * index, 12)?;
        let kind = le16(entry, 2)?;
        let begin = directory.checked_sub(usize::try_from(le32(entry, 4)?).ok()?)?;
        let size = usize::try_from(le32(entry, 8)?).ok()?;
        let header = slice(bytes, begin, size)?;
        let name_bytes = usize::try_from(le32(header, 4)?).ok()?;
        let data = begin.checked_add(8)?.checked_add(name_bytes)?..begin + size;
        (le16(header, 2) == Some(kind) && data.start < data.end && data.end <= directory)
            .then_some(Block { kind, data })
    };
    (0..count).filter_map(block).collect()
}
