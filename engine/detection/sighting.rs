//! What detection answers with.

use serde::{Deserialize, Serialize};

/// One icon found in one photo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IconSighting {
    /// Name in the icon set, such as `print-10x15`.
    pub name: String,
    /// Whether it may order by itself.
    pub tier: Tier,
    /// `0.0..=1.0`; how sure we are that it is this icon.
    pub score: f32,
    /// Pixels of the frame that was looked at (or of the upright original, once scaled),
    /// clockwise from the icon's own top left.
    pub corners: [[f32; 2]; 4],
}

/// How far a sighting may be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// A person has to confirm what follows from it.
    Ask,
    /// Verified against the template: orders may follow.
    Order,
}

impl IconSighting {
    /// The same sighting in a picture whose sides are `factor` times as long.
    #[must_use]
    pub fn scaled(mut self, factor: f32) -> Self {
        for value in self.corners.as_flattened_mut() {
            *value *= factor;
        }
        self
    }

    /// Mean length of the four sides, in the pixels that `corners` are in.
    pub fn side_px(&self) -> f32 {
        let mut sum = 0.0;
        for (index, from) in self.corners.iter().enumerate() {
            let to = self.corners[(index + 1) % 4];
            sum += (to[0] - from[0]).hypot(to[1] - from[1]);
        }
        sum / 4.0
    }
}
