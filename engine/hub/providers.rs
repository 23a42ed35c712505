//! Providers at the hub: who may fetch, for what, at which price; what they paid in; what owners
//! were paid.
//!
//! In:  what an operator asks for, through the API or at the hub's own computer.
//! Out: rows and postings; secrets once, when they are made: the hub keeps a hash of those that a
//! provider shows, and as they are those that it signs notices with.
//!
//! Purposes, limits and the state are any operator's; prices, credit and the service's part are an
//! administrator's. An edit with both needs both.
//!
//! Prices are written `MEMBER[:PURPOSE][:Nmp]=MINOR`, such as `original:print:12mp=20`; `any` stands
//! for every member.
//!
//! Knows no HTTP and no command line.

use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::notices;
use super::operators::{self, Action, Actor, Deed, OperatorError, random_text};
use crate::access::key::PublicKey;
use crate::base::clock::Timestamp;
use crate::base::ids::{ContentHash, derived};
use crate::base::member::Member;
use crate::base::money::{Currency, decimal};
use crate::store::hub::{
    HubStore, Posting, PostingKind, Price, ProviderChange, ProviderRow, ProviderState, TermsChange,
    provider_account,
};
use crate::store::{Entry, Purpose, StoreError};

/// Requests a minute of a provider about which nothing else is said.
pub const PER_MINUTE: u32 = 600;

/// Accesses a day of a provider about which nothing else is said.
pub const PER_DAY: u32 = 5000;

/// Most prices of one provider.
const PRICES_MAX: usize = 100;

/// Largest amount of any kind: ten million of the currency.
const MINOR_MAX: i64 = 1_000_000_000;

/// Longest note on a payment, in characters.
const NOTE_CHARS_MAX: usize = 200;

/// What is to be different about a provider; what is absent stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderEdit {
    /// What it may get photos for.
    pub purposes: Option<Vec<Purpose>>,
    /// Currency of its account; only while nothing is on it.
    pub currency: Option<String>,
    /// What it pays: all of its prices.
    pub prices: Option<Vec<Price>>,
    /// How far its account may go below zero, minor units.
    pub credit_limit_minor: Option<i64>,
    /// Part of each fee that the service keeps, 0 to 100.
    pub service_percent: Option<u8>,
    /// Requests a minute.
    pub requests_per_minute: Option<u32>,
    /// Accesses a day.
    pub accesses_per_day: Option<u32>,
    /// Where it is told of things; empty: nowhere.
    pub notify_url: Option<String>,
}

/// How a provider proves who it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proofs {
    /// Its Ed25519 key, base64url.
    pub key: Option<String>,
    /// Whether it is to get a secret for the hub's API.
    pub secret: bool,
}

/// A provider with what is told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The provider.
    pub provider: ProviderRow,
    /// Its new secret for the API.
    pub secret: Option<String>,
    /// Its new secret for checking notices.
    pub notify_secret: Option<String>,
}

/// A payment that was posted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Paid {
    /// The posting.
    pub posting: Posting,
    /// False when it was there before: the same reference was posted already.
    pub is_new: bool,
    /// What is on the account now: minor units, debits positive.
    pub balance_minor: i64,
}

/// A payment in or out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payment<'a> {
    /// How much, minor units.
    pub minor: i64,
    /// Names the payment, such as the bank's number; the same is posted once.
    pub reference: Option<&'a str>,
    /// In words.
    pub note: &'a str,
}

/// Adds a provider.
///
/// - `service_percent`: where the edit says nothing of it
///
/// # Errors
/// `Refused` with what is not possible, `Role`, or the database.
pub fn add(
    store: &dyn HubStore,
    actor: &Actor,
    name: &str,
    proofs: &Proofs,
    edit: &ProviderEdit,
    service_percent: u8,
    now: Timestamp,
) -> Result<Told, OperatorError> {
    operators::check(actor, Action::PutProvider)?;
    check_name(name)?;
    if store.provider(name)?.is_some() {
        return refused(format!("there is a provider `{name}` already"));
    }
    if proofs.key.is_none() && !proofs.secret {
        return refused("a provider needs a key, a secret or both".into());
    }
    if let Some(key) = &proofs.key {
        check_key(store, key)?;
    }
    let secret = proofs.secret.then(random_text::<32>).transpose()?;
    let blank = ProviderRow {
        name: name.into(),
        key: proofs.key.clone(),
        secret_hash: secret.as_ref().map(|secret| ContentHash::of(secret.as_bytes())),
        purposes: vec![Purpose::Print],
        currency: "EUR".into(),
        credit_limit_minor: 0,
        service_percent,
        requests_per_minute: PER_MINUTE,
        accesses_per_day: PER_DAY,
        notify_url: String::new(),
        notify_secret: String::new(),
        state: ProviderState::Active,
        why: String::new(),
        prices: Vec::new(),
    };
    let (provider, notify_secret) = edited(store, &blank, edit)?;
    let deed = Change { before: &blank, row: &provider };
    let proof = match (&provider.key, &provider.secret_hash) {
        (Some(_), Some(_)) => "key and secret",
        (Some(_), None) => "key",
        _ => "secret",
    };
    deed.act(store, actor, &format!("added with a {proof}; "), now, || {
        store.put_provider(&provider).map_err(OperatorError::from)
    })?;
    Ok(Told { provider, secret, notify_secret })
}

/// Changes a provider; what the edit does not name stays as it is then, whoever changes it meanwhile.
///
/// # Errors
/// `Refused` with what is not possible, `Role`, or the database.
pub fn set(
    store: &dyn HubStore,
    actor: &Actor,
    name: &str,
    edit: &ProviderEdit,
    now: Timestamp,
) -> Result<Told, OperatorError> {
    operators::check(actor, Action::PutProvider)?;
    let before = known(store, name)?;
    let (provider, notify_secret) = edited(store, &before, edit)?;
    let deed = Change { before: &before, row: &provider };
    deed.act(store, actor, "", now, || change(store, name, &terms(edit, &provider)))?;
    let provider = known(store, name)?;
    // Somebody else may have named an address, and got a secret, in the meantime.
    let notify_secret = notify_secret.filter(|secret| *secret == provider.notify_secret);
    Ok(Told { provider, secret: None, notify_secret })
}

/// What an edit changes, as it was checked.
fn terms(edit: &ProviderEdit, row: &ProviderRow) -> ProviderChange {
    let url = edit.notify_url.clone();
    ProviderChange::Terms(Box::new(TermsChange {
        purposes: edit.purposes.as_ref().map(|_| row.purposes.clone()),
        currency: edit.currency.as_ref().map(|_| row.currency.clone()),
        credit_limit_minor: edit.credit_limit_minor,
        service_percent: edit.service_percent,
        requests_per_minute: edit.requests_per_minute,
        accesses_per_day: edit.accesses_per_day,
        notify: url.map(|url| (url, row.notify_secret.clone())),
        prices: edit.prices.as_ref().map(|_| row.prices.clone()),
    }))
}

fn change(store: &dyn HubStore, name: &str, change: &ProviderChange) -> Result<(), OperatorError> {
    match store.change_provider(name, change)? {
        true => Ok(()),
        false => refused(format!("there is no provider `{name}` any more")),
    }
}

/// Lets a provider fetch, or not. One that is closed stays so.
///
/// # Errors
/// `Refused` where there is none or it is closed, `Role`, or the database.
pub fn set_state(
    store: &dyn HubStore,
    actor: &Actor,
    name: &str,
    state: ProviderState,
    why: &str,
    now: Timestamp,
) -> Result<ProviderRow, OperatorError> {
    operators::check(actor, Action::SetProviderState)?;
    check_note(why)?;
    known(store, name)?;
    let deed = Deed {
        action: Action::SetProviderState,
        subject: name,
        detail: format!("{}: {why}", state_word(state)),
    };
    operators::act(store, actor, &deed, now, || {
        match store.change_provider(name, &ProviderChange::State { state, why: why.into() })? {
            true => {
                store.put_notice(&notices::of_state(name, state, why, now))?;
                known(store, name)
            }
            false => refused(format!("`{name}` is closed: add it under another name")),
        }
    })
}

/// Gives a provider a new secret for the API; the old one is worth nothing from now on.
///
/// # Errors
/// `Refused` where there is none, `Role`, or the database.
pub fn renew_secret(
    store: &dyn HubStore,
    actor: &Actor,
    name: &str,
    now: Timestamp,
) -> Result<Told, OperatorError> {
    operators::check(actor, Action::RenewSecret)?;
    let secret = random_text::<32>()?;
    let secret_hash = ContentHash::of(secret.as_bytes());
    known(store, name)?;
    let deed = Deed { action: Action::RenewSecret, subject: name, detail: "a new one".into() };
    operators::act(store, actor, &deed, now, || {
        change(store, name, &ProviderChange::Secret(secret_hash))
    })?;
    Ok(Told { provider: known(store, name)?, secret: Some(secret), notify_secret: None })
}

/// A provider paid in.
///
/// # Errors
/// `Refused` for an amount that is not possible or a provider that is not there, `Role`, or the
/// database.
pub fn top_up(
    store: &dyn HubStore,
    actor: &Actor,
    name: &str,
    payment: Payment<'_>,
    now: Timestamp,
) -> Result<Paid, OperatorError> {
    operators::check(actor, Action::TopUp)?;
    let provider = known(store, name)?;
    let account = provider_account(name);
    let sides = ["cash", &account];
    let posting = payment_posting(PostingKind::TopUp, &provider.currency, payment, sides, now)?;
    pay(store, actor, Action::TopUp, name, &account, posting, now)
}

/// An owner was paid what they earned, or a part of it.
///
/// # Errors
/// `Refused` for more than there is or an owner who is not there, `Role`, or the database.
pub fn pay_out(
    store: &dyn HubStore,
    actor: &Actor,
    agent_id: &str,
    currency: &Currency,
    payment: Payment<'_>,
    now: Timestamp,
) -> Result<Paid, OperatorError> {
    operators::check(actor, Action::PayOut)?;
    let Some(agent) = store.agent(agent_id)? else {
        return refused(format!("there is no owner `{agent_id}`"));
    };
    let account = agent.account;
    let sides = [&account, "cash"];
    let posting = payment_posting(PostingKind::PayOut, currency.as_str(), payment, sides, now)?;
    let earned_minor = -store.balance(&account, currency.as_str())?;
    if payment.minor > earned_minor && !is_posted(store, &account, &posting)? {
        return refused(format!(
            "`{agent_id}` has earned {} {currency}, that is less than {}",
            decimal(earned_minor),
            decimal(payment.minor)
        ));
    }
    pay(store, actor, Action::PayOut, agent_id, &account, posting, now)
}

/// What a provider may still fetch for: its credit without what is set aside.
///
/// # Errors
/// The database.
pub fn credit_minor(store: &dyn HubStore, provider: &ProviderRow) -> Result<i64, StoreError> {
    let balance_minor = store.balance(&provider_account(&provider.name), &provider.currency)?;
    let reserved_minor = store.reserved(&provider.name)?;
    Ok(provider.credit_limit_minor.saturating_sub(balance_minor).saturating_sub(reserved_minor))
}

/// Whether a payment with a reference is on the account already: then it may be said again.
fn is_posted(store: &dyn HubStore, account: &str, posting: &Posting) -> Result<bool, StoreError> {
    let lines = store.lines(account, Timestamp(0), Timestamp(i64::MAX))?;
    Ok(lines.iter().any(|line| line.posting.posting_id == posting.posting_id))
}

fn payment_posting(
    kind: PostingKind,
    currency: &str,
    payment: Payment<'_>,
    [debit, credit]: [&str; 2],
    now: Timestamp,
) -> Result<Posting, OperatorError> {
    if !(1..=MINOR_MAX).contains(&payment.minor) {
        return refused(format!("an amount is 0.01 to {}", decimal(MINOR_MAX)));
    }
    check_note(payment.note)?;
    check_note(payment.reference.unwrap_or_default())?;
    let named_by = match payment.reference {
        Some(reference) => format!("reference {reference}"),
        None => random_text::<16>()?,
    };
    let note = match (payment.reference, payment.note) {
        (Some(reference), "") => reference.to_owned(),
        (Some(reference), note) => format!("{reference}: {note}"),
        (None, note) => note.to_owned(),
    };
    let entry = |account: &str, minor| Entry { account: account.into(), minor };
    Ok(Posting {
        posting_id: derived(kind.as_str(), &[debit, credit, currency, &named_by]),
        kind,
        access: None,
        currency: currency.into(),
        at: now,
        posted_at: now,
        note,
        entries: vec![entry(debit, payment.minor), entry(credit, -payment.minor)],
    })
}

fn pay(
    store: &dyn HubStore,
    actor: &Actor,
    action: Action,
    subject: &str,
    account: &str,
    posting: Posting,
    now: Timestamp,
) -> Result<Paid, OperatorError> {
    let minor = posting.entries.first().map_or(0, |entry| entry.minor);
    let detail = format!("{} {} {}", decimal(minor), posting.currency, posting.note);
    let deed = Deed { action, subject, detail: detail.trim_end().into() };
    let is_new = operators::act(store, actor, &deed, now, || {
        store.post(&posting).map_err(OperatorError::from)
    })?;
    let balance_minor = store.balance(account, &posting.currency)?;
    Ok(Paid { posting, is_new, balance_minor })
}

/// The row with an edit, and the new secret for notices where it got an address for the first time.
fn edited(
    store: &dyn HubStore,
    before: &ProviderRow,
    edit: &ProviderEdit,
) -> Result<(ProviderRow, Option<String>), OperatorError> {
    let mut row = before.clone();
    if let Some(purposes) = &edit.purposes {
        row.purposes.clone_from(purposes);
        row.purposes.sort_unstable();
        row.purposes.dedup();
        if row.purposes.is_empty() {
            return refused("a provider needs a purpose: print, share or both".into());
        }
    }
    if let Some(currency) = &edit.currency {
        let currency = Currency::try_from(currency.clone())
            .map_err(|error| OperatorError::Refused(error.to_string()))?;
        let account = provider_account(&row.name);
        if currency.as_str() != row.currency
            && (store.balance(&account, &row.currency)? != 0 || store.reserved(&row.name)? != 0)
        {
            return refused(format!(
                "there is money in {} on the account of `{}`: its currency stays",
                row.currency, row.name
            ));
        }
        row.currency = currency.into();
    }
    if let Some(prices) = &edit.prices {
        row.prices = checked(prices)?;
    }
    if let Some(minor) = edit.credit_limit_minor {
        if !(0..=MINOR_MAX).contains(&minor) {
            return refused(format!("a credit limit is 0.00 to {}", decimal(MINOR_MAX)));
        }
        row.credit_limit_minor = minor;
    }
    if let Some(percent) = edit.service_percent {
        if percent > 100 {
            return refused("the service's part is 0 to 100 percent".into());
        }
        row.service_percent = percent;
    }
    if let Some(per_minute) = edit.requests_per_minute {
        if per_minute == 0 {
            return refused("no request a minute is too few: pause the provider instead".into());
        }
        row.requests_per_minute = per_minute;
    }
    if let Some(per_day) = edit.accesses_per_day {
        row.accesses_per_day = per_day;
    }
    let mut notify_secret = None;
    if let Some(url) = &edit.notify_url {
        let known = ["https://", "http://"].iter().any(|scheme| url.starts_with(scheme));
        if !(url.is_empty() || known) || url.len() > 2048 || url.contains(char::is_whitespace) {
            return refused(format!("`{url}` should begin with https://"));
        }
        row.notify_url.clone_from(url);
        if url.is_empty() {
            row.notify_secret.clear();
        } else if row.notify_secret.is_empty() {
            row.notify_secret = webhook_secret()?;
            notify_secret = Some(row.notify_secret.clone());
        }
    }
    Ok((row, notify_secret))
}

/// A provider that is to be kept or changed.
struct Change<'a> {
    before: &'a ProviderRow,
    row: &'a ProviderRow,
}

impl Change<'_> {
    /// Does it, if the actor may, and notes it.
    fn act(
        &self,
        store: &dyn HubStore,
        actor: &Actor,
        what: &str,
        now: Timestamp,
        change: impl FnOnce() -> Result<(), OperatorError>,
    ) -> Result<(), OperatorError> {
        let row = self.row;
        let money = |row: &ProviderRow| {
            (row.prices.clone(), row.credit_limit_minor, row.service_percent, row.currency.clone())
        };
        let is_money = money(self.before) != money(row);
        if is_money {
            operators::check(actor, Action::SetMoney)?;
        }
        let purposes: Vec<_> = row.purposes.iter().map(ToString::to_string).collect();
        let prices: Vec<_> = row.prices.iter().map(price_text).collect();
        let detail = format!(
            "{what}{}; {}; limit {} {}; service {} %; {} a minute, {} a day; notices {}",
            purposes.join(","),
            if prices.is_empty() { "no prices".to_owned() } else { prices.join(" ") },
            decimal(row.credit_limit_minor),
            row.currency,
            row.service_percent,
            row.requests_per_minute,
            row.accesses_per_day,
            if row.notify_url.is_empty() { "nowhere" } else { "to its address" },
        );
        let action = if is_money { Action::SetMoney } else { Action::PutProvider };
        operators::act(store, actor, &Deed { action, subject: &row.name, detail }, now, change)
    }
}

/// A Standard Webhooks secret: 32 random bytes.
fn webhook_secret() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(format!("whsec_{}", STANDARD.encode(bytes)))
}

fn checked(prices: &[Price]) -> Result<Vec<Price>, OperatorError> {
    if prices.len() > PRICES_MAX {
        return refused(format!("a provider has {PRICES_MAX} prices at most"));
    }
    let mut sorted = prices.to_vec();
    let what = |price: &Price| {
        let size = price.megapixels_max.unwrap_or(u32::MAX);
        (price.member.is_none(), price.purpose.is_none(), size, price.member, price.purpose)
    };
    sorted.sort_by_key(what);
    if let Some(twice) = sorted.windows(2).find(|pair| what(&pair[0]) == what(&pair[1])) {
        return refused(format!("`{}` has two prices", price_text(&twice[0])));
    }
    for price in &sorted {
        if !(0..=MINOR_MAX).contains(&price.fee_minor) || price.megapixels_max == Some(0) {
            return refused(format!("`{}` is no price", price_text(price)));
        }
    }
    Ok(sorted)
}

/// Reads `MEMBER[:PURPOSE][:Nmp]=MINOR`.
///
/// # Errors
/// What is wrong with it.
pub fn price(text: &str) -> Result<Price, String> {
    let wrong = || {
        format!(
            "`{text}` is no price such as original=25 or original:print:12mp=20, in minor units"
        )
    };
    let (what, fee) = text.split_once('=').ok_or_else(wrong)?;
    let mut parts = what.split(':');
    let member = match parts.next() {
        None | Some("") => return Err(wrong()),
        Some("any") => None,
        Some(member) => Some(Member::from_str(member).ok().ok_or_else(wrong)?),
    };
    let (mut purpose, mut megapixels_max) = (None, None);
    for part in parts {
        match part.strip_suffix("mp") {
            Some(digits) if megapixels_max.is_none() => {
                megapixels_max = Some(digits.parse().ok().ok_or_else(wrong)?);
            }
            None if purpose.is_none() && megapixels_max.is_none() => {
                purpose = Some(part.parse().ok().ok_or_else(wrong)?);
            }
            _ => return Err(wrong()),
        }
    }
    // Only digits: `parse` alone takes a sign.
    let is_digits = !fee.is_empty() && fee.bytes().all(|b| b.is_ascii_digit());
    let fee_minor = is_digits.then(|| fee.parse().ok()).flatten().ok_or_else(wrong)?;
    Ok(Price { member, purpose, megapixels_max, fee_minor })
}

/// Writes a price as [`price`] reads it.
pub fn price_text(price: &Price) -> String {
    let member = price.member.map_or("any", Member::as_str);
    let purpose = price.purpose.map(|purpose| format!(":{purpose}")).unwrap_or_default();
    let size = price.megapixels_max.map(|max| format!(":{max}mp")).unwrap_or_default();
    format!("{member}{purpose}{size}={}", price.fee_minor)
}

/// A price as people read it: `original, print, up to 12 megapixels: 0.20 EUR`.
pub fn price_words(price: &Price, currency: &str) -> String {
    let member = price.member.map_or("any member", Member::as_str);
    let purpose = price.purpose.map(|purpose| format!(", {purpose}")).unwrap_or_default();
    let size = price.megapixels_max.map(|max| format!(", up to {max} megapixels"));
    format!(
        "{member}{purpose}{}: {} {currency}",
        size.unwrap_or_default(),
        decimal(price.fee_minor)
    )
}

/// How a state is written.
pub const fn state_word(state: ProviderState) -> &'static str {
    match state {
        ProviderState::Active => "active",
        ProviderState::Paused => "paused",
        ProviderState::Closed => "closed",
    }
}

fn known(store: &dyn HubStore, name: &str) -> Result<ProviderRow, OperatorError> {
    let row = store.provider(name)?;
    row.ok_or_else(|| OperatorError::Refused(format!("there is no provider `{name}`")))
}

fn check_name(name: &str) -> Result<(), OperatorError> {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if (1..=40).contains(&name.len()) && name.bytes().all(known) && !name.starts_with('-') {
        return Ok(());
    }
    refused(format!("`{name}` is no name of a provider: a-z 0-9 -, 40 at most"))
}

fn check_key(store: &dyn HubStore, key: &str) -> Result<(), OperatorError> {
    if let Err(error) = PublicKey::from_str(key) {
        return refused(error.to_string());
    }
    match store.provider_by_key(key)? {
        Some(other) => refused(format!("that is the key of the provider `{}`", other.name)),
        None => Ok(()),
    }
}

fn check_note(text: &str) -> Result<(), OperatorError> {
    if text.chars().count() <= NOTE_CHARS_MAX && !text.contains(char::is_control) {
        return Ok(());
    }
    refused(format!("a note is one line of {NOTE_CHARS_MAX} characters at most"))
}

fn refused<T>(why: String) -> Result<T, OperatorError> {
    Err(OperatorError::Refused(why))
}

#[cfg(test)]
mod tests;
