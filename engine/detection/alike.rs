//! How much the icons of a set resemble each other, and what is too much.
//!
//! In:  enrolled icons. Out: for each its nearest neighbour, with two figures.
//!
//! | figure | is | what goes wrong above its limit |
//! |---|---|---|
//! | cosine | between what the embedder makes of both | neither leads the other by enough to order: both are only asked about |
//! | likeness | correlation of the drawn signs as a small picture shows them | from afar one looks like the other |
//!
//! Knows nothing of photos.

use super::embed::{Embedding, cosine};
use super::gallery::{Enrolled, Gallery};
use super::icon_set::{GLYPH_UNITS, Icon, IconSet, IconSetError, TILE_UNITS};
use super::intake::blurred;

/// An icon nearer to another than this, by cosine, is refused.
pub const COSINE_MAX: f32 = 0.65;
/// And one that correlates with another by more than this.
pub const LIKENESS_MAX: f32 = 0.85;
/// Cells along the sign's box: 16 tile units each.
const CELLS: usize = 39;
/// Blur of a picture in which an icon is 24 px wide (deviation 0.58 px), in cells.
const SIGMA_CELLS: f32 = 1.55;

/// The sign as a small picture shows it: zero mean, length 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Small(Vec<f32>);

/// The icon that resembles another most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// Its index in the set.
    pub icon: usize,
    /// `-1.0..=1.0`
    pub cosine: f32,
    /// `-1.0..=1.0`
    pub likeness: f32,
}

impl Neighbour {
    /// Whether two so near to each other could be told apart too seldom.
    pub fn is_too_near(&self) -> bool {
        self.cosine > COSINE_MAX || self.likeness > LIKENESS_MAX
    }

    /// How much of a limit is used up; above 1 it is too near.
    fn nearness(&self) -> f32 {
        (self.cosine / COSINE_MAX).max(self.likeness / LIKENESS_MAX)
    }
}

impl Small {
    /// Draws an icon's sign.
    ///
    /// # Errors
    /// When the icon cannot be rendered.
    pub fn of(icon: &Icon) -> Result<Self, IconSetError> {
        // A pixel of this picture is a cell of 16 units.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "64 cells")]
        let (side, first) = ((TILE_UNITS / 16.0) as usize, (GLYPH_UNITS.start / 16.0) as usize);
        let picture = icon.picture(256)?;
        let mut plane = vec![0.0_f32; CELLS * CELLS];
        for (index, pixel) in picture.rgba.chunks_exact(4).enumerate() {
            let cell = |at: usize| (at * side / 256).checked_sub(first).filter(|&at| at < CELLS);
            if let (Some(x), Some(y)) = (cell(index % 256), cell(index / 256)) {
                plane[y * CELLS + x] += 1.0 - f32::from(pixel[0]) / 255.0;
            }
        }
        Ok(Self(unit(blurred(&plane, CELLS, SIGMA_CELLS))))
    }

    /// Correlation with another, `-1.0..=1.0`.
    pub fn likeness(&self, other: &Self) -> f32 {
        self.0.iter().zip(&other.0).map(|(a, b)| a * b).sum()
    }
}

/// Zero mean and length 1; a flat plane becomes zeros.
fn unit(mut plane: Vec<f32>) -> Vec<f32> {
    let mean = plane.iter().sum::<f32>() / plane.len() as f32;
    plane.iter_mut().for_each(|value| *value -= mean);
    let length = plane.iter().map(|value| value * value).sum::<f32>().sqrt();
    plane.iter_mut().for_each(|value| *value = if length > 1e-6 { *value / length } else { 0.0 });
    plane
}

/// Cosine between two icons as enrolled: of their small or their large pictures.
pub fn between(a: &Enrolled, b: &Enrolled) -> f32 {
    let pairs: [(&Embedding, &Embedding); 2] =
        [(&a.means[0], &b.means[0]), (&a.means[1], &b.means[1])];
    pairs.iter().map(|(a, b)| cosine(*a, *b)).fold(-1.0, f32::max)
}

/// Each icon's nearest neighbour, in the order of the set; none in a set of one.
///
/// # Errors
/// When an icon cannot be rendered.
pub fn neighbours(
    set: &IconSet,
    gallery: &Gallery,
) -> Result<Vec<Option<Neighbour>>, IconSetError> {
    let small = set.icons().iter().map(Small::of).collect::<Result<Vec<_>, _>>()?;
    let enrolled = gallery.enrolled();
    let count = small.len().min(enrolled.len());
    let nearest = |one: usize| {
        let others = (0..count).filter(|&other| other != one).map(|other| Neighbour {
            icon: other,
            cosine: between(&enrolled[one], &enrolled[other]),
            likeness: small[one].likeness(&small[other]),
        });
        others.max_by(|a, b| a.nearness().total_cmp(&b.nearness()))
    };
    Ok((0..count).map(nearest).collect())
}

#[cfg(test)]
mod tests {
    use super::super::embed::EMBEDDING_LEN;
    use super::super::intake;
    use super::*;

    fn icon(inside: &str) -> Icon {
        let svg = format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24">{inside}</svg>"#
        );
        intake::take("icon", "Icon", svg.as_bytes()).expect("an icon").icon
    }

    #[test]
    fn drawn_likeness_is_one_for_the_same_and_low_for_another_sign() {
        let small = |inside: &str| Small::of(&icon(inside)).expect("a picture");
        let disc = small(r#"<circle cx="12" cy="12" r="10"/>"#);
        let smaller = small(r#"<circle cx="9" cy="9" r="5"/>"#);
        let ring =
            small(r#"<circle cx="12" cy="12" r="8" fill="none" stroke="black" stroke-width="3"/>"#);
        let bars = small(r#"<path d="M4 4H20M4 12H20M4 20H20" stroke="black" stroke-width="3"/>"#);
        assert!((disc.likeness(&disc) - 1.0).abs() < 1e-4);
        assert!(disc.likeness(&smaller) > 0.99, "size in the drawing does not matter");
        assert!(disc.likeness(&ring) < 0.6, "{}", disc.likeness(&ring));
        assert!(disc.likeness(&bars) < 0.6, "{}", disc.likeness(&bars));
    }

    #[test]
    fn either_figure_above_its_limit_is_too_near() {
        let near = |cosine, likeness| Neighbour { icon: 0, cosine, likeness }.is_too_near();
        assert!(near(COSINE_MAX + 0.01, 0.0) && near(0.0, LIKENESS_MAX + 0.01));
        assert!(!near(COSINE_MAX - 0.01, LIKENESS_MAX - 0.01));
    }

    #[test]
    fn cosine_between_icons_is_that_of_the_size_at_which_they_are_nearest() {
        let axis = |index: usize| -> Embedding { std::array::from_fn(|i| f32::from(i == index)) };
        let enrolled = |a, b| Enrolled { means: [axis(a), axis(b)], own_min: 1.0 };
        assert!((between(&enrolled(0, 1), &enrolled(2, 1)) - 1.0).abs() < 1e-6);
        assert!(between(&enrolled(0, 1), &enrolled(1, 0)).abs() < 1e-6);
        assert_eq!(axis(1).len(), EMBEDDING_LEN);
    }
}
