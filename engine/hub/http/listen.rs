//! Takes connections in: how many, how long each may dawdle, and a calm end.
//!
//! Every stage has a deadline. TLS has [`HANDSHAKE_MAX`] and happens in a task of its own, the head
//! of a request has [`HEAD_MAX`], and a side that takes nothing for a minute is let go
//! (`web::connection`). One address may hold an eighth of all places, until it turns out to be an agent.
//!
//! Socket buffers are bounded: what a stalled reader costs is decided here, by [`SOCKET_BYTES`] and
//! [`BUFFER_BYTES`], not by how fast the other side sends.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::web::{Connection, Cut};

/// How long TLS may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// How long the head of a request may take, and how long a connection may wait for the next one.
const HEAD_MAX: Duration = Duration::from_secs(10);

/// How long transfers may go on when the hub stops.
const FINISH_MAX: Duration = Duration::from_secs(30);

/// Buffers of a socket in the system, each way; Linux books twice of it.
const SOCKET_BYTES: usize = 256 * 1024;

/// Buffer of a connection in this process, each way.
const BUFFER_BYTES: usize = 256 * 1024;

/// Files that are kept free for databases and copies.
const FILES_KEPT: u64 = 256;

/// Connections at once where the system sets no limit.
const PLACES_MAX: u64 = 100_000;

/// How connections are taken in.
pub struct Listening {
    /// Begins TLS; `None`: something in front of the hub does.
    pub tls: Option<TlsAcceptor>,
    /// Answers requests.
    pub router: Router,
    /// Becomes true when the hub is to stop.
    pub shutdown: watch::Receiver<bool>,
}

/// Places for connections.
#[derive(Debug)]
struct Places {
    free: Arc<Semaphore>,
    of_address_max: usize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection's place. Requests carry it, so that one that becomes a channel keeps it.
#[derive(Debug)]
pub struct Place {
    _place: OwnedSemaphorePermit,
    places: Arc<Places>,
    address: IpAddr,
    is_counted: AtomicBool,
}

impl Places {
    fn new(count: usize, of_address_max: usize) -> Arc<Self> {
        let free = Arc::new(Semaphore::new(count));
        Arc::new(Self { free, of_address_max, by_address: Mutex::default() })
    }

    fn take(self: &Arc<Self>, address: IpAddr) -> Option<Arc<Place>> {
        let address = neighbourhood(address);
        let place = self.free.clone().try_acquire_owned().ok()?;
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_address.entry(address).or_default();
        if *count >= self.of_address_max {
            return None;
        }
        *count += 1;
        drop(by_address);
        let (places, is_counted) = (self.clone(), AtomicBool::new(true));
        Some(Arc::new(Place { _place: place, places, address, is_counted }))
    }
}

impl Place {
    /// Whoever has it is known, and counts no more towards its address.
    pub fn known(&self) {
        if !self.is_counted.swap(false, Ordering::AcqRel) {
            return;
        }
        let mut by_address = self.places.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.known();
    }
}

/// Whoever has one IPv6 address has all with the same first half.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
        v4 => v4,
    }
}

/// Serves on a listener that the caller opened, until `shutdown` becomes true and what is under way
/// ended, [`FINISH_MAX`] after it at the latest.
pub async fn serve(listener: TcpListener, listening: Listening) {
    // What is accepted inherits them; a larger window would be promised before it could be taken
    // back.
    if let Err(error) = set_socket_recv_buffer_size(&listener, SOCKET_BYTES) {
        tracing::debug!(%error, "sockets keep their buffers");
    }
    let count = places_count();
    // Behind a proxy all come from one address.
    let of_address_max = if listening.tls.is_some() { (count / 8).max(64) } else { count };
    let places = Places::new(count, of_address_max);
    let mut shutdown = listening.shutdown.clone();
    let listening = Arc::new(listening);
    // Held by every connection; closed when the last of them ended.
    let (held, mut ended) = mpsc::channel::<()>(1);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = shutdown.wait_for(|stop| *stop) => break,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // One that went away before it was taken, or no files left: neither is for good.
                tracing::warn!(%error, "a connection could not be taken in");
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        let Some(place) = places.take(address.ip()) else {
            tracing::debug!("too many connections at once");
            continue;
        };
        let (listening, held) = (listening.clone(), held.clone());
        tokio::spawn(async move {
            if let Err(error) = take_in(stream, address, place, &listening).await {
                tracing::debug!(%error, "a connection broke off");
            }
            drop(held);
        });
    }
    drop((listener, held));
    if timeout(FINISH_MAX, ended.recv()).await.is_err() {
        tracing::warn!("transfers were cut off, since they took too long");
    }
}

async fn take_in(
    stream: TcpStream,
    address: SocketAddr,
    place: Arc<Place>,
    listening: &Listening,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    // Without it, small answers wait for the other side's delayed acknowledgements.
    stream.set_nodelay(true)?;
    set_socket_send_buffer_size(&stream, SOCKET_BYTES)?;
    let cut = Cut::default();
    let stream = Connection::new(stream, cut.clone());
    let caller = Caller { address, place, cut };
    match &listening.tls {
        Some(tls) => {
            let stream = timeout(HANDSHAKE_MAX, tls.accept(stream)).await??;
            converse(stream, caller, listening).await
        }
        None => converse(stream, caller, listening).await,
    }
}

/// What requests are told of the connection that they came by.
struct Caller {
    address: SocketAddr,
    place: Arc<Place>,
    cut: Cut,
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    caller: Caller,
    listening: &Listening,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let answers = TowerToHyperService::new(listening.router.clone());
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        let told = request.extensions_mut();
        told.insert(ConnectInfo(caller.address));
        told.insert(caller.place.clone());
        told.insert(caller.cut.clone());
        answers.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .max_headers(64)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let mut shutdown = listening.shutdown.clone();
    tokio::select! {
        done = connection.as_mut() => return Ok(done?),
        _ = shutdown.wait_for(|stop| *stop) => {}
    }
    connection.as_mut().graceful_shutdown();
    Ok(connection.await?)
}

/// As many connections as files may be open, which is asked to be as many as the system gives.
fn places_count() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::debug!(%error, "the limit of open files stays");
            limit = getrlimit(Resource::Nofile);
        }
    }
    let files = limit.current.unwrap_or(PLACES_MAX).min(PLACES_MAX);
    usize::try_from(files.saturating_sub(FILES_KEPT).max(64)).unwrap_or(64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_gets_its_part_of_the_places_and_agents_count_no_more() {
        let places = Places::new(10, 2);
        let address: IpAddr = "192.0.2.1".parse().expect("an address");
        let (first, second) = (places.take(address), places.take(address));
        assert!(places.take(address).is_none());
        assert!(places.take("192.0.2.2".parse().expect("an address")).is_some());
        first.as_ref().expect("a place").known();
        let third = places.take(address).expect("the first counts no more");
        drop((first, second, third));
        assert!(places.by_address.lock().expect("whole").is_empty());
        assert_eq!(places.free.available_permits(), 10);
    }

    #[test]
    fn addresses_of_one_network_count_together() {
        let places = Places::new(10, 1);
        let take = |text: &str| places.take(text.parse().expect("an address"));
        let _first = take("2001:db8:1:2::1").expect("a place");
        assert!(take("2001:db8:1:2:ffff::9").is_none());
        assert!(take("2001:db8:1:3::1").is_some());
        let _mapped = take("::ffff:192.0.2.1").expect("a place");
        assert!(take("192.0.2.1").is_none());
    }
}
