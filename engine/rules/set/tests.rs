//! Loading and judging whole rule files; the shipped ones with their cases.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::base::member::Member;
use crate::detection::{Seal, Tier};
use crate::rules::facts::{
    CompanionFact, IconFact, OrderedFact, PathFact, PersonFact, PrintFact, PrintKind, TimeFact,
    WordsFact,
};
use crate::rules::shipped::SHIPPED;

const ICONS: [&str; 24] = [
    "print-10x15",
    "print-13x18",
    "print-20x30",
    "square",
    "panorama",
    "canvas",
    "poster",
    "postcard",
    "photobook",
    "calendar",
    "mug",
    "puzzle",
    "copies-2",
    "copies-3",
    "copies-5",
    "copies-10",
    "to-a",
    "to-b",
    "to-c",
    "share",
    "express",
    "keep-private-copy",
    "do-not-share",
    "end",
];

fn known() -> Known {
    Known::of_icons(ICONS.map(str::to_owned).to_vec())
}

fn file(name: &str, text: &str) -> RuleFile {
    RuleFile::new(name, text)
}

fn load(text: &str) -> Result<RuleSet, Vec<RuleMistake>> {
    RuleSet::load(&[file("a.toml", text)], &known())
}

fn photo(icons: &[(&str, Tier)]) -> Facts {
    let icon = |(name, tier): &(&str, Tier)| IconFact {
        name: (*name).to_owned(),
        tier: *tier,
        seal: Seal::None,
        lowered: false,
        score: 0.9,
        size: 0.1,
        x: 0.5,
        y: 0.5,
    };
    Facts {
        icons: icons.iter().map(icon).collect(),
        path: PathFact {
            collection: "photos".to_owned(),
            folder: String::new(),
            name: "a.jpg".to_owned(),
            extension: "jpg".to_owned(),
        },
        taken: None,
        width_px: 400,
        height_px: 300,
        bytes_count: 1_000,
        companions: Vec::new(),
        dpof: Vec::new(),
        ..Facts::default()
    }
}

fn words(judgement: &Judgement) -> Vec<String> {
    judgement.verdicts.iter().map(ToString::to_string).collect()
}

fn places(mistakes: &[RuleMistake]) -> Vec<String> {
    mistakes.iter().map(ToString::to_string).collect()
}

#[test]
fn every_mistake_of_a_file_is_told_at_once_with_its_place() {
    let text = r#"[file]
titel = "x"
[define]
copies = "seen(\"copis-2\") ? 2 : 1"
has = 'true'

[[rule]]
name = "Print"
whne = 'true'
order = { product = "print-10x15", copys = 2 }

[[rule]]
name = "many"
when = '''
  seen("canvas") &&
  seen("canvsa")'''
order = { product = "canvas", provider = "lab", copies = 1000 }
share = { provider = "lab" }

[[rule]]
name = "many"
when = 3
forbid = false
confirm = "aks"
"#;
    let mistakes = load(text).expect_err("full of mistakes");
    assert_eq!(
        places(&mistakes),
        [
            "a.toml:2:1: `[file]` has no `titel`: did you mean `title`?",
            "a.toml:4:16: there is no icon `copis-2`: did you mean `copies-2`?",
            "a.toml:5:1: `has` cannot be defined: take lower-case letters, digits and `_`, and no name that means something already",
            "a.toml:7:1: here is missing `when`, its condition",
            "a.toml:8:8: `name` has 1 to 64 lower-case letters, digits and hyphens",
            "a.toml:9:1: a rule has no `whne`: did you mean `when`?",
            "a.toml:10:9: here is missing `provider`",
            "a.toml:10:36: `order` has no `copys`: did you mean `copies`?",
            "a.toml:16:8: there is no icon `canvsa`: did you mean `canvas`?",
            "a.toml:17:58: `copies` is from 1 to 999",
            "a.toml:18:9: a rule has `order` or `share`, not both: make two rules",
            "a.toml:21:8: the rule `many` is there already, in a.toml:13",
            "a.toml:22:8: `when` is text in quotes, this is an integer",
            "a.toml:23:10: write `forbid = true`, or leave it out",
            "a.toml:24:11: `confirm` cannot be `aks`: did you mean `ask`?",
        ]
    );
}

#[test]
fn broken_toml_is_told_beside_other_mistakes_without_its_echo() {
    let text = "[[rule]]\nname = \"a\nwhen = 'true'\nforbid = true\n\n[[rule]]\nname = \"b\"\nwhen = 'tru'\nforbid = true\n";
    let mistakes = load(text).expect_err("broken");
    let lines: Vec<usize> = mistakes.iter().map(|mistake| mistake.line).collect();
    assert_eq!(lines, [2, 8], "{:?}", places(&mistakes));
}

#[test]
fn unknown_products_and_providers_are_mistakes_when_they_are_known() {
    let known = Known {
        products: Some(vec!["canvas".to_owned()]),
        providers: Some(vec!["lab".to_owned()]),
        ..known()
    };
    let text =
        "[[rule]]\nname = 'a'\nwhen = 'true'\norder = { product = 'canvass', provider = 'lap' }\n";
    let mistakes = RuleSet::load(&[file("a.toml", text)], &known).expect_err("unknown names");
    assert_eq!(
        places(&mistakes),
        [
            "a.toml:4:21: there is no product `canvass`: did you mean `canvas`?",
            "a.toml:4:43: there is no provider `lap`: did you mean `lab`?",
        ]
    );
}

#[test]
fn rule_named_twice_over_two_files_is_told_with_the_other_place() {
    let rule = "[[rule]]\nname = 'a'\nwhen = 'true'\nforbid = true\n";
    let files = [file("a.toml", rule), file("b.toml", rule)];
    let mistakes = RuleSet::load(&files, &known()).expect_err("twice");
    assert_eq!(places(&mistakes), ["b.toml:2:8: the rule `a` is there already, in a.toml:2"]);
}

#[test]
fn files_too_large_or_not_utf8_are_refused() {
    let large = RuleFile::new("a.toml", vec![b'#'; 1_000_001]);
    let wide = RuleFile::new("b.toml", b"\xff\xfe[\0");
    let latin = RuleFile::new("c.toml", b"# Gr\xfc\xdfe");
    let mistakes = RuleSet::load(&[large, wide, latin], &known()).expect_err("refused");
    assert_eq!(
        places(&mistakes),
        [
            "a.toml:1:1: the file has 1000001 bytes, the limit is 1000000",
            "b.toml:1:1: the file is UTF-16; save it as UTF-8",
            "c.toml:1:5: these bytes are not UTF-8; save the file as UTF-8",
        ]
    );
    let marked = RuleFile::new("d.toml", b"\xef\xbb\xbf# fine");
    assert!(RuleSet::load(&[marked], &known()).is_ok());
}

#[test]
fn files_of_mixed_encodings_are_told_by_line_or_read() {
    for (bytes, wanted) in [
        (&b"# \xc3\xa4\n# \xe4\n"[..], "a.toml:2:3: these bytes are not UTF-8"),
        (b"\xfe\xff\0#", "a.toml:1:1: the file is UTF-16"),
        // UTF-16 without a mark, and a mark in the middle, are strange TOML.
        (b"#\0 \0a\0", "a.toml:1:2: "),
        (b"[file]\n\xef\xbb\xbftitle = 'x'\n", "a.toml:2:"),
        (b"[file]\rtitle = 'x'", "a.toml:1:"),
    ] {
        let file = RuleFile::new("a.toml", bytes);
        let mistakes = RuleSet::load(&[file], &known()).expect_err("refused");
        assert!(mistakes[0].to_string().starts_with(wanted), "{:?}", places(&mistakes));
    }
    let windows = "\u{feff}[[rule]]\r\nname = 'a'\r\nwhen = 'true'\r\nforbid = true\r\n";
    assert_eq!(load(windows).expect("read").rules_count(), 1);
}

#[test]
fn file_of_one_million_bytes_is_answered_with_a_few_mistakes() {
    fn filled(head: &str, piece: impl Fn(usize) -> String) -> String {
        let mut text = head.to_owned();
        for index in 0.. {
            let piece = piece(index);
            if text.len() + piece.len() > 1_000_000 {
                break;
            }
            text += &piece;
        }
        text
    }
    let rule = |name: String| format!("[[rule]]\nname = '{name}'\nwhen = 'true'\nkeep = true\n");
    let long = "x".repeat(999_000);
    for (text, wanted) in [
        (filled("", |_| "[[rule]]\n".to_owned()), "nothing was read from here on"),
        (filled("", |n| format!("k{n} = 1\n")), "nothing was read from here on"),
        (filled("", |_| "= \n".to_owned()), ""),
        (filled("", |n| rule(format!("r{n}"))), "more than 1000 rules"),
        (filled("", |_| rule("same".to_owned())), "nothing was read from here on"),
        (filled("[people]\neverybody = [", |n| format!("'{n}',")) + "]", "at most 2000 names"),
        (
            filled("[define]\n", |n| format!("d{n} = '{}'\n", ["true"; 90].join("||"))),
            "100000 parts",
        ),
        (
            filled(&rule("r".to_owned()).replace("keep = true", "forbid = true\nask = ["), |_| {
                format!("{{ when = '{}' }},", ["tru"; 20].join("||"))
            }),
            "",
        ),
        (
            filled("[define]\nd = 'title.matches(\"x\")'\n", |n| {
                format!("e{n} = 'd && title.matches(\"[a-z]{n}\\\\w+\")'\n")
            }),
            "100000 parts",
        ),
        (format!("{long} = 1\n"), "a rule file has no `xxx"),
        (format!("[[rule]]\nname = '{long}'\n"), "`name` has 1 to 64"),
        (format!("[[rule]]\nname = 'a'\nwhen = '{long}'\n"), "longer than 2000 characters"),
        (format!("a = {}", "[".repeat(990_000)), ""),
        (format!("a = {}", "{a=".repeat(300_000)), ""),
        (format!("{}a = 1", "a.".repeat(490_000)), ""),
        (filled("", |n| format!("[a{}]\n", ".b".repeat(n % 70))), ""),
    ] {
        let head: String = text.chars().take(60).collect();
        let mistakes = RuleSet::load(&[RuleFile::new("a.toml", text)], &known()).expect_err(&head);
        assert!(mistakes.len() <= 101, "{}: {} mistakes", head, mistakes.len());
        let told = mistakes.iter().any(|mistake| mistake.message.contains(wanted));
        assert!(told, "{head}: {:?}", mistakes.iter().take(3).collect::<Vec<_>>());
        assert!(mistakes.iter().all(|mistake| mistake.message.chars().count() <= 401), "{head}");
    }
}

#[test]
fn thousand_rules_for_each_of_many_icons_are_not_made() {
    let icons: Vec<String> = (0..1_000).map(|n| format!("icon-{n}")).collect();
    let names: Vec<String> = icons.iter().map(|name| format!("'{name}'")).collect();
    let mut text = format!("[lists]\nevery = [{}]\n", names.join(","));
    for n in 0..1_000 {
        text +=
            &format!("[[rule]]\nname='r{n}-{{each}}'\neach='every'\nwhen='has(each)'\nkeep=true\n");
    }
    let files = [file("a.toml", &text), file("b.toml", &text.replace("'r", "'s"))];
    let mistakes = RuleSet::load(&files, &Known::of_icons(icons)).expect_err("too many");
    assert_eq!(places(&mistakes), ["a.toml:9:1: with this one there are more than 1000 rules"]);
}

#[test]
fn failing_rule_is_skipped_and_the_others_go_on() {
    let set = load(
        "[[rule]]\nname = 'july'\nwhen = 'taken.month == 7'\nshare = { provider = 'a' }\n\
         [[rule]]\nname = 'many'\nwhen = 'true'\norder = { product = 'p', provider = 'a', copies = 'width_px * 10' }\n\
         [[rule]]\nname = 'good'\nwhen = 'has(\"share\")'\nshare = { provider = 'b' }\n",
    )
    .expect("loads");
    let judgement = set.judge(&photo(&[("share", Tier::Order)]));
    assert_eq!(words(&judgement), ["share with b"]);
    let failures: Vec<String> = judgement.failures.iter().map(ToString::to_string).collect();
    assert_eq!(
        failures,
        [
            "a.toml:2: the rule `july` was skipped: the photo does not say when it was taken; write `taken != null && …`",
            "a.toml:6: the rule `many` was skipped: its copies come to 4000, allowed are 1 to 999",
        ]
    );
}

#[test]
fn forbidding_rule_wins_wherever_it_stands() {
    let set = load(
        "[[rule]]\nname = 'a'\nwhen = 'true'\nshare = { provider = 'a' }\n\
         [[rule]]\nname = 'b'\nwhen = 'seen(\"do-not-share\")'\nforbid = true\n",
    )
    .expect("loads");
    assert_eq!(words(&set.judge(&photo(&[]))), ["share with a"]);
    assert_eq!(words(&set.judge(&photo(&[("do-not-share", Tier::Ask)]))), ["forbid"]);
}

#[test]
fn failing_rule_that_would_forbid_makes_everything_else_ask() {
    let set = load(
        "[[rule]]\nname = 'a'\nwhen = 'true'\nshare = { provider = 'a' }\n\
         [[rule]]\nname = 'b'\nwhen = 'taken.year < 2000'\nforbid = true\n",
    )
    .expect("loads");
    assert_eq!(words(&set.judge(&photo(&[]))), ["ask: share with a"]);
    let mut dated = photo(&[]);
    dated.taken = TimeFact::parse("2026-07-01T10:00:00");
    assert_eq!(words(&set.judge(&dated)), ["share with a"]);
}

#[test]
fn confirm_and_ask_when_decide_who_says_yes() {
    let set = load(
        "[[rule]]\nname = 'a'\nwhen = 'true'\nshare = { provider = 'a' }\nconfirm = 'ask'\n\
         [[rule]]\nname = 'b'\nwhen = 'true'\nshare = { provider = 'b' }\nask_when = '!has(\"share\")'\n\
         [[rule]]\nname = 'c'\nwhen = 'true'\nshare = { provider = 'c' }\nconfirm = 'no'\n",
    )
    .expect("loads");
    assert_eq!(
        words(&set.judge(&photo(&[]))),
        ["ask: share with a", "ask: share with b", "share with c"]
    );
    assert_eq!(
        words(&set.judge(&photo(&[("share", Tier::Order)]))),
        ["ask: share with a", "share with b", "share with c"]
    );
}

#[test]
fn reason_names_the_icon_that_asks_for_want_of_a_seal() {
    let text = r#"
[[rule]]
name = "prints"
when = 'seen("canvas")'
order = { product = "canvas", provider = "lab" }
ask_when = '!has("canvas")'
reason = "the canvas icon is on the photo"
"#;
    let rules = load(text).expect("good rules");
    let mut facts = photo(&[("canvas", Tier::Ask)]);
    let doubts = |facts: &Facts| rules.judge(facts).verdicts[0].doubts.clone();
    assert!(doubts(&facts).is_empty());
    facts.icons[0].lowered = true;
    for (seal, more) in [
        (Seal::None, ""),
        (Seal::Foreign, " but another's"),
        (Seal::Unreadable, ", or none that can be read"),
    ] {
        facts.icons[0].seal = seal;
        let expected = format!("the icon `canvas` does not carry your seal{more}");
        assert_eq!(doubts(&facts), [expected]);
    }
    // A sure one orders, and nothing is said of seals.
    assert!(doubts(&photo(&[("canvas", Tier::Order)])).is_empty());
}

#[test]
fn revision_changes_with_contents_and_order_only() {
    let text = "# nothing\n";
    let one = load(text).expect("loads");
    assert_eq!(one.revision().len(), 12);
    assert_eq!(one.revision(), load(text).expect("loads").revision());
    assert_ne!(one.revision(), load("# nothing!\n").expect("loads").revision());
    assert_eq!(one.revision(), revision_of(&[file("b.toml", text)]));
    let (a, b) = (file("a.toml", "# a\n"), file("b.toml", "# b\n"));
    assert_ne!(revision_of(&[a.clone(), b.clone()]), revision_of(&[b, a]));
}

#[test]
fn damaged_files_keep_the_last_good_rules_in_force() {
    let good = "[[rule]]\nname = 'a'\nwhen = 'true'\nforbid = true\n";
    let mut force = RulesInForce::new(load(good).expect("loads"));
    let held = force.set().clone();
    let bad = [file("a.toml", "[[rule]]\nname = 'a'\nwhen = 'tru'\nforbid = true\n")];
    let Offer::Refused(mistakes) = force.offer(&bad, &known()) else { panic!("not refused") };
    assert_eq!(
        places(&mistakes),
        [
            "a.toml:3:9: `tru` is not known here; known are `icons`, `people`, `portraits`, `unknown_faces`, `place`, `camera`, `album`, `ordered`, `path`, `taken`, `width_px`, `height_px`, `bytes_count`, `companions`, `dpof`, `keywords`, `title`, \
         `instructions`, `rating`"
        ]
    );
    assert_eq!(force.refused(), mistakes);
    assert_eq!(force.set().revision(), held.revision());
    // The good file comes back, then a better one.
    assert_eq!(force.offer(&[file("a.toml", good)], &known()), Offer::Same);
    assert!(force.refused().is_empty());
    let better = [file("a.toml", "# no rules\n")];
    assert_eq!(force.offer(&better, &known()), Offer::Taken(revision_of(&better)));
    assert_eq!(force.set().rules_count(), 0);
}

#[test]
fn rule_for_each_icon_of_a_list_is_one_rule_for_each() {
    let text = r#"
[lists]
things = ["mug", "puzzle"]
numbers = ["copies-2", "copies-3"]

[[rule]]
name = "{each}"
each = "things"
when = 'seen(each)'
order = { product = "{each}", provider = "lab", copies = 'has(numbers) ? 2 : 1', to = 'has("to-a") ? "a" : ""', express = 'each == "mug"' }
reason = "the icon {each}"
ask = [
  { when = 'faint(each)', reason = "{each} is faint" },
  { when = 'different(numbers) > 1 && count(numbers) == 3', reason = "two numbers" },
]
"#;
    let set = load(text).unwrap_or_else(|mistakes| panic!("{:#?}", places(&mistakes)));
    assert_eq!(set.names().collect::<Vec<_>>(), ["mug", "puzzle"]);
    let sure = Tier::Order;
    let icons = [("mug", sure), ("puzzle", Tier::Ask), ("to-a", sure), ("copies-2", sure)];
    let judgement = set.judge(&photo(&icons));
    assert_eq!(
        words(&judgement),
        ["order 2 mug from lab to a express", "ask: order 2 puzzle from lab to a"]
    );
    assert_eq!(judgement.verdicts[0].reason, "the icon mug");
    assert_eq!(judgement.verdicts[1].doubts, ["puzzle is faint"]);
    let icons = [("mug", sure), ("copies-2", sure), ("copies-3", sure), ("copies-3", Tier::Ask)];
    let judgement = set.judge(&photo(&icons));
    assert_eq!(judgement.verdicts[0].doubts, ["two numbers"]);
}

#[test]
fn mistakes_around_lists_are_told_with_their_places() {
    let text = r#"
[lists]
things = ["mug", "puzle", "mug"]
icons = ["mug"]
empty = []

[define]
things = 'true'
any_each = 'seen(each)'

[[rule]]
name = "thing"
each = "things"
when = 'seen(thing)'
forbid = true

[[rule]]
name = "a"
each = "thinks"
when = 'true'
forbid = true

[[rule]]
name = "b"
when = 'true'
keep = true
confirm = "ask"
reason = "{each}"

[[rule]]
name = "c"
when = 'true'
note = "x"
reason = "y"

[[rule]]
name = "d"
when = 'true'
share = { provider = "lab", to = 'true' }
ask = [{ wehn = 'true', reason = "x" }]
"#;
    let mistakes = load(text).expect_err("full of mistakes");
    assert_eq!(
        places(&mistakes),
        [
            "a.toml:3:18: there is no icon `puzle`: did you mean `puzzle`?",
            "a.toml:3:27: `mug` is in this list already",
            "a.toml:4:1: a list cannot be called `icons`: take lower-case letters, digits and `_`, and no name that means something already",
            "a.toml:5:9: write `empty = [\"…\", \"…\"]`, names of icons",
            "a.toml:8:1: `things` cannot be defined: take lower-case letters, digits and `_`, and no name that means something already",
            "a.toml:9:18: `each` is known only in a rule that says `each = \"…\"`",
            "a.toml:12:8: with `each` there are several rules: put `{each}` into their name",
            "a.toml:14:14: there is no list `thing`: did you mean `things`?; the name of an icon or a person stands in quotes: `seen(\"…\")`",
            "a.toml:19:8: there is no list `thinks`: did you mean `things`?",
            "a.toml:27:11: `keep` needs no `confirm`",
            "a.toml:28:10: `{each}` stands only in a rule that says `each = \"…\"`",
            "a.toml:34:10: `note` needs no `reason`: it is one",
            "a.toml:39:35: this has to give text, it gives true or false",
            "a.toml:40:8: here is missing `when`, its condition",
            "a.toml:40:10: an `ask` has no `wehn`: did you mean `when`?",
        ]
    );
}

#[test]
fn rules_are_asked_by_priority_and_one_may_stop_those_behind_it() {
    let rule = |name: &str, more: &str| {
        format!("[[rule]]\nname = '{name}'\nwhen = 'seen(\"mug\")'\n{more}\n")
    };
    let share = |provider: &str| format!("share = {{ provider = '{provider}' }}");
    let first = [rule("low", &share("c")), rule("usual", &share("b"))].concat();
    let second = [
        rule("high", &format!("{}\npriority = 5\nstop = true", share("a"))),
        rule("top", &format!("{}\npriority = 6", share("d"))),
        "[[rule]]\nname = 'never'\nwhen = 'seen(\"do-not-share\")'\nforbid = true\n\
         priority = -9\n"
            .to_owned(),
    ]
    .concat();
    let files = [file("a.toml", &first), file("b.toml", &second)];
    let set = RuleSet::load(&files, &known()).expect("loads");
    let names: Vec<&str> = set.names().collect();
    assert_eq!(names, ["top", "high", "low", "usual", "never"]);
    let mug = photo(&[("mug", Tier::Order)]);
    assert_eq!(words(&set.judge(&mug)), ["share with d", "share with a"]);
    let hidden = photo(&[("mug", Tier::Order), ("do-not-share", Tier::Ask)]);
    assert_eq!(words(&set.judge(&hidden)), ["forbid"], "what forbids is asked always");
}

#[test]
fn else_says_what_happens_otherwise_and_stops_nothing() {
    let text = r#"
[[rule]]
name = "mugs"
when = 'seen("mug") && taken.month == 7'
order = { product = "mug", provider = "lab" }
else = { share = { provider = "club" }, reason = "no mug in July" }
confirm = "ask"
stop = true

[[rule]]
name = "all"
when = 'true'
keep = true
else = { note = "never" }
"#;
    let set = load(text).expect("loads");
    let mut facts = photo(&[("mug", Tier::Order)]);
    facts.taken = TimeFact::parse("2026-07-01T10:00:00");
    assert_eq!(words(&set.judge(&facts)), ["ask: order 1 mug from lab"]);
    facts.taken = TimeFact::parse("2026-08-01T10:00:00");
    let judgement = set.judge(&facts);
    assert_eq!(words(&judgement), ["ask: share with club", "keep"]);
    assert_eq!(judgement.verdicts[0].reason, "no mug in July");
    facts.taken = None;
    let judgement = set.judge(&facts);
    assert_eq!((words(&judgement).as_slice(), judgement.failures.len()), (&["keep".into()][..], 1));
    let mistakes = load(
        "[[rule]]\nname = 'a'\nwhen = 'true'\nkeep = true\npriority = 1001\nstop = false\n\
         else = { forbid = true }\n",
    );
    assert_eq!(
        places(&mistakes.expect_err("three")),
        [
            "a.toml:5:12: `priority` is a whole number from -1000 to 1000",
            "a.toml:6:8: write `stop = true`, or leave it out",
            "a.toml:7:8: `else` cannot forbid; write a rule of its own with the contrary condition",
            "a.toml:7:10: `else` has no `forbid`; known are `order`, `share`, `keep`, `note`, `reason`",
        ]
    );
}

const FAMILY: &str = r#"
[people]
family = ["Anna", "Oma Erna"]

[[rule]]
name = "together"
when = 'all(family) && !ordered.exists(o, o.product == "mug")'
order = { product = "mug", provider = "lab" }
"#;

#[test]
fn do_not_share_forbids_by_itself_on_the_photo_and_on_its_card() {
    let text = "[[rule]]\nname = 'mug'\nwhen = 'seen(\"mug\")'\npriority = 9\nstop = true\n\
                order = { product = 'mug', provider = 'lab' }\n\
                [[rule]]\nname = 'keep'\npriority = 10\nwhen = 'true'\nkeep = true";
    let set = load(text).expect("loads");
    let mug = ("mug", Tier::Order);
    assert_eq!(words(&set.judge(&photo(&[mug]))), ["keep", "order 1 mug from lab"]);
    for tier in [Tier::Order, Tier::Ask] {
        let forbids = ("do-not-share", tier);
        assert_eq!(words(&set.judge(&photo(&[mug, forbids]))), ["keep", "forbid"]);
        let card = CardFact { icons: photo(&[forbids]).icons, ..CardFact::default() };
        assert_eq!(words(&set.judge_with(&photo(&[mug]), Some(&card))), ["keep", "forbid"]);
    }
    // A rule that forbids it as well is enough.
    let text = "[[rule]]\nname = 'no'\nwhen = 'true'\nforbid = true";
    let set = load(text).expect("loads");
    assert_eq!(words(&set.judge(&photo(&[("do-not-share", Tier::Order)]))), ["forbid"]);
}

#[test]
fn rule_does_not_see_what_it_ordered_itself() {
    let set = load(FAMILY).expect("loads");
    let person = |name: &str| PersonFact {
        name: name.to_owned(),
        tier: Tier::Order,
        alone: false,
        portrait: false,
        score: 0.9,
        size: 0.1,
        x: 0.5,
        y: 0.5,
    };
    let mut facts = photo(&[]);
    facts.people = vec![person("Anna")];
    assert_eq!(words(&set.judge(&facts)), [""; 0]);
    facts.people.push(person("Oma Erna"));
    let ordered = |rule: &str| OrderedFact {
        rule: rule.to_owned(),
        provider: "lab".to_owned(),
        product: "mug".to_owned(),
        copies: 1,
    };
    facts.ordered = vec![ordered("together")];
    assert_eq!(words(&set.judge(&facts)), ["order 1 mug from lab after 24h"]);
    facts.ordered.push(ordered("another"));
    assert_eq!(words(&set.judge(&facts)), [""; 0]);
}

#[test]
fn what_only_a_face_decides_asks_and_the_rest_does_not() {
    let person = |name: &str, tier, alone| PersonFact {
        name: name.to_owned(),
        tier,
        alone,
        portrait: false,
        score: 0.9,
        size: 0.1,
        x: 0.5,
        y: 0.5,
    };
    let sure = |name| person(name, Tier::Order, false);
    let alone = |name| person(name, Tier::Order, true);
    let faint = |name| person(name, Tier::Ask, false);
    let asks = |rule: &str, people: &[PersonFact]| {
        let text =
            format!("[people]\nfamily = ['Anna', 'Ben', 'Carla']\n[[rule]]\nname = 'a'\n{rule}");
        let set = load(&text).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        let facts = Facts { people: people.to_vec(), ..photo(&[("mug", Tier::Order)]) };
        let verdicts = set.judge(&facts).verdicts;
        verdicts.first().map(|verdict| verdict.confirm == Confirm::Ask)
    };
    let mug = "order = { product = 'mug', provider = 'lab' }\n";
    let order = |when: &str| format!("when = '{when}'\n{mug}");
    let cases = [
        (order(r#"has("Anna")"#), vec![sure("Anna")], Some(false)),
        (order(r#"has("Anna")"#), vec![alone("Anna")], Some(true)),
        (order(r#"has("Anna")"#), vec![faint("Anna")], None),
        (order(r#"seen("Anna")"#), vec![faint("Anna")], Some(true)),
        // Somebody else does not matter, and whoever speaks against it does.
        (order(r#"has("Anna")"#), vec![sure("Anna"), alone("Ben"), faint("Carla")], Some(false)),
        (order("has(family)"), vec![alone("Anna"), alone("Ben")], Some(true)),
        (order("has(family)"), vec![alone("Anna"), sure("Ben")], Some(false)),
        (order("all(family)"), vec![sure("Anna"), sure("Ben"), alone("Carla")], Some(true)),
        (order("only(family)"), vec![alone("Anna")], Some(true)),
        (order(r#"has("mug") && !has("Anna")"#), vec![faint("Anna")], Some(false)),
        (order(r#"has("mug") && none("Anna")"#), vec![faint("Anna")], None),
        (order(r#"has("mug") || has("Anna")"#), vec![alone("Anna")], Some(false)),
        // What it would be without the face counts as well: copies, another product.
        (
            "when = 'has(\"mug\")'\norder = { product = 'mug', provider = 'lab', copies = \
             'has(\"Anna\") ? 2 : 1' }\n"
                .to_owned(),
            vec![alone("Anna")],
            Some(true),
        ),
        (
            format!("{}ask = [{{ when = '!has(\"Anna\")', reason = 'x' }}]\n", order("true")),
            vec![alone("Anna")],
            Some(true),
        ),
        // Nothing leaves by these.
        ("when = 'has(\"Anna\")'\nkeep = true\n".to_owned(), vec![alone("Anna")], Some(false)),
        ("when = 'has(\"Anna\")'\nforbid = true\n".to_owned(), vec![alone("Anna")], Some(false)),
    ];
    for (rule, people, expected) in cases {
        assert_eq!(asks(&rule, &people), expected, "{rule} {people:?}");
    }
    // Where the owner is asked anyway, faces that decide nothing are no reason.
    let set = load(&format!(
        "[people]\nfamily = ['Anna']\n[[rule]]\nname = 'a'\nconfirm = 'ask'\n{}",
        order(r#"has("mug")"#)
    ));
    let people = vec![alone("Anna")];
    let facts = Facts { people, ..photo(&[("mug", Tier::Order)]) };
    let verdict = set.expect("loads").judge(&facts).verdicts.remove(0);
    assert_eq!((verdict.confirm, verdict.doubts), (Confirm::Ask, Vec::new()));
}

#[test]
fn people_are_those_who_are_enrolled_or_stand_in_a_list() {
    let alone = r#"[[rule]]
name = "a"
when = 'has("Ana")'
keep = true
"#;
    let mistakes = load(alone).expect_err("nobody knows her");
    assert!(mistakes[0].message.starts_with("there is no icon `Ana`"), "{mistakes:?}");
    let with_anna = Known { people: Some(vec!["Anna".to_owned()]), ..known() };
    let set = RuleSet::load(&[file("a.toml", FAMILY)], &with_anna).expect("only a warning");
    assert_eq!(
        places(set.strangers()),
        [
            "a.toml:3:19: nobody is enrolled as `Oma Erna` (`signet people add` enrols somebody), so \
             no photo shows them; known are `Anna`"
        ]
    );
    let limit = "[[limit]]\nname = 'l'\npersons = ['Anna', 'Ben']\nconfirm = 'ask'\n";
    let set = RuleSet::load(&[file("a.toml", limit)], &with_anna).expect("only a warning");
    assert!(places(set.strangers())[0].starts_with("a.toml:3:20: nobody is enrolled as `Ben`"));
    // Asked for by name, without a list, she has to be enrolled.
    let named = alone.replace("Ana", "Anna");
    assert!(RuleSet::load(&[file("a.toml", &named)], &with_anna).is_ok());
    load(&named).expect_err("nobody is enrolled");
    // What was good once stays so: the photo shows nobody of this name.
    let was = RuleSet::load(&[file("a.toml", &named)], &known().as_it_was()).expect("good once");
    assert_eq!((words(&was.judge(&photo(&[]))), was.strangers()), (vec![], &[][..]));
    let again = was.archive().clone().load().expect("made again");
    assert_eq!(again.revision(), was.revision());
    let each = "[people]\nfamily = ['Anna']\n[[rule]]\nname = 'x-{each}'\neach = 'family'\nwhen = 'true'\nkeep = true\n";
    let mistakes = load(each).expect_err("people are no icons");
    assert!(mistakes[0].message.contains("is a list of people"), "{mistakes:?}");
}

#[test]
fn under_a_card_each_file_goes_by_its_own_lists() {
    let rule = |name: &str| {
        format!(
            "[[rule]]\nname = '{name}'\nwhen = 'seen(\"mug\")'\nshare = {{ provider = 'lab' }}\n"
        )
    };
    let lists = "[lists]\nthings = ['mug', 'puzzle']\n";
    let files = [file("a.toml", &format!("{lists}{}", rule("a"))), file("b.toml", &rule("b"))];
    let set = RuleSet::load(&files, &known()).expect("loads");
    let card =
        CardFact { icons: photo(&[("mug", Tier::Order)]).icons, photographed: "10:02".to_owned() };
    let spoke = |own: &[(&str, Tier)]| {
        let judgement = set.judge_with(&photo(own), Some(&card));
        judgement.verdicts.into_iter().map(|v| (v.rule, v.reason)).collect::<Vec<_>>()
    };
    let card_words = |rule: &str| {
        (rule.to_owned(), format!("the rule {rule} applies; card `mug` photographed at 10:02"))
    };
    assert_eq!(spoke(&[]), [card_words("a"), card_words("b")]);
    assert_eq!(spoke(&[("puzzle", Tier::Order)]), [card_words("b")], "another thing in a.toml");
    let own = |rule: &str| (rule.to_owned(), format!("the rule {rule} applies"));
    assert_eq!(spoke(&[("mug", Tier::Order)]), [own("a"), own("b")]);
}

#[test]
fn shipped_rules_do_what_their_cases_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let mut files_count = 0;
    for entry in std::fs::read_dir(folder).expect("the folder of rules") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let Some(stem) = name.strip_suffix(".toml").filter(|stem| !stem.ends_with(".cases")) else {
            continue;
        };
        files_count += 1;
        let rules = RuleFile::new(name.clone(), std::fs::read(&path).expect("rules"));
        let cases_name = format!("{stem}.cases.toml");
        let cases =
            std::fs::read(path.with_file_name(&cases_name)).expect("cases beside the rules");
        let cases = RuleFile::new(cases_name, cases);
        let set = RuleSet::load(&[rules], &known()).unwrap_or_else(|m| panic!("{:#?}", places(&m)));
        let report = crate::rules::cases::run(&cases, &set, &known())
            .unwrap_or_else(|m| panic!("{:#?}", places(&m)));
        let failed: Vec<_> = report.cases.iter().filter(|case| !case.passed).collect();
        assert!(failed.is_empty(), "{name}: {failed:#?}");
        assert!(report.untested.is_empty(), "{name}: no case for {:?}", report.untested);
        assert!(report.uncovered.is_empty(), "{name}: not both ways: {:?}", report.uncovered);
    }
    assert_eq!(files_count, SHIPPED.len());
}

#[test]
fn shipped_rules_can_lie_in_one_folder() {
    let folder = Path::new("rules");
    let files = SHIPPED.map(|shipped| {
        let [(path, text), _] = shipped.files(folder);
        file(&path.to_string_lossy(), text)
    });
    let set = RuleSet::load(&files, &known()).unwrap_or_else(|m| panic!("{:#?}", places(&m)));
    // None takes a name that another has, of a rule or of a limit.
    assert!(set.rules_count() > 40 && set.limits().len() > 5);
}

fn family() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/family.toml");
    std::fs::read_to_string(path).expect("family.toml")
}

fn any_icon() -> impl Strategy<Value = IconFact> {
    let name =
        prop_oneof![proptest::sample::select(ICONS.to_vec()).prop_map(str::to_owned), ".{0,12}"];
    let number = || prop_oneof![0.0..=1.0, any::<f64>()];
    (name, any::<bool>(), number(), number(), number(), number()).prop_map(
        |(name, sure, score, size, x, y)| IconFact {
            name,
            tier: if sure { Tier::Order } else { Tier::Ask },
            seal: Seal::None,
            lowered: false,
            score,
            size,
            x,
            y,
        },
    )
}

#[test]
fn preview_of_a_share_is_read_and_what_is_out_of_range_is_told() {
    let rule = |share: &str| {
        format!("[[rule]]\nname = 's'\nwhen = 'true'\nshare = {{ provider = 'lab'{share} }}\n")
    };
    let facts = photo(&[]);
    for (share, expected) in [
        ("", "share with lab"),
        (", preview_px = 2048", "share with lab as 2048"),
        (", to = '\"a\"', preview_format = 'webp'", "share with lab to a as webp"),
        (", preview_px = 64, preview_format = 'jpeg'", "share with lab as 64 jpeg"),
    ] {
        let set = load(&rule(share)).expect("written right");
        assert_eq!(set.judge(&facts).verdicts[0].to_string(), expected, "{share}");
    }
    for (share, expected) in [
        (", preview_px = 63", "`preview_px` is the long side in pixels, from 64 to 4096"),
        (", preview_px = '1'", "`preview_px` is the long side in pixels, from 64 to 4096"),
        (", preview_format = 'png'", "previews are written as `jpeg` or `webp`, not as `png`"),
    ] {
        let mistakes = load(&rule(share)).expect_err("out of range");
        assert!(mistakes[0].message.starts_with(expected), "{share}: {}", mistakes[0].message);
    }
}

#[test]
fn price_limit_further_providers_and_icons_to_remove_are_read_and_printed() {
    let rule = |more: &str| {
        let order = format!("product = 'mug', provider = 'lab', {more}");
        format!("[[rule]]\nname = 'r'\nwhen = 'true'\norder = {{ {order} }}\n")
    };
    let facts = photo(&[]);
    for (more, expected) in [
        ("or = 'lab-2'", "order 1 mug from lab or lab-2"),
        ("or = ['b', 'c'], to = '\"a\"'", "order 1 mug from lab or b or c to a"),
        ("price_max = '2 EUR'", "order 1 mug from lab up to 2.00 EUR"),
        ("remove_icon = true, express = 'true'", "order 1 mug from lab express remove-icon"),
        (
            "or = 'b', price_max = '0.5 EUR', remove_icon = true, with = ['motion']",
            "order 1 mug from lab or b remove-icon up to 0.50 EUR and motion",
        ),
    ] {
        let set = load(&rule(more)).expect("written right");
        let verdict = set.judge(&facts).verdicts.remove(0);
        assert_eq!(verdict.to_string(), expected, "{more}");
        let text = serde_json::to_string(&verdict).expect("JSON");
        assert_eq!(serde_json::from_str::<Verdict>(&text).expect("read"), verdict);
    }
    // What was kept before there were such keys says the same as a rule without them.
    let plain = load(&rule("")).expect("written right").judge(&facts).verdicts.remove(0);
    let text = serde_json::to_string(&plain).expect("JSON");
    assert!(!text.contains("price_max") && !text.contains("remove_icon"), "{text}");
    let known = Known { providers: Some(vec!["lab".into(), "lab-2".into()]), ..known() };
    for (more, expected) in [
        ("or = 'lab'", "`lab` is asked before already"),
        ("or = ['lab-2', 'lab-2']", "`lab-2` is asked before already"),
        ("or = 'lab-3'", "there is no provider `lab-3`: did you mean `lab-2`?"),
        ("or = []", "write `or = \"lab-2\"`, or a list of 1 to 8 providers"),
        ("or = 3", "`or` is text in quotes, this is an integer"),
        ("price_max = 2", "`price_max` is an amount and its currency, such as \"20.00 EUR\""),
        ("price_max = '2'", "`price_max` is an amount and its currency, such as \"20.00 EUR\""),
        ("remove_icon = 'yes'", "write `remove_icon = true`, or leave it out"),
    ] {
        let mistakes = RuleSet::load(&[file("a.toml", &rule(more))], &known).expect_err(more);
        assert_eq!(mistakes[0].message, expected, "{more}");
    }
}

fn any_facts() -> impl Strategy<Value = Facts> {
    let texts = (".{0,20}", ".{0,20}", ".{0,20}", ".{0,5}");
    let taken = proptest::option::of(("[0-9T:-]{0,19}", any::<[i64; 5]>()));
    let icons = proptest::collection::vec(any_icon(), 0..12);
    let words = (proptest::collection::vec(".{0,9}", 0..3), ".{0,9}", ".{0,9}", any::<i8>());
    let words = words.prop_map(|(keywords, title, instructions, rating)| WordsFact {
        keywords,
        title,
        instructions,
        rating,
    });
    let beside = (
        proptest::collection::vec(any_companion(), 0..3),
        proptest::collection::vec(any_job(), 0..4),
        words,
    );
    let parts = (icons, texts, taken, any::<(u32, u32, u64)>(), beside);
    parts.prop_map(|(icons, texts, taken, sizes, (companions, dpof, words))| Facts {
        icons,
        path: PathFact { collection: texts.0, folder: texts.1, name: texts.2, extension: texts.3 },
        taken: taken.map(|(text, [year, month, day, hour, weekday])| TimeFact {
            text,
            year,
            month,
            day,
            hour,
            weekday,
        }),
        width_px: sizes.0,
        height_px: sizes.1,
        bytes_count: sizes.2,
        companions,
        dpof,
        words,
        ..Facts::default()
    })
}

fn any_companion() -> impl Strategy<Value = CompanionFact> {
    let role = proptest::sample::select(Member::ALL[2..].to_vec());
    (role, ".{0,9}", any::<u64>()).prop_map(|(role, name, bytes_count)| CompanionFact {
        role,
        name,
        media_type: "audio/wav".to_owned(),
        bytes_count,
    })
}

fn any_job() -> impl Strategy<Value = PrintFact> {
    let kind = proptest::sample::select(PrintKind::ALL.to_vec());
    let texts = (prop_oneof![Just("4x6".to_owned()), ".{0,4}"], ".{0,9}", ".{0,9}");
    (kind, 0_u32..1000, any::<u16>(), 0_u32..2, texts).prop_map(
        |(kind, copies, size_mm, channel, (paper, caption, creator))| PrintFact {
            kind,
            copies,
            size_mm: u32::from(size_mm),
            channel,
            paper,
            caption,
            creator,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn random_bytes_as_rule_files_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let file = RuleFile::new("a.toml", bytes);
        let _either = RuleSet::load(&[file], &known());
    }

    #[test]
    fn mutated_rule_files_never_panic(
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), ".{0,3}"), 1..4),
        facts in any_facts(),
    ) {
        let mut text: Vec<char> = family().chars().collect();
        for (from, to, new) in cuts {
            let (from, to) = (from.index(text.len()), to.index(text.len()));
            // Short cuts leave most of the file readable.
            let to = from.max(to).min(from + 12);
            text.splice(from..to, new.chars());
        }
        let text: String = text.into_iter().collect();
        if let Err(mistakes) = load(&text).map(|set| set.judge(&facts)) {
            prop_assert!(!mistakes.is_empty());
            for mistake in mistakes {
                prop_assert!(mistake.line >= 1 && mistake.line <= text.lines().count() + 1);
                prop_assert!(!mistake.message.contains('\n'), "{}", mistake.message);
            }
        }
    }

    #[test]
    fn random_facts_are_judged_and_do_not_share_always_wins(facts in any_facts()) {
        let set = load(&family()).expect("loads");
        let judgement = set.judge(&facts);
        prop_assert!(judgement.failures.is_empty(), "{:?}", judgement.failures);
        let forbidden = facts.icons.iter().any(|icon| icon.name == "do-not-share");
        let leaves = judgement.verdicts.iter().any(|verdict| verdict.wish.leaves());
        prop_assert!(!(forbidden && leaves));
        prop_assert_eq!(words(&judgement).contains(&"forbid".to_owned()), forbidden);
        for verdict in &judgement.verdicts {
            if let Wish::Order { product, .. } = &verdict.wish {
                let sure = facts.icons.iter().any(|i| i.name == *product && i.tier == Tier::Order);
                let marks = facts.dpof.iter().filter(|job| job.kind == PrintKind::Standard);
                let marked = verdict.rule == "camera-order"
                    && marks.filter(|job| job.copies > 0).count() == 1;
                prop_assert!(sure || marked || verdict.confirm == Confirm::Ask);
            }
            prop_assert!(verdict.doubts.is_empty() || verdict.confirm == Confirm::Ask);
        }
    }
}
