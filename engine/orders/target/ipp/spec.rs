//! How the owner wants a printer to print, in words and in IPP's.

use serde::{Deserialize, Serialize};

/// How the owner wants a printer to print. Part of the signed consent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Spec {
    /// How carefully.
    pub quality: Quality,
    /// Paper of products without a finish, in the printer's word, such as `photographic-glossy`;
    /// absent: what the printer does by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What happens to a photo of another shape than the paper.
    pub scaling: Scaling,
    /// Who decides which way the photo lies.
    pub orientation: Orientation,
}

/// How carefully a printer prints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quality {
    /// Fast.
    Draft,
    /// As usual.
    Normal,
    /// As well as it can.
    #[default]
    High,
}

/// What happens to a photo of another shape than the paper.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scaling {
    /// It fills the paper, and what stands over is cut off.
    #[default]
    Fill,
    /// All of it is seen, and the rest stays white.
    Fit,
    /// `fit` when it is larger than the paper, as it is when it is smaller.
    AutoFit,
    /// The printer decides.
    Auto,
    /// It stays as large as it says that it is.
    None,
}

/// Who decides which way a photo lies on the paper.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Orientation {
    /// The printer.
    #[default]
    Printer,
    /// We, from the pixels of the upright photo: for printers that never turn one.
    Photo,
}

impl Quality {
    pub(super) const fn number(self) -> i32 {
        match self {
            Self::Draft => 3,
            Self::Normal => 4,
            Self::High => 5,
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}

impl Scaling {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Fill => "fill",
            Self::Fit => "fit",
            Self::AutoFit => "auto-fit",
            Self::Auto => "auto",
            Self::None => "none",
        }
    }
}
