//! Signed texts: JWS compact serialisation (RFC 7515) with EdDSA (RFC 8037), nothing else.
//!
//! Algorithm and type are checked before the signature, and no header may name a key to
//! trust: the caller brings it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::key::{Jwk, Key, PublicKey};

/// Longest signed text that is looked at, in bytes. A consent with hundreds of products
/// stays below it.
pub const TOKEN_BYTES_MAX: usize = 256 * 1024;

/// The protected header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// `EdDSA`
    pub alg: String,
    /// What kind of text was signed; keeps a proof from passing as a grant.
    pub typ: String,
    /// Thumbprint of the signer's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// The signer's key, in proofs only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwk: Option<Jwk>,
}

/// Why a signed text is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Not three base64url parts, or not JSON inside, or too long.
    #[error("the signed text is malformed")]
    Malformed,
    /// Another algorithm or another kind of text.
    #[error("the signed text is of another kind")]
    Kind,
    /// Altered, or signed by somebody else.
    #[error("the signature does not match")]
    Signature,
}

/// A signed text taken apart, its signature not checked yet.
#[derive(Debug, Clone)]
pub struct Unverified<'a> {
    /// What it says of itself.
    pub header: Header,
    signed: &'a str,
    payload: Vec<u8>,
    signature: [u8; 64],
}

/// Signs a payload.
///
/// # Errors
/// Only when the payload cannot be written as JSON.
pub fn sign(key: &Key, header: &Header, payload: &impl Serialize) -> serde_json::Result<String> {
    let header = URL_SAFE_NO_PAD.encode(serde_json::to_vec(header)?);
    let payload = URL_SAFE_NO_PAD.encode(serde_json::to_vec(payload)?);
    let signed = format!("{header}.{payload}");
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()));
    Ok(format!("{signed}.{signature}"))
}

/// Header of a text of one kind, signed by `key`.
pub fn header(typ: &str, key: &Key) -> Header {
    let kid = Some(key.public().thumbprint());
    Header { alg: "EdDSA".into(), typ: typ.into(), kid, jwk: None }
}

/// Takes a signed text apart and checks what kind it is.
///
/// # Errors
/// `Malformed` and `Kind`.
pub fn parse<'a>(text: &'a str, typ: &str) -> Result<Unverified<'a>, JwsError> {
    if text.len() > TOKEN_BYTES_MAX {
        return Err(JwsError::Malformed);
    }
    let malformed = JwsError::Malformed;
    let (signed, signature) = text.rsplit_once('.').ok_or(malformed)?;
    let (header, payload) = signed.split_once('.').ok_or(malformed)?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
    let header = decode(header).ok_or(malformed)?;
    let header: Header = serde_json::from_slice(&header).ok().ok_or(malformed)?;
    if header.alg != "EdDSA" || header.typ != typ {
        return Err(JwsError::Kind);
    }
    let payload = decode(payload).ok_or(malformed)?;
    let signature = decode(signature).and_then(|bytes| bytes.try_into().ok()).ok_or(malformed)?;
    Ok(Unverified { header, signed, payload, signature })
}

impl Unverified<'_> {
    /// The bytes that were signed; worth something only after [`Self::verify`].
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Checks the signature and reads the payload.
    ///
    /// # Errors
    /// `Signature`, or `Malformed` when the payload is not what was expected.
    pub fn verify<T: DeserializeOwned>(&self, key: &PublicKey) -> Result<T, JwsError> {
        if !key.verifies(self.signed.as_bytes(), &self.signature) {
            return Err(JwsError::Signature);
        }
        serde_json::from_slice(&self.payload).ok().ok_or(JwsError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_signed_by_another_key_or_of_another_kind_is_refused() {
        let (ours, other) = (Key::generate().expect("key"), Key::generate().expect("key"));
        let text = sign(&ours, &header("a", &ours), &"payload").expect("signed");
        let parsed = parse(&text, "a").expect("parsed");
        assert_eq!(parsed.verify::<String>(&ours.public()), Ok("payload".into()));
        assert_eq!(parsed.verify::<String>(&other.public()), Err(JwsError::Signature));
        assert_eq!(parse(&text, "b").map(|_| ()), Err(JwsError::Kind));
    }

    proptest! {
        #[test]
        fn altered_text_is_never_believed(position in 0_usize..200, byte in 0_u8..128) {
            let key = Key::generate().expect("key");
            let text = sign(&key, &header("a", &key), &"the payload of a grant").expect("signed");
            let mut bytes = text.clone().into_bytes();
            let position = position % bytes.len();
            prop_assume!(bytes[position] != byte);
            bytes[position] = byte;
            let altered = String::from_utf8(bytes).expect("ascii");
            let believed = parse(&altered, "a").and_then(|t| t.verify::<String>(&key.public()));
            prop_assert!(believed.is_err(), "{altered}");
        }

        #[test]
        fn any_text_is_read_without_panic(text in "\\PC*") {
            prop_assert!(parse(&text, "a").is_err());
        }
    }
}
