//! Four-cornered outlines: size, shape and overlap.
//!
//! In and out: plain numbers in pixels. Corners run clockwise on the screen (y down).
//!
//! A quad with a NaN corner is not convex, has no size and overlaps nothing.
//!
//! Knows nothing of networks or pictures.

/// Four corners, clockwise from the icon's own top left, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quad(pub [[f32; 2]; 4]);

impl Quad {
    /// An upright square.
    pub const fn square(left: f32, top: f32, side: f32) -> Self {
        Self([[left, top], [left + side, top], [left + side, top + side], [left, top + side]])
    }

    /// Mean length of the four sides.
    pub fn side_px(&self) -> f32 {
        self.sides().iter().sum::<f32>() / 4.0
    }

    /// Lengths of top, right, bottom and left side.
    pub fn sides(&self) -> [f32; 4] {
        std::array::from_fn(|i| {
            let ([x0, y0], [x1, y1]) = (self.0[i], self.0[(i + 1) % 4]);
            (x1 - x0).hypot(y1 - y0)
        })
    }

    /// Mean of the corners.
    pub fn centre(&self) -> [f32; 2] {
        let sum = |axis: usize| self.0.iter().map(|corner| corner[axis]).sum::<f32>() / 4.0;
        [sum(0), sum(1)]
    }

    /// Area in px²; negative when the corners run the wrong way round.
    pub fn area(&self) -> f32 {
        area(&self.0)
    }

    /// Whether an icon seen by a camera can look so: convex, clockwise, no side more than
    /// `ratio_max` times as long as another.
    pub fn is_plausible(&self, ratio_max: f32) -> bool {
        let turns = (0..4).all(|i| {
            let ([x0, y0], [x1, y1], [x2, y2]) =
                (self.0[i], self.0[(i + 1) % 4], self.0[(i + 2) % 4]);
            (x1 - x0) * (y2 - y1) - (y1 - y0) * (x2 - x1) > 0.0
        });
        let sides = self.sides();
        let longest = sides.iter().copied().fold(0.0, f32::max);
        let shortest = sides.iter().copied().fold(f32::INFINITY, f32::min);
        turns && longest <= shortest * ratio_max
    }

    /// Every corner moved by `f`.
    #[must_use]
    pub fn map(&self, f: impl Fn([f32; 2]) -> [f32; 2]) -> Self {
        Self(self.0.map(f))
    }

    /// Smallest upright box around it: left, top, right, bottom.
    pub fn bounds(&self) -> [f32; 4] {
        let mut bounds = [f32::INFINITY, f32::INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY];
        for [x, y] in self.0 {
            bounds = [bounds[0].min(x), bounds[1].min(y), bounds[2].max(x), bounds[3].max(y)];
        }
        bounds
    }

    /// Overlap of two convex quads: area of the common part over area of the union, `0.0..=1.0`.
    pub fn iou(&self, other: &Self) -> f32 {
        let (a, b) = (self.bounds(), other.bounds());
        // Each gap is floored before use: boxes apart on both axes must not multiply two
        // negative gaps into an overlap.
        let common_width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
        let common_height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
        if common_width * common_height <= 0.0 {
            return 0.0;
        }
        let common = clipped_area(self, other);
        let union = self.area().abs() + other.area().abs() - common;
        if union > 0.0 { (common / union).clamp(0.0, 1.0) } else { 0.0 }
    }
}

fn area(corners: &[[f32; 2]]) -> f32 {
    let mut twice = 0.0;
    for (i, [x0, y0]) in corners.iter().enumerate() {
        let [x1, y1] = corners[(i + 1) % corners.len()];
        twice += x0 * y1 - x1 * y0;
    }
    twice / 2.0
}

/// Area common to two convex quads (Sutherland and Hodgman 1974); at most 8 corners result.
fn clipped_area(subject: &Quad, clip: &Quad) -> f32 {
    const CORNERS_MAX: usize = 16;
    let mut corners = [[0.0_f32; 2]; CORNERS_MAX];
    corners[..4].copy_from_slice(&subject.0);
    let mut count = 4;
    let sense = clip.area().signum();
    for i in 0..4 {
        let ([ax, ay], [bx, by]) = (clip.0[i], clip.0[(i + 1) % 4]);
        let inside = |[x, y]: [f32; 2]| sense * ((bx - ax) * (y - ay) - (by - ay) * (x - ax));
        let mut kept = [[0.0_f32; 2]; CORNERS_MAX];
        let mut kept_count = 0;
        for j in 0..count {
            let (from, to) = (corners[j], corners[(j + 1) % count]);
            let (from_side, to_side) = (inside(from), inside(to));
            if from_side >= 0.0 && kept_count < CORNERS_MAX {
                kept[kept_count] = from;
                kept_count += 1;
            }
            if (from_side >= 0.0) != (to_side >= 0.0) && kept_count < CORNERS_MAX {
                let share = from_side / (from_side - to_side);
                kept[kept_count] =
                    [from[0] + share * (to[0] - from[0]), from[1] + share * (to[1] - from[1])];
                kept_count += 1;
            }
        }
        (corners, count) = (kept, kept_count);
        if count < 3 {
            return 0.0;
        }
    }
    area(&corners[..count]).abs()
}

/// Keeps the best of those that mean the same object.
///
/// - `order`: indices into `quads`, best first; those dropped are removed
/// - two mean the same when they overlap by more than `iou_max`, or when their centres are
///   closer than half the smaller one's side
pub fn suppress(quads: &[Quad], order: &mut Vec<usize>, iou_max: f32) {
    let mut kept: Vec<usize> = Vec::with_capacity(order.len());
    order.retain(|&index| {
        let quad = &quads[index];
        let again = kept.iter().any(|&other| {
            let other = &quads[other];
            let ([x0, y0], [x1, y1]) = (quad.centre(), other.centre());
            let near = (x0 - x1).hypot(y0 - y1) < 0.5 * quad.side_px().min(other.side_px());
            near || quad.iou(other) > iou_max
        });
        if !again {
            kept.push(index);
        }
        !again
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quads_apart_on_both_axes_do_not_overlap() {
        let (a, b) = (Quad::square(0.0, 0.0, 10.0), Quad::square(20.0, 20.0, 10.0));
        assert_eq!(a.iou(&b).to_bits(), 0.0_f32.to_bits());
    }

    #[test]
    fn overlap_is_known_area_over_union() {
        let check = |a: Quad, b: Quad, expected: f32| {
            assert!((a.iou(&b) - expected).abs() < 1e-5, "{} {expected}", a.iou(&b));
            assert!((b.iou(&a) - expected).abs() < 1e-5);
        };
        let unit = Quad::square(0.0, 0.0, 10.0);
        check(unit, unit, 1.0);
        check(unit, Quad::square(5.0, 0.0, 10.0), 50.0 / 150.0);
        // A diamond of half diagonal 5 inside the square: area 50.
        check(unit, Quad([[5.0, 0.0], [10.0, 5.0], [5.0, 10.0], [0.0, 5.0]]), 0.5);
    }

    #[test]
    fn mirrored_or_long_quad_is_not_plausible() {
        assert!(Quad::square(0.0, 0.0, 10.0).is_plausible(3.0));
        assert!(!Quad([[10.0, 0.0], [0.0, 0.0], [0.0, 10.0], [10.0, 10.0]]).is_plausible(3.0));
        assert!(!Quad([[0.0, 0.0], [40.0, 0.0], [40.0, 10.0], [0.0, 10.0]]).is_plausible(3.0));
        assert!(!Quad([[f32::NAN, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0]]).is_plausible(3.0));
    }

    #[test]
    fn weaker_twin_is_dropped_and_neighbour_kept() {
        let quads = [
            Quad::square(0.0, 0.0, 10.0),
            Quad::square(1.0, 1.0, 10.0),
            Quad::square(30.0, 0.0, 10.0),
        ];
        let mut order = vec![1, 0, 2];
        suppress(&quads, &mut order, 0.3);
        assert_eq!(order, [1, 2]);
    }
}
