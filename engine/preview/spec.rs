//! How large a preview is and in which format: what rules and providers may ask for.
//!
//! In:  words of a rule, of a provider's card, or of an order: `2048 webp`.
//! Out: a [`PreviewSpec`] within the limits.
//!
//! A rule's word counts before the provider's, and that before the default.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Long sides that may be asked for, in pixels. A preview is low-resolution by meaning:
/// whoever needs more orders the original.
pub const LONG_SIDE_PX: RangeInclusive<u32> = 64..=4096;

/// How large and how good a preview is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreviewSpec {
    /// Pixels of the longer side; smaller photos keep their size.
    pub long_side_px: u32,
    /// 1 to 100, as libjpeg and libwebp count.
    pub quality: u8,
    /// How it is written.
    pub format: PreviewFormat,
}

/// How a preview is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PreviewFormat {
    /// Every program reads it.
    #[default]
    Jpeg,
    /// About a third smaller at the same quality; takes some 30 times as long to write.
    WebP,
}

/// What a rule or a provider asks of previews; what it leaves out is up to others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreviewWish {
    /// Pixels of the longer side, within [`LONG_SIDE_PX`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long_side_px: Option<u32>,
    /// How it is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<PreviewFormat>,
}

impl PreviewFormat {
    /// As HTTP names it.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::WebP => "image/webp",
        }
    }

    /// Extension of its files.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::WebP => "webp",
        }
    }

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::WebP => "webp",
        }
    }
}

impl FromStr for PreviewFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "jpeg" => Ok(Self::Jpeg),
            "webp" => Ok(Self::WebP),
            other => Err(format!("previews are written as `jpeg` or `webp`, not as `{other}`")),
        }
    }
}

impl Default for PreviewSpec {
    fn default() -> Self {
        Self { long_side_px: 1024, quality: 80, format: PreviewFormat::Jpeg }
    }
}

impl PreviewWish {
    /// This wish, and what it leaves out as `other` says.
    #[must_use]
    pub fn over(self, other: Self) -> Self {
        Self {
            long_side_px: self.long_side_px.or(other.long_side_px),
            format: self.format.or(other.format),
        }
    }

    /// What it comes to; sizes beyond the limits become the nearest limit.
    pub fn spec(self) -> PreviewSpec {
        let default = PreviewSpec::default();
        let long_side_px = self.long_side_px.unwrap_or(default.long_side_px);
        PreviewSpec {
            long_side_px: long_side_px.clamp(*LONG_SIDE_PX.start(), *LONG_SIDE_PX.end()),
            format: self.format.unwrap_or(default.format),
            ..default
        }
    }
}

/// ` as 2048 webp`, without what is left out; nothing where all is.
impl fmt::Display for PreviewWish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self != Self::default() {
            f.write_str(" as")?;
        }
        if let Some(side) = self.long_side_px {
            write!(f, " {side}")?;
        }
        if let Some(format) = self.format {
            write!(f, " {}", format.as_str())?;
        }
        Ok(())
    }
}

/// `2048 webp`; the quality is not told, it is always the default.
impl fmt::Display for PreviewSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.long_side_px, self.format.as_str())
    }
}

impl FromStr for PreviewSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no preview: write `2048 webp`");
        let (side, format) = text.split_once(' ').ok_or_else(wrong)?;
        let long_side_px = side.parse().ok().filter(|side| LONG_SIDE_PX.contains(side));
        Ok(Self {
            long_side_px: long_side_px.ok_or_else(wrong)?,
            format: format.parse()?,
            ..Self::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back_within_the_limits() {
        for (text, expected) in [
            ("2048 webp", Some((2048, PreviewFormat::WebP))),
            ("64 jpeg", Some((64, PreviewFormat::Jpeg))),
            ("63 jpeg", None),
            ("4097 jpeg", None),
            ("1024", None),
            ("1024 png", None),
            ("-1 jpeg", None),
        ] {
            let spec = text.parse::<PreviewSpec>().ok();
            assert_eq!(spec.map(|spec| (spec.long_side_px, spec.format)), expected, "{text}");
            assert!(spec.is_none_or(|spec| spec.to_string() == text), "{text}");
        }
    }

    #[test]
    fn rule_counts_before_the_provider_and_that_before_the_default() {
        let rule = PreviewWish { long_side_px: Some(640), format: None };
        let provider = PreviewWish { long_side_px: Some(2048), format: Some(PreviewFormat::WebP) };
        assert_eq!(rule.over(provider).spec().to_string(), "640 webp");
        assert_eq!(provider.spec().to_string(), "2048 webp");
        assert_eq!(PreviewWish::default().spec(), PreviewSpec::default());
        let huge = PreviewWish { long_side_px: Some(u32::MAX), format: None };
        assert_eq!(huge.spec().long_side_px, *LONG_SIDE_PX.end());
    }
}
