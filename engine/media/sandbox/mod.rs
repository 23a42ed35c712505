//! Decoding in processes of their own, which can do nothing but decode.
//!
//! ```text
//! agent thread                                decode worker (this program again)
//!   Decoder ──Request, descriptors──► line ──► maps the photo, decodes
//!      │                                          │ writes pixels
//!   copies the pixels ◄──Answer────── line ◄──────┘
//! ```
//!
//! In:  the bytes of a photo in [`SharedBytes`] and how large the result has to be.
//! Out: what [`super::decode`] gives, or how the worker ended over it.
//!
//! A worker has no name of any file, no network, no way to start or signal anything, a bounded
//! memory and five seconds of processor time for each photo (`jail`, `filter`). Where the
//! system lacks a part of this it works without, and says so in its [`Posture`]. What it
//! answers is not believed before it is checked (`protocol`).
//!
//! A worker stays for a thousand photos. One that was taken over could tell lies about those
//! that follow, but no more than that.
//!
//! Knows nothing of paths and of what a picture shows.

mod child;
mod decoder;
mod error;
#[cfg(target_os = "linux")]
mod filter;
mod jail;
mod line;
mod memory;
pub mod protocol;
mod worker;

pub use decoder::{Decoder, Decoders};
pub use error::SandboxError;
pub use memory::SharedBytes;
pub use protocol::{Layer, Posture};
pub use worker::serve;

use std::time::Duration;

/// Processor time that one photo may take.
pub const PROCESSOR_TIME_MAX: Duration = Duration::from_secs(5);

/// Memory that one worker may fill, with the photo and the program itself.
pub const MEMORY_BYTES_MAX: u64 = 512 << 20;
