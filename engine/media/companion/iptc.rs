//! Reads words in the press agencies' form (IPTC IIM), as Photoshop puts it into files.
//!
//! In:  image resources (`8BIM` blocks), or bare records.
//! Out: keywords, title, description, instructions.
//!
//! The record says whether it is UTF-8; many that are do not, and the rest is Latin-1, so
//! what reads as UTF-8 is taken for it.

use super::bytes::{array, be16, be32, slice, text};
use crate::media::extras::Words;

/// The image resource that holds the records.
const IPTC_RESOURCE: usize = 0x0404;

/// Words from image resources.
pub(super) fn resources(bytes: &[u8]) -> Words {
    let mut rest = bytes;
    while let Some(b"8BIM") = rest.get(..4) {
        let resource = || {
            let kind = be16(rest, 4)?;
            // A name of odd length with its own length byte is even by itself.
            let name = (usize::from(*rest.get(6)?) + 1).next_multiple_of(2);
            let size = usize::try_from(be32(rest, 6 + name)?).ok()?;
            let value = slice(rest, 10 + name, size)?;
            Some((kind, value, 10 + name + size.checked_next_multiple_of(2)?))
        };
        match resource() {
            Some((IPTC_RESOURCE, value, _)) => return records(value),
            Some((_, _, length)) => rest = rest.get(length..).unwrap_or_default(),
            None => break,
        }
    }
    Words::default()
}

/// Words from bare records.
pub(super) fn records(bytes: &[u8]) -> Words {
    let mut words = Words::default();
    let mut headline = None;
    let mut rest = bytes;
    while let Some([0x1C, record, kind]) = array(rest, 0) {
        let Some((value, length)) = value(rest) else { break };
        rest = rest.get(length..).unwrap_or_default();
        let target = match (record, kind) {
            (2, 5) => &mut words.title,
            (2, 25) => {
                if let Some(keyword) = text(value) {
                    words.add_keyword(&keyword);
                }
                continue;
            }
            (2, 40) => &mut words.instructions,
            (2, 105) => &mut headline,
            (2, 120) => &mut words.description,
            _ => continue,
        };
        if target.is_none() {
            *target = text(value);
        }
    }
    words.title = words.title.or(headline);
    words
}

/// The value of the first record, and how long the record is.
fn value(record: &[u8]) -> Option<(&[u8], usize)> {
    let short = be16(record, 3)?;
    let (begin, size) = if short < 0x8000 {
        (5, short)
    } else {
        // A long one: the low bits say how many bytes its length has.
        match short & 0x7FFF {
            4 => (9, usize::try_from(be32(record, 5)?).ok()?),
            _ => return None,
        }
    };
    Some((slice(record, begin, size)?, begin.checked_add(size)?))
}
