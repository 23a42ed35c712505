//! Sends what the outbox holds and asks what became of it. The only place from which orders leave
//! the computer.
//!
//! Each order goes through these steps, and a crash between any two of them does no harm:
//!
//! ```text
//! line     its grants are made; it is kept what belongs to it
//! quote    where the provider names prices: over the agreed price the order asks
//! seal     in one transaction it is `sent` and in a parcel, unless it was taken back
//! send     the one call
//! taken    `accepted`; or it surely was not taken: `ready` again, later; or nobody knows: it stays
//!          `sent`, and the provider is asked (`find`) before anything is sent again
//! follow   what became of it, as rarely as the target says
//! ```
//!
//! A provider that cannot be reached rests: one try, later and later, instead of one for each of its
//! orders, and all of them when it is back.
//!
//! Nothing is sent while the kill switch is thrown. An order that is held or waits for others goes
//! when its time is over, here and nowhere else.

mod desk;
mod pace;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::parcel::{Line, Parcel};
use super::target::{Files, Target};
use crate::base::clock::Timestamp;
use crate::store::{Due, Order, OrderState, ParcelRow, State, StoreError};
use desk::Desk;
use pace::Resting;

/// Parcels under way at the same time.
const SENDING_MAX: usize = 8;

/// Most orders in one parcel: a provider's answer that repeats them has to fit into what is read.
pub const LINES_MAX: u32 = 40;

/// How often the outbox is looked at when nobody calls: other processes write to it too.
const POLL: Duration = Duration::from_millis(500);

/// Why an order cannot go out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hindrance {
    /// Not now: its collection is offline, say.
    Later(String),
    /// The consent no longer covers it, or the photo version is gone.
    Never(String),
}

/// Turns orders into what is sent; makes their grants. Called off the async threads.
pub trait Outlet: Files + Send + Sync + 'static {
    /// The way to a provider, as the consent in force has it.
    ///
    /// # Errors
    /// A [`Hindrance`].
    fn target(&self, provider: &str) -> Result<Box<dyn Target>, Hindrance>;

    /// The order at another provider in the place of one that its own surely did not make; `None`
    /// where its rule names nobody else.
    ///
    /// - `why`: why it did not, in words
    ///
    /// # Errors
    /// When that cannot be found out; it is tried again.
    fn instead(
        &self,
        order: &Order,
        why: &str,
        now: Timestamp,
    ) -> Result<Option<Order>, StoreError>;

    /// Whether orders for one addressee wait for others that go with them.
    fn batches(&self, provider: &str) -> bool;

    /// Prepares one order. Called again for the next try; the grants must be the same.
    ///
    /// # Errors
    /// A [`Hindrance`]; the order waits or is refused.
    fn line(&self, order: &Order, now: Timestamp) -> Result<Line, Hindrance>;

    /// Puts prepared orders of one provider and one addressee together.
    ///
    /// # Errors
    /// A [`Hindrance`], of all of them.
    fn parcel(
        &self,
        parcel_key: &str,
        orders: &[Order],
        lines: Vec<Line>,
    ) -> Result<Parcel, Hindrance>;

    /// The provider took a parcel together with the bytes: all of them were accessed.
    ///
    /// # Errors
    /// When that could not be kept; it is tried again.
    fn delivered(&self, parcel: &Parcel, now: Timestamp) -> Result<(), StoreError>;
}

/// What became of a try.
#[derive(Debug, Clone)]
pub enum Sent {
    /// The provider has the order.
    Accepted(Order),
    /// It will be tried again at that time.
    Postponed(Order, Timestamp, String),
    /// The provider tells something new of it; its state says what.
    Moved(Order),
    /// It is over; the state says how.
    Ended(Order, OrderState, String),
}

/// Shows what became of tries.
pub type Tell = dyn Fn(Sent) + Send + Sync;

/// What is under way at one time.
enum Task {
    /// Orders that were not sent yet.
    Fresh(Vec<Order>, u32),
    /// A parcel of which it is not known whether it was taken.
    Doubtful(ParcelRow, Vec<Order>, u32),
    /// A parcel to be asked about.
    Look(ParcelRow),
}

impl Task {
    /// What nothing else may work on meanwhile.
    fn keys(&self) -> Vec<String> {
        let orders = |orders: &[Order]| orders.iter().map(|o| o.order_key.clone()).collect();
        match self {
            Self::Fresh(all, _) => orders(all),
            Self::Doubtful(parcel, all, _) => {
                let mut keys: Vec<String> = orders(all);
                keys.push(parcel.parcel_key.clone());
                keys
            }
            Self::Look(parcel) => vec![parcel.parcel_key.clone()],
        }
    }
}

/// Runs until `shutdown` becomes true; tries under way are finished first.
///
/// - `wake`: notified when an order was put into the outbox in this process
/// - `tell`: called for what became of each try
pub async fn run(
    state: Arc<State>,
    outlet: Arc<dyn Outlet>,
    wake: Arc<Notify>,
    mut shutdown: watch::Receiver<bool>,
    tell: Arc<Tell>,
) {
    let mut working = JoinSet::new();
    let resting = Arc::new(Resting::default());
    let mut under_way: HashSet<String> = HashSet::new();
    let mut tasks_count = 0_usize;
    while !*shutdown.borrow() {
        let places = SENDING_MAX.saturating_sub(tasks_count);
        match due(&state, outlet.as_ref(), &under_way, &resting, places, Timestamp::now()) {
            Ok(tasks) => {
                for task in tasks {
                    let keys = task.keys();
                    under_way.extend(keys.iter().cloned());
                    tasks_count += 1;
                    let (state, outlet, tell) = (state.clone(), outlet.clone(), tell.clone());
                    let resting = resting.clone();
                    working.spawn_blocking(move || {
                        let desk = Desk {
                            state: &state,
                            outlet: outlet.as_ref(),
                            resting: &resting,
                            tell: &*tell,
                        };
                        if let Err(error) = desk.work(task, Timestamp::now()) {
                            tracing::error!(%error, "the outbox cannot be kept");
                        }
                        keys
                    });
                }
            }
            Err(error) => tracing::error!(%error, "the outbox cannot be read"),
        }
        tokio::select! {
            Some(done) = working.join_next(), if !working.is_empty() => {
                tasks_count = tasks_count.saturating_sub(1);
                match done {
                    Ok(keys) => keys.iter().for_each(|key| { under_way.remove(key); }),
                    // A panic in one try: forget who is under way, the outbox knows the rest.
                    Err(error) => { tracing::error!(%error, "a try broke off"); under_way.clear(); }
                }
            },
            () = wake.notified() => {}
            () = tokio::time::sleep(POLL) => {}
            _ = shutdown.changed() => {}
        }
    }
    while working.join_next().await.is_some() {}
}

/// Works off everything that is due at `now`, one after the other, and returns how much that was.
/// What [`run`] does all the time; for programs that end.
///
/// # Errors
/// As any read or write of the store.
pub fn run_due(
    state: &State,
    outlet: &dyn Outlet,
    now: Timestamp,
    tell: &Tell,
) -> Result<usize, StoreError> {
    let resting = Resting::default();
    let desk = Desk { state, outlet, resting: &resting, tell };
    let mut done: HashSet<String> = HashSet::new();
    let mut tasks_count = 0;
    loop {
        let tasks = due(state, outlet, &done, &resting, SENDING_MAX, now)?;
        if tasks.is_empty() {
            return Ok(tasks_count);
        }
        for task in tasks {
            done.extend(task.keys());
            desk.work(task, now)?;
            tasks_count += 1;
        }
    }
}

fn due(
    state: &State,
    outlet: &dyn Outlet,
    under_way: &HashSet<String>,
    resting: &Resting,
    places: usize,
    now: Timestamp,
) -> Result<Vec<Task>, StoreError> {
    if places == 0 || state.stopped_since()?.is_some() {
        return Ok(Vec::new());
    }
    let rows_max = u32::try_from(under_way.len() + SENDING_MAX * 2).unwrap_or(u32::MAX);
    let mut taken = under_way.clone();
    let mut tasks = Vec::new();
    for Due { order, attempts_count, parcel_key } in
        state.outbox_due(now, rows_max, &resting.names(now))?
    {
        if tasks.len() == places {
            break;
        }
        if taken.contains(&order.order_key) {
            continue;
        }
        let task = match parcel_key {
            Some(key) => {
                let Some(parcel) = state.parcel(&key)? else { continue };
                let mut orders = state.parcel_orders(&key)?;
                orders.retain(|order| order.state == OrderState::Sent);
                Task::Doubtful(parcel, orders, attempts_count)
            }
            None if outlet.batches(&order.provider) => {
                let mut orders = state.outbox_beside(&order, now, LINES_MAX)?;
                orders.retain(|order| !taken.contains(&order.order_key));
                Task::Fresh(orders, attempts_count)
            }
            None => Task::Fresh(vec![order], attempts_count),
        };
        taken.extend(task.keys());
        tasks.push(task);
    }
    let rows_max = u32::try_from(under_way.len() + places).unwrap_or(u32::MAX);
    for parcel in state.parcels_due(now, rows_max)? {
        if tasks.len() < places && !taken.contains(&parcel.parcel_key) {
            tasks.push(Task::Look(parcel));
        }
    }
    Ok(tasks)
}

#[cfg(test)]
#[path = "dispatch/tests.rs"]
mod tests;
