//! Turns a user's drawing into an icon of the house style: one ink, the house frame.
//!
//! In:  an SVG or a PNG as people have it. Out: the framed SVG, or why not and what to change.
//!
//! Whatever the drawing is made of, only its outline is kept: it is drawn large, dark counts
//! as ink and light as paper, its edge is followed and written as one path. So nothing of a
//! foreign file survives but a shape, and every icon prints, scales and compares alike. The
//! sign is fitted into the house frame's middle; a drawing that has the house frame already
//! keeps its sign where it is.
//!
//! Knows nothing of other icons: what resembles another is refused in `alike`.

use std::fmt::Write as _;

use super::foreign::{BYTES_MAX, Drawn, Foreign, View};
use super::icon_set::{FRAME_SVG, GLYPH_UNITS, Icon, IconSetError, TILE_UNITS};
use super::trace::{Plane, outlines};
use crate::media::{DecodeSpec, decode};

/// Largest PNG in bytes and in pixels: a scan of a sheet of paper.
const PNG_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Largest file of either kind.
pub const FILE_BYTES_MAX: u64 = PNG_BYTES_MAX as u64;
const PNG_PIXELS_MAX: u64 = 32_000_000;
/// Pixels a tile unit that signs are followed at.
const SCALE: f32 = 2.0;
/// Side of the sign's box at that scale.
const BOX_PX: usize = 1248;
/// A corner may be left out when it lies so near to the line (0.15 tile units: on a card of
/// 10 cm a seventieth of a millimetre).
const TOLERANCE_PX: f32 = 0.3;
/// Smaller specks are dust: a square of 6 tile units.
const DUST_PX2: f32 = 144.0;
/// Side of the first look at a drawing.
const FIRST_PX: usize = 1024;
/// The darkest place has to be so dark: pencil yes, paper's grain no.
const DARK_MIN: f32 = 0.3;
/// A sign narrower than this share of its drawing is a dot in a void.
const SPAN_MIN: f32 = 0.08;
/// PNG pixels along the sign's longer side, at least: fewer give stairs.
const PNG_SIGN_PX_MIN: f32 = 64.0;
/// Ink in the sign's box: less is nearly empty, more is nearly full.
const INK_MIN: f32 = 0.06;
const INK_MAX: f32 = 0.88;
/// Corners and loops that an icon may have; beyond, it is a picture.
const CORNERS_MAX: usize = 4000;
const LOOPS_MAX: usize = 120;
/// Bytes of a meaning at most: it has to fit beside the icon on a card.
const MEANING_CHARS_MAX: usize = 60;

/// Why a drawing makes no icon. Each says what to change.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// Neither SVG nor PNG.
    #[error("it is neither an SVG nor a PNG drawing")]
    Format,
    /// Cannot be read as what it is.
    #[error("{0}")]
    Drawing(String),
    /// Nothing dark in it.
    #[error("nothing in it is dark enough to be ink: draw it black on white or on nothing")]
    Blank,
    /// A dot on a large ground.
    #[error("what is drawn spans only {percent:.0} % of it, a dot: crop it to the drawing")]
    Dot {
        /// Share of the drawing's side.
        percent: f32,
    },
    /// Too few pixels.
    #[error(
        "what is drawn spans only {px:.0} px, at least {PNG_SIGN_PX_MIN} are needed: export it larger, or as SVG"
    )]
    Coarse {
        /// Pixels.
        px: f32,
    },
    /// Too little ink.
    #[error(
        "only {percent:.0} % of it is ink, nearly nothing is left of it from afar: draw thicker lines or fill areas"
    )]
    Thin {
        /// Share of the sign's box.
        percent: f32,
    },
    /// Too much ink.
    #[error("{percent:.0} % of it is ink, a black square: give it a shape")]
    Full {
        /// Share of the sign's box.
        percent: f32,
    },
    /// More a picture than a sign.
    #[error(
        "it has {loops_count} separate pieces with {corners_count} corners, more than an icon can have: simplify it, or give a drawing instead of a photo"
    )]
    Busy {
        /// Outlines and holes.
        loops_count: usize,
        /// Corners of all.
        corners_count: usize,
    },
    /// Lines that vanish.
    #[error(
        "its lines are too fine: at 24 px only {percent:.0} % of the drawing is left, {least:.0} % is the least: draw thicker lines or leave details out"
    )]
    Fine {
        /// Contrast left.
        percent: f32,
        /// Contrast needed.
        least: f32,
    },
    /// The meaning cannot be written on a card.
    #[error("a meaning is one line of at most {MEANING_CHARS_MAX} letters without < > and &")]
    Meaning,
    /// The icon made of it is not sound.
    #[error(transparent)]
    Icon(#[from] IconSetError),
}

/// A drawing made ready.
#[derive(Debug)]
pub struct Taken {
    /// The icon, framed.
    pub icon: Icon,
    /// Share of the sign's contrast that is left at 24 px, `0.0..=1.0`.
    pub clear_share: f32,
}

/// Makes an icon of a drawing.
///
/// - `name`: as icon names are; `meaning`: one line, [`default_meaning`] if there is none
/// - `bytes`: the SVG or PNG file
///
/// # Errors
/// See [`IntakeError`].
pub fn take(name: &str, meaning: &str, bytes: &[u8]) -> Result<Taken, IntakeError> {
    let sign = sign(name, bytes)?;
    let path = outline_path(&sign)?;
    let clear_share = clear_share(&sign);
    if clear_share < CLEAR_MIN {
        return Err(IntakeError::Fine { percent: 100.0 * clear_share, least: 100.0 * CLEAR_MIN });
    }
    let icon = Icon::new(name, &framed(meaning, &path)?)?;
    Ok(Taken { icon, clear_share })
}

/// What an icon asks for when nobody said: its name as words.
pub fn default_meaning(name: &str) -> String {
    let words = name.replace('-', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The sign's box, drawn large: ink 1, paper 0.
fn sign(name: &str, bytes: &[u8]) -> Result<Plane, IntakeError> {
    let text = svg_text(bytes)?;
    let drawing = match text {
        Some(text) => Foreign::svg(text).map_err(IntakeError::Drawing)?,
        None => pixels(bytes)?,
    };
    let box_units = GLYPH_UNITS.end - GLYPH_UNITS.start;
    // A drawing that comes from `signet icons export` has its frame: keep it in place.
    if text.is_some_and(|text| Icon::new(name, text).is_ok()) {
        let unit = drawing.extent()[0] / TILE_UNITS;
        let view =
            View { origin: [GLYPH_UNITS.start * unit; 2], scale: SCALE / unit, side_px: BOX_PX };
        let drawn = drawing.draw(view).map_err(IntakeError::Drawing)?;
        return ink(drawn.dark);
    }
    let [width, height] = drawing.extent();
    let long = width.max(height);
    let mut look = View {
        origin: [(width - long) / 2.0, (height - long) / 2.0],
        scale: FIRST_PX as f32 / long,
        side_px: FIRST_PX,
    };
    let drawn = drawing.draw(look).map_err(IntakeError::Drawing)?;
    // White on nothing is a drawing, too.
    let light_on_nothing =
        peak(&drawn.dark) < DARK_MIN && peak(&drawn.opaque) > 0.5 && drawn.opaque.share() < INK_MAX;
    let plane_of = |drawn: Drawn| ink(if light_on_nothing { drawn.opaque } else { drawn.dark });
    let (mut middle, mut span) = extent(&plane_of(drawn)?, &look).ok_or(IntakeError::Blank)?;
    if span < SPAN_MIN * long {
        return Err(IntakeError::Dot { percent: 100.0 * span / long });
    }
    if matches!(drawing, Foreign::Pixels(_)) && span < PNG_SIGN_PX_MIN {
        return Err(IntakeError::Coarse { px: span });
    }
    // A second look from near finds the edges of a small drawing as exactly as those of a large one.
    let near = span * 1.05;
    look = View {
        origin: middle.map(|at| at - near / 2.0),
        scale: FIRST_PX as f32 / near,
        side_px: FIRST_PX,
    };
    let drawn = drawing.draw(look).map_err(IntakeError::Drawing)?;
    (middle, span) = extent(&plane_of(drawn)?, &look).ok_or(IntakeError::Blank)?;
    look = View {
        origin: middle.map(|at| at - span / 2.0),
        scale: box_units * SCALE / span,
        side_px: BOX_PX,
    };
    let plane = plane_of(drawing.draw(look).map_err(IntakeError::Drawing)?)?;
    let share = plane.share();
    if share < INK_MIN {
        return Err(IntakeError::Thin { percent: 100.0 * share });
    }
    if share > INK_MAX {
        return Err(IntakeError::Full { percent: 100.0 * share });
    }
    Ok(plane)
}

/// The text of an SVG, nothing for a PNG.
fn svg_text(bytes: &[u8]) -> Result<Option<&str>, IntakeError> {
    const PNG: [u8; 8] = [0x89, b'P', b'N', b'G', 13, 10, 26, 10];
    if bytes.starts_with(&PNG) {
        return Ok(None);
    }
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return Err(IntakeError::Drawing("it is a packed SVG: save it as plain SVG".into()));
    }
    let bytes = bytes.strip_prefix(&[0xEF, 0xBB, 0xBF]).unwrap_or(bytes);
    let Some(start) = bytes.iter().position(|byte| !byte.is_ascii_whitespace()) else {
        return Err(IntakeError::Format);
    };
    if bytes[start] != b'<' {
        return Err(IntakeError::Format);
    }
    if bytes.len() > BYTES_MAX {
        let cause = format!("it has more than {BYTES_MAX} bytes: simplify it");
        return Err(IntakeError::Drawing(cause));
    }
    std::str::from_utf8(bytes)
        .map(Some)
        .map_err(|_odd| IntakeError::Drawing("it is no UTF-8 text: save it as plain SVG".into()))
}

fn pixels(bytes: &[u8]) -> Result<Foreign, IntakeError> {
    if bytes.len() > PNG_BYTES_MAX {
        let cause = format!("it has more than {PNG_BYTES_MAX} bytes: crop it or export it smaller");
        return Err(IntakeError::Drawing(cause));
    }
    let spec =
        DecodeSpec { cover_px: u32::MAX, pixels_max: PNG_PIXELS_MAX, ..DecodeSpec::default() };
    let decoded = decode(bytes, spec)
        .map_err(|error| IntakeError::Drawing(crate::base::causes::one_line(&error)))?;
    Ok(Foreign::Pixels(decoded.frame))
}

fn peak(plane: &Plane) -> f32 {
    plane.ink.iter().copied().fold(0.0, f32::max)
}

/// Ink as a share of the darkest place.
fn ink(mut plane: Plane) -> Result<Plane, IntakeError> {
    let darkest = peak(&plane);
    if darkest < DARK_MIN {
        return Err(IntakeError::Blank);
    }
    plane.ink.iter_mut().for_each(|value| *value = (*value / darkest).min(1.0));
    Ok(plane)
}

/// Middle and longer side of what is more ink than paper, in the drawing's units.
fn extent(plane: &Plane, view: &View) -> Option<([f32; 2], f32)> {
    let mut found: Option<[usize; 4]> = None;
    for (index, _) in plane.ink.iter().enumerate().filter(|(_, ink)| **ink >= 0.5) {
        let (x, y) = (index % plane.width, index / plane.width);
        let [left, top, right, bottom] = found.unwrap_or([x, y, x, y]);
        found = Some([left.min(x), top.min(y), right.max(x), bottom.max(y)]);
    }
    let [left, top, right, bottom] = found?.map(|px| px as f32);
    let (width, height) = (right + 1.0 - left, bottom + 1.0 - top);
    let middle = [
        view.origin[0] + (left + width / 2.0) / view.scale,
        view.origin[1] + (top + height / 2.0) / view.scale,
    ];
    Some((middle, width.max(height) / view.scale))
}

/// The sign's edge as SVG path data in tile units.
fn outline_path(sign: &Plane) -> Result<String, IntakeError> {
    let loops = outlines(sign, TOLERANCE_PX, DUST_PX2);
    let (loops_count, corners_count) = (loops.len(), loops.iter().map(Vec::len).sum::<usize>());
    if loops_count == 0 {
        return Err(IntakeError::Blank);
    }
    if loops_count > LOOPS_MAX || corners_count > CORNERS_MAX {
        return Err(IntakeError::Busy { loops_count, corners_count });
    }
    let mut path = String::with_capacity(corners_count * 12);
    for (at, loop_) in loops.iter().enumerate() {
        for (index, corner) in loop_.iter().enumerate() {
            let lead = match (at, index) {
                (0, 0) => "M",
                (_, 0) => "\n    M",
                _ => " ",
            };
            let [x, y] = corner.map(|value| {
                let unit = (value / SCALE + GLYPH_UNITS.start) * 10.0;
                unit.clamp(GLYPH_UNITS.start * 10.0, GLYPH_UNITS.end * 10.0).round() / 10.0
            });
            // Writing to a string cannot fail.
            let _ = write!(path, "{lead}{x} {y}");
        }
        path.push('Z');
    }
    Ok(path)
}

/// The icon's file.
fn framed(meaning: &str, path: &str) -> Result<String, IntakeError> {
    let meaning = meaning.trim();
    let plain = !meaning.is_empty()
        && meaning.chars().count() <= MEANING_CHARS_MAX
        && !meaning.contains(['<', '>', '&'])
        && !meaning.chars().any(char::is_control);
    if !plain {
        return Err(IntakeError::Meaning);
    }
    let (head, rest) = FRAME_SVG.split_once('>').unwrap_or((FRAME_SVG, ""));
    let rest = rest.replace("/><", "/>\n  <").replace("\n  </svg>", "");
    let rest = rest.trim_end_matches("</svg>");
    Ok(format!(
        "{head}>\n  <title>{meaning}</title>\n  {rest}\n  <path fill=\"#14213d\" fill-rule=\"evenodd\" \
         d=\"{path}\"/>\n</svg>\n"
    ))
}

/// Share of the sign's contrast that is left at 24 px: a pixel averages 43 tile units there,
/// and lens and resizing blur it by half a pixel more.
fn clear_share(sign: &Plane) -> f32 {
    const CELL_PX: usize = 24;
    let cells = sign.width / CELL_PX;
    let cell_px2 = (CELL_PX * CELL_PX) as f32;
    // First small cells of 12 units, then a blur by their number that makes a pixel of 24.
    let mut plane = vec![0.0; cells * cells];
    for (index, ink) in sign.ink.iter().enumerate() {
        let (x, y) = (index % sign.width / CELL_PX, index / sign.width / CELL_PX);
        if x < cells && y < cells {
            plane[y * cells + x] += ink / cell_px2;
        }
    }
    // Deviation 0.58 px of 42.7 units (box 0.29, blur 0.5) are 2.1 cells.
    let soft = blurred(&plane, cells, 2.1);
    let spread = |values: &mut dyn Iterator<Item = f32>| {
        let (mut sum, mut squares, mut count) = (0.0_f32, 0.0_f32, 0.0_f32);
        for value in values {
            (sum, squares, count) = (sum + value, squares + value * value, count + 1.0);
        }
        (squares / count - (sum / count).powi(2)).max(0.0).sqrt()
    };
    let sharp = spread(&mut sign.ink.iter().copied());
    if sharp > 1e-6 { spread(&mut soft.iter().copied()) / sharp } else { 0.0 }
}

/// Gaussian blur of a square plane; blank outside.
pub(super) fn blurred(plane: &[f32], side: usize, sigma: f32) -> Vec<f32> {
    let reach = 3.0 * sigma;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few cells")]
    let taps = reach.ceil() as usize;
    let mut kernel: Vec<f32> = (0..=2 * taps)
        .map(|i| (-(i as f32 - taps as f32).powi(2) / (2.0 * sigma * sigma)).exp())
        .collect();
    let sum: f32 = kernel.iter().sum();
    kernel.iter_mut().for_each(|tap| *tap /= sum);
    let pass = |source: &[f32], step: usize, other: usize| {
        let mut target = vec![0.0; source.len()];
        for line in 0..side {
            for place in 0..side {
                let mut value = 0.0;
                for (tap, weight) in kernel.iter().enumerate() {
                    if let Some(at) = (place + tap).checked_sub(taps).filter(|&at| at < side) {
                        value += weight * source[line * other + at * step];
                    }
                }
                target[line * other + place * step] = value;
            }
        }
        target
    };
    pass(&pass(plane, 1, side), side, 1)
}

/// Contrast that has to be left at 24 px. See the measured table in `alike`.
const CLEAR_MIN: f32 = 0.35;

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, proptest};
    use proptest::test_runner::Config;

    use super::*;

    const HEART: &str = r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="currentColor"><path d="M12 21C4 14 2 10 2 7A5 5 0 0 1 12 6A5 5 0 0 1 22 7C22 10 20 14 12 21Z"/></svg>"#;

    fn svg(inside: &str) -> String {
        format!(r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24">{inside}</svg>"#)
    }

    fn taken(text: &str) -> Icon {
        take("mine", "Mine", text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}")).icon
    }

    #[track_caller]
    fn check_refused(bytes: &[u8], words: &str) {
        let error = take("mine", "Mine", bytes).expect_err("refused").to_string();
        assert!(error.contains(words), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }

    /// Ink at places of the tile, from the icon's 1024 px rendering.
    fn inked(icon: &Icon, places: &[(usize, usize)]) -> Vec<bool> {
        let picture = icon.picture(1024).expect("a picture");
        places.iter().map(|&(x, y)| picture.rgba[4 * (y * 1024 + x)] < 128).collect()
    }

    #[test]
    fn sign_fills_the_box_of_the_frame_and_nothing_outside_of_it() {
        let icon = taken(HEART);
        let shapes = icon.shapes().expect("shapes");
        let sign = shapes.last().expect("a sign");
        let (mut low, mut high) = ([f32::MAX; 2], [f32::MIN; 2]);
        for step in &sign.steps {
            if let crate::detection::icon_set::Step::Move(p)
            | crate::detection::icon_set::Step::Line(p) = step
            {
                for axis in 0..2 {
                    low[axis] = low[axis].min(p[axis]);
                    high[axis] = high[axis].max(p[axis]);
                }
            }
        }
        // 20 units wide, a little less high: the width fills the box, the height is centred.
        assert!((low[0] - 200.0).abs() < 1.5 && (high[0] - 824.0).abs() < 1.5, "{low:?} {high:?}");
        assert!((low[1] + high[1] - 1024.0).abs() < 3.0, "{low:?} {high:?}");
    }

    #[test]
    fn whatever_it_is_drawn_with_becomes_one_ink() {
        let centre = [(512, 512), (215, 512)];
        for inside in [
            r##"<rect x="2" y="6" width="20" height="12" fill="none" stroke="currentColor" stroke-width="2"/>"##,
            r##"<g style="stroke:#d00;stroke-width:2;fill:none"><path d="M2 6H22V18H2Z"/></g>"##,
            r##"<style>.a{fill:none;stroke:#226;stroke-width:2}</style><path class="a" d="M2 6H22V18H2Z"/>"##,
            r##"<defs><rect id="r" x="2" y="6" width="20" height="12"/></defs><use href="#r" fill="none" stroke="#000" stroke-width="2"/>"##,
            // White over black is paper; white on nothing is the drawing itself.
            r##"<rect width="24" height="24" fill="#fff"/><rect x="1" y="5" width="22" height="14"/><rect x="3" y="7" width="18" height="10" fill="#fff"/>"##,
            r##"<rect x="2" y="6" width="20" height="12" fill="none" stroke="#fff" stroke-width="2"/>"##,
            r##"<mask id="m"><rect width="24" height="24" fill="#fff"/><rect x="3" y="7" width="18" height="10"/></mask><rect x="1" y="5" width="22" height="14" mask="url(#m)"/>"##,
        ] {
            assert_eq!(inked(&taken(&svg(inside)), &centre), [false, true], "{inside}");
        }
        let shapes = taken(&svg(
            r#"<circle cx="12" cy="12" r="8" fill="red"/><path d="M4 4H8V8H4Z" fill="blue"/>"#,
        ))
        .shapes();
        assert!(
            shapes.expect("shapes").iter().skip(1).all(|shape| shape.rgb == [0x14, 0x21, 0x3d])
        );
    }

    #[test]
    fn size_and_place_in_the_drawing_do_not_matter() {
        let small = svg(
            r#"<g transform="translate(4 3) scale(.25)"><path d="M12 21C4 14 2 10 2 7A5 5 0 0 1 12 6A5 5 0 0 1 22 7C22 10 20 14 12 21Z"/></g>"#,
        );
        let (a, b) = (taken(HEART).picture(1024), taken(&small).picture(1024));
        let (a, b) = (a.expect("a picture").rgba, b.expect("a picture").rgba);
        // The renderer's own steps differ by more at single pixels; a shift by one unit is 1.3.
        let sum: u64 = a.iter().zip(&b).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        let mean = sum as f64 / a.len() as f64;
        assert!(mean < 0.4, "{mean}");
    }

    #[test]
    fn exported_icon_with_another_sign_keeps_its_place() {
        let own = FRAME_SVG
            .replace("</svg>", r##"<circle cx="400" cy="400" r="100" fill="#14213d"/></svg>"##);
        let icon = taken(&own);
        assert_eq!(
            inked(&icon, &[(400, 400), (495, 400), (512, 512), (700, 700)]),
            [true, true, false, false]
        );
    }

    #[test]
    fn png_drawing_is_followed_as_well() {
        let (side, mut rgb) = (200_u32, Vec::new());
        for y in 0..side {
            for x in 0..side {
                let ring = (x as f32 - 100.0).hypot(y as f32 - 100.0);
                rgb.extend([if (30.0..60.0).contains(&ring) { 30_u8 } else { 240 }; 3]);
            }
        }
        let mut png = Vec::new();
        let encoder = image::codecs::png::PngEncoder::new(&mut png);
        image::ImageEncoder::write_image(encoder, &rgb, side, side, image::ExtendedColorType::Rgb8)
            .expect("a PNG");
        let icon = take("mine", "Mine", &png).expect("an icon").icon;
        assert_eq!(
            inked(&icon, &[(512, 512), (512, 280), (744, 512), (215, 215)]),
            [false, true, true, false]
        );
        check_refused(&png[..60], "");
    }

    #[test]
    fn drawing_that_makes_no_icon_is_refused_with_what_to_change() {
        check_refused(b"", "neither an SVG nor a PNG");
        check_refused(b"\xff\xd8\xff\xe0 a photo", "neither an SVG nor a PNG");
        check_refused(&[0x1f, 0x8b, 8, 0], "plain SVG");
        check_refused(b"<svg", "no SVG drawing");
        check_refused(b"<html><body/></html>", "no SVG drawing");
        check_refused(svg("").as_bytes(), "draw it black");
        check_refused(
            svg(r##"<rect width="24" height="24" fill="#fff"/>"##).as_bytes(),
            "draw it black",
        );
        check_refused(svg(r#"<rect width="24" height="24"/>"#).as_bytes(), "black square");
        check_refused(svg(r#"<circle cx="12" cy="12" r=".5"/>"#).as_bytes(), "crop it");
        check_refused(
            svg(r#"<path d="M1 12H23" stroke="black" stroke-width=".6"/>"#).as_bytes(),
            "thicker lines",
        );
        check_refused(svg("<text x=\"4\" y=\"12\">LOVE</text>").as_bytes(), "turn them into paths");
        check_refused(svg(r#"<image href="a.png" width="9" height="9"/>"#).as_bytes(), "as PNG");
        check_refused(svg("<script>1</script>").as_bytes(), "remove it");
        check_refused(svg("<filter id=\"f\"/>").as_bytes(), "plain shapes");
    }

    #[test]
    fn reference_out_of_the_file_is_refused() {
        for inside in [
            r#"<use href="other.svg#a"/>"#,
            r#"<use xlink:href="http://127.0.0.1/a.svg#a" xmlns:xlink="http://www.w3.org/1999/xlink"/>"#,
            r#"<rect width="9" height="9" fill="url(file:///etc/passwd)"/>"#,
            r#"<rect width="9" height="9" style="fill: url( 'http://127.0.0.1/#a' )"/>"#,
            r#"<style>@import "a.css";</style>"#,
            r#"<style>.a{fill:url("a.svg#b")}</style>"#,
        ] {
            check_refused(svg(inside).as_bytes(), "everything has to be inside it");
        }
        let entity =
            format!("<!DOCTYPE svg [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>{}", svg("&e;"));
        check_refused(entity.as_bytes(), "entities");
    }

    #[test]
    fn drawing_that_would_take_long_is_refused_at_once() {
        let nested = format!(
            "{}{}{}",
            "<svg xmlns=\"http://www.w3.org/2000/svg\">",
            "<g>".repeat(60_000),
            ""
        );
        check_refused(nested.as_bytes(), "deep");
        let many = svg(&"<path d=\"M1 1H2\"/>".repeat(3000));
        check_refused(many.as_bytes(), "elements");
        let mut doubling = String::from(r#"<path id="u0" d="M1 1H20V20Z"/>"#);
        for level in 1..=15 {
            let below = level - 1;
            doubling += &format!(
                r##"<g id="u{level}"><use href="#u{below}"/><use href="#u{below}"/></g>"##
            );
        }
        check_refused(svg(&doubling).as_bytes(), "simplify");
        let dashes = svg(r##"<path d="M0 0H24V24H0Z" stroke="#000" stroke-dasharray=".0001"/>"##);
        check_refused(dashes.as_bytes(), "dashes");
        let lines: String = (0..60).map(|i| format!("M{0} 0V24", 0.4 * f64::from(i))).collect();
        check_refused(
            svg(&format!(r##"<path d="{lines}" stroke="#000" stroke-width=".2"/>"##)).as_bytes(),
            "too fine",
        );
        check_refused(&[b' '; 300_000], "neither");
        check_refused(&[b'<'; 300_000], "bytes");
    }

    #[test]
    fn meaning_is_one_plain_line() {
        for meaning in ["", "a\nb", "a<b", "a&b", &"x".repeat(61)] {
            assert!(
                matches!(take("mine", meaning, HEART.as_bytes()), Err(IntakeError::Meaning)),
                "{meaning}"
            );
        }
        assert_eq!(
            take("mine", "Für Oma", HEART.as_bytes()).expect("an icon").icon.meaning(),
            "Für Oma"
        );
        assert_eq!(default_meaning("with-love"), "With love");
    }

    proptest! {
        #![proptest_config(Config::with_cases(48))]
        #[test]
        fn any_bytes_are_taken_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(taken) = take("mine", "Mine", &bytes) {
                prop_assert!(taken.clear_share > 0.0);
            }
        }

        #[test]
        fn any_shapes_are_taken_or_refused(
            inside in "(<(path|rect|circle|g|use|mask|clipPath|linearGradient|line|ellipse|polygon|symbol|marker|stop|switch|svg)( (d|x|y|r|cx|width|height|id|href|fill|stroke|stroke-width|transform|points|mask|clip-path|opacity|stroke-dasharray|viewBox|offset)=\"([MLHVCSQTAZmlhvcsqtaz0-9., -]{0,24}|#a|a|url\\(#a\\)|scale\\([0-9e.-]{1,6}\\)|1e[0-9]{1,2}|-?[0-9]{1,3}%?|none|#000)\"){0,4}/>){0,6}",
        ) {
            if let Ok(taken) = take("mine", "Mine", svg(&inside).as_bytes()) {
                prop_assert!(Icon::new("mine", taken.icon.svg()).is_ok());
                prop_assert!(taken.icon.svg().len() < 64 * 1024);
            }
        }

        #[test]
        fn any_damage_to_a_drawing_is_taken_or_refused(at in 0..190_usize, with in "[ -~]{0,6}", cut in 0..12_usize) {
            let end = (at + cut).min(HEART.len());
            let damaged = format!("{}{with}{}", HEART.get(..at).unwrap_or(HEART), HEART.get(end..).unwrap_or(""));
            if let Ok(taken) = take("mine", "Mine", damaged.as_bytes()) {
                prop_assert!(taken.clear_share <= 1.01);
            }
        }
    }
}
