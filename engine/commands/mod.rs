//! The command line: one file per word, nothing here that a library user would need.
//!
//! Every command has `Args` (what the user typed) and `run(&Args, &Context)`. It works
//! without a terminal, prints results on stdout through [`output`], and logs to stderr.

pub mod addressees;
pub mod companions;
pub mod consent;
pub mod decode_worker;
pub mod doctor;
pub mod grants;
pub mod hub;
pub mod icons;
mod icons_add;
mod icons_export;
mod icons_seal;
mod icons_sheet;
mod icons_stamp;
mod icons_words;
pub mod init;
pub mod lab;
mod lab_verify;
pub mod look;
pub mod models;
pub mod orders;
pub mod output;
pub mod people;
mod people_card;
mod people_check;
pub mod report;
mod report_verify;
pub mod rules;
mod rules_add;
mod rules_study;
pub mod run;
mod serving;
mod span;

use std::path::PathBuf;

use crate::base::clock::Timestamp;

/// What every command is told.
#[derive(Debug, Clone)]
pub struct Context {
    /// `SIGNET_HOME`, or the folder given with `--home`.
    pub home: PathBuf,
    /// Print one JSON object per line instead of words.
    pub json: bool,
    /// Answer yes to questions.
    pub yes: bool,
}

/// How a command that ran ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Exit code 0.
    Done,
    /// Exit code 1: some items failed, each named on stderr already.
    SomeFailed,
}

/// Why a command could not do what was asked; printed as one line, causes joined by `: `.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Exit code 2: the user has to ask differently.
    #[error("{0}")]
    Usage(String),
    /// Exit code 1: it failed, for the reasons inside.
    #[error(transparent)]
    Failed(#[from] Box<dyn std::error::Error + Send + Sync>),
}

impl CommandError {
    /// A failure told in words: what went wrong and what to do about it.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into().into())
    }
}

/// Wraps any error of the engine for the `?` of a command.
pub fn failed(error: impl std::error::Error + Send + Sync + 'static) -> CommandError {
    CommandError::Failed(Box::new(error))
}

/// Midnight UTC of a day such as `2026-11-20`.
fn day(text: &str) -> Result<Timestamp, CommandError> {
    let date: jiff::civil::Date = text.parse().map_err(|_not_a_date| {
        CommandError::Usage(format!("`{text}` is no day such as 2026-11-20"))
    })?;
    let start = date.to_zoned(jiff::tz::TimeZone::UTC).map_err(failed)?;
    Ok(Timestamp(start.timestamp().as_millisecond()))
}
