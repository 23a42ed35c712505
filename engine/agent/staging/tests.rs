//! Sealing of members that stay, change and are taken back.

use std::cell::Cell;
use std::io::Write;

use super::*;
use crate::access::Key;
use crate::access::sealed::Opened;

struct Photo {
    path: tempfile::TempPath,
    bytes: Vec<u8>,
    key: Key,
}

/// How much of a member left, and whether all of it did.
struct Left {
    sealed: Vec<u8>,
    ended: io::Result<()>,
    header: String,
}

impl Photo {
    fn new() -> Self {
        let number = |i: usize| u8::try_from(i % 253).expect("small");
        let bytes: Vec<u8> = (0..3 * PIECE_BYTES + 5).map(number).collect();
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(&bytes).expect("written");
        Self { path: file.into_temp_path(), bytes, key: Key::generate().expect("a key") }
    }

    fn subject<'a>(&self, digest: &'a ContentHash) -> Subject<'a> {
        Subject { grant_id: "g", digest, start: 0, end: self.bytes.len() as u64 }
    }

    /// Seals it; `step` is called before each piece leaves.
    fn sealed(&self, step: impl Fn() -> io::Result<bool>) -> Left {
        let digest = ContentHash::of(&self.bytes);
        let sealer = Sealer::new(&self.key.public(), self.subject(&digest)).expect("a key");
        let (header, file) = (sealer.header(), File::open(&self.path).expect("there"));
        let (sender, mut pieces) = mpsc::channel(16);
        let ended = seal(&file, &digest, self.bytes.len() as u64, sealer, &sender, step);
        drop(sender);
        let mut sealed = Vec::new();
        while let Some(Ok(piece)) = pieces.blocking_recv() {
            sealed.extend_from_slice(&piece);
        }
        Left { sealed, ended, header }
    }
}

#[test]
fn member_that_stays_as_it_was_leaves_whole_and_opens() {
    let photo = Photo::new();
    let left = photo.sealed(|| Ok(true));
    left.ended.expect("sealed");
    assert_eq!(left.sealed.len() as u64, sealed_len(photo.bytes.len() as u64));
    let digest = ContentHash::of(&photo.bytes);
    let opened = Opened::new(&*left.sealed, &photo.key, &left.header, photo.subject(&digest));
    let mut plain = Vec::new();
    opened.expect("a seal").read_to_end(&mut plain).expect("opened");
    assert_eq!(plain, photo.bytes);
}

#[test]
fn member_that_is_changed_while_it_is_sealed_leaves_no_whole_copy() {
    let photo = Photo::new();
    let left = photo.sealed(|| {
        let file = std::fs::OpenOptions::new().write(true).open(&photo.path)?;
        std::os::unix::fs::FileExt::write_all_at(&file, b"other", photo.bytes.len() as u64 - 5)?;
        Ok(true)
    });
    assert!(left.ended.expect_err("changed").to_string().contains("changed"));
    assert!((left.sealed.len() as u64) < sealed_len(photo.bytes.len() as u64));
}

#[test]
fn grant_that_is_taken_back_while_its_member_is_sealed_leaves_no_whole_copy() {
    let (photo, pieces_count) = (Photo::new(), Cell::new(0));
    let left = photo.sealed(|| {
        pieces_count.set(pieces_count.get() + 1);
        Ok(pieces_count.get() < 3)
    });
    assert!(left.ended.expect_err("revoked").to_string().contains("revoked"));
    assert_eq!(left.sealed.len() as u64, sealed_len(2 * PIECE_BYTES as u64));
}
