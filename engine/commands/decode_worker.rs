//! `signet decode-worker`: what the other commands start to decode photos in. Not for people.

use crate::media::sandbox::Layer;
use crate::media::{decode, heif, sandbox};

use super::{CommandError, Outcome, failed};

/// Decodes what is asked through standard input until it ends.
///
/// # Errors
/// When whoever started it does not speak as agents do.
pub fn run() -> Result<Outcome, CommandError> {
    sandbox::serve(prepare, decode).map_err(failed)?;
    Ok(Outcome::Done)
}

/// Opens what cannot be opened later, and says what is there.
fn prepare() -> Vec<Layer> {
    heif::prepare();
    let found = heif::available();
    let holds = found.is_ok();
    vec![Layer { name: heif::NAME.into(), holds, text: found.unwrap_or_else(|why| why) }]
}
