//! `signet icons sheet`: an overview, cards to hold into a picture and stickers to put on
//! things, as a vector PDF with lines to cut along.
//!
//! The overview is for the fridge, so it must not order anything when the fridge is in a
//! photo: it shows the signs without their frame.
//!
//! Cards and stickers leave room for more around the tile than its own white: the square
//! from -216 to 1240 of its 1024 units ([`ROOM`]).
#![expect(
    clippy::cast_precision_loss,
    reason = "counts of icons and rows are far below what f32 holds exactly"
)]

use std::path::PathBuf;

use pdf_writer::types::LineCapStyle;
use pdf_writer::{Content, Name, Pdf, Rect, Ref, Str, TextStr};

use super::icons_words::{Group, chosen, instruction};
use super::{CommandError, Context, failed, icons_seal, output};
use crate::base::files::{Readers, write_atomic};
use crate::detection::icon_set::{GLYPH_UNITS, Icon, IconSetError, Shape, Step, TILE_UNITS};
use crate::detection::seal::{CARD_SCALE, sealed_shapes};
use crate::detection::{IconSet, SealWord};
use crate::reports::pdf::text::{Font, encoded, width};

/// PDF points in a millimetre.
const MM: f32 = 72.0 / 25.4;
const MARGIN: f32 = 12.0 * MM;
const HEADER: f32 = 15.0 * MM;
/// What a tile needs with all that may be drawn around it, in tiles.
const ROOM: f32 = CARD_SCALE;

/// Cards: what fits on both papers with the largest tile. From two metres away a phone
/// shows this tile some 60 px wide.
const CARDS: Grid = Grid { columns: 2, rows: 4, height: 60.0 * MM, tile: 40.0 * MM };
/// Stickers for boxes, frames and albums.
const LARGE: Grid = Grid { columns: 4, rows: 6, height: 40.0 * MM, tile: 25.5 * MM };
/// Stickers for prints and small things.
const SMALL: Grid = Grid { columns: 6, rows: 8, height: 30.0 * MM, tile: 18.5 * MM };
/// Icons in a row of the overview.
const OVERVIEW_COLUMNS: usize = 6;

const INK: [f32; 3] = [0x14 as f32 / 255.0, 0x21 as f32 / 255.0, 0x3d as f32 / 255.0];
const GREY: [f32; 3] = [0.40, 0.43, 0.49];
const PALE: [f32; 3] = [0.68, 0.71, 0.76];
const PLAIN: Name<'static> = Name(b"Plain");
const BOLD: Name<'static> = Name(b"Bold");

/// What the user typed.
#[derive(Debug, clap::Args)]
pub(super) struct Sheet {
    /// Size of the paper
    #[arg(long, value_enum, default_value_t = Paper::A4)]
    paper: Paper,
    /// Only these icons, by name, separated by commas; stickers then fill their pages
    #[arg(long, value_delimiter = ',', value_name = "NAME[,NAME]")]
    icons: Vec<String>,
    /// Put your own seal around each icon (docs/seal.md)
    #[arg(long)]
    seal: bool,
    /// The PDF to write
    #[arg(long, default_value = "signet-icons.pdf")]
    out: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Paper {
    A4,
    Letter,
}

impl Paper {
    /// Width and height in points.
    const fn size(self) -> [f32; 2] {
        match self {
            Self::A4 => [210.0 * MM, 297.0 * MM],
            Self::Letter => [612.0, 792.0],
        }
    }
}

/// Cells of a page, and how large the tile in each is.
#[derive(Debug, Clone, Copy)]
struct Grid {
    columns: usize,
    rows: usize,
    /// Of a cell, in points; its width follows from the paper.
    height: f32,
    /// Side of a tile, in points.
    tile: f32,
}

impl Grid {
    const fn count(self) -> usize {
        self.columns * self.rows
    }
}

/// One page while it is drawn.
struct Page {
    content: Content,
    /// Width and height in points.
    size: [f32; 2],
}

/// An icon of the sheet and the name of its drawing inside the PDF.
struct Sign<'a> {
    icon: &'a Icon,
    name: String,
}

/// A line of text but for its place.
#[derive(Debug, Clone, Copy)]
struct Pen {
    font: Name<'static>,
    size: f32,
    rgb: [f32; 3],
}

/// Runs it.
///
/// # Errors
/// As the message says.
pub(super) fn run(sheet: &Sheet, set: &IconSet, context: &Context) -> Result<(), CommandError> {
    let whole = sheet.icons.is_empty();
    let icons = if whole { set.icons().iter().collect() } else { chosen(&sheet.icons, set)? };
    let word = sheet.seal.then(|| icons_seal::word(context)).transpose()?;
    let (bytes, pages_count) = document(&icons, sheet.paper, whole, word).map_err(failed)?;
    write_atomic(&sheet.out, &bytes, Readers::Usual).map_err(|error| {
        CommandError::failed(format!("`{}` cannot be written: {error}", sheet.out.display()))
    })?;
    if context.json {
        output::json(&serde_json::json!({ "path": sheet.out, "pages": pages_count }));
    } else {
        output::line(format_args!(
            "wrote {} ({pages_count} pages): print it at 100 %, cut along the dashed lines",
            sheet.out.display()
        ));
    }
    Ok(())
}

/// The whole PDF and how many pages it has: overview, cards, stickers.
///
/// With a word, cards and stickers carry that seal; the overview cuts it off with the frame.
fn document(
    icons: &[&Icon],
    paper: Paper,
    overview: bool,
    word: Option<SealWord>,
) -> Result<(Vec<u8>, usize), IconSetError> {
    let mut next = 0;
    let mut new_ref = || {
        next += 1;
        Ref::new(next)
    };
    let (catalog, tree, plain, bold, about) =
        (new_ref(), new_ref(), new_ref(), new_ref(), new_ref());
    let mut pdf = Pdf::new();
    let mut forms = Vec::with_capacity(icons.len());
    let mut signs = Vec::with_capacity(icons.len());
    for (index, &icon) in icons.iter().enumerate() {
        let id = new_ref();
        let tile = icon.shapes()?;
        let shapes = word.map_or_else(|| tile.clone(), |word| sealed_shapes(tile.clone(), word));
        let content = drawing(&shapes);
        let mut form = pdf.form_xobject(id, &content);
        let beyond = if word.is_some() { (ROOM - 1.0) / 2.0 } else { 0.0 };
        form.bbox(Rect::new(-beyond, -beyond, 1.0 + beyond, 1.0 + beyond));
        form.matrix([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
        form.resources();
        forms.push(id);
        signs.push(Sign { icon, name: format!("I{index}") });
    }
    let size = paper.size();
    let mut contents = Vec::new();
    if overview {
        contents.push(overview_page(&signs, size));
    }
    for group in signs.chunks(CARDS.count()) {
        contents.push(cards_page(group, size));
    }
    for grid in [LARGE, SMALL] {
        // Each icon as often as all fit on one page, else once.
        let times = (grid.count() / signs.len().max(1)).max(1);
        let all: Vec<&Sign<'_>> =
            signs.iter().flat_map(|sign| std::iter::repeat_n(sign, times)).collect();
        for group in all.chunks(grid.count()) {
            contents.push(stickers_page(group, grid, size));
        }
    }
    let pages: Vec<(Ref, Ref)> = contents.iter().map(|_| (new_ref(), new_ref())).collect();
    pdf.catalog(catalog).pages(tree);
    pdf.document_info(about).title(TextStr("Signet icons")).creator(TextStr("signet icons sheet"));
    let count = i32::try_from(pages.len()).unwrap_or(i32::MAX);
    pdf.pages(tree).kids(pages.iter().map(|(page, _)| *page)).count(count);
    for ((page_id, content_id), content) in pages.iter().zip(contents) {
        let mut page = pdf.page(*page_id);
        page.media_box(Rect::new(0.0, 0.0, size[0], size[1])).parent(tree).contents(*content_id);
        let mut resources = page.resources();
        resources.fonts().pair(PLAIN, plain).pair(BOLD, bold);
        let mut objects = resources.x_objects();
        for (id, sign) in forms.iter().zip(&signs) {
            objects.pair(Name(sign.name.as_bytes()), *id);
        }
        drop(objects);
        drop(resources);
        drop(page);
        pdf.stream(*content_id, &content.finish());
    }
    for (id, font) in [(plain, &b"Helvetica"[..]), (bold, &b"Helvetica-Bold"[..])] {
        pdf.type1_font(id).base_font(Name(font)).encoding_predefined(Name(b"WinAnsiEncoding"));
    }
    Ok((pdf.finish(), pages.len()))
}

/// An icon on the unit square, y up, as PDF has it.
fn drawing(shapes: &[Shape]) -> Vec<u8> {
    let mut content = Content::new();
    let place = |[x, y]: [f32; 2]| (x / TILE_UNITS, 1.0 - y / TILE_UNITS);
    for shape in shapes {
        let [r, g, b] = shape.rgb.map(|value| f32::from(value) / 255.0);
        content.set_fill_rgb(r, g, b);
        for step in &shape.steps {
            match *step {
                Step::Move(to) => {
                    let (x, y) = place(to);
                    content.move_to(x, y);
                }
                Step::Line(to) => {
                    let (x, y) = place(to);
                    content.line_to(x, y);
                }
                Step::Curve(first, second, to) => {
                    let ((x1, y1), (x2, y2), (x3, y3)) = (place(first), place(second), place(to));
                    content.cubic_to(x1, y1, x2, y2, x3, y3);
                }
                Step::Close => {
                    content.close_path();
                }
            }
        }
        if shape.even_odd {
            content.fill_even_odd();
        } else {
            content.fill_nonzero();
        }
    }
    content.finish().into_vec()
}

/// All icons of the house by group, how they add up, and nothing that a camera could read.
fn overview_page(signs: &[Sign<'_>], size: [f32; 2]) -> Content {
    /// Heading of a group, and the strip with examples at the bottom.
    const HEADING: f32 = 9.5 * MM;
    const EXAMPLES: f32 = 32.0 * MM;
    let mut page = Page { content: Content::new(), size };
    let [width, height] = size;
    let room = width - 2.0 * MARGIN;
    let mut y = height - MARGIN - 22.0;
    page.write([MARGIN, y], "Show it. Get it.", Pen { font: BOLD, size: 27.0, rgb: INK });
    page.write_right(y, "Signet icons", Pen { font: BOLD, size: 11.0, rgb: PALE });
    y -= 17.0;
    let lead = "Hold a card into the scene, or put a sticker on the picture. \
                Signet sees it and does what it says.";
    page.write([MARGIN, y], lead, Pen { font: PLAIN, size: 10.0, rgb: GREY });
    y -= 8.0 * MM;
    let groups = [Group::Products, Group::Copies, Group::Addressees, Group::Others];
    let of = |group: Group| signs.iter().filter(move |sign| Group::of(sign.icon) == group);
    let rows: usize = groups.iter().map(|&g| of(g).count().div_ceil(OVERVIEW_COLUMNS)).sum();
    let headings = groups.iter().filter(|&&group| of(group).count() > 0).count();
    let left_over = y - MARGIN - EXAMPLES - HEADING * headings as f32;
    let row = left_over / rows.max(1) as f32;
    let cell = room / OVERVIEW_COLUMNS as f32;
    // Below each sign stand two lines of its meaning.
    let side = (row - 11.5 * MM).min(cell * 0.72);
    for group in groups {
        let members: Vec<&Sign<'_>> = of(group).collect();
        if members.is_empty() {
            continue;
        }
        let heading = Pen { font: BOLD, size: 11.5, rgb: group.colour() };
        page.write([MARGIN, y - 10.0], group.title(), heading);
        let after = MARGIN + text_width(group.title(), BOLD, 11.5) + 7.0;
        let explanation = Pen { font: PLAIN, size: 9.0, rgb: GREY };
        page.write([after, y - 10.0], group.explanation(), explanation);
        page.rule(y - 15.5, group.colour());
        y -= HEADING;
        for line in members.chunks(OVERVIEW_COLUMNS) {
            for (column, sign) in line.iter().enumerate() {
                let middle = MARGIN + cell * (column as f32 + 0.5);
                page.bare(sign, [middle - side / 2.0, y - side], side);
                let pen = Pen { font: BOLD, size: 8.0, rgb: INK };
                let mut baseline = y - side - 12.0;
                for text in wrapped(sign.icon.meaning(), pen.font, pen.size, cell - 4.0) {
                    page.write_centred(middle, baseline, &text, pen);
                    baseline -= 9.5;
                }
            }
            y -= row;
        }
    }
    examples(&mut page, signs, MARGIN + EXAMPLES);
    let pen = Pen { font: PLAIN, size: 7.0, rgb: GREY };
    let note = "This page orders nothing, even in a photo: only with its frame is a sign an icon. \
                Cards and stickers with frames are on the next pages.";
    page.write([MARGIN, MARGIN], note, pen);
    page.content
}

/// Icons that add up: the signs with a plus between, and what comes of it.
fn examples(page: &mut Page, signs: &[Sign<'_>], top: f32) {
    const EXAMPLES: [(&[&str], &str); 3] = [
        (&["print-10x15", "copies-2", "to-a"], "Two prints, 10 by 15 cm, sent to address A."),
        (&["mug", "express"], "A mug, quickly, to you."),
        (&["poster", "do-not-share"], "Nothing: it stays at home."),
    ];
    const SIDE: f32 = 11.5 * MM;
    const PLUS: f32 = 5.5 * MM;
    page.write([MARGIN, top - 10.0], "They add up", Pen { font: BOLD, size: 11.5, rgb: INK });
    page.rule(top - 15.5, PALE);
    let column = (page.size[0] - 2.0 * MARGIN) / EXAMPLES.len() as f32;
    let pen = Pen { font: PLAIN, size: 8.5, rgb: INK };
    let y = top - 23.0 - SIDE;
    for (index, (names, outcome)) in EXAMPLES.iter().enumerate() {
        let mut x = MARGIN + column * index as f32;
        let start = x;
        for (place, name) in names.iter().enumerate() {
            let Some(sign) = signs.iter().find(|sign| sign.icon.name() == *name) else { continue };
            if place > 0 {
                let plus = Pen { font: BOLD, size: 14.0, rgb: PALE };
                page.write_centred(x + PLUS / 2.0, y + SIDE / 2.0 - 5.0, "+", plus);
                x += PLUS;
            }
            page.bare(sign, [x, y], SIDE);
            x += SIDE;
        }
        let mut baseline = y - 13.0;
        for text in wrapped(outcome, pen.font, pen.size, column - 6.0) {
            page.write([start, baseline], &text, pen);
            baseline -= 10.5;
        }
    }
}

/// Cards: dashed lines between them, the icon on the left, its meaning on the right.
fn cards_page(signs: &[Sign<'_>], size: [f32; 2]) -> Content {
    let mut page = Page { content: Content::new(), size };
    page.header(
        "Cards",
        "Cut out. Hold one into the scene and take the picture; keep its white rim free.",
    );
    let (left, top) = (MARGIN, size[1] - MARGIN - HEADER);
    let cell = page.cell(CARDS);
    page.cut_lines([left, top], cell, CARDS.columns, signs.len());
    for (place, sign) in signs.iter().enumerate() {
        let x = left + cell[0] * (place % CARDS.columns) as f32;
        let middle = top - cell[1] * ((place / CARDS.columns) as f32 + 0.5);
        let inset = (cell[1] - CARDS.tile) / 2.0;
        page.put(sign, [x + inset, middle - CARDS.tile / 2.0], CARDS.tile);
        let words = x + inset + CARDS.tile * (0.5 + ROOM / 2.0) + 1.5 * MM;
        let room = x + cell[0] - 3.0 * MM - words;
        let group = Group::of(sign.icon);
        let eyebrow = Pen { font: BOLD, size: 7.0, rgb: group.colour() };
        let title = Pen { font: BOLD, size: 13.0, rgb: INK };
        let line = Pen { font: PLAIN, size: 8.5, rgb: GREY };
        let titles = wrapped(sign.icon.meaning(), title.font, title.size, room);
        let lines = wrapped(&instruction(sign.icon), line.font, line.size, room);
        // The block of words stands in the middle of the card.
        let tall = 12.0 + 14.5 * titles.len() as f32 + 4.0 + 11.0 * lines.len() as f32;
        let mut y = middle + tall / 2.0 - 7.0;
        page.write([words, y], &group.title().to_uppercase(), eyebrow);
        y -= 15.5;
        for text in &titles {
            page.write([words, y], text, title);
            y -= 14.5;
        }
        y -= 1.5;
        for text in &lines {
            page.write([words, y], text, line);
            y -= 11.0;
        }
        let foot = Pen { font: PLAIN, size: 6.5, rgb: PALE };
        page.write([words, middle - cell[1] / 2.0 + 4.0 * MM], sign.icon.name(), foot);
    }
    page.content
}

/// Stickers: an icon in each cell, its name below.
fn stickers_page(signs: &[&Sign<'_>], grid: Grid, size: [f32; 2]) -> Content {
    let mut page = Page { content: Content::new(), size };
    page.header(
        "Stickers",
        "Print on sticker paper, cut out, stick where the picture will show it.",
    );
    let (left, top) = (MARGIN, size[1] - MARGIN - HEADER);
    let cell = page.cell(grid);
    page.cut_lines([left, top], cell, grid.columns, signs.len());
    for (place, sign) in signs.iter().enumerate() {
        let middle = left + cell[0] * ((place % grid.columns) as f32 + 0.5);
        let bottom = top - cell[1] * (place / grid.columns + 1) as f32;
        // The room around the tile ends at the cell's upper edge; the name stands below it.
        let y = bottom + cell[1] - grid.tile * (0.5 + ROOM / 2.0) - 0.4 * MM;
        page.put(sign, [middle - grid.tile / 2.0, y], grid.tile);
        let pen = Pen { font: PLAIN, size: 6.0, rgb: GREY };
        page.write_centred(middle, bottom + 1.1 * MM, sign.icon.name(), pen);
    }
    page.content
}

impl Page {
    /// Width and height of a cell of the grid on this paper.
    fn cell(&self, grid: Grid) -> [f32; 2] {
        [(self.size[0] - 2.0 * MARGIN) / grid.columns as f32, grid.height]
    }

    fn header(&mut self, title: &str, line: &str) {
        let y = self.size[1] - MARGIN - 14.0;
        self.write([MARGIN, y], title, Pen { font: BOLD, size: 17.0, rgb: INK });
        self.write_right(y, "Signet icons", Pen { font: BOLD, size: 11.0, rgb: PALE });
        let line_pen = Pen { font: PLAIN, size: 9.0, rgb: GREY };
        self.write([MARGIN, y - 15.0], line, line_pen);
    }

    /// Dashed lines around and between cells that are filled row by row; they reach a little
    /// beyond, to lay a ruler on.
    fn cut_lines(&mut self, [left, top]: [f32; 2], cell: [f32; 2], columns: usize, count: usize) {
        let beyond = 3.0 * MM;
        let rows = count.div_ceil(columns);
        let columns = columns.min(count);
        let (right, bottom) = (left + cell[0] * columns as f32, top - cell[1] * rows as f32);
        let content = &mut self.content;
        content.save_state();
        content.set_line_width(0.5);
        content.set_line_cap(LineCapStyle::ButtCap);
        content.set_dash_pattern([3.0, 3.0], 0.0);
        content.set_stroke_rgb(PALE[0], PALE[1], PALE[2]);
        for column in 0..=columns {
            let x = left + cell[0] * column as f32;
            content.move_to(x, top + beyond);
            content.line_to(x, bottom - beyond);
        }
        for row in 0..=rows {
            let y = top - cell[1] * row as f32;
            content.move_to(left - beyond, y);
            content.line_to(right + beyond, y);
        }
        content.stroke();
        content.restore_state();
    }

    /// A thin line across the page.
    fn rule(&mut self, y: f32, rgb: [f32; 3]) {
        let content = &mut self.content;
        content.save_state();
        content.set_line_width(0.8);
        content.set_stroke_rgb(rgb[0], rgb[1], rgb[2]);
        content.move_to(MARGIN, y);
        content.line_to(self.size[0] - MARGIN, y);
        content.stroke();
        content.restore_state();
    }

    /// Draws an icon; its lower left corner is at `x`, `y`.
    fn put(&mut self, sign: &Sign<'_>, [x, y]: [f32; 2], side: f32) {
        self.content.save_state();
        self.content.transform([side, 0.0, 0.0, side, x, y]);
        self.content.x_object(Name(sign.name.as_bytes()));
        self.content.restore_state();
    }

    /// Draws only what is inside an icon's frame, its box on the square at `x`, `y`.
    fn bare(&mut self, sign: &Sign<'_>, [x, y]: [f32; 2], side: f32) {
        let shown = GLYPH_UNITS.end - GLYPH_UNITS.start;
        let tile = side * TILE_UNITS / shown;
        let (left, low) = (GLYPH_UNITS.start / TILE_UNITS, 1.0 - GLYPH_UNITS.end / TILE_UNITS);
        self.content.save_state();
        self.content.rect(x, y, side, side);
        self.content.clip_nonzero();
        self.content.end_path();
        self.content.transform([tile, 0.0, 0.0, tile, x - left * tile, y - low * tile]);
        self.content.x_object(Name(sign.name.as_bytes()));
        self.content.restore_state();
    }

    fn write(&mut self, [x, y]: [f32; 2], text: &str, pen: Pen) {
        let content = &mut self.content;
        content.begin_text();
        content.set_font(pen.font, pen.size);
        content.set_fill_rgb(pen.rgb[0], pen.rgb[1], pen.rgb[2]);
        content.next_line(x, y);
        content.show(Str(&encoded(text)));
        content.end_text();
    }

    fn write_centred(&mut self, middle: f32, y: f32, text: &str, pen: Pen) {
        let width = text_width(text, pen.font, pen.size);
        self.write([middle - width / 2.0, y], text, pen);
    }

    fn write_right(&mut self, y: f32, text: &str, pen: Pen) {
        let width = text_width(text, pen.font, pen.size);
        self.write([self.size[0] - MARGIN - width, y], text, pen);
    }
}

/// Breaks a text at spaces into lines no wider than `room`; a longer word stands alone, and
/// a size such as `10 by 15 cm` stays together.
fn wrapped(text: &str, font: Name<'_>, size: f32, room: f32) -> Vec<String> {
    let text = text.replace(" by ", "\u{a0}by\u{a0}").replace(" cm", "\u{a0}cm");
    let mut lines: Vec<String> = Vec::new();
    for word in text.split([' ', '\t']).filter(|word| !word.is_empty()) {
        match lines.last_mut() {
            Some(line) if text_width(&format!("{line} {word}"), font, size) <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Width in points.
fn text_width(text: &str, font: Name<'_>, size: f32) -> f32 {
    width(text, if font == BOLD { Font::Bold } else { Font::Plain }, size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sheet_has_every_icon_on_the_overview_as_a_card_and_as_three_stickers() {
        let set = IconSet::house().expect("the built-in icons");
        let icons: Vec<&Icon> = set.icons().iter().collect();
        for paper in [Paper::A4, Paper::Letter] {
            let (bytes, pages_count) = document(&icons, paper, true, None).expect("a PDF");
            assert_eq!(pages_count, 6);
            let text = String::from_utf8_lossy(&bytes);
            assert!(text.starts_with("%PDF-") && text.trim_end().ends_with("%%EOF"));
            for (index, icon) in icons.iter().enumerate() {
                let times = text.matches(&format!("/I{index} Do")).count();
                assert!((5..=6).contains(&times), "{}: {times}", icon.name());
                let named = text.matches(&format!("({})", icon.name())).count();
                assert!(named >= 4, "{}: {named}", icon.name());
            }
        }
    }

    #[test]
    fn sealed_sheet_has_as_many_icons_and_pages_and_other_drawings() {
        let set = IconSet::house().expect("the built-in icons");
        let icons: Vec<&Icon> = set.icons().iter().collect();
        let word = SealWord::derive(&[1; 32], 1);
        let (plain, pages_count) = document(&icons, Paper::A4, true, None).expect("a PDF");
        let (sealed, sealed_count) = document(&icons, Paper::A4, true, Some(word)).expect("a PDF");
        assert_eq!(sealed_count, pages_count);
        let count = |bytes: &[u8], text: &str| String::from_utf8_lossy(bytes).matches(text).count();
        assert_eq!(count(&sealed, "/I3 Do"), count(&plain, "/I3 Do"));
        // 24 dots and the card on every icon, four curves each.
        let more = count(&sealed, " c\n") - count(&plain, " c\n");
        assert_eq!(more, icons.len() * 25 * 4);
    }

    #[test]
    fn few_icons_fill_the_pages_of_stickers_and_have_no_overview() {
        let set = IconSet::house().expect("the built-in icons");
        let icons = [set.get("mug").expect("a mug"), set.get("end").expect("an end")];
        let (bytes, pages_count) = document(&icons, Paper::A4, false, None).expect("a PDF");
        assert_eq!(pages_count, 3);
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(text.matches("/I0 Do").count(), 1 + 12 + 24);
    }

    #[test]
    fn every_grid_leaves_the_room_around_its_tiles_on_both_papers() {
        for paper in [Paper::A4, Paper::Letter] {
            let page = Page { content: Content::new(), size: paper.size() };
            for grid in [CARDS, LARGE, SMALL] {
                let [width, height] = page.cell(grid);
                assert!(ROOM * grid.tile <= width.min(height), "{paper:?} {grid:?}");
                let tall = 2.0 * MARGIN + HEADER + height * grid.rows as f32;
                assert!(tall <= page.size[1] + 0.1, "{paper:?} {grid:?}: {tall}");
            }
        }
    }

    /// What is cropped away with an icon is its whole card.
    #[test]
    fn card_is_as_large_as_orders_take_it_to_be() {
        let [left, above, right, below] = crate::orders::crop::CARD;
        for paper in [Paper::A4, Paper::Letter] {
            let page = Page { content: Content::new(), size: paper.size() };
            let [width, height] = page.cell(CARDS);
            let inset = (height - CARDS.tile) / 2.0;
            let beyond =
                [inset, inset, width - inset - CARDS.tile, inset].map(|edge| edge / CARDS.tile);
            for (edge, taken) in beyond.into_iter().zip([left, above, right, below]) {
                assert!(edge <= taken + 1e-4 && taken <= edge + 0.1, "{paper:?}: {edge} {taken}");
            }
        }
    }

    #[test]
    fn words_of_every_card_fit_beside_its_icon() {
        let set = IconSet::house().expect("the built-in icons");
        let width = (Paper::A4.size()[0] - 2.0 * MARGIN) / CARDS.columns as f32;
        let room = width - CARDS.height / 2.0 - CARDS.tile * ROOM / 2.0 - 4.5 * MM;
        for icon in set.icons() {
            for (text, font, size) in
                [(icon.meaning().to_owned(), BOLD, 13.0), (instruction(icon), PLAIN, 8.5)]
            {
                for line in wrapped(&text, font, size, room) {
                    assert!(text_width(&line, font, size) <= room, "{line}");
                }
            }
        }
    }

    #[test]
    fn lines_are_no_wider_than_their_room() {
        let lines = wrapped("one two three four five", PLAIN, 10.0, 60.0);
        assert!(
            lines.len() > 1 && lines.iter().all(|line| text_width(line, PLAIN, 10.0) <= 60.0),
            "{lines:?}"
        );
        assert_eq!(lines.join(" "), "one two three four five");
        assert_eq!(wrapped("Print 10 by 15 cm", BOLD, 13.0, 85.0).len(), 2);
        assert_eq!(encoded(&wrapped("Print 10 by 15 cm", BOLD, 13.0, 85.0)[1]), b"10 by 15 cm");
    }

    #[test]
    fn letters_of_western_europe_are_kept_and_others_asked_for() {
        assert_eq!(encoded("Für Ömer ×2"), b"F\xfcr \xd6mer \xd72");
    }
}
