//! Ed25519 keys: the owner's agent and each provider have one.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::base::files::{Readers, write_atomic};

/// A key pair. Its secret half is in one file, readable by its owner only.
pub struct Key(SigningKey);

/// The public half.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// A public key as RFC 8037 writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// `OKP`
    pub kty: String,
    /// `Ed25519`
    pub crv: String,
    /// The key, base64url.
    pub x: String,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file could not be read or written.
    #[error("the key file `{path}` cannot be used")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file does not hold a key.
    #[error("the key file `{path}` is damaged: restore it from a backup")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random(#[from] getrandom::Error),
    /// A text that is no public key.
    #[error("`{0}` is no Ed25519 public key")]
    Public(String),
}

impl Key {
    /// Makes a new key.
    ///
    /// # Errors
    /// Only when the system gives no random numbers.
    pub fn generate() -> Result<Self, KeyError> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        Ok(Self(SigningKey::from_bytes(&secret)))
    }

    /// Reads a key, or makes one where there is none yet.
    ///
    /// # Errors
    /// A file that cannot be read or written, or that holds something else.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        let file_error = |source| KeyError::File { path: path.into(), source };
        match std::fs::read_to_string(path) {
            Ok(text) => URL_SAFE_NO_PAD
                .decode(text.trim())
                .ok()
                .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
                .map(|secret| Self(SigningKey::from_bytes(&secret)))
                .ok_or_else(|| KeyError::Damaged { path: path.into() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let key = Self::generate()?;
                let text = URL_SAFE_NO_PAD.encode(key.0.as_bytes()) + "\n";
                write_atomic(path, text.as_bytes(), Readers::OwnerOnly).map_err(file_error)?;
                Ok(key)
            }
            Err(error) => Err(file_error(error)),
        }
    }

    /// Signs bytes: 64 bytes.
    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.0.sign(bytes).to_bytes()
    }

    /// A secret for one purpose that says nothing of this key or of other purposes: HKDF-SHA256
    /// (RFC 5869) of the secret half.
    ///
    /// - `purpose`: names what it is for and its version, such as `signet seal v1`
    pub fn derived(&self, purpose: &str) -> [u8; 32] {
        let mut derived = [0; 32];
        let extracted = hmac_sha256::HKDF::extract(b"signet", self.0.as_bytes());
        hmac_sha256::HKDF::expand(&mut derived, extracted, purpose);
        derived
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// The secret half for X25519, to open what was sealed to [`PublicKey::montgomery`]. It signs
    /// nothing there, and what is sealed is never signed.
    pub(super) fn scalar(&self) -> [u8; 32] {
        self.0.to_scalar_bytes()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.public())
    }
}

impl PublicKey {
    /// Whether `signature` over `bytes` was made with the secret half; strict (RFC 8032,
    /// no malleable or small-order signatures).
    pub fn verifies(&self, bytes: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify_strict(bytes, &Signature::from_bytes(signature)).is_ok()
    }

    /// The same point for X25519 (RFC 7748 §4.1): what can be sealed to.
    pub(super) fn montgomery(&self) -> [u8; 32] {
        self.0.to_montgomery().to_bytes()
    }

    /// RFC 7638 thumbprint, base64url: the short name of a key.
    pub fn thumbprint(&self) -> String {
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{self}"}}"#);
        URL_SAFE_NO_PAD.encode(Sha256::digest(canonical))
    }

    /// The key as RFC 8037 writes it.
    pub fn jwk(&self) -> Jwk {
        Jwk { kty: "OKP".into(), crv: "Ed25519".into(), x: self.to_string() }
    }
}

impl TryFrom<&Jwk> for PublicKey {
    type Error = KeyError;

    fn try_from(jwk: &Jwk) -> Result<Self, KeyError> {
        if jwk.kty == "OKP" && jwk.crv == "Ed25519" {
            jwk.x.parse()
        } else {
            Err(KeyError::Public(jwk.x.clone()))
        }
    }
}

/// Base64url without padding, 43 characters.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        URL_SAFE_NO_PAD
            .decode(text)
            .ok()
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok())
            .map(Self)
            .ok_or_else(|| KeyError::Public(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumbprint_is_that_of_rfc_8037() {
        // RFC 8037, appendix A.3.
        let key: PublicKey = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".parse().expect("a key");
        assert_eq!(key.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn derived_secrets_differ_by_purpose_and_key_and_stay_the_same() {
        let key = Key(SigningKey::from_bytes(&[7; 32]));
        let other = Key(SigningKey::from_bytes(&[8; 32]));
        assert_eq!(key.derived("a"), key.derived("a"));
        assert_ne!(key.derived("a"), key.derived("b"));
        assert_ne!(key.derived("a"), other.derived("a"));
        assert_ne!(&key.derived("a"), key.0.as_bytes());
    }

    #[test]
    fn key_made_once_is_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("agent.key");
        let made = Key::load_or_create(&path).expect("made");
        let read = Key::load_or_create(&path).expect("read");
        assert_eq!(made.public(), read.public());
        std::fs::write(&path, "nonsense").expect("written");
        assert!(matches!(Key::load_or_create(&path), Err(KeyError::Damaged { .. })));
    }
}
