//! Reads the few facts of a photo that its camera wrote beside the pixels.
//!
//! In:  the EXIF block of a file, as TIFF bytes; a TIFF or RAW file is such a block itself.
//! Out: orientation, when the photo was taken by its own clock, where, which camera took it.
//!
//! Broken EXIF is common and never an error of the photo: what can be read is kept, the
//! rest is absent. The place is for the owner's rules and leaves the computer with nothing that
//! we make. The camera's serial number tells two cameras of one model apart; it must not be
//! kept or shown as it is.
//!
//! A block is not copied: of a RAW file of 60 MB a few hundred bytes are looked at.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ifd::{Directory, Tiff};

/// Longest camera name kept, in characters.
const NAME_CHARS_MAX: usize = 64;

/// What the camera wrote; each part may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// How to turn the pixels so that the photo is upright.
    pub orientation: Orientation,
    /// When the shutter opened, by the camera's clock, whose zone is unknown.
    pub taken_at: Option<CivilTime>,
    /// Thousandths of a second behind `taken_at`, 0 to 999; 0 where the camera does not say.
    pub taken_millis: u16,
    /// Where it was taken.
    pub place: Option<Place>,
    /// Maker of the camera, such as `Canon`.
    pub camera_make: Option<String>,
    /// Model of the camera, such as `Canon EOS 40D`.
    pub camera_model: Option<String>,
    /// Serial number of the camera. Private: keep a digest at most.
    pub camera_serial: Option<String>,
}

/// A place on Earth (WGS 84), in millionths of a degree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// North is positive, up to 90,000,000.
    pub latitude_udeg: i32,
    /// East is positive, up to 180,000,000.
    pub longitude_udeg: i32,
}

impl Place {
    /// From degrees; `None` outside the Earth, and for 0°, 0°, which is what cameras write that
    /// do not know where they are.
    pub fn from_degrees(latitude: f64, longitude: f64) -> Option<Self> {
        let is_real = latitude.abs() <= 90.0
            && longitude.abs() <= 180.0
            && (latitude != 0.0 || longitude != 0.0);
        #[expect(clippy::cast_possible_truncation, reason = "at most 180 million")]
        let udeg = |degrees: f64| (degrees * 1e6).round() as i32;
        is_real.then(|| Self { latitude_udeg: udeg(latitude), longitude_udeg: udeg(longitude) })
    }

    /// Degrees north.
    pub fn latitude(self) -> f64 {
        f64::from(self.latitude_udeg) / 1e6
    }

    /// Degrees east.
    pub fn longitude(self) -> f64 {
        f64::from(self.longitude_udeg) / 1e6
    }
}

/// EXIF orientation: where the first row and column of the stored pixels belong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Orientation {
    /// 1: as stored.
    #[default]
    Upright,
    /// 2: mirror left and right.
    FlipHorizontal,
    /// 3: turn by 180°.
    Rotate180,
    /// 4: mirror top and bottom.
    FlipVertical,
    /// 5: mirror along the diagonal from the top left.
    Transpose,
    /// 6: turn clockwise by 90°.
    Rotate90,
    /// 7: mirror along the diagonal from the top right.
    Transverse,
    /// 8: turn clockwise by 270°.
    Rotate270,
}

impl Orientation {
    /// From the EXIF number; anything but 2 to 8 is upright, as viewers do it.
    pub const fn from_exif(number: u32) -> Self {
        match number {
            2 => Self::FlipHorizontal,
            3 => Self::Rotate180,
            4 => Self::FlipVertical,
            5 => Self::Transpose,
            6 => Self::Rotate90,
            7 => Self::Transverse,
            8 => Self::Rotate270,
            _ => Self::Upright,
        }
    }

    /// Whether width and height change places.
    pub const fn swaps_sides(self) -> bool {
        matches!(self, Self::Transpose | Self::Rotate90 | Self::Transverse | Self::Rotate270)
    }
}

/// A moment as a clock on the wall shows it, without a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct CivilTime {
    year: u16,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
}

impl CivilTime {
    /// Reads `YYYY:MM:DD HH:MM:SS`, as EXIF writes it; `None` when it is no moment, such
    /// as the zeros and blanks of a camera whose clock was never set.
    pub fn from_exif(text: &[u8]) -> Option<Self> {
        let number = |from: usize, digits: usize| {
            let text = text.get(from..from + digits)?;
            text.iter()
                .all(u8::is_ascii_digit)
                .then(|| text.iter().fold(0_u16, |n, d| n * 10 + u16::from(d - b'0')))
        };
        let small = |from| number(from, 2).and_then(|number| u8::try_from(number).ok());
        // Some programs write `-` or `/` in the date and `T` before the time.
        let separators_fit = [4, 7, 10, 13, 16]
            .iter()
            .all(|at| text.get(*at).is_some_and(|b| b":-/ T.".contains(b)));
        let time = Self {
            year: number(0, 4)?,
            month: small(5)?,
            day: small(8)?,
            hour: small(11)?,
            minute: small(14)?,
            second: small(17)?,
        };
        (separators_fit && time.is_real()).then_some(time)
    }

    /// Four digits, 1800 or later.
    pub const fn year(self) -> u16 {
        self.year
    }

    /// 1 to 12.
    pub const fn month(self) -> u8 {
        self.month
    }

    /// 1 to 31.
    pub const fn day(self) -> u8 {
        self.day
    }

    /// 0 to 23.
    pub const fn hour(self) -> u8 {
        self.hour
    }

    /// 1 Monday to 7 Sunday.
    pub fn weekday(self) -> u8 {
        // Sakamoto's method: days of the months before, leap days of the years before.
        const OFFSETS: [u16; 12] = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4];
        let year = if self.month < 3 { self.year - 1 } else { self.year };
        let offset = OFFSETS[usize::from(self.month - 1) % 12];
        let sunday_zero =
            (year + year / 4 - year / 100 + year / 400 + offset + u16::from(self.day)) % 7;
        if sunday_zero == 0 { 7 } else { u8::try_from(sunday_zero).unwrap_or(7) }
    }

    fn is_real(self) -> bool {
        let leap = self.year.is_multiple_of(4)
            && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        let days = match self.month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => return false,
        };
        self.year >= 1800
            && (1..=days).contains(&self.day)
            && self.hour < 24
            && self.minute < 60
            && self.second < 60
    }
}

/// `2026-07-01T10:00:00`
impl fmt::Display for CivilTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, day, hour, minute, second } = self;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
    }
}

impl From<CivilTime> for String {
    fn from(time: CivilTime) -> Self {
        time.to_string()
    }
}

/// Reads what [`fmt::Display`] writes, so that no moment comes from outside that is none.
impl TryFrom<String> for CivilTime {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::from_exif(text.as_bytes()).ok_or_else(|| format!("`{text}` is no moment"))
    }
}

impl Metadata {
    /// Reads an EXIF block (`II*\0…` or `MM\0*…`); gives what it can.
    pub fn from_exif(block: &[u8]) -> Self {
        let first = first_directory(block);
        let exif = first.and_then(exif_directory);
        Self::from_directories(first, exif)
    }

    /// Reads the directory of the picture and that of the shot, which Canon's CR3 keeps apart.
    pub(super) fn from_directories(
        first: Option<Directory<'_>>,
        exif: Option<Directory<'_>>,
    ) -> Self {
        let text = |tag| {
            let found = [first, exif].into_iter().flatten().find_map(|place| place.text(tag));
            found.filter(|text| !text.is_empty())
        };
        let taken = [
            (DATE_TIME_ORIGINAL, SUB_SEC_ORIGINAL),
            (DATE_TIME_DIGITIZED, SUB_SEC_DIGITIZED),
            (DATE_TIME, SUB_SEC),
        ]
        .into_iter()
        .find_map(|(moment, rest)| {
            let moment = CivilTime::from_exif(text(moment)?)?;
            Some((moment, text(rest).map_or(0, millis)))
        });
        Self {
            orientation: first
                .and_then(|first| first.number(ORIENTATION))
                .map(Orientation::from_exif)
                .unwrap_or_default(),
            taken_at: taken.map(|(moment, _)| moment),
            taken_millis: taken.map_or(0, |(_, millis)| millis),
            place: first.and_then(|first| first.children(GPS).next()).and_then(place),
            camera_make: text(MAKE).and_then(name),
            camera_model: text(MODEL).and_then(name),
            camera_serial: text(BODY_SERIAL_NUMBER).and_then(name),
        }
    }
}

/// Whether an EXIF block says that the colours are Adobe RGB, as cameras do that write no
/// colour profile (DCF 2.0, "option file": interoperability index `R03`).
pub(super) fn says_adobe_rgb(block: &[u8]) -> bool {
    const INTEROPERABILITY: u16 = 0xA005;
    const INDEX: u16 = 0x0001;
    first_directory(block)
        .and_then(exif_directory)
        .and_then(|exif| exif.children(INTEROPERABILITY).next())
        .and_then(|interoperability| interoperability.text(INDEX))
        .is_some_and(|index| index == b"R03")
}

const MAKE: u16 = 0x010F;
const MODEL: u16 = 0x0110;
const ORIENTATION: u16 = 0x0112;
const DATE_TIME: u16 = 0x0132;
const EXIF: u16 = 0x8769;
const GPS: u16 = 0x8825;
const DATE_TIME_ORIGINAL: u16 = 0x9003;
const DATE_TIME_DIGITIZED: u16 = 0x9004;
const SUB_SEC: u16 = 0x9290;
const SUB_SEC_ORIGINAL: u16 = 0x9291;
const SUB_SEC_DIGITIZED: u16 = 0x9292;
const BODY_SERIAL_NUMBER: u16 = 0xA431;

fn first_directory(block: &[u8]) -> Option<Directory<'_>> {
    // Some writers leave JPEG's marker text in front in other formats too.
    let block = block.strip_prefix(b"Exif\0\0").unwrap_or(block);
    Tiff::read(block)?.chain().next()
}

fn exif_directory(first: Directory<'_>) -> Option<Directory<'_>> {
    first.children(EXIF).next()
}

/// A place from degrees, minutes and seconds, each a fraction, and a letter.
fn place(gps: Directory<'_>) -> Option<Place> {
    const LATITUDE_REF: u16 = 1;
    const LATITUDE: u16 = 2;
    const LONGITUDE_REF: u16 = 3;
    const LONGITUDE: u16 = 4;
    let degrees = |tag, letter, negative: u8| {
        let parts = gps.fractions(tag, 3);
        let degrees = *parts.first()?;
        // Some programs write whole degrees alone, or leave parts out as 0 over 0.
        let smaller = parts.iter().skip(1).zip([60.0, 3600.0]);
        let smaller: f64 =
            smaller.filter(|(part, _)| part.is_finite()).map(|(part, unit)| part / unit).sum();
        let letter = gps.text(letter)?.first()?.to_ascii_uppercase();
        Some(if letter == negative { -(degrees + smaller) } else { degrees + smaller })
    };
    let latitude = degrees(LATITUDE, LATITUDE_REF, b'S')?;
    Place::from_degrees(latitude, degrees(LONGITUDE, LONGITUDE_REF, b'W')?)
}

/// Thousandths of a second from the digits behind the point, as many as there are.
fn millis(digits: &[u8]) -> u16 {
    let mut digits = digits.iter().copied().take_while(u8::is_ascii_digit);
    (0..3).fold(0, |sum, _| sum * 10 + digits.next().map_or(0, |digit| u16::from(digit - b'0')))
}

fn name(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let text: String =
        text.trim().chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A little-endian block with `Orientation` and `DateTime` in its first directory.
    fn block(orientation: u16, date: &[u8; 20]) -> Vec<u8> {
        let mut block = b"II*\0\x08\0\0\0\x02\0".to_vec();
        block.extend_from_slice(&[0x12, 0x01, 3, 0, 1, 0, 0, 0]);
        block.extend_from_slice(&orientation.to_le_bytes());
        block.extend_from_slice(&[0, 0]);
        block.extend_from_slice(&[0x32, 0x01, 2, 0, 20, 0, 0, 0, 38, 0, 0, 0]);
        block.extend_from_slice(&[0; 4]);
        block.extend_from_slice(date);
        block
    }

    #[test]
    fn orientation_and_date_are_read() {
        let metadata = Metadata::from_exif(&block(6, b"2026:07:01 10:00:05\0"));
        assert_eq!(metadata.orientation, Orientation::Rotate90);
        assert_eq!(
            metadata.taken_at.map(|t| t.to_string()).as_deref(),
            Some("2026-07-01T10:00:05")
        );
        assert_eq!(metadata.taken_at.map(CivilTime::weekday), Some(3), "a Wednesday");
    }

    #[test]
    fn fractions_of_a_second_have_any_number_of_digits() {
        for (text, expected) in
            [("5", 500), ("05", 50), ("123456", 123), ("", 0), ("  ", 0), ("12 ", 120)]
        {
            assert_eq!(millis(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn block_cut_anywhere_gives_no_error() {
        let block = block(8, b"2026:07:01 10:00:05\0");
        for end in 0..block.len() {
            let metadata = Metadata::from_exif(&block[..end]);
            assert!(metadata.taken_at.is_none(), "cut at {end}");
        }
    }

    #[test]
    fn clock_that_was_never_set_gives_no_time() {
        for text in [
            "0000:00:00 00:00:00",
            "    :  :     :  :  ",
            "2026:02:29 10:00:00",
            "2026:01:01 24:00:00",
            "2026",
        ] {
            assert_eq!(CivilTime::from_exif(text.as_bytes()), None, "{text}");
        }
        assert!(CivilTime::from_exif(b"2024-02-29T10:00:00").is_some());
    }

    #[test]
    fn weekdays_agree_with_the_calendar() {
        for (text, weekday) in [
            ("2000:02:29 00:00:00", 2),
            ("2024:12:31 00:00:00", 2),
            ("2026:11:20 00:00:00", 5),
            ("1900:01:01 00:00:00", 1),
        ] {
            assert_eq!(
                CivilTime::from_exif(text.as_bytes()).map(CivilTime::weekday),
                Some(weekday),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(mut bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _whatever = Metadata::from_exif(&bytes);
            bytes.splice(0..0, *b"MM\0*\0\0\0\x08");
            let _whatever = Metadata::from_exif(&bytes);
        }

        #[test]
        fn any_text_is_a_real_time_or_none(text in "[0-9:T /-]{0,24}") {
            if let Some(time) = CivilTime::from_exif(text.as_bytes()) {
                prop_assert!((1..=12).contains(&time.month()) && (1..=7).contains(&time.weekday()));
            }
        }
    }
}
