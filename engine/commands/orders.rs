//! `signet orders list|show|link|approve|cancel`.

use std::sync::Arc;

use crate::access::{Consent, Key, LinkKey, decision};
use crate::agent::books::{ConsentBook, OutwardBook};
use crate::agent::outlet::share_link;
use crate::agent::providers::Providers;
use crate::base::causes::one_line;
use crate::base::clock::Timestamp;
use crate::base::config::Config;
use crate::base::home::Home;
use crate::base::money::decimal;
use crate::orders::decide::{self, DecideError};
use crate::store::orders::words;
use crate::store::{GrantRow, Order, OrderState, State};

use super::{CommandError, Context, Outcome, failed, output};

/// What the user typed.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print orders, oldest first
    List {
        /// Only those in one state: ask, held, planned, ready, sent, accepted, fetching, production,
        /// shipped, done, refused, failed, cancelled
        #[arg(long)]
        state: Option<String>,
    },
    /// Print one order with its grants
    Show {
        /// Its key, or the beginning of it
        order: String,
    },
    /// Print a link by which an order is decided from any device, for a week
    Link {
        /// Its key, or the beginning of it
        order: String,
    },
    /// Let orders go ahead that wait for you
    Approve {
        /// Their keys, or the beginnings of them
        #[arg(required = true)]
        orders: Vec<String>,
    },
    /// Take orders back and revoke their grants; a provider that has one is asked to stop it
    Cancel {
        /// Their keys, or the beginnings of them
        #[arg(required = true)]
        orders: Vec<String>,
        /// Where orders ship together and cannot be stopped one by one: stop all of them
        #[arg(long)]
        with_others: bool,
    },
}

/// Runs it.
///
/// # Errors
/// As the message says.
pub fn run(args: &Args, context: &Context) -> Result<Outcome, CommandError> {
    let home = Home::open(&context.home).map_err(failed)?;
    let state = State::open(&home.state_path()).map_err(failed)?;
    match &args.command {
        Command::List { state: wanted } => {
            let wanted = wanted.as_deref().map(str::parse).transpose();
            let wanted: Option<OrderState> = wanted.map_err(CommandError::Usage)?;
            let orders = state.orders(wanted).map_err(failed)?;
            if context.json {
                orders.iter().for_each(output::json);
            } else if orders.is_empty() {
                output::line("no orders");
            } else {
                orders.iter().for_each(|order| output::line(line_of(order)));
            }
            Ok(Outcome::Done)
        }
        Command::Show { order } => {
            show(&home, &state, &find(&state, order)?, context)?;
            Ok(Outcome::Done)
        }
        Command::Link { order } => {
            let order_key = find(&state, order)?.order_key;
            let reached_at = Config::load(&home).map_err(failed)?.serve.reached_at();
            let reached_at = reached_at.ok_or_else(|| {
                CommandError::failed(
                    "nobody knows where links should point to: set public_url in [serve] of \
                     signet.toml",
                )
            })?;
            let key = Key::load_or_create(&home.keys_dir().join("agent.key")).map_err(failed)?;
            let links = LinkKey::of(&key);
            let link = decision::link(&links, &reached_at, &order_key, Timestamp::now());
            if context.json {
                output::json(&serde_json::json!({ "order_key": order_key, "link": link }));
            } else {
                output::line(link);
            }
            Ok(Outcome::Done)
        }
        Command::Approve { orders } => {
            let key = Key::load_or_create(&home.keys_dir().join("agent.key")).map_err(failed)?;
            let consent = Consent::load(&home, &key.public()).map_err(failed)?;
            each(&state, orders, context, |order| {
                let terms = consent.providers.get(&order.provider);
                decide::approve(&state, terms, order, Timestamp::now())?;
                Ok("approved".to_owned())
            })
        }
        Command::Cancel { orders, with_others } => {
            let key = Key::load_or_create(&home.keys_dir().join("agent.key")).map_err(failed)?;
            let consent = Arc::new(ConsentBook::new(home.clone(), key.public()));
            let allow = Config::load(&home).map_err(failed)?.outward.allow;
            let outward = Arc::new(OutwardBook::new(home.clone(), allow));
            let providers = Providers { home, consent, key: Arc::new(key), outward };
            let target = |provider: &str| providers.target(provider);
            each(&state, orders, context, |order| {
                decide::cancel(&state, target, order, *with_others, Timestamp::now())
            })
        }
    }
}

/// Does something with each order named; one that does not work does not stop the others.
fn each(
    state: &State,
    names: &[String],
    context: &Context,
    work: impl Fn(&Order) -> Result<String, DecideError>,
) -> Result<Outcome, CommandError> {
    let mut outcome = Outcome::Done;
    for name in names {
        let done = find(state, name).and_then(|order| match work(&order) {
            Ok(text) => Ok((text, order)),
            Err(error) => {
                Err(CommandError::failed(format!("`{}`: {}", order.order_key, one_line(&error))))
            }
        });
        match done {
            Ok((text, order)) if context.json => {
                output::json(&serde_json::json!({ "order_key": order.order_key, "done": text }));
            }
            Ok((text, order)) => output::line(format_args!("{}: {text}", order.order_key)),
            Err(error) => {
                tracing::error!("{error}");
                outcome = Outcome::SomeFailed;
            }
        }
    }
    Ok(outcome)
}

/// Addresses that the owner may pass on; none for a provider that shows its key.
fn share_links(
    home: &Home,
    state: &State,
    order: &Order,
    grants: &[GrantRow],
) -> Result<Vec<String>, CommandError> {
    let key = Key::load_or_create(&home.keys_dir().join("agent.key")).map_err(failed)?;
    let consent = Consent::load(home, &key.public()).map_err(failed)?;
    let by_link = consent.providers.get(&order.provider).is_some_and(|terms| terms.key.is_empty());
    let reached_at = Config::load(home).map_err(failed)?.serve.reached_at();
    let (links, mut addresses) = (LinkKey::of(&key), Vec::new());
    for grant in grants.iter().filter(|grant| by_link && grant.revoked_at.is_none()) {
        let offer = state.grant_offer(&grant.grant_id).map_err(failed)?;
        let base = offer.map(|offer| offer.base_url).or_else(|| reached_at.clone());
        addresses.extend(base.map(|base| share_link(&links, &base, grant)));
    }
    Ok(addresses)
}

fn show(home: &Home, state: &State, order: &Order, context: &Context) -> Result<(), CommandError> {
    let grants = state.grants(Some(&order.order_key)).map_err(failed)?;
    // What is known of the order is shown even when the consent cannot be read.
    let links = share_links(home, state, order, &grants).unwrap_or_else(|error| {
        tracing::warn!("its links cannot be told: {error}");
        Vec::new()
    });
    let trouble = state.outbox_trouble(&order.order_key).map_err(failed)?;
    let parcel = state.parcel_of(&order.order_key).map_err(failed)?;
    if context.json {
        let history = state.order_events(&order.order_key).map_err(failed)?.into_iter();
        let history = history
            .map(|(at, state, note)| serde_json::json!({ "at": at, "state": state, "note": note }));
        let history: Vec<_> = history.collect();
        output::json(&serde_json::json!({
            "order": order, "parcel": parcel, "grants": grants, "links": links, "trouble": trouble,
            "history": history,
        }));
        return Ok(());
    }
    output::line(line_of(order));
    output::line(format_args!("  rule      {} of revision {}", order.rule, order.revision));
    output::line(format_args!("  because   {}", order.origin));
    if order.reason != order.origin {
        output::line(format_args!("  {:<9} {}", order.state, order.reason));
    }
    if let (OrderState::Planned, Some(hold)) = (order.state, order.hold) {
        output::line(format_args!(
            "  goes out  {}, with others for the same addressee",
            hold.until
        ));
    }
    if let Some(parcel) = &parcel {
        let remote = parcel.remote.as_deref().unwrap_or("not known yet whether it was taken");
        output::line(format_args!("  parcel    {}, sent {}", parcel.parcel_key, parcel.sent_at));
        output::line(format_args!("  there     {remote}"));
        if let Some(next) = parcel.next_look_at {
            output::line(format_args!("  asked     {next}, what became of it"));
        }
    }
    if let (OrderState::Held, Some(hold)) = (order.state, order.hold) {
        let until = hold.until;
        output::line(format_args!(
            "  goes out  {until}, unless you say `signet orders cancel`; `approve` sends it now"
        ));
    }
    if let Some(crop) = order.crop {
        output::line(format_args!("  crop      {crop} of the upright photo"));
    }
    if let Some(most) = &order.price_max {
        output::line(format_args!("  up to     {most}, by its rule"));
    }
    if let Some(before) = &order.instead_of {
        output::line(format_args!("  instead   of {before}"));
    }
    if let Some(heir) = state.heir_of(&order.order_key).map_err(failed)? {
        let Order { order_key, provider, state, .. } = heir;
        output::line(format_args!("  replaced  by {order_key} at `{provider}`, which is {state}"));
    }
    if !order.fallback.is_empty() {
        output::line(format_args!("  or from   {}", order.fallback.join(", then ")));
    }
    output::line(format_args!("  planned   {}", order.created_at));
    output::line(format_args!("  changed   {}", order.updated_at));
    for (at, state, note) in state.order_events(&order.order_key).map_err(failed)? {
        output::line(format_args!("  history   {at} {state}: {note}"));
    }
    if let Some(trouble) = trouble {
        output::line(format_args!("  trouble   {trouble}"));
    }
    for grant in grants {
        let end = grant
            .revoked_at
            .map_or_else(|| format!("until {}", grant.expires_at), |at| format!("revoked {at}"));
        let (id, member, name) = (&grant.grant_id, grant.member, &grant.name);
        output::line(format_args!("  grant     {id} {member:<10} {name}  {end}"));
    }
    for link in links {
        output::line(format_args!("  link      {link}"));
    }
    Ok(())
}

fn line_of(order: &Order) -> String {
    format!(
        "{}  {:<9}  {:<32} {:>9} {}  {:<10} {}/{}",
        order.order_key,
        order.state,
        words(order),
        decimal(order.price_minor),
        order.currency,
        order.provider,
        order.collection,
        order.relative,
    )
}

fn find(state: &State, name: &str) -> Result<Order, CommandError> {
    let mut found: Vec<Order> = state.orders(None).map_err(failed)?;
    found.retain(|order| order.order_key.starts_with(name));
    match (found.len(), found.pop()) {
        (1, Some(order)) => Ok(order),
        (0, _) => Err(CommandError::Usage(format!("there is no order `{name}`"))),
        (count, _) => {
            Err(CommandError::Usage(format!("`{name}` is the beginning of {count} orders")))
        }
    }
}
