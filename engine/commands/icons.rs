//! `signet icons`: lists the icon set, writes it as files, as a sheet to print, or onto a photo.

use serde::Serialize;

use super::icons_words::Group;
use super::{
    CommandError, Context, Outcome, failed, icons_export, icons_sheet, icons_stamp, output,
};
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
    /// Write every icon as NAME.png (1024 px, transparent outside) and NAME.svg, or as stickers for phones
    Export(icons_export::Export),
    /// Write a PDF with an overview, cards and stickers to print and cut out
    Sheet(icons_sheet::Sheet),
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
    let set = IconSet::house().map_err(failed)?;
    match &args.command {
        Command::List => list(&set, context),
        Command::Export(export) => icons_export::run(export, &set, context)?,
        Command::Sheet(sheet) => icons_sheet::run(sheet, &set, context)?,
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
