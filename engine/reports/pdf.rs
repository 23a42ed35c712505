//! A report on paper: A4 pages with tables, pictures and the drawing by month.
//!
//! In:  a report and pictures of its photos. Out: a PDF that needs no other file. Its fonts are those
//! that every reader has, and letters that these lack are written with Latin ones; then a line at
//! the end says so. Pictures are the JPEGs as they are.
//!
//! It has a title, a language and metadata, and nothing that PDF/A forbids but those fonts, which
//! PDF/A wants inside the file.

pub mod text;

use std::collections::BTreeMap;

use pdf_writer::{Content, Filter, Name, Pdf, Rect, Ref, Str, TextStr};

use self::text::{Font, encoded, is_exact, lines, width};
use super::facts::Accessed;
use super::lies::Lied;
use super::picture::Pictures;
use super::plot::{Panel, panels};
use super::{Report, words};
use crate::base::ids::ContentHash;
use crate::base::markup::escaped;
use crate::base::money::written;

/// PDF points in a millimetre.
const MM: f32 = 72.0 / 25.4;
const PAGE: [f32; 2] = [210.0 * MM, 297.0 * MM];
const MARGIN: f32 = 16.0 * MM;
const ROOM: f32 = PAGE[0] - 2.0 * MARGIN;
/// The lowest line of a page; its number stands below.
const FLOOR: f32 = MARGIN + 6.0 * MM;

const SIZE: f32 = 8.5;
const LEADING: f32 = 10.8;
/// Between the lines of a table and what is in it.
const GAP: f32 = 3.0;
/// Longest side of a picture.
const PICTURE: f32 = 18.0 * MM;

const INK: [f32; 3] = [0.08, 0.13, 0.24];
const SOFT: [f32; 3] = [0.35, 0.38, 0.45];
const RULE: [f32; 3] = [0.80, 0.82, 0.86];
const BAR: [f32; 3] = [0.16, 0.44, 0.59];

/// Lines of one kind; the rest is only counted.
const LINES_MAX: usize = 2000;

/// Lines in one cell of a table, the last of which is `…` where there would be more.
const CELL_LINES_MAX: usize = 12;

const PLAIN: Name<'static> = Name(b"Plain");
const BOLD: Name<'static> = Name(b"Bold");

/// A column of a table.
struct Column {
    title: &'static str,
    /// Part of the page's width.
    share: f32,
    /// Numbers stand on the right.
    is_number: bool,
}

const fn words_of(title: &'static str, share: f32) -> Column {
    Column { title, share, is_number: false }
}

const fn number(title: &'static str, share: f32) -> Column {
    Column { title, share, is_number: true }
}

/// A row of a table: a text for each column, and perhaps a picture in the first.
struct Row {
    picture: Option<ContentHash>,
    cells: Vec<String>,
}

/// Pages while they are filled.
struct Paper<'a> {
    pages: Vec<Content>,
    page: Content,
    /// The next line is below this, in points from the bottom.
    y: f32,
    pictures: &'a Pictures,
    is_exact: bool,
}

/// The whole PDF.
pub fn document(report: &Report, pictures: &Pictures) -> Vec<u8> {
    let mut paper = Paper {
        pages: Vec::new(),
        page: Content::new(),
        y: PAGE[1] - MARGIN,
        pictures,
        is_exact: true,
    };
    paper.paragraph(&format!("What was fetched from {}", report.owner), Font::Bold, 16.0, INK);
    paper.paragraph(&format!("{} – made {}", report.title, report.made), Font::Plain, 9.5, SOFT);
    paper.paragraph(&report.summary, Font::Plain, 10.5, INK);
    paper.lies(&report.lies);
    paper.plot(&panels(&report.months));
    paper.accesses(&report.accesses);
    paper.sums(report);
    paper.lists(report);
    if !paper.is_exact {
        let note = "Letters that the fonts of this file lack are written with Latin ones; the \
                    report as HTML has them as they are.";
        paper.y -= 8.0;
        paper.paragraph(note, Font::Plain, SIZE, SOFT);
    }
    paper.pages.push(paper.page);
    assemble(&words::heading(report), paper.pages, pictures)
}

impl Paper<'_> {
    /// Makes sure that so many points are left, on a new page if need be.
    fn need(&mut self, height: f32) -> bool {
        if self.y - height >= FLOOR {
            return false;
        }
        self.pages.push(std::mem::replace(&mut self.page, Content::new()));
        self.y = PAGE[1] - MARGIN;
        true
    }

    fn write(&mut self, [x, y]: [f32; 2], text: &str, font: Font, size: f32, rgb: [f32; 3]) {
        self.is_exact &= is_exact(text);
        self.page.begin_text();
        self.page.set_font(if font == Font::Bold { BOLD } else { PLAIN }, size);
        self.page.set_fill_rgb(rgb[0], rgb[1], rgb[2]);
        self.page.next_line(x, y);
        self.page.show(Str(&encoded(text)));
        self.page.end_text();
    }

    fn paragraph(&mut self, text: &str, font: Font, size: f32, rgb: [f32; 3]) {
        for line in lines(text, font, size, ROOM) {
            self.need(size * 1.3);
            self.y -= size * 1.3;
            self.write([MARGIN, self.y], &line, font, size, rgb);
        }
        self.y -= size * 0.35;
    }

    fn heading(&mut self, title: &str) {
        // With the first rows below it.
        self.need(90.0);
        self.y -= 12.0;
        self.paragraph(title, Font::Bold, 11.5, INK);
    }

    fn rule(&mut self, y: f32) {
        self.page.set_stroke_rgb(RULE[0], RULE[1], RULE[2]);
        self.page.set_line_width(0.5);
        self.page.move_to(MARGIN, y);
        self.page.line_to(MARGIN + ROOM, y);
        self.page.stroke();
    }

    fn plot(&mut self, panels: &[Panel]) {
        /// Bars, then the numbers above and the months below.
        const HEIGHT: f32 = 46.0;
        const AROUND: f32 = 34.0;
        if panels.is_empty() {
            return;
        }
        self.heading("The last twelve months");
        for panel in panels {
            self.need(HEIGHT + AROUND);
            self.write([MARGIN, self.y - 10.0], &panel.title, Font::Plain, SIZE, SOFT);
            let floor = self.y - 22.0 - HEIGHT;
            let count = f32::from(u8::try_from(panel.bars.len()).unwrap_or(u8::MAX)).max(1.0);
            let step = ROOM / count;
            let mut left = MARGIN;
            for bar in &panel.bars {
                let high = bar.height * HEIGHT;
                self.page.set_fill_rgb(BAR[0], BAR[1], BAR[2]);
                self.page.rect(left + step * 0.15, floor, step * 0.7, high);
                self.page.fill_nonzero();
                for (text, y) in [(&bar.number, floor + high + 2.0), (&bar.letters, floor - 9.0)] {
                    let middle = left + (step - width(text, Font::Plain, 7.0)) / 2.0;
                    self.write([middle, y], text, Font::Plain, 7.0, SOFT);
                }
                left += step;
            }
            self.rule(floor);
            self.y = floor - 12.0;
        }
    }

    fn lies(&mut self, lies: &[Lied]) {
        let columns = [
            words_of("When", 0.10),
            words_of("The hub said", 0.23),
            words_of("Your own record says", 0.17),
            words_of("What it means", 0.23),
            words_of("What to do", 0.27),
        ];
        self.table("What the hub said and cannot be true", &columns, lies, |lied| {
            Row::of([
                format!("{} hub {}", lied.when, lied.hub),
                lied.said.clone(),
                lied.own.clone(),
                lied.meaning.clone(),
                lied.cure.clone(),
            ])
        });
    }

    fn accesses(&mut self, accesses: &[Accessed]) {
        let columns = [
            words_of("Photo", 0.13),
            words_of("When", 0.11),
            words_of("Who", 0.12),
            words_of("What", 0.22),
            words_of("Order", 0.20),
            number("Paid", 0.11),
            number("You got", 0.11),
        ];
        let mut shown = BTreeMap::new();
        self.table("Accesses", &columns, accesses, |access| {
            let row = *shown.entry(access.photo).or_insert(access.grant_id.as_str());
            Row {
                picture: (row == access.grant_id).then_some(access.photo),
                cells: vec![
                    if row == access.grant_id { "" } else { "as above" }.to_owned(),
                    access.when.clone(),
                    access.provider.clone(),
                    format!("{} {}", access.member, access.path),
                    format!("{} {}", access.what, access.order_key),
                    amount(access.fee.paid_minor, &access.fee.currency),
                    amount(access.fee.owner_minor, &access.fee.currency),
                ],
            }
        });
    }

    fn sums(&mut self, report: &Report) {
        let columns = [
            words_of("When", 0.12),
            words_of("What", 0.14),
            words_of("Who", 0.14),
            words_of("Because", 0.48),
            number("You got", 0.12),
        ];
        self.table("Put right", &columns, &report.corrected, |corrected| {
            Row::of([
                corrected.when.clone(),
                corrected.what.to_owned(),
                corrected.provider.clone(),
                format!("{} (order {})", corrected.why, corrected.order_key),
                amount(corrected.fee.owner_minor, &corrected.fee.currency),
            ])
        });
        let columns = [
            words_of("Who", 0.26),
            words_of("For", 0.12),
            number("Accesses", 0.14),
            number("Paid", 0.16),
            number("You got", 0.16),
            number("Service", 0.16),
        ];
        self.table("Sums", &columns, &report.sums, |sum| {
            let (total, currency) = (&sum.total, &sum.total.currency);
            Row::of([
                sum.provider.clone(),
                sum.purpose.map_or("", |purpose| purpose.as_str()).to_owned(),
                total.accesses_count.to_string(),
                amount(total.paid_minor, currency),
                amount(total.owner_minor, currency),
                amount(total.service_minor, currency),
            ])
        });
    }

    fn lists(&mut self, report: &Report) {
        let columns = [
            words_of("When", 0.12),
            words_of("What", 0.18),
            words_of("From", 0.14),
            number("Price", 0.12),
            words_of("State", 0.12),
            words_of("Because", 0.32),
        ];
        self.table("Orders", &columns, &report.orders, |order| {
            Row::of([
                order.when.clone(),
                order.what.clone(),
                order.provider.clone(),
                order.price.clone(),
                order.state.clone(),
                format!("{} (order {})", order.origin, order.order_key),
            ])
        });
        let columns = [
            words_of("When", 0.14),
            words_of("From", 0.24),
            number("Tries", 0.08),
            words_of("Because", 0.34),
            words_of("Grant", 0.20),
        ];
        self.table("Refused", &columns, &report.refused, |refused| {
            Row::of([
                refused.when.clone(),
                refused.remote.clone(),
                refused.tries_count.to_string(),
                refused.reason.clone(),
                refused.grant_id.clone(),
            ])
        });
        let columns = [
            words_of("When", 0.14),
            words_of("From", 0.16),
            words_of("What", 0.24),
            words_of("Because", 0.26),
            words_of("Grant", 0.20),
        ];
        self.table("Taken back", &columns, &report.revoked, |revoked| {
            Row::of([
                revoked.when.clone(),
                revoked.provider.clone(),
                revoked.name.clone(),
                revoked.why.clone(),
                revoked.grant_id.clone(),
            ])
        });
    }

    fn table<'i, T>(
        &mut self,
        title: &str,
        columns: &[Column],
        items: &'i [T],
        mut row: impl FnMut(&'i T) -> Row,
    ) {
        if items.is_empty() {
            return;
        }
        self.heading(title);
        self.titles(columns);
        for item in items.iter().take(LINES_MAX) {
            self.row(columns, &row(item));
        }
        if let Some(more_count @ 1..) = items.len().checked_sub(LINES_MAX) {
            let more = format!("… and {more_count} more: signet report --json has all");
            self.paragraph(&more, Font::Plain, SIZE, SOFT);
        }
    }

    fn titles(&mut self, columns: &[Column]) {
        let titles = columns.iter().map(|column| vec![column.title.to_owned()]).collect();
        self.y -= LEADING;
        self.cells(columns, &titles, Font::Bold, SOFT);
        self.y -= GAP;
        self.rule(self.y);
    }

    fn row(&mut self, columns: &[Column], row: &Row) {
        let room = |column: &Column| column.share * ROOM - 2.0 * GAP;
        let cells = columns.iter().zip(&row.cells);
        let broken = |(column, text): (&Column, &String)| {
            let mut lines = lines(text, Font::Plain, SIZE, room(column));
            // No row is higher than a page.
            if lines.len() > CELL_LINES_MAX {
                lines.truncate(CELL_LINES_MAX - 1);
                lines.push("…".to_owned());
            }
            lines
        };
        let cells: Vec<Vec<String>> = cells.map(broken).collect();
        let lines_count = cells.iter().map(Vec::len).max().unwrap_or(1);
        let texts = LEADING * f32::from(u16::try_from(lines_count).unwrap_or(u16::MAX));
        let picture = row.picture.and_then(|photo| Some((photo, self.pictures.get(&photo)?)));
        let size = picture.map(|(_, picture)| {
            let (wide, high) =
                (f32::from(side(picture.width_px)), f32::from(side(picture.height_px)));
            let scale = PICTURE / wide.max(high).max(1.0);
            [wide * scale, high * scale]
        });
        let height = texts.max(size.map_or(0.0, |[_, high]| high)) + 2.0 * GAP;
        if self.need(height) {
            self.titles(columns);
        }
        let top = self.y;
        if let (Some((photo, _)), Some([wide, high])) = (picture, size) {
            self.page.save_state();
            self.page.transform([wide, 0.0, 0.0, high, MARGIN, top - GAP - high]);
            self.page.x_object(Name(image_name(&photo).as_bytes()));
            self.page.restore_state();
        }
        self.y -= GAP + LEADING * 0.8;
        self.cells(columns, &cells, Font::Plain, INK);
        self.y = top - height;
        self.rule(self.y);
    }

    /// Writes cells from the line at `y` on downwards.
    fn cells(&mut self, columns: &[Column], cells: &Vec<Vec<String>>, font: Font, rgb: [f32; 3]) {
        let mut left = MARGIN;
        for (column, lines) in columns.iter().zip(cells) {
            let room = column.share * ROOM;
            let mut y = self.y;
            for line in lines {
                let x = match column.is_number {
                    true => left + room - GAP - width(line, font, SIZE),
                    false => left,
                };
                if !line.is_empty() {
                    self.write([x, y], line, font, SIZE, rgb);
                }
                y -= LEADING;
            }
            left += room;
        }
    }
}

impl Row {
    fn of<const N: usize>(cells: [String; N]) -> Self {
        Self { picture: None, cells: cells.into() }
    }
}

fn amount(minor: i64, currency: &str) -> String {
    format!("{} {currency}", written(minor, currency))
}

/// Pictures have sides of some hundred pixels.
fn side(px: u32) -> u16 {
    u16::try_from(px).unwrap_or(u16::MAX)
}

fn image_name(photo: &ContentHash) -> String {
    let digits: String = photo.to_string().chars().take(24).collect();
    format!("P{digits}")
}

/// Pages, pictures and fonts as one file.
fn assemble(title: &str, pages: Vec<Content>, pictures: &Pictures) -> Vec<u8> {
    let mut next = 0;
    let mut new_ref = || {
        next += 1;
        Ref::new(next)
    };
    let (catalog, tree, plain, bold, about, metadata) =
        (new_ref(), new_ref(), new_ref(), new_ref(), new_ref(), new_ref());
    let mut pdf = Pdf::new();
    let mut images = Vec::with_capacity(pictures.len());
    for (photo, picture) in pictures {
        let id = new_ref();
        let mut image = pdf.image_xobject(id, &picture.jpeg);
        image.filter(Filter::DctDecode);
        image.width(i32::from(side(picture.width_px)));
        image.height(i32::from(side(picture.height_px)));
        image.color_space().device_rgb();
        image.bits_per_component(8);
        images.push((image_name(photo), id));
    }
    let mut root = pdf.catalog(catalog);
    root.pages(tree).lang(TextStr("en")).metadata(metadata);
    root.viewer_preferences().display_doc_title(true);
    drop(root);
    pdf.document_info(about).title(TextStr(title)).creator(TextStr("signet report"));
    pdf.metadata(metadata, xmp(title).as_bytes());
    let refs: Vec<(Ref, Ref)> = pages.iter().map(|_| (new_ref(), new_ref())).collect();
    let count = i32::try_from(pages.len()).unwrap_or(i32::MAX);
    pdf.pages(tree).kids(refs.iter().map(|(page, _)| *page)).count(count);
    for (index, ((page_id, content_id), mut content)) in refs.iter().zip(pages).enumerate() {
        let mut page = pdf.page(*page_id);
        page.media_box(Rect::new(0.0, 0.0, PAGE[0], PAGE[1])).parent(tree).contents(*content_id);
        let mut resources = page.resources();
        resources.fonts().pair(PLAIN, plain).pair(BOLD, bold);
        let mut objects = resources.x_objects();
        for (name, id) in &images {
            objects.pair(Name(name.as_bytes()), *id);
        }
        drop(objects);
        drop(resources);
        drop(page);
        let footer = format!("{} / {count}", index + 1);
        content.begin_text();
        content.set_font(PLAIN, SIZE);
        content.set_fill_rgb(SOFT[0], SOFT[1], SOFT[2]);
        content.next_line(MARGIN + ROOM - width(&footer, Font::Plain, SIZE), MARGIN);
        content.show(Str(&encoded(&footer)));
        content.end_text();
        pdf.stream(*content_id, &content.finish());
    }
    for (id, font) in [(plain, &b"Helvetica"[..]), (bold, &b"Helvetica-Bold"[..])] {
        pdf.type1_font(id).base_font(Name(font)).encoding_predefined(Name(b"WinAnsiEncoding"));
    }
    pdf.finish()
}

/// What catalogues read of the file.
fn xmp(title: &str) -> String {
    format!(
        "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\
         <x:xmpmeta xmlns:x=\"adobe:ns:meta/\">\
         <rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\
         <rdf:Description rdf:about=\"\" xmlns:dc=\"http://purl.org/dc/elements/1.1/\">\
         <dc:format>application/pdf</dc:format>\
         <dc:title><rdf:Alt><rdf:li xml:lang=\"x-default\">{}</rdf:li></rdf:Alt></dc:title>\
         </rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end=\"r\"?>",
        escaped(title)
    )
}

#[cfg(test)]
mod tests {
    use super::super::facts::tests::{access, report, rows};
    use super::super::picture::{of_report, tests::preview};
    use super::*;
    use crate::store::{AccessRow, ReportRows};

    #[test]
    fn every_page_has_its_number_and_every_photo_its_picture() {
        let rows = (0..60).map(|number| access(number / 2, "lab", "EUR"));
        let rows = rows
            .enumerate()
            .map(|(number, row)| AccessRow { grant_id: format!("grant{number}"), ..row });
        let report = report(&ReportRows { accesses: rows.collect(), ..ReportRows::default() });
        let pictures = of_report(&report, 100, |_photo| Some(preview()));
        let bytes = document(&report, &pictures);
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.starts_with("%PDF-") && text.trim_end().ends_with("%%EOF"));
        let pages_count = text.matches("/Type /Page\n").count();
        assert!(pages_count >= 3, "{pages_count}");
        for page in 1..=pages_count {
            assert!(text.contains(&format!("({page} / {pages_count})")), "{page}");
        }
        assert_eq!(text.matches("/DCTDecode").count(), 30);
        assert_eq!(text.matches(" Do\n").count(), 30, "each picture once");
        assert_eq!(text.matches("(as above)").count(), 30);
        assert_eq!(text.matches("(Photo)").count(), pages_count, "titles on each page");
    }

    #[test]
    fn hub_that_lied_has_its_table() {
        let lies = vec![super::super::facts::tests::lie()];
        let bytes = document(&report(&ReportRows { lies, ..rows() }), &Pictures::new());
        let text = String::from_utf8_lossy(&bytes);
        for said in ["What the hub said and cannot be true", "What to do", "hub hubkeyhu"] {
            assert!(said.split(' ').all(|word| text.contains(word)), "{said}");
        }
    }

    #[test]
    fn letters_that_were_replaced_are_owned_up_to() {
        let note = "(Letters that the fonts of this file lack";
        let has_note = |path: &str| {
            let row = AccessRow { path: path.into(), ..access(1, "lab", "EUR") };
            let report = report(&ReportRows { accesses: vec![row], ..ReportRows::default() });
            let bytes = document(&report, &Pictures::new());
            String::from_utf8_lossy(&bytes).contains(note)
        };
        assert!(!has_note("Ömer.jpg") && has_note("猫.jpg"));
        assert!(!document(&report(&rows()), &Pictures::new()).is_empty());
    }
}
