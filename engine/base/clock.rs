//! The only place that reads the system clock. Everything else gets time as an argument.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A moment in UTC, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Reads the system clock.
    #[expect(clippy::disallowed_methods, reason = "this is the home that the lint names")]
    pub fn now() -> Self {
        Self(jiff::Timestamp::now().as_millisecond())
    }

    /// Whole seconds since 1970, as JWS and webhooks want them.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The moment `millis` later (earlier when negative).
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Midnight UTC of the day that holds this moment.
    #[must_use]
    pub const fn day_start(self) -> Self {
        const DAY_MS: i64 = 86_400_000;
        Self(self.0.div_euclid(DAY_MS) * DAY_MS)
    }

    /// Year, month and day in UTC, as certificates want them.
    pub fn date(self) -> (i32, u8, u8) {
        let moment = jiff::Timestamp::from_millisecond(self.0).unwrap_or_default();
        let date = moment.to_zoned(jiff::tz::TimeZone::UTC).date();
        (date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
    }

    /// Midnight UTC of the first day of the month that holds this moment.
    #[must_use]
    pub fn month_start(self) -> Self {
        let Ok(moment) = jiff::Timestamp::from_millisecond(self.0) else { return self };
        let first = moment.to_zoned(jiff::tz::TimeZone::UTC).date().first_of_month();
        first
            .to_zoned(jiff::tz::TimeZone::UTC)
            .map_or(self, |start| Self(start.timestamp().as_millisecond()))
    }
}

/// A moment, and how far local clocks are ahead of UTC then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// In UTC.
    pub at: Timestamp,
    /// What local clocks show more than UTC.
    pub offset_minutes: i64,
}

impl Moment {
    /// In UTC itself.
    pub const fn utc(at: Timestamp) -> Self {
        Self { at, offset_minutes: 0 }
    }

    /// By the time zone of this computer.
    pub fn local(at: Timestamp) -> Self {
        let moment = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
        let offset = jiff::tz::TimeZone::system().to_offset(moment);
        Self { at, offset_minutes: i64::from(offset.seconds()).div_euclid(60) }
    }

    /// Minutes since local midnight, `0..1440`, at a moment near this one.
    pub const fn minute_of_day(self, at: Timestamp) -> i64 {
        (at.0.div_euclid(60_000) + self.offset_minutes).rem_euclid(24 * 60)
    }
}

/// RFC 3339 in UTC, to the millisecond.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(moment) => write!(f, "{}", moment.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")),
            Err(_out_of_range) => write!(f, "{} ms", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn month_starts_on_its_first_midnight() {
        let moment: jiff::Timestamp = "2026-11-20T17:34:00Z".parse().expect("a date");
        let start = Timestamp(moment.as_millisecond()).month_start();
        assert_eq!(start.to_string(), "2026-11-01T00:00:00.000Z");
    }
}
