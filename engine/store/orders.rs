//! Orders and the outbox: operations of [`State`].

use std::fmt;
use std::str::FromStr;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Row, Transaction, named_params, params};
use serde::{Deserialize, Serialize};

use super::db::StoreError;
use super::state::State;
use crate::base::clock::Timestamp;
use crate::base::ids::ContentHash;

/// One order as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Order {
    /// Derived from rule, photo version, provider and product.
    pub order_key: String,
    /// The rule that asked for it.
    pub rule: String,
    /// Revision of the rule files then.
    pub revision: String,
    /// The photo version.
    pub photo: ContentHash,
    /// Where the photo was found: name of the collection …
    pub collection: String,
    /// … and path inside it.
    pub relative: String,
    /// Who is to fulfil it.
    pub provider: String,
    /// What the provider gets the photo for.
    pub purpose: Purpose,
    /// Product, absent when only shared.
    pub product: Option<String>,
    /// How many, at least 1.
    pub copies: u32,
    /// Price of all copies together, minor units.
    pub price_minor: i64,
    /// Currency of the price.
    pub currency: String,
    /// Where in its life it is.
    pub state: OrderState,
    /// Why it is in this state, in words.
    pub reason: String,
    /// When it was planned.
    pub created_at: Timestamp,
    /// When its state last changed.
    pub updated_at: Timestamp,
}

/// What a provider may get a photo for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// To make goods of the original.
    Print,
    /// To have a look at the preview.
    Share,
}

/// The life of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrderState {
    /// Waits for `signet orders approve`.
    Ask,
    /// Agreed; in the outbox.
    Ready,
    /// The provider has confirmed that it has it.
    Accepted,
    /// Everything was fetched and its digest confirmed by the provider.
    Done,
    /// The consent does not cover it.
    Refused,
    /// The provider would not take it.
    Failed,
    /// The owner took it back.
    Cancelled,
}

/// An order whose turn to be sent has come.
#[derive(Debug, Clone)]
pub struct Due {
    /// The order.
    pub order: Order,
    /// Tries so far.
    pub attempts_count: u32,
}

/// What counts towards the limits of one provider.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Orders agreed since the day began.
    pub orders_count_day: u32,
    /// Their prices since the month began, minor units.
    pub spent_minor_month: i64,
}

macro_rules! text_enum {
    ($type:ty { $($variant:ident = $text:literal),* $(,)? }) => {
        impl $type {
            /// The word used in files, databases and on screens.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
        impl FromStr for $type {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    other => Err(format!(
                        "`{other}` is none of {}", [$($text),*].join(", ")
                    )),
                }
            }
        }
        impl ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.as_str().into())
            }
        }
        impl FromSql for $type {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                value.as_str()?.parse().map_err(|message: String| FromSqlError::Other(message.into()))
            }
        }
    };
}

text_enum!(Purpose { Print = "print", Share = "share" });
text_enum!(OrderState {
    Ask = "ask",
    Ready = "ready",
    Accepted = "accepted",
    Done = "done",
    Refused = "refused",
    Failed = "failed",
    Cancelled = "cancelled",
});

pub(super) fn hash_of(row: &Row<'_>, column: &str) -> rusqlite::Result<ContentHash> {
    row.get(column).map(ContentHash::from_bytes)
}

fn order_of(row: &Row<'_>) -> rusqlite::Result<Order> {
    Ok(Order {
        order_key: row.get("order_key")?,
        rule: row.get("rule")?,
        revision: row.get("revision")?,
        photo: hash_of(row, "photo")?,
        collection: row.get("collection")?,
        relative: row.get("relative")?,
        provider: row.get("provider")?,
        purpose: row.get("purpose")?,
        product: row.get("product")?,
        copies: row.get("copies")?,
        price_minor: row.get("price_minor")?,
        currency: row.get("currency")?,
        state: row.get("state")?,
        reason: row.get("reason")?,
        created_at: Timestamp(row.get("created_ms")?),
        updated_at: Timestamp(row.get("updated_ms")?),
    })
}

/// Moves an order on, if it is in one of `from`; tells whether it was.
pub(super) fn move_order(
    tx: &Transaction<'_>,
    order_key: &str,
    from: &[OrderState],
    to: OrderState,
    note: &str,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let state: Option<OrderState> = tx
        .prepare_cached("SELECT state FROM orders WHERE order_key = ?1")?
        .query_map([order_key], |row| row.get(0))?
        .next()
        .transpose()?;
    if !state.is_some_and(|state| from.contains(&state)) {
        return Ok(false);
    }
    tx.execute(
        "UPDATE orders SET state = ?2, reason = ?3, updated_ms = ?4 WHERE order_key = ?1",
        params![order_key, to, note, now.0],
    )?;
    log_event(tx, order_key, to, note, now)?;
    if to == OrderState::Ready {
        tx.execute(
            "INSERT INTO outbox (order_key, next_attempt_ms) VALUES (?1, ?2)
             ON CONFLICT DO NOTHING",
            params![order_key, now.0],
        )?;
    } else {
        tx.execute("DELETE FROM outbox WHERE order_key = ?1", [order_key])?;
    }
    Ok(true)
}

fn log_event(
    tx: &Transaction<'_>,
    order_key: &str,
    state: OrderState,
    note: &str,
    now: Timestamp,
) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT INTO order_events (order_key, at_ms, state, note) VALUES (?1, ?2, ?3, ?4)",
        params![order_key, now.0, state, note],
    )?;
    Ok(())
}

impl State {
    /// Keeps new orders, each with its outbox row when `ready`. Keys that are known already
    /// are left as they are: one wish, one order. Returns those that were new.
    ///
    /// # Errors
    /// As any write; then none was kept.
    pub fn put_orders(&self, orders: Vec<Order>) -> Result<Vec<Order>, StoreError> {
        if orders.is_empty() {
            return Ok(orders);
        }
        self.write(|tx| {
            let mut new = Vec::new();
            for order in orders {
                let inserted = tx.execute(
                    "INSERT INTO orders VALUES (:order_key, :rule, :revision, :photo, :collection,
                     :relative, :provider, :purpose, :product, :copies, :price_minor, :currency,
                     :state, :reason, :created_ms, :updated_ms) ON CONFLICT DO NOTHING",
                    named_params! {
                        ":order_key": order.order_key, ":rule": order.rule,
                        ":revision": order.revision, ":photo": order.photo.as_bytes(),
                        ":collection": order.collection, ":relative": order.relative,
                        ":provider": order.provider, ":purpose": order.purpose,
                        ":product": order.product, ":copies": order.copies,
                        ":price_minor": order.price_minor, ":currency": order.currency,
                        ":state": order.state, ":reason": order.reason,
                        ":created_ms": order.created_at.0, ":updated_ms": order.updated_at.0,
                    },
                )?;
                if inserted == 0 {
                    continue;
                }
                log_event(tx, &order.order_key, order.state, &order.reason, order.created_at)?;
                if order.state == OrderState::Ready {
                    tx.execute(
                        "INSERT INTO outbox (order_key, next_attempt_ms) VALUES (?1, ?2)",
                        params![order.order_key, order.created_at.0],
                    )?;
                }
                new.push(order);
            }
            Ok(new)
        })
    }

    /// One order by its key.
    ///
    /// # Errors
    /// As any read.
    pub fn order(&self, order_key: &str) -> Result<Option<Order>, StoreError> {
        self.read(|db| {
            db.prepare_cached("SELECT * FROM orders WHERE order_key = ?1")?
                .query_map([order_key], order_of)?
                .next()
                .transpose()
        })
    }

    /// All orders, oldest first; of one state when given.
    ///
    /// # Errors
    /// As any read.
    pub fn orders(&self, state: Option<OrderState>) -> Result<Vec<Order>, StoreError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT * FROM orders WHERE ?1 IS NULL OR state = ?1 ORDER BY created_ms, order_key",
            )?
            .query_map([state], order_of)?
            .collect()
        })
    }

    /// What counts towards a provider's limits.
    ///
    /// # Errors
    /// As any read.
    pub fn usage(&self, provider: &str, now: Timestamp) -> Result<Usage, StoreError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT coalesce(sum(created_ms >= ?2), 0), coalesce(sum(price_minor), 0)
                 FROM orders WHERE provider = ?1 AND created_ms >= ?3
                 AND state IN ('ready', 'accepted', 'done')",
            )?
            .query_row(params![provider, now.day_start().0, now.month_start().0], |row| {
                Ok(Usage { orders_count_day: row.get(0)?, spent_minor_month: row.get(1)? })
            })
        })
    }

    /// Orders whose turn to be sent has come, the longest waiting first.
    ///
    /// # Errors
    /// As any read.
    pub fn outbox_due(&self, now: Timestamp, orders_max: u32) -> Result<Vec<Due>, StoreError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT orders.*, attempts_count FROM outbox JOIN orders USING (order_key)
                 WHERE next_attempt_ms <= ?1 ORDER BY next_attempt_ms LIMIT ?2",
            )?
            .query_map(params![now.0, orders_max], |row| {
                Ok(Due { order: order_of(row)?, attempts_count: row.get("attempts_count")? })
            })?
            .collect()
        })
    }

    /// When the next outbox row is due.
    ///
    /// # Errors
    /// As any read.
    pub fn outbox_next(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(|db| {
            db.query_row("SELECT min(next_attempt_ms) FROM outbox", [], |row| {
                Ok(row.get::<_, Option<i64>>(0)?.map(Timestamp))
            })
        })
    }

    /// Puts an order off after a try that did not get through.
    ///
    /// # Errors
    /// As any write.
    pub fn outbox_postpone(
        &self,
        order_key: &str,
        next_attempt: Timestamp,
        error: &str,
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.execute(
                "UPDATE outbox SET attempts_count = attempts_count + 1, next_attempt_ms = ?2,
                 last_error = ?3 WHERE order_key = ?1",
                params![order_key, next_attempt.0, error],
            )?;
            Ok(())
        })
    }

    /// Moves an order on if it is in one of the states `from`; tells whether it was.
    /// The outbox follows: `ready` enters it, every other state leaves it.
    ///
    /// # Errors
    /// As any write.
    pub fn move_order(
        &self,
        order_key: &str,
        from: &[OrderState],
        to: OrderState,
        note: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(|tx| move_order(tx, order_key, from, to, note, now))
    }

    /// Lets an order go ahead that waited, was refused or failed, at the price agreed now;
    /// tells whether it was in such a state.
    ///
    /// # Errors
    /// As any write.
    pub fn approve_order(
        &self,
        order_key: &str,
        price_minor: i64,
        currency: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let from = [OrderState::Ask, OrderState::Refused, OrderState::Failed];
        self.write(|tx| {
            let moved =
                move_order(tx, order_key, &from, OrderState::Ready, "approved by the owner", now)?;
            if moved {
                tx.execute(
                    "UPDATE orders SET price_minor = ?2, currency = ?3 WHERE order_key = ?1",
                    params![order_key, price_minor, currency],
                )?;
            }
            Ok(moved)
        })
    }

    /// The last thing that went wrong while sending an order that still waits.
    ///
    /// # Errors
    /// As any read.
    pub fn outbox_trouble(&self, order_key: &str) -> Result<Option<String>, StoreError> {
        self.read(|db| {
            Ok(db
                .prepare_cached("SELECT last_error FROM outbox WHERE order_key = ?1")?
                .query_map([order_key], |row| row.get(0))?
                .next()
                .transpose()?
                .flatten())
        })
    }
}
