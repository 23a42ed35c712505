//! Pixels in memory.

/// A picture: 8 bits each of red, green, blue; sRGB; top row first; no padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    width_px: u32,
    height_px: u32,
    rgb: Vec<u8>,
}

impl Frame {
    /// Wraps pixels, or gives `None` when `rgb` is not `width_px * height_px * 3` long
    /// or a side is zero.
    pub fn new(width_px: u32, height_px: u32, rgb: Vec<u8>) -> Option<Self> {
        let bytes = usize::try_from(u64::from(width_px) * u64::from(height_px) * 3).ok()?;
        (bytes > 0 && rgb.len() == bytes).then_some(Self { width_px, height_px, rgb })
    }

    /// Width, at least 1.
    pub const fn width_px(&self) -> u32 {
        self.width_px
    }

    /// Height, at least 1.
    pub const fn height_px(&self) -> u32 {
        self.height_px
    }

    /// The longer side.
    pub fn long_side_px(&self) -> u32 {
        self.width_px.max(self.height_px)
    }

    /// `height_px` rows of `width_px` pixels of 3 bytes.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// The same, to be drawn on.
    pub fn rgb_mut(&mut self) -> &mut [u8] {
        &mut self.rgb
    }

    /// Gives the pixels away.
    pub fn into_rgb(self) -> Vec<u8> {
        self.rgb
    }
}
