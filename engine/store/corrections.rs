//! Deliveries that were not what was granted: the access is posted back, once for each grant, and
//! posted anew when it was fetched anew. Operations of [`State`].
//!
//! INVARIANT: what was posted is never changed. A reversal has the same accounts with the opposite
//! sign, a second delivery the same entries; the database itself refuses anything else.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::db::StoreError;
use super::grants::{Entry, GrantRow, revoke};
use super::leaf::{AccessLeaf, AgentLeaf, Way};
use super::log::{append_leaf, append_reversal};
use super::orders::{Order, OrderState, find_order, log_event, move_order};
use super::state::State;
use crate::base::clock::Timestamp;

pub(super) const SCHEMA: &str = "
-- `reversal`: an access posted back. `again`: the delivery after it, as the access was.
CREATE TABLE corrections (
    posting_id TEXT PRIMARY KEY,
    grant_id TEXT NOT NULL REFERENCES accesses,
    kind TEXT NOT NULL CHECK (kind IN ('reversal', 'again')),
    reason TEXT NOT NULL,
    currency TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    entries TEXT NOT NULL CHECK (json_valid(entries)),
    UNIQUE (grant_id, kind)
) STRICT;

DROP VIEW entries;
CREATE VIEW entries AS
    SELECT posting_id, grant_id, currency, at_ms,
           json_extract(value, '$.account') AS account,
           json_extract(value, '$.minor') AS minor
    FROM postings, json_each(postings.entries)
    UNION ALL
    SELECT posting_id, grant_id, currency, at_ms,
           json_extract(value, '$.account'), json_extract(value, '$.minor')
    FROM corrections, json_each(corrections.entries);

-- What providers have and was not posted back.
CREATE VIEW delivered AS
    SELECT grant_id FROM accesses WHERE
        (SELECT count(*) FROM corrections WHERE corrections.grant_id = accesses.grant_id) <> 1;

CREATE TRIGGER corrections_mirror BEFORE INSERT ON corrections BEGIN
    SELECT RAISE(ABORT, 'a reversal has the entries of its access, the other way round') WHERE
        NEW.kind = 'reversal' AND EXISTS (
            SELECT 1 FROM (
                SELECT json_extract(value, '$.account') AS account,
                       json_extract(value, '$.minor') AS minor
                FROM postings, json_each(postings.entries) WHERE postings.grant_id = NEW.grant_id
                UNION ALL
                SELECT json_extract(value, '$.account'), json_extract(value, '$.minor')
                FROM json_each(NEW.entries))
            GROUP BY account HAVING sum(minor) <> 0 OR count(*) <> 2);
    SELECT RAISE(ABORT, 'a second delivery has the entries of the first, and follows a reversal')
    WHERE NEW.kind = 'again' AND NOT EXISTS (
        SELECT 1 FROM postings JOIN corrections USING (grant_id)
        WHERE postings.grant_id = NEW.grant_id AND corrections.kind = 'reversal'
        AND postings.entries = NEW.entries);
    SELECT RAISE(ABORT, 'a correction has the currency of its access') WHERE NOT EXISTS (
        SELECT 1 FROM postings WHERE grant_id = NEW.grant_id AND currency = NEW.currency);
END;
CREATE TRIGGER corrections_never_change BEFORE UPDATE ON corrections BEGIN
    SELECT RAISE(ABORT, 'postings are never changed'); END;
CREATE TRIGGER corrections_never_go BEFORE DELETE ON corrections BEGIN
    SELECT RAISE(ABORT, 'postings are never deleted'); END;
";

/// What a correction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CorrectionKind {
    /// An access was posted back.
    Reversal,
    /// It was delivered anew.
    Again,
}

/// A posting that puts an access right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CorrectionRow {
    /// When.
    pub at: Timestamp,
    /// Of which access.
    pub grant_id: String,
    /// For which order.
    pub order_key: String,
    /// Who fetched.
    pub provider: String,
    /// What it is.
    pub kind: CorrectionKind,
    /// Why, in words.
    pub reason: String,
    /// Currency of the entries.
    pub currency: String,
    /// What was posted.
    pub entries: Vec<Entry>,
}

/// What a wrong delivery came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reversed {
    /// Nothing was posted, so nothing was posted back.
    NothingPosted,
    /// It was posted back, and may be fetched once more.
    Back,
    /// It was posted back before and delivered again: the order failed, this is it.
    Failed(Box<Order>),
    /// The order is over already.
    Over,
}

pub(super) fn correction_of(row: &Row<'_>) -> rusqlite::Result<CorrectionRow> {
    let json = |text: String| {
        serde_json::from_str(&text)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
    };
    let kind: String = row.get("kind")?;
    Ok(CorrectionRow {
        at: Timestamp(row.get("at_ms")?),
        grant_id: row.get("grant_id")?,
        order_key: row.get("order_key")?,
        provider: row.get("provider")?,
        kind: if kind == "again" { CorrectionKind::Again } else { CorrectionKind::Reversal },
        reason: row.get("reason")?,
        currency: row.get("currency")?,
        entries: json(row.get("entries")?)?,
    })
}

impl State {
    /// The provider says that what it received under a grant is not what was granted: the first
    /// time, the access is posted back and may be fetched once more; the second time, the order
    /// fails and its grants are revoked.
    ///
    /// # Errors
    /// As any write; then nothing was changed.
    pub fn reverse_access(
        &self,
        grant: &GrantRow,
        reason: &str,
        now: Timestamp,
    ) -> Result<Reversed, StoreError> {
        self.write(|tx| {
            let posted: Option<String> = tx
                .prepare_cached("SELECT entries FROM postings WHERE grant_id = ?1")?
                .query_row([&grant.grant_id], |row| row.get(0))
                .optional()?;
            let corrections_count: u32 = tx
                .prepare_cached("SELECT count(*) FROM corrections WHERE grant_id = ?1")?
                .query_row([&grant.grant_id], |row| row.get(0))?;
            let order = find_order(tx, &grant.order_key)?;
            let from =
                [OrderState::Ready, OrderState::Sent, OrderState::Accepted, OrderState::Fetching];
            let Some(order) = order.filter(|order| from.contains(&order.state)) else {
                return Ok(Reversed::Over);
            };
            match (posted, corrections_count) {
                (None, _) | (_, 1) => Ok(Reversed::NothingPosted),
                (Some(entries), 0) => {
                    post_back(tx, grant, &entries, reason, now)?;
                    let note = format!("{reason}: posted back, it may be fetched once more");
                    log_event(tx, &grant.order_key, order.state, &note, now)?;
                    Ok(Reversed::Back)
                }
                (Some(_), _) => {
                    let key = &grant.order_key;
                    let note = format!("{reason}, for the second time");
                    move_order(tx, key, &from, OrderState::Failed, &note, now)?;
                    revoke(tx, Some(key), &note, now)?;
                    let order = find_order(tx, key)?.unwrap_or(order);
                    Ok(Reversed::Failed(Box::new(order)))
                }
            }
        })
    }

    /// Corrections from `from` until before `to`, oldest first.
    ///
    /// # Errors
    /// As any read.
    pub fn corrections(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<CorrectionRow>, StoreError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT corrections.*, accesses.order_key, accesses.provider
                 FROM corrections JOIN accesses USING (grant_id)
                 WHERE corrections.at_ms >= ?1 AND corrections.at_ms < ?2
                 ORDER BY corrections.at_ms, corrections.rowid",
            )?
            .query_map(params![from.0, to.0], correction_of)?
            .collect()
        })
    }
}

/// Posts an access back, and forgets what was sent, so that it can be fetched anew.
fn post_back(
    tx: &Connection,
    grant: &GrantRow,
    entries: &str,
    reason: &str,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let json = |error: serde_json::Error| rusqlite::Error::ToSqlConversionFailure(error.into());
    let mut entries: Vec<Entry> = serde_json::from_str(entries).map_err(json)?;
    entries.iter_mut().for_each(|entry| entry.minor = -entry.minor);
    tx.prepare_cached("INSERT INTO corrections VALUES (?1, ?2, 'reversal', ?3, ?4, ?5, ?6)")?
        .execute(params![
            format!("{}/reversal", grant.grant_id),
            grant.grant_id,
            reason,
            grant.currency,
            now.0,
            serde_json::to_string(&entries).map_err(json)?
        ])?;
    append_reversal(tx, grant, reason, now)?;
    tx.execute("DELETE FROM deliveries WHERE grant_id = ?1", [&grant.grant_id])?;
    tx.execute("DELETE FROM fetches WHERE grant_id = ?1", [&grant.grant_id])?;
    Ok(())
}

/// Posts a delivery anew whose access was posted back; tells whether it did.
pub(super) fn post_again(
    tx: &Connection,
    grant: &GrantRow,
    way: &Way,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let posted = tx
        .prepare_cached(
            "INSERT INTO corrections
             SELECT grant_id || '/again', grant_id, 'again', 'delivered anew', currency, ?2, entries
             FROM postings WHERE grant_id = ?1
             AND (SELECT count(*) FROM corrections WHERE grant_id = ?1) = 1",
        )?
        .execute(params![grant.grant_id, now.0])?;
    if posted == 1 {
        append_leaf(tx, &AgentLeaf::Access(AccessLeaf::of(grant, 1, way, now)))?;
    }
    Ok(posted == 1)
}

#[cfg(test)]
mod tests {
    use super::super::leaf::read;
    use super::super::log::OWN;
    use super::super::state::tests::{NOW, grant, order};
    use super::*;

    fn entries(minors: [i64; 2]) -> Vec<Entry> {
        let accounts = ["provider:lab", "owner"];
        let entry = |(account, minor): (&str, i64)| Entry { account: account.into(), minor };
        accounts.into_iter().zip(minors).map(entry).collect()
    }

    fn posted() -> (State, GrantRow) {
        let state = State::in_memory().expect("a store");
        let order = order("k", OrderState::Accepted);
        state.put_orders(vec![order.clone()]).expect("kept");
        let grant = grant("k", 100);
        state.put_grants(&order, std::slice::from_ref(&grant), &[], NOW).expect("kept");
        assert_eq!(
            state.reverse_access(&grant, "no", NOW).expect("asked"),
            Reversed::NothingPosted
        );
        assert!(state.post_access(&grant, &entries([25, -25]), &Way::Direct, NOW).expect("posted"));
        (state, grant)
    }

    #[test]
    fn wrong_delivery_is_posted_back_once_and_the_second_fails_the_order() {
        let (state, grant) = posted();
        let wrong = |at| state.reverse_access(&grant, "other bytes", at).expect("asked");
        assert_eq!(wrong(NOW), Reversed::Back);
        assert_eq!(wrong(NOW), Reversed::NothingPosted, "it was not fetched anew");
        assert!(state.complete_order("k", false, "done", NOW).expect("asked").is_none());
        assert!(
            state
                .post_access(&grant, &entries([25, -25]), &Way::Direct, NOW)
                .expect("posted again")
        );
        assert!(!state.post_access(&grant, &entries([25, -25]), &Way::Direct, NOW).expect("once"));
        let rows = state.corrections(Timestamp(0), Timestamp(i64::MAX)).expect("read");
        let minors: Vec<i64> = rows.iter().map(|row| row.entries[0].minor).collect();
        assert_eq!(minors, [-25, 25]);
        let leaves = state.log_leaves(OWN, 0, 100).expect("read");
        let told: Vec<AgentLeaf> =
            leaves.iter().filter_map(|leaf| read(leaf.as_bytes())).skip(1).collect();
        let [AgentLeaf::Access(first), AgentLeaf::Reversal { of, .. }, AgentLeaf::Access(again)] =
            told.as_slice()
        else {
            panic!("the log tells of it otherwise: {leaves:?}")
        };
        assert_eq!((first.turn, of.turn, again.turn), (0, 0, 1));
        assert_eq!(state.ledger_sum().expect("read"), 0);
        let Reversed::Failed(failed) = wrong(NOW) else { panic!("it goes on") };
        assert_eq!(
            (failed.state, &*failed.reason),
            (OrderState::Failed, "other bytes, for the second time")
        );
        assert!(state.grant(&grant.grant_id).expect("read").expect("a grant").revoked_at.is_some());
        assert_eq!(wrong(NOW), Reversed::Over);
    }

    #[test]
    fn order_that_was_delivered_anew_completes() {
        let (state, grant) = posted();
        state.reverse_access(&grant, "other bytes", NOW).expect("asked");
        state.post_access(&grant, &entries([25, -25]), &Way::Direct, NOW).expect("posted");
        assert!(state.complete_order("k", false, "done", NOW).expect("asked").is_some());
    }

    #[test]
    fn database_refuses_corrections_that_do_not_mirror_their_access() {
        let (state, _grant) = posted();
        let kept = |id: &str, kind: &str, currency: &str, minors: [i64; 2]| {
            let entries = serde_json::to_string(&entries(minors)).expect("JSON");
            state.write(|tx| {
                tx.execute(
                    "INSERT INTO corrections VALUES (?1, 'g-k', ?2, '', ?3, 5, ?4)",
                    params![id, kind, currency, entries],
                )
            })
        };
        assert!(kept("a", "reversal", "EUR", [-20, 20]).is_err(), "a part of it");
        assert!(kept("a", "reversal", "EUR", [25, -25]).is_err(), "the same way");
        assert!(kept("a", "reversal", "USD", [-25, 25]).is_err(), "other money");
        assert!(kept("a", "again", "EUR", [25, -25]).is_err(), "without a reversal");
        kept("a", "reversal", "EUR", [-25, 25]).expect("its mirror");
        assert!(kept("b", "reversal", "EUR", [-25, 25]).is_err(), "twice");
        assert!(kept("c", "again", "EUR", [20, -20]).is_err(), "another fee");
        for sql in ["UPDATE corrections SET at_ms = 1", "DELETE FROM corrections"] {
            assert!(state.write(|tx| tx.execute(sql, [])).is_err(), "{sql}");
        }
    }
}
