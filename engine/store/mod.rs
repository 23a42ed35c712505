//! Everything that is kept in SQLite. The only folder that holds SQL.
//!
//! Knows no photo formats, no rules and no HTTP: other stages hand it plain values.

pub mod db;

pub use db::{Durability, StoreError};
