//! Draws a portrait into the house frame, to be printed or stamped.
//!
//! In:  a picture and the five points of a face on it. Out: the tile of an icon with that face,
//! upright, where others have their sign; transparent outside.
//!
//! The portrait shows just what the recogniser looks at: the larger the face, the smaller the sticker
//! may be. With 0.8 times that, 26 portraits stamped 96 px wide resembled their originals by 0.71
//! (median cosine), so by 0.86; at 1.2 times no more, and large ones less.
//!
//! Keeps nothing.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "colours are clamped to what a byte holds"
)]

use super::align::{PLACES, PLACES_SIDE_PX, Similarity};
use crate::detection::DetectionError;
use crate::detection::icon_set::{FRAME_SVG, GLYPH_UNITS, Picture, TILE_UNITS, render_text};
use crate::detection::warp::{Pyramid, bilinear};

/// Side of the picture, as icons are exported.
pub const CARD_PX: u32 = 1024;

/// How round the portrait's corners are, in sides of the portrait.
const ROUND: f32 = 0.12;

/// A face in the house frame; `None` when its points are all in one place.
///
/// # Errors
/// None as long as the frame that is built in is sound.
pub fn portrait_card(
    pyramid: &mut Pyramid<'_>,
    points: &[[f32; 2]; 5],
) -> Result<Option<Picture>, DetectionError> {
    let mut card = render_text(FRAME_SVG, CARD_PX)?;
    let px = card.side_px as f32 / TILE_UNITS;
    let (from, side) = (GLYPH_UNITS.start * px, (GLYPH_UNITS.end - GLYPH_UNITS.start) * px);
    let scale = side / PLACES_SIDE_PX;
    let middle = from + side / 2.0;
    let places = PLACES.map(|place| place.map(|at| middle + (at - PLACES_SIDE_PX / 2.0) * scale));
    let Some(map) = Similarity::between(points, &places) else { return Ok(None) };
    let back = map.inverse();
    let (frame, level) = pyramid.level(Pyramid::level_for(back.scale()));
    let shrink = 1.0 / (1_u32 << level) as f32;
    for (index, pixel) in card.rgba.chunks_exact_mut(4).enumerate() {
        let at = [index % card.side_px, index / card.side_px].map(|at| at as f32 + 0.5);
        let cover = rounded(at.map(|at| at - middle), side);
        if cover > 0.0 {
            let [x, y] = back.map(at);
            let colour = bilinear(frame, x * shrink, y * shrink);
            for (channel, value) in pixel.iter_mut().zip(colour) {
                *channel = (f32::from(*channel) * (1.0 - cover) + value * cover).round() as u8;
            }
        }
    }
    Ok(Some(card))
}

/// How much of a pixel lies in a square with round corners, `0.0..=1.0`.
///
/// - `off`: from the square's middle, in px
fn rounded(off: [f32; 2], side: f32) -> f32 {
    let radius = ROUND * side;
    let [x, y] = off.map(|off| (off.abs() - side / 2.0 + radius).max(0.0));
    (radius - x.hypot(y) + 0.5).clamp(0.0, 1.0)
}
