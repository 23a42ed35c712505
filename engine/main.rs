//! `signet`: one program, three long-running roles and short commands.

fn main() {}
