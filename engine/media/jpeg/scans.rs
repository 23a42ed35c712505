//! Finds the scans of a progressive JPEG that a small preview can do without.
//!
//! In:  a progressive file, and how much smaller the picture will be.
//! Out: the same file without those scans, for libjpeg-turbo to decode.
//!
//! A progressive file brings its coefficients in scans: first their upper bits, later the
//! lower ones, and the last scans are the largest by far. What a scan would still change
//! can be bounded without reading it. A coefficient of which `n` low bits are missing is too
//! small by less than `2^n` steps of its quantisation table; as small values are commoner
//! than large ones, the mean square of what is missing is at most that of a uniform
//! spread. Summed over all coefficients that a picture of the wanted size can still show,
//! that is a mean square error of the pixels (Parseval), and so a PSNR. Scans are left
//! out, from the last to the first, while that bound stays above [`PSNR_DB_MIN`].
//!
//! What it promises was measured on 12-megapixel photos and on mosaics full of detail, in
//! qualities 50 to 96 and three scan scripts: between 38 and 48 dB the preview was always
//! closer to that of the full decode than the bound says, by 0.7 to 11 dB.
//!
//! libjpeg-turbo would take time to guess the missing bits. So the file it gets says that
//! none are missing: its scans count fewer bits, and the steps of its tables are as much
//! larger. The coefficients are the same.
//!
//! **What is no longer noticed:** damage inside a scan that is left out. The markers are
//! walked to the end all the same, so a file that was cut is still told apart.

use std::f64::consts::PI;

use super::markers::{self, END, FrameHeader, QUANTISATION, SCAN, Segment};

/// How like that of the full decode the preview has to be: 38 dB, and a reserve.
const PSNR_DB_MIN: f64 = 39.0;

/// Files with more scans are decoded as they are.
const SCANS_MAX: usize = 40;

/// Every scan of a file, and whether the end marker follows the last one.
#[derive(Debug)]
pub(super) struct Scans<'a> {
    segments: Vec<Segment<'a>>,
    /// How many there are.
    pub(super) count: u64,
    /// Whether the file is whole.
    pub(super) has_end: bool,
}

impl<'a> Scans<'a> {
    /// Walks the whole file.
    pub(super) fn read(bytes: &'a [u8]) -> Self {
        let segments: Vec<_> = markers::all(bytes).collect();
        let count = segments.iter().filter(|segment| segment.marker == SCAN).count() as u64;
        let has_end = segments.last().is_some_and(|segment| segment.marker == END);
        Self { segments, count, has_end }
    }

    /// A file for a picture smaller by `ratio`, without the scans that it can do without, or
    /// `None` when it needs them all.
    ///
    /// - `ratio`: long side of what is wanted, divided by that of the original; up to 1
    pub(super) fn shorten(&self, bytes: &[u8], frame: &FrameHeader, ratio: f64) -> Option<Vec<u8>> {
        let script = Script::read(&self.segments, frame)?;
        let is_kept = script.choose(&Visible::new(frame, &script.tables, ratio));
        if !self.has_end || is_kept.iter().all(|kept| *kept) {
            return None;
        }
        let missing = script.missing(&is_kept)?;
        let mut short = Vec::with_capacity(bytes.len());
        short.extend_from_slice(bytes.get(..2)?);
        write_tables(&mut short, frame, &script.tables, &missing)?;
        let mut scans = script.scans.iter().zip(&is_kept);
        for (at, segment) in self.segments.iter().enumerate() {
            match segment.marker {
                QUANTISATION => continue,
                SCAN => {}
                _ => {
                    let begin = short.len();
                    short.extend_from_slice(bytes.get(segment.begin..segment.end)?);
                    if segment.is_frame() {
                        own_tables(short.get_mut(begin..)?, frame)?;
                    }
                    continue;
                }
            }
            let (scan, is_kept) = scans.next()?;
            if !is_kept {
                continue;
            }
            // The bits that will stay missing are taken off those that the header counts.
            let off = scan.common(&missing)?;
            let (last, head) = bytes.get(segment.begin..segment.end)?.split_last()?;
            short.extend_from_slice(head);
            let before = scan.before.map_or(0, |before| before.saturating_sub(off));
            short.push(before << 4 | ((*last & 15).saturating_sub(off)));
            // Coded data reaches from the scan header to the next marker.
            let next = self.segments.get(at + 1)?.begin;
            short.extend_from_slice(bytes.get(segment.end..next)?);
        }
        Some(short)
    }
}

/// Writes a table for each component, in which each step is as large as the bits that stay
/// missing make it.
fn write_tables(
    short: &mut Vec<u8>,
    frame: &FrameHeader,
    tables: &[[u16; 64]; 4],
    missing: &Missing,
) -> Option<()> {
    for (number, (component, missing)) in (0_u8..).zip(frame.components.iter().zip(missing)) {
        // Length 2 + 1 + 128; 16 bits a step.
        short.extend_from_slice(&[0xFF, QUANTISATION, 0, 131, 0x10 | number]);
        for (step, bits) in tables.get(usize::from(component.table))?.iter().zip(missing) {
            let step = u32::from(*step) << bits.unwrap_or(0);
            short.extend_from_slice(&u16::try_from(step).ok()?.to_be_bytes());
        }
    }
    Some(())
}

/// Makes a frame header name those tables.
fn own_tables(header: &mut [u8], frame: &FrameHeader) -> Option<()> {
    // Marker, length, bits, height, width, count; then id, factors and table of each.
    for (number, place) in (0_u8..).zip((12..).step_by(3)).take(frame.components.len()) {
        *header.get_mut(place)? = number;
    }
    Some(())
}

/// One scan: which coefficients of which components, and which of their bits.
#[derive(Debug, Clone)]
struct Scan {
    /// Places in the frame header.
    components: Vec<usize>,
    /// First and last coefficient, in zigzag order.
    band: (usize, usize),
    /// Bits still missing before it; none for a band's first scan.
    before: Option<u8>,
    /// Bits still missing behind it.
    behind: u8,
}

/// Bits still missing of each coefficient of each component; `None`: nothing is known.
type Missing = Vec<[Option<u8>; 64]>;

/// All scans in order, with the tables in force.
#[derive(Debug)]
struct Script {
    scans: Vec<Scan>,
    components_count: usize,
    /// Steps of each quantisation table, in zigzag order.
    tables: [[u16; 64]; 4],
}

impl Script {
    /// `None` for anything out of the ordinary.
    fn read(segments: &[Segment<'_>], frame: &FrameHeader) -> Option<Self> {
        let (mut scans, mut tables) = (Vec::new(), [[0; 64]; 4]);
        for segment in segments {
            match segment.marker {
                // A table that changes between scans would need to be kept per component.
                QUANTISATION if scans.is_empty() => read_tables(segment.payload, &mut tables)?,
                QUANTISATION => return None,
                SCAN => scans.push(Scan::read(segment.payload, frame)?),
                _ => {}
            }
        }
        let is_usual = scans.len() <= SCANS_MAX
            && matches!(frame.components.len(), 1 | 3)
            && frame.components.iter().all(|component| component.table < 4);
        is_usual.then_some(Self { scans, components_count: frame.components.len(), tables })
    }

    /// Leaves out what can be left out, from the last scan to the first.
    fn choose(&self, visible: &Visible) -> Vec<bool> {
        let mut is_kept = vec![true; self.scans.len()];
        let Some(full) = self.missing(&is_kept) else {
            return is_kept;
        };
        for at in (0..is_kept.len()).rev() {
            is_kept[at] = false;
            let is_good = self
                .missing(&is_kept)
                .is_some_and(|missing| visible.psnr_db(&missing, &full) >= PSNR_DB_MIN);
            is_kept[at] = !is_good;
        }
        is_kept
    }

    /// What is missing behind the kept scans; `None` when they do not build on each other.
    fn missing(&self, is_kept: &[bool]) -> Option<Missing> {
        let mut missing = vec![[None; 64]; self.components_count];
        for (scan, _) in self.scans.iter().zip(is_kept).filter(|(_, kept)| **kept) {
            for component in &scan.components {
                for bits in &mut missing[*component][scan.band.0..=scan.band.1] {
                    if *bits != scan.before {
                        return None;
                    }
                    *bits = Some(scan.behind);
                }
            }
        }
        Some(missing)
    }
}

impl Scan {
    /// The bits that stay missing of what it tells of, when they are the same for all.
    fn common(&self, missing: &Missing) -> Option<u8> {
        let mut bits = self
            .components
            .iter()
            .flat_map(|component| &missing[*component][self.band.0..=self.band.1])
            .map(|bits| bits.unwrap_or(0));
        let first = bits.next()?;
        bits.all(|other| other == first).then_some(first)
    }

    fn read(payload: &[u8], frame: &FrameHeader) -> Option<Self> {
        let (count, rest) = payload.split_first()?;
        let (ids, rest) = rest.split_at_checked(usize::from(*count) * 2)?;
        let [first, last, bits, ..] = *rest else {
            return None;
        };
        let components = ids
            .chunks_exact(2)
            .map(|pair| frame.components.iter().position(|component| component.id == pair[0]))
            .collect::<Option<Vec<_>>>()?;
        let band = (usize::from(first), usize::from(last));
        let (before, behind) = (bits >> 4, bits & 15);
        (band.0 <= band.1 && band.1 < 64 && behind <= 13).then_some(Self {
            components,
            band,
            before: (before > 0).then_some(before),
            behind,
        })
    }
}

/// Several tables may share one segment (T.81, B.2.4.1).
fn read_tables(mut payload: &[u8], tables: &mut [[u16; 64]; 4]) -> Option<()> {
    while let Some((head, rest)) = payload.split_first() {
        let (is_wide, table) = (head >> 4 == 1, tables.get_mut(usize::from(head & 15))?);
        let (raw, behind) = rest.split_at_checked(if is_wide { 128 } else { 64 })?;
        for (at, step) in table.iter_mut().enumerate() {
            *step = if is_wide {
                u16::from_be_bytes([raw[at * 2], raw[at * 2 + 1]])
            } else {
                u16::from(raw[at])
            };
        }
        payload = behind;
    }
    Some(())
}

/// How much one step of each coefficient changes the pixels of the small picture: mean
/// square over red, green and blue.
#[derive(Debug)]
struct Visible {
    power: Vec<[f64; 64]>,
}

impl Visible {
    fn new(frame: &FrameHeader, tables: &[[u16; 64]; 4], ratio: f64) -> Self {
        // From Y, Cb and Cr to the mean of red, green and blue (JFIF's matrix, squared).
        let colour_power: &[f64] =
            if frame.components.len() == 1 { &[1.0] } else { &[1.0, 1.086, 0.825] };
        let (x_max, y_max) = frame.factors_max();
        let power = frame.components.iter().zip(colour_power).map(|(component, colour)| {
            // A component with half the samples shows twice the share of its waves.
            let (x, y) = (
                ratio * f64::from(x_max) / f64::from(component.factors.0.max(1)),
                ratio * f64::from(y_max) / f64::from(component.factors.1.max(1)),
            );
            let (x, y) = (passes(x), passes(y));
            let steps = &tables[usize::from(component.table)];
            std::array::from_fn(|at| {
                let (column, row) = ZIGZAG[at];
                let step = f64::from(steps[at]);
                colour * x[usize::from(column)] * y[usize::from(row)] * step * step / 64.0
            })
        });
        Self { power: power.collect() }
    }

    /// The PSNR that the preview has at least when these bits are missing of which `full`
    /// has some.
    fn psnr_db(&self, missing: &Missing, full: &Missing) -> f64 {
        let mut error = 0.0;
        for ((power, missing), full) in self.power.iter().zip(missing).zip(full) {
            // Means of blocks are not spread evenly, as in a clear sky; their scans are small.
            if missing[0] != full[0] {
                return 0.0;
            }
            for ((power, missing), full) in power.iter().zip(missing).zip(full) {
                error += match (missing, full) {
                    (Some(missing), Some(full)) if missing > full => {
                        // Uniform over 0, 1, … n - 1 steps of 2^full.
                        let n = f64::from(1_u32 << (missing - full));
                        let step = f64::from(1_u32 << full);
                        power * step * step * (n - 1.0) * (2.0 * n - 1.0) / 6.0
                    }
                    (None, Some(_)) if *power > 0.0 => f64::INFINITY,
                    _ => 0.0,
                };
            }
        }
        10.0 * (255.0 * 255.0 / error).log10()
    }
}

/// Share of the power of each of a block's eight waves, along one side, that is left when the
/// picture gets smaller by `ratio`; all of it when it does not.
///
/// A wave of a block is cut off at the block's borders, so it is spread over frequencies. The
/// resize weakens each as Catmull-Rom does (Keys 1981).
fn passes(ratio: f64) -> [f64; 8] {
    const STEPS: u32 = 64;
    if ratio >= 1.0 {
        return [1.0; 8];
    }
    let mut left = [0.0; 8];
    for (wave, left) in (0_u8..).zip(&mut left) {
        let sample = |x: u8| (f64::from(2 * x + 1) * f64::from(wave) * PI / 16.0).cos();
        let mut all = 0.0;
        for step in 0..STEPS {
            // Cycles a sample, up to a half.
            let frequency = (f64::from(step) + 0.5) / f64::from(2 * STEPS);
            let at = |x: u8| f64::from(x) * frequency * 2.0 * PI;
            let sum = |part: fn(f64) -> f64| (0..8).map(|x| sample(x) * part(at(x))).sum::<f64>();
            let power = sum(f64::cos).powi(2) + sum(f64::sin).powi(2);
            all += power;
            *left += power * catmull_rom(frequency / ratio).powi(2);
        }
        *left /= all;
    }
    left
}

/// How much of a wave is left that has `f` cycles, above 0, for each pixel of the result.
fn catmull_rom(f: f64) -> f64 {
    let sinc = |x: f64| (PI * x).sin() / (PI * x);
    let scale = (PI * f).powi(2);
    3.0 / scale * (sinc(f).powi(2) - sinc(2.0 * f))
        - 1.0 / scale * (3.0 * sinc(2.0 * f).powi(2) - 2.0 * sinc(2.0 * f) - sinc(4.0 * f))
}

/// (column, row) of each coefficient in zigzag order (T.81, figure A.6).
const ZIGZAG: [(u8, u8); 64] = zigzag();

const fn zigzag() -> [(u8, u8); 64] {
    let mut order = [(0, 0); 64];
    let (mut column, mut row, mut at) = (0_u8, 0_u8, 0);
    while at < 64 {
        order[at] = (column, row);
        if (column + row).is_multiple_of(2) {
            // Up and to the right.
            if column == 7 {
                row += 1;
            } else {
                column += 1;
                row = row.saturating_sub(1);
            }
        } else if row == 7 {
            column += 1;
        } else {
            row += 1;
            column = column.saturating_sub(1);
        }
        at += 1;
    }
    order
}

#[cfg(test)]
mod tests {
    use turbojpeg::{Compressor, Decompressor, Image, PixelFormat, Subsamp};

    use super::*;
    use crate::media::{DecodeSpec, decode};

    fn progressive(quality: i32, subsamp: Subsamp) -> Vec<u8> {
        let image = Image::mandelbrot(1600, 1200, PixelFormat::RGB);
        let mut compressor = Compressor::new().expect("a compressor");
        compressor.set_quality(quality).expect("a quality");
        compressor.set_subsamp(subsamp).expect("a sampling");
        compressor.set_progressive(true).expect("a mode");
        compressor.compress_to_vec(image.as_deref()).expect("compresses")
    }

    fn short(bytes: &[u8], ratio: f64) -> Option<Vec<u8>> {
        let frame = FrameHeader::read(bytes).expect("a frame header");
        Scans::read(bytes).shorten(bytes, &frame, ratio)
    }

    /// Decodes at the scale that covers 400 px, as the whole module does.
    fn quarter(bytes: &[u8]) -> Vec<u8> {
        let mut decoder = Decompressor::new().expect("a decoder");
        decoder.set_scaling_factor(turbojpeg::ScalingFactor::ONE_QUARTER).expect("a factor");
        let (width, height) = (400, 300);
        let mut pixels = vec![0; width * height * 3];
        let format = PixelFormat::RGB;
        let image =
            Image { pixels: pixels.as_mut_slice(), width, pitch: width * 3, height, format };
        decoder.decompress(bytes, image).expect("decodes");
        pixels
    }

    fn psnr_db(a: &[u8], b: &[u8]) -> f64 {
        let error: f64 =
            a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
        10.0 * (255.0 * 255.0 * a.len() as f64 / error).log10()
    }

    #[test]
    fn preview_without_the_last_scans_is_close_to_that_of_the_whole_file() {
        for subsamp in [Subsamp::None, Subsamp::Sub2x1, Subsamp::Sub2x2, Subsamp::Gray] {
            for quality in [60, 75, 90, 96] {
                let bytes = progressive(quality, subsamp);
                let short = short(&bytes, 0.25).expect("there is something to leave out");
                assert!(short.len() < bytes.len() * 9 / 10, "{subsamp:?} {quality}");
                let found = decode(&bytes, DecodeSpec { cover_px: 400, ..DecodeSpec::default() });
                let found = found.expect("decodes").frame.into_rgb();
                assert_eq!(found, quarter(&short), "it is what is decoded");
                let likeness = psnr_db(&found, &quarter(&bytes));
                assert!(likeness >= 38.0, "{subsamp:?} {quality}: {likeness} dB");
            }
        }
    }

    #[test]
    fn coarse_file_at_full_size_is_left_whole() {
        assert!(short(&progressive(10, Subsamp::Sub2x2), 1.0).is_none());
    }

    #[test]
    fn baseline_file_is_left_whole() {
        let image = Image::mandelbrot(64, 64, PixelFormat::RGB);
        let mut compressor = Compressor::new().expect("a compressor");
        let bytes = compressor.compress_to_vec(image.as_deref()).expect("compresses");
        assert!(short(&bytes, 0.1).is_none());
    }

    #[test]
    fn file_cut_in_a_scan_that_is_left_out_is_noticed() {
        let bytes = progressive(90, Subsamp::Sub2x2);
        assert!(short(&bytes, 0.25).is_some());
        assert!(short(&bytes[..bytes.len() - 1000], 0.25).is_none());
    }

    #[test]
    fn scans_that_do_not_build_on_each_other_are_not_judged() {
        let bytes = progressive(90, Subsamp::Sub2x2);
        let last = markers::all(&bytes).filter(|found| found.marker == SCAN).last();
        let at = last.expect("a scan").end - 1;
        let mut odd = bytes;
        odd[at] = 0x31; // From 3 missing bits to 1, where there was one missing.
        assert!(short(&odd, 0.25).is_none());
    }

    #[test]
    fn zigzag_runs_as_in_the_standard() {
        assert_eq!(ZIGZAG[..6], [(0, 0), (1, 0), (0, 1), (0, 2), (1, 1), (2, 0)]);
        assert_eq!(ZIGZAG[28], (7, 0));
        assert_eq!(ZIGZAG[61..], [(7, 6), (6, 7), (7, 7)]);
    }

    #[test]
    fn small_pictures_show_slow_waves_only() {
        let quarter = passes(0.25);
        assert!(quarter[0] > 0.8 && quarter[7] < 0.02, "{quarter:?}");
        assert!(quarter.windows(2).all(|pair| pair[0] > pair[1]), "{quarter:?}");
        assert!(passes(1.0).iter().all(|share| (share - 1.0).abs() < 1e-12));
    }
}
