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

/// Hands out the parts right below the root of a tree, to be changed.
pub(super) fn each_child(tree: &mut IdedExpr, mut see: impl FnMut(&mut IdedExpr)) {
    match &mut tree.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
        Expr::Call(call) => {
            call.target.iter_mut().for_each(|target| see(target));
            call.args.iter_mut().for_each(see);
        }
        Expr::Select(select) => see(&mut select.operand),
        Expr::List(list) => list.elements.iter_mut().for_each(see),
        Expr::Map(map) => {
            map.entries.iter_mut().for_each(|entry| each_of_entry(&mut entry.expr, &mut see));
        }
        Expr::Struct(made) => {
            made.entries.iter_mut().for_each(|entry| each_of_entry(&mut entry.expr, &mut see));
        }
        Expr::Comprehension(turns) => {
            for part in [
                &mut turns.iter_range,
                &mut turns.accu_init,
                &mut turns.loop_cond,
                &mut turns.loop_step,
                &mut turns.result,
            ] {
                see(part);
            }
        }
    }
}

fn each_of_entry(entry: &mut EntryExpr, see: &mut impl FnMut(&mut IdedExpr)) {
    match entry {
        EntryExpr::StructField(field) => see(&mut field.value),
        EntryExpr::MapEntry(entry) => {
            see(&mut entry.key);
            see(&mut entry.value);
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
