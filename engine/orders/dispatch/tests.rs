//! Each step of an order, with a provider that does as it is scripted.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Mutex;

use super::pace::{WAITS_S, wait_ms};
use super::*;
use crate::base::ids::ContentHash;
use crate::orders::decide;
use crate::orders::parcel::Sender;
use crate::orders::target::{Cancelled, Carries, Progress, Quote, Search, Setback, Taken};
use crate::orders::webhook::MemberMessage;
use crate::store::Hold;

const NOW: Timestamp = Timestamp(1_790_000_000_000);
const HOUR_MS: i64 = 3_600_000;

/// What a provider does with the next calls; afterwards it takes everything.
#[derive(Default)]
struct Provider {
    quotes: VecDeque<Result<Option<Quote>, Setback>>,
    sends: VecDeque<Result<OrderState, Setback>>,
    finds: VecDeque<bool>,
    /// It has no way to find one, and takes the same twice as once.
    takes_again: bool,
    follows: VecDeque<OrderState>,
    cancels: VecDeque<Cancelled>,
    /// What it was asked, in the order of time.
    calls: Vec<String>,
}

#[derive(Clone)]
struct Script(Arc<Mutex<Provider>>);

impl Script {
    fn with<T>(&self, work: impl FnOnce(&mut Provider) -> T) -> T {
        work(&mut self.0.lock().expect("no panic before"))
    }

    fn calls(&self) -> Vec<String> {
        self.with(|provider| std::mem::take(&mut provider.calls))
    }
}

fn taken(parcel_key: &str, state: OrderState) -> Taken {
    Taken {
        remote: format!("remote of {parcel_key}"),
        progress: Progress { state, note: "it has it".into(), look_again_s: Some(60) },
    }
}

impl Target for Script {
    fn carries(&self) -> Carries {
        Carries {
            batches: true,
            bytes: false,
            crop: false,
            companions: false,
            address: false,
            contact: false,
            progress: true,
            cancels: true,
        }
    }

    fn quote(&self, _parcel: &Parcel) -> Result<Option<Quote>, Setback> {
        self.with(|provider| provider.quotes.pop_front().unwrap_or(Ok(None)))
    }

    fn send(&self, parcel: &Parcel, _files: &dyn Files) -> Result<Taken, Setback> {
        self.with(|provider| {
            let keys: Vec<_> = parcel.lines.iter().map(|line| line.order_key.clone()).collect();
            provider.calls.push(format!("send {}", keys.join("+")));
            let result = provider.sends.pop_front().unwrap_or(Ok(OrderState::Accepted));
            result.map(|state| taken(&parcel.parcel_key, state))
        })
    }

    fn find(&self, parcel: &Parcel) -> Result<Search, Setback> {
        self.with(|provider| {
            provider.calls.push("find".into());
            Ok(match provider.finds.pop_front() {
                Some(true) => Search::Found(taken(&parcel.parcel_key, OrderState::Accepted)),
                _ if provider.takes_again => Search::TakesAgain,
                _ => Search::SendAgain,
            })
        })
    }

    fn follow(&self, _parcel_key: &str, _remote: &str) -> Result<Progress, Setback> {
        self.with(|provider| {
            provider.calls.push("follow".into());
            let state = provider.follows.pop_front().unwrap_or(OrderState::Done);
            Ok(Progress { state, note: "so it says".into(), look_again_s: Some(600) })
        })
    }

    fn cancel(&self, _parcel_key: &str, remote: &str) -> Result<Cancelled, Setback> {
        self.with(|provider| {
            provider.calls.push(format!("cancel {}", remote.starts_with("remote of ")));
            Ok(provider.cancels.pop_front().unwrap_or(Cancelled::Stopped("stopped".into())))
        })
    }
}

/// Lets one provider be reached, and packs what it is told to.
struct Shop {
    state: State,
    script: Script,
    batches: bool,
    /// Whether rules name another provider.
    has_other: bool,
}

impl Files for Shop {
    fn open(&self, _: &str, _: &MemberMessage) -> io::Result<Box<dyn Read + Send>> {
        Err(io::Error::other("not carried"))
    }
}

impl Outlet for Shop {
    fn target(&self, _provider: &str) -> Result<Box<dyn Target>, Hindrance> {
        Ok(Box::new(self.script.clone()))
    }

    fn instead(&self, other: &Order, why: &str, _: Timestamp) -> Result<Option<Order>, StoreError> {
        let key = format!("{}-2", other.order_key);
        Ok((self.has_other && other.provider == "lab").then(|| Order {
            provider: "lab-2".into(),
            instead_of: Some(other.order_key.clone()),
            reason: why.to_owned(),
            ..order(&key, OrderState::Ready)
        }))
    }

    fn batches(&self, _provider: &str) -> bool {
        self.batches
    }

    fn line(&self, order: &Order, _now: Timestamp) -> Result<Line, Hindrance> {
        Ok(Line {
            order_key: order.order_key.clone(),
            purpose: order.purpose,
            product: None,
            copies: 1,
            price_minor: order.price_minor,
            pixels: None,
            batch: None,
            crop: None,
            members: Vec::new(),
            manifest: String::new(),
            receipt_url: String::new(),
            status_url: String::new(),
        })
    }

    fn parcel(&self, key: &str, orders: &[Order], lines: Vec<Line>) -> Result<Parcel, Hindrance> {
        Ok(Parcel {
            parcel_key: key.to_owned(),
            provider: orders[0].provider.clone(),
            sender: Sender {
                name: String::new(),
                address: String::new(),
                agent_id: String::new(),
                key: String::new(),
            },
            recipient: None,
            addressee: None,
            express: false,
            delivery: None,
            lines,
            currency: "EUR".into(),
            callback_url: String::new(),
            created_at: NOW,
        })
    }

    fn delivered(&self, _parcel: &Parcel, _now: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Shop {
    fn new() -> Self {
        let state = State::in_memory().expect("a state");
        Self { state, script: Script(Arc::default()), batches: false, has_other: false }
    }

    fn put(&self, keys: &[&str], state: OrderState) {
        let orders = keys.iter().map(|key| order(key, state)).collect();
        self.state.put_orders(orders).expect("kept");
    }

    /// Works off what is due so long after the beginning.
    fn work(&self, hours: i64) {
        let now = NOW.plus_millis(hours * HOUR_MS);
        run_due(&self.state, self, now, &|_| ()).expect("kept");
    }

    fn states(&self) -> Vec<OrderState> {
        self.state.orders(None).expect("read").into_iter().map(|order| order.state).collect()
    }

    fn cancel(&self, key: &str) -> Result<String, decide::DecideError> {
        let order = self.state.order(key).expect("read").expect("there");
        decide::cancel(&self.state, |provider| self.target(provider), &order, false, NOW)
    }
}

fn order(key: &str, state: OrderState) -> Order {
    let until = NOW.plus_millis(HOUR_MS);
    Order {
        rule: "r".into(),
        revision: "0".into(),
        collection: "c".into(),
        relative: "p.jpg".into(),
        provider: "lab".into(),
        product: Some("mug".into()),
        price_minor: 100,
        currency: "EUR".into(),
        hold: (state == OrderState::Planned).then_some(Hold { from: NOW, until }),
        state,
        ..Order::new(key, ContentHash::of(key.as_bytes()), NOW)
    }
}

#[test]
fn waits_grow_and_stay_near_the_schedule() {
    for (attempt, wait) in WAITS_S.iter().enumerate() {
        let attempt = u32::try_from(attempt).expect("small");
        let got = wait_ms("k", attempt, None);
        assert!((wait * 800..=wait * 1200).contains(&got), "try {attempt}: {got} ms");
    }
    assert_eq!(wait_ms("k", 0, Some(90)), 90_000, "the provider asked for more");
    assert!(wait_ms("k", 4_000_000, None) >= 86_400 * 800);
}

#[test]
fn order_is_sent_once_and_followed_to_its_end() {
    let shop = Shop::new();
    shop.put(&["a"], OrderState::Ready);
    shop.script.with(|p| p.follows = [OrderState::Production, OrderState::Shipped].into());
    shop.work(0);
    assert_eq!(shop.states(), [OrderState::Accepted]);
    for (hours, state) in
        [(1, OrderState::Production), (2, OrderState::Shipped), (3, OrderState::Done)]
    {
        shop.work(hours);
        assert_eq!(shop.states(), [state]);
    }
    shop.work(4);
    assert_eq!(shop.script.calls(), ["send a", "follow", "follow", "follow"]);
}

#[test]
fn unknown_outcome_is_asked_about_before_anything_is_sent_again() {
    let shop = Shop::new();
    shop.put(&["a"], OrderState::Ready);
    shop.script.with(|p| {
        p.sends = [Err(Setback::unknown("it hung up")), Err(Setback::unknown("again"))].into();
        p.finds = [false, true].into();
    });
    shop.work(0);
    assert_eq!(shop.states(), [OrderState::Sent]);
    let reason = shop.state.order("a").expect("read").expect("there").reason;
    assert!(reason.contains("not known") && reason.contains("it hung up"), "{reason}");
    shop.work(1);
    shop.work(2);
    assert_eq!(shop.states(), [OrderState::Accepted]);
    assert_eq!(shop.script.calls(), ["send a", "find", "send a", "find"]);
}

#[test]
fn parcel_that_was_surely_not_taken_is_ready_again_and_one_refused_has_failed() {
    let shop = Shop::new();
    shop.put(&["a"], OrderState::Ready);
    let refused = Err(Setback::refused("no such product"));
    shop.script.with(|p| p.sends = [Err(Setback::not_taken("later")), refused].into());
    shop.work(0);
    assert_eq!(shop.states(), [OrderState::Ready]);
    assert_eq!(shop.state.parcel_of("a").expect("read"), None);
    shop.work(1);
    assert_eq!(shop.states(), [OrderState::Failed]);
    let key = shop.state.parcel_of("a").expect("read").expect("a parcel").parcel_key;
    // The owner lets it go anew: another parcel, for a provider that keeps keys.
    assert!(shop.state.approve_order("a", 100, "EUR", NOW).expect("approved"));
    shop.work(2);
    assert_eq!(shop.states(), [OrderState::Accepted]);
    assert_ne!(shop.state.parcel_of("a").expect("read").expect("a parcel").parcel_key, key);
}

#[test]
fn provider_that_is_away_is_tried_once_for_all_its_orders() {
    let shop = Shop::new();
    let keys: Vec<String> = (0..40).map(|number| format!("k{number:02}")).collect();
    shop.put(&keys.iter().map(String::as_str).collect::<Vec<_>>(), OrderState::Ready);
    let away = || Err(Setback::away("no network"));
    shop.script.with(|p| p.sends = (0..SENDING_MAX).map(|_| away()).collect());
    shop.work(0);
    assert_eq!(shop.script.calls().len(), SENDING_MAX, "what was under way, and no more");
    shop.work(1);
    assert_eq!(shop.states(), vec![OrderState::Accepted; 40]);
}

#[test]
fn quote_over_the_agreed_price_asks_and_a_yes_is_a_yes_to_it() {
    let shop = Shop::new();
    shop.put(&["a"], OrderState::Ready);
    let quote = |minor| Ok(Some(Quote { minor, currency: "EUR".into() }));
    shop.script.with(|p| p.quotes = [quote(450), quote(450), quote(451)].into());
    shop.work(0);
    assert_eq!(shop.states(), [OrderState::Ask]);
    let asked = shop.state.order("a").expect("read").expect("there");
    assert!(asked.reason.contains("4.50 EUR"), "{}", asked.reason);
    let quoted = shop.state.quoted_minor("a").expect("read").expect("quoted");
    assert!(shop.state.approve_order("a", quoted, "EUR", NOW).expect("approved"));
    shop.work(1);
    assert_eq!(shop.states(), [OrderState::Accepted]);
    assert_eq!(shop.script.calls(), ["send a"]);

    shop.put(&["b"], OrderState::Ready);
    shop.work(0);
    assert_eq!(shop.state.order("b").expect("read").expect("there").state, OrderState::Ask);
}

#[test]
fn orders_for_one_addressee_wait_and_go_together() {
    let shop = Shop { batches: true, ..Shop::new() };
    shop.put(&["a", "b", "c"], OrderState::Planned);
    shop.work(0);
    assert!(shop.script.calls().is_empty(), "the time is not over");
    assert!(shop.cancel("b").expect("cancelled").contains("before"));
    shop.work(1);
    assert_eq!(shop.script.calls(), ["send a+c"]);
    assert_eq!(shop.states(), [OrderState::Accepted, OrderState::Cancelled, OrderState::Accepted]);
    let together = shop.cancel("a").expect_err("the other would be stopped too");
    assert!(together.to_string().contains("1 others"), "{together}");
}

#[test]
fn order_is_cancelled_where_the_provider_can_still_stop_it() {
    let shop = Shop::new();
    shop.put(&["a"], OrderState::Ready);
    shop.work(0);
    shop.script.with(|p| p.cancels = [Cancelled::TooLate("it is on the press".into())].into());
    let late = shop.cancel("a").expect_err("too late");
    assert!(late.to_string().contains("on the press"), "{late}");
    assert_eq!(shop.states(), [OrderState::Accepted], "what is made is paid");
    assert!(shop.cancel("a").expect("stopped").contains("stopped"));
    assert_eq!(shop.states(), [OrderState::Cancelled]);
    shop.work(1);
    assert_eq!(shop.script.calls(), ["send a", "cancel true", "cancel true"], "nothing to follow");
}

#[test]
fn order_cancelled_while_nobody_knows_whether_it_was_taken_is_never_sent_again() {
    for was_taken in [false, true] {
        let shop = Shop::new();
        shop.put(&["a"], OrderState::Ready);
        shop.script.with(|p| {
            p.sends = [Err(Setback::unknown("it hung up"))].into();
            p.finds = [was_taken].into();
        });
        shop.work(0);
        assert!(shop.cancel("a").expect("asked for").contains("as soon as it is known"));
        assert_eq!(shop.states(), [OrderState::Sent]);
        shop.work(0);
        assert_eq!(shop.states(), [OrderState::Cancelled]);
        shop.work(9);
        let asked: &[&str] = if was_taken { &["cancel true"] } else { &[] };
        assert_eq!(shop.script.calls(), [&["send a", "find"], asked].concat());
    }
}

#[test]
fn nothing_is_sealed_that_was_taken_back_or_while_everything_is_stopped() {
    let shop = Shop::new();
    shop.put(&["a", "b"], OrderState::Ready);
    assert!(shop.cancel("a").is_ok());
    let (parcel, orders) = ("p".repeat(26), ["a", "b"]);
    assert!(!shop.state.seal_parcel(&parcel, "lab", &orders, NOW).expect("asked"));
    assert_eq!(shop.states(), [OrderState::Cancelled, OrderState::Ready]);
    shop.state.set_stopped(true, NOW).expect("stopped");
    assert!(!shop.state.seal_parcel(&parcel, "lab", &["b"], NOW).expect("asked"));
    shop.work(0);
    assert!(shop.script.calls().is_empty());
}

#[test]
fn hint_brings_the_next_look_forward_and_not_more_often_than_every_few_seconds() {
    let shop = Shop::new();
    shop.put(&["a"], OrderState::Ready);
    shop.script.with(|p| p.follows = vec![OrderState::Production; 9].into());
    shop.work(0);
    let parcel = shop.state.parcel_of("a").expect("read").expect("a parcel");
    assert_eq!(parcel.next_look_at, Some(NOW.plus_millis(60_000)));
    assert!(shop.state.hint_parcel(&parcel.parcel_key, NOW).expect("kept"));
    let next = shop.state.parcel_of("a").expect("read").and_then(|parcel| parcel.next_look_at);
    assert_eq!(next, Some(NOW.plus_millis(5_000)));
    assert!(!shop.state.hint_parcel("nobody", NOW).expect("kept"));
}

/// What becomes of an order that another provider may make, and its heir, after so many hours.
#[track_caller]
fn check_failover(
    script: impl FnOnce(&mut Provider),
    hours: &[i64],
    wanted: &[OrderState],
    calls: &[&str],
) {
    let shop = Shop { has_other: true, ..Shop::new() };
    shop.script.with(script);
    shop.put(&["a"], OrderState::Ready);
    hours.iter().for_each(|hours| shop.work(*hours));
    assert_eq!(shop.states(), wanted);
    assert_eq!(shop.script.calls(), calls);
}

#[test]
fn order_that_was_surely_not_made_goes_to_the_next_provider() {
    let (failed, accepted) = (OrderState::Failed, OrderState::Accepted);
    let refused = || Err(Setback::refused("no paper"));
    check_failover(
        |it| it.sends = [refused()].into(),
        &[0],
        &[failed, accepted],
        &["send a", "send a-2"],
    );
    // Nobody knew, then it was known that the first has not got it.
    let unknown = || Err(Setback::unknown("cut off"));
    check_failover(
        |it| (it.sends, it.finds) = ([unknown(), refused()].into(), [false].into()),
        &[0, 1],
        &[failed, accepted],
        &["send a", "find", "send a", "send a-2"],
    );
    // It was never reached, until patience was over.
    check_failover(
        |it| it.sends = [Err(Setback::not_taken("busy")), Err(Setback::not_taken("busy"))].into(),
        &[0, 57 * 24],
        &[failed, accepted],
        &["send a", "send a", "send a-2"],
    );
}

#[test]
fn order_of_which_nobody_knows_goes_to_nobody_else() {
    let unknown = || Err(Setback::unknown("cut off"));
    check_failover(
        |it| it.sends = [unknown(), unknown()].into(),
        &[0, 1],
        &[OrderState::Sent],
        &["send a", "find", "send a"],
    );
    // One that takes the same twice as once may have it from the first try, whatever it says now.
    let refused = || Err(Setback::refused("no paper"));
    check_failover(
        |it| (it.takes_again, it.sends) = (true, [unknown(), refused()].into()),
        &[0, 1],
        &[OrderState::Failed],
        &["send a", "find", "send a"],
    );
    let away = || Err(Setback::not_taken("busy"));
    check_failover(
        |it| (it.takes_again, it.sends) = (true, [unknown(), away()].into()),
        &[0, 1],
        &[OrderState::Sent],
        &["send a", "find", "send a"],
    );
}

#[test]
fn order_that_a_provider_cancelled_by_itself_asks_before_the_next_one_has_it() {
    check_failover(
        |it| it.follows = [OrderState::Cancelled].into(),
        &[0, 1],
        &[OrderState::Cancelled, OrderState::Ask],
        &["send a", "follow"],
    );
    let shop = Shop { has_other: true, ..Shop::new() };
    shop.put(&["a"], OrderState::Ready);
    shop.work(0);
    shop.cancel("a").expect("cancelled");
    shop.work(1);
    assert_eq!(shop.states(), [OrderState::Cancelled], "the owner wants it nowhere");
}
