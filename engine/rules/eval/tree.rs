//! Going through the tree of a condition: every part of it, in the order in which it was written.
//!
//! Knows no names and no kinds; `check.rs` says what a tree may hold.

use cel::common::ast::{EntryExpr, Expr, IdedExpr};

/// Hands out a tree and all its parts, a part before those inside it.
pub(super) fn visit<'t>(tree: &'t IdedExpr, see: &mut impl FnMut(&'t IdedExpr)) {
    see(tree);
    match &tree.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
        Expr::Call(call) => {
            call.target.iter().for_each(|target| visit(target, see));
            call.args.iter().for_each(|arg| visit(arg, see));
        }
        Expr::Select(select) => visit(&select.operand, see),
        Expr::List(list) => list.elements.iter().for_each(|element| visit(element, see)),
        Expr::Map(map) => map.entries.iter().for_each(|entry| visit_entry(&entry.expr, see)),
        Expr::Struct(made) => made.entries.iter().for_each(|entry| visit_entry(&entry.expr, see)),
        Expr::Comprehension(turns) => {
            for part in [
                &turns.iter_range,
                &turns.accu_init,
                &turns.loop_cond,
                &turns.loop_step,
                &turns.result,
            ] {
                visit(part, see);
            }
        }
    }
}

fn visit_entry<'t>(entry: &'t EntryExpr, see: &mut impl FnMut(&'t IdedExpr)) {
    match entry {
        EntryExpr::StructField(field) => visit(&field.value, see),
        EntryExpr::MapEntry(entry) => {
            visit(&entry.key, see);
            visit(&entry.value, see);
        }
    }
}

/// The names that a tree asks for.
pub(super) fn names(tree: &IdedExpr) -> Vec<&str> {
    let mut names = Vec::new();
    visit(tree, &mut |part| {
        if let Expr::Ident(name) = &part.expr {
            names.push(name.as_str());
        }
    });
    names
}
