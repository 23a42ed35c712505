//! Agents and how they join, providers, operators.

use super::*;
use crate::store::hub::{
    ActionRow, AgentRow, OperatorRow, ProviderChange, Role, SessionRow, TermsChange,
};

fn asks(store: &dyn HubStore, code: &str, agent: &str, key: &str, now: Timestamp) -> Joined {
    store.join(&hash(code), agent, AgentKeys::one(key), now).expect("asked")
}

fn set(store: &dyn HubStore, agent: &str, state: AgentState) {
    assert!(store.set_agent_state(agent, state, "because", later(2)).expect("set"));
}

#[test]
fn code_lets_one_key_in_once_and_answers_it_again() {
    every(|store| {
        store.put_code(&code("x")).expect("kept");
        store.put_code(&code("x")).expect("kept again");
        assert_eq!(asks(store, "y", "a", "key-a", NOW), Joined::NoCode);
        let row = AgentRow {
            agent_id: "a".into(),
            key: "key-a".into(),
            grant_key: "key-a".into(),
            account: "owner:a".into(),
            replaced_by: None,
            label: "computer of x".into(),
            state: AgentState::Active,
            why: String::new(),
            joined_at: NOW,
            seen_at: None,
        };
        assert_eq!(asks(store, "x", "a", "key-a", NOW), Joined::New(row.clone()));
        // Long after the code is over too: it is the answer that was lost.
        assert_eq!(asks(store, "x", "a", "key-a", later(5)), Joined::Again(row.clone()));
        assert_eq!(asks(store, "x", "b", "key-b", NOW), Joined::NoCode);
        assert_eq!(store.agent("b").expect("read"), None);
        store.put_code(&code("z")).expect("kept");
        assert_eq!(asks(store, "z", "a", "key-a", NOW), Joined::KeyTaken);
        assert_eq!(asks(store, "z", "b", "key-b", later(1)), Joined::NoCode, "its time is over");
        assert_eq!(store.agents(None, 10).expect("read"), [row]);
    });
}

#[test]
fn computer_that_replaces_a_lost_one_goes_on_with_its_account_and_the_lost_key_is_dead() {
    every(|store| {
        world(store);
        let instead = |text: &str| CodeRow { replaces: Some("a".into()), ..code(text) };
        store.put_code(&instead("new")).expect("kept");
        assert_eq!(asks(store, "new", "n", "key-n", NOW), Joined::NoCode, "it is not lost yet");
        tell(store, "a", &[("g", 0)], &[]);
        set(store, "a", AgentState::Lost);
        assert_eq!(asks(store, "new", "a", "key-a", NOW), Joined::KeyTaken);
        assert_eq!(asks(store, "a", "a", "key-a", NOW), Joined::NoCode, "nor with its old code");
        let Joined::New(row) = asks(store, "new", "n", "key-n", NOW) else { panic!("not let in") };
        assert_eq!((row.agent_id.as_str(), row.key.as_str()), ("n", "key-n"));
        assert_eq!((row.state, row.account.as_str()), (AgentState::Active, "owner:a"));
        let lost = store.agent("a").expect("read").expect("is there");
        assert_eq!((lost.state, lost.replaced_by.as_deref()), (AgentState::Lost, Some("n")));
        // Each has a log of its own, and what is fetched from either goes into the one account.
        let sizes = || ["a", "n"].map(|id| store.log_size(id, LogKind::Agent).expect("read"));
        assert_eq!(sizes(), [1, 0]);
        assert!(store.put_offer(&offer("n", "g")).expect("kept"));
        tell(store, "n", &[("g", 0)], &[]);
        assert_eq!(sizes(), [1, 1]);
        assert_eq!(store.balance("owner:a", "EUR").expect("read"), -40);
        assert_eq!(store.balance("owner:n", "EUR").expect("read"), 0);
        // It is replaced once; the one in its place can be lost in its turn.
        let second = |text: &str, of: &str| {
            let code = CodeRow { replaces: Some(of.into()), ..code(text) };
            store.put_code(&code).expect("kept");
            asks(store, text, "m", "key-m", NOW)
        };
        assert_eq!(second("second", "a"), Joined::NoCode);
        set(store, "n", AgentState::Lost);
        let Joined::New(row) = second("third", "n") else { panic!("not let in") };
        assert_eq!((row.agent_id.as_str(), row.account.as_str()), ("m", "owner:a"));
        store.put_code(&code("again")).expect("kept");
        assert_eq!(asks(store, "again", "a", "key-a", NOW), Joined::KeyTaken);
        let to = |key: &str| store.change_key("b", "key-b", key, NOW).expect("asked");
        assert!(!to("key-a"), "a key that was lost is nobody's");
    });
}

#[test]
fn key_for_grants_stays_when_the_other_changes_and_is_nobody_elses() {
    every(|store| {
        store.put_code(&code("x")).expect("kept");
        let both = |key, grant_key| AgentKeys { key, grant_key };
        let asks = |text: &str, agent: &str, keys: AgentKeys<'_>| {
            store.join(&hash(text), agent, keys, NOW).expect("asked")
        };
        let Joined::New(row) = asks("x", "a", both("key-1", "grants")) else { panic!("no") };
        assert_eq!((row.key.as_str(), row.grant_key.as_str()), ("key-1", "grants"));
        assert_eq!(asks("x", "a", both("key-1", "others")), Joined::NoCode, "it is no repetition");
        assert!(store.change_key("a", "key-1", "key-2", NOW).expect("asked"));
        let row = store.agent("a").expect("read").expect("is there");
        assert_eq!((row.key.as_str(), row.grant_key.as_str()), ("key-2", "grants"));
        for (text, keys) in [
            ("b", AgentKeys::one("grants")),
            ("c", both("key-b", "grants")),
            ("d", both("key-b", "key-1")),
        ] {
            store.put_code(&code(text)).expect("kept");
            assert_eq!(asks(text, "b", keys), Joined::KeyTaken, "{keys:?}");
        }
        assert_eq!(store.agent("b").expect("read"), None);
        // It leaves, and comes back with another key for grants.
        set(store, "a", AgentState::Left);
        store.put_code(&code("back")).expect("kept");
        let Joined::New(row) = asks("back", "z", both("key-2", "new")) else { panic!("no") };
        assert_eq!((row.agent_id.as_str(), row.grant_key.as_str()), ("a", "new"));
    });
}

#[test]
fn agent_that_left_comes_back_with_its_key() {
    every(|store| {
        world(store);
        set(store, "a", AgentState::Left);
        let instead = CodeRow { replaces: Some("b".into()), ..code("other") };
        store.put_code(&instead).expect("kept");
        assert_eq!(asks(store, "other", "a", "key-a", NOW), Joined::KeyTaken);
        store.put_code(&code("back")).expect("kept");
        let Joined::New(row) = asks(store, "back", "a", "key-a", NOW) else { panic!("no") };
        assert_eq!((row.agent_id.as_str(), row.state), ("a", AgentState::Active));
    });
}

#[test]
fn key_is_changed_only_from_the_one_that_is_and_to_one_that_is_free() {
    every(|store| {
        world(store);
        let change = |from: &str, to: &str| store.change_key("a", from, to, NOW).expect("asked");
        assert!(!change("key-x", "key-2"));
        assert!(!change("key-a", "key-b"), "somebody else's");
        assert!(change("key-a", "key-2"));
        assert!(!change("key-a", "key-3"), "not its key any more");
        assert_eq!(store.agent("a").expect("read").expect("is there").key, "key-2");
        assert_eq!(store.agent_keys("a").expect("read"), ["key-2", "key-a"]);
        assert_eq!(store.agent_keys("nobody").expect("read"), [""; 0]);
        store.put_code(&code("x")).expect("kept");
        assert_eq!(asks(store, "x", "c", "key-a", NOW), Joined::KeyTaken, "it was a's");
        assert!(!store.change_key("c", "key-c", "key-4", NOW).expect("asked"), "nobody");
        set(store, "a", AgentState::Lost);
        assert!(!change("key-2", "key-3"), "not active");
    });
}

#[test]
fn agent_that_is_lost_has_no_offers_and_its_neighbour_keeps_them() {
    every(|store| {
        world(store);
        store.reserve("a", "g", NOW).expect("asked");
        store.reserve("b", "g", NOW).expect("asked");
        assert!(!store.set_agent_state("c", AgentState::Lost, "", NOW).expect("asked"));
        set(store, "a", AgentState::Lost);
        assert_eq!(store.reserved("lab").expect("read"), 25);
        let offer = |agent: &str| store.offer(agent, "g").expect("read").expect("is there");
        assert_eq!(offer("a").withdrawn_at, Some(later(2)));
        assert_eq!(offer("b").withdrawn_at, None);
        assert_eq!(store.reserve("a", "h", NOW).expect("asked"), Reserved::Closed);
        let row = store.agent("a").expect("read").expect("is there");
        assert_eq!((row.state, row.why.as_str()), (AgentState::Lost, "because"));
        store.seen("b", later(3)).expect("noted");
        store.seen("nobody", later(3)).expect("noted");
        assert_eq!(store.agent("b").expect("read").expect("is there").seen_at, Some(later(3)));
    });
}

#[test]
fn agents_come_in_pages() {
    every(|store| {
        for name in ["c", "a", "d", "b"] {
            join(store, name);
        }
        let page = |after: Option<&str>, count_max: u32| -> String {
            let agents = store.agents(after, count_max).expect("read");
            agents.into_iter().map(|agent| agent.agent_id).collect()
        };
        assert_eq!([page(None, 3), page(Some("c"), 3), page(Some("d"), 3)], ["abc", "d", ""]);
        assert_eq!(page(None, 0), "");
    });
}

#[test]
fn provider_is_found_by_name_key_and_secret_and_nobody_has_those_of_another() {
    every(|store| {
        let lab = provider("lab");
        store.put_provider(&lab).expect("kept");
        let silent = ProviderRow { key: None, secret_hash: None, ..provider("silent") };
        let mute = ProviderRow { key: None, secret_hash: None, ..provider("mute") };
        store.put_provider(&silent).expect("kept");
        store.put_provider(&mute).expect("kept: nothing is not the same as nothing");
        assert_eq!(store.provider("lab").expect("read"), Some(lab.clone()));
        assert_eq!(store.provider_by_key("key-lab").expect("read"), Some(lab.clone()));
        assert_eq!(store.provider_by_secret(&hash("lab")).expect("read"), Some(lab.clone()));
        assert_eq!(store.provider_by_key("key-shop").expect("read"), None);
        assert_eq!(store.provider_by_secret(&hash("shop")).expect("read"), None);
        for bad in [
            ProviderRow { key: lab.key.clone(), ..provider("shop") },
            ProviderRow { secret_hash: lab.secret_hash, ..provider("shop") },
            ProviderRow { credit_limit_minor: -1, ..provider("shop") },
            ProviderRow { service_percent: 101, ..provider("shop") },
        ] {
            assert!(store.put_provider(&bad).is_err());
            assert_eq!(store.provider("shop").expect("read"), None);
        }
        let dearer = ProviderRow { prices: Vec::new(), why: "asked to".into(), ..lab };
        store.put_provider(&dearer).expect("kept");
        assert_eq!(store.providers().expect("read"), [dearer, mute, silent], "by name");
    });
}

#[test]
fn session_ends_with_its_time_its_operator_and_by_itself() {
    every(|store| {
        let ada = OperatorRow {
            name: "ada".into(),
            password_hash: "$argon2id$…".into(),
            role: Role::Admin,
            is_active: true,
        };
        let begin = |token: &str| {
            let row = SessionRow {
                token_hash: hash(token),
                operator: "ada".into(),
                expires_at: later(1),
            };
            store.put_session(&row, NOW).expect("kept");
        };
        let who = |token: &str, now| store.session(&hash(token), now).expect("read");
        begin("early");
        assert_eq!(who("early", NOW), None, "of nobody");
        store.put_operator(&ada).expect("kept");
        assert_eq!(who("early", NOW), None, "a new operator has no sessions");
        for token in ["t", "u"] {
            begin(token);
            assert_eq!(who(token, NOW), Some(ada.clone()));
        }
        assert_eq!(who("t", later(1)), None);
        store.end_session(&hash("t")).expect("ended");
        assert_eq!((who("t", NOW), who("u", NOW)), (None, Some(ada.clone())));
        let gone = OperatorRow { is_active: false, ..ada };
        store.put_operator(&gone).expect("kept");
        assert_eq!(who("u", NOW), None, "ended");
        begin("v");
        assert_eq!(who("v", NOW), None, "not active");
        assert_eq!(store.operator("ada").expect("read"), Some(gone.clone()));
        assert_eq!(store.operator("bob").expect("read"), None);
        assert_eq!(store.operators().expect("read"), [gone]);
    });
}

#[test]
fn actions_are_read_newest_first() {
    every(|store| {
        // The clock may go back; the order does not.
        for (index, at) in [NOW, later(1), NOW].into_iter().enumerate() {
            let action = ActionRow {
                at,
                operator: "host".into(),
                action: "provider.top-up".into(),
                subject: "lab".into(),
                detail: index.to_string(),
            };
            store.note_action(&action).expect("noted");
        }
        let details = |count_max: u32| -> String {
            let actions = store.actions(count_max).expect("read");
            actions.into_iter().map(|action| action.detail).collect()
        };
        assert_eq!((details(2), details(9)), ("21".to_owned(), "210".to_owned()));
    });
}

#[test]
fn code_is_found_until_its_time_is_over_used_or_not() {
    every(|store| {
        store.put_code(&code("x")).expect("kept");
        let found = |text: &str, now| store.code(&hash(text), now).expect("read");
        assert_eq!(found("x", NOW), Some(code("x")));
        assert_eq!(found("y", NOW), None);
        assert!(matches!(asks(store, "x", "a", "key-a", NOW), Joined::New(_)));
        assert_eq!(found("x", NOW), Some(code("x")), "used");
        assert_eq!(found("x", later(1)), None);
    });
}

#[test]
fn one_thing_of_a_provider_is_changed_and_a_closed_one_stays_closed() {
    every(|store| {
        store.put_provider(&provider("lab")).expect("kept");
        let change = |name: &str, change: ProviderChange| {
            store.change_provider(name, &change).expect("asked")
        };
        let state = |state: ProviderState| ProviderChange::State { state, why: "because".into() };
        let notify = || ProviderChange::Notify { url: "https://new".into(), secret: "s".into() };
        assert!(!change("shop", notify()));
        assert!(change("lab", notify()));
        assert!(change("lab", state(ProviderState::Paused)));
        let changed = ProviderRow {
            notify_url: "https://new".into(),
            notify_secret: "s".into(),
            state: ProviderState::Paused,
            why: "because".into(),
            ..provider("lab")
        };
        assert_eq!(store.provider("lab").expect("read"), Some(changed));
        assert!(change("lab", state(ProviderState::Active)));
        assert!(change("lab", state(ProviderState::Closed)));
        assert!(change("lab", state(ProviderState::Closed)), "another reason");
        assert!(!change("lab", state(ProviderState::Active)));
        let row = store.provider("lab").expect("read").expect("is there");
        assert_eq!(row.state, ProviderState::Closed);
    });
}

#[test]
fn terms_are_changed_one_by_one_and_what_others_did_meanwhile_stays() {
    every(|store| {
        world(store);
        let terms = |terms: TermsChange| ProviderChange::Terms(Box::new(terms));
        let change = |change: &ProviderChange| store.change_provider("lab", change);
        let row = || store.provider("lab").expect("read").expect("is there");
        let before = row();
        // The brake pauses it while an operator writes new terms.
        let pause = ProviderChange::State { state: ProviderState::Paused, why: "unusual".into() };
        assert!(change(&pause).expect("asked"));
        let dearer = terms(TermsChange { accesses_per_day: Some(7), ..TermsChange::default() });
        assert!(change(&dearer).expect("asked"));
        let secret = hash("new");
        assert!(change(&ProviderChange::Secret(secret)).expect("asked"));
        let meant = ProviderRow {
            accesses_per_day: 7,
            secret_hash: Some(secret),
            state: ProviderState::Paused,
            why: "unusual".into(),
            ..before.clone()
        };
        assert_eq!(row(), meant);

        let notify = |url: &str, secret: &str| {
            let notify = Some((url.to_owned(), secret.to_owned()));
            terms(TermsChange { notify, ..TermsChange::default() })
        };
        let told = |change: &ProviderChange| {
            assert!(store.change_provider("lab", change).expect("asked"));
            (row().notify_url, row().notify_secret)
        };
        assert_eq!(told(&notify("", "")), (String::new(), String::new()));
        assert_eq!(told(&notify("u", "first")), ("u".into(), "first".into()));
        assert_eq!(told(&notify("v", "second")), ("v".into(), "first".into()), "it has one");

        let (all, now) = (row(), terms(TermsChange::default()));
        assert!(change(&now).expect("asked"));
        assert_eq!(row(), all, "nothing named, nothing changed");
        let other = terms(TermsChange { currency: Some("CHF".into()), ..TermsChange::default() });
        assert!(change(&other).is_err(), "there is money on its account");
        let shops = ProviderChange::Secret(hash("shop"));
        assert!(change(&shops).is_err(), "another's");
        let less = terms(TermsChange { credit_limit_minor: Some(-1), ..TermsChange::default() });
        assert!(change(&less).is_err());
        assert_eq!(row(), all);
        assert!(store.change_provider("shop", &other).expect("asked"), "its account is empty");
        assert!(!store.change_provider("none", &dearer).expect("asked"));
    });
}
