//! Draws how often cosines came out, as SVG: bars on a scale of powers of ten, and thresholds.
//!
//! In:  histograms with their names. Out: one SVG that needs nothing else, for light and dark pages.
//!
//! Each histogram is drawn as parts of its own total, so that many strangers and few own pictures
//! can be compared; the scale is logarithmic, since what matters are the last few.

use std::fmt::Write as _;

use super::curves::{Curve, Curves, Histogram, share};
use super::manifest::FaceThresholds;
use crate::base::markup::escaped;

/// What is drawn.
#[derive(Debug)]
pub struct Graph<'a> {
    /// Above it.
    pub title: &'a str,
    /// Each with its name; four are told apart by colour.
    pub series: &'a [(String, &'a Histogram)],
    /// Thresholds with their names.
    pub marks: &'a [(String, f32)],
    /// Lines below it.
    pub notes: &'a [String],
}

const WIDTH: f32 = 1000.0;
const LEFT: f32 = 76.0;
const RIGHT: f32 = 976.0;
const TOP: f32 = 84.0;
const FLOOR: f32 = 384.0;
/// Cosines at the left and at the right.
const COSINES: [f32; 2] = [-0.5, 1.0];
/// Powers of ten from the floor to the top.
const POWERS: i8 = 6;

const STYLE: &str = ".page{fill:#ffffff} text{fill:#14213d} .soft{fill:#5b6478} \
.grid{stroke:#e2e5ec} .mark{stroke:#14213d;stroke-dasharray:5 4} \
.s0{stroke:#1f6feb;fill:#1f6feb}.s1{stroke:#12864b;fill:#12864b}.s2{stroke:#d6293e;fill:#d6293e}\
.s3{stroke:#8a6d00;fill:#8a6d00} .area{fill-opacity:.14;stroke-width:1.6} \
@media (prefers-color-scheme:dark){.page{fill:#0d1117} text{fill:#e6edf3} .soft{fill:#9aa5b4} \
.grid{stroke:#30363d} .mark{stroke:#e6edf3} .s0{stroke:#6cb0ff;fill:#6cb0ff}\
.s1{stroke:#4fd08a;fill:#4fd08a}.s2{stroke:#ff6b7a;fill:#ff6b7a}.s3{stroke:#e0b93c;fill:#e0b93c}}";

impl Graph<'_> {
    /// The drawing.
    pub fn svg(&self) -> String {
        let notes_top = FLOOR + 60.0;
        let height = notes_top + 22.0 * self.notes.len() as f32;
        let title = escaped(self.title);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             font-family=\"system-ui,-apple-system,Segoe UI,Helvetica,Arial,DejaVu Sans,sans-serif\" \
             font-size=\"13\" role=\"img\" aria-label=\"{title}\">\n<style>{STYLE}</style>\n\
             <rect class=\"page\" width=\"{WIDTH}\" height=\"{height}\" rx=\"14\"/>\n\
             <text x=\"{LEFT}\" y=\"32\" font-size=\"17\" font-weight=\"600\">{title}</text>\n"
        );
        self.scales(&mut svg);
        for (index, (_, histogram)) in self.series.iter().enumerate() {
            line(
                &mut svg,
                format_args!("<path class=\"area s{}\" d=\"{}\"/>", index % 4, outline(histogram)),
            );
        }
        self.legend(&mut svg);
        let lowest = self.marks.iter().map(|(_, cosine)| *cosine).fold(f32::INFINITY, f32::min);
        for (name, cosine) in self.marks {
            let (x, name) = (x_of(*cosine), escaped(name));
            // On either side, so that two that are near do not lie over each other.
            let (beside, anchor) =
                if *cosine > lowest { (x + 5.0, "start") } else { (x - 5.0, "end") };
            line(
                &mut svg,
                format_args!(
                    "<path class=\"mark\" fill=\"none\" d=\"M{x:.1} {:.1}V{FLOOR}\"/>",
                    TOP - 14.0
                ),
            );
            line(
                &mut svg,
                format_args!(
                    "<text x=\"{beside:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{name}</text>",
                    TOP - 6.0
                ),
            );
        }
        for (index, note) in self.notes.iter().enumerate() {
            let (y, note) = (notes_top + 22.0 * index as f32, escaped(note));
            line(
                &mut svg,
                format_args!(
                    "<text class=\"soft\" x=\"{LEFT}\" y=\"{y}\" font-size=\"12\">{note}</text>"
                ),
            );
        }
        svg + "</svg>\n"
    }

    fn scales(&self, svg: &mut String) {
        let words =
            ["1 in a million", "1 in 100,000", "1 in 10,000", "1 in 1,000", "1 %", "10 %", "all"];
        for (power, word) in (0..=POWERS).zip(words) {
            let y = FLOOR - (FLOOR - TOP) * f32::from(power) / f32::from(POWERS);
            line(svg, format_args!("<path class=\"grid\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/>"));
            let word = word.trim_start_matches("1 in ").trim_start_matches("a ");
            let word = if power < 4 { format!("1 : {word}") } else { word.to_owned() };
            line(
                svg,
                format_args!(
                    "<text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" font-size=\"11\" text-anchor=\"end\">{word}</text>",
                    LEFT - 6.0,
                    y + 4.0
                ),
            );
        }
        for tenth in (-4..=10_i8).step_by(2) {
            let cosine = f32::from(tenth) / 10.0;
            let x = x_of(cosine);
            line(
                svg,
                format_args!(
                    "<text class=\"soft\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{cosine:.1}</text>",
                    FLOOR + 18.0
                ),
            );
        }
        line(
            svg,
            format_args!(
                "<text class=\"soft\" x=\"{RIGHT}\" y=\"{:.1}\" text-anchor=\"end\">how alike (cosine); \
                 height: part of all comparisons of that colour</text>",
                FLOOR + 36.0
            ),
        );
    }

    fn legend(&self, svg: &mut String) {
        let mut x = LEFT;
        for (index, (name, histogram)) in self.series.iter().enumerate() {
            let text = format!("{name}: {}", grouped(histogram.total()));
            let class = index % 4;
            line(
                svg,
                format_args!("<path class=\"s{class}\" stroke-width=\"3\" d=\"M{x:.1} 50h22\"/>"),
            );
            line(
                svg,
                format_args!("<text x=\"{:.1}\" y=\"54\">{}</text>", x + 28.0, escaped(&text)),
            );
            x += 48.0 + 7.0 * text.chars().count() as f32;
        }
    }
}

/// The drawing of shipped curves, `docs/faces.svg`: somebody with five pictures.
pub fn shipped(curves: &Curves, thresholds: &FaceThresholds) -> String {
    let Some(curve) = curves.with_pictures(5) else { return String::new() };
    let series = [
        ("further pictures of one person".to_owned(), &curve.genuine),
        ("the same, small and poor".to_owned(), &curve.small),
        ("faces of others".to_owned(), &curve.impostors),
    ];
    let FaceThresholds { order_min, ask_min, .. } = *thresholds;
    let notes = [sentence("order", curve, order_min), sentence("ask", curve, ask_min)];
    let graph = Graph {
        title: "How alike faces are to somebody enrolled from five pictures",
        series: &series,
        marks: &[
            (format!("order {order_min:.2}"), order_min),
            (format!("ask {ask_min:.2}"), ask_min),
        ],
        notes: &notes,
    };
    graph.svg()
}

/// What a threshold gives, in one line.
pub fn sentence(name: &str, curve: &Curve, cosine_min: f32) -> String {
    let Curve { genuine, small, impostors, .. } = curve;
    format!(
        "{name} from {cosine_min:.2} on: {:.1} % of further pictures, {:.1} % of small and poor ones; {} of {} \
         comparisons with others (at most {:.1} in 100,000, 95 %)",
        100.0 * genuine.share_reaching(cosine_min),
        100.0 * small.share_reaching(cosine_min),
        grouped(impostors.reaching(cosine_min)),
        grouped(impostors.total()),
        1e5 * impostors.share_at_most(cosine_min),
    )
}

/// Steps over the bins, closed along the floor; empty for an empty histogram.
fn outline(histogram: &Histogram) -> String {
    let total = histogram.total();
    let mut path = String::new();
    let mut end = None;
    for (cosine, count) in histogram.bins().filter(|(cosine, _)| *cosine >= COSINES[0]) {
        let left = x_of(cosine);
        if path.is_empty() {
            // Writing to a text cannot fail.
            let _ = write!(path, "M{left:.1} {FLOOR}");
        }
        let right = x_of(cosine + 0.01);
        let _ = write!(path, "V{:.1}H{right:.1}", y_of(share(count, total)));
        end = Some(right);
    }
    if end.is_some() {
        let _ = write!(path, "V{FLOOR}Z");
    }
    path
}

fn x_of(cosine: f32) -> f32 {
    let part = (cosine - COSINES[0]) / (COSINES[1] - COSINES[0]);
    LEFT + (RIGHT - LEFT) * part.clamp(0.0, 1.0)
}

#[expect(clippy::cast_possible_truncation, reason = "some hundred px")]
fn y_of(share: f64) -> f32 {
    let powers = if share > 0.0 { (share.log10() + f64::from(POWERS)).max(0.0) } else { 0.0 };
    FLOOR - (FLOOR - TOP) * (powers / f64::from(POWERS)) as f32
}

fn line(svg: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a text cannot fail.
    let _ = writeln!(svg, "{text}");
}

/// A number with commas: `231,004`.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::curves::Curves;
    use super::super::manifest::{self, Manifest};
    use super::*;

    #[test]
    fn what_is_drawn_is_sound_and_shows_names_as_they_are() {
        let (empty, some): (Histogram, Histogram) =
            (Histogram::default(), [0.1, 0.1, 0.2, 0.9, -0.9].into_iter().collect());
        let series = [("<Anna> & \"Ben\"".to_owned(), &some), ("nobody".to_owned(), &empty)];
        let marks = [("order 0.53".to_owned(), 0.53)];
        let notes = ["a < b".to_owned()];
        let svg = Graph { title: "T", series: &series, marks: &marks, notes: &notes }.svg();
        let tree = roxmltree::Document::parse(&svg).expect("sound XML");
        let texts: Vec<_> = tree.descendants().filter_map(|node| node.text()).collect();
        assert!(texts.contains(&"<Anna> & \"Ben\": 5") && texts.contains(&"a < b"), "{texts:?}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        let area = tree.descendants().find(|node| node.attribute("class") == Some("area s0"));
        assert!(area.and_then(|node| node.attribute("d")).is_some_and(|path| path.ends_with('Z')));
    }

    #[test]
    fn higher_is_more_and_nothing_lies_on_the_floor() {
        assert!((y_of(0.0) - FLOOR).abs() < 0.01 && (y_of(1e-9) - FLOOR).abs() < 0.01);
        assert!((y_of(1.0) - TOP).abs() < 0.01 && y_of(0.01) < y_of(0.001));
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(123), "123");
    }

    #[test]
    fn drawing_in_the_docs_is_that_of_the_shipped_curves() {
        let manifest = Manifest::parse(manifest::SHIPPED).expect("the manifest");
        let curves = Curves::of(&manifest).expect("of these networks");
        let drawn = include_str!("../../../docs/faces.svg");
        assert_eq!(
            shipped(&curves, &manifest.thresholds),
            drawn,
            "`cargo bench --bench face_curves -- --draw`"
        );
    }
}
