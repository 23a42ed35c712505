//! The API over real connections and a real database.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use super::*;
use crate::access::Key;
use crate::access::signed_call::{SignedCall, sign};
use crate::base::ids::ContentHash;
use crate::hub::operators::{self, Actor};
use crate::hub::providers::{self, Payment, Proofs, ProviderEdit};
use crate::store::hub::{Role, SqliteHub};

/// A hub's API on a port of its own, two providers and three operators.
struct World {
    api: Arc<Api>,
    address: SocketAddr,
    lab_key: Key,
    secrets: BTreeMap<&'static str, String>,
    _runtime: tokio::runtime::Runtime,
}

/// What came back.
struct Said {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

const PASSWORD: &str = "correct horse battery";

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let listener =
            runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0))).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let store: Arc<dyn HubStore> = Arc::new(SqliteHub::in_memory().expect("a database"));
        let (host, now) = (Actor::host(), Timestamp::now());
        let lab_key = Key::generate().expect("a key");
        let mut secrets = BTreeMap::new();
        for (name, key) in [("lab", Some(lab_key.public().to_string())), ("shop", None)] {
            let proofs = Proofs { key, secret: true };
            let edit = ProviderEdit::default();
            let told = providers::add(&*store, &host, name, &proofs, &edit, 20, now);
            secrets.insert(name, told.expect("added").secret.expect("a secret"));
        }
        for (name, role) in [("vi", Role::Viewer), ("op", Role::Operator), ("ad", Role::Admin)] {
            operators::add(&*store, &host, name, PASSWORD, role, now).expect("added");
        }
        let api = Arc::new(Api {
            store,
            base_url: format!("http://{address}"),
            service_percent: 20,
            allow: Allow::default(),
            metrics: Arc::default(),
            brake: Arc::default(),
            pace: Arc::new(Pace::new(120)),
            door: Door::default(),
            seen: Mutex::default(),
        });
        let router = router(&api).fallback(nothing_here);
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        runtime.spawn(async move { axum::serve(listener, service).await });
        Self { api, address, lab_key, secrets, _runtime: runtime }
    }

    fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Said {
        let mut stream = TcpStream::connect(self.address).expect("connected");
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: hub\r\nconnection: close\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            head.push_str(&format!(
                "content-type: application/json\r\ncontent-length: {}\r\n",
                body.len()
            ));
        }
        write!(stream, "{head}\r\n{body}").expect("asked");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("answered");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let headers = lines.filter_map(|line| line.split_once(": "));
        Said {
            status: status.expect("a status"),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            body: body.to_owned(),
        }
    }

    /// A provider calls with its secret.
    fn provider(&self, name: &str, method: &str, path: &str, body: &str) -> Said {
        let bearer = format!("Bearer {}", self.secrets[name]);
        self.call(method, path, &[("authorization", &bearer)], body)
    }

    /// An operator's session.
    fn session(&self, name: &str) -> String {
        let ask = json!({ "name": name, "password": PASSWORD }).to_string();
        let said = self.call("POST", "/v1/operator/session", &[], &ask);
        assert_eq!(said.status, 201, "{}", said.body);
        format!("Bearer {}", said.json()["token"].as_str().expect("a token"))
    }
}

#[test]
fn provider_sees_its_own_account_by_secret_and_by_key() {
    let world = World::new();
    let payment = Payment { minor: 5000, reference: Some("bank 1"), note: "first" };
    let (store, now) = (&*world.api.store, Timestamp::now());
    providers::top_up(store, &Actor::host(), "lab", payment, now).expect("paid");
    let said = world.provider("lab", "GET", "/v1/provider", "");
    assert_eq!((said.status, said.json()["credit_minor"].as_i64()), (200, Some(5000)));
    let url = format!("{}/v1/provider/statement", world.api.base_url);
    let call = SignedCall { method: "GET", url: &url, body: b"" };
    let proof = sign(&world.lab_key, call, now).expect("signed");
    let by_key = |path| world.call("GET", path, &[("signet-proof", &proof)], "");
    let said = by_key("/v1/provider/statement");
    assert_eq!(said.json()["lines"][0]["minor"], -5000, "{}", said.body);
    assert_eq!(by_key("/v1/provider/statement").status, 401, "used before");
    let other = sign(&Key::generate().expect("a key"), call, now).expect("signed");
    let said = world.call("GET", "/v1/provider/statement", &[("signet-proof", &other)], "");
    assert_eq!(said.status, 401, "nobody's key");
    let shop = world.provider("shop", "GET", "/v1/provider/statement", "").json();
    assert_eq!(shop["lines"], json!([]), "nothing of others");
}

#[test]
fn secret_is_shown_in_no_answer_and_wrong_ones_are_slowed_down() {
    let world = World::new();
    let session = world.session("ad");
    for (name, path) in [("lab", "/v1/provider"), ("lab", "/v1/provider/webhook")] {
        let said = world.provider(name, "GET", path, "");
        assert!(!said.body.contains(&world.secrets["lab"]), "{}", said.body);
    }
    let said = world.call("GET", "/v1/operator/providers", &[("authorization", &session)], "");
    let hash = ContentHash::of(world.secrets["lab"].as_bytes()).to_string();
    assert!(!said.body.contains(&hash) && said.body.contains("\"lab\""), "{}", said.body);
    let wrong = || world.call("GET", "/v1/provider", &[("authorization", "Bearer wrong")], "");
    let said = wrong();
    assert_eq!((said.status, said.headers["www-authenticate"].as_str()), (401, "Bearer"));
    let slowed = (0..500).map(|_| wrong()).find(|said| said.status == 429).expect("slowed down");
    assert!(slowed.headers["retry-after"].parse::<u64>().expect("seconds") >= 1);
    assert_eq!(
        world.provider("lab", "GET", "/v1/provider", "").status,
        200,
        "the right one is not"
    );
}

#[test]
fn provider_gets_as_many_requests_as_agreed() {
    let world = World::new();
    let edit = ProviderEdit { requests_per_minute: Some(5), ..ProviderEdit::default() };
    let (store, now) = (&*world.api.store, Timestamp::now());
    providers::set(store, &Actor::host(), "shop", &edit, now).expect("set");
    let statuses: Vec<_> =
        (0..8).map(|_| world.provider("shop", "GET", "/v1/provider", "").status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 5, "{statuses:?}");
    assert_eq!(statuses.last(), Some(&429));
    assert_eq!(world.provider("lab", "GET", "/v1/provider", "").status, 200);
}

#[test]
fn operators_do_what_their_role_allows_and_everything_is_noted() {
    let world = World::new();
    let [viewer, operator, admin] = ["vi", "op", "ad"].map(|name| world.session(name));
    let act = |who: &str, method: &str, path: &str, body: Value| {
        world.call(method, path, &[("authorization", who)], &body.to_string())
    };
    let pause = json!({ "state": "paused", "why": "looks odd" });
    let path = "/v1/operator/providers/lab/state";
    assert_eq!(act(&viewer, "PUT", path, pause.clone()).status, 403);
    assert_eq!(act(&operator, "PUT", path, pause).json()["state"], "paused");
    let top_up = json!({ "minor": 1000, "reference": "bank 7" });
    let path = "/v1/operator/providers/lab/top-ups";
    assert_eq!(act(&operator, "POST", path, top_up.clone()).status, 403);
    assert_eq!(act(&admin, "POST", path, top_up.clone()).json()["is_new"], true);
    assert_eq!(act(&admin, "POST", path, top_up).json()["is_new"], false, "posted once");
    let invite = act(&operator, "POST", "/v1/operator/invites", json!({ "label": "Ada" }));
    assert_eq!(invite.status, 201, "{}", invite.body);
    let actions = world.call("GET", "/v1/operator/actions", &[("authorization", &viewer)], "");
    let code = invite.json()["code"].as_str().expect("a code").to_owned();
    assert!(actions.body.contains("looks odd") && actions.body.contains("provider.top-up"));
    assert!(!actions.body.contains(&code), "{}", actions.body);
    let said = world.call("DELETE", "/v1/operator/session", &[("authorization", &admin)], "");
    assert_eq!(said.status, 204);
    let said = world.call("GET", "/v1/operator/balances", &[("authorization", &admin)], "");
    assert_eq!(said.status, 401, "signed out");
    let said = world.call("GET", "/v1/operator/balances", &[("authorization", &viewer)], "");
    let sum: i64 = said.json()["balances"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|balance| balance["minor"].as_i64().expect("money"))
        .sum();
    assert_eq!(sum, 0);
}

#[test]
fn what_is_anothers_answers_like_what_is_not_there() {
    let world = World::new();
    let lab = format!("Bearer {}", world.secrets["lab"]);
    let admin = world.session("ad");
    // A provider knows no address of others; with its secret it is nobody among operators.
    for path in ["/v1/operator/agents", "/v1/operator/providers/shop", "/v1/operator/ledger"] {
        assert_eq!(world.call("GET", path, &[("authorization", &lab)], "").status, 401, "{path}");
    }
    // And an operator's session opens no provider's account.
    assert_eq!(world.call("GET", "/v1/provider", &[("authorization", &admin)], "").status, 401);
    let nobody = "%2e%2e%2f, %00, AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA, lab%20, %ff, a.b";
    for id in nobody.split(", ") {
        for (method, what) in [("GET", ""), ("POST", "/lost"), ("POST", "/pay-outs")] {
            let path = format!("/v1/operator/agents/{id}{what}");
            let body = match what {
                "/lost" => r#"{"why":"x"}"#,
                "/pay-outs" => r#"{"currency":"EUR","payment":{"minor":1,"reference":"r"}}"#,
                _ => "",
            };
            let said = world.call(method, &path, &[("authorization", &admin)], body);
            let problem = "/v1/problems/not-found";
            assert_eq!((said.status, said.json()["type"].as_str()), (404, Some(problem)), "{path}");
        }
        let path = format!("/v1/operator/providers/{id}");
        let said = world.call("GET", &path, &[("authorization", &admin)], "");
        assert_eq!(said.status, 404, "{path}");
    }
}

#[test]
fn mistakes_are_problems_that_say_what_is_wrong() {
    let world = World::new();
    let put = |body: &str| world.provider("lab", "PUT", "/v1/provider/webhook", body);
    for (body, status) in [
        ("{", 400),
        ("{}", 400),
        (r#"{"url":"https://a.example/","more":1}"#, 400),
        (r#"{"url":"ftp://a.example/"}"#, 400),
        (r#"{"url":"https://127.0.0.1/"}"#, 403),
        (r#"{"url":"https://[::ffff:10.0.0.1]/"}"#, 403),
        (r#"{"url":"http://a.example/"}"#, 403),
        (r#"{"url":"https://a.example/hook"}"#, 200),
    ] {
        let said = put(body);
        assert_eq!(said.status, status, "{body}: {}", said.body);
        let is_problem = said.headers["content-type"] == super::super::problem::PROBLEM_TYPE;
        assert_eq!(is_problem, status >= 400, "{body}");
    }
    let long = format!(r#"{{"url":"https://a.example/{}"}}"#, "a".repeat(70_000));
    assert_eq!(put(&long).status, 413);
    let said = world.provider("lab", "GET", "/v1/provider/offers?limit=0", "");
    assert!(said.status == 400 && said.body.contains("limit"), "{}", said.body);
    assert_eq!(world.provider("lab", "GET", "/v1/provider/offers?x=1", "").status, 400);
    let said = world.provider("lab", "PATCH", "/v1/provider/webhook", "");
    assert_eq!(said.status, 405);
    assert!(said.headers["allow"].contains("PUT"), "{:?}", said.headers);
    assert_eq!(world.call("GET", "/v1/nothing", &[], "").json()["status"], 404);
    for kind in Kind::ALL {
        let path = format!("/v1/problems/{}", kind.word());
        assert_eq!(world.call("GET", &path, &[], "").status, 200);
    }
}

#[test]
fn notices_are_listed_and_tried() {
    let world = World::new();
    let test = |name| world.provider(name, "POST", "/v1/provider/webhook/test", "");
    assert_eq!(test("lab").status, 409, "no address");
    let body = r#"{"url":"https://a.example/hook"}"#;
    let secret = world.provider("lab", "PUT", "/v1/provider/webhook", body).json();
    assert!(secret["secret"].as_str().is_some_and(|secret| secret.starts_with("whsec_")));
    let id = test("lab").json()["id"].clone();
    let listed = world.provider("lab", "GET", "/v1/provider/notices", "").json();
    assert_eq!(listed["notices"][0]["id"], id);
    assert_eq!(listed["notices"][0]["type"], "signet.webhook.test");
    let others = world.provider("shop", "GET", "/v1/provider/notices", "").json();
    assert_eq!(others["notices"], json!([]));
    assert_eq!(world.provider("lab", "DELETE", "/v1/provider/webhook", "").status, 204);
    assert_eq!(world.provider("lab", "GET", "/v1/provider/webhook", "").json()["url"], Value::Null);
}
