//! Takes note of what a provider took, while this computer was away, of a sealed copy at the hub.
//!
//! In:  what the hub says was taken, with the provider's proof of its request.
//! Out: an access in the own log, posted as one that was served from here; or why it is not believed.
//!
//! The hub's word alone is worth nothing. It has to show that the provider asked: a proof by the key
//! that the grant is bound to, of just this request, made after the copy was given to the hub. So a hub
//! that lies can charge nobody who never asked, and nobody twice. What it could do is to keep bytes
//! back that the provider asked for, as it can with everything that passes it: then the provider has
//! its grant, fetches from here at no further cost, or hands in a receipt for what it really got, and
//! what it paid is posted back.

use super::word::reverse;
use super::{CONFIRMED, Service, accessed, charge, complete, post_access, reply::Failure};
use crate::access::Claims;
use crate::access::grant::TYP;
use crate::access::jws;
use crate::access::proof::{ProvenRequest, SKEW_S, made_by};
use crate::base::clock::Timestamp;
use crate::store::hub::{Taking, TakingRow};
use crate::store::{Delivered, GrantRow, StoreError, Way};

/// What came of something that a hub told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noted {
    /// It is booked, now or before.
    Booked,
    /// It is not believed, for this reason.
    Unbelieved(&'static str),
}

/// Takes note; may be repeated.
///
/// - `prefix`: what stands before our own paths in addresses at the hub: `/o/AGENT`
///
/// # Errors
/// In words; nothing was booked then, and the hub is to tell it again.
pub fn take_note(
    service: &Service,
    prefix: &str,
    taking: &TakingRow,
    now: Timestamp,
) -> Result<Noted, String> {
    let store = |error: StoreError| error.to_string();
    if service.state.is_booked(&taking.name()).map_err(store)? {
        return Ok(Noted::Booked);
    }
    let grant = service.state.grant(&taking.grant_id).map_err(store)?;
    let copied_at = service.state.copied_at(&taking.grant_id).map_err(store)?;
    let (Some(grant), Some(copied_at)) = (grant, copied_at) else {
        return Ok(Noted::Unbelieved("no copy was ever given to it for this grant"));
    };
    if let Err(why) = believe(service, &grant, copied_at, prefix, taking, now) {
        return Ok(Noted::Unbelieved(why));
    }
    book(service, &grant, taking, now).map_err(|failure| match failure {
        Failure::Store(error) => error.to_string(),
        other => format!("{other:?}"),
    })?;
    Ok(Noted::Booked)
}

/// Whether the provider of a grant made the request that the hub shows, in the time in which it could.
fn believe(
    service: &Service,
    grant: &GrantRow,
    copied_at: Timestamp,
    prefix: &str,
    taking: &TakingRow,
    now: Timestamp,
) -> Result<(), &'static str> {
    let (method, path) = match taking.what {
        Taking::Bytes { start, end } if start < end && end <= grant.bytes_count => {
            ("GET", format!("{prefix}/v1/grants/{}/content", grant.grant_id))
        }
        Taking::Bytes { .. } => return Err("there are no such bytes"),
        Taking::Receipt { .. } => {
            ("POST", format!("{prefix}/v1/orders/{}/receipt", grant.order_key))
        }
    };
    let request = ProvenRequest { method, url: &path, grant: &grant.token };
    let made = made_by(&taking.proof, request);
    let (holder, made_at) =
        made.map_err(|_does_not_hold| "the provider's request is not proven")?;
    let claims = jws::parse(&grant.token, TYP).and_then(|grant| grant.verify(&service.agent_key));
    let claims: Claims = claims.map_err(|_not_ours| "the grant is not signed by this computer")?;
    if claims.cnf.jkt != holder.thumbprint() {
        return Err("the request was made by another key than the grant's");
    }
    let skew_ms = SKEW_S * 1000;
    let from = copied_at.plus_millis(-skew_ms);
    let until = now.min(Timestamp(claims.exp.saturating_mul(1000))).plus_millis(skew_ms);
    match (from..=until).contains(&made_at) {
        true => Ok(()),
        false => Err("the request was made before the copy was there, or after the grant's end"),
    }
}

fn book(
    service: &Service,
    grant: &GrantRow,
    taking: &TakingRow,
    now: Timestamp,
) -> Result<(), Failure> {
    // What it is called at the hub we said ourselves, when we offered the grant.
    let way = Way::Staged(String::new());
    match taking.what {
        Taking::Bytes { start, end } => {
            let (entries, way) = charge(service, grant, &way).map_err(Failure::Store)?;
            let booked =
                service.state.book_taking(grant, &taking.name(), start..end, (&entries, &way), now);
            if let Some(Delivered::Whole { first }) = booked.map_err(Failure::Store)? {
                accessed(service, grant, first)?;
            }
            return Ok(());
        }
        Taking::Receipt { sha256 } if sha256 == grant.digest => {
            // Its word that it has the bytes stands in for deliveries that nobody told of.
            post_access(service, grant, &way)?;
            complete(service, &grant.order_key, CONFIRMED)?;
        }
        Taking::Receipt { sha256 } => {
            // The refusal that goes with it was the hub's to tell.
            if let failure @ Failure::Store(_) = reverse(service, grant, &sha256) {
                return Err(failure);
            }
        }
    }
    let noted = service.state.note_booked(&taking.name(), &grant.grant_id, now);
    noted.map_err(Failure::Store)
}
