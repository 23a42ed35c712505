//! Rolls with the real program: a card goes for the series behind it, whatever arrives when.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;
use signet::media::Frame;
use signet::preview::encode;

use crate::cards::{CardScene, card_photo, icon_picture};
use crate::common::wait_for;
use crate::composite::{Dice, invented};
use crate::world::{World, sample};

/// A photo of a camera: EXIF with its model and the moment.
pub(crate) fn with_exif(jpeg: &[u8], camera: &str, clock: &str) -> Vec<u8> {
    let model = format!("{camera}\0");
    let moment = format!("2026:07:01 {clock}\0");
    let model_at = 8 + 2 + 2 * 12 + 4;
    let moment_at = model_at + model.len();
    let mut tiff = b"II*\0\x08\0\0\0\x02\0".to_vec();
    for (tag, text, at) in [(0x0110_u16, &model, model_at), (0x0132, &moment, moment_at)] {
        tiff.extend(tag.to_le_bytes());
        tiff.extend(2_u16.to_le_bytes());
        tiff.extend(u32::try_from(text.len()).expect("short").to_le_bytes());
        assert!(text.len() > 4, "a shorter one would stand in the entry itself");
        tiff.extend(u32::try_from(at).expect("short").to_le_bytes());
    }
    tiff.extend([0; 4]);
    tiff.extend(model.as_bytes());
    tiff.extend(moment.as_bytes());
    let length = u16::try_from(2 + 6 + tiff.len()).expect("short");
    let mut photo = jpeg[..2].to_vec();
    photo.extend([0xff, 0xe1]);
    photo.extend(length.to_be_bytes());
    photo.extend(b"Exif\0\0");
    photo.extend(tiff);
    photo.extend(&jpeg[2..]);
    photo
}

fn ground(seed: u64) -> Frame {
    invented(&mut Dice::new(seed))
}

/// A photo without icons.
fn plain(seed: u64, camera: &str, clock: &str) -> Vec<u8> {
    let jpeg = encode::jpeg(&ground(seed), 85, b"").expect("a JPEG");
    with_exif(&jpeg, camera, clock)
}

/// A photo of a card that fills most of the picture.
fn card(icon: &str, camera: &str, clock: &str) -> Vec<u8> {
    let scene = CardScene { share: 0.75, tilt_degrees_max: 8.0, light: [0.85, 0.95] };
    let jpeg = card_photo(&icon_picture(icon), &ground(5), scene, &mut Dice::new(77));
    with_exif(&jpeg, camera, clock)
}

/// `IMG_2.jpg print-10x15 x 1 done` of each order that holds.
fn orders(world: &World) -> BTreeSet<String> {
    let orders = world.orders().into_iter().filter(|order| order["state"] != "cancelled");
    orders.map(|order| words(&order)).collect()
}

fn words(order: &Value) -> String {
    let text = |key: &str| order[key].as_str().unwrap_or("-").to_owned();
    format!("{} {} x {} {}", text("relative"), text("product"), order["copies"], text("state"))
}

#[track_caller]
fn wait_for_orders(world: &World, expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(|text| (*text).to_owned()).collect();
    let mut seen = BTreeSet::new();
    let what = format!("{expected:?}");
    wait_for(&what, || {
        let now = orders(world);
        if now != seen {
            crate::common::note(&format!("orders: {now:?}"));
            seen.clone_from(&now);
        }
        (now == expected).then_some(())
    });
}

/// A photo without icons that is the last: when its event came, those before it came too.
fn marker(world: &World, agent: &mut crate::common::Service) {
    world.drop_photo("zz_marker.jpg", &plain(99, "Other", "09:00:00"));
    agent.line_with("zz_marker.jpg");
}

#[test]
fn series_behind_a_card_is_ordered_until_end_pause_or_another_card() {
    let world = World::new();
    let _lab = world.start_lab();
    let mut agent = world.start_agent();
    let photos = [
        ("IMG_0.jpg", plain(10, "Ixus", "09:59:00")),
        ("IMG_1.jpg", card("print-10x15", "Ixus", "10:02:00")),
        ("IMG_2.jpg", plain(11, "Ixus", "10:02:30")),
        ("IMG_3.jpg", plain(12, "Ixus", "10:11:00")),
        // Another camera, at the same time in the same folder.
        ("P1_1.jpg", plain(13, "Lumix", "10:02:40")),
        ("IMG_4.jpg", plain(14, "Ixus", "10:21:01")),
        ("IMG_5.jpg", card("canvas", "Ixus", "10:22:00")),
        ("IMG_6.jpg", plain(15, "Ixus", "10:22:10")),
        ("IMG_7.jpg", card("end", "Ixus", "10:22:20")),
        ("IMG_8.jpg", plain(16, "Ixus", "10:22:30")),
    ];
    for (name, photo) in &photos {
        world.drop_photo(name, photo);
    }
    let line = agent.line_with("IMG_1.jpg");
    assert!(line.contains("\"card\":true"), "{line}");
    wait_for_orders(
        &world,
        &[
            "IMG_2.jpg print-10x15 x 1 done",
            "IMG_3.jpg print-10x15 x 1 done",
            "IMG_6.jpg canvas x 1 done",
        ],
    );
    let orders = world.orders();
    let second = orders.iter().find(|order| order["relative"] == "IMG_2.jpg").expect("ordered");
    let origin = second["origin"].as_str().expect("words");
    assert!(origin.contains("card `print-10x15` photographed at 10:02"), "{origin}");
}

#[test]
fn look_says_that_a_photo_is_a_card() {
    let world = World::new();
    let path = world.drop_photo("card.jpg", &card("mug", "Ixus", "10:00:00"));
    let other = world.drop_photo("stamped.jpg", &sample("meadow"));
    let paths = [path, other].map(|path| path.to_string_lossy().into_owned());
    let lines = world.owner.run(&["--json", "look", &paths[0], &paths[1]]).done().json();
    assert_eq!((&lines[0]["card"], &lines[1]["card"]), (&true.into(), &false.into()), "{lines:#?}");
}

#[test]
fn card_that_arrives_last_goes_for_the_photos_before_it() {
    let world = World::new();
    let _lab = world.start_lab();
    let mut agent = world.start_agent();
    world.drop_photo("IMG_3.jpg", &plain(12, "Ixus", "10:03:00"));
    world.drop_photo("IMG_2.jpg", &plain(11, "Ixus", "10:02:30"));
    agent.line_with("IMG_2.jpg");
    marker(&world, &mut agent);
    assert_eq!(world.orders().len(), 0);
    world.drop_photo("IMG_1.jpg", &card("print-10x15", "Ixus", "10:02:00"));
    wait_for_orders(&world, &["IMG_2.jpg print-10x15 x 1 done", "IMG_3.jpg print-10x15 x 1 done"]);
    // An end that comes after they were ordered takes nothing back, and says so.
    world.drop_photo("IMG_1b.jpg", &card("end", "Ixus", "10:02:10"));
    agent.line_with("\"event\":\"stays\"");
    wait_for_orders(&world, &["IMG_2.jpg print-10x15 x 1 done", "IMG_3.jpg print-10x15 x 1 done"]);
}

#[test]
fn late_end_takes_back_what_nobody_was_told_of() {
    // Everything asks, so nothing is sent before the end arrives.
    let twist = crate::world::Twist { init: &["--spend-per-month", "0.10"], ..Default::default() };
    let world = World::with(&twist);
    let mut agent = world.start_agent();
    world.drop_photo("IMG_1.jpg", &card("print-10x15", "Ixus", "10:02:00"));
    world.drop_photo("IMG_2.jpg", &plain(11, "Ixus", "10:02:30"));
    wait_for_orders(&world, &["IMG_2.jpg print-10x15 x 1 ask"]);
    world.drop_photo("IMG_1b.jpg", &card("end", "Ixus", "10:02:10"));
    agent.line_with("\"event\":\"withdrawn\"");
    wait_for_orders(&world, &[]);
}

#[test]
fn roll_outlives_kills_in_its_middle() {
    let world = World::new();
    let _lab = world.start_lab();
    let mut agent = world.start_agent();
    world.drop_photo("IMG_1.jpg", &card("print-10x15", "Ixus", "10:02:00"));
    agent.line_with("IMG_1.jpg");
    agent.kill();
    let mut agent = world.start_agent();
    world.drop_photo("IMG_2.jpg", &plain(11, "Ixus", "10:02:30"));
    // Killed between having seen it and having ordered it, or soon after.
    agent.line_with("IMG_2.jpg");
    agent.kill();
    // The card goes on for photos that come while nobody looks.
    world.drop_photo("IMG_3.jpg", &plain(12, "Ixus", "10:03:00"));
    let _agent = world.start_agent();
    wait_for_orders(&world, &["IMG_2.jpg print-10x15 x 1 done", "IMG_3.jpg print-10x15 x 1 done"]);
    assert_eq!(world.filed().len(), 2, "the lab has others");
    assert_eq!(world.orders().len(), 2, "something was ordered twice");
}

#[test]
fn killed_at_random_moments_every_photo_of_the_series_is_one_order() {
    const PHOTOS_COUNT: usize = 12;
    let world = World::new();
    let mut dice = Dice::new(11);
    let _lab = world.start_lab();
    drop(world.start_agent());
    for number in 0..PHOTOS_COUNT {
        let mut agent = world.start_agent_unready();
        let (before, after) = (dice.below(300), dice.below(600));
        pause(before);
        // The card comes in the middle, as a card reader that goes backwards gives it.
        if number == PHOTOS_COUNT / 2 {
            world.drop_photo("IMG_00.jpg", &card("print-10x15", "Ixus", "10:00:00"));
        }
        let clock = format!("10:01:{number:02}");
        let seed = 100 + u64::try_from(number).expect("small");
        world.drop_photo(&format!("IMG_1{number}.jpg"), &plain(seed, "Ixus", &clock));
        pause(after);
        agent.kill();
    }
    let _agent = world.start_agent();
    world.wait_orders(PHOTOS_COUNT, "done");
    assert_eq!(world.filed().len(), PHOTOS_COUNT, "the lab has others");
    let photos: BTreeSet<String> =
        world.orders().iter().map(|order| order["photo"].to_string()).collect();
    assert_eq!(photos.len(), PHOTOS_COUNT, "a photo was ordered twice and another not");
}

/// Lets time pass: the moment of a kill is the point of a test.
fn pause(millis: usize) {
    let until = Instant::now() + Duration::from_millis(millis as u64);
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
}

#[test]
fn do_not_share_on_one_photo_of_the_series_keeps_it_at_home() {
    let world = World::new();
    let _lab = world.start_lab();
    let mut agent = world.start_agent();
    let private = world.owner.write("private.jpg", plain(21, "Ixus", "10:02:20"));
    let (from, to) = (private.to_string_lossy(), world.owner.path().join("stamped.jpg"));
    let to = to.to_string_lossy();
    world.owner.run(&["icons", "stamp", &from, "--icon", "do-not-share", "--out", &to]).done();
    let stamped = std::fs::read(&*to).expect("a stamped photo");
    let stamped = with_exif(&stamped, "Ixus", "10:02:20");
    world.drop_photo("IMG_1.jpg", &card("print-10x15", "Ixus", "10:02:00"));
    world.drop_photo("IMG_2.jpg", &stamped);
    world.drop_photo("IMG_3.jpg", &plain(12, "Ixus", "10:03:00"));
    let line = agent.line_with("IMG_2.jpg");
    assert!(line.contains("do-not-share"), "{line}");
    wait_for_orders(&world, &["IMG_3.jpg print-10x15 x 1 done"]);
}

#[test]
fn private_copy_is_kept_whole_and_orders_nothing() {
    let world = World::new();
    let mut agent = world.start_agent();
    world.drop_photo("IMG_1.jpg", &card("keep-private-copy", "Ixus", "10:02:00"));
    let photo = plain(11, "Ixus", "10:02:30");
    world.drop_photo("IMG_2.jpg", &photo);
    agent.line_with("kept-privately");
    let kept: Vec<_> = std::fs::read_dir(world.owner.path().join("private"))
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(std::fs::read(&kept[0]).expect("a copy"), photo);
    assert_eq!(world.orders().len(), 0);
}
