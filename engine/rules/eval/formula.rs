//! Conditions as formulas over atoms, and what they can answer while some atoms are open.
//!
//! In:  for each atom the answers that it can give. Out: those of the formula.
//!
//! An answer is true, false or none (the evaluation fails). `&&` and `||` are those of CEL: false
//! and anything is false, true or anything is true, also where the other side fails.
//! Parts of a formula are taken as free of each other, so what comes out may be more than what can
//! be, never less.
//!
//! Knows nothing of what atoms ask.

/// Answers that can be given, any of three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answers(u8);

impl Answers {
    pub(crate) const TRUE: Self = Self(1);
    pub(crate) const FALSE: Self = Self(2);
    /// The evaluation fails.
    pub(crate) const NONE: Self = Self(4);
    /// True or false.
    pub(crate) const SOME: Self = Self(3);
    /// All but true.
    pub(crate) const NOT_TRUE: Self = Self(6);
    const NEVER: Self = Self(0);

    pub(crate) const fn of(truth: bool) -> Self {
        if truth { Self::TRUE } else { Self::FALSE }
    }

    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether one of these is one of those.
    pub(crate) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether all of these are of those.
    pub(crate) const fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether there is one only.
    pub(crate) const fn is_decided(self) -> bool {
        self.0.is_power_of_two()
    }

    const fn when(self, can: bool) -> Self {
        if can { self } else { Self::NEVER }
    }

    fn not(self) -> Self {
        Self::FALSE
            .when(self.meets(Self::TRUE))
            .or(Self::TRUE.when(self.meets(Self::FALSE)))
            .or(Self::NONE.when(self.meets(Self::NONE)))
    }
}

/// What has to be so for a condition to be true.
#[derive(Debug, Clone)]
pub(crate) enum Formula {
    Fixed(bool),
    /// The number of an atom.
    Atom(usize),
    Not(Box<Formula>),
    All(Vec<Formula>),
    Any(Vec<Formula>),
    /// `a ? b : c`
    Choice(Box<[Formula; 3]>),
    /// Both true or both false; none where one of them has no answer.
    Same(Box<[Formula; 2]>),
    /// True where it is true, else false.
    Holds(Box<Formula>),
    /// True where it is true or false, else false.
    Answers(Box<Formula>),
}

impl Formula {
    pub(crate) fn not(self) -> Self {
        Self::Not(Box::new(self))
    }

    pub(crate) fn holds(self) -> Self {
        Self::Holds(Box::new(self))
    }

    pub(crate) fn answers(self) -> Self {
        Self::Answers(Box::new(self))
    }

    /// What has to be so all together: a formula that joins nothing is alone.
    pub(crate) fn conjuncts(&self) -> Vec<&Self> {
        match self {
            Self::All(parts) => parts.iter().flat_map(Self::conjuncts).collect(),
            Self::Holds(part) if matches!(**part, Self::All(_)) => part.conjuncts(),
            other => vec![other],
        }
    }

    /// Calls `see` with each atom, some more than once.
    pub(crate) fn visit(&self, see: &mut impl FnMut(usize)) {
        match self {
            Self::Fixed(_) => {}
            Self::Atom(atom) => see(*atom),
            Self::Not(part) | Self::Holds(part) | Self::Answers(part) => part.visit(see),
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.visit(see)),
            Self::Choice(parts) => parts.iter().for_each(|part| part.visit(see)),
            Self::Same(parts) => parts.iter().for_each(|part| part.visit(see)),
        }
    }

    /// What it can answer, and an atom that has to be decided before there is one answer only.
    pub(crate) fn answer(
        &self,
        ask: &mut impl FnMut(usize) -> Answers,
    ) -> (Answers, Option<usize>) {
        let mut open = None;
        let answers = match self {
            Self::Fixed(truth) => Answers::of(*truth),
            Self::Atom(atom) => {
                open = Some(*atom);
                ask(*atom)
            }
            Self::Not(part) => part.asked(ask, &mut open).not(),
            Self::All(parts) => joined(parts, Answers::FALSE, Answers::TRUE, ask, &mut open),
            Self::Any(parts) => joined(parts, Answers::TRUE, Answers::FALSE, ask, &mut open),
            Self::Choice(parts) => {
                let [condition, yes, no] = &**parts;
                let condition = condition.asked(ask, &mut open);
                let mut answers = Answers::NONE.when(condition.meets(Answers::NONE));
                for (way, part) in [(Answers::TRUE, yes), (Answers::FALSE, no)] {
                    if condition.meets(way) {
                        answers = answers.or(part.asked(ask, &mut open));
                    }
                }
                answers
            }
            Self::Same(parts) => {
                let [left, right] = &**parts;
                let (left, right) = (left.asked(ask, &mut open), right.asked(ask, &mut open));
                let both = |a, b| left.meets(a) && right.meets(b);
                let (t, f) = (Answers::TRUE, Answers::FALSE);
                let fails = left.or(right).meets(Answers::NONE);
                t.when(both(t, t) || both(f, f))
                    .or(f.when(both(t, f) || both(f, t)))
                    .or(Answers::NONE.when(fails))
            }
            Self::Holds(part) => {
                let part = part.asked(ask, &mut open);
                Answers::TRUE
                    .when(part.meets(Answers::TRUE))
                    .or(Answers::FALSE.when(part.meets(Answers::NOT_TRUE)))
            }
            Self::Answers(part) => {
                let part = part.asked(ask, &mut open);
                Answers::TRUE
                    .when(part.meets(Answers::SOME))
                    .or(Answers::FALSE.when(part.meets(Answers::NONE)))
            }
        };
        (answers, open.filter(|_| !answers.is_decided()))
    }

    /// The same for a part of another: the first open atom of all parts stays.
    fn asked(&self, ask: &mut impl FnMut(usize) -> Answers, open: &mut Option<usize>) -> Answers {
        let (answers, mine) = self.answer(ask);
        *open = open.or(mine);
        answers
    }
}

/// `&&` or `||`: `ends` is the answer that needs one part only, `goes_on` the one that needs all.
fn joined(
    parts: &[Formula],
    ends: Answers,
    goes_on: Answers,
    ask: &mut impl FnMut(usize) -> Answers,
    open: &mut Option<usize>,
) -> Answers {
    let (mut can_end, mut can_go_on, mut can_fail, mut can_not_end) = (false, true, false, true);
    for part in parts {
        let answers = part.asked(ask, open);
        if answers == ends {
            return ends;
        }
        can_end |= answers.meets(ends);
        can_go_on &= answers.meets(goes_on);
        can_fail |= answers.meets(Answers::NONE);
        can_not_end &= answers.meets(goes_on.or(Answers::NONE));
    }
    let fails = can_fail && can_not_end;
    ends.when(can_end).or(goes_on.when(can_go_on)).or(Answers::NONE.when(fails))
}
