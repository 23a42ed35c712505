//! How this computer is reached through the hub that it joined. It calls the hub and is never
//! called, so no address need lead here.
//!
//! ```text
//! connect   addresses that may be called, TLS       serve   requests of providers, each answered
//! line      greeting, questions, requests                   over a connection of its own
//! bring     sealed copies for while this computer is off
//! pause     how long until the hub is called again
//! ```
//!
//! In:  the membership of a home, and what answers requests (`web::providers`).
//! Out: a [`Reach`], by which the rest of the agent asks the hub; events when the hub comes and goes.
//!
//! Whoever asks is told at once when the hub is away: nothing waits in here for it to come back.

mod bring;
mod connect;
mod line;
mod pause;
mod serve;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use super::books::OutwardBook;
use super::event::AgentEvent;
use super::way::HubDesk;
use super::{AgentError, Tell};
use crate::access::{Membership, PublicKey};
use crate::base::home::Home;
use crate::hub::protocol::{Answer, Ask, HubWelcome};
use crate::store::hub::ProviderState;
use crate::web;
pub use bring::{Brought, Parcel};
pub use connect::{Connector, Stream, Trust};
use line::{Ended, Line};
pub use pause::pause_ms;
use serve::Errands;

/// Questions that wait to be asked; more are told that the hub is away.
const QUESTIONS_MAX: usize = 64;

/// A hub that was there for so long is called again soon after it went.
const STOOD_MS: i64 = 30_000;

/// The way to the hub.
#[derive(Debug)]
pub struct Reach {
    membership: Membership,
    home: Home,
    connector: Connector,
    outward: Arc<OutwardBook>,
    questions: mpsc::Sender<Question>,
    standing: watch::Receiver<Standing>,
    providers: watch::Receiver<Providers>,
}

/// Which providers may fetch through the hub, as far as it said so since it was last connected,
/// and why not.
pub type Providers = BTreeMap<String, (ProviderState, String)>;

/// Whether the hub is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is not.
    Away {
        /// Why, in words.
        why: String,
    },
    /// It is, and said this when it came.
    Connected(Arc<HubWelcome>),
}

/// The hub is not there to answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the hub is not reached: {0}")]
pub struct Away(pub String);

/// What somebody wants to know.
#[derive(Debug)]
struct Question {
    what: Ask,
    answer: oneshot::Sender<Result<Answer, Away>>,
}

/// A way that was found, and is to be gone.
pub struct Prepared {
    line: Line,
    reach: Arc<Reach>,
}

impl Reach {
    /// Prepares to reach a hub; nothing is called yet, and who asks is told that it is away.
    ///
    /// # Errors
    /// When the membership is damaged.
    pub fn prepare(
        membership: Membership,
        home: Home,
        outward: Arc<OutwardBook>,
        shutdown: watch::Receiver<bool>,
    ) -> Result<Prepared, AgentError> {
        let damaged = |what: &str| AgentError::Hub(format!("{what} in hub.json is damaged"));
        let hub_key: PublicKey =
            membership.hub_key.parse().map_err(|_no_key| damaged("the hub's key"))?;
        let trust = match &membership.certificate {
            None => Trust::Browsers,
            Some(pin) => Trust::Pinned(pin.parse().map_err(|_no_hash| damaged("`certificate`"))?),
        };
        let connector = Connector::new(&membership.url, &trust)
            .map_err(|error| AgentError::Hub(error.to_string()))?;
        let (questions, asked) = mpsc::channel(QUESTIONS_MAX);
        let why = "it was not called yet".to_owned();
        let (standing, is_standing) = watch::channel(Standing::Away { why });
        let (providers, are_providers) = watch::channel(Providers::new());
        let reach = Arc::new(Self {
            membership: membership.clone(),
            home: home.clone(),
            connector: connector.clone(),
            outward: outward.clone(),
            questions,
            standing: is_standing,
            providers: are_providers,
        });
        let line = Line {
            membership,
            home,
            greeted_with: None,
            hub_key,
            connector,
            outward,
            asked,
            standing,
            providers,
            shutdown,
        };
        Ok(Prepared { line, reach })
    }

    /// Asks the hub; ends with its answer, or within half a minute without one.
    ///
    /// # Errors
    /// [`Away`]; whether the hub heard the question is not known then.
    pub async fn ask(&self, what: Ask) -> Result<Answer, Away> {
        self.put(what)?.await.unwrap_or_else(|_dropped| Err(self.away()))
    }

    /// The same for threads that may wait.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn ask_blocking(&self, what: Ask) -> Result<Answer, Away> {
        self.put(what)?.blocking_recv().unwrap_or_else(|_dropped| Err(self.away()))
    }

    fn put(&self, what: Ask) -> Result<oneshot::Receiver<Result<Answer, Away>>, Away> {
        if let Standing::Away { why } = &*self.standing.borrow() {
            return Err(Away(why.clone()));
        }
        let (answer, answered) = oneshot::channel();
        let question = Question { what, answer };
        self.questions
            .try_send(question)
            .map_err(|_full| Away("too much is asked of it at once".into()))?;
        Ok(answered)
    }

    fn away(&self) -> Away {
        match &*self.standing.borrow() {
            Standing::Away { why } => Away(why.clone()),
            Standing::Connected(_) => Away("the connection broke".into()),
        }
    }

    /// The hub that was joined.
    pub const fn membership(&self) -> &Membership {
        &self.membership
    }

    /// Where providers reach this computer through it, no slash at the end.
    pub fn base_url(&self) -> &str {
        self.membership.base_url.trim_end_matches('/')
    }

    /// Whether the hub is there, now and whenever that changes.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }

    /// What the hub said of providers, now and whenever that changes.
    pub fn providers(&self) -> watch::Receiver<Providers> {
        self.providers.clone()
    }
}

impl HubDesk for Reach {
    fn ask(&self, what: Ask) -> Result<Answer, String> {
        self.ask_blocking(what).map_err(|away| away.0)
    }

    fn base_url(&self) -> String {
        self.base_url().to_owned()
    }
}

impl Prepared {
    /// The way, for those who ask.
    pub fn reach(&self) -> Arc<Reach> {
        self.reach.clone()
    }

    /// Keeps the hub connected from now on.
    ///
    /// - `service`: answers requests
    /// - `tell`: called when the hub comes and goes
    pub fn begin(self, service: Arc<web::Service>, tell: Tell) {
        let Line { membership, connector, outward, .. } = &self.line;
        let errands = Errands::new(membership, connector.clone(), outward.clone(), service);
        tokio::spawn(keep(self.line, errands, tell));
    }
}

/// Calls the hub again and again, each time after a longer pause.
async fn keep(mut line: Line, errands: Arc<Errands>, tell: Tell) {
    let mut told = None;
    let mut tries = 0;
    while !*line.shutdown.borrow() {
        let begun = crate::base::clock::Timestamp::now();
        let ended = line.talk(&errands, &tell, &mut told).await;
        let stood_ms = crate::base::clock::Timestamp::now().0.saturating_sub(begun.0);
        tries = if stood_ms >= STOOD_MS { 0 } else { tries };
        let (why, wait_ms) = match ended {
            Ended::Shutdown => break,
            Ended::Closing { again_ms } => ("the hub starts anew".to_owned(), again_ms),
            Ended::Broken(why) => {
                tries += 1;
                (why, pause_ms(tries - 1, random()))
            }
            // It changed while this agent ran: the hub knows the new one.
            Ended::Refused(why) if line.has_another_key().await => (why, pause_ms(0, random())),
            // Nothing that another try in a moment would change.
            Ended::Refused(why) => {
                tries = tries.max(5) + 1;
                (why, pause_ms(tries - 1, random()))
            }
        };
        if told.as_ref() != Some(&Some(why.clone())) {
            let hub = line.membership.url.clone();
            tell(AgentEvent::HubAway { hub, why: why.clone() });
            told = Some(Some(why.clone()));
        }
        line.standing.send_replace(Standing::Away { why });
        line.wait(wait_ms).await;
    }
    let why = "this agent stops".to_owned();
    line.standing.send_replace(Standing::Away { why });
}

fn random() -> u32 {
    let mut bytes = [0; 4];
    // Without random numbers there is no greeting either.
    getrandom::fill(&mut bytes).map_or(u32::MAX, |()| u32::from_le_bytes(bytes))
}
