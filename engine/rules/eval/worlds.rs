//! Whether there can be a photo of which some formulas are true and others are not.
//!
//! In:  formulas, and what each is wanted to answer. Out: no, or perhaps.
//!
//! Atoms about one thing depend on each other. A term has one value, and literals cut its values into
//! cells: `taken.month == 7` and `taken.month > 8` are never in one cell. Names of icons that
//! the same lists hold are alike, so of each such class only counts matter: how many are there for
//! sure and how many faintly, up to one more than anything is compared with. Then values are tried,
//! atom by atom as the formulas need them.
//!
//! "No" is a proof; "perhaps" may only mean that [`STEPS_MAX`] or the budget was used up.

mod cells;
mod variables;

use std::cmp::Ordering;

use super::formula::{Answers, Formula};
use super::logic::{Count, Logic, Sign};

use variables::Variables;

/// Values tried for one question.
pub(crate) const STEPS_MAX: u32 = 1 << 14;

/// A formula, and which of its answers is looked for.
pub(crate) struct Wanted<'f> {
    pub(crate) formula: &'f Formula,
    pub(crate) answers: Answers,
    /// 0 or 1: of which of two rules.
    pub(crate) side: usize,
}

/// What the two sides see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sides {
    /// They are one rule.
    Same,
    /// Two rules of files with the same lists: neither sees its own orders.
    Alike,
    /// Two rules whose files put icons together differently under a card, too.
    Apart,
}

impl Logic {
    /// Whether a photo may give all the answers wanted; `false` is sure.
    ///
    /// - `budget`: atoms that may be asked, of all calls together; what was asked is taken off
    pub(crate) fn is_possible(
        &self,
        wanted: &[Wanted<'_>],
        sides: Sides,
        budget: &mut u64,
    ) -> bool {
        if *budget == 0 {
            return true;
        }
        let Some(variables) = Variables::new(self, wanted, sides) else { return true };
        let values = vec![None; variables.sizes.len()];
        let asks_left = budget.saturating_sub(variables.effort());
        let mut worlds = Worlds { variables, values, steps_left: STEPS_MAX, asks_left };
        let is_possible = worlds.search(wanted);
        *budget = worlds.asks_left;
        is_possible
    }
}

/// An atom of one side, and what it depends on.
enum Asked {
    /// The value of a variable, by its number.
    Cell { variable: usize, answers: Vec<Answers>, all: Answers, needs: Option<Need> },
    /// Whether one of some classes is so.
    AnyOf { classes: Vec<usize>, is: fn(&Class, Sighted) -> bool },
    /// Whether each of some classes is so.
    AllOf { classes: Vec<usize>, is: fn(&Class, Sighted) -> bool },
    /// How many there are of some classes, compared with a number.
    Number { classes: Vec<usize>, count: Count, sign: Sign, than: f64 },
}

/// What has to be there, and the answer where it is not.
struct Need {
    variable: usize,
    otherwise: Answers,
}

/// Names that every list of the question holds together, or none of them.
struct Class {
    names_count: usize,
    variable: usize,
    /// What the variable stands for.
    states: Vec<Sighted>,
    /// How many sightings there are beyond one for each name seen, where that is asked.
    more: Option<usize>,
}

impl Class {
    fn of_one() -> Self {
        Self { names_count: 1, variable: 0, states: Vec::new(), more: None }
    }
}

/// How many names of a class are in a photo.
#[derive(Debug, Clone, Copy)]
struct Sighted {
    sure: usize,
    faint: usize,
}

impl Sighted {
    const fn seen(self) -> usize {
        self.sure + self.faint
    }
}

struct Worlds {
    variables: Variables,
    /// The value of each variable that has one.
    values: Vec<Option<usize>>,
    steps_left: u32,
    asks_left: u64,
}

impl Worlds {
    /// Whether values can be found for what has none yet.
    fn search(&mut self, wanted: &[Wanted<'_>]) -> bool {
        let mut next = None;
        let mut is_decided = true;
        for Wanted { formula, answers, side } in wanted {
            let mut asks_count = 0;
            let (can, open) = formula.answer(&mut |atom| {
                asks_count += 1;
                self.answer(atom, *side)
            });
            self.asks_left = self.asks_left.saturating_sub(asks_count);
            if !can.meets(*answers) {
                return false;
            }
            if !can.within(*answers) {
                is_decided = false;
                next = next.or(open.map(|atom| (atom, *side)));
            }
        }
        if is_decided || self.steps_left == 0 || self.asks_left == 0 {
            return true;
        }
        let Some(variable) = next.and_then(|(atom, side)| self.open(atom, side)) else {
            return true;
        };
        for value in 0..self.variables.sizes[variable] {
            self.steps_left = self.steps_left.saturating_sub(1);
            self.values[variable] = Some(value);
            if self.search(wanted) {
                return true;
            }
        }
        self.values[variable] = None;
        false
    }

    fn class(&self, number: usize) -> &Class {
        &self.variables.classes[number]
    }

    /// A variable without a value on which an atom depends.
    fn open(&self, atom: usize, side: usize) -> Option<usize> {
        let is_open = |variable: &usize| self.values[*variable].is_none();
        match self.variables.asked(atom, side)? {
            Asked::Cell { variable, needs, .. } => {
                let needed = needs.as_ref().map(|need| need.variable);
                needed.into_iter().chain([*variable]).find(is_open)
            }
            Asked::AnyOf { classes, .. } | Asked::AllOf { classes, .. } => {
                classes.iter().map(|class| self.class(*class).variable).find(is_open)
            }
            Asked::Number { classes, count, .. } => {
                let counts_more = *count == Count::Sightings;
                let classes = classes.iter().map(|class| self.class(*class));
                let depends = classes.flat_map(|class| {
                    let more = class.more.filter(|_| counts_more && self.may_be_seen(class));
                    [class.variable].into_iter().chain(more)
                });
                depends.into_iter().find(is_open)
            }
        }
    }

    fn may_be_seen(&self, class: &Class) -> bool {
        self.values[class.variable].is_none_or(|state| class.states[state].seen() > 0)
    }

    fn answer(&self, atom: usize, side: usize) -> Answers {
        let Some(asked) = self.variables.asked(atom, side) else {
            return Answers::SOME.or(Answers::NONE);
        };
        match asked {
            Asked::Cell { variable, answers, all, needs } => {
                let here = self.values[*variable].map_or(*all, |value| answers[value]);
                match needs.as_ref().map(|need| (self.values[need.variable], need.otherwise)) {
                    None | Some((Some(PRESENT), _)) => here,
                    Some((Some(_absent), otherwise)) => otherwise,
                    Some((None, otherwise)) => here.or(otherwise),
                }
            }
            Asked::AnyOf { classes, is } => self.over(classes, *is, true),
            Asked::AllOf { classes, is } => self.over(classes, *is, false),
            Asked::Number { classes, count, sign, than } => {
                self.number(classes, *count, *sign, *than)
            }
        }
    }

    /// Asks classes one by one; `ends` is what one of them alone decides.
    fn over(&self, classes: &[usize], is: fn(&Class, Sighted) -> bool, ends: bool) -> Answers {
        let mut answers = Answers::of(!ends);
        for class in classes.iter().map(|class| self.class(*class)) {
            match self.values[class.variable] {
                Some(state) if is(class, class.states[state]) == ends => return Answers::of(ends),
                Some(_) => {}
                None => answers = Answers::SOME,
            }
        }
        answers
    }

    fn number(&self, classes: &[usize], count: Count, sign: Sign, than: f64) -> Answers {
        let (mut least, mut most) = (0, 0);
        for class in classes.iter().map(|class| self.class(*class)) {
            let more = class.more.filter(|_| count == Count::Sightings);
            let (more_least, more_most) = match more {
                Some(more) => {
                    self.values[more].map_or((0, self.variables.sizes[more] - 1), |n| (n, n))
                }
                None => (0, 0),
            };
            match self.values[class.variable].map(|state| class.states[state]) {
                Some(sighted) => {
                    let names = if count == Count::Sure { sighted.sure } else { sighted.seen() };
                    least += names + if names > 0 { more_least } else { 0 };
                    most += names + if names > 0 { more_most } else { 0 };
                }
                None => most += class.names_count + more_most,
            }
        }
        let ends = [least, most].map(|number| number_of(number).partial_cmp(&than));
        let is_between = than.fract() == 0.0 && number_of(least) <= than && than <= number_of(most);
        let mut answers: Option<Answers> = None;
        for order in ends.into_iter().flatten().chain(is_between.then_some(Ordering::Equal)) {
            let answer = Answers::of(sign.holds(order));
            answers = Some(answers.map_or(answer, |others| others.or(answer)));
        }
        answers.unwrap_or(Answers::SOME)
    }
}

/// The value of a variable for what a photo may not say: it says it.
const PRESENT: usize = 1;

#[expect(clippy::cast_precision_loss, reason = "numbers of icons are small")]
fn number_of(count: usize) -> f64 {
    count as f64
}
