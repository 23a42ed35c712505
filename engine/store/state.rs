//! `state.sqlite`: what must survive anything. Orders, outbox, grants, access log, ledger.
//!
//! Opened with full durability. Several processes may use it at once (the agent and short
//! commands); every operation is one transaction, so each finds the others' work whole.
//!
//! INVARIANT: an order that is `ready`, `held`, `planned` or `sent` has an outbox row, written in
//! the same transaction; of a held or planned one it is due when its time is over.
//! INVARIANT: an access and its posting are written in the same transaction, once a grant.
//! INVARIANT: postings balance, and neither they nor accesses are ever changed or deleted;
//! the database itself refuses (triggers below).
//!
//! The operations are methods of [`State`], spread over `orders`, `parcels`, `grants`, `offers`,
//! `copies`, `corrections` and `log`.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use super::db::{self, Durability, StoreError};
use super::gather::Gather;
use super::readers::Readers;
use crate::base::clock::Timestamp;

pub(super) const MIGRATIONS: &[&str] = &[
    "
CREATE TABLE collections (
    name TEXT PRIMARY KEY,
    first_started_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE flags (name TEXT PRIMARY KEY, at_ms INTEGER NOT NULL) STRICT;

CREATE TABLE orders (
    order_key TEXT PRIMARY KEY,
    rule TEXT NOT NULL,
    revision TEXT NOT NULL,
    photo BLOB NOT NULL,
    collection TEXT NOT NULL,
    relative TEXT NOT NULL,
    provider TEXT NOT NULL,
    purpose TEXT NOT NULL,
    product TEXT,
    copies INTEGER NOT NULL CHECK (copies > 0),
    price_minor INTEGER NOT NULL CHECK (price_minor >= 0),
    currency TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX orders_by_provider ON orders (provider, created_ms);
CREATE INDEX orders_by_photo ON orders (photo);

CREATE TABLE order_events (
    event_seq INTEGER PRIMARY KEY,
    order_key TEXT NOT NULL REFERENCES orders,
    at_ms INTEGER NOT NULL,
    state TEXT NOT NULL,
    note TEXT NOT NULL
) STRICT;

CREATE TABLE outbox (
    order_key TEXT PRIMARY KEY REFERENCES orders,
    attempts_count INTEGER NOT NULL DEFAULT 0,
    next_attempt_ms INTEGER NOT NULL,
    last_error TEXT
) STRICT;
CREATE INDEX outbox_by_time ON outbox (next_attempt_ms);

CREATE TABLE grants (
    grant_id TEXT PRIMARY KEY,
    order_key TEXT NOT NULL REFERENCES orders,
    provider TEXT NOT NULL,
    member TEXT NOT NULL,
    photo BLOB NOT NULL,
    digest BLOB NOT NULL,
    bytes_count INTEGER NOT NULL CHECK (bytes_count > 0),
    media_type TEXT NOT NULL,
    token TEXT NOT NULL,
    fee_minor INTEGER NOT NULL CHECK (fee_minor >= 0),
    currency TEXT NOT NULL,
    issued_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    revoked_ms INTEGER,
    revoked_why TEXT,
    UNIQUE (order_key, member)
) STRICT;

-- Bytes handed to a provider. While a response is under way its row is open; what a crash
-- left open counts as sent whole (see `grants`).
CREATE TABLE deliveries (
    delivery_id INTEGER PRIMARY KEY,
    grant_id TEXT NOT NULL REFERENCES grants,
    start_byte INTEGER NOT NULL,
    end_byte INTEGER NOT NULL CHECK (end_byte >= start_byte),
    under_way INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX deliveries_by_grant ON deliveries (grant_id);

CREATE TABLE accesses (
    grant_id TEXT PRIMARY KEY REFERENCES grants,
    order_key TEXT NOT NULL,
    provider TEXT NOT NULL,
    member TEXT NOT NULL,
    photo BLOB NOT NULL,
    bytes_count INTEGER NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE refusals (
    minute INTEGER NOT NULL,
    remote TEXT NOT NULL,
    grant_id TEXT NOT NULL,
    reason TEXT NOT NULL,
    tries_count INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (minute, remote, grant_id, reason)
) STRICT;

-- One balanced set of entries. `entries` is JSON: [{\"account\": text, \"minor\": integer}].
CREATE TABLE postings (
    posting_id TEXT PRIMARY KEY,
    grant_id TEXT NOT NULL UNIQUE REFERENCES accesses,
    currency TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    entries TEXT NOT NULL CHECK (json_valid(entries))
) STRICT;
CREATE VIEW entries AS
    SELECT posting_id, grant_id, currency, at_ms,
           json_extract(value, '$.account') AS account,
           json_extract(value, '$.minor') AS minor
    FROM postings, json_each(postings.entries);

CREATE TRIGGER postings_balance BEFORE INSERT ON postings BEGIN
    SELECT RAISE(ABORT, 'entries of a posting must add up to zero') WHERE 0 <>
        (SELECT coalesce(sum(json_extract(value, '$.minor')), 1) FROM json_each(NEW.entries));
    SELECT RAISE(ABORT, 'an entry needs an account and whole minor units') WHERE EXISTS
        (SELECT 1 FROM json_each(NEW.entries)
         WHERE json_type(value, '$.account') IS NOT 'text'
            OR json_type(value, '$.minor') IS NOT 'integer');
END;
CREATE TRIGGER postings_never_change BEFORE UPDATE ON postings BEGIN
    SELECT RAISE(ABORT, 'postings are never changed'); END;
CREATE TRIGGER postings_never_go BEFORE DELETE ON postings BEGIN
    SELECT RAISE(ABORT, 'postings are never deleted'); END;
CREATE TRIGGER accesses_never_change BEFORE UPDATE ON accesses BEGIN
    SELECT RAISE(ABORT, 'accesses are never changed'); END;
CREATE TRIGGER accesses_never_go BEFORE DELETE ON accesses BEGIN
    SELECT RAISE(ABORT, 'accesses are never deleted'); END;
",
    "
-- `origin`: why it was planned; `reason` says why it is in its state. `is_decided`: the
-- owner said yes or no, so judging its photo again changes nothing about it.
ALTER TABLE orders ADD COLUMN addressee TEXT;
ALTER TABLE orders ADD COLUMN express INTEGER NOT NULL DEFAULT 0;
ALTER TABLE orders ADD COLUMN origin TEXT NOT NULL DEFAULT '';
ALTER TABLE orders ADD COLUMN is_decided INTEGER NOT NULL DEFAULT 0;
UPDATE orders SET
    origin = coalesce((SELECT note FROM order_events WHERE order_key = orders.order_key
                       ORDER BY event_seq LIMIT 1), reason),
    is_decided = state = 'cancelled' OR EXISTS
        (SELECT 1 FROM order_events WHERE order_key = orders.order_key
         AND note = 'approved by the owner');
",
    "
ALTER TABLE orders ADD COLUMN preview TEXT;
",
    "
-- An order has several members, of one kind too: the table is made anew without its rule of
-- one grant for each kind. `offset`: the member is a part of the photo's file. `place`: 0 is
-- the photo itself.
ALTER TABLE orders ADD COLUMN companions TEXT NOT NULL DEFAULT '';
PRAGMA defer_foreign_keys = ON;
CREATE TABLE grants_before AS SELECT * FROM grants;
DROP TABLE grants;
CREATE TABLE grants (
    grant_id TEXT PRIMARY KEY,
    order_key TEXT NOT NULL REFERENCES orders,
    provider TEXT NOT NULL,
    member TEXT NOT NULL,
    name TEXT NOT NULL,
    evidence TEXT,
    place INTEGER NOT NULL,
    photo BLOB NOT NULL,
    digest BLOB NOT NULL,
    offset INTEGER,
    bytes_count INTEGER NOT NULL CHECK (bytes_count > 0),
    media_type TEXT NOT NULL,
    token TEXT NOT NULL,
    fee_minor INTEGER NOT NULL CHECK (fee_minor >= 0),
    currency TEXT NOT NULL,
    issued_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    revoked_ms INTEGER,
    revoked_why TEXT,
    UNIQUE (order_key, place)
) STRICT;
INSERT INTO grants (grant_id, order_key, provider, member, name, place, photo, digest, bytes_count,
        media_type, token, fee_minor, currency, issued_ms, expires_ms, revoked_ms, revoked_why)
    SELECT grant_id, order_key, provider, member, '', 0, photo, digest, bytes_count, media_type,
        token, fee_minor, currency, issued_ms, expires_ms, revoked_ms, revoked_why
    FROM grants_before;
DROP TABLE grants_before;

-- The signed list of members that goes with an order: the same at every try.
CREATE TABLE manifests (order_key TEXT PRIMARY KEY REFERENCES orders, jws TEXT NOT NULL) STRICT;
",
    "
-- `people`: JSON list of names. An order that is held goes out when its time is over.
ALTER TABLE orders ADD COLUMN people TEXT NOT NULL DEFAULT '[]';
ALTER TABLE orders ADD COLUMN held_from_ms INTEGER;
ALTER TABLE orders ADD COLUMN held_until_ms INTEGER;
CREATE INDEX orders_by_time ON orders (created_ms);
",
    "
-- What a provider is sent at once. `remote`: its own name of it. `rounds`: how often the owner let
-- an order go anew after it had failed. `quoted_minor`: what a provider wanted when it was asked.
CREATE TABLE parcels (
    parcel_key TEXT PRIMARY KEY,
    provider TEXT NOT NULL,
    remote TEXT,
    sent_ms INTEGER NOT NULL,
    taken_ms INTEGER,
    looked_ms INTEGER,
    next_look_ms INTEGER,
    cancel_asked_ms INTEGER
) STRICT;
CREATE INDEX parcels_by_look ON parcels (next_look_ms);
ALTER TABLE orders ADD COLUMN parcel_key TEXT REFERENCES parcels;
ALTER TABLE orders ADD COLUMN quoted_minor INTEGER;
ALTER TABLE orders ADD COLUMN rounds INTEGER NOT NULL DEFAULT 0;
CREATE INDEX orders_by_parcel ON orders (parcel_key);
CREATE INDEX orders_planned ON orders (provider, addressee, held_until_ms) WHERE state = 'planned';
",
    "
-- JSON: `crop` a part of the photo or null, `price_max` money or null, `fallback` a list of names.
-- `instead_of`: key of the order at another provider in whose place this one is.
ALTER TABLE orders ADD COLUMN crop TEXT NOT NULL DEFAULT 'null';
ALTER TABLE orders ADD COLUMN remove_icon INTEGER NOT NULL DEFAULT 0;
ALTER TABLE orders ADD COLUMN price_max TEXT NOT NULL DEFAULT 'null';
ALTER TABLE orders ADD COLUMN fallback TEXT NOT NULL DEFAULT '[]';
ALTER TABLE orders ADD COLUMN instead_of TEXT;
CREATE INDEX orders_instead ON orders (instead_of) WHERE instead_of IS NOT NULL;
",
    "
-- Bytes that were sent under a grant whose address is passed from hand to hand.
CREATE TABLE fetches (
    grant_id TEXT PRIMARY KEY REFERENCES grants,
    bytes_count INTEGER NOT NULL
) STRICT;
",
    super::offers::SCHEMA,
    super::corrections::SCHEMA,
    super::log::SCHEMA,
    super::tellings::SCHEMA,
    super::copies::SCHEMA,
];

/// The database of everything that must not be lost.
#[derive(Debug)]
pub struct State {
    writer: Gather,
    /// Reads wait for no commit. `None`: it lives in memory, where nobody else can look.
    readers: Option<Readers>,
}

impl State {
    /// Opens it, makes it or brings it to this version.
    ///
    /// # Errors
    /// A full or read-only disk, a damaged file, or one written by a newer Signet.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut connection = db::open(path, Durability::Full, MIGRATIONS)?;
        super::log::begin(&mut connection)?;
        Ok(Self { writer: Gather::new(connection), readers: Some(Readers::new(path)) })
    }

    /// One that lives in memory, for tests.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn in_memory() -> Result<Self, StoreError> {
        let mut connection = db::open_in_memory(MIGRATIONS)?;
        super::log::begin(&mut connection)?;
        Ok(Self { writer: Gather::new(connection), readers: None })
    }

    /// Remembers when a collection was first watched, and tells when that was.
    ///
    /// Photos that were there before that moment order nothing by themselves.
    ///
    /// # Errors
    /// As any write.
    pub fn collection_started(&self, name: &str, now: Timestamp) -> Result<Timestamp, StoreError> {
        self.write(|tx| {
            tx.execute(
                "INSERT INTO collections VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                params![name, now.0],
            )?;
            let first = tx.query_row(
                "SELECT first_started_ms FROM collections WHERE name = ?1",
                [name],
                |row| row.get(0),
            )?;
            Ok(Timestamp(first))
        })
    }

    /// Throws the kill switch, or lifts it.
    ///
    /// # Errors
    /// As any write.
    pub fn set_stopped(&self, stopped: bool, now: Timestamp) -> Result<(), StoreError> {
        self.write(|tx| {
            if stopped {
                tx.execute(
                    "INSERT INTO flags VALUES ('stopped', ?1) ON CONFLICT DO NOTHING",
                    [now.0],
                )?;
            } else {
                tx.execute("DELETE FROM flags WHERE name = 'stopped'", [])?;
            }
            Ok(())
        })
    }

    /// Since when the kill switch is thrown, if it is.
    ///
    /// # Errors
    /// As any read.
    pub fn stopped_since(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(|db| {
            db.query_row("SELECT at_ms FROM flags WHERE name = 'stopped'", [], |row| {
                row.get(0).map(Timestamp)
            })
            .optional()
        })
    }

    /// Changes whenever another process wrote; cheap enough to ask every moment.
    ///
    /// # Errors
    /// As any read.
    pub fn foreign_changes(&self) -> Result<i64, StoreError> {
        self.writer.write(|db| db.query_row("PRAGMA data_version", [], |row| row.get(0)))
    }

    /// Runs SQLite's own check of the file.
    ///
    /// # Errors
    /// As any read.
    pub fn integrity(&self) -> Result<String, StoreError> {
        self.read(|db| db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)))
    }

    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        match &self.readers {
            Some(readers) => readers.read(work),
            None => self.writer.write(work),
        }
    }

    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.writer.write(work)
    }
}

#[cfg(test)]
#[path = "state/tests.rs"]
pub(super) mod tests;
