//! Finds how a frame is turned and tilted where the localiser knows only the place.
//!
//! In:  a place and a rough size. Out: a few outlines, each good enough for `align`.
//!
//! Of small, steep or half-covered icons the localiser often means two corners at once and
//! answers with their middle: the place is right (median error 6 % of the side), the
//! outline turned or shrunk. Here the house frame, without any sign inside, is compared in
//! 16 turns, 13 tilts and a few sizes and shifts with a small copy of the place. The frame's gap tells
//! the turns apart.
//!
//! Knows nothing of signs and networks.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "indices of a small grid"
)]

use super::icon_set::{FRAME_SVG, GLYPH_UNITS, IconSetError, TILE_UNITS, render_text};
use super::quads::Quad;
use super::verify::Plane;
use super::warp::{CropSpec, Homography, Pyramid, luma, rectify};

/// Side of the copy.
const COPY_PX: usize = 32;
/// Root of the tile's area in it: steep tiles still fit.
const TILE_PX: f32 = 14.0;
/// Turns that are tried, over the full circle.
const TURNS: usize = 16;
/// Directions of the axis of a tilt, over half a circle.
const AXES: usize = 6;
/// Lengths across that axis as shares of those along it: about 44 and 60 degrees.
const TILTS: [f32; 2] = [0.72, 0.5];
/// Sizes that are tried, over the root of the area that the localiser believes in.
const SCALES: [f32; 5] = [0.9, 1.15, 1.5, 1.95, 2.5];
/// Shifts that are tried, in px of the copy, on both axes.
const SHIFTS: [isize; 3] = [-1, 0, 1];
/// Blur of the drawn frame, as a share of the tile.
const BLUR: f32 = 0.06;
/// Nothing nearer to the tile's edge counts, as a share of the tile.
const EDGE: f32 = 0.055;
/// Outlines that are handed out at most.
pub const FOUND_MAX: usize = 10;

/// The frame in all poses.
#[derive(Debug)]
pub struct Poses {
    poses: Vec<Pose>,
    crop: Vec<f32>,
    scores: Vec<Score>,
}

/// One pose at one size and shift.
#[derive(Debug, Clone, Copy)]
struct Score {
    likeness: f32,
    pose: usize,
    scale: f32,
    shift: [isize; 2],
}

#[derive(Debug)]
struct Pose {
    /// Corners around the place, for a tile of area 1.
    corners: [[f32; 2]; 4],
    /// Pixels of the copy on the frame (less a row and a column, for shifts), and what is drawn there: mean 0, squares sum to 1.
    drawn: Vec<(u16, f32)>,
}

impl Poses {
    /// Draws the frame in all poses.
    ///
    /// # Errors
    /// None as long as the frame that is built in is sound.
    pub fn new() -> Result<Self, IconSetError> {
        let plane = Plane::of(&render_text(FRAME_SVG, Plane::PICTURE_PX)?, BLUR);
        let tilts = std::iter::once((0, 1.0))
            .chain(TILTS.into_iter().flat_map(|across| (0..AXES).map(move |axis| (axis, across))));
        let mut poses = Vec::new();
        for (axis, across) in tilts {
            for turn in 0..TURNS {
                let axis = axis as f32 * std::f32::consts::PI / AXES as f32;
                let turn = turn as f32 * std::f32::consts::TAU / TURNS as f32;
                poses.extend(Pose::new(&plane, turn, axis, across));
            }
        }
        Ok(Self { poses, crop: Vec::new(), scores: Vec::new() })
    }

    /// The outlines around a place that look most like a frame, best first, each with its
    /// correlation; all at least `likeness_min`.
    ///
    /// - `rough`: what the localiser says; its centre and area count
    /// - `count_max`: so many at most, and never more than [`FOUND_MAX`]
    pub fn find(
        &mut self,
        pyramid: &mut Pyramid<'_>,
        rough: &Quad,
        likeness_min: f32,
        count_max: usize,
    ) -> Vec<(Quad, f32)> {
        let centre = rough.centre();
        let side_px = rough.area().abs().sqrt();
        self.scores.clear();
        for scale in SCALES {
            let reach = side_px * scale / TILE_PX * COPY_PX as f32 / 2.0;
            let around = Quad::square(centre[0] - reach, centre[1] - reach, 2.0 * reach);
            self.crop.clear();
            let spec = CropSpec { side_px: COPY_PX, margin: 0.0 };
            if !rectify(pyramid, &around, spec, &mut self.crop) {
                continue;
            }
            let (red, rest) = self.crop.split_at(COPY_PX * COPY_PX);
            let (green, blue) = rest.split_at(COPY_PX * COPY_PX);
            let copy: Vec<f32> =
                red.iter().zip(green).zip(blue).map(|((r, g), b)| luma([*r, *g, *b])).collect();
            let spread = deviation(&copy);
            for (index, pose) in self.poses.iter().enumerate() {
                let best = SHIFTS
                    .into_iter()
                    .flat_map(|down| SHIFTS.map(|right| [right, down]))
                    .map(|shift| (pose.likeness(&copy, shift, spread), shift))
                    .max_by(|a, b| a.0.total_cmp(&b.0));
                let Some((likeness, shift)) = best else { continue };
                if likeness >= likeness_min {
                    self.scores.push(Score { likeness, pose: index, scale, shift });
                }
            }
        }
        self.scores.sort_by(|a, b| b.likeness.total_cmp(&a.likeness));
        let mut found: Vec<(Quad, f32)> = Vec::new();
        for &Score { likeness, pose, scale, shift } in &self.scores {
            let (scale, step) = (side_px * scale, side_px * scale / TILE_PX);
            let middle = [0, 1].map(|axis| centre[axis] + shift[axis] as f32 * step);
            let quad = Quad(self.poses[pose].corners)
                .map(|[x, y]| [middle[0] + x * scale, middle[1] + y * scale]);
            if found.iter().all(|(other, _)| differs(other, &quad)) {
                found.push((quad, likeness));
                if found.len() >= count_max.min(FOUND_MAX) {
                    break;
                }
            }
        }
        found
    }
}

fn deviation(values: &[f32]) -> f32 {
    let count = values.len() as f32;
    let mean = values.iter().sum::<f32>() / count;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / count).sqrt().max(0.01)
}

/// Whether two outlines are too far apart for `align` to make one of them.
fn differs(a: &Quad, b: &Quad) -> bool {
    let apart: f32 =
        a.0.iter().zip(&b.0).map(|(p, q)| (p[0] - q[0]).hypot(p[1] - q[1])).sum::<f32>() / 4.0;
    apart > 0.35 * a.side_px().min(b.side_px())
}

impl Pose {
    /// `None` when the tile would be flat.
    fn new(plane: &Plane, turn: f32, axis: f32, across: f32) -> Option<Self> {
        let grow = 1.0 / across.sqrt();
        let corners =
            [[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]].map(|[x, y]: [f32; 2]| {
                let (x, y) = (x * turn.cos() - y * turn.sin(), x * turn.sin() + y * turn.cos());
                let along = (x * axis.cos() + y * axis.sin()) * grow;
                let across = (-x * axis.sin() + y * axis.cos()) * across * grow;
                [along * axis.cos() - across * axis.sin(), along * axis.sin() + across * axis.cos()]
            });
        let half = COPY_PX as f32 / 2.0;
        let outline = Quad(corners).map(|corner| corner.map(|at| half + at * TILE_PX));
        let back = Homography::from_unit_square(&outline)?.inverse()?;
        let sign = GLYPH_UNITS.start / TILE_UNITS..GLYPH_UNITS.end / TILE_UNITS;
        let mut drawn = Vec::new();
        for index in 0..COPY_PX * COPY_PX {
            let (column, row) = (index % COPY_PX, index / COPY_PX);
            let [u, v] =
                back.map([column as f64 + 0.5, row as f64 + 0.5]).map(|value| value as f32);
            // At the very edge the ground shines in, about which nothing is known.
            let on_tile = [u, v].iter().all(|at| (EDGE..1.0 - EDGE).contains(at));
            // A shifted pose must still lie in the copy.
            let inside = [column, row].iter().all(|at| (1..COPY_PX - 1).contains(at));
            if on_tile && inside && !(sign.contains(&u) && sign.contains(&v)) {
                drawn.push(((index - COPY_PX - 1) as u16, plane.value(u, v)));
            }
        }
        let mean = drawn.iter().map(|(_, value)| value).sum::<f32>() / drawn.len() as f32;
        let squares: f32 = drawn.iter().map(|(_, value)| (value - mean).powi(2)).sum();
        drawn.iter_mut().for_each(|(_, value)| *value = (*value - mean) / squares.sqrt());
        (squares > 1e-3).then_some(Self { corners, drawn })
    }

    /// Zero-mean correlation of the frame with what the copy shows there; 0 where it is flat.
    fn likeness(&self, copy: &[f32], [right, down]: [isize; 2], spread: f32) -> f32 {
        let start = (down * COPY_PX as isize + right + COPY_PX as isize + 1) as usize;
        let Some(copy) = copy.get(start..) else { return 0.0 };
        let (mut along, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for &(index, drawn) in &self.drawn {
            let seen = copy[usize::from(index)];
            along += seen * drawn;
            sum += seen;
            squares += seen * seen;
        }
        let count = self.drawn.len() as f32;
        let squares = squares - sum * sum / count;
        if squares < 1e-3 || along <= 0.0 {
            return 0.0;
        }
        (along / squares.sqrt()) * (along / count.sqrt() / spread).min(1.0).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::IconSet;
    use crate::detection::draw::{Brush, draw};
    use crate::media::Frame;

    #[test]
    fn icon_is_found_in_any_turn_from_its_middle_alone() {
        let set = IconSet::house().expect("the built-in icons");
        let icon = set.get("share").expect("an icon");
        let brush = Brush::new(&icon.picture(512).expect("a picture"));
        let mut poses = Poses::new().expect("poses");
        let mut reached = 0;
        for degrees in (0..360_u16).step_by(24) {
            let angle = f32::from(degrees).to_radians();
            let quad = Quad([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]).map(|[x, y]| {
                let (x, y) = (x * angle.cos() - y * angle.sin(), x * angle.sin() + y * angle.cos());
                [60.0 + 22.0 * x, 61.0 + 0.8 * 22.0 * y]
            });
            let mut frame = Frame::new(120, 120, vec![90; 120 * 120 * 3]).expect("a frame");
            draw(&mut frame, &brush, &quad, 1.0);
            let rough = Quad::square(50.5, 52.5, 17.0);
            let found = poses.find(&mut Pyramid::new(&frame), &rough, 0.5, FOUND_MAX);
            assert!(found.len() <= FOUND_MAX);
            // What `align` still mends: corners off by half a side, on average.
            let off = |outline: &Quad| {
                let corners = outline.0.iter().zip(&quad.0);
                corners.map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1])).sum::<f32>() / 4.0
            };
            reached += usize::from(found.iter().any(|(outline, _)| off(outline) < 10.0));
        }
        assert!(reached >= 13, "{reached} of 15");
    }

    #[test]
    fn plain_place_looks_like_no_frame() {
        let frame = Frame::new(120, 120, vec![130; 120 * 120 * 3]).expect("a frame");
        let mut poses = Poses::new().expect("poses");
        let rough = Quad::square(50.0, 52.0, 17.0);
        assert!(poses.find(&mut Pyramid::new(&frame), &rough, 0.3, FOUND_MAX).is_empty());
    }
}
