//! Postings, accounts and what is to be found wrong in them.

use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

use super::columns::{count_of, json, json_of, time_of, unfit, word_of};
use super::{offers, people};
use crate::base::clock::Timestamp;
use crate::store::grants::signed;
use crate::store::hub::books::{access_posting, posting_id, provider_account, reversal_posting};
use crate::store::hub::{AccessRef, AccessReport, AccountLine, Posted, Posting, PostingKind};

fn posting_of(row: &Row<'_>) -> rusqlite::Result<Posting> {
    let agent_id: Option<String> = row.get("agent_id")?;
    let access = match agent_id {
        None => None,
        Some(agent_id) => Some(AccessRef {
            agent_id,
            grant_id: row.get("grant_id")?,
            turn: row.get("turn")?,
            leaf_index: count_of(row, "leaf_index")?,
        }),
    };
    Ok(Posting {
        posting_id: row.get("posting_id")?,
        kind: word_of(row, "kind")?,
        access,
        currency: row.get("currency")?,
        at: time_of(row, "at_ms")?,
        posted_at: time_of(row, "posted_ms")?,
        note: row.get("note")?,
        entries: json_of(row, "entries")?,
    })
}

fn find(db: &Connection, posting_id: &str) -> rusqlite::Result<Option<Posting>> {
    db.prepare_cached("SELECT * FROM postings WHERE posting_id = ?1")?
        .query_row([posting_id], posting_of)
        .optional()
}

/// Writes a posting, not before the last one, and returns it as it is kept; its entries follow by
/// themselves, see `schema`.
///
/// - `provider`: whose access it is about, if about one
fn write(
    db: &Connection,
    mut posting: Posting,
    provider: Option<&str>,
) -> rusqlite::Result<Posting> {
    let last: Option<i64> = db
        .prepare_cached("SELECT max(posted_ms) FROM postings")?
        .query_row([], |row| row.get(0))?;
    posting.posted_at = posting.posted_at.max(Timestamp(last.unwrap_or(i64::MIN)));
    let access = posting.access.as_ref();
    db.prepare_cached(
        "INSERT INTO postings (posting_id, kind, agent_id, grant_id, turn, leaf_index, log,
             provider, currency, at_ms, posted_ms, note, entries)
         VALUES (:id, :kind, :agent, :grant, :turn, :leaf, :log, :provider, :currency, :at, :posted,
             :note, :entries)",
    )?
    .execute(named_params! {
        ":id": posting.posting_id, ":kind": posting.kind.as_str(),
        ":agent": access.map(|access| &access.agent_id),
        ":grant": access.map(|access| &access.grant_id),
        ":turn": access.map(|access| access.turn),
        ":leaf": access.map(|access| signed(access.leaf_index)),
        ":log": access.map(|_| "agent"), ":provider": provider,
        ":currency": posting.currency, ":at": posting.at.0,
        ":posted": posting.posted_at.0, ":note": posting.note,
        ":entries": json(&posting.entries)?,
    })?;
    Ok(posting)
}

/// Posts an access that a leaf tells of, and frees what was set aside for it.
pub(super) fn post_access(db: &Connection, report: &AccessReport) -> rusqlite::Result<Posted> {
    if find(db, &posting_id(PostingKind::Access, report))?.is_some() {
        return Ok(Posted::Again);
    }
    let offer = offers::offer(db, &report.agent_id, &report.grant_id)?;
    let Some(offer) = offer else { return Ok(Posted::NoOffer) };
    if let Some(turn) = report.turn.checked_sub(1) {
        let before = AccessReport { turn, ..report.clone() };
        if find(db, &posting_id(PostingKind::Reversal, &before))?.is_none() {
            return Ok(Posted::NoOffer);
        }
    }
    let percent = people::provider(db, &offer.provider)?
        .ok_or_else(|| unfit("the provider of an offer is not there"))?
        .service_percent;
    let owner = people::agent(db, &report.agent_id)?
        .ok_or_else(|| unfit("the agent of an offer is not there"))?
        .account;
    let posting = access_posting(&offer, &owner, percent, report);
    let posting = write(db, posting, Some(&offer.provider))?;
    offers::release(db, &report.agent_id, &report.grant_id)?;
    Ok(Posted::New(posting))
}

/// Posts an access back that a leaf says was not what was granted.
pub(super) fn post_reversal(db: &Connection, report: &AccessReport) -> rusqlite::Result<Posted> {
    if find(db, &posting_id(PostingKind::Reversal, report))?.is_some() {
        return Ok(Posted::Again);
    }
    let access = find(db, &posting_id(PostingKind::Access, report))?;
    let offer = offers::offer(db, &report.agent_id, &report.grant_id)?;
    let Some((access, offer)) = access.zip(offer) else { return Ok(Posted::NoOffer) };
    let posting = reversal_posting(&access, report);
    write(db, posting, Some(&offer.provider)).map(Posted::New)
}

/// Whether the delivery under a grant was posted and not posted back.
pub(super) fn is_paid(db: &Connection, agent_id: &str, grant_id: &str) -> rusqlite::Result<bool> {
    db.prepare_cached(
        "SELECT 1 FROM postings AS paid
         WHERE agent_id = ?1 AND grant_id = ?2 AND kind = 'access' AND NOT EXISTS
             (SELECT 1 FROM postings AS back WHERE back.agent_id = paid.agent_id
              AND back.grant_id = paid.grant_id AND back.turn = paid.turn
              AND back.kind = 'reversal')",
    )?
    .exists([agent_id, grant_id])
}

/// - `posting`: was checked
pub(super) fn post(db: &Connection, posting: &Posting) -> rusqlite::Result<bool> {
    let Some(before) = find(db, &posting.posting_id)? else {
        write(db, posting.clone(), None)?;
        return Ok(true);
    };
    let says =
        |posting: &Posting| (posting.kind, posting.currency.clone(), posting.entries.clone());
    if says(&before) == says(posting) {
        Ok(false)
    } else {
        Err(unfit("another posting has this id"))
    }
}

pub(super) fn balance(db: &Connection, account: &str, currency: &str) -> rusqlite::Result<i64> {
    let last = db
        .prepare_cached(
            "SELECT balance_after FROM entries WHERE account = ?1 AND currency = ?2
             ORDER BY posting_seq DESC LIMIT 1",
        )?
        .query_row([account, currency], |row| row.get(0))
        .optional()?;
    Ok(last.unwrap_or(0))
}

pub(super) fn balances(db: &Connection) -> rusqlite::Result<Vec<(String, String, i64)>> {
    // Goes from account to account in the index, however many entries each has.
    db.prepare_cached(
        "WITH RECURSIVE accounts (account) AS (
             SELECT min(account) FROM entries
             UNION ALL
             SELECT (SELECT min(account) FROM entries WHERE account > accounts.account)
             FROM accounts WHERE account IS NOT NULL),
         held (account, currency) AS (
             SELECT account, (SELECT min(currency) FROM entries
                              WHERE account = accounts.account)
             FROM accounts WHERE account IS NOT NULL
             UNION ALL
             SELECT account, (SELECT min(currency) FROM entries
                              WHERE account = held.account AND currency > held.currency)
             FROM held WHERE currency IS NOT NULL)
         SELECT account, currency,
             (SELECT balance_after FROM entries
              WHERE account = held.account AND currency = held.currency
              ORDER BY posting_seq DESC LIMIT 1)
         FROM held WHERE currency IS NOT NULL ORDER BY account, currency",
    )?
    .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
    .collect()
}

pub(super) fn lines(
    db: &Connection,
    account: &str,
    from: Timestamp,
    to: Timestamp,
) -> rusqlite::Result<Vec<AccountLine>> {
    let mut lines: Vec<AccountLine> = db
        .prepare_cached(
            "SELECT postings.*, minor, balance_after FROM entries JOIN postings USING (posting_seq)
             WHERE account = ?1 AND posted_ms >= ?2 AND posted_ms < ?3 ORDER BY posting_seq",
        )?
        .query_map(params![account, from.0, to.0], |row| {
            Ok(AccountLine {
                posting: posting_of(row)?,
                minor: row.get("minor")?,
                balance_minor: row.get("balance_after")?,
                offer: None,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    for line in &mut lines {
        if let Some(access) = &line.posting.access {
            line.offer = offers::offer(db, &access.agent_id, &access.grant_id)?;
        }
    }
    Ok(lines)
}

pub(super) fn postings(
    db: &Connection,
    from: Timestamp,
    to: Timestamp,
) -> rusqlite::Result<Vec<Posting>> {
    db.prepare_cached(
        "SELECT * FROM postings WHERE posted_ms >= ?1 AND posted_ms < ?2 ORDER BY posting_seq",
    )?
    .query_map([from.0, to.0], posting_of)?
    .collect()
}

pub(super) fn last_top_up(db: &Connection, provider: &str) -> rusqlite::Result<Option<Posting>> {
    // The plus keeps it from going through all entries of the account instead.
    db.prepare_cached(
        "SELECT * FROM postings WHERE kind = 'top-up' AND EXISTS
             (SELECT 1 FROM entries WHERE entries.posting_seq = postings.posting_seq
              AND +account = ?1)
         ORDER BY posting_seq DESC LIMIT 1",
    )?
    .query_row([provider_account(provider)], posting_of)
    .optional()
}

pub(super) fn accesses_by_hour(
    db: &Connection,
    provider: &str,
    since: Timestamp,
) -> rusqlite::Result<Vec<(i64, u32)>> {
    db.prepare_cached(
        "SELECT at_ms / 3600000 AS hour, count(*) FROM postings
         WHERE kind = 'access' AND provider = ?1 AND at_ms >= ?2 GROUP BY hour ORDER BY hour",
    )?
    .query_map(params![provider, since.0], |row| Ok((row.get(0)?, row.get(1)?)))?
    .collect()
}

pub(super) fn accesses_count(
    db: &Connection,
    provider: &str,
    since: Timestamp,
) -> rusqlite::Result<u32> {
    db.prepare_cached(
        "SELECT count(*) FROM postings WHERE kind = 'access' AND provider = ?1 AND at_ms >= ?2",
    )?
    .query_row(params![provider, since.0], |row| row.get(0))
}
