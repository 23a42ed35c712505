//! Single findings in words; that nothing escapes is shown by `tests/suite/logs.rs`.

use super::*;
use crate::access::Key;
use crate::base::ids::ContentHash;
use crate::base::member::Member;
use crate::ledger::access_entries;
use crate::store::{GrantRow, Order, OrderState, Way};

const NOW: Timestamp = Timestamp(1_790_000_000_000);

fn delivered(way: &Way) -> State {
    let state = State::in_memory().expect("opens");
    let order = Order {
        provider: "lab".into(),
        currency: "EUR".into(),
        state: OrderState::Accepted,
        ..Order::new("o", ContentHash::of(b"photo"), NOW)
    };
    let grant = GrantRow {
        grant_id: "g".into(),
        order_key: "o".into(),
        provider: "lab".into(),
        member: Member::Original,
        name: "p.jpg".into(),
        evidence: None,
        photo: ContentHash::of(b"photo"),
        digest: ContentHash::of(b"photo"),
        offset: None,
        bytes_count: 10,
        media_type: "image/jpeg".into(),
        token: "t".into(),
        fee_minor: 25,
        currency: "EUR".into(),
        issued_at: NOW,
        expires_at: NOW.plus_millis(1000),
        revoked_at: None,
        revoked_why: None,
    };
    state.put_orders(vec![order.clone()]).expect("kept");
    state
        .put_grants(&order, std::slice::from_ref(&grant), &[], NOW)
        .expect("kept")
        .expect("as read");
    let entries = access_entries("lab", "signet", 25, 20);
    assert!(state.post_access(&grant, &entries, way, NOW).expect("posted"));
    state
}

fn faults(state: &State, change: impl Fn(&mut AccessRow)) -> Vec<String> {
    let mut accesses = state.accesses(Timestamp(0), Timestamp(i64::MAX)).expect("read");
    accesses.iter_mut().for_each(change);
    let corrections = state.corrections(Timestamp(0), Timestamp(i64::MAX)).expect("read");
    found(state, &accesses, &corrections)
}

fn found(state: &State, accesses: &[AccessRow], corrections: &[CorrectionRow]) -> Vec<String> {
    let key = Key::generate().expect("key");
    let signer = Signer { agent_id: "a", key: &key };
    let movements = movements(accesses, corrections);
    let findings = prove(state, &movements, signer, NOW).expect("readable");
    assert_eq!(findings.proofs.len(), accesses.len() + corrections.len());
    let of_lines = findings.proofs.into_iter().flat_map(|proof| proof.faults);
    of_lines.chain(findings.faults).collect()
}

/// Delivered, posted back, delivered anew.
fn put_right(way: &Way) -> State {
    let state = delivered(way);
    let grant = state.grant("g").expect("read").expect("a grant");
    state.reverse_access(&grant, "other bytes", NOW.plus_millis(1)).expect("posted back");
    let entries = access_entries("lab", "signet", 25, 20);
    assert!(state.post_access(&grant, &entries, way, NOW.plus_millis(2)).expect("posted anew"));
    state
}

#[test]
fn record_that_says_something_else_than_the_log_is_not_proven() {
    let check = |change: &dyn Fn(&mut AccessRow), expected: &str| {
        let found = faults(&delivered(&Way::Direct), change);
        assert!(found.iter().any(|fault| fault.contains(expected)), "{expected}: {found:?}");
    };
    assert_eq!(faults(&delivered(&Way::Direct), |_| {}), [""; 0]);
    check(&|access| access.entries[0].minor = 20, "does not add up");
    check(&|access| access.entries[0].minor = 20, "another fee");
    check(&|access| access.order_key = "p".into(), "another order");
    check(&|access| access.bytes_count = 9, "another length");
    check(&|access| access.provider = "x".into(), "another provider");
    check(&|access| access.currency = "USD".into(), "another currency");
    check(&|access| access.at = Timestamp(5), "no leaf for it");
    check(&|access| access.grant_id = "h".into(), "that the records do not have");
}

#[test]
fn access_through_a_hub_needs_the_word_of_the_hub() {
    let found = faults(&delivered(&Way::Hub("lab".into())), |_| {});
    assert_eq!(found, ["no hub has confirmed that it posted it"]);
}

#[test]
fn tail_that_nobody_signed_is_signed_only_when_all_before_is_good() {
    let state = delivered(&Way::Direct);
    assert_eq!(state.log_heads(OWN).expect("read"), []);
    assert_eq!(faults(&state, |_| {}), [""; 0]);
    assert_eq!(state.log_heads(OWN).expect("read").len(), 1);
    // Another key is another computer: what the first one signed is not its own.
    assert!(!faults(&state, |_| {}).is_empty());
}

#[test]
fn every_posting_has_its_line_also_one_back_and_one_anew() {
    let check = |change: &dyn Fn(&mut Vec<CorrectionRow>), expected: &str| {
        let state = put_right(&Way::Direct);
        let accesses = state.accesses(Timestamp(0), Timestamp(i64::MAX)).expect("read");
        let mut corrections = state.corrections(Timestamp(0), Timestamp(i64::MAX)).expect("read");
        change(&mut corrections);
        let faults = found(&state, &accesses, &corrections);
        match expected {
            "" => assert_eq!(faults, [""; 0]),
            words => assert!(faults.iter().any(|fault| fault.contains(words)), "{faults:?}"),
        }
    };
    check(&|_| {}, "");
    check(&|rows| rows.truncate(1), "tells of an access under grant g that the records do not");
    check(&|rows| drop(rows.remove(0)), "tells of a reversal under grant g that the records");
    check(&|rows| rows[0].at = Timestamp(5), "no leaf for it");
    check(&|rows| rows[0].entries[0].minor = -20, "does not add up");
    check(&|rows| rows[1].entries[0].minor = 20, "another fee");
    check(&|rows| rows[1].currency = "USD".into(), "another currency");
    // The owner's part goes to the service: it adds up, and has the fee.
    let shift = |rows: &mut Vec<CorrectionRow>| {
        rows[1].entries[1].minor += 5;
        rows[1].entries[2].minor -= 5;
    };
    check(&shift, "not that of its access");
}

#[test]
fn each_posting_through_a_hub_needs_the_word_of_the_hub() {
    let found = faults(&put_right(&Way::Hub("lab".into())), |_| {});
    let posted = "no hub has confirmed that it posted it";
    assert_eq!(found, [posted.to_owned(), format!("{posted} back"), posted.to_owned()]);
}
