//! The gate and the connection, checked at sockets that must see a call, or must not.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

use super::super::target::Fate;
use super::gate::Lookup;
use super::*;

mod forbidden;
mod tls;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn allow(places: &[&str]) -> Allow {
    Allow::named(places).expect("places")
}

fn get(url: &str) -> Call<'_> {
    Call { method: "GET", url, headers: Vec::new(), body: Body::Empty }
}

/// An outward client that finds names where `lookup` says.
fn finding(places: &[&str], lookup: Lookup) -> Outward {
    let gate = Gate::new(allow(places), OWNERS_BOOK).looking_up(lookup);
    Outward::through(gate, Agent::config_builder(), Duration::from_secs(5))
}

/// A port of this computer that counts who connects, and answers each.
struct Ear {
    port: u16,
    heard: Receiver<()>,
}

impl Ear {
    fn new(answer: &'static [u8]) -> Self {
        Self::at(Ipv4Addr::LOCALHOST, 0, answer)
    }

    fn at(address: Ipv4Addr, port: u16, answer: &'static [u8]) -> Self {
        let listener = TcpListener::bind((address, port)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (seen, heard) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                if seen.send(()).is_err() {
                    return;
                }
                read_head(&mut stream);
                let _caller_may_be_gone = stream.write_all(answer);
            }
        });
        Self { port, heard }
    }

    fn place(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn url(&self) -> String {
        format!("http://{}/", self.place())
    }

    /// Connections so far, and that one is heard at all: a deaf ear proves nothing.
    fn connections(&self) -> usize {
        let before = self.heard.try_iter().count();
        Outward::new(allow(&["127.0.0.1"])).call(get(&self.url())).expect("the ear answers");
        assert!(self.heard.try_iter().count() >= 1, "nobody listens at {}", self.port);
        before
    }
}

/// Reads a request up to its empty line.
fn read_head(stream: &mut impl Read) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
        head.push(byte[0]);
    }
}

#[test]
fn named_place_is_called() {
    let ear = Ear::new(OK);
    let reply = Outward::new(allow(&[&ear.place()])).call(get(&ear.url())).expect("an answer");
    assert_eq!((reply.status, reply.words().as_str(), reply.is_whole), (200, "ok", true));
}

#[test]
fn refusal_names_the_address_the_reason_and_the_cure() {
    let setback = Outward::new(Allow::default()).call(get("http://127.0.0.1:8720/x"));
    let setback = setback.expect_err("it is not named");
    assert_eq!(setback.fate, Fate::Away);
    assert_eq!(
        setback.why,
        "`127.0.0.1:8720` is not called, it is this computer itself: if you mean it, add \
         \"127.0.0.1:8720\" to `allow` of [outward] in signet.toml"
    );
}

#[test]
fn redirect_into_the_network_is_not_followed() {
    let inside = Ear::new(OK);
    let to = format!("HTTP/1.1 307 Go\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", inside.url());
    let outside = Ear::new(to.leak().as_bytes());
    // Even a place that was named is not gone to because somebody else says so.
    let outward = Outward::new(allow(&[&outside.place(), &inside.place()]));
    let url = outside.url();
    let call = Call { method: "POST", body: Body::Bytes(b"order"), ..get(&url) };
    assert_eq!(outward.call(call).expect("an answer").status, 307);
    assert_eq!(inside.connections(), 0);
}

/// One name, each time at another address; what was checked is what is called.
#[test]
#[cfg(target_os = "linux")]
fn name_that_is_bound_anew_with_each_question_never_leads_inside() {
    let good = Ear::at(Ipv4Addr::new(127, 0, 0, 2), 0, OK);
    let forbidden = Ear::at(Ipv4Addr::LOCALHOST, good.port, OK);
    let asked = Arc::new(Mutex::new(0));
    let count = asked.clone();
    let lookup: Lookup = Arc::new(move |_name, port| {
        let mut count = count.lock().expect("a count");
        *count += 1;
        let address = if *count % 2 == 1 { [127, 0, 0, 2] } else { [127, 0, 0, 1] };
        Ok(vec![SocketAddr::new(IpAddr::from(address), port)])
    });
    let outward = finding(&[&format!("127.0.0.2:{}", good.port)], lookup);
    let url = format!("http://lab.example.com:{}/", good.port);
    for round in 1..=40 {
        let answer = outward.call(get(&url));
        assert_eq!(answer.is_ok(), round % 2 == 1, "round {round}: {answer:?}");
        assert_eq!(*asked.lock().expect("a count"), round, "one question for each call");
    }
    assert_eq!(good.heard.try_iter().count(), 20);
    assert_eq!(forbidden.heard.try_iter().count(), 0);
}

/// What a call ends in, for an other side that does this with the connection.
fn fate_of(serve: impl FnOnce(TcpStream) + Send + 'static) -> Result<Reply, Fate> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let served: JoinHandle<()> = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        read_head(&mut stream);
        serve(stream);
    });
    let outward = Outward::within(allow(&["127.0.0.1"]), Duration::from_millis(300));
    let call = Call { method: "POST", body: Body::Bytes(b""), ..get(&url) };
    let answer = outward.call(call).map_err(|setback| setback.fate);
    drop(outward);
    served.join().expect("served");
    answer
}

/// Writes, then waits until the caller has gone.
fn say(text: &[u8]) -> impl FnOnce(TcpStream) + Send + 'static {
    let text = text.to_owned();
    move |mut stream| {
        let _caller_may_be_gone = stream.write_all(&text);
        let _whatever_it_says = stream.read(&mut [0]);
    }
}

/// Writes and hangs up.
fn blurt(text: &[u8]) -> impl FnOnce(TcpStream) + Send + 'static {
    let text = text.to_owned();
    move |mut stream| {
        let _caller_may_be_gone = stream.write_all(&text);
    }
}

#[test]
fn call_that_left_and_was_not_answered_may_have_been_heard() {
    let unknown = [Fate::Unknown; 5];
    let fates = [
        fate_of(say(b"")),
        fate_of(blurt(b"")),
        fate_of(blurt(b"HTTP/1.1 20")),
        fate_of(say(b"HTTP/1.1 200 OK\r\ncontent-le")),
        fate_of(blurt(b"what do you want\r\n\r\n")),
    ];
    assert_eq!(fates.map(|answer| answer.expect_err("no answer")), unknown);
}

#[test]
fn answer_that_is_cut_off_stops_or_is_too_long_is_not_whole() {
    let long = vec![b'x'; 80_000];
    let long = [b"HTTP/1.1 200 OK\r\ncontent-length: 80000\r\n\r\n", long.as_slice()].concat();
    for (serve, length) in [
        (
            Box::new(blurt(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"))
                as Box<dyn FnOnce(_) + Send>,
            4,
        ),
        (Box::new(say(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")), 4),
        (Box::new(blurt(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n")), 4),
        (Box::new(say(&long)), 65_536),
    ] {
        let reply = fate_of(serve).expect("an answer");
        assert_eq!((reply.status, reply.is_whole, reply.body.len()), (200, false, length));
    }
}

#[test]
fn place_where_nobody_is_has_taken_nothing() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|ear| ear.local_addr()).expect("a port");
    let outward = Outward::new(allow(&["127.0.0.1"]));
    let setback = outward.call(get(&format!("http://{port}/"))).expect_err("nobody is there");
    assert_eq!(setback.fate, Fate::Away, "{}", setback.why);
    let lookup: Lookup = Arc::new(|_, _| Err(std::io::Error::other("no such name")));
    let setback = finding(&[], lookup).call(get("https://lab.example.com/")).expect_err("no name");
    assert_eq!(setback.fate, Fate::Away);
    assert!(setback.why.contains("online"), "{}", setback.why);
    let lookup: Lookup = Arc::new(|_, _| Ok(Vec::new()));
    let setback = finding(&[], lookup).call(get("https://lab.example.com/")).expect_err("nowhere");
    assert_eq!(setback.fate, Fate::Away);
}

#[test]
fn mail_server_is_checked_like_any_other() {
    let lookup: Lookup = Arc::new(|name, port| {
        let address = if name == "mail.example.com" { "93.184.215.14" } else { "10.0.0.9" };
        Ok(vec![SocketAddr::new(address.parse().expect("an address"), port)])
    });
    let outward = finding(&["nas:25"], lookup);
    let check = |host, port, tls| outward.check(host, port, tls).is_ok();
    assert!(check("mail.example.com", 465, true) && check("mail.example.com", 587, true));
    assert!(!check("mail.example.com", 25, true) && !check("mail.example.com", 587, false));
    assert!(check("nas", 25, false) && !check("nas", 587, true));
    assert!(!check("evil.example.com", 587, true) && !check("a b", 587, true));
}
