//! A call of a hub's API, signed with the provider's key: header `Signet-Proof`.
//!
//! A JWS (EdDSA, type `signet-call+jws`, the key in its header as `jwk`) over
//!
//! ```text
//! {"jti": "random", "htm": "PUT", "htu": "https://hub.example/v1/provider/webhook?a=b",
//!  "iat": 1790000000, "bd": "base64url SHA-256 of the body, of no bytes where there is none"}
//! ```
//!
//! Close to DPoP (RFC 9449), and different where a call is not a fetch: the whole address is
//! signed, with host and query, so that a call meant for one hub is worth nothing at another; and
//! so is the body. Each is good once, for [`super::proof::SKEW_S`] seconds.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::jws::{self, Header, JwsError};
use super::key::{Key, PublicKey};
use super::proof::{ProofError, Seen};
use crate::base::clock::Timestamp;
use crate::base::ids::ContentHash;

/// Header that carries it.
pub const HEADER: &str = "signet-proof";

const TYP: &str = "signet-call+jws";

/// Longest proof that is looked at, in bytes.
const PROOF_BYTES_MAX: usize = 4096;

/// A call as it is signed.
#[derive(Debug, Clone, Copy)]
pub struct SignedCall<'a> {
    /// `GET`, `PUT`, …
    pub method: &'a str,
    /// The whole address, with its query.
    pub url: &'a str,
    /// The body; empty where there is none.
    pub body: &'a [u8],
}

#[derive(Debug, Serialize, Deserialize)]
struct CallClaims {
    jti: String,
    htm: String,
    htu: String,
    iat: i64,
    bd: String,
}

/// Signs one call.
///
/// # Errors
/// When the system gives no random numbers or JSON fails; neither happens in practice.
pub fn sign(
    key: &Key,
    call: SignedCall<'_>,
    now: Timestamp,
) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce)?;
    let claims = CallClaims {
        jti: URL_SAFE_NO_PAD.encode(nonce),
        htm: call.method.into(),
        htu: call.url.into(),
        iat: now.seconds(),
        bd: digest(call.body),
    };
    let jwk = Some(key.public().jwk());
    let header = Header { alg: "EdDSA".into(), typ: TYP.into(), kid: None, jwk };
    Ok(jws::sign(key, &header, &claims)?)
}

impl Seen {
    /// Checks the proof of a call and gives the key that made it; each proof is good once.
    ///
    /// # Errors
    /// See [`ProofError`].
    pub fn check_call(
        &mut self,
        proof: &str,
        call: SignedCall<'_>,
        now: Timestamp,
    ) -> Result<PublicKey, ProofError> {
        if proof.len() > PROOF_BYTES_MAX {
            return Err(JwsError::Malformed.into());
        }
        let parsed = jws::parse(proof, TYP)?;
        let jwk = parsed.header.jwk.as_ref().ok_or(JwsError::Malformed)?;
        let key = PublicKey::try_from(jwk).ok().ok_or(JwsError::Malformed)?;
        let claims: CallClaims = parsed.verify(&key)?;
        if claims.htm != call.method || claims.htu != call.url || claims.bd != digest(call.body) {
            return Err(ProofError::OtherRequest);
        }
        self.once(&key, &claims.jti, claims.iat, now)?;
        Ok(key)
    }
}

fn digest(body: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(ContentHash::of(body).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000_000);
    const PUT: SignedCall<'_> =
        SignedCall { method: "PUT", url: "https://hub.example/v1/a?b=c", body: b"{}" };

    #[test]
    fn call_is_good_once_as_it_was_signed() {
        let key = Key::generate().expect("key");
        let proof = sign(&key, PUT, NOW).expect("signed");
        let mut seen = Seen::default();
        assert_eq!(seen.check_call(&proof, PUT, NOW), Ok(key.public()));
        assert_eq!(seen.check_call(&proof, PUT, NOW), Err(ProofError::Replayed));
    }

    #[test]
    fn call_of_another_hub_body_query_or_time_is_refused() {
        let key = Key::generate().expect("key");
        let proof = sign(&key, PUT, NOW).expect("signed");
        for other in [
            SignedCall { method: "POST", ..PUT },
            SignedCall { url: "https://other.example/v1/a?b=c", ..PUT },
            SignedCall { url: "https://hub.example/v1/a", ..PUT },
            SignedCall { body: b"{ }", ..PUT },
        ] {
            let checked = Seen::default().check_call(&proof, other, NOW);
            assert_eq!(checked, Err(ProofError::OtherRequest), "{other:?}");
        }
        for shift in [-301_000, 301_000, i64::MIN] {
            let checked = Seen::default().check_call(&proof, PUT, NOW.plus_millis(shift));
            assert_eq!(checked, Err(ProofError::Time));
        }
    }

    #[test]
    fn proof_of_a_fetch_is_no_signed_call() {
        let key = Key::generate().expect("key");
        let request = super::super::proof::ProvenRequest { method: "PUT", url: PUT.url, grant: "" };
        let proof = super::super::proof::make(&key, request, NOW).expect("made");
        let checked = Seen::default().check_call(&proof, PUT, NOW);
        assert_eq!(checked, Err(ProofError::Jws(JwsError::Kind)));
    }
}
