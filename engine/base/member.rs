//! What a photo consists of: the original, its preview, and the companions that travel with it.
//!
//! One word for each, in grants, orders, files, reports and rules. A photo has one original
//! and at most one preview of a size; of each companion it may have several.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One kind of member of a photo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Member {
    /// The full-resolution file as it is.
    Original,
    /// The low-resolution copy.
    Preview,
    /// What the photographer said when taking it: a recording.
    VoiceMemo,
    /// The moments around the shutter: a short film, in the file itself or beside it.
    Motion,
    /// The camera's raw data beside a developed picture.
    Raw,
    /// Metadata of a program beside the picture: XMP.
    Sidecar,
    /// What Google Photos knew of it: JSON.
    Takeout,
    /// A phone's editing steps: AAE.
    Edits,
    /// The camera's own small picture beside it: THM.
    Thumbnail,
    /// Another picture inside the file: depth, gain map, second view, large preview.
    Auxiliary,
}

impl Member {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Original,
        Self::Preview,
        Self::VoiceMemo,
        Self::Motion,
        Self::Raw,
        Self::Sidecar,
        Self::Takeout,
        Self::Edits,
        Self::Thumbnail,
        Self::Auxiliary,
    ];

    /// The word used in grants, files and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Preview => "preview",
            Self::VoiceMemo => "voice-memo",
            Self::Motion => "motion",
            Self::Raw => "raw",
            Self::Sidecar => "sidecar",
            Self::Takeout => "takeout",
            Self::Edits => "edits",
            Self::Thumbnail => "thumbnail",
            Self::Auxiliary => "auxiliary",
        }
    }

    /// Whether it travels with the photo, rather than being the picture.
    pub const fn is_companion(self) -> bool {
        !matches!(self, Self::Original | Self::Preview)
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Member {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|member| member.as_str() == text)
            .ok_or_else(|| format!("`{text}` is no member of a photo"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back_and_are_those_of_json() {
        for member in Member::ALL {
            assert_eq!(member.as_str().parse(), Ok(member));
            assert_eq!(
                serde_json::to_string(&member).expect("JSON"),
                format!("\"{}\"", member.as_str())
            );
        }
        assert!("film".parse::<Member>().is_err());
    }
}
