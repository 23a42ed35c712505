//! Which folder a root is just now, and which folders in it belong to other roots.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Root;
use crate::store::Volume;

/// Tells one folder on one disk from another that is later found under the same path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RootId {
    pub(super) device: u64,
    inode: u64,
}

impl RootId {
    /// The folder that is at this path now, if there is one.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        metadata.is_dir().then(|| Self { device: metadata.dev(), inode: metadata.ino() })
    }

    /// What the index keeps of it: numbers of devices change, those of file systems do not.
    pub(super) fn volume(self, path: &Path) -> Volume {
        let id = rustix::fs::statvfs(path).map_or(0, |answer| answer.f_fsid);
        let id = if id == 0 { self.device } else { id };
        Volume { id, root_inode: self.inode }
    }
}

/// A root that can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// With all links resolved, as events name it.
    pub(super) path: PathBuf,
    pub(super) root_id: RootId,
    /// Folders below that are roots of their own: a file belongs to the innermost.
    pub(super) excluded: Vec<PathBuf>,
}

/// What is found at the path of a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// The root.
    Here(Place),
    /// Nothing, nothing readable, or an empty mount point.
    Nothing,
    /// A root that was named before this one is the same folder.
    Twin(String),
}

/// Looks for a root.
///
/// - `roots`: all roots, this one among them; of two that are one folder the first counts
/// - `last`: the folder that it was before; an empty one on another disk is not it
pub(super) fn look(root: &Root, roots: &[Root], last: Option<RootId>) -> Found {
    let Ok(path) = root.path.canonicalize() else { return Found::Nothing };
    let Some(root_id) = RootId::of(&path) else { return Found::Nothing };
    let Ok(mut entries) = fs::read_dir(&path) else { return Found::Nothing };
    let is_other_disk = last.is_some_and(|last| last.device != root_id.device);
    if is_other_disk && entries.next().is_none() {
        return Found::Nothing;
    }
    let mut excluded = Vec::new();
    let mut is_later = false;
    for other in roots {
        if other.collection == root.collection {
            is_later = true;
            continue;
        }
        // One that is not there now may come later, and its place is kept for it.
        let other_path = other.path.canonicalize().unwrap_or_else(|_gone| other.path.clone());
        match other_path.strip_prefix(&path) {
            Ok(below) if below.as_os_str().is_empty() && !is_later => {
                return Found::Twin(other.collection.clone());
            }
            Ok(below) if !below.as_os_str().is_empty() => excluded.push(below.to_path_buf()),
            _ => {}
        }
    }
    Found::Here(Place { path, root_id, excluded })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(collection: &str, path: &Path) -> Root {
        Root { collection: collection.to_owned(), path: path.to_path_buf() }
    }

    #[test]
    fn file_belongs_to_the_innermost_root() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().canonicalize().expect("a path");
        fs::create_dir_all(path.join("a/b")).expect("folders");
        std::os::unix::fs::symlink(path.join("a/b"), path.join("link")).expect("a link");
        let roots = [
            root("outer", &path),
            root("inner", &path.join("link")),
            root("later", &path.join("a/c")),
            root("twin", &path.join("a/..")),
        ];
        let look = |at: usize| look(&roots[at], &roots, None);
        let Found::Here(outer) = look(0) else { panic!("it is there") };
        assert_eq!(outer.excluded, [Path::new("a/b"), Path::new("a/c")]);
        let Found::Here(inner) = look(1) else { panic!("it is there") };
        assert_eq!((inner.path, inner.excluded), (path.join("a/b"), Vec::new()));
        assert_eq!(look(2), Found::Nothing);
        assert_eq!(look(3), Found::Twin("outer".to_owned()));
    }

    #[test]
    fn empty_folder_on_another_disk_is_not_the_root() {
        let folder = tempfile::tempdir().expect("a folder");
        let roots = [root("c", folder.path())];
        let Found::Here(here) = look(&roots[0], &roots, None) else { panic!("it is there") };
        assert_eq!(look(&roots[0], &roots, Some(here.root_id)), Found::Here(here.clone()));
        let elsewhere = RootId { device: here.root_id.device + 1, ..here.root_id };
        assert_eq!(look(&roots[0], &roots, Some(elsewhere)), Found::Nothing);
        fs::write(folder.path().join("a.jpg"), b"x").expect("writes");
        assert_eq!(look(&roots[0], &roots, Some(elsewhere)), Found::Here(here));
    }
}
