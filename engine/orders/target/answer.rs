//! What a provider's answer over HTTP means: whether it acted, and what it says.
//!
//! In:  a [`Reply`], whatever its status and its body.
//! Out: the answer as a type, or a [`Setback`] with the fate that its status stands for; texts and
//!      amounts of strangers in a form that can be shown, kept and added up.
//!
//! Money hangs on the fate, so only what is sure is said: a status that a proxy could have sent
//! after the provider acted (every 5xx, 408, 409) leaves it unknown, and so does an answer of 2xx
//! that cannot be read.
//!
//! Knows nothing of any provider.

use serde::de::DeserializeOwned;

use super::Setback;
use crate::base::money::parse_minor;
use crate::orders::outward::Reply;

/// Longest text of a provider that is kept, in characters.
const WORDS_CHARS_MAX: usize = 200;

/// Longest name of a provider that is put into an address, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// The answer, when all of it came and it is what it should be.
pub(super) fn read<T: DeserializeOwned>(reply: &Reply) -> Option<T> {
    reply.is_whole.then(|| serde_json::from_slice(&reply.body).ok())?
}

/// Whether the other side says that it did what it was asked.
pub(super) fn is_success(reply: &Reply) -> bool {
    (200..300).contains(&reply.status)
}

/// What an answer stands for that is not the one that was hoped for.
pub(super) fn setback(reply: &Reply) -> Setback {
    let (status, words) = (reply.status, words(&reply.words()));
    let said = |what: &str| format!("the provider {what} ({status}): {words}");
    match status {
        200..300 => Setback::unknown(said("answers what cannot be read")),
        300..400 => Setback::away(said("is at another address, correct its `orders_url`")),
        401 | 403 => Setback::away(said("does not take the key, agree with it anew")),
        402 => Setback::away(said("wants to be paid first")),
        404 | 405 => Setback::away(said("has no such address, correct its `orders_url`")),
        429 => Setback::away(said("has too much to do")).after(reply.retry_after_s),
        400 | 406 | 410..=415 | 422 => Setback::refused(said("does not take it")),
        _ => Setback::unknown(said("does not say what became of it")).after(reply.retry_after_s),
    }
}

/// A text of a stranger, fit to be shown: without what moves a cursor or turns the writing round.
pub(super) fn words(text: &str) -> String {
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().filter(|c| !c.is_control() && !turns(*c)).take(WORDS_CHARS_MAX).collect()
}

/// Whether a name that a provider gave can be a part of an address as it is.
pub(super) fn is_plain_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(plain)
}

/// An amount such as `12.50` or `-3` in minor units; `None` when it is none, or not exact in them.
pub(super) fn amount(text: &str) -> Option<i64> {
    match text.strip_prefix('-') {
        Some(size) => parse_minor(size).ok().map(|minor| -minor),
        None => parse_minor(text).ok(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::orders::target::Fate;

    fn reply(status: u16, body: &[u8]) -> Reply {
        Reply { status, retry_after_s: Some(7), body: body.to_vec(), is_whole: true }
    }

    #[test]
    fn only_a_status_that_says_so_means_that_nothing_was_done() {
        for (status, fate) in [
            (200, Fate::Unknown),
            (302, Fate::Away),
            (400, Fate::Refused),
            (401, Fate::Away),
            (404, Fate::Away),
            (408, Fate::Unknown),
            (409, Fate::Unknown),
            (410, Fate::Refused),
            (422, Fate::Refused),
            (429, Fate::Away),
            (500, Fate::Unknown),
            (503, Fate::Unknown),
            (504, Fate::Unknown),
        ] {
            assert_eq!(setback(&reply(status, b"")).fate, fate, "{status}");
        }
        assert_eq!(setback(&reply(429, b"")).wait_s, Some(7));
        assert_eq!(setback(&reply(503, b"")).wait_s, Some(7));
    }

    #[test]
    fn answer_that_was_cut_off_is_none() {
        let whole = reply(200, b"[1]");
        assert_eq!(read::<Vec<i64>>(&whole), Some(vec![1]));
        assert_eq!(read::<Vec<i64>>(&Reply { is_whole: false, ..whole }), None);
    }

    #[test]
    fn answer_as_deep_as_it_is_long_is_none() {
        for open in ["[", "{\"order\":"] {
            let deep = reply(200, open.repeat(8000).as_bytes());
            assert!(read::<serde_json::Value>(&deep).is_none());
        }
    }

    #[test]
    fn amounts_are_exact_or_none() {
        for (text, minor) in [("3.29", 329), ("-3.29", -329), ("0", 0), ("-0.5", -50)] {
            assert_eq!(amount(text), Some(minor), "{text}");
        }
        for text in ["", "-", "--1", "1e9", "3.291", "NaN", "1,50", "9223372036854775807"] {
            assert_eq!(amount(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_amount_that_is_written_is_read_again(minor in any::<i32>()) {
            let written = crate::base::money::decimal(i64::from(minor));
            prop_assert_eq!(amount(&written), Some(i64::from(minor)));
        }

        #[test]
        fn texts_of_strangers_never_move_the_cursor(text in any::<String>(), amount_text in ".*") {
            let shown = words(&text);
            prop_assert!(!shown.chars().any(char::is_control) && shown.chars().count() <= 200);
            let _exact = amount(&amount_text);
            prop_assert!(!is_plain_name(&text) || !text.contains(['/', '.', '?', '%']));
        }
    }
}
