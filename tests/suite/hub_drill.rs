//! A hub that was taken over: real TLS, a real channel, everything that passes, and the will to get
//! at originals. It may refuse and lie; it gets none, and the lab gets its photo all the same.
//!
//! What it tries: grants that it makes up, the real one with its own key, the lab's proofs kept back,
//! used for something else or used again, altered grants and digests, links without their secret,
//! the owner's own pages, receipts for what nobody fetched, 500 paths that lead elsewhere; the files
//! that wait with it, and tales of who fetched them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{DefaultBodyLimit, Path as UrlPath, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post, put};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use futures_util::StreamExt;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use signet::access::proof::{self, ProvenRequest};
use signet::access::sealed::{Opened, Subject};
use signet::access::{Claims, Key, Membership, grant, jws};
use signet::base::clock::Timestamp;
use signet::base::home::Home as OwnerHome;
use signet::base::ids::ContentHash;
use signet::hub::greeting::{hub_hello, nonce, read_agent_hello, welcome};
use signet::hub::protocol::{
    Answer, Ask, FromAgent, FromHub, HEAD_HEADER, HEADERS_IN, HEADERS_OUT, Head, HubWelcome, Serve,
};
use signet::store::hub::{Taking, TakingRow};
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsAcceptor;

use crate::common::{Service, wait_for};
use crate::world::{World, free_port, sample};

/// How long a try waits for an answer that may never come. What comes later is looked at too.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// What the hub holds, and what passed through it.
#[derive(Default)]
struct Loot {
    channel: Option<mpsc::UnboundedSender<FromHub>>,
    waiting: HashMap<String, oneshot::Sender<(Head, Bytes)>>,
    /// Grants that it was told of.
    offered: Vec<String>,
    withdrawn: Vec<Option<String>>,
    /// What labs asked: path and headers.
    asked: Vec<(String, BTreeMap<String, String>)>,
    /// All bodies that the agent ever sent.
    bodies: Vec<(Head, Bytes)>,
    /// Copies that it brought, with their seals.
    copies: Vec<(String, Bytes)>,
    /// What was taken of them, as the hub says, until the agent took note.
    takings: Vec<TakingRow>,
}

struct Hub {
    key: Key,
    agent_id: String,
    base_url: String,
    keeps_back: AtomicBool,
    loot: Mutex<Loot>,
}

impl Hub {
    fn loot(&self) -> MutexGuard<'_, Loot> {
        self.loot.lock().expect("nobody panicked")
    }

    /// Has a request answered by the agent, as if a provider had made it; `None` when the agent does
    /// not want to.
    async fn serve(&self, serve: Serve) -> Option<(Head, Bytes)> {
        let (sender, answer) = oneshot::channel();
        {
            let mut loot = self.loot();
            loot.waiting.insert(serve.transfer.clone(), sender);
            loot.channel.as_ref()?.send(FromHub::Serve(Box::new(serve))).ok()?;
        }
        tokio::time::timeout(ANSWER_MAX, answer).await.ok()?.ok()
    }

    fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Serve {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Serve {
            transfer: nonce().expect("random"),
            method: method.into(),
            path: path.into(),
            headers: headers.collect(),
            body: String::new(),
            remote: "203.0.113.9".into(),
            provider: "lab".into(),
        }
    }
}

/// Says what an honest hub would say, and keeps what it hears.
async fn channel(State(hub): State<Arc<Hub>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(move |socket| async move {
        let _gone = talk(hub, socket).await;
    })
}

async fn talk(hub: Arc<Hub>, mut socket: WebSocket) -> Option<()> {
    let hello = hub_hello(&hub.key.public()).expect("random");
    socket.send(text(&hello)).await.ok()?;
    let Message::Text(said) = socket.recv().await?.ok()? else { return None };
    let said = read_agent_hello(&said, &hello).expect("the agent's hello");
    let signed = HubWelcome {
        agent_id: hub.agent_id.clone(),
        nonce: said.nonce,
        base_url: hub.base_url.clone(),
        agent_log_size: 0,
        hub_log: None,
    };
    socket.send(Message::text(welcome(&hub.key, &signed).expect("signed"))).await.ok()?;
    let (sender, mut serves) = mpsc::unbounded_channel();
    hub.loot().channel = Some(sender);
    loop {
        let answer = tokio::select! {
            serve = serves.recv() => serve?,
            message = socket.recv() => {
                let Message::Text(said) = message?.ok()? else { continue };
                let asked: FromAgent = serde_json::from_str(&said).expect("a question");
                FromHub::Answer { ask: asked.ask, answer: answer(&hub, asked.what) }
            }
        };
        socket.send(text(&answer)).await.ok()?;
    }
}

fn text(message: &impl serde::Serialize) -> Message {
    Message::text(serde_json::to_string(message).expect("JSON"))
}

fn answer(hub: &Hub, what: Ask) -> Answer {
    let mut loot = hub.loot();
    match what {
        Ask::Quote { .. } => Answer::Quote {
            provider: "lab".into(),
            fee_minor: 25,
            currency: "EUR".into(),
            service_percent: 20,
            is_covered: true,
        },
        Ask::Offer { grant, .. } => {
            loot.offered.push(grant);
            Answer::Done
        }
        Ask::Withdraw { which } => {
            loot.withdrawn.push(which);
            Answer::Done
        }
        Ask::Delivered { noted } => {
            loot.takings.retain(|taking| !noted.contains(&taking.name()));
            Answer::Delivered { takings: loot.takings.clone() }
        }
        _ => Answer::No { later: true, why: "not today".into() },
    }
}

/// The agent answers.
async fn transfer(
    State(hub): State<Arc<Hub>>,
    UrlPath(transfer): UrlPath<String>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let head = headers.get(HEAD_HEADER).expect("a head").as_bytes();
    let head = URL_SAFE_NO_PAD.decode(head).expect("base64url");
    let head: Head = serde_json::from_slice(&head).expect("a head");
    let mut loot = hub.loot();
    loot.bodies.push((head.clone(), body.clone()));
    if let Some(waiting) = loot.waiting.remove(&transfer) {
        let _nobody_waits = waiting.send((head, body));
    }
    StatusCode::NO_CONTENT
}

/// The agent brings a copy.
async fn keep(State(hub): State<Arc<Hub>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let seal = headers.get("signet-seal").expect("a seal").to_str().expect("text").to_owned();
    hub.loot().copies.push((seal, body));
    StatusCode::NO_CONTENT
}

/// A lab asks: handed on as an honest hub would, or kept back.
async fn hand_on(State(hub): State<Arc<Hub>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let headers: BTreeMap<String, String> = HEADERS_IN
        .iter()
        .filter_map(|name| Some(((*name).into(), parts.headers.get(*name)?.to_str().ok()?.into())))
        .collect();
    let path = parts.uri.path().to_owned();
    hub.loot().asked.push((path.clone(), headers.clone()));
    if hub.keeps_back.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "1")]).into_response();
    }
    let body = to_bytes(body, 1 << 16).await.expect("a body");
    let mut serve = hub.request(parts.method.as_str(), &path, &[]);
    (serve.headers, serve.body) = (headers, STANDARD.encode(body));
    let Some((head, body)) = hub.serve(serve).await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(head.status).expect("a status");
    for name in HEADERS_OUT {
        if let Some(value) = head.headers.get(name) {
            response.headers_mut().insert(name, value.parse().expect("a value"));
        }
    }
    response
}

/// A hub at an address of its own, with a certificate that it made itself.
struct Taken {
    hub: Arc<Hub>,
    runtime: tokio::runtime::Runtime,
    address: SocketAddr,
    certificate: rcgen::Certificate,
}

impl Taken {
    fn over(agent_id: String) -> Self {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
        let certificate = params.self_signed(&key).expect("signed");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let private = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .expect("a certificate");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let port = free_port();
        let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", port)));
        let listener = listener.expect("a port");
        let address = listener.local_addr().expect("an address");
        let hub = Arc::new(Hub {
            key: Key::generate().expect("a key"),
            base_url: format!("https://{address}/o/{agent_id}"),
            agent_id,
            keeps_back: AtomicBool::new(false),
            loot: Mutex::default(),
        });
        let router = Router::new()
            .route("/v1/agent", get(channel))
            .route("/v1/transfers/{transfer}", post(transfer))
            .route("/v1/staged/{agent}/{grant}", put(keep))
            .route("/o/{*path}", any(hand_on))
            .layer(DefaultBodyLimit::disable())
            .with_state(hub.clone());
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, router) = (acceptor.clone(), router.clone());
                tokio::spawn(async move {
                    let stream = acceptor.accept(stream).await.ok()?;
                    let service = TowerToHyperService::new(router);
                    let server = hyper::server::conn::http1::Builder::new();
                    let connection = server.serve_connection(TokioIo::new(stream), service);
                    connection.with_upgrades().await.ok()
                });
            }
        });
        Self { hub, runtime, address, certificate }
    }

    /// The owner of a world joined this hub, and the world's lab believes its certificate.
    fn join(&self, world: &World) {
        let membership = Membership {
            url: format!("https://{}", self.address),
            hub_key: self.hub.key.public().to_string(),
            certificate: Some(ContentHash::of(self.certificate.der()).to_string()),
            agent_id: self.hub.agent_id.clone(),
            base_url: self.hub.base_url.clone(),
            joined_at: Timestamp::now(),
        };
        membership.save(&OwnerHome::at(world.owner.path())).expect("written");
        world.lab.write("hub.pem", self.certificate.pem());
        for (home, file, trust) in
            [(&world.owner, "signet.toml", ""), (&world.lab, "lab.toml", "trust = \"hub.pem\"\n")]
        {
            let path = home.path().join(file);
            let text = std::fs::read_to_string(&path).expect("a config");
            let allow = format!("{trust}allow = [\"{}\", ", self.address);
            let text = text.replacen("allow = [", &allow, 1);
            assert!(text.contains(&allow), "{text}");
            std::fs::write(&path, text).expect("written");
        }
    }

    /// One try to get something; the answer's status, 0 when the agent did not care to answer.
    fn attempt(&self, serve: Serve) -> u16 {
        let answer = self.runtime.block_on(self.hub.serve(serve));
        answer.map_or(0, |(head, _body)| head.status)
    }

    fn get(&self, path: &str, headers: &[(&str, &str)]) -> u16 {
        self.attempt(self.hub.request("GET", path, headers))
    }

    /// With a proof by a key of the hub's choice.
    fn get_proven(&self, path: &str, token: &str, key: &Key) -> u16 {
        let request = ProvenRequest { method: "GET", url: path, grant: token };
        let proof = proof::make(key, request, Timestamp::now()).expect("a proof");
        self.get(path, &[("authorization", &format!("DPoP {token}")), ("dpop", &proof)])
    }
}

/// A grant without its signature being checked: what the hub can read of it.
fn claims_of(token: &str) -> Claims {
    let parsed = jws::parse(token, grant::TYP).expect("a grant");
    serde_json::from_slice(parsed.payload()).expect("claims")
}

/// Whether bytes hold any 16 of a photo that begin at a multiple of 16 there.
struct Traces(HashSet<[u8; 16]>);

impl Traces {
    fn of(photo: &[u8]) -> Self {
        let chunks = photo.chunks_exact(16).map(|chunk| chunk.try_into().expect("16 bytes"));
        // Paddings are in every file.
        Self(
            chunks
                .filter(|chunk: &[u8; 16]| chunk.windows(2).any(|two| two[0] != two[1]))
                .collect(),
        )
    }

    fn are_in(&self, bytes: &[u8]) -> bool {
        bytes.windows(16).any(|window| self.0.contains(window))
    }
}

struct Scene {
    world: World,
    taken: Taken,
    agent: Service,
    _lab: Service,
    photo: Vec<u8>,
}

/// An owner whose hub was taken over, an order, and a lab whose requests the hub keeps back.
fn scene() -> Scene {
    scene_with(&[])
}

/// - `consent`: more of what the owner agrees to
fn scene_with(consent: &[&str]) -> Scene {
    let world = World::new();
    if !consent.is_empty() {
        let card = world.lab.path().join("card.json");
        let allow = ["--yes", "consent", "allow", card.to_str().expect("plain"), "--local"];
        world.owner.run(&[&allow[..], &["--purpose", "print,share"], consent].concat()).done();
    }
    let agent_key = Key::load_or_create(&world.owner.path().join("keys/agent.key")).expect("a key");
    let taken = Taken::over(agent_key.public().thumbprint());
    taken.join(&world);
    taken.hub.keeps_back.store(true, Ordering::Relaxed);
    let lab = world.start_lab();
    let mut agent = world.start_agent();
    agent.line_with("hub-connected");
    let photo = sample("meadow");
    world.drop_photo("IMG_1.jpg", &photo);
    agent.line_with("accepted");
    wait_for("the lab's request at the hub", || (!taken.hub.loot().asked.is_empty()).then_some(()));
    Scene { world, taken, agent, _lab: lab, photo }
}

#[test]
fn hub_that_was_taken_over_gets_no_original_and_the_lab_gets_its_photo() {
    let Scene { world, taken, agent: _agent, _lab, photo } = scene();
    let hub = &taken.hub;
    let (path, kept_back) = hub.loot().asked[0].clone();
    let token = hub.loot().offered[0].clone();
    let claims = claims_of(&token);
    assert_eq!(path, format!("/o/{}/v1/grants/{}/content", hub.agent_id, claims.jti));
    let own = Key::generate().expect("a key");
    let mut tries_count = 0;
    let mut refused = |what: &str, status: u16| {
        tries_count += 1;
        assert!(!(200..400).contains(&status), "{what}: {status}");
    };

    // What it has, without or with the wrong key.
    refused("no grant", taken.get(&path, &[]));
    refused("no proof", taken.get(&path, &[("authorization", &format!("DPoP {token}"))]));
    refused("its own key", taken.get_proven(&path, &token, &own));
    refused("the hub's key", taken.get_proven(&path, &token, &hub.key));

    // Grants that it makes up, for its own key.
    let sign = |claims: &Claims, typ: &str, key: &Key| {
        jws::sign(key, &jws::header(typ, key), claims).expect("signed")
    };
    let mine = Claims {
        cnf: signet::access::grant::Confirmation { jkt: own.public().thumbprint() },
        ..claims.clone()
    };
    for (what, made_up) in [
        ("signed by the hub", sign(&mine, grant::TYP, &hub.key)),
        ("signed by its holder", sign(&mine, grant::TYP, &own)),
        ("another kind", sign(&mine, "signet-consent+jws", &hub.key)),
        ("bound to nobody", {
            let mut free = mine.clone();
            free.cnf.jkt.clear();
            sign(&free, grant::TYP, &hub.key)
        }),
    ] {
        refused(what, taken.get_proven(&path, &made_up, &own));
    }
    let parts: Vec<&str> = token.split('.').collect();
    let payload = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&mine).expect("JSON"));
    refused("claims changed", {
        taken.get_proven(&path, &format!("{}.{payload}.{}", parts[0], parts[2]), &own)
    });
    let none = URL_SAFE_NO_PAD.encode(json!({"alg": "none", "typ": grant::TYP}).to_string());
    refused("no algorithm", taken.get_proven(&path, &format!("{none}.{payload}."), &own));
    for position in (0..token.len()).step_by(23) {
        let mut altered = token.clone().into_bytes();
        altered[position] = if altered[position] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).expect("ascii");
        refused("one letter changed", taken.get_proven(&path, &altered, &own));
    }

    // The lab's proof, kept back: for anything but its own request it is worth nothing.
    let shown: Vec<(&str, &str)> =
        kept_back.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let base = format!("/o/{}", hub.agent_id);
    let order = &claims.order;
    for other in [
        format!("{base}/v1/grants/{}/content", "0".repeat(26)),
        format!("/o/{}/v1/grants/{}/content", "x".repeat(43), claims.jti),
        format!("/v1/grants/{}/content", claims.jti),
    ] {
        refused("the proof elsewhere", taken.get(&other, &shown));
    }
    for (what, method, path) in [
        ("as a POST", "POST", path.clone()),
        ("as a receipt", "POST", format!("{base}/v1/orders/{order}/receipt")),
        ("as a status", "POST", format!("{base}/v1/orders/{order}/status")),
        ("as another method", "PUT", path.clone()),
    ] {
        let mut serve = hub.request(method, &path, &shown);
        let said = json!({"grant_id": claims.jti, "sha256": claims.sha256, "state": "done"});
        serve.body = STANDARD.encode(said.to_string());
        refused(what, taken.attempt(serve));
    }

    // Links, the owner's pages, and paths that lead elsewhere.
    let mut paths = vec![
        format!("{base}/v1/links/{}/{}/a.jpg", claims.jti, "A".repeat(43)),
        format!("{base}/v1/links/{}//a.jpg", claims.jti),
        format!("{base}/v1/callbacks/{}/{}", claims.jti, "A".repeat(43)),
        format!("{base}/v1/decide/{}", "A".repeat(43)),
        format!("{base}/v1/decide/{}/preview", "A".repeat(43)),
        format!("{base}/v1/health"),
        format!("{base}/v1/grants/{}/content/", claims.jti),
    ];
    let steps = ["..", "%2e%2e", "%252e%252e", ".", "%00", "%2f", "\\", "//", "etc", "\u{e9}"];
    let ends = ["keys/agent.key", "state.sqlite", "content", "passwd", "consent/1.jws"];
    for (index, (step, end)) in
        steps.iter().flat_map(|step| ends.iter().map(move |end| (step, end))).enumerate()
    {
        for depth in 1..=10 {
            let way = vec![*step; depth].join("/");
            let id = if index % 2 == 0 { "" } else { "grants/" };
            paths.push(format!("{base}/v1/{id}{way}/{end}"));
        }
    }
    assert!(paths.len() > 500);
    let answers = taken.runtime.block_on(async {
        // Many at once: those that nobody answers would take long one after the other.
        let tries = futures_util::stream::iter(&paths).map(|path| {
            let serve = hub.request("GET", path, &shown);
            async move { hub.serve(serve).await.map_or(0, |(head, _body)| head.status) }
        });
        tries.buffered(64).collect::<Vec<u16>>().await
    });
    for (path, status) in paths.iter().zip(answers) {
        refused(path, status);
    }

    // The lab's own request at last, by the hub: what it gets only the lab can open.
    let count_before = hub.loot().bodies.len();
    assert_eq!(taken.get(&path, &shown), 200);
    refused("the same proof again", taken.get(&path, &shown));
    let (head, sealed) = hub.loot().bodies[count_before].clone();
    assert_eq!(head.headers["content-type"], "application/vnd.signet.sealed");
    let digest = claims.sha256;
    let subject =
        Subject { grant_id: &claims.jti, digest: &digest, start: 0, end: claims.bytes_count };
    for key in [&own, &hub.key] {
        let opened = Opened::new(&*sealed, key, &head.headers["signet-seal"], subject);
        let copied = std::io::copy(&mut opened.expect("a seal"), &mut std::io::sink());
        assert!(copied.is_err(), "it opened");
    }

    // Honest again, the lab has its photo.
    hub.keeps_back.store(false, Ordering::Relaxed);
    world.wait_orders(1, "done");
    let (_, files) = world.filed().into_values().next().expect("an order");
    assert_eq!(std::fs::read(&files[0]).expect("the original"), photo);
    assert_eq!(world.report("access").len(), 1);

    // What the lab showed meanwhile is of no use any more, and neither is what was revoked.
    let asked = hub.loot().asked.clone();
    for (path, headers) in &asked {
        let shown: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if path.ends_with("/content") {
            let status = taken.get(path, &shown);
            // One that was kept back is as good as on its first day, for the lab alone.
            tries_count += 1;
            assert!(matches!(status, 200 | 401), "{status}");
        }
    }
    world.owner.run(&["grants", "revoke", &claims.jti]).done();
    wait_for("the withdrawal at the hub", || {
        hub.loot().withdrawn.contains(&Some(claims.jti.clone())).then_some(())
    });
    let lab_key = Key::load_or_create(&world.lab.path().join("keys/lab.key")).expect("a key");
    assert_eq!(taken.get_proven(&path, &token, &lab_key), 410, "the hub does not care, we do");

    let traces = Traces::of(&photo);
    let loot = hub.loot();
    let originals = loot.bodies.iter().filter(|(_head, body)| traces.are_in(body)).count();
    assert!(traces.are_in(&photo), "they would be found");
    assert_eq!(originals, 0);
    assert!(tries_count > 550, "{tries_count}");
    crate::common::note(&format!(
        "drill: {tries_count} tries, {} bodies seen, {originals} originals",
        loot.bodies.len()
    ));
}

#[test]
fn lab_that_is_cut_off_in_the_middle_resumes_what_is_sealed() {
    let Scene { world, taken, agent: _agent, _lab, photo } = scene();
    // A part of the photo is there already, as if the connection had broken.
    let (event, _) = world.filed().into_values().next().expect("an order");
    let order_key = event["data"]["order_key"].as_str().expect("a key").to_owned();
    let name = event["data"]["members"][0]["name"].as_str().expect("a name").to_owned();
    let part = format!("orders/{order_key}/.{name}.part");
    world.lab.write(&part, &photo[..photo.len() / 3]);
    taken.hub.keeps_back.store(false, Ordering::Relaxed);
    world.wait_orders(1, "done");
    let loot = taken.hub.loot();
    let range = |headers: &Value| headers["content-range"].as_str().unwrap_or("").to_owned();
    let heads: Vec<String> =
        loot.bodies.iter().map(|(head, _)| range(&json!(head.headers))).collect();
    let end = photo.len();
    assert!(heads.contains(&format!("bytes {}-{}/{end}", end / 3, end - 1)), "{heads:?}");
    drop(loot);
    let (_, files) = world.filed().into_values().next().expect("an order");
    assert_eq!(std::fs::read(&files[0]).expect("the original"), photo);
}

#[test]
fn hub_that_reads_its_copies_gets_no_original_and_charges_nobody_who_never_asked() {
    let Scene { world, taken, mut agent, _lab, photo } = scene_with(&["--stage"]);
    let hub = &taken.hub;
    let (seal, copy) = wait_for("the copy", || hub.loot().copies.first().cloned());
    agent.line_with("\"staged\"");
    let token = hub.loot().offered[0].clone();
    let claims = claims_of(&token);
    let own = Key::generate().expect("a key");

    // It has the file, the seal and all keys that it can think of.
    assert!(!Traces::of(&photo).are_in(&copy), "an original lies there");
    let subject = Subject {
        grant_id: &claims.jti,
        digest: &claims.sha256,
        start: 0,
        end: claims.bytes_count,
    };
    for key in [&own, &hub.key] {
        let opened = Opened::new(&*copy, key, &seal, subject).expect("a seal");
        assert!(std::io::copy(&mut { opened }, &mut std::io::sink()).is_err(), "it opened");
    }

    // It says that the copy was fetched. Nobody is charged for its word.
    let (path, kept_back) = hub.loot().asked[0].clone();
    let asked = kept_back["dpop"].clone();
    let proof = |key: &Key, method: &str, path: &str| {
        let request = ProvenRequest { method, url: path, grant: &token };
        proof::make(key, request, Timestamp::now()).expect("a proof")
    };
    let receipt = format!("/o/{}/v1/orders/{}/receipt", hub.agent_id, claims.order);
    let whole = Taking::Bytes { start: 0, end: claims.bytes_count };
    let has = Taking::Receipt { sha256: claims.sha256 };
    let tale = |grant_id: &str, proof: String, what: Taking| TakingRow {
        agent_id: hub.agent_id.clone(),
        grant_id: grant_id.into(),
        proof,
        what,
        at: Timestamp::now(),
        is_open: false,
    };
    let nothing = Taking::Bytes { start: 0, end: 0 };
    let more = Taking::Bytes { start: 0, end: claims.bytes_count + 1 };
    let mut altered = asked.clone();
    altered.pop();
    let tales = vec![
        tale(&claims.jti, String::new(), whole),
        tale(&claims.jti, "nonsense".into(), has),
        tale(&claims.jti, proof(&own, "GET", &path), whole),
        tale(&claims.jti, proof(&hub.key, "GET", &path), whole),
        tale(&claims.jti, proof(&own, "POST", &receipt), has),
        tale(&claims.jti, altered, whole),
        tale(&"0".repeat(26), proof(&own, "GET", &path), whole),
        // What the lab asked stands for nothing else.
        tale(&"0".repeat(26), format!("{asked} "), whole),
        tale(&claims.jti, format!(" {asked}"), has),
    ];
    let tell = |tales: Vec<TakingRow>| {
        let mut loot = hub.loot();
        loot.takings = tales;
        // The agent asks when it comes back.
        loot.channel = None;
    };
    tell(tales);
    wait_for("the agent's notes", || hub.loot().takings.is_empty().then_some(()));
    tell(vec![tale(&claims.jti, asked.clone(), nothing)]);
    wait_for("the agent's notes", || hub.loot().takings.is_empty().then_some(()));
    tell(vec![tale(&claims.jti, asked.clone(), more)]);
    wait_for("the agent's notes", || hub.loot().takings.is_empty().then_some(()));
    tell(vec![tale(&claims.jti, asked.clone(), has)]);
    wait_for("the agent's notes", || hub.loot().takings.is_empty().then_some(()));
    assert!(world.report("access").is_empty(), "somebody was charged");
    agent.line_with("hub-lied");

    // What the lab did ask for it may say was given, and nobody can tell. The lab has paid then,
    // once, and gets its photo from the owner for nothing more.
    tell(vec![tale(&claims.jti, asked.clone(), whole)]);
    wait_for("the agent's notes", || hub.loot().takings.is_empty().then_some(()));
    tell(vec![tale(&claims.jti, asked, whole)]);
    wait_for("the agent's notes", || hub.loot().takings.is_empty().then_some(()));
    assert_eq!(world.report("access").len(), 1);
    let lab_key = Key::load_or_create(&world.lab.path().join("keys/lab.key")).expect("a key");
    assert_eq!(taken.get_proven(&path, &token, &lab_key), 200);
    let (head, sealed) = hub.loot().bodies.last().cloned().expect("an answer");
    let opened = Opened::new(&*sealed, &lab_key, &head.headers["signet-seal"], subject);
    let mut plain = Vec::new();
    std::io::copy(&mut opened.expect("a seal"), &mut plain).expect("opened");
    assert_eq!(plain, photo);
    assert_eq!(world.report("access").len(), 1);
}
