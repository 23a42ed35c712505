//! Readable rule files: TOML with CEL conditions, judged over facts.
//!
//! Knows no pixels, absolute paths or HTTP.

pub mod facts;
pub mod verdict;

pub use facts::{Facts, IconFact, PathFact, TimeFact};
pub use verdict::{Confirm, Verdict, Wish};
