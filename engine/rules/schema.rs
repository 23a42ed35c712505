//! The JSON Schema of rule files, so that editors complete and check them while they are written.
//!
//! In:  the keys that [`read`](super::read) takes. Out: a schema (draft 7, which editors for TOML
//! understand), shipped as `rules/rules.schema.json` and printed by `signet rules schema`.
//!
//! It says which keys there are and what may stand behind them. What a condition means, which
//! icons and providers there are, and whether names are used twice only `signet rules check` knows.

use serde_json::{Map, Value, json};

use super::read::{
    ABOUT_KEYS, ALLOW_KEYS, BUDGET_KEYS, COPIES_MAX, DOUBT_KEYS, ELSE_KEYS, FALLBACK_MAX,
    FILE_KEYS, LIMIT_KEYS, NAME_CHARS_MAX, ORDER_KEYS, PLAN_KEYS, PRIORITY_MAX, QUIET_KEYS,
    REASON_CHARS_MAX, RULE_KEYS, SHARE_KEYS,
};
use crate::base::member::Member;
use crate::preview::LONG_SIDE_PX;

/// The schema as a file: pretty-printed, with a line break at its end.
pub fn text() -> String {
    // INVARIANT: a `Value` with text keys can always be written.
    serde_json::to_string_pretty(&schema()).unwrap_or_default() + "\n"
}

fn schema() -> Value {
    let mut file = object(&FILE_KEYS, &[]);
    let about = file.as_object_mut();
    if let Some(about) = about {
        about.insert("$schema".into(), "http://json-schema.org/draft-07/schema#".into());
        about.insert("title".into(), "Signet rule file".into());
    }
    file
}

/// An object with these keys and no others.
fn object(keys: &[&str], required: &[&str]) -> Value {
    let properties: Map<String, Value> =
        keys.iter().map(|key| ((*key).to_owned(), property(key))).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// What may stand behind a key; a key means the same wherever it is allowed.
fn property(key: &str) -> Value {
    let word = format!("^[a-z0-9-]{{1,{NAME_CHARS_MAX}}}$");
    // `{each}` stands for an icon in a rule that is made for each of a list.
    let filled = || {
        let pattern = format!("^([a-z0-9-]|\\{{each\\}}){{1,{NAME_CHARS_MAX}}}$");
        json!({ "type": "string", "pattern": pattern })
    };
    let condition = || json!({ "type": "string" });
    let sentence = || json!({ "type": "string", "maxLength": REASON_CHARS_MAX });
    let yes = || json!({ "const": true });
    let count = || json!({ "type": "integer", "minimum": 1 });
    let names = || json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 });
    let (mut value, words) = match key {
        "file" => (object(&ABOUT_KEYS, &[]), "What the file is, for people."),
        "title" | "description" => (json!({ "type": "string" }), "For people."),
        "lists" => (lists(), "Icons that stand for each other, by a name for the list."),
        "people" => (lists(), "People who belong together, by a name for the list."),
        "define" => (
            json!({
                "type": "object",
                "propertyNames": { "pattern": LIST_NAME },
                "additionalProperties": { "type": "string" },
            }),
            "Names for parts of conditions, each usable below its line.",
        ),
        "limit" => (
            json!({ "type": "array", "items": object(&LIMIT_KEYS, &["name"]) }),
            "What narrows orders, whoever's rule they come from; what exceeds it asks.",
        ),
        "allow" => (
            json!({ "type": "array", "items": object(&ALLOW_KEYS, &["provider"]) }),
            "What rules of the owner may order; only in files of the operator's.",
        ),
        "rules" => (names(), "The orders of these rules."),
        "providers" => (names(), "The orders from these providers."),
        "products" => (names(), "These products."),
        "persons" => (names(), "The orders of photos with one of these people for sure."),
        "addressees" => (names(), "The orders for these; \"\" is you."),
        "cost_per_month" => (
            json!({ "type": "string", "pattern": "^[0-9]+(\\.[0-9]{0,2})? [A-Z]{3}$" }),
            "What the orders of a month may cost, such as \"20.00 EUR\".",
        ),
        "orders_per_month" => (count(), "How many orders there may be in a month."),
        "copies_per_month" => (count(), "How many copies they may be together."),
        "copies_per_order" => (count(), "How many copies one order may be."),
        "previews" => (yes(), "Previews may be shared with the provider."),
        "hold" => (
            json!({ "type": "string", "pattern": "^(0|[0-9]{1,5}[mhd])$" }),
            "How long orders wait for you to stop them, such as \"24h\"; \"0\" is not at all.",
        ),
        "quiet" => (
            object(&QUIET_KEYS, &["from", "until"]),
            "Hours of the day in which nothing goes out by itself.",
        ),
        "from" | "until" => (
            json!({ "type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$" }),
            "A time of the day on local clocks, such as \"22:00\".",
        ),
        "then" => (
            json!({ "enum": ["ask", "wait"] }),
            "What becomes of orders in quiet hours: they ask, or wait for their end.",
        ),
        "budget" => (
            object(&BUDGET_KEYS, &[]),
            "What the orders of this rule may come to in a month; what exceeds it asks.",
        ),
        "rule" => (json!({ "type": "array", "items": rule() }), "The rules."),
        "name" => (filled(), "Unique over all files; orders are kept by it."),
        "each" => (
            json!({ "type": "string", "pattern": LIST_NAME }),
            "Name of a list: the rule is made once for each of its icons.",
        ),
        "when" => (condition(), "The condition (CEL): the rule applies where it is true."),
        "order" => (
            object(&ORDER_KEYS, &["product", "provider"]),
            "Goods; the provider fetches the original.",
        ),
        "share" => (object(&SHARE_KEYS, &["provider"]), "The preview, nothing made of it."),
        "keep" => (yes(), "The original is also copied into your private folder."),
        "note" => (sentence(), "You are told; nothing else happens."),
        "forbid" => (yes(), "Nothing leaves your computer for this photo."),
        "else" => {
            (one_plan(object(&ELSE_KEYS, &[]), &ELSE_KEYS), "What happens where `when` is false.")
        }
        "priority" => (
            json!({ "type": "integer", "minimum": -PRIORITY_MAX, "maximum": PRIORITY_MAX }),
            "Rules with a higher one are asked first; 0 when left out.",
        ),
        "stop" => (yes(), "Where `when` is true, rules that come later are not asked."),
        "confirm" => (json!({ "enum": ["ask", "no"] }), "Whether you say yes first."),
        "ask_when" => (condition(), "A condition (CEL): where it is true you say yes first."),
        "ask" => (
            json!({ "type": "array", "items": object(&DOUBT_KEYS, &DOUBT_KEYS) }),
            "You say yes first where one `when` is true, and are told its `reason`.",
        ),
        "reason" => (sentence(), "Words for you, shown with the order."),
        "product" => (filled(), "Such as `print-10x15`."),
        "provider" => {
            (json!({ "type": "string", "pattern": word }), "Name of a provider in your consent.")
        }
        "or" => {
            let name = json!({ "type": "string", "pattern": word });
            let list = json!({
                "type": "array", "items": name, "minItems": 1, "maxItems": FALLBACK_MAX,
                "uniqueItems": true,
            });
            let words =
                "Provider, or several in this order, where the one before surely did not make it.";
            (json!({ "anyOf": [name, list] }), words)
        }
        "price_max" => (
            json!({ "type": "string", "pattern": "^[0-9]+(\\.[0-9]{0,2})? [A-Z]{3}$" }),
            "What one order may cost, such as \"2.00 EUR\"; what costs more asks.",
        ),
        "remove_icon" => (yes(), "Icons on the photo are cropped away where they sit at its edge."),
        "copies" => (
            json!({ "anyOf": [
                { "type": "integer", "minimum": 1, "maximum": COPIES_MAX },
                { "type": "string" },
            ] }),
            "How many: a number, or a condition (CEL) that gives one; 1 when left out.",
        ),
        "to" => {
            (condition(), "A condition (CEL) that gives the label of an addressee; \"\" is you.")
        }
        "express" => (condition(), "A condition (CEL): whether it is urgent."),
        "with" => {
            let members = Member::ALL.into_iter().filter(|member| member.is_companion());
            let members: Vec<&str> = members.map(Member::as_str).collect();
            (
                json!({ "type": "array", "items": { "enum": members }, "uniqueItems": true }),
                "Companions that go with the photo, where your consent covers them.",
            )
        }
        "preview_px" => (
            json!({
                "type": "integer",
                "minimum": LONG_SIDE_PX.start(),
                "maximum": LONG_SIDE_PX.end(),
            }),
            "Long side of the preview.",
        ),
        "preview_format" => (json!({ "enum": ["jpeg", "webp"] }), "Format of the preview."),
        _ => (json!({}), ""),
    };
    if let Some(value) = value.as_object_mut() {
        value.insert("description".into(), words.into());
    }
    value
}

/// How lists and definitions may be called.
const LIST_NAME: &str = "^[a-z][a-z0-9_]*$";

fn lists() -> Value {
    json!({
        "type": "object",
        "propertyNames": { "pattern": LIST_NAME },
        "additionalProperties": {
            "type": "array",
            "items": { "type": "string" },
            "minItems": 1,
            "uniqueItems": true,
        },
    })
}

fn rule() -> Value {
    one_plan(object(&RULE_KEYS, &["name", "when"]), &PLAN_KEYS)
}

/// Exactly one of the wishes that may stand here.
fn one_plan(mut value: Value, keys: &[&str]) -> Value {
    let plans = keys.iter().filter(|key| PLAN_KEYS.contains(key));
    let one_of: Vec<Value> = plans.map(|plan| json!({ "required": [plan] })).collect();
    if let Some(value) = value.as_object_mut() {
        value.insert("oneOf".into(), one_of.into());
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_described() {
        let all = [
            &FILE_KEYS[..],
            &ABOUT_KEYS,
            &RULE_KEYS,
            &ELSE_KEYS,
            &ORDER_KEYS,
            &SHARE_KEYS,
            &DOUBT_KEYS,
            &LIMIT_KEYS,
            &ALLOW_KEYS,
            &BUDGET_KEYS,
            &QUIET_KEYS,
        ];
        for key in all.concat() {
            let words = property(key)["description"].as_str().map(str::len);
            assert!(words.is_some_and(|length| length > 5), "{key}");
        }
    }

    #[test]
    fn shipped_schema_is_the_one_of_this_program() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/rules/rules.schema.json");
        let shipped = std::fs::read_to_string(path).unwrap_or_default();
        assert!(shipped == text(), "write it anew: signet rules schema > rules/rules.schema.json");
    }
}
