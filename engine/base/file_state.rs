//! What a file system says of a file without opening it: enough to know it unchanged.
//!
//! Two equal states mean that nobody wrote the file in between, as far as the file system
//! can tell. The change time is part of it because it cannot be set back by a program, as
//! the modification time can (`cp -p`, unpacking, synchronising).

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use serde::{Deserialize, Serialize};

/// Size, times and place of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileState {
    /// Size of the file.
    pub bytes_count: u64,
    /// When its content was last written, nanoseconds since 1970.
    pub modified_ns: i64,
    /// When its content, name or mode last changed, nanoseconds since 1970.
    pub changed_ns: i64,
    /// Number of the file system it is on.
    pub device: u64,
    /// Its number there; kept when it is renamed.
    pub inode: u64,
}

impl FileState {
    /// Takes what matters out of a `stat`.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            bytes_count: metadata.len(),
            modified_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }

    /// Takes the same out of a `stat` that was made relative to a folder.
    #[allow(
        clippy::allow_attributes,
        clippy::unnecessary_cast,
        clippy::cast_lossless,
        clippy::cast_possible_wrap,
        reason = "the types of these numbers differ between systems"
    )]
    pub fn of_stat(stat: &rustix::fs::Stat) -> Self {
        Self {
            bytes_count: (stat.st_size as i64).cast_unsigned(),
            modified_ns: nanoseconds(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            changed_ns: nanoseconds(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
        }
    }
}

const fn nanoseconds(seconds: i64, rest: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}
