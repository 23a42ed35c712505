//! Works on one task of the dispatcher: sends, asks, follows, and keeps what came of it.
//!
//! In:  orders that are due, or a parcel. Out: what the store is told, and [`Sent`] for whoever shows
//! it. A crash between any two lines does no harm: what was not kept is found out again.

use super::pace::{Resting, wait_ms};
use super::{Hindrance, Outlet, Sent, Task, Tell};
use crate::base::clock::Timestamp;
use crate::base::money::decimal;
use crate::orders::parcel::{Line, Parcel, parcel_key};
use crate::orders::target::{Cancelled, Fate, Progress, Search, Setback, Taken, Target};
use crate::store::{News, Order, OrderState, ParcelRow, State, StoreError};

/// An order that no try brought through for this long has failed: eight weeks, more than a holiday.
const PATIENCE_MS: i64 = 56 * 86_400_000;

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

/// Where orders are worked on.
pub(super) struct Desk<'a> {
    pub(super) state: &'a State,
    pub(super) outlet: &'a dyn Outlet,
    pub(super) resting: &'a Resting,
    pub(super) tell: &'a Tell,
}

impl Desk<'_> {
    pub(super) fn work(&self, task: Task, now: Timestamp) -> Result<(), StoreError> {
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
