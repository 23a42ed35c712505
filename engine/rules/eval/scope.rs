//! The facts of one photo as CEL values, handed out when a condition asks for them.
//!
//! In:  [`Facts`], borrowed. Out: what the names `icons`, `path`, `taken`, `width_px`,
//! `height_px`, `bytes_count`, `companions`, `dpof`, `keywords`, `title`, `instructions`,
//! `rating`, `people`, `portraits`, `unknown_faces`, `place`, `camera`, `album` and `ordered` stand for, and
//! the answers that questions such as `has` and `only` were compiled into (see [`question`]).
//!
//! Values borrow the facts and are built on access; a photo costs nothing until a
//! condition looks at it. What questions and turns of loops cost is charged to the meter.

use std::sync::OnceLock;

use cel::ExecutionError;
use cel::common::traits::Indexer;
use cel::common::types::{self, CelBool, CelDouble, CelInt, CelList, CelNull, CelString, Type};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;

use super::meter::{METER, Meter};
use super::pattern::{self, Patterns};
use super::{Kind, Of};
use crate::detection::Tier;
use crate::rules::facts::{
    CameraFact, CompanionFact, Facts, IconFact, OrderedFact, PathFact, PersonFact, PlaceFact,
    PrintFact, TimeFact,
};

/// One photo, ready to be judged by any number of conditions.
pub struct PhotoScope<'f> {
    facts: &'f Facts,
    path: FactValue<'f>,
    taken: Option<FactValue<'f>>,
    place: Option<FactValue<'f>>,
    camera: FactValue<'f>,
    icons: OnceLock<CelList<'f>>,
    people: OnceLock<CelList<'f>>,
    portraits: OnceLock<CelList<'f>>,
    ordered: OnceLock<CelList<'f>>,
    companions: OnceLock<CelList<'f>>,
    jobs: OnceLock<CelList<'f>>,
    keywords: OnceLock<CelList<'f>>,
    meter: Meter,
}

impl<'f> PhotoScope<'f> {
    /// Prepares a photo; nothing is copied.
    pub fn new(facts: &'f Facts) -> Self {
        Self {
            facts,
            path: FactValue::Path(&facts.path),
            taken: facts.taken.as_ref().map(FactValue::Taken),
            place: facts.place.as_ref().map(FactValue::Place),
            camera: FactValue::Camera(&facts.camera),
            icons: OnceLock::new(),
            people: OnceLock::new(),
            portraits: OnceLock::new(),
            ordered: OnceLock::new(),
            companions: OnceLock::new(),
            jobs: OnceLock::new(),
            keywords: OnceLock::new(),
            meter: Meter::default(),
        }
    }

    /// The facts themselves.
    pub(crate) const fn facts(&self) -> &'f Facts {
        self.facts
    }

    /// Names of the icons, people or portraits in the photo, and whether each is there for sure.
    fn sightings(&self, of: Of) -> impl Iterator<Item = (&str, bool)> {
        let seen = self.facts.seen(of);
        seen.map(|(name, tier, _)| (name, tier == Tier::Order))
    }

    /// Answers a question; `None` where that would take too many steps.
    fn answer<'b, 'v>(&self, asked: &Asked<'_>) -> Option<CowVal<'b, 'v>> {
        let (of, names) = (asked.of, || asked.names());
        let seen_count = match of {
            Of::Icons => self.facts.icons.len(),
            Of::People | Of::Portraits => self.facts.people.len(),
        };
        if !self.meter.spend((asked.names.len() * seen_count / COMPARED_BYTES) as u64) {
            return None;
        }
        let has = |name: &str| self.sightings(of).any(|(seen, sure)| sure && seen == name);
        let seen = |name: &str| self.sightings(of).any(|(seen, _)| seen == name);
        let is_one = |name: &str| names().any(|one| one == name);
        let nobody_else = || {
            self.sightings(of).all(|(name, _)| is_one(name))
                && (of != Of::People || self.facts.unknown_faces == 0)
        };
        let is_sure = |person: Option<&PersonFact>| {
            person.is_some_and(|person| person.tier == Tier::Order && is_one(&person.name))
        };
        Some(match asked.question {
            "has" | "any" => truth(names().any(has)),
            "all" => truth(names().all(has)),
            "only" => truth(names().any(has) && nobody_else()),
            "seen" => truth(names().any(seen)),
            "none" => truth(!names().any(seen)),
            "faint" => truth(names().any(|name| seen(name) && !has(name))),
            "count" if of == Of::People => whole(names().filter(|name| has(name)).count()),
            "count" => whole(self.sightings(of).filter(|(name, _)| is_one(name)).count()),
            "different" => whole(names().filter(|name| seen(name)).count()),
            "middle" => truth(is_sure(self.facts.nearest_middle())),
            "largest" => truth(is_sure(self.facts.largest_face())),
            _ => return None,
        })
    }

    fn is_near(&self, name: &str) -> Option<bool> {
        let [latitude, longitude, within_km] = nearness_of(name)?;
        let there = PlaceFact { latitude, longitude };
        Some(self.facts.place.is_some_and(|here| here.distance_km(there) <= within_km))
    }
}

/// Bytes of names that a question compares with one sighting in one step.
const COMPARED_BYTES: usize = 512;

/// Stands between names in a compiled question; no name holds it.
const NAMES_APART: char = '\u{1f}';

impl Facts {
    /// Names, tiers and scores of what a question may be about.
    pub(super) fn seen(&self, of: Of) -> impl Iterator<Item = (&str, Tier, f64)> {
        let icons = self.icons.iter().filter(move |_| of == Of::Icons);
        let people = self.people.iter().filter(move |person| match of {
            Of::Icons => false,
            Of::People => !person.portrait,
            Of::Portraits => person.portrait,
        });
        let icons = icons.map(|icon| (icon.name.as_str(), icon.tier, icon.score));
        icons.chain(people.map(|person| (person.name.as_str(), person.tier, person.score)))
    }
}

/// The hidden name that a question about icons, people or portraits is compiled into.
pub(super) fn question<'n>(
    question: &str,
    of: Of,
    names: impl IntoIterator<Item = &'n str>,
) -> String {
    let of = sign(of);
    let names: Vec<&str> = names.into_iter().collect();
    format!("{of}{question}:{}", names.join(&NAMES_APART.to_string()))
}

/// What hidden names begin with.
const fn sign(of: Of) -> char {
    match of {
        Of::Icons => '@',
        Of::People => '^',
        Of::Portraits => '&',
    }
}

/// A question about icons, people or portraits, as it stands in a hidden name.
pub(super) struct Asked<'n> {
    pub(super) question: &'n str,
    pub(super) of: Of,
    names: &'n str,
}

impl<'n> Asked<'n> {
    pub(super) fn names(&self) -> impl Iterator<Item = &'n str> + use<'n> {
        self.names.split(NAMES_APART)
    }
}

/// The question that was compiled into a name; `None` of every other name.
pub(super) fn asked(hidden: &str) -> Option<Asked<'_>> {
    let all = [Of::Icons, Of::People, Of::Portraits];
    let (of, rest) = all.into_iter().find_map(|of| Some((of, hidden.strip_prefix(sign(of))?)))?;
    let (question, names) = rest.split_once(':')?;
    if [NEAR, "tick"].contains(&question) {
        return None;
    }
    Some(Asked { question, of, names })
}

/// What a question gives.
pub(super) fn kind_of(question: &str) -> Kind {
    match question {
        "count" | "different" => Kind::Whole,
        _ => Kind::Truth,
    }
}

const NEAR: &str = "near";

/// The name by which a turn of a loop asks whether it may be taken.
///
/// - `steps`: what the turn costs
pub(super) fn tick(steps: usize) -> String {
    format!("{TICK}{steps}")
}

const TICK: &str = "@tick:";

/// The hidden name that a question about a place is compiled into.
pub(super) fn nearness([latitude, longitude, within_km]: [f64; 3]) -> String {
    format!("@{NEAR}:{latitude}{NAMES_APART}{longitude}{NAMES_APART}{within_km}")
}

/// What a hidden name of [`nearness`] was made of.
pub(super) fn nearness_of(name: &str) -> Option<[f64; 3]> {
    let mut numbers = name
        .strip_prefix('@')?
        .strip_prefix(NEAR)?
        .strip_prefix(':')?
        .split(NAMES_APART)
        .map(str::parse::<f64>);
    let mut next = || numbers.next()?.ok();
    Some([next()?, next()?, next()?])
}

/// A static truth, so that answering allocates nothing.
fn truth<'b, 'v>(value: bool) -> CowVal<'b, 'v> {
    static TRUE: CelBool = CelBool::TRUE;
    static FALSE: CelBool = CelBool::FALSE;
    CowVal::Borrowed(if value { &TRUE } else { &FALSE })
}

/// A list of facts, made when a condition first asks for it.
fn list<'b, 'f, T: 'f>(
    made: &'b OnceLock<CelList<'f>>,
    facts: impl IntoIterator<Item = &'f T>,
    value: impl Fn(&'f T) -> Box<dyn Val + 'f>,
) -> CowVal<'b, 'b> {
    CowVal::Borrowed(
        made.get_or_init(|| CelList::from(facts.into_iter().map(value).collect::<Vec<_>>())),
    )
}

fn text<'b, 'v>(value: &'v str) -> CowVal<'b, 'v> {
    CowVal::owned(CelString::from(value))
}

fn tier(tier: Tier) -> &'static str {
    match tier {
        Tier::Order => "order",
        Tier::Ask => "ask",
    }
}

/// A whole number; sizes of files stay far below the limit of `i64`.
fn whole<'b, 'v>(value: impl TryInto<i64>) -> CowVal<'b, 'v> {
    CowVal::owned(CelInt::from(value.try_into().unwrap_or(i64::MAX)))
}

/// A photo while one condition asks about it.
pub(super) struct Asking<'a, 'f> {
    photo: &'a PhotoScope<'f>,
    patterns: &'a Patterns,
}

impl<'a, 'f> Asking<'a, 'f> {
    /// Starts counting steps anew.
    pub(super) fn new(photo: &'a PhotoScope<'f>, patterns: &'a Patterns) -> Self {
        photo.meter.restart();
        Self { photo, patterns }
    }
}

impl VariableResolver for Asking<'_, '_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        if pattern::is_name(variable) {
            return self
                .patterns
                .get(variable)
                .map(|pattern| CowVal::Borrowed(pattern as &dyn Val));
        }
        self.photo.resolve(variable)
    }
}

impl PhotoScope<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        static NULL: CelNull = CelNull;
        if let Some(steps) = variable.strip_prefix(TICK) {
            // No value ends the evaluation with an error that `eval` knows.
            return self.meter.spend(steps.parse().ok()?).then(|| truth(true));
        }
        if variable == METER {
            return Some(CowVal::Borrowed(&self.meter));
        }
        if let Some(asked) = asked(variable) {
            return self.answer(&asked);
        }
        if variable.starts_with('@') {
            return self.is_near(variable).map(truth);
        }
        Some(match variable {
            "icons" => list(&self.icons, &self.facts.icons, |icon| Box::new(FactValue::Icon(icon))),
            "people" => list(&self.people, self.facts.present(), |person| {
                Box::new(FactValue::Person(person))
            }),
            "portraits" => list(&self.portraits, self.facts.portraits(), |person| {
                Box::new(FactValue::Person(person))
            }),
            "unknown_faces" => whole(self.facts.unknown_faces),
            "ordered" => {
                list(&self.ordered, &self.facts.ordered, |order| Box::new(FactValue::Order(order)))
            }
            "place" => match &self.place {
                Some(place) => CowVal::Borrowed(place),
                None => CowVal::Borrowed(&NULL),
            },
            "camera" => CowVal::Borrowed(&self.camera),
            "album" => text(&self.facts.album),
            "companions" => list(&self.companions, &self.facts.companions, |companion| {
                Box::new(FactValue::Companion(companion))
            }),
            "dpof" => list(&self.jobs, &self.facts.dpof, |job| Box::new(FactValue::Job(job))),
            "keywords" => list(&self.keywords, &self.facts.words.keywords, |word| {
                Box::new(CelString::from(word.as_str()))
            }),
            "title" => text(&self.facts.words.title),
            "instructions" => text(&self.facts.words.instructions),
            "rating" => whole(self.facts.words.rating),
            "path" => CowVal::Borrowed(&self.path),
            "taken" => match &self.taken {
                Some(taken) => CowVal::Borrowed(taken),
                None => CowVal::Borrowed(&NULL),
            },
            "width_px" => whole(self.facts.width_px),
            "height_px" => whole(self.facts.height_px),
            "bytes_count" => whole(self.facts.bytes_count),
            _ => return None,
        })
    }
}

/// A fact with fields, as CEL sees it: a map with names for keys.
#[derive(Debug, Clone, Copy)]
enum FactValue<'f> {
    Icon(&'f IconFact),
    Person(&'f PersonFact),
    Order(&'f OrderedFact),
    Place(&'f PlaceFact),
    Camera(&'f CameraFact),
    Path(&'f PathFact),
    Taken(&'f TimeFact),
    Companion(&'f CompanionFact),
    Job(&'f PrintFact),
}

/// Fields of an icon, a path and so on, in the order the documentation lists them.
pub(super) const ICON_FIELDS: [&str; 7] = ["name", "tier", "seal", "score", "size", "x", "y"];
pub(super) const PERSON_FIELDS: [&str; 6] = ["name", "tier", "score", "size", "x", "y"];
pub(super) const ORDER_FIELDS: [&str; 4] = ["rule", "provider", "product", "copies"];
pub(super) const PLACE_FIELDS: [&str; 2] = ["latitude", "longitude"];
pub(super) const CAMERA_FIELDS: [&str; 2] = ["make", "model"];
pub(super) const PATH_FIELDS: [&str; 4] = ["collection", "folder", "name", "extension"];
pub(super) const TAKEN_FIELDS: [&str; 6] = ["text", "year", "month", "day", "hour", "weekday"];
pub(super) const COMPANION_FIELDS: [&str; 4] = ["role", "name", "media_type", "bytes_count"];
pub(super) const JOB_FIELDS: [&str; 7] =
    ["kind", "copies", "size_mm", "channel", "paper", "caption", "creator"];

impl<'f> FactValue<'f> {
    fn field(self, name: &str) -> Option<CowVal<'f, 'f>> {
        let number = |value: f64| CowVal::owned(CelDouble::from(value));
        Some(match (self, name) {
            (Self::Icon(icon), "name") => text(&icon.name),
            (Self::Icon(icon), "tier") => text(tier(icon.tier)),
            (Self::Icon(icon), "seal") => text(icon.seal.name()),
            (Self::Icon(icon), "score") => number(icon.score),
            (Self::Icon(icon), "size") => number(icon.size),
            (Self::Icon(icon), "x") => number(icon.x),
            (Self::Icon(icon), "y") => number(icon.y),
            (Self::Person(person), "name") => text(&person.name),
            (Self::Person(person), "tier") => text(tier(person.tier)),
            (Self::Person(person), "score") => number(person.score),
            (Self::Person(person), "size") => number(person.size),
            (Self::Person(person), "x") => number(person.x),
            (Self::Person(person), "y") => number(person.y),
            (Self::Order(order), "rule") => text(&order.rule),
            (Self::Order(order), "provider") => text(&order.provider),
            (Self::Order(order), "product") => text(&order.product),
            (Self::Order(order), "copies") => whole(order.copies),
            (Self::Place(place), "latitude") => number(place.latitude),
            (Self::Place(place), "longitude") => number(place.longitude),
            (Self::Camera(camera), "make") => text(&camera.make),
            (Self::Camera(camera), "model") => text(&camera.model),
            (Self::Path(path), "collection") => text(&path.collection),
            (Self::Path(path), "folder") => text(&path.folder),
            (Self::Path(path), "name") => text(&path.name),
            (Self::Path(path), "extension") => text(&path.extension),
            (Self::Taken(taken), "text") => text(&taken.text),
            (Self::Taken(taken), "year") => whole(taken.year),
            (Self::Taken(taken), "month") => whole(taken.month),
            (Self::Taken(taken), "day") => whole(taken.day),
            (Self::Taken(taken), "hour") => whole(taken.hour),
            (Self::Taken(taken), "weekday") => whole(taken.weekday),
            (Self::Companion(companion), "role") => text(companion.role.as_str()),
            (Self::Companion(companion), "name") => text(&companion.name),
            (Self::Companion(companion), "media_type") => text(&companion.media_type),
            (Self::Companion(companion), "bytes_count") => whole(companion.bytes_count),
            (Self::Job(job), "kind") => text(job.kind.as_str()),
            (Self::Job(job), "copies") => whole(job.copies),
            (Self::Job(job), "size_mm") => whole(job.size_mm),
            (Self::Job(job), "channel") => whole(job.channel),
            (Self::Job(job), "paper") => text(&job.paper),
            (Self::Job(job), "caption") => text(&job.caption),
            (Self::Job(job), "creator") => text(&job.creator),
            _ => return None,
        })
    }

    fn look_up(self, key: &dyn Val) -> Result<CowVal<'f, 'f>, ExecutionError> {
        let Some(name) = key.downcast_ref::<CelString>() else {
            let got = key.get_type().name().to_owned();
            return Err(ExecutionError::UnexpectedType { got, want: "string".to_owned() });
        };
        self.field(name.inner()).ok_or_else(|| ExecutionError::no_such_key(name.inner()))
    }
}

impl Val for FactValue<'_> {
    fn get_type(&self) -> &Type {
        <Self as Val>::cel_type()
    }

    fn cel_type() -> &'static Type {
        &types::MAP_TYPE
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(*self)
    }
}

impl Indexer for FactValue<'_> {
    fn get<'b, 'v>(&'b self, key: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.look_up(key)
    }

    fn steal<'v>(self: Box<Self>, key: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.look_up(key).map(CowVal::into_owned)
    }
}
