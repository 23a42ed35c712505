//! Turns conditions into formulas, so that they can be compared with each other.
//!
//! In:  checked trees. Out: [`Formula`]s over atoms, kept once for all conditions: questions about
//! icons and people, comparisons of one term with a literal, `taken == null`, and whatever
//! else is true or false, by its text. `worlds.rs` says which answers go together.
//!
//! Everything is taken so that more seems possible than can be: what this file does not
//! understand is an atom that may be true, false or fail. Terms that can fail carry that with them,
//! since a rule that fails is skipped. Left out of account is only that loops have a limit of turns.
//!
//! Two rules may look at different facts: none sees its own orders, and under a card the icons are
//! put together by the lists of each file. Terms say whether that touches them.
//!
//! Knows no rules.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators as op};

use super::formula::Formula;
use super::meter::without_weights;
use super::scope::{self, Asked};
use super::{Condition, Kind, Of};

/// A part of photos that atoms of several conditions may be about.
#[derive(Debug, Clone)]
pub(super) struct Term {
    /// What its values are, [`Kind::Any`] where that is not known.
    pub(super) kind: Kind,
    /// Least and greatest value, of a whole number.
    pub(super) range: [f64; 2],
    /// Whether asking for it may fail, other than by what is absent.
    pub(super) fails: bool,
    /// What has to be there before it can be asked for.
    pub(super) needs: Option<Absent>,
    pub(super) views: Views,
}

/// Facts that rules may see differently.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Views {
    pub(super) icons: bool,
    pub(super) ordered: bool,
}

/// What a photo may not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Absent {
    Taken,
    Place,
}

/// Something true or false of a photo.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Atom {
    /// The term itself is true.
    Truth { term: usize },
    /// The term, compared with a literal.
    Test { term: usize, test: Test },
    /// The photo does not say it.
    Absent(Absent),
    /// Of the names of a list, or of all that the list does not name.
    Sighted { question: Question, list: usize },
}

/// What a term is compared with.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    Than(Sign, Fixed),
    StartsWith(String),
}

/// A literal.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fixed {
    /// Finite; a whole one is so small that it is exact.
    Number(f64),
    Text(String),
}

/// What is asked about icons or people.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Question {
    Has,
    All,
    Seen,
    Faint,
    /// Nobody is seen but those of the list.
    NobodyElse,
    Number(Count, Sign, f64),
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    /// Names that are seen.
    Different,
    /// Names that are there for sure.
    Sure,
    /// Sightings of them.
    Sightings,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Sign {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            op::EQUALS => Self::Equal,
            op::NOT_EQUALS => Self::NotEqual,
            op::LESS => Self::Less,
            op::LESS_EQUALS => Self::LessEqual,
            op::GREATER => Self::Greater,
            op::GREATER_EQUALS => Self::GreaterEqual,
            _ => return None,
        })
    }

    /// The sign for the two sides exchanged.
    const fn turned(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessEqual => Self::GreaterEqual,
            Self::Greater => Self::Less,
            Self::GreaterEqual => Self::LessEqual,
            same => same,
        }
    }

    /// Whether it is so of two that stand like this.
    pub(super) fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterEqual => order.is_ge(),
        }
    }
}

/// Names of icons or people that are asked about together, sorted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Names {
    pub(super) of: Of,
    pub(super) names: Vec<usize>,
}

/// Everything that conditions ask about.
#[derive(Debug, Default)]
pub(crate) struct Logic {
    pub(super) atoms: Vec<Atom>,
    pub(super) terms: Vec<Term>,
    pub(super) lists: Vec<Names>,
    /// Icons that files put into lists: under a card it depends on the file whether they are seen.
    pub(super) listed: BTreeSet<usize>,
    /// Of each atom what it is about, as bits; two atoms that share none are free of each other.
    marks: Vec<u64>,
    atoms_known: HashMap<String, usize>,
    terms_known: HashMap<String, usize>,
    lists_known: HashMap<Names, usize>,
    names_known: HashMap<String, usize>,
}

/// What a condition is, whatever its spaces, brackets and names of loops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    text: String,
    views: Views,
}

impl Identity {
    pub(crate) fn of(condition: &Condition) -> Self {
        let (text, views) = text_of(&without_weights(&condition.tree));
        Self { text, views }
    }

    /// Of a text that stands there as it is.
    pub(crate) fn of_literal(text: &str) -> Self {
        let literal = LiteralValue::String(text.to_owned().into());
        let (text, views) = text_of(&IdedExpr { id: 0, expr: Expr::Literal(literal) });
        Self { text, views }
    }

    /// Whether two rules see the same that have it.
    pub(crate) fn is_same_for_two(&self, icons_alike: bool) -> bool {
        !self.views.ordered && (icons_alike || !self.views.icons)
    }
}

impl Logic {
    /// - `listed`: the icons that stand in lists of some file
    pub(crate) fn new<'n>(listed: impl Iterator<Item = &'n str>) -> Self {
        let mut logic = Self::default();
        logic.listed = listed.map(|name| logic.name(Of::Icons, name)).collect();
        logic
    }

    /// The formula of a condition that gives true or false.
    pub(crate) fn formula(&mut self, condition: &Condition) -> Formula {
        self.truth(&without_weights(&condition.tree))
    }

    /// True where a condition gives a literal that fits; false also where that cannot be told.
    ///
    /// - `what`: says what fits, the same for the same only
    pub(crate) fn fits(
        &mut self,
        condition: &Condition,
        what: &str,
        fits: &dyn Fn(&Fixed) -> bool,
    ) -> Formula {
        self.fitting(&without_weights(&condition.tree), what, fits)
    }

    /// What a formula is about, as bits.
    pub(crate) fn marks(&self, formula: &Formula) -> u64 {
        let mut marks = 0;
        formula.visit(&mut |atom| marks |= self.marks[atom]);
        marks
    }

    fn fitting(&mut self, tree: &IdedExpr, what: &str, fits: &dyn Fn(&Fixed) -> bool) -> Formula {
        // What is needed is a whole number or a text; `2.0` and `2u` are neither.
        if let Expr::Literal(value) = &tree.expr {
            let is_right = matches!(value, LiteralValue::Int(_) | LiteralValue::String(_));
            return Formula::Fixed(is_right && literal(tree).is_some_and(|value| fits(&value)));
        }
        if let Some((op::CONDITIONAL, [condition, yes, no])) = call(tree) {
            let condition = self.truth(condition);
            let [yes, no] = [yes, no].map(|part| self.fitting(part, what, fits));
            return Formula::Choice(Box::new([condition, yes, no])).holds();
        }
        let term = self.term(&format!("{what} {}", text_of(tree).0), tree, true);
        self.atom(Atom::Truth { term }).holds()
    }

    fn truth(&mut self, tree: &IdedExpr) -> Formula {
        if let Expr::Literal(LiteralValue::Boolean(truth)) = &tree.expr {
            return Formula::Fixed(*truth.inner());
        }
        if let Expr::Ident(name) = &tree.expr {
            return self.named(tree, name);
        }
        let Some((name, args)) = call(tree) else {
            return self.starts_with(tree).unwrap_or_else(|| self.unknown(tree));
        };
        match (name, args) {
            (op::LOGICAL_AND, args) => {
                Formula::All(args.iter().map(|arg| self.truth(arg)).collect())
            }
            (op::LOGICAL_OR, args) => {
                Formula::Any(args.iter().map(|arg| self.truth(arg)).collect())
            }
            (op::LOGICAL_NOT, [arg]) => self.truth(arg).not(),
            (op::CONDITIONAL, [condition, yes, no]) => {
                Formula::Choice(Box::new([condition, yes, no].map(|part| self.truth(part))))
            }
            (op::EQUALS, [left, right]) if is_truth(left) && is_truth(right) => {
                Formula::Same(Box::new([self.truth(left), self.truth(right)]))
            }
            (op::NOT_EQUALS, [left, right]) if is_truth(left) && is_truth(right) => {
                Formula::Same(Box::new([self.truth(left), self.truth(right)])).not()
            }
            (op::IN, [left, IdedExpr { expr: Expr::List(list), .. }])
                if !list.elements.is_empty()
                    && list.elements.iter().all(|element| literal(element).is_some()) =>
            {
                let equals = list.elements.iter();
                Formula::Any(
                    equals.map(|one| self.compared(tree, left, Sign::Equal, one)).collect(),
                )
            }
            (name, [left, right]) => match Sign::of(name) {
                Some(sign) => self.compared(tree, left, sign, right),
                None => self.unknown(tree),
            },
            _ => self.unknown(tree),
        }
    }

    /// A name that the scope answers with true or false.
    fn named(&mut self, tree: &IdedExpr, name: &str) -> Formula {
        let Some(asked) = scope::asked(name) else {
            return self.unknown(tree);
        };
        let (question, of) = (asked.question, asked.of);
        let list = self.list(&asked);
        let mut sighted = |question| self.atom(Atom::Sighted { question, list });
        match question {
            "has" | "any" => sighted(Question::Has),
            "all" => sighted(Question::All),
            "seen" => sighted(Question::Seen),
            "none" => sighted(Question::Seen).not(),
            "faint" => sighted(Question::Faint),
            // Whoever is nearest or largest for sure is there for sure.
            "middle" | "largest" => {
                let is_there = sighted(Question::Has);
                Formula::All(vec![is_there, self.unknown(tree)])
            }
            "only" => {
                let mut all = vec![sighted(Question::Has), sighted(Question::NobodyElse)];
                if of == Of::People {
                    let faces = IdedExpr { id: 0, expr: Expr::Ident("unknown_faces".to_owned()) };
                    let term = self.term(&text_of(&faces).0, &faces, false);
                    let test = Test::Than(Sign::Equal, Fixed::Number(0.0));
                    all.push(self.atom(Atom::Test { term, test }));
                }
                Formula::All(all)
            }
            _ => self.unknown(tree),
        }
    }

    /// Two sides of a comparison; `tree` is all of it.
    fn compared(
        &mut self,
        tree: &IdedExpr,
        left: &IdedExpr,
        sign: Sign,
        right: &IdedExpr,
    ) -> Formula {
        match (literal(left), literal(right)) {
            (Some(left), Some(right)) => match ordered(&left, &right) {
                Some(order) => Formula::Fixed(sign.holds(order)),
                None => self.unknown(tree),
            },
            (Some(_), None) => self.compared(tree, right, sign.turned(), left),
            (None, Some(fixed)) => {
                if let Some((op::CONDITIONAL, [condition, yes, no])) = call(left) {
                    let condition = self.truth(condition);
                    let sides = [yes, no].map(|side| self.compared(tree, side, sign, right));
                    let [yes, no] = sides;
                    return Formula::Choice(Box::new([condition, yes, no]));
                }
                if let Some(counted) = self.counted(left, sign, &fixed) {
                    return counted;
                }
                let term = self.term(&text_of(left).0, left, true);
                self.atom(Atom::Test { term, test: Test::Than(sign, fixed) })
            }
            (None, None) => {
                if let Some(absent) = absent(left, right).or_else(|| absent(right, left)) {
                    let is_absent = self.atom(Atom::Absent(absent));
                    return match sign {
                        Sign::Equal => is_absent,
                        Sign::NotEqual => is_absent.not(),
                        _ => self.unknown(tree),
                    };
                }
                let kinds = [sure(left), sure(right)];
                if ![Some(Kind::Whole), Some(Kind::Text)].contains(&kinds[0])
                    || kinds[0] != kinds[1]
                {
                    return self.unknown(tree);
                }
                // How the one stands to the other is a number of its own, below, at or above 0.
                let (texts, sign) = match [text_of(left).0, text_of(right).0] {
                    [left, right] if left > right => ([right, left], sign.turned()),
                    texts => (texts, sign),
                };
                let term = self.term(&texts.join(" to "), tree, false);
                self.terms[term].kind = Kind::Whole;
                self.atom(Atom::Test { term, test: Test::Than(sign, Fixed::Number(0.0)) })
            }
        }
    }

    /// `count(…)` or `different(…)`, compared with a number.
    fn counted(&mut self, left: &IdedExpr, sign: Sign, fixed: &Fixed) -> Option<Formula> {
        let (Expr::Ident(name), Fixed::Number(number)) = (&left.expr, fixed) else { return None };
        let asked = scope::asked(name)?;
        let count = match (asked.question, asked.of) {
            ("different", _) => Count::Different,
            ("count", Of::People) => Count::Sure,
            ("count", Of::Icons | Of::Portraits) => Count::Sightings,
            _ => return None,
        };
        let list = self.list(&asked);
        let question = Question::Number(count, sign, *number);
        Some(self.atom(Atom::Sighted { question, list }))
    }

    fn starts_with(&mut self, tree: &IdedExpr) -> Option<Formula> {
        let Expr::Call(CallExpr { func_name, target: Some(target), args }) = &tree.expr else {
            return None;
        };
        let ("startsWith", [arg]) = (func_name.as_str(), args.as_slice()) else { return None };
        let Some(Fixed::Text(prefix)) = literal(arg) else { return None };
        if literal(target).is_some() {
            return None;
        }
        let term = self.term(&text_of(target).0, target, true);
        Some(self.atom(Atom::Test { term, test: Test::StartsWith(prefix) }))
    }

    /// Something that is true, false or fails, and that is all that is known of it.
    fn unknown(&mut self, tree: &IdedExpr) -> Formula {
        let fails = sure(tree) != Some(Kind::Truth);
        let term = self.term(&format!("truth {}", text_of(tree).0), tree, fails);
        self.atom(Atom::Truth { term })
    }

    /// - `text`: what makes it the same as another
    /// - `fails`: whether it does unless more is known of it
    fn term(&mut self, text: &str, tree: &IdedExpr, fails: bool) -> usize {
        if let Some(term) = self.terms_known.get(text) {
            return *term;
        }
        let (kind, needs) = (sure(tree), needed(tree));
        let is_size = matches!(&tree.expr, Expr::Call(call) if call.func_name == "size");
        let kind_if_any = needs.map(|(_, kind)| kind).or(is_size.then_some(Kind::Whole));
        self.terms.push(Term {
            kind: kind.or(kind_if_any).unwrap_or(Kind::Any),
            range: range(tree),
            fails: fails && kind.is_none() && needs.is_none(),
            needs: needs.map(|(absent, _)| absent),
            views: text_of(tree).1,
        });
        let term = self.terms.len() - 1;
        self.terms_known.insert(text.to_owned(), term);
        term
    }

    fn atom(&mut self, atom: Atom) -> Formula {
        let text = format!("{atom:?}");
        if let Some(known) = self.atoms_known.get(&text) {
            return Formula::Atom(*known);
        }
        let bit = |number: usize| 1 << (number % 64);
        let absent = |absent| bit(63 - absent as usize);
        let marks = match &atom {
            Atom::Truth { term } | Atom::Test { term, .. } => {
                bit(*term) | self.terms[*term].needs.map_or(0, absent)
            }
            Atom::Absent(what) => absent(*what),
            // It is about everybody whom others ask about.
            Atom::Sighted { question: Question::NobodyElse, .. } => u64::MAX,
            Atom::Sighted { list, .. } => {
                self.lists[*list].names.iter().fold(0, |marks, name| marks | bit(name + 32))
            }
        };
        self.atoms.push(atom);
        self.marks.push(marks);
        self.atoms_known.insert(text, self.atoms.len() - 1);
        Formula::Atom(self.atoms.len() - 1)
    }

    fn list(&mut self, asked: &Asked<'_>) -> usize {
        let mut names: Vec<usize> = asked.names().map(|name| self.name(asked.of, name)).collect();
        names.sort_unstable();
        let names = Names { of: asked.of, names };
        if let Some(list) = self.lists_known.get(&names) {
            return *list;
        }
        self.lists.push(names.clone());
        self.lists_known.insert(names, self.lists.len() - 1);
        self.lists.len() - 1
    }

    fn name(&mut self, of: Of, name: &str) -> usize {
        let next = self.names_known.len();
        *self.names_known.entry(format!("{of:?} {name}")).or_insert(next)
    }
}

/// Name and arguments of a call or an operator.
fn call(tree: &IdedExpr) -> Option<(&str, &[IdedExpr])> {
    match &tree.expr {
        Expr::Call(CallExpr { func_name, target: None, args }) => Some((func_name, args)),
        _ => None,
    }
}

/// Whether it gives true or false, if anything.
fn is_truth(tree: &IdedExpr) -> bool {
    match &tree.expr {
        Expr::Literal(LiteralValue::Boolean(_)) => true,
        Expr::Ident(name) => kind_of_hidden(name) == Some(Kind::Truth),
        Expr::Call(CallExpr { func_name, target: Some(_), .. }) => {
            ["startsWith", "endsWith", "contains", "matches"].contains(&func_name.as_str())
        }
        Expr::Call(CallExpr { func_name, args, .. }) => match (func_name.as_str(), args.as_slice())
        {
            (op::LOGICAL_AND | op::LOGICAL_OR | op::LOGICAL_NOT | op::IN, _) => true,
            (op::CONDITIONAL, [_, yes, no]) => is_truth(yes) && is_truth(no),
            (name, _) => Sign::of(name).is_some(),
        },
        _ => false,
    }
}

fn kind_of_hidden(name: &str) -> Option<Kind> {
    let asked = scope::asked(name).map(|asked| scope::kind_of(asked.question));
    asked.or_else(|| scope::nearness_of(name).is_some().then_some(Kind::Truth))
}

/// The kind of what never fails; `None` of everything else.
fn sure(tree: &IdedExpr) -> Option<Kind> {
    match &tree.expr {
        Expr::Literal(LiteralValue::Boolean(_)) => Some(Kind::Truth),
        Expr::Literal(LiteralValue::String(_)) => Some(Kind::Text),
        Expr::Literal(LiteralValue::Int(_)) => Some(Kind::Whole),
        Expr::Ident(name) => kind_of_hidden(name).or_else(|| {
            let kind = super::check::kind_of_fact(name)?;
            let may_be_absent = matches!(kind, Kind::Taken | Kind::Place);
            (!may_be_absent).then_some(kind)
        }),
        Expr::Select(select) if !select.test => {
            let inside = sure(&select.operand)?;
            matches!(inside, Kind::Path | Kind::Camera).then_some(Kind::Text)
        }
        Expr::Call(CallExpr { func_name, target, args }) => {
            let mut kinds = target.iter().map(|target| sure(target)).chain(args.iter().map(sure));
            match (func_name.as_str(), kinds.next()?, kinds.next()) {
                ("size", Some(kind), None) => {
                    (kind == Kind::Text || kind.element().is_some()).then_some(Kind::Whole)
                }
                (
                    "startsWith" | "endsWith" | "contains",
                    Some(Kind::Text),
                    Some(Some(Kind::Text)),
                ) => Some(Kind::Truth),
                (op::IN, Some(_), Some(Some(list))) if list.element().is_some() => {
                    Some(Kind::Truth)
                }
                (op::EQUALS | op::NOT_EQUALS, Some(_), Some(Some(_))) => Some(Kind::Truth),
                _ => None,
            }
        }
        _ => None,
    }
}

/// What `taken.month` and its kin need, and what they give then.
fn needed(tree: &IdedExpr) -> Option<(Absent, Kind)> {
    match &tree.expr {
        Expr::Ident(name) if scope::nearness_of(name).is_some() => {
            Some((Absent::Place, Kind::Truth))
        }
        Expr::Select(select) if !select.test => match &select.operand.expr {
            Expr::Ident(name) if name == "taken" => {
                let kind = if select.field == "text" { Kind::Text } else { Kind::Whole };
                Some((Absent::Taken, kind))
            }
            Expr::Ident(name) if name == "place" => Some((Absent::Place, Kind::Number)),
            _ => None,
        },
        _ => None,
    }
}

/// What is compared with `null`.
fn absent(left: &IdedExpr, right: &IdedExpr) -> Option<Absent> {
    match (&left.expr, &right.expr) {
        (Expr::Ident(name), Expr::Literal(LiteralValue::Null)) => match name.as_str() {
            "taken" => Some(Absent::Taken),
            "place" => Some(Absent::Place),
            _ => None,
        },
        _ => None,
    }
}

/// Least and greatest value of a whole number.
fn range(tree: &IdedExpr) -> [f64; 2] {
    match &tree.expr {
        Expr::Select(select) => match (&select.operand.expr, select.field.as_str()) {
            (Expr::Ident(name), field) if name == "taken" => match field {
                "month" => [1.0, 12.0],
                "day" => [1.0, 31.0],
                "hour" => [0.0, 23.0],
                "weekday" => [1.0, 7.0],
                _ => UNLIMITED,
            },
            _ => UNLIMITED,
        },
        Expr::Ident(name)
            if ["width_px", "height_px", "bytes_count", "unknown_faces"]
                .contains(&name.as_str()) =>
        {
            [0.0, f64::INFINITY]
        }
        Expr::Call(call) if call.func_name == "size" => [0.0, f64::INFINITY],
        _ => UNLIMITED,
    }
}

const UNLIMITED: [f64; 2] = [f64::NEG_INFINITY, f64::INFINITY];

/// Whole numbers below this are exact as numbers with a point, too, and so is what they are
/// compared with.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

fn literal(tree: &IdedExpr) -> Option<Fixed> {
    #[expect(clippy::cast_precision_loss, reason = "what is not exact is none, below")]
    let (number, is_whole) = match &tree.expr {
        Expr::Literal(LiteralValue::String(text)) => {
            return Some(Fixed::Text(text.inner().to_owned()));
        }
        Expr::Literal(LiteralValue::Int(whole)) => (*whole.inner() as f64, true),
        Expr::Literal(LiteralValue::UInt(whole)) => (*whole.inner() as f64, true),
        Expr::Literal(LiteralValue::Double(number)) => (*number.inner(), false),
        _ => match call(tree) {
            Some((op::NEGATE, [IdedExpr { expr: Expr::Literal(value), .. }])) => match value {
                LiteralValue::Int(whole) => (-(*whole.inner() as f64), true),
                LiteralValue::Double(number) => (-number.inner(), false),
                _ => return None,
            },
            _ => return None,
        },
    };
    let is_exact = number.is_finite() && (!is_whole || number.abs() < EXACT_MAX);
    // Zero below zero is zero.
    is_exact.then_some(Fixed::Number(number + 0.0))
}

/// How two literals of one kind stand to each other.
pub(super) fn ordered(left: &Fixed, right: &Fixed) -> Option<std::cmp::Ordering> {
    match (left, right) {
        (Fixed::Number(left), Fixed::Number(right)) => left.partial_cmp(right),
        (Fixed::Text(left), Fixed::Text(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

/// A tree as text that is the same for trees that mean the same by their shape; and which facts in
/// it rules may see differently.
fn text_of(tree: &IdedExpr) -> (String, Views) {
    let mut text = Text::default();
    text.part(tree);
    (text.written, text.views)
}

#[derive(Default)]
struct Text<'t> {
    written: String,
    views: Views,
    /// What loops around this place have named; they stand as numbers.
    locals: Vec<&'t str>,
}

impl<'t> Text<'t> {
    fn part(&mut self, tree: &'t IdedExpr) {
        match &tree.expr {
            Expr::Unspecified => self.word("?"),
            Expr::Literal(value) => self.word(&format!("{value:?}")),
            Expr::Ident(name) => match self.locals.iter().rposition(|local| local == name) {
                Some(index) => self.word(&format!("${index}")),
                None => {
                    self.views.ordered |= name == "ordered";
                    self.views.icons |= name == "icons"
                        || scope::asked(name).is_some_and(|asked| asked.of == Of::Icons);
                    self.word(&format!("{name:?}"));
                }
            },
            Expr::Select(select) => {
                self.parts(if select.test { "has." } else { "." }, [&*select.operand]);
                self.word(&select.field);
            }
            Expr::Call(call) => {
                let name =
                    format!("{}{}", if call.target.is_some() { "." } else { "" }, call.func_name);
                self.parts(&name, call.target.iter().map(|target| &**target).chain(&call.args));
            }
            Expr::List(list) => self.parts("list", &list.elements),
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.parts("entry", [&entry.key, &entry.value]);
                    }
                }
                self.word("map");
            }
            // Rules have no messages.
            Expr::Struct(_) => self.word(&format!("{tree:?}")),
            Expr::Comprehension(inside) => {
                self.parts("loop", [&inside.iter_range, &inside.accu_init]);
                self.locals.push(&inside.iter_var);
                self.parts("turn", [&inside.loop_cond, &inside.loop_step, &inside.result]);
                self.locals.pop();
            }
        }
    }

    fn parts(&mut self, name: &str, parts: impl IntoIterator<Item = &'t IdedExpr>) {
        self.word(name);
        self.written.push('(');
        parts.into_iter().for_each(|part| self.part(part));
        self.written.push(')');
    }

    fn word(&mut self, word: &str) {
        let _always = write!(self.written, "{word} ");
    }
}
