//! What providers took of copies while their agents were away, until those took note.

use rusqlite::{Connection, Row, params};

use super::columns::{time_of, unfit};
use super::waiting;
use crate::base::ids::ContentHash;
use crate::store::hub::{TAKINGS_MAX, Taking, TakingRow};

fn taking_of(row: &Row<'_>) -> rusqlite::Result<TakingRow> {
    let what: String = row.get("what")?;
    Ok(TakingRow {
        agent_id: row.get("agent_id")?,
        grant_id: row.get("grant_id")?,
        proof: row.get("proof")?,
        what: serde_json::from_str(&what).map_err(|error| unfit(error.to_string()))?,
        at: time_of(row, "at_ms")?,
        is_open: row.get("is_open")?,
    })
}

fn json(what: &Taking) -> rusqlite::Result<String> {
    serde_json::to_string(what).map_err(|error| unfit(error.to_string()))
}

pub(super) fn open(db: &Connection, taking: &TakingRow) -> rusqlite::Result<bool> {
    let (agent_id, grant_id) = (&taking.agent_id, &taking.grant_id);
    let waiting_count: u32 = db
        .prepare_cached("SELECT count(*) FROM takings WHERE agent_id = ?1 AND grant_id = ?2")?
        .query_row([agent_id, grant_id], |row| row.get(0))?;
    if waiting_count >= TAKINGS_MAX || waiting::staged(db, agent_id, grant_id)?.is_none() {
        return Ok(false);
    }
    let kept = db
        .prepare_cached(
            "INSERT INTO takings VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            agent_id,
            taking.name().as_bytes(),
            grant_id,
            taking.proof,
            json(&taking.what)?,
            taking.at.0,
            taking.is_open
        ])?;
    Ok(kept == 1)
}

pub(super) fn close(
    db: &Connection,
    agent_id: &str,
    name: &ContentHash,
    end: u64,
) -> rusqlite::Result<()> {
    let open: Vec<TakingRow> = db
        .prepare_cached("SELECT * FROM takings WHERE agent_id = ?1 AND name = ?2 AND is_open")?
        .query_map(params![agent_id, name.as_bytes()], taking_of)?
        .collect::<rusqlite::Result<_>>()?;
    for taking in open {
        let what = match taking.what {
            Taking::Bytes { start, .. } if end <= start => {
                db.prepare_cached("DELETE FROM takings WHERE agent_id = ?1 AND name = ?2")?
                    .execute(params![agent_id, name.as_bytes()])?;
                continue;
            }
            Taking::Bytes { start, end: all } => Taking::Bytes { start, end: end.min(all) },
            receipt @ Taking::Receipt { .. } => receipt,
        };
        db.prepare_cached(
            "UPDATE takings SET is_open = 0, what = ?3 WHERE agent_id = ?1 AND name = ?2",
        )?
        .execute(params![agent_id, name.as_bytes(), json(&what)?])?;
    }
    Ok(())
}

pub(super) fn settle(db: &Connection) -> rusqlite::Result<()> {
    db.execute("UPDATE takings SET is_open = 0 WHERE is_open", [])?;
    Ok(())
}

pub(super) fn of_agent(
    db: &Connection,
    agent_id: &str,
    count_max: u32,
) -> rusqlite::Result<Vec<TakingRow>> {
    db.prepare_cached(
        "SELECT * FROM takings WHERE agent_id = ?1 AND NOT is_open ORDER BY at_ms, name LIMIT ?2",
    )?
    .query_map(params![agent_id, count_max], taking_of)?
    .collect()
}

pub(super) fn forget(
    db: &Connection,
    agent_id: &str,
    names: &[ContentHash],
) -> rusqlite::Result<()> {
    for name in names {
        db.prepare_cached("DELETE FROM takings WHERE agent_id = ?1 AND name = ?2 AND NOT is_open")?
            .execute(params![agent_id, name.as_bytes()])?;
    }
    Ok(())
}
