//! Targets that speak REST, against a stand-in server that is strict about a written description
//! (`tests/peers/rest.py`): every path, header, field and word of a request is checked there, and
//! it can be told to lose, cut and garble its answers.

use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use signet::base::allow::Allow;
use signet::base::clock::Timestamp;
use signet::base::ids::ContentHash;
use signet::base::member::Member;
use signet::orders::catalogue::Product;
use signet::orders::outward::Outward;
use signet::orders::parcel::{Line, Parcel, Recipient, Sender};
use signet::orders::target::prodigi::{self, Prodigi};
use signet::orders::target::whcc::{self, Whcc};
use signet::orders::target::{Cancelled, Fate, Files, Search, Taken, Target};
use signet::orders::webhook::MemberMessage;
use signet::store::{OrderState, Purpose};

const PHOTO: &[u8] = b"\xff\xd8 a photo \xff\xd9";
const PRODIGI_KEY: &str = "test-key";
const WHCC_KEY: &str = "test-key:se cret/1";

/// Ways in which an answer goes wrong that leave it unknown what became of the request.
fn lost_answers() -> Vec<Value> {
    let garbage =
        [r#"{"outcome":"Created","order":7}"#, r#"{"outcome":"Created"}"#, "null", "1e999"];
    let ways = ["hang-up", "half", "garbage", "long", "deep"].map(Value::from);
    let statuses = [500, 502, 503, 504, 408, 409].map(Value::from);
    ways.into_iter().chain(statuses).chain(garbage.map(|body| json!({"body": body}))).collect()
}

/// The stand-in, killed when its test ends.
pub(crate) struct Peer {
    child: Child,
    port: u64,
}

impl Peer {
    /// - `name`: `prodigi` or `whcc`
    pub(crate) fn start(name: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/rest.py");
        let mut child = Command::new("python3")
            .args(["-EsB".as_ref(), script.as_os_str(), name.as_ref()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3, which `make setup` names");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let said: Value = serde_json::from_str(&line).expect("its first line");
        Self { child, port: said["listening"].as_u64().expect("a port") }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn control(&self, path: &str, wish: &Value) -> Value {
        let body = serde_json::to_vec(wish).expect("JSON");
        self.post(&format!("/control/{path}"), &body)
    }

    fn post(&self, path: &str, body: &[u8]) -> Value {
        let mut answer = ureq::post(self.url(path)).send(body).expect("an answer");
        let text = answer.body_mut().read_to_string().expect("a text");
        serde_json::from_str(&text).expect("JSON")
    }

    pub(crate) fn state(&self) -> Value {
        self.control("state", &Value::Null)
    }

    /// The next request of an operation goes wrong.
    fn next(&self, operation: &str, acts: bool, then: &Value) {
        self.control("script", &json!([{"on": operation, "acts": acts, "then": then}]));
    }

    pub(crate) fn move_on(&self, order: &str, to: &str) -> Value {
        self.control("move", &json!({"order": order, "to": to}))
    }

    /// How many things of a kind it has.
    fn count(&self, what: &str) -> usize {
        let state = self.state();
        let list = state[what].as_array().map(Vec::len);
        list.or(state[what].as_object().map(serde_json::Map::len)).expect("a list")
    }

    /// Nothing was ever said that the description does not have.
    #[track_caller]
    pub(crate) fn found_no_fault(&self) {
        assert_eq!(self.state()["violations"], json!([]));
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// The photo of every order here.
struct Photos(&'static [u8]);

impl Files for Photos {
    fn open(&self, _: &str, _: &MemberMessage) -> std::io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Cursor::new(self.0)))
    }
}

fn outward() -> Outward {
    Outward::new(Allow::named(&["127.0.0.1"]).expect("a place"))
}

fn ada() -> Recipient {
    Recipient {
        name: "Ada Lovelace".into(),
        line1: "Hauptstraße 1".into(),
        postal_code: "10115".into(),
        town: "Berlin".into(),
        country_code: "DE".into(),
        email: Some("ada@example.org".into()),
        ..Recipient::default()
    }
}

fn parcel(peer: &Peer, key: &str, product: Product) -> Parcel {
    let photo = MemberMessage {
        role: Member::Original,
        name: "Ärger/../IMG \u{202e}1.JPG".into(),
        media_type: "image/jpeg".into(),
        bytes_count: PHOTO.len() as u64,
        sha256: ContentHash::of(PHOTO),
        url: peer.url("/control/asset"),
        grant: String::new(),
    };
    let line = Line {
        order_key: format!("order-of-{key}"),
        purpose: Purpose::Print,
        price_minor: product.price_minor * 2,
        product: Some(("print".into(), product)),
        copies: 2,
        pixels: Some((4000, 3000)),
        batch: None,
        crop: None,
        members: vec![photo],
        manifest: String::new(),
        receipt_url: String::new(),
        status_url: String::new(),
    };
    Parcel {
        parcel_key: key.into(),
        provider: "shop".into(),
        sender: Sender {
            name: "Ada".into(),
            address: "mailto:ada@example.org".into(),
            agent_id: "agent".into(),
            key: "key".into(),
        },
        recipient: Some(ada()),
        addressee: None,
        express: false,
        delivery: Some("Budget".into()),
        lines: vec![line],
        currency: "EUR".into(),
        callback_url: String::new(),
        created_at: Timestamp(0),
    }
}

fn small_print() -> Product {
    Product {
        code: Some("GLOBAL-PHO-4X6".into()),
        finish: Some("gloss".into()),
        ..Product::priced(212)
    }
}

fn shop(peer: &Peer) -> Prodigi {
    Prodigi::new(&prodigi::Spec::default(), &peer.url("/v4.0/"), PRODIGI_KEY, outward())
}

/// What the dispatcher does until a provider has a parcel.
fn deliver(target: &dyn Target, parcel: &Parcel) -> Taken {
    loop {
        let setback = match target.send(parcel, &Photos(PHOTO)) {
            Ok(taken) => return taken,
            Err(setback) => setback,
        };
        assert_ne!(setback.fate, Fate::Refused, "{setback:?}");
        if setback.fate != Fate::Unknown {
            continue;
        }
        loop {
            match target.find(parcel) {
                Ok(Search::Found(taken)) => return taken,
                Ok(Search::SendAgain | Search::TakesAgain) => break,
                Err(_still_unknown) => {}
            }
        }
    }
}

#[test]
fn quote_is_the_price_of_the_way_of_shipping_with_tax() {
    let peer = Peer::start("prodigi");
    let mut parcel = parcel(&peer, "quoted", small_print());
    let quote = shop(&peer).quote(&parcel).expect("a quote").expect("prices");
    // 2 prints at 0.29, shipping at 2.95, a fifth of tax.
    assert_eq!((quote.minor, quote.currency.as_str()), (423, "EUR"));
    parcel.delivery = Some("Express".into());
    assert_eq!(shop(&peer).quote(&parcel).expect("a quote").expect("prices").minor, 1623);
    for answer in lost_answers() {
        peer.next("createQuote", true, &answer);
        let setback = shop(&peer).quote(&parcel).expect_err("no quote");
        assert_eq!(setback.fate, Fate::NotTaken, "{answer}: {setback:?}");
    }
    assert_eq!(peer.count("orders"), 0);
    peer.found_no_fault();
}

#[test]
fn order_whose_answer_is_lost_is_found_and_not_made_again() {
    let peer = Peer::start("prodigi");
    for (place, answer) in lost_answers().iter().enumerate() {
        for acts in [true, false] {
            let key = format!("parcel-{place}-{acts}");
            let parcel = parcel(&peer, &key, small_print());
            peer.next("createOrder", acts, answer);
            let setback = shop(&peer).send(&parcel, &Photos(PHOTO)).expect_err("nothing came back");
            assert_eq!(setback.fate, Fate::Unknown, "{answer}: {setback:?}");
            let found = shop(&peer).find(&parcel).expect("a search");
            assert_eq!(matches!(found, Search::Found(_)), acts, "{answer}");
            // Also who sends it again gets the order that is there.
            let taken = shop(&peer).send(&parcel, &Photos(PHOTO)).expect("taken");
            if let Search::Found(found) = found {
                assert_eq!(found, taken);
            }
        }
    }
    assert_eq!(peer.count("orders"), lost_answers().len() * 2);
    peer.found_no_fault();
}

#[test]
fn mishaps_in_any_order_leave_one_order_for_each_parcel() {
    let peer = Peer::start("prodigi");
    let mut random = 42_u64;
    let mut below = |count: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(random >> 33).expect("small") % count
    };
    let mut answers = lost_answers();
    answers.extend([429, 401, 402, 404].map(Value::from));
    for parcel_number in 0..100 {
        let steps = (0..below(6)).map(|_| {
            let operation = ["createOrder", "listOrders"][below(2)];
            let answer = &answers[below(answers.len())];
            // These say that nothing was done, so nothing is.
            let refuses =
                answer.as_u64().is_some_and(|status| [429, 401, 402, 404].contains(&status));
            json!({"on": operation, "acts": !refuses && below(2) == 0, "then": answer})
        });
        peer.control("script", &steps.collect());
        let parcel = parcel(&peer, &format!("parcel-{parcel_number}"), small_print());
        let taken = deliver(&shop(&peer), &parcel);
        peer.control("script", &json!([]));
        assert_eq!(deliver(&shop(&peer), &parcel), taken, "sent again it is the same order");
    }
    assert_eq!(peer.count("orders"), 100);
    peer.found_no_fault();
}

#[test]
fn order_that_surely_was_not_taken_says_so() {
    let peer = Peer::start("prodigi");
    let fate = |target: &dyn Target, parcel: &Parcel| {
        let setback = target.send(parcel, &Photos(PHOTO)).expect_err("refused");
        (setback.fate, setback.why)
    };
    let good = parcel(&peer, "good", small_print());
    peer.control(
        "script",
        &json!([{"on": "createOrder", "acts": false, "then": 429, "retry_after": 7}]),
    );
    let setback = shop(&peer).send(&good, &Photos(PHOTO)).expect_err("too much to do");
    assert_eq!((setback.fate, setback.wait_s), (Fate::Away, Some(7)));
    let stranger = Prodigi::new(&prodigi::Spec::default(), &peer.url("/v4.0"), "no", outward());
    assert_eq!(fate(&stranger, &good).0, Fate::Away);

    let mut unknown = small_print();
    unknown.code = Some("GLOBAL-PHO-9X9".into());
    let (refused, why) = fate(&shop(&peer), &parcel(&peer, "unknown", unknown));
    assert_eq!(refused, Fate::Refused);
    assert!(why.contains("GLOBAL-PHO-9X9"), "{why}");
    let mut nowhere = good.clone();
    nowhere.recipient = None;
    let (refused, why) = fate(&shop(&peer), &nowhere);
    assert_eq!(refused, Fate::Refused);
    assert!(why.contains("signet addressees add"), "{why}");
    assert_eq!(shop(&peer).quote(&nowhere).expect_err("no country").fate, Fate::Refused);
    let mut shared = good.clone();
    shared.lines[0].product = None;
    assert_eq!(fate(&shop(&peer), &shared).0, Fate::Refused);
    let mut many = good.clone();
    many.lines = vec![good.lines[0].clone(); prodigi::LINES_MAX + 1];
    assert_eq!(fate(&shop(&peer), &many).0, Fate::Refused);
    let changed = shop(&peer).send(&good, &Photos(b"other bytes")).expect_err("changed");
    assert_eq!(changed.fate, Fate::NotTaken);

    assert_eq!(peer.count("orders"), 0);
    peer.found_no_fault();
}

#[test]
fn as_many_orders_as_fit_are_sent_at_once_and_read_back() {
    let peer = Peer::start("prodigi");
    let mut parcel = parcel(&peer, "many", small_print());
    parcel.lines[0].members[0].url.push_str(&format!("?{}", "x".repeat(150)));
    parcel.lines = vec![parcel.lines[0].clone(); prodigi::LINES_MAX];
    let taken = shop(&peer).send(&parcel, &Photos(PHOTO)).expect("taken");
    assert_eq!(shop(&peer).find(&parcel), Ok(Search::Found(taken)));
    peer.found_no_fault();
}

#[test]
fn order_is_followed_from_the_first_fetch_to_the_door() {
    let peer = Peer::start("prodigi");
    peer.post("/control/asset", PHOTO);
    let parcel = parcel(&peer, "followed", small_print());
    let taken = shop(&peer).send(&parcel, &Photos(PHOTO)).expect("taken");
    assert_eq!(taken.progress.state, OrderState::Accepted);
    let now = |after: &str| {
        peer.move_on(&taken.remote, after);
        let progress = shop(&peer).follow("followed", &taken.remote).expect("progress");
        (progress.state, progress.note, progress.look_again_s)
    };
    assert_eq!(now("fetch"), (OrderState::Fetching, String::new(), Some(300)));
    let fetched = &peer.state()["fetched"][0];
    assert_eq!(fetched["sha256"], ContentHash::of(PHOTO).to_string());
    assert_eq!(fetched["same"], true, "it has the MD5 that the order said");
    assert_eq!(now("inProduction").0, OrderState::Production);
    // 2 prints at 0.29 and shipping; agreed were 4.24.
    assert_eq!(now("charge").1, "charged 3.53 EUR, agreed 4.24 EUR");
    let (state, note, _) = now("ship");
    assert_eq!(state, OrderState::Shipped);
    assert!(note.contains("DPD, Classic, 1Z999, https://track.example/1Z999"), "{note}");
    let (state, _, look_again_s) = now("Complete");
    assert_eq!((state, look_again_s), (OrderState::Done, None));
    for answer in lost_answers() {
        peer.next("getOrder", true, &answer);
        shop(&peer).follow("followed", &taken.remote).expect_err("nothing to go by");
    }
    shop(&peer).follow("another", &taken.remote).expect_err("an order of another parcel");
    shop(&peer).follow("followed", "../actions").expect_err("no name of an order");
    peer.found_no_fault();
}

#[test]
fn what_is_wrong_at_the_provider_is_told_and_the_order_stays() {
    let peer = Peer::start("prodigi");
    peer.post("/control/asset", b"other bytes");
    let parcel = parcel(&peer, "wrong", small_print());
    let taken = shop(&peer).send(&parcel, &Photos(PHOTO)).expect("taken");
    peer.move_on(&taken.remote, "fetch");
    let progress = shop(&peer).follow("wrong", &taken.remote).expect("progress");
    assert_eq!(progress.state, OrderState::Fetching);
    assert!(progress.note.contains("other bytes than were said"), "{}", progress.note);
    peer.move_on(&taken.remote, "pay");
    let note = shop(&peer).follow("wrong", &taken.remote).expect("progress").note;
    assert!(note.contains("waits to be paid"), "{note}");
    assert!(note.contains("to pay: 9.60 EUR; allow it at https://pay.example/1"), "{note}");
    peer.found_no_fault();
}

#[test]
fn order_is_stopped_until_it_is_being_made() {
    let peer = Peer::start("prodigi");
    let cancel = |key: &str, remote: &str| shop(&peer).cancel(key, remote);
    let sent = |key: &str| {
        let parcel = parcel(&peer, key, small_print());
        shop(&peer).send(&parcel, &Photos(PHOTO)).expect("taken").remote
    };
    let early = sent("early");
    for _again in 0..2 {
        assert!(matches!(cancel("early", &early), Ok(Cancelled::Stopped(_))));
    }
    let lost = sent("lost");
    peer.next("cancelOrder", true, &"hang-up".into());
    assert_eq!(cancel("lost", &lost).expect_err("nothing came back").fate, Fate::Unknown);
    assert!(matches!(cancel("lost", &lost), Ok(Cancelled::Stopped(_))), "it had got there");
    let late = sent("late");
    peer.move_on(&late, "inProduction");
    assert!(matches!(cancel("late", &late), Ok(Cancelled::TooLate(_))));
    let between = sent("between");
    for outcome in ["FailedToCancel", "ActionNotAvailable"] {
        let body = json!({"outcome": outcome, "order": null}).to_string();
        peer.next("cancelOrder", false, &json!({"body": body}));
        assert!(matches!(cancel("between", &between), Ok(Cancelled::TooLate(_))), "{outcome}");
    }
    peer.found_no_fault();
}

#[test]
fn stand_in_refuses_what_its_description_does_not_have() {
    let peer = Peer::start("prodigi");
    let order = |change: &dyn Fn(&mut Value)| {
        let mut message = json!({"shippingMethod": "Budget", "merchantReference": "x", "items": [
            {"sku": "GLOBAL-PHO-4X6", "copies": 1, "sizing": "fillPrintArea", "assets": [
                {"printArea": "default", "url": "https://example.org/1"}]}],
            "recipient": {"name": "Ada", "address": {"line1": "1", "postalOrZipCode": "1",
                "countryCode": "DE", "townOrCity": "B"}}});
        change(&mut message);
        let answer = ureq::post(peer.url("/v4.0/orders"))
            .config()
            .http_status_as_error(false)
            .build()
            .header("x-api-key", PRODIGI_KEY)
            .content_type("application/json")
            .send(message.to_string());
        answer.expect("an answer").status().as_u16()
    };
    assert_eq!(order(&|_| {}), 200);
    for (number, change) in [
        &(|order: &mut Value| order["unknown"] = 1.into()) as &dyn Fn(&mut Value),
        &|order| order["shippingMethod"] = "Slow".into(),
        &|order| order["items"][0]["copies"] = "1".into(),
        &|order| order["items"][0]["copies"] = 0.into(),
        &|order| order["items"][0]["assets"][0]["url"] = "file:///etc/passwd".into(),
        &|order| order["items"][0]["assets"][0]["md5Hash"] = "abc".into(),
        &|order| order["recipient"]["address"]["countryCode"] = "Germany".into(),
        &|order| order["recipient"]["name"] = Value::Null,
        &|order| order["items"] = json!([]),
    ]
    .iter()
    .enumerate()
    {
        assert_eq!(order(change), 400, "change {number}");
    }
    assert_eq!(peer.count("violations"), 9);
    assert_eq!(peer.count("orders"), 1);
}

fn lab(peer: &Peer, secret: &str) -> Whcc {
    let spec = whcc::Spec { from: ada(), order_attributes: vec![96] };
    Whcc::new(&spec, &peer.url(""), secret, outward())
}

fn lab_parcel(peer: &Peer, key: &str) -> Parcel {
    let product = Product {
        code: Some("2".into()),
        attributes: [("options".into(), "1 5".into())].into(),
        ..Product::priced(300)
    };
    let parcel = parcel(peer, key, product);
    Parcel { delivery: Some("545".into()), currency: "USD".into(), ..parcel }
}

/// How many drafts of a parcel the lab made.
fn made(peer: &Peer, entry: &str) -> i64 {
    let state = peer.state();
    let drafts = state["drafts"].as_object().expect("drafts").values();
    let made = drafts.filter(|draft| draft["entry"] == entry).map(|draft| draft["made"].as_i64());
    made.map(|made| made.expect("a number")).sum()
}

#[test]
fn draft_is_imported_submitted_and_fetched() {
    let peer = Peer::start("whcc");
    peer.post("/control/asset", PHOTO);
    let taken = lab(&peer, WHCC_KEY).send(&lab_parcel(&peer, "one"), &Photos(PHOTO));
    let taken = taken.expect("a draft");
    assert_eq!(taken.progress.note, "a draft at the lab for 4.78 USD, not yet submitted");
    assert_eq!(taken.progress.look_again_s, Some(0), "the next step is due at once");
    assert_eq!(made(&peer, "one"), 0, "a draft is no order");
    let progress = lab(&peer, WHCC_KEY).follow("one", &taken.remote).expect("submitted");
    assert_eq!((progress.state, progress.look_again_s), (OrderState::Accepted, None));
    assert_eq!(made(&peer, "one"), 1);
    peer.move_on(&taken.remote, "fetch");
    assert_eq!(peer.state()["fetched"][0]["same"], true);
    let draft = &peer.state()["drafts"][&taken.remote]["order"];
    assert_eq!(draft["OrderAttributes"], json!([{"AttributeUID": 96}, {"AttributeUID": 545}]));
    let name = draft["OrderItems"][0]["ItemAssets"][0]["PrintedFileName"].clone();
    assert_eq!(name, "_rger_.._IMG__1.JPG");
    peer.found_no_fault();
}

#[test]
fn lost_answers_of_a_two_step_lab_make_no_second_order() {
    let peer = Peer::start("whcc");
    for (place, answer) in lost_answers().iter().enumerate() {
        for acts in [true, false] {
            let key = format!("parcel-{place}-{acts}");
            let parcel = lab_parcel(&peer, &key);
            peer.next("importOrder", acts, answer);
            let setback = lab(&peer, WHCC_KEY).send(&parcel, &Photos(PHOTO)).expect_err("lost");
            assert_ne!(setback.fate, Fate::Unknown, "a draft that is lost is no order: {answer}");
            let taken = deliver(&lab(&peer, WHCC_KEY), &parcel);
            // A crash between the two steps: it is followed by the name that was kept.
            peer.next("submitOrder", acts, answer);
            let follow = || lab(&peer, WHCC_KEY).follow(&key, &taken.remote);
            follow().expect_err("lost");
            for _again in 0..2 {
                assert_eq!(follow().expect("submitted").state, OrderState::Accepted);
            }
            assert_eq!(made(&peer, &key), 1, "{answer}");
        }
    }
    peer.found_no_fault();
}

#[test]
fn draft_that_the_lab_or_the_agreement_does_not_allow_is_refused() {
    let peer = Peer::start("whcc");
    let good = lab_parcel(&peer, "good");
    let fate = |secret: &str, parcel: &Parcel| {
        lab(&peer, secret).send(parcel, &Photos(PHOTO)).expect_err("refused")
    };
    assert_eq!(fate("test-key:wrong", &good).fate, Fate::Away);
    assert_eq!(fate("no colon", &good).fate, Fate::Refused);
    let mut dear = good.clone();
    dear.lines[0].price_minor = 477;
    let setback = fate(WHCC_KEY, &dear);
    assert_eq!(setback.fate, Fate::Refused);
    assert!(setback.why.contains("wants 4.78 USD"), "{}", setback.why);
    let euros = Parcel { currency: "EUR".into(), ..good.clone() };
    assert_eq!(fate(WHCC_KEY, &euros).fate, Fate::Refused);
    let change = |change: &dyn Fn(&mut Product)| {
        let mut parcel = good.clone();
        if let Some((_, product)) = &mut parcel.lines[0].product {
            change(product);
        }
        fate(WHCC_KEY, &parcel).fate
    };
    assert_eq!(change(&|product| product.code = Some("99".into())), Fate::Refused);
    assert_eq!(change(&|product| product.code = Some("prints".into())), Fate::Refused);
    for (name, value) in [("options", "1 x"), ("node", "-1"), ("paper", "5")] {
        let set = |product: &mut Product| {
            product.attributes.insert(name.into(), value.into());
        };
        assert_eq!(change(&set), Fate::Refused, "{name}");
    }
    let draft = "00000000-0000-0000-0000-000000000000";
    let unknown = lab(&peer, WHCC_KEY).follow("good", draft).expect("an end");
    assert_eq!(unknown.state, OrderState::Failed);
    assert_eq!(made(&peer, "good"), 0);
    peer.found_no_fault();
}
