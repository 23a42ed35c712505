//! Who is in which photo for sure, by the time of the photo: what one photo says of another.
//!
//! A face alone is little to spend money on; a second photo of the same hour that shows the same
//! person says more. Photos of one moment are one picture in several files (edited, raw, sent back)
//! and say nothing of each other; a photo that does not say when it was taken speaks for none.
//!
//! The names are those of enrolled people. Erasing somebody erases these rows.

use rusqlite::{OptionalExtension, params};

use super::Index;
use crate::base::ids::ContentHash;
use crate::store::db::StoreError;

/// The table; a step of the index's schema.
pub(super) const STEP: &str = "
    CREATE TABLE people (
        person TEXT NOT NULL,
        taken_ms INTEGER NOT NULL,
        photo BLOB NOT NULL,
        PRIMARY KEY (person, taken_ms, photo)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX people_by_photo ON people (photo);
";

/// How far apart photos may be taken to speak for each other: an hour.
const SPAN_MS: i64 = 3_600_000;

impl Index {
    /// Notes who is in a photo for sure, in the place of who was noted before; gives those.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn record_people(
        &mut self,
        photo: &ContentHash,
        taken_ms: i64,
        people: &[String],
    ) -> Result<Vec<String>, StoreError> {
        let sql = "DELETE FROM people WHERE photo = ?1 RETURNING person";
        let mut delete = self.connection.prepare_cached(sql)?;
        let before = delete
            .query_map([photo.as_bytes()], |row| row.get(0))?
            .collect::<Result<Vec<String>, _>>()?;
        let mut insert = self
            .connection
            .prepare_cached("INSERT INTO people VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?;
        for person in people {
            insert.execute(params![person, taken_ms, photo.as_bytes()])?;
        }
        Ok(before)
    }

    /// Whether a photo that was taken in another moment of the same hour shows a person for sure.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn is_seen_about(&self, person: &str, taken_ms: i64) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM people WHERE person = ?1
                   AND taken_ms BETWEEN ?2 - ?3 AND ?2 + ?3 AND taken_ms <> ?2 LIMIT 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let found =
            statement.query_row(params![person, taken_ms, SPAN_MS], |_| Ok(())).optional()?;
        Ok(found.is_some())
    }

    /// Photos for which it may matter that a person is, or is no more, seen at a moment: those
    /// nearest before and behind. Any further one has them to speak for it.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn nearest_of(&self, person: &str, taken_ms: i64) -> Result<Vec<ContentHash>, StoreError> {
        let sql = "SELECT photo FROM people WHERE person = ?1 AND taken_ms IN (
                       (SELECT max(taken_ms) FROM people WHERE person = ?1
                            AND taken_ms >= ?2 - ?3 AND taken_ms < ?2),
                       (SELECT min(taken_ms) FROM people WHERE person = ?1
                            AND taken_ms > ?2 AND taken_ms <= ?2 + ?3))
                   ORDER BY taken_ms, photo";
        let mut statement = self.connection.prepare_cached(sql)?;
        let photos = statement.query_map(params![person, taken_ms, SPAN_MS], |row| {
            row.get(0).map(ContentHash::from_bytes)
        })?;
        Ok(photos.collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: i64 = 60_000;

    /// Photos of Anna taken at these minutes; the photo's number is its minute.
    fn index(minutes: &[i64]) -> Index {
        let mut index = Index::open_in_memory().expect("opens");
        for minute in minutes {
            record(&mut index, *minute, *minute, &["Anna"]);
        }
        index
    }

    fn photo(number: i64) -> ContentHash {
        ContentHash::of(&number.to_be_bytes())
    }

    fn record(index: &mut Index, number: i64, minute: i64, people: &[&str]) -> Vec<String> {
        let people: Vec<String> = people.iter().map(|name| (*name).to_owned()).collect();
        index.record_people(&photo(number), minute * MINUTE_MS, &people).expect("recorded")
    }

    #[test]
    fn photo_of_another_moment_of_the_hour_speaks_for_a_person() {
        let index = index(&[0, 60, 200]);
        let seen = |person, minute| index.is_seen_about(person, minute * MINUTE_MS).expect("read");
        assert!(seen("Anna", 0) && seen("Anna", 60) && seen("Anna", 120));
        assert!(!seen("Anna", 121), "61 minutes behind one and 79 before the other");
        assert!(!seen("Anna", 200), "only itself");
        assert!(!seen("Ben", 10));
    }

    #[test]
    fn pictures_of_one_moment_do_not_speak_for_each_other() {
        let mut index = index(&[10]);
        record(&mut index, 99, 10, &["Anna"]);
        assert!(!index.is_seen_about("Anna", 10 * MINUTE_MS).expect("read"));
    }

    #[test]
    fn those_nearest_on_both_sides_are_the_ones_for_whom_a_photo_matters() {
        let mut index = index(&[0, 10, 80, 90, 200]);
        record(&mut index, 11, 10, &["Anna"]);
        let mut nearest = index.nearest_of("Anna", 30 * MINUTE_MS).expect("read");
        nearest.sort();
        let mut expected = [photo(10), photo(11), photo(80)];
        expected.sort();
        assert_eq!(nearest, expected);
        assert_eq!(index.nearest_of("Anna", 300 * MINUTE_MS).expect("read"), []);
    }

    #[test]
    fn photo_that_is_looked_at_again_shows_whom_it_shows_now() {
        let mut index = index(&[0]);
        assert_eq!(record(&mut index, 0, 0, &["Ben", "Ben"]), ["Anna"]);
        assert!(!index.is_seen_about("Anna", MINUTE_MS).expect("read"));
        assert!(index.is_seen_about("Ben", MINUTE_MS).expect("read"));
        assert_eq!(record(&mut index, 0, 0, &[]), ["Ben"]);
    }
}
