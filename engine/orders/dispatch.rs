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

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::parcel::{Line, Parcel, parcel_key};
use super::target::{Cancelled, Fate, Files, Progress, Search, Setback, Taken, Target};
use crate::base::clock::Timestamp;
use crate::base::ids::derived;
use crate::base::money::decimal;
use crate::store::{Due, News, Order, OrderState, ParcelRow, State, StoreError};

/// Parcels under way at the same time.
const SENDING_MAX: usize = 8;

/// Most orders in one parcel: a provider's answer that repeats them has to fit into what is read.
pub const LINES_MAX: u32 = 40;

/// How often the outbox is looked at when nobody calls: other processes write to it too.
const POLL: Duration = Duration::from_millis(500);

/// Waiting times after each failed try, in seconds, jittered by a fifth; the last repeats.
const WAITS_S: [i64; 10] = [1, 4, 15, 60, 300, 1800, 7200, 18_000, 36_000, 86_400];

/// An order that no try brought through for this long has failed: eight weeks, more than a holiday.
const PATIENCE_MS: i64 = 56 * 86_400_000;

/// A provider that cannot be reached is tried so often at least, in seconds: an hour.
const REST_S_MAX: i64 = 3600;

/// A provider that could not be asked what became of a parcel is asked again after this long.
const LOOK_AGAIN_MS: i64 = 300_000;

/// States of orders that can be given to another provider, once it is sure that theirs does not
/// make them.
const UNMADE: [OrderState; 7] = [
    OrderState::Held,
    OrderState::Planned,
    OrderState::Ready,
    OrderState::Sent,
    OrderState::Accepted,
    OrderState::Fetching,
    OrderState::Production,
];

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

/// Providers that cannot be reached just now: until when they rest, and how often they were tried.
#[derive(Debug, Default)]
struct Resting(Mutex<BTreeMap<String, (Timestamp, u32)>>);

impl Resting {
    fn names(&self, now: Timestamp) -> Vec<String> {
        let resting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let names = resting.iter().filter(|(_, (until, _))| *until > now);
        names.map(|(name, _)| name.clone()).collect()
    }

    /// Lets a provider rest, longer each time; returns until when.
    fn rest(&self, provider: &str, asked_s: Option<i64>, now: Timestamp) -> Timestamp {
        let mut resting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (until, tries) = resting.entry(provider.to_owned()).or_insert((now, 0));
        // Tries that were under way at the same time count as one.
        if *until <= now {
            let wait_ms = wait_ms(provider, *tries, None).min(REST_S_MAX * 1000);
            *until = now.plus_millis(wait_ms.max(asked_s.unwrap_or(0).saturating_mul(1000)));
            *tries += 1;
        }
        *until
    }

    fn is_back(&self, provider: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(provider);
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

/// Where orders are worked on.
struct Desk<'a> {
    state: &'a State,
    outlet: &'a dyn Outlet,
    resting: &'a Resting,
    tell: &'a Tell,
}

impl Desk<'_> {
    fn work(&self, task: Task, now: Timestamp) -> Result<(), StoreError> {
        match task {
            Task::Fresh(orders, attempts_count) => self.send(orders, attempts_count, now),
            Task::Doubtful(parcel, orders, attempts_count) => {
                self.resolve(&parcel, &orders, attempts_count, now)
            }
            Task::Look(parcel) => self.look(&parcel, now),
        }
    }

    /// Sends orders for the first time, or again after they surely were not taken.
    fn send(&self, orders: Vec<Order>, tries: u32, now: Timestamp) -> Result<(), StoreError> {
        let (mut packed, mut lines) = (Vec::new(), Vec::new());
        for order in orders {
            match self.outlet.line(&order, now) {
                Ok(line) => {
                    packed.push(order);
                    lines.push(line);
                }
                Err(hindrance) => self.hindered(&[order], hindrance, tries, now)?,
            }
        }
        let Some(provider) = packed.first().map(|order| order.provider.clone()) else {
            return Ok(());
        };
        let keys: Vec<&str> = packed.iter().map(|order| order.order_key.as_str()).collect();
        let key = parcel_key(&provider, &keys, self.state.rounds(&keys)?);
        let ready = self.outlet.target(&provider).and_then(|target| {
            self.outlet.parcel(&key, &packed, lines).map(|parcel| (target, parcel))
        });
        let (target, parcel) = match ready {
            Ok(ready) => ready,
            Err(hindrance) => return self.hindered(&packed, hindrance, tries, now),
        };
        match target.quote(&parcel) {
            Ok(Some(quote)) => {
                let agreed = (parcel.price_minor(), parcel.currency.as_str());
                if quote.minor > agreed.0 || quote.currency != agreed.1 {
                    let (quoted, currency) = (decimal(quote.minor), &quote.currency);
                    let reason = format!(
                        "`{provider}` wants {quoted} {currency} with everything, agreed are {} {}",
                        decimal(agreed.0),
                        agreed.1
                    );
                    return self.ask(&packed, &parcel, quote.minor, &reason, now);
                }
            }
            Ok(None) => {}
            Err(setback) => return self.put_off(&packed, &setback, tries, now),
        }
        // The switch may have been thrown, or an order cancelled, since the rows were read.
        if !self.state.seal_parcel(&key, &provider, &keys, now)? {
            return Ok(());
        }
        self.hand_over(target.as_ref(), (&parcel, &packed, true), tries, now)
    }

    /// Finds out whether a provider has a parcel, and sends it again when it has not.
    fn resolve(
        &self,
        row: &ParcelRow,
        orders: &[Order],
        tries: u32,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let lines: Result<Vec<Line>, Hindrance> =
            orders.iter().map(|order| self.outlet.line(order, now)).collect();
        let ready = self.outlet.target(&row.provider).and_then(|target| {
            self.outlet.parcel(&row.parcel_key, orders, lines?).map(|parcel| (target, parcel))
        });
        let (target, parcel) = match ready {
            Ok(ready) => ready,
            Err(Hindrance::Later(why)) => {
                return self.doubt(&row.parcel_key, orders, &Setback::unknown(why), tries, now);
            }
            Err(Hindrance::Never(why)) => {
                let note =
                    format!("nobody knows whether `{}` has it: {why}; ask there", row.provider);
                return self.end(&row.parcel_key, OrderState::Failed, &note, now);
            }
        };
        match (target.find(&parcel), row.cancel_asked_at) {
            (Ok(Search::Found(taken)), None) => self.taken(target.as_ref(), &parcel, taken, now),
            (Ok(Search::Found(taken)), Some(_)) => {
                let remote = taken.remote.clone();
                self.taken(target.as_ref(), &parcel, taken, now)?;
                self.stop(target.as_ref(), &row.parcel_key, &remote, now)
            }
            (Ok(Search::SendAgain), Some(_)) => {
                self.cancelled(&row.parcel_key, "the provider does not have it", now)
            }
            (Ok(Search::TakesAgain), Some(_)) => {
                let first = orders.first().map_or("", |order| order.order_key.as_str());
                self.stop(target.as_ref(), &row.parcel_key, first, now)
            }
            (Ok(_), None) if self.state.stopped_since()?.is_some() => Ok(()),
            (Ok(search), None) => {
                let has_none = search == Search::SendAgain;
                self.hand_over(target.as_ref(), (&parcel, orders, has_none), tries, now)
            }
            (Err(setback), _) => self.doubt(&row.parcel_key, orders, &setback, tries, now),
        }
    }

    /// The one call, and what the store is told of it.
    ///
    /// - `has_none`: the provider surely has not taken it at a try before; else what it says of this
    ///   try tells nothing of that one
    fn hand_over(
        &self,
        target: &dyn Target,
        (parcel, orders, has_none): (&Parcel, &[Order], bool),
        tries: u32,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let setback = match target.send(parcel, self.outlet) {
            Ok(taken) => return self.taken(target, parcel, taken, now),
            Err(setback) => setback,
        };
        let key = &parcel.parcel_key;
        match setback.fate {
            Fate::Refused if has_none => {
                self.end_unmade(key, orders, OrderState::Failed, &setback.why, now)
            }
            Fate::Refused => self.end(key, OrderState::Failed, &setback.why, now),
            Fate::NotTaken | Fate::Away if !has_none => {
                self.doubt(key, orders, &setback, tries, now)
            }
            Fate::Unknown => self.doubt(key, orders, &setback, tries, now),
            Fate::NotTaken | Fate::Away if is_over(orders, now) => {
                let note = format!("given up: {}", setback.why);
                self.end_unmade(key, orders, OrderState::Failed, &note, now)
            }
            Fate::NotTaken | Fate::Away => {
                let next = self.next_try(key, &parcel.provider, tries, &setback, now);
                self.state.unseal_parcel(key, next, &setback.why)?;
                self.tell_all(orders, |order| Sent::Postponed(order, next, setback.why.clone()));
                Ok(())
            }
        }
    }

    fn taken(
        &self,
        target: &dyn Target,
        parcel: &Parcel,
        taken: Taken,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if target.carries().bytes {
            self.outlet.delivered(parcel, now)?;
        }
        self.resting.is_back(&parcel.provider);
        let Taken { remote, progress } = taken;
        self.news(&parcel.parcel_key, Some(&remote), &progress, now)
    }

    /// Asks what became of a parcel.
    fn look(&self, row: &ParcelRow, now: Timestamp) -> Result<(), StoreError> {
        let Some(remote) = &row.remote else { return Ok(()) };
        let later = |why: &str| {
            tracing::info!(parcel = row.parcel_key, why, "a provider could not be asked");
            self.state.look_later(&row.parcel_key, now.plus_millis(LOOK_AGAIN_MS))
        };
        match self.outlet.target(&row.provider) {
            Err(Hindrance::Later(why)) => later(&why),
            Err(Hindrance::Never(why)) => {
                let state = OrderState::Accepted;
                let note =
                    format!("`{}` is not asked any more what became of it: {why}", row.provider);
                let progress = Progress { state, note, look_again_s: None };
                self.news(&row.parcel_key, None, &progress, now)
            }
            Ok(target) => match target.follow(&row.parcel_key, remote) {
                Ok(progress) => self.news(&row.parcel_key, None, &progress, now),
                Err(setback) => later(&setback.why),
            },
        }
    }

    /// Asks a provider to stop a parcel that the owner wanted stopped while nobody knew whether
    /// the provider has it.
    fn stop(
        &self,
        target: &dyn Target,
        parcel_key: &str,
        remote: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let words = match target.cancel(parcel_key, remote) {
            Ok(Cancelled::Stopped(words)) => words,
            Ok(Cancelled::TooLate(words)) => {
                let progress = Progress {
                    state: OrderState::Accepted,
                    note: format!("it was too late to cancel it: {words}"),
                    look_again_s: Some(1),
                };
                return self.news(parcel_key, Some(remote), &progress, now);
            }
            Ok(Cancelled::CannotBeAsked) => {
                "whether the provider has it is not known: call them".into()
            }
            Err(setback) => {
                let orders = self.state.parcel_orders(parcel_key)?;
                return self.doubt(parcel_key, &orders, &setback, 1, now);
            }
        };
        self.cancelled(parcel_key, &words, now)
    }

    fn cancelled(&self, parcel_key: &str, words: &str, now: Timestamp) -> Result<(), StoreError> {
        for order in self.state.parcel_orders(parcel_key)? {
            self.state.revoke(Some(&order.order_key), "the order was cancelled", now)?;
        }
        let note = format!("cancelled by the owner: {words}");
        self.end(parcel_key, OrderState::Cancelled, &note, now)
    }

    /// Keeps what a provider says of a parcel, and tells of it.
    fn news(
        &self,
        parcel_key: &str,
        remote: Option<&str>,
        progress: &Progress,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if progress.state == OrderState::Cancelled
            && self.state.parcel(parcel_key)?.is_some_and(|row| row.cancel_asked_at.is_none())
        {
            let orders = self.state.parcel_orders(parcel_key)?;
            self.replace_all(&orders, OrderState::Cancelled, &progress.note, now)?;
        }
        let is_over =
            matches!(progress.state, OrderState::Done | OrderState::Cancelled | OrderState::Failed);
        let again_s = progress.look_again_s.filter(|_| !is_over).map(|seconds| seconds.max(1));
        let next_look_at = again_s.map(|seconds| now.plus_millis(seconds.saturating_mul(1000)));
        let news = News { state: progress.state, note: &progress.note, next_look_at };
        for order in self.state.parcel_news(parcel_key, remote, news, now)? {
            (self.tell)(match order.state {
                state @ (OrderState::Cancelled | OrderState::Failed) => {
                    Sent::Ended(order, state, progress.note.clone())
                }
                OrderState::Accepted if remote.is_some() => Sent::Accepted(order),
                _ => Sent::Moved(order),
            });
        }
        Ok(())
    }

    fn end(
        &self,
        parcel_key: &str,
        to: OrderState,
        note: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        for order in self.state.end_parcel(parcel_key, to, note, now)? {
            (self.tell)(Sent::Ended(order, to, note.to_owned()));
        }
        Ok(())
    }

    /// Ends a parcel that its provider surely does not make; where rules name another one, that one
    /// has the orders next.
    fn end_unmade(
        &self,
        parcel_key: &str,
        orders: &[Order],
        to: OrderState,
        why: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.replace_all(orders, to, why, now)?;
        self.end(parcel_key, to, why, now)
    }

    /// Gives orders that their provider surely does not make to the next ones that their rules
    /// name; the others stay as they are.
    fn replace_all(
        &self,
        orders: &[Order],
        to: OrderState,
        why: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        for order in orders {
            let Some(mut instead) = self.outlet.instead(order, why, now)? else { continue };
            if to == OrderState::Cancelled && instead.state != OrderState::Ask {
                // The owner may have said so to the provider itself.
                (instead.state, instead.hold) = (OrderState::Ask, None);
                instead.reason.push_str("; but it was cancelled there, maybe by yourself");
            }
            let (key, provider) = (&instead.order_key, &instead.provider);
            let note = match instead.state {
                OrderState::Ask => format!("{why}; `{provider}` has it once you approve {key}"),
                _ => format!("{why}; `{provider}` has it instead, as {key}"),
            };
            if self.state.replace_order(&order.order_key, &UNMADE, (to, &note), &instead, now)? {
                (self.tell)(Sent::Ended(order.clone(), to, note));
            }
        }
        Ok(())
    }

    /// Lets orders ask that cost more than was agreed. Each one's part of the price is as it was
    /// agreed, the last one's what is left.
    fn ask(
        &self,
        orders: &[Order],
        parcel: &Parcel,
        quoted_minor: i64,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut left = quoted_minor;
        for (index, order) in orders.iter().enumerate() {
            let part = match orders.len() - 1 - index {
                0 => left,
                _ => {
                    let (price, all) = (i128::from(order.price_minor), parcel.price_minor().max(1));
                    let part = i128::from(quoted_minor) * price / i128::from(all);
                    i64::try_from(part).unwrap_or(left)
                }
            };
            left = left.saturating_sub(part);
            if self.state.quote_order(&order.order_key, part, reason, now)? {
                (self.tell)(Sent::Ended(order.clone(), OrderState::Ask, reason.to_owned()));
            }
        }
        Ok(())
    }

    /// Something on this computer is in the way of orders that were not sent.
    fn hindered(
        &self,
        orders: &[Order],
        hindrance: Hindrance,
        tries: u32,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        match hindrance {
            Hindrance::Later(why) => self.put_off(orders, &Setback::not_taken(why), tries, now),
            Hindrance::Never(why) => self.give_up(orders, OrderState::Refused, &why, now),
        }
    }

    /// Tries orders again later that are in no parcel.
    fn put_off(
        &self,
        orders: &[Order],
        setback: &Setback,
        tries: u32,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if setback.fate == Fate::Refused {
            return self.give_up(orders, OrderState::Failed, &setback.why, now);
        }
        if is_over(orders, now) {
            let note = format!("given up: {}", setback.why);
            return self.give_up(orders, OrderState::Failed, &note, now);
        }
        for order in orders {
            let next = self.next_try(&order.order_key, &order.provider, tries, setback, now);
            self.state.outbox_postpone(&order.order_key, next, &setback.why)?;
            (self.tell)(Sent::Postponed(order.clone(), next, setback.why.clone()));
        }
        Ok(())
    }

    fn give_up(
        &self,
        orders: &[Order],
        to: OrderState,
        why: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let from = [OrderState::Held, OrderState::Planned, OrderState::Ready];
        self.replace_all(orders, to, why, now)?;
        for order in orders {
            if self.state.move_order(&order.order_key, &from, to, why, now)? {
                (self.tell)(Sent::Ended(order.clone(), to, why.to_owned()));
            }
        }
        Ok(())
    }

    /// Nobody knows whether the provider has a parcel: it is asked later.
    fn doubt(
        &self,
        parcel_key: &str,
        orders: &[Order],
        setback: &Setback,
        tries: u32,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if is_over(orders, now) {
            let note = format!("given up, and nobody knows whether it was taken: {}", setback.why);
            return self.end(parcel_key, OrderState::Failed, &note, now);
        }
        let provider = orders.first().map_or("", |order| order.provider.as_str());
        let next = self.next_try(parcel_key, provider, tries, setback, now);
        self.state.doubt_parcel(parcel_key, next, &setback.why, now)?;
        self.tell_all(orders, |order| Sent::Postponed(order, next, setback.why.clone()));
        Ok(())
    }

    /// When to try again: by the schedule, or when a provider that cannot be reached has rested.
    fn next_try(
        &self,
        key: &str,
        provider: &str,
        tries: u32,
        setback: &Setback,
        now: Timestamp,
    ) -> Timestamp {
        match setback.fate {
            Fate::Away => self.resting.rest(provider, setback.wait_s, now),
            _ => now.plus_millis(wait_ms(key, tries, setback.wait_s)),
        }
    }

    fn tell_all(&self, orders: &[Order], sent: impl Fn(Order) -> Sent) {
        orders.iter().for_each(|order| (self.tell)(sent(order.clone())));
    }
}

/// Whether no try is worth it any more.
fn is_over(orders: &[Order], now: Timestamp) -> bool {
    orders.iter().any(|order| now.0 - order.updated_at.0 > PATIENCE_MS)
}

/// Time until the next try: the schedule with a fifth of jitter, or longer if asked to.
fn wait_ms(key: &str, attempts_count: u32, asked_s: Option<i64>) -> i64 {
    let index = usize::try_from(attempts_count).unwrap_or(usize::MAX).min(WAITS_S.len() - 1);
    let wait = WAITS_S[index] * 1000;
    let digits = derived("jitter", &[key, &attempts_count.to_string()]);
    let jitter = digits.bytes().take(4).fold(0_i64, |sum, byte| sum + i64::from(byte)) % 41 - 20;
    (wait + wait * jitter / 100).max(asked_s.unwrap_or(0).saturating_mul(1000))
}

#[cfg(test)]
#[path = "dispatch/tests.rs"]
mod tests;
