//! What it costs to go through a hub: speed beside direct serving of the same photo, the first byte,
//! readers that take nothing, and thousands of agents that only wait.
//!
//! Hub, agents and client are processes of their own: the hub is the real program, with TLS of its
//! own and without; agents are the real channel, relay and routes over a folder; the client asks
//! over a few connections, each for the next when it has the one before. Everything is on this
//! computer, so hub, agents and client share its cores. Id reads `hub/operation/what`.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a bench prints or stops")]

#[expect(dead_code, reason = "times here are taken by the clock on the wall")]
mod common;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::smoke;
use futures_util::{SinkExt, StreamExt};
use signet::access::grant::{Content, issue};
use signet::access::{Key, LinkKey, Membership};
use signet::agent::books::OutwardBook;
use signet::agent::reach::{Connector, Reach, Stream, Trust, pause_ms};
use signet::base::allow::Allow;
use signet::base::clock::Timestamp;
use signet::base::home::Home;
use signet::base::ids::{ContentHash, derived};
use signet::base::member::Member;
use signet::base::money::Currency;
use signet::hub::greeting::{agent_hello, read_welcome};
use signet::hub::protocol::HubHello;
use signet::orders::outward::Outward;
use signet::orders::terms::{Relay, Terms};
use signet::store::hub::{
    AgentKeys, CodeRow, HubStore, OfferRow, ProviderRow, ProviderState, SqliteHub,
};
use signet::store::{GrantRow, Order, OrderState, Purpose, State};
use signet::web::{NotThere, Service, Shelf, serve};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore, watch};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// Agents that serve; each answers 64 requests at once.
const AGENTS: usize = 10;

/// Requests at once when speed is measured.
const CONNECTIONS: usize = 4;

const PHOTO_MB: usize = 12;

/// Agents that connect at once, as many as a hub greets.
const GREETINGS: usize = 256;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["agents", folder] => run(agents(Path::new(folder))),
        ["crowd", folder, count] => {
            run(crowd(Path::new(folder), count.parse().expect("a number")));
        }
        ["relayed", way] => run(relayed(*way == "tls")),
        _ => {
            for tls in [false, true] {
                run(relayed(tls));
                waiting(tls);
            }
        }
    }
}

fn run(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(work);
}

/// A process of ours that says lines; ended with this one.
struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("starts");
        let (sender, lines) = channel();
        let out = BufReader::new(child.stdout.take().expect("piped"));
        std::thread::spawn(move || {
            out.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
        });
        Self { child, lines }
    }

    /// Waits for so many lines that hold a text.
    fn wait(&self, text: &str, count: usize) -> String {
        let mut last = String::new();
        for _ in 0..count {
            loop {
                last = self.lines.recv_timeout(Duration::from_secs(300)).expect("a line");
                if last.contains(text) {
                    break;
                }
            }
        }
        last
    }

    fn rss_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("Linux");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// Ends it as an operator would.
    fn stop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        self.child.wait().expect("ended");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A hub's home, and what agents need to know of it.
struct Hub {
    folder: tempfile::TempDir,
    membership: Membership,
}

impl Hub {
    fn new(tls: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
        let init = Self::command(folder.path())
            .args(["hub", "init", "--name", "Hub", "--listen", &port.to_string()])
            .output()
            .expect("runs");
        let made: serde_json::Value = serde_json::from_slice(&init.stdout).expect("JSON");
        let text = |name: &str| made[name].as_str().expect(name).to_owned();
        if !tls {
            let path = folder.path().join("hub.toml");
            let config = std::fs::read_to_string(&path).expect("hub.toml");
            std::fs::write(&path, config.replace("[tls]", "[tls]\noff = true")).expect("written");
        }
        let membership = Membership {
            url: format!("{}://{port}", if tls { "https" } else { "http" }),
            hub_key: text("key"),
            certificate: tls.then(|| text("certificate")),
            agent_id: String::new(),
            base_url: String::new(),
            joined_at: Timestamp::now(),
        };
        Self { folder, membership }
    }

    fn command(home: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_signet"));
        command.arg("--json").env("SIGNET_HOME", home).env("SIGNET_LOG", "error");
        command
    }

    fn start(&self) -> Process {
        let process = Process::start(Self::command(self.folder.path()).arg("hub"));
        process.wait("listening", 1);
        process
    }

    fn store(&self) -> SqliteHub {
        SqliteHub::open(&self.folder.path().join("hub.sqlite")).expect("opens")
    }

    /// Leaves what a process of agents has to know in its folder.
    fn tell(&self, folder: &Path) {
        let text = serde_json::to_string(&self.membership).expect("JSON");
        std::fs::write(folder.join("hub.json"), text).expect("written");
    }
}

fn told(folder: &Path) -> Membership {
    let text = std::fs::read_to_string(folder.join("hub.json")).expect("hub.json");
    serde_json::from_str(&text).expect("a membership")
}

/// Whom a test may call: this computer.
fn here() -> Allow {
    Allow::named(&["127.0.0.1"]).expect("a place")
}

fn connector(membership: &Membership) -> Connector {
    let pin = membership.certificate.as_ref().map(|text| text.parse().expect("a hash"));
    let trust = pin.map_or(Trust::Browsers, Trust::Pinned);
    Connector::new(&membership.url, &trust).expect("TLS")
}

fn key(folder: &Path, name: &str) -> Key {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    Key::load_or_create(&path).expect("a key")
}

/// Takes agents in, on several threads, since each is a commit of its own.
fn take_in(store: &SqliteHub, folder: &Path, names: &[String]) {
    let now = Timestamp::now();
    std::thread::scope(|scope| {
        for part in names.chunks(names.len().div_ceil(32).max(1)) {
            scope.spawn(move || {
                for name in part {
                    let key = key(folder, name).public();
                    let id = key.thumbprint();
                    let verifier = ContentHash::of(id.as_bytes());
                    let code_hash = ContentHash::of(verifier.as_bytes());
                    let code = CodeRow {
                        code_hash,
                        verifier,
                        label: name.clone(),
                        replaces: None,
                        made_at: now,
                        expires_at: now.plus_millis(60_000),
                    };
                    store.put_code(&code).expect("kept");
                    store
                        .join(&code_hash, &id, AgentKeys::one(&key.to_string()), now)
                        .expect("joined");
                }
            });
        }
    });
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
        requests_per_minute: 1_000_000,
        accesses_per_day: 1_000_000,
        notify_url: String::new(),
        notify_secret: String::new(),
        state: ProviderState::Active,
        why: String::new(),
        prices: Vec::new(),
    }
}

fn terms() -> Terms {
    Terms {
        purposes: [Purpose::Print].into(),
        relay: Relay::Clear,
        ..Terms::new(Currency::try_from("EUR".to_owned()).expect("a currency"))
    }
}

/// Grants for a photo, each offered at the hub by each agent.
fn grants(hub: &Hub, folder: &Path, digest: ContentHash, count: usize) -> Vec<GrantRow> {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let state = State::open(&folder.join("state.sqlite")).expect("opens");
    let (agent, now, store) = (key(folder, "agent.key"), Timestamp::now(), hub.store());
    let content = Content {
        member: Member::Original,
        digest,
        bytes_count: PHOTO_MB as u64 * 1_000_000,
        media_type: "image/jpeg".to_owned(),
        name: "photo.jpg".to_owned(),
        offset: None,
        evidence: None,
    };
    let make = |_| {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let order = Order {
            provider: "lab".to_owned(),
            state: OrderState::Accepted,
            currency: "EUR".to_owned(),
            ..Order::new(derived("order", &[&number.to_string()]), digest, now)
        };
        state.put_orders(vec![order.clone()]).expect("kept");
        let grant = issue(&order, &content, &terms(), "", 1, &agent, now).expect("a grant");
        let kept = state.put_grants(&order, &[grant], &[], now).expect("kept");
        let grant = kept.expect("as it was").remove(0);
        let offer = OfferRow {
            agent_id: agent_id(folder, number % AGENTS),
            grant_id: grant.grant_id.clone(),
            order_key: grant.order_key.clone(),
            provider: "lab".to_owned(),
            member: Member::Original,
            purpose: Purpose::Print,
            digest,
            bytes_count: grant.bytes_count,
            fee_minor: 25,
            currency: "EUR".to_owned(),
            expires_at: now.plus_millis(3_600_000),
            withdrawn_at: None,
        };
        assert!(store.put_offer(&offer).expect("kept"), "offered");
        (number % AGENTS, grant)
    };
    let mut made: Vec<_> = (0..count).map(make).collect();
    // The first agent's first, so that requests go round.
    made.sort_by_key(|(agent, _)| *agent);
    made.into_iter().map(|(_, grant)| grant).collect()
}

/// File of an agent's key, in a home of its own.
fn agent_name(number: usize) -> String {
    format!("{number}/keys/agent.key")
}

fn agent_id(folder: &Path, number: usize) -> String {
    key(folder, &agent_name(number)).public().thumbprint()
}

/// The agents' process: one store and one folder, its own address, and as many ways to the hub as
/// there are agents.
async fn agents(folder: &Path) {
    struct Folder(PathBuf);
    impl Shelf for Folder {
        fn open(&self, grant: &GrantRow) -> Result<File, NotThere> {
            File::open(self.0.join(&grant.name)).map_err(|_not_there| NotThere::Gone)
        }

        fn terms(&self, _provider: &str) -> Option<Terms> {
            Some(terms())
        }
    }
    let agent = key(folder, "agent.key");
    let service = Arc::new(Service::new(
        Arc::new(State::open(&folder.join("state.sqlite")).expect("opens")),
        agent.public(),
        LinkKey::of(&agent),
        Arc::new(Folder(folder.to_owned())),
        Arc::new(Notify::new()),
        Box::new(|_event| {}),
    ));
    let (_stop, shutdown) = watch::channel(false);
    let outward = Arc::new(OutwardBook::new(Home::at(folder), here()));
    let told = told(folder);
    for number in 0..AGENTS {
        let (agent_id, home) = (agent_id(folder, number), folder.join(number.to_string()));
        let base_url = format!("{}/o/{agent_id}", told.url);
        let membership = Membership { agent_id, base_url, ..told.clone() };
        let prepared =
            Reach::prepare(membership, Home::at(home), outward.clone(), shutdown.clone());
        prepared.expect("prepared").begin(service.clone(), Arc::new(|_event| {}));
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("an address"));
    serve(listener, service, shutdown).await.expect("serves");
}

/// Speed, first byte and stalled readers.
async fn relayed(tls: bool) {
    let way = if tls { "tls" } else { "plain" };
    let (hub, home) = (Hub::new(tls), tempfile::tempdir().expect("a folder"));
    let folder = home.path();
    let bytes: Vec<u8> = (0..PHOTO_MB as u64 * 125_000)
        .flat_map(|index| (index ^ 0x9e37_79b9).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes())
        .collect();
    std::fs::write(folder.join("photo.jpg"), &bytes).expect("written");
    let (digest, links) = (ContentHash::of(&bytes), LinkKey::of(&key(folder, "agent.key")));
    let store = hub.store();
    let names: Vec<_> = (0..AGENTS).map(agent_name).collect();
    take_in(&store, folder, &names);
    store.put_provider(&provider()).expect("kept");
    drop(store);
    let (fetches, firsts, stalled) = if smoke() { (4, 20, 10) } else { (60, 500, 500) };
    let runs = if smoke() { 1 } else { 5 };
    let ready = grants(&hub, folder, digest, CONNECTIONS);
    let fresh = grants(&hub, folder, digest, firsts);
    let slow = grants(&hub, folder, digest, stalled);
    hub.tell(folder);
    let process = hub.start();
    let me = std::env::current_exe().expect("a program");
    let agents = Process::start(Command::new(me).arg("agents").arg(folder));
    let direct = agents.wait("127", 1);
    process.wait("\"connected\"", AGENTS);

    let path = |grant: &GrantRow| {
        let secret = links.secret(signet::web::GRANT, &grant.grant_id);
        format!("/v1/links/{}/{secret}/{}", grant.grant_id, grant.name)
    };
    let owners: std::collections::HashMap<String, String> = {
        let (store, mut owners) = (hub.store(), std::collections::HashMap::new());
        for grant in ready.iter().chain(&fresh).chain(&slow) {
            for number in 0..AGENTS {
                let id = agent_id(folder, number);
                if store.offer(&id, &grant.grant_id).expect("read").is_some() {
                    owners.insert(grant.grant_id.clone(), id);
                }
            }
        }
        owners
    };
    let through = |grant: &GrantRow| format!("/o/{}{}", owners[&grant.grant_id], path(grant));
    let client = Client { hub: connector(&hub.membership), direct };
    let both = [
        ready.iter().map(|grant| (true, through(grant))).collect::<Vec<_>>(),
        ready.iter().map(|grant| (false, path(grant))).collect(),
    ];
    let mut first = client.open(true).await;
    let (_, got) = fetch(&mut first, &both[0][0].1, true).await;
    assert_eq!(ContentHash::of(&got), digest, "the bytes are those of the photo");

    let mut speeds = [Vec::new(), Vec::new()];
    for _ in 0..runs {
        for (speeds, requests) in speeds.iter_mut().zip(&both) {
            speeds.push(client.speed(requests, fetches).await);
        }
    }
    let [relayed, direct] = speeds.map(|mut speeds| median(&mut speeds));
    println!(
        "hub/speed/{PHOTO_MB}-mb/{way}  {relayed:>6.0} MB/s  direct, without TLS {direct:>6.0} MB/s  \
         ratio {:.2}",
        relayed / direct
    );

    let mut times = Vec::new();
    for grant in &fresh {
        let began = Instant::now();
        let mut stream = client.open(true).await;
        let time = ask(&mut stream, &through(grant)).await;
        assert!(time.0 > 0, "a length");
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!(
        "hub/first-byte/{way}  p50 {:.1} ms  p99 {:.1} ms  ({} requests, each with a new connection \
         and a reservation)",
        at(50),
        at(99),
        times.len()
    );

    let before = process.rss_bytes();
    let mut readers = Vec::new();
    for grant in &slow {
        let mut stream = client.open(true).await;
        ask(&mut stream, &through(grant)).await;
        readers.push(stream);
    }
    let each = process.rss_bytes().saturating_sub(before) as f64 / readers.len() as f64 / 1e6;
    let mut beside: Vec<f64> = Vec::new();
    for _ in 0..runs {
        beside.push(client.speed(&both[0], fetches).await);
    }
    let beside = median(&mut beside);
    println!(
        "hub/stalled/{}-readers/{way}  {each:.2} MB each in the hub  a healthy one: {relayed:.0} MB/s \
         alone, {beside:.0} MB/s beside them ({:+.1} %)",
        readers.len(),
        (beside / relayed - 1.0) * 100.0
    );
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

trait Both: AsyncRead + AsyncWrite + Send + Unpin {}
impl Both for TcpStream {}
impl Both for Stream {}

struct Client {
    hub: Connector,
    direct: String,
}

impl Client {
    async fn open(&self, through_hub: bool) -> Box<dyn Both> {
        match through_hub {
            true => Box::new(self.hub.connect(Outward::new(here())).await.expect("connected")),
            false => Box::new(TcpStream::connect(&self.direct).await.expect("connected")),
        }
    }

    /// MB/s over a few connections.
    async fn speed(&self, requests: &[(bool, String)], fetches: usize) -> f64 {
        let began = Instant::now();
        let each = requests.iter().map(|(through_hub, path)| async move {
            let mut stream = self.open(*through_hub).await;
            for _ in 0..fetches / requests.len() {
                fetch(&mut stream, path, false).await;
            }
        });
        futures_util::future::join_all(each).await;
        let count = fetches / requests.len() * requests.len();
        (count * PHOTO_MB) as f64 / began.elapsed().as_secs_f64()
    }
}

/// Asks, and reads the head and what came with it: length of the body, and the beginning of it.
async fn ask(stream: &mut Box<dyn Both>, path: &str) -> (usize, Vec<u8>) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("asked");
    // TLS keeps what the connection does not take at once, also where only the runtime wants it to
    // rest; reading sends none of it.
    stream.flush().await.expect("asked");
    let mut came = vec![0; 64 * 1024];
    let mut filled = 0;
    loop {
        let count = stream.read(&mut came[filled..]).await.expect("answered");
        assert!(count > 0, "the connection was closed");
        filled += count;
        let end = came[..filled].windows(4).position(|four| four == b"\r\n\r\n");
        // The first byte behind the head is the one that counts.
        if let Some(end) = end.map(|end| end + 4).filter(|end| *end < filled) {
            let head = String::from_utf8_lossy(&came[..end]).to_ascii_lowercase();
            assert!(head.starts_with("http/1.1 200"), "{head}");
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length = length.expect("a length").trim().parse().expect("a number");
            return (length, came[end..filled].to_vec());
        }
    }
}

async fn fetch(stream: &mut Box<dyn Both>, path: &str, keep: bool) -> (usize, Vec<u8>) {
    let (length, mut got) = ask(stream, path).await;
    let mut left = length - got.len();
    let mut buffer = vec![0; 256 * 1024];
    while left > 0 {
        let count = stream.read(&mut buffer).await.expect("goes on");
        assert!(count > 0, "the photo ended early");
        left -= count;
        if keep {
            got.extend_from_slice(&buffer[..count]);
        }
    }
    (length, got)
}

/// Agents that only wait, and how fast all of them are back after the hub was started again.
fn waiting(tls: bool) {
    let way = if tls { "tls" } else { "plain" };
    let count = if smoke() { 50 } else { 10_000 };
    let (hub, home) = (Hub::new(tls), tempfile::tempdir().expect("a folder"));
    let names: Vec<_> = (0..count).map(agent_name).collect();
    take_in(&hub.store(), home.path(), &names);
    hub.tell(home.path());
    let mut process = hub.start();
    let before = process.rss_bytes();
    let me = std::env::current_exe().expect("a program");
    let began = Instant::now();
    let _crowd =
        Process::start(Command::new(me).arg("crowd").arg(home.path()).arg(count.to_string()));
    process.wait("\"connected\"", count);
    let first_s = began.elapsed().as_secs_f64();
    let each = process.rss_bytes().saturating_sub(before) as f64 / count as f64 / 1e3;
    println!("hub/waiting/{count}-agents/{way}  {each:.1} kB each  all there in {first_s:.1} s");
    process.stop();
    let began = Instant::now();
    let process = hub.start();
    process.wait("\"connected\"", count);
    let back_s = began.elapsed().as_secs_f64();
    println!("hub/back/{count}-agents/{way}  all back {back_s:.1} s after it was started again");
}

/// The crowd's process: greets as an agent does, with the agent's pauses, and serves nothing.
async fn crowd(folder: &Path, count: usize) {
    let told = told(folder);
    let (connector, greetings) = (connector(&told), Arc::new(Semaphore::new(GREETINGS)));
    let random = Arc::new(Mutex::new(0x9e37_79b9_7f4a_7c15_u64));
    for number in 0..count {
        let (told, connector, greetings) = (told.clone(), connector.clone(), greetings.clone());
        let (key, random) = (key(folder, &agent_name(number)), random.clone());
        tokio::spawn(async move {
            let mut tries = 0;
            loop {
                let place = greetings.acquire().await.expect("open");
                let socket = greet(&told, &connector, &key).await;
                drop(place);
                let wait_ms = match socket {
                    Some(mut socket) => {
                        let mut again_ms = None;
                        while let Some(Ok(message)) = socket.next().await {
                            let text = message.to_text().unwrap_or_default().to_owned();
                            let said: serde_json::Value =
                                serde_json::from_str(&text).unwrap_or_default();
                            again_ms = said["again_ms"].as_u64().or(again_ms);
                        }
                        tries = 0;
                        again_ms
                    }
                    None => None,
                };
                tries += 1;
                let draw = {
                    let mut state = random.lock().expect("no panic");
                    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (*state >> 32) as u32
                };
                let wait_ms = wait_ms.unwrap_or_else(|| pause_ms(tries - 1, draw));
                tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            }
        });
    }
    std::future::pending::<()>().await;
}

type Socket = tokio_tungstenite::WebSocketStream<Stream>;

async fn greet(told: &Membership, connector: &Connector, key: &Key) -> Option<Socket> {
    let stream = connector.connect(Outward::new(here())).await.ok()?;
    let request = format!("ws://{}/v1/agent", connector.host());
    let request = request.into_client_request().ok()?;
    let config = WebSocketConfig::default().read_buffer_size(1024).write_buffer_size(0);
    let connected = tokio_tungstenite::client_async_with_config(request, stream, Some(config));
    let (mut socket, _) = connected.await.ok()?;
    let hello = socket.next().await?.ok()?;
    let hello: HubHello = serde_json::from_str(hello.to_text().ok()?).ok()?;
    let id = key.public().thumbprint();
    let (said, nonce) = agent_hello(&hello, &told.hub_key, &id, key).ok()?;
    socket.send(Message::text(said)).await.ok()?;
    let welcome = socket.next().await?.ok()?;
    let hub_key = told.hub_key.parse().ok()?;
    read_welcome(welcome.to_text().ok()?, &hub_key, &id, &nonce).ok()?;
    Some(socket)
}
