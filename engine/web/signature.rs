//! Whether a message was signed by whom it claims: Standard Webhooks 1.0, `v1` and `v1a`.
//!
//! One good signature is enough, by any secret that is shared with the sender (two while one takes
//! the other's place) or by the sender's own key.

use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use standardwebhooks::Webhook;

use crate::access::PublicKey;
use crate::base::clock::Timestamp;
use crate::orders::webhook::signed_content;

/// A message may be so much older or newer than the clock here, in seconds, as in the libraries of
/// Standard Webhooks.
const TOLERANCE_S: i64 = 300;

/// What a sender is known by.
#[derive(Debug, Clone, Default)]
pub struct Sender {
    /// Secrets shared with it, `whsec_…`.
    pub secrets: Vec<String>,
    /// Its Ed25519 key, once it is known.
    pub key: Option<PublicKey>,
}

impl Sender {
    /// Whether it signed a message, just now.
    pub(super) fn signed(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> bool {
        let by_secret = |secret: &String| {
            Webhook::new(secret).is_ok_and(|webhook| webhook.verify(body, headers).is_ok())
        };
        self.secrets.iter().any(by_secret) || self.signed_with_key(headers, body, now).is_some()
    }

    fn signed_with_key(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Option<()> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let key = self.key.as_ref()?;
        let timestamp: i64 = text("webhook-timestamp")?.parse().ok()?;
        if now.seconds().saturating_sub(timestamp).saturating_abs() > TOLERANCE_S {
            return None;
        }
        let content = signed_content(text("webhook-id")?, timestamp, body);
        let signatures = text("webhook-signature")?.split(' ');
        signatures
            .filter_map(|signature| STANDARD.decode(signature.strip_prefix("v1a,")?).ok())
            .filter_map(|signature| <[u8; 64]>::try_from(signature).ok())
            .any(|signature| key.verifies(&content, &signature))
            .then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Key;
    use crate::orders::webhook::{CancelMessage, cancel_event, sign};

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

    /// Whether a receiver that knows `secrets` and maybe the key believes a message.
    fn believes(secrets: &[&str], knows_key: bool, age_s: i64, twist: &str) -> bool {
        let (key, now) = (Key::generate().expect("a key"), Timestamp::now());
        let event = cancel_event(CancelMessage { order_key: "k".into() }, "agent", now);
        let at = now.plus_millis(-age_s * 1000);
        let message = sign(&event, &[SECRET], |bytes: &[u8]| key.sign(bytes), at).expect("signed");
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("webhook-id", message.id),
            ("webhook-timestamp", message.timestamp.to_string()),
            ("webhook-signature", message.signature),
        ] {
            headers.insert(name, value.parse().expect("a header"));
        }
        let sender = Sender {
            secrets: secrets.iter().map(ToString::to_string).collect(),
            key: knows_key.then(|| key.public()),
        };
        sender.signed(&headers, format!("{}{twist}", message.body).as_bytes(), now)
    }

    #[test]
    fn one_good_signature_is_enough_and_none_is_not() {
        assert!(believes(&[SECRET], false, 0, ""));
        assert!(believes(&[OTHER, SECRET], false, 0, ""), "the old secret still counts");
        assert!(believes(&[OTHER], true, 0, ""), "the key counts, whatever the secrets are");
        assert!(!believes(&[OTHER], false, 0, ""));
        assert!(!believes(&[], false, 0, ""));
    }

    #[test]
    fn altered_old_and_early_messages_are_not_believed() {
        assert!(!believes(&[SECRET], true, 0, " "));
        assert!(believes(&[], true, 290, "") && believes(&[], true, -290, ""));
        for age_s in [310, -310, 86_400, -86_400] {
            assert!(!believes(&[SECRET], true, age_s, ""), "{age_s} s");
        }
    }
}
