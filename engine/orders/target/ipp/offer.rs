//! What a printer has, and which of it makes a product.
//!
//! In:  what the printer says about itself, a line of a parcel, the owner's [`Spec`].
//! Out: the attributes of a job; or, in words for the owner, what the printer has instead.
//!
//! The medium is chosen from `media-col-database`, which names size, margins, type and tray
//! together: `media-size-supported` and the margins listed beside it do not say which of them go
//! with each other. Sizes are as the paper lies in the tray, so a landscape product is looked for
//! both ways. 10x15 is 4x6 inches (101.6 mm x 152.4 mm) to most printers and 100 mm x 150 mm to
//! some: what is nearest within [`TOLERANCE`] is taken.
//!
//! Which way the picture lies is left to the printer, unless the owner says otherwise: on paper
//! that can be turned in the hand a picture turned by the wrong one of two is cut, and one that
//! the printer turned by itself is not.
//!
//! Knows nothing of bytes and calls.

use super::wire::{Attribute, Group, Value};
use super::{Orientation, Quality, Spec};
use crate::orders::catalogue::{Product, Size};
use crate::orders::parcel::Line;

/// What is asked of a printer before anything is sent to it.
pub(super) const ASKED: [&str; 9] = [
    "copies-supported",
    "document-format-supported",
    "media-col-database",
    "media-type-supported",
    "orientation-requested-supported",
    "print-quality-supported",
    "print-scaling-supported",
    "printer-is-accepting-jobs",
    "printer-state-reasons",
];

/// Hundredths of a millimetre, in which IPP measures.
const PER_MM: i64 = 100;

/// How far a medium may be from a product on each side: 2 mm.
const TOLERANCE: i64 = 2 * PER_MM;

/// Most choices that are listed to the owner.
const LISTED_MAX: usize = 24;

/// A medium that a printer takes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Medium {
    /// As it lies in the tray, hundredths of a millimetre.
    width: i64,
    height: i64,
    /// Top, right, bottom, left, hundredths of a millimetre.
    margins: [i32; 4],
    /// Absent: any type.
    kind: Option<String>,
    /// Absent: any tray.
    tray: Option<String>,
}

const MARGINS: [&str; 4] =
    ["media-top-margin", "media-right-margin", "media-bottom-margin", "media-left-margin"];

/// What a job is to be like, and what of the wishes the printer does not promise.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Job {
    /// Its attributes.
    pub(super) attributes: Vec<Attribute>,
    /// The photo's media type.
    pub(super) format: String,
    /// For the owner.
    pub(super) notes: Vec<String>,
}

/// Says how one line is to be printed.
///
/// # Errors
/// Why this printer cannot, and what it can.
pub(super) fn job(printer: &Group, spec: &Spec, line: &Line) -> Result<Job, String> {
    let (name, product) = line
        .product
        .as_ref()
        .ok_or("a printer prints products, and the order names none: it only shares a photo")?;
    let wishes = Wishes::of(name, product)?;
    let photo = line.members.first().ok_or("the order has no photo")?;
    takes_format(printer, &photo.media_type)?;
    takes_copies(printer, line.copies)?;
    let kind = match product.finish.as_deref().or(spec.media_type.as_deref()) {
        Some(finish) => Some(kind(printer, finish)?),
        None => None,
    };
    let medium = medium(printer, &wishes, kind.as_deref())?;
    let mut job = Job { attributes: Vec::new(), format: photo.media_type.clone(), notes: vec![] };
    let copies = i32::try_from(line.copies).map_err(|error| error.to_string())?;
    job.attributes.push(("copies", Value::Integer(copies)));
    job.attributes.push(("media-col", medium.written(kind, wishes.tray)));
    let quality = spec.quality.number();
    if has_number(printer, "print-quality-supported", quality) {
        job.attributes.push(("print-quality", Value::Enum(quality)));
    } else if spec.quality != Quality::Normal {
        job.notes.push(format!("the printer does not offer the quality `{}`", spec.quality.word()));
    }
    let scaling = spec.scaling.word();
    job.attributes.push(("print-scaling", Value::Keyword(scaling.to_owned())));
    if !printer.texts("print-scaling-supported").any(|word| word == scaling) {
        job.notes.push(format!("the printer does not promise the scaling `{scaling}`"));
    }
    if let Some(orientation) = orientation(spec, line, &medium) {
        if has_number(printer, "orientation-requested-supported", orientation) {
            job.attributes.push(("orientation-requested", Value::Enum(orientation)));
        } else {
            job.notes.push("the printer does not let itself be told which way to turn".into());
        }
    }
    Ok(job)
}

/// What the catalogue says that IPP can carry.
struct Wishes<'a> {
    name: &'a str,
    size: Size,
    has_border: bool,
    tray: Option<&'a str>,
}

impl<'a> Wishes<'a> {
    fn of(name: &'a str, product: &'a Product) -> Result<Self, String> {
        let size = product.size.ok_or_else(|| {
            format!("product `{name}` has no `size_mm`, by which its paper is chosen: add it")
        })?;
        let mut wishes = Self { name, size, has_border: false, tray: None };
        for (attribute, value) in &product.attributes {
            match (attribute.as_str(), value.as_str()) {
                ("border", "none") => wishes.has_border = false,
                ("border", "white") => wishes.has_border = true,
                ("media-source", tray) => wishes.tray = Some(tray),
                _ => {
                    return Err(format!(
                        "attribute `{attribute} = {value}` of product `{name}` means nothing to a \
                         printer; `border = none`, `border = white` and `media-source` do"
                    ));
                }
            }
        }
        Ok(wishes)
    }
}

fn takes_format(printer: &Group, format: &str) -> Result<(), String> {
    let mut formats = printer.texts("document-format-supported");
    if formats.any(|known| known == format) {
        return Ok(());
    }
    let listed = listed(printer.texts("document-format-supported"));
    Err(format!(
        "the printer does not take `{format}`, but {listed}: let the camera or phone keep photos in \
         one of these"
    ))
}

fn takes_copies(printer: &Group, copies: u32) -> Result<(), String> {
    let most = printer.ranges("copies-supported").map(|(_, most)| most).max().unwrap_or(1);
    if i64::from(copies) <= i64::from(most) {
        return Ok(());
    }
    Err(format!("the printer makes at most {most} copies of a photo, not {copies}: order fewer"))
}

/// The printer's word for a finish: the same, or `photographic-` and the same.
fn kind(printer: &Group, finish: &str) -> Result<String, String> {
    let photographic = format!("photographic-{finish}");
    let mut kinds = printer.texts("media-type-supported");
    let found = kinds.find(|kind| *kind == finish || *kind == photographic);
    found.map(str::to_owned).ok_or_else(|| {
        let listed = listed(printer.texts("media-type-supported"));
        format!("the printer has no paper `{finish}`, but {listed}: name one of these as `finish`")
    })
}

/// The medium that is nearest to what is wished.
fn medium(printer: &Group, wishes: &Wishes<'_>, kind: Option<&str>) -> Result<Medium, String> {
    let media: Vec<Medium> =
        printer.groups("media-col-database").filter_map(Medium::read).collect();
    let size = wishes.size;
    let fits = |medium: &Medium| {
        medium.distance(size).is_some()
            && medium.is_borderless() != wishes.has_border
            && (medium.kind.is_none() || kind.is_none() || medium.kind.as_deref() == kind)
            && (medium.tray.is_none()
                || wishes.tray.is_none()
                || medium.tray.as_deref() == wishes.tray)
    };
    let nearest = media.iter().filter(|medium| fits(medium));
    let nearest = nearest.min_by_key(|medium| medium.distance(size));
    nearest.cloned().ok_or_else(|| {
        let of_size: Vec<&Medium> = media.iter().filter(|m| m.distance(size).is_some()).collect();
        let which = if of_size.is_empty() { media.iter().collect() } else { of_size };
        let mut words: Vec<String> = which.iter().map(|medium| medium.words()).collect();
        words.sort();
        words.dedup();
        format!(
            "the printer cannot make `{}` ({} mm x {} mm, {}); it has {}",
            wishes.name,
            size.width_mm,
            size.height_mm,
            if wishes.has_border { "with a border" } else { "borderless" },
            listed(words.iter().map(String::as_str)),
        )
    })
}

impl Medium {
    /// Reads an entry of the database; `None` where it names no one size, as for rolls.
    fn read(entry: &Group) -> Option<Self> {
        let size = entry.groups("media-size").next()?;
        let side = |name| size.number(name).map(i64::from);
        let margin = |name| entry.number(name).unwrap_or(0);
        let word = |name| entry.text(name).map(str::to_owned);
        Some(Self {
            width: side("x-dimension")?,
            height: side("y-dimension")?,
            margins: MARGINS.map(margin),
            kind: word("media-type"),
            tray: word("media-source"),
        })
    }

    fn is_borderless(&self) -> bool {
        self.margins == [0; 4]
    }

    /// How far it is from a size on the worse side, whichever way the paper is turned; `None` when
    /// that is too far.
    fn distance(&self, size: Size) -> Option<i64> {
        let (width, height) =
            (i64::from(size.width_mm) * PER_MM, i64::from(size.height_mm) * PER_MM);
        let off = |a: i64, b: i64| (self.width - a).abs().max((self.height - b).abs());
        let distance = off(width, height).min(off(height, width));
        (distance <= TOLERANCE).then_some(distance)
    }

    /// As `media-col`.
    fn written(&self, kind: Option<String>, tray: Option<&str>) -> Value {
        let side = |side: i64| Value::Integer(i32::try_from(side).unwrap_or(i32::MAX));
        let size = vec![("x-dimension", side(self.width)), ("y-dimension", side(self.height))];
        let mut members = vec![("media-size", Value::Collection(size))];
        let margins = MARGINS.into_iter().zip(self.margins);
        members.extend(margins.map(|(name, margin)| (name, Value::Integer(margin))));
        let kind = kind.or_else(|| self.kind.clone());
        members.extend(kind.map(|kind| ("media-type", Value::Keyword(kind))));
        let tray = tray.map(str::to_owned).or_else(|| self.tray.clone());
        members.extend(tray.map(|tray| ("media-source", Value::Keyword(tray))));
        Value::Collection(members)
    }

    fn words(&self) -> String {
        let mm = |side: i64| side.saturating_add(PER_MM / 2) / PER_MM;
        let border = if self.is_borderless() { " borderless" } else { "" };
        let kind = self.kind.as_ref().map(|kind| format!(" {kind}")).unwrap_or_default();
        format!("{} mm x {} mm{border}{kind}", mm(self.width), mm(self.height))
    }
}

/// Which way the picture is to lie, where the owner has the printer told.
fn orientation(spec: &Spec, line: &Line, medium: &Medium) -> Option<i32> {
    const PORTRAIT: i32 = 3;
    const LANDSCAPE: i32 = 4;
    let (width_px, height_px) = line.pixels?;
    let photo_lies = width_px > height_px;
    let paper_lies = medium.width > medium.height;
    match spec.orientation {
        Orientation::Printer => None,
        Orientation::Photo => Some(if photo_lies == paper_lies { PORTRAIT } else { LANDSCAPE }),
    }
}

fn has_number(printer: &Group, name: &str, number: i32) -> bool {
    printer.ranges(name).any(|(least, most)| (least..=most).contains(&number))
}

/// Words of a printer, fit to be shown.
fn listed<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<String> = words
        .take(LISTED_MAX)
        .map(|word| {
            let plain: String = word.chars().filter(|c| !c.is_control()).take(60).collect();
            format!("`{plain}`")
        })
        .collect();
    if words.is_empty() { "names nothing".into() } else { words.join(", ") }
}

#[cfg(test)]
mod tests;
