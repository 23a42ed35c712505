//! Makes photos with a known icon in them: seeded, so the same seed gives the same photo.
//!
//! In:  a background, a drawn icon, a [`Scene`] that bounds what may happen.
//! Out: the photo after JPEG, and where the icon really is.
//!
//! The icon is a printed card held into the scene (perspective, paper, the light of the
//! place, a soft edge) or a sticker stamped by an editor (sharp, flat light). It is laid on in linear
//! light, blurred as a layer, given sensor noise, and the whole picture goes through JPEG.
//!
//! Knows nothing of detection.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    clippy::needless_range_loop,
    clippy::expect_used,
    reason = "test data: values are clamped before they are cast, and what fails fails the test"
)]

use std::path::{Path, PathBuf};

use signet::detection::draw::Brush;
use signet::detection::quads::Quad;
use signet::detection::warp::Homography;
use signet::media::{DecodeSpec, Frame, decode};
use signet::preview::{Renderer, encode};

/// Random numbers from a seed (SplitMix64, Steele, Lea and Flood 2014).
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// `0.0..1.0`
    pub(crate) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u64 << 24) as f32
    }

    pub(crate) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    pub(crate) fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    /// Mean 0, deviation 1 (twelve uniform numbers; tails end at 6).
    pub(crate) fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.unit()).sum::<f32>() - 6.0
    }
}

/// What may happen to an icon. Ranges are low and high.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene {
    /// Side of the tile if it faced the camera, in px of the photo.
    pub(crate) side_px: f32,
    /// Tilt out of the picture plane; it may be turned by any angle.
    pub(crate) tilt_degrees_max: f32,
    /// Deviation of the blur.
    pub(crate) blur_px: [f32; 2],
    /// Deviation of the noise at the 8-bit scale, at most.
    pub(crate) noise_max: f32,
    /// Light on the card against the light of the place.
    pub(crate) gain: [f32; 2],
    /// JPEG quality.
    pub(crate) quality: [f32; 2],
}

/// Tilt to 35°, JPEG 75: what the first version has to read.
pub(crate) fn easy(side_px: f32) -> Scene {
    Scene {
        side_px,
        tilt_degrees_max: 35.0,
        blur_px: [0.2, 0.7],
        noise_max: 3.0,
        gain: [0.7, 1.15],
        quality: [75.0, 75.0],
    }
}

/// The HARD rows of reference/detection.md §3.4.
pub(crate) fn hard(side_px: f32) -> Scene {
    Scene {
        side_px,
        tilt_degrees_max: 60.0,
        blur_px: [0.3, 1.4],
        noise_max: 8.0,
        gain: [0.4, 1.2],
        quality: [40.0, 95.0],
    }
}

/// A photo with one icon in it.
#[derive(Debug)]
pub(crate) struct Composite {
    pub(crate) jpeg: Vec<u8>,
    pub(crate) frame: Frame,
    pub(crate) quad: Quad,
}

/// Lays one icon on a background.
pub(crate) fn compose(
    background: &Frame,
    brush: &Brush,
    scene: Scene,
    dice: &mut Dice,
) -> Composite {
    let (width, height) = (background.width_px() as f32, background.height_px() as f32);
    let quad = place(width, height, scene, dice);
    let is_stamp = dice.unit() < 0.35;
    let mut frame = background.clone();
    let paper_margin = if is_stamp { 0.0 } else { dice.between(0.0, 0.3) };
    let blur_px = if is_stamp { 0.0 } else { dice.between(scene.blur_px[0], scene.blur_px[1]) };
    let light =
        if is_stamp { Light::flat(dice) } else { Light::of_place(background, &quad, scene, dice) };
    lay(&mut frame, brush, &quad, Layer { paper_margin, blur_px, light });
    let noise = dice.unit() * scene.noise_max;
    if noise > 0.05 {
        let bounds = grown(quad.bounds(), 12.0, width, height);
        let row_len = 3 * frame.width_px() as usize;
        for row in bounds[1]..bounds[3] {
            for value in
                &mut frame.rgb_mut()[row * row_len + 3 * bounds[0]..row * row_len + 3 * bounds[2]]
            {
                *value =
                    (f32::from(*value) + dice.normal() * noise).round().clamp(0.0, 255.0) as u8;
            }
        }
    }
    let quality = dice.between(scene.quality[0], scene.quality[1]).round() as u8;
    let jpeg = encode::jpeg(&frame, quality, b"").expect("a JPEG");
    let frame = decode(&jpeg, DecodeSpec::default()).expect("its frame").frame;
    Composite { jpeg, frame, quad }
}

/// A quad wholly inside the picture: any turn, tilted about any axis, seen by a camera
/// whose long side spans 60°.
fn place(width: f32, height: f32, scene: Scene, dice: &mut Dice) -> Quad {
    let turn = dice.between(0.0, std::f32::consts::TAU);
    let axis = dice.between(0.0, std::f32::consts::TAU);
    let tilt = dice.between(0.0, scene.tilt_degrees_max).to_radians();
    let distance = 0.866 * width.max(height);
    let half = scene.side_px / 2.0;
    let corners = [[-half, -half], [half, -half], [half, half], [-half, half]].map(|[x, y]| {
        let (x, y) = (x * turn.cos() - y * turn.sin(), x * turn.sin() + y * turn.cos());
        // Along the axis nothing moves, across it the card leans away.
        let along = x * axis.cos() + y * axis.sin();
        let across = -x * axis.sin() + y * axis.cos();
        let near = distance / (distance + across * tilt.sin());
        let across = across * tilt.cos();
        [
            near * (along * axis.cos() - across * axis.sin()),
            near * (along * axis.sin() + across * axis.cos()),
        ]
    });
    let quad = Quad(corners);
    let [left, top, right, bottom] = quad.bounds();
    let edge = 4.0;
    let x = dice.between(edge - left, (width - edge - right).max(edge - left));
    let y = dice.between(edge - top, (height - edge - bottom).max(edge - top));
    quad.map(|corner| [corner[0] + x, corner[1] + y])
}

/// Light on a card: colour at its middle and slope across it, linear.
#[derive(Debug, Clone, Copy)]
struct Light {
    colour: [f32; 3],
    slope: [f32; 2],
}

impl Light {
    fn flat(dice: &mut Dice) -> Self {
        Self { colour: [dice.between(0.92, 1.0); 3], slope: [0.0; 2] }
    }

    /// As bright as the place, within what paper can be, and a little of its colour.
    fn of_place(background: &Frame, quad: &Quad, scene: Scene, dice: &mut Dice) -> Self {
        let (width, height) = (background.width_px() as f32, background.height_px() as f32);
        let bounds = grown(quad.bounds(), quad.side_px(), width, height);
        let (mut sum, mut count) = ([0.0_f32; 3], 0.0_f32);
        for row in (bounds[1]..bounds[3]).step_by(3) {
            for column in (bounds[0]..bounds[2]).step_by(3) {
                let at = 3 * (row * background.width_px() as usize + column);
                for channel in 0..3 {
                    sum[channel] += linear(f32::from(background.rgb()[at + channel]) / 255.0);
                }
                count += 1.0;
            }
        }
        let mean = sum.map(|value| value / count.max(1.0));
        let grey = (mean.iter().sum::<f32>() / 3.0).max(0.01);
        let level = (0.35 + 1.3 * grey).min(1.0) * dice.between(scene.gain[0], scene.gain[1]);
        let colour = mean.map(|value| level * (0.8 + 0.2 * (value / grey).clamp(0.5, 1.5)));
        let swing = if dice.unit() < 0.5 { 0.0 } else { 0.35 };
        Self { colour, slope: [dice.between(-swing, swing), dice.between(-swing, swing)] }
    }
}

#[derive(Debug, Clone, Copy)]
struct Layer {
    paper_margin: f32,
    blur_px: f32,
    light: Light,
}

/// Draws card and icon as one layer, blurs it, lays it on.
fn lay(frame: &mut Frame, brush: &Brush, quad: &Quad, layer: Layer) {
    const TAPS: usize = 3;
    let (width, height) = (frame.width_px() as f32, frame.height_px() as f32);
    let reach = 3.0 * layer.blur_px + 2.0 + layer.paper_margin * quad.side_px();
    let [left, top, right, bottom] = grown(quad.bounds(), reach, width, height);
    let (columns, rows) = (right - left, bottom - top);
    let back = Homography::from_unit_square(quad)
        .and_then(|map| map.inverse())
        .expect("a quad that is not flat");
    let texel = 1.0 / (quad.side_px() * TAPS as f32);
    let mut pixels = vec![[0.0_f32; 4]; columns * rows];
    for (index, pixel) in pixels.iter_mut().enumerate() {
        for tap in 0..TAPS * TAPS {
            let offset = |i: usize| (i as f64 + 0.5) / TAPS as f64;
            let x = (left + index % columns) as f64 + offset(tap % TAPS);
            let y = (top + index / columns) as f64 + offset(tap / TAPS);
            let [u, v] = back.map([x, y]).map(|value| value as f32);
            let [r, g, b, mut alpha] = brush.sample(u, v, texel);
            // Paper around and behind the tile, slightly off white.
            let on_paper = [u, v]
                .iter()
                .all(|at| (-layer.paper_margin..=1.0 + layer.paper_margin).contains(at));
            let paper =
                if on_paper && layer.paper_margin > 0.02 { 0.97 * (1.0 - alpha) } else { 0.0 };
            if paper > 0.0 {
                alpha = 1.0;
            }
            let shade = 1.0 + layer.light.slope[0] * (u - 0.5) + layer.light.slope[1] * (v - 0.5);
            for (channel, ink) in [r, g, b].into_iter().enumerate() {
                let reflected =
                    if alpha > 0.0 { linear(((ink + paper) / alpha).min(1.0)) } else { 0.0 };
                pixel[channel] +=
                    alpha * reflected * layer.light.colour[channel] * shade / (TAPS * TAPS) as f32;
            }
            pixel[3] += alpha / (TAPS * TAPS) as f32;
        }
    }
    if layer.blur_px > 0.05 {
        pixels =
            blurred(&blurred(&pixels, columns, 1, layer.blur_px), columns, columns, layer.blur_px);
    }
    let row_len = frame.width_px() as usize;
    let rgb = frame.rgb_mut();
    for (index, pixel) in pixels.iter().enumerate() {
        let at = 3 * ((top + index / columns) * row_len + left + index % columns);
        for channel in 0..3 {
            let under = linear(f32::from(rgb[at + channel]) / 255.0);
            let over = under * (1.0 - pixel[3]) + pixel[channel];
            rgb[at + channel] = (coded(over.clamp(0.0, 1.0)) * 255.0).round() as u8;
        }
    }
}

/// One pass of a Gaussian along rows (`step` 1) or columns (`step` = row length).
fn blurred(pixels: &[[f32; 4]], columns: usize, step: usize, sigma: f32) -> Vec<[f32; 4]> {
    let reach = (3.0 * sigma).ceil() as isize;
    let kernel: Vec<f32> =
        (-reach..=reach).map(|i| (-(i as f32).powi(2) / (2.0 * sigma * sigma)).exp()).collect();
    let sum: f32 = kernel.iter().sum();
    let rows = pixels.len() / columns;
    (0..pixels.len())
        .map(|index| {
            let (place, last) = if step == 1 {
                (index % columns, columns - 1)
            } else {
                (index / columns, rows - 1)
            };
            let mut total = [0.0; 4];
            for (tap, weight) in kernel.iter().enumerate() {
                let at = (place as isize + tap as isize - reach).clamp(0, last as isize) as usize;
                let from = index + at * step - place * step;
                (0..4).for_each(|channel| total[channel] += weight / sum * pixels[from][channel]);
            }
            total
        })
        .collect()
}

fn linear(value: f32) -> f32 {
    if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
}

fn coded(value: f32) -> f32 {
    if value <= 0.003_130_8 { value * 12.92 } else { 1.055 * value.powf(1.0 / 2.4) - 0.055 }
}

/// Pixel bounds (left, top, right, bottom) grown by a margin and cut to the frame.
fn grown(bounds: [f32; 4], by: f32, width: f32, height: f32) -> [usize; 4] {
    [
        (bounds[0] - by).floor().clamp(0.0, width) as usize,
        (bounds[1] - by).floor().clamp(0.0, height) as usize,
        (bounds[2] + by).ceil().clamp(0.0, width) as usize,
        (bounds[3] + by).ceil().clamp(0.0, height) as usize,
    ]
}

/// A background of 1024 px for when there are no photos: sky, ground, boxes, stripes, leaves.
pub(crate) fn invented(dice: &mut Dice) -> Frame {
    let (width, height) = (1024_u32, 768_u32);
    let mut rgb = Vec::with_capacity((width * height * 3) as usize);
    let colour = |dice: &mut Dice| {
        [dice.between(20.0, 235.0), dice.between(20.0, 235.0), dice.between(20.0, 235.0)]
    };
    let (sky, ground, horizon) = (colour(dice), colour(dice), dice.between(0.3, 0.7));
    let waves: Vec<[f32; 4]> = (0..6)
        .map(|_| {
            [
                dice.between(0.005, 0.2),
                dice.between(0.005, 0.2),
                dice.between(0.0, 6.3),
                dice.between(4.0, 22.0),
            ]
        })
        .collect();
    for y in 0..height {
        for x in 0..width {
            let base = if (y as f32) < horizon * height as f32 { sky } else { ground };
            let texture: f32 = waves
                .iter()
                .map(|[fx, fy, phase, depth]| depth * (fx * x as f32 + fy * y as f32 + phase).sin())
                .sum();
            let grain = dice.between(-6.0, 6.0);
            rgb.extend(base.map(|value| (value + texture + grain).clamp(0.0, 255.0) as u8));
        }
    }
    let mut frame = Frame::new(width, height, rgb).expect("a frame");
    for _ in 0..40 {
        let (ink, left, top) = (colour(dice), dice.below(1000), dice.below(740));
        let (right, bottom) =
            ((left + 5 + dice.below(200)).min(1024), (top + 5 + dice.below(150)).min(768));
        let is_round = dice.unit() < 0.4;
        for row in top..bottom {
            for column in left..right {
                let (x, y) = (
                    (column - left) as f32 / (right - left) as f32,
                    (row - top) as f32 / (bottom - top) as f32,
                );
                if is_round && (2.0 * x - 1.0).hypot(2.0 * y - 1.0) > 1.0 {
                    continue;
                }
                let at = 3 * (row * 1024 + column);
                for channel in 0..3 {
                    frame.rgb_mut()[at + channel] = (ink[channel] * (0.8 + 0.2 * x)) as u8;
                }
            }
        }
    }
    frame
}

/// The photo set beside the project, when there is one.
pub(crate) fn photos() -> Option<Vec<PathBuf>> {
    let shared = signet::base::config::environment("SIGNET_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let mut paths = Vec::new();
    for folder in ["everyday", "grocery", "nature", "rooms"] {
        for entry in std::fs::read_dir(shared.join("photos").join(folder)).ok()? {
            paths.push(entry.ok()?.path());
        }
    }
    paths.sort();
    (!paths.is_empty()).then_some(paths)
}

/// Whether a photo was kept out of training: SHA-1 of its file name is divisible by 5.
pub(crate) fn is_held_out(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // 256 leaves 1 when divided by 5, so the digest leaves what its bytes add up to.
    sha1(name.as_bytes()).iter().map(|&byte| u32::from(byte)).sum::<u32>().is_multiple_of(5)
}

/// A photo as the detector sees it: upright, 1024 px. `enlarge` resizes small ones, too.
pub(crate) fn open(path: &Path, enlarge: bool) -> Option<Frame> {
    let decoded = decode(&std::fs::read(path).ok()?, DecodeSpec::default()).ok()?;
    let frame = Renderer::default().upright(&decoded, 1024).ok()?;
    Some(if enlarge && frame.long_side_px() < 1024 { enlarged(&frame, 1024) } else { frame })
}

/// Bilinear enlargement to a long side.
pub(crate) fn enlarged(frame: &Frame, long_side_px: u32) -> Frame {
    let scale = long_side_px as f32 / frame.long_side_px() as f32;
    let side = |px: u32| ((px as f32 * scale).round() as u32).max(1);
    let (width, height) = (side(frame.width_px()), side(frame.height_px()));
    let mut rgb = Vec::with_capacity((width * height * 3) as usize);
    for y in 0..height {
        for x in 0..width {
            let pixel = signet::detection::warp::bilinear(
                frame,
                (x as f32 + 0.5) / scale,
                (y as f32 + 0.5) / scale,
            );
            rgb.extend(pixel.map(|value| (value + 0.5) as u8));
        }
    }
    Frame::new(width, height, rgb).expect("a frame")
}

/// SHA-1 (FIPS 180-4), only to split photos as the training code does.
fn sha1(message: &[u8]) -> [u8; 20] {
    let mut state: [u32; 5] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];
    let mut padded = message.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    padded.extend((message.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks_exact(64) {
        let mut words = [0_u32; 80];
        for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
            *word = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        for i in 16..80 {
            words[i] = (words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16]).rotate_left(1);
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (i, word) in words.iter().enumerate() {
            let (f, k) = match i / 20 {
                0 => ((b & c) | (!b & d), 0x5A82_7999),
                1 => (b ^ c ^ d, 0x6ED9_EBA1),
                2 => ((b & c) | (b & d) | (c & d), 0x8F1B_BCDC),
                _ => (b ^ c ^ d, 0xCA62_C1D6_u32),
            };
            let next = a
                .rotate_left(5)
                .wrapping_add(f)
                .wrapping_add(e)
                .wrapping_add(k)
                .wrapping_add(*word);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
        }
        for (total, value) in state.iter_mut().zip([a, b, c, d, e]) {
            *total = total.wrapping_add(value);
        }
    }
    let mut digest = [0; 20];
    for (bytes, word) in digest.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    digest
}

#[test]
fn sha1_of_abc_is_the_standards_example() {
    let hex: String = sha1(b"abc").iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
}

#[test]
fn same_seed_gives_the_same_photo() {
    let set = signet::detection::IconSet::house().expect("the built-in icons");
    let brush = Brush::new(&set.icons()[0].picture(512).expect("a picture"));
    let make = |seed| {
        let mut dice = Dice::new(seed);
        let background = invented(&mut dice);
        compose(&background, &brush, easy(64.0), &mut dice)
    };
    let (a, b) = (make(7), make(7));
    assert_eq!(a.jpeg, b.jpeg);
    assert_eq!(a.quad, b.quad);
    assert_ne!(a.jpeg, make(8).jpeg);
}
