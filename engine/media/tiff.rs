//! Decodes TIFF strip by strip, averaging large pictures down as the rows arrive.
//!
//! In:  a whole TIFF file: gray, RGB, YCbCr or four inks; 1 to 32 bits; strips or tiles;
//! samples together or in planes.
//! Out: pixels as stored, and what their colours mean.
//!
//! Of several pages the first is taken, of a picture in several sizes the full one. Palettes,
//! Lab and floating-point numbers are refused by name: nobody delivers photos in them.
//!
//! Memory holds one row of strips or tiles at a time, which in files of one strip is the
//! whole picture: its size is checked before it is unpacked.
//!
//! A file in which a strip lies behind the end is an unfinished copy.

use std::io::Cursor;

use tiff::decoder::{ChunkType, Decoder, DecodingResult, Limits};
use tiff::{ColorType, TiffError};

use super::colour::{Colours, Inks, PROFILE_BYTES_MAX};
use super::decode::{DecodeError, DecodeSpec, Stored, WORKING_BYTES_MAX, check_memory, check_size};
use super::ifd::{Directory, Tiff};
use super::shrink::Shrinker;

/// The compressed and the unpacked form of a strip, and its samples in 8 bits.
const COPIES_OF_A_STRIP: u64 = 3;

/// More pages than this are not looked at for one in full size.
const PAGES_MAX: usize = 64;

/// Decodes the first page, reduced by a whole factor where it stays twice as large as what
/// has to be covered.
pub(super) fn decode(bytes: &[u8], spec: DecodeSpec) -> Result<Stored, DecodeError> {
    let structure = Tiff::read(bytes).ok_or_else(|| DecodeError::damaged("it has no header"))?;
    if structure.is_cut() {
        return Err(DecodeError::EndsEarly);
    }
    let (page, directory) = structure
        .chain()
        .take(PAGES_MAX)
        .enumerate()
        .find(|(_, directory)| !is_reduced(*directory))
        .or_else(|| structure.chain().next().map(|directory| (0, directory)))
        .ok_or_else(|| DecodeError::damaged("it has no directory"))?;
    let memory_max = usize::try_from(WORKING_BYTES_MAX).unwrap_or(usize::MAX);
    let mut limits = Limits::default();
    limits.decoding_buffer_size = memory_max;
    limits.intermediate_buffer_size = memory_max;
    limits.ifd_value_size = 16 * 1024 * 1024;
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(judge)?.with_limits(limits);
    if page > 0 {
        decoder.seek_to_image(page).map_err(judge)?;
    }
    let (width_px, height_px) = decoder.dimensions().map_err(judge)?;
    check_size(width_px, height_px, spec.pixels_max)?;
    let kind = Kind::of(decoder.colortype().map_err(judge)?, directory)?;
    let profile = directory.bytes(ICC_PROFILE).filter(|raw| raw.len() <= PROFILE_BYTES_MAX);
    let inks = match kind.colours {
        Samples::Inks => profile.and_then(Inks::new),
        _ => None,
    };
    let mut shrinker = Shrinker::new(width_px, height_px, spec.cover_px);
    let mut bands = Bands::new(decoder, kind, width_px)?;
    while let Some(band) = bands.next()? {
        let channels = kind.to_channels(band, inks.as_ref());
        for row in band.chunks_exact(width_px as usize * channels) {
            shrinker.push(row, channels);
        }
    }
    let frame = shrinker.finish().ok_or(DecodeError::EndsEarly)?;
    let colours = match (kind.colours, profile) {
        (Samples::Inks, _) | (_, None) => Colours::Srgb,
        (_, Some(profile)) => Colours::Icc(profile.to_vec()),
    };
    Ok(Stored { frame, width_px, height_px, colours })
}

const NEW_SUBFILE_TYPE: u16 = 0x00FE;
const SAMPLE_FORMAT: u16 = 0x0153;
const EXTRA_SAMPLES: u16 = 0x0152;
const PLANAR_CONFIGURATION: u16 = 0x011C;
const ICC_PROFILE: u16 = 0x8773;

/// Whether the directory holds a smaller copy of another page's picture.
fn is_reduced(directory: Directory<'_>) -> bool {
    directory.number(NEW_SUBFILE_TYPE).is_some_and(|kind| kind & 1 == 1)
}

/// What the samples of a pixel stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Samples {
    Gray,
    Rgb,
    /// Lightness and two differences, as JPEG has them.
    YCbCr,
    /// Cyan, magenta, yellow, black; 255 is full ink.
    Inks,
}

/// How opacity was stored, in a sample behind the colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opacity {
    None,
    /// Colours as they are.
    Plain,
    /// Colours already weakened by it.
    Multiplied,
}

/// How the pixels of a page are stored.
#[derive(Debug, Clone, Copy)]
struct Kind {
    colours: Samples,
    opacity: Opacity,
    /// Samples of each pixel as the decoder gives them.
    samples_count: usize,
    bits: u8,
    is_planar: bool,
}

impl Kind {
    fn of(color: ColorType, directory: Directory<'_>) -> Result<Self, DecodeError> {
        const FLOAT: u32 = 3;
        const SEPARATE_PLANES: u32 = 2;
        let refuse = |found: &'static str| Err(DecodeError::Unsupported { found: found.into() });
        if directory.number(SAMPLE_FORMAT).is_some_and(|format| format >= FLOAT) {
            return refuse("a TIFF of floating-point numbers; export it with 8 or 16 bits");
        }
        let (colours, samples_count, bits) = match color {
            ColorType::Gray(bits) => (Samples::Gray, 1, bits),
            ColorType::Multiband { bit_depth, num_samples } => {
                (Samples::Gray, usize::from(num_samples), bit_depth)
            }
            ColorType::RGB(bits) => (Samples::Rgb, 3, bits),
            ColorType::RGBA(bits) => (Samples::Rgb, 4, bits),
            ColorType::YCbCr(bits) => (Samples::YCbCr, 3, bits),
            ColorType::CMYK(bits) => (Samples::Inks, 4, bits),
            ColorType::CMYKA(bits) => (Samples::Inks, 5, bits),
            _ => return refuse("a TIFF in colours that cannot be read here; save it as RGB"),
        };
        if !matches!(bits, 1 | 2 | 4 | 8 | 16 | 32) {
            return refuse("a TIFF with an odd number of bits; export it with 8 or 16 bits");
        }
        let opacity = match (colours, samples_count, directory.number(EXTRA_SAMPLES)) {
            (Samples::Gray, 2.., Some(1)) | (Samples::Rgb, 4, Some(1)) => Opacity::Multiplied,
            (Samples::Gray, 2.., Some(2)) | (Samples::Rgb, 4, Some(2)) => Opacity::Plain,
            _ => Opacity::None,
        };
        let is_planar =
            directory.number(PLANAR_CONFIGURATION) == Some(SEPARATE_PLANES) && samples_count > 1;
        Ok(Self { colours, opacity, samples_count, bits, is_planar })
    }

    /// Turns pixels of `samples_count` samples into gray or colours with or without opacity,
    /// in place, and says how many channels they have now.
    fn to_channels(self, pixels: &mut Vec<u8>, inks: Option<&Inks>) -> usize {
        match (self.colours, self.samples_count) {
            (Samples::Gray, 3..) => {
                let kept = if self.opacity == Opacity::None { 1 } else { 2 };
                keep_first(pixels, self.samples_count, kept);
            }
            (Samples::Gray, 2) if self.opacity == Opacity::None => keep_first(pixels, 2, 1),
            (Samples::Rgb, 4) if self.opacity == Opacity::None => keep_first(pixels, 4, 3),
            (Samples::YCbCr, _) => pixels.chunks_exact_mut(3).for_each(ycbcr_to_rgb),
            (Samples::Inks, count) => {
                keep_first(pixels, count, 4);
                super::colour::inks_to_rgb(pixels, inks);
            }
            _ => {}
        }
        let channels = match self.colours {
            Samples::Gray => 1,
            _ => 3,
        } + usize::from(self.opacity != Opacity::None);
        if self.opacity == Opacity::Multiplied {
            pixels.chunks_exact_mut(channels).for_each(divide_by_opacity);
        }
        channels
    }
}

/// Drops all but the first `kept` samples of each pixel.
fn keep_first(pixels: &mut Vec<u8>, samples_count: usize, kept: usize) {
    let mut target = 0;
    for source in (0..pixels.len() / samples_count * samples_count).step_by(samples_count) {
        pixels.copy_within(source..source + kept, target);
        target += kept;
    }
    pixels.truncate(target);
}

/// ITU-R BT.601 at full range, as JFIF has it.
fn ycbcr_to_rgb(pixel: &mut [u8]) {
    let [y, cb, cr] = [pixel[0], pixel[1], pixel[2]].map(f32::from);
    let (cb, cr) = (cb - 128.0, cr - 128.0);
    let rgb = [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb];
    for (target, value) in pixel.iter_mut().zip(rgb) {
        *target = to_byte(value);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bounded to what a byte holds just before"
)]
fn to_byte(value: f32) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

fn divide_by_opacity(pixel: &mut [u8]) {
    let Some((alpha, colours)) = pixel.split_last_mut() else { return };
    let alpha = u32::from(*alpha).max(1);
    for colour in colours {
        *colour = u8::try_from(u32::from(*colour) * 255 / alpha).unwrap_or(u8::MAX);
    }
}

/// Rows of strips or tiles, from top to bottom, with 8 bits a sample.
struct Bands<'a> {
    decoder: Decoder<Cursor<&'a [u8]>>,
    kind: Kind,
    width: usize,
    /// Strips or tiles beside each other, and all rows of them.
    across: u32,
    down: u32,
    next_row: u32,
    pixels: Vec<u8>,
}

impl<'a> Bands<'a> {
    fn new(
        mut decoder: Decoder<Cursor<&'a [u8]>>,
        kind: Kind,
        width_px: u32,
    ) -> Result<Self, DecodeError> {
        let count = match decoder.get_chunk_type() {
            ChunkType::Strip => decoder.strip_count(),
            ChunkType::Tile => decoder.tile_count(),
        }
        .map_err(judge)?;
        let planes = if kind.is_planar { kind.samples_count } else { 1 };
        let (chunk_width, chunk_height) = decoder.chunk_dimensions();
        let across = width_px.div_ceil(chunk_width.max(1));
        let per_plane = count / u32::try_from(planes).unwrap_or(1);
        // A strip is as high as the header says, even where the picture is lower.
        let height = decoder.dimensions().map_err(judge)?.1.min(chunk_height);
        let pixel_bytes = kind.samples_count as u64 * u64::from(kind.bits).div_ceil(8);
        check_memory(u64::from(width_px) * u64::from(height) * pixel_bytes * COPIES_OF_A_STRIP)?;
        Ok(Self {
            decoder,
            kind,
            width: width_px as usize,
            across,
            down: per_plane / across.max(1),
            next_row: 0,
            pixels: Vec::new(),
        })
    }

    fn next(&mut self) -> Result<Option<&mut Vec<u8>>, DecodeError> {
        if self.next_row == self.down {
            return Ok(None);
        }
        let first = self.next_row * self.across;
        self.next_row += 1;
        let samples_count = self.kind.samples_count;
        self.pixels.clear();
        let mut left = 0;
        for chunk in first..first + self.across {
            let (width, height) = self.decoder.chunk_data_dimensions(chunk);
            let (width, height) = (width as usize, height as usize);
            self.pixels.resize(self.width * height * samples_count, 0);
            let planes = if self.kind.is_planar { samples_count } else { 1 };
            for plane in 0..planes {
                let at = u64::from(chunk) + plane as u64 * u64::from(self.down * self.across);
                let at = u32::try_from(at).map_err(DecodeError::damaged)?;
                let decoded = self.decoder.read_chunk(at).map_err(judge)?;
                let samples = to_bytes(decoded, self.kind.bits, width * samples_count / planes)?;
                self.place(&samples, Place { left, width, plane, planes });
            }
            left += width;
        }
        Ok(Some(&mut self.pixels))
    }

    /// Copies the samples of one strip or tile, or of one plane of it, to their places.
    fn place(&mut self, samples: &[u8], place: Place) {
        let samples_count = self.kind.samples_count;
        let row_samples = place.width * samples_count / place.planes;
        for (row, source) in samples.chunks_exact(row_samples.max(1)).enumerate() {
            let begin = (row * self.width + place.left) * samples_count;
            let Some(target) = self.pixels.get_mut(begin..begin + place.width * samples_count)
            else {
                return;
            };
            if place.planes == 1 {
                target.copy_from_slice(source);
            } else {
                for (pixel, sample) in target.chunks_exact_mut(samples_count).zip(source) {
                    pixel[place.plane] = *sample;
                }
            }
        }
    }
}

/// Where samples belong in a band.
#[derive(Clone, Copy)]
struct Place {
    left: usize,
    width: usize,
    plane: usize,
    planes: usize,
}

/// Samples of any width in 8 bits.
///
/// - `row_samples`: samples of a row; rows of less than 8 bits a sample end at whole bytes
fn to_bytes(decoded: DecodingResult, bits: u8, row_samples: usize) -> Result<Vec<u8>, DecodeError> {
    let top = |value: u32| u8::try_from(value).unwrap_or(u8::MAX);
    match decoded {
        DecodingResult::U8(bytes) if bits == 8 => Ok(bytes),
        DecodingResult::U8(bytes) => {
            let (bits, row_bytes) =
                (usize::from(bits), (row_samples * usize::from(bits)).div_ceil(8));
            let mask = (1_u8 << bits) - 1;
            let rows = bytes.chunks_exact(row_bytes.max(1));
            Ok(rows
                .flat_map(|row| {
                    (0..row_samples).map(move |at| {
                        let bit = at * bits;
                        let value = row[bit / 8] >> (8 - bits - bit % 8) & mask;
                        value * (u8::MAX / mask)
                    })
                })
                .collect())
        }
        DecodingResult::U16(values) => {
            Ok(values.into_iter().map(|value| top(u32::from(value >> 8))).collect())
        }
        DecodingResult::U32(values) => Ok(values.into_iter().map(|v| top(v >> 24)).collect()),
        _ => Err(DecodeError::Unsupported {
            found: "a TIFF of signed or floating-point numbers; export it with 8 or 16 bits".into(),
        }),
    }
}

fn judge(error: TiffError) -> DecodeError {
    match error {
        TiffError::UnsupportedError(_) => DecodeError::Unsupported {
            found: "a TIFF of a kind that cannot be read here; save it as RGB with 8 or 16 bits"
                .into(),
        },
        TiffError::LimitsExceeded => DecodeError::TooCostly { needs: "too much memory".to_owned() },
        other => DecodeError::damaged(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;
    use tiff::encoder::{TiffEncoder, colortype};

    use super::*;
    use crate::media::ifd::tests::{Builder, Value};

    fn rgb(width_px: u32, height_px: u32) -> Vec<u8> {
        let data: Vec<u8> = (0..height_px)
            .flat_map(|y| (0..width_px).flat_map(move |x| [x, y, x ^ y]))
            .map(|value| u8::try_from(value % 256).expect("a byte"))
            .collect();
        let mut bytes = Cursor::new(Vec::new());
        let mut encoder = TiffEncoder::new(&mut bytes).expect("a header");
        encoder.write_image::<colortype::RGB8>(width_px, height_px, &data).expect("a picture");
        bytes.into_inner()
    }

    /// One pixel, or several in a row, as uncompressed samples.
    fn row(width_px: u32, samples: &[u8], entries: &[(u16, Value)]) -> Vec<u8> {
        let mut builder = Builder::new();
        let at = builder.put(samples);
        let mut all = vec![
            (0x0100, Value::Longs(vec![width_px])),
            (0x0101, Value::Longs(vec![1])),
            (0x0111, Value::Longs(vec![at])),
            (0x0117, Value::Longs(vec![u32::try_from(samples.len()).expect("short")])),
        ];
        all.extend_from_slice(entries);
        all.sort_by_key(|(tag, _)| *tag);
        let first = builder.directory(&all, 0);
        builder.finish(first)
    }

    fn shorts(values: &[u16]) -> Value {
        Value::Shorts(values.to_vec())
    }

    #[test]
    fn samples_of_every_kind_become_rgb() {
        let bits = |values: &[u16]| (0x0102, shorts(values));
        let colours = |number| (0x0106, Value::Short(number));
        let samples = |number| (0x0115, Value::Short(number));
        type Case<'a> = (&'a str, u32, &'a [u8], Vec<(u16, Value)>, &'a [u8]);
        let cases: [Case<'_>; 9] = [
            ("gray", 2, &[7, 9], vec![bits(&[8]), colours(1)], &[7, 7, 7, 9, 9, 9]),
            ("white is 0", 1, &[7], vec![bits(&[8]), colours(0)], &[248; 3]),
            (
                "1 bit",
                3,
                &[0b1010_0000],
                vec![bits(&[1]), colours(1)],
                &[255, 255, 255, 0, 0, 0, 255, 255, 255],
            ),
            (
                "4 bits",
                3,
                &[0x0F, 0x80],
                vec![bits(&[4]), colours(1)],
                &[0, 0, 0, 255, 255, 255, 136, 136, 136],
            ),
            (
                "16 bits",
                1,
                &[99, 1, 99, 2, 99, 3],
                vec![bits(&[16; 3]), colours(2), samples(3)],
                &[1, 2, 3],
            ),
            (
                "opacity",
                2,
                &[1, 2, 3, 255, 1, 2, 3, 0],
                vec![bits(&[8; 4]), colours(2), samples(4), (0x0152, Value::Short(2))],
                &[1, 2, 3, 255, 255, 255],
            ),
            (
                "opacity in the colours",
                1,
                &[50, 60, 70, 128],
                vec![bits(&[8; 4]), colours(2), samples(4), (0x0152, Value::Short(1))],
                &[177, 187, 197],
            ),
            ("inks", 1, &[0, 0, 0, 255], vec![bits(&[8; 4]), colours(5), samples(4)], &[0; 3]),
            (
                "lightness and differences",
                1,
                &[76, 85, 255],
                vec![bits(&[8; 3]), colours(6), samples(3), (0x0212, shorts(&[1, 1]))],
                &[254, 0, 0],
            ),
        ];
        for (name, width_px, data, entries, wanted) in cases {
            let stored = decode(&row(width_px, data, &entries), DecodeSpec::default())
                .unwrap_or_else(|error| panic!("{name}: {error:?}"));
            assert_eq!(stored.frame.rgb(), wanted, "{name}");
        }
    }

    #[test]
    fn planes_are_put_together() {
        let mut builder = Builder::new();
        let places: Vec<u32> = [[1, 2], [3, 4], [5, 6]].map(|plane| builder.put(&plane)).to_vec();
        let first = builder.directory(
            &[
                (0x0100, Value::Longs(vec![2])),
                (0x0101, Value::Longs(vec![1])),
                (0x0102, shorts(&[8; 3])),
                (0x0106, Value::Short(2)),
                (0x0111, Value::Longs(places)),
                (0x0115, Value::Short(3)),
                (0x0117, Value::Longs(vec![2; 3])),
                (0x011C, Value::Short(2)),
            ],
            0,
        );
        let stored = decode(&builder.finish(first), DecodeSpec::default()).expect("decodes");
        assert_eq!(stored.frame.rgb(), [1, 3, 5, 2, 4, 6]);
    }

    #[test]
    fn kinds_that_are_refused_are_named() {
        let bits = |values: &[u16]| (0x0102, shorts(values));
        for (entries, wanted) in [
            (vec![bits(&[32]), (0x0106, Value::Short(1)), (0x0153, Value::Short(3))], "floating"),
            (vec![bits(&[8]), (0x0106, Value::Short(3))], "cannot be read here"),
            (vec![bits(&[12]), (0x0106, Value::Short(1))], "odd number of bits"),
        ] {
            let error = decode(&row(1, &[0; 8], &entries), DecodeSpec::default()).expect_err("odd");
            assert!(error.to_string().contains(wanted), "{error}");
        }
    }

    #[test]
    fn large_picture_is_averaged_and_still_covers() {
        let spec = DecodeSpec { cover_px: 100, ..DecodeSpec::default() };
        let stored = decode(&rgb(1001, 403), spec).expect("decodes");
        assert_eq!((stored.frame.width_px(), stored.frame.height_px()), (201, 81));
        assert_eq!((stored.width_px, stored.height_px), (1001, 403));
        let at = (201 + 1) * 3;
        assert_eq!(stored.frame.rgb()[at..at + 2], [7, 7]);
    }

    #[test]
    fn full_picture_is_taken_before_its_smaller_copy() {
        let mut builder = Builder::new();
        let page = |builder: &mut Builder, value: u8, kind: u32, next: u32| {
            let at = builder.put(&[value]);
            builder.directory(
                &[
                    (0x00FE, Value::Longs(vec![kind])),
                    (0x0100, Value::Short(1)),
                    (0x0101, Value::Short(1)),
                    (0x0102, Value::Short(8)),
                    (0x0106, Value::Short(1)),
                    (0x0111, Value::Longs(vec![at])),
                    (0x0117, Value::Longs(vec![1])),
                ],
                next,
            )
        };
        let second = page(&mut builder, 22, 0, 0);
        let first = page(&mut builder, 11, 1, second);
        let stored = decode(&builder.finish(first), DecodeSpec::default()).expect("decodes");
        assert_eq!(stored.frame.rgb(), [22; 3]);
    }

    #[test]
    fn file_cut_anywhere_ends_early() {
        let bytes = rgb(60, 40);
        for end in 8..bytes.len() - 4 {
            let error = decode(&bytes[..end], DecodeSpec::default()).expect_err("cut");
            let is_early = matches!(error, DecodeError::EndsEarly);
            // Cut inside the directory, which comes last, its entries are missing.
            assert!(is_early || end > 60 * 40 * 3, "cut at {end}: {error:?}");
        }
    }

    #[test]
    fn strip_larger_than_memory_is_refused() {
        let size = |number| Value::Longs(vec![number]);
        let bytes = row(
            1,
            &[0; 8],
            &[(0x0102, Value::Short(16)), (0x0106, Value::Short(1)), (0x0116, size(14_000))],
        );
        let mut builder = Builder { bytes };
        let first = builder.directory(
            &[
                (0x0100, size(14_000)),
                (0x0101, size(14_000)),
                (0x0102, Value::Short(16)),
                (0x0106, Value::Short(1)),
                (0x0111, size(8)),
                (0x0117, size(8)),
            ],
            0,
        );
        let error = decode(&builder.finish(first), DecodeSpec::default()).expect_err("a bomb");
        assert!(matches!(error, DecodeError::TooCostly { .. }), "{error:?}");
    }

    proptest! {
        #[test]
        fn any_changed_byte_is_survived(at in 4_usize..9000, value: u8) {
            let mut bytes = rgb(24, 16);
            let at = at % bytes.len();
            bytes[at] = value;
            let spec = DecodeSpec { cover_px: 8, pixels_max: 1_000_000, ..DecodeSpec::default() };
            let _either = decode(&bytes, spec);
        }
    }
}
