//! The hub's API as labs and operators call it, at a hub that runs: beside Schemathesis, which knows
//! nothing but its description, and the package `standardwebhooks`. Metrics, health and logs too.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::common::{Home, Service, note, skipped, wait_for};
use crate::webhooks::peer;
use crate::world::free_port;

const PASSWORD: &str = "correct horse battery";

/// A hub without TLS that runs, an operator and a lab with a secret.
struct Hub {
    home: Home,
    url: String,
    monitor: String,
    secret: String,
    service: Service,
}

impl Hub {
    fn new() -> Self {
        let home = Home::new();
        let [place, monitor] = [(); 2].map(|()| format!("127.0.0.1:{}", free_port()));
        home.run(&["hub", "init", "--name", "Test hub", "--listen", &place]).done();
        let config = home.path().join("hub.toml");
        let text = std::fs::read_to_string(&config).expect("hub.toml");
        let text = text
            .replace("[tls]", "[tls]\noff = true")
            .replace("allow = []", "allow = [\"127.0.0.1\"]")
            .replace("strangers_per_minute = 120", "strangers_per_minute = 1_000_000")
            .replace("# metrics = \"127.0.0.1:9150\"", &format!("metrics = \"{monitor}\""));
        std::fs::write(&config, text).expect("written");
        let password = home.write("password", PASSWORD);
        let password = password.to_str().expect("a plain path");
        let add =
            ["hub", "operators", "add", "ada", "--role", "admin", "--password-file", password];
        home.run(&add).done();
        let add =
            ["--json", "hub", "providers", "add", "lab", "--secret", "--per-minute", "1000000"];
        let said = home.run(&[&add[..], &["--price", "original=25"]].concat()).done().json();
        let secret = said[0]["secret"].as_str().expect("a secret").to_owned();
        let mut command = home.command(&["--json", "--log", "json", "hub"]);
        let mut service = Service::start(command.env("SIGNET_LOG", "signet=debug,info"));
        service.line_with("listening");
        Self { home, url: format!("http://{place}"), monitor, secret, service }
    }

    fn call(&self, method: &str, path: &str, bearer: &str, body: Option<Value>) -> (u16, Value) {
        let client: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("authorization", format!("Bearer {bearer}"))
            .header("content-type", "application/json");
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let mut answer = client.run(request.body(body).expect("a request")).expect("answered");
        let text = answer.body_mut().read_to_string().expect("a body");
        (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    fn sign_in(&self) -> String {
        let ask = json!({ "name": "ada", "password": PASSWORD });
        let (status, said) = self.call("POST", "/v1/operator/session", "", Some(ask));
        assert_eq!(status, 201, "{said}");
        said["token"].as_str().expect("a token").to_owned()
    }

    /// What the hub's own address for operators shows.
    fn monitored(&self, path: &str) -> (u16, String) {
        let client: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut answer =
            client.get(format!("http://{}{path}", self.monitor)).call().expect("shown");
        (answer.status().as_u16(), answer.body_mut().read_to_string().expect("text"))
    }
}

/// Schemathesis, when set-up could fetch it.
fn schemathesis() -> Option<PathBuf> {
    let exe = std::env::current_exe().expect("this program");
    let built = exe.ancestors().nth(3).expect("the build folder");
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    let place = "peers/schemathesis/bin/schemathesis";
    let found = [built.join(place), ours.join(place)].into_iter().find(|path| path.is_file());
    if found.is_none() {
        skipped("no package `schemathesis`");
    }
    found
}

/// Lets Schemathesis call every operation of a part of the API with what fits its description and
/// with what does not, and compare the answers with it.
fn conforms(hub: &Hub, args: &[&str]) {
    let Some(program) = schemathesis() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(program)
        .args(["run", &format!("{}/v1/openapi.json", hub.url), "--checks", "all"])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "8", "--seed", "7"])
        .args(["--generation-database", "none", "--continue-on-failure", "--no-color"])
        .args(args)
        .current_dir(folder.path())
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    note(said.lines().last().unwrap_or_default());
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn provider_api_does_what_its_description_says() {
    let hub = Hub::new();
    let bearer = format!("Authorization: Bearer {}", hub.secret);
    conforms(&hub, &["--include-tag", "provider", "--header", &bearer]);
}

#[test]
fn operator_api_does_what_its_description_says() {
    let hub = Hub::new();
    let bearer = format!("Authorization: Bearer {}", hub.sign_in());
    // Signing out would end the session that the other calls are made with.
    let args = ["--include-tag", "operator", "--exclude-path", "/v1/operator/session"];
    conforms(&hub, &[&args[..], &["--header", &bearer]].concat());
}

#[test]
fn what_is_open_to_all_does_what_its_description_says() {
    let hub = Hub::new();
    conforms(&hub, &["--include-tag", "fetch", "--include-tag", "about"]);
}

#[test]
fn what_owners_computers_ask_does_what_its_description_says() {
    let hub = Hub::new();
    // The channel is no question and answer, and a transfer is there for a moment alone.
    // A copy is brought with a length that Schemathesis does not name.
    let out = ["/v1/agent", "/v1/transfers/{transfer}", "/v1/staged/{agent}/{grant}"];
    let args = out.iter().flat_map(|path| ["--exclude-path", path]);
    conforms(&hub, &["--include-tag", "agent"].into_iter().chain(args).collect::<Vec<_>>());
}

#[test]
fn what_a_computer_asks_in_vain_is_a_problem_like_all_others() {
    let hub = Hub::new();
    let nobody = "/v1/agents/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let long = json!("x".repeat(20_000));
    for (method, path, body, status, kind) in [
        ("POST", "/v1/join", Some(json!("signed by nobody")), 403, "not-proven"),
        ("POST", "/v1/join", Some(long), 413, "too-large"),
        ("PUT", "/v1/join", None, 405, "method"),
        ("POST", &format!("{nobody}/leave"), Some(json!("x")), 404, "not-found"),
        ("POST", &format!("{nobody}/key"), Some(json!({ "by_old": 1 })), 400, "malformed"),
        ("GET", "/v1/agent", None, 426, "upgrade"),
    ] {
        let (got, said) = hub.call(method, path, "", body);
        let place = format!("/v1/problems/{kind}");
        assert_eq!((got, said["type"].as_str()), (status, Some(place.as_str())), "{path}: {said}");
        assert!(said["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{said}");
        assert_eq!(hub.call("GET", &place, "", None).0, 200, "{place} is explained");
    }
    let (status, offer) = hub.call("GET", "/v1/join", "", None);
    assert_eq!((status, offer["name"].as_str()), (200, Some("Test hub")), "{offer}");
}

#[test]
fn description_is_printed_as_it_is_served() {
    let hub = Hub::new();
    let printed: Value =
        serde_json::from_str(&hub.home.run(&["hub", "api"]).done().stdout).expect("JSON");
    assert_eq!(hub.call("GET", "/v1/openapi.json", "", None), (200, printed.clone()));
    assert!(printed["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
}

#[test]
fn notice_is_signed_and_tried_again_until_it_is_taken() {
    let Some(mut verify) = peer() else { return };
    let hub = Hub::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    let ask = Some(json!({ "url": url }));
    let (_, told) = hub.call("PUT", "/v1/provider/webhook", &hub.secret, ask);
    let secret = told["secret"].as_str().expect("a secret").to_owned();
    let (status, made) = hub.call("POST", "/v1/provider/webhook/test", &hub.secret, None);
    assert_eq!(status, 202, "{made}");
    let first = take(&listener, "503 Service Unavailable");
    let second = take(&listener, "200 OK");
    assert_eq!(first["headers"]["webhook-id"], made["id"]);
    assert_eq!(second["headers"]["webhook-id"], made["id"], "the same over tries");
    let event: Value =
        serde_json::from_str(second["body"].as_str().expect("a body")).expect("JSON");
    assert_eq!(
        (&event["type"], &event["source"]),
        (&json!("signet.webhook.test"), &json!(hub.url))
    );
    let mut child = verify
        .args(["verify", &secret])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    write!(child.stdin.take().expect("stdin"), "{second}").expect("written");
    let output = child.wait_with_output().expect("ended");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "verified");
    wait_for("the notice to be settled", || {
        let (_, listed) = hub.call("GET", "/v1/provider/notices", &hub.secret, None);
        (!listed["notices"][0]["settled_at"].is_null()).then_some(())
    });
}

/// Takes one call and answers it.
fn take(listener: &TcpListener, status: &str) -> Value {
    let (stream, _) = listener.accept().expect("a call");
    let mut reader = BufReader::new(&stream);
    let mut headers = serde_json::Map::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line");
        match line.trim_end().split_once(": ") {
            Some((name, value)) => {
                headers.insert(name.to_lowercase(), json!(value));
            }
            None if line.trim_end().is_empty() => break,
            None => {}
        }
    }
    let length = headers["content-length"].as_str().and_then(|text| text.parse().ok());
    let mut body = vec![0; length.expect("a length")];
    reader.read_exact(&mut body).expect("a body");
    write!(&stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        .expect("answered");
    json!({ "headers": headers, "body": String::from_utf8(body).expect("text") })
}

#[test]
fn paused_provider_is_told_and_may_still_read() {
    let hub = Hub::new();
    hub.home.run(&["hub", "providers", "pause", "lab", "--why", "looks odd"]).done();
    let (status, row) = hub.call("GET", "/v1/provider", &hub.secret, None);
    assert_eq!((status, &row["state"], &row["why"]), (200, &json!("paused"), &json!("looks odd")));
    let (_, listed) = hub.call("GET", "/v1/provider/notices", &hub.secret, None);
    assert_eq!(listed["notices"][0]["type"], "signet.provider.paused");
}

#[test]
fn metrics_and_health_are_shown_to_those_who_run_the_hub_alone() {
    let hub = Hub::new();
    hub.call("GET", "/v1/provider", "wrong", None);
    let (status, text) = hub.monitored("/metrics");
    assert_eq!(status, 200);
    let line = "signet_hub_refusals_total{reason=\"unauthorised\"} 1";
    assert!(text.lines().any(|l| l == line), "no `{line}` in\n{text}");
    assert!(!text.contains("lab"), "no names in\n{text}");
    assert_eq!(hub.monitored("/health").0, 200);
    assert_eq!(hub.monitored("/ready").0, 200);
    assert_eq!(hub.call("GET", "/metrics", "", None).0, 404, "not at the public address");
}

#[test]
fn logs_are_json_and_say_nothing_of_secrets_or_people() {
    let mut hub = Hub::new();
    let token = hub.sign_in();
    hub.call("GET", "/v1/provider", &hub.secret, None);
    hub.call("GET", "/v1/provider", "a-wrong-secret", None);
    hub.call("GET", "/v1/operator/balances", &token, None);
    let wrong = json!({ "name": "ada", "password": "a-wrong-password" });
    hub.call("POST", "/v1/operator/session", "", Some(wrong));
    let ask = json!({ "url": format!("{}/token-in-the-path", hub.url) });
    let (_, told) = hub.call("PUT", "/v1/provider/webhook", &hub.secret, Some(ask));
    hub.call("POST", "/v1/provider/webhook/test", &hub.secret, None);
    hub.service.line_with("a notice was refused");
    let said = hub.service.said();
    let logged: Vec<_> = said.iter().filter(|line| line.contains(r#""level""#)).collect();
    assert!(logged.len() > 2, "{said:#?}");
    for line in logged {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(value["timestamp"].is_string() && value["message"].is_string(), "{line}");
        let notify = told["secret"].as_str().expect("a secret");
        for hidden in [
            hub.secret.as_str(),
            &token,
            PASSWORD,
            notify,
            "a-wrong",
            "token-in-the-path",
            "127.0.0.1",
            "ada",
        ] {
            assert!(!line.contains(hidden), "`{hidden}` in {line}");
        }
    }
}
