//! What the database itself guarantees, whoever writes to it.

use proptest::prelude::*;

use super::*;
use crate::base::ids::ContentHash;
use crate::base::member::Member;
use crate::store::{Delivered, Entry, GrantRow, Order, OrderState, Way};

pub(in crate::store) const NOW: Timestamp = Timestamp(1_790_000_000_000);

pub(in crate::store) fn order(key: &str, state: OrderState) -> Order {
    Order {
        rule: "r".into(),
        revision: "0".into(),
        collection: "c".into(),
        relative: "p.jpg".into(),
        provider: "lab".into(),
        product: Some("print-10x15".into()),
        price_minor: 29,
        currency: "EUR".into(),
        state,
        reason: "an icon".into(),
        origin: "an icon".into(),
        ..Order::new(key, ContentHash::of(b"photo"), NOW)
    }
}

pub(in crate::store) fn grant(order_key: &str, bytes_count: u64) -> GrantRow {
    GrantRow {
        grant_id: format!("g-{order_key}"),
        order_key: order_key.into(),
        provider: "lab".into(),
        member: Member::Original,
        name: "p.jpg".into(),
        evidence: None,
        photo: ContentHash::of(b"photo"),
        digest: ContentHash::of(b"photo"),
        offset: None,
        bytes_count,
        media_type: "image/jpeg".into(),
        token: "t".into(),
        fee_minor: 25,
        currency: "EUR".into(),
        issued_at: NOW,
        expires_at: NOW.plus_millis(1000),
        revoked_at: None,
        revoked_why: None,
    }
}

fn put_grant(state: &State, order: &Order, bytes_count: u64) -> Option<GrantRow> {
    let grants = [grant(&order.order_key, bytes_count)];
    Some(state.put_grants(order, &grants, &[], NOW).expect("kept")?.remove(0))
}

fn state_with_grant(bytes_count: u64) -> (State, GrantRow) {
    let state = State::in_memory().expect("opens");
    let order = order("k", OrderState::Ready);
    state.put_orders(vec![order.clone()]).expect("kept");
    let grant = put_grant(&state, &order, bytes_count).expect("as read");
    (state, grant)
}

fn entries(minors: &[i64]) -> Vec<Entry> {
    minors.iter().map(|minor| Entry { account: "a".into(), minor: *minor }).collect()
}

#[test]
fn order_put_twice_is_one_order_and_one_outbox_row() {
    let state = State::in_memory().expect("opens");
    let first = state.put_orders(vec![order("k", OrderState::Ready)]).expect("kept");
    let again = state.put_orders(vec![order("k", OrderState::Ready)]).expect("kept");
    assert_eq!((first.len(), again.len()), (1, 0));
    assert_eq!(state.outbox_due(NOW, 10, &[]).expect("due").len(), 1);
}

#[test]
fn orders_of_an_older_program_are_read_and_decisions_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state.sqlite");
    let old = db::open(&path, Durability::Full, &MIGRATIONS[..1]).expect("opens");
    for (key, state) in [("a", "ready"), ("b", "cancelled"), ("c", "ready")] {
        old.execute(
            "INSERT INTO orders VALUES (?1, 'r', '0', ?2, 'c', 'p.jpg', 'lab', 'print', 'mug', 2,
             58, 'EUR', ?3, 'now', 1, 2)",
            params![key, ContentHash::of(b"photo").as_bytes(), state],
        )
        .expect("an order");
        old.execute(
            "INSERT INTO order_events (order_key, at_ms, state, note)
             VALUES (?1, 1, 'ready', 'the print icon is on the photo')",
            [key],
        )
        .expect("an event");
    }
    old.execute(
        "INSERT INTO order_events (order_key, at_ms, state, note)
         VALUES ('c', 2, 'ready', 'approved by the owner')",
        [],
    )
    .expect("an event");
    drop(old);
    let state = State::open(&path).expect("opens");
    let order = state.order("a").expect("read").expect("is there");
    assert_eq!((order.addressee, order.express, order.copies), (None, false, 2));
    assert_eq!(order.origin, "the print icon is on the photo");
    // Nothing is wished any more: what the owner decided stays, the other is taken back.
    let photo = ContentHash::of(b"photo");
    let replanned = state.replan(&photo, Vec::new(), NOW).expect("planned");
    let keys =
        |orders: &[Order]| orders.iter().map(|order| order.order_key.clone()).collect::<Vec<_>>();
    assert_eq!(keys(&replanned.withdrawn), ["a"]);
    assert_eq!(keys(&replanned.kept), ["c"]);
}

#[test]
fn grants_and_accesses_of_an_older_program_are_kept_with_all_that_hangs_on_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state.sqlite");
    let old = db::open(&path, Durability::Full, &MIGRATIONS[..2]).expect("opens");
    let photo = ContentHash::of(b"photo");
    old.execute(
        "INSERT INTO orders (order_key, rule, revision, photo, collection, relative, provider,
             purpose, product, copies, price_minor, currency, state, reason, created_ms, updated_ms)
         VALUES ('k', 'r', '0', ?1, 'c', 'p.jpg', 'lab', 'print', 'mug', 1, 29, 'EUR', 'accepted',
             'now', 1, 2)",
        [photo.as_bytes()],
    )
    .expect("an order");
    old.execute(
        "INSERT INTO grants VALUES ('g', 'k', 'lab', 'original', ?1, ?1, 10, 'image/jpeg', 't', 25,
             'EUR', 1, 9, NULL, NULL)",
        [photo.as_bytes()],
    )
    .expect("a grant");
    old.execute_batch(
        "INSERT INTO deliveries (grant_id, start_byte, end_byte) VALUES ('g', 0, 10);
         INSERT INTO accesses VALUES ('g', 'k', 'lab', 'original', zeroblob(32), 10, 5);
         INSERT INTO postings VALUES ('g', 'g', 'EUR', 5, '[{\"account\":\"a\",\"minor\":0}]')",
    )
    .expect("an access");
    drop(old);
    let state = State::open(&path).expect("opens");
    let grants = state.grants(None).expect("read");
    assert_eq!(
        (grants.len(), grants[0].member, grants[0].name.as_str()),
        (1, Member::Original, "")
    );
    assert_eq!(grants[0].offset, None);
    assert!(
        state.complete_order("k", false, "", NOW).expect("asked").is_some(),
        "the access is still known"
    );
    // What hangs on a grant still does.
    assert!(state.write(|tx| tx.execute("DELETE FROM grants", [])).is_err());
    let other = order("k2", OrderState::Ready);
    state.put_orders(vec![other.clone()]).expect("kept");
    assert!(put_grant(&state, &other, 5).is_some());
}

/// An order with a photo and two films of one kind.
fn state_with_members() -> (State, Vec<GrantRow>) {
    let state = State::in_memory().expect("opens");
    let order = order("k", OrderState::Accepted);
    state.put_orders(vec![order.clone()]).expect("kept");
    let film = |id: &str| GrantRow {
        grant_id: id.into(),
        member: Member::Motion,
        evidence: Some("stem".into()),
        offset: Some(7),
        ..grant("k", 5)
    };
    let grants = [grant("k", 10), film("b"), film("a")];
    let notes = ["without its raw".to_owned()];
    let kept = state.put_grants(&order, &grants, &notes, NOW).expect("kept").expect("as read");
    assert_eq!(kept, grants, "in the order of the members");
    (state, kept)
}

#[test]
fn members_of_an_order_are_decided_once() {
    let (state, kept) = state_with_members();
    let order = state.order("k").expect("read").expect("is there");
    let again = state.put_grants(&order, &kept[..1], &[], NOW).expect("asked");
    assert_eq!(again, Some(kept));
    let events = state.order_events("k").expect("read");
    assert_eq!(events.iter().filter(|(.., note)| note == "without its raw").count(), 1);
    assert_eq!(state.put_manifest("k", "first").expect("kept"), "first");
    assert_eq!(state.put_manifest("k", "second").expect("asked"), "first");
}

#[test]
fn order_is_done_when_every_member_that_can_be_had_was_fetched() {
    let (state, kept) = state_with_members();
    let none = entries(&[0]);
    let done = |state: &State| state.complete_order("k", false, "", NOW).expect("asked").is_some();
    state.post_access(&kept[1], &none, &Way::Direct, NOW).expect("posted");
    assert!(!done(&state));
    assert_eq!(state.revoke(Some("a"), "it was changed", NOW).expect("revoked"), 1);
    assert!(!done(&state), "the photo is missing");
    state.post_access(&kept[0], &none, &Way::Direct, NOW).expect("posted");
    assert!(done(&state));
}

#[test]
fn photo_that_was_revoked_does_not_make_its_order_done() {
    let (state, kept) = state_with_members();
    for film in &kept[1..] {
        state.post_access(film, &entries(&[0]), &Way::Direct, NOW).expect("posted");
    }
    state.revoke(Some("k"), "stopped", NOW).expect("revoked");
    assert!(state.complete_order("k", false, "", NOW).expect("asked").is_none());
}

#[test]
fn order_that_was_changed_since_it_was_read_gets_no_grant() {
    let state = State::in_memory().expect("opens");
    let before = order("k", OrderState::Ready);
    state.put_orders(vec![before.clone()]).expect("kept");
    let after = Order { copies: 3, price_minor: 87, ..before.clone() };
    let replanned = state.replan(&before.photo, vec![after], NOW.plus_millis(1)).expect("planned");
    assert_eq!(replanned.changed.len(), 1);
    assert_eq!(put_grant(&state, &before, 10), None);
    let now = state.order("k").expect("read").expect("is there");
    assert_eq!((now.copies, now.created_at), (3, NOW));
    assert_eq!(state.outbox_due(NOW.plus_millis(1), 10, &[]).expect("due").len(), 1);
    assert!(put_grant(&state, &now, 10).is_some());
    let replanned = state.replan(&before.photo, vec![before.clone()], NOW).expect("planned");
    assert_eq!((replanned.changed.len(), replanned.kept.len()), (0, 1), "it is on its way");
    assert_eq!(state.order("k").expect("read"), Some(now));
}

#[test]
fn only_ready_orders_are_in_the_outbox() {
    let state = State::in_memory().expect("opens");
    let due = |state: &State| state.outbox_due(NOW, 10, &[]).expect("due").len();
    state.put_orders(vec![order("k", OrderState::Ask)]).expect("kept");
    assert_eq!(due(&state), 0);
    assert!(state.approve_order("k", 30, "EUR", NOW).expect("moved"));
    assert_eq!(due(&state), 1);
    assert!(!state.approve_order("k", 30, "EUR", NOW).expect("asked"), "approved already");
    let moved = state.move_order("k", &[OrderState::Ready], OrderState::Accepted, "", NOW);
    assert!(moved.expect("moved"));
    assert_eq!(due(&state), 0);
}

#[test]
fn access_is_posted_once() {
    let (state, grant) = state_with_grant(10);
    assert!(
        state.post_access(&grant, &entries(&[25, -20, -5]), &Way::Direct, NOW).expect("posted")
    );
    assert!(
        !state.post_access(&grant, &entries(&[25, -20, -5]), &Way::Direct, NOW).expect("asked")
    );
    let accesses = state.accesses(Timestamp(0), Timestamp(i64::MAX)).expect("read");
    assert_eq!(accesses.len(), 1);
    assert_eq!(state.ledger_sum().expect("read"), 0);
}

#[test]
fn access_that_cannot_be_posted_leaves_its_response_under_way() {
    let (state, grant) = state_with_grant(10);
    let delivery = state.delivery_opened("g-k", 0, 10).expect("opened").expect("allowed");
    assert!(state.delivered(&grant, delivery, &entries(&[25]), &Way::Direct, NOW).is_err());
    assert_eq!(state.accesses(Timestamp(0), Timestamp(i64::MAX)).expect("read").len(), 0);
    // So it can still be said how far it came.
    state.delivery_broken(delivery, 4).expect("closed");
    let rest = state.delivery_opened("g-k", 5, 10).expect("opened").expect("allowed");
    let done =
        state.delivered(&grant, rest, &entries(&[25, -25]), &Way::Direct, NOW).expect("finished");
    assert_eq!(done, Delivered::Part, "a byte is missing");
}

#[test]
fn transfer_may_go_on_until_its_grant_is_revoked_or_all_is_stopped() {
    let (state, _) = state_with_grant(10);
    let holds = |id| state.still_holds(id).expect("read");
    assert!(holds("g-k") && !holds("g-other"));
    state.set_stopped(true, NOW).expect("stopped");
    assert!(!holds("g-k"));
    state.set_stopped(false, NOW).expect("lifted");
    assert!(holds("g-k"));
    state.revoke(Some("g-k"), "", NOW).expect("revoked");
    assert!(!holds("g-k"));
}

#[test]
fn unbalanced_entries_leave_neither_access_nor_posting() {
    let (state, grant) = state_with_grant(10);
    for wrong in [&[25, -20, -4][..], &[1], &[]] {
        assert!(
            state.post_access(&grant, &entries(wrong), &Way::Direct, NOW).is_err(),
            "{wrong:?}"
        );
    }
    assert_eq!(state.accesses(Timestamp(0), Timestamp(i64::MAX)).expect("read").len(), 0);
}

#[test]
fn database_refuses_to_change_or_delete_what_was_posted() {
    let (state, grant) = state_with_grant(10);
    state.post_access(&grant, &entries(&[25, -25]), &Way::Direct, NOW).expect("posted");
    for sql in [
        "UPDATE postings SET entries = '[]'",
        "DELETE FROM postings",
        "UPDATE accesses SET bytes_count = 1",
        "DELETE FROM accesses",
        "INSERT INTO postings VALUES ('x', 'g-k', 'EUR', 0, '[{\"account\":\"a\",\"minor\":1}]')",
        "INSERT INTO entries (account, minor) VALUES ('a', 1)",
    ] {
        let result = state.write(|tx| tx.execute(sql, []));
        assert!(result.is_err(), "{sql}");
    }
}

#[test]
fn range_that_a_crash_left_open_counts_as_sent() {
    let (state, grant) = state_with_grant(10);
    let first = state.delivery_opened("g-k", 0, 6).expect("opened").expect("allowed");
    let second = state.delivery_opened("g-k", 6, 10).expect("opened").expect("allowed");
    let finish =
        |delivery| state.delivered(&grant, delivery, &entries(&[25, -25]), &Way::Direct, NOW);
    assert_eq!(finish(second).expect("finished"), Delivered::Part, "the first is under way");
    let _ = first;
    state.settle_deliveries().expect("settled");
    let third = state.delivery_opened("g-k", 9, 10).expect("opened").expect("allowed");
    assert_eq!(finish(third).expect("finished"), Delivered::Whole { first: true });
    assert_eq!(finish(third).expect("again"), Delivered::Whole { first: false });
    assert_eq!(state.accesses(Timestamp(0), Timestamp(i64::MAX)).expect("read").len(), 1);
}

proptest! {
    /// Parts of a member in any order, some broken off: the last one to make it whole, and
    /// only a whole one, says so.
    #[test]
    fn parts_are_whole_exactly_when_they_cover_everything(
        parts in proptest::collection::vec((0_u64..20, 0_u64..20, any::<bool>()), 1..12)
    ) {
        let (state, grant) = state_with_grant(20);
        let (mut covered, mut posted) = ([false; 20], false);
        for (a, b, breaks) in parts {
            let (start, end) = (a.min(b), a.max(b) + 1);
            let id = state.delivery_opened("g-k", start, end).expect("opened").expect("allowed");
            let end = if breaks { start + (end - start) / 2 } else { end };
            for byte in start..end {
                covered[usize::try_from(byte).expect("small")] = true;
            }
            if breaks {
                state.delivery_broken(id, end).expect("closed");
            } else {
                let done = state.delivered(&grant, id, &entries(&[25, -25]), &Way::Direct, NOW).expect("finished");
                let whole = matches!(done, Delivered::Whole { .. });
                prop_assert_eq!(whole, covered.iter().all(|byte| *byte));
                let accesses = state.accesses(Timestamp(0), Timestamp(i64::MAX)).expect("read");
                prop_assert_eq!(accesses.len(), usize::from(whole || posted));
                posted |= whole;
            }
        }
    }
}
