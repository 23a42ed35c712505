//! A connection that ends by itself when the other side stands still, and at once when it is to end.
//!
//! Who takes nothing of what is sent to it holds memory, a file and a place; who opens a connection
//! and says nothing holds a connection. What has to wait for [`PATIENCE`] without one byte moving
//! ends with `TimedOut`. A transfer that was cut goes on with `Range`.
//!
//! Writes never wait longer. How long a read may wait hangs on what the connection is for: a channel
//! is silent for minutes, so reads have a limit only where it is asked for.
//!
//! Bytes of a file may take the short way ([`FileQueue`]). What is on a connection is not known here.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::cut::Cut;
use super::file_queue::{FileQueue, Next};

/// How long nothing may move.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A connection of the system, watched.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    cut: Cut,
    files: FileQueue,
    writes: Wait,
    /// `None`: the other side may be silent for as long as it likes.
    reads: Option<Wait>,
}

impl Connection {
    /// Around a connection whose other side may be silent, but has to take what is sent to it.
    pub fn new(stream: TcpStream, cut: Cut) -> Self {
        let (files, writes) = (FileQueue::default(), Wait::new(PATIENCE));
        Self { stream, cut, files, writes, reads: None }
    }

    /// The same, and it ends too when nothing moves either way.
    pub(super) fn never_idle(self) -> Self {
        Self { reads: Some(Wait::new(PATIENCE)), ..self }
    }

    /// The same, and bytes of files are sent that are queued there.
    pub(super) fn sending(self, files: FileQueue) -> Self {
        Self { files, ..self }
    }

    pub(super) const fn cut(&self) -> &Cut {
        &self.cut
    }

    pub(super) const fn files(&self) -> &FileQueue {
        &self.files
    }

    fn go_on(&self, context: &Context<'_>) -> io::Result<()> {
        if !self.cut.poll(context) {
            return Ok(());
        }
        // Closing it throws away what was not sent yet.
        if let Err(error) = self.stream.set_zero_linger() {
            tracing::debug!(%error, "a connection sends what it had taken");
        }
        Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the grant was revoked"))
    }

    fn written(
        &mut self,
        context: &mut Context<'_>,
        said: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        // A provider that only takes has nothing to say meanwhile.
        if let (true, Some(reads)) = (said.is_ready(), &mut self.reads) {
            reads.ended();
        }
        self.writes.watch(context, said)
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.go_on(context)?;
        let said = Pin::new(&mut self.stream).poll_read(context, target);
        match &mut self.reads {
            Some(reads) => reads.watch(context, said),
            None => said,
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.go_on(context)?;
        let said = match self.files.next(slices)? {
            Next::Bytes(slices) => Pin::new(&mut self.stream).poll_write_vectored(context, slices),
            Next::File => self.files.poll_send(context, &self.stream),
        };
        self.written(context, said)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.go_on(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// How long something waits for the other side.
#[derive(Debug)]
struct Wait {
    patience: Duration,
    since: Option<Instant>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Wait {
    const fn new(patience: Duration) -> Self {
        Self { patience, since: None, alarm: None }
    }

    /// Something moved.
    const fn ended(&mut self) {
        self.since = None;
    }

    /// Passes on what the stream said; waiting for too long is an error.
    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        said: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if said.is_ready() {
            self.ended();
            return said;
        }
        let end = *self.since.get_or_insert_with(Instant::now) + self.patience;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(end)));
        // The alarm is set anew only when it rings: bytes move more often than that.
        loop {
            ready!(alarm.as_mut().poll(context));
            if end <= Instant::now() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            alarm.as_mut().reset(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    const SHORT: Duration = Duration::from_millis(1000);

    fn block_on<F: Future>(work: F) -> F::Output {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().expect("a runtime").block_on(work)
    }

    async fn pair() -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let theirs = TcpStream::connect(address).await.expect("connected");
        let (ours, _) = listener.accept().await.expect("accepted");
        (Connection::new(ours, Cut::default()), theirs)
    }

    #[test]
    fn who_waits_too_long_ends_and_whoever_moves_now_and_then_does_not() {
        block_on(async {
            let mut wait = Wait::new(SHORT);
            for _ in 0..8 {
                let nothing = poll_fn(|cx| wait.watch(cx, Poll::Pending::<io::Result<()>>));
                assert!(timeout(SHORT / 5, nothing).await.is_err(), "it still waits");
                poll_fn(|cx| wait.watch(cx, Poll::Ready(Ok(())))).await.expect("it moved");
            }
            let nothing = poll_fn(|cx| wait.watch(cx, Poll::Pending::<io::Result<()>>));
            let error = nothing.await.expect_err("for too long");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        });
    }

    #[test]
    fn reader_that_takes_nothing_ends_the_connection() {
        block_on(async {
            let (mut ours, _stalls) = pair().await;
            ours.writes = Wait::new(SHORT / 20);
            let error = ours.write_all(&vec![7; 64 << 20]).await.expect_err("stalled");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        });
    }

    #[test]
    fn connection_that_says_nothing_ends_where_it_has_to_say_something() {
        block_on(async {
            let (mut ours, mut theirs) = pair().await;
            assert!(timeout(SHORT / 10, ours.read_u8()).await.is_err(), "it may be silent");
            ours.reads = Some(Wait::new(SHORT / 20));
            theirs.write_all(&[7]).await.expect("said");
            assert_eq!(ours.read_u8().await.expect("something came"), 7);
            let error = ours.read_u8().await.expect_err("nothing came");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        });
    }

    #[test]
    fn connection_that_is_cut_ends_though_nobody_reads() {
        block_on(async {
            let (mut ours, _stalls) = pair().await;
            let cut = ours.cut().clone();
            let sending = tokio::spawn(async move { ours.write_all(&vec![7; 64 << 20]).await });
            tokio::task::yield_now().await;
            cut.cut();
            let error = sending.await.expect("no panic").expect_err("cut");
            assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        });
    }
}
