//! Decodes HEIC and AVIF with libheif, when it is installed.
//!
//! In:  a whole HEIF file.
//! Out: the pixels of its primary picture, upright, what their colours mean, and metadata.
//!
//! libheif is LGPL and brings a codec that not every build may carry, so it is opened when
//! the first such file comes, never linked. Without it everything else works, and each HEIC
//! says what to install. Inside a sandbox nothing can be opened any more: [`prepare`] does it
//! before.
//!
//! **Upright already.** HEIF turns pictures by properties of its own, which libheif applies.
//! Phones write the same into EXIF once more; it must not be applied twice, so the metadata
//! that comes out of here says that the picture is upright.
//!
//! A file in which a box lies behind the end is an unfinished copy.

mod library;

use self::library::{Library, Problem};
use super::bmff;
use super::colour::{Colours, PROFILE_BYTES_MAX};
use super::decode::{DecodeError, DecodeSpec, PIXELS_MAX, Stored, check_memory, check_size};
use super::format::MediaType;
use super::metadata::{Metadata, Orientation};
use super::shrink::Shrinker;

/// What the library is called, also in what is said when it is missing.
pub const NAME: &str = "libheif";

/// Opens libheif and its decoders, so that they can be used where nothing can be opened any
/// more. Does nothing the second time, or where there is none.
pub fn prepare() {
    let _later = library();
}

/// The version of libheif that is used here, such as `1.15.1`.
///
/// # Errors
/// Why there is none, in words.
pub fn available() -> Result<String, String> {
    library().map(Library::version).map_err(str::to_owned)
}

fn library() -> Result<&'static Library, &'static str> {
    static LIBRARY: std::sync::OnceLock<Result<Library, String>> = std::sync::OnceLock::new();
    LIBRARY.get_or_init(|| Library::open(PIXELS_MAX)).as_ref().map_err(String::as_str)
}

/// Decodes the primary picture at full size, and reduces it by a whole factor where it stays
/// twice as large as what has to be covered.
pub(super) fn decode(
    bytes: &[u8],
    media_type: MediaType,
    spec: DecodeSpec,
) -> Result<(Stored, Metadata), DecodeError> {
    if bmff::is_cut(bytes) {
        return Err(DecodeError::EndsEarly);
    }
    let format = if media_type == MediaType::Avif { "AVIF" } else { "HEIC" };
    let library =
        library().map_err(|why| DecodeError::NeedsLibrary { format, why: why.to_owned() })?;
    let context = library.read(bytes).map_err(judge)?;
    let picture = context.primary().map_err(judge)?;
    let (width_px, height_px) = picture.size();
    check_size(width_px, height_px, spec.pixels_max)?;
    check_memory(u64::from(width_px) * u64::from(height_px) * bytes_per_pixel(picture.bits()))?;

    let pixels = picture.decode().map_err(judge)?;
    let (width_px, height_px) = pixels.size();
    check_size(width_px, height_px, spec.pixels_max)?;
    let mut shrinker = Shrinker::new(width_px, height_px, spec.cover_px);
    for row in pixels.rows() {
        shrinker.push(row, pixels.channels());
    }
    let frame = shrinker.finish().ok_or_else(|| DecodeError::damaged("it has no pixels"))?;
    let colours = match (picture.profile(PROFILE_BYTES_MAX), picture.codes()) {
        (Some(profile), _) => Colours::Icc(profile),
        (None, Some((primaries, transfer))) => Colours::Coded { primaries, transfer },
        (None, None) => Colours::Srgb,
    };
    let mut metadata = picture.exif().as_deref().map(of_block).unwrap_or_default();
    metadata.orientation = Orientation::Upright;
    Ok((Stored { frame, width_px, height_px, colours }, metadata))
}

/// Planes as decoded, the same turned, and red, green, blue, with or without opacity:
/// measured at 6 bytes a pixel for 8 bits.
const fn bytes_per_pixel(bits: u8) -> u64 {
    if bits > 8 { 10 } else { 6 }
}

/// The EXIF block of a HEIF file begins with the distance to its TIFF header.
fn of_block(block: &[u8]) -> Metadata {
    let Some((distance, rest)) = block.split_first_chunk() else {
        return Metadata::default();
    };
    Metadata::from_exif(rest.get(u32::from_be_bytes(*distance) as usize..).unwrap_or(rest))
}

fn judge(problem: Problem) -> DecodeError {
    match problem {
        Problem::Unsupported => DecodeError::Unsupported {
            found: "a HEIF of a kind that the libheif here cannot decode; export it as JPEG".into(),
        },
        Problem::TooCostly(what) => DecodeError::TooCostly { needs: what },
        Problem::Damaged(what) => DecodeError::damaged(what),
    }
}

#[cfg(test)]
mod tests;
