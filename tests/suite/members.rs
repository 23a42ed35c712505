//! What travels with a photo, with the real agent and the real lab: what arrives byte for byte,
//! what stays at home and is named, what a print order on a card makes of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use signet::base::ids::ContentHash;

use crate::common::{Service, program, wait_for};
use crate::world::{Twist, World, sample, variant};

/// A rule that sends everything a photo of the print icon has with it.
const WITH_RULE: &str = r#"
[[rule]]
name = "with"
when = 'has("print-10x15")'
order = { product = "print-10x15", provider = "lab", with = ["voice-memo", "motion", "raw"] }
reason = "the print icon"
"#;

/// A world in which `WITH_RULE` alone holds.
fn world(init: &[&str]) -> World {
    let world = World::with(&Twist { init, ..Twist::default() });
    only_rule(&world, WITH_RULE);
    // Files that are only seen to lie there count as complete sooner than people need.
    set_config(&world, "quiet_ms = 2000", "quiet_ms = 200");
    world
}

fn only_rule(world: &World, rule: &str) {
    let rules = world.owner.path().join("rules");
    for file in std::fs::read_dir(&rules).expect("rules").map(|entry| entry.expect("an entry")) {
        std::fs::remove_file(file.path()).expect("removed");
    }
    std::fs::write(rules.join("with.toml"), rule).expect("written");
}

fn set_config(world: &World, from: &str, to: &str) {
    let path = world.owner.path().join("signet.toml");
    let text = std::fs::read_to_string(&path).expect("signet.toml");
    assert!(text.contains(from), "{text}");
    std::fs::write(&path, text.replace(from, to)).expect("written");
}

/// A second of silence as cameras record it; `number` makes it another.
fn memo(number: u8) -> Vec<u8> {
    let sound = vec![number; 8_000];
    let mut wav = b"RIFF".to_vec();
    wav.extend(u32::try_from(36 + sound.len()).expect("short").to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend(8_000_u32.to_le_bytes());
    wav.extend(8_000_u32.to_le_bytes());
    wav.extend(b"\x01\0\x08\0data");
    wav.extend(u32::try_from(sound.len()).expect("short").to_le_bytes());
    wav.extend(sound);
    wav
}

/// The smallest thing that is a film by its boxes.
fn film() -> Vec<u8> {
    let boxed = |kind: &[u8; 4], body: &[u8]| {
        let size = u32::try_from(8 + body.len()).expect("short").to_be_bytes();
        [size.as_slice(), kind, body].concat()
    };
    let mut header = vec![0; 100];
    header[12..16].copy_from_slice(&1000_u32.to_be_bytes());
    header[16..20].copy_from_slice(&1500_u32.to_be_bytes());
    let index = boxed(b"moov", &boxed(b"mvhd", &header));
    let brand = boxed(b"ftyp", b"isom\0\0\0\0isommp42");
    [brand, index, boxed(b"mdat", &vec![7; 700_000])].concat()
}

/// The only order that the lab has: its folder and what it says.
#[track_caller]
fn filed(world: &World) -> (PathBuf, Value, BTreeMap<String, Vec<u8>>) {
    let filed = world.filed();
    assert_eq!(filed.len(), 1, "{filed:?}");
    let (key, (event, files)) = filed.into_iter().next().expect("one order");
    let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    let bytes = |path: &PathBuf| std::fs::read(path).expect("a file");
    let files = files.iter().map(|path| (name(path), bytes(path))).collect();
    (world.lab.path().join("orders").join(key), event, files)
}

fn roles(event: &Value) -> Vec<&str> {
    let members = event["data"]["members"].as_array().expect("members");
    members.iter().map(|member| member["role"].as_str().expect("a role")).collect()
}

fn history(world: &World, order: &Value) -> String {
    let key = order["order_key"].as_str().expect("a key");
    let shown = world.owner.run(&["--json", "orders", "show", key]).done().json();
    shown[0]["history"].to_string()
}

/// Sums of the ledger by account, and the number of accesses.
fn ledger(world: &World) -> (usize, BTreeMap<String, i64>) {
    let balances = world.report("balance").into_iter().map(|line| {
        let account = line["account"].as_str().expect("an account").to_owned();
        (account, line["minor"].as_i64().expect("minor units"))
    });
    (world.report("access").len(), balances.collect())
}

/// Checks a manifest with another program than ours; `false`: there is none here.
fn openssl_verifies(manifest: &Path, key: &str) -> bool {
    if !program("openssl") {
        return false;
    }
    let text = std::fs::read_to_string(manifest).expect("a manifest");
    let (signed, signature) = text.rsplit_once('.').expect("three parts");
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        path
    };
    // RFC 8410: this stands before the 32 bytes of an Ed25519 public key.
    let mut der = vec![0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    der.extend(URL_SAFE_NO_PAD.decode(key).expect("base64url"));
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    let output = Command::new("openssl")
        .args(["pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-rawin", "-inkey"])
        .arg(write("key.der", &der))
        .arg("-in")
        .arg(write("signed", signed.as_bytes()))
        .arg("-sigfile")
        .arg(write("signature", &signature))
        .output()
        .expect("openssl runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    true
}

#[test]
fn long_film_is_read_when_its_photo_comes_and_not_before() {
    let world = world(&["--companions", "motion"]);
    let _lab = world.start_lab();
    let mut agent = world.start_agent();
    let pictures = vec![7; 17 << 20];
    let size = u32::try_from(8 + pictures.len()).expect("short").to_be_bytes();
    let long = [film().as_slice(), size.as_slice(), b"mdat", &pictures].concat();
    for name in ["IMG_2.MOV", "holiday.mp4"] {
        std::fs::write(world.watched().join(name), &long).expect("written");
    }
    let first = variant(&sample("meadow"), 1);
    std::fs::write(world.watched().join("first.jpg"), &first).expect("written");
    world.wait_orders(1, "done");
    let said = agent.lines_since().concat();
    assert!(!said.contains(r#""event":"companion""#), "a film without a photo was read: {said}");
    std::fs::write(world.watched().join("IMG_2.jpg"), sample("meadow")).expect("written");
    let line = agent.next_line_with(r#""event":"companion""#);
    assert!(line.contains("IMG_2.MOV"), "{line}");
    world.wait_orders(2, "done");
    let filed = world.filed();
    let with_film = filed.values().filter(|(event, _)| roles(event) == ["original", "motion"]);
    assert_eq!(with_film.count(), 1, "{filed:?}");
}

#[test]
fn companions_that_rule_and_consent_name_arrive_byte_for_byte() {
    let world = world(&["--companions", "voice-memo,motion"]);
    let _lab = world.start_lab();
    let _agent = world.start_agent();
    let photo = [sample("meadow"), film()].concat();
    let folder = world.watched().join("2026/Sömmer");
    std::fs::create_dir_all(&folder).expect("folders");
    std::fs::write(folder.join("IMG_1.WAV"), memo(1)).expect("written");
    std::fs::write(folder.join("IMG_1.jpg"), &photo).expect("written");
    let orders = world.wait_orders(1, "done");
    let (order_folder, event, files) = filed(&world);
    let expected: BTreeMap<String, Vec<u8>> = [
        ("IMG_1.jpg".to_owned(), photo.clone()),
        ("IMG_1.WAV".to_owned(), memo(1)),
        ("IMG_1-motion.mp4".to_owned(), film()),
    ]
    .into();
    assert!(files == expected, "{:?}", files.keys());
    assert_eq!(roles(&event), ["original", "motion", "voice-memo"]);
    assert!(!event["data"]["members"].to_string().contains("mmer"), "a folder left");

    // The manifest says the same, is canonical, and holds before another program.
    let json = std::fs::read(order_folder.join("manifest.json")).expect("manifest.json");
    let manifest: Value = serde_json::from_slice(&json).expect("JSON");
    let text = std::fs::read_to_string(order_folder.join("manifest.jws")).expect("manifest.jws");
    let payload = text.split('.').nth(1).expect("a payload");
    assert_eq!(URL_SAFE_NO_PAD.decode(payload).expect("base64url"), json);
    assert_eq!(event["data"]["manifest"], text);
    assert_eq!(manifest["order_key"], orders[0]["order_key"]);
    for (member, evidence) in [(0, Value::Null), (1, "ftyp".into()), (2, "stem".into())] {
        let listed = &manifest["members"][member];
        let bytes = &files[listed["name"].as_str().expect("a name")];
        assert_eq!(listed["sha256"], ContentHash::of(bytes).to_string());
        assert_eq!(listed["bytes_count"], bytes.len());
        assert_eq!(listed["evidence"], evidence);
    }
    assert_eq!(manifest["structure"]["collection"], orders[0]["collection"]);
    assert_eq!(manifest["structure"]["folder"], "2026/Sömmer");
    openssl_verifies(
        &order_folder.join("manifest.jws"),
        event["data"]["owner_key"].as_str().expect("a key"),
    );

    // One access each, once; companions cost nothing by default.
    let (accesses_count, balances) = ledger(&world);
    assert_eq!(accesses_count, 3);
    assert_eq!(balances["provider:lab"], 25);
    assert_eq!(balances.values().sum::<i64>(), 0);
    let grants = world.owner.run(&["grants", "list"]).done().stdout;
    assert!(grants.contains("voice-memo") && grants.contains("IMG_1.WAV"), "{grants}");
    let report = world.owner.run(&["report"]).done().stdout;
    assert!(report.contains("IMG_1.jpg (IMG_1.WAV)"), "{report}");
}

#[test]
fn companion_outside_the_consent_stays_at_home_and_is_named() {
    let world = world(&["--companions", "motion", "--no-structure"]);
    let _lab = world.start_lab();
    let mut agent = world.start_agent();
    world.drop_photo("IMG_1.WAV", &memo(1));
    let photo = sample("meadow");
    world.drop_photo("IMG_1.jpg", &photo);
    let planned = agent.line_with("\"planned\"");
    let said = "without its voice-memo: the consent for provider `lab` does not cover it";
    assert!(planned.contains(said), "{planned}");
    let orders = world.wait_orders(1, "done");
    let (order_folder, event, files) = filed(&world);
    assert_eq!(files, [("IMG_1.jpg".to_owned(), photo)].into());
    assert_eq!(roles(&event), ["original"]);
    let history = history(&world, &orders[0]);
    assert!(history.contains("without its voice-memo `IMG_1.WAV`"), "{history}");
    let json = std::fs::read_to_string(order_folder.join("manifest.json")).expect("manifest.json");
    assert!(!json.contains("structure") && !json.contains("WAV"), "{json}");
    assert_eq!(ledger(&world).0, 1);
}

#[test]
fn companion_that_no_rule_names_stays_at_home_whatever_the_consent_says() {
    let world = World::with(&Twist {
        init: &["--companions", "voice-memo,motion,raw,sidecar"],
        ..Twist::default()
    });
    let _lab = world.start_lab();
    let _agent = world.start_agent();
    world.drop_photo("IMG_1.WAV", &memo(1));
    world.drop_photo("IMG_1.jpg", &[sample("meadow"), film()].concat());
    world.wait_orders(1, "done");
    let (_, event, files) = filed(&world);
    assert_eq!(roles(&event), ["original"]);
    assert_eq!(files.len(), 1);
}

/// A photo that says that a recording of this name belongs to it.
fn promising(jpeg: &[u8], name: &str) -> Vec<u8> {
    let mut exif = b"II*\0\x08\0\0\0".to_vec();
    exif.extend([1, 0]);
    exif.extend([0x69, 0x87, 4, 0, 1, 0, 0, 0, 26, 0, 0, 0]);
    exif.extend([0; 4]);
    exif.extend([1, 0]);
    exif.extend([0x04, 0xa0, 2, 0]);
    exif.extend(u32::try_from(name.len() + 1).expect("short").to_le_bytes());
    exif.extend(44_u32.to_le_bytes());
    exif.extend([0; 4]);
    exif.extend(name.as_bytes());
    exif.push(0);
    let length = u16::try_from(2 + 6 + exif.len()).expect("short").to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, b"Exif\0\0", &exif, &jpeg[2..]].concat()
}

#[test]
fn photo_waits_for_the_memo_that_it_promises() {
    let world = world(&["--companions", "voice-memo"]);
    let _lab = world.start_lab();
    let mut agent = world.start_agent();
    world.drop_photo("DSC_7.jpg", &promising(&sample("meadow"), "DSC_7.WAV"));
    agent.line_with("DSC_7.jpg");
    // Another photo goes meanwhile; this one waits.
    world.drop_photo("other.jpg", &variant(&sample("meadow"), 2));
    let done = wait_for("the other photo", || {
        world.orders().into_iter().find(|order| order["state"] == "done")
    });
    assert_eq!(done["relative"], "other.jpg");
    assert_eq!(world.orders().len(), 1);
    world.drop_photo("DSC_7.WAV", &memo(7));
    world.wait_orders(2, "done");
    let filed = world.filed();
    let with_memo = filed.values().find(|(_, files)| files.len() == 2).expect("two files");
    let memo_path = with_memo.1.iter().find(|path| path.ends_with("DSC_7.WAV")).expect("a memo");
    assert_eq!(std::fs::read(memo_path).expect("the memo"), memo(7));
}

#[test]
fn photo_goes_without_a_memo_that_never_comes_and_one_that_comes_later_is_no_second_order() {
    let world = world(&["--companions", "voice-memo"]);
    set_config(&world, "grace_s = 30", "grace_s = 1");
    let _lab = world.start_lab();
    let mut agent = world.start_agent();
    world.drop_photo("DSC_7.jpg", &promising(&sample("meadow"), "DSC_7.WAV"));
    let planned = agent.line_with("\"planned\"");
    assert!(
        planned.contains("without its voice-memo `DSC_7.WAV`, which did not come"),
        "{planned}"
    );
    world.wait_orders(1, "done");
    world.drop_photo("DSC_7.WAV", &memo(7));
    agent.line_with("\"companion\"");
    // A marker behind it: when that is ordered, the photo was judged again.
    world.drop_photo("marker.jpg", &variant(&sample("meadow"), 2));
    world.wait_orders(2, "done");
    assert!(world.filed().values().all(|(_, files)| files.len() == 1));
}

#[test]
fn memo_that_is_moved_beside_its_photo_changes_an_order_that_waits() {
    let world = world(&["--companions", "motion"]);
    only_rule(&world, &WITH_RULE.replace("reason =", "confirm = \"ask\"\nreason ="));
    let mut agent = world.start_agent();
    std::fs::create_dir(world.watched().join("other")).expect("a folder");
    let memo_path = world.drop_photo("other/IMG_1.WAV", &memo(1));
    agent.line_with("IMG_1.WAV");
    world.drop_photo("IMG_1.jpg", &sample("meadow"));
    let waiting = world.wait_orders(1, "ask");
    assert_eq!(waiting[0]["reason"], "the print icon");
    std::fs::rename(memo_path, world.watched().join("IMG_1.WAV")).expect("moved");
    let changed = agent.line_with("\"changed\"");
    assert!(changed.contains("without its voice-memo"), "{changed}");
    assert_eq!(world.orders().len(), 1);
}

/// A world in which an order with a memo is at the lab, which is gone before it fetched all.
fn with_lab_gone() -> (World, Service) {
    let world = world(&["--companions", "voice-memo"]);
    let mut lab = world.start_lab();
    let mut agent = world.start_agent();
    world.drop_photo("IMG_1.WAV", &memo(1));
    agent.line_with("IMG_1.WAV");
    // The lab is stopped between taking the order and fetching: it has it and nothing of it.
    stop(&lab);
    world.drop_photo("IMG_1.jpg", &sample("meadow"));
    wait_for("grants", || {
        let grants = world.owner.run(&["--json", "grants", "list"]).done().json();
        (grants.len() == 2).then_some(())
    });
    lab.kill();
    (world, agent)
}

/// Lets a program stand still, as a computer that is asleep does.
fn stop(service: &Service) {
    let id = service.id().to_string();
    let status = Command::new("kill").args(["-STOP", &id]).status().expect("kill runs");
    assert!(status.success());
}

#[test]
fn memo_that_was_changed_since_is_not_served_and_the_photo_is() {
    let (world, _agent) = with_lab_gone();
    std::fs::write(world.watched().join("IMG_1.WAV"), memo(2)).expect("changed");
    let mut lab = world.start_lab();
    let line = lab.line_with("\"filed\"");
    assert!(line.contains("\"missing\":[\"IMG_1.WAV\"]"), "{line}");
    world.wait_orders(1, "done");
    let (folder, event, files) = filed(&world);
    assert_eq!(roles(&event), ["original", "voice-memo"]);
    assert_eq!(files, [("IMG_1.jpg".to_owned(), sample("meadow"))].into());
    let done = std::fs::read_to_string(folder.join("done.json")).expect("done.json");
    assert!(done.contains("voice-memo") && done.contains("changed or removed"), "{done}");
    assert_eq!(ledger(&world).0, 1);
}

#[test]
fn consent_given_anew_without_companions_ends_their_grants_only() {
    let (world, _agent) = with_lab_gone();
    let card = world.lab.path().join("card.json");
    let card = card.to_str().expect("a plain path");
    world.owner.run(&["--yes", "consent", "allow", card]).done();
    let mut lab = world.start_lab();
    let line = lab.line_with("\"filed\"");
    assert!(line.contains("\"missing\":[\"IMG_1.WAV\"]"), "{line}");
    world.wait_orders(1, "done");
    assert_eq!(filed(&world).2.len(), 1);
}

#[test]
fn order_whose_members_were_changed_on_the_way_is_not_taken() {
    use standardwebhooks::Webhook;
    let (world, _agent) = with_lab_gone();
    let _lab = world.start_lab();
    world.wait_orders(1, "done");
    let (_, event, _) = filed(&world);
    let secret = world.owner.path().join("keys/lab.whsec");
    let secret = std::fs::read_to_string(secret).expect("the shared secret");
    let card = std::fs::read_to_string(world.lab.path().join("card.json")).expect("a card");
    let card: Value = serde_json::from_str(&card).expect("JSON");
    let post = |change: &dyn Fn(&mut Value)| {
        let mut event = event.clone();
        // As another order, so that it is not one that is there already.
        event["data"]["order_key"] = "0123456789abcdefghjkmnpqrs".into();
        change(&mut event);
        let body = event.to_string();
        let now = signet::base::clock::Timestamp::now().seconds();
        let webhook = Webhook::new(secret.trim()).expect("a secret");
        let signature = webhook.sign("msg", now, body.as_bytes()).expect("signed");
        let client: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut answer = client
            .post(card["orders_url"].as_str().expect("a url"))
            .header("webhook-id", "msg")
            .header("webhook-timestamp", now.to_string())
            .header("webhook-signature", signature)
            .send(body.as_bytes())
            .expect("an answer");
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap_or_default())
    };
    let (status, text) = post(&|_| ());
    assert_eq!(status, 422, "{text}");
    assert!(text.contains("another order"), "{text}");
    let (status, text) = post(&|event| {
        event["data"]["order_key"] = event["subject"].clone();
        event["data"]["members"].as_array_mut().expect("members").pop();
    });
    assert_eq!(status, 422, "{text}");
    assert!(text.contains("not those of its signed manifest"), "{text}");
    let (status, text) = post(&|event| event["data"]["manifest"] = "".into());
    assert_eq!(status, 422, "{text}");
    assert_eq!(world.filed().len(), 1);
}

/// A print order as a camera writes it.
fn marks(jobs: &[(&str, &str, u32)]) -> String {
    let mut text = String::from("[HDR]\r\nGEN REV = 01.10\r\nGEN CRT = \"CAMERA\" -01.00\r\n");
    for (number, (kind, photo, copies)) in jobs.iter().enumerate() {
        text += &format!(
            "[JOB]\r\nPRT PID = {:03}\r\nPRT TYP = {kind}\r\nPRT QTY = {copies:03}\r\n\
             IMG FMT = EXIF2 -J\r\n<IMG SRC = \"../DCIM/100CANON/{photo}\">\r\n",
            number + 1
        );
    }
    text
}

/// A photo without icons.
fn plain(number: usize) -> Vec<u8> {
    variant(&sample("lake"), number)
}

#[test]
fn photos_marked_on_the_camera_are_printed_and_a_card_put_in_again_orders_nothing() {
    let world = World::new();
    let _lab = world.start_lab();
    let mut agent = world.start_agent();
    let card = world.watched().join("CARD");
    let photos = card.join("DCIM/100CANON");
    std::fs::create_dir_all(&photos).expect("folders");
    std::fs::create_dir_all(card.join("MISC")).expect("a folder");
    for number in 1..=3 {
        std::fs::write(photos.join(format!("IMG_000{number}.jpg")), plain(number))
            .expect("written");
    }
    agent.line_with("IMG_0003.jpg");
    let path = card.join("MISC/AUTPRINT.MRK");
    let jobs = [("STD", "IMG_0001.JPG", 3), ("IDX", "IMG_0002.JPG", 1)];
    std::fs::write(&path, marks(&jobs)).expect("written");
    let line = agent.line_with("print-order");
    assert!(line.contains("\"jobs_count\":2"), "{line}");
    let orders = world.wait_orders(1, "done");
    assert_eq!(orders[0]["relative"], "CARD/DCIM/100CANON/IMG_0001.jpg");
    assert_eq!((&orders[0]["copies"], &orders[0]["rule"]), (&3.into(), &"camera-order".into()));
    agent.line_with("index print");

    // What is written anew for another photo adds that and changes nothing else.
    let jobs = [("STD", "IMG_0001.JPG", 3), ("STD", "IMG_0003.JPG", 2)];
    std::fs::write(&path, marks(&jobs)).expect("written");
    world.wait_orders(2, "done");
    // The card is taken out and put in again, in another place too.
    std::fs::rename(&card, world.watched().join("again")).expect("renamed");
    world.drop_photo("marker.jpg", &sample("meadow"));
    world.wait_orders(3, "done");
    let copies: Vec<_> =
        world.orders().iter().map(|order| order["copies"].as_u64().expect("a number")).collect();
    assert_eq!(copies.iter().sum::<u64>(), 3 + 2 + 1);
}
