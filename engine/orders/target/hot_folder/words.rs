//! What the placeholders of a dialect stand for, for one photo of one order.
//!
//! Everything that comes from outside becomes plain ASCII: controllers of labs know nothing else.
//! In names of files and folders only letters, digits, `-`, `_` and `.` are left; in lines of a
//! control file what would end a line or a quoted text is taken out.
//!
//! A name gets a piece of the order's key, so no two photos of a folder have the same, not even
//! where upper and lower case are.

use std::collections::BTreeMap;

use super::template::Template;
use crate::orders::catalogue::Size;
use crate::orders::parcel::{Line, Parcel};
use crate::orders::target::Setback;
use crate::orders::webhook::MemberMessage;

/// Placeholders that dialects may use, besides their own words and `attribute.NAME`.
pub(super) const NAMES: [&str; 23] = [
    "addressee",
    "channel",
    "code",
    "copies",
    "count",
    "date",
    "delivery",
    "ext",
    "file",
    "finish",
    "format",
    "height_mm",
    "inches",
    "moment",
    "name",
    "number",
    "order",
    "owner",
    "parcel",
    "product",
    "size",
    "source",
    "width_mm",
];

/// Longest piece of a name that comes from outside.
const NAME_CHARS_MAX: usize = 40;

/// Longest text in a control file that comes from outside; DPOF ends at 127.
const TEXT_CHARS_MAX: usize = 120;

/// Characters of the order's key behind a name: 40 bits.
const KEY_CHARS: usize = 8;

/// Where a value is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Into the name of a file or folder.
    Path,
    /// Into a line of a control file.
    Line,
}

/// One photo of a parcel, and where it stands among the others.
#[derive(Debug, Clone)]
pub(super) struct Photo<'a> {
    /// The parcel.
    pub(super) parcel: &'a Parcel,
    /// The order.
    pub(super) line: &'a Line,
    /// Its photo.
    pub(super) member: &'a MemberMessage,
    /// The dialect's word for its format.
    pub(super) format: &'a str,
    /// Its number in its folder, from 1.
    pub(super) number: usize,
    /// How many there are in its folder.
    pub(super) count: usize,
    /// Its own name; empty until it has one.
    pub(super) file: String,
    /// Its path in the folder that is handed over, `/` between names.
    pub(super) inside: String,
    /// The same from where the control file is.
    pub(super) source: String,
}

impl Photo<'_> {
    /// A template with the values of this photo.
    ///
    /// # Errors
    /// What the order lacks that its dialect cannot do without.
    pub(super) fn render(
        &self,
        template: &Template,
        words: &BTreeMap<String, Template>,
        purpose: Use,
    ) -> Result<Option<String>, Setback> {
        template.render(|name| match words.get(name) {
            Some(word) => word.render(|name| self.value(name, purpose)),
            None => self.value(name, purpose),
        })
    }

    fn value(&self, name: &str, purpose: Use) -> Result<Option<String>, Setback> {
        let Self { parcel, line, member, .. } = self;
        let clean = |text: &str| match purpose {
            Use::Path => path_part(text),
            Use::Line => line_part(text),
        };
        let moment = parcel.created_at.to_string();
        let size = line.product.as_ref().and_then(|(_, product)| product.size);
        let value = match name {
            "parcel" => parcel.parcel_key.clone(),
            "order" => line.order_key.clone(),
            "owner" => clean(&parcel.sender.name),
            "addressee" => parcel.addressee.as_deref().map(clean).unwrap_or_default(),
            "delivery" => parcel.delivery.as_deref().map(clean).unwrap_or_default(),
            "date" => moment.chars().take(10).collect(),
            "moment" => moment
                .chars()
                .take(19)
                .map(|c| if c == '-' || c == 'T' { ':' } else { c })
                .collect(),
            "code" => clean(self.code()?),
            "channel" => self.channel()?,
            "product" => line.product.as_ref().map(|(name, _)| clean(name)).unwrap_or_default(),
            "finish" => self.product()?.finish.as_deref().map(clean).unwrap_or_default(),
            "width_mm" => size.map(|size| size.width_mm.to_string()).unwrap_or_default(),
            "height_mm" => size.map(|size| size.height_mm.to_string()).unwrap_or_default(),
            "size" => size.map(in_centimetres).unwrap_or_default(),
            "inches" => size.map(in_inches).unwrap_or_default(),
            "copies" => line.copies.to_string(),
            "number" => self.number.to_string(),
            "count" => self.count.to_string(),
            "format" => self.format.to_owned(),
            "ext" => extension(member),
            "name" => {
                let stem = member.name.rsplit_once('.').map_or(&*member.name, |parts| parts.0);
                let key: String = line.order_key.chars().take(KEY_CHARS).collect();
                let stem = Some(path_part(stem)).filter(|stem| !stem.is_empty());
                format!("{}-{key}", stem.as_deref().unwrap_or("photo"))
            }
            "file" => self.file.clone(),
            "source" => self.source.clone(),
            other => {
                let Some(attribute) = other.strip_prefix("attribute.") else { return Ok(None) };
                let attribute = self.product()?.attributes.get(attribute);
                attribute.map(|text| clean(text)).unwrap_or_default()
            }
        };
        Ok(Some(value))
    }

    fn product(&self) -> Result<&crate::orders::catalogue::Product, Setback> {
        let product = self.line.product.as_ref().map(|(_, product)| product);
        product.ok_or_else(|| {
            Setback::refused("this folder takes orders for products, not photos that are shared")
        })
    }

    fn code(&self) -> Result<&str, Setback> {
        let product = self.product()?;
        let name = self.line.product.as_ref().map_or("", |(name, _)| name);
        Ok(product.code(name))
    }

    /// The code as a number of a lab's channel.
    fn channel(&self) -> Result<String, Setback> {
        let code = self.code()?;
        match code.parse::<u16>() {
            Ok(channel @ 1..=999) => Ok(format!("{channel:03}")),
            _ => {
                let name = self.line.product.as_ref().map_or("", |(name, _)| name);
                Err(Setback::refused(format!(
                    "the lab knows product `{name}` by a channel from 1 to 999, and its code is \
                     `{}`: ask the lab for it and write `code = \"12\"`",
                    code.escape_debug()
                )))
            }
        }
    }
}

/// A text as a part of a file's name.
pub(super) fn path_part(text: &str) -> String {
    let is_kept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let ascii = ascii(text, NAME_CHARS_MAX);
    let kept: String = ascii.chars().map(|c| if is_kept(c) { c } else { '_' }).collect();
    kept.trim_matches('.').to_owned()
}

/// A text as a part of a line of a control file.
fn line_part(text: &str) -> String {
    let is_kept = |c: &char| (' '..='~').contains(c) && !matches!(c, '<' | '>' | '[' | ']' | '\\');
    let text = ascii(text, TEXT_CHARS_MAX).replace('"', "'");
    let text: String = text.chars().filter(is_kept).collect();
    text.trim().to_owned()
}

/// The beginning of a text in Latin letters; `_` stands for what has none.
fn ascii(text: &str, chars_max: usize) -> String {
    let blank = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = text.chars().take(chars_max).map(blank).collect();
    deunicode::deunicode_with_tofu(&text, "_").chars().take(chars_max).collect()
}

/// Extension by what the bytes are; of what is not known the name's own.
fn extension(member: &MemberMessage) -> String {
    match member.media_type.as_str() {
        "image/jpeg" => "jpg".to_owned(),
        "image/tiff" => "tif".to_owned(),
        "image/png" => "png".to_owned(),
        "image/webp" => "webp".to_owned(),
        "image/heic" | "image/heif" => "heic".to_owned(),
        _ => {
            let extension = member.name.rsplit_once('.').map_or("", |parts| parts.1);
            let extension = path_part(extension).to_lowercase();
            if extension.is_empty() { "bin".to_owned() } else { extension }
        }
    }
}

/// Both sides in centimetres, rounded: 102x152 mm are `10x15`.
fn in_centimetres(size: Size) -> String {
    let side = |side_mm: u32| (u64::from(side_mm) + 5) / 10;
    format!("{}x{}", side(size.width_mm), side(size.height_mm))
}

/// Both sides in inches, to the half: 89x127 mm are `3.5x5`.
fn in_inches(size: Size) -> String {
    let side = |side_mm: u32| {
        let halves = (u64::from(side_mm) * 20 + 127) / 254;
        if halves % 2 == 0 { (halves / 2).to_string() } else { format!("{}.5", halves / 2) }
    };
    format!("{}x{}", side(size.width_mm), side(size.height_mm))
}
