//! Connections to the hub: addresses from the gate, TLS, and nothing else.
//!
//! The hub's certificate is either one that browsers trust, or exactly the one that was pinned; who
//! the hub is, its key says afterwards. No proxy, no redirect.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore,
    SignatureScheme, WantsVerifier,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::base::ids::ContentHash;
use crate::orders::outward::{Outward, Spot};
use crate::web::{Connection, Cut};

/// How long a connection and its TLS may take, each.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// The certificate that a hub has to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// One that browsers trust, made out to its name.
    Browsers,
    /// The one with this SHA-256, whatever else it says.
    Pinned(ContentHash),
    /// Any: who the hub is, it proves otherwise.
    Any,
}

/// Makes connections to one hub.
#[derive(Clone)]
pub struct Connector {
    url: String,
    tls: TlsConnector,
}

/// A connection.
pub enum Stream {
    /// With TLS.
    Tls(Box<TlsStream<Connection>>),
    /// Without: only where the operator named the place.
    Plain(Connection),
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Connector {
    /// For a hub at `https://hub.example:8443`.
    ///
    /// # Errors
    /// Only when the parts of TLS do not fit together.
    pub fn new(url: &str, trust: &Trust) -> Result<Self, rustls::Error> {
        let provider = Arc::new(default_provider());
        let config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?;
        let mut config = match trust {
            Trust::Browsers => {
                let roots = webpki_roots::TLS_SERVER_ROOTS.to_vec();
                config.with_root_certificates(RootCertStore { roots }).with_no_client_auth()
            }
            Trust::Pinned(certificate) => custom(config, Some(*certificate), provider),
            Trust::Any => custom(config, None, provider),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { url: url.to_owned(), tls: TlsConnector::from(Arc::new(config)) })
    }

    /// Host and port, as requests name it.
    pub fn host(&self) -> &str {
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest)
    }

    /// Connects.
    ///
    /// # Errors
    /// In words: the gate's refusal, or what went wrong on the way.
    pub async fn connect(&self, outward: Outward) -> Result<Stream, String> {
        let url = self.url.clone();
        let spot = tokio::task::spawn_blocking(move || outward.spot(&url));
        let spot = spot.await.map_err(|error| error.to_string())?;
        let spot = spot.map_err(|refusal| refusal.to_string())?;
        let stream = Connection::new(first_of(&spot).await?, Cut::default());
        if !spot.tls {
            return Ok(Stream::Plain(stream));
        }
        let host = spot.host.to_string();
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(name).map_err(|error| error.to_string())?;
        let stream = timeout(CONNECT_MAX, self.tls.connect(name, stream)).await;
        let stream = stream.map_err(|_late| "it did not answer in time".to_owned())?;
        Ok(Stream::Tls(Box::new(stream.map_err(|error| tls_words(&error))?)))
    }
}

fn custom(
    config: ConfigBuilder<ClientConfig, WantsVerifier>,
    certificate: Option<ContentHash>,
    provider: Arc<CryptoProvider>,
) -> ClientConfig {
    let verifier = Arc::new(Pinned { certificate, provider });
    config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
}

impl Stream {
    /// SHA-256 of the certificate that the other side showed; `None` without TLS.
    pub fn certificate(&self) -> Option<ContentHash> {
        let Self::Tls(stream) = self else { return None };
        let shown = stream.get_ref().1.peer_certificates()?.first()?;
        Some(ContentHash::of(shown))
    }
}

/// Connects to the first of its addresses that answers.
async fn first_of(spot: &Spot) -> Result<TcpStream, String> {
    let mut why = "it has no address".to_owned();
    for address in &spot.addresses {
        match timeout(CONNECT_MAX, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).map_err(|error| error.to_string())?;
                return Ok(stream);
            }
            Ok(Err(error)) => why = format!("{address}: {error}"),
            Err(_late) => why = format!("{address} did not answer in time"),
        }
    }
    Err(why)
}

fn tls_words(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|source| source.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(
            CertificateError::ApplicationVerificationFailure,
        )) => {
            "it shows another certificate than the one that was pinned when this computer joined: \
             ask who runs it, then `signet hub join` again"
                .to_owned()
        }
        _ => format!("no TLS connection: {error}"),
    }
}

/// Believes one certificate, or any, and checks that the other side has its key.
#[derive(Debug)]
struct Pinned {
    /// `None`: any.
    certificate: Option<ContentHash>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.certificate.is_none_or(|pin| pin == ContentHash::of(end_entity)) {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buffer),
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write_vectored(cx, slices),
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tls(stream) => stream.is_write_vectored(),
            Self::Plain(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
