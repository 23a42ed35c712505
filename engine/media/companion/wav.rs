//! Reads what a recording says of the photo it was made for: WAV with Exif (JEITA CP-3451).
//!
//! In:  a recording as a reader that can seek.
//! Out: the name of the picture (`erel`), how long it lasts, title and comment.
//!
//! Cameras put the Exif chunks into a list named `exif`. Sizes in the header of the file
//! are often wrong, so chunks are followed as far as there are bytes.

use std::io::{self, Read, Seek, SeekFrom};

use super::InspectError;
use super::boxes::read;
use super::bytes::{le32, slice, text};
use crate::media::extras::Words;

/// Chunks looked at in one recording.
const CHUNKS_MAX: usize = 1024;

/// More bytes of one list are not read; those of cameras have a few hundred.
const LIST_BYTES_MAX: u64 = 64 * 1024;

/// What a recording says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Recording {
    /// Name of the picture's file.
    pub(super) related_image: Option<String>,
    pub(super) duration_ms: Option<u64>,
    pub(super) words: Words,
}

/// Reads a recording.
pub(super) fn inspect(reader: &mut (impl Read + Seek)) -> Result<Recording, InspectError> {
    let bytes_count = reader.seek(SeekFrom::End(0)).map_err(InspectError::Read)?;
    let head = read(reader, 0..bytes_count, 12).map_err(InspectError::Read)?;
    let is_riff = matches!(head.get(..4), Some(b"RIFF" | b"RF64" | b"BW64"));
    if !is_riff || head.get(8..12) != Some(b"WAVE") {
        return Err(InspectError::OtherContent { wanted: "a WAV recording" });
    }
    follow(reader, bytes_count).map_err(InspectError::Read)
}

fn follow(reader: &mut (impl Read + Seek), bytes_count: u64) -> io::Result<Recording> {
    let mut recording = Recording::default();
    let mut bytes_per_s = 0;
    let mut sound_bytes = None;
    let mut at = 12;
    for _ in 0..CHUNKS_MAX {
        let header = read(reader, at..bytes_count, 8)?;
        let (Some(kind), Some(size)) = (header.get(..4), le32(&header, 4)) else { break };
        let body = at + 8;
        let end = body.saturating_add(u64::from(size)).min(bytes_count);
        match kind {
            b"fmt " => bytes_per_s = le32(&read(reader, body..end, 16)?, 8).unwrap_or(0),
            // A size of all ones means: see elsewhere, or unknown. Then to the end.
            b"data" => sound_bytes = Some(end - body),
            b"LIST" => recording.take(&read(reader, body..end, LIST_BYTES_MAX)?),
            b"exif" => recording.take_chunks(&read(reader, body..end, LIST_BYTES_MAX)?),
            _ => {}
        }
        // Chunks of odd length are followed by one byte of padding.
        at = end + (end - body) % 2;
    }
    recording.duration_ms = sound_bytes
        .and_then(|bytes| bytes.checked_mul(1000))
        .and_then(|bytes| bytes.checked_div(u64::from(bytes_per_s)));
    Ok(recording)
}

impl Recording {
    /// Takes what is of use in a list.
    fn take(&mut self, list: &[u8]) {
        if let Some((b"exif" | b"INFO", chunks)) = list.split_first_chunk::<4>() {
            self.take_chunks(chunks);
        }
    }

    fn take_chunks(&mut self, mut rest: &[u8]) {
        while let (Some(kind), Some(size)) = (rest.get(..4), le32(rest, 4)) {
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            let Some(value) = slice(rest, 8, size) else { return };
            let target = match kind {
                b"erel" => &mut self.related_image,
                b"INAM" => &mut self.words.title,
                b"ICMT" => &mut self.words.description,
                _ => &mut None,
            };
            if target.is_none() {
                *target = text(value);
            }
            rest = size
                .checked_next_multiple_of(2)
                .and_then(|size| rest.get(size.checked_add(8)?..))
                .unwrap_or_default();
        }
    }
}
