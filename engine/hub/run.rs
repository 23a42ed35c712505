//! A hub that runs: what its requests share, and what it looks after by itself.
//!
//! Other commands change the same database while the hub runs: an agent counts as lost, a provider
//! is paused. So what is under way and who is connected are compared with it, every [`TRANSFERS_EVERY`]
//! and every [`CHANNELS_EVERY`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use super::alias::Aliases;
use super::certificate;
use super::channel::{Channels, End};
use super::enrol::Desk;
use super::event::{HubEvent, Tell};
use super::home::{HubConfig, HubError, HubHome};
use super::hosted;
use super::http::api::Api;
use super::http::listen::Listening;
use super::http::monitor::{self, Monitor};
use super::http::pace::Pace;
use super::http::tls::Certificate;
use super::http::{Pieces, listen, router};
use super::log::HubLog;
use super::notices::Messenger;
use super::operators::Door;
use super::protocol::FromHub;
use super::relay::{Transfers, over};
use super::renewal::Renewal;
use super::staged::Copies;
use crate::access::{Key, PublicKey};
use crate::base::clock::Timestamp;
use crate::orders::outward::Outward;
use crate::store::StoreError;
use crate::store::hub::{AgentState, HubStore, ProviderState, SqliteHub};

/// A revocation ends what is under way within two of these.
const TRANSFERS_EVERY: Duration = Duration::from_millis(800);

/// How often it is looked whether who is connected still may be.
const CHANNELS_EVERY: Duration = Duration::from_secs(5);

/// Something was done at the hub: whether who is connected still may be is looked at after so long,
/// when it was surely done (it is noted first).
const CHANNELS_SOON: Duration = Duration::from_millis(200);

/// How often the files of the certificate are looked at.
const CERTIFICATE_EVERY: Duration = Duration::from_secs(60);

/// When the hub stops, its agents come back spread over so long for each of them, in microseconds;
/// 10,000 within half a minute.
const SPREAD_US: usize = 3000;

/// Agents that are read from the database at once.
const PAGE: u32 = 1000;

/// What requests share.
pub struct HubState {
    /// The folder.
    pub home: HubHome,
    /// What `hub.toml` says.
    pub config: HubConfig,
    /// What the hub keeps.
    pub store: Arc<dyn HubStore>,
    /// Who the hub is.
    pub key: Arc<Key>,
    /// What the hub and its agents write down.
    pub log: HubLog,
    /// How owners and providers name it, no slash at the end.
    pub public_url: String,
    /// SHA-256 of its certificate, where it made that itself.
    pub certificate: Option<String>,
    /// The API for providers and operators, with what it counts and slows down.
    pub api: Arc<Api>,
    /// Where computers join.
    pub desk: Desk,
    /// Connected agents.
    pub channels: Channels,
    /// Sealed copies that wait here.
    pub copies: Copies,
    /// What is under way.
    pub transfers: Arc<Transfers<Pieces>>,
    /// Called for what happens.
    pub tell: Tell,
    /// Becomes true when the hub is to stop.
    pub shutdown: watch::Receiver<bool>,
}

impl HubState {
    /// Whether nothing new is begun any more.
    pub fn is_stopping(&self) -> bool {
        *self.shutdown.borrow()
    }

    /// Where providers reach an agent.
    pub fn base_url(&self, agent_id: &str) -> String {
        format!("{}/o/{agent_id}", self.public_url)
    }
}

/// A hub that is ready to run.
pub struct Hub {
    home: HubHome,
    config: HubConfig,
    key: Key,
    store: Arc<dyn HubStore>,
    certificate: Option<Arc<Certificate>>,
}

impl Hub {
    /// Opens everything; fails before anything starts if something is not in order.
    ///
    /// # Errors
    /// See [`HubError`].
    pub fn open(home: HubHome, now: Timestamp) -> Result<Self, HubError> {
        let config = home.config()?;
        let key = home.key()?;
        let files = certificate::files(&home, &config, now)?;
        let certificate = files.map(Certificate::open).transpose()?;
        let path = home.store_path();
        let store = SqliteHub::open(&path).map_err(|source| HubError::Store { path, source })?;
        Ok(Self { home, config, key, store: Arc::new(store), certificate })
    }

    /// What `hub.toml` says.
    pub const fn config(&self) -> &HubConfig {
        &self.config
    }

    /// Who the hub is.
    pub fn public_key(&self) -> PublicKey {
        self.key.public()
    }

    /// SHA-256 of its certificate, where it made that itself.
    pub fn certificate(&self) -> Option<String> {
        self.certificate.as_ref().and_then(|certificate| certificate.pinned())
    }

    /// Runs on a listener that the caller opened, until `shutdown` becomes true.
    ///
    /// # Errors
    /// What the listener reports.
    pub async fn run(
        self,
        listener: TcpListener,
        shutdown: watch::Receiver<bool>,
        tell: Tell,
    ) -> Result<(), HubError> {
        let address = listener.local_addr()?;
        if self.certificate.is_none() && !address.ip().is_loopback() {
            let message = format!(
                "[tls] off needs `listen` on this computer itself, `{address}` is not: name \
                 127.0.0.1, or remove `off`"
            );
            return Err(HubError::Config { path: self.home.config_path(), message });
        }
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        let public_url = self.config.public_url.clone();
        let public_url = public_url.unwrap_or_else(|| format!("{scheme}://{address}"));
        let public_url = public_url.trim_end_matches('/').to_owned();
        let desk = Desk::new(&self.key, &self.config.name, &public_url);
        let pinned = self.certificate();
        let api = Arc::new(Api {
            store: self.store.clone(),
            base_url: public_url.clone(),
            service_percent: self.config.service_percent,
            allow: self.config.allow.clone(),
            metrics: Arc::default(),
            brake: Arc::default(),
            pace: Arc::new(Pace::new(self.config.strangers_per_minute)),
            door: Door::default(),
            seen: Mutex::default(),
        });
        let key = Arc::new(self.key);
        let aliases = Aliases::of(&key);
        let tell: Tell = Arc::new(move |event| tell(aliases.hide(event)));
        let copies = Copies::new(self.home.staged_dir(), self.config.staged_bytes_max);
        settle_copies(&copies, self.store.as_ref())?;
        let state = Arc::new(HubState {
            home: self.home,
            copies,
            config: self.config,
            log: HubLog::start(self.store.clone(), key.clone())?,
            store: self.store,
            key,
            public_url,
            certificate: pinned.clone(),
            api,
            desk,
            channels: Channels::default(),
            transfers: Arc::default(),
            tell: tell.clone(),
            shutdown: shutdown.clone(),
        });
        let tls =
            self.certificate.as_ref().map(|certificate| certificate.acceptor()).transpose()?;
        let public_url = state.public_url.clone();
        tell(HubEvent::Listening { address, public_url, certificate: pinned });
        let messenger = tokio::spawn(messenger(&state).run(shutdown.clone()));
        let monitor = monitor(&state).await?.map(tokio::spawn);
        let looking = tokio::spawn(look_after(state.clone(), self.certificate));
        let (program, folder) = (std::env::current_exe()?, state.home.hosted_dir());
        let hosting = tokio::spawn(hosted::run(program, folder, shutdown.clone(), tell));
        let listening = Listening { tls, router: router(state), shutdown };
        listen::serve(listener, listening).await;
        let _ = looking.await;
        let _ = hosting.await;
        let _ = messenger.await;
        if let Some(monitor) = monitor {
            let _ = monitor.await;
        }
        Ok(())
    }
}

/// Counts as sent what a crash left under way of copies, and removes those that nobody wants.
fn settle_copies(copies: &Copies, store: &dyn HubStore) -> Result<(), HubError> {
    let settled = store.settle_takings().map_err(|error| error.to_string());
    let cleaned = settled.and_then(|()| {
        copies.clean(store, true, Timestamp::now()).map_err(|error| error.to_string())
    });
    cleaned.map(drop).map_err(|error| HubError::System(std::io::Error::other(error)))
}

/// Removes copies that nobody wants any more.
fn clean(state: &HubState) {
    if let Err(error) = state.copies.clean(state.store.as_ref(), false, Timestamp::now()) {
        let text = format!("copies could not be cleaned up: {error:?}");
        tracing::error!("{text}");
        state.copies.untidy();
    }
}

/// Tells providers what they should know.
fn messenger(state: &Arc<HubState>) -> Arc<Messenger> {
    let signer = state.clone();
    Arc::new(Messenger {
        store: state.store.clone(),
        sign: Box::new(move |content| signer.key.sign(content)),
        base_url: state.public_url.clone(),
        outward: Outward::of_hub(state.config.allow.clone()),
        metrics: state.api.metrics.clone(),
    })
}

/// Shows metrics where `hub.toml` says; fails at once when that address is taken.
async fn monitor(
    state: &Arc<HubState>,
) -> Result<Option<impl Future<Output = std::io::Result<()>> + use<>>, HubError> {
    let Some(address) = &state.config.metrics else { return Ok(None) };
    let listener = TcpListener::bind(address).await.map_err(|error| HubError::Config {
        path: state.home.config_path(),
        message: format!("metrics cannot be shown at `{address}`: {error}"),
    })?;
    let shown = state.clone();
    let monitor = Monitor {
        api: state.api.clone(),
        agents_count: Box::new(move || shown.channels.all().len()),
        shutdown: state.shutdown.clone(),
    };
    Ok(Some(monitor::serve(listener, monitor)))
}

/// About how long an agent is to wait before it comes back, of so many.
pub fn spread_ms(agents_count: usize) -> u64 {
    let longest_ms = (agents_count.saturating_mul(SPREAD_US) / 1000).clamp(1000, 60_000) as u64;
    let mut bytes = [0; 4];
    let part = getrandom::fill(&mut bytes).map_or(0, |()| u64::from(u32::from_le_bytes(bytes)));
    (longest_ms * part) >> 32
}

/// Compares what is under way and who is connected with what the database says; ends all channels
/// when the hub stops.
async fn look_after(state: Arc<HubState>, certificate: Option<Arc<Certificate>>) {
    let mut shutdown = state.shutdown.clone();
    let mut transfers = tokio::time::interval(TRANSFERS_EVERY);
    let mut channels = tokio::time::interval(CHANNELS_EVERY);
    let mut certificates = tokio::time::interval(CERTIFICATE_EVERY);
    let mut renewal = certificate.map(Renewal::of);
    let mut providers = BTreeMap::new();
    let mut newest_action = Vec::new();
    loop {
        let looked = tokio::select! {
            () = stopped(&mut shutdown) => break,
            _ = transfers.tick() => {
                let looked = work(&state, |state| {
                    look_at_transfers(state)?;
                    if state.copies.is_untidy() {
                        clean(state);
                    }
                    state.store.actions(1)
                });
                looked.await.map(|newest| {
                    if newest != newest_action {
                        newest_action = newest;
                        state.copies.untidy();
                        channels.reset_after(CHANNELS_SOON);
                    }
                })
            }
            _ = channels.tick() => {
                let before = std::mem::take(&mut providers);
                let looked = work(&state, move |state| {
                    look_at_channels(state)?;
                    look_at_providers(state, &before)
                });
                looked.await.map(|now| providers = now)
            }
            _ = certificates.tick() => {
                if let Some(renewal) = &mut renewal {
                    renewal.look(&state.api.metrics, &state.tell, Timestamp::now());
                }
                // Offers end by themselves too.
                state.copies.untidy();
                continue;
            }
        };
        if let Err(error) = looked {
            tracing::error!(%error, "the hub could not look after what is under way");
        }
    }
    for channel in state.channels.all() {
        channel.end(End::Closing);
    }
}

async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}

async fn work<T: Send + 'static>(
    state: &Arc<HubState>,
    work: impl FnOnce(&HubState) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, String> {
    let state = state.clone();
    match tokio::task::spawn_blocking(move || work(&state)).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

fn look_at_transfers(state: &HubState) -> Result<(), StoreError> {
    let grants = state.transfers.grants();
    for (agent_id, grant_id) in over(state.store.as_ref(), &grants, Timestamp::now())? {
        state.transfers.cut(agent_id, Some(grant_id));
    }
    Ok(())
}

/// Ends channels of agents that may not be connected any more.
fn look_at_channels(state: &HubState) -> Result<(), StoreError> {
    let mut after: Option<String> = None;
    loop {
        let page = state.store.agents(after.as_deref(), PAGE)?;
        for row in &page {
            let Some(channel) = state.channels.of(&row.agent_id) else { continue };
            if row.state != AgentState::Active || row.key != channel.key {
                state.transfers.cut(&row.agent_id, None);
                channel.end(End::Dismissed);
            }
        }
        after = match page.last() {
            Some(last) if page.len() == PAGE as usize => Some(last.agent_id.clone()),
            _ => return Ok(()),
        };
    }
}

type States = BTreeMap<String, (ProviderState, String)>;

/// Tells agents which providers may fetch now and might not before, or the other way round; and
/// pauses providers that do more than usual.
fn look_at_providers(state: &HubState, before: &States) -> Result<States, StoreError> {
    let providers = state.store.providers()?;
    for row in &providers {
        state.api.look(row, Timestamp::now())?;
    }
    let now: States = providers.into_iter().map(|row| (row.name, (row.state, row.why))).collect();
    for (name, (provider, why)) in &now {
        if before.get(name).is_some_and(|(before, _)| before != provider) {
            let (name, why) = (name.clone(), why.clone());
            state.channels.tell_all(&FromHub::Provider { name, state: *provider, why });
        }
    }
    Ok(now)
}
