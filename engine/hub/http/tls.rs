//! TLS of the hub: one certificate, read again when its files change, so that a renewal needs no
//! restart.
//!
//! Files that are broken or only half there leave the certificate in use as it is, with a warning.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

use crate::base::clock::Timestamp;
use crate::base::ids::ContentHash;
use crate::hub::certificate::Files;
use crate::hub::home::HubError;
use crate::hub::renewal::ends_at;

/// The certificate in use.
#[derive(Debug)]
pub struct Certificate {
    files: Files,
    provider: Arc<CryptoProvider>,
    current: RwLock<(Arc<CertifiedKey>, Stamp)>,
}

/// Times of the two files.
type Stamp = [Option<SystemTime>; 2];

impl Certificate {
    /// Reads it.
    ///
    /// # Errors
    /// When the files cannot be read or do not belong together.
    pub fn open(files: Files) -> Result<Arc<Self>, HubError> {
        let provider = Arc::new(default_provider());
        let stamp = stamp(&files);
        let current = RwLock::new((Arc::new(read(&files, &provider)?), stamp));
        Ok(Arc::new(Self { files, provider, current }))
    }

    /// Reads it again if its files changed.
    ///
    /// # Errors
    /// When they cannot be used; what was in use stays.
    pub fn refresh(&self) -> Result<bool, HubError> {
        let stamp = stamp(&self.files);
        if self.current.read().unwrap_or_else(PoisonError::into_inner).1 == stamp {
            return Ok(false);
        }
        let key = read(&self.files, &self.provider);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        // Files with mistakes are complained of once.
        current.1 = stamp;
        current.0 = Arc::new(key?);
        Ok(true)
    }

    /// SHA-256 of it, where the hub made it itself and agents pin it.
    pub fn pinned(&self) -> Option<String> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let own = current.0.cert.first().filter(|_| self.files.is_own);
        own.map(|certificate| ContentHash::of(certificate).to_string())
    }

    /// When it, or what stands above it in its chain, ends; `None` where that cannot be read.
    pub fn ends_at(&self) -> Option<Timestamp> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.0.cert.iter().filter_map(|certificate| ends_at(certificate)).min()
    }

    /// Whether the hub made it itself.
    pub const fn is_own(&self) -> bool {
        self.files.is_own
    }

    /// What begins TLS on connections.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn acceptor(self: &Arc<Self>) -> Result<TlsAcceptor, HubError> {
        let failed = |error: rustls::Error| HubError::Certificate(error.to_string());
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Agents open a connection for each transfer; with a ticket that is one round trip less.
        config.ticketer = Ticketer::new().map_err(failed)?;
        config.send_tls13_tickets = 1;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).0.clone())
    }
}

fn stamp(files: &Files) -> Stamp {
    let time = |path: &Path| std::fs::metadata(path).and_then(|data| data.modified()).ok();
    [time(&files.certificate), time(&files.key)]
}

fn read(files: &Files, provider: &CryptoProvider) -> Result<CertifiedKey, HubError> {
    let wrong = |path: &Path, why: &dyn std::fmt::Display| {
        HubError::Certificate(format!("`{}`: {why}", path.display()))
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&files.certificate)
        .map_err(|error| wrong(&files.certificate, &error))?
        .collect();
    let chain = chain.map_err(|error| wrong(&files.certificate, &error))?;
    if chain.is_empty() {
        return Err(wrong(&files.certificate, &"there is no certificate in it"));
    }
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|error| wrong(&files.key, &error))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| wrong(&files.key, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::certificate::files;
    use crate::hub::home::{HubHome, template};

    fn made(name: &str) -> (tempfile::TempDir, Files) {
        let folder = tempfile::tempdir().expect("a folder");
        let home = HubHome::at(folder.path());
        home.create(&template(name, "127.0.0.1:0", None)).expect("made");
        let config = home.config().expect("read");
        let files = files(&home, &config, Timestamp(1_790_000_000_000)).expect("made");
        (folder, files.expect("a certificate"))
    }

    #[test]
    fn renewed_certificate_is_taken_and_a_broken_one_is_not() {
        let ((_a, ours), (_b, other)) = (made("a"), made("b"));
        let certificate = Certificate::open(ours.clone()).expect("opened");
        let first = certificate.pinned().expect("its own");
        assert!(!certificate.refresh().expect("unchanged"));
        let later = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(2_000_000_000);
        let set = |path: &Path, text: &[u8], later| {
            std::fs::write(path, text).expect("written");
            let file = std::fs::File::options().write(true).open(path).expect("opened");
            file.set_modified(later).expect("set");
        };
        set(&ours.certificate, &std::fs::read(&other.certificate).expect("read"), later);
        // The key of another certificate: not before both are there.
        certificate.refresh().expect_err("half renewed");
        assert_eq!(certificate.pinned(), Some(first.clone()));
        set(&ours.key, &std::fs::read(&other.key).expect("read"), later);
        assert!(certificate.refresh().expect("renewed"));
        assert_ne!(certificate.pinned(), Some(first));
    }
}
