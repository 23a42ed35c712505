//! How fast originals leave, beside nginx with `sendfile` on the same files, and what readers that
//! take nothing cost.
//!
//! Server and client are processes of their own, each pinned to its half of the cores (`taskset`).
//! The client is the same for both: 8 connections, each asks for the next photo when it has the
//! one before. With us each fetch is one under a grant of its own: key-bound, proven, posted with
//! full durability. Runs alternate; medians in MB/s (1,000,000 bytes).
//!
//! nginx is taken from the system, or from `target/nginx` (`benches/peers/nginx.sh` fetches it);
//! without it there are our figures alone. Id reads `serving/operation/size/what`.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a bench prints or stops")]

#[expect(dead_code, reason = "speeds here are of many fetches, taken by the clock on the wall")]
mod common;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use common::smoke;
use signet::access::grant::{Content, issue};
use signet::access::proof::{self, ProvenRequest};
use signet::access::{Key, LinkKey};
use signet::base::clock::Timestamp;
use signet::base::ids::{ContentHash, derived};
use signet::base::member::Member;
use signet::base::money::Currency;
use signet::orders::terms::{Fees, Terms};
use signet::store::{GrantRow, Order, OrderState, Purpose, State};
use signet::web::{NotThere, Service, Shelf, serve};
use tokio::sync::{Notify, watch};

const CONNECTIONS: usize = 8;
const SIZES_MB: [usize; 3] = [3, 12, 50];
const STALLED: usize = 500;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve", folder] => provide(Path::new(folder)),
        ["pinned"] => measure(),
        _ => {
            // The client pins itself by beginning anew.
            let (_, client) = cores();
            let me = std::env::current_exe().expect("a program");
            let status =
                Command::new("taskset").args(["-c", &client]).arg(me).arg("pinned").status();
            assert!(status.expect("taskset, of util-linux").success(), "the bench stopped");
        }
    }
}

/// Cores of the server, and of the client.
fn cores() -> (String, String) {
    let half = cores_half();
    (format!("0-{}", half - 1), format!("{half}-{}", 2 * half - 1))
}

fn cores_half() -> usize {
    let all = Command::new("nproc").arg("--all").output().expect("nproc").stdout;
    let all: usize = String::from_utf8(all).expect("a number").trim().parse().expect("a number");
    (all / 2).clamp(1, 4)
}

fn pinned(program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &cores().0]).arg(program);
    command
}

struct Photos {
    folder: PathBuf,
    digests: Vec<ContentHash>,
}

fn measure() {
    let folder = tempfile::tempdir().expect("a folder");
    let photos = photos(folder.path());
    let (runs, megabytes) = if smoke() { (1, 50) } else { (5, 600) };
    let fetches = |size_mb: usize| (megabytes / size_mb).max(CONNECTIONS);
    let needed = SIZES_MB.map(|size_mb| (runs + 1) * fetches(size_mb) + CONNECTIONS);
    let ours = Ours::start(&photos, needed);
    let nginx = Nginx::start(&photos);
    println!(
        "serving: server on cores {}, client on {}, {CONNECTIONS} connections",
        cores().0,
        cores().1
    );
    for (kind, size_mb) in SIZES_MB.into_iter().enumerate() {
        let count = fetches(size_mb);
        let (mut our_speeds, mut their_speeds) = (Vec::new(), Vec::new());
        assert_eq!(ours.first(kind), photos.digests[kind], "the bytes are those of the photo");
        for _ in 0..runs {
            let speed = fetch_all(ours.port, &ours.take(kind, count));
            our_speeds.push(speed * size_mb as f64);
            if let Some(nginx) = &nginx {
                let request = format!("GET /{kind}.jpg HTTP/1.1\r\nhost: a\r\n\r\n");
                their_speeds.push(fetch_all(nginx.port, &vec![request; count]) * size_mb as f64);
            }
        }
        let (our_speed, their_speed) = (median(&mut our_speeds), median(&mut their_speeds));
        let beside = match nginx {
            Some(_) => {
                format!("nginx {their_speed:>7.0} MB/s  ratio {:.2}", our_speed / their_speed)
            }
            None => "nginx is not here: run benches/peers/nginx.sh".to_owned(),
        };
        println!(
            "serving/direct/{size_mb}-mb/full-durability  signet {our_speed:>7.0} MB/s  {beside}"
        );
    }
    stalled(&ours, fetches(SIZES_MB[1]), runs);
}

/// What readers that take nothing cost, and whether others notice.
fn stalled(ours: &Ours, count: usize, runs: usize) {
    let stalled_count = if smoke() { 8 } else { STALLED };
    let speed = |ours: &Ours| {
        let mut speeds: Vec<f64> = (0..runs)
            .map(|_| fetch_all(ours.port, &ours.fresh(1, count)) * SIZES_MB[1] as f64)
            .collect();
        median(&mut speeds)
    };
    let (alone, before) = (speed(ours), ours.rss_bytes());
    let requests = ours.fresh_of("slow", 2, stalled_count);
    let readers: Vec<TcpStream> = requests
        .iter()
        .map(|request| {
            let mut stream = TcpStream::connect(("127.0.0.1", ours.port)).expect("connects");
            stream.write_all(request.as_bytes()).expect("asks");
            // The head came: from here on it takes nothing.
            let mut first = [0; 12];
            stream.read_exact(&mut first).expect("answered");
            assert_eq!(&first, b"HTTP/1.1 200", "served");
            stream
        })
        .collect();
    let each = (ours.rss_bytes().saturating_sub(before)) as f64 / readers.len() as f64 / 1e6;
    let beside = speed(ours);
    println!(
        "serving/stalled/{}-readers  {each:.2} MB each  a healthy one: {alone:.0} MB/s alone, \
         {beside:.0} MB/s beside them ({:+.1} %)",
        readers.len(),
        (beside / alone - 1.0) * 100.0
    );
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Sends all requests over a few connections; fetches per second.
fn fetch_all(port: u16, requests: &[String]) -> f64 {
    let next = AtomicUsize::new(0);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut connection = Connection::to(port);
                while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                    connection.fetch(request, |_bytes| {});
                }
            });
        }
    });
    requests.len() as f64 / began.elapsed().as_secs_f64()
}

/// A client that does as little as one can.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    fn to(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("connects");
        stream.set_nodelay(true).expect("sets");
        Self { stream, buffer: vec![0; 256 * 1024] }
    }

    fn fetch(&mut self, request: &str, mut each: impl FnMut(&[u8])) {
        self.stream.write_all(request.as_bytes()).expect("asks");
        let mut filled = 0;
        let head_end = loop {
            let count = self.stream.read(&mut self.buffer[filled..]).expect("answers");
            assert!(count > 0, "the connection was closed");
            filled += count;
            let end = self.buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                break end + 4;
            }
        };
        let head = String::from_utf8_lossy(&self.buffer[..head_end]).to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 200"), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.expect("a length").trim().parse().expect("a number");
        each(&self.buffer[head_end..filled]);
        let mut left = length - (filled - head_end);
        while left > 0 {
            let count = self.stream.read(&mut self.buffer).expect("goes on");
            assert!(count > 0, "the photo ended early");
            each(&self.buffer[..count]);
            left -= count;
        }
    }
}

fn photos(folder: &Path) -> Photos {
    let digests = SIZES_MB.iter().enumerate().map(|(kind, size_mb)| {
        let mut bytes = vec![0; size_mb * 1_000_000];
        let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ *size_mb as u64;
        for eight in bytes.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            eight.copy_from_slice(&state.to_le_bytes());
        }
        std::fs::write(folder.join(format!("{kind}.jpg")), &bytes).expect("written");
        ContentHash::of(&bytes)
    });
    Photos { digests: digests.collect(), folder: folder.to_owned() }
}

fn terms(lab: &Key) -> Terms {
    Terms {
        key: lab.public().to_string(),
        purposes: [Purpose::Print].into(),
        fees: Fees { original_minor: 25, preview_minor: 0, companion_minor: 0 },
        service_percent: 20,
        service: "signet".to_owned(),
        ..Terms::new(Currency::try_from("EUR".to_owned()).expect("a currency"))
    }
}

fn key(folder: &Path, name: &str) -> Key {
    Key::load_or_create(&folder.join(name)).expect("a key")
}

/// Our server, with a store full of grants.
struct Ours {
    child: Child,
    port: u16,
    lab: Key,
    unused: Mutex<Vec<Vec<GrantRow>>>,
    photos: (PathBuf, Vec<ContentHash>),
}

impl Ours {
    /// - `needed`: how many grants of each photo are asked for later
    fn start(photos: &Photos, needed: [usize; 3]) -> Self {
        let state = State::open(&photos.folder.join("state.sqlite")).expect("opens");
        let photos = (photos.folder.clone(), photos.digests.clone());
        let unused = needed
            .iter()
            .enumerate()
            .map(|(kind, count)| make(&state, &photos, "lab", kind, *count));
        let unused = Mutex::new(unused.collect());
        let mut child = pinned(&std::env::current_exe().expect("a program"))
            .args([Path::new("serve"), &photos.0])
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a port");
        let port = line.trim().parse().expect("a port");
        Self { child, port, lab: key(&photos.0, "lab.key"), unused, photos }
    }

    /// Requests under grants that were not used yet.
    fn take(&self, kind: usize, count: usize) -> Vec<String> {
        let mut unused = self.unused.lock().expect("no panic");
        let from = unused[kind].len() - count;
        unused[kind].split_off(from).iter().map(|grant| self.request(grant)).collect()
    }

    /// The same, under grants that are made now.
    fn fresh(&self, kind: usize, count: usize) -> Vec<String> {
        self.fresh_of("lab", kind, count)
    }

    fn fresh_of(&self, provider: &str, kind: usize, count: usize) -> Vec<String> {
        let state = State::open(&self.photos.0.join("state.sqlite")).expect("opens");
        let grants = make(&state, &self.photos, provider, kind, count);
        grants.iter().map(|grant| self.request(grant)).collect()
    }

    fn request(&self, grant: &GrantRow) -> String {
        let (path, token) = (format!("/v1/grants/{}/content", grant.grant_id), &grant.token);
        let request = ProvenRequest { method: "GET", url: &path, grant: token };
        let proof = proof::make(&self.lab, request, Timestamp::now()).expect("a proof");
        format!(
            "GET {path} HTTP/1.1\r\nhost: a\r\nauthorization: DPoP {token}\r\ndpop: {proof}\r\n\r\n"
        )
    }

    fn first(&self, kind: usize) -> ContentHash {
        let mut bytes = Vec::new();
        let request = self.take(kind, 1).remove(0);
        Connection::to(self.port).fetch(&request, |part| bytes.extend_from_slice(part));
        ContentHash::of(&bytes)
    }

    fn rss_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("Linux");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn make(
    state: &State,
    (folder, digests): &(PathBuf, Vec<ContentHash>),
    provider: &str,
    kind: usize,
    count: usize,
) -> Vec<GrantRow> {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let (agent, lab, now) = (key(folder, "agent.key"), key(folder, "lab.key"), Timestamp::now());
    let (terms, holder) = (terms(&lab), lab.public().thumbprint());
    let orders: Vec<Order> = (0..count)
        .map(|_| Order {
            provider: provider.to_owned(),
            state: OrderState::Accepted,
            currency: "EUR".to_owned(),
            ..Order::new(
                derived("order", &[&MADE.fetch_add(1, Ordering::Relaxed).to_string()]),
                digests[kind],
                now,
            )
        })
        .collect();
    state.put_orders(orders.clone()).expect("kept");
    let content = Content {
        member: Member::Original,
        digest: digests[kind],
        bytes_count: SIZES_MB[kind] as u64 * 1_000_000,
        media_type: "image/jpeg".to_owned(),
        name: format!("{kind}.jpg"),
        offset: None,
        evidence: None,
    };
    let made = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for part in orders.chunks(count.div_ceil(16).max(1)) {
            let (agent, terms, holder, content, made) = (&agent, &terms, &holder, &content, &made);
            scope.spawn(move || {
                for order in part {
                    let grant =
                        issue(order, content, terms, holder, 1, agent, now).expect("a grant");
                    let kept = state.put_grants(order, &[grant], &[], now).expect("kept");
                    made.lock().expect("no panic").extend(kept.expect("as it was"));
                }
            });
        }
    });
    made.into_inner().expect("no panic")
}

/// The server's process: the agent's own HTTP over the store that was filled.
fn provide(folder: &Path) {
    struct Folder(PathBuf, Terms);
    impl Shelf for Folder {
        fn open(&self, grant: &GrantRow) -> Result<File, NotThere> {
            File::open(self.0.join(&grant.name)).map_err(|_not_there| NotThere::Gone)
        }

        fn terms(&self, _provider: &str) -> Option<Terms> {
            Some(self.1.clone())
        }
    }
    let agent = key(folder, "agent.key");
    let shelf = Folder(folder.to_owned(), terms(&key(folder, "lab.key")));
    let service = Service::new(
        Arc::new(State::open(&folder.join("state.sqlite")).expect("opens")),
        agent.public(),
        LinkKey::of(&agent),
        Arc::new(shelf),
        Arc::new(Notify::new()),
        Box::new(|_event| {}),
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("an address").port());
        let (_stop, shutdown) = watch::channel(false);
        serve(listener, Arc::new(service), shutdown).await.expect("serves");
    });
}

/// nginx with `sendfile` and no log, as many workers as the server has cores.
struct Nginx {
    child: Child,
    port: u16,
}

impl Nginx {
    fn start(photos: &Photos) -> Option<Self> {
        let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/nginx/usr/sbin/nginx");
        let program =
            [unpacked, PathBuf::from("/usr/sbin/nginx")].into_iter().find(|path| path.exists())?;
        let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        let (folder, workers) = (photos.folder.display(), cores_half());
        let config = format!(
            "daemon off; worker_processes {workers}; pid {folder}/nginx.pid; error_log stderr; user root;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ sendfile on; tcp_nopush on; access_log off; keepalive_requests 1000000;\n\
             client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;\n\
             uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;\n\
             server {{ listen 127.0.0.1:{port}; root {folder}; }} }}\n"
        );
        let path = photos.folder.join("nginx.conf");
        std::fs::write(&path, config).expect("written");
        let child =
            pinned(&program).arg("-c").arg(&path).stderr(Stdio::null()).spawn().expect("starts");
        let nginx = Self { child, port };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::yield_now();
        }
        Some(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master is asked in a way that lets it end its workers.
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}
