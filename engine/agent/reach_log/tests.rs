//! A hub that is honest, and hubs that lie in every way that there is, with their own key.

use std::sync::Mutex;

use super::*;
use crate::base::ids::ContentHash;
use crate::base::member::Member;
use crate::hub::log::HubLog;
use crate::ledger::access_entries;
use crate::store::hub::{
    AgentKeys, AgentRow, CodeRow, HubStore, Joined, LogKind, OfferRow, ProviderRow, ProviderState,
    SqliteHub,
};
use crate::store::leaf::{BookedLeaf, write};
use crate::store::{GrantRow, Order, OrderState, Purpose, Way};

const NOW: Timestamp = Timestamp(1_790_000_000_000);

/// An agent, its hub, and what the agent told of.
struct World {
    state: Arc<State>,
    store: Arc<dyn HubStore>,
    hub_key: Arc<Key>,
    hub_log: HubLog,
    membership: Membership,
    keeper: LogKeeper,
    told: Arc<Mutex<Vec<AgentEvent>>>,
}

fn provider(name: &str) -> ProviderRow {
    ProviderRow {
        name: name.into(),
        key: None,
        secret_hash: None,
        purposes: vec![Purpose::Print],
        currency: "EUR".into(),
        credit_limit_minor: 10_000,
        service_percent: 20,
        requests_per_minute: 600,
        accesses_per_day: 1000,
        notify_url: String::new(),
        notify_secret: String::new(),
        state: ProviderState::Active,
        why: String::new(),
        prices: Vec::new(),
    }
}

impl World {
    fn new() -> Self {
        let key = Arc::new(Key::generate().expect("key"));
        let hub_key = Arc::new(Key::generate().expect("key"));
        let agent_id = key.public().thumbprint();
        let store: Arc<dyn HubStore> = Arc::new(SqliteHub::in_memory().expect("opens"));
        let code = CodeRow {
            code_hash: ContentHash::of(b"code"),
            verifier: ContentHash::of(b"verifier"),
            label: "home".into(),
            replaces: None,
            made_at: NOW,
            expires_at: NOW.plus_millis(1000),
        };
        store.put_code(&code).expect("kept");
        let joined =
            store.join(&code.code_hash, &agent_id, AgentKeys::one(&key.public().to_string()), NOW);
        assert!(matches!(joined, Ok(Joined::New(_))), "{joined:?}");
        store.put_provider(&provider("photo-lab")).expect("kept");
        let membership = Membership {
            url: "https://hub.example".into(),
            hub_key: hub_key.public().to_string(),
            certificate: None,
            agent_id,
            base_url: String::new(),
            joined_at: NOW,
        };
        let state = Arc::new(State::in_memory().expect("opens"));
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = told.clone();
        let tell: Tell = Arc::new(move |event| heard.lock().expect("a list").push(event));
        let keeper =
            LogKeeper::new(state.clone(), Box::new(move || Ok(key.clone())), &membership, tell)
                .expect("a key");
        let hub_log = HubLog::start(store.clone(), hub_key.clone()).expect("starts");
        Self { state, store, hub_key, hub_log, membership, keeper, told }
    }

    fn agent(&self) -> AgentRow {
        self.store.agent(&self.membership.agent_id).expect("read").expect("joined")
    }

    /// A grant that is offered at the hub, and its access.
    fn deliver(&self, name: &str, way: &Way) -> GrantRow {
        let order = Order {
            provider: "lab".into(),
            currency: "EUR".into(),
            state: OrderState::Accepted,
            ..Order::new(name, ContentHash::of(b"photo"), NOW)
        };
        let grant = GrantRow {
            grant_id: format!("grant-{name}"),
            order_key: name.into(),
            provider: "lab".into(),
            member: Member::Original,
            name: "p.jpg".into(),
            evidence: None,
            photo: ContentHash::of(b"photo"),
            digest: ContentHash::of(b"photo"),
            offset: None,
            bytes_count: 10,
            media_type: "image/jpeg".into(),
            token: "t".into(),
            fee_minor: 25,
            currency: "EUR".into(),
            issued_at: NOW,
            expires_at: NOW.plus_millis(1_000_000),
            revoked_at: None,
            revoked_why: None,
        };
        self.state.put_orders(vec![order.clone()]).expect("kept");
        self.state
            .put_grants(&order, std::slice::from_ref(&grant), &[], NOW)
            .expect("kept")
            .expect("as read");
        self.offer(&grant);
        let entries = access_entries("lab", "hub", 25, 20);
        assert!(self.state.post_access(&grant, &entries, way, NOW).expect("posted"));
        grant
    }

    fn offer(&self, grant: &GrantRow) {
        let offer = OfferRow {
            agent_id: self.membership.agent_id.clone(),
            grant_id: grant.grant_id.clone(),
            order_key: grant.order_key.clone(),
            provider: "photo-lab".into(),
            member: grant.member,
            purpose: Purpose::Print,
            digest: grant.digest,
            bytes_count: grant.bytes_count,
            fee_minor: 25,
            currency: "EUR".into(),
            expires_at: grant.expires_at,
            withdrawn_at: None,
        };
        assert!(self.store.put_offer(&offer).expect("kept"));
    }

    fn deliver_some(&self) {
        for name in ["a", "b", "c"] {
            self.deliver(name, &Way::Hub("photo-lab".into()));
        }
        self.deliver("d", &Way::Direct);
    }

    fn honest(&self) -> Honest<'_> {
        Honest(self)
    }

    /// Leaves of the hub's log as they are.
    fn hub_leaves(&self) -> Vec<String> {
        let leaves = self.store.leaves(&self.membership.agent_id, LogKind::Hub, 0, u64::MAX);
        let text = |leaf| String::from_utf8(leaf).expect("text");
        leaves.expect("read").into_iter().map(text).collect()
    }

    fn lies(&self) -> Vec<String> {
        let lies = self.state.lies(Timestamp(0), Timestamp(i64::MAX)).expect("read");
        assert_eq!(lies.len(), self.told.lock().expect("a list").len(), "each is told once");
        let mut kinds: Vec<String> = lies.into_iter().map(|lie| lie.kind).collect();
        kinds.sort();
        kinds
    }
}

/// The hub as it is built.
struct Honest<'a>(&'a World);

impl Honest<'_> {
    fn answer(&self, ask: &Ask) -> Answer {
        let World { hub_log, membership, .. } = self.0;
        match ask {
            Ask::Log { from, leaves, checkpoint } => {
                hub_log.take(&self.0.agent(), *from, leaves, checkpoint, NOW).expect("taken")
            }
            Ask::HubLog { from, count_max } => {
                hub_log.tell(&membership.agent_id, *from, *count_max, NOW).expect("told")
            }
            other => panic!("{other:?} is not about logs"),
        }
    }
}

fn round(world: &World, answer: &dyn Fn(&Ask) -> Answer) -> Result<bool, Setback> {
    world.keeper.round(&|ask| Ok(answer(&ask)), NOW)
}

fn honest_round(world: &World) -> bool {
    round(world, &|ask| world.honest().answer(ask)).expect("in step")
}

/// What a hub answers that keeps these leaves and signs them properly.
fn told_of(world: &World, leaves: &[String], from: u64) -> Answer {
    let (mut tree, mut nodes) = (Tree::default(), Vec::new());
    leaves.iter().for_each(|leaf| tree.append(leaf.as_bytes(), &mut nodes));
    let read = |numbers: &[u64]| -> Result<Vec<tree::Node>, StoreError> {
        Ok(nodes.iter().filter(|(number, _)| numbers.contains(number)).copied().collect())
    };
    let size = leaves.len() as u64;
    let origin = hub_origin(&world.hub_key.public(), &world.membership.agent_id);
    let proof = tree::consistency(from.min(size), size, read).expect("nodes");
    Answer::HubLog {
        leaves: leaves.iter().skip(usize::try_from(from).expect("small")).cloned().collect(),
        checkpoint: checkpoint::sign(&origin, tree.head(), &world.hub_key),
        proof: proof.iter().map(tree::proof_text).collect(),
        more: false,
    }
}

#[test]
fn honest_hub_posts_what_passed_it_and_nothing_is_found() {
    let world = World::new();
    world.keeper.greeted(0, None, NOW).expect("greeted");
    world.deliver_some();
    assert!(honest_round(&world));
    assert!(!honest_round(&world), "nothing is new");
    assert_eq!(world.lies(), [""; 0]);
    assert_eq!(world.store.audit().expect("audited"), [""; 0]);
    assert_eq!(world.store.balance("provider:photo-lab", "EUR").expect("read"), 75);
    world.deliver("e", &Way::Staged("photo-lab".into()));
    world.state.revoke(None, "enough", NOW).expect("revoked");
    assert!(honest_round(&world));
    assert_eq!(world.store.balance("provider:photo-lab", "EUR").expect("read"), 100);
    assert_eq!(world.lies(), [""; 0]);
    let head = world.hub_log.head(&world.membership.agent_id).expect("read");
    let size = world.state.log_size(OWN).expect("read");
    world.keeper.greeted(size, head.as_ref(), NOW).expect("greeted");
    assert!(!honest_round(&world), "all of it is here");
    assert_eq!(world.lies(), [""; 0]);
}

#[test]
fn log_of_thousands_of_leaves_is_handed_in_in_small_messages() {
    let world = World::new();
    for number in 0..700 {
        world.deliver(&format!("n{number}"), &Way::Hub("photo-lab".into()));
    }
    let largest = Mutex::new(0);
    let answered = round(&world, &|ask| {
        let answer = world.honest().answer(ask);
        let texts = [serde_json::to_string(ask), serde_json::to_string(&answer)];
        for text in texts {
            let mut largest = largest.lock().expect("a number");
            *largest = (*largest).max(text.expect("JSON").len());
        }
        answer
    });
    assert!(answered.expect("in step"));
    let largest = largest.into_inner().expect("a number");
    assert!(largest < crate::hub::protocol::FRAME_BYTES_MAX, "{largest} bytes");
    assert_eq!(world.lies(), [""; 0]);
    assert_eq!(world.store.balance("provider:photo-lab", "EUR").expect("read"), 700 * 25);
    assert_eq!(
        world.state.progress(&log_name(&world.membership)).expect("read").checked_size,
        1400
    );
}

/// A hub that keeps another log than it should from the first leaf on is caught at the first look.
fn check_rewritten(expected: &[&str], rewrite: impl Fn(&mut Vec<HubLeaf>)) {
    let world = World::new();
    world.deliver_some();
    let rewritten = |world: &World| {
        let leaves = world.hub_leaves();
        let read = |text: &String| read::<HubLeaf>(text.as_bytes()).expect("a leaf");
        let mut leaves: Vec<HubLeaf> = leaves.iter().map(read).collect();
        rewrite(&mut leaves);
        leaves.iter().map(|leaf| write(leaf).expect("JSON")).collect::<Vec<_>>()
    };
    let outcome = round(&world, &|ask| match ask {
        Ask::HubLog { from, .. } => told_of(&world, &rewritten(&world), *from),
        other => world.honest().answer(other),
    });
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(world.lies(), expected);
}

fn booked(leaf: &mut HubLeaf) -> &mut BookedLeaf {
    match leaf {
        HubLeaf::Posted(booked) => booked,
        other => panic!("{other:?} is no posting"),
    }
}

#[test]
fn every_lie_in_a_leaf_is_named() {
    check_rewritten(&[], |_| {});
    check_rewritten(&["fee"], |leaves| booked(&mut leaves[0]).fee_minor = 20);
    check_rewritten(&["fee"], |leaves| booked(&mut leaves[1]).currency = "USD".into());
    check_rewritten(&["provider"], |leaves| booked(&mut leaves[0]).provider = "other".into());
    check_rewritten(&["place"], |leaves| booked(&mut leaves[0]).index += 1);
    check_rewritten(&["place"], |leaves| booked(&mut leaves[0]).at = Timestamp(7));
    check_rewritten(&["made-up-access", "silent"], |leaves| booked(&mut leaves[0]).turn = 1);
    check_rewritten(&["made-up-access", "silent"], |leaves| {
        booked(&mut leaves[0]).grant = "never-made".into();
    });
    check_rewritten(&["not-through-hub"], |leaves| {
        let mut more = booked(&mut leaves[0]).clone();
        (more.grant, more.index) = ("grant-d".into(), 7);
        leaves.insert(1, HubLeaf::Posted(more));
    });
    check_rewritten(&["silent"], |leaves| drop(leaves.remove(2)));
    check_rewritten(&["twice"], |leaves| leaves.insert(1, leaves[0].clone()));
    check_rewritten(&["made-up-reversal"], |leaves| {
        let back = booked(&mut leaves[0]).clone();
        leaves.push(HubLeaf::Reversed(back));
    });
    check_rewritten(&["denied"], |leaves| {
        let (index, grant) = (booked(&mut leaves[0]).index, "grant-a".into());
        leaves[0] = HubLeaf::Disputed { index, grant, why: "no".into(), at: NOW };
    });
    check_rewritten(&["other-log"], |leaves| {
        let root = ContentHash::of(b"another");
        *leaves.last_mut().expect("one") = HubLeaf::Taken { size: 8, root, at: NOW };
    });
    check_rewritten(&["made-up-leaves"], |leaves| {
        let root = ContentHash::of(b"another");
        *leaves.last_mut().expect("one") = HubLeaf::Taken { size: 9, root, at: NOW };
    });
    check_rewritten(&["forgot"], |leaves| drop(leaves.pop()));
    check_rewritten(&["forgot"], Vec::clear);
    check_rewritten(&["unknown-grant"], |leaves| {
        leaves.push(HubLeaf::Relayed {
            grant: "never-made".into(),
            provider: "photo-lab".into(),
            is_staged: false,
            status: 200,
            range: String::new(),
            bytes: 10,
            is_whole: true,
            at: NOW,
        });
    });
}

#[test]
fn every_byte_of_a_posting_counts() {
    let world = World::new();
    world.deliver_some();
    honest_round(&world);
    let leaves = world.hub_leaves();
    for place in 0..leaves[0].len() {
        let mut bytes = leaves[0].clone().into_bytes();
        bytes[place] ^= 1;
        let Ok(altered) = String::from_utf8(bytes) else { continue };
        let mut leaves = leaves.clone();
        leaves[0] = altered;
        // An agent to which the same happened, and which sees that log for the first time.
        let other = World::new();
        other.deliver_some();
        let outcome = round(&other, &|ask| match ask {
            Ask::HubLog { from, .. } => told_of(&other, &leaves, *from),
            ask => other.honest().answer(ask),
        });
        assert!(!other.lies().is_empty(), "byte {place}: {} {outcome:?}", leaves[0]);
    }
}

/// A hub that was honest until now and then says this about its log.
fn check_answer(expected: &str, lie: impl Fn(&World, &Ask) -> Answer) {
    let world = World::new();
    world.deliver_some();
    honest_round(&world);
    let good = world.keeper.known().expect("read");
    world.deliver("e", &Way::Hub("photo-lab".into()));
    for _ in 0..2 {
        let outcome = round(&world, &|ask| lie(&world, ask));
        assert!(matches!(outcome, Err(Setback::Lied)), "{expected}: {outcome:?}");
    }
    assert_eq!(world.lies(), [expected], "told once");
    assert_eq!(world.keeper.known().expect("read"), good, "the last good head stays");
    honest_round(&world);
    assert_eq!(world.lies(), [expected], "it stays on record");
    assert!(world.keeper.known().expect("read").size > good.size, "and the rest goes on");
}

/// A lie about the hub's log, told instead of the honest answer.
fn check_told(expected: &str, lie: impl Fn(&World, u64, Answer) -> Answer) {
    check_answer(expected, |world, ask| match (ask, world.honest().answer(ask)) {
        (Ask::HubLog { from, .. }, honest) => lie(world, *from, honest),
        (_, honest) => honest,
    });
}

#[test]
fn every_lie_about_the_log_is_named_and_the_last_good_head_stays() {
    let with = |answer: Answer, change: &dyn Fn(&mut Vec<String>, &mut CheckpointRow)| match answer
    {
        Answer::HubLog { mut leaves, mut checkpoint, proof, more } => {
            change(&mut leaves, &mut checkpoint);
            Answer::HubLog { leaves, checkpoint, proof, more }
        }
        other => other,
    };
    check_told("signature", |_, _, honest| {
        with(honest, &|_, head| {
            let origin = head.note.split('\n').next().expect("a line").to_owned();
            let other = Key::generate().expect("key");
            *head = checkpoint::sign(&origin, Head { size: head.size, root: head.root }, &other);
            // The same note each time: it is one lie.
            head.note = "signet/hub/other\n".into();
        })
    });
    check_told("signature", |world, _, honest| {
        with(honest, &|_, head| {
            let origin = hub_origin(&world.hub_key.public(), "another agent");
            let signed = Head { size: head.size, root: head.root };
            *head = checkpoint::sign(&origin, signed, &world.hub_key);
        })
    });
    check_told("signature", |_, _, honest| with(honest, &|_, head| head.size += 1));
    check_told("leaves", |_, _, honest| with(honest, &|leaves, _| drop(leaves.remove(0))));
    check_told("leaves", |_, _, honest| with(honest, &|leaves, _| leaves.reverse()));
    check_told("leaves", |_, _, honest| with(honest, &|leaves, _| leaves.push("{}".into())));
    check_told("back", |world, _, _| told_of(world, &world.hub_leaves()[..2], 2));
    check_told("fork", |world, from, _| {
        let mut leaves = world.hub_leaves();
        leaves.truncate(usize::try_from(from).expect("small"));
        leaves.swap(0, 1);
        told_of(world, &leaves, from)
    });
    // It rewrote the past and goes on from there.
    check_told("leaves", |world, from, _| {
        let mut leaves = world.hub_leaves();
        leaves.swap(0, 1);
        told_of(world, &leaves, from)
    });
    check_told("unreadable", |world, from, _| {
        let mut leaves = world.hub_leaves();
        leaves.truncate(usize::try_from(from).expect("small"));
        leaves.push(r#"{"leaf":"posted"}"#.into());
        told_of(world, &leaves, from)
    });
    check_told("withheld", |world, from, _| {
        let leaves = world.hub_leaves();
        match told_of(world, &leaves[..usize::try_from(from).expect("small")], from) {
            Answer::HubLog { leaves, checkpoint, proof, .. } => {
                Answer::HubLog { leaves, checkpoint, proof, more: true }
            }
            other => other,
        }
    });
    check_told("proof", |_, _, honest| match honest {
        Answer::HubLog { leaves, checkpoint, more, .. } => {
            Answer::HubLog { leaves, checkpoint, proof: Vec::new(), more }
        }
        other => other,
    });
    check_answer("takes-no-log", |world, ask| match ask {
        Ask::Log { .. } => Answer::No { later: false, why: "no".into() },
        ask => world.honest().answer(ask),
    });
    check_answer("made-up-leaves", |world, ask| match ask {
        Ask::Log { .. } => Answer::Log { size: 999 },
        ask => world.honest().answer(ask),
    });
}

#[test]
fn welcome_that_knows_less_than_before_is_a_lie() {
    let world = World::new();
    world.deliver_some();
    honest_round(&world);
    let agent_id = &world.membership.agent_id;
    let head = world.hub_log.head(agent_id).expect("read");
    let size = world.state.log_size(OWN).expect("read");
    let Answer::HubLog { checkpoint: old, .. } = told_of(&world, &world.hub_leaves()[..1], 0)
    else {
        panic!("it is one")
    };
    for (agent_log_size, hub_log, expected) in [
        (size, &head, vec![]),
        (size, &Some(old), vec!["back"]),
        (size, &None, vec!["back", "back"]),
        (size - 1, &head, vec!["back", "back", "forgot"]),
        (size + 1, &head, vec!["back", "back", "forgot", "made-up-leaves"]),
    ] {
        world.keeper.greeted(agent_log_size, hub_log.as_ref(), NOW).expect("greeted");
        assert_eq!(world.lies(), expected);
    }
}

#[test]
fn hub_that_was_restored_from_a_backup_gets_the_rest_again() {
    let world = World::new();
    world.deliver_some();
    honest_round(&world);
    // It says once that it has nothing; what it has, it takes again.
    world.deliver("e", &Way::Hub("photo-lab".into()));
    let asked = Mutex::new(0);
    let outcome = round(&world, &|ask| match ask {
        Ask::Log { .. } if std::mem::replace(&mut *asked.lock().expect("a number"), 1) == 0 => {
            Answer::Log { size: 0 }
        }
        ask => world.honest().answer(ask),
    });
    assert!(outcome.expect("in step"));
    assert_eq!(world.lies(), ["forgot"]);
}

#[test]
fn log_that_grows_without_end_waits_and_its_owner_is_told_once_a_day() {
    const DAY_BYTES: u64 = 2_000_000;
    let mut world = World::new();
    world.keeper.day_bytes = DAY_BYTES;
    let world = world;
    let day = |days: i64| NOW.plus_millis(days * DAY_MS);
    // Tries that were refused, each with many words, as a hub may invent them.
    let mut minute = 0;
    let mut invent = || {
        for _ in 0..10 {
            minute += 1;
            let leaf = HubLeaf::Refused {
                grant: String::new(),
                provider: String::new(),
                remote: String::new(),
                reason: "x".repeat(40_000),
                at: NOW.plus_millis(minute * 60_000),
            };
            world.hub_log.note(&world.membership.agent_id, leaf);
        }
    };
    let taken = |since| {
        let log = log_name(&world.membership);
        world.state.log_growth(&log, since).expect("read").bytes_count
    };
    let tell = |ask: Ask, now| {
        let Ask::HubLog { from, count_max } = ask else { panic!("{ask:?}") };
        let told = world.hub_log.tell(&world.membership.agent_id, from, count_max, now);
        Ok(told.expect("read"))
    };
    let mut waits = |now: Timestamp, invents_count: u32| {
        let told_before = world.told.lock().expect("a list").len();
        for _ in 0..invents_count {
            invent();
            // The next round is due, but not the next day.
            world.keeper.session().fetched_at = None;
            world.keeper.round(&|ask| tell(ask, now), now).expect("no lie");
        }
        world.told.lock().expect("a list").len() - told_before
    };
    assert_eq!(waits(NOW, 8), 1, "told once");
    let first = taken(NOW.plus_millis(-DAY_MS));
    assert!((DAY_BYTES - 50_000..=DAY_BYTES).contains(&first), "{first} bytes");
    assert_eq!(waits(NOW.plus_millis(DAY_MS - 1), 1), 0, "the same day");
    assert_eq!(taken(NOW.plus_millis(-DAY_MS)), first);
    assert_eq!(waits(day(1), 6), 1, "there is room again the next day");
    let both = taken(NOW.plus_millis(-DAY_MS));
    assert!((2 * first - 50_000..=2 * DAY_BYTES).contains(&both), "{both} bytes");
    let told = format!("{:?}", world.told.lock().expect("a list"));
    assert!(told.contains("HubLogWaits") && !told.contains("HubLied"), "{told}");
    assert_eq!(world.state.lies(Timestamp(0), day(9)).expect("read"), []);
}

#[test]
fn hub_that_mixes_the_log_of_a_lost_computer_with_that_of_its_successor_is_caught() {
    let lost = World::new();
    lost.deliver_some();
    honest_round(&lost);
    let new = World::new();
    // Signed as the log about the new one; under its own name it is not looked at, see above.
    let outcome = round(&new, &|ask| match ask {
        Ask::HubLog { from, .. } => told_of(&new, &lost.hub_leaves(), *from),
        ask => new.honest().answer(ask),
    });
    assert!(outcome.is_ok(), "{outcome:?}");
    let found = ["made-up-access", "made-up-access", "made-up-access", "made-up-leaves"];
    assert_eq!(new.lies(), found);
    // Or it says to have had leaves of a log that only begins now.
    let new = World::new();
    new.keeper.greeted(lost.state.log_size(OWN).expect("read"), None, NOW).expect("greeted");
    assert_eq!(new.lies(), ["made-up-leaves"]);
}

#[test]
fn hub_need_not_know_what_was_delivered_before_it_was_joined() {
    let denied = |joined_at: Timestamp| {
        let mut world = World::new();
        world.keeper.joined_at = joined_at;
        // From a backup of the lost computer, or through another hub.
        for name in ["a", "b"] {
            let grant = world.deliver(name, &Way::Hub("other-hub's-lab".into()));
            assert_eq!(grant.issued_at, NOW);
        }
        honest_round(&world);
        assert_eq!(world.store.balance("provider:photo-lab", "EUR").expect("read"), 0);
        world.lies()
    };
    assert_eq!(denied(NOW.plus_millis(1)), [""; 0]);
    assert_eq!(denied(NOW), ["denied", "denied"]);
}
