//! Rule files on the command line: what an operator sees of good, wrong and broken ones.

use std::process::Command;

use crate::common::{Home, skipped};
use crate::world::World;

const GOOD: &str = "\
[[rule]]
name = 'print'
when = 'seen(\"print-10x15\")'
order = { product = 'print-10x15', provider = 'lab' }
";

const CASES: &str = "\
[[case]]
name = 'prints'
icons = ['print-10x15']
expect = ['order 1 print-10x15 from lab']
";

fn shipped() -> String {
    format!("{}/rules/family.toml", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn shipped_rules_pass_check_and_test() {
    let home = Home::new();
    let check = home.run(&["rules", "check", &shipped()]).done();
    assert!(check.stdout.starts_with("1 file, 18 rules, no mistake; revision "), "{check:?}");
    let test = home.run(&["rules", "test", &shipped()]).done();
    let all = ": 50 of 50 cases passed; 12 of 12 clauses seen both true and false\n";
    assert!(test.stdout.ends_with(all), "{test:?}");
    assert_eq!(test.stderr, "");
}

#[test]
fn files_that_ship_are_listed_added_and_never_overwrite() {
    let home = Home::new();
    let listed = home.run(&["--json", "rules", "add"]).done().json();
    let names: Vec<&str> = listed.iter().filter_map(|line| line["name"].as_str()).collect();
    assert!(names.contains(&"family") && names.contains(&"studio"), "{listed:?}");
    let run = home.run(&["rules", "add", "studio"]);
    assert!(run.code == 1 && run.stderr.contains("signet init"), "{run:?}");

    home.run(&["init", "--address", "mailto:a@example.org"]).done();
    let mut added = vec!["family"];
    for name in &names {
        let run = home.run(&["--json", "rules", "add", name]);
        match *name {
            "family" => assert!(run.stderr.contains("is there already"), "{run:?}"),
            // It wants by the same icons what `family.toml` wants.
            "event-photographer" => {
                assert!(run.stderr.contains("each wish would be two orders"), "{run:?}");
            }
            name => {
                assert_eq!(run.done().json()[0]["name"], name);
                added.push(name);
                continue;
            }
        }
        assert_eq!((run.code, run.stdout.as_str()), (1, ""));
    }
    let check = home.run(&["--json", "rules", "check"]).done().json();
    assert_eq!(check[0]["files_count"], added.len());
    let test = home.run(&["rules", "test"]).done();
    assert_eq!((test.stdout.lines().count(), test.stderr.as_str()), (added.len(), ""), "{test:?}");

    // What somebody wrote stays as it is, the cases too.
    let own = home.write("rules/studio.toml", GOOD);
    assert_eq!(home.run(&["rules", "add", "studio"]).code, 1);
    assert_eq!(std::fs::read_to_string(&own).expect("a file"), GOOD);
    std::fs::remove_file(&own).expect("removed");
    let run = home.run(&["rules", "add", "studio"]);
    assert!(run.code == 1 && run.stderr.contains("studio.cases.toml` is there"), "{run:?}");
    assert!(!own.exists());

    std::fs::remove_file(home.path().join("rules/family.toml")).expect("removed");
    home.run(&["rules", "add", "event-photographer.toml"]).done();
    let run = home.run(&["rules", "add", "wedding"]);
    assert!(run.code == 2 && run.stderr.contains("`event-photographer`, `studio`"), "{run:?}");
}

#[test]
fn rules_of_the_home_are_taken_when_none_is_named() {
    let home = Home::new();
    home.write("rules/a.toml", GOOD);
    home.write("rules/a.cases.toml", CASES);
    home.write("rules/.a.toml.swp", "not a rule file");
    let check = home.run(&["--json", "rules", "check"]).done().json();
    assert_eq!(check[0]["files_count"], 1);
    assert_eq!(check[0]["rules_count"], 1);
    assert_eq!(check[0]["revision"].as_str().map(str::len), Some(12));
    let test = home.run(&["--json", "rules", "test"]).done().json();
    assert_eq!((&test[0]["name"], &test[0]["passed"]), (&"prints".into(), &true.into()));
    assert_eq!(test[1]["clauses_count"], 1);
    assert_eq!(test[1]["uncovered"][0]["never"], "false");
}

/// Says of each file after the first, which is the schema, how many mistakes it has.
const VALIDATE: &str = "
import json, sys, tomllib, jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft7Validator.check_schema(schema)
validator = jsonschema.Draft7Validator(schema)
for path in sys.argv[2:]:
    print(len(list(validator.iter_errors(tomllib.load(open(path, 'rb'))))))
";

#[test]
fn schema_lets_good_files_pass_in_another_program_and_no_bad_ones() {
    let can_validate = |python: &&str| {
        let there = Command::new(python).args(["-c", "import jsonschema, tomllib"]).output();
        there.is_ok_and(|output| output.status.success())
    };
    let Some(python) = ["python3", "/usr/bin/python3"].into_iter().find(can_validate) else {
        return skipped("no `jsonschema` for Python here");
    };
    let home = Home::new();
    let schema = home.run(&["rules", "schema"]).done().stdout;
    let schema = home.write("rules.schema.json", schema);
    let rule = |more: &str| format!("[[rule]]\nname = 'a'\nwhen = 'true'\n{more}\n");
    let files = [
        (shipped(), true),
        (rule("keep = true\nelse = { note = 'no' }\npriority = -3\nstop = true"), true),
        (
            rule("order = { product = 'mug', provider = 'lab', copies = 2, with = ['motion'] }"),
            true,
        ),
        (rule("keep = true\nnote = 'two wishes'"), false),
        (rule("reason = 'no wish'"), false),
        (rule("order = { product = 'mug', provider = 'lab', copys = 2 }"), false),
        (rule("order = { product = 'mug', provider = 'lab', copies = 1000 }"), false),
        (rule("share = { provider = 'lab', preview_format = 'gif' }"), false),
        (rule("keep = true\nelse = { forbid = true }"), false),
    ];
    let paths = files.iter().enumerate().map(|(number, (file, _))| match number {
        0 => file.into(),
        _ => home.write(&format!("{number}.toml"), file.clone()),
    });
    let output = Command::new(python)
        .args(["-c", VALIDATE])
        .arg(&schema)
        .args(paths)
        .output()
        .expect("python runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let passed: Vec<bool> = told.lines().map(|line| line == "0").collect();
    let wanted: Vec<bool> = files.iter().map(|(_, passes)| *passes).collect();
    assert_eq!(passed, wanted, "{told}{}", String::from_utf8_lossy(&output.stderr));
    // What this program says of them is the same.
    for (number, (_, passes)) in files.iter().enumerate().skip(1) {
        let path = home.path().join(format!("{number}.toml"));
        let code = home.run(&["rules", "check", &path.to_string_lossy()]).code;
        assert_eq!(code == 0, *passes, "{number}");
    }
}

#[test]
fn check_knows_who_was_agreed_with_and_what_they_offer() {
    let world = World::new();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.toml");
    let check = |product: &str, provider: &str| {
        let rule = GOOD.replace("product = 'print-10x15'", &format!("product = '{product}'"));
        std::fs::write(&path, rule.replace("'lab'", &format!("'{provider}'"))).expect("written");
        world.owner.run(&["rules", "check", &path.to_string_lossy()])
    };
    check("mug", "lab").done();
    let run = check("mugg", "lap");
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("there is no product `mugg`: did you mean `mug`?"), "{run:?}");
    assert!(run.stderr.contains("there is no provider `lap`: did you mean `lab`?"), "{run:?}");
}

#[test]
fn mistakes_are_named_with_their_line_and_a_caret_and_end_with_code_1() {
    let home = Home::new();
    let bad = home.write("bad.toml", GOOD.replace("print-10x15\")", "print-10x16\")"));
    let run = home.run(&["rules", "check", &bad.to_string_lossy()]);
    assert_eq!(run.code, 1);
    assert_eq!(run.stdout, "");
    let expected = format!(
        "{}:3:14: there is no icon `print-10x16`: did you mean `print-10x15`?\n  \
         | when = 'seen(\"print-10x16\")'\n  |              ^\n1 mistake\n",
        bad.display()
    );
    assert_eq!(run.stderr, expected);
    let run = home.run(&["--json", "rules", "check", &bad.to_string_lossy()]);
    let mistake = &run.json()[0]["mistakes"][0];
    assert_eq!((run.code, &mistake["line"], &mistake["column"]), (1, &3.into(), &14.into()));
}

#[test]
fn case_that_goes_otherwise_is_told_and_ends_with_code_1() {
    let home = Home::new();
    let rules = home.write("a.toml", GOOD);
    home.write("a.cases.toml", CASES.replace("order 1", "ask: order 2"));
    let run = home.run(&["rules", "test", &rules.to_string_lossy()]);
    assert_eq!(run.code, 1);
    assert!(run.stdout.contains(": 0 of 1 case passed; "), "{run:?}");
    assert!(run.stderr.contains("a.cases.toml:1: `prints` went otherwise"), "{run:?}");
    assert!(run.stderr.contains("expected: ask: order 2 print-10x15 from lab"), "{run:?}");
    assert!(run.stderr.contains("given:    order 1 print-10x15 from lab"), "{run:?}");
}

#[test]
fn rules_without_cases_do_not_pass_their_test() {
    let home = Home::new();
    let rules = home.write("a.toml", GOOD);
    let run = home.run(&["rules", "test", &rules.to_string_lossy()]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("there are no cases; write some in"), "{run:?}");
}

#[test]
fn wrong_use_ends_with_code_2_and_absent_files_with_code_1() {
    let home = Home::new();
    let photo = home.write("photo.jpg", "");
    assert_eq!(home.run(&["rules", "check", &photo.to_string_lossy()]).code, 2);
    assert_eq!(home.run(&["rules", "chek"]).code, 2);
    let absent = home.run(&["rules", "check", "absent.toml"]);
    assert_eq!(absent.code, 1);
    assert!(absent.stderr.contains("`absent.toml` cannot be read"), "{absent:?}");
    assert_eq!(home.run(&["rules", "check"]).code, 1, "a home without rules");
}
