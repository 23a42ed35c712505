//! Where a connection may go: an address is parsed once, looked up by ourselves, and every answer
//! is checked before the first packet.
//!
//! In:  a URL as it is about to be called.
//! Out: the addresses to connect to, and to nothing else; or a [`Refusal`].
//!
//! The URL that is looked at is the one that is called, not another reading of the same text, and
//! whoever connects is handed addresses. So nobody looks a name up a second time and finds it
//! somewhere else. A name is looked up again for each call.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::base::allow::{Aim, Allow, Denial, Host, Place};

/// A name that was not found by then is not found.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// Most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;

/// The port that need not be named.
const WEB_PORTS: &[u16] = &[443];

/// Finds the addresses of a name.
pub(super) type Lookup = Arc<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// Decides to which addresses connections go.
#[derive(Clone)]
pub(super) struct Gate {
    allow: Allow,
    /// Where the operator names places, to be told with a refusal.
    book: &'static str,
    lookup: Lookup,
}

/// Where a connection may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// As the URL has it.
    pub host: Host,
    /// Whether the other side has to prove who it is.
    pub tls: bool,
    /// Each of them allowed; at least one.
    pub addresses: Vec<SocketAddr>,
}

/// Why nothing was called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing that can be called, whatever the operator allows.
    #[error("`{url}` cannot be called: {why}")]
    Malformed {
        /// As it was given, 200 characters at most.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// The operator did not name the place.
    #[error("`{place}` is not called, it {why}: if you mean it, add \"{cure}\" to {book}")]
    Unnamed {
        /// Host and port.
        place: String,
        /// What it is.
        why: String,
        /// What to add.
        cure: Place,
        /// Where to.
        book: &'static str,
    },
    /// No place for orders.
    #[error("`{place}` is never called: it {why}")]
    Never {
        /// Host and port.
        place: String,
        /// What it is.
        why: String,
    },
    /// The name is not known just now.
    #[error("`{host}` is not found: {why}: is this computer online, is the name right?")]
    NotFound {
        /// The name.
        host: String,
        /// What the system says.
        why: String,
    },
}

impl Refusal {
    /// Whether no later try could get through.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Malformed { .. })
    }
}

impl Gate {
    /// A gate that lets through what the operator named in `book`.
    pub(super) fn new(allow: Allow, book: &'static str) -> Self {
        Self { allow, book, lookup: Arc::new(system_lookup) }
    }

    /// The same, asking somebody else for names.
    #[cfg(test)]
    pub(super) fn looking_up(self, lookup: Lookup) -> Self {
        Self { lookup, ..self }
    }

    /// Where a URL leads to.
    pub(super) fn spot(&self, uri: &Uri) -> Result<Spot, Refusal> {
        let (host, port, tls) = parts(uri)?;
        let addresses = self.pass(Aim { host: &host, port, tls, usual_ports: WEB_PORTS })?;
        Ok(Spot { host, tls, addresses })
    }

    /// Whether a URL can be called at all, as far as can be told without looking its name up.
    pub(super) fn foresee(&self, uri: &Uri) -> Result<(), Refusal> {
        let (host, port, tls) = parts(uri)?;
        let aim = Aim { host: &host, port, tls, usual_ports: WEB_PORTS };
        self.allow.admits_host(aim).map_err(|denial| self.refusal(aim, denial))
    }

    /// The addresses of a place, each of them allowed; at least one.
    pub(super) fn pass(&self, aim: Aim<'_>) -> Result<Vec<SocketAddr>, Refusal> {
        self.allow.admits_host(aim).map_err(|denial| self.refusal(aim, denial))?;
        let mut addresses = match aim.host {
            Host::Address(address) => vec![SocketAddr::new(*address, aim.port)],
            Host::Name(name) => {
                let found = (self.lookup)(name, aim.port);
                found.map_err(|error| not_found(name, error.to_string()))?
            }
        };
        // Before some of many are left aside.
        self.allow.admits(aim, &addresses).map_err(|denial| self.refusal(aim, denial))?;
        addresses.truncate(ADDRESSES_MAX);
        match addresses.is_empty() {
            true => Err(not_found(&aim.host.to_string(), "it has no address".into())),
            false => Ok(addresses),
        }
    }

    fn refusal(&self, aim: Aim<'_>, denial: Denial) -> Refusal {
        let place = format!("{}:{}", aim.host, aim.port);
        match denial {
            Denial::Unnamed { why, place: cure } => {
                Refusal::Unnamed { place, why, cure, book: self.book }
            }
            Denial::Never(why) => Refusal::Never { place, why },
        }
    }
}

fn not_found(host: &str, why: String) -> Refusal {
    Refusal::NotFound { host: host.into(), why }
}

/// Host, port and whether it is called with TLS.
fn parts(uri: &Uri) -> Result<(Host, u16, bool), Refusal> {
    read_parts(uri).map_err(|why| {
        let url = uri.to_string().chars().filter(|c| !c.is_control()).take(200).collect();
        Refusal::Malformed { url, why }
    })
}

fn read_parts(uri: &Uri) -> Result<(Host, u16, bool), String> {
    let (tls, usual_port) = match uri.scheme_str() {
        Some("https") => (true, 443),
        Some("http") => (false, 80),
        _ => return Err("it begins with neither https:// nor http://".into()),
    };
    let authority = uri.authority().ok_or("it names no host")?;
    if authority.as_str().contains('@') {
        return Err("it carries a name or password before the host".into());
    }
    let text = authority.host();
    let host = Host::parse(text).map_err(|error| error.to_string())?;
    let port = authority.port_u16();
    // What is between the slashes is host and port, and nothing is ignored.
    let written = port.map_or_else(|| text.to_owned(), |port| format!("{text}:{port}"));
    if written != authority.as_str() || port == Some(0) {
        return Err("its port is no number from 1 to 65535".into());
    }
    Ok((host, port.unwrap_or(usual_port), tls))
}

/// Asks the system, and waits no longer than [`LOOKUP_TIMEOUT`].
fn system_lookup(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let (answer, answered) = sync_channel(1);
    let name = name.to_owned();
    std::thread::spawn(move || {
        let found = (name.as_str(), port).to_socket_addrs().map(Iterator::collect);
        // Nobody may be waiting any more.
        let _ = answer.send(found);
    });
    match answered.recv_timeout(LOOKUP_TIMEOUT) {
        Ok(found) => found,
        Err(RecvTimeoutError::Timeout) => Err(io::ErrorKind::TimedOut.into()),
        Err(RecvTimeoutError::Disconnected) => Err(io::ErrorKind::Other.into()),
    }
}

impl Resolver for Gate {
    fn resolve(
        &self,
        uri: &Uri,
        _config: &Config,
        _timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let spot = self.spot(uri).map_err(|refusal| ureq::Error::Other(refusal.into()))?;
        let mut addresses = self.empty();
        for address in spot.addresses {
            addresses.push(address);
        }
        Ok(addresses)
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("allow", &self.allow).finish_non_exhaustive()
    }
}
