//! Makes frames smaller. The only place that knows the resizer.
//!
//! In:  a frame and the long side wanted.
//! Out: a frame of the same proportions; never a larger one.
//!
//! A [`Resampler`] keeps its buffers between photos: each worker thread owns one.

use std::borrow::Cow;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::Frame;

/// How pixels are weighed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Sharpest; six source pixels a side and more.
    Lanczos3,
    /// Nearly as sharp at two thirds of the cost; four source pixels a side and more.
    CatmullRom,
    /// A triangle; two source pixels a side and more.
    Bilinear,
    /// Like `Bilinear` with less blur.
    Hamming,
}

impl Filter {
    const fn inner(self) -> FilterType {
        match self {
            Self::Lanczos3 => FilterType::Lanczos3,
            Self::CatmullRom => FilterType::CatmullRom,
            Self::Bilinear => FilterType::Bilinear,
            Self::Hamming => FilterType::Hamming,
        }
    }
}

/// The resizer refused.
#[derive(Debug, thiserror::Error)]
#[error("the photo could not be resized")]
pub struct ResizeError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// The size with this long side and the proportions of `width_px` to `height_px`; the
/// same size when it is smaller already. No side becomes zero.
pub fn fit(width_px: u32, height_px: u32, long_side_px: u32) -> (u32, u32) {
    let long = width_px.max(height_px);
    if long <= long_side_px || long == 0 {
        return (width_px, height_px);
    }
    let scaled = |side: u32| {
        let exact =
            (u64::from(side) * u64::from(long_side_px) + u64::from(long) / 2) / u64::from(long);
        u32::try_from(exact).unwrap_or(u32::MAX).max(1)
    };
    (scaled(width_px), scaled(height_px))
}

/// Makes frames smaller and reuses its buffers.
#[derive(Debug, Default)]
pub struct Resampler {
    resizer: Resizer,
}

impl Resampler {
    /// A frame whose long side is `long_side_px`, or the same one when it is not longer.
    ///
    /// # Errors
    /// When the resizer refuses, which a well-formed frame gives no reason for.
    pub fn shrink<'f>(
        &mut self,
        frame: Cow<'f, Frame>,
        long_side_px: u32,
        filter: Filter,
    ) -> Result<Cow<'f, Frame>, ResizeError> {
        let (width_px, height_px) = fit(frame.width_px(), frame.height_px(), long_side_px);
        if (width_px, height_px) == (frame.width_px(), frame.height_px()) {
            return Ok(frame);
        }
        let source =
            ImageRef::new(frame.width_px(), frame.height_px(), frame.rgb(), PixelType::U8x3)
                .map_err(|error| ResizeError(Box::new(error)))?;
        let mut target = Image::new(width_px, height_px, PixelType::U8x3);
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(filter.inner()))
            .use_alpha(false);
        self.resizer
            .resize(&source, &mut target, &options)
            .map_err(|error| ResizeError(Box::new(error)))?;
        Frame::new(width_px, height_px, target.into_vec())
            .map(Cow::Owned)
            .ok_or_else(|| ResizeError("the result has the wrong size".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proportions_are_kept_and_small_pictures_stay() {
        for (size, long_side_px, wanted) in [
            ((4032, 3024), 1024, (1024, 768)),
            ((3024, 4032), 1024, (768, 1024)),
            ((1024, 1), 1024, (1024, 1)),
            ((65_500, 1), 1024, (1024, 1)),
            ((640, 480), 1024, (640, 480)),
            ((1025, 1025), 1024, (1024, 1024)),
        ] {
            assert_eq!(fit(size.0, size.1, long_side_px), wanted, "{size:?}");
        }
    }

    #[test]
    fn plain_picture_stays_plain_under_every_filter() {
        let frame = Frame::new(300, 200, [10, 128, 250].repeat(300 * 200)).expect("a frame");
        let mut resampler = Resampler::default();
        for filter in [Filter::Lanczos3, Filter::CatmullRom, Filter::Bilinear, Filter::Hamming] {
            let small = resampler.shrink(Cow::Borrowed(&frame), 100, filter).expect("shrinks");
            assert_eq!((small.width_px(), small.height_px()), (100, 67));
            assert!(small.rgb().chunks_exact(3).all(|pixel| pixel == [10, 128, 250]), "{filter:?}");
        }
    }

    #[test]
    fn picture_is_not_shifted() {
        // Left half black, right half white: the step stays in the middle.
        let rgb = (0..64)
            .flat_map(|_| (0..128).flat_map(|x| [if x < 64 { 0 } else { 255 }; 3]))
            .collect();
        let frame = Frame::new(128, 64, rgb).expect("a frame");
        let small = Resampler::default()
            .shrink(Cow::Owned(frame), 32, Filter::CatmullRom)
            .expect("shrinks");
        let row: Vec<u8> = small.rgb().chunks_exact(3).take(32).map(|pixel| pixel[0]).collect();
        assert!(
            row[..14].iter().all(|value| *value < 10) && row[18..].iter().all(|value| *value > 245),
            "{row:?}"
        );
        assert_eq!(u16::from(row[15]) + u16::from(row[16]), 255, "{row:?}");
    }
}
