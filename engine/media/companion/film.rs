//! Reads what a film says of the photo it belongs to: QuickTime and MP4.
//!
//! In:  a film as a reader that can seek, of any size.
//! Out: what kind of film, Apple's content identifier, how long it lasts.
//!
//! The index (`moov`) may be first or last. Where Apple writes it, `meta` is a plain box;
//! elsewhere it begins with four bytes of version and flags.

use std::io::{Cursor, Read, Seek, SeekFrom};
use std::ops::Range;

use super::InspectError;
use super::boxes::{Place, boxes, find, read};
use super::bytes::{be32, be64, text};

/// The key under which Apple keeps the identifier that a Live Photo and its film share.
const CONTENT_ID_KEY: &[u8] = b"com.apple.quicktime.content.identifier";

/// More bytes of names of metadata are not read.
const KEYS_BYTES_MAX: u64 = 64 * 1024;

/// What a film says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Film {
    pub(super) media_type: &'static str,
    pub(super) content_id: Option<String>,
    pub(super) duration_ms: Option<u64>,
}

/// Reads a film.
pub(super) fn inspect(reader: &mut (impl Read + Seek)) -> Result<Film, InspectError> {
    let bytes_count = reader.seek(SeekFrom::End(0)).map_err(InspectError::Read)?;
    let top = boxes(reader, 0..bytes_count).map_err(InspectError::Read)?;
    let head = read(reader, 0..bytes_count, 12).map_err(InspectError::Read)?;
    let Some(media_type) = media_type(&head) else {
        return Err(InspectError::OtherContent { wanted: "a film" });
    };
    let Some(index) = top.iter().find(|place| place.kind == *b"moov") else {
        return Err(InspectError::Damaged("the film has no index, its last part is missing"));
    };
    let children = boxes(reader, index.span()).map_err(InspectError::Read)?;
    let child = |kind: &[u8; 4]| children.iter().find(|place| place.kind == *kind);
    let duration_ms = match child(b"mvhd") {
        Some(header) => duration_ms(&read(reader, header.span(), 32).map_err(InspectError::Read)?),
        None => None,
    };
    let mut metas: Vec<Place> = child(b"meta").copied().into_iter().collect();
    if let Some(user_data) = child(b"udta") {
        metas.extend(find(reader, user_data.span(), b"meta").map_err(InspectError::Read)?);
    }
    let mut content_id = None;
    for meta in metas {
        if content_id.is_none() {
            content_id = content_id_in(reader, meta).map_err(InspectError::Read)?;
        }
    }
    Ok(Film { media_type, content_id, duration_ms })
}

/// What kind of film begins with these bytes (12 at least); `None`: none.
pub(super) fn media_type(head: &[u8]) -> Option<&'static str> {
    match head.get(4..8)? {
        b"ftyp" => match head.get(8..12)? {
            b"qt  " => Some("video/quicktime"),
            brand if brand.starts_with(b"3g") => Some("video/3gpp"),
            // Pictures are made of the same boxes.
            b"heic" | b"heix" | b"hevc" | b"mif1" | b"msf1" | b"avif" | b"avis" | b"crx " => None,
            _ => Some("video/mp4"),
        },
        // Films from before there was `ftyp`.
        b"moov" | b"mdat" | b"wide" | b"skip" | b"free" | b"pnot" => Some("video/quicktime"),
        _ => None,
    }
}

/// How long the film that begins these bytes is, in bytes: its boxes one behind another,
/// as long as they are boxes of a film. `None` when there is no whole film.
pub(super) fn extent(bytes: &[u8]) -> Option<usize> {
    const KINDS: [&[u8; 4]; 15] = [
        b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"udta", b"uuid", b"meta", b"moof",
        b"mfra", b"sidx", b"styp", b"pdin", b"ssix",
    ];
    media_type(bytes).filter(|_| bytes.get(4..8) == Some(b"ftyp"))?;
    let places = boxes(&mut Cursor::new(bytes), 0..bytes.len() as u64).ok()?;
    let film = places.iter().enumerate().take_while(|(index, place)| {
        KINDS.contains(&&place.kind) && (place.kind != *b"ftyp" || *index == 0)
    });
    let (mut has_index, mut end) = (false, 0);
    for (_, place) in film {
        has_index |= place.kind == *b"moov";
        end = place.end;
    }
    has_index.then(|| usize::try_from(end).ok()).flatten()
}

fn duration_ms(header: &[u8]) -> Option<u64> {
    let (scale, duration) = match header.first()? {
        0 => (be32(header, 12)?, u64::from(be32(header, 16)?)),
        1 => (be32(header, 20)?, be64(header, 24)?),
        _ => return None,
    };
    duration.checked_mul(1000)?.checked_div(u64::from(scale))
}

fn content_id_in(reader: &mut (impl Read + Seek), meta: Place) -> std::io::Result<Option<String>> {
    let is_plain = read(reader, meta.span(), 8)?.get(4..8) == Some(b"hdlr");
    let span = if is_plain { meta.span() } else { meta.body.saturating_add(4)..meta.end };
    let Some(keys) = find(reader, span.clone(), b"keys")? else { return Ok(None) };
    let keys = read(reader, keys.span(), KEYS_BYTES_MAX)?;
    let Some(number) = key_number(&keys) else { return Ok(None) };
    let Some(values) = find(reader, span, b"ilst")? else { return Ok(None) };
    let Some(value) = find(reader, values.span(), &number.to_be_bytes())? else {
        return Ok(None);
    };
    let Some(data) = find(reader, value.span(), b"data")? else { return Ok(None) };
    // Four bytes of type and four of language come first.
    let data: Range<u64> = data.body.saturating_add(8)..data.end;
    Ok(text(&read(reader, data, 64)?))
}

/// The number, from 1, of Apple's key among the names.
fn key_number(keys: &[u8]) -> Option<u32> {
    let mut rest = keys.get(8..)?;
    let mut number = 1;
    while let Some(size) = be32(rest, 0) {
        let (entry, behind) = rest.split_at_checked(usize::try_from(size).ok()?)?;
        if entry.get(8..)? == CONTENT_ID_KEY {
            return Some(number);
        }
        rest = behind;
        number += 1;
    }
    None
}
