//! Files of `engine/media` under test, and what they import.

#[path = "../../engine/media/bmff.rs"]
mod bmff;
#[path = "../../engine/media/colour.rs"]
mod colour;
#[path = "../../engine/media/companion/mod.rs"]
pub mod companion;
#[path = "../../engine/media/dpof.rs"]
pub mod dpof;
#[path = "../../engine/media/extras.rs"]
pub mod extras;
#[path = "../../engine/media/frame.rs"]
mod frame;
#[path = "../../engine/media/ifd.rs"]
mod ifd;
#[path = "jpeg.rs"]
mod jpeg;
#[path = "../../engine/media/metadata.rs"]
pub mod metadata;
