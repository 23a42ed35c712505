//! Names for things, parsed once at the edge.
//!
//! Every id here is derived from what it names, so that a second scan, a crash or a
//! lost row arrives at the same id again.

use std::fmt;
use std::io;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// SHA-256 of a file's bytes: names one exact version of one photo or companion.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash([u8; 32]);

/// A text that should have been an id and is not.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not {wanted}")]
pub struct IdError {
    text: String,
    wanted: &'static str,
}

impl ContentHash {
    /// Hashes a whole file held in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Hashes what a reader gives, to its end, in pieces.
    ///
    /// # Errors
    /// What the reader reports.
    pub fn of_reader(mut reader: impl io::Read) -> io::Result<Self> {
        let mut hasher = Sha256::new();
        let mut piece = vec![0; 128 * 1024];
        loop {
            match reader.read(&mut piece) {
                Ok(0) => return Ok(Self(hasher.finalize().into())),
                Ok(count) => hasher.update(piece.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The 32 raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Takes 32 raw bytes as they are, for instance from the store.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{self}")
    }
}

impl FromStr for ContentHash {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = || IdError { text: text.to_owned(), wanted: "64 hexadecimal digits" };
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(error());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_not_ascii| error())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_not_hex| error())?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for ContentHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContentHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Length of a [`derived`] id in characters; 26 × 5 = 130 bits.
pub const ID_CHARS: usize = 26;

/// Derives an id from what it names: 130 bits of SHA-256, lower-case Crockford base 32.
///
/// - `kind` keeps ids of different things apart even when their parts agree
/// - each part is hashed with its length, so `["ab", "c"]` and `["a", "bc"]` differ
pub fn derived(kind: &str, parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in std::iter::once(&kind).chain(parts) {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    let digest = hasher.finalize();
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let bit = |index: usize| usize::from(digest[index / 8] >> (7 - index % 8) & 1);
    let digit =
        |char: usize| (char * 5..char * 5 + 5).fold(0, |value, index| value * 2 + bit(index));
    (0..ID_CHARS).map(|char| DIGITS[digit(char)] as char).collect()
}

/// Tells whether a text from outside has the shape of a [`derived`] id.
///
/// Such a text is safe as a file name.
pub fn is_derived(text: &str) -> bool {
    text.len() == ID_CHARS && text.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_written_and_read_again_is_the_same() {
        let hash = ContentHash::of(b"a photo");
        assert_eq!(hash.to_string().parse(), Ok(hash));
    }

    #[test]
    fn hash_with_wrong_length_or_digit_is_refused() {
        for text in ["", "12", &"g".repeat(64), &"é".repeat(32)] {
            assert!(text.parse::<ContentHash>().is_err(), "{text}");
        }
    }

    #[test]
    fn derived_id_depends_on_where_parts_are_cut() {
        assert_ne!(derived("order", &["ab", "c"]), derived("order", &["a", "bc"]));
        assert_ne!(derived("order", &["a"]), derived("grant", &["a"]));
        assert_eq!(derived("order", &["a"]).len(), ID_CHARS);
        assert!(is_derived(&derived("order", &["a"])));
        assert!(!is_derived("../../../etc/passwd/aaaaaa"));
    }
}
