//! Providers that wait for an agent, notices that wait to be sent, copies that wait to be fetched.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::columns::{count_of, hash_of, maybe_time_of, time_of};
use super::offers;
use crate::base::clock::Timestamp;
use crate::base::ids::ContentHash;
use crate::store::grants::signed;
use crate::store::hub::books::back_notice;
use crate::store::hub::{NOTICE_KEPT_MS, NoticeRow, StagedRow};

pub(super) fn wish(
    db: &Connection,
    agent_id: &str,
    provider: &str,
    grant_id: &str,
    now: Timestamp,
) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO wishes VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING")?
        .execute(params![agent_id, provider, grant_id, now.0])?;
    Ok(())
}

pub(super) fn back(db: &Connection, agent_id: &str, now: Timestamp) -> rusqlite::Result<u32> {
    let wishes: Vec<(String, String)> = db
        .prepare_cached(
            "SELECT provider, grant_id FROM wishes WHERE agent_id = ?1
             AND NOT EXISTS (SELECT 1 FROM offers WHERE offers.agent_id = wishes.agent_id
                 AND offers.grant_id = wishes.grant_id
                 AND (withdrawn_ms IS NOT NULL OR expires_ms <= ?2))
             ORDER BY provider, grant_id",
        )?
        .query_map(params![agent_id, now.0], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    db.prepare_cached("DELETE FROM wishes WHERE agent_id = ?1")?.execute([agent_id])?;
    let mut count = 0;
    for of_provider in wishes.chunk_by(|one, next| one.0 == next.0) {
        let Some((provider, _)) = of_provider.first() else { continue };
        let grants: Vec<String> = of_provider.iter().map(|(_, grant)| grant.clone()).collect();
        put_notice(db, &back_notice(agent_id, provider, &grants, now))?;
        count += 1;
    }
    Ok(count)
}

pub(super) fn put_notice(db: &Connection, notice: &NoticeRow) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO notices VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
    )?
    .execute(params![
        notice.notice_id,
        notice.provider,
        notice.kind,
        notice.data,
        notice.attempts_count,
        notice.made_at.0,
        notice.due_at.0,
        notice.settled_at.map(|at| at.0)
    ])?;
    db.prepare_cached("DELETE FROM notices WHERE settled_ms <= ?1")?
        .execute([notice.made_at.plus_millis(-NOTICE_KEPT_MS).0])?;
    Ok(())
}

pub(super) fn due_notices(
    db: &Connection,
    now: Timestamp,
    count_max: u32,
) -> rusqlite::Result<Vec<NoticeRow>> {
    db.prepare_cached(
        "SELECT * FROM notices WHERE settled_ms IS NULL AND due_ms <= ?1
         ORDER BY due_ms, notice_id LIMIT ?2",
    )?
    .query_map(params![now.0, count_max], notice_of)?
    .collect()
}

pub(super) fn notices_of(
    db: &Connection,
    provider: &str,
    count_max: u32,
) -> rusqlite::Result<Vec<NoticeRow>> {
    db.prepare_cached(
        "SELECT * FROM notices WHERE provider = ?1 ORDER BY made_ms DESC, notice_id DESC LIMIT ?2",
    )?
    .query_map(params![provider, count_max], notice_of)?
    .collect()
}

fn notice_of(row: &Row<'_>) -> rusqlite::Result<NoticeRow> {
    Ok(NoticeRow {
        notice_id: row.get("notice_id")?,
        provider: row.get("provider")?,
        kind: row.get("kind")?,
        data: row.get("data")?,
        attempts_count: row.get("attempts_count")?,
        made_at: time_of(row, "made_ms")?,
        due_at: time_of(row, "due_ms")?,
        settled_at: maybe_time_of(row, "settled_ms")?,
    })
}

pub(super) fn settle_notice(
    db: &Connection,
    notice_id: &str,
    again_at: Option<Timestamp>,
    now: Timestamp,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "UPDATE notices SET attempts_count = attempts_count + 1, due_ms = coalesce(?2, due_ms),
             settled_ms = CASE WHEN ?2 IS NULL THEN ?3 END
         WHERE notice_id = ?1 AND settled_ms IS NULL",
    )?
    .execute(params![notice_id, again_at.map(|at| at.0), now.0])?;
    Ok(())
}

fn staged_of(row: &Row<'_>) -> rusqlite::Result<StagedRow> {
    Ok(StagedRow {
        agent_id: row.get("agent_id")?,
        grant_id: row.get("grant_id")?,
        bytes_count: count_of(row, "bytes_count")?,
        digest: hash_of(row, "digest")?,
        at: time_of(row, "at_ms")?,
    })
}

pub(super) fn put_staged(db: &Connection, staged: &StagedRow) -> rusqlite::Result<bool> {
    let offer = offers::offer(db, &staged.agent_id, &staged.grant_id)?;
    if offer.is_none_or(|offer| offer.withdrawn_at.is_some()) {
        return Ok(false);
    }
    // The same copy again says nothing new; another takes its place.
    db.prepare_cached(
        "INSERT INTO staged VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (agent_id, grant_id) DO UPDATE SET bytes_count = excluded.bytes_count,
             digest = excluded.digest, at_ms = excluded.at_ms
         WHERE digest <> excluded.digest",
    )?
    .execute(params![
        staged.agent_id,
        staged.grant_id,
        signed(staged.bytes_count),
        staged.digest.as_bytes(),
        staged.at.0
    ])?;
    Ok(true)
}

pub(super) fn staged(
    db: &Connection,
    agent_id: &str,
    grant_id: &str,
) -> rusqlite::Result<Option<StagedRow>> {
    db.prepare_cached("SELECT * FROM staged WHERE agent_id = ?1 AND grant_id = ?2")?
        .query_row([agent_id, grant_id], staged_of)
        .optional()
}

pub(super) fn staged_bytes(db: &Connection, agent_id: &str) -> rusqlite::Result<u64> {
    let sum: i64 = db
        .prepare_cached("SELECT coalesce(sum(bytes_count), 0) FROM staged WHERE agent_id = ?1")?
        .query_row([agent_id], |row| row.get(0))?;
    Ok(sum.unsigned_abs())
}

pub(super) fn drop_staged(db: &Connection, agent_id: &str, grant_id: &str) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM staged WHERE agent_id = ?1 AND grant_id = ?2")?
        .execute([agent_id, grant_id])?;
    Ok(())
}

pub(super) fn staged_digests(
    db: &Connection,
    now: Timestamp,
) -> rusqlite::Result<Vec<ContentHash>> {
    db.prepare_cached(
        "DELETE FROM staged WHERE EXISTS (SELECT 1 FROM offers
             WHERE (offers.agent_id, offers.grant_id) = (staged.agent_id, staged.grant_id)
             AND (withdrawn_ms IS NOT NULL OR expires_ms <= ?1))",
    )?
    .execute([now.0])?;
    db.prepare_cached("SELECT DISTINCT digest FROM staged ORDER BY digest")?
        .query_map([], |row| hash_of(row, "digest"))?
        .collect()
}
