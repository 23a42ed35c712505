//! A report as one HTML page that needs nothing else: no script, no address, no font of others.
//!
//! In:  a report, pictures of its photos, where it is read. Out: the page. A file has its pictures
//! inside (`data:`) and a drawing by month; a mail names its pictures by the parts that travel with
//! it (`cid:`), and has the months as a table, since mail programs take drawings out.
//!
//! Whatever comes from outside is escaped and set apart, so that a photo's name neither becomes
//! markup nor turns the words around it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Report;
use super::facts::{Accessed, MonthSum};
use super::picture::{Picture, Pictures};
use super::plot::{panels, svg};
use crate::base::ids::ContentHash;
use crate::base::markup::{escaped, set_apart};
use crate::base::money::written;

/// Lines of one kind; the rest is only counted.
const LINES_MAX: usize = 2000;

/// Where a page is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// By a browser, from a file.
    File,
    /// By a mail program.
    Mail,
}

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#14213d;--soft:#5a6372;--line:#d5d9e0;--bar:#2a6f97}\
@media(prefers-color-scheme:dark){:root{--ink:#e8ebf0;--soft:#a7afbd;--line:#3a4150;--bar:#61a5c2}\
body{background:#12151b}}\
body{color:var(--ink);font:16px/1.45 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1.2rem}\
h1{font-size:1.5rem;margin:0 0 .3rem}h2{font-size:1.1rem;margin:1.8rem 0 .4rem}\
p{margin:.3rem 0}.soft,th,svg text{color:var(--soft)}.lead{font-size:1.1rem}\
table{border-collapse:collapse;width:100%}\
th,td{border-bottom:1px solid var(--line);padding:.35rem .6rem .35rem 0;text-align:left;\
vertical-align:top;overflow-wrap:anywhere}th{font-weight:600;font-size:.85rem}\
td.n,th.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}\
td.pic{width:84px}img{border-radius:4px;display:block;height:auto;max-width:80px}\
small{color:var(--soft);display:block}svg{display:block;height:auto;width:100%}\
svg rect{fill:var(--bar)}svg path{stroke:var(--line);stroke-width:1}\
svg text{fill:var(--soft);font-size:11px;text-anchor:middle}\
svg text.head{fill:var(--ink);font-size:13px;text-anchor:start}\
@media(max-width:44rem){table{display:block;overflow-x:auto}}\
@media print{:root{--ink:#000;--soft:#444;--line:#bbb;--bar:#555}body{font-size:10pt;max-width:none;padding:0;background:none}\
h2{break-after:avoid}tr,svg{break-inside:avoid}thead{display:table-header-group}}\
@page{margin:15mm}";

/// The page of a report.
pub fn page(report: &Report, pictures: &Pictures, medium: Medium) -> String {
    let mut body = format!(
        "<h1>What was fetched from {}</h1><p class=\"soft\">{} · made {}</p><p class=\"lead\">{}</p>",
        set_apart(&report.owner),
        escaped(&report.title),
        escaped(&report.made),
        escaped(&report.summary),
    );
    body += &table(
        "What the hub said and cannot be true",
        &["When", "The hub said", "Your own record says", "What it means", "What to do"],
        &report.lies,
        |lied| {
            vec![
                format!("{}<small>hub {}</small>", escaped(&lied.when), escaped(&lied.hub)),
                set_apart(&lied.said),
                set_apart(&lied.own),
                escaped(&lied.meaning),
                escaped(&lied.cure),
            ]
        },
    );
    body += &accesses(&report.accesses, pictures, medium);
    body += &table(
        "Put right",
        &["When", "What", "Who", "Because", "Order", "You got"],
        &report.corrected,
        |corrected| {
            vec![
                escaped(&corrected.when),
                corrected.what.to_owned(),
                set_apart(&corrected.provider),
                set_apart(&corrected.why),
                code(&corrected.order_key),
                money(corrected.fee.owner_minor, &corrected.fee.currency),
            ]
        },
    );
    body += &sums(report);
    body += &months(&report.months, medium);
    body += &table(
        "Orders",
        &["When", "What", "From", "Price", "State", "Order"],
        &report.orders,
        |order| {
            vec![
                escaped(&order.when),
                format!("{}<small>{}</small>", set_apart(&order.what), set_apart(&order.origin)),
                set_apart(&order.provider),
                escaped(&order.price),
                escaped(&order.state),
                code(&order.order_key),
            ]
        },
    );
    body += &table(
        "Refused",
        &["When", "From", "Tries", "Because", "Grant"],
        &report.refused,
        |refused| {
            vec![
                escaped(&refused.when),
                set_apart(&refused.remote),
                refused.tries_count.to_string(),
                set_apart(&refused.reason),
                match refused.grant_id.as_str() {
                    "" => "none of yours".to_owned(),
                    grant_id => code(grant_id),
                },
            ]
        },
    );
    body += &table(
        "Taken back",
        &["When", "From", "What", "Because", "Grant"],
        &report.revoked,
        |revoked| {
            vec![
                escaped(&revoked.when),
                set_apart(&revoked.provider),
                set_apart(&revoked.name),
                set_apart(&revoked.why),
                code(&revoked.grant_id),
            ]
        },
    );
    document(&format!("Signet: {}", report.title), &body)
}

/// A whole page around what stands in it.
pub(super) fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>{}</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>\n",
        escaped(title)
    )
}

/// What a photo's picture is called among the parts of a mail.
pub fn content_id(photo: &ContentHash) -> String {
    let name: String = photo.to_string().chars().take(32).collect();
    format!("{name}@signet")
}

fn accesses(accesses: &[Accessed], pictures: &Pictures, medium: Medium) -> String {
    let mut shown = BTreeSet::new();
    let headings = ["Photo", "When", "Who", "What", "Order", "Paid", "You got"];
    table("Accesses", &headings, accesses, |access| {
        let picture = pictures.get(&access.photo);
        let first = shown.insert(access.photo);
        let fee = &access.fee;
        vec![
            match picture {
                Some(picture) if first => image(access, picture, medium),
                Some(_) => "<span class=\"soft\">as above</span>".to_owned(),
                None => "<span class=\"soft\">no picture</span>".to_owned(),
            },
            escaped(&access.when),
            set_apart(&access.provider),
            format!("{}<small>{}</small>", access.member, set_apart(&access.path)),
            format!("{}<small>{}</small>", set_apart(&access.what), escaped(&access.order_key)),
            money(fee.paid_minor, &fee.currency),
            money(fee.owner_minor, &fee.currency),
        ]
    })
}

fn image(access: &Accessed, picture: &Picture, medium: Medium) -> String {
    let source = match medium {
        Medium::File => format!("data:image/jpeg;base64,{}", STANDARD.encode(&picture.jpeg)),
        Medium::Mail => format!("cid:{}", content_id(&access.photo)),
    };
    format!(
        "<img src=\"{source}\" width=\"{}\" height=\"{}\" alt=\"{}\">",
        picture.width_px,
        picture.height_px,
        escaped(&format!("The photo {}", access.path)),
    )
}

fn sums(report: &Report) -> String {
    let headings = ["Who", "For", "Accesses", "Paid", "You got", "Service"];
    table("Sums", &headings, &report.sums, |sum| {
        let (total, currency) = (&sum.total, &sum.total.currency);
        vec![
            set_apart(&sum.provider),
            sum.purpose.map_or("", |purpose| purpose.as_str()).to_owned(),
            total.accesses_count.to_string(),
            money(total.paid_minor, currency),
            money(total.owner_minor, currency),
            money(total.service_minor, currency),
        ]
    })
}

fn months(months: &[MonthSum], medium: Medium) -> String {
    let panels = panels(months);
    if panels.is_empty() {
        return String::new();
    }
    if medium == Medium::File {
        return format!("<h2>The last twelve months</h2>{}", svg(&panels));
    }
    let busy: Vec<&MonthSum> = months.iter().filter(|month| month.accesses_count > 0).collect();
    table("The last twelve months", &["Month", "Accesses", "You got"], &busy, |month| {
        let credits: Vec<String> =
            month.credits.iter().map(|(currency, minor)| money(*minor, currency)).collect();
        vec![escaped(&month.words), month.accesses_count.to_string(), credits.join(", ")]
    })
}

pub(super) fn money(minor: i64, currency: &str) -> String {
    format!("{} {}", written(minor, currency), escaped(currency))
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", escaped(text))
}

/// Columns whose heading says that they hold numbers.
fn is_number(heading: &str) -> bool {
    matches!(
        heading,
        "Accesses" | "Amount" | "Balance" | "Paid" | "Price" | "Service" | "Tries" | "You got"
    )
}

/// A table with its title; nothing where there are no rows.
///
/// - `cells`: what stands in a row, as markup
pub(super) fn table<T>(
    title: &str,
    headings: &[&str],
    rows: &[T],
    mut cells: impl FnMut(&T) -> Vec<String>,
) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let class = |heading: &str| match heading {
        "Photo" => " class=\"pic\"",
        heading if is_number(heading) => " class=\"n\"",
        _ => "",
    };
    let mut text = format!("<h2>{}</h2><table><thead><tr>", escaped(title));
    for heading in headings {
        // Writing to a text cannot fail.
        let _ = write!(text, "<th scope=\"col\"{}>{}</th>", class(heading), escaped(heading));
    }
    text.push_str("</tr></thead><tbody>");
    for row in rows.iter().take(LINES_MAX) {
        text.push_str("<tr>");
        for (heading, cell) in headings.iter().zip(cells(row)) {
            let _ = write!(text, "<td{}>{cell}</td>", class(heading));
        }
        text.push_str("</tr>");
    }
    text.push_str("</tbody></table>");
    if let Some(more_count @ 1..) = rows.len().checked_sub(LINES_MAX) {
        let _ = write!(
            text,
            "<p class=\"soft\">… and {more_count} more: <code>signet report --json</code> has all</p>"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::facts::tests::{access, order, report, rows};
    use super::super::picture::{of_report, tests::preview};
    use super::*;
    use crate::store::{AccessRow, Order, RefusalRow, ReportRows};

    const EVIL: &str = "<script src=//x>\"'&\u{202E}</bdi><img src=x onerror=y>\n";

    /// Every element is closed in its order, so the page is also well-formed XML but for the tags
    /// that HTML never closes.
    fn parse(page: &str) {
        let mut text = page.replacen("<!doctype html>\n", "", 1);
        for void in ["meta", "img"] {
            let mut rest = text.as_str();
            let mut closed = String::new();
            while let Some((before, tag)) = rest.split_once(&format!("<{void} ")) {
                let (inside, after) = tag.split_once('>').expect("the end of a tag");
                closed += &format!("{before}<{void} {inside}/>");
                rest = after;
            }
            text = closed + rest;
        }
        roxmltree::Document::parse(&text).expect("well-formed");
    }

    #[test]
    fn page_needs_nothing_from_elsewhere_and_is_well_formed() {
        let report = report(&rows());
        let pictures = of_report(&report, 10, |_photo| Some(preview()));
        let page = page(&report, &pictures, Medium::File);
        parse(&page);
        for outside in ["<script", "http:", "https:", "url(", "@import", "<link", "src=\"//"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert_eq!(page.matches("src=\"data:image/jpeg;base64,").count(), 3);
        assert_eq!(page.matches("<img ").count(), page.matches("alt=\"The photo ").count());
        assert!(page.contains("<svg role=\"img\"") && page.contains("prefers-color-scheme:dark"));
        assert!(page.contains("@media print"), "it prints well");
        assert!(
            page.contains("<main>") && page.contains("<html lang=\"en\">"),
            "and is heard well"
        );
        for said in ["November 2026", "print-10x15 x 2", "0.40 EUR", "203.0.113.7", "order1"] {
            assert!(page.contains(said), "{said}");
        }
    }

    #[test]
    fn mail_names_its_pictures_and_has_its_months_as_a_table() {
        let report = report(&rows());
        let pictures = of_report(&report, 2, |_photo| Some(preview()));
        let page = page(&report, &pictures, Medium::Mail);
        parse(&page);
        let first = content_id(&report.accesses[0].photo);
        assert!(page.contains(&format!("src=\"cid:{first}\"")) && !page.contains("data:"));
        assert!(!page.contains("<svg") && page.contains("The last twelve months"));
        assert_eq!(page.matches("no picture").count(), 1, "there were only two");
    }

    #[test]
    fn whatever_comes_from_outside_stays_text() {
        let rows = ReportRows {
            accesses: vec![AccessRow {
                path: EVIL.into(),
                provider: EVIL.into(),
                product: Some(EVIL.into()),
                currency: EVIL.into(),
                order_key: EVIL.into(),
                ..access(1, "lab", "EUR")
            }],
            orders: vec![Order {
                origin: EVIL.into(),
                product: Some(EVIL.into()),
                ..order(1, EVIL)
            }],
            refusals: vec![RefusalRow {
                at: super::super::facts::tests::NOW,
                remote: EVIL.into(),
                grant_id: EVIL.into(),
                reason: EVIL.into(),
                tries_count: 1,
            }],
            ..ReportRows::default()
        };
        let mut report = report(&rows);
        report.owner = EVIL.into();
        let pictures = of_report(&report, 2, |_photo| Some(preview()));
        for medium in [Medium::File, Medium::Mail] {
            let page = page(&report, &pictures, medium);
            parse(&page);
            assert!(!page.contains("<script") && !page.contains("<img src=x"), "{page}");
            assert_eq!(page.matches("<bdi>").count(), page.matches("</bdi>").count());
        }
    }

    #[test]
    fn hub_that_lied_is_told_of_with_what_it_means_and_what_to_do() {
        let mut evil = super::super::facts::tests::lie();
        evil.words = EVIL.into();
        let lies = vec![super::super::facts::tests::lie(), evil];
        let report = report(&ReportRows { lies, ..rows() });
        let page = page(&report, &Pictures::new(), Medium::Mail);
        parse(&page);
        for said in [
            "What the hub said and cannot be true",
            "the hub posted 0.50 EUR for grant grant1, the fee is 0.25 EUR",
            "the fee that was agreed with grant grant1",
            "put it right by another posting",
        ] {
            assert!(page.contains(said), "{said}");
        }
        assert!(!page.contains("<script"), "{page}");
    }

    #[test]
    fn many_photos_long_names_hebrew_and_yen_are_shown_as_they_are() {
        let accesses = (0..500).map(|number| AccessRow {
            path: format!("{}/חתונה {number}.jpg", "a-very-long-folder-name".repeat(20)),
            entries: crate::ledger::access_entries("lab", "signet", 50_000, 20).to_vec(),
            ..access(number, "lab", "JPY")
        });
        let report = report(&ReportRows { accesses: accesses.collect(), ..ReportRows::default() });
        let pictures = of_report(&report, 500, |_photo| Some(preview()));
        let page = page(&report, &pictures, Medium::File);
        parse(&page);
        assert_eq!(page.matches("<img ").count(), 500);
        assert_eq!(page.matches("חתונה").count(), 1000, "on the page and for who hears it");
        assert!(
            page.contains("<td class=\"n\">500 JPY</td><td class=\"n\">400 JPY</td>"),
            "{page}"
        );
        assert!(
            report.summary.contains("paid 250000 JPY; you got 200000 JPY"),
            "{}",
            report.summary
        );
        assert!(page.contains("overflow-wrap:anywhere") && page.contains("overflow-x:auto"));
        let paper = crate::reports::pdf::document(&report, &pictures);
        assert_eq!(String::from_utf8_lossy(&paper).matches("/DCTDecode").count(), 500);
    }

    #[test]
    fn month_without_anything_is_a_page_that_says_so() {
        let page = page(&report(&ReportRows::default()), &Pictures::new(), Medium::File);
        parse(&page);
        assert!(
            page.contains("Nobody fetched anything: November 2026.") && !page.contains("<table")
        );
    }
}
