//! What it takes to send orders that were queued while there was no network: the real dispatcher, its
//! grants, manifests and signatures, to a receiver on loopback.
//!
//! Id reads `dispatch/operation/size/what`; wall time, both cores, a state on disk with full
//! durability. `SIGNET_BENCH_SMOKE=1` takes 50 orders in place of 1,000.

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench prints or stops"
)]

#[expect(dead_code, reason = "times here are of a whole queue, taken once")]
mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use common::smoke;
use signet::access::{Consent, Key, LinkKey};
use signet::agent::books::{ConsentBook, OutwardBook, RuleBook};
use signet::agent::outlet::Counter;
use signet::agent::providers::Providers;
use signet::base::allow::Allow;
use signet::base::clock::{Moment, Timestamp};
use signet::base::config::{Icons, Owner};
use signet::base::home::Home;
use signet::base::ids::ContentHash;
use signet::base::money::Currency;
use signet::orders::catalogue::Product;
use signet::orders::dispatch::{Sent, run};
use signet::orders::plan::{Agreed, Before, Photo, plan};
use signet::orders::terms::{Limits, Terms};
use signet::rules::{Confirm, Known, Verdict, Wish};
use signet::store::index::PhotoRow;
use signet::store::{Index, Purpose, State};
use tokio::sync::{Notify, watch};

const ANALYSIS: &str = r#"{"width_px":4000,"height_px":3000,"bytes_count":4000000,
    "media_type":"image/jpeg","taken_at":null,"icons":[]}"#;

fn main() {
    let orders_count = if smoke() { 50 } else { 1_000 };
    let folder = tempfile::tempdir().expect("a folder");
    let port = receive();
    let (home, key, terms) = home(folder.path(), port);
    let state = Arc::new(State::open(&home.state_path()).expect("opens"));
    let mut index = Index::open(&home.index_path()).expect("opens");
    queue(&state, &mut index, &terms, orders_count);
    let consent = Arc::new(ConsentBook::new(home.clone(), key.public()));
    let allow = Allow::named(&["127.0.0.1"]).expect("a place");
    let outward = Arc::new(OutwardBook::new(home.clone(), allow));
    let (rules, _) = RuleBook::open(&home, Known::default()).expect("rules");
    let links = LinkKey::of(&key);
    let key = Arc::new(key);
    let counter = Arc::new(Counter {
        home: home.clone(),
        owner: Owner { name: "Ada".to_owned(), address: "mailto:ada@example.org".to_owned() },
        key: key.clone(),
        links,
        hub: None,
        public_url: "http://127.0.0.1:1".to_owned(),
        roots: [].into(),
        state: state.clone(),
        index: Arc::new(Mutex::new(index)),
        providers: Providers { home, consent, key, outward },
        limits: rules.limits(),
        icons: Icons::default(),
        tell: Box::new(|_| ()),
    });
    let (stop, shutdown) = watch::channel(false);
    let taken_count = Mutex::new(0);
    let tell = Arc::new(move |sent| match sent {
        Sent::Accepted(_) => {
            let mut count = taken_count.lock().expect("no panic before");
            *count += 1;
            if *count == orders_count {
                stop.send(true).expect("somebody waits");
            }
        }
        other => panic!("an order was not taken: {other:?}"),
    });
    let began = Instant::now();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(run(state, counter, Arc::new(Notify::new()), shutdown, tell));
    let id = format!("dispatch/send/{orders_count}-orders/loopback-receiver");
    println!("{id:<48} {:>8.2} s", began.elapsed().as_secs_f64());
}

/// Answers each request on a free port with 202 and closes.
fn receive() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut reader = BufReader::new(stream.try_clone().expect("a reader"));
            let mut length = 0;
            let mut line = String::new();
            while reader.read_line(&mut line).expect("a line") > 2 {
                if let Some(text) = line.to_lowercase().strip_prefix("content-length:") {
                    length = text.trim().parse().expect("a number");
                }
                line.clear();
            }
            reader.read_exact(&mut vec![0; length]).expect("a body");
            let answer = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(answer).expect("answered");
        }
    });
    port
}

/// A home whose owner agreed with the receiver.
fn home(folder: &Path, port: u16) -> (Home, Key, Terms) {
    let home = Home::at(folder);
    home.create().expect("made");
    let config = "[owner]\nname = 'Ada'\naddress = 'mailto:ada@example.org'\n\
                  [outward]\nallow = ['127.0.0.1']\n";
    std::fs::write(home.config_path(), config).expect("written");
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    std::fs::write(home.secret_path("lab"), secret).expect("written");
    let key = Key::load_or_create(&home.keys_dir().join("agent.key")).expect("a key");
    let terms = Terms {
        orders_url: format!("http://127.0.0.1:{port}/orders"),
        key: Key::generate().expect("a key").public().to_string(),
        purposes: [Purpose::Print].into(),
        products: [("print-10x15".to_owned(), Product::priced(29))].into(),
        limits: Limits {
            orders_per_day: 9_999,
            spend_minor_per_month: 9_999_999,
            ..Limits::default()
        },
        ..Terms::new(Currency::try_from("EUR".to_owned()).expect("a currency"))
    };
    Consent::load(&home, &key.public())
        .and_then(|none| {
            let providers = [("lab".to_owned(), terms.clone())].into();
            none.replace(providers, &home, &key, "Ada", Timestamp::now())
        })
        .expect("agreed");
    (home, key, terms)
}

/// Photos in the index, each with an order that is ready.
fn queue(state: &State, index: &mut Index, terms: &Terms, orders_count: u32) {
    let now = Timestamp::now();
    let verdict = Verdict {
        rule: "print-10x15".to_owned(),
        revision: "0".repeat(12),
        wish: Wish::Order {
            provider: "lab".to_owned(),
            product: "print-10x15".to_owned(),
            copies: 1,
            addressee: None,
            express: false,
            with: Vec::new(),
            or: Vec::new(),
            price_max: None,
            remove_icon: false,
        },
        confirm: Confirm::No,
        reason: "an icon".to_owned(),
        doubts: Vec::new(),
        hold_ms: 0,
    };
    let consent = [("lab".to_owned(), terms.clone())].into();
    let agreed = Agreed { consent: &consent, limits: &[] };
    for number in 0..orders_count {
        let hash = ContentHash::of(&number.to_be_bytes());
        let row =
            PhotoRow { hash, analysis_json: ANALYSIS.to_owned(), first_seen: now, may_order: true };
        index.record_photo(&row).expect("recorded");
        let photo = Photo {
            hash,
            collection: "photos".to_owned(),
            relative: PathBuf::from(format!("IMG_{number:04}.jpg")).display().to_string(),
            companions: [].into(),
            missing: Vec::new(),
            people: Vec::new(),
            pixels: Some((4000, 3000)),
            marks: Vec::new(),
        };
        let orders = plan(
            &photo,
            std::slice::from_ref(&verdict),
            agreed,
            &Before::default(),
            Moment::utc(now),
        );
        assert_eq!(state.put_orders(orders).expect("kept").len(), 1);
    }
}
