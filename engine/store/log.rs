//! Logs at the agent: its own, and what its hub's log about it says. Operations of [`State`].
//!
//! Leaves of the agent's own log are appended in the transaction that does what they tell of
//! ([`append_leaf`]), so neither is without the other. The tree above them is grown by whoever
//! signs a head, from the last signed head on: nodes and head are one transaction.
//!
//! INVARIANT: leaves are numbered from 0 without gaps, and neither changed nor deleted; the database
//! itself refuses.
//! INVARIANT: nodes are there for all leaves below the newest head of their log, at least.
//!
//! Knows neither trees nor signatures: those are in `ledger`.

use rusqlite::{Connection, OptionalExtension, Row, named_params, params};
use serde::Serialize;

use super::db::StoreError;
use super::grants::{GrantRow, member_of, refusal_of, signed};
use super::hub::CheckpointRow;
use super::leaf::{AccessLeaf, AgentLeaf, Way, read, words, write};
use super::orders::hash_of;
use super::state::State;
use crate::base::clock::Timestamp;
use crate::base::ids::ContentHash;

/// The step of `state.sqlite` that made room for logs.
pub(super) const SCHEMA: &str = "
-- `log`: `own`, or the hub's key and when the agent joined. `told_size`: how much of the own log that
-- hub has acknowledged; `checked_size`: how much of it the hub's log was seen to tell of.
CREATE TABLE logs (
    log TEXT PRIMARY KEY,
    told_size INTEGER NOT NULL DEFAULT 0,
    checked_size INTEGER NOT NULL DEFAULT 0
) STRICT;

-- `grant_id`: the grant that it tells of, only to find it by.
CREATE TABLE log_leaves (
    log TEXT NOT NULL REFERENCES logs,
    leaf_index INTEGER NOT NULL,
    leaf TEXT NOT NULL,
    grant_id TEXT NOT NULL,
    PRIMARY KEY (log, leaf_index)
) STRICT, WITHOUT ROWID;
CREATE INDEX log_leaves_by_grant ON log_leaves (log, grant_id);
CREATE TRIGGER log_leaves_follow BEFORE INSERT ON log_leaves BEGIN
    SELECT RAISE(ABORT, 'a leaf is missing before this one') WHERE NEW.leaf_index <>
        (SELECT coalesce(max(leaf_index) + 1, 0) FROM log_leaves WHERE log = NEW.log);
END;
CREATE TRIGGER log_leaves_never_change BEFORE UPDATE ON log_leaves BEGIN
    SELECT RAISE(ABORT, 'leaves are never changed'); END;
CREATE TRIGGER log_leaves_never_go BEFORE DELETE ON log_leaves BEGIN
    SELECT RAISE(ABORT, 'leaves are never deleted'); END;

CREATE TABLE log_nodes (
    log TEXT NOT NULL REFERENCES logs,
    number INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (log, number)
) STRICT, WITHOUT ROWID;

-- `signer`: the key that signed it, base64url.
CREATE TABLE log_heads (
    log TEXT NOT NULL REFERENCES logs,
    size INTEGER NOT NULL,
    root BLOB NOT NULL,
    note TEXT NOT NULL,
    signer TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (log, size)
) STRICT, WITHOUT ROWID;

-- What a hub said that cannot be true, once each. `proof`: the words that it said it with.
CREATE TABLE hub_lies (
    log TEXT NOT NULL REFERENCES logs,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    words TEXT NOT NULL,
    proof TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (log, kind, subject)
) STRICT;
CREATE TRIGGER hub_lies_never_change BEFORE UPDATE ON hub_lies BEGIN
    SELECT RAISE(ABORT, 'lies are never changed'); END;
CREATE TRIGGER hub_lies_never_go BEFORE DELETE ON hub_lies BEGIN
    SELECT RAISE(ABORT, 'lies are never deleted'); END;
";

/// Name of the agent's own log.
pub const OWN: &str = "own";

/// A signed head with who signed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeadRow {
    /// Size, root and the signed note.
    pub head: CheckpointRow,
    /// The key that signed it, base64url.
    pub signer: String,
    /// When it was kept.
    pub at: Timestamp,
}

/// What is added to a log at once.
#[derive(Debug, Clone, Copy)]
pub struct Growth<'a> {
    /// Which log.
    pub log: &'a str,
    /// Leaves with the grant that each tells of; none for the own log, which has them already.
    pub leaves: &'a [(String, String)],
    /// New nodes by number.
    pub nodes: &'a [(u64, ContentHash)],
    /// The head with exactly these.
    pub head: &'a HeadRow,
}

/// What came to a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grown {
    /// How many leaves.
    pub leaves_count: u64,
    /// Bytes of all of them together.
    pub bytes_count: u64,
}

/// How far a hub has come with the agent's own log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// How much of it that hub has acknowledged.
    pub told_size: u64,
    /// How much of it the hub's log was seen to tell of.
    pub checked_size: u64,
}

/// Something that a hub said and that cannot be true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LieRow {
    /// Which hub's log: its key and when the agent joined.
    pub log: String,
    /// What kind of lie.
    pub kind: String,
    /// What it is about, such as a grant.
    pub subject: String,
    /// What is wrong, in words.
    pub words: String,
    /// What the hub said, as it said it.
    pub proof: String,
    /// When it was found.
    pub at: Timestamp,
}

impl State {
    /// Length of a log.
    ///
    /// # Errors
    /// As any read.
    pub fn log_size(&self, log: &str) -> Result<u64, StoreError> {
        self.read(|db| size_of(db, log))
    }

    /// Leaves `from..to` of a log, those that are there.
    ///
    /// # Errors
    /// As any read.
    pub fn log_leaves(&self, log: &str, from: u64, to: u64) -> Result<Vec<String>, StoreError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT leaf FROM log_leaves WHERE log = ?1 AND leaf_index >= ?2
                 AND leaf_index < ?3 ORDER BY leaf_index",
            )?
            .query_map(params![log, signed(from), signed(to)], |row| row.get(0))?
            .collect()
        })
    }

    /// Leaves of a log that tell of a grant, with their places.
    ///
    /// # Errors
    /// As any read.
    pub fn log_leaves_of(
        &self,
        log: &str,
        grant_id: &str,
    ) -> Result<Vec<(u64, String)>, StoreError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT leaf_index, leaf FROM log_leaves WHERE log = ?1 AND grant_id = ?2
                 ORDER BY leaf_index",
            )?
            .query_map([log, grant_id], |row| {
                Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?))
            })?
            .collect()
        })
    }

    /// Nodes of a log's tree by their numbers, those that are there.
    ///
    /// # Errors
    /// As any read.
    pub fn log_nodes(
        &self,
        log: &str,
        numbers: &[u64],
    ) -> Result<Vec<(u64, ContentHash)>, StoreError> {
        self.read(|db| {
            let mut one =
                db.prepare_cached("SELECT hash FROM log_nodes WHERE log = ?1 AND number = ?2")?;
            let mut found = Vec::with_capacity(numbers.len());
            for number in numbers {
                let hash = one
                    .query_row(params![log, signed(*number)], |row| hash_of(row, "hash"))
                    .optional()?;
                found.extend(hash.map(|hash| (*number, hash)));
            }
            Ok(found)
        })
    }

    /// How many nodes of a log's tree are kept.
    ///
    /// # Errors
    /// As any read.
    pub fn log_nodes_count(&self, log: &str) -> Result<u64, StoreError> {
        self.read(|db| {
            db.prepare_cached("SELECT count(*) FROM log_nodes WHERE log = ?1")?
                .query_row([log], |row| row.get::<_, i64>(0))
                .map(i64::unsigned_abs)
        })
    }

    /// Adds to a log, unless it is not `head.size - leaves.len()` long: false then.
    ///
    /// # Errors
    /// As any write.
    pub fn grow_log(&self, growth: &Growth<'_>) -> Result<bool, StoreError> {
        let Growth { log, leaves, nodes, head } = *growth;
        self.write(|tx| {
            tx.execute("INSERT INTO logs (log) VALUES (?1) ON CONFLICT DO NOTHING", [log])?;
            let first = head.head.size.checked_sub(leaves.len() as u64);
            let fits = if leaves.is_empty() {
                size_of(tx, log)? >= head.head.size
            } else {
                Some(size_of(tx, log)?) == first
            };
            if !fits {
                return Ok(false);
            }
            for (index, (leaf, grant_id)) in (first.unwrap_or(0)..).zip(leaves) {
                put_leaf(tx, log, index, leaf, grant_id)?;
            }
            let mut put = tx.prepare_cached(
                "INSERT INTO log_nodes VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            )?;
            for (number, hash) in nodes {
                put.execute(params![log, signed(*number), hash.as_bytes()])?;
            }
            tx.prepare_cached(
                "INSERT INTO log_heads VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE
                 SET note = excluded.note, signer = excluded.signer, at_ms = excluded.at_ms
                 WHERE root = excluded.root",
            )?
            .execute(params![
                log,
                signed(head.head.size),
                head.head.root.as_bytes(),
                head.head.note,
                head.signer,
                head.at.0
            ])?;
            Ok(true)
        })
    }

    /// The newest signed head of a log.
    ///
    /// # Errors
    /// As any read.
    pub fn log_head(&self, log: &str) -> Result<Option<HeadRow>, StoreError> {
        self.read(|db| {
            db.prepare_cached("SELECT * FROM log_heads WHERE log = ?1 ORDER BY size DESC LIMIT 1")?
                .query_row([log], head_of)
                .optional()
        })
    }

    /// The signed head of a log when it was so long.
    ///
    /// # Errors
    /// As any read.
    pub fn log_head_at(&self, log: &str, size: u64) -> Result<Option<HeadRow>, StoreError> {
        self.read(|db| {
            db.prepare_cached("SELECT * FROM log_heads WHERE log = ?1 AND size = ?2")?
                .query_row(params![log, signed(size)], head_of)
                .optional()
        })
    }

    /// All signed heads of a log, the shortest first.
    ///
    /// # Errors
    /// As any read.
    pub fn log_heads(&self, log: &str) -> Result<Vec<HeadRow>, StoreError> {
        self.read(|db| {
            db.prepare_cached("SELECT * FROM log_heads WHERE log = ?1 ORDER BY size")?
                .query_map([log], head_of)?
                .collect()
        })
    }

    /// What came to a log since a moment: leaves behind the newest head that was kept until then.
    ///
    /// # Errors
    /// As any read.
    pub fn log_growth(&self, log: &str, since: Timestamp) -> Result<Grown, StoreError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT count(*), coalesce(sum(octet_length(leaf)), 0) FROM log_leaves
                 WHERE log = ?1 AND leaf_index >= (SELECT coalesce(max(size), 0) FROM log_heads
                     WHERE log = ?1 AND at_ms <= ?2)",
            )?
            .query_row(params![log, since.0], |row| {
                Ok(Grown {
                    leaves_count: row.get::<_, i64>(0)?.unsigned_abs(),
                    bytes_count: row.get::<_, i64>(1)?.unsigned_abs(),
                })
            })
        })
    }

    /// Names of the logs of hubs, by name.
    ///
    /// # Errors
    /// As any read.
    pub fn hub_logs(&self) -> Result<Vec<String>, StoreError> {
        self.read(|db| {
            db.prepare_cached("SELECT log FROM logs WHERE log <> ?1 ORDER BY log")?
                .query_map([OWN], |row| row.get(0))?
                .collect()
        })
    }

    /// How far a hub has come with the own log.
    ///
    /// # Errors
    /// As any read.
    pub fn progress(&self, log: &str) -> Result<Progress, StoreError> {
        self.read(|db| {
            let found = db
                .prepare_cached("SELECT told_size, checked_size FROM logs WHERE log = ?1")?
                .query_row([log], |row| {
                    Ok(Progress {
                        told_size: row.get::<_, i64>(0)?.unsigned_abs(),
                        checked_size: row.get::<_, i64>(1)?.unsigned_abs(),
                    })
                })
                .optional()?;
            Ok(found.unwrap_or_default())
        })
    }

    /// Notes that a hub has come so far; what it came to before stays.
    ///
    /// # Errors
    /// As any write.
    pub fn note_progress(&self, log: &str, progress: Progress) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.prepare_cached(
                "INSERT INTO logs VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE
                 SET told_size = max(told_size, excluded.told_size),
                     checked_size = max(checked_size, excluded.checked_size)",
            )?
            .execute(params![
                log,
                signed(progress.told_size),
                signed(progress.checked_size)
            ])?;
            Ok(())
        })
    }

    /// Keeps a lie; false when it was kept before.
    ///
    /// # Errors
    /// As any write.
    pub fn put_lie(&self, lie: &LieRow) -> Result<bool, StoreError> {
        self.write(|tx| {
            tx.execute("INSERT INTO logs (log) VALUES (?1) ON CONFLICT DO NOTHING", [&lie.log])?;
            let new = tx.execute(
                "INSERT INTO hub_lies VALUES (:log, :kind, :subject, :words, :proof, :at)
                 ON CONFLICT DO NOTHING",
                named_params! {
                    ":log": lie.log, ":kind": lie.kind, ":subject": lie.subject,
                    ":words": lie.words, ":proof": lie.proof, ":at": lie.at.0,
                },
            )?;
            Ok(new == 1)
        })
    }

    /// Lies that were found with `from <= at < to`, oldest first.
    ///
    /// # Errors
    /// As any read.
    pub fn lies(&self, from: Timestamp, to: Timestamp) -> Result<Vec<LieRow>, StoreError> {
        self.read(|db| lies(db, from, to))
    }
}

pub(super) fn lies(
    db: &Connection,
    from: Timestamp,
    to: Timestamp,
) -> rusqlite::Result<Vec<LieRow>> {
    db.prepare_cached(
        "SELECT * FROM hub_lies WHERE at_ms >= ?1 AND at_ms < ?2
         ORDER BY at_ms, log, kind, subject",
    )?
    .query_map([from.0, to.0], |row| {
        Ok(LieRow {
            log: row.get("log")?,
            kind: row.get("kind")?,
            subject: row.get("subject")?,
            words: row.get("words")?,
            proof: row.get("proof")?,
            at: Timestamp(row.get("at_ms")?),
        })
    })?
    .collect()
}

/// Adds a leaf to the agent's own log, in the transaction of what it tells of.
pub(super) fn append_leaf(tx: &Connection, leaf: &AgentLeaf) -> rusqlite::Result<()> {
    let text =
        write(leaf).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    put_leaf(tx, OWN, size_of(tx, OWN)?, &text, leaf.grant())
}

/// Adds to it that an access was posted back: the last one under that grant, which it tells of.
pub(super) fn append_reversal(
    tx: &Connection,
    grant: &GrantRow,
    why: &str,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let mut statement = tx.prepare_cached(
        "SELECT leaf FROM log_leaves WHERE log = ?1 AND grant_id = ?2 ORDER BY leaf_index DESC",
    )?;
    let mut rows = statement.query([OWN, &grant.grant_id])?;
    let mut of = AccessLeaf::of(grant, 0, &Way::Direct, now);
    while let Some(row) = rows.next()? {
        if let Some(AgentLeaf::Access(access)) = read(row.get::<_, String>(0)?.as_bytes()) {
            of = AccessLeaf { at: now, ..access };
            break;
        }
    }
    append_leaf(tx, &AgentLeaf::Reversal { why: words(why), of })
}

fn put_leaf(
    tx: &Connection,
    log: &str,
    index: u64,
    leaf: &str,
    grant_id: &str,
) -> rusqlite::Result<()> {
    tx.prepare_cached("INSERT INTO log_leaves VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        log,
        signed(index),
        leaf,
        grant_id
    ])?;
    Ok(())
}

fn size_of(db: &Connection, log: &str) -> rusqlite::Result<u64> {
    db.prepare_cached("SELECT coalesce(max(leaf_index) + 1, 0) FROM log_leaves WHERE log = ?1")?
        .query_row([log], |row| row.get::<_, i64>(0))
        .map(i64::unsigned_abs)
}

fn head_of(row: &Row<'_>) -> rusqlite::Result<HeadRow> {
    Ok(HeadRow {
        head: CheckpointRow {
            size: row.get::<_, i64>("size")?.unsigned_abs(),
            root: hash_of(row, "root")?,
            note: row.get("note")?,
        },
        signer: row.get("signer")?,
        at: Timestamp(row.get("at_ms")?),
    })
}

/// Brings what happened before there was a log into it, by time; once.
pub(super) fn begin(connection: &mut Connection) -> rusqlite::Result<()> {
    let tx = connection.transaction()?;
    // Another process may have done it meanwhile: asked inside the transaction.
    if tx.execute("INSERT INTO logs (log) VALUES (?1) ON CONFLICT DO NOTHING", [OWN])? == 0 {
        return Ok(());
    }
    let mut past = Vec::new();
    let grants = tx
        .prepare("SELECT * FROM grants")?
        .query_map([], super::grants::grant_of)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for grant in &grants {
        past.push((grant.issued_at, AgentLeaf::granted(grant)));
        if let Some(at) = grant.revoked_at {
            let reason = words(grant.revoked_why.as_deref().unwrap_or_default());
            past.push((at, AgentLeaf::Revoked { grant: grant.grant_id.clone(), reason, at }));
        }
    }
    tx.prepare(
        "SELECT accesses.*, grants.digest, grants.fee_minor, grants.currency,
         EXISTS (SELECT 1 FROM deliveries WHERE deliveries.grant_id = grants.grant_id) AS fetched
         FROM accesses JOIN grants USING (grant_id)",
    )?
    .query_map([], |row| {
        let at = Timestamp(row.get("at_ms")?);
        let way = if row.get("fetched")? { Way::Direct } else { Way::Handover };
        let leaf = AccessLeaf {
            grant: row.get("grant_id")?,
            order: row.get("order_key")?,
            provider: row.get("provider")?,
            member: member_of(row)?,
            sha256: hash_of(row, "digest")?,
            bytes: row.get::<_, i64>("bytes_count")?.unsigned_abs(),
            fee_minor: row.get("fee_minor")?,
            currency: row.get("currency")?,
            turn: 0,
            way,
            at,
        };
        past.push((at, AgentLeaf::Access(leaf)));
        Ok(())
    })?
    .collect::<rusqlite::Result<()>>()?;
    tx.prepare(
        "SELECT refusals.*, coalesce(provider, '') AS provider
         FROM refusals LEFT JOIN grants USING (grant_id)",
    )?
    .query_map([], |row| {
        let refusal = refusal_of(row)?;
        let provider: String = row.get("provider")?;
        past.push((refusal.at, AgentLeaf::refusal(&refusal, &provider)));
        Ok(())
    })?
    .collect::<rusqlite::Result<()>>()?;
    // Of one moment, what was put first here came first: a grant before its access.
    past.sort_by_key(|(at, _)| *at);
    for (_, leaf) in &past {
        append_leaf(&tx, leaf)?;
    }
    tx.commit()
}

#[cfg(test)]
mod tests;
