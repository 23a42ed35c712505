//! Everything a rule may look at for one photo. No pixels, no absolute paths, no HTTP.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::base::member::Member;
use crate::detection::{Seal, Tier};

/// The facts of one photo version.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Icons found, best score first.
    pub icons: Vec<IconFact>,
    /// Enrolled people recognised, and portraits of them, best score first.
    #[serde(default)]
    pub people: Vec<PersonFact>,
    /// Faces that are nobody's who is enrolled, portraits among them: whoever gets the photo sees them.
    #[serde(default)]
    pub unknown_faces: u32,
    /// One of those is nearer to the middle of the photo than everybody who was recognised. Where it
    /// is, no rule is told.
    #[serde(default)]
    pub unknown_is_nearest: bool,
    /// One of those is larger than the face of everybody who was recognised.
    #[serde(default)]
    pub unknown_is_largest: bool,
    /// Where the file lies inside its collection.
    pub path: PathFact,
    /// When it was taken, by its own clock; absent when the file does not say.
    pub taken: Option<TimeFact>,
    /// Where; absent when the file does not say.
    #[serde(default)]
    pub place: Option<PlaceFact>,
    /// What it was taken with.
    #[serde(default)]
    pub camera: CameraFact,
    /// Title of the album that it lies in; may be empty.
    #[serde(default)]
    pub album: String,
    /// Width of the upright original.
    pub width_px: u32,
    /// Height of the upright original.
    pub height_px: u32,
    /// Size of the original file.
    pub bytes_count: u64,
    /// What travels with it, beside it or inside its file.
    pub companions: Vec<CompanionFact>,
    /// Print jobs on the photo's card (DPOF) that name it, in the order of the card.
    pub dpof: Vec<PrintFact>,
    /// What was written into it for people.
    pub words: WordsFact,
    /// What providers were told to make of this photo, or of another version of it.
    #[serde(default)]
    pub ordered: Vec<OrderedFact>,
}

impl Facts {
    /// The people who are there themselves.
    pub fn present(&self) -> impl Iterator<Item = &PersonFact> {
        self.people.iter().filter(|person| !person.portrait)
    }

    /// The portraits of people.
    pub fn portraits(&self) -> impl Iterator<Item = &PersonFact> {
        self.people.iter().filter(|person| person.portrait)
    }

    /// The person who is nearest to the middle of the photo, sure or not; `None` where that is a
    /// stranger or nobody.
    pub fn nearest_middle(&self) -> Option<&PersonFact> {
        let off = |person: &PersonFact| self.off_middle(person.x, person.y);
        let nearest = || self.present().min_by(|a, b| off(a).total_cmp(&off(b)));
        if self.unknown_is_nearest { None } else { nearest() }
    }

    /// The person whose face is the largest, sure or not; `None` where that is a stranger's or
    /// nobody's.
    pub fn largest_face(&self) -> Option<&PersonFact> {
        let largest = || self.present().max_by(|a, b| a.size.total_cmp(&b.size));
        if self.unknown_is_largest { None } else { largest() }
    }

    /// How far a place is from the middle of the photo, in px of the original.
    ///
    /// - `x`, `y`: shares of width and height
    pub fn off_middle(&self, x: f64, y: f64) -> f64 {
        ((x - 0.5) * f64::from(self.width_px)).hypot((y - 0.5) * f64::from(self.height_px))
    }

    /// Those of whom more than one face in one photo speaks, and nobody else; `None` where that is
    /// everybody.
    pub(crate) fn proven(&self) -> Option<Self> {
        let is_proven = |person: &PersonFact| person.tier == Tier::Order && !person.alone;
        if self.people.iter().all(is_proven) {
            return None;
        }
        let mut facts = self.clone();
        facts.people.retain(is_proven);
        Some(facts)
    }

    /// Why faces are only asked about, in words that name nobody: they stand in orders, mails and logs.
    pub(crate) fn unproven(&self) -> Vec<String> {
        let any = |is: fn(&PersonFact) -> bool| self.people.iter().any(is);
        let mut words = Vec::new();
        if any(|person| person.tier == Tier::Ask && !person.portrait) {
            words.push("a face is not recognised surely".to_owned());
        }
        if any(|person| person.tier == Tier::Ask && person.portrait) {
            words.push("a portrait is not recognised surely".to_owned());
        }
        if any(|person| person.tier == Tier::Order && person.alone && !person.portrait) {
            let why = "only a face speaks for it: no icon is on it, and no other photo of that hour \
                       shows the same person";
            words.push(why.to_owned());
        }
        if any(|person| person.tier == Tier::Order && person.alone && person.portrait) {
            words.push("a portrait does not carry your seal".to_owned());
        }
        words
    }

    /// Names of the people who are there for sure, each once.
    pub fn sure_people(&self) -> Vec<String> {
        let sure = self.present().filter(|person| person.tier == Tier::Order);
        let names: BTreeSet<&str> = sure.map(|person| person.name.as_str()).collect();
        names.into_iter().map(str::to_owned).collect()
    }
}

/// One person in the photo, as rules see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PersonFact {
    /// As enrolled.
    pub name: String,
    /// `order`: surely; `ask`: perhaps.
    pub tier: Tier,
    /// Nothing but this face speaks for it: no other photo of the hour, no icon. What it decides
    /// asks first.
    #[serde(default)]
    pub alone: bool,
    /// It is a picture of the person in the frame of an icon, not the person.
    #[serde(default)]
    pub portrait: bool,
    /// `0.0..=1.0`.
    pub score: f64,
    /// Side of the face as a share of the photo's long side, `0.0..=1.0`.
    pub size: f64,
    /// Centre, as a share of the width, `0.0..=1.0` from the left.
    pub x: f64,
    /// Centre, as a share of the height, `0.0..=1.0` from the top.
    pub y: f64,
}

impl PersonFact {
    /// Who it is, in words.
    pub fn words(&self) -> String {
        match self.portrait {
            true => format!("portrait of {}", self.name),
            false => self.name.clone(),
        }
    }
}

/// A place on Earth (WGS 84), as rules see it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PlaceFact {
    /// Degrees north, `-90.0..=90.0`.
    pub latitude: f64,
    /// Degrees east, `-180.0..=180.0`.
    pub longitude: f64,
}

impl PlaceFact {
    /// Distance over the ground in kilometres, on a sphere: at most 0.6 % off.
    pub fn distance_km(self, other: Self) -> f64 {
        const EARTH_RADIUS_KM: f64 = 6371.0088;
        let (here, there) = (self.latitude.to_radians(), other.latitude.to_radians());
        let half = |degrees: f64| (degrees.to_radians() / 2.0).sin().powi(2);
        let chord = half(other.latitude - self.latitude)
            + here.cos() * there.cos() * half(other.longitude - self.longitude);
        2.0 * EARTH_RADIUS_KM * chord.sqrt().min(1.0).asin()
    }
}

/// What a photo was taken with; parts may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CameraFact {
    /// Such as `Canon`.
    pub make: String,
    /// Such as `Canon EOS 40D`.
    pub model: String,
}

/// One order that its provider was told of, as rules see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderedFact {
    /// Name of the rule that made it; a rule does not see its own.
    pub rule: String,
    /// Who makes it.
    pub provider: String,
    /// Such as `print-10x15`; empty for a share.
    pub product: String,
    /// How many.
    pub copies: u32,
}

/// One companion, as rules see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompanionFact {
    /// What it is; never the original or the preview.
    pub role: Member,
    /// Name of its file; of one inside the photo's file the name it would get.
    pub name: String,
    /// Such as `audio/wav`.
    pub media_type: String,
    /// How long it is.
    pub bytes_count: u64,
}

/// One print job that names the photo, as rules see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrintFact {
    /// What is to be printed.
    pub kind: PrintKind,
    /// How many: 0 to 999.
    pub copies: u32,
    /// Short side of the paper in millimetres; 0: the printer decides.
    pub size_mm: u32,
    /// The lab's number of the product; 0: none was given.
    pub channel: u32,
    /// The lab's name of the paper, such as `4x6`; may be empty.
    pub paper: String,
    /// What is to be printed over the picture; may be empty.
    pub caption: String,
    /// The camera or program that wrote the job; may be empty.
    pub creator: String,
}

/// What a print job asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PrintKind {
    /// One print of each picture.
    Standard,
    /// All pictures small on one sheet.
    Index,
    /// One picture several times on a sheet, or several pictures on one.
    Multiple,
    /// A print of a size that the job names.
    Sized,
}

impl PrintKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Standard, Self::Index, Self::Multiple, Self::Sized];

    /// The word used in conditions.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Index => "index",
            Self::Multiple => "multiple",
            Self::Sized => "sized",
        }
    }
}

/// What was written into a photo for people: IPTC and XMP, of the file or beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WordsFact {
    /// In their order.
    pub keywords: Vec<String>,
    /// May be empty.
    pub title: String,
    /// For whoever handles the photo; may be empty.
    pub instructions: String,
    /// Stars, 1 to 5; -1: rejected; 0: none were given.
    pub rating: i8,
}

/// One icon, as rules see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IconFact {
    /// Name in the icon set.
    pub name: String,
    /// `order` or `ask`.
    pub tier: Tier,
    /// Whose seal is around it.
    pub seal: Seal,
    /// It was seen surely and is `ask` only because the owner requires a seal.
    pub lowered: bool,
    /// `0.0..=1.0`.
    pub score: f64,
    /// Side of the icon as a share of the photo's long side, `0.0..=1.0`.
    pub size: f64,
    /// Centre, as a share of the width, `0.0..=1.0` from the left.
    pub x: f64,
    /// Centre, as a share of the height, `0.0..=1.0` from the top.
    pub y: f64,
}

impl Facts {
    /// Why icons that were seen surely are only asked about; `None` where there are none.
    pub fn unsealed(&self) -> Option<String> {
        let lowered = self.icons.iter().filter(|icon| icon.lowered);
        let words = lowered.map(|icon| {
            let more = match icon.seal {
                Seal::Foreign => " but another's",
                Seal::Unreadable => ", or none that can be read",
                Seal::Mine | Seal::None => "",
            };
            format!("the icon `{}` does not carry your seal{more}", icon.name)
        });
        let words: Vec<String> = words.collect();
        (!words.is_empty()).then(|| words.join("; "))
    }
}

/// Where the file lies inside its collection; `/` separates folders on every system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathFact {
    /// Name of the collection in `signet.toml`.
    pub collection: String,
    /// Folders below the collection's root, empty at the top.
    pub folder: String,
    /// File name with extension.
    pub name: String,
    /// Extension in lower case, without the dot.
    pub extension: String,
}

/// A moment as the camera's clock showed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeFact {
    /// `2026-07-01T10:00:00`
    pub text: String,
    /// Four digits.
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
    /// 0 to 23.
    pub hour: i64,
    /// 1 Monday to 7 Sunday.
    pub weekday: i64,
}

impl TimeFact {
    /// Takes a camera's time apart; `None` when it is no date with a time.
    ///
    /// `text`: `2026-07-01T10:00:00`, also with a space for the `T` or with fractions of a
    /// second, which are dropped. A time zone is not taken: rules see the camera's clock.
    pub fn parse(text: &str) -> Option<Self> {
        let moment: jiff::civil::DateTime = text.trim().parse().ok()?;
        let moment = moment.with().subsec_nanosecond(0).build().ok()?;
        Some(Self {
            text: moment.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
            year: i64::from(moment.year()),
            month: i64::from(moment.month()),
            day: i64::from(moment.day()),
            hour: i64::from(moment.hour()),
            weekday: i64::from(moment.weekday().to_monday_one_offset()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_is_that_over_the_ground() {
        let place = |latitude, longitude| PlaceFact { latitude, longitude };
        // Berlin to Paris, by the formula of Vincenty: 879.7 km.
        let distance_km = place(52.52, 13.405).distance_km(place(48.8566, 2.3522));
        assert!((distance_km - 879.7).abs() < 879.7 * 0.006, "{distance_km}");
        // Across the line where the day changes.
        assert!(place(0.0, 179.99).distance_km(place(0.0, -179.99)) < 3.0);
        assert!(place(90.0, 0.0).distance_km(place(-90.0, 0.0)) > 20_000.0);
    }

    #[test]
    fn time_of_a_camera_is_taken_apart() {
        let taken = TimeFact::parse("2026-11-20 17:34:05.25").expect("a time");
        assert_eq!(taken.text, "2026-11-20T17:34:05");
        assert_eq!((taken.year, taken.month, taken.day, taken.hour), (2026, 11, 20, 17));
        // A Friday.
        assert_eq!(taken.weekday, 5);
    }

    #[test]
    fn time_that_is_none_gives_nothing() {
        for text in ["", "0000:00:00 00:00:00", "2026-02-30T10:00:00", "yesterday"] {
            assert_eq!(TimeFact::parse(text), None, "{text}");
        }
    }
}
