//! The neutral order: what one provider is sent at once, before any target puts it into words of
//! its own.
//!
//! A parcel holds orders of one provider for one addressee: usually one, more where the terms let
//! orders wait for others. It is made anew for every try and comes out the same, but for the time.

use crate::base::clock::Timestamp;
use crate::base::ids::derived;
use crate::orders::catalogue::Product;
use crate::orders::crop::Crop;
use crate::orders::webhook::MemberMessage;
use crate::store::Purpose;

/// What one provider is sent at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Parcel {
    /// Names it for good, at the provider too: the same at every try. 26 letters and digits.
    pub parcel_key: String,
    /// Name of the provider, as rules have it.
    pub provider: String,
    /// Who orders.
    pub sender: Sender,
    /// Who gets it; absent: whoever the owner and the provider agreed on.
    pub recipient: Option<Recipient>,
    /// Label of who it is for, such as `a`; absent: the owner.
    pub addressee: Option<String>,
    /// Whether it is urgent.
    pub express: bool,
    /// The provider's word for how it is to be delivered, where the catalogue has one.
    pub delivery: Option<String>,
    /// What is to be made, at least one.
    pub lines: Vec<Line>,
    /// Currency of all prices.
    pub currency: String,
    /// Where the provider may hint that something changed.
    pub callback_url: String,
    /// When it was put together first.
    pub created_at: Timestamp,
}

/// One order of a parcel.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Names the order for good.
    pub order_key: String,
    /// What the provider gets the photo for.
    pub purpose: Purpose,
    /// What to make, and its entry of the catalogue; absent when only shared.
    pub product: Option<(String, Product)>,
    /// How many, at least 1.
    pub copies: u32,
    /// Price agreed for all copies, minor units.
    pub price_minor: i64,
    /// The photo in pixels of its upright original, width and height; absent when not known.
    pub pixels: Option<(u32, u32)>,
    /// Names the orders that ship together, where the target sends each alone.
    pub batch: Option<String>,
    /// Which part of the photo to show; absent: all of it, or what the provider cuts by itself.
    pub crop: Option<Crop>,
    /// What belongs to it, the photo first. For a provider without a key each `url` works by itself
    /// and `grant` is empty.
    pub members: Vec<MemberMessage>,
    /// The same members, signed by the owner's agent.
    pub manifest: String,
    /// Where the provider tells that everything arrived with the right digest.
    pub receipt_url: String,
    /// Where the provider tells what becomes of it.
    pub status_url: String,
}

/// Whose order it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// As they wish to be called.
    pub name: String,
    /// `mailto:…` or `https://…`.
    pub address: String,
    /// Id of the agent: thumbprint of its key.
    pub agent_id: String,
    /// Public key of the agent, base64url.
    pub key: String,
}

/// Where goods are shipped to. A provider gets only what it needs for that.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipient {
    /// Name on the parcel.
    pub name: String,
    /// Street and number.
    pub line1: String,
    /// More of it; may be absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line2: Option<String>,
    /// Postal code.
    pub postal_code: String,
    /// Town.
    pub town: String,
    /// State or county, where addresses have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// ISO 3166-1, two capital letters.
    pub country_code: String,
    /// Electronic mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Telephone, for couriers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

impl Parcel {
    /// Price agreed for everything, minor units.
    pub fn price_minor(&self) -> i64 {
        self.lines.iter().fold(0, |sum, line| sum.saturating_add(line.price_minor))
    }
}

/// Derives the key of a parcel from the orders in it.
///
/// - `round`: how often the owner let these orders go anew after they had failed; a provider that
///   keeps keys would take the same one for the order that failed
pub fn parcel_key(provider: &str, order_keys: &[&str], round: u32) -> String {
    let mut keys = order_keys.to_vec();
    keys.sort_unstable();
    let round = round.to_string();
    keys.extend([provider, round.as_str()]);
    derived("parcel", &keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_of_a_parcel_does_not_depend_on_the_order_of_its_orders() {
        let key = parcel_key("lab", &["a", "b"], 0);
        assert_eq!(key, parcel_key("lab", &["b", "a"], 0));
        for other in [parcel_key("lab", &["a", "b"], 1), parcel_key("lab", &["a"], 0)] {
            assert_ne!(key, other);
        }
    }
}
