//! The end-to-end tests, one program: a file per stage.

mod common;
mod rules;
