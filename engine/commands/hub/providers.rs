//! `signet hub providers`, at the hub's computer: who may fetch, what it pays, what it paid in.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::place::{self, HubPlace};
use crate::access::card::Card;
use crate::base::clock::Timestamp;
use crate::base::money::{decimal, parse_minor};
use crate::commands::{CommandError, Context, Outcome, failed, output};
use crate::hub::operators::{Actor, OperatorError};
use crate::hub::providers::{
    self, Payment, Proofs, ProviderEdit, Told, credit_minor, price, price_text, price_words,
    state_word,
};
use crate::store::Purpose;
use crate::store::hub::{HubStore, Price, ProviderRow, ProviderState, provider_account};

/// What the user typed after `signet hub providers`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum ProvidersCommand {
    /// Print the providers
    List,
    /// Print one, with prices and credit
    Show {
        /// Its name
        name: String,
    },
    /// Add one; its secrets are printed this once
    Add {
        /// Name in addresses, statements and rule files: a-z 0-9 -
        name: String,
        /// Take its key from the card that `signet lab invite` wrote
        #[arg(long, value_name = "FILE", conflicts_with = "key")]
        card: Option<PathBuf>,
        /// Its Ed25519 key, base64url
        #[arg(long)]
        key: Option<String>,
        /// Give it a secret for the hub's API; one without a key needs it
        #[arg(long)]
        secret: bool,
        #[command(flatten)]
        edit: Edit,
    },
    /// Change one; what is not named stays
    Set {
        /// Its name
        name: String,
        #[command(flatten)]
        edit: Edit,
    },
    /// Let it fetch nothing until it is resumed
    Pause {
        /// Its name
        name: String,
        /// Why, in words; it is told
        #[arg(long, default_value = "paused by the operator")]
        why: String,
    },
    /// Let it fetch again
    Resume {
        /// Its name
        name: String,
        /// Why, in words; it is told
        #[arg(long, default_value = "")]
        why: String,
    },
    /// End it for good
    Close {
        /// Its name
        name: String,
        /// Why, in words; it is told
        #[arg(long, default_value = "closed by the operator")]
        why: String,
    },
    /// Give it a new secret for the API, printed this once; the old one is worth nothing then
    NewSecret {
        /// Its name
        name: String,
    },
    /// Post that it paid in
    TopUp {
        /// Its name
        name: String,
        /// How much of its currency, such as 50.00
        #[arg(value_parser = parse_minor)]
        amount: i64,
        /// Names the payment, such as the bank's number; the same is posted once
        #[arg(long)]
        reference: Option<String>,
        /// In words
        #[arg(long, default_value = "")]
        note: String,
    },
}

/// What may be said about a provider.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Edit {
    /// What it may get photos for: print, share
    #[arg(long = "purposes", value_delimiter = ',', value_name = "PURPOSES")]
    purposes: Option<Vec<Purpose>>,
    /// Currency of its account
    #[arg(long)]
    currency: Option<String>,
    /// What an access costs in minor units: MEMBER[:PURPOSE][:Nmp]=MINOR, `any` for every member; may
    /// be given several times, and all of them replace those before
    #[arg(long = "price", value_parser = price, value_name = "PRICE")]
    prices: Vec<Price>,
    /// No access at any price
    #[arg(long, conflicts_with = "prices")]
    no_prices: bool,
    /// How far its account may go below zero, such as 20.00
    #[arg(long, value_parser = parse_minor, value_name = "AMOUNT")]
    credit_limit: Option<i64>,
    /// Part of each fee that the service keeps, 0 to 100 [default: that of hub.toml]
    #[arg(long, value_name = "PERCENT")]
    service_percent: Option<u8>,
    /// Requests a minute
    #[arg(long, value_name = "COUNT")]
    per_minute: Option<u32>,
    /// Accesses a day after which it is paused
    #[arg(long, value_name = "COUNT")]
    per_day: Option<u32>,
    /// Address where it is told of things; an empty one for nowhere
    #[arg(long, value_name = "URL")]
    notify: Option<String>,
}

impl Edit {
    fn edit(&self) -> ProviderEdit {
        let has_prices = self.no_prices || !self.prices.is_empty();
        ProviderEdit {
            purposes: self.purposes.clone(),
            currency: self.currency.clone(),
            prices: has_prices.then(|| self.prices.clone()),
            credit_limit_minor: self.credit_limit,
            service_percent: self.service_percent,
            requests_per_minute: self.per_minute,
            accesses_per_day: self.per_day,
            notify_url: self.notify.clone(),
        }
    }
}

/// Runs it.
///
/// # Errors
/// As the message says.
pub(super) fn run(command: &ProvidersCommand, context: &Context) -> Result<Outcome, CommandError> {
    use ProvidersCommand as Command;
    let hub = place::hub(context, "signet hub providers")?;
    let (host, now) = (Actor::host(), Timestamp::now());
    match command {
        Command::List => list(&hub, context)?,
        Command::Show { name } => {
            let row = hub.store.provider(name).map_err(failed)?;
            let row = row.ok_or_else(|| {
                CommandError::Usage(format!("there is no provider `{name}` at this hub"))
            })?;
            show(&hub, &row, context)?;
        }
        Command::Add { name, card, key, secret, edit } => {
            let key = match card {
                Some(path) => Some(key_of(path)?),
                None => key.clone(),
            };
            let proofs = Proofs { key, secret: *secret };
            let percent = hub.config.service_percent;
            let edit = edit.edit();
            let told = providers::add(&hub.store, &host, name, &proofs, &edit, percent, now);
            tell(&hub, &told.map_err(said)?, context)?;
        }
        Command::Set { name, edit } => {
            let edit = edit.edit();
            if edit == ProviderEdit::default() {
                return Err(CommandError::Usage(
                    "nothing to change: name what is to be different, such as --per-day 200".into(),
                ));
            }
            let told = providers::set(&hub.store, &host, name, &edit, now).map_err(said)?;
            tell(&hub, &told, context)?;
        }
        Command::Pause { name, why } => state(&hub, name, ProviderState::Paused, why, context)?,
        Command::Resume { name, why } => state(&hub, name, ProviderState::Active, why, context)?,
        Command::Close { name, why } => state(&hub, name, ProviderState::Closed, why, context)?,
        Command::NewSecret { name } => {
            let told = providers::renew_secret(&hub.store, &host, name, now).map_err(said)?;
            tell(&hub, &told, context)?;
        }
        Command::TopUp { name, amount, reference, note } => {
            let payment = Payment { minor: *amount, reference: reference.as_deref(), note };
            let paid = providers::top_up(&hub.store, &host, name, payment, now).map_err(said)?;
            if context.json {
                output::json(&paid);
            } else {
                let what = if paid.is_new { "posted" } else { "was posted before" };
                let currency = &paid.posting.currency;
                output::line(format_args!(
                    "{} {currency} from {name}: {what}; {} {currency} are on its account",
                    decimal(*amount),
                    decimal(paid.balance_minor.saturating_neg())
                ));
            }
        }
    }
    Ok(Outcome::Done)
}

/// What is not possible as it was typed is wrong use, everything else a failure.
fn said(error: OperatorError) -> CommandError {
    match error {
        OperatorError::Refused(why) => CommandError::Usage(why),
        other => failed(other),
    }
}

fn key_of(card: &Path) -> Result<String, CommandError> {
    let card = Card::read(card).map_err(failed)?;
    card.key.map(|key| key.x).ok_or_else(|| {
        CommandError::Usage("that card has no key: give the provider a secret with --secret".into())
    })
}

fn state(
    hub: &HubPlace,
    name: &str,
    state: ProviderState,
    why: &str,
    context: &Context,
) -> Result<(), CommandError> {
    let host = Actor::host();
    let row = providers::set_state(&hub.store, &host, name, state, why, Timestamp::now());
    let row = row.map_err(said)?;
    if context.json {
        output::json(&view(hub, &row)?);
    } else {
        output::line(format_args!("{name} is {}", state_word(row.state)));
    }
    Ok(())
}

fn list(hub: &HubPlace, context: &Context) -> Result<(), CommandError> {
    let rows = hub.store.providers().map_err(failed)?;
    for row in &rows {
        if context.json {
            output::json(&view(hub, row)?);
            continue;
        }
        let credit = credit_minor(&hub.store, row).map_err(failed)?;
        let proof = if row.key.is_some() { "key" } else { "URLs" };
        output::line(format_args!(
            "{:<20} {:<6} {proof:<4} credit {} {}",
            row.name,
            state_word(row.state),
            decimal(credit),
            row.currency
        ));
    }
    if rows.is_empty() && !context.json {
        output::line("no provider yet: `signet hub providers add NAME --card FILE` adds one");
    }
    Ok(())
}

fn tell(hub: &HubPlace, told: &Told, context: &Context) -> Result<(), CommandError> {
    if context.json {
        let mut view = view(hub, &told.provider)?;
        view["secret"] = json!(told.secret);
        view["notify_secret"] = json!(told.notify_secret);
        output::json(&view);
        return Ok(());
    }
    show(hub, &told.provider, context)?;
    let secrets =
        [("secret for the API", &told.secret), ("secret of its notices", &told.notify_secret)];
    for (what, secret) in secrets {
        if let Some(secret) = secret {
            output::line(format_args!("{what}, shown this once: {secret}"));
        }
    }
    Ok(())
}

fn show(hub: &HubPlace, row: &ProviderRow, context: &Context) -> Result<(), CommandError> {
    if context.json {
        output::json(&view(hub, row)?);
        return Ok(());
    }
    let why = if row.why.is_empty() { String::new() } else { format!(": {}", row.why) };
    output::line(format_args!("{}  {}{why}", row.name, state_word(row.state)));
    let proof = match (&row.key, &row.secret_hash) {
        (Some(key), Some(_)) => format!("its key {key}, and a secret for the API"),
        (Some(key), None) => format!("its key {key}"),
        (None, _) => "a secret for the API; it fetches by URLs".to_owned(),
    };
    output::line(format_args!("  proves itself by {proof}"));
    let purposes: Vec<_> = row.purposes.iter().map(ToString::to_string).collect();
    output::line(format_args!("  may     {}", purposes.join(", ")));
    for price in &row.prices {
        output::line(format_args!("  pays    {}", price_words(price, &row.currency)));
    }
    if row.prices.is_empty() {
        output::line("  pays    nothing is priced, so it gets nothing: set a --price");
    }
    output::line(format_args!(
        "  limits  {} requests a minute, {} accesses a day, {} {} of credit",
        row.requests_per_minute,
        row.accesses_per_day,
        decimal(row.credit_limit_minor),
        row.currency
    ));
    output::line(format_args!("  service {} % of each fee", row.service_percent));
    let credit = credit_minor(&hub.store, row).map_err(failed)?;
    output::line(format_args!("  left    {} {}", decimal(credit), row.currency));
    if !row.notify_url.is_empty() {
        output::line(format_args!("  told at {}", row.notify_url));
    }
    Ok(())
}

/// A provider without what is secret.
fn view(hub: &HubPlace, row: &ProviderRow) -> Result<Value, CommandError> {
    let balance = hub.store.balance(&provider_account(&row.name), &row.currency).map_err(failed)?;
    Ok(json!({
        "name": row.name, "state": row.state, "why": row.why, "key": row.key,
        "has_secret": row.secret_hash.is_some(), "purposes": row.purposes,
        "currency": row.currency, "prices": row.prices.iter().map(price_text).collect::<Vec<_>>(),
        "credit_limit_minor": row.credit_limit_minor, "service_percent": row.service_percent,
        "requests_per_minute": row.requests_per_minute, "accesses_per_day": row.accesses_per_day,
        "notify_url": row.notify_url, "balance_minor": balance,
        "reserved_minor": hub.store.reserved(&row.name).map_err(failed)?,
        "credit_minor": credit_minor(&hub.store, row).map_err(failed)?,
    }))
}
