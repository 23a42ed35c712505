//! The loop's part about what lies beside photos: keeps what was read of companions and print
//! orders, and has the photos that they are for judged again.
//!
//! Knows no contents: `beside` reads them, `group` says what belongs together.

use std::collections::BTreeSet;
use std::path::Path;

use super::beside::{self, Beside};
use super::intake::{forget_if_gone, is_still};
use super::photos::PhotoLoop;
use super::worker::Job;
use super::{AgentError, AgentEvent, group, lock};
use crate::base::file_kind::FileKind;
use crate::base::file_state::FileState;
use crate::base::ids::ContentHash;
use crate::collection::names::kind_of_path;
use crate::store::index::Index;
use crate::store::{CompanionRow, MarkRow, StoreError};

impl PhotoLoop {
    /// Notes which bytes a file holds, if it still does.
    pub(super) fn keep_file(
        &self,
        index: &mut Index,
        job: &Job,
        state: &FileState,
        hash: &ContentHash,
    ) -> Result<(), StoreError> {
        let Job { collection, relative, path, .. } = job;
        if !is_still(path, state) {
            return Ok(());
        }
        match kind_of_path(relative) {
            Some(FileKind::Photo) => index.record_file(collection, relative, state, hash)?,
            kind => {
                let kind = kind.unwrap_or(FileKind::Companion);
                index.note_file(collection, relative, kind, state, Some(hash))?;
            }
        }
        forget_if_gone(index, collection, relative, path)
    }

    /// Notes that a file cannot be read or understood as it is, if it still is so.
    pub(super) fn keep_failure(
        &self,
        index: &mut Index,
        job: &Job,
        state: &FileState,
        error: &str,
    ) -> Result<(), StoreError> {
        let Job { collection, relative, path, .. } = job;
        if !is_still(path, state) {
            return Ok(());
        }
        match kind_of_path(relative) {
            Some(FileKind::Photo) => index.record_failure(collection, relative, state, error)?,
            kind => {
                let kind = kind.unwrap_or(FileKind::Companion);
                index.note_file(collection, relative, kind, state, None)?;
            }
        }
        forget_if_gone(index, collection, relative, path)
    }

    /// Notes that a companion without a photo was not read, unless it was meanwhile.
    pub(super) fn keep_alone(&self, job: &Job, state: &FileState) -> Result<(), StoreError> {
        let Job { collection, relative, path, .. } = job;
        let mut index = lock(&self.index);
        let kind = kind_of_path(relative).unwrap_or(FileKind::Companion);
        if is_still(path, state) && index.known(collection, relative, kind, state)?.is_none() {
            index.note_unread(collection, relative, state)?;
        }
        forget_if_gone(&mut index, collection, relative, path)
    }

    /// Keeps what lies beside photos; those that it is for are judged again.
    pub(super) fn keep_beside(&mut self, job: &Job, seen: beside::Seen) -> Result<(), AgentError> {
        let keep_error = |source| AgentError::Keep { what: "what was seen", source };
        let Job { collection, relative, .. } = job;
        let beside::Seen { state, hash, beside } = seen;
        let index = self.index.clone();
        let mut index = lock(&index);
        index.begin_batch().map_err(keep_error)?;
        let fitting =
            |index: &Index| group::photos_beside(index, collection, relative).map_err(keep_error);
        let (photos, event) = match beside {
            Beside::Companion(facts) => {
                let (role, bytes_count) = (facts.member, state.bytes_count);
                let facts_json = serde_json::to_string(&facts).unwrap_or_default();
                let row = CompanionRow { hash, bytes_count, facts_json };
                index.record_companion(&row).map_err(keep_error)?;
                self.keep_file(&mut index, job, &state, &hash).map_err(keep_error)?;
                let photos = fitting(&index)?;
                let (collection, path) = (collection.clone(), relative.clone());
                let photos_count = photos.len();
                (photos, Some(AgentEvent::Companion { collection, path, role, photos_count }))
            }
            Beside::Strange(error) => {
                self.keep_failure(&mut index, job, &state, &error).map_err(keep_error)?;
                let photos = fitting(&index)?;
                let (collection, path) = (collection.clone(), relative.clone());
                // Folders hold all kinds of films and JSON; it matters beside a photo of its name.
                let event = AgentEvent::Unreadable { collection, path, error };
                let event = (!photos.is_empty()).then_some(event);
                (photos, event)
            }
            Beside::Marks { jobs, notes } => {
                self.keep_file(&mut index, job, &state, &hash).map_err(keep_error)?;
                let photos = self.mark(&mut index, collection, relative, &jobs)?;
                let (collection, path) = (collection.clone(), relative.clone());
                let jobs_count = jobs.len();
                (photos, Some(AgentEvent::PrintOrder { collection, path, jobs_count, notes }))
            }
        };
        let again = mark_again(&mut index, photos).map_err(keep_error)?;
        index.commit_batch().map_err(keep_error)?;
        drop(index);
        self.queue_again(again, collection);
        event.into_iter().for_each(|event| (self.tell)(event));
        Ok(())
    }

    /// Has the photos judged again that a known companion lies beside now.
    pub(super) fn judge_beside(
        &mut self,
        collection: &str,
        companion: &Path,
    ) -> Result<(), AgentError> {
        let keep_error = |source| AgentError::Keep { what: "what was seen", source };
        let index = self.index.clone();
        let mut index = lock(&index);
        let photos = group::photos_beside(&index, collection, companion).map_err(keep_error)?;
        let again = mark_again(&mut index, photos).map_err(keep_error)?;
        drop(index);
        self.queue_again(again, collection);
        Ok(())
    }

    /// Notes what a print order says now; gives the photos for which that is a change.
    fn mark(
        &self,
        index: &mut Index,
        collection: &str,
        relative: &Path,
        jobs: &[MarkRow],
    ) -> Result<BTreeSet<ContentHash>, AgentError> {
        let keep_error = |source| AgentError::Keep { what: "a print order", source };
        let keys = index.set_marks(collection, relative, jobs).map_err(keep_error)?;
        let root = beside::root_of_marks(relative);
        let photos = index.photos_with_keys(collection, &root, &keys).map_err(keep_error)?;
        Ok(photos.into_iter().collect())
    }

    /// Forgets print orders whose files are gone; their photos are judged again.
    pub(super) fn drop_lost_marks(&mut self) -> Result<(), AgentError> {
        let keep_error = |source| AgentError::Keep { what: "a print order", source };
        let index = self.index.clone();
        let mut index = lock(&index);
        for (collection, marks) in index.lost_marks().map_err(keep_error)? {
            let photos = self.mark(&mut index, &collection, &marks, &[])?;
            let again = mark_again(&mut index, photos).map_err(keep_error)?;
            self.queue_again(again, &collection);
        }
        Ok(())
    }

    fn queue_again(&mut self, photos: Vec<ContentHash>, collection: &str) {
        for photo in photos {
            self.queue(photo, collection, Vec::new());
        }
    }

    /// A file that will not be read keeps no photo waiting.
    pub(super) fn expect_no_more(&mut self, job: &Job) {
        for photo in &mut self.waiting {
            let expected_count = photo.beside.len();
            photo.beside.retain(|path| *path != job.relative || photo.collection != job.collection);
            if photo.beside.len() < expected_count {
                photo.held = None;
            }
        }
    }
}

/// Marks photos as to be judged again; gives those that may order.
fn mark_again(
    index: &mut Index,
    photos: BTreeSet<ContentHash>,
) -> Result<Vec<ContentHash>, StoreError> {
    let mut again = Vec::new();
    for photo in photos {
        if index.judge_again(&photo)? {
            again.push(photo);
        }
    }
    Ok(again)
}
