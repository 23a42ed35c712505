//! The low-resolution copy: upright, small, free of private metadata, naming its owner.
//!
//! In:  a decoded photo, the size wanted, whose photo it is.
//! Out: the upright frame (detection looks at the same pixels) and its file, JPEG or WebP.
//!
//! The file is made from pixels alone, so nothing of the original's metadata can be in
//! it: no location, no serial numbers, no embedded thumbnail.
//!
//! Knows nothing of disks, icons or rules.

pub mod encode;
pub mod orient;
pub mod spec;
pub mod xmp;

use std::borrow::Cow;

pub use self::spec::{LONG_SIDE_PX, PreviewFormat, PreviewSpec, PreviewWish};
use crate::media::resize::{Filter, Resampler, ResizeError};
use crate::media::{Decoded, Frame};

/// What a preview says about itself to anyone who holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imprint {
    /// The owner's electronic address: `mailto:…` or `https://…`.
    pub owner_address: String,
    /// The owner's name, may be empty.
    pub owner_name: String,
    /// Names the photo towards the owner.
    pub photo_id: String,
}

/// A finished low-resolution copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// Upright pixels, before they were compressed.
    pub frame: Frame,
    /// The file to hand out.
    pub file: Vec<u8>,
}

/// Why there is no preview.
#[derive(Debug, thiserror::Error)]
pub enum PreviewError {
    /// The resizer refused.
    #[error(transparent)]
    Resize(#[from] ResizeError),
    /// The encoder refused.
    #[error("the preview could not be encoded")]
    Encode(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Address and name are too long for a JPEG to carry.
    #[error("the owner's address and name take {bytes_count} bytes, the limit is {bytes_max}")]
    ImprintTooLong {
        /// Size of the packet.
        bytes_count: usize,
        /// The limit.
        bytes_max: usize,
    },
}

/// Makes previews; keeps its buffers from one to the next. Each worker thread owns one.
#[derive(Debug, Default)]
pub struct Renderer {
    resampler: Resampler,
}

impl Renderer {
    /// Resizes, turns upright.
    ///
    /// # Errors
    /// `Resize`, which a well-formed frame gives no reason for.
    pub fn upright(&mut self, photo: &Decoded, long_side_px: u32) -> Result<Frame, PreviewError> {
        let frame = Cow::Borrowed(&photo.frame);
        let small = self.resampler.shrink(frame, long_side_px, Filter::CatmullRom)?;
        Ok(orient::upright_of(small, photo.metadata.orientation))
    }

    /// Resizes, turns upright, encodes.
    ///
    /// # Errors
    /// See [`PreviewError`].
    pub fn render(
        &mut self,
        photo: &Decoded,
        spec: PreviewSpec,
        imprint: &Imprint,
    ) -> Result<Preview, PreviewError> {
        let frame = self.upright(photo, spec.long_side_px)?;
        let packet = xmp::packet(imprint);
        let file = match spec.format {
            PreviewFormat::Jpeg => encode::jpeg(&frame, spec.quality, &packet)?,
            PreviewFormat::WebP => encode::webp(&frame, spec.quality, &packet)?,
        };
        Ok(Preview { frame, file })
    }
}
