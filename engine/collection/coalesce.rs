//! Decides when a file that somebody is writing may be read. A pure state machine.
//!
//! In:  hints about paths, what `stat` says of a path that is due, the time.
//! Out: paths that should be looked at now; files that are ready; paths that vanished.
//!
//! A path is looked at shortly after its writer closed it, was renamed into place or
//! vanished: the moment is just long enough to see several such hints as one. Without a
//! close it is looked at when it was quiet, twice, and is ready when its state did not
//! change in between and nobody has it open for writing any more; after [`OPEN_MS_MAX`]
//! even then. Reading an unfinished file does no harm (it ends early and is read again
//! later), so being quick is worth more than being certain.
//!
//! Time is milliseconds from any beginning, and never runs back.
//!
//! Knows no clock, no disk and no `notify`.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use crate::base::file_state::FileState;

/// How long to wait for further hints after a file was closed or renamed.
pub const SETTLE_MS: u64 = 15;

/// A file that nobody writes to is taken after this long, though somebody has it open.
pub const OPEN_MS_MAX: u64 = if cfg!(test) { 6000 } else { 600_000 };

/// More paths than this are not followed one by one: a scan is cheaper then.
pub const PATHS_MAX: usize = 100_000;

/// What an event says about a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// Its writer closed it, or it was renamed into place: it should be whole.
    Complete,
    /// It is being written.
    Written,
    /// Something else about it changed, such as its times or its mode.
    Touched,
    /// It was deleted or renamed away.
    Gone,
}

/// What follows from looking at a path that was due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It may be read in this state.
    Ready(FileState),
    /// It is no longer there.
    Vanished,
    /// Too early; it will be due again.
    Wait,
}

#[derive(Debug, Clone, Copy)]
struct Pending {
    due_ms: u64,
    /// A writer has it open, as far as we know.
    is_open: bool,
    /// It was deleted or renamed away meanwhile, whatever is there now.
    was_gone: bool,
    /// When something last happened to it.
    since_ms: u64,
    /// What it looked like when it was looked at last.
    state: Option<FileState>,
}

/// The paths that something happened to and that were not told of yet.
#[derive(Debug)]
pub struct Coalescer {
    quiet_ms: u64,
    pending: HashMap<PathBuf, Pending>,
    by_due: BTreeSet<(u64, PathBuf)>,
}

impl Coalescer {
    /// - `quiet_ms`: a file that is not closed is ready when it did not change for so long
    pub fn new(quiet_ms: u64) -> Self {
        Self { quiet_ms, pending: HashMap::new(), by_due: BTreeSet::new() }
    }

    /// Takes a hint. `false`: there are too many paths, nothing was noted, scan instead.
    #[must_use]
    pub fn note(&mut self, path: &Path, hint: Hint, now_ms: u64) -> bool {
        let before = self.pending.get(path).copied();
        if before.is_none() && self.pending.len() >= PATHS_MAX {
            return false;
        }
        let was_open = before.is_some_and(|pending| pending.is_open);
        let is_open = match hint {
            Hint::Written => true,
            Hint::Complete | Hint::Gone => false,
            // A program that sets times or modes may go on writing, or not.
            Hint::Touched => was_open,
        };
        let was_gone = hint == Hint::Gone || before.is_some_and(|pending| pending.was_gone);
        let wait_ms = if is_open { self.quiet_ms / 2 } else { SETTLE_MS };
        let (due_ms, since_ms) = (now_ms + wait_ms, now_ms);
        self.schedule(path, Pending { due_ms, is_open, was_gone, since_ms, state: None });
        true
    }

    /// Whether a path that is followed was deleted or renamed away meanwhile. If it is a
    /// folder now, it is another one.
    pub fn was_gone(&self, path: &Path) -> bool {
        self.pending.get(path).is_some_and(|pending| pending.was_gone)
    }

    /// Paths to look at now; call [`Coalescer::examined`] for each.
    pub fn due(&self, now_ms: u64) -> Vec<PathBuf> {
        self.by_due
            .iter()
            .take_while(|(due_ms, _)| *due_ms <= now_ms)
            .map(|(_, path)| path.clone())
            .collect()
    }

    /// When the next path will be due.
    pub fn next_due_ms(&self) -> Option<u64> {
        self.by_due.first().map(|(due_ms, _)| *due_ms)
    }

    /// Says what to do about a path that was due.
    ///
    /// - `state`: what `stat` said just now; `None` when there is no such file
    /// - `is_written`: whether somebody has the file open for writing; asked only when
    ///   nothing else speaks against it
    pub fn examined(
        &mut self,
        path: &Path,
        state: Option<FileState>,
        now_ms: u64,
        is_written: impl FnOnce(&FileState) -> bool,
    ) -> Answer {
        let Some(pending) = self.pending.get(path).copied() else { return Answer::Wait };
        let Some(state) = state else {
            self.drop_path(path);
            return Answer::Vanished;
        };
        let has_changed = pending.state != Some(state);
        let is_patient = now_ms - pending.since_ms < OPEN_MS_MAX;
        if pending.is_open && (has_changed || (is_patient && is_written(&state))) {
            let due_ms = now_ms + (self.quiet_ms - self.quiet_ms / 2);
            // The first look finds what the last hint told of.
            let has_grown = has_changed && pending.state.is_some();
            let since_ms = if has_grown { now_ms } else { pending.since_ms };
            let state = Some(state);
            self.schedule(path, Pending { due_ms, since_ms, state, ..pending });
            return Answer::Wait;
        }
        self.drop_path(path);
        Answer::Ready(state)
    }

    /// Forgets one path, because something better is known of it.
    pub fn drop_path(&mut self, path: &Path) {
        if let Some(pending) = self.pending.remove(path) {
            self.by_due.remove(&(pending.due_ms, path.to_path_buf()));
        }
    }

    /// Forgets everything, for instance before a scan that will see it all.
    pub fn clear(&mut self) {
        self.pending.clear();
        self.by_due.clear();
    }

    fn schedule(&mut self, path: &Path, pending: Pending) {
        if let Some(before) = self.pending.insert(path.to_path_buf(), pending) {
            self.by_due.remove(&(before.due_ms, path.to_path_buf()));
        }
        self.by_due.insert((pending.due_ms, path.to_path_buf()));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const QUIET_MS: u64 = 2000;

    fn state(version: u64) -> FileState {
        FileState { bytes_count: version, modified_ns: 0, changed_ns: 0, device: 1, inode: 1 }
    }

    /// Plays hints and writes against the machine; gives `(time, answer)` for each answer.
    struct Play {
        machine: Coalescer,
        now_ms: u64,
        disk: Option<FileState>,
        /// Somebody can be seen to have it open for writing.
        is_written: bool,
        answers: Vec<(u64, Answer)>,
    }

    impl Play {
        fn new() -> Self {
            Self {
                machine: Coalescer::new(QUIET_MS),
                now_ms: 0,
                disk: Some(state(1)),
                is_written: false,
                answers: Vec::new(),
            }
        }

        fn hint(&mut self, hint: Hint) -> &mut Self {
            assert!(self.machine.note(Path::new("a.jpg"), hint, self.now_ms));
            self
        }

        fn write(&mut self, version: u64) -> &mut Self {
            self.disk = Some(state(version));
            self.hint(Hint::Written)
        }

        fn wait(&mut self, ms: u64) -> &mut Self {
            let end_ms = self.now_ms + ms;
            while let Some(due_ms) = self.machine.next_due_ms().filter(|due_ms| *due_ms <= end_ms) {
                self.now_ms = due_ms;
                for path in self.machine.due(due_ms) {
                    match self.machine.examined(&path, self.disk, due_ms, |_| self.is_written) {
                        Answer::Wait => {}
                        answer => self.answers.push((due_ms, answer)),
                    }
                }
            }
            self.now_ms = end_ms;
            self
        }
    }

    #[test]
    fn closed_file_is_ready_at_once() {
        let mut play = Play::new();
        play.write(2).wait(5).write(3).wait(5).hint(Hint::Complete).wait(60_000);
        assert_eq!(play.answers, [(10 + SETTLE_MS, Answer::Ready(state(3)))]);
    }

    #[test]
    fn times_set_after_the_close_are_seen_as_one() {
        let mut play = Play::new();
        play.hint(Hint::Complete).wait(5).hint(Hint::Touched).wait(60_000);
        assert_eq!(play.answers, [(5 + SETTLE_MS, Answer::Ready(state(1)))]);
    }

    #[test]
    fn slow_writer_is_waited_for_while_it_writes() {
        let mut play = Play::new();
        for version in 2..20 {
            play.write(version).wait(900);
        }
        assert_eq!(play.answers, []);
        play.hint(Hint::Complete).wait(100);
        assert_eq!(play.answers, [(18 * 900 + SETTLE_MS, Answer::Ready(state(19)))]);
    }

    #[test]
    fn file_that_is_never_closed_is_ready_when_quiet() {
        let mut play = Play::new();
        play.write(2).wait(60_000);
        assert_eq!(play.answers, [(QUIET_MS, Answer::Ready(state(2)))]);
    }

    #[test]
    fn file_that_grows_without_events_is_not_ready() {
        let mut play = Play::new();
        play.write(2).wait(1500);
        play.disk = Some(state(3)); // through a memory map: no event tells of it
        play.wait(1000);
        assert_eq!(play.answers, []);
        play.wait(1000);
        assert_eq!(play.answers, [(3000, Answer::Ready(state(3)))]);
    }

    #[test]
    fn file_that_is_seen_to_be_open_is_waited_for_but_not_for_ever() {
        let mut play = Play::new();
        play.is_written = true;
        play.write(2).wait(4000).write(3).wait(OPEN_MS_MAX - 1);
        assert_eq!(play.answers, [], "a pause is not the end");
        play.is_written = false;
        play.wait(QUIET_MS);
        let [(_, answer)] = play.answers.as_slice() else { panic!("{:?}", play.answers) };
        assert_eq!(*answer, Answer::Ready(state(3)));
        let mut play = Play::new();
        play.is_written = true;
        play.write(2).wait(60_000);
        assert_eq!(play.answers, [(OPEN_MS_MAX, Answer::Ready(state(2)))]);
    }

    #[test]
    fn file_replaced_by_rename_does_not_vanish() {
        let mut play = Play::new();
        play.hint(Hint::Gone).hint(Hint::Complete).wait(60_000);
        assert_eq!(play.answers, [(SETTLE_MS, Answer::Ready(state(1)))]);
    }

    #[test]
    fn folder_replaced_by_another_is_told_from_one_that_is_new() {
        let mut play = Play::new();
        play.hint(Hint::Complete);
        assert!(!play.machine.was_gone(Path::new("a.jpg")));
        play.hint(Hint::Gone).hint(Hint::Complete);
        assert!(play.machine.was_gone(Path::new("a.jpg")));
        play.wait(100).hint(Hint::Complete);
        assert!(!play.machine.was_gone(Path::new("a.jpg")), "that was told");
    }

    #[test]
    fn deleted_file_vanishes() {
        let mut play = Play::new();
        play.write(2);
        play.disk = None;
        play.hint(Hint::Gone).wait(60_000);
        assert_eq!(play.answers, [(SETTLE_MS, Answer::Vanished)]);
    }

    #[test]
    fn too_many_paths_ask_for_a_scan() {
        let mut machine = Coalescer::new(QUIET_MS);
        for number in 0..PATHS_MAX {
            assert!(machine.note(Path::new(&number.to_string()), Hint::Written, 0));
        }
        assert!(!machine.note(Path::new("one more"), Hint::Written, 0));
        assert!(machine.note(Path::new("7"), Hint::Complete, 0), "known paths are still followed");
        machine.clear();
        assert_eq!(machine.next_due_ms(), None);
    }

    proptest! {
        /// Whatever happens, once all is quiet the last answer tells the truth of the disk,
        /// and every change of the disk was followed by an answer.
        #[test]
        fn last_answer_is_the_truth(steps in proptest::collection::vec((0_u8..5, 0_u64..3000), 1..40)) {
            let mut play = Play::new();
            play.hint(Hint::Complete);
            for (number, (kind, wait_ms)) in steps.into_iter().enumerate() {
                let version = number as u64 + 2;
                match kind {
                    0 => { play.write(version); }
                    1 => { play.write(version).hint(Hint::Complete); }
                    2 => { play.disk = None; play.hint(Hint::Gone); }
                    3 => { play.hint(Hint::Touched); }
                    _ => { play.disk = Some(state(version)); play.hint(Hint::Gone).hint(Hint::Complete); }
                }
                play.wait(wait_ms);
            }
            play.wait(60_000);
            let wanted = play.disk.map_or(Answer::Vanished, Answer::Ready);
            prop_assert_eq!(play.answers.last().map(|(_, answer)| answer.clone()), Some(wanted));
            prop_assert_eq!(play.machine.next_due_ms(), None);
        }
    }
}
