//! What commands print on stdout. A closed pipe ends the program quietly, as `head` expects.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;

/// Prints one line on stdout.
pub fn line(text: impl Display) {
    write(format_args!("{text}"));
}

/// Prints one value as one line of JSON on stdout.
pub fn json(value: &impl Serialize) {
    match serde_json::to_string(value) {
        Ok(text) => line(text),
        Err(error) => tracing::error!(%error, "a result could not be written as JSON"),
    }
}

fn write(text: std::fmt::Arguments<'_>) {
    let mut stdout = io::stdout().lock();
    if let Err(error) = writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        let code = if error.kind() == io::ErrorKind::BrokenPipe { 0 } else { 1 };
        std::process::exit(code);
    }
}
