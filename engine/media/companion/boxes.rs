//! Walks the boxes that films, HEIC and AVIF are made of (ISO 14496-12).
//!
//! In:  anything that can be read and sought in, and a span of it.
//! Out: the boxes of one level, with their places; their contents stay where they are.
//!
//! A film's index may lie behind gigabytes of pictures, so nothing is read but headers.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use crate::media::bmff::header_of;

/// Boxes of one level that are looked at. A film in fragments has thousands, but its
/// index comes first.
const BOXES_MAX: usize = 1024;

/// One box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Its four letters.
    pub(super) kind: [u8; 4],
    /// Where its header begins.
    pub(super) begin: u64,
    /// Where its content begins.
    pub(super) body: u64,
    /// Where the next one begins.
    pub(super) end: u64,
}

impl Place {
    /// Its content.
    pub(super) const fn span(self) -> Range<u64> {
        self.body..self.end
    }
}

/// The boxes within a span; ends quietly at what is no box.
///
/// # Errors
/// What the reader says, but for its end.
pub(super) fn boxes(reader: &mut (impl Read + Seek), span: Range<u64>) -> io::Result<Vec<Place>> {
    let mut places = Vec::new();
    let mut begin = span.start;
    while places.len() < BOXES_MAX && begin < span.end {
        let Some(place) = place_at(reader, begin, span.end)? else { break };
        places.push(place);
        begin = place.end;
    }
    Ok(places)
}

/// The first box of a kind within a span.
///
/// # Errors
/// As [`boxes`].
pub(super) fn find(
    reader: &mut (impl Read + Seek),
    span: Range<u64>,
    kind: &[u8; 4],
) -> io::Result<Option<Place>> {
    Ok(boxes(reader, span)?.into_iter().find(|place| place.kind == *kind))
}

/// Reads a span, at most so many bytes of it.
///
/// # Errors
/// What the reader says, but for its end.
pub(super) fn read(
    reader: &mut (impl Read + Seek),
    span: Range<u64>,
    bytes_max: u64,
) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.seek(SeekFrom::Start(span.start))?;
    let count = span.end.saturating_sub(span.start).min(bytes_max);
    reader.by_ref().take(count).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn place_at(
    reader: &mut (impl Read + Seek),
    begin: u64,
    end_max: u64,
) -> io::Result<Option<Place>> {
    let header = read(reader, begin..end_max, 16)?;
    let place = || {
        let (head_bytes, size) = header_of(&header, end_max - begin)?;
        let kind = *header.get(4..)?.first_chunk()?;
        let end = begin.checked_add(size).filter(|end| *end <= end_max)?;
        Some(Place { kind, begin, body: begin + head_bytes as u64, end })
    };
    Ok(place())
}
