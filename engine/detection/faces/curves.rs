//! How alike faces of one person are to the network, and faces of different people: counted, and what
//! follows for a threshold.
//!
//! In:  cosines. Out: [`Histogram`]s of them; the shipped ones are [`Curves`], in
//! `models/faces/curves.toml`, made again by `cargo bench --bench face_curves -- --write`.
//!
//! Counts only: nobody's face is in them.
//!
//! What was counted is not independent (a face is compared with many templates, a template is made
//! from pictures that others share), so bounds are those of as many independent comparisons.

use std::fmt::Write as _;

use serde::Deserialize;

use super::manifest::{FaceThresholds, Framing, Manifest};
use crate::base::ids::ContentHash;

/// The curves of the networks that `signet models pull faces` fetches.
pub const SHIPPED: &str = include_str!("../../../models/faces/curves.toml");

/// Bins from a cosine of -1 to 1, a hundredth each.
const BINS: std::ops::Range<i32> = -100..100;

/// How often a cosine came out, in bins of a hundredth.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Histogram {
    /// Lower end of the first bin, in hundredths.
    from: i32,
    /// Bin by bin.
    counts: Vec<u64>,
}

/// The bin of a cosine.
#[expect(clippy::cast_possible_truncation, reason = "a hundred at most")]
fn bin_of(cosine: f32) -> i32 {
    // A threshold of 0.53 is 0.52999997 as an f32 and means the bin that begins there.
    let bin = (f64::from(cosine) * 100.0 + 1e-4).floor() as i32;
    bin.clamp(BINS.start, BINS.end - 1)
}

impl Histogram {
    /// Counts one; what is no number counts as 0.
    pub fn add(&mut self, cosine: f32) {
        let bin = bin_of(cosine);
        if self.counts.is_empty() {
            self.from = bin;
        }
        let missing = usize::try_from(self.from - bin).unwrap_or(0);
        if missing > 0 {
            self.counts.splice(0..0, std::iter::repeat_n(0, missing));
            self.from = bin;
        }
        let place = usize::try_from(bin - self.from).unwrap_or(0);
        if self.counts.len() <= place {
            self.counts.resize(place + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(place) {
            *count += 1;
        }
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How many reach a threshold. Of the bin that it lies in, all.
    pub fn reaching(&self, cosine_min: f32) -> u64 {
        let skipped = usize::try_from(bin_of(cosine_min) - self.from).unwrap_or(0);
        self.counts.iter().skip(skipped).sum()
    }

    /// Which part of them reaches a threshold, `0.0..=1.0`; 0 of none.
    pub fn share_reaching(&self, cosine_min: f32) -> f64 {
        share(self.reaching(cosine_min), self.total())
    }

    /// Which part of them at most reaches a threshold, with 95 % certainty (Poisson); 1 of none.
    pub fn share_at_most(&self, cosine_min: f32) -> f64 {
        match self.total() {
            0 => 1.0,
            total => (poisson_at_most(self.reaching(cosine_min)) / total as f64).min(1.0),
        }
    }

    /// Upper end of the highest bin with something in it; `None` of none.
    pub fn highest(&self) -> Option<f32> {
        let last = self.bins().filter(|(_, count)| *count > 0).last();
        last.map(|(cosine, _)| cosine + 0.01)
    }

    /// Lower end of each bin, and how many are in it.
    pub fn bins(&self) -> impl Iterator<Item = (f32, u64)> + '_ {
        let bin =
            |(place, count): (usize, &u64)| ((self.from as f32 + place as f32) / 100.0, *count);
        self.counts.iter().enumerate().map(bin)
    }

    fn is_sound(&self) -> bool {
        let end = i32::try_from(self.counts.len()).ok().and_then(|len| self.from.checked_add(len));
        let fits = end.is_some_and(|end| self.from >= BINS.start && end <= BINS.end);
        fits && self.counts.iter().try_fold(0_u64, |sum, count| sum.checked_add(*count)).is_some()
    }
}

impl FromIterator<f32> for Histogram {
    fn from_iter<I: IntoIterator<Item = f32>>(cosines: I) -> Self {
        let mut histogram = Self::default();
        cosines.into_iter().for_each(|cosine| histogram.add(cosine));
        histogram
    }
}

/// A part of a whole; 0 of nothing.
pub fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// How many there are to be expected at most where so many were counted, with 95 % certainty: the
/// mean of the Poisson distribution of which `count` or fewer come with 5 %.
pub fn poisson_at_most(count: u64) -> f64 {
    // Beyond, the normal approximation (Wilson-Hilferty) is right to four digits.
    if count > 200 {
        let next = count as f64 + 1.0;
        return next * (1.0 - 1.0 / (9.0 * next) + 1.6449 / (3.0 * next.sqrt())).powi(3);
    }
    let chance = |mean: f64| {
        let mut term = (-mean).exp();
        let mut sum = term;
        for step in 1..=count {
            term *= mean / step as f64;
            sum += term;
        }
        sum
    };
    let (mut low, mut high) = (0.0, 300.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if chance(middle) > 0.05 { low = middle } else { high = middle }
    }
    high
}

/// What was counted with one number of pictures for each person.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Curve {
    /// Pictures that a person was enrolled from.
    pub pictures: usize,
    /// People with pictures left to be found by.
    pub people: usize,
    /// Templates that were made.
    pub templates: usize,
    /// Further pictures of the same person as they are.
    pub genuine: Histogram,
    /// The same so small that the eyes are 24 px apart, and saved as a poor JPEG.
    pub small: Histogram,
    /// Faces of others.
    pub impostors: Histogram,
}

/// Everything that was counted with one pair of networks.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Curves {
    /// When, such as `2026-11-21`.
    pub measured: String,
    /// SHA-256 of the network that found the faces …
    pub detector: ContentHash,
    /// … and of the one that compared them.
    pub recogniser: ContentHash,
    /// How faces lay in their crops.
    pub framing: Framing,
    /// Which pictures, and how they were compared.
    pub recipe: String,
    /// By the number of pictures, fewest first; at least one.
    #[serde(rename = "curve")]
    pub by_pictures: Vec<Curve>,
}

/// Why curves cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CurvesError {
    /// No TOML, or something is missing or of another kind.
    #[error("they are no curves: {0}")]
    Toml(String),
    /// Numbers that cannot be.
    #[error(
        "the curve for {0} pictures cannot be: counts lie between cosines of -1 and 1, and curves go from few pictures to many"
    )]
    Numbers(usize),
    /// There is nothing in them.
    #[error("there is no curve in them")]
    Empty,
}

impl Curves {
    /// Reads and checks curves.
    ///
    /// # Errors
    /// See [`CurvesError`].
    pub fn parse(text: &str) -> Result<Self, CurvesError> {
        let curves: Self = toml::from_str(text)
            .map_err(|error| CurvesError::Toml(error.message().replace('\n', ", ")))?;
        let mut before = 0;
        for curve in &curves.by_pictures {
            let is_sound = [&curve.genuine, &curve.small, &curve.impostors]
                .into_iter()
                .all(Histogram::is_sound);
            if !is_sound || curve.pictures <= before {
                return Err(CurvesError::Numbers(curve.pictures));
            }
            before = curve.pictures;
        }
        if before == 0 { Err(CurvesError::Empty) } else { Ok(curves) }
    }

    /// The shipped ones, where they were counted with these networks, used in this way.
    pub fn of(manifest: &Manifest) -> Option<Self> {
        let curves = Self::parse(SHIPPED).ok()?;
        let is_of = curves.detector == manifest.detector.source.sha256
            && curves.recogniser == manifest.recogniser.source.sha256
            && curves.framing == manifest.recogniser.framing;
        is_of.then_some(curves)
    }

    /// The curve for somebody with so many pictures: the one for as many or fewer, else the first.
    pub fn with_pictures(&self, count: usize) -> Option<&Curve> {
        let fitting = self.by_pictures.iter().rev().find(|curve| curve.pictures <= count);
        fitting.or_else(|| self.by_pictures.first())
    }

    /// The text of their file.
    pub fn text(&self) -> String {
        let list = |histogram: &Histogram| {
            let counts: Vec<String> = histogram.counts.iter().map(u64::to_string).collect();
            format!("{{ from = {}, counts = [{}] }}", histogram.from, counts.join(", "))
        };
        let mut text = format!(
            "# How alike faces are to the networks of model.toml: counts of cosines in bins of a hundredth,\n\
             # the first from `from` hundredths on. Counts only, of nobody in particular. Made by\n\
             # `cargo bench --bench face_curves -- --write`, drawn in docs/faces.svg.\n\n\
             measured = \"{}\"\ndetector = \"{}\"\nrecogniser = \"{}\"\n\
             framing = {{ zoom = {:?}, raise_px = {:?} }}\nrecipe = \"\"\"\n{}\"\"\"\n",
            self.measured,
            self.detector,
            self.recogniser,
            self.framing.zoom,
            self.framing.raise_px,
            self.recipe
        );
        for curve in &self.by_pictures {
            // Writing to a text cannot fail.
            let _ = write!(
                text,
                "\n[[curve]]\npictures = {}\npeople = {}\ntemplates = {}\ngenuine = {}\nsmall = {}\n\
                 impostors = {}\n",
                curve.pictures,
                curve.people,
                curve.templates,
                list(&curve.genuine),
                list(&curve.small),
                list(&curve.impostors)
            );
        }
        text
    }
}

/// Why thresholds of one's own are refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OwnThresholdsError {
    /// Laxer than what was measured to be safe.
    #[error(
        "`{key}` in [faces] of signet.toml is {own}, and {least} is the least{figure}: raise it, or take it out"
    )]
    Lax {
        /// `order_min` or `lead_min`.
        key: &'static str,
        /// What it is.
        own: f32,
        /// What the networks' manifest says.
        least: f32,
        /// What would happen, where it is known; begins with a colon.
        figure: String,
    },
    /// Nothing would ever be asked.
    #[error(
        "`ask_min` in [faces] of signet.toml is {ask_min}, above the order_min of {order_min} that is in force: lower it"
    )]
    AskAboveOrder {
        /// What it is.
        ask_min: f32,
        /// What faces may order from.
        order_min: f32,
    },
}

/// Thresholds with those of the owner in place of the manifest's.
///
/// Ordering can only be made harder: what is shipped is as far as was measured.
///
/// # Errors
/// See [`OwnThresholdsError`].
pub fn own_thresholds(
    manifest: &Manifest,
    own: crate::base::config::Faces,
) -> Result<FaceThresholds, OwnThresholdsError> {
    let shipped = manifest.thresholds;
    let mut thresholds = shipped;
    if let Some(order_min) = own.order_min {
        if order_min < shipped.order_min {
            let curves = Curves::of(manifest);
            let figure = curves.as_ref().and_then(|curves| curves.with_pictures(5)).map(|curve| {
                let impostors = &curve.impostors;
                format!(
                    " (of {} comparisons with faces of others {} reach {order_min}, {} reach {})",
                    impostors.total(),
                    impostors.reaching(order_min),
                    impostors.reaching(shipped.order_min),
                    shipped.order_min
                )
            });
            let figure = figure.unwrap_or_default();
            let (key, least) = ("order_min", shipped.order_min);
            return Err(OwnThresholdsError::Lax { key, own: order_min, least, figure });
        }
        thresholds.order_min = order_min;
    }
    if let Some(lead_min) = own.lead_min {
        if lead_min < shipped.lead_min {
            let (key, least, figure) = ("lead_min", shipped.lead_min, String::new());
            return Err(OwnThresholdsError::Lax { key, own: lead_min, least, figure });
        }
        thresholds.lead_min = lead_min;
    }
    if let Some(ask_min) = own.ask_min {
        if ask_min > thresholds.order_min {
            let order_min = thresholds.order_min;
            return Err(OwnThresholdsError::AskAboveOrder { ask_min, order_min });
        }
        thresholds.ask_min = ask_min;
    }
    Ok(thresholds)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::manifest;
    use super::*;
    use crate::base::config::Faces;

    fn shipped() -> Manifest {
        Manifest::parse(manifest::SHIPPED).expect("the manifest")
    }

    proptest! {
        #[test]
        fn each_cosine_is_counted_once_and_fewer_reach_a_higher_threshold(
            cosines in prop::collection::vec(-1.0_f32..=1.0, 0..200), low in -1.0_f32..1.0, more in 0.0_f32..1.0,
        ) {
            let histogram: Histogram = cosines.iter().copied().collect();
            prop_assert_eq!(histogram.total(), cosines.len() as u64);
            prop_assert!(histogram.is_sound());
            prop_assert!(histogram.reaching(low) >= histogram.reaching((low + more).min(1.0)));
            prop_assert_eq!(histogram.reaching(-1.0), histogram.total());
            let reaching = cosines.iter().filter(|cosine| **cosine >= low).count() as u64;
            // The bin that the threshold lies in counts as a whole.
            let bin = cosines.iter().filter(|cosine| (**cosine - low).abs() <= 0.0101).count() as u64;
            prop_assert!(histogram.reaching(low) >= reaching && histogram.reaching(low) <= reaching + bin);
        }
    }

    #[test]
    fn threshold_at_the_edge_of_a_bin_means_that_bin() {
        let histogram: Histogram = [0.5299, 0.53, 0.535, f32::NAN, 7.0].into_iter().collect();
        assert_eq!(
            (histogram.reaching(0.53), histogram.reaching(0.54), histogram.total()),
            (3, 1, 5)
        );
        assert_eq!(histogram.highest(), Some(1.0));
        assert_eq!(Histogram::default().highest(), None);
        assert!((Histogram::default().share_at_most(0.5) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn bound_is_that_of_the_tables() {
        // Ulm 1990, upper limits of the mean at 95 %, one side.
        for (count, expected) in [(0, 2.996), (1, 4.744), (2, 6.296), (5, 10.513), (10, 16.962)] {
            assert!((poisson_at_most(count) - expected).abs() < 1e-3, "{count}");
        }
        assert!((poisson_at_most(201) - poisson_at_most(200) - 1.0).abs() < 0.1);
    }

    #[test]
    fn shipped_curves_are_of_the_shipped_networks_and_carry_the_thresholds() {
        let manifest = shipped();
        let curves = Curves::of(&manifest).expect("of these networks");
        let FaceThresholds { order_min, ask_min, .. } = manifest.thresholds;
        let five = curves.with_pictures(5).expect("a curve");
        assert_eq!(five.pictures, 5);
        // What the manifest says of its thresholds, and what the issue asks for.
        assert!(five.impostors.total() >= 200_000, "{}", five.impostors.total());
        assert_eq!(five.impostors.reaching(order_min), 0);
        assert!(five.genuine.share_reaching(order_min) >= 0.9);
        for pair in curves.by_pictures.windows(2) {
            let [few, many] = pair else { continue };
            let (few, many) = (&few.genuine, &many.genuine);
            assert!(many.share_reaching(order_min) >= few.share_reaching(order_min) - 0.02);
        }
        for curve in &curves.by_pictures {
            assert!(
                curve.genuine.share_reaching(ask_min) >= curve.genuine.share_reaching(order_min)
            );
            assert!(
                curve.genuine.share_reaching(order_min) >= curve.small.share_reaching(order_min)
            );
            assert!(curve.impostors.share_at_most(ask_min) < 0.001, "{}", curve.pictures);
        }
        assert_eq!(Curves::parse(&curves.text()).expect("they are read"), curves);
    }

    #[test]
    fn curves_that_cannot_be_are_refused_and_other_networks_have_none() {
        for (from, to, named) in [
            ("measured", "mesured", "mesured"),
            ("pictures = 5", "pictures = 1", "for 1 pictures"),
            ("impostors = { from = -", "impostors = { from = -9", "for 1 pictures"),
            ("counts = [", "counts = [18446744073709551615, ", ""),
        ] {
            let text = SHIPPED.replacen(from, to, 1);
            assert_ne!(text, SHIPPED, "{from}");
            let error = Curves::parse(&text).expect_err(to).to_string();
            assert!(error.contains(named) && !error.contains('\n'), "{to}: {error}");
        }
        let text = SHIPPED.split("[[curve]]").next().expect("a head");
        assert!(Curves::parse(text).is_err());
        let mut other = shipped();
        other.recogniser.framing.zoom = 1.0;
        assert_eq!(Curves::of(&other), None);
    }

    #[test]
    fn own_thresholds_make_ordering_harder_and_never_easier() {
        let manifest = shipped();
        let with = |order_min, lead_min, ask_min| {
            own_thresholds(&manifest, Faces { order_min, lead_min, ask_min })
        };
        assert_eq!(with(None, None, None), Ok(manifest.thresholds));
        let strict = with(Some(0.6), Some(0.1), Some(0.5)).expect("stricter");
        let FaceThresholds { order_min, lead_min, ask_min, .. } = manifest.thresholds;
        assert!(strict.order_min > order_min && strict.lead_min > lead_min);
        assert!(strict.ask_min > ask_min);
        let error = with(Some(0.4), None, None).expect_err("laxer").to_string();
        assert!(error.contains("order_min") && error.contains("signet.toml"), "{error}");
        assert!(error.contains("comparisons with faces of others"), "{error}");
        assert!(with(None, Some(0.01), None).is_err());
        assert!(with(None, None, Some(0.3)).is_ok(), "to be asked more often is harmless");
        assert!(with(None, None, Some(0.7)).is_err());
    }
}
