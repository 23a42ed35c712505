//! Sealed copies at the hub: an owner goes to sleep, a lab fetches all the same.

use std::io::Read;
use std::path::PathBuf;

use serde_json::Value;
use signet::access::Key;
use signet::access::proof::{self, ProvenRequest};
use signet::access::sealed::{Opened, SEAL_HEADER, Subject, sealed_len};
use signet::base::clock::Timestamp;
use signet::base::ids::ContentHash;
use signet::store::hub::{HubStore, LogKind, SqliteHub};
use signet::store::leaf::{AgentLeaf, HubLeaf, Way, read};

use crate::common::{Home, PATIENCE, Service, wait_for};
use crate::world::{World, free_port, sample};

/// An owner who agreed that copies wait at the hub, an order, and a copy of its photo there. The lab
/// has the order and got nothing yet, since it does not believe the hub's certificate.
struct Scene {
    world: World,
    hub_home: Home,
    url: String,
    hub: Service,
    agent: Service,
    photo: Vec<u8>,
    key: Key,
    grant: String,
    grant_id: String,
    path: String,
    receipt_path: String,
}

impl Scene {
    fn new() -> Self {
        Self::with(&["--stage"], 0)
    }

    /// - `consent`: more of what the owner agrees to
    /// - `more_bytes`: so much longer is the photo's file
    fn with(consent: &[&str], more_bytes: usize) -> Self {
        let (world, hub_home) = (World::new(), Home::new());
        let listen = format!("127.0.0.1:{}", free_port());
        let url = format!("https://{listen}");
        hub_home.run(&["hub", "init", "--name", "Hub", "--listen", &listen]).done();
        let card = world.lab.path().join("card.json");
        let card = card.to_str().expect("plain");
        let add = ["hub", "providers", "add", "lab", "--card", card, "--purposes", "print,share"];
        hub_home.run(&[&add[..], &["--price", "any=50"]].concat()).done();
        hub_home.run(&["hub", "providers", "top-up", "lab", "10.00"]).done();
        let mut hub = hub_home.start(&["--json", "hub"]);
        hub.line_with("listening");
        let invited = hub_home.run(&["--json", "hub", "invite", "Ada"]).done().json().remove(0);
        let code = invited["code"].as_str().expect("a code");
        world.owner.run(&["--yes", "hub", "join", &url, code]).done();
        let allow = ["--yes", "consent", "allow", card, "--purpose", "print,share", "--local"];
        world.owner.run(&[&allow[..], consent].concat()).done();
        change(
            &world.lab.path().join("lab.toml"),
            "allow = [",
            &format!("allow = [\"{listen}\", "),
        );

        let mut lab = world.start_lab();
        let mut agent = world.start_agent();
        agent.line_with("hub-connected");
        hub.line_with("\"connected\"");
        // Bytes behind a JPEG's end are no part of its picture.
        let photo = [sample("meadow"), vec![7; more_bytes]].concat();
        world.drop_photo("IMG_1.jpg", &photo);
        agent.line_with("accepted");
        lab.kill();
        let (event, _) = world.filed().into_values().next().expect("an order");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let member = &event["data"]["members"][0];
        let at_hub = |address: &Value| {
            text(address).strip_prefix(url.as_str()).expect("at the hub").to_owned()
        };
        let path = at_hub(&member["url"]);
        Self {
            key: Key::load_or_create(&world.lab.path().join("keys/lab.key")).expect("a key"),
            grant: text(&member["grant"]),
            grant_id: path.split('/').rev().nth(1).expect("a grant id").to_owned(),
            receipt_path: at_hub(&event["data"]["receipt_url"]),
            world,
            hub_home,
            url,
            hub,
            agent,
            photo,
            path,
        }
    }

    /// The copy is there and the owner's computer away.
    fn sleep(&mut self) {
        self.agent.line_with("\"staged\"");
        self.agent.kill();
        self.hub.line_with("\"away\"");
    }

    fn wake(&mut self) {
        self.agent = self.world.start_agent();
        self.agent.line_with("hub-connected");
    }

    /// The lab, which believes the hub's certificate from here on.
    fn start_lab(&self) -> Service {
        let pem = std::fs::read(self.hub_home.path().join("keys/tls.pem")).expect("a certificate");
        self.world.lab.write("hub.pem", pem);
        let trust = "trust = \"hub.pem\"\nallow = [";
        change(&self.world.lab.path().join("lab.toml"), "allow = [", trust);
        self.world.start_lab()
    }

    fn store(&self) -> SqliteHub {
        SqliteHub::open(&self.hub_home.path().join("hub.sqlite")).expect("the hub's database")
    }

    /// Files of copies at the hub.
    fn copies(&self) -> Vec<PathBuf> {
        let folder = std::fs::read_dir(self.hub_home.path().join("staged")).expect("a folder");
        folder.map(|entry| entry.expect("an entry").path()).collect()
    }

    fn balance(&self) -> i64 {
        self.store().balance("provider:lab", "EUR").expect("read")
    }

    /// The accesses that the owner's own log tells of.
    fn accesses(&self) -> Vec<Value> {
        self.world.report("access")
    }

    /// What the hub keeps of a log.
    fn leaves<T: serde::de::DeserializeOwned + serde::Serialize>(&self, log: LogKind) -> Vec<T> {
        let agent_id = self.path.split('/').nth(2).expect("an agent");
        let leaves = self.store().leaves(agent_id, log, 0, u64::MAX).expect("read");
        leaves.iter().filter_map(|leaf| read(leaf)).collect()
    }

    fn proof(&self, key: &Key, method: &str, path: &str) -> String {
        let request = ProvenRequest { method, url: path, grant: &self.grant };
        proof::make(key, request, Timestamp::now()).expect("a proof")
    }

    /// Asks as the lab would.
    fn ask(&self, method: &str, more: &[(&str, &str)]) -> Got {
        let proof = self.proof(&self.key, method, &self.path);
        self.send(method, &self.path, &[&[("dpop", proof.as_str())], more].concat(), b"")
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Got {
        let mut answer = self.open(method, path, headers, body);
        let mut body = Vec::new();
        answer.body_mut().as_reader().read_to_end(&mut body).expect("whole");
        let text = |value: &ureq::http::HeaderValue| value.to_str().unwrap_or("").to_owned();
        let headers = answer.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), text(value))).collect();
        Got { status: answer.status().as_u16(), headers, body }
    }

    fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> ureq::http::Response<ureq::Body> {
        let pem = std::fs::read(self.hub_home.path().join("keys/tls.pem")).expect("a certificate");
        let root = ureq::tls::Certificate::from_pem(&pem).expect("a certificate");
        let roots = ureq::tls::RootCerts::from(vec![root]);
        let client: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .tls_config(ureq::tls::TlsConfig::builder().root_certs(roots).build())
            .build()
            .into();
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("authorization", format!("DPoP {}", self.grant));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        client.run(request.body(body.to_vec()).expect("a request")).expect("an answer")
    }

    /// Opens what came for a range of the photo.
    fn opened(&self, got: &Got, start: usize, end: usize) -> Vec<u8> {
        let digest = ContentHash::of(&self.photo);
        let (count, start, end) = (self.photo.len() as u64, start as u64, end as u64);
        let subject = Subject { grant_id: &self.grant_id, digest: &digest, start, end };
        let seal = got.header(SEAL_HEADER);
        let mut opened =
            Opened::of_member(&*got.body, &self.key, seal, subject, count).expect("a seal");
        let mut plain = Vec::new();
        opened.read_to_end(&mut plain).expect("opened");
        plain
    }
}

/// What one request got.
#[derive(Debug)]
struct Got {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

fn change(path: &std::path::Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).expect("a file");
    assert!(text.contains(from), "{text}");
    std::fs::write(path, text.replacen(from, to, 1)).expect("written");
}

#[test]
fn lab_fetches_the_original_while_its_owner_sleeps_and_the_access_is_posted_once() {
    let mut scene = Scene::new();
    let shown = scene.world.owner.run(&["consent", "show"]).done().stdout;
    assert!(shown.contains("a sealed copy of what is ordered waits at the hub"), "{shown}");
    scene.sleep();
    let [copy] = &scene.copies()[..] else { panic!("one copy: {:?}", scene.copies()) };
    let copy = std::fs::read(copy).expect("a copy");
    let line = copy.iter().position(|byte| *byte == b'\n').expect("a header") + 1;
    assert_eq!((copy.len() - line) as u64, sealed_len(scene.photo.len() as u64));

    let mut lab = scene.start_lab();
    lab.line_with("\"filed\"");
    let (_, files) = scene.world.filed().into_values().next().expect("an order");
    assert_eq!(std::fs::read(&files[0]).expect("the original"), scene.photo);
    assert!(scene.accesses().is_empty(), "nobody told the owner yet");
    assert_eq!(scene.balance(), -1000, "nothing is posted without the owner's log");
    assert_eq!(scene.store().reserved("lab").expect("read"), 50);

    scene.wake();
    scene.world.wait_orders(1, "done");
    assert_eq!(scene.accesses().len(), 1);
    wait_for("the posting at the hub", || (scene.balance() == -950).then_some(()));
    wait_for("the copy's end", || scene.copies().is_empty().then_some(()));
    let own: Vec<AgentLeaf> = scene.leaves(LogKind::Agent);
    let ways = own.iter().filter_map(|leaf| match leaf {
        AgentLeaf::Access(access) => Some(access.way.clone()),
        _ => None,
    });
    assert_eq!(ways.collect::<Vec<_>>(), [Way::Staged("lab".into())]);
    let hubs: Vec<HubLeaf> = scene.leaves(LogKind::Hub);
    let staged =
        |leaf: &&HubLeaf| matches!(leaf, HubLeaf::Relayed { is_staged: true, is_whole: true, .. });
    assert_eq!(hubs.iter().filter(staged).count(), 1, "{hubs:?}");
    wait_for("the proof by both logs", || {
        (scene.world.owner.run(&["report", "--verify"]).code == 0).then_some(())
    });

    // Whoever starts again finds everything as it was.
    scene.agent.kill();
    scene.wake();
    assert!(
        scene
            .store()
            .takings(scene.path.split('/').nth(2).expect("an id"), 9)
            .expect("read")
            .is_empty()
    );
    assert_eq!((scene.accesses().len(), scene.balance()), (1, -950));
    assert!(scene.world.report("hub-lie").is_empty());
}

#[test]
fn copy_is_answered_as_its_owner_would_and_its_parts_add_up_to_one_access() {
    let mut scene = Scene::with(&["--stage"], 700_000);
    let (length, half) = (scene.photo.len(), scene.photo.len() / 2);
    // The first half while the owner is awake.
    let range = format!("bytes=0-{}", half - 1);
    scene.agent.line_with("\"staged\"");
    let awake = scene.ask("GET", &[("range", &range)]);
    assert_eq!(scene.opened(&awake, 0, half), scene.photo[..half]);
    assert_eq!(awake.header("content-type"), "application/vnd.signet.sealed");
    scene.sleep();

    let head = scene.ask("HEAD", &[]);
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), sealed_len(length as u64).to_string());
    for name in ["etag", "repr-digest", "accept-ranges", "cache-control", "content-type"] {
        assert_eq!(head.header(name), awake.header(name), "{name}");
    }
    let etag = head.header("etag").to_owned();
    assert_eq!(scene.ask("GET", &[("if-none-match", &etag)]).status, 304);
    let outside = scene.ask("GET", &[("range", "bytes=9999999-")]);
    assert_eq!(
        (outside.status, outside.header("content-range")),
        (416, &*format!("bytes */{length}"))
    );
    assert_eq!(scene.store().reserved("lab").expect("read"), 50, "of the first half");

    // The rest, in parts that nobody agreed on before.
    let (a, b) = (half + 70_000, half + 70_001);
    for (start, end) in [(half, a), (a, b)] {
        let range = format!("bytes={start}-{}", end - 1);
        let part = scene.ask("GET", &[("range", &range), ("if-range", &etag)]);
        assert_eq!(part.status, 206, "{part:?}");
        assert_eq!(part.header("content-range"), format!("bytes {start}-{}/{length}", end - 1));
        assert_eq!(scene.opened(&part, start, end), scene.photo[start..end]);
    }
    scene.wake();
    scene.agent.kill();
    assert!(scene.accesses().is_empty(), "some of it was never fetched");
    scene.wake();
    scene.agent.kill();
    wait_for("the hub's own answer", || (scene.ask("HEAD", &[]).status == 200).then_some(()));
    let rest = scene.ask("GET", &[("range", &format!("bytes={b}-")), ("if-range", &etag)]);
    assert_eq!(scene.opened(&rest, b, length), scene.photo[b..]);
    let other = scene.ask("GET", &[("range", "bytes=9-"), ("if-range", "\"other\"")]);
    assert_eq!((other.status, scene.opened(&other, 0, length)), (200, scene.photo.clone()));
    scene.wake();
    wait_for("the access", || (scene.accesses().len() == 1).then_some(()));
    wait_for("the posting at the hub", || (scene.balance() == -950).then_some(()));
}

#[test]
fn lab_that_was_cut_off_when_its_owner_fell_asleep_goes_on_with_the_copy() {
    let mut scene = Scene::with(&["--stage"], 300_000);
    scene.agent.line_with("\"staged\"");
    let (length, third) = (scene.photo.len(), scene.photo.len() / 3);
    let begun = scene.ask("GET", &[("range", &format!("bytes=0-{}", third - 1))]);
    let (order_key, (event, _)) = scene.world.filed().into_iter().next().expect("an order");
    let name = event["data"]["members"][0]["name"].as_str().expect("a name");
    let part = format!("orders/{order_key}/.{name}.part");
    scene.world.lab.write(&part, scene.opened(&begun, 0, third));
    scene.sleep();
    let mut lab = scene.start_lab();
    lab.line_with("\"filed\"");
    let (_, files) = scene.world.filed().into_values().next().expect("an order");
    assert_eq!(std::fs::read(&files[0]).expect("the original"), scene.photo);
    scene.wake();
    scene.world.wait_orders(1, "done");
    assert_eq!(scene.accesses().len(), 1);
    wait_for("the posting at the hub", || (scene.balance() == -950).then_some(()));
    let range = format!("bytes {third}-{}/{length}", length - 1);
    let hubs: Vec<HubLeaf> = scene.leaves(LogKind::Hub);
    let resumed = |leaf: &HubLeaf| matches!(leaf, HubLeaf::Relayed { is_staged: true, range: of, .. } if *of == range);
    assert!(hubs.iter().any(resumed), "{hubs:?}");
}

#[test]
fn strangers_get_nothing_of_a_copy_and_neither_does_a_lab_without_credit() {
    let mut scene = Scene::new();
    scene.sleep();
    let own = Key::generate().expect("a key");
    let good = scene.proof(&scene.key, "GET", &scene.path);
    let status = |path: &str, proof: &str| scene.send("GET", path, &[("dpop", proof)], b"").status;
    assert_eq!(status(&scene.path, ""), 401);
    assert_eq!(status(&scene.path, &scene.proof(&own, "GET", &scene.path)), 403);
    assert_eq!(status(&scene.path, &scene.proof(&scene.key, "HEAD", &scene.path)), 401);
    assert_eq!(status(&scene.path, &good), 200);
    assert_eq!(status(&scene.path, &good), 401, "each proof is good once");
    let elsewhere = scene.path.replace(&scene.grant_id, &"0".repeat(26));
    assert_eq!(status(&elsewhere, &scene.proof(&scene.key, "GET", &elsewhere)), 404);
    // A receipt of somebody else, or for another order.
    let body = serde_json::json!({
        "grant_id": scene.grant_id, "sha256": ContentHash::of(&scene.photo),
    });
    let body = body.to_string();
    let hand_in = |path: &str, key: &Key| {
        let proof = scene.proof(key, "POST", path);
        scene.send("POST", path, &[("dpop", proof.as_str())], body.as_bytes()).status
    };
    assert_eq!(hand_in(&scene.receipt_path, &own), 403);
    let other = scene
        .receipt_path
        .replace(scene.receipt_path.split('/').rev().nth(1).expect("an order"), &"0".repeat(26));
    assert_eq!(hand_in(&other, &scene.key), 403);
    // Nobody but the owner brings copies.
    let brought =
        format!("/v1/staged/{}/{}", scene.path.split('/').nth(2).expect("an id"), scene.grant_id);
    for key in [&own, &scene.key] {
        let proof = scene.proof(key, "PUT", &brought);
        let answer = scene.send("PUT", &brought, &[("dpop", proof.as_str())], b"anything");
        assert_eq!(answer.status, 403, "{answer:?}");
    }
    let paused = ["hub", "providers", "pause", "lab"];
    scene.hub_home.run(&paused).done();
    assert_eq!(scene.ask("GET", &[]).status, 403);
    scene.hub_home.run(&["hub", "providers", "resume", "lab"]).done();
    assert_eq!(scene.ask("GET", &[]).status, 200);
    assert_eq!(scene.copies().len(), 1);
}

#[test]
fn owner_who_comes_back_and_withdraws_ends_what_is_under_way_and_the_copy() {
    // More than the buffers between hub and reader hold.
    let mut scene = Scene::with(&["--stage"], 24_000_000);
    scene.sleep();
    let proof = scene.proof(&scene.key, "GET", &scene.path);
    let mut reading = scene.open("GET", &scene.path, &[("dpop", &proof)], b"");
    let mut first = [0; 1000];
    reading.body_mut().as_reader().read_exact(&mut first).expect("it begins");
    scene.world.owner.run(&["stop"]).done();
    scene.wake();
    wait_for("the copy's end", || scene.copies().is_empty().then_some(()));
    // The reader comes to the cut after what was on its way.
    let mut rest = Vec::new();
    assert!(reading.body_mut().as_reader().read_to_end(&mut rest).is_err(), "it was cut");
    assert!(rest.len() < scene.photo.len());
    scene.agent.kill();
    scene.hub.line_with("\"away\"");
    assert_eq!(scene.ask("GET", &[]).status, 410);
    assert!(scene.accesses().is_empty());
}

#[test]
fn nothing_waits_at_the_hub_without_the_owners_word_or_room() {
    let mut scene = Scene::with(&[], 0);
    let shown = scene.world.owner.run(&["consent", "show"]).done().stdout;
    assert!(shown.contains("no copy lies at the hub"), "{shown}");
    // Whoever agrees later has a copy of what is under way, if the hub has room.
    let card = scene.world.lab.path().join("card.json");
    let allow = ["--yes", "consent", "allow", card.to_str().expect("plain"), "--local"];
    let clear = [&allow[..], &["--stage", "--through-hub", "clear"]].concat();
    assert_eq!(scene.world.owner.run(&clear).code, 2);
    scene.hub.kill();
    let hub_toml = scene.hub_home.path().join("hub.toml");
    change(&hub_toml, "staged_bytes_max = 10_737_418_240", "staged_bytes_max = 0");
    scene.hub = scene.hub_home.start(&["--json", "hub"]);
    scene.hub.line_with("listening");
    scene.world.owner.run(&[&allow[..], &["--stage"]].concat()).done();
    scene.agent.line_with("a copy is brought to the hub again later");
    scene.agent.kill();
    scene.hub.line_with("\"away\"");
    let waits = scene.ask("GET", &[]);
    assert_eq!((waits.status, waits.header("retry-after")), (503, "60"));
    assert!(scene.copies().is_empty());
}
