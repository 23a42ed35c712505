//! Memory for the bytes under way: buffers that are used again.
//!
//! A new buffer of half a MiB costs the system more than the bytes that are read into it, page by
//! page. So a buffer that was sent goes back, and the next chunk is read into it; a few are kept
//! while nobody needs them.
//!
//! Bytes that the system has in its memory are read at once; for those on the disk a thread has to
//! wait, and which of the two it is can be asked.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;

/// Bytes that are read and handed over at once.
pub(super) const CHUNK_BYTES: usize = 512 * 1024;

/// Buffers that are kept while nobody needs them: 8 MiB.
const SPARE_MAX: usize = 16;

/// Buffers that nobody uses just now.
#[derive(Debug, Default)]
pub(super) struct Chunks(Mutex<Vec<Box<[u8]>>>);

impl Chunks {
    /// Reads bytes of a file, at most [`CHUNK_BYTES`] of them.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file has fewer.
    pub(super) fn read(
        self: &Arc<Self>,
        file: &File,
        offset: u64,
        count: usize,
    ) -> io::Result<Bytes> {
        let mut chunk = self.take(count);
        file.read_exact_at(chunk.filled(), offset)?;
        Ok(Bytes::from_owner(chunk))
    }

    /// The same, unless the disk would have to be waited for: then `None`.
    pub(super) fn read_at_hand(
        self: &Arc<Self>,
        file: &File,
        offset: u64,
        count: usize,
    ) -> Option<Bytes> {
        let mut chunk = self.take(count);
        (read_now(file, offset, chunk.filled()) == Some(count)).then(|| Bytes::from_owner(chunk))
    }

    fn take(self: &Arc<Self>, count: usize) -> Chunk {
        let spare = self.spare().pop();
        let bytes = spare.unwrap_or_else(|| vec![0; CHUNK_BYTES].into());
        Chunk { bytes, count: count.min(CHUNK_BYTES), home: self.clone() }
    }

    fn spare(&self) -> MutexGuard<'_, Vec<Box<[u8]>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether bytes of a file could surely be read without waiting, as far as their ends tell.
pub(super) fn is_at_hand(file: &File, offset: u64, count: usize) -> bool {
    let last = offset + (count as u64).saturating_sub(1);
    [offset, last].iter().all(|place| read_now(file, *place, &mut [0]) == Some(1))
}

/// How many bytes could be read without waiting; `None` where that cannot be asked.
#[cfg(target_os = "linux")]
fn read_now(file: &File, offset: u64, bytes: &mut [u8]) -> Option<usize> {
    use rustix::io::{ReadWriteFlags, preadv2};
    let mut slices = [io::IoSliceMut::new(bytes)];
    preadv2(file, &mut slices, offset, ReadWriteFlags::NOWAIT).ok()
}

#[cfg(not(target_os = "linux"))]
fn read_now(_file: &File, _offset: u64, _bytes: &mut [u8]) -> Option<usize> {
    None
}

/// A buffer that goes back when the last of its bytes was sent.
struct Chunk {
    bytes: Box<[u8]>,
    count: usize,
    home: Arc<Chunks>,
}

impl Chunk {
    fn filled(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.count).unwrap_or_default()
    }
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.count).unwrap_or_default()
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let mut spare = self.home.spare();
        if spare.len() < SPARE_MAX {
            spare.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("written");
        file
    }

    #[test]
    fn buffer_that_was_sent_is_read_into_again() {
        let (file, chunks) = (file(b"abcdefgh"), Arc::<Chunks>::default());
        let first = chunks.read(&file, 0, 3).expect("read");
        let (second, place) = (chunks.read(&file, 3, 2).expect("read"), first.as_ptr());
        assert_eq!((&*first, &*second), (&b"abc"[..], &b"de"[..]));
        let half = first.slice(1..);
        drop(first);
        assert_eq!(chunks.spare().len(), 0, "a part of it is still to be sent");
        drop(half);
        let third = chunks.read(&file, 6, 2).expect("read");
        assert_eq!((&*third, third.as_ptr()), (&b"gh"[..], place), "no old byte is left");
    }

    #[test]
    fn bytes_beyond_the_end_are_no_bytes() {
        let (file, chunks) = (file(b"abc"), Arc::<Chunks>::default());
        let error = chunks.read(&file, 1, 3).expect_err("one is missing");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(chunks.read_at_hand(&file, 1, 3), None);
    }

    #[test]
    fn only_a_few_buffers_are_kept() {
        let (file, chunks) = (file(b"a"), Arc::<Chunks>::default());
        let many: Vec<_> = (0..40).map(|_| chunks.read(&file, 0, 1).expect("read")).collect();
        drop(many);
        assert_eq!(chunks.spare().len(), SPARE_MAX);
    }
}
