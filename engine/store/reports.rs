//! What a report is made of, read at one moment: operations of [`State`].

use rusqlite::{Connection, Params, params};

use super::corrections::correction_of;
use super::db::StoreError;
use super::grants::{ACCESSES, ACCESSES_ORDER, access_of, grant_of, refusal_of};
use super::log::{LieRow, lies};
use super::orders::order_of;
use super::state::State;
use super::{AccessRow, CorrectionRow, GrantRow, Order, RefusalRow};
use crate::base::clock::Timestamp;

/// Rows that a report tells of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReportRows {
    /// What was fetched, oldest first.
    pub accesses: Vec<AccessRow>,
    /// Deliveries that were posted back or anew, oldest first.
    pub corrections: Vec<CorrectionRow>,
    /// Tries that were refused, oldest first.
    pub refusals: Vec<RefusalRow>,
    /// Grants that were taken back, oldest first.
    pub revoked: Vec<GrantRow>,
    /// What a hub said that cannot be true, by when it was found, oldest first.
    pub lies: Vec<LieRow>,
    /// Orders that were made, and those that something was fetched for, oldest first.
    pub orders: Vec<Order>,
}

/// What one posting brought the owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credit {
    /// When it was posted.
    pub at: Timestamp,
    /// Currency of the entry.
    pub currency: String,
    /// Minor units; a credit is negative.
    pub minor: i64,
    /// Whether it is that of an access; else an access was posted back or anew.
    pub is_access: bool,
}

impl State {
    /// What happened from `from` until before `to`.
    ///
    /// # Errors
    /// As any read.
    pub fn report_rows(&self, from: Timestamp, to: Timestamp) -> Result<ReportRows, StoreError> {
        self.read(|tx| {
            let span = params![from.0, to.0];
            let order = "SELECT * FROM orders
                 WHERE (created_ms >= ?1 AND created_ms < ?2) OR order_key IN
                     (SELECT order_key FROM accesses WHERE at_ms >= ?1 AND at_ms < ?2)
                 OR order_key IN
                     (SELECT order_key FROM accesses JOIN corrections USING (grant_id)
                      WHERE corrections.at_ms >= ?1 AND corrections.at_ms < ?2)
                 ORDER BY created_ms, order_key";
            Ok(ReportRows {
                accesses: accesses(tx, "accesses.at_ms >= ?1 AND accesses.at_ms < ?2", span)?,
                corrections: corrections(
                    tx,
                    "corrections.at_ms >= ?1 AND corrections.at_ms < ?2",
                    span,
                )?,
                refusals: refusals(tx, "minute * 60000 >= ?1 AND minute * 60000 < ?2", span)?,
                revoked: revoked(tx, "revoked_ms >= ?1 AND revoked_ms < ?2", span)?,
                lies: lies(tx, from, to)?,
                orders: orders(tx, order, span)?,
            })
        })
    }

    /// What happened under one order, ever.
    ///
    /// # Errors
    /// As any read.
    pub fn report_rows_of_order(&self, order_key: &str) -> Result<ReportRows, StoreError> {
        self.read(|tx| {
            let key = params![order_key];
            let refused = "grant_id IN (SELECT grant_id FROM grants WHERE order_key = ?1)";
            let order = "SELECT * FROM orders WHERE order_key = ?1";
            Ok(ReportRows {
                accesses: accesses(tx, "accesses.order_key = ?1", key)?,
                corrections: corrections(tx, "accesses.order_key = ?1", key)?,
                refusals: refusals(tx, refused, key)?,
                revoked: revoked(tx, "revoked_ms IS NOT NULL AND order_key = ?1", key)?,
                // A hub lies about itself, not about an order.
                lies: Vec::new(),
                orders: orders(tx, order, key)?,
            })
        })
    }

    /// Accesses by their place in the order of commits, behind `after` up to `up_to`, with their
    /// orders and nothing else.
    ///
    /// # Errors
    /// As any read.
    pub fn report_rows_of_news(&self, after: i64, up_to: i64) -> Result<ReportRows, StoreError> {
        self.read(|tx| {
            let window = params![after, up_to];
            let inside = "accesses.grant_id IN
                 (SELECT grant_id FROM access_news WHERE news_seq > ?1 AND news_seq <= ?2)";
            let order = format!(
                "SELECT * FROM orders WHERE order_key IN
                     (SELECT order_key FROM accesses WHERE {inside})
                 ORDER BY created_ms, order_key"
            );
            Ok(ReportRows {
                accesses: accesses(tx, inside, window)?,
                orders: orders(tx, &order, window)?,
                ..ReportRows::default()
            })
        })
    }

    /// What the owner was credited from `from` until before `to`, one line for each posting.
    ///
    /// # Errors
    /// As any read.
    pub fn credits(&self, from: Timestamp, to: Timestamp) -> Result<Vec<Credit>, StoreError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT at_ms, currency, minor, EXISTS
                     (SELECT 1 FROM postings WHERE postings.posting_id = entries.posting_id)
                 FROM entries WHERE account = 'owner' AND at_ms >= ?1 AND at_ms < ?2 ORDER BY at_ms",
            )?
            .query_map([from.0, to.0], |row| {
                Ok(Credit { at: Timestamp(row.get(0)?), currency: row.get(1)?, minor: row.get(2)?, is_access: row.get(3)? })
            })?
            .collect()
        })
    }
}

fn orders(db: &Connection, sql: &str, params: impl Params) -> rusqlite::Result<Vec<Order>> {
    db.prepare_cached(sql)?.query_map(params, order_of)?.collect()
}

fn accesses(db: &Connection, which: &str, params: impl Params) -> rusqlite::Result<Vec<AccessRow>> {
    db.prepare_cached(&format!("{ACCESSES} WHERE {which} {ACCESSES_ORDER}"))?
        .query_map(params, access_of)?
        .collect()
}

fn corrections(
    db: &Connection,
    which: &str,
    params: impl Params,
) -> rusqlite::Result<Vec<CorrectionRow>> {
    db.prepare_cached(&format!(
        "SELECT corrections.*, accesses.order_key, accesses.provider
         FROM corrections JOIN accesses USING (grant_id)
         WHERE {which} ORDER BY corrections.at_ms, corrections.rowid"
    ))?
    .query_map(params, correction_of)?
    .collect()
}

fn refusals(
    db: &Connection,
    which: &str,
    params: impl Params,
) -> rusqlite::Result<Vec<RefusalRow>> {
    let order = "ORDER BY minute, remote, grant_id";
    db.prepare_cached(&format!("SELECT * FROM refusals WHERE {which} {order}"))?
        .query_map(params, refusal_of)?
        .collect()
}

fn revoked(db: &Connection, which: &str, params: impl Params) -> rusqlite::Result<Vec<GrantRow>> {
    let order = "ORDER BY revoked_ms, grant_id";
    db.prepare_cached(&format!("SELECT * FROM grants WHERE {which} {order}"))?
        .query_map(params, grant_of)?
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::state::tests::{NOW, grant, order};
    use super::*;
    use crate::store::{Entry, OrderState, Way};

    #[test]
    fn rows_are_those_of_the_span_of_the_order_or_of_the_news() {
        let state = State::in_memory().expect("a store");
        for (number, key) in ["a", "b"].into_iter().enumerate() {
            let order = order(key, OrderState::Ready);
            let grants = [grant(key, 10)];
            state.put_orders(vec![order.clone()]).expect("kept");
            let kept = state.put_grants(&order, &grants, &[], NOW).expect("kept").expect("new");
            let entries = [("provider:lab", 25), ("owner", -20), ("service:s", -5)];
            let entries = entries.map(|(account, minor)| Entry { account: account.into(), minor });
            let at = NOW.plus_millis(i64::try_from(number).expect("small") * 1000);
            assert!(state.post_access(&kept[0], &entries, &Way::Direct, at).expect("posted"));
        }
        state.record_refusal("::1", "g-b", "expired", NOW).expect("counted");
        state.revoke(Some("b"), "changed", NOW.plus_millis(5)).expect("taken back");

        let all = state.report_rows(Timestamp(0), Timestamp(i64::MAX)).expect("read");
        assert_eq!((all.accesses.len(), all.orders.len()), (2, 2));
        assert_eq!((all.refusals.len(), all.revoked.len()), (1, 1));
        let later = state.report_rows(NOW.plus_millis(500), Timestamp(i64::MAX)).expect("read");
        assert_eq!((later.accesses.len(), later.orders.len(), later.revoked.len()), (1, 1, 0));
        let of_b = state.report_rows_of_order("b").expect("read");
        assert_eq!(of_b.accesses, later.accesses);
        assert_eq!((of_b.refusals.len(), of_b.revoked.len(), of_b.orders.len()), (1, 1, 1));
        assert_eq!(state.report_rows_of_order("c").expect("read"), ReportRows::default());
        let news = state.report_rows_of_news(1, 2).expect("read");
        assert_eq!((news.accesses, news.orders), (of_b.accesses, of_b.orders));
        let credits = state.credits(NOW, NOW.plus_millis(1)).expect("read");
        assert_eq!(
            credits,
            [Credit { at: NOW, currency: "EUR".into(), minor: -20, is_access: true }]
        );
    }
}
