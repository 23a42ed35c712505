//! Files that travel with a photo: what one is, and which photo it belongs to.
//!
//! In:  a companion's name and its bytes, as a reader that can seek.
//! Out: what it is by its content, what links it to a photo, words for the photo.
//!
//! The content decides what a file is, the name only what it is looked at as: a film of
//! 8 GB is not read, its index is found by seeking. Location, people and serial numbers
//! are not read.
//!
//! Knows nothing of disks, and not which photos there are.

mod belongs;
mod blocks;
mod boxes;
mod bytes;
mod embedded;
mod film;
mod inside;
mod iptc;
mod multi_picture;
mod sef;
mod takeout;
mod wav;
mod xmp;

use std::ffi::OsStr;
use std::io::{self, Read, Seek, SeekFrom};

use serde::{Deserialize, Serialize};

use super::extras::Words;
use crate::base::clock::Timestamp;
use crate::base::member::Member;
use crate::collection::group::{Kind, is_raw, kind_of};

pub use belongs::belongs;
pub use takeout::album_title;

/// A larger JSON is not read.
const TAKEOUT_BYTES_MAX: u64 = 1024 * 1024;

/// What a companion file says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompanionFacts {
    /// What it is.
    pub member: Member,
    /// By its content, such as `audio/wav`.
    pub media_type: String,
    /// What it says of the photo it belongs to.
    #[serde(default)]
    pub link: Option<Link>,
    /// How long a recording or film lasts, in milliseconds.
    #[serde(default)]
    pub duration_ms: Option<u64>,
    /// When the photo was taken, as Google has it.
    #[serde(default)]
    pub taken_at: Option<Timestamp>,
    /// What a sidecar, a recording or Google's JSON says of the photo.
    #[serde(default)]
    pub words: Words,
}

/// What a companion says of the photo it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Link {
    /// Name of the picture's file when both were made, often as 8.3 (`erel` of a WAV).
    RelatedImage(String),
    /// Apple's content identifier, which the photo has too.
    ContentId(String),
    /// Extension of the file that a sidecar is for, such as `NEF`.
    SidecarFor(String),
    /// Name or title of the photo when Google got it.
    Title(String),
}

/// Why a companion file could not be understood.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// No companion has such a name.
    #[error("no companion of a photo has such a name")]
    NotACompanion,
    /// It is something else than its name says.
    #[error("it should be {wanted} by its name, and is not")]
    OtherContent {
        /// What the name says, with an article.
        wanted: &'static str,
    },
    /// A text of this kind is never so long; it was not read.
    #[error("it has more than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: u64,
    },
    /// Its parts contradict each other.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    /// The disk, or the way to it, failed.
    #[error("it could not be read")]
    Read(#[source] io::Error),
}

/// Says what a companion file is.
///
/// - `name`: its own name, without folders
/// - `reader`: its bytes; they are read from the first one, wherever it stands
///
/// # Errors
/// See [`InspectError`].
pub fn inspect(
    name: &OsStr,
    reader: &mut (impl Read + Seek),
) -> Result<CompanionFacts, InspectError> {
    let member = match kind_of(name) {
        Kind::Companion(member) => member,
        Kind::Photo if is_raw(name) => Member::Raw,
        _ => return Err(InspectError::NotACompanion),
    };
    let plain = |media_type: &str| CompanionFacts {
        member,
        media_type: media_type.to_owned(),
        link: None,
        duration_ms: None,
        taken_at: None,
        words: Words::default(),
    };
    match member {
        Member::VoiceMemo => {
            let recording = wav::inspect(reader)?;
            Ok(CompanionFacts {
                link: recording.related_image.map(Link::RelatedImage),
                duration_ms: recording.duration_ms,
                words: recording.words,
                ..plain("audio/wav")
            })
        }
        Member::Motion => {
            let film = film::inspect(reader)?;
            Ok(CompanionFacts {
                link: film.content_id.map(Link::ContentId),
                duration_ms: film.duration_ms,
                ..plain(film.media_type)
            })
        }
        Member::Sidecar => {
            let packet = xmp::read(&whole(reader, xmp::BYTES_MAX as u64)?)
                .ok_or(InspectError::OtherContent { wanted: "an XMP sidecar" })?;
            Ok(CompanionFacts {
                link: packet.sidecar_for.map(Link::SidecarFor),
                words: packet.words,
                ..plain("application/rdf+xml")
            })
        }
        Member::Takeout => {
            let takeout = takeout::photo(&whole(reader, TAKEOUT_BYTES_MAX)?)?;
            Ok(CompanionFacts {
                link: Some(Link::Title(takeout.title)),
                taken_at: takeout.taken_at,
                words: takeout.words,
                ..plain("application/json")
            })
        }
        _ => told_by_head(name, member, &head(reader)?).map(plain),
    }
}

/// Media type of what is known by its first bytes.
fn told_by_head(name: &OsStr, member: Member, head: &[u8]) -> Result<&'static str, InspectError> {
    let (found, wanted) = match member {
        Member::Thumbnail => {
            (head.starts_with(&[0xFF, 0xD8, 0xFF]).then_some("image/jpeg"), "a small JPEG")
        }
        Member::Edits => {
            let text = String::from_utf8_lossy(head);
            let is_list = head.starts_with(b"bplist") || text.contains("<plist");
            (is_list.then_some("application/vnd.apple.photos"), "a list of edits")
        }
        _ => (raw_type(name, head), "raw data of a camera"),
    };
    found.ok_or(InspectError::OtherContent { wanted })
}

/// Media type of raw data. Most are TIFF inside, and only the name tells whose.
fn raw_type(name: &OsStr, head: &[u8]) -> Option<&'static str> {
    let is_tiff = matches!(head.get(..4)?, b"II*\0" | b"MM\0*" | b"IIRO" | b"IIRS" | b"MMOR");
    let is_boxes = head.get(4..12) == Some(b"ftypcrx ");
    let extension = std::path::Path::new(name).extension()?.to_ascii_lowercase();
    match extension.as_encoded_bytes() {
        b"cr3" if is_boxes => Some("image/x-canon-cr3"),
        b"raf" if head.starts_with(b"FUJIFILMCCD-RAW") => Some("image/x-fujifilm-raf"),
        b"nef" if is_tiff => Some("image/x-nikon-nef"),
        b"nrw" if is_tiff => Some("image/x-nikon-nrw"),
        b"cr2" if is_tiff => Some("image/x-canon-cr2"),
        b"arw" if is_tiff => Some("image/x-sony-arw"),
        b"dng" if is_tiff => Some("image/x-adobe-dng"),
        b"orf" if is_tiff => Some("image/x-olympus-orf"),
        _ => None,
    }
}

fn head(reader: &mut (impl Read + Seek)) -> Result<Vec<u8>, InspectError> {
    boxes::read(reader, 0..1024, 1024).map_err(InspectError::Read)
}

fn whole(reader: &mut (impl Read + Seek), bytes_max: u64) -> Result<Vec<u8>, InspectError> {
    let bytes_count = reader.seek(SeekFrom::End(0)).map_err(InspectError::Read)?;
    if bytes_count > bytes_max {
        return Err(InspectError::TooLarge { bytes_max });
    }
    boxes::read(reader, 0..bytes_count, bytes_max).map_err(InspectError::Read)
}

#[cfg(test)]
mod tests;
