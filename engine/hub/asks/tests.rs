//! What agents may offer, and what they may not.

use super::*;
use crate::access::Key;
use crate::access::grant::Confirmation;
use crate::access::jws::{header, sign};
use crate::base::ids::{ContentHash, derived};
use crate::base::member::Member;
use crate::hub::channel::Channels;
use crate::store::hub::{AgentKeys, AgentState, CodeRow, Price, SqliteHub};

const NOW: Timestamp = Timestamp(1_790_000_000_000);

struct Case {
    store: SqliteHub,
    agent: Key,
    lab: Key,
}

impl Case {
    fn new() -> Self {
        let store = SqliteHub::in_memory().expect("a store");
        let (agent, lab) = (Key::generate().expect("a key"), Key::generate().expect("a key"));
        let verifier = ContentHash::of(b"code");
        let code_hash = ContentHash::of(verifier.as_bytes());
        let code = CodeRow {
            code_hash,
            verifier,
            label: "a".into(),
            replaces: None,
            made_at: NOW,
            expires_at: NOW.plus_millis(1000),
        };
        store.put_code(&code).expect("kept");
        let (id, key) = (agent.public().thumbprint(), agent.public().to_string());
        store.join(&code_hash, &id, AgentKeys::one(&key), NOW).expect("joined");
        let case = Self { store, agent, lab };
        case.put(|_| {});
        case
    }

    /// Keeps the provider, changed in some way.
    fn put(&self, change: impl FnOnce(&mut ProviderRow)) {
        let price = |megapixels_max, fee_minor| Price {
            member: Some(Member::Original),
            purpose: None,
            megapixels_max,
            fee_minor,
        };
        let mut provider = ProviderRow {
            name: "lab".into(),
            key: Some(self.lab.public().to_string()),
            secret_hash: None,
            purposes: vec![Purpose::Print],
            currency: "EUR".into(),
            credit_limit_minor: 30,
            service_percent: 20,
            requests_per_minute: 60,
            accesses_per_day: 100,
            notify_url: String::new(),
            notify_secret: String::new(),
            state: ProviderState::Active,
            why: String::new(),
            prices: vec![price(Some(12), 25), price(None, 40)],
        };
        change(&mut provider);
        self.store.put_provider(&provider).expect("kept");
    }

    fn claims(&self) -> Claims {
        Claims {
            jti: derived("grant", &["a"]),
            iss: self.agent.public().thumbprint(),
            aud: "my-lab".into(),
            member: Member::Original,
            sha256: ContentHash::of(b"photo"),
            bytes_count: 5,
            media_type: "image/jpeg".into(),
            order: derived("order", &["a"]),
            consent: 1,
            iat: NOW.seconds(),
            exp: NOW.seconds() + 60,
            cnf: Confirmation { jkt: self.lab.public().thumbprint() },
        }
    }

    fn offer(&self, claims: &Claims, signer: &Key, fee_minor: i64) -> Answer {
        let (channels, agent) = (Channels::default(), self.agent.public());
        let (channel, _queue) = channels.enter(&agent.thumbprint(), &agent.to_string());
        let grant = sign(signer, &header(TYP, signer), claims).expect("signed");
        let fee = Fee { minor: fee_minor, currency: "EUR".into() };
        offer(&self.store, &channel, &grant, "lab", Purpose::Print, &fee, NOW).expect("answered")
    }

    fn quote(&self, megapixels: Option<u32>, purpose: Purpose) -> Answer {
        let ask = PriceAsk { member: Member::Original, purpose, megapixels };
        quote(&self.store, &self.lab.public().to_string(), "", ask).expect("answered")
    }
}

#[track_caller]
fn refused(answer: &Answer, is_later: bool, words: &str) {
    match answer {
        Answer::No { later, why } if *later == is_later && why.contains(words) => {}
        other => panic!("{other:?} instead of no, because `{words}`"),
    }
}

#[test]
fn price_is_that_of_the_size_and_says_whether_the_account_covers_it() {
    let case = Case::new();
    let quoted = |megapixels| match case.quote(megapixels, Purpose::Print) {
        Answer::Quote { provider, fee_minor, is_covered, .. } => (provider, fee_minor, is_covered),
        other => panic!("{other:?}"),
    };
    assert_eq!(quoted(Some(12)), ("lab".into(), 25, true));
    assert_eq!(quoted(Some(13)), ("lab".into(), 40, false), "30 is what it may owe");
    assert_eq!(quoted(None), ("lab".into(), 40, false));
    refused(&case.quote(None, Purpose::Share), false, "no such purpose");
    case.put(|provider| provider.prices.clear());
    refused(&case.quote(None, Purpose::Print), true, "no price");
    case.put(|provider| {
        provider.state = ProviderState::Paused;
        provider.why = "a flood".into();
    });
    refused(&case.quote(None, Purpose::Print), true, "paused: a flood");
    case.put(|provider| provider.state = ProviderState::Closed);
    refused(&case.quote(None, Purpose::Print), false, "closed");
    let ask = PriceAsk { member: Member::Original, purpose: Purpose::Print, megapixels: None };
    // Who has a key is not found by name alone.
    refused(&quote(&case.store, "", "lab", ask).expect("answered"), false, "does not know");
}

#[test]
fn grant_is_offered_only_by_who_signed_it_to_whom_it_is_bound_at_a_price_that_is_agreed() {
    let case = Case::new();
    let (claims, stranger) = (case.claims(), Key::generate().expect("a key"));
    refused(&case.offer(&claims, &stranger, 25), false, "signature");
    refused(&case.offer(&claims, &case.agent, 26), true, "does not pay that");
    refused(&case.offer(&claims, &case.agent, -25), true, "does not pay that");
    let other = Confirmation { jkt: stranger.public().thumbprint() };
    let bound = Claims { cnf: other, ..claims.clone() };
    refused(&case.offer(&bound, &case.agent, 25), false, "another key");
    let free = Claims { cnf: Confirmation { jkt: String::new() }, ..claims.clone() };
    refused(&case.offer(&free, &case.agent, 25), false, "another key");
    let over = Claims { exp: NOW.seconds(), ..claims.clone() };
    refused(&case.offer(&over, &case.agent, 25), false, "expired");
    let strange = Claims { jti: "../a".into(), ..claims.clone() };
    refused(&case.offer(&strange, &case.agent, 25), false, "proper id");
    let id = case.agent.public().thumbprint();
    assert_eq!(case.store.offer(&id, &claims.jti).expect("read"), None, "nothing was kept");

    assert_eq!(case.offer(&claims, &case.agent, 40), Answer::Done);
    let kept = case.store.offer(&id, &claims.jti).expect("read").expect("kept");
    assert_eq!((kept.fee_minor, kept.provider.as_str()), (40, "lab"));
    // Said again, also after the price changed; but not at another price.
    case.put(|provider| provider.prices.clear());
    assert_eq!(case.offer(&claims, &case.agent, 40), Answer::Done);
    refused(&case.offer(&claims, &case.agent, 25), true, "does not pay that");
    case.store.set_agent_state(&id, AgentState::Lost, "stolen", NOW).expect("kept");
    refused(&case.offer(&claims, &case.agent, 40), false, "may not offer");
}

#[test]
fn grant_is_offered_with_the_key_for_grants_whatever_the_other_key_is() {
    let case = Case::new();
    let (claims, new) = (case.claims(), Key::generate().expect("a key"));
    let (id, old) = (case.agent.public().thumbprint(), case.agent.public().to_string());
    let new_key = new.public().to_string();
    assert!(case.store.change_key(&id, &old, &new_key, NOW).expect("asked"));
    let (channel, _queue) = Channels::default().enter(&id, &new_key);
    let offered = |signer: &Key| {
        let grant = sign(signer, &header(TYP, signer), &claims).expect("signed");
        let fee = Fee { minor: 25, currency: "EUR".into() };
        offer(&case.store, &channel, &grant, "lab", Purpose::Print, &fee, NOW).expect("answered")
    };
    refused(&offered(&new), false, "signature");
    assert_eq!(offered(&case.agent), Answer::Done);
}

#[test]
fn what_is_under_way_is_over_when_the_offer_the_provider_or_the_agent_is() {
    let case = Case::new();
    let offered: Vec<(String, String)> = ["a", "b"]
        .into_iter()
        .map(|name| {
            let claims = Claims { jti: derived("grant", &[name]), ..case.claims() };
            let answer = case.offer(&claims, &case.agent, 25);
            assert!(matches!(answer, Answer::Done), "{answer:?}");
            (case.agent.public().thumbprint(), claims.jti)
        })
        .collect();
    let unknown = (offered[0].0.clone(), derived("grant", &["c"]));
    let asked: Vec<_> = offered.iter().cloned().chain([unknown.clone()]).collect();
    let over = |now| {
        let over = crate::hub::relay::over(&case.store, &asked, now).expect("read");
        over.into_iter().cloned().collect::<Vec<_>>()
    };
    let only_unknown = [unknown.clone()];
    assert_eq!(over(NOW), only_unknown);
    assert_eq!(over(NOW.plus_millis(60_000)), asked, "their time is over");
    case.put(|provider| provider.state = ProviderState::Paused);
    assert_eq!(over(NOW), asked, "the provider is paused");
    case.put(|_| {});
    assert_eq!(over(NOW), only_unknown);
    case.store.withdraw(&offered[1].0, Some(&offered[1].1), NOW).expect("withdrawn");
    assert_eq!(over(NOW), [offered[1].clone(), unknown]);
    let agent_id = case.agent.public().thumbprint();
    case.store.set_agent_state(&agent_id, AgentState::Lost, "stolen", NOW).expect("lost");
    assert_eq!(over(NOW), asked, "the agent was lost");
}
