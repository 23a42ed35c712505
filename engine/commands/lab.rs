//! `signet lab`: takes orders, fetches originals, files them. `signet lab invite` makes an
//! owner's card, `signet lab verify` checks what a hub charged.

use std::path::PathBuf;
use std::sync::Arc;

use crate::base::allow::Place;
use crate::base::files::{Readers, write_atomic};
use crate::lab::home::{LabConfig, LabHome, Secrets, example};
use crate::lab::{LabEvent, run as run_lab, tell_owner};
use crate::web::Stage;

use super::{CommandError, Context, Outcome, failed, lab_verify, output, serving};

/// What the user typed.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    new: New,
}

/// Values for a lab.toml that is not there yet; ignored once it is.
#[derive(Debug, clap::Args)]
struct New {
    /// Name that owners' rules use
    #[arg(long, default_value = "lab")]
    name: String,
    /// Address and port for orders
    #[arg(long, default_value = "127.0.0.1:8720")]
    listen: String,
    /// Folder for orders and pictures, below the lab's home unless absolute
    #[arg(long, default_value = "orders")]
    out: PathBuf,
    /// An owner in your own network, or without TLS, from whom to fetch all the same, such as
    /// 192.168.1.5:8710; may be given several times
    #[arg(long, value_name = "PLACE")]
    allow: Vec<Place>,
    /// PEM file of a hub that made its certificate itself, below the lab's home unless absolute
    #[arg(long, value_name = "PEM")]
    trust: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Tell the owner of orders what becomes of them; lab.toml says `tells = true` then
    Tell {
        /// What they are now
        #[arg(value_enum)]
        state: Told,
        /// Their keys
        #[arg(required = true)]
        orders: Vec<String>,
        /// In words for the owner, such as a tracking number
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Check by the owners' signed logs what a hub charged; asks nobody
    Verify(lab_verify::Args),
    /// Write a card for an owner: they agree with `signet consent allow CARD`
    Invite {
        /// The owner's name
        owner: String,
        /// Where to write the card; it holds a secret
        #[arg(long)]
        card: Option<PathBuf>,
        /// Make a new secret; the old one is good until it is retired
        #[arg(long)]
        rotate: bool,
        /// Let only the newest secret be good from now on
        #[arg(long, conflicts_with = "rotate")]
        retire: bool,
        #[command(flatten)]
        new: New,
    },
}

/// What a lab tells.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Told {
    /// It is being made
    Production,
    /// It is on its way
    Shipped,
    /// It is over
    Done,
    /// It cannot be made
    Failed,
}

/// Runs it.
///
/// # Errors
/// As the message says.
pub fn run(args: &Args, context: &Context) -> Result<Outcome, CommandError> {
    let home = LabHome::at(&context.home);
    match &args.command {
        Some(Command::Invite { owner, card, rotate, retire, new }) => {
            let config = open(&home, new)?;
            let secrets = match (rotate, retire) {
                (true, _) => Secrets::Rotate,
                (_, true) => Secrets::Retire,
                _ => Secrets::Keep,
            };
            let made = home.invite(&config, owner, secrets).map_err(failed)?;
            let text = serde_json::to_string_pretty(&made).map_err(failed)?;
            match card {
                Some(path) => {
                    write_atomic(path, text.as_bytes(), Readers::OwnerOnly).map_err(failed)?;
                    if !context.json {
                        output::line(format_args!(
                            "wrote {}: give it to {owner} by a way you trust, it holds a secret",
                            path.display()
                        ));
                    }
                }
                None => output::line(text),
            }
            Ok(Outcome::Done)
        }
        Some(Command::Tell { state, orders, note }) => {
            let config = open(&home, &args.new)?;
            if !config.tells {
                return Err(CommandError::failed(
                    "the owners were not told to wait for it: write `tells = true` into lab.toml \
                     and give them their cards again",
                ));
            }
            let stage = match state {
                Told::Production => Stage::Production,
                Told::Shipped => Stage::Shipped,
                Told::Done => Stage::Done,
                Told::Failed => Stage::Failed,
            };
            let mut outcome = Outcome::Done;
            for order_key in orders {
                match tell_owner(&home, &config, order_key, stage, note) {
                    Ok(()) if context.json => {
                        output::json(&serde_json::json!({ "order_key": order_key, "told": stage }));
                    }
                    Ok(()) => output::line(format_args!("{order_key}: told")),
                    Err(why) => {
                        tracing::error!("`{order_key}`: {why}");
                        outcome = Outcome::SomeFailed;
                    }
                }
            }
            Ok(outcome)
        }
        Some(Command::Verify(args)) => lab_verify::run(args, context.json),
        None => serve(home, open(&home_of(context), &args.new)?, context),
    }
}

fn home_of(context: &Context) -> LabHome {
    LabHome::at(&context.home)
}

fn open(home: &LabHome, new: &New) -> Result<LabConfig, CommandError> {
    let allow = new.allow.iter().cloned().collect();
    let new =
        LabConfig { trust: new.trust.clone(), ..example(&new.name, &new.listen, &new.out, allow) };
    home.open(&new).map_err(failed)
}

fn serve(home: LabHome, config: LabConfig, context: &Context) -> Result<Outcome, CommandError> {
    let json = context.json;
    serving::block_on(async move |shutdown| {
        let listener = serving::listen(&config.listen).await?;
        let address = listener.local_addr().map_err(failed)?;
        if json {
            output::json(&serde_json::json!({ "event": "listening", "address": address }));
        } else {
            output::line(format_args!(
                "lab `{}` takes orders at {address}, files them in {}",
                config.name,
                config.out.display()
            ));
        }
        let tell = Arc::new(move |event| tell(&event, json));
        run_lab(home, config, listener, shutdown, tell).await.map_err(failed)
    })?;
    Ok(Outcome::Done)
}

fn tell(event: &LabEvent, json: bool) {
    if json {
        output::json(event);
        return;
    }
    match event {
        LabEvent::Received {
            order_key,
            owner,
            product,
            copies,
            addressee,
            express,
            companions,
        } => {
            let what = product.as_deref().unwrap_or("to look at");
            let to = addressee.as_ref().map(|label| format!(" to {label}")).unwrap_or_default();
            let express = if *express { ", express" } else { "" };
            let with: String =
                companions.iter().map(|companion| format!(", with {companion}")).collect();
            output::line(format_args!(
                "order {order_key} from {owner}: {what} x {copies}{to}{express}{with}"
            ));
        }
        LabEvent::Filed { order_key, files, bytes_count, missing, millis } => {
            let files: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
            let missing: String =
                missing.iter().map(|name| format!("; without {name}, which is gone")).collect();
            output::line(format_args!(
                "filed {order_key}: {}, {bytes_count} bytes in {millis} ms, digest right{missing}",
                files.join(", ")
            ));
        }
        LabEvent::Waiting { order_key, reason, wait_ms } => {
            output::line(format_args!("later {order_key}: {reason}; again in {wait_ms} ms"));
        }
        LabEvent::Cancelled { order_key } => {
            output::line(format_args!("cancelled {order_key}: its owner took it back"));
        }
        LabEvent::Failed { order_key, reason } => {
            output::line(format_args!("failed {order_key}: {reason}"));
        }
    }
}
