//! What commands print on stdout, and their progress on stderr. A closed pipe ends the program quietly, as `head` expects.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

/// A bar on stderr for work on many things, on a terminal.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Shows nothing yet.
    ///
    /// - `things`: what they are called, such as `photos`
    pub fn of_many(things: &str) -> Self {
        if !io::stderr().is_terminal() {
            return Self { bar: ProgressBar::hidden() };
        }
        let bar = ProgressBar::new(0);
        bar.enable_steady_tick(Duration::from_millis(200));
        let template = format!("{{bar:30}} {{pos}}/{{len}} {things}, {{per_sec}}, {{eta}} left");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        Self { bar }
    }

    /// So many of so many are done.
    pub fn show(&self, done_count: usize, all_count: usize) {
        self.bar.set_length(all_count as u64);
        self.bar.set_position(done_count as u64);
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

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
