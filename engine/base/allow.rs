//! Which places of private networks an operator means, and whether a call may go somewhere.
//!
//! In:  `allow = ["127.0.0.1:8720", "192.168.1.20", "printer.local:631", "10.0.0.0/8"]` of
//!      `signet.toml` or `lab.toml`; later a host, a port and the addresses it was found at.
//! Out: yes, or why not and what to add.
//!
//! Without a word from the operator a call goes to public addresses, with TLS, to usual ports.
//! What is named may be called without TLS and at any port that was named.
//!
//! A name is as trustworthy as those who answer for it. One of the local network (`printer.local`,
//! `nas`) is believed about addresses of that network, and `localhost` about this computer. A name
//! of the public DNS is believed about public addresses alone: its owner would otherwise decide
//! whom in the network we call. What lies behind it is then named by its address.
//!
//! Looks nothing up; knows nothing of HTTP.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::address::{Kind, kind};

/// Networks larger than this are no place that anybody means.
const PREFIX_MIN: u8 = 8;

/// Last labels of names that only a local network answers for (RFC 6761, 6762 appendix G, 8375,
/// and `.internal` of ICANN).
const LOCAL_ENDS: [&str; 8] =
    ["local", "lan", "home", "internal", "intranet", "corp", "private", "localdomain"];

/// A host as URLs and configuration write it: a name in lower case, or an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// Labels of letters, digits, `-` and `_`.
    Name(String),
    /// Four decimal numbers, or IPv6 without its brackets.
    Address(IpAddr),
}

/// One entry of `allow`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Place {
    host: Host,
    /// Bits that count, where it is a network.
    prefix: Option<u8>,
    /// Any, where none is named.
    port: Option<u16>,
}

/// The places that the operator named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Allow(Vec<Place>);

/// Where a call wants to go.
#[derive(Debug, Clone, Copy)]
pub struct Aim<'a> {
    /// As it was written.
    pub host: &'a Host,
    /// As it was written, or that of the scheme.
    pub port: u16,
    /// Whether the other side proves who it is.
    pub tls: bool,
    /// Ports that need not be named.
    pub usual_ports: &'a [u16],
}

/// Why text names no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// Not a host that anybody could mean.
    #[error("`{0}` is no host: write a name such as printer.local, or an address such as 10.0.0.7")]
    Host(String),
    /// A number that is an address to some programs only.
    #[error("`{0}` looks like a number: write an address as four decimal numbers")]
    Number(String),
    /// Letters that DNS has not.
    #[error("`{0}` has letters outside of a-z: write its `xn--` form")]
    Letters(String),
    /// Port 0, or none.
    #[error("`{0}` has no port from 1 to 65535 behind its colon")]
    Port(String),
    /// Not a network, or one that is too large.
    #[error("`{0}` is no network: write it as 10.0.0.0/8, with /{PREFIX_MIN} or a smaller one")]
    Network(String),
}

/// Why a call may not go there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// The operator may allow it by naming `place`.
    Unnamed {
        /// What is there.
        why: String,
        /// What to add to `allow`.
        place: Place,
    },
    /// Nobody may.
    Never(String),
}

impl Host {
    /// Reads the host of a URL or of an entry.
    ///
    /// # Errors
    /// Anything that two programs might understand differently.
    pub fn parse(text: &str) -> Result<Self, PlaceError> {
        if let Some(inside) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let address: Result<Ipv6Addr, _> = inside.parse();
            return address
                .map(|address| Self::Address(address.to_canonical()))
                .map_err(|_no_address| PlaceError::Host(text.into()));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Address(address.to_canonical()));
        }
        if !text.is_ascii() {
            return Err(PlaceError::Letters(text.into()));
        }
        let name = text.to_ascii_lowercase();
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'))
        };
        if name.len() > 253 || !name.split('.').all(is_label) {
            return Err(PlaceError::Host(text.into()));
        }
        // As browsers do: `127.1`, `0x7f000001` and `017700000001` are addresses to `getaddrinfo`.
        let last = name.rsplit('.').next().unwrap_or_default();
        let hex = last.strip_prefix("0x");
        if last.bytes().all(|c| c.is_ascii_digit())
            || hex.is_some_and(|digits| digits.bytes().all(|c| c.is_ascii_hexdigit()))
        {
            return Err(PlaceError::Number(text.into()));
        }
        Ok(Self::Name(name))
    }

    /// Whether it is a name that means this computer wherever it is read.
    fn is_localhost(&self) -> bool {
        matches!(self, Self::Name(name) if name == "localhost" || name.ends_with(".localhost"))
    }

    /// Whether it is a name that only the local network answers for.
    fn is_local_name(&self) -> bool {
        let Self::Name(name) = self else { return false };
        match name.rsplit_once('.') {
            None => name != "localhost",
            Some((rest, "arpa")) => rest == "home" || rest.ends_with(".home"),
            Some((_, last)) => LOCAL_ENDS.contains(&last),
        }
    }
}

impl Place {
    /// A host at one port.
    pub const fn at(host: Host, port: u16) -> Self {
        Self { host, prefix: None, port: Some(port) }
    }

    fn has_port(&self, port: u16) -> bool {
        self.port.is_none_or(|own| own == port)
    }

    fn is_name(&self, host: &Host, port: u16) -> bool {
        matches!(host, Host::Name(_)) && self.host == *host && self.has_port(port)
    }

    fn holds(&self, address: IpAddr, port: u16) -> bool {
        let Host::Address(own) = self.host else { return false };
        let bits = |address: IpAddr| match address {
            IpAddr::V4(address) => (32, u128::from(address.to_bits()) << 96),
            IpAddr::V6(address) => (128, address.to_bits()),
        };
        let ((length, own), (other_length, other)) = (bits(own), bits(address.to_canonical()));
        let prefix = u32::from(self.prefix.unwrap_or(length)).min(128);
        let differing = (own ^ other).leading_zeros();
        length == other_length && differing >= prefix && self.has_port(port)
    }
}

impl Allow {
    /// The places that texts name.
    ///
    /// # Errors
    /// The first that names none.
    pub fn named(places: &[&str]) -> Result<Self, PlaceError> {
        places.iter().map(|text| text.parse()).collect::<Result<_, _>>().map(Self)
    }

    /// These and some more.
    #[must_use]
    pub fn with(&self, places: &[Place]) -> Self {
        Self(self.0.iter().chain(places).cloned().collect())
    }

    /// Whether a place is among them, as it is written.
    pub fn has(&self, place: &Place) -> bool {
        self.0.contains(place)
    }

    /// Whether nothing was named.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is known before anything is looked up: whether a call to this host can go out at all.
    ///
    /// # Errors
    /// A [`Denial`] that no answer of the DNS would change.
    pub fn admits_host(&self, aim: Aim<'_>) -> Result<(), Denial> {
        match aim.host {
            Host::Address(address) => self.admits(aim, &[SocketAddr::new(*address, aim.port)]),
            Host::Name(_) if self.has_name(aim) => Ok(()),
            // It may be at an address or in a network that was named.
            Host::Name(_) if self.0.iter().any(|place| matches!(place.host, Host::Address(_))) => {
                Ok(())
            }
            Host::Name(_) if aim.host.is_local_name() || aim.host.is_localhost() => {
                Err(aim.unnamed("is a name of the local network".into()))
            }
            Host::Name(_) => aim.plain().map_or(Ok(()), |why| Err(aim.unnamed(why.into()))),
        }
    }

    /// Decides whether a call may go out, for every address that its host was found at.
    ///
    /// # Errors
    /// A [`Denial`] when it may not go to one of them.
    pub fn admits(&self, aim: Aim<'_>, addresses: &[SocketAddr]) -> Result<(), Denial> {
        let by_name = self.has_name(aim);
        for address in addresses {
            let ip = address.ip();
            let kind = kind(ip);
            let believed = match kind {
                Kind::Never(why) => {
                    return Err(Denial::Never(format!("{} {why}", aim.at(ip))));
                }
                Kind::Public => true,
                Kind::Loopback => aim.host.is_localhost(),
                Kind::LinkLocal | Kind::Private | Kind::Shared => aim.host.is_local_name(),
            };
            let named =
                by_name && believed || self.0.iter().any(|place| place.holds(ip, address.port()));
            if named {
                continue;
            }
            if kind != Kind::Public {
                let place = if by_name || !believed {
                    Place::at(Host::Address(ip.to_canonical()), aim.port)
                } else {
                    Place::at(aim.host.clone(), aim.port)
                };
                let why = format!("{} {}", aim.at(ip), kind.words());
                return Err(Denial::Unnamed { why, place });
            }
            if let Some(why) = aim.plain() {
                return Err(aim.unnamed(why.into()));
            }
        }
        Ok(())
    }

    fn has_name(&self, aim: Aim<'_>) -> bool {
        self.0.iter().any(|place| place.is_name(aim.host, aim.port))
    }
}

impl FromIterator<Place> for Allow {
    fn from_iter<I: IntoIterator<Item = Place>>(places: I) -> Self {
        Self(places.into_iter().collect())
    }
}

impl Aim<'_> {
    /// What keeps it from being called without having been named, wherever it is.
    fn plain(self) -> Option<&'static str> {
        if !self.tls {
            Some("would be called without TLS")
        } else if !self.usual_ports.contains(&self.port) {
            Some("has an unusual port")
        } else {
            None
        }
    }

    fn unnamed(self, why: String) -> Denial {
        Denial::Unnamed { why, place: Place::at(self.host.clone(), self.port) }
    }

    /// Says what an address is to the host, up to "is" of what it is.
    fn at(self, address: IpAddr) -> String {
        match self.host {
            Host::Address(_) => "is".into(),
            Host::Name(_) => format!("was found at `{address}`, which is"),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.host, self.prefix) {
            (Host::Address(IpAddr::V6(address)), Some(prefix)) => write!(f, "[{address}/{prefix}]"),
            (host, Some(prefix)) => write!(f, "{host}/{prefix}"),
            (host, None) => write!(f, "{host}"),
        }?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl FromStr for Place {
    type Err = PlaceError;

    /// `HOST`, `HOST:PORT`, `NETWORK/BITS` or `NETWORK/BITS:PORT`; IPv6 with a port in brackets.
    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let colons_count = text.bytes().filter(|&c| c == b':').count();
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if colons_count == 1 || host.ends_with(']') => {
                let number = port.parse().ok().filter(|number| *number > 0);
                (host, Some(number.ok_or_else(|| PlaceError::Port(text.into()))?))
            }
            _ => (text, None),
        };
        let Some((inside, bits)) = host.split_once('/') else {
            return Ok(Self { host: Host::parse(host)?, prefix: None, port });
        };
        let no_network = || PlaceError::Network(text.into());
        // `[fd00::/8]`: the bracket closes behind the bits.
        let (inside, bits) = match (inside.strip_prefix('['), bits.strip_suffix(']')) {
            (Some(inside), Some(bits)) => (inside, bits),
            _ => (inside, bits),
        };
        let address: IpAddr = inside.parse().map_err(|_no_address| no_network())?;
        let prefix: u8 = bits.parse().map_err(|_no_number| no_network())?;
        let (length, low_bits) = match address {
            IpAddr::V4(address) => (32, u128::from(address.to_bits()) << 96),
            IpAddr::V6(address) => (128, address.to_bits()),
        };
        // Bits behind the prefix would be ignored: perhaps another network was meant.
        let rest = low_bits.checked_shl(u32::from(prefix)).unwrap_or(0);
        if !(PREFIX_MIN..=length).contains(&prefix) || rest != 0 {
            return Err(no_network());
        }
        Ok(Self { host: Host::Address(address), prefix: Some(prefix), port })
    }
}

impl TryFrom<String> for Place {
    type Error = PlaceError;

    fn try_from(text: String) -> Result<Self, PlaceError> {
        text.parse()
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.to_string()
    }
}

#[cfg(test)]
mod tests;
