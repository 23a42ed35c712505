//! The address book: what it takes, what it hands out, and what happens to its files.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;

use super::*;

fn home() -> (tempfile::TempDir, Home) {
    let folder = tempfile::tempdir().expect("a folder");
    let home = Home::at(folder.path());
    home.create().expect("folders");
    (folder, home)
}

fn ada() -> Recipient {
    Recipient {
        name: "Ada Lovelace".into(),
        line1: "Ärztestraße 1".into(),
        postal_code: "10115".into(),
        town: "Berlin".into(),
        country_code: "DE".into(),
        email: Some("ada@example.org".into()),
        phone: Some("+49 30 123456".into()),
        ..Recipient::default()
    }
}

fn put(home: &Home, label: &str) -> Result<bool, AddressBookError> {
    AddressBook::edit(home, |book| book.put(label, ada()))
}

fn carrying(address: bool, contact: bool) -> Carries {
    Carries {
        batches: false,
        bytes: false,
        crop: false,
        companions: false,
        address,
        contact,
        progress: false,
        cancels: false,
    }
}

#[test]
fn addressee_put_in_is_there_at_the_next_start_and_not_readable_on_disk() {
    let (_folder, home) = home();
    assert_eq!(AddressBook::open(&home).expect("none yet"), AddressBook::default());
    assert!(!home.vault_key_path(NAME).exists(), "a key was made for nothing");
    assert!(put(&home, "a").expect("kept"));
    assert!(!put(&home, "a").expect("kept again"), "it is not new");
    let book = AddressBook::open(&home).expect("read");
    assert_eq!(book.get("a"), Some(&ada()));
    let sealed = std::fs::read(home.vault_path(NAME)).expect("the file");
    for word in ["Ada", "Lovelace", "10115", "Berlin", "example"] {
        let found = sealed.windows(word.len()).any(|bytes| bytes == word.as_bytes());
        assert!(!found, "`{word}` can be read");
    }
    #[cfg(unix)]
    for path in [home.vault_path(NAME), home.vault_key_path(NAME)] {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
}

#[test]
fn provider_gets_what_its_target_carries_and_no_more() {
    let mut book = AddressBook::default();
    book.put("", ada()).expect("the owner");
    assert_eq!(book.recipient(None, &carrying(false, true)), None);
    assert_eq!(book.recipient(None, &carrying(true, true)), Some(ada()));
    let bare = Recipient { email: None, phone: None, ..ada() };
    assert_eq!(book.recipient(None, &carrying(true, false)), Some(bare));
    assert_eq!(book.recipient(Some("a"), &carrying(true, true)), None, "nobody has that label");
}

#[test]
fn book_that_cannot_be_opened_says_so_and_is_not_overwritten() {
    let (_folder, home) = home();
    put(&home, "a").expect("kept");
    let (sealed_path, key_path) = (home.vault_path(NAME), home.vault_key_path(NAME));
    let (sealed, key) =
        (std::fs::read(&sealed_path).expect("sealed"), std::fs::read(&key_path).expect("the key"));
    let refused = |sealed: &[u8], key: Option<&[u8]>, words: &str| {
        std::fs::write(&sealed_path, sealed).expect("written");
        match key {
            Some(key) => std::fs::write(&key_path, key).expect("written"),
            None => std::fs::remove_file(&key_path).expect("removed"),
        }
        for error in [
            AddressBook::open(&home).expect_err("opened").to_string(),
            put(&home, "b").expect_err("changed").to_string(),
        ] {
            assert!(error.contains(words), "`{words}` is missing: {error}");
        }
        assert_eq!(std::fs::read(&sealed_path).expect("still there"), sealed);
    };
    let other_key = URL_SAFE_NO_PAD.encode([7; 32]);
    refused(&sealed, Some(other_key.as_bytes()), "another key");
    refused(&sealed, Some(b"nonsense"), "is damaged: restore");
    refused(b"", Some(&key), "is damaged");
    refused(b"signet addresses 2\n....", Some(&key), "newer version");
    refused(&sealed, None, "is missing");
    std::fs::write(&key_path, &key).expect("restored");
    std::fs::write(&sealed_path, &sealed).expect("restored");
    assert_eq!(AddressBook::open(&home).expect("opened").get("a"), Some(&ada()));
}

#[test]
fn address_that_cannot_be_one_is_refused_by_the_name_of_its_part() {
    let with = |change: &dyn Fn(&mut Recipient)| {
        let mut address = ada();
        change(&mut address);
        AddressBook::default().put("a", address)
    };
    let long = "x".repeat(101);
    for (field, change) in [
        ("name", &(|a: &mut Recipient| a.name = " ".into()) as &dyn Fn(&mut Recipient)),
        ("name", &|a| a.name = "Ada\r\nBcc: eve@example.org".into()),
        ("name", &|a| a.name = "\u{202E}adA".into()),
        ("line1", &|a| a.line1 = long.clone()),
        ("town", &|a| a.town = String::new()),
        ("state", &|a| a.state = Some("a\u{2028}b".into())),
        ("country", &|a| a.country_code = "Germany".into()),
        ("country", &|a| a.country_code = "D1".into()),
        ("country", &|a| a.country_code = "ÄÖ".into()),
        ("email", &|a| a.email = Some("ada".into())),
        ("email", &|a| a.email = Some("ada@b@c".into())),
        ("email", &|a| a.email = Some("a da@b".into())),
        ("phone", &|a| a.phone = Some("call me".into())),
        ("phone", &|a| a.phone = Some("123".into())),
    ] {
        let error = with(change).expect_err(field).to_string();
        assert!(error.starts_with(field) && !error.contains(['\n', '\r']), "{field}: {error}");
    }
    with(&|a| a.country_code = "de".into()).expect("a small code is meant as a large one");
    with(&|a| a.postal_code = String::new()).expect("some countries have no postal codes");
    for label in ["a b", "a/b", "../x", "a\n", &"x".repeat(65)] {
        let error = AddressBook::default().put(label, ada()).expect_err(label);
        assert!(matches!(error, AddressBookError::Label(_)), "{label}: {error}");
    }
}

#[test]
fn two_who_write_at_once_both_find_their_addressee_kept() {
    let (_folder, home) = home();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let home = &home;
            scope.spawn(move || put(home, &format!("p{number}")).expect("kept"));
        }
    });
    assert_eq!(AddressBook::open(&home).expect("read").iter().count(), 8);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn changed_byte_never_opens(position in 0_usize..400, bits in 1_u8..) {
        let (_folder, home) = home();
        put(&home, "a").expect("kept");
        let mut sealed = std::fs::read(home.vault_path(NAME)).expect("sealed");
        let position = position % sealed.len();
        sealed[position] ^= bits;
        std::fs::write(home.vault_path(NAME), &sealed).expect("written");
        prop_assert!(AddressBook::open(&home).is_err());
    }
}
