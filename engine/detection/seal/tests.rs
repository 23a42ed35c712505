//! The seal's arithmetic counted out, and readings of drawn seals.
#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "drawn pictures")]

use proptest::prelude::*;

use super::reader::{Bits, SealReader, SealReading};
use super::*;
use crate::detection::draw::{Brush, draw};
use crate::detection::icon_set::{IconSet, render_text};
use crate::detection::sighting::Seal;
use crate::detection::warp::Pyramid;
use crate::media::Frame;

/// Balanced words that differ from a reading in at most `distance` of its modules: `ones` of
/// the `48 - erased` modules read are ink. Counted over how many read 1s (`off`) and read 0s
/// (`on`) the word has otherwise; the erased modules take whatever ones remain.
fn words_near(erased: u128, ones: u128, distance: u128) -> u128 {
    let read = MODULES as u128 - erased;
    let mut count = 0;
    for off in 0..=distance.min(ones) {
        for on in 0..=(distance - off).min(read - ones) {
            let inside = ones - off + on;
            let total = u128::from(ONES);
            if inside <= total && total - inside <= erased {
                count +=
                    choose(ones, off) * choose(read - ones, on) * choose(erased, total - inside);
            }
        }
    }
    count
}

/// Chance that a word nobody knows lies so near, for the reading for which it is largest.
fn chance(erased: u32, distance: u32) -> f64 {
    let read = MODULES as u128 - u128::from(erased);
    let most = (0..=read).map(|ones| words_near(u128::from(erased), ones, u128::from(distance)));
    most.max().expect("a count") as f64 / WORDS_COUNT as f64
}

#[test]
fn chance_of_a_wrong_yes_is_at_most_one_in_a_million_for_any_reading() {
    assert_eq!(choose(48, 24), WORDS_COUNT);
    // 1 + 24² + C(24,2)² + C(24,3)² words differ in at most 6 modules from a balanced one.
    assert_eq!(words_near(0, 24, 6), 1 + 24 * 24 + 276 * 276 + 2024 * 2024);
    let mut worst = 0.0_f64;
    for erased in 0..=MODULES as u32 {
        let Some(distance) = distance_max(erased) else {
            assert!(erased > 24, "{erased}");
            continue;
        };
        let chance = chance(erased, distance);
        assert!(chance * WORDS_MAX as f64 <= CHANCE_MAX, "{erased} erased: {chance}");
        worst = worst.max(chance);
    }
    let all = worst * WORDS_MAX as f64;
    assert!((9e-7..=CHANCE_MAX).contains(&all), "docs/seal.md names this: {all}");
}

#[test]
fn small_words_counted_one_by_one_agree_with_the_formula() {
    // All 2^10 readings of 10 modules against all balanced words of 10, some erased.
    let balanced: Vec<u32> = (0..1_u32 << 10).filter(|word| word.count_ones() == 5).collect();
    for (erased, distance) in [(0, 2), (0, 3), (2, 2), (3, 1)] {
        let mask = (1_u32 << (10 - erased)) - 1;
        for reading in 0..=mask {
            let near =
                balanced.iter().filter(|word| ((*word ^ reading) & mask).count_ones() <= distance);
            let ones = u128::from(reading.count_ones());
            let read = 10 - erased as u128;
            let mut formula = 0;
            for off in 0..=u128::from(distance).min(ones) {
                for on in 0..=(u128::from(distance) - off).min(read - ones) {
                    let inside = ones - off + on;
                    if inside <= 5 && 5 - inside <= erased as u128 {
                        formula += choose(ones, off)
                            * choose(read - ones, on)
                            * choose(erased as u128, 5 - inside);
                    }
                }
            }
            assert_eq!(near.count() as u128, formula, "{reading:b} {erased} {distance}");
        }
    }
}

#[test]
fn word_depends_on_secret_and_generation_alone() {
    let word = SealWord::derive(&[1; 32], 1);
    assert_eq!(word, SealWord::derive(&[1; 32], 1));
    assert_ne!(word, SealWord::derive(&[1; 32], 2));
    assert_ne!(word, SealWord::derive(&[2; 32], 1));
    // Printed cards must be read for ever: this is what generation 1 of this secret is.
    assert_eq!(format!("{:012x}", word.bits()), PINNED);
    assert_eq!(format!("{word:?}"), "SealWord(…)");
}

const PINNED: &str = "f449a5dce885";

#[test]
fn words_are_numbered_without_gaps_from_first_to_last() {
    assert_eq!(SealWord::numbered(0).bits(), 0xFFFF_FF00_0000);
    assert_eq!(SealWord::numbered(WORDS_COUNT - 1).bits(), 0x00FF_FFFF);
    let mut last = None;
    for number in (0..2000).map(|n| n * (WORDS_COUNT / 2000)) {
        let word = SealWord::numbered(number);
        assert_eq!(word.bits().count_ones(), ONES);
        // Module 0 counts most.
        let order = word.bits().reverse_bits();
        assert!(last.is_none_or(|last| last < order), "{number}");
        last = Some(order);
    }
}

proptest! {
    #[test]
    fn any_word_is_balanced_and_itself(secret: [u8; 32], generation: u32) {
        let word = SealWord::derive(&secret, generation);
        prop_assert_eq!(word.bits().count_ones(), ONES);
        prop_assert!(word.bits() < 1 << MODULES);
        let bits = Bits { ink: word.bits(), erased: 0 };
        prop_assert!(bits.is(word));
    }

    #[test]
    fn reading_is_taken_up_to_the_distance_and_no_further(
        secret: [u8; 32],
        order in Just((0..MODULES).collect::<Vec<_>>()).prop_shuffle(),
        erased in 0_usize..=26,
    ) {
        let word = SealWord::derive(&secret, 1);
        let erase = order[..erased].iter().fold(0_u64, |bits, module| bits | 1 << module);
        for wrong in 0..=10.min(MODULES - erased) {
            let flip = order[erased..erased + wrong].iter().fold(0_u64, |bits, m| bits | 1 << m);
            let bits = Bits { ink: (word.bits() ^ flip) & !erase, erased: erase };
            let expected = distance_max(erased as u32).is_some_and(|most| wrong as u32 <= most);
            prop_assert_eq!(bits.is(word), expected);
        }
    }

    #[test]
    fn reader_of_any_quad_and_noise_never_fails(
        corners: [[f32; 2]; 4],
        blur: f32,
        seed: u32,
    ) {
        let rgb = (0..60 * 50 * 3_u32).map(|i| (i.wrapping_mul(seed | 1) >> 13) as u8).collect();
        let frame = Frame::new(60, 50, rgb).expect("a frame");
        let words = [SealWord::derive(&[3; 32], 1)];
        let small = Quad(corners).map(|corner| corner.map(|value| value.rem_euclid(60.0)));
        for quad in [Quad(corners), small] {
            let reading = SealReader::default().read(&mut Pyramid::new(&frame), &quad, blur, &words);
            prop_assert_ne!(reading.seal, Seal::Mine);
        }
    }
}

/// A grey picture with one sealed (or plain) icon.
fn scene(word: Option<SealWord>, quad: &Quad) -> Frame {
    let set = IconSet::house().expect("the built-in icons");
    let icon = set.get("share").expect("share");
    let mut frame = Frame::new(200, 200, vec![120; 200 * 200 * 3]).expect("a frame");
    match word {
        Some(word) => {
            let svg = sealed_svg("share", icon.shapes().expect("shapes"), word);
            let brush = Brush::new(&render_text(&svg, 1024).expect("a picture"));
            draw(&mut frame, &brush, &card_quad(quad).expect("not flat"), 1.0);
        }
        None => {
            let brush = Brush::new(&icon.picture(512).expect("a picture"));
            draw(&mut frame, &brush, quad, 1.0);
        }
    }
    // Dim light that falls off to the right, and a little noise.
    for (index, value) in frame.rgb_mut().iter_mut().enumerate() {
        let shade = 0.8 - 0.4 * (index / 3 % 200) as f32 / 200.0;
        *value = (f32::from(*value) * shade + 15.0 + (index * 7919 % 7) as f32) as u8;
    }
    frame
}

fn tilted(side: f32) -> Quad {
    let c = 100.0;
    Quad([
        [c - 0.42 * side, c - 0.5 * side],
        [c + 0.5 * side, c - 0.40 * side],
        [c + 0.45 * side, c + 0.5 * side],
        [c - 0.5 * side, c + 0.42 * side],
    ])
}

fn read(frame: &Frame, quad: &Quad, words: &[SealWord]) -> SealReading {
    SealReader::default().read(&mut Pyramid::new(frame), quad, 0.4 / quad.side_px(), words)
}

#[test]
fn own_seal_is_mine_and_anothers_is_foreign_at_all_sizes() {
    let (mine, other) = (SealWord::derive(&[1; 32], 1), SealWord::derive(&[2; 32], 1));
    for side in [20.0, 24.0, 32.0, 48.0, 64.0, 100.0, 130.0] {
        let quad = tilted(side);
        let reading = read(&scene(Some(mine), &quad), &quad, &[mine]);
        assert_eq!(reading.seal, Seal::Mine, "{side}: {reading:?}");
        assert!(reading.distance.is_some_and(|distance| distance <= 1), "{side}: {reading:?}");
        let reading = read(&scene(Some(other), &quad), &quad, &[mine]);
        assert_eq!(reading.seal, Seal::Foreign, "{side}: {reading:?}");
        // The second of two valid words counts as well.
        let reading = read(&scene(Some(other), &quad), &quad, &[mine, other]);
        assert_eq!(reading.seal, Seal::Mine, "{side}: {reading:?}");
    }
}

#[test]
fn icon_without_seal_has_none_and_a_tiny_one_is_unreadable() {
    let mine = SealWord::derive(&[1; 32], 1);
    for side in [32.0, 48.0, 100.0] {
        let quad = tilted(side);
        assert_eq!(read(&scene(None, &quad), &quad, &[mine]).seal, Seal::None, "{side}");
    }
    let quad = tilted(12.0);
    assert_eq!(read(&scene(Some(mine), &quad), &quad, &[mine]).seal, Seal::Unreadable);
    // More than half of the card lies outside the picture.
    let quad = tilted(60.0).map(|[x, y]| [x - 115.0, y]);
    assert_eq!(read(&scene(Some(mine), &quad), &quad, &[mine]).seal, Seal::Unreadable);
}

#[test]
fn seal_with_a_covered_corner_is_still_mine() {
    let mine = SealWord::derive(&[1; 32], 1);
    for side in [32.0, 48.0, 96.0] {
        let quad = tilted(side);
        let mut frame = scene(Some(mine), &quad);
        let [x, y] = card_quad(&quad).expect("not flat").0[0];
        let reach = 0.42 * side;
        for row in 0..200 {
            for column in 0..200 {
                if (column as f32) < x + reach && (row as f32) < y + reach {
                    let at = 3 * (row * 200 + column);
                    frame.rgb_mut()[at..at + 3].copy_from_slice(&[150, 110, 90]);
                }
            }
        }
        let reading = read(&frame, &quad, &[mine]);
        assert_eq!(reading.seal, Seal::Mine, "{side}: {reading:?}");
    }
}

#[test]
fn dots_lie_evenly_on_the_square_and_inside_the_card() {
    for module in 0..MODULES {
        let ([x0, y0], [x1, y1]) = (module_units(module), module_units((module + 1) % MODULES));
        assert!(((x1 - x0).hypot(y1 - y0) - PITCH_UNITS).abs() < 0.01, "{module}");
        for value in [x0, y0] {
            assert!(
                CARD_UNITS.contains(&(value - DOT_RADIUS))
                    && CARD_UNITS.contains(&(value + DOT_RADIUS))
            );
        }
    }
    for (module, expected) in [(0, TRIM_UNITS.start), (24, TRIM_UNITS.end)] {
        assert!(module_units(module).iter().all(|value| (value - expected).abs() < 0.01));
    }
}
