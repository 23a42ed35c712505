//! Ten thousand mutations of good pictures through the real workers: each ends in a picture
//! or a reason, no worker grows, nobody dies for it.
//!
//! The mutator is seeded: a failure names its seed and comes again. It flips bits, cuts out,
//! doubles and moves pieces, sets what looks like lengths to extremes, splices two pictures
//! and cuts the end off.

#![expect(clippy::expect_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use image_webp::{ColorType, WebPEncoder};
use signet::base::causes::one_line;
use signet::media::sandbox::MEMORY_BYTES_MAX;
use signet::media::{DecodeSpec, Decoder, Decoders, Retry, SandboxError, SharedBytes};
use turbojpeg::{Compressor, Image, PixelFormat, Subsamp};

use crate::common::{note, shared};
use crate::composite::Dice;

const MUTATIONS_COUNT: u64 = 10_000;

const SIDES_PX: (usize, usize) = (96, 64);

/// Decoders as the program itself has them.
pub(crate) fn real_decoders() -> Decoders {
    Decoders::of_program(PathBuf::from(env!("CARGO_BIN_EXE_signet")), ["decode-worker"])
}

/// A small picture in each format and flavour that can be written here.
pub(crate) fn good_files() -> Vec<(&'static str, Vec<u8>)> {
    let (width, height) = SIDES_PX;
    let image = Image::mandelbrot(width, height, PixelFormat::RGB);
    let jpeg = |progressive, subsampling| {
        let mut compressor = Compressor::new().expect("a compressor");
        compressor.set_quality(85).expect("a quality");
        compressor.set_subsamp(subsampling).expect("a sampling");
        compressor.set_progressive(progressive).expect("a mode");
        compressor.compress_to_vec(image.as_deref()).expect("compresses")
    };
    vec![
        ("jpeg", jpeg(false, Subsamp::Sub2x2)),
        ("progressive jpeg", jpeg(true, Subsamp::None)),
        ("png", png(&image.pixels, png::BitDepth::Eight)),
        ("deep png", png(&[&image.pixels[..], &image.pixels[..]].concat(), png::BitDepth::Sixteen)),
        ("webp", webp(&image.pixels)),
        ("gif", gif(&image.pixels)),
        ("tiff", tiff(&image.pixels)),
    ]
}

fn sides() -> (u32, u32) {
    let side = |px: usize| u32::try_from(px).expect("small");
    (side(SIDES_PX.0), side(SIDES_PX.1))
}

fn png(rgb: &[u8], depth: png::BitDepth) -> Vec<u8> {
    let (width_px, height_px) = sides();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width_px, height_px);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(depth);
    encoder.write_header().expect("a header").write_image_data(rgb).expect("pixels");
    bytes
}

fn webp(rgb: &[u8]) -> Vec<u8> {
    let (width_px, height_px) = sides();
    let mut bytes = Vec::new();
    let mut encoder = WebPEncoder::new(&mut bytes);
    encoder.set_exif_metadata(b"II*\0\x08\0\0\0\0\0".to_vec());
    encoder.encode(rgb, width_px, height_px, ColorType::Rgb8).expect("encodes");
    bytes
}

/// Grey, 7 bits, without compression: a clear code comes before codes grow longer.
fn gif(rgb: &[u8]) -> Vec<u8> {
    let [width, height] = [SIDES_PX.0, SIDES_PX.1].map(|px| u16::try_from(px).expect("small"));
    let sides = [width.to_le_bytes(), height.to_le_bytes()].concat();
    let mut bytes = [b"GIF89a".as_slice(), &sides, &[0xF6, 0, 0]].concat();
    (0..128).for_each(|grey: u8| bytes.extend_from_slice(&[grey * 2; 3]));
    bytes.extend_from_slice(&[0x2C, 0, 0, 0, 0]);
    bytes.extend_from_slice(&sides);
    bytes.extend_from_slice(&[0, 7]);
    let (clear, end) = (128, 129);
    let greys: Vec<u8> = rgb.chunks_exact(3).map(|pixel| pixel[0] / 2).collect();
    let codes = greys.chunks(100).flat_map(|run| [clear].into_iter().chain(run.iter().copied()));
    let codes: Vec<u8> = codes.chain([end]).collect();
    for block in codes.chunks(255) {
        bytes.push(u8::try_from(block.len()).expect("a block"));
        bytes.extend_from_slice(block);
    }
    bytes.extend_from_slice(&[0, 0x3B]);
    bytes
}

/// Little-endian, one strip, without compression.
fn tiff(rgb: &[u8]) -> Vec<u8> {
    let (width_px, height_px) = sides();
    let pixels_at = 8;
    let length = u32::try_from(rgb.len()).expect("small");
    let depths_at = pixels_at + length;
    let directory_at = depths_at + 6;
    let entries: [(u16, u16, u32, u32); 9] = [
        (0x100, 4, 1, width_px),
        (0x101, 4, 1, height_px),
        (0x102, 3, 3, depths_at),
        (0x103, 3, 1, 1),
        (0x106, 3, 1, 2),
        (0x111, 4, 1, pixels_at),
        (0x115, 3, 1, 3),
        (0x116, 4, 1, height_px),
        (0x117, 4, 1, length),
    ];
    let mut bytes = [b"II*\0".as_slice(), &directory_at.to_le_bytes(), rgb].concat();
    bytes.extend_from_slice(&[8, 0, 8, 0, 8, 0, 9, 0]);
    for (tag, kind, count, value) in entries {
        bytes.extend_from_slice(&tag.to_le_bytes());
        bytes.extend_from_slice(&kind.to_le_bytes());
        bytes.extend_from_slice(&count.to_le_bytes());
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    bytes.extend_from_slice(&[0; 4]);
    bytes
}

/// A phone's photo, where there is one and it can be decoded.
fn heic() -> Option<Vec<u8>> {
    let folder = shared("camera/heic")?;
    let paths = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let smallest = paths
        .filter(|path| path.path().extension().is_some_and(|e| e.eq_ignore_ascii_case("heic")));
    let smallest = smallest.min_by_key(|entry| entry.metadata().map_or(0, |data| data.len()))?;
    signet::media::heif::available().ok()?;
    std::fs::read(smallest.path()).ok()
}

/// Changes a picture in one to three ways.
fn mutate(dice: &mut Dice, bytes: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..=dice.below(3) {
        if bytes.len() < 16 {
            return;
        }
        // Headers are where it hurts.
        let within = if dice.below(2) == 0 { bytes.len().min(256) } else { bytes.len() };
        let at = dice.below(within);
        let end = at + 1 + dice.below((bytes.len() - at).min(64));
        match dice.below(12) {
            0..=2 => bytes[at] ^= 1 << dice.below(8),
            3 => bytes[at] = [0, 1, 0x7F, 0x80, 0xFF][dice.below(5)],
            4 => bytes.truncate(at.max(1)),
            5 => drop(bytes.drain(at..end)),
            6 => {
                let piece = bytes[at..end].to_vec();
                let to = dice.below(bytes.len());
                bytes.splice(to..to, piece);
            }
            7 | 8 => {
                let length =
                    [0, 1, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFF, 0xFFFF_FFF0_u32][dice.below(6)];
                let length =
                    if dice.below(2) == 0 { length.to_le_bytes() } else { length.to_be_bytes() };
                let width = [2, 4][dice.below(2)].min(bytes.len() - at);
                bytes[at..at + width].copy_from_slice(&length[..width]);
            }
            9 => {
                let from = dice.below(other.len());
                bytes.truncate(at.max(1));
                bytes.extend_from_slice(&other[from..]);
            }
            _ => {
                let noise: Vec<u8> = (at..end).map(|_| dice.next().to_le_bytes()[0]).collect();
                bytes[at..end].copy_from_slice(&noise);
            }
        }
    }
}

/// The most memory that a process ever filled, in bytes.
pub(crate) fn peak_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

#[test]
fn mutated_pictures_end_in_a_picture_or_a_reason() {
    let good = good_files();
    let mut decoder = real_decoders().decoder();
    for (name, bytes) in &good {
        let shared = SharedBytes::of(bytes).expect("memory");
        if let Err(error) = decoder.decode(&shared, DecodeSpec::default()) {
            panic!("{name}: {}", one_line(&error));
        }
    }
    let heic = heic();
    let (next, seen) = (AtomicU64::new(0), Mutex::new(Seen::default()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut decoder = real_decoders().decoder();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= MUTATIONS_COUNT {
                        return;
                    }
                    let mut dice = Dice::new(seed);
                    // Large and slow to decode, so that a few have to do.
                    let heic = heic.iter().filter(|_| seed % 50 == 0);
                    let chosen = heic.chain([&good[dice.below(good.len())].1]).next();
                    let mut bytes = chosen.expect("a picture").clone();
                    let other = dice.below(good.len());
                    mutate(&mut dice, &mut bytes, &good[other].1);
                    let outcome = one(&mut decoder, seed, &bytes);
                    seen.lock().expect("no panic").add(seed, outcome, decoder.worker_id());
                }
            });
        }
    });
    let seen = seen.into_inner().expect("no panic");
    note(&format!("{seen:#?}"));
    assert_eq!(seen.outcomes.values().sum::<u64>(), MUTATIONS_COUNT);
    for outcome in ["a picture", "damaged", "ends early", "too large"] {
        assert!(seen.outcomes.contains_key(outcome), "the mutator never makes: {outcome}");
    }
    assert!(seen.peak_bytes < MEMORY_BYTES_MAX, "{}", seen.peak_bytes);
}

/// What became of a mutation, in a word or two.
fn one(decoder: &mut Decoder, seed: u64, bytes: &[u8]) -> &'static str {
    let shared = SharedBytes::of(bytes).expect("memory");
    let error = match decoder.decode(&shared, DecodeSpec::default()) {
        Ok(decoded) => {
            assert!(decoded.frame.width_px() > 0 && decoded.width_px > 0, "seed {seed}");
            return "a picture";
        }
        Err(error) => error,
    };
    let text = one_line(&error);
    assert!(!text.is_empty() && error.retry() == Retry::WhenFileChanges, "seed {seed}: {text}");
    use signet::media::DecodeError::{Damaged, Empty, EndsEarly, TooCostly, TooLarge, Unsupported};
    match error {
        SandboxError::Photo(Empty) => "empty",
        SandboxError::Photo(Unsupported { .. }) => "unsupported",
        SandboxError::Photo(TooLarge { .. }) => "too large",
        SandboxError::Photo(TooCostly { .. }) => "too costly",
        SandboxError::Photo(EndsEarly) => "ends early",
        SandboxError::Photo(Damaged(_)) => "damaged",
        other => {
            note(&format!("seed {seed} ended its worker: {}", one_line(&other)));
            "ended its worker"
        }
    }
}

#[derive(Debug, Default)]
struct Seen {
    outcomes: BTreeMap<&'static str, u64>,
    peak_bytes: u64,
    workers: std::collections::BTreeSet<u32>,
}

impl Seen {
    fn add(&mut self, seed: u64, outcome: &'static str, worker: Option<u32>) {
        *self.outcomes.entry(outcome).or_default() += 1;
        self.workers.extend(worker);
        if seed.is_multiple_of(20) {
            let peak = worker.and_then(peak_bytes).unwrap_or(0);
            self.peak_bytes = self.peak_bytes.max(peak);
        }
    }
}
