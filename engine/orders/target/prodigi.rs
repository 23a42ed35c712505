//! Print on demand by REST, in the shape of Prodigi's API v4: quote, order, follow, stop.
//!
//! The provider fetches each photo from its address and checks its MD5. Companions stay at home,
//! and how a photo of another shape fills the print is left to the provider.
//!
//! Exactly once: the key of a parcel goes along twice. As the idempotency key it makes the provider
//! answer with the order that it has; it counts in the body only, in a header it is ignored. As the
//! reference it is what [`Target::find`] asks for.
//!
//! Calls back from the provider are not signed, so they are hints and no more: what became of an
//! order is always read from the provider. A step that went wrong is no end of an order there: it
//! waits to be mended, so it is not given to anybody else before it is cancelled.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use self::message::{
    Actions, Agreed, Item, OneOrder, OrderMessage, Orders, Outcome, PrintArea, PrintAsset,
    QuoteMessage, Quotes, Ware,
};
use self::order::Order;
use super::answer::{is_plain_name, is_success, read, setback, words};
use super::asset::{asset, product, recipient};
use super::{Cancelled, Carries, Fate, Files, Progress, Quote, Search, Setback, Taken, Target};
use crate::base::money::decimal;
use crate::orders::outward::{Body, Call, Outward, Reply};
use crate::orders::parcel::{Line, Parcel};

mod message;
mod order;

/// Most lines of one parcel: the answer repeats them, and of an answer 64 KiB are read. The
/// dispatcher puts no more into one.
pub const LINES_MAX: usize = 40;

/// How a parcel travels when the catalogue does not say.
const SHIPPING: &str = "Standard";

/// What goes along, and what is lost.
pub(super) const CARRIES: Carries = Carries {
    batches: true,
    bytes: false,
    crop: false,
    companions: false,
    address: true,
    contact: true,
    progress: true,
    cancels: true,
};

const JSON: &str = "application/json";

/// What is to be known of such a provider besides its address and its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Spec {
    /// How a photo of another shape than the print is fitted in.
    pub sizing: Sizing,
    /// Which side of a product is printed; prints have one, called `default`.
    pub print_area: String,
}

/// How a photo of another shape than the print is fitted in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sizing {
    /// No margins; what sticks out is cut off evenly.
    #[default]
    Fill,
    /// Nothing is cut off; there are margins.
    Fit,
}

impl Default for Spec {
    fn default() -> Self {
        Self { sizing: Sizing::Fill, print_area: "default".into() }
    }
}

/// A provider that speaks this API.
pub struct Prodigi {
    spec: Spec,
    api_url: String,
    key: String,
    outward: Outward,
}

impl Prodigi {
    /// - `orders_url`: of the API with its version, such as `https://api.prodigi.com/v4.0`
    /// - `secret`: the API key
    pub fn new(spec: &Spec, orders_url: &str, secret: &str, outward: Outward) -> Self {
        let api_url = orders_url.trim_end_matches('/').to_owned();
        Self { spec: spec.clone(), api_url, key: secret.to_owned(), outward }
    }

    fn call(&self, method: &str, path: &str, body: Body<'_>) -> Result<Reply, Setback> {
        let url = format!("{}{path}", self.api_url);
        let mut headers = vec![("x-api-key", self.key.clone()), ("accept", JSON.into())];
        if !matches!(body, Body::Empty) {
            headers.push(("content-type", JSON.into()));
        }
        self.outward.call(Call { method, url: &url, headers, body })
    }

    fn get(&self, path: &str) -> Result<Reply, Setback> {
        self.call("GET", path, Body::Empty)
    }

    fn post(&self, path: &str, message: &impl Serialize) -> Result<Reply, Setback> {
        let body = serde_json::to_vec(message);
        let body = body.map_err(|error| Setback::refused(error.to_string()))?;
        self.call("POST", path, Body::Bytes(&body))
    }

    /// The order of a parcel as the provider has it now.
    fn order(&self, parcel_key: &str, remote: &str) -> Result<Order, Setback> {
        if !is_plain_name(remote) {
            return Err(Setback::refused(format!("`{}` names no order", words(remote))));
        }
        let reply = self.get(&format!("/orders/{remote}"))?;
        let answer: OneOrder = answered(&reply)?;
        let order = answer.order.filter(|order| order.id == remote && order.is_of(parcel_key));
        order.ok_or_else(|| setback(&reply))
    }

    /// What is to be made by the lines of a parcel, in the provider's words.
    fn wares<'a>(&'a self, lines: &'a [Line]) -> Result<Vec<Ware<'a>>, Setback> {
        if lines.len() > LINES_MAX {
            let count = lines.len();
            return Err(Setback::refused(format!(
                "{count} orders at once are too many, make its `batch_minutes` less: it takes \
                 {LINES_MAX}"
            )));
        }
        let ware = |line: &'a Line| {
            let (name, product) = product(line)?;
            let attributes = product.attributes.iter().map(|(k, v)| (k.as_str(), v.as_str()));
            let mut attributes: BTreeMap<&str, &str> = attributes.collect();
            if let Some(finish) = &product.finish {
                attributes.entry("finish").or_insert(finish);
            }
            let assets = [PrintArea { print_area: &self.spec.print_area }];
            Ok(Ware { sku: product.code(name), copies: line.copies, attributes, assets })
        };
        lines.iter().map(ware).collect()
    }

    fn item<'a>(
        &'a self,
        ware: Ware<'a>,
        line: &'a Line,
        files: &dyn Files,
    ) -> Result<Item<'a>, Setback> {
        let asset = asset(line, files)?;
        let sizing = match self.spec.sizing {
            Sizing::Fill => "fillPrintArea",
            Sizing::Fit => "fitPrintArea",
        };
        let print_area = &self.spec.print_area;
        let assets = [PrintAsset { print_area, url: asset.url, md5_hash: asset.md5 }];
        let Ware { sku, copies, attributes, assets: _ } = ware;
        Ok(Item { merchant_reference: &line.order_key, sku, copies, sizing, attributes, assets })
    }
}

impl Target for Prodigi {
    fn carries(&self) -> Carries {
        CARRIES
    }

    fn quote(&self, parcel: &Parcel) -> Result<Option<Quote>, Setback> {
        let shipping = shipping(parcel);
        let message = QuoteMessage {
            shipping_method: shipping,
            destination_country_code: &recipient(parcel)?.country_code,
            currency_code: &parcel.currency,
            items: self.wares(&parcel.lines)?,
        };
        let reply = self.post("/quotes", &message).map_err(harmless)?;
        let answer: Quotes = answered(&reply).map_err(harmless)?;
        let way =
            |quote: &&message::QuoteAnswer| quote.shipment_method.eq_ignore_ascii_case(shipping);
        let quote = answer.quotes.iter().find(way).ok_or_else(|| {
            Setback::refused(format!("the provider does not ship there by `{shipping}`"))
        })?;
        let total = quote.cost_summary.total();
        total.map(Some).ok_or_else(|| Setback::not_taken("the provider's quote does not add up"))
    }

    fn send(&self, parcel: &Parcel, files: &dyn Files) -> Result<Taken, Setback> {
        let (key, recipient) = (parcel.parcel_key.as_str(), recipient(parcel)?);
        let wares = self.wares(&parcel.lines)?.into_iter().zip(&parcel.lines);
        let items = wares.map(|(ware, line)| self.item(ware, line, files));
        let message = OrderMessage {
            merchant_reference: key,
            idempotency_key: key,
            callback_url: Some(parcel.callback_url.as_str()).filter(|url| !url.is_empty()),
            shipping_method: shipping(parcel),
            recipient: recipient.into(),
            items: items.collect::<Result<_, _>>()?,
            metadata: Agreed {
                agreed: decimal(parcel.price_minor()),
                currency: parcel.currency.clone(),
            },
        };
        let reply = self.post("/orders", &message)?;
        let answer: OneOrder = answered(&reply)?;
        // However the outcome is called: an order under our key is there, or it is not.
        let order = answer.order.filter(|order| order.is_of(key));
        order.map(|order| order.taken()).ok_or_else(|| setback(&reply))
    }

    fn find(&self, parcel: &Parcel) -> Result<Search, Setback> {
        let key = &parcel.parcel_key;
        let reply = self.get(&format!("/orders?merchantReferences={key}&top=5"))?;
        let answer: Orders = answered(&reply)?;
        let order = answer.orders.iter().find(|order| order.is_of(key));
        // An order that is there and not listed yet is what sending again is answered with.
        Ok(order.map_or(Search::SendAgain, |order| Search::Found(order.taken())))
    }

    fn follow(&self, parcel_key: &str, remote: &str) -> Result<Progress, Setback> {
        Ok(self.order(parcel_key, remote)?.progress())
    }

    fn cancel(&self, parcel_key: &str, remote: &str) -> Result<Cancelled, Setback> {
        let stopped = || Ok(Cancelled::Stopped("the provider has cancelled it".into()));
        let too_late = |why: &str| Ok(Cancelled::TooLate(why.into()));
        // An earlier call may have got there although its answer did not come back.
        if self.order(parcel_key, remote)?.is_cancelled() {
            return stopped();
        }
        let reply = self.get(&format!("/orders/{remote}/actions"))?;
        let actions: Actions = answered(&reply)?;
        if actions.cancel.is_available.eq_ignore_ascii_case("No") {
            return too_late("the provider has begun to make it");
        }
        let reply = self.call("POST", &format!("/orders/{remote}/actions/cancel"), Body::Empty)?;
        let answer: Outcome = read(&reply).ok_or_else(|| setback(&reply))?;
        match answer.outcome.to_ascii_lowercase().as_str() {
            "cancelled" if is_success(&reply) => stopped(),
            "failedtocancel" | "actionnotavailable" => {
                too_late("the provider can no longer stop all of it")
            }
            _ => Err(setback(&reply)),
        }
    }
}

/// The provider's word for how a parcel travels.
fn shipping(parcel: &Parcel) -> &str {
    parcel.delivery.as_deref().unwrap_or(SHIPPING)
}

/// The answer, unless the provider will not have it or it cannot be read.
fn answered<T: DeserializeOwned>(reply: &Reply) -> Result<T, Setback> {
    let refuses = ["ValidationFailed", "EntityNotFound", "NotAvailable"];
    let outcome: Option<Outcome> = read(reply);
    let is_refusal = |answer: Outcome| {
        refuses.iter().any(|refusal| answer.outcome.eq_ignore_ascii_case(refusal))
    };
    if reply.status < 500 && outcome.is_some_and(is_refusal) {
        let why = words(&reply.words());
        return Err(Setback::refused(format!("the provider does not take it: {why}")));
    }
    let answer = if is_success(reply) { read(reply) } else { None };
    answer.ok_or_else(|| setback(reply))
}

/// What went wrong with a question: nothing was ordered by it, whatever came back.
fn harmless(setback: Setback) -> Setback {
    match setback.fate {
        Fate::Unknown => Setback { fate: Fate::NotTaken, ..setback },
        _ => setback,
    }
}
