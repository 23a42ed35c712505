//! A hub between a lab and an owner's computer: real processes, real files, real connections.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use signet::access::proof::{self, ProvenRequest};
use signet::access::{Key, Membership};
use signet::base::clock::Timestamp;
use signet::base::ids::ContentHash;
use signet::base::member::Member;
use signet::store::Purpose;
use signet::store::hub::{
    AgentState, CodeRow, HubStore, OfferRow, Posting, PostingKind, Price, ProviderRow,
    ProviderState, SqliteHub,
};

use crate::common::{Home, PATIENCE, Service, wait_for};
use crate::world::{World, free_port, sample};

/// What one request got.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether the body broke off.
    is_broken: bool,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

/// A hub's home with its own certificate.
pub(crate) struct HubHome {
    pub(crate) home: Home,
    pub(crate) listen: String,
    key: String,
    certificate: String,
}

impl HubHome {
    pub(crate) fn new() -> Self {
        let (home, listen) = (Home::new(), format!("127.0.0.1:{}", free_port()));
        let made = home.run(&["--json", "hub", "init", "--name", "Hub", "--listen", &listen]);
        let made = made.done().json().remove(0);
        let text = |name: &str| made[name].as_str().expect(name).to_owned();
        Self { home, listen, key: text("key"), certificate: text("certificate") }
    }

    pub(crate) fn start(&self) -> Service {
        let mut hub = self.home.start(&["--json", "hub"]);
        hub.line_with("listening");
        hub
    }

    pub(crate) fn store(&self) -> SqliteHub {
        SqliteHub::open(&self.home.path().join("hub.sqlite")).expect("the hub's database")
    }

    /// Takes an owner's computer in, as if it had joined.
    pub(crate) fn take_in(&self, owner: &Path) -> String {
        let key = Key::load_or_create(&owner.join("keys/agent.key")).expect("its key").public();
        let (agent_id, now) = (key.thumbprint(), Timestamp::now());
        let code_hash = ContentHash::of(agent_id.as_bytes());
        let store = self.store();
        let code = CodeRow {
            code_hash,
            verifier: code_hash,
            label: "Ada".into(),
            replaces: None,
            made_at: now,
            expires_at: now.plus_millis(60_000),
        };
        store.put_code(&code).expect("a code");
        store.join(&code_hash, &agent_id, &key.to_string(), now).expect("joined");
        let url = format!("https://{}", self.listen);
        let membership = Membership {
            base_url: format!("{url}/o/{agent_id}"),
            url,
            hub_key: self.key.clone(),
            certificate: Some(self.certificate.clone()),
            agent_id: agent_id.clone(),
            joined_at: now,
        };
        membership.save(&signet::base::home::Home::at(owner)).expect("hub.json");
        allow(owner, &self.listen);
        agent_id
    }

    /// Takes a lab in that has a key and pays 25 for a photo.
    pub(crate) fn take_lab(&self, key: &Key) {
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
            prices: vec![Price {
                member: None,
                purpose: None,
                megapixels_max: None,
                fee_minor: 25,
            }],
        };
        self.store().put_provider(&provider).expect("kept");
    }

    pub(crate) fn top_up(&self, minor: i64) {
        let now = Timestamp::now();
        let entry = |account: &str, minor| signet::store::Entry { account: account.into(), minor };
        let posting = Posting {
            posting_id: signet::base::ids::derived("top-up", &[&now.to_string()]),
            kind: PostingKind::TopUp,
            access: None,
            currency: "EUR".into(),
            at: now,
            note: "paid in".into(),
            entries: vec![entry("cash", minor), entry("provider:lab", -minor)],
        };
        assert!(self.store().post(&posting).expect("posted"));
    }

    /// A client that believes the hub's own certificate.
    pub(crate) fn client(&self) -> ureq::Agent {
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

    pub(crate) fn send(&self, method: &str, url: &str, headers: &[(&str, &str)]) -> Got {
        let client = self.client();
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut answer = client.run(request.body(()).expect("a request")).expect("an answer");
        let headers = answer.headers().iter();
        let text = |value: &ureq::http::HeaderValue| value.to_str().unwrap_or("").to_owned();
        let headers = headers.map(|(name, value)| (name.to_string(), text(value))).collect();
        let mut body = Vec::new();
        let read = answer.body_mut().as_reader().read_to_end(&mut body);
        Got { status: answer.status().as_u16(), headers, body, is_broken: read.is_err() }
    }
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
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) hub_home: HubHome,
    pub(crate) hub: Service,
    pub(crate) agent: Service,
    pub(crate) agent_id: String,
    pub(crate) key: Key,
    pub(crate) photo: Vec<u8>,
    path: PathBuf,
    grant: String,
    grant_id: String,
    order: Value,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let (world, hub_home) = (World::new(), HubHome::new());
        let key = Key::load_or_create(&world.lab.path().join("keys/lab.key")).expect("a key");
        let agent_id = hub_home.take_in(world.owner.path());
        hub_home.take_lab(&key);
        hub_home.top_up(1000);
        let mut hub = hub_home.start();
        let mut lab = world.start_lab();
        let mut agent = world.start_agent();
        agent.line_with("hub-connected");
        hub.line_with("connected");
        let photo = sample("meadow");
        let path = world.drop_photo("IMG_1.jpg", &photo);
        agent.line_with("accepted");
        lab.kill();
        let filed = world.filed();
        let (event, _) = filed.values().next().expect("an order");
        let order = event["data"].clone();
        let member = &order["members"][0];
        let grant = member["grant"].as_str().expect("a grant").to_owned();
        let url = member["url"].as_str().expect("a url");
        let grant_id = url.split('/').rev().nth(1).expect("a grant id").to_owned();
        let scene = Self {
            world,
            hub_home,
            hub,
            agent,
            agent_id,
            key,
            photo,
            path,
            grant,
            grant_id,
            order,
        };
        scene.offer(&scene.grant_id);
        scene
    }

    /// Offers the photo under the id of a grant.
    fn offer(&self, grant_id: &str) {
        let now = Timestamp::now();
        let row = OfferRow {
            agent_id: self.agent_id.clone(),
            grant_id: grant_id.to_owned(),
            order_key: self.order["order_key"].as_str().unwrap_or("order").to_owned(),
            provider: "lab".into(),
            member: Member::Original,
            purpose: Purpose::Print,
            digest: ContentHash::of(&self.photo),
            bytes_count: self.photo.len() as u64,
            fee_minor: 25,
            currency: "EUR".into(),
            expires_at: now.plus_millis(3_600_000),
            withdrawn_at: None,
        };
        assert!(self.hub_home.store().put_offer(&row).expect("offered"));
    }

    fn path(&self) -> String {
        format!("/o/{}/v1/grants/{}/content", self.agent_id, self.grant_id)
    }

    fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.hub_home.listen)
    }

    fn proof(&self, method: &str, path: &str) -> String {
        let url = self.url(path);
        let request = ProvenRequest { method, url: &url, grant: &self.grant };
        proof::make(&self.key, request, Timestamp::now()).expect("a proof")
    }

    pub(crate) fn fetch(&self, method: &str, more: &[(&str, &str)]) -> Got {
        let path = self.path();
        let grant = format!("DPoP {}", self.grant);
        let proof = self.proof(method, &path);
        let mut headers = vec![("authorization", grant.as_str()), ("dpop", proof.as_str())];
        headers.extend(more);
        self.hub_home.send(method, &self.url(&path), &headers)
    }
}

#[test]
fn original_comes_through_the_hub_whole_in_parts_and_by_its_etag() {
    let mut scene = Scene::new();
    let whole = scene.fetch("GET", &[]);
    assert_eq!(whole.status, 200, "{}", String::from_utf8_lossy(&whole.body));
    assert_eq!(ContentHash::of(&whole.body), ContentHash::of(&scene.photo));
    assert_eq!(whole.header("content-length"), scene.photo.len().to_string());
    assert_eq!(whole.header("content-type"), "image/jpeg");
    assert!(whole.header("repr-digest").starts_with("sha-256=:"));
    let etag = whole.header("etag").to_owned();

    let head = scene.fetch("HEAD", &[]);
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), scene.photo.len().to_string());
    assert_eq!(head.header("etag"), etag);

    let half = scene.photo.len() / 2;
    let first = scene.fetch("GET", &[("range", &format!("bytes=0-{}", half - 1))]);
    let rest = scene.fetch("GET", &[("range", &format!("bytes={half}-")), ("if-range", &etag)]);
    assert_eq!((first.status, rest.status), (206, 206));
    assert_eq!([first.body, rest.body].concat(), scene.photo);
    let other = scene.fetch("GET", &[("range", "bytes=5-"), ("if-range", "\"other\"")]);
    assert_eq!((other.status, other.body.len()), (200, scene.photo.len()));
    assert_eq!(scene.fetch("GET", &[("if-none-match", &etag)]).status, 304);
    let outside = scene.fetch("GET", &[("range", "bytes=999999999-")]);
    assert_eq!(outside.status, 416);
    assert!(outside.header("content-range").starts_with("bytes */"));
    // One access, however often it was fetched.
    assert_eq!(scene.world.report("access").len(), 1);
    scene.hub.line_with("passed");
}
