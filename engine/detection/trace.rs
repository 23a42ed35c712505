//! Turns a coverage plane into outlines: closed polygons that follow its 50 % line.
//!
//! In:  a plane of ink, `0.0..=1.0` a pixel, top row first.
//! Out: loops in pixels, holes among them (to be filled by the even-odd rule).
//!
//! Marching squares with linear interpolation (Lorensen and Cline 1987, in the plane), so an
//! antialiased edge is followed to about a tenth of a pixel; then Douglas and Peucker (1973)
//! leave out what lies on a straight line. The ground beyond the plane is blank.
//!
//! Knows nothing of icons.
#![expect(clippy::cast_possible_truncation, reason = "indices of a plane that fits into u32")]

/// A plane of ink.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    /// Pixels in a row.
    pub width: usize,
    /// Ink of each pixel, `0.0..=1.0`; `width` times the height of them.
    pub ink: Vec<f32>,
}

impl Plane {
    /// Rows.
    pub fn height(&self) -> usize {
        self.ink.len().checked_div(self.width).unwrap_or(0)
    }

    /// Ink of a pixel, counted from 1; nothing outside.
    fn at(&self, x: usize, y: usize) -> f32 {
        let (Some(x), Some(y)) = (x.checked_sub(1), y.checked_sub(1)) else { return 0.0 };
        if x < self.width { self.ink.get(y * self.width + x).copied().unwrap_or(0.0) } else { 0.0 }
    }

    /// Share of the plane that is ink, `0.0..=1.0`.
    pub fn share(&self) -> f32 {
        self.ink.iter().sum::<f32>() / (self.ink.len() as f32).max(1.0)
    }
}

/// Closed polygon in pixels; its last corner joins its first.
pub type Loop = Vec<[f32; 2]>;

/// Follows every edge of the plane.
///
/// - `tolerance_px`: how far a corner that is left out may lie from the line
/// - `area_min_px`: smaller loops are left out: dust
pub fn outlines(plane: &Plane, tolerance_px: f32, area_min_px: f32) -> Vec<Loop> {
    let mut loops = Vec::new();
    for loop_ in crossings(plane) {
        if area(&loop_).abs() < area_min_px {
            continue;
        }
        let loop_ = simplified(&loop_, tolerance_px);
        if loop_.len() >= 3 {
            loops.push(loop_);
        }
    }
    loops
}

/// Twice-signed area halved: positive clockwise (y down).
pub fn area(loop_: &[[f32; 2]]) -> f32 {
    let next = loop_.iter().cycle().skip(1);
    loop_.iter().zip(next).map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum::<f32>() / 2.0
}

const NONE: u32 = u32::MAX;
/// Ink above which a pixel is inside.
const LEVEL: f32 = 0.5;

/// All loops through the middles between inside and outside pixels.
///
/// Cell `(x, y)` has the pixels `(x-1, y-1)`, `(x, y-1)`, `(x, y)`, `(x-1, y)` as corners a,
/// b, c, d. Each side on which inside changes to outside is crossed once; going round the
/// cell clockwise, a line runs from a side where the inside ends to one where it begins, so
/// neighbouring cells agree on its direction.
fn crossings(plane: &Plane) -> Vec<Loop> {
    let (columns, rows) = (plane.width + 1, plane.height() + 1);
    // Two sides a cell: its top (even) and its left (odd); the others are its neighbours'.
    let top = |x: usize, y: usize| 2 * (y * (columns + 1) + x);
    let left = |x: usize, y: usize| top(x, y) + 1;
    let mut next = vec![NONE; 2 * (columns + 1) * (rows + 1)];
    for y in 0..rows {
        for x in 0..columns {
            let corners =
                [(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)].map(|(x, y)| plane.at(x, y));
            let inside = corners.map(|ink| ink >= LEVEL);
            if inside == [true; 4] || inside == [false; 4] {
                continue;
            }
            let sides = [top(x, y), left(x + 1, y), top(x, y + 1), left(x, y)];
            let changes: Vec<usize> =
                (0..4).filter(|&k| inside[k] != inside[(k + 1) % 4]).collect();
            let ends: Vec<usize> = changes.iter().copied().filter(|&k| inside[k]).collect();
            // Of a saddle each line cuts off one corner: an inside one when the middle is outside.
            let middle_inside = corners.iter().sum::<f32>() / 4.0 >= LEVEL;
            let step = if middle_inside { 1 } else { 3 };
            for end in ends {
                let begin = if changes.len() == 4 {
                    (end + step) % 4
                } else {
                    changes.iter().copied().find(|&k| !inside[k]).unwrap_or(end)
                };
                next[sides[end]] = sides[begin] as u32;
            }
        }
    }
    let point = |side: usize| {
        let (cell, is_left) = (side / 2, side % 2 == 1);
        let (x, y) = (cell % (columns + 1), cell / (columns + 1));
        let from = plane.at(x, y);
        let to = if is_left { plane.at(x, y + 1) } else { plane.at(x + 1, y) };
        let along = if (to - from).abs() > 1e-6 { (LEVEL - from) / (to - from) } else { 0.5 };
        // Pixel centres lie half a pixel inside.
        let (x, y) = (x as f32 - 0.5, y as f32 - 0.5);
        if is_left { [x, y + along] } else { [x + along, y] }
    };
    let mut loops = Vec::new();
    for start in 0..next.len() {
        if next[start] == NONE {
            continue;
        }
        let (mut side, mut loop_) = (start, Vec::new());
        while next[side] != NONE {
            loop_.push(point(side));
            side = std::mem::replace(&mut next[side], NONE) as usize;
        }
        loops.push(loop_);
    }
    loops
}

/// Leaves out corners that lie within the tolerance of the line between those that stay.
fn simplified(loop_: &[[f32; 2]], tolerance_px: f32) -> Loop {
    let count = loop_.len();
    let Some(&first) = loop_.first() else { return Vec::new() };
    let far = |a: &[f32; 2]| (a[0] - first[0]).hypot(a[1] - first[1]);
    let opposite =
        (0..count).max_by(|&a, &b| far(&loop_[a]).total_cmp(&far(&loop_[b]))).unwrap_or(0);
    let mut stays = vec![false; count];
    (stays[0], stays[opposite]) = (true, true);
    let mut spans = vec![(0, opposite), (opposite, count)];
    while let Some((from, to)) = spans.pop() {
        let (a, b) = (loop_[from], loop_[to % count]);
        let length = (b[0] - a[0]).hypot(b[1] - a[1]);
        let away = |p: [f32; 2]| {
            if length > 1e-6 {
                ((b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])).abs() / length
            } else {
                (p[0] - a[0]).hypot(p[1] - a[1])
            }
        };
        let worst = (from + 1..to).max_by(|&i, &j| away(loop_[i]).total_cmp(&away(loop_[j])));
        if let Some(worst) = worst.filter(|&i| away(loop_[i]) > tolerance_px) {
            stays[worst] = true;
            spans.push((from, worst));
            spans.push((worst, to));
        }
    }
    loop_.iter().zip(stays).filter(|(_, stays)| *stays).map(|(corner, _)| *corner).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::cast_sign_loss, reason = "pixels of a small plane")]
    use proptest::prelude::{any, prop_assert, proptest};

    use super::*;

    fn plane(width: usize, inside: impl Fn(f32, f32) -> f32) -> Plane {
        let ink = (0..width * width)
            .map(|i| inside((i % width) as f32 + 0.5, (i / width) as f32 + 0.5))
            .collect();
        Plane { width, ink }
    }

    #[test]
    fn square_has_four_corners_and_its_area() {
        let square =
            plane(40, |x, y| f32::from((10.0..30.0).contains(&x) && (10.0..30.0).contains(&y)));
        let loops = outlines(&square, 0.3, 4.0);
        assert_eq!(loops.len(), 1);
        assert!((area(&loops[0]).abs() - 400.0).abs() < 3.0, "{loops:?}");
        assert!(loops[0].len() <= 8, "{loops:?}");
    }

    #[test]
    fn ring_is_an_outline_and_a_hole_of_opposite_direction() {
        let ring = plane(100, |x, y| {
            let r = (x - 50.0).hypot(y - 50.0);
            (40.5 - r).clamp(0.0, 1.0) * (r - 19.5).clamp(0.0, 1.0)
        });
        let loops = outlines(&ring, 0.1, 4.0);
        assert_eq!(loops.len(), 2);
        let mut areas: Vec<f32> = loops.iter().map(|l| area(l)).collect();
        areas.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
        assert!(areas[0] * areas[1] < 0.0);
        assert!((areas[0].abs() / 1256.6 - 1.0).abs() < 0.01, "{areas:?}");
        assert!((areas[1].abs() / 5026.5 - 1.0).abs() < 0.01, "{areas:?}");
    }

    #[test]
    fn ink_that_touches_the_edge_is_closed_there() {
        let full = plane(16, |_, _| 1.0);
        let loops = outlines(&full, 0.3, 1.0);
        assert_eq!(loops.len(), 1);
        assert!((area(&loops[0]).abs() - 256.0).abs() < 2.0);
    }

    #[test]
    fn dust_and_blank_planes_have_no_outline() {
        assert!(outlines(&plane(20, |_, _| 0.0), 0.5, 1.0).is_empty());
        let dust = plane(20, |x, y| f32::from(x as usize == 7 && y as usize == 9));
        assert!(outlines(&dust, 0.1, 2.0).is_empty());
        assert!(outlines(&Plane { width: 0, ink: Vec::new() }, 0.5, 1.0).is_empty());
    }

    proptest! {
        #[test]
        fn areas_of_all_loops_add_up_to_the_pixels_inside(bits in proptest::collection::vec(any::<bool>(), 144)) {
            let ink: Vec<f32> = bits.iter().map(|&bit| f32::from(bit)).collect();
            let plane = Plane { width: 12, ink };
            let sum: f32 = outlines(&plane, 0.0, 0.0).iter().map(|l| area(l)).sum();
            let inside = plane.ink.iter().sum::<f32>();
            // Each corner of a pixel is cut off or filled in by an eighth at most.
            prop_assert!((sum.abs() - inside).abs() <= inside * 0.5 + 1.0, "{sum} {inside}");
        }
    }
}
