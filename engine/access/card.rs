//! Who a provider is and what it offers, in one file: what `signet consent allow` agrees to.
//!
//! `signet lab invite` writes it as JSON, with a key and a secret. For a provider that knows nothing
//! of Signet the owner writes it, as TOML: which target, what the provider calls its products.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::key::Jwk;
use crate::base::money::Currency;
use crate::orders::catalogue::{Delivery, Product};
use crate::orders::target::TargetSpec;
use crate::orders::terms::Fees;
use crate::preview::PreviewWish;

/// The version that this program reads.
pub const VERSION: &str = "provider/1";

/// A provider as it presents itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// [`VERSION`]
    pub signet: String,
    /// Name for rule files.
    pub name: String,
    /// Where orders are posted to, where its target needs an address; of a lab its last part names
    /// the owner.
    #[serde(default)]
    pub orders_url: String,
    /// In which way it gets orders.
    #[serde(default)]
    pub target: TargetSpec,
    /// The provider's public key, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Jwk>,
    /// What it shares with the owner: webhook secrets with blanks between them, an API key. Keep
    /// the card private.
    #[serde(default)]
    pub secret: String,
    /// Currency of prices and fees.
    pub currency: Currency,
    /// What it offers, by the names that rules use.
    #[serde(default)]
    pub products: BTreeMap<String, Product>,
    /// What it calls its ways of delivery.
    #[serde(default)]
    pub delivery: Delivery,
    /// Orders for one addressee wait so long for others that go with them, in minutes.
    #[serde(default)]
    pub batch_minutes: u32,
    /// What it pays for an access, minor units.
    #[serde(default)]
    pub fees: Fees,
    /// How it wants previews, where the owner's rule does not say.
    #[serde(default)]
    pub preview: PreviewWish,
}

/// Why there is no card to agree to.
#[derive(Debug, thiserror::Error)]
pub enum CardError {
    /// The file could not be read.
    #[error("`{}` cannot be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no card, or a newer one.
    #[error("`{}`: {message}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where.
        message: String,
    },
}

impl Card {
    /// Reads a card; TOML where its name ends so, JSON otherwise.
    ///
    /// # Errors
    /// A file that cannot be read or is no card.
    pub fn read(path: &Path) -> Result<Self, CardError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| CardError::File { path: path.into(), source })?;
        let content = |message: String| CardError::Content { path: path.into(), message };
        let is_toml = path.extension().is_some_and(|extension| extension == "toml");
        let card: Self = match is_toml {
            true => toml::from_str(&text).map_err(|error| {
                let line = error.span().map_or(0, |span| {
                    text.bytes().take(span.start).filter(|byte| *byte == b'\n').count()
                });
                let message = error.message().replace('\n', ", ");
                content(format!("line {}: {message}", line + 1))
            })?,
            false => serde_json::from_str(&text)
                .map_err(|error| content(format!("this is no provider card: {error}")))?,
        };
        if card.signet != VERSION {
            return Err(content(format!(
                "version `{}` is not known to this program, it reads `{VERSION}`",
                card.signet
            )));
        }
        card.target.check().map_err(content)?;
        Ok(card)
    }
}
