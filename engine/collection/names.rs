//! What a name says: which files are told, which folders are left alone.
//!
//! In:  a path below a root.
//! Out: the kind of the file, or that it is none of ours.
//!
//! Knows no disk.

use std::ffi::OsStr;
use std::path::Path;

use super::group::{self, Kind};
use crate::base::file_kind::FileKind;

/// Print orders that a kiosk writes beside those of a camera.
const MARKS_IN_UNICODE: &str = "UNICODE.MRK";

/// Print orders count in this folder only.
const MARKS_FOLDER: &str = "MISC";

/// Folders that programs and systems keep for themselves, in lower case.
const IGNORED_FOLDERS: [&str; 6] =
    ["@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found", "@recycle"];

/// Folders with these extensions are libraries of other programs.
const IGNORED_FOLDER_EXTENSIONS: [&str; 4] = ["photoslibrary", "lrdata", "lrlibrary", "app"];

/// What a file of this name may hold; `None` is no matter of ours.
///
/// Names that begin with a dot belong to programs. Unfinished downloads and copies carry
/// other extensions (`.part`, `.crdownload`, `.tmp`, `.~tmp~`) and count when they are renamed.
///
/// - `folder`: name of the folder that it lies in; empty for the root
pub fn kind_of(folder: &OsStr, name: &OsStr) -> Option<FileKind> {
    match group::kind_of(name) {
        Kind::Photo => Some(FileKind::Photo),
        Kind::Companion(_) | Kind::Album => Some(FileKind::Companion),
        Kind::PrintMarks => Some(FileKind::Marks),
        Kind::Other if name.eq_ignore_ascii_case(MARKS_IN_UNICODE) => Some(FileKind::Marks),
        Kind::Other => None,
    }
    .filter(|kind| *kind != FileKind::Marks || folder.eq_ignore_ascii_case(MARKS_FOLDER))
}

/// As [`kind_of`], for a whole path; a file in an ignored folder is none of ours.
pub fn kind_of_path(relative: &Path) -> Option<FileKind> {
    let folders = relative.parent()?;
    if folders.iter().any(is_ignored_folder) {
        return None;
    }
    kind_of(folders.file_name().unwrap_or_default(), relative.file_name()?)
}

/// Whether a folder of this name is left alone with all that is in it.
pub fn is_ignored_folder(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
        || IGNORED_FOLDERS.iter().any(|ignored| name.eq_ignore_ascii_case(ignored))
        || Path::new(name).extension().is_some_and(|extension| {
            IGNORED_FOLDER_EXTENSIONS.iter().any(|wanted| extension.eq_ignore_ascii_case(wanted))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_files_are() {
        let check =
            |path: &str, wanted| assert_eq!(kind_of_path(Path::new(path)), wanted, "{path}");
        for photo in
            ["a.jpg", "A.JPEG", "x/y.Heic", "x/y.ORF", "-f.png", "a.b.webp", "\u{202e}gpj.jpg"]
        {
            check(photo, Some(FileKind::Photo));
        }
        for companion in ["a.wav", "x/IMG_1.MOV", "a.jpg.json", "a.jpg.xmp", "a.AAE", "PXL_1.MP"] {
            check(companion, Some(FileKind::Companion));
        }
        for marks in ["MISC/AUTPRINT.MRK", "misc/autrint.mrk", "x/MISC/UNICODE.MRK"] {
            check(marks, Some(FileKind::Marks));
        }
        for other in [
            "jpg",
            ".jpg",
            ".a.jpg",
            "a.txt",
            "a.jpg.part",
            "a.jpg.tmp",
            "a.jpg.crdownload",
            "a.jpg.~tmp~",
            ".goutputstream-X.jpg",
            ".syncthing.a.jpg.tmp",
            "AUTPRINT.MRK",
            "MISC/OTHER.MRK",
            ".thumbnails/a.jpg",
            "x/@eaDir/a.jpg",
            "x.photoslibrary/y/a.jpg",
            "",
        ] {
            check(other, None);
        }
    }
}
