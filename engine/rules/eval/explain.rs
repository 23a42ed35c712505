//! Says what the parts of a clause stood for: `count(family)` was 1, `taken.month` was 6.
//!
//! In:  a clause's tree, a photo. Out: the parts that a person can name, each with its value:
//! facts, what is inside them, `size(…)`, and of a question about icons or people what was seen.
//! What a loop calls its things has no value outside it and is left out.
//!
//! Knows no rules.

use cel::common::ast::{Expr, IdedExpr};
use cel::common::types::{CelBool, CelDouble, CelInt, CelString};
use cel::common::value::Val;

use super::meter::unweighed;
use super::scope::{self, Asked, PhotoScope};
use super::{Of, value_of};
use crate::detection::Tier;

/// Most names of a list that are written out.
const NAMES_SHOWN_MAX: usize = 3;

/// The named parts of a tree with their values, each once, in the order of the text.
pub(super) fn values(tree: &IdedExpr, photo: &PhotoScope<'_>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect(tree, photo, &mut found);
    let mut values: Vec<(String, String)> = Vec::new();
    for (name, value) in found {
        if values.iter().all(|(known, _)| *known != name) {
            values.push((name, value));
        }
    }
    values
}

fn collect(tree: &IdedExpr, photo: &PhotoScope<'_>, into: &mut Vec<(String, String)>) {
    if let Some(asked) = asked(tree) {
        let names: Vec<&str> = asked.names().collect();
        let (question, mut whom) = (asked.question, shown(&names));
        if asked.of == Of::Portraits {
            whom = format!("portrait({whom})");
        }
        into.push((format!("{question}({whom})"), answered(photo, tree, &asked, &names)));
        return;
    }
    if let Some(name) = named(tree) {
        if let Some(value) = value_of(tree, photo, words_of) {
            into.push((name, value));
        }
        return;
    }
    match &tree.expr {
        Expr::Call(call) => {
            call.target.iter().for_each(|target| collect(target, photo, into));
            call.args.iter().for_each(|arg| collect(arg, photo, into));
        }
        Expr::Select(select) => collect(&select.operand, photo, into),
        Expr::List(list) => list.elements.iter().for_each(|part| collect(part, photo, into)),
        Expr::Comprehension(turns) => {
            // Only how many there were to go through.
            if let Some(name) = named(&turns.iter_range)
                && let Some(count) = value_of(&turns.iter_range, photo, length_of)
            {
                into.push((format!("size({name})"), count));
            }
        }
        _ => {}
    }
}

/// The text of a fact or of something inside one, as its author may have written it.
fn named(tree: &IdedExpr) -> Option<String> {
    match &unweighed(tree).expr {
        Expr::Ident(name) => {
            let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            is_plain.then(|| name.clone())
        }
        Expr::Select(select) if !select.test => {
            Some(format!("{}.{}", named(&select.operand)?, select.field))
        }
        Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
            ("size", [list]) if call.target.is_none() => Some(format!("size({})", named(list)?)),
            _ => None,
        },
        _ => None,
    }
}

/// The question that a hidden name stands for.
fn asked(tree: &IdedExpr) -> Option<Asked<'_>> {
    let Expr::Ident(name) = &tree.expr else { return None };
    scope::asked(name)
}

fn shown(names: &[&str]) -> String {
    let mut shown: Vec<String> =
        names.iter().take(NAMES_SHOWN_MAX).map(|name| format!("\"{name}\"")).collect();
    if names.len() > NAMES_SHOWN_MAX {
        shown.push("…".to_owned());
    }
    shown.join(", ")
}

/// What was seen of the names that a question asks for; for a number that number first. Of a
/// question about a place whose face is there.
fn answered(photo: &PhotoScope<'_>, tree: &IdedExpr, asked: &Asked<'_>, names: &[&str]) -> String {
    let facts = photo.facts();
    let words = |(name, tier, score): (&str, Tier, f64)| {
        let sure = if tier == Tier::Order { "for sure" } else { "not for sure" };
        format!("{name} {sure} ({score:.2})")
    };
    let first = match asked.question {
        "middle" => Some((facts.nearest_middle(), facts.unknown_is_nearest)),
        "largest" => Some((facts.largest_face(), facts.unknown_is_largest)),
        _ => None,
    };
    if let Some((person, is_unknown)) = first {
        let person = person.map(|person| words((&person.name, person.tier, person.score)));
        let nobody = if is_unknown { "an unknown face" } else { "nobody" };
        return person.unwrap_or_else(|| nobody.to_owned());
    }
    let seen = facts.seen(asked.of).filter(|(name, ..)| names.contains(name));
    let seen: Vec<String> = seen.map(words).collect();
    let seen = if seen.is_empty() { "none seen".to_owned() } else { seen.join(", ") };
    let is_number = |value: &dyn Val| value.downcast_ref::<CelInt>().map(|n| n.inner().to_string());
    match value_of(tree, photo, is_number) {
        Some(number) => format!("{number}: {seen}"),
        None => seen,
    }
}

/// A plain value in words; lists and facts with fields have none.
fn words_of(value: &dyn Val) -> Option<String> {
    let truth = value.downcast_ref::<CelBool>().map(|truth| truth.inner().to_string());
    let whole = || value.downcast_ref::<CelInt>().map(|whole| whole.inner().to_string());
    let number = || value.downcast_ref::<CelDouble>().map(|number| number.inner().to_string());
    let text = || value.downcast_ref::<CelString>().map(|text| format!("\"{}\"", text.inner()));
    let none = || (value.get_type().name() == "null_type").then(|| "null".to_owned());
    truth.or_else(whole).or_else(number).or_else(text).or_else(none)
}

fn length_of(value: &dyn Val) -> Option<String> {
    let list = value.downcast_ref::<cel::common::types::CelList<'_>>()?;
    Some(list.inner().len().to_string())
}
