//! Owners, providers and operators at a hub, with the program as people start it: joining with a
//! code, somebody in between, a lost computer, a new key, payments, roles.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use signet::base::ids::ContentHash;

use crate::common::{Home, Run, Service};
use crate::world::free_port;

/// A hub that runs.
struct Hub {
    home: Home,
    place: String,
    service: Service,
}

impl Hub {
    fn new() -> Self {
        let home = Home::new();
        let place = format!("127.0.0.1:{}", free_port());
        home.run(&["hub", "init", "--name", "Test hub", "--listen", &place]).done();
        let service = Self::start(&home);
        Self { home, place, service }
    }

    fn start(home: &Home) -> Service {
        let mut service = home.start(&["--json", "hub"]);
        service.line_with("listening");
        service
    }

    /// What the operator's command says, one JSON value.
    #[track_caller]
    fn says(&self, args: &[&str]) -> Value {
        self.home.run(&[&["--json", "hub"], args].concat()).done().json().remove(0)
    }

    /// The URL and the code of an invitation.
    #[track_caller]
    fn invite(&self, more: &[&str]) -> (String, String) {
        let said = self.says(&[&["invite", "Ada's laptop"], more].concat());
        let text = |name: &str| said[name].as_str().expect("a text").to_owned();
        assert_eq!(text("command"), format!("signet hub join {} {}", text("url"), text("code")));
        (text("url"), text("code"))
    }

    fn agents(&self) -> Vec<Value> {
        self.home.run(&["--json", "hub", "agents", "list"]).done().json()
    }

    /// What operators, commands and agents did, oldest first, as `who action subject`.
    fn actions(&self) -> Vec<String> {
        let mut lines = self.home.run(&["--json", "hub", "actions"]).done().json();
        lines.reverse();
        let text = |line: &Value, name: &str| line[name].as_str().expect("a text").to_owned();
        let parts = ["operator", "action", "subject"];
        lines.iter().map(|line| parts.map(|name| text(line, name)).join(" ")).collect()
    }
}

/// An owner's home that joined nothing yet.
fn owner() -> Home {
    let home = Home::new();
    let listen = format!("127.0.0.1:{}", free_port());
    let mut args = vec!["init", "--owner", "Ada", "--address", "mailto:ada@example.org"];
    args.extend(["--listen", &listen]);
    home.run(&args).done();
    home
}

fn join(owner: &Home, url: &str, code: &str) -> Run {
    owner.run(&["--json", "--yes", "hub", "join", url, code])
}

/// An owner who joined, with what the program said of it.
#[track_caller]
fn joined(hub: &Hub, more: &[&str]) -> (Home, Value) {
    let owner = owner();
    let (url, code) = hub.invite(more);
    let said = join(&owner, &url, &code).done().json().remove(0);
    (owner, said)
}

#[track_caller]
fn refused(run: &Run, code: i32, why: &str) {
    assert_eq!(run.code, code, "{run:#?}");
    assert!(run.stderr.contains(why), "{why}: {run:#?}");
}

#[test]
fn computer_joins_with_a_code_and_both_sides_show_the_same() {
    let hub = Hub::new();
    let owner = owner();
    let status = owner.run(&["--json", "hub", "status"]).done().json().remove(0);
    assert_eq!(status, json!({ "joined": null }));
    // The very line that the operator hands over; only a yes is added.
    let line = hub.home.run(&["hub", "invite", "Ada's laptop"]).done().stdout;
    let line: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(line[..3], ["signet", "hub", "join"]);
    refused(&owner.run(&line[1..]), 2, "--yes");
    let said = owner.run(&[&["--json", "--yes"], &line[1..]].concat()).done().json().remove(0);
    assert_eq!((&said["label"], &said["hub"]), (&json!("Ada's laptop"), &json!("Test hub")));
    let id = said["agent_id"].as_str().expect("an id");
    assert_eq!(said["base_url"], format!("https://{}/o/{id}", hub.place));
    let shown = hub.says(&["agents", "show", id]);
    assert_eq!(shown["check"], said["check"], "on both sides");
    assert_eq!((&shown["state"], &shown["label"]), (&json!("active"), &said["label"]));
    let status = owner.run(&["--json", "hub", "status"]).done().json().remove(0);
    assert_eq!((&status["agent_id"], &status["check"]), (&said["agent_id"], &said["check"]));
    assert_eq!(status["key"], shown["key"], "what a lab may ask the owner for");
    // Who names a hub means its address.
    let config = std::fs::read_to_string(owner.path().join("signet.toml")).expect("signet.toml");
    assert!(config.contains(&format!("\"{}\"", hub.place)), "{config}");
    refused(&owner.run(&[&["--yes"], &line[1..]].concat()), 1, "signet hub leave");

    // And the agent is there, without a word more.
    let mut agent = owner.start(&["--json", "run"]);
    agent.line_with("hub-connected");
    drop(agent);
    owner.run(&["hub", "leave"]).done();
    assert_eq!(hub.agents()[0]["state"], "left");
    assert!(!owner.path().join("hub.json").exists());
    refused(&owner.run(&["hub", "leave"]), 1, "joined no hub");
    let joined = format!("agent agent.joined {id}");
    let left = format!("agent agent.left {id}");
    assert_eq!(hub.actions(), ["host agent.invite Ada's laptop", &joined, &left]);
}

#[test]
fn wrong_or_used_code_lets_nobody_in() {
    let hub = Hub::new();
    let (url, code) = hub.invite(&[]);
    let (ada, bob) = (owner(), owner());
    refused(&join(&ada, &url, "K7QF-92MX-0D3T-VB6H"), 1, "the code is wrong");
    refused(&join(&ada, &url, "K7QF-92MX"), 2, "four groups");
    refused(&join(&ada, "http://hub.example", &code), 1, "https://");
    assert!(!ada.path().join("hub.json").exists());
    join(&ada, &url, &code).done();
    refused(&join(&bob, &url, &code), 1, "was used");
    // The answer was lost: the same computer gets the same again.
    let before = std::fs::read(ada.path().join("hub.json")).expect("hub.json");
    std::fs::remove_file(ada.path().join("hub.json")).expect("removed");
    join(&ada, &url, &code).done();
    let again: Value = json_file(&ada.path().join("hub.json"));
    let before: Value = serde_json::from_slice(&before).expect("JSON");
    assert_eq!(again["agent_id"], before["agent_id"]);
    assert_eq!(hub.agents().len(), 1);
}

#[test]
fn commands_say_whose_home_they_are_for() {
    let hub = Hub::new();
    let ada = owner();
    refused(&hub.home.run(&["--yes", "hub", "join", "https://a", "b"]), 2, "an owner's computer");
    refused(&hub.home.run(&["hub", "leave"]), 2, "an owner's computer");
    refused(&ada.run(&["hub", "invite", "x"]), 2, "the hub's computer");
    refused(&ada.run(&["hub", "providers", "list"]), 2, "the hub's computer");
    refused(&Home::new().run(&["hub", "invite", "x"]), 1, "signet hub init");
    refused(&Home::new().run(&["hub", "status"]), 1, "signet init");
}

#[test]
fn man_in_the_middle_gets_neither_the_owner_nor_the_code() {
    let hub = Hub::new();
    let ada = owner();
    let (_, code) = hub.invite(&[]);
    // He hands everything on: the hub names its own certificate, and that is not the one seen.
    let (his_url, his, heard) = between(&hub, false);
    refused(&join(&ada, &his_url, &code), 1, "somebody is between");
    assert!(heard.try_iter().all(|said| !said.contains("proof")), "no proof was made for him");
    // He says that the hub made his certificate: then hub and owner see different ones.
    let (his_url, his_digest, heard) = between(&hub, true);
    assert_ne!(his, his_digest);
    refused(&join(&ada, &his_url, &code), 1, "somebody is in between");
    let heard: Vec<String> = heard.try_iter().collect();
    assert!(heard.iter().any(|said| said.starts_with("POST /v1/join")), "he tried: {heard:#?}");
    let whole = heard.join("\n");
    assert!(!whole.contains(&code) && !whole.contains(&code.replace('-', "")), "{whole}");
    assert!(!ada.path().join("hub.json").exists());
    assert!(hub.agents().is_empty());
    // The code is as good as it was.
    let (url, _) = hub.invite(&[]);
    join(&ada, &url, &code).done();
}

#[test]
fn lost_computer_is_cut_off_at_once_and_another_gets_its_place() {
    let mut hub = Hub::new();
    let (lost, said) = joined(&hub, &[]);
    let id = said["agent_id"].as_str().expect("an id");
    let mut agent = lost.start(&["--json", "run"]);
    agent.line_with("hub-connected");
    refused(&hub.home.run(&["hub", "invite", "new", "--replaces", id]), 1, "is not lost");
    refused(&hub.home.run(&["hub", "lost", "nobody"]), 1, "no such agent");
    assert_eq!(hub.says(&["lost", id])["state"], "lost");
    hub.service.line_with("away");
    agent.line_with("hub-away");
    refused(&lost.run(&["hub", "rotate-key"]), 1, "membership is over");
    let (_, code) = hub.invite(&["--replaces", id]);
    let url = format!("https://{}", hub.place);
    let new = owner();
    let said = join(&new, &url, &code).done().json().remove(0);
    let new_id = said["agent_id"].as_str().expect("an id");
    let mut agent = new.start(&["--json", "run"]);
    agent.line_with("hub-connected");
    assert_eq!(hub.says(&["agents", "show", id])["replaced_by"], new_id);
    assert_eq!(hub.says(&["agents", "show", new_id])["account"], format!("owner:{id}"));
    assert_eq!(hub.agents().len(), 2);
}

#[test]
fn key_changes_while_the_agent_runs_and_wherever_a_change_was_cut_off() {
    let hub = Hub::new();
    let (ada, said) = joined(&hub, &[]);
    let id = said["agent_id"].as_str().expect("an id");
    let key_now = || hub.says(&["agents", "show", id])["key"].as_str().expect("a key").to_owned();
    let first = key_now();
    let mut agent = ada.start(&["--json", "run"]);
    agent.line_with("hub-connected");
    let changed = ada.run(&["--json", "hub", "rotate-key"]).done().json().remove(0);
    assert_eq!(changed["key"], key_now());
    assert_ne!(first, key_now());
    assert_eq!(changed["check"], hub.says(&["agents", "show", id])["check"]);
    // The channel of the old key is ended, and the agent comes back with the new one.
    agent.next_line_with("hub-away");
    agent.next_line_with("hub-connected");
    drop(agent);

    let (key, next) =
        (ada.path().join("keys/hub-identity.key"), ada.path().join("keys/hub-identity.next"));
    // Killed before the hub heard of it: the new key is on disk, the old one in force.
    std::fs::write(&next, some_key()).expect("written");
    let before = key_now();
    let mut agent = ada.start(&["--json", "run"]);
    agent.line_with("hub-connected");
    drop(agent);
    assert_ne!(key_now(), before);
    assert!(!next.exists());
    // Killed after the hub took it and before the old one was let go.
    let old = std::fs::read(&key).expect("a key");
    ada.run(&["hub", "rotate-key"]).done();
    std::fs::rename(&key, &next).expect("moved");
    std::fs::write(&key, old).expect("written");
    let status = ada.run(&["--json", "hub", "status"]).done().json().remove(0);
    assert_eq!(status["key_change_unfinished"], true);
    let before = key_now();
    let mut agent = ada.start(&["--json", "run"]);
    agent.line_with("hub-connected");
    assert_eq!(key_now(), before, "the hub has it already");
    assert!(!next.exists());
    assert_eq!(hub.agents()[0]["agent_id"], id);
}

#[test]
fn requests_about_other_agents_change_nothing() {
    let hub = Hub::new();
    let (ada, said) = joined(&hub, &[]);
    let (_bob, bobs) = joined(&hub, &[]);
    let [ada_id, bob_id] = [&said, &bobs].map(|said| said["agent_id"].as_str().expect("an id"));
    // Ada's own word, at Bob's address and at addresses of nobody.
    let mut membership = json_file(&ada.path().join("hub.json"));
    membership["agent_id"] = json!(bob_id);
    let kept = std::fs::read(ada.path().join("hub.json")).expect("hub.json");
    std::fs::write(ada.path().join("hub.json"), membership.to_string()).expect("written");
    refused(&ada.run(&["hub", "leave"]), 1, "not signed as it should be");
    refused(&ada.run(&["hub", "rotate-key"]), 1, "the old key is not the one");
    let mut agent = ada.start(&["--json", "run"]);
    agent.line_with("hub-away");
    drop(agent);
    for id in ["nobody", "..%2f", "%00", "a%2fb"] {
        membership["agent_id"] = json!(id);
        std::fs::write(ada.path().join("hub.json"), membership.to_string()).expect("written");
        refused(&ada.run(&["hub", "leave"]), 1, "the hub says");
    }
    std::fs::write(ada.path().join("hub.json"), kept).expect("written");
    std::fs::remove_file(ada.path().join("keys/hub-identity.next")).expect("removed");
    let states: Vec<_> = hub.agents().iter().map(|agent| agent["state"].clone()).collect();
    assert_eq!(states, ["active", "active"]);
    ada.run(&["hub", "leave"]).done();
    assert_eq!(hub.says(&["agents", "show", ada_id])["state"], "left");
    assert_eq!(hub.says(&["agents", "show", bob_id])["state"], "active");
}

#[test]
fn provider_is_onboarded_pays_in_and_is_stopped() {
    let hub = Hub::new();
    let lab = Home::new();
    let card = lab.path().join("card.json");
    let card = card.to_str().expect("a plain path");
    lab.run(&["lab", "invite", "Hub", "--card", card]).done();
    let mut add = vec!["providers", "add", "lab", "--card", card, "--secret"];
    add.extend(["--purposes", "print,share", "--currency", "EUR", "--price", "original=25"]);
    add.extend(["--price", "original:print:12mp=20", "--price", "preview=0"]);
    add.extend(["--credit-limit", "10.00", "--service-percent", "30", "--per-minute", "60"]);
    add.extend(["--per-day", "200", "--notify", "https://lab.example/notices"]);
    let added = hub.says(&add);
    let secrets = ["secret", "notify_secret"].map(|name| added[name].as_str().expect("a secret"));
    assert!(secrets[1].starts_with("whsec_"), "{added}");
    assert_eq!(added["prices"], json!(["original:print:12mp=20", "original=25", "preview=0"]));
    assert_eq!(added["credit_minor"], 1000);
    assert_eq!(added["key"], json_file(Path::new(card))["key"]["x"]);
    let pay = ["providers", "top-up", "lab", "50.00", "--reference", "bank 17"];
    assert_eq!(hub.says(&pay)["is_new"], true);
    assert_eq!(hub.says(&pay)["is_new"], false, "the same is posted once");
    let shown = hub.says(&["providers", "show", "lab"]);
    assert_eq!((&shown["credit_minor"], &shown["balance_minor"]), (&json!(6000), &json!(-5000)));
    // Told once, and in no list.
    let lists = [&["providers", "list"][..], &["providers", "show", "lab"], &["actions"]];
    for args in lists {
        let said = hub.home.run(&[&["--json", "hub"], args].concat()).done().stdout;
        assert!(secrets.iter().all(|secret| !said.contains(secret)), "{said}");
    }
    let paused = hub.says(&["providers", "pause", "lab", "--why", "odd volume"]);
    assert_eq!((&paused["state"], &paused["why"]), (&json!("paused"), &json!("odd volume")));
    assert_eq!(hub.says(&["providers", "resume", "lab"])["state"], "active");
    assert_ne!(hub.says(&["providers", "new-secret", "lab"])["secret"], added["secret"]);
    let changed = hub.says(&["providers", "set", "lab", "--per-day", "300"]);
    assert_eq!((&changed["accesses_per_day"], &changed["prices"]), (&json!(300), &added["prices"]));
    assert_eq!(hub.says(&["providers", "close", "lab"])["state"], "closed");
    for (wrong, why) in [
        (&["providers", "resume", "lab"][..], "is closed"),
        (&["providers", "set", "lab"], "nothing to change"),
        (&["providers", "set", "nobody", "--per-day", "1"], "no provider `nobody`"),
        (&["providers", "add", "lab2"], "a key, a secret or both"),
        (&["providers", "add", "lab2", "--card", card], "the key of the provider `lab`"),
        (&["providers", "add", "Lab", "--secret"], "no name of a provider"),
        (&["providers", "add", "lab2", "--secret", "--price", "original=0.25"], "minor units"),
        (&["providers", "add", "lab2", "--secret", "--purposes", "sell"], "sell"),
        (&["providers", "top-up", "lab", "1e3"], "1e3"),
        (&["pay-out", "nobody", "1", "--currency", "EUR"], "no owner `nobody`"),
    ] {
        let run = hub.home.run(&[&["hub"], wrong].concat());
        assert_ne!(run.code, 0, "{wrong:?}");
        assert!(run.stderr.contains(why), "{why}: {run:#?}");
    }
    let actions = hub.actions();
    assert!(actions.contains(&"host provider.money lab".into()), "{actions:#?}");
    assert!(actions.contains(&"host provider.top-up lab".into()), "{actions:#?}");
}

#[test]
fn operators_are_added_with_passwords_that_nobody_sees() {
    let hub = Hub::new();
    let file = hub.home.write("password", "correct horse battery\n");
    let file = file.to_str().expect("a plain path");
    let add = ["operators", "add", "ada", "--role", "admin", "--password-file", file];
    let added = hub.says(&add);
    assert_eq!(added, json!({ "name": "ada", "role": "admin", "is_active": true }));
    let short = hub.home.write("short", "short\n");
    let short = short.to_str().expect("a plain path");
    for (wrong, why) in [
        (&add[..], "an operator `ada` already"),
        (&["operators", "add", "bob", "--role", "viewer"], "no password in the first line"),
        (&["operators", "passwd", "ada", "--password-file", short], "at least 12"),
        (&["operators", "role", "nobody", "viewer"], "no operator `nobody`"),
        (&["operators", "add", "host", "--role", "viewer", "--password-file", file], "no name"),
    ] {
        refused(&hub.home.run(&[&["hub"], wrong].concat()), 2, why);
    }
    hub.says(&["operators", "role", "ada", "viewer"]);
    hub.says(&["operators", "passwd", "ada", "--password-file", file]);
    assert_eq!(hub.says(&["operators", "disable", "ada"])["is_active"], false);
    assert_eq!(hub.says(&["operators", "enable", "ada"])["is_active"], true);
    let everything = [&["operators", "list"][..], &["actions"]]
        .map(|args| hub.home.run(&[&["--json", "hub"], args].concat()).done().stdout);
    for said in everything {
        assert!(!said.contains("argon2") && !said.contains("battery"), "{said}");
    }
    assert_eq!(hub.actions().len(), 5);
}

/// A key that nobody uses.
fn some_key() -> Vec<u8> {
    std::fs::read(owner().path().join("keys/agent.key")).expect("a key")
}

/// Somebody between an owner and the hub, with a certificate of his own: his address, the SHA-256
/// of that certificate, and what he hears.
///
/// - `lies`: whether he says that the hub made his certificate
fn between(hub: &Hub, lies: bool) -> (String, String, Receiver<String>) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("made");
    let digest = ContentHash::of(made.cert.der()).to_string();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a certificate");
    let (config, place, said) = (Arc::new(config), hub.place.clone(), digest.clone());
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("https://{}", listener.local_addr().expect("an address"));
    let (hears, heard) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let connection = ServerConnection::new(config.clone()).expect("a connection");
            let mut stream = StreamOwned::new(connection, stream);
            let Some((head, body)) = request(&mut stream) else { continue };
            let first = head.lines().next().unwrap_or_default().to_owned();
            if hears.send(format!("{first}\n{body}")).is_err() {
                return;
            }
            let mut words = first.split(' ');
            let (method, path) =
                (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let (status, mut answer) = ask(method, &format!("https://{place}{path}"), &body);
            if lies && method == "GET" {
                let mut offer: Value = serde_json::from_str(&answer).expect("an offer");
                offer["certificate"] = json!(said);
                answer = offer.to_string();
            }
            let length = answer.len();
            let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\n\r\n");
            // The other side may have had enough.
            let _gone = stream.write_all(format!("{head}{answer}").as_bytes());
        }
    });
    (url, digest, heard)
}

/// Head and body of a request; `None` where the other side went away.
fn request(stream: &mut impl Read) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        bytes.extend(byte);
    }
    let head = String::from_utf8(bytes).ok()?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap_or("0").parse().ok()?];
    stream.read_exact(&mut body).ok()?;
    Some((head, String::from_utf8(body).ok()?))
}

/// Asks a hub something, whatever certificate it shows.
fn ask(method: &str, url: &str, body: &str) -> (u16, String) {
    let tls = ureq::tls::TlsConfig::builder().disable_verification(true).build();
    let config = ureq::Agent::config_builder().tls_config(tls).http_status_as_error(false);
    let agent: ureq::Agent = config.build().into();
    let answer = match method {
        "GET" => agent.get(url).call(),
        _ => agent.post(url).content_type("application/json").send(body),
    };
    let mut answer = answer.expect("an answer");
    (answer.status().as_u16(), answer.body_mut().read_to_string().expect("a text"))
}

fn json_file(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON")
}
