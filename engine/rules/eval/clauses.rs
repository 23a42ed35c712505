//! Takes a condition apart into its clauses: what `&&` and `||` join, brackets opened.
//!
//! In:  the text of a condition and its tree as written. Out: each clause with its text and where
//! it stands in the tree, so that cases can show that each was true once and false once,
//! and people can be told which of them decided.
//!
//! `!(a && b)` and `a ? b : c` are one clause. The checked tree has the shape of the written one
//! where those operators stand; a name from `[define]` is one clause, whatever it stands for.

use cel::common::ast::{Expr, IdedExpr, operators as op};

/// A part of a condition that is true or false by itself.
#[derive(Debug, Clone)]
pub(super) struct Clause {
    /// As it was written, on one line.
    pub(super) text: String,
    /// Where it stands in the condition's tree.
    pub(super) way: Way,
}

/// Which arguments lead from the root to a clause.
type Way = Vec<usize>;

/// The clauses of a condition. One that is no other than the condition when its text does not come
/// apart as its tree does.
///
/// - `tree`: as it was written, with nothing put in for names
pub(super) fn clauses(text: &str, tree: &IdedExpr) -> Vec<Clause> {
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (mut texts, ways) = (Vec::new(), ways(tree));
    split(text, &mut texts);
    if texts.len() != ways.len() {
        return vec![Clause { text: one_line(text), way: Way::new() }];
    }
    let both = texts.into_iter().zip(ways);
    both.map(|(text, way)| Clause { text: one_line(text), way }).collect()
}

/// Ways to the clauses of a tree, from left to right.
fn ways(tree: &IdedExpr) -> Vec<Way> {
    let Some(args) = joined(tree) else {
        return vec![Way::new()];
    };
    let deeper = args.iter().enumerate().flat_map(|(index, arg)| {
        ways(arg).into_iter().map(move |mut way| {
            way.insert(0, index);
            way
        })
    });
    deeper.collect()
}

/// What stands at the end of a way, also in the tree as it was checked.
pub(super) fn follow<'t>(tree: &'t IdedExpr, way: &[usize]) -> Option<&'t IdedExpr> {
    way.iter().try_fold(tree, |tree, index| joined(tree)?.get(*index))
}

/// What `&&` or `||` joins.
fn joined(tree: &IdedExpr) -> Option<&[IdedExpr]> {
    match &tree.expr {
        Expr::Call(call)
            if [op::LOGICAL_AND, op::LOGICAL_OR].contains(&call.func_name.as_str()) =>
        {
            Some(&call.args)
        }
        _ => None,
    }
}

fn split<'t>(text: &'t str, into: &mut Vec<&'t str>) {
    let text = text.trim();
    for sign in ["||", "&&"] {
        let parts = parts(text, sign);
        if parts.len() > 1 {
            parts.into_iter().for_each(|part| split(part, into));
            return;
        }
    }
    match bracketed(text) {
        Some(inside) => split(inside, into),
        None => into.push(text),
    }
}

/// What stands between brackets that open at the beginning and close at the end.
fn bracketed(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('(')?.strip_suffix(')')?;
    let mut depth = 0_i32;
    let mut closes_early = false;
    scan(inside, |_, c| {
        depth += depth_of(c);
        closes_early |= depth < 0;
    });
    (!closes_early).then_some(inside)
}

/// The text cut at a sign that stands in no brackets and no quotes; in one piece where the whole
/// is a choice (`a ? b : c`).
fn parts<'t>(text: &'t str, sign: &str) -> Vec<&'t str> {
    let mut cuts = vec![0];
    let (mut depth, mut is_choice, mut next) = (0_i32, false, 0);
    scan(text, |at, c| {
        depth += depth_of(c);
        is_choice |= depth == 0 && c == '?';
        if depth == 0 && at >= next && text.get(at..).is_some_and(|rest| rest.starts_with(sign)) {
            next = at + sign.len();
            cuts.extend([at, next]);
        }
    });
    if is_choice {
        return vec![text];
    }
    cuts.push(text.len());
    cuts.chunks_exact(2).filter_map(|cut| text.get(cut[0]..cut[1])).collect()
}

fn depth_of(c: char) -> i32 {
    match c {
        '(' | '[' | '{' => 1,
        ')' | ']' | '}' => -1,
        _ => 0,
    }
}

/// Goes through what stands outside quotes and comments.
fn scan(text: &str, mut see: impl FnMut(usize, char)) {
    let mut quote: Option<&str> = None;
    let (mut next, mut is_comment) = (0, false);
    for (at, c) in text.char_indices() {
        if at < next {
            continue;
        }
        let rest = text.get(at..).unwrap_or_default();
        if is_comment {
            is_comment = c != '\n';
        } else if let Some(end) = quote {
            if c == '\\' {
                next = at + 1 + rest.chars().nth(1).map_or(0, char::len_utf8);
            } else if rest.starts_with(end) {
                (quote, next) = (None, at + end.len());
            }
        } else if rest.starts_with("//") {
            is_comment = true;
        } else if let Some(start) =
            ["\"\"\"", "'''", "\"", "'"].into_iter().find(|start| rest.starts_with(start))
        {
            (quote, next) = (Some(start), at + start.len());
        } else {
            see(at, c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, wanted: &[&str]) {
        let mut texts = Vec::new();
        split(text, &mut texts);
        assert_eq!(texts, wanted, "{text}");
    }

    #[test]
    fn condition_comes_apart_at_its_own_signs() {
        check("a && b || c", &["a", "b", "c"]);
        check(" (a||b)&&!(c && d) ", &["a", "b", "!(c && d)"]);
        check("(a) && (b && (c || d))", &["a", "b", "c", "d"]);
        check("a ? b && c : d || e", &["a ? b && c : d || e"]);
        check("(a ? b : c) && d", &["a ? b : c", "d"]);
        check(
            r#"x == "a && b" && y.exists(i, i.z || i.w)"#,
            &["x == \"a && b\"", "y.exists(i, i.z || i.w)"],
        );
        check(r#"x == 'it\'s || ' || y"#, &[r#"x == 'it\'s || '"#, "y"]);
        check("(a) == (b)", &["(a) == (b)"]);
        check("", &[""]);
    }
}
