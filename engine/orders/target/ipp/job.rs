//! What a printer says of a job, and what that means for an order.
//!
//! A job is known by its name, `signet`, the key of the parcel and the number of its line: printers
//! number jobs anew after they were switched off.
//!
//! Knows nothing of bytes and calls.

use super::wire::Group;
use crate::orders::target::Progress;
use crate::store::OrderState;

/// What is asked about a job.
pub(super) const ASKED: [&str; 8] = [
    "job-id",
    "job-name",
    "job-state",
    "job-state-reasons",
    "job-impressions-completed",
    "job-media-sheets-completed",
    "job-printer-up-time",
    "time-at-creation",
];

/// Shortest and longest time until a job is asked about again, in seconds. A printer may forget
/// a job 60 s after it was done, so it is asked more often than that.
const LOOK_AGAIN_S: (i32, i32) = (2, 45);

/// A job as a printer has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    /// Its number.
    pub(super) id: i32,
    /// What it is called.
    name: String,
    state: JobState,
    reasons: Vec<String>,
    /// Pages or sheets that came out, as far as the printer says.
    made_count: i32,
    /// When it came, in seconds since the printer was switched on; before that when not positive.
    created_s: i32,
    /// How long the printer has been on, where it says so with the job.
    up_s: Option<i32>,
}

/// States of a job, as RFC 8011 numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JobState {
    Pending,
    Held,
    Processing,
    Stopped,
    Cancelled,
    Aborted,
    Completed,
}

/// How far a job of ours came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It has no document and waits for one: nothing will come of it.
    Empty,
    /// Its document is on its way, or it is being stopped: soon it is known what becomes of it.
    Unsettled,
    /// It ended before anything came out.
    Void,
    /// The printer has the document, or had it and printed.
    Taken,
}

impl Job {
    /// Reads what a printer says; `None` where it does not say the least.
    pub(super) fn read(group: &Group) -> Option<Self> {
        let state = match group.number("job-state")? {
            3 => JobState::Pending,
            4 => JobState::Held,
            5 => JobState::Processing,
            6 => JobState::Stopped,
            7 => JobState::Cancelled,
            8 => JobState::Aborted,
            9 => JobState::Completed,
            _ => return None,
        };
        let made = ["job-impressions-completed", "job-media-sheets-completed"];
        Some(Self {
            id: group.number("job-id")?,
            name: group.text("job-name")?.to_owned(),
            state,
            reasons: group.texts("job-state-reasons").map(str::to_owned).collect(),
            made_count: made.iter().filter_map(|name| group.number(name)).max().unwrap_or(0),
            created_s: group.number("time-at-creation").unwrap_or(0),
            up_s: group.number("job-printer-up-time"),
        })
    }

    /// What the job of a line is called.
    ///
    /// - `line_number`: from 1
    pub(super) fn name(parcel_key: &str, line_number: usize) -> String {
        format!("signet {parcel_key} {line_number}")
    }

    /// Whether it is the job of that name.
    pub(super) fn is_called(&self, name: &str) -> bool {
        self.name == name
    }

    /// Whether it is a job of that parcel.
    pub(super) fn is_of(&self, parcel_key: &str) -> bool {
        let rest = self.name.strip_prefix("signet ").and_then(|name| name.strip_prefix(parcel_key));
        rest.is_some_and(|rest| rest.starts_with(' '))
    }

    /// How far it came.
    pub(super) fn stage(&self) -> Stage {
        let is = |reason| self.reasons.iter().any(|known| known == reason);
        match self.state {
            JobState::Pending | JobState::Held if is("job-data-insufficient") => Stage::Empty,
            JobState::Pending | JobState::Held if is("job-incoming") => Stage::Unsettled,
            JobState::Processing | JobState::Stopped if is("processing-to-stop-point") => {
                Stage::Unsettled
            }
            JobState::Aborted if self.made_count <= 0 => Stage::Void,
            // By us, because it was empty. Who stands at the printer means it.
            JobState::Cancelled if self.made_count <= 0 && is("job-canceled-by-user") => {
                Stage::Void
            }
            _ => Stage::Taken,
        }
    }

    /// Whether nothing more will come of it.
    pub(super) const fn is_over(&self) -> bool {
        matches!(self.state, JobState::Cancelled | JobState::Aborted | JobState::Completed)
    }

    /// Whether it was printed.
    pub(super) fn is_completed(&self) -> bool {
        self.state == JobState::Completed
    }

    /// How long ago it came, in seconds.
    ///
    /// - `up_s`: how long the printer has been on
    pub(super) const fn age_s(&self, up_s: i32) -> i32 {
        up_s.saturating_sub(self.created_s)
    }

    /// What it means for the order.
    ///
    /// - `trouble`: what the printer says is wrong with itself
    pub(super) fn progress(&self, trouble: Option<&str>) -> Progress {
        let reasons = words(self.reasons.iter().map(String::as_str));
        let trouble = trouble.or(reasons.as_deref());
        let with = |what: &str| trouble.map_or_else(|| what.to_owned(), |t| format!("{what}: {t}"));
        let (state, note) = match self.state {
            JobState::Pending => (OrderState::Accepted, with("waits in the printer")),
            JobState::Held => (OrderState::Accepted, with("is held in the printer")),
            JobState::Processing => (OrderState::Production, with("is being printed")),
            JobState::Stopped => (OrderState::Production, with("the printer stopped")),
            JobState::Cancelled => (OrderState::Cancelled, with("cancelled at the printer")),
            JobState::Aborted => (OrderState::Failed, with("the printer gave up")),
            JobState::Completed => (OrderState::Done, "printed".to_owned()),
        };
        // Asked again ever more rarely, as the job grows older: after 16 s every 2 s, after 6
        // minutes every 45 s.
        let age_s = self.up_s.map_or(0, |up_s| self.age_s(up_s));
        let wait_s = (age_s / 8).clamp(LOOK_AGAIN_S.0, LOOK_AGAIN_S.1);
        let look_again_s = (!self.is_over()).then_some(i64::from(wait_s));
        Progress { state, note, look_again_s }
    }
}

/// What a printer says is wrong, in words; `None`: nothing.
pub(super) fn words<'a>(reasons: impl Iterator<Item = &'a str>) -> Option<String> {
    let words: Vec<String> = reasons.filter_map(reason_words).take(5).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// One reason in words, those that say only what the state says already left out.
fn reason_words(reason: &str) -> Option<String> {
    let stem = ["-error", "-warning", "-report"].iter().find_map(|end| reason.strip_suffix(end));
    let words = match stem.unwrap_or(reason) {
        "none"
        | "job-printing"
        | "job-incoming"
        | "job-queued"
        | "job-transforming"
        | "job-spooling"
        | "job-completed-successfully"
        | "processing-to-stop-point" => return None,
        "aborted-by-system" | "printer-stopped" | "printer-stopped-partly" => return None,
        "media-empty" => "no paper",
        "media-low" => "little paper left",
        "media-needed" => "other paper is needed",
        "media-jam" => "paper jam",
        "input-tray-missing" => "a tray is missing",
        "marker-supply-empty" | "toner-empty" => "no ink or toner",
        "marker-supply-low" | "toner-low" => "little ink or toner left",
        "cover-open" | "door-open" | "interlock-open" => "a cover is open",
        "output-area-full" | "output-tray-missing" => "no room for what comes out",
        "offline" | "shutdown" => "the printer is off",
        "paused" | "moving-to-paused" => "the printer is paused",
        "job-canceled-by-user" | "job-canceled-by-operator" | "job-canceled-at-device" => {
            "someone cancelled it"
        }
        // `document-format-error`, which ends like the grave ones of the printer.
        "document-format" => "the printer cannot read the photo",
        "job-data-insufficient" => "the photo did not arrive",
        other => {
            let plain: String = other.chars().filter(|c| !c.is_control()).take(60).collect();
            return Some(plain);
        }
    };
    Some(words.to_owned())
}

#[cfg(test)]
mod tests;
