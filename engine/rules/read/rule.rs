//! Reads one `[[rule]]`: its name, its condition, and everything but what it wants (`plan.rs`).

use std::ops::Range;

use toml::de::DeTable;

use super::{
    DOUBT_KEYS, Doubt, EACH_IN_TEXT, ELSE_KEYS, PRIORITY_MAX, Plan, RULE_KEYS, Reader, Rule, Value,
};
use crate::rules::eval::{Kind, Names};
use crate::rules::verdict::Confirm;

impl Reader<'_> {
    pub(super) fn rule(
        &mut self,
        table: &DeTable<'_>,
        span: Range<usize>,
        names: &Names<'_>,
    ) -> Option<Rule> {
        self.only(table, &RULE_KEYS, "a rule");
        let name = self.rule_name(table, &span, names);
        let when = match table.get("when") {
            Some(value) => self.condition(value, "when", Kind::Truth, names),
            None => self.missing(&span, "`when`, its condition"),
        };
        let plan = self.plan(table, &span, names);
        let mut confirm = Confirm::No;
        if let Some(value) = table.get("confirm")
            && self.choice(value, "confirm", ["no", "ask"]) == Some("ask")
        {
            confirm = Confirm::Ask;
        }
        let ask_when = table
            .get("ask_when")
            .and_then(|value| self.condition(value, "ask_when", Kind::Truth, names));
        let doubts = self.doubts(table, names);
        let idle = match plan {
            Some(Plan::Forbid) => Some("forbid"),
            Some(Plan::Keep) => Some("keep"),
            Some(Plan::Note) => Some("note"),
            _ => None,
        };
        if let Some(plan) = idle {
            for key in ["confirm", "ask_when", "ask", "hold", "budget"] {
                if let Some(value) = table.get(key) {
                    self.mistake(value.span().start, format!("`{plan}` needs no `{key}`"));
                }
            }
        }
        let reason = match table.get("note").or_else(|| table.get("reason")) {
            Some(value) => self.sentence(value, "reason", names)?,
            None => format!("the rule {} applies", name.clone()?),
        };
        if let (Some(_), Some(value)) = (table.get("note"), table.get("reason")) {
            self.mistake(value.span().start, "`note` needs no `reason`: it is one");
        }
        let otherwise = match table.get("else") {
            Some(value) => Some(self.otherwise(value, name.as_deref(), names)?),
            None => None,
        };
        let priority = self.priority(table);
        let stops = table.get("stop").is_some_and(|value| self.is_true(value, "stop"));
        let hold_ms = self.hold(table)?;
        let (name, when, plan) = (name?, when?, plan?);
        let written = table.get("name")?;
        let (line, _) = self.source.place(written.span().start);
        let file = self.source.file.to_owned();
        Some(Rule {
            name,
            written: written.get_ref().as_str()?.to_owned(),
            file,
            line,
            when,
            plan,
            confirm,
            ask_when,
            doubts,
            reason,
            otherwise,
            priority,
            stops,
            hold_ms,
        })
    }

    /// What a rule wants where its condition does not hold.
    fn otherwise(
        &mut self,
        value: &Value<'_>,
        rule: Option<&str>,
        names: &Names<'_>,
    ) -> Option<(Plan, String)> {
        let table = self.table(value, "else = { note = \"…\" }")?;
        self.only(table, &ELSE_KEYS, "`else`");
        if table.contains_key("forbid") {
            let message =
                "`else` cannot forbid; write a rule of its own with the contrary condition";
            self.mistake(value.span().start, message);
        }
        let plan = self.plan(table, &value.span(), names)?;
        if matches!(plan, Plan::Forbid) {
            let message =
                "`else` cannot forbid; write a rule of its own with the contrary condition";
            self.mistake(value.span().start, message);
        }
        let reason = match table.get("note").or_else(|| table.get("reason")) {
            Some(value) => self.sentence(value, "reason", names)?,
            None => format!("the rule {} does not apply", rule?),
        };
        Some((plan, reason))
    }

    fn priority(&mut self, table: &DeTable<'_>) -> i32 {
        let Some(value) = table.get("priority") else { return 0 };
        let number = value.get_ref().as_integer();
        let number = number.and_then(|n| i32::from_str_radix(n.as_str(), n.radix()).ok());
        let priority = number.filter(|number| number.abs() <= PRIORITY_MAX);
        if priority.is_none() {
            let message =
                format!("`priority` is a whole number from -{PRIORITY_MAX} to {PRIORITY_MAX}");
            self.mistake(value.span().start, message);
        }
        priority.unwrap_or(0)
    }

    /// Everything that makes a rule ask, with what it says then.
    fn doubts(&mut self, table: &DeTable<'_>, names: &Names<'_>) -> Vec<Doubt> {
        let Some(value) = table.get("ask") else {
            return Vec::new();
        };
        let Some(list) = value.get_ref().as_array() else {
            self.mistake(value.span().start, "write `ask = [{ when = '…', reason = \"…\" }]`");
            return Vec::new();
        };
        let mut doubts = Vec::new();
        for value in list.iter() {
            if self.has_more {
                break;
            }
            let Some(table) = self.table(value, "{ when = '…', reason = \"…\" }") else {
                continue;
            };
            self.only(table, &DOUBT_KEYS, "an `ask`");
            let when = match table.get("when") {
                Some(value) => self.condition(value, "when", Kind::Truth, names),
                None => self.missing(&value.span(), "`when`, its condition"),
            };
            let reason = match table.get("reason") {
                Some(value) => self.sentence(value, "reason", names),
                None => self.missing(&value.span(), "`reason`, what you are asked"),
            };
            if let (Some(when), Some(reason)) = (when, reason) {
                doubts.push(Doubt { when, reason });
            }
        }
        doubts
    }

    fn rule_name(
        &mut self,
        table: &DeTable<'_>,
        span: &Range<usize>,
        names: &Names<'_>,
    ) -> Option<String> {
        let Some(value) = table.get("name") else {
            return self.missing(span, "`name`");
        };
        let at = value.span().start;
        if names.each.is_some() && !self.text(value, "name")?.contains(EACH_IN_TEXT) {
            let message = format!(
                "with `each` there are several rules: put `{EACH_IN_TEXT}` into their name"
            );
            self.mistake(at, message);
            return None;
        }
        let name = self.word(value, "name", names)?;
        if let Some(place) = self.places.get(&name) {
            let message = format!("the rule `{name}` is there already, in {place}");
            self.mistake(at, message);
            return None;
        }
        let (line, _) = self.source.place(at);
        self.places.insert(name.clone(), format!("{}:{line}", self.source.file));
        Some(name)
    }
}
