//! Faces with the real program: who is enrolled is recognised in photos that arrive, and what follows
//! is an order or a question exactly as the rule file says. With the pictures and networks of the
//! shared set.

use std::path::PathBuf;

use serde_json::Value;
use signet::media::decode::{DecodeSpec, decode};
use signet::preview::{encode, orient};

use crate::common::{shared, wait_for};
use crate::rolls::with_exif;
use crate::world::World;

/// Pictures of one person, of public figures.
const ONE: [&str; 8] = ["img1", "img2", "img4", "img5", "img6", "img7", "img10", "img11"];

/// Somebody else.
const OTHER: &str = "img13";

const RULES: &str = r#"
[people]
family = ["Oma Erna"]

[[rule]]
name = "erna"
when = 'has(family)'
order = { product = "print-10x15", provider = "lab" }
hold = "0"
"#;

/// A world whose owner has the networks and enrolled somebody from the first five pictures.
fn enrolled() -> Option<World> {
    let (models, faces) = (shared("models")?, shared("faces")?);
    let world = World::new();
    let models = models.to_string_lossy().into_owned();
    world.owner.run(&["models", "pull", "faces", "--from", &models]).done();
    let pictures = ONE[..5].iter().map(|name| faces.join(format!("{name}.jpg")));
    let pictures: Vec<String> = pictures.map(|path| path.to_string_lossy().into_owned()).collect();
    let mut add = vec!["people", "add", "Oma Erna", "--consent-by", "Erna herself"];
    add.extend(pictures.iter().map(String::as_str));
    world.owner.run(&add).done();
    world.owner.write("rules/faces.toml", RULES);
    Some(world)
}

/// A picture of the shared set as a camera would have taken it.
fn taken(picture: &str, clock: &str) -> Vec<u8> {
    let path = shared("faces").expect("was there").join(format!("{picture}.jpg"));
    let decoded = decode(&std::fs::read(path).expect("a picture"), DecodeSpec::default());
    let decoded = decoded.expect("a picture");
    let frame = orient::upright(decoded.frame, decoded.metadata.orientation);
    with_exif(&encode::jpeg(&frame, 92, b"").expect("a JPEG"), "Ixus", clock)
}

/// `IMG_1.jpg ask` of each order.
fn states(world: &World) -> Vec<String> {
    let text = |order: &Value, key: &str| order[key].as_str().unwrap_or("-").to_owned();
    let orders = world.orders().into_iter();
    let mut states: Vec<String> =
        orders.map(|order| [text(&order, "relative"), text(&order, "state")].join(" ")).collect();
    states.sort();
    states
}

#[track_caller]
fn wait_for_states(world: &World, expected: &[&str]) {
    wait_for(&format!("{expected:?}"), || (states(world) == expected).then_some(()));
}

#[test]
fn photo_of_an_enrolled_person_asks_alone_and_orders_with_a_second_one_of_the_hour() {
    let Some(world) = enrolled() else { return };
    let _lab = world.start_lab();
    let mut agent = world.start_agent();
    world.drop_photo("stranger.jpg", &taken(OTHER, "09:00:00"));
    agent.line_with("stranger.jpg");
    world.drop_photo("IMG_1.jpg", &taken(ONE[5], "10:00:00"));
    wait_for_states(&world, &["IMG_1.jpg ask"]);
    let reason = world.orders()[0]["reason"].as_str().expect("a reason").to_owned();
    assert!(reason.contains("only a face speaks for it"), "{reason}");

    // Hours later: neither speaks for the other, and the owner's yes is enough.
    world.drop_photo("IMG_2.jpg", &taken(ONE[6], "15:00:00"));
    wait_for_states(&world, &["IMG_1.jpg ask", "IMG_2.jpg ask"]);
    let later = world.orders().into_iter().find(|order| order["relative"] == "IMG_2.jpg");
    let key = later.expect("asked")["order_key"].as_str().expect("a key").to_owned();
    world.owner.run(&["orders", "approve", &key]).done();
    wait_for_states(&world, &["IMG_1.jpg ask", "IMG_2.jpg done"]);

    // Within the hour of the first: both go, and nobody is asked.
    world.drop_photo("IMG_3.jpg", &taken(ONE[7], "10:40:00"));
    wait_for_states(&world, &["IMG_1.jpg done", "IMG_2.jpg done", "IMG_3.jpg done"]);
    let originals: Vec<PathBuf> =
        world.filed().into_values().flat_map(|(_, files)| files).collect();
    assert_eq!(originals.len(), 3, "{originals:?}");

    // Of the stranger nothing is kept but that there was one, not even where the face was.
    let kept: Vec<u8> = ["index.sqlite", "index.sqlite-wal"]
        .iter()
        .flat_map(|file| std::fs::read(world.owner.path().join(file)).unwrap_or_default())
        .collect();
    let kept = String::from_utf8_lossy(&kept);
    assert!(kept.contains(r#""strangers":{"count":1"#), "the stranger was not seen");
    assert!(!kept.contains(r#""person":null"#), "a stranger's face is kept");
}

#[test]
fn what_faces_decide_is_held_for_a_day_unless_the_rule_says_otherwise() {
    let Some(world) = enrolled() else { return };
    world.owner.write("rules/faces.toml", RULES.replace("hold = \"0\"\n", ""));
    let _lab = world.start_lab();
    let _agent = world.start_agent();
    world.drop_photo("IMG_1.jpg", &taken(ONE[5], "10:00:00"));
    world.drop_photo("IMG_2.jpg", &taken(ONE[6], "10:00:30"));
    wait_for_states(&world, &["IMG_1.jpg held", "IMG_2.jpg held"]);
}
