//! What was seen in the collections: which file holds which photo, and what was found in it.
//!
//! `index.sqlite` can be rebuilt from the files, so commits are cheap (`NORMAL`) and a
//! damaged file is set aside. Orders never depend on it alone: their keys are derived.
//!
//! Two tables: a *file* is a place (collection and path) with its state on disk; a
//! *photo* is a content. Several files may hold one photo, so a copy, a rename or a
//! second scan finds the photo already judged.
//!
//! Files are in [`files`], who is seen in which photo in [`people`]; this file opens the index and
//! keeps photos and their rolls.
//!
//! A photo with a capture time has its place in a *roll*: the photos of one camera in one
//! collection, in the order in which they were taken. The index keeps that order, and what
//! the agent found to apply to each photo.
//!
//! INVARIANT: a photo that is to be judged is marked so in the transaction that keeps it or
//! changes what applies to it, and unmarked only when its orders were kept.
//!
//! Knows an analysis only as a JSON text; its shape belongs to other stages.

pub mod files;
pub mod people;

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::db::{self, StoreError};
use crate::base::clock::Timestamp;
use crate::base::file_state::FileState;
use crate::base::ids::ContentHash;

const STEPS: &[&str] = &[
    "
    CREATE TABLE collections (
        name TEXT PRIMARY KEY,
        scan INTEGER NOT NULL,
        scanned_at INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE files (
        collection TEXT NOT NULL,
        path BLOB NOT NULL,
        bytes_count INTEGER NOT NULL,
        modified_ns INTEGER NOT NULL,
        changed_ns INTEGER NOT NULL,
        device INTEGER NOT NULL,
        inode INTEGER NOT NULL,
        hash BLOB,
        error TEXT,
        scan INTEGER NOT NULL,
        missing_count INTEGER NOT NULL DEFAULT 0,
        is_gone INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (collection, path),
        CHECK ((hash IS NULL) <> (error IS NULL))
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX files_by_hash ON files (hash) WHERE hash IS NOT NULL;
    CREATE INDEX files_by_inode ON files (inode);
    CREATE TABLE photos (
        hash BLOB PRIMARY KEY,
        analysis TEXT NOT NULL,
        first_seen INTEGER NOT NULL,
        may_order INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
",
    "
    ALTER TABLE photos ADD COLUMN is_judged INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE photos ADD COLUMN collection TEXT;
    ALTER TABLE photos ADD COLUMN path BLOB;
    ALTER TABLE photos ADD COLUMN camera TEXT;
    ALTER TABLE photos ADD COLUMN taken_ms INTEGER;
    ALTER TABLE photos ADD COLUMN name_key TEXT;
    ALTER TABLE photos ADD COLUMN role TEXT;
    ALTER TABLE photos ADD COLUMN card BLOB;
    ALTER TABLE photos ADD COLUMN is_doubtful INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX photos_by_roll ON photos (collection, camera, taken_ms, name_key, hash)
        WHERE taken_ms IS NOT NULL;
    CREATE INDEX photos_to_judge ON photos (hash) WHERE is_judged = 0;
",
    // A scan tells only what differs, so files no longer note which scan saw them. A file
    // that is no photo may be known without hash and error: there is nothing to say of it.
    "
    CREATE TABLE files_next (
        collection TEXT NOT NULL,
        path BLOB NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('photo', 'companion', 'marks')),
        bytes_count INTEGER NOT NULL,
        modified_ns INTEGER NOT NULL,
        changed_ns INTEGER NOT NULL,
        device INTEGER NOT NULL,
        inode INTEGER NOT NULL,
        hash BLOB,
        error TEXT,
        missing_count INTEGER NOT NULL DEFAULT 0,
        is_gone INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (collection, path),
        CHECK (hash IS NULL OR error IS NULL),
        CHECK (kind <> 'photo' OR hash IS NOT NULL OR error IS NOT NULL)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO files_next SELECT collection, path, 'photo', bytes_count, modified_ns, changed_ns,
        device, inode, hash, error, missing_count, is_gone FROM files;
    DROP TABLE files;
    ALTER TABLE files_next RENAME TO files;
    CREATE INDEX files_by_hash ON files (hash) WHERE hash IS NOT NULL;
    CREATE INDEX files_by_inode ON files (inode);
    ALTER TABLE collections DROP COLUMN scan;
    ALTER TABLE collections ADD COLUMN volume INTEGER;
    ALTER TABLE collections ADD COLUMN root_inode INTEGER;
",
    super::members::STEP,
    people::STEP,
];

/// Where a photo lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Name of the collection.
    pub collection: String,
    /// Path below the collection's root.
    pub path: PathBuf,
    /// The file's state when its content was hashed.
    pub state: FileState,
}

/// One content that was analysed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhotoRow {
    /// SHA-256 of the original.
    pub hash: ContentHash,
    /// What was seen in it, as JSON.
    pub analysis_json: String,
    /// When this content was first analysed.
    pub first_seen: Timestamp,
    /// `false` for photos that were there before the first start: they order nothing.
    pub may_order: bool,
}

/// When a photo came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// The photo.
    pub photo: ContentHash,
    /// `false` for photos that were there before the first start.
    pub may_order: bool,
    /// When it came.
    pub at: Timestamp,
}

/// The place of a photo in its roll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shot {
    /// The photo.
    pub photo: ContentHash,
    /// Collection in which it was found first.
    pub collection: String,
    /// Tells cameras apart; empty when the photo does not say.
    pub camera: String,
    /// When it was taken by the camera's clock, milliseconds since 1970 there.
    pub taken_ms: i64,
    /// Orders photos that were taken in the same moment; see [`name_key`].
    pub name_key: String,
    /// What it means for those behind it; a word of the agent's.
    pub role: String,
    /// The card photo that applies to it.
    pub card: Option<ContentHash>,
    /// Whether that card may have been ended.
    pub is_doubtful: bool,
}

/// Where to look from a photo in its roll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Neighbour {
    /// Taken right before.
    Before,
    /// Taken right behind.
    Behind,
}

/// Digits of a number inside a file name, filled up with zeros so that text order is the
/// order of the numbers.
const NUMBER_DIGITS: usize = 18;

/// A key that sorts file names as a camera counts: `IMG_9.jpg` before `IMG_10.jpg`.
pub fn name_key(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let mut key = String::new();
    let mut digits = String::new();
    for c in name.chars().chain(['\0']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        if !digits.is_empty() {
            let number = digits.trim_start_matches('0');
            key.extend(std::iter::repeat_n('0', NUMBER_DIGITS.saturating_sub(number.len())));
            key.push_str(number);
            digits.clear();
        }
        if c != '\0' {
            key.push(c);
        }
    }
    key
}

/// How much the index holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Files that hold a photo.
    pub files_count: u64,
    /// Files that could not be read.
    pub failed_count: u64,
    /// Different photos ever analysed.
    pub photos_count: u64,
}

/// The index of all collections of one home.
#[derive(Debug)]
pub struct Index {
    pub(super) connection: Connection,
}

impl Index {
    /// Opens the index, making it when it is not there. A damaged one is renamed to
    /// `….damaged` and begun anew: everything in it can be found again.
    ///
    /// # Errors
    /// See [`StoreError`]; never `Damaged` unless renaming did not help.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::of(db::open_or_begin_anew(path, STEPS)?)
    }

    /// An index that lives in memory.
    ///
    /// # Errors
    /// Only when memory runs out.
    pub fn open_in_memory() -> Result<Self, StoreError> {
        Self::of(db::open_in_memory(STEPS)?)
    }

    fn of(connection: Connection) -> Result<Self, StoreError> {
        connection.execute_batch(files::MISSING)?;
        Ok(Self { connection })
    }

    /// Opens a batch: what follows is written at [`Index::commit_batch`], together.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn begin_batch(&mut self) -> Result<(), StoreError> {
        if self.connection.is_autocommit() {
            self.connection.execute_batch("BEGIN IMMEDIATE")?;
        }
        Ok(())
    }

    /// Reads what was there at one moment, whatever others write meanwhile. Many reads cost less
    /// this way: what they wait for is asked for once.
    ///
    /// # Errors
    /// See [`StoreError`], and those of the work.
    pub fn at_one_moment<T>(
        &mut self,
        work: impl FnOnce(&Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.connection.execute_batch("BEGIN")?;
        let read = work(self);
        self.connection.execute_batch("COMMIT")?;
        read
    }

    /// Writes an open batch; does nothing without one.
    ///
    /// # Errors
    /// See [`StoreError`]. The batch is rolled back then.
    pub fn commit_batch(&mut self) -> Result<(), StoreError> {
        if self.connection.is_autocommit() {
            return Ok(());
        }
        if let Err(error) = self.connection.execute_batch("COMMIT") {
            // The first error is the one to tell; a failed rollback adds nothing.
            let _already_failing = self.connection.execute_batch("ROLLBACK");
            return Err(error.into());
        }
        Ok(())
    }

    /// The photo of this content, when it was analysed before.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn photo(&self, hash: &ContentHash) -> Result<Option<PhotoRow>, StoreError> {
        let sql = "SELECT hash, analysis, first_seen, may_order FROM photos WHERE hash = ?1";
        Ok(self
            .connection
            .prepare_cached(sql)?
            .query_row([hash.as_bytes()], photo_of)
            .optional()?)
    }

    /// All photos that were looked at, in the order in which they came: one that was there before
    /// the first start as if it had come when it was taken, where it says so.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn arrivals(&self) -> Result<Vec<Arrival>, StoreError> {
        let sql = "SELECT hash, may_order, CASE WHEN may_order THEN first_seen
                       ELSE min(first_seen, coalesce(taken_ms, first_seen)) END AS came
                   FROM photos ORDER BY came, coalesce(taken_ms, came), name_key, hash";
        let arrival = |row: &Row<'_>| {
            Ok(Arrival {
                photo: ContentHash::from_bytes(row.get(0)?),
                may_order: row.get(1)?,
                at: Timestamp(row.get(2)?),
            })
        };
        Ok(self.connection.prepare(sql)?.query_map([], arrival)?.collect::<Result<_, _>>()?)
    }

    /// Photos that order nothing because they were there before the first start.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn held_photos(&self) -> Result<Vec<PhotoRow>, StoreError> {
        let sql = "SELECT hash, analysis, first_seen, may_order FROM photos WHERE may_order = 0";
        Ok(self
            .connection
            .prepare_cached(sql)?
            .query_map([], photo_of)?
            .collect::<Result<_, _>>()?)
    }

    /// Notes what was found in a photo. When it is known already, what was found is
    /// replaced; when it was first seen stays.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn record_photo(&mut self, photo: &PhotoRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO photos (hash, analysis, first_seen, may_order)
                   VALUES (?1, ?2, ?3, ?4) ON CONFLICT (hash) DO UPDATE
                   SET analysis = excluded.analysis, may_order = excluded.may_order";
        self.connection.prepare_cached(sql)?.execute(params![
            photo.hash.as_bytes(),
            photo.analysis_json,
            photo.first_seen.0,
            photo.may_order,
        ])?;
        Ok(())
    }

    /// Notes where a photo that was just recorded was found first and, if it has a capture
    /// time, its place in its roll. A photo that may order is to be judged then.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn record_place(
        &mut self,
        photo: &ContentHash,
        collection: &str,
        path: &Path,
        shot: Option<&Shot>,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE photos SET collection = ?2, path = ?3, camera = ?4, taken_ms = ?5,
                       name_key = ?6, role = ?7, card = ?8, is_doubtful = ?9,
                       is_judged = NOT may_order
                   WHERE hash = ?1";
        self.connection.prepare_cached(sql)?.execute(params![
            photo.as_bytes(),
            collection,
            path.as_os_str().as_bytes(),
            shot.map(|shot| &shot.camera),
            shot.map(|shot| shot.taken_ms),
            shot.map(|shot| &shot.name_key),
            shot.map(|shot| &shot.role),
            shot.and_then(|shot| shot.card.as_ref().map(ContentHash::as_bytes)),
            shot.is_some_and(|shot| shot.is_doubtful),
        ])?;
        Ok(())
    }

    /// Where a photo was found first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn first_place(
        &self,
        photo: &ContentHash,
    ) -> Result<Option<(String, PathBuf)>, StoreError> {
        let sql = "SELECT collection, path FROM photos WHERE hash = ?1 AND path IS NOT NULL";
        let place = self
            .connection
            .prepare_cached(sql)?
            .query_row([photo.as_bytes()], |row| {
                Ok((row.get(0)?, PathBuf::from(OsString::from_vec(row.get(1)?))))
            })
            .optional()?;
        if place.is_some() {
            return Ok(place);
        }
        // Recorded by a version that did not keep it.
        Ok(self.locations(photo)?.into_iter().next().map(|place| (place.collection, place.path)))
    }

    /// The place of a photo in its roll, if it is in one.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn shot(&self, photo: &ContentHash) -> Result<Option<Shot>, StoreError> {
        let sql =
            format!("SELECT {SHOT_COLUMNS} FROM photos WHERE hash = ?1 AND taken_ms IS NOT NULL");
        let mut statement = self.connection.prepare_cached(&sql)?;
        Ok(statement.query_row([photo.as_bytes()], shot_of).optional()?)
    }

    /// The neighbour of a shot in its roll; the shot itself need not be recorded.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn neighbour(&self, shot: &Shot, side: Neighbour) -> Result<Option<Shot>, StoreError> {
        let (sign, order) = match side {
            Neighbour::Before => ("<", "DESC"),
            Neighbour::Behind => (">", "ASC"),
        };
        let sql = format!(
            "SELECT {SHOT_COLUMNS} FROM photos
             WHERE collection = ?1 AND camera = ?2 AND taken_ms IS NOT NULL
                 AND (taken_ms, name_key, hash) {sign} (?3, ?4, ?5)
             ORDER BY taken_ms {order}, name_key {order}, hash {order} LIMIT 1"
        );
        let from = params![
            shot.collection,
            shot.camera,
            shot.taken_ms,
            shot.name_key,
            shot.photo.as_bytes(),
        ];
        Ok(self.connection.prepare_cached(&sql)?.query_row(from, shot_of).optional()?)
    }

    /// Other photos of the same roll and moment that were found under the same path: what
    /// lay there before or after the file was edited.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn other_versions(&self, shot: &Shot) -> Result<Vec<ContentHash>, StoreError> {
        let sql = "SELECT hash FROM photos
                   WHERE collection = ?1 AND camera = ?2 AND taken_ms = ?3 AND hash <> ?4
                       AND path = (SELECT path FROM photos WHERE hash = ?4)";
        let mut statement = self.connection.prepare_cached(sql)?;
        let from = params![shot.collection, shot.camera, shot.taken_ms, shot.photo.as_bytes()];
        let rows = statement.query_map(from, |row| row.get(0).map(ContentHash::from_bytes))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Notes which card applies to a photo now; it is to be judged again if it may order.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn set_card(
        &mut self,
        photo: &ContentHash,
        card: Option<&ContentHash>,
        is_doubtful: bool,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE photos SET card = ?2, is_doubtful = ?3, is_judged = NOT may_order
                   WHERE hash = ?1";
        self.connection.prepare_cached(sql)?.execute(params![
            photo.as_bytes(),
            card.map(ContentHash::as_bytes),
            is_doubtful,
        ])?;
        Ok(())
    }

    /// Marks a photo as judged, or as to be judged again.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn set_judged(&mut self, photo: &ContentHash, is_judged: bool) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE photos SET is_judged = ?2 WHERE hash = ?1")?
            .execute(params![photo.as_bytes(), is_judged])?;
        Ok(())
    }

    /// Photos that are to be judged, in the order in which they were taken.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn photos_to_judge(&self) -> Result<Vec<ContentHash>, StoreError> {
        let sql = "SELECT hash FROM photos WHERE is_judged = 0 ORDER BY taken_ms, name_key, hash";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| row.get(0).map(ContentHash::from_bytes))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Where files with this content lie; those that vanished are left out.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn locations(&self, hash: &ContentHash) -> Result<Vec<Location>, StoreError> {
        let sql = "SELECT collection, path, bytes_count, modified_ns, changed_ns, device, inode FROM files
                   WHERE hash = ?1 AND is_gone = 0 ORDER BY missing_count, collection, path";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([hash.as_bytes()], |row| {
            Ok(Location {
                collection: row.get(0)?,
                path: PathBuf::from(OsString::from_vec(row.get(1)?)),
                state: FileState {
                    bytes_count: row.get::<_, i64>(2)?.cast_unsigned(),
                    modified_ns: row.get(3)?,
                    changed_ns: row.get(4)?,
                    device: row.get::<_, i64>(5)?.cast_unsigned(),
                    inode: row.get::<_, i64>(6)?.cast_unsigned(),
                },
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How much the index holds.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn counts(&self) -> Result<Counts, StoreError> {
        let sql = "SELECT count(*) FILTER (WHERE hash IS NOT NULL), count(*) FILTER (WHERE error IS NOT NULL),
                       (SELECT count(*) FROM photos) FROM files WHERE is_gone = 0 AND kind = 'photo'";
        let counts = self.connection.query_row(sql, [], |row| {
            let count = |at| row.get::<_, i64>(at).map(i64::cast_unsigned);
            Ok(Counts { files_count: count(0)?, failed_count: count(1)?, photos_count: count(2)? })
        })?;
        Ok(counts)
    }
}

const SHOT_COLUMNS: &str = "hash, collection, camera, taken_ms, name_key, role, card, is_doubtful";

fn shot_of(row: &Row<'_>) -> rusqlite::Result<Shot> {
    Ok(Shot {
        photo: ContentHash::from_bytes(row.get(0)?),
        collection: row.get(1)?,
        camera: row.get(2)?,
        taken_ms: row.get(3)?,
        name_key: row.get(4)?,
        role: row.get(5)?,
        card: row.get::<_, Option<[u8; 32]>>(6)?.map(ContentHash::from_bytes),
        is_doubtful: row.get(7)?,
    })
}

fn photo_of(row: &Row<'_>) -> rusqlite::Result<PhotoRow> {
    Ok(PhotoRow {
        hash: ContentHash::from_bytes(row.get(0)?),
        analysis_json: row.get(1)?,
        first_seen: Timestamp(row.get(2)?),
        may_order: row.get(3)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_000_000_000);

    fn index() -> Index {
        Index::open_in_memory().expect("opens")
    }

    fn state(number: u64) -> FileState {
        FileState {
            bytes_count: 10 + number,
            modified_ns: 20,
            changed_ns: 30,
            device: 1,
            inode: number,
        }
    }

    fn hash(number: u64) -> ContentHash {
        ContentHash::of(&number.to_be_bytes())
    }

    fn path(number: u64) -> PathBuf {
        PathBuf::from(format!("a/{number:04}.jpg"))
    }

    #[test]
    fn photo_keeps_its_first_day() {
        let mut index = index();
        let mut photo = PhotoRow {
            hash: hash(1),
            analysis_json: "{}".to_owned(),
            first_seen: NOW,
            may_order: false,
        };
        index.record_photo(&photo).expect("records");
        assert_eq!(index.photo(&hash(1)).expect("asks"), Some(photo.clone()));
        photo.first_seen = NOW.plus_millis(1);
        photo.may_order = true;
        index.record_photo(&photo).expect("records again");
        photo.first_seen = NOW;
        assert_eq!(index.photo(&hash(1)).expect("asks"), Some(photo));
        assert_eq!(index.photo(&hash(2)).expect("asks"), None);
    }

    #[test]
    fn names_sort_as_cameras_count() {
        let names = ["IMG_9.jpg", "IMG_10.jpg", "img_10_2.jpg", "IMG_10_11.jpg", "IMG_0100.jpg"];
        let keys: Vec<String> = names.iter().map(|name| name_key(Path::new(name))).collect();
        assert!(keys.is_sorted(), "{keys:?}");
        assert_eq!(name_key(Path::new("a/IMG_007.JPG")), name_key(Path::new("b/img_7.jpg")));
    }

    #[test]
    fn roll_keeps_the_order_of_capture_and_cameras_apart() {
        let mut index = index();
        let mut put = |number: u64, camera: &str, taken_ms: i64, name: &str, may_order: bool| {
            let photo = PhotoRow {
                hash: hash(number),
                analysis_json: "{}".to_owned(),
                first_seen: NOW,
                may_order,
            };
            let shot = Shot {
                photo: hash(number),
                collection: "c".to_owned(),
                camera: camera.to_owned(),
                taken_ms,
                name_key: name_key(Path::new(name)),
                role: "photo".to_owned(),
                card: None,
                is_doubtful: false,
            };
            index.record_photo(&photo).expect("records");
            index
                .record_place(&hash(number), "c", Path::new(name), Some(&shot))
                .expect("has a place");
        };
        put(1, "a", 1000, "IMG_10.jpg", true);
        put(2, "a", 1000, "IMG_9.jpg", true);
        put(3, "b", 1000, "IMG_9.jpg", true);
        put(4, "a", 500, "IMG_99.jpg", false);
        let shot =
            |index: &Index, number| index.shot(&hash(number)).expect("asks").expect("is in a roll");
        let beside = |index: &Index, number, side| {
            let shot = shot(index, number);
            index.neighbour(&shot, side).expect("asks").map(|shot| shot.photo)
        };
        assert_eq!(beside(&index, 1, Neighbour::Before), Some(hash(2)));
        assert_eq!(beside(&index, 2, Neighbour::Before), Some(hash(4)));
        assert_eq!(beside(&index, 2, Neighbour::Behind), Some(hash(1)));
        assert_eq!(beside(&index, 1, Neighbour::Behind), None);
        assert_eq!(beside(&index, 3, Neighbour::Before), None);
        let to_judge = |index: &Index| index.photos_to_judge().expect("asks");
        assert_eq!(to_judge(&index), {
            let mut same_name = [hash(2), hash(3)];
            same_name.sort();
            [same_name[0], same_name[1], hash(1)]
        });
        for number in 1..=3 {
            index.set_judged(&hash(number), true).expect("marks");
        }
        for number in [1, 4] {
            index.set_card(&hash(number), Some(&hash(9)), true).expect("marks");
        }
        assert_eq!(to_judge(&index), [hash(1)], "one that may not order is not judged");
        assert_eq!(shot(&index, 1).card, Some(hash(9)));
        assert!(shot(&index, 4).is_doubtful);
    }

    #[test]
    fn batch_is_written_as_one_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("index.sqlite");
        let mut index = Index::open(&file).expect("opens");
        index.begin_batch().expect("begins");
        index.record_file("c", &path(1), &state(1), &hash(1)).expect("records");
        drop(index);
        let mut index = Index::open(&file).expect("opens");
        assert_eq!(index.counts().expect("counts").files_count, 0);
        index.begin_batch().expect("begins");
        index.record_file("c", &path(1), &state(1), &hash(1)).expect("records");
        index.commit_batch().expect("commits");
        drop(index);
        assert_eq!(Index::open(&file).expect("opens").counts().expect("counts").files_count, 1);
    }

    #[test]
    fn damaged_index_is_set_aside() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("index.sqlite");
        std::fs::write(&file, [7; 4096]).expect("writes");
        let index = Index::open(&file).expect("opens");
        assert_eq!(index.counts().expect("counts"), Counts::default());
        assert!(folder.path().join("index.sqlite.damaged").exists());
    }
}
