//! What travels with photos: companions by their content, print orders by the photos that they
//! name. Operations of [`Index`].
//!
//! Where a companion lies is in the table of files, as for photos; here is what its bytes
//! say. So a folder that is renamed takes its companions along, and none is read again. Which
//! photo a companion belongs to is worked out from names and contents when it is asked for.
//!
//! A print order names photos by paths that may differ in upper and lower case from those on
//! the disk: both are compared in lower case ([`path_key`]). It counts as long as its file is
//! there.
//!
//! Knows what companions and print orders say only as JSON; their shape belongs to others.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rusqlite::{OptionalExtension, params};

use super::db::StoreError;
use super::index::Index;
use crate::base::ids::ContentHash;

/// The tables; a step of the index's schema.
pub(super) const STEP: &str = "
    CREATE TABLE companions (
        hash BLOB PRIMARY KEY,
        bytes_count INTEGER NOT NULL,
        facts TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE print_marks (
        collection TEXT NOT NULL,
        path_key BLOB NOT NULL,
        marks BLOB NOT NULL,
        place INTEGER NOT NULL,
        job TEXT NOT NULL,
        PRIMARY KEY (collection, path_key, marks, place)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX print_marks_by_file ON print_marks (collection, marks);
";

/// One companion, wherever it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompanionRow {
    /// SHA-256 of its bytes.
    pub hash: ContentHash,
    /// Its length.
    pub bytes_count: u64,
    /// What its bytes say, as JSON.
    pub facts_json: String,
}

/// What a file holds, as far as companions go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// A companion.
    Companion(CompanionRow),
    /// A photo; its analysis as JSON.
    Photo(ContentHash, String),
    /// It was read, and is neither.
    Nothing,
}

/// A job of a print order for one photo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkRow {
    /// The photo's path below the collection, in lower case: see [`path_key`].
    pub path_key: Vec<u8>,
    /// The job, as JSON.
    pub job_json: String,
}

/// A path as it is compared where upper and lower case are the same.
pub fn path_key(path: &Path) -> Vec<u8> {
    match path.to_str() {
        Some(text) => text.to_lowercase().into_bytes(),
        None => path.as_os_str().as_bytes().to_ascii_lowercase(),
    }
}

impl Index {
    /// Notes what a companion's bytes say.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn record_companion(&mut self, companion: &CompanionRow) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO companions VALUES (?1, ?2, ?3)";
        self.connection.prepare_cached(sql)?.execute(params![
            companion.hash.as_bytes(),
            companion.bytes_count.cast_signed(),
            companion.facts_json,
        ])?;
        Ok(())
    }

    /// What lies at a path; `None` when no file there was read yet.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn held_at(&self, collection: &str, path: &Path) -> Result<Option<Held>, StoreError> {
        let sql = "SELECT files.hash, companions.bytes_count, companions.facts, photos.analysis
                   FROM files LEFT JOIN companions USING (hash) LEFT JOIN photos USING (hash)
                   WHERE files.collection = ?1 AND files.path = ?2 AND is_gone = 0
                       AND (files.kind <> 'companion' OR error IS NULL)";
        let mut statement = self.connection.prepare_cached(sql)?;
        let here = params![collection, path.as_os_str().as_bytes()];
        let held = statement.query_row(here, |row| {
            let Some(hash) = row.get::<_, Option<[u8; 32]>>(0)? else { return Ok(Held::Nothing) };
            let hash = ContentHash::from_bytes(hash);
            let companion = row.get::<_, Option<i64>>(1)?.zip(row.get::<_, Option<String>>(2)?);
            if let Some((bytes_count, facts_json)) = companion {
                let bytes_count = bytes_count.cast_unsigned();
                return Ok(Held::Companion(CompanionRow { hash, bytes_count, facts_json }));
            }
            let analysis: Option<String> = row.get(3)?;
            Ok(analysis.map_or(Held::Nothing, |json| Held::Photo(hash, json)))
        });
        Ok(held.optional()?)
    }

    /// Photos that lie in a folder under names that begin like this.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn photos_beginning(
        &self,
        collection: &str,
        begin: &Path,
    ) -> Result<Vec<(PathBuf, ContentHash)>, StoreError> {
        let sql = "SELECT files.path, photos.hash FROM files JOIN photos USING (hash)
                   WHERE files.collection = ?1 AND files.path >= ?2 AND files.path < ?3
                       AND is_gone = 0";
        let begin = begin.as_os_str().as_bytes();
        // No byte of UTF-8 is as high, and a name that is no text may hold it once.
        let end = [begin, &[0xff, 0xff]].concat();
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(params![collection, begin, end], |row| {
            let path = PathBuf::from(OsString::from_vec(row.get(0)?));
            Ok((path, ContentHash::from_bytes(row.get(1)?)))
        })?;
        let folders_count = begin.iter().filter(|byte| **byte == b'/').count();
        let is_beside = |path: &Path| {
            path.as_os_str().as_bytes().iter().filter(|byte| **byte == b'/').count()
                == folders_count
        };
        let mut photos: Vec<_> = rows.collect::<Result<_, _>>()?;
        photos.retain(|(path, _)| is_beside(path));
        Ok(photos)
    }

    /// Marks a photo as to be judged again, if it may order; tells whether it may.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn judge_again(&mut self, photo: &ContentHash) -> Result<bool, StoreError> {
        let sql = "UPDATE photos SET is_judged = 0 WHERE hash = ?1 AND may_order = 1";
        Ok(self.connection.prepare_cached(sql)?.execute([photo.as_bytes()])? > 0)
    }

    /// Notes what a print order says, in the place of what it said before. Gives the keys of
    /// the photos for which that is a change.
    ///
    /// - `marks`: where the print order lies
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn set_marks(
        &mut self,
        collection: &str,
        marks: &Path,
        jobs: &[MarkRow],
    ) -> Result<BTreeSet<Vec<u8>>, StoreError> {
        let marks = marks.as_os_str().as_bytes();
        let before: BTreeSet<(Vec<u8>, i64, String)> = self
            .connection
            .prepare_cached(
                "SELECT path_key, place, job FROM print_marks WHERE collection = ?1 AND marks = ?2",
            )?
            .query_map(params![collection, marks], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?
            .collect::<Result<_, _>>()?;
        let now: BTreeSet<(Vec<u8>, i64, String)> = (0..)
            .zip(jobs)
            .map(|(place, job)| (job.path_key.clone(), place, job.job_json.clone()))
            .collect();
        let sql = "DELETE FROM print_marks WHERE collection = ?1 AND marks = ?2 AND path_key = ?3
                   AND place = ?4";
        for (key, place, _) in before.difference(&now) {
            self.connection.prepare_cached(sql)?.execute(params![collection, marks, key, place])?;
        }
        let sql = "INSERT INTO print_marks VALUES (?1, ?2, ?3, ?4, ?5)";
        for (key, place, job) in now.difference(&before) {
            let row = params![collection, key, marks, place, job];
            self.connection.prepare_cached(sql)?.execute(row)?;
        }
        Ok(before.symmetric_difference(&now).map(|(key, ..)| key.clone()).collect())
    }

    /// Jobs that name the photo at a path, as JSON.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn marks_of(&self, collection: &str, photo: &Path) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT job FROM print_marks
                   JOIN files ON files.collection = print_marks.collection AND files.path = marks
                   WHERE print_marks.collection = ?1 AND path_key = ?2 AND is_gone = 0
                   ORDER BY marks, place";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(params![collection, path_key(photo)], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Whether a print order at this path says anything.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn has_marks(&self, collection: &str, marks: &Path) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM print_marks WHERE collection = ?1 AND marks = ?2 LIMIT 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.exists(params![collection, marks.as_os_str().as_bytes()])?)
    }

    /// Print orders whose file is gone, by collection and path.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn lost_marks(&self) -> Result<Vec<(String, PathBuf)>, StoreError> {
        let sql = "SELECT DISTINCT print_marks.collection, marks FROM print_marks
                   LEFT JOIN files ON files.collection = print_marks.collection
                       AND files.path = marks AND is_gone = 0
                   WHERE files.path IS NULL";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| {
            Ok((row.get(0)?, PathBuf::from(OsString::from_vec(row.get(1)?))))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Photos below a folder whose paths have one of these keys.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn photos_with_keys(
        &self,
        collection: &str,
        folder: &Path,
        keys: &BTreeSet<Vec<u8>>,
    ) -> Result<Vec<ContentHash>, StoreError> {
        let sql = "SELECT files.path, photos.hash FROM files JOIN photos USING (hash)
                   WHERE files.collection = ?1 AND files.path >= ?2 AND files.path < ?3
                       AND is_gone = 0";
        let folder = folder.as_os_str().as_bytes();
        let (begin, end) = match folder {
            [] => (Vec::new(), vec![0xff, 0xff]),
            folder => ([folder, b"/"].concat(), [folder, b"0"].concat()),
        };
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![collection, begin, end])?;
        let mut photos = Vec::new();
        while let Some(row) = rows.next()? {
            let path = PathBuf::from(OsString::from_vec(row.get(0)?));
            if keys.contains(&path_key(&path)) {
                photos.push(ContentHash::from_bytes(row.get(1)?));
            }
        }
        Ok(photos)
    }

    /// The place of a photo in its roll, from 1; `None` when it is in none.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn sequence(&self, photo: &ContentHash) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT count(*) FROM photos AS other JOIN photos AS this
                       ON other.collection = this.collection AND other.camera = this.camera
                   WHERE this.hash = ?1 AND this.taken_ms IS NOT NULL
                       AND other.taken_ms IS NOT NULL
                       AND (other.taken_ms, other.name_key, other.hash)
                           <= (this.taken_ms, this.name_key, this.hash)";
        let mut statement = self.connection.prepare_cached(sql)?;
        let count: i64 = statement.query_row([photo.as_bytes()], |row| row.get(0))?;
        Ok(Some(count.unsigned_abs()).filter(|place| *place > 0))
    }
}

#[cfg(test)]
#[path = "members/tests.rs"]
mod tests;
