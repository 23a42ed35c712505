//! Finds icons in a frame: localise, align, embed, match the gallery, verify.
//!
//! Knows nothing of rules, orders or files on disk.

pub mod sighting;

pub use sighting::{IconSighting, Tier};
