//! The owner's standing agreement: which providers, purposes, limits. Given once, signed.
//!
//! Each change is a new signed file `consent/N.jws`; the highest N is in force and the
//! earlier ones stay as history. A file that does not verify is refused with its name, and
//! an older one is never used in its stead: that would bring back what was withdrawn.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::jws::{self, JwsError};
use super::key::{Key, PublicKey};
use crate::base::clock::Timestamp;
use crate::base::files::{Readers, write_atomic};
use crate::base::home::Home;
use crate::orders::Terms;

const TYP: &str = "signet-consent+jws";

/// What the owner agreed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consent {
    /// Counts changes; 0 is the empty consent that is not on disk.
    pub number: u64,
    /// Who agreed.
    pub owner: String,
    /// When.
    pub signed_at: Timestamp,
    /// With whom, to what.
    pub providers: BTreeMap<String, Terms>,
}

/// Why there is no consent to act on.
#[derive(Debug, thiserror::Error)]
pub enum ConsentError {
    /// The folder or a file could not be read or written.
    #[error("the consent file `{path}` cannot be used")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The newest file was altered or signed by another key.
    #[error("the consent file `{path}` is not believed: restore it, or give consent anew")]
    Signature {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: JwsError,
    },
    /// The consent could not be written as JSON.
    #[error("the consent cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

impl Consent {
    /// Reads the consent in force; an empty one when none was ever given.
    ///
    /// # Errors
    /// When the newest file cannot be read or is not signed by `key`.
    pub fn load(home: &Home, key: &PublicKey) -> Result<Self, ConsentError> {
        let Some(number) = newest(home)? else {
            return Ok(Self {
                number: 0,
                owner: String::new(),
                signed_at: Timestamp(0),
                providers: BTreeMap::new(),
            });
        };
        let path = path_of(home, number);
        let text = std::fs::read_to_string(&path)
            .map_err(|source| ConsentError::File { path: path.clone(), source })?;
        let consent: Self = jws::parse(text.trim(), TYP)
            .and_then(|parsed| parsed.verify(key))
            .map_err(|source| ConsentError::Signature { path: path.clone(), source })?;
        // A renamed old file would be a withdrawn consent come back.
        if consent.number != number {
            return Err(ConsentError::Signature { path, source: JwsError::Signature });
        }
        Ok(consent)
    }

    /// Signs a changed consent and puts it in force.
    ///
    /// # Errors
    /// When it cannot be written; the one before stays in force then.
    pub fn replace(
        &self,
        providers: BTreeMap<String, Terms>,
        home: &Home,
        key: &Key,
        owner: &str,
        now: Timestamp,
    ) -> Result<Self, ConsentError> {
        let number = newest(home)?.unwrap_or(0).max(self.number) + 1;
        let next = Self { number, owner: owner.to_owned(), signed_at: now, providers };
        let text = jws::sign(key, &jws::header(TYP, key), &next)? + "\n";
        let path = path_of(home, number);
        write_atomic(&path, text.as_bytes(), Readers::OwnerOnly)
            .map_err(|source| ConsentError::File { path, source })?;
        Ok(next)
    }
}

/// The number of the newest consent file, without reading it: a cheap look for changes.
///
/// # Errors
/// When the folder cannot be listed.
pub fn newest(home: &Home) -> Result<Option<u64>, ConsentError> {
    let folder = home.consent_dir();
    let file_error = |source| ConsentError::File { path: folder.clone(), source };
    let mut newest = None;
    for entry in std::fs::read_dir(&folder).map_err(file_error)? {
        let name = entry.map_err(file_error)?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".jws")?.parse().ok());
        newest = newest.max(number);
    }
    Ok(newest)
}

fn path_of(home: &Home, number: u64) -> PathBuf {
    home.consent_dir().join(format!("{number}.jws"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consent_altered_or_renamed_is_not_believed() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::at(folder.path());
        home.create().expect("made");
        let key = Key::generate().expect("a key");
        let empty = Consent::load(&home, &key.public()).expect("empty");
        assert_eq!(empty.number, 0);
        let now = Timestamp(5);
        let first = empty.replace(BTreeMap::new(), &home, &key, "Ada", now).expect("signed");
        let second = first.replace(BTreeMap::new(), &home, &key, "Ada", now).expect("signed");
        assert_eq!(Consent::load(&home, &key.public()).expect("loads"), second);

        std::fs::copy(path_of(&home, 1), path_of(&home, 3)).expect("copied");
        assert!(matches!(Consent::load(&home, &key.public()), Err(ConsentError::Signature { .. })));
        std::fs::remove_file(path_of(&home, 3)).expect("removed");
        let stranger = Key::generate().expect("a key");
        assert!(Consent::load(&home, &stranger.public()).is_err());
    }
}
