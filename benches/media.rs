//! What it costs to read, hash and decode a photo.

#![expect(clippy::expect_used, reason = "a bench stops at the first wrong answer")]

mod camera;
mod common;

use camera::camera_12mp;
use common::bench;
use signet::base::ids::ContentHash;
use signet::media::{DecodeSpec, Metadata, decode, read_original};
use turbojpeg::{Compressor, Decompressor, Image, PixelFormat, ScalingFactor, Subsamp};

fn main() {
    let small = small_jpeg();
    let spec = DecodeSpec { cover_px: 160, ..DecodeSpec::default() };
    let decoded = decode(&small, spec).expect("the small picture decodes");
    assert_eq!((decoded.frame.width_px(), decoded.width_px), (160, 640));
    bench("media/decode/640x480/jpeg", || decode(&small, spec));
    bench("media/exif/empty/jpeg", || Metadata::from_exif(b"II*\0\x08\0\0\0\0\0"));

    let paths = camera_12mp();
    if paths.is_empty() {
        return;
    }
    let files: Vec<Vec<u8>> =
        paths.iter().map(|path| std::fs::read(path).expect("a camera file reads")).collect();
    for file in &files {
        let photo = decode(file, DecodeSpec::default()).expect("a camera file decodes");
        assert!(photo.frame.long_side_px() >= 1024 && photo.metadata.camera_make.is_some());
    }
    let mut at = 0;
    let mut next = || {
        at = (at + 1) % files.len();
        at
    };
    bench("media/read/12mp/page-cache", || read_original(&paths[next()], u64::MAX));
    bench("media/sha256/12mp/memory", || ContentHash::of(&files[next()]));
    bench("media/decode/12mp/cover-1024", || decode(&files[next()], DecodeSpec::default()));
    for (name, eighths) in [("full", 8), ("1_2", 4), ("3_8", 3), ("1_4", 2)] {
        bench(&format!("media/libjpeg-turbo-alone/12mp/{name}"), || alone(&files[next()], eighths));
    }
}

/// The scaled decode by itself, as a yardstick.
fn alone(bytes: &[u8], eighths: usize) -> Vec<u8> {
    let mut decoder = Decompressor::new().expect("a decoder");
    let factor = ScalingFactor::new(eighths, 8);
    decoder.set_scaling_factor(factor).expect("a factor");
    let scaled = decoder.read_header(bytes).expect("a header").scaled(factor);
    let (width, height, pitch) = (scaled.width, scaled.height, scaled.width * 3);
    let mut pixels = vec![0; pitch * height];
    let image =
        Image { pixels: pixels.as_mut_slice(), width, pitch, height, format: PixelFormat::RGB };
    decoder.decompress(bytes, image).expect("decodes");
    pixels
}

fn small_jpeg() -> Vec<u8> {
    let mut compressor = Compressor::new().expect("a compressor");
    compressor.set_quality(90).expect("a quality");
    compressor.set_subsamp(Subsamp::Sub2x2).expect("a sampling");
    let image = Image::mandelbrot(640, 480, PixelFormat::RGB);
    compressor.compress_to_vec(image.as_deref()).expect("compresses")
}
