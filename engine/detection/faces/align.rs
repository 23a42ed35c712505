//! Turns and scales a face so that its five points lie where the recogniser expects them.
//!
//! In:  a frame and five points. Out: an upright square crop, as numbers for the network; and how
//! far the points are from a face seen from the front.
//!
//! The map is the similarity (turn, scale, shift; no mirror) with the least squares of distances
//! (Umeyama 1991), to the places of ArcFace for a crop of 112 px.
//!
//! Knows nothing of whose face it is.

use super::manifest::{Framing, Scaling};
use crate::detection::warp::{Pyramid, bilinear};

/// Where the five points of a face lie in a crop of 112 px (ArcFace).
pub const PLACES: [[f32; 2]; 5] = [
    [38.2946, 51.6963],
    [73.5318, 51.5014],
    [56.0252, 71.7366],
    [41.5493, 92.3655],
    [70.7299, 92.2041],
];

/// Side of the crop that [`PLACES`] are for.
pub const PLACES_SIDE_PX: f32 = 112.0;

/// What stays where it is when a crop is zoomed: between the eyes and the mouth.
const MIDDLE: [f32; 2] = [56.0, 64.0];

/// A turn with a scale and a shift: `(a x - b y + dx, b x + a y + dy)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Similarity {
    a: f32,
    b: f32,
    shift: [f32; 2],
}

impl Similarity {
    /// The map that brings `from` nearest to `to`; `None` when all of `from` lie in one place.
    pub fn between(from: &[[f32; 2]; 5], to: &[[f32; 2]; 5]) -> Option<Self> {
        let mean = |points: &[[f32; 2]; 5]| -> [f32; 2] {
            std::array::from_fn(|axis| points.iter().map(|point| point[axis]).sum::<f32>() / 5.0)
        };
        let (here, there) = (mean(from), mean(to));
        let (mut a, mut b, mut spread) = (0.0, 0.0, 0.0);
        for (from, to) in from.iter().zip(to) {
            let (x, y) = (from[0] - here[0], from[1] - here[1]);
            let (u, v) = (to[0] - there[0], to[1] - there[1]);
            a += x * u + y * v;
            b += x * v - y * u;
            spread += x * x + y * y;
        }
        let (a, b) = (a / spread, b / spread);
        let is_sound = a.is_finite() && b.is_finite() && a.hypot(b) > 1e-6;
        let shift = [there[0] - a * here[0] + b * here[1], there[1] - b * here[0] - a * here[1]];
        is_sound.then_some(Self { a, b, shift })
    }

    /// Where a point goes.
    pub fn map(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        [self.a * x - self.b * y + self.shift[0], self.b * x + self.a * y + self.shift[1]]
    }

    /// How many times as long things become.
    pub fn scale(&self) -> f32 {
        self.a.hypot(self.b)
    }

    /// The map that undoes this one.
    #[must_use]
    pub fn inverse(&self) -> Self {
        let square = self.a * self.a + self.b * self.b;
        let (a, b) = (self.a / square, -self.b / square);
        let [dx, dy] = self.shift;
        Self { a, b, shift: [b * dy - a * dx, -b * dx - a * dy] }
    }
}

/// A face, upright; luma and colours in `0.0..=255.0`, RGB, channel by channel.
#[derive(Debug, Clone, Default)]
pub struct Crop {
    /// Side in px.
    pub side_px: usize,
    /// `[3, side, side]`
    pub rgb: Vec<f32>,
}

impl Crop {
    /// Cuts a face out of a frame. Reuses its memory. Returns the map from frame to a crop whose
    /// points lie at [`PLACES`], or `None` when the points are all in one place.
    pub fn cut(
        &mut self,
        pyramid: &mut Pyramid<'_>,
        points: &[[f32; 2]; 5],
        side_px: usize,
        framing: Framing,
    ) -> Option<Similarity> {
        let places = PLACES.map(|place| place.map(|v| v * side_px as f32 / PLACES_SIDE_PX));
        let map = Similarity::between(points, &places)?;
        let back = map.inverse();
        let (frame, level) = pyramid.level(Pyramid::level_for(back.scale() / framing.zoom));
        let middle = MIDDLE.map(|value| value * side_px as f32 / PLACES_SIDE_PX);
        let raised = framing.raise_px * side_px as f32 / PLACES_SIDE_PX;
        let shrink = 1.0 / (1_u32 << level) as f32;
        let plane = side_px * side_px;
        self.side_px = side_px;
        self.rgb.clear();
        self.rgb.resize(3 * plane, 0.0);
        let (red, rest) = self.rgb.split_at_mut(plane);
        let (green, blue) = rest.split_at_mut(plane);
        for row in 0..side_px {
            for column in 0..side_px {
                // The places are in px whose centres are whole numbers.
                let [x, y] = back.map([
                    (column as f32 - middle[0]) / framing.zoom + middle[0],
                    (row as f32 + raised - middle[1]) / framing.zoom + middle[1],
                ]);
                let [r, g, b] = bilinear(frame, (x + 0.5) * shrink, (y + 0.5) * shrink);
                let at = row * side_px + column;
                (red[at], green[at], blue[at]) = (r, g, b);
            }
        }
        Some(map)
    }

    /// Appends it as a network wants it, mirrored if asked for.
    pub fn fill(&self, scaling: Scaling, is_mirrored: bool, values: &mut Vec<f32>) {
        let plane = self.side_px * self.side_px;
        for (source, mean, deviation) in scaling.channels() {
            let pixels = self.rgb.iter().skip(source * plane).take(plane);
            let start = values.len();
            values.extend(pixels.map(|value| (value - mean) / deviation));
            if is_mirrored {
                let new = values.get_mut(start..).unwrap_or_default();
                new.chunks_exact_mut(self.side_px).for_each(<[f32]>::reverse);
            }
        }
    }

    /// Brightness, `0.0..=1.0`, row by row.
    pub fn luma(&self) -> Vec<f32> {
        let plane = self.side_px * self.side_px;
        let (red, rest) = self.rgb.split_at(plane);
        let (green, blue) = rest.split_at(plane);
        let pixels = red.iter().zip(green).zip(blue);
        pixels.map(|((r, g), b)| crate::detection::warp::luma([*r, *g, *b]) / 255.0).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::manifest::Colours;
    use super::*;
    use crate::media::Frame;

    const AS_IT_IS: Framing = Framing { zoom: 1.0, raise_px: 0.0 };

    proptest! {
        #[test]
        fn similarity_that_made_the_points_is_found_again(
            turn in -3.1_f32..3.1, scale in 0.05_f32..20.0, dx in -500.0_f32..500.0, dy in -500.0_f32..500.0,
        ) {
            let made = Similarity { a: scale * turn.cos(), b: scale * turn.sin(), shift: [dx, dy] };
            let points = PLACES.map(|place| made.map(place));
            let found = Similarity::between(&points, &PLACES).expect("a map");
            for (point, place) in points.into_iter().zip(PLACES) {
                let [x, y] = found.map(point);
                prop_assert!((x - place[0]).hypot(y - place[1]) < 0.05);
                let [x, y] = found.inverse().map(place);
                prop_assert!((x - point[0]).hypot(y - point[1]) < 0.05 * scale.max(1.0));
            }
        }
    }

    #[test]
    fn points_in_one_place_give_no_crop() {
        let frame = Frame::new(4, 4, vec![0; 48]).expect("a frame");
        let mut crop = Crop::default();
        assert!(crop.cut(&mut Pyramid::new(&frame), &[[2.0, 2.0]; 5], 112, AS_IT_IS).is_none());
        assert!(
            crop.cut(&mut Pyramid::new(&frame), &[[f32::NAN, 2.0]; 5], 112, AS_IT_IS).is_none()
        );
    }

    #[test]
    fn upright_face_of_the_right_size_is_cut_as_it_is() {
        let rgb = (0..112_u8).flat_map(|row| (0..112).flat_map(move |column| [column, row, 7]));
        let rgb = rgb.collect();
        let frame = Frame::new(112, 112, rgb).expect("a frame");
        let mut crop = Crop::default();
        crop.cut(&mut Pyramid::new(&frame), &PLACES, 112, AS_IT_IS).expect("a crop");
        for (row, column) in [(0, 0), (50, 20), (111, 111)] {
            let at = row * 112 + column;
            assert!((crop.rgb[at] - column as f32).abs() < 0.01, "{}", crop.rgb[at]);
            assert!((crop.rgb[112 * 112 + at] - row as f32).abs() < 0.01);
        }
        let scaling = Scaling { colours: Colours::Rgb, mean: [0.0; 3], deviation: [1.0; 3] };
        let mut values = Vec::new();
        crop.fill(scaling, true, &mut values);
        assert!((values[0] - 111.0).abs() < 0.01 && values.len() == 3 * 112 * 112);
    }
    #[test]
    fn framing_moves_the_picture_and_not_the_map_that_quality_is_judged_by() {
        let rgb = (0..112_u8).flat_map(|row| (0..112).flat_map(move |column| [column, row, 7]));
        let frame = Frame::new(112, 112, rgb.collect()).expect("a frame");
        let mut crop = Crop::default();
        let plain = crop.cut(&mut Pyramid::new(&frame), &PLACES, 112, AS_IT_IS);
        let framing = Framing { zoom: 1.25, raise_px: 4.0 };
        let framed = crop.cut(&mut Pyramid::new(&frame), &PLACES, 112, framing);
        assert_eq!(plain, framed);
        // What was in the middle is 4 px higher, and 40 px beside it are 50 now.
        let at = |column: usize, row: usize| {
            [crop.rgb[row * 112 + column], crop.rgb[112 * 112 + row * 112 + column]]
        };
        for (place, expected) in
            [((56, 60), [56.0, 64.0]), ((106, 60), [96.0, 64.0]), ((56, 10), [56.0, 24.0])]
        {
            let got = at(place.0, place.1);
            assert!(
                (got[0] - expected[0]).hypot(got[1] - expected[1]) < 0.05,
                "{place:?}: {got:?}"
            );
        }
    }
}
