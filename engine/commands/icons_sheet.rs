//! `signet icons sheet`: cards to hold into a picture and stickers to put on things, as a
//! vector PDF with lines to cut along. The home of `pdf-writer`.
#![expect(
    clippy::cast_precision_loss,
    reason = "counts of icons and rows are far below what f32 holds exactly"
)]

use std::path::PathBuf;

use pdf_writer::types::LineCapStyle;
use pdf_writer::{Content, Name, Pdf, Rect, Ref, Str};

use super::{CommandError, Context, failed, output};
use crate::base::files::{Readers, write_atomic};
use crate::detection::IconSet;
use crate::detection::icon_set::{Icon, Shape, Step, TILE_UNITS};

/// PDF points in a millimetre.
const MM: f32 = 72.0 / 25.4;
const MARGIN: f32 = 12.0 * MM;
const HEADER: f32 = 15.0 * MM;
const CARD_COLUMNS: usize = 2;
const CARD_ROWS: usize = 4;
const STICKER_COLUMNS: usize = 4;
const STICKER_ROWS: usize = 8;
/// Room around an icon for cutting beside it.
const STICKER_GAP: f32 = 3.5 * MM;
const INK: [f32; 3] = [0x14 as f32 / 255.0, 0x21 as f32 / 255.0, 0x3d as f32 / 255.0];
const GREY: [f32; 3] = [0.45, 0.48, 0.53];
const PLAIN: Name<'static> = Name(b"Plain");
const BOLD: Name<'static> = Name(b"Bold");

/// What the user typed.
#[derive(Debug, clap::Args)]
pub(super) struct Sheet {
    /// Size of the paper
    #[arg(long, value_enum, default_value_t = Paper::A4)]
    paper: Paper,
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

/// Runs it.
///
/// # Errors
/// As the message says.
pub(super) fn run(sheet: &Sheet, set: &IconSet, context: &Context) -> Result<(), CommandError> {
    let (bytes, pages_count) = document(set, sheet.paper).map_err(failed)?;
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

/// The whole PDF and how many pages it has: cards first, then stickers.
fn document(
    set: &IconSet,
    paper: Paper,
) -> Result<(Vec<u8>, usize), crate::detection::icon_set::IconSetError> {
    let mut next = 0;
    let mut new_ref = || {
        next += 1;
        Ref::new(next)
    };
    let (catalog, tree, plain, bold) = (new_ref(), new_ref(), new_ref(), new_ref());
    let mut pdf = Pdf::new();
    let icons: Vec<(Ref, String)> =
        (0..set.icons().len()).map(|index| (new_ref(), format!("I{index}"))).collect();
    for ((id, _), icon) in icons.iter().zip(set.icons()) {
        let content = drawing(&icon.shapes()?);
        let mut form = pdf.form_xobject(*id, &content);
        form.bbox(Rect::new(0.0, 0.0, 1.0, 1.0));
        form.matrix([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
        form.resources();
    }
    let [width, height] = paper.size();
    let all: Vec<usize> = (0..set.icons().len()).collect();
    let mut contents = Vec::new();
    for group in all.chunks(CARD_COLUMNS * CARD_ROWS) {
        contents.push(cards(set, group, &icons, [width, height]));
    }
    for group in all.chunks(STICKER_ROWS) {
        contents.push(stickers(set, group, &icons, [width, height]));
    }
    let pages: Vec<(Ref, Ref)> = contents.iter().map(|_| (new_ref(), new_ref())).collect();
    pdf.catalog(catalog).pages(tree);
    let count = i32::try_from(pages.len()).unwrap_or(i32::MAX);
    pdf.pages(tree).kids(pages.iter().map(|(page, _)| *page)).count(count);
    for ((page_id, content_id), content) in pages.iter().zip(contents) {
        let mut page = pdf.page(*page_id);
        page.media_box(Rect::new(0.0, 0.0, width, height)).parent(tree).contents(*content_id);
        let mut resources = page.resources();
        resources.fonts().pair(PLAIN, plain).pair(BOLD, bold);
        let mut objects = resources.x_objects();
        for (id, name) in &icons {
            objects.pair(Name(name.as_bytes()), *id);
        }
        drop(objects);
        drop(resources);
        drop(page);
        pdf.stream(*content_id, &content.finish());
    }
    pdf.type1_font(plain).base_font(Name(b"Helvetica"));
    pdf.type1_font(bold).base_font(Name(b"Helvetica-Bold"));
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

/// Cards: dashed lines between them, the icon on the left, its meaning on the right.
fn cards(
    set: &IconSet,
    group: &[usize],
    icons: &[(Ref, String)],
    [width, height]: [f32; 2],
) -> Content {
    let mut content = Content::new();
    header(
        &mut content,
        [width, height],
        "Cards",
        "Cut out, hold one into the scene, take the picture. Keep the white rim free.",
    );
    let (left, top) = (MARGIN, height - MARGIN - HEADER);
    let card = [(width - 2.0 * MARGIN) / CARD_COLUMNS as f32, (top - MARGIN) / CARD_ROWS as f32];
    let rows = group.len().div_ceil(CARD_COLUMNS);
    cut_lines(&mut content, [left, top], card, [CARD_COLUMNS, rows]);
    for (place, &index) in group.iter().enumerate() {
        let (Some(icon), Some((_, name))) = (set.icons().get(index), icons.get(index)) else {
            continue;
        };
        let x = left + card[0] * (place % CARD_COLUMNS) as f32;
        let y = top - card[1] * (place / CARD_COLUMNS) as f32;
        let side = (card[1] - 12.0 * MM).min(card[0] * 0.55);
        let inset = 5.0 * MM;
        put(&mut content, name, [x + inset, y - card[1] / 2.0 - side / 2.0], side);
        let words = x + inset + side + 4.0 * MM;
        let room = x + card[0] - 2.0 * MM - words;
        let mut line = y - card[1] / 2.0 + 14.0;
        for text in wrapped(icon.meaning(), BOLD, 12.5, room) {
            write(&mut content, [words, line], &text, BOLD, 12.5, INK);
            line -= 15.0;
        }
        for text in wrapped(&instruction(icon), PLAIN, 8.5, room) {
            line -= 2.0;
            write(&mut content, [words, line], &text, PLAIN, 8.5, GREY);
            line -= 9.0;
        }
    }
    content
}

/// Stickers: each icon in a row, large to small.
fn stickers(
    set: &IconSet,
    group: &[usize],
    icons: &[(Ref, String)],
    [width, height]: [f32; 2],
) -> Content {
    let mut content = Content::new();
    header(
        &mut content,
        [width, height],
        "Stickers",
        "Print on sticker paper, cut out, stick where the picture will show it.",
    );
    let top = height - MARGIN - HEADER;
    let pitch = (top - MARGIN) / STICKER_ROWS as f32;
    let side = pitch - 2.0 * STICKER_GAP;
    let cell = [side + 2.0 * STICKER_GAP, pitch];
    let left = width - MARGIN - cell[0] * STICKER_COLUMNS as f32;
    cut_lines(&mut content, [left, top], cell, [STICKER_COLUMNS, group.len()]);
    for (row, &index) in group.iter().enumerate() {
        let (Some(icon), Some((_, name))) = (set.icons().get(index), icons.get(index)) else {
            continue;
        };
        let y = top - pitch * row as f32;
        for column in 0..STICKER_COLUMNS {
            let x = left + cell[0] * column as f32 + STICKER_GAP;
            put(&mut content, name, [x, y - STICKER_GAP - side], side);
        }
        let mut line = y - pitch / 2.0 + 6.0;
        for text in wrapped(icon.meaning(), BOLD, 11.0, left - MARGIN - 4.0 * MM) {
            write(&mut content, [MARGIN, line], &text, BOLD, 11.0, INK);
            line -= 13.0;
        }
        write(&mut content, [MARGIN, line], icon.name(), PLAIN, 8.5, GREY);
    }
    content
}

/// What the owner has to know about one icon, in one line.
fn instruction(icon: &Icon) -> String {
    format!(
        "Seen in a picture, this card asks for: {} ({}).",
        icon.meaning().to_lowercase(),
        icon.name()
    )
}

fn header(content: &mut Content, [width, height]: [f32; 2], title: &str, line: &str) {
    let y = height - MARGIN - 12.0;
    write(content, [MARGIN, y], "Signet icons", BOLD, 16.0, INK);
    let right = width - MARGIN - text_width(title, BOLD, 16.0);
    write(content, [right, y], title, BOLD, 16.0, GREY);
    write(content, [MARGIN, y - 15.0], line, PLAIN, 9.0, GREY);
}

/// Dashed lines around and between cells; they reach a little beyond, to lay a ruler on.
fn cut_lines(
    content: &mut Content,
    [left, top]: [f32; 2],
    cell: [f32; 2],
    [columns, rows]: [usize; 2],
) {
    let beyond = 3.0 * MM;
    let (right, bottom) = (left + cell[0] * columns as f32, top - cell[1] * rows as f32);
    content.save_state();
    content.set_line_width(0.5);
    content.set_line_cap(LineCapStyle::ButtCap);
    content.set_dash_pattern([3.0, 3.0], 0.0);
    content.set_stroke_rgb(0.62, 0.65, 0.70);
    for column in 0..=columns {
        let x = left + cell[0] * column as f32;
        content.move_to(x, top + beyond).line_to(x, bottom - beyond);
    }
    for row in 0..=rows {
        let y = top - cell[1] * row as f32;
        content.move_to(left - beyond, y).line_to(right + beyond, y);
    }
    content.stroke();
    content.restore_state();
}

/// Shows an icon with its lower left corner at a place.
fn put(content: &mut Content, name: &str, [x, y]: [f32; 2], side: f32) {
    content.save_state();
    content.transform([side, 0.0, 0.0, side, x, y]);
    content.x_object(Name(name.as_bytes()));
    content.restore_state();
}

fn write(
    content: &mut Content,
    [x, y]: [f32; 2],
    text: &str,
    font: Name<'_>,
    size: f32,
    rgb: [f32; 3],
) {
    content.begin_text();
    content.set_font(font, size);
    content.set_fill_rgb(rgb[0], rgb[1], rgb[2]);
    content.next_line(x, y);
    let plain: Vec<u8> =
        text.chars().map(|letter| if letter.is_ascii() { letter as u8 } else { b'?' }).collect();
    content.show(Str(&plain));
    content.end_text();
}

/// Breaks a text at spaces into lines no wider than `room`; a longer word stands alone.
fn wrapped(text: &str, font: Name<'_>, size: f32, room: f32) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
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

/// Width in points. Bold letters are reckoned as 8 % wider than plain ones.
fn text_width(text: &str, font: Name<'_>, size: f32) -> f32 {
    /// Helvetica, characters 32 to 126, in thousandths of the size (Adobe Core 14 metrics).
    const WIDTHS: [u16; 95] = [
        278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556,
        556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722,
        722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722,
        667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556,
        556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500,
        500, 334, 260, 334, 584,
    ];
    let width = |byte: u8| WIDTHS.get(usize::from(byte).wrapping_sub(32)).copied().unwrap_or(556);
    let sum: u32 = text.bytes().map(|byte| u32::from(width(byte))).sum();
    sum as f32 / 1000.0 * size * if font == BOLD { 1.08 } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sheet_has_every_icon_as_a_card_and_as_stickers() {
        let set = IconSet::house().expect("the built-in icons");
        for paper in [Paper::A4, Paper::Letter] {
            let (bytes, pages_count) = document(&set, paper).expect("a PDF");
            assert_eq!(pages_count, 6);
            let text = String::from_utf8_lossy(&bytes);
            assert!(text.starts_with("%PDF-") && text.trim_end().ends_with("%%EOF"));
            for index in 0..set.icons().len() {
                // Once as a card, four times as a sticker.
                assert_eq!(text.matches(&format!("/I{index} Do")).count(), 5, "{index}");
            }
            for icon in set.icons() {
                assert!(text.contains(icon.name()), "{}", icon.name());
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
    }
}
