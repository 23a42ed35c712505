//! `signet decode-worker`: what the other commands start to decode photos in. Not for people.

use crate::media::{decode, heif, sandbox};

use super::{CommandError, Outcome, failed};

/// Decodes what is asked through standard input until it ends.
///
/// # Errors
/// When whoever started it does not speak as agents do.
pub fn run() -> Result<Outcome, CommandError> {
    sandbox::serve(heif::prepare, decode).map_err(failed)?;
    Ok(Outcome::Done)
}
