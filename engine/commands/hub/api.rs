//! `signet hub api`: the description of the hub's API, for whoever writes programs for it.

use crate::commands::{CommandError, Outcome, failed, output};
use crate::hub::http::openapi::description;

/// Prints the description: OpenAPI 3.1 as JSON, the same as `GET /v1/openapi.json`.
///
/// # Errors
/// Only when it cannot be written.
pub(super) fn run() -> Result<Outcome, CommandError> {
    output::line(description().to_pretty_json().map_err(failed)?);
    Ok(Outcome::Done)
}
