//! Takes people out of the databases, so that none of their bytes is left.
//!
//! In:  [`Names`], and what other stages say of the texts that are theirs. Out: how much named them.
//!
//! Each database is changed in one transaction; then [`scrub`] writes it anew. Changing a row alone
//! leaves the old one in free parts of pages and in the write-ahead log.
//!
//! What is signed, hashed into a log or posted in the ledger names no people and is not touched; a
//! photo's path is its owner's and stays.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, params};

use super::db::{self, StoreError};
use super::decisions::decision_of;
use super::orders::json;
use super::{DecisionRow, Decisions, Index, State};
use crate::base::clock::Timestamp;
use crate::base::names::Names;

/// How long readers may keep the write-ahead log from being emptied.
const LOG_PATIENCE: Duration = Duration::from_secs(60);

/// What becomes of a kept decision that may name somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It names nobody.
    Stays,
    /// Its texts do: these take their place.
    Changes {
        /// What the rules were asked about.
        inputs_json: String,
        /// What they said.
        answer_json: String,
    },
    /// It is about one of them.
    Goes,
}

impl Index {
    /// Makes people unknown in what was seen; tells in how many photos they were.
    ///
    /// - `without`: an analysis without them; `None` where it has none
    ///
    /// # Errors
    /// See [`StoreError`]; then nothing was changed.
    pub fn erase_people(
        &mut self,
        names: &Names,
        without: impl Fn(&str) -> Option<String>,
    ) -> Result<usize, StoreError> {
        let tx = self.connection.transaction()?;
        let mut count = 0;
        for name in names.all() {
            tx.execute("DELETE FROM people WHERE person = ?1", [name])?;
            let sql = "SELECT hash, analysis FROM photos WHERE instr(analysis, ?1) > 0";
            let found: Vec<(Vec<u8>, String)> = tx
                .prepare(sql)?
                .query_map([name], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_, _>>()?;
            for (hash, analysis) in found {
                let Some(analysis) = without(&analysis) else { continue };
                let sql = "UPDATE photos SET analysis = ?2 WHERE hash = ?1";
                tx.prepare_cached(sql)?.execute(params![hash, analysis])?;
                count += 1;
            }
        }
        tx.commit()?;
        Ok(count)
    }
}

impl Index {
    /// How many files lie at a place whose path bears one of these names. Paths are the owner's.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn named_paths(&self, names: &Names) -> Result<usize, StoreError> {
        let mut statement = self.connection.prepare("SELECT path FROM files")?;
        let mut rows = statement.query([])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            let path: Vec<u8> = row.get(0)?;
            count += usize::from(names.are_in(&String::from_utf8_lossy(&path)));
        }
        Ok(count)
    }
}

impl Decisions {
    /// Takes people out of the log; tells how many decisions went and how many were changed.
    ///
    /// - `fate`: what becomes of a decision in which a name stands, as a word or as part of one
    /// - `without`: rule files without them; `None` where they are not named there
    ///
    /// # Errors
    /// See [`StoreError`]; then nothing was changed.
    pub fn erase_people(
        &self,
        names: &Names,
        fate: impl Fn(&DecisionRow) -> Fate,
        without: impl Fn(&str) -> Option<String>,
        now: Timestamp,
    ) -> Result<(usize, usize), StoreError> {
        let mut connection = self.guard();
        let tx = connection.transaction()?;
        let (mut gone_count, mut changed_count) = (0, 0);
        for name in names.all() {
            let found: Vec<i64> = tx
                .prepare(
                    "SELECT decision_seq FROM decisions
                     WHERE instr(inputs, ?1) > 0 OR instr(answer, ?1) > 0",
                )?
                .query_map([name], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            for seq in found {
                let row = tx
                    .prepare_cached("SELECT * FROM decisions WHERE decision_seq = ?1")?
                    .query_row([seq], decision_of)?;
                match fate(&row) {
                    Fate::Stays => {}
                    Fate::Changes { inputs_json, answer_json } => {
                        tx.prepare_cached(
                            "UPDATE decisions SET inputs = ?2, answer = ?3 WHERE decision_seq = ?1",
                        )?
                        .execute(params![
                            seq,
                            inputs_json,
                            answer_json
                        ])?;
                        changed_count += 1;
                    }
                    Fate::Goes => {
                        tx.prepare_cached("DELETE FROM decisions WHERE decision_seq = ?1")?
                            .execute([seq])?;
                        gone_count += 1;
                    }
                }
            }
            let found: Vec<(String, String)> = tx
                .prepare("SELECT revision, rules FROM revisions WHERE instr(rules, ?1) > 0")?
                .query_map([name], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_, _>>()?;
            for (revision, rules) in found {
                if let Some(rules) = without(&rules) {
                    let sql = "UPDATE revisions SET rules = ?2 WHERE revision = ?1";
                    tx.execute(sql, params![revision, rules])?;
                    changed_count += 1;
                }
            }
        }
        if gone_count > 0 {
            let count = i64::try_from(gone_count).unwrap_or(i64::MAX);
            tx.execute("INSERT INTO erasures VALUES (?1, ?2)", params![now.0, count])?;
        }
        tx.commit()?;
        Ok((gone_count, changed_count))
    }
}

/// Orders that named somebody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErasedOrders {
    /// How many they are.
    pub orders_count: usize,
    /// Rules in force that bear a name, whose orders keep the name of their rule.
    pub rules: Vec<String>,
    /// Orders that go to an addressee of such a name.
    pub addressed_count: usize,
}

impl State {
    /// Takes people out of orders and their history.
    ///
    /// The rule of an order counts in its key and in limits, so its name stays while there is such a
    /// rule. Labels of addressees are the owner's.
    ///
    /// - `is_in_force`: whether there is a rule of this name
    ///
    /// # Errors
    /// As any write; then nothing was changed.
    pub fn erase_people(
        &self,
        names: &Names,
        is_in_force: impl Fn(&str) -> bool,
    ) -> Result<ErasedOrders, StoreError> {
        self.write(|tx| {
            let mut erased = ErasedOrders::default();
            for name in names.all() {
                erase_from_orders(tx, name, names, &is_in_force, &mut erased)?;
                for (table, key, text) in TEXTS {
                    erase_from_texts(tx, (table, key, text), name, names)?;
                }
            }
            erased.rules.sort();
            erased.rules.dedup();
            Ok(erased)
        })
    }
}

/// Tables with words about orders: table, key, column.
const TEXTS: [(&str, &str, &str); 2] =
    [("order_events", "event_seq", "note"), ("outbox", "order_key", "last_error")];

fn erase_from_orders(
    tx: &Connection,
    name: &str,
    names: &Names,
    is_in_force: &impl Fn(&str) -> bool,
    erased: &mut ErasedOrders,
) -> rusqlite::Result<()> {
    struct Found {
        order_key: String,
        people: String,
        texts: [String; 3],
        addressee: Option<String>,
    }
    let found: Vec<Found> = tx
        .prepare(
            "SELECT order_key, people, reason, origin, rule, addressee FROM orders
             WHERE instr(people, ?1) OR instr(reason, ?1) OR instr(origin, ?1) OR instr(rule, ?1)
                 OR instr(addressee, ?1)",
        )?
        .query_map([name], |row| {
            let texts = [row.get("reason")?, row.get("origin")?, row.get("rule")?];
            let (order_key, people) = (row.get("order_key")?, row.get("people")?);
            Ok(Found { order_key, people, texts, addressee: row.get("addressee")? })
        })?
        .collect::<Result<_, _>>()?;
    for Found { order_key, people, texts, addressee } in found {
        let before: Vec<String> = serde_json::from_str(&people).unwrap_or_default();
        let after: Vec<&String> = before.iter().filter(|one| !names.holds(one)).collect();
        let [reason, origin, rule] = texts;
        let mut rule_after = names.out_of(&rule);
        if rule_after.is_some() && is_in_force(&rule) {
            erased.rules.push(rule.clone());
            rule_after = None;
        }
        erased.addressed_count += usize::from(addressee.is_some_and(|label| names.are_in(&label)));
        let (reason_after, origin_after) = (names.out_of(&reason), names.out_of(&origin));
        let is_named = after.len() < before.len()
            || [&reason_after, &origin_after, &rule_after].iter().any(|text| text.is_some());
        if is_named {
            tx.prepare_cached(
                "UPDATE orders SET people = ?2, reason = ?3, origin = ?4, rule = ?5
                 WHERE order_key = ?1",
            )?
            .execute(params![
                order_key,
                json(&after),
                reason_after.unwrap_or(reason),
                origin_after.unwrap_or(origin),
                rule_after.unwrap_or(rule),
            ])?;
            erased.orders_count += 1;
        }
    }
    Ok(())
}

fn erase_from_texts(
    tx: &Connection,
    (table, key, text): (&str, &str, &str),
    name: &str,
    names: &Names,
) -> rusqlite::Result<()> {
    let sql = format!("SELECT {key}, {text} FROM {table} WHERE instr({text}, ?1)");
    let found: Vec<(rusqlite::types::Value, String)> = tx
        .prepare(&sql)?
        .query_map([name], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (row_key, words) in found {
        if let Some(without) = names.out_of(&words) {
            let sql = format!("UPDATE {table} SET {text} = ?2 WHERE {key} = ?1");
            tx.prepare_cached(&sql)?.execute(params![row_key, without])?;
        }
    }
    Ok(())
}

/// Writes a database anew without what was deleted or overwritten in it, and empties its
/// write-ahead log. Others may use it meanwhile.
///
/// # Errors
/// See [`StoreError`]; `Busy` while somebody reads what was there before.
pub fn scrub(path: &Path) -> Result<(), StoreError> {
    let connection = db::open_to_scrub(path)?;
    connection.execute_batch("VACUUM")?;
    let until = Instant::now() + LOG_PATIENCE;
    loop {
        let is_held: bool = connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .optional()?
            .unwrap_or(false);
        if !is_held {
            return Ok(());
        }
        if Instant::now() > until {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
            return Err(rusqlite::Error::SqliteFailure(code, None).into());
        }
    }
}

#[cfg(test)]
#[path = "erase/tests.rs"]
mod tests;
