//! A connection that gives up when the other side takes nothing for too long.
//!
//! A reader that stalls is normal: nothing more is read for it meanwhile. One that stalls for
//! [`STALL_MAX`] holds buffers and a place for nothing, and the connection ends with an error. No
//! timer runs while bytes leave.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// How long nothing may leave.
pub const STALL_MAX: Duration = Duration::from_secs(60);

/// A connection with that patience.
#[derive(Debug)]
pub struct Patient<S> {
    inner: S,
    longest: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    /// Around a connection.
    pub const fn new(inner: S) -> Self {
        Self::within(inner, STALL_MAX)
    }

    const fn within(inner: S, longest: Duration) -> Self {
        Self { inner, longest, waiting: None }
    }

    /// The connection itself.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let longest = self.longest;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(longest)));
        match waiting.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn reader_that_takes_nothing_for_too_long_ends_the_connection() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let (ours, mut theirs) = tokio::io::duplex(16);
            let mut ours = Patient::new(ours);
            let read = async { theirs.read_exact(&mut [0; 48]).await };
            let (written, read) = tokio::join!(ours.write_all(&[0; 64]), read);
            written.expect("all of it");
            read.expect("what does not fit");
            assert!(ours.waiting.is_none(), "nothing is waited for while bytes leave");
            let (ours, _stalls) = tokio::io::duplex(16);
            let mut ours = Patient::within(ours, Duration::from_millis(1));
            let error = ours.write_all(&[0; 17]).await.expect_err("stalled");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        });
    }
}
