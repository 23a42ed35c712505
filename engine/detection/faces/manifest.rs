//! What a pair of face networks is: source, licence, digest, and how their tensors are read.
//!
//! In:  the text of a `model.toml`. Out: [`Manifest`], checked.
//!
//! Networks of the same shapes (YuNet or SCRFD that find, ArcFace, SFace or MobileFaceNet that
//! name) can take each other's place by a manifest alone.
//!
//! Opens no network and downloads nothing.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::files::MANIFEST;
use super::quality::Bar;
use crate::base::ids::ContentHash;

/// The manifest of the networks that `signet models pull faces` fetches.
pub const SHIPPED: &str = include_str!("../../../models/faces/model.toml");

/// Largest file of a network that is taken, in bytes.
pub const NETWORK_BYTES_MAX: u64 = 256 << 20;

/// Largest side of a picture that a network may ask for, in px.
const SIDE_PX_MAX: u32 = 2048;

/// A pair of networks.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Finds faces.
    pub detector: DetectorSpec,
    /// Turns a face into numbers.
    pub recogniser: RecogniserSpec,
    /// Where decisions fall; they belong to the recogniser.
    pub thresholds: FaceThresholds,
}

/// Where each decision falls. What each gives is in the curves (`curves`).
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaceThresholds {
    /// Cosine from which on a face may order.
    pub order_min: f32,
    /// And so much nearer than to anybody else.
    pub lead_min: f32,
    /// Cosine from which on it is asked about.
    pub ask_min: f32,
    /// What has to be seen of a face that may order.
    pub bar: Bar,
}

/// Where a network comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Source {
    /// Name of its file, without folders.
    pub file: String,
    /// Such as `ShiqiYu/libfacedetection.train`; empty where nobody says.
    #[serde(default)]
    pub repository: String,
    /// Revision in it.
    #[serde(default)]
    pub commit: String,
    /// Path in it.
    #[serde(default)]
    pub path: String,
    /// Where it is downloaded; empty: it has to be put there by hand.
    #[serde(default)]
    pub url: String,
    /// SPDX name.
    pub licence: String,
    /// What pictures it learned from.
    pub trained_on: String,
    /// SHA-256 of its file.
    pub sha256: ContentHash,
    /// Length of its file.
    pub bytes: u64,
}

/// In which order a network wants colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Colours {
    /// Red first.
    Rgb,
    /// Blue first.
    Bgr,
}

/// How a picture becomes numbers: `(value - mean) / deviation`, value 0 to 255, for each channel in
/// the order of `colours`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Scaling {
    /// Order of the channels.
    pub colours: Colours,
    /// What is taken away.
    pub mean: [f32; 3],
    /// By what the rest is divided.
    pub deviation: [f32; 3],
}

impl Scaling {
    /// For each channel as the network wants them: which of red, green and blue it is (0 to 2), its
    /// mean and its deviation.
    pub fn channels(self) -> impl Iterator<Item = (usize, f32, f32)> {
        let sources = match self.colours {
            Colours::Rgb => [0, 1, 2],
            Colours::Bgr => [2, 1, 0],
        };
        let scales = self.mean.into_iter().zip(self.deviation);
        sources.into_iter().zip(scales).map(|(source, (mean, deviation))| (source, mean, deviation))
    }
}

/// The network that finds faces.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct DetectorSpec {
    /// Where it comes from.
    #[serde(flatten)]
    pub source: Source,
    /// How its tensors are read.
    pub decoding: Decoding,
    /// Name of its input, f32 `[1, 3, height, width]`, sides multiples of 32.
    pub input: String,
    /// Names of its outputs.
    pub outputs: Outputs,
    /// How its picture becomes numbers.
    #[serde(flatten)]
    pub scaling: Scaling,
    /// Long side of the picture that it gets, in px.
    pub long_side_px: u32,
    /// Whether every picture is padded to a square of that side, as a network of one fixed size wants.
    #[serde(default)]
    pub square: bool,
    /// Faces below are left out.
    pub score_min: f32,
    /// Of two boxes that share more than this (intersection over union), the better one counts.
    pub overlap_max: f32,
}

/// How the tensors of a detector are read; formulas in `localise`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decoding {
    /// One box a cell: middle and logarithm of the sides; score of class times object.
    Yunet,
    /// Two boxes a cell: distances to the four sides.
    Scrfd,
}

/// Names of a detector's outputs, one for each of the strides 8, 16 and 32.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outputs {
    /// Probability that it is a face, `[…, n, 1]`.
    pub classes: [String; 3],
    /// Probability that it is anything; absent where the network gives none.
    pub objects: Option<[String; 3]>,
    /// `[…, n, 4]`
    pub boxes: [String; 3],
    /// Five points, `[…, n, 10]`.
    pub points: [String; 3],
}

/// The network that turns an aligned face into numbers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RecogniserSpec {
    /// Where it comes from.
    #[serde(flatten)]
    pub source: Source,
    /// Name of its input, f32 `[1, 3, side, side]`.
    pub input: String,
    /// Name of its output, f32 `[1, numbers]`.
    pub output: String,
    /// How its picture becomes numbers.
    #[serde(flatten)]
    pub scaling: Scaling,
    /// Side of the crop in px; the five points lie where ArcFace has them, scaled from 112.
    pub side_px: u32,
    /// How the crop differs from that.
    #[serde(default)]
    pub framing: Framing,
    /// How many numbers a face becomes.
    pub numbers_count: usize,
    /// Whether the mirrored crop is embedded, too, and both are summed.
    pub mirrored_too: bool,
}

/// How a crop differs from one whose points lie where ArcFace has them: each detector sets its
/// points a little elsewhere than the one that a recogniser learned with.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Framing {
    /// How many times as large the face is.
    pub zoom: f32,
    /// How much higher it is, in px of a crop of 112.
    pub raise_px: f32,
}

impl Default for Framing {
    fn default() -> Self {
        Self { zoom: 1.0, raise_px: 0.0 }
    }
}

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is no TOML, or something is missing or of another kind.
    #[error("it is no manifest of face networks: near line {line}: {cause}")]
    Toml {
        /// From 1.
        line: usize,
        /// What is wrong there.
        cause: String,
    },
    /// A value that makes no sense.
    #[error("{key} is {value}; {cure}")]
    Value {
        /// Such as `detector.score_min`.
        key: &'static str,
        /// What it says.
        value: String,
        /// What it may be.
        cure: &'static str,
    },
}

impl Manifest {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// See [`ManifestError`].
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(1, |before| before.matches('\n').count() + 1);
            let words = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
            let cause = words.chars().filter(|char| !char.is_control()).collect();
            ManifestError::Toml { line, cause }
        })?;
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), ManifestError> {
        let (detector, recogniser) = (&self.detector, &self.recogniser);
        check_source("detector.file", "detector.bytes", &detector.source)?;
        check_source("recogniser.file", "recogniser.bytes", &recogniser.source)?;
        let file = &recogniser.source.file;
        let is_other = !file.eq_ignore_ascii_case(&detector.source.file);
        expect(is_other, "recogniser.file", file, "detector and recogniser are two files")?;
        let side = |key, px: u32| {
            let cure = "sides are 32 to 2048 px";
            expect((32..=SIDE_PX_MAX).contains(&px), key, &px, cure)
        };
        side("detector.long_side_px", detector.long_side_px)?;
        side("recogniser.side_px", recogniser.side_px)?;
        let px = detector.long_side_px;
        let fits = !detector.square || px % 32 == 0;
        expect(fits, "detector.long_side_px", &px, "sides of a square are multiples of 32 px")?;
        detector.check_outputs()?;
        let share = |key, value: f32| {
            expect(value > 0.0 && value < 1.0, key, &value, "it lies between 0 and 1")
        };
        share("detector.score_min", detector.score_min)?;
        share("detector.overlap_max", detector.overlap_max)?;
        let count = recogniser.numbers_count;
        expect((16..=4096).contains(&count), "recogniser.numbers_count", &count, "16 to 4096")?;
        let Framing { zoom, raise_px } = recogniser.framing;
        let cure = "a face is made 0.5 to 2 times as large";
        expect((0.5..=2.0).contains(&zoom), "recogniser.framing.zoom", &zoom, cure)?;
        let cure = "a face is moved by at most 28 px";
        expect(raise_px.abs() <= 28.0, "recogniser.framing.raise_px", &raise_px, cure)?;
        check_scaling("detector.deviation", detector.scaling)?;
        check_scaling("recogniser.deviation", recogniser.scaling)?;
        let thresholds = &self.thresholds;
        share("thresholds.order_min", thresholds.order_min)?;
        share("thresholds.lead_min", thresholds.lead_min)?;
        share("thresholds.ask_min", thresholds.ask_min)?;
        let ask_min = thresholds.ask_min;
        let cure = "it is not above thresholds.order_min";
        expect(ask_min <= thresholds.order_min, "thresholds.ask_min", &ask_min, cure)?;
        let Bar { eyes_px_min, sharpness_min, turned_max, contrast_min, clarity_min } =
            thresholds.bar;
        for (key, value) in [
            ("thresholds.bar.eyes_px_min", eyes_px_min),
            ("thresholds.bar.sharpness_min", sharpness_min),
            ("thresholds.bar.turned_max", turned_max),
            ("thresholds.bar.contrast_min", contrast_min),
            ("thresholds.bar.clarity_min", clarity_min),
        ] {
            // What is no number would be below no bar.
            expect(value.is_finite() && value >= 0.0, key, &value, "it is a number from 0 on")?;
        }
        Ok(())
    }
}

impl DetectorSpec {
    fn check_outputs(&self) -> Result<(), ManifestError> {
        let Outputs { classes, objects, boxes, points } = &self.outputs;
        let (wants, cure) = match self.decoding {
            Decoding::Yunet => (true, "yunet gives three of them, such as `obj_8`"),
            Decoding::Scrfd => (false, "scrfd gives none: leave them out"),
        };
        let has = objects.is_some();
        let value = if has { "there" } else { "missing" };
        expect(has == wants, "detector.outputs.objects", &value, cure)?;
        let names = [Some(classes), objects.as_ref(), Some(boxes), Some(points)];
        let mut seen = BTreeSet::new();
        let twice = names.into_iter().flatten().flatten().find(|name| !seen.insert(*name));
        let value = twice.map_or_else(String::new, |name| name.escape_debug().to_string());
        expect(twice.is_none(), "detector.outputs", &value, "each output is named once")
    }
}

fn check_scaling(key: &'static str, scaling: Scaling) -> Result<(), ManifestError> {
    let is_sound = scaling.mean.iter().all(|value| value.is_finite())
        && scaling.deviation.iter().all(|value| value.is_finite() && *value > 0.0);
    let value = format!("{:?} beside a mean of {:?}", scaling.deviation, scaling.mean);
    expect(is_sound, key, &value, "means are numbers, deviations are above 0")
}

fn check_source(
    file_key: &'static str,
    bytes_key: &'static str,
    source: &Source,
) -> Result<(), ManifestError> {
    let file = source.file.as_str();
    let is_plain = (1..=200).contains(&file.len())
        && !file.starts_with('.')
        && !file.contains(['/', '\\', ':'])
        && !file.contains(char::is_control)
        && !file.eq_ignore_ascii_case(MANIFEST);
    let shown = file.escape_debug().to_string();
    expect(is_plain, file_key, &shown, "it is the name of a file beside the manifest")?;
    let bytes = source.bytes;
    let cure = "networks have 1 byte to 256 MiB";
    expect((1..=NETWORK_BYTES_MAX).contains(&bytes), bytes_key, &bytes, cure)
}

fn expect(
    holds: bool,
    key: &'static str,
    value: &dyn std::fmt::Display,
    cure: &'static str,
) -> Result<(), ManifestError> {
    let error = || ManifestError::Value { key, value: value.to_string(), cure };
    holds.then_some(()).ok_or_else(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_manifest_is_sound_and_pinned() {
        let manifest = Manifest::parse(SHIPPED).expect("the manifest");
        for source in [&manifest.detector.source, &manifest.recogniser.source] {
            assert!(source.url.contains(&source.commit) && source.url.ends_with(&source.path));
            assert_eq!(source.commit.len(), 40);
        }
    }

    #[test]
    fn value_without_sense_is_refused_by_its_name() {
        for (from, to, named) in [
            ("\"yunet_n_dynamic.onnx\"", "\"../yunet.onnx\"", "detector.file"),
            ("score_min = 0.8", "score_min = 1.5", "detector.score_min"),
            ("long_side_px = 640", "long_side_px = 100000", "detector.long_side_px"),
            ("[58.395, 57.12, 57.375]", "[58.395, 0.0, 57.375]", "recogniser.deviation"),
            ("numbers_count = 128", "numbers_count = 1", "recogniser.numbers_count"),
            ("bytes = 3998070", "bytes = 99999999999", "recogniser.bytes"),
            ("zoom = 1.03", "zoom = 0.0", "recogniser.framing.zoom"),
            ("raise_px = 2.0", "raise_px = nan", "recogniser.framing.raise_px"),
            ("decoding = \"yunet\"", "decoding = \"yolo\"", "yolo"),
            ("decoding = \"yunet\"", "decoding = \"scrfd\"", "detector.outputs.objects"),
            ("objects = [\"obj_8\", \"obj_16\", \"obj_32\"], ", "", "detector.outputs.objects"),
            ("[\"kps_8\"", "[\"cls_8\"", "detector.outputs is cls_8"),
            ("long_side_px = 640", "long_side_px = 600\nsquare = true", "detector.long_side_px"),
            ("\"MobileFaceNet.onnx\"", "\"YuNet_n_dynamic.onnx\"", "recogniser.file"),
            ("\"MobileFaceNet.onnx\"", "\"model.toml\"", "recogniser.file"),
            ("\"MobileFaceNet.onnx\"", "\"a\\nb.onnx\"", "recogniser.file"),
            ("\"MobileFaceNet.onnx\"", "\"C:evil.onnx\"", "recogniser.file"),
            ("order_min = 0.53", "order_min = nan", "thresholds.order_min"),
            ("ask_min = 0.42", "ask_min = 0.9", "thresholds.ask_min"),
            ("eyes_px_min = 20.0", "eyes_px_min = nan", "thresholds.bar.eyes_px_min"),
            ("turned_max = 0.2", "turned_max = inf", "thresholds.bar.turned_max"),
            ("[thresholds]", "[thresholds]\nexcuse = 1", "excuse"),
            ("[detector]", "[[detector]]", "near line"),
            ("[thresholds]", "[thresholds]\n\"a\\u0007b\" = 1", "near line"),
            ("\"kps_8\", \"kps_16\"", "\"a\\u0007b\", \"a\\u0007b\"", "detector.outputs is a"),
            ("104ee26c", "zz4ee26c", "near line 5"),
        ] {
            let text = SHIPPED.replacen(from, to, 1);
            assert_ne!(text, SHIPPED, "{from}");
            let error = Manifest::parse(&text).expect_err(to).to_string();
            assert!(error.contains(named) && !error.contains(char::is_control), "{to}: {error}");
        }
    }

    #[test]
    fn text_that_is_cut_off_or_empty_is_refused() {
        for len in (0..SHIPPED.len()).step_by(97).filter(|len| SHIPPED.is_char_boundary(*len)) {
            let text = SHIPPED.get(..len).expect("a part");
            let error = Manifest::parse(text).expect_err("a part").to_string();
            assert!(!error.contains(char::is_control), "{error}");
        }
        for text in ["[detector]", "\u{0}", "{}", "[[[[[[[[", "\u{feff}"] {
            assert!(Manifest::parse(text).is_err(), "{text:?}");
        }
    }
}
