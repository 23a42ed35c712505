//! What an order of such a provider says: how far it is, what it costs, what is wrong.
//!
//! In:  the order as the provider shows it.
//! Out: [`Progress`], with a note in words.
//!
//! Only what identifies an order and its stage has to be readable. Everything else may be missing
//! or broken, and an order is not lost because its charges are.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::message::{Agreed, Cost};
use crate::base::money::decimal;
use crate::orders::target::answer::{amount, is_plain_name, words};
use crate::orders::target::{Progress, Taken};
use crate::store::OrderState;

/// Most shipments and issues that a note names, of each.
const NAMED_MAX: usize = 5;

/// Steps of an order from the first to the last, and what the order is while one goes on.
const STEPS: [(&str, OrderState); 5] = [
    ("downloadAssets", OrderState::Fetching),
    ("printReadyAssetsPrepared", OrderState::Production),
    ("allocateProductionLocation", OrderState::Production),
    ("inProduction", OrderState::Production),
    ("shipping", OrderState::Production),
];

/// An order as the provider shows it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Order {
    pub(super) id: String,
    merchant_reference: Option<String>,
    status: Status,
    #[serde(default)]
    charges: Value,
    #[serde(default)]
    shipments: Value,
    #[serde(default)]
    metadata: Value,
}

#[derive(Deserialize)]
struct Status {
    stage: String,
    #[serde(default)]
    details: Value,
    #[serde(default)]
    issues: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Charge {
    total_cost: Cost,
    total_tax: Option<Cost>,
}

#[derive(Deserialize)]
struct Shipment {
    status: String,
    carrier: Option<Carrier>,
    tracking: Option<Tracking>,
}

#[derive(Deserialize)]
struct Carrier {
    name: Option<String>,
    service: Option<String>,
}

#[derive(Deserialize)]
struct Tracking {
    number: Option<String>,
    url: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Issue {
    description: Option<String>,
    error_code: Option<String>,
    authorisation_details: Option<Authorisation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authorisation {
    authorisation_url: Option<String>,
    payment_details: Option<Cost>,
}

impl Order {
    /// Whether it is the order of a parcel, by a name that can be asked for again.
    pub(super) fn is_of(&self, parcel_key: &str) -> bool {
        self.merchant_reference.as_deref() == Some(parcel_key) && is_plain_name(&self.id)
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.state() == OrderState::Cancelled
    }

    pub(super) fn taken(&self) -> Taken {
        Taken { remote: self.id.clone(), progress: self.progress() }
    }

    /// How far it is. A step that went wrong is named and is no end: see [`super`].
    pub(super) fn progress(&self) -> Progress {
        let state = self.state();
        let wrong = self.wrong();
        let look_again_s = match state {
            OrderState::Done | OrderState::Cancelled => None,
            _ if !wrong.is_empty() => Some(3600),
            OrderState::Fetching => Some(300),
            OrderState::Production => Some(2 * 3600),
            OrderState::Shipped => Some(6 * 3600),
            _ => Some(600),
        };
        let mut notes: Vec<String> = self.waits().into_iter().collect();
        notes.extend(self.ways());
        notes.extend(self.charged());
        notes.extend(wrong);
        Progress { state, note: notes.join("; "), look_again_s }
    }

    fn state(&self) -> OrderState {
        if self.stage("Cancelled") {
            OrderState::Cancelled
        } else if self.stage("Complete") {
            OrderState::Done
        } else if self.shipments().iter().any(Shipment::is_shipped) {
            OrderState::Shipped
        } else {
            let begun = |step: &str| !matches!(self.step(step), "" | "NotStarted");
            let last = STEPS.iter().rfind(|(step, _)| begun(step));
            last.map_or(OrderState::Accepted, |(_, state)| *state)
        }
    }

    fn stage(&self, name: &str) -> bool {
        self.status.stage.eq_ignore_ascii_case(name)
    }

    fn step(&self, name: &str) -> &str {
        self.status.details.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// What the provider waits for, when it is for the owner.
    fn waits(&self) -> Option<String> {
        if self.stage("AwaitingPayment") {
            Some("the provider waits to be paid".into())
        } else if self.stage("Draft") {
            Some("the provider keeps it as a draft, confirm it there".into())
        } else {
            None
        }
    }

    fn shipments(&self) -> Vec<Shipment> {
        each(&self.shipments)
    }

    /// By whom it was shipped, and the numbers to follow it with.
    fn ways(&self) -> impl Iterator<Item = String> {
        let shipped = self.shipments().into_iter().filter(Shipment::is_shipped);
        shipped.take(NAMED_MAX).map(|shipment| {
            let carrier = shipment.carrier.map(|carrier| [carrier.name, carrier.service]);
            let tracking = shipment.tracking.map(|tracking| [tracking.number, tracking.url]);
            let with = carrier.into_iter().chain(tracking).flatten().flatten();
            let with: Vec<String> = with.map(|text| words(&text)).collect();
            if with.is_empty() { "shipped".into() } else { format!("shipped: {}", with.join(", ")) }
        })
    }

    /// What is charged, beside what was agreed.
    fn charged(&self) -> Option<String> {
        let all = self.charges.as_array().filter(|all| !all.is_empty())?;
        let charges: Vec<Charge> = each(&self.charges);
        let sum = Cost::sum(charges.iter().map(|charge| &charge.total_cost));
        let sum = sum.filter(|_| charges.len() == all.len());
        let Some(sum) = sum else { return Some("its charges cannot be read".into()) };
        let mut text = format!("charged {} {}", decimal(sum.minor), words(&sum.currency));
        let tax = Cost::sum(charges.iter().filter_map(|charge| charge.total_tax.as_ref()));
        if let Some(tax) = tax.filter(|tax| tax.minor != 0) {
            text.push_str(&format!(" (tax {} {})", decimal(tax.minor), words(&tax.currency)));
        }
        if let Ok(agreed) = Agreed::deserialize(&self.metadata) {
            let more = agreed.currency == sum.currency
                && amount(&agreed.agreed).is_some_and(|agreed| sum.minor > agreed);
            let more = if more { ", which is more than" } else { "," };
            let Agreed { agreed, currency } = agreed;
            text.push_str(&format!("{more} agreed {} {}", words(&agreed), words(&currency)));
        }
        Some(text)
    }

    /// What the provider complains of, and what would mend it.
    fn wrong(&self) -> Vec<String> {
        let issues: Vec<Issue> = each(&self.status.issues);
        let mut wrong: Vec<String> = issues.into_iter().take(NAMED_MAX).map(Issue::text).collect();
        let failed = STEPS.iter().filter(|(step, _)| self.step(step) == "Error");
        wrong.extend(failed.map(|(step, _)| format!("its step `{step}` went wrong")));
        wrong
    }
}

impl Shipment {
    fn is_shipped(&self) -> bool {
        self.status.eq_ignore_ascii_case("Shipped")
    }
}

impl Issue {
    fn text(self) -> String {
        let what = self.description.or(self.error_code).unwrap_or_default();
        let mut text = format!("the provider complains: {}", words(&what));
        let Some(authorisation) = self.authorisation_details else { return text };
        if let Some(cost) = Cost::sum(authorisation.payment_details.as_ref()) {
            text.push_str(&format!("; to pay: {} {}", decimal(cost.minor), words(&cost.currency)));
        }
        let url = authorisation.authorisation_url.filter(|url| url.starts_with("https://"));
        if let Some(url) = url {
            text.push_str(&format!("; allow it at {}", words(&url)));
        }
        text
    }
}

/// Those of a list that are what they should be; the others are left out.
fn each<T: DeserializeOwned>(list: &Value) -> Vec<T> {
    let all = list.as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().filter_map(|one| T::deserialize(one).ok()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn order(stage: &str, details: &Value, rest: &Value) -> Order {
        let mut whole = json!({"id": "ord_1", "merchantReference": "key",
            "status": {"stage": stage, "details": details, "issues": rest["issues"]}});
        for name in ["charges", "shipments", "metadata"] {
            whole[name] = rest[name].clone();
        }
        serde_json::from_value(whole).expect("an order")
    }

    #[test]
    fn stage_and_steps_become_the_state_of_an_order() {
        let shipped = json!({"shipments": [{"status": "Shipped"}]});
        for (stage, details, rest, state) in [
            ("Draft", json!({}), json!({}), OrderState::Accepted),
            ("AwaitingPayment", json!({}), json!({}), OrderState::Accepted),
            (
                "InProgress",
                json!({"downloadAssets": "NotStarted"}),
                json!({}),
                OrderState::Accepted,
            ),
            (
                "InProgress",
                json!({"downloadAssets": "InProgress"}),
                json!({}),
                OrderState::Fetching,
            ),
            ("InProgress", json!({"downloadAssets": "Error"}), json!({}), OrderState::Fetching),
            (
                "InProgress",
                json!({"inProduction": "InProgress"}),
                json!({}),
                OrderState::Production,
            ),
            ("InProgress", json!({"shipping": "InProgress"}), json!({}), OrderState::Production),
            ("InProgress", json!({"shipping": "InProgress"}), shipped.clone(), OrderState::Shipped),
            ("Complete", json!({}), shipped, OrderState::Done),
            ("Cancelled", json!({"inProduction": "Complete"}), json!({}), OrderState::Cancelled),
            ("cancelled", json!(7), json!({"charges": 7}), OrderState::Cancelled),
        ] {
            assert_eq!(order(stage, &details, &rest).state(), state, "{stage} {details}");
        }
    }

    #[test]
    fn note_tells_what_is_charged_beside_what_was_agreed() {
        let charge = |amount: Value| json!({"totalCost": {"amount": amount, "currency": "EUR"}});
        let note = |charges: Value| {
            let rest = json!({"charges": charges,
                "metadata": {"agreed": "7.85", "currency": "EUR"}});
            order("InProgress", &json!({}), &rest).progress().note
        };
        let (items, shipping) = (charge(json!("2.90")), charge(json!("4.95")));
        assert_eq!(note(json!([items, shipping])), "charged 7.85 EUR, agreed 7.85 EUR");
        let more = note(json!([items, shipping, charge(json!("0.01"))]));
        assert_eq!(more, "charged 7.86 EUR, which is more than agreed 7.85 EUR");
        let less = note(json!([items, shipping, charge(json!("-7.85"))]));
        assert_eq!(less, "charged 0.00 EUR, agreed 7.85 EUR");
        assert_eq!(note(json!([items, charge(json!(0.1))])), "its charges cannot be read");
        assert_eq!(note(json!([])), "");
    }

    #[test]
    fn note_names_the_way_of_shipping_and_what_is_wrong() {
        let rest = json!({
            "shipments": [
                {"status": "Shipped", "carrier": {"name": "DPD", "service": "Classic"},
                 "tracking": {"number": "123", "url": null}},
                {"status": "Processing"}, 7],
            "issues": [
                {"description": "needs\nmoney\u{202e}", "authorisationDetails": {
                    "authorisationUrl": "https://pay.example/1",
                    "paymentDetails": {"amount": "9.60", "currency": "GBP"}}},
                {"errorCode": "x", "authorisationDetails": {"authorisationUrl": "file:///etc"}}]});
        let progress = order("InProgress", &json!({"downloadAssets": "Error"}), &rest).progress();
        let note = "shipped: DPD, Classic, 123; the provider complains: needsmoney; to pay: 9.60 \
                    GBP; allow it at https://pay.example/1; the provider complains: x; its step \
                    `downloadAssets` went wrong";
        assert_eq!(progress.note, note);
        assert_eq!(progress.look_again_s, Some(3600));
    }

    fn anything() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            Just(json!({"totalCost": {"amount": "92233720368547758.07", "currency": "EUR"}})),
            Just(json!({"status": "Shipped", "tracking": {"url": 7}})),
            Just(json!({"description": [], "authorisationDetails": {}})),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".{0,9}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn broken_parts_of_an_order_never_hide_the_order(
            stage in any::<String>(), parts in [anything(), anything(), anything(), anything(), anything()],
        ) {
            let [details, charges, shipments, metadata, issues] = parts;
            let rest = json!({"charges": charges, "shipments": shipments, "metadata": metadata,
                "issues": issues});
            let order = order(&stage, &details, &rest);
            prop_assert!(order.is_of("key") && !order.is_of("other"));
            let progress = order.progress();
            prop_assert!(!progress.note.chars().any(char::is_control));
            let over = matches!(progress.state, OrderState::Done | OrderState::Cancelled);
            prop_assert_eq!(progress.look_again_s.is_none(), over);
        }
    }
}
