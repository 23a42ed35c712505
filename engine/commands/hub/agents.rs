//! `signet hub invite|agents|lost|pay-out`, at the hub's computer: owners' computers.

use serde_json::{Value, json};

use super::place::{self, HubPlace};
use crate::base::clock::Timestamp;
use crate::base::money::{Currency, decimal, parse_minor};
use crate::commands::{CommandError, Context, Outcome, failed, output};
use crate::hub::alias::Aliases;
use crate::hub::code::check_digits;
use crate::hub::enrol::{self, CODE_HOURS};
use crate::hub::operators::Actor;
use crate::hub::providers::{self, Payment};
use crate::store::hub::{AgentRow, AgentState, HubStore};

/// Agents that are read at once.
const PAGE: u32 = 1000;

/// What the user typed after `signet hub invite`.
#[derive(Debug, clap::Args)]
pub(super) struct InviteArgs {
    /// What you call that computer, such as "Ada's laptop"
    label: String,
    /// How long the code is good
    #[arg(long, default_value_t = CODE_HOURS)]
    hours: u32,
    /// The lost agent whose place the new computer takes, with its account
    #[arg(long, value_name = "AGENT", allow_hyphen_values = true)]
    replaces: Option<String>,
}

/// What the user typed after `signet hub agents`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum AgentsCommand {
    /// Print the owners' computers that joined
    List,
    /// Print one, with the digits that its owner sees too
    Show {
        /// Its id, or what logs call it
        #[arg(allow_hyphen_values = true)]
        agent: String,
    },
    /// End a membership
    Remove {
        /// Its id
        #[arg(allow_hyphen_values = true)]
        agent: String,
        /// Why, in words
        #[arg(long, default_value = "removed by the operator")]
        why: String,
    },
}

/// What the user typed after `signet hub lost`.
#[derive(Debug, clap::Args)]
pub(super) struct LostArgs {
    /// Id of the computer that was lost
    #[arg(allow_hyphen_values = true)]
    agent: String,
    /// What happened, in words
    #[arg(long, default_value = "its computer was lost")]
    why: String,
}

/// What the user typed after `signet hub pay-out`.
#[derive(Debug, clap::Args)]
pub(super) struct PayOutArgs {
    /// Id of the owner's computer
    #[arg(allow_hyphen_values = true)]
    owner: String,
    /// How much, such as 12.50
    #[arg(value_parser = parse_minor)]
    amount: i64,
    /// Of which currency
    #[arg(long, value_parser = currency)]
    currency: Currency,
    /// Names the payment, such as the bank's number; the same is posted once
    #[arg(long)]
    reference: Option<String>,
    /// In words
    #[arg(long, default_value = "")]
    note: String,
}

/// Makes a code and prints what its owner types.
///
/// # Errors
/// As the message says.
pub(super) fn invite(args: &InviteArgs, context: &Context) -> Result<Outcome, CommandError> {
    let hub = place::hub(context, "signet hub invite")?;
    let url = hub.url()?;
    let replaces = args.replaces.as_deref();
    let now = Timestamp::now();
    let (code, row) =
        enrol::invite(&hub.store, &Actor::host(), &args.label, args.hours, replaces, now)
            .map_err(failed)?;
    let command = format!("signet hub join {url} {code}");
    if context.json {
        output::json(&json!({
            "command": command, "url": url, "code": code.to_string(), "label": row.label,
            "replaces": row.replaces, "expires_at": row.expires_at.to_string(),
        }));
    } else {
        output::line(&command);
        tracing::info!("good for one computer, until {}", row.expires_at);
    }
    Ok(Outcome::Done)
}

/// Lists, shows or removes agents.
///
/// # Errors
/// As the message says.
pub(super) fn agents(args: &AgentsCommand, context: &Context) -> Result<Outcome, CommandError> {
    let hub = place::hub(context, "signet hub agents")?;
    match args {
        AgentsCommand::List => list(&hub, context)?,
        AgentsCommand::Show { agent } => {
            let row = find(&hub, agent)?.ok_or_else(|| {
                CommandError::Usage(format!("there is no agent `{agent}` at this hub"))
            })?;
            show(&hub, &row, context)?;
        }
        AgentsCommand::Remove { agent, why } => {
            return cut_off(&hub, agent, AgentState::Left, why, context);
        }
    }
    Ok(Outcome::Done)
}

/// Cuts a lost computer off.
///
/// # Errors
/// As the message says.
pub(super) fn lost(args: &LostArgs, context: &Context) -> Result<Outcome, CommandError> {
    let hub = place::hub(context, "signet hub lost")?;
    cut_off(&hub, &args.agent, AgentState::Lost, &args.why, context)
}

/// Posts that an owner was paid.
///
/// # Errors
/// As the message says.
pub(super) fn pay_out(args: &PayOutArgs, context: &Context) -> Result<Outcome, CommandError> {
    let hub = place::hub(context, "signet hub pay-out")?;
    let reference = args.reference.as_deref();
    let payment = Payment { minor: args.amount, reference, note: &args.note };
    let host = Actor::host();
    let now = Timestamp::now();
    let paid = providers::pay_out(&hub.store, &host, &args.owner, &args.currency, payment, now)
        .map_err(failed)?;
    if context.json {
        output::json(&paid);
    } else {
        let what = if paid.is_new { "posted" } else { "was posted before" };
        let left = decimal(paid.balance_minor.saturating_neg());
        output::line(format_args!(
            "{} {} to {}: {what}; {left} {} are left",
            decimal(args.amount),
            args.currency,
            args.owner,
            args.currency
        ));
    }
    Ok(Outcome::Done)
}

fn cut_off(
    hub: &HubPlace,
    agent_id: &str,
    state: AgentState,
    why: &str,
    context: &Context,
) -> Result<Outcome, CommandError> {
    let row = enrol::cut_off(&hub.store, &Actor::host(), agent_id, state, why, Timestamp::now())
        .map_err(failed)?;
    if context.json {
        output::json(&view(&row, &aliases(hub)?));
        return Ok(Outcome::Done);
    }
    output::line(format_args!(
        "{agent_id} ({}) is {}: its offers are withdrawn, a hub that runs closes its channel within \
         seconds",
        row.label,
        state_word(row.state)
    ));
    if row.state == AgentState::Lost {
        output::line(format_args!(
            "for the new computer: signet hub invite \"{}\" --replaces {agent_id}",
            row.label
        ));
    }
    Ok(Outcome::Done)
}

/// The agent with this id, or that logs call so.
fn find(hub: &HubPlace, agent: &str) -> Result<Option<AgentRow>, CommandError> {
    if let Some(row) = hub.store.agent(agent).map_err(failed)? {
        return Ok(Some(row));
    }
    let aliases = aliases(hub)?;
    let mut found = None;
    each(hub, |row| {
        if aliases.alias(&row.agent_id) == agent {
            found = Some(row);
        }
    })?;
    Ok(found)
}

fn aliases(hub: &HubPlace) -> Result<Aliases, CommandError> {
    hub.home.key().map(|key| Aliases::of(&key)).map_err(failed)
}

/// Looks at all agents, by id; returns how many there are.
fn each(hub: &HubPlace, mut look: impl FnMut(AgentRow)) -> Result<usize, CommandError> {
    let mut after: Option<String> = None;
    let mut count = 0;
    loop {
        let page = hub.store.agents(after.as_deref(), PAGE).map_err(failed)?;
        after = page.last().map(|last| last.agent_id.clone());
        let is_last = page.len() < PAGE as usize;
        count += page.len();
        page.into_iter().for_each(&mut look);
        if is_last {
            return Ok(count);
        }
    }
}

fn list(hub: &HubPlace, context: &Context) -> Result<(), CommandError> {
    let aliases = aliases(hub)?;
    let count = each(hub, |row| {
        if context.json {
            output::json(&view(&row, &aliases));
            return;
        }
        let seen = row.seen_at.map_or("never".to_owned(), |at| at.to_string());
        output::line(format_args!(
            "{}  {:<6}  seen {seen:<24}  in logs {}  {}",
            row.agent_id,
            state_word(row.state),
            aliases.alias(&row.agent_id),
            row.label
        ));
    })?;
    if count == 0 && !context.json {
        output::line("nobody joined yet: `signet hub invite LABEL` makes a code");
    }
    Ok(())
}

fn show(hub: &HubPlace, row: &AgentRow, context: &Context) -> Result<(), CommandError> {
    let hub_key = hub.home.key().map_err(failed)?.public().to_string();
    let digits = check_digits(&hub_key, &row.key);
    let balances = hub.store.balances().map_err(failed)?;
    let own = balances.into_iter().filter(|(name, _, _)| *name == row.account);
    let earned: Vec<_> =
        own.map(|(_, currency, minor)| (currency, minor.saturating_neg())).collect();
    if context.json {
        let mut view = view(row, &aliases(hub)?);
        view["check"] = json!(digits);
        view["earned_minor"] = earned.iter().map(|(c, minor)| (c.clone(), json!(minor))).collect();
        output::json(&view);
        return Ok(());
    }
    output::line(format_args!("agent   {} ({})", row.agent_id, row.label));
    let why = if row.why.is_empty() { String::new() } else { format!(": {}", row.why) };
    output::line(format_args!("state   {}{why}", state_word(row.state)));
    output::line(format_args!("in logs {}", aliases(hub)?.alias(&row.agent_id)));
    if let Some(other) = &row.replaced_by {
        output::line(format_args!("now     {other} is in its place"));
    }
    output::line(format_args!("account {}", row.account));
    output::line(format_args!("joined  {}", row.joined_at));
    output::line(format_args!(
        "seen    {}",
        row.seen_at.map_or("never".into(), |at| at.to_string())
    ));
    output::line(format_args!("check   {digits}"));
    for (currency, minor) in earned {
        output::line(format_args!("earned  {} {currency}, not paid out yet", decimal(minor)));
    }
    Ok(())
}

fn view(row: &AgentRow, aliases: &Aliases) -> Value {
    json!({
        "agent_id": row.agent_id, "log_name": aliases.alias(&row.agent_id), "label": row.label, "state": row.state, "why": row.why,
        "key": row.key, "grant_key": row.grant_key, "account": row.account,
        "replaced_by": row.replaced_by, "joined_at": row.joined_at.to_string(),
        "seen_at": row.seen_at.map(|at| at.to_string()),
    })
}

const fn state_word(state: AgentState) -> &'static str {
    match state {
        AgentState::Active => "active",
        AgentState::Lost => "lost",
        AgentState::Left => "left",
    }
}

fn currency(text: &str) -> Result<Currency, String> {
    Currency::try_from(text.to_owned()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Lost {
        #[command(flatten)]
        args: LostArgs,
    }

    #[derive(Debug, Parser)]
    struct Invited {
        #[command(flatten)]
        args: InviteArgs,
    }

    #[test]
    fn id_that_begins_with_a_dash_is_no_option() {
        // One in 64 does, since ids are written in base64url.
        for id in [
            "-hcNq3f8XzTqk0y5hYd2Bv1Rr8m6W4uJp7sLxAeGoI",
            "--why3f8XzTqk0y5hYd2Bv1Rr8m6W4uJp7sLxAeGoI",
        ] {
            for words in [vec!["lost", id, "--why", "stolen"], vec!["lost", "--why", "stolen", id]]
            {
                let lost = Lost::try_parse_from(&words).expect("it is an id").args;
                assert_eq!((lost.agent.as_str(), lost.why.as_str()), (id, "stolen"));
            }
            let words = ["invite", "Mia", "--replaces", id];
            let invited = Invited::try_parse_from(words).expect("it is an id").args;
            assert_eq!(invited.replaces.as_deref(), Some(id));
        }
    }
}
