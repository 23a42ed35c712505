//! Sealed copies that wait at the hub, and what providers took of them: operations of [`State`].
//!
//! INVARIANT: what was taken is booked once for each proof of a provider, in the transaction that keeps
//! the proof's name. A hub that tells of it again tells nothing new.

use rusqlite::{OptionalExtension, params};

use super::db::StoreError;
use super::grants::{
    Delivered, Entry, GrantRow, RANGES_PER_GRANT_MAX, finish_delivery, grant_of, record_access,
    signed,
};
use super::leaf::Way;
use super::state::State;
use crate::base::clock::Timestamp;
use crate::base::ids::ContentHash;

pub(super) const SCHEMA: &str = "
-- Sealed copies at the hub. `dropped_ms`: when the hub said that it has it no more.
CREATE TABLE copies (
    grant_id TEXT PRIMARY KEY REFERENCES grants,
    staged_ms INTEGER NOT NULL,
    dropped_ms INTEGER
) STRICT;
CREATE INDEX copies_there ON copies (grant_id) WHERE dropped_ms IS NULL;
-- Proofs of what was taken of them and is booked, by their SHA-256.
CREATE TABLE takings (
    name BLOB PRIMARY KEY,
    grant_id TEXT NOT NULL REFERENCES grants,
    at_ms INTEGER NOT NULL
) STRICT;
";

/// A copy that lies at the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyRow {
    /// Of which grant.
    pub grant_id: String,
    /// Whose grant that is.
    pub provider: String,
    /// Its order is over, the grant was taken back or has expired: nobody needs it any more.
    pub is_over: bool,
}

/// The states of an order in which its provider still fetches.
const FETCHED_IN: &str = "('ready', 'sent', 'accepted', 'fetching')";

impl State {
    /// Grants of a provider that a hub has, that were not delivered and of which no copy was ever given
    /// to it; oldest first.
    ///
    /// - `base_url`: where they are fetched there
    ///
    /// # Errors
    /// As any read.
    pub fn grants_without_copy(
        &self,
        provider: &str,
        base_url: &str,
        now: Timestamp,
        count_max: u32,
    ) -> Result<Vec<GrantRow>, StoreError> {
        self.read(|db| {
            db.prepare_cached(&format!(
                "SELECT grants.* FROM grants JOIN offers USING (grant_id)
                     JOIN orders ON orders.order_key = grants.order_key
                 WHERE grants.provider = ?4 AND offers.withdrawn_ms IS NULL
                     AND offered_ms IS NOT NULL AND base_url = ?1
                     AND revoked_ms IS NULL AND expires_ms > ?2 AND orders.state IN {FETCHED_IN}
                     AND NOT EXISTS (SELECT 1 FROM copies WHERE copies.grant_id = grants.grant_id)
                     AND NOT EXISTS
                         (SELECT 1 FROM delivered WHERE delivered.grant_id = grants.grant_id)
                 ORDER BY issued_ms, grants.order_key, place LIMIT ?3"
            ))?
            .query_map(params![base_url, now.0, count_max, provider], grant_of)?
            .collect()
        })
    }

    /// The hub has a copy now.
    ///
    /// # Errors
    /// As any write.
    pub fn note_copy(&self, grant_id: &str, now: Timestamp) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.execute(
                "INSERT INTO copies (grant_id, staged_ms) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                params![grant_id, now.0],
            )?;
            Ok(())
        })
    }

    /// When a copy was given to the hub, if one ever was.
    ///
    /// # Errors
    /// As any read.
    pub fn copied_at(&self, grant_id: &str) -> Result<Option<Timestamp>, StoreError> {
        self.read(|db| {
            db.prepare_cached("SELECT staged_ms FROM copies WHERE grant_id = ?1")?
                .query_row([grant_id], |row| row.get(0).map(Timestamp))
                .optional()
        })
    }

    /// Copies that lie at the hub.
    ///
    /// # Errors
    /// As any read.
    pub fn copies(&self, now: Timestamp) -> Result<Vec<CopyRow>, StoreError> {
        self.read(|db| {
            db.prepare_cached(&format!(
                "SELECT copies.grant_id, grants.provider, revoked_ms IS NOT NULL
                     OR expires_ms <= ?1 OR orders.state NOT IN {FETCHED_IN} AS is_over
                 FROM copies JOIN grants USING (grant_id)
                     JOIN orders ON orders.order_key = grants.order_key
                 WHERE dropped_ms IS NULL ORDER BY staged_ms, copies.grant_id"
            ))?
            .query_map([now.0], |row| {
                Ok(CopyRow {
                    grant_id: row.get("grant_id")?,
                    provider: row.get("provider")?,
                    is_over: row.get("is_over")?,
                })
            })?
            .collect()
        })
    }

    /// The hub has copies no more.
    ///
    /// # Errors
    /// As any write.
    pub fn note_copies_dropped(&self, grants: &[String], now: Timestamp) -> Result<(), StoreError> {
        self.write(|tx| {
            for grant_id in grants {
                tx.prepare_cached("UPDATE copies SET dropped_ms = ?2 WHERE grant_id = ?1")?
                    .execute(params![grant_id, now.0])?;
            }
            Ok(())
        })
    }

    /// Whether a provider's proof of what it took is booked.
    ///
    /// # Errors
    /// As any read.
    pub fn is_booked(&self, name: &ContentHash) -> Result<bool, StoreError> {
        self.read(|db| {
            db.prepare_cached("SELECT EXISTS (SELECT 1 FROM takings WHERE name = ?1)")?
                .query_row([name.as_bytes()], |row| row.get(0))
        })
    }

    /// A provider's proof is booked; for those that are about no bytes.
    ///
    /// # Errors
    /// As any write.
    pub fn note_booked(
        &self,
        name: &ContentHash,
        grant_id: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.execute(
                "INSERT INTO takings VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                params![name.as_bytes(), grant_id, now.0],
            )?;
            Ok(())
        })
    }

    /// Books bytes that a provider took of a copy, once for each proof, as if they had been sent from
    /// here. When with them the whole member was delivered, the access and its posting are recorded in
    /// the same transaction, once for each grant. `None` when the proof was booked before, or the
    /// member was fetched in too many pieces.
    ///
    /// # Errors
    /// As any write, or when the entries do not add up to zero; then nothing was booked.
    pub fn book_taking(
        &self,
        grant: &GrantRow,
        name: &ContentHash,
        bytes: std::ops::Range<u64>,
        (entries, way): (&[Entry], &Way),
        now: Timestamp,
    ) -> Result<Option<Delivered>, StoreError> {
        self.write(|tx| {
            let is_new = tx
                .execute(
                    "INSERT INTO takings VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                    params![name.as_bytes(), grant.grant_id, now.0],
                )
                .map(|kept| kept == 1)?;
            let ranges_count: u32 = tx
                .prepare_cached("SELECT count(*) FROM deliveries WHERE grant_id = ?1")?
                .query_row([&grant.grant_id], |row| row.get(0))?;
            if !is_new || ranges_count >= RANGES_PER_GRANT_MAX {
                return Ok(None);
            }
            tx.prepare_cached(
                "INSERT INTO deliveries (grant_id, start_byte, end_byte) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![
                grant.grant_id,
                signed(bytes.start),
                signed(bytes.end)
            ])?;
            let delivery = tx.last_insert_rowid();
            Ok(Some(match finish_delivery(tx, grant, delivery)? {
                true => Delivered::Whole { first: record_access(tx, grant, entries, way, now)? },
                false => Delivered::Part,
            }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::tests::{NOW, grant, order};
    use super::*;
    use crate::store::{GrantOffer, OrderState};

    const HUB: &str = "https://hub.example/o/a";

    fn state_with_grant() -> (State, GrantRow) {
        let state = State::in_memory().expect("a store");
        let (order, grant) = (order("k", OrderState::Ready), grant("k", 100));
        let offer = GrantOffer {
            grant_id: grant.grant_id.clone(),
            order_key: "k".into(),
            base_url: HUB.into(),
            provider: "lab".into(),
            service_percent: 20,
            offered_at: None,
            withdrawn_at: None,
        };
        state.put_grant_offers(&[offer]).expect("kept");
        state.put_orders(vec![order.clone()]).expect("kept");
        state.put_grants(&order, std::slice::from_ref(&grant), &[], NOW).expect("kept");
        (state, grant)
    }

    #[test]
    fn grant_gets_a_copy_once_the_hub_has_it_and_drops_it_when_it_is_over() {
        let (state, grant) = state_with_grant();
        let wanted = |base_url| {
            let wanted =
                state.grants_without_copy(&grant.provider, base_url, NOW, 9).expect("read");
            wanted.into_iter().map(|grant| grant.grant_id).collect::<Vec<_>>()
        };
        assert!(wanted(HUB).is_empty(), "the hub does not have it yet");
        state.note_offered(&grant.grant_id, HUB, NOW).expect("kept");
        assert!(wanted("https://other.example/o/a").is_empty());
        assert!(state.grants_without_copy("other", HUB, NOW, 9).expect("read").is_empty());
        assert_eq!(wanted(HUB), std::slice::from_ref(&grant.grant_id));
        state.note_copy(&grant.grant_id, NOW).expect("kept");
        assert!(wanted(HUB).is_empty());
        assert_eq!(state.copied_at(&grant.grant_id).expect("read"), Some(NOW));
        let is_over = || state.copies(NOW).expect("read").first().map(|copy| copy.is_over);
        assert_eq!(is_over(), Some(false));
        let expired = state.copies(grant.expires_at).expect("read");
        assert!(expired.iter().all(|copy| copy.is_over));
        state.revoke(None, "by the owner", NOW).expect("revoked");
        assert_eq!(is_over(), Some(true));
        state.note_copies_dropped(std::slice::from_ref(&grant.grant_id), NOW).expect("kept");
        assert_eq!(is_over(), None);
        assert!(wanted(HUB).is_empty());
    }

    #[test]
    fn what_was_taken_adds_up_to_one_access_however_often_it_is_told() {
        let (state, grant) = state_with_grant();
        let way = Way::Staged("lab".into());
        let entry = |account: &str, minor| Entry { account: account.into(), minor };
        let entries = [entry("provider:lab", 25), entry("owner", -25)];
        let name = |text: &str| ContentHash::of(text.as_bytes());
        let book = |proof: &str, bytes: std::ops::Range<u64>| {
            let booked = state.book_taking(&grant, &name(proof), bytes, (&entries, &way), NOW);
            booked.expect("booked")
        };
        let whole = grant.bytes_count;
        assert_eq!(book("p", 0..40), Some(Delivered::Part));
        // The part between was sent from here.
        let id = state.delivery_opened(&grant.grant_id, 40, 60).expect("opened").expect("a row");
        let sent = state.delivered(&grant, id, &entries, &Way::Hub("lab".into()), NOW);
        assert_eq!(sent.expect("kept"), Delivered::Part);
        assert_eq!(book("q", 60..whole), Some(Delivered::Whole { first: true }));
        assert_eq!(book("q", 60..whole), None, "told again");
        assert_eq!(book("r", 0..whole), Some(Delivered::Whole { first: false }), "taken again");
        assert!(state.is_booked(&name("q")).expect("read"));
        assert_eq!(state.accesses(Timestamp(0), NOW.plus_millis(1)).expect("read").len(), 1);
        assert_eq!(state.ledger_sum().expect("read"), 0);
        // After the provider had other bytes, the old proofs do not stand in for another delivery.
        state.reverse_access(&grant, "other bytes", NOW).expect("posted back");
        assert_eq!(book("p", 0..whole), None);
        assert_eq!(book("q", 0..whole), None);
    }
}
