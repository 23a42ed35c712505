//! What owners, providers and operators read: what was fetched, by whom, for which order, what it
//! paid, what was refused.
//!
//! ```text
//! facts     rows of the store → a report: lines, sums, twelve months, words when nothing happened
//! lies      what a hub said that cannot be true: what it means and what to do
//! words     a report as plain text
//! html      a report as one file or mail that needs nothing else
//! pdf       a report on paper
//! notice    a report for programs: ids and sums only
//! feed      a report for feed readers
//! hub       statements of a hub's accounts, and whether they reconcile
//! ```
//!
//! Everything here is a value made of values: no clock, no disk, no sending. The pictures of photos
//! are in what the owner gets and in nothing else.

pub mod facts;
pub mod feed;
pub mod html;
pub mod hub;
pub mod lies;
pub mod notice;
pub mod pdf;
pub mod picture;
pub mod plot;
pub mod words;

pub use facts::{Report, Scope};
pub use picture::{Picture, Pictures};
