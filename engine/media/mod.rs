//! From a file to pixels and facts: bytes, format, metadata, decoding.
//!
//! Only `read` touches the disk; decoding is a plain function over bytes in memory, which
//! `sandbox` runs in a process of its own.

pub mod companion;
pub mod decode;
pub mod dpof;
pub mod extras;
pub mod format;
pub mod frame;
pub mod heif;
pub mod metadata;
pub mod read;
pub mod resize;
pub mod sandbox;

mod bmff;
mod colour;
mod gif;
mod ifd;
mod jpeg;
mod png;
mod raw;
mod shrink;
mod tiff;
mod webp;

pub use companion::{CompanionFacts, Link};
pub use decode::{DecodeError, DecodeSpec, Decoded, decode};
pub use dpof::{PrintJob, PrintKind, PrintMarks, PrintSize};
pub use extras::{Embedded, Evidence, Extras, Promise, Words};
pub use format::MediaType;
pub use frame::Frame;
pub use metadata::{CivilTime, Metadata, Orientation, Place};
pub use read::{Original, ReadError, read_original, read_shared};
pub use sandbox::{Decoder, Decoders, SandboxError, SharedBytes};

/// When it makes sense to try a failed photo again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// In a moment: the cause was outside the file.
    Soon,
    /// Not before the file has another content or state.
    WhenFileChanges,
}
