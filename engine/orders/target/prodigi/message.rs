//! What is said to such a provider and how it frames its answers, field by field.
//!
//! Nothing here decides anything. Fields of an answer that are not named are not read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::order::Order;
use crate::orders::parcel::Recipient;
use crate::orders::target::{Quote, answer::amount};

/// `POST /orders`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrderMessage<'a> {
    pub(super) merchant_reference: &'a str,
    pub(super) idempotency_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) callback_url: Option<&'a str>,
    pub(super) shipping_method: &'a str,
    pub(super) recipient: RecipientMessage<'a>,
    pub(super) items: Vec<Item<'a>>,
    pub(super) metadata: Agreed,
}

/// `POST /quotes`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct QuoteMessage<'a> {
    pub(super) shipping_method: &'a str,
    pub(super) destination_country_code: &'a str,
    pub(super) currency_code: &'a str,
    pub(super) items: Vec<Ware<'a>>,
}

/// What is to be made, whatever is on it.
#[derive(Serialize)]
pub(super) struct Ware<'a> {
    pub(super) sku: &'a str,
    pub(super) copies: u32,
    pub(super) attributes: BTreeMap<&'a str, &'a str>,
    pub(super) assets: [PrintArea<'a>; 1],
}

/// What is to be made and from which photo.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Item<'a> {
    pub(super) merchant_reference: &'a str,
    pub(super) sku: &'a str,
    pub(super) copies: u32,
    pub(super) sizing: &'static str,
    pub(super) attributes: BTreeMap<&'a str, &'a str>,
    pub(super) assets: [PrintAsset<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PrintArea<'a> {
    pub(super) print_area: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PrintAsset<'a> {
    pub(super) print_area: &'a str,
    pub(super) url: String,
    pub(super) md5_hash: String,
}

/// The price that was agreed. It travels with the order, so that whoever reads the order later
/// sees what was agreed beside what is charged.
#[derive(Serialize, Deserialize)]
pub(super) struct Agreed {
    /// Such as `2.90`.
    pub(super) agreed: String,
    pub(super) currency: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RecipientMessage<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_number: Option<&'a str>,
    address: AddressMessage<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AddressMessage<'a> {
    line1: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    line2: Option<&'a str>,
    postal_or_zip_code: &'a str,
    country_code: &'a str,
    town_or_city: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_or_county: Option<&'a str>,
}

impl<'a> From<&'a Recipient> for RecipientMessage<'a> {
    fn from(recipient: &'a Recipient) -> Self {
        Self {
            name: &recipient.name,
            email: recipient.email.as_deref(),
            phone_number: recipient.phone.as_deref(),
            address: AddressMessage {
                line1: &recipient.line1,
                line2: recipient.line2.as_deref(),
                postal_or_zip_code: &recipient.postal_code,
                country_code: &recipient.country_code,
                town_or_city: &recipient.town,
                state_or_county: recipient.state.as_deref(),
            },
        }
    }
}

/// What every answer begins with.
#[derive(Deserialize)]
pub(super) struct Outcome {
    pub(super) outcome: String,
}

/// An answer about one order.
#[derive(Deserialize)]
pub(super) struct OneOrder {
    pub(super) order: Option<Order>,
}

/// `GET /orders`
#[derive(Deserialize)]
pub(super) struct Orders {
    pub(super) orders: Vec<Order>,
}

/// `GET /orders/{id}/actions`
#[derive(Deserialize)]
pub(super) struct Actions {
    pub(super) cancel: Action,
}

/// Whether an action is open: `Yes` or `No`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Action {
    pub(super) is_available: String,
}

/// `POST /quotes`, the answer.
#[derive(Deserialize)]
pub(super) struct Quotes {
    pub(super) quotes: Vec<QuoteAnswer>,
}

/// The quote for one way of shipping.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct QuoteAnswer {
    pub(super) shipment_method: String,
    pub(super) cost_summary: CostSummary,
}

/// What a quote adds up to.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CostSummary {
    items: Cost,
    shipping: Cost,
    total_cost: Option<Cost>,
    total_tax: Option<Cost>,
}

/// An amount as text; a number would be a float.
#[derive(Deserialize)]
pub(super) struct Cost {
    amount: String,
    currency: String,
}

impl CostSummary {
    /// Everything included; `None` when it does not add up in one currency.
    ///
    /// Whether the total that is named holds the tax is not written down anywhere: what is more
    /// counts, so nobody pays more than was asked about.
    pub(super) fn total(&self) -> Option<Quote> {
        let parts = [Some(&self.items), Some(&self.shipping), self.total_tax.as_ref()];
        let parts = Cost::sum(parts.into_iter().flatten())?;
        let named = Cost::sum(self.total_cost.as_ref());
        match named {
            Some(named) if named.currency != parts.currency => None,
            Some(named) if named.minor > parts.minor => Some(named),
            None if self.total_cost.is_some() => None,
            _ => Some(parts),
        }
    }
}

impl Cost {
    /// Adds up exactly; `None` for no costs, for several currencies and for what is no amount.
    pub(super) fn sum<'a>(costs: impl IntoIterator<Item = &'a Self>) -> Option<Quote> {
        let mut sum: Option<Quote> = None;
        for cost in costs {
            let minor = amount(&cost.amount)?;
            sum = Some(match sum {
                None => Quote { minor, currency: cost.currency.clone() },
                Some(sum) if sum.currency == cost.currency => {
                    Quote { minor: sum.minor.checked_add(minor)?, ..sum }
                }
                Some(_) => return None,
            });
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quote_is_the_larger_of_the_total_and_the_sum_of_its_parts() {
        let cost = |minor: &str| format!(r#"{{"amount":"{minor}","currency":"EUR"}}"#);
        let total = |rest: &str| {
            let (items, shipping) = (cost("2.90"), cost("4.95"));
            let text = format!(r#"{{"items":{items},"shipping":{shipping}{rest}}}"#);
            let summary: CostSummary = serde_json::from_str(&text).expect("a summary");
            summary.total().map(|quote| quote.minor)
        };
        assert_eq!(total(""), Some(785));
        assert_eq!(total(&format!(r#","totalTax":{}"#, cost("1.49"))), Some(934));
        let both = |all: &str| format!(r#","totalTax":{},"totalCost":{}"#, cost("1.49"), cost(all));
        assert_eq!(total(&both("7.85")), Some(934), "the total is without tax");
        assert_eq!(total(&both("9.99")), Some(999), "the total holds something more");
        assert_eq!(total(&both("9.999")), None, "the total is no amount");
        assert_eq!(total(r#","totalTax":{"amount":"1","currency":"GBP"}"#), None);
    }
}
