//! Walks a collection and lists its photo files. The scan is the truth; events are hints.
//!
//! In:  a root and a folder below it to begin with.
//! Out: every regular file with a photo's extension, with its state; what was skipped.
//!
//! Links are not followed, so there are no loops and no way out of the root. Folders that
//! cannot be read are named and passed over. Nothing is opened except folders.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::base::file_state::FileState;

/// Folders nested deeper than this are reported as unreadable.
const DEPTH_MAX: usize = 128;

const EXTENSIONS: [&str; 4] = ["jpg", "jpeg", "png", "webp"];

/// Folders that programs and systems keep for themselves, in lower case.
const IGNORED_FOLDERS: [&str; 6] =
    ["@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found", "@recycle"];

/// Folders with these extensions are libraries of other programs.
const IGNORED_FOLDER_EXTENSIONS: [&str; 4] = ["photoslibrary", "lrdata", "lrlibrary", "app"];

/// One photo file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Path below the root.
    pub relative: PathBuf,
    /// Its state when it was listed.
    pub state: FileState,
}

/// What a walk came across.
#[derive(Debug, Default)]
pub struct Summary {
    /// Photo files listed.
    pub files_count: u64,
    /// Other files, links and whatever is no file.
    pub ignored_count: u64,
    /// Folders and files that could not be looked at, and why.
    pub unreadable: Vec<(PathBuf, io::Error)>,
    /// The one who listened had enough.
    pub was_stopped: bool,
}

/// Whether a file of this name may hold a photo. Names that begin with a dot belong to
/// programs; unfinished downloads and copies carry other extensions.
pub fn is_photo_name(name: &OsStr) -> bool {
    use super::group::{Kind, kind_of};
    (!name.as_encoded_bytes().starts_with(b".") && has_extension(name, &EXTENSIONS))
        || matches!(kind_of(name), Kind::Companion(_) | Kind::PrintMarks)
}

/// Whether a folder of this name is left alone with all that is in it.
pub fn is_ignored_folder(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
        || IGNORED_FOLDERS.iter().any(|ignored| name.eq_ignore_ascii_case(ignored))
        || has_extension(name, &IGNORED_FOLDER_EXTENSIONS)
}

/// Whether a path below the root lies in no ignored folder.
pub fn is_watched_path(relative: &Path) -> bool {
    relative.parent().is_none_or(|folders| folders.iter().all(|name| !is_ignored_folder(name)))
}

fn has_extension(name: &OsStr, extensions: &[&str]) -> bool {
    Path::new(name).extension().is_some_and(|extension| {
        extensions.iter().any(|wanted| extension.eq_ignore_ascii_case(wanted))
    })
}

/// Lists the photo files in `root/folder` and below. `folder` is empty for all of it.
///
/// Files are told to `listen` as they are found, in no order; it may stop the walk.
pub fn scan(
    root: &Path,
    folder: &Path,
    mut listen: impl FnMut(Entry) -> ControlFlow<()>,
) -> Summary {
    let mut summary = Summary::default();
    let mut folders = vec![(folder.to_path_buf(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let entries = match fs::read_dir(root.join(&folder)) {
            Ok(entries) if depth < DEPTH_MAX => entries,
            Ok(_too_deep) => {
                summary.unreadable.push((folder, io::Error::other("folders are nested too deep")));
                continue;
            }
            // It was there when its parent was read and is not now: nothing is wrong.
            Err(error) if error.kind() == io::ErrorKind::NotFound && depth > 0 => continue,
            Err(error) => {
                summary.unreadable.push((folder, error));
                continue;
            }
        };
        for entry in entries {
            let looked_at = entry.and_then(|entry| entry.file_type().map(|kind| (entry, kind)));
            let (entry, kind) = match looked_at {
                Ok(both) => both,
                Err(error) => {
                    summary.unreadable.push((folder.clone(), error));
                    break;
                }
            };
            let name = entry.file_name();
            if kind.is_dir() {
                if !is_ignored_folder(&name) {
                    folders.push((folder.join(&name), depth + 1));
                }
                continue;
            }
            if !kind.is_file() || !is_photo_name(&name) {
                summary.ignored_count += 1;
                continue;
            }
            let relative = folder.join(&name);
            match entry.metadata() {
                Ok(metadata) => {
                    summary.files_count += 1;
                    if listen(Entry { relative, state: FileState::of(&metadata) }).is_break() {
                        summary.was_stopped = true;
                        return summary;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => summary.unreadable.push((relative, error)),
            }
        }
    }
    summary
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn names(root: &Path) -> (Vec<String>, Summary) {
        let mut names = Vec::new();
        let summary = scan(root, Path::new(""), |entry| {
            names.push(entry.relative.to_string_lossy().into_owned());
            ControlFlow::Continue(())
        });
        names.sort();
        (names, summary)
    }

    fn write(root: &Path, name: &str) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, b"x").expect("writes");
    }

    #[test]
    fn photos_are_listed_and_the_rest_is_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        for name in ["a.jpg", "B.JPEG", "c/d/e.Png", "c/f.webp", "line\nbreak.jpg"] {
            write(root, name);
        }
        for name in [
            "a.txt",
            "a.jpg.part",
            ".hidden.jpg",
            "a.jpg.crdownload",
            ".goutputstream-X.jpg",
            "jpg",
        ] {
            write(root, name);
        }
        for name in [".thumbnails/a.jpg", "@eaDir/a.jpg", "x.photoslibrary/a.jpg", "c/.git/a.jpg"] {
            write(root, name);
        }
        let (names, summary) = names(root);
        assert_eq!(names, ["B.JPEG", "a.jpg", "c/d/e.Png", "c/f.webp", "line\nbreak.jpg"]);
        assert_eq!((summary.files_count, summary.ignored_count), (5, 6));
        assert!(summary.unreadable.is_empty());
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
        let summary = scan(folder.path(), Path::new(""), |_| ControlFlow::Break(()));
        assert!(summary.was_stopped);
        assert_eq!(summary.files_count, 1);
    }
}
