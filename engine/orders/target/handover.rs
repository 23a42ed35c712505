//! Puts pieces into a folder that a lab's software empties: each whole or not at all, and once.
//!
//! In:  what to put where, below the lab's folder. Out: where it was put.
//!
//! Everything is written and synced on a *desk* first: a hidden folder on the same filesystem.
//! Then a record is written that names the places, and then each piece is moved to its place by one
//! rename, in order. So the desk tells how far it came, and what a crash left is never a guess:
//!
//! ```text
//! no record                            nothing was handed over; what lies on the desk is swept away
//! a record, the first piece on the desk   the same, and the record goes first
//! a record, the first piece moved         the rest is moved; no photo is read again
//! ```
//!
//! The record stays: a lab that took a piece away leaves nothing else to know it by. The lab's
//! folder itself is never made: where it is missing a share is not mounted. Nothing that is there
//! is written over, and no link is followed below it.
//!
//! Knows nothing of dialects, products or photos beyond their bytes.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Files, Setback};
use crate::base::clock::Timestamp;
use crate::base::files::{Readers, write_atomic};
use crate::base::ids::{ContentHash, is_derived};
use crate::orders::webhook::MemberMessage;

/// Name of the desk in the lab's folder.
const DESK: &str = ".signet";

/// Longest record that is read; a thousand places have less.
const RECORD_BYTES_MAX: u64 = 1024 * 1024;

/// A folder that a lab's software empties.
#[derive(Debug, Clone)]
pub(super) struct Tray {
    folder: PathBuf,
    desk: PathBuf,
    landmark: Option<String>,
}

/// One thing that is moved whole: a folder with files, or a single file.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    /// Where it goes, below the lab's folder; plain names only.
    pub(super) place: PathBuf,
    /// What is in it. One entry without a path: the piece is that file itself.
    pub(super) entries: Vec<Entry<'a>>,
}

/// A file of a piece.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    /// Where in the piece; plain names only.
    pub(super) path: PathBuf,
    /// What is written.
    pub(super) content: Content<'a>,
}

/// What is written into a file.
#[derive(Debug)]
pub(super) enum Content<'a> {
    /// These words.
    Text(String),
    /// The bytes of a member.
    Member {
        /// Key of the order it belongs to.
        order_key: &'a str,
        /// Which one.
        member: &'a MemberMessage,
    },
}

/// What was handed over under a key.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Below the lab's folder, in the order in which they were moved.
    pub(super) places: Vec<PathBuf>,
}

impl Tray {
    /// - `folder`: the lab's, absolute
    /// - `desk`: where pieces are put together, on the same filesystem; absent: hidden in `folder`
    /// - `landmark`: a name that is in `folder` when it is the right one
    pub(super) fn new(folder: &Path, desk: Option<&Path>, landmark: Option<&str>) -> Self {
        let desk = desk.map_or_else(|| folder.join(DESK), Path::to_path_buf);
        Self { folder: folder.to_owned(), desk, landmark: landmark.map(str::to_owned) }
    }

    /// Whether paths are such as a tray can have.
    ///
    /// # Errors
    /// In words, with the cure.
    pub(super) fn check(folder: &Path, desk: Option<&Path>) -> Result<(), String> {
        match [Some(folder), desk].into_iter().flatten().find(|path| !path.is_absolute()) {
            Some(path) => Err(format!("`{}` has to begin at the root: write `/…`", path.display())),
            None => Ok(()),
        }
    }

    /// Whether the lab's folder is there.
    ///
    /// # Errors
    /// In words with the cure: it is missing, or another one is in its place.
    pub(super) fn ready(&self) -> Result<(), String> {
        let folder = self.folder.display();
        if !self.folder.is_dir() {
            return Err(format!("the folder `{folder}` is not there: mount the share it is on"));
        }
        match &self.landmark {
            Some(name) if !self.folder.join(name).exists() => Err(format!(
                "`{folder}` holds no `{name}`, so it is not the lab's folder: mount its share"
            )),
            _ => Ok(()),
        }
    }

    /// Whether something lies at a place.
    pub(super) fn holds(&self, place: &Path) -> bool {
        self.folder.join(place).symlink_metadata().is_ok()
    }

    /// Seconds since a parcel was handed over, by the clock of the disk; 0 when that is not known.
    pub(super) fn age_s(&self, key: &str, now: Timestamp) -> i64 {
        let modified = fs::metadata(self.record_path(key)).and_then(|data| data.modified());
        let since_1970 = modified.ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        let seconds = since_1970.and_then(|age| i64::try_from(age.as_secs()).ok());
        seconds.map_or(0, |seconds| now.seconds().saturating_sub(seconds).max(0))
    }

    /// Brings to an end what was broken off: a parcel of which a piece was handed over is handed
    /// over whole, of any other nothing is left. Gives the record of the former.
    ///
    /// # Errors
    /// `Unknown`: the record is damaged, or a piece cannot be moved.
    pub(super) fn settle(&self, key: &str) -> Result<Option<Record>, Setback> {
        if !is_derived(key) {
            return Err(Setback::refused(format!("`{key}` is no key of a parcel")));
        }
        let Some(record) = self.record(key)? else { return Ok(None) };
        if exists(&self.on_desk(key, 0)) {
            let withdrawn = fs::remove_file(self.record_path(key)).and_then(|()| self.sweep(key));
            withdrawn.map_err(|error| {
                let desk = self.desk.display();
                Setback::unknown(format!("`{desk}` cannot be cleared: {error}"))
            })?;
            return Ok(None);
        }
        self.move_pieces(key, &record).map_err(Setback::unknown)?;
        Ok(Some(record))
    }

    /// Hands a parcel over, or what is left of it.
    ///
    /// - `key`: names the parcel; what was handed over under it is not handed over again
    /// - `pieces`: asked for only when nothing of it was handed over
    ///
    /// # Errors
    /// A [`Setback`]; `Unknown` once a piece was moved.
    pub(super) fn hand_over<'a>(
        &self,
        key: &str,
        pieces: impl FnOnce() -> Result<Vec<Piece<'a>>, Setback>,
        files: &dyn Files,
    ) -> Result<Record, Setback> {
        self.ready().map_err(Setback::away)?;
        if let Some(record) = self.settle(key)? {
            return Ok(record);
        }
        let record = self.put_together(key, &pieces()?, files)?;
        match self.move_pieces(key, &record) {
            Ok(()) => Ok(record),
            // Either all of it was handed over by and by, or nothing of it is left.
            Err(why) => match self.settle(key)? {
                Some(record) => Ok(record),
                None => Err(Setback::not_taken(why)),
            },
        }
    }

    fn move_pieces(&self, key: &str, record: &Record) -> Result<(), String> {
        for (index, place) in record.places.iter().enumerate() {
            self.move_piece(&self.on_desk(key, index), place)?;
        }
        // Only empty folders are left there.
        let _swept = self.sweep(key);
        Ok(())
    }

    /// Removes what lies on the desk under a key.
    fn sweep(&self, key: &str) -> io::Result<()> {
        match fs::remove_dir_all(self.desk.join(key)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Writes all pieces on the desk, and the record when they are complete.
    fn put_together(
        &self,
        key: &str,
        pieces: &[Piece<'_>],
        files: &dyn Files,
    ) -> Result<Record, Setback> {
        if let Some(piece) = pieces.iter().find(|piece| self.holds(&piece.place)) {
            let place = self.folder.join(&piece.place);
            return Err(Setback::unknown(format!("`{}` is there already", place.display())));
        }
        let written = self.sweep(key).and_then(|()| self.write_pieces(key, pieces, files));
        written.map_err(|error| {
            let _swept = self.sweep(key);
            let folder = self.folder.display();
            Setback::not_taken(format!("nothing was put into `{folder}`: {error}"))
        })
    }

    fn write_pieces(
        &self,
        key: &str,
        pieces: &[Piece<'_>],
        files: &dyn Files,
    ) -> io::Result<Record> {
        let desk_was_there = self.desk.is_dir();
        fs::create_dir_all(self.desk.join(key))?;
        if !desk_was_there {
            sync(self.desk.parent().unwrap_or(&self.desk))?;
        }
        for (index, piece) in pieces.iter().enumerate() {
            check_plain(&piece.place)?;
            for entry in &piece.entries {
                let mut path = self.on_desk(key, index);
                if !entry.path.as_os_str().is_empty() {
                    check_plain(&entry.path)?;
                    path.push(&entry.path);
                }
                write(&path, &entry.content, files)?;
            }
        }
        sync_below(&self.desk.join(key))?;
        sync(&self.desk)?;
        let record = Record { places: pieces.iter().map(|piece| piece.place.clone()).collect() };
        write_atomic(&self.record_path(key), &serde_json::to_vec(&record)?, Readers::Usual)?;
        Ok(record)
    }

    /// Moves one piece to its place, unless that was done before.
    fn move_piece(&self, from: &Path, place: &Path) -> Result<(), String> {
        if !exists(from) {
            return Ok(());
        }
        let to = self.folder.join(place);
        if exists(&to) {
            return Err(format!("`{}` is in the way: move it elsewhere", to.display()));
        }
        let moved = self.make_parents(place).and_then(|()| fs::rename(from, &to));
        moved.map_err(|error| match error.kind() {
            io::ErrorKind::CrossesDevices => format!(
                "`{}` is on another filesystem than `{}`: name a `desk` beside it",
                self.desk.display(),
                self.folder.display()
            ),
            _ => format!("`{}` cannot be moved to its place: {error}", to.display()),
        })?;
        let synced = sync(to.parent().unwrap_or(&self.folder))
            .and_then(|()| sync(from.parent().unwrap_or(&self.desk)));
        synced.map_err(|error| format!("`{}` may not be on the disk yet: {error}", to.display()))
    }

    /// Makes the folders above a place, and follows no link.
    fn make_parents(&self, place: &Path) -> io::Result<()> {
        let mut folder = self.folder.clone();
        for name in place.parent().into_iter().flat_map(Path::components) {
            let parent = folder.clone();
            folder.push(name);
            match folder.symlink_metadata() {
                Ok(data) if data.is_dir() => {}
                Ok(_) => {
                    let path = folder.display();
                    return Err(io::Error::other(format!("`{path}` is no folder")));
                }
                Err(_) => {
                    fs::create_dir(&folder)?;
                    sync(&parent)?;
                }
            }
        }
        Ok(())
    }

    /// What was handed over under a key, or was about to be.
    ///
    /// # Errors
    /// `Unknown`: the record cannot be read or is damaged.
    pub(super) fn record(&self, key: &str) -> Result<Option<Record>, Setback> {
        let path = self.record_path(key);
        let doubt = |error: &dyn std::fmt::Display| {
            Setback::unknown(format!(
                "`{}` cannot be read ({error}): ask the lab whether it has the order, then remove it",
                path.display()
            ))
        };
        let mut bytes = Vec::new();
        match File::open(&path).and_then(|file| file.take(RECORD_BYTES_MAX).read_to_end(&mut bytes))
        {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| doubt(&error))?,
        };
        let record: Record = serde_json::from_slice(&bytes).map_err(|error| doubt(&error))?;
        for place in &record.places {
            check_plain(place).map_err(|error| doubt(&error))?;
        }
        Ok(Some(record))
    }

    fn record_path(&self, key: &str) -> PathBuf {
        self.desk.join(format!("{key}.json"))
    }

    fn on_desk(&self, key: &str, index: usize) -> PathBuf {
        self.desk.join(key).join(index.to_string())
    }
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Whether a path is made of plain names: nothing in it leads out of the folder it is below.
fn check_plain(path: &Path) -> io::Result<()> {
    let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    if is_plain && path.components().next().is_some() {
        return Ok(());
    }
    Err(io::Error::other(format!("`{}` is no path below the folder", path.display())))
}

/// Writes a file of a piece and syncs it.
fn write(path: &Path, content: &Content<'_>, files: &dyn Files) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = File::create_new(path)?;
    match content {
        Content::Text(text) => file.write_all(text.as_bytes())?,
        Content::Member { order_key, member } => {
            // One byte more than there should be is enough to see that they are others.
            let source = files.open(order_key, member)?.take(member.bytes_count.saturating_add(1));
            let digest = ContentHash::of_reader(Copying { source, target: &mut file })?;
            if digest != member.sha256 {
                let name = member.name.escape_debug();
                return Err(io::Error::other(format!("`{name}` changed while it was copied")));
            }
        }
    }
    file.sync_all()
}

/// Writes down whatever is read from it.
struct Copying<'a, R> {
    source: R,
    target: &'a mut File,
}

impl<R: Read> Read for Copying<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.target.write_all(buffer.get(..count).unwrap_or_default())?;
        Ok(count)
    }
}

/// Syncs a folder and those below it.
fn sync_below(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_below(&entry.path())?;
        }
    }
    sync(folder)
}

/// Syncs a folder, where its filesystem knows how; some network shares do not.
fn sync(folder: &Path) -> io::Result<()> {
    match crate::base::files::sync_folder(folder) {
        Err(error)
            if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) =>
        {
            Ok(())
        }
        synced => synced,
    }
}
