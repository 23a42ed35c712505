//! Decodes JPEG with libjpeg-turbo, at a reduced scale where that is enough.
//!
//! In:  a whole JPEG file.
//! Out: pixels as stored, what their colours mean, and where the EXIF block lies.
//!
//! **Damaged or not.** libjpeg-turbo always gives a picture and merely warns when the
//! data ended early or made no sense; what it could not read is grey. A lab must not
//! print that, so every warning that means missing or contradicting picture data is an
//! error here. Four warnings that leave the picture whole are let pass: stray bytes before
//! a marker, an odd scan header, a bad colour-profile marker, an unknown JFIF revision. Only
//! the first warning is told; when that is a harmless one, the markers are walked to see
//! that the picture reaches its end all the same. Anything behind the end marker (films,
//! previews, depth maps of phones) is no concern of ours.
//!
//! **Progressive files** are decoded without the scans that the preview can do without
//! (`scans`), for those are most of the work.
//!
//! **Bombs.** A progressive file makes the decoder hold all coefficients and pass over
//! them once per scan; both are bounded before decoding begins.

pub(super) mod markers;
mod scans;

use turbojpeg::{Colorspace, DecompressHeader, Decompressor, Image, PixelFormat, ScalingFactor};

use self::markers::FrameHeader;
use self::scans::Scans;
use super::colour::{self, Colours, Inks};
use super::decode::{DecodeError, DecodeSpec, Stored, check_memory, check_size};
use super::frame::Frame;
use super::metadata;

pub(super) use self::markers::exif;

/// Honest progressive files have about ten scans.
const SCANS_MAX: u32 = 100;

/// Pixels times scans that are decoded: under 5 s. Measured: 1.1 ns for each pixel and scan of
/// a 12-megapixel photo in ten scans (q93, 4:2:0), 1.6 ns without subsampling; no scan takes
/// more than twice that.
const PIXEL_SCANS_MAX: u64 = 1_500_000_000;

/// The scales tried, in eighths, smallest first. 3/8, 5/8 and so on are left out: only
/// these have vector code, and 1/2 with a resize behind it costs less than 3/8.
const EIGHTHS: [usize; 4] = [1, 2, 4, 8];

/// Decodes the whole picture, scaled.
pub(super) fn decode(bytes: &[u8], spec: DecodeSpec) -> Result<Stored, DecodeError> {
    let frame = FrameHeader::read(bytes);
    if let Some(frame) = &frame {
        check_kind(frame)?;
    }
    let mut decoder = Decompressor::new().map_err(DecodeError::damaged)?;
    decoder.set_scan_limit(SCANS_MAX).map_err(DecodeError::damaged)?;
    let tidied;
    let (whole, header) = match decoder.read_header(bytes) {
        Ok(header) => (bytes, header),
        // The binding takes any warning for a failure, and so would the decode.
        Err(error) if is_harmless(&error) => {
            tidied = tidy(bytes);
            let header = decoder.read_header(&tidied).map_err(|error| judge(bytes, error))?;
            (tidied.as_slice(), header)
        }
        Err(error) => return Err(judge(bytes, error)),
    };
    let (width_px, height_px) = (side(header.width), side(header.height));
    check_size(width_px, height_px, spec.pixels_max)?;
    let short = match &frame {
        Some(frame) => prepare(whole, frame, spec.cover_px)?,
        None => None,
    };
    let pixels = decompress(&mut decoder, short.as_deref().unwrap_or(whole), &header, spec)?;
    let (frame, colours) = pixels.into_rgb(bytes)?;
    Ok(Stored { frame, width_px, height_px, colours })
}

/// Width and height of a JPEG that can be decoded here.
pub(super) fn size(bytes: &[u8]) -> Option<(u32, u32)> {
    let frame = FrameHeader::read(bytes)?;
    (check_kind(&frame).is_ok() && !frame.is_lossless())
        .then_some((frame.width_px, frame.height_px))
}

/// Refuses kinds of JPEG that libjpeg-turbo does not turn into 8 bits.
fn check_kind(frame: &FrameHeader) -> Result<(), DecodeError> {
    let found = if frame.is_hierarchical() {
        "a hierarchical JPEG; export it as an ordinary JPEG"
    } else if frame.is_lossless() && frame.sample_bits != 8 {
        "a lossless JPEG of more than 8 bits; export it as an ordinary JPEG"
    } else if frame.sample_bits != 8 {
        "a 12-bit JPEG; export it with 8 bits"
    } else {
        return Ok(());
    };
    Err(DecodeError::Unsupported { found: found.into() })
}

/// Refuses files whose decoding takes memory or time out of all proportion, and gives a
/// shorter file where that is enough for the preview.
fn prepare(
    bytes: &[u8],
    frame: &FrameHeader,
    cover_px: u32,
) -> Result<Option<Vec<u8>>, DecodeError> {
    let first_scan_count = markers::header(bytes)
        .find(|segment| segment.marker == markers::SCAN)
        .and_then(|segment| segment.payload.first().copied());
    let holds_all =
        first_scan_count.is_some_and(|count| usize::from(count) >= frame.components.len());
    if frame.is_lossless() || (!frame.is_progressive() && holds_all) {
        return Ok(None);
    }
    check_memory(frame.coefficient_bytes())?;
    let scans = Scans::read(bytes);
    let pixels_count = u64::from(frame.width_px) * u64::from(frame.height_px);
    if scans.count * pixels_count > PIXEL_SCANS_MAX {
        return Err(DecodeError::TooCostly {
            needs: format!("{} passes over all pixels", scans.count),
        });
    }
    let ratio = f64::from(cover_px) / f64::from(frame.width_px.max(frame.height_px).max(1));
    Ok(scans.shorten(bytes, frame, ratio.min(1.0)))
}

/// What libjpeg-turbo gave.
struct Pixels {
    width: usize,
    height: usize,
    bytes: Vec<u8>,
    /// Four inks a pixel; three lights otherwise.
    is_ink: bool,
}

fn decompress(
    decoder: &mut Decompressor,
    bytes: &[u8],
    header: &DecompressHeader,
    spec: DecodeSpec,
) -> Result<Pixels, DecodeError> {
    let factor = scale(header, spec.cover_px);
    decoder.set_scaling_factor(factor).map_err(DecodeError::damaged)?;
    let scaled = header.scaled(factor);
    let (width, height) = (scaled.width, scaled.height);
    let is_ink = matches!(header.colorspace, Colorspace::CMYK | Colorspace::YCCK);
    let (format, channels) = if is_ink { (PixelFormat::CMYK, 4) } else { (PixelFormat::RGB, 3) };
    let pitch = width * channels;
    check_memory(pitch as u64 * height as u64)?;
    let mut pixels = vec![0; pitch * height];
    let image = Image { pixels: pixels.as_mut_slice(), width, pitch, height, format };
    match decoder.decompress(bytes, image) {
        Ok(()) => {}
        Err(error) if is_harmless(&error) && markers::ends(bytes) => {}
        Err(error) => return Err(judge(bytes, error)),
    }
    Ok(Pixels { width, height, bytes: pixels, is_ink })
}

impl Pixels {
    /// Pixels of three lights, and what the header of `file` says of their colours.
    fn into_rgb(mut self, file: &[u8]) -> Result<(Frame, Colours), DecodeError> {
        let profile = markers::profile(file);
        let colours = if self.is_ink {
            // Adobe's programs store ink inverted and say so by their marker; that is nearly
            // every file with four inks there is.
            if markers::header(file).any(|segment| segment.is_adobe()) {
                self.bytes.iter_mut().for_each(|ink| *ink = 255 - *ink);
            }
            let inks = profile.as_deref().and_then(Inks::new);
            colour::inks_to_rgb(&mut self.bytes, inks.as_ref());
            Colours::Srgb
        } else {
            match profile {
                Some(profile) => Colours::Icc(profile),
                None if exif(file).is_some_and(metadata::says_adobe_rgb) => Colours::AdobeRgb,
                None => Colours::Srgb,
            }
        };
        let frame = Frame::new(side(self.width), side(self.height), self.bytes)
            .ok_or_else(|| DecodeError::damaged("it has no pixels"))?;
        Ok((frame, colours))
    }
}

fn side(side_px: usize) -> u32 {
    u32::try_from(side_px).unwrap_or(u32::MAX)
}

fn scale(header: &DecompressHeader, cover_px: u32) -> ScalingFactor {
    if header.is_lossless {
        return ScalingFactor::ONE;
    }
    EIGHTHS
        .map(|eighths| ScalingFactor::new(eighths, 8))
        .into_iter()
        .find(|factor| side(factor.scale(header.width.max(header.height))) >= cover_px)
        .unwrap_or(ScalingFactor::ONE)
}

/// Turns what libjpeg-turbo says into a cause the owner can act on.
fn judge(bytes: &[u8], error: turbojpeg::Error) -> DecodeError {
    if !markers::ends(bytes) {
        return DecodeError::EndsEarly;
    }
    match error {
        turbojpeg::Error::TurboJpegError(message) => DecodeError::damaged(message),
        other => DecodeError::damaged(other),
    }
}

/// Warnings that leave the picture whole; texts from libjpeg-turbo's `jerror.h`.
fn is_harmless(error: &turbojpeg::Error) -> bool {
    let turbojpeg::Error::TurboJpegError(message) = error else {
        return false;
    };
    message.contains("extraneous bytes before marker")
        || message.contains("unknown JFIF revision number")
        || message.contains("bad ICC marker")
        || message.contains("Invalid SOS parameters for sequential JPEG")
}

/// A copy without anything in the header that the picture can do without.
fn tidy(bytes: &[u8]) -> Vec<u8> {
    let mut tidied = Vec::with_capacity(bytes.len());
    tidied.extend_from_slice(&[0xFF, 0xD8]);
    for segment in markers::header(bytes) {
        if segment.marker == markers::SCAN {
            tidied.extend_from_slice(bytes.get(segment.begin..).unwrap_or_default());
        } else if !segment.is_needless() {
            tidied.extend_from_slice(bytes.get(segment.begin..segment.end).unwrap_or_default());
        }
    }
    tidied
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use turbojpeg::{Compressor, Subsamp};

    use super::*;

    /// A picture with enough detail that its data is spread over the whole file.
    fn picture(width: usize, height: usize, progressive: bool) -> Vec<u8> {
        let image = Image::mandelbrot(width, height, PixelFormat::RGB);
        let mut compressor = Compressor::new().expect("a compressor");
        compressor.set_quality(90).expect("a quality");
        compressor.set_subsamp(Subsamp::Sub2x2).expect("a sampling");
        compressor.set_progressive(progressive).expect("a mode");
        compressor.compress_to_vec(image.as_deref()).expect("compresses")
    }

    fn spec(cover_px: u32) -> DecodeSpec {
        DecodeSpec { cover_px, ..DecodeSpec::default() }
    }

    /// A JPEG whose frame header says another kind and depth.
    fn disguised(kind: u8, bits: u8) -> Vec<u8> {
        let mut bytes = picture(64, 64, false);
        let frame = bytes.windows(2).position(|pair| pair == [0xFF, 0xC0]).expect("a frame header");
        (bytes[frame + 1], bytes[frame + 4]) = (kind, bits);
        bytes
    }

    #[test]
    fn kinds_that_cannot_be_decoded_are_named() {
        for (kind, bits, wanted) in [
            (0xC1, 12, "a 12-bit JPEG"),
            (0xC2, 12, "a 12-bit JPEG"),
            (0xC3, 14, "a lossless JPEG"),
            (0xC5, 8, "a hierarchical JPEG"),
        ] {
            let error = decode(&disguised(kind, bits), spec(64)).expect_err("another kind");
            assert!(error.to_string().contains(wanted), "{error}");
        }
    }

    #[test]
    fn arithmetic_codes_are_decoded() {
        let image = Image::mandelbrot(64, 48, PixelFormat::RGB);
        let mut compressor = Compressor::new().expect("a compressor");
        compressor.set_arithmetic(true).expect("a mode");
        let bytes = compressor.compress_to_vec(image.as_deref()).expect("compresses");
        assert_eq!(FrameHeader::read(&bytes).map(|frame| frame.kind), Some(0xC9));
        decode(&bytes, spec(64)).expect("decodes");
    }

    #[test]
    fn profile_in_several_parts_is_put_together() {
        let plain = picture(64, 64, false);
        let with = |parts: &[(u8, u8, &[u8])]| {
            let mut bytes = plain[..2].to_vec();
            for (number, count, part) in parts {
                let length = u16::try_from(part.len() + 16).expect("short").to_be_bytes();
                bytes.extend_from_slice(&[0xFF, 0xE2, length[0], length[1]]);
                bytes.extend_from_slice(b"ICC_PROFILE\0");
                bytes.extend_from_slice(&[*number, *count]);
                bytes.extend_from_slice(part);
            }
            bytes.extend_from_slice(&plain[2..]);
            decode(&bytes, spec(64)).expect("decodes").colours
        };
        let whole = Colours::Icc(b"abcde".to_vec());
        assert_eq!(with(&[(1, 1, b"abcde")]), whole);
        assert_eq!(with(&[(2, 2, b"cde"), (1, 2, b"ab")]), whole);
        assert_eq!(with(&[(1, 2, b"ab")]), Colours::Srgb, "a part is missing");
        assert_eq!(with(&[]), Colours::Srgb);
    }

    #[test]
    fn frame_covers_what_was_asked_and_not_much_more() {
        let bytes = picture(800, 600, false);
        for (cover_px, width_px) in
            [(1, 100), (100, 100), (101, 200), (200, 200), (300, 400), (401, 800), (5000, 800)]
        {
            let stored = decode(&bytes, spec(cover_px)).expect("decodes");
            assert_eq!(stored.frame.width_px(), width_px, "to cover {cover_px}");
            assert_eq!((stored.width_px, stored.height_px), (800, 600));
        }
    }

    #[test]
    fn file_cut_anywhere_ends_early() {
        for progressive in [false, true] {
            let bytes = picture(320, 240, progressive);
            for end in (3..bytes.len()).step_by(37).chain([bytes.len() - 2, bytes.len() - 1]) {
                let error = decode(&bytes[..end], spec(100)).expect_err("cut");
                assert!(
                    matches!(error, DecodeError::EndsEarly),
                    "cut at {end} of {}: {error:?}",
                    bytes.len()
                );
            }
        }
    }

    #[test]
    fn file_whose_middle_was_lost_is_damaged() {
        let bytes = picture(320, 240, false);
        let mut holed = bytes.clone();
        holed.drain(bytes.len() / 2..bytes.len() - 2);
        let error = decode(&holed, spec(100)).expect_err("half of it is gone");
        assert!(matches!(error, DecodeError::Damaged(_)), "{error:?}");
    }

    #[test]
    fn bytes_behind_the_end_are_no_damage() {
        let mut bytes = picture(320, 240, false);
        bytes.extend_from_slice(b"\0\0\0\x18ftypmp42 a film of a phone \xFF\xD8\xFF\xE1");
        decode(&bytes, spec(100)).expect("decodes");
    }

    #[test]
    fn bytes_before_the_end_marker_are_no_damage() {
        let mut bytes = picture(320, 240, false);
        let end = bytes.len() - 2;
        bytes.splice(end..end, [0; 8]);
        decode(&bytes, spec(100)).expect("decodes");
    }

    #[test]
    fn stray_bytes_in_the_header_are_no_damage() {
        let bytes = picture(320, 240, false);
        let wanted = decode(&bytes, spec(100)).expect("decodes").frame;
        let mut stray = bytes.clone();
        stray.splice(20..20, [1, 2, 3]);
        assert_eq!(decode(&stray, spec(100)).expect("decodes").frame, wanted);
        let mut odd = bytes.clone();
        odd[11] = 9; // JFIF 9.01
        assert_eq!(decode(&odd, spec(100)).expect("decodes").frame, wanted);
    }

    #[test]
    fn progressive_file_with_endless_scans_is_refused_fast() {
        let bytes = picture(320, 240, true);
        let last_scan = (0..bytes.len() - 1)
            .rev()
            .find(|at| bytes[*at..].starts_with(&[0xFF, markers::SCAN]))
            .expect("a scan");
        let scan = bytes[last_scan..bytes.len() - 2].to_vec();
        let mut bomb = bytes[..bytes.len() - 2].to_vec();
        for _ in 0..200 {
            bomb.extend_from_slice(&scan);
        }
        bomb.extend_from_slice(&[0xFF, markers::END]);
        decode(&bomb, spec(100)).expect_err("too many scans");
    }

    #[test]
    fn huge_progressive_header_is_refused_before_memory_is_asked_for() {
        let mut bytes = picture(64, 64, true);
        let frame = bytes.windows(2).position(|pair| pair == [0xFF, 0xC2]).expect("a frame header");
        bytes[frame + 5..frame + 9].copy_from_slice(&[0x36, 0xB0, 0x36, 0xB0]); // 14,000 x 14,000
        for factors in [11, 14, 17] {
            bytes[frame + factors] = 0x11; // no subsampling: 1.2 GB of coefficients
        }
        let error = decode(&bytes, spec(100)).expect_err("a bomb");
        assert!(matches!(error, DecodeError::TooCostly { .. }), "{error:?}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut file = vec![0xFF, 0xD8];
            file.extend(&bytes);
            prop_assert!(markers::all(&file).count() <= file.len());
            let frame = FrameHeader::read(&file);
            let _whatever = frame.map(|frame| Scans::read(&file).shorten(&file, &frame, 0.3));
            let _whatever = (markers::profile(&file), exif(&file));
        }

        #[test]
        fn any_changed_byte_is_survived(at in 2_usize..6000, value: u8) {
            let mut bytes = picture(96, 64, at % 2 == 0);
            let at = at % bytes.len();
            bytes[at] = value;
            let spec = DecodeSpec { cover_px: 48, pixels_max: 1_000_000, ..DecodeSpec::default() };
            let _either = decode(&bytes, spec);
        }
    }
}
