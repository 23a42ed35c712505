//! What it costs to judge a photo by rules, and to read rule files.
//!
//! Ids read `rules/operation/size/what`. `SIGNET_BENCH_SMOKE=1` runs everything once.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a bench prints or stops")]

use std::fmt::Write;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use signet::detection::{IconSet, Seal, Tier};
use signet::rules::lint::lint;
use signet::rules::{Facts, IconFact, Known, PathFact, RuleFile, RuleSet, TimeFact};

fn main() {
    let known = Known::of_icons(IconSet::house().expect("the built-in icons").names());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/family.toml");
    let bytes = std::fs::read(path).expect("the shipped rules read");
    let family = [RuleFile::new("family.toml", bytes)];
    let set = RuleSet::load(&family, &known).expect("the shipped rules have no mistake");

    let plain = photo(&[]);
    let marked = photo(&["print-10x15", "copies-2"]);
    let forbidden = photo(&["canvas", "share", "do-not-share"]);
    assert!(set.judge(&plain).verdicts.is_empty());
    assert_eq!(set.judge(&marked).verdicts[0].to_string(), "order 2 print-10x15 from lab");
    assert_eq!(set.judge(&forbidden).verdicts[0].to_string(), "forbid");
    let rules_count = set.rules_count();
    for (name, facts) in [("plain", &plain), ("marked", &marked), ("forbidden", &forbidden)] {
        let id = format!("rules/judge/{rules_count}-rules/{name}");
        rate(&id, rules_count, || set.judge(facts).verdicts.len());
    }

    let many = [RuleFile::new("many.toml", many_rules(200))];
    let many_set = RuleSet::load(&many, &known).expect("made without a mistake");
    assert_eq!(many_set.rules_count(), 200);
    assert!(many_set.judge(&marked).failures.is_empty());
    rate("rules/judge/200-rules/loops", 200, || many_set.judge(&marked).verdicts.len());
    rate("rules/load/200-rules/toml-and-cel", 1, || RuleSet::load(&many, &known).is_ok());
    rate("rules/lint/200-rules/many", 200, || lint(&many_set).len());
    let clear = [RuleFile::new("clear.toml", clear_rules(200))];
    let clear_set = RuleSet::load(&clear, &known).expect("made without a mistake");
    assert_eq!(lint(&clear_set), []);
    rate("rules/lint/200-rules/no-warning", 200, || lint(&clear_set).len());
    rate("rules/load/family/toml-and-cel", 1, || RuleSet::load(&family, &known).is_ok());
}

/// Runs `work` for a second and prints its median time and `things_count` per second.
fn rate<T>(id: &str, things_count: usize, mut work: impl FnMut() -> T) {
    #[expect(clippy::disallowed_methods, reason = "a bench has no config")]
    let smoke = std::env::var_os("SIGNET_BENCH_SMOKE").is_some();
    let spent_max = if smoke { Duration::ZERO } else { Duration::from_secs(1) };
    let began = Instant::now();
    let mut times_us = Vec::new();
    while times_us.is_empty() || began.elapsed() < spent_max {
        let before = Instant::now();
        black_box(work());
        times_us.push(before.elapsed().as_secs_f64() * 1e6);
    }
    times_us.sort_by(f64::total_cmp);
    let median_us = times_us[times_us.len() / 2];
    let per_second = things_count as f64 / median_us * 1e6;
    let runs_count = times_us.len();
    println!("{id:<48} {median_us:>10.2} us {per_second:>12.0} per s  ({runs_count} runs)");
}

fn photo(icons: &[&str]) -> Facts {
    let icon = |name: &&str| IconFact {
        name: (*name).to_owned(),
        tier: Tier::Order,
        seal: Seal::None,
        lowered: false,
        score: 0.95,
        size: 0.1,
        x: 0.5,
        y: 0.5,
    };
    Facts {
        icons: icons.iter().map(icon).collect(),
        path: PathFact {
            collection: "photos".to_owned(),
            folder: "2026/summer".to_owned(),
            name: "IMG_0042.jpg".to_owned(),
            extension: "jpg".to_owned(),
        },
        taken: TimeFact::parse("2026-07-01T10:00:00"),
        width_px: 4_032,
        height_px: 3_024,
        bytes_count: 3_000_000,
        companions: Vec::new(),
        dpof: Vec::new(),
        ..Facts::default()
    }
}

/// Rules of which none follows from another, though they look at the same and share with one lab: the
/// worst that is to be compared.
fn clear_rules(rules_count: usize) -> String {
    let mut text = String::new();
    for index in 0..rules_count {
        let _always = write!(
            text,
            "[[rule]]\nname = 'rule-{index}'\n\
             when = 'seen(\"mug\") && rating != {index} && bytes_count > {index}000 && album != \"{index}\"'\n\
             share = {{ provider = 'lab' }}\n"
        );
    }
    text
}

/// Rules as an operator may write them: half ask for icons, half loop over them.
fn many_rules(rules_count: usize) -> String {
    let mut text = String::new();
    for index in 0..rules_count {
        let when = if index % 2 == 0 {
            "has(\"print-10x15\") && taken != null && taken.month == 7"
        } else {
            "icons.exists(i, i.tier == \"order\" && i.x > 0.9) && path.folder.startsWith(\"2026/\")"
        };
        let _always = write!(
            text,
            "[[rule]]\nname = 'rule-{index}'\nwhen = '{when}'\nshare = {{ provider = 'lab' }}\n"
        );
    }
    text
}
