//! One question to a hub on a connection of its own, and its short answer.
//!
//! For the few questions around a membership, which are asked before there is a channel, after it is
//! over, or while its key changes.

use std::time::Duration;

use axum::http::Request;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use crate::agent::reach::{Connector, Trust};
use crate::base::ids::ContentHash;
use crate::orders::outward::Outward;

/// Who has not answered by then has not answered.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Largest answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What a hub answered.
#[derive(Debug)]
pub(super) struct Reply {
    /// HTTP status.
    pub(super) status: u16,
    /// At most [`ANSWER_BYTES_MAX`] bytes.
    pub(super) body: Bytes,
    /// SHA-256 of the certificate that it showed; `None` without TLS.
    pub(super) certificate: Option<ContentHash>,
}

/// What is asked, and of whom.
#[derive(Debug)]
pub(super) struct Question<'a> {
    /// Address of the hub; scheme, host and port.
    pub(super) url: &'a str,
    /// Which certificate is good enough.
    pub(super) trust: &'a Trust,
    /// What is asked for.
    pub(super) path: &'a str,
    /// Posted as it is; `None` asks with `GET`.
    pub(super) body: Option<String>,
}

/// Asks. Blocks until there is an answer; not for async threads.
///
/// # Errors
/// In words, when nobody answers.
pub(super) fn ask(question: Question<'_>, outward: &Outward) -> Result<Reply, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let answer = tokio::time::timeout(TIMEOUT, exchange(question, outward)).await;
        answer.unwrap_or_else(|_late| Err("it did not answer in time".into()))
    })
}

async fn exchange(question: Question<'_>, outward: &Outward) -> Result<Reply, String> {
    let Question { url, trust, path, body } = question;
    let connector = Connector::new(url, trust).map_err(|error| error.to_string())?;
    let stream = connector.connect(outward.clone()).await?;
    let certificate = stream.certificate();
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    let request = Request::builder()
        .method(if body.is_some() { "POST" } else { "GET" })
        .uri(path)
        .header("host", connector.host())
        .header("user-agent", concat!("signet/", env!("CARGO_PKG_VERSION")))
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.unwrap_or_default())))
        .map_err(|error| error.to_string())?;
    let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| error.to_string())?.to_bytes();
    Ok(Reply { status, body, certificate })
}
