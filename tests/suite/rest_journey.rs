//! The real program with providers that speak REST: from a photo with an icon to a print at the
//! stand-in of `rest`, which fetches by the address that it was given.

use serde_json::Value;
use signet::base::ids::ContentHash;

use crate::rest::Peer;
use crate::world::{World, sample};

/// A world whose owner agreed with a provider at `peer` in the place of the lab, and has an address.
fn world(peer: &Peer, card: &str) -> World {
    let world = World::new();
    let path = world.owner.path().join("shop.toml");
    let card = card.replace("PEER", peer.url("").as_str());
    std::fs::write(&path, card).expect("written");
    world
        .owner
        .run(&["--yes", "consent", "allow", path.to_str().expect("plain"), "--local"])
        .done();
    let mut add = vec!["addressees", "add", "owner", "--name", "Ada Lovelace"];
    add.extend(["--line1", "Hauptstraße 1", "--postal-code", "10115", "--town", "Berlin"]);
    add.extend(["--country", "DE"]);
    world.owner.run(&add).done();
    world
}

/// Print on demand; one small print with shipping and tax costs 3.88 there.
fn print_on_demand(price_minor: i64) -> String {
    format!(
        "signet = 'provider/1'\nname = 'lab'\norders_url = 'PEER/v4.0'\nsecret = 'test-key'\n\
         currency = 'EUR'\n[target]\nkind = 'prodigi'\n[delivery]\nstandard = 'Budget'\n\
         [products.print-10x15]\nprice_minor = {price_minor}\ncode = 'GLOBAL-PHO-4X6'\n\
         size_mm = [102, 152]\nfinish = 'gloss'\n"
    )
}

fn order_key(order: &Value) -> &str {
    order["order_key"].as_str().expect("a key")
}

#[test]
fn photo_is_printed_on_demand_and_followed_to_the_door() {
    let peer = Peer::start("prodigi");
    let world = world(&peer, &print_on_demand(388));
    let _agent = world.start_agent();
    let photo = sample("meadow");
    world.drop_photo("Ä photo.jpg", &photo);
    let order = world.wait_orders(1, "accepted").remove(0);
    let remote = peer.state()["orders"][0]["id"].as_str().expect("an id").to_owned();

    peer.move_on(&remote, "fetch");
    let fetched = &peer.state()["fetched"][0];
    assert_eq!(fetched["sha256"], ContentHash::of(&photo).to_string());
    assert_eq!(fetched["same"], true);
    assert_eq!(world.report("access").len(), 1, "it is posted once");
    // Each step is known at once: the provider hints, and is asked.
    for (step, state) in [("inProduction", "production"), ("ship", "shipped")] {
        peer.move_on(&remote, step);
        world.wait_orders(1, state);
    }
    let late = world.owner.run(&["orders", "cancel", order_key(&order)]);
    assert_eq!(late.code, 1);
    assert!(late.stderr.contains("too late"), "{}", late.stderr);
    peer.move_on(&remote, "Complete");
    world.wait_orders(1, "done");
    assert_eq!(peer.state()["orders"].as_array().map(Vec::len), Some(1));
    peer.found_no_fault();
}

#[test]
fn print_that_costs_more_than_was_agreed_asks_first() {
    let peer = Peer::start("prodigi");
    let world = world(&peer, &print_on_demand(387));
    let _agent = world.start_agent();
    world.drop_photo("photo.jpg", &sample("meadow"));
    let order = world.wait_orders(1, "ask").remove(0);
    assert_eq!(peer.state()["orders"].as_array().map(Vec::len), Some(0));
    world.owner.run(&["orders", "approve", order_key(&order)]).done();
    world.wait_orders(1, "accepted");
    world.owner.run(&["orders", "cancel", order_key(&order)]).done();
    assert_eq!(peer.state()["orders"][0]["status"]["stage"], "Cancelled");
    peer.found_no_fault();
}

#[test]
fn print_whose_answer_was_lost_is_there_once() {
    let peer = Peer::start("prodigi");
    let world = world(&peer, &print_on_demand(388));
    let lost = serde_json::json!([
        {"on": "createOrder", "acts": true, "then": "hang-up"},
        {"on": "listOrders", "acts": true, "then": "half"},
    ]);
    peer.control("script", &lost);
    let _agent = world.start_agent();
    world.drop_photo("photo.jpg", &sample("meadow"));
    world.wait_orders(1, "accepted");
    let state = peer.state();
    assert_eq!(state["orders"].as_array().map(Vec::len), Some(1));
    let sent = state["requests"].as_array().expect("requests").iter();
    assert_eq!(sent.filter(|request| *request == "createOrder").count(), 1);
    peer.found_no_fault();
}

#[test]
fn draft_at_a_two_step_lab_is_submitted_once() {
    let peer = Peer::start("whcc");
    let card = "signet = 'provider/1'\nname = 'lab'\norders_url = 'PEER'\n\
        secret = 'test-key:se cret/1'\ncurrency = 'USD'\n[target]\nkind = 'whcc'\n\
        order_attributes = [96]\n[target.from]\nname = 'Ada'\nline1 = 'Hauptstraße 1'\n\
        postal_code = '10115'\ntown = 'Berlin'\ncountry_code = 'DE'\n[delivery]\nstandard = '545'\n\
        [products.print-10x15]\nprice_minor = 413\ncode = '2'\n\
        [products.print-10x15.attributes]\noptions = '1 5'\n";
    let world = world(&peer, card);
    let lost = serde_json::json!([
        {"on": "importOrder", "acts": true, "then": "half"},
        {"on": "submitOrder", "acts": true, "then": "hang-up"},
    ]);
    peer.control("script", &lost);
    let _agent = world.start_agent();
    world.drop_photo("photo.jpg", &sample("meadow"));
    world.wait_orders(1, "accepted");
    let made = || {
        let state = peer.state();
        let drafts = state["drafts"].as_object().expect("drafts").clone();
        drafts.values().map(|draft| draft["made"].as_i64().expect("a number")).sum::<i64>()
    };
    crate::common::wait_for("the draft to be made", || (made() > 0).then_some(()));
    assert_eq!(made(), 1);
    peer.found_no_fault();
}
