//! Grants that a hub was told of, so that they are fetched there: operations of [`State`].
//!
//! INVARIANT: a row is there before the hub hears of the grant. So whatever is revoked meanwhile,
//! also while the hub is away or this computer off, is taken back there as soon as it can be.
//! INVARIANT: which way an order goes is decided with its grants and stays, unless the hub itself
//! is left.

use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;

use super::db::StoreError;
use super::state::State;
use crate::base::clock::Timestamp;

pub(super) const SCHEMA: &str = "
-- Grants that go by a hub. `offered_ms`: when the hub said that it has it. `withdrawn_ms`: when it
-- said that it took it back. Kept before the grant itself, so that no grant is made without.
CREATE TABLE offers (
    grant_id TEXT PRIMARY KEY,
    order_key TEXT NOT NULL,
    base_url TEXT NOT NULL,
    provider TEXT NOT NULL,
    service_percent INTEGER NOT NULL CHECK (service_percent BETWEEN 0 AND 100),
    offered_ms INTEGER,
    withdrawn_ms INTEGER
) STRICT;
CREATE INDEX offers_by_order ON offers (order_key);
CREATE INDEX offers_in_force ON offers (grant_id) WHERE withdrawn_ms IS NULL;
";

/// That a grant goes by a hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GrantOffer {
    /// The grant.
    pub grant_id: String,
    /// Its order.
    pub order_key: String,
    /// Where the provider reaches this computer there, no slash at the end.
    pub base_url: String,
    /// Name of the provider at the hub.
    pub provider: String,
    /// Part of the fee that the service keeps there, 0 to 100.
    pub service_percent: u8,
    /// When the hub said that it has it.
    pub offered_at: Option<Timestamp>,
    /// When the hub said that it took it back.
    pub withdrawn_at: Option<Timestamp>,
}

fn offer_of(row: &Row<'_>) -> rusqlite::Result<GrantOffer> {
    Ok(GrantOffer {
        grant_id: row.get("grant_id")?,
        order_key: row.get("order_key")?,
        base_url: row.get("base_url")?,
        provider: row.get("provider")?,
        service_percent: row.get("service_percent")?,
        offered_at: row.get::<_, Option<i64>>("offered_ms")?.map(Timestamp),
        withdrawn_at: row.get::<_, Option<i64>>("withdrawn_ms")?.map(Timestamp),
    })
}

impl State {
    /// Keeps that grants go by a hub; those of which that is known stay as they are.
    ///
    /// # Errors
    /// As any write; then none was kept.
    pub fn put_grant_offers(&self, offers: &[GrantOffer]) -> Result<(), StoreError> {
        self.write(|tx| {
            for offer in offers {
                tx.prepare_cached(
                    "INSERT INTO offers (grant_id, order_key, base_url, provider, service_percent)
                     VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
                )?
                .execute(params![
                    offer.grant_id,
                    offer.order_key,
                    offer.base_url,
                    offer.provider,
                    offer.service_percent
                ])?;
            }
            Ok(())
        })
    }

    /// Whether a grant goes by a hub, and how.
    ///
    /// # Errors
    /// As any read.
    pub fn grant_offer(&self, grant_id: &str) -> Result<Option<GrantOffer>, StoreError> {
        self.read(|db| {
            db.prepare_cached("SELECT * FROM offers WHERE grant_id = ?1")?
                .query_row([grant_id], offer_of)
                .optional()
        })
    }

    /// The hub has a grant now.
    ///
    /// - `base_url`: where it is fetched there
    ///
    /// # Errors
    /// As any write.
    pub fn note_offered(
        &self,
        grant_id: &str,
        base_url: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.prepare_cached(
                "UPDATE offers SET offered_ms = ?3, base_url = ?2 WHERE grant_id = ?1",
            )?
            .execute(params![grant_id, base_url, now.0])?;
            Ok(())
        })
    }

    /// The hub is to be told of a grant anew: it was signed anew, also after it was taken back.
    ///
    /// # Errors
    /// As any write.
    pub fn offer_anew(&self, grant_id: &str) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.execute(
                "UPDATE offers SET offered_ms = NULL, withdrawn_ms = NULL WHERE grant_id = ?1",
                [grant_id],
            )?;
            Ok(())
        })
    }

    /// No hub hands an order on any more: its hub was left.
    ///
    /// # Errors
    /// As any write.
    pub fn forget_offers(&self, order_key: &str) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.execute("DELETE FROM offers WHERE order_key = ?1", [order_key])?;
            Ok(())
        })
    }

    /// Grants that were revoked and that the hub may still believe in, at most `count_max`.
    ///
    /// # Errors
    /// As any read.
    pub fn offers_to_withdraw(&self, count_max: u32) -> Result<Vec<String>, StoreError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT grant_id FROM offers JOIN grants USING (grant_id)
                 WHERE withdrawn_ms IS NULL AND revoked_ms IS NOT NULL
                 ORDER BY revoked_ms, grant_id LIMIT ?1",
            )?
            .query_map([count_max], |row| row.get(0))?
            .collect()
        })
    }

    /// The hub took a grant back.
    ///
    /// # Errors
    /// As any write.
    pub fn note_withdrawn(&self, grant_id: &str, now: Timestamp) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.prepare_cached("UPDATE offers SET withdrawn_ms = ?2 WHERE grant_id = ?1")?
                .execute(params![grant_id, now.0])?;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::tests::{NOW, grant, order};
    use super::*;
    use crate::store::OrderState;

    #[test]
    fn revoked_grant_is_to_be_withdrawn_until_the_hub_says_that_it_was() {
        let state = State::in_memory().expect("a store");
        let order = order("k", OrderState::Ready);
        let grant = grant("k", 100);
        let offer = GrantOffer {
            grant_id: grant.grant_id.clone(),
            order_key: "k".into(),
            base_url: "https://hub.example/o/a".into(),
            provider: "lab-at-hub".into(),
            service_percent: 20,
            offered_at: None,
            withdrawn_at: None,
        };
        state.put_grant_offers(std::slice::from_ref(&offer)).expect("kept before the grant");
        state.put_orders(vec![order.clone()]).expect("kept");
        state.put_grants(&order, std::slice::from_ref(&grant), &[], NOW).expect("kept");
        assert_eq!(state.grant_offer(&grant.grant_id).expect("read"), Some(offer));
        assert!(state.offers_to_withdraw(9).expect("read").is_empty());
        state.revoke(Some("k"), "by the owner", NOW).expect("revoked");
        assert_eq!(
            state.offers_to_withdraw(9).expect("read"),
            std::slice::from_ref(&grant.grant_id)
        );
        state.note_withdrawn(&grant.grant_id, NOW).expect("kept");
        assert!(state.offers_to_withdraw(9).expect("read").is_empty());
    }
}
