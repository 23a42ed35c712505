//! Twelve months as bars: what is drawn where, for screens and for paper.
//!
//! In:  the months of a report. Out: panels one above the other, accesses first, then what the
//! owner got in each currency. Heights are parts of the highest bar; nothing is below zero, since a
//! month whose credits were taken back counts as none and says its number.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::facts::MonthSum;
use crate::base::markup::escaped;
use crate::base::money::written;

/// Currencies that have a panel; the rest is in the tables.
const CURRENCIES_MAX: usize = 3;

/// Bars that belong to one scale.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// What they show: `Accesses`, `You got, EUR`.
    pub title: String,
    /// One for each month, oldest first.
    pub bars: Vec<Bar>,
}

/// One month of a panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// Such as `Nov`.
    pub letters: String,
    /// Such as `November 2026: 12`.
    pub words: String,
    /// The number alone; empty for nothing.
    pub number: String,
    /// Part of the panel's height, 0 to 1.
    pub height: f32,
}

/// The panels of a report; none where twelve months brought nothing.
pub fn panels(months: &[MonthSum]) -> Vec<Panel> {
    if months.iter().all(|month| month.accesses_count == 0) {
        return Vec::new();
    }
    let count = |month: &MonthSum| i64::try_from(month.accesses_count).unwrap_or(i64::MAX);
    let mut panels = vec![panel("Accesses".to_owned(), months, count, |count| count.to_string())];
    let currencies: BTreeSet<&String> =
        months.iter().flat_map(|month| month.credits.keys()).collect();
    for currency in currencies.into_iter().take(CURRENCIES_MAX) {
        let credit = |month: &MonthSum| month.credits.get(currency).copied().unwrap_or(0);
        let amount = |minor| written(minor, currency);
        panels.push(panel(format!("You got, {currency}"), months, credit, amount));
    }
    panels
}

fn panel(
    title: String,
    months: &[MonthSum],
    value: impl Fn(&MonthSum) -> i64,
    words: impl Fn(i64) -> String,
) -> Panel {
    let most = months.iter().map(&value).max().unwrap_or(0).max(1);
    let bar = |month: &MonthSum| {
        let value = value(month);
        #[expect(clippy::cast_precision_loss, reason = "a bar is some hundred pixels high")]
        let height = value.max(0) as f32 / most as f32;
        let number = if value == 0 { String::new() } else { words(value) };
        Bar {
            letters: month.letters.clone(),
            words: format!("{}: {}", month.words, words(value)),
            number,
            height,
        }
    };
    Panel { title, bars: months.iter().map(bar).collect() }
}

/// Width of the drawing, in its own units.
const WIDTH: f32 = 720.0;
/// A panel with its title above and its months below.
const PANEL: f32 = 128.0;
const BAR: f32 = 78.0;

/// The drawing as SVG for a page that has the styles of `html`.
pub fn svg(panels: &[Panel]) -> String {
    let mut text = String::new();
    let height = PANEL * f32::from(u8::try_from(panels.len()).unwrap_or(u8::MAX));
    let alone: Vec<String> = panels.iter().map(spoken).collect();
    // Writing to a text cannot fail.
    let _ = write!(
        text,
        "<svg role=\"img\" viewBox=\"0 0 {WIDTH} {height}\" aria-labelledby=\"plot-title plot-text\">\
         <title id=\"plot-title\">The last twelve months</title>\
         <desc id=\"plot-text\">{}</desc>",
        escaped(&alone.join(" "))
    );
    let mut top = 0.0;
    for panel in panels {
        let _ = write!(
            text,
            "<text class=\"head\" x=\"0\" y=\"{}\">{}</text>",
            top + 14.0,
            escaped(&panel.title)
        );
        let step = WIDTH / f32::from(u8::try_from(panel.bars.len()).unwrap_or(u8::MAX)).max(1.0);
        let floor = top + 28.0 + BAR;
        let mut left = 0.0;
        for bar in &panel.bars {
            let (middle, high) = (left + step / 2.0, bar.height * BAR);
            let _ = write!(
                text,
                "<g><title>{}</title><rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>\
                 <text x=\"{middle:.1}\" y=\"{:.1}\">{}</text>\
                 <text x=\"{middle:.1}\" y=\"{:.1}\">{}</text></g>",
                escaped(&bar.words),
                left + step * 0.15,
                floor - high,
                step * 0.7,
                high,
                floor - high - 3.0,
                escaped(&bar.number),
                floor + 14.0,
                escaped(&bar.letters),
            );
            left += step;
        }
        let _ = write!(text, "<path d=\"M0 {floor:.1}H{WIDTH}\"/>");
        top += PANEL;
    }
    text + "</svg>"
}

/// A panel for who cannot see it.
fn spoken(panel: &Panel) -> String {
    let bars: Vec<&str> = panel
        .bars
        .iter()
        .filter(|bar| !bar.number.is_empty())
        .map(|bar| bar.words.as_str())
        .collect();
    format!("{}: {}.", panel.title, bars.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::facts::tests::{report, rows};
    use super::*;

    #[test]
    fn bars_are_as_high_as_their_months() {
        let mut months = report(&rows()).months;
        months[5].accesses_count = 1;
        months[6].accesses_count = 9;
        let panels = panels(&months);
        let titles: Vec<&str> = panels.iter().map(|panel| panel.title.as_str()).collect();
        assert_eq!(titles, ["Accesses", "You got, EUR", "You got, USD"]);
        let heights: Vec<f32> = panels[0].bars.iter().map(|bar| bar.height * 9.0).collect();
        assert_eq!(heights[4..], [0.0, 1.0, 9.0, 0.0, 0.0, 0.0, 0.0, 3.0]);
        assert_eq!(panels[1].bars[11].words, "November 2026: 0.40");
        let drawn = svg(&panels);
        assert_eq!(drawn.matches("<rect").count(), 36);
        assert!(drawn.contains("role=\"img\"") && drawn.contains("November 2026: 3"), "{drawn}");
    }

    #[test]
    fn year_without_anything_has_no_plot() {
        let months = report(&crate::store::ReportRows::default()).months;
        assert_eq!(panels(&months), []);
    }

    #[test]
    fn month_in_which_more_was_taken_back_than_given_is_not_below_the_floor() {
        let mut months = report(&rows()).months;
        months[11].credits.insert("EUR".to_owned(), -40);
        let panels = panels(&months);
        assert_eq!(panels[1].bars[11].height.to_bits(), 0.0_f32.to_bits());
        assert_eq!(panels[1].bars[11].number, "-0.40");
    }
}
