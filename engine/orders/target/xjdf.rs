//! Job tickets in XJDF 2.2 (CIP4), put into a folder: what to make, where to fetch it, where it goes.
//!
//! In:  a parcel. Out: one file, `KEY.xjdf`, there whole or not at all. Photos are named by their
//! addresses and fetched by whoever takes the ticket; when all were, the order is done.
//!
//! The elements are those of the public schema, in its order. `CheckSum` is an MD5, as it always was
//! in JDF; the SHA-256 goes with it under a name of our own, which the schema allows. The schema itself
//! is not ours to ship; a test validates against it where it is present.
//!
//! Knows nothing of XJMF: nobody is told over a network that a ticket is there.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::asset::asset;
use super::handover::{Content, Entry, Piece, Record, Tray};
use super::{Carries, Files, Progress, Search, Setback, Taken, Target};
use crate::orders::parcel::{Line, Parcel, Recipient};
use crate::store::OrderState;

/// What a job ticket can carry.
pub const CARRIES: Carries = Carries {
    batches: true,
    bytes: false,
    crop: false,
    companions: false,
    address: true,
    contact: true,
    progress: false,
    cancels: false,
};

/// Points of 1/72 inch in a millimetre.
const POINTS_PER_MM: f64 = 72.0 / 25.4;

/// Longest text of an attribute.
const TEXT_CHARS_MAX: usize = 1000;

/// Namespace of what XJDF has no name for.
const OURS: &str = "urn:signet:xjdf";

/// What has to be known of a folder for job tickets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The folder that is watched for tickets; absolute.
    pub folder: PathBuf,
    /// Where tickets are written first, on the same filesystem; absent: `.signet` in `folder`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desk: Option<PathBuf>,
    /// A file or folder that is in `folder` when it is the right one, and not the empty place of a
    /// share that is not mounted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landmark: Option<String>,
}

impl Spec {
    /// Whether it makes sense; the folder itself may be missing today.
    ///
    /// # Errors
    /// In words, with the cure.
    pub fn check(&self) -> Result<(), String> {
        Tray::check(&self.folder, self.desk.as_deref())
    }
}

/// A folder that takes job tickets.
pub struct Xjdf {
    tray: Tray,
}

impl Xjdf {
    /// The folder that `spec` describes.
    pub fn new(spec: &Spec) -> Self {
        Self { tray: Tray::new(&spec.folder, spec.desk.as_deref(), spec.landmark.as_deref()) }
    }
}

impl Target for Xjdf {
    fn carries(&self) -> Carries {
        CARRIES
    }

    fn send(&self, parcel: &Parcel, files: &dyn Files) -> Result<Taken, Setback> {
        let pieces = || {
            let content = Content::Text(ticket(parcel, files)?);
            let entries = vec![Entry { path: PathBuf::new(), content }];
            Ok(vec![Piece { place: place(&parcel.parcel_key), entries }])
        };
        self.tray.hand_over(&parcel.parcel_key, pieces, files)?;
        Ok(taken(parcel))
    }

    fn find(&self, parcel: &Parcel) -> Result<Search, Setback> {
        self.tray.ready().map_err(Setback::unknown)?;
        let settled: Option<Record> = self.tray.settle(&parcel.parcel_key)?;
        let is_there = settled.is_some() || self.tray.holds(&place(&parcel.parcel_key));
        Ok(if is_there { Search::Found(taken(parcel)) } else { Search::SendAgain })
    }

    /// Nothing: a ticket tells nothing; that it was fetched is seen by ourselves.
    fn follow(&self, _parcel_key: &str, _remote: &str) -> Result<Progress, Setback> {
        Ok(waits())
    }
}

fn taken(parcel: &Parcel) -> Taken {
    Taken { remote: parcel.parcel_key.clone(), progress: waits() }
}

fn waits() -> Progress {
    let note = "its job ticket is in the folder; it is done when the photos were fetched".into();
    Progress { state: OrderState::Accepted, note, look_again_s: None }
}

fn place(parcel_key: &str) -> PathBuf {
    PathBuf::from(format!("{parcel_key}.xjdf"))
}

/// The ticket of a parcel.
///
/// # Errors
/// A photo that is not there or changed; a line without a product.
fn ticket(parcel: &Parcel, files: &dyn Files) -> Result<String, Setback> {
    let mut products = Element::new("ProductList");
    let mut photos = resources("RunList");
    let mut delivery = Element::new("DeliveryParams").maybe("Method", method(parcel));
    for (index, line) in parcel.lines.iter().enumerate() {
        let id = format!("P{}", index + 1);
        products = products.with(product(&id, line)?);
        photos = photos.with(
            Element::new("Resource")
                .with(Element::new("Part").set("ProductPart", &id))
                .with(Element::new("RunList").with(file(line, files)?)),
        );
        delivery = delivery.with(
            Element::new("DropItem").set("Amount", line.copies.to_string()).set("ItemRef", &id),
        );
    }
    let delivery = resources("DeliveryParams").with(Element::new("Resource").with(delivery));
    let mut root = Element::new("XJDF")
        .set("xmlns", "http://www.CIP4.org/JDFSchema_2_0")
        .set("xmlns:signet", OURS)
        .set("Version", "2.2")
        .set("JobID", &parcel.parcel_key)
        .set("Category", "Web2Print")
        .set("Types", "Product")
        .set("DescriptiveName", format!("ordered by {}", parcel.sender.name))
        .with(products)
        .with(photos)
        .with(delivery);
    if let Some(recipient) = &parcel.recipient {
        let resource = Element::new("Resource")
            .with(Element::new("Part").set("ContactType", "Delivery"))
            .with(contact(recipient));
        root = root.with(resources("Contact").with(resource));
    }
    Ok(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{root}"))
}

fn resources(name: &'static str) -> Element {
    Element::new("ResourceSet").set("Name", name).set("Usage", "Input")
}

/// How it is to be delivered, in the provider's word; urgent without one: express.
fn method(parcel: &Parcel) -> Option<String> {
    let express = || parcel.express.then(|| "ExpressDelivery".to_owned());
    parcel.delivery.as_deref().map(token).or_else(express)
}

fn product(id: &str, line: &Line) -> Result<Element, Setback> {
    let Some((name, product)) = &line.product else {
        return Err(Setback::refused(
            "a job ticket orders products, and this photo is only to be shared",
        ));
    };
    let mut element = Element::new("Product")
        .set("ID", id)
        .set("IsRoot", "true")
        .set("Amount", line.copies.to_string())
        .set("DescriptiveName", name)
        .set("ExternalID", &line.order_key)
        .set("ProductType", "Photo")
        .set("ProductTypeDetails", product.code(name));
    for (name, value) in &product.attributes {
        element = element
            .with(Element::new("GeneralID").set("IDUsage", token(name)).set("IDValue", value));
    }
    if let Some(finish) = &product.finish {
        let media =
            Element::new("MediaIntent").set("MediaQuality", finish).set("MediaType", "Paper");
        element = element.with(Element::new("Intent").set("Name", "MediaIntent").with(media));
    }
    if let Some(size) = product.size {
        let points = |mm: u32| format!("{:.2}", f64::from(mm) * POINTS_PER_MM);
        let dimensions = format!("{} {}", points(size.width_mm), points(size.height_mm));
        let layout = Element::new("LayoutIntent")
            .set("Dimensions", dimensions)
            .set("Pages", "1")
            .set("Sides", "OneSided");
        element = element.with(Element::new("Intent").set("Name", "LayoutIntent").with(layout));
    }
    Ok(element)
}

/// Where the photo is fetched, and how to see that it is the right one.
fn file(line: &Line, files: &dyn Files) -> Result<Element, Setback> {
    let asset = asset(line, files)?;
    let Some(photo) = line.members.first() else {
        return Err(Setback::refused(format!("order `{}` has no photo", line.order_key)));
    };
    let mut file = Element::new("FileSpec")
        .set("URL", asset.url)
        .set("MimeType", &photo.media_type)
        .set("FileSize", photo.bytes_count.to_string())
        .set("CheckSum", asset.md5)
        .set("UserFileName", &photo.name)
        .set("signet:SHA256", photo.sha256.to_string());
    if !photo.grant.is_empty() {
        let header = Element::new("NetworkHeader")
            .set("Name", "Authorization")
            .set("Value", format!("DPoP {}", photo.grant));
        file = file.with(header);
    }
    Ok(file)
}

fn contact(recipient: &Recipient) -> Element {
    let Recipient { name, line1, line2, postal_code, town, state, country_code, email, phone } =
        recipient;
    let is_code = country_code.len() == 2 && country_code.bytes().all(|b| b.is_ascii_uppercase());
    let country = if is_code { "CountryCode" } else { "Country" };
    let address = Element::new("Address")
        .set("Street", line1)
        .maybe("ExtendedAddress", line2.clone())
        .set("PostalCode", postal_code)
        .set("City", town)
        .maybe("Region", state.clone())
        .set(country, country_code);
    let mut contact = Element::new("Contact").with(address);
    for (kind, locator) in [("Email", email), ("Phone", phone)] {
        if let Some(locator) = locator {
            let channel =
                Element::new("ComChannel").set("ChannelType", kind).set("Locator", locator);
            contact = contact.with(channel);
        }
    }
    contact.with(Element::new("Person").set("FamilyName", name))
}

/// A text as an XML name token: letters, digits, `.`, `-` and `_` of ASCII.
fn token(text: &str) -> String {
    let is_kept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let token: String =
        text.chars().map(|c| if is_kept(c) { c } else { '_' }).take(TEXT_CHARS_MAX).collect();
    if token.is_empty() { "_".to_owned() } else { token }
}

/// An element that can only be written well-formed.
#[derive(Debug)]
struct Element {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    children: Vec<Self>,
}

impl Element {
    fn new(name: &'static str) -> Self {
        Self { name, attributes: Vec::new(), children: Vec::new() }
    }

    fn set(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        self.attributes.push((name, escaped(value.as_ref())));
        self
    }

    fn maybe(self, name: &'static str, value: Option<String>) -> Self {
        match value {
            Some(value) => self.set(name, value),
            None => self,
        }
    }

    fn with(mut self, child: Self) -> Self {
        self.children.push(child);
        self
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        write!(f, "{:1$}<{2}", "", depth * 2, self.name)?;
        for (name, value) in &self.attributes {
            write!(f, " {name}=\"{value}\"")?;
        }
        if self.children.is_empty() {
            return writeln!(f, "/>");
        }
        writeln!(f, ">")?;
        self.children.iter().try_for_each(|child| child.write(f, depth + 1))?;
        writeln!(f, "{:1$}</{2}>", "", depth * 2, self.name)
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

/// A text as the value of an attribute; what XML cannot say is left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars().take(TEXT_CHARS_MAX) {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => {}
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests;
