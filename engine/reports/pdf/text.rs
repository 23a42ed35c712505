//! Texts in the two fonts that every reader of PDF has: which bytes, how wide, where lines break.
//!
//! Those fonts have the letters of western Europe. Others are written with Latin ones (`北` as `Bei`),
//! so that they can be read at all; [`is_exact`] tells whether that happened.

/// The fonts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Font {
    /// Helvetica.
    Plain,
    /// Helvetica-Bold.
    Bold,
}

/// Helvetica, characters 32 to 126, in thousandths of the size (Adobe Core 14 metrics).
const PLAIN_WIDTHS: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556,
    556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667,
    611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667,
    667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500,
    222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
];

/// Helvetica-Bold, likewise.
const BOLD_WIDTHS: [u16; 95] = [
    278, 333, 474, 556, 556, 889, 722, 238, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556,
    556, 556, 556, 556, 556, 556, 556, 333, 333, 584, 584, 584, 611, 975, 722, 722, 722, 722, 667,
    611, 778, 722, 278, 556, 722, 611, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667,
    667, 611, 333, 278, 333, 584, 556, 333, 556, 611, 556, 611, 556, 333, 611, 611, 278, 278, 556,
    278, 889, 611, 611, 611, 611, 389, 556, 333, 611, 556, 778, 556, 556, 500, 389, 280, 389, 584,
];

/// What Windows-1252 has at 128 to 159, where Latin-1 has nothing to show.
const SPECIALS: [(char, u8); 27] = [
    ('€', 0x80),
    ('‚', 0x82),
    ('ƒ', 0x83),
    ('„', 0x84),
    ('…', 0x85),
    ('†', 0x86),
    ('‡', 0x87),
    ('ˆ', 0x88),
    ('‰', 0x89),
    ('Š', 0x8a),
    ('‹', 0x8b),
    ('Œ', 0x8c),
    ('Ž', 0x8e),
    ('‘', 0x91),
    ('’', 0x92),
    ('“', 0x93),
    ('”', 0x94),
    ('•', 0x95),
    ('–', 0x96),
    ('—', 0x97),
    ('˜', 0x98),
    ('™', 0x99),
    ('š', 0x9a),
    ('›', 0x9b),
    ('œ', 0x9c),
    ('ž', 0x9e),
    ('Ÿ', 0x9f),
];

/// A text in the encoding `WinAnsiEncoding`.
pub fn encoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for letter in text.chars() {
        match byte_of(letter) {
            Some(byte) => bytes.push(byte),
            None => {
                let latin = deunicode::deunicode_char(letter).unwrap_or("?");
                bytes.extend(latin.bytes().filter(|byte| (b' '..=b'~').contains(byte)));
            }
        }
    }
    bytes
}

/// Whether a text is written with its own letters.
pub fn is_exact(text: &str) -> bool {
    text.chars().all(|letter| byte_of(letter).is_some())
}

fn byte_of(letter: char) -> Option<u8> {
    if letter.is_control() || letter == '\u{a0}' {
        return Some(b' ');
    }
    match u8::try_from(u32::from(letter)) {
        Ok(byte) => Some(byte),
        Err(_beyond) => SPECIALS.iter().find(|(one, _)| *one == letter).map(|(_, byte)| *byte),
    }
}

/// Width in points.
pub fn width(text: &str, font: Font, size: f32) -> f32 {
    let widths = match font {
        Font::Plain => &PLAIN_WIDTHS,
        Font::Bold => &BOLD_WIDTHS,
    };
    let width = |byte: u8| {
        // Letters with accents are as wide as without.
        let bare = match byte {
            b' '..=b'~' => byte,
            other => deunicode::deunicode_char(char::from(other))
                .and_then(|latin| latin.bytes().next())
                .unwrap_or(b'n'),
        };
        let place = usize::from(bare).wrapping_sub(32);
        u32::from(widths.get(place).copied().unwrap_or(611))
    };
    let sum: u32 = encoded(text).into_iter().map(width).sum();
    #[expect(clippy::cast_precision_loss, reason = "a line has some thousand letters at most")]
    let sum = sum as f32;
    sum / 1000.0 * size
}

/// Breaks a text into lines no wider than `room`: at spaces, and inside what is longer than a line.
pub fn lines(text: &str, font: Font, size: f32, room: f32) -> Vec<String> {
    let fits = |line: &str| width(line, font, size) <= room;
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if fits(&format!("{line} {word}")) => {
                line.push(' ');
                line.push_str(word);
                continue;
            }
            _ => lines.push(String::new()),
        }
        for letter in word.chars() {
            let Some(line) = lines.last_mut() else { break };
            let mut longer = line.clone();
            longer.push(letter);
            if line.is_empty() || fits(&longer) {
                *line = longer;
            } else {
                lines.push(letter.to_string());
            }
        }
    }
    if lines.is_empty() { vec![String::new()] } else { lines }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_the_fonts_lack_are_written_with_latin_ones() {
        assert_eq!(encoded("Ömer – 5 €"), b"\xd6mer \x96 5 \x80");
        assert!(is_exact("Ömer – 5 €") && !is_exact("Иванов"));
        assert_eq!(encoded("Иванов"), b"Ivanov");
        assert_eq!(encoded("a\n\u{7f}b"), b"a  b");
        let odd = encoded("\u{202E}\u{10FFFF}猫");
        assert!(odd.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' '), "{odd:?}");
    }

    #[test]
    fn no_line_is_wider_than_its_room() {
        let long = format!("a photo {} of ours", "x".repeat(300));
        for text in ["", "word", &long, "Übergrößenträger für Ömer"] {
            let lines = lines(text, Font::Plain, 9.0, 60.0);
            assert!(lines.iter().all(|line| width(line, Font::Plain, 9.0) <= 60.0), "{lines:?}");
            let joined: String = lines.concat();
            assert_eq!(joined.replace(' ', ""), text.replace(' ', ""));
        }
        let (bare, accent) = (width("A", Font::Bold, 10.0), width("Ä", Font::Bold, 10.0));
        assert!((bare - accent).abs() < f32::EPSILON);
    }
}
