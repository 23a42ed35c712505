//! The agent: carries values from stage to stage. Watch, analyse, judge, plan, dispatch,
//! serve.
//!
//! ```text
//! collector ──Found──► intake ──Job──► workers ──Report──► loop ──orders──► dispatcher
//!  (watch, scan)       known?          read, hash, decode,  keep, judge,     (async, with
//!                                      preview, detect      plan             the server)
//! ```
//!
//! Only the loop writes what was seen and ordered. A photo is kept in the index as one that
//! is to be judged, and counts as judged once its orders are kept: after a crash in between
//! it is judged again and its orders have the same keys.
//!
//! Photos arrive in any order, a card after those that it is for. So a photo of a roll from
//! which something would leave is judged when its collection has been quiet for a moment
//! (`[roll] settle_ms`), [`SETTLE_MAX`] after it came at the latest; and again when a card
//! comes later still.
//!
//! Companions and print orders (DPOF) are files of their own and are read by the same workers.
//! What they change is worked out when their photos are judged again. A photo of which something
//! would leave waits for companions that are known to exist (`[group] grace_s`).
//!
//! A photo that was there before its collection was first watched is looked at like any
//! other, but orders nothing unless the owner asks for it. It was there if its change time
//! is not after the first start.

pub mod analyse;
mod beside;
pub mod books;
pub mod bucket;
mod desk;
mod dossier;
pub mod enrol;
pub mod event;
mod gather;
mod group;
mod intake;
mod judge;
mod keep;
mod mailer;
pub mod outlet;
mod photos;
pub mod providers;
pub mod reach;
pub mod reach_log;
pub mod report;
pub mod reporter;
mod staging;
pub mod study;
pub mod way;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};

use crate::access::key::KeyError;
use crate::access::membership::MembershipError;
use crate::access::seals::SealsError;
use crate::access::{Key, LinkKey, Membership, consent::ConsentError};
use crate::base::calendar::Zone;
use crate::base::config::{Config, ConfigError};
use crate::base::home::{Home, HomeError, HomeLock};
use crate::orders::dispatch;
use crate::store::index::Index;
use crate::store::{Decisions, State, StoreError};
use crate::web;
use analyse::{AnalystError, Eyes};
use books::{ConsentBook, OutwardBook, RuleBook, RuleBookError, RuleChange};
use bucket::{Bucket, PlaceError};
use desk::OwnerDesk;
pub use event::AgentEvent;
use event::{of_sent, of_served};
use mailer::Mailer;
use outlet::Counter;
use photos::PhotoLoop;
use providers::Providers;
use reach::Reach;
use reach_log::LogKeeper;
use reporter::Reporter;
use staging::Stager;
use way::HubDesk;

/// Why an agent does not run, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The home.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// `signet.toml`.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A database.
    #[error("`{path}`")]
    Store {
        /// Which one.
        path: PathBuf,
        /// What is wrong.
        source: StoreError,
    },
    /// The key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The owner's seal.
    #[error(transparent)]
    Seals(#[from] SealsError),
    /// The consent.
    #[error(transparent)]
    Consent(#[from] ConsentError),
    /// The rules.
    #[error("the rules have mistakes")]
    Rules(#[from] RuleBookError),
    /// Detection.
    #[error(transparent)]
    Eyes(#[from] AnalystError),
    /// Which hub was joined.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// What is known of the hub that was joined.
    #[error("the hub cannot be called: {0}: join it anew with `signet hub join`")]
    Hub(String),
    /// Where a hosted collection comes from.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The system gives no threads or connections.
    #[error("the agent could not go on")]
    System(#[from] std::io::Error),
    /// Something that was to be kept could not be, so the agent stopped rather than go on
    /// without a record.
    #[error("stopped: {what} could not be kept")]
    Keep {
        /// What.
        what: &'static str,
        /// Why.
        source: StoreError,
    },
}

/// What the owner asked of this run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wishes {
    /// Photos that were there before the first start may order too.
    pub include_existing: bool,
}

/// Shows events to people or programs.
pub type Tell = Arc<dyn Fn(AgentEvent) + Send + Sync>;

/// An agent that holds its home and is ready to run.
pub struct Agent {
    home: Home,
    config: Config,
    _lock: HomeLock,
    state: Arc<State>,
    decisions: Decisions,
    index: Arc<Mutex<Index>>,
    key: Key,
    consent: Arc<ConsentBook>,
    rules: RuleBook,
    refused_rules: Option<RuleChange>,
    eyes: Arc<Mutex<Arc<Eyes>>>,
}

impl Agent {
    /// Opens everything; fails before anything starts if something is not in order.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub fn open(home: Home) -> Result<Self, AgentError> {
        let config = Config::load(&home)?;
        let lock = home.lock()?;
        let key = Key::load_or_create(&home.keys_dir().join("agent.key"))?;
        let consent = Arc::new(ConsentBook::new(home.clone(), key.public()));
        consent.current()?;
        let store_error = |path: PathBuf| move |source| AgentError::Store { path, source };
        let state = State::open(&home.state_path()).map_err(store_error(home.state_path()))?;
        state.settle_deliveries().map_err(store_error(home.state_path()))?;
        let index = Index::open(&home.index_path()).map_err(store_error(home.index_path()))?;
        let decisions =
            Decisions::open(&home.decisions_path()).map_err(store_error(home.decisions_path()))?;
        let eyes = Eyes::of(&config, &home)?;
        let known = books::known(&home, eyes.icon_names()).map_err(AnalystError::from)?;
        let (rules, refused_rules) = RuleBook::open(&home, known)?;
        Ok(Self {
            home,
            config,
            _lock: lock,
            state: Arc::new(state),
            decisions,
            index: Arc::new(Mutex::new(index)),
            key,
            consent,
            rules,
            refused_rules,
            eyes: Arc::new(Mutex::new(Arc::new(eyes))),
        })
    }

    /// Its home.
    pub const fn home(&self) -> &Home {
        &self.home
    }

    /// The configuration that holds.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Runs on a listener that the caller opened, until `shutdown` becomes true.
    ///
    /// # Errors
    /// When something could not be kept, or the listener failed.
    pub async fn run(
        self,
        listener: TcpListener,
        wishes: Wishes,
        shutdown: watch::Receiver<bool>,
        tell: Tell,
    ) -> Result<(), AgentError> {
        let address = listener.local_addr()?;
        let buckets = self.config.collections.iter();
        let buckets = buckets.map(|collection| Bucket::of(&self.home, collection, tell.clone()));
        let buckets = buckets.collect::<Result<Vec<_>, _>>()?.into_iter().flatten();
        let buckets: Vec<_> = buckets.collect();
        let public_url =
            self.config.serve.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
        let roots: BTreeMap<_, _> =
            self.config.collections.iter().map(|c| (c.name.clone(), c.path.clone())).collect();
        let (agent_key, links) = (self.key.public(), LinkKey::of(&self.key));
        let key = Arc::new(self.key);
        let handed_over = tell.clone();
        let public_url = public_url.trim_end_matches('/').to_owned();
        let providers = Providers {
            home: self.home.clone(),
            consent: self.consent.clone(),
            key: key.clone(),
            outward: Arc::new(OutwardBook::new(
                self.home.clone(),
                self.config.outward.allow.clone(),
            )),
        };
        let mailer = self.config.mail.clone().map(|mail| Mailer {
            home: self.home.clone(),
            mail,
            public_url: public_url.clone(),
            links: links.clone(),
            state: self.state.clone(),
            outward: providers.outward.clone(),
            tell: tell.clone(),
        });
        let reporter = Reporter {
            home: self.home.clone(),
            owner: self.config.owner.name.clone(),
            wanted: self.config.report.clone(),
            mail: self.config.mail.clone(),
            feed_url: reporter::feed_url(&links, &public_url),
            key: key.clone(),
            state: self.state.clone(),
            outward: providers.outward.clone(),
            zone: Zone::local(),
            tell: tell.clone(),
        };
        let reaching = Membership::load(&self.home)?.map(|membership| {
            Reach::prepare(
                membership,
                self.home.clone(),
                providers.outward.clone(),
                shutdown.clone(),
            )
        });
        let reaching = reaching.transpose()?;
        let logs = reaching.as_ref().map(|reaching| {
            let reach = reaching.reach();
            let membership = reach.membership();
            let home = self.home.clone();
            let key = Box::new(move || Membership::key(&home).map(Arc::new));
            LogKeeper::new(self.state.clone(), key, membership, tell.clone())
                .map(|keeper| (Arc::new(keeper), reach.clone()))
        });
        let logs = logs.transpose()?;
        let hub = reaching.as_ref().map(|reaching| reaching.reach() as Arc<dyn HubDesk>);
        let reach = reaching.as_ref().map(|reaching| reaching.reach());
        let desk = OwnerDesk {
            home: self.home.clone(),
            state: self.state.clone(),
            providers: providers.clone(),
        };
        let counter = Arc::new(Counter {
            home: self.home.clone(),
            owner: self.config.owner.clone(),
            key,
            links: links.clone(),
            public_url,
            roots,
            state: self.state.clone(),
            index: self.index.clone(),
            providers,
            limits: self.rules.limits(),
            icons: self.config.icons,
            hub: hub.clone(),
            tell: Box::new(move |event| handed_over(of_served(event))),
        });
        let wake = Arc::new(Notify::new());
        let served = tell.clone();
        let service = web::Service::new(
            self.state.clone(),
            agent_key,
            links,
            counter.clone(),
            wake.clone(),
            Box::new(move |event| served(of_served(event))),
        );
        let feed = self.config.report.feed.then(|| self.home.feed_path());
        let service = service.deciding(Arc::new(desk)).feeding(feed);
        let reporting = tokio::spawn(reporter.run(shutdown.clone()));
        let mailing = mailer.map(|mailer| tokio::spawn(mailer.run(shutdown.clone())));
        let service = Arc::new(service);
        tell(AgentEvent::Listening { address });
        if let Some(reaching) = reaching {
            reaching.begin(service.clone(), tell.clone());
        }
        if let Some((keeper, reach)) = logs {
            tokio::spawn(keeper.keep(reach));
        }
        if let Some(reach) = reach {
            let stager = Stager {
                state: self.state.clone(),
                service: service.clone(),
                consent: self.consent.clone(),
                shelf: counter.clone(),
                reach,
                tell: tell.clone(),
            };
            tokio::spawn(stager.run(shutdown.clone()));
        }
        if let Some(hub) = hub {
            tokio::spawn(way::withdraw(self.state.clone(), hub, shutdown.clone()));
        }
        let serving = tokio::spawn(web::serve(listener, service, shutdown.clone()));
        let sent = tell.clone();
        let dispatching = tokio::spawn(dispatch::run(
            self.state.clone(),
            counter,
            wake.clone(),
            shutdown.clone(),
            Arc::new(move |event| sent(of_sent(event))),
        ));
        let hosted: Vec<_> = buckets
            .into_iter()
            .map(|bucket| {
                let (first, complete) = watch::channel(false);
                (tokio::spawn(bucket.run(shutdown.clone(), first)), complete)
            })
            .collect();
        for (_, complete) in &hosted {
            let (mut complete, mut shutdown) = (complete.clone(), shutdown.clone());
            tokio::select! {
                _ = complete.wait_for(|complete| *complete) => {}
                _ = shutdown.wait_for(|stop| *stop) => {}
            }
        }
        let photos = PhotoLoop {
            home: self.home,
            config: self.config,
            state: self.state,
            decisions: self.decisions,
            index: self.index,
            consent: self.consent,
            rules: self.rules,
            refused_rules: self.refused_rules,
            eyes: self.eyes,
            wishes,
            wake,
            tell,
            waiting: Vec::new(),
            queued: BTreeSet::new(),
            arrivals: BTreeMap::new(),
        };
        let stop = shutdown.clone();
        let photos = tokio::task::spawn_blocking(move || photos.run(&stop));
        let looked = photos.await;
        // The loop ends on shutdown, or because it could not keep something.
        let result = match looked {
            Ok(result) => result,
            Err(error) => Err(AgentError::System(std::io::Error::other(error))),
        };
        if result.is_ok() {
            let _ = dispatching.await;
            if let Some(mailing) = mailing {
                let _ = mailing.await;
            }
            for (copying, _) in hosted {
                let _ = copying.await;
            }
            let _ = reporting.await;
            if let Ok(served) = serving.await {
                served?;
            }
        }
        result
    }
}

/// A panic while the index was locked left it between two transactions.
fn lock(index: &Mutex<Index>) -> MutexGuard<'_, Index> {
    index.lock().unwrap_or_else(PoisonError::into_inner)
}
