//! What is warned of and what is not, and that no warning is wrong of any photo.

use super::*;
use crate::rules::{Author, Known, RuleFile};

#[path = "random.rs"]
mod random;

const HEAD: &str = r#"
[lists]
products = ["canvas", "mug", "puzzle"]
gifts = ["mug", "puzzle"]
numbers = ["copies-2", "copies-3"]
[people]
family = ["Anna", "Ben"]
everybody = ["Anna", "Ben", "Carla"]
[define]
copies = 'seen("copies-2") ? 2 : seen("copies-3") ? 3 : 1'
addressee = 'seen("to-a") ? "a" : ""'
"#;

fn known() -> Known {
    let icons =
        ["mug", "puzzle", "canvas", "copies-2", "copies-3", "do-not-share", "share", "to-a"];
    Known::of_icons(icons.map(str::to_owned).to_vec())
}

fn set(files: &[&str]) -> RuleSet {
    let files = files.iter().enumerate();
    let files = files
        .map(|(number, text)| RuleFile::new(format!("{number}.toml"), format!("{HEAD}{text}")));
    RuleSet::load(&files.collect::<Vec<_>>(), &known()).expect("rules without a mistake")
}

/// Rules as `name | when | more | more`, one a line; without more they order a mug.
fn rules(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let rule = |line: &str| {
        let mut parts = line.split(" | ");
        let [name, when, more] = [(); 3].map(|()| parts.next().unwrap_or_default());
        let more = if more.is_empty() { MUG } else { more };
        let rest: String = parts.map(|more| format!("{more}\n")).collect();
        format!("[[rule]]\nname = '{name}'\nwhen = '''{when}'''\n{more}\n{rest}")
    };
    lines.map(rule).collect()
}

const MUG: &str = "order = { product = 'mug', provider = 'lab' }";

/// The warnings for rules, each as its kind and how its message begins.
#[track_caller]
fn check(text: &str, expected: &[(WarningKind, &str)]) {
    let warnings = lint(&set(&[&rules(text)]));
    let begins = |(warning, (kind, message)): (&RuleWarning, &(WarningKind, &str))| {
        warning.kind == *kind && warning.message.starts_with(message)
    };
    let is_all = warnings.len() == expected.len();
    assert!(is_all && warnings.iter().zip(expected).all(begins), "{text}: {warnings:#?}");
}

use WarningKind::{Contradictory, Shadowed, Unreachable};

/// Whether a condition is said to be true of no photo.
#[track_caller]
fn check_never(when: &str, is_never: bool) {
    let warnings = lint(&set(&[&rules(&format!("a | {when}"))]));
    let said = warnings.iter().any(|warning| warning.message.contains("no photo makes its `when`"));
    assert_eq!(said, is_never, "{when}: {warnings:#?}");
}

#[test]
fn condition_that_no_photo_fulfils_is_found() {
    for when in [
        "false",
        "taken.month == 7 && taken.month == 8",
        "taken.month > 12",
        "taken == null && taken.month == 7",
        "7 == taken.month && !(taken.month in [6, 7])",
        "taken.hour > 6 && taken.hour < 7",
        r#"has("mug") && !seen("mug")"#,
        r#"faint("mug") && has("mug")"#,
        r#"has("mug") && none(products)"#,
        "all(products) && !all(gifts)",
        r#"only(gifts) && seen("canvas")"#,
        "only(family) && unknown_faces > 0",
        "middle(\"Anna\") && none(\"Anna\")",
        "has(portrait(\"Anna\")) && none(portrait(family))",
        r#"only(family) && has("Carla")"#,
        "count(family) >= 2 && count(family) < 2",
        "count(family) > 2",
        "different(gifts) > 2",
        "different(products) == 3 && count(products) < 3",
        "count(gifts) > 1 && count(products) < 2",
        "count(products) == 0 && any(gifts)",
        "any(everybody) && count(everybody) < 1",
        r#"album == "a" && album.startsWith("b")"#,
        r#"album.startsWith("ab") && !album.startsWith("a")"#,
        r#"album == "a" || album == "b" ? !(album in ["a", "b", "c"]) : false"#,
        "copies == 2 && copies == 3",
        r#"copies == 3 && seen("copies-2")"#,
        r#"addressee != "" && !seen("to-a")"#,
        "size(dpof) < 1 && size(dpof) > 0",
        "width_px > height_px && height_px >= width_px",
        "near(52, 13, 10) && place == null",
        r#"icons.exists(i, i.x > 0.5) && !icons.exists(icon, icon.x > 0.5)"#,
        r#"(has("mug") == has("puzzle")) && has("mug") && !has("puzzle")"#,
    ] {
        check_never(when, true);
    }
}

#[test]
fn condition_that_some_photo_may_fulfil_is_left_alone() {
    for when in [
        "true",
        "taken.month == 7 || taken.month == 8",
        "taken.month >= 12",
        r#"seen("mug") && !has("mug")"#,
        r#"faint(products) && has("mug")"#,
        "only(products) && !all(products) && count(products) > 3",
        "count(gifts) == 1 && count(products) == 7",
        "different(products) == 2 && !seen(gifts) || different(products) == 2",
        r#"album.startsWith("a") && album != "a" && album < "ab""#,
        "width_px > height_px && !(height_px == width_px)",
        "icons[0].score < 1.0 && icons[0].score > 0.9",
        "rating > 1 && rating < 3",
        "place.latitude > 1.0 && place.latitude < 1.1",
        "dpof[0].copies == 1 && dpof[1].copies == 2",
        r#"keywords.exists(k, k == "a") && !keywords.exists(k, k == "b")"#,
        // More lists and icons than can be gone through: nothing is said.
        "count(products) > 2000 && count(products) < 2000",
    ] {
        check_never(when, false);
    }
}

#[test]
fn else_and_ask_that_never_happen_are_found() {
    check(
        "a | seen(\"mug\") || none(\"mug\") | keep = true | else = { note = 'x' }",
        &[(Unreachable, "the `else` of `a` is unreachable")],
    );
    // Of a photo without a time it says nothing, and of all others the same.
    let when = "taken.month > 6 || taken.month < 7";
    check(
        &format!("a | {when} | keep = true | else = {{ note = 'x' }}"),
        &[(Unreachable, "the `else` of `a` is unreachable")],
    );
    check("a | seen(\"mug\") | keep = true | else = { note = 'x' }", &[]);
    let ask = "ask = [{ when = 'faint(\"mug\")', reason = 'faint' }, \
               { when = 'none(products)', reason = 'none' }]";
    check(
        &format!("a | seen(\"mug\") | {MUG} | {ask}"),
        &[(Unreachable, "`a` never asks: its `ask` because `none` is true of no photo")],
    );
    check(&format!("a | seen(\"mug\") | {MUG} | {ask} | else = {{ note = 'x' }}"), &[]);
    check(
        &format!("a | has(\"mug\") | {MUG} | ask_when = 'faint(\"mug\")'"),
        &[(Unreachable, "`a` never asks: its `ask_when` is true of no photo")],
    );
}

#[test]
fn rule_behind_one_that_stops_is_unreachable() {
    let stops = "keep = true | stop = true";
    check(
        &format!("a | seen(products) | {stops}\nb | has(\"mug\")"),
        &[(
            Unreachable,
            "`b` is unreachable: wherever it applies, `a` (0.toml:13) is asked before",
        )],
    );
    check(&format!("a | has(\"mug\") | {stops}\nb | seen(\"mug\")"), &[]);
    check(&format!("a | has(\"mug\") | {MUG} | stop = true\nb | seen(\"mug\")"), &[]);
    check(&format!("b | has(\"mug\")\na | seen(products) | {stops}"), &[]);
    check(
        &format!("b | has(\"mug\")\na | seen(products) | {stops} | priority = 1"),
        &[(Unreachable, "`b` is unreachable")],
    );
    // Those that forbid are asked always, and what says something else elsewhere is not out of reach.
    check(&format!("a | seen(products) | {stops}\nb | has(\"mug\") | forbid = true"), &[]);
    check(
        &format!(
            "a | seen(products) | {stops}\nb | has(\"mug\") | keep = true | else = {{ note = 'x' }}"
        ),
        &[(Unreachable, "`b` is unreachable")],
    );
    check(
        &format!(
            "a | !has(\"mug\") | {stops}\nb | has(\"mug\") | keep = true | else = {{ note = 'x' }}"
        ),
        &[(Unreachable, "the `else` of `b` is unreachable")],
    );
    check(
        &format!("a | true | {stops}\nb | has(\"mug\") | forbid = true | else = {{ note = 'x' }}"),
        &[],
    );
    // Where its copies cannot be told it says nothing and does not stop either.
    let failing = "order = { product = 'canvas', provider = 'lab', copies = 'dpof[0].copies' }";
    check(&format!("a | seen(\"mug\") | {failing} | stop = true\nb | seen(\"mug\")"), &[]);
    let told =
        "order = { product = 'canvas', provider = 'lab', copies = 'copies', to = 'addressee' }";
    check(
        &format!("a | seen(\"mug\") | {told} | stop = true\nb | seen(\"mug\")"),
        &[(Unreachable, "`b` is unreachable")],
    );
}

#[test]
fn rule_where_another_forbids_is_shadowed_and_of_the_same_photos_a_contradiction() {
    let forbids = "a | seen(\"mug\") | forbid = true";
    check(
        &format!("{forbids}\nb | has(\"mug\")"),
        &[(Shadowed, "`b` is shadowed: wherever it applies, `a` (0.toml:13) forbids")],
    );
    check(&format!("b | has(\"mug\") | note = 'x'\n{forbids}"), &[(Shadowed, "`b` is shadowed")]);
    check(
        &format!("b | !none(\"mug\")\n{forbids}"),
        &[(Contradictory, "`b` contradicts `a` (0.toml:17), which forbids for the very same")],
    );
    check(&format!("b | has(\"mug\") | keep = true\n{forbids}"), &[]);
    check(&format!("b | seen(gifts)\n{forbids}"), &[]);
    // One of two that forbid is enough.
    check(
        &format!("b | has(\"mug\") | forbid = true\n{forbids}"),
        &[(Shadowed, "`b` is shadowed")],
    );
    check(
        &format!("b | seen(\"mug\") | forbid = true\n{forbids}"),
        &[(Shadowed, "`a` is shadowed")],
    );
    // What forbids only where the photo says when it was taken forbids less.
    check("a | taken.month > 0 | forbid = true\nb | true", &[]);
    check(
        "a | taken.month > 0 | forbid = true\nb | taken != null",
        &[(Contradictory, "`b` contradicts `a`")],
    );
}

#[test]
fn one_wish_of_two_rules_is_told_once() {
    check(
        "a | seen(\"mug\")\nb | has(\"mug\")",
        &[(
            Shadowed,
            "`b` is shadowed: wherever it applies, `a` (0.toml:13) orders `mug` from `lab`",
        )],
    );
    // The narrower one first is two orders as well, unless it stops.
    check("a | has(\"mug\")\nb | seen(\"mug\")", &[(Shadowed, "`a` is shadowed")]);
    check(&format!("a | has(\"mug\") | {MUG} | stop = true\nb | seen(\"mug\")"), &[]);
    check("a | seen(\"mug\")\nb | !none(\"mug\")", &[(Shadowed, "`b` is shadowed")]);
    let mug = |more: &str| format!("order = {{ product = 'mug', provider = 'lab', {more} }}");
    check(
        &format!("a | seen(\"mug\")\nb | seen(\"mug\") | {}", mug("copies = 2, express = 'true'")),
        &[(
            Contradictory,
            "`b` contradicts `a` (0.toml:13), which orders `mug` from `lab` for the very same \
             photos, with other `copies` and `express`",
        )],
    );
    let more = mug("or = 'shop', price_max = '2.00 EUR', remove_icon = true");
    check(
        &format!("a | seen(\"mug\")\nb | seen(\"mug\") | {more}"),
        &[(
            Contradictory,
            "`b` contradicts `a` (0.toml:13), which orders `mug` from `lab` for the very same \
             photos, with other `or` and `price_max` and `remove_icon`",
        )],
    );
    check(
        &format!("a | seen(\"mug\")\nb | seen(\"mug\") | {}", mug("copies = 'copies'")),
        &[(Shadowed, "`b` is shadowed")],
    );
    // Two addressees, products, providers or sizes are two wishes.
    for other in [
        mug("to = '\"a\"'"),
        mug("to = 'addressee'"),
        MUG.replace("'mug'", "'puzzle'"),
        MUG.replace("'lab'", "'shop'"),
        "share = { provider = 'lab' }".to_owned(),
    ] {
        check(&format!("a | seen(\"mug\")\nb | seen(\"mug\") | {other}"), &[]);
    }
    let share = |px| format!("share = {{ provider = 'lab', preview_px = {px} }}");
    check(&format!("a | true | {}\nb | true | {}", share(640), share(2048)), &[]);
    check(
        &format!("a | true | {}\nb | true | {}", share(640), share(640)),
        &[(Shadowed, "`b` is shadowed: wherever it applies, `a` (0.toml:13) shares with `lab`")],
    );
    let to = mug("to = 'addressee'");
    check(
        &format!("a | seen(\"mug\") | {to}\nb | seen(\"mug\") | {to}"),
        &[(Shadowed, "`b` is shadowed")],
    );
    // A rule does not see its own orders, so these two do not see the same.
    let first = "ordered.exists(o, o.product == \"mug\")";
    check(&format!("a | {first}\nb | {first}"), &[]);
}

#[test]
fn rules_of_one_each_are_told_together() {
    let each = |more: &str| format!("[[rule]]\nname = '{{each}}'\neach = 'products'\n{more}\n");
    let order = "order = { product = '{each}', provider = 'lab' }";
    let never = each(&format!("when = 'has(each) && none(each)'\n{order}"));
    let warnings = lint(&set(&[&never]));
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert_eq!((warnings[0].rule.as_str(), warnings[0].line), ("{each}", 13));
    assert!(warnings[0].message.starts_with("`{each}` (each of the 3) is unreachable"));
    // Some of them are told by name.
    let some = each(&format!("when = 'seen(each) && !seen(gifts)'\n{order}"));
    let names: Vec<String> = lint(&set(&[&some])).into_iter().map(|warning| warning.rule).collect();
    assert_eq!(names, ["mug", "puzzle"]);
    let asks = "ask = [{ when = 'none(each)', reason = 'no {each}' }]";
    let asks = each(&format!("when = 'seen(each)'\n{order}\n{asks}"));
    let warnings = lint(&set(&[&asks]));
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(warnings[0].message.contains("number 1 of its `ask`"), "{warnings:#?}");
    assert_eq!(lint(&set(&[&each(&format!("when = 'seen(each)'\n{order}"))])), []);
}

#[test]
fn files_that_put_icons_together_otherwise_see_other_icons_under_a_card() {
    let warnings = |icon: &str, head: &str| {
        let forbids = rules(&format!("a | seen(\"{icon}\") | forbid = true"));
        let orders = rules(&format!("b | seen(\"{icon}\")"));
        let files = [
            RuleFile::new("0.toml", format!("{HEAD}{forbids}")),
            RuleFile::new("1.toml", format!("{head}{orders}")),
        ];
        lint(&RuleSet::load(&files, &known()).expect("rules without a mistake"))
    };
    assert_eq!(warnings("mug", HEAD).len(), 1, "the same lists");
    assert_eq!(warnings("mug", ""), []);
    // An icon that no list holds is the same for all.
    assert_eq!(warnings("do-not-share", "").len(), 1);
}

#[test]
fn rule_that_may_order_fewer_copies_stops_less() {
    let order = |product: &str| {
        format!("order = {{ product = '{product}', provider = 'lab', copies = 'size(icons)' }}")
    };
    let first = format!("a | true | {} | stop = true | priority = 1", order("mug"));
    let second = format!("b | true | {}", order("puzzle"));
    assert_eq!(lint(&set(&[&rules(&first), &rules(&second)])).len(), 1);
    let allow = "[[allow]]\nprovider = 'lab'\nproducts = ['mug']\ncopies_per_order = 5\n";
    let operator = format!("{HEAD}{allow}{}", rules(&second));
    let files = [
        RuleFile { by: Author::Operator, ..RuleFile::new("0.toml", operator) },
        RuleFile::new("1.toml", format!("{HEAD}{}", rules(&first))),
    ];
    // With six icons, the first says nothing.
    assert_eq!(lint(&RuleSet::load(&files, &known()).expect("rules without a mistake")), []);
    // A number of another kind is no number of copies: it fails wherever it is asked.
    let fails = MUG.replace(" }", ", copies = 'true ? 2u : 1' }");
    check(&format!("a | true | {fails} | stop = true\nb | true"), &[]);
    check(&format!("a | true\nb | true | {fails}"), &[]);
}

#[test]
fn shipped_rules_have_nothing_to_warn_of() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/rules");
    let icons = crate::detection::IconSet::house().expect("the built-in icons").names();
    for path in crate::rules::files::list(folder.as_ref()).expect("a folder") {
        let file = crate::rules::files::read(&path, "shipped.toml").expect("readable");
        let set = RuleSet::load(&[file], &Known::of_icons(icons.clone())).expect("no mistake");
        assert_eq!(lint(&set), [], "{}", path.display());
    }
    let beside = ["family.toml", "grandparents.toml", "studio.toml", "lab-sharing.toml"];
    let files = beside.map(|name| {
        crate::rules::files::read(&std::path::Path::new(folder).join(name), name).expect("readable")
    });
    let set = RuleSet::load(&files, &Known::of_icons(icons)).expect("no mistake");
    assert_eq!(lint(&set), [], "all that may lie beside each other");
}

#[test]
fn many_rules_end_the_search_and_not_the_program() {
    // All overlap, and none follows from another.
    let rule = |number: usize| {
        let when = format!("count(products) > {} && rating != {number} && seen(gifts)", number % 7);
        format!("r{number} | {when}\n")
    };
    let text: String = (0..1_000).map(rule).collect();
    let set = set(&[&rules(&text)]);
    let mut linter = Linter::new(&set);
    for rule in 0..set.rules().len() {
        linter.alone(rule, &mut Vec::new());
    }
    for saying in 0..linter.sayings.len() {
        linter.twice(saying);
    }
    assert_eq!(linter.asks_left, 0, "the budget ends it");
}
