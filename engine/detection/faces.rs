//! Finds faces in a frame and names those of enrolled people: localise, align, embed, match, judge.
//!
//! The same steps as for icons. What differs is here: the networks are not ours and described by a
//! manifest (`manifest`), places come with five points (`localise`), crops are turned by those
//! (`align`), and what stands in the gallery are people's templates (`gallery`).
//!
//! A face inside the house frame is a portrait (`portrait`): somebody's icon, and not somebody who is
//! there. `portrait_card` makes such a picture.
//!
//! What is embedded and matches nobody is dropped before `FaceDetector::look` returns.
//!
//! Knows nothing of rules, orders, consent or files of the home.

pub mod align;
pub mod curves;
pub mod detector;
pub mod embed;
pub mod files;
pub mod gallery;
pub mod graph;
pub mod localise;
pub mod manifest;
pub mod onnx;
pub mod portrait;
pub mod portrait_card;
pub mod quality;
pub mod survey;

pub use detector::{FaceDetector, FaceModels, FaceSighting};
pub use files::{FaceFiles, FaceFilesError};
pub use gallery::{People, Person};
pub use manifest::Manifest;
