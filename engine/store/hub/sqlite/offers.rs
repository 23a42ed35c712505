//! Grants that can be fetched here, and the money set aside for them.

use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

use super::columns::{count_of, hash_of, maybe_time_of, time_of, unfit, word, word_of};
use super::{money, people, waiting};
use crate::base::clock::Timestamp;
use crate::store::grants::signed;
use crate::store::hub::books::{RESERVATION_KEPT_MS, provider_account, withdrawn_notices};
use crate::store::hub::{OfferRow, ProviderState, Reserved};

fn offer_of(row: &Row<'_>) -> rusqlite::Result<OfferRow> {
    Ok(OfferRow {
        agent_id: row.get("agent_id")?,
        grant_id: row.get("grant_id")?,
        order_key: row.get("order_key")?,
        provider: row.get("provider")?,
        member: row.get::<_, String>("member")?.parse().map_err(|why: String| unfit(why))?,
        purpose: word_of(row, "purpose")?,
        digest: hash_of(row, "digest")?,
        bytes_count: count_of(row, "bytes_count")?,
        fee_minor: row.get("fee_minor")?,
        currency: row.get("currency")?,
        expires_at: time_of(row, "expires_ms")?,
        withdrawn_at: maybe_time_of(row, "withdrawn_ms")?,
    })
}

pub(super) fn offer(
    db: &Connection,
    agent_id: &str,
    grant_id: &str,
) -> rusqlite::Result<Option<OfferRow>> {
    db.prepare_cached("SELECT * FROM offers WHERE agent_id = ?1 AND grant_id = ?2")?
        .query_row([agent_id, grant_id], offer_of)
        .optional()
}

pub(super) fn put_offer(db: &Connection, offer: &OfferRow) -> rusqlite::Result<bool> {
    if !people::is_active(db, &offer.agent_id)? || people::provider(db, &offer.provider)?.is_none()
    {
        return Ok(false);
    }
    // What was withdrawn stays so, whoever says it again; a grant that was signed anew holds longer.
    let kept = db
        .prepare_cached(
            "INSERT INTO offers VALUES (:agent, :grant, :order, :provider, :member, :purpose,
                 :digest, :bytes, :fee, :currency, :expires, :withdrawn)
             ON CONFLICT (agent_id, grant_id) DO UPDATE SET
                 expires_ms = max(expires_ms, excluded.expires_ms), withdrawn_ms = NULL
             WHERE withdrawn_ms IS NULL OR excluded.expires_ms > expires_ms",
        )?
        .execute(named_params! {
            ":agent": offer.agent_id, ":grant": offer.grant_id, ":order": offer.order_key,
            ":provider": offer.provider, ":member": offer.member.as_str(),
            ":purpose": word(&offer.purpose)?, ":digest": offer.digest.as_bytes(),
            ":bytes": signed(offer.bytes_count), ":fee": offer.fee_minor,
            ":currency": offer.currency, ":expires": offer.expires_at.0,
            ":withdrawn": offer.withdrawn_at.map(|at| at.0),
        })?;
    Ok(kept == 1)
}

pub(super) fn offers_of(
    db: &Connection,
    provider: &str,
    after: Option<(&str, &str)>,
    count_max: u32,
    now: Timestamp,
) -> rusqlite::Result<Vec<OfferRow>> {
    let (agent_id, grant_id) = after.unwrap_or(("", ""));
    db.prepare_cached(
        "SELECT * FROM offers WHERE provider = ?1 AND (agent_id, grant_id) > (?2, ?3)
             AND withdrawn_ms IS NULL AND expires_ms > ?4
         ORDER BY agent_id, grant_id LIMIT ?5",
    )?
    .query_map(params![provider, agent_id, grant_id, now.0, count_max], offer_of)?
    .collect()
}

pub(super) fn withdraw(
    db: &Connection,
    agent_id: &str,
    which: Option<&str>,
    now: Timestamp,
) -> rusqlite::Result<u32> {
    let told: Vec<(String, String)> = db
        .prepare_cached(
            "SELECT provider, grant_id FROM offers WHERE agent_id = ?1 AND withdrawn_ms IS NULL
             AND expires_ms > ?3 AND (?2 IS NULL OR ?2 IN (grant_id, order_key, provider))
             ORDER BY provider, grant_id",
        )?
        .query_map(params![agent_id, which, now.0], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for notice in withdrawn_notices(agent_id, &told, now) {
        waiting::put_notice(db, &notice)?;
    }
    for table in ["reservations", "staged"] {
        db.prepare_cached(&format!(
            "DELETE FROM {table} WHERE agent_id = ?1 AND grant_id IN
                 (SELECT grant_id FROM offers WHERE agent_id = ?1 AND withdrawn_ms IS NULL
                  AND (?2 IS NULL OR ?2 IN (grant_id, order_key, provider)))"
        ))?
        .execute(params![agent_id, which])?;
    }
    let withdrawn = db
        .prepare_cached(
            "UPDATE offers SET withdrawn_ms = ?3 WHERE agent_id = ?1 AND withdrawn_ms IS NULL
             AND (?2 IS NULL OR ?2 IN (grant_id, order_key, provider))",
        )?
        .execute(params![agent_id, which, now.0])?;
    Ok(u32::try_from(withdrawn).unwrap_or(u32::MAX))
}

pub(super) fn reserve(
    db: &Connection,
    agent_id: &str,
    grant_id: &str,
    now: Timestamp,
) -> rusqlite::Result<Reserved> {
    let Some(offer) = offer(db, agent_id, grant_id)? else { return Ok(Reserved::NoOffer) };
    let provider = people::provider(db, &offer.provider)?
        .filter(|provider| provider.state == ProviderState::Active);
    let Some(provider) = provider else { return Ok(Reserved::Closed) };
    if !people::is_active(db, agent_id)? {
        return Ok(Reserved::Closed);
    }
    if offer.withdrawn_at.is_some() || offer.expires_at <= now {
        return Ok(Reserved::NoOffer);
    }
    if is_reserved(db, agent_id, grant_id)? || money::is_paid(db, agent_id, grant_id)? {
        return Ok(Reserved::Already);
    }
    forget_left_behind(db, &offer.provider, now)?;
    let credit = i128::from(provider.credit_limit_minor)
        - i128::from(money::balance(db, &provider_account(&provider.name), &provider.currency)?)
        - i128::from(reserved(db, &provider.name)?);
    let covers = offer.currency == provider.currency && credit >= i128::from(offer.fee_minor);
    if offer.fee_minor > 0 && !covers {
        return Ok(Reserved::NoCredit);
    }
    db.prepare_cached("INSERT INTO reservations VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        agent_id,
        grant_id,
        offer.provider,
        offer.fee_minor
    ])?;
    Ok(Reserved::Reserved)
}

fn is_reserved(db: &Connection, agent_id: &str, grant_id: &str) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT 1 FROM reservations WHERE agent_id = ?1 AND grant_id = ?2")?
        .exists([agent_id, grant_id])
}

/// Gives reservations back whose offers are long over: a crash left them.
fn forget_left_behind(db: &Connection, provider: &str, now: Timestamp) -> rusqlite::Result<()> {
    db.prepare_cached(
        "DELETE FROM reservations WHERE provider = ?1 AND EXISTS
             (SELECT 1 FROM offers WHERE offers.agent_id = reservations.agent_id
              AND offers.grant_id = reservations.grant_id AND expires_ms <= ?2)",
    )?
    .execute(params![provider, now.plus_millis(-RESERVATION_KEPT_MS).0])?;
    Ok(())
}

pub(super) fn release(db: &Connection, agent_id: &str, grant_id: &str) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM reservations WHERE agent_id = ?1 AND grant_id = ?2")?
        .execute([agent_id, grant_id])?;
    Ok(())
}

pub(super) fn reserved(db: &Connection, provider: &str) -> rusqlite::Result<i64> {
    db.prepare_cached("SELECT coalesce(sum(minor), 0) FROM reservations WHERE provider = ?1")?
        .query_row([provider], |row| row.get(0))
}
