//! `signet init`: makes a home with a commented `signet.toml`, the owner's key, the shipped
//! rules and, when provider cards are given, the first consent.

use std::path::{Path, PathBuf};

use crate::access::{Consent, Key};
use crate::base::allow::Allow;
use crate::base::clock::Timestamp;
use crate::base::config::{Collection, NewConfig, environment, template};
use crate::base::files::{Readers, write_atomic};
use crate::base::home::Home;
use crate::rules::schema;
use crate::rules::shipped::FAMILY;

use super::consent::{Limits, agree, describe, place_to_name};
use super::{CommandError, Context, Outcome, failed, output};

/// What the user typed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Your name, as providers see it
    #[arg(long, default_value = "")]
    owner: String,
    /// Your electronic address, written into previews: mailto:you@example.org or https://…
    #[arg(long)]
    address: Option<String>,
    /// A folder with photos to watch; may be given several times
    #[arg(long = "photos", value_name = "DIR")]
    photos: Vec<PathBuf>,
    /// Address and port where providers fetch; port 0 takes a free one at each start
    #[arg(long, default_value = "127.0.0.1:8710")]
    listen: String,
    /// A provider's card, to agree with it right away; may be given several times
    #[arg(long = "provider", value_name = "CARD")]
    providers: Vec<PathBuf>,
    #[command(flatten)]
    limits: Limits,
}

/// Makes the home.
///
/// # Errors
/// When there is one already, an argument is missing, or the disk says no.
pub fn run(args: &Args, context: &Context) -> Result<Outcome, CommandError> {
    let home = Home::at(&context.home);
    if home.config_path().exists() {
        return Err(CommandError::Usage(format!(
            "`{}` is a Signet home already: edit its signet.toml, or name another with --home",
            home.root().display()
        )));
    }
    let address = args.address.as_deref().ok_or_else(|| {
        CommandError::Usage(
            "--address is missing: previews carry it, so that people can tell whose photo it is \
             (mailto:you@example.org)"
                .into(),
        )
    })?;
    if !["mailto:", "https://", "http://"].iter().any(|scheme| address.starts_with(scheme)) {
        return Err(CommandError::Usage(format!(
            "--address `{address}` should begin with mailto: or https://"
        )));
    }
    let owner = if args.owner.is_empty() {
        environment("USER").unwrap_or_else(|| "owner".into())
    } else {
        args.owner.clone()
    };
    let collections = collections(&args.photos)?;
    home.create().map_err(failed)?;
    let key = Key::load_or_create(&home.keys_dir().join("agent.key")).map_err(failed)?;
    write_rules(&home)?;

    let empty = Consent::load(&home, &key.public()).map_err(failed)?;
    let mut places = Vec::new();
    if !args.providers.is_empty() {
        let now = Timestamp::now();
        let mut providers = empty.providers.clone();
        for card in &args.providers {
            let (name, terms) = agree(&home, card, None, &args.limits, 20, "signet", context, now)?;
            places.extend(place_to_name(&name, &terms, &Allow::default(), &args.limits)?);
            providers.insert(name, terms);
        }
        empty.replace(providers, &home, &key, &owner, now).map_err(failed)?;
    }
    // Written last: a home without signet.toml is none, so an init that broke off can be
    // started again.
    let text = template(&NewConfig {
        owner_name: &owner,
        owner_address: address,
        collections: &collections,
        listen: &args.listen,
        allow: &places,
    });
    write(&home.config_path(), text.as_bytes())?;

    let consent = Consent::load(&home, &key.public()).map_err(failed)?;
    if context.json {
        output::json(&serde_json::json!({
            "home": home.root(), "agent": key.public().thumbprint(),
            "providers": consent.providers.keys().collect::<Vec<_>>(),
        }));
    } else {
        output::line(format_args!("made {}", home.root().display()));
        describe(&consent);
        if consent.providers.is_empty() {
            output::line("next: signet consent allow CARD   (a lab's card lets it take orders)");
        }
        output::line("next: signet icons sheet           (print the icons)");
        output::line("next: signet run                   (watch, order, serve)");
    }
    Ok(Outcome::Done)
}

fn collections(folders: &[PathBuf]) -> Result<Vec<Collection>, CommandError> {
    let mut collections: Vec<Collection> = Vec::new();
    for folder in folders {
        let path = std::path::absolute(folder).map_err(failed)?;
        if !path.is_dir() {
            return Err(CommandError::Usage(format!(
                "`{}` is no folder: make it, or name another with --photos",
                path.display()
            )));
        }
        let base = path.file_name().map_or("photos".into(), |name| name.to_string_lossy());
        let mut name = base.to_string();
        let mut number = 2;
        while collections.iter().any(|other| other.name == name) {
            name = format!("{base}-{number}");
            number += 1;
        }
        collections.push(Collection::folder(name, path));
    }
    Ok(collections)
}

fn write_rules(home: &Home) -> Result<(), CommandError> {
    for (path, text) in FAMILY.files(&home.rules_dir()) {
        if !path.exists() {
            write(&path, text.as_bytes())?;
        }
    }
    // For editors; nobody writes into it, so it may be of this version.
    write(&home.rules_dir().join("rules.schema.json"), schema::text().as_bytes())?;
    Ok(())
}

/// Writes a file of the home's.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), CommandError> {
    write_atomic(path, bytes, Readers::Usual).map_err(|error| {
        CommandError::failed(format!(
            "`{}` cannot be written: {error}: check that the disk is neither full nor read-only",
            path.display()
        ))
    })
}
