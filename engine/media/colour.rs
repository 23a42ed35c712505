//! Turns the colours of a picture into sRGB, the only ones that the rest knows.
//!
//! In:  a frame, and what its numbers mean: an ICC profile, a code of ITU-T H.273, or what
//! a PNG says of its primaries.
//! Out: the same frame in sRGB, by relative colorimetric intent without black point
//! compensation, as browsers do it.
//!
//! It is done after the picture was scaled down, on few pixels. Most profiles are sRGB under
//! one of a hundred names; they are told by what they do, and cost a look at the profile.
//! A profile that is broken, or made for another number of inks, is ignored: the numbers are
//! then taken for sRGB, as they are in every viewer.
//!
//! Knows nothing of files. The only place that names `moxcms`.

use std::cell::RefCell;
use std::sync::Arc;

use moxcms::{
    Chromaticity, CicpColorPrimaries, CicpProfile, ColorPrimaries, ColorProfile, DataColorSpace,
    Layout, MatrixCoefficients, ParsingOptions, RenderingIntent, ToneReprCurve,
    TransferCharacteristics, Transform8BitExecutor, TransformOptions, XyY,
};

use super::frame::Frame;

/// Larger profiles are ignored. The largest for four inks have some 3 MB.
pub(super) const PROFILE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What the numbers of a picture mean.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Colours {
    /// sRGB, or nothing that is known.
    #[default]
    Srgb,
    /// Adobe RGB (1998).
    AdobeRgb,
    /// As an ICC profile says.
    Icc(Vec<u8>),
    /// As ITU-T H.273 numbers them.
    Coded {
        /// `ColourPrimaries`, such as 12 for Display P3.
        primaries: u8,
        /// `TransferCharacteristics`, such as 13 for sRGB.
        transfer: u8,
    },
    /// Primaries and one exponent for all three.
    Primaries {
        /// x and y of white, red, green and blue (CIE 1931).
        points: [[f32; 2]; 4],
        /// The light is the stored number to the power of this.
        exponent: f32,
    },
}

/// Turns a frame into sRGB.
pub(super) fn to_srgb(mut frame: Frame, colours: &Colours) -> Frame {
    match Way::from(colours) {
        Some(Way::Lights(transform)) => convert(frame.rgb_mut(), &*transform),
        // Gray pictures arrive as three equal numbers.
        Some(Way::Grays(table)) if is_gray(&frame) => {
            for pixel in frame.rgb_mut().chunks_exact_mut(3) {
                let at = usize::from(pixel[0]) * 3;
                pixel.copy_from_slice(&table[at..at + 3]);
            }
        }
        Some(Way::Grays(_)) | None => {}
    }
    frame
}

/// How numbers become those of sRGB.
#[derive(Clone)]
enum Way {
    Lights(Arc<Transform8BitExecutor>),
    /// Three for each gray.
    Grays(Arc<[u8; 256 * 3]>),
}

thread_local! {
    /// The last profile and what became of it: a camera writes the same one into every photo.
    static LAST: RefCell<(Vec<u8>, Option<Way>)> = const { RefCell::new((Vec::new(), None)) };
}

impl Way {
    /// `None` when there is nothing to convert, or no telling how.
    fn from(colours: &Colours) -> Option<Self> {
        let Colours::Icc(bytes) = colours else { return Self::new(colours) };
        LAST.with_borrow_mut(|(last, way)| {
            if last != bytes {
                // First, so that a panic on the way leaves nothing that is wrong.
                (*last, *way) = (Vec::new(), None);
                *way = Self::new(colours);
                last.clone_from(bytes);
            }
            way.clone()
        })
    }

    fn new(colours: &Colours) -> Option<Self> {
        let profile = profile(colours)?;
        match profile.color_space {
            DataColorSpace::Rgb => transform(&profile, Layout::Rgb).map(Self::Lights),
            DataColorSpace::Gray => {
                let grays: Vec<u8> = (0..=u8::MAX).collect();
                let mut table = [0; 256 * 3];
                transform(&profile, Layout::Gray)?.transform(&grays, &mut table).ok()?;
                Some(Self::Grays(Arc::new(table)))
            }
            _ => None,
        }
    }
}

/// In pieces that stay in the processor's cache, so that no second frame is needed.
fn convert(rgb: &mut [u8], transform: &Transform8BitExecutor) {
    const PIECE_BYTES: usize = 3 * 2048;
    let mut piece = [0; PIECE_BYTES];
    for source in rgb.chunks_mut(PIECE_BYTES) {
        let target = &mut piece[..source.len()];
        if transform.transform(source, target).is_ok() {
            source.copy_from_slice(target);
        }
    }
}

fn is_gray(frame: &Frame) -> bool {
    frame.rgb().chunks_exact(3).all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2])
}

/// How four inks look, by their profile.
pub(super) struct Inks(Arc<Transform8BitExecutor>);

impl Inks {
    /// `None` when the profile is broken or of something else than four inks.
    pub(super) fn new(profile: &[u8]) -> Option<Self> {
        let profile =
            parse(profile).filter(|profile| profile.color_space == DataColorSpace::Cmyk)?;
        transform(&profile, Layout::Rgba).map(Self)
    }
}

/// Turns four inks into sRGB, in place: four bytes a pixel, 255 is full ink, become three.
///
/// Without a profile, light is what the inks let pass.
pub(super) fn inks_to_rgb(pixels: &mut Vec<u8>, inks: Option<&Inks>) {
    if let Some(Inks(transform)) = inks {
        let mut rgb = vec![0; pixels.len() / 4 * 3];
        if transform.transform(pixels, &mut rgb).is_ok() {
            *pixels = rgb;
            return;
        }
    }
    let light = |ink: u8| 255 - u16::from(ink);
    let mut target = 0;
    for source in (0..pixels.len() / 4 * 4).step_by(4) {
        let black = light(pixels[source + 3]);
        for channel in 0..3 {
            let value = (light(pixels[source + channel]) * black + 127) / 255;
            pixels[target + channel] = u8::try_from(value).unwrap_or(u8::MAX);
        }
        target += 3;
    }
    pixels.truncate(target);
}

/// The profile to convert from, or `None` when there is nothing to convert.
fn profile(colours: &Colours) -> Option<ColorProfile> {
    let profile = match colours {
        Colours::Srgb => return None,
        Colours::AdobeRgb => ColorProfile::new_adobe_rgb(),
        Colours::Icc(bytes) => parse(bytes)?,
        Colours::Coded { primaries, transfer } => of_codes(*primaries, *transfer)?,
        Colours::Primaries { points, exponent } => of_primaries(*points, *exponent)?,
    };
    (!is_srgb(&profile)).then_some(profile)
}

fn parse(bytes: &[u8]) -> Option<ColorProfile> {
    let options = ParsingOptions {
        max_profile_size: PROFILE_BYTES_MAX,
        max_allowed_clut_size: PROFILE_BYTES_MAX,
        max_allowed_trc_size: 40_000,
    };
    ColorProfile::new_from_slice_with_options(bytes, options).ok()
}

fn of_codes(primaries: u8, transfer: u8) -> Option<ColorProfile> {
    const UNSPECIFIED: u8 = 2;
    const SRGB: u8 = 13;
    if primaries == UNSPECIFIED || transfer == UNSPECIFIED {
        return None;
    }
    // Codecs of films write the curves of their cameras into photos that are sRGB; browsers
    // take them for it.
    let transfer = if matches!(transfer, 1 | 6 | 14 | 15) { SRGB } else { transfer };
    Some(ColorProfile::new_from_cicp(CicpProfile {
        color_primaries: CicpColorPrimaries::try_from(primaries).ok()?,
        transfer_characteristics: TransferCharacteristics::try_from(transfer).ok()?,
        matrix_coefficients: MatrixCoefficients::Identity,
        full_range: true,
    }))
}

fn of_primaries(points: [[f32; 2]; 4], exponent: f32) -> Option<ColorProfile> {
    let is_real = points.iter().flatten().all(|value| (0.0..=1.0).contains(value))
        && points.iter().all(|[_, y]| *y > 0.01)
        && (0.1..=10.0).contains(&exponent);
    if !is_real {
        return None;
    }
    let [white, red, green, blue] = points.map(|[x, y]| Chromaticity { x, y });
    let mut profile = ColorProfile::new_srgb();
    profile.update_rgb_colorimetry(
        XyY { x: f64::from(white.x), y: f64::from(white.y), yb: 1.0 },
        ColorPrimaries { red, green, blue },
    );
    let curve = Some(ToneReprCurve::Parametric(vec![exponent]));
    (profile.red_trc, profile.green_trc, profile.blue_trc) = (curve.clone(), curve.clone(), curve);
    Some(profile)
}

/// Whether a profile does what sRGB does, whatever it is called: by its primaries and by its
/// curves at a few places, within what 8 bits can show.
fn is_srgb(profile: &ColorProfile) -> bool {
    const COLORANT_STEP: f64 = 0.002;
    const LIGHT_STEP: f32 = 0.002;
    let srgb = ColorProfile::new_srgb();
    let has_table =
        profile.lut_a_to_b_perceptual.is_some() || profile.lut_a_to_b_colorimetric.is_some();
    let curves = match profile.color_space {
        DataColorSpace::Rgb => [&profile.red_trc, &profile.green_trc, &profile.blue_trc],
        DataColorSpace::Gray => [&profile.gray_trc; 3],
        _ => return false,
    };
    let colorants = |profile: &ColorProfile| {
        let [red, green, blue] =
            [profile.red_colorant, profile.green_colorant, profile.blue_colorant];
        [red.x, red.y, red.z, green.x, green.y, green.z, blue.x, blue.y, blue.z]
    };
    let has_primaries = profile.color_space == DataColorSpace::Gray
        || colorants(profile)
            .iter()
            .zip(colorants(&srgb))
            .all(|(ours, theirs)| (ours - theirs).abs() < COLORANT_STEP);
    let light = |curve: &Option<ToneReprCurve>, value: f32| {
        curve.as_ref()?.make_linear_evaluator().ok().map(|curve| curve.evaluate_value(value))
    };
    let has_curve = |curve: &Option<ToneReprCurve>| {
        [0.02, 0.1, 0.25, 0.5, 0.75, 0.9].into_iter().all(|value| {
            light(curve, value)
                .zip(light(&srgb.red_trc, value))
                .is_some_and(|(ours, theirs)| (ours - theirs).abs() < LIGHT_STEP)
        })
    };
    !has_table && has_primaries && curves.into_iter().all(has_curve)
}

/// What runs pixels of `layout` through a profile; three bytes a pixel come out.
fn transform(profile: &ColorProfile, layout: Layout) -> Option<Arc<Transform8BitExecutor>> {
    let options = TransformOptions {
        rendering_intent: RenderingIntent::RelativeColorimetric,
        ..TransformOptions::default()
    };
    profile.create_transform_8bit(layout, &ColorProfile::new_srgb(), Layout::Rgb, options).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Little CMS's answers (relative colorimetric) for colours of Display P3.
    const P3: [([u8; 3], [u8; 3]); 5] = [
        ([80, 40, 60], [86, 37, 61]),
        ([12, 240, 126], [0, 244, 111]),
        ([252, 0, 126], [255, 0, 126]),
        ([128, 128, 128], [128, 128, 128]),
        ([255, 255, 255], [255, 255, 255]),
    ];

    fn check(colours: &Colours, cases: &[([u8; 3], [u8; 3])]) {
        let rgb = cases.iter().flat_map(|(from, _)| *from).collect();
        let width_px = u32::try_from(cases.len()).expect("few");
        let frame = to_srgb(Frame::new(width_px, 1, rgb).expect("a frame"), colours);
        for ((from, wanted), found) in cases.iter().zip(frame.rgb().chunks_exact(3)) {
            let is_near = wanted.iter().zip(found).all(|(a, b)| a.abs_diff(*b) <= 2);
            assert!(is_near, "{from:?} became {found:?}, not {wanted:?}");
        }
    }

    fn profile_of(profile: &ColorProfile) -> Colours {
        Colours::Icc(profile.encode().expect("a profile"))
    }

    #[test]
    fn display_p3_becomes_srgb_however_it_is_named() {
        check(&profile_of(&ColorProfile::new_display_p3()), &P3);
        check(&Colours::Coded { primaries: 12, transfer: 13 }, &P3);
    }

    #[test]
    fn srgb_under_any_name_is_left_alone() {
        let every = [([1, 2, 3], [1, 2, 3]), ([99, 0, 255], [99, 0, 255])];
        let mut pure = ColorProfile::new_srgb();
        pure.description = None;
        for colours in [
            Colours::Srgb,
            profile_of(&ColorProfile::new_srgb()),
            profile_of(&pure),
            Colours::Coded { primaries: 1, transfer: 13 },
            // What codecs of films write into photos that are sRGB.
            Colours::Coded { primaries: 1, transfer: 1 },
            Colours::Coded { primaries: 2, transfer: 2 },
        ] {
            assert!(profile(&colours).is_none(), "{colours:?}");
            check(&colours, &every);
        }
    }

    #[test]
    fn adobe_rgb_gets_its_colours_back() {
        // From the primaries and the exponent of Adobe RGB (1998), by hand.
        check(&Colours::AdobeRgb, &[([100, 150, 50], [66, 151, 34]), ([255; 3], [255; 3])]);
    }

    #[test]
    fn gray_profile_is_used_for_gray_pictures_only() {
        let linear = profile_of(&ColorProfile::new_gray_with_gamma(1.0));
        check(&linear, &[([55, 55, 55], [128, 128, 128]), ([0; 3], [0; 3]), ([255; 3], [255; 3])]);
        check(&linear, &[([55, 55, 55], [55, 55, 55]), ([9, 8, 7], [9, 8, 7])]);
    }

    #[test]
    fn primaries_of_a_png_are_used() {
        let points = [[0.3127, 0.329], [0.68, 0.32], [0.265, 0.69], [0.15, 0.06]];
        // P3's primaries with an exponent close to its curve.
        let colours = Colours::Primaries { points, exponent: 2.2 };
        let frame = to_srgb(Frame::new(1, 1, vec![12, 240, 126]).expect("a frame"), &colours);
        assert!(frame.rgb()[0] <= 4 && frame.rgb()[1].abs_diff(244) <= 4, "{:?}", frame.rgb());
        let srgb = [[0.3127, 0.329], [0.64, 0.33], [0.3, 0.6], [0.15, 0.06]];
        assert!(profile(&Colours::Primaries { points: srgb, exponent: f32::NAN }).is_none());
    }

    #[test]
    fn broken_profile_is_ignored() {
        let whole = ColorProfile::new_display_p3().encode().expect("a profile");
        let same = [([80, 40, 60], [80, 40, 60])];
        check(&Colours::Icc(Vec::new()), &same);
        check(&Colours::Icc(whole[..100].to_vec()), &same);
        check(&Colours::Icc(vec![0xFF; 4000]), &same);
        // Made for four inks: no use for three lights.
        let mut inks = whole;
        inks[16..20].copy_from_slice(b"CMYK");
        check(&Colours::Icc(inks.clone()), &same);
        assert!(Inks::new(&inks[..200]).is_none());
    }

    #[test]
    fn any_changed_byte_of_a_profile_is_survived() {
        let whole = ColorProfile::new_display_p3().encode().expect("a profile");
        for at in 0..whole.len() {
            let mut profile = whole.clone();
            for value in [0, 0x7F, 0xFF] {
                profile[at] = value;
                let frame = Frame::new(1, 1, vec![1, 2, 3]).expect("a frame");
                let _whatever = to_srgb(frame, &Colours::Icc(profile.clone()));
            }
        }
    }

    #[test]
    fn ink_becomes_light() {
        let mut pixels = vec![0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 255];
        inks_to_rgb(&mut pixels, None);
        assert_eq!(pixels, [255, 255, 255, 0, 255, 255, 0, 0, 0], "white, cyan, black");
    }
}
