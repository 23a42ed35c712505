//! What becomes of orders, logs and money when a computer changes its key at the hub, and when another
//! one takes the place of a lost one: real processes, as people start them.

use std::path::Path;

use serde_json::Value;
use signet::store::hub::{HubStore, LogKind, SqliteHub};

use crate::common::{Home, Service, wait_for};
use crate::world::{World, free_port, sample, variant};

/// A hub that a lab with a key pays at, and the owner's computers.
struct Scene {
    world: World,
    hub: Home,
    _running: [Service; 2],
}

impl Scene {
    /// Hub and lab run; nobody joined yet.
    fn new() -> Self {
        let (world, hub) = (World::new(), Home::new());
        let place = format!("127.0.0.1:{}", free_port());
        hub.run(&["hub", "init", "--name", "Hub", "--listen", &place]).done();
        // Plain HTTP on this computer, so that the lab needs no certificate.
        change_file(&hub.path().join("hub.toml"), "[tls]", "[tls]\noff = true");
        let allow = format!("allow = [\"{place}\", ");
        change_file(&world.lab.path().join("lab.toml"), "allow = [", &allow);
        let card = world.lab.path().join("card.json");
        let mut add = vec!["hub", "providers", "add", "lab", "--purposes", "print,share"];
        add.extend(["--card", card.to_str().expect("plain"), "--service-percent", "20"]);
        add.extend(["--currency", "EUR", "--price", "original=25", "--price", "preview=0"]);
        hub.run(&add).done();
        hub.run(&["hub", "providers", "top-up", "lab", "10.00"]).done();
        let mut running = hub.start(&["--json", "hub"]);
        running.line_with("listening");
        let lab = world.start_lab();
        Self { world, hub, _running: [running, lab] }
    }

    /// What the operator's command says.
    #[track_caller]
    fn says(&self, args: &[&str]) -> Vec<Value> {
        self.hub.run(&[&["--json", "hub"], args].concat()).done().json()
    }

    /// The owner's computer joins with a new code; its id.
    #[track_caller]
    fn join(&self, more: &[&str]) -> String {
        let said = self.says(&[&["invite", "Ada's laptop"], more].concat()).remove(0);
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let (url, code) = (text(&said["url"]), text(&said["code"]));
        let run = self.world.owner.run(&["--json", "--yes", "hub", "join", &url, &code]);
        text(&run.done().json().remove(0)["agent_id"])
    }

    /// Starts the agent of the owner's computer and waits until it is at the hub.
    fn start_agent(&self) -> Service {
        let mut agent = self.world.start_agent();
        agent.line_with("hub-connected");
        agent
    }

    /// Orders one photo more and waits until the lab has it and each side's books say so.
    #[track_caller]
    fn order(&self, name: &str, count: usize) {
        self.world.drop_photo(name, &variant(&sample("meadow"), count));
        self.world.wait_orders(count, "done");
        let proven = format!("{count} of {count} accesses proven");
        wait_for(&proven, || {
            let run = self.world.owner.run(&["report", "--verify"]);
            (run.code == 0 && run.stdout.contains(&proven)).then_some(())
        });
        assert_eq!(self.world.report("hub-lie"), Vec::<Value>::new());
    }

    /// The account of an owner's statement, with what is on it.
    fn statement(&self, agent_id: &str) -> (String, i64) {
        let lines = self.says(&["statement", "--owner", agent_id]);
        let line = lines.iter().find(|line| line["type"] == "account").expect("an account");
        let account = line["account"].as_str().expect("a text").to_owned();
        (account, line["closing_minor"].as_i64().expect("minor units"))
    }

    fn store(&self) -> SqliteHub {
        SqliteHub::open(&self.hub.path().join("hub.sqlite")).expect("opens")
    }
}

fn change_file(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).expect("a file");
    assert!(text.contains(from), "{text}");
    std::fs::write(path, text.replace(from, to)).expect("written");
}

/// Copies a home as a backup has it, without what names the lost computer.
fn restore(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_str().expect("a plain name").to_owned();
        let is_of_the_lost = ["hub.json", "agent.key"].contains(&name.as_str())
            || name.starts_with("hub-identity.")
            || from.ends_with("consent");
        if is_of_the_lost {
            continue;
        }
        if path.is_dir() {
            let folder = to.join(&name);
            std::fs::create_dir_all(&folder).expect("made");
            restore(&path, &folder);
        } else if path.is_file() {
            std::fs::copy(&path, to.join(&name)).expect("copied");
        }
    }
}

#[test]
fn orders_go_on_through_the_hub_after_the_key_was_changed() {
    let scene = Scene::new();
    let id = scene.join(&[]);
    let mut agent = scene.start_agent();
    scene.order("a.jpg", 1);
    let before = std::fs::read(scene.world.owner.path().join("keys/agent.key")).expect("a key");
    scene.world.owner.run(&["hub", "rotate-key"]).done();
    agent.next_line_with("hub-away");
    agent.next_line_with("hub-connected");
    scene.order("b.jpg", 2);
    // And with an agent that was stopped meanwhile.
    agent.kill();
    scene.world.owner.run(&["hub", "rotate-key"]).done();
    let _agent = scene.start_agent();
    scene.order("c.jpg", 3);
    let after = std::fs::read(scene.world.owner.path().join("keys/agent.key")).expect("a key");
    assert!(before == after, "grants are signed by what they were signed by before");
    assert_eq!(scene.statement(&id), (format!("owner:{id}"), 60));
    scene.says(&["reconcile"]);
}

#[test]
fn computer_in_the_place_of_a_lost_one_goes_on_with_its_account_and_a_log_of_its_own() {
    let mut scene = Scene::new();
    let lost_id = scene.join(&[]);
    let mut agent = scene.start_agent();
    scene.order("a.jpg", 1);
    agent.kill();
    let kept = scene.store().log_size(&lost_id, LogKind::Agent).expect("read");
    scene.says(&["lost", &lost_id]);

    // From the newest backup, as the handbook says: without the lost keys, consent agreed anew.
    let new = Home::new();
    restore(scene.world.owner.path(), new.path());
    let _lost = std::mem::replace(&mut scene.world.owner, new);
    let card = scene.world.lab.path().join("new.json");
    let card = card.to_str().expect("a plain path");
    scene.world.lab.run(&["lab", "invite", "Ada", "--card", card, "--rotate"]).done();
    let owner = &scene.world.owner;
    owner.run(&["--yes", "consent", "allow", card, "--purpose", "print,share"]).done();
    owner.run(&["grants", "revoke", "lab"]).done();
    let id = scene.join(&["--replaces", &lost_id]);
    assert_ne!(id, lost_id);
    // Proven before anything new came: the log of the backup is this computer's now.
    let run = owner.run(&["report", "--verify"]).done();
    assert!(run.stdout.contains("1 of 1 accesses proven"), "{}", run.stdout);

    let _agent = scene.start_agent();
    scene.order("b.jpg", 2);
    let account = format!("owner:{lost_id}");
    assert_eq!(scene.statement(&id), (account.clone(), 40));
    assert_eq!(scene.statement(&lost_id), (account.clone(), 40));
    let shown = |id: &str| scene.says(&["agents", "show", id]).remove(0);
    assert_eq!(shown(&id)["account"], account.as_str());
    assert_eq!(shown(&id)["state"], "active");
    assert_eq!(shown(&id)["earned_minor"]["EUR"], 40);
    assert_eq!(shown(&lost_id)["replaced_by"], id.as_str());
    // The lost computer's log is as it was, and nobody takes its place twice.
    let store = scene.store();
    assert_eq!(store.log_size(&lost_id, LogKind::Agent).expect("read"), kept);
    assert!(store.log_size(&id, LogKind::Agent).expect("read") > kept);
    assert_eq!(store.audit().expect("looked"), [""; 0]);
    let again = scene.hub.run(&["hub", "invite", "third", "--replaces", &lost_id]);
    assert!(again.code == 1 && again.stderr.contains(&id), "{again:?}");
    scene.says(&["reconcile"]);
    scene.says(&["pay-out", &id, "0.40", "--currency", "EUR"]);
    assert_eq!(scene.statement(&id), (account, 0));
}
