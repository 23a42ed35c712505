//! What each operation promises, asked of every store. A store joins with one line in [`stores`].

mod money;
mod people;
mod posters;
mod sequences;
mod waiting;

use super::books::{owner_account, provider_account};
use super::{
    AccessReport, AgentKeys, AgentState, Append, CheckpointRow, CodeRow, HubStore, Joined, LogKind,
    MINOR_MAX, ModelHub, OfferRow, Posted, Posting, PostingKind, Price, ProviderRow, ProviderState,
    Reserved, SqliteHub,
};
use crate::base::clock::Timestamp;
use crate::base::ids::ContentHash;
use crate::base::member::Member;
use crate::store::{Entry, Purpose};

pub(super) const NOW: Timestamp = Timestamp(1_790_000_000_000);
const HOUR_MS: i64 = 3_600_000;

/// Every store there is, each new and empty, with its name.
pub(super) fn stores() -> Vec<(&'static str, Box<dyn HubStore>)> {
    vec![
        ("model", Box::new(ModelHub::default())),
        ("sqlite", Box::new(SqliteHub::in_memory().expect("opens"))),
    ]
}

/// Asks something of every store.
fn every(ask: impl Fn(&dyn HubStore)) {
    for (name, store) in stores() {
        // Told by the test's output when what follows fails.
        println!("store: {name}");
        ask(&*store);
        assert_eq!(store.audit().expect("looked"), [""; 0]);
    }
}

pub(super) fn later(hours: i64) -> Timestamp {
    NOW.plus_millis(hours * HOUR_MS)
}

pub(super) fn hash(text: &str) -> ContentHash {
    ContentHash::of(text.as_bytes())
}

pub(super) fn code(text: &str) -> CodeRow {
    CodeRow {
        code_hash: hash(text),
        verifier: hash(&format!("verifier of {text}")),
        label: format!("computer of {text}"),
        replaces: None,
        made_at: NOW,
        expires_at: later(1),
    }
}

/// Lets an agent in whose id is its name and whose key is `key-NAME`.
pub(super) fn join(store: &dyn HubStore, name: &str) {
    store.put_code(&code(name)).expect("kept");
    let joined =
        store.join(&hash(name), name, AgentKeys::one(&format!("key-{name}")), NOW).expect("asked");
    assert!(matches!(joined, Joined::New(_)), "{joined:?}");
}

pub(super) fn provider(name: &str) -> ProviderRow {
    ProviderRow {
        name: name.to_owned(),
        key: Some(format!("key-{name}")),
        secret_hash: Some(hash(name)),
        purposes: vec![Purpose::Print],
        currency: "EUR".to_owned(),
        credit_limit_minor: 0,
        service_percent: 20,
        requests_per_minute: 600,
        accesses_per_day: 1000,
        notify_url: format!("https://{name}.example/told"),
        notify_secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned(),
        state: ProviderState::Active,
        why: String::new(),
        prices: vec![Price {
            member: Some(Member::Original),
            purpose: None,
            megapixels_max: Some(12),
            fee_minor: 25,
        }],
    }
}

pub(super) fn offer(agent: &str, grant: &str) -> OfferRow {
    OfferRow {
        agent_id: agent.to_owned(),
        grant_id: grant.to_owned(),
        order_key: format!("order-{grant}"),
        provider: "lab".to_owned(),
        member: Member::Original,
        purpose: Purpose::Print,
        digest: hash(grant),
        bytes_count: 3_000_000,
        fee_minor: 25,
        currency: "EUR".to_owned(),
        expires_at: later(10),
        withdrawn_at: None,
    }
}

pub(super) fn top_up(id: &str, provider: &str, minor: i64) -> Posting {
    Posting {
        posting_id: id.to_owned(),
        kind: PostingKind::TopUp,
        access: None,
        currency: "EUR".to_owned(),
        at: NOW,
        posted_at: NOW,
        note: "paid in".to_owned(),
        entries: vec![
            Entry { account: "cash".to_owned(), minor },
            Entry { account: provider_account(provider), minor: -minor },
        ],
    }
}

/// Agents `a` and `b`, providers `lab` and `shop`, grants `g` and `h` of `a` and `g` of `b` for the
/// lab, 100 cents on its account.
fn world(store: &dyn HubStore) {
    for agent in ["a", "b"] {
        join(store, agent);
    }
    for name in ["lab", "shop"] {
        store.put_provider(&provider(name)).expect("kept");
    }
    for (agent, grant) in [("a", "g"), ("a", "h"), ("b", "g")] {
        assert!(store.put_offer(&offer(agent, grant)).expect("kept"));
    }
    assert!(store.post(&top_up("t", "lab", 100)).expect("posted"));
}

pub(super) fn report(agent: &str, leaf_index: u64, grant: &str, turn: u32) -> AccessReport {
    AccessReport {
        agent_id: agent.to_owned(),
        leaf_index,
        grant_id: grant.to_owned(),
        turn,
        at: NOW,
        told_at: NOW,
    }
}

/// Appends one leaf to an agent's own log, telling of accesses and reversals.
pub(super) fn tell(
    store: &dyn HubStore,
    agent: &str,
    accesses: &[(&str, u32)],
    reversals: &[(&str, u32)],
) -> Vec<Posted> {
    let from = store.log_size(agent, LogKind::Agent).expect("read");
    let reports = |told: &[(&str, u32)]| -> Vec<AccessReport> {
        told.iter().map(|(grant, turn)| report(agent, from, grant, *turn)).collect()
    };
    let posted = store.append(&Append {
        accesses: &reports(accesses),
        reversals: &reports(reversals),
        ..leaves(agent, from, &[format!("leaf {from}").into_bytes()])
    });
    posted.expect("appended").expect("at the end")
}

fn leaves<'a>(agent_id: &'a str, from: u64, leaves: &'a [Vec<u8>]) -> Append<'a> {
    Append {
        agent_id,
        log: LogKind::Agent,
        from,
        leaves,
        nodes: &[],
        checkpoint: None,
        accesses: &[],
        reversals: &[],
    }
}
