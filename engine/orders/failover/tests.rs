//! Who is asked next, and what is looked at again then.

use std::collections::BTreeMap;

use super::*;
use crate::base::clock::Timestamp;
use crate::base::ids::ContentHash;
use crate::base::money::{Currency, Money};
use crate::orders::catalogue::Product;
use crate::orders::plan::{order_key, plan};
use crate::orders::terms::{Limits, Terms};
use crate::rules::{Confirm, Verdict, Wish};
use crate::store::{Purpose, Usage};

const NOW: Timestamp = Timestamp(1_790_000_000_000);

fn currency(text: &str) -> Currency {
    Currency::try_from(text.to_owned()).expect("a currency")
}

fn terms(price_minor: i64) -> Terms {
    Terms {
        purposes: [Purpose::Print].into(),
        products: [("mug".to_owned(), Product::priced(price_minor))].into(),
        ..Terms::new(currency("EUR"))
    }
}

/// `lab` takes 10.00 for a mug, `lab-2` 12.00, `lab-3` 15.00.
fn consent() -> BTreeMap<String, Terms> {
    [("lab", 1000), ("lab-2", 1200), ("lab-3", 1500)]
        .map(|(name, price)| (name.to_owned(), terms(price)))
        .into()
}

fn photo() -> Photo {
    Photo {
        hash: ContentHash::of(b"p"),
        collection: "c".into(),
        relative: "p.jpg".into(),
        companions: [].into(),
        missing: Vec::new(),
        people: Vec::new(),
        pixels: Some((4000, 3000)),
        marks: Vec::new(),
    }
}

fn verdict(or: &[&str], most_minor: Option<i64>) -> Verdict {
    let price_max = most_minor.map(|minor| Money { minor, currency: currency("EUR") });
    Verdict {
        rule: "mugs".into(),
        revision: "0".repeat(12),
        wish: Wish::Order {
            provider: "lab".into(),
            product: "mug".into(),
            copies: 1,
            addressee: Some("a".into()),
            express: true,
            with: Vec::new(),
            or: or.iter().map(ToString::to_string).collect(),
            price_max,
            remove_icon: true,
        },
        confirm: Confirm::No,
        reason: "an icon".into(),
        doubts: Vec::new(),
        hold_ms: 0,
    }
}

fn planned(verdict: Verdict, consent: &BTreeMap<String, Terms>) -> Vec<Order> {
    let agreed = Agreed { consent, limits: &[] };
    plan(&photo(), &[verdict], agreed, &Before::default(), Moment::utc(NOW))
}

/// The order in the place of one at `lab` that refused it.
fn next(verdict: Verdict, consent: &BTreeMap<String, Terms>, before: &Before) -> Option<Order> {
    let order = planned(verdict, &self::consent()).remove(0);
    let agreed = Agreed { consent, limits: &[] };
    instead(&order, "no clay", &photo(), agreed, before, Moment::utc(NOW))
}

#[test]
fn order_at_the_next_provider_is_the_same_wish_at_its_price() {
    let order = next(verdict(&["lab-2", "lab-3"], None), &consent(), &Before::default());
    let order = order.expect("an order");
    assert_eq!((order.provider.as_str(), order.price_minor), ("lab-2", 1200));
    assert_eq!(order.order_key, order_key("mugs", photo().hash, "lab-2", Some("mug")));
    let first = order_key("mugs", photo().hash, "lab", Some("mug"));
    assert_eq!(order.instead_of.as_deref(), Some(first.as_str()));
    assert_eq!(order.fallback, ["lab-3"]);
    assert_eq!(order.state, OrderState::Ready);
    assert_eq!(order.reason, "an icon; not from `lab`: no clay");
    let kept = (order.copies, order.addressee.as_deref(), order.express, order.remove_icon);
    assert_eq!(kept, (1, Some("a"), true, true));
}

#[test]
fn nothing_is_left_where_the_rule_names_nobody_else() {
    assert_eq!(next(verdict(&[], None), &consent(), &Before::default()), None);
    let mut consent = consent();
    consent.remove("lab-2");
    assert_eq!(next(verdict(&["lab-2"], None), &consent, &Before::default()), None);
}

#[test]
fn provider_that_the_consent_does_not_cover_is_passed_over() {
    let mut consent = consent();
    consent.get_mut("lab-2").expect("terms").valid_until = Some(NOW);
    let order = next(verdict(&["lab-2", "lab-3"], None), &consent, &Before::default());
    let order = order.expect("an order");
    assert_eq!((order.provider.as_str(), order.fallback.len()), ("lab-3", 0));
    let reason = "an icon; not from `lab`: no clay; not from `lab-2`: the consent for provider \
                  `lab-2` has ended";
    assert_eq!(order.origin, reason);
}

#[test]
fn limits_hold_at_the_next_provider_too() {
    let ask = |verdict, consent: &BTreeMap<String, Terms>, before: &Before| {
        let order = next(verdict, consent, before).expect("an order");
        assert_eq!(order.state, OrderState::Ask);
        order.reason
    };
    let or = ["lab-2"];
    let reason = ask(verdict(&or, Some(1100)), &consent(), &Before::default());
    let why =
        "an icon; not from `lab`: no clay; but it costs 12.00 EUR, the limit of its rule is 11.00";
    assert_eq!(reason, why);
    let mut strict = consent();
    strict.get_mut("lab-2").expect("terms").limits =
        Limits { orders_per_day: 3, ..Limits::default() };
    let usage = Usage { orders_count_day: 3, spent_minor_month: 0 };
    let before = Before { usage: [("lab-2".to_owned(), usage)].into(), ..Before::default() };
    let reason = ask(verdict(&or, None), &strict, &before);
    assert!(reason.ends_with("but the limit of 3 orders a day is reached"), "{reason}");
    let mut dollars = consent();
    dollars.get_mut("lab-2").expect("terms").currency = currency("USD");
    let reason = ask(verdict(&or, Some(1300)), &dollars, &Before::default());
    assert!(reason.ends_with("but it costs USD, and its rule's limit is in EUR"), "{reason}");
}

#[test]
fn price_limit_of_a_rule_asks_at_the_first_provider() {
    let state = |most| planned(verdict(&[], most), &consent())[0].state;
    assert_eq!(state(Some(1000)), OrderState::Ready);
    assert_eq!(state(Some(999)), OrderState::Ask);
    assert_eq!(state(None), OrderState::Ready);
}

#[test]
fn wish_whose_provider_the_consent_does_not_cover_is_planned_at_the_next_one() {
    let mut consent = consent();
    consent.remove("lab");
    let asked = Verdict { confirm: Confirm::Ask, ..verdict(&["lab-2", "lab-3"], None) };
    let orders = planned(asked, &consent);
    let seen: Vec<_> = orders.iter().map(|order| (order.provider.as_str(), order.state)).collect();
    assert_eq!(seen, [("lab", OrderState::Refused), ("lab-2", OrderState::Ask)]);
    assert_eq!(orders[1].instead_of.as_deref(), Some(orders[0].order_key.as_str()));
    let why = "an icon; not from `lab`: no consent for provider `lab`: see `signet consent allow`";
    assert_eq!(orders[1].reason, why);
    consent.clear();
    let states: Vec<_> = planned(verdict(&["lab-2", "lab-3"], None), &consent)
        .iter()
        .map(|order| order.state)
        .collect();
    assert_eq!(states, [OrderState::Refused; 3], "each is visible");
}
