//! A certificate that the operator trusts besides those that browsers trust: of a hub that made its
//! own.
//!
//! In:  a PEM file. Out: the client for a URL: at the names in that certificate it believes exactly
//! that certificate, everywhere else what browsers believe.
//!
//! Surprising: an authority's certificate in that file would name no server and is never used.

use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use ureq::Agent;
use ureq::config::ConfigBuilder;
use ureq::http::Uri;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::typestate::AgentScope;

use super::gate::Gate;
use super::wire;
use crate::base::allow::Allow;

/// Where labs name places.
const LABS_BOOK: &str = "`allow` in lab.toml and start signet lab again";

/// Clients for a lab that fetches from owners: they go through the same gate as orders do, with
/// what `lab.toml` names.
pub struct Fetching {
    usual: Agent,
    trusting: Option<Trusting>,
}

struct Trusting {
    certificate: CertificateDer<'static>,
    client: Agent,
}

impl Fetching {
    /// - `allow`: what the operator named
    /// - `trust`: PEM of a certificate that is believed at its own names
    ///
    /// # Errors
    /// In words: what is wrong with that file.
    pub fn new(
        allow: &Allow,
        config: impl Fn() -> ConfigBuilder<AgentScope>,
        trust: Option<&[u8]>,
    ) -> Result<Self, String> {
        let gate = || Gate::new(allow.clone(), LABS_BOOK);
        let trusting = trust.map(|pem| {
            let certificate = Certificate::from_pem(pem).map_err(|error| error.to_string())?;
            let der = CertificateDer::from(certificate.der().to_vec());
            ParsedCertificate::try_from(&der).map_err(|error| error.to_string())?;
            let roots = RootCerts::from(vec![certificate]);
            let tls = TlsConfig::builder().root_certs(roots).build();
            let client = wire::client(config().tls_config(tls), gate());
            Ok::<_, String>(Trusting { certificate: der, client })
        });
        Ok(Self { usual: wire::client(config(), gate()), trusting: trusting.transpose()? })
    }

    /// The client for a URL.
    pub fn client(&self, url: &str) -> &Agent {
        let host = url.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
        let trusting = self.trusting.as_ref();
        let trusting = trusting.filter(|trusting| host.is_some_and(|host| trusting.is_for(&host)));
        trusting.map_or(&self.usual, |trusting| &trusting.client)
    }
}

impl Trusting {
    fn is_for(&self, host: &str) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let (Ok(certificate), Ok(name)) =
            (ParsedCertificate::try_from(&self.certificate), ServerName::try_from(host))
        else {
            return false;
        };
        verify_server_name(&certificate, &name).is_ok()
    }
}
