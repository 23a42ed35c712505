//! Readable rule files: TOML with CEL conditions, judged over facts.
//!
//! Knows no pixels, absolute paths or HTTP.

pub mod archive;
pub mod cases;
pub mod census;
pub mod eval;
pub mod facts;
pub mod files;
pub mod inputs;
pub mod limit;
pub mod lint;
pub mod near;
pub mod read;
pub mod roll;
pub mod schema;
pub mod set;
pub mod shipped;
pub mod source;
pub mod story;
pub mod tune;
pub mod verdict;
mod views;

pub use archive::Archive;
pub use cases::{CaseReport, CasesReport};
pub use facts::{Facts, IconFact, PathFact, TimeFact};
pub use inputs::{Inputs, Standing};
pub use limit::Limit;
pub use lint::{RuleWarning, WarningKind};
pub use read::Known;
pub use roll::{CardFact, Role};
pub use set::{Judgement, Offer, RuleFailure, RuleSet, RulesInForce};
pub use source::{Author, RuleFile, RuleMistake};
pub use story::RuleStory;
pub use verdict::{Confirm, Verdict, Wish};
