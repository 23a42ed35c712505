//! IPP as bytes: requests are written here, answers are read here. Home of the `ipp` crate.
//!
//! In:  names and values of attributes; an answer of a printer, which may be anything.
//! Out: the bytes of a request; of an answer its status and its attributes as plain values.
//!
//! The crate stops the whole program on two kinds of answers (version 8.0.0): it slices a text with
//! language beyond its end, and it follows collections as deep as they go. So [`is_sound`] walks
//! through an answer before the crate sees it. Of an attribute in a collection that has several
//! values the crate keeps the first; nothing that is asked for here has such.
//!
//! Knows nothing of jobs, media and HTTP.

use std::collections::BTreeMap;
use std::io::Cursor;

use ipp::IppHeader;
use ipp::attribute::IppAttribute;
use ipp::model::{DelimiterTag, IppVersion, StatusCode};
use ipp::parser::{IppParseError, IppParser};
use ipp::reader::IppReader;
use ipp::request::IppRequestResponse;
use ipp::value::IppValue;

pub(super) use ipp::model::Operation;

/// Deepest collections in collections that are read; `media-col` holds `media-size`, which makes 2.
const DEPTH_MAX: usize = 8;

/// What goes before the attributes: version, operation or status, number of the request.
const HEADER_BYTES: usize = 8;

/// A value of an attribute that is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// One of a list of words.
    Keyword(String),
    /// Several of one kind.
    List(Vec<Value>),
    /// A name that people gave.
    Name(String),
    /// An address.
    Uri(String),
    /// A media type, such as `image/jpeg`.
    MediaType(String),
    /// A number.
    Integer(i32),
    /// A number that stands for a word.
    Enum(i32),
    /// Yes or no.
    Boolean(bool),
    /// Attributes in an attribute.
    Collection(Vec<(&'static str, Value)>),
}

/// An attribute that is sent.
pub(super) type Attribute = (&'static str, Value);

/// Writes a request; a document follows behind it.
///
/// # Errors
/// A name, an address or a word is longer than IPP allows.
pub(super) fn request(
    operation: Operation,
    printer_uri: &str,
    of_operation: Vec<Attribute>,
    of_job: Vec<Attribute>,
) -> Result<Vec<u8>, IppParseError> {
    // Charset and language, which have to come first, are put there by the crate.
    let mut request = IppRequestResponse::new(IppVersion::v2_0(), operation, None)?;
    let mut add = |tag, (name, value)| {
        let attribute = IppAttribute::with_name(name, written(value)?)?;
        request.attributes_mut().add(tag, attribute);
        Ok::<_, IppParseError>(())
    };
    let target = ("printer-uri", Value::Uri(printer_uri.to_owned()));
    for attribute in std::iter::once(target).chain(of_operation) {
        add(DelimiterTag::OperationAttributes, attribute)?;
    }
    for attribute in of_job {
        add(DelimiterTag::JobAttributes, attribute)?;
    }
    Ok(request.to_bytes().to_vec())
}

fn written(value: Value) -> Result<IppValue, IppParseError> {
    Ok(match value {
        Value::Keyword(word) => IppValue::new_keyword(word)?,
        Value::List(values) => {
            IppValue::Array(values.into_iter().map(written).collect::<Result<_, _>>()?)
        }
        Value::Name(name) => IppValue::new_name_without_language(name)?,
        Value::Uri(uri) => IppValue::new_uri(uri)?,
        Value::MediaType(name) => IppValue::new_mime_media_type(name)?,
        Value::Integer(number) => IppValue::Integer(number),
        Value::Enum(number) => IppValue::Enum(number),
        Value::Boolean(is_so) => IppValue::Boolean(is_so),
        Value::Collection(members) => {
            let members = members.into_iter();
            let members = members.map(|(name, value)| Ok((name.parse()?, written(value)?)));
            IppValue::Collection(members.collect::<Result<_, IppParseError>>()?)
        }
    })
}

/// What a printer answered.
#[derive(Debug)]
pub(super) struct Answer {
    /// Whether it did as it was asked.
    pub(super) status: Status,
    /// What it says about itself.
    pub(super) printer: Group,
    /// What it says about jobs, one group for each.
    pub(super) jobs: Vec<Group>,
    /// What it was asked for and does not do.
    pub(super) unsupported: Group,
}

impl Answer {
    /// Reads an answer; `None`: it is none, or it ends early.
    pub(super) fn read(bytes: Vec<u8>) -> Option<Self> {
        is_sound(&bytes)?;
        let answer = IppParser::new(IppReader::new(Cursor::new(bytes))).parse().ok()?;
        let group_of = |tag| {
            let attributes = answer.attributes().groups_of(tag);
            Group::from_attributes(attributes.flat_map(|group| group.attributes()))
        };
        let message = group_of(DelimiterTag::OperationAttributes);
        let message = message.text("status-message").unwrap_or_default();
        let jobs = answer.attributes().groups_of(DelimiterTag::JobAttributes);
        Some(Self {
            status: Status::new(answer.header(), message),
            printer: group_of(DelimiterTag::PrinterAttributes),
            jobs: jobs.map(|group| Group::from_attributes(group.attributes())).collect(),
            unsupported: group_of(DelimiterTag::UnsupportedAttributes),
        })
    }
}

/// How a printer says that it did something, or did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Status {
    /// As RFC 8011 numbers them.
    pub(super) code: u16,
    /// What RFC 8011 calls it, and what the printer adds.
    pub(super) words: String,
}

/// What became of what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was done.
    Done,
    /// It was not, and asking again ends the same way.
    Never,
    /// It was not; the printer is busy or in trouble.
    NotNow,
    /// The printer says what no printer says.
    Unheard,
}

impl Status {
    /// There is no such job (any more).
    pub(super) const NOT_FOUND: u16 = 0x0406;
    /// Not in the state that the job is in.
    pub(super) const NOT_POSSIBLE: u16 = 0x0404;

    fn new(header: &IppHeader, message: &str) -> Self {
        let code = header.operation_or_status.cast_unsigned();
        let name = match header.status_code() {
            StatusCode::UnknownStatusCode => format!("status {code:#06x}"),
            known => known.to_string().to_lowercase(),
        };
        let message: String = message.chars().filter(|c| !c.is_control()).take(200).collect();
        let words = if message.is_empty() { name } else { format!("{name}: {message}") };
        Self { code, words }
    }

    /// What became of what was asked.
    pub(super) const fn outcome(&self) -> Outcome {
        match self.code {
            0x0000..=0x00ff => Outcome::Done,
            // The client was too slow.
            0x0405 => Outcome::NotNow,
            // An operation, a version, a second document that it does not know.
            0x0501 | 0x0503 | 0x0509 => Outcome::Never,
            0x0400..=0x04ff => Outcome::Never,
            0x0500..=0x05ff => Outcome::NotNow,
            _ => Outcome::Unheard,
        }
    }
}

/// Attributes by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Group(BTreeMap<String, Vec<Item>>);

/// A value of an attribute that came.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Text(String),
    Number(i32),
    Range(i32, i32),
    Flag(bool),
    Group(Group),
}

impl Group {
    fn from_attributes<'a>(attributes: impl IntoIterator<Item = &'a IppAttribute>) -> Self {
        let attributes = attributes.into_iter();
        Self(attributes.map(|a| (a.name().to_string(), items(a.value()))).collect())
    }

    /// Whether there is such an attribute.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The texts of an attribute, words and addresses included.
    pub(super) fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.items(name).filter_map(|item| match item {
            Item::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// The first text of an attribute.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.texts(name).next()
    }

    /// The ranges of an attribute; a number is a range of one.
    pub(super) fn ranges(&self, name: &str) -> impl Iterator<Item = (i32, i32)> {
        self.items(name).filter_map(|item| match *item {
            Item::Number(number) => Some((number, number)),
            Item::Range(least, most) => Some((least, most)),
            _ => None,
        })
    }

    /// The first number of an attribute.
    pub(super) fn number(&self, name: &str) -> Option<i32> {
        self.items(name).find_map(|item| match *item {
            Item::Number(number) => Some(number),
            _ => None,
        })
    }

    /// Yes or no.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.items(name).find_map(|item| match *item {
            Item::Flag(is_so) => Some(is_so),
            _ => None,
        })
    }

    /// The collections of an attribute.
    pub(super) fn groups(&self, name: &str) -> impl Iterator<Item = &Self> {
        self.items(name).filter_map(|item| match item {
            Item::Group(group) => Some(group),
            _ => None,
        })
    }

    fn items(&self, name: &str) -> impl Iterator<Item = &Item> {
        self.0.get(name).into_iter().flatten()
    }
}

/// The values of an attribute; those of kinds that nobody asks for are left out.
fn items(value: &IppValue) -> Vec<Item> {
    match value {
        IppValue::Array(values) => values.iter().flat_map(items).collect(),
        IppValue::Collection(members) => {
            let members = members.iter().map(|(name, value)| (name.to_string(), items(value)));
            vec![Item::Group(Group(members.collect()))]
        }
        IppValue::Integer(number) | IppValue::Enum(number) => vec![Item::Number(*number)],
        IppValue::RangeOfInteger { min, max } => vec![Item::Range(*min, *max)],
        IppValue::Boolean(is_so) => vec![Item::Flag(*is_so)],
        IppValue::TextWithLanguage { text, .. } => vec![Item::Text(text.to_string())],
        IppValue::NameWithLanguage { name, .. } => vec![Item::Text(name.to_string())],
        IppValue::TextWithoutLanguage(_)
        | IppValue::NameWithoutLanguage(_)
        | IppValue::Keyword(_)
        | IppValue::Uri(_)
        | IppValue::MimeMediaType(_) => vec![Item::Text(value.to_string())],
        _ => Vec::new(),
    }
}

/// Walks through an answer to its end tag; `None` where a length leads beyond the end, or where
/// collections are deeper than [`DEPTH_MAX`], not closed or never opened.
fn is_sound(bytes: &[u8]) -> Option<()> {
    const END_OF_ATTRIBUTES: u8 = 0x03;
    const DELIMITER_MAX: u8 = 0x0f;
    const BEGIN_COLLECTION: u8 = 0x34;
    const TEXT_WITH_LANGUAGE: u8 = 0x35;
    const NAME_WITH_LANGUAGE: u8 = 0x36;
    const END_COLLECTION: u8 = 0x37;

    let mut rest = bytes.get(HEADER_BYTES..)?;
    let mut depth = 0_usize;
    loop {
        let (&tag, after) = rest.split_first()?;
        rest = after;
        if tag <= DELIMITER_MAX {
            match tag {
                _ if depth > 0 => return None,
                END_OF_ATTRIBUTES => return Some(()),
                _ => continue,
            }
        }
        let name = counted(&mut rest)?;
        let mut value = counted(&mut rest)?;
        if depth > 0 && !name.is_empty() {
            return None;
        }
        match tag {
            BEGIN_COLLECTION if depth == DEPTH_MAX => return None,
            BEGIN_COLLECTION => depth += 1,
            END_COLLECTION => depth = depth.checked_sub(1)?,
            TEXT_WITH_LANGUAGE | NAME_WITH_LANGUAGE => {
                counted(&mut value)?;
                counted(&mut value)?;
            }
            _ => {}
        }
    }
}

/// Takes a length of two bytes and so many bytes.
fn counted<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<2>()?;
    let (value, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    *rest = after;
    Some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(body: &[u8]) -> Vec<u8> {
        [&[2, 0, 0, 0, 0, 0, 0, 1], body].concat()
    }

    fn attribute(tag: u8, name: &str, value: &[u8]) -> Vec<u8> {
        let length = |bytes: &[u8]| u16::try_from(bytes.len()).expect("short").to_be_bytes();
        [&[tag], &length(name.as_bytes())[..], name.as_bytes(), &length(value), value].concat()
    }

    #[test]
    fn request_is_read_back_with_its_attributes_in_their_groups() {
        let size = vec![("x-dimension", Value::Integer(10160))];
        let bytes = request(
            Operation::CreateJob,
            "ipps://printer.local/ipp/print",
            vec![("job-name", Value::Name("signet a 1".into()))],
            vec![
                ("copies", Value::Integer(2)),
                ("media-col", Value::Collection(vec![("media-size", Value::Collection(size))])),
            ],
        );
        let bytes = bytes.expect("a request");
        assert_eq!(&bytes[..4], [2, 0, 0, 5], "version 2.0, Create-Job");
        let read = Answer::read(bytes).expect("what was written");
        let job = &read.jobs[0];
        assert_eq!(job.number("copies"), Some(2));
        let size = job.groups("media-col").flat_map(|media| media.groups("media-size")).next();
        assert_eq!(size.and_then(|size| size.number("x-dimension")), Some(10160));
    }

    #[test]
    fn word_that_is_too_long_is_an_error() {
        let long = vec![("media-type", Value::Keyword("x".repeat(256)))];
        assert!(request(Operation::CreateJob, "ipp://a/", Vec::new(), long).is_err());
    }

    #[test]
    fn name_with_language_that_ends_early_is_no_answer() {
        for tag in [0x35, 0x36] {
            for value in [&[0, 9, b'e'][..], &[], &[0, 0], &[0, 2, b'e', b'n', 0, 1]] {
                let body = [&[0x02][..], &attribute(tag, "job-name", value), &[0x03]].concat();
                assert!(Answer::read(answer(&body)).is_none(), "{value:?}");
            }
        }
        let whole = attribute(0x36, "job-name", &[0, 2, b'e', b'n', 0, 1, b'x']);
        let body = [&[0x02][..], &whole, &[0x03]].concat();
        let read = Answer::read(answer(&body)).expect("an answer");
        assert_eq!(read.jobs[0].text("job-name"), Some("x"));
    }

    #[test]
    fn collections_too_deep_or_not_closed_are_no_answer() {
        let nested = |depth: usize, closed: usize| {
            let mut body = vec![0x04];
            body.extend(attribute(0x34, "media-col-database", &[]));
            for _ in 1..depth {
                body.extend(attribute(0x4a, "", b"media-size"));
                body.extend(attribute(0x34, "", &[]));
            }
            for _ in 0..closed {
                body.extend(attribute(0x37, "", &[]));
            }
            body.push(0x03);
            Answer::read(answer(&body))
        };
        assert!(nested(DEPTH_MAX, DEPTH_MAX).is_some());
        assert!(nested(DEPTH_MAX + 1, DEPTH_MAX + 1).is_none());
        assert!(nested(2, 1).is_none());
        assert!(nested(1, 2).is_none());
        // As deep as fits into the longest answer.
        assert!(nested(2900, 2900).is_none());
    }

    #[test]
    fn status_says_what_it_is_and_what_the_printer_adds() {
        let check = |code: u16, expected: &str, outcome: Outcome| {
            let header = IppHeader::new(IppVersion::v2_0(), code.cast_signed(), 1);
            let status = Status::new(&header, "Unsupported media-col\n");
            assert_eq!(status.words, expected);
            assert_eq!(status.outcome(), outcome);
        };
        let media = "attributes or values not supported: Unsupported media-col";
        check(0x040b, media, Outcome::Never);
        check(0x0507, "busy: Unsupported media-col", Outcome::NotNow);
        check(0x0506, "not accepting jobs: Unsupported media-col", Outcome::NotNow);
        check(0x0405, "timeout: Unsupported media-col", Outcome::NotNow);
        check(0x0501, "operation not supported: Unsupported media-col", Outcome::Never);
        check(0x0001, "ignored or substituted attributes: Unsupported media-col", Outcome::Done);
        check(0x7777, "status 0x7777: Unsupported media-col", Outcome::Unheard);
    }

    /// An answer as printers give it, to be damaged.
    fn sample() -> Vec<u8> {
        let size = vec![("x-dimension", Value::Integer(1)), ("y-dimension", Value::Integer(2))];
        let medium = Value::Collection(vec![
            ("media-size", Value::Collection(size)),
            ("media-type", Value::Keyword("photographic-glossy".into())),
        ]);
        let reasons = ["none", "media-empty"].map(|word| Value::Keyword(word.into()));
        let of_job = vec![
            ("media-col", medium),
            ("job-state", Value::Enum(5)),
            ("job-state-reasons", Value::List(reasons.to_vec())),
        ];
        let name = vec![("job-name", Value::Name("signet a 1".into()))];
        request(Operation::GetJobs, "ipp://a/", name, of_job).expect("a request")
    }

    proptest! {
        #[test]
        fn anything_is_an_answer_or_none_and_never_a_panic(
            tags in prop::collection::vec(
                (
                    prop::sample::select(vec![
                        0x01_u8, 0x02, 0x04, 0x10, 0x13, 0x21, 0x22, 0x23, 0x31, 0x32, 0x33, 0x34,
                        0x34, 0x35, 0x36, 0x37, 0x41, 0x44, 0x4a, 0x4a, 0x7f, 0xff,
                    ]),
                    "[a-c]{0,2}",
                    prop::collection::vec(any::<u8>(), 0..12),
                ),
                0..40,
            ),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = answer(&[0x02]);
            for (tag, name, value) in tags {
                if tag < 0x10 {
                    bytes.push(tag);
                } else {
                    bytes.extend(attribute(tag, &name, &value));
                }
            }
            bytes.push(0x03);
            let _ = Answer::read(bytes[..cut.index(bytes.len())].to_vec());
            let _ = Answer::read(bytes);
        }

        #[test]
        fn damaged_answer_never_panics(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        ) {
            let mut bytes = sample();
            for (place, byte) in changes {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            let _ = Answer::read(bytes);
        }

        #[test]
        fn answer_that_is_cut_off_is_none(cut in any::<prop::sample::Index>()) {
            let bytes = sample();
            prop_assert!(Answer::read(bytes[..cut.index(bytes.len())].to_vec()).is_none());
        }
    }
}
