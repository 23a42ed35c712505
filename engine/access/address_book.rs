//! Where goods are shipped to: the owner's address book, encrypted at rest.
//!
//! In:  `addresses.sealed` and `keys/addresses.key` of the home.
//! Out: recipients by label: `""` the owner, `a`, `b`, `c` (icons to-a, to-b, to-c), persons.
//!
//! The file is sealed with XChaCha20-Poly1305 under a random key of its own, made on first use.
//! That protects a copy of the home without `keys/` (a backup, a synced folder, a disk that is
//! given away); whoever can read `keys/` can read the addresses. What cannot be opened is never
//! overwritten: the error says what to do.
//!
//! Knows no provider: it hands out what a target says that it can carry, and nothing beyond.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use crate::base::files::{Readers, write_atomic};
use crate::base::home::Home;
use crate::base::mail::MailAddress;
use crate::orders::parcel::Recipient;
use crate::orders::target::Carries;

/// Most addressees of one owner.
pub const ADDRESSEES_MAX: usize = 1000;

/// Longest label, in characters.
pub const LABEL_CHARS_MAX: usize = 64;

/// First bytes of the file: what it is, and the version of what follows. Sealed along.
const HEADER: &[u8] = b"signet addresses 1\n";

/// Bytes of a nonce; random ones of this length never meet (2^96 files).
const NONCE_BYTES: usize = 24;

/// Larger files are none of ours.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Recipients by label.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct AddressBook {
    recipients: BTreeMap<String, Recipient>,
}

/// Why the address book cannot be used, or will not take something.
#[derive(Debug, thiserror::Error)]
pub enum AddressBookError {
    /// A label that no rule could name.
    #[error(
        "`{0}` is no label of an addressee: 1 to {LABEL_CHARS_MAX} letters, digits, `-`, `_` or `.`"
    )]
    Label(String),
    /// Nobody has this label.
    #[error("there is no addressee `{0}`: see `signet addressees list`")]
    Unknown(String),
    /// Something an address cannot be.
    #[error("{field} `{value}` {why}")]
    Field {
        /// Which part of the address.
        field: &'static str,
        /// What was given, fit to be shown.
        value: String,
        /// What is wrong, and what would be right.
        why: &'static str,
    },
    /// There is no room.
    #[error("an address book has at most {ADDRESSEES_MAX} addressees: remove one first")]
    Full,
    /// A file could not be read or written.
    #[error("`{path}` cannot be used")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The key is gone, and without it the addresses are.
    #[error(
        "`{key}` is missing and `{sealed}` cannot be opened without it: restore the key from a \
         backup, or remove `{sealed}` and enter the addresses anew"
    )]
    KeyMissing {
        /// Where the key should be.
        key: PathBuf,
        /// What it would open.
        sealed: PathBuf,
    },
    /// The key file holds something else.
    #[error("the key file `{0}` is damaged: restore it from a backup")]
    KeyDamaged(PathBuf),
    /// Sealed under another key, or not as it was written.
    #[error(
        "`{0}` is damaged, or was sealed with another key than `keys/addresses.key`: restore both \
         from the same backup, or remove it and enter the addresses anew"
    )]
    Damaged(PathBuf),
    /// Written by a version to come.
    #[error("`{0}` was written by a newer version of signet: use that one")]
    Newer(PathBuf),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random(#[from] getrandom::Error),
}

impl AddressBook {
    /// Reads the book of a home; an empty one where there is none yet.
    ///
    /// # Errors
    /// When there is one that cannot be opened.
    pub fn open(home: &Home) -> Result<Self, AddressBookError> {
        let path = home.addresses_path();
        let Some(sealed) = read(&path)? else { return Ok(Self::default()) };
        let Some(body) = sealed.strip_prefix(HEADER) else {
            return Err(if sealed.starts_with(b"signet addresses ") {
                AddressBookError::Newer(path)
            } else {
                AddressBookError::Damaged(path)
            });
        };
        let key_path = home.addresses_key_path();
        let key = load_key(&key_path)?
            .ok_or_else(|| AddressBookError::KeyMissing { key: key_path, sealed: path.clone() })?;
        body.split_first_chunk::<NONCE_BYTES>()
            .and_then(|(nonce, msg)| {
                let payload = Payload { msg, aad: HEADER };
                key.decrypt(&XNonce::from(*nonce), payload).ok()
            })
            .and_then(|plain| serde_json::from_slice(&plain).ok())
            .map(|recipients| Self { recipients })
            .ok_or(AddressBookError::Damaged(path))
    }

    /// Changes the book of a home and keeps it; nobody else changes it meanwhile.
    ///
    /// # Errors
    /// What `work` says, then nothing is changed; or when the book cannot be opened or written.
    pub fn edit<T>(
        home: &Home,
        work: impl FnOnce(&mut Self) -> Result<T, AddressBookError>,
    ) -> Result<T, AddressBookError> {
        let lock_path = home.root().join("addresses.lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path);
        // Held until the file is closed, however this ends.
        let _lock: File = lock
            .and_then(|file| file.lock().map(|()| file))
            .map_err(|source| AddressBookError::File { path: lock_path, source })?;
        let mut book = Self::open(home)?;
        let done = work(&mut book)?;
        book.save(home)?;
        Ok(done)
    }

    /// Puts a recipient in, in the place of who had the label before; tells whether it is new.
    ///
    /// # Errors
    /// A label or an address that cannot be one, or no room.
    pub fn put(&mut self, label: &str, recipient: Recipient) -> Result<bool, AddressBookError> {
        let fit = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        if label.chars().count() > LABEL_CHARS_MAX || !label.chars().all(fit) {
            return Err(AddressBookError::Label(shown(label)));
        }
        let recipient = sound(recipient)?;
        if self.recipients.len() >= ADDRESSEES_MAX && !self.recipients.contains_key(label) {
            return Err(AddressBookError::Full);
        }
        Ok(self.recipients.insert(label.to_owned(), recipient).is_none())
    }

    /// Takes a recipient out.
    ///
    /// # Errors
    /// `Unknown`.
    pub fn remove(&mut self, label: &str) -> Result<Recipient, AddressBookError> {
        let unknown = || AddressBookError::Unknown(label.to_owned());
        self.recipients.remove(label).ok_or_else(unknown)
    }

    /// Everything that is known of one; for its owner, not for providers.
    pub fn get(&self, label: &str) -> Option<&Recipient> {
        self.recipients.get(label)
    }

    /// All, by label; the owner first.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Recipient)> {
        self.recipients.iter().map(|(label, recipient)| (label.as_str(), recipient))
    }

    /// What a provider is told of an addressee, which is what it needs to ship and no more:
    /// nothing where its target carries no address, telephone and mail only where it carries them.
    ///
    /// - `label`: absent: the owner
    pub fn recipient(&self, label: Option<&str>, carries: &Carries) -> Option<Recipient> {
        if !carries.address {
            return None;
        }
        let mut recipient = self.get(label.unwrap_or_default())?.clone();
        if !carries.contact {
            (recipient.email, recipient.phone) = (None, None);
        }
        Some(recipient)
    }

    fn save(&self, home: &Home) -> Result<(), AddressBookError> {
        let key = load_key(&home.addresses_key_path())?;
        let key = key.map_or_else(|| make_key(&home.addresses_key_path()), Ok)?;
        let path = home.addresses_path();
        let failed = |error| AddressBookError::File { path: path.clone(), source: error };
        let plain = serde_json::to_vec(&self.recipients).map_err(|error| failed(error.into()))?;
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce)?;
        let payload = Payload { msg: &plain, aad: HEADER };
        let sealed = key.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|error| failed(io::Error::other(error)))?;
        let file = [HEADER, &nonce, &sealed].concat();
        write_atomic(&path, &file, Readers::OwnerOnly).map_err(failed)
    }
}

/// Reads a file that may be missing.
fn read(path: &Path) -> Result<Option<Vec<u8>>, AddressBookError> {
    let failed = |source| AddressBookError::File { path: path.into(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    Ok(Some(bytes))
}

fn load_key(path: &Path) -> Result<Option<XChaCha20Poly1305>, AddressBookError> {
    let Some(text) = read(path)? else { return Ok(None) };
    let secret = URL_SAFE_NO_PAD.decode(text.trim_ascii()).ok();
    secret
        .and_then(|secret| XChaCha20Poly1305::new_from_slice(&secret).ok())
        .map(Some)
        .ok_or_else(|| AddressBookError::KeyDamaged(path.into()))
}

fn make_key(path: &Path) -> Result<XChaCha20Poly1305, AddressBookError> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)?;
    let text = URL_SAFE_NO_PAD.encode(secret) + "\n";
    let failed = |source| AddressBookError::File { path: path.into(), source };
    write_atomic(path, text.as_bytes(), Readers::OwnerOnly).map_err(failed)?;
    Ok(XChaCha20Poly1305::new(&secret.into()))
}

/// An address with white space around its parts taken off, if it can be one.
fn sound(address: Recipient) -> Result<Recipient, AddressBookError> {
    let needed = |field, text: &str, chars_max| {
        let text = plain(field, text, chars_max)?;
        let wrong = |why| AddressBookError::Field { field, value: String::new(), why };
        if text.is_empty() { Err(wrong("is missing")) } else { Ok(text) }
    };
    let optional = |field, text: Option<String>, chars_max| {
        let text = text.map(|text| plain(field, &text, chars_max)).transpose()?;
        Ok::<_, AddressBookError>(text.filter(|text| !text.is_empty()))
    };
    let country_code = plain("country", &address.country_code, 20)?.to_ascii_uppercase();
    if country_code.len() != 2 || !country_code.bytes().all(|b| b.is_ascii_uppercase()) {
        let why = "is no country code of two letters, such as DE (ISO 3166-1)";
        return Err(AddressBookError::Field { field: "country", value: country_code, why });
    }
    let email = optional("email", address.email, 254)?;
    if let Some(email) = &email
        && MailAddress::try_from(email.clone()).is_err()
    {
        let why = "is no address such as ada@example.org";
        return Err(AddressBookError::Field { field: "email", value: email.clone(), why });
    }
    let phone = optional("phone", address.phone, 30)?;
    if let Some(phone) = &phone {
        let fits = phone.chars().all(|c| c.is_ascii_digit() || "+ ()-./".contains(c));
        if !fits || phone.chars().filter(char::is_ascii_digit).count() < 5 {
            let why = "is no telephone number such as +49 30 123456";
            return Err(AddressBookError::Field { field: "phone", value: phone.clone(), why });
        }
    }
    Ok(Recipient {
        name: needed("name", &address.name, 100)?,
        line1: needed("line1", &address.line1, 100)?,
        line2: optional("line2", address.line2, 100)?,
        // Some countries have none.
        postal_code: plain("postal code", &address.postal_code, 20)?,
        town: needed("town", &address.town, 100)?,
        state: optional("state", address.state, 60)?,
        country_code,
        email,
        phone,
    })
}

/// One line of an address.
fn plain(field: &'static str, text: &str, chars_max: usize) -> Result<String, AddressBookError> {
    let text = text.trim();
    let wrong = |why| AddressBookError::Field { field, value: shown(text), why };
    if text.chars().any(is_hidden) {
        return Err(wrong("holds a line break or another character that cannot be seen"));
    }
    if text.chars().count() > chars_max {
        return Err(wrong("is too long for a label: shorten it"));
    }
    Ok(text.to_owned())
}

/// Controls, line separators, and marks that turn the direction of what follows.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

/// The beginning of a text that may hold anything.
fn shown(text: &str) -> String {
    text.chars().map(|c| if is_hidden(c) { '?' } else { c }).take(40).collect()
}

#[cfg(test)]
#[path = "address_book/tests.rs"]
mod tests;
