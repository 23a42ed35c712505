//! `signet rules explain|backtest|tune|replay`: what rules say of photos that were seen.
//!
//! None of them looks at a photo anew, changes or orders anything, and the agent may run
//! meanwhile. `--json` prints one object; for `replay` one for each decision that differs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::rules::{counted, known, read, tell_mistakes};
use super::{CommandError, Context, Outcome, day, failed, output};
use crate::agent::books::RuleBook;
use crate::agent::study::backtest::{Backtest, Change, Totals};
use crate::agent::study::explain::{Explanation, Planned};
use crate::agent::study::{Replay, Study, photo_of_file};
use crate::base::clock::Timestamp;
use crate::base::home::Home;
use crate::base::ids::ContentHash;
use crate::base::money::decimal;
use crate::detection::Tier;
use crate::rules::census::Silent;
use crate::rules::story::{Answer, ClauseStory, NamedValue};
use crate::rules::tune::{Step, Sweep};
use crate::rules::{Facts, RuleFile, RuleSet, RuleStory, Standing, files};
use crate::store::OrderState;
use crate::store::orders::words;

/// Lines of one kind that are printed; `--all` prints the others too.
const LINES_MAX: usize = 20;
/// Widest bar of a plot, in characters.
const BAR_CHARS: u64 = 40;

/// What the user typed after `signet rules explain`.
#[derive(Debug, clap::Args)]
pub(super) struct ExplainArgs {
    /// A photo: its file, or the beginning of its SHA-256
    photo: String,
    /// Only the rules that say something
    #[arg(long)]
    brief: bool,
    /// A rule file, taken as if it lay in the folder of rules in the place of the one of its name
    #[arg(long, value_name = "FILE")]
    with: Vec<PathBuf>,
}

/// What the user typed after `signet rules backtest`.
#[derive(Debug, clap::Args)]
pub(super) struct BacktestArgs {
    /// Rule files, taken as if they lay in the folder of rules: each in the place of the one of
    /// its name. Without any, the folder as it is
    files: Vec<PathBuf>,
    /// Only photos that came on this day or later: 2026-07-01
    #[arg(long)]
    since: Option<String>,
    /// How near a near miss is, in percent of the number that was missed
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=90))]
    margin: u8,
    /// Print every line
    #[arg(long)]
    all: bool,
}

/// What the user typed after `signet rules tune`.
#[derive(Debug, clap::Args)]
pub(super) struct TuneArgs {
    /// Name of a rule
    rule: String,
    /// A rule file, taken as if it lay in the folder of rules in the place of the one of its name
    #[arg(long, value_name = "FILE")]
    with: Vec<PathBuf>,
    /// Only photos that came on this day or later: 2026-07-01
    #[arg(long)]
    since: Option<String>,
}

/// What the user typed after `signet rules replay`.
#[derive(Debug, clap::Args)]
pub(super) struct ReplayArgs {
    /// Only decisions of this day or later: 2026-07-01
    #[arg(long)]
    since: Option<String>,
}

fn since(text: Option<&str>) -> Result<Timestamp, CommandError> {
    text.map_or(Ok(Timestamp(i64::MIN)), day)
}

fn open(context: &Context) -> Result<(Home, Study), CommandError> {
    let home = Home::open(&context.home).map_err(failed)?;
    let study = Study::open(&home).map_err(failed)?;
    Ok((home, study))
}

/// The rules to ask: those in force, or with files in the place of those of their names. Nothing,
/// told on stderr, where these have mistakes.
fn asked(
    home: &Home,
    with: &[PathBuf],
    context: &Context,
) -> Result<Option<RuleSet>, CommandError> {
    if with.is_empty() {
        return Ok(Some(in_force(home, context)?.set().clone()));
    }
    let loaded = RuleSet::load(&as_if_in_folder(home, with)?, &known(context)?);
    Ok(loaded.map_err(|mistakes| tell_mistakes(&mistakes)).ok())
}

/// The rules in force: of the home, or the last good ones while those have mistakes.
fn in_force(home: &Home, context: &Context) -> Result<RuleBook, CommandError> {
    let (book, refused) = RuleBook::open(home, known(context)?).map_err(failed)?;
    if refused.is_some() {
        tracing::warn!(
            "the rule files have mistakes (`signet rules check`); this is by the last good ones"
        );
    }
    Ok(book)
}

pub(super) fn explain(args: &ExplainArgs, context: &Context) -> Result<Outcome, CommandError> {
    let (home, study) = open(context)?;
    let photo = match (Path::new(&args.photo), args.photo.parse::<ContentHash>()) {
        (_, Ok(hash)) => hash,
        (path, _) => photo_of_file(path).map_err(|error| {
            CommandError::Usage(format!("`{}` cannot be read: {error}", path.display()))
        })?,
    };
    let Some(rules) = asked(&home, &args.with, context)? else { return Ok(Outcome::SomeFailed) };
    let found = study.explain(&photo, &rules, Timestamp::now()).map_err(failed)?;
    let Some(explanation) = found else {
        return Err(CommandError::failed(format!(
            "`{}` was not looked at as it is now: it has to lie in a watched folder, with `signet run`",
            args.photo
        )));
    };
    if context.json {
        output::json(&explanation);
    } else {
        print_explanation(&explanation, args.brief);
    }
    Ok(Outcome::Done)
}

fn print_explanation(explanation: &Explanation, brief: bool) {
    let Explanation { collection, path, facts, card, revision, .. } = explanation;
    output::line(format_args!("{collection}/{path}"));
    seen(facts).into_iter().for_each(|line| output::line(format_args!("  {line}")));
    if let Some(card) = card {
        let icons: Vec<&str> = card.icons.iter().map(|icon| icon.name.as_str()).collect();
        output::line(format_args!("  card of {}: {}", card.photographed, icons.join(", ")));
    }
    if !explanation.may_order {
        output::line("  it was there before the first start: it orders nothing by itself");
    }
    match explanation.standing {
        Standing::Photo => {}
        Standing::Card => output::line("  a card photo: its icons are for the photos behind it"),
        Standing::CardWithoutTime => {
            output::line("  a card photo that does not say when it was taken: for no photo");
        }
        Standing::Part => output::line("  raw data of the picture beside it: it goes with that"),
    }
    output::line(format_args!(
        "rules of revision {revision}, in the order in which they are asked"
    ));
    for story in &explanation.rules {
        let is_silent = matches!(story.answer, Answer::DoesNotApply | Answer::NotAsked);
        if !(brief && is_silent) {
            print_story(story);
        }
    }
    output::line("what follows now");
    let is_there = |planned: &&Planned| {
        explanation.orders.iter().any(|order| order.order_key == planned.order_key)
    };
    match &explanation.forbidden {
        Some(reason) => output::line(format_args!("  nothing leaves: {reason}")),
        None if explanation.planned.is_empty() => output::line("  nothing is ordered"),
        None => {}
    }
    // What is there already is told as it stands.
    for planned in explanation.planned.iter().filter(|planned| !is_there(planned)) {
        let (state, what, rule) = (planned.state, &planned.what, &planned.rule);
        output::line(format_args!("  {state:<9} {what} ({rule}): {}", planned.reason));
    }
    for order in &explanation.orders {
        let (key, state) = (&order.order_key, order.state);
        output::line(format_args!("  order {key}: {} is {state}", words(order)));
    }
    if let Some(last) = &explanation.last {
        let same = if last.is_same { "the same" } else { "something else" };
        let (at, revision) = (last.at, &last.revision);
        output::line(format_args!(
            "last decided {at} by revision {revision}; these rules say {same} of what was known then"
        ));
    }
}

/// What is known of a photo, a line each.
fn seen(facts: &Facts) -> Vec<String> {
    let sure = |name: &str, tier: Tier, score: f64| {
        let sure = if tier == Tier::Order { "for sure" } else { "not for sure" };
        format!("{name} {sure} ({score:.2})")
    };
    let icons = facts.icons.iter().map(|icon| sure(&icon.name, icon.tier, icon.score));
    let people = facts.people.iter();
    let people = people.map(|person| sure(&person.words(), person.tier, person.score));
    let mut people: Vec<String> = people.collect();
    if facts.unknown_faces > 0 {
        people.push(counted(facts.unknown_faces as usize, "unknown face"));
    }
    let taken = facts.taken.as_ref().map_or("at no known time", |taken| taken.text.as_str());
    let mut lines = vec![format!("taken {taken}, {} x {} px", facts.width_px, facts.height_px)];
    let icons: Vec<String> = icons.collect();
    for (what, seen) in [("icons", icons), ("people", people)] {
        if !seen.is_empty() {
            lines.push(format!("{what}: {}", seen.join(", ")));
        }
    }
    lines
}

fn print_story(story: &RuleStory) {
    let RuleStory { rule, file, line, answer, says, clauses } = story;
    let mark = match answer {
        Answer::Applies => "yes",
        Answer::Else => "else",
        Answer::DoesNotApply => "no",
        Answer::Failed => "fails",
        Answer::NotAsked => "-",
    };
    let says = match (answer, says) {
        (Answer::NotAsked, Some(by)) => format!(": not asked, `{by}` stopped"),
        (_, Some(says)) => format!(": {says}"),
        (_, None) => String::new(),
    };
    output::line(format_args!("  {mark:<5} {rule} ({file}:{line}){says}"));
    for ClauseStory { text, holds, why, values } in clauses {
        let holds = match holds {
            Some(true) => "true",
            Some(false) => "false",
            None => "?",
        };
        let value = |NamedValue { name, value }: &NamedValue| match text == name {
            true => value.clone(),
            false => format!("{name} is {value}"),
        };
        let values: Vec<String> = values.iter().map(value).chain(why.clone()).collect();
        let values =
            if values.is_empty() { String::new() } else { format!("   [{}]", values.join("; ")) };
        output::line(format_args!("          {holds:<5} {text}{values}"));
    }
}

pub(super) fn backtest(args: &BacktestArgs, context: &Context) -> Result<Outcome, CommandError> {
    let since = since(args.since.as_deref())?;
    let (home, study) = open(context)?;
    let loaded = RuleSet::load(&as_if_in_folder(&home, &args.files)?, &known(context)?);
    let rules = match loaded {
        Ok(rules) => rules,
        Err(mistakes) => {
            tell_mistakes(&mistakes);
            return Ok(Outcome::SomeFailed);
        }
    };
    let bar = output::Progress::of_many("photos");
    let margin = f64::from(args.margin) / 100.0;
    let progress = |done, all| bar.show(done, all);
    let found = study.backtest(&rules, since, margin, &progress).map_err(failed)?;
    bar.finish();
    if context.json {
        output::json(&found);
    } else {
        print_backtest(&found, args);
    }
    Ok(Outcome::Done)
}

/// The rule files of a home with others in the place of those of their names.
fn as_if_in_folder(home: &Home, named: &[PathBuf]) -> Result<Vec<RuleFile>, CommandError> {
    let mut files = files::read_folder(&home.rules_dir()).map_err(failed)?;
    for path in named {
        let file = read(path)?;
        let file = RuleFile { name: files::name_inside(path), ..file };
        match files.iter_mut().find(|known| known.name == file.name) {
            Some(known) => *known = file,
            None => files.push(file),
        }
    }
    files.sort_by(|a, b| (a.by, &a.name).cmp(&(b.by, &b.name)));
    Ok(files)
}

fn print_backtest(found: &Backtest, args: &BacktestArgs) {
    let photos = counted(found.photos_count, "photo");
    output::line(format_args!("{photos} by revision {}", found.revision));
    if found.existing_count > 0 {
        output::line(format_args!(
            "{} of them were there before the first start and order nothing by themselves; here \
             they count as if they had come when they were taken",
            found.existing_count
        ));
    }
    let lines_max = if args.all { usize::MAX } else { LINES_MAX };
    let kinds = [("added", '+', &found.added), ("dropped", '-', &found.dropped)];
    for (kind, sign, changes) in kinds.into_iter().chain([("changed", '~', &found.changed)]) {
        output::line(format_args!("{kind}: {}", counted(changes.len(), "order")));
        for change in changes.iter().take(lines_max) {
            output::line(format_args!("  {sign} {}", change_words(change)));
        }
        tell_rest(changes.len(), lines_max);
    }
    output::line(format_args!("as it was: {}", counted(found.same_count, "order")));
    for (what, totals) in [("provider", &found.providers), ("rule", &found.rules)] {
        print_totals(what, totals);
    }
    print_silent(found, args, lines_max);
    if found.near_count > 0 {
        let count = found.near_count;
        let misses = if count == 1 { "near miss" } else { "near misses" };
        output::line(format_args!("{count} {misses} within {} %", args.margin));
        for near in found.near.iter().take(lines_max) {
            let (path, miss) = (&near.path, &near.miss);
            output::line(format_args!("  {path}: {}: {}", miss.rule, miss.lacks));
        }
        tell_rest(found.near.len(), lines_max);
    }
    if found.failures_count > 0 {
        let count = found.failures_count;
        output::line(format_args!("{} that gave no answer", counted(count, "question")));
        found
            .failures
            .iter()
            .take(lines_max)
            .for_each(|line| output::line(format_args!("  {line}")));
        tell_rest(found.failures.len(), lines_max);
    }
}

/// Why rules ordered nothing: those of the files that were named, or all when nothing was ordered.
fn print_silent(found: &Backtest, args: &BacktestArgs, lines_max: usize) {
    let names: Vec<String> = args.files.iter().map(|path| files::name_inside(path)).collect();
    let is_asked = |silent: &&Silent| names.contains(&silent.file) || found.rules.is_empty();
    let silent: Vec<&Silent> = found.silent.iter().filter(is_asked).collect();
    for Silent { rule, photos_count, clauses, .. } in silent.iter().take(lines_max) {
        let photos = counted(*photos_count, "photo");
        output::line(format_args!("{rule} applied to none of the first {photos}, where true are"));
        for (clause, count) in clauses {
            output::line(format_args!("  {count:>6}  {clause}"));
        }
    }
    tell_rest(silent.len(), lines_max);
}

fn change_words(change: &Change) -> String {
    let Change { path, rule, provider, what, was, state, reason, .. } = change;
    let price = format!("{} {}", decimal(change.price_minor), change.currency);
    let was = was.as_ref().map(|was| format!(", was {was}")).unwrap_or_default();
    let state = match state {
        OrderState::Ask => format!("; asks: {reason}"),
        OrderState::Held => "; held first".to_owned(),
        _ => String::new(),
    };
    format!("{path}: {what} from {provider} ({rule}), {price}{was}{state}")
}

fn tell_rest(count: usize, lines_max: usize) {
    if count > lines_max {
        output::line(format_args!("  … and {} more: `--all`", count - lines_max));
    }
}

fn print_totals(what: &str, totals: &BTreeMap<String, Totals>) {
    if totals.is_empty() {
        return;
    }
    output::line(format_args!(
        "{:<24} {:>7} {:>7} {:>9} {:>14} {:>7} {:>14}",
        format!("by {what}"),
        "go out",
        "ask",
        "uncovered",
        "cost",
        "went",
        "cost"
    ));
    for (name, totals) in totals {
        let sum = |costs: &BTreeMap<String, i64>| {
            let costs = costs.iter().filter(|(_, minor)| **minor != 0);
            let costs: Vec<String> =
                costs.map(|(currency, minor)| format!("{} {currency}", decimal(*minor))).collect();
            if costs.is_empty() { "-".to_owned() } else { costs.join(" + ") }
        };
        output::line(format_args!(
            "  {name:<22} {:>7} {:>7} {:>9} {:>14} {:>7} {:>14}",
            totals.goes_count,
            totals.asks_count,
            totals.refused_count,
            sum(&totals.cost_minor),
            totals.went_count,
            sum(&totals.was_cost_minor),
        ));
    }
}

pub(super) fn tune(args: &TuneArgs, context: &Context) -> Result<Outcome, CommandError> {
    let since = since(args.since.as_deref())?;
    let (home, study) = open(context)?;
    let Some(rules) = asked(&home, &args.with, context)? else { return Ok(Outcome::SomeFailed) };
    let bar = output::Progress::of_many("photos");
    let progress = |done, all| bar.show(done, all);
    let sweeps = study.tune(&rules, &args.rule, since, &progress);
    bar.finish();
    let sweeps = sweeps.map_err(|error| {
        let names: Vec<&str> = rules.names().collect();
        CommandError::Usage(format!("{error}; there are: {}", names.join(", ")))
    })?;
    if context.json {
        let (rule, revision) = (&args.rule, rules.revision());
        output::json(&serde_json::json!({ "rule": rule, "revision": revision, "sweeps": sweeps }));
        return Ok(Outcome::Done);
    }
    if sweeps.is_empty() {
        let rule = &args.rule;
        output::line(format_args!("`{rule}` compares no number and looks at no icons or people"));
    }
    sweeps.iter().for_each(print_sweep);
    Ok(Outcome::Done)
}

/// A small plot: `#` goes out by itself, `?` asks.
fn print_sweep(sweep: &Sweep) {
    let Sweep { what, now, steps } = sweep;
    output::line(format_args!("{what}; # goes ahead, ? asks"));
    let most = steps.iter().map(|step| step.goes_count + step.asks_count).max().unwrap_or(0);
    for Step { at, goes_count, asks_count } in steps {
        let bar = |count: u64, sign: &str| {
            let chars = (count * BAR_CHARS).div_ceil(most.max(1));
            sign.repeat(usize::try_from(chars).unwrap_or(0))
        };
        let label = at.map_or_else(|| "as it is".to_owned(), |at| at.to_string());
        let is_now = at.is_none() || *at == *now;
        let mark = if is_now { " <- now" } else { "" };
        let bars = format!("{}{}", bar(*goes_count, "#"), bar(*asks_count, "?"));
        output::line(format_args!("  {label:>10} {goes_count:>6} + {asks_count:<6} {bars}{mark}"));
    }
}

pub(super) fn replay(args: &ReplayArgs, context: &Context) -> Result<Outcome, CommandError> {
    let since = since(args.since.as_deref())?;
    let (_, study) = open(context)?;
    let (mut all_count, mut odd_count) = (0_usize, 0_usize);
    let bar = output::Progress::of_many("decisions");
    let progress = |done, all| bar.show(done, all);
    let replayed = study.replay(since, &progress, |row, replay| {
        all_count += 1;
        let (was, is, why) = match replay {
            Replay::Same => return,
            Replay::Differs { was, is } => (was, is, None),
            Replay::Unreadable(why) => (Vec::new(), Vec::new(), Some(why)),
        };
        odd_count += 1;
        let (photo, at, revision) = (row.photo, row.at, &row.revision);
        if context.json {
            output::json(&serde_json::json!({
                "photo": photo, "at": at, "revision": revision, "was": was, "is": is, "why": why,
            }));
            return;
        }
        output::line(format_args!("{photo} of {at} by revision {revision}"));
        was.iter().for_each(|line| output::line(format_args!("  was: {line}")));
        is.iter().for_each(|line| output::line(format_args!("  is:  {line}")));
        why.iter().for_each(|line| output::line(format_args!("  {line}")));
    });
    bar.finish();
    replayed.map_err(failed)?;
    let erased_count = study.erased_count().map_err(failed)?;
    if context.json {
        output::json(&serde_json::json!({
            "decisions_count": all_count, "odd_count": odd_count, "erased_count": erased_count,
        }));
    } else {
        let all = counted(all_count, "decision");
        let odd = if odd_count == 0 {
            "all say the same".to_owned()
        } else {
            format!("{odd_count} do not say the same")
        };
        output::line(format_args!("{all} made again: {odd}"));
        if erased_count > 0 {
            let erased = counted(erased_count, "decision");
            output::line(format_args!("not kept: {erased} about people who were removed"));
        }
    }
    Ok(if odd_count == 0 { Outcome::Done } else { Outcome::SomeFailed })
}
