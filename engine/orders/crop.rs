//! Which part of a photo a product shows.

use serde::{Deserialize, Serialize};

/// A part of a photo, in pixels of its upright original; never empty, never outside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crop {
    /// Columns left of it.
    pub x: u32,
    /// Rows above it.
    pub y: u32,
    /// How wide it is.
    pub width: u32,
    /// How high it is.
    pub height: u32,
}
