//! Agents and how they join, providers, operators.

use super::*;
use crate::store::hub::{ActionRow, AgentRow, OperatorRow, ProviderChange, Role, SessionRow};

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
fn computer_that_replaces_a_lost_one_keeps_its_id_and_the_lost_key_is_dead() {
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
        assert_eq!((row.agent_id.as_str(), row.key.as_str()), ("a", "key-n"));
        assert_eq!((row.state, row.why.as_str()), (AgentState::Active, ""));
        assert_eq!(store.balance("owner:a", "EUR").expect("read"), -20);
        assert_eq!(store.log_size("a", LogKind::Agent).expect("read"), 1);
        store.put_code(&code("again")).expect("kept");
        assert_eq!(asks(store, "again", "a", "key-a", NOW), Joined::KeyTaken);
        let to = |key: &str| store.change_key("b", "key-b", key, NOW).expect("asked");
        assert!(!to("key-a"), "a key that was lost is nobody's");
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
