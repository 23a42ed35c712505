//! What operators ask of rules over photos that were seen, and what narrows orders: with the real
//! agent, a real lab and real photos.

use serde_json::{Value, json};

use crate::common::wait_for;
use crate::world::{World, sample, variant};

/// Orders what `print` of the sample photos says.
const PRINT: &str = "
[[rule]]
name = 'print'
when = 'has(\"print-10x15\") && width_px > 100'
order = { product = 'print-10x15', provider = 'lab', copies = 2 }
";

fn print(more: &str) -> String {
    format!("{PRINT}{more}\n")
}

/// A world whose owner has these rules alone.
fn world(rules: &str) -> World {
    let world = World::new();
    for name in ["family.toml", "family.cases.toml"] {
        std::fs::remove_file(world.owner.path().join("rules").join(name)).expect("removed");
    }
    world.owner.write("rules/own.toml", rules);
    world
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

#[test]
fn rules_are_explained_replayed_tuned_and_backtested_over_what_was_seen() {
    let world = world(PRINT);
    let (_lab, _agent) = (world.start_lab(), world.start_agent());
    let photo = world.drop_photo("a.jpg", &sample("meadow"));
    let order = world.wait_orders(1, "done").remove(0);
    let ask = |args: &[&str]| world.owner.run(&[&["--json", "rules"], args].concat()).done().json();

    let explained = &ask(&["explain", &photo.to_string_lossy()])[0];
    let story = &explained["rules"][0];
    assert_eq!((text(story, "rule"), text(story, "answer")), ("print", "applies"), "{explained}");
    assert_eq!(story["says"], "order 2 print-10x15 from lab");
    assert_eq!(story["clauses"][1]["values"][0]["name"], "width_px");
    assert_eq!(explained["orders"][0]["order_key"], order["order_key"]);
    assert_eq!(
        (&explained["last"]["is_same"], &explained["may_order"]),
        (&json!(true), &json!(true))
    );
    assert!(text(&explained["last"], "seen_by").starts_with("icons "), "{explained}");
    let words = world.owner.run(&["rules", "explain", &photo.to_string_lossy()]).done().stdout;
    assert!(words.contains("yes   print (own.toml:3): order 2 print-10x15 from lab"), "{words}");
    let absent = world.owner.write("unseen.jpg", variant(&sample("meadow"), 1));
    let run = world.owner.run(&["rules", "explain", &absent.to_string_lossy()]);
    assert!(run.code == 1 && run.stderr.contains("was not looked at"), "{run:?}");

    let replayed = ask(&["replay"]);
    assert_eq!(replayed, [json!({ "decisions_count": 1, "odd_count": 0 })]);

    // As it is nothing would change; with one copy more the order would be another.
    let same = &ask(&["backtest"])[0];
    assert_eq!((&same["same_count"], &same["photos_count"]), (&json!(1), &json!(1)), "{same}");
    assert_eq!(same["providers"]["lab"]["cost_minor"], json!({ "EUR": 58 }));
    let other = world.owner.write("own.toml", PRINT.replace("copies = 2", "copies = 3"));
    let other = &ask(&["backtest", &other.to_string_lossy()])[0];
    assert_eq!(text(&other["changed"][0], "what"), "print-10x15 x 3", "{other}");
    assert_eq!(text(&other["changed"][0], "was"), "print-10x15 x 2");
    let wider = PRINT.replace("width_px > 100", "width_px > 4500");
    let wider = world.owner.write("own.toml", wider);
    let wider = &ask(&["backtest", &wider.to_string_lossy(), "--margin", "90"])[0];
    assert_eq!(wider["dropped"].as_array().map(Vec::len), Some(1), "{wider}");
    assert_eq!(text(&wider["near"][0], "lacks"), "`width_px > 4500` would hold at 450", "{wider}");
    let bad = world.owner.write("own.toml", "[[rule]]\nname = 'x'\n");
    let run = world.owner.run(&["rules", "backtest", &bad.to_string_lossy()]);
    assert!(run.code == 1 && run.stderr.contains("here is missing `when`"), "{run:?}");

    let draft = world.owner.write("own.toml", PRINT.replace("width_px > 100", "width_px > 4500"));
    let drafted =
        &ask(&["explain", &photo.to_string_lossy(), "--with", &draft.to_string_lossy()])[0];
    assert_eq!(drafted["rules"][0]["answer"], "does-not-apply", "{drafted}");

    let sweeps = &ask(&["tune", "print"])[0]["sweeps"];
    assert_eq!(sweeps[0]["what"], "100 in `width_px > 100`");
    let steps = sweeps[0]["steps"].as_array().expect("steps");
    assert!(steps.iter().all(|step| step["goes_count"] == 1), "{steps:?}");
    assert_eq!(sweeps[1]["what"], "score from which icons are seen for sure");
    let run = world.owner.run(&["rules", "tune", "prnt"]);
    assert!(run.code == 2 && run.stderr.contains("no rule `prnt`; there are: print"), "{run:?}");
}

#[test]
fn order_over_the_months_budget_asks_and_the_owner_may_say_yes() {
    let world = world(&print("budget = { cost_per_month = \"1.00 EUR\" }"));
    let (_lab, _agent) = (world.start_lab(), world.start_agent());
    world.drop_photo("a.jpg", &sample("meadow"));
    world.wait_orders(1, "done");
    world.drop_photo("b.jpg", &variant(&sample("meadow"), 1));
    let asks = wait_for("an order that asks", || {
        world.orders().into_iter().find(|order| order["state"] == "ask")
    });
    let reason = "with it this month's orders would cost 1.16 EUR, the limit `print` is 1.00";
    assert!(text(&asks, "reason").ends_with(reason), "{asks}");
    world.owner.run(&["orders", "approve", text(&asks, "order_key")]).done();
    world.wait_orders(2, "done");
}

#[test]
fn held_order_goes_out_when_its_owner_says_so_and_not_before() {
    let world = world(&print("hold = \"24h\""));
    let (_lab, _agent) = (world.start_lab(), world.start_agent());
    for number in 0..2 {
        world.drop_photo(&format!("{number}.jpg"), &variant(&sample("meadow"), number));
    }
    let held = world.wait_orders(2, "held");
    let hold = &held[0]["hold"];
    let span_ms = hold["until"].as_i64().zip(hold["from"].as_i64());
    assert_eq!(span_ms.map(|(until, from)| until - from), Some(24 * 3_600_000));
    assert!(world.filed().is_empty(), "nothing has left");
    world.owner.run(&["orders", "cancel", text(&held[0], "order_key")]).done();
    world.owner.run(&["orders", "approve", text(&held[1], "order_key")]).done();
    wait_for("one done, one cancelled", || {
        let mut states: Vec<String> =
            world.orders().iter().map(|order| text(order, "state").to_owned()).collect();
        states.sort();
        (states == ["cancelled", "done"]).then_some(())
    });
    assert_eq!(world.filed().len(), 1);
}

#[test]
fn owners_rule_beyond_what_the_operator_allows_is_refused_and_the_last_good_ones_stay() {
    let world = world("");
    world.owner.write("rules/operator/base.toml", PRINT);
    let _lab = world.start_lab();
    let mut agent = world.start_agent();
    let wider = PRINT.replace("'print'", "'more'").replace("copies = 2", "copies = 9");
    world.owner.write("rules/own.toml", wider);
    let told = agent.line_with("the operator's files allow no more");
    assert!(told.contains("own.toml"), "{told}");
    let doctor = world.owner.run(&["doctor"]);
    assert!(doctor.stdout.contains("stays in force"), "{doctor:?}");
    world.drop_photo("a.jpg", &sample("meadow"));
    let orders = world.wait_orders(1, "done");
    assert_eq!((text(&orders[0], "rule"), &orders[0]["copies"]), ("print", &json!(2)));
    // Narrowing is the owner's to do, and holds from the moment that it is saved.
    let narrower = "[[limit]]\nname = 'mine'\nrules = ['print']\nconfirm = 'ask'\n";
    world.owner.write("rules/own.toml", narrower);
    agent.next_line_with("\"event\":\"rules\"");
    world.drop_photo("b.jpg", &variant(&sample("meadow"), 1));
    wait_for("an order that asks", || {
        world.orders().into_iter().find(|order| order["state"] == "ask")
    });
}

/// The blocks of one kind in a section of a page.
fn blocks(page: &str, heading: &str, kind: &str) -> Vec<String> {
    let path = format!("{}/{page}", env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(path).expect("the page");
    let section = page.split("\n## ").find(|section| section.starts_with(heading));
    let section = section.unwrap_or_else(|| panic!("no `{heading}`"));
    let mut blocks = Vec::new();
    let mut lines = section.lines().map(|line| line.strip_prefix("   ").unwrap_or(line));
    while let Some(line) = lines.next() {
        if line == format!("```{kind}") {
            let block = lines.by_ref().take_while(|line| *line != "```");
            blocks.push(block.collect::<Vec<_>>().join("\n"));
        }
    }
    blocks
}

#[test]
fn ten_minutes_of_the_rules_page_work_as_they_are_written() {
    let world = World::new();
    let mut agent = world.start_agent();
    let blocks = blocks("docs/rules.md", "From an empty file", "toml");
    let [rules, cases] = blocks.as_slice() else { panic!("{blocks:?}") };
    world.owner.write("rules/july.toml", rules);
    // Live before the next command is typed.
    agent.next_line_with("\"event\":\"rules\"");
    world.owner.write("rules/july.cases.toml", cases);
    let run = |args: &[&str]| world.owner.run(args).done().stdout;
    let checked = run(&["rules", "check"]);
    // None of the three is enrolled here.
    assert!(checked.starts_with("2 files, 19 rules, no mistake, 3 warnings; "), "{checked}");
    assert!(
        checked.contains("`july-family` looks at people: what it orders waits 24h"),
        "{checked}"
    );
    let tested = run(&["rules", "test"]);
    let passed = "july.toml: 4 of 4 cases passed; 4 of 4 clauses seen both true and false";
    assert!(tested.contains(passed), "{tested}");
    world.drop_photo("a.jpg", &sample("meadow"));
    agent.line_with("a.jpg");
    let explained = run(&["rules", "explain", &world.watched().join("a.jpg").to_string_lossy()]);
    assert!(
        explained.contains("count(\"Anna\", \"Ben\", \"Oma Erna\") is 0: none seen"),
        "{explained}"
    );
    let july = world.owner.path().join("rules/july.toml");
    let backtest = run(&["rules", "backtest", &july.to_string_lossy()]);
    assert!(backtest.starts_with("1 photo by revision "), "{backtest}");
    let silent = "july-family applied to none of the first 1 photo, where true are\n       1  \
                  has(\"print-10x15\")\n       0  count(family) >= 2\n";
    assert!(backtest.contains(silent), "{backtest}");
    assert!(run(&["rules", "tune", "july-family"]).starts_with("2 in `count(family) >= 2`"));
}
