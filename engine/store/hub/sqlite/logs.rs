//! The two logs about each agent: leaves, tree nodes, signed heads.

use rusqlite::{Connection, OptionalExtension, params};

use super::columns::{count_of, hash_of, unfit};
use super::{money, people};
use crate::base::ids::ContentHash;
use crate::store::grants::signed;
use crate::store::hub::{AccessReport, Append, CheckpointRow, LogKind, Posted};

/// - `append`: was checked, see `books::reports_in_order`
/// - `reports`: in the order of their leaves, with whether each is a reversal
pub(super) fn append(
    db: &Connection,
    append: &Append<'_>,
    reports: &[(usize, bool, &AccessReport)],
) -> rusqlite::Result<Option<Vec<Posted>>> {
    let (agent_id, log) = (append.agent_id, append.log.as_str());
    if people::agent(db, agent_id)?.is_none() || size(db, agent_id, append.log)? != append.from {
        return Ok(None);
    }
    for (index, leaf) in (append.from..).zip(append.leaves) {
        db.prepare_cached("INSERT INTO leaves VALUES (?1, ?2, ?3, ?4)")?.execute(params![
            agent_id,
            log,
            signed(index),
            leaf
        ])?;
    }
    for (number, hash) in append.nodes {
        db.prepare_cached(
            "INSERT INTO nodes VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (agent_id, log, number) DO UPDATE SET hash = excluded.hash",
        )?
        .execute(params![agent_id, log, signed(*number), hash.as_bytes()])?;
    }
    if let Some(checkpoint) = append.checkpoint {
        db.prepare_cached(
            "INSERT INTO checkpoints VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (agent_id, log) DO UPDATE SET size = excluded.size,
                 root = excluded.root, note = excluded.note",
        )?
        .execute(params![
            agent_id,
            log,
            signed(checkpoint.size),
            checkpoint.root.as_bytes(),
            checkpoint.note
        ])?;
    }
    let mut posted = vec![Posted::NoOffer; reports.len()];
    for (place, is_reversal, report) in reports {
        let outcome = if *is_reversal {
            money::post_reversal(db, report)?
        } else {
            money::post_access(db, report)?
        };
        *posted.get_mut(*place).ok_or_else(|| unfit("a report has no place"))? = outcome;
    }
    Ok(Some(posted))
}

pub(super) fn size(db: &Connection, agent_id: &str, log: LogKind) -> rusqlite::Result<u64> {
    db.prepare_cached(
        "SELECT coalesce(max(leaf_index) + 1, 0) AS size FROM leaves
         WHERE agent_id = ?1 AND log = ?2",
    )?
    .query_row([agent_id, log.as_str()], |row| count_of(row, "size"))
}

pub(super) fn leaves(
    db: &Connection,
    agent_id: &str,
    log: LogKind,
    from: u64,
    to: u64,
) -> rusqlite::Result<Vec<Vec<u8>>> {
    db.prepare_cached(
        "SELECT leaf FROM leaves WHERE agent_id = ?1 AND log = ?2
         AND leaf_index >= ?3 AND leaf_index < ?4 ORDER BY leaf_index",
    )?
    .query_map(params![agent_id, log.as_str(), signed(from), signed(to)], |row| row.get(0))?
    .collect()
}

pub(super) fn nodes(
    db: &Connection,
    agent_id: &str,
    log: LogKind,
    numbers: &[u64],
) -> rusqlite::Result<Vec<(u64, ContentHash)>> {
    let mut statement = db.prepare_cached(
        "SELECT hash FROM nodes WHERE agent_id = ?1 AND log = ?2 AND number = ?3",
    )?;
    let mut nodes = Vec::with_capacity(numbers.len());
    for number in numbers {
        let hash = statement
            .query_row(params![agent_id, log.as_str(), signed(*number)], |row| hash_of(row, "hash"))
            .optional()?;
        nodes.extend(hash.map(|hash| (*number, hash)));
    }
    Ok(nodes)
}

pub(super) fn checkpoint(
    db: &Connection,
    agent_id: &str,
    log: LogKind,
) -> rusqlite::Result<Option<CheckpointRow>> {
    db.prepare_cached("SELECT * FROM checkpoints WHERE agent_id = ?1 AND log = ?2")?
        .query_row([agent_id, log.as_str()], |row| {
            Ok(CheckpointRow {
                size: count_of(row, "size")?,
                root: hash_of(row, "root")?,
                note: row.get("note")?,
            })
        })
        .optional()
}
