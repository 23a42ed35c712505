//! Which files somebody has open for writing just now.
//!
//! In:  nothing.
//! Out: device and inode of each such file.
//!
//! A camera's importer may write a film for minutes, with pauses in which nothing about the
//! file changes. Linux says in `/proc` which files a process has open; of processes that
//! belong to others it says nothing, and other systems do not say it at all. There a file
//! counts as whole when it is quiet.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::base::file_state::FileState;

/// How long one look holds for all files that are asked about.
const LOOK_HOLDS: Duration = Duration::from_millis(500);

/// What was seen when it was last looked.
#[derive(Debug, Default)]
pub(super) struct Writers {
    files: HashSet<(u64, u64)>,
    looked_at: Option<Instant>,
}

impl Writers {
    /// Whether somebody has this file open for writing, as far as can be seen.
    pub(super) fn have_open(&mut self, state: &FileState) -> bool {
        if self.looked_at.is_none_or(|looked_at| looked_at.elapsed() > LOOK_HOLDS) {
            self.files = open_for_writing(Path::new("/proc"));
            self.looked_at = Some(Instant::now());
        }
        self.files.contains(&(state.device, state.inode))
    }
}

/// Lists `/proc/*/fdinfo` and looks at those that may be written.
fn open_for_writing(proc: &Path) -> HashSet<(u64, u64)> {
    let mut files = HashSet::new();
    for process in fs::read_dir(proc).into_iter().flatten().flatten() {
        if !process.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        // Of a process that ended, or that is not ours, nothing is listed.
        for info in fs::read_dir(process.path().join("fdinfo")).into_iter().flatten().flatten() {
            let may_write = fs::read_to_string(info.path()).is_ok_and(|text| may_write(&text));
            if !may_write {
                continue;
            }
            let target = process.path().join("fd").join(info.file_name());
            if let Ok(metadata) = fs::metadata(target)
                && metadata.is_file()
            {
                files.insert((metadata.dev(), metadata.ino()));
            }
        }
    }
    files
}

/// Reads `flags:\t0100002`: octal, and the last two bits say what may be done.
fn may_write(info: &str) -> bool {
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u64::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| matches!(flags & 3, 1 | 2))
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn flags_tell_readers_from_writers() {
        assert!(!may_write("pos:\t0\nflags:\t0100000\nmnt_id:\t22\n"));
        assert!(may_write("pos:\t0\nflags:\t0100001\n"));
        assert!(may_write("pos:\t0\nflags:\t02100002\n"));
        assert!(!may_write("flags:\tnonsense\n"));
        assert!(!may_write(""));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn file_is_open_for_writing_until_its_writer_closes_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.jpg");
        let writer = File::create(&path).expect("a file");
        let reader = File::open(&path).expect("opens");
        let state = FileState::of(&reader.metadata().expect("a state"));
        assert!(Writers::default().have_open(&state));
        drop(writer);
        assert!(!Writers::default().have_open(&state), "a reader is no writer");
    }
}
