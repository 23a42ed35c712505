//! Analysis by synthesis: would this icon, printed here, look like these very pixels?
//!
//! In:  a quad in the photo and the icon that it may hold.
//! Out: [`Evidence`]: how well the drawn icon explains the pixels, in the whole, cell by
//!      cell, against every other icon of the set, and against a frame without its gap.
//!
//! The icon is drawn into the photo's own pixels, not the photo stretched onto the icon:
//! stretching invents detail, and small things then correlate with anything. The drawing is
//! blurred as much as the photo is, and light may differ (gain, offset, slope).
//!
//! Refinement is Gauss-Newton on all eight perspective parameters with the light solved
//! along (Baker and Matthews 2004, section 3; variable projection).
//!
//! Knows nothing of networks.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "grid indices are clamped before they are cast; sums need no more digits than f32 gives"
)]

use std::sync::Arc;

use super::icon_set::{
    CLOSED_FRAME_SVG, FRAME_SVG, GLYPH_UNITS, IconSet, IconSetError, Picture, TILE_UNITS,
    render_text,
};
use super::quads::Quad;
use super::warp::{Homography, Patch, Pyramid, luma};

/// Side of a drawn template.
const GRID: usize = 128;
/// Blurs of a drawn template, in tile widths: from sharp to 1.9 px on an icon 16 px wide.
const SIGMAS: [f32; 11] =
    [0.005, 0.0075, 0.011, 0.016, 0.022, 0.031, 0.043, 0.058, 0.075, 0.095, 0.12];
/// Icons larger than this in the photo are verified on a halved copy: what tells icons
/// apart is there, and time stays bounded.
const SIDE_MAX_PX: f32 = 96.0;
/// Cells along one side.
const CELLS: usize = 6;
/// Corners may be moved by this share of the side; further is another place.
const MOVE_MAX: f32 = 0.15;
/// Cells along one side, where parts of an icon are covered.
const MASK: usize = 12;
/// A cell is covered when it differs by this much on average; paper less ink is 1.
const COVERED_MIN: f32 = 0.22;
/// How often the covered cells are chosen anew.
const UNCOVERINGS: usize = 3;
/// Steps before that, in which misfits count less.
const DOUBTS: usize = 7;
/// A misfit of this size counts half.
const DOUBTFUL: f32 = 0.2;
/// Steps at a coarse blur, then at the photo's own.
const COARSE_STEPS: usize = 3;
const FINE_STEPS: usize = 4;

/// How well one icon explains one place of the photo.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence {
    /// The refined corners, in px of the frame.
    pub quad: Quad,
    /// Zero-mean normalised correlation over the tile, `-1.0..=1.0`.
    pub likeness: f32,
    /// The same over the sign alone.
    pub sign_likeness: f32,
    /// Share of the 6x6 cells that agree, `0.0..=1.0`.
    pub cells_share: f32,
    /// 1 when the frame's gap looks as drawn, 0 when the frame looks closed there. 1 when
    /// most of the gap is covered.
    pub gap: f32,
    /// 1 when the pixels where the rival differs look as drawn, 0 when they look like the
    /// rival; the worst over all other icons. 1 in a set of one.
    pub rival: f32,
    /// How many standard errors `rival` lies above one half.
    pub rival_errors: f32,
    /// Index of that worst rival.
    pub rival_icon: usize,
    /// Brightness of paper less brightness of ink, `0.0..=1.0`; negative when inverted.
    pub contrast: f32,
    /// Blur that explains the photo best, as a share of the tile.
    pub blur: f32,
    /// Share of the tile that all this is said of; 1 but for [`Verifier::verify_covered`].
    pub visible: f32,
    /// Share of frame in what was left out, `0.0..=1.0`; 0 where nothing was.
    pub frame_hidden: f32,
}

/// The icon set drawn at all blurs.
#[derive(Debug)]
pub struct Templates {
    /// `[blur][GRID * GRID]`: how much of each place is tile.
    tile: Vec<Vec<f32>>,
    /// `[icon][blur][GRID * GRID]`: luma over white.
    icons: Vec<Vec<Vec<f32>>>,
    /// `[blur][GRID * GRID]`: what closing the frame would change.
    closing: Vec<Vec<f32>>,
}

/// Draws, refines and compares; keeps its buffers.
#[derive(Debug)]
pub struct Verifier {
    templates: Arc<Templates>,
    patch: Patch,
    places: Vec<Place>,
    mask: Mask,
}

/// Parts of the tile that something lies over, as a grid of [`MASK`] by [`MASK`] cells.
#[derive(Debug, Clone)]
struct Mask([bool; MASK * MASK]);

impl Mask {
    const NONE: Self = Self([false; MASK * MASK]);

    fn cell(u: f32, v: f32) -> usize {
        let at = |unit: f32| ((unit * MASK as f32) as usize).min(MASK - 1);
        at(v) * MASK + at(u)
    }

    fn covers(&self, u: f32, v: f32) -> bool {
        self.0.get(Self::cell(u, v)).copied().unwrap_or(false)
    }
}

/// One pixel on the tile.
#[derive(Debug, Clone, Copy)]
struct Place {
    luma: f32,
    /// On the tile, `0.0..=1.0` when inside.
    u: f32,
    v: f32,
    /// 0 where it is covered.
    weight: f32,
    /// The same, were nothing covered.
    full_weight: f32,
    drawn: f32,
}

impl Templates {
    /// Draws every icon at every blur.
    ///
    /// # Errors
    /// When an icon cannot be rendered.
    pub fn new(set: &IconSet) -> Result<Self, IconSetError> {
        let open = render_text(FRAME_SVG, (4 * GRID) as u32)?;
        let closed = render_text(CLOSED_FRAME_SVG, (4 * GRID) as u32)?;
        let (open_luma, tile) = planes(&open);
        let (closed_luma, _) = planes(&closed);
        let closing: Vec<f32> = closed_luma.iter().zip(&open_luma).map(|(c, o)| c - o).collect();
        let mut icons = Vec::with_capacity(set.icons().len());
        for icon in set.icons() {
            // Twice the grid: edges are smooth already, and hundreds of icons are drawn at start.
            icons.push(blurs(&planes(&icon.picture((2 * GRID) as u32)?).0, 1.0));
        }
        Ok(Self { tile: blurs(&tile, 0.0), icons, closing: blurs(&closing, 0.0) })
    }
}

/// One drawing at one blur.
#[derive(Debug)]
pub(super) struct Plane(Vec<f32>);

impl Plane {
    /// Side at which a picture is to be rendered for it.
    pub(super) const PICTURE_PX: u32 = (4 * GRID) as u32;

    /// Luma over white, blurred by a share of the tile's side.
    pub(super) fn of(picture: &Picture, sigma: f32) -> Self {
        Self(blurred(&planes(picture).0, sigma * GRID as f32, 1.0))
    }

    /// Luma at a place of the tile.
    pub(super) fn value(&self, u: f32, v: f32) -> f32 {
        value(&self.0, u, v)
    }
}

/// Luma over white, and opacity, each the mean of the rendered pixels in a place of the grid.
fn planes(picture: &Picture) -> (Vec<f32>, Vec<f32>) {
    let mut luma_plane = vec![0.0_f32; GRID * GRID];
    let mut tile_plane = vec![0.0_f32; GRID * GRID];
    let side = picture.side_px;
    for (index, p) in picture.rgba.chunks_exact(4).enumerate() {
        let at = (index / side * GRID / side) * GRID + index % side * GRID / side;
        let alpha = f32::from(p[3]) / 255.0;
        let colour = luma([f32::from(p[0]), f32::from(p[1]), f32::from(p[2])]) / 255.0;
        let share = (GRID * GRID) as f32 / (side * side) as f32;
        luma_plane[at] += (colour * alpha + 1.0 - alpha) * share;
        tile_plane[at] += alpha * share;
    }
    (luma_plane, tile_plane)
}

/// The plane at every blur; beyond its edges lies `outside`.
fn blurs(plane: &[f32], outside: f32) -> Vec<Vec<f32>> {
    let mut levels: Vec<Vec<f32>> = Vec::with_capacity(SIGMAS.len());
    let mut done = 0.0_f32;
    for sigma in SIGMAS {
        let wanted = sigma * GRID as f32;
        let source = levels.last().map_or(plane, Vec::as_slice);
        levels.push(blurred(source, (wanted * wanted - done * done).max(0.0).sqrt(), outside));
        done = wanted;
    }
    levels
}

fn blurred(plane: &[f32], sigma: f32, outside: f32) -> Vec<f32> {
    let reach = (3.0 * sigma).ceil() as usize;
    let mut kernel: Vec<f32> = (0..=2 * reach)
        .map(|i| (-(i as f32 - reach as f32).powi(2) / (2.0 * sigma * sigma).max(1e-6)).exp())
        .collect();
    let sum: f32 = kernel.iter().sum();
    kernel.iter_mut().for_each(|tap| *tap /= sum);
    transposed(&down(&transposed(&down(plane, &kernel, outside)), &kernel, outside))
}

/// Blurs along columns: whole rows are added up, which compilers turn into wide instructions.
fn down(plane: &[f32], kernel: &[f32], outside: f32) -> Vec<f32> {
    let reach = kernel.len() / 2;
    let blank = [outside; GRID];
    let mut target = vec![0.0; GRID * GRID];
    for (row, sums) in target.chunks_exact_mut(GRID).enumerate() {
        for (tap, weight) in kernel.iter().enumerate() {
            let at = (row + tap).checked_sub(reach).filter(|&at| at < GRID);
            let source = at.map_or(&blank[..], |at| &plane[at * GRID..(at + 1) * GRID]);
            for (sum, value) in sums.iter_mut().zip(source) {
                *sum += weight * value;
            }
        }
    }
    target
}

fn transposed(plane: &[f32]) -> Vec<f32> {
    (0..GRID * GRID).map(|index| plane[index % GRID * GRID + index / GRID]).collect()
}

/// Value and slope (per tile width) of a plane at a place of the tile.
#[inline]
fn sample(plane: &[f32], u: f32, v: f32) -> [f32; 3] {
    let limit = (GRID - 1) as f32;
    let x = (u * GRID as f32 - 0.5).max(0.0).min(limit - 0.001);
    let y = (v * GRID as f32 - 0.5).max(0.0).min(limit - 0.001);
    let (column, row) = (x as usize, y as usize);
    let (fx, fy) = (x - column as f32, y - row as f32);
    let at = row * GRID + column;
    let Some(&[a, b]) = plane.get(at..at + 2).and_then(|s| s.first_chunk()) else {
        return [0.0; 3];
    };
    let Some(&[c, d]) = plane.get(at + GRID..at + GRID + 2).and_then(|s| s.first_chunk()) else {
        return [0.0; 3];
    };
    let (upper, lower) = (a + (b - a) * fx, c + (d - c) * fx);
    let slope_u = ((b - a) * (1.0 - fy) + (d - c) * fy) * GRID as f32;
    [upper + (lower - upper) * fy, slope_u, (lower - upper) * GRID as f32]
}

/// Value alone.
#[inline]
fn value(plane: &[f32], u: f32, v: f32) -> f32 {
    sample(plane, u, v)[0]
}

/// Light on the tile: `luma = gain * drawn + offset + slope_u * (u - 1/2) + slope_v * (v - 1/2)`.
#[derive(Debug, Clone, Copy)]
struct Light {
    gain: f32,
    offset: f32,
    slope_u: f32,
    slope_v: f32,
}

impl Light {
    /// What of a pixel is not light but icon, in the template's units.
    fn undone(&self, place: &Place) -> f32 {
        let lit = self.offset + self.slope_u * (place.u - 0.5) + self.slope_v * (place.v - 0.5);
        (place.luma - lit) / self.gain
    }
}

impl Verifier {
    /// Wraps the drawn set, which threads can share.
    pub fn new(templates: impl Into<Arc<Templates>>) -> Self {
        Self {
            templates: templates.into(),
            patch: Patch::default(),
            places: Vec::new(),
            mask: Mask::NONE,
        }
    }

    /// Compares one place of the photo with one icon; `None` when the quad is flat, lies
    /// outside the frame or holds too few pixels to say anything.
    pub fn verify(
        &mut self,
        pyramid: &mut Pyramid<'_>,
        quad: &Quad,
        icon: usize,
    ) -> Option<Evidence> {
        self.mask = Mask::NONE;
        let (start, shrink) = self.cut(pyramid, quad);
        let side_px = start.side_px();
        let start_map = Homography::from_unit_square(&start)?.inverse()?;

        // Coarse steps catch a displacement of several pixels, fine ones settle it.
        let coarse = blur_at_least((1.2 / side_px).max(0.035));
        let mut blur = coarse;
        let mut map = start_map;
        for step in 0..COARSE_STEPS + FINE_STEPS {
            if step == COARSE_STEPS {
                self.project(&map, icon, blur);
                blur = self.best_blur(icon, side_px)?;
            }
            self.project(&map, icon, blur);
            map = self.step(&map, icon, blur)?;
        }
        self.conclude(&start, start_map, map, icon, blur, shrink)
    }

    /// The same where something may lie over the icon: parts that cannot be explained are
    /// left out, and all evidence is of the rest ([`Evidence::visible`] says how much that is).
    ///
    /// Whoever may leave out what does not fit finds likenesses everywhere: demand more of
    /// this evidence than of the other.
    pub fn verify_covered(
        &mut self,
        pyramid: &mut Pyramid<'_>,
        quad: &Quad,
        icon: usize,
    ) -> Option<Evidence> {
        self.mask = Mask::NONE;
        let (start, shrink) = self.cut(pyramid, quad);
        let side_px = start.side_px();
        let start_map = Homography::from_unit_square(&start)?.inverse()?;
        let mut blur = blur_at_least((1.2 / side_px).max(0.03));
        let mut map = start_map;
        // As long as the outline is off, misfits are everywhere: doubt them, do not cut.
        for round in 0..DOUBTS {
            self.project(&map, icon, blur);
            self.doubt()?;
            if round == DOUBTS / 2 {
                blur = self.best_blur(icon, side_px)?;
            }
            map = self.step(&map, icon, blur)?;
        }
        for _ in 0..UNCOVERINGS {
            self.mask = Mask::NONE;
            self.project(&map, icon, blur);
            self.uncover()?;
            blur = self.best_blur(icon, side_px)?;
            self.project(&map, icon, blur);
            map = self.step(&map, icon, blur)?;
        }
        self.conclude(&start, start_map, map, icon, blur, shrink)
    }

    /// Cuts the pixels around a quad: the quad among them, and px of the frame over theirs.
    fn cut(&mut self, pyramid: &mut Pyramid<'_>, quad: &Quad) -> (Quad, f32) {
        let (mut wanted, mut side_px) = (0, quad.side_px());
        while side_px > SIDE_MAX_PX {
            side_px /= 2.0;
            wanted += 1;
        }
        let (frame, level) = pyramid.level(wanted);
        let shrink = 1.0 / (1_u32 << level) as f32;
        let start = quad.map(|corner| corner.map(|value| value * shrink));
        self.patch.cut(frame, start.bounds(), start.side_px() * MOVE_MAX);
        (start, shrink)
    }

    /// Judges the place that the steps have led to, or the first one when they led astray.
    fn conclude(
        &mut self,
        start: &Quad,
        start_map: Homography,
        map: Homography,
        icon: usize,
        blur: usize,
        shrink: f32,
    ) -> Option<Evidence> {
        let (mut map, side_px) = (map, start.side_px());
        let mut moved = map.inverse()?.quad();
        let stayed = moved
            .0
            .iter()
            .zip(&start.0)
            .all(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1]) <= MOVE_MAX * side_px);
        if !(stayed && moved.is_plausible(6.0)) {
            (map, moved) = (start_map, *start);
        }
        self.project(&map, icon, blur);
        let blur = self.best_blur(icon, side_px)?;
        self.project(&map, icon, blur);
        let mut evidence = self.judge(icon, blur)?;
        evidence.quad = moved.map(|corner| corner.map(|value| value / shrink));
        Some(evidence)
    }

    /// Weighs each place by how well the icon explains it (Cauchy weights).
    fn doubt(&mut self) -> Option<()> {
        for _ in 0..3 {
            let light = self.light()?;
            for place in &mut self.places {
                let misfit = (light.undone(place) - place.drawn) / DOUBTFUL;
                place.weight = place.full_weight / (1.0 + misfit * misfit);
            }
        }
        Some(())
    }

    /// Masks what the icon does not explain. Light is found anew without it a few times: what
    /// lies over an icon must not darken the rest.
    fn uncover(&mut self) -> Option<()> {
        for _ in 0..3 {
            let light = self.light()?;
            let mut differences = [(0.0_f32, 0.0_f32); MASK * MASK];
            for place in &self.places {
                if let Some((sum, weights)) = differences.get_mut(Mask::cell(place.u, place.v)) {
                    let full = place.full_weight;
                    *sum += full * (light.undone(place) - place.drawn).abs().min(1.0);
                    *weights += full;
                }
            }
            let covered =
                differences.map(|(sum, weights)| weights > 0.0 && sum > COVERED_MIN * weights);
            // Alone among explained neighbours it is noise; alone among covered ones, chance.
            self.mask = Mask(std::array::from_fn(|cell| {
                let (row, column) = (cell / MASK, cell % MASK);
                let around = (row.saturating_sub(1)..=(row + 1).min(MASK - 1))
                    .flat_map(|r| {
                        (column.saturating_sub(1)..=(column + 1).min(MASK - 1))
                            .map(move |c| r * MASK + c)
                    })
                    .filter(|&other| other != cell);
                let (hidden, count) = around.fold((0, 0), |(hidden, count), other| {
                    (hidden + usize::from(covered[other]), count + 1)
                });
                if covered[cell] { hidden >= 1 } else { 4 * hidden >= 3 * count }
            }));
            for place in &mut self.places {
                let hidden = self.mask.covers(place.u, place.v);
                place.weight = if hidden { 0.0 } else { place.full_weight };
            }
        }
        Some(())
    }

    /// Lists the pixels that lie on the tile, with what the icon would show there.
    fn project(&mut self, map: &Homography, icon: usize, blur: usize) {
        self.places.clear();
        let m = map.0.map(|value| value as f32);
        let (tile, drawn) = (&self.templates.tile[blur], &self.templates.icons[icon][blur]);
        for (index, &luma) in self.patch.luma.iter().enumerate() {
            let x = self.patch.left as f32 + (index % self.patch.width) as f32 + 0.5;
            let y = self.patch.top as f32 + (index / self.patch.width) as f32 + 0.5;
            let w = m[6] * x + m[7] * y + m[8];
            let (u, v) = ((m[0] * x + m[1] * y + m[2]) / w, (m[3] * x + m[4] * y + m[5]) / w);
            if !(0.0..1.0).contains(&u) || !(0.0..1.0).contains(&v) {
                continue;
            }
            // Near the tile's edge the blur lets the ground shine in, about which nothing is known.
            let weight = ((value(tile, u, v) - 0.80) / 0.15).clamp(0.0, 1.0);
            if weight > 0.0 {
                let (full_weight, hidden) = (weight, self.mask.covers(u, v));
                let weight = if hidden { 0.0 } else { weight };
                let drawn = value(drawn, u, v);
                self.places.push(Place { luma, u, v, weight, full_weight, drawn });
            }
        }
    }

    /// The blur at which the icon explains the listed pixels best.
    fn best_blur(&self, icon: usize, side_px: f32) -> Option<usize> {
        // A pixel is itself a box of one px, which blurs by at least 0.29 px.
        let first = blur_at_least(0.29 / side_px).saturating_sub(1);
        let mut best = None;
        for (blur, plane) in self.templates.icons.get(icon)?.iter().enumerate().skip(first) {
            let likeness =
                correlation(self.places.iter().map(|p| (p.weight, p.luma, value(plane, p.u, p.v))));
            if best.is_none_or(|(_, known)| likeness > known) {
                best = Some((blur, likeness));
            } else if best.is_some_and(|(_, known)| likeness < known - 0.05) {
                break;
            }
        }
        best.map(|(blur, _)| blur)
    }

    /// One Gauss-Newton step for perspective and light together.
    fn step(&self, map: &Homography, icon: usize, blur: usize) -> Option<Homography> {
        const UNKNOWNS: usize = 12;
        let plane = self.templates.icons.get(icon)?.get(blur)?;
        let mut normal = [[0.0_f64; UNKNOWNS]; UNKNOWNS];
        let mut right = [0.0_f64; UNKNOWNS];
        for place in self.places.iter().filter(|place| place.weight > 0.0) {
            let [drawn, slope_u, slope_v] = sample(plane, place.u, place.v);
            let (u, v) = (place.u - 0.5, place.v - 0.5);
            let along = slope_u * u + slope_v * v;
            let row = [
                slope_u,
                slope_u * u,
                slope_u * v,
                slope_v,
                slope_v * u,
                slope_v * v,
                -along * u,
                -along * v,
                drawn,
                1.0,
                u,
                v,
            ];
            for i in 0..UNKNOWNS {
                let weighted = f64::from(row[i] * place.weight);
                right[i] += weighted * f64::from(place.luma);
                for j in 0..=i {
                    normal[i][j] += weighted * f64::from(row[j]);
                }
            }
        }
        // A little damping keeps directions still in which the icon shows no edge.
        for (i, row) in normal.iter_mut().enumerate() {
            row[i] = if i < 8 { row[i] * 1.01 + 1e-3 } else { row[i] + 1e-6 };
        }
        let solution = solve(&mut normal, &mut right)?;
        let gain = solution[8];
        if !gain.is_finite() || gain.abs() < 0.02 {
            return Some(*map);
        }
        let mut p: [f64; 8] = std::array::from_fn(|i| solution[i] / gain);
        // Far steps are where the linear model is wrong.
        let reach = (p[0].abs() + 0.5 * (p[1].abs() + p[2].abs()))
            .max(p[3].abs() + 0.5 * (p[4].abs() + p[5].abs()))
            + 0.25 * (p[6].abs() + p[7].abs());
        let scale = (0.06 / reach.max(1e-9)).min(1.0);
        p.iter_mut().for_each(|value| *value *= scale);
        let to_middle = Homography([1.0, 0.0, -0.5, 0.0, 1.0, -0.5, 0.0, 0.0, 1.0]);
        let from_middle = Homography([1.0, 0.0, 0.5, 0.0, 1.0, 0.5, 0.0, 0.0, 1.0]);
        let change = Homography([1.0 + p[1], p[2], p[0], p[4], 1.0 + p[5], p[3], p[6], p[7], 1.0]);
        Some(map.then(&to_middle).then(&change).then(&from_middle))
    }

    fn judge(&self, icon: usize, blur: usize) -> Option<Evidence> {
        if self.places.len() < 100 {
            return None;
        }
        let light = self.light()?;
        let sign = GLYPH_UNITS.start / TILE_UNITS..GLYPH_UNITS.end / TILE_UNITS;
        let explained = |places: &mut dyn Iterator<Item = &Place>| {
            correlation(places.map(|p| (p.weight, light.undone(p) * light.gain.signum(), p.drawn)))
        };
        let likeness = explained(&mut self.places.iter());
        let sign_likeness = explained(
            &mut self.places.iter().filter(|p| sign.contains(&p.u) && sign.contains(&p.v)),
        );
        let noise = {
            let (sum, weights) = self.places.iter().fold((0.0, 0.0), |(sum, weights), p| {
                (sum + p.weight * (light.undone(p) - p.drawn).powi(2), weights + p.weight)
            });
            (sum / f32::max(weights, 1e-6)).sqrt()
        };
        let (mut rival, mut rival_errors, mut rival_icon) = (1.0_f32, f32::INFINITY, icon);
        for (other, planes) in
            self.templates.icons.iter().enumerate().filter(|(other, _)| *other != icon)
        {
            let (share, strength) =
                self.instead(&light, |p| value(&planes[blur], p.u, p.v) - p.drawn);
            // Neighbouring errors are alike (blur, JPEG), so each counts for about a quarter.
            let errors = (share - 0.5) * strength.sqrt() / (2.0 * noise).max(1e-3);
            if errors < rival_errors {
                (rival, rival_errors, rival_icon) = (share, errors, other);
            }
        }
        let closing = &self.templates.closing[blur];
        let (gap, gap_strength) = self.instead(&light, |p| value(closing, p.u, p.v));
        let (mut visible, mut full, mut gap_full, mut hidden_frame) = (0.0, 0.0, 0.0, 0.0);
        for p in &self.places {
            let change = value(closing, p.u, p.v);
            visible += p.weight;
            full += p.full_weight;
            gap_full += p.full_weight * change * change;
            if !(sign.contains(&p.u) && sign.contains(&p.v)) {
                hidden_frame += p.full_weight - p.weight;
            }
        }
        let gap = if gap_strength < 0.4 * gap_full { 1.0 } else { gap };
        Some(Evidence {
            quad: Quad([[0.0; 2]; 4]),
            likeness,
            sign_likeness,
            cells_share: self.cells_share(&light),
            gap,
            rival,
            rival_errors,
            rival_icon,
            contrast: light.gain,
            blur: SIGMAS[blur],
            visible: visible / f32::max(full, 1e-6),
            frame_hidden: hidden_frame / f32::max(full - visible, 1e-3),
        })
    }

    /// Weighs the icon as drawn (1) against a changed drawing (0), looking only where they
    /// differ; also how strongly they differ in all.
    fn instead(&self, light: &Light, change: impl Fn(&Place) -> f32) -> (f32, f32) {
        let (mut along, mut strength) = (0.0, 0.0);
        for place in &self.places {
            let change = change(place);
            along += place.weight * (light.undone(place) - place.drawn) * change;
            strength += place.weight * change * change;
        }
        if strength > 1e-3 { (1.0 - along / strength, strength) } else { (0.5, 0.0) }
    }

    /// Light that makes the drawn icon come nearest to the listed pixels.
    fn light(&self) -> Option<Light> {
        let mut normal = [[0.0_f64; 4]; 4];
        let mut right = [0.0_f64; 4];
        for p in &self.places {
            let row = [p.drawn, 1.0, p.u - 0.5, p.v - 0.5];
            for i in 0..4 {
                let weighted = f64::from(row[i] * p.weight);
                right[i] += weighted * f64::from(p.luma);
                for j in 0..=i {
                    normal[i][j] += weighted * f64::from(row[j]);
                }
            }
        }
        for (i, row) in normal.iter_mut().enumerate() {
            row[i] += 1e-6;
        }
        let [gain, offset, slope_u, slope_v] =
            solve(&mut normal, &mut right)?.map(|value| value as f32);
        (gain.is_finite() && gain.abs() > 1e-3).then_some(Light { gain, offset, slope_u, slope_v })
    }

    fn cells_share(&self, light: &Light) -> f32 {
        let mut cells = [Sums::default(); CELLS * CELLS];
        for place in &self.places {
            let cell = |unit: f32| ((unit * CELLS as f32) as usize).min(CELLS - 1);
            cells[cell(place.v) * CELLS + cell(place.u)].add(
                place.weight,
                light.undone(place),
                place.drawn,
            );
        }
        let seen = cells.iter().filter(|cell| cell.weight > 1.0);
        let (mut agreeing, mut count) = (0.0, 0.0);
        for cell in seen {
            count += 1.0;
            agreeing += f32::from(u8::from(cell.agrees()));
        }
        if count > 0.0 { agreeing / count } else { 0.0 }
    }
}

/// Weighted sums of two values over a cell.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    weight: f32,
    seen: f32,
    drawn: f32,
    seen_seen: f32,
    drawn_drawn: f32,
    seen_drawn: f32,
}

impl Sums {
    fn add(&mut self, weight: f32, seen: f32, drawn: f32) {
        self.weight += weight;
        self.seen += weight * seen;
        self.drawn += weight * drawn;
        self.seen_seen += weight * seen * seen;
        self.drawn_drawn += weight * drawn * drawn;
        self.seen_drawn += weight * seen * drawn;
    }

    /// Whether a cell shows what is drawn there, up to its own gain and offset: where the
    /// drawing has structure it must correlate, where it is flat the photo must be, too.
    fn agrees(&self) -> bool {
        let mean = |sum: f32| sum / self.weight;
        let (seen, drawn) = (mean(self.seen), mean(self.drawn));
        let seen_spread = (mean(self.seen_seen) - seen * seen).max(0.0).sqrt();
        let drawn_spread = (mean(self.drawn_drawn) - drawn * drawn).max(0.0).sqrt();
        let together = mean(self.seen_drawn) - seen * drawn;
        let near = (seen - drawn).abs() <= 0.40;
        if drawn_spread > 0.10 {
            near && together >= 0.6 * seen_spread * drawn_spread
                && seen_spread >= 0.3 * drawn_spread
        } else {
            near && seen_spread <= 0.25
        }
    }
}

/// Weighted zero-mean correlation of pairs `(weight, a, b)`; 0 when either is flat.
fn correlation(pairs: impl Iterator<Item = (f32, f32, f32)>) -> f32 {
    let mut sums = Sums::default();
    for (weight, a, b) in pairs {
        sums.add(weight, a, b);
    }
    if sums.weight <= 0.0 {
        return 0.0;
    }
    let mean = |sum: f32| sum / sums.weight;
    let (a, b) = (mean(sums.seen), mean(sums.drawn));
    let spreads =
        (mean(sums.seen_seen) - a * a).max(0.0) * (mean(sums.drawn_drawn) - b * b).max(0.0);
    if spreads > 1e-10 { (mean(sums.seen_drawn) - a * b) / spreads.sqrt() } else { 0.0 }
}

fn blur_at_least(sigma: f32) -> usize {
    SIGMAS.iter().position(|&known| known >= sigma).unwrap_or(SIGMAS.len() - 1)
}

/// Solves a symmetric positive system (lower half given) by Cholesky; `None` when it is not.
pub(super) fn solve<const N: usize>(
    normal: &mut [[f64; N]; N],
    right: &mut [f64; N],
) -> Option<[f64; N]> {
    for i in 0..N {
        for j in 0..=i {
            let known: f64 = (0..j).map(|k| normal[i][k] * normal[j][k]).sum();
            let rest = normal[i][j] - known;
            if i == j {
                if !rest.is_finite() || rest <= 0.0 {
                    return None;
                }
                normal[i][i] = rest.sqrt();
            } else {
                normal[i][j] = rest / normal[j][j];
            }
        }
    }
    for i in 0..N {
        let known: f64 = (0..i).map(|k| normal[i][k] * right[k]).sum();
        right[i] = (right[i] - known) / normal[i][i];
    }
    for i in (0..N).rev() {
        let known: f64 = (i + 1..N).map(|k| normal[k][i] * right[k]).sum();
        right[i] = (right[i] - known) / normal[i][i];
    }
    Some(*right)
}

#[cfg(test)]
mod tests {
    use super::super::draw::{Brush, draw};
    use super::*;
    use crate::media::Frame;

    fn scene(set: &IconSet, icon: usize, quad: &Quad) -> Frame {
        let rgb = (0..96 * 96 * 3).map(|i| 90 + (i * 37 % 23) as u8).collect();
        let mut frame = Frame::new(96, 96, rgb).expect("a frame");
        let brush = Brush::new(&set.icons()[icon].picture(512).expect("a picture"));
        draw(&mut frame, &brush, quad, 1.0);
        for (index, value) in frame.rgb_mut().iter_mut().enumerate() {
            *value = (f32::from(*value) * 0.7 + 20.0 + (index * 7919 % 13) as f32) as u8;
        }
        frame
    }

    fn tilted(side: f32) -> Quad {
        let c = 48.0;
        Quad([
            [c - 0.45 * side, c - 0.5 * side],
            [c + 0.5 * side, c - 0.42 * side],
            [c + 0.46 * side, c + 0.5 * side],
            [c - 0.5 * side, c + 0.44 * side],
        ])
    }

    #[test]
    fn misplaced_quad_is_refined_to_a_tenth_of_a_pixel() {
        let set = IconSet::house().expect("the built-in icons");
        let mut verifier = Verifier::new(Templates::new(&set).expect("templates"));
        for (side, off) in [(24.0, 0.8), (40.0, 1.5), (64.0, 2.5)] {
            let quad = tilted(side);
            let frame = scene(&set, 3, &quad);
            let mut start = quad;
            start.0[0][0] += off;
            start.0[1][1] -= off;
            start.0[2][0] += 0.7 * off;
            let evidence = verifier.verify(&mut Pyramid::new(&frame), &start, 3).expect("evidence");
            let worst = evidence
                .quad
                .0
                .iter()
                .zip(&quad.0)
                .map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1]))
                .fold(0.0, f32::max);
            assert!(worst < 0.35, "{side}: off by {worst}, {evidence:?}");
            assert!(evidence.likeness > 0.97, "{evidence:?}");
        }
    }

    #[test]
    fn each_icon_is_told_from_every_other_down_to_20_px() {
        let set = IconSet::house().expect("the built-in icons");
        let mut verifier = Verifier::new(Templates::new(&set).expect("templates"));
        for side in [20.0, 32.0, 64.0] {
            for icon in 0..set.icons().len() {
                let quad = tilted(side);
                let frame = scene(&set, icon, &quad);
                let mut pyramid = Pyramid::new(&frame);
                let own = verifier.verify(&mut pyramid, &quad, icon).expect("evidence");
                assert!(
                    own.rival > 0.8 && own.gap > 0.8 && own.cells_share > 0.8,
                    "{side} {icon}: {own:?}"
                );
                for other in (0..set.icons().len()).filter(|&other| other != icon) {
                    let wrong = verifier.verify(&mut pyramid, &quad, other).expect("evidence");
                    // Half a rival within its error is no finding; the loosest gate asks for one error.
                    assert!(
                        wrong.rival < 0.5 || wrong.rival_errors < 1.0,
                        "{side} {icon} taken for {other}: {wrong:?}"
                    );
                    assert!(
                        wrong.sign_likeness < own.sign_likeness - 0.05,
                        "{side} {icon} {other}"
                    );
                }
            }
        }
    }

    #[test]
    fn frame_without_its_gap_is_noticed() {
        let set = IconSet::house().expect("the built-in icons");
        let mut verifier = Verifier::new(Templates::new(&set).expect("templates"));
        let quad = tilted(48.0);
        let mut frame = scene(&set, 6, &quad);
        // Draw the closed ring over the icon's own frame, sign left out.
        let closed = CLOSED_FRAME_SVG
            .replace("<rect width=\"1024\" height=\"1024\" rx=\"216\" fill=\"#fff\"/>", "");
        let brush = Brush::new(&render_text(&closed, 512).expect("a ring"));
        draw(&mut frame, &brush, &quad, 1.0);
        let evidence = verifier.verify(&mut Pyramid::new(&frame), &quad, 6).expect("evidence");
        assert!(evidence.gap < 0.4, "{evidence:?}");
    }

    #[test]
    fn flat_picture_resembles_nothing() {
        let set = IconSet::house().expect("the built-in icons");
        let mut verifier = Verifier::new(Templates::new(&set).expect("templates"));
        let frame = Frame::new(96, 96, vec![130; 96 * 96 * 3]).expect("a frame");
        let evidence = verifier.verify(&mut Pyramid::new(&frame), &tilted(40.0), 0);
        assert!(
            evidence.is_none_or(
                |evidence| evidence.likeness.abs() < 0.3 && evidence.contrast.abs() < 0.05
            )
        );
    }
}
