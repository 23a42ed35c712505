//! Ten thousand mishaps, each from a seed: the dispatcher against providers that do everything
//! wrong, over real HTTP. Afterwards each wish is at its provider once, or visibly failed.
//!
//! Two kinds of providers. One keeps the ids of events, as `signet lab` does, and may be sent the
//! same order again. The other makes whatever it is sent, each time, and has to be asked first.
//!
//! The waits between tries are days; they are not waited for: the dispatcher is asked what is due
//! when the next try is. Whoever hangs is left after [`TIMEOUT`]. An answer that is late on a busy
//! machine is one mishap more and changes nothing of what is checked.
//!
//! A provider decides about requests one after the other, as they come in; only answering takes
//! its time. So a request that was given up cannot be heard after the question what became of it.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use signet::access::Key;
use signet::base::allow::Allow;
use signet::base::clock::Timestamp;
use signet::base::ids::{ContentHash, derived};
use signet::orders::dispatch::{Hindrance, Outlet, run_due};
use signet::orders::outward::{Body, Call, Outward, Reply};
use signet::orders::parcel::{Line, Parcel, Sender};
use signet::orders::target::{
    Carries, Fate, Files, Means, Progress, Search, Setback, Taken, Target, TargetSpec,
};
use signet::orders::webhook::MemberMessage;
use signet::store::{Order, OrderState, State, StoreError};
use standardwebhooks::Webhook;

/// All mishaps together.
const MISHAPS_COUNT: usize = 10_000;

/// Providers, each with its own owner.
const WORLDS_COUNT: usize = 20;

/// Wishes that are due together.
const WISHES_AT_ONCE: usize = 40;

/// Who has not answered by then is left.
const TIMEOUT: Duration = Duration::from_millis(100);

const BEGIN: Timestamp = Timestamp(1_790_000_000_000);

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What a provider does with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mishap {
    /// Whether it keeps the order before it misbehaves.
    keeps: bool,
    answer: Answer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// None, and the connection stays open.
    Hang,
    /// None, and the connection is closed.
    HangUp,
    /// As much of the head.
    HalfHead,
    /// 202 with less of a body than it promises, then closed.
    HalfBody,
    /// 202 with less of a body than it promises, then nothing.
    HangingBody,
    /// 202 with more of a body than it promises.
    ShortLength,
    /// 200 with more than anybody has to read.
    Endless,
    /// 200 with the page of somebody else.
    Garbage,
    /// 200 with a part of JSON.
    HalfJson,
    /// Something that is not HTTP.
    NoHttp,
    /// To a place that must not be gone to.
    Redirect(u16),
    /// A status, and seconds to wait.
    Status(u16, Option<&'static str>),
    /// The clock there is a day off, so every signature is too old or too new.
    ClockOff(i64),
    /// Delivered twice on the way, then answered as it should be.
    Twice,
    /// Interim answers before the right one.
    Interim,
}

impl Answer {
    /// Whether what was misunderstood has been kept all the same, and has to be.
    const fn must_keep(self) -> bool {
        matches!(self, Self::ShortLength | Self::Twice | Self::Interim)
    }

    /// Whether nobody keeps what he answers like this.
    const fn cannot_keep(self) -> bool {
        match self {
            Self::Redirect(_) | Self::ClockOff(_) => true,
            Self::Status(status, _) => status < 500 && status != 409,
            _ => false,
        }
    }

    const fn is_final(self) -> bool {
        matches!(self, Self::Status(410 | 422, _))
    }
}

/// Numbers that look random and are the same each time (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn mishap(&mut self) -> Mishap {
        let statuses = [400, 401, 403, 404, 408, 409, 425, 429, 500, 502, 503, 504, 507];
        let waits = [None, None, Some("1"), Some("90"), Some("100000"), Some("-5"), Some("soon")];
        let answer = match self.roll(18) {
            0 => Answer::Hang,
            1 | 2 => Answer::HangUp,
            3 => Answer::HalfHead,
            4 => Answer::HalfBody,
            5 => Answer::HangingBody,
            6 => Answer::ShortLength,
            7 => Answer::Endless,
            8 => Answer::Garbage,
            9 => Answer::HalfJson,
            10 => Answer::NoHttp,
            11 => Answer::Redirect([301, 302, 303, 307, 308][self.index(5)]),
            12 => Answer::ClockOff([-86_400, 86_400][self.index(2)]),
            13 => Answer::Twice,
            14 => Answer::Interim,
            _ => Answer::Status(statuses[self.index(statuses.len())], waits[self.index(7)]),
        };
        let keeps = answer.must_keep() || !answer.cannot_keep() && self.roll(2) == 0;
        Mishap { keeps, answer }
    }

    fn index(&mut self, sides: usize) -> usize {
        usize::try_from(self.roll(sides as u64)).expect("small")
    }

    /// What happens to one wish, in the order of its requests; then everything goes well.
    fn script(&mut self, keeps_ids: bool) -> VecDeque<Mishap> {
        let mut script: VecDeque<Mishap> = (0..=self.roll(4)).map(|_| self.mishap()).collect();
        if !keeps_ids {
            // What is delivered twice on the way to such a provider is made twice; nobody but the
            // one who delivers can help it.
            script.retain(|mishap| mishap.answer != Answer::Twice);
        }
        if self.roll(12) == 0 {
            let answer = Answer::Status([410, 422][self.index(2)], None);
            script.push_back(Mishap { keeps: false, answer });
        }
        script
    }
}

/// What a provider has seen.
#[derive(Default)]
struct Book {
    /// Mishaps to come, by order.
    scripts: BTreeMap<String, VecDeque<Mishap>>,
    /// Things made, by order: the id under which each came.
    made: BTreeMap<String, Vec<String>>,
    played_count: usize,
    strangers_count: usize,
}

/// A provider that listens.
#[derive(Clone)]
struct Provider {
    book: Arc<Mutex<Book>>,
    /// Whether what comes again under the same id is made once.
    keeps_ids: bool,
}

impl Provider {
    fn listen(self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                self.take(stream.expect("a connection"), port);
            }
        });
        port
    }

    /// Reads a request and decides; answers on a thread of its own.
    fn take(&self, mut stream: TcpStream, port: u16) {
        let Some(request) = Request::read(&mut stream) else { return };
        let mut book = self.book.lock().expect("no panic before");
        if request.path.starts_with("/trap") {
            book.strangers_count += 1;
            return;
        }
        let key = request.order_key();
        let mishap = book.scripts.get_mut(&key).and_then(VecDeque::pop_front);
        book.played_count += usize::from(mishap.is_some());
        let clock_off_s = match mishap {
            Some(Mishap { answer: Answer::ClockOff(seconds), .. }) => seconds,
            _ => 0,
        };
        let right = self.answer(&mut book, &request, &key, mishap, clock_off_s);
        drop(book);
        let said = match mishap {
            // To a question this would be a lie about what was made, not a mishap.
            Some(Mishap { answer: Answer::ShortLength, .. }) if request.method == "GET" => right,
            Some(mishap) => said(mishap.answer, &right, port),
            None => right,
        };
        let hangs = [Answer::Hang, Answer::HangingBody];
        let hangs = mishap.is_some_and(|mishap| hangs.contains(&mishap.answer));
        std::thread::spawn(move || {
            // Whoever called may be gone.
            let _gone = stream.write_all(&said);
            if hangs {
                let _until_the_caller_goes = stream.read(&mut [0]);
            }
        });
    }

    /// Keeps the order if it is to be kept, and says what would be the right answer.
    fn answer(
        &self,
        book: &mut Book,
        request: &Request,
        key: &str,
        mishap: Option<Mishap>,
        clock_off_s: i64,
    ) -> Vec<u8> {
        if request.method == "GET" {
            return match book.made.contains_key(key) {
                true => reply(200, "{\"state\":\"made\"}"),
                false => reply(404, "{}"),
            };
        }
        if !request.is_signed(clock_off_s) {
            return reply(401, "{\"detail\":\"the signature does not match\"}");
        }
        if mishap.is_none_or(|mishap| mishap.keeps) {
            let made = book.made.entry(key.to_owned()).or_default();
            let times = if mishap.is_some_and(|m| m.answer == Answer::Twice) { 2 } else { 1 };
            for _ in 0..times {
                if !(self.keeps_ids && made.contains(&request.id)) {
                    made.push(request.id.clone());
                }
            }
        }
        reply(202, "{\"detail\":\"kept\"}")
    }
}

fn reply(status: u16, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} So\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// The bytes of an answer that goes wrong.
fn said(answer: Answer, right: &[u8], port: u16) -> Vec<u8> {
    let text = match answer {
        Answer::Hang | Answer::HangUp => String::new(),
        Answer::HalfHead => "HTTP/1.1 202 Accepted\r\ncontent-le".into(),
        Answer::HalfBody | Answer::HangingBody => {
            "HTTP/1.1 202 Accepted\r\ncontent-length: 99\r\n\r\n{\"detail\":".into()
        }
        Answer::ShortLength => {
            "HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1 410 Gone\r\n\r\n".into()
        }
        Answer::Endless => {
            let body = format!("[{}]", "1,".repeat(50_000));
            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        }
        Answer::Garbage => {
            "HTTP/1.1 200 OK\r\ncontent-length: 26\r\n\r\n<html>Welcome guest!</html>".into()
        }
        Answer::HalfJson => "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"detail\"".into(),
        Answer::NoHttp => "SSH-2.0-OpenSSH_9.9\r\n".into(),
        Answer::Redirect(status) => format!(
            "HTTP/1.1 {status} Moved\r\nlocation: http://127.0.0.1:{port}/trap\r\n\
             content-length: 0\r\n\r\n"
        ),
        Answer::Status(status, wait) => {
            let wait = wait.map(|wait| format!("retry-after: {wait}\r\n")).unwrap_or_default();
            format!("HTTP/1.1 {status} No\r\n{wait}content-length: 4\r\n\r\noops")
        }
        Answer::Interim => {
            let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n";
            format!("{interim}{}", String::from_utf8_lossy(right))
        }
        Answer::ClockOff(_) | Answer::Twice => String::from_utf8_lossy(right).into_owned(),
    };
    text.into_bytes()
}

/// An HTTP request, as much of it as a provider looks at.
struct Request {
    method: String,
    path: String,
    id: String,
    timestamp: i64,
    signature: String,
    body: String,
}

impl Request {
    fn read(stream: &mut TcpStream) -> Option<Self> {
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
        let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            let text = String::from_utf8_lossy(&bytes);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let header = |name: &str| {
                    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
                    let found = lines.find(|(other, _)| other.eq_ignore_ascii_case(name));
                    found.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
                };
                if body.len() >= header("content-length").parse().unwrap_or(0) {
                    let mut first = head.split(' ').map(str::to_owned);
                    return Some(Self {
                        method: first.next()?,
                        path: first.next()?,
                        id: header("webhook-id"),
                        timestamp: header("webhook-timestamp").parse().unwrap_or(0),
                        signature: header("webhook-signature"),
                        body: body.to_owned(),
                    });
                }
            }
            match stream.read(&mut buffer) {
                Ok(count) if count > 0 => bytes.extend_from_slice(&buffer[..count]),
                _ => return None,
            }
        }
    }

    /// The order that it is about: of an event its subject, else the end of its address.
    fn order_key(&self) -> String {
        let event: Option<serde_json::Value> = serde_json::from_str(&self.body).ok();
        let subject = event.and_then(|event| event["subject"].as_str().map(str::to_owned));
        let last = self.path.rsplit('/').next().unwrap_or_default();
        subject.unwrap_or_else(|| last.to_owned())
    }

    /// Whether it was signed just now, on the clock of a provider that is off by so much. The
    /// provider without events knows no signatures.
    fn is_signed(&self, clock_off_s: i64) -> bool {
        if self.id.is_empty() {
            return clock_off_s == 0;
        }
        let age_s = Timestamp::now().seconds() + clock_off_s - self.timestamp;
        let right = Webhook::new(SECRET)
            .and_then(|webhook| webhook.sign(&self.id, self.timestamp, self.body.as_bytes()))
            .expect("a signature");
        age_s.abs() <= 300 && self.signature.split(' ').any(|signature| signature == right)
    }
}

/// A provider that makes whatever it is sent and can be asked whether it has it.
struct Careless {
    base: String,
    outward: Outward,
}

impl Careless {
    fn call(&self, method: &str, key: &str) -> Result<Reply, Setback> {
        let url = format!("{}/{key}", self.base);
        let body = if method == "POST" { Body::Bytes(b"{}") } else { Body::Empty };
        self.outward.call(Call { method, url: &url, headers: Vec::new(), body })
    }
}

fn has_it() -> Taken {
    let progress =
        Progress { state: OrderState::Accepted, note: "it has it".into(), look_again_s: None };
    Taken { remote: "there".into(), progress }
}

/// Whether an answer says what a provider says that has understood.
fn is_json(reply: &Reply) -> bool {
    reply.is_whole && serde_json::from_slice::<serde_json::Value>(&reply.body).is_ok()
}

impl Target for Careless {
    fn carries(&self) -> Carries {
        TargetSpec::default().carries()
    }

    fn send(&self, parcel: &Parcel, _files: &dyn Files) -> Result<Taken, Setback> {
        let reply = self.call("POST", &parcel.lines[0].order_key)?;
        let why = format!("the provider answered {}: {}", reply.status, reply.words());
        let fate = match reply.status {
            200..=299 if is_json(&reply) => return Ok(has_it()),
            410 | 422 => Fate::Refused,
            429 => Fate::Away,
            409 | 200..=299 | 500..=599 => Fate::Unknown,
            _ => Fate::NotTaken,
        };
        Err(Setback { why, fate, wait_s: None }.after(reply.retry_after_s))
    }

    fn find(&self, parcel: &Parcel) -> Result<Search, Setback> {
        let reply = self.call("GET", &parcel.lines[0].order_key)?;
        match reply.status {
            200 if is_json(&reply) => Ok(Search::Found(has_it())),
            404 if is_json(&reply) => Ok(Search::SendAgain),
            status => Err(Setback::unknown(format!("the provider answered {status}"))
                .after(reply.retry_after_s)),
        }
    }

    fn follow(&self, _parcel_key: &str, _remote: &str) -> Result<Progress, Setback> {
        Ok(has_it().progress)
    }
}

/// An owner whose orders go to one provider.
struct Owner {
    key: Arc<Key>,
    url: String,
    keeps_ids: bool,
    outward: Outward,
}

impl Files for Owner {
    fn open(&self, _: &str, _: &MemberMessage) -> io::Result<Box<dyn Read + Send>> {
        Err(io::Error::other("nothing is carried"))
    }
}

impl Outlet for Owner {
    fn target(&self, _provider: &str) -> Result<Box<dyn Target>, Hindrance> {
        let outward = self.outward.clone();
        if !self.keeps_ids {
            return Ok(Box::new(Careless { base: self.url.clone(), outward }));
        }
        let key = self.key.clone();
        Ok(TargetSpec::default().open(Means {
            orders_url: self.url.clone(),
            secret: SECRET.into(),
            outward,
            sign: Arc::new(move |bytes| key.sign(bytes)),
            agent_id: self.key.public().thumbprint(),
        }))
    }

    fn instead(&self, _: &Order, _: &str, _: Timestamp) -> Result<Option<Order>, StoreError> {
        Ok(None)
    }

    fn batches(&self, _provider: &str) -> bool {
        false
    }

    fn line(&self, order: &Order, _now: Timestamp) -> Result<Line, Hindrance> {
        Ok(Line {
            order_key: order.order_key.clone(),
            purpose: order.purpose,
            product: None,
            copies: order.copies,
            price_minor: order.price_minor,
            pixels: None,
            batch: None,
            crop: None,
            members: Vec::new(),
            manifest: String::new(),
            receipt_url: String::new(),
            status_url: String::new(),
        })
    }

    fn parcel(&self, key: &str, orders: &[Order], lines: Vec<Line>) -> Result<Parcel, Hindrance> {
        Ok(Parcel {
            parcel_key: key.to_owned(),
            provider: orders[0].provider.clone(),
            sender: Sender {
                name: "Ada".into(),
                address: "mailto:ada@example.org".into(),
                agent_id: self.key.public().thumbprint(),
                key: self.key.public().to_string(),
            },
            recipient: None,
            addressee: None,
            express: false,
            delivery: None,
            lines,
            currency: "EUR".into(),
            callback_url: String::new(),
            created_at: BEGIN,
        })
    }

    fn delivered(&self, _parcel: &Parcel, _now: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }
}

fn wish(key: &str, now: Timestamp) -> Order {
    Order {
        rule: "r".into(),
        revision: "0".into(),
        collection: "c".into(),
        relative: "p.jpg".into(),
        provider: "lab".into(),
        product: Some("mug".into()),
        price_minor: 100,
        currency: "EUR".into(),
        ..Order::new(key, ContentHash::of(key.as_bytes()), now)
    }
}

/// What became of the wishes of one world.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    wishes: usize,
    mishaps: usize,
    made: usize,
    failed: usize,
}

/// Plays wishes in one world until there were enough mishaps, and checks every wish.
fn play(seed: u64, mishaps_min: usize) -> Tally {
    let mut dice = Dice(seed);
    let keeps_ids = seed.is_multiple_of(2);
    let provider = Provider { book: Arc::default(), keeps_ids };
    let book = || provider.book.lock().expect("no panic before");
    let port = provider.clone().listen();
    let place = format!("127.0.0.1:{port}");
    let owner = Owner {
        key: Arc::new(Key::generate().expect("a key")),
        url: format!("http://{place}/orders"),
        keeps_ids,
        outward: Outward::within(Allow::named(&[&place]).expect("a place"), TIMEOUT),
    };
    let state = State::in_memory().expect("a state");
    let mut scripts = BTreeMap::new();
    let mut now = BEGIN;
    while book().played_count < mishaps_min {
        let mut wishes = Vec::new();
        for _ in 0..WISHES_AT_ONCE {
            let key = derived("wish", &[&seed.to_string(), &scripts.len().to_string()]);
            let script = dice.script(keeps_ids);
            book().scripts.insert(key.clone(), script.clone());
            wishes.push(wish(&key, now));
            scripts.insert(key, script);
        }
        state.put_orders(wishes).expect("kept");
        // Whoever waits longer than that waits for ever.
        for _ in 0..WISHES_AT_ONCE * 50 {
            run_due(&state, &owner, now, &|_| ()).expect("kept");
            let Some(next) = state.outbox_next().expect("read") else { break };
            now = Timestamp(next.0.max(now.0));
        }
    }
    let book = book();
    let mut tally = Tally { wishes: scripts.len(), mishaps: book.played_count, ..Tally::default() };
    for (key, script) in &scripts {
        let order = state.order(key).expect("read").expect("it is still there");
        let made_count = book.made.get(key).map_or(0, Vec::len);
        let fate = format!("seed {seed}, wish {key}: {made_count} made, {order:?}; {script:?}");
        match order.state {
            OrderState::Accepted => {
                assert_eq!(made_count, 1, "{fate}");
                tally.made += 1;
            }
            OrderState::Failed => {
                assert!(made_count <= 1 && order.reason.len() > 10, "{fate}");
                assert!(script.iter().any(|mishap| mishap.answer.is_final()), "{fate}");
                tally.failed += 1;
            }
            _ => panic!("it got lost: {fate}"),
        }
    }
    assert!(book.made.keys().all(|key| scripts.contains_key(key)), "seed {seed}: made unasked");
    assert_eq!(book.strangers_count, 0, "seed {seed}: somebody followed a redirect");
    tally
}

#[test]
fn each_wish_is_at_its_provider_once_or_visibly_failed() {
    let worlds = (0..WORLDS_COUNT)
        .map(|seed| std::thread::spawn(move || play(seed as u64, MISHAPS_COUNT / WORLDS_COUNT)));
    let worlds: Vec<_> = worlds.collect();
    let mut all = Tally::default();
    for world in worlds {
        let tally = world.join().expect("a world in which nothing went wrong");
        all.wishes += tally.wishes;
        all.mishaps += tally.mishaps;
        all.made += tally.made;
        all.failed += tally.failed;
    }
    crate::common::note(&format!("{all:?}"));
    assert!(all.mishaps >= MISHAPS_COUNT, "only {} mishaps were played", all.mishaps);
    assert_eq!(all.made + all.failed, all.wishes);
    assert!(all.failed > 100 && all.made > 1000, "the scripts are one-sided: {all:?}");
}
