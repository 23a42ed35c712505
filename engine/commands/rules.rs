//! `signet rules check`, `signet rules test` and `signet rules schema`; what asks about photos
//! that were seen is in `rules_study.rs`, what adds files that ship in `rules_add.rs`.
//!
//! `check` reads rule files and tells every mistake with file, line and column, and where there is
//! none, which rules cannot do what they seem to. `test` also
//! runs the cases beside each file. Without files they take those of the home. Where the home
//! has a consent, `check` knows its providers and products. Mistakes and
//! failed cases are named on stderr, with the line and a caret; results go to stdout.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::rules_add::{self, AddArgs};
use super::rules_study::{self, BacktestArgs, ExplainArgs, ReplayArgs, TuneArgs};
use super::{CommandError, Context, Outcome, failed, output};
use crate::access::{Consent, Key};
use crate::agent::books;
use crate::base::home::Home;
use crate::detection::IconSet;
use crate::rules::cases::{CasesReport, Uncovered};
use crate::rules::files::{self, is_rule_file};
use crate::rules::lint::{RuleWarning, lint, strangers};
use crate::rules::{CaseReport, Known, RuleFile, RuleMistake, RuleSet, cases, schema};

/// What the user typed after `signet rules`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Add a rule file that ships to those of the home, with its cases; without a name, list them
    Add(AddArgs),
    /// Say what is wrong in rule files, all of it at once
    Check {
        /// Rule files; those of the home when none is named
        files: Vec<PathBuf>,
    },
    /// Say of one photo which rule spoke, which did not, and by which values
    Explain(ExplainArgs),
    /// Say what rule files would have ordered of all photos that were seen, against what was
    Backtest(BacktestArgs),
    /// Plot how much a rule would order with its numbers moved
    Tune(TuneArgs),
    /// Make the kept decisions again and say which come out otherwise
    Replay(ReplayArgs),
    /// Print the JSON Schema of rule files, for editors
    Schema,
    /// Run the cases beside rule files (`family.cases.toml` for `family.toml`)
    Test {
        /// Rule files; those of the home when none is named
        files: Vec<PathBuf>,
    },
}

/// One line of `signet rules check --json`.
#[derive(Serialize)]
struct CheckLine<'a> {
    files_count: usize,
    rules_count: usize,
    /// Absent when there are mistakes.
    revision: Option<&'a str>,
    mistakes: &'a [RuleMistake],
    /// Absent when there are mistakes.
    warnings: Option<&'a [RuleWarning]>,
}

/// One line of `signet rules test --json`: a case.
#[derive(Serialize)]
struct TestLine<'a> {
    file: &'a str,
    #[serde(flatten)]
    case: &'a CaseReport,
}

/// The last line of `signet rules test --json` for a file: what its cases leave open.
#[derive(Serialize)]
struct CoverageLine<'a> {
    file: &'a str,
    clauses_count: usize,
    uncovered: &'a [Uncovered],
    untested: &'a [String],
}

/// What to write where there are no cases yet.
const CASE_TO_BEGIN_WITH: &str = r#"
[[case]]
name = "two prints for the family in July"
icons = ["print-10x15", "copies-2?"]    # ? behind a name: not for sure
people = ["Anna", "Ben"]
taken = 2026-07-11T18:00:00
expect = ["ask: order 2 print-10x15 from lab"]
# What rules answer: "order 1 mug from lab to a", "share with lab", both also after "ask: " or before
# " after 24h" (a face decided); "keep", "note", "forbid"; [] where nothing happens.
"#;

/// Runs the command.
///
/// # Errors
/// `Usage` when a named file is no rule file, `Failed` when one cannot be read.
pub fn run(args: &Args, context: &Context) -> Result<Outcome, CommandError> {
    match &args.action {
        Action::Add(args) => rules_add::add(args, context),
        Action::Check { files } => check(&rule_files(files, context)?, context),
        Action::Explain(args) => rules_study::explain(args, context),
        Action::Backtest(args) => rules_study::backtest(args, context),
        Action::Tune(args) => rules_study::tune(args, context),
        Action::Replay(args) => rules_study::replay(args, context),
        Action::Schema => {
            output::line(schema::text().trim_end());
            Ok(Outcome::Done)
        }
        Action::Test { files } => test(&rule_files(files, context)?, context),
    }
}

/// What rules may name: the icons of the set, those who are enrolled, and whatever products and
/// providers they like.
pub(super) fn known(context: &Context) -> Result<Known, CommandError> {
    let home = Home::at(&context.home);
    let icons = IconSet::of_home(&home.icons_dir()).map_err(failed)?.names();
    books::known(&home, icons).map_err(failed)
}

/// The same beside the rules of the home, which a limit in a file by itself may name.
fn known_beside(context: &Context, mut known: Known) -> Known {
    let home = Home::at(&context.home);
    let set = files::read_folder(&home.rules_dir()).ok();
    let set = set.and_then(|files| {
        let people = known.people.clone();
        RuleSet::load(&files, &Known { people, ..Known::of_icons(known.icons.clone()) }).ok()
    });
    known.rules = set.iter().flat_map(RuleSet::names).map(str::to_owned).collect();
    known
}

/// The same with the providers of the consent, if somebody was agreed with, and the products that
/// they offer; those that have an icon are asked for by name before anybody offers them.
fn known_in_consent(context: &Context) -> Result<Known, CommandError> {
    let mut known = known(context)?;
    let home = Home::at(&context.home);
    let key = home.keys_dir().join("agent.key");
    // Checking makes no key.
    if !key.exists() {
        return Ok(known);
    }
    let key = Key::load_or_create(&key).map_err(failed)?;
    let consent = Consent::load(&home, &key.public()).map_err(failed)?;
    if consent.providers.is_empty() {
        return Ok(known);
    }
    let offered = consent.providers.values().flat_map(|terms| terms.products.keys());
    let mut products: Vec<String> = offered.chain(&known.icons).cloned().collect();
    products.sort();
    products.dedup();
    known.products = Some(products);
    known.providers = Some(consent.providers.into_keys().collect());
    Ok(known)
}

/// The paths to work on: those named, else those of the home.
fn rule_files(named: &[PathBuf], context: &Context) -> Result<Vec<PathBuf>, CommandError> {
    if named.is_empty() {
        let folder = context.home.join("rules");
        let paths = files::list(&folder).map_err(failed)?;
        if paths.is_empty() {
            let message = format!("there is no rule file in `{}`", folder.display());
            return Err(CommandError::failed(message));
        }
        return Ok(paths);
    }
    let is_cases = |path: &&PathBuf| path.to_string_lossy().ends_with(".cases.toml");
    let (cases, rules): (Vec<&PathBuf>, Vec<&PathBuf>) = named.iter().partition(is_cases);
    if let Some(odd) = rules.iter().find(|path| !is_rule_file(path.file_name().unwrap_or_default()))
    {
        let message = format!("`{}` is no rule file: its name has to end in .toml", odd.display());
        return Err(CommandError::Usage(message));
    }
    // `signet rules test rules/*.toml` names cases too; they are read beside their rules.
    if let (true, Some(cases)) = (rules.is_empty(), cases.first()) {
        let message = format!("`{}` holds cases: name the rule file beside it", cases.display());
        return Err(CommandError::Usage(message));
    }
    Ok(rules.into_iter().cloned().collect())
}

pub(super) fn read(path: &Path) -> Result<RuleFile, CommandError> {
    files::read(path, path.display().to_string()).map_err(failed)
}

fn check(paths: &[PathBuf], context: &Context) -> Result<Outcome, CommandError> {
    let files = paths.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
    let loaded = RuleSet::load(&files, &known_beside(context, known_in_consent(context)?));
    let files_count = files.len();
    match &loaded {
        Ok(set) => {
            let (revision, rules_count) = (set.revision(), set.rules_count());
            let mut warnings = lint(set);
            warnings.extend(strangers(set));
            warnings.iter().for_each(complain);
            if context.json {
                let (revision, warnings) = (Some(revision), Some(warnings.as_slice()));
                let mistakes = &[];
                let line = CheckLine { files_count, rules_count, revision, mistakes, warnings };
                output::json(&line);
            } else {
                let files = counted(files_count, "file");
                let rules = counted(rules_count, "rule");
                let warned = match warnings.len() {
                    0 => String::new(),
                    count => format!(", {}", counted(count, "warning")),
                };
                output::line(format_args!(
                    "{files}, {rules}, no mistake{warned}; revision {revision}"
                ));
                for rule in set.held_for_faces() {
                    output::line(format_args!(
                        "`{rule}` looks at people: what it orders waits 24h for you to stop it \
                         (`hold` says otherwise)"
                    ));
                }
            }
            Ok(Outcome::Done)
        }
        Err(mistakes) => {
            if context.json {
                let (revision, rules_count, warnings) = (None, 0, None);
                let line = CheckLine { files_count, rules_count, revision, mistakes, warnings };
                output::json(&line);
            }
            tell_mistakes(mistakes);
            Ok(Outcome::SomeFailed)
        }
    }
}

fn test(paths: &[PathBuf], context: &Context) -> Result<Outcome, CommandError> {
    let mut outcome = Outcome::Done;
    for path in paths {
        if !test_file(path, context)? {
            outcome = Outcome::SomeFailed;
        }
    }
    Ok(outcome)
}

/// Whether all cases of one rule file passed; there have to be some.
fn test_file(path: &Path, context: &Context) -> Result<bool, CommandError> {
    let known = known_beside(context, known(context)?);
    let set = match RuleSet::load(&[read(path)?], &known) {
        Ok(set) => set,
        Err(mistakes) => {
            tell_mistakes(&mistakes);
            return Ok(false);
        }
    };
    let cases_path = files::cases_path(path);
    if !cases_path.exists() {
        let (rules, cases) = (path.display(), cases_path.display());
        complain(format_args!("{rules}: there are no cases; write some in `{cases}`, such as"));
        complain(CASE_TO_BEGIN_WITH);
        return Ok(false);
    }
    let report = match cases::run(&read(&cases_path)?, &set, &known) {
        Ok(report) => report,
        Err(mistakes) => {
            tell_mistakes(&mistakes);
            return Ok(false);
        }
    };
    let file = cases_path.display().to_string();
    for case in &report.cases {
        if context.json {
            output::json(&TestLine { file: &file, case });
        }
        if !case.passed {
            tell_case(&file, case);
        }
    }
    if !context.json {
        let passed_count = report.cases.iter().filter(|case| case.passed).count();
        let all = counted(report.cases.len(), "case");
        let (clauses_count, open_count) = (report.clauses_count, report.uncovered.len());
        let covered = format_args!(
            "{} of {} seen both true and false",
            clauses_count - open_count,
            counted(clauses_count, "clause")
        )
        .to_string();
        output::line(format_args!("{}: {passed_count} of {all} passed; {covered}", path.display()));
    } else {
        let CasesReport { clauses_count, ref uncovered, ref untested, .. } = report;
        output::json(&CoverageLine { file: &file, clauses_count, uncovered, untested });
    }
    for rule in &report.untested {
        complain(format_args!("{file}: no case makes the rule `{rule}` say anything"));
    }
    for Uncovered { rule, line, clause, never } in &report.uncovered {
        let rules = path.display();
        complain(format_args!("{rules}:{line}: `{rule}`: no case makes `{clause}` {never}"));
    }
    Ok(report.passed())
}

pub(super) fn tell_mistakes(mistakes: &[RuleMistake]) {
    for mistake in mistakes {
        complain(mistake);
        let caret = mistake.caret();
        if !caret.is_empty() {
            complain(caret);
        }
    }
    complain(counted(mistakes.len(), "mistake"));
}

fn tell_case(file: &str, case: &CaseReport) {
    let CaseReport { name, line, expected, given, failures, .. } = case;
    complain(format_args!("{file}:{line}: `{name}` went otherwise"));
    if expected != given {
        complain(format_args!("  expected: {}", listed(expected)));
        complain(format_args!("  given:    {}", listed(given)));
    }
    for failure in failures {
        complain(format_args!("  {failure}"));
    }
}

fn listed(verdicts: &[String]) -> String {
    if verdicts.is_empty() { "nothing".to_owned() } else { verdicts.join("; ") }
}

pub(super) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Names on stderr what went wrong. Nobody can be told when stderr itself is closed; the
/// exit code says it then.
fn complain(text: impl Display) {
    let _closed = writeln!(io::stderr().lock(), "{text}");
}
