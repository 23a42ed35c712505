//! Statements of a hub's accounts, for those who hold them, and whether all of them reconcile.
//!
//! In:  a store, whose account, a span. Out: what was on it before, each line, what is on it after.
//! A plus is in favour of whoever holds the account: what a provider has left, what an owner is owed.
//! Cash is what the operator has in hand.
//!
//! A posting counts when it was posted, by the hub's clock. When an access happened the owner's
//! computer says, and it may say so late, or have a wrong clock: the line shows that time and is
//! marked as late where it is before the span. So a statement that was given out never changes.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::base::calendar::Span;
use crate::base::clock::Timestamp;
use crate::store::StoreError;
use crate::store::hub::{
    AccountLine, HubStore, Posting, PostingKind, owner_account, provider_account,
};

pub mod render;

/// Money at hand of whoever runs the hub.
const CASH: &str = "cash";

/// Whose statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Party {
    /// A provider, by its name.
    Provider(String),
    /// An owner, by the id of their agent.
    Owner(String),
    /// Whoever runs the hub: all accounts.
    Operator,
}

/// What a party is told of its accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Who runs the service.
    pub service: String,
    /// Whose.
    pub party: Party,
    /// Such as `November 2026`.
    pub title: String,
    /// One for each account and currency.
    pub accounts: Vec<Account>,
}

/// One account in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Such as `provider:lab`.
    pub account: String,
    /// Its currency.
    pub currency: String,
    /// What was on it when the span began, minor units in favour of its holder.
    pub opening_minor: i64,
    /// What is on it at the end.
    pub closing_minor: i64,
    /// What happened, oldest first.
    pub lines: Vec<Line>,
}

/// One line of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// When it happened, UTC; of an access, as the owner's computer says.
    pub at: Timestamp,
    /// When it was posted, UTC, by the hub's clock: the time that it counts at.
    pub posted_at: Timestamp,
    /// Whether it happened before the span and was told of in it.
    pub late: bool,
    /// The posting that it is of.
    pub posting_id: String,
    /// What it was.
    pub kind: PostingKind,
    /// In words.
    pub note: String,
    /// The owner's agent, of an access.
    pub agent_id: Option<String>,
    /// Who fetched, of an access.
    pub provider: Option<String>,
    /// Under which grant, of an access.
    pub grant_id: Option<String>,
    /// For which order, of an access.
    pub order_key: Option<String>,
    /// In favour of the account's holder, minor units.
    pub minor: i64,
    /// What is on the account with it.
    pub balance_minor: i64,
}

impl Party {
    /// As in a title: `provider lab`.
    pub fn words(&self) -> String {
        match self {
            Self::Provider(name) => format!("provider {name}"),
            Self::Owner(agent_id) => format!("owner {agent_id}"),
            Self::Operator => "all accounts".to_owned(),
        }
    }

    fn accounts(&self, store: &dyn HubStore) -> Result<Vec<String>, StoreError> {
        Ok(match self {
            Self::Provider(name) => vec![provider_account(name)],
            Self::Owner(agent_id) => {
                // A computer that took the place of a lost one goes on with its account.
                let agent = store.agent(agent_id)?;
                vec![agent.map_or_else(|| owner_account(agent_id), |agent| agent.account)]
            }
            Self::Operator => {
                let mut names: Vec<String> =
                    store.balances()?.into_iter().map(|(account, _, _)| account).collect();
                names.dedup();
                names
            }
        })
    }
}

impl Statement {
    /// Draws a statement up.
    ///
    /// - `service`: who runs the hub
    ///
    /// # Errors
    /// As any read.
    pub fn of(
        store: &dyn HubStore,
        service: &str,
        party: Party,
        title: &str,
        span: Span,
    ) -> Result<Self, StoreError> {
        let mut accounts = Vec::new();
        for account in party.accounts(store)? {
            accounts.extend(account_of(store, &account, span)?);
        }
        Ok(Self { service: service.to_owned(), party, title: title.to_owned(), accounts })
    }
}

impl Account {
    /// What came to the account by one kind of postings, minor units in favour of its holder.
    pub fn sum_of(&self, kind: PostingKind) -> i64 {
        let of_kind = self.lines.iter().filter(|line| line.kind == kind);
        of_kind.fold(0, |sum, line| sum.saturating_add(line.minor))
    }
}

/// An account in each of its currencies.
fn account_of(store: &dyn HubStore, account: &str, span: Span) -> Result<Vec<Account>, StoreError> {
    let mut by_currency: BTreeMap<String, Account> = BTreeMap::new();
    let empty = |currency: &str| Account {
        account: account.to_owned(),
        currency: currency.to_owned(),
        opening_minor: 0,
        closing_minor: 0,
        lines: Vec::new(),
    };
    // Postings are in the order in which they count.
    for line in store.lines(account, Timestamp(i64::MIN), span.from)? {
        let currency = &line.posting.currency;
        let of = by_currency.entry(currency.clone()).or_insert_with(|| empty(currency));
        of.opening_minor = of.opening_minor.saturating_add(favour(account, line.minor));
    }
    for line in &store.lines(account, span.from, span.to)? {
        let currency = &line.posting.currency;
        let of = by_currency.entry(currency.clone()).or_insert_with(|| empty(currency));
        let before = of.lines.last().map_or(of.opening_minor, |line| line.balance_minor);
        of.lines.push(line_of(account, line, before, span));
    }
    for of in by_currency.values_mut() {
        of.closing_minor = of.lines.last().map_or(of.opening_minor, |line| line.balance_minor);
    }
    Ok(by_currency.into_values().collect())
}

fn line_of(account: &str, line: &AccountLine, before_minor: i64, span: Span) -> Line {
    let posting = &line.posting;
    let minor = favour(account, line.minor);
    Line {
        at: posting.at,
        posted_at: posting.posted_at,
        late: posting.at < span.from,
        posting_id: posting.posting_id.clone(),
        kind: posting.kind,
        note: posting.note.clone(),
        agent_id: posting.access.as_ref().map(|access| access.agent_id.clone()),
        provider: provider_of(posting).map(str::to_owned),
        grant_id: posting.access.as_ref().map(|access| access.grant_id.clone()),
        order_key: line.offer.as_ref().map(|offer| offer.order_key.clone()),
        minor,
        balance_minor: before_minor.saturating_add(minor),
    }
}

/// Entries are positive where somebody owes; people read what they have as a plus.
fn favour(account: &str, minor: i64) -> i64 {
    if account == CASH { minor } else { minor.saturating_neg() }
}

/// The provider that an access is of.
fn provider_of(posting: &Posting) -> Option<&str> {
    posting.access.as_ref()?;
    posting.entries.iter().find_map(|entry| entry.account.strip_prefix("provider:"))
}

/// Every difference between the books of a span, in words; none is the only good answer.
///
/// - all balances of a currency add up to zero, and so does each posting
/// - the lines of each account are those of the postings, to the cent
/// - what each provider paid for accesses is what owners and service got for them
/// - and what the store itself finds
///
/// # Errors
/// As any read.
pub fn reconcile(store: &dyn HubStore, span: Span) -> Result<Vec<String>, StoreError> {
    let mut differences = store.audit()?;
    let balances = store.balances()?;
    let mut all: BTreeMap<&str, i128> = BTreeMap::new();
    for (_, currency, minor) in &balances {
        *all.entry(currency).or_insert(0) += i128::from(*minor);
    }
    for (currency, sum) in all.iter().filter(|(_, sum)| **sum != 0) {
        differences.push(format!("all balances in {currency} add up to {sum} and not to 0"));
    }

    let mut posted: BTreeMap<(String, String), i128> = BTreeMap::new();
    for posting in store.postings(span.from, span.to)? {
        let mut sum = 0;
        for entry in &posting.entries {
            let key = (entry.account.clone(), posting.currency.clone());
            *posted.entry(key).or_insert(0) += i128::from(entry.minor);
            sum += i128::from(entry.minor);
        }
        if sum != 0 {
            differences.push(format!("posting {} adds up to {sum}", posting.posting_id));
        }
    }

    let mut shared: BTreeMap<(String, String), i128> = BTreeMap::new();
    let mut names: Vec<&str> = balances.iter().map(|(account, _, _)| account.as_str()).collect();
    names.dedup();
    for account in names {
        for line in store.lines(account, span.from, span.to)? {
            let currency = &line.posting.currency;
            let key = (account.to_owned(), currency.clone());
            *posted.entry(key).or_insert(0) -= i128::from(line.minor);
            if let Some(provider) = provider_of(&line.posting) {
                let key = (provider.to_owned(), currency.clone());
                *shared.entry(key).or_insert(0) += i128::from(line.minor);
            }
        }
    }
    for ((account, currency), difference) in posted.iter().filter(|(_, minor)| **minor != 0) {
        differences.push(format!(
            "the lines of {account} in {currency} are {difference} minor units short of its postings"
        ));
    }
    for ((provider, currency), difference) in shared.iter().filter(|(_, minor)| **minor != 0) {
        differences.push(format!(
            "what {provider} paid in {currency} and what owners and service got for it differ by \
             {difference} minor units"
        ));
    }
    Ok(differences)
}

#[cfg(test)]
pub(crate) mod tests;
