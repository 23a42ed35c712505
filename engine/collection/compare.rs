//! Compares what a walk lists with what is known. Pure, and in one pass over both.
//!
//! In:  listed files and known files, both in byte order of their paths.
//! Out: of each listed file whether it differs; known files that were not listed.
//!
//! Knows no disk and no database.

use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::walk::Entry;
use crate::base::file_state::FileState;
use crate::store::{KnownFile, Standing};

/// A comparison under way.
#[derive(Debug)]
pub(super) struct Comparison<K> {
    known: K,
    next: Option<KnownFile>,
    /// Known files so far, without those that were seen to vanish.
    pub(super) known_count: u64,
    /// Those of them that are there and as they were.
    pub(super) unchanged_count: u64,
}

impl<K: Iterator<Item = KnownFile>> Comparison<K> {
    /// - `known`: in byte order of paths
    pub(super) fn new(known: K) -> Self {
        let mut comparison = Self { known, next: None, known_count: 0, unchanged_count: 0 };
        comparison.advance();
        comparison
    }

    /// Takes the next listed file. `missing` is given the known files that should have come
    /// before. `true`: the file is not known as it is now.
    pub(super) fn listed(
        &mut self,
        entry: &Entry<'_>,
        missing: impl FnMut(KnownFile) -> ControlFlow<()>,
    ) -> ControlFlow<(), bool> {
        let path = bytes_of(entry.relative);
        self.pass(|known| known < path, missing)?;
        let Some(known) = self.next.take_if(|known| bytes_of(&known.relative) == path) else {
            return ControlFlow::Continue(true);
        };
        self.advance();
        // The number of a device changes when a disk is plugged in again.
        let moved = FileState { device: entry.state.device, ..known.state };
        let is_unchanged = known.kind == entry.kind && moved == entry.state;
        self.unchanged_count += u64::from(is_unchanged);
        let is_as_noted = known.state == entry.state && known.standing == Standing::There;
        ControlFlow::Continue(!(is_unchanged && is_as_noted))
    }

    /// Ends the list: all other known files are missing.
    pub(super) fn end(
        &mut self,
        missing: impl FnMut(KnownFile) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        self.pass(|_| true, missing)
    }

    fn pass(
        &mut self,
        is_passed: impl Fn(&[u8]) -> bool,
        mut missing: impl FnMut(KnownFile) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        while let Some(known) = self.next.take_if(|known| is_passed(bytes_of(&known.relative))) {
            self.advance();
            missing(known)?;
        }
        ControlFlow::Continue(())
    }

    fn advance(&mut self) {
        self.next = self.known.next();
        let counts = self.next.as_ref().is_some_and(|known| known.standing != Standing::Gone);
        self.known_count += u64::from(counts);
    }
}

/// Paths compare as the index sorts them: byte by byte, not part by part.
fn bytes_of(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::base::file_kind::FileKind;

    fn state(version: u8) -> FileState {
        let version = u64::from(version);
        FileState { bytes_count: version, modified_ns: 0, changed_ns: 0, device: 1, inode: version }
    }

    fn known(path: &str, version: u8, standing: Standing) -> KnownFile {
        let kind = FileKind::Photo;
        KnownFile { relative: path.into(), kind, state: state(version), standing }
    }

    /// Names that differ, names that are missing, and the counts.
    fn compare(
        listed: &BTreeMap<String, u8>,
        known: &BTreeMap<String, (u8, Standing)>,
    ) -> (Vec<String>, Vec<String>, (u64, u64)) {
        let (mut differ, mut missing) = (Vec::new(), Vec::new());
        let known =
            known.iter().map(|(path, (version, standing))| self::known(path, *version, *standing));
        let mut comparison = Comparison::new(known);
        let mut miss = |file: KnownFile| {
            missing.push(file.relative.display().to_string());
            ControlFlow::Continue(())
        };
        for (path, version) in listed {
            let relative = Path::new(path);
            let entry = Entry { relative, kind: FileKind::Photo, state: state(*version) };
            if comparison.listed(&entry, &mut miss) == ControlFlow::Continue(true) {
                differ.push(path.clone());
            }
        }
        assert!(comparison.end(&mut miss).is_continue());
        (differ, missing, (comparison.known_count, comparison.unchanged_count))
    }

    #[test]
    fn only_differences_are_told() {
        let listed = [("a", 1), ("b", 2), ("d", 1), ("e", 1)];
        let there = Standing::There;
        let known = [
            ("0", (1, there)),
            ("a", (1, there)),
            ("b", (1, there)),
            ("c", (1, Standing::Gone)),
            ("d", (1, Standing::Doubted)),
            ("f", (1, there)),
        ];
        let listed = listed.map(|(path, version)| (path.to_owned(), version)).into();
        let known = known.map(|(path, known)| (path.to_owned(), known)).into();
        let (differ, missing, counts) = compare(&listed, &known);
        assert_eq!(differ, ["b", "d", "e"]);
        assert_eq!(missing, ["0", "c", "f"]);
        assert_eq!(counts, (5, 2));
    }

    #[test]
    fn file_on_a_disk_with_another_number_differs_and_is_unchanged() {
        let entry = Entry { relative: Path::new("a"), kind: FileKind::Photo, state: state(1) };
        let mut file = known("a", 1, Standing::There);
        file.state.device = 2;
        let mut comparison = Comparison::new([file].into_iter());
        let differs = comparison.listed(&entry, |_| ControlFlow::Continue(()));
        assert_eq!((differs, comparison.unchanged_count), (ControlFlow::Continue(true), 1));
    }

    proptest! {
        /// Whatever is listed and known, the answer is that of two maps.
        #[test]
        fn answer_is_that_of_two_maps(
            listed in proptest::collection::btree_map("[a-c/.]{1,3}", 0_u8..3, 0..20),
            known in proptest::collection::btree_map("[a-c/.]{1,3}", 0_u8..3, 0..20),
        ) {
            let known: BTreeMap<_, _> =
                known.into_iter().map(|(path, version)| (path, (version, Standing::There))).collect();
            let (differ, missing, (known_count, unchanged_count)) = compare(&listed, &known);
            let is_known = |path: &String, version: &u8| {
                known.get(path).is_some_and(|(known, _)| known == version)
            };
            let wanted = listed.iter().filter(|(path, version)| !is_known(path, version));
            let wanted: Vec<_> = wanted.map(|(path, _)| path.clone()).collect();
            prop_assert_eq!(&differ, &wanted);
            let absent: Vec<_> = known.keys().filter(|path| !listed.contains_key(*path)).cloned().collect();
            prop_assert_eq!(missing, absent);
            prop_assert_eq!(known_count, known.len() as u64);
            prop_assert_eq!(unchanged_count, (listed.len() - differ.len()) as u64);
        }
    }
}
