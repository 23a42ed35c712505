//! Reads print orders that cameras and kiosks leave on a card: DPOF 1.10, `AUTPRINT.MRK`.
//!
//! In:  the bytes of the file, and of `UNICODE.MRK` beside it where there is one.
//! Out: who wrote it, and jobs: how many copies of which pictures, how printed.
//!
//! Real writers get much of the standard wrong; what is meant is taken, and what was odd
//! is noted. What is not clear is left out rather than guessed: nobody wants 999 prints
//! because a number was broken.
//!
//! Knows nothing of disks: which files the pictures are is for the caller to find, below
//! the card's root ([`resolve`]).

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::metadata::CivilTime;

/// More jobs than this are not read: numbers of jobs have three digits.
pub const JOBS_MAX: usize = 999;

/// More pictures than this, in all jobs together, are not read.
pub const IMAGES_MAX: usize = 100_000;

/// Most copies of one job.
pub const COPIES_MAX: u16 = 999;

/// A larger file is not read: 16 MiB.
pub const BYTES_MAX: usize = 16 * 1024 * 1024;

/// More bytes of `UNICODE.MRK` are not read.
const UNICODE_BYTES_MAX: usize = 64 * 1024;

/// Names of `UNICODE.MRK`; the standard knows six.
const NAMES_MAX: usize = 64;

/// Remarks kept.
const NOTES_MAX: usize = 100;

/// Characters kept of one text; the standard ends at 127.
const TEXT_CHARS_MAX: usize = 200;

/// Longest path of a picture.
const PATH_BYTES_MAX: usize = 1024;

/// A print order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrintMarks {
    /// The camera or program that wrote it.
    pub creator: Option<String>,
    /// When, by its own clock.
    pub made_at: Option<CivilTime>,
    /// Whom it is for.
    pub user: Option<String>,
    /// The writer's own number of the order.
    pub order_id: Option<String>,
    /// What to print, in the file's order.
    pub jobs: Vec<PrintJob>,
    /// What was odd, as sentences; 100 at most.
    pub notes: Vec<String>,
}

/// One job of a print order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrintJob {
    /// Its number, 1 to 999; absent when the writer gave none.
    pub id: Option<u16>,
    /// What is printed.
    pub kind: PrintKind,
    /// How often, 1 to [`COPIES_MAX`].
    pub copies: u16,
    /// The paper, as the writer names it, such as `4x6`.
    pub paper: Option<String>,
    /// The lab's own number of a product, 1 to 999.
    pub channel: Option<u16>,
    /// The pictures as written, with `/` between folders: relative to the folder of the
    /// file. See [`resolve`]. At least one.
    pub images: Vec<String>,
    /// Words to be printed on the picture.
    pub caption: Option<String>,
    /// Turn clockwise by 0, 90, 180 or 270 degrees.
    pub rotation_degrees: Option<u16>,
    /// The part to be printed, as the writer says it.
    pub trim: Option<String>,
}

/// What kind of print a job asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrintKind {
    /// One picture on one sheet.
    Standard,
    /// Many small pictures on a sheet, as an overview.
    Index,
    /// One picture, or several, so often on a sheet.
    Multiple(u8),
    /// One picture in a certain size.
    Sized(PrintSize),
}

/// A size that a job asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrintSize {
    /// The printer decides.
    Any,
    /// A class of sizes of the standard, 1 to 12.
    Class(u8),
    /// Length of the short side in millimetres.
    Millimetres(u16),
}

/// Reads a print order; what cannot be read is left out and noted.
///
/// - `bytes`: of `AUTPRINT.MRK`
/// - `unicode`: of `UNICODE.MRK` in the same folder
pub fn parse(bytes: &[u8], unicode: Option<&[u8]>) -> PrintMarks {
    let mut reader = Reader::default();
    if bytes.len() > BYTES_MAX {
        reader.note(format!("the file has more than {BYTES_MAX} bytes and was not read"));
        return reader.marks;
    }
    for (index, line) in decode(bytes).split(['\n', '\r']).enumerate() {
        if !reader.take(index, line.trim_matches(is_blank)) {
            break;
        }
    }
    reader.end_job();
    if reader.marks.user.is_none() {
        let names = unicode.map(unicode_names).unwrap_or_default();
        let words: Vec<&str> = reader
            .user_names
            .iter()
            .filter_map(|key| names.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)))
            .map(|(_, text)| text.as_str())
            .collect();
        reader.marks.user = (!words.is_empty()).then(|| words.join(" "));
    }
    reader.marks
}

/// Where a picture lies below the root: `MISC` and `../DCIM/100A/A.JPG` give
/// `DCIM/100A/A.JPG`. `None` when it would leave the root, or is no path.
///
/// The names on the disk may differ in upper and lower case: see [`is_same_path`].
pub fn resolve(folder: &Path, image: &str) -> Option<PathBuf> {
    let mut parts: Vec<&std::ffi::OsStr> = Vec::new();
    let image = Path::new(image);
    for component in folder.components().chain(image.components()) {
        match component {
            Component::Normal(name) => parts.push(name),
            Component::ParentDir => {
                parts.pop()?;
            }
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (!parts.is_empty()).then(|| parts.into_iter().collect())
}

/// Whether two paths are the same on a memory card, where case does not matter.
pub fn is_same_path(one: &Path, other: &Path) -> bool {
    one.as_os_str().eq_ignore_ascii_case(other.as_os_str())
}

/// What was read so far.
#[derive(Debug, Default)]
struct Reader {
    marks: PrintMarks,
    /// The job that is being read.
    job: Option<Draft>,
    /// Inside a region of a vendor's own.
    is_vendors: bool,
    /// Pictures of all jobs together.
    images_count: usize,
    /// Keys of the user's name in `UNICODE.MRK`.
    user_names: Vec<String>,
}

/// A job whose end has not come yet.
#[derive(Debug, Default)]
struct Draft {
    /// Line of the file that begins it, from 1.
    line: usize,
    id: Option<u16>,
    kind: Option<PrintKind>,
    copies: Option<u16>,
    paper: Option<String>,
    channel: Option<u16>,
    images: Vec<String>,
    caption: Option<String>,
    rotation_degrees: Option<u16>,
    trim: Option<String>,
    /// Why it is not clear what is meant.
    doubt: Option<String>,
}

impl Reader {
    fn note(&mut self, text: String) {
        if self.marks.notes.len() < NOTES_MAX {
            self.marks.notes.push(text);
        }
    }

    /// Takes a line; `false`: enough was read.
    fn take(&mut self, index: usize, line: &str) -> bool {
        let number = index + 1;
        if let Some(section) = line.strip_prefix('[') {
            return self.begin(section.trim_end_matches(']').trim(), number);
        }
        // A conditional expression stands in pointed brackets.
        let line = line.strip_prefix('<').unwrap_or(line);
        let line = line.strip_suffix('>').unwrap_or(line).trim_matches(is_blank);
        let Some((key, value)) = line.split_once('=') else {
            if !line.is_empty() && self.job.is_none() && self.marks.creator.is_none() {
                // Some cameras write their name and nothing else.
                self.marks.creator = tidy(line);
                self.note(format!("line {number} is no parameter; it was taken for the creator"));
            } else if !line.is_empty() {
                self.note(format!("line {number} is no parameter"));
            }
            return true;
        };
        let key = key.split_whitespace().collect::<Vec<_>>().join(" ").to_ascii_uppercase();
        let value = Value::read(value.trim_matches(is_blank));
        if key == "VUQ RGN" {
            self.is_vendors = value.first.eq_ignore_ascii_case("BGN");
        } else if let Some(job) = &mut self.job {
            let image = job.take(&key, &value, self.is_vendors);
            self.images_count += usize::from(image);
            if self.images_count >= IMAGES_MAX {
                self.note(format!(
                    "there are {IMAGES_MAX} pictures; whatever follows was not read"
                ));
                return false;
            }
        } else {
            self.take_header(&key, &value);
        }
        true
    }

    fn begin(&mut self, section: &str, line: usize) -> bool {
        self.end_job();
        self.is_vendors = false;
        if section.eq_ignore_ascii_case("JOB") {
            if self.marks.jobs.len() >= JOBS_MAX {
                self.note(format!("there are more than {JOBS_MAX} jobs; the rest was not read"));
                return false;
            }
            self.job = Some(Draft { line, ..Draft::default() });
        }
        true
    }

    fn take_header(&mut self, key: &str, value: &Value<'_>) {
        let marks = &mut self.marks;
        match key {
            "GEN CRT" => marks.creator = tidy(value.first),
            "GEN DTM" => marks.made_at = CivilTime::from_exif(value.first.as_bytes()),
            "USR NAM" => marks.user = tidy(value.first),
            "USR CID" => marks.order_id = tidy(value.first),
            "USR UNM" => {
                self.user_names =
                    value.whole.split(',').take(3).map(|key| key.trim().to_owned()).collect();
            }
            _ => {}
        }
    }

    /// Keeps the job that was being read, if it is clear what it asks for.
    fn end_job(&mut self) {
        let Some(draft) = self.job.take() else { return };
        let name = draft
            .id
            .map_or_else(|| format!("the job in line {}", draft.line), |id| format!("job {id}"));
        let is_known =
            draft.id.is_some() && self.marks.jobs.iter().any(|known| known.id == draft.id);
        if is_known {
            self.note(format!("{name} is there twice"));
        }
        match draft.finish() {
            Ok(job) => self.marks.jobs.push(job),
            Err(doubt) => self.note(format!("{name} {doubt}; it was left out")),
        }
    }
}

impl Draft {
    /// Takes a parameter; tells whether it was a picture.
    fn take(&mut self, key: &str, value: &Value<'_>, is_vendors: bool) -> bool {
        match key {
            "PRT PID" => self.id = value.number().filter(|id| (1..=999).contains(id)),
            "PRT TYP" | "PTR TYP" => match value.kind() {
                Some(kind) => self.kind = Some(kind),
                None => self.doubt = Some(format!("asks for `{}`, which is unknown", value.whole)),
            },
            "PRT QTY" | "PTR QTY" => match value.number() {
                Some(copies) if copies <= COPIES_MAX => self.copies = Some(copies),
                _ => self.doubt = Some(format!("asks for `{}` copies", value.first)),
            },
            "PRT PSL" => {
                self.paper = value.part_after("PSIZE").and_then(tidy).or_else(|| self.paper.take());
            }
            "PRT PCH" => {
                self.channel = value.number().filter(|channel| (1..=999).contains(channel));
            }
            // In a vendor's region the picture is named once more.
            "IMG SRC" if !is_vendors => {
                let path = value.first.trim().replace('\\', "/");
                if !path.is_empty() && path.len() <= PATH_BYTES_MAX {
                    self.images.push(path);
                    return true;
                }
                self.doubt = Some("names a picture that no file can be".to_owned());
            }
            "CFG DSC" => self.caption = tidy(value.first),
            "CFG ROT" => {
                self.rotation_degrees =
                    value.number().filter(|degrees| matches!(degrees, 0 | 90 | 180 | 270));
            }
            "CFG TRM" => self.trim = tidy(value.whole),
            _ => {}
        }
        false
    }

    fn finish(self) -> Result<PrintJob, String> {
        match (self.doubt, self.copies) {
            (Some(doubt), _) => return Err(doubt),
            (None, Some(0)) => return Err("asks for no copies".to_owned()),
            _ if self.images.is_empty() => return Err("names no picture".to_owned()),
            _ => {}
        }
        Ok(PrintJob {
            id: self.id,
            kind: self.kind.unwrap_or(PrintKind::Standard),
            copies: self.copies.unwrap_or(1),
            paper: self.paper,
            channel: self.channel,
            images: self.images,
            caption: self.caption,
            rotation_degrees: self.rotation_degrees,
            trim: self.trim,
        })
    }
}

/// What stands behind the `=` of a parameter.
struct Value<'a> {
    whole: &'a str,
    /// The first of its parts, without quotes.
    first: &'a str,
}

impl<'a> Value<'a> {
    fn read(whole: &'a str) -> Self {
        let first = match whole.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next().unwrap_or(quoted),
            // A dash begins a switch only behind a blank; names have it too.
            None => {
                let end = [whole.find(','), whole.find(" -")].into_iter().flatten().min();
                end.and_then(|end| whole.get(..end)).unwrap_or(whole).trim_end()
            }
        };
        Self { whole, first }
    }

    fn number(&self) -> Option<u16> {
        self.first.parse().ok()
    }

    /// What stands behind a switch such as `-PSIZE`, without quotes.
    fn part_after(&self, switch: &str) -> Option<&'a str> {
        let (_, behind) = self.whole.split_once('-')?;
        let (found, part) = behind.trim().split_once(char::is_whitespace)?;
        found.eq_ignore_ascii_case(switch).then(|| part.trim().trim_matches('"'))
    }

    /// Of `PRT TYP`: `STD`, `IDX`, `MUL -04`, `SIZ -05`, `SIZ -99 0150`.
    fn kind(&self) -> Option<PrintKind> {
        let mut parts = self
            .whole
            .split(|c: char| c.is_whitespace() || c == '-')
            .filter(|part| !part.is_empty());
        let kind = parts.next()?.to_ascii_uppercase();
        let mut number = || parts.next()?.parse::<u16>().ok();
        match kind.as_str() {
            "STD" => Some(PrintKind::Standard),
            "IDX" => Some(PrintKind::Index),
            "MUL" => {
                let count =
                    u8::try_from(number()?).ok().filter(|count| (2..=99).contains(count))?;
                Some(PrintKind::Multiple(count))
            }
            "SIZ" => Some(PrintKind::Sized(match number().unwrap_or(0) {
                0 => PrintSize::Any,
                99 => PrintSize::Millimetres(number().filter(|length| *length > 0)?),
                class => PrintSize::Class(u8::try_from(class).ok().filter(|class| *class <= 12)?),
            })),
            _ => None,
        }
    }
}

/// Blanks, and what editors and cameras fill files up with.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\0' | '\u{1A}' | '\u{FEFF}')
}

fn tidy(text: &str) -> Option<String> {
    let is_kept = |c: &char| !c.is_control();
    let text: String = text.trim().chars().filter(is_kept).take(TEXT_CHARS_MAX).collect();
    (!text.is_empty()).then_some(text)
}

/// ASCII by the standard; UTF-8 and Latin-1 by writers that do not keep to it.
fn decode(bytes: &[u8]) -> String {
    if matches!(bytes, [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..]) {
        return decode_wide(bytes);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// UTF-16, its order from its mark or from where the zeros are.
fn decode_wide(bytes: &[u8]) -> String {
    let is_little = match bytes {
        [0xFE, 0xFF, ..] => false,
        [0xFF, 0xFE, ..] => true,
        _ => bytes.get(1) == Some(&0),
    };
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|pair| [pair[0], pair[1]])
        .map(|pair| if is_little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) })
        .collect();
    String::from_utf16_lossy(&units)
}

/// Keys and texts of `UNICODE.MRK`: lines such as `NM1 = "Zoë"`.
fn unicode_names(bytes: &[u8]) -> Vec<(String, String)> {
    let bytes = bytes.get(..UNICODE_BYTES_MAX).unwrap_or(bytes);
    let text = decode_wide(bytes);
    let line = |line: &str| {
        let (key, value) = line.split_once('=')?;
        let key = key.trim_matches(|c| is_blank(c) || matches!(c, '[' | ']' | '<'));
        let value = value.trim_matches(|c| is_blank(c) || c == '>');
        Some((key.to_owned(), tidy(Value::read(value).first)?))
    };
    text.split(['\n', '\r']).filter_map(line).take(NAMES_MAX).collect()
}

#[cfg(test)]
mod tests;
