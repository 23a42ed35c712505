//! What it costs to read, hash and decode a photo, and to make a preview of a progressive one.
//!
//! With `SIGNET_PEERS` naming a folder in which `npm install sharp` was run, the same previews
//! are made by `sharp` in the same run (`benches/peers/preview.js`), and the ratio is printed.

#![expect(clippy::expect_used, reason = "a bench stops at the first wrong answer")]
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::path::{Path, PathBuf};
use std::process::Command;

mod camera;
mod common;

use camera::camera_12mp;
use common::{bench, smoke};
use signet::base::ids::ContentHash;
use signet::media::{DecodeSpec, Metadata, decode, read_original};
use signet::preview::{Imprint, PreviewSpec, Renderer};
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
    let folder = tempfile::tempdir().expect("a folder");
    previews(&files, &paths, "baseline");
    for quality in [75, 85, 93] {
        let files: Vec<Vec<u8>> = files.iter().map(|file| progressive(file, quality)).collect();
        let paths: Vec<PathBuf> = (0..files.len())
            .map(|number| folder.path().join(format!("q{quality}-{number}.jpg")))
            .collect();
        for (path, file) in paths.iter().zip(&files) {
            std::fs::write(path, file).expect("writes");
        }
        previews(&files, &paths, &format!("progressive-q{quality}"));
        if smoke() {
            break;
        }
    }
}

/// A preview of 1024 px from bytes in memory, beside the scaled decode alone and `sharp`.
fn previews(files: &[Vec<u8>], paths: &[PathBuf], name: &str) {
    let imprint = Imprint {
        owner_address: "mailto:owner@example.org".to_owned(),
        owner_name: "Owner".to_owned(),
        photo_id: "0123456789".to_owned(),
    };
    let mut renderer = Renderer::default();
    let mut at = 0;
    let mut next = || {
        at = (at + 1) % files.len();
        &files[at]
    };
    let scaled = bench(&format!("media/libjpeg-turbo-alone/12mp-{name}/1_2"), || alone(next(), 4));
    let ours = bench(&format!("preview/decode-render/12mp-{name}/1024"), || {
        let photo = decode(next(), DecodeSpec::exactly(1024)).expect("decodes");
        renderer.render(&photo, PreviewSpec::default(), &imprint).expect("renders")
    });
    println!("{:<64} {:>9.2} times the scaled decode alone", "", ours / scaled);
    if let Some(theirs) = sharp(paths) {
        println!("{:<64} {theirs:>9.3} ms", format!("preview/sharp/12mp-{name}/1024"));
        println!("{:<64} {:>9.2} times sharp", "", ours / theirs);
    }
}

/// CPU time that `sharp` takes for one of these previews, in one thread, in milliseconds.
fn sharp(paths: &[PathBuf]) -> Option<f64> {
    let peers = signet::base::config::environment("SIGNET_PEERS")?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/preview.js");
    let answer = Command::new("node")
        .arg(script)
        .args(paths)
        .env("NODE_PATH", Path::new(&peers).join("node_modules"))
        .output()
        .ok()?;
    String::from_utf8_lossy(&answer.stdout).trim().parse().ok()
}

/// The same picture in scans, as the web likes it.
fn progressive(file: &[u8], quality: i32) -> Vec<u8> {
    let pixels = alone(file, 8);
    let header = turbojpeg::read_header(file).expect("a header");
    let image = Image {
        pixels: pixels.as_slice(),
        width: header.width,
        pitch: header.width * 3,
        height: header.height,
        format: PixelFormat::RGB,
    };
    let mut compressor = Compressor::new().expect("a compressor");
    compressor.set_quality(quality).expect("a quality");
    compressor.set_subsamp(Subsamp::Sub2x2).expect("a sampling");
    compressor.set_progressive(true).expect("a mode");
    compressor.compress_to_vec(image).expect("compresses")
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
