//! `signet icons`: lists the icon set, adds to it, writes it as files, as a sheet to print, or
//! onto a photo.

use serde::Serialize;

use super::icons_words::Group;
use super::{
    CommandError, Context, Outcome, failed, icons_add, icons_export, icons_seal, icons_sheet,
    icons_stamp, output,
};
use crate::base::home::Home;
use crate::detection::IconSet;
use crate::detection::icon_set::Icon;

/// What the user typed.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Names and meanings of the icons, in groups
    List,
    /// Make an icon of a drawing of yours and find it from now on
    Add(icons_add::Add),
    /// Take away an icon that was added
    Remove(icons_add::Remove),
    /// Each icon's nearest neighbour: how well the set can be told apart
    Check,
    /// Write every icon as NAME.png (1024 px, transparent outside) and NAME.svg, or as stickers for phones
    Export(icons_export::Export),
    /// Write a PDF with an overview, cards and stickers to print and cut out
    Sheet(icons_sheet::Sheet),
    /// Show which of your seals are valid, or begin a new one
    Seal(icons_seal::Seal),
    /// Draw icons onto a copy of a photo
    Stamp(icons_stamp::Stamp),
}

/// One icon in `--json`.
#[derive(Debug, Serialize)]
pub(super) struct Listed<'a> {
    name: &'a str,
    meaning: &'a str,
    group: &'static str,
}

impl<'a> Listed<'a> {
    /// What is said of an icon.
    pub(super) fn of(icon: &'a Icon) -> Self {
        Self { name: icon.name(), meaning: icon.meaning(), group: Group::of(icon).id() }
    }
}

/// Runs it.
///
/// # Errors
/// As the message says.
pub fn run(args: &Args, context: &Context) -> Result<Outcome, CommandError> {
    if let Command::Remove(remove) = &args.command {
        // Also when the set cannot be used because of that very icon.
        return icons_add::remove(remove, context);
    }
    let home = Home::at(&context.home);
    let set = IconSet::of_home(&home.icons_dir()).map_err(failed)?;
    match &args.command {
        Command::Add(add) => return icons_add::add(add, context),
        Command::Remove(_) => {}
        Command::Check => return icons_add::check(&set, context),
        Command::List => list(&set, context),
        Command::Export(export) => icons_export::run(export, &set, context)?,
        Command::Sheet(sheet) => icons_sheet::run(sheet, &set, context)?,
        Command::Seal(seal) => icons_seal::run(seal, context)?,
        Command::Stamp(stamp) => icons_stamp::run(stamp, &set, context)?,
    }
    Ok(Outcome::Done)
}

fn list(set: &IconSet, context: &Context) {
    let widest = set.icons().iter().map(|icon| icon.name().len()).max().unwrap_or(0);
    let mut group = None;
    for icon in set.icons() {
        if context.json {
            output::json(&Listed::of(icon));
            continue;
        }
        let own = Group::of(icon);
        if group.replace(own) != Some(own) {
            output::line(format_args!("{}", own.title()));
        }
        output::line(format_args!("  {:widest$}  {}", icon.name(), icon.meaning()));
    }
}
