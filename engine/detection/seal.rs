//! The seal: 48 dots around an icon that only their owner's computer can tell from others.
//!
//! ```text
//!   ● ● ●   ●        dots on a square around the tile, clockwise from its top left corner:
//!   ●  ┌─────┐  ●    ink is 1, paper is 0, neighbouring 1s are joined
//!      │icon │
//!   ●  └───  ┘  ●    24 of the 48 are ink, so paper and ink are both seen in every seal
//! ```
//!
//! In:  a secret of the owner's, and a generation. Out: the word, what to print, how near
//!      two words may be and still be taken for the same.
//!
//! A reading is made from the picture alone ([`reader`]) and only then compared, once with
//! each word that is valid. Whatever the picture shows, be it a stranger's seal, text or
//! nothing, the owner's word is one of C(48, 24) that it knows nothing of. So the chance to
//! be taken for the owner's is a count of words, and `docs/seal.md` has the arithmetic.
//!
//! Knows nothing of keys and files.

use super::icon_set::{Icon, IconSetError, Picture, Shape, Step, TILE_UNITS, render_text};
use super::quads::Quad;
use super::warp::Homography;

pub mod reader;

/// Dots of a seal.
pub const MODULES: usize = 48;
/// Of them, how many are ink.
pub const ONES: u32 = 24;
/// Words that may be valid at once; each is one more comparison.
pub const WORDS_MAX: usize = 3;
/// Largest chance that one reading of a seal that is not the owner's is taken for the owner's.
pub const CHANCE_MAX: f64 = 1e-6;
/// The square that the dots lie on, in tile units.
pub const TRIM_UNITS: std::ops::Range<f32> = -116.0..1140.0;
/// The white card with everything on it, in tile units.
pub const CARD_UNITS: std::ops::Range<f32> = -216.0..1240.0;
/// Distance of neighbouring dots, in tile units.
pub const PITCH_UNITS: f32 = (TRIM_UNITS.end - TRIM_UNITS.start) / SIDE_MODULES as f32;
/// Side of the white card as a multiple of the tile's.
pub const CARD_SCALE: f32 = (CARD_UNITS.end - CARD_UNITS.start) / TILE_UNITS;

/// Dots along one side, the corner at its end left to the next side.
const SIDE_MODULES: usize = MODULES / 4;
/// Radius of a dot.
const DOT_RADIUS: f32 = 38.0;
/// Radius of the card's corners.
const CARD_RADIUS: f32 = 128.0;
const INK: [u8; 3] = [0x14, 0x21, 0x3d];
const PAPER: [u8; 3] = [255, 255, 255];
/// C(48, 24).
const WORDS_COUNT: u128 = 32_247_603_683_100;

/// A balanced word of 48 dots: bit `i` is module `i`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SealWord(u64);

impl SealWord {
    /// The word of an owner.
    ///
    /// - `secret`: derived from the owner's key for seals alone
    /// - `generation`: from 1; another one gives an unrelated word
    ///
    /// 128 bits of HKDF-SHA256 choose one of the C(48, 24) balanced words by their number in
    /// lexicographic order. All are equally likely to within one part in 2^83.
    pub fn derive(secret: &[u8; 32], generation: u32) -> Self {
        let info = [b"word".as_slice(), &generation.to_be_bytes()].concat();
        let mut bytes = [0; 16];
        hmac_sha256::HKDF::expand(&mut bytes, secret, info);
        Self::numbered(u128::from_be_bytes(bytes) % WORDS_COUNT)
    }

    /// The balanced word with this number, `0..C(48, 24)`.
    fn numbered(number: u128) -> Self {
        let (mut word, mut ones, mut rest) = (0_u64, u128::from(ONES), number);
        for module in 0..MODULES {
            // Words that have a 0 here come first.
            let zeros_first = choose((MODULES - 1 - module) as u128, ones);
            if rest >= zeros_first {
                rest -= zeros_first;
                ones -= 1;
                word |= 1 << module;
            }
        }
        Self(word)
    }

    /// Whether a module is ink.
    pub const fn is_ink(self, module: usize) -> bool {
        self.0 >> (module % MODULES) & 1 == 1
    }

    /// The bits, module 0 lowest.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

/// Who can print a word can forge it, so it does not go into logs.
impl std::fmt::Debug for SealWord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealWord(…)")
    }
}

/// Binomial coefficient; exact for all that are needed here (`n` up to 48).
pub(super) fn choose(n: u128, k: u128) -> u128 {
    if k > n { 0 } else { (0..k).fold(1, |value, i| value * (n - i) / (i + 1)) }
}

/// In how many modules a reading may differ from a word and still be taken for it, when so
/// many of the 48 could not be read; `None` when too few are left.
///
/// Each is the largest number at which the chance for one comparison is at most
/// [`CHANCE_MAX`] / [`WORDS_MAX`]; a test counts the words.
pub const fn distance_max(erased_count: u32) -> Option<u32> {
    match erased_count {
        0..=2 => Some(6),
        3..=6 => Some(5),
        7..=9 => Some(4),
        10..=13 => Some(3),
        14..=17 => Some(2),
        18..=20 => Some(1),
        21..=24 => Some(0),
        _ => None,
    }
}

/// Middle of a module, in tile units.
pub fn module_units(module: usize) -> [f32; 2] {
    let along = (module % SIDE_MODULES) as f32 * PITCH_UNITS;
    let (low, high) = (TRIM_UNITS.start, TRIM_UNITS.end);
    match module / SIDE_MODULES % 4 {
        0 => [low + along, low],
        1 => [high, low + along],
        2 => [high - along, high],
        _ => [low, high - along],
    }
}

/// What is printed around (and behind) a tile: the white card, and the dots on it.
pub fn shapes(word: SealWord) -> Vec<Shape> {
    let (low, high) = (CARD_UNITS.start, CARD_UNITS.end);
    let mut card = Vec::new();
    rounded(&mut card, [low, low], [high, high], CARD_RADIUS);
    let mut dots = Vec::new();
    for module in (0..MODULES).filter(|&module| word.is_ink(module)) {
        let [x, y] = module_units(module);
        let r = DOT_RADIUS;
        rounded(&mut dots, [x - r, y - r], [x + r, y + r], r);
        let next = (module + 1) % MODULES;
        if word.is_ink(next) {
            // All parts run the same way round, so what overlaps adds up.
            let [x1, y1] = module_units(next);
            let (wide, high) = if (x - x1).abs() > (y - y1).abs() { (0.0, r) } else { (r, 0.0) };
            let from = [x.min(x1) - wide, y.min(y1) - high];
            rounded(&mut dots, from, [x.max(x1) + wide, y.max(y1) + high], 0.0);
        }
    }
    vec![
        Shape { rgb: PAPER, even_odd: false, steps: card },
        Shape { rgb: INK, even_odd: false, steps: dots },
    ]
}

/// Adds a rectangle with round corners, clockwise.
fn rounded(steps: &mut Vec<Step>, [x0, y0]: [f32; 2], [x1, y1]: [f32; 2], r: f32) {
    // Handle length at which a cubic curve is nearest to a quarter of a circle.
    let h = r * (1.0 - 0.552_284_8);
    steps.push(Step::Move([x0 + r, y0]));
    steps.push(Step::Line([x1 - r, y0]));
    let corners = [
        ([x1 - h, y0], [x1, y0 + h], [x1, y0 + r], [x1, y1 - r]),
        ([x1, y1 - h], [x1 - h, y1], [x1 - r, y1], [x0 + r, y1]),
        ([x0 + h, y1], [x0, y1 - h], [x0, y1 - r], [x0, y0 + r]),
        ([x0, y0 + h], [x0 + h, y0], [x0 + r, y0], [x0 + r, y0]),
    ];
    for (first, second, end, next) in corners {
        if r > 0.0 {
            steps.push(Step::Curve(first, second, end));
        }
        steps.push(Step::Line(next));
    }
    steps.push(Step::Close);
}

/// Shapes of a sealed icon: card, dots, tile, sign.
pub fn sealed_shapes(tile: Vec<Shape>, word: SealWord) -> Vec<Shape> {
    let mut all = shapes(word);
    all.extend(tile);
    all
}

/// A sealed icon as an SVG text that shows the whole card.
pub fn sealed_svg(title: &str, tile: Vec<Shape>, word: SealWord) -> String {
    use std::fmt::Write;
    let (low, side) = (CARD_UNITS.start, CARD_UNITS.end - CARD_UNITS.start);
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="{low} {low} {side} {side}" width="{side}" height="{side}">"#
    );
    let title = title.replace('&', "&amp;").replace('<', "&lt;");
    // Writing to a text cannot fail.
    let _ = write!(svg, "<title>{title}</title>");
    for shape in sealed_shapes(tile, word) {
        let [r, g, b] = shape.rgb;
        let rule = if shape.even_odd { r#" fill-rule="evenodd""# } else { "" };
        let _ = write!(svg, "<path fill=\"#{r:02x}{g:02x}{b:02x}\"{rule} d=\"");
        for step in &shape.steps {
            let _ = match step {
                Step::Move([x, y]) => write!(svg, "M{x:.1} {y:.1}"),
                Step::Line([x, y]) => write!(svg, "L{x:.1} {y:.1}"),
                Step::Curve([a, b], [c, d], [x, y]) => {
                    write!(svg, "C{a:.1} {b:.1} {c:.1} {d:.1} {x:.1} {y:.1}")
                }
                Step::Close => write!(svg, "Z"),
            };
        }
        svg.push_str("\"/>");
    }
    svg.push_str("</svg>\n");
    svg
}

/// A sealed icon rendered: the whole card, transparent outside.
///
/// # Errors
/// When the icon holds anything but plainly coloured paths, or the picture is too large.
pub fn sealed_picture(icon: &Icon, word: SealWord, side_px: u32) -> Result<Picture, IconSetError> {
    render_text(&sealed_svg(icon.meaning(), icon.shapes()?, word), side_px)
}

/// Corners of the white card around a tile; `None` when the quad is flat.
pub fn card_quad(tile: &Quad) -> Option<Quad> {
    let map = Homography::from_unit_square(tile)?;
    let (low, high) =
        (f64::from(CARD_UNITS.start / TILE_UNITS), f64::from(CARD_UNITS.end / TILE_UNITS));
    #[expect(clippy::cast_possible_truncation, reason = "pixels need no more digits than f32 has")]
    let corner = |place: [f64; 2]| map.map(place).map(|value| value as f32);
    Some(Quad([corner([low, low]), corner([high, low]), corner([high, high]), corner([low, high])]))
}

#[cfg(test)]
#[path = "seal/tests.rs"]
mod tests;
