//! `signet report`: who fetched what for which order, and what it paid.

use std::collections::BTreeMap;

use crate::base::clock::Timestamp;
use crate::base::home::Home;
use crate::base::money::decimal;
use crate::ledger::statement::{balances, journal};
use crate::store::{AccessRow, CorrectionKind, State};

use super::{CommandError, Context, Outcome, day, failed, output, report_verify};

/// What the user typed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// First day, such as 2026-11-01 (UTC)
    #[arg(long)]
    from: Option<String>,
    /// Last day, such as 2026-11-30 (UTC)
    #[arg(long)]
    to: Option<String>,
    /// Print a journal for the `ledger` program
    #[arg(long)]
    ledger: bool,
    /// Prove each access by the logs: of this computer, and of the hub that it passed
    #[arg(long, conflicts_with = "ledger")]
    verify: bool,
}

/// Runs it.
///
/// # Errors
/// As the message says.
pub fn run(args: &Args, context: &Context) -> Result<Outcome, CommandError> {
    let home = Home::open(&context.home).map_err(failed)?;
    let state = State::open(&home.state_path()).map_err(failed)?;
    let from = args.from.as_deref().map_or(Ok(Timestamp(0)), day)?;
    let to = match args.to.as_deref() {
        Some(text) => day(text)?.plus_millis(86_400_000),
        None => Timestamp(i64::MAX),
    };
    if args.verify {
        return report_verify::run(&home, &state, (from, to), context.json);
    }
    let accesses = state.accesses(from, to).map_err(failed)?;
    let corrections = state.corrections(from, to).map_err(failed)?;
    if args.ledger {
        output::line(journal(&accesses, &corrections).trim_end());
        return Ok(Outcome::Done);
    }
    let refusals = state.refusals(from, to).map_err(failed)?;
    let lies = state.lies(from, to).map_err(failed)?;
    lies.iter().for_each(|lie| report_verify::tell(lie, context.json));
    if context.json {
        for access in &accesses {
            output::json(&tagged("access", access)?);
        }
        for correction in &corrections {
            // Its own kind says which of the two it is.
            let tag = match correction.kind {
                CorrectionKind::Reversal => "reversal",
                CorrectionKind::Again => "again",
            };
            output::json(&tagged(tag, correction)?);
        }
        for refusal in &refusals {
            output::json(&tagged("refusal", refusal)?);
        }
        for ((account, currency), minor) in balances(&accesses, &corrections) {
            output::json(&serde_json::json!({
                "kind": "balance", "account": account, "currency": currency, "minor": minor,
            }));
        }
        return Ok(Outcome::Done);
    }
    if accesses.is_empty() {
        output::line("nobody fetched anything");
    }
    for access in &accesses {
        output::line(line_of(access));
    }
    for row in &corrections {
        let what = match row.kind {
            CorrectionKind::Reversal => "POSTED BACK",
            CorrectionKind::Again => "posted anew",
        };
        let (key, reason) = (&row.order_key, &row.reason);
        output::line(format_args!("{}  {:<10} {what} for {key}: {reason}", row.at, row.provider));
    }
    for refusal in &refusals {
        let grant =
            if refusal.grant_id.is_empty() { "no grant of yours" } else { &refusal.grant_id };
        output::line(format_args!(
            "{}  REFUSED    {} x {}: {} ({grant})",
            refusal.at, refusal.remote, refusal.tries_count, refusal.reason
        ));
    }
    let balances = balances(&accesses, &corrections);
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

fn line_of(access: &AccessRow) -> String {
    let minor_of = |prefix: &str| -> i64 {
        let matching = access.entries.iter().filter(|entry| entry.account.starts_with(prefix));
        matching.map(|entry| entry.minor).sum()
    };
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
        decimal(minor_of("provider:")),
        access.currency,
        decimal(-minor_of("owner")),
    )
}

fn tagged(kind: &str, value: &impl serde::Serialize) -> Result<serde_json::Value, CommandError> {
    let mut value = serde_json::to_value(value).map_err(failed)?;
    if let Some(fields) = value.as_object_mut() {
        fields.insert("kind".into(), kind.into());
    }
    Ok(value)
}
