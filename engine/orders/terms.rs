//! What the owner agreed with one provider, in plain values.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::base::member::Member;
use crate::base::money::Currency;
use crate::orders::catalogue::{Delivery, Product};
use crate::orders::target::TargetSpec;
use crate::preview::PreviewWish;
use crate::store::Purpose;

/// The owner's standing agreement with one provider. Part of the signed consent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// Where orders are posted to; empty where its target needs no address.
    pub orders_url: String,
    /// The provider's Ed25519 public key, base64url; only its holder can use a grant. Empty: it has
    /// none, and fetches by addresses that nobody can guess.
    pub key: String,
    /// In which way it gets orders.
    #[serde(default, skip_serializing_if = "is_default")]
    pub target: TargetSpec,
    /// What the provider may get photos for.
    pub purposes: BTreeSet<Purpose>,
    /// Currency of prices, fees and limits.
    pub currency: Currency,
    /// What it offers, by the names that rules use.
    pub products: BTreeMap<String, Product>,
    /// What it calls its ways of delivery.
    #[serde(default, skip_serializing_if = "is_default")]
    pub delivery: Delivery,
    /// Orders for one addressee wait so long for others that go with them, in minutes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub batch_minutes: u32,
    /// Companions that may go with a photo where a rule names them. What was agreed before
    /// there were companions covers none.
    #[serde(default)]
    pub companions: BTreeSet<Member>,
    /// Whether an order says where the photo lies: collection, album, folder, place in its roll.
    #[serde(default)]
    pub structure: bool,
    /// How bytes go when they pass through a hub.
    #[serde(default, skip_serializing_if = "is_default")]
    pub relay: Relay,
    /// Whether a sealed copy of what is ordered waits at the hub, to be fetched while this computer
    /// is off.
    #[serde(default, skip_serializing_if = "is_default")]
    pub stage: bool,
    /// What the provider pays for an access.
    pub fees: Fees,
    /// How the provider wants previews, where a rule does not say.
    #[serde(default, skip_serializing_if = "is_default")]
    pub preview: PreviewWish,
    /// Part of each fee that the service keeps, 0 to 100.
    pub service_percent: u8,
    /// Name of the service's account.
    pub service: String,
    /// What goes beyond them waits for the owner.
    pub limits: Limits,
    /// The agreement ends by itself then.
    pub valid_until: Option<Timestamp>,
}

impl Terms {
    /// An agreement that covers nothing yet; whoever makes one says what.
    pub fn new(currency: Currency) -> Self {
        Self {
            orders_url: String::new(),
            key: String::new(),
            target: TargetSpec::default(),
            purposes: BTreeSet::new(),
            currency,
            products: BTreeMap::new(),
            delivery: Delivery::default(),
            batch_minutes: 0,
            companions: BTreeSet::new(),
            structure: false,
            relay: Relay::default(),
            stage: false,
            fees: Fees::default(),
            preview: PreviewWish::default(),
            service_percent: 0,
            service: String::new(),
            limits: Limits::default(),
            valid_until: None,
        }
    }
}

impl Terms {
    /// Whether sealed copies may wait at a hub: the owner said so, and there is a key to seal them to.
    pub fn may_wait(&self) -> bool {
        self.stage && self.relay == Relay::Sealed && !self.key.is_empty()
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// How bytes go when they pass through a hub.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Relay {
    /// Sealed to the provider's key. Who has none cannot fetch through a hub.
    #[default]
    Sealed,
    /// As they are: the owner agreed that the hub can see what passes.
    Clear,
}

/// What a provider pays for one access, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fees {
    /// For an original.
    #[serde(default)]
    pub original_minor: i64,
    /// For a preview.
    #[serde(default)]
    pub preview_minor: i64,
    /// For each companion.
    #[serde(default)]
    pub companion_minor: i64,
}

impl Fees {
    /// For one member.
    pub const fn of(&self, member: Member) -> i64 {
        match member {
            Member::Original => self.original_minor,
            Member::Preview => self.preview_minor,
            _ => self.companion_minor,
        }
    }
}

/// What goes beyond a limit waits for `signet orders approve`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Orders that may go out in a day (UTC).
    pub orders_per_day: u32,
    /// Copies of one photo in one order.
    pub copies_per_order: u32,
    /// Prices of all orders in a month (UTC), minor units.
    pub spend_minor_per_month: i64,
    /// How long a grant holds.
    pub grant_hours: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            orders_per_day: 50,
            copies_per_order: 10,
            spend_minor_per_month: 5000,
            grant_hours: 14 * 24,
        }
    }
}
