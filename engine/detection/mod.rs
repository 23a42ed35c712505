//! Finds icons and faces in a frame: localise, align, embed, match the gallery, verify.
//!
//! Coordinates: pixel `(i, j)` covers `i..i+1` by `j..j+1`, its centre is at `+0.5`. Quads
//! run clockwise from the icon's own top left.
//!
//! Knows nothing of rules, orders or photos on disk.

pub mod align;
pub mod alike;
pub mod card;
pub mod detector;
pub mod draw;
pub mod embed;
pub mod enrolment;
pub mod error;
pub mod faces;
pub mod foreign;
pub mod gallery;
pub mod icon_set;
pub mod intake;
pub mod localise;
pub mod pose;
pub mod quads;
pub mod runtime;
pub mod seal;
pub mod session;
pub mod sighting;
pub mod tensor;
pub mod trace;
pub mod verify;
pub mod warp;

pub use detector::{IconDetector, IconModels};
pub use enrolment::{Enrolment, Memory};
pub use error::DetectionError;
pub use icon_set::{IconSet, IconSetError};
pub use runtime::LibrarySearch;
pub use seal::SealWord;
pub use session::Runtime;
pub use sighting::{IconSighting, Seal, Tier};
