//! The list that goes with an order: which members belong to it and where the photo lies,
//! signed by the owner's agent.
//!
//! In:  the members of an order, the structure that the consent covers. Out: a JWS (EdDSA)
//! over canonical JSON (RFC 8785): no spaces, keys in alphabetical order, whole numbers only.
//!
//! Whoever fulfils an order can show later what exactly was ordered and by whom: the
//! signature covers digests, so it covers the bytes. A member added, taken out or exchanged on
//! the way is found before anything is fetched.
//!
//! INVARIANT: fields stand in alphabetical order, as they are written.

use serde::{Deserialize, Serialize};

use super::jws::{self, JwsError};
use super::key::{Key, PublicKey};
use crate::base::clock::Timestamp;
use crate::base::ids::ContentHash;
use crate::base::member::Member;
use crate::orders::webhook::OrderMessage;
use crate::store::GrantRow;

/// Kind of signed text that a manifest is.
const TYP: &str = "signet-manifest+jws";

/// Version of its shape.
const VERSION: u32 = 1;

/// What belongs to an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// When it was made, seconds since 1970.
    pub issued_at: i64,
    /// The photo first.
    pub members: Vec<Listed>,
    /// The order.
    pub order_key: String,
    /// Thumbprint (RFC 7638) of the key of the owner's agent, which signed it.
    pub owner_key: String,
    /// Where the photo lies; absent when the consent does not cover that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structure: Option<Structure>,
    /// 1
    pub version: u32,
}

/// One member of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Length in bytes.
    pub bytes_count: u64,
    /// How it is known that a companion belongs to the photo, such as `stem`; absent for the
    /// photo itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// Such as `audio/wav`.
    pub media_type: String,
    /// Name of its file; no folders.
    pub name: String,
    /// What it is.
    pub role: Member,
    /// Digest of its bytes.
    pub sha256: ContentHash,
}

/// Where a photo lies in its owner's collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Structure {
    /// Title of the album that its folder is, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub album: Option<String>,
    /// Name of the collection.
    pub collection: String,
    /// Folders below the collection, joined by `/`; empty at the top.
    pub folder: String,
    /// Name of the photo's file.
    pub name: String,
    /// Its place in its roll, from 1; absent for a photo that does not say when it was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
}

/// Why an order and its manifest are not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Not signed by the owner's agent, or altered since.
    #[error("its manifest is not believed: {0}")]
    Jws(#[from] JwsError),
    /// Of another order or another owner.
    #[error("its manifest is that of another order")]
    OtherOrder,
    /// The members of the order are not those that were signed.
    #[error("its members are not those of its signed manifest")]
    OtherMembers,
}

impl Manifest {
    /// Lists what was granted for an order.
    ///
    /// - `grants`: of one order, the photo's first; at least one
    pub fn of(
        order_key: &str,
        grants: &[GrantRow],
        structure: Option<Structure>,
        key: &PublicKey,
    ) -> Self {
        let listed = |grant: &GrantRow| Listed {
            bytes_count: grant.bytes_count,
            evidence: grant.evidence.clone(),
            media_type: grant.media_type.clone(),
            name: grant.name.clone(),
            role: grant.member,
            sha256: grant.digest,
        };
        let issued_at = grants.first().map_or(Timestamp(0), |grant| grant.issued_at);
        Self {
            issued_at: issued_at.seconds(),
            members: grants.iter().map(listed).collect(),
            order_key: order_key.to_owned(),
            owner_key: key.thumbprint(),
            structure,
            version: VERSION,
        }
    }

    /// Signs it.
    ///
    /// # Errors
    /// Only when it cannot be written as JSON.
    pub fn sign(&self, key: &Key) -> serde_json::Result<String> {
        jws::sign(key, &jws::header(TYP, key), self)
    }

    /// Reads the manifest of an order and compares the two. Gives the JSON that was signed
    /// too, as it was signed.
    ///
    /// # Errors
    /// See [`ManifestError`]; nothing of the order should be fetched then.
    pub fn of_order(order: &OrderMessage) -> Result<(Self, Vec<u8>), ManifestError> {
        let key: PublicKey = order.owner_key.parse().ok().ok_or(JwsError::Signature)?;
        let parsed = jws::parse(&order.manifest, TYP)?;
        let manifest: Self = parsed.verify(&key)?;
        if manifest.order_key != order.order_key || manifest.owner_key != key.thumbprint() {
            return Err(ManifestError::OtherOrder);
        }
        let same = manifest.members.len() == order.members.len()
            && manifest.members.iter().zip(&order.members).all(|(listed, member)| {
                listed.role == member.role
                    && listed.name == member.name
                    && listed.media_type == member.media_type
                    && listed.bytes_count == member.bytes_count
                    && listed.sha256 == member.sha256
            });
        if !same {
            return Err(ManifestError::OtherMembers);
        }
        Ok((manifest, parsed.payload().to_vec()))
    }
}

#[cfg(test)]
#[path = "manifest/tests.rs"]
mod tests;
