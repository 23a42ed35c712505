//! The files of all collections: what each holds, and which were missed by a scan.
//!
//! A file that vanished stays as *gone* until the next finished scan: when a folder is
//! renamed its files turn up elsewhere with the same inode and are known without being
//! read. A scan in which far too many files are missing removes nothing until a second
//! one agrees, because an unplugged disk looks just like that.
//!
//! A scan lists what is known with a [`FilesReader`], compares, and tells only what
//! differs: of a file that is as it was nothing is written. Files that it misses are put
//! into a temporary table, so a scan that does not end leaves no trace.
//!
//! A companion or a print-mark file of which there is nothing to say is noted without hash
//! and without error, so that it is not looked at again. A photo always has one of them; a
//! companion has an error while it was not read for want of a photo.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Index;
use crate::base::clock::Timestamp;
use crate::base::file_kind::FileKind;
use crate::base::file_state::FileState;
use crate::base::ids::ContentHash;
use crate::store::db::{self, StoreError};

/// Missing files that one scan may remove whatever the size of the collection.
const MISSING_COUNT_FREE: u64 = 20;

/// Above [`MISSING_COUNT_FREE`], the share of a collection that one scan may remove.
const MISSING_PERCENT_FREE: u64 = 5;

/// Where a scan that is under way puts what it misses.
pub(super) const MISSING: &str = "
    CREATE TEMP TABLE missing (
        collection TEXT NOT NULL,
        path BLOB NOT NULL,
        changed_ns INTEGER NOT NULL,
        inode INTEGER NOT NULL,
        PRIMARY KEY (collection, path)
    ) STRICT, WITHOUT ROWID;
";

/// What is known of a file in the state it has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// It holds these bytes.
    Content(ContentHash),
    /// It could not be read; the reason, in words. Trying again is pointless.
    Failed(String),
    /// It is no photo, and there is nothing to say of it.
    Noted,
}

/// How a known file stands with the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It was there when last looked for.
    There,
    /// A scan missed it, and it was not removed for that.
    Doubted,
    /// It was seen to vanish.
    Gone,
}

/// A file as the index knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownFile {
    /// Path below the collection's root.
    pub relative: PathBuf,
    /// What it is by its name.
    pub kind: FileKind,
    /// Its state when it was recorded.
    pub state: FileState,
    /// Whether it was there.
    pub standing: Standing,
}

/// Tells the folder that a collection was scanned in from another one under the same path.
/// Numbers of devices change when a disk is plugged in again; these stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Volume {
    /// Number that the file system gives itself.
    pub id: u64,
    /// Inode of the root.
    pub root_inode: u64,
}

/// What a complete scan has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Where.
    pub volume: Volume,
    /// Files that were known when it came by, without those that were seen to vanish.
    pub known_count: u64,
    /// Those of them that were there and as they were.
    pub unchanged_count: u64,
}

impl Seen {
    /// Whether so many files are missing that only a second scan can tell.
    ///
    /// - `missing_count`: without those that were seen to vanish
    pub fn doubts(&self, missing_count: u64) -> bool {
        missing_count > MISSING_COUNT_FREE.max(self.known_count * MISSING_PERCENT_FREE / 100)
    }
}

/// What a finished scan removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Files that are no longer listed.
    pub removed_count: u64,
    /// Files that were not seen but stay listed until another scan misses them too.
    pub doubted_count: u64,
}

/// Which missing files a scan may remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sweep {
    /// All of them.
    All,
    /// Those that the scan before missed too, and those that were seen to vanish.
    Twice,
    /// Those that were seen to vanish: this may be another disk, or none.
    Gone,
}

/// Decides that. `missing_count` are those that were not seen to vanish.
fn sweep(missing_count: u64, seen: &Seen, before: Option<Volume>) -> Sweep {
    let is_elsewhere = before.is_some_and(|before| before != seen.volume);
    let is_nothing_there = missing_count > 0 && seen.unchanged_count == 0;
    if is_nothing_there || (is_elsewhere && missing_count * 2 > seen.known_count) {
        Sweep::Gone
    } else if seen.doubts(missing_count) {
        Sweep::Twice
    } else {
        Sweep::All
    }
}

impl Index {
    /// Whether this collection was ever scanned to its end. Photos found before that were
    /// there before the first start.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn was_scanned(&self, collection: &str) -> Result<bool, StoreError> {
        let sql = "SELECT scanned_at IS NOT NULL FROM collections WHERE name = ?1";
        let answer = self
            .connection
            .prepare_cached(sql)?
            .query_row([collection], |row| row.get(0))
            .optional()?;
        Ok(answer.unwrap_or(false))
    }

    /// Notes that a file is there and says what is known of it, if its state is the one
    /// known. `None`: it has to be read.
    ///
    /// The device number is not compared: it changes when a disk is plugged in again. A
    /// file that turns up at a new path with the inode, size and times of a known one is
    /// that one, in a folder that was renamed.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn known(
        &mut self,
        collection: &str,
        path: &Path,
        kind: FileKind,
        state: &FileState,
    ) -> Result<Option<Known>, StoreError> {
        self.unmiss(collection, path)?;
        let sql = "SELECT hash, error, device = ?8 AND missing_count = 0 AND is_gone = 0 FROM files
                   WHERE collection = ?1 AND path = ?2 AND kind = ?3 AND bytes_count = ?4
                       AND modified_ns = ?5 AND changed_ns = ?6 AND inode = ?7";
        let here = params![
            collection,
            path.as_os_str().as_bytes(),
            kind.as_str(),
            state.bytes_count.cast_signed(),
            state.modified_ns,
            state.changed_ns,
            state.inode.cast_signed(),
            state.device.cast_signed(),
        ];
        let same = self
            .connection
            .prepare_cached(sql)?
            .query_row(here, |row| Ok((known_of(row)?, row.get::<_, bool>(2)?)))
            .optional()?;
        if let Some((known, is_as_noted)) = same {
            if !is_as_noted {
                let sql = "UPDATE files SET missing_count = 0, is_gone = 0, device = ?3
                           WHERE collection = ?1 AND path = ?2";
                let (path, device) = (path.as_os_str().as_bytes(), state.device.cast_signed());
                self.connection.prepare_cached(sql)?.execute(params![collection, path, device])?;
            }
            return Ok(Some(known));
        }
        let sql = "SELECT hash FROM files
                   WHERE inode = ?1 AND device = ?2 AND bytes_count = ?3 AND modified_ns = ?4
                       AND changed_ns = ?5 AND kind = ?6 AND hash IS NOT NULL LIMIT 1";
        let moved = params![
            state.inode.cast_signed(),
            state.device.cast_signed(),
            state.bytes_count.cast_signed(),
            state.modified_ns,
            state.changed_ns,
            kind.as_str(),
        ];
        let moved = self.connection.prepare_cached(sql)?.query_row(moved, |row| row.get(0));
        let moved = moved.optional()?.map(ContentHash::from_bytes);
        if let Some(hash) = &moved {
            self.put_file(collection, path, kind, state, Some(hash), None)?;
        }
        Ok(moved.map(Known::Content))
    }

    /// Notes which photo a file holds.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn record_file(
        &mut self,
        collection: &str,
        path: &Path,
        state: &FileState,
        hash: &ContentHash,
    ) -> Result<(), StoreError> {
        self.put_file(collection, path, FileKind::Photo, state, Some(hash), None)
    }

    /// Notes that a photo's file in this state cannot be read, and why.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn record_failure(
        &mut self,
        collection: &str,
        path: &Path,
        state: &FileState,
        reason: &str,
    ) -> Result<(), StoreError> {
        self.put_file(collection, path, FileKind::Photo, state, None, Some(reason))
    }

    /// How many files could not be read for a reason in which this word stands.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn failed_for(&self, word: &str) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM files WHERE instr(error, ?1) > 0";
        let count = self.connection.query_row(sql, [word], |row| row.get::<_, i64>(0))?;
        Ok(count.cast_unsigned())
    }

    /// Forgets those files, so that the next scan tells them as new.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn retry_failed_for(&mut self, word: &str) -> Result<(), StoreError> {
        self.connection.execute("DELETE FROM files WHERE instr(error, ?1) > 0", [word])?;
        Ok(())
    }

    /// Notes a file that is no photo, with the digest of its bytes when they are of use.
    ///
    /// # Errors
    /// See [`StoreError`]; `Refused` for a photo without digest.
    pub fn note_file(
        &mut self,
        collection: &str,
        path: &Path,
        kind: FileKind,
        state: &FileState,
        hash: Option<&ContentHash>,
    ) -> Result<(), StoreError> {
        self.put_file(collection, path, kind, state, hash, None)
    }

    /// Notes a companion that was not read, because there is no photo that it may belong to.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn note_unread(
        &mut self,
        collection: &str,
        path: &Path,
        state: &FileState,
    ) -> Result<(), StoreError> {
        let why = Some("not read: there is no photo of its name");
        self.put_file(collection, path, FileKind::Companion, state, None, why)
    }

    fn put_file(
        &mut self,
        collection: &str,
        path: &Path,
        kind: FileKind,
        state: &FileState,
        hash: Option<&ContentHash>,
        error: Option<&str>,
    ) -> Result<(), StoreError> {
        self.unmiss(collection, path)?;
        let sql = "INSERT OR REPLACE INTO files (collection, path, kind, bytes_count, modified_ns,
                       changed_ns, device, inode, hash, error)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        self.connection.prepare_cached(sql)?.execute(params![
            collection,
            path.as_os_str().as_bytes(),
            kind.as_str(),
            state.bytes_count.cast_signed(),
            state.modified_ns,
            state.changed_ns,
            state.device.cast_signed(),
            state.inode.cast_signed(),
            hash.map(ContentHash::as_bytes),
            error,
        ])?;
        // Where there is a file there is no folder any more.
        self.forget_below(collection, path)
    }

    /// Notes that a file, or a folder with all its files, is no longer there.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn forget(&mut self, collection: &str, path: &Path) -> Result<(), StoreError> {
        let sql = "UPDATE files SET is_gone = 1 WHERE collection = ?1 AND path = ?2";
        let itself = params![collection, path.as_os_str().as_bytes()];
        self.connection.prepare_cached(sql)?.execute(itself)?;
        self.forget_below(collection, path)
    }

    fn forget_below(&mut self, collection: &str, folder: &Path) -> Result<(), StoreError> {
        let folder = folder.as_os_str().as_bytes();
        // Everything below a folder sorts between `folder/` and `folder0`, as 0 follows /.
        let (begin, end) = ([folder, b"/"].concat(), [folder, b"0"].concat());
        let sql = "UPDATE files SET is_gone = 1
                   WHERE collection = ?1 AND path >= ?2 AND path < ?3 AND is_gone = 0";
        self.connection.prepare_cached(sql)?.execute(params![collection, begin, end])?;
        Ok(())
    }

    /// Begins a scan: what it misses is told by [`Index::miss`] and judged at
    /// [`Index::end_scan`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn begin_scan(&mut self, collection: &str) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("INSERT OR IGNORE INTO collections (name) VALUES (?1)")?
            .execute([collection])?;
        self.connection
            .prepare_cached("DELETE FROM missing WHERE collection = ?1")?
            .execute([collection])?;
        Ok(())
    }

    /// Notes that the scan under way did not see a file that is known.
    ///
    /// - `state`: as it was known; should it be another by now, the file came back meanwhile
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn miss(
        &mut self,
        collection: &str,
        path: &Path,
        state: &FileState,
    ) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO missing (collection, path, changed_ns, inode)
                   SELECT collection, path, changed_ns, inode FROM files
                   WHERE collection = ?1 AND path = ?2 AND changed_ns = ?3 AND inode = ?4";
        let known = params![
            collection,
            path.as_os_str().as_bytes(),
            state.changed_ns,
            state.inode.cast_signed()
        ];
        self.connection.prepare_cached(sql)?.execute(known)?;
        Ok(())
    }

    fn unmiss(&mut self, collection: &str, path: &Path) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM missing WHERE collection = ?1 AND path = ?2")?
            .execute(params![collection, path.as_os_str().as_bytes()])?;
        Ok(())
    }

    /// Ends a scan that saw the whole collection and removes files it did not see.
    ///
    /// Call it only for a complete scan: after one that skipped a folder, missing files
    /// mean nothing. When no file was as it was known nothing is removed, for that is how an
    /// empty mount point looks; neither when the root is another folder than before in which
    /// less than half of the files were found.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn end_scan(
        &mut self,
        collection: &str,
        seen: &Seen,
        now: Timestamp,
    ) -> Result<Swept, StoreError> {
        let transaction = self.connection.savepoint()?;
        let missing =
            "collection = ?1 AND path IN (SELECT path FROM missing WHERE collection = ?1)";
        let count = |sql: &str| -> Result<u64, StoreError> {
            let count: i64 = transaction.query_row(sql, [collection], |row| row.get(0))?;
            Ok(count.cast_unsigned())
        };
        let missing_count =
            count(&format!("SELECT count(*) FROM files WHERE {missing} AND is_gone = 0"))?;
        let sql = "SELECT volume, root_inode FROM collections
                   WHERE name = ?1 AND volume IS NOT NULL";
        let before = transaction.query_row(sql, [collection], |row| {
            let number = |at| row.get::<_, i64>(at).map(i64::cast_unsigned);
            Ok(Volume { id: number(0)?, root_inode: number(1)? })
        });
        let sweep = sweep(missing_count, seen, before.optional()?);
        if sweep != Sweep::Gone {
            let sql = format!("UPDATE files SET missing_count = missing_count + 1 WHERE {missing}");
            transaction.execute(&sql, [collection])?;
        }
        let condition = match sweep {
            Sweep::All => "",
            Sweep::Twice => "AND (missing_count >= 2 OR is_gone = 1)",
            Sweep::Gone => "AND is_gone = 1",
        };
        let sql = format!("DELETE FROM files WHERE {missing} {condition}");
        let removed_count = transaction.execute(&sql, [collection])? as u64;
        let doubted_count = count(&format!("SELECT count(*) FROM files WHERE {missing}"))?;
        transaction.execute("DELETE FROM missing WHERE collection = ?1", [collection])?;
        transaction.execute(
            "UPDATE collections SET scanned_at = ?2 WHERE name = ?1",
            params![collection, now.0],
        )?;
        if sweep != Sweep::Gone {
            let sql = "UPDATE collections SET volume = ?2, root_inode = ?3 WHERE name = ?1";
            let Volume { id, root_inode } = seen.volume;
            transaction
                .execute(sql, params![collection, id.cast_signed(), root_inode.cast_signed()])?;
        }
        transaction.commit()?;
        Ok(Swept { removed_count, doubted_count })
    }
}

/// Lists known files, page by page, on a connection of its own.
///
/// Each page is a moment of its own, so that a scan that waits for its listener does not
/// keep the write-ahead log from being cut back.
#[derive(Debug)]
pub struct FilesReader {
    connection: Connection,
}

impl FilesReader {
    /// Opens the index for reading; an [`Index`] must have opened it before.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { connection: db::open_to_read(path)? })
    }

    /// The next files of a collection, in byte order of their paths.
    ///
    /// - `after`: the last path of the page before; empty for the first page
    /// - gives fewer than `files_max` when there are no more
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn page(
        &self,
        collection: &str,
        after: &Path,
        files_max: usize,
    ) -> Result<Vec<KnownFile>, StoreError> {
        list(&self.connection, collection, after, files_max)
    }
}

fn list(
    connection: &Connection,
    collection: &str,
    after: &Path,
    files_max: usize,
) -> Result<Vec<KnownFile>, StoreError> {
    let sql = "SELECT path, kind, bytes_count, modified_ns, changed_ns, device, inode,
                   missing_count, is_gone
               FROM files WHERE collection = ?1 AND path > ?2 ORDER BY path LIMIT ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let limit = i64::try_from(files_max).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![collection, after.as_os_str().as_bytes(), limit])?;
    let mut files = Vec::new();
    while let Some(row) = rows.next()? {
        files.push(known_file_of(row)?);
    }
    Ok(files)
}

fn known_of(row: &Row<'_>) -> rusqlite::Result<Known> {
    if let Some(hash) = row.get::<_, Option<[u8; 32]>>(0)? {
        return Ok(Known::Content(ContentHash::from_bytes(hash)));
    }
    Ok(row.get::<_, Option<String>>(1)?.map_or(Known::Noted, Known::Failed))
}

fn known_file_of(row: &Row<'_>) -> rusqlite::Result<KnownFile> {
    let kind = match row.get_ref(1)?.as_str()? {
        "photo" => FileKind::Photo,
        "companion" => FileKind::Companion,
        // The table allows no fourth.
        _ => FileKind::Marks,
    };
    let standing = match (row.get::<_, bool>(8)?, row.get::<_, i64>(7)?) {
        (true, _) => Standing::Gone,
        (false, 0) => Standing::There,
        (false, _) => Standing::Doubted,
    };
    Ok(KnownFile {
        relative: PathBuf::from(OsString::from_vec(row.get(0)?)),
        kind,
        state: FileState {
            bytes_count: row.get::<_, i64>(2)?.cast_unsigned(),
            modified_ns: row.get(3)?,
            changed_ns: row.get(4)?,
            device: row.get::<_, i64>(5)?.cast_unsigned(),
            inode: row.get::<_, i64>(6)?.cast_unsigned(),
        },
        standing,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const NOW: Timestamp = Timestamp(1_795_000_000_000);
    const HERE: Volume = Volume { id: 7, root_inode: 2 };

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

    /// All that is known, with how it stands.
    fn known_files(index: &Index) -> Vec<(PathBuf, Standing)> {
        let files = list(&index.connection, "c", Path::new(""), usize::MAX).expect("a list");
        files.into_iter().map(|file| (file.relative, file.standing)).collect()
    }

    /// A scan that sees these files.
    fn scan(index: &mut Index, seen: impl Iterator<Item = u64>) -> Swept {
        scan_in(index, HERE, seen)
    }

    fn scan_in(index: &mut Index, volume: Volume, seen: impl Iterator<Item = u64>) -> Swept {
        let seen: BTreeSet<PathBuf> = seen.map(path).collect();
        let known = list(&index.connection, "c", Path::new(""), usize::MAX).expect("a list");
        index.begin_scan("c").expect("begins");
        let (missing, there): (Vec<_>, Vec<_>) =
            known.iter().partition(|file| !seen.contains(&file.relative));
        for file in missing {
            index.miss("c", &file.relative, &file.state).expect("misses");
        }
        for file in there.iter().filter(|file| file.standing != Standing::There) {
            index.known("c", &file.relative, file.kind, &file.state).expect("asks");
        }
        let names: BTreeSet<_> = known.iter().map(|file| &file.relative).collect();
        for number in (0..1000).filter(|number| seen.contains(&path(*number))) {
            if !names.contains(&path(number)) {
                index
                    .record_file("c", &path(number), &state(number), &hash(number))
                    .expect("records");
            }
        }
        let known_count = known.iter().filter(|file| file.standing != Standing::Gone).count();
        let (known_count, unchanged_count) = (known_count as u64, there.len() as u64);
        index.end_scan("c", &Seen { volume, known_count, unchanged_count }, NOW).expect("ends")
    }

    #[test]
    fn file_is_known_until_its_state_changes() {
        let mut index = index();
        index.record_file("c", &path(1), &state(1), &hash(1)).expect("records");
        index.record_failure("c", &path(2), &state(2), "the file is empty").expect("records");
        let mut known =
            |number, state| index.known("c", &path(number), FileKind::Photo, &state).expect("asks");
        assert_eq!(known(1, state(1)), Some(Known::Content(hash(1))));
        assert_eq!(known(1, FileState { device: 9, ..state(1) }), Some(Known::Content(hash(1))));
        assert_eq!(known(2, state(2)), Some(Known::Failed("the file is empty".to_owned())));
        for changed in [
            FileState { bytes_count: 0, ..state(1) },
            FileState { modified_ns: 0, ..state(1) },
            FileState { changed_ns: 0, ..state(1) },
            FileState { inode: 7, ..state(1) },
        ] {
            assert_eq!(known(1, changed), None, "{changed:?}");
        }
        assert_eq!(index.known("other", &path(2), FileKind::Photo, &state(2)).expect("asks"), None);
    }

    #[test]
    fn file_that_lacked_a_library_is_told_anew_and_others_are_not() {
        let mut index = index();
        index.record_file("c", &path(1), &state(1), &hash(1)).expect("records");
        index.record_failure("c", &path(2), &state(2), "HEIC needs libheif").expect("records");
        index.record_failure("c", &path(3), &state(3), "the file is empty").expect("records");
        assert_eq!(index.failed_for("libheif").expect("counts"), 1);
        index.retry_failed_for("libheif").expect("forgets");
        assert_eq!(index.failed_for("libheif").expect("counts"), 0);
        let mut known = |number| {
            let known = index.known("c", &path(number), FileKind::Photo, &state(number));
            known.expect("asks").is_some()
        };
        assert_eq!([known(1), known(2), known(3)], [true, false, true]);
    }

    #[test]
    fn file_in_a_renamed_folder_is_known_without_reading_it() {
        let mut index = index();
        index.record_file("c", Path::new("old/1.jpg"), &state(1), &hash(1)).expect("records");
        index.forget("c", Path::new("old")).expect("forgets");
        assert_eq!(index.locations(&hash(1)).expect("asks"), []);
        let known =
            index.known("c", Path::new("new/1.jpg"), FileKind::Photo, &state(1)).expect("asks");
        assert_eq!(known, Some(Known::Content(hash(1))));
        let places = index.locations(&hash(1)).expect("asks");
        assert_eq!(
            places.iter().map(|place| place.path.as_path()).collect::<Vec<_>>(),
            [Path::new("new/1.jpg")]
        );
    }

    #[test]
    fn forgetting_a_folder_spares_its_neighbours() {
        let mut index = index();
        for (number, name) in
            ["a/b/1.jpg", "a/b2/1.jpg", "a/b.jpg", "a/b/c/d.jpg"].iter().enumerate()
        {
            index
                .record_file("c", Path::new(name), &state(number as u64), &hash(1))
                .expect("records");
        }
        index.forget("c", Path::new("a/b")).expect("forgets");
        let left: Vec<_> =
            index.locations(&hash(1)).expect("asks").into_iter().map(|place| place.path).collect();
        assert_eq!(left, [Path::new("a/b.jpg"), Path::new("a/b2/1.jpg")]);
    }

    #[test]
    fn few_missing_files_are_removed_at_once() {
        let mut index = index();
        assert!(!index.was_scanned("c").expect("asks"));
        scan(&mut index, 0..100);
        assert!(index.was_scanned("c").expect("asks"));
        assert_eq!(scan(&mut index, 20..100), Swept { removed_count: 20, doubted_count: 0 });
        assert_eq!(index.counts().expect("counts").files_count, 80);
    }

    #[test]
    fn many_missing_files_need_a_second_scan() {
        let mut index = index();
        scan(&mut index, 0..100);
        assert_eq!(scan(&mut index, 50..100), Swept { removed_count: 0, doubted_count: 50 });
        assert!(!index.locations(&hash(3)).expect("asks").is_empty(), "still listed");
        assert_eq!(scan(&mut index, 10..100), Swept { removed_count: 10, doubted_count: 0 });
        scan(&mut index, 50..100);
        assert_eq!(scan(&mut index, 50..100), Swept { removed_count: 40, doubted_count: 0 });
    }

    #[test]
    fn empty_mount_point_removes_nothing_however_often() {
        let mut index = index();
        scan(&mut index, 0..100);
        for _ in 0..5 {
            assert_eq!(scan(&mut index, 0..0), Swept { removed_count: 0, doubted_count: 100 });
        }
    }

    #[test]
    fn scan_that_finds_another_disk_removes_nothing_however_often() {
        let mut index = index();
        scan(&mut index, 0..100);
        let other = Volume { id: 8, root_inode: 2 };
        for _ in 0..5 {
            let swept = scan_in(&mut index, other, 500..520);
            assert_eq!(swept, Swept { removed_count: 0, doubted_count: 100 });
        }
        // The same disk under another number is known by its files.
        assert_eq!(scan_in(&mut index, other, 20..100).removed_count, 0);
        assert_eq!(scan_in(&mut index, other, 20..100).removed_count, 40);
        assert_eq!(index.counts().expect("counts").files_count, 80);
    }

    #[test]
    fn file_that_comes_back_while_a_scan_misses_it_stays() {
        let mut index = index();
        scan(&mut index, 0..10);
        index.begin_scan("c").expect("begins");
        for number in 0..4 {
            index.miss("c", &path(number), &state(number)).expect("misses");
        }
        index.known("c", &path(1), FileKind::Photo, &state(1)).expect("asks");
        index.record_file("c", &path(2), &state(22), &hash(22)).expect("records");
        index.miss("c", &path(2), &state(2)).expect("misses what was, not what is");
        index.forget("c", &path(3)).expect("forgets");
        let seen = Seen { volume: HERE, known_count: 10, unchanged_count: 6 };
        let swept = index.end_scan("c", &seen, NOW).expect("ends");
        assert_eq!(swept, Swept { removed_count: 2, doubted_count: 0 });
        let left: Vec<_> = known_files(&index).into_iter().map(|(name, _)| name).collect();
        assert_eq!(left[..3], [path(1), path(2), path(4)]);
    }

    #[test]
    fn scan_that_does_not_end_leaves_no_trace() {
        let mut index = index();
        scan(&mut index, 0..10);
        index.begin_scan("c").expect("begins");
        index.miss("c", &path(1), &state(1)).expect("misses");
        assert_eq!(scan(&mut index, 0..10), Swept::default());
        assert!(known_files(&index).iter().all(|(_, standing)| *standing == Standing::There));
    }

    #[test]
    fn file_that_is_no_photo_is_known_without_a_hash() {
        let mut index = index();
        let name = Path::new("a/1.wav");
        let kind = FileKind::Companion;
        index.note_file("c", name, kind, &state(1), None).expect("notes");
        assert_eq!(index.known("c", name, kind, &state(1)).expect("asks"), Some(Known::Noted));
        assert_eq!(index.known("c", name, kind, &state(2)).expect("asks"), None);
        index.note_file("c", name, kind, &state(2), Some(&hash(1))).expect("notes");
        let known = index.known("c", name, kind, &state(2)).expect("asks");
        assert_eq!(known, Some(Known::Content(hash(1))));
        let photo = index.note_file("c", &path(1), FileKind::Photo, &state(3), None);
        assert!(matches!(photo, Err(StoreError::Refused(_))), "{photo:?}");
        assert_eq!(index.counts().expect("counts").files_count, 0);
    }

    #[test]
    fn file_in_place_of_a_folder_takes_its_files_away() {
        let mut index = index();
        index.record_file("c", Path::new("a.jpg/1.jpg"), &state(1), &hash(1)).expect("records");
        index.record_file("c", Path::new("a.jpg"), &state(2), &hash(2)).expect("records");
        assert_eq!(
            known_files(&index),
            [("a.jpg".into(), Standing::There), ("a.jpg/1.jpg".into(), Standing::Gone)]
        );
    }

    #[test]
    fn known_files_are_listed_in_byte_order_and_page_by_page() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("index.sqlite");
        let mut index = Index::open(&file).expect("opens");
        let names = ["a.jpg", "a/1.jpg", "a/b/2.jpg", "a0.jpg", "b.jpg"];
        for (number, name) in names.iter().rev().enumerate() {
            let number = number as u64;
            index
                .record_file("c", Path::new(name), &state(number), &hash(number))
                .expect("records");
        }
        index.record_file("d", Path::new("other.jpg"), &state(9), &hash(9)).expect("records");
        let reader = FilesReader::open(&file).expect("opens");
        let (mut listed, mut after) = (Vec::new(), PathBuf::new());
        loop {
            let page = reader.page("c", &after, 2).expect("a page");
            let Some(last) = page.last() else { break };
            after.clone_from(&last.relative);
            listed.extend(page.into_iter().map(|file| file.relative));
        }
        assert_eq!(listed, names.map(PathBuf::from));
    }
}
