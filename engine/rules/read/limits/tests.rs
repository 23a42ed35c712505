//! Limits, budgets and what the operator allows, as they stand in files.

use super::*;
use crate::detection::{Seal, Tier};
use crate::rules::facts::PersonFact;
use crate::rules::{Facts, IconFact, Known, RuleFile, RuleMistake, RuleSet};

const RULES: &str = r#"
[lists]
products = ["mug", "canvas"]
[people]
family = ["Anna", "Ben"]
[[rule]]
name = "{each}"
each = "products"
when = 'has(each)'
order = { product = "{each}", provider = "lab" }
budget = { cost_per_month = "20.00 EUR", copies_per_month = 9 }
[[rule]]
name = "faces"
when = 'any(family)'
order = { product = "mug", provider = "lab" }
[[rule]]
name = "icon-and-face"
when = 'any(family) && has("mug")'
order = { product = "canvas", provider = "lab", copies = "count(family)" }
[[rule]]
name = "soon"
when = 'unknown_faces == 0 && any(family)'
share = { provider = "lab" }
hold = "90m"
"#;

fn known() -> Known {
    Known::of_icons(["mug", "canvas"].map(str::to_owned).to_vec())
}

fn load(files: &[RuleFile]) -> Result<RuleSet, Vec<String>> {
    let told = |mistakes: Vec<RuleMistake>| mistakes.iter().map(ToString::to_string).collect();
    RuleSet::load(files, &known()).map_err(told)
}

fn operators(text: &str) -> RuleFile {
    RuleFile { by: Author::Operator, ..RuleFile::new("operator/a.toml", text) }
}

#[track_caller]
fn check_mistakes(text: &str, wanted: &[&str]) {
    let mistakes = load(&[RuleFile::new("a.toml", text)]).expect_err("it has mistakes");
    assert_eq!(mistakes, wanted);
}

#[test]
fn budget_of_a_rule_is_one_limit_for_all_that_each_made() {
    let set = load(&[RuleFile::new("a.toml", RULES)]).expect("loads");
    let [limit] = set.limits() else { panic!("{:?}", set.limits()) };
    assert_eq!(
        (limit.name.as_str(), &limit.of.rules[..]),
        ("mug", &["mug", "canvas"].map(str::to_owned)[..])
    );
    assert_eq!(
        (limit.month.as_ref().map(|month| month.minor), limit.copies),
        (Some(2000), Some(9))
    );
}

#[test]
fn limit_is_read_with_all_that_it_may_say() {
    let text = r#"
[[limit]]
name = "nights"
rules = ["faces", "soon"]
providers = ["lab"]
products = ["mug"]
persons = ["Anna"]
addressees = ["", "a"]
cost_per_month = "12.5 EUR"
orders_per_month = 3
hold = "2d"
quiet = { from = "22:00", until = "07:30", then = "wait" }
confirm = "ask"
"#;
    let set = load(&[RuleFile::new("a.toml", format!("{text}{RULES}"))]).expect("loads");
    let limit = &set.limits()[0];
    assert_eq!((limit.currency(), limit.orders, limit.copies), ("EUR", Some(3), None));
    assert_eq!(limit.hold_ms, 2 * 86_400_000);
    assert_eq!(limit.quiet, Some(Quiet { from: 22 * 60, to: 7 * 60 + 30, waits: true }));
    assert!(limit.asks);
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    let of = OrderFilter {
        rules: words(&["faces", "soon"]),
        providers: words(&["lab"]),
        products: words(&["mug"]),
        people: words(&["Anna"]),
        addressees: words(&["", "a"]),
    };
    assert_eq!(limit.of, of);
}

#[test]
fn mistakes_in_limits_are_told_with_their_cures() {
    check_mistakes(
        r#"[[limit]]
name = "a"
rules = ["facs"]
cost_per_month = "20 euros"
[[limit]]
name = "b"
hold = "1 day"
[[limit]]
name = "c"
quiet = { from = "22:00", until = "7:00" }
[[limit]]
name = "d"
[[limit]]
name = "d"
confirm = "ask"
orders_per_day = 3
[[allow]]
provider = "lab"
[[rule]]
name = "faces"
when = 'true'
forbid = true
hold = "1h"
"#,
        &[
            "a.toml:3:10: there is no rule `facs`: did you mean `faces`?",
            "a.toml:4:18: `cost_per_month` is an amount and its currency, such as \"20.00 EUR\"",
            "a.toml:7:8: `hold` is a time such as \"30m\", \"24h\" or \"3d\", at most 30d; \"0\" is none",
            "a.toml:10:35: `until` is a time of the day such as \"07:00\" or \"22:30\"",
            "a.toml:11:1: here is missing what it limits: `cost_per_month`, `orders_per_month`, \
             `copies_per_month`, `hold`, `quiet` or `confirm`",
            "a.toml:13:1: the limit `d` is there already, in a.toml:11",
            "a.toml:16:1: a limit has no `orders_per_day`: did you mean `orders_per_month`?",
            "a.toml:17:1: only the operator's files, in the folder `operator`, allow something; \
             yours narrow it with `[[limit]]`",
            "a.toml:23:8: `forbid` needs no `hold`",
        ],
    );
}

fn photo(icons: &[(&str, Seal)], people: &[&str]) -> Facts {
    let icon = |(name, seal): &(&str, Seal)| IconFact {
        name: (*name).to_owned(),
        tier: Tier::Order,
        seal: *seal,
        lowered: false,
        score: 0.9,
        size: 0.1,
        x: 0.5,
        y: 0.5,
    };
    let person = |name: &&str| PersonFact {
        name: (*name).to_owned(),
        tier: Tier::Order,
        alone: false,
        portrait: false,
        score: 0.9,
        size: 0.1,
        x: 0.5,
        y: 0.5,
    };
    Facts {
        icons: icons.iter().map(icon).collect(),
        people: people.iter().map(person).collect(),
        unknown_faces: 1,
        ..Facts::default()
    }
}

#[test]
fn order_that_a_face_decided_is_held_a_day_but_for_a_sealed_icon_beside_it() {
    let set = load(&[RuleFile::new("a.toml", RULES)]).expect("loads");
    let words = |facts: &Facts| {
        let verdicts = set.judge(facts).verdicts;
        verdicts.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(words(&photo(&[("mug", Seal::None)], &[])), ["order 1 mug from lab"]);
    assert_eq!(
        words(&photo(&[("mug", Seal::None)], &["Ben"])),
        [
            "order 1 mug from lab",
            "order 1 mug from lab after 24h",
            "order 1 canvas from lab after 24h"
        ]
    );
    assert_eq!(
        words(&photo(&[("mug", Seal::Mine)], &["Ben"])),
        ["order 1 mug from lab", "order 1 mug from lab after 24h", "order 1 canvas from lab"]
    );
    let alone = Facts { unknown_faces: 0, ..photo(&[], &["Anna"]) };
    assert_eq!(words(&alone), ["order 1 mug from lab after 24h", "share with lab after 90m"]);
}

const OPERATOR: &str = r#"
[[rule]]
name = "of-the-operator"
when = 'has("mug")'
order = { product = "mug", provider = "lab", copies = 2 }
[[allow]]
provider = "lab"
products = ["canvas"]
copies_per_order = 5
[[limit]]
name = "all"
hold = "1h"
"#;

#[test]
fn owner_narrows_what_the_operator_allows_and_never_widens_it() {
    let own = |text: &str| load(&[RuleFile::new("own.toml", text), operators(OPERATOR)]);
    let order = |product: &str, provider: &str, copies: &str| {
        let order = format!("product = '{product}', provider = '{provider}', copies = {copies}");
        own(&format!("[[rule]]\nname = 'x'\nwhen = 'true'\norder = {{ {order} }}"))
    };
    for (product, copies) in [("mug", "2"), ("canvas", "5"), ("canvas", "'size(icons)'")] {
        order(product, "lab", copies).unwrap_or_else(|mistakes| panic!("{product}: {mistakes:?}"));
    }
    let mistake = |loaded: Result<RuleSet, Vec<String>>| loaded.expect_err("refused").join(", ");
    assert_eq!(
        mistake(order("print", "lab", "1")),
        "own.toml:4:9: the operator's files allow no `print` from `lab`"
    );
    assert_eq!(
        mistake(order("mug", "elsewhere", "1")),
        "own.toml:4:9: the operator's files allow no `mug` from `elsewhere`"
    );
    assert_eq!(
        mistake(order("mug", "lab", "3")),
        "own.toml:4:55: `copies` is from 1 to 2; the operator's files allow no more"
    );
    // A provider that is asked instead is bound as well.
    let or = |more: &str, copies: u32| {
        let order = format!("product = 'mug', provider = 'lab', or = 'lab-2', copies = {copies}");
        let own = format!("[[rule]]\nname = 'x'\nwhen = 'true'\norder = {{ {order} }}");
        load(&[RuleFile::new("own.toml", own), operators(&format!("{OPERATOR}{more}"))])
    };
    let allow = "[[allow]]\nprovider = 'lab-2'\nproducts = ['mug']\ncopies_per_order = 1";
    assert_eq!(
        mistake(or("", 1)),
        "own.toml:4:9: the operator's files allow no `mug` from `lab-2`"
    );
    let fewer = "own.toml:4:69: `copies` is from 1 to 1; the operator's files allow no more";
    assert_eq!(mistake(or(allow, 2)), fewer);
    or(allow, 1).expect("both allow one");
    let share = "[[rule]]\nname = 'x'\nwhen = 'true'\nshare = { provider = 'lab' }";
    assert_eq!(
        mistake(own(share)),
        "own.toml:4:9: the operator's files allow no previews for `lab`"
    );
    let again = "[[rule]]\nname = 'of-the-operator'\nwhen = 'true'\nforbid = true";
    assert_eq!(
        mistake(own(again)),
        "own.toml:2:8: the rule `of-the-operator` is there already, in operator/a.toml:3"
    );
    let narrower = "[[limit]]\nname = 'mine'\nrules = ['of-the-operator']\nconfirm = 'ask'\n\
                    [[rule]]\nname = 'no'\nwhen = 'true'\nforbid = true";
    assert_eq!(own(narrower).expect("loads").limits().len(), 2);
    // What a condition gives is held to it when it is asked.
    let set = order("canvas", "lab", "'size(icons)'").expect("loads");
    let facts = photo(&[("canvas", Seal::None); 6], &[]);
    let failures = set.judge(&facts).failures;
    assert_eq!(failures[0].why, "its copies come to 6, allowed are 1 to 5");
}

#[test]
fn file_that_moves_between_owner_and_operator_is_another_revision() {
    let text = "[[limit]]\nname = 'a'\nhold = '1h'";
    let own = load(&[RuleFile::new("a.toml", text)]).expect("loads");
    let theirs = load(&[operators(text)]).expect("loads");
    assert_ne!(own.revision(), theirs.revision());
}
