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
        let nanoseconds =
            |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        Self {
            bytes_count: metadata.len(),
            modified_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}
