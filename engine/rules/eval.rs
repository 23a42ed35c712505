//! The only door to CEL: compiles conditions and answers them for a photo.
//!
//! In:  the text of a condition and the names in force; later a photo's facts.
//! Out: a [`Condition`], or every mistake with the character it stands at; later true or
//! false, a whole number, or why there is no answer.
//!
//! The standard environment is built once per process (34 µs each time otherwise). A
//! condition is bounded before it runs: [`TEXT_CHARS_MAX`], [`NODES_MAX`], [`DEPTH_MAX`],
//! [`LOOPS_DEPTH_MAX`]; and while it runs: [`STEPS_MAX`] steps, of time and memory alike. The
//! crate has panics of its own in rare corners, so parsing and answering run behind a catch.
//!
//! `check.rs` says what the language is beside CEL, `scope.rs` what the names stand for,
//! `meter.rs` what a step is, `pattern.rs` what regular expressions are.
//! `logic.rs` and `worlds.rs` compare conditions with each other, without a photo.
//! Knows no TOML and no verdicts.

mod check;
mod clauses;
mod explain;
mod formula;
mod logic;
mod meter;
mod pattern;
mod scope;
mod thresholds;
mod tree;
mod worlds;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use cel::common::ast::IdedExpr;
use cel::common::types::{CelBool, CelInt, CelString};
use cel::{Context, Env, ExecutionError, ParseErrors, Value};

pub use check::{DEPTH_MAX, LOOPS_DEPTH_MAX, NODES_MAX};
pub(crate) use formula::{Answers, Formula};
pub(crate) use logic::{Fixed, Identity, Logic};
pub use meter::STEPS_MAX;
pub use scope::PhotoScope;
pub(crate) use thresholds::Threshold;
pub(crate) use worlds::{Sides, Wanted};

use check::Checker;
use clauses::{Clause, follow};
use pattern::Patterns;
use scope::Asking;

/// Longest condition, in characters.
pub const TEXT_CHARS_MAX: usize = 2_000;

/// The standard functions and operators; macros are expanded by `check.rs`.
static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut environment = Env::default().with_optional_support(false).with_stdlib();
    let added = meter::add_to(&mut environment).and_then(|()| pattern::add_to(&mut environment));
    // Without them a condition that needs them fails, and says so.
    debug_assert!(added.is_ok(), "{added:?}");
    Arc::new(environment)
});

/// Something wrong inside a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExprMistake {
    /// Characters of the condition before the place.
    pub(crate) chars_before: usize,
    pub(crate) message: String,
}

/// What a condition or a part of it gives, as far as can be told without a photo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Any,
    Truth,
    Whole,
    Number,
    Text,
    List,
    Icons,
    Icon,
    People,
    Person,
    Portraits,
    Companions,
    Companion,
    Jobs,
    Job,
    Orders,
    Order,
    Texts,
    Path,
    Taken,
    Place,
    Camera,
}

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Self::Any => "something",
            Self::Truth => "true or false",
            Self::Whole => "a whole number",
            Self::Number => "a number",
            Self::Text => "text",
            Self::List => "a list",
            Self::Icons => "a list of icons",
            Self::Icon => "an icon",
            Self::People => "a list of people",
            Self::Person => "a person",
            Self::Portraits => "a list of portraits",
            Self::Companions => "a list of companions",
            Self::Companion => "a companion",
            Self::Jobs => "a list of print jobs",
            Self::Job => "a print job",
            Self::Orders => "a list of orders",
            Self::Order => "an order",
            Self::Texts => "a list of texts",
            Self::Path => "a path",
            Self::Taken => "a time",
            Self::Place => "a place",
            Self::Camera => "a camera",
        }
    }

    /// What is in the list, of a list.
    fn element(self) -> Option<Self> {
        match self {
            Self::Icons => Some(Self::Icon),
            Self::People | Self::Portraits => Some(Self::Person),
            Self::Companions => Some(Self::Companion),
            Self::Jobs => Some(Self::Job),
            Self::Orders => Some(Self::Order),
            Self::Texts => Some(Self::Text),
            Self::List => Some(Self::Any),
            _ => None,
        }
    }

    fn is_number(self) -> bool {
        matches!(self, Self::Whole | Self::Number)
    }
}

/// Names that a condition may use beside the facts.
pub(crate) struct Names<'n> {
    /// Icons of the set in force.
    pub(crate) icons: &'n [String],
    /// What `[define]` of this file has named so far.
    pub(crate) defined: BTreeMap<String, Defined>,
    /// People that are enrolled; `None`: whoever stands in a list of the file.
    pub(crate) people: Option<&'n [String]>,
    /// Whether anybody who is no icon is a person.
    pub(crate) takes_anybody: bool,
    /// What `[lists]` and `[people]` of this file have put together.
    pub(crate) lists: BTreeMap<String, List>,
    /// What the word `each` stands for, in a rule that is made for each of a list.
    pub(crate) each: Option<String>,
}

impl<'n> Names<'n> {
    /// These icons, nothing named yet.
    pub(crate) fn of_icons(icons: &'n [String]) -> Self {
        let (defined, lists) = (BTreeMap::new(), BTreeMap::new());
        Self { icons, people: None, takes_anybody: false, defined, lists, each: None }
    }

    /// Whether a person of this name may be asked about.
    fn is_person(&self, name: &str) -> bool {
        self.people_known().any(|known| known == name)
    }

    /// Everybody who may be asked about.
    fn people_known(&self) -> impl Iterator<Item = &str> {
        let listed = self.lists.values().filter(|list| list.of == Of::People);
        let listed = listed.flat_map(|list| &list.names);
        self.people.into_iter().flatten().chain(listed).map(String::as_str)
    }
}

/// Names that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct List {
    pub(crate) of: Of,
    pub(crate) names: Vec<String>,
}

/// What a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Of {
    Icons,
    People,
    /// Of people, in the house frame.
    Portraits,
}

/// A named part of conditions, checked and ready to be put in.
#[derive(Debug, Clone)]
pub(crate) struct Defined {
    tree: IdedExpr,
    kind: Kind,
    size: check::Size,
    clauses: Vec<Clause>,
    patterns: Patterns,
}

/// A condition that can be answered for any photo, from any thread.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    /// In a box, because rules hold several conditions.
    tree: Box<IdedExpr>,
    clauses: Vec<Clause>,
    patterns: Patterns,
    nodes_count: usize,
    looks: Looks,
}

/// What a condition looks at.
#[derive(Debug, Clone, Copy, Default)]
struct Looks {
    icons: bool,
    people: bool,
    portraits: bool,
}

/// Whether a definition may have this name: a word of its own that hides no fact or function.
pub(crate) fn may_define(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|first| first.is_ascii_lowercase())
        && letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !check::is_taken(name)
}

/// Compiles a part that other conditions of the file may use by name.
pub(crate) fn define(text: &str, names: &Names<'_>) -> Result<Defined, Vec<ExprMistake>> {
    if text.chars().count() > TEXT_CHARS_MAX {
        let message = format!("longer than {TEXT_CHARS_MAX} characters");
        return Err(vec![ExprMistake { chars_before: 0, message }]);
    }
    let parsed = catch_unwind(AssertUnwindSafe(|| ENVIRONMENT.compile(text)));
    let program = match parsed {
        Ok(Ok(program)) => program,
        Ok(Err(errors)) => return Err(vec![syntax_mistake(text, &errors)]),
        Err(_panic) => {
            let message = "this cannot be read as a condition".to_owned();
            return Err(vec![ExprMistake { chars_before: 0, message }]);
        }
    };
    let mut tree = program.expression().clone();
    let clauses = clauses::clauses(text, &tree);
    let mut checker = Checker::new(names, program.source_info());
    let kind = checker.walk(&mut tree, 0);
    let Checker { mut mistakes, size, patterns, .. } = checker;
    if size.nodes_count > NODES_MAX {
        let message = format!("has {} parts, the limit is {NODES_MAX}", size.nodes_count);
        mistakes.push(ExprMistake { chars_before: 0, message });
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    Ok(Defined { tree, kind, size, clauses, patterns })
}

/// Compiles a condition that has to give `wanted`.
pub(crate) fn compile(
    text: &str,
    wanted: Kind,
    names: &Names<'_>,
) -> Result<Condition, Vec<ExprMistake>> {
    let Defined { tree, kind, clauses, patterns, size } = define(text, names)?;
    if kind != wanted && kind != Kind::Any {
        let message = format!("this has to give {}, it gives {}", wanted.words(), kind.words());
        return Err(vec![ExprMistake { chars_before: 0, message }]);
    }
    let mut looks = Looks::default();
    for name in tree::names(&tree) {
        let of = scope::asked(name).map(|asked| asked.of);
        looks.icons |= name == "icons" || of == Some(Of::Icons);
        looks.people |= ["people", "unknown_faces"].contains(&name) || of == Some(Of::People);
        looks.portraits |= name == "portraits" || of == Some(Of::Portraits);
    }
    let (tree, nodes_count) = (Box::new(tree), size.nodes_count);
    Ok(Condition { tree, clauses, patterns, nodes_count, looks })
}

impl Defined {
    /// How much memory and time it takes, in parts: an expression counts four for each KiB.
    pub(crate) fn parts_count(&self) -> usize {
        self.size.nodes_count + pattern::parts_count(&self.patterns)
    }
}

impl Condition {
    /// The same of a condition.
    pub(crate) fn parts_count(&self) -> usize {
        self.nodes_count + pattern::parts_count(&self.patterns)
    }

    /// Whether it is true of the photo, or why that cannot be said.
    pub(crate) fn truth(&self, photo: &PhotoScope<'_>) -> Result<bool, String> {
        truth_of(&self.tree, &self.patterns, photo)
    }

    /// The whole number it gives for the photo, or why there is none.
    pub(crate) fn whole(&self, photo: &PhotoScope<'_>) -> Result<i64, String> {
        answer(&self.tree, &self.patterns, photo, "a whole number", |value| {
            value.downcast_ref::<CelInt>().map(|whole| *whole.inner())
        })
    }

    /// The text it gives for the photo, or why there is none.
    pub(crate) fn text(&self, photo: &PhotoScope<'_>) -> Result<String, String> {
        answer(&self.tree, &self.patterns, photo, "text", |value| {
            value.downcast_ref::<CelString>().map(|text| text.inner().to_owned())
        })
    }

    /// Of each clause whether it is true of the photo, or why that cannot be said. All are asked,
    /// also those that do not matter any more.
    pub(crate) fn clauses(&self, photo: &PhotoScope<'_>) -> Vec<Result<bool, String>> {
        self.clause_trees().map(|tree| truth_of(tree, &self.patterns, photo)).collect()
    }

    /// Of each clause what its parts stand for: their text and their value.
    pub(crate) fn values(&self, photo: &PhotoScope<'_>) -> Vec<Vec<(String, String)>> {
        self.clause_trees().map(|tree| explain::values(tree, photo)).collect()
    }

    fn clause_trees(&self) -> impl Iterator<Item = &IdedExpr> {
        self.clauses.iter().filter_map(|clause| follow(&self.tree, &clause.way))
    }

    /// The numbers that it compares with, each with the text of its clause.
    pub(crate) fn thresholds(&self) -> Vec<(&str, Threshold)> {
        let both = self.clauses.iter().zip(self.clause_trees());
        let found = both.flat_map(|(clause, tree)| {
            let found = thresholds::thresholds(tree).into_iter();
            found.map(|threshold| (clause.text.as_str(), threshold))
        });
        found.collect()
    }

    /// The same condition with another number in the place of one of its thresholds.
    pub(crate) fn with_threshold(&self, index: usize, value: f64) -> Self {
        let tree = Box::new(thresholds::moved(&self.tree, index, value));
        Self { tree, ..self.clone() }
    }

    /// Whether it looks at icons, at people, or at portraits.
    pub(crate) fn looks_at(&self, of: Of) -> bool {
        match of {
            Of::Icons => self.looks.icons,
            Of::People => self.looks.people,
            Of::Portraits => self.looks.portraits,
        }
    }

    /// The texts of its clauses.
    pub(crate) fn clause_texts(&self) -> impl Iterator<Item = &str> {
        self.clauses.iter().map(|clause| clause.text.as_str())
    }
}

/// What a part of a condition stands for, read by `read`; nothing where it has no value.
fn value_of<T>(
    tree: &IdedExpr,
    photo: &PhotoScope<'_>,
    read: impl Fn(&dyn cel::common::value::Val) -> Option<T>,
) -> Option<T> {
    // What has a name of its own holds no regular expression.
    answer(tree, &Patterns::new(), photo, "something else", read).ok()
}

/// Whether a condition or a clause of it is true of the photo.
fn truth_of(tree: &IdedExpr, patterns: &Patterns, photo: &PhotoScope<'_>) -> Result<bool, String> {
    answer(tree, patterns, photo, "true or false", |value| {
        value.downcast_ref::<CelBool>().map(|truth| *truth.inner())
    })
}

fn answer<T>(
    tree: &IdedExpr,
    patterns: &Patterns,
    photo: &PhotoScope<'_>,
    wanted: &str,
    read: impl Fn(&dyn cel::common::value::Val) -> Option<T>,
) -> Result<T, String> {
    let asked = Asking::new(photo, patterns);
    let answered = catch_unwind(AssertUnwindSafe(|| {
        let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
        context.set_variable_resolver(&asked);
        match Value::resolve_val(tree, &context) {
            Ok(value) => read(&*value)
                .ok_or_else(|| format!("it gives {}, not {wanted}", value.get_type().name())),
            Err(error) => Err(failure_words(&error)),
        }
    }));
    answered.unwrap_or_else(|_panic| Err("the evaluation broke off".to_owned()))
}

/// Words for the first syntax error; what follows it is mostly its echo.
fn syntax_mistake(text: &str, errors: &ParseErrors) -> ExprMistake {
    let Some(error) = errors.errors.first() else {
        let message = "this cannot be read as a condition".to_owned();
        return ExprMistake { chars_before: 0, message };
    };
    let (line, column) = error.pos;
    let line_index = usize::try_from(line - 1).unwrap_or(0);
    let before: usize =
        text.split_inclusive('\n').take(line_index).map(|line| line.chars().count()).sum();
    let chars_before = before + usize::try_from(column - 1).unwrap_or(0);
    let quoted = error.msg.split('\'').nth(1).unwrap_or_default();
    let message = if quoted == "<EOF>" {
        "the condition ends too early".to_owned()
    } else if error.msg.contains(": missing '") {
        format!("`{quoted}` is missing here")
    } else if error.msg.contains("token recognition error") {
        let rest = error.msg.rsplit("at: ").next().unwrap_or_default();
        format!("`{}` does not belong here", rest.trim_matches('\''))
    } else if error.msg.contains("recursion") {
        format!("nested deeper than {DEPTH_MAX} levels")
    } else if quoted.is_empty() || quoted.len() > 60 {
        "this cannot be read as a condition".to_owned()
    } else {
        format!("`{quoted}` is not expected here")
    };
    ExprMistake { chars_before, message }
}

/// Words for what went wrong while a condition was answered.
fn failure_words(error: &ExecutionError) -> String {
    match error {
        // Every other name was known when the condition was checked.
        ExecutionError::UndeclaredReference(_) => {
            format!("it takes more than {STEPS_MAX} steps; ask less of each, or of fewer")
        }
        ExecutionError::NoSuchOverload(call) => {
            let types: Vec<&str> = call.argument_types().iter().map(String::as_str).collect();
            if types.first() == Some(&"null_type") {
                return "the photo does not say when it was taken; write `taken != null && …`"
                    .to_owned();
            }
            let sign = call.function().trim_matches('_');
            format!("`{sign}` cannot be used on {}", types.join(" and "))
        }
        ExecutionError::UnsupportedBinaryOperator(name, ..) => {
            format!("cannot {name} these two; for numbers write `double(…)` around the whole one")
        }
        ExecutionError::IndexOutOfBounds(_) => "the list is shorter than that".to_owned(),
        other => other.to_string().replace('\n', " ").to_lowercase(),
    }
}

#[cfg(test)]
#[path = "eval/tests.rs"]
mod tests;
