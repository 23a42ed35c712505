//! Checks a parsed condition against what rules may say, and makes it ready to run.
//!
//! In:  the syntax tree as its author wrote it (no macro expanded), the names in force.
//! Out: the kind of value it gives, every mistake with its place, and the tree rewritten:
//! `has("x")`, `only(family)`, `has(portrait("x"))` and their kin become names the photo's scope answers, names from
//! `[define]`, `[lists]` and `[people]` and the word
//! `each` are replaced by what they stand for, `matches` gets its expression compiled, `exists`,
//! `all`, `exists_one`, `filter`, `map` become loops that count their steps, and what may be long
//! is weighed where it is copied or gone through (see `meter.rs`).
//!
//! Loops follow the expansions of the CEL specification (macros), with one addition:
//! each turn asks `@tick` first, which stops answering at a limit. The shapes matter: the
//! interpreter knows `@result + [x]` and appends in place of copying the list each turn.
//! What `&&`, `||` and `? :` join is never wrapped: clauses are found again by its shape.
//!
//! Kinds are known where the author can be helped (`"a" < 1`, `when` giving a number) and
//! `Any` elsewhere; then the evaluation decides.
//!
//! Knows no facts: a tree is checked once and run for many photos.

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, ListExpr, LiteralValue, SourceInfo,
    operators as op,
};

use super::meter::{METER, WEIGH};
use super::pattern::{self, MATCHES, Pattern, Patterns};
use super::scope::{self, CAMERA_FIELDS, COMPANION_FIELDS, ICON_FIELDS, JOB_FIELDS, ORDER_FIELDS};
use super::scope::{PATH_FIELDS, PERSON_FIELDS, PLACE_FIELDS, TAKEN_FIELDS};
use super::{Defined, ExprMistake, Kind, List, Names, Of};
use crate::detection::icon_set::Icon;
use crate::rules::source::hint;

/// Parts (names, values, operators) that a condition may have, definitions filled in.
pub const NODES_MAX: usize = 500;
/// Parts inside parts; keeps the evaluation's stack small.
pub const DEPTH_MAX: usize = 48;
/// Loops inside loops.
pub const LOOPS_DEPTH_MAX: usize = 2;

const FACTS: [(&str, Kind); 19] = [
    ("icons", Kind::Icons),
    ("people", Kind::People),
    ("portraits", Kind::Portraits),
    ("unknown_faces", Kind::Whole),
    ("place", Kind::Place),
    ("camera", Kind::Camera),
    ("album", Kind::Text),
    ("ordered", Kind::Orders),
    ("path", Kind::Path),
    ("taken", Kind::Taken),
    ("width_px", Kind::Whole),
    ("height_px", Kind::Whole),
    ("bytes_count", Kind::Whole),
    ("companions", Kind::Companions),
    ("dpof", Kind::Jobs),
    ("keywords", Kind::Texts),
    ("title", Kind::Text),
    ("instructions", Kind::Text),
    ("rating", Kind::Whole),
];
/// About icons, people and portraits.
const QUESTIONS: [&str; 11] = [
    "has",
    "any",
    "all",
    "only",
    "none",
    "seen",
    "faint",
    "count",
    "different",
    "middle",
    "largest",
];
/// About people alone: where they are matters.
const OF_PEOPLE: [&str; 2] = ["middle", "largest"];
/// Inside a question, before a name: the portrait of that person.
const PORTRAIT: &str = "portrait";
const FUNCTIONS: [&str; 19] = [
    "has",
    "any",
    "all",
    "only",
    "none",
    "seen",
    "faint",
    "count",
    "different",
    "middle",
    "largest",
    "near",
    PORTRAIT,
    "size",
    "int",
    "double",
    "string",
    "bool",
    "matches",
];
/// Stands for one icon of a list, in a rule that is made for each of them.
const EACH: &str = "each";
const LOOPS: [&str; 5] = ["exists", "all", "exists_one", "filter", "map"];
const METHODS: [&str; 10] = [
    "exists",
    "all",
    "exists_one",
    "filter",
    "map",
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
];
const RESULT: &str = "@result";
/// What a turn of a loop costs beside its body.
const TURN_STEPS: usize = 6;
/// Longest text in quotes that is not worth weighing, in bytes.
const SHORT_BYTES_MAX: usize = 64;

/// How large a tree has become, definitions filled in.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Size {
    pub(super) nodes_count: usize,
    pub(super) depth: usize,
    pub(super) loops_depth: usize,
}

/// Walks one tree; see the file's header.
pub(super) struct Checker<'a> {
    pub(super) names: &'a Names<'a>,
    pub(super) places: &'a SourceInfo,
    pub(super) mistakes: Vec<ExprMistake>,
    pub(super) size: Size,
    pub(super) patterns: Patterns,
    /// Names that loops around this place have bound, innermost last.
    locals: Vec<(String, Kind)>,
}

impl<'a> Checker<'a> {
    pub(super) fn new(names: &'a Names<'a>, places: &'a SourceInfo) -> Self {
        let (mistakes, size, patterns) = (Vec::new(), Size::default(), Patterns::new());
        Self { names, places, mistakes, size, patterns, locals: Vec::new() }
    }

    fn mistake(&mut self, id: u64, message: impl Into<String>) {
        // The parser counts bytes.
        let at = self.places.offset_for(id).map_or(0, |(start, _)| start as usize);
        let before = self.places.source.get(..at).unwrap_or_default();
        let chars_before = before.chars().count();
        self.mistakes.push(ExprMistake { chars_before, message: message.into() });
    }

    /// Checks and rewrites one part and what is inside it.
    pub(super) fn walk(&mut self, part: &mut IdedExpr, depth: usize) -> Kind {
        let id = part.id;
        self.size.nodes_count += 1;
        if !self.is_shallow(id, depth) {
            return Kind::Any;
        }
        match &mut part.expr {
            Expr::Literal(value) => match value {
                LiteralValue::Boolean(_) => Kind::Truth,
                LiteralValue::Int(_) | LiteralValue::UInt(_) => Kind::Whole,
                LiteralValue::Double(_) => Kind::Number,
                LiteralValue::String(_) => Kind::Text,
                LiteralValue::Bytes(_) | LiteralValue::Null => Kind::Any,
            },
            Expr::Ident(name) => {
                let name = std::mem::take(name);
                self.name(part, name, depth)
            }
            Expr::Select(select) => {
                let inside = self.walk(&mut select.operand, depth + 1);
                let field = select.field.clone();
                self.field(id, inside, &field)
            }
            Expr::Call(_) => self.call(part, depth),
            Expr::List(list) => {
                for element in &mut list.elements {
                    let kind = self.walk(element, depth + 1);
                    weigh(element, kind);
                }
                Kind::List
            }
            Expr::Map(map) => {
                for entry in &mut map.entries {
                    if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                        for part in [&mut entry.key, &mut entry.value] {
                            let kind = self.walk(part, depth + 1);
                            weigh(part, kind);
                        }
                    }
                }
                Kind::Any
            }
            Expr::Struct(_) | Expr::Comprehension(_) => {
                self.mistake(id, "messages are not available in rules");
                Kind::Any
            }
            Expr::Unspecified => {
                self.mistake(id, "something is missing here");
                Kind::Any
            }
        }
    }

    fn is_shallow(&mut self, id: u64, depth: usize) -> bool {
        self.size.depth = self.size.depth.max(depth);
        if depth > DEPTH_MAX {
            self.mistake(id, format!("nested deeper than {DEPTH_MAX} levels"));
        }
        depth <= DEPTH_MAX
    }

    fn loops_fit(&mut self, id: u64, loops_depth: usize) -> bool {
        self.size.loops_depth = self.size.loops_depth.max(loops_depth);
        if loops_depth > LOOPS_DEPTH_MAX {
            self.mistake(id, format!("loops may be nested {LOOPS_DEPTH_MAX} deep, not deeper"));
        }
        loops_depth <= LOOPS_DEPTH_MAX
    }

    fn name(&mut self, part: &mut IdedExpr, name: String, depth: usize) -> Kind {
        let id = part.id;
        let local = self.locals.iter().rev().find(|(local, _)| *local == name);
        if let Some((_, kind)) = local {
            let kind = *kind;
            part.expr = Expr::Ident(name);
            return kind;
        }
        if let Some(Defined { tree, kind, size, patterns, .. }) = self.names.defined.get(&name) {
            self.size.nodes_count += size.nodes_count;
            let fits = self.is_shallow(id, depth + size.depth)
                && self.loops_fit(id, self.locals.len() + size.loops_depth);
            // What was defined was checked where it stands.
            if fits && self.size.nodes_count <= NODES_MAX {
                part.expr = tree.expr.clone();
                self.patterns.extend(patterns.clone());
            }
            return *kind;
        }
        if let Some(kind) = kind_of_fact(&name) {
            part.expr = Expr::Ident(name);
            return kind;
        }
        if let Some(List { names, .. }) = self.names.lists.get(&name) {
            self.size.nodes_count += names.len();
            part.expr = list(names.iter().map(|name| text(name)).collect()).expr;
            return Kind::List;
        }
        if name == EACH {
            let Some(icon) = &self.names.each else {
                self.mistake(id, EACH_ALONE);
                return Kind::Any;
            };
            part.expr = text(icon).expr;
            return Kind::Text;
        }
        let locals: Vec<String> = self.locals.iter().map(|(local, _)| local.clone()).collect();
        let known = FACTS
            .iter()
            .map(|(fact, _)| *fact)
            .chain(self.names.defined.keys().map(String::as_str))
            .chain(self.names.lists.keys().map(String::as_str))
            .chain(locals.iter().map(String::as_str));
        let message = format!("`{name}` is not known here{}", hint(&name, known));
        self.mistake(id, message);
        Kind::Any
    }

    fn field(&mut self, id: u64, inside: Kind, field: &str) -> Kind {
        let (what, fields): (_, &[&str]) = match inside {
            Kind::Icon => ("an icon", &ICON_FIELDS),
            Kind::Path => ("`path`", &PATH_FIELDS),
            Kind::Taken => ("`taken`", &TAKEN_FIELDS),
            Kind::Companion => ("a companion", &COMPANION_FIELDS),
            Kind::Job => ("a print job", &JOB_FIELDS),
            Kind::Person => ("a person", &PERSON_FIELDS),
            Kind::Order => ("an order", &ORDER_FIELDS),
            Kind::Place => ("`place`", &PLACE_FIELDS),
            Kind::Camera => ("`camera`", &CAMERA_FIELDS),
            Kind::Any => return Kind::Any,
            Kind::Icons
            | Kind::People
            | Kind::Portraits
            | Kind::Companions
            | Kind::Jobs
            | Kind::Orders => {
                let (list, one) = match inside {
                    Kind::Icons => ("icons", "icon"),
                    Kind::Portraits => ("portraits", "portrait"),
                    Kind::People => ("people", "person"),
                    Kind::Orders => ("ordered", "order"),
                    Kind::Companions => ("companions", "companion"),
                    _ => ("dpof", "job"),
                };
                let message = format!(
                    "`{list}` is a list and has no `{field}`; look at each with \
                     `{list}.exists({one}, {one}.{field} …)`"
                );
                self.mistake(id, message);
                return Kind::Any;
            }
            Kind::Truth | Kind::Whole | Kind::Number | Kind::Text | Kind::List | Kind::Texts => {
                self.mistake(id, format!("{} has no `{field}`", inside.words()));
                return Kind::Any;
            }
        };
        if !fields.contains(&field) {
            let message = format!("{what} has no `{field}`{}", hint(field, fields.iter().copied()));
            self.mistake(id, message);
            return Kind::Any;
        }
        match (inside, field) {
            (Kind::Icon | Kind::Person, "name" | "tier" | "seal")
            | (Kind::Path | Kind::Camera, _)
            | (Kind::Order, "rule" | "provider" | "product")
            | (Kind::Taken, "text")
            | (Kind::Companion, "role" | "name" | "media_type")
            | (Kind::Job, "kind" | "paper" | "caption" | "creator") => Kind::Text,
            (Kind::Icon | Kind::Person | Kind::Place, _) => Kind::Number,
            _ => Kind::Whole,
        }
    }

    fn call(&mut self, part: &mut IdedExpr, depth: usize) -> Kind {
        let id = part.id;
        let Expr::Call(call) = &mut part.expr else {
            return Kind::Any;
        };
        let name = call.func_name.clone();
        if let Some(target) = &mut call.target {
            if !METHODS.contains(&name.as_str()) {
                let message = if QUESTIONS.contains(&name.as_str()) {
                    format!("write `{name}(\"…\")` alone, not after a dot")
                } else {
                    format!("`.{name}()` is not known{}", hint(&name, METHODS))
                };
                self.mistake(id, message);
                return Kind::Any;
            }
            let inside = self.walk(target, depth + 1);
            if LOOPS.contains(&name.as_str()) {
                return self.turn_into_loop(part, inside, depth);
            }
            let kinds: Vec<Kind> =
                call.args.iter_mut().map(|arg| self.walk(arg, depth + 1)).collect();
            let args_wanted = usize::from(name != "size");
            if kinds.len() != args_wanted {
                let message = format!("`.{name}()` takes {args_wanted} value(s) in its brackets");
                self.mistake(id, message);
            }
            if name == "size" {
                weigh_unless_list(target, inside);
                return Kind::Whole;
            }
            for kind in std::iter::once(inside).chain(kinds.iter().copied()) {
                if !matches!(kind, Kind::Text | Kind::Any) {
                    let message = format!("`.{name}()` is for text, this is {}", kind.words());
                    self.mistake(id, message);
                }
            }
            if let ([arg], [kind]) = (call.args.as_mut_slice(), kinds.as_slice()) {
                match name.as_str() {
                    "matches" => {
                        let text = std::mem::take(&mut **target);
                        let pattern = std::mem::take(arg);
                        part.expr = self.matching(text, &pattern);
                    }
                    "contains" => {
                        weigh(target, inside);
                        weigh(arg, *kind);
                    }
                    // Compares no more than the length of what is in the brackets.
                    _ if is_text(arg) => {}
                    _ => weigh(arg, *kind),
                }
            }
            return Kind::Truth;
        }
        if QUESTIONS.contains(&name.as_str()) {
            return self.question(part, &name);
        }
        if name == "near" {
            return self.nearness(part);
        }
        if name == PORTRAIT {
            self.mistake(id, "`portrait(…)` stands in a question: `has(portrait(\"…\"))`");
            return Kind::Truth;
        }
        let kinds: Vec<Kind> = call.args.iter_mut().map(|arg| self.walk(arg, depth + 1)).collect();
        if is_operator(&name) {
            weigh_operands(&name, &mut call.args, &kinds);
            return self.operator(id, &name, &kinds);
        }
        if !FUNCTIONS.contains(&name.as_str()) {
            let message = if LOOPS.contains(&name.as_str()) {
                format!("`{name}` belongs after a list: `icons.{name}(icon, …)`")
            } else {
                format!("the function `{name}` is not known{}", hint(&name, FUNCTIONS))
            };
            self.mistake(id, message);
            return Kind::Any;
        }
        let args_wanted = if name == "matches" { 2 } else { 1 };
        if kinds.len() != args_wanted {
            self.mistake(id, format!("`{name}()` takes {args_wanted} value(s) in its brackets"));
        }
        match (name.as_str(), call.args.as_mut_slice(), kinds.as_slice()) {
            ("size", [arg], [kind]) => weigh_unless_list(arg, *kind),
            ("matches", [text, pattern], _) => {
                let (text, pattern) = (std::mem::take(text), std::mem::take(pattern));
                part.expr = self.matching(text, &pattern);
            }
            (_, args, kinds) => {
                args.iter_mut().zip(kinds).for_each(|(arg, kind)| weigh(arg, *kind))
            }
        }
        match name.as_str() {
            "size" | "int" => Kind::Whole,
            "double" => Kind::Number,
            "string" => Kind::Text,
            _ => Kind::Truth,
        }
    }

    /// `text.matches("…")` with the expression compiled.
    fn matching(&mut self, text: IdedExpr, pattern: &IdedExpr) -> Expr {
        let Expr::Literal(LiteralValue::String(words)) = &pattern.expr else {
            self.mistake(pattern.id, "the regular expression of `matches` stands here in quotes");
            return Expr::Unspecified;
        };
        let name = pattern::name_of(words.inner());
        if !self.patterns.contains_key(&name) {
            match Pattern::compile(words.inner()) {
                Ok(pattern) => drop(self.patterns.insert(name.clone(), pattern)),
                Err(message) => self.mistake(pattern.id, message),
            }
        }
        call_of(MATCHES, vec![ident(METER), text, ident(&name)]).expr
    }

    /// `has("canvas")` becomes a name that the photo's scope answers, `has(products)` one with
    /// all of them; of people the same, and of their portraits.
    fn question(&mut self, part: &mut IdedExpr, question: &str) -> Kind {
        let kind = scope::kind_of(question);
        let Expr::Call(call) = &part.expr else {
            return kind;
        };
        let (args, of_portraits) = match call.args.as_slice() {
            [IdedExpr { expr: Expr::Call(CallExpr { func_name, target: None, args }), .. }]
                if func_name == PORTRAIT =>
            {
                (args.as_slice(), true)
            }
            args => (args, false),
        };
        let asked = match args {
            [IdedExpr { id, expr: Expr::Literal(LiteralValue::String(name)) }] => {
                let name = name.inner().to_owned();
                self.whom(*id, &name, of_portraits).map(|of| (*id, of, vec![name]))
            }
            [IdedExpr { id, expr: Expr::Ident(name) }] if name == EACH => match &self.names.each {
                Some(each) => {
                    let each = each.clone();
                    self.whom(*id, &each, of_portraits).map(|of| (*id, of, vec![each]))
                }
                None => {
                    self.mistake(*id, EACH_ALONE);
                    None
                }
            },
            [IdedExpr { id, expr: Expr::Ident(name) }] => match self.names.lists.get(name) {
                Some(List { of, names }) => Some((*id, *of, names.clone())),
                None => {
                    let hint = hint(name, self.names.lists.keys().map(String::as_str));
                    let message = format!(
                        "there is no list `{name}`{hint}; \
                         the name of an icon or a person stands in quotes: `{question}(\"…\")`"
                    );
                    self.mistake(*id, message);
                    None
                }
            },
            _ => {
                let message = format!(
                    "`{question}()` takes the name of one icon or person in quotes: \
                     `{question}(\"…\")`, or of a list without"
                );
                self.mistake(part.id, message);
                None
            }
        };
        let Some((at, of, names)) = asked else { return kind };
        if of == Of::Icons && (of_portraits || OF_PEOPLE.contains(&question)) {
            let word = if of_portraits { PORTRAIT } else { question };
            self.mistake(at, format!("`{word}()` is about people, this is about icons"));
            return kind;
        }
        if of_portraits && OF_PEOPLE.contains(&question) {
            self.mistake(at, format!("`{question}()` is about people who are there themselves"));
            return kind;
        }
        let of = if of_portraits { Of::Portraits } else { of };
        part.expr = Expr::Ident(scope::question(question, of, names.iter().map(String::as_str)));
        kind
    }

    /// What a name is of; `None` where nobody knows it.
    fn whom(&mut self, id: u64, name: &str, of_portraits: bool) -> Option<Of> {
        let is_icon = self.names.icons.iter().any(|icon| icon == name);
        let is_person = self.names.is_person(name);
        match (is_icon, is_person) {
            (_, true) if of_portraits => Some(Of::People),
            (true, false) => Some(Of::Icons),
            (false, true) => Some(Of::People),
            (false, false) if self.names.takes_anybody => Some(Of::People),
            (true, true) => {
                let message = format!(
                    "`{name}` is an icon and a person; ask by a list of `[lists]` or `[people]`"
                );
                self.mistake(id, message);
                None
            }
            (false, false) => {
                let icons = self.names.icons.iter().filter(|_| !of_portraits);
                let known = icons.map(String::as_str).chain(self.names.people_known());
                let hint = hint(name, known);
                let has_people = self.names.people_known().next().is_some();
                let what = match (of_portraits, has_people) {
                    (true, _) => "there is no person",
                    (false, true) => "there is no icon and no person",
                    (false, false) => "there is no icon",
                };
                // No icon is called so: it is somebody, and nobody is known.
                let cure = if !has_people && (of_portraits || !Icon::is_name(name)) {
                    "; people are known once they are enrolled (`signet people add`) or stand in \
                     a list of `[people]`"
                } else {
                    ""
                };
                self.mistake(id, format!("{what} `{name}`{hint}{cure}"));
                None
            }
        }
    }

    /// `near(52.5, 13.4, 10)`: taken within ten kilometres of there.
    fn nearness(&mut self, part: &mut IdedExpr) -> Kind {
        let Expr::Call(call) = &part.expr else {
            return Kind::Truth;
        };
        let numbers: Option<Vec<f64>> = call.args.iter().map(|arg| number_of(&arg.expr)).collect();
        match numbers.as_deref() {
            Some(&[latitude, longitude, within_km])
                if latitude.abs() <= 90.0 && longitude.abs() <= 180.0 && within_km > 0.0 =>
            {
                part.expr = Expr::Ident(scope::nearness([latitude, longitude, within_km]));
            }
            _ => self.mistake(
                part.id,
                "write `near(52.52, 13.40, 10)`: degrees north (-90 to 90), degrees east (-180 to \
                 180), kilometres",
            ),
        }
        Kind::Truth
    }

    fn operator(&mut self, id: u64, name: &str, kinds: &[Kind]) -> Kind {
        let sign = name.trim_matches('_');
        let truths = |kinds: &[Kind]| {
            kinds.iter().find(|kind| !matches!(kind, Kind::Truth | Kind::Any)).copied()
        };
        match (name, kinds) {
            (op::LOGICAL_AND | op::LOGICAL_OR | op::LOGICAL_NOT, kinds) => {
                if let Some(kind) = truths(kinds) {
                    let message =
                        format!("`{sign}` joins true and false, this is {}", kind.words());
                    self.mistake(id, message);
                }
                Kind::Truth
            }
            (op::CONDITIONAL, [condition, yes, no]) => {
                if let Some(kind) = truths(&[*condition]) {
                    let message =
                        format!("before `?` stands true or false, this is {}", kind.words());
                    self.mistake(id, message);
                }
                if yes == no { *yes } else { Kind::Any }
            }
            (op::EQUALS | op::NOT_EQUALS, [left, right]) => {
                self.comparable(id, sign, *left, *right);
                Kind::Truth
            }
            (op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS, [left, right]) => {
                self.comparable(id, sign, *left, *right);
                for kind in [left, right] {
                    if !kind.is_number() && !matches!(kind, Kind::Text | Kind::Any | Kind::Truth) {
                        self.mistake(id, format!("`{sign}` cannot compare {}", kind.words()));
                    }
                }
                Kind::Truth
            }
            (op::IN, [_, list]) => {
                if list.element().is_none() && *list != Kind::Any {
                    let message = format!(
                        "after `in` stands a list like `[\"a\", \"b\"]`, this is {}",
                        list.words()
                    );
                    self.mistake(id, message);
                }
                Kind::Truth
            }
            (op::ADD, [Kind::Text, Kind::Text]) => Kind::Text,
            (op::ADD, [left, right]) if left.element().and(right.element()).is_some() => {
                if left == right { *left } else { Kind::List }
            }
            (op::ADD | op::SUBSTRACT | op::MULTIPLY | op::DIVIDE | op::MODULO, [left, right]) => {
                if *left == Kind::Any || *right == Kind::Any {
                    return Kind::Any;
                }
                if !left.is_number() || !right.is_number() {
                    let odd = if left.is_number() { right } else { left };
                    self.mistake(id, format!("`{sign}` cannot be used on {}", odd.words()));
                } else if left != right {
                    let message = format!(
                        "`{sign}` needs two whole numbers or two with a point; \
                         write `double(…)` around the whole one"
                    );
                    self.mistake(id, message);
                }
                *left
            }
            (op::NEGATE, [kind]) => {
                if !kind.is_number() && *kind != Kind::Any {
                    self.mistake(id, format!("`-` cannot be used on {}", kind.words()));
                }
                *kind
            }
            (op::INDEX, [list, _]) => list.element().unwrap_or(Kind::Any),
            _ => {
                self.mistake(id, format!("`{sign}` is not available in rules"));
                Kind::Any
            }
        }
    }

    fn comparable(&mut self, id: u64, sign: &str, left: Kind, right: Kind) {
        let same = left == right
            || left == Kind::Any
            || right == Kind::Any
            || (left.is_number() && right.is_number())
            || (left.element().and(right.element()).is_some()
                && (left == Kind::List || right == Kind::List));
        if !same {
            let (left, right) = (left.words(), right.words());
            self.mistake(id, format!("`{sign}` compares {left} with {right}, which never match"));
        }
    }

    /// `icons.exists(icon, …)` and its kin become loops.
    fn turn_into_loop(&mut self, part: &mut IdedExpr, inside: Kind, depth: usize) -> Kind {
        let id = part.id;
        let Expr::Call(call) = &mut part.expr else {
            return Kind::Any;
        };
        let name = call.func_name.clone();
        let Some(target) = call.target.take() else {
            return Kind::Any;
        };
        if inside.element().is_none() && inside != Kind::Any {
            self.mistake(id, format!("`.{name}()` is for lists, this is {}", inside.words()));
            return Kind::Any;
        }
        let [variable, body] = call.args.as_mut_slice() else {
            let message =
                format!("write `.{name}(icon, …)`: a name for each, then what to ask of it");
            self.mistake(id, message);
            return Kind::Any;
        };
        let Expr::Ident(variable) = &variable.expr else {
            let id = variable.id;
            self.mistake(id, "here stands a name of your choice, such as `icon`");
            return Kind::Any;
        };
        let variable = variable.clone();
        if !self.loops_fit(id, self.locals.len() + 1) {
            return Kind::Any;
        }
        let element = inside.element().unwrap_or(Kind::Any);
        self.locals.push((variable.clone(), element));
        let parts_count = self.size.nodes_count;
        let body_kind = self.walk(body, depth + 1);
        let turn_steps = self.size.nodes_count - parts_count + TURN_STEPS;
        self.locals.pop();
        let mut target = target;
        // Of facts a loop copies no more than where they are.
        if !is_fact(&target) {
            weigh(&mut target, inside);
        }
        if name == "map" {
            weigh(body, body_kind);
        }
        if name != "map" && !matches!(body_kind, Kind::Truth | Kind::Any) {
            let message = format!(
                "`.{name}()` asks something true or false of each, this is {}",
                body_kind.words()
            );
            self.mistake(body.id, message);
        }
        let body = std::mem::take(body);
        let tick = || ident(&scope::tick(turn_steps));
        let turn = |body| when(tick(), body, truth(false));
        let (start, condition, step, result, kind) = match name.as_str() {
            "exists" => (
                truth(false),
                turn(call_of(
                    op::NOT_STRICTLY_FALSE,
                    vec![call_of(op::LOGICAL_NOT, vec![ident(RESULT)])],
                )),
                call_of(op::LOGICAL_OR, vec![ident(RESULT), body]),
                ident(RESULT),
                Kind::Truth,
            ),
            "all" => (
                truth(true),
                turn(call_of(op::NOT_STRICTLY_FALSE, vec![ident(RESULT)])),
                call_of(op::LOGICAL_AND, vec![ident(RESULT), body]),
                ident(RESULT),
                Kind::Truth,
            ),
            "exists_one" => (
                whole(0),
                tick(),
                when(body, call_of(op::ADD, vec![ident(RESULT), whole(1)]), ident(RESULT)),
                call_of(op::EQUALS, vec![ident(RESULT), whole(1)]),
                Kind::Truth,
            ),
            "filter" => (
                list(Vec::new()),
                truth(true),
                when(turn(body), append(ident(&variable)), ident(RESULT)),
                ident(RESULT),
                inside,
            ),
            _map => (
                list(Vec::new()),
                truth(true),
                when(tick(), append(body), ident(RESULT)),
                ident(RESULT),
                Kind::List,
            ),
        };
        part.expr = Expr::Comprehension(Box::new(ComprehensionExpr {
            iter_range: *target,
            iter_var: variable,
            iter_var2: None,
            accu_var: RESULT.to_owned(),
            accu_init: start,
            loop_cond: condition,
            loop_step: step,
            result,
        }));
        kind
    }
}

/// Has a part charge the meter for its length, if its kind may have one.
fn weigh(part: &mut IdedExpr, kind: Kind) {
    let is_short = |text: &str| text.len() <= SHORT_BYTES_MAX;
    let may_be_long = match (&part.expr, kind) {
        (Expr::Literal(LiteralValue::String(text)), _) => !is_short(text.inner()),
        (Expr::Literal(_), _) => false,
        (_, Kind::Any | Kind::Text) => true,
        (_, kind) => kind.element().is_some(),
    };
    if may_be_long {
        let value = std::mem::take(part);
        part.id = value.id;
        part.expr = call_of(WEIGH, vec![ident(METER), value]).expr;
    }
}

/// The same of what is gone through only if it is a text.
fn weigh_unless_list(part: &mut IdedExpr, kind: Kind) {
    if kind.element().is_none() {
        weigh(part, kind);
    }
}

/// The same of what an operator goes through, or tells of when it fails.
fn weigh_operands(name: &str, args: &mut [IdedExpr], kinds: &[Kind]) {
    match (name, args, kinds) {
        (op::LOGICAL_AND | op::LOGICAL_OR | op::LOGICAL_NOT | op::CONDITIONAL, ..) => {}
        (op::INDEX, _, [_, Kind::Whole]) => {}
        // Two texts are compared no further than the shorter goes.
        (
            op::EQUALS
            | op::NOT_EQUALS
            | op::LESS
            | op::LESS_EQUALS
            | op::GREATER
            | op::GREATER_EQUALS,
            [left, right],
            [Kind::Text, Kind::Text],
        ) => {
            if !is_text(left) && !is_text(right) {
                weigh(left, Kind::Text);
            }
        }
        (_, args, kinds) => args.iter_mut().zip(kinds).for_each(|(arg, kind)| weigh(arg, *kind)),
    }
}

/// Whether a part is a text in quotes.
fn is_text(part: &IdedExpr) -> bool {
    matches!(part.expr, Expr::Literal(LiteralValue::String(_)))
}

/// Whether a part is a fact by its name.
fn is_fact(part: &IdedExpr) -> bool {
    matches!(&part.expr, Expr::Ident(name) if FACTS.iter().any(|(fact, _)| fact == name))
}

/// A number as it is written, with its sign.
fn number_of(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Literal(LiteralValue::Double(number)) => Some(*number.inner()),
        #[expect(clippy::cast_precision_loss, reason = "numbers of a map are small")]
        Expr::Literal(LiteralValue::Int(number)) => Some(*number.inner() as f64),
        Expr::Call(call) if call.func_name == op::NEGATE && call.target.is_none() => {
            match call.args.as_slice() {
                [arg] => number_of(&arg.expr).map(|number| -number),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Whether the parser's name of a call is an operator, such as `_&&_`.
fn is_operator(name: &str) -> bool {
    name.starts_with(['_', '!', '-', '@'])
}

fn bare(expr: Expr) -> IdedExpr {
    IdedExpr { id: 0, expr }
}

fn call_of(name: &str, args: Vec<IdedExpr>) -> IdedExpr {
    bare(Expr::Call(CallExpr { func_name: name.to_owned(), target: None, args }))
}

fn when(condition: IdedExpr, yes: IdedExpr, no: IdedExpr) -> IdedExpr {
    call_of(op::CONDITIONAL, vec![condition, yes, no])
}

fn append(element: IdedExpr) -> IdedExpr {
    call_of(op::ADD, vec![ident(RESULT), list(vec![element])])
}

fn ident(name: &str) -> IdedExpr {
    bare(Expr::Ident(name.to_owned()))
}

fn truth(value: bool) -> IdedExpr {
    bare(Expr::Literal(LiteralValue::Boolean(value.into())))
}

fn whole(value: i64) -> IdedExpr {
    bare(Expr::Literal(LiteralValue::Int(value.into())))
}

fn list(elements: Vec<IdedExpr>) -> IdedExpr {
    bare(Expr::List(ListExpr::new(elements)))
}

fn text(value: &str) -> IdedExpr {
    bare(Expr::Literal(LiteralValue::String(value.to_owned().into())))
}

/// What a fact is; `None` of every other name.
pub(super) fn kind_of_fact(name: &str) -> Option<Kind> {
    FACTS.iter().find(|(fact, _)| *fact == name).map(|(_, kind)| *kind)
}

const EACH_ALONE: &str = "`each` is known only in a rule that says `each = \"…\"`";

/// Whether a fact, a function or a word of CEL has this name already.
pub(super) fn is_taken(name: &str) -> bool {
    FACTS.iter().any(|(fact, _)| *fact == name)
        || FUNCTIONS.contains(&name)
        || METHODS.contains(&name)
        || name == EACH
        || ["true", "false", "null", "in"].contains(&name)
}
