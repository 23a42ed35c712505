//! Bytes of files that go to a connection straight from the system's memory (`sendfile`).
//!
//! In:  which bytes of which file come next in the body of an answer.
//! Out: bytes that stand for them in the body, and the file's own bytes on the connection.
//!
//! HTTP is made by a library that takes bytes in memory. So it is given bytes of [`stand_in`], which
//! say nothing but how many they are; the connection, which knows them by where they lie, sends
//! those of the file instead.
//!
//! INVARIANT: bytes that only stand for others never leave. They cannot be queued without being
//! in the next write, and one who writes them has to have queued as many: whatever else happens (a
//! library that copies bytes, say) ends the connection with an error.
//!
//! A file is read when the other side can take it. If it was changed since it was queued, the
//! connection ends; what the system had taken and not sent by then is sent as the file is then.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::cut::Caller;

/// Most bytes that are queued at once.
pub(super) const QUEUED_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Bytes that are copied at once where a file cannot be sent straight.
const COPIED_BYTES: usize = 64 * 1024;

/// What is to be sent over one connection. Copies are for the same one; the default is for a
/// connection that sends no files.
#[derive(Debug, Clone, Default)]
pub(super) struct FileQueue(Option<Arc<Mutex<VecDeque<FilePart>>>>);

/// Bytes of a file that are to be sent.
#[derive(Debug)]
pub(super) struct FilePart {
    pub(super) file: Arc<File>,
    /// What it was when it was asked for.
    pub(super) stamp: Stamp,
    pub(super) offset: u64,
    /// At most [`QUEUED_BYTES_MAX`].
    pub(super) count: usize,
}

/// By which a file that was changed is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) bytes_count: u64,
    changed_at: Option<SystemTime>,
}

impl Stamp {
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self { bytes_count: metadata.len(), changed_at: metadata.modified().ok() })
    }
}

/// What is to be written next.
#[derive(Debug)]
pub(super) enum Next<'a, 'b> {
    /// These.
    Bytes(&'a [IoSlice<'b>]),
    /// Those of the file that is first in the queue.
    File,
}

/// Bytes that stand for those of files. Nobody reads them, so they take no memory.
fn stand_in() -> &'static [u8] {
    static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| vec![0; QUEUED_BYTES_MAX]);
    &BYTES
}

impl FileQueue {
    /// For a connection that sends files, where the system can.
    pub(super) fn new() -> Self {
        match cfg!(target_os = "linux") {
            true => Self(Some(Arc::default())),
            false => Self(None),
        }
    }

    /// Whether the connection sends files.
    pub(super) const fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// Puts a part of a file in line; what is returned has to be the next bytes of the answer.
    /// `None`: this connection sends no files.
    pub(super) fn put(&self, part: FilePart) -> Option<Bytes> {
        let bytes = Bytes::from_static(stand_in().get(..part.count)?);
        guard(self.0.as_ref()?).push_back(part);
        Some(bytes)
    }

    /// Tells bytes from those that stand for a file's.
    ///
    /// # Errors
    /// When the two do not go together.
    pub(super) fn next<'a, 'b>(&self, slices: &'a [IoSlice<'b>]) -> io::Result<Next<'a, 'b>> {
        let Some(parts) = &self.0 else { return Ok(Next::Bytes(slices)) };
        let mut slices = slices;
        while let Some((first, rest)) = slices.split_first()
            && first.is_empty()
        {
            slices = rest;
        }
        let region = stand_in().as_ptr_range();
        let place = slices.iter().position(|slice| region.contains(&slice.as_ptr()));
        let queued = guard(parts).front().map(|part| part.count);
        match (place, queued) {
            (None, None) => Ok(Next::Bytes(slices)),
            (Some(place), Some(count)) if slices.get(place).is_some_and(|s| s.len() == count) => {
                Ok(match place {
                    0 => Next::File,
                    _ => Next::Bytes(slices.get(..place).unwrap_or_default()),
                })
            }
            _ => Err(io::Error::other("bytes of a file are not where they were put")),
        }
    }

    /// Sends bytes of the first part; how many.
    pub(super) fn poll_send(
        &self,
        context: &mut Context<'_>,
        stream: &TcpStream,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(stream.poll_write_ready(context))?;
            match stream.try_io(Interest::WRITABLE, || self.send(stream)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                said => return Poll::Ready(said),
            }
        }
    }

    fn send(&self, stream: &TcpStream) -> io::Result<usize> {
        let queue = self.0.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let mut parts = guard(queue);
        let part = parts.front_mut().ok_or(io::ErrorKind::NotFound)?;
        let count = send(stream, &part.file, part.offset, part.count)?;
        if count == 0 || Stamp::of(&part.file)? != part.stamp {
            return Err(io::Error::other("the photo was changed while it was sent"));
        }
        part.offset += count as u64;
        part.count -= count;
        if part.count == 0 {
            parts.pop_front();
        }
        Ok(count)
    }
}

fn guard(parts: &Mutex<VecDeque<FilePart>>) -> MutexGuard<'_, VecDeque<FilePart>> {
    parts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(target_os = "linux")]
fn send(stream: &TcpStream, file: &File, offset: u64, count: usize) -> io::Result<usize> {
    use rustix::io::Errno;
    match rustix::fs::sendfile(stream, file, Some(&mut { offset }), count) {
        // Some file systems cannot.
        Err(Errno::INVAL | Errno::NOSYS) => copy(stream, file, offset, count),
        said => Ok(said?),
    }
}

#[cfg(not(target_os = "linux"))]
use copy as send;

fn copy(stream: &TcpStream, file: &File, offset: u64, count: usize) -> io::Result<usize> {
    let mut bytes = vec![0; count.min(COPIED_BYTES)];
    let count = file.read_at(&mut bytes, offset)?;
    let bytes = bytes.get(..count).unwrap_or_default();
    Ok(rustix::io::write(stream, bytes)?)
}

/// That of the connection that a request came by directly.
impl<S: Sync> FromRequestParts<S> for FileQueue {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let caller = parts.extensions.get::<ConnectInfo<Caller>>();
        Ok(caller.map(|info| info.0.files.clone()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::web::{Connection, Cut};

    fn block_on<F: Future>(work: F) -> F::Output {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().expect("a runtime").block_on(work)
    }

    async fn pair(files: &FileQueue) -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let theirs = TcpStream::connect(address).await.expect("connected");
        let (ours, _) = listener.accept().await.expect("accepted");
        (Connection::new(ours, Cut::default()).sending(files.clone()), theirs)
    }

    /// A file, and a part of it.
    fn part(bytes: &[u8], offset: u64, count: usize) -> FilePart {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("written");
        let stamp = Stamp::of(&file).expect("known");
        FilePart { file: Arc::new(file), stamp, offset, count }
    }

    fn noise(count: usize) -> Vec<u8> {
        (0..count as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
    }

    #[test]
    fn parts_of_files_go_between_other_bytes_in_order() {
        let (bytes, files) = (noise(3_000_000), FileQueue::new());
        if !files.is_there() {
            return;
        }
        let got = block_on(async {
            let (mut ours, mut theirs) = pair(&files).await;
            let reading = tokio::spawn(async move {
                let mut got = Vec::new();
                theirs.read_to_end(&mut got).await.expect("read");
                got
            });
            let first = files.put(part(&bytes, 7, QUEUED_BYTES_MAX)).expect("queued");
            let second = files.put(part(&bytes, 1, 5)).expect("queued");
            let mut whole: VecDeque<&[u8]> =
                [&b"head"[..], b"", &first, b"between", &second, b"end"].into();
            while !whole.is_empty() {
                let slices: Vec<_> = whole.iter().map(|bytes| IoSlice::new(bytes)).collect();
                let mut count = ours.write_vectored(&slices).await.expect("sent");
                while let Some(bytes) = whole.pop_front() {
                    match bytes.get(count..) {
                        Some(rest) if !rest.is_empty() => {
                            whole.push_front(rest);
                            break;
                        }
                        _ => count -= bytes.len(),
                    }
                }
            }
            ours.shutdown().await.expect("ended");
            reading.await.expect("no panic")
        });
        let expected =
            [b"head", &bytes[7..7 + QUEUED_BYTES_MAX], b"between", &bytes[1..6], b"end"].concat();
        assert!(got == expected, "{} of {} bytes", got.len(), expected.len());
    }

    #[test]
    fn bytes_that_stand_for_others_never_leave() {
        let files = FileQueue::new();
        if !files.is_there() {
            return;
        }
        block_on(async {
            let (mut ours, mut theirs) = pair(&files).await;
            ours.write_all(&stand_in()[..9]).await.expect_err("none were queued");
            let bytes = files.put(part(b"abcdefgh", 0, 8)).expect("queued");
            let copy = bytes.to_vec();
            ours.write_all(&copy).await.expect_err("a copy of what stands for them");
            ours.write_all(&bytes[..4]).await.expect_err("fewer than were queued");
            ours.write_all(b"other").await.expect_err("bytes in their place");
            ours.write_all(&bytes).await.expect("sent");
            drop(ours);
            let mut got = Vec::new();
            theirs.read_to_end(&mut got).await.expect("read");
            assert_eq!(got, b"abcdefgh");
        });
    }

    #[test]
    fn file_that_was_changed_or_cut_short_ends_the_connection() {
        let files = FileQueue::new();
        if !files.is_there() {
            return;
        }
        block_on(async {
            let (mut ours, _theirs) = pair(&files).await;
            let changed = part(b"abcdefgh", 0, 8);
            let later = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(2_000_000_000);
            changed.file.set_modified(later).expect("set");
            let bytes = files.put(changed).expect("queued");
            ours.write_all(&bytes).await.expect_err("changed");
        });
        let files = FileQueue::new();
        block_on(async {
            let (mut ours, _theirs) = pair(&files).await;
            let short = part(b"abcdefgh", 0, 8);
            short.file.set_len(0).expect("cut");
            let bytes = files.put(short).expect("queued");
            ours.write_all(&bytes).await.expect_err("nothing is left of it");
        });
    }

    #[test]
    fn file_that_cannot_be_sent_straight_is_copied() {
        block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("an address");
            let mut theirs = TcpStream::connect(address).await.expect("connected");
            let (ours, _) = listener.accept().await.expect("accepted");
            let part = part(&noise(100_000), 50, 100_000);
            let count = copy(&ours, &part.file, part.offset, part.count).expect("sent");
            assert_eq!(count, COPIED_BYTES);
            let mut got = vec![0; count];
            theirs.read_exact(&mut got).await.expect("read");
            assert_eq!(got, noise(100_000)[50..50 + count]);
        });
    }
}
