//! Proof that whoever fetches holds the provider's key: DPoP (RFC 9449), Ed25519 only.
//!
//! A proof names method and address of one request, the grant it goes with and the time,
//! and is good once. Its address is compared by path alone: behind a proxy the agent does
//! not know under which name it was called, and the grant id in the path is ours alone.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::jws::{self, Header, JwsError};
use super::key::{Key, PublicKey};
use crate::base::clock::Timestamp;

const TYP: &str = "dpop+jwt";

/// How far the clocks of provider and owner may differ, in seconds.
pub const SKEW_S: i64 = 300;

/// Proofs remembered, so that none is good twice: 5 minutes of 300 requests a second.
const SEEN_MAX: usize = 200_000;

#[derive(Debug, Serialize, Deserialize)]
struct ProofClaims {
    jti: String,
    htm: String,
    htu: String,
    iat: i64,
    ath: String,
}

/// Why a proof is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Not a proof, altered, or signed by another key than it names.
    #[error("the proof of possession is not valid: {0}")]
    Jws(#[from] JwsError),
    /// Made for another request or another grant.
    #[error("the proof of possession is for another request")]
    OtherRequest,
    /// Too old, or from the future.
    #[error("the proof of possession is out of time: compare the clocks")]
    Time,
    /// Seen before.
    #[error("the proof of possession was used before")]
    Replayed,
    /// Too many requests to remember them all.
    #[error("too many requests: try again in a minute")]
    Crowded,
}

/// The request that a proof goes with.
#[derive(Debug, Clone, Copy)]
pub struct ProvenRequest<'a> {
    /// `GET`, `HEAD` or `POST`.
    pub method: &'a str,
    /// Address or path; what stands before the path does not matter.
    pub url: &'a str,
    /// The grant shown with it.
    pub grant: &'a str,
}

/// Makes a proof for one request.
///
/// # Errors
/// When the system gives no random numbers or JSON fails; neither happens in practice.
pub fn make(
    key: &Key,
    request: ProvenRequest<'_>,
    now: Timestamp,
) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce)?;
    let claims = ProofClaims {
        jti: URL_SAFE_NO_PAD.encode(nonce),
        htm: request.method.into(),
        htu: request.url.into(),
        iat: now.seconds(),
        ath: fingerprint(request.grant),
    };
    let jwk = Some(key.public().jwk());
    let header = Header { alg: "EdDSA".into(), typ: TYP.into(), kid: None, jwk };
    Ok(jws::sign(key, &header, &claims)?)
}

/// Proofs seen lately.
#[derive(Debug, Default)]
pub struct Seen(HashMap<String, i64>);

impl Seen {
    /// Checks a proof and gives the key that made it; each proof is good once.
    ///
    /// # Errors
    /// See [`ProofError`].
    pub fn check(
        &mut self,
        proof: &str,
        request: ProvenRequest<'_>,
        now: Timestamp,
    ) -> Result<PublicKey, ProofError> {
        let (key, claims) = read(proof, request)?;
        self.once(&key, &claims.jti, claims.iat, now)?;
        Ok(key)
    }

    /// Takes note of a proof of its time; each is good once.
    ///
    /// - `key`, `name`, `made_at_s`: who made it, what they call it, and when
    ///
    /// # Errors
    /// `Time`, `Crowded` and `Replayed`.
    pub(super) fn once(
        &mut self,
        key: &PublicKey,
        name: &str,
        made_at_s: i64,
        now: Timestamp,
    ) -> Result<(), ProofError> {
        let now = now.seconds();
        if (now.saturating_sub(made_at_s)).saturating_abs() > SKEW_S {
            return Err(ProofError::Time);
        }
        if self.0.len() >= SEEN_MAX {
            self.0.retain(|_, iat| now - *iat <= SKEW_S);
            if self.0.len() >= SEEN_MAX {
                return Err(ProofError::Crowded);
            }
        }
        // Named together with its key, so that nobody can use up another's names.
        let name = format!("{key}.{}", name.chars().take(64).collect::<String>());
        match self.0.insert(name, made_at_s) {
            Some(_) => Err(ProofError::Replayed),
            None => Ok(()),
        }
    }
}

/// Who made a proof of a request, and when it says so: for whoever was told of the request later. Whether
/// it was used before, nobody here knows.
///
/// # Errors
/// Not a proof, or one of another request.
pub fn made_by(
    proof: &str,
    request: ProvenRequest<'_>,
) -> Result<(PublicKey, Timestamp), ProofError> {
    let (key, claims) = read(proof, request)?;
    Ok((key, Timestamp(claims.iat.saturating_mul(1000))))
}

fn read(proof: &str, request: ProvenRequest<'_>) -> Result<(PublicKey, ProofClaims), ProofError> {
    let parsed = jws::parse(proof, TYP)?;
    let jwk = parsed.header.jwk.as_ref().ok_or(JwsError::Malformed)?;
    let key = PublicKey::try_from(jwk).ok().ok_or(JwsError::Malformed)?;
    let claims: ProofClaims = parsed.verify(&key)?;
    if claims.htm != request.method
        || path_of(&claims.htu) != path_of(request.url)
        || claims.ath != fingerprint(request.grant)
    {
        return Err(ProofError::OtherRequest);
    }
    Ok((key, claims))
}

/// The key that made a proof within the last minutes, whatever the proof is for: tells whose try it was,
/// and allows nothing.
pub fn signer(proof: &str, now: Timestamp) -> Option<PublicKey> {
    let parsed = jws::parse(proof, TYP).ok()?;
    let key = PublicKey::try_from(parsed.header.jwk.as_ref()?).ok()?;
    let claims: ProofClaims = parsed.verify(&key).ok()?;
    let age_s = now.seconds().saturating_sub(claims.iat).saturating_abs();
    (age_s <= SKEW_S).then_some(key)
}

fn fingerprint(grant: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(grant))
}

/// The path of an address without query: `/a` of `https://host/a?b`.
fn path_of(url: &str) -> &str {
    let rest = url
        .split_once("://")
        .map_or(url, |(_, rest)| rest.find('/').and_then(|start| rest.get(start..)).unwrap_or("/"));
    rest.split(['?', '#']).next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000_000);
    const GET: ProvenRequest<'_> =
        ProvenRequest { method: "GET", url: "http://h:1/v1/a?x=1", grant: "g" };

    #[test]
    fn proof_is_good_once_for_its_request() {
        let key = Key::generate().expect("key");
        let proof = make(&key, GET, NOW).expect("made");
        let mut seen = Seen::default();
        let same = ProvenRequest { url: "/v1/a", ..GET };
        assert_eq!(seen.check(&proof, same, NOW), Ok(key.public()));
        assert_eq!(signer(&proof, NOW), Some(key.public()), "whatever it was for");
        assert_eq!(signer(&proof, NOW.plus_millis(301_000)), None);
        assert_eq!(seen.check(&proof, same, NOW), Err(ProofError::Replayed));
    }

    #[test]
    fn proof_for_another_request_or_time_is_refused() {
        let key = Key::generate().expect("key");
        let proof = make(&key, GET, NOW).expect("made");
        for other in [
            ProvenRequest { method: "POST", ..GET },
            ProvenRequest { url: "/v1/b", ..GET },
            ProvenRequest { grant: "h", ..GET },
        ] {
            let checked = Seen::default().check(&proof, other, NOW);
            assert_eq!(checked, Err(ProofError::OtherRequest), "{other:?}");
        }
        for shift in [-301_000, 301_000] {
            let checked = Seen::default().check(&proof, GET, NOW.plus_millis(shift));
            assert_eq!(checked, Err(ProofError::Time));
        }
    }
}
