//! Grants, deliveries, accesses, refusals and the ledger: operations of [`State`].
//!
//! What counts as delivered: a response opens a row for its whole range before the first
//! byte leaves. Before its last chunk leaves, the row is finished and compared with the
//! others in one transaction, so of several parallel parts exactly the last one to finish
//! finds the member whole. A response that breaks off is cut to what was sent, and one that
//! a crash left open counts whole at the next start. So a provider is never charged twice
//! and never gets a member uncharged; at worst it was charged for bytes that a crash
//! swallowed, and fetches them again under the same grant at no cost.

use rusqlite::{Connection, OptionalExtension, Row, named_params, params};
use serde::{Deserialize, Serialize};

use super::corrections::post_again;
use super::db::StoreError;
use super::leaf::{AccessLeaf, AgentLeaf, Way, words};
use super::log::append_leaf;
use super::orders::{Order, OrderState, find_order, hash_of, log_event, move_order};
use super::state::State;
use crate::base::clock::Timestamp;
use crate::base::ids::ContentHash;
use crate::base::member::Member;

/// The right of one provider to fetch one exact version of one member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GrantRow {
    /// Derived from order and member.
    pub grant_id: String,
    /// The order that made it.
    pub order_key: String,
    /// Who may fetch.
    pub provider: String,
    /// What it is.
    pub member: Member,
    /// Name of its file; empty in grants made before it was kept.
    pub name: String,
    /// How it is known that a companion belongs to the photo.
    pub evidence: Option<String>,
    /// The photo version.
    pub photo: ContentHash,
    /// SHA-256 of the member's bytes.
    pub digest: ContentHash,
    /// Where it begins in the photo's file; `None` when it is a file of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// Length of the member.
    pub bytes_count: u64,
    /// Such as `image/jpeg`.
    pub media_type: String,
    /// The signed grant.
    #[serde(skip)]
    pub token: String,
    /// What the first complete delivery costs the provider.
    pub fee_minor: i64,
    /// Currency of the fee.
    pub currency: String,
    /// When it was made.
    pub issued_at: Timestamp,
    /// The moment it stops to hold.
    pub expires_at: Timestamp,
    /// When it was taken back, if it was.
    pub revoked_at: Option<Timestamp>,
    /// Why it was taken back.
    pub revoked_why: Option<String>,
}

/// One line of a posting; debits are positive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Such as `provider:lab`.
    pub account: String,
    /// Minor units.
    pub minor: i64,
}

/// What a response that ended well has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// A part of the member; others are missing.
    Part,
    /// With it the whole member was sent.
    Whole {
        /// For the first time: the access was posted.
        first: bool,
    },
}

/// An access as reports see it, with what it paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccessRow {
    /// When the delivery was complete.
    pub at: Timestamp,
    /// Under which grant.
    pub grant_id: String,
    /// For which order.
    pub order_key: String,
    /// Who fetched.
    pub provider: String,
    /// What it is.
    pub member: Member,
    /// Name of its file.
    pub name: String,
    /// Of which photo version.
    pub photo: ContentHash,
    /// Where that photo lay when it was ordered.
    pub path: String,
    /// Product and copies of the order, or `share`.
    pub product: Option<String>,
    /// Copies ordered.
    pub copies: u32,
    /// Length of the member.
    pub bytes_count: u64,
    /// Currency of the entries.
    pub currency: String,
    /// What was posted.
    pub entries: Vec<Entry>,
}

/// Tries that were refused, counted by the minute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusalRow {
    /// The minute they fell into.
    pub at: Timestamp,
    /// Address they came from.
    pub remote: String,
    /// The grant they named; empty when they named none.
    pub grant_id: String,
    /// Why they were refused.
    pub reason: String,
    /// How many.
    pub tries_count: u32,
}

/// Rows of refusals kept for one minute; more are counted as one.
const REFUSALS_PER_MINUTE_MAX: u32 = 1000;

/// Of those, so many are told of in the log one by one.
const REFUSAL_LEAVES_PER_MINUTE_MAX: u32 = 60;

/// Separate ranges that one grant may be fetched in.
pub(super) const RANGES_PER_GRANT_MAX: u32 = 10_000;

pub(super) fn grant_of(row: &Row<'_>) -> rusqlite::Result<GrantRow> {
    Ok(GrantRow {
        grant_id: row.get("grant_id")?,
        order_key: row.get("order_key")?,
        provider: row.get("provider")?,
        member: member_of(row)?,
        name: row.get("name")?,
        evidence: row.get("evidence")?,
        photo: hash_of(row, "photo")?,
        digest: hash_of(row, "digest")?,
        offset: row.get::<_, Option<i64>>("offset")?.map(i64::unsigned_abs),
        bytes_count: row.get::<_, i64>("bytes_count")?.unsigned_abs(),
        media_type: row.get("media_type")?,
        token: row.get("token")?,
        fee_minor: row.get("fee_minor")?,
        currency: row.get("currency")?,
        issued_at: Timestamp(row.get("issued_ms")?),
        expires_at: Timestamp(row.get("expires_ms")?),
        revoked_at: row.get::<_, Option<i64>>("revoked_ms")?.map(Timestamp),
        revoked_why: row.get("revoked_why")?,
    })
}

/// Accesses with all that reports say of them; for [`access_of`].
pub(super) const ACCESSES: &str =
    "SELECT accesses.*, postings.currency, postings.entries, orders.product, orders.copies,
     orders.collection || '/' || orders.relative AS path, grants.name
     FROM accesses JOIN postings USING (grant_id) JOIN orders USING (order_key)
     JOIN grants USING (grant_id)";

/// Oldest first.
pub(super) const ACCESSES_ORDER: &str = "ORDER BY accesses.at_ms, accesses.grant_id";

/// A row of [`ACCESSES`].
pub(super) fn access_of(row: &Row<'_>) -> rusqlite::Result<AccessRow> {
    let entries: String = row.get("entries")?;
    Ok(AccessRow {
        at: Timestamp(row.get("at_ms")?),
        grant_id: row.get("grant_id")?,
        order_key: row.get("order_key")?,
        provider: row.get("provider")?,
        member: member_of(row)?,
        name: row.get("name")?,
        photo: hash_of(row, "photo")?,
        path: row.get("path")?,
        product: row.get("product")?,
        copies: row.get("copies")?,
        bytes_count: row.get::<_, i64>("bytes_count")?.unsigned_abs(),
        currency: row.get("currency")?,
        entries: serde_json::from_str(&entries)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?,
    })
}

/// A row of `refusals`.
pub(super) fn refusal_of(row: &Row<'_>) -> rusqlite::Result<RefusalRow> {
    Ok(RefusalRow {
        at: Timestamp(row.get::<_, i64>("minute")? * 60_000),
        remote: row.get("remote")?,
        grant_id: row.get("grant_id")?,
        reason: row.get("reason")?,
        tries_count: row.get("tries_count")?,
    })
}

pub(super) fn member_of(row: &Row<'_>) -> rusqlite::Result<Member> {
    row.get::<_, String>("member")?
        .parse()
        .map_err(|why: String| rusqlite::Error::ToSqlConversionFailure(why.into()))
}

/// SQLite counts in signed 64 bits; no file is that long.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl State {
    /// Keeps the grants of an order, unless it already has some; returns those kept, the
    /// photo's first. What goes with an order is decided once.
    ///
    /// - `order`: as it was when the grants were made; `None` comes back when it is no longer so
    /// - `notes`: what is to be read in its history, such as which companion stays at home
    ///
    /// # Errors
    /// As any write; then none was kept.
    pub fn put_grants(
        &self,
        order: &Order,
        grants: &[GrantRow],
        notes: &[String],
        now: Timestamp,
    ) -> Result<Option<Vec<GrantRow>>, StoreError> {
        self.write(|tx| {
            if find_order(tx, &order.order_key)?.as_ref() != Some(order) {
                return Ok(None);
            }
            let kept = grants_of(tx, &order.order_key)?;
            if !kept.is_empty() {
                return Ok(Some(kept));
            }
            for (place, grant) in grants.iter().enumerate() {
                put_grant(tx, grant, place)?;
                append_leaf(tx, &AgentLeaf::granted(grant))?;
            }
            for note in notes {
                log_event(tx, &order.order_key, order.state, note, now)?;
            }
            grants_of(tx, &order.order_key).map(Some)
        })
    }

    /// Makes the grants of an order that was not sent yet hold longer: their time ran out while its
    /// provider could not be reached, or a hub took them back and the owner gave them again. Grants
    /// that were revoked stay as they are; so do those that were used, unless a hub took them back.
    ///
    /// # Errors
    /// As any write.
    pub fn renew_grants(&self, grants: &[GrantRow]) -> Result<(), StoreError> {
        self.write(|tx| {
            for grant in grants {
                let is_renewed = tx.execute(
                    "UPDATE grants SET token = ?2, issued_ms = ?3, expires_ms = ?4
                     WHERE grant_id = ?1 AND revoked_ms IS NULL
                     AND (NOT EXISTS (SELECT 1 FROM accesses WHERE accesses.grant_id = ?1)
                          OR EXISTS (SELECT 1 FROM offers WHERE offers.grant_id = ?1
                                     AND withdrawn_ms IS NOT NULL))
                     AND EXISTS (SELECT 1 FROM orders WHERE orders.order_key = grants.order_key
                                 AND parcel_key IS NULL)",
                    params![grant.grant_id, grant.token, grant.issued_at.0, grant.expires_at.0],
                )? == 1;
                if is_renewed {
                    append_leaf(tx, &AgentLeaf::granted(grant))?;
                }
            }
            Ok(())
        })
    }

    /// Keeps the signed manifest of an order, unless it has one; returns the one kept.
    ///
    /// # Errors
    /// As any write.
    pub fn put_manifest(&self, order_key: &str, manifest: &str) -> Result<String, StoreError> {
        self.write(|tx| {
            tx.execute(
                "INSERT INTO manifests VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                [order_key, manifest],
            )?;
            tx.query_row("SELECT jws FROM manifests WHERE order_key = ?1", [order_key], |row| {
                row.get(0)
            })
        })
    }

    /// One grant by its id.
    ///
    /// # Errors
    /// As any read.
    pub fn grant(&self, grant_id: &str) -> Result<Option<GrantRow>, StoreError> {
        self.read(|db| {
            db.prepare_cached("SELECT * FROM grants WHERE grant_id = ?1")?
                .query_map([grant_id], grant_of)?
                .next()
                .transpose()
        })
    }

    /// Whether a transfer under a grant may go on: neither was the grant revoked nor everything
    /// stopped. Asked for every chunk, so it is one short read.
    ///
    /// # Errors
    /// As any read.
    pub fn still_holds(&self, grant_id: &str) -> Result<bool, StoreError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM grants WHERE grant_id = ?1 AND revoked_ms IS NULL)
                 AND NOT EXISTS (SELECT 1 FROM flags WHERE name = 'stopped')",
            )?
            .query_row([grant_id], |row| row.get(0))
        })
    }

    /// All grants, oldest first; of one order when given.
    ///
    /// # Errors
    /// As any read.
    pub fn grants(&self, order_key: Option<&str>) -> Result<Vec<GrantRow>, StoreError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT * FROM grants WHERE ?1 IS NULL OR order_key = ?1
                 ORDER BY issued_ms, order_key, place",
            )?
            .query_map([order_key], grant_of)?
            .collect()
        })
    }

    /// Takes grants back: all, or those whose id, order or provider is `which`.
    /// Returns how many were still good.
    ///
    /// # Errors
    /// As any write.
    pub fn revoke(
        &self,
        which: Option<&str>,
        why: &str,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        self.write(|tx| revoke(tx, which, why, now))
    }

    /// Notes that bytes `start..end` of a member are about to leave; `None` when it was
    /// fetched in too many small ranges already.
    ///
    /// # Errors
    /// As any write; then nothing may be sent.
    pub fn delivery_opened(
        &self,
        grant_id: &str,
        start: u64,
        end: u64,
    ) -> Result<Option<i64>, StoreError> {
        self.write(|tx| {
            let ranges_count: u32 = tx
                .prepare_cached("SELECT count(*) FROM deliveries WHERE grant_id = ?1")?
                .query_row([grant_id], |row| row.get(0))?;
            if ranges_count >= RANGES_PER_GRANT_MAX {
                return Ok(None);
            }
            tx.prepare_cached(
                "INSERT INTO deliveries (grant_id, start_byte, end_byte) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![grant_id, signed(start), signed(end)])?;
            let delivery = tx.last_insert_rowid();
            tx.prepare_cached(
                "UPDATE orders SET state = 'fetching' WHERE state = 'accepted'
                 AND order_key = (SELECT order_key FROM grants WHERE grant_id = ?1)",
            )?
            .execute([grant_id])?;
            Ok(Some(delivery))
        })
    }

    /// Notes that a response broke off at `end`; changes nothing when it was finished.
    ///
    /// # Errors
    /// As any write; then the whole range counts as sent at the next start.
    pub fn delivery_broken(&self, delivery: i64, end: u64) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.execute(
                "UPDATE deliveries SET end_byte = max(start_byte, ?2), under_way = 0
                 WHERE delivery_id = ?1 AND under_way",
                params![delivery, signed(end)],
            )?;
            tx.execute(
                "DELETE FROM deliveries WHERE delivery_id = ?1 AND end_byte = start_byte",
                [delivery],
            )?;
            Ok(())
        })
    }

    /// Finishes a response. When with it the whole member has been sent, the access and its posting
    /// are recorded in the same transaction, once for each grant.
    ///
    /// # Errors
    /// As any write, or when the entries do not add up to zero; then the response is not finished.
    pub fn delivered(
        &self,
        grant: &GrantRow,
        delivery: i64,
        entries: &[Entry],
        way: &Way,
        now: Timestamp,
    ) -> Result<Delivered, StoreError> {
        self.write(|tx| {
            if !finish_delivery(tx, grant, delivery)? {
                return Ok(Delivered::Part);
            }
            Ok(Delivered::Whole { first: record_access(tx, grant, entries, way, now)? })
        })
    }

    /// Counts what a crash left under way as sent. Only for the agent, at its start.
    ///
    /// # Errors
    /// As any write.
    pub fn settle_deliveries(&self) -> Result<(), StoreError> {
        self.write(|tx| tx.execute("UPDATE deliveries SET under_way = 0 WHERE under_way", []))?;
        Ok(())
    }

    /// Records the first complete delivery under a grant together with its posting; later
    /// ones change nothing, except after it was posted back ([`State::reverse_access`]). Tells
    /// whether something was posted.
    ///
    /// - `way`: how the bytes came there, for the log
    ///
    /// # Errors
    /// As any write, or when the entries do not add up to zero; then nothing was recorded.
    pub fn post_access(
        &self,
        grant: &GrantRow,
        entries: &[Entry],
        way: &Way,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(|tx| record_access(tx, grant, entries, way, now))
    }

    /// Moves an accepted order to `done` once every member granted for it was accessed, or to
    /// `production` where its provider tells more; returns it then. A companion whose grant was
    /// taken back, since it was changed, say, is not waited for.
    ///
    /// # Errors
    /// As any write.
    pub fn complete_order(
        &self,
        order_key: &str,
        provider_tells: bool,
        note: &str,
        now: Timestamp,
    ) -> Result<Option<Order>, StoreError> {
        self.write(|tx| {
            let missing: i64 = tx.query_row(
                "SELECT count(*) FROM grants LEFT JOIN delivered USING (grant_id)
                 WHERE grants.order_key = ?1 AND delivered.grant_id IS NULL
                 AND (grants.revoked_ms IS NULL OR grants.member IN ('original', 'preview'))",
                [order_key],
                |row| row.get(0),
            )?;
            let from =
                [OrderState::Ready, OrderState::Sent, OrderState::Accepted, OrderState::Fetching];
            let to = if provider_tells { OrderState::Production } else { OrderState::Done };
            match missing == 0 && move_order(tx, order_key, &from, to, note, now)? {
                true => find_order(tx, order_key),
                false => Ok(None),
            }
        })
    }

    /// Counts a refused try.
    ///
    /// # Errors
    /// As any write.
    pub fn record_refusal(
        &self,
        remote: &str,
        grant_id: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let minute = now.0.div_euclid(60_000);
        self.write(|tx| {
            let before = refusals_in_minute(tx, minute)?;
            let crowded = before >= REFUSALS_PER_MINUTE_MAX;
            let (remote, grant_id) = if crowded { ("many", "") } else { (remote, grant_id) };
            let tries_count: u32 = tx
                .prepare_cached(
                    "INSERT INTO refusals VALUES (?1, ?2, ?3, ?4, 1)
                     ON CONFLICT DO UPDATE SET tries_count = tries_count + 1
                     RETURNING tries_count",
                )?
                .query_row(params![minute, remote, grant_id, reason], |row| row.get(0))?;
            if tries_count > 1 || before > REFUSAL_LEAVES_PER_MINUTE_MAX {
                return Ok(());
            }
            // The last one that is told of stands for all that follow.
            let is_last = before == REFUSAL_LEAVES_PER_MINUTE_MAX;
            let (remote, grant_id) = if is_last { ("many", "") } else { (remote, grant_id) };
            let provider: Option<String> = tx
                .prepare_cached("SELECT provider FROM grants WHERE grant_id = ?1")?
                .query_row([grant_id], |row| row.get(0))
                .optional()?;
            let (remote, grant_id, reason) = (remote.into(), grant_id.into(), reason.into());
            let refusal = RefusalRow { at: now, remote, grant_id, reason, tries_count };
            append_leaf(tx, &AgentLeaf::refusal(&refusal, &provider.unwrap_or_default()))
        })
    }

    /// Accesses with what they paid, from `from` until before `to`, oldest first.
    ///
    /// # Errors
    /// As any read.
    pub fn accesses(&self, from: Timestamp, to: Timestamp) -> Result<Vec<AccessRow>, StoreError> {
        self.read(|db| {
            db.prepare_cached(&format!(
                "{ACCESSES} WHERE accesses.at_ms >= ?1 AND accesses.at_ms < ?2 {ACCESSES_ORDER}"
            ))?
            .query_map(params![from.0, to.0], access_of)?
            .collect()
        })
    }

    /// Refused tries from `from` until before `to`, oldest first.
    ///
    /// # Errors
    /// As any read.
    pub fn refusals(&self, from: Timestamp, to: Timestamp) -> Result<Vec<RefusalRow>, StoreError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT * FROM refusals WHERE minute * 60000 >= ?1 AND minute * 60000 < ?2
                 ORDER BY minute, remote, grant_id",
            )?
            .query_map(params![from.0.div_euclid(60_000) * 60_000, to.0], refusal_of)?
            .collect()
        })
    }

    /// Sum of all entries ever posted, over all currencies: zero, or something is wrong.
    ///
    /// # Errors
    /// As any read.
    pub fn ledger_sum(&self) -> Result<i64, StoreError> {
        self.read(|db| {
            db.query_row("SELECT coalesce(sum(minor), 0) FROM entries", [], |row| row.get(0))
        })
    }
}

/// Finishes a response and tells whether with it everything has been sent.
pub(super) fn finish_delivery(
    tx: &Connection,
    grant: &GrantRow,
    delivery: i64,
) -> rusqlite::Result<bool> {
    tx.prepare_cached("UPDATE deliveries SET under_way = 0 WHERE delivery_id = ?1")?
        .execute([delivery])?;
    // What lies inside this range is counted with it.
    tx.prepare_cached(
        "DELETE FROM deliveries WHERE grant_id = ?2 AND delivery_id <> ?1 AND NOT under_way
         AND start_byte >= (SELECT start_byte FROM deliveries WHERE delivery_id = ?1)
         AND end_byte <= (SELECT end_byte FROM deliveries WHERE delivery_id = ?1)",
    )?
    .execute(params![delivery, grant.grant_id])?;
    let mut statement = tx.prepare_cached(
        "SELECT start_byte, end_byte FROM deliveries
         WHERE grant_id = ?1 AND NOT under_way ORDER BY start_byte",
    )?;
    let mut rows = statement.query([&grant.grant_id])?;
    let mut covered = 0;
    while let Some(row) = rows.next()? {
        let (start, end): (i64, i64) = (row.get(0)?, row.get(1)?);
        if start > covered {
            return Ok(false);
        }
        covered = covered.max(end);
    }
    Ok(covered >= signed(grant.bytes_count))
}

/// Takes grants back, as [`State::revoke`] does.
pub(super) fn revoke(
    tx: &Connection,
    which: Option<&str>,
    why: &str,
    now: Timestamp,
) -> rusqlite::Result<usize> {
    let revoked = tx
        .prepare_cached(
            "UPDATE grants SET revoked_ms = ?1, revoked_why = ?2 WHERE revoked_ms IS NULL
             AND (?3 IS NULL OR ?3 IN (grant_id, order_key, provider)) RETURNING grant_id",
        )?
        .query_map(params![now.0, why, which], |row| row.get::<_, String>(0))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for grant in &revoked {
        let (grant, reason) = (grant.clone(), words(why));
        append_leaf(tx, &AgentLeaf::Revoked { grant, reason, at: now })?;
    }
    Ok(revoked.len())
}

/// Keeps an access with its posting, unless there is one; tells whether this was the first.
pub(super) fn record_access(
    tx: &Connection,
    grant: &GrantRow,
    entries: &[Entry],
    way: &Way,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let entries = serde_json::to_string(entries)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let first =
        tx.prepare_cached(
            "INSERT INTO accesses VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            grant.grant_id,
            grant.order_key,
            grant.provider,
            grant.member.as_str(),
            grant.photo.as_bytes(),
            signed(grant.bytes_count),
            now.0
        ])? == 1;
    if first {
        tx.prepare_cached("INSERT INTO postings VALUES (?1, ?1, ?2, ?3, ?4)")?.execute(params![
            grant.grant_id,
            grant.currency,
            now.0,
            entries
        ])?;
        append_leaf(tx, &AgentLeaf::Access(AccessLeaf::of(grant, 0, way, now)))?;
    }
    Ok(first || post_again(tx, grant, way, now)?)
}

/// Grants of an order, the photo's first.
fn grants_of(tx: &Connection, order_key: &str) -> rusqlite::Result<Vec<GrantRow>> {
    tx.prepare_cached("SELECT * FROM grants WHERE order_key = ?1 ORDER BY place")?
        .query_map([order_key], grant_of)?
        .collect()
}

/// - `place`: among the members of the order; the photo's is 0
fn put_grant(tx: &Connection, grant: &GrantRow, place: usize) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO grants (grant_id, order_key, provider, member, name, evidence, place, photo,
             digest, offset, bytes_count, media_type, token, fee_minor, currency, issued_ms,
             expires_ms)
         VALUES (:grant_id, :order_key, :provider, :member, :name, :evidence, :place, :photo,
             :digest, :offset, :bytes_count, :media_type, :token, :fee_minor, :currency,
             :issued_ms, :expires_ms)",
    )?
    .execute(named_params! {
        ":grant_id": grant.grant_id, ":order_key": grant.order_key,
        ":provider": grant.provider, ":member": grant.member.as_str(),
        ":name": grant.name, ":evidence": grant.evidence,
        ":place": i64::try_from(place).unwrap_or(i64::MAX),
        ":photo": grant.photo.as_bytes(), ":digest": grant.digest.as_bytes(),
        ":offset": grant.offset.map(signed),
        ":bytes_count": signed(grant.bytes_count), ":media_type": grant.media_type,
        ":token": grant.token, ":fee_minor": grant.fee_minor,
        ":currency": grant.currency, ":issued_ms": grant.issued_at.0,
        ":expires_ms": grant.expires_at.0,
    })?;
    Ok(())
}

fn refusals_in_minute(tx: &Connection, minute: i64) -> rusqlite::Result<u32> {
    tx.prepare_cached("SELECT count(*) FROM refusals WHERE minute = ?1")?
        .query_row([minute], |row| row.get(0))
}
