//! Averages a picture down by a whole factor while its rows arrive.
//!
//! In:  rows of a picture, 8 bits a sample, top row first.
//! Out: a frame that is at least twice as large as what has to be covered, so that the
//! resize behind it decides the sharpness; or the picture as it is.
//!
//! A picture of 200 megapixels passes through one row at a time.

use super::frame::Frame;

/// Averages blocks of `factor` by `factor` pixels.
#[derive(Debug)]
pub(super) struct Shrinker {
    factor: u32,
    source_width_px: u32,
    source_height_px: u32,
    /// Sums of the block row being filled: three per block.
    sums: Vec<u32>,
    rows_in_sums: u32,
    rows_seen: u32,
    /// The last row with opacity, on its way to three bytes a pixel.
    scratch: Vec<u8>,
    rgb: Vec<u8>,
}

impl Shrinker {
    /// For a picture of this size, of which `cover_px` of the long side have to be covered.
    pub(super) fn new(source_width_px: u32, source_height_px: u32, cover_px: u32) -> Self {
        let factor = (source_width_px.max(source_height_px) / cover_px.max(1).saturating_mul(2))
            .clamp(1, 64);
        let width_px = source_width_px.div_ceil(factor);
        let bytes = width_px as usize * source_height_px.div_ceil(factor) as usize * 3;
        Self {
            factor,
            source_width_px,
            source_height_px,
            sums: vec![0; width_px as usize * 3],
            rows_in_sums: 0,
            rows_seen: 0,
            scratch: Vec::new(),
            rgb: Vec::with_capacity(bytes),
        }
    }

    /// Takes the next row: gray, gray and opacity, colours, or colours and opacity, by the
    /// number of `channels` from 1 to 4. What can be seen through is laid on white.
    pub(super) fn push(&mut self, row: &[u8], channels: usize) {
        if channels == 3 {
            self.push_rgb(row);
            return;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        scratch.extend_from_slice(row);
        flatten(&mut scratch, channels);
        self.push_rgb(&scratch);
        self.scratch = scratch;
    }

    fn push_rgb(&mut self, row: &[u8]) {
        self.rows_seen += 1;
        if self.factor == 1 {
            self.rgb.extend_from_slice(row);
            return;
        }
        for (sums, block) in self.sums.chunks_exact_mut(3).zip(row.chunks(self.factor as usize * 3))
        {
            for pixel in block.chunks_exact(3) {
                for (sum, value) in sums.iter_mut().zip(pixel) {
                    *sum += u32::from(*value);
                }
            }
        }
        self.rows_in_sums += 1;
        if self.rows_in_sums == self.factor {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let last_width_px = match self.source_width_px % self.factor {
            0 => self.factor,
            rest => rest,
        };
        let last = self.sums.len() - 3;
        for (at, sum) in self.sums.iter_mut().enumerate() {
            let block_width_px = if at < last { self.factor } else { last_width_px };
            let count = block_width_px * self.rows_in_sums;
            self.rgb.push(u8::try_from((*sum + count / 2) / count).unwrap_or(u8::MAX));
            *sum = 0;
        }
        self.rows_in_sums = 0;
    }

    /// The frame, or `None` when rows are missing.
    pub(super) fn finish(mut self) -> Option<Frame> {
        if self.rows_in_sums > 0 {
            self.flush();
        }
        if self.rows_seen != self.source_height_px {
            return None;
        }
        let (width_px, height_px) = (
            self.source_width_px.div_ceil(self.factor),
            self.source_height_px.div_ceil(self.factor),
        );
        Frame::new(width_px, height_px, self.rgb)
    }
}

/// Lays pixels with transparency on white, in place, and shortens the buffer.
///
/// - `pixels`: rows of `channels` bytes a pixel; the last channel is the opacity when
///   `channels` is 2 or 4
fn flatten(pixels: &mut Vec<u8>, channels: usize) {
    let over_white = |value: u8, alpha: u8| {
        let (value, alpha) = (u32::from(value), u32::from(alpha));
        u8::try_from((value * alpha + 255 * (255 - alpha) + 127) / 255).unwrap_or(u8::MAX)
    };
    match channels {
        4 => {
            let mut target = 0;
            for source in (0..pixels.len() / 4 * 4).step_by(4) {
                let alpha = pixels[source + 3];
                for channel in 0..3 {
                    pixels[target + channel] = over_white(pixels[source + channel], alpha);
                }
                target += 3;
            }
            pixels.truncate(target);
        }
        2 => {
            *pixels =
                pixels.chunks_exact(2).flat_map(|pair| [over_white(pair[0], pair[1]); 3]).collect();
        }
        1 => *pixels = pixels.iter().flat_map(|gray| [*gray; 3]).collect(),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transparent_pixels_become_white() {
        for (channels, mut pixels, wanted) in [
            (
                4,
                vec![10, 20, 30, 255, 10, 20, 30, 0, 0, 0, 0, 51],
                vec![10, 20, 30, 255, 255, 255, 204, 204, 204],
            ),
            (2, vec![7, 255, 7, 0], vec![7, 7, 7, 255, 255, 255]),
            (1, vec![9], vec![9, 9, 9]),
            (3, vec![1, 2, 3], vec![1, 2, 3]),
        ] {
            flatten(&mut pixels, channels);
            assert_eq!(pixels, wanted, "{channels} channels");
        }
    }
}
