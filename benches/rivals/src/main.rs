//! zen-engine as a child of the bench: one line of JSON in, one out.
//!
//! In:  first `{ rules, photos }`, a decision and photos as texts; then `"answers"`, `"ready"` or
//! `"json"`. Out: `null`; names of the rules that hold for each photo; the nanoseconds that all
//! photos took. The pipe is not in them.

use std::hint::black_box;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use zen_engine::{Decision, DecisionEngine, Variable};

fn main() {
    let mut lines = io::stdin()
        .lines()
        .map(|line| -> Value { serde_json::from_str(&line.expect("a line")).expect("JSON") });
    let zen = Zen::new(lines.next().expect("rules and photos"));
    say(&Value::Null);
    for question in lines {
        say(&match question.as_str() {
            Some("answers") => zen.answers(),
            Some("ready") => json!(zen.time(|index| zen.photos[index].clone())),
            _ => json!(zen.time(|index| variable(&zen.texts[index]))),
        });
    }
}

fn say(answer: &Value) {
    let mut output = io::stdout().lock();
    writeln!(output, "{answer}").and_then(|()| output.flush()).expect("somebody listens");
}

/// One decision, compiled, and photos in both forms.
struct Zen {
    decision: Decision,
    texts: Vec<String>,
    photos: Vec<Variable>,
    runtime: Runtime,
}

impl Zen {
    fn new(mut first: Value) -> Self {
        let content = serde_json::from_value(first["rules"].take()).expect("a decision");
        let texts: Vec<String> = serde_json::from_value(first["photos"].take()).expect("texts");
        let engine = DecisionEngine::default();
        let mut decision = engine.create_decision(Arc::new(content)).expect("a graph");
        decision.validate().expect("a valid graph");
        decision.compile();
        let photos = texts.iter().map(|text| variable(text)).collect();
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        Self { decision, texts, photos, runtime }
    }

    fn answers(&self) -> Value {
        let ask = |photo: &Variable| -> Vec<String> {
            let response = self.runtime.block_on(self.decision.evaluate(photo.clone()));
            match response.expect("an answer").result.to_value() {
                // A table gives the rows that were hit, an expression node a truth for each rule.
                Value::Array(rows) => {
                    rows.iter().filter_map(|row| Some(row["rule"].as_str()?.to_owned())).collect()
                }
                Value::Object(truths) => {
                    let held = truths.into_iter().filter(|(_, truth)| *truth == Value::Bool(true));
                    held.map(|(rule, _)| rule).collect()
                }
                _ => Vec::new(),
            }
        };
        self.photos.iter().map(ask).collect()
    }

    /// Nanoseconds for all photos, each made by `photo` when its turn comes.
    fn time(&self, photo: impl Fn(usize) -> Variable) -> u64 {
        let began = Instant::now();
        // One future for all photos: entering the runtime is not what is measured.
        self.runtime.block_on(async {
            for index in 0..self.texts.len() {
                black_box(self.decision.evaluate(photo(index)).await.is_ok());
            }
        });
        began.elapsed().as_nanos() as u64
    }
}

fn variable(text: &str) -> Variable {
    let value: Value = serde_json::from_str(text).expect("JSON");
    value.into()
}
