//! Turns the bytes of a photo into pixels, within limits that hold for any bytes.
//!
//! In:  a whole file and how large the result has to be.
//! Out: a frame as stored (not yet upright), the size of the upright original, metadata.
//!
//! The frame is usually smaller than the original: JPEG is decoded at a reduced scale,
//! other large pictures are averaged row by row. It is turned upright after it was resized, because
//! turning few pixels is cheaper than turning many.
//!
//! Bytes come from strangers. Sizes are checked against the limits before anything is
//! allocated for them, and a panic inside a codec ends here as `Damaged`.
//!
//! Knows nothing of disks, paths, previews or clocks.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Deserialize, Serialize};

use super::colour::{self, Colours};
use super::extras::Extras;
use super::format::{MediaType, detect};
use super::metadata::Metadata;
use super::resize::{Filter, Resampler};
use super::{Frame, Retry, gif, heif, jpeg, png, raw, tiff, webp};

/// More pixels than this are refused: 200 megapixels.
pub const PIXELS_MAX: u64 = 200_000_000;

/// The longest side allowed; the JPEG format ends at 65,535.
pub const SIDE_PX_MAX: u32 = 65_500;

/// The most memory that one decode may hold beside the file's bytes.
pub(super) const WORKING_BYTES_MAX: u64 = 320 * 1024 * 1024;

/// A picture inside a RAW file is taken for its preview from this long side on; in smaller
/// ones no icon can be read.
pub(super) const PREVIEW_SIDE_PX_MIN: u32 = 640;

/// What the caller needs from a decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecodeSpec {
    /// The long side of the frame is at least this, unless the original is smaller.
    pub cover_px: u32,
    /// It is no more than this either: costs a resize, and spares the conversion of colours
    /// that nobody wants to see.
    pub is_exact: bool,
    /// Originals with more pixels are refused; usually [`PIXELS_MAX`].
    pub pixels_max: u64,
}

impl Default for DecodeSpec {
    /// Enough for a preview of 1024 px.
    fn default() -> Self {
        Self { cover_px: 1024, is_exact: false, pixels_max: PIXELS_MAX }
    }
}

impl DecodeSpec {
    /// What a preview with this long side is made of, and nothing more.
    pub fn exactly(long_side_px: u32) -> Self {
        Self { cover_px: long_side_px, is_exact: true, ..Self::default() }
    }
}

/// A decoded photo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// The pixels as stored; `metadata.orientation` says how to turn them.
    pub frame: Frame,
    /// Width of the upright original.
    pub width_px: u32,
    /// Height of the upright original.
    pub height_px: u32,
    /// Format of the file.
    pub media_type: MediaType,
    /// What the camera wrote.
    pub metadata: Metadata,
    /// What travels with it.
    pub extras: Extras,
}

/// Why bytes gave no frame. The caller knows the path and puts it in front.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// There are no bytes.
    #[error("the file is empty")]
    Empty,
    /// Not a format, or a kind of it, on the allow-list.
    #[error("the file is {found}")]
    Unsupported {
        /// What it seems to be and what to do about it, in words.
        found: Cow<'static, str>,
    },
    /// Only a library that is not part of this program can decode it, and it is not here.
    #[error(
        "{format} needs libheif, {why}: install it with `apt-get install libheif1` (Debian) or `brew install libheif` (macOS)"
    )]
    NeedsLibrary {
        /// `HEIC` or `AVIF`.
        format: &'static str,
        /// Why it cannot be used.
        why: String,
    },
    /// A RAW file in which no developed picture of a useful size was found.
    #[error(
        "the RAW file holds no preview of {PREVIEW_SIDE_PX_MIN} px or more; convert it to DNG or JPEG"
    )]
    NoPreview,
    /// The header promises more pixels than allowed; nothing was decoded.
    #[error(
        "the photo is {width_px}x{height_px} px, the limit is {pixels_max} px and {SIDE_PX_MAX} px a side"
    )]
    TooLarge {
        /// Width as stored.
        width_px: u32,
        /// Height as stored.
        height_px: u32,
        /// The limit that applied.
        pixels_max: u64,
    },
    /// Decoding would take more memory or time than any honest photo needs.
    #[error("decoding would need {needs}, more than any photo should")]
    TooCostly {
        /// What there would be too much of.
        needs: String,
    },
    /// The last part is missing: the copy of this file is not finished, or never was.
    #[error("the file ends early: its last part is missing")]
    EndsEarly,
    /// The bytes contradict each other.
    #[error("the file is damaged")]
    Damaged(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl DecodeError {
    /// When another try makes sense.
    pub const fn retry(&self) -> Retry {
        Retry::WhenFileChanges
    }

    pub(super) fn damaged(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Damaged(cause.into())
    }
}

/// What a codec answers: pixels and size as stored, and what the pixels' colours mean.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) frame: Frame,
    pub(super) width_px: u32,
    pub(super) height_px: u32,
    pub(super) colours: Colours,
}

/// Decodes a photo.
///
/// - a JPEG frame has the smallest scale that is cheap to decode and covers `cover_px`;
///   large pictures of other formats are averaged down by a whole factor
/// - of a RAW file the largest picture inside is taken that the camera developed
/// - colours are sRGB, whatever profile the file carries
/// - transparent pixels are laid on white; 16 bits become 8; of an animation the first
///   picture is taken
///
/// # Errors
/// See [`DecodeError`]. Broken metadata is no error.
pub fn decode(bytes: &[u8], spec: DecodeSpec) -> Result<Decoded, DecodeError> {
    let media_type = detect(bytes)?;
    // A codec shares nothing with us but the bytes it reads, so nothing half changed
    // can be seen after a panic.
    catch_unwind(AssertUnwindSafe(|| {
        let (stored, metadata) = match media_type {
            MediaType::Jpeg => (jpeg::decode(bytes, spec)?, of_exif(jpeg::exif(bytes))),
            MediaType::Png => (png::decode(bytes, spec)?, of_exif(png::exif(bytes))),
            MediaType::WebP => (webp::decode(bytes, spec)?, of_exif(webp::exif(bytes))),
            MediaType::Tiff => (tiff::decode(bytes, spec)?, Metadata::from_exif(bytes)),
            MediaType::Gif => (gif::decode(bytes, spec)?, Metadata::default()),
            MediaType::Heic | MediaType::Avif => heif::decode(bytes, media_type, spec)?,
            MediaType::Nef
            | MediaType::Cr2
            | MediaType::Cr3
            | MediaType::Arw
            | MediaType::Dng
            | MediaType::Raf
            | MediaType::Orf => raw::decode(bytes, media_type, spec)?,
        };
        let frame = match spec.is_exact {
            true => Resampler::default()
                .shrink(Cow::Owned(stored.frame), spec.cover_px, Filter::CatmullRom)
                .map_err(DecodeError::damaged)?
                .into_owned(),
            false => stored.frame,
        };
        let frame = colour::to_srgb(frame, &stored.colours);
        let (mut width_px, mut height_px) = (stored.width_px, stored.height_px);
        if metadata.orientation.swaps_sides() {
            std::mem::swap(&mut width_px, &mut height_px);
        }
        let extras = Extras::read(bytes);
        Ok(Decoded { frame, width_px, height_px, media_type, metadata, extras })
    }))
    .unwrap_or_else(|_panic| Err(DecodeError::damaged("the decoder failed on it")))
}

fn of_exif(block: Option<&[u8]>) -> Metadata {
    block.map(Metadata::from_exif).unwrap_or_default()
}

/// Refuses work for which more memory would be needed than there is.
pub(super) fn check_memory(bytes_count: u64) -> Result<(), DecodeError> {
    if bytes_count > WORKING_BYTES_MAX {
        return Err(DecodeError::TooCostly {
            needs: format!("{} MiB of memory", bytes_count >> 20),
        });
    }
    Ok(())
}

/// Refuses sizes that no photo has, before memory is asked for.
pub(super) fn check_size(
    width_px: u32,
    height_px: u32,
    pixels_max: u64,
) -> Result<(), DecodeError> {
    let pixels = u64::from(width_px) * u64::from(height_px);
    if width_px == 0 || height_px == 0 {
        return Err(DecodeError::damaged("it has no pixels"));
    }
    if pixels > pixels_max || width_px > SIDE_PX_MAX || height_px > SIDE_PX_MAX {
        return Err(DecodeError::TooLarge { width_px, height_px, pixels_max });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_refused_before_decoding() {
        assert!(check_size(20_000, 10_000, PIXELS_MAX).is_ok());
        for (width_px, height_px) in [(20_001, 10_000), (SIDE_PX_MAX + 1, 1), (u32::MAX, u32::MAX)]
        {
            let error = check_size(width_px, height_px, PIXELS_MAX).expect_err("too large");
            assert!(matches!(error, DecodeError::TooLarge { .. }), "{error}");
        }
        assert!(check_size(0, 10, PIXELS_MAX).is_err());
    }
}
