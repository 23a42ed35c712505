//! Turns frames upright.
//!
//! In:  pixels as stored and the orientation the camera wrote.
//! Out: the same pixels in upright order. Nothing is computed, so nothing is lost.

use std::borrow::Cow;

use crate::media::{Frame, Orientation};

/// Pixels a side of the squares in which quarter turns are copied, so that the rows read
/// and the rows written stay in the cache together.
const TILE_PX: usize = 32;

/// The frame as a viewer would show it.
pub fn upright(frame: Frame, orientation: Orientation) -> Frame {
    upright_of(Cow::Owned(frame), orientation)
}

/// The same of a frame that is needed as it is, too.
pub fn upright_of(frame: Cow<'_, Frame>, orientation: Orientation) -> Frame {
    let (width_px, height_px) = (frame.width_px(), frame.height_px());
    let width = width_px as usize;
    let mut rgb = match orientation.swaps_sides() {
        true => turned(frame.rgb(), width, height_px as usize, orientation),
        false => frame.into_owned().into_rgb(),
    };
    match orientation {
        Orientation::FlipHorizontal => rgb.chunks_exact_mut(width * 3).for_each(reverse_pixels),
        Orientation::Rotate180 => reverse_pixels(&mut rgb),
        Orientation::FlipVertical => {
            reverse_pixels(&mut rgb);
            rgb.chunks_exact_mut(width * 3).for_each(reverse_pixels);
        }
        Orientation::Upright
        | Orientation::Transpose
        | Orientation::Rotate90
        | Orientation::Transverse
        | Orientation::Rotate270 => {}
    }
    let (width_px, height_px) =
        if orientation.swaps_sides() { (height_px, width_px) } else { (width_px, height_px) };
    // INVARIANT: every branch keeps the number of pixels, so the size always fits.
    Frame::new(width_px, height_px, rgb)
        .unwrap_or_else(|| unreachable!("turning keeps the number of pixels"))
}

fn reverse_pixels(rgb: &mut [u8]) {
    let (pixels, _none_left) = rgb.as_chunks_mut::<3>();
    pixels.reverse();
}

/// Rows become columns; `orientation` says from which end both are counted.
fn turned(rgb: &[u8], width: usize, height: usize, orientation: Orientation) -> Vec<u8> {
    let (source, _none_left) = rgb.as_chunks::<3>();
    let mut target = vec![[0; 3]; source.len()];
    // Source row y becomes target column y, or the one as far from the right.
    let rows_from_right = matches!(orientation, Orientation::Rotate90 | Orientation::Transverse);
    // Source column x becomes target row x, or the one as far from the bottom.
    let columns_from_bottom =
        matches!(orientation, Orientation::Rotate270 | Orientation::Transverse);
    for tile_y in (0..height).step_by(TILE_PX) {
        for tile_x in (0..width).step_by(TILE_PX) {
            for x in tile_x..(tile_x + TILE_PX).min(width) {
                let target_y = if columns_from_bottom { width - 1 - x } else { x };
                for y in tile_y..(tile_y + TILE_PX).min(height) {
                    let target_x = if rows_from_right { height - 1 - y } else { y };
                    target[target_y * height + target_x] = source[y * width + x];
                }
            }
        }
    }
    target.into_flattened()
}

#[cfg(test)]
#[expect(
    clippy::cast_possible_truncation,
    reason = "test pictures hold the low byte of a coordinate"
)]
mod tests {
    use super::*;

    /// A picture named by letters, one a pixel, rows apart by spaces.
    fn frame(letters: &str) -> Frame {
        let rows: Vec<&str> = letters.split(' ').collect();
        let rgb = rows.concat().bytes().flat_map(|letter| [letter; 3]).collect();
        Frame::new(rows[0].len() as u32, rows.len() as u32, rgb).expect("a frame")
    }

    #[test]
    fn every_orientation_shows_the_same_picture() {
        // The upright picture is `abc def`; stored as the camera would hold it.
        for (number, stored) in [
            (1, "abc def"),
            (2, "cba fed"),
            (3, "fed cba"),
            (4, "def abc"),
            (5, "ad be cf"),
            (6, "cf be ad"),
            (7, "fc eb da"),
            (8, "da eb fc"),
        ] {
            let shown = upright(frame(stored), Orientation::from_exif(number));
            assert_eq!(shown, frame("abc def"), "orientation {number}");
        }
    }

    #[test]
    fn quarter_turns_work_across_tiles() {
        let (width_px, height_px) = (71, 45);
        let rgb = (0..height_px)
            .flat_map(|y| (0..width_px).flat_map(move |x| [x as u8, y as u8, 7]))
            .collect();
        let stored = Frame::new(width_px, height_px, rgb).expect("a frame");
        let shown = upright(stored.clone(), Orientation::Rotate90);
        for (x, y) in [(0, 0), (44, 0), (0, 70), (31, 32), (44, 70)] {
            let at = (y * 45 + x) * 3;
            assert_eq!(shown.rgb()[at..at + 2], [y as u8, (44 - x) as u8], "at ({x}, {y})");
        }
        let back = upright(shown, Orientation::Rotate270);
        assert_eq!(back, stored);
    }
}
