//! Every reason to refuse, each against a request that is right in all other respects.

use super::*;
use crate::access::Key;
use crate::access::grant::{Content, issue};
use crate::access::proof;
use crate::base::ids::ContentHash;
use crate::base::member::Member;
use crate::base::money::Currency;
use crate::orders::terms::{Fees, Limits};
use crate::store::{Order, Purpose};

const NOW: Timestamp = Timestamp(1_790_000_000_000);
const PATH: &str = "/v1/grants/x/content";

/// A request that is right, to be made wrong in one respect.
struct Case {
    agent: Key,
    lab: Key,
    grant: GrantRow,
    shown: Option<String>,
    proof: Option<String>,
    terms: Option<Terms>,
    stopped: bool,
    through_hub: bool,
    now: Timestamp,
}

fn terms(lab: &Key) -> Terms {
    Terms {
        orders_url: "https://lab.example/".into(),
        key: lab.public().to_string(),
        purposes: [Purpose::Print].into(),
        fees: Fees { original_minor: 25, preview_minor: 0, companion_minor: 0 },
        service_percent: 20,
        service: "signet".into(),
        limits: Limits { grant_hours: 1, ..Limits::default() },
        ..Terms::new(Currency::try_from("EUR".to_owned()).expect("a currency"))
    }
}

fn order() -> Order {
    Order {
        rule: "r".into(),
        revision: "0".into(),
        collection: "c".into(),
        relative: "p.jpg".into(),
        provider: "lab".into(),
        currency: "EUR".into(),
        ..Order::new("k", ContentHash::of(b"photo"), NOW)
    }
}

fn grant(agent: &Key, lab: &Key, member: Member) -> GrantRow {
    let content = Content {
        member,
        digest: ContentHash::of(b"photo"),
        bytes_count: 5,
        media_type: "image/jpeg".into(),
        name: "p.jpg".into(),
        offset: None,
        evidence: None,
    };
    let holder = lab.public().thumbprint();
    issue(&order(), &content, &terms(lab), &holder, 1, agent, NOW).expect("a grant")
}

fn check_case(change: impl FnOnce(&mut Case)) -> Result<Allowed, Refusal> {
    let (agent, lab) = (Key::generate().expect("key"), Key::generate().expect("key"));
    let grant = grant(&agent, &lab, Member::Original);
    let shown = Some(grant.token.clone());
    let terms = Some(terms(&lab));
    let (proof, stopped, through_hub, now) = (None, false, false, NOW);
    let mut case = Case { agent, lab, grant, shown, proof, terms, stopped, through_hub, now };
    change(&mut case);
    if case.proof.is_none() {
        let token = case.shown.as_deref().unwrap_or_default();
        let request = ProvenRequest { method: "GET", url: PATH, grant: token };
        case.proof = Some(proof::make(&case.lab, request, case.now).expect("a proof"));
    }
    let request = Request {
        method: "GET",
        path: PATH,
        grant: case.shown.as_deref(),
        proof: case.proof.as_deref().filter(|proof| !proof.is_empty()),
    };
    let known = Known {
        agent_key: &case.agent.public(),
        grant: Some(&case.grant),
        terms: case.terms.as_ref(),
        stopped: case.stopped,
        through_hub: case.through_hub,
    };
    check(request, &known, &mut Seen::default(), case.now)
}

#[test]
fn request_that_is_right_is_allowed() {
    let Allowed { claims, sealed_to } = check_case(|_| ()).expect("allowed");
    assert_eq!((claims.aud.as_str(), claims.bytes_count), ("lab", 5));
    assert_eq!(sealed_to, None, "nobody stands between");
}

#[test]
fn answer_through_a_hub_is_sealed_to_the_key_that_was_proven_unless_agreed_otherwise() {
    let through = |relay: Relay| {
        let mut lab = None;
        let allowed = check_case(|case| {
            (case.through_hub, lab) = (true, Some(case.lab.public()));
            case.terms.as_mut().expect("terms").relay = relay;
        });
        (allowed.expect("allowed").sealed_to, lab)
    };
    let (sealed_to, lab) = through(Relay::Sealed);
    assert_eq!(sealed_to, lab);
    assert_eq!(through(Relay::Clear).0, None);
}

#[test]
fn address_without_a_key_works_through_a_hub_only_where_the_owner_agreed() {
    let agent = Key::generate().expect("a key");
    let lab = Key::generate().expect("a key");
    let content = Content::of(&grant(&agent, &lab, Member::Original));
    let terms = |relay| Terms { key: String::new(), relay, ..terms(&lab) };
    let row =
        issue(&order(), &content, &terms(Relay::Sealed), "", 1, &agent, NOW).expect("a grant");
    let checked = |relay, through_hub| {
        let (agent_key, terms) = (agent.public(), terms(relay));
        let (grant, terms) = (Some(&row), Some(&terms));
        let known = Known { agent_key: &agent_key, grant, terms, stopped: false, through_hub };
        check_link(&known, NOW).map(|allowed| allowed.sealed_to)
    };
    assert_eq!(checked(Relay::Sealed, false), Ok(None));
    assert_eq!(checked(Relay::Sealed, true), Err(Refusal::NotThroughHub));
    assert_eq!(checked(Relay::Clear, true), Ok(None));
}

#[test]
fn request_that_is_wrong_in_one_respect_is_refused() {
    let key = || Key::generate().expect("a key");
    let refused = |change: &dyn Fn(&mut Case)| check_case(change).map(|_| ());
    assert_eq!(refused(&|c| c.shown = None), Err(Refusal::NoGrant));
    assert_eq!(refused(&|c| c.proof = Some(String::new())), Err(Refusal::NoProof));
    assert_eq!(refused(&|c| c.lab = key()), Err(Refusal::OtherProvider));
    let forged = Err(Refusal::Forged(JwsError::Signature));
    assert_eq!(refused(&|c| c.agent = key()), forged, "signed by another owner");
    assert_eq!(refused(&|c| c.stopped = true), Err(Refusal::Stopped));
    assert_eq!(refused(&|c| c.grant.revoked_at = Some(NOW)), Err(Refusal::Revoked));
    assert_eq!(refused(&|c| c.terms = None), Err(Refusal::NoConsent));
    let ended = |c: &mut Case| {
        c.terms.as_mut().expect("terms").valid_until = Some(NOW);
    };
    assert_eq!(refused(&ended), Err(Refusal::NoConsent));
    assert_eq!(refused(&|c| c.now = NOW.plus_millis(3_600_000)), Err(Refusal::Expired));
    assert!(refused(&|c| c.now = NOW.plus_millis(3_599_000)).is_ok(), "a second before its end");
    let other = |c: &mut Case| c.grant.grant_id = "another".into();
    assert_eq!(refused(&other), Err(Refusal::OtherContent));
    let superseded = |c: &mut Case| c.grant.token = "another".into();
    assert_eq!(refused(&superseded), Err(Refusal::OtherContent));
}

#[test]
fn companion_is_refused_when_the_consent_no_longer_covers_such() {
    let checked = |covered: &[Member]| {
        check_case(|case| {
            case.grant = grant(&case.agent, &case.lab, Member::VoiceMemo);
            case.shown = Some(case.grant.token.clone());
            case.terms.as_mut().expect("terms").companions = covered.iter().copied().collect();
        })
        .map(|allowed| allowed.claims.member)
    };
    assert_eq!(checked(&[Member::VoiceMemo, Member::Raw]), Ok(Member::VoiceMemo));
    assert_eq!(checked(&[Member::Motion]), Err(Refusal::NoConsent));
}

#[test]
fn grant_signed_as_something_else_is_refused() {
    // A consent or a proof is signed by the same key, but it is no grant.
    let refused = check_case(|case| {
        let header = jws::header("signet-consent+jws", &case.agent);
        case.shown = Some(jws::sign(&case.agent, &header, &"x").expect("signed"));
    });
    assert_eq!(refused.map(|_| ()), Err(Refusal::Forged(JwsError::Kind)));
}
