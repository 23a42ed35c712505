//! Finds and reads rule files: the one place of this folder that touches the disk.
//!
//! In:  a folder, or paths. Out: [`RuleFile`]s, sorted by name. Those in the folder `operator`
//! inside it are the operator's and come first.
//!
//! What editors leave behind (`.family.toml.swp`, `family.toml~`, `.#family.toml`, `4913`) is no
//! rule file, and neither is `family.cases.toml`. A file that cannot be read is an error
//! and never a missing rule: the rule that forbids could be in it. So a name ends with `.toml` in
//! any letters, whatever its other bytes are, and a copy (`Copy of family.toml`,
//! `family.sync-conflict-….toml`) is a rule file too, whose rules are there twice: that is told.
//!
//! Knows nothing of what is in the files.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::source::{Author, FILE_BYTES_MAX, RuleFile};

/// Most rule files in one folder.
pub const FILES_MAX: usize = 200;

/// Why rule files could not be read; what was in force stays in force.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The disk refused.
    #[error("`{}` cannot be read", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// More files than [`FILES_MAX`].
    #[error("`{}` holds more than {FILES_MAX} rule files", folder.display())]
    TooMany {
        /// The folder.
        folder: PathBuf,
    },
}

/// Whether a name is one of a rule file.
pub fn is_rule_file(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes().to_ascii_lowercase();
    let is_hidden = name.starts_with(b".") || name.starts_with(b"#");
    name.ends_with(b".toml") && !name.ends_with(b".cases.toml") && !is_hidden
}

/// The path of the cases beside a rule file: `family.cases.toml` for `family.toml`.
pub fn cases_path(rules: &Path) -> PathBuf {
    rules.with_extension("cases.toml")
}

/// Name of the folder inside the folder of rules in which the operator's files lie.
pub const OPERATOR: &str = "operator";

/// Paths of the rule files of a folder: the operator's, then the owner's, each sorted by name.
///
/// # Errors
/// The folder is not there or cannot be listed, or holds too many.
pub fn list(folder: &Path) -> Result<Vec<PathBuf>, FilesError> {
    let operators = folder.join(OPERATOR);
    let mut paths = match operators.is_dir() {
        true => list_one(&operators)?,
        false => Vec::new(),
    };
    paths.extend(list_one(folder)?);
    if paths.len() > FILES_MAX {
        return Err(FilesError::TooMany { folder: folder.to_path_buf() });
    }
    Ok(paths)
}

fn list_one(folder: &Path) -> Result<Vec<PathBuf>, FilesError> {
    let unreadable = |source| FilesError::Unreadable { path: folder.to_path_buf(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if is_rule_file(&entry.file_name()) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// Reads one file; `name` is what messages call it. A file that is too large is cut one
/// byte behind the limit, so that reading its rules says so.
///
/// # Errors
/// Whatever the disk says; a folder or a pipe of such a name is none.
pub fn read(path: &Path, name: impl Into<String>) -> Result<RuleFile, FilesError> {
    let mut bytes = Vec::new();
    // Opening a pipe waits for somebody who writes into it.
    let is_file = fs::metadata(path).and_then(|metadata| match metadata.is_file() {
        true => Ok(()),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file")),
    });
    is_file
        .and_then(|()| File::open(path))
        .and_then(|file| file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes))
        .map_err(|source| FilesError::Unreadable { path: path.to_path_buf(), source })?;
    let by = if is_operators(path) { Author::Operator } else { Author::Owner };
    Ok(RuleFile { by, ..RuleFile::new(name, bytes) })
}

fn is_operators(path: &Path) -> bool {
    path.parent().and_then(Path::file_name) == Some(OsStr::new(OPERATOR))
}

/// What messages call a file of a folder of rules: its name, after `operator/` if it lies there.
pub fn name_inside(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if is_operators(path) { format!("{OPERATOR}/{name}") } else { name.into_owned() }
}

/// Reads the rule files of a folder, named as [`name_inside`] says.
///
/// # Errors
/// As [`list`] and [`read`].
pub fn read_folder(folder: &Path) -> Result<Vec<RuleFile>, FilesError> {
    list(folder)?.iter().map(|path| read(path, name_inside(path))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_full_of_editor_files_gives_only_rules_in_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let names = [
            "b.toml",
            "a.toml",
            "a.cases.toml",
            ".a.toml.swp",
            "a.toml~",
            ".#a.toml",
            "#a.toml#",
            ".hidden.toml",
            "notes.txt",
            // vim's try whether it may write, its older swap files and backups; Kate, JetBrains,
            // Gnome, Sublime Text, Office, Finder.
            "4913",
            ".a.toml.swo",
            "a.toml.swp",
            "a.toml.bak",
            "a.toml.orig",
            "a.toml.tmp",
            ".a.toml.kate-swp",
            "a.toml___jb_tmp___",
            "a.toml___jb_old___",
            ".goutputstream-A1B2C3",
            "a.toml.sublime-workspace",
            "._a.toml",
            ".DS_Store",
            "A.CASES.TOML",
        ];
        for name in names {
            fs::write(folder.path().join(name), name).expect("a file");
        }
        let files = read_folder(folder.path()).expect("readable");
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["a.toml", "b.toml"]);
        assert_eq!(files[1].bytes, b"b.toml");
    }

    #[test]
    fn operators_files_come_first_and_are_known_as_such() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("operator")).expect("a folder");
        for name in ["a.toml", "operator/b.toml", "operator/b.toml~"] {
            fs::write(folder.path().join(name), name).expect("a file");
        }
        let files = read_folder(folder.path()).expect("readable");
        let told: Vec<_> = files.iter().map(|file| (file.name.as_str(), file.by)).collect();
        assert_eq!(told, [("operator/b.toml", Author::Operator), ("a.toml", Author::Owner)]);
    }

    #[test]
    fn copy_of_a_rule_file_is_one_and_so_is_one_with_a_strange_name() {
        for name in ["Copy of a.toml", "a (1).toml", "a.sync-conflict-1.toml", "A.TOML", "ä.toml"]
        {
            assert!(is_rule_file(OsStr::new(name)), "{name}");
        }
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt;
            assert!(is_rule_file(OsStr::from_bytes(b"latin-\xe4.toml")));
        }
    }

    #[test]
    fn rule_file_that_cannot_be_read_is_an_error_not_a_missing_rule() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("a.toml")).expect("a folder named like a file");
        assert!(read_folder(folder.path()).is_err());
        assert!(read_folder(&folder.path().join("absent")).is_err());
    }

    #[test]
    fn large_file_is_not_read_to_its_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.toml");
        let file = File::create(&path).expect("a file");
        file.set_len(1 << 30).expect("a sparse file");
        let file = read(&path, "a.toml").expect("readable");
        assert_eq!(file.bytes.len(), FILE_BYTES_MAX + 1);
    }

    #[test]
    fn cases_lie_beside_their_rules() {
        assert_eq!(cases_path(Path::new("x/family.toml")), Path::new("x/family.cases.toml"));
    }
}
