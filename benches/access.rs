//! What it costs to decide about one request: two signatures, a digest and the rest.

#![expect(clippy::expect_used, reason = "a bench stops at the first wrong answer")]

mod common;

use std::io::Read;

use common::bench;
use signet::access::check::Known;
use signet::access::grant::{Content, issue};
use signet::access::proof::{self, ProvenRequest, Seen};
use signet::access::sealed::{Opened, Sealer, Subject};
use signet::access::{Key, Request, check};
use signet::base::clock::Timestamp;
use signet::base::ids::ContentHash;
use signet::base::member::Member;
use signet::base::money::Currency;
use signet::orders::terms::{Fees, Terms};
use signet::store::{Order, Purpose};

const NOW: Timestamp = Timestamp(1_790_000_000_000);
/// Bytes that are sealed at once.
const PIECE: u64 = 512 * 1024;

const PATH: &str = "/v1/grants/x/content";

fn main() {
    let (agent, lab) = (Key::generate().expect("a key"), Key::generate().expect("a key"));
    let terms = Terms {
        orders_url: "https://lab.example/orders".to_owned(),
        key: lab.public().to_string(),
        purposes: [Purpose::Print].into(),
        fees: Fees { original_minor: 25, preview_minor: 0, companion_minor: 0 },
        service_percent: 20,
        service: "signet".to_owned(),
        ..Terms::new(Currency::try_from("EUR".to_owned()).expect("a currency"))
    };
    let order = Order {
        rule: "print-10x15".to_owned(),
        revision: "0".repeat(12),
        collection: "c".to_owned(),
        relative: "IMG_1.jpg".to_owned(),
        provider: "lab".to_owned(),
        product: Some("print-10x15".to_owned()),
        price_minor: 29,
        currency: "EUR".to_owned(),
        ..Order::new("k".repeat(26), ContentHash::of(b"photo"), NOW)
    };
    let content = Content {
        member: Member::Original,
        digest: order.photo,
        bytes_count: 3_600_000,
        media_type: "image/jpeg".to_owned(),
        name: "IMG_1.jpg".to_owned(),
        offset: None,
        evidence: None,
    };
    let holder = lab.public().thumbprint();
    let make = || issue(&order, &content, &terms, &holder, 1, &agent, NOW).expect("a grant");
    bench("access/issue/one-grant/ed25519", make);

    let grant = make();
    let request = ProvenRequest { method: "GET", url: PATH, grant: &grant.token };
    let prove = || proof::make(&lab, request, NOW).expect("a proof");
    bench("access/prove/one-request/ed25519", prove);

    let agent_key = agent.public();
    let known = Known {
        agent_key: &agent_key,
        grant: Some(&grant),
        terms: Some(&terms),
        stopped: false,
        through_hub: false,
    };
    let mut seen = Seen::default();
    let mut allowed = |proof: &str| {
        let shown =
            Request { method: "GET", path: PATH, grant: Some(&grant.token), proof: Some(proof) };
        check(shown, &known, &mut seen, NOW).is_ok()
    };
    let once = prove();
    assert!(allowed(&once) && !allowed(&once), "a proof is good once");
    // A new proof each time, as providers make them; its cost is the line above.
    bench("access/prove-and-check/one-request/ed25519", || allowed(&prove()));

    // What passes through a hub: eight chunks, as `web::content` reads them.
    let digest = ContentHash::of(b"photo");
    let subject = Subject { grant_id: &grant.grant_id, digest: &digest, start: 0, end: PIECE };
    let plain = vec![7; usize::try_from(PIECE).expect("small")];
    let seal = || {
        let mut sealer = Sealer::new(&lab.public(), subject).expect("a key");
        (sealer.header(), sealer.seal(&plain).expect("sealed"))
    };
    bench("access/seal/512-kib/chacha20-poly1305", seal);
    let (header, sealed) = seal();
    let open = || {
        let mut opened = Opened::new(&*sealed, &lab, &header, subject).expect("a seal");
        let mut read = Vec::with_capacity(plain.len());
        opened.read_to_end(&mut read).expect("opened");
        read
    };
    assert!(open() == plain, "it is what was sealed");
    bench("access/open/512-kib/chacha20-poly1305", open);
}
