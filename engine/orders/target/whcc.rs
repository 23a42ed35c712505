//! A pro lab that takes orders in two steps, in the shape of WHCC's Order Submit API: import, then
//! submit.
//!
//! The lab fetches each photo from its address and checks its MD5. Products, options and ways of
//! shipping are numbers of the lab's catalogue; how to write them is said at [`Spec`].
//!
//! Exactly once: [`Target::send`] imports, and an import is nothing but a priced draft. The name
//! that the lab gives it is kept by the caller like the name of any order, and the next step,
//! [`Target::follow`], submits that one draft and no other. The lab makes a draft once: submitted
//! again, it says that it was (412.04). So an import of which nobody knows is imported again and
//! harms nobody, and a submission of which nobody knows is repeated.
//!
//! This is why a parcel here has to be followed, although the lab can't be asked what became of
//! one: it tells by webhook, to one address for each account, and by mail.

use serde::{Deserialize, Serialize};

use self::message::{
    Attribute, Import, Imported, Item, ItemAsset, Order, Refusal, Submitted, Token,
};
use super::answer::{amount, is_plain_name, is_success, read, setback, words};
use super::asset::{asset, product, recipient};
use super::{Carries, Fate, Files, Progress, Search, Setback, Taken, Target};
use crate::base::money::decimal;
use crate::orders::outward::{Body, Call, Outward, Reply};
use crate::orders::parcel::{Line, Parcel, Recipient};
use crate::store::OrderState;

mod message;

/// Part of a product that has one: the picture itself.
const NODE: u32 = 10_000;

/// Currency of the lab's prices; its answers do not name it.
const CURRENCY: &str = "USD";

/// What goes along, and what is lost.
pub(super) const CARRIES: Carries = Carries {
    batches: true,
    bytes: false,
    crop: false,
    companions: false,
    address: true,
    contact: true,
    progress: false,
    cancels: false,
};

const JSON: &str = "application/json";

/// What is to be known of such a lab besides its address and its key.
///
/// A product's `code` is its `ProductUID`. Its `attributes` may have `node`, the `ProductNodeID`
/// where it is not 10000, and `options`, numbers of `ItemAttributes` with blanks between. A word
/// for delivery is numbers of `OrderAttributes`, such as `96 545`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Who sends, as the parcel shows it, and where it goes back to.
    pub from: Recipient,
    /// Numbers of `OrderAttributes` that every order has.
    #[serde(default)]
    pub order_attributes: Vec<u32>,
}

/// A lab that speaks this API.
pub struct Whcc {
    spec: Spec,
    api_url: String,
    secret: String,
    outward: Outward,
}

impl Whcc {
    /// - `orders_url`: of the lab, without `/api`, such as `https://apps.whcc.com`
    /// - `secret`: consumer key and consumer secret, with a colon between
    pub fn new(spec: &Spec, orders_url: &str, secret: &str, outward: Outward) -> Self {
        let api_url = format!("{}/api", orders_url.trim_end_matches('/'));
        Self { spec: spec.clone(), api_url, secret: secret.to_owned(), outward }
    }

    /// Asks for a token, which holds for an hour. The lab wants a new one for each order.
    fn token(&self) -> Result<Token, Setback> {
        let Some((key, secret)) = self.secret.split_once(':') else {
            return Err(Setback::refused(
                "the key of the lab is to be written as consumer key, colon, consumer secret",
            ));
        };
        let (key, secret) = (form_text(key), form_text(secret));
        let form =
            format!("grant_type=consumer_credentials&consumer_key={key}&consumer_secret={secret}");
        let reply = self.outward.call(Call {
            method: "POST",
            url: &format!("{}/AccessToken", self.api_url),
            headers: vec![
                ("content-type", "application/x-www-form-urlencoded".into()),
                ("accept", JSON.into()),
            ],
            body: Body::Bytes(form.as_bytes()),
        })?;
        let token: Option<Token> = if is_success(&reply) { read(&reply) } else { None };
        token.ok_or_else(|| refusal(&reply))
    }

    fn post(&self, token: &Token, path: &str, body: Body<'_>) -> Result<Reply, Setback> {
        let url = format!("{}{path}", self.api_url);
        let authorization = format!("Bearer {}", token.token);
        let mut headers = vec![("authorization", authorization), ("accept", JSON.into())];
        if !matches!(body, Body::Empty) {
            headers.push(("content-type", JSON.into()));
        }
        self.outward.call(Call { method: "POST", url: &url, headers, body })
    }

    /// Makes a draft of a parcel at the lab.
    ///
    /// # Errors
    /// Refused or not taken: whatever came back, nothing is made.
    fn import(&self, parcel: &Parcel, items: Vec<Item>) -> Result<Imported, Setback> {
        let shipping = numbers(parcel.delivery.as_deref().unwrap_or_default(), "delivery")?;
        let attributes = self.spec.order_attributes.iter().copied().chain(shipping);
        let message = Import {
            entry_id: &parcel.parcel_key,
            orders: [Order {
                sequence_number: 1,
                reference: &parcel.parcel_key,
                // By mail at least the owner hears of what the lab does not like later.
                send_notification_email_to_account: true,
                ship_to_address: recipient(parcel)?.into(),
                ship_from_address: (&self.spec.from).into(),
                order_attributes: attributes.map(attribute).collect(),
                order_items: items,
            }],
        };
        let body = serde_json::to_vec(&message);
        let body = body.map_err(|error| Setback::refused(error.to_string()))?;
        let reply =
            self.token().and_then(|token| self.post(&token, "/OrderImport", Body::Bytes(&body)));
        let reply = reply.map_err(harmless)?;
        let imported: Option<Imported> = if is_success(&reply) { read(&reply) } else { None };
        let imported = imported.filter(|imported| is_plain_name(&imported.confirmation_id));
        imported.ok_or_else(|| harmless(refusal(&reply)))
    }

    fn item(line: &Line, files: &dyn Files) -> Result<Item, Setback> {
        let (name, product) = product(line)?;
        let wrong = |what: &str| {
            Setback::refused(format!("`{what}` of product `{name}` is no number of the catalogue"))
        };
        let product_uid = product.code(name).parse().map_err(|_not_a_number| wrong("code"))?;
        let (mut node, mut options) = (NODE, Vec::new());
        for (key, value) in &product.attributes {
            match key.as_str() {
                "node" => node = value.parse().map_err(|_not_a_number| wrong("node"))?,
                "options" => options = numbers(value, "options")?,
                _ => {
                    return Err(Setback::refused(format!(
                        "`{key}` of product `{name}` means nothing to the lab: `node` and `options` do"
                    )));
                }
            }
        }
        let asset = asset(line, files)?;
        Ok(Item {
            product_uid,
            quantity: line.copies,
            item_assets: [ItemAsset {
                product_node_id: node,
                asset_path: asset.url,
                image_hash: asset.md5,
                printed_file_name: asset.name,
                auto_rotate: true,
            }],
            item_attributes: options.into_iter().map(attribute).collect(),
        })
    }
}

impl Target for Whcc {
    fn carries(&self) -> Carries {
        CARRIES
    }

    /// Imports: the only call that the lab prices.
    fn send(&self, parcel: &Parcel, files: &dyn Files) -> Result<Taken, Setback> {
        let items = parcel.lines.iter().map(|line| Self::item(line, files));
        let imported = self.import(parcel, items.collect::<Result<_, _>>()?)?;
        let price_minor = imported.price_minor(parcel)?;
        let note = format!(
            "a draft at the lab for {} {CURRENCY}, not yet submitted",
            decimal(price_minor)
        );
        let progress = Progress { state: OrderState::Accepted, note, look_again_s: Some(0) };
        Ok(Taken { remote: imported.confirmation_id, progress })
    }

    /// A draft that nobody submits is never made, so a parcel may be sent as often as need be.
    fn find(&self, _parcel: &Parcel) -> Result<Search, Setback> {
        Ok(Search::SendAgain)
    }

    /// Submits the draft, which the lab does once.
    fn follow(&self, _parcel_key: &str, remote: &str) -> Result<Progress, Setback> {
        if !is_plain_name(remote) {
            return Err(Setback::refused(format!("`{}` names no draft", words(remote))));
        }
        let token = self.token()?;
        let reply = self.post(&token, &format!("/OrderImport/Submit/{remote}"), Body::Empty)?;
        let submitted: Option<Submitted> = if is_success(&reply) { read(&reply) } else { None };
        if submitted.is_some_and(|s| s.confirmation_id == remote && s.confirmed_orders > 0) {
            return Ok(progress(OrderState::Accepted, SUBMITTED.into()));
        }
        let said: Option<Refusal> = read(&reply);
        match said.as_ref().map(|refusal| refusal.error_number.as_str()) {
            Some("412.04") => Ok(progress(OrderState::Accepted, SUBMITTED.into())),
            Some("400.01" | "412.01" | "412.02" | "412.03") if reply.status < 500 => {
                Ok(progress(OrderState::Failed, refusal(&reply).why))
            }
            _ => Err(refusal(&reply)),
        }
    }
}

const SUBMITTED: &str = "submitted; what becomes of it the lab tells by mail to its account";

fn progress(state: OrderState, note: String) -> Progress {
    Progress { state, note, look_again_s: None }
}

impl Imported {
    /// What the whole draft costs, shipping and tax included.
    ///
    /// # Errors
    /// Refused when it is more than was agreed for the parcel, or in another currency.
    fn price_minor(&self, parcel: &Parcel) -> Result<i64, Setback> {
        let totals = self.orders.iter().map(|order| amount(&order.total));
        let minor = totals.reduce(|sum, total| sum?.checked_add(total?)).flatten();
        let minor = minor.ok_or_else(|| Setback::not_taken("the lab's price is no amount"))?;
        let agreed = decimal(parcel.price_minor());
        if parcel.currency != CURRENCY || minor > parcel.price_minor() {
            return Err(Setback::refused(format!(
                "the lab wants {} {CURRENCY} with shipping and tax, agreed is {agreed} {}: agree \
                 with it anew",
                decimal(minor),
                parcel.currency
            )));
        }
        Ok(minor)
    }
}

/// What the lab refuses, in words.
fn refusal(reply: &Reply) -> Setback {
    let Some(said) = read::<Refusal>(reply) else { return setback(reply) };
    let (number, message) = (words(&said.error_number), words(&said.message));
    let why = |what: &str| format!("{what} ({number}: {message})");
    match number.as_str() {
        "400.01" => Setback::not_taken(why("the lab fetched other bytes than were ordered")),
        "400.02" => Setback::not_taken(why("the lab does not find the photo at its address")),
        "400.03" => Setback::not_taken(why("the lab could not copy the photo")),
        n if n.starts_with("403") => Setback::away(why("the lab does not take the key")),
        n if n.starts_with("400.") || n.starts_with("412.") => {
            Setback::refused(why("the lab does not take it"))
        }
        _ => Setback { why: why("the lab says no"), ..setback(reply) },
    }
}

/// What went wrong with an import: it is no order, whatever came back.
fn harmless(setback: Setback) -> Setback {
    match setback.fate {
        Fate::Unknown => Setback { fate: Fate::NotTaken, ..setback },
        _ => setback,
    }
}

fn attribute(attribute_uid: u32) -> Attribute {
    Attribute { attribute_uid }
}

/// Numbers of the catalogue, with blanks between.
fn numbers(text: &str, what: &str) -> Result<Vec<u32>, Setback> {
    let number = |word: &str| word.parse().ok();
    let numbers: Option<Vec<u32>> = text.split_whitespace().map(number).collect();
    numbers.ok_or_else(|| {
        Setback::refused(format!(
            "`{text}` as {what} is not numbers of the catalogue, such as `96 545`"
        ))
    })
}

/// A text as a field of a form.
fn form_text(text: &str) -> String {
    let escaped = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escaped).collect()
}
