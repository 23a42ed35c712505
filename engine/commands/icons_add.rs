//! `signet icons add`, `remove` and `check`: an owner's own icons, and how well the set tells
//! its icons apart.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{CommandError, Context, Outcome, failed, output};
use crate::access::people_book::PeopleBook;
use crate::agent::analyse::Eyes;
use crate::base::config::Config;
use crate::base::files::{Readers, write_atomic};
use crate::base::home::{Home, make_private_dir};
use crate::detection::alike::{self, COSINE_MAX, LIKENESS_MAX, Neighbour};
use crate::detection::intake::{self, FILE_BYTES_MAX};
use crate::detection::{Enrolment, IconSet, icon_set::Icon};

/// What the user typed.
#[derive(Debug, clap::Args)]
pub(super) struct Add {
    /// Its name in rules: lower-case letters, digits and dashes
    name: String,
    /// The drawing: SVG, or PNG with dark lines on white or on nothing
    drawing: PathBuf,
    /// What it asks for, as cards and lists say it [default: the name]
    #[arg(long)]
    meaning: Option<String>,
}

/// What the user typed.
#[derive(Debug, clap::Args)]
pub(super) struct Remove {
    /// An icon that was added before
    name: String,
}

/// One icon and its nearest neighbour.
#[derive(Debug, Serialize)]
struct Row<'a> {
    name: &'a str,
    meaning: &'a str,
    nearest: Option<&'a str>,
    cosine: Option<f32>,
    likeness: Option<f32>,
    too_near: bool,
}

/// Frames a drawing and adds it to the set.
///
/// # Errors
/// Names the drawing, what is wrong with it, and what to change.
pub(super) fn add(add: &Add, context: &Context) -> Result<Outcome, CommandError> {
    let home = Home::open(&context.home).map_err(failed)?;
    if !Icon::is_name(&add.name) {
        return Err(CommandError::Usage(format!(
            "icon name `{}` should be lower-case letters, digits and dashes",
            add.name
        )));
    }
    let eyes = eyes(&home)?;
    if let Some(known) = eyes.icons().get(&add.name) {
        let cure = if home.icon_path(&add.name).exists() {
            format!("`signet icons remove {}` first, or choose another name", add.name)
        } else {
            "choose another name".to_owned()
        };
        let (name, meaning) = (known.name(), known.meaning());
        return Err(CommandError::Usage(format!("there is an icon `{name}` ({meaning}): {cure}")));
    }
    let book = PeopleBook::open(&home).map_err(failed)?;
    if let Some(person) = book.all().iter().find(|of| of.name.to_lowercase() == add.name) {
        let name = &person.name;
        return Err(CommandError::Usage(format!(
            "`{name}` is enrolled, and rules could not tell the two apart: choose another name"
        )));
    }
    let trouble = |cause: &dyn std::fmt::Display| {
        CommandError::failed(format!("`{}` makes no icon: {cause}", add.drawing.display()))
    };
    let bytes = read(&add.drawing)?;
    let meaning = add.meaning.clone().unwrap_or_else(|| intake::default_meaning(&add.name));
    let taken = intake::take(&add.name, &meaning, &bytes).map_err(|error| trouble(&error))?;
    let svg = taken.icon.svg().to_owned();
    let set = eyes.icons().clone().with(taken.icon).map_err(failed)?;
    let (enrolment, memory) = eyes.enrol(&set).map_err(failed)?;
    let neighbours = neighbours(&set, &enrolment)?;
    let neighbour = neighbours.last().copied().flatten();
    if let Some(neighbour) = neighbour.filter(Neighbour::is_too_near) {
        let other = &set.icons()[neighbour.icon];
        return Err(trouble(&format_args!(
            "it resembles `{}` ({}) too much: {}; draw something that differs in its coarse shape, \
             filled where that one is not, not only in details",
            other.name(),
            other.meaning(),
            figures(&neighbour)
        )));
    }
    let path = home.icon_path(&add.name);
    make_private_dir(&home.icons_dir()).map_err(|error| unwritten(&path, &error))?;
    write_atomic(&path, svg.as_bytes(), Readers::Usual)
        .map_err(|error| unwritten(&path, &error))?;
    eyes.remember(&home, &set, &memory);
    let row = row(&set, set.icons().len() - 1, neighbour);
    if context.json {
        let mut line = serde_json::json!(row);
        line["path"] = serde_json::json!(path);
        line["left_at_24_px"] = serde_json::json!(taken.clear_share);
        output::json(&line);
    } else {
        let nearest = match (row.nearest, neighbour) {
            (Some(name), Some(neighbour)) => {
                format!("nearest is `{name}`: {}", figures(&neighbour))
            }
            _ => "it is the only one".to_owned(),
        };
        output::line(format_args!(
            "added `{}` ({meaning}); {nearest}. A running agent sees it in photos that arrive from \
             now on",
            add.name
        ));
    }
    Ok(Outcome::Done)
}

/// Takes an added icon out of the set.
///
/// # Errors
/// When it is of the house set or not there.
pub(super) fn remove(remove: &Remove, context: &Context) -> Result<Outcome, CommandError> {
    let home = Home::open(&context.home).map_err(failed)?;
    let name = &remove.name;
    if !Icon::is_name(name) {
        return Err(CommandError::Usage(format!("there is no icon `{name}`")));
    }
    let path = home.icon_path(name);
    if !path.exists() {
        let house = IconSet::house().map_err(failed)?;
        return Err(CommandError::Usage(if house.get(name).is_some() {
            format!("`{name}` belongs to the set that ships, only icons that were added can go")
        } else {
            format!("there is no icon `{name}` (`signet icons list` shows all)")
        }));
    }
    std::fs::remove_file(&path).map_err(|error| {
        CommandError::failed(format!("`{}` cannot be removed: {error}", path.display()))
    })?;
    if context.json {
        output::json(&serde_json::json!({ "name": name, "removed": true }));
    } else {
        output::line(format_args!(
            "removed `{name}`; rules that name it have to go, too (`signet rules check`)"
        ));
    }
    Ok(Outcome::Done)
}

/// Prints each icon's nearest neighbour; fails when two are too near to each other.
///
/// # Errors
/// When the set cannot be enrolled.
pub(super) fn check(set: &IconSet, context: &Context) -> Result<Outcome, CommandError> {
    let home = Home::at(&context.home);
    let eyes = eyes(&home)?;
    let neighbours = neighbours(set, eyes.enrolment())?;
    let widest = set.icons().iter().map(|icon| icon.name().len()).max().unwrap_or(0);
    if !context.json {
        output::line(format_args!(
            "{:widest$}  {:widest$}  cosine  likeness (more than {COSINE_MAX:.2} or {LIKENESS_MAX:.2} is too near)",
            "icon", "nearest"
        ));
    }
    let mut outcome = Outcome::Done;
    for (index, neighbour) in neighbours.iter().enumerate() {
        let row = row(set, index, *neighbour);
        if row.too_near {
            outcome = Outcome::SomeFailed;
            let nearest = row.nearest.unwrap_or_default();
            tracing::error!("`{}` and `{nearest}` are too near to each other", row.name);
        }
        if context.json {
            output::json(&row);
        } else {
            let (nearest, cosine, likeness) = (
                row.nearest.unwrap_or("-"),
                row.cosine.unwrap_or(f32::NAN),
                row.likeness.unwrap_or(f32::NAN),
            );
            output::line(format_args!(
                "{:widest$}  {nearest:widest$}  {cosine:6.2}  {likeness:8.2}",
                row.name
            ));
        }
    }
    Ok(outcome)
}

/// What the program looks through: the library as the home says, the home's icons.
fn eyes(home: &Home) -> Result<Eyes, CommandError> {
    let library = match home.config_path().is_file() {
        true => Config::load(home).map_err(failed)?.detection.onnxruntime,
        false => None,
    };
    Eyes::open(library.as_deref(), Some(home)).map_err(failed)
}

fn read(path: &Path) -> Result<Vec<u8>, CommandError> {
    let unread = |error: std::io::Error| {
        CommandError::Usage(format!("`{}` cannot be read: {error}", path.display()))
    };
    let bytes_count = path.metadata().map_err(unread)?.len();
    if bytes_count > FILE_BYTES_MAX {
        return Err(CommandError::failed(format!(
            "`{}` makes no icon: it has {bytes_count} bytes, {FILE_BYTES_MAX} are the most",
            path.display()
        )));
    }
    std::fs::read(path).map_err(unread)
}

fn neighbours(
    set: &IconSet,
    enrolment: &Enrolment,
) -> Result<Vec<Option<Neighbour>>, CommandError> {
    alike::neighbours(set, enrolment.gallery()).map_err(failed)
}

fn row(set: &IconSet, index: usize, neighbour: Option<Neighbour>) -> Row<'_> {
    let icon = &set.icons()[index];
    Row {
        name: icon.name(),
        meaning: icon.meaning(),
        nearest: neighbour.and_then(|n| Some(set.icons().get(n.icon)?.name())),
        cosine: neighbour.map(|n| n.cosine),
        likeness: neighbour.map(|n| n.likeness),
        too_near: neighbour.is_some_and(|n| n.is_too_near()),
    }
}

fn figures(neighbour: &Neighbour) -> String {
    format!(
        "cosine {:.2} of at most {COSINE_MAX:.2}, likeness {:.2} of at most {LIKENESS_MAX:.2}",
        neighbour.cosine, neighbour.likeness
    )
}

fn unwritten(path: &Path, error: &std::io::Error) -> CommandError {
    CommandError::failed(format!("`{}` cannot be written: {error}", path.display()))
}
