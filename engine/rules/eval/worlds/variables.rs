//! Makes the variables that the atoms of one question depend on.
//!
//! In:  all conditions' atoms, and the formulas of the question. Out: each atom of theirs with its
//! variables, and how many values those have. Both sides share the variables of what both see.

use super::super::formula::Answers;
use super::super::logic::{Absent, Atom, Count, Logic, Names, Question, Term, Test};
use super::super::{Kind, Of};
use super::cells::Cells;
use super::{Asked, Class, Need, Sides, Sighted, Wanted};

/// Largest number of icons or people that is told from larger ones.
const COUNT_MAX: f64 = 1_000.0;
/// Most lists in one question.
const LISTS_MAX: usize = 64;

pub(super) struct Variables {
    /// By atom and side, sorted.
    asked: Vec<((usize, usize), Asked)>,
    pub(super) classes: Vec<Class>,
    /// How many values each variable has.
    pub(super) sizes: Vec<usize>,
}

impl Variables {
    /// `None` where there is too much to be gone through.
    pub(super) fn new(logic: &Logic, wanted: &[Wanted<'_>], sides: Sides) -> Option<Self> {
        let mut atoms: Vec<(usize, usize)> = Vec::new();
        for Wanted { formula, side, .. } in wanted {
            formula.visit(&mut |atom| atoms.push((atom, *side)));
        }
        atoms.sort_unstable();
        atoms.dedup();
        let mut builder =
            Builder { logic, sides, atoms: &atoms, sizes: Vec::new(), known: Vec::new() };
        let named = builder.named()?;
        let asked = atoms.iter().map(|key| (*key, builder.asked(*key, &named))).collect();
        let classes = named.classes.into_iter().map(|(_, class)| class).collect();
        Some(Self { asked, classes, sizes: builder.sizes })
    }

    /// What it cost to make them, in atoms that could have been asked.
    pub(super) fn effort(&self) -> u64 {
        let values_count: usize = self.sizes.iter().sum();
        u64::try_from(8 * self.asked.len() + values_count).unwrap_or(u64::MAX)
    }

    pub(super) fn asked(&self, atom: usize, side: usize) -> Option<&Asked> {
        let index = self.asked.binary_search_by_key(&(atom, side), |(key, _)| *key).ok()?;
        self.asked.get(index).map(|(_, asked)| asked)
    }
}

/// What a variable is about, on which side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    Truth(usize, usize),
    Value(usize, usize),
    Absent(Absent),
}

/// The classes of all names of the question.
struct Named {
    /// Numbers of its lists; the place of one is its bit in a class.
    lists: Vec<usize>,
    classes: Vec<(ClassOf, Class)>,
}

/// What makes names alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ClassOf {
    of: Of,
    /// `None`: both sides see them.
    side: Option<usize>,
    /// The lists that hold them; none hold those that are not named.
    lists: u64,
}

struct Builder<'q> {
    logic: &'q Logic,
    sides: Sides,
    atoms: &'q [(usize, usize)],
    sizes: Vec<usize>,
    known: Vec<(About, usize)>,
}

impl Builder<'_> {
    fn asked(&mut self, (atom, side): (usize, usize), named: &Named) -> Asked {
        let logic = self.logic;
        match &logic.atoms[atom] {
            Atom::Sighted { question, list } => self.sighted(*question, *list, side, named),
            Atom::Absent(absent) => {
                let variable = self.variable(About::Absent(*absent), 2);
                cell(variable, vec![Answers::TRUE, Answers::FALSE], None)
            }
            Atom::Truth { term } => self.truth(*term, side),
            Atom::Test { term, test } => self.test((*term, test), side),
        }
    }

    fn truth(&mut self, index: usize, side: usize) -> Asked {
        let term = &self.logic.terms[index];
        let mut answers = vec![Answers::TRUE, Answers::FALSE];
        answers.extend(term.fails.then_some(Answers::NONE));
        let about = About::Truth(index, self.side(term, side));
        let variable = self.variable(about, answers.len());
        // Nothing is near a place that is not known.
        let otherwise = if term.kind == Kind::Truth { Answers::FALSE } else { Answers::NONE };
        cell(variable, answers, term.needs.map(|absent| self.need(absent, otherwise)))
    }

    /// A comparison of a term, beside all others of it in the question.
    fn test(&mut self, (index, test): (usize, &Test), side: usize) -> Asked {
        let logic = self.logic;
        let term = &logic.terms[index];
        let side = self.side(term, side);
        let tests = self.atoms.iter().filter_map(|&(atom, other)| match &logic.atoms[atom] {
            Atom::Test { term: of, test } if *of == index && self.side(term, other) == side => {
                Some(test)
            }
            _ => None,
        });
        let cells = Cells::new(term, tests);
        let answers: Vec<_> = cells.cells.iter().map(|cell| cells.answer(test, *cell)).collect();
        let variable = self.variable(About::Value(index, side), answers.len());
        cell(variable, answers, term.needs.map(|absent| self.need(absent, Answers::NONE)))
    }

    fn sighted(&self, question: Question, list: usize, side: usize, named: &Named) -> Asked {
        let of = self.logic.lists[list].of;
        let bit = named.lists.iter().position(|known| *known == list).map_or(0, |at| 1 << at);
        let wants_listed = question != Question::NobodyElse;
        let found = named.classes.iter().enumerate().filter(|(_, (class, _))| {
            let is_here = class.of == of && class.side.is_none_or(|other| other == side);
            is_here && (class.lists & bit != 0) == wants_listed
        });
        let classes = found.map(|(number, _)| number).collect();
        match question {
            Question::Has => Asked::AnyOf { classes, is: |_, sighted| sighted.sure > 0 },
            Question::All => {
                Asked::AllOf { classes, is: |class, sighted| sighted.sure == class.names_count }
            }
            Question::Seen => Asked::AnyOf { classes, is: |_, sighted| sighted.seen() > 0 },
            Question::Faint => Asked::AnyOf { classes, is: |_, sighted| sighted.faint > 0 },
            Question::NobodyElse => Asked::AllOf { classes, is: |_, sighted| sighted.seen() == 0 },
            Question::Number(count, sign, than) => Asked::Number { classes, count, sign, than },
        }
    }

    fn variable(&mut self, about: About, size: usize) -> usize {
        if let Some((_, variable)) = self.known.iter().find(|(known, _)| *known == about) {
            return *variable;
        }
        let variable = self.fresh(size);
        self.known.push((about, variable));
        variable
    }

    fn fresh(&mut self, size: usize) -> usize {
        self.sizes.push(size);
        self.sizes.len() - 1
    }

    fn need(&mut self, absent: Absent, otherwise: Answers) -> Need {
        Need { variable: self.variable(About::Absent(absent), 2), otherwise }
    }

    /// The side of a term; 0 where both see the same.
    fn side(&self, term: &Term, side: usize) -> usize {
        let differs = match self.sides {
            Sides::Same => false,
            Sides::Alike => term.views.ordered,
            Sides::Apart => term.views.ordered || term.views.icons,
        };
        if differs { side } else { 0 }
    }

    /// The side of a name. Under a card, files with other lists put together other icons; those in
    /// no list are the same in all.
    fn side_of(&self, of: Of, name: Option<usize>, side: usize) -> Option<usize> {
        let differs = self.sides == Sides::Apart && of == Of::Icons;
        let is_listed = name.is_none_or(|name| self.logic.listed.contains(&name));
        (differs && is_listed).then_some(side)
    }

    fn named(&mut self) -> Option<Named> {
        let logic = self.logic;
        let sighted = self.atoms.iter().filter_map(|&(atom, side)| match &logic.atoms[atom] {
            Atom::Sighted { question, list } => Some((*question, *list, side)),
            _ => None,
        });
        let sighted: Vec<(Question, usize, usize)> = sighted.collect();
        let mut lists: Vec<usize> = sighted.iter().map(|(_, list, _)| *list).collect();
        lists.sort_unstable();
        lists.dedup();
        if lists.len() > LISTS_MAX {
            return None;
        }
        let mut classes: Vec<(ClassOf, Class)> = Vec::new();
        let mut add = |of: ClassOf| match classes.iter_mut().find(|(known, _)| *known == of) {
            Some((_, class)) => class.names_count += 1,
            None => classes.push((of, Class::of_one())),
        };
        let mut names: Vec<(usize, Of, Option<usize>)> = Vec::new();
        // Which numbers matter, and whether more sightings than names do.
        let (mut count_max, mut counts_more) = (0.0_f64, false);
        for &(question, list, side) in &sighted {
            let Names { of, names: listed } = &logic.lists[list];
            names.extend(listed.iter().map(|name| {
                let side = self.side_of(*of, Some(*name), side);
                (*name, *of, side)
            }));
            if let Question::Number(count, _, than) = question {
                count_max = count_max.max(than.ceil());
                counts_more |= count == Count::Sightings;
            }
        }
        names.sort_unstable_by_key(|(name, _, side)| (*name, *side));
        names.dedup();
        for (name, of, side) in names {
            let holds = |list: &usize| logic.lists[*list].names.binary_search(&name).is_ok();
            let bits = lists.iter().enumerate().filter(|(_, list)| holds(list));
            add(ClassOf { of, side, lists: bits.fold(0, |bits, (at, _)| bits | 1 << at) });
        }
        for (_, list, side) in sighted.iter().filter(|(asked, ..)| *asked == Question::NobodyElse) {
            let of = logic.lists[*list].of;
            add(ClassOf { of, side: self.side_of(of, None, *side), lists: 0 });
        }
        if count_max > COUNT_MAX {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
        let count_max = count_max as usize;
        for (_, class) in &mut classes {
            class.states = states(class.names_count, count_max);
            class.variable = self.fresh(class.states.len());
            class.more = counts_more.then(|| self.fresh(count_max + 2));
        }
        Some(Named { lists, classes })
    }
}

fn cell(variable: usize, answers: Vec<Answers>, needs: Option<Need>) -> Asked {
    let all = answers.iter().copied().reduce(Answers::or).unwrap_or(Answers::SOME);
    Asked::Cell { variable, answers, all, needs }
}

/// How many of some names can be there, as far as it matters: none, each number up to one more than
/// the largest that is asked for, and all.
fn states(names_count: usize, count_max: usize) -> Vec<Sighted> {
    let told = names_count.min(count_max + 1);
    let all = (told < names_count).then_some(names_count);
    let sure = (0..=told).chain(all);
    let sighted = sure.flat_map(|sure| (0..=told).map(move |faint| Sighted { sure, faint }));
    sighted.filter(|sighted| sighted.seen() <= names_count).collect()
}
