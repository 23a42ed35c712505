//! Random sequences of operations: every store gives the same answer to each.
//!
//! `SIGNET_STORE_STEPS=1000000` walks longer than usual.

use std::collections::BTreeSet;
use std::fmt::Debug;

use super::*;
use crate::base::config::environment;
use crate::store::StoreError;
use crate::store::hub::{
    ActionRow, NoticeRow, OperatorRow, ProviderChange, Role, SessionRow, StagedRow, Taking,
    TakingRow, TermsChange,
};

/// Steps of one sequence: enough for an agent to join, be fetched from, be lost and come back.
const STEPS_PER_WALK: u64 = 250;

/// Steps of all sequences together in every run.
const STEPS_COUNT: u64 = 100_000;

/// Numbers that look random and are the same each time (SplitMix64).
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).expect("small")]
    }
}

fn told<T: Debug>(outcome: Result<T, StoreError>) -> String {
    outcome.map_or_else(|_refused| "refused".to_owned(), |value| format!("{value:?}"))
}

/// Calls an operation; in words, with its arguments and its answer.
macro_rules! call {
    ($store:ident.$name:ident()) => {
        (stringify!($name).to_owned() + "()", told($store.$name()))
    };
    ($store:ident.$name:ident($a:expr)) => {
        match $a {
            a => (format!("{}({a:?})", stringify!($name)), told($store.$name(a))),
        }
    };
    ($store:ident.$name:ident($a:expr, $b:expr)) => {
        match ($a, $b) {
            (a, b) => (format!("{}({a:?}, {b:?})", stringify!($name)), told($store.$name(a, b))),
        }
    };
    ($store:ident.$name:ident($a:expr, $b:expr, $c:expr)) => {
        match ($a, $b, $c) {
            (a, b, c) => {
                (format!("{}({a:?}, {b:?}, {c:?})", stringify!($name)), told($store.$name(a, b, c)))
            }
        }
    };
    ($store:ident.$name:ident($a:expr, $b:expr, $c:expr, $d:expr)) => {
        match ($a, $b, $c, $d) {
            (a, b, c, d) => (
                format!("{}({a:?}, {b:?}, {c:?}, {d:?})", stringify!($name)),
                told($store.$name(a, b, c, d)),
            ),
        }
    };
}

/// One caller's way through the operations, the same for every store with the same answers.
#[derive(Debug, Clone)]
struct Walk {
    dice: Dice,
    now: Timestamp,
}

impl Walk {
    fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed), now: NOW }
    }

    fn agent(&mut self) -> &'static str {
        self.dice.pick(&["id-k0", "id-k0", "id-k0", "id-k1", "id-k1", "id-k2", "id-k3"])
    }

    fn key(&mut self) -> &'static str {
        self.dice.pick(&["k0", "k1", "k2", "k3", "k4", "k5"])
    }

    fn grant(&mut self) -> &'static str {
        self.dice.pick(&["g0", "g1", "g2", "g3", "g4"])
    }

    fn provider(&mut self) -> &'static str {
        self.dice.pick(&["lab", "lab", "lab", "shop", "none"])
    }

    fn account(&mut self) -> &'static str {
        self.dice.pick(&["provider:lab", "provider:shop", "owner:id-k0", "service", "cash"])
    }

    fn currency(&mut self) -> &'static str {
        if self.dice.one_in(9) { "CHF" } else { "EUR" }
    }

    fn log(&mut self) -> LogKind {
        self.dice.pick(&[LogKind::Agent, LogKind::Agent, LogKind::Hub])
    }

    /// A time near now, before or after.
    fn time(&mut self) -> Timestamp {
        let hours = i64::try_from(self.dice.below(60)).expect("small") - 20;
        self.now.plus_millis(hours * HOUR_MS)
    }

    /// Does the next thing; what it was and what it came to.
    fn step(&mut self, store: &dyn HubStore) -> (String, String) {
        if self.dice.one_in(8) {
            self.now =
                self.now.plus_millis(i64::try_from(self.dice.below(5)).expect("small") * HOUR_MS);
        }
        let now = self.now;
        match self.dice.below(20) {
            0 | 1 => self.join(store),
            2 => self.agents(store),
            3 => self.providers(store),
            4 => self.operators(store),
            5..=7 => call!(store.put_offer(&self.offer())),
            8 | 9 => call!(store.reserve(self.agent(), self.grant(), now)),
            10..=13 => self.append(store),
            14 => self.post(store),
            15 => self.books(store),
            16 => self.offers(store),
            17 => self.logs(store),
            18 => self.notices(store),
            _ => self.staged(store),
        }
    }

    fn join(&mut self, store: &dyn HubStore) -> (String, String) {
        let name = self.dice.pick(&["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"]);
        if self.dice.one_in(2) {
            let replaces = self.dice.one_in(4).then(|| self.agent().to_owned());
            return call!(store.put_code(&CodeRow {
                replaces,
                expires_at: self.time(),
                ..code(name)
            }));
        }
        let key = self.key();
        let grant_key = if self.dice.one_in(4) { self.key() } else { key };
        let keys = AgentKeys { key, grant_key };
        call!(store.join(&hash(name), &format!("id-{key}"), keys, self.now))
    }

    fn agents(&mut self, store: &dyn HubStore) -> (String, String) {
        let (agent, now) = (self.agent(), self.now);
        match self.dice.below(8) {
            0 => call!(store.agents(Some(agent), 2)),
            1 => call!(store.agents(None, 9)),
            2 => call!(store.seen(agent, now)),
            3 => call!(store.code(&hash(self.dice.pick(&["c0", "c1"])), now)),
            4 => call!(store.change_key(agent, self.key(), self.key(), now)),
            6 => call!(store.agent_keys(agent)),
            5 => {
                let state =
                    self.dice.pick(&[AgentState::Active, AgentState::Lost, AgentState::Left]);
                call!(store.set_agent_state(agent, state, "because", now))
            }
            _ => call!(store.agent(agent)),
        }
    }

    fn providers(&mut self, store: &dyn HubStore) -> (String, String) {
        let name = self.provider();
        let other = self.provider();
        match self.dice.below(9) {
            0..=3 => {
                let row = ProviderRow {
                    key: (!self.dice.one_in(4)).then(|| format!("key-{other}")),
                    secret_hash: (!self.dice.one_in(4)).then(|| hash(other)),
                    credit_limit_minor: self.dice.pick(&[0, 50, 1000, 1000, -1]),
                    service_percent: self.dice.pick(&[0, 20, 33, 50, 100, 101]),
                    currency: self.currency().to_owned(),
                    ..provider(if name == "none" { "lab" } else { name })
                };
                call!(store.put_provider(&row))
            }
            4 => {
                let state = self.dice.pick(&[
                    ProviderState::Active,
                    ProviderState::Active,
                    ProviderState::Paused,
                    ProviderState::Closed,
                ]);
                let change = match self.dice.below(6) {
                    0 => ProviderChange::Notify { url: "u".to_owned(), secret: "s".to_owned() },
                    1 => ProviderChange::Secret(hash(other)),
                    2 => {
                        let url = self.dice.pick(&["", "u"]).to_owned();
                        ProviderChange::Terms(Box::new(TermsChange {
                            currency: self.dice.one_in(2).then(|| self.currency().to_owned()),
                            credit_limit_minor: Some(self.dice.pick(&[0, 50, 1000, -1])),
                            notify: self.dice.one_in(2).then(|| (url, "t".to_owned())),
                            ..TermsChange::default()
                        }))
                    }
                    _ => ProviderChange::State { state, why: "because".to_owned() },
                };
                call!(store.change_provider(name, &change))
            }
            5 => call!(store.provider_by_key(&format!("key-{name}"))),
            6 => call!(store.provider_by_secret(&hash(name))),
            7 => call!(store.providers()),
            _ => call!(store.provider(name)),
        }
    }

    fn operators(&mut self, store: &dyn HubStore) -> (String, String) {
        let name = self.dice.pick(&["ada", "bob"]);
        let token = hash(self.dice.pick(&["t0", "t1", "t2"]));
        let now = self.now;
        match self.dice.below(9) {
            0 => {
                let row = OperatorRow {
                    name: name.to_owned(),
                    password_hash: "$argon2id$".to_owned(),
                    role: self.dice.pick(&[Role::Viewer, Role::Operator, Role::Admin]),
                    is_active: !self.dice.one_in(3),
                };
                call!(store.put_operator(&row))
            }
            1 => {
                let operator = name.to_owned();
                let row = SessionRow { token_hash: token, operator, expires_at: self.time() };
                call!(store.put_session(&row, now))
            }
            2 => call!(store.end_session(&token)),
            3 => call!(store.operator(name)),
            4 => call!(store.operators()),
            5 => {
                let row = ActionRow {
                    at: now,
                    operator: name.to_owned(),
                    action: "look".to_owned(),
                    subject: "lab".to_owned(),
                    detail: self.dice.below(1000).to_string(),
                };
                call!(store.note_action(&row))
            }
            6 => call!(store.actions(3)),
            _ => call!(store.session(&token, now)),
        }
    }

    fn offer(&mut self) -> OfferRow {
        OfferRow {
            order_key: format!("order-{}", self.dice.below(3)),
            provider: self.provider().to_owned(),
            fee_minor: self.dice.pick(&[0, 1, 25, 25, 33, 99, 1000, -1, MINOR_MAX, i64::MAX]),
            currency: self.currency().to_owned(),
            expires_at: self.time(),
            ..offer(self.agent(), self.grant())
        }
    }

    fn offers(&mut self, store: &dyn HubStore) -> (String, String) {
        let (agent, grant, now) = (self.agent(), self.grant(), self.now);
        match self.dice.below(8) {
            0 => {
                let which = self.dice.pick(&["g0", "g1", "order-1", "shop"]);
                call!(store.withdraw(agent, Some(which), now))
            }
            1 if self.dice.one_in(3) => call!(store.withdraw(agent, None, now)),
            2 | 3 => call!(store.release(agent, grant)),
            4 => call!(store.offers_of(self.provider(), None, 3, now)),
            5 => call!(store.offers_of(self.provider(), Some((agent, grant)), 3, now)),
            6 => call!(store.reserved(self.provider())),
            _ => call!(store.offer(agent, grant)),
        }
    }

    fn report(&mut self, agent: &str, from: u64, count: u64) -> AccessReport {
        let beyond = u64::from(self.dice.one_in(20));
        let leaf = self.dice.below(count + beyond);
        AccessReport {
            at: self.time(),
            told_at: self.time(),
            ..report(
                if self.dice.one_in(40) { self.agent() } else { agent },
                from + leaf,
                self.grant(),
                u32::try_from(self.dice.pick(&[0, 0, 0, 0, 1, 1, 2])).expect("small"),
            )
        }
    }

    fn append(&mut self, store: &dyn HubStore) -> (String, String) {
        let agent = self.agent();
        let log = if self.dice.one_in(6) { LogKind::Hub } else { LogKind::Agent };
        let size = store.log_size(agent, log).expect("read");
        let from = if self.dice.one_in(20) { size + 1 } else { size };
        let count = 1 + self.dice.below(3);
        let texts: Vec<Vec<u8>> =
            (0..count).map(|place| format!("{agent} {place} {from}").into_bytes()).collect();
        let nodes: Vec<(u64, ContentHash)> =
            (0..count).map(|place| (2 * (from + place), hash(self.key()))).collect();
        let tells = log == LogKind::Agent || self.dice.one_in(9);
        let some = |walk: &mut Self, upto: u64| -> Vec<AccessReport> {
            let told = if tells { walk.dice.below(upto) } else { 0 };
            (0..told).map(|_| walk.report(agent, from, count)).collect()
        };
        let (accesses, reversals) = (some(self, 3), some(self, 2));
        let head = CheckpointRow {
            size: from + count + u64::from(self.dice.one_in(20)),
            root: hash(self.dice.pick(&["r0", "r1"])),
            note: self.key().to_owned(),
        };
        if self.dice.one_in(9) {
            // Nothing but a head, for what is there.
            let head = CheckpointRow { size: from, ..head };
            let signed = Append { log, checkpoint: Some(&head), ..leaves(agent, from, &[]) };
            return call!(store.append(&signed));
        }
        let checkpoint = self.dice.one_in(2).then_some(&head);
        let append = Append {
            agent_id: agent,
            log,
            from,
            leaves: &texts,
            nodes: &nodes,
            checkpoint,
            accesses: &accesses,
            reversals: &reversals,
        };
        call!(store.append(&append))
    }

    fn logs(&mut self, store: &dyn HubStore) -> (String, String) {
        let (agent, log) = (self.agent(), self.log());
        match self.dice.below(4) {
            0 => call!(store.leaves(agent, log, self.dice.below(4), self.dice.below(9))),
            1 => call!(store.nodes(agent, log, &[self.dice.below(9), 2, self.dice.below(9)])),
            2 => call!(store.checkpoint(agent, log)),
            _ => call!(store.log_size(agent, log)),
        }
    }

    fn post(&mut self, store: &dyn HubStore) -> (String, String) {
        let id = format!("t{}", self.dice.below(30));
        let minor = self.dice.pick(&[1, 100, 100, 5000, MINOR_MAX, MINOR_MAX + 1]);
        let mut posting = Posting {
            at: self.time(),
            posted_at: self.time(),
            currency: self.currency().to_owned(),
            ..top_up(&id, self.provider(), minor)
        };
        match self.dice.below(12) {
            0 => posting.entries.clear(),
            1 => posting.entries[0].minor += 1,
            2 => posting.entries[0].account = self.account().to_owned(),
            3 => posting.entries[0].account = "bank".to_owned(),
            4 => posting.kind = PostingKind::Access,
            5 => posting.kind = PostingKind::PayOut,
            _ => {}
        }
        call!(store.post(&posting))
    }

    fn books(&mut self, store: &dyn HubStore) -> (String, String) {
        let (from, to) = (self.time(), self.time());
        match self.dice.below(8) {
            0 => call!(store.balance(self.account(), self.currency())),
            1 => call!(store.balances()),
            2 => call!(store.lines(self.account(), from, to)),
            3 => call!(store.postings(from, to)),
            4 => call!(store.accesses_count(self.provider(), from)),
            5 => call!(store.accesses_by_hour(self.provider(), from)),
            6 => call!(store.last_top_up(self.provider())),
            _ => call!(store.audit()),
        }
    }

    fn notices(&mut self, store: &dyn HubStore) -> (String, String) {
        let now = self.now;
        match self.dice.below(8) {
            0 | 1 => call!(store.wish(self.agent(), self.provider(), self.grant(), now)),
            2 => call!(store.back(self.agent(), now)),
            3 => {
                let row = NoticeRow {
                    notice_id: format!("n{}", self.dice.below(5)),
                    provider: self.provider().to_owned(),
                    kind: "k".to_owned(),
                    data: "{}".to_owned(),
                    attempts_count: 0,
                    made_at: if self.dice.one_in(9) { later(10_000) } else { now },
                    due_at: self.time(),
                    settled_at: None,
                };
                call!(store.put_notice(&row))
            }
            4 => call!(store.notices_of(self.provider(), 3)),
            5 => {
                let again = self.dice.one_in(2).then(|| self.time());
                call!(store.settle_notice(&format!("n{}", self.dice.below(5)), again, now))
            }
            _ => call!(store.due_notices(now, 2)),
        }
    }

    fn proof(&mut self) -> String {
        format!("proof {}", self.dice.below(4))
    }

    fn staged(&mut self, store: &dyn HubStore) -> (String, String) {
        let (agent, grant, now) = (self.agent(), self.grant(), self.now);
        match self.dice.below(14) {
            0..=2 => {
                let row = StagedRow {
                    agent_id: agent.to_owned(),
                    grant_id: grant.to_owned(),
                    bytes_count: 9,
                    digest: hash(self.key()),
                    at: now,
                };
                call!(store.put_staged(&row))
            }
            3..=5 => {
                let is_receipt = self.dice.one_in(3);
                let what = match is_receipt {
                    true => Taking::Receipt { sha256: hash("photo") },
                    false => Taking::Bytes { start: self.dice.below(3), end: 5 },
                };
                let row = TakingRow {
                    agent_id: agent.to_owned(),
                    grant_id: grant.to_owned(),
                    proof: self.proof(),
                    what,
                    at: now,
                    is_open: !is_receipt,
                };
                call!(store.open_taking(&row))
            }
            6 | 7 => {
                let end = self.dice.below(8);
                call!(store.close_taking(agent, &hash(&self.proof()), end))
            }
            8 => call!(store.settle_takings()),
            9 => call!(store.takings(agent, 3)),
            10 => call!(store.forget_takings(agent, &[hash(&self.proof())])),
            11 => call!(store.drop_staged(agent, grant)),
            12 if self.dice.one_in(2) => call!(store.staged_bytes(agent)),
            12 => call!(store.staged_digests(now)),
            _ => call!(store.staged(agent, grant)),
        }
    }
}

/// What an operation is called, and what its answer begins with.
fn word(text: &str) -> &str {
    if text.starts_with("()") {
        return "()";
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    text.split_at(end.unwrap_or(text.len())).0
}

/// Answers that a walk of any length has to come by; one that does not compares nothing there.
const HEARD: [&str; 29] = [
    "join New",
    "join Again",
    "join NoCode",
    "join KeyTaken",
    "change_key true",
    "change_key false",
    "put_provider ()",
    "put_provider refused",
    "change_provider true",
    "change_provider refused",
    "put_offer true",
    "put_offer false",
    "put_offer refused",
    "reserve Reserved",
    "reserve Already",
    "reserve NoCredit",
    "reserve NoOffer",
    "reserve Closed",
    "append Some",
    "append None",
    "append refused",
    "post true",
    "post false",
    "post refused",
    "session Some",
    "put_staged true",
    "open_taking true",
    "open_taking false",
    "back 1",
];

#[test]
fn stores_give_the_same_answers_to_random_sequences() {
    let steps = environment("SIGNET_STORE_STEPS").and_then(|text| text.parse().ok());
    let walks_count = steps.unwrap_or(STEPS_COUNT).div_ceil(STEPS_PER_WALK);
    let mut heard = BTreeSet::new();
    for seed in 0..walks_count {
        let mut stores: Vec<_> =
            stores().into_iter().map(|(name, store)| (name, store, Walk::new(seed))).collect();
        let mut before = Vec::new();
        for _ in 0..STEPS_PER_WALK {
            let mut answers =
                stores.iter_mut().map(|(name, store, walk)| (*name, walk.step(&**store)));
            let (first, expected) = answers.next().expect("a store");
            for (name, answer) in answers {
                assert_eq!(
                    answer, expected,
                    "{name} and {first} differ in walk {seed} after {before:#?}"
                );
            }
            let (call, answer) = expected;
            heard.insert(format!("{} {}", word(&call), word(&answer)));
            before.push(format!("{call} = {answer}"));
        }
        for (name, store, _) in &stores {
            assert_eq!(store.audit().expect("looked"), [""; 0], "{name} after walk {seed}");
        }
    }
    let missing: Vec<_> = HEARD.iter().filter(|answer| !heard.contains(**answer)).collect();
    assert!(missing.is_empty(), "never heard: {missing:?}, but {heard:#?}");
}
