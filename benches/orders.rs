//! What it costs to plan orders, to sign their messages and to keep them.

#![expect(clippy::expect_used, reason = "a bench stops at the first wrong answer")]

mod common;

use common::bench;
use signet::access::Key;
use signet::base::clock::{Moment, Timestamp};
use signet::base::ids::ContentHash;
use signet::base::money::Currency;
use signet::orders::catalogue::Product;
use signet::orders::parcel::Sender;
use signet::orders::plan::{Agreed, Before, Photo, plan};
use signet::orders::terms::{Fees, Limits, Terms};
use signet::orders::webhook::{OrderMessage, order_event, sign};
use signet::rules::{Confirm, Verdict, Wish};
use signet::store::{OrderState, Purpose, State};

const NOW: Timestamp = Timestamp(1_790_000_000_000);
const BATCH: u32 = 1000;

fn terms() -> Terms {
    Terms {
        orders_url: "https://lab.example/orders".to_owned(),
        purposes: [Purpose::Print].into(),
        products: [("print-10x15".to_owned(), Product::priced(29))].into(),
        fees: Fees { original_minor: 25, preview_minor: 0, companion_minor: 0 },
        service_percent: 20,
        service: "signet".to_owned(),
        limits: Limits { orders_per_day: 10, ..Limits::default() },
        ..Terms::new(Currency::try_from("EUR".to_owned()).expect("a currency"))
    }
}

fn photo(number: u32) -> Photo {
    let hash = ContentHash::of(&number.to_be_bytes());
    Photo {
        hash,
        collection: "c".to_owned(),
        relative: format!("IMG_{number}.jpg"),
        companions: [].into(),
        missing: Vec::new(),
        people: Vec::new(),
        pixels: Some((4000, 3000)),
        marks: Vec::new(),
    }
}

fn main() {
    let consent = [("lab".to_owned(), terms())].into();
    let verdict = Verdict {
        rule: "print-10x15".to_owned(),
        revision: "0".repeat(12),
        wish: Wish::Order {
            provider: "lab".to_owned(),
            product: "print-10x15".to_owned(),
            copies: 2,
            addressee: None,
            express: false,
            with: Vec::new(),
            or: Vec::new(),
            price_max: None,
            remove_icon: false,
        },
        confirm: Confirm::No,
        reason: "the print icon is on the photo".to_owned(),
        doubts: Vec::new(),
        hold_ms: 0,
    };
    let verdicts = [verdict];
    let agreed = Agreed { consent: &consent, limits: &[] };
    let before = Before::default();
    let orders = |photo: &Photo| plan(photo, &verdicts, agreed, &before, Moment::utc(NOW));
    assert_eq!(orders(&photo(0))[0].state, OrderState::Ready);
    let photos: Vec<Photo> = (0..BATCH).map(photo).collect();
    bench("orders/plan/1000-photos/one-wish", || {
        photos.iter().map(|photo| orders(photo).len()).sum::<usize>()
    });

    let message = OrderMessage {
        order_key: "k".repeat(26),
        owner: "Ada".to_owned(),
        owner_key: String::new(),
        purpose: Purpose::Print,
        product: Some("print-10x15".to_owned()),
        copies: 2,
        addressee: None,
        recipient: None,
        express: false,
        price_minor: 58,
        currency: "EUR".to_owned(),
        members: Vec::new(),
        batch: None,
        crop: None,
        manifest: String::new(),
        receipt_url: "https://owner.example/v1/orders/k/receipt".to_owned(),
        status_url: String::new(),
    };
    let key = Key::generate().expect("a key");
    let sender = Sender {
        name: "Ada".to_owned(),
        address: "mailto:ada@example.org".to_owned(),
        agent_id: key.public().thumbprint(),
        key: key.public().to_string(),
    };
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    bench("orders/sign/one-message/webhook", || {
        let event = order_event(message.clone(), &sender, NOW);
        sign(&event, &[secret], |bytes: &[u8]| key.sign(bytes), NOW).expect("signs").signature
    });

    let mut number = 0;
    bench("orders/keep/1000-orders/one-transaction-in-memory", || {
        let state = State::in_memory().expect("opens");
        number += BATCH;
        let new = (number..number + BATCH).flat_map(|number| orders(&photo(number))).collect();
        let kept = state.put_orders(new).expect("kept");
        assert_eq!(kept.len(), photos.len());
    });
}
