//! Card photos: printed cards that fill the picture are told from everything else.
//!
//! Cards are drawn as the sheet prints them (icon on the left, words on the right), laid on
//! a photo under perspective, in the light of a room, with noise and JPEG. Seeded. With the
//! photo set the grounds are photos that were kept out of training, else invented. The
//! ignored test prints the longer table:
//!
//! ```text
//! cargo test --release --test suite cards -- --ignored --nocapture
//! ```

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::expect_used,
    reason = "a test: what fails fails it, and numbers of pixels are small"
)]

use std::path::PathBuf;
use std::sync::Mutex;

use signet::detection::card::is_card;
use signet::detection::draw::{Brush, draw};
use signet::detection::icon_set::Picture;
use signet::detection::quads::Quad;
use signet::detection::{IconSet, Tier};
use signet::media::{DecodeSpec, Frame, decode};
use signet::preview::encode;

use super::composite::{Dice, Scene, compose, easy, invented, is_held_out, open, photos};
use super::icons::on_all_cores;

/// Width and height of a printed card, in its own units.
const CARD: [u32; 2] = [930, 600];

/// A card in a picture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CardScene {
    /// Share of the picture's area that it takes, if it faced the camera.
    pub(crate) share: f32,
    /// How far it may lean away.
    pub(crate) tilt_degrees_max: f32,
    /// Light on it, 1 is white as white can be.
    pub(crate) light: [f32; 2],
}

/// The card of an icon as a picture of its own, squeezed into a square.
fn drawn(icon: &Picture, light: f32, dice: &mut Dice) -> Brush {
    let [width, height] = CARD;
    let mut card = Frame::new(width, height, vec![255; (width * height * 3) as usize]).expect("it");
    draw(&mut card, &Brush::new(icon), &Quad::square(100.0, 100.0, 400.0), 1.0);
    for line in 0..5_u32 {
        let (top, thick) = if line == 0 { (230, 26) } else { (260 + 24 * line, 11) };
        for y in top..top + thick {
            for x in (606..880 - 30 * line).filter(|x| x % 17 > 4) {
                let at = (3 * (y * width + x)) as usize;
                card.rgb_mut()[at..at + 3].copy_from_slice(&[40, 52, 84]);
            }
        }
    }
    let warm = dice.between(0.94, 1.0);
    let slope = [dice.between(-0.15, 0.15), dice.between(-0.15, 0.15)];
    let side: usize = 1024;
    let rgba = (0..side * side).flat_map(|index| {
        let (u, v) = ((index % side) as f32 / side as f32, (index / side) as f32 / side as f32);
        let (x, y) = ((u * width as f32) as usize, (v * height as f32) as usize);
        let at = 3 * (y * width as usize + x);
        let shade = light * (1.0 + slope[0] * (u - 0.5) + slope[1] * (v - 0.5));
        let tint = [1.0, 0.5 + 0.5 * warm, warm];
        let rgb = &card.rgb()[at..at + 3];
        let value = |i: usize| (f32::from(rgb[i]) * shade * tint[i]).clamp(0.0, 255.0) as u8;
        [value(0), value(1), value(2), 255]
    });
    Brush::new(&Picture { side_px: side, rgba: rgba.collect() })
}

/// Lays a card on a ground; gives the JPEG.
pub(crate) fn card_photo(
    icon: &Picture,
    ground: &Frame,
    scene: CardScene,
    dice: &mut Dice,
) -> Vec<u8> {
    let (width, height) = (ground.width_px() as f32, ground.height_px() as f32);
    let aspect = CARD[0] as f32 / CARD[1] as f32;
    let card_height = (scene.share * width * height / aspect).sqrt();
    let half = [card_height * aspect / 2.0, card_height / 2.0];
    let (turn, axis) = (dice.between(-0.2, 0.2), dice.between(0.0, std::f32::consts::TAU));
    let tilt = dice.between(0.0, scene.tilt_degrees_max).to_radians();
    let distance = 0.866 * width.max(height);
    let corners = [[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]].map(|[x, y]: [f32; 2]| {
        let (x, y) = (x * half[0], y * half[1]);
        let (x, y) = (x * turn.cos() - y * turn.sin(), x * turn.sin() + y * turn.cos());
        let along = x * axis.cos() + y * axis.sin();
        let across = -x * axis.sin() + y * axis.cos();
        let near = distance / (distance + across * tilt.sin());
        let across = across * tilt.cos();
        [
            near * (along * axis.cos() - across * axis.sin()),
            near * (along * axis.sin() + across * axis.cos()),
        ]
    });
    let room = 0.25 * (1.0 - scene.share);
    let middle =
        [width * (0.5 + dice.between(-room, room)), height * (0.5 + dice.between(-room, room))];
    let quad = Quad(corners).map(|[x, y]| [x + middle[0], y + middle[1]]);
    let light = dice.between(scene.light[0], scene.light[1]);
    let mut frame = ground.clone();
    draw(&mut frame, &drawn(icon, light, dice), &quad, 1.0);
    let noise = dice.between(0.0, 4.0);
    for value in frame.rgb_mut() {
        *value = (f32::from(*value) + dice.normal() * noise).round().clamp(0.0, 255.0) as u8;
    }
    encode::jpeg(&frame, dice.between(75.0, 95.0) as u8, b"").expect("a JPEG")
}

/// A picture of an icon of the house set, large enough for a card.
pub(crate) fn icon_picture(name: &str) -> Picture {
    let set = IconSet::house().expect("the built-in icons");
    set.get(name).expect("an icon of the set").picture(1024).expect("a picture")
}

/// How many of `count` photos are card photos, and in how many an icon is sure.
fn tally(
    count: usize,
    seed: u64,
    make: impl Fn(&Frame, usize, &mut Dice) -> Frame + Sync,
) -> [usize; 2] {
    let grounds: Option<Vec<PathBuf>> =
        photos().map(|paths| paths.into_iter().filter(|path| is_held_out(path)).collect());
    let total = Mutex::new([0; 2]);
    on_all_cores(count, |detector, index| {
        let mut dice = Dice::new(seed + index as u64);
        let ground = match &grounds {
            Some(paths) => open(&paths[dice.below(paths.len())], true).expect("a photo of the set"),
            None => invented(&mut dice),
        };
        let frame = make(&ground, index, &mut dice);
        let seen = detector.look(&frame).expect("a look");
        let mut total = total.lock().expect("no panic elsewhere");
        total[0] += usize::from(is_card(&frame, &seen));
        total[1] += usize::from(seen.iter().any(|icon| icon.tier == Tier::Order));
    });
    total.into_inner().expect("no panic elsewhere")
}

fn cards(count: usize, shares: [f32; 2], tilt_degrees_max: f32) -> [usize; 2] {
    let set = IconSet::house().expect("the built-in icons");
    let pictures: Vec<Picture> =
        set.icons().iter().map(|icon| icon.picture(1024).expect("a picture")).collect();
    tally(count, 3_000, |ground, index, dice| {
        let share = dice.between(shares[0], shares[1]);
        let scene = CardScene { share, tilt_degrees_max, light: [0.55, 1.0] };
        let jpeg = card_photo(&pictures[index % pictures.len()], ground, scene, dice);
        decode(&jpeg, DecodeSpec::default()).expect("its frame").frame
    })
}

/// Icons stamped or held into a scene, not on the sheet's cards.
fn loose(count: usize, sides: [f32; 2]) -> [usize; 2] {
    let set = IconSet::house().expect("the built-in icons");
    let brushes: Vec<Brush> =
        set.icons().iter().map(|icon| Brush::new(&icon.picture(512).expect("a picture"))).collect();
    tally(count, 4_000, |ground, index, dice| {
        let side = dice.between(sides[0], sides[1]);
        let side = side * ground.width_px().min(ground.height_px()) as f32 / 768.0;
        let scene = Scene { tilt_degrees_max: 20.0, ..easy(side) };
        compose(ground, &brushes[index % brushes.len()], scene, dice).frame
    })
}

#[test]
fn cards_that_fill_the_picture_are_card_photos() {
    let [cards_count, sure_count] = cards(48, [0.5, 1.0], 25.0);
    println!("{cards_count} card photos, {sure_count} with a sure icon, of 48");
    assert!(sure_count >= 36, "icons on cards are not read: {sure_count} of 48");
    assert!(cards_count * 10 >= sure_count * 9, "{cards_count} of {sure_count} with a sure icon");
}

#[test]
fn cards_in_a_scene_and_stickers_are_no_card_photos() {
    let [held_count, sure_count] = cards(48, [0.03, 0.2], 25.0);
    assert_eq!(held_count, 0, "cards held into a scene, {sure_count} icons were sure");
    let [loose_count, sure_count] = loose(48, [60.0, 300.0]);
    assert_eq!(loose_count, 0, "stickers and loose icons, {sure_count} icons were sure");
}

#[test]
#[ignore = "prints a table; takes minutes"]
fn table_of_card_photos() {
    const COUNT: usize = 60;
    for (low, high) in [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (0.6, 0.8), (0.8, 1.0)] {
        for tilt in [10.0, 35.0] {
            let [cards, sure] = cards(COUNT, [low, high], tilt);
            println!(
                "card {low:.1}-{high:.1} of the picture, tilt to {tilt}: {cards} cards, {sure} sure, of {COUNT}"
            );
        }
    }
    for (low, high) in [(0.03, 0.1), (0.1, 0.2), (0.2, 0.3)] {
        let [cards, sure] = cards(COUNT, [low, high], 25.0);
        println!(
            "card {low:.2}-{high:.2} of the picture, in a scene: {cards} cards, {sure} sure, of {COUNT}"
        );
    }
    for (low, high) in [(60.0, 150.0), (150.0, 260.0), (260.0, 400.0)] {
        let [cards, sure] = loose(COUNT, [low, high]);
        println!("loose icon of {low}-{high} px of 1024: {cards} cards, {sure} sure, of {COUNT}");
    }
}
