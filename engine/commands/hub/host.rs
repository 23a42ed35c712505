//! `signet hub host`: makes an agent that runs at the hub, for a collection that lives there.
//!
//! It is made as an owner would: `signet init`, a collection with a store, `signet hub join` with a
//! code made on the spot. While that is under way its home has a dot in front, so that the hub
//! begins to run only what is whole.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use super::super::{CommandError, Context, Outcome, failed, output};
use super::place;
use crate::base::clock::Timestamp;
use crate::base::files::{Readers, write_atomic};
use crate::hub::enrol::{self, CODE_HOURS};
use crate::hub::operators::Actor;

/// What the user typed.
#[derive(Debug, clap::Args)]
pub(super) struct HostArgs {
    /// Short name of the owner and their collection, such as `studio`
    name: String,
    /// Where the photos are: s3://BUCKET/PREFIX or file:///FOLDER
    #[arg(long, value_name = "URL")]
    store: String,
    /// The owner's electronic address, written into previews
    #[arg(long)]
    address: String,
    /// The owner's name, as providers see it [default: NAME]
    #[arg(long)]
    owner: Option<String>,
    /// A store that speaks S3 and is not Amazon's
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Region of the bucket
    #[arg(long)]
    region: Option<String>,
    /// File with the keys for the bucket; it is copied
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
}

pub(super) fn run(args: &HostArgs, context: &Context) -> Result<Outcome, CommandError> {
    let is_plain =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    if args.name.is_empty() || args.name.starts_with('-') || !args.name.chars().all(is_plain) {
        return Err(CommandError::Usage(format!(
            "`{}` should have only the letters a to z, digits and -",
            args.name
        )));
    }
    let hub = place::hub(context, "signet hub host")?;
    let (home, part) = (
        hub.home.hosted_dir().join(&args.name),
        hub.home.hosted_dir().join(format!(".{}.part", args.name)),
    );
    if home.exists() {
        return Err(CommandError::Usage(format!("`{}` is there already", home.display())));
    }
    let url = hub.url()?;
    // The rest of a try that broke off.
    let _ = std::fs::remove_dir_all(&part);
    let made = make(args, &part).and_then(|()| {
        let (now, actor) = (Timestamp::now(), Actor::host());
        let code = enrol::invite(&hub.store, &actor, &args.name, CODE_HOURS, None, now);
        let (code, _) = code.map_err(failed)?;
        signet(&part, &["--yes", "hub", "join", &url, &code.to_string()])?;
        std::fs::rename(&part, &home).map_err(failed)
    });
    if let Err(error) = made {
        let _ = std::fs::remove_dir_all(&part);
        return Err(error);
    }
    if context.json {
        output::json(&json!({ "hosted": args.name, "home": home }));
    } else {
        output::line(format_args!(
            "`{}` is hosted: the hub runs it from {}",
            args.name,
            home.display()
        ));
        let consent = format!("signet --home {} consent allow CARD", home.display());
        output::line(format_args!("its owner agrees with providers: {consent}"));
    }
    Ok(Outcome::Done)
}

/// Makes a home with one collection.
fn make(args: &HostArgs, home: &Path) -> Result<(), CommandError> {
    let owner = args.owner.as_deref().unwrap_or(&args.name);
    let listen = "127.0.0.1:0";
    signet(home, &["init", "--owner", owner, "--address", &args.address, "--listen", listen])?;
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let mut collection = format!(
        "\n[[collection]]\nname = {0}\npath = {0}\nstore = {1}\n",
        quoted(&args.name),
        quoted(&args.store)
    );
    for (name, value) in [("endpoint", &args.endpoint), ("region", &args.region)] {
        if let Some(value) = value {
            collection.push_str(&format!("{name} = {}\n", quoted(value)));
        }
    }
    if let Some(keys) = &args.keys {
        let bytes = std::fs::read(keys).map_err(|error| {
            CommandError::failed(format!("`{}` cannot be read: {error}", keys.display()))
        })?;
        write_atomic(&home.join("store.keys"), &bytes, Readers::OwnerOnly).map_err(failed)?;
        collection.push_str("keys = \"store.keys\"\n");
    }
    let path = home.join("signet.toml");
    let config = std::fs::read_to_string(&path).map_err(failed)? + &collection;
    write_atomic(&path, config.as_bytes(), Readers::Usual).map_err(failed)
}

/// Runs this program for a home, and tells what it said when it fails.
fn signet(home: &Path, arguments: &[&str]) -> Result<(), CommandError> {
    let program = std::env::current_exe().map_err(failed)?;
    let mut command = Command::new(program);
    let ran = command.arg("--home").arg(home).args(arguments).stdin(Stdio::null()).output();
    let ran = ran.map_err(failed)?;
    if ran.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ran.stderr);
    Err(CommandError::failed(said.lines().last().unwrap_or("it broke off").trim().to_owned()))
}
