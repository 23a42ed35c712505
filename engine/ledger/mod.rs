//! Double entry: who owes what for an access. Integer minor units, debits positive. And the logs
//! that prove it: trees of RFC 6962 whose heads are signed.

pub mod checkpoint;
pub mod evidence;
pub mod own_log;
pub mod posting;
pub mod proven;
pub mod statement;
pub mod tree;

pub use posting::access_entries;
