//! Every call to an address that is not ours: the one client of all targets.
//!
//! It goes to public addresses with TLS, and to what the operator named (`base::allow`); `gate`
//! checks each address, `wire` connects to what was checked. A reply is read to 64 KiB and no
//! further, redirects are not followed, and each call ends after [`TIMEOUT`]. What goes wrong says
//! whether the other side may have acted.
//!
//! A connection serves one call. One that is kept may be closed by the other side just as the next
//! call leaves, and then nobody knows whether that was read.

mod gate;
mod trust;
mod wire;

use std::io::Read;
use std::net::SocketAddr;
use std::time::Duration;

use ureq::Agent;
use ureq::config::ConfigBuilder;
use ureq::typestate::AgentScope;

use super::target::Setback;
use crate::base::allow::{Aim, Allow, Host};
use gate::Gate;
pub use gate::{Refusal, Spot};
pub use trust::Fetching;
pub use wire::refusal;

/// Who has not answered by then has not answered.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A body that is read as it goes has time for so many bytes a second on top.
const STREAM_BYTES_PER_S: u64 = 32 * 1024;

/// Largest part of an answer that is read.
pub const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Where owners name places.
const OWNERS_BOOK: &str = "`allow` of [outward] in signet.toml";

/// Where those who run a hub name places.
const HUBS_BOOK: &str = "`allow` in hub.toml and start signet hub again";

/// Ports at which mail is handed in, with TLS.
const MAIL_PORTS: &[u16] = &[465, 587];

/// Calls addresses that are allowed.
#[derive(Debug, Clone)]
pub struct Outward {
    client: Agent,
    gate: Gate,
    timeout: Duration,
}

/// One call.
pub struct Call<'a> {
    /// `GET`, `POST`, …
    pub method: &'a str,
    /// Where to, with its query.
    pub url: &'a str,
    /// Names and values.
    pub headers: Vec<(&'a str, String)>,
    /// What goes with it.
    pub body: Body<'a>,
}

/// What goes with a call.
pub enum Body<'a> {
    /// Nothing.
    Empty,
    /// Bytes in memory.
    Bytes(&'a [u8]),
    /// Bytes as they are read, and how many they are.
    Stream(Box<dyn Read + Send + 'a>, u64),
}

/// What the other side said.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Seconds after which it wants to be asked again.
    pub retry_after_s: Option<i64>,
    /// At most [`ANSWER_BYTES_MAX`] bytes.
    pub body: Vec<u8>,
    /// Whether all of the answer came: neither cut off nor too long.
    pub is_whole: bool,
}

impl Reply {
    /// The beginning of what it says, fit to be shown: 200 characters at most.
    pub fn words(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        text.chars().filter(|c| !c.is_control()).take(200).collect()
    }
}

impl Outward {
    /// A client that may call what is public, and what the operator named.
    pub fn new(allow: Allow) -> Self {
        Self::within(allow, TIMEOUT)
    }

    /// The same, with another time that an answer may take.
    pub fn within(allow: Allow, timeout: Duration) -> Self {
        Self::through(Gate::new(allow, OWNERS_BOOK), Agent::config_builder(), timeout)
    }

    /// The client of a hub, which may call what is public and what `hub.toml` names.
    pub fn of_hub(allow: Allow) -> Self {
        Self::through(Gate::new(allow, HUBS_BOOK), Agent::config_builder(), TIMEOUT)
    }

    fn through(gate: Gate, config: ConfigBuilder<AgentScope>, timeout: Duration) -> Self {
        let config = config
            .timeout_global(Some(timeout))
            .max_idle_connections(0)
            .user_agent(concat!("signet/", env!("CARGO_PKG_VERSION")));
        Self { client: wire::client(config, gate.clone()), gate, timeout }
    }

    /// The addresses of a mail server, to connect to and to no others; the name is not to be
    /// looked up again.
    ///
    /// - ports 465 and 587 need not be named by the operator where `tls` is used
    ///
    /// # Errors
    /// As [`Self::call`]; nothing was called.
    pub fn check(&self, host: &str, port: u16, tls: bool) -> Result<Vec<SocketAddr>, Setback> {
        let host = Host::parse(host).map_err(|error| Setback::refused(error.to_string()))?;
        let aim = Aim { host: &host, port, tls, usual_ports: MAIL_PORTS };
        self.gate.pass(aim).map_err(|refusal| setback(&refusal))
    }

    /// Where a connection that stays goes to: host, port and addresses of a URL, and to no others;
    /// the name is not to be looked up again. Blocking.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was called.
    pub fn spot(&self, url: &str) -> Result<Spot, Refusal> {
        self.gate.spot(&parsed(url)?)
    }

    /// Makes a call and reads the answer, whatever its status.
    ///
    /// # Errors
    /// [`super::target::Fate::Refused`] when the address is none, `Away` when nothing of the call
    /// left this computer, else `Unknown`.
    pub fn call(&self, call: Call<'_>) -> Result<Reply, Setback> {
        let mut request = ureq::http::Request::builder().method(call.method).uri(call.url);
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        let url: String = call.url.chars().filter(|c| !c.is_control()).take(200).collect();
        let no_call = |error: &dyn std::fmt::Display| {
            Setback::refused(format!("`{url}` cannot be called: {error}"))
        };
        let refused = |error: ureq::http::Error| no_call(&error);
        let client = &self.client;
        let answer = match call.body {
            Body::Empty => {
                let request = request.body(()).map_err(refused)?;
                wire::watched(|| client.run(request))
            }
            Body::Bytes(bytes) => {
                let request = request.body(bytes).map_err(refused)?;
                wire::watched(|| client.run(request))
            }
            Body::Stream(mut reader, bytes_count) => {
                let body = ureq::SendBody::from_reader(&mut reader);
                let request = request.header("content-length", bytes_count).body(body);
                let time = Duration::from_secs(bytes_count / STREAM_BYTES_PER_S);
                let request = client
                    .configure_request(request.map_err(refused)?)
                    .timeout_global(Some(self.timeout + time))
                    .build();
                wire::watched(|| client.run(request))
            }
        };
        let mut answer = answer.map_err(|(error, left)| {
            if let Some(refusal) = wire::refusal(&error) {
                return setback(refusal);
            }
            if matches!(error, ureq::Error::BadUri(_) | ureq::Error::Http(_)) {
                return no_call(&error);
            }
            let why = format!("`{url}` cannot be reached: {}", wire::words(&error));
            if left { Setback::unknown(why) } else { Setback::away(why) }
        })?;
        let retry_after_s = answer
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok()?.parse::<i64>().ok())
            .map(|seconds| seconds.clamp(0, 86_400));
        let mut body = Vec::new();
        let read = answer.body_mut().as_reader().take(ANSWER_BYTES_MAX + 1).read_to_end(&mut body);
        let is_whole = read.is_ok() && body.len() as u64 <= ANSWER_BYTES_MAX;
        body.truncate(usize::try_from(ANSWER_BYTES_MAX).unwrap_or(usize::MAX));
        Ok(Reply { status: answer.status().as_u16(), retry_after_s, body, is_whole })
    }
}

impl Outward {
    /// Fetches a file, in parts as they come.
    ///
    /// - `bytes_max`: what is longer is not read to its end
    ///
    /// # Errors
    /// In words: the address is none, cannot be reached, answers something else than 200, or the
    /// answer breaks off or is longer.
    pub fn download(
        &self,
        url: &str,
        bytes_max: u64,
        mut take: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<(), String> {
        let shown: String = url.chars().filter(|c| !c.is_control()).take(200).collect();
        let failed = |why: &dyn std::fmt::Display| format!("`{shown}` cannot be fetched: {why}");
        let request = ureq::http::Request::builder().method("GET").uri(url).body(());
        let request = request.map_err(|error| failed(&error))?;
        let time = Duration::from_secs(bytes_max / STREAM_BYTES_PER_S);
        let request = self
            .client
            .configure_request(request)
            .timeout_global(Some(self.timeout + time))
            .build();
        let mut answer = self.client.run(request).map_err(|error| match wire::refusal(&error) {
            Some(refusal) => refusal.to_string(),
            None => failed(&wire::words(&error)),
        })?;
        if answer.status() != 200 {
            return Err(failed(&format_args!("the answer is {}", answer.status())));
        }
        let mut body = answer.body_mut().as_reader();
        let (mut part, mut bytes_count) = (vec![0; 64 * 1024], 0);
        loop {
            let count = body.read(&mut part).map_err(|error| failed(&error))?;
            bytes_count += count as u64;
            if bytes_count > bytes_max {
                return Err(failed(&format_args!("it is longer than {bytes_max} bytes")));
            }
            match part.get(..count) {
                None | Some([]) => return Ok(()),
                Some(bytes) => take(bytes).map_err(|error| failed(&error))?,
            }
        }
    }
}

/// Tells what an operator has to name before orders can go to a URL, as far as that can be told
/// without asking anybody.
///
/// # Errors
/// A [`Refusal`] that every call would end in.
pub fn foresee(url: &str, allow: &Allow) -> Result<(), Refusal> {
    Gate::new(allow.clone(), OWNERS_BOOK).foresee(&parsed(url)?)
}

fn parsed(url: &str) -> Result<ureq::http::Uri, Refusal> {
    url.parse().map_err(|error: ureq::http::uri::InvalidUri| Refusal::Malformed {
        url: url.chars().filter(|c| !c.is_control()).take(200).collect(),
        why: error.to_string(),
    })
}

/// What a refusal of the gate means for an order: it waits for the operator, or is over.
fn setback(refusal: &Refusal) -> Setback {
    match refusal.is_final() {
        true => Setback::refused(refusal.to_string()),
        false => Setback::away(refusal.to_string()),
    }
}

/// Why a call of a [`Fetching`] client failed, in words.
pub fn words(error: &ureq::Error) -> String {
    wire::refusal(error).map_or_else(|| wire::words(error), ToString::to_string)
}

#[cfg(test)]
mod tests;
