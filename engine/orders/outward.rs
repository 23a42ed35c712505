//! Every call to an address that is not ours: the one client of all targets.
//!
//! A reply is read to 64 KiB and no further, redirects are not followed, and each call ends after
//! [`TIMEOUT`]. What goes wrong says whether the other side may have acted.

use std::io::Read;
use std::time::Duration;

use super::target::Setback;

/// Who has not answered by then has not answered.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Largest part of an answer that is read.
pub const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Calls addresses that are allowed.
#[derive(Debug, Clone)]
pub struct Outward {
    client: ureq::Agent,
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
    /// A client that may call what the operator named.
    #[expect(clippy::new_without_default, reason = "what is allowed comes with the filter")]
    pub fn new() -> Self {
        let client = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(TIMEOUT))
            .user_agent(concat!("signet/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        Self { client }
    }

    /// Makes a call and reads the answer, whatever its status.
    ///
    /// # Errors
    /// [`super::target::Fate::Away`] when the other side cannot have seen the call, else `Unknown`.
    pub fn call(&self, call: Call<'_>) -> Result<Reply, Setback> {
        let mut request = ureq::http::Request::builder().method(call.method).uri(call.url);
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        let refused = |error: ureq::http::Error| Setback::refused(error.to_string());
        let answer = match call.body {
            Body::Empty => self.client.run(request.body(()).map_err(refused)?),
            Body::Bytes(bytes) => self.client.run(request.body(bytes).map_err(refused)?),
            Body::Stream(mut reader, bytes_count) => {
                let request = request.header("content-length", bytes_count);
                let body = ureq::SendBody::from_reader(&mut reader);
                self.client.run(request.body(body).map_err(refused)?)
            }
        };
        let mut answer = answer.map_err(|error| {
            let why = format!("`{}` cannot be reached: {error}", call.url);
            match error {
                ureq::Error::ConnectionFailed | ureq::Error::HostNotFound => Setback::away(why),
                ureq::Error::Io(source)
                    if source.kind() == std::io::ErrorKind::ConnectionRefused =>
                {
                    Setback::away(why)
                }
                _ => Setback::unknown(why),
            }
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
