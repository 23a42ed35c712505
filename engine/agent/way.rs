//! By which way a provider fetches: at this computer's own address, or through the hub that it
//! joined.
//!
//! ```text
//! quote     before the grants are made: what the hub's books say that an access pays, and whether
//!           the provider's account covers it; less than was agreed, and the order waits
//! offer     the hub is told of each grant, until it says that it has it
//! withdraw  whatever is revoked is taken back there, as soon as the hub can be told
//! ```
//!
//! A provider that the hub does not know fetches here as ever; so does one without a key, unless the
//! owner agreed that the hub sees what passes. While the hub is away, or the provider's account does
//! not cover its fees, its orders wait and say so.
//!
//! Surprising: the hub is believed about money and nothing else. What it says decides what is
//! posted, never what may be fetched.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::outlet::Counter;
use crate::access::grant::Content;
use crate::base::clock::Timestamp;
use crate::base::member::Member;
use crate::base::money::decimal;
use crate::hub::protocol::{Answer, Ask};
use crate::orders::Terms;
use crate::orders::dispatch::Hindrance;
use crate::orders::terms::Relay;
use crate::store::hub::PriceAsk;
use crate::store::{GrantOffer, GrantRow, Order, State, StoreError};

/// Revoked grants are looked for so often.
const LOOK_MS: u64 = 500;

/// Grants that are taken back in one go.
const WITHDRAW_MAX: u32 = 200;

/// The hub that this agent joined, asked over its channel. Called off the async threads.
pub trait HubDesk: Send + Sync + 'static {
    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// In words: the hub cannot be asked just now.
    fn ask(&self, what: Ask) -> Result<Answer, String>;

    /// Where providers reach this computer there, no slash at the end.
    fn base_url(&self) -> String;
}

/// What the hub says of an access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Quoted {
    /// Name of the provider at the hub.
    provider: String,
    /// What the access pays, minor units.
    fee_minor: i64,
    service_percent: u8,
}

impl Quoted {
    /// That a grant goes by the hub, and pays what was quoted.
    pub(super) fn offer(&self, grant: &mut GrantRow, base_url: &str) -> GrantOffer {
        grant.fee_minor = self.fee_minor;
        GrantOffer {
            grant_id: grant.grant_id.clone(),
            order_key: grant.order_key.clone(),
            base_url: base_url.to_owned(),
            provider: self.provider.clone(),
            service_percent: self.service_percent,
            offered_at: None,
            withdrawn_at: None,
        }
    }
}

impl Counter {
    /// What the hub pays for each member of an order; `None` when its provider fetches here.
    pub(super) fn quoted(
        &self,
        hub: &dyn HubDesk,
        order: &Order,
        terms: &Terms,
        contents: &[Content],
    ) -> Result<Option<Vec<Quoted>>, Hindrance> {
        if terms.target.carries().bytes || (terms.key.is_empty() && terms.relay == Relay::Sealed) {
            return Ok(None);
        }
        let pixels = self.analysis(&order.photo).ok();
        let pixels = pixels.map(|seen| u64::from(seen.width_px) * u64::from(seen.height_px));
        let megapixels = pixels.and_then(|pixels| u32::try_from(pixels.div_ceil(1_000_000)).ok());
        let mut all = Vec::new();
        for content in contents {
            let is_original = content.member == Member::Original;
            let ask = PriceAsk {
                member: content.member,
                purpose: order.purpose,
                megapixels: megapixels.filter(|_| is_original),
            };
            match quote(hub, order, terms, ask)? {
                Some(quoted) => all.push(quoted),
                None => return Ok(None),
            }
        }
        Ok(Some(all))
    }

    /// Tells the hub of grants that go by it, unless it has them; returns where the provider
    /// fetches.
    pub(super) fn address(
        &self,
        order: &Order,
        grants: &[GrantRow],
        now: Timestamp,
    ) -> Result<String, Hindrance> {
        let later = |error: &dyn std::error::Error| Hindrance::Later(error.to_string());
        let first = grants.first().map_or("", |grant| grant.grant_id.as_str());
        let known = self.state.grant_offer(first).map_err(|error| later(&error))?;
        let (Some(_), Some(hub)) = (&known, &self.hub) else {
            if known.is_some() {
                self.state.forget_offers(&order.order_key).map_err(|error| later(&error))?;
            }
            return Ok(self.public_url.clone());
        };
        let base_url = hub.base_url();
        for grant in grants.iter().filter(|grant| grant.revoked_at.is_none()) {
            let offer = self.state.grant_offer(&grant.grant_id).map_err(|error| later(&error))?;
            let Some(offer) = offer else { continue };
            if offer.offered_at.is_some() && offer.base_url == base_url {
                continue;
            }
            let ask = Ask::Offer {
                grant: grant.token.clone(),
                provider: offer.provider,
                purpose: order.purpose,
                fee_minor: grant.fee_minor,
                currency: grant.currency.clone(),
            };
            match hub.ask(ask).map_err(|why| away(&why))? {
                Answer::Done => {}
                Answer::No { why, .. } => return Err(Hindrance::Later(format!("the hub: {why}"))),
                other => return Err(odd(&other)),
            }
            let noted = self.state.note_offered(&grant.grant_id, &base_url, now);
            noted.map_err(|error| later(&error))?;
        }
        Ok(base_url)
    }
}

/// Whether the hub took one of these grants back that holds again.
pub(super) fn were_taken_back(state: &State, grants: &[GrantRow]) -> Result<bool, StoreError> {
    for grant in grants.iter().filter(|grant| grant.revoked_at.is_none()) {
        if state.grant_offer(&grant.grant_id)?.is_some_and(|offer| offer.withdrawn_at.is_some()) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn quote(
    hub: &dyn HubDesk,
    order: &Order,
    terms: &Terms,
    ask: PriceAsk,
) -> Result<Option<Quoted>, Hindrance> {
    let name = if terms.key.is_empty() { order.provider.clone() } else { String::new() };
    let what = Ask::Quote { key: terms.key.clone(), provider: name, access: ask };
    let (provider, fee_minor, currency, service_percent, is_covered) =
        match hub.ask(what).map_err(|why| away(&why))? {
            Answer::Quote { provider, fee_minor, currency, service_percent, is_covered } => {
                (provider, fee_minor, currency, service_percent, is_covered)
            }
            Answer::No { later: true, why } => {
                return Err(Hindrance::Later(format!("the hub: {why}")));
            }
            Answer::No { later: false, .. } => return Ok(None),
            other => return Err(odd(&other)),
        };
    let (ours, agreed_minor) = (&order.provider, terms.fees.of(ask.member));
    let (pays, agreed) = (decimal(fee_minor), decimal(agreed_minor));
    if currency != terms.currency.as_str() || fee_minor < agreed_minor {
        return Err(Hindrance::Later(format!(
            "through the hub `{ours}` pays {pays} {currency} for the {}, agreed are {agreed} {}: \
             agree with its new card, or ask the hub's operator",
            ask.member, terms.currency
        )));
    }
    if !is_covered {
        return Err(Hindrance::Later(format!(
            "`{ours}` has no credit at the hub for the {pays} {currency} of the {}: the order is \
             held until it has",
            ask.member
        )));
    }
    Ok(Some(Quoted { provider, fee_minor, service_percent }))
}

fn away(why: &str) -> Hindrance {
    Hindrance::Later(format!("the hub cannot be asked: {why}"))
}

fn odd(answer: &Answer) -> Hindrance {
    Hindrance::Later(format!("the hub gave an answer to another question: {answer:?}"))
}

/// Takes back at the hub whatever is revoked here, until `shutdown` becomes true.
pub(super) async fn withdraw(
    state: Arc<State>,
    hub: Arc<dyn HubDesk>,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut looks = tokio::time::interval(Duration::from_millis(LOOK_MS));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            _ = looks.tick() => {}
        }
        let (state, hub) = (state.clone(), hub.clone());
        let round = tokio::task::spawn_blocking(move || withdraw_once(&state, hub.as_ref()));
        if let Ok(Err(why)) = round.await {
            tracing::debug!(why, "what was revoked is taken back at the hub later");
        }
    }
}

fn withdraw_once(state: &State, hub: &dyn HubDesk) -> Result<(), String> {
    let due = state.offers_to_withdraw(WITHDRAW_MAX).map_err(|error| error.to_string())?;
    for grant_id in due {
        match hub.ask(Ask::Withdraw { which: Some(grant_id.clone()) })? {
            // One that the hub does not know, or not any more, is what was wanted.
            Answer::Done | Answer::No { later: false, .. } => {}
            other => return Err(format!("{other:?}")),
        }
        let noted = state.note_withdrawn(&grant_id, Timestamp::now());
        noted.map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "way/tests.rs"]
mod tests;
