//! The facts of one photo as CEL values, handed out when a condition asks for them.
//!
//! In:  [`Facts`], borrowed. Out: what the names `icons`, `path`, `taken`, `width_px`,
//! `height_px`, `bytes_count`, `companions`, `dpof`, `keywords`, `title`, `instructions` and
//! `rating` stand for, and the answers that `has`, `seen`, `faint`,
//! `count` and `different` were compiled into (`@has:NAME,NAME` and so on, see `check.rs`).
//!
//! Values borrow the facts and are built on access; a photo costs nothing until a
//! condition looks at it. The scope also counts the steps of loops, so that no condition
//! runs for ever.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use cel::ExecutionError;
use cel::common::traits::Indexer;
use cel::common::types::{self, CelBool, CelDouble, CelInt, CelList, CelNull, CelString, Type};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;

use crate::detection::Tier;
use crate::rules::facts::{CompanionFact, Facts, IconFact, PathFact, PrintFact, TimeFact};

/// Turns of all loops together that one condition may take.
pub const STEPS_MAX: u32 = 10_000;

/// One photo, ready to be judged by any number of conditions.
pub struct PhotoScope<'f> {
    facts: &'f Facts,
    path: FactValue<'f>,
    taken: Option<FactValue<'f>>,
    icons: OnceLock<CelList<'f>>,
    companions: OnceLock<CelList<'f>>,
    jobs: OnceLock<CelList<'f>>,
    keywords: OnceLock<CelList<'f>>,
    steps_count: AtomicU32,
}

impl<'f> PhotoScope<'f> {
    /// Prepares a photo; nothing is copied.
    pub fn new(facts: &'f Facts) -> Self {
        Self {
            facts,
            path: FactValue::Path(&facts.path),
            taken: facts.taken.as_ref().map(FactValue::Taken),
            icons: OnceLock::new(),
            companions: OnceLock::new(),
            jobs: OnceLock::new(),
            keywords: OnceLock::new(),
            steps_count: AtomicU32::new(0),
        }
    }

    /// The facts themselves.
    pub(crate) const fn facts(&self) -> &'f Facts {
        self.facts
    }

    /// Starts counting steps anew, for the next condition.
    pub(super) fn restart(&self) {
        self.steps_count.store(0, Ordering::Relaxed);
    }

    /// Icons of one name.
    fn named(&self, name: &str) -> impl Iterator<Item = &IconFact> {
        self.facts.icons.iter().filter(move |icon| icon.name == name)
    }

    fn has(&self, name: &str) -> bool {
        self.named(name).any(|icon| icon.tier == Tier::Order)
    }

    fn seen(&self, name: &str) -> bool {
        self.named(name).next().is_some()
    }
}

/// A static truth, so that answering allocates nothing.
fn truth<'b, 'v>(value: bool) -> CowVal<'b, 'v> {
    static TRUE: CelBool = CelBool::TRUE;
    static FALSE: CelBool = CelBool::FALSE;
    CowVal::Borrowed(if value { &TRUE } else { &FALSE })
}

/// A list of facts, made when a condition first asks for it.
fn list<'b, 'f, T>(
    made: &'b OnceLock<CelList<'f>>,
    facts: &'f [T],
    value: impl Fn(&'f T) -> Box<dyn Val + 'f>,
) -> CowVal<'b, 'b> {
    CowVal::Borrowed(
        made.get_or_init(|| CelList::from(facts.iter().map(value).collect::<Vec<_>>())),
    )
}

fn text<'b, 'v>(value: &'v str) -> CowVal<'b, 'v> {
    CowVal::owned(CelString::from(value))
}

/// A whole number; sizes of files stay far below the limit of `i64`.
fn whole<'b, 'v>(value: impl TryInto<i64>) -> CowVal<'b, 'v> {
    CowVal::owned(CelInt::from(value.try_into().unwrap_or(i64::MAX)))
}

impl VariableResolver for PhotoScope<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        static NULL: CelNull = CelNull;
        if let Some(hidden) = variable.strip_prefix('@') {
            if hidden == "tick" {
                // No value ends the evaluation with an error that `eval` knows.
                let steps_count = self.steps_count.fetch_add(1, Ordering::Relaxed);
                return (steps_count < STEPS_MAX).then(|| truth(true));
            }
            let (question, names) = hidden.split_once(':')?;
            let mut names = names.split(',');
            return match question {
                "has" => Some(truth(names.any(|name| self.has(name)))),
                "seen" => Some(truth(names.any(|name| self.seen(name)))),
                "faint" => Some(truth(names.any(|name| self.seen(name) && !self.has(name)))),
                "count" => Some(whole(names.map(|name| self.named(name).count()).sum::<usize>())),
                "different" => Some(whole(names.filter(|name| self.seen(name)).count())),
                _ => None,
            };
        }
        Some(match variable {
            "icons" => list(&self.icons, &self.facts.icons, |icon| Box::new(FactValue::Icon(icon))),
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
    Path(&'f PathFact),
    Taken(&'f TimeFact),
    Companion(&'f CompanionFact),
    Job(&'f PrintFact),
}

/// Fields of an icon, a path and so on, in the order the documentation lists them.
pub(super) const ICON_FIELDS: [&str; 7] = ["name", "tier", "seal", "score", "size", "x", "y"];
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
            (Self::Icon(icon), "tier") => text(match icon.tier {
                Tier::Order => "order",
                Tier::Ask => "ask",
            }),
            (Self::Icon(icon), "seal") => text(icon.seal.name()),
            (Self::Icon(icon), "score") => number(icon.score),
            (Self::Icon(icon), "size") => number(icon.size),
            (Self::Icon(icon), "x") => number(icon.x),
            (Self::Icon(icon), "y") => number(icon.y),
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
