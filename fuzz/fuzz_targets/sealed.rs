//! Sealed answers that were altered on their way: what is opened is always the beginning of what was
//! sealed, and all of it only where nothing was altered.
//!
//! Three bytes say how much is sealed, two more what the opener expects otherwise; then pieces of five
//! bytes and more say what is put where.
#![no_main]

use std::io::Read;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use signet::access::Key;
use signet::access::sealed::{Opened, Sealer, Subject, sealed_len};
use signet::base::ids::ContentHash;

static KEY: LazyLock<Key> = LazyLock::new(|| Key::generate().expect("a key"));

/// Most plain bytes: three chunks and a bit.
const PLAIN_BYTES_MAX: usize = 3 * 64 * 1024 + 100;

fuzz_target!(|bytes: &[u8]| {
    let Some((&[a, b, c, other, piece], edits)) = bytes.split_first_chunk::<5>() else { return };
    let plain_bytes = usize::from_be_bytes([0, 0, 0, 0, 0, a, b, c]) % PLAIN_BYTES_MAX;
    let plain: Vec<u8> = (0..plain_bytes).map(|n| u8::try_from(n % 251).expect("small")).collect();
    let digest = ContentHash::of(b"whole");
    let end = 10 + plain.len() as u64;
    let subject = Subject { grant_id: "grant", digest: &digest, start: 10, end };
    let mut sealer = Sealer::new(&KEY.public(), subject).expect("sealed to");
    let header = sealer.header();
    let mut sealed = sealer.seal(&plain).expect("sealed");
    assert_eq!(sealed.len() as u64, sealed_len(plain.len() as u64));
    let right = sealed.clone();

    // Edits: two bytes of place, one of how many go, one of how many come.
    let mut edits = edits;
    while let Some((&[high, low, gone, come], rest)) = edits.split_first_chunk::<4>() {
        let at = (usize::from(u16::from_be_bytes([high, low])) * 3) % (sealed.len() + 1);
        let until = (at + usize::from(gone)).min(sealed.len());
        let (new, left) = rest.split_at(rest.len().min(usize::from(come)));
        sealed.splice(at..until, new.iter().copied());
        edits = left;
    }
    let expected = match other {
        1 => Subject { grant_id: "other", ..subject },
        2 => Subject { start: 11, end: end + 1, ..subject },
        3 => Subject { end: end.saturating_sub(1).max(10), ..subject },
        4 => Subject { end: end + 1, ..subject },
        _ => subject,
    };
    let is_same = sealed == right && expected == subject;
    let mut opened = Opened::new(sealed.as_slice(), &KEY, &header, expected).expect("its header");
    let (mut out, mut buffer) = (Vec::new(), vec![0; usize::from(piece) * 257 + 1]);
    let is_whole = loop {
        match opened.read(&mut buffer) {
            Ok(0) => break true,
            Ok(count) => out.extend_from_slice(&buffer[..count]),
            Err(_) => break false,
        }
    };
    assert!(plain.starts_with(&out), "{} bytes that were never sealed", out.len());
    assert_eq!(is_whole, is_same);
    if is_same {
        assert_eq!(out.len(), plain.len());
    } else if expected != subject {
        assert!(out.is_empty(), "opened as something else");
    }
    // A header from anywhere.
    let header = String::from_utf8_lossy(bytes);
    if let Ok(mut opened) = Opened::new(right.as_slice(), &KEY, &header, subject) {
        assert!(opened.read(&mut buffer).is_err());
    }
});
