//! Gathers the writes of several callers into one commit.
//!
//! In:  pieces of work from any number of threads, each to be done whole or not at all.
//! Out: what each came to, told to its caller only after it is safe on the disk.
//!
//! There is no thread of its own and no timer. Who writes takes the lock, does its work in a
//! savepoint of the open transaction and looks whether anybody else has announced itself. If not,
//! it commits for all; if so, it waits, as one of the others will. While a commit waits for the
//! disk the next callers queue at the lock, and all of them are in the next commit. So one caller
//! alone commits at once, and sixty-four share one.
//!
//! INVARIANT: whoever gives the lock away while a transaction is open has seen, under the lock,
//! that another caller is coming; each caller that comes settles the batch or does the same.
//!
//! Knows no table.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rusqlite::{Connection, ffi};

use super::StoreError;

/// One connection that many threads write with.
#[derive(Debug)]
pub(super) struct Gather {
    batch: Mutex<Batch>,
    /// Callers on their way to the lock.
    coming: AtomicUsize,
}

#[derive(Debug)]
struct Batch {
    connection: Connection,
    /// Of the open transaction, if one is open.
    fate: Option<Arc<Fate>>,
}

/// What became of one batch, for all whose work is in it.
type Fate = OnceLock<Result<(), Failure>>;

/// An error of SQLite that several callers are told of.
#[derive(Debug, Clone)]
struct Failure {
    code: Option<ffi::Error>,
    text: String,
}

impl Failure {
    fn of(error: &rusqlite::Error) -> Self {
        let text = match error {
            rusqlite::Error::SqliteFailure(_, Some(text)) => text.clone(),
            other => other.to_string(),
        };
        Self { code: error.sqlite_error().copied(), text }
    }

    fn told(&self) -> StoreError {
        StoreError::from(match self.code {
            Some(code) => rusqlite::Error::SqliteFailure(code, Some(self.text.clone())),
            None => rusqlite::Error::ToSqlConversionFailure(self.text.clone().into()),
        })
    }
}

impl Gather {
    pub(super) fn new(connection: Connection) -> Self {
        let batch = Batch { connection, fate: None };
        Self { batch: Mutex::new(batch), coming: AtomicUsize::new(0) }
    }

    /// Does a piece of work in a transaction, maybe together with that of others. If it fails or
    /// panics, it alone is undone.
    ///
    /// # Errors
    /// What the work failed with, or why the commit did; then nothing was written.
    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.coming.fetch_add(1, Ordering::SeqCst);
        let mut batch = self.guard();
        self.coming.fetch_sub(1, Ordering::SeqCst);
        let fate = batch.begin()?;
        let done = catch_unwind(AssertUnwindSafe(|| batch.attempt(work)));
        if done.is_err() {
            batch.undo();
        }
        if batch.connection.is_autocommit() {
            // Some failures, such as a full disk, make SQLite end the whole transaction.
            let failure = match &done {
                Ok(Err(error)) => Failure::of(error),
                _ => Failure { code: None, text: "the transaction was lost".to_owned() },
            };
            batch.settle(Err(failure));
        } else if self.coming.load(Ordering::SeqCst) == 0 {
            let outcome = batch.commit();
            batch.settle(outcome);
        }
        // Whoever waits needs no lock to wake: the next batch may be at the disk already.
        drop(batch);
        let outcome = fate.wait();
        match done {
            Err(panic) => resume_unwind(panic),
            Ok(Err(error)) => Err(error.into()),
            Ok(Ok(value)) => match outcome {
                Err(failure) => Err(failure.told()),
                Ok(()) => Ok(value),
            },
        }
    }

    fn guard(&self) -> MutexGuard<'_, Batch> {
        // Work that panics is caught under the lock and undone, so what lies behind it is sound.
        self.batch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Callers that wait at the lock.
    #[cfg(test)]
    pub(super) fn coming_count(&self) -> usize {
        self.coming.load(Ordering::SeqCst)
    }
}

impl Batch {
    /// The fate of the open transaction; opens one where there is none.
    fn begin(&mut self) -> rusqlite::Result<Arc<Fate>> {
        if let Some(fate) = &self.fate {
            return Ok(Arc::clone(fate));
        }
        run(&self.connection, "BEGIN IMMEDIATE")?;
        let fate = Arc::new(Fate::new());
        self.fate = Some(Arc::clone(&fate));
        Ok(fate)
    }

    fn attempt<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        run(&self.connection, "SAVEPOINT piece")?;
        let done = work(&self.connection);
        if done.is_ok() {
            run(&self.connection, "RELEASE piece")?;
        } else {
            self.undo();
        }
        done
    }

    /// Undoes the piece of work under way; the whole batch when that is not possible.
    fn undo(&self) {
        let piece = run(&self.connection, "ROLLBACK TO piece")
            .and_then(|()| run(&self.connection, "RELEASE piece"));
        if piece.is_err() && !self.connection.is_autocommit() {
            // Nothing is lost if this fails too: without a commit, nothing was written.
            let _ = run(&self.connection, "ROLLBACK");
        }
    }

    fn commit(&mut self) -> Result<(), Failure> {
        let committed = run(&self.connection, "COMMIT");
        if committed.is_err() && !self.connection.is_autocommit() {
            let _ = run(&self.connection, "ROLLBACK");
        }
        committed.map_err(|error| Failure::of(&error))
    }

    fn settle(&mut self, outcome: Result<(), Failure>) {
        if let Some(fate) = self.fate.take() {
            // Nobody else sets it: it is taken out of the batch here.
            let _ = fate.set(outcome);
        }
    }
}

fn run(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(|_none| ())
}

#[cfg(test)]
#[path = "gather/tests.rs"]
mod tests;
