//! What counts towards limits, and orders that are held.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::super::state::tests::order;
use super::*;

const NOW: Timestamp = Timestamp(1_790_000_000_000);

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

fn some_of(words: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    subsequence(words, 0..=words.len()).prop_map(|some| self::words(&some))
}

prop_compose! {
    fn any_order()(
        rule in select(vec!["a", "b"]),
        provider in select(vec!["lab", "x"]),
        product in select(vec![None, Some("mug"), Some("canvas")]),
        addressee in select(vec![None, Some("a")]),
        people in some_of(&["Anna", "B'en \""]),
        copies in 1_u32..4,
        price_minor in 0_i64..50,
        currency in select(vec!["EUR", "USD"]),
        state in select(vec!["ask", "held", "ready", "accepted", "done", "refused", "cancelled"]),
        days in 0_i64..70,
    ) -> Order {
        Order {
            rule: rule.to_owned(),
            provider: provider.to_owned(),
            product: product.map(str::to_owned),
            addressee: addressee.map(str::to_owned),
            people,
            copies,
            price_minor,
            currency: currency.to_owned(),
            created_at: NOW.plus_millis(-days * 86_400_000),
            hold: Some(Hold { from: NOW, until: NOW }),
            ..order("k", state.parse().expect("a state"))
        }
    }
}

prop_compose! {
    fn any_filter()(
        rules in some_of(&["a", "b", "c"]),
        providers in some_of(&["lab", "x"]),
        products in some_of(&["mug", "canvas"]),
        people in some_of(&["Anna", "B'en \"", "Oma"]),
        addressees in some_of(&["", "a"]),
    ) -> OrderFilter {
        OrderFilter { rules, providers, products, people, addressees }
    }
}

proptest! {
    /// The database adds up the same orders that the filter takes.
    #[test]
    fn spent_is_the_sum_of_the_orders_of_the_month_that_the_filter_takes(
        orders in prop::collection::vec(any_order(), 0..20),
        filter in any_filter(),
    ) {
        let state = State::in_memory().expect("opens");
        let number = |(index, order)| Order { order_key: format!("{index}"), ..order };
        let orders: Vec<Order> = orders.into_iter().enumerate().map(number).collect();
        state.put_orders(orders.clone()).expect("kept");
        let mut wanted = Spent::default();
        let counts = |order: &&Order| {
            let words = ["held", "ready", "accepted", "done"];
            words.contains(&order.state.as_str())
                && order.created_at >= NOW.month_start()
                && filter.takes(order)
        };
        for order in orders.iter().filter(counts) {
            wanted.orders_count += 1;
            wanted.copies_count += order.copies;
            wanted.minor += if order.currency == "EUR" { order.price_minor } else { 0 };
        }
        let other = ContentHash::of(b"another photo");
        prop_assert_eq!(state.spent(&filter, "EUR", &other, NOW).expect("read"), wanted);
    }
}

#[test]
fn own_open_orders_of_a_photo_do_not_count_when_it_is_planned_anew() {
    let state = State::in_memory().expect("opens");
    state.put_orders(vec![order("k", OrderState::Ready)]).expect("kept");
    let photo = ContentHash::of(b"photo");
    let spent = |photo| state.spent(&OrderFilter::default(), "EUR", photo, NOW).expect("read");
    assert_eq!(spent(&photo), Spent::default());
    let one = Spent { orders_count: 1, copies_count: 1, minor: 29 };
    assert_eq!(spent(&ContentHash::of(b"another photo")), one);
}

#[test]
fn held_order_is_due_when_its_time_is_over_or_its_owner_says_yes() {
    let state = State::in_memory().expect("opens");
    let until = NOW.plus_millis(3_600_000);
    let held =
        |key: &str| Order { hold: Some(Hold { from: NOW, until }), ..order(key, OrderState::Held) };
    state.put_orders(vec![held("a"), held("b"), held("c")]).expect("kept");
    assert_eq!(state.outbox_next().expect("read"), Some(until));
    assert!(state.outbox_due(NOW, 9, &[]).expect("read").is_empty());
    assert!(state.approve_order("a", 29, "EUR", NOW).expect("approved"));
    let cancelled = OrderState::Cancelled;
    assert!(state.move_order("b", &[OrderState::Held], cancelled, "no", NOW).expect("moved"));
    let due = |at| {
        let due = state.outbox_due(at, 9, &[]).expect("read").into_iter();
        due.map(|due| due.order.order_key).collect::<Vec<_>>()
    };
    assert_eq!(due(NOW), ["a"]);
    assert_eq!(due(until), ["a", "c"]);
    let since = state.held_since(&ContentHash::of(b"photo")).expect("read");
    assert_eq!(since, [("c".to_owned(), NOW)].into(), "the others are decided");
}
