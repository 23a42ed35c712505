//! Words that every stage shares: ids, time, money, the home folder and its config.
//!
//! Knows nothing of photos, rules or HTTP.

pub mod address;
pub mod allow;
pub mod calendar;
pub mod causes;
pub mod clock;
pub mod config;
pub mod crop;
pub mod file_kind;
pub mod file_state;
pub mod files;
pub mod heap;
pub mod home;
pub mod ids;
pub mod mail;
pub mod markup;
pub mod member;
pub mod money;
pub mod names;
