//! What the owner decides about an order that waits or is on its way: yes, or take it back.
//!
//! For the command line and for the page behind a mailed link alike. A provider that has the order
//! is asked to stop, and what it says is what the owner is told.

use super::dispatch::Hindrance;
use super::target::{Cancelled, Target};
use super::terms::Terms;
use crate::base::clock::Timestamp;
use crate::base::money::Currency;
use crate::store::{Order, OrderState, State, StoreError};

/// Why a decision changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// There is nobody to order from.
    #[error("there is no consent for provider `{0}`: run `signet consent allow` first")]
    NoConsent(String),
    /// The provider no longer makes it.
    #[error("provider `{provider}` does not offer `{product}`")]
    NotOffered {
        /// Who.
        provider: String,
        /// What.
        product: String,
    },
    /// Another provider has it now.
    #[error("it was given to provider `{provider}` instead: `signet orders cancel {key}` first")]
    Replaced {
        /// Who.
        provider: String,
        /// Key of the order there.
        key: String,
    },
    /// It is past that.
    #[error("it is {0}: only an order that waits, was refused or failed can be approved")]
    NotWaiting(OrderState),
    /// It is over.
    #[error("it is {0}: too late to cancel it")]
    Over(OrderState),
    /// The provider says so.
    #[error("too late to cancel it: `{provider}` says: {words}")]
    TooLate {
        /// Who.
        provider: String,
        /// Its words.
        words: String,
    },
    /// Others would be stopped with it.
    #[error(
        "it ships together with {others_count} others, which would be cancelled with it: {cure}"
    )]
    Together {
        /// How many.
        others_count: usize,
        /// What to do.
        cure: &'static str,
    },
    /// The provider could not be asked.
    #[error("`{provider}` could not be asked to stop: {why}; try again, or call them")]
    Unreachable {
        /// Who.
        provider: String,
        /// Why.
        why: String,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Lets an order go ahead that asks, waits, was refused or failed, at the price in force: what
/// the provider quoted, or else the one agreed.
///
/// # Errors
/// A [`DecideError`]; nothing changed.
pub fn approve(
    state: &State,
    terms: Option<&Terms>,
    order: &Order,
    now: Timestamp,
) -> Result<(), DecideError> {
    let (price_minor, currency) = price_in_force(state, terms, order)?;
    match state.approve_order(&order.order_key, price_minor, currency.as_str(), now)? {
        true => Ok(()),
        false => Err(match state.heir_of(&order.order_key)? {
            Some(Order { provider, order_key: key, .. }) => DecideError::Replaced { provider, key },
            None => DecideError::NotWaiting(order.state),
        }),
    }
}

/// What an order costs when it is approved now, minor units: what the provider quoted, or else
/// what was agreed.
///
/// # Errors
/// A [`DecideError`]: it cannot be approved.
pub fn price_in_force<'a>(
    state: &State,
    terms: Option<&'a Terms>,
    order: &Order,
) -> Result<(i64, &'a Currency), DecideError> {
    let provider = &order.provider;
    let terms = terms.ok_or_else(|| DecideError::NoConsent(provider.clone()))?;
    let each_minor = match &order.product {
        None => 0,
        Some(product) => {
            let offer = terms.products.get(product).ok_or_else(|| DecideError::NotOffered {
                provider: provider.clone(),
                product: product.clone(),
            })?;
            offer.price_minor
        }
    };
    let agreed_minor = each_minor.saturating_mul(i64::from(order.copies));
    let price_minor = state.quoted_minor(&order.order_key)?.unwrap_or(0).max(agreed_minor);
    Ok((price_minor, &terms.currency))
}

/// Takes an order back; returns what that means, in words.
///
/// - `target`: the way to a provider; called only when one has the order
/// - `with_others`: whether orders that ship with it may be cancelled too, where a provider cannot
///   stop one alone
///
/// # Errors
/// A [`DecideError`]; the order stays as it was.
pub fn cancel(
    state: &State,
    target: impl FnOnce(&str) -> Result<Box<dyn Target>, Hindrance>,
    order: &Order,
    with_others: bool,
    now: Timestamp,
) -> Result<String, DecideError> {
    let key = &order.order_key;
    let before = [
        OrderState::Ask,
        OrderState::Held,
        OrderState::Planned,
        OrderState::Ready,
        OrderState::Refused,
        OrderState::Failed,
    ];
    let (cancelled, note) = (OrderState::Cancelled, "cancelled by the owner");
    if state.move_order(key, &before, cancelled, note, now)? {
        state.revoke(Some(key), "the order was cancelled", now)?;
        return Ok("cancelled before the provider had it".into());
    }
    let Some(parcel) = state.parcel_of(key)? else {
        return cancel_unseen(state, order, now);
    };
    let order = state.order(key)?.unwrap_or_else(|| order.clone());
    let alive = |order: &Order| {
        !matches!(order.state, OrderState::Done | OrderState::Cancelled | OrderState::Failed)
    };
    if !alive(&order) {
        return Err(DecideError::Over(order.state));
    }
    let mut others = state.parcel_orders(&parcel.parcel_key)?;
    others.retain(|other| other.order_key != *key && alive(other));
    if !others.is_empty() && !with_others {
        let cure = "add --with-others to cancel all of them";
        return Err(DecideError::Together { others_count: others.len(), cure });
    }
    let Some(remote) = &parcel.remote else {
        state.ask_cancel(&parcel.parcel_key, now)?;
        return Ok(
            "it is being sent just now: the provider is asked to stop as soon as it is known \
                   whether it has it; see `signet orders show`"
                .into(),
        );
    };
    let provider = &order.provider;
    let unreachable = |why: String| DecideError::Unreachable { provider: provider.clone(), why };
    let words = match target(provider) {
        Err(Hindrance::Later(why)) => return Err(unreachable(why)),
        // Nobody to ask any more: what can be taken back is.
        Err(Hindrance::Never(_)) => None,
        Ok(target) => match target.cancel(&parcel.parcel_key, remote) {
            Ok(Cancelled::Stopped(words)) => Some(words),
            Ok(Cancelled::CannotBeAsked) => None,
            Ok(Cancelled::TooLate(words)) => {
                return Err(DecideError::TooLate { provider: provider.clone(), words });
            }
            Err(setback) => return Err(unreachable(setback.why)),
        },
    };
    let mut revoked_count = 0;
    for order in others.iter().chain([&order]) {
        revoked_count += state.revoke(Some(&order.order_key), "the order was cancelled", now)?;
    }
    state.end_parcel(&parcel.parcel_key, cancelled, note, now)?;
    Ok(match words {
        Some(words) if words.is_empty() => format!("cancelled: `{provider}` stopped it"),
        Some(words) => format!("cancelled: `{provider}` stopped it: {words}"),
        None => format!(
            "cancelled, {revoked_count} grants revoked; `{provider}` already has the order itself \
             and cannot be asked to stop: call them"
        ),
    })
}

/// Takes back an order that was sent before there were parcels.
fn cancel_unseen(state: &State, order: &Order, now: Timestamp) -> Result<String, DecideError> {
    let (key, note) = (&order.order_key, "cancelled by the owner");
    let from = [OrderState::Accepted, OrderState::Fetching];
    if !state.move_order(key, &from, OrderState::Cancelled, note, now)? {
        return Err(DecideError::Over(order.state));
    }
    let revoked_count = state.revoke(Some(key), "the order was cancelled", now)?;
    Ok(format!(
        "cancelled, {revoked_count} grants revoked; `{}` already has the order itself: call them",
        order.provider
    ))
}
