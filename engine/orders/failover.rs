//! Another provider for an order that its own did not make.
//!
//! In:  an order that ended without its provider having acted, the photo, what was agreed and what
//! was ordered. Out: the order at the next provider that its rule names, planned anew with the
//! price, limits and consent of that one; or nothing, where none is left. A pure function.
//!
//! Only for an order of which it is *sure* that its provider has not acted and will not: it refused,
//! it was never sent, it confirmed that it stopped. Never while that is unknown, and never for one
//! that the owner took back. Whoever calls this knows that; [`State::replace_order`] keeps both in one
//! transaction.
//!
//! What the owner said yes to once needs no second yes at the next provider; what goes beyond a
//! limit there asks.
//!
//! [`State::replace_order`]: crate::store::State::replace_order

use super::plan::{Agreed, Before, Photo, Wished, decide};
use crate::base::clock::Moment;
use crate::preview::PreviewWish;
use crate::store::{Order, OrderState};

impl Wished<'_> {
    /// The same wish at the next provider.
    ///
    /// - `order_key`: of the order at this one
    /// - `why`: why it makes none
    pub(super) fn at_the_next(&self, order_key: &str, why: &str) -> Option<Self> {
        let (provider, fallback) = self.fallback.split_first()?;
        Some(Self {
            provider,
            fallback,
            reason: format!("{}; not from `{}`: {why}", self.reason, self.provider),
            instead_of: Some(order_key.to_owned()),
            ..self.clone()
        })
    }
}

/// The order in the place of one that its provider surely did not make.
///
/// - `why`: why it did not, in words
/// - `before`: what counts towards limits; the order itself no longer does
pub fn instead(
    order: &Order,
    why: &str,
    photo: &Photo,
    agreed: Agreed<'_>,
    before: &Before,
    now: Moment,
) -> Option<Order> {
    let wished = Wished {
        rule: &order.rule,
        revision: &order.revision,
        reason: order.origin.clone(),
        asks: false,
        doubts: &[],
        hold_ms: 0,
        provider: &order.provider,
        purpose: order.purpose,
        product: order.product.as_deref(),
        copies: order.copies,
        addressee: order.addressee.as_deref(),
        express: order.express,
        with: &order.companions,
        preview: PreviewWish::default(),
        price_max: order.price_max.as_ref(),
        remove_icon: order.remove_icon,
        fallback: &order.fallback,
        instead_of: None,
    };
    let mut why = why.to_owned();
    let mut wished = wished.at_the_next(&order.order_key, &why)?;
    loop {
        let next = decide(photo, &wished, agreed, before, now);
        if next.state != OrderState::Refused {
            return Some(next);
        }
        why = next.reason;
        // One that the consent does not cover is passed over; its heir follows the order itself.
        wished = wished.at_the_next(&order.order_key, &why)?;
    }
}

#[cfg(test)]
#[path = "failover/tests.rs"]
mod tests;
