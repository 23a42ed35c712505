//! The messages that carry orders to a provider: CloudEvents, signed as Standard Webhooks say.
//!
//! Signed with each secret that is shared with the provider (`v1`, HMAC-SHA256; two while one takes
//! the other's place) and with the agent's key (`v1a`, Ed25519), so that a receiver believes
//! whichever it knows.
//!
//! The id of the event is derived from the order, so every try sends the same id and a
//! receiver that keeps ids sees one order.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use standardwebhooks::Webhook;

use super::crop::Crop;
use super::parcel::{Recipient, Sender};

use crate::base::clock::Timestamp;
use crate::base::ids::{ContentHash, derived};
use crate::base::member::Member;
use crate::store::Purpose;

/// Type of the event, and version of its data. Version 1 had no manifest; a provider that
/// took it could not tell whether members were left out on the way.
pub const ORDER_EVENT: &str = "org.signet.order.v2";

/// Type of the event that takes an order back, and version of its data.
pub const CANCEL_EVENT: &str = "org.signet.order.cancel.v1";

/// Most members of one order: the photo, and companions.
pub const MEMBERS_MAX: usize = 16;

/// Media type of the body.
pub const CLOUD_EVENT: &str = "application/cloudevents+json";

/// Largest body that a receiver has to take, in bytes.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// A CloudEvent 1.0 in structured mode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CloudEvent<D = OrderMessage> {
    /// `1.0`
    pub specversion: String,
    /// The same for every try.
    pub id: String,
    /// The agent that sent it: `urn:signet:` and its id.
    pub source: String,
    /// [`ORDER_EVENT`] or [`CANCEL_EVENT`]
    #[serde(rename = "type")]
    pub event_type: String,
    /// Key of the order.
    pub subject: String,
    /// RFC 3339.
    pub time: String,
    /// `application/json`
    pub datacontenttype: String,
    /// What it is about.
    pub data: D,
}

/// An order that is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelMessage {
    /// Which one.
    pub order_key: String,
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
    /// Where it is shipped to; absent: as the owner and the provider agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<Recipient>,
    /// Whether it is urgent; absent: it is not.
    #[serde(default, skip_serializing_if = "is_false")]
    pub express: bool,
    /// Price agreed for all copies, minor units.
    pub price_minor: i64,
    /// Currency of the price.
    pub currency: String,
    /// Orders of the same batch ship together; absent: this one ships alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
    /// Which part of the photo to show; absent: the middle of it, as much as fits the product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<Crop>,
    /// What to fetch; the photo first.
    pub members: Vec<MemberMessage>,
    /// The same members and where the photo lies, signed by the owner's agent (JWS; see
    /// `access::manifest`). Empty in orders that were taken before there were manifests.
    #[serde(default)]
    pub manifest: String,
    /// Where to tell that everything arrived with the right digest.
    pub receipt_url: String,
    /// Where to tell what becomes of it, by whoever does that.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub status_url: String,
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

impl SignedMessage {
    /// The headers that go with the body.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        vec![
            ("content-type", CLOUD_EVENT.to_owned()),
            ("webhook-id", self.id.clone()),
            ("webhook-timestamp", self.timestamp.to_string()),
            ("webhook-signature", self.signature.clone()),
        ]
    }
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
pub fn order_event(order: OrderMessage, sender: &Sender, created_at: Timestamp) -> CloudEvent {
    let id = derived("event", &[&order.order_key]);
    event(ORDER_EVENT, id, order.order_key.clone(), order, &sender.agent_id, created_at)
}

/// Wraps the wish to take an order back as a CloudEvent.
pub fn cancel_event(
    order: CancelMessage,
    agent_id: &str,
    now: Timestamp,
) -> CloudEvent<CancelMessage> {
    let id = derived("cancel", &[&order.order_key]);
    event(CANCEL_EVENT, id, order.order_key.clone(), order, agent_id, now)
}

/// Wraps what is told as a CloudEvent.
///
/// - `id`: the same at every try
/// - `at`: when it happened
pub fn event<D>(
    event_type: &str,
    id: String,
    subject: String,
    data: D,
    agent_id: &str,
    at: Timestamp,
) -> CloudEvent<D> {
    CloudEvent {
        specversion: "1.0".into(),
        id,
        source: format!("urn:signet:{agent_id}"),
        event_type: event_type.into(),
        subject,
        time: at.to_string(),
        datacontenttype: "application/json".into(),
        data,
    }
}

/// Signs an event for one try at `now`.
///
/// - `secrets`: those shared with the provider, `whsec_…`; may be none
/// - `key`: signs with the agent's Ed25519 key
///
/// # Errors
/// A secret that is none, or an order that is too long.
pub fn sign<D: Serialize>(
    event: &CloudEvent<D>,
    secrets: &[&str],
    key: impl Fn(&[u8]) -> [u8; 64],
    now: Timestamp,
) -> Result<SignedMessage, WebhookError> {
    let body = serde_json::to_string(event)?;
    if body.len() > BODY_BYTES_MAX {
        return Err(WebhookError::TooLong { bytes_count: body.len() });
    }
    let timestamp = now.seconds();
    let mut signatures = Vec::new();
    for secret in secrets {
        let signature = Webhook::new(secret)
            .and_then(|webhook| webhook.sign(&event.id, timestamp, body.as_bytes()))
            .map_err(WebhookError::Secret)?;
        signatures.push(signature);
    }
    let signed = signed_content(&event.id, timestamp, body.as_bytes());
    signatures.push(format!("v1a,{}", STANDARD.encode(key(&signed))));
    Ok(SignedMessage { id: event.id.clone(), timestamp, signature: signatures.join(" "), body })
}

/// The bytes that a signature of Standard Webhooks is over: `id.timestamp.body`.
pub fn signed_content(id: &str, timestamp: i64, body: &[u8]) -> Vec<u8> {
    let mut content = format!("{id}.{timestamp}.").into_bytes();
    content.extend_from_slice(body);
    content
}
