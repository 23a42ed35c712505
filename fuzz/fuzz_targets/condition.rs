//! Conditions: whatever they say, an answer or a reason comes, and soon.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signet::detection::{Seal, Tier};
use signet::rules::facts::{PersonFact, PlaceFact};
use signet::rules::{Facts, IconFact, Known, RuleFile, RuleSet, TimeFact};

fuzz_target!(init: signet_fuzz::keep_quiet(), |text: &str| {
    if text.contains("'''") {
        return;
    }
    let rule = format!(
        "[lists]\nthings = ['mug', 'canvas']\n[people]\nfamily = ['Anna', 'Ben']\n\
         [[rule]]\nname = 'a'\nkeep = true\nwhen = '''\n{text}'''\n"
    );
    let file = RuleFile::new("a.toml", rule);
    let icons = ["mug", "canvas", "copies-2"].map(str::to_owned);
    let Ok(set) = RuleSet::load(&[file], &Known::of_icons(icons.to_vec())) else { return };
    let judgement = set.judge(&facts());
    assert!(judgement.verdicts.len() + judgement.failures.len() <= 1);
});

fn facts() -> Facts {
    let icon = |name: &str, tier| IconFact {
        name: name.to_owned(),
        tier,
        seal: Seal::None,
        lowered: false,
        score: 0.9,
        size: 0.1,
        x: 0.25,
        y: 0.75,
    };
    let person = |name: &str| PersonFact {
        name: name.to_owned(),
        tier: Tier::Order,
        alone: false,
        portrait: false,
        score: 0.8,
        size: 0.2,
        x: 0.5,
        y: 0.5,
    };
    Facts {
        icons: vec![icon("mug", Tier::Order), icon("copies-2", Tier::Ask)],
        people: vec![person("Anna"), PersonFact { portrait: true, ..person("Ben") }],
        unknown_faces: 1,
        unknown_is_largest: true,
        taken: TimeFact::parse("2026-07-01T10:00:00"),
        place: Some(PlaceFact { latitude: 52.5, longitude: 13.4 }),
        width_px: 4000,
        height_px: 3000,
        ..Facts::default()
    }
}
