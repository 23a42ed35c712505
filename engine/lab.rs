//! The provider's side: receives orders, fetches originals, files them, acknowledges.
//!
//! ```text
//! HOME/lab.toml                 name, addresses, products and prices, fees paid for access
//! HOME/keys/lab.key             the lab's Ed25519 key; grants are bound to it
//! HOME/owners/REF.json          an invited owner and the secret shared with them
//! OUT/ORDER_KEY/order.json      the order as it came
//! OUT/ORDER_KEY/manifest.jws    what belongs to it, signed by the owner's agent
//! OUT/ORDER_KEY/manifest.json   the same, to be read
//! OUT/ORDER_KEY/NAME            the picture and each companion, there only whole and with the
//!                               right digest
//! OUT/ORDER_KEY/done.json       written last: everything arrived and was acknowledged
//! OUT/ORDER_KEY/failed.json     written instead when it cannot be fetched any more
//! OUT/ORDER_KEY/cancelled.json  the owner took it back in time; it is not taken again either
//! ```
//!
//! The folders are the state: a lab that was killed goes on where they stand.

pub mod charges;
mod fetch;
pub mod home;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};

use crate::access::{Key, Manifest};
use crate::base::causes::one_line;
use crate::base::files::{Readers, write_atomic};
use crate::base::ids::is_derived;
use crate::base::member::Member;
use crate::orders::webhook::{CancelMessage, CloudEvent, MEMBERS_MAX, OrderMessage};
use crate::store::Purpose;
use crate::web::Stage;
use crate::web::inbox::{self, Inbox, NotStopped, NotTaken, Taken};
use crate::web::signature::Sender;
use fetch::{Fetcher, Outcome};
use home::{LabConfig, LabError, LabHome};

/// File of an order that was taken back.
const CANCELLED: &str = "cancelled.json";

/// Originals fetched at the same time.
const FETCHING_MAX: usize = 4;

/// What happened at the lab, for whoever reports it.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum LabEvent {
    /// An order came in and is kept.
    Received {
        /// The order.
        order_key: String,
        /// Who ordered.
        owner: String,
        /// What is to be made, if anything.
        product: Option<String>,
        /// How many.
        copies: u32,
        /// Label of who it is for; absent: the owner.
        addressee: Option<String>,
        /// Whether it is urgent.
        express: bool,
        /// What goes with the photo.
        companions: Vec<Member>,
    },
    /// Everything of an order was fetched, checked, filed and acknowledged.
    Filed {
        /// The order.
        order_key: String,
        /// Files, inside the order's folder.
        files: Vec<PathBuf>,
        /// All of them together.
        bytes_count: u64,
        /// Companions that could not be had any more, by their names.
        missing: Vec<String>,
        /// From order to last byte.
        millis: u64,
    },
    /// It did not work and will be tried again.
    Waiting {
        /// The order.
        order_key: String,
        /// Why.
        reason: String,
        /// Until the next try.
        wait_ms: u64,
    },
    /// Its owner took it back in time.
    Cancelled {
        /// The order.
        order_key: String,
    },
    /// It cannot be fetched any more.
    Failed {
        /// The order.
        order_key: String,
        /// Why.
        reason: String,
    },
}

/// What a finished order leaves in `done.json`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Done {
    /// Files, inside the order's folder.
    pub files: Vec<PathBuf>,
    /// Bytes of all of them together.
    pub bytes_count: u64,
    /// Companions that could not be had any more, and why.
    pub missing: Vec<Absent>,
}

/// A companion that an order names and that could not be had.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Absent {
    /// What it is.
    pub role: Member,
    /// Name of its file.
    pub name: String,
    /// Why, in the owner's words.
    pub reason: String,
}

struct Lab {
    config: LabConfig,
    home: LabHome,
    incoming: mpsc::UnboundedSender<String>,
    /// Held while what is known of an owner is changed: orders arrive at the same time.
    owners: Mutex<()>,
    tell: Arc<dyn Fn(LabEvent) + Send + Sync>,
}

/// Runs a lab on a listener that the caller opened, until `shutdown` becomes true.
///
/// # Errors
/// When the home or the folder for orders cannot be used.
pub async fn run(
    home: LabHome,
    config: LabConfig,
    listener: TcpListener,
    shutdown: watch::Receiver<bool>,
    tell: Arc<dyn Fn(LabEvent) + Send + Sync>,
) -> Result<(), LabError> {
    let key = Key::load_or_create(&home.key_path())?;
    let out = config.out.clone();
    std::fs::create_dir_all(&out).map_err(|source| LabError::File { path: out.clone(), source })?;
    let (incoming, mut orders) = mpsc::unbounded_channel();
    for order_key in unfinished(&out)? {
        // The channel lives as long as `lab` below.
        let _ = incoming.send(order_key);
    }
    let fetcher = Arc::new(Fetcher::new(key, &config)?);
    let lab =
        Arc::new(Lab { config, home, incoming, owners: Mutex::default(), tell: tell.clone() });
    let serving = tokio::spawn(inbox::serve(listener, lab, shutdown.clone()));
    let places = Arc::new(Semaphore::new(FETCHING_MAX));
    let mut stop = shutdown.clone();
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            order_key = orders.recv() => match order_key {
                None => break,
                Some(order_key) => {
                    let work = see_through(
                        fetcher.clone(), places.clone(), order_key, tell.clone(), shutdown.clone(),
                    );
                    tokio::spawn(work);
                }
            },
        }
    }
    match serving.await {
        Ok(Err(source)) => Err(LabError::Listen { source }),
        _ => Ok(()),
    }
}

/// Tells the owner of an order what becomes of it.
///
/// # Errors
/// In words: there is no such order, or its owner cannot be reached.
pub fn tell_owner(
    home: &LabHome,
    config: &LabConfig,
    order_key: &str,
    state: Stage,
    note: &str,
) -> Result<(), String> {
    if !is_derived(order_key) {
        return Err(format!("`{order_key}` is no order key: it has 26 letters and digits"));
    }
    let key = Key::load_or_create(&home.key_path()).map_err(|error| error.to_string())?;
    let fetcher = Fetcher::new(key, config).map_err(|error| one_line(&error))?;
    fetcher.tell(order_key, state, note)
}

/// Works on one order until it is done, failed or the lab stops.
async fn see_through(
    fetcher: Arc<Fetcher>,
    places: Arc<Semaphore>,
    order_key: String,
    tell: Arc<dyn Fn(LabEvent) + Send + Sync>,
    mut shutdown: watch::Receiver<bool>,
) {
    for attempt in 0.. {
        let Ok(place) = places.acquire().await else { return };
        if *shutdown.borrow() {
            return;
        }
        let (worker, key) = (fetcher.clone(), order_key.clone());
        let outcome = tokio::task::spawn_blocking(move || worker.work(&key, attempt)).await;
        drop(place);
        let order_key = order_key.clone();
        match outcome {
            Ok(Outcome::Filed { done, millis }) => {
                let Done { files, bytes_count, missing } = done;
                let missing = missing.into_iter().map(|absent| absent.name).collect();
                tell(LabEvent::Filed { order_key, files, bytes_count, missing, millis });
                return;
            }
            // Whoever stopped it has told of it.
            Ok(Outcome::Cancelled) => return,
            Ok(Outcome::Failed(reason)) => {
                tell(LabEvent::Failed { order_key, reason });
                return;
            }
            Ok(Outcome::Waiting { reason, wait }) => {
                let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                tell(LabEvent::Waiting { order_key, reason, wait_ms });
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    _ = shutdown.wait_for(|stop| *stop) => return,
                }
            }
            Err(error) => {
                tracing::error!(%error, order_key, "work on an order broke off");
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
        }
    }
}

/// Orders that are neither done nor failed.
fn unfinished(out: &Path) -> Result<Vec<String>, LabError> {
    let file_error = |source| LabError::File { path: out.into(), source };
    let mut keys = Vec::new();
    for entry in std::fs::read_dir(out).map_err(file_error)? {
        let entry = entry.map_err(file_error)?;
        let folder = entry.path();
        let over = ["done.json", "failed.json", CANCELLED].iter();
        let over = over.copied().any(|name| folder.join(name).exists());
        if let Some(name) = entry.file_name().to_str()
            && is_derived(name)
            && folder.join("order.json").is_file()
            && !over
        {
            keys.push(name.to_owned());
        }
    }
    keys.sort();
    Ok(keys)
}

impl Lab {
    /// Whether the lab can do what is asked, at the price that was agreed.
    fn fits(&self, order: &OrderMessage) -> Result<(), String> {
        if !is_derived(&order.order_key) {
            return Err("the order key is malformed".into());
        }
        let [photo, companions @ ..] = order.members.as_slice() else {
            return Err("an order has at least one member".into());
        };
        if order.members.len() > MEMBERS_MAX {
            return Err(format!("an order has at most {MEMBERS_MAX} members"));
        }
        if photo.role.is_companion() || !companions.iter().all(|member| member.role.is_companion())
        {
            return Err("an order begins with the photo, and companions follow".into());
        }
        match (&order.product, order.purpose) {
            (None, Purpose::Share) => Ok(()),
            (Some(product), Purpose::Print) => {
                let offer = self.config.products.get(product);
                let offer = offer.ok_or_else(|| format!("no product `{product}`"))?;
                if offer.price_minor.checked_mul(i64::from(order.copies)) == Some(order.price_minor)
                    && order.currency == self.config.currency.as_str()
                {
                    Ok(())
                } else {
                    Err(format!("the price of `{product}` has changed: take the card again"))
                }
            }
            _ => Err("a print needs a product, a share has none".into()),
        }
    }
}

impl Inbox for Lab {
    fn sender(&self, owner: &str) -> Sender {
        let Some(owner) = self.home.owner(owner) else { return Sender::default() };
        let key = owner.key.as_deref().and_then(|key| key.parse().ok());
        Sender { secrets: [owner.secret].into_iter().chain(owner.former).collect(), key }
    }

    fn take(&self, owner: &str, event: CloudEvent) -> Result<Taken, NotTaken> {
        let order = event.data.clone();
        self.fits(&order).map_err(NotTaken::Unfit)?;
        let (_, manifest) =
            Manifest::of_order(&order).map_err(|error| NotTaken::Unfit(error.to_string()))?;
        let trouble = |error: &dyn std::fmt::Display| NotTaken::Trouble(error.to_string());
        let folder = self.config.out.join(&order.order_key);
        let path = folder.join("order.json");
        if path.is_file() {
            return Ok(Taken::Again);
        }
        if folder.join(CANCELLED).is_file() {
            return Err(NotTaken::Unfit("it was cancelled before it arrived".into()));
        }
        {
            let _one_at_a_time = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
            self.home.remember_key(owner, &order.owner_key).map_err(|error| trouble(&error))?;
        }
        std::fs::create_dir_all(&folder).map_err(|error| trouble(&error))?;
        // The order goes last: once it is there, it is kept.
        for (name, bytes) in
            [("manifest.jws", order.manifest.as_bytes()), ("manifest.json", &manifest)]
        {
            write_atomic(&folder.join(name), bytes, Readers::OwnerOnly).map_err(|e| trouble(&e))?;
        }
        let text = serde_json::to_string_pretty(&event).map_err(|error| trouble(&error))?;
        write_atomic(&path, text.as_bytes(), Readers::OwnerOnly).map_err(|e| trouble(&e))?;
        (self.tell)(LabEvent::Received {
            order_key: order.order_key.clone(),
            owner: self.home.owner(owner).map_or_else(|| order.owner.clone(), |owner| owner.name),
            product: order.product,
            copies: order.copies,
            addressee: order.addressee,
            express: order.express,
            companions: order.members.iter().skip(1).map(|member| member.role).collect(),
        });
        let _ = self.incoming.send(order.order_key);
        Ok(Taken::New)
    }

    fn stop(&self, event: CloudEvent<CancelMessage>) -> Result<String, NotStopped> {
        let order_key = event.data.order_key;
        if !is_derived(&order_key) {
            return Err(NotStopped::Unknown("the order key is malformed".into()));
        }
        let trouble = |error: &dyn std::fmt::Display| NotStopped::Trouble(error.to_string());
        let folder = self.config.out.join(&order_key);
        let words = match std::fs::read(folder.join("order.json")) {
            Err(_not_there) => "it had not arrived, and will not be taken",
            Ok(text) => {
                let kept: CloudEvent =
                    serde_json::from_slice(&text).map_err(|error| trouble(&error))?;
                if kept.source != event.source {
                    return Err(NotStopped::Unknown("there is no such order of yours".into()));
                }
                if folder.join("done.json").exists() {
                    return Err(NotStopped::TooLate("everything is here, it is being made".into()));
                }
                "it was not begun"
            }
        };
        std::fs::create_dir_all(&folder).map_err(|error| trouble(&error))?;
        let note = serde_json::json!({ "source": event.source, "at": event.time }).to_string();
        write_atomic(&folder.join(CANCELLED), note.as_bytes(), Readers::Usual)
            .map_err(|error| trouble(&error))?;
        (self.tell)(LabEvent::Cancelled { order_key });
        Ok(words.into())
    }
}
