//! The owner's private folder: originals that were to be kept, each version once.
//!
//! In:  a photo version and where it lies. Out: a copy in `private/` of the home, whole and
//! compared with its digest. Nothing in that folder is ever offered to anyone.
//!
//! Knows nothing of icons and rules.

use std::path::{Path, PathBuf};

use crate::base::files::{Readers, write_atomic};
use crate::base::home::{Home, make_private_dir};
use crate::base::ids::ContentHash;
use crate::media::read::BYTES_MAX;
use crate::media::{ReadError, read_original};

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeepError {
    /// The original.
    #[error("its original cannot be read")]
    Read(#[from] ReadError),
    /// It is another version by now, which is looked at for itself.
    #[error("its original was changed meanwhile")]
    Changed,
    /// The folder or the copy.
    #[error("`{path}` cannot be written")]
    Write {
        /// The copy.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What was written is not what is read back: the disk is failing.
    #[error("`{path}` was not written as it should be")]
    Differs {
        /// The copy.
        path: PathBuf,
    },
}

/// Copies an original; `None` when that version was kept before.
///
/// - `original`: where the photo version lies now
pub(super) fn keep(
    home: &Home,
    photo: &ContentHash,
    original: &Path,
) -> Result<Option<PathBuf>, KeepError> {
    let folder = home.private_dir();
    let copy = folder.join(name(photo, original));
    // A copy is there whole or not at all; one that was damaged since is made anew.
    if holds(&copy, photo) {
        return Ok(None);
    }
    let bytes = read_original(original, BYTES_MAX)?.bytes;
    if ContentHash::of(&bytes) != *photo {
        return Err(KeepError::Changed);
    }
    let write_error = |source| KeepError::Write { path: copy.clone(), source };
    make_private_dir(&folder).map_err(write_error)?;
    write_atomic(&copy, &bytes, Readers::OwnerOnly).map_err(write_error)?;
    if holds(&copy, photo) { Ok(Some(copy)) } else { Err(KeepError::Differs { path: copy }) }
}

fn holds(copy: &Path, photo: &ContentHash) -> bool {
    read_original(copy, BYTES_MAX).is_ok_and(|copy| ContentHash::of(&copy.bytes) == *photo)
}

/// Digits of the version before the name: two photos called `IMG_1.jpg` are two copies.
fn name(photo: &ContentHash, original: &Path) -> String {
    let version: String = photo.to_string().chars().take(16).collect();
    let name = original.file_name().unwrap_or_default().to_string_lossy();
    // Names have at most 255 bytes, with the ending that is there while it is written.
    let mut start = name.len().saturating_sub(200);
    while !name.is_char_boundary(start) {
        start += 1;
    }
    format!("{version}-{}", name.get(start..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn original_is_kept_once_and_a_damaged_copy_is_mended() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::at(folder.path().join("home"));
        let original = folder.path().join("IMG_1.jpg");
        std::fs::write(&original, b"pixels").expect("written");
        let photo = ContentHash::of(b"pixels");
        let copy = keep(&home, &photo, &original).expect("kept").expect("new");
        assert_eq!(std::fs::read(&copy).expect("a copy"), b"pixels");
        assert!(keep(&home, &photo, &original).expect("known").is_none());
        std::fs::write(&copy, b"pixel").expect("damaged");
        assert_eq!(keep(&home, &photo, &original).expect("mended"), Some(copy.clone()));
        std::fs::remove_file(&original).expect("removed");
        assert!(keep(&home, &photo, &original).expect("still there").is_none());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&copy).expect("a copy").permissions().mode();
            assert_eq!(mode & 0o077, 0, "others may read it");
        }
    }

    #[test]
    fn original_that_was_changed_is_not_kept_as_another_version() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::at(folder.path());
        let original = folder.path().join(format!("{}.jpg", "é".repeat(125)));
        std::fs::write(&original, b"new").expect("written");
        let error = keep(&home, &ContentHash::of(b"old"), &original).expect_err("changed");
        assert!(matches!(error, KeepError::Changed), "{error}");
        keep(&home, &ContentHash::of(b"new"), &original).expect("kept").expect("new");
    }
}
