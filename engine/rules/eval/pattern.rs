//! Regular expressions of conditions, compiled when their rule is read.
//!
//! In:  the text of one. Out: a [`Pattern`] that conditions match texts with, or what is wrong.
//!
//! An expression stands in quotes, so that its mistakes are told by `signet rules check` and
//! not by the thousandth photo, and so that no loop compiles it again. At worst the `regex`
//! crate takes time in proportion to the length of the text and to what the expression compiles
//! to: so the latter is bounded, and matching charges the meter for both. Letters of all
//! languages are large: `\w+` needs 64 KiB, `[a-z]+` less than 16.
//!
//! Knows no photo and no tree.

use std::any::Any;
use std::collections::BTreeMap;

use cel::common::types::{CelBool, CelString, DYN_TYPE, Type};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::{Env, ExecutionError};
use regex::{Regex, RegexBuilder};

use super::meter;

/// Sizes of compiled expressions, in KiB: one counts as the smallest it fits into.
const SIZES_KIB: [usize; 4] = [16, 32, 64, 256];
/// Parts of a condition that take as much memory as a KiB of an expression.
const KIB_PARTS: usize = 4;
/// Memory that matching may remember states in, per expression and thread, in bytes.
const STATES_BYTES_MAX: usize = 256 << 10;
/// What stands before the text of an expression in the name it is compiled into.
const MARK: char = '~';
/// The function that takes the meter, a text and an expression.
pub(super) const MATCHES: &str = "@matches";

/// One compiled expression.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    regex: Regex,
    /// What it compiled to, rounded up. Matching costs one step per KiB and byte of the text:
    /// measured at worst were 113 ns, with `(a?b?){800}c`.
    size_kib: usize,
}

/// The expressions of a condition, by the hidden names they are compiled into.
pub(super) type Patterns = BTreeMap<String, Pattern>;

/// The hidden name that an expression is compiled into.
pub(super) fn name_of(text: &str) -> String {
    format!("{MARK}{text}")
}

/// Whether a name stands for an expression.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(MARK)
}

/// What expressions take in memory, counted as parts of a condition.
pub(super) fn parts_count(patterns: &Patterns) -> usize {
    patterns.values().map(|pattern| KIB_PARTS * pattern.size_kib).sum()
}

impl Pattern {
    /// Compiles an expression; an error says what is wrong with it.
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        let mut builder = RegexBuilder::new(text);
        builder.dfa_size_limit(STATES_BYTES_MAX);
        for size_kib in SIZES_KIB {
            match builder.size_limit(size_kib << 10).build() {
                Ok(regex) => return Ok(Self { regex, size_kib }),
                Err(regex::Error::CompiledTooBig(_)) => {}
                Err(error) => {
                    let words = error.to_string();
                    let last = words.rsplit("error: ").next().unwrap_or_default().trim();
                    return Err(format!("this regular expression is wrong: {last}"));
                }
            }
        }
        Err("this regular expression is too large; repeat less in it".to_owned())
    }
}

impl Val for Pattern {
    fn get_type(&self) -> &Type {
        <Self as Val>::cel_type()
    }

    fn cel_type() -> &'static Type {
        static PATTERN_TYPE: Type = Type::new_unspecified_type("pattern");
        &PATTERN_TYPE
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }
}

impl StaticVal for Pattern {}

/// Lets conditions of this environment match.
pub(super) fn add_to(environment: &mut Env) -> Result<(), cel::DeclarationError> {
    environment.add_overload(MATCHES, MATCHES, vec![DYN_TYPE, DYN_TYPE, DYN_TYPE], matches)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of every function of the crate")]
fn matches<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [meter, value, pattern] = args.as_slice() else { return Err(meter::used_up()) };
    let Some(text) = value.downcast_ref::<CelString>() else {
        let got = value.get_type().name().to_owned();
        return Err(ExecutionError::no_such_overload("matches", vec![got]));
    };
    let Some(pattern) = pattern.downcast_ref::<Pattern>() else { return Err(meter::used_up()) };
    let cost = 1 + (text.inner().len() * pattern.size_kib) as u64;
    if !meter::spend(meter, |meter| meter.spend(cost)) {
        return Err(meter::used_up());
    }
    Ok(CowVal::owned(CelBool::from(pattern.regex.is_match(text.inner()))))
}
