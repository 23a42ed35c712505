//! Brings a sealed copy to the hub: one `PUT`, over a connection of its own.
//!
//! In:  sealed bytes as they are made. Out: whether the hub has it.
//!
//! Nothing is resumed: a copy that breaks off is brought anew, sealed anew.

use std::io;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use tokio::sync::mpsc;

use super::Reach;
use super::serve::Connection;
use crate::access::Membership;
use crate::access::proof::{self, ProvenRequest};
use crate::access::sealed::{SEAL_HEADER, SEALED_TYPE};
use crate::base::clock::Timestamp;

/// A copy on its way.
#[derive(Debug)]
pub struct Parcel {
    /// Of which grant.
    pub grant_id: String,
    /// The signed grant.
    pub token: String,
    /// Value of `Signet-Seal`.
    pub seal: String,
    /// Sealed bytes.
    pub length: u64,
    /// The bytes, piece by piece; an error breaks it off.
    pub pieces: mpsc::Receiver<io::Result<Vec<u8>>>,
}

/// What the hub made of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Brought {
    /// It has it.
    Kept,
    /// It does not want it, and will not.
    Unwanted,
    /// It does not take it now.
    Later(StatusCode),
}

impl Reach {
    /// Brings a copy.
    ///
    /// # Errors
    /// In words: the hub was not reached, or the copy broke off.
    pub async fn bring(&self, parcel: Parcel) -> Result<Brought, String> {
        let path = format!("/v1/staged/{}/{}", self.membership.agent_id, parcel.grant_id);
        let (home, token, signed) = (self.home.clone(), parcel.token.clone(), path.clone());
        let proof = tokio::task::spawn_blocking(move || {
            let key = Membership::key(&home).map_err(|error| error.to_string())?;
            let request = ProvenRequest { method: "PUT", url: &signed, grant: &token };
            proof::make(&key, request, Timestamp::now()).map_err(|error| error.to_string())
        });
        let proof = proof.await.map_err(|error| error.to_string())??;
        let body = futures_util::stream::unfold(parcel.pieces, |mut pieces| async {
            let piece = pieces.recv().await?;
            Some((piece, pieces))
        });
        let request = Request::put(path)
            .header(header::HOST, self.connector.host())
            .header(header::AUTHORIZATION, format!("DPoP {}", parcel.token))
            .header("dpop", proof)
            .header(SEAL_HEADER, parcel.seal)
            .header(header::CONTENT_TYPE, SEALED_TYPE)
            .header(header::CONTENT_LENGTH, parcel.length)
            .body(Body::from_stream(body))
            .map_err(|error| error.to_string())?;
        let mut connection = Connection::open(&self.connector, &self.outward).await?;
        let response = connection.requests.send_request(request).await;
        let status = response.map_err(|error| error.to_string())?.status();
        Ok(match status {
            StatusCode::NO_CONTENT => Brought::Kept,
            StatusCode::GONE => Brought::Unwanted,
            status => Brought::Later(status),
        })
    }
}
