//! Walks the boxes of ISO base media files: HEIC, AVIF, Canon's CR3, films.
//!
//! In:  a run of boxes (ISO/IEC 14496-12 §4.2): length, kind, payload.
//! Out: the boxes one after the other, and whether the last one is whole.
//!
//! Lengths come from strangers and are checked before they are followed; a box that does
//! not fit ends the walk. Knows nothing of what the boxes mean.

/// One box.
#[derive(Debug, Clone, Copy)]
pub(super) struct Atom<'a> {
    /// Four letters, such as `moov`.
    pub(super) kind: &'a [u8; 4],
    /// What lies behind length and kind.
    pub(super) payload: &'a [u8],
}

/// The boxes in `bytes`, in order, up to the first that does not fit.
pub(super) fn boxes(bytes: &[u8]) -> impl Iterator<Item = Atom<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (header_bytes, length) = header(rest)?;
        let length = usize::try_from(length).ok()?;
        let (kind, payload) = (rest.get(4..)?.first_chunk()?, rest.get(header_bytes..length)?);
        rest = rest.get(length..)?;
        Some(Atom { kind, payload })
    })
}

/// The payload of the first box of a kind.
pub(super) fn find<'a>(bytes: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(bytes).find(|found| found.kind == kind).map(|found| found.payload)
}

/// Whether the last box promises more bytes than there are: an unfinished copy.
///
/// Stray bytes behind the last box, whose kind is no text, are let pass.
pub(super) fn is_cut(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some((_, length)) = header(rest) {
        let behind = usize::try_from(length).ok().and_then(|length| rest.get(length..));
        let Some(behind) = behind else {
            return rest
                .get(4..8)
                .is_some_and(|kind| kind.iter().all(|b| (b' '..=b'~').contains(b)));
        };
        rest = behind;
    }
    false
}

fn header(rest: &[u8]) -> Option<(usize, u64)> {
    header_of(rest, rest.len() as u64)
}

/// Bytes of the header, and of the whole box with it.
///
/// - `rest`: the first bytes of the box; 16 are enough
/// - `bytes_count`: how many there are, which a box may say to fill
pub(super) fn header_of(rest: &[u8], bytes_count: u64) -> Option<(usize, u64)> {
    let short = u32::from_be_bytes(*rest.first_chunk()?);
    rest.get(..8)?;
    let (header_bytes, length) = match short {
        0 => (8, bytes_count),
        1 => (16, u64::from_be_bytes(*rest.get(8..)?.first_chunk()?)),
        short => (8, u64::from(short)),
    };
    (length >= header_bytes as u64).then_some((header_bytes, length))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Writes one box.
    pub(in crate::media) fn wrap(kind: &[u8; 4], payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len() + 8).expect("short").to_be_bytes();
        [&length, kind.as_slice(), payload].concat()
    }

    #[test]
    fn boxes_of_all_three_length_forms_are_read() {
        let mut bytes = wrap(b"ftyp", b"heic");
        bytes.extend_from_slice(b"\0\0\0\x01free\0\0\0\0\0\0\0\x12ab");
        bytes.extend_from_slice(b"\0\0\0\0mdatto the end");
        let found: Vec<_> = boxes(&bytes).map(|found| (found.kind, found.payload)).collect();
        assert_eq!(
            found,
            [
                (b"ftyp", b"heic".as_slice()),
                (b"free", b"ab".as_slice()),
                (b"mdat", b"to the end".as_slice())
            ]
        );
        assert!(!is_cut(&bytes));
    }

    #[test]
    fn file_cut_inside_a_box_is_noticed() {
        let bytes = [wrap(b"ftyp", b"heic"), wrap(b"mdat", &[7; 40])].concat();
        for end in 20..bytes.len() {
            assert!(is_cut(&bytes[..end]), "cut at {end}");
        }
        assert!(!is_cut(&bytes));
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(boxes(&bytes).count() <= bytes.len() / 8);
            let _either = is_cut(&bytes);
        }
    }
}
