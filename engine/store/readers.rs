//! Connections that look at what was committed, one for each caller that looks at a time.
//!
//! A look is a transaction: all that it reads is of one moment, whoever writes meanwhile.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;
use super::db::open_to_read;

/// Connections kept open while nobody reads.
const IDLE_MAX: usize = 8;

#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_path_buf(), idle: Mutex::new(Vec::new()) }
    }

    /// # Errors
    /// As any read.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let kept = self.idle().pop();
        let mut connection = match kept {
            Some(connection) => connection,
            None => self.open()?,
        };
        let moment = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
        let value = work(&moment)?;
        moment.finish()?;
        let mut idle = self.idle();
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
        Ok(value)
    }

    /// A connection of its own, for what takes long.
    ///
    /// # Errors
    /// As any read.
    pub(super) fn open(&self) -> Result<Connection, StoreError> {
        let connection = open_to_read(&self.path)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
