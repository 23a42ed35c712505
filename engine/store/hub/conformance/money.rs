//! Offers, logs and money.

use super::*;

fn minors(posted: &[Posted]) -> Vec<i64> {
    let [Posted::New(posting)] = posted else { panic!("{posted:?}") };
    posting.entries.iter().map(|entry| entry.minor).collect()
}

#[test]
fn access_is_posted_once_and_given_back_once_and_may_be_had_again() {
    every(|store| {
        world(store);
        let balances = || {
            [provider_account("lab"), owner_account("a"), "service".into(), "cash".into()]
                .map(|account| store.balance(&account, "EUR").expect("read"))
        };
        assert_eq!(store.reserve("a", "g", NOW).expect("asked"), Reserved::Reserved);
        assert_eq!(store.reserved("lab").expect("read"), 25);
        assert_eq!(minors(&tell(store, "a", &[("g", 0)], &[])), [25, -20, -5]);
        assert_eq!(store.reserved("lab").expect("read"), 0);
        assert_eq!(balances(), [-75, -20, -5, 100]);
        assert_eq!(store.reserve("a", "g", NOW).expect("asked"), Reserved::Already);
        assert_eq!(tell(store, "a", &[("g", 0)], &[]), [Posted::Again]);
        assert_eq!(tell(store, "a", &[("g", 1)], &[]), [Posted::NoOffer], "it was not given back");
        assert_eq!(tell(store, "a", &[], &[("g", 1)]), [Posted::NoOffer]);
        assert_eq!(minors(&tell(store, "a", &[], &[("g", 0)])), [-25, 20, 5]);
        assert_eq!(tell(store, "a", &[], &[("g", 0)]), [Posted::Again]);
        assert_eq!(balances(), [-100, 0, 0, 100]);
        assert_eq!(store.reserve("a", "g", NOW).expect("asked"), Reserved::Reserved);
        assert_eq!(minors(&tell(store, "a", &[("g", 1)], &[])), [25, -20, -5]);
        assert_eq!(store.accesses_count("lab", NOW).expect("read"), 2);
        assert_eq!(store.accesses_count("lab", later(1)).expect("read"), 0);
    });
}
