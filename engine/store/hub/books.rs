//! What the hub posts for an access, and what a posting must be: plain functions that every store
//! uses, so that a cent is rounded in one place.

use std::collections::BTreeSet;

use super::{
    AccessRef, AccessReport, Append, LogKind, NoticeRow, OfferRow, Posting, PostingKind,
    ProviderChange, ProviderRow, ProviderState,
};
use crate::base::clock::Timestamp;
use crate::base::ids::derived;
use crate::base::money::split;
use crate::store::{Entry, StoreError};

/// Largest amount of one entry, minor units either way. Far above any price, far below what a sum
/// of them could overflow with.
pub const MINOR_MAX: i64 = 1_000_000_000_000_000;

/// How long after the end of an offer a reservation for it still counts. A delivery that began in
/// time is posted within that; what is left behind by a crash is free again after it.
pub const RESERVATION_KEPT_MS: i64 = 24 * 60 * 60 * 1000;

/// Type of the notice that an agent is back.
pub const BACK_NOTICE: &str = "signet.original.available";

/// Type of the notice that an owner took grants back.
pub const WITHDRAWN_NOTICE: &str = "signet.offer.withdrawn";

/// Grants that one notice names at most; it stays below 64 KiB.
const GRANTS_MAX: usize = 500;

/// The account of a provider.
pub fn provider_account(name: &str) -> String {
    format!("provider:{name}")
}

/// The account of an owner, by the first of the computers that took each other's place.
pub fn owner_account(agent_id: &str) -> String {
    format!("owner:{agent_id}")
}

/// A provider with one thing of it changed; `None` when it is closed and is to be something else.
pub(super) fn changed(before: &ProviderRow, change: &ProviderChange) -> Option<ProviderRow> {
    let mut row = before.clone();
    match change.clone() {
        ProviderChange::State { state, why } => {
            if row.state == ProviderState::Closed && state != ProviderState::Closed {
                return None;
            }
            (row.state, row.why) = (state, why);
        }
        ProviderChange::Notify { url, secret } => {
            (row.notify_url, row.notify_secret) = (url, secret);
        }
        ProviderChange::Secret(hash) => row.secret_hash = Some(hash),
        ProviderChange::Terms(terms) => {
            row.purposes = terms.purposes.unwrap_or(row.purposes);
            row.currency = terms.currency.unwrap_or(row.currency);
            row.credit_limit_minor = terms.credit_limit_minor.unwrap_or(row.credit_limit_minor);
            row.service_percent = terms.service_percent.unwrap_or(row.service_percent);
            row.requests_per_minute = terms.requests_per_minute.unwrap_or(row.requests_per_minute);
            row.accesses_per_day = terms.accesses_per_day.unwrap_or(row.accesses_per_day);
            row.prices = terms.prices.unwrap_or(row.prices);
            if let Some((url, secret)) = terms.notify {
                if url.is_empty() {
                    row.notify_secret.clear();
                } else if row.notify_secret.is_empty() {
                    row.notify_secret = secret;
                }
                row.notify_url = url;
            }
        }
    }
    Some(row)
}

/// The posting of one access: provider debit, owner credit, service credit.
///
/// - `owner`: the owner's account
pub(super) fn access_posting(
    offer: &OfferRow,
    owner: &str,
    service_percent: u8,
    report: &AccessReport,
) -> Posting {
    let (service_minor, owner_minor) = split(offer.fee_minor, service_percent);
    Posting {
        posting_id: posting_id(PostingKind::Access, report),
        kind: PostingKind::Access,
        access: Some(access_ref(report)),
        currency: offer.currency.clone(),
        at: report.at,
        posted_at: report.told_at,
        note: format!("{} for order {}", offer.member, offer.order_key),
        entries: vec![
            Entry { account: provider_account(&offer.provider), minor: offer.fee_minor },
            Entry { account: owner.to_owned(), minor: -owner_minor },
            Entry { account: "service".to_owned(), minor: -service_minor },
        ],
    }
}

/// The posting that gives all of an access back.
pub(super) fn reversal_posting(access: &Posting, report: &AccessReport) -> Posting {
    let back = |entry: &Entry| Entry { account: entry.account.clone(), minor: -entry.minor };
    Posting {
        posting_id: posting_id(PostingKind::Reversal, report),
        kind: PostingKind::Reversal,
        access: Some(access_ref(report)),
        currency: access.currency.clone(),
        at: report.at,
        posted_at: report.told_at,
        note: format!("back: {}", access.note),
        entries: access.entries.iter().map(back).collect(),
    }
}

fn access_ref(report: &AccessReport) -> AccessRef {
    AccessRef {
        agent_id: report.agent_id.clone(),
        grant_id: report.grant_id.clone(),
        turn: report.turn,
        leaf_index: report.leaf_index,
    }
}

/// Id of what is posted for a report.
pub(super) fn posting_id(kind: PostingKind, report: &AccessReport) -> String {
    let turn = report.turn.to_string();
    derived(kind.as_str(), &[&report.agent_id, &report.grant_id, &turn])
}

/// Checks a posting of money that moves without an access.
///
/// # Errors
/// When its entries do not add up to zero, an account is named twice or not as accounts are, an
/// amount is beyond [`MINOR_MAX`], or it is the posting of an access.
pub(super) fn check_posting(posting: &Posting) -> Result<(), StoreError> {
    if posting.access.is_some() || !matches!(posting.kind, PostingKind::TopUp | PostingKind::PayOut)
    {
        return Err(refused("accesses are posted by the log that tells of them"));
    }
    let mut accounts = BTreeSet::new();
    let mut sum = 0;
    for Entry { account, minor } in &posting.entries {
        let named = matches!(account.as_str(), "service" | "cash")
            || ["provider:", "owner:"]
                .iter()
                .any(|kind| account.strip_prefix(kind).is_some_and(|name| !name.is_empty()));
        if !named {
            return Err(refused(format!("`{account}` is no account")));
        }
        if !accounts.insert(account) {
            return Err(refused(format!("`{account}` is twice in one posting")));
        }
        if !(-MINOR_MAX..=MINOR_MAX).contains(minor) {
            return Err(refused(format!("{minor} minor units are too many for one entry")));
        }
        sum += i128::from(*minor);
    }
    if sum != 0 || posting.entries.is_empty() {
        return Err(refused("entries of a posting must add up to zero"));
    }
    Ok(())
}

/// The reports of an append in the order in which the log tells of them, each with its place in the
/// answer and whether it is a reversal. A delivery, its reversal and the delivery after that may be
/// in one append.
///
/// # Errors
/// When a report is of another agent, or of a leaf that is not there with these leaves; when the
/// hub's own log is said to tell of accesses; when the head is for another length.
pub(super) fn reports_in_order<'a>(
    append: &Append<'a>,
) -> Result<Vec<(usize, bool, &'a AccessReport)>, StoreError> {
    let size = u64::try_from(append.leaves.len())
        .ok()
        .and_then(|count| append.from.checked_add(count))
        .ok_or_else(|| refused("a log is not that long"))?;
    if append.checkpoint.is_some_and(|checkpoint| checkpoint.size != size) {
        return Err(refused("a head has to be for all leaves"));
    }
    let accesses = append.accesses.iter().map(|report| (false, report));
    let reversals = append.reversals.iter().map(|report| (true, report));
    let mut reports = Vec::new();
    for (place, (is_reversal, report)) in accesses.chain(reversals).enumerate() {
        if append.log != LogKind::Agent {
            return Err(refused("an access is posted by the agent's own log"));
        }
        if report.agent_id != append.agent_id {
            return Err(refused("a log tells of accesses of its own agent"));
        }
        if report.leaf_index >= size {
            return Err(refused("an access needs the leaf that tells of it"));
        }
        reports.push((place, is_reversal, report));
    }
    reports.sort_by_key(|(_, is_reversal, report)| (report.leaf_index, *is_reversal));
    Ok(reports)
}

/// What a store says when it does not do what it is asked for.
pub(super) fn refused(why: impl Into<String>) -> StoreError {
    StoreError::Refused(rusqlite::Error::ToSqlConversionFailure(why.into().into()))
}

/// The notice that an agent is back and has what a provider wanted.
pub(super) fn back_notice(
    agent_id: &str,
    provider: &str,
    grants: &[String],
    now: Timestamp,
) -> NoticeRow {
    let at = now.0.to_string();
    let mut parts = vec![agent_id, provider, at.as_str()];
    parts.extend(grants.iter().map(String::as_str));
    grants_notice(BACK_NOTICE, derived("back", &parts), agent_id, provider, grants, now)
}

/// The notices that an agent took offers back which held: some grants to each, by provider.
///
/// - `told`: providers and grants, in order
pub(super) fn withdrawn_notices(
    agent_id: &str,
    told: &[(String, String)],
    now: Timestamp,
) -> Vec<NoticeRow> {
    let of_providers = told.chunk_by(|one, next| one.0 == next.0);
    let parts = of_providers.flat_map(|of_provider| of_provider.chunks(GRANTS_MAX));
    let notice = |part: &[(String, String)]| {
        let (provider, _) = part.first()?;
        let grants: Vec<String> = part.iter().map(|(_, grant)| grant.clone()).collect();
        let about = format!("{agent_id} {}", grants.join(" "));
        // What is withdrawn stays so: the same grants are never told of twice.
        let id = derived("notice", &[WITHDRAWN_NOTICE, provider, &about]);
        Some(grants_notice(WITHDRAWN_NOTICE, id, agent_id, provider, &grants, now))
    };
    parts.filter_map(notice).collect()
}

fn grants_notice(
    kind: &str,
    notice_id: String,
    agent_id: &str,
    provider: &str,
    grants: &[String],
    now: Timestamp,
) -> NoticeRow {
    NoticeRow {
        notice_id,
        provider: provider.to_owned(),
        kind: kind.to_owned(),
        data: serde_json::json!({ "agent": agent_id, "grants": grants }).to_string(),
        attempts_count: 0,
        made_at: now,
        due_at: now,
        settled_at: None,
    }
}
