//! Walks a collection in byte order of whole paths. The walk is the truth; events are hints.
//!
//! In:  a root, a folder below it to begin with, folders that belong to other collections.
//! Out: every folder before what is in it; every file of ours with its state; what could
//!      not be looked at.
//!
//! The order is that of the index: the entries of a folder are sorted as if the names of
//! folders ended in `/`, so `a.jpg` comes before `a/b.jpg`, and that before `a0.jpg`.
//!
//! Links are not followed, so there are no loops and no way out of the root: each folder
//! is opened relative to the one that holds it, and not at all when it is a link by then.
//! Nothing is opened except folders.

use std::ffi::OsStr;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, openat, statat};
use rustix::io::Errno;

use super::names::{is_ignored_folder, kind_of};
use crate::base::file_kind::FileKind;
use crate::base::file_state::FileState;

/// Folders nested deeper than this are reported as unreadable.
const DEPTH_MAX: usize = 128;

/// What a walk comes across.
#[derive(Debug)]
pub enum Item<'a> {
    /// A folder, before anything in it is read.
    Folder {
        /// Path below the root; empty for the root.
        relative: &'a Path,
        /// The folder itself.
        descriptor: BorrowedFd<'a>,
    },
    /// A file of ours.
    File(Entry<'a>),
}

/// One file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Path below the root.
    pub relative: &'a Path,
    /// What it is by its name.
    pub kind: FileKind,
    /// Its state just now.
    pub state: FileState,
}

/// What to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Folders and files.
    Files,
    /// Folders only; no file is looked at.
    Folders,
}

/// What a walk left out.
#[derive(Debug, Default)]
pub struct Summary {
    /// Files told.
    pub files_count: u64,
    /// Other files, links and whatever is no file.
    pub ignored_count: u64,
    /// Folders and files that could not be looked at, and why.
    pub unreadable: Vec<(PathBuf, io::Error)>,
    /// The one who listened had enough.
    pub was_stopped: bool,
}

/// Walks `root/folder` and everything below. `folder` is empty for all of it.
///
/// - `excluded`: folders below the root that are passed over, such as roots of their own
/// - `listen` may end the walk
pub fn walk(
    root: &Path,
    folder: &Path,
    excluded: &[PathBuf],
    depth: Depth,
    listen: impl FnMut(Item<'_>) -> ControlFlow<()>,
) -> Summary {
    let mut walker = Walker {
        excluded,
        depth,
        path: folder.as_os_str().as_bytes().to_vec(),
        levels: Vec::new(),
        summary: Summary::default(),
        listen,
    };
    let opened = open_beneath(root, folder);
    walker.summary.was_stopped = walker.enter(opened).is_break() || walker.go_through().is_break();
    walker.summary
}

/// The `stat` of a path below a root that leads through no link; of a link, its own.
///
/// # Errors
/// Whatever the disk says; `NotADirectory` when a folder on the way is a link.
pub fn stat_beneath(root: &Path, relative: &Path) -> io::Result<Stat> {
    let folder = open_beneath(root, relative.parent().unwrap_or(Path::new("")))?;
    let name = relative.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    Ok(statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Whether a folder lists this very name. Where case does not matter, `stat` finds a file
/// under names that it does not have.
///
/// # Errors
/// Whatever the disk says; a folder that is not there lists nothing.
pub fn is_listed(root: &Path, relative: &Path) -> io::Result<bool> {
    let folder = match open_beneath(root, relative.parent().unwrap_or(Path::new(""))) {
        Err(error) if is_absence(&error) => return Ok(false),
        other => other?,
    };
    let name = relative.file_name().unwrap_or_default().as_bytes();
    for entry in Dir::new(folder)? {
        if entry?.file_name().to_bytes() == name {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether an error says that there is no such file, rather than that nobody can tell.
pub fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn open_beneath(root: &Path, folder: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut descriptor = openat(CWD, root, flags, Mode::empty())?;
    for name in folder {
        descriptor = open_folder(descriptor.as_fd(), name.as_bytes())?;
    }
    Ok(descriptor)
}

fn open_folder(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(parent, name, flags, Mode::empty()) {
        // What some systems say of a link where others say that it is no folder.
        Err(Errno::LOOP) => Err(Errno::NOTDIR.into()),
        other => Ok(other?),
    }
}

/// A walk under way.
struct Walker<'a, L> {
    excluded: &'a [PathBuf],
    depth: Depth,
    /// Where it is, below the root.
    path: Vec<u8>,
    /// The folders that it is in.
    levels: Vec<Level>,
    summary: Summary,
    listen: L,
}

/// A folder that is being gone through.
struct Level {
    descriptor: OwnedFd,
    /// Length of its path.
    path_bytes: usize,
    /// The names of its entries, one behind the other; a folder's ends in `/`.
    names: Vec<u8>,
    /// Sorted by name.
    entries: Vec<Listed>,
    next: usize,
}

/// One entry of a folder.
#[derive(Clone, Copy)]
struct Listed {
    begin: usize,
    end: usize,
    /// `None` for a folder.
    kind: Option<FileKind>,
}

impl<L: FnMut(Item<'_>) -> ControlFlow<()>> Walker<'_, L> {
    fn go_through(&mut self) -> ControlFlow<()> {
        while let Some(level) = self.levels.last_mut() {
            self.path.truncate(level.path_bytes);
            let Some(entry) = level.entries.get(level.next).copied() else {
                self.levels.pop();
                continue;
            };
            level.next += 1;
            if level.path_bytes > 0 {
                self.path.push(b'/');
            }
            let name_begin = self.path.len();
            self.path
                .extend_from_slice(level.names.get(entry.begin..entry.end).unwrap_or_default());
            match entry.kind {
                None => {
                    self.path.pop();
                    let relative = Path::new(OsStr::from_bytes(&self.path));
                    if self.excluded.iter().any(|folder| folder == relative) {
                        continue;
                    }
                    let name = self.path.get(name_begin..).unwrap_or_default();
                    let opened = open_folder(level.descriptor.as_fd(), name);
                    self.enter(opened)?;
                }
                Some(kind) => {
                    let name = self.path.get(name_begin..).unwrap_or_default();
                    let looked = statat(&level.descriptor, name, AtFlags::SYMLINK_NOFOLLOW);
                    self.tell_file(kind, looked)?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn tell_file(&mut self, kind: FileKind, looked: Result<Stat, Errno>) -> ControlFlow<()> {
        let relative = Path::new(OsStr::from_bytes(&self.path));
        match looked {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
                self.summary.files_count += 1;
                let state = FileState::of_stat(&stat);
                (self.listen)(Item::File(Entry { relative, kind, state }))
            }
            Ok(_no_file_by_now) => ControlFlow::Continue(()),
            Err(Errno::NOENT) => ControlFlow::Continue(()),
            Err(error) => {
                self.summary.unreadable.push((relative.to_path_buf(), error.into()));
                ControlFlow::Continue(())
            }
        }
    }

    /// Tells the folder that the path names and lists it.
    fn enter(&mut self, opened: io::Result<OwnedFd>) -> ControlFlow<()> {
        let relative = Path::new(OsStr::from_bytes(&self.path));
        let is_too_deep = self.levels.len() >= DEPTH_MAX;
        let descriptor = match opened {
            Ok(descriptor) if !is_too_deep => descriptor,
            // It was there when its parent was read and is not now: nothing is wrong.
            Err(error) if is_absence(&error) && !self.levels.is_empty() => {
                return ControlFlow::Continue(());
            }
            other => {
                let error = other.err().unwrap_or_else(|| {
                    io::Error::other(format!("folders are nested more than {DEPTH_MAX} deep"))
                });
                self.summary.unreadable.push((relative.to_path_buf(), error));
                return ControlFlow::Continue(());
            }
        };
        (self.listen)(Item::Folder { relative, descriptor: descriptor.as_fd() })?;
        let folder = relative.file_name().unwrap_or_default();
        let mut level = Level {
            descriptor,
            path_bytes: self.path.len(),
            names: Vec::new(),
            entries: Vec::new(),
            next: 0,
        };
        match level.list(folder, self.depth) {
            Ok(ignored_count) => self.summary.ignored_count += ignored_count,
            Err(error) => self.summary.unreadable.push((relative.to_path_buf(), error.into())),
        }
        self.levels.push(level);
        ControlFlow::Continue(())
    }
}

impl Level {
    /// Reads and sorts the names of the folder's entries. Gives the number of those that
    /// are no matter of ours.
    fn list(&mut self, folder: &OsStr, depth: Depth) -> Result<u64, Errno> {
        let mut ignored_count = 0;
        for entry in Dir::read_from(&self.descriptor)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            let file_type = match entry.file_type() {
                FileType::Unknown => {
                    let looked = statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW);
                    looked.map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode))
                }
                known => known,
            };
            let os_name = OsStr::from_bytes(name);
            let kind = match file_type {
                FileType::Directory if is_ignored_folder(os_name) => continue,
                FileType::Directory => None,
                FileType::RegularFile if depth == Depth::Files => match kind_of(folder, os_name) {
                    Some(kind) => Some(kind),
                    None => {
                        ignored_count += 1;
                        continue;
                    }
                },
                _ => {
                    ignored_count += 1;
                    continue;
                }
            };
            let begin = self.names.len();
            self.names.extend_from_slice(name);
            if kind.is_none() {
                self.names.push(b'/');
            }
            self.entries.push(Listed { begin, end: self.names.len(), kind });
        }
        let names = &self.names;
        self.entries.sort_unstable_by_key(|entry| names.get(entry.begin..entry.end));
        Ok(ignored_count)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn walk_all(root: &Path, mut listen: impl FnMut(Entry<'_>)) -> Summary {
        walk(root, Path::new(""), &[], Depth::Files, |item| {
            if let Item::File(entry) = item {
                listen(entry);
            }
            ControlFlow::Continue(())
        })
    }

    fn names(root: &Path) -> (Vec<String>, Summary) {
        let mut names = Vec::new();
        let summary =
            walk_all(root, |entry| names.push(entry.relative.to_string_lossy().into_owned()));
        (names, summary)
    }

    fn write(root: &Path, name: &str) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, b"x").expect("writes");
    }

    #[test]
    fn files_of_ours_are_told_and_the_rest_is_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        for name in ["a.jpg", "B.JPEG", "c/d/e.Png", "c/f.wav", "line\nbreak.jpg"] {
            write(root, name);
        }
        for name in ["a.txt", "a.jpg.part", ".hidden.jpg", "jpg", "c/AUTPRINT.MRK"] {
            write(root, name);
        }
        for name in [".thumbnails/a.jpg", "@eaDir/a.jpg", "x.photoslibrary/a.jpg", "c/.git/a.jpg"] {
            write(root, name);
        }
        let (names, summary) = names(root);
        assert_eq!(names, ["B.JPEG", "a.jpg", "c/d/e.Png", "c/f.wav", "line\nbreak.jpg"]);
        assert_eq!((summary.files_count, summary.ignored_count), (5, 5));
        assert!(summary.unreadable.is_empty());
    }

    #[test]
    fn order_is_that_of_the_bytes_of_whole_paths() {
        let folder = tempfile::tempdir().expect("a folder");
        let names_there =
            ["a!.jpg", "a.jpg", "a/b.jpg", "a/b/c.jpg", "a0.jpg", "a-/x.jpg", "ä.jpg"];
        for name in names_there {
            write(folder.path(), name);
        }
        let (names, _) = names(folder.path());
        assert_eq!(names.len(), names_there.len());
        assert!(names.is_sorted_by_key(|name| name.as_bytes().to_vec()), "{names:?}");
    }

    #[test]
    fn each_folder_is_told_before_its_files_and_excluded_ones_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["a/1.jpg", "b/2.jpg", "b/c/3.jpg"] {
            write(folder.path(), name);
        }
        let mut told = Vec::new();
        let excluded = [PathBuf::from("b/c")];
        walk(folder.path(), Path::new(""), &excluded, Depth::Files, |item| {
            told.push(match item {
                Item::Folder { relative, .. } => format!("{}/", relative.display()),
                Item::File(entry) => entry.relative.display().to_string(),
            });
            ControlFlow::Continue(())
        });
        assert_eq!(told, ["/", "a/", "a/1.jpg", "b/", "b/2.jpg"]);
    }

    #[test]
    fn links_and_odd_things_lead_nowhere() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        write(root, "a/b.jpg");
        symlink(root, root.join("a/loop")).expect("a link");
        symlink("/etc", root.join("etc")).expect("a link");
        symlink("b.jpg", root.join("a/link.jpg")).expect("a link");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, root.join("fifo.jpg"), mode).expect("a FIFO");
        let (names, summary) = names(root);
        assert_eq!(names, ["a/b.jpg"]);
        assert_eq!(summary.ignored_count, 4);
        assert!(stat_beneath(root, Path::new("a/b.jpg")).is_ok());
        let behind_a_link = stat_beneath(root, Path::new("a/loop/a/b.jpg")).expect_err("a link");
        assert!(is_absence(&behind_a_link), "{behind_a_link}");
    }

    #[test]
    fn folder_that_may_not_be_read_is_named_and_passed_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        write(root, "a/1.jpg");
        write(root, "b/2.jpg");
        fs::set_permissions(root.join("a"), fs::Permissions::from_mode(0o000)).expect("locks");
        let (names, summary) = names(root);
        fs::set_permissions(root.join("a"), fs::Permissions::from_mode(0o700)).expect("unlocks");
        if rustix::process::geteuid().is_root() {
            println!("skipped: root may read everything");
            return;
        }
        assert_eq!(names, ["b/2.jpg"]);
        assert_eq!(summary.unreadable.len(), 1);
        assert_eq!(summary.unreadable[0].0, Path::new("a"));
    }

    #[test]
    fn root_that_is_gone_is_reported() {
        let folder = tempfile::tempdir().expect("a folder");
        let (names, summary) = names(&folder.path().join("gone"));
        assert!(names.is_empty());
        assert_eq!(summary.unreadable.len(), 1);
    }

    #[test]
    fn folders_nested_without_end_are_cut_off() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut path = folder.path().to_path_buf();
        for _ in 0..DEPTH_MAX + 5 {
            path.push("d");
        }
        fs::create_dir_all(&path).expect("folders");
        let (_, summary) = names(folder.path());
        assert_eq!(summary.unreadable.len(), 1);
    }

    #[test]
    fn listener_stops_the_walk() {
        let folder = tempfile::tempdir().expect("a folder");
        for number in 0..10 {
            write(folder.path(), &format!("{number}.jpg"));
        }
        let summary = walk(folder.path(), Path::new(""), &[], Depth::Files, |item| match item {
            Item::Folder { .. } => ControlFlow::Continue(()),
            Item::File(_) => ControlFlow::Break(()),
        });
        assert!(summary.was_stopped);
        assert_eq!(summary.files_count, 1);
    }

    #[test]
    fn name_is_listed_only_as_it_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), "a/B.jpg");
        let is_listed = |name: &str| is_listed(folder.path(), Path::new(name)).expect("lists");
        assert!(is_listed("a/B.jpg"));
        assert!(!is_listed("a/b.jpg"));
        assert!(!is_listed("c/B.jpg"));
    }
}
