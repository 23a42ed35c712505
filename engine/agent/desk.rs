//! Where the owner decides about orders from a link in a mail.
//!
//! The page shows what holds now, and approving means exactly what it showed: a stamp covers
//! everything that one decides about. Whoever decides twice gets the same answer and no second
//! order; whoever is too late is told so.

use std::sync::Arc;

use super::outlet::preview_path;
use super::providers::Providers;
use crate::base::causes::one_line;
use crate::base::clock::Timestamp;
use crate::base::home::Home;
use crate::base::ids::derived;
use crate::base::money::decimal;
use crate::orders::decide::{self, DecideError, price_in_force};
use crate::preview::PreviewSpec;
use crate::store::orders::words;
use crate::store::{Order, OrderState, State, StoreError};
use crate::web::decide::{Asked, Decided, Decision, Desk};

/// Knows the orders and what was agreed.
pub(super) struct OwnerDesk {
    /// Where previews lie.
    pub(super) home: Home,
    /// The orders.
    pub(super) state: Arc<State>,
    /// What was agreed, and the ways to providers.
    pub(super) providers: Providers,
}

impl Desk for OwnerDesk {
    fn asked(&self, order_key: &str) -> Result<Option<Asked>, StoreError> {
        self.state.order(order_key)?.map(|order| self.page(&order)).transpose()
    }

    fn decide(
        &self,
        order_key: &str,
        decision: Decision,
        stamp: &str,
    ) -> Result<Decided, StoreError> {
        let Some(order) = self.state.order(order_key)? else {
            return Ok(Decided::TooLate("There is no such order any more.".into()));
        };
        match decision {
            Decision::Approve => self.approve(&order, stamp),
            Decision::Cancel => self.cancel(&order),
        }
    }

    fn preview(&self, order_key: &str) -> Option<(&'static str, Vec<u8>)> {
        let order = self.state.order(order_key).ok().flatten()?;
        let spec = PreviewSpec::default();
        let bytes = std::fs::read(preview_path(&self.home, &order.photo, spec)).ok()?;
        Some((spec.format.media_type(), bytes))
    }
}

impl OwnerDesk {
    fn approve(&self, order: &Order, stamp: &str) -> Result<Decided, StoreError> {
        if !matches!(order.state, OrderState::Ask | OrderState::Held) {
            return Ok(settled(order));
        }
        if self.page(order)?.stamp != stamp {
            return Ok(Decided::Changed);
        }
        let consent = self.providers.consent.current();
        let terms = consent.as_ref().ok().and_then(|c| c.providers.get(&order.provider));
        match decide::approve(&self.state, terms, order, Timestamp::now()) {
            Ok(()) => Ok(Decided::Done("Approved. It goes out now.".into())),
            // Somebody was faster, perhaps the same finger.
            Err(DecideError::NotWaiting(_)) => {
                let order = self.state.order(&order.order_key)?;
                Ok(order.map_or(Decided::Changed, |order| settled(&order)))
            }
            Err(error) => not_done(error),
        }
    }

    fn cancel(&self, order: &Order) -> Result<Decided, StoreError> {
        if order.state == OrderState::Cancelled {
            return Ok(Decided::Done("It was cancelled before.".into()));
        }
        let target = |provider: &str| self.providers.target(provider);
        match decide::cancel(&self.state, target, order, false, Timestamp::now()) {
            Ok(words) => Ok(Decided::Done(sentence(&words))),
            Err(error) => not_done(error),
        }
    }

    fn page(&self, order: &Order) -> Result<Asked, StoreError> {
        let waits = matches!(order.state, OrderState::Ask | OrderState::Held);
        let consent = self.providers.consent.current();
        let terms = consent.as_ref().ok().and_then(|c| c.providers.get(&order.provider));
        let (price, hindrance) = match price_in_force(&self.state, terms, order) {
            _ if !waits => (Some((order.price_minor, order.currency.clone())), None),
            Ok((minor, currency)) => (Some((minor, currency.to_string())), None),
            Err(DecideError::Store(error)) => return Err(error),
            Err(error) => (None, Some(sentence(&one_line(&error)))),
        };
        let price = price.filter(|(minor, _)| *minor > 0);
        let price = price.map(|(minor, currency)| format!("{} {currency}", decimal(minor)));
        let (what, state) = (words(order), state_words(order));
        let stamp = derived(
            "decision",
            &[
                &order.order_key,
                &order.photo.to_string(),
                &order.provider,
                &what,
                &state,
                price.as_deref().unwrap_or_default(),
            ],
        );
        let photo = order.relative.rsplit('/').next().unwrap_or_default().to_owned();
        let is_over =
            matches!(order.state, OrderState::Shipped | OrderState::Done | OrderState::Cancelled);
        Ok(Asked {
            what,
            provider: order.provider.clone(),
            price,
            photo,
            why: hindrance.clone().unwrap_or_else(|| order.reason.clone()),
            state,
            can_approve: waits && hindrance.is_none(),
            can_cancel: !is_over,
            stamp,
        })
    }
}

/// Where an order is, for somebody with a phone.
pub(super) fn state_words(order: &Order) -> String {
    match (order.state, order.hold) {
        (OrderState::Ask, _) => "waits for your word".into(),
        (OrderState::Held, Some(hold)) => {
            format!("goes out by itself at {} unless you cancel it", hold.until)
        }
        (OrderState::Planned | OrderState::Ready, _) => "approved, goes out next".into(),
        (state, _) => state.to_string(),
    }
}

/// What to say to an approval of an order that no longer waits.
fn settled(order: &Order) -> Decided {
    match order.state {
        OrderState::Cancelled => Decided::TooLate("Too late: it was cancelled before.".into()),
        OrderState::Refused | OrderState::Failed => Decided::TooLate(format!(
            "It is {}: {}. Start it again with `signet orders approve`.",
            order.state, order.reason
        )),
        _ => Decided::Done("It was approved before.".into()),
    }
}

fn not_done(error: DecideError) -> Result<Decided, StoreError> {
    match error {
        DecideError::Store(error) => Err(error),
        error => Ok(Decided::TooLate(sentence(&one_line(&error)))),
    }
}

/// With a capital at its beginning and a full stop, as people write.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", chars.as_str())
}
