//! A grant: the right of one provider to fetch one exact version of one member.

use serde::{Deserialize, Serialize};

use super::jws;
use super::key::Key;
use crate::base::clock::Timestamp;
use crate::base::ids::{ContentHash, derived};
use crate::base::member::Member;
use crate::orders::Terms;
use crate::store::{GrantRow, Order, Purpose};

/// Kind of signed text that a grant is.
pub const TYP: &str = "signet-grant+jws";

/// What a provider gets for a purpose.
pub const fn member_for(purpose: Purpose) -> Member {
    match purpose {
        Purpose::Print => Member::Original,
        Purpose::Share => Member::Preview,
    }
}

/// What a grant says. Times are seconds since 1970, as JWT has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// Id of the grant.
    pub jti: String,
    /// Thumbprint of the agent's key.
    pub iss: String,
    /// Name of the provider in the owner's consent.
    pub aud: String,
    /// `original`, `preview` or a companion.
    pub member: Member,
    /// SHA-256 of exactly the bytes that may be fetched.
    pub sha256: ContentHash,
    /// Their length.
    pub bytes_count: u64,
    /// Their media type.
    pub media_type: String,
    /// The order that made the grant.
    pub order: String,
    /// Number of the consent that covers it.
    pub consent: u64,
    /// Made at.
    pub iat: i64,
    /// Holds until.
    pub exp: i64,
    /// Whose key the fetcher must hold.
    pub cnf: Confirmation,
}

/// The key a grant is bound to (RFC 7800, RFC 9449).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// Thumbprint of the provider's key.
    pub jkt: String,
}

/// The bytes that a grant is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Which member they are.
    pub member: Member,
    /// SHA-256 of the bytes.
    pub digest: ContentHash,
    /// How many.
    pub bytes_count: u64,
    /// Such as `image/jpeg`.
    pub media_type: String,
    /// Name of the member's file; no folders.
    pub name: String,
    /// Where they begin in the photo's file; `None` when they are a file of their own.
    pub offset: Option<u64>,
    /// How it is known that a companion belongs to the photo.
    pub evidence: Option<String>,
}

impl Content {
    /// What a grant is about.
    pub fn of(grant: &GrantRow) -> Self {
        Self {
            member: grant.member,
            digest: grant.digest,
            bytes_count: grant.bytes_count,
            media_type: grant.media_type.clone(),
            name: grant.name.clone(),
            offset: grant.offset,
            evidence: grant.evidence.clone(),
        }
    }
}

/// Makes and signs the grant of an order for one member. The id is derived from the order,
/// what the member is and its digest, so making it again gives the same grant and the store
/// keeps the first.
///
/// # Errors
/// Only when the claims cannot be written as JSON.
pub fn issue(
    order: &Order,
    content: &Content,
    terms: &Terms,
    provider_thumbprint: &str,
    consent_number: u64,
    key: &Key,
    now: Timestamp,
) -> serde_json::Result<GrantRow> {
    let digest = content.digest.to_string();
    let grant_id = derived("grant", &[&order.order_key, content.member.as_str(), &digest]);
    let expires_at = now.plus_millis(i64::from(terms.limits.grant_hours) * 3_600_000);
    let claims = Claims {
        jti: grant_id.clone(),
        iss: key.public().thumbprint(),
        aud: order.provider.clone(),
        member: content.member,
        sha256: content.digest,
        bytes_count: content.bytes_count,
        media_type: content.media_type.clone(),
        order: order.order_key.clone(),
        consent: consent_number,
        iat: now.seconds(),
        exp: expires_at.seconds(),
        cnf: Confirmation { jkt: provider_thumbprint.to_owned() },
    };
    Ok(GrantRow {
        grant_id,
        order_key: order.order_key.clone(),
        provider: order.provider.clone(),
        member: content.member,
        name: content.name.clone(),
        evidence: content.evidence.clone(),
        photo: order.photo,
        digest: content.digest,
        offset: content.offset,
        bytes_count: content.bytes_count,
        media_type: content.media_type.clone(),
        token: jws::sign(key, &jws::header(TYP, key), &claims)?,
        fee_minor: terms.fees.of(content.member),
        currency: terms.currency.to_string(),
        issued_at: now,
        expires_at,
        revoked_at: None,
        revoked_why: None,
    })
}
