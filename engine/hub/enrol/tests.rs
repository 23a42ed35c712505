//! An agent and a hub that speak without a network, and everybody who should not get in.

use super::*;
use crate::hub::operators::HOST;
use crate::store::hub::{Role, SqliteHub};

const NOW: Timestamp = Timestamp(1_790_000_000_000);
const HERE: &str = "192.0.2.1";
const PIN: &str = "c0ffee";

/// A hub with its desk.
struct Hub {
    store: SqliteHub,
    desk: Desk,
}

impl Hub {
    fn new() -> Self {
        let store = SqliteHub::in_memory().expect("a store");
        let key = Key::generate().expect("a key");
        Self { store, desk: Desk::new(&key, "Hub", "https://hub.example") }
    }

    fn invite(&self, replaces: Option<&str>) -> Code {
        let made = invite(&self.store, &Actor::host(), "Ada's laptop", 48, replaces, NOW);
        made.expect("a code").0
    }

    fn offer(&self) -> JoinOffer {
        self.desk.offer(Some(PIN.into()), NOW).expect("an offer")
    }

    fn join(&self, ask: &str, now: Timestamp) -> Result<JoinAnswer, EnrolError> {
        self.desk.join(&self.store, Knock { ask, remote: HERE }, Some(PIN), now)
    }

    /// An agent that is in.
    fn agent(&self) -> (Key, JoinAnswer) {
        let key = Key::generate().expect("a key");
        let ask = ask(&self.offer(), &self.invite(None), &key, |_| {});
        let answer = self.join(&ask, NOW).expect("joined");
        (key, answer)
    }

    fn change(&self, agent_id: &str, change: &KeyChange) -> Result<(), EnrolError> {
        self.desk.change_key(&self.store, agent_id, change, NOW)
    }
}

/// What an agent says, with something wrong about it perhaps.
fn ask(offer: &JoinOffer, code: &Code, key: &Key, wrong: impl FnOnce(&mut JoinAsk)) -> String {
    let mut ask = JoinAsk {
        key: key.public().to_string(),
        hub_key: offer.hub_key.clone(),
        hub_nonce: offer.nonce.clone(),
        nonce: "n".into(),
        certificate: offer.certificate.clone().unwrap_or_default(),
        code: code.verifier().name(),
        proof: String::new(),
        grant_key: String::new(),
    };
    ask.grant_key = grant_key(&ask, key);
    ask.proof = URL_SAFE_NO_PAD.encode(code.prove(&transcript(&ask, Default::default())));
    wrong(&mut ask);
    jws::sign(key, &jws::header(JOIN, key), &ask).expect("signed")
}

/// What the key signs that grants are signed with.
fn grant_key(ask: &JoinAsk, key: &Key) -> String {
    let said = GrantKey {
        grant_key: key.public().to_string(),
        key: ask.key.clone(),
        hub_key: ask.hub_key.clone(),
        hub_nonce: ask.hub_nonce.clone(),
    };
    jws::sign(key, &jws::header(GRANT_KEY, key), &said).expect("signed")
}

fn transcript(ask: &JoinAsk, given: [String; 2]) -> Transcript {
    Transcript {
        agent_key: ask.key.clone(),
        hub_key: ask.hub_key.clone(),
        certificate: ask.certificate.clone(),
        agent_nonce: ask.nonce.clone(),
        hub_nonce: ask.hub_nonce.clone(),
        given,
    }
}

fn change(agent_id: &str, hub_key: &str, [old, new]: [&Key; 2], by: [&Key; 2]) -> KeyChange {
    let said = NewKey {
        agent_id: agent_id.into(),
        hub_key: hub_key.into(),
        old: old.public().to_string(),
        new: new.public().to_string(),
    };
    let [by_old, by_new] =
        by.map(|key| jws::sign(key, &jws::header(NEW_KEY, key), &said).expect("signed"));
    KeyChange { by_old, by_new }
}

#[test]
fn computer_with_the_code_joins_once_and_again_when_the_answer_was_lost() {
    let hub = Hub::new();
    let (offer, code, key) = (hub.offer(), hub.invite(None), Key::generate().expect("a key"));
    let text = ask(&offer, &code, &key, |_| {});
    let answer = hub.join(&text, NOW).expect("joined");
    assert_eq!(answer.agent_id, key.public().thumbprint());
    assert_eq!(answer.base_url, format!("https://hub.example/o/{}", answer.agent_id));
    assert_eq!(answer.label, "Ada's laptop");

    let said: JoinAsk = jws::parse(&text, JOIN).expect("text").verify(&key.public()).expect("said");
    let given = [answer.agent_id.clone(), answer.base_url.clone()];
    let proof = URL_SAFE_NO_PAD.decode(&answer.proof).expect("base64").try_into().expect("32");
    assert!(code.verifier().believes_hub(&proof, &transcript(&said, given)));
    let other = ["another".to_owned(), answer.base_url.clone()];
    assert!(!code.verifier().believes_hub(&proof, &transcript(&said, other)));

    // Whoever replays it gets what the agent got, and only the agent has the key.
    assert_eq!(hub.join(&text, NOW).expect("again"), answer);
    // Later the code is spent and its key in use.
    let thief = Key::generate().expect("a key");
    let late = hub.join(&ask(&hub.offer(), &code, &thief, |_| {}), NOW);
    assert!(matches!(late, Err(EnrolError::Code)), "{late:?}");
    let second = hub.join(&ask(&hub.offer(), &hub.invite(None), &key, |_| {}), NOW);
    assert!(matches!(second, Err(EnrolError::KeyTaken)), "{second:?}");
    assert_eq!(hub.store.agents(None, 10).expect("agents").len(), 1);
}

#[test]
fn nobody_joins_who_has_no_code_or_is_in_between() {
    let hub = Hub::new();
    let (code, key) = (hub.invite(None), Key::generate().expect("a key"));
    let other = Key::generate().expect("a key");
    let wrong_code = Code::generate().expect("a code");
    let check = |text: &str, expected: fn(&EnrolError) -> bool| {
        let error = hub.join(text, NOW).expect_err("refused");
        assert!(expected(&error), "{error:?}");
    };
    let is_code = |error: &EnrolError| matches!(error, EnrolError::Code);
    let is_between = |error: &EnrolError| matches!(error, EnrolError::Between);
    let is_signature = |error: &EnrolError| matches!(error, EnrolError::Signature(_));
    let is_nonce = |error: &EnrolError| matches!(error, EnrolError::Nonce);

    check(&ask(&hub.offer(), &wrong_code, &key, |_| {}), is_code);
    check(&ask(&hub.offer(), &code, &key, |ask| ask.proof = String::new()), is_code);
    check(&ask(&hub.offer(), &code, &key, |ask| ask.nonce = "m".into()), is_code);
    // The man in the middle shows a certificate of his own and hands everything on.
    let his = JoinOffer { certificate: Some("his".into()), ..hub.offer() };
    check(&ask(&his, &code, &key, |_| {}), is_between);
    // He tells the hub what it wants to hear: then the agent's proof is over something else.
    check(&ask(&his, &code, &key, |ask| ask.certificate = PIN.into()), is_code);
    // He names a key of his own to the agent, or puts his own in the agent's place.
    let his = JoinOffer { hub_key: other.public().to_string(), ..hub.offer() };
    check(&ask(&his, &code, &key, |_| {}), is_between);
    let text = ask(&hub.offer(), &code, &key, |_| {});
    let stolen: JoinAsk =
        jws::parse(&text, JOIN).expect("text").verify(&key.public()).expect("ask");
    let mut his = JoinAsk { key: other.public().to_string(), ..stolen.clone() };
    his.grant_key = grant_key(&his, &other);
    check(&jws::sign(&other, &jws::header(JOIN, &other), &his).expect("signed"), is_code);
    check(&jws::sign(&other, &jws::header(JOIN, &other), &stolen).expect("signed"), is_signature);
    check("nonsense", is_signature);
    // Nonces of another hub, made up, from the future, too old.
    check(
        &ask(&JoinOffer { nonce: Hub::new().offer().nonce, ..hub.offer() }, &code, &key, |_| {}),
        is_nonce,
    );
    check(&ask(&JoinOffer { nonce: String::new(), ..hub.offer() }, &code, &key, |_| {}), is_nonce);
    let early = hub.desk.offer(Some(PIN.into()), NOW.plus_millis(1)).expect("an offer");
    check(&ask(&early, &code, &key, |_| {}), is_nonce);
    let text = ask(&hub.offer(), &code, &key, |_| {});
    let late = hub.join(&text, NOW.plus_millis(NONCE_MS + 1));
    assert!(matches!(late, Err(EnrolError::Nonce)), "{late:?}");
    assert!(hub.store.agents(None, 10).expect("agents").is_empty());
    hub.join(&text, NOW).expect("the right one still gets in");
}

#[test]
fn key_for_grants_is_pinned_only_by_who_has_it_and_for_this_joining() {
    let hub = Hub::new();
    let (code, key) = (hub.invite(None), Key::generate().expect("a key"));
    let (grants, other) = (Key::generate().expect("a key"), Key::generate().expect("a key"));
    let said = |ask: &JoinAsk| GrantKey {
        grant_key: grants.public().to_string(),
        key: ask.key.clone(),
        hub_key: ask.hub_key.clone(),
        hub_nonce: ask.hub_nonce.clone(),
    };
    let by = |signer: &Key, said: GrantKey| {
        jws::sign(signer, &jws::header(GRANT_KEY, signer), &said).expect("signed")
    };
    let text = |change: &dyn Fn(&mut GrantKey), signer: &Key| {
        ask(&hub.offer(), &code, &key, |ask| {
            let mut said = said(ask);
            change(&mut said);
            ask.grant_key = by(signer, said);
        })
    };
    for (wrong, why) in [
        (text(&|_| {}, &other), "signed by another"),
        (text(&|said| said.key = other.public().to_string(), &grants), "for another computer"),
        (text(&|said| said.hub_key = "another".into(), &grants), "for another hub"),
        (text(&|said| said.hub_nonce = "earlier".into(), &grants), "said before"),
        (ask(&hub.offer(), &code, &key, |ask| ask.grant_key = String::new()), "nothing said"),
    ] {
        let joined = hub.join(&wrong, NOW);
        assert!(matches!(joined, Err(EnrolError::Signature(_))), "{why}: {joined:?}");
    }
    let joined = hub.join(&text(&|_| {}, &grants), NOW).expect("joined");
    let row = hub.store.agent(&joined.agent_id).expect("read").expect("there");
    assert_eq!((row.key, row.grant_key), (key.public().to_string(), grants.public().to_string()));
}

#[test]
fn code_whose_time_is_over_is_of_no_use() {
    let hub = Hub::new();
    let (code, key) = (hub.invite(None), Key::generate().expect("a key"));
    let later = NOW.plus_millis(48 * 60 * 60 * 1000);
    let offer = hub.desk.offer(Some(PIN.into()), later).expect("an offer");
    let joined = hub.join(&ask(&offer, &code, &key, |_| {}), later);
    assert!(matches!(joined, Err(EnrolError::Code)), "{joined:?}");
}

#[test]
fn many_wrong_codes_from_one_address_cost_a_wait() {
    let hub = Hub::new();
    let (code, key) = (hub.invite(None), Key::generate().expect("a key"));
    let wrong = ask(&hub.offer(), &Code::generate().expect("a code"), &key, |_| {});
    for _ in 0..WRONG_CODES_MAX {
        assert!(matches!(hub.join(&wrong, NOW), Err(EnrolError::Code)));
    }
    let right = ask(&hub.offer(), &code, &key, |_| {});
    assert!(matches!(hub.join(&right, NOW), Err(EnrolError::Wait { wait_ms: WAIT_MS })));
    let knock = Knock { ask: &right, remote: "192.0.2.2" };
    hub.desk.join(&hub.store, knock, Some(PIN), NOW).expect("from elsewhere");
}

#[test]
fn key_is_changed_by_both_keys_and_the_same_change_may_come_again() {
    let hub = Hub::new();
    let (old, answer) = hub.agent();
    let (other, other_answer) = hub.agent();
    let (id, new) = (answer.agent_id.as_str(), Key::generate().expect("a key"));
    let hub_key = hub.offer().hub_key;
    let keys = [&old, &new];
    for (wrong, why) in [
        (change(id, &hub_key, keys, [&old, &old]), "the new key did not sign"),
        (change(id, &hub_key, keys, [&new, &new]), "the old key did not sign"),
        (change(id, "another hub", keys, keys), "for another hub"),
        (change(&other_answer.agent_id, &hub_key, keys, keys), "for another agent"),
        (change(id, &hub_key, [&other, &new], [&other, &new]), "by another agent"),
        (change(id, &hub_key, [&old, &other], [&old, &other]), "to another agent's key"),
    ] {
        hub.change(id, &wrong).expect_err(why);
    }
    let strangers = change("nobody", &hub_key, keys, keys);
    assert!(matches!(hub.change("nobody", &strangers), Err(EnrolError::NoAgent)));
    let right = change(id, &hub_key, keys, keys);
    hub.change(id, &right).expect("changed");
    hub.change(id, &right).expect("the answer was lost");
    let row = hub.store.agent(id).expect("read").expect("there");
    assert_eq!((row.agent_id.as_str(), row.key), (id, new.public().to_string()));
}

#[test]
fn lost_computer_is_cut_off_and_another_takes_its_place() {
    let hub = Hub::new();
    let (key, answer) = hub.agent();
    let id = answer.agent_id.as_str();
    let host = Actor::host();
    let cut = |state| cut_off(&hub.store, &host, id, state, "stolen", NOW);
    let early = invite(&hub.store, &host, "new", 48, Some(id), NOW);
    assert!(matches!(early, Err(EnrolError::Refused(_))), "not lost yet");
    assert_eq!(cut(AgentState::Lost).expect("cut off").state, AgentState::Lost);
    // Who has the lost computer has its key, and nothing by it.
    let new = Key::generate().expect("a key");
    let keys = [&key, &new];
    let thief = hub.change(id, &change(id, &hub.offer().hub_key, keys, keys));
    assert!(matches!(thief, Err(EnrolError::NoAgent)), "{thief:?}");
    let left = Leave { agent_id: id.into(), hub_key: hub.offer().hub_key, at: NOW };
    let left = jws::sign(&key, &jws::header(LEAVE, &key), &left).expect("signed");
    assert!(matches!(hub.desk.leave(&hub.store, id, &left, NOW), Err(EnrolError::NoAgent)));
    let again = hub.join(&ask(&hub.offer(), &hub.invite(Some(id)), &key, |_| {}), NOW);
    assert!(matches!(again, Err(EnrolError::KeyTaken)), "{again:?}");

    let code = hub.invite(Some(id));
    let joined = hub.join(&ask(&hub.offer(), &code, &new, |_| {}), NOW).expect("joined");
    assert_eq!(joined.agent_id, new.public().thumbprint());
    let row = hub.store.agent(&joined.agent_id).expect("read").expect("there");
    assert_eq!((row.state, row.key), (AgentState::Active, new.public().to_string()));
    assert_eq!(row.account, format!("owner:{id}"), "the account stays");
    let twice = invite(&hub.store, &host, "another", 48, Some(id), NOW);
    assert!(twice.expect_err("refused").to_string().contains(&joined.agent_id));
    assert!(matches!(
        cut_off(&hub.store, &host, "nobody", AgentState::Lost, "", NOW),
        Err(EnrolError::NoAgent)
    ));
}

#[test]
fn agent_leaves_by_its_own_word_alone() {
    let hub = Hub::new();
    let ((key, answer), (other, _)) = (hub.agent(), hub.agent());
    let id = answer.agent_id.as_str();
    let leave = |by: &Key, hub_key: String, agent_id: &str, at| {
        let said = Leave { agent_id: agent_id.into(), hub_key, at };
        let text = jws::sign(by, &jws::header(LEAVE, by), &said).expect("signed");
        hub.desk.leave(&hub.store, id, &text, NOW)
    };
    let hub_key = || hub.offer().hub_key;
    leave(&other, hub_key(), id, NOW).expect_err("another agent");
    leave(&key, "another".into(), id, NOW).expect_err("another hub");
    leave(&key, hub_key(), "another", NOW).expect_err("another membership");
    leave(&key, hub_key(), id, NOW.plus_millis(-CLOCKS_MS - 1)).expect_err("said long ago");
    assert_eq!(hub.store.agent(id).expect("read").expect("there").state, AgentState::Active);
    leave(&key, hub_key(), id, NOW).expect("left");
    leave(&key, hub_key(), id, NOW).expect("the answer was lost");
    assert_eq!(hub.store.agent(id).expect("read").expect("there").state, AgentState::Left);
}

#[test]
fn what_happens_to_computers_is_noted_with_who_did_it() {
    let hub = Hub::new();
    let (_, answer) = hub.agent();
    let viewer = SignedIn(Role::Viewer).actor(&hub.store);
    let refused = invite(&hub.store, &viewer, "x", 1, None, NOW);
    assert!(matches!(refused, Err(EnrolError::Operator(OperatorError::Role { .. }))));
    let refused = cut_off(&hub.store, &viewer, &answer.agent_id, AgentState::Lost, "no", NOW);
    assert!(matches!(refused, Err(EnrolError::Operator(OperatorError::Role { .. }))));
    let operator = SignedIn(Role::Operator).actor(&hub.store);
    cut_off(&hub.store, &operator, &answer.agent_id, AgentState::Left, "moved", NOW)
        .expect("removed");
    cut_off(&hub.store, &operator, "nobody", AgentState::Lost, "gone", NOW).expect_err("nobody");
    let actions = hub.store.actions(10).expect("actions");
    let told: Vec<_> = actions
        .iter()
        .map(|row| (row.operator.as_str(), row.action.as_str(), row.detail.as_str()))
        .filter(|(_, action, _)| action.starts_with("agent."))
        .collect();
    let expected = [
        (
            "operator",
            "agent.lost",
            "not done: there is no such agent here, or its membership is over",
        ),
        ("operator", "agent.lost", "gone"),
        ("operator", "agent.remove", "moved"),
        ("agent", "agent.joined", "Ada's laptop"),
        (HOST, "agent.invite", "good for 48 hours"),
    ];
    assert_eq!(told, expected);
    for (label, hours) in [("", 1), ("a\nb", 1), (&*"a".repeat(61), 1), ("a", 0), ("a", 721)] {
        let refused = invite(&hub.store, &operator, label, hours, None, NOW);
        assert!(matches!(refused, Err(EnrolError::Refused(_))), "{label:?} {hours}");
    }
}

/// An operator with a role.
struct SignedIn(Role);

impl SignedIn {
    fn actor(self, store: &SqliteHub) -> Actor {
        let (name, password) = (operators::role_word(self.0), "correct horse battery");
        operators::add(store, &Actor::host(), name, password, self.0, NOW).expect("added");
        let knock = operators::Knock { name, password, remote: HERE };
        let door = operators::Door::default();
        operators::sign_in(store, &door, knock, NOW).expect("signed in").actor
    }
}
