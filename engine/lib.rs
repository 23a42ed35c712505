//! Signet: a photo carries its own order.
//!
//! Folders follow the way of a photo, left to right; a file imports only from folders
//! on its left (`tests/tidy.rs` checks it):
//!
//! ```text
//! base > store > collection > media > preview > detection > rules > orders > access > ledger >
//! reports > web
//! ```
//!
//! `agent` carries values onward between them, `lab` is the provider's side, `hub` stands between
//! them where no address leads to an agent, and
//! `commands` holds one file per word of the command line.

pub mod access;
pub mod agent;
pub mod base;
pub mod collection;
pub mod commands;
pub mod detection;
pub mod hub;
pub mod lab;
pub mod ledger;
pub mod media;
pub mod orders;
pub mod preview;
pub mod reports;
pub mod rules;
pub mod store;
pub mod web;
