//! How much was sent under a grant whose address is passed from hand to hand: operations of
//! [`State`].
//!
//! Bytes are counted, not requests, so that fetching in pieces is no way around a limit. What a
//! response will send is counted before it begins, and what it did not send is given back.

use rusqlite::{OptionalExtension, params};

use super::db::StoreError;
use super::grants::signed;
use super::state::State;

impl State {
    /// Counts bytes that are about to be sent under a grant; tells whether they fit below the limit.
    /// Nothing is counted when they do not.
    ///
    /// # Errors
    /// As any write; then nothing may be sent.
    pub fn take_fetch(
        &self,
        grant_id: &str,
        bytes_count: u64,
        bytes_max: u64,
    ) -> Result<bool, StoreError> {
        self.write(|tx| {
            let sent: Option<i64> = tx
                .prepare_cached("SELECT bytes_count FROM fetches WHERE grant_id = ?1")?
                .query_row([grant_id], |row| row.get(0))
                .optional()?;
            let sum = sent.unwrap_or(0).saturating_add(signed(bytes_count));
            if sum > signed(bytes_max) {
                return Ok(false);
            }
            tx.prepare_cached(
                "INSERT INTO fetches VALUES (?1, ?2)
                 ON CONFLICT DO UPDATE SET bytes_count = excluded.bytes_count",
            )?
            .execute(params![grant_id, sum])?;
            Ok(true)
        })
    }

    /// Gives bytes back that were counted and not sent.
    ///
    /// # Errors
    /// As any write; then they stay counted.
    pub fn give_fetch_back(&self, grant_id: &str, bytes_count: u64) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.prepare_cached(
                "UPDATE fetches SET bytes_count = max(0, bytes_count - ?2) WHERE grant_id = ?1",
            )?
            .execute(params![grant_id, signed(bytes_count)])?;
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
    fn link_is_used_up_by_bytes_whatever_pieces_they_come_in() {
        let state = State::in_memory().expect("a store");
        let order = order("k", OrderState::Ready);
        state.put_orders(vec![order.clone()]).expect("kept");
        state.put_grants(&order, &[grant("k", 100)], &[], NOW).expect("kept");
        let take = |bytes_count| state.take_fetch("g-k", bytes_count, 250).expect("asked");
        assert!(take(100) && take(99) && take(51), "two and a half times");
        assert!(!take(1), "one byte more");
        state.give_fetch_back("g-k", 51).expect("given back");
        assert!(!take(52) && take(51));
    }
}
