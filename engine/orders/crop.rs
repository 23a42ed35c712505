//! Which part of a photo a product shows.
//!
//! In:  the pixels of the upright photo, the shape of a product, what is to be whole on it, what
//! is not to be on it. Out: a [`Crop`] of that shape, or why there is none. Pure geometry.
//!
//! A product may be held either way: its shape is turned to the photo's. [`centred`] is what a lab
//! does by itself: the largest part of the shape, in the middle. [`keeping`] moves that as little
//! as it takes to have faces and icons whole. [`without`] looks for the largest part that has no
//! icon on it.
//!
//! Knows no products by name, no providers and no reasons in words.

use super::catalogue::Size;
pub use crate::base::crop::Crop;

/// A part without icons has at least one such share of the pixels that a product of its shape
/// would show with them: at a half its sides are 0.71 times as long. A card that takes more than
/// that is no edge of the picture any more.
pub const KEPT_PARTS_MAX: u64 = 2;

/// Most icons that are looked around; the work grows with their cube.
const LEFT_OUT_MAX: usize = 32;

/// How far a printed card goes beyond its icon, in sides of the icon: left, above, right and below,
/// as the icon stands. `signet icons sheet` has the words right of the icon.
pub const CARD: [f32; 4] = [0.25, 0.25, 1.15, 0.25];

/// Proportions of a product, turned to those of a photo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    wide: u32,
    high: u32,
}

/// Why there is no part as it is wished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoCrop {
    /// What is to be whole lies too far apart.
    Apart,
    /// Wherever the icons are not, something would be cut that is to be whole.
    Cuts,
    /// So little would be left, in percent of what the product would show.
    Little(u64),
    /// There are more icons than anybody puts on a photo.
    Many,
}

impl Shape {
    /// That of a product, as the photo is held; of a size that is none the photo's own.
    ///
    /// - `pixels`: width and height of the photo, at least 1
    pub fn of(size: Option<Size>, (width, height): (u32, u32)) -> Self {
        match size {
            Some(Size { width_mm, height_mm }) if width_mm > 0 && height_mm > 0 => {
                let (short, long) = (width_mm.min(height_mm), width_mm.max(height_mm));
                match width.cmp(&height) {
                    std::cmp::Ordering::Less => Self { wide: short, high: long },
                    std::cmp::Ordering::Equal => Self { wide: width_mm, high: height_mm },
                    std::cmp::Ordering::Greater => Self { wide: long, high: short },
                }
            }
            _ => Self { wide: width.max(1), high: height.max(1) },
        }
    }

    /// Width and height of the largest part of this shape, at least 1 each.
    fn within(self, (width, height): (u32, u32)) -> (u32, u32) {
        let scaled = |side: u32, by: u32, of: u32, most: u32| {
            let scaled = (u64::from(side) * u64::from(by) + u64::from(of) / 2) / u64::from(of);
            u32::try_from(scaled).unwrap_or(most).clamp(1, most.max(1))
        };
        let is_wider =
            u64::from(width) * u64::from(self.high) > u64::from(height) * u64::from(self.wide);
        match is_wider {
            true => (scaled(height, self.wide, self.high, width), height),
            false => (width, scaled(width, self.high, self.wide, height)),
        }
    }
}

/// The largest part of a shape, in the middle of the photo: what a provider shows by itself.
pub fn centred(pixels: (u32, u32), shape: Shape) -> Crop {
    let (width, height) = shape.within(pixels);
    let (x, y) = (pixels.0.saturating_sub(width) / 2, pixels.1.saturating_sub(height) / 2);
    Crop { x, y, width, height }
}

/// The same, moved as little as it takes to have all of `keep` whole.
///
/// # Errors
/// [`NoCrop::Apart`].
pub fn keeping(pixels: (u32, u32), shape: Shape, keep: &[Crop]) -> Result<Crop, NoCrop> {
    placed(Crop::all(pixels), shape.within(pixels), pixels, keep).ok_or(NoCrop::Apart)
}

/// The largest part of a shape that has nothing of `leave_out` on it and all of `keep` whole; of
/// several the one nearest to the middle.
///
/// # Errors
/// A [`NoCrop`], which says what stands in the way.
pub fn without(
    pixels: (u32, u32),
    shape: Shape,
    keep: &[Crop],
    leave_out: &[Crop],
) -> Result<Crop, NoCrop> {
    if leave_out.len() > LEFT_OUT_MAX {
        return Err(NoCrop::Many);
    }
    let (mut best, mut largest_count) = (None, 0);
    for room in rooms(pixels, leave_out) {
        let sides = shape.within((room.width, room.height));
        largest_count = largest_count.max(u64::from(sides.0) * u64::from(sides.1));
        let Some(part) = placed(room, sides, pixels, keep) else { continue };
        let rank = (part.pixels_count(), std::cmp::Reverse(off_centre(part, pixels)));
        if best.as_ref().is_none_or(|(highest, _)| rank > *highest) {
            best = Some((rank, part));
        }
    }
    let shown_count = centred(pixels, shape).pixels_count();
    let is_enough = |count: u64| count >= shown_count.div_ceil(KEPT_PARTS_MAX);
    let little = |count: u64| {
        let percent = u128::from(count) * 100 / u128::from(shown_count);
        NoCrop::Little(u64::try_from(percent).unwrap_or(0))
    };
    match best {
        Some((_, part)) if is_enough(part.pixels_count()) => Ok(part),
        Some((_, part)) => Err(little(part.pixels_count())),
        None if is_enough(largest_count) => Err(NoCrop::Cuts),
        None => Err(little(largest_count)),
    }
}

/// The outline of the card around an icon, from the icon's corners (clockwise from its own top
/// left).
pub fn card_around(
    [top_left, top_right, bottom_right, bottom_left]: [[f32; 2]; 4],
) -> [[f32; 2]; 4] {
    let [left, above, right, below] = CARD;
    // The icon's own plane, as far as four corners tell: straight on along its sides.
    let at = |u: f32, v: f32| {
        [0, 1].map(|axis| {
            (1.0 - v) * ((1.0 - u) * top_left[axis] + u * top_right[axis])
                + v * ((1.0 - u) * bottom_left[axis] + u * bottom_right[axis])
        })
    };
    [
        at(-left, -above),
        at(1.0 + right, -above),
        at(1.0 + right, 1.0 + below),
        at(-left, 1.0 + below),
    ]
}

/// Puts a part of these sides into a room, as near to the middle of the photo as `keep` allows.
fn placed(
    room: Crop,
    (width, height): (u32, u32),
    pixels: (u32, u32),
    keep: &[Crop],
) -> Option<Crop> {
    let spans = |from: fn(&Crop) -> u32, to: fn(Crop) -> u32| {
        keep.iter().map(move |kept| (from(kept), to(*kept)))
    };
    let x = start((room.x, room.right()), width, pixels.0, spans(|kept| kept.x, Crop::right))?;
    let y = start((room.y, room.bottom()), height, pixels.1, spans(|kept| kept.y, Crop::bottom))?;
    Some(Crop { x, y, width, height })
}

/// Where a stretch of a length begins that lies in the room and takes in all that is kept, as near
/// to the middle of the side as can be.
fn start(
    room: (u32, u32),
    length: u32,
    side: u32,
    keep: impl Iterator<Item = (u32, u32)>,
) -> Option<u32> {
    let (mut first, mut last) = (room.0, room.1.checked_sub(length)?);
    for (from, to) in keep {
        first = first.max(to.saturating_sub(length));
        last = last.min(from);
    }
    let middle = side.saturating_sub(length) / 2;
    (first <= last).then(|| middle.clamp(first, last))
}

/// How far the middle of a part is from that of the photo, along both sides, in half pixels.
fn off_centre(part: Crop, (width, height): (u32, u32)) -> u64 {
    let off =
        |from: u32, to: u32, side: u32| (u64::from(from) + u64::from(to)).abs_diff(side.into());
    off(part.x, part.right(), width) + off(part.y, part.bottom(), height)
}

/// All largest empty parts of a photo, and some that lie in others.
///
/// A side of one is a side of the photo or of what is left out. So between any two such columns
/// what lies there is gone over from the top down.
fn rooms((width, height): (u32, u32), leave_out: &[Crop]) -> Vec<Crop> {
    let is_inside = |part: &&Crop| part.x < width && part.y < height;
    let mut downwards: Vec<Crop> = leave_out.iter().filter(is_inside).copied().collect();
    downwards.sort_unstable_by_key(|part| part.y);
    let mut rooms = Vec::new();
    for left in downwards.iter().map(|part| part.right()).chain([0]) {
        for right in downwards.iter().map(|part| part.x).chain([width]) {
            if left >= right {
                continue;
            }
            let mut top = 0;
            let inside = downwards.iter().filter(|part| part.x < right && part.right() > left);
            let ends = inside.map(|part| (part.y, part.bottom())).chain([(height, height)]);
            for (from, to) in ends {
                if from > top {
                    rooms.push(Crop { x: left, y: top, width: right - left, height: from - top });
                }
                top = top.max(to);
            }
        }
    }
    rooms
}

#[cfg(test)]
#[path = "crop/tests.rs"]
mod tests;
