//! What is known of a set of icons before any photo is looked at; made once, shared by threads.
//!
//! In:  an icon set and what earlier starts remember of it. Out: names, gallery, templates.
//!
//! Embedding one icon takes some 40 ms, so what was embedded once is remembered: the house set
//! in a file that ships ([`HOUSE`]), an owner's own icons in a file of their home. A memory is
//! kept under a digest of everything it depends on (drawing, network, recipe), so an old one
//! is never wrong, it is only not found. It can be thrown away at any time.
//!
//! Knows nothing of photos.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::embed::{EMBEDDING_LEN, Embedder};
use super::error::DetectionError;
use super::gallery::{Enrolled, Gallery};
use super::icon_set::IconSet;
use super::verify::Templates;
use crate::base::files::{Readers, write_atomic};

/// The house set as the shipped embedder sees it; `make enrol` writes it anew.
pub const HOUSE: &[u8] = include_bytes!("../../models/icons/enrolled.bin");
/// Changed whenever icons are drawn or averaged differently.
const RECIPE: &[u8] = b"signet gallery 1\n";
const MAGIC: &[u8; 8] = b"SGNTENR1";
const KEY_LEN: usize = 32;
const VALUES: usize = 2 * EMBEDDING_LEN + 1;
const RECORD_LEN: usize = KEY_LEN + 4 * VALUES;
/// Largest memory file that is read: several times the largest set.
const BYTES_MAX: usize = 2_000 * RECORD_LEN + MAGIC.len();

/// Enrolled icons.
#[derive(Debug, Clone)]
pub struct Enrolment {
    pub(super) names: Vec<String>,
    pub(super) gallery: Gallery,
    pub(super) templates: Arc<Templates>,
}

impl Enrolment {
    /// Enrols a set; what `memory` lacks is drawn, embedded and added to it.
    ///
    /// # Errors
    /// When an icon cannot be drawn or the network fails.
    pub fn of(
        set: &IconSet,
        embedder: &mut Embedder,
        memory: &mut Memory,
    ) -> Result<Self, DetectionError> {
        Ok(Self {
            names: set.names(),
            gallery: Gallery::enrol(set, embedder, memory)?,
            templates: Arc::new(Templates::new(set)?),
        })
    }

    /// What the set looks like to the embedder.
    pub const fn gallery(&self) -> &Gallery {
        &self.gallery
    }
}

/// Embeddings of icons by what they depend on.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    known: BTreeMap<[u8; KEY_LEN], Enrolled>,
    /// Digest of the network that was asked for last.
    embedder: Option<[u8; 32]>,
    /// How many were asked for and not there.
    missed_count: usize,
}

impl Memory {
    /// What ships with the program.
    pub fn house() -> Self {
        let mut memory = Self::default();
        memory.absorb(HOUSE);
        memory
    }

    /// Adds what a file remembers; a missing or damaged file adds nothing.
    pub fn read(&mut self, path: &Path) {
        if path.metadata().is_ok_and(|metadata| metadata.len() <= BYTES_MAX as u64)
            && let Ok(bytes) = std::fs::read(path)
        {
            self.absorb(&bytes);
        }
    }

    /// Writes what is known of a set, and nothing else.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn write(&self, path: &Path, set: &IconSet) -> std::io::Result<()> {
        let mut bytes = MAGIC.to_vec();
        let Some(embedder) = self.embedder else { return Ok(()) };
        for icon in set.icons() {
            let key = key(&embedder, icon.svg());
            let Some(enrolled) = self.known.get(&key) else { continue };
            bytes.extend(key);
            let values = enrolled.means.as_flattened().iter().chain([&enrolled.own_min]);
            bytes.extend(values.flat_map(|value| value.to_le_bytes()));
        }
        write_atomic(path, &bytes, Readers::Usual)
    }

    /// How many icons had to be drawn and embedded since it was made.
    pub const fn missed_count(&self) -> usize {
        self.missed_count
    }

    pub(super) fn get(&mut self, embedder: &[u8; 32], svg: &str) -> Option<Enrolled> {
        self.embedder = Some(*embedder);
        let found = self.known.get(&key(embedder, svg)).cloned();
        self.missed_count += usize::from(found.is_none());
        found
    }

    pub(super) fn put(&mut self, embedder: &[u8; 32], svg: &str, enrolled: &Enrolled) {
        self.known.insert(key(embedder, svg), enrolled.clone());
    }

    fn absorb(&mut self, bytes: &[u8]) {
        let Some(records) = bytes.strip_prefix(MAGIC) else { return };
        for record in records.chunks_exact(RECORD_LEN) {
            let Some((key, rest)) = record.split_first_chunk::<KEY_LEN>() else { continue };
            let mut values = rest
                .chunks_exact(4)
                .map(|value| f32::from_le_bytes(value.first_chunk().copied().unwrap_or_default()));
            let mut next = || values.next().filter(|value| (-1.01..=1.01).contains(value));
            let mut means = [[0.0; EMBEDDING_LEN]; 2];
            let filled = means
                .as_flattened_mut()
                .iter_mut()
                .all(|slot| next().map(|value| *slot = value).is_some());
            if let (true, Some(own_min)) = (filled, next()) {
                self.known.insert(*key, Enrolled { means, own_min });
            }
        }
    }
}

fn key(embedder: &[u8; 32], svg: &str) -> [u8; KEY_LEN] {
    let mut digest = Sha256::new();
    digest.update(RECIPE);
    digest.update(embedder);
    digest.update(svg.as_bytes());
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: [u8; 32] = [7; 32];

    fn enrolled(value: f32) -> Enrolled {
        Enrolled { means: [[value; EMBEDDING_LEN]; 2], own_min: value }
    }

    fn known(memory: &mut Memory, network: [u8; 32], svg: &str) -> Option<f32> {
        memory.get(&network, svg).map(|enrolled| enrolled.own_min)
    }

    #[test]
    fn memory_outlives_a_start_and_keeps_only_the_set() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("enrolled.bin");
        let set = IconSet::house().expect("the built-in icons");
        let svg = set.icons()[0].svg();
        let mut first = Memory::default();
        assert_eq!(known(&mut first, NETWORK, svg), None);
        first.put(&NETWORK, svg, &enrolled(0.5));
        first.put(&NETWORK, "gone", &enrolled(0.25));
        first.write(&path, &set).expect("written");
        let mut second = Memory::default();
        second.read(&path);
        assert_eq!(known(&mut second, NETWORK, svg), Some(0.5));
        assert_eq!(known(&mut second, NETWORK, "gone"), None);
        assert_eq!(known(&mut second, [8; 32], svg), None, "another network sees otherwise");
        assert_eq!(second.missed_count(), 2);
    }

    #[test]
    fn damaged_memory_is_no_memory() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("enrolled.bin");
        let set = IconSet::house().expect("the built-in icons");
        let svg = set.icons()[0].svg();
        let mut first = Memory::default();
        first.put(&NETWORK, svg, &enrolled(0.5));
        first.get(&NETWORK, svg);
        first.write(&path, &set).expect("written");
        let whole = std::fs::read(&path).expect("written");
        let mut nan = whole.clone();
        nan[MAGIC.len() + KEY_LEN..][..4].copy_from_slice(&f32::NAN.to_le_bytes());
        for damaged in [&whole[..whole.len() - 1], &whole[1..], &nan, b"", b"SGNTENR1"] {
            std::fs::write(&path, damaged).expect("written");
            let mut second = Memory::default();
            second.read(&path);
            assert_eq!(known(&mut second, NETWORK, svg), None);
        }
    }
}
