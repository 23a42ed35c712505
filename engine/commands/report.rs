//! `signet report`: who fetched what for which order, and what it paid.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::access::{Key, LinkKey};
use crate::agent::report::Author;
use crate::agent::reporter;
use crate::base::calendar::{Span, Zone};
use crate::base::clock::Timestamp;
use crate::base::config::Config;
use crate::base::files::{Readers, write_atomic};
use crate::base::home::Home;
use crate::base::money::decimal;
use crate::ledger::statement::{balances, journal};
use crate::reports::facts::Fee;
use crate::reports::html::{self, Medium};
use crate::reports::{Report, Scope, pdf};
use crate::store::{AccessRow, CorrectionKind, CorrectionRow, ReportRows, State};

use super::span::{SpanArgs, Unnamed};
use super::{CommandError, Context, Outcome, failed, output, report_verify};

/// Pictures in one file.
const PICTURES_MAX: usize = 500;

/// What the user typed.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    span: SpanArgs,
    /// One order
    #[arg(long, value_name = "KEY", conflicts_with_all = ["from", "to", "month"])]
    order: Option<String>,
    /// Print a journal for the `ledger` program
    #[arg(long)]
    ledger: bool,
    /// Write one page with pictures that needs nothing else; of this month when no time is named
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// The same to be printed
    #[arg(long, value_name = "FILE")]
    pdf: Option<PathBuf>,
    /// Print the address of the feed for feed readers
    #[arg(long, conflicts_with_all = ["ledger", "html", "pdf"])]
    feed: bool,
    /// Prove each access by the logs: of this computer, and of the hub that it passed
    #[arg(long, conflicts_with_all = ["ledger", "html", "pdf", "order", "feed"])]
    verify: bool,
}

/// What a report is to be about.
enum About {
    Span(Scope),
    Order(String),
}

/// Runs it.
///
/// # Errors
/// As the message says.
pub fn run(args: &Args, context: &Context) -> Result<Outcome, CommandError> {
    let home = Home::open(&context.home).map_err(failed)?;
    if args.feed {
        return feed(&home, context);
    }
    let state = State::open(&home.state_path()).map_err(failed)?;
    let zone = Zone::local();
    let about = about(args, &zone)?;
    if args.html.is_some() || args.pdf.is_some() {
        return files(args, &home, &state, &zone, &about, context);
    }
    if let (true, About::Span(scope)) = (args.verify, &about) {
        let span = (scope.span.from, scope.span.to);
        return report_verify::run(&home, &state, span, context.json);
    }
    let rows = match &about {
        About::Span(scope) => state.report_rows(scope.span.from, scope.span.to).map_err(failed)?,
        About::Order(key) => rows_of(&state, key)?,
    };
    if args.ledger {
        output::line(journal(&rows.accesses, &rows.corrections).trim_end());
        return Ok(Outcome::Done);
    }
    if let About::Span(scope) = &about {
        let lies = state.lies(scope.span.from, scope.span.to).map_err(failed)?;
        lies.iter().for_each(|lie| report_verify::tell(lie, context.json));
    }
    if context.json {
        return json(&rows);
    }
    if rows.accesses.is_empty() {
        output::line(nothing(&about));
    }
    for access in &rows.accesses {
        output::line(line_of(access));
    }
    for row in &rows.corrections {
        let what = match row.kind {
            CorrectionKind::Reversal => "POSTED BACK",
            CorrectionKind::Again => "posted anew",
        };
        let (key, reason) = (&row.order_key, &row.reason);
        output::line(format_args!("{}  {:<10} {what} for {key}: {reason}", row.at, row.provider));
    }
    for refusal in &rows.refusals {
        let grant =
            if refusal.grant_id.is_empty() { "no grant of yours" } else { &refusal.grant_id };
        output::line(format_args!(
            "{}  REFUSED    {} x {}: {} ({grant})",
            refusal.at, refusal.remote, refusal.tries_count, refusal.reason
        ));
    }
    let balances = balances(&rows.accesses, &rows.corrections);
    if !balances.is_empty() {
        output::line("");
    }
    let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
    for ((account, currency), minor) in &balances {
        // People read what they get as a plus.
        output::line(format_args!("  {account:<24} {:>10} {currency}", decimal(-minor)));
        *sums.entry(currency).or_insert(0) += minor;
    }
    for (currency, sum) in sums {
        output::line(format_args!("  {:<24} {:>10} {currency}", "sum", decimal(sum)));
    }
    Ok(Outcome::Done)
}

/// What the user asked about.
fn about(args: &Args, zone: &Zone) -> Result<About, CommandError> {
    if let Some(key) = &args.order {
        return Ok(About::Order(key.clone()));
    }
    let is_file = args.html.is_some() || args.pdf.is_some();
    let unnamed = if is_file { Unnamed::ThisMonth } else { Unnamed::Ever };
    args.span.scope(unnamed, zone, Timestamp::now()).map(About::Span)
}

fn nothing(about: &About) -> String {
    match about {
        About::Span(scope) if scope.span == Span::ALL => "nobody fetched anything".to_owned(),
        About::Span(scope) => format!("nobody fetched anything: {}", scope.title),
        About::Order(key) => format!("nobody fetched anything for order {key}"),
    }
}

fn rows_of(state: &State, order_key: &str) -> Result<ReportRows, CommandError> {
    let rows = state.report_rows_of_order(order_key).map_err(failed)?;
    if rows.orders.is_empty() { Err(no_order(order_key)) } else { Ok(rows) }
}

fn no_order(order_key: &str) -> CommandError {
    CommandError::failed(format!("there is no order `{order_key}`: see `signet orders list`"))
}

/// Writes the files that were asked for. They have pictures in them, so only their owner may
/// read them.
fn files(
    args: &Args,
    home: &Home,
    state: &State,
    zone: &Zone,
    about: &About,
    context: &Context,
) -> Result<Outcome, CommandError> {
    let owner = Config::load(home).map_err(failed)?.owner.name;
    let author = Author { home, state, owner: &owner, zone, now: Timestamp::now() };
    let report = match about {
        About::Span(scope) => author.of_span(scope).map_err(failed)?,
        About::Order(key) => author.of_order(key).map_err(failed)?.ok_or_else(|| no_order(key))?,
    };
    let pictures = author.pictures(&report, PICTURES_MAX);
    let said = |path: &Path, report: &Report| match context.json {
        true => output::json(&serde_json::json!({
            "kind": "file", "path": path, "title": report.title,
            "accesses_count": report.accesses.len(), "pictures_count": pictures.len(),
        })),
        false => output::line(format_args!("{}: {}", path.display(), report.summary)),
    };
    let write = |path: &Path, bytes: &[u8]| {
        write_atomic(path, bytes, Readers::OwnerOnly).map_err(|error| {
            CommandError::failed(format!("`{}` cannot be written: {error}", path.display()))
        })
    };
    if let Some(path) = &args.html {
        write(path, html::page(&report, &pictures, Medium::File).as_bytes())?;
        said(path, &report);
    }
    if let Some(path) = &args.pdf {
        write(path, &pdf::document(&report, &pictures))?;
        said(path, &report);
    }
    Ok(Outcome::Done)
}

fn feed(home: &Home, context: &Context) -> Result<Outcome, CommandError> {
    let config = Config::load(home).map_err(failed)?;
    if !config.report.feed {
        let cure = "there is no feed: write `feed = true` under [report] in signet.toml and start \
                    `signet run` again";
        return Err(CommandError::failed(cure));
    }
    let Some(base) = config.serve.reached_at() else {
        let cure = "only the running agent knows its port: give `listen` in [serve] a port, or say \
                    public_url";
        return Err(CommandError::failed(cure));
    };
    let key = Key::load_or_create(&home.keys_dir().join("agent.key")).map_err(failed)?;
    let url = reporter::feed_url(&LinkKey::of(&key), &base);
    match context.json {
        true => output::json(&serde_json::json!({
            "kind": "feed", "url": url, "path": home.feed_path(),
        })),
        false => output::line(url),
    }
    Ok(Outcome::Done)
}

fn json(rows: &ReportRows) -> Result<Outcome, CommandError> {
    for access in &rows.accesses {
        output::json(&tagged("access", access)?);
    }
    for correction in &rows.corrections {
        // Its own kind says which of the two it is.
        output::json(&tagged(kind_of(Some(correction)), correction)?);
    }
    for refusal in &rows.refusals {
        output::json(&tagged("refusal", refusal)?);
    }
    for grant in &rows.revoked {
        output::json(&tagged("revoked", grant)?);
    }
    for ((account, currency), minor) in balances(&rows.accesses, &rows.corrections) {
        output::json(&serde_json::json!({
            "kind": "balance", "account": account, "currency": currency, "minor": minor,
        }));
    }
    Ok(Outcome::Done)
}

/// What a posted movement is called in JSON.
pub(super) fn kind_of(correction: Option<&CorrectionRow>) -> &'static str {
    match correction.map(|row| row.kind) {
        None => "access",
        Some(CorrectionKind::Reversal) => "reversal",
        Some(CorrectionKind::Again) => "again",
    }
}

fn line_of(access: &AccessRow) -> String {
    let fee = Fee::of(&access.entries, &access.currency);
    let path = match access.member.is_companion() {
        true => format!("{} ({})", access.path, access.name),
        false => access.path.clone(),
    };
    format!(
        "{}  {:<10} {:<10} {path:<32} {:<16} x {:<3} paid {} {}, you got {}",
        access.at,
        access.provider,
        access.member,
        access.product.as_deref().unwrap_or("share"),
        access.copies,
        decimal(fee.paid_minor),
        access.currency,
        decimal(fee.owner_minor),
    )
}

fn tagged(kind: &str, value: &impl serde::Serialize) -> Result<serde_json::Value, CommandError> {
    let mut value = serde_json::to_value(value).map_err(failed)?;
    if let Some(fields) = value.as_object_mut() {
        fields.insert("kind".into(), kind.into());
    }
    Ok(value)
}
