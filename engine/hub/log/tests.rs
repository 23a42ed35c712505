//! What a hub takes, what it disputes, and that each leaf has one answer whatever happens between.

use super::*;
use crate::base::ids::ContentHash;
use crate::base::member::Member;
use crate::ledger::tree::Head;
use crate::store::Purpose;
use crate::store::hub::{AgentKeys, CodeRow, ProviderRow, ProviderState, SqliteHub};
use crate::store::leaf::Way;

const NOW: Timestamp = Timestamp(1_790_000_000_000);

struct World {
    store: Arc<dyn HubStore>,
    key: Key,
    agent_id: String,
    hub_key: Arc<Key>,
    log: HubLog,
    /// The agent's log.
    leaves: Vec<String>,
}

impl World {
    fn new() -> Self {
        let (key, hub_key) =
            (Key::generate().expect("key"), Arc::new(Key::generate().expect("key")));
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
        store
            .join(&code.code_hash, &agent_id, AgentKeys::one(&key.public().to_string()), NOW)
            .expect("joined");
        let provider = ProviderRow {
            name: "lab".into(),
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
        };
        store.put_provider(&provider).expect("kept");
        let offer = OfferRow {
            agent_id: agent_id.clone(),
            grant_id: "g".into(),
            order_key: "o".into(),
            provider: "lab".into(),
            member: Member::Original,
            purpose: Purpose::Print,
            digest: ContentHash::of(b"photo"),
            bytes_count: 10,
            fee_minor: 25,
            currency: "EUR".into(),
            expires_at: NOW.plus_millis(1_000_000),
            withdrawn_at: None,
        };
        assert!(store.put_offer(&offer).expect("kept"));
        let log = HubLog::start(store.clone(), hub_key.clone()).expect("starts");
        Self { store, key, agent_id, hub_key, log, leaves: Vec::new() }
    }

    fn agent(&self) -> AgentRow {
        self.store.agent(&self.agent_id).expect("read").expect("joined")
    }

    fn push(&mut self, leaf: &AgentLeaf) {
        self.leaves.push(write(leaf).expect("JSON"));
    }

    fn head(&self, size: usize) -> CheckpointRow {
        let (mut tree, mut nodes) = (Tree::default(), Vec::new());
        self.leaves[..size].iter().for_each(|leaf| tree.append(leaf.as_bytes(), &mut nodes));
        checkpoint::sign(&agent_origin(&self.agent_id), tree.head(), &self.key)
    }

    fn hand_in(&self, from: usize) -> Answer {
        let head = self.head(self.leaves.len());
        self.take(from as u64, &self.leaves[from..], &head)
    }

    fn take(&self, from: u64, leaves: &[String], head: &CheckpointRow) -> Answer {
        self.log.take(&self.agent(), from, leaves, head, NOW).expect("taken")
    }

    /// The hub's log, checked as an agent checks it.
    fn told(&self) -> Vec<HubLeaf> {
        let mut known = Head::empty();
        let mut told = Vec::new();
        loop {
            let answer = self.log.tell(&self.agent_id, known.size, 3, NOW).expect("told");
            let Answer::HubLog { leaves, checkpoint: row, proof, more } = answer else {
                panic!("{answer:?}")
            };
            let origin = hub_origin(&self.hub_key.public(), &self.agent_id);
            let head = checkpoint::verify(&row, &origin, &self.hub_key.public()).expect("signed");
            assert!(head.continues(&known, &tree::read_proof(&proof).expect("hashes")));
            told.extend(leaves);
            assert_eq!(head.size, told.len() as u64);
            known = head;
            if !more {
                break;
            }
        }
        told.iter().map(|leaf| read(leaf.as_bytes()).expect("a leaf")).collect()
    }

    fn balance(&self) -> i64 {
        assert_eq!(self.store.audit().expect("audited"), [""; 0]);
        self.store.balance("provider:lab", "EUR").expect("read")
    }
}

fn access() -> AccessLeaf {
    AccessLeaf {
        grant: "g".into(),
        order: "o".into(),
        provider: "my lab".into(),
        member: Member::Original,
        sha256: ContentHash::of(b"photo"),
        bytes: 10,
        fee_minor: 25,
        currency: "EUR".into(),
        turn: 0,
        way: Way::Hub("lab".into()),
        at: NOW,
    }
}

fn reversal(turn: u32) -> AgentLeaf {
    AgentLeaf::Reversal { why: "other bytes".into(), of: AccessLeaf { turn, ..access() } }
}

#[test]
fn access_its_reversal_and_the_access_after_it_are_posted_once() {
    let mut world = World::new();
    world.push(&AgentLeaf::Access(access()));
    assert_eq!(world.hand_in(0), Answer::Log { size: 1 });
    assert_eq!(world.balance(), 25);
    world.push(&reversal(0));
    world.push(&AgentLeaf::Access(AccessLeaf { turn: 1, ..access() }));
    for _ in 0..2 {
        assert_eq!(world.hand_in(0), Answer::Log { size: 3 }, "all of it again");
        assert_eq!(world.hand_in(1), Answer::Log { size: 3 });
        assert_eq!(world.balance(), 25);
    }
    let told = world.told();
    let kinds = told.iter().map(|leaf| match leaf {
        HubLeaf::Posted(booked) => ("posted", booked.index),
        HubLeaf::Reversed(booked) => ("reversed", booked.index),
        HubLeaf::Taken { size, .. } => ("taken", *size),
        other => panic!("{other:?}"),
    });
    let expected = [("posted", 0), ("taken", 1), ("reversed", 1), ("posted", 2), ("taken", 3)];
    assert_eq!(kinds.collect::<Vec<_>>(), expected);
}

#[test]
fn leaf_that_does_not_fit_its_offer_is_kept_disputed_and_not_posted() {
    let other = |change: fn(&mut AccessLeaf)| {
        let mut access = access();
        change(&mut access);
        AgentLeaf::Access(access)
    };
    let mut world = World::new();
    world.push(&other(|access| access.fee_minor = 2500));
    world.push(&other(|access| access.currency = "USD".into()));
    world.push(&other(|access| access.way = Way::Hub("another".into())));
    world.push(&other(|access| access.grant = "never offered".into()));
    world.push(&other(|access| access.sha256 = ContentHash::of(b"another")));
    world.push(&other(|access| access.at = NOW.plus_millis(86_400_000)));
    world.push(&other(|access| access.turn = 1));
    world.push(&reversal(0));
    world.leaves.push("nonsense".into());
    // None of the hub's business.
    world.push(&other(|access| access.way = Way::Direct));
    world.push(&AgentLeaf::Revoked { grant: "g".into(), reason: String::new(), at: NOW });
    assert_eq!(world.hand_in(0), Answer::Log { size: 11 });
    assert_eq!(world.balance(), 0);
    let told = world.told();
    let disputed = told.iter().filter_map(|leaf| match leaf {
        HubLeaf::Disputed { index, .. } => Some(*index),
        HubLeaf::Taken { .. } => None,
        other => panic!("{other:?}"),
    });
    assert_eq!(disputed.collect::<Vec<_>>(), (0..9).collect::<Vec<_>>());
}

#[test]
fn leaves_without_their_signed_head_are_not_taken() {
    let mut world = World::new();
    world.push(&AgentLeaf::Access(access()));
    world.push(&AgentLeaf::Revoked { grant: "g".into(), reason: String::new(), at: NOW });
    let good = world.head(2);
    let other_key = checkpoint::sign(
        &agent_origin(&world.agent_id),
        Head { size: 2, root: good.root },
        &Key::generate().expect("key"),
    );
    let other_log = checkpoint::sign(
        &hub_origin(&world.hub_key.public(), &world.agent_id),
        Head { size: 2, root: good.root },
        &world.key,
    );
    let reversed: Vec<String> = world.leaves.iter().rev().cloned().collect();
    for (leaves, head) in [
        (&world.leaves[..], &other_key),
        (&world.leaves[..], &other_log),
        (&world.leaves[..], &world.head(1)),
        (&world.leaves[..1], &good),
        (&reversed[..], &good),
    ] {
        let answer = world.take(0, leaves, head);
        assert!(matches!(answer, Answer::No { later: false, .. }), "{answer:?}");
    }
    assert_eq!(world.take(1, &world.leaves[1..], &good), Answer::Log { size: 0 }, "a gap");
    assert_eq!(world.balance(), 0);
    assert_eq!(world.take(0, &world.leaves, &good), Answer::Log { size: 2 });
    assert_eq!(world.balance(), 25);
    let altered = vec![world.leaves[1].clone(), world.leaves[1].clone()];
    let answer = world.take(0, &altered, &good);
    assert!(matches!(answer, Answer::No { later: false, .. }), "another past: {answer:?}");
}

#[test]
fn crash_between_taking_and_answering_is_made_up_for() {
    let mut world = World::new();
    world.push(&AgentLeaf::Access(access()));
    let head = world.head(1);
    let mirrored = world.log.logs.mirror(&world.agent(), 0, &world.leaves, &head, NOW);
    assert!(mirrored.expect("written").is_ok());
    assert_eq!(world.balance(), 25);
    // Another process goes on, and knows nothing of it.
    let World { store, key, agent_id, hub_key, leaves, .. } = world;
    let log = HubLog::start(store.clone(), hub_key.clone()).expect("starts");
    let world = World { store, key, agent_id, hub_key, log, leaves };
    for _ in 0..2 {
        let told = world.told();
        assert!(
            matches!(&told[..], [HubLeaf::Posted(_), HubLeaf::Taken { size: 1, .. }]),
            "{told:?}"
        );
        assert_eq!(world.hand_in(0), Answer::Log { size: 1 });
    }
    assert_eq!(world.balance(), 25);
}

#[test]
fn notes_are_there_when_somebody_asks_and_a_flood_of_refusals_is_a_number() {
    let world = World::new();
    let refused = |at: i64| HubLeaf::Refused {
        grant: "g".into(),
        provider: String::new(),
        remote: "192.0.2.1".into(),
        reason: "no credit".into(),
        at: NOW.plus_millis(at),
    };
    (0..1000).for_each(|_| world.log.note(&world.agent_id, refused(0)));
    // In two steps, as the thread may be between taking and appending them.
    let count = || world.told().len();
    while count() < 60 {
        std::thread::yield_now();
    }
    world.log.note(&world.agent_id, refused(60_000));
    while count() < 62 {
        std::thread::yield_now();
    }
    let told = world.told();
    assert_eq!(told.len(), 62);
    assert_eq!(told[60], HubLeaf::RefusedMore { tries: 940, at: NOW });
    (0..70).for_each(|_| world.log.note(&world.agent_id, refused(120_000)));
    let (store, agent_id) = (world.store.clone(), world.agent_id.clone());
    drop(world);
    assert_eq!(store.log_size(&agent_id, LogKind::Hub).expect("read"), 62 + 60 + 1, "none is lost");
}

#[test]
fn writers_side_by_side_leave_one_log() {
    let world = Arc::new(World::new());
    let relayed = |bytes| HubLeaf::Relayed {
        grant: "g".into(),
        provider: "lab".into(),
        is_staged: false,
        status: 200,
        range: String::new(),
        bytes,
        is_whole: true,
        at: NOW,
    };
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let world = world.clone();
            scope.spawn(move || {
                for number in 0..50 {
                    world.log.note(&world.agent_id, relayed(thread * 100 + number));
                    if number % 10 == 0 {
                        world.told();
                    }
                }
            });
        }
    });
    while world.told().len() < 200 {
        std::thread::yield_now();
    }
    assert_eq!(world.told().len(), 200);
}

#[test]
fn agent_that_is_not_there_is_named() {
    let world = World::new();
    let error = world.log.logs.append("nobody", &[]).expect_err("there is none");
    let alias = Aliases::of(&world.log.logs.key).alias("nobody");
    assert!(matches!(&error, LogError::Moved(agent) if *agent == alias), "{error}");
}
