//! `signet hub statement` and `signet hub reconcile`: the hub's accounts for those who hold them.

use std::path::PathBuf;

use crate::base::calendar::Zone;
use crate::base::clock::Timestamp;
use crate::base::files::{Readers, write_atomic};
use crate::commands::span::{SpanArgs, Unnamed};
use crate::commands::{CommandError, Context, Outcome, failed, output};
use crate::hub::home::HubHome;
use crate::reports::hub::{Party, Statement, reconcile, render};
use crate::store::hub::{HubStore, SqliteHub};

/// What the user typed.
#[derive(Debug, clap::Args)]
pub(super) struct StatementArgs {
    #[command(flatten)]
    party: PartyArgs,
    #[command(flatten)]
    span: SpanArgs,
    #[command(flatten)]
    form: FormArgs,
}

/// Whose statement.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct PartyArgs {
    /// Of this provider
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Of the owner whose computer has this id
    #[arg(long, value_name = "AGENT", allow_hyphen_values = true)]
    owner: Option<String>,
    /// All accounts
    #[arg(long)]
    operator: bool,
}

/// How it is written; as text when nothing is said.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct FormArgs {
    /// Print lines for a spreadsheet
    #[arg(long)]
    csv: bool,
    /// Print a journal for the `ledger` program
    #[arg(long)]
    ledger: bool,
    /// Write one page that needs nothing else
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// What the user typed.
#[derive(Debug, clap::Args)]
pub(super) struct ReconcileArgs {
    #[command(flatten)]
    span: SpanArgs,
}

/// Draws a statement up; of this month when no time is named.
///
/// # Errors
/// As the message says.
pub(super) fn statement(args: &StatementArgs, context: &Context) -> Result<Outcome, CommandError> {
    let (name, store) = open(context)?;
    let scope = args.span.scope(Unnamed::ThisMonth, &Zone::local(), Timestamp::now())?;
    let party = party(&args.party, &store)?;
    let drawn = Statement::of(&store, &name, party, &scope.title, scope.span).map_err(failed)?;
    if let Some(path) = &args.form.html {
        let page = render::html(&drawn);
        write_atomic(path, page.as_bytes(), Readers::OwnerOnly).map_err(|error| {
            CommandError::failed(format!("`{}` cannot be written: {error}", path.display()))
        })?;
        let lines_count: usize = drawn.accounts.iter().map(|account| account.lines.len()).sum();
        match context.json {
            true => output::json(&serde_json::json!({
                "type": "file", "path": path, "lines_count": lines_count,
            })),
            false => output::line(format_args!("{}: {lines_count} lines", path.display())),
        }
    } else if args.form.csv {
        output::line(render::csv(&drawn).trim_end());
    } else if args.form.ledger {
        output::line(render::journal(&drawn).trim_end());
    } else if context.json {
        for value in render::values(&drawn) {
            output::json(&value);
        }
    } else {
        output::line(render::text(&drawn).trim_end());
    }
    Ok(Outcome::Done)
}

/// Compares all accounts with each other; of all time when none is named.
///
/// # Errors
/// As the message says. Differences are an outcome, each named.
pub(super) fn compare(args: &ReconcileArgs, context: &Context) -> Result<Outcome, CommandError> {
    let (_, store) = open(context)?;
    let scope = args.span.scope(Unnamed::Ever, &Zone::local(), Timestamp::now())?;
    let differences = reconcile(&store, scope.span).map_err(failed)?;
    for difference in &differences {
        match context.json {
            true => output::json(&serde_json::json!({ "type": "difference", "text": difference })),
            false => output::line(difference),
        }
    }
    if !differences.is_empty() {
        return Ok(Outcome::SomeFailed);
    }
    match context.json {
        true => output::json(&serde_json::json!({ "type": "reconciled", "title": scope.title })),
        false => output::line(format_args!("everything adds up: {}", scope.title)),
    }
    Ok(Outcome::Done)
}

/// Who runs the hub, and its books.
fn open(context: &Context) -> Result<(String, SqliteHub), CommandError> {
    let home = HubHome::at(&context.home);
    let name = home.config().map_err(failed)?.name;
    Ok((name, SqliteHub::open(&home.store_path()).map_err(failed)?))
}

/// The party that is meant; it has to be known.
fn party(args: &PartyArgs, store: &dyn HubStore) -> Result<Party, CommandError> {
    if let Some(name) = &args.provider {
        store.provider(name).map_err(failed)?.ok_or_else(|| {
            CommandError::failed(format!(
                "there is no provider `{name}`: see `signet hub providers`"
            ))
        })?;
        return Ok(Party::Provider(name.clone()));
    }
    if let Some(agent_id) = &args.owner {
        store.agent(agent_id).map_err(failed)?.ok_or_else(|| {
            CommandError::failed(format!("there is no agent `{agent_id}`: see `signet hub agents`"))
        })?;
        return Ok(Party::Owner(agent_id.clone()));
    }
    Ok(Party::Operator)
}
