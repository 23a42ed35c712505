//! Whether a photo is good enough for a product, and what part of it the product shows.
//!
//! In:  the photo with its faces and icons, a product, the terms of its provider. Out: the part to be
//! shown, where that is not what the provider cuts by itself, and whatever the owner has to be asked.
//! A pure function.
//!
//! Dots per inch are those of the original after the crop, on the side that has fewer. A product
//! whose size nobody knows has no dots per inch, and is shown as its provider likes.
//!
//! Icons that are not sure are left out with the others, but nothing is moved to keep them.

use std::collections::BTreeMap;

use super::catalogue::{DPI_MIN, Product, Size};
use super::crop::{Crop, NoCrop, Shape, centred, keeping, without};
use super::plan::{Mark, Photo};

/// What follows from the pixels of a photo for one order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fit {
    /// The part to be shown; absent: what the provider cuts by itself.
    pub(super) crop: Option<Crop>,
    /// Why the order asks.
    pub(super) doubts: Vec<String>,
    /// What its owner should know although it does not ask.
    pub(super) remark: Option<String>,
}

/// One wish of one photo, and what its provider offers.
#[derive(Clone, Copy)]
pub(super) struct Fitting<'a> {
    /// The photo.
    pub(super) photo: &'a Photo,
    /// The provider's products.
    pub(super) products: &'a BTreeMap<String, Product>,
    /// Whether the provider can be told a crop.
    pub(super) tells_crop: bool,
    /// Icons are to be cropped away.
    pub(super) remove_icon: bool,
}

impl Fitting<'_> {
    /// How the photo fits one of the products; one that is not there fits.
    pub(super) fn fit(self, name: &str) -> Fit {
        let mut fit = Fit::default();
        let Some(product) = self.products.get(name) else { return fit };
        let is_some = |(width, height): &(u32, u32)| *width > 0 && *height > 0;
        let Some(pixels) = self.photo.pixels.filter(is_some) else {
            if self.remove_icon {
                let why = "where its icons are is not known: they would stay on it";
                fit.doubts.push(why.to_owned());
            }
            let has_floor = size(product).is_some() || product.pixels_min.is_some();
            fit.remark = has_floor.then(|| {
                format!("its size is not known, so the floor of `{name}` was not checked")
            });
            return fit;
        };
        let centre = centred(pixels, Shape::of(product.size, pixels));
        let shown = match self.part(pixels, product) {
            Ok(part) if part == centre || self.tells_crop => {
                fit.crop = (part != centre).then_some(part);
                // Without a size nobody cuts; and icons that are to go are no loss.
                let is_loss = size(product).is_some() && !self.remove_icon;
                let lost = self.lost(part).filter(|_| is_loss);
                fit.remark = lost.map(|lost| format!("{lost} will not be whole on it"));
                part
            }
            Ok(part) => {
                fit.doubts.push(match self.lost(centre) {
                    Some(lost) if !self.remove_icon => format!(
                        "its provider cuts it by itself, and {lost} would not be whole; {part} of \
                         it would do, which this provider cannot be told"
                    ),
                    _ => format!(
                        "its icons would stay on it; {part} of it has none, which this provider \
                         cannot be told"
                    ),
                });
                centre
            }
            Err(why) => {
                fit.doubts.push(match why {
                    NoCrop::Apart => format!(
                        "no part of it in the shape of `{name}` has all faces whole; in the middle \
                         {} would not be",
                        self.lost(centre).unwrap_or_default()
                    ),
                    NoCrop::Cuts => {
                        "its icons cannot be cropped away without cutting a face".to_owned()
                    }
                    NoCrop::Little(percent) => format!(
                        "its icons sit too far inside to be cropped away: {percent} % of what is \
                         shown would be left"
                    ),
                    NoCrop::Many => "it has more icons than can be cropped away".to_owned(),
                });
                centre
            }
        };
        if let Some(short) = too_few(name, product, shown) {
            fit.doubts.push(short + &self.largest_that_does(pixels).unwrap_or_default());
        }
        fit
    }

    /// The part that a product is to show.
    fn part(self, pixels: (u32, u32), product: &Product) -> Result<Crop, NoCrop> {
        let shape = Shape::of(product.size, pixels);
        let faces: Vec<Crop> = self.photo.faces().map(|(part, _)| part).collect();
        if self.remove_icon {
            let cards: Vec<Crop> = self.photo.cards().collect();
            if !cards.is_empty() {
                return without(pixels, shape, &faces, &cards);
            }
        }
        if size(product).is_none() {
            return Ok(Crop::all(pixels));
        }
        let icons = self.photo.sure_icons().map(|(part, _)| part);
        let all: Vec<Crop> = faces.iter().copied().chain(icons).collect();
        // A card that is cut is a pity, a face is more.
        keeping(pixels, shape, &all).or_else(|_| keeping(pixels, shape, &faces))
    }

    /// Faces and sure icons that a part cuts or leaves out, in words.
    fn lost(self, part: Crop) -> Option<String> {
        let marks = self.photo.faces().chain(self.photo.sure_icons());
        let lost = marks.filter(|(mark, _)| !part.takes_in(*mark));
        let lost: Vec<String> = lost.map(|(_, words)| words).collect();
        (!lost.is_empty()).then(|| lost.join(" and "))
    }

    /// The largest product for which the photo has pixels enough, in words.
    fn largest_that_does(self, pixels: (u32, u32)) -> Option<String> {
        let does = self.products.iter().filter_map(|(name, product)| {
            let size = size(product)?;
            let shown = self.part(pixels, product).ok()?;
            let area = u64::from(size.width_mm) * u64::from(size.height_mm);
            too_few(name, product, shown).is_none().then_some((area, name, dpi(shown, size)))
        });
        let (_, name, dpi) = does.max_by_key(|(area, ..)| *area)?;
        Some(format!("; `{name}` would give {dpi} dpi"))
    }
}

impl Photo {
    /// Where faces are. Whose is not said: what an order waits for is told by mail, too.
    fn faces(&self) -> impl Iterator<Item = (Crop, String)> {
        self.marks.iter().filter_map(|mark| match mark {
            Mark::Face { part } => Some((*part, "a face".to_owned())),
            Mark::Icon { .. } => None,
        })
    }

    /// Where the cards of icons are, sure or not.
    fn cards(&self) -> impl Iterator<Item = Crop> {
        self.marks.iter().filter_map(|mark| match mark {
            Mark::Icon { card, .. } => Some(*card),
            Mark::Face { .. } => None,
        })
    }

    /// Where icons are for sure, and which.
    fn sure_icons(&self) -> impl Iterator<Item = (Crop, String)> {
        self.marks.iter().filter_map(|mark| match mark {
            Mark::Icon { name, is_sure: true, part, .. } => {
                Some((*part, format!("the icon `{name}`")))
            }
            Mark::Icon { .. } | Mark::Face { .. } => None,
        })
    }
}

/// The size of a product, where it is one.
fn size(product: &Product) -> Option<Size> {
    product.size.filter(|size| size.width_mm > 0 && size.height_mm > 0)
}

/// Dots per inch of a part on a product, on the side that has fewer; rounded down.
fn dpi(shown: Crop, Size { width_mm, height_mm }: Size) -> u64 {
    let per_inch = |px: u32, mm: u32| u64::from(px) * 254 / (u64::from(mm).max(1) * 10);
    let (short_px, long_px) = (shown.width.min(shown.height), shown.width.max(shown.height));
    let (short_mm, long_mm) = (width_mm.min(height_mm), width_mm.max(height_mm));
    per_inch(short_px, short_mm).min(per_inch(long_px, long_mm))
}

/// Why a part has too few pixels for a product, in words.
fn too_few(name: &str, product: &Product, shown: Crop) -> Option<String> {
    if let Some(size) = size(product) {
        let (dpi, least) = (dpi(shown, size), product.dpi_min.unwrap_or(DPI_MIN));
        if dpi < u64::from(least) {
            return Some(format!(
                "it would be printed at {dpi} dpi, the floor of `{name}` is {least} dpi"
            ));
        }
    }
    let [one, other] = product.pixels_min?;
    let (short, long) = (one.min(other), one.max(other));
    let is_short = shown.width.min(shown.height) < short || shown.width.max(shown.height) < long;
    let Crop { width, height, .. } = shown;
    is_short.then(|| {
        format!(
            "{width} x {height} px of it are shown, the floor of `{name}` is {long} x {short} px"
        )
    })
}

#[cfg(test)]
#[path = "fit/tests.rs"]
mod tests;
