//! Logs as an owner checks them, and ten thousand ways to change them behind the owner's back.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, params};
use signet::access::{Key, Membership};
use signet::base::clock::Timestamp;
use signet::base::ids::ContentHash;
use signet::base::member::Member;
use signet::ledger::access_entries;
use signet::ledger::checkpoint::{hub_origin, sign};
use signet::ledger::own_log::{Signer, signed_head};
use signet::ledger::proven::{Findings, movements, prove};
use signet::ledger::tree::Tree;
use signet::store::hub::{
    AgentKeys, CodeRow, HubStore, LogKind, Posting, PostingKind, Price, ProviderRow, ProviderState,
    SqliteHub,
};
use signet::store::leaf::{AccessLeaf, AgentLeaf, BookedLeaf, HubLeaf, read, write};
use signet::store::log::{Growth, HeadRow, OWN, Progress};
use signet::store::{Entry, GrantRow, Order, OrderState, Purpose, State, Way};

use crate::common::{Home, wait_for};
use crate::world::{World, free_port, sample};

const NOW: Timestamp = Timestamp(1_790_000_000_000);

/// Changes that are tried on a copy of two logs.
const CHANGES_COUNT: u64 = 10_000;

#[test]
fn report_is_proven_while_the_agent_runs_and_after_and_a_changed_log_is_not() {
    let world = World::new();
    let _lab = world.start_lab();
    let mut agent = world.start_agent();
    world.drop_photo("a.jpg", &sample("meadow"));
    world.wait_orders(1, "done");
    let verify = |json: bool| {
        let args = ["--json", "report", "--verify"];
        world.owner.run(&args[usize::from(!json)..])
    };
    let shown = verify(false).done().stdout;
    assert!(shown.contains("1 of 1 accesses proven"), "{shown}");
    let lines = verify(true).done().json();
    let proof = lines.iter().find(|line| line["kind"] == "proof").expect("a proof");
    assert_eq!(proof["proven"], true, "{proof}");
    let log = lines.iter().find(|line| line["kind"] == "log").expect("a log");
    assert!(log["leaves"].as_u64() >= Some(2), "a grant and its access: {log}");
    agent.kill();
    verify(false).done();

    let database = tampered(&world.owner.path().join("state.sqlite"));
    let changed = database
        .execute("UPDATE log_leaves SET leaf = replace(leaf, '\"turn\":0', '\"turn\":1')", [])
        .expect("changed");
    assert!(changed > 0);
    drop(database);
    let run = verify(true);
    assert_eq!(run.code, 1, "{run:?}");
    let faults: Vec<_> = run.json().into_iter().filter(|line| line["proven"] == false).collect();
    assert_eq!(faults.len(), 1, "{}", run.stdout);
    assert!(verify(false).stdout.contains("NOT PROVEN"));
    // The agent goes on serving; what it refuses is to sign on top of a changed log.
    world.start_agent();
    wait_for("the same verdict", || (verify(true).code == 1).then_some(()));
}

#[test]
fn delivery_through_a_hub_is_proven_by_both_logs_and_a_hub_that_forgets_is_caught() {
    let (world, hub_home) = (World::new(), Home::new());
    let listen = format!("127.0.0.1:{}", free_port());
    let init = ["--json", "hub", "init", "--name", "Hub", "--listen", &listen];
    let made = hub_home.run(&init).done().json().remove(0);
    // Plain HTTP on this computer, so that the lab needs no certificate.
    change_file(&hub_home.path().join("hub.toml"), "[tls]", "[tls]\noff = true");
    let more = format!("allow = [\"{listen}\", ");
    for config in [world.owner.path().join("signet.toml"), world.lab.path().join("lab.toml")] {
        change_file(&config, "allow = [", &more);
    }
    let agent_id = take_in(&world, &hub_home, &listen, made["key"].as_str().expect("a key"));

    let mut hub = hub_home.start(&["--json", "hub"]);
    hub.line_with("listening");
    let _lab = world.start_lab();
    let mut agent = world.start_agent();
    agent.line_with("hub-connected");
    world.drop_photo("a.jpg", &sample("meadow"));
    world.wait_orders(1, "done");
    let verify = || world.owner.run(&["report", "--verify"]);
    // The hub's books follow within a second or so.
    let shown = wait_for("the word of the hub", || {
        let run = verify();
        (run.code == 0).then_some(run.stdout)
    });
    assert!(shown.contains("1 of 1 accesses proven"), "{shown}");
    assert!(shown.contains("the log of hub"), "{shown}");
    let store = SqliteHub::open(&hub_home.path().join("hub.sqlite")).expect("opens");
    assert_eq!(store.balance("provider:lab", "EUR").expect("read"), 25 - 1000);
    let leaves = store.leaves(&agent_id, LogKind::Hub, 0, u64::MAX).expect("read");
    let leaves: Vec<HubLeaf> = leaves.iter().filter_map(|leaf| read(leaf)).collect();
    let relayed = |leaf: &HubLeaf| matches!(leaf, HubLeaf::Relayed { is_whole: true, .. });
    assert!(leaves.iter().any(relayed), "{leaves:?}");
    assert!(leaves.iter().any(|leaf| matches!(leaf, HubLeaf::Posted(_))), "{leaves:?}");
    drop(store);

    hub.kill();
    agent.line_with("hub-away");
    forget_log(&hub_home.path().join("hub.sqlite"));
    let mut hub = hub_home.start(&["--json", "hub"]);
    hub.line_with("listening");
    let lied = agent.line_with("hub-lied");
    assert!(lied.contains("hides some"), "{lied}");
    assert!(!world.report("hub-lie").is_empty());
    let run = verify();
    assert_eq!(run.code, 1, "{run:?}");
    // What was proven stays proven: the owner has the hub's signed words.
    assert!(run.stdout.contains("1 of 1 accesses proven"), "{}", run.stdout);
}

fn change_file(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).expect("a file");
    assert!(text.contains(from), "{text}");
    std::fs::write(path, text.replace(from, to)).expect("written");
}

/// Takes the owner's computer and the lab in at the hub, as if they had joined.
fn take_in(world: &World, hub_home: &Home, listen: &str, hub_key: &str) -> String {
    let owner = world.owner.path();
    let key = Key::load_or_create(&owner.join("keys/agent.key")).expect("its key").public();
    let lab = Key::load_or_create(&world.lab.path().join("keys/lab.key")).expect("a key").public();
    let (agent_id, now) = (key.thumbprint(), Timestamp::now());
    let store = SqliteHub::open(&hub_home.path().join("hub.sqlite")).expect("opens");
    let code = CodeRow {
        code_hash: ContentHash::of(b"code"),
        verifier: ContentHash::of(b"verifier"),
        label: "Ada".into(),
        replaces: None,
        made_at: now,
        expires_at: now.plus_millis(60_000),
    };
    store.put_code(&code).expect("kept");
    store.join(&code.code_hash, &agent_id, AgentKeys::one(&key.to_string()), now).expect("joined");
    let price = Price { member: None, purpose: None, megapixels_max: None, fee_minor: 25 };
    let provider = ProviderRow {
        name: "lab".into(),
        key: Some(lab.to_string()),
        secret_hash: None,
        purposes: vec![Purpose::Print, Purpose::Share],
        currency: "EUR".into(),
        credit_limit_minor: 0,
        service_percent: 20,
        requests_per_minute: 600,
        accesses_per_day: 1000,
        notify_url: String::new(),
        notify_secret: String::new(),
        state: ProviderState::Active,
        why: String::new(),
        prices: vec![price],
    };
    store.put_provider(&provider).expect("kept");
    let entry = |account: &str, minor| Entry { account: account.into(), minor };
    let top_up = Posting {
        posting_id: "top-up".into(),
        kind: PostingKind::TopUp,
        access: None,
        currency: "EUR".into(),
        at: now,
        posted_at: now,
        note: "paid in".into(),
        entries: vec![entry("cash", 1000), entry("provider:lab", -1000)],
    };
    assert!(store.post(&top_up).expect("posted"));
    let membership = Membership {
        base_url: format!("http://{listen}/o/{agent_id}"),
        url: format!("http://{listen}"),
        hub_key: hub_key.to_owned(),
        certificate: None,
        agent_id: agent_id.clone(),
        joined_at: now,
    };
    membership.save(&signet::base::home::Home::at(owner)).expect("hub.json");
    agent_id
}

/// Takes all of the hub's own log away, as somebody might who has the hub's disk.
fn forget_log(path: &Path) {
    let database =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).expect("opens");
    let mut triggers =
        database.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").expect("SQL");
    let names: Vec<String> = triggers
        .query_map([], |row| row.get(0))
        .expect("read")
        .collect::<Result<_, _>>()
        .expect("names");
    for name in names {
        database.execute_batch(&format!("DROP TRIGGER {name}")).expect("dropped");
    }
    for table in ["leaves", "nodes", "checkpoints"] {
        let sql = format!("DELETE FROM {table} WHERE log = 'hub'");
        assert!(database.execute(&sql, []).expect("deleted") > 0);
    }
}

/// The database of somebody who may write the file and took the triggers away.
fn tampered(path: &Path) -> Connection {
    let database =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).expect("opens");
    database
        .execute_batch(
            "PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF;
             DROP TRIGGER log_leaves_follow; DROP TRIGGER log_leaves_never_change;
             DROP TRIGGER log_leaves_never_go;",
        )
        .expect("triggers are there");
    database
}

/// Two logs, the agent's and its hub's, with heads at several lengths.
struct Kept {
    _folder: tempfile::TempDir,
    path: PathBuf,
    state: State,
    key: Key,
    hub_log: String,
}

impl Kept {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.sqlite");
        let state = State::open(&path).expect("opens");
        let (key, hub_key) = (Key::generate().expect("key"), Key::generate().expect("key"));
        let hub_log = format!("{} 5", hub_key.public());
        let kept = Self { _folder: folder, path, state, key, hub_log };
        for number in 0..4 {
            kept.deliver(number);
            if number % 2 == 1 {
                let size = kept.state.log_size(OWN).expect("read");
                kept.head(size);
                kept.confirm(&hub_key, size);
            }
        }
        let findings = kept.findings();
        assert_eq!(findings.faults, [""; 0]);
        assert!(findings.proofs.iter().all(|proof| proof.faults.is_empty()), "{findings:?}");
        kept
    }

    fn deliver(&self, number: i64) {
        let at = NOW.plus_millis(number);
        let order = Order {
            provider: "lab".into(),
            currency: "EUR".into(),
            state: OrderState::Accepted,
            ..Order::new(format!("order-{number}"), ContentHash::of(b"photo"), at)
        };
        let grant = GrantRow {
            grant_id: format!("grant-{number}"),
            order_key: order.order_key.clone(),
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
            issued_at: at,
            expires_at: at.plus_millis(1000),
            revoked_at: None,
            revoked_why: None,
        };
        self.state.put_orders(vec![order.clone()]).expect("kept");
        self.state
            .put_grants(&order, std::slice::from_ref(&grant), &[], at)
            .expect("kept")
            .expect("as read");
        let entries = access_entries("lab", "hub", 25, 20);
        let way = Way::Hub("photo-lab".into());
        assert!(self.state.post_access(&grant, &entries, &way, at).expect("posted"));
        if number == 2 {
            // Other bytes than were granted: posted back, and delivered anew.
            self.state.reverse_access(&grant, "other bytes", at).expect("posted back");
            assert!(self.state.post_access(&grant, &entries, &way, at).expect("posted anew"));
        }
    }

    fn signer(&self) -> Signer<'_> {
        Signer { agent_id: "agent", key: &self.key }
    }

    fn head(&self, size: u64) -> HeadRow {
        signed_head(&self.state, self.signer(), size, NOW).expect("signed")
    }

    /// What the hub's log says of the agent's, from where it was to `size`.
    fn confirm(&self, hub_key: &Key, size: u64) {
        let state = &self.state;
        let known = state.log_head(&self.hub_log).expect("read").map_or(0, |row| row.head.size);
        let answered = state.progress(&self.hub_log).expect("read").told_size;
        let mut leaves = Vec::new();
        for (index, leaf) in (answered..).zip(state.log_leaves(OWN, answered, size).expect("read"))
        {
            let booked = |access: AccessLeaf| BookedLeaf {
                index,
                grant: access.grant,
                turn: access.turn,
                provider: "photo-lab".into(),
                fee_minor: 25,
                currency: "EUR".into(),
                at: access.at,
            };
            leaves.extend(match read(leaf.as_bytes()) {
                Some(AgentLeaf::Access(access)) => Some(HubLeaf::Posted(booked(access))),
                Some(AgentLeaf::Reversal { of, .. }) => Some(HubLeaf::Reversed(booked(of))),
                _ => None,
            });
        }
        let root = self.head(size).head.root;
        leaves.push(HubLeaf::Taken { size, root, at: NOW });
        let read = |numbers: &[u64]| state.log_nodes(&self.hub_log, numbers);
        let (mut tree, mut nodes) = (Tree::of(known, read).expect("nodes"), Vec::new());
        let mut texts = Vec::new();
        for leaf in &leaves {
            let text = write(leaf).expect("JSON");
            tree.append(text.as_bytes(), &mut nodes);
            texts.push((text, leaf.grant().to_owned()));
        }
        let origin = hub_origin(&hub_key.public(), "agent");
        let head = HeadRow {
            head: sign(&origin, tree.head(), hub_key),
            signer: hub_key.public().to_string(),
            at: NOW,
        };
        let growth = Growth { log: &self.hub_log, leaves: &texts, nodes: &nodes, head: &head };
        assert!(state.grow_log(&growth).expect("written"));
        let progress = Progress { told_size: size, checked_size: size };
        state.note_progress(&self.hub_log, progress).expect("noted");
    }

    fn findings(&self) -> Findings {
        let rows = self.state.report_rows(Timestamp(0), Timestamp(i64::MAX)).expect("read");
        let movements = movements(&rows.accesses, &rows.corrections);
        prove(&self.state, &movements, self.signer(), NOW).expect("readable")
    }
}

/// SplitMix64: the same changes in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let limit = u64::try_from(limit.max(1)).expect("small");
        usize::try_from((z ^ (z >> 31)) % limit).expect("small")
    }
}

/// A table of one log, as rows of a place and bytes.
struct Table<'a> {
    database: &'a Connection,
    log: &'a str,
    name: &'static str,
    place: &'static str,
    column: &'static str,
}

type Rows = Vec<(i64, Vec<u8>)>;

impl Table<'_> {
    fn rows(&self) -> Rows {
        let Self { name, place, column, .. } = self;
        let sql = format!(
            "SELECT {place}, CAST({column} AS BLOB) FROM {name} WHERE log = ?1 ORDER BY {place}"
        );
        let mut statement = self.database.prepare_cached(&sql).expect("SQL");
        let rows =
            statement.query_map([self.log], |row| Ok((row.get(0)?, row.get(1)?))).expect("read");
        rows.collect::<Result<_, _>>().expect("rows")
    }

    /// Puts rows in the place of those that are there; what else a row says stays with its place, or
    /// is that of the first row.
    fn replace(&self, rows: &Rows) {
        let Self { name, place, column, .. } = self;
        let kept = format!("kept_{name}");
        let value = if *column == "leaf" || *column == "note" { "CAST(?3 AS TEXT)" } else { "?3" };
        let delete = format!("DELETE FROM {name} WHERE log = ?1");
        let insert = match *name {
            "log_leaves" => format!("INSERT INTO {name} VALUES (?1, ?2, {value}, '')"),
            "log_nodes" => format!("INSERT INTO {name} VALUES (?1, ?2, {value})"),
            _ => format!(
                "INSERT INTO {name} SELECT log, ?2, {root}, {note}, signer, at_ms FROM {kept}
                 WHERE log = ?1 ORDER BY {place} <> ?2 LIMIT 1",
                root = if *column == "root" { value } else { "root" },
                note = if *column == "note" { value } else { "note" },
            ),
        };
        self.database.prepare_cached(&delete).expect("SQL").execute([self.log]).expect("deleted");
        let mut insert = self.database.prepare_cached(&insert).expect("SQL");
        for (place, bytes) in rows {
            insert.execute(params![self.log, place, bytes]).expect("inserted");
        }
    }
}

/// Changes rows in one way; tells which.
fn change(rows: &mut Rows, is_head: bool, dice: &mut Dice) -> &'static str {
    let at = dice.below(rows.len());
    let moved = |rows: &mut Rows| {
        for (place, row) in (0..).zip(rows.iter_mut()) {
            row.0 = place;
        }
    };
    // Heads are at lengths, with gaps; of them only the newest proves something on its own.
    match dice.below(if is_head { 3 } else { 6 }) {
        0 => {
            let bytes = &mut rows[at].1;
            let byte = dice.below(bytes.len());
            // In text, another letter; what is no text would not even be read.
            bytes[byte] ^= if is_head || bytes.len() == 32 { 1 } else { 3 };
            "flip a byte"
        }
        1 => {
            let other = dice.below(rows.len());
            let (first, second) = (rows[at].1.clone(), rows[other].1.clone());
            (rows[at].1, rows[other].1) = (second, first);
            "swap"
        }
        2 if is_head => {
            rows.pop();
            "drop the newest"
        }
        2 => {
            rows.remove(at);
            "drop"
        }
        3 => {
            rows.remove(at);
            moved(rows);
            "drop and close the gap"
        }
        4 => {
            let row = rows[at].clone();
            rows.insert(at, row);
            moved(rows);
            "duplicate"
        }
        _ => {
            let row = rows[dice.below(rows.len())].clone();
            rows.insert(at, row);
            moved(rows);
            "insert"
        }
    }
}

#[test]
fn each_of_ten_thousand_changes_to_a_log_is_found() {
    let kept = Kept::new();
    let database = tampered(&kept.path);
    for table in ["log_leaves", "log_nodes", "log_heads"] {
        let sql = format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}");
        database.execute(&sql, []).expect("copied");
    }
    let table = |log, name, place, column| Table { database: &database, log, name, place, column };
    let mut tables = Vec::new();
    for log in [OWN, kept.hub_log.as_str()] {
        // Leaves twice: they are what it is about.
        tables.push(table(log, "log_leaves", "leaf_index", "leaf"));
        tables.push(table(log, "log_leaves", "leaf_index", "leaf"));
        tables.push(table(log, "log_nodes", "number", "hash"));
        tables.push(table(log, "log_heads", "size", "note"));
        tables.push(table(log, "log_heads", "size", "root"));
    }
    let mut dice = Dice(7);
    let (mut tried, mut missed) = (0, Vec::new());
    while tried < CHANGES_COUNT {
        let table = &tables[dice.below(tables.len())];
        let before = table.rows();
        let mut rows = before.clone();
        let what = change(&mut rows, table.name == "log_heads", &mut dice);
        if rows == before {
            continue;
        }
        tried += 1;
        table.replace(&rows);
        let findings = kept.findings();
        let is_found = !findings.faults.is_empty()
            || findings.proofs.iter().any(|proof| !proof.faults.is_empty());
        if !is_found {
            missed.push(format!("{what} in {} of {}", table.name, table.log));
        }
        let sql = format!("DELETE FROM {0}; INSERT INTO {0} SELECT * FROM kept_{0};", table.name);
        database.execute_batch(&sql).expect("put back");
    }
    assert_eq!(missed, [""; 0], "{} of {tried}", missed.len());
    assert_eq!(kept.findings().faults, [""; 0], "as it was");
}
