//! Orders and the outbox: operations of [`State`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, named_params, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::db::StoreError;
use super::failover::{REPLACED, find_heir, has_heir};
use super::grants::grant_of;
use super::leaf::AgentLeaf;
use super::log::append_leaf;
use super::state::State;
use crate::base::clock::Timestamp;
use crate::base::crop::Crop;
use crate::base::ids::ContentHash;
use crate::base::member::Member;
use crate::base::money::{Money, decimal};

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
    /// Label of who it is for, such as `a`; absent: the owner.
    pub addressee: Option<String>,
    /// Whether it is urgent.
    pub express: bool,
    /// Companions that its rule wants to go with the photo, where it has them and the consent
    /// covers them.
    pub companions: Vec<Member>,
    /// How the preview is to be, such as `2048 webp`; absent: as always.
    pub preview: Option<String>,
    /// Price of all copies together, minor units.
    pub price_minor: i64,
    /// Currency of the price.
    pub currency: String,
    /// Enrolled people who are in the photo for sure. Never leaves the computer.
    #[serde(skip)]
    pub people: Vec<String>,
    /// Time for the owner to think it over.
    pub hold: Option<Hold>,
    /// Where in its life it is.
    pub state: OrderState,
    /// Why it is in this state, in words.
    pub reason: String,
    /// Why it was planned, in words; stays as it is.
    pub origin: String,
    /// Which part of the photo to show; absent: all of it, or what the provider cuts by itself.
    pub crop: Option<Crop>,
    /// Whether icons on the photo are to be cropped away.
    pub remove_icon: bool,
    /// Most that it may cost, by its rule.
    pub price_max: Option<Money>,
    /// Providers to be asked instead, in this order, should this one not make it.
    pub fallback: Vec<String>,
    /// The order at another provider, which did not make it, in whose place this one is.
    pub instead_of: Option<String>,
    /// When it was planned.
    pub created_at: Timestamp,
    /// When its state last changed.
    pub updated_at: Timestamp,
}

impl Order {
    /// Why a price is more than the order's rule allows, in words; `None` where it is not.
    pub fn over_price_max(&self, price_minor: i64, currency: &str) -> Option<String> {
        let most = self.price_max.as_ref()?;
        if most.currency.as_str() != currency {
            let theirs = &most.currency;
            return Some(format!("it costs {currency}, and its rule's limit is in {theirs}"));
        }
        (price_minor > most.minor).then(|| {
            let (price, most) = (decimal(price_minor), decimal(most.minor));
            format!("it costs {price} {currency}, the limit of its rule is {most}")
        })
    }
}

impl Order {
    /// One copy of nothing from nobody, ready to go; whoever makes an order says the rest.
    pub fn new(order_key: impl Into<String>, photo: ContentHash, now: Timestamp) -> Self {
        Self {
            order_key: order_key.into(),
            rule: String::new(),
            revision: String::new(),
            photo,
            collection: String::new(),
            relative: String::new(),
            provider: String::new(),
            purpose: Purpose::Print,
            product: None,
            copies: 1,
            addressee: None,
            express: false,
            companions: Vec::new(),
            preview: None,
            price_minor: 0,
            currency: String::new(),
            people: Vec::new(),
            hold: None,
            state: OrderState::Ready,
            reason: String::new(),
            origin: String::new(),
            crop: None,
            remove_icon: false,
            price_max: None,
            fallback: Vec::new(),
            instead_of: None,
            created_at: now,
            updated_at: now,
        }
    }
}

/// A time in which an order waits by itself, for its owner to take it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Hold {
    /// When it began.
    pub from: Timestamp,
    /// When the order goes out.
    pub until: Timestamp,
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
    /// Goes out when its time is over, unless the owner takes it back.
    Held,
    /// Agreed; waits for others that ship with it.
    Planned,
    /// Agreed; in the outbox.
    Ready,
    /// On its way: the provider may have it and has not confirmed that.
    Sent,
    /// The provider has confirmed that it has it.
    Accepted,
    /// The provider fetches what belongs to it.
    Fetching,
    /// The provider makes it.
    Production,
    /// It is on its way to the addressee.
    Shipped,
    /// Over: everything was fetched and its digest confirmed, and a provider that tells of it has
    /// made it and shipped it.
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
    /// The parcel that it went out with, when it is not known whether that was taken.
    pub parcel_key: Option<String>,
}

/// What became of a photo's orders when it was judged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replanned {
    /// Not there before.
    pub new: Vec<Order>,
    /// There before, changed; nobody had been told of them.
    pub changed: Vec<Order>,
    /// No longer wished and taken back; nobody had been told of them.
    pub withdrawn: Vec<Order>,
    /// On their way or beyond, so they stay as they were, although another wish holds now.
    pub kept: Vec<Order>,
}

/// Which orders fall under a limit: every list that is not empty has to hold one's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderFilter {
    /// Names of rules.
    pub rules: Vec<String>,
    /// Names of providers.
    pub providers: Vec<String>,
    /// Products; a share has none.
    pub products: Vec<String>,
    /// People, one of whom is in the photo.
    pub people: Vec<String>,
    /// Labels of addressees; `""` is the owner.
    pub addressees: Vec<String>,
}

impl OrderFilter {
    /// Whether an order falls under it.
    pub fn takes(&self, order: &Order) -> bool {
        let allows = |list: &[String], name: Option<&str>| {
            list.is_empty() || name.is_some_and(|name| list.iter().any(|one| one == name))
        };
        allows(&self.rules, Some(&order.rule))
            && allows(&self.providers, Some(&order.provider))
            && allows(&self.products, order.product.as_deref())
            && allows(&self.addressees, Some(order.addressee.as_deref().unwrap_or_default()))
            && (self.people.is_empty()
                || order.people.iter().any(|name| self.people.contains(name)))
    }
}

/// What the orders that fall under a limit came to in a month.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// How many they are.
    pub orders_count: u32,
    /// Copies of all of them.
    pub copies_count: u32,
    /// Their prices, in minor units of one currency; those in another do not count.
    pub minor: i64,
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
    Held = "held",
    Planned = "planned",
    Ready = "ready",
    Sent = "sent",
    Accepted = "accepted",
    Fetching = "fetching",
    Production = "production",
    Shipped = "shipped",
    Done = "done",
    Refused = "refused",
    Failed = "failed",
    Cancelled = "cancelled",
});

pub(super) fn hash_of(row: &Row<'_>, column: &str) -> rusqlite::Result<ContentHash> {
    row.get(column).map(ContentHash::from_bytes)
}

/// Words with commas between them.
fn companions_of(row: &Row<'_>) -> rusqlite::Result<Vec<Member>> {
    let words: String = row.get("companions")?;
    let members = words.split(',').filter(|word| !word.is_empty()).map(str::parse);
    let members: Result<_, String> = members.collect();
    members.map_err(|why| rusqlite::Error::ToSqlConversionFailure(why.into()))
}

/// Reads JSON in a column.
fn json_of<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let json: String = row.get(column)?;
    serde_json::from_str(&json)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

fn hold_of(row: &Row<'_>) -> rusqlite::Result<Option<Hold>> {
    let from: Option<i64> = row.get("held_from_ms")?;
    let until: Option<i64> = row.get("held_until_ms")?;
    Ok(from.zip(until).map(|(from, until)| Hold { from: Timestamp(from), until: Timestamp(until) }))
}

pub(super) fn order_of(row: &Row<'_>) -> rusqlite::Result<Order> {
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
        addressee: row.get("addressee")?,
        express: row.get("express")?,
        companions: companions_of(row)?,
        preview: row.get("preview")?,
        price_minor: row.get("price_minor")?,
        currency: row.get("currency")?,
        people: json_of(row, "people")?,
        hold: hold_of(row)?,
        state: row.get("state")?,
        reason: row.get("reason")?,
        origin: row.get("origin")?,
        crop: json_of(row, "crop")?,
        remove_icon: row.get("remove_icon")?,
        price_max: json_of(row, "price_max")?,
        fallback: json_of(row, "fallback")?,
        instead_of: row.get("instead_of")?,
        created_at: Timestamp(row.get("created_ms")?),
        updated_at: Timestamp(row.get("updated_ms")?),
    })
}

/// One order by its key.
pub(super) fn find_order(db: &Connection, order_key: &str) -> rusqlite::Result<Option<Order>> {
    db.prepare_cached("SELECT * FROM orders WHERE order_key = ?1")?
        .query_map([order_key], order_of)?
        .next()
        .transpose()
}

/// Whether judging its photo again may change an order.
pub(super) fn is_open(db: &Connection, order_key: &str) -> rusqlite::Result<bool> {
    db.prepare_cached(&format!("SELECT {OPEN} FROM orders WHERE order_key = ?1"))?
        .query_row([order_key], |row| row.get(0))
}

/// Orders that judging their photo again may change: the owner has not decided, and no
/// grant was made, which is the first step of sending.
const OPEN: &str = "state IN ('ask', 'held', 'planned', 'ready', 'refused', 'cancelled')
    AND is_decided = 0
    AND NOT EXISTS (SELECT 1 FROM grants WHERE grants.order_key = orders.order_key)";

/// States of orders that count towards limits.
const COUNTED: &str = "('held', 'planned', 'ready', 'sent', 'accepted', 'fetching', 'production',
    'shipped', 'done')";

/// States of orders that their provider has.
const TOLD: &str = "('accepted', 'fetching', 'production', 'shipped', 'done')";

/// Why an order that nobody was told of is cancelled.
const WITHDRAWN: &str = "it is no longer asked for";

/// Moves an order on, if it is in one of `from`; tells whether it was.
pub(super) fn move_order(
    tx: &Connection,
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
    tx.prepare_cached(
        "UPDATE orders SET state = ?2, reason = ?3, updated_ms = ?4 WHERE order_key = ?1",
    )?
    .execute(params![order_key, to, note, now.0])?;
    log_event(tx, order_key, to, note, now)?;
    if to == OrderState::Ready {
        tx.prepare_cached(
            "INSERT INTO outbox (order_key, next_attempt_ms) VALUES (?1, ?2)
             ON CONFLICT DO UPDATE SET next_attempt_ms = excluded.next_attempt_ms",
        )?
        .execute(params![order_key, now.0])?;
    } else {
        tx.prepare_cached("DELETE FROM outbox WHERE order_key = ?1")?.execute([order_key])?;
    }
    Ok(true)
}

pub(super) fn log_event(
    tx: &Connection,
    order_key: &str,
    state: OrderState,
    note: &str,
    now: Timestamp,
) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO order_events (order_key, at_ms, state, note) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![order_key, now.0, state, note])?;
    Ok(())
}

/// Notes that the owner has decided about an order.
fn decide(tx: &Connection, order_key: &str) -> rusqlite::Result<()> {
    tx.execute("UPDATE orders SET is_decided = 1 WHERE order_key = ?1", [order_key])?;
    Ok(())
}

/// Writes an order as it is planned, new or in the place of what was planned before.
pub(super) fn put(tx: &Connection, order: &Order) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO orders (order_key, rule, revision, photo, collection, relative, provider,
             purpose, product, copies, addressee, express, companions, preview, price_minor,
             currency, people, held_from_ms, held_until_ms, state, reason, origin, crop, remove_icon,
             price_max, fallback, instead_of, created_ms, updated_ms)
         VALUES (:order_key, :rule, :revision, :photo, :collection, :relative, :provider,
             :purpose, :product, :copies, :addressee, :express, :companions, :preview,
             :price_minor, :currency, :people, :held_from_ms, :held_until_ms, :state, :reason,
             :origin, :crop, :remove_icon, :price_max, :fallback, :instead_of, :created_ms,
             :updated_ms)
         ON CONFLICT (order_key) DO UPDATE SET revision = excluded.revision,
             collection = excluded.collection, relative = excluded.relative,
             copies = excluded.copies, addressee = excluded.addressee,
             express = excluded.express, companions = excluded.companions,
             preview = excluded.preview, price_minor = excluded.price_minor,
             currency = excluded.currency, people = excluded.people,
             held_from_ms = excluded.held_from_ms, held_until_ms = excluded.held_until_ms,
             state = excluded.state, reason = excluded.reason,
             origin = excluded.origin, crop = excluded.crop, remove_icon = excluded.remove_icon,
             price_max = excluded.price_max, fallback = excluded.fallback,
             instead_of = excluded.instead_of, updated_ms = excluded.updated_ms",
    )?
    .execute(named_params! {
        ":order_key": order.order_key, ":rule": order.rule,
        ":revision": order.revision, ":photo": order.photo.as_bytes(),
        ":collection": order.collection, ":relative": order.relative,
        ":provider": order.provider, ":purpose": order.purpose,
        ":product": order.product, ":copies": order.copies,
        ":addressee": order.addressee, ":express": order.express,
        ":companions": order.companions.iter().map(|member| member.as_str()).collect::<Vec<_>>().join(","),
        ":preview": order.preview,
        ":price_minor": order.price_minor, ":currency": order.currency,
        ":people": json(&order.people),
        ":held_from_ms": order.hold.map(|hold| hold.from.0),
        ":held_until_ms": order.hold.map(|hold| hold.until.0),
        ":state": order.state, ":reason": order.reason, ":origin": order.origin,
        ":crop": json(&order.crop), ":remove_icon": order.remove_icon,
        ":price_max": json(&order.price_max), ":fallback": json(&order.fallback),
        ":instead_of": order.instead_of,
        ":created_ms": order.created_at.0, ":updated_ms": order.updated_at.0,
    })?;
    log_event(tx, &order.order_key, order.state, &order.reason, order.updated_at)?;
    let due = match order.state {
        OrderState::Ready => order.updated_at,
        OrderState::Held | OrderState::Planned => {
            order.hold.map_or(order.updated_at, |hold| hold.until)
        }
        _ => return Ok(()),
    };
    tx.prepare_cached("INSERT INTO outbox (order_key, next_attempt_ms) VALUES (?1, ?2)")?
        .execute(params![order.order_key, due.0])?;
    Ok(())
}

/// Texts and numbers, which JSON can always hold.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// What an order asks for, in words: `mug x 2 to a, express, with voice-memo`,
/// `share x 1, as 2048 webp`.
pub fn words(order: &Order) -> String {
    let what = order.product.as_deref().unwrap_or("share");
    let to = order.addressee.as_ref().map(|label| format!(" to {label}")).unwrap_or_default();
    let express = if order.express { ", express" } else { "" };
    let preview = order.preview.as_ref().map(|preview| format!(", as {preview}"));
    let preview = preview.unwrap_or_default();
    let with: String = order.companions.iter().map(|member| format!(", with {member}")).collect();
    format!("{what} x {}{to}{express}{preview}{with}", order.copies)
}

impl State {
    /// Keeps new orders, each with its outbox row when it is to go out. Keys that are known already
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
                if find_order(tx, &order.order_key)?.is_none() {
                    put(tx, &order)?;
                    new.push(order);
                }
            }
            Ok(new)
        })
    }

    /// Makes the orders of one photo what they are planned to be now. Orders that the owner
    /// decided about, or that are on their way, stay as they are.
    ///
    /// - `orders`: all that is planned for this photo
    ///
    /// # Errors
    /// As any write; then nothing was changed.
    pub fn replan(
        &self,
        photo: &ContentHash,
        orders: Vec<Order>,
        now: Timestamp,
    ) -> Result<Replanned, StoreError> {
        let known_count: i64 = self.read(|db| {
            db.prepare_cached("SELECT count(*) FROM orders WHERE photo = ?1")?
                .query_row([photo.as_bytes()], |row| row.get(0))
        })?;
        // Most photos have no orders; nothing has to be written for them.
        if orders.is_empty() && known_count == 0 {
            return Ok(Replanned::default());
        }
        self.write(|tx| {
            let before: Vec<(Order, bool)> = tx
                .prepare_cached(&format!(
                    "SELECT *, {OPEN} AS is_open FROM orders WHERE photo = ?1 ORDER BY order_key"
                ))?
                .query_map([photo.as_bytes()], |row| Ok((order_of(row)?, row.get("is_open")?)))?
                .collect::<Result<_, _>>()?;
            let mut replanned = Replanned::default();
            for (old, is_open) in &before {
                if orders.iter().any(|order| order.order_key == old.order_key) {
                    continue;
                }
                let key = &old.order_key;
                let predecessors = old.predecessors(&before);
                let first = orders.iter().find(|o| predecessors.contains(&o.order_key.as_str()));
                // In the place of one that is wished still: it stays, unless that one goes itself
                // now and nobody was told of this one.
                if let Some(first) = first {
                    let goes_itself = first.is_alive()
                        && !has_heir(&before, &first.order_key)
                        && before.iter().any(|(o, open)| *open && o.order_key == first.order_key);
                    if !(*is_open && goes_itself) {
                        continue;
                    }
                }
                match (is_open, old.state) {
                    (
                        true,
                        OrderState::Ask
                        | OrderState::Held
                        | OrderState::Planned
                        | OrderState::Ready,
                    ) => {
                        let from = [old.state];
                        move_order(tx, key, &from, OrderState::Cancelled, WITHDRAWN, now)?;
                        replanned.withdrawn.extend(find_order(tx, key)?);
                    }
                    // What was never to be sent needs no telling.
                    (true, OrderState::Refused) => {
                        let from = [OrderState::Refused];
                        move_order(tx, key, &from, OrderState::Cancelled, WITHDRAWN, now)?;
                    }
                    (false, OrderState::Cancelled | OrderState::Refused | OrderState::Failed) => {}
                    (false, OrderState::Ask | OrderState::Held | OrderState::Planned) => {}
                    (false, _) => {
                        let note = "stays ordered, although it is no longer asked for";
                        log_event(tx, key, old.state, note, now)?;
                        replanned.kept.push(old.clone());
                    }
                    _ => {}
                }
            }
            for mut order in orders {
                let old = before.iter().find(|(old, _)| old.order_key == order.order_key);
                let Some((old, is_open)) = old else {
                    put(tx, &order)?;
                    replanned.new.push(order);
                    continue;
                };
                (order.created_at, order.updated_at) = (old.created_at, old.updated_at);
                if *is_open && has_heir(&before, &order.order_key) {
                    continue;
                }
                if *is_open {
                    let same = Order {
                        revision: old.revision.clone(),
                        collection: old.collection.clone(),
                        relative: old.relative.clone(),
                        ..order.clone()
                    };
                    if same == *old {
                        continue;
                    }
                    order.updated_at = now;
                    tx.execute("DELETE FROM outbox WHERE order_key = ?1", [&order.order_key])?;
                    put(tx, &order)?;
                    replanned.changed.push(order);
                    continue;
                }
                let wish = |order: &Order| {
                    let (to, preview) = (order.addressee.clone(), order.preview.clone());
                    (order.copies, to, order.express, preview, order.companions.clone())
                };
                let is_alive = !matches!(old.state, OrderState::Cancelled | OrderState::Failed);
                if is_alive && wish(old) != wish(&order) {
                    let note = format!(
                        "stays as it was ordered, although {} is asked for now",
                        words(&order)
                    );
                    log_event(tx, &order.order_key, old.state, &note, now)?;
                    replanned.kept.push(old.clone());
                }
            }
            Ok(replanned)
        })
    }

    /// One order by its key.
    ///
    /// # Errors
    /// As any read.
    pub fn order(&self, order_key: &str) -> Result<Option<Order>, StoreError> {
        self.read(|db| find_order(db, order_key))
    }

    /// Whether a photo has orders that were not cancelled and did not fail.
    ///
    /// # Errors
    /// As any read.
    pub fn has_live_orders(&self, photo: &ContentHash) -> Result<bool, StoreError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT count(*) FROM orders WHERE photo = ?1
                 AND state NOT IN ('refused', 'failed', 'cancelled')",
            )?
            .query_row([photo.as_bytes()], |row| Ok(row.get::<_, i64>(0)? > 0))
        })
    }

    /// Orders of a photo that its provider was told of and did not turn down, oldest first.
    ///
    /// # Errors
    /// As any read.
    pub fn told_orders(&self, photo: &ContentHash) -> Result<Vec<Order>, StoreError> {
        self.read(|db| {
            db.prepare_cached(&format!(
                "SELECT * FROM orders WHERE photo = ?1 AND state IN {TOLD}
                 ORDER BY created_ms, order_key",
            ))?
            .query_map([photo.as_bytes()], order_of)?
            .collect()
        })
    }

    /// What happened to an order, oldest first: when, the state it was in then, and why.
    ///
    /// # Errors
    /// As any read.
    pub fn order_events(
        &self,
        order_key: &str,
    ) -> Result<Vec<(Timestamp, OrderState, String)>, StoreError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT at_ms, state, note FROM order_events WHERE order_key = ?1 ORDER BY event_seq",
            )?
            .query_map([order_key], |row| Ok((Timestamp(row.get(0)?), row.get(1)?, row.get(2)?)))?
            .collect()
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

    /// All orders of a photo, oldest first.
    ///
    /// # Errors
    /// As any read.
    pub fn orders_of(&self, photo: &ContentHash) -> Result<Vec<Order>, StoreError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT * FROM orders WHERE photo = ?1 ORDER BY created_ms, order_key",
            )?
            .query_map([photo.as_bytes()], order_of)?
            .collect()
        })
    }

    /// Keys of orders that the owner took back: they stay so, whatever rules say.
    ///
    /// # Errors
    /// As any read.
    pub fn orders_taken_back(&self) -> Result<BTreeSet<String>, StoreError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT order_key FROM orders WHERE state = 'cancelled' AND is_decided = 1",
            )?
            .query_map([], |row| row.get(0))?
            .collect()
        })
    }

    /// What counts towards a provider's limits, but for those orders of a photo that are
    /// planned anew with it.
    ///
    /// # Errors
    /// As any read.
    pub fn usage(
        &self,
        provider: &str,
        photo: &ContentHash,
        now: Timestamp,
    ) -> Result<Usage, StoreError> {
        self.read(|db| {
            db.prepare_cached(&format!(
                "SELECT coalesce(sum(created_ms >= ?2), 0), coalesce(sum(price_minor), 0)
                 FROM orders WHERE provider = ?1 AND created_ms >= ?3
                 AND state IN {COUNTED} AND NOT (photo = ?4 AND {OPEN})",
            ))?
            .query_row(
                params![provider, now.day_start().0, now.month_start().0, photo.as_bytes()],
                |row| Ok(Usage { orders_count_day: row.get(0)?, spent_minor_month: row.get(1)? }),
            )
        })
    }

    /// What the orders that fall under a limit came to since the month began, but for those of a
    /// photo that are planned anew with it.
    ///
    /// - `currency`: what their prices are added up in
    ///
    /// # Errors
    /// As any read.
    pub fn spent(
        &self,
        of: &OrderFilter,
        currency: &str,
        photo: &ContentHash,
        now: Timestamp,
    ) -> Result<Spent, StoreError> {
        self.read(|db| {
            db.prepare_cached(&format!(
                "SELECT count(*), coalesce(sum(copies), 0),
                     coalesce(sum(price_minor) FILTER (WHERE currency = :currency), 0)
                 FROM orders WHERE created_ms >= :month
                 AND state IN {COUNTED} AND NOT (photo = :photo AND {OPEN})
                 AND (:rules = '[]' OR rule IN (SELECT value FROM json_each(:rules)))
                 AND (:providers = '[]' OR provider IN (SELECT value FROM json_each(:providers)))
                 AND (:products = '[]' OR product IN (SELECT value FROM json_each(:products)))
                 AND (:people = '[]' OR EXISTS (SELECT 1 FROM json_each(orders.people) AS seen
                     WHERE seen.value IN (SELECT value FROM json_each(:people))))
                 AND (:addressees = '[]'
                     OR coalesce(addressee, '') IN (SELECT value FROM json_each(:addressees)))",
            ))?
            .query_row(
                named_params! {
                    ":currency": currency,
                    ":month": now.month_start().0,
                    ":photo": photo.as_bytes(),
                    ":rules": json(&of.rules),
                    ":providers": json(&of.providers),
                    ":products": json(&of.products),
                    ":people": json(&of.people),
                    ":addressees": json(&of.addressees),
                },
                |row| {
                    let (orders_count, copies_count) = (row.get(0)?, row.get(1)?);
                    Ok(Spent { orders_count, copies_count, minor: row.get(2)? })
                },
            )
        })
    }

    /// When parcels close that orders still wait for, by provider and addressee.
    ///
    /// # Errors
    /// As any read.
    pub fn parcels_closing(
        &self,
    ) -> Result<BTreeMap<(String, Option<String>), Timestamp>, StoreError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT provider, addressee, min(held_until_ms) FROM orders
                 WHERE state = 'planned' GROUP BY provider, addressee",
            )?
            .query_map([], |row| Ok(((row.get(0)?, row.get(1)?), Timestamp(row.get(2)?))))?
            .collect()
        })
    }

    /// Since when the orders of a photo are held that may still be planned anew, by their keys.
    ///
    /// # Errors
    /// As any read.
    pub fn held_since(
        &self,
        photo: &ContentHash,
    ) -> Result<BTreeMap<String, Timestamp>, StoreError> {
        self.read(|db| {
            db.prepare_cached(&format!(
                "SELECT order_key, held_from_ms FROM orders WHERE photo = ?1
                 AND state IN ('held', 'planned', 'ready') AND held_from_ms IS NOT NULL AND {OPEN}"
            ))?
            .query_map([photo.as_bytes()], |row| Ok((row.get(0)?, Timestamp(row.get(1)?))))?
            .collect()
        })
    }

    /// Orders whose turn to be sent has come, the longest waiting first.
    ///
    /// - `resting`: providers whose orders have to wait
    ///
    /// # Errors
    /// As any read.
    pub fn outbox_due(
        &self,
        now: Timestamp,
        orders_max: u32,
        resting: &[String],
    ) -> Result<Vec<Due>, StoreError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT orders.*, attempts_count FROM outbox JOIN orders USING (order_key)
                 WHERE next_attempt_ms <= ?1
                 AND provider NOT IN (SELECT value FROM json_each(?3))
                 ORDER BY next_attempt_ms LIMIT ?2",
            )?
            .query_map(params![now.0, orders_max, json(&resting)], |row| {
                Ok(Due {
                    order: order_of(row)?,
                    attempts_count: row.get("attempts_count")?,
                    parcel_key: row.get("parcel_key")?,
                })
            })?
            .collect()
        })
    }

    /// Orders that are due, wait to be sent, and could go in one parcel with this one.
    ///
    /// # Errors
    /// As any read.
    pub fn outbox_beside(
        &self,
        order: &Order,
        now: Timestamp,
        orders_max: u32,
    ) -> Result<Vec<Order>, StoreError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT orders.* FROM outbox JOIN orders USING (order_key)
                 WHERE next_attempt_ms <= ?1 AND parcel_key IS NULL AND provider = ?2
                 AND coalesce(addressee, '') = ?3 AND express = ?4 AND purpose = ?5
                 AND currency = ?6 ORDER BY order_key LIMIT ?7",
            )?
            .query_map(
                params![
                    now.0,
                    order.provider,
                    order.addressee.as_deref().unwrap_or_default(),
                    order.express,
                    order.purpose,
                    order.currency,
                    orders_max
                ],
                order_of,
            )?
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
    /// The outbox follows: `ready` enters it, every other state leaves it. An order that is
    /// cancelled this way stays so, whatever its photo's icons say later.
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
        self.write(|tx| {
            let moved = move_order(tx, order_key, from, to, note, now)?;
            if moved && to == OrderState::Cancelled {
                decide(tx, order_key)?;
            }
            Ok(moved)
        })
    }

    /// Lets an order go ahead at once that asked, was held, refused or failed, at the price agreed now;
    /// tells whether it was in such a state, and no other order lives in its place.
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
        let from = [
            OrderState::Ask,
            OrderState::Held,
            OrderState::Planned,
            OrderState::Refused,
            OrderState::Failed,
        ];
        self.write(|tx| {
            let (ready, note) = (OrderState::Ready, "approved by the owner");
            let moved = find_heir(tx, order_key)?.is_none()
                && move_order(tx, order_key, &from, ready, note, now)?;
            if moved {
                decide(tx, order_key)?;
                tx.execute(
                    "UPDATE orders SET price_minor = ?2, currency = ?3, parcel_key = NULL,
                         rounds = rounds + (parcel_key IS NOT NULL)
                     WHERE order_key = ?1",
                    params![order_key, price_minor, currency],
                )?;
                let again = tx
                    .prepare_cached(
                        "UPDATE grants SET revoked_ms = NULL, revoked_why = NULL
                         WHERE order_key = ?1 AND revoked_why = ?2 RETURNING *",
                    )?
                    .query_map([order_key, REPLACED], grant_of)?
                    .collect::<rusqlite::Result<Vec<_>>>()?;
                for grant in &again {
                    append_leaf(tx, &AgentLeaf::granted(grant))?;
                }
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

#[cfg(test)]
#[path = "orders/tests.rs"]
mod tests;
