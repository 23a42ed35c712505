//! `decisions.sqlite`: what rules were asked about each photo, and what they said.
//!
//! One row for each decision that differs from the one before about the same photo, with the
//! inputs as they were; and the rule files of every revision that decided. Both together are
//! enough to ask again and get the same answer.
//!
//! Nothing is decided by it: a damaged file is set aside and begun anew, and its last rows
//! may be lost with the power. It holds what people are in which photo, and where: it never
//! leaves the computer.
//!
//! Knows inputs, answers and rule files only as JSON texts.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::db::{self, StoreError};
use super::orders::hash_of;
use crate::base::clock::Timestamp;
use crate::base::ids::ContentHash;

const STEPS: &[&str] = &[
    "
    CREATE TABLE revisions (
        revision TEXT PRIMARY KEY,
        rules TEXT NOT NULL,
        since_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE decisions (
        decision_seq INTEGER PRIMARY KEY,
        photo BLOB NOT NULL,
        at_ms INTEGER NOT NULL,
        revision TEXT NOT NULL REFERENCES revisions,
        seen_by TEXT NOT NULL,
        inputs TEXT NOT NULL,
        answer TEXT NOT NULL
    ) STRICT;
    CREATE INDEX decisions_by_photo ON decisions (photo, decision_seq);
",
    // Decisions about people who were removed are not kept; how many there were is.
    "
    CREATE TABLE erasures (at_ms INTEGER NOT NULL, decisions_count INTEGER NOT NULL) STRICT;
",
];

/// One decision about one photo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionRow {
    /// The photo version.
    pub photo: ContentHash,
    /// When it was decided.
    pub at: Timestamp,
    /// Revision of the rules that were asked.
    pub revision: String,
    /// The networks that had looked at the photo.
    pub seen_by: String,
    /// What the rules were asked about.
    pub inputs_json: String,
    /// What they said.
    pub answer_json: String,
}

/// The log of decisions of one home.
#[derive(Debug)]
pub struct Decisions {
    connection: Mutex<Connection>,
    /// Revisions whose rules are kept.
    kept: Mutex<HashSet<String>>,
}

impl Decisions {
    /// Opens the log, making it when it is not there.
    ///
    /// # Errors
    /// See [`StoreError`]; never `Damaged` unless setting the file aside did not help.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self::of(db::open_or_begin_anew(path, STEPS)?))
    }

    /// A log that lives in memory.
    ///
    /// # Errors
    /// Only when memory runs out.
    pub fn in_memory() -> Result<Self, StoreError> {
        Ok(Self::of(db::open_in_memory(STEPS)?))
    }

    fn of(connection: Connection) -> Self {
        Self { connection: Mutex::new(connection), kept: Mutex::default() }
    }

    /// Keeps a decision; tells whether it differs from the last one about its photo.
    ///
    /// - `rules_json`: the rule files of its revision; asked for once for each revision
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn record(
        &self,
        row: &DecisionRow,
        rules_json: impl FnOnce() -> String,
    ) -> Result<bool, StoreError> {
        let connection = self.guard();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if !kept.contains(&row.revision) {
            connection.execute(
                "INSERT INTO revisions VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                params![row.revision, rules_json(), row.at.0],
            )?;
            kept.insert(row.revision.clone());
        }
        let last = last_of(&connection, &row.photo)?;
        if last.is_some_and(|last| DecisionRow { at: row.at, ..last } == *row) {
            return Ok(false);
        }
        connection
            .prepare_cached(
                "INSERT INTO decisions (photo, at_ms, revision, seen_by, inputs, answer)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                row.photo.as_bytes(),
                row.at.0,
                row.revision,
                row.seen_by,
                row.inputs_json,
                row.answer_json,
            ])?;
        Ok(true)
    }

    /// The last decision about a photo.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn last(&self, photo: &ContentHash) -> Result<Option<DecisionRow>, StoreError> {
        last_of(&self.guard(), photo)
    }

    /// The rule files of a revision that decided, as they were kept.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn rules(&self, revision: &str) -> Result<Option<String>, StoreError> {
        let connection = self.guard();
        let mut statement =
            connection.prepare_cached("SELECT rules FROM revisions WHERE revision = ?1")?;
        Ok(statement.query_row([revision], |row| row.get(0)).optional()?)
    }

    /// How many decisions there are that were not made before a time.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn count(&self, since: Timestamp) -> Result<usize, StoreError> {
        let connection = self.guard();
        let sql = "SELECT count(*) FROM decisions WHERE at_ms >= ?1";
        let count: i64 = connection.prepare_cached(sql)?.query_row([since.0], |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// How many decisions are not kept any more because they were about people who were removed.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn erased_count(&self) -> Result<usize, StoreError> {
        let connection = self.guard();
        let sql = "SELECT coalesce(sum(decisions_count), 0) FROM erasures";
        let count: i64 = connection.query_row(sql, [], |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// A page of decisions, oldest first, each with its number.
    ///
    /// - `since`: none made before it
    /// - `behind`: number of the last one that was read; 0 for the first page
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn page(
        &self,
        since: Timestamp,
        behind: i64,
        rows_max: u32,
    ) -> Result<Vec<(i64, DecisionRow)>, StoreError> {
        let connection = self.guard();
        let mut statement = connection.prepare_cached(
            "SELECT * FROM decisions WHERE decision_seq > ?1 AND at_ms >= ?2
             ORDER BY decision_seq LIMIT ?3",
        )?;
        let rows = statement.query_map(params![behind, since.0, rows_max], |row| {
            Ok((row.get("decision_seq")?, decision_of(row)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(super) fn guard(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn last_of(db: &Connection, photo: &ContentHash) -> Result<Option<DecisionRow>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT * FROM decisions WHERE photo = ?1 ORDER BY decision_seq DESC LIMIT 1",
    )?;
    Ok(statement.query_row([photo.as_bytes()], decision_of).optional()?)
}

pub(super) fn decision_of(row: &Row<'_>) -> rusqlite::Result<DecisionRow> {
    Ok(DecisionRow {
        photo: hash_of(row, "photo")?,
        at: Timestamp(row.get("at_ms")?),
        revision: row.get("revision")?,
        seen_by: row.get("seen_by")?,
        inputs_json: row.get("inputs")?,
        answer_json: row.get("answer")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(photo: &[u8], at: i64, answer: &str) -> DecisionRow {
        DecisionRow {
            photo: ContentHash::of(photo),
            at: Timestamp(at),
            revision: "a".to_owned(),
            seen_by: String::new(),
            inputs_json: "{}".to_owned(),
            answer_json: answer.to_owned(),
        }
    }

    #[test]
    fn decision_that_says_the_same_again_is_kept_once() {
        let log = Decisions::in_memory().expect("opens");
        let rules = || "[]".to_owned();
        assert!(log.record(&row(b"p", 1, "[]"), rules).expect("kept"));
        assert!(!log.record(&row(b"p", 2, "[]"), || unreachable!("kept")).expect("known"));
        assert!(log.record(&row(b"q", 3, "[]"), rules).expect("kept"));
        assert!(log.record(&row(b"p", 4, "[1]"), rules).expect("kept"));
        let page = |behind, rows_max| {
            let page = log.page(Timestamp(2), behind, rows_max).expect("read").into_iter();
            page.map(|(seq, row)| (seq, row.at.0)).collect::<Vec<_>>()
        };
        assert_eq!(page(0, 9), [(2, 3), (3, 4)]);
        assert_eq!((page(0, 1), page(2, 9)), (vec![(2, 3)], vec![(3, 4)]));
        assert_eq!(log.count(Timestamp(2)).expect("read"), 2);
        let last = log.last(&ContentHash::of(b"p")).expect("read");
        assert_eq!(last, Some(row(b"p", 4, "[1]")));
        assert_eq!(log.rules("a").expect("read").as_deref(), Some("[]"));
        assert_eq!(log.rules("b").expect("read"), None);
    }

    #[test]
    fn damaged_log_is_set_aside_and_begun_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("decisions.sqlite");
        std::fs::write(&path, [7; 5000]).expect("written");
        let log = Decisions::open(&path).expect("begun anew");
        assert_eq!(log.last(&ContentHash::of(b"p")).expect("read"), None);
        assert!(folder.path().join("decisions.sqlite.damaged").exists());
    }
}
