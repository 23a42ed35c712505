//! What it costs a hub to post accesses, each with its leaf, its reservation and three entries, in
//! commits that survive a power cut: wall time, because the disk is most of it.

#![expect(clippy::expect_used, reason = "a bench stops at the first wrong answer")]
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

#[expect(dead_code, reason = "times here are taken by the clock on the wall")]
mod common;

use std::thread;
use std::time::Instant;

use common::smoke;
use signet::base::clock::Timestamp;
use signet::base::ids::ContentHash;
use signet::base::member::Member;
use signet::store::Purpose;
use signet::store::hub::{
    AccessReport, AgentKeys, Append, CheckpointRow, CodeRow, HubStore, Joined, LogKind, OfferRow,
    Posted, ProviderRow, ProviderState, Reserved, SqliteHub,
};

const NOW: Timestamp = Timestamp(1_790_000_000_000);

fn hash(text: &str) -> ContentHash {
    ContentHash::of(text.as_bytes())
}

fn provider() -> ProviderRow {
    ProviderRow {
        name: "lab".to_owned(),
        key: None,
        secret_hash: None,
        purposes: vec![Purpose::Print],
        currency: "EUR".to_owned(),
        credit_limit_minor: 1_000_000_000,
        service_percent: 20,
        requests_per_minute: 600,
        accesses_per_day: 1_000_000,
        notify_url: String::new(),
        notify_secret: String::new(),
        state: ProviderState::Active,
        why: String::new(),
        prices: Vec::new(),
    }
}

fn join(hub: &SqliteHub, agent_id: &str) {
    let code = CodeRow {
        code_hash: hash(agent_id),
        verifier: hash("verifier"),
        label: "a computer".to_owned(),
        replaces: None,
        made_at: NOW,
        expires_at: NOW.plus_millis(1),
    };
    hub.put_code(&code).expect("kept");
    let joined =
        hub.join(&code.code_hash, agent_id, AgentKeys::one(&format!("key of {agent_id}")), NOW);
    assert!(matches!(joined.expect("asked"), Joined::New(_)));
}

fn offer(agent_id: &str, number: u64) -> OfferRow {
    OfferRow {
        agent_id: agent_id.to_owned(),
        grant_id: format!("{number:026}"),
        order_key: format!("{number:026}"),
        provider: "lab".to_owned(),
        member: Member::Original,
        purpose: Purpose::Print,
        digest: hash("photo"),
        bytes_count: 3_600_000,
        fee_minor: 25,
        currency: "EUR".to_owned(),
        expires_at: NOW.plus_millis(3_600_000),
        withdrawn_at: None,
    }
}

/// The leaf of one access goes into the log, a node and the signed head with it, and is posted.
fn post(hub: &SqliteHub, agent_id: &str, number: u64) {
    let checkpoint = CheckpointRow {
        size: number + 1,
        root: hash(&number.to_string()),
        note: "signet.example/log\n1\nabcdefghijklmnopqrstuvwxyz0123456789ABCDEFG=\n".repeat(2),
    };
    let report = AccessReport {
        agent_id: agent_id.to_owned(),
        leaf_index: number,
        grant_id: format!("{number:026}"),
        turn: 0,
        at: NOW,
        told_at: NOW,
    };
    let posted = hub.append(&Append {
        agent_id,
        log: LogKind::Agent,
        from: number,
        leaves: &[vec![b'x'; 300]],
        nodes: &[(number * 2, hash("leaf")), (number * 2 + 1, hash("above"))],
        checkpoint: Some(&checkpoint),
        accesses: &[report],
        reversals: &[],
    });
    let posted = posted.expect("appended").expect("at the end");
    assert!(matches!(posted.as_slice(), [Posted::New(_)]), "{posted:?}");
}

/// Runs `work` for each of an agent's accesses, one thread for each agent; seconds that it took.
fn each(agents: &[String], count: u64, work: impl Fn(&str, u64) + Sync) -> f64 {
    let began = Instant::now();
    thread::scope(|scope| {
        for agent_id in agents {
            let work = &work;
            scope.spawn(move || (0..count).for_each(|number| work(agent_id, number)));
        }
    });
    began.elapsed().as_secs_f64()
}

fn main() {
    for callers_count in [1_u64, 8, 64] {
        let folder = tempfile::tempdir().expect("a folder");
        let hub = SqliteHub::open(&folder.path().join("hub.sqlite")).expect("opens");
        hub.put_provider(&provider()).expect("kept");
        let agents: Vec<String> = (0..callers_count).map(|n| format!("{n:043}")).collect();
        let count = if smoke() { 2 } else { 16_000 / callers_count.max(16) };
        for agent_id in &agents {
            join(&hub, agent_id);
        }
        let told = |name: &str, seconds: f64| {
            let total = count * callers_count;
            let id = format!("hub-store/{name}/{callers_count}-callers/full-durability-wall");
            println!("{id:<64} {:>9.0} /s  ({total} in all)", total as f64 / seconds);
        };
        let seconds = each(&agents, count, |agent_id, number| {
            assert!(hub.put_offer(&offer(agent_id, number)).expect("kept"));
        });
        told("offer", seconds);
        let seconds = each(&agents, count, |agent_id, number| {
            let reserved = hub.reserve(agent_id, &format!("{number:026}"), NOW).expect("asked");
            assert_eq!(reserved, Reserved::Reserved);
            post(&hub, agent_id, number);
        });
        told("reserve-then-post", seconds);
        for agent_id in &agents {
            join(&hub, &format!("{agent_id}b"));
        }
        let others: Vec<String> = agents.iter().map(|agent_id| format!("{agent_id}b")).collect();
        each(&others, count, |agent_id, number| {
            assert!(hub.put_offer(&offer(agent_id, number)).expect("kept"));
        });
        told(
            "post-three-entries",
            each(&others, count, |agent_id, number| {
                post(&hub, agent_id, number);
            }),
        );
        let sum: i64 = hub.balances().expect("read").iter().map(|(_, _, minor)| minor).sum();
        assert_eq!(sum, 0);
        let expected = i64::try_from(2 * 25 * count * callers_count).expect("small");
        assert_eq!(hub.balance("provider:lab", "EUR").expect("read"), expected);
    }
}
