//! Signatures beside those who know nothing of Signet: the package `standardwebhooks` (v1),
//! `openssl` (v1a). A lab's secret changes and no order is lost.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::common::{Service, finish, program, skipped, wait_for};
use crate::world::{Twist, World, free_port, sample, variant};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The peer, when set-up could fetch its package.
pub(crate) fn peer() -> Option<Command> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let exe = std::env::current_exe().expect("this program");
    let built = exe.ancestors().nth(3).expect("the build folder").join("peers");
    let wheel = [built, root.join("target/peers")].into_iter().find_map(|folder| {
        let entries = std::fs::read_dir(folder).ok()?;
        let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        paths.find(|path| path.to_string_lossy().contains("standardwebhooks"))
    });
    let Some(wheel) = wheel else {
        skipped("no package `standardwebhooks`");
        return None;
    };
    let mut command = Command::new("python3");
    command.arg(root.join("tests/peers/webhooks.py")).env("PYTHONPATH", wheel);
    Some(command)
}

/// Changes the secret that the owner shares with the lab.
fn share(world: &World, secret: &str) {
    std::fs::write(world.owner.path().join("keys/lab.whsec"), secret).expect("written");
}

fn event(line: &str) -> Value {
    serde_json::from_str(line).expect("JSON")
}

#[test]
fn order_is_signed_as_a_receiver_of_standard_webhooks_expects() {
    let Some(mut command) = peer() else { return };
    let mut receiver = Service::start(command.args(["receive", SECRET]));
    let port = event(&receiver.line_with("port"))["port"].to_string();
    let orders_at = Some(format!("127.0.0.1:{port}"));
    let world = World::with(&Twist { orders_at, ..Twist::default() });
    let _agent = world.start_agent();

    share(&world, "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
    world.drop_photo("IMG_1.jpg", &sample("meadow"));
    let refused = event(&receiver.line_with("verified"));
    assert_eq!(refused["verified"], false, "another secret");

    // Two secrets while one takes the other's place: either is enough.
    share(&world, &format!("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD\n{SECRET}\n"));
    let taken = event(&receiver.line_with(r#""verified": true"#));
    let orders = world.wait_orders(1, "accepted");
    let body: Value = serde_json::from_str(taken["body"].as_str().expect("a body")).expect("JSON");
    assert_eq!(body["specversion"], "1.0");
    assert_eq!(body["data"]["order_key"], orders[0]["order_key"]);
    assert_eq!(body["id"], taken["headers"]["webhook-id"]);
    assert_eq!(taken["headers"]["content-type"], "application/cloudevents+json");
    check_v1a(&taken, &body);
}

/// Lets openssl check the signature by the agent's key.
fn check_v1a(taken: &Value, body: &Value) {
    if !program("openssl") {
        return;
    }
    let header = |name: &str| taken["headers"][name].as_str().expect("a header").to_owned();
    let key = URL_SAFE_NO_PAD.decode(body["data"]["owner_key"].as_str().expect("a key"));
    // SubjectPublicKeyInfo of Ed25519 (RFC 8410) is this and the key.
    let der = [
        &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00][..],
        &key.expect("base64"),
    ]
    .concat();
    let signatures = header("webhook-signature");
    let signature = signatures.split(' ').find_map(|one| one.strip_prefix("v1a,"));
    let signature = STANDARD.decode(signature.expect("a signature by the key")).expect("base64");
    let content = format!(
        "{}.{}.{}",
        header("webhook-id"),
        header("webhook-timestamp"),
        taken["body"].as_str().expect("a body")
    );
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        path
    };
    let (key, signature) = (file("key", &der), file("signature", &signature));
    let verify = |content: &Path| {
        let mut command = Command::new("openssl");
        command.args(["pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER", "-inkey"]);
        command.arg(&key).arg("-sigfile").arg(&signature).arg("-in").arg(content);
        finish(&mut command).code
    };
    assert_eq!(verify(&file("content", content.as_bytes())), 0);
    assert_ne!(verify(&file("other", format!("{content} ").as_bytes())), 0);
}

#[test]
fn lab_believes_a_sender_of_standard_webhooks_and_no_other() {
    let Some(_) = peer() else { return };
    let world = World::new();
    let card = std::fs::read_to_string(world.lab.path().join("card.json")).expect("a card");
    let card: Value = serde_json::from_str(&card).expect("JSON");
    let text = |name: &str| card[name].as_str().expect("a text").to_owned();
    let _lab = world.start_lab();
    let status = |secret: &str, seconds: &str| {
        let mut command = peer().expect("as before");
        command.args(["send", secret, &text("orders_url"), "{}", seconds]);
        finish(&mut command).done().stdout.trim().to_owned()
    };
    // Believed, and no order.
    assert_eq!(status(&text("secret"), "0"), "422");
    assert_eq!(status(SECRET, "0"), "401", "another secret");
    for seconds in ["400", "86400", "-86400"] {
        assert_eq!(status(&text("secret"), seconds), "401", "signed {seconds} s ago");
    }
}

#[test]
fn secret_of_a_lab_changes_and_no_order_is_lost() {
    let world = World::new();
    let secret = || {
        let text = std::fs::read_to_string(world.owner.path().join("keys/lab.whsec"));
        text.expect("a secret")
    };
    let _lab = world.start_lab();
    let _agent = world.start_agent();
    world.drop_photo("IMG_1.jpg", &sample("meadow"));
    world.wait_orders(1, "done");
    let card = world.lab.path().join("new.json");
    let invite = |option: &str| {
        let card = card.to_str().expect("plain");
        world.lab.run(&["lab", "invite", "Ada", "--card", card, option]).done();
    };
    let before = secret();
    invite("--rotate");
    // The owner still has the old secret: it is good.
    world.drop_photo("IMG_2.jpg", &variant(&sample("meadow"), 2));
    world.wait_orders(2, "done");
    let allow = ["--yes", "consent", "allow", card.to_str().expect("plain")];
    world.owner.run(&[&allow[..], &["--purpose", "print,share"]].concat()).done();
    assert_ne!(secret(), before);
    invite("--retire");
    world.drop_photo("IMG_3.jpg", &variant(&sample("meadow"), 3));
    world.wait_orders(3, "done");
    // Neither secret is known here; the agent's own key, known since the first order, is.
    share(&world, SECRET);
    world.drop_photo("IMG_4.jpg", &variant(&sample("meadow"), 4));
    world.wait_orders(4, "done");
}

#[test]
fn order_is_cancelled_at_a_lab_that_has_not_begun_it() {
    // The owner names another address than its own, so nothing can be fetched at first.
    let elsewhere = format!("http://127.0.0.1:{}", free_port());
    let world = World::new();
    let config = world.owner.path().join("signet.toml");
    let text = std::fs::read_to_string(&config).expect("signet.toml");
    let changed = text.replace(
        "# public_url = \"https://photos.example.org\"",
        &format!("public_url = \"{elsewhere}\""),
    );
    assert_ne!(text, changed);
    std::fs::write(&config, changed).expect("written");
    let mut lab = world.start_lab();
    let agent = world.start_agent();
    world.drop_photo("IMG_1.jpg", &sample("meadow"));
    let key = world.wait_orders(1, "accepted")[0]["order_key"].as_str().expect("a key").to_owned();
    let said = world.owner.run(&["orders", "cancel", &key]).done().stdout;
    assert!(said.contains("stopped it: it was not begun"), "{said}");
    lab.line_with("cancelled");
    world.wait_orders(1, "cancelled");
    let folder = world.lab.path().join("orders").join(&key);
    assert!(folder.join("cancelled.json").is_file() && !folder.join("done.json").exists());

    drop(agent);
    std::fs::write(&config, text).expect("written");
    let _agent = world.start_agent();
    world.drop_photo("IMG_2.jpg", &variant(&sample("meadow"), 2));
    wait_for("the other order", || world.orders().into_iter().find(|o| o["state"] == "done"));
    assert_eq!(world.filed().len(), 2);
}

#[test]
fn lab_that_tells_says_when_an_order_is_made_and_shipped() {
    let world = World::new();
    let config = world.lab.path().join("lab.toml");
    let text = std::fs::read_to_string(&config).expect("lab.toml");
    let text = text.replace("tells = false", "tells = true");
    std::fs::write(&config, text).expect("written");
    let card = world.lab.path().join("card.json");
    let card = card.to_str().expect("plain");
    world.lab.run(&["lab", "invite", "Ada", "--card", card]).done();
    world.owner.run(&["--yes", "consent", "allow", card]).done();
    let _lab = world.start_lab();
    let _agent = world.start_agent();
    world.drop_photo("IMG_1.jpg", &sample("meadow"));
    let orders = world.wait_orders(1, "production");
    let key = orders[0]["order_key"].as_str().expect("a key");
    // It is too late to stop what is being made.
    let late = world.owner.run(&["orders", "cancel", key]);
    assert!(late.code == 1 && late.stderr.contains("too late"), "{late:?}");
    world.lab.run(&["lab", "tell", "shipped", key, "--note", "parcel 00340434161094"]).done();
    let orders = world.wait_orders(1, "shipped");
    assert!(orders[0]["reason"].as_str().expect("words").contains("00340434161094"));
    world.lab.run(&["lab", "tell", "production", key]).done();
    world.wait_orders(1, "shipped");
    world.lab.run(&["lab", "tell", "done", key]).done();
    world.wait_orders(1, "done");
}

#[test]
fn provider_without_a_key_fetches_by_an_address_that_nobody_can_guess() {
    let Some(mut command) = peer() else { return };
    let mut receiver = Service::start(command.args(["receive", SECRET]));
    let port = event(&receiver.line_with("port"))["port"].to_string();
    let world = World::new();
    let card = world.owner.path().join("web-lab.toml");
    let text = format!(
        "signet = 'provider/1'\nname = 'lab'\norders_url = 'http://127.0.0.1:{port}/signet'\n\
         secret = '{SECRET}'\ncurrency = 'EUR'\n[fees]\noriginal_minor = 25\n\
         [products]\nprint-10x15 = {{ price_minor = 29, size_mm = [102, 152] }}\n"
    );
    std::fs::write(&card, text).expect("written");
    world
        .owner
        .run(&["--yes", "consent", "allow", card.to_str().expect("plain"), "--local"])
        .done();
    let _agent = world.start_agent();
    let photo = sample("meadow");
    world.drop_photo("Ä photo.jpg", &photo);
    let taken = event(&receiver.line_with(r#""verified": true"#));
    let order: Value = serde_json::from_str(taken["body"].as_str().expect("a body")).expect("JSON");
    let member = &order["data"]["members"][0];
    assert_eq!(member["grant"], "");
    let url = member["url"].as_str().expect("an address");
    assert!(url.ends_with("/__photo.jpg") || url.ends_with("/_photo.jpg"), "{url}");
    world.wait_orders(1, "accepted");

    let get = |url: &str| {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut answer = agent.get(url).call().expect("an answer");
        let body = answer.body_mut().with_config().limit(1 << 30).read_to_vec().expect("a body");
        (answer.status().as_u16(), body)
    };
    let (front, secret) = url.rsplit_once('/').expect("a name").0.rsplit_once('/').expect("both");
    let guess = secret.replace(secret.chars().next_back().expect("a letter"), "_");
    assert_eq!(get(&format!("{front}/{guess}/photo.jpg")).0, 401);
    let grant = front.rsplit_once('/').expect("an id").1;
    let bound = url.split("/v1/").next().expect("the owner").to_owned();
    assert_eq!(get(&format!("{bound}/v1/grants/{grant}/content")).0, 401, "there it needs a key");
    assert_eq!(get(url), (200, photo));
    world.wait_orders(1, "done");
    assert_eq!(world.report("access").len(), 1);
    world.owner.run(&["grants", "revoke", grant]).done();
    assert_eq!(get(url).0, 410);
}
