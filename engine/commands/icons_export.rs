//! `signet icons export`: every icon as files, to draw from or to use as a phone's stickers.
//!
//! In:  a folder.
//! Out: `NAME.png` (1024 px, transparent outside) and `NAME.svg`; with `--stickers` instead
//!      `NAME.png` and `NAME.webp` of 512 px and a list of what each is.
//!
//! A sticker is what messengers take: 512x512 px, transparent outside, nothing in the outer
//! 16 px, at most 100 KB. Around the tile lies a soft white rim, so that the ring stands
//! clear on a dark photo too.

use std::fs;
use std::path::{Path, PathBuf};

use image::codecs::{png::PngEncoder, webp::WebPEncoder};
use image::{ExtendedColorType, ImageEncoder};

use super::icons::Listed;
use super::{CommandError, Context, failed, icons_seal, icons_words, output};
use crate::base::files::{Readers, write_atomic};
use crate::detection::IconSet;
use crate::detection::icon_set::{Icon, Picture};
use crate::detection::seal::{sealed_picture, sealed_svg};

/// Side of exported pictures.
const EXPORT_PX: u32 = 1024;
/// Side of a sticker, as messengers ask for.
const STICKER_PX: u32 = 512;
/// Side of the tile on a sticker: 28 px of room on each side.
const STICKER_TILE_PX: u32 = 456;
/// Radius of the three box blurs that make the rim; it reaches three times as far.
const RIM_PX: usize = 4;
/// What a messenger takes at most; the smallest of three (100 KB, 300 KB, 512 KB).
const STICKER_BYTES_MAX: usize = 100_000;
/// The list in the folder of stickers.
const CONTENTS: &str = "contents.txt";

/// What the user typed.
#[derive(Debug, clap::Args)]
pub(super) struct Export {
    /// Folder to write into; it is made when missing
    folder: PathBuf,
    /// Write stickers for phones instead: 512 px, PNG and WebP, with a list
    #[arg(long)]
    stickers: bool,
    /// Put your own seal around each icon (docs/seal.md)
    #[arg(long)]
    seal: bool,
}

/// Runs it.
///
/// # Errors
/// As the message says.
pub(super) fn run(export: &Export, set: &IconSet, context: &Context) -> Result<(), CommandError> {
    let folder = &export.folder;
    let word = export.seal.then(|| icons_seal::word(context)).transpose()?;
    let picture = |icon: &Icon, side_px| match word {
        Some(word) => sealed_picture(icon, word, side_px).map_err(failed),
        None => icon.picture(side_px).map_err(failed),
    };
    fs::create_dir_all(folder).map_err(|error| trouble(folder, &error))?;
    for icon in set.icons() {
        if export.stickers {
            let rgba = sticker(&picture(icon, STICKER_TILE_PX)?);
            for (extension, bytes) in
                [("png", png(&rgba, STICKER_PX)?), ("webp", webp(&rgba, STICKER_PX)?)]
            {
                if bytes.len() > STICKER_BYTES_MAX {
                    return Err(CommandError::failed(format!(
                        "the icon `{}` has too much detail for a sticker: {} bytes, messengers take {STICKER_BYTES_MAX}",
                        icon.name(),
                        bytes.len()
                    )));
                }
                write(&folder.join(format!("{}.{extension}", icon.name())), &bytes)?;
            }
        } else {
            let rgba = picture(icon, EXPORT_PX)?.rgba;
            write(&folder.join(format!("{}.png", icon.name())), &png(&rgba, EXPORT_PX)?)?;
            let svg = match word {
                Some(word) => {
                    let tile = icon.shapes().map_err(failed)?;
                    sealed_svg(icon.meaning(), tile, word)
                }
                None => icon.svg().to_owned(),
            };
            write(&folder.join(format!("{}.svg", icon.name())), svg.as_bytes())?;
        }
        if context.json {
            output::json(&Listed::of(icon));
        }
    }
    if export.stickers {
        write(&folder.join(CONTENTS), contents(set).as_bytes())?;
    }
    if !context.json {
        let what = if export.stickers {
            "stickers, each as PNG and WebP"
        } else {
            "icons, each as PNG and SVG"
        };
        output::line(format_args!("wrote {} {what}, to {}", set.icons().len(), folder.display()));
    }
    Ok(())
}

fn trouble(path: &Path, error: &std::io::Error) -> CommandError {
    CommandError::failed(format!("`{}` cannot be written: {error}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), CommandError> {
    write_atomic(path, bytes, Readers::Usual).map_err(|error| trouble(path, &error))
}

/// A square picture as PNG.
///
/// # Errors
/// When the pixels are not so many.
pub(super) fn png(rgba: &[u8], side_px: u32) -> Result<Vec<u8>, CommandError> {
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(rgba, side_px, side_px, ExtendedColorType::Rgba8)
        .map_err(failed)?;
    Ok(bytes)
}

fn webp(rgba: &[u8], side_px: u32) -> Result<Vec<u8>, CommandError> {
    let mut bytes = Vec::new();
    WebPEncoder::new_lossless(&mut bytes)
        .write_image(rgba, side_px, side_px, ExtendedColorType::Rgba8)
        .map_err(failed)?;
    Ok(bytes)
}

/// The tile in the middle of a sticker, on a soft white rim.
///
/// - `tile`: `STICKER_TILE_PX` on each side
/// - returns `STICKER_PX * STICKER_PX` pixels of 4 bytes, not premultiplied
fn sticker(tile: &Picture) -> Vec<u8> {
    let side = STICKER_PX as usize;
    let gap = (side - tile.side_px) / 2;
    let mut rgba = [255, 255, 255, 0].repeat(side * side);
    for (row, line) in tile.rgba.chunks_exact(4 * tile.side_px).enumerate() {
        let start = 4 * ((gap + row) * side + gap);
        if let Some(target) = rgba.get_mut(start..start + line.len()) {
            target.copy_from_slice(line);
        }
    }
    let opacity: Vec<f32> = rgba.chunks_exact(4).map(|p| f32::from(p[3]) / 255.0).collect();
    let mut rim = opacity.clone();
    for _ in 0..3 {
        rim = box_blurred(&box_blurred(&rim, side, 1, side), side, side, 1);
    }
    for ((pixel, opaque), rim) in rgba.chunks_exact_mut(4).zip(&opacity).zip(&rim) {
        // At the tile's edge the blur is one half: nearly opaque there, nothing 12 px out.
        let rim = (1.8 * rim).min(1.0) * (1.0 - opaque);
        let sum = opaque + rim;
        if sum > 0.0 {
            for channel in &mut pixel[..3] {
                *channel = byte((f32::from(*channel) * opaque + 255.0 * rim) / sum);
            }
            pixel[3] = byte(255.0 * sum);
        } else {
            pixel.copy_from_slice(&[255, 255, 255, 0]);
        }
    }
    rgba
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to what a byte holds"
)]
fn byte(value: f32) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

/// Mean over `2 * RIM_PX + 1` places along one axis; nothing lies beyond the edge.
fn box_blurred(plane: &[f32], side: usize, step: usize, line_step: usize) -> Vec<f32> {
    let width = (2 * RIM_PX + 1) as f32;
    let mut target = vec![0.0; plane.len()];
    for line in 0..side {
        let at = |place: usize| plane[line * line_step + place * step];
        for place in 0..side {
            let from = place.saturating_sub(RIM_PX);
            let until = (place + RIM_PX + 1).min(side);
            target[line * line_step + place * step] = (from..until).map(at).sum::<f32>() / width;
        }
    }
    target
}

/// What lies in the folder, for a person and for the sticker makers that ask for an emoji.
fn contents(set: &IconSet) -> String {
    let widest = set.icons().iter().map(|icon| icon.name().len()).max().unwrap_or(0);
    let mut text = format!(
        "Signet stickers: {} icons, 512x512 px, transparent outside.\n\
         PNG for photo editors, Telegram and Signal; WebP for WhatsApp. Both are the same picture.\n\
         Put a sticker on a photo and let the photo reach your collection: its icon is read there.\n\n",
        set.icons().len()
    );
    for icon in set.icons() {
        let line = format!(
            "{:widest$}  {}  {}. {}\n",
            icon.name(),
            icons_words::emoji(icon),
            icon.meaning(),
            icons_words::instruction(icon)
        );
        text.push_str(&line);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        Context { home: PathBuf::new(), json: false, yes: false }
    }

    fn exported(folder: &Path, stickers: bool) -> IconSet {
        let set = IconSet::house().expect("the built-in icons");
        let export = Export { folder: folder.join("new/icons"), stickers, seal: false };
        run(&export, &set, &context()).expect("export");
        set
    }

    fn opened(path: &Path, format: image::ImageFormat) -> image::RgbaImage {
        let bytes = fs::read(path).expect("a file");
        image::load_from_memory_with_format(&bytes, format).expect("a picture").into_rgba8()
    }

    #[test]
    fn export_writes_each_icon_as_png_with_clear_corners_and_as_svg() {
        let folder = tempfile::tempdir().expect("a folder");
        let set = exported(folder.path(), false);
        for icon in set.icons() {
            let path = folder.path().join("new/icons").join(icon.name());
            let picture = opened(&path.with_extension("png"), image::ImageFormat::Png);
            assert_eq!(picture.dimensions(), (EXPORT_PX, EXPORT_PX));
            assert_eq!(picture.get_pixel(0, 0).0[3], 0);
            assert_eq!(picture.get_pixel(512, 20).0, [255; 4]);
            assert_eq!(picture.get_pixel(512, 102).0, [0x14, 0x21, 0x3d, 255]);
            assert_eq!(fs::read_to_string(path.with_extension("svg")).expect("an SVG"), icon.svg());
        }
    }

    #[test]
    fn stickers_are_what_messengers_take_and_are_listed() {
        let folder = tempfile::tempdir().expect("a folder");
        let set = exported(folder.path(), true);
        let folder = folder.path().join("new/icons");
        let list = fs::read_to_string(folder.join(CONTENTS)).expect("a list");
        for icon in set.icons() {
            let path = folder.join(icon.name());
            let picture = opened(&path.with_extension("png"), image::ImageFormat::Png);
            assert_eq!(picture, opened(&path.with_extension("webp"), image::ImageFormat::WebP));
            assert_eq!(picture.dimensions(), (STICKER_PX, STICKER_PX));
            for (x, y, pixel) in picture.enumerate_pixels() {
                let outside = [x, y].iter().any(|at| !(16..STICKER_PX - 16).contains(at));
                assert!(!outside || pixel.0[3] == 0, "{} at {x},{y}: {pixel:?}", icon.name());
            }
            // The rim is white, dense at the tile and fading; the ring is ink and opaque.
            let rim: Vec<u8> = [27, 23, 19].map(|x| picture.get_pixel(x, 256).0[3]).to_vec();
            assert!(rim[0] > 160 && rim[0] > rim[1] && rim[1] > rim[2], "{rim:?}");
            assert_eq!(picture.get_pixel(23, 256).0[..3], [255; 3]);
            assert_eq!(picture.get_pixel(73, 256).0, [0x14, 0x21, 0x3d, 255]);
            assert!(list.contains(icon.name()) && list.contains(icon.meaning()));
        }
    }

    #[test]
    fn folder_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let set = IconSet::house().expect("the built-in icons");
        let export = Export { folder: file.path().join("icons"), stickers: false, seal: false };
        let error = run(&export, &set, &context()).expect_err("a file is no folder");
        assert!(error.to_string().contains("icons"), "{error}");
    }
}
