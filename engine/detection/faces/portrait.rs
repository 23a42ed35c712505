//! Tells a portrait in the house frame from the face of somebody who is there.
//!
//! In:  outlines that the icon stages took for a house frame, and faces. Out: which of them are frames,
//! the upright picture inside one, which face lies in which.
//!
//! A frame counts where the photo's own pixels show the ring, the quiet zone and the gap: picture
//! frames on walls have no gap. A portrait lies in its middle and has the size that portraits have.
//! No place is searched for: what the icon stages did not propose is nobody's portrait, and the face
//! in it somebody who is there.
//!
//! Knows nothing of whose face it is.

use std::ops::RangeInclusive;
use std::sync::OnceLock;

use super::localise::Face;
use crate::detection::DetectionError;
use crate::detection::icon_set::{
    CLOSED_FRAME_SVG, FRAME_SVG, GLYPH_UNITS, TILE_UNITS, render_text,
};
use crate::detection::quads::Quad;
use crate::detection::verify::Plane;
use crate::detection::warp::{CropSpec, Homography, Pyramid, luma, rectify};
use crate::media::Frame;

/// How far the middle of a face may lie from that of its frame, on each axis, in sides of the frame.
const MIDDLE_OFF_MAX: f32 = 0.16;
/// Mean side of the face's box, in sides of the frame.
const SIDES: RangeInclusive<f32> = 0.2..=0.75;
/// Correlation of the pixels around the portrait with the frame as it is drawn. Of 299 outlines that
/// the icon stages proposed in 2,299 photos without a frame the highest was 0.72, with a gap of 1.6; of
/// 298 of 300 portraits of 48 to 112 px on photos, tilted by up to 35 degrees, it was above.
const LIKENESS_MIN: f32 = 0.7;
/// 1 when the gap is as drawn (those portraits: 0.75 to 1.2), 0 when the ring is closed there; far above
/// 1 something else is there (those photos' five likest outlines: 1.6 to 1.8).
const GAP: RangeInclusive<f32> = 0.5..=1.4;
/// Paper less ink.
const CONTRAST_MIN: f32 = 0.1;

/// Side of the upright picture of what is inside a frame. A face is half as large: at 96 px and above
/// all of 26 portraits were found, however small they were stamped.
pub const INSIDE_PX: usize = 128;

/// Side of the copy that is compared.
const COPY_PX: usize = 48;
/// Blur of the drawn frame, as a share of its side.
const BLUR: f32 = 0.03;
/// Nothing nearer to the tile's edge counts, as a share of its side: the ground shines in.
const EDGE: f32 = 0.055;

/// How much a place looks like the house frame, whatever is inside.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FrameLooks {
    /// Zero-mean correlation with the drawn frame, `-1.0..=1.0`.
    pub likeness: f32,
    /// 1 when the gap is as drawn, 0 when the ring is closed there.
    pub gap: f32,
    /// Brightness of paper less that of ink, `-1.0..=1.0`.
    pub contrast: f32,
}

impl FrameLooks {
    /// Compares the pixels of a place; `None` where the outline is flat.
    ///
    /// # Errors
    /// None as long as the frame that is built in is sound.
    pub fn of(pyramid: &mut Pyramid<'_>, quad: &Quad) -> Result<Option<Self>, DetectionError> {
        let drawn = Drawn::get()?;
        let mut crop = Vec::new();
        if !rectify(pyramid, quad, CropSpec { side_px: COPY_PX, margin: 0.0 }, &mut crop) {
            return Ok(None);
        }
        let plane = COPY_PX * COPY_PX;
        let seen = |at: usize| luma([crop[at], crop[plane + at], crop[2 * plane + at]]);
        let count = drawn.samples.len() as f32;
        let mean = drawn.samples.iter().map(|sample| seen(sample.at)).sum::<f32>() / count;
        let (mut along, mut squares) = (0.0, 0.0);
        for sample in &drawn.samples {
            let value = seen(sample.at) - mean;
            along += value * sample.frame;
            squares += value * value;
        }
        // Light may differ: the photo is `contrast` times the drawing, and so much brighter.
        let contrast = along / drawn.squares;
        if contrast.abs() < 1e-3 {
            return Ok(Some(Self { likeness: 0.0, gap: 0.0, contrast }));
        }
        let closes = drawn
            .samples
            .iter()
            .map(|sample| ((seen(sample.at) - mean) / contrast - sample.frame) * sample.closing);
        let gap = 1.0 - closes.sum::<f32>() / drawn.closing_squares;
        let likeness = along / (squares * drawn.squares).sqrt();
        Ok(Some(Self { likeness, gap, contrast }))
    }

    /// Whether that is a house frame.
    pub fn is_frame(&self) -> bool {
        self.likeness >= LIKENESS_MIN && GAP.contains(&self.gap) && self.contrast >= CONTRAST_MIN
    }
}

/// The outlines that are house frames.
///
/// # Errors
/// None as long as the frame that is built in is sound.
pub fn proven(pyramid: &mut Pyramid<'_>, frames: &[Quad]) -> Result<Vec<Quad>, DetectionError> {
    let mut proven = Vec::new();
    for quad in frames {
        if FrameLooks::of(pyramid, quad)?.is_some_and(|looks| looks.is_frame()) {
            proven.push(*quad);
        }
    }
    Ok(proven)
}

/// What is inside a frame, upright, [`INSIDE_PX`] wide; `None` where the outline is flat.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "colours are clamped to what a byte holds"
)]
pub fn inside(pyramid: &mut Pyramid<'_>, quad: &Quad) -> Option<Frame> {
    const PLANE: usize = INSIDE_PX * INSIDE_PX;
    let mut crop = Vec::new();
    rectify(pyramid, quad, CropSpec { side_px: INSIDE_PX, margin: 0.0 }, &mut crop).then_some(())?;
    let byte = |value: f32| (255.0 * value).round().clamp(0.0, 255.0) as u8;
    let rgb = (0..PLANE).flat_map(|at| [at, PLANE + at, 2 * PLANE + at].map(|at| byte(crop[at])));
    Frame::new(INSIDE_PX as u32, INSIDE_PX as u32, rgb.collect())
}

/// A face that was found in the picture of [`inside`], as it lies in the photo; `None` where it is
/// not where portraits are.
pub fn outside(quad: &Quad, face: &Face) -> Option<Face> {
    let map = Homography::from_unit_square(quad)?;
    let unit = |[x, y]: [f32; 2]| [x, y].map(|at| f64::from(at) / INSIDE_PX as f64);
    #[expect(clippy::cast_possible_truncation, reason = "px need no more digits than f32 has")]
    let place = |at: [f32; 2]| map.map(unit(at)).map(|value| value as f32);
    let [left, top, right, bottom] = face.bounds;
    let [x, y] = place([(left + right) / 2.0, (top + bottom) / 2.0]);
    let half = face.side_px() / INSIDE_PX as f32 * quad.side_px() / 2.0;
    let bounds = [x - half, y - half, x + half, y + half];
    let found = Face { bounds, score: face.score, points: face.points.map(place) };
    fits(quad, bounds).then_some(found)
}

/// Whether a face lies in a frame as portraits do.
pub fn fits(quad: &Quad, bounds: [f32; 4]) -> bool {
    place_in(quad, bounds).is_some_and(|(off, side)| off <= MIDDLE_OFF_MAX && SIDES.contains(&side))
}

/// How far the middle of a box lies from that of a frame, the farther of both axes, and its mean
/// side; in sides of the frame. `None` for a flat outline.
pub fn place_in(quad: &Quad, [left, top, right, bottom]: [f32; 4]) -> Option<(f32, f32)> {
    let map = Homography::from_unit_square(quad)?.inverse()?;
    let [x, y] = [(left + right) / 2.0, (top + bottom) / 2.0];
    let at = |x: f32, y: f32| map.map([f64::from(x), f64::from(y)]);
    let [u, v] = at(x, y);
    let apart = |[u0, v0]: [f64; 2], [u1, v1]: [f64; 2]| (u1 - u0).hypot(v1 - v0);
    let side = 0.5 * (apart(at(left, y), at(right, y)) + apart(at(x, top), at(x, bottom)));
    let off = (u - 0.5).abs().max((v - 0.5).abs());
    #[expect(clippy::cast_possible_truncation, reason = "shares need no more digits than f32 has")]
    let (off, side) = (off as f32, side as f32);
    // Of an outline that reaches behind the camera nothing can be said.
    (off.is_finite() && side.is_finite()).then_some((off, side))
}

/// One place of the tile that is neither portrait nor ground.
#[derive(Debug)]
struct Sample {
    /// Index in the copy.
    at: usize,
    /// What is drawn there, less the mean.
    frame: f32,
    /// What closing the ring would change there.
    closing: f32,
}

/// The frame as it is drawn.
#[derive(Debug)]
struct Drawn {
    samples: Vec<Sample>,
    squares: f32,
    closing_squares: f32,
}

impl Drawn {
    /// Drawn once.
    fn get() -> Result<&'static Self, DetectionError> {
        static DRAWN: OnceLock<Drawn> = OnceLock::new();
        if let Some(drawn) = DRAWN.get() {
            return Ok(drawn);
        }
        let [open, closed] = [FRAME_SVG, CLOSED_FRAME_SVG].map(|svg| {
            render_text(svg, Plane::PICTURE_PX).map(|picture| Plane::of(&picture, BLUR))
        });
        let (open, closed) = (open?, closed?);
        let portrait = GLYPH_UNITS.start / TILE_UNITS..GLYPH_UNITS.end / TILE_UNITS;
        let unit = |index: usize| (index as f32 + 0.5) / COPY_PX as f32;
        let mut samples = Vec::new();
        for at in 0..COPY_PX * COPY_PX {
            let (u, v) = (unit(at % COPY_PX), unit(at / COPY_PX));
            let is_on_tile = [u, v].iter().all(|at| (EDGE..1.0 - EDGE).contains(at));
            if is_on_tile && !(portrait.contains(&u) && portrait.contains(&v)) {
                let (frame, closed) = (open.value(u, v), closed.value(u, v));
                samples.push(Sample { at, frame, closing: closed - frame });
            }
        }
        let count = samples.len() as f32;
        let mean = samples.iter().map(|sample| sample.frame).sum::<f32>() / count;
        let mean_closing = samples.iter().map(|sample| sample.closing).sum::<f32>() / count;
        for sample in &mut samples {
            sample.frame -= mean;
            sample.closing -= mean_closing;
        }
        let squares = samples.iter().map(|sample| sample.frame.powi(2)).sum();
        let closing_squares = samples.iter().map(|sample| sample.closing.powi(2)).sum();
        Ok(DRAWN.get_or_init(|| Self { samples, squares, closing_squares }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::IconSet;
    use crate::detection::draw::{Brush, draw};
    use crate::detection::icon_set::Picture;

    const PLACE: Quad = Quad([[60.0, 52.0], [182.0, 60.0], [176.0, 178.0], [54.0, 170.0]]);

    /// Something drawn on grey, and how much it looks like the frame.
    fn looks(picture: &Picture) -> FrameLooks {
        let mut frame = Frame::new(240, 240, vec![110; 240 * 240 * 3]).expect("a frame");
        draw(&mut frame, &Brush::new(picture), &PLACE, 1.0);
        FrameLooks::of(&mut Pyramid::new(&frame), &PLACE).expect("a look").expect("a place")
    }

    #[test]
    fn frame_is_told_whatever_is_inside_and_one_without_a_gap_is_none() {
        let set = IconSet::house().expect("the built-in icons");
        for icon in set.icons() {
            let looks = looks(&icon.picture(512).expect("a picture"));
            assert!(looks.is_frame() && looks.likeness > 0.9, "{}: {looks:?}", icon.name());
        }
        let closed = looks(&render_text(CLOSED_FRAME_SVG, 512).expect("a picture"));
        assert!(!closed.is_frame() && closed.gap < 0.3, "{closed:?}");
        // Upside down, dark on bright, and nothing at all.
        let upright = render_text(FRAME_SVG, 512).expect("a picture");
        let mut turned = upright.clone();
        turned.rgba = upright.rgba.chunks_exact(4).rev().flatten().copied().collect();
        let mut inverted = upright.clone();
        let colours =
            |pixel: &mut [u8]| pixel[..3].iter_mut().for_each(|value| *value = 255 - *value);
        inverted.rgba.chunks_exact_mut(4).for_each(colours);
        let mut nothing = upright;
        nothing.rgba.fill(0);
        for other in [turned, inverted, nothing] {
            let looks = looks(&other);
            assert!(!looks.is_frame(), "{looks:?}");
        }
    }

    #[test]
    fn face_belongs_to_the_frame_that_it_fills() {
        let quad = Quad::square(100.0, 200.0, 100.0);
        let face = |x: f32, y: f32, side: f32| {
            [x - side / 2.0, y - side / 2.0, x + side / 2.0, y + side / 2.0]
        };
        for (bounds, expected) in [
            (face(150.0, 250.0, 40.0), true),
            (face(160.0, 242.0, 55.0), true),
            // Somebody behind it, too large; somebody beside it; a speck.
            (face(150.0, 250.0, 90.0), false),
            (face(185.0, 250.0, 40.0), false),
            (face(150.0, 290.0, 40.0), false),
            (face(150.0, 250.0, 12.0), false),
            ([f32::NAN; 4], false),
        ] {
            assert_eq!(fits(&quad, bounds), expected, "{bounds:?}");
            // Seen from the side, the same.
            let tilted = quad.map(|[x, y]| [0.6 * x + 0.2 * y, y]);
            let [left, top, right, bottom] = bounds;
            let [x, y] = [(left + right) / 2.0, (top + bottom) / 2.0];
            let middle = [0.6 * x + 0.2 * y, y];
            let side = (right - left) * 0.8;
            assert_eq!(fits(&tilted, face(middle[0], middle[1], side)), expected, "{bounds:?}");
        }
        assert!(!fits(&Quad([[0.0; 2]; 4]), face(0.0, 0.0, 1.0)));
    }
}
