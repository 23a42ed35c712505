//! The certificate that a hub makes for itself, where it is given none.
//!
//! Nobody vouches for it: agents pin its fingerprint when they join, providers get the file. It is
//! made once and holds for ten years; who it is made out to is what `public_url` or `listen` says.

use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};

use super::home::{HubConfig, HubError, HubHome};
use crate::base::clock::Timestamp;
use crate::base::files::{Readers, write_atomic};

/// Ten years, and a day before in case a clock is late.
const VALID_DAYS: i64 = 3650;

/// PEM files of a certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The chain.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Whether the hub made them itself.
    pub is_own: bool,
}

/// The certificate of a hub: what `hub.toml` names, or its own, made now where it is missing.
/// `None` where something in front of the hub has it.
///
/// # Errors
/// When it cannot be made or written.
pub fn files(
    home: &HubHome,
    config: &HubConfig,
    now: Timestamp,
) -> Result<Option<Files>, HubError> {
    let files = named(home, config);
    if let Some(Files { certificate, key, is_own: true }) = &files
        && (!certificate.exists() || !key.exists())
    {
        make(certificate, key, &names(config), now)?;
    }
    Ok(files)
}

/// Where the certificate of a hub is or would be, as [`files`]; makes nothing.
pub fn named(home: &HubHome, config: &HubConfig) -> Option<Files> {
    if config.tls.off {
        return None;
    }
    if let (Some(certificate), Some(key)) = (&config.tls.certificate, &config.tls.key) {
        let (certificate, key) = (certificate.clone(), key.clone());
        return Some(Files { certificate, key, is_own: false });
    }
    let certificate = home.keys_dir().join("tls.pem");
    let key = home.keys_dir().join("tls.key");
    Some(Files { certificate, key, is_own: true })
}

/// Hosts that the certificate is made out to.
fn names(config: &HubConfig) -> Vec<String> {
    let public = config.public_url.as_deref().and_then(|url| url.split_once("://"));
    let public = public.map(|(_, rest)| rest.split('/').next().unwrap_or(rest));
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    for place in public.into_iter().chain([config.listen.as_str()]) {
        let host = match place.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => place,
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if !host.is_empty() && !names.contains(&host) {
            names.push(host);
        }
    }
    names
}

fn make(certificate: &Path, key: &Path, names: &[String], now: Timestamp) -> Result<(), HubError> {
    let failed = |error: rcgen::Error| HubError::Certificate(error.to_string());
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
    let mut params = CertificateParams::new(names).map_err(failed)?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, "Signet hub");
    params.distinguished_name = name;
    let day = |days: i64| {
        let (year, month, day) = now.plus_millis(days.saturating_mul(86_400_000)).date();
        rcgen::date_time_ymd(year, month, day)
    };
    params.not_before = day(-1);
    params.not_after = day(VALID_DAYS);
    let made = params.self_signed(&pair).map_err(failed)?;
    let write = |path: &Path, text: &str, readers| {
        write_atomic(path, text.as_bytes(), readers)
            .map_err(|source| HubError::File { path: path.into(), source })
    };
    write(key, &pair.serialize_pem(), Readers::OwnerOnly)?;
    write(certificate, &made.pem(), Readers::Usual)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::home::template;

    #[test]
    fn certificate_is_made_once_for_the_names_of_the_hub() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = HubHome::at(folder.path());
        let text = template("a", "[::1]:8443", Some("https://hub.example:8443/"));
        home.create(&text).expect("made");
        let config = home.config().expect("read");
        assert_eq!(names(&config), ["localhost", "127.0.0.1", "::1", "hub.example"]);
        let now = Timestamp(1_790_000_000_000);
        let made = files(&home, &config, now).expect("made").expect("one");
        let first = std::fs::read(&made.certificate).expect("read");
        assert!(made.is_own && first.starts_with(b"-----BEGIN CERTIFICATE-----"));
        let again = files(&home, &config, now).expect("there").expect("one");
        assert_eq!(std::fs::read(again.certificate).expect("read"), first);
    }
}
