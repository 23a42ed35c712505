//! Files of `engine/media/jpeg` that the parsers import.

#[path = "../../engine/media/jpeg/markers.rs"]
pub(super) mod markers;
