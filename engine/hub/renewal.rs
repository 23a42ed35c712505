//! When the certificate of a hub ends: who is told, and how it is renewed.
//!
//! A certificate that was given is renewed by writing its files anew: they are looked at every minute
//! and taken over without a restart (`http/tls`). One that the hub made itself is pinned by every
//! agent that joined, so a new one means that they join anew; it holds for ten years.
//!
//! ```text
//! every look     the seconds that are left, for `/metrics`
//! every day      a warning, from three weeks before the end on
//! ```
//!
//! Knows no X.509 but what [`ends_at`] reads: the end.

use std::sync::Arc;

use super::event::{HubEvent, Tell};
use super::http::tls::Certificate;
use super::metrics::Metrics;
use crate::base::clock::Timestamp;

const DAY_MS: i64 = 86_400_000;

/// From so many days before the end on it is warned of. Let's Encrypt renews at thirty.
const WARNED_DAYS: i64 = 21;

/// Looks after the certificate of a hub that runs.
pub struct Renewal {
    certificate: Arc<Certificate>,
    warned_at: Option<Timestamp>,
}

impl Renewal {
    /// Of this certificate.
    pub const fn of(certificate: Arc<Certificate>) -> Self {
        Self { certificate, warned_at: None }
    }

    /// Takes a renewed certificate over, counts what is left, and warns once a day of its end.
    pub fn look(&mut self, metrics: &Metrics, tell: &Tell, now: Timestamp) {
        match self.certificate.refresh() {
            Ok(true) => {
                tracing::info!("the renewed certificate is in use");
                self.warned_at = None;
            }
            Ok(false) => {}
            Err(error) => {
                tell(HubEvent::Warning { text: format!("{error}; the one in use stays") });
            }
        }
        let Some(ends_at) = self.certificate.ends_at() else { return };
        let is_own = self.certificate.is_own();
        metrics.certificate_left(is_own, ends_at.0.saturating_sub(now.0).div_euclid(1000));
        let Err(text) = outlook(ends_at, is_own, now) else { return };
        if self.warned_at.is_none_or(|at| now.0.saturating_sub(at.0) >= DAY_MS) {
            self.warned_at = Some(now);
            tracing::warn!(ends_at = %ends_at, "the certificate ends soon or has ended");
            tell(HubEvent::Warning { text: format!("the certificate {text}") });
        }
    }
}

/// Until when a certificate holds, in words; an error from [`WARNED_DAYS`] before its end on.
///
/// # Errors
/// The words, with what to do.
pub fn outlook(ends_at: Timestamp, is_own: bool, now: Timestamp) -> Result<String, String> {
    let days = ends_at.0.saturating_sub(now.0).div_euclid(DAY_MS);
    let whose = if is_own { "made by the hub itself" } else { "as hub.toml names it" };
    let when = match ends_at > now {
        true => format!("{whose}, ends {ends_at}, in {days} days"),
        false => format!("{whose}, ended {ends_at}: nobody can connect"),
    };
    if days >= WARNED_DAYS {
        return Ok(when);
    }
    let cure = match is_own {
        false => "renew it: the hub takes the new files over within a minute, without a restart",
        true => {
            "move keys/tls.pem and keys/tls.key away and start the hub anew, then let every computer \
             join anew and give the labs the new file"
        }
    };
    Err(format!("{when}; {cure}"))
}

/// When a certificate (X.509, DER) ends; `None` where it cannot be read.
pub fn ends_at(der: &[u8]) -> Option<Timestamp> {
    let (certificate, _) = element(der, SEQUENCE)?;
    let (mut rest, _) = element(certificate, SEQUENCE)?;
    // Version, if it is there; serial number, algorithm, issuer.
    if let Some((_, after)) = element(rest, VERSION) {
        rest = after;
    }
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        (_, rest) = element(rest, tag)?;
    }
    let (validity, _) = element(rest, SEQUENCE)?;
    let (_, after) = time(validity)?;
    time(after).map(|(ends_at, _)| ends_at)
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERAL_TIME: u8 = 0x18;

/// The content of the first element if it has this tag, and what follows it (X.690 §8.1).
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match *length {
        short @ 0..=0x7f => (usize::from(short), rest),
        long @ 0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            let length = bytes.iter().fold(0, |sum: usize, byte| (sum << 8) | usize::from(*byte));
            (length, rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length).filter(|_| *first == tag)
}

/// The first element as a moment (RFC 5280 §4.1.2.5), and what follows it.
fn time(der: &[u8]) -> Option<(Timestamp, &[u8])> {
    let ((text, rest), year_digits) = match element(der, UTC_TIME) {
        Some(found) => (found, 2),
        None => (element(der, GENERAL_TIME)?, 4),
    };
    let digits = text.strip_suffix(b"Z")?;
    if digits.len() != year_digits + 10 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let (year, others) = digits.split_at_checked(year_digits)?;
    let number =
        |part: &[u8]| part.iter().fold(0_i16, |sum, digit| sum * 10 + i16::from(digit - b'0'));
    let year = match (number(year), year_digits) {
        (year @ 50.., 2) => 1900 + year,
        (year, 2) => 2000 + year,
        (year, _) => year,
    };
    let mut parts = others.chunks(2).map(|part| i8::try_from(number(part)).unwrap_or(-1));
    let mut next = || parts.next().unwrap_or(-1);
    let (month, day, hour, minute, second) = (next(), next(), next(), next(), next());
    let moment = jiff::civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    let moment = moment.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    Some((Timestamp(moment.as_millisecond()), rest))
}

#[cfg(test)]
mod tests;
