//! What part of a photo is ordered, what is too small for it, and who makes it where one lab does
//! not: the whole way to a real lab.

use serde_json::{Value, json};

use crate::common::{Home, wait_for};
use crate::orders::{Mishap, in_between};
use crate::world::{Twist, World, free_port, sample};

/// Agrees to a lab anew, with these products in its card.
fn agree(world: &World, products: &Value) {
    let card = world.lab.path().join("card.json");
    let text = std::fs::read_to_string(&card).expect("a card");
    let mut value: Value = serde_json::from_str(&text).expect("JSON");
    value["products"] = products.clone();
    std::fs::write(&card, value.to_string()).expect("written");
    let card = card.to_str().expect("a plain path");
    world.owner.run(&["--yes", "consent", "allow", card, "--purpose", "print", "--local"]).done();
}

/// The only rules of the owner.
fn rule(world: &World, order: &str) {
    let text = format!("[[rule]]\nname = 'r'\nwhen = 'size(icons) > 0'\norder = {{ {order} }}\n");
    world.owner.write("rules/family.toml", text);
    world.owner.write("rules/family.cases.toml", "");
}

fn show(world: &World, order: &Value) -> String {
    let key = order["order_key"].as_str().expect("a key");
    world.owner.run(&["orders", "show", key]).done().stdout
}

#[test]
fn sticker_at_the_edge_is_cropped_away_and_the_lab_is_told() {
    let world = World::new();
    agree(&world, &json!({ "print-10x15": { "price_minor": 29, "size_mm": [102, 152] } }));
    rule(&world, "product = 'print-10x15', provider = 'lab', remove_icon = true");
    let _lab = world.start_lab();
    let _agent = world.start_agent();
    // Its sticker is in the upper right corner.
    world.drop_photo("IMG_1.jpg", &sample("beach"));
    let orders = world.wait_orders(1, "done");
    let crop = &orders[0]["crop"];
    let side = |name: &str| crop[name].as_u64().expect("a number");
    assert!((290..=320).contains(&side("y")) && side("y") + side("height") == 1200, "{crop}");
    assert!((2 * side("width")).abs_diff(3 * side("height")) <= 40, "{crop}: not 102 by 152");
    let (event, files) = world.filed().into_values().next().expect("filed");
    assert_eq!(&event["data"]["crop"], crop);
    // The original is as it was.
    assert_eq!(std::fs::read(&files[0]).expect("a photo"), sample("beach"));
    let shown = show(&world, &orders[0]);
    let words = format!("crop      {} x {} px at ", side("width"), side("height"));
    assert!(shown.contains(&words), "{shown}");
}

#[test]
fn what_is_too_small_or_has_its_card_in_the_middle_asks_and_says_why() {
    let world = World::new();
    agree(
        &world,
        &json!({
            "print-10x15": { "price_minor": 29, "size_mm": [102, 152] },
            "print-20x30": { "price_minor": 290, "size_mm": [203, 305] },
        }),
    );
    rule(
        &world,
        "product = 'print-20x30', provider = 'lab', remove_icon = true, price_max = '1.00 EUR'",
    );
    let _agent = world.start_agent();
    world.drop_photo("IMG_1.jpg", &sample("meadow"));
    let orders = world.wait_orders(1, "ask");
    let reason = orders[0]["reason"].as_str().expect("words");
    for words in [
        "its icons sit too far inside to be cropped away: ",
        "it would be printed at 133 dpi, the floor of `print-20x30` is 150 dpi",
        "it costs 2.90 EUR, the limit of its rule is 1.00",
    ] {
        assert!(reason.contains(words), "{reason}");
    }
    assert_eq!(orders[0]["crop"], Value::Null);
    assert!(show(&world, &orders[0]).contains("  up to     1.00 EUR"));
}

#[test]
fn order_that_a_lab_refuses_is_made_once_by_the_next_one() {
    let gone = "HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n";
    let (port, _requests) = in_between(free_port(), vec![Mishap::Answer(gone)]);
    let orders_at = Some(format!("127.0.0.1:{port}"));
    let mut world = World::with(&Twist { orders_at, ..Twist::default() });
    // The lab of this world is behind the address that is gone; the next one is another.
    let second = Home::new();
    let card = second.path().join("card.json");
    let (card, listen) = (card.to_str().expect("plain"), format!("127.0.0.1:{}", free_port()));
    let invite = ["lab", "invite", "Ada", "--card", card, "--listen", &listen];
    second.run(&[&invite[..], &["--allow", "127.0.0.1"]].concat()).done();
    let allow =
        ["--yes", "consent", "allow", card, "--name", "lab-2", "--purpose", "print", "--local"];
    world.owner.run(&allow).done();
    rule(&world, "product = 'print-10x15', provider = 'lab', or = 'lab-2'");
    world.lab = second;
    let _lab = world.start_lab();
    let _agent = world.start_agent();
    world.drop_photo("IMG_1.jpg", &sample("meadow"));
    let orders = wait_for("an order that the second lab made", || {
        let orders = world.orders();
        (orders.len() == 2 && orders.iter().any(|order| order["state"] == "done")).then_some(orders)
    });
    let at = |provider: &str| {
        orders.iter().find(|order| order["provider"] == provider).expect("an order")
    };
    let (first, next) = (at("lab"), at("lab-2"));
    assert_eq!((&first["state"], &next["state"]), (&json!("failed"), &json!("done")));
    assert_eq!(next["instead_of"], first["order_key"]);
    assert_eq!(world.filed().len(), 1);
    let key = next["order_key"].as_str().expect("a key");
    let shown = show(&world, first);
    assert!(shown.contains(&format!("replaced  by {key} at `lab-2`, which is done")), "{shown}");
    // A yes does not have it made twice.
    let again =
        world.owner.run(&["orders", "approve", first["order_key"].as_str().expect("a key")]);
    assert!(again.code == 1 && again.stderr.contains("was given to provider `lab-2`"), "{again:?}");
}
