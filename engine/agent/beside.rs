//! Reads what lies beside photos: companions and print orders. Once each, by a worker.
//!
//! In:  the path of a file. Out: its digest and what it says. A companion is read in pieces,
//! so a long film takes no memory; it is small parsers of our own that look into it.
//!
//! A file that is being written is told from one that is complete by its state before and
//! after, and by having been left alone for a while.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::group::print_fact;
use crate::base::clock::Timestamp;
use crate::base::file_state::FileState;
use crate::base::ids::ContentHash;
use crate::collection::group::tie;
use crate::media::CompanionFacts;
use crate::media::companion::{InspectError, inspect};
use crate::media::dpof::{self, PrintMarks};
use crate::store::MarkRow;
use crate::store::members::path_key;

/// Largest companion that is read: a quarter of an hour of film.
const COMPANION_BYTES_MAX: u64 = 4 << 30;

/// From this size on a companion is read only when there is a photo that it may belong to.
const ALONE_BYTES_MIN: u64 = 16 << 20;

/// What a file beside photos says.
#[derive(Debug)]
pub(super) enum Beside {
    /// Something that travels with a photo.
    Companion(CompanionFacts),
    /// It should be a companion by its name and is none; why.
    Strange(String),
    /// A print order: its jobs by photo, and what was odd.
    Marks { jobs: Vec<MarkRow>, notes: Vec<String> },
}

/// Why nothing can be said of a file.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It is not there.
    Gone,
    /// It is being written, or the disk stumbled.
    Soon(String),
    /// It is no file that is read, as long as it stays as it is.
    Never(Option<FileState>, String),
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => Self::Gone,
            _ => Self::Soon(format!("it cannot be read: {error}")),
        }
    }
}

/// A file that was read.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) state: FileState,
    pub(super) hash: ContentHash,
    pub(super) beside: Beside,
}

/// The state of a large file that lies in a folder in which no photo has a name that fits it. Such
/// films are not read: there are thousands of them, and nobody asks for them.
pub(super) fn alone(path: &Path) -> Option<FileState> {
    let state = FileState::of(&path.symlink_metadata().ok()?);
    let (name, folder) = (path.file_name()?, path.parent()?);
    if state.bytes_count < ALONE_BYTES_MIN {
        return None;
    }
    let mut entries = folder.read_dir().ok()?.flatten();
    entries.all(|entry| tie(&entry.file_name(), name).is_none()).then_some(state)
}

/// Reads a companion.
///
/// - `quiet_ms`: a file that was written to since counts as unfinished
pub(super) fn read_companion(path: &Path, quiet_ms: i64, now: Timestamp) -> Result<Seen, Trouble> {
    let (mut file, before) = open(path, COMPANION_BYTES_MAX)?;
    let modified = Timestamp(before.modified_ns.div_euclid(1_000_000));
    if (0..quiet_ms).contains(&(now.0 - modified.0)) {
        return Err(Trouble::Soon("it is being written".to_owned()));
    }
    let beside = match inspect(path.file_name().unwrap_or_default(), &mut file) {
        Ok(facts) => Beside::Companion(facts),
        Err(InspectError::Read(error)) => return Err(error.into()),
        Err(error) => Beside::Strange(error.to_string()),
    };
    file.rewind()?;
    let hash = ContentHash::of_reader(&file)?;
    unchanged(&file, before)?;
    Ok(Seen { state: before, hash, beside })
}

/// Reads a print order.
///
/// - `relative`: its path below the collection's root, where the paths in it end
pub(super) fn read_marks(path: &Path, relative: &Path) -> Result<Seen, Trouble> {
    let (state, bytes) = read_small(path)?;
    let words = read_small(&path.with_file_name("UNICODE.MRK")).ok().map(|(_, bytes)| bytes);
    let PrintMarks { creator, jobs, mut notes, .. } = dpof::parse(&bytes, words.as_deref());
    let folder = relative.parent().unwrap_or(Path::new(""));
    let mut rows = Vec::new();
    for job in &jobs {
        let fact = print_fact(job, creator.as_deref());
        let Ok(job_json) = serde_json::to_string(&fact) else { continue };
        for image in &job.images {
            match dpof::resolve(folder, image) {
                Some(photo) => {
                    rows.push(MarkRow { path_key: path_key(&photo), job_json: job_json.clone() })
                }
                None => notes.push(format!("`{image}` is outside the collection")),
            }
        }
    }
    let beside = Beside::Marks { jobs: rows, notes };
    Ok(Seen { state, hash: ContentHash::of(&bytes), beside })
}

/// The folder below which a print order names photos: that above its own.
pub(super) fn root_of_marks(relative: &Path) -> PathBuf {
    relative.parent().and_then(Path::parent).unwrap_or(Path::new("")).to_path_buf()
}

fn read_small(path: &Path) -> Result<(FileState, Vec<u8>), Trouble> {
    let (mut file, before) = open(path, dpof::BYTES_MAX as u64)?;
    let mut bytes = Vec::new();
    (&mut file).take(dpof::BYTES_MAX as u64).read_to_end(&mut bytes)?;
    unchanged(&file, before)?;
    Ok((before, bytes))
}

/// Opens a file without following a link at its end or waiting for anybody.
fn open(path: &Path, bytes_max: u64) -> Result<(File, FileState), Trouble> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::LOOP | rustix::io::Errno::NXIO) => {
            return Err(Trouble::Never(None, "it is no file".to_owned()));
        }
        Err(error) => return Err(std::io::Error::from(error).into()),
    };
    let metadata = file.metadata()?;
    let state = FileState::of(&metadata);
    if !metadata.is_file() {
        return Err(Trouble::Never(None, "it is no file".to_owned()));
    }
    if state.bytes_count > bytes_max {
        let why = format!("it has {} bytes, the limit is {bytes_max}", state.bytes_count);
        return Err(Trouble::Never(Some(state), why));
    }
    if state.bytes_count == 0 {
        return Err(Trouble::Never(Some(state), "it is empty".to_owned()));
    }
    Ok((file, state))
}

fn unchanged(file: &File, before: FileState) -> Result<(), Trouble> {
    let after = FileState::of(&file.metadata()?);
    (after == before)
        .then_some(())
        .ok_or_else(|| Trouble::Soon("it changed while it was read".to_owned()))
}
