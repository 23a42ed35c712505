//! The check at every request: may these bytes leave? A pure function of what was shown,
//! what is kept, and the time.
//!
//! What comes through a hub is sealed to the key that was proven, so that nobody on the way has
//! it; who has no key gets nothing there unless the owner agreed that the hub may see it.
//!
//! The signature is checked first and the kept grant last, so that a made-up grant tells
//! its maker nothing about which grants there are.

use super::grant::{Claims, TYP};
use super::jws::{self, JwsError};
use super::key::PublicKey;
use super::proof::{ProofError, ProvenRequest, Seen};
use crate::base::clock::Timestamp;
use crate::orders::Terms;
use crate::orders::terms::Relay;
use crate::store::GrantRow;

/// What a request shows.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `GET`, `HEAD` or `POST`.
    pub method: &'a str,
    /// Path of the request.
    pub path: &'a str,
    /// The grant: `Authorization: DPoP …`.
    pub grant: Option<&'a str>,
    /// The proof: `DPoP: …`.
    pub proof: Option<&'a str>,
}

/// Why nothing is served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No grant was shown.
    #[error("no grant was shown")]
    NoGrant,
    /// Not signed by this agent, or altered since.
    #[error("the grant is not one of this owner: {0}")]
    Forged(#[from] JwsError),
    /// No proof was shown, or it does not hold.
    #[error("no proof of possession was shown")]
    NoProof,
    /// The proof does not hold.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// Somebody else's grant.
    #[error("the grant belongs to another provider")]
    OtherProvider,
    /// The grant is for something else than this address.
    #[error("the grant is for something else")]
    OtherContent,
    /// Its time is over.
    #[error("the grant has expired")]
    Expired,
    /// The owner took it back.
    #[error("the grant was revoked")]
    Revoked,
    /// The provider is no longer in the consent, or no longer with such companions.
    #[error("the owner's consent no longer covers this")]
    NoConsent,
    /// Without a key nothing can be sealed, and the owner did not agree to send it open.
    #[error("the owner did not agree that a hub sees what passes: fetch with a key")]
    NotThroughHub,
    /// The kill switch is thrown.
    #[error("the owner has stopped all access")]
    Stopped,
}

/// What a request that was allowed gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// What the grant says.
    pub claims: Claims,
    /// The key that the bytes are sealed to; `None`: they go as they are.
    pub sealed_to: Option<PublicKey>,
}

/// What is known on the owner's side.
#[derive(Debug)]
pub struct Known<'a> {
    /// The agent's key.
    pub agent_key: &'a PublicKey,
    /// The grant that the address names, as the store has it.
    pub grant: Option<&'a GrantRow>,
    /// What the consent in force says of the grant's provider.
    pub terms: Option<&'a Terms>,
    /// Whether the kill switch is thrown.
    pub stopped: bool,
    /// Whether the answer passes through a hub.
    pub through_hub: bool,
}

/// Decides about one request.
///
/// # Errors
/// The [`Refusal`]; nothing may be sent then.
pub fn check(
    request: Request<'_>,
    known: &Known<'_>,
    seen: &mut Seen,
    now: Timestamp,
) -> Result<Allowed, Refusal> {
    let token = request.grant.ok_or(Refusal::NoGrant)?;
    let claims: Claims = jws::parse(token, TYP)?.verify(known.agent_key)?;
    let proof = request.proof.ok_or(Refusal::NoProof)?;
    let shown = ProvenRequest { method: request.method, url: request.path, grant: token };
    let holder = seen.check(proof, shown, now)?;
    if holder.thumbprint() != claims.cnf.jkt {
        return Err(Refusal::OtherProvider);
    }
    // What was signed is what counts; the row can only take away from it.
    let grant = known.grant.filter(|row| row.grant_id == claims.jti && row.token == token);
    let terms = holds(grant.ok_or(Refusal::OtherContent)?, &claims, known, now)?;
    let is_sealed = known.through_hub && terms.relay == Relay::Sealed;
    Ok(Allowed { claims, sealed_to: is_sealed.then_some(holder) })
}

/// Decides about a request by an address that nobody can guess. Only a grant that is bound to no
/// key can be used so.
///
/// # Errors
/// The [`Refusal`]; nothing may be sent then.
pub fn check_link(known: &Known<'_>, now: Timestamp) -> Result<Allowed, Refusal> {
    let grant = known.grant.ok_or(Refusal::NoGrant)?;
    let claims: Claims = jws::parse(&grant.token, TYP)?.verify(known.agent_key)?;
    if claims.jti != grant.grant_id {
        return Err(Refusal::OtherContent);
    }
    if !claims.cnf.jkt.is_empty() || known.terms.is_some_and(|terms| !terms.key.is_empty()) {
        return Err(Refusal::NoProof);
    }
    let terms = holds(grant, &claims, known, now)?;
    if known.through_hub && terms.relay == Relay::Sealed {
        return Err(Refusal::NotThroughHub);
    }
    Ok(Allowed { claims, sealed_to: None })
}

/// Whether a grant that was signed still holds; within which terms.
fn holds<'a>(
    grant: &GrantRow,
    claims: &Claims,
    known: &Known<'a>,
    now: Timestamp,
) -> Result<&'a Terms, Refusal> {
    if known.stopped {
        return Err(Refusal::Stopped);
    }
    if grant.revoked_at.is_some() {
        return Err(Refusal::Revoked);
    }
    if now.seconds() >= claims.exp {
        return Err(Refusal::Expired);
    }
    let terms = known.terms.ok_or(Refusal::NoConsent)?;
    let withdrawn = claims.member.is_companion() && !terms.companions.contains(&claims.member);
    if withdrawn || terms.valid_until.is_some_and(|end| end <= now) {
        return Err(Refusal::NoConsent);
    }
    Ok(terms)
}

#[cfg(test)]
#[path = "check/tests.rs"]
mod tests;
