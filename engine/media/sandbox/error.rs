//! Why a photo gave no frame, with all that may happen to a worker over it.

use std::io;

use super::PROCESSOR_TIME_MAX;
use super::child::WALL_TIME_MAX;
use super::protocol::Nonsense;
use crate::media::{DecodeError, Retry};

/// Why a photo gave no frame.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// Its bytes.
    #[error(transparent)]
    Photo(#[from] DecodeError),
    /// Its decoding did not end.
    #[error("decoding took more than {} s of processor time", PROCESSOR_TIME_MAX.as_secs())]
    Slow,
    /// The decoder waited for something, or the computer is very busy.
    #[error("the decoder gave no answer within {} s", WALL_TIME_MAX.as_secs())]
    Stuck,
    /// More memory than a worker may have.
    #[error("the decoder was stopped: it needed too much memory")]
    OutOfMemory,
    /// A bug in a decoder.
    #[error("the decoder crashed on it ({how})")]
    Crashed {
        /// Such as `signal 11`.
        how: String,
    },
    /// The decoder was taken over, or a list of `filter` is too short.
    #[error("the decoder was stopped: it tried something that no decoder needs")]
    Forbidden,
    /// What the decoder answered cannot be true.
    #[error("the decoder made no sense: {0}")]
    Nonsense(String),
    /// Killed, and once more when the photo was tried again.
    #[error("the decoder was killed twice: by another program, or memory ran out")]
    Killed,
    /// Nothing can be decoded now.
    #[error(
        "no decoder can be started: see whether this user may start more processes \
         (`ulimit -u`) and there is memory left"
    )]
    Unavailable(#[source] io::Error),
}

impl SandboxError {
    /// When another try makes sense.
    pub const fn retry(&self) -> Retry {
        match self {
            Self::Photo(error) => error.retry(),
            Self::Stuck | Self::Killed | Self::Unavailable(_) => Retry::Soon,
            Self::Slow
            | Self::OutOfMemory
            | Self::Crashed { .. }
            | Self::Forbidden
            | Self::Nonsense(_) => Retry::WhenFileChanges,
        }
    }

    /// Whether the worker may have ended over what happened before this photo.
    pub(super) const fn may_have_another_cause(&self, worker_was_new: bool) -> bool {
        match self {
            Self::Killed => true,
            Self::OutOfMemory | Self::Crashed { .. } | Self::Forbidden | Self::Nonsense(_) => {
                !worker_was_new
            }
            Self::Photo(_) | Self::Slow | Self::Stuck | Self::Unavailable(_) => false,
        }
    }
}

impl From<Nonsense> for SandboxError {
    fn from(nonsense: Nonsense) -> Self {
        Self::Nonsense(nonsense.to_string())
    }
}
