//! What agents ask on their channels, and what they are answered. Blocking.
//!
//! An agent is believed about itself and nothing else: the grant that it offers has to be signed
//! with the key that it showed for that when it joined, and bound to the provider that it names, and the fee has to be one that this
//! provider agreed to pay.

use super::channel::Channel;
use super::log::LogError;
use super::protocol::{Answer, Ask};
use super::run::HubState;
use crate::access::grant::TYP;
use crate::access::{Claims, PublicKey, jws};
use crate::base::clock::Timestamp;
use crate::base::ids::ContentHash;
use crate::store::hub::{HubStore, OfferRow, PriceAsk, ProviderRow, ProviderState};
use crate::store::{Purpose, StoreError};

/// Takings of one answer: with the longest proofs they fit into a message.
const TAKINGS_TOLD_MAX: u32 = 12;

/// Answers one question.
pub fn answer(state: &HubState, channel: &Channel, ask: Ask, now: Timestamp) -> Answer {
    let agent = channel.agent_id.as_str();
    let store = state.store.as_ref();
    let answered = match ask {
        Ask::Quote { key, provider, access } => quote(store, &key, &provider, access),
        Ask::Offer { grant, provider, purpose, fee_minor, currency } => {
            let fee = Fee { minor: fee_minor, currency };
            offer(store, channel, &grant, &provider, purpose, &fee, now)
        }
        Ask::Withdraw { which } => withdraw(state, agent, which.as_deref(), now),
        Ask::Log { from, leaves, checkpoint } => store.agent(agent).map(|row| {
            let Some(row) = row else { return never("this computer did not join here") };
            // While it changes its key, its log may be signed with either.
            if row.key != channel.key {
                return later("the key of this computer was changed: it has to connect again");
            }
            logged(state.log.take(&row, from, &leaves, &checkpoint, now))
        }),
        Ask::HubLog { from, count_max } => Ok(logged(state.log.tell(agent, from, count_max, now))),
        Ask::Delivered { noted } => delivered(store, agent, &noted),
        Ask::Drop { grants } => drop_copies(state, agent, &grants),
    };
    answered.unwrap_or_else(|error| {
        tracing::error!(%error, "a question of an agent was not answered");
        later("the hub has a problem")
    })
}

/// What the logs answered.
fn logged(answered: Result<Answer, LogError>) -> Answer {
    answered.unwrap_or_else(|error| {
        tracing::error!(%error, "a log was not written or read");
        later("the hub has a problem with its logs")
    })
}

/// Takes offers back, of which their providers are told, and ends what is under way for them.
fn withdraw(
    state: &HubState,
    agent: &str,
    which: Option<&str>,
    now: Timestamp,
) -> Result<Answer, StoreError> {
    state.store.withdraw(agent, which, now)?;
    state.copies.untidy();
    state.transfers.cut(agent, which);
    Ok(Answer::Done)
}

/// Forgets what the agent took note of, and tells what else was taken of its copies.
fn delivered(
    store: &dyn HubStore,
    agent: &str,
    noted: &[ContentHash],
) -> Result<Answer, StoreError> {
    store.forget_takings(agent, noted)?;
    Ok(Answer::Delivered { takings: store.takings(agent, TAKINGS_TOLD_MAX)? })
}

fn drop_copies(state: &HubState, agent: &str, grants: &[String]) -> Result<Answer, StoreError> {
    grants.iter().try_for_each(|grant| state.store.drop_staged(agent, grant))?;
    state.copies.untidy();
    Ok(Answer::Done)
}

/// No, but perhaps another time.
fn later(why: impl Into<String>) -> Answer {
    Answer::No { later: true, why: why.into() }
}

/// No, whenever it is asked.
fn never(why: impl Into<String>) -> Answer {
    Answer::No { later: false, why: why.into() }
}

fn quote(store: &dyn HubStore, key: &str, name: &str, ask: PriceAsk) -> Result<Answer, StoreError> {
    let provider = match key {
        "" => store.provider(name)?.filter(|provider| provider.key.is_none()),
        key => store.provider_by_key(key)?,
    };
    let Some(provider) = provider else {
        // It fetches from the owner's computer itself then.
        return Ok(never(format!("the hub does not know the provider `{name}`")));
    };
    if let Some(no) = closed(&provider) {
        return Ok(no);
    }
    if !provider.purposes.contains(&ask.purpose) {
        let why = format!("the provider `{}` has no such purpose at the hub", provider.name);
        return Ok(never(why));
    }
    let Some(fee_minor) = provider.fee(ask) else {
        let why = format!("the provider `{}` has no price for that at the hub", provider.name);
        return Ok(later(why));
    };
    let account = format!("provider:{}", provider.name);
    let balance = store.balance(&account, &provider.currency)?;
    let reserved = store.reserved(&provider.name)?;
    let credit = provider.credit_limit_minor.saturating_sub(balance).saturating_sub(reserved);
    Ok(Answer::Quote {
        is_covered: credit >= fee_minor,
        fee_minor,
        currency: provider.currency,
        service_percent: provider.service_percent,
        provider: provider.name,
    })
}

fn closed(provider: &ProviderRow) -> Option<Answer> {
    match provider.state {
        ProviderState::Active => None,
        ProviderState::Paused => {
            Some(later(format!("the provider `{}` is paused: {}", provider.name, provider.why)))
        }
        ProviderState::Closed => {
            Some(never(format!("the provider `{}` is closed: {}", provider.name, provider.why)))
        }
    }
}

/// What an access is to cost.
struct Fee {
    minor: i64,
    currency: String,
}

fn offer(
    store: &dyn HubStore,
    channel: &Channel,
    grant: &str,
    name: &str,
    purpose: Purpose,
    fee: &Fee,
    now: Timestamp,
) -> Result<Answer, StoreError> {
    let Some(provider) = store.provider(name)? else {
        return Ok(never(format!("the hub does not know the provider `{name}`")));
    };
    if let Some(no) = closed(&provider) {
        return Ok(no);
    }
    let Some(agent) = store.agent(&channel.agent_id)? else {
        return Ok(never("this computer did not join here"));
    };
    let claims = match claims(&agent.grant_key, grant) {
        Ok(claims) => claims,
        Err(why) => return Ok(never(why)),
    };
    let holder = provider.key.as_deref().map(str::parse::<PublicKey>);
    let holder = match holder {
        None => String::new(),
        Some(Ok(key)) => key.thumbprint(),
        Some(Err(_)) => return Ok(later(format!("the key of `{name}` at the hub is damaged"))),
    };
    if claims.cnf.jkt != holder {
        return Ok(never(format!("the grant is bound to another key than that of `{name}`")));
    }
    let kept = store.offer(&channel.agent_id, &claims.jti)?;
    let is_agreed = match &kept {
        Some(kept) => kept.fee_minor == fee.minor && kept.provider == provider.name,
        None => may_cost(&provider, &claims, purpose, fee.minor),
    };
    if !is_agreed || fee.currency != provider.currency {
        return Ok(later(format!("`{name}` does not pay that: ask for the price again")));
    }
    let row = OfferRow {
        agent_id: channel.agent_id.clone(),
        grant_id: claims.jti,
        order_key: claims.order,
        provider: provider.name,
        member: claims.member,
        purpose,
        digest: claims.sha256,
        bytes_count: claims.bytes_count,
        fee_minor: fee.minor,
        currency: provider.currency,
        expires_at: Timestamp(claims.exp.saturating_mul(1000)),
        withdrawn_at: None,
    };
    if row.expires_at <= now {
        return Ok(never("the grant has expired"));
    }
    Ok(match store.put_offer(&row)? {
        true => Answer::Done,
        false => never("this computer may not offer anything now"),
    })
}

/// What a grant says that was signed with a key.
fn claims(key: &str, grant: &str) -> Result<Claims, String> {
    let key: PublicKey = key.parse().map_err(|_no_key| "its key is damaged".to_owned())?;
    let parsed = jws::parse(grant, TYP).map_err(|error| error.to_string())?;
    let claims: Claims = parsed.verify(&key).map_err(|error| error.to_string())?;
    match crate::base::ids::is_derived(&claims.jti) && claims.exp > 0 {
        true => Ok(claims),
        false => Err("the grant has no proper id or end".into()),
    }
}

/// Whether a fee is one of those that a provider agreed to pay for a member of some size.
fn may_cost(provider: &ProviderRow, claims: &Claims, purpose: Purpose, fee_minor: i64) -> bool {
    let sizes = provider.prices.iter().map(|price| price.megapixels_max);
    let fee = |megapixels| provider.fee(PriceAsk { member: claims.member, purpose, megapixels });
    provider.purposes.contains(&purpose)
        && sizes.chain([None, Some(u32::MAX)]).any(|size| fee(size) == Some(fee_minor))
}

#[cfg(test)]
#[path = "asks/tests.rs"]
mod tests;
