//! `signet consent show|allow|withdraw`: the owner's standing agreement with providers.

use std::collections::BTreeSet;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use crate::access::{Card, Consent, Key, PublicKey};
use crate::base::allow::{Allow, Place};
use crate::base::clock::Timestamp;
use crate::base::config::Config;
use crate::base::files::{Readers, write_atomic};
use crate::base::home::Home;
use crate::base::member::Member;
use crate::base::money::{decimal, parse_minor};
use crate::orders::Terms;
use crate::orders::outward::{Refusal, foresee};
use crate::orders::terms::{self, Relay};
use crate::preview::PreviewSpec;
use crate::store::{Purpose, State};

use super::{CommandError, Context, Outcome, failed, output};

/// What the user typed.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print what you agreed to
    Show,
    /// Agree with a provider, once, within limits; its card says who it is
    Allow {
        /// The card that the provider gave you
        card: PathBuf,
        /// Another name for it than the card's, for use in rules
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        limits: Limits,
    },
    /// Take the agreement with a provider back and revoke its grants
    Withdraw {
        /// Name of the provider
        name: String,
    },
}

/// What a hub sees of what passes.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum ThroughHub {
    /// Only the provider can open it
    Sealed,
    /// The hub can see what passes
    Clear,
}

/// What a provider may do without asking again.
#[derive(Debug, Clone, clap::Args)]
pub struct Limits {
    /// What it may get photos for
    #[arg(long = "purpose", value_delimiter = ',', default_values = ["print"])]
    purposes: Vec<String>,
    /// Most that a month's orders may cost, for example 50.00
    #[arg(long, default_value = "50.00")]
    spend_per_month: String,
    /// Most orders in a day
    #[arg(long, default_value_t = 50)]
    orders_per_day: u32,
    /// Most copies of one photo in an order
    #[arg(long, default_value_t = 10)]
    copies_per_order: u32,
    /// Companions that may go with a photo where a rule names them, such as voice-memo,motion
    #[arg(long, value_delimiter = ',')]
    companions: Vec<String>,
    /// Keep to yourself where photos lie: collection, album, folder, place in the roll
    #[arg(long)]
    no_structure: bool,
    /// How photos go when they pass through a hub: sealed, so that it cannot see them, or clear for
    /// a provider that only knows addresses
    #[arg(long, value_enum, default_value_t = ThroughHub::Sealed)]
    through_hub: ThroughHub,
    /// Leave a sealed copy of what is ordered at the hub, so that the provider can fetch while this
    /// computer is off
    #[arg(long)]
    stage: bool,
    /// Days that it has to fetch an ordered photo
    #[arg(long, default_value_t = 14)]
    grant_days: u32,
    /// Days after which the agreement ends by itself; 0 is never
    #[arg(long, default_value_t = 0)]
    valid_days: u32,
    /// Its address is in your own network, or without TLS, and you mean it: adds it to `allow` in
    /// signet.toml
    #[arg(long)]
    local: bool,
}

/// Runs it.
///
/// # Errors
/// As the message says.
pub fn run(args: &Args, context: &Context) -> Result<Outcome, CommandError> {
    let home = Home::open(&context.home).map_err(failed)?;
    let config = Config::load(&home).map_err(failed)?;
    let key = Key::load_or_create(&home.keys_dir().join("agent.key")).map_err(failed)?;
    let consent = Consent::load(&home, &key.public()).map_err(failed)?;
    let now = Timestamp::now();
    match &args.command {
        Command::Show if context.json => output::json(&consent),
        Command::Show => describe(&consent),
        Command::Allow { card, name, limits } => {
            let service = &config.service;
            let (name, terms) = agree(
                &home,
                card,
                name.as_deref(),
                limits,
                service.share_percent,
                &service.name,
                context,
                now,
            )?;
            let place = place_to_name(&name, &terms, &config.outward.allow, limits)?;
            if let Some(place) = place {
                Config::allow(&home, &place).map_err(failed)?;
                if !context.json {
                    output::line(format_args!("signet.toml: [outward] allow has \"{place}\" now"));
                }
            }
            let mut providers = consent.providers.clone();
            providers.insert(name, terms);
            let next =
                consent.replace(providers, &home, &key, &config.owner.name, now).map_err(failed)?;
            if context.json { output::json(&next) } else { describe(&next) }
        }
        Command::Withdraw { name } => {
            let mut providers = consent.providers.clone();
            if providers.remove(name).is_none() {
                return Err(CommandError::Usage(format!(
                    "there is no agreement with `{name}`, only with {}",
                    names(&consent)
                )));
            }
            consent.replace(providers, &home, &key, &config.owner.name, now).map_err(failed)?;
            let state = State::open(&home.state_path()).map_err(failed)?;
            let revoked_count =
                state.revoke(Some(name), "the consent was withdrawn", now).map_err(failed)?;
            if context.json {
                output::json(&serde_json::json!({ "withdrawn": name, "revoked": revoked_count }));
            } else {
                output::line(format_args!("withdrawn: {name}, {revoked_count} grants revoked"));
            }
        }
    }
    Ok(Outcome::Done)
}

/// Agrees with the provider of a card: shows it, asks on a terminal, keeps its secret.
#[expect(clippy::too_many_arguments, reason = "what a person agrees to has this many parts")]
pub(super) fn agree(
    home: &Home,
    card: &Path,
    name: Option<&str>,
    limits: &Limits,
    service_percent: u8,
    service: &str,
    context: &Context,
    now: Timestamp,
) -> Result<(String, Terms), CommandError> {
    let card = Card::read(card).map_err(failed)?;
    let name = name.unwrap_or(&card.name).to_owned();
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    {
        return Err(CommandError::Usage(format!(
            "the provider's name `{name}` should be letters, digits and hyphens: use --name"
        )));
    }
    if let Some(key) = &card.key {
        PublicKey::try_from(key).map_err(failed)?;
    }
    let schemes = card.target.schemes();
    if !schemes.is_empty() && !schemes.iter().any(|scheme| card.orders_url.starts_with(scheme)) {
        return Err(CommandError::failed(format!(
            "the card's address `{}` begins neither with {}",
            card.orders_url,
            schemes.join(" nor with ")
        )));
    }
    let money = |text: &str| parse_minor(text).map_err(|e| CommandError::Usage(e.to_string()));
    let purposes = limits
        .purposes
        .iter()
        .map(|purpose| purpose.parse().map_err(CommandError::Usage))
        .collect::<Result<BTreeSet<Purpose>, _>>()?;
    let companions = limits.companions.iter().map(|word| companion(word));
    let companions = companions.collect::<Result<BTreeSet<Member>, _>>()?;
    let days_ms = i64::from(limits.valid_days) * 86_400_000;
    let terms = Terms {
        orders_url: card.orders_url,
        key: card.key.map(|key| key.x).unwrap_or_default(),
        target: card.target,
        purposes,
        products: card.products,
        delivery: card.delivery,
        batch_minutes: card.batch_minutes,
        companions,
        structure: !limits.no_structure,
        relay: match limits.through_hub {
            ThroughHub::Sealed => Relay::Sealed,
            ThroughHub::Clear => Relay::Clear,
        },
        stage: limits.stage,
        fees: card.fees,
        preview: card.preview,
        service_percent,
        service: service.to_owned(),
        limits: terms::Limits {
            orders_per_day: limits.orders_per_day,
            copies_per_order: limits.copies_per_order,
            spend_minor_per_month: money(&limits.spend_per_month)?,
            grant_hours: limits.grant_days.saturating_mul(24),
        },
        valid_until: (days_ms > 0).then(|| now.plus_millis(days_ms)),
        ..Terms::new(card.currency)
    };
    if terms.products.values().any(|product| product.price_minor < 0)
        || Member::ALL.into_iter().any(|member| terms.fees.of(member) < 0)
    {
        return Err(CommandError::failed("the card has a negative price or fee: ask for another"));
    }
    if terms.stage && !terms.may_wait() {
        return Err(CommandError::Usage(
            "--stage needs a provider with a key, and not --through-hub clear: a copy that waits is \
             sealed to that key"
                .into(),
        ));
    }
    if !context.yes && !confirmed(&name, &terms)? {
        return Err(CommandError::failed("nothing was agreed"));
    }
    let path = home.secret_path(&name);
    if !card.secret.is_empty() {
        write_atomic(&path, card.secret.as_bytes(), Readers::OwnerOnly).map_err(failed)?;
    }
    Ok((name, terms))
}

/// What has to be named in `signet.toml` before a provider can be called, when the owner wants that
/// with `--local`; otherwise says that its orders will wait.
///
/// # Errors
/// An address that nobody can call.
pub(super) fn place_to_name(
    name: &str,
    terms: &Terms,
    allow: &Allow,
    limits: &Limits,
) -> Result<Option<Place>, CommandError> {
    let Some(url) = terms.target.called_url(&terms.orders_url) else { return Ok(None) };
    match foresee(&url, allow) {
        Ok(()) => Ok(None),
        Err(Refusal::Unnamed { cure, .. }) if limits.local => Ok(Some(cure)),
        Err(refusal @ Refusal::Unnamed { .. }) => {
            tracing::warn!("orders for `{name}` will wait: {refusal}; or agree again with --local");
            Ok(None)
        }
        Err(refusal) => Err(failed(refusal)),
    }
}

/// A companion by its word.
fn companion(word: &str) -> Result<Member, CommandError> {
    let companions = || Member::ALL.into_iter().filter(|member| member.is_companion());
    companions().find(|member| member.as_str() == word).ok_or_else(|| {
        let known: Vec<_> = companions().map(Member::as_str).collect();
        CommandError::Usage(format!("`{word}` is no companion; known are {}", known.join(", ")))
    })
}

fn confirmed(name: &str, terms: &Terms) -> Result<bool, CommandError> {
    if !io::stdin().is_terminal() {
        return Err(CommandError::Usage(
            "agreeing needs a yes: there is no terminal to ask on, so give --yes".into(),
        ));
    }
    for text in lines(name, terms) {
        output::line(text);
    }
    let mut stdout = io::stdout();
    let ask = stdout.write_all(b"Agree? Orders within these limits go out by themselves. [y/N] ");
    ask.and_then(|()| stdout.flush()).map_err(failed)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Prints a consent for people.
pub(super) fn describe(consent: &Consent) {
    if consent.providers.is_empty() {
        output::line("consent: with nobody; nothing leaves this computer");
        return;
    }
    output::line(format_args!(
        "consent {} of {}, signed {}",
        consent.number, consent.owner, consent.signed_at
    ));
    for (name, terms) in &consent.providers {
        for text in lines(name, terms) {
            output::line(text);
        }
    }
}

fn lines(name: &str, terms: &Terms) -> Vec<String> {
    let limits = &terms.limits;
    let purposes: Vec<_> = terms.purposes.iter().map(ToString::to_string).collect();
    let companions: Vec<_> = terms.companions.iter().map(ToString::to_string).collect();
    let companions =
        if companions.is_empty() { "no companions".into() } else { companions.join(", ") };
    let structure = match terms.structure {
        true => "collection, album, folder and place in the roll of a photo",
        false => "the name of a photo, not where it lies",
    };
    let mut lines = vec![
        format!("  {name}  at {}", terms.orders_url),
        format!("    may      {}", purposes.join(", ")),
        format!("    with     {companions}, where a rule names them"),
        format!("    learns   {structure}"),
        format!(
            "    within   {} orders a day, {} copies each, {} {} a month",
            limits.orders_per_day,
            limits.copies_per_order,
            decimal(limits.spend_minor_per_month),
            terms.currency
        ),
        format!("    fetches  within {} hours of the order", limits.grant_hours),
        format!("    hub      {}", through_hub(terms)),
        format!("    asleep   {}", asleep(terms)),
        format!(
            "    pays     {} per original, {} per preview, {} per companion; {} % of it to {}",
            decimal(terms.fees.original_minor),
            decimal(terms.fees.preview_minor),
            decimal(terms.fees.companion_minor),
            terms.service_percent,
            terms.service
        ),
    ];
    let preview = terms.preview.spec();
    if preview != PreviewSpec::default() {
        let (side, format) = (preview.long_side_px, preview.format.as_str());
        lines.push(format!("    wants    previews of {side} px as {format}"));
    }
    lines.push(match terms.valid_until {
        Some(end) => format!("    until    {end}"),
        None => "    until    you withdraw it".into(),
    });
    for (name, product) in &terms.products {
        let price = decimal(product.price_minor);
        lines.push(format!("    offers   {name:<16} {price:>8} {}", terms.currency));
    }
    lines
}

/// What a hub sees, in words.
fn through_hub(terms: &Terms) -> &'static str {
    match (terms.relay, terms.key.is_empty()) {
        (Relay::Sealed, false) => "through it, sealed: the hub cannot see what passes",
        (Relay::Sealed, true) => "not through it: without a key nothing can be sealed",
        (Relay::Clear, _) => "through it, open: THE HUB CAN SEE WHAT PASSES",
    }
}

/// What a provider gets while this computer is off, in words.
fn asleep(terms: &Terms) -> &'static str {
    match terms.may_wait() {
        true => "a sealed copy of what is ordered waits at the hub, which cannot open it",
        false => "it waits until this computer is on: no copy lies at the hub",
    }
}

fn names(consent: &Consent) -> String {
    if consent.providers.is_empty() {
        return "nobody".into();
    }
    consent.providers.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
