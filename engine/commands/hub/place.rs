//! Whose home a command was run in: an owner's or a hub's, and a clear word where it is the other.

use crate::base::config::Config;
use crate::base::home::Home;
use crate::commands::{CommandError, Context, failed};
use crate::hub::home::{HubConfig, HubHome};
use crate::store::hub::SqliteHub;

/// A hub's home, opened; the hub may run at the same time.
pub(super) struct HubPlace {
    pub(super) home: HubHome,
    pub(super) config: HubConfig,
    pub(super) store: SqliteHub,
}

/// The home of an owner's computer.
///
/// - `does`: what the command does, such as `signet hub join`
///
/// # Errors
/// With the cure, when it is none.
pub(super) fn owner(context: &Context, does: &str) -> Result<(Home, Config), CommandError> {
    let home = Home::at(&context.home);
    if !home.config_path().is_file() && HubHome::at(&context.home).config_path().is_file() {
        return Err(CommandError::Usage(format!(
            "`{}` is the home of a hub, and `{does}` is for an owner's computer: name its home \
             with --home",
            context.home.display()
        )));
    }
    let home = Home::open(&context.home).map_err(failed)?;
    let config = Config::load(&home).map_err(failed)?;
    Ok((home, config))
}

/// The home of a hub.
///
/// # Errors
/// With the cure, when it is none.
pub(super) fn hub(context: &Context, does: &str) -> Result<HubPlace, CommandError> {
    let home = HubHome::at(&context.home);
    if !home.config_path().is_file() && Home::at(&context.home).config_path().is_file() {
        return Err(CommandError::Usage(format!(
            "`{}` is the home of an owner, and `{does}` is for the hub's computer: name its home \
             with --home",
            context.home.display()
        )));
    }
    let config = home.config().map_err(failed)?;
    let store = SqliteHub::open(&home.store_path()).map_err(failed)?;
    Ok(HubPlace { home, config, store })
}

impl HubPlace {
    /// How owners and providers name the hub, where that is known without running it.
    ///
    /// # Errors
    /// When `hub.toml` names neither `public_url` nor an address that others can call.
    pub(super) fn url(&self) -> Result<String, CommandError> {
        if let Some(url) = &self.config.public_url {
            return Ok(url.trim_end_matches('/').to_owned());
        }
        let listen = &self.config.listen;
        let is_any = ["0.0.0.0:", "[::]:"].iter().any(|any| listen.starts_with(any));
        if is_any || listen.ends_with(":0") {
            return Err(CommandError::failed(format!(
                "nobody can call `{listen}`: write `public_url` into {}, as owners and providers \
                 reach the hub",
                self.home.config_path().display()
            )));
        }
        let scheme = if self.config.tls.off { "http" } else { "https" };
        Ok(format!("{scheme}://{listen}"))
    }
}
