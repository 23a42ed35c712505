//! What it costs to post an access with its entries, each in a transaction that survives a
//! power cut: wall time, because the disk is most of it.

#![expect(clippy::expect_used, reason = "a bench stops at the first wrong answer")]

mod common;

use std::time::Instant;

use common::{bench, report, smoke};
use signet::base::clock::Timestamp;
use signet::base::ids::ContentHash;
use signet::base::member::Member;
use signet::ledger::access_entries;
use signet::store::{GrantRow, Order, OrderState, State, Way};

const NOW: Timestamp = Timestamp(1_790_000_000_000);

fn order(number: usize) -> Order {
    Order {
        rule: "print-10x15".to_owned(),
        revision: "0".repeat(12),
        collection: "c".to_owned(),
        relative: "IMG_1.jpg".to_owned(),
        provider: "lab".to_owned(),
        product: Some("print-10x15".to_owned()),
        price_minor: 29,
        currency: "EUR".to_owned(),
        state: OrderState::Accepted,
        ..Order::new(format!("order-{number}"), ContentHash::of(b"photo"), NOW)
    }
}

fn grant(number: usize) -> GrantRow {
    GrantRow {
        grant_id: format!("grant-{number}"),
        order_key: format!("order-{number}"),
        provider: "lab".to_owned(),
        member: Member::Original,
        name: "IMG_1.jpg".to_owned(),
        evidence: None,
        offset: None,
        photo: ContentHash::of(b"photo"),
        digest: ContentHash::of(b"photo"),
        bytes_count: 3_600_000,
        media_type: "image/jpeg".to_owned(),
        token: "token".to_owned(),
        fee_minor: 25,
        currency: "EUR".to_owned(),
        issued_at: NOW,
        expires_at: NOW.plus_millis(3_600_000),
        revoked_at: None,
        revoked_why: None,
    }
}

fn main() {
    bench("ledger/split/one-fee/entries", || access_entries("lab", "signet", 25, 20));

    let folder = tempfile::tempdir().expect("a folder");
    let state = State::open(&folder.path().join("state.sqlite")).expect("opens");
    let accesses_count = if smoke() { 5 } else { 500 };
    state.put_orders((0..accesses_count).map(order).collect()).expect("kept");
    let grants: Vec<_> = (0..accesses_count)
        .map(|number| state.put_grants(&order(number), &[grant(number)], &[], NOW).expect("kept"))
        .flat_map(|kept| kept.expect("the order is as it was"))
        .collect();
    let entries = access_entries("lab", "signet", 25, 20);
    let mut times_ms = Vec::new();
    for grant in &grants {
        let began = Instant::now();
        assert!(
            state.post_access(grant, &entries, &Way::Direct, NOW).expect("posted"),
            "the first one"
        );
        times_ms.push(began.elapsed().as_secs_f64() * 1e3);
    }
    assert_eq!(state.ledger_sum().expect("read"), 0);
    report("ledger/post/one-access/full-durability-wall", &mut times_ms);
}
