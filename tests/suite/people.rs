//! Orders that meet people: addressees, mail to third parties, share links, and the owner who
//! decides from a phone. The mail server is another program, which reads letters by itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::common::{Home, Run, Service, program, wait_for};
use crate::world::{Twist, World, sample, variant};

/// A mail server; the n-th answer is what the end of the n-th letter gets.
pub(crate) struct PostOffice {
    server: Service,
    pub(crate) port: u64,
}

impl PostOffice {
    pub(crate) fn open(answers: &[&str]) -> Option<Self> {
        if !program("python3") {
            return None;
        }
        let peer = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/smtp.py");
        let mut server = Service::start(Command::new("python3").arg(peer).args(answers));
        let port = json(&server.line_with("port"))["port"].as_u64().expect("a port");
        Some(Self { server, port })
    }

    #[track_caller]
    pub(crate) fn next_letter(&mut self) -> Value {
        json(&self.server.next_line_with("Message-ID"))
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// What a browser without a login got.
struct Page {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Page {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// The words between two others.
    fn between(&self, before: &str, after: &str) -> String {
        let text = self.text();
        let rest = text.split_once(before).unwrap_or_else(|| panic!("no {before}: {text}")).1;
        rest.split_once(after).expect("an end").0.to_owned()
    }
}

fn client() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().into()
}

fn page(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Page {
    let mut answer = answer.expect("an answer");
    let headers = answer.headers().iter();
    let headers = headers
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()));
    Page {
        status: answer.status().as_u16(),
        headers: headers.collect(),
        body: answer.body_mut().read_to_vec().unwrap_or_default(),
    }
}

fn get(url: &str) -> Page {
    page(client().get(url).call())
}

/// Presses a button of a page as it was seen.
fn press(url: &str, seen: &Page, decision: &str) -> Page {
    let stamp = seen.between("name=\"stamp\" value=\"", "\"");
    page(
        client()
            .post(url)
            .header("content-type", "application/x-www-form-urlencoded")
            .send(format!("stamp={stamp}&decision={decision}").as_bytes()),
    )
}

/// Names the mail server among the places that may be called.
pub(crate) fn allowing(world: &World, port: u64) {
    let config = world.owner.path().join("signet.toml");
    let text = std::fs::read_to_string(&config).expect("signet.toml");
    let (before, after) = text.split_once("\nallow = [").expect("a list");
    let more = format!("{before}\nallow = [\"127.0.0.1:{port}\", {after}");
    std::fs::write(&config, more).expect("written");
}

/// Says in `signet.toml` where mail goes, and how this computer is reached.
pub(crate) fn with_mail(world: &World, port: u64) {
    allowing(world, port);
    let config = world.owner.path().join("signet.toml");
    let text = std::fs::read_to_string(&config).expect("signet.toml");
    let listen = text.lines().find_map(|line| line.strip_prefix("listen = \"")).expect("listen");
    let listen = listen.trim_end_matches('"');
    let text = text.replace(
        "# public_url = \"https://photos.example.org\"",
        &format!("public_url = \"http://{listen}/\""),
    );
    let mail = format!(
        "\n[mail]\nto = \"ada@example.org\"\nfrom = \"signet@example.org\"\ngather_s = 1\n\
         server = {{ host = \"127.0.0.1\", port = {port}, plain = true }}\n"
    );
    std::fs::write(&config, text + &mail).expect("written");
}

fn links(letter: &Value) -> Vec<String> {
    let text = letter["text"].as_str().expect("a text");
    text.lines().filter(|line| line.starts_with("http")).map(str::to_owned).collect()
}

fn states(world: &World) -> Vec<String> {
    let state = |order: &Value| order["state"].as_str().expect("a state").to_owned();
    world.orders().iter().map(state).collect()
}

#[test]
fn order_is_approved_from_the_link_in_a_mail_once_and_by_nothing_but_the_button() {
    let Some(mut office) = PostOffice::open(&["451 later"]) else { return };
    let world = World::with(&Twist { init: &["--spend-per-month", "0.10"], ..Twist::default() });
    with_mail(&world, office.port);
    let _lab = world.start_lab();
    let _agent = world.start_agent();
    world.drop_photo("<b onclick=x>&.jpg", &sample("meadow"));
    let key = world.wait_orders(1, "ask")[0]["order_key"].as_str().expect("a key").to_owned();
    // The first try is put off by the server; nothing is lost by that.
    let letter = office.next_letter();
    assert_eq!(letter["to"], serde_json::json!(["<ada@example.org>"]));
    let links = links(&letter);
    let link = links.first().expect("a link");

    // Programs that look at mail open links: nothing happens by that.
    let seen = get(link);
    assert_eq!((seen.status, get(link).status, get(link).status), (200, 200, 200));
    assert_eq!(page(client().head(link).call()).status, 200);
    assert_eq!(states(&world), ["ask"]);
    for (name, value) in [
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-robots-tag", "noindex, nofollow"),
    ] {
        assert_eq!(seen.header(name), value);
    }
    let policy = seen.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let text = seen.text();
    assert!(text.contains("&lt;b onclick=x&gt;&amp;.jpg") && !text.contains("<b "), "{text}");
    assert!(text.contains("print-10x15") && text.contains("0.29 EUR"), "{text}");
    assert!(!text.contains("<script") && !text.contains("http://"), "{text}");

    // The photo on the page is the preview, under this link alone.
    let source = seen.between("<img src=\"", "\"");
    let base = link.rsplit_once('/').expect("a path").0;
    let picture = get(&format!("{base}/{source}"));
    assert_eq!((picture.status, picture.header("content-type")), (200, "image/jpeg"));
    assert!(picture.body.starts_with(&[0xFF, 0xD8]), "no JPEG");

    // Links that are not this one.
    let other = if key.starts_with('0') { '1' } else { '0' };
    let other_order = link.replacen(&key, &format!("{other}{}", key.split_at(1).1), 1);
    let altered = if link.ends_with('A') { 'E' } else { 'A' };
    let (all_but_last, _) = link.split_at(link.len() - 1);
    let forged = format!("{all_but_last}{altered}");
    for wrong in [&other_order, &forged, &format!("{base}/x"), &format!("{forged}/preview")] {
        assert_eq!(get(wrong).status, 403, "{wrong}");
    }
    assert_eq!(press(&forged, &seen, "approve").status, 403);
    // A page of which nobody knows what it showed.
    let blind = client().post(link).send("decision=approve".as_bytes());
    assert_eq!(page(blind).status, 400);
    let stale = format!("stamp={}&decision=approve", "0".repeat(26));
    assert_eq!(page(client().post(link).send(stale.as_bytes())).status, 409);
    assert_eq!(states(&world), ["ask"], "something was decided");

    let told = press(link, &seen, "approve");
    assert!(told.status == 200 && told.text().contains("Approved"), "{}", told.text());
    world.wait_orders(1, "done");
    let again = press(link, &seen, "approve");
    assert!(again.status == 200 && again.text().contains("approved before"), "{}", again.text());
    let late = press(link, &seen, "cancel");
    assert!(late.status == 409 && late.text().contains("oo late"), "{}", late.text());
    assert_eq!((world.filed().len(), states(&world)), (1, vec!["done".to_owned()]));
    let refused = world.report("refusal");
    assert!(!refused.is_empty(), "wrong links are reported");
}

#[test]
fn orders_of_a_moment_come_in_one_mail_and_one_is_cancelled_from_it() {
    let Some(mut office) = PostOffice::open(&[]) else { return };
    let world = World::with(&Twist { init: &["--spend-per-month", "0.10"], ..Twist::default() });
    with_mail(&world, office.port);
    let mut lab = world.start_lab();
    let mut agent = world.start_agent();
    world.drop_photo("IMG_1.jpg", &sample("meadow"));
    world.drop_photo("IMG_2.jpg", &sample("breakfast"));
    world.wait_orders(2, "ask");
    let mut all = links(&office.next_letter());
    while all.len() < 2 {
        // A slow computer may need two mails; each tells of what the other did not.
        all.extend(links(&office.next_letter()));
    }
    let [first, second] = all.as_slice() else { panic!("{all:?}") };
    assert_ne!(first, second);
    let told = press(first, &get(first), "cancel");
    assert!(told.status == 200 && told.text().contains("ancelled"), "{}", told.text());
    let late = press(first, &get(second), "approve");
    assert!(late.status == 409 && late.text().contains("cancelled"), "{}", late.text());
    press(second, &get(second), "approve");
    wait_for("the other order", || world.orders().into_iter().find(|o| o["state"] == "done"));
    lab.line_with("filed");
    assert_eq!(world.filed().len(), 1, "the cancelled order went out");

    // The same link from the command line, and nobody is told of the two again after a restart.
    let key = world.orders()[0]["order_key"].as_str().expect("a key").to_owned();
    let link = world.owner.run(&["orders", "link", &key]).done().stdout;
    assert_eq!(get(link.trim()).status, 200);
    agent.kill();
    let _agent = world.start_agent();
    world.drop_photo("IMG_3.jpg", &variant(&sample("meadow"), 3));
    assert_eq!(links(&office.next_letter()).len(), 1, "told again");
    let shown = world.owner.run(&["orders", "show", &key]).done().stdout;
    assert!(shown.contains("told by mail"), "{shown}");
}

/// Agrees with a third party in the place of the lab that the shipped rules name.
fn agree(world: &World, card: &str) {
    let path = world.owner.write("third.toml", card);
    let path = path.to_str().expect("a path");
    let allow = [
        "--yes",
        "consent",
        "allow",
        path,
        "--name",
        "lab",
        "--purpose",
        "share",
        "--no-structure",
    ];
    world.owner.run(&allow).done();
}

#[test]
fn preview_is_mailed_once_although_the_server_hangs_up_after_taking_it() {
    let Some(mut office) = PostOffice::open(&["drop"]) else { return };
    let world = World::new();
    allowing(&world, office.port);
    agree(
        &world,
        &format!(
            "signet = \"provider/1\"\nname = \"family\"\ncurrency = \"EUR\"\n[target]\n\
             kind = \"mail\"\nto = [\"oma@example.org\", \"opa@example.org\"]\n\
             from = \"ada@example.org\"\n\
             server = {{ host = \"127.0.0.1\", port = {}, plain = true }}\n",
            office.port
        ),
    );
    let _agent = world.start_agent();
    world.drop_photo("IMG_1.jpg", &sample("autumn"));
    let first = office.next_letter();
    let second = office.next_letter();
    assert_eq!(first, second, "the second try is another letter");
    world.wait_orders(1, "done");
    assert_eq!(first["to"], serde_json::json!(["<oma@example.org>", "<opa@example.org>"]));
    assert_eq!(first["Reply-To"], "ada@example.org");
    let file = &first["files"][0];
    assert_eq!((&file["name"], &file["type"]), (&"IMG_1-preview.jpg".into(), &"image/jpeg".into()));
    let key = world.orders()[0]["order_key"].as_str().expect("a key").to_owned();
    let shown = world.owner.run(&["--json", "orders", "show", &key]).done().json();
    assert_eq!(shown[0]["grants"][0]["digest"], file["sha256"], "not the bytes that were granted");
    assert_eq!(world.report("access").len(), 1);
    assert!(!first["text"].as_str().expect("a text").contains("http"), "no link was agreed to");
}

#[test]
fn share_link_works_as_often_as_agreed_in_whatever_pieces() {
    let world = World::new();
    agree(
        &world,
        "signet = \"provider/1\"\nname = \"link\"\ncurrency = \"EUR\"\n[target]\nkind = \"link\"\n\
         fetches_max = 2\n",
    );
    let _agent = world.start_agent();
    world.drop_photo("IMG_1.jpg", &sample("autumn"));
    let key = world.wait_orders(1, "accepted")[0]["order_key"].as_str().expect("a key").to_owned();
    let shown = world.owner.run(&["--json", "orders", "show", &key]).done().json();
    let link = shown[0]["links"][0].as_str().expect("a link").to_owned();
    assert!(world.owner.run(&["orders", "show", &key]).done().stdout.contains(&link));
    assert_eq!(page(client().head(&link).call()).status, 200, "looking is free");
    let whole = get(&link);
    assert_eq!(whole.status, 200);
    world.wait_orders(1, "done");
    let part = |range: &str| page(client().get(&link).header("range", range).call());
    let rest = part("bytes=1-");
    assert_eq!((rest.status, rest.body.len()), (206, whole.body.len() - 1));
    assert_eq!((part("bytes=0-1").status, part("bytes=0-0").status), (410, 206));
    assert_eq!(get(&link).status, 410);
    assert!(get(&link.replace("/v1/links/", "/v1/links/0")).status >= 400);
}

#[test]
fn provider_that_makes_goods_is_told_where_to_ship_and_one_that_looks_is_not() {
    let world = World::new();
    let add = ["addressees", "add", "owner", "--name", "Ada", "--line1", "Lane 1"];
    let rest = ["--postal-code", "10115", "--town", "Berlin", "--country", "DE"];
    world.owner.run(&[&add[..], &rest[..]].concat()).done();
    let _lab = world.start_lab();
    let _agent = world.start_agent();
    world.drop_photo("IMG_1.jpg", &sample("meadow"));
    world.drop_photo("IMG_2.jpg", &sample("autumn"));
    world.wait_orders(2, "done");
    for (event, _) in world.filed().values() {
        let town = &event["data"]["recipient"]["town"];
        match event["data"]["purpose"].as_str() {
            Some("print") => assert_eq!(town, "Berlin", "{event}"),
            _ => assert!(town.is_null(), "{event}"),
        }
    }
}

#[test]
fn addressees_are_kept_sealed_and_listed_only_with_the_key() {
    let home = Home::new();
    home.run(&["init", "--address", "mailto:ada@example.org"]).done();
    let add = |label: &str, country: &str| -> Run {
        home.run(&[
            "addressees",
            "add",
            label,
            "--name",
            "Ada Lovelace",
            "--line1",
            "Lane 1",
            "--postal-code",
            "10115",
            "--town",
            "Berlin",
            "--country",
            country,
        ])
    };
    assert_eq!(add("owner", "de").done().stdout, "owner: added\n");
    let wrong = add("a", "Germany");
    assert!(wrong.code == 2 && wrong.stderr.contains("two letters"), "{wrong:?}");
    let file: PathBuf = home.write(
        "people.toml",
        "[a]\nname = \"Oma\"\nline1 = \"L 2\"\npostal_code = \"1\"\ntown = \"Wien\"\ncountry_code = \"AT\"\n\
         [b]\nname = \"\"\nline1 = \"L 2\"\npostal_code = \"1\"\ntown = \"Wien\"\ncountry_code = \"AT\"\n",
    );
    let import = |file: &Path| home.run(&["addressees", "import", file.to_str().expect("a path")]);
    let half = import(&file);
    assert!(half.code == 2 && half.stderr.contains("name"), "{half:?}");
    assert_eq!(home.run(&["--json", "addressees", "list"]).done().json().len(), 1, "all or none");
    let text = std::fs::read_to_string(&file).expect("read").replace("\"\"", "\"Opa\"");
    import(&home.write("people.toml", text)).done();
    let list = home.run(&["--json", "addressees", "list"]).done().json();
    let labels: Vec<&str> =
        list.iter().map(|one| one["label"].as_str().expect("a label")).collect();
    assert_eq!(labels, ["", "a", "b"]);
    assert!(home.run(&["addressees", "show", "a"]).done().stdout.contains("Wien"));
    assert_eq!(home.run(&["addressees", "remove", "b", "nobody"]).code, 2);
    home.run(&["addressees", "remove", "b"]).done();

    let sealed = std::fs::read(home.path().join("addresses.sealed")).expect("the file");
    assert!(!sealed.windows(4).any(|bytes| bytes == b"Wien"), "it can be read");
    // A copy of the home without its keys.
    let key = home.path().join("keys/addresses.key");
    std::fs::rename(&key, home.path().join("elsewhere")).expect("moved");
    let shut = home.run(&["addressees", "list"]);
    assert!(shut.code == 1 && shut.stderr.contains("restore the key"), "{shut:?}");
    assert_ne!(add("c", "DE").code, 0);
    std::fs::rename(home.path().join("elsewhere"), &key).expect("moved back");
    assert_eq!(home.run(&["--json", "addressees", "list"]).done().json().len(), 2);
}
