//! What each answer of a hub means for an order, and that no revocation is forgotten. The real hub
//! is in `suite::hub_drill`.

use std::sync::Mutex;

use super::*;
use crate::base::ids::ContentHash;
use crate::base::money::Currency;
use crate::orders::terms::Fees;
use crate::store::{OrderState, Purpose};

const NOW: Timestamp = Timestamp(1_790_000_000_000);

/// A hub that says what it is told to say, and what it was asked.
struct Says {
    answer: Mutex<Result<Answer, String>>,
    asked: Mutex<Vec<Ask>>,
}

impl Says {
    fn new(answer: Result<Answer, String>) -> Self {
        Self { answer: Mutex::new(answer), asked: Mutex::default() }
    }
}

impl HubDesk for Says {
    fn ask(&self, what: Ask) -> Result<Answer, String> {
        self.asked.lock().expect("one thread").push(what);
        self.answer.lock().expect("one thread").clone()
    }

    fn base_url(&self) -> String {
        "https://hub.example/o/a".into()
    }
}

fn order() -> Order {
    Order { provider: "lab".into(), ..Order::new("k", ContentHash::of(b"photo"), NOW) }
}

fn quoted(answer: Result<Answer, String>) -> Result<Option<Quoted>, Hindrance> {
    let terms = Terms {
        key: "its key".into(),
        fees: Fees { original_minor: 25, ..Fees::default() },
        ..Terms::new(Currency::try_from("EUR".to_owned()).expect("a currency"))
    };
    let ask = PriceAsk { member: Member::Original, purpose: Purpose::Print, megapixels: Some(12) };
    quote(&Says::new(answer), &order(), &terms, ask)
}

fn quote_of(fee_minor: i64, currency: &str, is_covered: bool) -> Result<Answer, String> {
    let (provider, currency) = ("lab-at-hub".into(), currency.into());
    Ok(Answer::Quote { provider, fee_minor, currency, service_percent: 10, is_covered })
}

#[test]
fn order_goes_by_the_hub_at_its_price_only_where_that_is_what_was_agreed() {
    let good = |fee_minor| {
        Ok(Some(Quoted { provider: "lab-at-hub".into(), fee_minor, service_percent: 10 }))
    };
    assert_eq!(quoted(quote_of(25, "EUR", true)), good(25));
    assert_eq!(quoted(quote_of(30, "EUR", true)), good(30), "more is welcome");
    let no = |later| Ok(Answer::No { later, why: "because".into() });
    assert_eq!(quoted(no(false)), Ok(None), "it is not known there: it fetches here");
    for (answer, word) in [
        (quote_of(24, "EUR", true), "pays 0.24 EUR"),
        (quote_of(25, "USD", true), "pays 0.25 USD"),
        (quote_of(25, "EUR", false), "no credit at the hub"),
        (no(true), "because"),
        (Err("it is away".into()), "it is away"),
        (Ok(Answer::Done), "another question"),
    ] {
        match quoted(answer) {
            Err(Hindrance::Later(why)) => assert!(why.contains(word), "{why}"),
            other => panic!("{word}: {other:?}"),
        }
    }
}

#[test]
fn revocation_is_told_until_the_hub_took_it() {
    let state = State::in_memory().expect("a store");
    let order = Order { state: OrderState::Ready, ..order() };
    state.put_orders(vec![order.clone()]).expect("kept");
    let mut grant = grant();
    let quoted = Quoted { provider: "lab".into(), fee_minor: 7, service_percent: 10 };
    let offer = quoted.offer(&mut grant, "https://hub.example/o/a");
    assert_eq!(grant.fee_minor, 7);
    state.put_grant_offers(&[offer]).expect("kept");
    state.put_grants(&order, &[grant], &[], NOW).expect("kept");

    let hub = Says::new(Err("it is away".into()));
    assert_eq!(withdraw_once(&state, &hub), Ok(()), "nothing is to be withdrawn");
    state.set_stopped(true, NOW).expect("stopped");
    state.revoke(None, "stopped by the owner", NOW).expect("revoked");
    assert!(withdraw_once(&state, &hub).is_err());
    assert!(withdraw_once(&state, &hub).is_err());
    *hub.answer.lock().expect("one thread") = Ok(Answer::Done);
    assert_eq!(withdraw_once(&state, &hub), Ok(()));
    assert_eq!(withdraw_once(&state, &hub), Ok(()));
    let asked = hub.asked.lock().expect("one thread");
    let expected = Ask::Withdraw { which: Some("g".into()) };
    assert_eq!(*asked, [expected.clone(), expected.clone(), expected]);
}

/// An order that another one took the place of, which came to nothing: its owner says yes to the
/// first one after all. Its grant holds again, and the hub had taken it back.
#[test]
fn order_that_was_replaced_is_offered_anew_after_its_owner_says_yes_again() {
    let state = State::in_memory().expect("a store");
    let order = Order { state: OrderState::Accepted, ..order() };
    state.put_orders(vec![order.clone()]).expect("kept");
    let mut grant = grant();
    let quoted = Quoted { provider: "lab".into(), fee_minor: 7, service_percent: 10 };
    let offer = quoted.offer(&mut grant, "https://hub.example/o/a");
    state.put_grant_offers(&[offer]).expect("kept");
    state.put_grants(&order, &[grant], &[], NOW).expect("kept");
    state.note_offered("g", "https://hub.example/o/a", NOW).expect("noted");
    let grants = || state.grants(Some("k")).expect("read");
    assert!(!were_taken_back(&state, &grants()).expect("read"));

    let heir = Order {
        order_key: "heir".into(),
        provider: "shop".into(),
        instead_of: Some("k".into()),
        state: OrderState::Ready,
        ..order
    };
    let end = (OrderState::Failed, "it does not make it");
    assert!(state.replace_order("k", &[OrderState::Accepted], end, &heir, NOW).expect("replaced"));
    let hub = Says::new(Ok(Answer::Done));
    assert_eq!(withdraw_once(&state, &hub), Ok(()));
    assert!(!state.approve_order("k", 0, "EUR", NOW).expect("asked"), "the heir lives");
    let gone = OrderState::Cancelled;
    assert!(state.move_order("heir", &[OrderState::Ready], gone, "", NOW).expect("cancelled"));
    assert!(state.approve_order("k", 0, "EUR", NOW).expect("approved"));
    assert!(grants()[0].revoked_at.is_none(), "it holds again");
    assert!(were_taken_back(&state, &grants()).expect("read"), "and not at the hub");

    // As `Counter::grants` does it: signed anew, so that it holds longer, and offered anew.
    let anew = GrantRow {
        token: "t2".into(),
        issued_at: NOW.plus_millis(5),
        expires_at: NOW.plus_millis(2000),
        ..grants().remove(0)
    };
    state.renew_grants(&[anew]).expect("renewed");
    state.offer_anew("g").expect("noted");
    assert_eq!(grants()[0].token, "t2");
    assert!(!were_taken_back(&state, &grants()).expect("read"));
    assert_eq!(state.grant_offer("g").expect("read").expect("an offer").offered_at, None);
    assert_eq!(withdraw_once(&state, &hub), Ok(()));
    assert_eq!(hub.asked.lock().expect("one thread").len(), 1, "it is not taken back again");
}

fn grant() -> GrantRow {
    let photo = ContentHash::of(b"photo");
    GrantRow {
        grant_id: "g".into(),
        order_key: "k".into(),
        provider: "lab".into(),
        member: Member::Original,
        name: "p.jpg".into(),
        evidence: None,
        photo,
        digest: photo,
        offset: None,
        bytes_count: 5,
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
