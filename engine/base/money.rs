//! Money: integer minor units and a currency, never a float.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An amount in minor units (cents) of one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// Minor units; negative is a credit to whoever holds the account.
    pub minor: i64,
    /// Which currency.
    pub currency: Currency,
}

/// ISO 4217 code of a currency with two decimal places, such as `EUR`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency(String);

/// Why a text is no currency or no amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not three capital letters.
    #[error("`{0}` is not a currency code such as EUR")]
    Currency(String),
    /// Not digits with at most two decimals.
    #[error("`{0}` is not an amount such as 12.50")]
    Amount(String),
}

impl TryFrom<String> for Currency {
    type Error = MoneyError;

    fn try_from(text: String) -> Result<Self, MoneyError> {
        if text.len() == 3 && text.bytes().all(|b| b.is_ascii_uppercase()) {
            Ok(Self(text))
        } else {
            Err(MoneyError::Currency(text))
        }
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.0
    }
}

impl Currency {
    /// The three letters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Writes minor units with a point: `-1234` becomes `-12.34`.
pub fn decimal(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let size = minor.unsigned_abs();
    format!("{sign}{}.{:02}", size / 100, size % 100)
}

/// Currencies that have no cents (ISO 4217, exponent 0). Here they are counted in hundredths as all
/// are.
const WITHOUT_CENTS: [&str; 16] = [
    "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND",
    "VUV", "XAF", "XOF",
];

/// Minor units as people write them in a currency: 50000 are `500` in JPY and `500.00` in EUR. A
/// part of a yen, which only a share of a fee can be, is shown all the same.
pub fn written(minor: i64, currency: &str) -> String {
    if minor % 100 == 0 && WITHOUT_CENTS.contains(&currency) {
        (minor / 100).to_string()
    } else {
        decimal(minor)
    }
}

/// Reads `12`, `12.5` or `12.50` as minor units.
///
/// # Errors
/// `Amount` for anything else, signs and exponents included.
pub fn parse_minor(text: &str) -> Result<i64, MoneyError> {
    let error = || MoneyError::Amount(text.to_owned());
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > 2 {
        return Err(error());
    }
    let whole: i64 = whole.parse().map_err(|_too_large| error())?;
    let part: i64 = format!("{part:0<2}").parse().map_err(|_not_digits| error())?;
    whole.checked_mul(100).and_then(|w| w.checked_add(part)).ok_or_else(error)
}

/// Splits a fee into what the service keeps and what the owner gets.
///
/// The service gets `service_percent` (more than 100 counts as 100) of the fee, rounded half up to
/// whole minor units; the owner gets the rest. Their sum is the fee whatever the rounding does.
pub fn split(fee_minor: i64, service_percent: u8) -> (i64, i64) {
    let percent = i128::from(service_percent.min(100));
    let part = (i128::from(fee_minor) * percent + 50).div_euclid(100);
    let service_minor = i64::try_from(part).unwrap_or(0);
    (service_minor, fee_minor - service_minor)
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", decimal(self.minor), self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_they_are_written() {
        for (text, minor) in [("0", 0), ("12", 1200), ("12.5", 1250), ("12.50", 1250), ("0.01", 1)]
        {
            assert_eq!(parse_minor(text), Ok(minor), "{text}");
        }
        for text in ["", ".", "-1", "1.234", "1e3", "1,5", "99999999999999999999"] {
            assert!(parse_minor(text).is_err(), "{text}");
        }
        assert_eq!(decimal(-1234), "-12.34");
        assert_eq!(decimal(5), "0.05");
        for (minor, currency, expected) in [
            (50_000, "JPY", "500"),
            (-50_000, "JPY", "-500"),
            (50_025, "JPY", "500.25"),
            (50_000, "EUR", "500.00"),
        ] {
            assert_eq!(written(minor, currency), expected);
        }
    }

    #[test]
    fn odd_cent_of_a_fee_goes_to_the_service() {
        assert_eq!(split(25, 50), (13, 12));
        assert_eq!(split(25, 20), (5, 20));
        assert_eq!(split(0, 20), (0, 0));
        assert_eq!(split(i64::MAX, 255), (i64::MAX, 0));
    }
}
