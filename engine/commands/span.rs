//! `--from`, `--to` and `--month`: which time a report or statement is about.

use crate::base::calendar::{Cycle, Period, PeriodError, Span, Zone};
use crate::base::clock::Timestamp;
use crate::reports::Scope;

use super::CommandError;

/// What the user typed. Days and months are those of this computer's clocks.
#[derive(Debug, clap::Args)]
pub(super) struct SpanArgs {
    /// First day, such as 2026-11-01
    #[arg(long, conflicts_with = "month")]
    from: Option<String>,
    /// Last day, such as 2026-11-30
    #[arg(long, conflicts_with = "month")]
    to: Option<String>,
    /// One month, such as 2026-11
    #[arg(long)]
    month: Option<String>,
}

/// What is meant when no time is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unnamed {
    /// This month.
    ThisMonth,
    /// All of time.
    Ever,
}

impl SpanArgs {
    /// The time that is meant.
    pub(super) fn scope(
        &self,
        unnamed: Unnamed,
        zone: &Zone,
        now: Timestamp,
    ) -> Result<Scope, CommandError> {
        let usage = |error: PeriodError| CommandError::Usage(error.to_string());
        if let Some(month) = &self.month {
            return Ok(Scope::of(Period::month(month).map_err(usage)?, zone));
        }
        let day =
            |text: &Option<String>| text.as_deref().map(Period::day).transpose().map_err(usage);
        let (title, span) = match (day(&self.from)?, day(&self.to)?) {
            (None, None) => match unnamed {
                Unnamed::ThisMonth => {
                    return Ok(Scope::of(Period::holding(Cycle::Monthly, now, zone), zone));
                }
                Unnamed::Ever => ("all of time".to_owned(), Span::ALL),
            },
            (Some(first), None) => {
                let from = first.span(zone).from;
                (format!("since {}", first.words()), Span { from, ..Span::ALL })
            }
            (None, Some(last)) => {
                let to = last.span(zone).to;
                (format!("until {}", last.words()), Span { to, ..Span::ALL })
            }
            (Some(first), Some(last)) => {
                let span = Span { from: first.span(zone).from, to: last.span(zone).to };
                if span.from >= span.to {
                    return Err(CommandError::Usage("--to is before --from".into()));
                }
                (format!("{} to {}", first.words(), last.words()), span)
            }
        };
        Ok(Scope { title, span, until: now.min(span.to.plus_millis(-1)) })
    }
}
