//! Decodes JPEG with libjpeg-turbo, at a reduced scale where that is enough.
//!
//! In:  a whole JPEG file.
//! Out: pixels as stored, and where the EXIF block lies.
//!
//! **Damaged or not.** libjpeg-turbo always gives a picture and merely warns when the
//! data ended early or made no sense; what it could not read is grey. A lab must not
//! print that, so every warning that means missing or contradicting picture data is an
//! error here. Four warnings that leave the picture whole are let pass: stray bytes before
//! a marker, an odd scan header, a bad colour-profile marker, an unknown JFIF revision. Only the first warning is told; when that is a harmless one, the markers are
//! walked to see that the picture reaches its end all the same. Anything behind the end
//! marker (films, previews, depth maps of phones) is no concern of ours.
//!
//! **Bombs.** A progressive file makes the decoder hold all coefficients and pass over
//! them once per scan; both are bounded before decoding begins.

use turbojpeg::{Colorspace, DecompressHeader, Decompressor, Image, PixelFormat, ScalingFactor};

use super::decode::{DecodeError, DecodeSpec, Stored, WORKING_BYTES_MAX, check_size};
use super::frame::Frame;

/// Honest progressive files have about ten scans.
const SCANS_MAX: u32 = 100;

/// Pixels times scans: ten scans of the largest photo, some ten seconds.
const PIXEL_SCANS_MAX: u64 = 2_000_000_000;

/// The scales tried, in eighths, smallest first. 3/8, 5/8 and so on are left out: only
/// these have vector code, and 1/2 with a resize behind it costs less than 3/8.
const EIGHTHS: [usize; 4] = [1, 2, 4, 8];

/// Decodes the whole picture, scaled.
pub(super) fn decode(bytes: &[u8], spec: DecodeSpec) -> Result<Stored, DecodeError> {
    let mut decoder = Decompressor::new().map_err(DecodeError::damaged)?;
    decoder.set_scan_limit(SCANS_MAX).map_err(DecodeError::damaged)?;
    let tidied;
    let (bytes, header) = match decoder.read_header(bytes) {
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
    check_cost(bytes, &header)?;

    let factor = scale(&header, spec.cover_px);
    decoder.set_scaling_factor(factor).map_err(DecodeError::damaged)?;
    let scaled = header.scaled(factor);
    let is_cmyk = matches!(header.colorspace, Colorspace::CMYK | Colorspace::YCCK);
    let (format, channels) = if is_cmyk { (PixelFormat::CMYK, 4) } else { (PixelFormat::RGB, 3) };
    let pitch = scaled.width * channels;
    let mut pixels = vec![0; pitch * scaled.height];
    let image = Image {
        pixels: pixels.as_mut_slice(),
        width: scaled.width,
        pitch,
        height: scaled.height,
        format,
    };
    match decoder.decompress(bytes, image) {
        Ok(()) => {}
        Err(error) if is_harmless(&error) && ends(bytes) => {}
        Err(error) => return Err(judge(bytes, error)),
    }
    if is_cmyk {
        cmyk_to_rgb(&mut pixels, segments(bytes).any(|segment| segment.is_adobe()));
    }
    let frame = Frame::new(side(scaled.width), side(scaled.height), pixels)
        .ok_or_else(|| DecodeError::damaged("it has no pixels"))?;
    Ok(Stored { frame, width_px, height_px })
}

/// The EXIF block, when there is one.
pub(super) fn exif(bytes: &[u8]) -> Option<&[u8]> {
    segments(bytes).find_map(|segment| match segment.marker {
        APP1 => segment.payload.strip_prefix(b"Exif\0\0"),
        _ => None,
    })
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

/// Refuses files whose decoding takes memory or time out of all proportion.
fn check_cost(bytes: &[u8], header: &DecompressHeader) -> Result<(), DecodeError> {
    let layout = Layout::read(bytes);
    if !header.is_progressive && layout.one_scan_holds_all {
        return Ok(());
    }
    let coefficient_bytes = layout.coefficient_bytes(header.width as u64, header.height as u64);
    if coefficient_bytes > WORKING_BYTES_MAX {
        return Err(DecodeError::TooCostly {
            needs: format!("{} MiB of memory", coefficient_bytes >> 20),
        });
    }
    let scans_count = u64::from(scans(bytes).count);
    if scans_count * header.width as u64 * header.height as u64 > PIXEL_SCANS_MAX {
        return Err(DecodeError::TooCostly {
            needs: format!("{scans_count} passes over all pixels"),
        });
    }
    Ok(())
}

/// Turns what libjpeg-turbo says into a cause the owner can act on.
fn judge(bytes: &[u8], error: turbojpeg::Error) -> DecodeError {
    if !ends(bytes) {
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
    for segment in segments(bytes) {
        let is_needless = matches!(segment.marker, 0xE0..=0xEF | COMMENT) && !segment.is_adobe();
        if segment.marker == SCAN {
            tidied.extend_from_slice(bytes.get(segment.begin..).unwrap_or_default());
        } else if !is_needless {
            tidied.extend_from_slice(bytes.get(segment.begin..segment.end).unwrap_or_default());
        }
    }
    tidied
}

/// Turns ink into light, in place: four bytes a pixel become three.
///
/// Adobe's programs store ink inverted and say so by their marker; that is nearly every
/// CMYK file there is. No colour profile is applied.
fn cmyk_to_rgb(pixels: &mut Vec<u8>, is_inverted: bool) {
    let light = |ink: u8| {
        if is_inverted { u16::from(ink) } else { 255 - u16::from(ink) }
    };
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

const APP1: u8 = 0xE1;
const APP14: u8 = 0xEE;
const COMMENT: u8 = 0xFE;
const END: u8 = 0xD9;
const SCAN: u8 = 0xDA;

/// One marker with what belongs to it, up to and with the first scan header.
struct Segment<'a> {
    marker: u8,
    payload: &'a [u8],
    /// Where the marker itself begins.
    begin: usize,
    /// Where the bytes behind it begin.
    end: usize,
}

impl Segment<'_> {
    fn is_adobe(&self) -> bool {
        self.marker == APP14 && self.payload.starts_with(b"Adobe")
    }

    /// Start of a frame: 0xC0 to 0xCF without tables (C4, C8, CC).
    fn is_frame(&self) -> bool {
        (0xC0..=0xCF).contains(&self.marker) && !matches!(self.marker, 0xC4 | 0xC8 | 0xCC)
    }
}

/// The segments of the header; the scan header comes last. Ends quietly where the bytes
/// make no sense: libjpeg-turbo judges them, not we.
fn segments(bytes: &[u8]) -> impl Iterator<Item = Segment<'_>> {
    let mut at = Some(2);
    std::iter::from_fn(move || {
        let segment = segment_at(bytes, at?)?;
        at = (segment.marker != SCAN).then_some(segment.end);
        Some(segment)
    })
}

/// Reads the next marker at or behind `at` that has a length.
fn segment_at(bytes: &[u8], mut at: usize) -> Option<Segment<'_>> {
    loop {
        at += bytes.get(at..)?.iter().position(|byte| *byte == 0xFF)?;
        at += bytes.get(at..)?.iter().position(|byte| *byte != 0xFF)?;
        let (marker, begin) = (*bytes.get(at)?, at - 1);
        at += 1;
        match marker {
            // Stuffed bytes, restart marks and the like stand alone.
            0x00 | 0x01 | 0xD0..=0xD8 => {}
            END => {
                return Some(Segment { marker, payload: &[], begin, end: bytes.len() });
            }
            _ => {
                let length = usize::from(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
                let payload = bytes.get(at + 2..at + length)?;
                return Some(Segment { marker, payload, begin, end: at + length });
            }
        }
    }
}

/// How samples are spread over the frame, from the frame header and the first scan.
struct Layout {
    /// Blocks of the most finely sampled component along (x, y), and of all, per unit.
    units: (u64, u64),
    blocks_per_unit: u64,
    one_scan_holds_all: bool,
}

impl Layout {
    fn read(bytes: &[u8]) -> Self {
        // When the header cannot be followed, the dearest layout is assumed.
        let mut layout = Self { units: (1, 1), blocks_per_unit: 4, one_scan_holds_all: false };
        let mut components_count = 0;
        for segment in segments(bytes) {
            if segment.is_frame() {
                let factors = |entry: &[u8]| {
                    entry.get(1).map_or((4, 4), |f| (u64::from(f >> 4), u64::from(f & 15)))
                };
                let entries = segment.payload.get(6..).unwrap_or_default();
                let entries: Vec<_> = entries.chunks_exact(3).map(factors).collect();
                components_count = entries.len();
                layout.units =
                    entries.iter().fold((1, 1), |most, f| (most.0.max(f.0), most.1.max(f.1)));
                layout.blocks_per_unit = entries.iter().map(|f| f.0 * f.1).sum();
            } else if segment.marker == SCAN {
                let count = segment.payload.first().copied().map_or(0, usize::from);
                layout.one_scan_holds_all = count > 0 && count >= components_count;
            }
        }
        layout
    }

    /// What a decoder holds that cannot work block row by block row: 64 coefficients of
    /// 2 bytes for every block.
    fn coefficient_bytes(&self, width_px: u64, height_px: u64) -> u64 {
        let units_count =
            width_px.div_ceil(8 * self.units.0) * height_px.div_ceil(8 * self.units.1);
        units_count.saturating_mul(self.blocks_per_unit).saturating_mul(128)
    }
}

/// Every scan of the file and whether the end marker follows the last one.
struct Scans {
    count: u32,
    has_end: bool,
}

fn scans(bytes: &[u8]) -> Scans {
    let mut scans = Scans { count: 0, has_end: false };
    let mut at = 2;
    while let Some(segment) = segment_at(bytes, at) {
        match segment.marker {
            END => {
                scans.has_end = true;
                break;
            }
            SCAN => scans.count = scans.count.saturating_add(1),
            _ => {}
        }
        at = segment.end;
    }
    scans
}

fn ends(bytes: &[u8]) -> bool {
    scans(bytes).has_end
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
            .find(|at| bytes[*at..].starts_with(&[0xFF, SCAN]))
            .expect("a scan");
        let scan = bytes[last_scan..bytes.len() - 2].to_vec();
        let mut bomb = bytes[..bytes.len() - 2].to_vec();
        for _ in 0..200 {
            bomb.extend_from_slice(&scan);
        }
        bomb.extend_from_slice(&[0xFF, END]);
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

    #[test]
    fn ink_becomes_light() {
        let mut adobe = vec![255, 255, 255, 255, 0, 255, 255, 255, 255, 255, 255, 0];
        let mut plain: Vec<u8> = adobe.iter().map(|ink| 255 - ink).collect();
        cmyk_to_rgb(&mut adobe, true);
        cmyk_to_rgb(&mut plain, false);
        assert_eq!(adobe, [255, 255, 255, 0, 255, 255, 0, 0, 0], "white, cyan, black");
        assert_eq!(plain, adobe);
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut file = vec![0xFF, 0xD8];
            file.extend(&bytes);
            prop_assert!(segments(&file).count() <= file.len());
            let _whatever = (scans(&file).count, Layout::read(&file).coefficient_bytes(100, 100), exif(&file));
        }

        #[test]
        fn any_changed_byte_is_survived(at in 2_usize..6000, value: u8) {
            let mut bytes = picture(96, 64, at % 2 == 0);
            let at = at % bytes.len();
            bytes[at] = value;
            let _either = decode(&bytes, DecodeSpec { cover_px: 48, pixels_max: 1_000_000 });
        }
    }
}
