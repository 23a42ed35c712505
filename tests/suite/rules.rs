//! Rule files on the command line: what an operator sees of good, wrong and broken ones.

use std::process::Command;

use crate::common::{Home, skipped, wait_for};
use crate::world::{World, sample, variant};

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
    assert_eq!(check.stderr, "");
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

const LIMIT: &str = "\
[[limit]]
name = 'a'
persons = ['Anna']
";

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
        (
            rule("share = { provider = 'lab' }\nhold = '24h'\nbudget = { orders_per_month = 3 }"),
            true,
        ),
        (format!("{LIMIT}cost_per_month = '20.00 EUR'\n"), true),
        (format!("{LIMIT}quiet = {{ from = '22:00', until = '07:00', then = 'wait' }}\n"), true),
        (format!("{LIMIT}cost_per_month = '20 euros'\n"), false),
        (format!("{LIMIT}quiet = {{ from = '22:00', until = '7:00' }}\n"), false),
        (rule("share = { provider = 'lab' }\nhold = 'a day'"), false),
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
fn rules_that_cannot_do_what_they_seem_to_are_warned_of_and_taken() {
    let home = Home::new();
    let july =
        "\n[[rule]]\nname = 'july'\nwhen = 'taken.month == 7 && taken.month == 8'\nkeep = true\n";
    let again = GOOD.replace("'print'", "'again'").replace("seen(", "has(");
    let path = home.write("a.toml", format!("{GOOD}{july}{again}"));
    let run = home.run(&["rules", "check", &path.to_string_lossy()]).done();
    let expected = format!(
        "{0}:7: `july` is unreachable: no photo makes its `when` true; mend it or take the rule out\n\
         {0}:11: `again` is shadowed: wherever it applies, `print` ({0}:2) orders `print-10x15` from \
         `lab` too, and rules do not add up: these are two; narrow one of them, or let the one asked \
         first `stop`\n",
        path.display()
    );
    assert_eq!(run.stderr, expected);
    assert!(
        run.stdout.starts_with("1 file, 3 rules, no mistake, 2 warnings; revision "),
        "{run:?}"
    );
    let json = home.run(&["--json", "rules", "check", &path.to_string_lossy()]).done().json();
    let warnings = &json[0]["warnings"];
    assert_eq!(
        (&warnings[0]["kind"], &warnings[0]["rule"]),
        (&"unreachable".into(), &"july".into())
    );
    assert_eq!((&warnings[1]["kind"], &warnings[1]["line"]), (&"shadowed".into(), &11.into()));
    // Without a warning there is an empty list.
    let json = home.run(&["--json", "rules", "check", &shipped()]).done().json();
    assert_eq!(json[0]["warnings"], serde_json::json!([]));
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

#[test]
fn limit_may_name_a_rule_of_another_file_of_the_home_and_no_other() {
    let home = Home::new();
    home.write("rules/a.toml", GOOD);
    let limit = |rule: &str| format!("{LIMIT}rules = ['{rule}']\nconfirm = 'ask'\n");
    let path = home.write("rules/b.toml", limit("print"));
    home.write("rules/b.cases.toml", "[[case]]\nname = 'nothing'\nexpect = []\n");
    home.run(&["rules", "check", &path.to_string_lossy()]).done();
    home.run(&["rules", "test", &path.to_string_lossy()]).done();
    home.run(&["rules", "check"]).done();
    let draft = home.write("draft.toml", limit("pirnt"));
    let run = home.run(&["rules", "check", &draft.to_string_lossy()]);
    assert!(run.stderr.contains("there is no rule `pirnt`: did you mean `print`?"), "{run:?}");
}

#[test]
fn agent_goes_on_with_the_last_good_rules_whatever_becomes_of_the_folder() {
    let world = World::new();
    let folder = world.owner.path().join("rules");
    for entry in std::fs::read_dir(&folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            std::fs::remove_file(path).expect("removed");
        }
    }
    let rule = |name: &str| GOOD.replace("'print'", &format!("'{name}'"));
    let write = |name: &str, text: &[u8]| {
        std::fs::write(folder.join(name), text).expect("written");
        folder.join(name)
    };
    write("a.toml", rule("first").as_bytes());
    let mut agent = world.start_agent();

    // What editors leave behind is nothing: the next that the agent tells is of the good file.
    for name in [
        ".a.toml.swp",
        "4913",
        "a.toml~",
        "#a.toml#",
        ".#a.toml",
        "a.toml___jb_tmp___",
        "a.toml.tmp",
        "a.toml.bak",
        ".a.toml.kate-swp",
        "._a.toml",
        "a.cases.toml",
    ] {
        write(name, b"[[rule]] # half a line");
    }
    write("a.toml", rule("second").as_bytes());
    let told = agent.line_with(r#""mistakes":"#);
    assert!(told.contains(r#""mistakes":[]"#), "{told}");

    // Each of these is told, and the rules stay; each is mended again.
    let large = vec![b'#'; 1_000_001];
    let utf16: Vec<u8> = std::iter::once(0xfeff)
        .chain(rule("b").encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let doubled = format!("size([[1]]{}) > 0", ".map(a, a + a)".repeat(40));
    let deep = rule("b").replace("seen(\"print-10x15\")", &"(".repeat(900));
    for (name, bytes, wanted) in [
        ("b.toml", &large[..], "the file has 1000001 bytes"),
        ("b.toml", &utf16, "the file is UTF-16"),
        ("b.toml", b"# Gr\xfc\xdfe\n", "not UTF-8"),
        ("Copy of a.toml", rule("second").as_bytes(), "the rule `second` is there already"),
        ("B.TOML", rule("second").as_bytes(), "the rule `second` is there already"),
        ("b.toml", "a = ".to_owned().as_bytes(), r#""file":"b.toml","line":1,"#),
        ("b.toml", "[".repeat(500_000).as_bytes(), r#""file":"b.toml","line":1,"#),
        ("b.toml", deep.as_bytes(), r#""file":"b.toml","line":3,"#),
    ] {
        let path = write(name, bytes);
        let told = agent.next_line_with(r#""mistakes":"#);
        assert!(told.contains(wanted), "{name}: {told}");
        std::fs::remove_file(path).expect("removed");
        let told = agent.next_line_with(r#""mistakes":"#);
        assert!(told.contains(r#""mistakes":[]"#), "{told}");
    }
    #[cfg(unix)]
    {
        // A link to nowhere, and a pipe that nobody writes into.
        std::os::unix::fs::symlink("nowhere", folder.join("b.toml")).expect("a link");
        assert!(agent.next_line_with(r#""mistakes":"#).contains("cannot be read"));
        std::fs::remove_file(folder.join("b.toml")).expect("removed");
        agent.next_line_with(r#""mistakes":[]"#);
        let made = Command::new("mkfifo").arg(folder.join("b.toml")).status();
        assert!(made.expect("mkfifo runs").success());
        assert!(agent.next_line_with(r#""mistakes":"#).contains("it is no file"));
    }
    // The rule in force still orders, also after a restart, while the folder is as it is.
    agent.kill();
    let doctor = world.owner.run(&["doctor"]);
    let says = format!("{}{}", doctor.stdout, doctor.stderr);
    assert!(says.contains("stays in force"), "{says}");
    let mut agent = world.start_agent_unready();
    agent.line_with("it is no file");
    agent.line_with(r#""done":true"#);
    world.drop_photo("IMG_1.jpg", &sample("meadow"));
    wait_for("an order of the rule in force", || {
        world.orders().into_iter().find(|order| order["rule"] == "second")
    });

    // What explodes is no mistake: it is stopped when a photo is judged, and told.
    std::fs::remove_file(folder.join("b.toml")).expect("removed");
    agent.next_line_with(r#""mistakes":[]"#);
    write("b.toml", rule("doubling").replace("seen(\"print-10x15\")", &doubled).as_bytes());
    agent.next_line_with(r#""mistakes":[]"#);
    world.drop_photo("IMG_2.jpg", &variant(&sample("meadow"), 2));
    assert!(agent.next_line_with("doubling").contains("it takes more than 400000 steps"));
}
