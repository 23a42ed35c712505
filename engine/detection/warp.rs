//! Perspective: from an outline in the photo to an upright crop, and back.
//!
//! In:  a frame and a quad. Out: square crops as network input, or luma patches.
//!
//! Sampling one pixel in three would alias, so a frame is halved (lazily, 2x2 averages)
//! until neighbouring samples are at most 1.5 px apart. Beyond its edges a frame repeats.
//!
//! Knows nothing of networks and icons.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "pixel indices are clamped into the frame before or after they are cast"
)]

use super::quads::Quad;
use crate::media::Frame;

/// Largest distance between neighbouring samples, in px of the level that is sampled.
const STEP_MAX_PX: f32 = 1.5;
/// Levels of a pyramid at most; 2^8 is more than any frame needs.
const LEVELS_MAX: usize = 8;

/// A projective map of the plane: rows of a 3x3 matrix.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Homography(pub [f64; 9]);

impl Homography {
    /// Maps the unit square onto a quad (Heckbert 1989, section 2.2); `None` when the quad is flat.
    pub fn from_unit_square(quad: &Quad) -> Option<Self> {
        let [[x0, y0], [x1, y1], [x2, y2], [x3, y3]] = quad.0.map(|corner| corner.map(f64::from));
        let (dx1, dx2, sx) = (x1 - x2, x3 - x2, x0 - x1 + x2 - x3);
        let (dy1, dy2, sy) = (y1 - y2, y3 - y2, y0 - y1 + y2 - y3);
        let determinant = dx1 * dy2 - dx2 * dy1;
        if !determinant.is_finite() || determinant.abs() < 1e-9 {
            return None;
        }
        let g = (sx * dy2 - dx2 * sy) / determinant;
        let h = (dx1 * sy - sx * dy1) / determinant;
        Some(Self([
            x1 - x0 + g * x1,
            x3 - x0 + h * x3,
            x0,
            y1 - y0 + g * y1,
            y3 - y0 + h * y3,
            y0,
            g,
            h,
            1.0,
        ]))
    }

    /// The map that undoes this one; `None` when it flattens the plane.
    pub fn inverse(&self) -> Option<Self> {
        let [a, b, c, d, e, f, g, h, i] = self.0;
        let cofactors = [
            e * i - f * h,
            c * h - b * i,
            b * f - c * e,
            f * g - d * i,
            a * i - c * g,
            c * d - a * f,
            d * h - e * g,
            b * g - a * h,
            a * e - b * d,
        ];
        let determinant = a * cofactors[0] + b * cofactors[3] + c * cofactors[6];
        (determinant.is_finite() && determinant.abs() > 1e-12)
            .then(|| Self(cofactors.map(|value| value / determinant)))
    }

    /// First `self`, then `next`.
    #[must_use]
    pub fn then(&self, next: &Self) -> Self {
        Self(std::array::from_fn(|index| {
            let (row, column) = (index / 3, index % 3);
            (0..3).map(|k| next.0[3 * row + k] * self.0[3 * k + column]).sum()
        }))
    }

    /// Where a point goes.
    pub fn map(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let m = &self.0;
        let w = m[6] * x + m[7] * y + m[8];
        [(m[0] * x + m[1] * y + m[2]) / w, (m[3] * x + m[4] * y + m[5]) / w]
    }

    /// Images of the unit square's corners.
    pub fn quad(&self) -> Quad {
        let corner = |point: [f64; 2]| self.map(point).map(|value| value as f32);
        Quad([corner([0.0, 0.0]), corner([1.0, 0.0]), corner([1.0, 1.0]), corner([0.0, 1.0])])
    }
}

/// A frame and its halves, made when first needed.
#[derive(Debug)]
pub struct Pyramid<'a> {
    base: &'a Frame,
    halves: Vec<Frame>,
}

impl<'a> Pyramid<'a> {
    /// Starts with the frame alone.
    pub const fn new(base: &'a Frame) -> Self {
        Self { base, halves: Vec::new() }
    }

    /// Level on which `step_px` (in px of the frame) is at most [`STEP_MAX_PX`].
    pub fn level_for(step_px: f32) -> usize {
        let (mut level, mut step_px) = (0, step_px);
        while step_px > STEP_MAX_PX && level < LEVELS_MAX {
            step_px /= 2.0;
            level += 1;
        }
        level
    }

    /// The frame halved `level` times (less often once a side would vanish) and how often.
    pub fn level(&mut self, level: usize) -> (&Frame, usize) {
        while self.halves.len() < level {
            let last = self.halves.last().unwrap_or(self.base);
            match half(last) {
                Some(next) => self.halves.push(next),
                None => break,
            }
        }
        let level = level.min(self.halves.len());
        let frame =
            if level == 0 { self.base } else { self.halves.get(level - 1).unwrap_or(self.base) };
        (frame, level)
    }

    /// The frame itself.
    pub const fn base(&self) -> &'a Frame {
        self.base
    }
}

/// A frame of half the sides (rounded down), each pixel the mean of 2x2; `None` when a side is 1.
pub fn half(frame: &Frame) -> Option<Frame> {
    let (width, height) = (frame.width_px() / 2, frame.height_px() / 2);
    if width == 0 || height == 0 {
        return None;
    }
    let source_row_bytes = frame.width_px() as usize * 3;
    let target_row_bytes = width as usize * 3;
    let mut rgb = vec![0; target_row_bytes * height as usize];
    // Down first: whole rows are summed at once.
    let mut sums = vec![0_u16; source_row_bytes];
    let rows = frame.rgb().chunks_exact(2 * source_row_bytes);
    for (rows, target) in rows.zip(rgb.chunks_exact_mut(target_row_bytes)) {
        let (upper, lower) = rows.split_at(source_row_bytes);
        for ((sum, a), b) in sums.iter_mut().zip(upper).zip(lower) {
            *sum = u16::from(*a) + u16::from(*b);
        }
        for (pixel, pair) in target.chunks_exact_mut(3).zip(sums.chunks_exact(6)) {
            for channel in 0..3 {
                pixel[channel] = ((pair[channel] + pair[channel + 3] + 2) / 4) as u8;
            }
        }
    }
    Frame::new(width, height, rgb)
}

/// A copy whose long side is `long_side_px`; each pixel is the mean of the area that it covers.
/// `None` when the frame is no larger than that.
pub fn shrunk(frame: &Frame, long_side_px: u32) -> Option<Frame> {
    if frame.long_side_px() <= long_side_px || long_side_px == 0 {
        return None;
    }
    let ratio = f64::from(frame.long_side_px()) / f64::from(long_side_px);
    let side = |px: u32| ((f64::from(px) / ratio).round() as u32).max(1);
    let (width, height) = (side(frame.width_px()), side(frame.height_px()));
    let (source_width, source_height) = (frame.width_px() as usize, frame.height_px() as usize);
    // Columns first, row by row; then rows are summed as they come.
    let columns = spans(source_width, width as usize);
    let rows = spans(source_height, height as usize);
    let mut narrow = vec![0.0_f32; width as usize * 3 * source_height];
    let narrow_rows = narrow.chunks_exact_mut(width as usize * 3);
    for (target, source) in narrow_rows.zip(frame.rgb().chunks_exact(source_width * 3)) {
        for (pixel, span) in target.chunks_exact_mut(3).zip(&columns) {
            for (index, weight) in span.clone() {
                for channel in 0..3 {
                    pixel[channel] += weight * f32::from(source[3 * index + channel]);
                }
            }
        }
    }
    let mut rgb = Vec::with_capacity(width as usize * height as usize * 3);
    let mut sums = vec![0.0_f32; width as usize * 3];
    for span in &rows {
        sums.fill(0.0);
        for (index, weight) in span.clone() {
            let source = narrow.iter().skip(index * sums.len());
            for (sum, value) in sums.iter_mut().zip(source) {
                *sum += weight * value;
            }
        }
        rgb.extend(sums.iter().map(|value| (value + 0.5) as u8));
    }
    Frame::new(width, height, rgb)
}

/// For each of `targets` pixels, which of `sources` pixels it covers and with what weight.
fn spans(sources: usize, targets: usize) -> Vec<impl Iterator<Item = (usize, f32)> + Clone> {
    let ratio = sources as f64 / targets as f64;
    (0..targets)
        .map(|target| {
            let (from, to) = (target as f64 * ratio, (target + 1) as f64 * ratio);
            let last = (to.ceil() as usize).min(sources);
            (from as usize..last).map(move |index| {
                let covered = to.min((index + 1) as f64) - from.max(index as f64);
                (index, (covered / ratio) as f32)
            })
        })
        .collect()
}

/// What part of the plane around a quad a crop shows.
#[derive(Debug, Clone, Copy)]
pub struct CropSpec {
    /// Side of the crop.
    pub side_px: usize,
    /// How far it reaches beyond the quad on each side, as a share of the quad's side.
    pub margin: f32,
}

/// Appends one upright crop `[3, side, side]`, f32 in `0.0..=1.0`; nothing when the quad is flat.
///
/// Returns whether a crop was appended.
pub fn rectify(
    pyramid: &mut Pyramid<'_>,
    quad: &Quad,
    spec: CropSpec,
    crops: &mut Vec<f32>,
) -> bool {
    let side = spec.side_px;
    let step_px = quad.side_px() * (1.0 + 2.0 * spec.margin) / side as f32;
    let (frame, level) = pyramid.level(Pyramid::level_for(step_px));
    let scale = 1.0 / (1_u32 << level) as f32;
    let Some(map) =
        Homography::from_unit_square(&quad.map(|corner| corner.map(|value| value * scale)))
    else {
        return false;
    };
    let m = map.0.map(|value| value as f32);
    let start = crops.len();
    crops.resize(start + 3 * side * side, 0.0);
    let Some(crop) = crops.get_mut(start..) else {
        return false;
    };
    let (red, rest) = crop.split_at_mut(side * side);
    let (green, blue) = rest.split_at_mut(side * side);
    let extent = 1.0 + 2.0 * spec.margin;
    let unit = |index: usize| (index as f32 + 0.5) / side as f32 * extent - spec.margin;
    for row in 0..side {
        let v = unit(row);
        for column in 0..side {
            let u = unit(column);
            let w = (m[6] * u + m[7] * v + m[8]).max(1e-4);
            let x = (m[0] * u + m[1] * v + m[2]) / w;
            let y = (m[3] * u + m[4] * v + m[5]) / w;
            let [r, g, b] = bilinear(frame, x, y);
            let at = row * side + column;
            red[at] = r * (1.0 / 255.0);
            green[at] = g * (1.0 / 255.0);
            blue[at] = b * (1.0 / 255.0);
        }
    }
    true
}

/// Colour at a place, `0.0..=255.0`, between the four pixels around it; edges repeat.
#[inline]
pub fn bilinear(frame: &Frame, x: f32, y: f32) -> [f32; 3] {
    let (width, height) = (frame.width_px() as usize, frame.height_px() as usize);
    // `max` before `min` sends NaN to the first pixel.
    let x = (x - 0.5).max(0.0).min((width - 1) as f32);
    let y = (y - 0.5).max(0.0).min((height - 1) as f32);
    let (left, top) = (x as usize, y as usize);
    let (right, bottom) = ((left + 1).min(width - 1), (top + 1).min(height - 1));
    let (fx, fy) = (x - left as f32, y - top as f32);
    let rgb = frame.rgb();
    let pixel = |column: usize, row: usize| {
        let at = 3 * (row * width + column);
        &rgb[at..at + 3]
    };
    let (a, b, c, d) =
        (pixel(left, top), pixel(right, top), pixel(left, bottom), pixel(right, bottom));
    std::array::from_fn(|channel| {
        let [a, b, c, d] = [a, b, c, d].map(|p| f32::from(p[channel]));
        let (upper, lower) = (a + (b - a) * fx, c + (d - c) * fx);
        upper + (lower - upper) * fy
    })
}

/// Brightness of a piece of a frame.
#[derive(Debug, Clone, Default)]
pub struct Patch {
    /// Column of its first pixel in the frame that it was cut from.
    pub left: i32,
    /// Row of its first pixel there.
    pub top: i32,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Luma, `0.0..=1.0`, top row first.
    pub luma: Vec<f32>,
}

impl Patch {
    /// Cuts the part of the frame inside `bounds` (left, top, right, bottom in px), grown
    /// by `margin_px`. Reuses its memory. Empty when nothing of it lies in the frame.
    pub fn cut(&mut self, frame: &Frame, bounds: [f32; 4], margin_px: f32) {
        let (width, height) = (frame.width_px() as i32, frame.height_px() as i32);
        let left = ((bounds[0] - margin_px).floor() as i32).clamp(0, width);
        let top = ((bounds[1] - margin_px).floor() as i32).clamp(0, height);
        let right = ((bounds[2] + margin_px).ceil() as i32).clamp(left, width);
        let bottom = ((bounds[3] + margin_px).ceil() as i32).clamp(top, height);
        (self.left, self.top) = (left, top);
        (self.width, self.height) = ((right - left) as usize, (bottom - top) as usize);
        self.luma.clear();
        let row_bytes = 3 * width as usize;
        for row in frame.rgb().chunks_exact(row_bytes).skip(top as usize).take(self.height) {
            let pixels = row.chunks_exact(3).skip(left as usize).take(self.width);
            self.luma.extend(
                pixels.map(|p| luma([f32::from(p[0]), f32::from(p[1]), f32::from(p[2])]) / 255.0),
            );
        }
    }
}

/// Luma of gamma-coded RGB (ITU-R BT.601), in the unit of its arguments.
#[inline]
pub fn luma([r, g, b]: [f32; 3]) -> f32 {
    0.299 * r + 0.587 * g + 0.114 * b
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: [f64; 2], b: [f64; 2]) -> bool {
        (a[0] - b[0]).abs() < 1e-4 && (a[1] - b[1]).abs() < 1e-4
    }

    #[test]
    fn unit_square_meets_the_corners_and_comes_back() {
        let quad = Quad([[10.0, 12.0], [50.0, 8.0], [60.0, 55.0], [5.0, 40.0]]);
        let map = Homography::from_unit_square(&quad).expect("not flat");
        let back = map.inverse().expect("not flat");
        for (unit, corner) in
            [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]].into_iter().zip(quad.0)
        {
            let corner = corner.map(f64::from);
            assert!(close(map.map(unit), corner));
            assert!(close(back.map(corner), unit));
        }
        assert!(close(map.then(&back).map([0.3, 0.7]), [0.3, 0.7]));
    }

    #[test]
    fn half_of_a_frame_is_the_rounded_mean_of_each_four_pixels() {
        for (width, height) in (1..=9_u32).flat_map(|width| (1..=9).map(move |h| (width, h))) {
            let value = |at: u32| (at.wrapping_mul(2_654_435_761) >> 24) as u8;
            let frame = Frame::new(width, height, (0..3 * width * height).map(value).collect());
            let frame = frame.expect("a frame");
            let at = |x: u32, y: u32, channel: u32| {
                u32::from(frame.rgb()[(3 * (y * width + x) + channel) as usize])
            };
            let mut expected = Vec::new();
            for (y, x) in (0..height / 2).flat_map(|y| (0..width / 2).map(move |x| (y, x))) {
                for channel in 0..3 {
                    let four = [(0, 0), (1, 0), (0, 1), (1, 1)]
                        .map(|(right, down)| at(2 * x + right, 2 * y + down, channel));
                    expected.push(((four.iter().sum::<u32>() + 2) / 4) as u8);
                }
            }
            let halved = half(&frame).map(|frame| frame.rgb().to_vec());
            assert_eq!(halved.unwrap_or_default(), expected, "{width}x{height}");
        }
    }

    #[test]
    fn flat_quad_has_no_map() {
        let flat = Quad([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0]]);
        assert_eq!(Homography::from_unit_square(&flat), None);
    }

    #[test]
    fn upright_crop_of_same_size_is_the_frame() {
        let rgb: Vec<u8> = (0..8 * 8 * 3).map(|i| (i * 7 % 251) as u8).collect();
        let frame = Frame::new(8, 8, rgb).expect("a frame");
        let mut crops = Vec::new();
        let spec = CropSpec { side_px: 8, margin: 0.0 };
        assert!(rectify(&mut Pyramid::new(&frame), &Quad::square(0.0, 0.0, 8.0), spec, &mut crops));
        for (index, pixel) in frame.rgb().chunks_exact(3).enumerate() {
            for channel in 0..3 {
                let found = crops[channel * 64 + index] * 255.0;
                assert!((found - f32::from(pixel[channel])).abs() < 1e-2);
            }
        }
    }

    #[test]
    fn fine_stripes_become_grey_in_a_small_crop_not_stripes() {
        let rgb: Vec<u8> =
            (0..128 * 128).flat_map(|i| [if i % 2 == 0 { 0 } else { 255 }; 3]).collect();
        let frame = Frame::new(128, 128, rgb).expect("a frame");
        let mut crops = Vec::new();
        let spec = CropSpec { side_px: 16, margin: 0.0 };
        rectify(&mut Pyramid::new(&frame), &Quad::square(0.0, 0.0, 128.0), spec, &mut crops);
        assert!(crops.iter().all(|value| (value - 0.5).abs() < 0.01));
    }

    #[test]
    fn shrunk_frame_keeps_its_mean_and_its_places() {
        let rgb: Vec<u8> =
            (0..100 * 50).flat_map(|i| [if i % 100 < 50 { 200 } else { 40 }; 3]).collect();
        let frame = Frame::new(100, 50, rgb).expect("a frame");
        let small = shrunk(&frame, 30).expect("smaller");
        assert_eq!((small.width_px(), small.height_px()), (30, 15));
        assert_eq!(
            [small.rgb()[0], small.rgb()[3 * 14], small.rgb()[3 * 15], small.rgb()[3 * 29]],
            [200, 200, 40, 40]
        );
        assert_eq!(shrunk(&frame, 100), None);
    }

    #[test]
    fn places_beyond_the_edge_and_nan_read_the_nearest_pixel() {
        let frame = Frame::new(2, 1, vec![10, 10, 10, 200, 200, 200]).expect("a frame");
        for (x, expected) in [(-5.0, 10.0), (99.0, 200.0), (f32::NAN, 10.0), (1.0, 105.0)] {
            assert!((bilinear(&frame, x, 0.5)[0] - expected).abs() < 1e-3, "{x}");
        }
    }
}
