//! Ends transfers from outside: when a grant is revoked, also while its reader does not read.
//!
//! In:  which response goes over which connection, and which grants are revoked.
//! Out: those connections end within [`LOOK_MS`] and a moment.
//!
//! A response looks at its grant before each chunk, but is asked for no chunk while its provider
//! stalls. So each connection can be cut: its next read or write fails, and who waits for either is
//! woken. What the system had taken and not sent yet is thrown away with it.
//!
//! Knows no store: who calls says what is revoked.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::serve::{IncomingStream, Listener};
use futures_util::task::AtomicWaker;
use rustix::net::sockopt::set_socket_send_buffer_size;
use tokio::net::TcpListener;

use super::connection::Connection;
use super::file_queue::FileQueue;

/// Bytes of a connection that the system holds until they were taken: enough for 10 MB/s to a
/// provider 100 ms away.
const SENT_AHEAD_BYTES: usize = 1024 * 1024;

/// Transfers under way are looked at so often.
pub(super) const LOOK_MS: u64 = 500;

/// Cuts one connection. Copies are for the same one.
#[derive(Debug, Clone, Default)]
pub struct Cut(Arc<Wire>);

#[derive(Debug, Default)]
struct Wire {
    is_cut: AtomicBool,
    /// Of the one task that moves the connection's bytes.
    waker: AtomicWaker,
}

impl Cut {
    /// Ends the connection.
    pub fn cut(&self) {
        self.0.is_cut.store(true, Ordering::Release);
        self.0.waker.wake();
    }

    /// Returns when the connection is to end. Only one task waits for it.
    pub async fn is_cut(&self) {
        std::future::poll_fn(|context| match self.poll(context) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }

    /// Whether the connection is to end; wakes the task when it is later.
    pub(super) fn poll(&self, context: &Context<'_>) -> bool {
        self.0.waker.register(context.waker());
        self.0.is_cut.load(Ordering::Acquire)
    }
}

/// The connection that a request came by: one of ours, or what a hub's transfer put there.
impl<S: Sync> FromRequestParts<S> for Cut {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let given = parts.extensions.get::<Self>().cloned();
        let ours = || parts.extensions.get::<ConnectInfo<Caller>>().map(|info| info.0.cut.clone());
        Ok(given.or_else(ours).unwrap_or_default())
    }
}

/// Who called at our own address, by which connection.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) address: SocketAddr,
    pub(super) cut: Cut,
    pub(super) files: FileQueue,
}

impl Connected<IncomingStream<'_, Listening>> for Caller {
    fn connect_info(stream: IncomingStream<'_, Listening>) -> Self {
        let connection = stream.io();
        Self {
            address: *stream.remote_addr(),
            cut: connection.cut().clone(),
            files: connection.files().clone(),
        }
    }
}

/// A listener whose connections can be cut, and end when nothing moves for too long.
pub(super) struct Listening(pub(super) TcpListener);

impl Listener for Listening {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        // Without it, small answers wait for the provider's delayed acknowledgements.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
        // What a provider does not take fills the system's memory too, and beyond a limit all suffer.
        if let Err(error) = set_socket_send_buffer_size(&stream, SENT_AHEAD_BYTES) {
            tracing::debug!(%error, "a connection keeps its buffer");
        }
        let connection = Connection::new(stream, Cut::default());
        (connection.never_idle().sending(FileQueue::new()), address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// Responses under way by their deliveries.
#[derive(Debug, Default)]
pub(super) struct UnderWay(Mutex<HashMap<i64, (String, Cut)>>);

impl UnderWay {
    pub(super) fn begin(&self, delivery: i64, grant_id: &str, cut: Cut) {
        self.guard().insert(delivery, (grant_id.to_owned(), cut));
    }

    pub(super) fn end(&self, delivery: i64) {
        self.guard().remove(&delivery);
    }

    /// Grants that are being fetched.
    pub(super) fn grants(&self) -> BTreeSet<String> {
        self.guard().values().map(|(grant_id, _cut)| grant_id.clone()).collect()
    }

    /// Ends all that is fetched under a grant.
    pub(super) fn cut(&self, grant_id: &str) {
        self.guard().values().filter(|(id, _cut)| id == grant_id).for_each(|(_id, cut)| cut.cut());
    }

    /// A panic elsewhere left whole entries.
    fn guard(&self) -> MutexGuard<'_, HashMap<i64, (String, Cut)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
