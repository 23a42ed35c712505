//! Cases that pass, that do not, and that are written wrong.

use super::*;

fn set_of(rules: &str) -> RuleSet {
    let file = RuleFile::new("a.toml", rules);
    RuleSet::load(&[file], &known()).expect("rules without mistakes")
}

fn known() -> Known {
    Known { icons: vec!["canvas".to_owned(), "share".to_owned()], ..Known::default() }
}

fn run_text(rules: &str, cases: &str) -> Result<CasesReport, Vec<String>> {
    let file = RuleFile::new("a.cases.toml", cases);
    run(&file, &set_of(rules), &known())
        .map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect())
}

const RULES: &str = "
[[rule]]
name = 'july'
when = 'taken.month == 7 && path.folder == \"a/b\" && icons[0].x < 0.6'
share = { provider = 'lab', preview_px = 2048 }

[[rule]]
name = 'canvas'
when = 'seen(\"canvas\")'
order = { product = 'canvas', provider = 'lab', copies = 2 }
ask_when = '!has(\"canvas\")'

[[rule]]
name = 'tiny'
when = 'width_px < 10'
forbid = true
";

#[test]
fn words_of_an_order_are_taken_as_a_verdict_prints_them() {
    let expects = |words: &str| {
        let case = format!("[[case]]\nname = 'x'\nexpect = [\"order 1 canvas from lab{words}\"]");
        run_text(RULES, &case).is_ok()
    };
    for words in [
        "",
        " or lab-2",
        " or b or c to a express remove-icon up to 2.00 EUR and motion",
        " remove-icon after 24h",
        " to a up to 0.50 EUR",
    ] {
        assert!(expects(words), "{words}");
    }
    for words in [
        " or",
        " to",
        " or Lab",
        " remove-icon express",
        " up to 2 EUR",
        " up to 2.00 euro",
        " up to 2.00",
        " to a or b",
    ] {
        assert!(!expects(words), "{words}");
    }
}

#[test]
fn case_passes_only_when_everything_expected_and_nothing_else_is_given() {
    let report = run_text(
        RULES,
        "
[[case]]
name = 'fits'
taken = 2026-07-01T10:00:00
path = 'a/b/c.JPG'
icons = ['canvas?', { name = 'share', x = 0.1 }]
expect = ['share with lab as 2048', 'ask: order 2 canvas from lab']

[[case]]
name = 'too little expected'
taken = '2026-08-01T10:00:00'
icons = ['canvas']
expect = []

[[case]]
name = 'skipped unexpectedly'
path = 'a/b/c.jpg'
icons = ['canvas']
expect = ['order 2 canvas from lab']

[[case]]
name = 'skipped as expected'
path = 'a/b/c.jpg'
icons = ['share']
expect = []
fails = ['july']
",
    )
    .expect("readable cases");
    let passed: Vec<bool> = report.cases.iter().map(|case| case.passed).collect();
    assert_eq!(passed, [true, false, false, true]);
    assert_eq!(report.cases[1].given, ["order 2 canvas from lab"]);
    assert_eq!(report.cases[1].line, 9);
    assert!(report.cases[2].failures[0].contains("`july` was skipped"));
    assert_eq!(report.untested, ["tiny"]);
    assert!(!report.passed());
}

#[test]
fn mistakes_in_cases_are_told_with_their_places() {
    let mistakes = run_text(
        RULES,
        "
[[case]]
name = 'x'
icon = ['canvas']
icons = ['canvsa', { name = 'share', x = 2 }]
expect = ['order canvas', 'ask: forbid']
fails = ['jule']
taken = 'yesterday'
",
    )
    .expect_err("mistakes");
    assert_eq!(
        mistakes,
        [
            "a.cases.toml:4:1: a case has no `icon`: did you mean `icons`?",
            "a.cases.toml:5:10: there is no icon `canvsa`: did you mean `canvas`?",
            "a.cases.toml:5:42: `x` is a number from 0.0 to 1.0",
            "a.cases.toml:8:9: `taken` is a time such as 2026-07-01T10:00:00",
        ]
    );
    let mistakes = run_text(
        RULES,
        "[[case]]\nname = 'x'\nexpect = ['order canvas', 'ask: forbid']\nfails = ['jule']\n",
    )
    .expect_err("mistakes");
    assert_eq!(mistakes.len(), 3, "{mistakes:?}");
    assert!(mistakes[2].ends_with("there is no rule `jule`: did you mean `july`?"));
    assert!(run_text(RULES, "").is_err());
}

#[test]
fn everything_that_rules_see_can_stand_in_a_case() {
    let rules = r#"
[people]
family = ["Anna", "Ben"]

[[rule]]
name = "all-of-it"
when = '''
  count(family) == 1 && faint("Ben") && unknown_faces == 2 && near(54.2, 7.9, 5) &&
  camera.model == "X100V" && album == "Sommer" && ordered[0].copies == 3'''
keep = true
"#;
    let case = |place: &str| {
        format!(
            "[[case]]\nname = 'x'\npeople = ['Anna', {{ name = 'Ben', tier = 'ask', x = 0.2 }}]\n\
             unknown_faces = 2\nplace = {place}\ncamera = {{ model = 'X100V' }}\n\
             album = 'Sommer'\nordered = [{{ product = 'mug', copies = 3 }}]\nexpect = ['keep']\n"
        )
    };
    assert!(run_text(rules, &case("[54.18, 7.89]")).expect("a case").passed());
    assert!(!run_text(rules, &case("[52.5, 13.4]")).expect("a case").passed());
    let mistakes = run_text(rules, &case("'Berlin'")).expect_err("no numbers");
    assert!(mistakes[0].ends_with("such as `[52.52, 13.40]`"), "{mistakes:?}");
}

#[test]
fn portraits_and_places_in_the_photo_can_stand_in_a_case() {
    let rules = r#"
[people]
family = ["Anna", "Ben"]

[[rule]]
name = "all-of-it"
when = '''has(portrait("Ben")) && none("Ben") && faint(portrait("Anna")) && middle("Anna") && largest(family)'''
keep = true
"#;
    let case = |more: &str| {
        format!(
            "[[case]]\nname = 'x'\npeople = [{{ name = 'Anna', x = 0.4, size = 0.2 }}]\n\
             portraits = ['Ben', 'Anna?']\n{more}\nexpect = ['keep']\n"
        )
    };
    assert!(run_text(rules, &case("unknown_faces = 1")).expect("a case").passed());
    for key in ["unknown_is_nearest", "unknown_is_largest"] {
        let stranger = format!("unknown_faces = 1\n{key} = true");
        assert!(!run_text(rules, &case(&stranger)).expect("a case").passed(), "{key}");
        let mistakes = run_text(rules, &case(&format!("{key} = true"))).expect_err("nobody");
        assert!(mistakes[0].contains("needs an unknown face"), "{mistakes:?}");
    }
    let mistakes = run_text(rules, &case("unknown_is_nearest = 1")).expect_err("no truth");
    assert!(mistakes[0].ends_with("`unknown_is_nearest` is true or false"), "{mistakes:?}");
}

#[test]
fn clauses_that_no_case_shows_both_ways_are_named() {
    let rules = r#"
[define]
marked = 'seen("canvas") || seen("share")'

[[rule]]
name = "a"
when = '''
  marked && (width_px > 100 ||
    path.name.startsWith("IMG && x"))'''
keep = true

[[rule]]
name = "b"
when = 'taken.month == 7'
keep = true
"#;
    let cases = "[[case]]\nname = 'one'\nicons = ['canvas']\nexpect = ['keep']\nfails = ['b']\n\
                 [[case]]\nname = 'other'\nwidth_px = 10\nexpect = []\nfails = ['b']\n";
    let report = run_text(rules, cases).expect("cases");
    assert!(report.passed(), "{report:?}");
    assert_eq!(report.clauses_count, 4);
    let open: Vec<_> =
        report.uncovered.iter().map(|u| (u.line, u.clause.as_str(), u.never)).collect();
    assert_eq!(
        open,
        [
            (6, "path.name.startsWith(\"IMG && x\")", "true"),
            (13, "taken.month == 7", "true or false")
        ]
    );
}

#[test]
fn order_that_is_held_is_expected_with_its_time() {
    let rules = RULES.replace("copies = 2 }", "copies = 2 }\nhold = '36h'");
    let cases =
        |text: &str| format!("[[case]]\nname = 'held'\nicons = ['canvas']\nexpect = ['{text}']\n");
    let report = run_text(&rules, &cases("order 2 canvas from lab after 36h")).expect("read");
    assert!(report.cases[0].passed, "{:?}", report.cases[0]);
    let report = run_text(&rules, &cases("order 2 canvas from lab")).expect("read");
    assert!(!report.cases[0].passed);
    // Who is asked is not held.
    let faint = cases("ask: order 2 canvas from lab").replace("['canvas']", "['canvas?']");
    let report = run_text(&rules, &faint).expect("read");
    assert!(report.cases[0].passed, "{:?}", report.cases[0]);
    for text in [
        "order 2 canvas from lab after",
        "ask: order 2 canvas from lab after 1h",
        "keep after 1h",
        "order 2 canvas from lab after 60m",
        "order 2 canvas from lab after 0",
    ] {
        let mistakes = run_text(&rules, &cases(text)).expect_err(text);
        assert!(mistakes[0].contains("write `order 2 mug"), "{mistakes:?}");
    }
}
