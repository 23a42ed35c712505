//! `SIGNET_HOME`: the folder with everything that is ours. The owner's photos are elsewhere.
//!
//! ```text
//! signet.toml          configuration, written by `signet init`, edited by people
//! keys/                the agent's Ed25519 key, the providers' webhook secrets, and
//!                      which of the owner's seals are valid (0600)
//! addresses.sealed     who goods are shipped to, encrypted with a key in keys/
//! people.sealed        who agreed to be recognised, encrypted likewise
//! models/faces/        the face networks and their manifest, once they were pulled
//! consent/N.jws        signed consents; the highest N is in force
//! grants/ID.jws        signed grants, one per member that a provider may fetch
//! icons/NAME.svg       the owner's own icons; enrolled.bin remembers them, can be made again
//! rules/*.toml         rule files, with their cases beside them
//! previews/            low-resolution copies, can be made again
//! reports/feed.xml     what was fetched, for feed readers; can be made again
//! private/             originals that were to be kept; offered to nobody
//! state.sqlite         orders, outbox, grants, access log, ledger: never rebuilt
//! index.sqlite         what was seen in the collections: can be rebuilt
//! hub.json             the hub that the agent joined, if any
//! agent.lock           held while an agent runs
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// The home folder.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
}

/// Why the home folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// `signet init` has not been run there.
    #[error("`{root}` is no Signet home yet: run `signet init`, or name another with --home")]
    Missing {
        /// The folder looked at.
        root: PathBuf,
    },
    /// Another agent holds the lock.
    #[error("another agent already runs on `{root}`: stop it first")]
    InUse {
        /// The folder looked at.
        root: PathBuf,
    },
    /// A file or folder of the home could not be written.
    #[error("`{path}` cannot be written: check that the disk is neither full nor read-only")]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the home could not be read.
    #[error("`{path}` cannot be read")]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Held while an agent runs; the system lets go of it however the process ends.
#[derive(Debug)]
pub struct HomeLock {
    _file: File,
}

impl Home {
    /// Names a home without touching the disk.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Opens a home that `signet init` made.
    ///
    /// # Errors
    /// `Missing` when there is no `signet.toml`.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, HomeError> {
        let home = Self::at(root);
        if home.config_path().is_file() {
            Ok(home)
        } else {
            Err(HomeError::Missing { root: home.root })
        }
    }

    /// Makes the folders, private to the user.
    ///
    /// # Errors
    /// `Write` with the folder that could not be made.
    pub fn create(&self) -> Result<(), HomeError> {
        for folder in [
            self.root.clone(),
            self.keys_dir(),
            self.consent_dir(),
            self.grants_dir(),
            self.rules_dir(),
            self.previews_dir(),
        ] {
            make_private_dir(&folder)
                .map_err(|source| HomeError::Write { path: folder.clone(), source })?;
        }
        Ok(())
    }

    /// Takes the right to run the one agent of this home.
    ///
    /// # Errors
    /// `InUse` when another process holds it, `Write` on a read-only home.
    pub fn lock(&self) -> Result<HomeLock, HomeError> {
        let path = self.root.join("agent.lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|source| HomeError::Write { path: path.clone(), source })?;
        match file.try_lock() {
            Ok(()) => Ok(HomeLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(HomeError::InUse { root: self.root.clone() }),
            Err(TryLockError::Error(source)) => Err(HomeError::Write { path, source }),
        }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `hub.json`
    pub fn hub_path(&self) -> PathBuf {
        self.root.join("hub.json")
    }

    /// `signet.toml`
    pub fn config_path(&self) -> PathBuf {
        self.root.join("signet.toml")
    }

    /// Private keys and shared secrets.
    pub fn keys_dir(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// The webhook secret shared with a provider.
    pub fn secret_path(&self, provider: &str) -> PathBuf {
        self.keys_dir().join(format!("{provider}.whsec"))
    }

    /// The password of the server that takes the owner's mail.
    pub fn mail_password_path(&self) -> PathBuf {
        self.keys_dir().join("mail.password")
    }

    /// The secret that signs what the owner's own programs are told.
    pub fn report_webhook_path(&self) -> PathBuf {
        self.keys_dir().join("report.webhook")
    }

    /// The feed of what was fetched.
    pub fn feed_path(&self) -> PathBuf {
        self.root.join("reports").join("feed.xml")
    }

    /// Which of the owner's seals are valid; absent until one is renewed.
    pub fn seals_path(&self) -> PathBuf {
        self.keys_dir().join("seals.json")
    }

    /// The face networks, with their manifest; absent until they were pulled.
    pub fn face_models_dir(&self) -> PathBuf {
        self.root.join("models").join("faces")
    }

    /// A file that is encrypted at rest, such as `addresses`.
    pub fn vault_path(&self, name: &str) -> PathBuf {
        self.root.join(format!("{name}.sealed"))
    }

    /// What it is encrypted with.
    pub fn vault_key_path(&self, name: &str) -> PathBuf {
        self.keys_dir().join(format!("{name}.key"))
    }

    /// Signed consents.
    pub fn consent_dir(&self) -> PathBuf {
        self.root.join("consent")
    }

    /// Signed grants.
    pub fn grants_dir(&self) -> PathBuf {
        self.root.join("grants")
    }

    /// The owner's own icons.
    pub fn icons_dir(&self) -> PathBuf {
        self.root.join("icons")
    }

    /// One of them.
    pub fn icon_path(&self, name: &str) -> PathBuf {
        self.icons_dir().join(format!("{name}.svg"))
    }

    /// What the embedder made of the icons; can be made again.
    pub fn enrolled_path(&self) -> PathBuf {
        self.root.join("enrolled.bin")
    }

    /// Rule files.
    pub fn rules_dir(&self) -> PathBuf {
        self.root.join("rules")
    }

    /// Low-resolution copies.
    pub fn previews_dir(&self) -> PathBuf {
        self.root.join("previews")
    }

    /// Copies of originals that were to be kept. Nothing in it is ever offered.
    pub fn private_dir(&self) -> PathBuf {
        self.root.join("private")
    }

    /// Files that only show whether the disk tells of changes; nothing is in them.
    pub fn watch_dir(&self) -> PathBuf {
        self.root.join("watch")
    }

    /// Orders, grants, access log, ledger.
    pub fn state_path(&self) -> PathBuf {
        self.root.join("state.sqlite")
    }

    /// What was seen in the collections.
    pub fn index_path(&self) -> PathBuf {
        self.root.join("index.sqlite")
    }

    /// What rules were asked and what they said.
    pub fn decisions_path(&self) -> PathBuf {
        self.root.join("decisions.sqlite")
    }
}

/// Makes a folder that only its owner can enter, with all folders above it.
///
/// # Errors
/// Whatever the disk says.
pub fn make_private_dir(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(folder)
}
