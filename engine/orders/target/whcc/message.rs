//! What is said to such a lab and how it answers, field by field.
//!
//! Nothing here decides anything. Fields of an answer that are not named are not read.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::orders::parcel::Recipient;

/// `POST /api/OrderImport`
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Import<'a> {
    pub(super) entry_id: &'a str,
    pub(super) orders: [Order<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Order<'a> {
    pub(super) sequence_number: u32,
    pub(super) reference: &'a str,
    pub(super) send_notification_email_to_account: bool,
    pub(super) ship_to_address: Address<'a>,
    pub(super) ship_from_address: Address<'a>,
    pub(super) order_attributes: Vec<Attribute>,
    pub(super) order_items: Vec<Item>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Item {
    #[serde(rename = "ProductUID")]
    pub(super) product_uid: u32,
    pub(super) quantity: u32,
    pub(super) item_assets: [ItemAsset; 1],
    pub(super) item_attributes: Vec<Attribute>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ItemAsset {
    #[serde(rename = "ProductNodeID")]
    pub(super) product_node_id: u32,
    pub(super) asset_path: String,
    /// MD5, small hexadecimal digits.
    pub(super) image_hash: String,
    pub(super) printed_file_name: String,
    pub(super) auto_rotate: bool,
}

/// A choice, by its number in the lab's catalogue.
#[derive(Serialize, Clone, Copy)]
pub(super) struct Attribute {
    #[serde(rename = "AttributeUID")]
    pub(super) attribute_uid: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Address<'a> {
    name: &'a str,
    addr1: &'a str,
    addr2: Option<&'a str>,
    city: &'a str,
    state: Option<&'a str>,
    zip: &'a str,
    country: &'a str,
    phone: Option<&'a str>,
}

impl<'a> From<&'a Recipient> for Address<'a> {
    fn from(recipient: &'a Recipient) -> Self {
        Self {
            name: &recipient.name,
            addr1: &recipient.line1,
            addr2: recipient.line2.as_deref(),
            city: &recipient.town,
            state: recipient.state.as_deref(),
            zip: &recipient.postal_code,
            country: &recipient.country_code,
            phone: recipient.phone.as_deref(),
        }
    }
}

/// `POST /api/AccessToken`, the answer.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Token {
    pub(super) token: String,
}

/// `POST /api/OrderImport`, the answer.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Imported {
    #[serde(rename = "ConfirmationID")]
    pub(super) confirmation_id: String,
    #[serde(default)]
    pub(super) orders: Vec<Priced>,
}

/// What one order of an import costs, with everything: `4.42`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Priced {
    pub(super) total: String,
}

/// `POST /api/OrderImport/Submit/{ConfirmationID}`, the answer.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Submitted {
    #[serde(rename = "ConfirmationID")]
    pub(super) confirmation_id: String,
    pub(super) confirmed_orders: u64,
}

/// A refusal; may come with a status of 200.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Refusal {
    /// Such as `412.04`.
    #[serde(deserialize_with = "number_or_text")]
    pub(super) error_number: String,
    #[serde(default)]
    pub(super) message: String,
}

fn number_or_text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    match Value::deserialize(from)? {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(serde::de::Error::custom("neither number nor text")),
    }
}
