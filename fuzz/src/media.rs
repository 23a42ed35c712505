//! Files of `engine/media` under test, and what they import.

#[path = "../../engine/media/companion/mod.rs"]
pub mod companion;
#[path = "../../engine/media/dpof.rs"]
pub mod dpof;
#[path = "../../engine/media/extras.rs"]
pub mod extras;
#[path = "../../engine/media/metadata.rs"]
pub mod metadata;
