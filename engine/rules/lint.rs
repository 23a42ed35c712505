//! Finds rules that cannot do what they seem to: unreachable, shadowed and contradictory ones.
//!
//! In:  rules without a mistake. Out: warnings, each of them proven: no photo could show otherwise.
//! A rule says one thing where its `when` is true, and with an `else` another where it is false;
//! each of the two gets one warning at most, the first of these that is so:
//!
//! - unreachable: no photo makes it say that
//! - unreachable: wherever it would, a rule before it stops
//! - contradictory: a rule forbids for the very same photos; shadowed: for them and others. Rules
//!   of two files may both forbid
//! - contradictory: another rule orders the same for the very same photos, in another number or way
//! - shadowed: wherever it orders, another rule orders the same for the same addressee: rules
//!   do not add up, that is two orders for one wish
//!
//! and an `ask` that is never true where its rule applies is unreachable. What two rules want for
//! different addressees, or as previews of different sizes, are two wishes. Rules that some photos
//! only have in common are nothing to warn of.
//!
//! What a rule needs to say anything counts as part of its condition: a rule that fails is skipped.
//! Warnings that all the rules made by one `each` have are one.
//!
//! Knows no CEL and no facts; see `eval/logic.rs` for what is understood of conditions.

mod words;

use std::fmt;

use serde::Serialize;

use super::eval::{Answers, Condition, Fixed, Formula, Identity, Logic, Sides, Wanted};
use super::read::{Copies, Plan, Rule, is_word};
use super::set::RuleSet;
use crate::base::member::Member;
use crate::preview::PreviewWish;

/// Atoms that are asked for all rules together, half a second at most; what is left then is taken to
/// be all right.
const ASKS_MAX: u64 = 4_000_000;

/// Something in good rule files that their author can hardly have meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct RuleWarning {
    /// Name of the file, as it was handed in.
    pub file: String,
    /// Line of the rule's name, from 1.
    pub line: usize,
    /// Name of the rule; with `{each}` where it is so of all rules made for each of a list; empty
    /// where it is about a list or a limit.
    pub rule: String,
    /// What kind of.
    pub kind: WarningKind,
    /// What is wrong and the cure, lower case, one line.
    pub message: String,
}

/// What may be wrong with rules that are written right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WarningKind {
    /// It never happens.
    Unreachable,
    /// It happens and has no effect, or only one that another rule has as well.
    Shadowed,
    /// It says something else of the same photos than another rule.
    Contradictory,
    /// It names somebody who is not enrolled.
    Stranger,
}

impl fmt::Display for RuleWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, message, .. } = self;
        write!(f, "{file}:{line}: {message}")
    }
}

/// Everything that can be proven to be wrong with rules, sorted by file and line.
pub fn lint(set: &RuleSet) -> Vec<RuleWarning> {
    let mut warnings = words::warnings(set.rules(), &findings(set));
    warnings.sort();
    warnings
}

/// People whom lists and limits name and who are not enrolled, sorted by file and line.
pub fn strangers(set: &RuleSet) -> impl Iterator<Item = RuleWarning> {
    set.strangers().iter().map(|stranger| RuleWarning {
        file: stranger.file.clone(),
        line: stranger.line,
        rule: String::new(),
        kind: WarningKind::Stranger,
        message: stranger.message.clone(),
    })
}

fn findings(set: &RuleSet) -> Vec<Finding> {
    let mut linter = Linter::new(set);
    let mut found = Vec::new();
    for rule in 0..set.rules().len() {
        linter.alone(rule, &mut found);
    }
    for saying in 0..linter.sayings.len() {
        let finding = linter
            .stopped(saying)
            .or_else(|| linter.forbidden(saying))
            .or_else(|| linter.twice(saying));
        found.extend(finding);
    }
    found
}

/// What a rule says where its condition has one answer.
struct Saying<'r> {
    /// Place of the rule in the order of asking.
    rule: usize,
    is_else: bool,
    plan: &'r Plan,
    thing: Option<Thing<'r>>,
    /// True of the photos of which it is said; of others false.
    formula: Formula,
    marks: u64,
    /// The marks of each part that has to be so for it.
    conjuncts: Vec<u64>,
}

impl Saying<'_> {
    fn forbids(&self) -> bool {
        matches!(self.plan, Plan::Forbid)
    }
}

/// What has to be the same for two orders to be of one wish.
#[derive(PartialEq)]
struct Thing<'r> {
    provider: &'r str,
    /// None of a share.
    product: Option<&'r str>,
    preview: PreviewWish,
    /// The condition that gives the addressee.
    to: Identity,
}

impl<'r> Thing<'r> {
    fn of(plan: &'r Plan) -> Option<Self> {
        let (provider, product, preview, to) = match plan {
            Plan::Order { provider, product, to, .. } => {
                (provider, Some(product.as_str()), PreviewWish::default(), to)
            }
            Plan::Share { provider, preview, to, .. } => (provider, None, *preview, to),
            Plan::Keep | Plan::Note | Plan::Forbid => return None,
        };
        // Nobody in particular is `""`.
        let to = to.as_ref().map_or_else(|| Identity::of_literal(""), Identity::of);
        Some(Self { provider, product, preview, to })
    }
}

/// Something wrong with one rule.
struct Finding {
    rule: usize,
    kind: WarningKind,
    about: About,
}

/// What exactly. Other rules are told by their place in the order of asking.
enum About {
    NeverTrue,
    NeverFalse,
    /// Which `ask`, from 0; the one behind the last is `ask_when`.
    NeverAsks(usize),
    Stopped {
        is_else: bool,
        by: usize,
    },
    Forbidden {
        is_else: bool,
        by: usize,
    },
    Twice {
        is_else: bool,
        by: usize,
        /// What is not the same about the two, in words; empty where nothing is known to differ.
        differing: Vec<&'static str>,
    },
}

struct Linter<'r> {
    set: &'r RuleSet,
    logic: Logic,
    /// Of each rule, which lists its file has: two with one number have the same.
    lists: Vec<usize>,
    /// What is said of some photo, in the order of asking.
    sayings: Vec<Saying<'r>>,
    asks_left: u64,
}

impl<'r> Linter<'r> {
    fn new(set: &'r RuleSet) -> Self {
        let mut known: Vec<Vec<Vec<&str>>> = Vec::new();
        let lists = set.rules().iter().map(|rule| {
            let names = |list: &'r Vec<String>| {
                let mut names: Vec<&str> = list.iter().map(String::as_str).collect();
                names.sort_unstable();
                names
            };
            let mut lists: Vec<Vec<&str>> = set.lists_of(&rule.file).iter().map(names).collect();
            lists.sort();
            known.iter().position(|other| *other == lists).unwrap_or_else(|| {
                known.push(lists);
                known.len() - 1
            })
        });
        let lists = lists.collect();
        let logic = Logic::new(known.into_iter().flatten().flatten());
        Self { set, logic, lists, sayings: Vec::new(), asks_left: ASKS_MAX }
    }

    /// What is wrong with a rule whatever others there are; keeps what it can say.
    fn alone(&mut self, index: usize, found: &mut Vec<Finding>) {
        let rule = &self.set.rules()[index];
        let mut find = |about| {
            found.push(Finding { rule: index, kind: WarningKind::Unreachable, about });
        };
        let when = self.logic.formula(&rule.when);
        if self.can_be(&[(&when, Answers::TRUE)]) {
            self.keep(index, &rule.plan, when.clone().holds(), false);
        } else {
            find(About::NeverTrue);
        }
        let mut speaks = Answers::TRUE;
        if let Some((plan, _)) = &rule.otherwise {
            if self.can_be(&[(&when, Answers::FALSE)]) {
                self.keep(index, plan, when.clone().not().holds(), true);
            } else {
                find(About::NeverFalse);
            }
            speaks = Answers::SOME;
        }
        if !self.can_be(&[(&when, speaks)]) {
            return;
        }
        for (number, asks) in rule.asks().enumerate() {
            let asks = self.logic.formula(asks);
            if !self.can_be(&[(&when, speaks), (&asks, Answers::TRUE)]) {
                find(About::NeverAsks(number));
            }
        }
    }

    /// Whether one rule may give all these answers of one photo.
    fn can_be(&mut self, wanted: &[(&Formula, Answers)]) -> bool {
        let wanted = wanted.iter();
        let wanted = wanted.map(|&(formula, answers)| Wanted { formula, answers, side: 0 });
        let wanted: Vec<Wanted<'_>> = wanted.collect();
        self.logic.is_possible(&wanted, Sides::Same, &mut self.asks_left)
    }

    /// Keeps a saying with all that has to be so for it: what fails says nothing.
    fn keep(&mut self, rule: usize, plan: &'r Plan, when: Formula, is_else: bool) {
        let mut all = vec![when];
        for asks in self.set.rules()[rule].asks() {
            all.push(self.logic.formula(asks).answers());
        }
        let (to, express, copies) = match plan {
            Plan::Order { to, express, copies, .. } => (to, express, Some(copies)),
            Plan::Share { to, .. } => (to, &None, None),
            Plan::Keep | Plan::Note | Plan::Forbid => (&None, &None, None),
        };
        if let Some(Copies::Computed(copies, most)) = copies {
            let what = format!("1 to {most}");
            let range = 1.0..=f64::from(*most);
            let fits = |n: &Fixed| matches!(n, Fixed::Number(n) if range.contains(n));
            all.push(self.logic.fits(copies, &what, &fits));
        }
        if let Some(to) = to {
            let fits = |to: &Fixed| matches!(to, Fixed::Text(to) if to.is_empty() || is_word(to));
            all.push(self.logic.fits(to, "label", &fits));
        }
        if let Some(express) = express {
            all.push(self.logic.formula(express).answers());
        }
        let formula = Formula::All(all);
        // From what is never said, anything would follow.
        if !self.can_be(&[(&formula, Answers::TRUE)]) {
            return;
        }
        let mut conjuncts = Vec::new();
        for part in formula.conjuncts() {
            if self.can_be(&[(part, Answers::NOT_TRUE)]) {
                conjuncts.push(self.logic.marks(part));
            }
        }
        let marks = self.logic.marks(&formula);
        let thing = Thing::of(plan);
        self.sayings.push(Saying { rule, is_else, plan, thing, formula, marks, conjuncts });
    }

    /// Whether the other is said wherever the one is.
    fn implies(&mut self, one: usize, other: usize) -> bool {
        let (one, other) = (&self.sayings[one], &self.sayings[other]);
        // What shares nothing with the one does not follow from it.
        if other.conjuncts.iter().any(|marks| marks & one.marks == 0) {
            return false;
        }
        let sides = if self.lists[one.rule] == self.lists[other.rule] {
            Sides::Alike
        } else {
            Sides::Apart
        };
        let wanted = [
            Wanted { formula: &one.formula, answers: Answers::TRUE, side: 0 },
            Wanted { formula: &other.formula, answers: Answers::NOT_TRUE, side: 1 },
        ];
        !self.logic.is_possible(&wanted, sides, &mut self.asks_left)
    }

    /// Whether a rule is asked behind those that stop, too: one that forbids, also for its `else`.
    fn is_asked_always(&self, rule: usize) -> bool {
        matches!(self.set.rules()[rule].plan, Plan::Forbid)
    }

    /// A rule before it stops wherever it would be asked.
    fn stopped(&mut self, saying: usize) -> Option<Finding> {
        let Saying { rule, is_else, .. } = self.sayings[saying];
        if self.is_asked_always(rule) {
            return None;
        }
        let by = (0..saying).find(|&other| {
            let Saying { rule: by, is_else, .. } = self.sayings[other];
            let stops = by < rule && !is_else && self.set.rules()[by].stops;
            stops && self.implies(saying, other)
        })?;
        let about = About::Stopped { is_else, by: self.sayings[by].rule };
        Some(Finding { rule, kind: WarningKind::Unreachable, about })
    }

    /// Another rule forbids wherever it says something.
    fn forbidden(&mut self, saying: usize) -> Option<Finding> {
        let Saying { rule, is_else, plan, .. } = self.sayings[saying];
        if matches!(plan, Plan::Keep) {
            return None;
        }
        let forbids = matches!(plan, Plan::Forbid);
        let by = (0..self.sayings.len()).find(|&other| {
            let by = &self.sayings[other];
            // Of two that forbid the same, the later one is too many.
            let (is_another, is_later) = (by.rule != rule, by.rule > rule);
            let rules = self.set.rules();
            // Files that are to work alone, too, forbid what those beside them do.
            let is_meant = forbids && rules[by.rule].file != rules[rule].file;
            is_another
                && !is_meant
                && by.forbids()
                && self.implies(saying, other)
                && !(forbids && is_later && self.implies(other, saying))
        })?;
        let is_wish = matches!(plan, Plan::Order { .. } | Plan::Share { .. });
        let kind = if is_wish && self.implies(by, saying) {
            WarningKind::Contradictory
        } else {
            WarningKind::Shadowed
        };
        let about = About::Forbidden { is_else, by: self.sayings[by].rule };
        Some(Finding { rule, kind, about })
    }

    /// Another rule wants the same wherever it does.
    fn twice(&mut self, saying: usize) -> Option<Finding> {
        let Saying { rule, is_else, plan, .. } = self.sayings[saying];
        for other in 0..self.sayings.len() {
            let Saying { rule: by, plan: other_plan, .. } = self.sayings[other];
            if by == rule || !self.wants_same(saying, other) {
                continue;
            }
            // A rule before it was asked as well; one behind it is, unless something stops.
            let is_asked = self.is_asked_always(by)
                || (by < rule && !self.is_asked_always(rule))
                || !self.set.rules()[..by].iter().any(|rule| rule.stops);
            if !is_asked || !self.implies(saying, other) {
                continue;
            }
            let is_same = self.implies(other, saying);
            if is_same && by > rule {
                // The later one is told of.
                continue;
            }
            let differing = if is_same { self.differing(plan, other_plan) } else { Vec::new() };
            let kind = match differing.is_empty() {
                true => WarningKind::Shadowed,
                false => WarningKind::Contradictory,
            };
            return Some(Finding { rule, kind, about: About::Twice { is_else, by, differing } });
        }
        None
    }

    /// Whether two want one thing, of whatever photos.
    fn wants_same(&self, one: usize, other: usize) -> bool {
        let (one, other) = (&self.sayings[one], &self.sayings[other]);
        match (&one.thing, &other.thing) {
            (Some(thing), Some(other_thing)) => {
                let icons_alike = self.lists[one.rule] == self.lists[other.rule];
                thing == other_thing && thing.to.is_same_for_two(icons_alike)
            }
            _ => false,
        }
    }

    /// What is surely not the same about two orders of one product.
    fn differing(&mut self, one: &Plan, other: &Plan) -> Vec<&'static str> {
        let mut differing = Vec::new();
        if let (
            Plan::Order { copies: one, express: one_express, .. },
            Plan::Order { copies: other, express: other_express, .. },
        ) = (one, other)
        {
            if let (Copies::Fixed(one), Copies::Fixed(other)) = (one, other)
                && one != other
            {
                differing.push("`copies`");
            }
            let mut express = [one_express, other_express].map(|express| match express {
                None => Some(false),
                Some(express) => match self.logic.formula(express) {
                    Formula::Fixed(truth) => Some(truth),
                    _ => None,
                },
            });
            express.sort_unstable();
            if express == [Some(false), Some(true)] {
                differing.push("`express`");
            }
        }
        if with(one) != with(other) {
            differing.push("`with`");
        }
        if let (
            Plan::Order { or: one_or, price_max: one_max, remove_icon: one_remove, .. },
            Plan::Order { or, price_max, remove_icon, .. },
        ) = (one, other)
        {
            let keys = [
                (one_or != or, "`or`"),
                (one_max != price_max, "`price_max`"),
                (one_remove != remove_icon, "`remove_icon`"),
            ];
            differing.extend(keys.into_iter().filter_map(|(differs, key)| differs.then_some(key)));
        }
        differing
    }
}

impl Rule {
    /// The conditions of its `ask`, then that of `ask_when`.
    fn asks(&self) -> impl Iterator<Item = &Condition> {
        self.doubts.iter().map(|doubt| &doubt.when).chain(&self.ask_when)
    }
}

/// The companions that a plan wants.
fn with(plan: &Plan) -> &[Member] {
    match plan {
        Plan::Order { with, .. } | Plan::Share { with, .. } => with,
        Plan::Keep | Plan::Note | Plan::Forbid => &[],
    }
}

#[cfg(test)]
#[path = "lint/tests.rs"]
mod tests;
