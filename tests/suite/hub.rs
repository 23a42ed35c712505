//! A hub between a lab and an owner's computer: real processes, real files, real connections.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use signet::access::proof::{self, ProvenRequest};
use signet::access::sealed::{Opened, SEAL_HEADER, Subject, sealed_len};
use signet::access::signed_call::{SignedCall, sign};
use signet::access::{Key, Membership};
use signet::base::clock::Timestamp;
use signet::base::ids::{ContentHash, derived};
use signet::hub::certificate;
use signet::hub::greeting::{agent_hello, hub_hello, read_welcome};
use signet::hub::home::template;
use signet::hub::protocol::{Ask, FRAME_BYTES_MAX, FromAgent, HubHello};
use signet::store::hub::{
    AgentKeys, AgentState, CodeRow, HubStore, Posting, PostingKind, Price, ProviderChange,
    ProviderRow, ProviderState, SqliteHub,
};
use signet::store::{Entry, Purpose};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

use crate::common::{Home, PATIENCE, Service, wait_for};
use crate::world::{World, free_port, sample};

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

    fn words(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Whether a hub has TLS, or something in front of it does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tls {
    Own,
    Off,
}

/// A hub's home.
struct HubHome {
    home: Home,
    /// `https://127.0.0.1:PORT`
    url: String,
    listen: String,
    key: String,
    certificate: Option<String>,
}

impl HubHome {
    fn new(tls: Tls) -> Self {
        let (home, listen) = (Home::new(), format!("127.0.0.1:{}", free_port()));
        let init = ["--json", "hub", "init", "--name", "Hub", "--listen", &listen];
        let made = home.run(&init).done().json().remove(0);
        let text = |name: &str| made[name].as_str().expect(name).to_owned();
        let (url, certificate) = match tls {
            Tls::Own => (format!("https://{listen}"), Some(text("certificate"))),
            Tls::Off => {
                let path = home.path().join("hub.toml");
                let config = std::fs::read_to_string(&path).expect("hub.toml");
                std::fs::write(&path, config.replace("[tls]", "[tls]\noff = true"))
                    .expect("written");
                (format!("http://{listen}"), None)
            }
        };
        Self { url, listen, key: text("key"), certificate, home }
    }

    fn start(&self) -> Service {
        let mut hub = self.home.start(&["--json", "hub"]);
        hub.line_with("listening");
        hub
    }

    fn store(&self) -> SqliteHub {
        SqliteHub::open(&self.home.path().join("hub.sqlite")).expect("the hub's database")
    }

    /// Takes a key in, as if its computer had joined.
    fn take_in(&self, key: &Key) -> String {
        let (key, now) = (key.public(), Timestamp::now());
        let agent_id = key.thumbprint();
        let verifier = ContentHash::of(agent_id.as_bytes());
        let code_hash = ContentHash::of(verifier.as_bytes());
        let store = self.store();
        let code = CodeRow {
            code_hash,
            verifier,
            label: "Ada".into(),
            replaces: None,
            made_at: now,
            expires_at: now.plus_millis(60_000),
        };
        store.put_code(&code).expect("a code");
        store.join(&code_hash, &agent_id, AgentKeys::one(&key.to_string()), now).expect("joined");
        agent_id
    }

    /// Lets an owner's computer know that it joined.
    fn join(&self, owner: &Path, agent_id: &str) {
        let membership = Membership {
            base_url: format!("{}/o/{agent_id}", self.url),
            url: self.url.clone(),
            hub_key: self.key.clone(),
            certificate: self.certificate.clone(),
            agent_id: agent_id.to_owned(),
            joined_at: Timestamp::now(),
        };
        membership.save(&signet::base::home::Home::at(owner)).expect("hub.json");
        allow(owner, &self.listen);
    }

    /// Takes a lab in that has a key and pays 50 for a photo.
    fn take_lab(&self, key: &Key) {
        let price = Price { member: None, purpose: None, megapixels_max: None, fee_minor: 50 };
        let provider = ProviderRow {
            name: "lab".into(),
            key: Some(key.public().to_string()),
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
        self.store().put_provider(&provider).expect("kept");
    }

    /// The lab pays in, or, when it is less than nothing, is paid out.
    fn top_up(&self, minor: i64) {
        let now = Timestamp::now();
        let entry = |account: &str, minor| Entry { account: account.into(), minor };
        let posting = Posting {
            posting_id: derived("top-up", &[&now.to_string(), &minor.to_string()]),
            kind: if minor > 0 { PostingKind::TopUp } else { PostingKind::PayOut },
            access: None,
            currency: "EUR".into(),
            at: now,
            posted_at: now,
            note: "paid in".into(),
            entries: vec![entry("cash", minor), entry("provider:lab", -minor)],
        };
        assert!(self.store().post(&posting).expect("posted"));
    }

    /// A client that believes the hub's own certificate.
    fn client(&self) -> ureq::Agent {
        // Made also where it is not shown.
        let pem = std::fs::read(self.home.path().join("keys/tls.pem")).expect("a certificate");
        let root = ureq::tls::Certificate::from_pem(&pem).expect("a certificate");
        let tls = ureq::tls::TlsConfig::builder()
            .root_certs(ureq::tls::RootCerts::from(vec![root]))
            .build();
        ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .tls_config(tls)
            .build()
            .into()
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Got {
        let mut answer = self.open(method, path, headers, Vec::new());
        let mut body = Vec::new();
        answer.body_mut().as_reader().read_to_end(&mut body).expect("whole");
        got(&answer, body)
    }

    fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> ureq::http::Response<ureq::Body> {
        let url = format!("{}{path}", self.url);
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.client().run(request.body(body).expect("a request")).expect("an answer")
    }

    /// Writes bytes as they are, and reads what comes until the hub ends it.
    fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.listen).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        stream.write_all(bytes).expect("written");
        let mut answer = Vec::new();
        // A connection that is reset ends it as well.
        let _ended = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

fn got(answer: &ureq::http::Response<ureq::Body>, body: Vec<u8>) -> Got {
    let text = |value: &ureq::http::HeaderValue| value.to_str().unwrap_or("").to_owned();
    let headers = answer.headers().iter();
    let headers = headers.map(|(name, value)| (name.to_string(), text(value))).collect();
    Got { status: answer.status().as_u16(), headers, body }
}

/// Lets an agent call an address of this computer.
fn allow(owner: &Path, place: &str) {
    let path = owner.join("signet.toml");
    let text = std::fs::read_to_string(&path).expect("signet.toml");
    assert!(text.contains("allow = ["), "{text}");
    let text = text.replace("allow = [", &format!("allow = [\"{place}\", "));
    std::fs::write(&path, text).expect("written");
}

/// A lab that got one order and is gone, an owner's computer that joined a hub.
struct Scene {
    world: World,
    hub_home: HubHome,
    hub: Service,
    agent: Service,
    agent_id: String,
    key: Key,
    photo: Vec<u8>,
    path: String,
    grant: String,
    grant_id: String,
}

impl Scene {
    fn new() -> Self {
        Self::with(Tls::Own, 0)
    }

    /// - `more_bytes`: so much longer is the photo's file
    fn with(tls: Tls, more_bytes: usize) -> Self {
        let (world, hub_home) = (World::new(), HubHome::new(tls));
        let key = Key::load_or_create(&world.lab.path().join("keys/lab.key")).expect("a key");
        let owner = world.owner.path();
        let owner_key = Key::load_or_create(&owner.join("keys/agent.key")).expect("its key");
        let agent_id = hub_home.take_in(&owner_key);
        hub_home.join(owner, &agent_id);
        hub_home.take_lab(&key);
        hub_home.top_up(1000);
        let mut hub = hub_home.start();
        let mut lab = world.start_lab();
        let mut agent = world.start_agent();
        agent.line_with("hub-connected");
        hub.line_with("connected");
        // Bytes behind a JPEG's end are no part of its picture.
        let photo = [sample("meadow"), vec![7; more_bytes]].concat();
        world.drop_photo("IMG_1.jpg", &photo);
        agent.line_with("accepted");
        lab.kill();
        let filed = world.filed();
        let (event, _) = filed.values().next().expect("an order");
        let member: &Value = &event["data"]["members"][0];
        let grant = member["grant"].as_str().expect("a grant").to_owned();
        let url = member["url"].as_str().expect("a url");
        let path = url.strip_prefix(&hub_home.url).expect("fetched at the hub").to_owned();
        let grant_id = path.split('/').rev().nth(1).expect("a grant id").to_owned();
        Self { world, hub_home, hub, agent, agent_id, key, photo, path, grant, grant_id }
    }

    fn proof(&self, key: &Key, method: &str, path: &str) -> String {
        let request = ProvenRequest { method, url: path, grant: &self.grant };
        proof::make(key, request, Timestamp::now()).expect("a proof")
    }

    fn fetch(&self, method: &str, more: &[(&str, &str)]) -> Got {
        let (grant, proof) = self.shown(method);
        let mut headers = vec![("authorization", grant.as_str()), ("dpop", proof.as_str())];
        headers.extend(more);
        self.hub_home.send(method, &self.path, &headers)
    }

    /// Begins to fetch; the body is for the caller to read.
    fn begin(&self) -> ureq::http::Response<ureq::Body> {
        let (grant, proof) = self.shown("GET");
        let headers = [("authorization", grant.as_str()), ("dpop", proof.as_str())];
        self.hub_home.open("GET", &self.path, &headers, Vec::new())
    }

    fn shown(&self, method: &str) -> (String, String) {
        (format!("DPoP {}", self.grant), self.proof(&self.key, method, &self.path))
    }

    /// Opens what came for a range of the photo.
    fn opened(&self, got: &Got, start: usize, end: usize) -> Vec<u8> {
        let digest = ContentHash::of(&self.photo);
        let (start, end) = (start as u64, end as u64);
        let subject = Subject { grant_id: &self.grant_id, digest: &digest, start, end };
        let mut opened =
            Opened::new(&*got.body, &self.key, got.header(SEAL_HEADER), subject).expect("a seal");
        let mut plain = Vec::new();
        opened.read_to_end(&mut plain).expect("opened");
        plain
    }
}

#[test]
fn original_comes_through_the_hub_whole_in_parts_and_by_its_etag() {
    let mut scene = Scene::new();
    let length = scene.photo.len();
    let whole = scene.fetch("GET", &[]);
    assert_eq!(whole.status, 200, "{}", whole.words());
    assert_eq!(scene.opened(&whole, 0, length), scene.photo);
    assert_eq!(whole.header("content-length"), sealed_len(length as u64).to_string());
    assert!(whole.header("repr-digest").starts_with("sha-256=:"));
    let etag = whole.header("etag").to_owned();

    let head = scene.fetch("HEAD", &[]);
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("etag"), etag);

    let half = length / 2;
    let first = scene.fetch("GET", &[("range", &format!("bytes=0-{}", half - 1))]);
    let rest = scene.fetch("GET", &[("range", &format!("bytes={half}-")), ("if-range", &etag)]);
    assert_eq!((first.status, rest.status), (206, 206));
    let parts = [scene.opened(&first, 0, half), scene.opened(&rest, half, length)];
    assert_eq!(parts.concat(), scene.photo);
    let other = scene.fetch("GET", &[("range", "bytes=5-"), ("if-range", "\"other\"")]);
    assert_eq!((other.status, scene.opened(&other, 0, length).len()), (200, length));
    assert_eq!(scene.fetch("GET", &[("if-none-match", &etag)]).status, 304);
    let outside = scene.fetch("GET", &[("range", "bytes=999999999-")]);
    assert_eq!(outside.status, 416);
    assert!(outside.header("content-range").starts_with("bytes */"));
    // One access, however often it was fetched.
    assert_eq!(scene.world.report("access").len(), 1);
    scene.hub.line_with("passed");
}

#[test]
fn strangers_at_the_hub_get_nothing() {
    let scene = Scene::new();
    let Scene { hub_home, path, grant, .. } = &scene;
    let ask = |path: &str, grant: Option<&str>, proof: Option<&str>| {
        let grant = grant.map(|grant| format!("DPoP {grant}"));
        let mut headers = Vec::new();
        headers.extend(grant.as_deref().map(|grant| ("authorization", grant)));
        headers.extend(proof.map(|proof| ("dpop", proof)));
        hub_home.send("GET", path, &headers)
    };
    let (ours, stranger) = (&scene.key, Key::generate().expect("a key"));
    assert_eq!(ask(path, None, None).status, 401, "without a grant");
    assert_eq!(ask(path, Some(grant), None).status, 401, "without a proof");
    let proof = scene.proof(&stranger, "GET", path);
    assert_eq!(ask(path, Some(grant), Some(&proof)).status, 403, "a stolen grant");
    let direct = path.split_once("/v1/").map(|(_, rest)| format!("/v1/{rest}")).expect("a path");
    let proof = scene.proof(ours, "GET", &direct);
    assert_eq!(ask(path, Some(grant), Some(&proof)).status, 401, "proven for another address");
    let altered = grant.replacen(grant.get(60..64).expect("long"), "AAAA", 1);
    let proof = scene.proof(ours, "GET", path);
    assert_eq!(ask(path, Some(&altered), Some(&proof)).status, 403, "an altered grant");
    let proof = scene.proof(ours, "GET", path);
    assert_eq!(ask(path, Some(grant), Some(&proof)).status, 200);
    assert_eq!(ask(path, Some(grant), Some(&proof)).status, 401, "a replayed proof");

    // Nobody's grant, nobody's computer, the computer of somebody else who joined.
    let unknown = format!("/o/{}/v1/grants/{}/content", scene.agent_id, derived("grant", &["x"]));
    let nobody = path.replace(&scene.agent_id, &stranger.public().thumbprint());
    hub_home.take_in(&stranger);
    let nobodys = Key::generate().expect("a key").public().thumbprint();
    let nobodys = path.replace(&scene.agent_id, &nobodys);
    for path in [unknown, nobody, nobodys, "/o/".into(), "/".into()] {
        let proof = scene.proof(ours, "GET", &path);
        assert_eq!(ask(&path, Some(grant), Some(&proof)).status, 404, "{path}");
    }
    // Over before it was asked for.
    let mut offer = hub_home.store().offer(&scene.agent_id, &scene.grant_id);
    let mut late = offer.as_mut().expect("read").take().expect("offered");
    late.grant_id = derived("grant", &["late"]);
    late.expires_at = Timestamp::now();
    hub_home.store().put_offer(&late).expect("kept");
    let late = path.replace(&scene.grant_id, &late.grant_id);
    assert_eq!(ask(&late, Some(grant), None).status, 410);
}

#[test]
fn owner_who_was_away_is_waited_for_and_told_of() {
    let mut scene = Scene::new();
    scene.agent.kill();
    scene.hub.line_with("away");
    let away = scene.fetch("GET", &[]);
    assert_eq!(away.status, 503, "{}", away.words());
    assert_eq!(away.header("retry-after"), "60");
    assert_eq!(away.header("content-type"), "application/problem+json");
    scene.agent = scene.world.start_agent();
    scene.agent.line_with("hub-connected");
    assert_eq!(scene.fetch("GET", &[]).status, 200);
    let notice = wait_for("a notice to the lab", || {
        let notices = scene.hub_home.store().due_notices(Timestamp::now(), 10).expect("read");
        notices.into_iter().next()
    });
    assert_eq!(notice.provider, "lab");
    assert!(notice.data.contains(&scene.grant_id), "{}", notice.data);
}

#[test]
fn provider_without_credit_is_refused_and_head_costs_nothing() {
    let scene = Scene::new();
    scene.hub_home.top_up(-970);
    let refused = scene.fetch("GET", &[]);
    assert_eq!(refused.status, 402, "{}", refused.words());
    assert_eq!(scene.fetch("HEAD", &[]).status, 200);
    scene.hub_home.top_up(20);
    assert_eq!(scene.fetch("GET", &[("range", "bytes=0-99")]).status, 206);
    assert_eq!(scene.hub_home.store().reserved("lab").expect("read"), 50);
    assert_eq!(scene.fetch("GET", &[]).status, 200, "its fee was set aside");
}

/// So long that much of it is on its way when a reader stalls.
const LONG: usize = 24 << 20;

#[test]
fn provider_that_goes_away_leaves_nothing_behind() {
    let mut scene = Scene::with(Tls::Own, LONG);
    let mut answer = scene.begin();
    answer.body_mut().as_reader().read_exact(&mut [0; 1000]).expect("the beginning");
    drop(answer);
    let line = scene.hub.line_with("passed");
    assert!(line.contains("the provider went away"), "{line}");
    assert!(scene.world.report("access").is_empty(), "it has not all of it");
    let whole = scene.fetch("GET", &[]);
    assert_eq!(scene.opened(&whole, 0, scene.photo.len()), scene.photo);
    assert_eq!(scene.world.report("access").len(), 1);
}

/// Begins to read, has something done, and reads on: how much came in all.
fn read_through(scene: &Scene, and: impl FnOnce()) -> io::Result<u64> {
    let mut answer = scene.begin();
    let mut body = answer.body_mut().as_reader();
    body.read_exact(&mut [0; 1000])?;
    and();
    io::copy(&mut body, &mut io::sink())
}

#[test]
fn transfer_ends_when_the_owner_takes_the_grant_back() {
    let mut scene = Scene::with(Tls::Own, LONG);
    let read = read_through(&scene, || {
        let world = &scene.world;
        world.owner.run(&["grants", "revoke", &scene.grant_id]).done();
    });
    assert!(read.is_err(), "{read:?}");
    scene.hub.line_with("passed");
    assert_eq!(scene.fetch("GET", &[]).status, 410);
    assert!(scene.world.report("access").is_empty());
}

#[test]
fn transfer_ends_when_the_provider_is_paused() {
    let scene = Scene::with(Tls::Own, LONG);
    let state = |state| {
        let change = ProviderChange::State { state, why: "looked at".into() };
        assert!(scene.hub_home.store().change_provider("lab", &change).expect("changed"));
    };
    let mut answer = scene.begin();
    let mut body = answer.body_mut().as_reader();
    body.read_exact(&mut [0; 1000]).expect("the beginning");
    state(ProviderState::Paused);
    let refused = wait_for("the refusal", || Some(scene.fetch("GET", &[])));
    assert_eq!(refused.status, 403);
    let mut hub = scene.hub;
    // The hub ends it although nobody reads; whoever reads then finds that it is not whole.
    let line = hub.line_with("passed");
    assert!(line.contains("took it back"), "{line}");
    io::copy(&mut body, &mut io::sink()).expect_err("cut");
}

#[test]
fn hub_that_stops_lets_transfers_end_and_calls_agents_back() {
    let mut scene = Scene::with(Tls::Own, LONG);
    let hub = scene.hub.id().to_string();
    let read = read_through(&scene, || {
        crate::common::finish(std::process::Command::new("kill").args(["-TERM", &hub])).done();
    });
    assert_eq!(read.expect("all of it") + 1000, sealed_len(scene.photo.len() as u64));
    let line = scene.agent.line_with("hub-away");
    assert!(line.contains("starts anew"), "{line}");
    scene.hub = scene.hub_home.start();
    scene.agent.next_line_with("hub-connected");
    assert_eq!(scene.fetch("GET", &[]).status, 200);
}

#[test]
fn agent_does_not_talk_to_another_hub_or_one_with_another_certificate() {
    let (world, hub_home) = (World::new(), HubHome::new(Tls::Own));
    let owner = world.owner.path();
    let key = Key::load_or_create(&owner.join("keys/agent.key")).expect("its key");
    let agent_id = hub_home.take_in(&key);
    hub_home.join(owner, &agent_id);
    let mut hub = hub_home.start();
    let home = signet::base::home::Home::at(owner);
    let right = Membership::load(&home).expect("read").expect("joined");
    let other = Key::generate().expect("a key").public();

    Membership { hub_key: other.to_string(), ..right.clone() }.save(&home).expect("written");
    let mut agent = world.start_agent_unready();
    let line = agent.line_with("hub-away");
    assert!(line.contains("not the hub that this computer joined"), "{line}");
    hub.line_with("stranger");
    agent.kill();

    let certificate = Some(ContentHash::of(b"another").to_string());
    Membership { certificate, ..right.clone() }.save(&home).expect("written");
    let mut agent = world.start_agent_unready();
    let line = agent.line_with("hub-away");
    assert!(line.contains("another certificate"), "{line}");
    agent.kill();

    // One that browsers trust is wanted, and a place that nobody named is not called.
    Membership { certificate: None, ..right.clone() }.save(&home).expect("written");
    let mut agent = world.start_agent_unready();
    let line = agent.line_with("hub-away");
    assert!(line.contains("certificate"), "{line}");
    agent.kill();
    let url = "https://127.0.0.1:9".to_owned();
    Membership { url, ..right.clone() }.save(&home).expect("written");
    let mut agent = world.start_agent_unready();
    let line = agent.line_with("hub-away");
    assert!(line.contains("add \\\"127.0.0.1:9\\\" to `allow`"), "{line}");
    agent.kill();

    right.save(&home).expect("written");
    let mut agent = world.start_agent_unready();
    agent.line_with("hub-connected");
    // Another computer takes its place: this one is no longer wanted.
    let lost =
        hub_home.store().set_agent_state(&agent_id, AgentState::Lost, "stolen", Timestamp::now());
    assert!(lost.expect("kept"));
    let line = agent.line_with("hub-away");
    assert!(line.contains("may not connect"), "{line}");
}

type Socket = WebSocketStream<tokio::net::TcpStream>;

/// An agent that is a test.
struct Agent {
    key: Key,
    agent_id: String,
}

impl Agent {
    fn of(hub: &HubHome) -> Self {
        let key = Key::generate().expect("a key");
        let agent_id = hub.take_in(&key);
        Self { key, agent_id }
    }

    async fn socket(hub: &HubHome) -> (Socket, HubHello) {
        let stream = tokio::net::TcpStream::connect(&hub.listen).await.expect("connected");
        let url = format!("ws://{}/v1/agent", hub.listen);
        let request = url.into_client_request().expect("a request");
        let (mut socket, _) =
            tokio_tungstenite::client_async(request, stream).await.expect("a socket");
        let hello = socket.next().await.expect("a hello").expect("a hello");
        (socket, serde_json::from_str(hello.to_text().expect("text")).expect("a hello"))
    }

    async fn connect(&self, hub: &HubHome) -> Socket {
        let (mut socket, hello) = Self::socket(hub).await;
        let (said, nonce) = agent_hello(&hello, &hub.key, &self.agent_id, &self.key).expect("said");
        socket.send(Message::text(said)).await.expect("sent");
        let welcome = socket.next().await.expect("welcome").expect("welcome");
        let hub_key = hub.key.parse().expect("a key");
        let welcome = welcome.to_text().expect("text");
        read_welcome(welcome, &hub_key, &self.agent_id, &nonce).expect("believed");
        socket
    }
}

/// What a hub says at the end, whatever it said before.
async fn end_of(socket: &mut Socket) -> String {
    loop {
        match socket.next().await {
            Some(Ok(Message::Close(Some(frame)))) => return frame.reason.to_string(),
            Some(Ok(_)) => {}
            Some(Err(SocketError::ConnectionClosed)) | None => return "closed".into(),
            Some(Err(error)) => return error.to_string(),
        }
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let within = async { tokio::time::timeout(PATIENCE, work).await.expect("in time") };
    runtime.expect("a runtime").block_on(within)
}

#[test]
fn channel_is_for_one_agent_and_ends_for_who_floods_it() {
    let hub_home = HubHome::new(Tls::Off);
    let mut hub = hub_home.start();
    let agent = Agent::of(&hub_home);
    block_on(async {
        // Who is not known, with a key that is not theirs, or says it again.
        let stranger = Agent { key: Key::generate().expect("a key"), ..Agent::of(&hub_home) };
        let (mut socket, hello) = Agent::socket(&hub_home).await;
        let hello =
            agent_hello(&hello, &hub_home.key, &stranger.agent_id, &stranger.key).expect("said");
        socket.send(Message::text(hello.0)).await.expect("sent");
        assert!(end_of(&mut socket).await.contains("its key is not the one"));
        let (mut socket, hello) = Agent::socket(&hub_home).await;
        let unknown = Key::generate().expect("a key");
        let id = unknown.public().thumbprint();
        let (said, _) = agent_hello(&hello, &hub_home.key, &id, &unknown).expect("said");
        socket.send(Message::text(said)).await.expect("sent");
        assert!(end_of(&mut socket).await.contains("did not join here"));
        let (mut socket, hello) = Agent::socket(&hub_home).await;
        let old = hub_hello(&hub_home.key.parse().expect("a key")).expect("a hello");
        assert_ne!(old.nonce, hello.nonce);
        let (said, _) =
            agent_hello(&old, &hub_home.key, &agent.agent_id, &agent.key).expect("said");
        socket.send(Message::text(said)).await.expect("sent");
        assert!(end_of(&mut socket).await.contains("another connection"));

        // The newer one stays.
        let mut first = agent.connect(&hub_home).await;
        let mut second = agent.connect(&hub_home).await;
        assert!(end_of(&mut first).await.contains("connected again"));
        let ask = FromAgent { ask: 1, what: Ask::Withdraw { which: None } };
        let ask = serde_json::to_string(&ask).expect("JSON");
        second.send(Message::text(ask.clone())).await.expect("sent");
        let answer = second.next().await.expect("an answer").expect("an answer");
        assert!(answer.to_text().expect("text").contains(r#""is":"done""#));

        // More than anybody should say; more at once; what is no message.
        let (mut sink, mut stream) = second.split();
        let flood = async {
            for _ in 0..100_000 {
                if sink.feed(Message::text(ask.clone())).await.is_err() {
                    return;
                }
            }
            let _gone = sink.flush().await;
        };
        let ended = async {
            while let Some(Ok(message)) = stream.next().await {
                if let Message::Close(Some(frame)) = message {
                    return frame.reason.to_string();
                }
            }
            String::new()
        };
        let (_, why) = tokio::join!(flood, ended);
        // Who floods may be cut off before it reads why.
        assert!(why.is_empty() || why.contains("too many messages"), "{why}");
        for wrong in [
            Message::text("x".repeat(FRAME_BYTES_MAX + 1)),
            Message::binary(vec![1, 2, 3]),
            Message::text("{}"),
        ] {
            let mut socket = agent.connect(&hub_home).await;
            let _cut = socket.send(wrong).await;
            end_of(&mut socket).await;
        }
    });
    let said = wait_for("all ends", || {
        hub.lines_since();
        let lines = hub.said();
        let away = lines.iter().filter(|line| line.contains("\"away\""));
        (away.count() == 5).then(|| lines.join("\n"))
    });
    for why in ["connected again", "too many messages", "no message", "the connection broke"] {
        assert!(said.contains(why), "{why}: {said}");
    }
}

#[test]
fn tricks_with_addresses_get_no_further_than_the_hub() {
    let scene = Scene::with(Tls::Off, 0);
    let Scene { hub_home, agent_id, path, grant_id, mut hub, agent: _agent, .. } = scene;
    hub.lines_since();
    let tricks = [
        "%2e%2e",
        "..",
        ".",
        "%2f",
        "%5c",
        "%00",
        "%",
        "%zz",
        "//",
        "/../",
        "/./",
        ";x",
        "%0d%0a",
        "é",
        "%c0%ae",
        "\\",
        "\t",
        "\u{202e}",
        "~",
        "*",
        "%20",
        "%25%32%65",
        "..%2f..%2f",
        "x",
    ];
    let mut tried = 0;
    for trick in tricks.into_iter().map(str::to_owned).chain(["x".repeat(9000), "%2e".repeat(900)])
    {
        for target in [
            format!("/o/{agent_id}/{trick}/v1/grants/{grant_id}/content"),
            format!("/o/{agent_id}{trick}/v1/grants/{grant_id}/content"),
            format!("/o/{trick}{agent_id}/v1/grants/{grant_id}/content"),
            format!("/o/{agent_id}/v1/grants/{trick}{grant_id}/content"),
            format!("/o/{agent_id}/v1/grants/{grant_id}{trick}/content"),
            format!("/o/{agent_id}/v1/grants/{grant_id}/content{trick}"),
            format!("/o/{agent_id}/v1/grants/{grant_id}/{trick}/content"),
            format!("/o/{agent_id}/v1/decide/{trick}"),
            format!("/o/{agent_id}/v1/{trick}"),
            format!("{trick}{path}"),
        ] {
            tried += 1;
            let request = format!("GET {target} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
            let answer = hub_home.raw(request.as_bytes());
            let status = answer.get(..12).unwrap_or_default();
            let refused = ["HTTP/1.1 404", "HTTP/1.1 400", "HTTP/1.1 414", "HTTP/1.1 431"];
            assert!(refused.contains(&status) || answer.is_empty(), "{target:?}: {answer}");
        }
    }
    assert!(tried > 250);
    // What two requests in one might be; a body with two lengths.
    for smuggled in [
        format!(
            "GET {path} HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef"
        ),
        format!(
            "GET {path} HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\nGET"
        ),
        format!("GET {path}\0 HTTP/1.1\r\nhost: h\r\n\r\n"),
        format!("GET {path} HTTP/1.1\r\nhost: h\r\n{}\r\n", "x: y\r\n".repeat(100)),
    ] {
        let answer = hub_home.raw(smuggled.as_bytes());
        assert!(!answer.contains("HTTP/1.1 200"), "{answer}");
    }
    let lines = hub.lines_since();
    assert!(!lines.iter().any(|line| line.contains("200")), "{lines:?}");
}

#[test]
fn who_dawdles_or_says_too_much_is_let_go() {
    let hub_home = HubHome::new(Tls::Off);
    let _hub = hub_home.start();
    let agent = Agent::of(&hub_home);
    std::thread::scope(|scope| {
        // A head that never ends, and a channel on which nothing is said.
        scope.spawn(|| {
            let answer = hub_home.raw(b"GET /v1/health HTTP/1.1\r\nhost: h\r\nx-slow: ");
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
        });
        scope.spawn(|| {
            block_on(async {
                let (mut socket, _) = Agent::socket(&hub_home).await;
                assert!(end_of(&mut socket).await.contains("said nothing"));
            });
        });
    });
    let order = derived("order", &["a"]);
    let path = format!("/o/{}/v1/orders/{order}/receipt", agent.agent_id);
    block_on(async {
        let _there = agent.connect(&hub_home).await;
        let post = |path: String, size: usize| {
            let hub = &hub_home;
            let answer =
                hub.open("POST", &path, &[("content-type", "application/json")], vec![b'x'; size]);
            answer.status().as_u16()
        };
        assert_eq!(post(path, 30_000), 413);
        assert_eq!(post("/v1/transfers/x".into(), 10), 400);
        assert_eq!(post(format!("/v1/transfers/{}", agent.agent_id), 10), 400);
    });
    let head = base64::Engine::encode(
        &base64::engine::general_purpose::URL_SAFE_NO_PAD,
        r#"{"status":200,"headers":{}}"#,
    );
    let transfer = format!("/v1/transfers/{}", agent.agent_id);
    let nobody = hub_home.open("POST", &transfer, &[("signet-head", &head)], vec![0; 10]);
    assert_eq!(nobody.status().as_u16(), 410, "nobody waits for it");
}

#[test]
fn lab_checks_by_itself_what_it_was_charged_for() {
    let scene = Scene::new();
    let photo = scene.fetch("GET", &[]);
    assert_eq!(photo.status, 200, "{}", photo.words());
    let asked = |query: &str| {
        let path = format!("/v1/provider/accesses{query}");
        let url = format!("{}{path}", scene.hub_home.url);
        let call = SignedCall { method: "GET", url: &url, body: b"" };
        let proof = sign(&scene.key, call, Timestamp::now()).expect("signed");
        let got = scene.hub_home.send("GET", &path, &[("signet-proof", &proof)]);
        serde_json::from_slice::<Value>(&got.body).expect("JSON")
    };
    let page = wait_for("the charge with its proof", || {
        let page = asked("?proof=true");
        page["lines"][0]["access"]["proof"].is_object().then_some(page)
    });
    assert!(asked("")["lines"][0]["access"].get("proof").is_none(), "only when it is asked for");

    let lab = &scene.world.lab;
    let verify = |page: &Value, more: &[&str]| {
        let file = lab.write("charges.json", page.to_string());
        let file = file.to_str().expect("a plain path");
        let run = lab.run(&[&["--json", "lab", "verify", file], more].concat());
        (run.code, run.json())
    };
    let (code, said) = verify(&page, &[]);
    assert_eq!((code, said.len()), (0, 1), "{said:?}");
    assert_eq!((&said[0]["proven"], &said[0]["minor"]), (&json!(true), &json!(50)));
    assert_eq!(said[0]["grant"], scene.grant_id);

    // The hub takes more than the owner's computer signed for.
    let mut dearer = page.clone();
    dearer["lines"][0]["minor"] = json!(51);
    let (code, said) = verify(&dearer, &[]);
    assert_eq!((code, &said[0]["faults"]), (1, &json!(["the log has another fee: 50"])));
    // It signs a log of its own making.
    let mut forged = page.clone();
    let other = Key::generate().expect("a key").public().to_string();
    forged["lines"][0]["access"]["proof"]["key"] = json!(other);
    let (code, said) = verify(&forged, &[]);
    assert_eq!((code, &said[0]["proven"]), (1, &json!(false)), "{said:?}");
    let (code, said) = verify(&forged, &["--key", &format!("{}={other}", scene.agent_id)]);
    let fault = json!(["the signature of the head does not match"]);
    assert_eq!((code, &said[0]["faults"]), (1, &fault), "that key did not sign it");
    assert_eq!(verify(&json!({ "lines": 1 }), &[]).0, 1, "no statement");
}

#[test]
fn events_call_an_agent_by_a_name_that_only_its_hub_knows() {
    let mut scene = Scene::new();
    scene.fetch("GET", &[]);
    let passed: Value = serde_json::from_str(&scene.hub.line_with("passed")).expect("JSON");
    let name = passed["agent"].as_str().expect("a name").to_owned();
    let said = scene.hub.said().join("\n");
    assert!(!said.contains(&scene.agent_id), "{said}");
    let shown = scene.hub_home.home.run(&["--json", "hub", "agents", "show", &name]).done().json();
    assert_eq!(shown[0]["agent_id"], scene.agent_id);
    assert_eq!(shown[0]["log_name"], name);
    assert_eq!(scene.hub_home.home.run(&["hub", "agents", "show", "a0"]).code, 2);
}

#[test]
fn check_says_when_the_certificate_ends() {
    let checked = |hub: &HubHome| {
        let run = hub.home.run(&["--json", "hub", "check"]);
        let said = run.json().into_iter().find(|line| line["part"] == "certificate");
        let said = said.expect("a line about it");
        (run.code, said["good"] == true, said["text"].as_str().expect("words").to_owned())
    };
    let own = HubHome::new(Tls::Own);
    let (code, is_good, text) = checked(&own);
    assert!(is_good && text.contains("made by the hub itself, ends"), "{code}: {text}");
    let off = checked(&HubHome::new(Tls::Off));
    assert!(off.1 && off.2.contains("something in front"), "{off:?}");

    // One that was given, and ends in some ten days.
    let day_ms = 86_400_000;
    let made_at = Timestamp::now().plus_millis((10 - 3650) * day_ms);
    let (folder, given) = (Home::new(), HubHome::new(Tls::Own));
    let elsewhere = signet::hub::home::HubHome::at(folder.path());
    elsewhere.create(&template("a", "127.0.0.1:0", None)).expect("made");
    let config = elsewhere.config().expect("read");
    let files = certificate::files(&elsewhere, &config, made_at).expect("made").expect("one");
    let path = given.home.path().join("hub.toml");
    let text = std::fs::read_to_string(&path).expect("hub.toml");
    let named = format!("[tls]\ncertificate = {:?}\nkey = {:?}", files.certificate, files.key);
    std::fs::write(&path, text.replace("[tls]", &named)).expect("written");
    let (code, is_good, text) = checked(&given);
    assert!(code == 1 && !is_good, "{code}: {text}");
    assert!(text.contains("days; renew it: the hub takes the new files over"), "{text}");
    let mut hub = given.start();
    hub.line_with("the certificate as hub.toml names it, ends");
}
