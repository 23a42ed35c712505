//! The link by which the owner decides about one order from any device, without a login.
//!
//! ```text
//! ORDER-UNTIL-SECRET    the order's key, seconds since 1970, and what makes it unguessable
//! ```
//!
//! Whoever has the link can decide about that order and nothing else. The secret covers order and
//! time and follows from the agent's key, so a link survives restarts and only this agent can make
//! one.
//!
//! Knows nothing of what is decided; an old link to an order that is over does nothing.

use super::link::LinkKey;
use crate::base::clock::Timestamp;
use crate::base::ids::is_derived;

/// What the secret is for.
const DECIDE: &str = "decide";

/// How long a link holds: a week, so that a holiday without mail does not break it.
pub const VALID_MS: i64 = 7 * 86_400_000;

/// Longest text that is looked at: 26 + 1 + 20 + 1 + 43 characters.
const TOKEN_BYTES_MAX: usize = 91;

/// Why a link does not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecisionError {
    /// Not one of this agent's, or altered on the way.
    #[error("this link is not one of this computer's: open it as it is in the mail")]
    Forged,
    /// Its time is over.
    #[error("this link is more than a week old: see `signet orders list`")]
    Expired,
}

/// The link for one order; good for [`VALID_MS`].
///
/// - `public_url`: where this computer is reached, without a slash at the end
pub fn link(links: &LinkKey, public_url: &str, order_key: &str, now: Timestamp) -> String {
    let covered = format!("{order_key}-{}", now.plus_millis(VALID_MS).seconds());
    format!("{public_url}/v1/decide/{covered}-{}", links.secret(DECIDE, &covered))
}

/// The order that the last part of a link is for.
///
/// # Errors
/// See [`DecisionError`].
pub fn check<'a>(
    links: &LinkKey,
    token: &'a str,
    now: Timestamp,
) -> Result<&'a str, DecisionError> {
    let forged = DecisionError::Forged;
    if token.len() > TOKEN_BYTES_MAX {
        return Err(forged);
    }
    let (order_key, rest) = token.split_once('-').ok_or(forged)?;
    let (until, secret) = rest.split_once('-').ok_or(forged)?;
    if !links.opens(DECIDE, &format!("{order_key}-{until}"), secret) || !is_derived(order_key) {
        return Err(forged);
    }
    let until: i64 = until.parse().map_err(|_not_a_number| forged)?;
    if now.seconds() >= until { Err(DecisionError::Expired) } else { Ok(order_key) }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::access::Key;

    const ORDER: &str = "0123456789abcdefghjkmnpqrs";
    const NOW: Timestamp = Timestamp(1_780_000_000_000);
    static KEY: LazyLock<LinkKey> = LazyLock::new(other_key);

    fn other_key() -> LinkKey {
        LinkKey::of(&Key::generate().expect("a key"))
    }

    fn token() -> String {
        let link = link(&KEY, "https://ada.example", ORDER, NOW);
        link.strip_prefix("https://ada.example/v1/decide/").expect("the address").to_owned()
    }

    #[test]
    fn link_is_good_for_its_order_and_a_week() {
        let token = token();
        assert_eq!(check(&KEY, &token, NOW), Ok(ORDER));
        assert_eq!(check(&KEY, &token, NOW.plus_millis(VALID_MS - 1000)), Ok(ORDER));
        assert_eq!(check(&KEY, &token, NOW.plus_millis(VALID_MS)), Err(DecisionError::Expired));
        assert_eq!(check(&other_key(), &token, NOW), Err(DecisionError::Forged));
        let longer = token.replace("-178", "-978");
        assert_eq!(check(&KEY, &longer, NOW), Err(DecisionError::Forged));
        let other = token.replace(ORDER, "1123456789abcdefghjkmnpqrs");
        assert_eq!(check(&KEY, &other, NOW), Err(DecisionError::Forged));
    }

    proptest! {
        #[test]
        fn altered_link_is_never_believed(position in 0_usize..81, byte in 0x21_u8..0x7F) {
            let mut bytes = token().into_bytes();
            prop_assume!(bytes[position] != byte);
            bytes[position] = byte;
            let altered = String::from_utf8(bytes).expect("ascii");
            prop_assert!(check(&KEY, &altered, NOW).is_err(), "{altered}");
        }

        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,120}") {
            prop_assert!(check(&KEY, &text, NOW).is_err());
        }
    }
}
