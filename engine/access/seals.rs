//! Which of the owner's seals are valid: a generation number, and what is kept of older ones.
//!
//! In:  the home's key and `keys/seals.json`. Out: the words that count.
//!
//! The words themselves are written nowhere; they follow from the key. A home without the
//! file is at generation 1. Renewing gives an unrelated word, and cards with the old one stop
//! working unless the owner keeps them valid; each valid word is one more chance for a wrong
//! one, so there are at most [`WORDS_MAX`].

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::key::{Key, KeyError};
use crate::base::files::{Readers, write_atomic};
use crate::base::home::Home;
use crate::detection::SealWord;
use crate::detection::seal::WORDS_MAX;

/// Names what the secret is derived for; another version would make all cards invalid.
const PURPOSE: &str = "signet seal v1";

/// Generations of the owner's seal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seals {
    /// The one that is printed now, from 1.
    pub generation: u32,
    /// Those that count, newest first; the first is `generation`.
    pub valid: Vec<u32>,
}

/// What becomes of printed cards when the seal is renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldCards {
    /// They stop working.
    Stop,
    /// They stay valid.
    Keep,
}

/// Why the seal cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum SealsError {
    /// The key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The file could not be read or written.
    #[error("`{path}` cannot be used")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("`{path}` is damaged: restore it from a backup, or remove it to begin anew")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// Too many would be valid at once.
    #[error("{WORDS_MAX} seals are valid already: renew without keeping the old cards")]
    TooMany,
}

impl Seals {
    /// Reads which seals are valid.
    ///
    /// # Errors
    /// `File` or `Damaged`; a missing file is no error.
    pub fn load(home: &Home) -> Result<Self, SealsError> {
        let path = home.seals_path();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self { generation: 1, valid: vec![1] });
            }
            Err(source) => return Err(SealsError::File { path, source }),
        };
        let seals: Option<Self> = serde_json::from_str(&text).ok();
        let sound = |seals: &Self| {
            seals.generation >= 1
                && seals.valid.first() == Some(&seals.generation)
                && seals.valid.len() <= WORDS_MAX
                && seals.valid.windows(2).all(|pair| pair[0] > pair[1])
        };
        seals.filter(sound).ok_or(SealsError::Damaged { path })
    }

    /// Begins a new generation and keeps that.
    ///
    /// # Errors
    /// `TooMany` when too many old ones would stay valid, `File` when it cannot be written.
    pub fn renew(&mut self, old: OldCards, home: &Home) -> Result<(), SealsError> {
        let generation = self.generation.saturating_add(1);
        let mut valid = vec![generation];
        if old == OldCards::Keep {
            valid.extend(&self.valid);
        }
        if valid.len() > WORDS_MAX {
            return Err(SealsError::TooMany);
        }
        let next = Self { generation, valid };
        let path = home.seals_path();
        let text = serde_json::json!({ "generation": next.generation, "valid": next.valid });
        write_atomic(&path, format!("{text}\n").as_bytes(), Readers::OwnerOnly)
            .map_err(|source| SealsError::File { path, source })?;
        *self = next;
        Ok(())
    }

    /// The words that count, the one that is printed now first.
    pub fn words(&self, key: &Key) -> Vec<SealWord> {
        let secret = key.derived(PURPOSE);
        self.valid.iter().map(|generation| SealWord::derive(&secret, *generation)).collect()
    }
}

/// The words that count in a home; none where it has no key yet. Writes nothing.
///
/// # Errors
/// A key or a file that cannot be used.
pub fn seal_words(home: &Home) -> Result<Vec<SealWord>, SealsError> {
    let path = home.keys_dir().join("agent.key");
    if !path.exists() {
        return Ok(Vec::new());
    }
    Ok(Seals::load(home)?.words(&Key::load_or_create(&path)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::at(folder.path());
        home.create().expect("folders");
        (folder, home)
    }

    #[test]
    fn renewing_changes_the_word_and_keeps_old_ones_only_when_asked() {
        let (_folder, home) = home();
        let key = Key::generate().expect("a key");
        let mut seals = Seals::load(&home).expect("generation 1");
        let first = seals.words(&key);
        seals.renew(OldCards::Keep, &home).expect("renewed");
        assert_eq!(Seals::load(&home).expect("read"), seals);
        let words = seals.words(&key);
        assert_eq!((seals.generation, words.len()), (2, 2));
        assert!(words[0] != first[0] && words[1] == first[0]);
        seals.renew(OldCards::Stop, &home).expect("renewed");
        assert_eq!((seals.generation, seals.valid.as_slice()), (3, &[3][..]));
        assert_ne!(seals.words(&key)[0], words[0]);
    }

    #[test]
    fn more_valid_seals_than_the_arithmetic_allows_are_refused() {
        let (_folder, home) = home();
        let mut seals = Seals::load(&home).expect("generation 1");
        for _ in 1..WORDS_MAX {
            seals.renew(OldCards::Keep, &home).expect("renewed");
        }
        let before = seals.clone();
        assert!(matches!(seals.renew(OldCards::Keep, &home), Err(SealsError::TooMany)));
        assert_eq!(Seals::load(&home).expect("read"), before);
        std::fs::write(home.seals_path(), r#"{"generation":9,"valid":[9,8,7,6]}"#).expect("w");
        assert!(matches!(Seals::load(&home), Err(SealsError::Damaged { .. })));
    }

    #[test]
    fn home_without_a_key_has_no_words_and_gets_none() {
        let (_folder, home) = home();
        assert!(seal_words(&home).expect("no words").is_empty());
        assert!(!home.keys_dir().join("agent.key").exists());
        Key::load_or_create(&home.keys_dir().join("agent.key")).expect("a key");
        assert_eq!(seal_words(&home).expect("a word").len(), 1);
    }
}
