//! `signet rules add`: puts a rule file that ships into the home, with its cases; without a name
//! it says which there are.
//!
//! Nothing is overwritten, and nothing is added beside which every wish would be ordered twice: a
//! running agent goes by a file as soon as it lies there.

use serde::Serialize;

use super::{CommandError, Context, Outcome, failed, init, output};
use crate::base::home::Home;
use crate::rules::shipped::{SHIPPED, Shipped};

/// What the user typed after `signet rules add`.
#[derive(Debug, clap::Args)]
pub(super) struct AddArgs {
    /// Its name, such as `studio`; without one you are told which there are
    name: Option<String>,
}

/// One line of `signet rules add --json`.
#[derive(Serialize)]
struct ShippedLine {
    name: &'static str,
    description: String,
}

/// Adds the file that was named, or lists all.
///
/// # Errors
/// `Usage` when no file of that name ships; `Failed` when the home has it already, has one that
/// wants the same, or cannot be written to.
pub(super) fn add(args: &AddArgs, context: &Context) -> Result<Outcome, CommandError> {
    let Some(name) = &args.name else {
        list(context);
        return Ok(Outcome::Done);
    };
    let shipped = Shipped::of_name(name).ok_or_else(|| {
        let names = SHIPPED.map(|shipped| format!("`{}`", shipped.name)).join(", ");
        CommandError::Usage(format!("no rule file `{name}` ships: there are {names}"))
    })?;
    let folder = Home::open(&context.home).map_err(failed)?.rules_dir();
    for other in shipped.apart_from() {
        let [(path, _), _] = other.files(&folder);
        if path.exists() {
            return Err(CommandError::failed(format!(
                "`{}` orders by the same icons as `{}`, so each wish would be two orders: move it \
                 out of the folder first",
                path.display(),
                shipped.name
            )));
        }
    }
    let [rules, cases] = shipped.files(&folder);
    for (path, _) in [&rules, &cases] {
        if path.exists() {
            return Err(CommandError::failed(format!(
                "`{}` is there already: rename it to keep it, then add `{}` again",
                path.display(),
                shipped.name
            )));
        }
    }
    // The rules last: they are in force once they are there.
    for (path, text) in [&cases, &rules] {
        init::write(path, text.as_bytes())?;
    }
    let (rules, cases) = (rules.0, cases.0);
    if context.json {
        output::json(&serde_json::json!({ "name": shipped.name, "rules": rules, "cases": cases }));
    } else {
        output::line(format_args!("made {}", rules.display()));
        output::line(format_args!("made {}", cases.display()));
        output::line("next: read it, and put your own names into both");
        output::line("next: signet rules check && signet rules test");
    }
    Ok(Outcome::Done)
}

fn list(context: &Context) {
    for shipped in SHIPPED {
        let (name, description) = (shipped.name, shipped.description());
        if context.json {
            output::json(&ShippedLine { name, description });
        } else {
            output::line(format_args!("{name:20} {description}"));
        }
    }
}
