//! The rules and photos that all sides get: one table, written down in each side's language.
//!
//! In:  how many. Out: a rule file of ours, two decisions of zen-engine, conditions of
//! json-rules-engine, photos as JSON.
//!
//! Rules are of three kinds in turn: some icon has more than a score; an icon is there for sure in
//! one month; the folder begins with a text.

use std::fmt::Write;

use serde_json::{Value, json};

const ICONS: [&str; 8] =
    ["print-10x15", "canvas", "mug", "puzzle", "photobook", "share", "copies-2", "copies-3"];

/// What one rule asks.
pub(crate) enum Ask {
    Icon { name: &'static str, month: usize },
    Score { above: f64 },
    Folder { start: String },
}

/// The rules, numbered.
pub(crate) fn rules(rules_count: usize) -> Vec<Ask> {
    let rule = |index: usize| match index % 3 {
        0 => Ask::Score { above: 0.9 - (index / 3 % 80) as f64 / 200.0 },
        1 => {
            Ask::Icon { name: ICONS[index / 3 % ICONS.len()], month: 1 + (index / 3 * 5 + 6) % 12 }
        }
        _ => Ask::Folder {
            start: format!("{}/{}", 2026 - index / 3 % 10, ["", "s", "h"][index % 7 % 3]),
        },
    };
    (0..rules_count).map(rule).collect()
}

/// Photos, a third of them without icons, each with at most four.
pub(crate) fn photos(photos_count: usize) -> Vec<Value> {
    let mut seed = 1_u64;
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let mut photo = |index: usize| {
        let icons_count = random(6).saturating_sub(1).min(4);
        let icons: Vec<Value> = (0..icons_count)
            .map(|_| {
                let tier = ["order", "order", "ask"][random(3)];
                let score = (400 + random(600)) as f64 / 1000.0;
                json!({
                    "name": ICONS[random(ICONS.len())], "tier": tier, "seal": "none",
                    "lowered": false, "score": score, "size": 0.1, "x": 0.5, "y": 0.5,
                })
            })
            .collect();
        let (year, month, day) = (2017 + random(10), 1 + random(12), 1 + random(28));
        let folder = format!("{year}/{}", ["summer", "harbour", "birthday"][random(3)]);
        json!({
            "icons": icons,
            "path": {
                "collection": "photos", "folder": folder, "name": format!("IMG_{index:04}.jpg"),
                "extension": "jpg",
            },
            "taken": {
                "text": format!("{year}-{month:02}-{day:02}T10:00:00"), "year": year,
                "month": month, "day": day, "hour": 10, "weekday": 3,
            },
            "width_px": 4032, "height_px": 3024, "bytes_count": 3_000_000,
            "companions": [], "dpof": [],
            "words": { "keywords": [], "title": "", "instructions": "", "rating": 0 },
        })
    };
    (0..photos_count).map(&mut photo).collect()
}

/// A rule file of ours. `keep` is the plainest wish.
pub(crate) fn signet_file(rules: &[Ask]) -> String {
    let mut text = String::new();
    for (index, rule) in rules.iter().enumerate() {
        let when = match rule {
            Ask::Icon { name, month } => format!("has(\"{name}\") && taken.month == {month}"),
            Ask::Score { above } => format!("icons.exists(icon, icon.score > {above:?})"),
            Ask::Folder { start } => format!("path.folder.startsWith(\"{start}\")"),
        };
        let _always =
            write!(text, "[[rule]]\nname = 'rule-{index}'\nwhen = '{when}'\nkeep = true\n");
    }
    text
}

/// A decision table of zen-engine that collects all hits. The month stands in a column of its
/// own, which the engine can index.
pub(crate) fn zen_table(rules: &[Ask]) -> Value {
    let rows: Vec<Value> = rules
        .iter()
        .enumerate()
        .map(|(index, rule)| {
            let month = match rule {
                Ask::Icon { month, .. } => month.to_string(),
                _ => String::new(),
            };
            let rule_name = format!("\"rule-{index}\"");
            json!({ "_id": index.to_string(), "month": month, "test": zen_test(rule), "out": rule_name })
        })
        .collect();
    let node = json!({
        "id": "rules", "name": "rules", "type": "decisionTableNode",
        "content": {
            "hitPolicy": "collect", "rules": rows,
            "inputs": [
                { "id": "month", "name": "month", "field": "taken.month" },
                { "id": "test", "name": "test" },
            ],
            "outputs": [{ "id": "out", "name": "rule", "field": "rule" }],
        },
    });
    zen_graph(&node)
}

/// An expression node of zen-engine with one truth for each rule.
pub(crate) fn zen_expressions(rules: &[Ask]) -> Value {
    let expression = |(index, rule): (usize, &Ask)| {
        let value = match rule {
            Ask::Icon { month, .. } => format!("{} and taken.month == {month}", zen_test(rule)),
            _ => zen_test(rule),
        };
        json!({ "id": index.to_string(), "key": format!("rule-{index}"), "value": value })
    };
    let expressions: Vec<Value> = rules.iter().enumerate().map(expression).collect();
    zen_graph(&json!({
        "id": "rules", "name": "rules", "type": "expressionNode",
        "content": { "expressions": expressions },
    }))
}

fn zen_test(rule: &Ask) -> String {
    match rule {
        Ask::Icon { name, .. } => {
            format!("some(icons, #.name == \"{name}\" and #.tier == \"order\")")
        }
        Ask::Score { above } => format!("some(icons, #.score > {above:?})"),
        Ask::Folder { start } => format!("startsWith(path.folder, \"{start}\")"),
    }
}

fn zen_graph(node: &Value) -> Value {
    json!({
        "nodes": [
            { "id": "in", "name": "in", "type": "inputNode", "content": {} },
            node,
            { "id": "out", "name": "out", "type": "outputNode", "content": {} },
        ],
        "edges": [
            { "id": "a", "sourceId": "in", "targetId": "rules" },
            { "id": "b", "sourceId": "rules", "targetId": "out" },
        ],
    })
}

/// Conditions of json-rules-engine. Its operators are plain JavaScript, which is the fast way.
pub(crate) fn json_rules(rules: &[Ask]) -> Value {
    let condition = |fact: &str, operator: &str, value: Value| json!({ "fact": fact, "operator": operator, "value": value });
    let rule = |(index, rule): (usize, &Ask)| {
        let all = match rule {
            Ask::Icon { name, month } => vec![
                condition("month", "equal", json!(month)),
                condition("icons", "hasSure", json!(name)),
            ],
            Ask::Score { above } => vec![condition("icons", "someAbove", json!(above))],
            Ask::Folder { start } => vec![condition("folder", "startsWith", json!(start))],
        };
        json!({ "conditions": { "all": all }, "event": { "type": format!("rule-{index}") } })
    };
    rules.iter().enumerate().map(rule).collect()
}
