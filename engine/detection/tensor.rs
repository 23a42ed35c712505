//! Turns frames into network input, and decides what NaN means.
//!
//! In:  8-bit interleaved RGB.
//! Out: `[3, height, width]` f32 in `0.0..=1.0`, planes of red, green, blue.
//!
//! NaN can only come out of a network. It is settled here and nowhere downstream: a
//! score that is NaN is 0 (nothing seen), a place that is NaN makes its candidate void.
//!
//! Knows nothing of what the networks look for.

use crate::media::Frame;

/// Padding on the right and below, as the localiser was trained with.
pub const PAD: f32 = 114.0 / 255.0;

/// The side that a network with stride 32 wants for a picture side.
pub const fn padded_px(side_px: usize) -> usize {
    side_px.next_multiple_of(32)
}

/// Writes a frame as `[3, padded height, padded width]`; the picture lies at the top left.
pub fn fill(frame: &Frame, values: &mut Vec<f32>) -> [usize; 4] {
    let (width, height) = (frame.width_px() as usize, frame.height_px() as usize);
    let (padded_width, padded_height) = (padded_px(width), padded_px(height));
    let plane = padded_width * padded_height;
    values.clear();
    values.resize(3 * plane, PAD);
    let (red, rest) = values.split_at_mut(plane);
    let (green, blue) = rest.split_at_mut(plane);
    for (row, source) in frame.rgb().chunks_exact(3 * width).enumerate() {
        let at = row * padded_width..row * padded_width + width;
        let targets = red[at.clone()].iter_mut().zip(&mut green[at.clone()]).zip(&mut blue[at]);
        for (((r, g), b), pixel) in targets.zip(source.chunks_exact(3)) {
            *r = f32::from(pixel[0]) * (1.0 / 255.0);
            *g = f32::from(pixel[1]) * (1.0 / 255.0);
            *b = f32::from(pixel[2]) * (1.0 / 255.0);
        }
    }
    [1, 3, padded_height, padded_width]
}

/// A score between 0 and 1; NaN is 0.
pub fn score(value: f32) -> f32 {
    if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) }
}

/// `None` when any of the values is NaN or infinite.
pub fn places<const N: usize>(values: [f32; N]) -> Option<[f32; N]> {
    values.iter().all(|value| value.is_finite()).then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_lies_top_left_and_the_rest_is_padding() {
        let frame = Frame::new(2, 1, vec![255, 0, 51, 0, 255, 102]).expect("a frame");
        let mut values = Vec::new();
        assert_eq!(fill(&frame, &mut values), [1, 3, 32, 32]);
        assert_eq!(values.len(), 3 * 32 * 32);
        let at =
            |channel: usize, row: usize, column: usize| values[(channel * 32 + row) * 32 + column];
        for (found, expected) in [
            (at(0, 0, 0), 1.0),
            (at(1, 0, 0), 0.0),
            (at(2, 0, 0), 0.2),
            (at(1, 0, 1), 1.0),
            (at(2, 0, 1), 0.4),
            (at(0, 0, 2), PAD),
            (at(2, 1, 0), PAD),
        ] {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    #[test]
    fn nan_is_nothing_seen() {
        assert!(score(f32::NAN).abs() < f32::EPSILON);
        assert_eq!(places([1.0, f32::NAN]), None);
        assert_eq!(places([1.0, 2.0]), Some([1.0, 2.0]));
    }
}
