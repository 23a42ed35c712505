//! What was fetched from a store: a file in the home, one line of JSON for each.
//!
//! It can be lost: files that lie in the folder just as the store has them are taken for fetched.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::compare::Kept;
use crate::base::files::{Readers, write_atomic};
use crate::base::home::make_private_dir;

/// Files that were fetched, by their path below the folder.
#[derive(Debug)]
pub(super) struct Record {
    path: PathBuf,
    files: BTreeMap<String, Kept>,
    is_complete: bool,
    is_changed: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Complete { complete: bool },
    File(Kept),
}

impl Record {
    pub(super) fn load(path: PathBuf) -> io::Result<Self> {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let mut record =
            Self { path, files: BTreeMap::new(), is_complete: false, is_changed: false };
        for line in text.lines() {
            match serde_json::from_str(line) {
                Ok(Line::Complete { complete }) => record.is_complete = complete,
                Ok(Line::File(kept)) => {
                    record.files.insert(kept.relative.clone(), kept);
                }
                Err(error) => tracing::warn!(%error, "a file of a bucket is looked at anew"),
            }
        }
        Ok(record)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) const fn files(&self) -> &BTreeMap<String, Kept> {
        &self.files
    }

    /// Whether everything was here once.
    pub(super) const fn is_complete(&self) -> bool {
        self.is_complete
    }

    pub(super) const fn complete(&mut self) {
        self.is_changed |= !self.is_complete;
        self.is_complete = true;
    }

    pub(super) fn keep(&mut self, kept: Kept) {
        self.files.insert(kept.relative.clone(), kept);
        self.is_changed = true;
    }

    pub(super) fn forget(&mut self, relative: &str) {
        self.is_changed |= self.files.remove(relative).is_some();
    }

    /// Writes it, if it changed.
    pub(super) fn save(&mut self) -> io::Result<()> {
        if !self.is_changed {
            return Ok(());
        }
        let mut text = Vec::new();
        let complete = Line::Complete { complete: self.is_complete };
        let files = self.files.values().cloned().map(Line::File);
        for line in std::iter::once(complete).chain(files) {
            serde_json::to_writer(&mut text, &line)?;
            text.push(b'\n');
        }
        if let Some(folder) = self.path.parent() {
            make_private_dir(folder)?;
        }
        write_atomic(&self.path, &text, Readers::OwnerOnly)?;
        self.is_changed = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_is_read_back_and_damaged_lines_are_passed_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("buckets/a.jsonl");
        let mut record = Record::load(path.clone()).expect("none yet");
        assert!(!record.is_complete());
        let etag = Some("\"e\"".to_owned());
        let kept = Kept { relative: "2026/a.jpg".into(), etag, bytes_count: 7, modified_ms: 9 };
        record.keep(kept.clone());
        record.complete();
        record.save().expect("written");
        let text = std::fs::read_to_string(&path).expect("read");
        std::fs::write(&path, format!("{text}{{\"relative\": 7}}\nnonsense\n")).expect("written");
        let read = Record::load(path).expect("read");
        assert!(read.is_complete());
        assert_eq!(read.files().values().collect::<Vec<_>>(), [&kept]);
    }
}
