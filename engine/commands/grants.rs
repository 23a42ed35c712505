//! `signet grants list|revoke`, and `signet stop`.

use crate::base::clock::Timestamp;
use crate::base::home::Home;
use crate::store::State;
use crate::store::orders::words as order_words;

use super::{CommandError, Context, Outcome, failed, output};

/// What the user typed.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print who may fetch what, and until when
    List,
    /// Take grants back; transfers under way end
    Revoke {
        /// Id of a grant, key of an order, or name of a provider
        which: String,
    },
}

/// What the user typed after `signet stop`.
#[derive(Debug, clap::Args)]
pub struct StopArgs {
    /// Let orders and fetching go on again; revoked grants stay revoked
    #[arg(long)]
    lift: bool,
}

/// Runs `signet grants`.
///
/// # Errors
/// As the message says.
pub fn run(args: &Args, context: &Context) -> Result<Outcome, CommandError> {
    let home = Home::open(&context.home).map_err(failed)?;
    let state = State::open(&home.state_path()).map_err(failed)?;
    let now = Timestamp::now();
    match &args.command {
        Command::List => {
            let grants = state.grants(None).map_err(failed)?;
            for grant in &grants {
                let order = state.order(&grant.order_key).map_err(failed)?;
                let why = order.map_or_else(String::new, |order| {
                    format!("{}: {}", order_words(&order), order.origin)
                });
                let offer = state.grant_offer(&grant.grant_id).map_err(failed)?;
                if context.json {
                    let mut line = serde_json::to_value(grant).map_err(failed)?;
                    line["why"] = why.into();
                    line["through_hub"] = offer.map(|offer| offer.base_url).into();
                    output::json(&line);
                    continue;
                }
                let status = match grant.revoked_at {
                    Some(at) => format!("revoked {at}"),
                    None if grant.expires_at <= now => format!("expired {}", grant.expires_at),
                    None => format!("until {}", grant.expires_at),
                };
                output::line(format_args!(
                    "{}  {:<10} {:<10} order {}  {:<24} {status}",
                    grant.grant_id, grant.provider, grant.member, grant.order_key, grant.name
                ));
                let way = match offer {
                    Some(offer) => format!("through the hub, at {}", offer.base_url),
                    None => "from this computer itself".into(),
                };
                output::line(format_args!("    for {why}; fetched {way}"));
            }
            if grants.is_empty() && !context.json {
                output::line("no grants: nobody may fetch anything");
            }
        }
        Command::Revoke { which } => {
            let count = state.revoke(Some(which), "revoked by the owner", now).map_err(failed)?;
            if count == 0 {
                return Err(CommandError::Usage(format!(
                    "no grant in force has `{which}` as its id, order or provider"
                )));
            }
            report_revoked(count, context);
        }
    }
    Ok(Outcome::Done)
}

/// Runs `signet stop`.
///
/// # Errors
/// As the message says.
pub fn stop(args: &StopArgs, context: &Context) -> Result<Outcome, CommandError> {
    let home = Home::open(&context.home).map_err(failed)?;
    let state = State::open(&home.state_path()).map_err(failed)?;
    let now = Timestamp::now();
    state.set_stopped(!args.lift, now).map_err(failed)?;
    if args.lift {
        if !context.json {
            output::line("orders go out again; grants that were revoked stay revoked");
        }
    } else {
        let count = state.revoke(None, "stopped by the owner", now).map_err(failed)?;
        report_revoked(count, context);
        if !context.json {
            output::line("nothing is dispatched or served until `signet stop --lift`");
        }
    }
    Ok(Outcome::Done)
}

fn report_revoked(count: usize, context: &Context) {
    if context.json {
        output::json(&serde_json::json!({ "revoked": count }));
    } else {
        output::line(format_args!("{count} grants revoked"));
    }
}
