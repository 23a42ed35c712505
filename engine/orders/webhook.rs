//! The message that carries an order to a provider: a CloudEvent, signed as Standard
//! Webhooks say.
//!
//! The id of the event is derived from the order, so every try sends the same id and a
//! receiver that keeps ids sees one order.

use serde::{Deserialize, Serialize};
use standardwebhooks::Webhook;

use crate::base::clock::Timestamp;
use crate::base::ids::{ContentHash, derived};
use crate::base::member::Member;
use crate::store::Purpose;

/// Type of the event, and version of its data. Version 1 had no manifest; a provider that
/// took it could not tell whether members were left out on the way.
pub const ORDER_EVENT: &str = "org.signet.order.v2";

/// Most members of one order: the photo, and companions.
pub const MEMBERS_MAX: usize = 16;

/// Media type of the body.
pub const CLOUD_EVENT: &str = "application/cloudevents+json";

/// Largest body that a receiver has to take, in bytes.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// A CloudEvent 1.0 in structured mode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CloudEvent {
    /// `1.0`
    pub specversion: String,
    /// The same for every try.
    pub id: String,
    /// The agent that sent it: `urn:signet:` and its id.
    pub source: String,
    /// [`ORDER_EVENT`]
    #[serde(rename = "type")]
    pub event_type: String,
    /// Key of the order.
    pub subject: String,
    /// RFC 3339.
    pub time: String,
    /// `application/json`
    pub datacontenttype: String,
    /// The order.
    pub data: OrderMessage,
}

/// An order as a provider sees it. Nothing of rules or other providers, and of where the photo
/// lies what the consent covers, in the manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderMessage {
    /// Identifies the order for good.
    pub order_key: String,
    /// Name of the owner, as they wish to be called.
    pub owner: String,
    /// Public key of the owner's agent, base64url; grants are signed with it.
    pub owner_key: String,
    /// What the photo is for.
    pub purpose: Purpose,
    /// Product, when something is to be made.
    pub product: Option<String>,
    /// How many.
    pub copies: u32,
    /// Label of who it is for, as the owner and the provider agreed; absent: the owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addressee: Option<String>,
    /// Whether it is urgent; absent: it is not.
    #[serde(default, skip_serializing_if = "is_false")]
    pub express: bool,
    /// Price agreed for all copies, minor units.
    pub price_minor: i64,
    /// Currency of the price.
    pub currency: String,
    /// What to fetch; the photo first.
    pub members: Vec<MemberMessage>,
    /// The same members and where the photo lies, signed by the owner's agent (JWS; see
    /// `access::manifest`). Empty in orders that were taken before there were manifests.
    #[serde(default)]
    pub manifest: String,
    /// Where to tell that everything arrived with the right digest.
    pub receipt_url: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// One file that the provider may fetch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemberMessage {
    /// `original`, `preview`, or what kind of companion it is.
    pub role: Member,
    /// Name to file it under; no folders.
    pub name: String,
    /// Such as `image/jpeg`.
    pub media_type: String,
    /// Length in bytes.
    pub bytes_count: u64,
    /// Digest of the bytes.
    pub sha256: ContentHash,
    /// Where to fetch it.
    pub url: String,
    /// What to show when fetching it.
    pub grant: String,
}

/// A body with the headers that sign it.
#[derive(Debug, Clone)]
pub struct SignedMessage {
    /// `webhook-id`
    pub id: String,
    /// `webhook-timestamp`, seconds since 1970
    pub timestamp: i64,
    /// `webhook-signature`
    pub signature: String,
    /// The exact bytes that were signed.
    pub body: String,
}

/// Why no signed message could be made.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The shared secret is not `whsec_` and base64.
    #[error("the provider's webhook secret is damaged: take its card again")]
    Secret(#[source] standardwebhooks::WebhookError),
    /// The order is longer than a receiver has to take.
    #[error("the order has {bytes_count} bytes, the limit is {BODY_BYTES_MAX}")]
    TooLong {
        /// Length of the body.
        bytes_count: usize,
    },
    /// The order could not be written as JSON.
    #[error("the order cannot be written as JSON")]
    Body(#[from] serde_json::Error),
}

/// Wraps an order as a CloudEvent.
pub fn event(order: OrderMessage, agent_id: &str, created_at: Timestamp) -> CloudEvent {
    CloudEvent {
        specversion: "1.0".into(),
        id: derived("event", &[&order.order_key]),
        source: format!("urn:signet:{agent_id}"),
        event_type: ORDER_EVENT.into(),
        subject: order.order_key.clone(),
        time: created_at.to_string(),
        datacontenttype: "application/json".into(),
        data: order,
    }
}

/// Signs an event for one try at `now`.
///
/// # Errors
/// A secret that is none, or an order that is too long.
pub fn sign(
    event: &CloudEvent,
    secret: &str,
    now: Timestamp,
) -> Result<SignedMessage, WebhookError> {
    let body = serde_json::to_string(event)?;
    if body.len() > BODY_BYTES_MAX {
        return Err(WebhookError::TooLong { bytes_count: body.len() });
    }
    let signature = Webhook::new(secret)
        .and_then(|webhook| webhook.sign(&event.id, now.seconds(), body.as_bytes()))
        .map_err(WebhookError::Secret)?;
    Ok(SignedMessage { id: event.id.clone(), timestamp: now.seconds(), signature, body })
}
