//! Enrols the icon set without training, and names the nearest icon.
//!
//! In:  each icon, drawn as a camera might see it: small and large, on dark and bright,
//!      turned, slightly misplaced, soft, pale. Out: two means per icon (small, large) and
//!      how far its own pictures stray from them.
//!
//! The pictures are fixed, so the same set always gives the same gallery.
//!
//! Knows nothing of photos.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "grey levels and sizes written below"
)]

use super::draw::{Brush, draw};
use super::embed::{CROP, EMBEDDING_LEN, Embedder, Embedding, cosine, unit};
use super::enrolment::Memory;
use super::error::DetectionError;
use super::icon_set::IconSet;
use super::quads::Quad;
use super::warp::{Pyramid, rectify};
use crate::media::Frame;

/// Sides at which icons are enrolled; the first two make the small mean, the rest the large.
const SIDES_PX: [f32; 4] = [16.0, 24.0, 40.0, 80.0];
const SMALL_COUNT: usize = 2;
/// Pictures per side.
const VARIANTS: usize = 8;

/// One icon as it was enrolled.
#[derive(Debug, Clone)]
pub struct Enrolled {
    /// Means over small and over large pictures.
    pub means: [Embedding; 2],
    /// Lowest cosine of one of its own pictures to its nearer mean.
    pub own_min: f32,
}

/// What the set looks like to the embedder.
#[derive(Debug, Clone)]
pub struct Gallery {
    enrolled: Vec<Enrolled>,
}

/// Which icon (or person) an embedding is nearest to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Match {
    /// Index in the set.
    pub index: usize,
    /// Cosine to it, `-1.0..=1.0`.
    pub cosine: f32,
    /// Index of the second nearest; the same as `index` in a set of one.
    pub runner_up: usize,
    /// Cosine to that; -1 in a set of one.
    pub runner_up_cosine: f32,
}

impl Match {
    /// The highest cosine and the one after it; of equal ones the first. `None` where there is none.
    pub fn among(cosines: impl IntoIterator<Item = f32>) -> Option<Self> {
        let mut best: Option<Self> = None;
        for (index, cosine) in cosines.into_iter().enumerate() {
            best = Some(match best {
                None => Self { index, cosine, runner_up: index, runner_up_cosine: -1.0 },
                Some(best) if cosine > best.cosine => {
                    Self { index, cosine, runner_up: best.index, runner_up_cosine: best.cosine }
                }
                Some(best) if cosine > best.runner_up_cosine => {
                    Self { runner_up: index, runner_up_cosine: cosine, ..best }
                }
                Some(best) => best,
            });
        }
        best
    }
}

impl Gallery {
    /// Takes every icon of the set from memory, or draws and embeds it.
    ///
    /// # Errors
    /// `Network` when the embedder fails, `IconSet` when an icon cannot be drawn.
    pub fn enrol(
        set: &IconSet,
        embedder: &mut Embedder,
        memory: &mut Memory,
    ) -> Result<Self, DetectionError> {
        let mut enrolled = Vec::with_capacity(set.icons().len());
        let (mut crops, mut embeddings) = (Vec::new(), Vec::new());
        for icon in set.icons() {
            if let Some(known) = memory.get(embedder.digest(), icon.svg()) {
                enrolled.push(known);
                continue;
            }
            let brush = Brush::new(&icon.picture(512)?);
            crops.clear();
            for side_px in SIDES_PX {
                for variant in 0..VARIANTS {
                    appear(&brush, side_px, variant, &mut crops);
                }
            }
            embedder.run_crops(&crops, &mut embeddings)?;
            let (small, large) = embeddings.split_at(SMALL_COUNT * VARIANTS);
            let means = [small, large].map(mean);
            let own_min =
                embeddings.iter().map(|embedding| nearness(&means, embedding)).fold(1.0, f32::min);
            let new = Enrolled { means, own_min };
            memory.put(embedder.digest(), icon.svg(), &new);
            enrolled.push(new);
        }
        Ok(Self { enrolled })
    }

    /// The nearest icon and the one after it; `None` for an empty set.
    pub fn nearest(&self, embedding: &Embedding) -> Option<Match> {
        Match::among(self.enrolled.iter().map(|enrolled| nearness(&enrolled.means, embedding)))
    }

    /// How near an embedding is to one icon, `-1.0..=1.0`.
    pub fn cosine_to(&self, icon: usize, embedding: &Embedding) -> f32 {
        self.enrolled.get(icon).map_or(-1.0, |enrolled| nearness(&enrolled.means, embedding))
    }

    /// The icons in the order of the set.
    pub fn enrolled(&self) -> &[Enrolled] {
        &self.enrolled
    }
}

fn nearness(means: &[Embedding; 2], embedding: &Embedding) -> f32 {
    cosine(&means[0], embedding).max(cosine(&means[1], embedding))
}

fn mean(embeddings: &[Embedding]) -> Embedding {
    let mut sum = [0.0; EMBEDDING_LEN];
    for embedding in embeddings {
        for (total, value) in sum.iter_mut().zip(embedding) {
            *total += value;
        }
    }
    unit(&sum)
}

/// Appends one crop of the icon as a camera might give it.
fn appear(brush: &Brush, side_px: f32, variant: usize, crops: &mut Vec<f32>) {
    let phase = variant as f32;
    let span = (side_px * 2.0).ceil() as u32;
    let ground = [40_u8, 120, 200, 90][variant % 4];
    let Some(mut frame) = Frame::new(span, span, vec![ground; (span * span * 3) as usize]) else {
        return;
    };
    // Turns and tilts differ from variant to variant, without a pattern that sides share.
    let turn = phase * 0.83 + side_px * 0.31;
    let middle = span as f32 / 2.0 + 0.37 * (phase - 3.0) / 4.0;
    let tilt = if variant.is_multiple_of(2) { 1.0 } else { 0.85 };
    let corner = |x: f32, y: f32| {
        let (x, y) = (x * side_px * 0.5, y * side_px * 0.5 * tilt);
        [middle + x * turn.cos() - y * turn.sin(), middle + x * turn.sin() + y * turn.cos()]
    };
    let quad = Quad([corner(-1.0, -1.0), corner(1.0, -1.0), corner(1.0, 1.0), corner(-1.0, 1.0)]);
    draw(&mut frame, brush, &quad, 1.0);
    if variant % 4 >= 2 {
        soften(&mut frame);
    }
    // Paper is rarely white and ink rarely black.
    let (gain, offset) = [(1.0, 0.0), (0.7, 20.0), (0.85, 8.0), (0.55, 45.0)][variant / 2];
    for value in frame.rgb_mut() {
        *value = (f32::from(*value) * gain + offset).clamp(0.0, 255.0) as u8;
    }
    let off = side_px * 0.02;
    let seen = Quad(std::array::from_fn(|k| {
        let swing = phase * 1.7 + k as f32 * 2.1;
        [quad.0[k][0] + off * swing.sin(), quad.0[k][1] + off * swing.cos()]
    }));
    rectify(&mut Pyramid::new(&frame), &seen, CROP, crops);
}

/// Blurs by a 1-2-1 kernel on both axes (sigma 0.7 px).
fn soften(frame: &mut Frame) {
    let width = frame.width_px() as usize * 3;
    let source = frame.rgb().to_vec();
    let target = frame.rgb_mut();
    let last = source.len() - 1;
    for (index, value) in target.iter_mut().enumerate() {
        let tap =
            |at: Option<usize>| f32::from(source[at.filter(|&at| at <= last).unwrap_or(index)]);
        let row = |shift: usize| {
            let centre = if shift == 0 {
                index.checked_sub(width)
            } else {
                Some(index + (shift - 1) * width)
            };
            let centre = centre.filter(|&at| at <= last).unwrap_or(index);
            tap(centre.checked_sub(3)) + 2.0 * tap(Some(centre)) + tap(Some(centre + 3))
        };
        *value = ((row(0) + 2.0 * row(1) + row(2)) / 16.0).round() as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(index: usize) -> Embedding {
        std::array::from_fn(|i| if i == index { 1.0 } else { 0.0 })
    }

    #[test]
    fn nearest_icon_and_runner_up_are_named() {
        let enrolled = |a, b| Enrolled { means: [axis(a), axis(b)], own_min: 1.0 };
        let gallery = Gallery { enrolled: vec![enrolled(0, 1), enrolled(2, 3), enrolled(4, 5)] };
        let mut probe = [0.0; EMBEDDING_LEN];
        (probe[3], probe[4], probe[0]) = (0.8, 0.5, 0.2);
        let found = gallery.nearest(&probe).expect("a match");
        assert_eq!((found.index, found.runner_up), (1, 2));
        assert!((found.cosine - 0.8).abs() < 1e-6 && (found.runner_up_cosine - 0.5).abs() < 1e-6);
        assert!((gallery.cosine_to(0, &probe) - 0.2).abs() < 1e-6);
    }

    #[test]
    fn appearances_fill_whole_crops_with_sane_values() {
        let set = IconSet::house().expect("the built-in icons");
        let brush = Brush::new(&set.icons()[0].picture(512).expect("a picture"));
        let mut crops = Vec::new();
        for side_px in SIDES_PX {
            for variant in 0..VARIANTS {
                appear(&brush, side_px, variant, &mut crops);
            }
        }
        assert_eq!(crops.len(), SIDES_PX.len() * VARIANTS * 3 * 64 * 64);
        assert!(crops.iter().all(|value| (0.0..=1.0).contains(value)));
    }
}
