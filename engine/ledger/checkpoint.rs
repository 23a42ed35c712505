//! Signed heads of logs: the text of C2SP `tlog-checkpoint`, signed as C2SP `signed-note` says.
//!
//! ```text
//! signet/agent/kPrK_qmx…          origin: whose log this is, and the name of the key
//! 1047                            leaves
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//!
//! — signet/agent/kPrK_qmx… Az3grl…   4 bytes of key id and 64 of signature
//! ```
//!
//! Any tool that knows these two formats can check one. Of the ways to write the same thing, we
//! write and believe one: one signature, no further lines, no leading zeros. A note that says
//! something else under the same key is a proof that its signer lied.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use super::tree::Head;
use crate::access::{Key, PublicKey};
use crate::base::ids::ContentHash;
use crate::store::hub::CheckpointRow;

/// Longest note that is looked at, in bytes.
pub const NOTE_BYTES_MAX: usize = 1024;

/// Kind of signature in a key id: Ed25519.
const ALGORITHM: u8 = 1;

/// Why a signed head is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not the text that we write.
    #[error("the signed head is malformed")]
    Malformed,
    /// Of another log.
    #[error("the head is of another log")]
    Origin,
    /// Altered, or signed by somebody else.
    #[error("the signature of the head does not match")]
    Signature,
    /// Size or root beside the note are not those in it.
    #[error("the signed head says something else than what is said of it")]
    Other,
}

/// Name of the log that an agent keeps itself.
pub fn agent_origin(agent_id: &str) -> String {
    format!("signet/agent/{agent_id}")
}

/// Name of the log that a hub keeps about an agent.
pub fn hub_origin(hub_key: &PublicKey, agent_id: &str) -> String {
    format!("signet/hub/{}/agent/{agent_id}", hub_key.thumbprint())
}

/// Signs a head.
///
/// - `origin`: [`agent_origin`] or [`hub_origin`]
pub fn sign(origin: &str, head: Head, key: &Key) -> CheckpointRow {
    let text = body(origin, head);
    let mut signature = key_id(origin, &key.public()).to_vec();
    signature.extend(key.sign(text.as_bytes()));
    let note = format!("{text}\n\u{2014} {origin} {}\n", STANDARD.encode(signature));
    CheckpointRow { size: head.size, root: head.root, note }
}

/// Reads a signed head: whose log it is, whether it was signed by `key`, and whether it says what
/// is said of it.
///
/// # Errors
/// See [`CheckpointError`].
pub fn verify(row: &CheckpointRow, origin: &str, key: &PublicKey) -> Result<Head, CheckpointError> {
    let head = read(&row.note, origin, key)?;
    if (Head { size: row.size, root: row.root }) == head {
        Ok(head)
    } else {
        Err(CheckpointError::Other)
    }
}

/// Reads a signed note.
///
/// # Errors
/// See [`CheckpointError`].
pub fn read(note: &str, origin: &str, key: &PublicKey) -> Result<Head, CheckpointError> {
    let malformed = CheckpointError::Malformed;
    if note.len() > NOTE_BYTES_MAX {
        return Err(malformed);
    }
    let (text, signed) = note.split_once("\n\n").ok_or(malformed)?;
    let mut lines = text.split('\n');
    let (Some(name), Some(size), Some(root), None) =
        (lines.next(), lines.next(), lines.next(), lines.next())
    else {
        return Err(malformed);
    };
    if name != origin {
        return Err(CheckpointError::Origin);
    }
    let size = size.parse().ok().ok_or(malformed)?;
    let root =
        STANDARD.decode(root).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(malformed)?;
    let head = Head { size, root: ContentHash::from_bytes(root) };
    // Exactly as we write it: no leading zeros or signs, no other base 64 of the same bytes.
    let text = body(origin, head);
    let signed = signed
        .strip_prefix("\u{2014} ")
        .and_then(|rest| rest.strip_prefix(origin)?.strip_prefix(' ')?.strip_suffix('\n'))
        .ok_or(malformed)?;
    if !note.starts_with(&text) {
        return Err(malformed);
    }
    let signature = STANDARD.decode(signed).ok().ok_or(malformed)?;
    let (id, signature) = signature.split_first_chunk::<4>().ok_or(malformed)?;
    let signature: &[u8; 64] = signature.try_into().ok().ok_or(malformed)?;
    if *id == key_id(origin, key) && key.verifies(text.as_bytes(), signature) {
        Ok(head)
    } else {
        Err(CheckpointError::Signature)
    }
}

/// The text that is signed, with its last line break.
fn body(origin: &str, head: Head) -> String {
    format!("{origin}\n{}\n{}\n", head.size, STANDARD.encode(head.root.as_bytes()))
}

/// C2SP signed-note: the first four bytes of SHA-256 over name, line break, algorithm and key.
fn key_id(name: &str, key: &PublicKey) -> [u8; 4] {
    // A key is shown as base64url of its 32 bytes.
    let bytes = URL_SAFE_NO_PAD.decode(key.to_string()).unwrap_or_default();
    let digest = Sha256::new_with_prefix(name).chain_update([b'\n', ALGORITHM]).chain_update(bytes);
    let [a, b, c, d, ..]: [u8; 32] = digest.finalize().into();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ORIGIN: &str = "signet/agent/a";

    fn signed() -> (Key, CheckpointRow) {
        let key = Key::generate().expect("key");
        let head = Head { size: 1047, root: ContentHash::of(b"root") };
        let row = sign(ORIGIN, head, &key);
        (key, row)
    }

    #[test]
    fn key_id_is_that_of_the_published_example() {
        // From Go's `note` package, where signed notes come from:
        // `PeterNeumann+c74f20a3+ARpc2Qc…` is name, id and key, behind the algorithm's byte.
        let encoded = "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let bytes = STANDARD.decode(encoded).expect("base 64");
        let key: PublicKey = URL_SAFE_NO_PAD.encode(&bytes[1..]).parse().expect("a key");
        assert_eq!(key_id("PeterNeumann", &key), [0xc7, 0x4f, 0x20, 0xa3]);
    }

    #[test]
    fn head_is_read_as_it_was_signed_and_by_nobody_else() {
        let (key, row) = signed();
        let lines: Vec<&str> = row.note.split('\n').collect();
        assert_eq!(lines[..2], [ORIGIN, "1047"]);
        assert_eq!((lines[3], lines.len()), ("", 6));
        assert_eq!(verify(&row, ORIGIN, &key.public()), Ok(Head { size: 1047, root: row.root }));
        let other = Key::generate().expect("key").public();
        assert_eq!(read(&row.note, ORIGIN, &other), Err(CheckpointError::Signature));
        assert_eq!(read(&row.note, "else", &key.public()), Err(CheckpointError::Origin));
        let said = CheckpointRow { size: 1048, ..row };
        assert_eq!(verify(&said, ORIGIN, &key.public()), Err(CheckpointError::Other));
    }

    #[test]
    fn same_thing_written_otherwise_is_malformed() {
        let (key, row) = signed();
        let dash = "\u{2014} ";
        for (from, to) in [
            ("\n1047\n", "\n01047\n"),
            ("\n1047\n", "\n+1047\n"),
            ("\n\n", "\nmore\n\n"),
            (dash, "- "),
            (dash, "\u{2014}  "),
        ] {
            let note = row.note.replacen(from, to, 1);
            assert_ne!(note, row.note);
            assert!(read(&note, ORIGIN, &key.public()).is_err(), "{note}");
        }
        for note in [format!("{}\n", row.note), row.note.trim_end().to_owned(), row.note.repeat(2)]
        {
            assert!(read(&note, ORIGIN, &key.public()).is_err(), "{note}");
        }
    }

    proptest! {
        #[test]
        fn altered_note_is_never_believed(at in any::<prop::sample::Index>(), byte in 0_u8..128) {
            let (key, row) = signed();
            let mut bytes = row.note.clone().into_bytes();
            let at = at.index(bytes.len());
            prop_assume!(bytes[at] != byte);
            bytes[at] = byte;
            if let Ok(note) = String::from_utf8(bytes) {
                prop_assert!(read(&note, ORIGIN, &key.public()).is_err(), "{}", note);
            }
        }

        #[test]
        fn any_text_is_read_without_panic(
            text in "\\PC*", size in any::<u64>(), tail in "(\u{2014} signet/agent/a )?[A-Za-z0-9+/=]*\n?",
        ) {
            let key = Key::generate().expect("key").public();
            prop_assert!(read(&text, ORIGIN, &key).is_err());
            let note = format!("{ORIGIN}\n{size}\n{text}\n\n{tail}");
            prop_assert!(read(&note, ORIGIN, &key).is_err());
        }
    }
}
