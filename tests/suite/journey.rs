//! From a photo dropped into a folder to the original at the lab.

use crate::common::{program, wait_for};
use crate::world::{World, sample, variant};

#[test]
fn marked_photo_becomes_an_order_and_the_lab_has_the_original() {
    let world = World::new();
    let _lab = world.start_lab();
    let mut agent = world.start_agent();
    let photo = sample("meadow");
    world.drop_photo("IMG_1.jpg", &photo);
    world.drop_photo("IMG_2.jpg", &sample("lake"));
    let orders = world.wait_orders(1, "done");
    assert_eq!(orders[0]["product"], "print-10x15", "{orders:#?}");
    agent.line_with("IMG_2.jpg");

    let filed = world.filed();
    let (event, files) = filed.values().next().expect("one order at the lab");
    assert_eq!(filed.len(), 1);
    assert_eq!(std::fs::read(&files[0]).expect("the original"), photo, "not identical");
    assert_eq!(event["data"]["order_key"], orders[0]["order_key"]);
    assert!(!event.to_string().contains(world.watched().to_str().expect("a path")), "a path left");

    let accesses = world.report("access");
    assert_eq!(accesses.len(), 1, "{accesses:#?}");
    let minors: Vec<i64> = accesses[0]["entries"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|entry| entry["minor"].as_i64().expect("minor units"))
        .collect();
    assert_eq!(minors, [25, -20, -5]);
}

#[test]
fn copy_and_rename_of_an_ordered_photo_order_nothing_again() {
    let world = World::new();
    let _lab = world.start_lab();
    let mut agent = world.start_agent();
    let photo = sample("meadow");
    let path = world.drop_photo("IMG_1.jpg", &photo);
    world.wait_orders(1, "done");
    std::fs::copy(&path, world.watched().join("copy of IMG_1.jpg")).expect("copied");
    std::fs::rename(&path, world.watched().join("holiday.jpg")).expect("renamed");
    // A marker behind them: when it was seen, they were.
    world.drop_photo("marker.jpg", &sample("lake"));
    agent.line_with("marker.jpg");
    world.drop_photo("second.jpg", &variant(&photo, 1));
    world.wait_orders(2, "done");
    assert_eq!(world.filed().len(), 2);
}

#[test]
fn photos_that_were_there_first_order_only_when_asked() {
    let world = World::new();
    let _lab = world.start_lab();
    world.drop_photo("old.jpg", &sample("meadow"));
    let mut agent = world.start_agent();
    agent.line_with(r#""existing":true"#);
    world.drop_photo("new.jpg", &sample("breakfast"));
    let orders = world.wait_orders(1, "done");
    assert_eq!(orders[0]["relative"], "new.jpg");
    drop(agent);

    let agent = world.owner.start(&["--json", "run", "--include-existing"]);
    world.wait_orders(2, "done");
    drop(agent);
}

#[test]
fn shared_photo_leaves_only_as_a_preview_without_private_data() {
    let world = World::new();
    let _lab = world.start_lab();
    let _agent = world.start_agent();
    let photo = sample("autumn");
    world.drop_photo("IMG_1.jpg", &photo);
    let orders = world.wait_orders(1, "done");
    assert_eq!(orders[0]["purpose"], "share");
    let filed = world.filed();
    let (_, files) = filed.values().next().expect("one order");
    let preview = std::fs::read(&files[0]).expect("the preview");
    assert_ne!(preview, photo);
    let text = String::from_utf8_lossy(&preview).into_owned();
    assert!(text.contains("ada@example.org"), "the owner's address is missing");
    assert!(
        text.contains(orders[0]["photo"].as_str().expect("a hash")),
        "the photo's id is missing"
    );
    assert!(!text.contains("Exif\0"), "EXIF left the computer");
}

#[test]
fn do_not_share_wins_over_a_print_icon() {
    let world = World::new();
    let mut agent = world.start_agent();
    world.drop_photo("private.jpg", &sample("picnic"));
    let line = agent.line_with("private.jpg");
    assert!(line.contains("do-not-share") && line.contains("print-"), "{line}");
    world.drop_photo("marker.jpg", &sample("lake"));
    agent.line_with("marker.jpg");
    assert_eq!(world.orders().len(), 0);
}

#[test]
fn orders_wait_for_a_lab_that_is_away() {
    let world = World::new();
    let mut agent = world.start_agent();
    world.drop_photo("IMG_1.jpg", &sample("meadow"));
    agent.line_with("postponed");
    assert_eq!(world.orders()[0]["state"], "ready");
    let _lab = world.start_lab();
    world.wait_orders(1, "done");
}

#[test]
fn journal_is_accepted_by_the_ledger_program() {
    if !program("ledger") {
        return;
    }
    let world = World::new();
    let _lab = world.start_lab();
    let _agent = world.start_agent();
    for name in ["meadow", "breakfast", "autumn"] {
        world.drop_photo(&format!("{name}.jpg"), &sample(name));
    }
    world.wait_orders(3, "done");
    wait_for("three accesses", || (world.report("access").len() == 3).then_some(()));
    let journal = world.owner.run(&["report", "--ledger"]).done().stdout;
    let path = world.owner.write("report.journal", journal);
    let output = std::process::Command::new("ledger")
        .args(["--pedantic", "--no-pager", "-f"])
        .arg(path)
        .arg("balance")
        .output()
        .expect("ledger runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("0.50 EUR  Assets:Receivable:lab"), "{text}");
    assert_eq!(text.lines().last().map(str::trim), Some("0"), "{text}");
}
