//! Days, weeks and months as people's calendars have them.
//!
//! In:  moments in UTC and a time zone. Out: the period that holds a moment, where it begins and
//! ends, what it is called. A day need not have 24 hours, so nothing here counts milliseconds.

use std::str::FromStr;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp as Instant, ToSpan};
use serde::{Deserialize, Serialize};

use super::clock::Timestamp;

/// By whose clocks days begin.
#[derive(Debug, Clone)]
pub struct Zone(TimeZone);

/// From a moment until before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First moment inside.
    pub from: Timestamp,
    /// First moment behind it.
    pub to: Timestamp,
}

/// How long a period is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cycle {
    /// From midnight to midnight.
    Daily,
    /// From Monday on, as ISO 8601 counts weeks.
    Weekly,
    /// From the first on.
    Monthly,
}

/// One day, week or month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    cycle: Cycle,
    first: Date,
}

/// A text that is no day or month.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {wanted}")]
pub struct PeriodError {
    text: String,
    wanted: &'static str,
}

impl Span {
    /// All of time.
    pub const ALL: Self = Self { from: Timestamp(0), to: Timestamp(i64::MAX) };

    /// Whether a moment is inside.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }
}

impl Zone {
    /// The one of this computer.
    pub fn local() -> Self {
        Self(TimeZone::system())
    }

    /// UTC itself.
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// One that is so many hours ahead of UTC, always.
    pub fn hours_ahead(hours: i8) -> Self {
        Self(TimeZone::fixed(jiff::tz::offset(hours.clamp(-23, 23))))
    }

    /// A moment as clocks show it: `2026-11-21 14:05`.
    pub fn clock(&self, at: Timestamp) -> String {
        self.zoned(at).strftime("%Y-%m-%d %H:%M").to_string()
    }

    fn zoned(&self, at: Timestamp) -> jiff::Zoned {
        Instant::from_millisecond(at.0).unwrap_or_default().to_zoned(self.0.clone())
    }

    /// The first moment of a day; at the ends of the calendar, those of the clock.
    fn start(&self, date: Date) -> Timestamp {
        let start = date.to_zoned(self.0.clone());
        let outermost = Timestamp(if date < Date::ZERO { i64::MIN } else { i64::MAX });
        start.map_or(outermost, |start| Timestamp(start.timestamp().as_millisecond()))
    }
}

impl Period {
    /// The one that holds a moment.
    pub fn holding(cycle: Cycle, at: Timestamp, zone: &Zone) -> Self {
        Self::around(cycle, zone.zoned(at).date())
    }

    fn around(cycle: Cycle, date: Date) -> Self {
        let first = match cycle {
            Cycle::Daily => date,
            Cycle::Weekly => {
                let behind = date.weekday().since(Weekday::Monday);
                date.saturating_sub(i64::from(behind).days())
            }
            Cycle::Monthly => date.first_of_month(),
        };
        Self { cycle, first }
    }

    /// A day such as `2026-11-20`.
    ///
    /// # Errors
    /// A text that is none.
    pub fn day(text: &str) -> Result<Self, PeriodError> {
        let date = Date::from_str(text).map_err(|_not_a_date| PeriodError {
            text: text.to_owned(),
            wanted: "day such as 2026-11-20",
        })?;
        Ok(Self { cycle: Cycle::Daily, first: date })
    }

    /// A month such as `2026-11`.
    ///
    /// # Errors
    /// A text that is none.
    pub fn month(text: &str) -> Result<Self, PeriodError> {
        let wrong = || PeriodError { text: text.to_owned(), wanted: "month such as 2026-11" };
        let is_short = text.len() == "2026-11".len();
        let date = Date::from_str(&format!("{text}-01")).ok().filter(|_| is_short);
        Ok(Self { cycle: Cycle::Monthly, first: date.ok_or_else(wrong)? })
    }

    /// When it begins and ends.
    pub fn span(self, zone: &Zone) -> Span {
        Span { from: zone.start(self.first), to: zone.start(self.next().first) }
    }

    /// The one behind it.
    #[must_use]
    pub fn next(self) -> Self {
        let step = match self.cycle {
            Cycle::Daily => 1.day(),
            Cycle::Weekly => 1.week(),
            Cycle::Monthly => 1.month(),
        };
        Self { first: self.first.saturating_add(step), ..self }
    }

    /// The one before it.
    #[must_use]
    pub fn previous(self) -> Self {
        Self::around(self.cycle, self.first.yesterday().unwrap_or(self.first))
    }

    /// What names it for good: `2026-11-21`, `2026-W47`, `2026-11`.
    pub fn name(self) -> String {
        match self.cycle {
            Cycle::Daily => self.first.to_string(),
            Cycle::Weekly => {
                let week = self.first.iso_week_date();
                format!("{}-W{:02}", week.year(), week.week())
            }
            Cycle::Monthly => self.first.strftime("%Y-%m").to_string(),
        }
    }

    /// What people call it: `21 November 2026`, `the week from 16 November 2026`, `November 2026`.
    pub fn words(self) -> String {
        let day = || self.first.strftime("%-d %B %Y").to_string();
        match self.cycle {
            Cycle::Daily => day(),
            Cycle::Weekly => format!("the week from {}", day()),
            Cycle::Monthly => self.first.strftime("%B %Y").to_string(),
        }
    }

    /// Three letters for the axis of a plot: `Nov`.
    pub fn month_letters(self) -> String {
        self.first.strftime("%b").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21, 23:30 UTC: a Saturday.
    const LATE: Timestamp = Timestamp(1_795_303_800_000);

    #[test]
    fn period_is_the_one_of_the_readers_own_calendar() {
        let (utc, east) = (Zone::utc(), Zone::hours_ahead(2));
        for (cycle, zone, name, words) in [
            (Cycle::Daily, &utc, "2026-11-21", "21 November 2026"),
            (Cycle::Daily, &east, "2026-11-22", "22 November 2026"),
            (Cycle::Weekly, &utc, "2026-W47", "the week from 16 November 2026"),
            (Cycle::Monthly, &utc, "2026-11", "November 2026"),
        ] {
            let period = Period::holding(cycle, LATE, zone);
            assert_eq!((period.name().as_str(), period.words().as_str()), (name, words));
            let span = period.span(zone);
            assert!(span.holds(LATE) && !span.holds(span.to), "{name}");
            assert_eq!(period.next().previous(), period);
            assert_eq!(period.next().span(zone).from, span.to);
        }
        assert_eq!(east.clock(LATE), "2026-11-22 01:30");
    }

    #[test]
    fn months_and_days_are_read_as_they_are_written() {
        let month = Period::month("2026-12").expect("a month");
        assert_eq!((month.name().as_str(), month.next().name().as_str()), ("2026-12", "2027-01"));
        let span = month.span(&Zone::utc());
        assert_eq!(span.to.0 - span.from.0, 31 * 86_400_000);
        for text in ["", "2026", "2026-13", "2026-1", "2026-11-01", "November", "2026-11 "] {
            assert!(Period::month(text).is_err(), "{text}");
        }
        assert!(Period::day("2026-02-29").is_err() && Period::day("2028-02-29").is_ok());
    }

    #[test]
    fn day_on_which_clocks_change_has_its_own_length() {
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a zone");
        let zone = Zone(berlin);
        let hours = |day: &str| {
            let span = Period::day(day).expect("a day").span(&zone);
            (span.to.0 - span.from.0) / 3_600_000
        };
        assert_eq!((hours("2026-03-29"), hours("2026-10-25"), hours("2026-11-21")), (23, 25, 24));
    }
}
