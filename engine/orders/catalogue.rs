//! What a provider offers: its products, and what it calls them.
//!
//! A product is written as its price alone (`mug = 1290`, all that `signet lab` needs), or as a
//! table that maps it to the provider's own code, size and floor. Products are part of the terms
//! that the owner signed: a catalogue that changes holds only when it is agreed to again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Dots per inch below which a print of a known size is asked about, where the catalogue does not
/// say: at 150 dpi a line pair of a print at arm's length (30 cm) is about 2 arc minutes wide.
pub const DPI_MIN: u32 = 150;

/// One product of a provider.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Product {
    /// Price of one copy, minor units.
    pub price_minor: i64,
    /// What the provider calls it: an SKU, a channel, a medium. Absent: as we do.
    pub code: Option<String>,
    /// Finished size; absent: the provider knows.
    pub size: Option<Size>,
    /// Surface or other choice, in the provider's word, such as `glossy`.
    pub finish: Option<String>,
    /// Dots per inch that the original has to give; absent: [`DPI_MIN`].
    pub dpi_min: Option<u32>,
    /// Least pixels of the original, short side and long side.
    pub pixels_min: Option<[u32; 2]>,
    /// What else the provider wants to be told with it, by its own names.
    pub attributes: BTreeMap<String, String>,
}

/// Size of a product in whole millimetres, portrait or landscape as it is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[u32; 2]", into = "[u32; 2]")]
pub struct Size {
    /// Left to right.
    pub width_mm: u32,
    /// Top to bottom.
    pub height_mm: u32,
}

/// How fast an order is to arrive, in the provider's words; absent: its usual way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Delivery {
    /// What it calls its usual way.
    pub standard: Option<String>,
    /// What it calls a faster one, for orders that are urgent.
    pub express: Option<String>,
}

impl Product {
    /// A product of which only the price is known.
    pub fn priced(price_minor: i64) -> Self {
        Self { price_minor, ..Self::default() }
    }

    /// What the provider calls it.
    pub fn code<'a>(&'a self, name: &'a str) -> &'a str {
        self.code.as_deref().unwrap_or(name)
    }
}

impl From<[u32; 2]> for Size {
    fn from([width_mm, height_mm]: [u32; 2]) -> Self {
        Self { width_mm, height_mm }
    }
}

impl From<Size> for [u32; 2] {
    fn from(size: Size) -> Self {
        [size.width_mm, size.height_mm]
    }
}

/// A product as files have it.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Price(i64),
    Table(Table),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    price_minor: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(default, rename = "size_mm", skip_serializing_if = "Option::is_none")]
    size: Option<Size>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    finish: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dpi_min: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pixels_min: Option<[u32; 2]>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, String>,
}

impl From<Written> for Product {
    fn from(written: Written) -> Self {
        match written {
            Written::Price(price_minor) => Self::priced(price_minor),
            Written::Table(table) => {
                let Table { price_minor, code, size, finish, dpi_min, pixels_min, attributes } =
                    table;
                Self { price_minor, code, size, finish, dpi_min, pixels_min, attributes }
            }
        }
    }
}

impl From<Product> for Written {
    fn from(product: Product) -> Self {
        if product == Product::priced(product.price_minor) {
            return Self::Price(product.price_minor);
        }
        let Product { price_minor, code, size, finish, dpi_min, pixels_min, attributes } = product;
        Self::Table(Table { price_minor, code, size, finish, dpi_min, pixels_min, attributes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn product_is_its_price_or_a_table_and_is_written_as_it_was_read() {
        let text = "{\"mug\":1290,\"print\":{\"price_minor\":29,\"code\":\"10X15\",\"size_mm\":[102,152]}}";
        let products: BTreeMap<String, Product> = serde_json::from_str(text).expect("products");
        assert_eq!(products["mug"], Product::priced(1290));
        assert_eq!(products["print"].size, Some(Size { width_mm: 102, height_mm: 152 }));
        assert_eq!(products["print"].code("print"), "10X15");
        assert_eq!(serde_json::to_string(&products).expect("a text"), text);
        let wrong = serde_json::from_str::<Product>("{\"price_minor\":1,\"cod\":\"x\"}");
        assert!(wrong.is_err(), "a key that is not known is a mistake");
    }
}
