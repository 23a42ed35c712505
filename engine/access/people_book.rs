//! Who is enrolled to be recognised: consent and templates, encrypted at rest.
//!
//! In:  the home's `vault` of people.
//! Out: names, who agreed until when, and the numbers that the recogniser compares faces with.
//!
//! There are no pictures in it, and none can be made from the numbers by what is here. A person
//! whose consent has ended is not recognised any more. Who is removed is erased: the file is written
//! anew under a new key, and the old key is overwritten where it lay, so that older copies of the
//! file and what the disk still holds of it cannot be opened.
//!
//! Nothing of it leaves the computer: only `agent/analyse` and `signet people` read it.

use std::io;

use icu_normalizer::ComposingNormalizerBorrowed;
use serde::{Deserialize, Serialize};

use super::vault::{Vault, VaultError};
use crate::base::clock::Timestamp;
use crate::base::home::Home;
use crate::base::ids::ContentHash;
use crate::detection::faces::{People, Person};

/// Name of its vault.
pub const NAME: &str = "people";

/// Most people of one home: every face is compared with each.
pub const PEOPLE_MAX: usize = 500;

/// Longest name, in characters.
pub const NAME_CHARS_MAX: usize = 64;

/// Somebody who agreed to be recognised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Enrolled {
    /// As rules call them.
    pub name: String,
    /// Who agreed: the person, or who may for a child.
    pub consent_by: String,
    /// When.
    pub consent_at: Timestamp,
    /// Until when.
    pub consent_until: Timestamp,
    /// SHA-256 of the recogniser's file: numbers of different networks cannot be compared.
    pub recogniser: ContentHash,
    /// Numbers of their faces, one for each picture.
    pub faces: Vec<Vec<f32>>,
}

/// Everybody who is enrolled, by name.
#[derive(Debug, Default, PartialEq)]
pub struct PeopleBook {
    people: Vec<Enrolled>,
}

/// Why somebody cannot be enrolled, found or erased.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    /// A name that rules could not use.
    #[error(
        "`{0}` is no name for a person: 1 to {NAME_CHARS_MAX} characters, none of them hidden, \
         a quote or a backslash, and no space at either end"
    )]
    Name(String),
    /// The name is taken.
    #[error(
        "`{0}` is enrolled already: `signet people add --more` adds pictures, `signet people renew` \
         renews the consent; for somebody else choose another name"
    )]
    Taken(String),
    /// The name is somebody else's but for upper and lower case.
    #[error(
        "`{new}` and `{known}`, who is enrolled, are easily taken for each other: choose another name"
    )]
    Alike {
        /// As it was typed.
        new: String,
        /// Who is enrolled.
        known: String,
    },
    /// Nobody has this name.
    #[error("nobody is enrolled as `{0}`: see `signet people list`")]
    Unknown(String),
    /// There is no room.
    #[error("at most {PEOPLE_MAX} people can be enrolled: remove somebody first")]
    Full,
    /// The file that holds them.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl PeopleBook {
    /// Reads the book of a home; an empty one where there is none yet.
    ///
    /// # Errors
    /// When there is one that cannot be opened.
    pub fn open(home: &Home) -> Result<Self, PeopleError> {
        let vault = Vault::of(home, NAME);
        let Some(plain) = vault.read()? else { return Ok(Self::default()) };
        let people = serde_json::from_slice(&plain).map_err(|error| unusable(&vault, error))?;
        Ok(Self { people })
    }

    /// A name as it would be kept, if somebody could be enrolled by it.
    ///
    /// # Errors
    /// `Name`, `Taken`, `Alike`, `Full`.
    pub fn room_for(&self, name: &str) -> Result<String, PeopleError> {
        let name = composed(name);
        let is_plain = |c: char| !is_hidden(c) && !matches!(c, '"' | '\\' | '\'' | '`');
        let is_short = name.chars().count() <= NAME_CHARS_MAX;
        if name.is_empty() || name.trim() != name || !is_short || !name.chars().all(is_plain) {
            let shown = name.chars().filter(|c| !is_hidden(*c)).take(NAME_CHARS_MAX).collect();
            return Err(PeopleError::Name(shown));
        }
        if self.get(&name).is_some() {
            return Err(PeopleError::Taken(name));
        }
        let folded = name.to_lowercase();
        if let Some(known) = self.people.iter().find(|of| of.name.to_lowercase() == folded) {
            return Err(PeopleError::Alike { new: name, known: known.name.clone() });
        }
        if self.people.len() >= PEOPLE_MAX {
            return Err(PeopleError::Full);
        }
        Ok(name)
    }

    /// Enrols somebody, under the composed form of their name.
    ///
    /// # Errors
    /// As [`Self::room_for`]; or when the book cannot be opened or written.
    pub fn add(home: &Home, mut person: Enrolled) -> Result<Enrolled, PeopleError> {
        let vault = Vault::of(home, NAME);
        vault.locked(|| {
            let mut book = Self::open(home)?;
            person.name = book.room_for(&person.name)?;
            book.people.push(person.clone());
            book.people.sort_by(|a, b| a.name.cmp(&b.name));
            vault.write(&book.plain(&vault)?)?;
            Ok(person)
        })
    }

    /// Changes what is kept of somebody, and gives it as it is then.
    ///
    /// # Errors
    /// `Unknown`; or when the book cannot be opened or written.
    pub fn change(
        home: &Home,
        name: &str,
        change: impl FnOnce(&mut Enrolled),
    ) -> Result<Enrolled, PeopleError> {
        let vault = Vault::of(home, NAME);
        vault.locked(|| {
            let (mut book, name) = (Self::open(home)?, composed(name));
            let person = book.people.iter_mut().find(|person| person.name == name);
            let person = person.ok_or(PeopleError::Unknown(name))?;
            change(person);
            let changed = person.clone();
            vault.write(&book.plain(&vault)?)?;
            Ok(changed)
        })
    }

    /// Erases somebody; what was kept of them cannot be opened any more.
    ///
    /// # Errors
    /// `Unknown`; or when the book cannot be opened or written.
    pub fn erase(home: &Home, name: &str) -> Result<Enrolled, PeopleError> {
        let vault = Vault::of(home, NAME);
        vault.locked(|| {
            let mut book = Self::open(home)?;
            let place = book.people.iter().position(|person| person.name == name);
            let place = place.ok_or_else(|| PeopleError::Unknown(name.to_owned()))?;
            let erased = book.people.remove(place);
            vault.write_anew(&book.plain(&vault)?)?;
            Ok(erased)
        })
    }

    /// All, by name.
    pub fn all(&self) -> &[Enrolled] {
        &self.people
    }

    /// One of them.
    pub fn get(&self, name: &str) -> Option<&Enrolled> {
        let name = composed(name);
        self.people.iter().find(|person| person.name == name)
    }

    /// Those who may be recognised now, by this recogniser.
    pub fn recognised(&self, recogniser: &ContentHash, now: Timestamp) -> People {
        let valid = self.people.iter().filter(|person| {
            person.recogniser == *recogniser
                && person.consent_at <= now
                && now < person.consent_until
        });
        People::new(valid.map(|of| Person::new(&*of.name, of.faces.clone())).collect())
    }

    /// When others are to be recognised than at `now`: the next moment at which a consent begins or
    /// ends.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let moments = self.people.iter().flat_map(|of| [of.consent_at, of.consent_until]);
        moments.filter(|at| *at > now).min()
    }

    fn plain(&self, vault: &Vault) -> Result<Vec<u8>, VaultError> {
        serde_json::to_vec(&self.people).map_err(|error| unusable(vault, error))
    }
}

/// A name as it is kept: letters and their accents in one (Unicode NFC), however they were typed.
fn composed(name: &str) -> String {
    ComposingNormalizerBorrowed::new_nfc().normalize(name).into_owned()
}

/// Whether nobody sees a character, or it turns others around. Joiners are seen: emoji and some
/// scripts need them.
fn is_hidden(c: char) -> bool {
    let is_format = matches!(
        c,
        '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}'
    );
    c.is_control() || is_format
}

fn unusable(vault: &Vault, error: serde_json::Error) -> VaultError {
    VaultError::File { path: vault.path().to_path_buf(), source: io::Error::other(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    fn home() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::at(folder.path());
        home.create().expect("folders");
        (folder, home)
    }

    fn anna() -> Enrolled {
        Enrolled {
            name: "Anna".into(),
            consent_by: "Anna".into(),
            consent_at: Timestamp(0),
            consent_until: Timestamp(HOUR_MS),
            recogniser: ContentHash::of(b"a network"),
            faces: vec![vec![0.6, 0.8], vec![1.0, 0.0]],
        }
    }

    #[test]
    fn enrolled_person_is_recognised_until_the_consent_ends_and_by_their_network() {
        let (_folder, home) = home();
        PeopleBook::add(&home, anna()).expect("enrolled");
        let book = PeopleBook::open(&home).expect("the book");
        assert_eq!(book.all(), [anna()]);
        let count = |network: &[u8], now| {
            book.recognised(&ContentHash::of(network), Timestamp(now)).all().len()
        };
        assert_eq!(count(b"a network", HOUR_MS - 1), 1);
        assert_eq!(count(b"a network", HOUR_MS), 0);
        assert_eq!(count(b"a network", -1), 0);
        assert_eq!(count(b"another", 1), 0);
        assert_eq!(book.next_change(Timestamp(-1)), Some(Timestamp(0)));
        assert_eq!(book.next_change(Timestamp(0)), Some(Timestamp(HOUR_MS)));
        assert_eq!(book.next_change(Timestamp(HOUR_MS)), None);
    }

    #[test]
    fn erased_person_is_in_no_file_and_old_copies_stay_closed() {
        let (_folder, home) = home();
        let ben = Enrolled { name: "Ben".into(), ..anna() };
        PeopleBook::add(&home, anna()).expect("enrolled");
        PeopleBook::add(&home, ben.clone()).expect("enrolled");
        let copy = std::fs::read(home.vault_path(NAME)).expect("a copy");
        assert_eq!(PeopleBook::erase(&home, "Anna").expect("erased"), anna());
        assert_eq!(PeopleBook::open(&home).expect("the book").all(), [ben]);
        assert!(matches!(PeopleBook::erase(&home, "Anna"), Err(PeopleError::Unknown(_))));
        std::fs::write(home.vault_path(NAME), copy).expect("the copy is back");
        assert!(PeopleBook::open(&home).is_err());
    }

    #[test]
    fn name_that_rules_could_not_use_is_refused() {
        let (_folder, home) = home();
        let long = "x".repeat(NAME_CHARS_MAX + 1);
        for name in
            ["", " Anna", "An\"na", "An\\na", "An\nna", "An\u{200b}na", "\u{202e}Anna", &long]
        {
            let refused = PeopleBook::add(&home, Enrolled { name: name.into(), ..anna() });
            assert!(matches!(refused, Err(PeopleError::Name(_))), "{name}");
        }
        PeopleBook::add(&home, Enrolled { name: "Oma Erna 👵".into(), ..anna() })
            .expect("enrolled");
        PeopleBook::add(&home, anna()).expect("enrolled");
        assert!(matches!(PeopleBook::add(&home, anna()), Err(PeopleError::Taken(_))));
    }

    #[test]
    fn names_that_look_the_same_are_one_and_those_alike_but_for_case_are_refused() {
        let (_folder, home) = home();
        let zoe = |name: &str| Enrolled { name: name.into(), ..anna() };
        let kept = PeopleBook::add(&home, zoe("Zoe\u{308}")).expect("enrolled");
        assert_eq!(kept.name, "Zo\u{eb}");
        let again = PeopleBook::add(&home, zoe("Zo\u{eb}"));
        assert!(matches!(again, Err(PeopleError::Taken(_))), "{again:?}");
        let alike = PeopleBook::add(&home, zoe("ZO\u{cb}"));
        assert!(matches!(alike, Err(PeopleError::Alike { .. })), "{alike:?}");
        let book = PeopleBook::open(&home).expect("the book");
        assert_eq!(book.get("Zoe\u{308}"), Some(&kept));
    }

    #[test]
    fn what_is_kept_of_somebody_is_changed_and_nobody_else() {
        let (_folder, home) = home();
        PeopleBook::add(&home, anna()).expect("enrolled");
        PeopleBook::add(&home, Enrolled { name: "Ben".into(), ..anna() }).expect("enrolled");
        let until = Timestamp(9 * HOUR_MS);
        let changed = PeopleBook::change(&home, "Anna", |anna| anna.consent_until = until);
        assert_eq!(changed.expect("changed"), Enrolled { consent_until: until, ..anna() });
        let book = PeopleBook::open(&home).expect("the book");
        let untils: Vec<_> = book.all().iter().map(|person| person.consent_until).collect();
        assert_eq!(untils, [until, anna().consent_until]);
        let nobody = PeopleBook::change(&home, "Cleo", |_| ());
        assert!(matches!(nobody, Err(PeopleError::Unknown(_))), "{nobody:?}");
    }

    #[cfg(unix)]
    #[test]
    fn templates_and_their_key_are_for_the_owners_eyes_and_no_number_lies_open() {
        use std::os::unix::fs::PermissionsExt;

        let (folder, home) = home();
        PeopleBook::add(&home, anna()).expect("enrolled");
        for path in [home.vault_path(NAME), home.vault_key_path(NAME)] {
            let mode = path.metadata().expect("a file").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", path.display());
        }
        let sealed = std::fs::read(home.vault_path(NAME)).expect("the file");
        let holds = |part: &[u8]| sealed.windows(part.len()).any(|bytes| bytes == part);
        assert!(holds(b"signet people") && !holds(b"Anna") && !holds(b"consent"));
        drop(folder);
    }
}
