//! A report as plain text: for terminals, and for mail programs that show nothing else.

use std::fmt::Write as _;

use super::Report;
use super::facts::{Accessed, Corrected, Refused, Revoked};
use super::lies::Lied;
use crate::base::money::written;

/// Lines of one kind; the rest is only counted.
const LINES_MAX: usize = 500;

/// The whole report; lines end with `\n`.
pub fn text(report: &Report) -> String {
    let mut text = format!("{}\n\n{}\n", heading(report), report.summary);
    section(&mut text, "What the hub said and cannot be true", &report.lies, lied_line);
    section(&mut text, "Accesses", &report.accesses, access_line);
    section(&mut text, "Put right", &report.corrected, corrected_line);
    if !report.sums.is_empty() {
        text.push_str("\nSums\n");
        for sum in &report.sums {
            let purpose = sum.purpose.map_or("", |purpose| purpose.as_str());
            let (total, currency) = (&sum.total, &sum.total.currency);
            let _ = writeln!(
                text,
                "  {:<16} {purpose:<6} {:>5} x  paid {:>9} {currency}, you got {:>9} {currency}, \
                 the service {:>9} {currency}",
                one_line(&sum.provider),
                total.accesses_count,
                written(total.paid_minor, currency),
                written(total.owner_minor, currency),
                written(total.service_minor, currency),
            );
        }
    }
    section(&mut text, "Refused", &report.refused, refused_line);
    section(&mut text, "Taken back", &report.revoked, revoked_line);
    text
}

/// `Signet: what was fetched from Ada, November 2026`
pub fn heading(report: &Report) -> String {
    format!("Signet: what was fetched from {}, {}", one_line(&report.owner), report.title)
}

/// `2026-11-21 14:06  lab fetched the original photos/IMG_1.jpg …`
fn access_line(access: &Accessed) -> String {
    let fee = &access.fee;
    format!(
        "{}  {} fetched the {} {} for {} (order {}), paid {} {}, you got {}",
        access.when,
        one_line(&access.provider),
        access.member,
        one_line(&access.path),
        one_line(&access.what),
        access.order_key,
        written(fee.paid_minor, &fee.currency),
        fee.currency,
        written(fee.owner_minor, &fee.currency),
    )
}

fn lied_line(lied: &Lied) -> String {
    format!("{}  {}", lied.when, one_line(&lied.words()))
}

fn corrected_line(corrected: &Corrected) -> String {
    format!(
        "{}  {} for {} (order {}): {}, you got {} {}",
        corrected.when,
        corrected.what,
        one_line(&corrected.provider),
        corrected.order_key,
        one_line(&corrected.why),
        written(corrected.fee.owner_minor, &corrected.fee.currency),
        corrected.fee.currency,
    )
}

fn refused_line(refused: &Refused) -> String {
    let grant = if refused.grant_id.is_empty() { "no grant of yours" } else { &refused.grant_id };
    format!(
        "{}  {} x {}: {} ({})",
        refused.when,
        one_line(&refused.remote),
        refused.tries_count,
        one_line(&refused.reason),
        one_line(grant),
    )
}

fn revoked_line(revoked: &Revoked) -> String {
    format!(
        "{}  {} may not fetch {} any more: {} ({})",
        revoked.when,
        one_line(&revoked.provider),
        one_line(&revoked.name),
        one_line(&revoked.why),
        revoked.grant_id,
    )
}

fn section<T>(text: &mut String, title: &str, items: &[T], line: impl Fn(&T) -> String) {
    if items.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{title}");
    for item in items.iter().take(LINES_MAX) {
        let _ = writeln!(text, "  {}", line(item));
    }
    if let Some(more_count @ 1..) = items.len().checked_sub(LINES_MAX) {
        let _ = writeln!(text, "  … and {more_count} more: signet report --json has all");
    }
}

/// A name of others that neither ends its line nor turns the words behind it. Names that are written
/// from right to left need none of the marks that are taken out.
fn one_line(text: &str) -> String {
    let turns = |c: &char| matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    text.chars().filter(|c| !turns(c)).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::facts::tests::{access, report, rows};
    use super::*;
    use crate::store::{AccessRow, ReportRows};

    #[test]
    fn text_says_what_the_report_says() {
        let text = text(&report(&rows()));
        for expected in [
            "Signet: what was fetched from Ada, November 2026\n",
            "2026-11-21 14:06  lab fetched the original photos/IMG_1.jpg for print-10x15 x 2 \
             (order order1), paid 0.25 EUR, you got 0.20\n",
            "lab              print      2 x  paid      0.50 EUR",
            "203.0.113.7 x 3: its time is over (grant1)\n",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
    }

    #[test]
    fn hub_that_lied_is_told_of_before_all_else() {
        let lies = vec![super::super::facts::tests::lie()];
        let text = text(&report(&ReportRows { lies, ..rows() }));
        let told = text.find("The hub said: the hub posted 0.50 EUR").expect("told");
        assert!(told < text.find("\nAccesses\n").expect("accesses"), "{text}");
        assert!(text.contains("Your own record says: the fee that was agreed"), "{text}");
    }

    #[test]
    fn name_cannot_begin_a_line_and_a_long_list_is_cut_and_says_so() {
        let path = "a\r\n  \u{202E}Refused".into();
        let evil = AccessRow { path, ..access(0, "lab", "EUR") };
        let rows = std::iter::once(evil).chain((1..600).map(|number| access(number, "lab", "EUR")));
        let text = text(&report(&ReportRows { accesses: rows.collect(), ..ReportRows::default() }));
        assert!(!text.contains('\r') && text.contains("a    Refused for"), "{text}");
        assert!(text.contains("and 100 more"), "{text}");
    }
}
