//! Orders that wait for the owner, and which of them the owner was told of by mail: operations of
//! [`State`].
//!
//! That they were is a line of the order's history, so it survives a restart and the owner can read
//! it. An order that changed since is told of again.

use super::db::StoreError;
use super::orders::{Order, find_order, log_event, order_of};
use super::state::State;
use crate::base::clock::Timestamp;

/// What the history says.
const TOLD: &str = "the owner was told by mail";

impl State {
    /// Orders that ask or are held and of which the owner was not told since they are as they are,
    /// oldest first.
    ///
    /// # Errors
    /// As any read.
    pub fn untold_orders(&self) -> Result<Vec<Order>, StoreError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT orders.* FROM orders LEFT JOIN (
                     SELECT order_key, max(at_ms) AS told_ms FROM order_events
                     WHERE note = ?1 GROUP BY order_key) USING (order_key)
                 WHERE state IN ('ask', 'held') AND coalesce(told_ms, -1) < updated_ms
                 ORDER BY updated_ms, order_key",
            )?
            .query_map([TOLD], order_of)?
            .collect()
        })
    }

    /// Notes that the owner was told of orders as they were at `as_of`.
    ///
    /// # Errors
    /// As any write; then the owner is told again.
    pub fn note_told(&self, order_keys: &[&str], as_of: Timestamp) -> Result<(), StoreError> {
        self.write(|tx| {
            for order_key in order_keys {
                if let Some(order) = find_order(tx, order_key)? {
                    log_event(tx, order_key, order.state, TOLD, as_of)?;
                }
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::tests::{NOW, order};
    use super::*;
    use crate::store::OrderState;

    #[test]
    fn owner_is_told_once_of_an_order_and_again_when_it_changed() {
        let state = State::in_memory().expect("a store");
        for (key, at) in [("a", OrderState::Ask), ("h", OrderState::Held), ("r", OrderState::Ready)]
        {
            state.put_orders(vec![order(key, at)]).expect("kept");
        }
        let untold = || -> Vec<String> {
            let orders = state.untold_orders().expect("read").into_iter();
            orders.map(|order| order.order_key).collect()
        };
        assert_eq!(untold(), ["a", "h"]);
        state.note_told(&["a", "h"], NOW).expect("noted");
        assert_eq!(untold(), [""; 0]);
        let photo = order("a", OrderState::Ask).photo;
        let changed = Order { copies: 3, ..order("a", OrderState::Ask) };
        state.replan(&photo, vec![changed], NOW.plus_millis(1)).expect("planned anew");
        assert_eq!(untold(), ["a"]);
    }
}
