//! An owner's own icons: added, refused, found, ruled by, removed.
//!
//! Two ignored tests are tools: one writes the memory of the house set, one shows what would
//! become of whole packs of drawings (a folder of folders named by `SIGNET_PACKS`):
//!
//! ```text
//! cargo test --release --test suite enrol::packs -- --ignored --nocapture
//! ```

#![expect(clippy::expect_used, reason = "a test says what it waited for")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use signet::detection::alike::{Small, between};
use signet::detection::embed::Embedder;
use signet::detection::{Enrolment, IconSet, LibrarySearch, Memory, Runtime, detector, intake};

use super::common::{Home, Run};
use super::world::{World, sample};

pub(crate) const HEART: &str = r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="currentColor"><path d="M12 21C4 14 2 10 2 7A5 5 0 0 1 12 6A5 5 0 0 1 22 7C22 10 20 14 12 21Z"/></svg>"#;
const RULE: &str = "[[rule]]\nname = \"love\"\nwhen = 'has(\"love\")'\nforbid = true\n";

/// A home with a photo that shows nothing and a drawing of a heart.
fn home() -> Home {
    let home = Home::new();
    home.run(&["init", "--address", "mailto:a@example.org", "--owner", "A"]).done();
    home.write("heart.svg", HEART);
    home.write("photo.jpg", sample("lake"));
    home
}

fn sightings(home: &Home, photo: &str) -> Vec<(String, String)> {
    let line = home.run(&["--json", "look", photo]).done().json().remove(0);
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    let icons = line["icons"].as_array().expect("icons");
    icons.iter().map(|icon| (text(&icon["name"]), text(&icon["tier"]))).collect()
}

#[track_caller]
fn check_refused(run: &Run, code: i32, words: &[&str]) {
    assert_eq!(run.code, code, "{run:?}");
    for word in words {
        assert!(run.stderr.contains(word), "`{word}` is missing: {}", run.stderr);
    }
}

#[test]
fn added_icon_is_listed_exported_stamped_and_found() {
    let home = home();
    home.run(&["icons", "add", "love", "heart.svg", "--meaning", "A heart for grandma"]).done();
    assert!(home.run(&["icons", "list"]).done().stdout.contains("A heart for grandma"));
    home.run(&["icons", "export", "out"]).done();
    assert!(home.path().join("out/love.png").is_file());
    home.run(&["icons", "sheet"]).done();
    home.run(&["icons", "stamp", "photo.jpg", "--icon", "love", "--out", "stamped.jpg"]).done();
    assert_eq!(sightings(&home, "stamped.jpg"), [("love".to_owned(), "order".to_owned())]);
    assert!(sightings(&home, "photo.jpg").is_empty());

    // What is remembered of it can be lost or damaged.
    for bytes in [None, Some("SGNTENR1 and then nonsense".repeat(99))] {
        let path = home.path().join("enrolled.bin");
        match bytes {
            None => std::fs::remove_file(&path).expect("it was there"),
            Some(bytes) => std::fs::write(&path, bytes).expect("written"),
        }
        assert_eq!(sightings(&home, "stamped.jpg"), [("love".to_owned(), "order".to_owned())]);
    }
    home.run(&["icons", "remove", "love"]).done();
    assert!(
        sightings(&home, "stamped.jpg")
            .iter()
            .all(|(name, tier)| name != "love" && tier != "order")
    );
    assert!(!home.run(&["icons", "list"]).done().stdout.contains("grandma"));
}

#[test]
fn look_alike_is_refused_with_the_name_of_the_other() {
    let home = home();
    home.run(&["icons", "add", "love", "heart.svg"]).done();
    let stretched = HEART.replace("M12 21C", "M12 22C").replace("currentColor", "#c00");
    home.write("other heart.svg", stretched);
    check_refused(
        &home.run(&["icons", "add", "heart", "other heart.svg"]),
        1,
        &["other heart.svg", "`love` (Love)", "cosine", "likeness", "draw something"],
    );
    home.run(&["icons", "export", "out"]).done();
    let run = home.run(&["icons", "add", "mine", "out/share.svg"]);
    check_refused(&run, 1, &["share.svg", "`share` (Share)"]);
    assert!(!home.path().join("icons/mine.svg").exists());
    let rows = home.run(&["icons", "check", "--json"]).done().json();
    assert!(rows.iter().any(|row| row["name"] == "love" && row["cosine"].is_number()), "{rows:?}");
}

#[test]
fn names_are_checked_before_anything_is_drawn() {
    let home = home();
    check_refused(&home.run(&["icons", "add", "Love", "heart.svg"]), 2, &["`Love`", "lower-case"]);
    check_refused(
        &home.run(&["icons", "add", "share", "heart.svg"]),
        2,
        &["there is an icon `share`"],
    );
    home.run(&["icons", "add", "love", "heart.svg"]).done();
    let run = home.run(&["icons", "add", "love", "heart.svg"]);
    check_refused(&run, 2, &["there is an icon `love`", "signet icons remove love"]);
    check_refused(&home.run(&["icons", "remove", "share"]), 2, &["belongs to the set that ships"]);
    check_refused(&home.run(&["icons", "remove", "../signet"]), 2, &["there is no icon"]);
    check_refused(&home.run(&["icons", "add", "gone", "no.svg"]), 2, &["`no.svg` cannot be read"]);
    check_refused(&Home::new().run(&["icons", "add", "a", "b"]), 1, &["signet init"]);
}

#[test]
fn drawing_with_nothing_odd_or_too_much_in_it_is_refused_by_name() {
    let home = home();
    let svg = |inside: &str| {
        format!(r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24">{inside}</svg>"#)
    };
    for (content, words) in [
        (svg(""), "draw it black"),
        (svg(r#"<rect width="24" height="24"/>"#), "give it a shape"),
        (svg(r#"<image href="photo.jpg" width="24" height="24"/>"#), "as PNG"),
        (svg("<text>love</text>"), "turn them into paths"),
        ("not a drawing".to_owned(), "neither an SVG nor a PNG"),
    ] {
        home.write("odd.svg", content);
        check_refused(
            &home.run(&["icons", "add", "odd", "odd.svg"]),
            1,
            &["`odd.svg` makes no icon", words],
        );
    }
    home.write("photo.svg", sample("lake"));
    check_refused(
        &home.run(&["icons", "add", "odd", "photo.svg"]),
        1,
        &["`photo.svg` makes no icon"],
    );
    assert!(!home.path().join("icons/odd.svg").exists());
}

#[test]
fn rules_know_an_added_icon() {
    let home = home();
    home.write("rules/love.toml", RULE);
    home.write("rules/love.cases.toml", "");
    check_refused(&home.run(&["rules", "check", "rules/love.toml"]), 1, &["love"]);
    home.run(&["icons", "add", "love", "heart.svg"]).done();
    home.run(&["rules", "check", "rules/love.toml"]).done();
}

#[test]
fn running_agent_sees_an_icon_added_meanwhile() {
    let world = World::new();
    let mut agent = world.start_agent();
    world.owner.write("heart.svg", HEART);
    world.owner.run(&["icons", "add", "love", "heart.svg"]).done();
    agent.line_with("are looked for from now on");
    world.owner.write("photo.jpg", sample("lake"));
    world
        .owner
        .run(&["icons", "stamp", "photo.jpg", "--icon", "love", "--out", "stamped.jpg"])
        .done();
    let stamped = std::fs::read(world.owner.path().join("stamped.jpg")).expect("a photo");
    world.drop_photo("loved.jpg", &stamped);
    let line = agent.line_with("loved.jpg");
    assert!(line.contains("\"love\""), "{line}");
}

#[test]
fn file_in_the_home_that_is_no_icon_is_named_and_can_be_removed() {
    let home = home();
    home.write("icons/broken.svg", HEART);
    check_refused(&home.run(&["look", "photo.jpg"]), 1, &["broken.svg", "house frame"]);
    home.run(&["icons", "remove", "broken"]).done();
    home.run(&["look", "photo.jpg"]).done();
}

/// The embedder that ships.
fn embedder() -> Embedder {
    let search = LibrarySearch {
        config: None,
        environment: signet::base::config::environment("ORT_DYLIB_PATH").map(PathBuf::from),
        program: std::env::current_exe().ok(),
    };
    let library = search.find().unwrap_or_else(|error| panic!("{error}"));
    let runtime = Runtime::load(&library).unwrap_or_else(|error| panic!("{error}"));
    Embedder::new(&runtime, detector::EMBEDDER).expect("a network that loads")
}

#[test]
fn memory_of_the_house_set_is_that_of_the_shipped_drawings_and_network() {
    let set = IconSet::house().expect("the built-in icons");
    let mut memory = Memory::house();
    Enrolment::of(&set, &mut embedder(), &mut memory).expect("enrolled");
    assert_eq!(memory.missed_count(), 0, "a drawing or the embedder changed: run `make enrol`");
}

#[test]
#[ignore = "a tool: writes models/icons/enrolled.bin (`make enrol`)"]
fn house_memory_is_written() {
    let set = IconSet::house().expect("the built-in icons");
    let mut memory = Memory::default();
    Enrolment::of(&set, &mut embedder(), &mut memory).expect("enrolled");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/icons/enrolled.bin");
    memory.write(&path, &set).expect("written");
    println!("wrote {} icons to {}", set.icons().len(), path.display());
}

#[test]
#[ignore = "a tool: needs packs of drawings"]
fn packs_as_owners_would_add_them() {
    let Some(packs) = signet::base::config::environment("SIGNET_PACKS").map(PathBuf::from) else {
        println!("skipped: SIGNET_PACKS names no folder");
        return;
    };
    let mut embedder = embedder();
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(&packs).expect("packs").flatten().map(|entry| entry.path()).collect();
    folders.sort();
    for folder in folders {
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(&folder).expect("a pack").flatten().map(|e| e.path()).collect();
        paths.sort();
        let step = paths.len().div_ceil(400).max(1);
        let (mut icons, mut clear, mut reasons) = (Vec::new(), Vec::new(), BTreeMap::new());
        for (index, path) in paths.iter().step_by(step).enumerate() {
            let bytes = std::fs::read(path).expect("a drawing");
            match intake::take(&format!("icon-{index}"), "An icon", &bytes) {
                Ok(taken) => {
                    clear.push((taken.clear_share, path.clone()));
                    icons.push(taken.icon);
                }
                Err(error) => {
                    let text = error.to_string();
                    let kind = text.split(|c: char| c == ':' || c.is_ascii_digit()).next();
                    *reasons.entry(kind.unwrap_or_default().to_owned()).or_insert(0) += 1;
                }
            }
        }
        clear.sort_by(|a, b| a.0.total_cmp(&b.0));
        println!("{}: {} taken, refused {reasons:?}", folder.display(), icons.len());
        let at = |per_mille: usize, count: usize| count.saturating_sub(1) * per_mille / 1000;
        for per_mille in [0, 10, 50, 500, 950] {
            if let Some((value, path)) = clear.get(at(per_mille, clear.len())) {
                println!("  clear at {per_mille:3} ‰: {value:.3} {:?}", path.file_name());
            }
        }
        let set = icons
            .into_iter()
            .take(300)
            .fold(IconSet::house().expect("house"), |set, icon| set.with(icon).expect("room"));
        let enrolment = Enrolment::of(&set, &mut embedder, &mut Memory::house()).expect("enrolled");
        let small: Vec<Small> =
            set.icons().iter().map(|icon| Small::of(icon).expect("a picture")).collect();
        let enrolled = enrolment.gallery().enrolled();
        let (mut cosines, mut likenesses, mut both) = (Vec::new(), Vec::new(), [0_usize; 4]);
        for i in 0..enrolled.len() {
            for j in 0..i {
                let (c, l) = (between(&enrolled[i], &enrolled[j]), small[i].likeness(&small[j]));
                both[usize::from(c > 0.65) + 2 * usize::from(l > 0.85)] += 1;
                cosines.push(c);
                likenesses.push(l);
            }
        }
        println!(
            "  pairs: neither {}, cosine {}, likeness {}, both {}",
            both[0], both[1], both[2], both[3]
        );
        for (name, values) in [("cosine", &mut cosines), ("likeness", &mut likenesses)] {
            values.sort_by(f32::total_cmp);
            let shown: Vec<String> = [500, 900, 990, 999, 1000]
                .iter()
                .map(|per_mille| format!("{:.2}", values[at(*per_mille, values.len())]))
                .collect();
            println!("  {name} at 50, 90, 99, 99.9, 100 %: {}", shown.join(" "));
        }
    }
}
