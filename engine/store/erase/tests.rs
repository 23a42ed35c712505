//! Nothing but the names goes, and of them every byte.

use std::collections::BTreeMap;

use rusqlite::types::Value;

use super::*;
use crate::base::ids::ContentHash;
use crate::store::state::tests::{NOW, grant, order};
use crate::store::{Order, OrderState, PhotoRow};

/// A name that is nowhere by chance.
const NAME: &str = "Zyxwanna";

fn names() -> Names {
    Names::new([NAME])
}

fn row(photo: &[u8], revision: &str, inputs: &str, answer: &str) -> DecisionRow {
    DecisionRow {
        photo: ContentHash::of(photo),
        at: NOW,
        revision: revision.to_owned(),
        seen_by: String::new(),
        inputs_json: inputs.to_owned(),
        answer_json: answer.to_owned(),
    }
}

/// Files beside a database, and how often the name is in each.
fn bytes_left(path: &Path) -> BTreeMap<String, usize> {
    let folder = std::fs::read_dir(path.parent().expect("a folder")).expect("listed");
    let files = folder.map(|entry| entry.expect("an entry").path());
    let count = |path: std::path::PathBuf| {
        let bytes = std::fs::read(&path).expect("read");
        let count = bytes.windows(NAME.len()).filter(|part| *part == NAME.as_bytes()).count();
        (path.file_name().expect("a name").to_string_lossy().into_owned(), count)
    };
    files.map(count).filter(|(_, count)| *count > 0).collect()
}

#[test]
fn person_in_what_was_seen_is_unknown_and_no_byte_of_the_name_is_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("index.sqlite");
    let mut index = Index::open(&path).expect("opens");
    let analysis =
        |who: &str, more: usize| format!("{{\"who\":\"{who}\",\"x\":\"{}\"}}", "x".repeat(more));
    let photo = |number: usize, who: &str| PhotoRow {
        hash: ContentHash::of(number.to_string().as_bytes()),
        // Some are larger than a page.
        analysis_json: analysis(who, number * 90),
        first_seen: NOW,
        may_order: true,
    };
    for number in 0..100 {
        let who = [NAME, "Ben", "Susan Zyxwannas"][number % 3];
        index.record_photo(&photo(number, who)).expect("kept");
        // What was there before is free now, and was not overwritten.
        index.record_photo(&photo(number, who)).expect("kept");
    }
    index.record_photo(&photo(0, "Ben")).expect("looked at again");
    let people = [NAME.to_owned(), "Ben".to_owned()];
    index.record_people(&photo(3, "").hash, 1, &people).expect("kept");
    let others = Index::open(&path).expect("an agent");
    assert!(bytes_left(&path).values().sum::<usize>() > 66);
    let without = |json: &str| names().out_of(json);
    assert_eq!(index.erase_people(&names(), without).expect("erased"), 33);
    assert_eq!(index.erase_people(&names(), without).expect("nothing left"), 0);
    let is_seen = |name: &str| index.is_seen_about(name, 2).expect("asked");
    assert_eq!((is_seen(NAME), is_seen("Ben")), (false, true));
    let kept = |number: usize| {
        let hash = ContentHash::of(number.to_string().as_bytes());
        others.photo(&hash).expect("read").expect("kept").analysis_json
    };
    assert_eq!(kept(3), analysis("somebody", 270));
    assert_eq!((kept(1), kept(2)), (analysis("Ben", 90), analysis("Susan Zyxwannas", 180)));
    // Another person of a longer name keeps hers: now the bytes can be counted.
    for number in (2..100).step_by(3) {
        index.record_photo(&photo(number, "Susan")).expect("kept");
    }
    drop(index);
    assert!(!bytes_left(&path).is_empty(), "what is changed is gone without more: no test");
    scrub(&path).expect("scrubbed");
    assert_eq!(bytes_left(&path), BTreeMap::new());
    assert_eq!(kept(3), analysis("somebody", 270), "who has it open sees it as before");
}

#[test]
fn paths_with_the_name_are_counted() {
    let mut index = Index::open_in_memory().expect("opens");
    let state = crate::base::file_state::FileState {
        bytes_count: 1,
        modified_ns: 0,
        changed_ns: 0,
        device: 0,
        inode: 0,
    };
    for path in ["Zyxwanna/1.jpg", "Zyxwannas/1.jpg", "of Zyxwanna.jpg"] {
        let hash = ContentHash::of(path.as_bytes());
        index.record_file("c", Path::new(path), &state, &hash).expect("kept");
    }
    assert_eq!(index.named_paths(&names()).expect("counted"), 2);
}

#[test]
fn decisions_about_somebody_go_and_others_keep_all_but_the_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("decisions.sqlite");
    let log = Decisions::open(&path).expect("opens");
    let keep = |row: &DecisionRow, rules: &str| {
        log.record(row, || rules.to_owned()).expect("kept");
    };
    keep(&row(b"1", "a", "about Zyxwanna", "[]"), "rules for Zyxwanna");
    keep(&row(b"1", "a", "about Zyxwanna", "more"), "");
    keep(&row(b"2", "a", "about Ben", "not Zyxwanna"), "");
    keep(&row(b"3", "b", "about Ben", "Zyxwannas"), "rules for Ben");
    let fate = |row: &DecisionRow| match names().out_of(&row.answer_json) {
        _ if names().are_in(&row.inputs_json) => Fate::Goes,
        Some(answer_json) => Fate::Changes { inputs_json: row.inputs_json.clone(), answer_json },
        None => Fate::Stays,
    };
    let erase = || log.erase_people(&names(), fate, |rules| names().out_of(rules), NOW);
    assert_eq!(erase().expect("erased"), (2, 2));
    assert_eq!(erase().expect("nothing left"), (0, 0));
    assert_eq!(log.erased_count().expect("read"), 2);
    let rows = log.page(Timestamp(0), 0, 9).expect("read").into_iter().map(|(_, row)| row);
    let changed = row(b"2", "a", "about Ben", "not somebody");
    assert_eq!(rows.collect::<Vec<_>>(), [changed, row(b"3", "b", "about Ben", "Zyxwannas")]);
    assert_eq!(log.rules("a").expect("read").as_deref(), Some("rules for somebody"));
    assert_eq!(log.rules("b").expect("read").as_deref(), Some("rules for Ben"));
    // An agent that goes on with the rules that it has does not keep them again.
    keep(&row(b"4", "a", "about Ben", "[]"), "rules for Zyxwanna");
    keep(&row(b"3", "b", "about Ben", "[]"), "");
    log.erase_people(&Names::new(["Zyxwannas"]), |_| Fate::Goes, |_| None, NOW).expect("erased");
    scrub(&path).expect("scrubbed");
    assert_eq!(bytes_left(&path), BTreeMap::new());
}

/// An order in whose every text somebody is named.
fn named(key: &str, rule: &str) -> Order {
    Order {
        rule: rule.to_owned(),
        people: vec!["Ben".to_owned(), NAME.to_owned()],
        reason: format!("the face of {NAME}; Zyxwannas"),
        origin: format!("the face of {NAME}"),
        relative: format!("{NAME}/1.jpg"),
        addressee: Some(NAME.to_owned()),
        ..order(key, OrderState::Ready)
    }
}

#[test]
fn orders_stay_as_they_are_without_the_name() {
    let state = State::in_memory().expect("opens");
    let orders = vec![
        named("a", "prints of Zyxwanna"),
        named("b", "walls of Zyxwanna"),
        order("c", OrderState::Ready),
    ];
    state.put_orders(orders).expect("kept");
    state.outbox_postpone("a", NOW, "no answer for Zyxwanna").expect("noted");
    let is_in_force = |rule: &str| rule.starts_with("walls");
    let erased = state.erase_people(&names(), is_in_force).expect("erased");
    let wanted = ErasedOrders {
        orders_count: 2,
        rules: vec!["walls of Zyxwanna".to_owned()],
        addressed_count: 2,
    };
    assert_eq!(erased, wanted);
    for (key, rule) in [("a", "prints of somebody"), ("b", "walls of Zyxwanna")] {
        let after = Order {
            people: vec!["Ben".to_owned()],
            reason: "the face of somebody; Zyxwannas".to_owned(),
            origin: "the face of somebody".to_owned(),
            ..named(key, rule)
        };
        assert_eq!(state.order(key).expect("read"), Some(after));
        let events = state.order_events(key).expect("read");
        assert!(events.iter().all(|event| !names().are_in(&format!("{event:?}"))), "{events:?}");
    }
    assert_eq!(state.order("c").expect("read"), Some(order("c", OrderState::Ready)));
    let trouble = state.outbox_trouble("a").expect("read");
    assert_eq!(trouble.as_deref(), Some("no answer for somebody"));
    let erased = state.erase_people(&names(), |_| false).expect("erased");
    assert_eq!(
        (erased.orders_count, erased.rules),
        (1, Vec::new()),
        "the rule is in force no more"
    );
    assert_eq!(state.erase_people(&names(), |_| false).expect("erased").orders_count, 0);
}

/// All rows of all tables but those that may name people.
fn other_tables(state: &State) -> BTreeMap<String, Vec<Vec<Value>>> {
    let all = state.read(|db| {
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table'
                   AND name NOT IN ('orders', 'order_events', 'outbox')";
        let tables: Vec<String> =
            db.prepare(sql)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let rows = tables.into_iter().map(|table| {
            let mut statement = db.prepare(&format!("SELECT * FROM {table}"))?;
            let columns_count = statement.column_count();
            let rows = statement
                .query_map([], |row| (0..columns_count).map(|at| row.get(at)).collect())?
                .collect::<Result<_, _>>()?;
            Ok((table, rows))
        });
        rows.collect()
    });
    all.expect("read")
}

#[test]
fn grants_logs_and_ledger_name_nobody_and_are_not_touched() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state.sqlite");
    let state = State::open(&path).expect("opens");
    let order = Order {
        relative: "1.jpg".to_owned(),
        addressee: None,
        reason: format!("the face of {NAME}"),
        ..named("k", "r")
    };
    state.put_orders(vec![order.clone()]).expect("kept");
    state.put_grants(&order, &[grant("k", 10)], &[], NOW).expect("granted");
    state.revoke(Some("k"), "by the owner", NOW).expect("revoked");
    let before = other_tables(&state);
    assert!(before["grants"].len() == 1 && before.values().flatten().count() > 3, "{before:?}");
    assert!(!names().are_in(&format!("{before:?}")), "{before:?}");
    assert_ne!(bytes_left(&path), BTreeMap::new());
    state.erase_people(&names(), |_| false).expect("erased");
    let reader = State::open(&path).expect("an agent");
    reader.orders(None).expect("read");
    drop(state);
    scrub(&path).expect("scrubbed");
    assert_eq!(bytes_left(&path), BTreeMap::new());
    assert_eq!(other_tables(&reader), before);
    assert_eq!(reader.integrity().expect("checked"), "ok");
}

#[test]
fn order_in_the_place_of_another_does_not_bring_a_name_back() {
    let state = State::in_memory().expect("opens");
    let first = Order { fallback: vec!["other".to_owned()], ..named("a", "r") };
    state.put_orders(vec![first.clone()]).expect("kept");
    // Read and planned before the erasure, written after it.
    let next = Order {
        origin: format!("{}; not from `lab`: no paper", first.origin),
        reason: format!("{}; not from `lab`: no paper", first.origin),
        instead_of: Some("a".to_owned()),
        ..named("b", "r")
    };
    let erase = || state.erase_people(&names(), |_| false).expect("erased").orders_count;
    assert_eq!(erase(), 1);
    let (from, to) = ([OrderState::Ready], (OrderState::Failed, "no paper; `other` has it"));
    assert!(state.replace_order("a", &from, to, &next, NOW).expect("replaced"));
    let next = state.order("b").expect("read").expect("kept");
    assert_eq!(next.people, ["Ben"]);
    assert_eq!(next.origin, "the face of somebody");
    assert_eq!(next.reason, "the face of somebody; no paper; `other` has it");
    assert_eq!(erase(), 0);
}
