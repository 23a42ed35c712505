//! Double entry: who owes what for an access. Integer minor units, debits positive.

pub mod posting;
pub mod statement;

pub use posting::access_entries;
