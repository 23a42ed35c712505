//! `signet lab verify`: whether the hub charged for what the owners' logs prove.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::{CommandError, Outcome, output};
use crate::access::PublicKey;
use crate::base::money::decimal;
use crate::lab::charges::{Finding, Keys, Statement, check};
use crate::store::hub::PostingKind;

/// Longest statement that is read, in bytes: 2000 lines with their proofs are some five million.
const STATEMENT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What the user typed.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What the hub answered to GET /v1/provider/accesses?proof=true; - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A key that an owner told you, for a computer that changed its key; may be given several
    /// times
    #[arg(long = "key", value_name = "AGENT=KEY", value_parser = key, allow_hyphen_values = true)]
    keys: Vec<(String, PublicKey)>,
}

fn key(text: &str) -> Result<(String, PublicKey), String> {
    let (agent, key) = text.split_once('=').ok_or("it should be AGENT=KEY")?;
    let key = key.parse().map_err(|_no_key| format!("`{key}` is no key"))?;
    Ok((agent.to_owned(), key))
}

/// Runs it.
///
/// # Errors
/// When a file cannot be read or is no statement. What is not proven is no error but exit code 1.
pub(super) fn run(args: &Args, json: bool) -> Result<Outcome, CommandError> {
    let statements =
        args.files.iter().map(|path| read(path)).collect::<Result<Vec<_>, CommandError>>()?;
    let mut keys = Keys::new();
    for (agent, key) in &args.keys {
        keys.entry(agent.clone()).or_default().push(key.clone());
    }
    let findings = check(&statements, &keys);
    for finding in &findings {
        if json {
            output::json(finding);
        } else {
            output::line(line_of(finding));
        }
    }
    let proven_count = findings.iter().filter(|finding| finding.proven).count();
    if !json {
        output::line(format_args!("{proven_count} of {} charges proven", findings.len()));
    }
    Ok(if proven_count == findings.len() { Outcome::Done } else { Outcome::SomeFailed })
}

fn read(path: &Path) -> Result<Statement, CommandError> {
    let mut text = String::new();
    let read = match path.to_str() {
        Some("-") => std::io::stdin().take(STATEMENT_BYTES_MAX).read_to_string(&mut text),
        _ => std::fs::File::open(path)
            .and_then(|file| file.take(STATEMENT_BYTES_MAX).read_to_string(&mut text)),
    };
    read.map_err(|error| CommandError::failed(format!("`{}`: {error}", path.display())))?;
    serde_json::from_str(&text).map_err(|error| {
        CommandError::failed(format!(
            "`{}` is not what the hub answers to GET /v1/provider/accesses?proof=true: {error}",
            path.display()
        ))
    })
}

fn line_of(finding: &Finding) -> String {
    let Finding { at, minor, currency, grant, .. } = finding;
    let what = match finding.charge {
        PostingKind::Reversal => "back    ",
        _ => "fetched ",
    };
    let charge = format!("{at}  {what} {} {currency}  grant {grant}", decimal(*minor));
    match finding.faults.as_slice() {
        [] => format!("proven      {charge}"),
        faults => format!("NOT PROVEN  {charge}: {}", faults.join(", ")),
    }
}
