//! Finds the parts of a photo's file that are members of their own: films, recordings,
//! further pictures.
//!
//! In:  the file, its blocks of metadata, what its XMP says.
//! Out: where each part is and how it was found, in file order.
//!
//! What metadata say outlives what they speak of: programs cut films off and leave the
//! words. So each part is looked at where it should be, and one that is not there is not
//! told. The same film is often told of twice, by the maker's trailer and by XMP whose
//! length covers the trailer too; the closer one counts.
//!
//! Pictures that are no file of their own inside a HEIC (depth, gain maps) are not parts:
//! cut out, nobody could open them.

use std::ops::Range;

use super::blocks::Blocks;
use super::bytes::slice;
use super::xmp::{Item, Xmp};
use super::{film, multi_picture, sef};
use crate::base::member::Member;
use crate::media::extras::{Embedded, Evidence};

/// Parts of one file.
const PARTS_MAX: usize = 64;

/// Finds all parts.
pub(super) fn parts(bytes: &[u8], blocks: &Blocks<'_>, xmp: &Xmp) -> Vec<Embedded> {
    let mut parts = Parts { bytes, found: Vec::new() };
    parts.take_boxes(blocks);
    parts.take_trailer();
    parts.take_container(&xmp.items);
    if let Some(begin) = xmp.micro_video_offset.and_then(|offset| from_end(bytes, offset)) {
        parts.add_film_from(begin, Evidence::Xmp);
    }
    if !parts.found.iter().any(|part| part.member == Member::Motion) {
        parts.take_film_behind(blocks);
    }
    if let Some((begin, block)) = blocks.multi_picture {
        for picture in multi_picture::pictures(bytes, begin, block) {
            parts.add(Member::Auxiliary, "image/jpeg", picture, Evidence::Mpf);
        }
    }
    parts.found.sort_by_key(|part| part.offset);
    parts.found
}

struct Parts<'a> {
    bytes: &'a [u8],
    found: Vec<Embedded>,
}

impl Parts<'_> {
    /// Adds a part unless its place is taken already.
    fn add(&mut self, member: Member, media_type: &str, place: Range<usize>, evidence: Evidence) {
        let (begin, end) = (place.start as u64, place.end as u64);
        let is_free = self
            .found
            .iter()
            .all(|part| end <= part.offset || part.offset + part.bytes_count <= begin);
        if is_free && begin < end && self.found.len() < PARTS_MAX {
            self.found.push(Embedded {
                member,
                media_type: media_type.to_owned(),
                offset: begin,
                bytes_count: end - begin,
                evidence,
            });
        }
    }

    /// Adds a film that fills its place.
    fn add_film(&mut self, place: Range<usize>, evidence: Evidence) {
        let bytes = self.bytes.get(place.clone()).unwrap_or_default();
        if let (Some(media_type), Some(_)) = (film::media_type(bytes), film::extent(bytes)) {
            self.add(Member::Motion, media_type, place, evidence);
        }
    }

    /// Adds a film of which only the beginning is known.
    fn add_film_from(&mut self, begin: usize, evidence: Evidence) {
        let length = self.bytes.get(begin..).and_then(film::extent).unwrap_or(0);
        self.add_film(begin..begin + length, evidence);
    }

    /// `mpvd` of HEIC and AVIF holds a film, and where Samsung wrote it a trailer inside.
    /// In a file without it, a second `ftyp` begins one.
    fn take_boxes(&mut self, blocks: &Blocks<'_>) {
        for (index, place) in blocks.boxes.iter().enumerate() {
            let (Ok(begin), Ok(body), Ok(end)) = (
                usize::try_from(place.begin),
                usize::try_from(place.body),
                usize::try_from(place.end),
            ) else {
                continue;
            };
            match &place.kind {
                b"mpvd" => self.add_film(body..end, Evidence::Atom),
                b"sefd" => self.take_trailer_in(body..end),
                b"ftyp" if index > 0 => {
                    self.add_film_from(begin, Evidence::Ftyp);
                    break;
                }
                _ => {}
            }
        }
    }

    fn take_trailer(&mut self) {
        self.take_trailer_in(0..self.bytes.len());
    }

    fn take_trailer_in(&mut self, place: Range<usize>) {
        let bytes = self.bytes;
        let trailer = bytes.get(place.clone()).unwrap_or_default();
        for block in sef::blocks(trailer) {
            let data = place.start + block.data.start..place.start + block.data.end;
            let content = bytes.get(data.clone()).unwrap_or_default();
            match block.kind {
                sef::MOTION_FILM | sef::SURROUND_FILM => self.add_film(data, Evidence::Sef),
                sef::SOUND => {
                    self.add(Member::VoiceMemo, sound_type(content), data, Evidence::Sef);
                }
                _ if content.starts_with(&[0xFF, 0xD8, 0xFF]) => {
                    self.add(Member::Auxiliary, "image/jpeg", data, Evidence::Sef);
                }
                _ => {}
            }
        }
    }

    /// Lengths count from the end of the file, since the primary picture's is not told.
    fn take_container(&mut self, items: &[Item]) {
        let mut behind = 0_u64;
        for item in items.iter().skip(1).rev() {
            // Padding stands behind an item.
            behind = behind.saturating_add(item.padding).saturating_add(item.bytes_count);
            let place = from_end(self.bytes, behind).and_then(|begin| {
                Some(begin..begin.checked_add(usize::try_from(item.bytes_count).ok()?)?)
            });
            let Some(place) = place else { continue };
            let content = self.bytes.get(place.clone()).unwrap_or_default();
            if item.semantic == "MotionPhoto" {
                self.add_film(place, Evidence::Xmp);
            } else if content.starts_with(&[0xFF, 0xD8, 0xFF]) {
                self.add(Member::Auxiliary, "image/jpeg", place, Evidence::Xmp);
            }
        }
    }

    /// Looks for a film behind the picture, in files that do not end with their picture.
    fn take_film_behind(&mut self, blocks: &Blocks<'_>) {
        let Some(scan_at) = blocks.scan_at else { return };
        let end = self.bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        if self.bytes.get(..end).is_some_and(|bytes| bytes.ends_with(&[0xFF, 0xD9])) {
            return;
        }
        let behind = self.bytes.get(scan_at..).unwrap_or_default();
        let begin = memchr::memmem::find_iter(behind, b"ftyp")
            .filter_map(|at| (scan_at + at).checked_sub(4))
            .find(|begin| self.bytes.get(*begin..).and_then(film::extent).is_some());
        if let Some(begin) = begin {
            self.add_film_from(begin, Evidence::Ftyp);
        }
    }
}

fn from_end(bytes: &[u8], count: u64) -> Option<usize> {
    bytes.len().checked_sub(usize::try_from(count).ok()?)
}

fn sound_type(content: &[u8]) -> &'static str {
    match content {
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => "audio/mp4",
        [b'R', b'I', b'F', b'F', ..] => "audio/wav",
        [b'#', b'!', b'A', b'M', b'R', ..] => "audio/amr",
        _ if slice(content, 0, 2).is_some_and(|head| head[0] == 0xFF && head[1] >= 0xF0) => {
            "audio/aac"
        }
        _ => "application/octet-stream",
    }
}
