//! `signet hub`: the server that stands between owners' computers and providers.

mod agents;
mod api;
mod backup;
mod host;
mod membership;
mod operators;
mod place;
mod providers;
mod statement;

use std::sync::Arc;

use crate::base::clock::Timestamp;
use crate::base::heap;
use crate::hub::event::HubEvent;
use crate::hub::home::{HubHome, template};
use crate::hub::run::Hub;

use super::{CommandError, Context, Outcome, failed, output, serving};

/// What the user typed.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a hub: a commented hub.toml, its key and its certificate
    Init(Init),
    /// Print the description of its API: OpenAPI as JSON
    Api,
    /// Make a code by which one owner's computer may join
    Invite(agents::InviteArgs),
    /// Owners' computers: list, show, remove
    #[command(subcommand, visible_alias = "owners")]
    Agents(agents::AgentsCommand),
    /// Cut off a computer that was lost
    Lost(agents::LostArgs),
    /// Post that an owner was paid
    PayOut(agents::PayOutArgs),
    /// Who may fetch: keys, prices, limits, payments
    #[command(subcommand)]
    Providers(providers::ProvidersCommand),
    /// Who runs the hub: names, roles, passwords
    #[command(subcommand)]
    Operators(operators::OperatorsCommand),
    /// What operators, commands and agents changed, newest first
    Actions(operators::ActionsArgs),
    /// At an owner's computer: join a hub with a one-time code
    Join(membership::JoinArgs),
    /// At an owner's computer: leave the hub
    Leave(membership::LeaveArgs),
    /// At an owner's computer: have a new key at the hub
    RotateKey,
    /// At an owner's computer: which hub it joined
    Status,
    /// What was on an account, each line, and what is on it now
    Statement(statement::StatementArgs),
    /// Compare all accounts with each other and with what was posted
    Reconcile(statement::ReconcileArgs),
    /// Run an agent here, for a collection in a bucket or folder; the hub has to run
    Host(host::HostArgs),
    /// Everything that the hub is in one new file; it may run meanwhile
    Backup(backup::Args),
    /// Make a hub from such a file, in a home that has none
    Restore(backup::Args),
    /// Whether database, accounts and disk are sound
    Check,
}

#[derive(Debug, clap::Args)]
struct Init {
    /// Who runs the service, for statements
    #[arg(long)]
    name: String,
    /// Address and port to serve on
    #[arg(long, default_value = "0.0.0.0:8443")]
    listen: String,
    /// How owners and providers name it, such as https://hub.example.org
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
}

/// Runs it.
///
/// # Errors
/// As the message says.
pub fn run(args: &Args, context: &Context) -> Result<Outcome, CommandError> {
    let home = HubHome::at(&context.home);
    match &args.command {
        Some(Command::Init(init)) => make(&home, init, context.json),
        Some(Command::Api) => api::run(),
        Some(Command::Invite(args)) => agents::invite(args, context),
        Some(Command::Agents(command)) => agents::agents(command, context),
        Some(Command::Lost(args)) => agents::lost(args, context),
        Some(Command::PayOut(args)) => agents::pay_out(args, context),
        Some(Command::Providers(command)) => providers::run(command, context),
        Some(Command::Operators(command)) => operators::run(command, context),
        Some(Command::Actions(args)) => operators::actions(args, context),
        Some(Command::Join(args)) => membership::join(args, context),
        Some(Command::Leave(args)) => membership::leave(args, context),
        Some(Command::RotateKey) => membership::rotate(context),
        Some(Command::Status) => membership::status(context),
        Some(Command::Statement(args)) => statement::statement(args, context),
        Some(Command::Reconcile(args)) => statement::compare(args, context),
        Some(Command::Host(args)) => host::run(args, context),
        Some(Command::Backup(args)) => backup::save(args, &home, context),
        Some(Command::Restore(args)) => backup::bring_back(args, &home, context),
        Some(Command::Check) => backup::check(&home, context),
        None => serve(home, context.json),
    }
}

/// Makes a home, and everything that the hub would make when it starts, so that mistakes show now.
fn make(home: &HubHome, init: &Init, json: bool) -> Result<Outcome, CommandError> {
    let is_new = !home.config_path().exists();
    home.create(&template(&init.name, &init.listen, init.public_url.as_deref())).map_err(failed)?;
    let hub = Hub::open(home.clone(), Timestamp::now()).map_err(failed)?;
    let (key, certificate) = (hub.public_key().to_string(), hub.certificate());
    if json {
        output::json(&serde_json::json!({
            "home": home.root(), "is_new": is_new, "key": key, "certificate": certificate,
        }));
        return Ok(Outcome::Done);
    }
    match is_new {
        true => output::line(format_args!("wrote {}", home.config_path().display())),
        false => output::line(format_args!("{} stays as it is", home.config_path().display())),
    }
    output::line(format_args!("the hub's key is {key}"));
    if let Some(certificate) = certificate {
        output::line(format_args!("its own certificate has the SHA-256 {certificate}"));
    }
    output::line("start it with `signet hub`");
    Ok(Outcome::Done)
}

fn serve(home: HubHome, json: bool) -> Result<Outcome, CommandError> {
    heap::give_back_early();
    let hub = Hub::open(home, Timestamp::now()).map_err(failed)?;
    serving::block_on(async move |shutdown| {
        let listener = serving::listen(&hub.config().listen).await?;
        hub.run(listener, shutdown, Arc::new(move |event| show(&event, json))).await.map_err(failed)
    })?;
    Ok(Outcome::Done)
}

fn show(event: &HubEvent, json: bool) {
    if json {
        output::json(event);
        return;
    }
    match event {
        HubEvent::Listening { address, public_url, certificate } => {
            output::line(format_args!("the hub serves at {address}, as {public_url}"));
            if let Some(certificate) = certificate {
                output::line(format_args!("its own certificate has the SHA-256 {certificate}"));
            }
        }
        HubEvent::Connected { agent } => output::line(format_args!("{agent} is there")),
        HubEvent::Away { agent, why } => output::line(format_args!("{agent} is away: {why}")),
        HubEvent::Stranger { why } => output::line(format_args!("turned away: {why}")),
        HubEvent::Relayed { agent, provider, grant, method, status } => {
            output::line(format_args!("  {provider} {method} {agent}/{grant}: {status}"));
        }
        HubEvent::Passed { agent, grant, bytes_count, broken } => {
            let broken = broken.as_ref().map(|why| format!(", not all: {why}")).unwrap_or_default();
            output::line(format_args!("  {agent}/{grant}: {bytes_count} bytes{broken}"));
        }
        HubEvent::Warning { text } => output::line(format_args!("note: {text}")),
    }
}
