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

#[test]
fn deliveries_and_reversals_of_one_append_are_posted_in_the_order_of_their_leaves() {
    every(|store| {
        world(store);
        let texts = ["access", "back", "access"].map(|text| text.as_bytes().to_vec());
        let posted = store.append(&Append {
            accesses: &[report("a", 0, "g", 0), report("a", 2, "g", 1)],
            reversals: &[report("a", 1, "g", 0)],
            ..leaves("a", 0, &texts)
        });
        let posted = posted.expect("appended").expect("at the end");
        let kinds: Vec<_> = posted
            .iter()
            .map(|posted| match posted {
                Posted::New(posting) => posting.kind,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(kinds, [PostingKind::Access, PostingKind::Access, PostingKind::Reversal]);
        assert_eq!(store.balance("provider:lab", "EUR").expect("read"), -75);
        let kinds: Vec<_> = store.postings(NOW, later(1)).expect("read");
        let kinds: Vec<_> = kinds.into_iter().map(|posting| posting.kind).collect();
        use PostingKind::{Access, Reversal, TopUp};
        assert_eq!(kinds, [TopUp, Access, Reversal, Access]);
    });
}

#[test]
fn share_is_the_one_agreed_when_the_access_is_posted_and_comes_back_whole() {
    every(|store| {
        world(store);
        let odd = ProviderRow { service_percent: 50, ..provider("lab") };
        store.put_provider(&odd).expect("kept");
        assert_eq!(minors(&tell(store, "a", &[("g", 0)], &[])), [25, -12, -13]);
        store.put_provider(&provider("lab")).expect("kept");
        assert_eq!(minors(&tell(store, "a", &[], &[("g", 0)])), [-25, 12, 13]);
        assert_eq!(store.balances().expect("read").len(), 4);
    });
}

#[test]
fn provider_whose_account_does_not_cover_the_fee_gets_nothing() {
    every(|store| {
        world(store);
        let reserve = |agent: &str, grant: &str| store.reserve(agent, grant, NOW).expect("asked");
        for number in 0..3 {
            let more = format!("more-{number}");
            assert!(store.put_offer(&offer("a", &more)).expect("kept"));
            assert_eq!(reserve("a", &more), Reserved::Reserved);
        }
        assert_eq!(reserve("a", "g"), Reserved::Reserved, "the last 25 of 100");
        assert_eq!(reserve("a", "g"), Reserved::Already);
        assert_eq!(reserve("a", "h"), Reserved::NoCredit);
        assert_eq!(store.reserved("lab").expect("read"), 100);
        let free = OfferRow { fee_minor: 0, ..offer("a", "free") };
        assert!(store.put_offer(&free).expect("kept"));
        assert_eq!(reserve("a", "free"), Reserved::Reserved);
        store.release("a", "more-0").expect("released");
        store.release("a", "more-0").expect("released");
        assert_eq!(reserve("a", "h"), Reserved::Reserved);
        let trusted = ProviderRow { credit_limit_minor: 25, ..provider("lab") };
        assert_eq!(reserve("a", "more-0"), Reserved::NoCredit);
        store.put_provider(&trusted).expect("kept");
        assert_eq!(reserve("a", "more-0"), Reserved::Reserved);
        assert_eq!(reserve("b", "g"), Reserved::NoCredit);
        let elsewhere = ProviderRow { currency: "CHF".into(), ..trusted };
        store.put_provider(&elsewhere).expect("kept");
        assert_eq!(reserve("b", "g"), Reserved::NoCredit, "its account is in another currency");
    });
}

#[test]
fn nothing_is_set_aside_for_who_may_not_fetch_or_what_is_not_offered() {
    every(|store| {
        world(store);
        let reserve = |agent: &str, now| store.reserve(agent, "g", now).expect("asked");
        assert_eq!(store.reserve("a", "none", NOW).expect("asked"), Reserved::NoOffer);
        assert_eq!(store.reserve("c", "g", NOW).expect("asked"), Reserved::NoOffer);
        assert_eq!(reserve("a", later(10)), Reserved::NoOffer, "it is over");
        for state in [ProviderState::Paused, ProviderState::Closed] {
            store.put_provider(&ProviderRow { state, ..provider("lab") }).expect("kept");
            assert_eq!(reserve("a", NOW), Reserved::Closed);
        }
        store.put_provider(&provider("lab")).expect("kept");
        assert_eq!(store.withdraw("a", Some("order-g"), NOW).expect("withdrawn"), 1);
        assert_eq!(reserve("a", NOW), Reserved::NoOffer);
        assert_eq!(reserve("b", NOW), Reserved::Reserved);
        assert_eq!(store.reserved("shop").expect("read"), 0);
    });
}

#[test]
fn what_a_crash_left_set_aside_is_free_a_day_after_the_offer_is_over() {
    every(|store| {
        world(store);
        let long = OfferRow { expires_at: later(99), fee_minor: 100, ..offer("a", "long") };
        assert!(store.put_offer(&long).expect("kept"));
        assert_eq!(store.reserve("a", "g", NOW).expect("asked"), Reserved::Reserved);
        let at = |hours: i64| store.reserve("a", "long", later(hours)).expect("asked");
        assert_eq!(at(33), Reserved::NoCredit);
        assert_eq!(at(34), Reserved::Reserved);
        assert_eq!(store.reserved("lab").expect("read"), 100);
        assert_eq!(minors(&tell(store, "a", &[("g", 0)], &[])), [25, -20, -5], "told late");
    });
}

#[test]
fn offer_keeps_its_fee_and_what_was_withdrawn_stays_so_until_it_is_signed_anew() {
    every(|store| {
        world(store);
        let again = OfferRow { fee_minor: 1, expires_at: later(20), ..offer("a", "g") };
        assert!(store.put_offer(&again).expect("kept"));
        let sooner = OfferRow { expires_at: later(1), ..again };
        assert!(store.put_offer(&sooner).expect("kept"));
        let kept = OfferRow { expires_at: later(20), ..offer("a", "g") };
        assert_eq!(store.offer("a", "g").expect("read"), Some(kept.clone()));
        assert_eq!(store.offer("b", "h").expect("read"), None, "it is a's");
        assert_eq!(store.withdraw("a", Some("g"), NOW).expect("withdrawn"), 1);
        assert_eq!(store.withdraw("a", Some("g"), later(1)).expect("asked"), 0);
        assert!(!store.put_offer(&offer("a", "g")).expect("asked"));
        let withdrawn = OfferRow { withdrawn_at: Some(NOW), ..kept.clone() };
        assert_eq!(store.offer("a", "g").expect("read"), Some(withdrawn));
        assert!(!store.put_offer(&kept).expect("asked"), "as it was before");
        // Its agent signed the grant anew.
        let anew = OfferRow { expires_at: later(21), ..offer("a", "g") };
        assert!(store.put_offer(&anew).expect("kept"));
        assert_eq!(store.offer("a", "g").expect("read"), Some(anew));
        assert_eq!(store.withdraw("a", Some("g"), NOW).expect("withdrawn"), 1);
        for nobody in [
            OfferRow { provider: "none".into(), ..offer("a", "new") },
            OfferRow { agent_id: "c".into(), ..offer("a", "new") },
        ] {
            assert!(!store.put_offer(&nobody).expect("asked"));
        }
        for fee_minor in [-1, i64::MAX] {
            assert!(store.put_offer(&OfferRow { fee_minor, ..offer("a", "new") }).is_err());
        }
        // What is under way when it is withdrawn was delivered all the same.
        assert_eq!(minors(&tell(store, "a", &[("g", 0)], &[])), [25, -20, -5]);
    });
}

#[test]
fn offers_are_withdrawn_by_grant_order_provider_or_all_and_only_of_their_agent() {
    every(|store| {
        world(store);
        assert!(
            store.put_offer(&OfferRow { provider: "shop".into(), ..offer("a", "s") }).expect("")
        );
        let withdraw = |which| store.withdraw("a", which, NOW).expect("withdrawn");
        for grant in ["g", "h"] {
            store.reserve("a", grant, NOW).expect("asked");
        }
        assert_eq!(withdraw(Some("none")), 0);
        assert_eq!(withdraw(Some("h")), 1);
        assert_eq!(store.reserved("lab").expect("read"), 25);
        assert_eq!(withdraw(Some("shop")), 1);
        assert_eq!(withdraw(None), 1);
        assert_eq!(store.reserved("lab").expect("read"), 0);
        assert_eq!(store.offer("b", "g").expect("read").expect("is there").withdrawn_at, None);
    });
}

#[test]
fn log_grows_only_at_its_end_and_keeps_what_it_has() {
    every(|store| {
        world(store);
        let texts = [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()];
        let nodes = [(0, hash("one")), (2, hash("two")), (9, hash("nine"))];
        let root = |text: &str, size| CheckpointRow { size, root: hash(text), note: text.into() };
        let first =
            Append { nodes: &nodes, checkpoint: Some(&root("r3", 3)), ..leaves("a", 0, &texts) };
        assert_eq!(store.append(&first).expect("appended"), Some(vec![]));
        assert_eq!(store.append(&first).expect("asked"), None, "it is there already");
        assert_eq!(store.append(&leaves("a", 4, &texts)).expect("asked"), None, "a gap");
        assert_eq!(store.append(&leaves("nobody", 0, &texts)).expect("asked"), None);
        let size = |agent, log| store.log_size(agent, log).expect("read");
        assert_eq!([size("a", LogKind::Agent), size("a", LogKind::Hub)], [3, 0]);
        assert_eq!(size("b", LogKind::Agent), 0);
        let read = |agent, from, to| store.leaves(agent, LogKind::Agent, from, to).expect("read");
        assert_eq!(read("a", 1, 9), texts[1..]);
        assert_eq!(read("a", 0, 1), texts[..1]);
        assert_eq!(read("a", 2, 1), [[0; 0]; 0]);
        assert_eq!(read("b", 0, 9), [[0; 0]; 0]);
        let found = store.nodes("a", LogKind::Agent, &[9, 1, 0]).expect("read");
        assert_eq!(found, [nodes[2], nodes[0]]);
        assert_eq!(store.nodes("b", LogKind::Agent, &[9]).expect("read"), []);
        assert_eq!(store.nodes("a", LogKind::Hub, &[9]).expect("read"), []);
        // A head may be signed later, or anew by another key; it never says something else.
        let head = |text: &str, size| {
            let head = root(text, size);
            store.append(&Append { checkpoint: Some(&head), ..leaves("a", 3, &[]) })
        };
        assert!(head("r3", 2).is_err() && head("r3", 4).is_err(), "for another length");
        assert!(head("fork", 3).is_err(), "another root");
        let anew = CheckpointRow { note: "by another key".into(), ..root("r3", 3) };
        let signed = Append { checkpoint: Some(&anew), ..leaves("a", 3, &[]) };
        assert_eq!(store.append(&signed).expect("appended"), Some(vec![]));
        assert_eq!(store.checkpoint("a", LogKind::Agent).expect("read"), Some(anew));
        assert_eq!(store.checkpoint("a", LogKind::Hub).expect("read"), None);
        assert_eq!(store.checkpoint("b", LogKind::Agent).expect("read"), None);
    });
}

#[test]
fn append_that_tells_of_what_it_must_not_leaves_nothing_behind() {
    every(|store| {
        world(store);
        let texts = [b"one".to_vec()];
        let good = leaves("a", 0, &texts);
        for (log, told) in [
            (LogKind::Agent, report("b", 0, "g", 0)),
            (LogKind::Agent, report("a", 1, "g", 0)),
            (LogKind::Hub, report("a", 0, "g", 0)),
        ] {
            let told = [told];
            assert!(store.append(&Append { log, accesses: &told, ..good }).is_err());
            assert!(store.append(&Append { log, reversals: &told, ..good }).is_err());
        }
        assert_eq!(store.log_size("a", LogKind::Agent).expect("read"), 0);
        assert_eq!(store.balance("owner:b", "EUR").expect("read"), 0);
        assert_eq!(tell(store, "b", &[("h", 0)], &[]), [Posted::NoOffer], "h is a's");
        assert_eq!(store.balances().expect("read").len(), 2, "cash and provider");
    });
}

#[test]
fn money_is_posted_once_and_only_when_it_adds_up() {
    every(|store| {
        world(store);
        assert!(!store.post(&Posting { at: later(1), ..top_up("t", "lab", 100) }).expect("asked"));
        let entry = |account: &str, minor| Entry { account: account.into(), minor };
        let with =
            |entries: &[Entry]| Posting { entries: entries.to_vec(), ..top_up("bad", "lab", 1) };
        assert_eq!(tell(store, "a", &[], &[]), [], "a leaf that tells of nothing");
        let access = tell(store, "a", &[("g", 0)], &[]).remove(0);
        let Posted::New(access) = access else { panic!("{access:?}") };
        let leaf_of = |posting: &Posting| Some(posting.access.as_ref()?.leaf_index);
        let kept = store.postings(Timestamp(0), Timestamp(i64::MAX)).expect("read");
        assert_eq!((leaf_of(&access), leaf_of(&kept[1])), (Some(1), Some(1)));
        for (bad, why) in [
            (top_up("t", "lab", 99), "another amount with an id that is there"),
            (top_up(&access.posting_id, "lab", 99), "the id of an access"),
            (Posting { posting_id: "x".into(), ..access }, "an access without its leaf"),
            (with(&[]), "nothing"),
            (with(&[entry("cash", 5)]), "one side"),
            (with(&[entry("cash", 5), entry("service", -4)]), "not zero"),
            (with(&[entry("cash", 5), entry("cash", -5)]), "an account twice"),
            (with(&[entry("cash", 5), entry("provider:", -5)]), "no name"),
            (with(&[entry("cash", 5), entry("bank", -5)]), "no account"),
            (with(&[entry("cash", MINOR_MAX + 1), entry("service", -MINOR_MAX - 1)]), "too much"),
        ] {
            assert!(store.post(&bad).is_err(), "{why}");
        }
        let balances = store.balances().expect("read");
        let minors: Vec<_> =
            balances.iter().map(|(account, _, minor)| (account.as_str(), *minor)).collect();
        let expected = [("cash", 100), ("owner:a", -20), ("provider:lab", -75), ("service", -5)];
        assert_eq!(minors, expected);
    });
}

#[test]
fn currencies_are_kept_apart() {
    every(|store| {
        world(store);
        let francs = Posting { currency: "CHF".into(), ..top_up("chf", "lab", 7) };
        assert!(store.post(&francs).expect("posted"));
        let balance = |currency: &str| store.balance("provider:lab", currency).expect("read");
        assert_eq!([balance("EUR"), balance("CHF"), balance("USD")], [-100, -7, 0]);
    });
}

#[test]
fn lines_of_an_account_follow_from_each_other_and_name_what_was_fetched() {
    every(|store| {
        world(store);
        tell(store, "a", &[("g", 0)], &[]);
        // The clock of `b` is behind, or it was away: its access counts when the hub is told.
        let second = Posting { posted_at: later(5), ..top_up("u", "lab", 50) };
        assert!(store.post(&second).expect("posted"));
        let posted = tell(store, "b", &[("g", 0)], &[]);
        let [Posted::New(late)] = posted.as_slice() else { panic!("{posted:?}") };
        assert_eq!((late.at, late.posted_at), (NOW, later(5)), "never before the last one");
        let lines = |account: &str, from, to| store.lines(account, from, to).expect("read");
        let all = lines("provider:lab", NOW, later(9));
        let amounts: Vec<_> = all.iter().map(|line| (line.minor, line.balance_minor)).collect();
        assert_eq!(amounts, [(-100, -100), (25, -75), (-50, -125), (25, -100)]);
        let offers: Vec<_> = all.into_iter().map(|line| line.offer).collect();
        assert_eq!(offers, [None, Some(offer("a", "g")), None, Some(offer("b", "g"))]);
        assert_eq!(lines("provider:lab", NOW, later(5)).len(), 2, "the end is not in it");
        assert_eq!(lines("provider:lab", later(5), later(6)).len(), 2, "the beginning is");
        assert_eq!(lines("owner:a", NOW, later(9)).len(), 1);
        assert_eq!(lines("owner:c", NOW, later(9)), []);
        assert_eq!(store.postings(later(1), later(9)).expect("read"), [second, late.clone()]);
        assert_eq!(store.accesses_count("lab", NOW).expect("read"), 2);
        assert_eq!(store.accesses_count("shop", NOW).expect("read"), 0);
    });
}

#[test]
fn provider_sees_the_offers_to_it_that_hold_in_pages() {
    every(|store| {
        world(store);
        assert!(
            store.put_offer(&OfferRow { provider: "shop".into(), ..offer("b", "s") }).expect("")
        );
        let page = |after, count_max, now| -> Vec<(String, String)> {
            let offers = store.offers_of("lab", after, count_max, now).expect("read");
            offers.into_iter().map(|offer| (offer.agent_id, offer.grant_id)).collect()
        };
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(agent, grant)| ((*agent).into(), (*grant).into())).collect()
        };
        assert_eq!(page(None, 2, NOW), pairs(&[("a", "g"), ("a", "h")]));
        assert_eq!(page(Some(("a", "h")), 2, NOW), pairs(&[("b", "g")]));
        assert_eq!(page(None, 9, later(10)), pairs(&[]), "they are over");
        store.withdraw("a", Some("h"), NOW).expect("withdrawn");
        assert_eq!(page(None, 9, NOW), pairs(&[("a", "g"), ("b", "g")]));
    });
}

#[test]
fn accesses_are_counted_by_hour_and_the_last_top_up_is_known() {
    every(|store| {
        world(store);
        tell(store, "a", &[("g", 0)], &[]);
        tell(store, "b", &[("g", 0)], &[]);
        let late = AccessReport { at: later(2), ..report("a", 1, "h", 0) };
        let texts = [b"leaf".to_vec()];
        let posted = store.append(&Append { accesses: &[late], ..leaves("a", 1, &texts) });
        assert_eq!(posted.expect("appended").map(|posted| posted.len()), Some(1));
        let hours = |since| store.accesses_by_hour("lab", since).expect("read");
        let hour = NOW.0 / HOUR_MS;
        assert_eq!(hours(NOW), [(hour, 2), (hour + 2, 1)]);
        assert_eq!(hours(later(1)), [(hour + 2, 1)]);
        assert_eq!(store.accesses_by_hour("shop", NOW).expect("read"), []);
        assert_eq!(store.last_top_up("shop").expect("read"), None);
        assert_eq!(store.last_top_up("lab").expect("read"), Some(top_up("t", "lab", 100)));
        let second = Posting { currency: "CHF".into(), ..top_up("u", "lab", 1) };
        assert!(store.post(&second).expect("posted"));
        assert_eq!(store.last_top_up("lab").expect("read"), Some(second));
    });
}
