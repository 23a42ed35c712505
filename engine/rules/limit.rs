//! What narrows orders, whoever's rule they come from: budgets, quiet hours, time to think.
//!
//! A limit only ever takes away: every one that an order falls under holds, so a file can narrow
//! what another allows and never widen it. What exceeds a limit is not lost, it asks.
//!
//! In:  an order as it is planned, what this month's orders came to. Out: why it asks, and until
//! when it waits. Pure; reading limits from files is in `read/limits.rs`.

use std::fmt;

use crate::base::clock::{Moment, Timestamp};
use crate::base::money::{Money, decimal};
use crate::store::{Order, OrderFilter, Spent};

/// Longest time to think: 30 days.
pub const HOLD_MS_MAX: i64 = 30 * DAY_MS;
/// How long an order waits by itself where a face decided: a day.
pub const HOLD_OF_FACES_MS: i64 = DAY_MS;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// One limit of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// What messages call it.
    pub name: String,
    /// The orders that fall under it.
    pub of: OrderFilter,
    /// Most that those of a month may cost together.
    pub month: Option<Money>,
    /// Most orders in a month.
    pub orders: Option<u32>,
    /// Most copies in a month.
    pub copies: Option<u32>,
    /// Time to think, at least; 0 none.
    pub hold_ms: i64,
    /// When nothing goes out.
    pub quiet: Option<Quiet>,
    /// Whether a person confirms first, always.
    pub asks: bool,
}

/// Hours of the day in which nothing goes out by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quiet {
    /// First minute of them since local midnight.
    pub from: u16,
    /// First minute behind them; may be before `from`: they go over midnight.
    pub to: u16,
    /// Whether what comes in them waits for their end by itself; else it asks.
    pub waits: bool,
}

impl Quiet {
    /// The end of the quiet hours that a moment lies in.
    fn end(self, at: Timestamp, now: Moment) -> Option<Timestamp> {
        let minute = now.minute_of_day(at);
        let (from, to) = (i64::from(self.from), i64::from(self.to));
        let is_inside = match from <= to {
            true => (from..to).contains(&minute),
            false => minute >= from || minute < to,
        };
        let minutes_left = (to - minute).rem_euclid(24 * 60);
        let begun = Timestamp(at.0.div_euclid(MINUTE_MS) * MINUTE_MS);
        is_inside.then(|| begun.plus_millis(minutes_left * MINUTE_MS))
    }
}

impl fmt::Display for Quiet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, .. } = self;
        write!(f, "{:02}:{:02} to {:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

impl Limit {
    /// The currency that its costs are in; empty where it has none.
    pub fn currency(&self) -> &str {
        self.month.as_ref().map_or("", |month| month.currency.as_str())
    }

    /// Whether a limit needs to know what was ordered this month.
    pub const fn counts(&self) -> bool {
        self.month.is_some() || self.orders.is_some() || self.copies.is_some()
    }

    /// Why an order that falls under it has to ask.
    ///
    /// - `spent`: what those before it came to in this month
    /// - `goes_now`: nothing else holds it back
    pub fn asks_for(
        &self,
        order: &Order,
        spent: Spent,
        goes_now: bool,
        now: Moment,
    ) -> Option<String> {
        let name = &self.name;
        if self.asks {
            return Some(format!("the limit `{name}` asks first"));
        }
        if let Some(month) = &self.month
            && order.price_minor > 0
        {
            let currency = &month.currency;
            if order.currency != currency.as_str() {
                let theirs = &order.currency;
                return Some(format!("it costs {theirs}, and the limit `{name}` is in {currency}"));
            }
            let sum = spent.minor.saturating_add(order.price_minor);
            if sum > month.minor {
                return Some(format!(
                    "with it this month's orders would cost {} {currency}, the limit `{name}` is {}",
                    decimal(sum),
                    decimal(month.minor)
                ));
            }
        }
        if let Some(orders_max) = self.orders
            && spent.orders_count >= orders_max
        {
            return Some(format!("the limit `{name}` of {orders_max} orders a month is reached"));
        }
        let copies_count = spent.copies_count.saturating_add(order.copies);
        if let Some(copies_max) = self.copies
            && copies_count > copies_max
        {
            return Some(format!(
                "with it this month's orders would be {copies_count} copies, the limit `{name}` is \
                 {copies_max}"
            ));
        }
        let quiet = self.quiet.filter(|quiet| !quiet.waits && goes_now)?;
        quiet.end(now.at, now)?;
        Some(format!("the limit `{name}` keeps quiet from {quiet}"))
    }
}

/// When an order may go out that waits until `at`: not in quiet hours of any limit.
pub fn out_of_quiet<'l>(
    limits: &(impl Iterator<Item = &'l Limit> + Clone),
    mut at: Timestamp,
    now: Moment,
) -> Timestamp {
    // One after the other: the end of one may lie in another. Those that leave no minute of
    // the day would never end; then the last word is a day later.
    let latest = at.plus_millis(DAY_MS);
    while at < latest {
        let quiets = limits.clone().filter_map(|limit| limit.quiet);
        let Some(end) = quiets.filter_map(|quiet| quiet.end(at, now)).max() else { break };
        at = end;
    }
    at
}

/// Reads `0`, `30m`, `24h` or `3d` as milliseconds.
pub(super) fn parse_span(text: &str) -> Option<i64> {
    if text == "0" {
        return Some(0);
    }
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit_ms = match text.get(digits.len()..)? {
        "m" => MINUTE_MS,
        "h" => HOUR_MS,
        "d" => DAY_MS,
        _ => return None,
    };
    let count: i64 = digits.parse().ok().filter(|_| digits.len() <= 5)?;
    Some(count * unit_ms).filter(|span| (0..=HOLD_MS_MAX).contains(span))
}

/// The shortest words for a span: `24h`, `90m`, `3d`; `""` is none.
pub fn span_words(span_ms: i64) -> String {
    let units = [("d", DAY_MS), ("h", HOUR_MS), ("m", MINUTE_MS)];
    let unit = units
        .into_iter()
        .find(|(_, unit_ms)| span_ms % unit_ms == 0 && (*unit_ms < DAY_MS || span_ms > DAY_MS));
    match unit {
        _ if span_ms == 0 => String::new(),
        Some((unit, unit_ms)) => format!("{}{unit}", span_ms / unit_ms),
        None => format!("{}m", span_ms / MINUTE_MS),
    }
}

/// Reads `22:00` as minutes since midnight.
pub(super) fn parse_minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str, most: u16| {
        let is_plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|number| is_plain && *number <= most)
    };
    Some(number(hours, 23)? * 60 + number(minutes, 59)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21, 00:00 UTC.
    const MIDNIGHT: Timestamp = Timestamp(1_795_219_200_000);

    fn at(hour: i64, minute: i64) -> Timestamp {
        MIDNIGHT.plus_millis(hour * HOUR_MS + minute * MINUTE_MS)
    }

    #[test]
    fn spans_are_read_as_they_are_written() {
        for text in ["30m", "24h", "3d", "90m", "36h"] {
            assert_eq!(span_words(parse_span(text).expect("a span")), text);
        }
        assert_eq!(parse_span("0"), Some(0));
        for text in ["", "h", "24", "24 h", "1w", "-1h", "31d", "99999999999h", "\u{665}h"] {
            assert_eq!(parse_span(text), None, "{text}");
        }
    }

    #[test]
    fn clock_times_are_read_with_two_digits_each() {
        assert_eq!((parse_minute("00:00"), parse_minute("23:59")), (Some(0), Some(1439)));
        for text in ["", "24:00", "7:00", "12:60", "12", "12:00:00", "+1:00"] {
            assert_eq!(parse_minute(text), None, "{text}");
        }
    }

    #[test]
    fn quiet_hours_go_over_midnight_and_end_by_local_clocks() {
        let night = Quiet { from: 22 * 60, to: 7 * 60, waits: true };
        let utc = Moment::utc(MIDNIGHT);
        assert_eq!(night.end(at(23, 30), utc), Some(at(31, 0)));
        assert_eq!(night.end(at(3, 15), utc), Some(at(7, 0)));
        assert_eq!((night.end(at(7, 0), utc), night.end(at(21, 59), utc)), (None, None));
        let ahead = Moment { at: MIDNIGHT, offset_minutes: 60 };
        assert_eq!(night.end(at(21, 30), ahead), Some(at(30, 0)));
        assert_eq!(night.end(at(6, 30), ahead), None);
    }

    #[test]
    fn quiet_hours_one_behind_the_other_are_all_waited_for() {
        let limit = |from: u16, to: u16| Limit {
            name: "quiet".to_owned(),
            of: OrderFilter::default(),
            month: None,
            orders: None,
            copies: None,
            hold_ms: 0,
            quiet: Some(Quiet { from: from * 60, to: to * 60, waits: true }),
            asks: false,
        };
        let now = Moment::utc(at(1, 0));
        let two = [limit(0, 3), limit(3, 5)];
        assert_eq!(out_of_quiet(&two.iter(), at(1, 0), now), at(5, 0));
        // The whole day is quiet: it does not wait for ever.
        let all = [limit(0, 12), limit(12, 0)];
        assert!(out_of_quiet(&all.iter(), at(1, 0), now) > at(25, 0));
    }
}
