//! How much of a face can be seen: size, sharpness, how far it is turned away, light.
//!
//! In:  the five points and the upright crop. Out: [`Quality`], compared with a [`Bar`].
//!
//! A recogniser gives numbers for anything; of a small, soft or turned face they say little. What
//! is below the bar never orders, and is not taken as a picture to enrol from.
//!
//! Knows nothing of whose face it is.

use serde::Deserialize;

use super::align::{Crop, PLACES, PLACES_SIDE_PX, Similarity};

/// What can be seen of a face.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// Distance of the eyes in px of the picture that the crop was cut from.
    pub eyes_px: f32,
    /// How much of the crop's detail is finer than 4 px, over all of its detail: about 0.3 for a
    /// sharp face, under 0.05 for a blurred one.
    pub sharpness: f32,
    /// How far the points lie from those of a face from the front, over the distance of the eyes:
    /// under 0.1 from the front, above 0.25 in profile.
    pub turned: f32,
    /// Spread of the brightness, `0.0..=0.5`.
    pub contrast: f32,
    /// How much the recogniser finds in it: the length of its numbers. What is covered, hardly a
    /// face or none has short ones, and those are alike whoever it is. Infinite until it has looked.
    pub clarity: f32,
}

/// What must be seen of a face.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bar {
    /// Eyes at least so far apart, px.
    pub eyes_px_min: f32,
    /// At least so sharp.
    pub sharpness_min: f32,
    /// At most so far turned.
    pub turned_max: f32,
    /// At least so much light and shade.
    pub contrast_min: f32,
    /// At least so much for the recogniser to go by; each network has its own measure.
    #[serde(default)]
    pub clarity_min: f32,
}

/// What is wrong with a face, in words for its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Too few pixels.
    Small,
    /// Out of focus, moved or enlarged.
    Soft,
    /// Seen from the side, from below or above.
    Turned,
    /// Too dark, too bright or in fog.
    Flat,
    /// Covered, or no face of a person.
    Unclear,
}

impl Flaw {
    /// The word for messages: `the face is …`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Small => "too small",
            Self::Soft => "not sharp",
            Self::Turned => "turned away",
            Self::Flat => "too dark or too bright",
            Self::Unclear => "covered or hard to make out",
        }
    }
}

impl Quality {
    /// Measures a face.
    ///
    /// - `map`: from the picture to the crop
    pub fn of(crop: &Crop, points: &[[f32; 2]; 5], map: &Similarity) -> Self {
        let [left, right, ..] = points;
        let eyes_px = (right[0] - left[0]).hypot(right[1] - left[1]);
        let side = crop.side_px as f32;
        let square: f32 = points
            .iter()
            .zip(PLACES)
            .map(|(point, place)| {
                let [x, y] = map.map(*point);
                let [u, v] = place.map(|value| value * side / PLACES_SIDE_PX);
                (x - u).powi(2) + (y - v).powi(2)
            })
            .sum();
        let eyes_in_crop = (PLACES[1][0] - PLACES[0][0]) * side / PLACES_SIDE_PX;
        let luma = crop.luma();
        let (contrast, sharpness) = detail(&luma, crop.side_px);
        let turned = (square / 5.0).sqrt() / eyes_in_crop;
        Self { eyes_px, sharpness, turned, contrast, clarity: f32::INFINITY }
    }

    /// What keeps it below the bar.
    pub fn flaws(&self, bar: &Bar) -> impl Iterator<Item = Flaw> + use<> {
        let found = [
            (self.eyes_px < bar.eyes_px_min, Flaw::Small),
            (self.sharpness < bar.sharpness_min, Flaw::Soft),
            (self.turned > bar.turned_max, Flaw::Turned),
            (self.contrast < bar.contrast_min, Flaw::Flat),
            (self.clarity < bar.clarity_min, Flaw::Unclear),
        ];
        found.into_iter().filter_map(|(is_below, flaw)| is_below.then_some(flaw))
    }
}

/// Spread of the middle of the crop, and the share of it that a blur over 5x5 px takes away.
fn detail(luma: &[f32], side: usize) -> (f32, f32) {
    let margin = side / 6;
    let inside = margin.max(2)..side.saturating_sub(margin.max(2));
    let at = |row: usize, column: usize| luma.get(row * side + column).copied().unwrap_or(0.0);
    let (mut count, mut sum, mut squares, mut fine) = (0.0_f32, 0.0, 0.0, 0.0);
    for row in inside.clone() {
        for column in inside.clone() {
            let value = at(row, column);
            let mut around = 0.0;
            for r in row - 2..=row + 2 {
                for c in column - 2..=column + 2 {
                    around += at(r, c);
                }
            }
            count += 1.0;
            sum += value;
            squares += value * value;
            fine += (value - around / 25.0).powi(2);
        }
    }
    let variance = (squares / count - (sum / count).powi(2)).max(0.0);
    if count < 1.0 || variance <= 1e-9 {
        return (0.0, 0.0);
    }
    (variance.sqrt(), (fine / count / variance).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAR: Bar = Bar {
        eyes_px_min: 20.0,
        sharpness_min: 0.1,
        turned_max: 0.2,
        contrast_min: 0.05,
        clarity_min: 10.0,
    };

    fn crop(pixel: impl Fn(usize, usize) -> f32) -> Crop {
        let plane: Vec<f32> = (0..112 * 112).map(|at| pixel(at / 112, at % 112)).collect();
        Crop { side_px: 112, rgb: [plane.clone(), plane.clone(), plane].concat() }
    }

    fn flaws(crop: &Crop, points: &[[f32; 2]; 5]) -> Vec<Flaw> {
        let map = Similarity::between(points, &PLACES).expect("a map");
        Quality::of(crop, points, &map).flaws(&BAR).collect()
    }

    #[test]
    fn each_flaw_is_told_by_itself() {
        let sharp = crop(|row, column| if (row / 2 + column / 2) % 2 == 0 { 60.0 } else { 180.0 });
        assert_eq!(flaws(&sharp, &PLACES), []);
        let small = PLACES.map(|place| place.map(|value| value / 4.0));
        assert_eq!(flaws(&sharp, &small), [Flaw::Small]);
        let soft = crop(|row, column| (row + column) as f32);
        assert_eq!(flaws(&soft, &PLACES), [Flaw::Soft]);
        let flat = crop(|_, _| 10.0);
        assert_eq!(flaws(&flat, &PLACES), [Flaw::Soft, Flaw::Flat]);
        // In profile the nose and the mouth are beside the eyes.
        let [a, b, c, d, e] = PLACES;
        let turned = [a, [a[0] + 12.0, b[1]], [c[0] - 32.0, c[1]], d, [d[0] + 8.0, e[1]]];
        assert!(flaws(&sharp, &turned).contains(&Flaw::Turned));
        let map = Similarity::between(&PLACES, &PLACES).expect("a map");
        let covered = Quality { clarity: 9.0, ..Quality::of(&sharp, &PLACES, &map) };
        assert_eq!(covered.flaws(&BAR).collect::<Vec<_>>(), [Flaw::Unclear]);
    }
}
