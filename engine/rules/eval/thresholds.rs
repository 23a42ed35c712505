//! Numbers that a condition compares with, and the condition with another number in their place.
//!
//! In:  the tree of a condition, as it was checked. Out: each [`Threshold`]; a tree with one of
//! them moved. A threshold is a literal on one side of `<`, `<=`, `>` or `>=`, or the distance of
//! `near(…)`. Equality has no threshold: nothing is nearly equal.
//!
//! They are numbered in the order in which the tree is gone through, loops included.

use cel::common::ast::{Expr, IdedExpr, LiteralValue, operators as op};

use super::scope;
use super::tree::each_child;

/// One number that a condition compares with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Threshold {
    /// As it stands in the condition.
    pub(crate) value: f64,
    /// Whether what is compared has to be larger for the comparison to hold.
    pub(crate) is_least: bool,
    /// Whether it is a whole number, and has to stay one.
    pub(crate) is_whole: bool,
}

impl Threshold {
    /// The number that is easier to reach by a share of its size; `None` where a whole number
    /// would stay the same.
    pub(crate) fn relaxed(&self, share: f64) -> Option<f64> {
        let step = self.value.abs() * share;
        let moved = if self.is_least { self.value - step } else { self.value + step };
        let moved = match (self.is_whole, self.is_least) {
            (false, _) => moved,
            (true, true) => moved.ceil(),
            (true, false) => moved.floor(),
        };
        moved.total_cmp(&self.value).is_ne().then_some(moved)
    }
}

/// The thresholds of a tree, in their order.
pub(super) fn thresholds(tree: &IdedExpr) -> Vec<Threshold> {
    let mut found = Vec::new();
    // A tree is small: a copy to go through costs less than going through it in two ways.
    each(&mut tree.clone(), &mut |threshold, _| found.push(threshold));
    found
}

/// The tree with one of its thresholds moved.
pub(super) fn moved(tree: &IdedExpr, index: usize, value: f64) -> IdedExpr {
    let mut tree = tree.clone();
    let mut at = 0;
    each(&mut tree, &mut |threshold, place| {
        if at == index {
            put(place, threshold, value);
        }
        at += 1;
    });
    tree
}

/// Writes another number where a threshold stands.
#[expect(clippy::cast_possible_truncation, reason = "whole numbers stay whole")]
fn put(place: &mut Expr, threshold: Threshold, value: f64) {
    let near = match &place {
        Expr::Ident(name) => scope::nearness_of(name),
        _ => None,
    };
    *place = match near {
        Some([latitude, longitude, _]) => {
            Expr::Ident(scope::nearness([latitude, longitude, value]))
        }
        None if threshold.is_whole => Expr::Literal(LiteralValue::Int((value as i64).into())),
        None => Expr::Literal(LiteralValue::Double(value.into())),
    };
}

fn each(tree: &mut IdedExpr, see: &mut impl FnMut(Threshold, &mut Expr)) {
    let near = match &tree.expr {
        Expr::Ident(name) => scope::nearness_of(name),
        _ => None,
    };
    if let Some([.., within_km]) = near {
        let threshold = Threshold { value: within_km, is_least: false, is_whole: false };
        see(threshold, &mut tree.expr);
    }
    if let Expr::Call(call) = &mut tree.expr {
        let least_on_the_right = match call.func_name.as_str() {
            op::GREATER | op::GREATER_EQUALS => Some(true),
            op::LESS | op::LESS_EQUALS => Some(false),
            _ => None,
        };
        if let (Some(is_least), [left, right]) = (least_on_the_right, call.args.as_mut_slice()) {
            for (side, is_least) in [(left, !is_least), (right, is_least)] {
                if let Some((value, is_whole)) = number(&side.expr) {
                    see(Threshold { value, is_least, is_whole }, &mut side.expr);
                }
            }
        }
    }
    each_child(tree, |part| each(part, see));
}

/// A number that was written as one, and whether it is whole.
#[expect(clippy::cast_precision_loss, reason = "thresholds are far below 2^53")]
fn number(part: &Expr) -> Option<(f64, bool)> {
    match part {
        Expr::Literal(LiteralValue::Double(number)) => Some((*number.inner(), false)),
        Expr::Literal(LiteralValue::Int(number)) => Some((*number.inner() as f64, true)),
        Expr::Call(call) if call.func_name == op::NEGATE && call.target.is_none() => {
            let (value, is_whole) = number(&call.args.first()?.expr)?;
            Some((-value, is_whole))
        }
        _ => None,
    }
}
