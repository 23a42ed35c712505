//! How long a connection may stand still before it ends by itself.
//!
//! A provider that asks for a photo and takes nothing of it holds memory, a file and a place; one
//! that opens a connection and says nothing holds a connection. Either is closed after
//! [`PATIENCE`] in which not one byte went either way. A transfer that was cut goes on with
//! `Range`.
//!
//! What a connection is for is not known here.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// How long nothing may move.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A connection that fails with `TimedOut` once nothing moved for long enough.
#[derive(Debug)]
pub struct Moving<S> {
    stream: S,
    patience: Duration,
    moved_at: Instant,
    alarm: Pin<Box<Sleep>>,
}

impl<S> Moving<S> {
    /// Around a connection.
    pub fn new(stream: S, patience: Duration) -> Self {
        let alarm = Box::pin(sleep(patience));
        Self { stream, patience, moved_at: Instant::now(), alarm }
    }

    /// The connection itself.
    pub const fn get_ref(&self) -> &S {
        &self.stream
    }

    /// Passes on what the stream said; nothing for too long is an error.
    fn watched<T>(
        &mut self,
        cx: &mut Context<'_>,
        said: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if said.is_ready() {
            self.moved_at = Instant::now();
            return said;
        }
        // The alarm is set anew only when it rings: bytes move more often than that.
        loop {
            ready!(self.alarm.as_mut().poll(cx));
            let end = self.moved_at + self.patience;
            if end <= Instant::now() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.alarm.as_mut().reset(end);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Moving<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let said = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.watched(cx, said)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Moving<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let said = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watched(cx, said)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let said = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.watched(cx, said)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const SHORT: Duration = Duration::from_millis(1000);

    fn block_on<F: Future>(work: F) -> F::Output {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().build().expect("a runtime").block_on(work)
    }

    #[test]
    fn reader_that_takes_nothing_is_cut_and_one_that_is_slow_is_not() {
        block_on(async {
            let (ours, mut theirs) = duplex(4);
            let mut ours = Moving::new(ours, SHORT);
            let sending = tokio::spawn(async move { ours.write_all(&[7; 64]).await });
            let mut four = [0; 4];
            for _ in 0..8 {
                sleep(SHORT / 5).await;
                theirs.read_exact(&mut four).await.expect("still open");
            }
            let error = sending.await.expect("no panic").expect_err("cut");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        });
    }

    #[test]
    fn connection_that_says_nothing_is_closed() {
        block_on(async {
            let (ours, theirs) = duplex(4);
            let mut ours = Moving::new(ours, SHORT / 10);
            let error = ours.read_u8().await.expect_err("nothing came");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            drop(theirs);
        });
    }
}
