//! One worker thread: reads a file once, hashes it, and looks at it if it is new.

use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};

use super::analyse::{Analysis, Analyst, Eyes};
use super::beside::{self, Trouble, alone, read_companion, read_marks};
use super::group::{candidates, developed_paths, kind_of};
use super::outlet::{imprint, preview_path, write_preview};
use crate::base::causes::one_line;
use crate::base::clock::Timestamp;
use crate::base::config::Owner;
use crate::base::file_state::FileState;
use crate::base::home::Home;
use crate::base::ids::ContentHash;
use crate::collection::group::Kind;
use crate::media::read::BYTES_MAX;
use crate::media::{ReadError, Retry, SharedBytes, read_shared};
use crate::preview::PreviewSpec;
use crate::store::index::Index;

/// A file to be looked at.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) collection: String,
    pub(super) relative: PathBuf,
    pub(super) path: PathBuf,
    pub(super) attempts_count: usize,
    /// Nobody said that its writer is done: it was only seen to lie there.
    pub(super) is_unsaid: bool,
}

impl Job {
    /// The job of reading a file beside this one that was seen to lie there.
    ///
    /// - `relative`: its path below the collection's root
    pub(super) fn beside(&self, relative: &Path) -> Self {
        Self {
            collection: self.collection.clone(),
            relative: relative.to_owned(),
            path: self.path.with_file_name(relative.file_name().unwrap_or_default()),
            attempts_count: 0,
            is_unsaid: true,
        }
    }
}

/// What became of a job.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) job: Job,
    pub(super) seen: Seen,
}

/// What was seen.
#[derive(Debug)]
pub(super) enum Seen {
    /// There is no such file any more, or nothing to be done about it.
    Gone,
    /// Try again in a moment: it was being written, or the disk stumbled.
    Busy(String),
    /// A film or other large companion without a photo: it is read when one comes.
    Alone(FileState),
    /// Not before the file changes.
    Unreadable { state: Option<FileState>, error: String },
    /// These very bytes were looked at before, here or elsewhere.
    Known { state: FileState, photo: ContentHash },
    /// A photo version not seen before.
    New {
        state: FileState,
        photo: ContentHash,
        analysis: Box<Analysis>,
        /// Files that lie beside it and may be its companions, below the collection's root.
        beside: Vec<PathBuf>,
    },
    /// No photo, but something that may travel with some.
    Beside(beside::Seen),
}

impl Seen {
    /// The state in which the file was read, if it was.
    pub(super) const fn state(&self) -> Option<FileState> {
        match self {
            Self::Gone | Self::Busy(_) => None,
            Self::Unreadable { state, .. } => *state,
            Self::Alone(state) | Self::Known { state, .. } | Self::New { state, .. } => {
                Some(*state)
            }
            Self::Beside(seen) => Some(seen.state),
        }
    }
}

/// What a worker needs.
pub(super) struct Worker {
    pub(super) eyes: Arc<Mutex<Arc<Eyes>>>,
    pub(super) index: Arc<Mutex<Index>>,
    pub(super) home: Home,
    pub(super) owner: Owner,
    /// A file that nobody speaks for is complete when it was left alone for so long.
    pub(super) quiet_ms: i64,
}

impl Worker {
    /// Works until there are no more jobs or nobody listens.
    pub(super) fn run(&self, todo: &Mutex<Receiver<Job>>, report: &dyn Fn(Report) -> bool) {
        let mut eyes = self.eyes_now();
        let mut analyst = None;
        let mut original = SharedBytes::default();
        loop {
            let job = todo.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(job) = job else { return };
            let eyes_now = self.eyes_now();
            if !Arc::ptr_eq(&eyes, &eyes_now) {
                (eyes, analyst) = (eyes_now, None);
            }
            let seen = match self.read_beside(&job) {
                Some(seen) => seen,
                None => self.look(&job, &eyes, &mut analyst, &mut original),
            };
            if !report(Report { job, seen }) {
                return;
            }
        }
    }

    fn eyes_now(&self) -> Arc<Eyes> {
        self.eyes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads a file that is no photo; `None` for a photo.
    fn read_beside(&self, job: &Job) -> Option<Seen> {
        let read = match kind_of(&job.relative) {
            Kind::PrintMarks => read_marks(&job.path, &job.relative),
            Kind::Photo if developed_paths(&job.path).iter().all(|path| !path.is_file()) => {
                return None;
            }
            // Read since, so there is nothing left to do.
            _ if job.is_unsaid && self.is_read(job) => return Some(Seen::Gone),
            _ => {
                // A photo that comes later asks for it.
                if !job.is_unsaid
                    && let Some(state) = alone(&job.path)
                {
                    return Some(Seen::Alone(state));
                }
                let quiet_ms = if job.is_unsaid { self.quiet_ms } else { 0 };
                read_companion(&job.path, quiet_ms, Timestamp::now())
            }
        };
        Some(match read {
            Ok(seen) => Seen::Beside(seen),
            Err(Trouble::Gone) => Seen::Gone,
            Err(Trouble::Soon(why)) => Seen::Busy(why),
            Err(Trouble::Never(state, error)) => Seen::Unreadable { state, error },
        })
    }

    fn is_read(&self, job: &Job) -> bool {
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        index.held_at(&job.collection, &job.relative).is_ok_and(|held| held.is_some())
    }

    /// Looks at one file.
    ///
    /// - `original`: where it is read to
    fn look(
        &self,
        job: &Job,
        eyes: &Eyes,
        analyst: &mut Option<Analyst>,
        original: &mut SharedBytes,
    ) -> Seen {
        // Taken before, so that it is never the state of another file that came since.
        let before = job.path.symlink_metadata().ok().map(|data| FileState::of(&data));
        let state = match read_shared(&job.path, BYTES_MAX, original) {
            Ok(state) => state,
            // A folder or link has taken the name of what was to be read.
            Err(ReadError::Missing | ReadError::NotAFile { .. }) => return Seen::Gone,
            Err(error) if error.retry() == Retry::Soon => return Seen::Busy(one_line(&error)),
            Err(error) => {
                return Seen::Unreadable { state: before, error: one_line(&error) };
            }
        };
        let photo = ContentHash::of(original.as_slice());
        let known = {
            let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
            index.photo(&photo)
        };
        match known {
            Ok(Some(_)) => return Seen::Known { state, photo },
            Ok(None) => {}
            Err(error) => return Seen::Busy(one_line(&error)),
        }
        let analyst = match analyst {
            Some(analyst) => analyst,
            None => match Analyst::new(eyes) {
                Ok(new) => analyst.insert(new),
                Err(error) => return Seen::Busy(one_line(&error)),
            },
        };
        let looked = analyst.analyse(original, Some(&imprint(&self.owner, &photo)));
        let (analysis, preview) = match looked {
            Ok(looked) => looked,
            Err(error) if error.retry() == Retry::Soon => return Seen::Busy(one_line(&error)),
            Err(error) => {
                return Seen::Unreadable { state: Some(state), error: one_line(&error) };
            }
        };
        if let Some(preview) = preview
            && let Err(error) =
                write_preview(&preview_path(&self.home, &photo, PreviewSpec::default()), &preview)
        {
            return Seen::Busy(format!("its preview cannot be written: {error}"));
        }
        let beside = candidates(&job.relative, &analysis).into_iter();
        let is_there = |relative: &PathBuf| {
            job.beside(relative).path.symlink_metadata().is_ok_and(|data| data.is_file())
        };
        let beside = beside.filter(is_there).collect();
        Seen::New { state, photo, analysis: Box::new(analysis), beside }
    }
}
