//! `signet hub join|leave|rotate-key|status`, at an owner's computer.

use std::io::{self, BufRead, IsTerminal, Write};

use serde_json::json;

use super::place;
use crate::access::membership::Membership;
use crate::agent::enrol::{self, HubCallError};
use crate::base::allow::Place;
use crate::base::clock::Timestamp;
use crate::base::config::Config;
use crate::base::home::Home;
use crate::commands::{CommandError, Context, Outcome, failed, output};
use crate::hub::code::{Code, check_digits};
use crate::orders::outward::{Outward, Refusal};

/// What the user typed after `signet hub join`.
#[derive(Debug, clap::Args)]
pub(super) struct JoinArgs {
    /// The hub's address, as its operator gave it to you
    url: String,
    /// The one-time code
    code: String,
}

/// What the user typed after `signet hub leave`.
#[derive(Debug, clap::Args)]
pub(super) struct LeaveArgs {
    /// Also when the hub cannot be told
    #[arg(long)]
    anyway: bool,
}

/// Most places that one address of a hub leads to: its name, and what that is found at.
const PLACES_MAX: usize = 4;

/// Joins a hub.
///
/// # Errors
/// As the message says.
pub(super) fn join(args: &JoinArgs, context: &Context) -> Result<Outcome, CommandError> {
    let (home, config) = place::owner(context, "signet hub join")?;
    let code: Code = args.code.parse().map_err(|error| CommandError::Usage(format!("{error}")))?;
    confirm(&args.url, context)?;
    // Whoever names the hub means its address: that is what [outward] allow asks for.
    let mut places: Vec<Place> = Vec::new();
    let joined = loop {
        let outward = Outward::new(config.outward.allow.with(&places));
        match enrol::join(&home, &args.url, &code, &outward, Timestamp::now()) {
            Err(HubCallError::Gate(Refusal::Unnamed { cure, .. }))
                if places.len() < PLACES_MAX && !places.contains(&cure) =>
            {
                places.push(cure);
            }
            other => break other.map_err(failed)?,
        }
    };
    for place in &places {
        Config::allow(&home, place).map_err(failed)?;
        if !context.json {
            output::line(format_args!("signet.toml: [outward] allow has \"{place}\" now"));
        }
    }
    let hub = &joined.membership;
    let digits = check_digits(&hub.hub_key, &key_now(&home)?);
    if context.json {
        output::json(&json!({
            "joined": hub.url, "hub": joined.name, "label": joined.label,
            "agent_id": hub.agent_id, "base_url": hub.base_url, "check": digits,
            "pinned": hub.certificate,
        }));
        return Ok(Outcome::Done);
    }
    output::line(format_args!("joined `{}` at {} as `{}`", joined.name, hub.url, joined.label));
    output::line(format_args!("providers fetch at {}", hub.base_url));
    let certificate = match hub.certificate {
        Some(_) => "made by the hub itself, and pinned",
        None => "one that browsers trust",
    };
    output::line(format_args!("certificate: {certificate}"));
    output::line(format_args!("check:       {digits}"));
    output::line(format_args!(
        "the hub shows the same digits with `signet hub agents show {}`; start `signet run` anew",
        hub.agent_id
    ));
    Ok(Outcome::Done)
}

/// Leaves the hub.
///
/// # Errors
/// As the message says.
pub(super) fn leave(args: &LeaveArgs, context: &Context) -> Result<Outcome, CommandError> {
    let (home, config) = place::owner(context, "signet hub leave")?;
    let outward = Outward::new(config.outward.allow);
    let left = enrol::leave(&home, &outward, args.anyway, Timestamp::now());
    let left = match left {
        Err(error @ (HubCallError::Away { .. } | HubCallError::Between)) => {
            return Err(CommandError::failed(format!(
                "{error}: try again, or leave without telling it with --anyway"
            )));
        }
        other => other.map_err(failed)?,
    };
    if context.json {
        output::json(&json!({ "left": left.url, "agent_id": left.agent_id }));
    } else {
        output::line(format_args!(
            "left {}: providers reach this computer at its own address alone; start `signet run` \
             anew",
            left.url
        ));
    }
    Ok(Outcome::Done)
}

/// Puts a new key in the place of the one that the hub knows.
///
/// # Errors
/// As the message says.
pub(super) fn rotate(context: &Context) -> Result<Outcome, CommandError> {
    let (home, config) = place::owner(context, "signet hub rotate-key")?;
    let key = enrol::change_key(&home, &Outward::new(config.outward.allow), Timestamp::now())
        .map_err(failed)?;
    let hub = membership(&home)?.ok_or_else(|| failed(HubCallError::None))?;
    let digits = check_digits(&hub.hub_key, &key);
    if context.json {
        output::json(&json!({ "hub": hub.url, "key": key, "check": digits }));
    } else {
        output::line(format_args!("{} knows a new key of this computer", hub.url));
        output::line(format_args!("check: {digits}"));
        output::line("grants and consent are signed by keys/agent.key and stay as they are");
    }
    Ok(Outcome::Done)
}

/// Says which hub an owner's computer joined.
///
/// # Errors
/// As the message says.
pub(super) fn status(context: &Context) -> Result<Outcome, CommandError> {
    let (home, _) = place::owner(context, "signet hub status")?;
    let Some(hub) = membership(&home)? else {
        if context.json {
            output::json(&json!({ "joined": null }));
        } else {
            output::line("no hub: `signet hub join URL CODE` joins one");
        }
        return Ok(Outcome::Done);
    };
    let key = key_now(&home)?;
    let digits = check_digits(&hub.hub_key, &key);
    let unfinished = Membership::next_key_path(&home).exists();
    if context.json {
        output::json(&json!({
            "joined": hub.url, "agent_id": hub.agent_id, "base_url": hub.base_url,
            "joined_at": hub.joined_at.to_string(), "key": key, "check": digits,
            "pinned": hub.certificate, "key_change_unfinished": unfinished,
        }));
        return Ok(Outcome::Done);
    }
    output::line(format_args!("joined {} on {}", hub.url, hub.joined_at));
    output::line(format_args!("agent  {}", hub.agent_id));
    output::line(format_args!("fetch  {}", hub.base_url));
    output::line(format_args!("key    {key}"));
    output::line(format_args!("check  {digits}"));
    if unfinished {
        output::line("a change of key was cut off: `signet hub rotate-key` finishes it");
    }
    Ok(Outcome::Done)
}

fn membership(home: &Home) -> Result<Option<Membership>, CommandError> {
    Membership::load(home).map_err(failed)
}

fn key_now(home: &Home) -> Result<String, CommandError> {
    Ok(Membership::key(home).map_err(failed)?.public().to_string())
}

fn confirm(url: &str, context: &Context) -> Result<(), CommandError> {
    if context.yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(CommandError::Usage(
            "joining needs a yes: there is no terminal to ask on, so give --yes".into(),
        ));
    }
    output::line(format_args!("Providers that you agree with will fetch through {url}."));
    output::line("It sees who fetches what and when, and nothing goes there without your consent.");
    let mut stdout = io::stdout();
    let ask = stdout.write_all(b"Join? [y/N] ").and_then(|()| stdout.flush());
    ask.map_err(failed)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    match matches!(answer.trim(), "y" | "Y" | "yes") {
        true => Ok(()),
        false => Err(CommandError::failed("joined nothing")),
    }
}
