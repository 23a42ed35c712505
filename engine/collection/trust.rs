//! Decides whether the events of a root can be trusted. A pure state machine.
//!
//! In:  what events announced, what scans found, whether our canary was heard.
//! Out: that events are no longer trusted, or are again.
//!
//! A watcher may be dead and look well: on a share that a server changes, on a disk whose
//! driver forgot it. Two things tell. A file that we write beside our own state on the same
//! disk must be heard of. And a scan must find nothing that changed long enough ago without
//! having been announced.
//!
//! What was announced is kept until a scan finds the index and the disk agree, because a
//! photo may wait in a queue for long before the index knows it.
//!
//! Knows no clock and no disk.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::path::Path;

/// More announced paths than this are not kept; scans surprise nobody then.
const ANNOUNCED_MAX: usize = 200_000;

/// Scans in a row that find nothing unannounced, while events did come, before events are
/// trusted again.
const PROOFS_NEEDED: u32 = 3;

/// Canaries in a row that are not heard before events are trusted no more. One may be late.
const SILENCES_MAX: u32 = 2;

/// A change of mind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Events do not tell everything: scan often.
    Lost,
    /// They do again.
    Regained,
}

/// What is thought of a root's events.
#[derive(Debug, Default)]
pub(super) struct Trust {
    is_lost: bool,
    hasher: RandomState,
    /// Hashes of paths that events told of.
    announced: HashSet<u64>,
    /// There were too many.
    is_blurred: bool,
    /// Events came since the last scan ended.
    heard: bool,
    surprises_count: u64,
    proofs_count: u32,
    silences_count: u32,
}

impl Trust {
    /// Whether events cannot be relied on.
    pub(super) const fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// An event told of this path, or of a folder with all that is in it.
    pub(super) fn announced(&mut self, relative: &Path) {
        self.heard = true;
        if self.announced.len() < ANNOUNCED_MAX {
            self.announced.insert(self.hasher.hash_one(relative));
        } else {
            self.is_blurred = true;
        }
    }

    /// A scan found that a file differs from what is known, and events had time to tell.
    pub(super) fn differs(&mut self, relative: &Path) {
        let was_announced =
            relative.ancestors().any(|path| self.announced.contains(&self.hasher.hash_one(path)));
        if !was_announced && !self.is_blurred {
            self.surprises_count += 1;
        }
    }

    /// A scan ended.
    ///
    /// - `differences_count`: files that were not as the index knew them
    pub(super) fn scan_ended(&mut self, differences_count: u64) -> Option<Change> {
        let surprises_count = std::mem::take(&mut self.surprises_count);
        let heard = std::mem::take(&mut self.heard);
        if differences_count == 0 {
            self.announced.clear();
            self.is_blurred = false;
        }
        if surprises_count > 0 {
            return self.lose();
        }
        if self.is_lost && heard {
            return self.prove();
        }
        None
    }

    /// Our canary was heard, or was waited for in vain.
    pub(super) fn canary(&mut self, was_heard: bool) -> Option<Change> {
        if was_heard {
            self.silences_count = 0;
            return None;
        }
        self.silences_count += 1;
        (self.silences_count >= SILENCES_MAX).then(|| self.lose()).flatten()
    }

    /// All is watched anew; what was announced before means nothing.
    pub(super) fn begin_anew(&mut self) {
        self.announced.clear();
        self.is_blurred = false;
        self.surprises_count = 0;
        self.silences_count = 0;
    }

    fn lose(&mut self) -> Option<Change> {
        self.proofs_count = 0;
        let was_lost = std::mem::replace(&mut self.is_lost, true);
        (!was_lost).then_some(Change::Lost)
    }

    fn prove(&mut self) -> Option<Change> {
        self.proofs_count += 1;
        if self.proofs_count < PROOFS_NEEDED {
            return None;
        }
        self.is_lost = false;
        self.proofs_count = 0;
        Some(Change::Regained)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn change_that_no_event_announced_costs_the_trust_once() {
        let mut trust = Trust::default();
        trust.announced(Path::new("a.jpg"));
        trust.announced(Path::new("folder"));
        for known in ["a.jpg", "folder/b/c.jpg"] {
            trust.differs(Path::new(known));
        }
        assert_eq!(trust.scan_ended(2), None);
        trust.differs(Path::new("b.jpg"));
        assert_eq!(trust.scan_ended(1), Some(Change::Lost));
        trust.differs(Path::new("c.jpg"));
        assert_eq!(trust.scan_ended(1), None, "told once");
        assert!(trust.is_lost());
    }

    #[test]
    fn events_prove_right_again_only_when_they_come() {
        let mut trust = Trust::default();
        trust.differs(Path::new("b.jpg"));
        assert_eq!(trust.scan_ended(1), Some(Change::Lost));
        for _ in 0..10 {
            assert_eq!(trust.scan_ended(0), None, "silence proves nothing");
        }
        for _ in 1..PROOFS_NEEDED {
            trust.announced(Path::new("a.jpg"));
            assert_eq!(trust.scan_ended(0), None);
        }
        trust.announced(Path::new("a.jpg"));
        assert_eq!(trust.scan_ended(0), Some(Change::Regained));
        assert!(!trust.is_lost());
    }

    #[test]
    fn canary_that_is_late_once_costs_nothing() {
        let mut trust = Trust::default();
        assert_eq!(trust.canary(false), None);
        assert_eq!(trust.canary(true), None);
        assert_eq!(trust.canary(false), None);
        assert_eq!(trust.canary(false), Some(Change::Lost));
        assert_eq!(trust.canary(false), None, "told once");
    }

    #[test]
    fn too_many_announced_paths_make_no_surprise() {
        let mut trust = Trust::default();
        for number in 0..=ANNOUNCED_MAX {
            trust.announced(Path::new(&number.to_string()));
        }
        trust.differs(Path::new("other.jpg"));
        assert_eq!(trust.scan_ended(1), None);
        assert_eq!(trust.scan_ended(0), None);
        trust.differs(Path::new("other.jpg"));
        assert_eq!(trust.scan_ended(1), Some(Change::Lost), "it sees clearly again");
    }
}
