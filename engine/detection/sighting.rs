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
    /// Whose seal is around it; absent when nobody looked for one (no home, or looked at by
    /// an older version).
    #[serde(default)]
    pub seal: Option<Seal>,
}

/// Whose seal an icon carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seal {
    /// The owner's own.
    Mine,
    /// A seal, but not the owner's.
    Foreign,
    /// Too small, too faint, covered or cut off by the picture's edge: nobody can tell.
    Unreadable,
    /// Nothing there that looks like a seal.
    None,
}

impl Seal {
    /// The word for it that files and rules use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mine => "mine",
            Self::Foreign => "foreign",
            Self::Unreadable => "unreadable",
            Self::None => "none",
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sighting_stored_before_there_were_seals_is_still_read() {
        let old = r#"{"name":"share","tier":"order","score":0.9,
            "corners":[[0,0],[1,0],[1,1],[0,1]]}"#;
        let mut sighting: IconSighting = serde_json::from_str(old).expect("an old sighting");
        assert_eq!(sighting.seal, None);
        for seal in [Seal::Mine, Seal::Foreign, Seal::Unreadable, Seal::None] {
            sighting.seal = Some(seal);
            let text = serde_json::to_string(&sighting).expect("JSON");
            assert!(text.contains(&format!(r#""seal":"{}""#, seal.name())), "{text}");
            assert_eq!(serde_json::from_str::<IconSighting>(&text).expect("read"), sighting);
        }
    }
}
