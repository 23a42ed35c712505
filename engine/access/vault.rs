//! A file of the home that is encrypted at rest: the address book, the enrolled people.
//!
//! In:  `NAME.sealed` and `keys/NAME.key` of a home. Out: the bytes inside.
//!
//! Sealed with XChaCha20-Poly1305 under a random key of its own, made on first use. That protects a
//! copy of the home without `keys/` (a backup, a synced folder, a disk that is given away); whoever
//! can read `keys/` can read the file. What cannot be opened is never overwritten: the error says
//! what to do.
//!
//! Knows nothing of what is inside.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use crate::base::files::{Readers, write_atomic};
use crate::base::home::Home;

/// Bytes of a nonce; random ones of this length never meet (2^96 files).
const NONCE_BYTES: usize = 24;

/// Larger files are none of ours.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Where an encrypted file and its key lie.
#[derive(Debug, Clone)]
pub struct Vault {
    path: PathBuf,
    key_path: PathBuf,
    lock_path: PathBuf,
    name: &'static str,
}

/// Holds an encrypted file until it is dropped, however that comes.
#[derive(Debug)]
pub struct VaultLock {
    _file: File,
}

/// Why an encrypted file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// A file could not be read or written.
    #[error("`{path}` cannot be used")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The key is gone, and without it the contents are.
    #[error(
        "`{key}` is missing and `{sealed}` cannot be opened without it: restore the key from a \
         backup, or remove `{sealed}` and enter the {name} anew"
    )]
    KeyMissing {
        /// Where the key should be.
        key: PathBuf,
        /// What it would open.
        sealed: PathBuf,
        /// What is inside.
        name: &'static str,
    },
    /// The key file holds something else.
    #[error("the key file `{0}` is damaged: restore it from a backup")]
    KeyDamaged(PathBuf),
    /// Sealed under another key, or not as it was written.
    #[error(
        "`{sealed}` is damaged, or was sealed with another key than `{key}`: restore both from \
         the same backup, or remove it and enter the {name} anew"
    )]
    Damaged {
        /// What cannot be opened.
        sealed: PathBuf,
        /// The key that is there.
        key: PathBuf,
        /// What is inside.
        name: &'static str,
    },
    /// Written by a version to come.
    #[error("`{0}` was written by a newer version of signet: use that one")]
    Newer(PathBuf),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random(#[from] getrandom::Error),
}

impl Vault {
    /// The file with this name in a home.
    ///
    /// - `name`: what is inside, a plain plural such as `addresses`
    pub fn of(home: &Home, name: &'static str) -> Self {
        Self {
            path: home.vault_path(name),
            key_path: home.vault_key_path(name),
            lock_path: home.root().join(format!("{name}.lock")),
            name,
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// First bytes of the file: what it is, and the version of what follows. Sealed along.
    fn header(&self) -> Vec<u8> {
        format!("signet {} 1\n", self.name).into_bytes()
    }

    /// What is inside; `None` where there is no file yet.
    ///
    /// # Errors
    /// When there is one that cannot be opened.
    pub fn read(&self) -> Result<Option<Vec<u8>>, VaultError> {
        let Some(file) = read(&self.path)? else { return Ok(None) };
        let (sealed, key) = (self.path.clone(), self.key_path.clone());
        let header = self.header();
        let Some(body) = file.strip_prefix(&*header) else {
            let kind = header.strip_suffix(b"1\n").unwrap_or(&header);
            return Err(match file.starts_with(kind) {
                true => VaultError::Newer(sealed),
                false => VaultError::Damaged { sealed, key, name: self.name },
            });
        };
        let Some(cipher) = load_key(&self.key_path)? else {
            return Err(VaultError::KeyMissing { key, sealed, name: self.name });
        };
        if let Some(plain) = open_body(&cipher, &header, body) {
            return Ok(Some(plain));
        }
        // A crash came between the two steps of `write_anew`: the second is done now.
        let next = read(&self.next_path())?;
        let next = next.as_deref().and_then(|file| file.strip_prefix(&*header));
        let plain = next.and_then(|body| open_body(&cipher, &header, body));
        if plain.is_none() {
            return Err(VaultError::Damaged { sealed, key, name: self.name });
        }
        self.take_next()?;
        Ok(plain)
    }

    /// Puts something else inside.
    ///
    /// # Errors
    /// When the key or the file cannot be written.
    pub fn write(&self, plain: &[u8]) -> Result<(), VaultError> {
        let key = load_key(&self.key_path)?;
        let key = key.map_or_else(|| make_key(&self.key_path), Ok)?;
        self.seal(&key, plain)
    }

    /// Puts something else inside, under a new key. Whoever finds what lay here before, in a copy
    /// or in parts of the disk that were not written over, cannot open it any more: its key is
    /// overwritten where it lay and gone.
    ///
    /// # Errors
    /// When the key or the file cannot be written. After a crash on the way either what was inside
    /// can still be read or what was to come there can.
    pub fn write_anew(&self, plain: &[u8]) -> Result<(), VaultError> {
        let failed = |source: io::Error| VaultError::File { path: self.key_path.clone(), source };
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        // Sealed first: the old key goes when what the new one opens is there to be renamed.
        let next = Self { path: self.next_path(), ..self.clone() };
        next.seal(&XChaCha20Poly1305::new(&secret.into()), plain)?;
        overwrite(&self.key_path, key_text(&secret).as_bytes()).map_err(failed)?;
        self.take_next()
    }

    /// What the file is to be once its key is there.
    fn next_path(&self) -> PathBuf {
        self.path.with_extension("next")
    }

    fn take_next(&self) -> Result<(), VaultError> {
        std::fs::rename(self.next_path(), &self.path)
            .map_err(|source| VaultError::File { path: self.path.clone(), source })
    }

    /// Does something to the file while nobody else does.
    ///
    /// # Errors
    /// What `work` says, or when the lock cannot be had.
    pub fn locked<T, E: From<VaultError>>(
        &self,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let _lock = self.lock()?;
        work()
    }

    /// Waits until nobody else holds the file.
    ///
    /// # Errors
    /// When the lock cannot be had.
    pub fn lock(&self) -> Result<VaultLock, VaultError> {
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).open(&self.lock_path);
        lock.and_then(|file| file.lock().map(|()| VaultLock { _file: file }))
            .map_err(|source| VaultError::File { path: self.lock_path.clone(), source })
    }

    fn seal(&self, key: &XChaCha20Poly1305, plain: &[u8]) -> Result<(), VaultError> {
        let failed = |source| VaultError::File { path: self.path.clone(), source };
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce)?;
        let header = self.header();
        let sealed = key.encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: &header });
        let sealed = sealed.map_err(|error| failed(io::Error::other(error)))?;
        let file = [&header, &nonce[..], &sealed].concat();
        write_atomic(&self.path, &file, Readers::OwnerOnly).map_err(failed)
    }
}

/// Reads a file that may be missing.
fn read(path: &Path) -> Result<Option<Vec<u8>>, VaultError> {
    let failed = |source| VaultError::File { path: path.into(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    Ok(Some(bytes))
}

/// What a nonce and the sealed bytes behind it hold; nothing under another key.
fn open_body(cipher: &XChaCha20Poly1305, header: &[u8], body: &[u8]) -> Option<Vec<u8>> {
    let (nonce, msg) = body.split_first_chunk::<NONCE_BYTES>()?;
    cipher.decrypt(&XNonce::from(*nonce), Payload { msg, aad: header }).ok()
}

fn load_key(path: &Path) -> Result<Option<XChaCha20Poly1305>, VaultError> {
    let Some(text) = read(path)? else { return Ok(None) };
    let secret = URL_SAFE_NO_PAD.decode(text.trim_ascii()).ok();
    secret
        .and_then(|secret| XChaCha20Poly1305::new_from_slice(&secret).ok())
        .map(Some)
        .ok_or_else(|| VaultError::KeyDamaged(path.into()))
}

fn make_key(path: &Path) -> Result<XChaCha20Poly1305, VaultError> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)?;
    let failed = |source| VaultError::File { path: path.into(), source };
    write_atomic(path, key_text(&secret).as_bytes(), Readers::OwnerOnly).map_err(failed)?;
    Ok(XChaCha20Poly1305::new(&secret.into()))
}

fn key_text(secret: &[u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(secret) + "\n"
}

/// Writes over a file where it lies, so that what it held is not left beside it.
fn overwrite(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;
    if !path.exists() {
        return write_atomic(path, bytes, Readers::OwnerOnly);
    }
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.write_all(bytes)?;
    file.set_len(bytes.len() as u64)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault() -> (tempfile::TempDir, Vault) {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::at(folder.path());
        home.create().expect("a home");
        let vault = Vault::of(&home, "secrets");
        (folder, vault)
    }

    #[test]
    fn crash_while_it_is_written_anew_leaves_what_was_or_what_comes() {
        let (_folder, vault) = vault();
        vault.write(b"Anna and Ben").expect("written");
        let (old, old_key) = (std::fs::read(&vault.path), std::fs::read(&vault.key_path));
        vault.write_anew(b"Ben").expect("written");
        let (new, new_key) = (std::fs::read(&vault.path), std::fs::read(&vault.key_path));
        let [old, old_key, new, new_key] =
            [old, old_key, new, new_key].map(|bytes| bytes.expect("a file"));
        for (key, plain) in [(&old_key, &b"Anna and Ben"[..]), (&new_key, b"Ben")] {
            std::fs::write(&vault.path, &old).expect("written");
            std::fs::write(vault.next_path(), &new).expect("written");
            std::fs::write(&vault.key_path, key).expect("written");
            for _ in 0..2 {
                assert_eq!(vault.read().expect("read").as_deref(), Some(plain));
            }
        }
        assert!(!vault.next_path().exists());
    }

    #[test]
    fn what_lay_there_cannot_be_opened_with_the_new_key() {
        let (_folder, vault) = vault();
        vault.write(b"grandma's face").expect("written");
        let (old, old_key) = (
            std::fs::read(&vault.path).expect("the file"),
            std::fs::read(&vault.key_path).expect("the key"),
        );
        vault.write_anew(b"nobody").expect("written");
        assert_eq!(vault.read().expect("read").as_deref(), Some(&b"nobody"[..]));
        assert_ne!(std::fs::read(&vault.key_path).expect("the key"), old_key);
        std::fs::write(&vault.path, old).expect("written");
        assert!(matches!(vault.read(), Err(VaultError::Damaged { .. })));
    }

    #[test]
    fn first_file_may_be_written_anew_and_nothing_is_left_beside_it() {
        let (folder, vault) = vault();
        vault.write_anew(b"x").expect("written");
        assert_eq!(vault.read().expect("read").as_deref(), Some(&b"x"[..]));
        assert!(!folder.path().join("secrets.next").exists());
    }

    #[test]
    fn file_of_another_kind_or_version_is_not_opened() {
        let (_folder, vault) = vault();
        std::fs::write(&vault.path, b"signet secrets 2\nxxxx").expect("written");
        assert!(matches!(vault.read(), Err(VaultError::Newer(_))));
        std::fs::write(&vault.path, b"signet addresses 1\nxxxx").expect("written");
        assert!(matches!(vault.read(), Err(VaultError::Damaged { .. })));
        std::fs::write(&vault.path, b"signet secrets 1\nxxxx").expect("written");
        assert!(matches!(vault.read(), Err(VaultError::KeyMissing { .. })));
    }
}
