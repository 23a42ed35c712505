//! HTTP for the object store: connections of our own, TLS by rustls, kept for the next request.
//!
//! In:  requests that `object_store` has put together and signed.
//! Out: answers whose bodies are read as they come.
//!
//! Calls only the host that an address in `signet.toml` names. Trusts the roots that browsers trust.
//! Repeats nothing: `object_store` does.

use std::collections::HashMap;
use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HOST;
use hyper::http::uri::Scheme;
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpResponseBody, HttpService,
};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long a connection may take to come about.
const CONNECT_MAX: Duration = Duration::from_secs(15);

/// How long an answer may take to begin.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// Connections to one host that are kept for the next request.
const IDLE_MAX: usize = 8;

/// Makes clients for `object_store`.
#[derive(Debug, Default, Clone)]
pub(super) struct Wire {
    idle: Arc<Mutex<HashMap<String, Vec<SendRequest<HttpRequestBody>>>>>,
}

type Broken = Box<dyn Error + Send + Sync>;

impl HttpConnector for Wire {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

impl HttpService for Wire {
    fn call<'life, 'call>(
        &'life self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'call>>
    where
        'life: 'call,
        Self: 'call,
    {
        Box::pin(self.answer(request))
    }
}

impl Wire {
    async fn answer(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let unreachable = |error| HttpError::new_boxed(HttpErrorKind::Connect, error);
        let (mut parts, body) = request.into_parts();
        let uri = std::mem::take(&mut parts.uri);
        let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
        if !parts.headers.contains_key(HOST) {
            let host = authority.parse().map_err(|error| unreachable(Broken::from(error)))?;
            parts.headers.insert(HOST, host);
        }
        parts.uri = uri
            .path_and_query()
            .map_or_else(|| Ok(Uri::from_static("/")), |path| path.as_str().parse())
            .map_err(|error| unreachable(Broken::from(error)))?;
        let host = format!("{}://{authority}", uri.scheme_str().unwrap_or_default());
        let mut sender = match self.kept(&host) {
            Some(sender) => sender,
            None => match timeout(CONNECT_MAX, connect(&uri)).await {
                Ok(connected) => connected.map_err(unreachable)?,
                Err(error) => return Err(HttpError::new(HttpErrorKind::Connect, error)),
            },
        };
        let sent = timeout(ANSWER_MAX, sender.send_request(Request::from_parts(parts, body))).await;
        let answer = sent
            .map_err(|error| HttpError::new(HttpErrorKind::Timeout, error))?
            .map_err(|error| HttpError::new(HttpErrorKind::Request, error))?;
        let wire = self.clone();
        // It is ready again when the body was read to its end.
        tokio::spawn(async move {
            if sender.ready().await.is_ok() {
                wire.keep(host, sender);
            }
        });
        Ok(answer.map(|body| {
            HttpResponseBody::new(
                body.map_err(|error| HttpError::new(HttpErrorKind::Interrupted, error)),
            )
        }))
    }

    fn kept(&self, host: &str) -> Option<SendRequest<HttpRequestBody>> {
        let mut idle = self.idle();
        let senders = idle.get_mut(host)?;
        while let Some(sender) = senders.pop() {
            if sender.is_ready() {
                return Some(sender);
            }
        }
        None
    }

    fn keep(&self, host: String, sender: SendRequest<HttpRequestBody>) {
        let mut idle = self.idle();
        let senders = idle.entry(host).or_default();
        senders.retain(|sender| !sender.is_closed());
        if senders.len() < IDLE_MAX {
            senders.push(sender);
        }
    }

    fn idle(&self) -> MutexGuard<'_, HashMap<String, Vec<SendRequest<HttpRequestBody>>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn connect(uri: &Uri) -> Result<SendRequest<HttpRequestBody>, Broken> {
    let host = uri.host().ok_or("the address names no host")?.trim_matches(['[', ']']);
    let is_tls = uri.scheme() == Some(&Scheme::HTTPS);
    let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    if !is_tls {
        return begin(stream).await;
    }
    let name = ServerName::try_from(host.to_owned())?;
    begin(TlsConnector::from(tls()?).connect(name, stream).await?).await
}

fn tls() -> Result<Arc<ClientConfig>, rustls::Error> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

async fn begin<S>(stream: S) -> Result<SendRequest<HttpRequestBody>, Broken>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to the store ended");
        }
    });
    Ok(sender)
}
