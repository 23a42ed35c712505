//! Finds single entries in TIFF directories: Exif, the multi-picture directory, Apple's notes.
//!
//! In:  a block that offsets count from, and where a directory begins in it.
//! Out: the bytes or number behind a tag.
//!
//! Only what is asked for is looked at, so a broken entry hides no other. A directory that
//! points at itself does no harm: nothing here follows a chain.

use super::bytes::array;

/// Entries looked at in one directory.
const ENTRIES_MAX: usize = 1024;

/// Which end of a number comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    /// From `II` or `MM`.
    pub(super) fn read(mark: &[u8]) -> Option<Self> {
        match mark {
            b"II" => Some(Self::Little),
            b"MM" => Some(Self::Big),
            _ => None,
        }
    }

    pub(super) fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        array(bytes, at).map(|number| match self {
            Self::Little => u16::from_le_bytes(number),
            Self::Big => u16::from_be_bytes(number),
        })
    }

    pub(super) fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        array(bytes, at).map(|number| match self {
            Self::Little => u32::from_le_bytes(number),
            Self::Big => u32::from_be_bytes(number),
        })
    }
}

/// One directory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ifd<'a> {
    block: &'a [u8],
    order: Order,
    at: usize,
}

impl<'a> Ifd<'a> {
    /// The first directory behind a TIFF header. Raw files have other numbers than 42 in
    /// it, so that is not looked at.
    pub(super) fn first(block: &'a [u8]) -> Option<Self> {
        let order = Order::read(block.get(..2)?)?;
        Some(Self { block, order, at: usize::try_from(order.u32(block, 4)?).ok()? })
    }

    /// The directory at a place of a block.
    pub(super) const fn at(block: &'a [u8], order: Order, at: usize) -> Self {
        Self { block, order, at }
    }

    /// The directory that a tag points to.
    pub(super) fn sub(self, tag: u16) -> Option<Self> {
        Some(Self { at: usize::try_from(self.number(tag)?).ok()?, ..self })
    }

    /// Which end of its numbers comes first.
    pub(super) const fn order(self) -> Order {
        self.order
    }

    /// The first number of an entry of whole numbers.
    pub(super) fn number(self, tag: u16) -> Option<u32> {
        let (kind, value) = self.entry(tag)?;
        match kind {
            3 => self.order.u16(value, 0).map(u32::from),
            4 | 13 => self.order.u32(value, 0),
            _ => None,
        }
    }

    /// All bytes of an entry.
    pub(super) fn bytes(self, tag: u16) -> Option<&'a [u8]> {
        self.entry(tag).map(|(_, value)| value)
    }

    /// Type and value of an entry.
    fn entry(self, tag: u16) -> Option<(u16, &'a [u8])> {
        let count = usize::from(self.order.u16(self.block, self.at)?);
        let entries = self.block.get(self.at.checked_add(2)?..)?;
        let entry = entries
            .chunks_exact(12)
            .take(count.min(ENTRIES_MAX))
            .find(|entry| self.order.u16(entry, 0) == Some(tag))?;
        let kind = self.order.u16(entry, 2)?;
        let unit = match kind {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 => 8,
            _ => return None,
        };
        let count = usize::try_from(self.order.u32(entry, 4)?).ok()?.checked_mul(unit)?;
        let value = if count <= 4 {
            entry.get(8..8 + count)?
        } else {
            let begin = usize::try_from(self.order.u32(entry, 8)?).ok()?;
            self.block.get(begin..begin.checked_add(count)?)?
        };
        Some((kind, value))
    }
}
