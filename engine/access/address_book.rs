//! Where goods are shipped to: the owner's address book, encrypted at rest.
//!
//! In:  the home's `vault` of addresses.
//! Out: recipients by label: `""` the owner, `a`, `b`, `c` (icons to-a, to-b, to-c), persons.
//!
//! Knows no provider: it hands out what a target says that it can carry, and nothing beyond.

use std::collections::BTreeMap;
use std::io;

use super::vault::{Vault, VaultError};
use crate::base::home::Home;
use crate::base::mail::MailAddress;
use crate::orders::parcel::Recipient;
use crate::orders::target::Carries;

/// Most addressees of one owner.
pub const ADDRESSEES_MAX: usize = 1000;

/// Longest label, in characters.
pub const LABEL_CHARS_MAX: usize = 64;

/// Name of its vault.
const NAME: &str = "addresses";

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
    /// The file that holds them.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl AddressBook {
    /// Reads the book of a home; an empty one where there is none yet.
    ///
    /// # Errors
    /// When there is one that cannot be opened.
    pub fn open(home: &Home) -> Result<Self, AddressBookError> {
        let vault = Vault::of(home, NAME);
        let Some(plain) = vault.read()? else { return Ok(Self::default()) };
        let recipients = serde_json::from_slice(&plain).map_err(io::Error::other);
        let recipients = recipients
            .map_err(|source| VaultError::File { path: vault.path().to_path_buf(), source })?;
        Ok(Self { recipients })
    }

    /// Changes the book of a home and keeps it; nobody else changes it meanwhile.
    ///
    /// # Errors
    /// What `work` says, then nothing is changed; or when the book cannot be opened or written.
    pub fn edit<T>(
        home: &Home,
        work: impl FnOnce(&mut Self) -> Result<T, AddressBookError>,
    ) -> Result<T, AddressBookError> {
        let vault = Vault::of(home, NAME);
        vault.locked(|| {
            let mut book = Self::open(home)?;
            let done = work(&mut book)?;
            let plain = serde_json::to_vec(&book.recipients).map_err(io::Error::other);
            let plain = plain
                .map_err(|source| VaultError::File { path: vault.path().to_path_buf(), source })?;
            vault.write(&plain)?;
            Ok(done)
        })
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
