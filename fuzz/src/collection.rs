//! Files of `engine/collection` under test.

#[path = "../../engine/collection/group.rs"]
pub mod group;
