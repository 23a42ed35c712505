//! Draws an icon into a picture, under any perspective.
//!
//! In:  a rendered icon and a quad in the picture. Out: the picture, changed in place.
//!
//! The rendering is halved until its pixels are about as large as the picture's, so that
//! a small icon is smooth and not a sieve.
//!
//! Knows nothing of detection.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "values are clamped to bytes and pixel indices to the frame before they are cast"
)]

use super::icon_set::Picture;
use super::quads::Quad;
use super::warp::Homography;
use crate::media::Frame;

/// An icon at several sizes, colours premultiplied, `0.0..=1.0`.
#[derive(Debug, Clone)]
pub struct Brush {
    levels: Vec<Level>,
}

#[derive(Debug, Clone)]
struct Level {
    side: usize,
    rgba: Vec<[f32; 4]>,
}

impl Brush {
    /// Prepares a rendered icon; its side should be a power of two and larger than it will be drawn.
    pub fn new(picture: &Picture) -> Self {
        let rgba = picture
            .rgba
            .chunks_exact(4)
            .map(|p| {
                let alpha = f32::from(p[3]) / 255.0;
                [0, 1, 2, 3].map(|i| if i == 3 { alpha } else { f32::from(p[i]) / 255.0 * alpha })
            })
            .collect();
        let mut levels = vec![Level { side: picture.side_px, rgba }];
        while let Some(next) = levels.last().and_then(halved) {
            levels.push(next);
        }
        Self { levels }
    }

    /// Premultiplied colour and opacity at a place of the tile (`0.0..=1.0` on both axes),
    /// smoothed as a picture needs whose pixels are `texel` tiles wide. Nothing outside.
    pub fn sample(&self, u: f32, v: f32, texel: f32) -> [f32; 4] {
        let wanted = 1.0 / texel.max(1e-6);
        // The finest level whose texels are not much smaller than the picture's pixels.
        let level = self.levels.iter().rev().find(|level| level.side as f32 >= wanted * 0.99);
        let Some(level) = level.or(self.levels.first()) else {
            return [0.0; 4];
        };
        let (x, y) = (u * level.side as f32 - 0.5, v * level.side as f32 - 0.5);
        if !(x > -1.0 && y > -1.0 && x < level.side as f32 && y < level.side as f32) {
            return [0.0; 4];
        }
        let (left, top) = (x.floor(), y.floor());
        let (fx, fy) = (x - left, y - top);
        let pixel = |dx: f32, dy: f32| {
            let (column, row) = (left + dx, top + dy);
            if column < 0.0 || row < 0.0 {
                return [0.0; 4];
            }
            let (column, row) = (column as usize, row as usize);
            if column >= level.side || row >= level.side {
                [0.0; 4]
            } else {
                level.rgba[row * level.side + column]
            }
        };
        let (a, b, c, d) = (pixel(0.0, 0.0), pixel(1.0, 0.0), pixel(0.0, 1.0), pixel(1.0, 1.0));
        std::array::from_fn(|i| {
            let (upper, lower) = (a[i] + (b[i] - a[i]) * fx, c[i] + (d[i] - c[i]) * fx);
            upper + (lower - upper) * fy
        })
    }
}

fn halved(level: &Level) -> Option<Level> {
    let side = level.side / 2;
    if side < 4 {
        return None;
    }
    let mut rgba = Vec::with_capacity(side * side);
    for row in 0..side {
        for column in 0..side {
            let at = 2 * row * level.side + 2 * column;
            let (a, b) = (level.rgba[at], level.rgba[at + 1]);
            let (c, d) = (level.rgba[at + level.side], level.rgba[at + level.side + 1]);
            rgba.push(std::array::from_fn(|i| (a[i] + b[i] + c[i] + d[i]) / 4.0));
        }
    }
    Some(Level { side, rgba })
}

/// Draws over the picture where the quad lies; what would lie outside the frame is left out.
///
/// - `opacity`: `0.0..=1.0`
///
/// A flat quad draws nothing.
pub fn draw(frame: &mut Frame, brush: &Brush, quad: &Quad, opacity: f32) {
    let Some(inverse) = Homography::from_unit_square(quad).and_then(|map| map.inverse()) else {
        return;
    };
    let m = inverse.0;
    let (width, height) = (frame.width_px() as usize, frame.height_px() as usize);
    let bounds = quad.bounds();
    let left = bounds[0].floor().clamp(0.0, width as f32) as usize;
    let right = bounds[2].ceil().clamp(0.0, width as f32) as usize;
    let top = bounds[1].floor().clamp(0.0, height as f32) as usize;
    let bottom = bounds[3].ceil().clamp(0.0, height as f32) as usize;
    let texel = 1.0 / quad.side_px().max(1.0);
    let rgb = frame.rgb_mut();
    for row in top..bottom {
        for column in left..right {
            let (x, y) = (column as f64 + 0.5, row as f64 + 0.5);
            let w = m[6] * x + m[7] * y + m[8];
            let (u, v) = ((m[0] * x + m[1] * y + m[2]) / w, (m[3] * x + m[4] * y + m[5]) / w);
            let [r, g, b, alpha] = brush.sample(u as f32, v as f32, texel);
            if alpha <= 0.0 {
                continue;
            }
            let at = 3 * (row * width + column);
            for (channel, ink) in [r, g, b].into_iter().enumerate() {
                let under = f32::from(rgb[at + channel]);
                let over = under * (1.0 - alpha * opacity) + ink * opacity * 255.0;
                rgb[at + channel] = over.round().clamp(0.0, 255.0) as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::icon_set::IconSet;
    use super::*;

    #[test]
    fn icon_drawn_upright_is_its_own_rendering_averaged_over_each_pixel() {
        let set = IconSet::house().expect("the built-in icons");
        let picture = set.get("canvas").expect("canvas").picture(512).expect("a picture");
        let mut frame = Frame::new(80, 80, vec![128; 80 * 80 * 3]).expect("a frame");
        draw(&mut frame, &Brush::new(&picture), &Quad::square(8.0, 8.0, 64.0), 1.0);
        let mut largest = 0.0_f32;
        for (x, y) in (0..64).flat_map(|y| (0..64).map(move |x| (x, y))) {
            let mut expected = 0.0;
            for (dx, dy) in (0..8).flat_map(|dy| (0..8).map(move |dx| (dx, dy))) {
                let p = &picture.rgba[4 * ((8 * y + dy) * 512 + 8 * x + dx)..][..4];
                let alpha = f32::from(p[3]) / 255.0;
                expected += (f32::from(p[0]) * alpha + 128.0 * (1.0 - alpha)) / 64.0;
            }
            let found = f32::from(frame.rgb()[3 * ((y + 8) * 80 + x + 8)]);
            largest = largest.max((found - expected).abs());
        }
        assert!(largest < 1.0, "{largest}");
        assert_eq!(frame.rgb()[..3], [128, 128, 128]);
    }

    #[test]
    fn icon_partly_outside_the_frame_is_cut_off() {
        let set = IconSet::house().expect("the built-in icons");
        let brush = Brush::new(&set.icons()[0].picture(128).expect("a picture"));
        let mut frame = Frame::new(32, 32, vec![0; 32 * 32 * 3]).expect("a frame");
        draw(&mut frame, &brush, &Quad::square(-20.0, -1e6, 40.0), 1.0);
        assert!(frame.rgb().iter().all(|&v| v == 0));
        draw(&mut frame, &brush, &Quad::square(-20.0, -20.0, 40.0), 1.0);
        assert!(frame.rgb().iter().any(|&v| v > 200));
    }
}
