//! Rules and photos made at random of few words, so that findings are many; each finding is held
//! against what the rules really say of the photos, with and without a card.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

use super::super::*;
use super::{HEAD, known};
use crate::detection::{Seal, Tier};
use crate::rules::facts::{CameraFact, OrderedFact, PersonFact, PlaceFact, PrintFact, PrintKind};
use crate::rules::facts::{PathFact, TimeFact, WordsFact};
use crate::rules::roll::CardFact;
use crate::rules::verdict::{Verdict, Wish};
use crate::rules::{Facts, IconFact, Judgement, RuleFile};

const ATOMS: [&str; 86] = [
    "true",
    "false",
    r#"has("mug")"#,
    r#"seen("mug")"#,
    r#"faint("mug")"#,
    r#"none("mug")"#,
    r#"only("mug")"#,
    r#"all("puzzle")"#,
    "has(products)",
    "seen(products)",
    "none(products)",
    "faint(products)",
    "all(products)",
    "only(products)",
    "any(gifts)",
    "seen(gifts)",
    "all(gifts)",
    "only(gifts)",
    "faint(gifts)",
    r#"seen("share")"#,
    "different(products) > 1",
    "different(products) == 3",
    "different(gifts) <= 1",
    "count(products) >= 2",
    "count(products) < 4",
    "count(gifts) == 2",
    "count(gifts) > 0.5",
    "count(\"mug\") != 1",
    "count(gifts) == count(products)",
    "has(\"Anna\")",
    "seen(\"Ben\")",
    "any(family)",
    "all(family)",
    "only(family)",
    "only(everybody)",
    "none(everybody)",
    "faint(everybody)",
    "count(family) >= 1",
    "count(everybody) == 2",
    "different(everybody) == 2",
    "middle(\"Anna\")",
    "middle(family)",
    "largest(everybody)",
    "has(portrait(\"Anna\"))",
    "seen(portrait(family))",
    "only(portrait(family))",
    "faint(portrait(everybody))",
    "count(portrait(family)) > 1",
    "none(portrait(family)) && size(portraits) > 0",
    "people.exists(p, p.name == \"Anna\")",
    "unknown_faces == 0",
    "unknown_faces > 1",
    "taken != null",
    "taken == null",
    "taken.month == 7",
    "taken.month > 7",
    "taken.month in [6, 7]",
    "taken.month < 13",
    "taken.text.startsWith(\"2026-07\")",
    "taken.text > \"2026-07\"",
    "place == null",
    "near(52, 13, 10)",
    "place.latitude > 50",
    "rating >= 4",
    "rating == 4.0",
    "rating < 4",
    "-1 == rating",
    "width_px > height_px",
    "height_px >= width_px",
    "width_px == height_px",
    "width_px >= 4000",
    "album == \"a\"",
    "album in [\"a\", \"ab\"]",
    "album.startsWith(\"a\")",
    "album < \"b\"",
    "album + \"b\" == \"ab\"",
    "\"beach\" in keywords",
    "keywords[0] == \"beach\"",
    "keywords[0].startsWith(\"be\")",
    "size(dpof) > 0",
    "dpof[0].copies > 1",
    "dpof.exists(j, j.copies > 1)",
    "icons.exists(i, i.score > 0.8)",
    "ordered.exists(o, o.product == \"mug\")",
    "copies == 2",
    "addressee == \"a\"",
];

fn condition() -> impl Strategy<Value = String> {
    let atom = select(ATOMS.to_vec()).prop_map(str::to_owned);
    atom.prop_recursive(3, 10, 3, |inside| {
        let two = || (inside.clone(), inside.clone());
        prop_oneof![
            4 => two().prop_map(|(a, b)| format!("({a} && {b})")),
            3 => two().prop_map(|(a, b)| format!("({a} || {b})")),
            2 => inside.clone().prop_map(|a| format!("!({a})")),
            1 => (inside.clone(), inside.clone(), inside.clone())
                .prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            1 => two().prop_map(|(a, b)| format!("(({a}) == ({b}))")),
            1 => two().prop_map(|(a, b)| format!("(({a}) != ({b}))")),
            1 => inside.prop_map(|a| format!("(({a}) ? \"x\" : album) == \"x\"")),
        ]
    })
}

fn plan() -> impl Strategy<Value = String> {
    let orders = [
        "product = 'mug'",
        "product = 'mug', copies = 2",
        "product = 'mug', copies = 'copies', to = 'addressee'",
        "product = 'mug', copies = 'dpof[0].copies'",
        "product = 'mug', express = 'rating > 3'",
        "product = 'mug', to = 'album'",
        "product = 'mug', express = 'taken.month == 7'",
    ];
    let order = select(orders.to_vec());
    prop_oneof![
        5 => order.prop_map(|order| format!("order = {{ provider = 'lab', {order} }}")),
        1 => Just("share = { provider = 'lab', to = 'addressee' }".to_owned()),
        2 => Just("forbid = true".to_owned()),
        1 => Just("keep = true".to_owned()),
        1 => Just("note = 'then'".to_owned()),
    ]
}

/// The rules of two files; all have the same shape, so their names are given later.
fn files() -> impl Strategy<Value = [Vec<String>; 2]> {
    let ask = proptest::option::weighted(0.3, condition());
    let otherwise = proptest::option::weighted(0.25, plan());
    let parts = (condition(), plan(), ask, otherwise, 0..3, proptest::bool::weighted(0.2));
    let rule = parts.prop_map(|(when, plan, ask, otherwise, priority, stops)| {
        let mut text = format!("when = '''{when}'''\n{plan}\npriority = {priority}\n");
        if !plan.starts_with("note") {
            text += "reason = 'then'\n";
        }
        if let Some(ask) = ask.filter(|_| plan.starts_with("order") || plan.starts_with("share")) {
            text += &format!("ask = [{{ when = '''{ask}''', reason = 'asks' }}]\n");
        }
        if let Some(otherwise) = otherwise.filter(|plan| !plan.starts_with("forbid")) {
            let reason = if otherwise.starts_with("note") { "" } else { ", reason = 'else'" };
            text += &format!("else = {{ {}{reason} }}\n", otherwise.replace("'then'", "'else'"));
        }
        text + if stops { "stop = true\n" } else { "" }
    });
    let rule = rule.boxed();
    (vec(rule.clone(), 1..4), vec(rule, 0..3)).prop_map(|(one, other)| [one, other])
}

fn tier() -> impl Strategy<Value = Tier> {
    select(vec![Tier::Order, Tier::Ask])
}

fn icons() -> impl Strategy<Value = Vec<IconFact>> {
    let names = vec!["mug", "puzzle", "canvas", "copies-2", "to-a", "share"];
    let icon = (select(names), tier()).prop_map(|(name, tier)| IconFact {
        name: name.to_owned(),
        tier,
        seal: Seal::None,
        lowered: false,
        score: if tier == Tier::Order { 0.9 } else { 0.7 },
        size: 0.1,
        x: 0.5,
        y: 0.5,
    });
    vec(icon, 0..4)
}

fn people() -> impl Strategy<Value = Vec<PersonFact>> {
    let names = select(vec!["Anna", "Ben", "Carla", "Dora"]);
    let places = (select(vec![0.1, 0.2]), select(vec![0.4, 0.5, 0.9]));
    let person = (names, tier(), any::<bool>(), places);
    let person = person.prop_map(|(name, tier, portrait, (size, x))| PersonFact {
        name: name.to_owned(),
        tier,
        alone: false,
        portrait,
        score: 0.9,
        size,
        x,
        y: 0.5,
    });
    vec(person, 0..3)
}

fn photo() -> impl Strategy<Value = Facts> {
    let times = [
        None,
        Some("2026-06-30T10:00:00"),
        Some("2026-07-01T23:00:00"),
        Some("2026-12-01T00:00:00"),
    ];
    let places = [None, Some((52.0, 13.0)), Some((48.0, 2.0))];
    let job = (0_u32..3).prop_map(|copies| PrintFact {
        kind: PrintKind::Standard,
        copies,
        size_mm: 0,
        channel: 0,
        paper: String::new(),
        caption: String::new(),
        creator: String::new(),
    });
    let ordered = select(vec!["r0", "r1", "other"]).prop_map(|rule| OrderedFact {
        rule: rule.to_owned(),
        provider: "lab".to_owned(),
        product: "mug".to_owned(),
        copies: 1,
    });
    let sides = select(vec![(4_000, 3_000), (3_000, 4_000), (3_000, 3_000)]);
    let words = (select(vec!["", "a", "ab", "b"]), vec(select(vec!["beach", "sea"]), 0..2));
    let lists = (vec(job, 0..2), vec(ordered, 0..2));
    let seen = (icons(), people(), 0_u32..3, any::<bool>());
    (seen, select(times.to_vec()), select(places.to_vec()), sides, words, lists, -1_i8..6).prop_map(
        |(
            (icons, people, unknown_faces, unknown_first),
            taken,
            place,
            (width_px, height_px),
            words,
            lists,
            rating,
        )| {
            let (album, keywords) = words;
            let (dpof, ordered) = lists;
            let place = place.map(|(latitude, longitude)| PlaceFact { latitude, longitude });
            let keywords = keywords.into_iter().map(str::to_owned).collect();
            Facts {
                icons,
                people,
                unknown_faces,
                unknown_is_nearest: unknown_first && unknown_faces > 0,
                unknown_is_largest: unknown_first && unknown_faces > 0,
                path: PathFact::default(),
                taken: taken.and_then(TimeFact::parse),
                place,
                camera: CameraFact::default(),
                album: album.to_owned(),
                width_px,
                height_px,
                bytes_count: 1,
                companions: Vec::new(),
                dpof,
                words: WordsFact { keywords, rating, ..WordsFact::default() },
                ordered,
            }
        },
    )
}

/// The set of all rules, and each rule as a set of its own, under the name of its file.
fn sets(files: &[Vec<String>; 2], heads: [&str; 2]) -> (RuleSet, BTreeMap<String, RuleSet>) {
    let (mut texts, mut alone) = (heads.map(str::to_owned), BTreeMap::new());
    let load =
        |files: &[RuleFile]| RuleSet::load(files, &known()).expect("rules without a mistake");
    let file = |number: usize, text: &str| RuleFile::new(format!("{number}.toml"), text);
    for (number, rules) in files.iter().enumerate() {
        for rule in rules {
            let name = format!("r{}", alone.len());
            let rule = format!("[[rule]]\nname = '{name}'\n{rule}");
            alone.insert(name, load(&[file(number, &format!("{}{rule}", heads[number]))]));
            texts[number] += &rule;
        }
    }
    (load(&[file(0, &texts[0]), file(1, &texts[1])]), alone)
}

/// The second file has other lists half of the time.
const OTHER_HEAD: &str = r#"
[lists]
products = ["canvas", "mug", "puzzle"]
gifts = ["mug", "puzzle"]
mine = ["mug", "copies-2"]
[people]
family = ["Anna", "Ben"]
everybody = ["Anna", "Ben", "Carla"]
[define]
copies = 'seen("copies-2") ? 2 : seen("copies-3") ? 3 : 1'
addressee = 'seen("to-a") ? "a" : ""'
"#;

/// What a rule says of a photo on the side of its `when` or of its `else`.
fn said<'j>(judgement: &'j Judgement, rule: &str, is_else: bool) -> Option<&'j Verdict> {
    let reason = if is_else { "else" } else { "then" };
    // Under a card, the reason names it, too.
    let is_it = |verdict: &&Verdict| verdict.rule == rule && verdict.reason.starts_with(reason);
    judgement.verdicts.iter().find(is_it)
}

fn is_one_wish(one: &Wish, other: &Wish) -> bool {
    match (one, other) {
        (
            Wish::Order { product, addressee, .. },
            Wish::Order { product: other, addressee: other_addressee, .. },
        ) => product == other && addressee == other_addressee,
        (Wish::Share { addressee, .. }, Wish::Share { addressee: other, .. }) => addressee == other,
        _ => false,
    }
}

/// What is wrong with a finding, held against one photo.
fn refuted(
    finding: &Finding,
    set: &RuleSet,
    judge: &dyn Fn(&RuleSet) -> Judgement,
    alone: &BTreeMap<String, RuleSet>,
) -> Option<&'static str> {
    let name = |rule: usize| set.rules()[rule].name.as_str();
    let this = name(finding.rule);
    let by_itself = |rule: &str| judge(&alone[rule]);
    let together = judge(set);
    let is_same = finding.kind == WarningKind::Contradictory;
    let (holds, why) = match &finding.about {
        About::NeverTrue => (said(&by_itself(this), this, false).is_none(), "it applies"),
        About::NeverFalse => (said(&by_itself(this), this, true).is_none(), "its else happens"),
        About::NeverAsks(_) => {
            let judgement = by_itself(this);
            // Faces of which little speaks ask by themselves, with other words.
            let asks = |verdict: &Verdict| verdict.doubts.iter().any(|doubt| doubt == "asks");
            (!judgement.verdicts.iter().any(asks), "it asks")
        }
        About::Stopped { is_else, by } => {
            let is_said = said(&by_itself(this), this, *is_else).is_some();
            let stops = said(&by_itself(name(*by)), name(*by), false).is_some();
            let is_asked = said(&together, this, *is_else).is_some();
            ((!is_said || stops) && !is_asked, "it is not stopped")
        }
        About::Forbidden { is_else, by } => {
            let is_said = said(&by_itself(this), this, *is_else).is_some();
            let forbids = said(&by_itself(name(*by)), name(*by), false).is_some();
            let shows = said(&together, this, *is_else);
            let shows = shows.is_some_and(|verdict| verdict.wish != Wish::Forbid);
            let holds = (!is_said || forbids) && (!is_same || is_said == forbids) && !shows;
            (holds, "it is not forbidden")
        }
        About::Twice { is_else, by, differing } => {
            let is_one = |one: &Verdict, other: &Verdict| {
                let differs = differing.is_empty() || one.wish != other.wish;
                other.rule == name(*by) && is_one_wish(&one.wish, &other.wish) && differs
            };
            let verdicts = &together.verdicts;
            let holds = said(&together, this, *is_else)
                .is_none_or(|one| verdicts.iter().any(|other| is_one(one, other)));
            (holds, "there is no other")
        }
    };
    (!holds).then_some(why)
}

#[test]
fn findings_about_random_rules_hold_of_random_photos() {
    let config = Config { cases: 1_000, failure_persistence: None, ..Config::default() };
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let counts_cell = std::cell::RefCell::new(&mut counts);
    let given = (files(), any::<bool>(), vec((photo(), proptest::option::of(icons())), 40));
    let ran = TestRunner::new(config).run(&given, |(files, has_other_lists, photos)| {
        let heads = [HEAD, if has_other_lists { OTHER_HEAD } else { HEAD }];
        let (set, alone) = sets(&files, heads);
        for finding in findings(&set) {
            let about = match finding.about {
                About::NeverTrue => "never true",
                About::NeverFalse => "never false",
                About::NeverAsks(_) => "never asks",
                About::Stopped { .. } => "stopped",
                About::Forbidden { .. } => "forbidden",
                About::Twice { .. } => "twice",
            };
            *counts_cell.borrow_mut().entry(about).or_default() += 1;
            for (facts, card) in &photos {
                let card = card
                    .as_ref()
                    .map(|icons| CardFact { icons: icons.clone(), photographed: String::new() });
                let judge = |set: &RuleSet| set.judge_with(facts, card.as_ref());
                let refuted = refuted(&finding, &set, &judge, &alone);
                let rule = &set.rules()[finding.rule].name;
                prop_assert_eq!(
                    refuted,
                    None,
                    "{}: {} of {:?} under {:?}",
                    rule,
                    about,
                    facts,
                    card
                );
            }
        }
        Ok(())
    });
    ran.expect("every finding holds");
    println!("{counts:?}");
    assert_eq!(counts.len(), 6, "of each kind there are some: {counts:?}");
}
