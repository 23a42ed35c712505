//! What the owner is told by reports, once each: operations of [`State`].
//!
//! A telling is kept before the first try to send it and settled after the last, so that neither a
//! restart nor a mail server that is away loses or repeats one. Ways are told apart by name (`mail`,
//! `webhook`); each begins when it is first wanted, and what was before is not told.

use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::db::StoreError;
use super::orders::json;
use super::state::State;
use crate::base::clock::Timestamp;

pub(super) const SCHEMA: &str = "
-- Every access in the order in which it was committed, so that whoever tells of them misses none.
CREATE TABLE access_news (
    news_seq INTEGER PRIMARY KEY,
    grant_id TEXT NOT NULL UNIQUE REFERENCES accesses
) STRICT;
CREATE TRIGGER accesses_are_news AFTER INSERT ON accesses BEGIN
    INSERT INTO access_news (grant_id) VALUES (NEW.grant_id); END;
INSERT INTO access_news (grant_id) SELECT grant_id FROM accesses ORDER BY at_ms, grant_id;
CREATE INDEX accesses_by_time ON accesses (at_ms);
CREATE INDEX accesses_by_order ON accesses (order_key);

-- Since when the owner is told in a way, and how often. `after_seq`: the news before that are old.
CREATE TABLE telling_begins (
    way TEXT PRIMARY KEY,
    rhythm TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    after_seq INTEGER NOT NULL
) STRICT;
-- What the owner is told, once each. `about`: JSON, a span or news; of news also `up_to_seq`.
-- Neither sent nor given up: it is still to be sent.
CREATE TABLE tellings (
    telling_seq INTEGER PRIMARY KEY,
    way TEXT NOT NULL,
    name TEXT NOT NULL,
    about TEXT NOT NULL CHECK (json_valid(about)),
    up_to_seq INTEGER,
    made_ms INTEGER NOT NULL,
    attempts_count INTEGER NOT NULL DEFAULT 0,
    sent_ms INTEGER,
    given_up_ms INTEGER,
    UNIQUE (way, name)
) STRICT;
CREATE INDEX tellings_waiting ON tellings (way, telling_seq)
    WHERE sent_ms IS NULL AND given_up_ms IS NULL;
CREATE INDEX tellings_of_news ON tellings (way, up_to_seq) WHERE up_to_seq IS NOT NULL;
";

/// Since when the owner is told in some way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    /// What ended before is not told.
    pub since: Timestamp,
    /// Neither are accesses up to this one, in the order in which they were committed.
    pub after_seq: i64,
}

/// What a telling is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum About {
    /// Everything of a span.
    Span {
        /// What people call it, such as `November 2026`.
        title: String,
        /// Its first moment.
        from: Timestamp,
        /// The first one behind it.
        to: Timestamp,
    },
    /// What a hub said that cannot be true, found in a span.
    Lies {
        /// Its first moment.
        from: Timestamp,
        /// The first one behind it.
        to: Timestamp,
    },
    /// Accesses by their place in the order of commits.
    News {
        /// Those behind this one …
        after: i64,
        /// … up to this one.
        up_to: i64,
    },
}

/// One thing that the owner is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telling {
    /// In which way.
    pub way: String,
    /// What names it for good in that way.
    pub name: String,
    /// What it is about.
    pub about: About,
    /// When it was due.
    pub made_at: Timestamp,
    /// Tries so far.
    pub attempts_count: u32,
}

/// What became of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    /// It was taken.
    Sent,
    /// It is to be tried again.
    Failed,
    /// It is not to be tried again.
    GivenUp,
}

impl State {
    /// Since when the owner is told in a way; now, when another rhythm was wanted before.
    ///
    /// # Errors
    /// As any write.
    pub fn begin_telling(
        &self,
        way: &str,
        rhythm: &str,
        now: Timestamp,
    ) -> Result<Begun, StoreError> {
        self.write(|tx| {
            tx.execute(
                "INSERT INTO telling_begins
                 SELECT ?1, ?2, ?3, coalesce((SELECT max(news_seq) FROM access_news), 0)
                 WHERE true
                 ON CONFLICT DO UPDATE SET rhythm = excluded.rhythm,
                     since_ms = excluded.since_ms, after_seq = excluded.after_seq
                 WHERE rhythm <> excluded.rhythm",
                params![way, rhythm, now.0],
            )?;
            tx.query_row(
                "SELECT since_ms, after_seq FROM telling_begins WHERE way = ?1",
                [way],
                |row| Ok(Begun { since: Timestamp(row.get(0)?), after_seq: row.get(1)? }),
            )
        })
    }

    /// Forgets since when the owner was told in a way: it is not wanted any more. What waits is not
    /// sent.
    ///
    /// # Errors
    /// As any write.
    pub fn end_telling(&self, way: &str, now: Timestamp) -> Result<(), StoreError> {
        self.write(|tx| {
            if tx.execute("DELETE FROM telling_begins WHERE way = ?1", [way])? > 0 {
                tx.execute(
                    "UPDATE tellings SET given_up_ms = ?2
                     WHERE way = ?1 AND sent_ms IS NULL AND given_up_ms IS NULL",
                    params![way, now.0],
                )?;
            }
            Ok(())
        })
    }

    /// Keeps something to tell; what has that name already stays as it is. Whether it is new.
    ///
    /// # Errors
    /// As any write.
    pub fn put_telling(
        &self,
        way: &str,
        name: &str,
        about: &About,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let up_to = match about {
            About::News { up_to, .. } => Some(up_to),
            About::Span { .. } | About::Lies { .. } => None,
        };
        self.write(|tx| {
            let kept = tx.execute(
                "INSERT INTO tellings (way, name, about, up_to_seq, made_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
                params![way, name, json(about), up_to, now.0],
            )?;
            Ok(kept == 1)
        })
    }

    /// The last access that a way tells of or need not tell of, by its place.
    ///
    /// # Errors
    /// As any read.
    pub fn told_up_to(&self, way: &str) -> Result<i64, StoreError> {
        self.read(|db| {
            db.query_row(
                "SELECT max(
                     coalesce((SELECT after_seq FROM telling_begins WHERE way = ?1), 0),
                     coalesce((SELECT max(up_to_seq) FROM tellings
                               WHERE way = ?1 AND up_to_seq IS NOT NULL), 0))",
                [way],
                |row| row.get(0),
            )
        })
    }

    /// Places and times of accesses behind `after`, oldest first.
    ///
    /// # Errors
    /// As any read.
    pub fn news_after(
        &self,
        after: i64,
        count_max: u32,
    ) -> Result<Vec<(i64, Timestamp)>, StoreError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT news_seq, at_ms FROM access_news JOIN accesses USING (grant_id)
                 WHERE news_seq > ?1 ORDER BY news_seq LIMIT ?2",
            )?
            .query_map(params![after, count_max], |row| Ok((row.get(0)?, Timestamp(row.get(1)?))))?
            .collect()
        })
    }

    /// The place of the newest access; 0 before the first.
    ///
    /// # Errors
    /// As any read.
    pub fn newest_news(&self) -> Result<i64, StoreError> {
        self.read(|db| {
            db.query_row("SELECT coalesce(max(news_seq), 0) FROM access_news", [], |row| row.get(0))
        })
    }

    /// The first thing of a way that waits to be sent.
    ///
    /// # Errors
    /// As any read.
    pub fn next_telling(&self, way: &str) -> Result<Option<Telling>, StoreError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT * FROM tellings
                 WHERE way = ?1 AND sent_ms IS NULL AND given_up_ms IS NULL
                 ORDER BY telling_seq LIMIT 1",
            )?
            .query_row([way], telling_of)
            .optional()
        })
    }

    /// Notes what became of a try.
    ///
    /// # Errors
    /// As any write; then it is tried again.
    pub fn settle_telling(
        &self,
        telling: &Telling,
        tried: Tried,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (sent, given_up) = match tried {
            Tried::Sent => (Some(now.0), None),
            Tried::GivenUp => (None, Some(now.0)),
            Tried::Failed => (None, None),
        };
        self.write(|tx| {
            tx.execute(
                "UPDATE tellings SET attempts_count = attempts_count + 1, sent_ms = ?3,
                     given_up_ms = ?4
                 WHERE way = ?1 AND name = ?2 AND sent_ms IS NULL",
                params![telling.way, telling.name, sent, given_up],
            )?;
            Ok(())
        })
    }
}

fn telling_of(row: &Row<'_>) -> rusqlite::Result<Telling> {
    let about: String = row.get("about")?;
    Ok(Telling {
        way: row.get("way")?,
        name: row.get("name")?,
        about: serde_json::from_str(&about)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?,
        made_at: Timestamp(row.get("made_ms")?),
        attempts_count: row.get("attempts_count")?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::state::tests::NOW;
    use super::*;

    fn month(title: &str) -> About {
        About::Span { title: title.into(), from: Timestamp(0), to: NOW }
    }

    #[test]
    fn telling_is_kept_once_and_waits_until_it_is_settled() {
        let state = State::in_memory().expect("a store");
        let about = month("November 2026");
        assert!(state.put_telling("mail", "2026-11", &about, NOW).expect("kept"));
        assert!(!state.put_telling("mail", "2026-11", &month("x"), NOW).expect("there"));
        assert!(state.put_telling("webhook", "2026-11", &about, NOW).expect("another way"));
        assert!(state.put_telling("mail", "2026-12", &about, NOW).expect("kept"));
        let next = || state.next_telling("mail").expect("read").expect("waits");
        let first = next();
        assert_eq!((first.name.as_str(), &first.about), ("2026-11", &about));
        state.settle_telling(&first, Tried::Failed, NOW).expect("noted");
        assert_eq!((next().name.as_str(), next().attempts_count), ("2026-11", 1));
        state.settle_telling(&first, Tried::Sent, NOW).expect("noted");
        assert_eq!(next().name, "2026-12");
        state.settle_telling(&next(), Tried::GivenUp, NOW).expect("noted");
        assert_eq!(state.next_telling("mail").expect("read"), None);
        assert!(state.next_telling("webhook").expect("read").is_some());
    }

    #[test]
    fn way_begins_anew_with_another_rhythm_and_not_with_the_same() {
        let state = State::in_memory().expect("a store");
        let later = NOW.plus_millis(1000);
        let begin = |rhythm, now| state.begin_telling("mail", rhythm, now).expect("begun").since;
        assert_eq!(begin("monthly", NOW), NOW);
        assert_eq!(begin("monthly", later), NOW);
        assert_eq!(begin("daily", later), later);
        state.put_telling("mail", "2026-11", &month("a"), NOW).expect("kept");
        state.end_telling("mail", later).expect("ended");
        assert_eq!(state.next_telling("mail").expect("read"), None, "it is not wanted any more");
        assert_eq!(begin("daily", later.plus_millis(1)), later.plus_millis(1));
    }

    #[test]
    fn news_are_told_behind_the_last_ones() {
        let state = State::in_memory().expect("a store");
        assert_eq!(state.told_up_to("mail").expect("read"), 0);
        let about = About::News { after: 0, up_to: 7 };
        state.put_telling("mail", "7", &about, NOW).expect("kept");
        assert_eq!(state.told_up_to("mail").expect("read"), 7);
        assert_eq!(state.news_after(0, 10).expect("read"), []);
        assert_eq!(state.newest_news().expect("read"), 0);
    }
}
