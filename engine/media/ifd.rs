//! Walks the directories of TIFF structures: TIFF files, most RAW files, EXIF blocks.
//!
//! In:  bytes that begin with a TIFF header, and offsets found in them.
//! Out: directories and what their entries hold, as far as it lies inside the bytes.
//!
//! Offsets come from strangers: each is checked before it is followed, and a chain of
//! directories that runs in circles ends. What does not fit is absent, never an error.
//! Besides TIFF's own mark 42 those of Olympus (`RO`, `RS`) are taken.
//!
//! Knows nothing of what the tags mean, but for those that say where picture data lies.

/// More directories than this in one chain are not followed.
const DIRECTORIES_MAX: usize = 64;

/// Bytes with a TIFF header, and the order of bytes it announces.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tiff<'a> {
    bytes: &'a [u8],
    is_big_endian: bool,
}

impl<'a> Tiff<'a> {
    /// Takes a TIFF header: `II` or `MM`, a mark, and where the first directory lies.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let is_big_endian = match bytes {
            [b'I', b'I', b'*', 0, ..] | [b'I', b'I', b'R', b'O' | b'S', ..] => false,
            [b'M', b'M', 0, b'*', ..] | [b'M', b'M', b'O', b'R', ..] => true,
            _ => return None,
        };
        Some(Self { bytes, is_big_endian })
    }

    /// Bytes whose header is another: only the order of bytes is taken, from `II` or `MM`.
    pub(super) fn with_order(bytes: &'a [u8], order: &[u8]) -> Option<Self> {
        let is_big_endian = match order {
            b"II" => false,
            b"MM" => true,
            _ => return None,
        };
        Some(Self { bytes, is_big_endian })
    }

    /// The same order of bytes over other bytes: offsets then count from their beginning.
    pub(super) const fn over(self, bytes: &'a [u8]) -> Self {
        Self { bytes, is_big_endian: self.is_big_endian }
    }

    /// The first directory and those chained to it.
    pub(super) fn chain(self) -> impl Iterator<Item = Directory<'a>> {
        let mut at = self.u32_at(4);
        let mut seen = Vec::new();
        std::iter::from_fn(move || {
            let offset = at.filter(|offset| *offset != 0 && !seen.contains(offset))?;
            if seen.len() == DIRECTORIES_MAX {
                return None;
            }
            seen.push(offset);
            let directory = self.directory(offset)?;
            at = directory.next();
            Some(directory)
        })
    }

    /// Whether a directory of the chain, or picture data of one, lies behind the end of the bytes.
    pub(super) fn is_cut(self) -> bool {
        let length = self.bytes.len() as u64;
        self.u32_at(4).is_none_or(|first| u64::from(first) + 2 > length)
            || self.chain().any(|directory| !directory.is_whole || directory.data_end() > length)
    }

    /// The directory at an offset, with as many of its entries as there are.
    pub(super) fn directory(self, offset: u32) -> Option<Directory<'a>> {
        let at = offset as usize;
        let count = usize::from(self.u16_at(at)?);
        let behind = self.bytes.get(at + 2..)?;
        let whole = behind.get(..count * 12);
        let entries = whole.unwrap_or(behind);
        (count > 0).then_some(Directory { tiff: self, entries, is_whole: whole.is_some() })
    }

    fn u16_at(self, at: usize) -> Option<u16> {
        let raw = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.is_big_endian { u16::from_be_bytes(raw) } else { u16::from_le_bytes(raw) })
    }

    /// The number at a place.
    pub(super) fn u32_at(self, at: usize) -> Option<u32> {
        let raw = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.is_big_endian { u32::from_be_bytes(raw) } else { u32::from_le_bytes(raw) })
    }
}

/// One directory: a list of entries of 12 bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Directory<'a> {
    tiff: Tiff<'a>,
    entries: &'a [u8],
    /// Whether all entries are there that were announced.
    is_whole: bool,
}

/// The value of one entry, wherever it lies.
#[derive(Debug, Clone, Copy)]
struct Field<'a> {
    tiff: Tiff<'a>,
    kind: u16,
    raw: &'a [u8],
}

impl<'a> Directory<'a> {
    /// The first number of an entry.
    pub(super) fn number(self, tag: u16) -> Option<u32> {
        self.field(tag)?.numbers().next()
    }

    /// All whole numbers of an entry, up to `count_max`.
    pub(super) fn numbers(self, tag: u16, count_max: usize) -> Vec<u32> {
        self.field(tag).map_or_else(Vec::new, |field| field.numbers().take(count_max).collect())
    }

    /// Fractions of whole numbers, unsigned, up to `count_max`; one over nothing is infinite or
    /// no number.
    pub(super) fn fractions(self, tag: u16, count_max: usize) -> Vec<f64> {
        let field = self.field(tag).filter(|field| field.kind == 5);
        let fractions = field.map(|field| {
            let values = field.tiff.over(field.raw);
            let part = move |at: usize| values.u32_at(at).map_or(0.0, f64::from);
            let pairs = (0..field.raw.len() / 8).take(count_max);
            pairs.map(|at| part(at * 8) / part(at * 8 + 4)).collect()
        });
        fractions.unwrap_or_default()
    }

    /// The bytes of an entry as they are, whatever its type.
    pub(super) fn bytes(self, tag: u16) -> Option<&'a [u8]> {
        Some(self.field(tag)?.raw)
    }

    /// A text, up to its first zero byte.
    pub(super) fn text(self, tag: u16) -> Option<&'a [u8]> {
        const ASCII: u16 = 2;
        let field = self.field(tag).filter(|field| field.kind == ASCII)?;
        field.raw.split(|byte| *byte == 0).next()
    }

    /// The directories that an entry points to, or that it holds itself: some makers say so of
    /// a directory by the type of plain bytes.
    pub(super) fn children(self, tag: u16) -> impl Iterator<Item = Self> {
        const BYTES: u16 = 7;
        let offsets = match self.field(tag) {
            Some(field) if field.kind == BYTES => self.value(tag).into_iter().collect(),
            _ => self.numbers(tag, DIRECTORIES_MAX),
        };
        offsets.into_iter().filter_map(move |offset| self.tiff.directory(offset))
    }

    /// Where the bytes of an entry lie in those of the header, when it has more than 4.
    pub(super) fn offset(self, tag: u16) -> Option<usize> {
        self.value(tag).map(|offset| offset as usize)
    }

    /// Where the picture data of this directory ends: strips, tiles and JPEG streams. Beyond
    /// the last byte of a file whose copy is not finished.
    pub(super) fn data_end(self) -> u64 {
        const PAIRS: [(u16, u16); 3] = [(0x0111, 0x0117), (0x0144, 0x0145), (0x0201, 0x0202)];
        PAIRS
            .into_iter()
            .filter_map(|(offsets, counts)| self.field(offsets).zip(self.field(counts)))
            .flat_map(|(offsets, counts)| offsets.numbers().zip(counts.numbers()))
            .map(|(offset, count)| u64::from(offset) + u64::from(count))
            .max()
            .unwrap_or(0)
    }

    /// Where the next directory of the chain lies.
    fn next(self) -> Option<u32> {
        let end = self.entries.as_ptr_range().end as usize - self.tiff.bytes.as_ptr() as usize;
        self.tiff.u32_at(end)
    }

    /// The last four bytes of an entry: an offset, when its value has more than 4 bytes.
    fn value(self, tag: u16) -> Option<u32> {
        self.tiff.over(self.entries).u32_at(self.place(tag)? + 8)
    }

    /// Where in the list the entry of this tag begins.
    fn place(self, tag: u16) -> Option<usize> {
        let list = self.tiff.over(self.entries);
        (0..self.entries.len() / 12).map(|row| row * 12).find(|at| list.u16_at(*at) == Some(tag))
    }

    fn field(self, tag: u16) -> Option<Field<'a>> {
        let (at, list) = (self.place(tag)?, self.tiff.over(self.entries));
        let kind = list.u16_at(at + 2)?;
        let count = list.u32_at(at + 4)? as usize;
        let item_bytes = match kind {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 => 8,
            _ => return None,
        };
        let bytes_count = count.checked_mul(item_bytes)?;
        let raw = if bytes_count <= 4 {
            self.entries.get(at + 8..at + 8 + bytes_count)?
        } else {
            let offset = list.u32_at(at + 8)? as usize;
            self.tiff.bytes.get(offset..)?.get(..bytes_count)?
        };
        Some(Field { tiff: self.tiff, kind, raw })
    }
}

impl<'a> Field<'a> {
    fn numbers(self) -> impl Iterator<Item = u32> + use<'a> {
        let item_bytes = match self.kind {
            1 | 7 => 1,
            3 => 2,
            4 | 13 => 4,
            _ => usize::MAX,
        };
        let values = self.tiff.over(self.raw);
        self.raw.chunks_exact(item_bytes).enumerate().filter_map(move |(at, item)| match item_bytes
        {
            1 => item.first().copied().map(u32::from),
            2 => values.u16_at(at * 2).map(u32::from),
            _ => values.u32_at(at * 4),
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Builds TIFF structures for tests.
    #[derive(Debug, Default)]
    pub(in crate::media) struct Builder {
        /// Bytes so far; the header's offset is set by `finish`.
        pub(in crate::media) bytes: Vec<u8>,
    }

    /// One entry to be written: tag, and a value whose type follows from it.
    #[derive(Debug, Clone)]
    pub(in crate::media) enum Value {
        Short(u16),
        Shorts(Vec<u16>),
        Longs(Vec<u32>),
        Text(&'static str),
        Raw(Vec<u8>),
    }

    impl Builder {
        pub(in crate::media) fn new() -> Self {
            Self { bytes: b"II*\0\0\0\0\0".to_vec() }
        }

        /// Puts bytes somewhere and says where.
        pub(in crate::media) fn put(&mut self, bytes: &[u8]) -> u32 {
            let at = u32::try_from(self.bytes.len()).expect("short");
            self.bytes.extend_from_slice(bytes);
            at
        }

        /// Puts a directory and says where it begins.
        pub(in crate::media) fn directory(&mut self, entries: &[(u16, Value)], next: u32) -> u32 {
            let mut list = u16::try_from(entries.len()).expect("few").to_le_bytes().to_vec();
            for (tag, value) in entries {
                let (kind, item_bytes, raw) = match value {
                    Value::Short(number) => (3_u16, 2, number.to_le_bytes().to_vec()),
                    Value::Shorts(numbers) => {
                        (3, 2, numbers.iter().flat_map(|n| n.to_le_bytes()).collect())
                    }
                    Value::Longs(numbers) => {
                        (4, 4, numbers.iter().flat_map(|n| n.to_le_bytes()).collect())
                    }
                    Value::Text(text) => (2, 1, [text.as_bytes(), &[0]].concat()),
                    Value::Raw(bytes) => (7, 1, bytes.clone()),
                };
                let count = u32::try_from(raw.len() / item_bytes).expect("short");
                list.extend_from_slice(&tag.to_le_bytes());
                list.extend_from_slice(&kind.to_le_bytes());
                list.extend_from_slice(&count.to_le_bytes());
                if raw.len() <= 4 {
                    list.extend_from_slice(&raw);
                    list.resize(list.len() + 4 - raw.len(), 0);
                } else {
                    let at = self.put(&raw);
                    list.extend_from_slice(&at.to_le_bytes());
                }
            }
            list.extend_from_slice(&next.to_le_bytes());
            self.put(&list)
        }

        /// The whole, with its first directory at `first`.
        pub(in crate::media) fn finish(mut self, first: u32) -> Vec<u8> {
            self.bytes[4..8].copy_from_slice(&first.to_le_bytes());
            self.bytes
        }
    }

    #[test]
    fn entries_are_read_wherever_they_lie() {
        let mut builder = Builder::new();
        let child = builder.directory(&[(7, Value::Short(77))], 0);
        let second = builder.directory(&[(1, Value::Short(2))], 0);
        let first = builder.directory(
            &[
                (1, Value::Short(9)),
                (2, Value::Longs(vec![5, 6])),
                (3, Value::Text("a long text")),
                (4, Value::Longs(vec![child])),
            ],
            second,
        );
        let bytes = builder.finish(first);
        let tiff = Tiff::read(&bytes).expect("a header");
        let chain: Vec<_> = tiff.chain().collect();
        assert_eq!(chain.len(), 2);
        assert_eq!(chain[0].number(1), Some(9));
        assert_eq!(chain[0].numbers(2, 9), [5, 6]);
        assert_eq!(chain[0].text(3), Some(b"a long text".as_slice()));
        assert_eq!(chain[0].children(4).next().and_then(|child| child.number(7)), Some(77));
        assert_eq!(chain[1].number(1), Some(2));
        assert_eq!((chain[0].number(99), chain[0].text(1)), (None, None));
    }

    #[test]
    fn chain_in_circles_ends() {
        let mut builder = Builder::new();
        let first = builder.directory(&[(1, Value::Short(9))], 8);
        assert_eq!(first, 8);
        assert_eq!(Tiff::read(&builder.finish(first)).expect("a header").chain().count(), 1);
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_without_harm(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), is_big: bool, first in 0_u8..40) {
            let header: [u8; 8] = if is_big { [b'M', b'M', 0, b'*', 0, 0, 0, first] } else { [b'I', b'I', b'*', 0, first, 0, 0, 0] };
            bytes.splice(0..0, header);
            for directory in Tiff::read(&bytes).expect("a header").chain() {
                for tag in 0..300 {
                    let _whatever = (directory.numbers(tag, 100), directory.bytes(tag), directory.offset(tag));
                    prop_assert!(directory.children(tag).count() <= DIRECTORIES_MAX);
                }
            }
        }
    }
}
