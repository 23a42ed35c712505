//! Answers requests that providers made at the hub: through the same routes and the same checks as
//! requests that come directly, over a connection of its own for each.
//!
//! ```text
//! serve ──► web::providers, told that it came through the hub ──► POST /v1/transfers/…
//! ```
//!
//! What the hub says of a request is not believed, so nothing that it could not have asked as a
//! stranger gets through: three methods, our own part of its addresses, eight headers. A few idle
//! connections are kept, since setting one up takes longer than asking for a preview.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, Response, header};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::service::Service;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use super::connect::Connector;
use crate::access::Membership;
use crate::agent::books::OutwardBook;
use crate::hub::channel::TRANSFERS_MAX;
use crate::hub::greeting::is_nonce;
use crate::hub::protocol::{BODY_BYTES_MAX, HEAD_HEADER, HEADERS_IN, HEADERS_OUT, Head, Serve};
use crate::web::{self, Cut, Via};

/// Connections that are kept for the next request, and for how long: less than any hub waits.
const IDLE_MAX: usize = 4;
const IDLE_FOR: Duration = Duration::from_secs(5);

/// Buffer of a connection, in bytes.
const BUFFER_BYTES: usize = 256 * 1024;

/// What answers the requests of one hub.
pub(super) struct Errands {
    routes: TowerToHyperService<axum::Router>,
    /// `/o/AGENT`
    prefix: String,
    connector: Connector,
    outward: Arc<OutwardBook>,
    idle: Mutex<Vec<(Connection, Instant)>>,
    places: Arc<Semaphore>,
}

/// A connection to the hub; dropping it ends it, whatever is on its way.
pub(super) struct Connection {
    pub(super) requests: SendRequest<Body>,
    task: AbortHandle,
}

impl Connection {
    pub(super) async fn open(connector: &Connector, outward: &OutwardBook) -> Result<Self, String> {
        let stream = connector.connect(outward.current()).await?;
        let (requests, connection) = Builder::new()
            .max_buf_size(BUFFER_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the hub broke off");
            }
        });
        Ok(Self { requests, task: task.abort_handle() })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Errands {
    pub(super) fn new(
        membership: &Membership,
        connector: Connector,
        outward: Arc<OutwardBook>,
        service: Arc<web::Service>,
    ) -> Arc<Self> {
        Arc::new(Self {
            routes: TowerToHyperService::new(web::providers(service)),
            prefix: format!("/o/{}", membership.agent_id),
            connector,
            outward,
            idle: Mutex::default(),
            places: Arc::new(Semaphore::new(TRANSFERS_MAX)),
        })
    }

    /// Begins to answer a request; more than the hub may ask at once are left.
    pub(super) fn begin(self: Arc<Self>, serve: Serve) {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            tracing::warn!("the hub asks for more at once than it may");
            return;
        };
        tokio::spawn(async move {
            if let Err(why) = self.answer(serve).await {
                tracing::debug!(why, "a request through the hub was not answered");
            }
            drop(place);
        });
    }

    async fn answer(&self, serve: Serve) -> Result<(), String> {
        let words = |error: &dyn std::fmt::Display| error.to_string();
        if !is_nonce(&serve.transfer) {
            return Err("the transfer has no proper name".into());
        }
        let transfer = format!("/v1/transfers/{}", serve.transfer);
        let cut = Cut::default();
        let request = request(&self.prefix, serve, cut.clone())?;
        let answer = self.routes.call(request).await.map_err(|error| words(&error))?;
        let (head, length) = head_of(&answer);
        let head = serde_json::to_vec(&head).map_err(|error| words(&error))?;
        let mut request = Request::post(transfer)
            .header(header::HOST, self.connector.host())
            .header(HEAD_HEADER, URL_SAFE_NO_PAD.encode(head));
        if let Some(length) = length {
            request = request.header(header::CONTENT_LENGTH, length);
        }
        let request = request.body(answer.into_body()).map_err(|error| words(&error))?;
        tokio::select! {
            sent = self.send(request) => sent,
            // Its connection is closed with it, also where the hub does not read.
            () = cut.is_cut() => Err("what it is about was revoked".into()),
        }
    }

    /// Sends an answer, over a connection that is there or a new one.
    async fn send(&self, mut request: Request<Body>) -> Result<(), String> {
        while let Some(mut connection) = self.kept() {
            match connection.requests.try_send_request(request).await {
                Ok(response) => {
                    self.settle(connection, &response);
                    return Ok(());
                }
                // The hub closed it meanwhile; nothing of the answer is lost.
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(error.into_error().to_string()),
                },
            }
        }
        let mut connection = Connection::open(&self.connector, &self.outward).await?;
        let response =
            connection.requests.send_request(request).await.map_err(|error| error.to_string())?;
        self.settle(connection, &response);
        Ok(())
    }

    /// Keeps a connection whose transfer was taken whole.
    fn settle(&self, connection: Connection, response: &Response<hyper::body::Incoming>) {
        if response.status() != axum::http::StatusCode::NO_CONTENT {
            tracing::debug!(status = %response.status(), "the hub did not want an answer whole");
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(kept, since)| !kept.requests.is_closed() && since.elapsed() < IDLE_FOR);
        if idle.len() < IDLE_MAX {
            idle.push((connection, Instant::now()));
        }
    }

    fn kept(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((connection, since)) = idle.pop() {
            if connection.requests.is_ready() && since.elapsed() < IDLE_FOR {
                return Some(connection);
            }
        }
        None
    }
}

/// The request as it would have come directly.
///
/// - `cut`: ends the answer when its grant is revoked
fn request(prefix: &str, serve: Serve, cut: Cut) -> Result<Request<Body>, String> {
    let method = match serve.method.as_str() {
        "GET" => Method::GET,
        "HEAD" => Method::HEAD,
        "POST" => Method::POST,
        other => return Err(format!("`{other}` is no method of a provider")),
    };
    let path = serve.path.strip_prefix(prefix).filter(|path| path.starts_with("/v1/"));
    let path = path.ok_or("the request is for somebody else")?;
    let body = STANDARD.decode(&serve.body).map_err(|error| error.to_string())?;
    if body.len() > BODY_BYTES_MAX {
        return Err("the body is too large".into());
    }
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in &serve.headers {
        if HEADERS_IN.contains(&name.as_str()) {
            request = request.header(name, value);
        }
    }
    let via =
        Via::Hub { prefix: prefix.to_owned(), remote: serve.remote, provider: serve.provider };
    request.extension(via).extension(cut).body(Body::from(body)).map_err(|error| error.to_string())
}

/// Status and headers of an answer that are handed on, and how many bytes of body follow; `None`
/// where that is not known before.
fn head_of(answer: &Response<Body>) -> (Head, Option<u64>) {
    let headers: &HeaderMap = answer.headers();
    let value = |name: &&str| {
        let value = headers.get(*name)?.to_str().ok()?;
        Some(((*name).to_owned(), value.to_owned()))
    };
    let kept: BTreeMap<_, _> = HEADERS_OUT.iter().filter_map(value).collect();
    let exact = hyper::body::Body::size_hint(answer.body()).exact();
    // Of HEAD the header says how long a body would be that does not come.
    let named = kept.get("content-length").and_then(|text| text.parse().ok());
    let length = exact.or(named);
    (Head { status: answer.status().as_u16(), headers: kept }, length)
}
