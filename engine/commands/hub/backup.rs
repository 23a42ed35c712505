//! `signet hub backup`, `restore` and `check`: the hub in one file, and whether it is sound.

use std::path::PathBuf;

use super::super::{CommandError, Context, Outcome, failed, output};
use crate::base::causes::one_line;
use crate::base::clock::Timestamp;
use crate::hub::backup::{backup, restore};
use crate::hub::home::HubHome;
use crate::hub::http::tls::Certificate;
use crate::hub::{certificate, renewal};
use crate::store::hub::SqliteHub;

/// Less room than this is a finding: 1 GiB.
const FREE_BYTES_MIN: u64 = 1 << 30;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file
    file: PathBuf,
}

pub(super) fn save(
    args: &Args,
    home: &HubHome,
    context: &Context,
) -> Result<Outcome, CommandError> {
    backup(home, &args.file).map_err(failed)?;
    say(
        context,
        "backup",
        &format!("wrote {}: it holds the keys of the hub, so keep it safe", args.file.display()),
    );
    Ok(Outcome::Done)
}

pub(super) fn bring_back(
    args: &Args,
    home: &HubHome,
    context: &Context,
) -> Result<Outcome, CommandError> {
    restore(home, &args.file).map_err(failed)?;
    say(
        context,
        "restore",
        &format!("{} is a hub again: start it with `signet hub`", home.root().display()),
    );
    Ok(Outcome::Done)
}

/// Looks whether the hub is sound and can go on.
pub(super) fn check(home: &HubHome, context: &Context) -> Result<Outcome, CommandError> {
    let mut is_good = true;
    let mut add = |part: &str, finding: Result<String, String>| {
        let (good, text) = match finding {
            Ok(text) => (true, text),
            Err(text) => (false, text),
        };
        is_good &= good;
        if context.json {
            output::json(&serde_json::json!({ "part": part, "good": good, "text": text }));
        } else {
            output::line(format_args!("{} {part:<12} {text}", if good { "ok  " } else { "BAD " }));
        }
    };
    match home.config() {
        Err(error) => add("config", Err(one_line(&error))),
        Ok(config) => {
            let files = certificate::named(home, &config);
            add("config", Ok(config.name));
            add("certificate", holds(files));
        }
    }
    match SqliteHub::check(&home.store_path()) {
        Err(error) => add("database", Err(one_line(&error))),
        Ok(mistakes) if mistakes.is_empty() => {
            add("database", Ok("sound; every account adds up".into()));
        }
        Ok(mistakes) => mistakes.into_iter().for_each(|mistake| add("database", Err(mistake))),
    }
    let free = rustix::fs::statvfs(home.root()).map(|disk| disk.f_bavail * disk.f_frsize);
    add(
        "disk",
        match free {
            Err(error) => Err(error.to_string()),
            Ok(free) if free < FREE_BYTES_MIN => {
                Err(format!("{} MB free: make room", free / 1_000_000))
            }
            Ok(free) => Ok(format!("{} MB free", free / 1_000_000)),
        },
    );
    Ok(if is_good { Outcome::Done } else { Outcome::SomeFailed })
}

/// Until when the certificate holds, and what to do when that is soon.
fn holds(files: Option<certificate::Files>) -> Result<String, String> {
    let Some(files) = files else {
        return Ok("none: something in front of the hub has it (`off` in [tls])".into());
    };
    if files.is_own && !files.certificate.exists() {
        return Ok("none yet: the hub makes one when it starts".into());
    }
    let certificate = Certificate::open(files).map_err(|error| one_line(&error))?;
    let ends_at = certificate.ends_at().ok_or("nobody can read when it ends")?;
    renewal::outlook(ends_at, certificate.is_own(), Timestamp::now())
}

fn say(context: &Context, what: &str, text: &str) {
    if context.json {
        output::json(&serde_json::json!({ "done": what, "text": text }));
    } else {
        output::line(text);
    }
}
