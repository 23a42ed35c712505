//! `signet hub operators|actions`, at the hub's computer: who runs the hub, and what they did.
//!
//! Passwords come from a file or through stdin, never as an argument, where every user of the
//! computer would see them.

use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;

use serde_json::{Value, json};

use super::place;
use crate::base::clock::Timestamp;
use crate::commands::{CommandError, Context, Outcome, failed, output};
use crate::hub::operators::{self, Actor, Change, OperatorError, role_word};
use crate::store::hub::{HubStore, OperatorRow, Role};

/// Longest file with a password.
const PASSWORD_FILE_BYTES_MAX: u64 = 4096;

/// What the user typed after `signet hub operators`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum OperatorsCommand {
    /// Print who may sign in
    List,
    /// Add one
    Add {
        /// Name to sign in with
        name: String,
        /// What they may do
        #[arg(long, value_enum)]
        role: RoleArg,
        #[command(flatten)]
        password: Password,
    },
    /// Give one another role
    Role {
        /// Name
        name: String,
        /// What they may do
        #[arg(value_enum)]
        role: RoleArg,
    },
    /// Give one another password; whoever is signed in with that name is signed out
    Passwd {
        /// Name
        name: String,
        #[command(flatten)]
        password: Password,
    },
    /// Let one sign in no more, and sign them out
    Disable {
        /// Name
        name: String,
    },
    /// Let one sign in again
    Enable {
        /// Name
        name: String,
    },
}

/// What the user typed after `signet hub actions`.
#[derive(Debug, clap::Args)]
pub(super) struct ActionsArgs {
    /// How many of the newest
    #[arg(long, default_value_t = 50)]
    count: u32,
}

/// Where a password comes from.
#[derive(Debug, clap::Args)]
pub(super) struct Password {
    /// File whose first line is the password [default: the first line of stdin]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// A role by its word.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum RoleArg {
    /// Looks
    Viewer,
    /// Owners and providers, without money
    Operator,
    /// Everything
    Admin,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Viewer => Self::Viewer,
            RoleArg::Operator => Self::Operator,
            RoleArg::Admin => Self::Admin,
        }
    }
}

/// Runs `signet hub operators`.
///
/// # Errors
/// As the message says.
pub(super) fn run(command: &OperatorsCommand, context: &Context) -> Result<Outcome, CommandError> {
    use OperatorsCommand as Command;
    let hub = place::hub(context, "signet hub operators")?;
    let (store, host, now) = (&hub.store, Actor::host(), Timestamp::now());
    let row = match command {
        Command::List => {
            let rows = store.operators().map_err(failed)?;
            for row in &rows {
                if context.json { output::json(&view(row)) } else { show(row) }
            }
            if rows.is_empty() && !context.json {
                output::line("nobody may sign in: `signet hub operators add NAME --role admin`");
            }
            return Ok(Outcome::Done);
        }
        Command::Add { name, role, password } => {
            operators::add(store, &host, name, &password.read()?, (*role).into(), now)
        }
        Command::Role { name, role } => {
            operators::change(store, &host, name, Change::Role((*role).into()), now)
        }
        Command::Disable { name } => {
            operators::change(store, &host, name, Change::Active(false), now)
        }
        Command::Enable { name } => {
            operators::change(store, &host, name, Change::Active(true), now)
        }
        Command::Passwd { name, password } => {
            operators::change_password(store, &host, name, &password.read()?, now)
                .and_then(|()| Ok(store.operator(name)?))
                .and_then(|row| row.ok_or_else(|| OperatorError::Refused("it is gone".into())))
        }
    };
    let row = row.map_err(|error| match error {
        OperatorError::Refused(_) | OperatorError::Password => {
            CommandError::Usage(error.to_string())
        }
        other => failed(other),
    })?;
    if context.json {
        output::json(&view(&row))
    } else {
        show(&row)
    }
    Ok(Outcome::Done)
}

/// Runs `signet hub actions`.
///
/// # Errors
/// As the message says.
pub(super) fn actions(args: &ActionsArgs, context: &Context) -> Result<Outcome, CommandError> {
    let hub = place::hub(context, "signet hub actions")?;
    for row in hub.store.actions(args.count).map_err(failed)? {
        if context.json {
            output::json(&json!({
                "at": row.at.to_string(), "operator": row.operator, "action": row.action,
                "subject": row.subject, "detail": row.detail,
            }));
            continue;
        }
        output::line(format_args!(
            "{}  {:<12} {:<18} {}  {}",
            row.at, row.operator, row.action, row.subject, row.detail
        ));
    }
    Ok(Outcome::Done)
}

impl Password {
    fn read(&self) -> Result<String, CommandError> {
        let mut text = String::new();
        let read = match &self.password_file {
            Some(path) => std::fs::File::open(path)
                .and_then(|file| file.take(PASSWORD_FILE_BYTES_MAX).read_to_string(&mut text))
                .map_err(|error| {
                    CommandError::failed(format!("`{}` cannot be read: {error}", path.display()))
                }),
            None if io::stdin().is_terminal() => {
                return Err(CommandError::Usage(
                    "a password is not typed where others may see it: put it into a file and name \
                     that with --password-file, or pipe it in"
                        .into(),
                ));
            }
            None => io::stdin()
                .lock()
                .take(PASSWORD_FILE_BYTES_MAX)
                .read_to_string(&mut text)
                .map_err(failed),
        };
        read?;
        let password = text.lines().next().unwrap_or_default();
        match password.is_empty() {
            true => Err(CommandError::Usage("there is no password in the first line".into())),
            false => Ok(password.to_owned()),
        }
    }
}

fn show(row: &OperatorRow) {
    let state = if row.is_active { "" } else { ", may not sign in" };
    output::line(format_args!("{:<20} {}{state}", row.name, role_word(row.role)));
}

fn view(row: &OperatorRow) -> Value {
    json!({ "name": row.name, "role": row.role, "is_active": row.is_active })
}
