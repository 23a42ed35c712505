//! Who gets bytes and who does not: ranges, resume, and everybody who should be refused.

use std::io::{Read, Seek, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use serde_json::Value;
use signet::access::Key;
use signet::access::proof::{self, ProvenRequest};
use signet::base::clock::Timestamp;
use signet::base::ids::ContentHash;

use crate::common::{Service, wait_for};
use crate::world::{World, sample};

/// A provider as a program: the lab's key, and the order it got.
struct Provider {
    key: Key,
    url: String,
    grant: String,
    order: Value,
}

/// What one request got.
#[derive(Debug)]
struct Got {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

impl Provider {
    fn key_of(home: &std::path::Path) -> Key {
        Key::load_or_create(&home.join("keys/lab.key")).expect("the lab's key")
    }

    fn fetch(&self, method: &str, headers: &[(&str, &str)]) -> Got {
        let proof = self.proof(method, &self.url, &self.grant);
        self.request(method, Some(&self.grant), Some(&proof), headers)
    }

    fn proof(&self, method: &str, url: &str, grant: &str) -> String {
        let request = ProvenRequest { method, url, grant };
        proof::make(&self.key, request, Timestamp::now()).expect("a proof")
    }

    fn request(
        &self,
        method: &str,
        grant: Option<&str>,
        proof: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Got {
        send(method, &self.url, grant, proof, headers)
    }
}

fn send(
    method: &str,
    url: &str,
    grant: Option<&str>,
    proof: Option<&str>,
    headers: &[(&str, &str)],
) -> Got {
    let client: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut request = match method {
        "HEAD" => client.head(url),
        _ => client.get(url),
    };
    if let Some(grant) = grant {
        request = request.header("authorization", format!("DPoP {grant}"));
    }
    if let Some(proof) = proof {
        request = request.header("dpop", proof);
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut answer = request.call().expect("an answer");
    let headers = answer.headers().iter();
    let text = |value: &ureq::http::HeaderValue| value.to_str().unwrap_or("").to_owned();
    Got {
        status: answer.status().as_u16(),
        headers: headers.map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: answer.body_mut().read_to_vec().unwrap_or_default(),
    }
}

/// A world whose lab has got one order and is gone, perhaps before it fetched anything.
struct Scene {
    world: World,
    agent: Service,
    provider: Provider,
    photo: Vec<u8>,
    path: PathBuf,
}

fn scene() -> Scene {
    scene_of(sample("meadow"))
}

fn scene_of(photo: Vec<u8>) -> Scene {
    scene_in(World::new(), photo, |_world| ())
}

/// - `before`: done before the lab is started
fn scene_in(world: World, photo: Vec<u8>, before: impl FnOnce(&World)) -> Scene {
    before(&world);
    let mut lab = world.start_lab();
    let mut agent = world.start_agent();
    let path = world.drop_photo("IMG_1.jpg", &photo);
    agent.line_with("accepted");
    lab.kill();
    let filed = world.filed();
    let (event, _) = filed.values().next().expect("an order");
    let member = &event["data"]["members"][0];
    let provider = Provider {
        key: Provider::key_of(world.lab.path()),
        url: member["url"].as_str().expect("a url").to_owned(),
        grant: member["grant"].as_str().expect("a grant").to_owned(),
        order: event["data"].clone(),
    };
    Scene { world, agent, provider, photo, path }
}

fn refusals(world: &World) -> Vec<String> {
    let reason = |line: &Value| line["reason"].as_str().unwrap_or_default().to_owned();
    world.report("refusal").iter().map(reason).collect()
}

#[test]
fn ranges_and_resume_give_the_same_bytes_and_one_access() {
    let Scene { world, provider, photo, agent: _agent, .. } = scene();
    let head = provider.fetch("HEAD", &[]);
    assert_eq!((head.status, head.body.len()), (200, 0), "{head:?}");
    assert_eq!(head.header("content-length"), photo.len().to_string());
    let etag = head.header("etag").to_owned();

    let middle = photo.len() / 2;
    let first = provider.fetch("GET", &[("range", &format!("bytes=0-{}", middle - 1))]);
    assert_eq!(first.status, 206);
    let range = format!("bytes=-{}", photo.len() - middle);
    let last = provider.fetch("GET", &[("range", &range), ("if-range", &etag)]);
    assert_eq!(last.status, 206);
    assert_eq!([first.body, last.body].concat(), photo);

    let other = provider.fetch("GET", &[("range", "bytes=0-9"), ("if-range", "\"other\"")]);
    assert_eq!((other.status, other.body.len()), (200, photo.len()), "another version is whole");
    let outside = provider.fetch("GET", &[("range", "bytes=99999999-")]);
    assert_eq!(outside.status, 416);
    let same = provider.fetch("GET", &[("if-none-match", &etag)]);
    assert_eq!((same.status, same.body.len()), (304, 0));
    assert_eq!(world.report("access").len(), 1, "the lab may have fetched it before");
}

#[test]
fn strangers_get_nothing_and_are_reported() {
    let Scene { world, provider, photo, agent: _agent, .. } = scene();
    let proof = || provider.proof("GET", &provider.url, &provider.grant);
    let grant = Some(provider.grant.as_str());

    let none = provider.request("GET", None, None, &[]);
    assert_eq!(none.status, 401);
    let unproven = provider.request("GET", grant, None, &[]);
    assert_eq!(unproven.status, 401);

    let stranger = Provider { key: Key::generate().expect("a key"), ..clone(&provider) };
    let stolen = stranger.fetch("GET", &[]);
    assert_eq!(stolen.status, 403, "a stolen grant without the key");

    for position in [5, provider.grant.len() / 2, provider.grant.len() - 3] {
        let mut altered = provider.grant.clone().into_bytes();
        altered[position] = if altered[position] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).expect("ascii");
        let proof = provider.proof("GET", &provider.url, &altered);
        let got = provider.request("GET", Some(&altered), Some(&proof), &[]);
        assert_eq!(got.status, 403, "altered at {position}");
    }

    let once = proof();
    assert_eq!(provider.request("GET", grant, Some(&once), &[]).status, 200);
    assert_eq!(provider.request("GET", grant, Some(&once), &[]).status, 401, "a replayed proof");
    let head = provider.proof("HEAD", &provider.url, &provider.grant);
    assert_eq!(provider.request("GET", grant, Some(&head), &[]).status, 401, "for another method");

    let base = provider.url.split("/v1/").next().expect("a base").to_owned();
    for id in ["..%2f..%2fkeys%2fagent.key", "0", &"0".repeat(26), "%00", &"x".repeat(4000)] {
        let url = format!("{base}/v1/grants/{id}/content");
        let proof = provider.proof("GET", &url, &provider.grant);
        let got = send("GET", &url, grant, Some(&proof), &[]);
        assert!(matches!(got.status, 400..=499), "{id}: {}", got.status);
        assert!(!got.body.windows(16).any(|bytes| photo.windows(16).next() == Some(bytes)));
    }
    let reasons = refusals(&world).join("; ");
    for reason in
        ["no grant", "no proof", "another provider", "not one of this owner", "used before"]
    {
        assert!(reasons.contains(reason), "`{reason}` is missing: {reasons}");
    }
}

#[test]
fn grant_of_another_owner_is_refused() {
    let ours = scene();
    let theirs = scene();
    // Their lab's key, their grant, at our address.
    let base = ours.provider.url.split("/v1/").next().expect("a base");
    let path = theirs.provider.url.split("/v1/").nth(1).expect("a path");
    let url = format!("{base}/v1/{path}");
    let proof = theirs.provider.proof("GET", &url, &theirs.provider.grant);
    let got = send("GET", &url, Some(&theirs.provider.grant), Some(&proof), &[]);
    assert_eq!(got.status, 403);
    assert!(refusals(&ours.world).join("; ").contains("not one of this owner"));
}

#[test]
fn revoked_grant_and_withdrawn_consent_are_refused() {
    let Scene { world, provider, agent: _agent, .. } = scene();
    assert_eq!(provider.fetch("GET", &[]).status, 200);
    let key = provider.order["order_key"].as_str().expect("a key");
    world.owner.run(&["grants", "revoke", key]).done();
    assert_eq!(provider.fetch("GET", &[]).status, 410);

    let Scene { world, provider, agent: _agent, .. } = scene();
    world.owner.run(&["consent", "withdraw", "lab"]).done();
    assert_eq!(provider.fetch("GET", &[]).status, 410);
    let Scene { world, provider, agent: _agent, .. } = scene();
    world.owner.run(&["stop"]).done();
    assert!(matches!(provider.fetch("GET", &[]).status, 410 | 503));
}

/// Asks for the whole photo and takes no more than the beginning of the answer.
fn ask(provider: &Provider) -> TcpStream {
    let (host, path) =
        provider.url.strip_prefix("http://").expect("a url").split_once('/').expect("a path");
    let mut stream = TcpStream::connect(host).expect("connected");
    let proof = provider.proof("GET", &provider.url, &provider.grant);
    let grant = &provider.grant;
    let request = format!(
        "GET /{path} HTTP/1.1\r\nhost: {host}\r\nauthorization: DPoP {grant}\r\ndpop: {proof}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("asked");
    let mut first = [0; 12];
    stream.read_exact(&mut first).expect("an answer");
    assert_eq!(&first, b"HTTP/1.1 200");
    stream
}

#[test]
fn revocation_ends_a_transfer_whose_reader_stalls() {
    // More than the system takes on its own: bytes behind a JPEG's end are no part of it.
    let photo = [sample("meadow"), vec![7; 48 << 20]].concat();
    let bytes_count = photo.len();
    for command in [&["grants", "revoke", "lab"][..], &["consent", "withdraw", "lab"], &["stop"]] {
        let Scene { world, provider, agent: _agent, .. } = scene_of(photo.clone());
        let mut stream = ask(&provider);
        world.owner.run(command).done();
        // Nothing is read, and the connection ends all the same.
        wait_for("the end of a stalled transfer", || stream.take_error().expect("asked"));
        let mut rest = Vec::new();
        let _reset = stream.read_to_end(&mut rest);
        assert!(rest.len() < bytes_count / 2, "{}: {command:?}", rest.len());
    }
}

#[test]
fn large_photo_arrives_as_it_is_in_one_or_in_parts() {
    // More than is handed over at once, and bytes of which no two are alike for long.
    let noise = (0..9_000_001_u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8);
    let photo = [sample("meadow"), noise.collect()].concat();
    let Scene { world, provider, agent: _agent, .. } = scene_of(photo.clone());
    let part = |from: usize, to: usize| {
        let got = provider.fetch("GET", &[("range", &format!("bytes={from}-{}", to - 1))]);
        assert_eq!(got.status, 206);
        got.body
    };
    let (odd, end) = (2_500_003, photo.len());
    let parts = [part(0, odd), part(odd, odd + 1), part(odd + 1, end - 9), part(end - 9, end)];
    assert!(parts.concat() == photo, "in parts");
    assert!(provider.fetch("GET", &[]).body == photo, "in one");
    assert_eq!(world.report("access").len(), 1);
}

#[test]
fn photo_that_is_edited_while_it_is_sent_is_not_sent_whole() {
    let photo = [sample("meadow"), vec![7; 48 << 20]].concat();
    let Scene { world, provider, path, agent: _agent, .. } = scene_of(photo.clone());
    let mut stream = ask(&provider);
    let mut file = std::fs::File::options().write(true).open(&path).expect("opened");
    // Far behind what the system took on its own, and in place.
    file.seek(std::io::SeekFrom::Start(40 << 20)).expect("there");
    file.write_all(b"edited").expect("edited");
    let mut rest = Vec::new();
    let _broken_off = stream.read_to_end(&mut rest);
    assert!(rest.len() < photo.len(), "{} of {}", rest.len(), photo.len());
    assert!(!rest.windows(6).any(|bytes| bytes == b"edited"), "half old, half new");
    assert_eq!(world.report("access").len(), 0);
}

#[test]
fn photo_that_was_edited_is_not_served_under_the_old_grant() {
    let Scene { world, provider, photo, path, agent: _agent } = scene();
    let mut edited = photo.clone();
    let last = edited.len() - 1;
    edited[last] ^= 1;
    std::fs::write(&path, &edited).expect("edited");
    let got = provider.fetch("GET", &[]);
    assert!(matches!(got.status, 410 | 503), "{}: other bytes than granted", got.status);
    // Back as it was, under another name: the same version, so it is served.
    std::fs::remove_file(&path).expect("removed");
    world.drop_photo("renamed.jpg", &photo);
    let got = wait_for("the renamed photo", || {
        let got = provider.fetch("GET", &[]);
        (got.status == 200).then_some(got)
    });
    assert_eq!(got.body, photo);
}

#[test]
fn lab_killed_in_the_middle_of_fetching_goes_on_and_pays_once() {
    let Scene { world, agent: _agent, photo, .. } = scene();
    for _ in 0..5 {
        let mut lab = world.lab.start(&["--json", "lab"]);
        lab.line_with("listening");
        lab.kill();
    }
    let _lab = world.start_lab();
    world.wait_orders(1, "done");
    let filed = world.filed();
    let (_, files) = filed.values().next().expect("an order");
    assert_eq!(std::fs::read(&files[0]).expect("the original"), photo);
    assert_eq!(world.report("access").len(), 1);
}

/// Says that a lab has a member with these bytes.
fn receipt(provider: &Provider, bytes: &[u8]) -> u16 {
    let url = provider.order["receipt_url"].as_str().expect("a url");
    let grant_id = provider.url.rsplit('/').nth(1).expect("an id");
    let sha256 = ContentHash::of(bytes);
    let client: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let answer = client
        .post(url)
        .header("authorization", format!("DPoP {}", provider.grant))
        .header("dpop", provider.proof("POST", url, &provider.grant))
        .send(serde_json::json!({ "grant_id": grant_id, "sha256": sha256 }).to_string());
    answer.expect("an answer").status().as_u16()
}

/// A world whose lab could not fetch anything before it was gone.
fn unfetched() -> Scene {
    scene_in(World::new(), sample("meadow"), |world| {
        let config = world.lab.path().join("lab.toml");
        let text = std::fs::read_to_string(&config).expect("lab.toml");
        let allow = text.lines().find(|line| line.starts_with("allow")).expect("allow").to_owned();
        std::fs::write(&config, text.replace(&allow, "allow = []")).expect("written");
    })
}

#[test]
fn wrong_delivery_is_posted_back_once_and_paid_when_it_was_fetched_anew() {
    let Scene { world, provider, photo, mut agent, .. } = unfetched();
    assert_eq!(receipt(&provider, b"other"), 409, "nothing was delivered yet");
    assert_eq!(provider.fetch("GET", &[]).body, photo);
    assert_eq!(receipt(&provider, b"other"), 409);
    agent.line_with("reversed");
    assert_eq!(receipt(&provider, b"other"), 409, "it was not fetched anew");
    assert_eq!((world.report("access").len(), world.report("reversal").len()), (1, 1));
    assert!(world.report("balance").iter().all(|line| line["minor"] == 0));

    assert_eq!(provider.fetch("GET", &[]).body, photo);
    assert_eq!(receipt(&provider, &photo), 200);
    world.wait_orders(1, "done");
    assert_eq!(world.report("again").len(), 1);
    let owner = world.report("balance").into_iter().find(|line| line["account"] == "owner");
    assert_eq!(owner.expect("an account")["minor"], -20);
    let journal = world.owner.run(&["report", "--ledger"]).done().stdout;
    assert!(journal.contains("posted back to lab") && journal.contains("posted anew for lab"));
}

#[test]
fn lab_that_says_twice_that_it_got_other_bytes_pays_and_its_order_fails() {
    let Scene { world, provider, photo, agent: _agent, .. } = unfetched();
    for _ in 0..2 {
        assert_eq!(provider.fetch("GET", &[]).body, photo);
        assert_eq!(receipt(&provider, b"other"), 409);
    }
    let failed = world.wait_orders(1, "failed");
    let reason = failed[0]["reason"].as_str().expect("a reason");
    assert!(reason.contains("other bytes") && reason.contains("second time"), "{reason}");
    assert_eq!(provider.fetch("GET", &[]).status, 410);
    let owner = world.report("balance").into_iter().find(|line| line["account"] == "owner");
    assert_eq!(owner.expect("an account")["minor"], -20, "what it fetched is paid once");
}

fn clone(provider: &Provider) -> Provider {
    Provider {
        key: Key::generate().expect("a key"),
        url: provider.url.clone(),
        grant: provider.grant.clone(),
        order: provider.order.clone(),
    }
}
