//! Prices as they are written; providers that are added, changed and pay; who may do that.

use proptest::prelude::*;

use super::*;
use crate::access::Key;
use crate::store::hub::{AgentKeys, OperatorRow, Role, SqliteHub, owner_account};

const NOW: Timestamp = Timestamp(1_790_000_000_000);

fn store() -> SqliteHub {
    SqliteHub::in_memory().expect("a store")
}

fn actor(role: Role) -> Actor {
    let password_hash = String::new();
    Actor::from(OperatorRow { name: "o".into(), password_hash, role, is_active: true })
}

fn with_secret() -> Proofs {
    Proofs { key: None, secret: true }
}

fn edit(change: impl FnOnce(&mut ProviderEdit)) -> ProviderEdit {
    let mut edit = ProviderEdit::default();
    change(&mut edit);
    edit
}

#[test]
fn provider_is_added_with_secrets_that_are_told_once() {
    let store = store();
    let key = Key::generate().expect("a key").public().to_string();
    let proofs = Proofs { key: Some(key.clone()), secret: true };
    let wanted = edit(|edit| {
        edit.prices = Some(vec![price("original=25").expect("a price")]);
        edit.notify_url = Some("https://lab.example/notices".into());
    });
    let told = add(&store, &Actor::host(), "lab", &proofs, &wanted, 20, NOW).expect("added");
    let row = store.provider("lab").expect("read").expect("there");
    assert_eq!(row, told.provider);
    assert_eq!((row.service_percent, row.state), (20, ProviderState::Active));
    let secret = told.secret.expect("a secret");
    let by_secret = store.provider_by_secret(&ContentHash::of(secret.as_bytes()));
    assert_eq!(by_secret.expect("read").expect("found").name, "lab");
    assert_eq!(store.provider_by_key(&key).expect("read").expect("found").name, "lab");
    assert_eq!(told.notify_secret, Some(row.notify_secret.clone()));
    let again = set(&store, &Actor::host(), "lab", &wanted, NOW).expect("the same again");
    assert_eq!(again.notify_secret, None, "told once");
    let renewed = renew_secret(&store, &Actor::host(), "lab", NOW).expect("renewed");
    assert_ne!(renewed.secret.as_ref(), Some(&secret));
    let by_old = store.provider_by_secret(&ContentHash::of(secret.as_bytes()));
    assert_eq!(by_old.expect("read"), None);
    let actions = format!("{:?}", store.actions(10).expect("actions"));
    for hidden in [secret.as_str(), row.notify_secret.as_str()] {
        assert!(!actions.contains(hidden), "{actions}");
    }

    let refused = |name: &str, proofs: &Proofs, edit: &ProviderEdit| {
        let error = add(&store, &Actor::host(), name, proofs, edit, 20, NOW).expect_err(name);
        assert!(matches!(error, OperatorError::Refused(_)), "{error:?}");
    };
    let nothing = ProviderEdit::default();
    refused("lab", &with_secret(), &nothing);
    refused("other", &proofs, &nothing);
    refused("other", &Proofs::default(), &nothing);
    refused("other", &Proofs { key: Some("k".into()), secret: false }, &nothing);
    for name in ["", "-a", "A", "a b", "a/b", "..", &*"a".repeat(41)] {
        refused(name, &with_secret(), &nothing);
    }
    for wrong in [
        edit(|edit| edit.purposes = Some(Vec::new())),
        edit(|edit| edit.currency = Some("euro".into())),
        edit(|edit| edit.credit_limit_minor = Some(-1)),
        edit(|edit| edit.service_percent = Some(101)),
        edit(|edit| edit.requests_per_minute = Some(0)),
        edit(|edit| edit.notify_url = Some("ftp://a".into())),
        edit(|edit| edit.notify_url = Some("https://a b".into())),
    ] {
        refused("other", &with_secret(), &wrong);
    }
}

#[test]
fn money_is_an_administrators_and_the_rest_any_operators() {
    let store = store();
    let (operator, admin) = (actor(Role::Operator), actor(Role::Admin));
    let prices = edit(|edit| edit.prices = Some(vec![price("any=1").expect("a price")]));
    let limits = edit(|edit| edit.accesses_per_day = Some(7));
    let is_role = |error: &OperatorError| matches!(error, OperatorError::Role { .. });
    let refused = add(&store, &operator, "lab", &with_secret(), &prices, 20, NOW);
    assert!(is_role(&refused.expect_err("money")));
    add(&store, &operator, "lab", &with_secret(), &limits, 20, NOW).expect("without money");
    for wrong in [
        prices.clone(),
        edit(|edit| edit.credit_limit_minor = Some(1)),
        edit(|edit| edit.service_percent = Some(0)),
        edit(|edit| edit.currency = Some("CHF".into())),
    ] {
        assert!(is_role(&set(&store, &operator, "lab", &wrong, NOW).expect_err("money")));
    }
    set(&store, &operator, "lab", &limits, NOW).expect("limits");
    set_state(&store, &operator, "lab", ProviderState::Paused, "why", NOW).expect("paused");
    set(&store, &admin, "lab", &prices, NOW).expect("prices");
    let row = store.provider("lab").expect("read").expect("there");
    assert_eq!((row.state, row.accesses_per_day, row.prices.len()), (ProviderState::Paused, 7, 1));
    let payment = Payment { minor: 1, reference: None, note: "" };
    assert!(is_role(&top_up(&store, &operator, "lab", payment, NOW).expect_err("money")));
    let euro = Currency::try_from("EUR".to_owned()).expect("a currency");
    let refused = pay_out(&store, &operator, "a", &euro, payment, NOW);
    assert!(is_role(&refused.expect_err("money")));
    let viewer = actor(Role::Viewer);
    assert!(is_role(&set(&store, &viewer, "lab", &limits, NOW).expect_err("looks only")));
    let paused = set_state(&store, &viewer, "lab", ProviderState::Active, "", NOW);
    assert!(is_role(&paused.expect_err("looks only")));
    assert!(is_role(&renew_secret(&store, &viewer, "lab", NOW).expect_err("looks only")));
}

#[test]
fn closed_provider_stays_closed() {
    let store = store();
    let host = Actor::host();
    add(&store, &host, "lab", &with_secret(), &ProviderEdit::default(), 20, NOW).expect("added");
    set_state(&store, &host, "lab", ProviderState::Closed, "over", NOW).expect("closed");
    let again = set_state(&store, &host, "lab", ProviderState::Active, "", NOW);
    assert!(matches!(again, Err(OperatorError::Refused(_))), "{again:?}");
    let row = store.provider("lab").expect("read").expect("there");
    assert_eq!((row.state, row.why.as_str()), (ProviderState::Closed, "over"));
}

#[test]
fn payment_with_a_reference_is_posted_once_and_the_books_stay_balanced() {
    let store = store();
    let host = Actor::host();
    let limit = edit(|edit| edit.credit_limit_minor = Some(500));
    add(&store, &host, "lab", &with_secret(), &limit, 20, NOW).expect("added");
    let payment = Payment { minor: 5000, reference: Some("bank 17"), note: "prepaid" };
    let paid = top_up(&store, &host, "lab", payment, NOW).expect("posted");
    assert!(paid.is_new);
    assert_eq!(paid.balance_minor, -5000);
    assert_eq!(paid.posting.note, "bank 17: prepaid");
    let again = top_up(&store, &host, "lab", payment, NOW.plus_millis(1)).expect("said again");
    assert!(!again.is_new);
    assert_eq!(again.balance_minor, -5000);
    let unnamed = Payment { minor: 100, reference: None, note: "" };
    for _ in 0..2 {
        assert!(top_up(&store, &host, "lab", unnamed, NOW).expect("posted").is_new);
    }
    assert_eq!(store.balance("cash", "EUR").expect("read"), 5200);
    let row = store.provider("lab").expect("read").expect("there");
    assert_eq!(credit_minor(&store, &row).expect("read"), 5700);
    for minor in [0, -1, MINOR_MAX + 1] {
        let wrong = top_up(&store, &host, "lab", Payment { minor, ..unnamed }, NOW);
        assert!(matches!(wrong, Err(OperatorError::Refused(_))), "{wrong:?}");
    }
    top_up(&store, &host, "nobody", unnamed, NOW).expect_err("nobody");
    let other = edit(|edit| edit.currency = Some("CHF".into()));
    let wrong = set(&store, &host, "lab", &other, NOW);
    assert!(matches!(wrong, Err(OperatorError::Refused(_))), "there is money in euro");
    assert_eq!(store.audit().expect("audit"), Vec::<String>::new());
}

#[test]
fn owner_is_paid_what_was_earned_and_no_more() {
    let store = store();
    let host = Actor::host();
    let euro = Currency::try_from("EUR".to_owned()).expect("a currency");
    let payment = Payment { minor: 1, reference: Some("bank 1"), note: "" };
    let nobody = pay_out(&store, &host, "nobody", &euro, payment, NOW);
    assert!(matches!(nobody, Err(OperatorError::Refused(_))), "{nobody:?}");
    let agent = joined(&store);
    let early = pay_out(&store, &host, &agent, &euro, payment, NOW);
    assert!(matches!(early, Err(OperatorError::Refused(_))), "{early:?}");
    let entry = |account: String, minor| Entry { account, minor };
    let earned = Posting {
        posting_id: "earned".into(),
        kind: PostingKind::TopUp,
        access: None,
        currency: "EUR".into(),
        at: NOW,
        posted_at: NOW,
        note: String::new(),
        entries: vec![entry("cash".into(), 300), entry(owner_account(&agent), -300)],
    };
    store.post(&earned).expect("posted");
    let payment = Payment { minor: 200, ..payment };
    let paid = pay_out(&store, &host, &agent, &euro, payment, NOW).expect("paid");
    assert_eq!((paid.is_new, paid.balance_minor), (true, -100));
    let again = pay_out(&store, &host, &agent, &euro, payment, NOW).expect("said again");
    assert_eq!((again.is_new, again.balance_minor), (false, -100));
    let more = Payment { reference: Some("bank 2"), ..payment };
    let more = pay_out(&store, &host, &agent, &euro, more, NOW);
    assert!(matches!(more, Err(OperatorError::Refused(_))), "{more:?}");
    assert_eq!(store.audit().expect("audit"), Vec::<String>::new());
}

/// The id of an agent that joined.
fn joined(store: &SqliteHub) -> String {
    use crate::hub::code::Code;
    use crate::store::hub::CodeRow;
    let verifier = Code::generate().expect("a code").verifier();
    let code = CodeRow {
        code_hash: verifier.name(),
        verifier: verifier.0,
        label: "a".into(),
        replaces: None,
        made_at: NOW,
        expires_at: NOW.plus_millis(1),
    };
    store.put_code(&code).expect("kept");
    let key = Key::generate().expect("a key").public();
    let id = key.thumbprint();
    store.join(&code.code_hash, &id, AgentKeys::one(&key.to_string()), NOW).expect("joined");
    id
}

#[test]
fn price_is_read_as_it_is_written() {
    let check = |text: &str, member, purpose, megapixels_max, fee_minor| {
        let expected = Price { member, purpose, megapixels_max, fee_minor };
        assert_eq!(price(text).as_ref(), Ok(&expected), "{text}");
        assert_eq!(price_text(&expected), text);
    };
    check("original=25", Some(Member::Original), None, None, 25);
    let print = Some(Purpose::Print);
    check("original:print:12mp=20", Some(Member::Original), print, Some(12), 20);
    check("voice-memo:24mp=0", Some(Member::VoiceMemo), None, Some(24), 0);
    check("any:share=1", None, Some(Purpose::Share), None, 1);
    for text in [
        "",
        "=",
        "original",
        "original=",
        "original=-1",
        "original=+1",
        "original=0.25",
        "=25",
        "picture=25",
        "original:sell=25",
        "original:12mp:print=25",
        "original:print:print=25",
        "original:mp=25",
        "original:-1mp=25",
        "original=99999999999999999999",
        "original: =1",
    ] {
        assert!(price(text).is_err(), "{text}");
    }
}

#[test]
fn prices_stand_most_particular_first_and_none_stands_twice() {
    let prices =
        |texts: &[&str]| texts.iter().map(|text| price(text)).collect::<Result<Vec<_>, _>>();
    let given = prices(&["any=1", "original=25", "original:print=22", "original:print:12mp=20"]);
    let sorted = checked(&given.expect("prices")).expect("sound");
    let texts: Vec<String> = sorted.iter().map(price_text).collect();
    assert_eq!(texts, ["original:print:12mp=20", "original:print=22", "original=25", "any=1"]);
    for wrong in [["original=1", "original=2"], ["any:0mp=1", "any=2"], ["any=1000000001", "raw=1"]]
    {
        assert!(checked(&prices(&wrong).expect("prices")).is_err(), "{wrong:?}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in "\\PC*") {
        let _read = price(&text);
    }
}
