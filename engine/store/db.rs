//! Opens SQLite files and moves them from schema to schema.
//!
//! In:  a path, how durable a commit has to be, and the schema steps of one database.
//! Out: a connection in WAL mode whose schema is current, or a cause the owner can act on.
//!
//! `PRAGMA user_version` counts the steps a file has seen. A step that was released is
//! never edited: add another behind it. Each step commits together with its count, so a
//! crash between two steps is continued at the next start.
//!
//! Every file is made readable for its owner only (0600); SQLite gives its `-wal` and
//! `-shm` companions the same mode.
//!
//! Knows no table: those are in the files beside it.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

/// How long a statement waits for another process that is writing.
///
/// Long enough for a database of some gigabytes to be written anew, see [`super::erase::scrub`].
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// The write-ahead log is cut back to this size once it was copied into the database.
const WAL_BYTES_MAX: i64 = 16 * 1024 * 1024;

/// Prepared statements that a connection keeps.
const STATEMENTS_KEPT_MAX: usize = 64;

/// What must survive a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Every commit, before it returns: orders, grants, access records, ledger.
    Full,
    /// The file stays sound but may lose its last commits: what a rescan finds again.
    Rebuildable,
}

/// Why a database gave no answer. Messages name no path and no SQL except where the
/// owner needs the path to mend it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing was written; free some space and start again.
    #[error("the disk that holds the database is full")]
    Full(#[source] rusqlite::Error),
    /// The folder, the file or the whole disk may not be written.
    #[error("the database may not be written: check the permissions of its folder")]
    ReadOnly(#[source] rusqlite::Error),
    /// The file or its folder could not be opened or made.
    #[error("`{}` cannot be opened for writing", path.display())]
    Open {
        /// The database file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The bytes on disk are no longer a sound database. A rebuildable one can be deleted.
    #[error("the database is damaged: restore it from a backup")]
    Damaged(#[source] rusqlite::Error),
    /// A later version of the program has changed the file; nothing was touched.
    #[error(
        "the database has schema {found}, this program knows {known}: install the newer program"
    )]
    Newer {
        /// Steps the file has seen.
        found: usize,
        /// Steps this program has.
        known: usize,
    },
    /// Another process kept writing for longer than we wait (30 s).
    #[error("another process is using the database")]
    Busy(#[source] rusqlite::Error),
    /// Anything else that SQLite refuses, such as a broken constraint.
    #[error("the database refused")]
    Refused(#[source] rusqlite::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let Some(cause) = error.sqlite_error() else {
            return Self::Refused(error);
        };
        match cause.code {
            ErrorCode::DiskFull => Self::Full(error),
            // The shared-memory file of the log could not grow: the disk is full.
            _ if cause.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE => Self::Full(error),
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen => {
                Self::ReadOnly(error)
            }
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Self::Damaged(error),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Busy(error),
            _ => Self::Refused(error),
        }
    }
}

/// Opens a database file, making it when it is not there, and applies the schema steps
/// it has not seen.
///
/// Transactions begin as `IMMEDIATE`, so a writer waits at their start and never fails
/// in their middle for want of the lock.
///
/// # Errors
/// See [`StoreError`]; nothing was changed then, except that an empty file may have been made.
pub fn open(path: &Path, durability: Durability, steps: &[&str]) -> Result<Connection, StoreError> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    // SQLite tells a full disk, a folder that is not there and one that may not be
    // written apart only by number; the system says it in words.
    options.open(path).map_err(|source| StoreError::Open { path: path.to_path_buf(), source })?;
    // No URI flag: a folder whose name begins with `file:` is a folder.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    configure(&mut connection, durability)?;
    migrate(&mut connection, steps)?;
    Ok(connection)
}

/// Opens a database file that need not survive. A damaged one is renamed to `….damaged` and
/// begun anew.
///
/// # Errors
/// See [`StoreError`]; never `Damaged` unless renaming did not help.
pub fn open_or_begin_anew(path: &Path, steps: &[&str]) -> Result<Connection, StoreError> {
    match open(path, Durability::Rebuildable, steps) {
        Err(StoreError::Damaged(error)) => {
            let name = path.file_name().unwrap_or_default().display();
            tracing::warn!(%error, "`{name}` is damaged and is begun anew");
            set_aside(path)?;
            open(path, Durability::Rebuildable, steps)
        }
        other => other,
    }
}

/// Renames a damaged database and drops its log, which belongs to nothing else.
fn set_aside(path: &Path) -> Result<(), StoreError> {
    let beside = |suffix: &str| {
        let mut name = path.as_os_str().to_os_string();
        name.push(suffix);
        PathBuf::from(name)
    };
    let failed = |source| StoreError::Open { path: path.to_path_buf(), source };
    std::fs::rename(path, beside(".damaged")).map_err(failed)?;
    for suffix in ["-wal", "-shm"] {
        match std::fs::remove_file(beside(suffix)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Opens a database file that is there for reading only. It sees what others commit.
///
/// # Errors
/// See [`StoreError`]; never `Newer`, as whoever made it has looked at its schema.
pub fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT_MAX);
    Ok(connection)
}

/// Opens a database file that is there to write it anew: what is freed in it is overwritten.
///
/// # Errors
/// See [`StoreError`]; never `Newer`, as whoever changed it has looked at its schema.
pub(super) fn open_to_scrub(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

/// A database that lives in memory, for tests and `signet look`.
///
/// # Errors
/// A step that SQLite refuses.
pub fn open_in_memory(steps: &[&str]) -> Result<Connection, StoreError> {
    #[expect(clippy::disallowed_methods, reason = "this is the home that the lint names")]
    let mut connection = Connection::open_in_memory()?;
    configure(&mut connection, Durability::Rebuildable)?;
    migrate(&mut connection, steps)?;
    Ok(connection)
}

fn configure(connection: &mut Connection, durability: Durability) -> Result<(), StoreError> {
    connection.set_transaction_behavior(TransactionBehavior::Immediate);
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if !matches!(mode.as_str(), "wal" | "memory") {
        tracing::warn!(mode, "the database keeps no write-ahead log here; it is sound but slower");
    }
    let synchronous = match durability {
        Durability::Full => "FULL",
        Durability::Rebuildable => "NORMAL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    // Only macOS makes a difference here: a plain fsync there stops at the drive's cache.
    connection.pragma_update(None, "fullfsync", durability == Durability::Full)?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES_MAX)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // Else each new value of a parameter that an index with a condition might depend on has its
    // statement prepared anew, which costs more than running it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT_MAX);
    Ok(())
}

/// How many of its steps a file that is only read has seen.
///
/// # Errors
/// `Newer` when a later program has changed it.
pub fn steps_seen(connection: &Connection, steps: &[&str]) -> Result<usize, StoreError> {
    let seen: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let found = usize::try_from(seen).unwrap_or(0);
    if found > steps.len() {
        return Err(StoreError::Newer { found, known: steps.len() });
    }
    Ok(found)
}

/// Applies the steps that the file has not seen, each in a transaction of its own.
fn migrate(connection: &mut Connection, steps: &[&str]) -> Result<(), StoreError> {
    loop {
        let transaction = connection.transaction()?;
        // Read inside the transaction: another process may have done the step meanwhile.
        let seen = steps_seen(&transaction, steps)?;
        let Some(step) = steps.get(seen) else {
            return Ok(());
        };
        transaction.execute_batch(step)?;
        transaction.pragma_update(
            None,
            "user_version",
            i64::try_from(seen + 1).unwrap_or(i64::MAX),
        )?;
        transaction.commit()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "CREATE TABLE a (x INTEGER NOT NULL) STRICT;";
    const SECOND: &str = "ALTER TABLE a ADD COLUMN y TEXT;";

    #[test]
    fn database_from_an_older_program_gets_only_the_missing_steps() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.sqlite");
        let old = open(&path, Durability::Full, &[FIRST]).expect("opens");
        old.execute("INSERT INTO a (x) VALUES (7)", []).expect("inserts");
        drop(old);
        let new = open(&path, Durability::Full, &[FIRST, SECOND]).expect("opens again");
        let row: (i64, Option<String>) = new
            .query_row("SELECT x, y FROM a", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .expect("a row");
        assert_eq!(row, (7, None));
    }

    #[test]
    fn database_from_a_newer_program_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.sqlite");
        drop(open(&path, Durability::Full, &[FIRST, SECOND]).expect("opens"));
        let error = open(&path, Durability::Full, &[FIRST]).expect_err("too new");
        assert!(matches!(error, StoreError::Newer { found: 2, known: 1 }), "{error}");
    }

    #[test]
    fn step_that_fails_leaves_the_version_before_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.sqlite");
        let broken = "CREATE TABLE b (x INTEGER) STRICT; CREATE NONSENSE;";
        open(&path, Durability::Full, &[FIRST, broken]).expect_err("nonsense is refused");
        let again = open(&path, Durability::Full, &[FIRST, SECOND]).expect("opens");
        let tables: i64 = again
            .query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'b'", [], |row| row.get(0))
            .expect("a count");
        assert_eq!(tables, 0, "half a step stayed behind");
    }

    #[test]
    fn file_that_is_no_database_is_called_damaged() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.sqlite");
        std::fs::write(&path, [0x42; 8192]).expect("writes");
        let error = open(&path, Durability::Full, &[FIRST]).expect_err("not a database");
        assert!(matches!(error, StoreError::Damaged(_)), "{error}");
    }

    #[test]
    fn folder_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = open(&folder.path().join("gone/a.sqlite"), Durability::Full, &[])
            .expect_err("no folder");
        assert!(
            matches!(&error, StoreError::Open { source, .. } if source.kind() == io::ErrorKind::NotFound),
            "{error}"
        );
    }

    #[test]
    fn full_database_is_told_from_other_failures() {
        let folder = tempfile::tempdir().expect("a folder");
        let connection = open(&folder.path().join("a.sqlite"), Durability::Full, &[FIRST, SECOND])
            .expect("opens");
        connection.pragma_update(None, "max_page_count", 4).expect("a limit");
        let error = (0..1000)
            .find_map(|_| {
                connection.execute("INSERT INTO a VALUES (1, hex(zeroblob(500)))", []).err()
            })
            .expect("it fills up");
        assert!(matches!(StoreError::from(error), StoreError::Full(_)));
    }

    #[cfg(unix)]
    #[test]
    fn database_file_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.sqlite");
        let _open = open(&path, Durability::Full, &[FIRST]).expect("opens");
        for name in ["a.sqlite", "a.sqlite-wal"] {
            let mode =
                std::fs::metadata(folder.path().join(name)).expect("is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }
}
