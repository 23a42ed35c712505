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

use std::ffi::OsStr;
use std::io::{self, Read, Seek};

use serde::{Deserialize, Serialize};

use super::extras::{Evidence, Extras, Words};
use crate::base::member::Member;

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
    /// What a sidecar or Google's JSON says of the photo.
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
/// - `reader`: its bytes, from the first one
///
/// # Errors
/// See [`InspectError`].
pub fn inspect(
    name: &OsStr,
    reader: &mut (impl Read + Seek),
) -> Result<CompanionFacts, InspectError> {
    let _ = (name, reader);
    Err(InspectError::NotACompanion)
}

/// How it is known that a companion belongs to a photo in the same folder; `None`: it
/// does not. What the files say weighs more than what they are called.
pub fn belongs(
    photo: &OsStr,
    extras: &Extras,
    companion: &OsStr,
    facts: &CompanionFacts,
) -> Option<Evidence> {
    let _ = (photo, extras, companion, facts);
    None
}
