//! Seals, end to end: printed, photographed, read; whose they are and what follows from it.
//!
//! The ignored test prints the figures of `docs/seal.md`:
//!
//! ```text
//! cargo test --release --test suite seal -- --ignored --nocapture
//! ```

#![expect(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test: what fails fails it, and it prints its figures"
)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use signet::detection::draw::Brush;
use signet::detection::quads::Quad;
use signet::detection::seal::reader::SealReader;
use signet::detection::seal::{CARD_SCALE, CARD_UNITS, card_quad, sealed_picture};
use signet::detection::warp::{Homography, Pyramid};
use signet::detection::{IconSet, Seal, SealWord, Tier};
use signet::media::Frame;
use signet::preview::encode;

use crate::common::{Home, finish, program, skipped, wait_for};
use crate::composite::{Dice, Scene, compose, easy, hard, invented, is_held_out, open, photos};
use crate::enrol::HEART;
use crate::icons::detector;
use crate::world::World;

/// A home with a key and nothing else.
fn home() -> Home {
    let home = Home::new();
    home.run(&["init", "--owner", "Ada", "--address", "mailto:ada@example.org"]).done();
    home
}

/// A photo without icons.
fn photo(home: &Home, name: &str, seed: u64) -> PathBuf {
    let frame = invented(&mut Dice::new(seed));
    home.write(name, encode::jpeg(&frame, 92, b"").expect("a JPEG"))
}

/// Every icon seen in a photo as `name`, `tier`, `seal`.
fn seen(home: &Home, photo: &Path) -> Vec<(String, String, String)> {
    let run = finish(home.command(&["--json", "look"]).arg(photo)).done();
    let line = run.json().remove(0);
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("null").to_owned();
    let icons = line["icons"].as_array().expect("icons").iter();
    icons.map(|icon| (text(&icon["name"]), text(&icon["tier"]), text(&icon["seal"]))).collect()
}

/// Draws icons on a photo; gives the copy.
fn stamped(home: &Home, photo: &Path, icons: &str, more: &[&str]) -> PathBuf {
    let out = photo.with_extension(format!("{}{}.jpg", icons.replace(',', "-"), more.len()));
    let mut command = home.command(&["icons", "stamp", "--icon", icons, "--size-percent", "8"]);
    finish(command.args(more).arg("--out").arg(&out).arg(photo)).done();
    out
}

#[test]
fn stamped_seal_is_mine_to_its_owner_foreign_to_others_and_nothing_without_a_home() {
    let (ada, bob) = (home(), home());
    let photo = photo(&ada, "beach.jpg", 3);
    let sealed = stamped(&ada, &photo, "share", &["--seal"]);
    let plain = stamped(&ada, &photo, "share", &[]);
    let expect = |home: &Home, path: &Path, seal: &str| {
        let expected = ("share".to_owned(), "order".to_owned(), seal.to_owned());
        assert_eq!(seen(home, path), [expected], "{}", path.display());
    };
    expect(&ada, &sealed, "mine");
    expect(&bob, &sealed, "foreign");
    expect(&ada, &plain, "none");
    expect(&Home::new(), &sealed, "null");
}

#[test]
fn renewed_seal_makes_old_cards_foreign_unless_they_are_kept() {
    let ada = home();
    let sealed = stamped(&ada, &photo(&ada, "beach.jpg", 3), "canvas", &["--seal"]);
    let seal = || seen(&ada, &sealed).remove(0).2;
    assert_eq!(seal(), "mine");
    let refused = ada.run(&["icons", "seal", "--renew"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert_eq!(seal(), "mine");
    ada.run(&["icons", "seal", "--renew", "--keep-old"]).done();
    assert_eq!(seal(), "mine");
    let shown = ada.run(&["--json", "--yes", "icons", "seal", "--renew"]).done().json().remove(0);
    assert_eq!(shown["generation"], 3);
    assert_eq!(seal(), "foreign");
}

#[test]
fn sealing_without_a_home_names_the_cure() {
    let nobody = Home::new();
    let photo = photo(&nobody, "beach.jpg", 3);
    let photo = photo.to_str().expect("a plain path");
    for command in [
        &["icons", "stamp", "--seal", "--icon", "share", photo][..],
        &["icons", "sheet", "--seal"],
        &["icons", "export", "--seal", "pack"],
        &["icons", "seal"],
    ] {
        let run = nobody.run(command);
        assert_eq!(run.code, 1, "{run:?}");
        assert!(run.stderr.contains("signet init"), "{}", run.stderr);
    }
}

#[test]
fn printed_sheet_carries_the_seal_on_every_card() {
    if !program("pdftoppm") {
        return;
    }
    let (ada, bob) = (home(), home());
    ada.run(&["icons", "sheet", "--seal", "--out", "sheet.pdf"]).done();
    let mut render = std::process::Command::new("pdftoppm");
    let pdf = ada.path().join("sheet.pdf");
    // Cards are on the second page; the first shows signs without frames.
    render.args(["-jpeg", "-r", "100", "-f", "2", "-l", "2"]).arg(&pdf);
    finish(render.arg(ada.path().join("page"))).done();
    let page = std::fs::read_dir(ada.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.extension().is_some_and(|extension| extension == "jpg"))
        .expect("a page");
    for (home, expected) in [(&ada, "mine"), (&bob, "foreign")] {
        let seen = seen(home, &page);
        assert!(seen.len() >= 4, "{seen:?}");
        for (name, tier, seal) in &seen {
            assert!(tier == "ask" || seal == expected, "{name}: {seal} in {seen:?}");
        }
    }
}

#[test]
fn required_seal_makes_a_strangers_card_ask_and_the_owners_order() {
    let world = World::new();
    let config = world.owner.path().join("signet.toml");
    let text = std::fs::read_to_string(&config).expect("a config");
    let required = text.replace("require_seal = false", "require_seal = true");
    assert_ne!(text, required);
    std::fs::write(&config, required).expect("written");
    let scratch = Home::new();
    let bare = photo(&scratch, "bare.jpg", 3);
    let plain = stamped(&world.owner, &bare, "print-10x15", &[]);
    let sealed = stamped(&world.owner, &bare, "print-10x15", &["--seal"]);
    let forbidden = stamped(&world.owner, &bare, "print-10x15,do-not-share", &[]);
    let read = |path: &Path| std::fs::read(path).expect("a copy");
    let _lab = world.start_lab();
    let mut agent = world.start_agent();
    world.drop_photo("a-forbidden.jpg", &read(&forbidden));
    agent.line_with("do-not-share");
    world.drop_photo("b-plain.jpg", &read(&plain));
    let orders = world.wait_orders(1, "ask");
    let reason = orders[0]["reason"].as_str().expect("a reason");
    assert!(reason.contains("`print-10x15` does not carry your seal"), "{reason}");
    world.drop_photo("c-sealed.jpg", &read(&sealed));
    wait_for("the sealed photo's order", || {
        let orders = world.orders();
        let done = orders.iter().any(|order| order["state"] == "done");
        (orders.len() == 2 && done).then_some(())
    });
    // An icon that is added while it runs does not make it forget the seal.
    world.owner.write("heart.svg", HEART);
    world.owner.run(&["icons", "add", "love", "heart.svg"]).done();
    agent.line_with("icons are looked for from now on");
    let other = photo(&scratch, "other.jpg", 4);
    world.drop_photo(
        "d-sealed.jpg",
        &read(&stamped(&world.owner, &other, "print-10x15", &["--seal"])),
    );
    wait_for("an order for the last photo", || {
        let orders = world.orders();
        let done = orders.iter().filter(|order| order["state"] == "done").count();
        (orders.len() == 3 && done == 2).then_some(())
    });
}

/// The tile of a sealed icon, from the corners of its card.
fn tile_of(card: &Quad) -> Quad {
    let map = Homography::from_unit_square(card).expect("not flat");
    let side = f64::from(CARD_UNITS.end - CARD_UNITS.start);
    let low = f64::from(-CARD_UNITS.start) / side;
    let high = low + 1024.0 / side;
    let corner = |place: [f64; 2]| map.map(place).map(|value| value as f32);
    Quad([corner([low, low]), corner([high, low]), corner([high, high]), corner([low, high])])
}

#[test]
fn tile_found_in_its_card_is_where_the_card_was_put_around_it() {
    let tile = Quad([[10.0, 12.0], [50.0, 8.0], [60.0, 55.0], [5.0, 40.0]]);
    let again = tile_of(&card_quad(&tile).expect("not flat"));
    for (a, b) in again.0.as_flattened().iter().zip(tile.0.as_flattened()) {
        assert!((a - b).abs() < 0.01, "{again:?}");
    }
}

fn backgrounds(count: usize) -> Vec<Frame> {
    let mut dice = Dice::new(99);
    let Some(paths) = photos() else {
        skipped("no photo set, backgrounds are invented");
        return (0..count).map(|_| invented(&mut dice)).collect();
    };
    let paths: Vec<_> = paths.into_iter().filter(|path| is_held_out(path)).collect();
    (0..count).map(|_| open(&paths[dice.below(paths.len())], true).expect("a photo")).collect()
}

/// What became of icons of one kind: found surely, not surely, not; and the seals of the first.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    ordered: usize,
    asked: usize,
    missed: usize,
    seals: [usize; 4],
}

/// Finds and reads icons, composed with this brush, in `count` composites.
fn tally(
    scene: Scene,
    brushes: &[Brush],
    backgrounds: &[Frame],
    word: SealWord,
    count: usize,
) -> (Tally, Duration) {
    let set = IconSet::house().expect("the built-in icons");
    let mut detector = detector();
    detector.set_seal(&[word]);
    let (mut tally, mut time) = (Tally::default(), Duration::ZERO);
    for index in 0..count {
        let mut dice = Dice::new(31_000 + index as u64);
        let icon = index % brushes.len();
        let background = &backgrounds[index % backgrounds.len()];
        let composite = compose(background, &brushes[icon], scene, &mut dice);
        let [x, y] = composite.quad.centre();
        let findings = detector.examine(&composite.frame).expect("a look");
        let here = findings.iter().find(|finding| {
            let [a, b] = finding.quad.centre();
            let near = (a - x).hypot(b - y) < scene.side_px / 2.0 / CARD_SCALE;
            near && finding.tier.is_some()
                && detector.name(finding.matched.index) == set.icons()[icon].name()
        });
        match here.map(|finding| finding.tier) {
            Some(Some(Tier::Order)) => tally.ordered += 1,
            Some(_) => tally.asked += 1,
            None => tally.missed += 1,
        }
        let sure = here.filter(|finding| finding.tier == Some(Tier::Order));
        if let Some((finding, evidence)) = sure.and_then(|f| Some((f, f.evidence?))) {
            let began = Instant::now();
            let mut pyramid = Pyramid::new(&composite.frame);
            let reader = &mut SealReader::default();
            let reading = reader.read(&mut pyramid, &finding.quad, evidence.blur, &[word]);
            time += began.elapsed();
            assert_eq!(Some(reading), finding.seal);
            tally.seals[reading.seal as usize] += 1;
        }
    }
    (tally, time / (tally.ordered.max(1)) as u32)
}

#[test]
#[ignore = "the tables of docs/seal.md take minutes; no foreign or missing seal may be taken for mine"]
fn reading_rates_by_size() {
    const COUNT: usize = 120;
    let set = IconSet::house().expect("the built-in icons");
    let (mine, other) = (SealWord::derive(&[1; 32], 1), SealWord::derive(&[9; 32], 1));
    let sealed = |word| -> Vec<Brush> {
        let picture = |icon| sealed_picture(icon, word, 1024).expect("a picture");
        set.icons().iter().map(|icon| Brush::new(&picture(icon))).collect()
    };
    let plain: Vec<Brush> =
        set.icons().iter().map(|icon| Brush::new(&icon.picture(512).expect("a picture"))).collect();
    let backgrounds = backgrounds(60);
    println!(
        "order/ask/missed; seals of the first as mine/foreign/unreadable/none; time of a reading"
    );
    for (name, make) in [("EASY", easy as fn(f32) -> Scene), ("HARD", hard)] {
        for side_px in [24.0, 32.0, 48.0, 64.0, 96.0] {
            for (kind, brushes, scale) in [
                ("no seal", &plain, 1.0),
                ("mine", &sealed(mine), CARD_SCALE),
                ("foreign", &sealed(other), CARD_SCALE),
            ] {
                let scene = make(side_px * scale);
                let (found, time) = tally(scene, brushes, &backgrounds, mine, COUNT);
                let Tally { ordered, asked, missed, seals } = found;
                println!(
                    "{name} {side_px} px {kind}: {ordered}/{asked}/{missed} {seals:?} {time:?}"
                );
                assert!(kind == "mine" || seals[Seal::Mine as usize] == 0, "{found:?}");
            }
        }
    }
}

/// A turned, slightly crooked square somewhere in a frame.
fn any_place(frame: &Frame, dice: &mut Dice) -> Quad {
    let (side, (sin, cos)) = (dice.between(18.0, 100.0), dice.between(0.0, 6.3).sin_cos());
    let x = dice.between(0.0, frame.width_px() as f32);
    let y = dice.between(0.0, frame.height_px() as f32);
    let square = Quad([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]);
    let mut quad =
        square.map(|[u, v]| [x + side * (u * cos - v * sin), y + side * (u * sin + v * cos)]);
    for value in quad.0.as_flattened_mut() {
        *value += dice.normal() * side * 0.04;
    }
    quad
}

#[test]
fn places_of_photos_are_not_taken_for_any_of_a_thousand_seals() {
    // 2,000 places, each compared with 1,000 words even where the reader says that there is
    // no seal: 0.26 are expected if each reading were of 48 modules and as bad as can be.
    check_places(2_000, 1_000);
}

#[test]
#[ignore = "the larger count of docs/seal.md takes minutes"]
fn hundred_thousand_places_of_photos_are_not_taken_for_a_seal() {
    check_places(100_000, 1_000);
}

fn check_places(places_count: usize, words_count: u32) {
    let words: Vec<_> = (0..words_count).map(|n| SealWord::derive(&[5; 32], n)).collect();
    let backgrounds = backgrounds((places_count / 50).clamp(8, 300));
    let mut reader = SealReader::default();
    let (mut alike, mut accepted, mut readable) = (0_u64, 0, 0);
    let mut dice = Dice::new(900);
    for index in 0..places_count {
        let frame = &backgrounds[index % backgrounds.len()];
        let quad = any_place(frame, &mut dice);
        let reading = reader.read(&mut Pyramid::new(frame), &quad, 0.02, &words[..1]);
        accepted += usize::from(reading.seal == Seal::Mine);
        readable += usize::from(reading.erased_count <= 24);
        alike += words.iter().filter(|word| reading.bits.is(**word)).count() as u64;
    }
    let tries = places_count as u64 * u64::from(words_count);
    println!("{places_count} places, {readable} with 24 modules or more: {accepted} accepted");
    println!("without the reader's other demands: {alike} of {tries} comparisons");
    assert_eq!(accepted, 0);
    // Ten times the expectation would be a mistake in the arithmetic or the reader.
    assert!(alike as f64 <= 3.0 + 10.0 * 3.4e-7 * tries as f64, "{alike} of {tries}");
}

#[test]
fn hundred_thousand_foreign_words_are_not_taken_for_the_one_that_was_read() {
    let set = IconSet::house().expect("the built-in icons");
    let mine = SealWord::derive(&[1; 32], 1);
    let picture = sealed_picture(&set.icons()[0], mine, 1024).expect("a picture");
    let brush = Brush::new(&picture);
    let backgrounds = backgrounds(4);
    let mut reader = SealReader::default();
    let (mut read, mut alike) = (0, 0);
    for index in 0..20 {
        let mut dice = Dice::new(7 + index);
        let background = &backgrounds[index as usize % backgrounds.len()];
        let scene = easy(40.0 * CARD_SCALE);
        let composite = compose(background, &brush, scene, &mut dice);
        let tile = tile_of(&composite.quad);
        let mut pyramid = Pyramid::new(&composite.frame);
        let reading = reader.read(&mut pyramid, &tile, 0.02, &[mine]);
        read += usize::from(reading.seal == Seal::Mine);
        let foreign = (0..100_000).map(|n| SealWord::derive(&[77; 32], n));
        alike += foreign.filter(|word| reading.bits.is(*word)).count();
    }
    println!("{read} of 20 read; {alike} of 2,000,000 foreign words taken for it");
    assert!(read >= 19, "{read}");
    // By the arithmetic 0.26 are expected; five or more happen once in 100,000 times.
    assert!(alike < 5, "{alike}");
}
