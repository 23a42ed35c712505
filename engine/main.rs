//! `signet`: one program, three long-running roles and short commands.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use signet::base::causes::one_line;
use signet::base::config::{default_home, environment};
use signet::commands::{
    CommandError, Context, Outcome, addressees, companions, consent, decode_worker, doctor, grants,
    hub, icons, init, lab, look, models, orders, people, report, rules, run,
};
use tracing_subscriber::EnvFilter;

/// A photo carries its own order: icons in a picture become orders, and the lab that you
/// agreed to once fetches the original from your computer by itself.
#[derive(Debug, Parser)]
#[command(name = "signet", version)]
struct Cli {
    /// Folder with configuration, keys and state [default: SIGNET_HOME or the data folder]
    #[arg(long, global = true, value_name = "DIR")]
    home: Option<PathBuf>,
    /// Print one JSON object per line
    #[arg(long, global = true)]
    json: bool,
    /// How to log on stderr [default: SIGNET_LOG_FORMAT or text]
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    log: Option<LogFormat>,
    /// Answer yes to questions
    #[arg(long, short, global = true)]
    yes: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a home: signet.toml, keys, rules and, with --provider, the first consent
    Init(init::Args),
    /// The agent: watch, analyse, order, serve
    Run(run::Args),
    /// Look at photos once, change nothing, order nothing
    Look(look::Args),
    /// What travels with a photo: list it, save it as files of its own
    Companions(companions::Args),

    /// The networks inside this program, and those for faces that are fetched
    Models(models::Args),
    /// The icon set: list, export, print as a sheet, stamp on a photo
    Icons(icons::Args),
    /// Check and test rule files
    Rules(rules::Args),
    /// What you agreed to with providers
    Consent(consent::Args),
    /// Orders: list, show, approve, cancel
    Orders(orders::Args),
    /// Who goods are shipped to: the owner's address book
    Addressees(addressees::Args),
    /// People who agreed to be recognised in photos
    People(people::Args),
    /// Who may fetch what
    Grants(grants::Args),
    /// Kill switch: revoke everything, dispatch nothing
    Stop(grants::StopArgs),
    /// Who fetched what for which order, and what it paid
    Report(report::Args),
    /// The provider's side: take orders, fetch originals, file them
    Lab(lab::Args),
    /// The server between owners' computers and providers
    Hub(hub::Args),
    /// What works here, what does not, and what mends it
    Doctor(doctor::Args),
    /// Started by the other commands: decodes photos and can do nothing else
    #[command(hide = true)]
    DecodeWorker,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum LogFormat {
    /// For people
    Text,
    /// One JSON object per line, with time and place, for programs
    Json,
}

impl LogFormat {
    fn of_environment() -> Self {
        match environment("SIGNET_LOG_FORMAT").as_deref() {
            Some("json") => Self::Json,
            _ => Self::Text,
        }
    }
}

/// What goes wrong is logged, and for programs also what happens; `SIGNET_LOG` asks for more or less.
fn start_logging(format: LogFormat) {
    let usual = if format == LogFormat::Json { "info" } else { "warn" };
    let filter = EnvFilter::try_from_env("SIGNET_LOG").unwrap_or_else(|_| EnvFilter::new(usual));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .without_time()
            .init(),
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(false).with_span_list(false).init();
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_logging(cli.log.unwrap_or_else(LogFormat::of_environment));
    let context =
        Context { home: cli.home.unwrap_or_else(default_home), json: cli.json, yes: cli.yes };
    let result = match &cli.command {
        Command::Init(args) => init::run(args, &context),
        Command::Run(args) => run::run(args, &context),
        Command::Look(args) => look::run(args, &context),
        Command::Companions(args) => companions::run(args, &context),
        Command::Icons(args) => icons::run(args, &context),
        Command::Models(args) => models::run(args, &context),
        Command::Rules(args) => rules::run(args, &context),
        Command::Consent(args) => consent::run(args, &context),
        Command::Orders(args) => orders::run(args, &context),
        Command::Addressees(args) => addressees::run(args, &context),
        Command::People(args) => people::run(args, &context),
        Command::Grants(args) => grants::run(args, &context),
        Command::Stop(args) => grants::stop(args, &context),
        Command::Report(args) => report::run(args, &context),
        Command::Lab(args) => lab::run(args, &context),
        Command::Hub(args) => hub::run(args, &context),
        Command::Doctor(args) => doctor::run(args, &context),
        Command::DecodeWorker => decode_worker::run(),
    };
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::SomeFailed) => ExitCode::from(1),
        Err(error) => {
            tracing::error!("{}", one_line(&error));
            ExitCode::from(if matches!(error, CommandError::Usage(_)) { 2 } else { 1 })
        }
    }
}
