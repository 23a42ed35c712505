//! Reads an original from disk, once and whole.
//!
//! In:  a path and the largest size allowed.
//! Out: all bytes of one version of the file, and the state that names this version.
//!
//! The state is taken before and after the read. When they differ, somebody wrote
//! meanwhile and the bytes may be half old, half new: the caller tries again later.
//!
//! A name in a watched folder may be anything. Opening a FIFO would wait for a writer
//! for ever, so the open does not block; a link is refused because it may point out of
//! the collection.
//!
//! Knows nothing of formats. Never writes.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::{Retry, SharedBytes};
use crate::base::file_state::FileState;

/// The largest original that is read: 512 MiB.
pub const BYTES_MAX: u64 = 512 * 1024 * 1024;

/// One version of one file, whole.
#[derive(Debug)]
pub struct Original {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its state on disk while these were its bytes.
    pub state: FileState,
}

/// Why a file gave no bytes. The caller knows the path and puts it in front.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no file of this name (any more).
    #[error("there is no such file")]
    Missing,
    /// We may not read it.
    #[error("it may not be read: check its permissions")]
    Forbidden,
    /// A folder, link, FIFO, socket or device.
    #[error("it is {found}, not a file")]
    NotAFile {
        /// What it is, with an article.
        found: &'static str,
    },
    /// Nothing was read.
    #[error("it has {bytes_count} bytes, the limit is {bytes_max}")]
    TooLarge {
        /// Size of the file.
        bytes_count: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// Somebody wrote it while we read.
    #[error("it changed while it was read")]
    Changed,
    /// The disk, or the way to it, failed.
    #[error("it could not be read")]
    Disk(#[source] io::Error),
}

impl ReadError {
    /// When another try makes sense.
    pub const fn retry(&self) -> Retry {
        match self {
            Self::Changed | Self::Disk(_) => Retry::Soon,
            Self::Missing | Self::Forbidden | Self::NotAFile { .. } | Self::TooLarge { .. } => {
                Retry::WhenFileChanges
            }
        }
    }
}

/// Reads a whole file.
///
/// - `bytes_max`: a larger file is refused before its first byte is read; usually [`BYTES_MAX`]
/// - the last part of `path` may not be a symbolic link; folders before it may
///
/// # Errors
/// See [`ReadError`].
pub fn read_original(path: &Path, bytes_max: u64) -> Result<Original, ReadError> {
    let mut bytes = Vec::new();
    let state = read(path, bytes_max, |file, room_bytes| {
        bytes.try_reserve_exact(room_bytes).map_err(io::Error::other)?;
        file.take(room_bytes as u64).read_to_end(&mut bytes)
    })?;
    Ok(Original { bytes, state })
}

/// Reads a whole file to where a decoder can be shown it; gives its state. What was there is
/// gone, whatever comes of it.
///
/// # Errors
/// As [`read_original`].
pub fn read_shared(
    path: &Path,
    bytes_max: u64,
    into: &mut SharedBytes,
) -> Result<FileState, ReadError> {
    into.set_len(0);
    let mut bytes_count = 0;
    let state = read(path, bytes_max, |file, room_bytes| {
        let mut room = into.room(room_bytes)?.get_mut(..room_bytes).unwrap_or_default();
        while !room.is_empty() {
            match file.read(room) {
                Ok(0) => break,
                Ok(count) => {
                    bytes_count += count;
                    room = room.get_mut(count..).unwrap_or_default();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(bytes_count)
    })?;
    into.set_len(bytes_count);
    Ok(state)
}

/// Opens a file and has it read.
///
/// - `fill`: reads until it has so many bytes, one more than there should be, and says how
///   many it got: a file that grows for ever is noticed, not followed
fn read(
    path: &Path,
    bytes_max: u64,
    fill: impl FnOnce(&mut File, usize) -> io::Result<usize>,
) -> Result<FileState, ReadError> {
    let flags =
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY;
    let mut file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(descriptor) => File::from(descriptor),
        // What a final link gives; a loop of links before it looks the same.
        Err(rustix::io::Errno::LOOP) => return Err(ReadError::NotAFile { found: "a link" }),
        // What a socket, or a FIFO or device that nobody serves, gives.
        Err(rustix::io::Errno::NXIO | rustix::io::Errno::NODEV) => {
            return Err(ReadError::NotAFile { found: "a socket or device" });
        }
        Err(error) => return Err(open_error(error.into())),
    };
    let before = state_of(&file)?;
    if before.bytes_count > bytes_max {
        return Err(ReadError::TooLarge { bytes_count: before.bytes_count, bytes_max });
    }
    let room_bytes = usize::try_from(before.bytes_count).unwrap_or(usize::MAX).saturating_add(1);
    let bytes_count = fill(&mut file, room_bytes).map_err(ReadError::Disk)?;
    let after = state_of(&file)?;
    if after != before || bytes_count as u64 != after.bytes_count {
        return Err(ReadError::Changed);
    }
    Ok(after)
}

fn open_error(error: io::Error) -> ReadError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ReadError::Missing,
        io::ErrorKind::PermissionDenied => ReadError::Forbidden,
        _ => ReadError::Disk(error),
    }
}

fn state_of(file: &File) -> Result<FileState, ReadError> {
    use std::os::unix::fs::FileTypeExt;
    let metadata = file.metadata().map_err(ReadError::Disk)?;
    let kind = metadata.file_type();
    let found = match kind {
        _ if kind.is_file() => return Ok(FileState::of(&metadata)),
        _ if kind.is_dir() => "a folder",
        _ if kind.is_fifo() => "a FIFO",
        _ if kind.is_socket() => "a socket",
        _ => "a device",
    };
    Err(ReadError::NotAFile { found })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder")
    }

    #[test]
    fn file_comes_back_whole_with_its_state() {
        let folder = folder();
        let path = folder.path().join("a.jpg");
        let bytes: Vec<u8> = (0..=255).cycle().take(70_000).collect();
        std::fs::write(&path, &bytes).expect("writes");
        let original = read_original(&path, BYTES_MAX).expect("reads");
        assert_eq!(original.bytes, bytes);
        let mut shared = SharedBytes::default();
        let state = read_shared(&path, BYTES_MAX, &mut shared).expect("reads");
        assert_eq!((shared.as_slice(), state), (bytes.as_slice(), original.state));
        read_shared(&folder.path().join("b.jpg"), BYTES_MAX, &mut shared).expect_err("gone");
        assert_eq!(original.state, FileState::of(&std::fs::metadata(&path).expect("is there")));
    }

    #[test]
    fn what_is_not_a_file_is_refused_at_once() {
        let folder = folder();
        let fifo = folder.path().join("fifo.jpg");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, Mode::from_raw_mode(0o600)).expect("a FIFO");
        let socket = folder.path().join("socket.jpg");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
        let link = folder.path().join("link.jpg");
        std::os::unix::fs::symlink("/etc/passwd", &link).expect("a link");
        for (path, wanted) in [
            (folder.path(), "a folder"),
            (&fifo, "a FIFO"),
            (&socket, "a socket or device"),
            (&link, "a link"),
        ] {
            let error = read_original(path, BYTES_MAX).expect_err("not a file");
            assert!(
                matches!(&error, ReadError::NotAFile { found } if *found == wanted),
                "{wanted}: {error}"
            );
        }
    }

    #[test]
    fn file_over_the_limit_is_not_read() {
        let folder = folder();
        let path = folder.path().join("a.jpg");
        std::fs::write(&path, [0; 11]).expect("writes");
        let error = read_original(&path, 10).expect_err("too large");
        assert!(matches!(error, ReadError::TooLarge { bytes_count: 11, bytes_max: 10 }), "{error}");
        assert!(read_original(&path, 11).is_ok());
    }

    #[test]
    fn file_that_is_gone_is_told_from_a_failing_disk() {
        let folder = folder();
        let error = read_original(&folder.path().join("a.jpg"), BYTES_MAX).expect_err("gone");
        assert!(matches!(error, ReadError::Missing), "{error}");
    }

    #[test]
    fn file_written_while_read_is_called_changed() {
        let folder = folder();
        let path = folder.path().join("a.jpg");
        std::fs::write(&path, vec![1; 4 << 20]).expect("writes");
        let stop = std::sync::atomic::AtomicBool::new(false);
        let mut changed = 0;
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                use std::io::Write;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let mut file =
                        std::fs::OpenOptions::new().append(true).open(&path).expect("opens");
                    file.write_all(b"more").expect("appends");
                }
            });
            for _ in 0..1000 {
                match read_original(&path, BYTES_MAX) {
                    Err(ReadError::Changed) => {
                        changed += 1;
                        break;
                    }
                    Ok(original) => {
                        assert_eq!(original.bytes.len() as u64, original.state.bytes_count)
                    }
                    Err(other) => panic!("{other}"),
                }
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            writer.join().expect("writes on");
        });
        assert_eq!(changed, 1, "1000 reads beside a busy writer, none noticed");
    }
}
