//! Rule evaluations a second: ours beside zen-engine and json-rules-engine, in one run on equal
//! rules. `make bench-rules` runs it; without its arguments it measures nothing.
//!
//! In:  the program of zen-engine's side, the script of json-rules-engine's. Out: one table.
//!
//! All sides get the same rules and photos (`rivals/table.rs`) and have to name the same rules for
//! each photo before anything is timed. Rounds take turns between the sides; medians are
//! printed. `ready`: photos in the engine's own form; `from JSON`: reading them is timed too. An
//! evaluation is one rule asked about one photo. The rivals are children that measure their own
//! time; the pipes between us are in no figure. `SIGNET_BENCH_SMOKE=1` runs one small round.

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::cast_precision_loss,
    reason = "a bench prints or stops"
)]

use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};
use signet::detection::IconSet;
use signet::rules::{Facts, Known, RuleFile, RuleSet};

#[path = "rivals/table.rs"]
mod table;

const PHOTOS_COUNT: usize = 200;
const ROUNDS_COUNT: usize = 21;

fn main() {
    // Cargo adds arguments of its own, with dashes.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let [zen, json_rules] = args.as_slice() else {
        println!("rivals: `make bench-rules` runs this one");
        return;
    };
    #[expect(clippy::disallowed_methods, reason = "a bench has no config")]
    let smoke = std::env::var_os("SIGNET_BENCH_SMOKE").is_some();
    let (photos_count, rounds_count) = if smoke { (20, 1) } else { (PHOTOS_COUNT, ROUNDS_COUNT) };
    let photos: Vec<String> = table::photos(photos_count).iter().map(ToString::to_string).collect();
    println!("{photos_count} photos, medians of {rounds_count} rounds, evaluations per second");
    println!("rules  {:<24} {:>12} {:>8} {:>12} {:>8}", "", "ready", "", "from JSON", "");
    for rules_count in [1, 20, 200] {
        let rules = table::rules(rules_count);
        let child = |program: &[&str], rules| -> Box<dyn Side> {
            Box::new(Rival::new(program, &json!({ "rules": rules, "photos": photos })))
        };
        let mut sides: Vec<(&str, Box<dyn Side>)> = vec![
            ("signet", Box::new(Ours::new(&table::signet_file(&rules), &photos))),
            ("zen-engine, table", child(&[zen], table::zen_table(&rules))),
            ("zen-engine, expressions", child(&[zen], table::zen_expressions(&rules))),
            ("json-rules-engine", child(&["node", json_rules], table::json_rules(&rules))),
        ];
        compare(&mut sides);
        let ready = medians(&mut sides, Photos::Ready, rounds_count);
        let json = medians(&mut sides, Photos::Json, rounds_count);
        let evaluations_count = (rules_count * photos_count) as f64;
        for (((name, _), ready_s), json_s) in sides.iter().zip(&ready).zip(&json) {
            let (ready_rate, json_rate) = (evaluations_count / ready_s, evaluations_count / json_s);
            let (ready_ratio, json_ratio) = (ready_s / ready[0], json_s / json[0]);
            println!(
                "{rules_count:>5}  {name:<24} {ready_rate:>12.0} {ready_ratio:>7.2}x \
                 {json_rate:>12.0} {json_ratio:>7.2}x"
            );
        }
    }
    println!("x: how many times as long as ours it takes");
}

/// Whether reading the photo's JSON is part of what is timed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Photos {
    Ready,
    Json,
}

/// One engine with its rules and photos.
trait Side {
    /// Names of the rules that hold, for each photo.
    fn answers(&mut self) -> Vec<Vec<String>>;
    /// Judges all photos once; seconds.
    fn time(&mut self, photos: Photos) -> f64;
}

struct Ours {
    set: RuleSet,
    texts: Vec<String>,
    facts: Vec<Facts>,
}

impl Ours {
    fn new(file: &str, texts: &[String]) -> Self {
        let known = Known::of_icons(IconSet::house().expect("the built-in icons").names());
        let set = RuleSet::load(&[RuleFile::new("rivals.toml", file)], &known).expect("no mistake");
        let facts = texts.iter().map(|text| facts(text)).collect();
        Self { set, texts: texts.to_vec(), facts }
    }
}

fn facts(text: &str) -> Facts {
    serde_json::from_str(text).expect("facts")
}

impl Side for Ours {
    fn answers(&mut self) -> Vec<Vec<String>> {
        let judge = |facts: &Facts| {
            let judgement = self.set.judge(facts);
            assert!(judgement.failures.is_empty(), "{:?}", judgement.failures);
            judgement.verdicts.into_iter().map(|verdict| verdict.rule).collect()
        };
        self.facts.iter().map(judge).collect()
    }

    fn time(&mut self, photos: Photos) -> f64 {
        let began = Instant::now();
        match photos {
            Photos::Ready => self.facts.iter().for_each(|facts| {
                black_box(self.set.judge(facts));
            }),
            Photos::Json => self.texts.iter().for_each(|text| {
                black_box(self.set.judge(&facts(text)));
            }),
        }
        began.elapsed().as_secs_f64()
    }
}

/// A child that answers one line of JSON with one.
struct Rival {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Rival {
    fn new(program: &[&str], first: &Value) -> Self {
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the rival starts");
        let input = child.stdin.take().expect("a pipe");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut rival = Self { child, input, output };
        rival.ask(first);
        rival
    }

    fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.input, "{question}").expect("the rival listens");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the rival answers");
        serde_json::from_str(&line).expect("JSON")
    }
}

impl Side for Rival {
    fn answers(&mut self) -> Vec<Vec<String>> {
        serde_json::from_value(self.ask(&json!("answers"))).expect("names of rules")
    }

    fn time(&mut self, photos: Photos) -> f64 {
        let question = if photos == Photos::Ready { "ready" } else { "json" };
        self.ask(&json!(question)).as_f64().expect("nanoseconds") / 1e9
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _gone_already = self.child.wait();
    }
}

/// Stops where sides do not name the same rules.
fn compare(sides: &mut [(&str, Box<dyn Side>)]) {
    let mut wanted: Option<Vec<Vec<String>>> = None;
    for (name, side) in sides {
        let mut given = side.answers();
        given.iter_mut().for_each(|rules| rules.sort());
        match &wanted {
            Some(wanted) => assert_eq!(&given, wanted, "{name} says otherwise"),
            None => assert!(given.iter().any(|rules| !rules.is_empty()), "no rule holds"),
        }
        wanted.get_or_insert(given);
    }
}

/// Median seconds of each side, rounds taking turns between them after one to warm up.
fn medians(sides: &mut [(&str, Box<dyn Side>)], photos: Photos, rounds_count: usize) -> Vec<f64> {
    let mut spent_s: Vec<Vec<f64>> = vec![Vec::new(); sides.len()];
    for round in 0..=rounds_count {
        for ((_, side), spent_s) in sides.iter_mut().zip(&mut spent_s) {
            let time_s = side.time(photos);
            if round > 0 {
                spent_s.push(time_s);
            }
        }
    }
    let median = |mut spent_s: Vec<f64>| {
        spent_s.sort_by(f64::total_cmp);
        spent_s[spent_s.len() / 2]
    };
    spent_s.into_iter().map(median).collect()
}
