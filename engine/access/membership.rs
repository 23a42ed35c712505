//! The hub that an agent joined: `hub.json` in its home, and the key that it has there. Written by
//! `signet hub join`, never by hand.
//!
//! That key is the agent's own until it is changed. From then on it is one for the hub alone, so that
//! what the agent's own key signed, grants and consent, stays as it is.

use std::io::ErrorKind;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::key::{Key, KeyError};
use crate::base::clock::Timestamp;
use crate::base::files::{Readers, write_atomic};
use crate::base::home::Home;

/// What an agent knows of its hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// `https://hub.example:8443`, no slash at the end.
    pub url: String,
    /// The hub's Ed25519 key, base64url: who it is, whatever certificate it shows.
    pub hub_key: String,
    /// SHA-256 of the hub's certificate (DER, lower-case hex) where it made that itself; absent: one
    /// that browsers trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The agent's id there.
    pub agent_id: String,
    /// Where providers reach the agent through it: `https://hub.example:8443/o/AGENT`.
    pub base_url: String,
    /// When it joined.
    pub joined_at: Timestamp,
}

/// Why it is not known which hub an agent joined.
#[derive(Debug, thiserror::Error)]
pub enum MembershipError {
    /// The file could not be read or written.
    #[error("`{}` cannot be used", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is damaged.
    #[error("`{}` is damaged: join the hub anew with `signet hub join`", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl Membership {
    /// The hub of a home; `None` when it joined none.
    ///
    /// # Errors
    /// A file that cannot be read or is damaged.
    pub fn load(home: &Home) -> Result<Option<Self>, MembershipError> {
        let path = home.hub_path();
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|source| MembershipError::Damaged { path, source }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(MembershipError::File { path, source }),
        }
    }

    /// Who this computer is at a hub, now.
    ///
    /// # Errors
    /// A file that cannot be read or written, or that holds something else.
    pub fn key(home: &Home) -> Result<Key, KeyError> {
        let changed = Self::key_path(home);
        match changed.exists() {
            true => Key::load_or_create(&changed),
            false => Self::grant_key(home),
        }
    }

    /// The key that grants and consent are signed with: the agent's own.
    ///
    /// # Errors
    /// As [`Self::key`].
    pub fn grant_key(home: &Home) -> Result<Key, KeyError> {
        Key::load_or_create(&home.keys_dir().join("agent.key"))
    }

    /// Where that key is once it was changed.
    pub fn key_path(home: &Home) -> PathBuf {
        home.keys_dir().join("hub-identity.key")
    }

    /// Where the key is that is about to take its place.
    pub fn next_key_path(home: &Home) -> PathBuf {
        home.keys_dir().join("hub-identity.next")
    }

    /// Keeps it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, home: &Home) -> Result<(), MembershipError> {
        let path = home.hub_path();
        let file = |source| MembershipError::File { path: path.clone(), source };
        let text = serde_json::to_vec_pretty(self).map_err(|error| file(error.into()))?;
        write_atomic(&path, &text, Readers::OwnerOnly).map_err(file)
    }

    /// Forgets the hub of a home.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn forget(home: &Home) -> Result<(), MembershipError> {
        let path = home.hub_path();
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                Err(MembershipError::File { path, source })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn membership_is_kept_until_it_is_forgotten() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::at(folder.path());
        assert_eq!(Membership::load(&home).expect("read"), None);
        let joined = Membership {
            url: "https://hub.example".into(),
            hub_key: "k".into(),
            certificate: None,
            agent_id: "a".into(),
            base_url: "https://hub.example/o/a".into(),
            joined_at: Timestamp(5),
        };
        joined.save(&home).expect("written");
        assert_eq!(Membership::load(&home).expect("read"), Some(joined));
        std::fs::write(home.hub_path(), "{").expect("written");
        assert!(matches!(Membership::load(&home), Err(MembershipError::Damaged { .. })));
        Membership::forget(&home).expect("forgotten");
        Membership::forget(&home).expect("nothing there");
    }
}
