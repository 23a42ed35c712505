//! Reads a seal: from pixels and the tile's corners to bits, and from bits to whose it is.
//!
//! In:  a frame, the refined quad of a tile in it, how blurred the tile was.
//! Out: [`SealReading`].
//!
//! The strip of pixels along each side is explained as a sum of what is known to be printed
//! there: paper that may get lighter along the side and across it, the icon's ring (whose
//! ink shows how dark ink is, here), and every dot with an amplitude of its own, all blurred
//! as the tile was. The amplitudes are found together (least squares, robust), so that
//! neighbouring dots which blur into each other are still told apart. The strip may also
//! slide and drift by a little: paper bends and corners are never exact.
//!
//! INVARIANT: nothing up to [`Bits`] knows the owner's word. So each reading is one try.
//!
//! Knows nothing of keys.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "table and module indices are clamped before they are cast"
)]

use super::{
    DOT_RADIUS, MODULES, PITCH_UNITS, SIDE_MODULES, SealWord, TRIM_UNITS, card_quad, distance_max,
};
use crate::detection::icon_set::TILE_UNITS;
use crate::detection::quads::Quad;
use crate::detection::sighting::Seal;
use crate::detection::verify::solve;
use crate::detection::warp::{Homography, Patch, Pyramid};

/// Tiles larger than this are read on a halved copy: a dot then still has 2.4 px and more.
const SIDE_MAX_PX: f32 = 56.0;
/// No frame is so large.
const SIDE_CEILING_PX: f32 = 1e5;
/// Neighbouring dots nearer than this run into each other whatever is done.
const PITCH_MIN_PX: f32 = 1.6;
/// Least brightness of paper less that of ink.
const CONTRAST_MIN: f32 = 0.08;
/// Times that the strips are explained, each time nearer to where they are.
const PASSES: usize = 3;
/// Dots that a strip shows: its own, the corner at its end, one round each corner.
const DOTS: usize = SIDE_MODULES + 3;
/// Unknowns of a strip: dots, ring at both ends, paper at three places and across, two shifts.
const UNKNOWNS: usize = DOTS + 8;
const RING: usize = DOTS;
const PAPER: usize = DOTS + 2;
const ACROSS: usize = DOTS + 5;
const SHIFT: usize = DOTS + 6;
/// Part of the strip that is looked at, across: from outside the dots to the ring's middle.
const DEPTH_UNITS: std::ops::Range<f32> = -172.0..112.0;
/// Middle and half width of the ring's line, and radius of its corners (see `icon_set`).
const RING_UNITS: f32 = 102.0;
const RING_HALF: f32 = 46.0;
const RING_CORNER: f32 = 124.0;
/// Where the ring ends on the right and lower side, round caps included.
const RING_END: f32 = 676.0;
/// Half the side of a square as large as a dot.
const DOT_HALF: f32 = DOT_RADIUS * 0.886;

/// What is around one tile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SealReading {
    /// Whose it is.
    pub seal: Seal,
    /// Modules in which it differs from the nearest valid word; of those that were read.
    pub distance: Option<u32>,
    /// Modules that could not be read, `0..=48`.
    pub erased_count: u32,
    /// Brightness of paper less that of ink, `0.0..=1.0`.
    pub contrast: f32,
    /// How well dots explain what is seen there, `0.0..=1.0`.
    pub likeness: f32,
    /// What was read.
    pub bits: Bits,
}

/// A reading, before it is compared with anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bits {
    /// Module `i` is ink if bit `i` is set.
    pub ink: u64,
    /// Module `i` could not be read if bit `i` is set.
    pub erased: u64,
}

impl Bits {
    /// Modules that could not be read.
    pub const fn erased_count(self) -> u32 {
        self.erased.count_ones()
    }

    /// Modules that were read and differ from a word's.
    pub const fn distance(self, word: SealWord) -> u32 {
        ((self.ink ^ word.bits()) & !self.erased).count_ones()
    }

    /// Whether it may be taken for a word: the one place that decides (`docs/seal.md`).
    pub fn is(self, word: SealWord) -> bool {
        distance_max(self.erased_count()).is_some_and(|most| self.distance(word) <= most)
    }
}

/// Reads seals; keeps its buffers.
#[derive(Debug, Default)]
pub struct SealReader {
    patch: Patch,
    strips: [Vec<Pixel>; 4],
}

/// One pixel of a strip.
#[derive(Debug, Clone, Copy)]
struct Pixel {
    /// Along the side, clockwise, in tile units.
    along: f32,
    /// Across it, inwards, in tile units; 0 is the tile's edge.
    depth: f32,
    luma: f32,
    /// How much it is believed, `0.0..=1.0`.
    weight: f32,
}

/// What explains a strip best.
#[derive(Debug, Clone, Copy)]
struct Explained {
    values: [f64; UNKNOWNS],
    /// Where the dots are, along and across, against where they should be.
    shift: [f32; 2],
}

/// How much of a place is ink, for something of one shape under blur; a table over the
/// distance from its middle.
#[derive(Debug, Clone)]
struct Profile {
    values: [f32; PROFILE_STEPS],
}

const PROFILE_STEPS: usize = 160;
const PROFILE_UNITS: f32 = 2.0;

impl Profile {
    /// A bar of `half` units to both sides of its middle, under a Gaussian.
    fn bar(half: f32, sigma: f32) -> Self {
        let values = std::array::from_fn(|step| {
            let at = step as f32 * PROFILE_UNITS;
            normal_share((at + half) / sigma) - normal_share((at - half) / sigma)
        });
        Self { values }
    }

    fn at(&self, distance: f32) -> f32 {
        let at = distance.abs() / PROFILE_UNITS;
        let step = at as usize;
        match self.values.get(step..step + 2) {
            Some(&[a, b]) => a + (b - a) * (at - step as f32),
            _ => 0.0,
        }
    }

    /// Change per unit.
    fn slope(&self, distance: f32) -> f32 {
        (self.at(distance + 2.0) - self.at(distance - 2.0)) / 4.0
    }
}

/// Share of a standard normal distribution below a value (Page 1977; off by 2e-4 at most).
fn normal_share(value: f32) -> f32 {
    0.5 * (1.0 + (0.797_884_6 * value * (1.0 + 0.044_715 * value * value)).tanh())
}

/// The shapes of one strip, blurred as they are there.
struct Profiles {
    dot_along: Profile,
    dot_across: Profile,
    join_along: Profile,
    join_across: Profile,
    ring: Profile,
    /// Deviation of the blur along the strip, tile units.
    sigma: f32,
    /// Dots further off than so many pitches have no share in a pixel.
    reach: f32,
}

impl SealReader {
    /// Reads what is around a tile and compares it with the words that are valid.
    ///
    /// - `quad`: the refined corners of the tile, px of the frame
    /// - `blur`: deviation of the blur as a share of the tile's side
    /// - `words`: at most [`super::WORDS_MAX`] are compared
    pub fn read(
        &mut self,
        pyramid: &mut Pyramid<'_>,
        quad: &Quad,
        blur: f32,
        words: &[SealWord],
    ) -> SealReading {
        let unreadable = SealReading {
            seal: Seal::Unreadable,
            distance: None,
            erased_count: MODULES as u32,
            contrast: 0.0,
            likeness: 0.0,
            bits: Bits { ink: 0, erased: (1 << MODULES) - 1 },
        };
        self.bits(pyramid, quad, blur).map_or(unreadable, |reading| judged(reading, words))
    }

    /// Everything but whose it is: `seal` is `None`, `Foreign` or `Unreadable`. `None` when
    /// there is nothing to read: too small, flat, or out of the picture.
    fn bits(&mut self, pyramid: &mut Pyramid<'_>, quad: &Quad, blur: f32) -> Option<SealReading> {
        if !(quad.is_plausible(8.0) && quad.side_px() <= SIDE_CEILING_PX) {
            return None;
        }
        let shortest = quad.sides().into_iter().fold(f32::INFINITY, f32::min);
        if !(shortest / TILE_UNITS * PITCH_UNITS >= PITCH_MIN_PX && blur.is_finite()) {
            return None;
        }
        let (mut wanted, mut side_px) = (0, quad.side_px());
        while side_px > SIDE_MAX_PX {
            side_px /= 2.0;
            wanted += 1;
        }
        let (frame, level) = pyramid.level(wanted);
        let shrink = 1.0 / (1_u32 << level) as f32;
        let tile = quad.map(|corner| corner.map(|value| value * shrink));
        let card = card_quad(&tile)?;
        if !card.is_plausible(8.0) {
            return None;
        }
        let map = Homography::from_unit_square(&tile)?;
        self.patch.cut(frame, card.bounds(), 0.0);
        self.gather(&map.inverse()?);
        let size = [frame.width_px() as f32, frame.height_px() as f32];
        let blur_px = blur.clamp(0.005, 0.2) * tile.side_px();

        let mut strips = [None; 4];
        let mut dots = [0.5_f32; MODULES];
        for pass in 0..PASSES {
            for (side, strip) in strips.iter_mut().enumerate() {
                let profiles = profiles(&map, side, blur_px);
                let pixels = self.strips.get_mut(side)?;
                *strip = explain(pixels, side, &profiles, *strip, &dots, pass);
            }
            dots = amplitudes(&strips);
        }
        Some(self.reading(&strips, &dots, &map, size, blur_px))
    }

    /// Lists the pixels of each strip.
    fn gather(&mut self, back: &Homography) {
        let m = back.0.map(|value| value as f32);
        self.strips.iter_mut().for_each(Vec::clear);
        let end = TILE_UNITS - DEPTH_UNITS.start;
        for (index, &luma) in self.patch.luma.iter().enumerate() {
            let x = self.patch.left as f32 + (index % self.patch.width) as f32 + 0.5;
            let y = self.patch.top as f32 + (index / self.patch.width) as f32 + 0.5;
            let w = m[6] * x + m[7] * y + m[8];
            let u = (m[0] * x + m[1] * y + m[2]) / w * TILE_UNITS;
            let v = (m[3] * x + m[4] * y + m[5]) / w * TILE_UNITS;
            let places = [
                (u, v),
                (v, TILE_UNITS - u),
                (TILE_UNITS - u, TILE_UNITS - v),
                (TILE_UNITS - v, u),
            ];
            for (strip, (along, depth)) in self.strips.iter_mut().zip(places) {
                // Beyond the corners only the corner dot's own place: the next strip has the rest.
                let beyond = !(-60.0..TILE_UNITS + 60.0).contains(&along);
                if DEPTH_UNITS.contains(&depth)
                    && (DEPTH_UNITS.start..end).contains(&along)
                    && !(beyond && depth > -60.0)
                {
                    strip.push(Pixel { along, depth, luma, weight: 1.0 });
                }
            }
        }
    }

    /// Turns amplitudes into bits, and says what they are worth.
    fn reading(
        &self,
        strips: &[Option<Explained>; 4],
        dots: &[f32; MODULES],
        map: &Homography,
        size: [f32; 2],
        blur_px: f32,
    ) -> SealReading {
        let (mut erased, mut outside_count) = (0_u64, 0);
        for (module, dot) in dots.iter().enumerate() {
            let place = super::module_units(module).map(|value| f64::from(value / TILE_UNITS));
            let [x, y] = map.map(place).map(|value| value as f32);
            let inside = x >= 0.5 && y >= 0.5 && x <= size[0] - 0.5 && y <= size[1] - 0.5;
            outside_count += u32::from(!inside);
            // Darker than ink or lighter than paper: something else lies there.
            if !(inside && (-0.6..=1.6).contains(dot)) {
                erased |= 1 << module;
            }
        }
        let contrasts = strips.iter().flatten().map(Explained::contrast);
        let contrast = contrasts.fold(f32::NAN, f32::min);
        let (mut around, mut left) = ([0.0_f32; MODULES], [0.0_f32; MODULES]);
        let (mut all_around, mut all_left) = (0.0, 0.0);
        for (side, strip) in strips.iter().enumerate() {
            let (Some(strip), Some(pixels)) = (strip, self.strips.get(side)) else { continue };
            let profiles = profiles(map, side, blur_px);
            for pixel in pixels.iter().filter(|pixel| pixel.depth < -66.0) {
                let shares = shares(pixel, side, &profiles, strip.shift, dots, None);
                let light = shares.explained(&strip.values, PAPER..SHIFT);
                let drawn = shares.explained(&strip.values, 0..PAPER);
                let ink = strip.ink_at(pixel.along).max(0.02);
                let off = ((pixel.luma - light - drawn) / ink).powi(2);
                all_around += (drawn / ink).powi(2).min(1.0) + off.min(1.0);
                all_left += off.min(1.0);
                let nearest = ((pixel.along - TRIM_UNITS.start) / PITCH_UNITS).round();
                if (0.0..=SIDE_MODULES as f32).contains(&nearest) {
                    let module = (side * SIDE_MODULES + nearest as usize) % MODULES;
                    around[module] += 1.0;
                    left[module] += off;
                }
            }
        }
        // Two heaps, ink and paper; their middles move with gamma and blur, so both are found.
        // As many modules are ink as are paper, so the halves are where to begin.
        let mut heap: Vec<f32> =
            (0..MODULES).filter(|at| erased >> at & 1 == 0).map(|at| dots[at]).collect();
        heap.sort_by(f32::total_cmp);
        let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len().max(1) as f32;
        let (paper, ink) = heap.split_at(heap.len() / 2);
        let (mut low, mut high) = (mean(paper), mean(ink));
        for _ in 0..4 {
            let middle = 0.5 * (low + high);
            let (paper, ink) = heap.split_at(heap.partition_point(|dot| *dot <= middle));
            if !paper.is_empty() && !ink.is_empty() {
                (low, high) = (mean(paper), mean(ink));
            }
        }
        let (middle, spread) = (0.5 * (low + high), high - low);
        let mut ink = 0_u64;
        for (module, dot) in dots.iter().enumerate() {
            let unclear = (dot - middle).abs() < UNCLEAR * spread;
            let odd = left[module] > ODD_MAX * ODD_MAX * around[module].max(1.0);
            if unclear || odd {
                erased |= 1 << module;
            }
            if *dot > middle {
                ink |= 1 << module;
            }
        }
        let likeness = (1.0 - all_left / f32::max(all_around, 1e-6)).clamp(0.0, 1.0);
        let bits = Bits { ink: ink & !erased, erased };
        let (ones, read) = (bits.ink.count_ones(), MODULES as u32 - bits.erased_count());
        let lopsided = ones + ONES_OFF_MAX < read / 2 || ones > read.div_ceil(2) + ONES_OFF_MAX;
        // No strip explained leaves no number, which is not enough either.
        let too_little = contrast.is_nan() || contrast < CONTRAST_MIN;
        let seal = if too_little || distance_max(outside_count).is_none() {
            Seal::Unreadable
        } else if likeness < LIKENESS_MIN || spread < SPREAD_MIN || lopsided {
            Seal::None
        } else if distance_max(bits.erased_count()).is_none() {
            Seal::Unreadable
        } else {
            Seal::Foreign
        };
        let erased_count = bits.erased_count();
        SealReading { seal, distance: None, erased_count, contrast, likeness, bits }
    }
}

/// Nearer to the middle between ink and paper than this share of their distance is unclear.
const UNCLEAR: f32 = 0.10;
/// Pixels around a dot may differ from what is drawn by this share of the ink, on average.
const ODD_MAX: f32 = 0.34;
/// Least explained share of what is seen along the dots.
const LIKENESS_MIN: f32 = 0.65;
/// Least distance of ink and paper dots; 1 is as between the ring and its paper.
const SPREAD_MIN: f32 = 0.35;

/// A seal has as many ink dots as others; with so many more or fewer it is none.
const ONES_OFF_MAX: u32 = 9;

/// Compares a reading that may be a seal with each valid word, once.
fn judged(mut reading: SealReading, words: &[SealWord]) -> SealReading {
    let words = words.get(..words.len().min(super::WORDS_MAX)).unwrap_or_default();
    reading.distance = words.iter().map(|word| reading.bits.distance(*word)).min();
    if reading.seal == Seal::Foreign && words.iter().any(|word| reading.bits.is(*word)) {
        reading.seal = Seal::Mine;
    }
    reading
}

/// How much each side's blur is in tile units, and with it all shapes.
fn profiles(map: &Homography, side: usize, blur_px: f32) -> Profiles {
    let middle = [[0.5, -0.1], [1.1, 0.5], [0.5, 1.1], [-0.1, 0.5]][side % 4];
    let step = 0.02;
    let px_per_unit = |axis: usize| {
        let (mut low, mut high) = (middle, middle);
        low[axis] -= step;
        high[axis] += step;
        let (a, b) = (map.map(low), map.map(high));
        ((b[0] - a[0]).hypot(b[1] - a[1]) / (2.0 * step) / f64::from(TILE_UNITS)) as f32
    };
    let scales = [px_per_unit(0), px_per_unit(1)];
    let [along, across] = if side.is_multiple_of(2) { scales } else { [scales[1], scales[0]] };
    let sigma = |scale: f32| (blur_px / scale.max(1e-4)).clamp(4.0, 110.0);
    let (along, across) = (sigma(along), sigma(across));
    Profiles {
        dot_along: Profile::bar(DOT_HALF, along),
        dot_across: Profile::bar(DOT_HALF, across),
        join_along: Profile::bar(0.5 * PITCH_UNITS - DOT_HALF, along),
        join_across: Profile::bar(DOT_RADIUS, across),
        ring: Profile::bar(RING_HALF, across),
        sigma: along,
        reach: (DOT_HALF + 3.0 * along) / PITCH_UNITS + 0.5,
    }
}

/// Module shown as dot `at` of a strip: 0 is round the corner before it, 14 round the one after.
const fn module_of(side: usize, at: usize) -> usize {
    (side * SIDE_MODULES + at + MODULES - 1) % MODULES
}

/// Where dot `at` of a strip lies: along and across.
fn dot_place(at: usize) -> [f32; 2] {
    let round_corner = TRIM_UNITS.start + PITCH_UNITS;
    match at {
        0 => [TRIM_UNITS.start, round_corner],
        at if at == DOTS - 1 => [TRIM_UNITS.end, round_corner],
        at => [TRIM_UNITS.start + (at - 1) as f32 * PITCH_UNITS, TRIM_UNITS.start],
    }
}

/// Shares of a pixel that unknowns have; those it has none of are left out.
#[derive(Debug)]
struct Shares {
    list: [(usize, f32); UNKNOWNS],
    count: usize,
}

impl Shares {
    fn push(&mut self, unknown: usize, share: f32) {
        if share.abs() > 1e-5
            && let Some(place) = self.list.get_mut(self.count)
        {
            *place = (unknown, share);
            self.count += 1;
        }
    }

    fn each(&self) -> &[(usize, f32)] {
        self.list.get(..self.count).unwrap_or_default()
    }

    /// What the unknowns of `range` add to the pixel's brightness.
    fn explained(&self, values: &[f64; UNKNOWNS], range: std::ops::Range<usize>) -> f32 {
        let shares = self.each().iter().filter(|(at, _)| range.contains(at));
        shares.map(|(at, share)| f64::from(*share) * values[*at]).sum::<f64>() as f32
    }
}

/// What each unknown has to do with a pixel; with `moving`, also the shifts, whose effect is
/// known once there are amplitudes.
fn shares(
    pixel: &Pixel,
    side: usize,
    profiles: &Profiles,
    shift: [f32; 2],
    dots: &[f32; MODULES],
    moving: Option<&Explained>,
) -> Shares {
    let mut shares = Shares { list: [(0, 0.0); UNKNOWNS], count: 0 };
    let (along, depth) = (pixel.along - shift[0], pixel.depth - shift[1]);
    let is_on = |at: usize| (1..DOTS - 1).contains(&at) && dots[module_of(side, at)] > 0.5;
    let near = (along - TRIM_UNITS.start) / PITCH_UNITS + 1.0;
    let first = (near - profiles.reach).ceil().max(0.0) as usize;
    let last = (near + profiles.reach).floor().clamp(0.0, (DOTS - 1) as f32) as usize;
    let mut slopes = [0.0_f32; 2];
    let mut dot = |at: usize| {
        let [x, y] = dot_place(at);
        let (dx, dy) = (along - x, depth - y);
        let (beside, above) = (profiles.dot_along.at(dx), profiles.dot_across.at(dy));
        let mut share = beside * above;
        // Between two dots that are both ink there is ink, half of it counted with each.
        if is_on(at) {
            for (next, half) in [(at.wrapping_sub(1), -0.5), (at + 1, 0.5)] {
                if is_on(next) {
                    share += 0.5
                        * profiles.join_along.at(dx - half * PITCH_UNITS)
                        * profiles.join_across.at(dy);
                }
            }
        }
        shares.push(at, share);
        if let Some(known) = moving {
            let amplitude = known.values[at] as f32;
            slopes[0] -= amplitude * profiles.dot_along.slope(dx) * above;
            slopes[1] -= amplitude * beside * profiles.dot_across.slope(dy);
        }
    };
    // The dots round the corners do not lie in the row of the others.
    if near < 2.0 + profiles.reach {
        dot(0);
    }
    (first.max(1)..=last.min(DOTS - 2)).for_each(&mut dot);
    if near > (DOTS - 3) as f32 - profiles.reach {
        dot(DOTS - 1);
    }
    let ring = ring_share(pixel, side, profiles);
    let place = place_along(pixel.along);
    let (low, high) = ((1.0 - 2.0 * place).max(0.0), (2.0 * place - 1.0).max(0.0));
    for (unknown, share) in [
        (RING, ring * (1.0 - place)),
        (RING + 1, ring * place),
        (PAPER, low),
        (PAPER + 1, 1.0 - low - high),
        (PAPER + 2, high),
        (ACROSS, pixel.depth / 200.0),
        (SHIFT, slopes[0]),
        (SHIFT + 1, slopes[1]),
    ] {
        shares.push(unknown, share);
    }
    shares
}

/// 0 at the strip's first corner dot, 1 at its last.
fn place_along(along: f32) -> f32 {
    ((along - TRIM_UNITS.start) / (TRIM_UNITS.end - TRIM_UNITS.start)).clamp(0.0, 1.0)
}

/// How much of a pixel is covered by the icon's ring.
fn ring_share(pixel: &Pixel, side: usize, profiles: &Profiles) -> f32 {
    let bend = RING_UNITS + RING_CORNER;
    let aside = (bend - pixel.along).max(pixel.along - (TILE_UNITS - bend)).max(0.0);
    let off = RING_CORNER - aside.hypot(bend - pixel.depth);
    let share = profiles.ring.at(off);
    let end = profiles.sigma.max(20.0);
    match side {
        1 => share * normal_share((RING_END - pixel.along) / end),
        2 => share * normal_share((pixel.along - (TILE_UNITS - RING_END)) / end),
        _ => share,
    }
}

impl Explained {
    /// Brightness of paper less that of ink, at a place along the strip.
    fn ink_at(&self, along: f32) -> f32 {
        let place = place_along(along);
        let [a, b] = [self.values[RING], self.values[RING + 1]].map(|value| -value as f32);
        a + (b - a) * place
    }

    fn contrast(&self) -> f32 {
        self.ink_at(0.5 * TILE_UNITS)
    }
}

/// Explains one strip once more; `None` when it has too few pixels.
fn explain(
    pixels: &mut [Pixel],
    side: usize,
    profiles: &Profiles,
    known: Option<Explained>,
    dots: &[f32; MODULES],
    pass: usize,
) -> Option<Explained> {
    const SHIFT_MAX: f32 = 30.0;
    if pixels.len() < 3 * UNKNOWNS {
        return None;
    }
    let shift = known.map_or([0.0; 2], |known| known.shift);
    let ink = known.map_or(0.5, |known| known.contrast().max(0.05));
    let mut normal = [[0.0_f64; UNKNOWNS]; UNKNOWNS];
    let mut right = [0.0_f64; UNKNOWNS];
    for pixel in pixels.iter_mut() {
        let shares = shares(pixel, side, profiles, shift, dots, known.as_ref());
        if let Some(known) = &known {
            // Cauchy's weight: what nothing explains does not bend the rest.
            let off = (pixel.luma - shares.explained(&known.values, 0..SHIFT)) / (0.3 * ink);
            pixel.weight = 1.0 / (1.0 + off * off);
        }
        for (count, &(i, share)) in shares.each().iter().enumerate() {
            let weighted = f64::from(share * pixel.weight);
            right[i] += weighted * f64::from(pixel.luma);
            // Unknowns come in rising order, so this is the lower half.
            for &(j, other) in shares.each().iter().take(count + 1) {
                normal[i][j] += weighted * f64::from(other);
            }
        }
    }
    let count = pixels.len() as f64;
    for (i, line) in normal.iter_mut().enumerate() {
        // Just enough that a strip which shows nothing of an unknown still has an answer.
        line[i] += match i {
            0..DOTS => 2e-5 * count,
            SHIFT.. => 1e-7 * count,
            _ => 1e-6 * count,
        };
    }
    let values = solve(&mut normal, &mut right)?;
    let mut shift = shift;
    if pass > 0 {
        for (axis, value) in shift.iter_mut().enumerate() {
            let step = (values[SHIFT + axis] as f32).clamp(-12.0, 12.0);
            *value = (*value + step).clamp(-SHIFT_MAX, SHIFT_MAX);
        }
    }
    let mut values = values;
    values[SHIFT] = 0.0;
    values[SHIFT + 1] = 0.0;
    Some(Explained { values, shift })
}

/// How much ink each module shows: 0 paper, 1 as the ring near it. A corner has two strips.
fn amplitudes(strips: &[Option<Explained>; 4]) -> [f32; MODULES] {
    let (mut sums, mut counts) = ([0.0_f32; MODULES], [0.0_f32; MODULES]);
    for (side, strip) in strips.iter().enumerate() {
        let Some(strip) = strip else { continue };
        for at in 1..DOTS - 1 {
            let module = module_of(side, at);
            let ink = strip.ink_at(dot_place(at)[0]).max(0.02);
            sums[module] += -strip.values[at] as f32 / ink;
            counts[module] += 1.0;
        }
    }
    // What no strip shows is no number, and so is erased.
    std::array::from_fn(|module| sums[module] / counts[module])
}
