//! Turns frames into network input, and decides what NaN means.
//!
//! In:  8-bit interleaved RGB.
//! Out: bytes in cells of 2x2 px, as the localiser reads them.
//!
//! NaN can only come out of a network. It is settled here and nowhere downstream: a
//! score that is NaN is 0 (nothing seen), a place that is NaN makes its candidate void.
//!
//! Knows nothing of what the networks look for.

use crate::media::Frame;

/// Padding on the right and below, as the localiser was trained with.
pub const PAD: u8 = 114;

/// Bytes of one cell: 2x2 px of three channels.
pub const CELL_BYTES: usize = 12;

/// The side that a network with stride 32 wants for a picture side.
pub const fn padded_px(side_px: usize) -> usize {
    side_px.next_multiple_of(32)
}

/// Writes a frame as `[1, padded height / 2, padded width / 2, 12]`; the picture lies at the
/// top left. A cell holds its upper two pixels, then its lower two.
pub fn fill(frame: &Frame, cells: &mut Vec<u8>) -> [usize; 4] {
    let (width, height) = (frame.width_px() as usize, frame.height_px() as usize);
    let (rows, columns) = (padded_px(height) / 2, padded_px(width) / 2);
    cells.clear();
    cells.resize(rows * columns * CELL_BYTES, PAD);
    for (row, source) in frame.rgb().chunks_exact(3 * width).enumerate() {
        let line = &mut cells[row / 2 * columns * CELL_BYTES..][..columns * CELL_BYTES];
        let half = row % 2 * CELL_BYTES / 2;
        for (cell, pair) in line.chunks_exact_mut(CELL_BYTES).zip(source.chunks(6)) {
            cell[half..half + pair.len()].copy_from_slice(pair);
        }
    }
    [1, rows, columns, CELL_BYTES]
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
        let frame = Frame::new(3, 2, (1..=18).collect()).expect("a frame");
        let mut cells = Vec::new();
        assert_eq!(fill(&frame, &mut cells), [1, 16, 16, 12]);
        assert_eq!(cells.len(), 16 * 16 * 12);
        assert_eq!(cells[..12], [1, 2, 3, 4, 5, 6, 10, 11, 12, 13, 14, 15]);
        let pad = [PAD; 3];
        assert_eq!(cells[12..24], [[7, 8, 9], pad, [16, 17, 18], pad].concat());
        assert!(cells[24..].iter().all(|&value| value == PAD));
    }

    #[test]
    fn nan_is_nothing_seen() {
        assert!(score(f32::NAN).abs() < f32::EPSILON);
        assert_eq!(places([1.0, f32::NAN]), None);
        assert_eq!(places([1.0, 2.0]), Some([1.0, 2.0]));
    }
}
