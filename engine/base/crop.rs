//! A part of a photo, in pixels of its upright original.
//!
//! Knows no products and no rules: which part to show is worked out in `orders::crop`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A part of a photo, in pixels of its upright original; never empty, never outside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crop {
    /// Columns left of it.
    pub x: u32,
    /// Rows above it.
    pub y: u32,
    /// How wide it is.
    pub width: u32,
    /// How high it is.
    pub height: u32,
}

impl Crop {
    /// All of a photo.
    pub const fn all((width, height): (u32, u32)) -> Self {
        Self { x: 0, y: 0, width, height }
    }

    /// The smallest part that takes in all points, as far as they lie in the photo.
    ///
    /// `None` where a point is no number, or where nothing of it lies in the photo.
    pub fn around(points: &[[f32; 2]], (width, height): (u32, u32)) -> Option<Self> {
        if points.is_empty() || points.as_flattened().iter().any(|value| !value.is_finite()) {
            return None;
        }
        let span = |axis: usize, side: u32| {
            let values = || points.iter().map(|point| f64::from(point[axis]));
            let from = values().fold(f64::INFINITY, f64::min).floor().clamp(0.0, side.into());
            let to = values().fold(f64::NEG_INFINITY, f64::max).ceil().clamp(0.0, side.into());
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "whole numbers between 0 and a side, which is a u32"
            )]
            let span = (from as u32, to as u32);
            (span.0 < span.1).then_some(span)
        };
        let ((x, right), (y, bottom)) = (span(0, width)?, span(1, height)?);
        Some(Self { x, y, width: right - x, height: bottom - y })
    }

    /// The first column behind it.
    pub const fn right(self) -> u32 {
        self.x.saturating_add(self.width)
    }

    /// The first row behind it.
    pub const fn bottom(self) -> u32 {
        self.y.saturating_add(self.height)
    }

    /// How many pixels it has.
    pub const fn pixels_count(self) -> u64 {
        self.width as u64 * self.height as u64
    }

    /// Whether all of another part lies in it.
    pub const fn takes_in(self, other: Self) -> bool {
        self.x <= other.x
            && self.y <= other.y
            && other.right() <= self.right()
            && other.bottom() <= self.bottom()
    }
}

/// `3000 x 2000 px at 120, 0`
impl fmt::Display for Crop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { x, y, width, height } = self;
        write!(f, "{width} x {height} px at {x}, {y}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_around_points_is_cut_at_the_edges_of_the_photo() {
        let around = |points: &[[f32; 2]]| Crop::around(points, (100, 50));
        assert_eq!(
            around(&[[10.4, 5.0], [20.6, 5.0], [20.0, 9.1]]),
            Some(Crop { x: 10, y: 5, width: 11, height: 5 })
        );
        let beyond = [[-3.0, 40.0], [9.0, 1e30]];
        assert_eq!(around(&beyond), Some(Crop { x: 0, y: 40, width: 9, height: 10 }));
        for nowhere in [
            &[][..],
            &[[f32::NAN, 1.0], [2.0, 3.0]],
            &[[0.0, 1.0], [f32::INFINITY, 3.0]],
            &[[-9.0, 1.0], [-2.0, 3.0]],
            &[[100.0, 1.0], [120.0, 3.0]],
            &[[5.0, 5.0]],
        ] {
            assert_eq!(around(nowhere), None, "{nowhere:?}");
        }
        assert_eq!(Crop::around(&[[0.0, 0.0], [1.0, 1.0]], (0, 0)), None);
    }
}
