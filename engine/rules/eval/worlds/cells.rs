//! The values of a term, cut into cells in which every comparison with a literal has one answer.
//!
//! In:  a term and what it is compared with. Out: its cells, and the answer of each comparison in
//! each. Texts are in the order of their bytes, so those that start with a text are neighbours.
//!
//! A cell may be there of which no photo has a value; that only makes more seem possible.

use std::cmp::Ordering;

use super::super::Kind;
use super::super::formula::Answers;
use super::super::logic::{Fixed, Sign, Term, Test};

/// Values that no comparison at hand tells from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell {
    /// Odd: the literal at half of it; even: between that and the one before.
    Number(usize),
    Text(usize),
    /// Neither, or not a number (NaN).
    Other,
    /// It cannot be asked for.
    Fails,
}

/// The cells of one term.
pub(super) struct Cells {
    numbers: Vec<f64>,
    /// Bytes: what comes behind all texts that start with one is no text.
    texts: Vec<Vec<u8>>,
    pub(super) cells: Vec<Cell>,
}

impl Cells {
    pub(super) fn new<'t>(term: &Term, tests: impl Iterator<Item = &'t Test>) -> Self {
        let (mut numbers, mut texts) = (Vec::new(), Vec::new());
        for test in tests {
            match test {
                Test::Than(_, Fixed::Number(number)) => numbers.push(*number),
                Test::Than(_, Fixed::Text(text)) => texts.push(text.as_bytes().to_vec()),
                Test::StartsWith(prefix) => {
                    texts.push(prefix.as_bytes().to_vec());
                    texts.extend(behind(prefix));
                }
            }
        }
        numbers.sort_by(f64::total_cmp);
        numbers.dedup();
        texts.sort();
        texts.dedup();
        let mut cells = Vec::new();
        if term.kind != Kind::Text {
            let all = (0..=2 * numbers.len()).filter(|index| {
                term.kind != Kind::Whole || holds_a_whole_number(&numbers, *index, term.range)
            });
            cells.extend(all.map(Cell::Number));
        }
        if !matches!(term.kind, Kind::Whole | Kind::Number) {
            cells.extend((0..=2 * texts.len()).map(Cell::Text));
        }
        if !matches!(term.kind, Kind::Whole | Kind::Text) {
            cells.push(Cell::Other);
        }
        if term.fails {
            cells.push(Cell::Fails);
        }
        Self { numbers, texts, cells }
    }

    /// What a comparison answers in a cell; it has to be one of those that the cells were made for.
    pub(super) fn answer(&self, test: &Test, cell: Cell) -> Answers {
        let order = match (test, cell) {
            (Test::Than(_, Fixed::Number(number)), Cell::Number(index)) => {
                Some(index.cmp(&at(&self.numbers, number)))
            }
            (Test::Than(_, Fixed::Text(text)), Cell::Text(index)) => {
                Some(index.cmp(&self.text_at(text.as_bytes())))
            }
            (Test::StartsWith(prefix), Cell::Text(index)) => {
                let is_before = index < self.text_at(prefix.as_bytes());
                let is_behind = behind(prefix).is_some_and(|end| index >= self.text_at(&end));
                return Answers::of(!is_before && !is_behind);
            }
            _ => None,
        };
        match (test, order, cell) {
            (Test::Than(sign, _), Some(order), _) => Answers::of(sign.holds(order)),
            (_, _, Cell::Fails) => Answers::NONE,
            // Of another kind, it is never the same and cannot be compared otherwise.
            (Test::Than(sign @ (Sign::Equal | Sign::NotEqual), _), None, _) => {
                Answers::of(*sign == Sign::NotEqual)
            }
            _ => Answers::NONE,
        }
    }

    fn text_at(&self, text: &[u8]) -> usize {
        self.texts.binary_search_by(|known| known.as_slice().cmp(text)).map_or(0, |at| 2 * at + 1)
    }
}

fn at(numbers: &[f64], number: &f64) -> usize {
    let order = |known: &f64| known.partial_cmp(number).unwrap_or(Ordering::Equal);
    numbers.binary_search_by(order).map_or(0, |at| 2 * at + 1)
}

/// The least bytes behind all texts that start with this one; none behind the empty one.
fn behind(prefix: &str) -> Option<Vec<u8>> {
    let mut bytes = prefix.as_bytes().to_vec();
    // No byte of a text is 255.
    *bytes.last_mut()? += 1;
    Some(bytes)
}

fn holds_a_whole_number(numbers: &[f64], index: usize, [least, most]: [f64; 2]) -> bool {
    let (first, last) = if index % 2 == 1 {
        (numbers[index / 2].ceil(), numbers[index / 2].floor())
    } else {
        let below = index.checked_sub(2).map_or(f64::NEG_INFINITY, |at| numbers[at / 2]);
        let above = numbers.get(index / 2).copied().unwrap_or(f64::INFINITY);
        (below.floor() + 1.0, above.ceil() - 1.0)
    };
    first.max(least) <= last.min(most)
}
