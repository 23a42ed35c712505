//! Parcels: what providers are sent at once. Operations of [`State`].
//!
//! INVARIANT: an order is in a parcel from the moment before the first call to its provider. A
//! parcel that the provider surely did not take is taken apart again, and nothing else is.
//! INVARIANT: orders that are `sent` keep their outbox rows: nobody knows yet whether the provider
//! has them, and it is asked until somebody does.

use rusqlite::{Connection, Row, params};
use serde::Serialize;

use super::db::StoreError;
use super::orders::{Order, OrderState, find_order, log_event, move_order, order_of};
use super::state::State;
use crate::base::clock::Timestamp;

/// Between two looks that a provider asks for lie so many milliseconds at least.
const HINT_PAUSE_MS: i64 = 5_000;

/// One parcel as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParcelRow {
    /// Names it, at the provider too.
    pub parcel_key: String,
    /// Who was sent it.
    pub provider: String,
    /// The provider's own name of it; absent while nobody knows whether it has it.
    pub remote: Option<String>,
    /// When it was sent first.
    pub sent_at: Timestamp,
    /// When the provider was known to have it.
    pub taken_at: Option<Timestamp>,
    /// When the provider is asked next what became of it.
    pub next_look_at: Option<Timestamp>,
    /// Since when the owner wants it stopped.
    pub cancel_asked_at: Option<Timestamp>,
}

/// What a provider said of a parcel.
#[derive(Debug, Clone, Copy)]
pub struct News<'a> {
    /// The state of its orders.
    pub state: OrderState,
    /// In words.
    pub note: &'a str,
    /// When to ask next.
    pub next_look_at: Option<Timestamp>,
}

/// States of orders that a provider may have and that are not over, in the order of time.
const ALIVE: [OrderState; 5] = [
    OrderState::Sent,
    OrderState::Accepted,
    OrderState::Fetching,
    OrderState::Production,
    OrderState::Shipped,
];

fn parcel_of(row: &Row<'_>) -> rusqlite::Result<ParcelRow> {
    let time = |column: &str| -> rusqlite::Result<Option<Timestamp>> {
        Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp))
    };
    Ok(ParcelRow {
        parcel_key: row.get("parcel_key")?,
        provider: row.get("provider")?,
        remote: row.get("remote")?,
        sent_at: Timestamp(row.get("sent_ms")?),
        taken_at: time("taken_ms")?,
        next_look_at: time("next_look_ms")?,
        cancel_asked_at: time("cancel_asked_ms")?,
    })
}

fn find_parcel(db: &Connection, parcel_key: &str) -> rusqlite::Result<Option<ParcelRow>> {
    db.prepare_cached("SELECT * FROM parcels WHERE parcel_key = ?1")?
        .query_map([parcel_key], parcel_of)?
        .next()
        .transpose()
}

fn orders_in(db: &Connection, parcel_key: &str) -> rusqlite::Result<Vec<Order>> {
    db.prepare_cached("SELECT * FROM orders WHERE parcel_key = ?1 ORDER BY order_key")?
        .query_map([parcel_key], order_of)?
        .collect()
}

impl State {
    /// Puts orders into a parcel that is about to be sent; tells whether all of them still wait to
    /// be sent. Nothing is changed when one was taken back meanwhile, or everything is stopped.
    ///
    /// # Errors
    /// As any write; then nothing may be sent.
    pub fn seal_parcel(
        &self,
        parcel_key: &str,
        provider: &str,
        order_keys: &[&str],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(|tx| {
            let stopped: bool = tx
                .prepare_cached("SELECT count(*) > 0 FROM flags WHERE name = 'stopped'")?
                .query_row([], |row| row.get(0))?;
            if stopped {
                return Ok(false);
            }
            tx.prepare_cached(
                "INSERT INTO parcels (parcel_key, provider, sent_ms) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO NOTHING",
            )?
            .execute(params![parcel_key, provider, now.0])?;
            let mut statement = tx.prepare_cached(
                "UPDATE orders SET state = 'sent', parcel_key = ?2
                 WHERE order_key = ?1 AND state IN ('held', 'planned', 'ready')",
            )?;
            let mut sealed_count = 0;
            for order_key in order_keys {
                sealed_count += statement.execute([order_key, parcel_key])?;
            }
            if sealed_count < order_keys.len() {
                unseal(tx, parcel_key)?;
            }
            Ok(sealed_count == order_keys.len())
        })
    }

    /// Takes a parcel apart that its provider surely does not have; its orders are tried again at
    /// `next_attempt`.
    ///
    /// # Errors
    /// As any write.
    pub fn unseal_parcel(
        &self,
        parcel_key: &str,
        next_attempt: Timestamp,
        error: &str,
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            postpone(tx, parcel_key, next_attempt, error)?;
            unseal(tx, parcel_key)
        })
    }

    /// Notes that nobody knows whether the provider has a parcel; it is asked at `next_attempt`.
    ///
    /// # Errors
    /// As any write.
    pub fn doubt_parcel(
        &self,
        parcel_key: &str,
        next_attempt: Timestamp,
        error: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            postpone(tx, parcel_key, next_attempt, error)?;
            for order in orders_in(tx, parcel_key)? {
                let note = format!("it is not known whether the provider has it: {error}");
                if order.state == OrderState::Sent && order.reason != note {
                    tell(tx, &order.order_key, OrderState::Sent, &note, now)?;
                }
            }
            Ok(())
        })
    }

    /// Notes that a provider has a parcel, or what became of it; returns the orders that changed.
    ///
    /// - `remote`: the provider's own name of it, when it was just taken
    ///
    /// # Errors
    /// As any write.
    pub fn parcel_news(
        &self,
        parcel_key: &str,
        remote: Option<&str>,
        news: News<'_>,
        now: Timestamp,
    ) -> Result<Vec<Order>, StoreError> {
        self.write(|tx| {
            tx.prepare_cached(
                "UPDATE parcels SET remote = coalesce(?2, remote), next_look_ms = ?3,
                     looked_ms = ?4, taken_ms = CASE WHEN ?2 IS NULL THEN taken_ms
                     ELSE coalesce(taken_ms, ?4) END
                 WHERE parcel_key = ?1",
            )?
            .execute(params![
                parcel_key,
                remote,
                news.next_look_at.map(|at| at.0),
                now.0
            ])?;
            let mut changed = Vec::new();
            for order in orders_in(tx, parcel_key)? {
                let place = |state| ALIVE.iter().position(|other| *other == state);
                let is_behind = place(news.state).is_some_and(|new| place(order.state) > Some(new));
                let same = order.state == news.state && order.reason == news.note;
                if !ALIVE.contains(&order.state) || is_behind || same {
                    continue;
                }
                if order.state == news.state {
                    tell(tx, &order.order_key, news.state, news.note, now)?;
                } else {
                    move_order(tx, &order.order_key, &ALIVE, news.state, news.note, now)?;
                }
                changed.extend(find_order(tx, &order.order_key)?);
            }
            Ok(changed)
        })
    }

    /// Asks again later what became of a parcel.
    ///
    /// # Errors
    /// As any write.
    pub fn look_later(&self, parcel_key: &str, next_look: Timestamp) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.execute(
                "UPDATE parcels SET next_look_ms = ?2 WHERE parcel_key = ?1",
                params![parcel_key, next_look.0],
            )?;
            Ok(())
        })
    }

    /// A provider hints that something changed: it is asked soon, unless it was just now. Tells
    /// whether there is such a parcel to ask about.
    ///
    /// # Errors
    /// As any write.
    pub fn hint_parcel(&self, parcel_key: &str, now: Timestamp) -> Result<bool, StoreError> {
        self.write(|tx| {
            Ok(tx.execute(
                "UPDATE parcels SET next_look_ms =
                     min(next_look_ms, max(?2, coalesce(looked_ms, 0) + ?3))
                 WHERE parcel_key = ?1 AND next_look_ms IS NOT NULL",
                params![parcel_key, now.0, HINT_PAUSE_MS],
            )? > 0)
        })
    }

    /// Notes that the owner wants a parcel stopped of which nobody knows whether the provider has
    /// it. Tells whether that was so.
    ///
    /// # Errors
    /// As any write.
    pub fn ask_cancel(&self, parcel_key: &str, now: Timestamp) -> Result<bool, StoreError> {
        self.write(|tx| {
            let asked = tx.execute(
                "UPDATE parcels SET cancel_asked_ms = coalesce(cancel_asked_ms, ?2)
                 WHERE parcel_key = ?1 AND taken_ms IS NULL",
                params![parcel_key, now.0],
            )?;
            tx.execute(
                "UPDATE outbox SET next_attempt_ms = min(next_attempt_ms, ?2) WHERE order_key IN
                     (SELECT order_key FROM orders WHERE parcel_key = ?1 AND state = 'sent')",
                params![parcel_key, now.0],
            )?;
            Ok(asked > 0)
        })
    }

    /// Moves all orders of a parcel that are not over; returns them as they are then.
    ///
    /// # Errors
    /// As any write.
    pub fn end_parcel(
        &self,
        parcel_key: &str,
        to: OrderState,
        note: &str,
        now: Timestamp,
    ) -> Result<Vec<Order>, StoreError> {
        self.parcel_news(parcel_key, None, News { state: to, note, next_look_at: None }, now)
    }

    /// Parcels whose provider is to be asked now what became of them, the longest waiting first.
    ///
    /// # Errors
    /// As any read.
    pub fn parcels_due(
        &self,
        now: Timestamp,
        parcels_max: u32,
    ) -> Result<Vec<ParcelRow>, StoreError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT * FROM parcels WHERE next_look_ms <= ?1 ORDER BY next_look_ms LIMIT ?2",
            )?
            .query_map(params![now.0, parcels_max], parcel_of)?
            .collect()
        })
    }

    /// A parcel by its key.
    ///
    /// # Errors
    /// As any read.
    pub fn parcel(&self, parcel_key: &str) -> Result<Option<ParcelRow>, StoreError> {
        self.read(|db| find_parcel(db, parcel_key))
    }

    /// The parcel that an order went out with, if it did.
    ///
    /// # Errors
    /// As any read.
    pub fn parcel_of(&self, order_key: &str) -> Result<Option<ParcelRow>, StoreError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT parcels.* FROM parcels JOIN orders USING (parcel_key) WHERE order_key = ?1",
            )?
            .query_map([order_key], parcel_of)?
            .next()
            .transpose()
        })
    }

    /// All orders of a parcel, by their keys.
    ///
    /// # Errors
    /// As any read.
    pub fn parcel_orders(&self, parcel_key: &str) -> Result<Vec<Order>, StoreError> {
        self.read(|db| orders_in(db, parcel_key))
    }

    /// Notes what a provider wants for an order that is to be asked about before it is sent, and
    /// lets it ask. Tells whether it still waited to be sent.
    ///
    /// # Errors
    /// As any write.
    pub fn quote_order(
        &self,
        order_key: &str,
        quoted_minor: i64,
        reason: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let from = [OrderState::Held, OrderState::Planned, OrderState::Ready];
        self.write(|tx| {
            let moved = move_order(tx, order_key, &from, OrderState::Ask, reason, now)?;
            if moved {
                tx.execute(
                    "UPDATE orders SET quoted_minor = ?2 WHERE order_key = ?1",
                    params![order_key, quoted_minor],
                )?;
            }
            Ok(moved)
        })
    }

    /// What a provider wanted for an order when it was asked last, minor units.
    ///
    /// # Errors
    /// As any read.
    pub fn quoted_minor(&self, order_key: &str) -> Result<Option<i64>, StoreError> {
        self.read(|db| {
            db.prepare_cached("SELECT max(quoted_minor) FROM orders WHERE order_key = ?1")?
                .query_row([order_key], |row| row.get(0))
        })
    }

    /// How often the owner let orders go anew that had failed, all of them together.
    ///
    /// # Errors
    /// As any read.
    pub fn rounds(&self, order_keys: &[&str]) -> Result<u32, StoreError> {
        let keys = serde_json::to_string(order_keys).unwrap_or_default();
        self.read(|db| {
            db.prepare_cached(
                "SELECT coalesce(sum(rounds), 0) FROM orders
                 WHERE order_key IN (SELECT value FROM json_each(?1))",
            )?
            .query_row([keys], |row| row.get(0))
        })
    }
}

/// Takes a parcel apart: its orders are ready again, each for itself.
fn unseal(tx: &Connection, parcel_key: &str) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "UPDATE orders SET state = 'ready', parcel_key = NULL
         WHERE parcel_key = ?1 AND state = 'sent'",
    )?
    .execute([parcel_key])?;
    tx.prepare_cached("UPDATE orders SET parcel_key = NULL WHERE parcel_key = ?1")?
        .execute([parcel_key])?;
    tx.prepare_cached("DELETE FROM parcels WHERE parcel_key = ?1")?.execute([parcel_key])?;
    Ok(())
}

fn postpone(
    tx: &Connection,
    parcel_key: &str,
    next_attempt: Timestamp,
    error: &str,
) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "UPDATE outbox SET attempts_count = attempts_count + 1, next_attempt_ms = ?2,
             last_error = ?3
         WHERE order_key IN (SELECT order_key FROM orders WHERE parcel_key = ?1)",
    )?
    .execute(params![parcel_key, next_attempt.0, error])?;
    Ok(())
}

/// Notes what is new about an order that stays in its state.
fn tell(
    tx: &Connection,
    order_key: &str,
    state: OrderState,
    note: &str,
    now: Timestamp,
) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE orders SET reason = ?2 WHERE order_key = ?1")?
        .execute([order_key, note])?;
    log_event(tx, order_key, state, note, now)
}
