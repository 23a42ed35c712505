//! Where in a rule file something stands, and what is wrong with it there.
//!
//! In:  the bytes of a file, byte spans from the TOML parser, character offsets from CEL.
//! Out: [`RuleMistake`] with line and column (both from 1, columns in characters), and
//! the line itself for a caret.
//!
//! A condition is written inside a TOML string, so its characters are not where they
//! seem: quotes and escapes come in between. [`Source::inside_string`] finds them.
//!
//! Knows nothing of rules, conditions or the disk.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// A rule file as it was read: a name for messages and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFile {
    /// What messages call it, such as `family.toml`.
    pub name: String,
    /// The whole content, UTF-8 if all is well.
    pub bytes: Vec<u8>,
    /// Who wrote it.
    pub by: Author,
}

impl RuleFile {
    /// A file of the owner's.
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into(), by: Author::Owner }
    }
}

/// Who wrote a rule file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Author {
    /// Who looks after the computers of several owners: what they allow, owners may narrow.
    Operator,
    /// Whose photos they are.
    #[default]
    Owner,
}

/// Largest rule or case file taken, in bytes.
pub const FILE_BYTES_MAX: usize = 1_000_000;

/// Something wrong in a rule file that its author can mend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct RuleMistake {
    /// Name of the file, as it was handed in.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong and what would be right, lower case, one line.
    pub message: String,
    /// The line it stands on, for showing with a caret; cut at 160 characters.
    pub excerpt: String,
}

impl fmt::Display for RuleMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, message, .. } = self;
        write!(f, "{file}:{line}:{column}: {message}")
    }
}

impl RuleMistake {
    /// The line and a caret below the column, for a terminal; empty where there is no line.
    pub fn caret(&self) -> String {
        if self.excerpt.is_empty() {
            return String::new();
        }
        let pad: String = self
            .excerpt
            .chars()
            .take(self.column - 1)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        format!("  | {}\n  | {pad}^", self.excerpt)
    }
}

/// Longest message, in characters.
const MESSAGE_CHARS_MAX: usize = 400;
/// Longest name for which a nearer one is looked for, in bytes.
const NEAREST_BYTES_MAX: usize = 200;
/// Longest excerpt kept, in characters.
const EXCERPT_CHARS_MAX: usize = 160;

/// The text of one file, able to tell lines and columns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'t> {
    pub(crate) file: &'t str,
    pub(crate) text: &'t str,
}

impl<'t> Source<'t> {
    /// Reads a file's bytes as text; a byte-order mark is dropped.
    pub(crate) fn new(file: &'t RuleFile) -> Result<Self, RuleMistake> {
        let whole = |message: String, line: usize, column: usize| RuleMistake {
            file: file.name.clone(),
            line,
            column,
            message,
            excerpt: String::new(),
        };
        if file.bytes.len() > FILE_BYTES_MAX {
            let size = file.bytes.len();
            let message = format!("the file has {size} bytes, the limit is {FILE_BYTES_MAX}");
            return Err(whole(message, 1, 1));
        }
        if matches!(file.bytes.get(..2), Some([0xff, 0xfe] | [0xfe, 0xff])) {
            return Err(whole("the file is UTF-16; save it as UTF-8".to_owned(), 1, 1));
        }
        let bytes = file.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&file.bytes);
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Self { file: &file.name, text }),
            Err(error) => {
                let before = &bytes[..error.valid_up_to()];
                let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
                let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
                let message = "these bytes are not UTF-8; save the file as UTF-8".to_owned();
                Err(whole(message, line, column))
            }
        }
    }

    /// A mistake at a byte of the text.
    pub(crate) fn mistake(&self, at: usize, message: impl Into<String>) -> RuleMistake {
        let (line, column) = self.place(at);
        let start = self.line_start(self.character_start(at));
        let text = self.text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        // Names and texts of the user may be long and hold line breaks.
        let message = message.into().replace(char::is_control, " ");
        let message = match message.char_indices().nth(MESSAGE_CHARS_MAX) {
            Some((end, _)) => format!("{}…", message.get(..end).unwrap_or_default()),
            None => message,
        };
        let excerpt = text.chars().take(EXCERPT_CHARS_MAX).collect();
        RuleMistake { file: self.file.to_owned(), line, column, message, excerpt }
    }

    /// Line and column of a byte, both from 1; a byte inside a character counts as its start.
    ///
    /// A file may have a thousand rules and as many mistakes: lines are counted by the fast search
    /// for a byte, characters in one line only.
    pub(crate) fn place(&self, at: usize) -> (usize, usize) {
        let at = self.character_start(at);
        let start = self.line_start(at);
        let before = self.text.as_bytes().get(..start).unwrap_or_default();
        let in_line = self.text.get(start..at).unwrap_or_default();
        (memchr::memchr_iter(b'\n', before).count() + 1, in_line.chars().count() + 1)
    }

    /// Where the character starts that a byte belongs to.
    fn character_start(&self, at: usize) -> usize {
        self.text.floor_char_boundary(at)
    }

    /// Where the line of a character starts.
    fn line_start(&self, at: usize) -> usize {
        let before = self.text.as_bytes().get(..at).unwrap_or_default();
        memchr::memrchr(b'\n', before).map_or(0, |at| at + 1)
    }

    /// The byte of the file where the `chars_before`-th character of a TOML string's
    /// value stands. `span` is the string with its quotes.
    pub(crate) fn inside_string(&self, span: Range<usize>, chars_before: usize) -> usize {
        let raw = self.text.get(span.clone()).unwrap_or_default();
        let (quote, escapes) = match raw.as_bytes() {
            [b'"', b'"', b'"', ..] => (3, true),
            [b'"', ..] => (1, true),
            [b'\'', b'\'', b'\'', ..] => (3, false),
            [b'\'', ..] => (1, false),
            // Not a string: nothing better than its start.
            _ => return span.start,
        };
        let bytes = raw.as_bytes();
        let mut at = quote;
        if quote == 3 {
            // The newline right after the opening quotes is no part of the value.
            at += match bytes.get(at..) {
                Some([b'\r', b'\n', ..]) => 2,
                Some([b'\n', ..]) => 1,
                _ => 0,
            };
        }
        let mut chars_left = chars_before;
        let end = raw.len().saturating_sub(quote);
        while at < end {
            let step = if escapes && bytes[at] == b'\\' {
                match bytes.get(at + 1) {
                    Some(b'u') => 6,
                    Some(b'U') => 10,
                    Some(b'x') => 4,
                    // A backslash at the end of a line swallows the white space after it.
                    Some(b' ' | b'\t' | b'\r' | b'\n') => {
                        at += 1;
                        while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
                            at += 1;
                        }
                        continue;
                    }
                    _ => 2,
                }
            } else {
                raw.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8)
            };
            if chars_left == 0 {
                break;
            }
            chars_left -= 1;
            at += step;
        }
        span.start + at.min(end.max(quote))
    }
}

/// The nearest of some names, if one is near enough to be what was meant.
pub(crate) fn nearest<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    if name.len() > NEAREST_BYTES_MAX {
        return None;
    }
    let lower = name.to_lowercase();
    names
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(&lower, &known.to_lowercase()), known))
        .filter(|(distance, known)| *distance <= 1.max(known.len().max(name.len()) / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// `: did you mean X?` when a name is near, else the names there are, else nothing.
pub(crate) fn hint<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    match nearest(name, names.iter().copied()) {
        Some(known) => format!(": did you mean `{known}`?"),
        None if names.is_empty() || names.len() > 24 => String::new(),
        None => {
            let list: Vec<String> = names.iter().map(|known| format!("`{known}`")).collect();
            format!("; known are {}", list.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source<'_> {
        Source { file: "test.toml", text }
    }

    #[test]
    fn place_counts_characters_not_bytes() {
        let source = source("a\nüü b\r\nc");
        assert_eq!(source.place(0), (1, 1));
        assert_eq!(source.place("a\nüü ".len()), (2, 4));
        assert_eq!(source.place(source.text.len() - 1), (3, 1));
        assert_eq!(source.place(9_999), (3, 2));
    }

    #[test]
    fn character_inside_a_string_is_found_behind_quotes_and_escapes() {
        #[track_caller]
        fn check(raw: &str, chars_before: usize, expected: char) {
            let text = format!("when = {raw}");
            let at = source(&text).inside_string(7..text.len(), chars_before);
            assert_eq!(
                text.get(at..).and_then(|rest| rest.chars().next()),
                Some(expected),
                "{raw}"
            );
        }
        check("'abX'", 2, 'X');
        check("'éX'", 1, 'X');
        check(r#""a\"X""#, 2, 'X');
        check(r#""\u00e9\U0001F600X""#, 2, 'X');
        check("'''\nab\nX'''", 3, 'X');
        check("\"\"\"\r\nab\\\n   X\"\"\"", 2, 'X');
        // Beyond the end is the closing quote.
        check("'ab'", 99, '\'');
    }

    #[test]
    fn nearest_name_is_offered_only_when_near() {
        let names = ["print-10x15", "canvas", "share"];
        assert_eq!(nearest("print-10x16", names), Some("print-10x15"));
        assert_eq!(nearest("Canvs", names), Some("canvas"));
        assert_eq!(nearest("grandma", names), None);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_named_by_line_and_column() {
        let file = RuleFile::new("x.toml", b"ok\n\xc3\xbc \xff");
        let mistake = Source::new(&file).expect_err("not UTF-8");
        assert_eq!((mistake.line, mistake.column), (2, 3));
    }

    #[test]
    fn caret_stands_below_its_column() {
        let mistake = source("a = 1\nbcd = 2").mistake(8, "wrong");
        assert_eq!(mistake.caret(), "  | bcd = 2\n  |   ^");
    }
}
