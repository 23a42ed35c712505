//! `signet addressees add|import|list|show|remove`: who goods are shipped to.
//!
//! People say `owner` for the owner, whom rules and the address book know by the empty label.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::access::AddressBook;
use crate::access::address_book::AddressBookError;
use crate::base::home::Home;
use crate::orders::parcel::Recipient;

use super::{CommandError, Context, Outcome, failed, output};

/// What people say for the owner.
const OWNER: &str = "owner";

/// Larger files hold no addresses.
const IMPORT_BYTES_MAX: u64 = 1024 * 1024;

/// What the user typed.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Put an address in, in the place of who had the label before
    Add {
        /// `owner`, `a`, `b`, `c` (icons to-a, to-b, to-c), or the name of a person
        label: String,
        #[command(flatten)]
        address: Box<Address>,
    },
    /// Put in all addresses of a TOML file: a table for each label
    Import {
        /// Such as: [a] name = "…" line1 = "…" postal_code = "…" town = "…" country_code = "DE"
        file: PathBuf,
    },
    /// Print labels, names and towns
    List,
    /// Print everything that is known of one
    Show {
        /// Whose
        label: String,
    },
    /// Forget addresses
    Remove {
        /// Whose
        #[arg(required = true)]
        labels: Vec<String>,
    },
}

/// Where somebody gets parcels.
#[derive(Debug, clap::Args)]
struct Address {
    /// Name on the parcel
    #[arg(long)]
    name: String,
    /// Street and number
    #[arg(long)]
    line1: String,
    /// More of it
    #[arg(long)]
    line2: Option<String>,
    /// Postal code; "" in a country without
    #[arg(long)]
    postal_code: String,
    /// Town
    #[arg(long)]
    town: String,
    /// State or county
    #[arg(long)]
    state: Option<String>,
    /// Two letters, such as DE
    #[arg(long)]
    country: String,
    /// Only for providers that need it to ship
    #[arg(long)]
    email: Option<String>,
    /// Only for providers that need it to ship
    #[arg(long)]
    phone: Option<String>,
}

impl Address {
    fn recipient(&self) -> Recipient {
        Recipient {
            name: self.name.clone(),
            line1: self.line1.clone(),
            line2: self.line2.clone(),
            postal_code: self.postal_code.clone(),
            town: self.town.clone(),
            state: self.state.clone(),
            country_code: self.country.clone(),
            email: self.email.clone(),
            phone: self.phone.clone(),
        }
    }
}

/// Runs it.
///
/// # Errors
/// As the message says; then nothing was changed.
pub fn run(args: &Args, context: &Context) -> Result<Outcome, CommandError> {
    let home = Home::open(&context.home).map_err(failed)?;
    match &args.command {
        Command::Add { label, address } => {
            put(&home, BTreeMap::from([(label.clone(), address.recipient())]), context)?;
        }
        Command::Import { file } => put(&home, read(file)?, context)?,
        Command::List => {
            let book = AddressBook::open(&home).map_err(failed)?;
            if !context.json && book.iter().next().is_none() {
                output::line("no addressees: `signet addressees add owner --name …`");
            }
            for (label, to) in book.iter() {
                if context.json {
                    output::json(&entry(label, to));
                } else {
                    let (town, country) = (&to.town, &to.country_code);
                    output::line(format_args!(
                        "{:<10} {}, {town}, {country}",
                        said(label),
                        to.name
                    ));
                }
            }
        }
        Command::Show { label } => {
            let book = AddressBook::open(&home).map_err(failed)?;
            let unknown = || failed(AddressBookError::Unknown(label.clone()));
            show(label, book.get(meant(label)).ok_or_else(unknown)?, context);
        }
        Command::Remove { labels } => {
            let remove = |book: &mut AddressBook| {
                labels.iter().try_for_each(|label| book.remove(meant(label)).map(|_gone| ()))
            };
            AddressBook::edit(&home, remove).map_err(usage)?;
            for label in labels {
                tell(label, "removed", context);
            }
        }
    }
    Ok(Outcome::Done)
}

/// Puts all in or none.
fn put(
    home: &Home,
    recipients: BTreeMap<String, Recipient>,
    context: &Context,
) -> Result<(), CommandError> {
    let put = |book: &mut AddressBook| {
        let put = |(label, to): (String, Recipient)| Ok((book.put(meant(&label), to)?, label));
        recipients.into_iter().map(put).collect::<Result<Vec<_>, AddressBookError>>()
    };
    for (is_new, label) in AddressBook::edit(home, put).map_err(usage)? {
        tell(&label, if is_new { "added" } else { "changed" }, context);
    }
    Ok(())
}

fn read(file: &Path) -> Result<BTreeMap<String, Recipient>, CommandError> {
    let unreadable = |why: String| {
        CommandError::Usage(format!("`{}` cannot be imported: {why}", file.display()))
    };
    let bytes_count = std::fs::metadata(file).map_err(|error| unreadable(error.to_string()))?.len();
    if bytes_count > IMPORT_BYTES_MAX {
        return Err(unreadable(format!("it has {bytes_count} bytes, more than a list needs")));
    }
    let text = std::fs::read_to_string(file).map_err(|error| unreadable(error.to_string()))?;
    toml::from_str(&text).map_err(|error| unreadable(error.to_string().trim().replace('\n', " ")))
}

fn show(label: &str, to: &Recipient, context: &Context) {
    if context.json {
        output::json(&entry(meant(label), to));
        return;
    }
    let town = format!("{} {}", to.postal_code, to.town);
    let lines = [
        Some(&to.name),
        Some(&to.line1),
        to.line2.as_ref(),
        Some(&town),
        to.state.as_ref(),
        Some(&to.country_code),
        to.email.as_ref(),
        to.phone.as_ref(),
    ];
    lines.into_iter().flatten().for_each(output::line);
}

fn tell(label: &str, what: &str, context: &Context) {
    if context.json {
        output::json(&serde_json::json!({ "label": meant(label), "done": what }));
    } else {
        output::line(format_args!("{label}: {what}"));
    }
}

fn entry(label: &str, to: &Recipient) -> serde_json::Value {
    serde_json::json!({ "label": label, "recipient": to })
}

/// The label that somebody typed.
fn meant(label: &str) -> &str {
    if label == OWNER { "" } else { label }
}

fn said(label: &str) -> &str {
    if label.is_empty() { OWNER } else { label }
}

/// Whoever typed something that cannot be has to type something else.
fn usage(error: AddressBookError) -> CommandError {
    match error {
        AddressBookError::Label(_)
        | AddressBookError::Unknown(_)
        | AddressBookError::Field { .. }
        | AddressBookError::Full => CommandError::Usage(error.to_string()),
        other => failed(other),
    }
}
