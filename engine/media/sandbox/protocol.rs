//! What agent and worker tell each other, as bytes.
//!
//! A message is its length (4 bytes, little-endian) and JSON. Pixels and photos do not travel
//! here. The worker begins with its [`Posture`]; then each [`Request`] gets one [`Answer`].
//!
//! The agent believes nothing: whoever took the worker over may write anything here. What
//! comes in is bounded before it is kept, sizes are compared with what was asked, and texts
//! are made harmless before a person reads them.
//!
//! Knows nothing of sockets and processes.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::memory::PIXELS_BYTES_MAX;
use crate::base::causes::one_line;
use crate::media::decode::check_size;
use crate::media::{DecodeError, DecodeSpec, Decoded, Extras, Frame, MediaType, Metadata};

/// The longest message; what an honest photo says of itself is far below.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// The longest text of a worker that is shown, in characters.
const TEXT_CHARS_MAX: usize = 300;

const LENGTH_BYTES: usize = 4;

/// What was written cannot be a message of an honest worker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Nonsense(String);

/// What the agent asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// How many of the shared bytes are the photo.
    pub bytes_count: u64,
    /// How large the frame has to be.
    pub spec: DecodeSpec,
}

/// What became of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answer {
    /// What was found in the photo, or why nothing was.
    pub result: Result<Found, Failure>,
    /// Processor time that the worker says it spent, in microseconds.
    pub processor_us: u64,
}

/// A decoded photo without its pixels, which are in the shared memory.
#[derive(Debug, Serialize, Deserialize)]
pub struct Found {
    frame_width_px: u32,
    frame_height_px: u32,
    width_px: u32,
    height_px: u32,
    media_type: MediaType,
    metadata: Metadata,
    extras: Extras,
}

/// A [`DecodeError`] on its way.
#[derive(Debug, Serialize, Deserialize)]
pub enum Failure {
    /// There are no bytes.
    Empty,
    /// Not a format on the allow-list.
    Unsupported(String),
    /// A library is missing: which format needs it, and why it cannot be used.
    NeedsLibrary(String, String),
    /// A RAW file without a useful preview.
    NoPreview,
    /// More pixels than allowed: width, height, the limit.
    TooLarge(u32, u32, u64),
    /// More memory or time than any photo needs.
    TooCostly(String),
    /// The last part is missing.
    EndsEarly,
    /// The bytes contradict each other.
    Damaged(String),
}

/// What keeps a worker from doing harm, as it was really applied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posture {
    /// Each layer, the outermost last.
    pub layers: Vec<Layer>,
    /// Libraries that may be missing, and whether they are there.
    #[serde(default)]
    pub libraries: Vec<Layer>,
}

/// One of the layers, or of the libraries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Such as `landlock`.
    pub name: String,
    /// Whether it holds.
    pub holds: bool,
    /// What it keeps out (of a library: its version), or why it does not hold.
    pub text: String,
}

impl Posture {
    /// With harmless texts.
    #[must_use]
    pub fn harmless(self) -> Self {
        let harmless = |layer: Layer| Layer {
            name: harmless(&layer.name),
            text: harmless(&layer.text),
            ..layer
        };
        let all = |layers: Vec<Layer>| layers.into_iter().map(harmless).collect();
        Self { layers: all(self.layers), libraries: all(self.libraries) }
    }
}

impl Found {
    /// Takes a decoded photo apart.
    pub fn of(decoded: Decoded) -> (Self, Frame) {
        let Decoded { frame, width_px, height_px, media_type, metadata, extras } = decoded;
        let (frame_width_px, frame_height_px) = (frame.width_px(), frame.height_px());
        let found = Self {
            frame_width_px,
            frame_height_px,
            width_px,
            height_px,
            media_type,
            metadata,
            extras,
        };
        (found, frame)
    }

    /// How many bytes of pixels there have to be, if everything can be true.
    ///
    /// # Errors
    /// Sizes that no photo has or that were not allowed, parts outside the file.
    pub fn check(&self, request: &Request) -> Result<usize, Nonsense> {
        let nonsense = |what: &str| Nonsense(format!("{what} cannot be true"));
        let pixels_max = request.spec.pixels_max;
        check_size(self.width_px, self.height_px, pixels_max)
            .and_then(|()| check_size(self.frame_width_px, self.frame_height_px, pixels_max))
            .map_err(|error| Nonsense(error.to_string()))?;
        let is_outside = |offset: u64, bytes_count: u64| {
            bytes_count == 0
                || offset.checked_add(bytes_count).is_none_or(|end| end > request.bytes_count)
        };
        if self.extras.embedded.iter().any(|part| is_outside(part.offset, part.bytes_count)) {
            return Err(nonsense("a part of the file that is outside it"));
        }
        if self.metadata.taken_millis > 999 {
            return Err(nonsense("the moment"));
        }
        let bytes = u64::from(self.frame_width_px) * u64::from(self.frame_height_px) * 3;
        usize::try_from(bytes)
            .ok()
            .filter(|bytes| *bytes <= PIXELS_BYTES_MAX)
            .ok_or_else(|| nonsense("the size of the frame"))
    }

    /// Puts a photo together again; `None` when the pixels are not as many as said.
    pub fn with(self, rgb: Vec<u8>) -> Option<Decoded> {
        let Self { width_px, height_px, media_type, metadata, extras, .. } = self;
        let frame = Frame::new(self.frame_width_px, self.frame_height_px, rgb)?;
        Some(Decoded { frame, width_px, height_px, media_type, metadata, extras })
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Empty => Self::Empty,
            DecodeError::Unsupported { found } => Self::Unsupported(found.into_owned()),
            DecodeError::NeedsLibrary { format, why } => Self::NeedsLibrary(format.into(), why),
            DecodeError::NoPreview => Self::NoPreview,
            DecodeError::TooLarge { width_px, height_px, pixels_max } => {
                Self::TooLarge(width_px, height_px, pixels_max)
            }
            DecodeError::TooCostly { needs } => Self::TooCostly(needs),
            DecodeError::EndsEarly => Self::EndsEarly,
            DecodeError::Damaged(source) => Self::Damaged(one_line(&*source)),
        }
    }
}

impl From<Failure> for DecodeError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Empty => Self::Empty,
            Failure::Unsupported(found) => Self::Unsupported { found: harmless(&found).into() },
            Failure::NeedsLibrary(format, why) => Self::NeedsLibrary {
                format: if format == "AVIF" { "AVIF" } else { "HEIC" },
                why: harmless(&why),
            },
            Failure::NoPreview => Self::NoPreview,
            Failure::TooLarge(width_px, height_px, pixels_max) => {
                Self::TooLarge { width_px, height_px, pixels_max }
            }
            Failure::TooCostly(needs) => Self::TooCostly { needs: harmless(&needs) },
            Failure::EndsEarly => Self::EndsEarly,
            Failure::Damaged(why) => Self::damaged(harmless(&why)),
        }
    }
}

/// Without what a terminal would obey, and not too long.
pub fn harmless(text: &str) -> String {
    let turns_text = |c| matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    text.chars().filter(|c| !c.is_control() && !turns_text(*c)).take(TEXT_CHARS_MAX).collect()
}

/// A message as bytes; `None` when it is longer than any may be.
pub fn write(message: &impl Serialize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; LENGTH_BYTES];
    serde_json::to_writer(&mut bytes, message).ok()?;
    let length = bytes.len() - LENGTH_BYTES;
    let (header, _) = bytes.split_first_chunk_mut()?;
    *header = u32::try_from(length).ok().filter(|_| length <= MESSAGE_BYTES_MAX)?.to_le_bytes();
    Some(bytes)
}

/// Bytes as they come, until they are a message.
#[derive(Debug, Default)]
pub struct Inbox {
    bytes: Vec<u8>,
}

impl Inbox {
    /// Takes what came; between two messages there is at most [`MESSAGE_BYTES_MAX`] of it.
    ///
    /// # Errors
    /// More than that.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Nonsense> {
        if self.bytes.len() + bytes.len() > LENGTH_BYTES + MESSAGE_BYTES_MAX {
            return Err(Nonsense("a message is too long".into()));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Gives the next message when it is whole.
    ///
    /// # Errors
    /// A length that is not allowed, or content that is no such message.
    pub fn take<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Nonsense> {
        let Some((length, behind)) = self.bytes.split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*length) as usize;
        if length > MESSAGE_BYTES_MAX {
            return Err(Nonsense("a message is too long".into()));
        }
        let Some(message) = behind.get(..length) else {
            return Ok(None);
        };
        let message = serde_json::from_slice(message);
        let message = message.map_err(|error| Nonsense(harmless(&error.to_string())))?;
        self.bytes.drain(..LENGTH_BYTES + length);
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::member::Member;
    use crate::media::{CivilTime, Embedded, Evidence, Orientation};

    fn decoded() -> Decoded {
        Decoded {
            frame: Frame::new(2, 1, vec![1, 2, 3, 4, 5, 6]).expect("a frame"),
            width_px: 40,
            height_px: 20,
            media_type: MediaType::WebP,
            metadata: Metadata {
                orientation: Orientation::Rotate90,
                taken_at: CivilTime::from_exif(b"2026:07:01 10:00:05"),
                taken_millis: 7,
                camera_make: Some("Čam".into()),
                ..Metadata::default()
            },
            extras: Extras {
                embedded: vec![Embedded {
                    member: Member::Motion,
                    media_type: "video/mp4".into(),
                    offset: 90,
                    bytes_count: 10,
                    evidence: Evidence::Xmp,
                }],
                ..Extras::default()
            },
        }
    }

    const REQUEST: Request = Request {
        bytes_count: 100,
        spec: DecodeSpec { cover_px: 1, is_exact: false, pixels_max: 1000 },
    };

    fn sent<T: Serialize, U: DeserializeOwned>(message: &T) -> Result<Option<U>, Nonsense> {
        let mut inbox = Inbox::default();
        inbox.push(&write(message).expect("short enough"))?;
        inbox.take()
    }

    #[test]
    fn photo_arrives_as_it_was_sent() {
        let (found, frame) = Found::of(decoded());
        let answer = Answer { result: Ok(found), processor_us: 5 };
        let answer: Answer = sent(&answer).expect("sense").expect("whole");
        let found = answer.result.expect("a photo");
        assert_eq!(found.check(&REQUEST), Ok(6));
        assert_eq!(found.with(frame.into_rgb()), Some(decoded()));
    }

    #[test]
    fn every_error_arrives_as_it_was_sent() {
        let errors = [
            DecodeError::Empty,
            DecodeError::Unsupported { found: "a ZIP archive".into() },
            DecodeError::NeedsLibrary { format: "AVIF", why: "which is not here".into() },
            DecodeError::NoPreview,
            DecodeError::TooLarge { width_px: 1, height_px: 2, pixels_max: 3 },
            DecodeError::TooCostly { needs: "900 MiB of memory".into() },
            DecodeError::EndsEarly,
            DecodeError::damaged("a check sum does not fit"),
        ];
        for error in errors {
            let told = one_line(&error);
            let kind = std::mem::discriminant(&error);
            let failure: Failure = sent(&Failure::from(error)).expect("sense").expect("whole");
            let error = DecodeError::from(failure);
            assert_eq!((one_line(&error), std::mem::discriminant(&error)), (told, kind));
        }
    }

    #[test]
    fn answer_that_cannot_be_true_is_not_believed() {
        type Lie = (&'static str, fn(&mut Found));
        let lies: [Lie; 6] = [
            ("no pixels", |found| found.frame_width_px = 0),
            ("a frame over the limit", |found| found.frame_height_px = 501),
            ("a photo over the limit", |found| found.width_px = u32::MAX),
            ("a part behind the end", |found| found.extras.embedded[0].offset = 91),
            ("a part that goes round", |found| found.extras.embedded[0].offset = u64::MAX),
            ("no such moment", |found| found.metadata.taken_millis = 1000),
        ];
        for (lie, tell) in lies {
            let (mut found, _) = Found::of(decoded());
            tell(&mut found);
            assert!(found.check(&REQUEST).is_err(), "{lie} is believed");
        }
        let (found, _) = Found::of(decoded());
        assert_eq!(found.with(vec![0; 5]), None, "fewer pixels than said");
        let (mut found, _) = Found::of(decoded());
        (found.frame_width_px, found.frame_height_px) = (20_000, 10_000);
        let all = Request {
            spec: DecodeSpec { cover_px: 1, pixels_max: u64::MAX, ..DecodeSpec::default() },
            ..REQUEST
        };
        assert!(found.check(&all).is_err(), "more pixels than the memory holds");
    }

    #[test]
    fn month_that_is_none_does_not_come_in() {
        let (found, _) = Found::of(decoded());
        let json = serde_json::to_string(&found).expect("JSON");
        let lie = json.replace("2026-07-01", "2026-00-01");
        assert_ne!(json, lie);
        serde_json::from_str::<Found>(&lie).expect_err("month 0");
    }

    #[test]
    fn text_of_a_worker_cannot_steer_a_terminal() {
        let text = harmless("\u{1b}]0;owned\u{7}\u{202E}txt\n");
        assert_eq!(text, "]0;ownedtxt");
        assert_eq!(harmless(&"x".repeat(5000)).len(), TEXT_CHARS_MAX);
    }

    #[test]
    fn message_may_come_in_pieces_and_not_be_too_long() {
        let bytes = write(&REQUEST).expect("short");
        let mut inbox = Inbox::default();
        for byte in &bytes {
            assert_eq!(inbox.take::<Request>(), Ok(None));
            inbox.push(&[*byte]).expect("short");
        }
        assert_eq!(inbox.take(), Ok(Some(REQUEST)));
        assert_eq!(inbox.take::<Request>(), Ok(None));
        inbox.push(&u32::MAX.to_le_bytes()).expect("short");
        inbox.take::<Request>().expect_err("4 GiB are promised");
        assert_eq!(write(&"x".repeat(MESSAGE_BYTES_MAX)), None);
        inbox.push(&vec![0; MESSAGE_BYTES_MAX + 1]).expect_err("more than a message");
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_or_nonsense(
            json in "[\\[\\]{}\":,0-9a-zA-Z_ -]{0,200}",
            noise in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            for message in [json.as_bytes(), &noise] {
                let mut inbox = Inbox::default();
                let length = u32::try_from(message.len()).expect("short").to_le_bytes();
                inbox.push(&length).expect("short");
                inbox.push(message).expect("short");
                if let Ok(Some(Answer { result: Ok(found), .. })) = inbox.take::<Answer>() {
                    let _either = found.check(&REQUEST);
                }
                let _either = inbox.take::<Posture>();
                let _either = inbox.take::<Request>();
            }
        }
    }
}
