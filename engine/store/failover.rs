//! Orders in the place of others: operations of [`State`].
//!
//! An order that its provider did not make may have an heir: the same wish at another provider,
//! which names it in `instead_of`. Heirs may have heirs.
//!
//! INVARIANT: an order and one in its place are never both under way. The one is ended and the
//! other kept in one transaction; neither planning anew nor the owner's yes brings the one back
//! while the other lives.

use std::iter::successors;

use rusqlite::Connection;

use super::db::StoreError;
use super::grants::revoke;
use super::orders::{Order, OrderState, find_order, is_open, move_order, order_of, put};
use super::state::State;
use crate::base::clock::Timestamp;

/// Why the grants of an order are taken back in whose place there is another one. Its owner's yes
/// gives them again.
pub(super) const REPLACED: &str = "another provider has the order instead";

impl Order {
    /// Whether it waits, goes or went: not refused, failed or cancelled.
    pub const fn is_alive(&self) -> bool {
        !matches!(self.state, OrderState::Refused | OrderState::Failed | OrderState::Cancelled)
    }

    /// Keys of the orders in whose place it is, the nearest first.
    ///
    /// - `others`: orders of the same photo
    pub(super) fn predecessors<'o>(&'o self, others: &'o [(Self, bool)]) -> Vec<&'o str> {
        let of = |key: &&'o str| {
            let order = others.iter().find(|(order, _)| order.order_key == **key)?;
            order.0.instead_of.as_deref()
        };
        successors(self.instead_of.as_deref(), of).take(others.len()).collect()
    }
}

/// Whether an order of which somebody knows is in the place of this one.
///
/// - `orders`: those of the photo, and whether each is still open to planning
pub(super) fn has_heir(orders: &[(Order, bool)], order_key: &str) -> bool {
    orders.iter().any(|(order, is_open)| {
        !is_open && order.is_alive() && order.predecessors(orders).contains(&order_key)
    })
}

/// The order that lives in the place of another one, at first or second hand.
pub(super) fn find_heir(db: &Connection, order_key: &str) -> rusqlite::Result<Option<Order>> {
    db.prepare_cached(
        "WITH RECURSIVE heirs (order_key) AS (
             SELECT order_key FROM orders WHERE instead_of = ?1
             UNION SELECT orders.order_key FROM orders JOIN heirs
                 ON orders.instead_of = heirs.order_key)
         SELECT orders.* FROM orders JOIN heirs USING (order_key)
         WHERE state NOT IN ('refused', 'failed', 'cancelled') AND order_key <> ?1 LIMIT 1",
    )?
    .query_map([order_key], order_of)?
    .next()
    .transpose()
}

impl State {
    /// The order that lives in the place of another one, at first or second hand.
    ///
    /// # Errors
    /// As any read.
    pub fn heir_of(&self, order_key: &str) -> Result<Option<Order>, StoreError> {
        self.read(|db| find_heir(db, order_key))
    }

    /// Ends an order that its provider surely did not make, takes its grants back and puts another
    /// one in its place; tells whether it was in one of the states `from`.
    ///
    /// One of the same key that is there already stays as it is, unless nobody was told of it: the
    /// wish was ordered there before, or the owner took it back.
    ///
    /// # Errors
    /// As any write; then nothing was changed.
    pub fn replace_order(
        &self,
        order_key: &str,
        from: &[OrderState],
        (to, note): (OrderState, &str),
        instead: &Order,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(|tx| {
            if !move_order(tx, order_key, from, to, note, now)? {
                return Ok(false);
            }
            revoke(tx, Some(order_key), REPLACED, now)?;
            let mut instead = instead.clone();
            if let Some(order) = find_order(tx, order_key)? {
                stay_erased(&mut instead, order, note);
            }
            let key = &instead.order_key;
            if find_order(tx, key)?.is_none() || is_open(tx, key)? {
                tx.execute("DELETE FROM outbox WHERE order_key = ?1", [key])?;
                put(tx, &instead)?;
            }
            Ok(true)
        })
    }
}

/// Takes out of an order whom the one that it stands in for does not name any more: somebody may
/// have been removed since that one was read.
fn stay_erased(instead: &mut Order, of: Order, note: &str) {
    instead.people.retain(|name| of.people.contains(name));
    if !instead.origin.starts_with(&of.origin) {
        instead.reason = format!("{}; {note}", of.origin);
        instead.origin = of.origin;
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::tests::{grant, order};
    use super::*;
    use crate::base::ids::ContentHash;
    use OrderState::{Accepted, Ask, Cancelled, Failed, Ready, Refused};

    const NOW: Timestamp = Timestamp(1_790_000_000_000);
    const PHOTO: &[u8] = b"photo";

    fn heir(key: &str, of: &str, state: OrderState) -> Order {
        Order { instead_of: Some(of.to_owned()), ..order(key, state) }
    }

    /// An order at `a` that its provider did not make, and one at `b` in its place.
    fn replaced() -> State {
        let state = State::in_memory().expect("opens");
        state.put_orders(vec![order("a", Ready)]).expect("kept");
        let end = (Failed, "no paper");
        let is_moved = state.replace_order("a", &[Ready], end, &heir("b", "a", Ready), NOW);
        assert!(is_moved.expect("replaced"));
        state
    }

    #[track_caller]
    fn check(state: &State, wanted: &[(&str, OrderState)]) {
        let orders = state.orders_of(&ContentHash::of(PHOTO)).expect("read");
        let orders: Vec<_> =
            orders.iter().map(|order| (order.order_key.as_str(), order.state)).collect();
        assert_eq!(orders, wanted);
    }

    fn replan(state: &State, orders: Vec<Order>) {
        state.replan(&ContentHash::of(PHOTO), orders, NOW).expect("planned");
    }

    fn accept(state: &State, key: &str) {
        assert!(state.move_order(key, &[Ready], Accepted, "it has it", NOW).expect("moved"));
        // What its provider was told of has a grant or the owner's word; here the owner's.
        state
            .write(|tx| tx.execute("UPDATE orders SET is_decided = 1 WHERE order_key = ?1", [key]))
            .expect("written");
    }

    #[test]
    fn order_that_is_ended_and_the_one_in_its_place_change_together() {
        let state = replaced();
        check(&state, &[("a", Failed), ("b", Ready)]);
        let due = state.outbox_due(NOW, 9, &[]).expect("read");
        assert_eq!(due.iter().map(|due| due.order.order_key.as_str()).collect::<Vec<_>>(), ["b"]);
        assert_eq!(due[0].order.instead_of.as_deref(), Some("a"));
        let again = state.replace_order("a", &[Ready], (Failed, "x"), &heir("c", "a", Ready), NOW);
        assert!(!again.expect("read"), "it is not ready any more");
        check(&state, &[("a", Failed), ("b", Ready)]);
    }

    #[test]
    fn order_that_was_made_elsewhere_before_is_not_made_again() {
        for state_before in [Accepted, Cancelled] {
            let state = State::in_memory().expect("opens");
            state.put_orders(vec![order("a", Ready), order("b", Ready)]).expect("kept");
            match state_before {
                Cancelled => {
                    state.move_order("b", &[Ready], Cancelled, "by the owner", NOW).expect("moved");
                }
                _ => accept(&state, "b"),
            }
            let end = (Failed, "no paper");
            state.replace_order("a", &[Ready], end, &heir("b", "a", Ready), NOW).expect("ended");
            check(&state, &[("a", Failed), ("b", state_before)]);
            assert!(state.outbox_due(NOW, 9, &[]).expect("read").is_empty());
        }
    }

    #[test]
    fn photo_judged_again_keeps_the_order_in_the_place_of_one_that_failed() {
        let state = replaced();
        replan(&state, vec![order("a", Ready)]);
        check(&state, &[("a", Failed), ("b", Ready)]);
        accept(&state, "b");
        replan(&state, vec![order("a", Ready)]);
        check(&state, &[("a", Failed), ("b", Accepted)]);
        let second = heir("c", "b", Ready);
        state.replace_order("b", &[Accepted], (Failed, "no"), &second, NOW).expect("ended");
        replan(&state, vec![order("a", Ready)]);
        check(&state, &[("a", Failed), ("b", Failed), ("c", Ready)]);
        // What is no longer wished is taken back, whoever's it is now.
        replan(&state, Vec::new());
        check(&state, &[("a", Failed), ("b", Failed), ("c", Cancelled)]);
    }

    #[test]
    fn consent_that_comes_back_brings_no_second_order() {
        let planned = || vec![order("a", Refused), heir("b", "a", Ready)];
        let state = State::in_memory().expect("opens");
        replan(&state, planned());
        check(&state, &[("a", Refused), ("b", Ready)]);
        // Nobody was told of the second: the first takes its place again, and the other way round.
        replan(&state, vec![order("a", Ready)]);
        check(&state, &[("a", Ready), ("b", Cancelled)]);
        replan(&state, planned());
        check(&state, &[("a", Refused), ("b", Ready)]);
        accept(&state, "b");
        replan(&state, vec![order("a", Ready)]);
        check(&state, &[("a", Refused), ("b", Accepted)]);
    }

    #[test]
    fn yes_of_the_owner_brings_no_second_order() {
        let state = State::in_memory().expect("opens");
        let first = order("a", Ready);
        state.put_orders(vec![first.clone()]).expect("kept");
        state.put_grants(&first, &[grant("a", 5)], &[], NOW).expect("kept").expect("granted");
        let end = (Failed, "no paper");
        state.replace_order("a", &[Ready], end, &heir("b", "a", Ready), NOW).expect("replaced");
        let is_revoked = || {
            let grants = state.grants(Some("a")).expect("read");
            grants.iter().all(|grant| grant.revoked_at.is_some())
        };
        assert!(is_revoked());
        assert_eq!(
            state.heir_of("a").expect("read").map(|order| order.order_key),
            Some("b".into())
        );
        assert!(!state.approve_order("a", 29, "EUR", NOW).expect("read"));
        assert!(state.move_order("b", &[Ready], Cancelled, "by the owner", NOW).expect("moved"));
        assert_eq!(state.heir_of("a").expect("read"), None);
        assert!(state.approve_order("a", 29, "EUR", NOW).expect("approved"));
        assert!(!is_revoked(), "it is sent to the first one again");
        check(&state, &[("a", Ready), ("b", Cancelled)]);
    }

    #[test]
    fn order_in_its_own_place_ends_the_search() {
        let state = State::in_memory().expect("opens");
        state.put_orders(vec![heir("a", "b", Failed), heir("b", "a", Ask)]).expect("kept");
        assert_eq!(state.heir_of("b").expect("read"), None);
        replan(&state, vec![heir("a", "b", Ready)]);
    }
}
