//! Tells a card photo: one that shows a card and little else.
//!
//! In:  a frame (the 1024-px preview) and the icons seen in it.
//! Out: yes or no.
//!
//! A card is paper around an icon. From the white rim of the largest sure icons the paper is
//! followed as far as it goes, in a quarter-size copy; text on it is gone around. What the
//! paper's outline takes in has to be most of the picture, and icons have to be a good part
//! of that, as on the cards that `signet icons sheet` prints (0.29): so a sticker on a
//! picture of snow is none, however far the white goes, and neither is a card that a person
//! holds into the scene.
//!
//! Weak evidence never makes a card: icons of tier `ask` do not count.
//!
//! Knows nothing of what icons mean or what a card is for.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "pixel indices are clamped to the copy, whose sides are at most a few hundred"
)]

use super::quads::Quad;
use super::sighting::{IconSighting, Tier};
use super::warp::Homography;
use crate::media::Frame;

/// An icon of a card is at least so long, as a share of the picture's long side.
///
/// A printed card that fills half the picture has one of 0.33, three cards above each other
/// have 0.22; those of a whole sheet that was not cut up have 0.13.
const ICON_SIDE_MIN: f32 = 0.2;
/// Share of the picture that paper and icons take, at least.
const PAPER_SHARE_MIN: f32 = 0.4;
/// Share of the paper that sure icons take, at least.
const ICON_SHARE_MIN: f32 = 0.2;
/// Long side of the copy in which paper is followed, in px.
const COPY_SIDE_PX: usize = 256;
/// Paper changes by at most so much from one pixel of the copy to the next, of 255.
const STEP_MAX: f32 = 11.0;
/// Paper is at least and at most so bright, against the rim of the icon.
const LIGHT_RANGE: [f32; 2] = [0.55, 1.5];
/// Red and blue against green differ from those of the rim by at most this.
const TINT_MAX: f32 = 0.14;
/// The middle of the tile's white rim, as a share of its side from the edge.
const RIM: f32 = 0.027;
/// Places of the rim that are looked at, on each side of the tile.
const RIM_PLACES: usize = 24;

/// Whether a photo shows a card and little else.
///
/// - `seen`: corners in px of the frame
pub fn is_card(frame: &Frame, seen: &[IconSighting]) -> bool {
    let sure: Vec<&IconSighting> = seen.iter().filter(|icon| icon.tier == Tier::Order).collect();
    let long_side = frame.long_side_px() as f32;
    if !sure.iter().any(|icon| icon.side_px() >= ICON_SIDE_MIN * long_side) {
        return false;
    }
    let copy = Copy::of(frame);
    let mut outline = Vec::new();
    let mut icons_area = 0.0;
    let mut paper = vec![false; copy.pixels.len()];
    for icon in sure {
        let corners = icon.corners.map(|corner| corner.map(|value| value / copy.factor as f32));
        icons_area += area(&corners);
        outline.extend(corners.map(|corner| copy.clamped(corner)));
        copy.follow(&corners, &mut paper);
    }
    let marked = paper.iter().enumerate().filter(|(_, is_paper)| **is_paper);
    outline.extend(
        marked.map(|(index, _)| {
            [(index % copy.width) as f32 + 0.5, (index / copy.width) as f32 + 0.5]
        }),
    );
    let paper_area = area(&hull(outline));
    paper_area >= PAPER_SHARE_MIN * copy.pixels.len() as f32
        && icons_area >= ICON_SHARE_MIN * paper_area
}

/// A smaller copy of a frame.
struct Copy {
    factor: usize,
    width: usize,
    height: usize,
    pixels: Vec<[f32; 3]>,
}

impl Copy {
    /// Means of squares, none of which reaches over the edge; what is left over there is cut.
    fn of(frame: &Frame) -> Self {
        let (frame_width, frame_height) = (frame.width_px() as usize, frame.height_px() as usize);
        let factor = (frame_width.max(frame_height) / COPY_SIDE_PX).max(1);
        let factor = factor.min(frame_width).min(frame_height);
        let (width, height) = (frame_width / factor, frame_height / factor);
        let mut pixels = Vec::with_capacity(width * height);
        for (row, column) in (0..height).flat_map(|row| (0..width).map(move |x| (row, x))) {
            let mut sum = [0.0; 3];
            for y in row * factor..(row + 1) * factor {
                let start = 3 * (y * frame_width + column * factor);
                for pixel in frame.rgb()[start..start + 3 * factor].chunks_exact(3) {
                    for (sum, value) in sum.iter_mut().zip(pixel) {
                        *sum += f32::from(*value);
                    }
                }
            }
            pixels.push(sum.map(|sum| sum / (factor * factor) as f32));
        }
        Self { factor, width, height, pixels }
    }

    fn clamped(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        [x.clamp(0.0, self.width as f32), y.clamp(0.0, self.height as f32)]
    }

    /// Index of the pixel at a place, if there is one.
    fn at(&self, [x, y]: [f32; 2]) -> Option<usize> {
        let inside = x >= 0.0 && y >= 0.0 && x < self.width as f32 && y < self.height as f32;
        inside.then(|| y as usize * self.width + x as usize)
    }

    /// Marks the paper that goes on from the rim of an icon.
    fn follow(&self, corners: &[[f32; 2]; 4], paper: &mut [bool]) {
        let Some(map) = Homography::from_unit_square(&Quad(*corners)) else {
            return;
        };
        let rim = (0..RIM_PLACES).flat_map(|place| {
            let along = 0.2 + 0.6 * place as f32 / (RIM_PLACES - 1) as f32;
            [[along, RIM], [along, 1.0 - RIM], [RIM, along], [1.0 - RIM, along]]
        });
        let mut rim: Vec<usize> = rim
            .filter_map(|[u, v]| self.at(map.map([u, v].map(f64::from)).map(|value| value as f32)))
            .collect();
        // The brighter half: pixels that the ring reaches into are darker.
        rim.sort_by(|a, b| light(self.pixels[*b]).total_cmp(&light(self.pixels[*a])));
        rim.truncate(rim.len().div_ceil(2));
        let Some(middle) = rim.get(rim.len() / 2) else {
            return;
        };
        let white = self.pixels[*middle];
        let mut open = Vec::new();
        for start in rim {
            if is_like(white, self.pixels[start]) && !paper[start] {
                paper[start] = true;
                open.push(start);
            }
        }
        while let Some(index) = open.pop() {
            let (x, y) = (index % self.width, index / self.width);
            let beside = [
                (x > 0).then(|| index - 1),
                (x + 1 < self.width).then(|| index + 1),
                (y > 0).then(|| index - self.width),
                (y + 1 < self.height).then(|| index + self.width),
            ];
            for next in beside.into_iter().flatten() {
                let (here, there) = (self.pixels[index], self.pixels[next]);
                let step = here.iter().zip(there).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                if !paper[next] && step <= STEP_MAX && is_like(white, there) {
                    paper[next] = true;
                    open.push(next);
                }
            }
        }
    }
}

fn light(pixel: [f32; 3]) -> f32 {
    pixel.iter().sum::<f32>() / 3.0
}

/// Whether a pixel may be the same paper in another light.
fn is_like(white: [f32; 3], pixel: [f32; 3]) -> bool {
    let share = light(pixel) / light(white).max(1.0);
    let tint =
        |channel: usize| pixel[channel] / pixel[1].max(1.0) - white[channel] / white[1].max(1.0);
    (LIGHT_RANGE[0]..=LIGHT_RANGE[1]).contains(&share)
        && tint(0).abs() <= TINT_MAX
        && tint(2).abs() <= TINT_MAX
}

/// Area of a polygon (shoelace formula).
fn area(corners: &[[f32; 2]]) -> f32 {
    let next = corners.iter().cycle().skip(1);
    let twice: f32 = corners.iter().zip(next).map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum();
    twice.abs() / 2.0
}

/// The smallest convex outline around points (Andrew's monotone chain).
fn hull(mut points: Vec<[f32; 2]>) -> Vec<[f32; 2]> {
    points.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
    points.dedup();
    let half = |points: &mut dyn Iterator<Item = [f32; 2]>| {
        let mut chain: Vec<[f32; 2]> = Vec::new();
        for point in points {
            while let [.., a, b] = chain.as_slice() {
                let turn = (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0]);
                if turn > 0.0 {
                    break;
                }
                chain.pop();
            }
            chain.push(point);
        }
        chain.pop();
        chain
    };
    let mut outline = half(&mut points.iter().copied());
    outline.extend(half(&mut points.iter().rev().copied()));
    outline
}

#[cfg(test)]
mod tests {
    use super::super::draw::{Brush, draw};
    use super::super::icon_set::IconSet;
    use super::*;

    const TABLE: [u8; 3] = [120, 84, 60];

    fn plain(rgb: [u8; 3]) -> Frame {
        Frame::new(1024, 768, rgb.repeat(1024 * 768)).expect("a frame")
    }

    fn fill(frame: &mut Frame, [left, top, right, bottom]: [usize; 4], rgb: [u8; 3]) {
        for (y, x) in (top..bottom).flat_map(|y| (left..right).map(move |x| (y, x))) {
            let at = 3 * (y * 1024 + x);
            frame.rgb_mut()[at..at + 3].copy_from_slice(&rgb);
        }
    }

    fn icon(frame: &mut Frame, left: f32, top: f32, side: f32, tier: Tier) -> IconSighting {
        let set = IconSet::house().expect("the built-in icons");
        let picture = set.get("canvas").expect("canvas").picture(512).expect("a picture");
        let quad = Quad::square(left, top, side);
        draw(frame, &Brush::new(&picture), &quad, 1.0);
        IconSighting { name: "canvas".to_owned(), tier, score: 0.9, seal: None, corners: quad.0 }
    }

    /// A card as the sheet prints them, with some text, on a table.
    fn card(width: f32, tier: Tier) -> (Frame, Vec<IconSighting>) {
        let height = width * 60.0 / 93.0;
        let (left, top) = ((1024.0 - width) / 2.0, (768.0 - height) / 2.0);
        let mut frame = plain(TABLE);
        let edges = [left, top, left + width, top + height].map(|edge| edge as usize);
        fill(&mut frame, edges, [236, 232, 224]);
        let side = width * 0.43;
        let seen = icon(&mut frame, left + width * 0.108, top + (height - side) / 2.0, side, tier);
        let words =
            [left + width * 0.65, top + height * 0.4, left + width * 0.9, top + height * 0.5];
        fill(&mut frame, words.map(|edge| edge as usize), [30, 40, 60]);
        (frame, vec![seen])
    }

    #[test]
    fn card_that_fills_half_the_picture_or_more_is_a_card_photo() {
        for width in [785.0, 850.0, 980.0] {
            let (frame, seen) = card(width, Tier::Order);
            assert!(is_card(&frame, &seen), "{width}");
        }
    }

    #[test]
    fn card_in_a_scene_is_none() {
        for width in [200.0, 400.0, 600.0] {
            let (frame, seen) = card(width, Tier::Order);
            assert!(!is_card(&frame, &seen), "{width}");
        }
    }

    #[test]
    fn weak_evidence_makes_no_card() {
        let (frame, seen) = card(850.0, Tier::Ask);
        assert!(!is_card(&frame, &seen));
        assert!(!is_card(&frame, &[]));
    }

    #[test]
    fn sticker_is_no_card_on_any_ground() {
        for ground in [TABLE, [255, 255, 255], [200, 205, 210]] {
            for side in [100.0, 200.0, 330.0] {
                let mut frame = plain(ground);
                let seen = icon(&mut frame, 60.0, 60.0, side, Tier::Order);
                assert!(!is_card(&frame, &[seen]), "{ground:?} {side}");
            }
        }
    }

    #[test]
    fn icon_that_reaches_over_the_edge_is_looked_at_without_harm() {
        for [x, y] in [[-400.0, -400.0], [900.0, 700.0], [-3000.0, 0.0], [0.0, 0.0]] {
            let mut frame = plain([255, 255, 255]);
            let seen = icon(&mut frame, x, y, 500.0, Tier::Order);
            let _either = is_card(&frame, &[seen]);
        }
        let tiny = Frame::new(1, 1, vec![255; 3]).expect("a frame");
        let corners = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [f32::NAN, 1.0]];
        let seen =
            IconSighting { name: "x".into(), tier: Tier::Order, score: 1.0, seal: None, corners };
        let _either = is_card(&tiny, &[seen]);
    }

    #[test]
    fn outline_takes_in_all_points() {
        let mut points = vec![[0.0, 0.0], [4.0, 0.0], [4.0, 3.0], [0.0, 3.0]];
        points.extend([[1.0, 1.0], [2.0, 2.9], [4.0, 1.0], [0.0, 0.0]]);
        assert!((area(&hull(points)) - 12.0).abs() < 1e-4);
        assert!(area(&hull(vec![[1.0, 1.0]])) < f32::EPSILON);
    }
}
