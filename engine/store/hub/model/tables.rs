//! What the model keeps, and the operations that look at several of its maps.

use std::collections::{BTreeMap, BTreeSet};

use super::of;
use crate::base::clock::Timestamp;
use crate::base::ids::ContentHash;
use crate::store::hub::books::{
    RESERVATION_KEPT_MS, access_posting, back_notice, owner_account, posting_id, provider_account,
    refused, reversal_posting, withdrawn_notices,
};
use crate::store::hub::{
    AccessReport, ActionRow, AgentKeys, AgentRow, AgentState, Append, CheckpointRow, CodeRow,
    Joined, LogKind, MINOR_MAX, NOTICE_KEPT_MS, NoticeRow, OfferRow, OperatorRow, Posted, Posting,
    PostingKind, ProviderRow, ProviderState, Reserved, SessionRow, StagedRow, TakingRow,
};
use crate::store::{Entry, StoreError};

/// Agent and grant.
type Grant = (String, String);

#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) codes: BTreeMap<ContentHash, Code>,
    pub(super) agents: BTreeMap<String, AgentRow>,
    /// Every key that an agent has or had, with whose it is.
    pub(super) keys: BTreeMap<String, String>,
    pub(super) providers: BTreeMap<String, ProviderRow>,
    pub(super) operators: BTreeMap<String, OperatorRow>,
    pub(super) sessions: BTreeMap<ContentHash, SessionRow>,
    pub(super) actions: Vec<ActionRow>,
    pub(super) offers: BTreeMap<Grant, OfferRow>,
    /// Minor units set aside.
    pub(super) reservations: BTreeMap<Grant, i64>,
    pub(super) logs: BTreeMap<(String, &'static str), Log>,
    pub(super) postings: Vec<Posting>,
    /// Where in `postings` one is, by its id.
    places: BTreeMap<String, usize>,
    /// Leaf of the agent's log that a posting hangs on, by its id.
    leaves: BTreeMap<String, u64>,
    pub(super) entries: Vec<Line>,
    /// By account and currency.
    pub(super) balances: BTreeMap<(String, String), i64>,
    /// Agent, provider, grant.
    pub(super) wishes: BTreeSet<(String, String, String)>,
    pub(super) notices: BTreeMap<String, NoticeRow>,
    pub(super) staged: BTreeMap<Grant, StagedRow>,
    /// By agent and name.
    pub(super) takings: BTreeMap<(String, ContentHash), TakingRow>,
}

#[derive(Debug)]
pub(super) struct Code {
    pub(super) row: CodeRow,
    /// Key and agent.
    pub(super) used_by: Option<(String, String)>,
}

#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) leaves: Vec<Vec<u8>>,
    pub(super) nodes: BTreeMap<u64, ContentHash>,
    pub(super) checkpoint: Option<CheckpointRow>,
}

impl Log {
    pub(super) fn size(&self) -> u64 {
        self.leaves.len() as u64
    }
}

/// One entry of a posting with what was on its account after it.
#[derive(Debug)]
pub(super) struct Line {
    /// Place in `postings`.
    pub(super) posting: usize,
    pub(super) account: String,
    pub(super) minor: i64,
    pub(super) balance_minor: i64,
}

impl Tables {
    pub(super) fn join(
        &mut self,
        code_hash: &ContentHash,
        agent_id: &str,
        AgentKeys { key, grant_key }: AgentKeys<'_>,
        now: Timestamp,
    ) -> Joined {
        let Some(code) = self.codes.get_mut(code_hash) else { return Joined::NoCode };
        if let Some((used_key, used_agent)) = &code.used_by {
            // Who used the code and lost the answer asks again; anybody else comes too late.
            return match self.agents.get(used_agent) {
                Some(agent)
                    if used_key == key
                        && agent.key == key
                        && agent.grant_key == grant_key
                        && agent.state == AgentState::Active =>
                {
                    Joined::Again(agent.clone())
                }
                _ => Joined::NoCode,
            };
        }
        if code.row.expires_at <= now {
            return Joined::NoCode;
        }
        let replaces = code.row.replaces.clone();
        let owner = self.keys.get(key).and_then(|owner| self.agents.get(owner));
        let (id, lost) = match (owner, replaces) {
            // It left and comes back.
            (Some(owner), replaces)
                if owner.state == AgentState::Left
                    && owner.key == key
                    && owner.replaced_by.is_none()
                    && replaces.as_ref().is_none_or(|old| *old == owner.agent_id) =>
            {
                (owner.agent_id.clone(), None)
            }
            (Some(_), _) => return Joined::KeyTaken,
            (None, _) if self.agents.contains_key(agent_id) => return Joined::KeyTaken,
            (None, None) => (agent_id.to_owned(), None),
            (None, Some(old)) => match self.agents.get(&old) {
                Some(agent) if agent.state != AgentState::Active && agent.replaced_by.is_none() => {
                    (agent_id.to_owned(), Some(old))
                }
                _ => return Joined::NoCode,
            },
        };
        if self.keys.get(grant_key).is_some_and(|owner| *owner != id) {
            return Joined::KeyTaken;
        }
        // One that comes back has an account; one in the place of a lost one goes on with that one's.
        let before = self.agents.get(lost.as_ref().unwrap_or(&id));
        let agent = AgentRow {
            agent_id: id.clone(),
            key: key.to_owned(),
            grant_key: grant_key.to_owned(),
            account: before.map_or_else(|| owner_account(&id), |agent| agent.account.clone()),
            replaced_by: None,
            label: code.row.label.clone(),
            state: AgentState::Active,
            why: String::new(),
            joined_at: now,
            seen_at: None,
        };
        code.used_by = Some((key.to_owned(), id.clone()));
        self.keys.insert(key.to_owned(), id.clone());
        self.keys.insert(grant_key.to_owned(), id.clone());
        if let Some(lost) = lost.and_then(|lost| self.agents.get_mut(&lost)) {
            lost.replaced_by = Some(id.clone());
        }
        self.agents.insert(id, agent.clone());
        Joined::New(agent)
    }

    fn is_active(&self, agent_id: &str) -> bool {
        self.agents.get(agent_id).is_some_and(|agent| agent.state == AgentState::Active)
    }

    pub(super) fn put_offer(&mut self, offer: &OfferRow) -> Result<bool, StoreError> {
        if !self.is_active(&offer.agent_id) || !self.providers.contains_key(&offer.provider) {
            return Ok(false);
        }
        if !(0..=MINOR_MAX).contains(&offer.fee_minor) {
            return Err(refused(format!("a fee of {} minor units", offer.fee_minor)));
        }
        match self.offers.get_mut(&of(&offer.agent_id, &offer.grant_id)) {
            None => {
                self.offers.insert(of(&offer.agent_id, &offer.grant_id), offer.clone());
                Ok(true)
            }
            Some(before)
                if before.withdrawn_at.is_some() && offer.expires_at <= before.expires_at =>
            {
                Ok(false)
            }
            Some(before) => {
                before.withdrawn_at = None;
                before.expires_at = before.expires_at.max(offer.expires_at);
                Ok(true)
            }
        }
    }

    pub(super) fn withdraw(&mut self, agent_id: &str, which: Option<&str>, now: Timestamp) -> u32 {
        let (mut count, mut told) = (0, Vec::new());
        for (place, offer) in &mut self.offers {
            let is_it = which.is_none_or(|which| {
                [&offer.grant_id, &offer.order_key, &offer.provider].iter().any(|id| *id == which)
            });
            if offer.agent_id == agent_id && offer.withdrawn_at.is_none() && is_it {
                offer.withdrawn_at = Some(now);
                self.reservations.remove(place);
                self.staged.remove(place);
                count += 1;
                if offer.expires_at > now {
                    told.push((offer.provider.clone(), offer.grant_id.clone()));
                }
            }
        }
        told.sort_unstable();
        for notice in withdrawn_notices(agent_id, &told, now) {
            self.put_notice(notice);
        }
        count
    }

    pub(super) fn reserve(&mut self, agent_id: &str, grant_id: &str, now: Timestamp) -> Reserved {
        let place = of(agent_id, grant_id);
        let Some(offer) = self.offers.get(&place) else { return Reserved::NoOffer };
        let Some(provider) = self.providers.get(&offer.provider) else { return Reserved::Closed };
        if provider.state != ProviderState::Active || !self.is_active(agent_id) {
            return Reserved::Closed;
        }
        if offer.withdrawn_at.is_some() || offer.expires_at <= now {
            return Reserved::NoOffer;
        }
        if self.reservations.contains_key(&place) || self.is_paid(agent_id, grant_id) {
            return Reserved::Already;
        }
        let long_ago = now.plus_millis(-RESERVATION_KEPT_MS);
        self.reservations.retain(|place, _| {
            let of_this = self.offers.get(place).filter(|other| other.provider == provider.name);
            of_this.is_none_or(|other| other.expires_at > long_ago)
        });
        let credit = i128::from(provider.credit_limit_minor)
            - i128::from(self.balance(&provider_account(&provider.name), &provider.currency))
            - i128::from(self.reserved(&provider.name));
        let covers = offer.currency == provider.currency && credit >= i128::from(offer.fee_minor);
        if offer.fee_minor > 0 && !covers {
            return Reserved::NoCredit;
        }
        let fee_minor = offer.fee_minor;
        self.reservations.insert(place, fee_minor);
        Reserved::Reserved
    }

    pub(super) fn reserved(&self, provider: &str) -> i64 {
        let of_provider =
            |place: &Grant| self.offers.get(place).is_some_and(|offer| offer.provider == provider);
        let reservations = self.reservations.iter().filter(|(place, _)| of_provider(place));
        reservations.map(|(_, minor)| minor).sum()
    }

    pub(super) fn log(&self, agent_id: &str, log: LogKind) -> Option<&Log> {
        self.logs.get(&(agent_id.to_owned(), log.as_str()))
    }

    /// - `reports`: in the order of their leaves, see `books::reports_in_order`
    pub(super) fn append(
        &mut self,
        append: &Append<'_>,
        reports: &[(usize, bool, &AccessReport)],
    ) -> Result<Option<Vec<Posted>>, StoreError> {
        let before = self.log(append.agent_id, append.log);
        if !self.agents.contains_key(append.agent_id) || before.map_or(0, Log::size) != append.from
        {
            return Ok(None);
        }
        let head = before.and_then(|log| log.checkpoint.as_ref());
        if let (Some(old), Some(new)) = (head, append.checkpoint)
            && new.size == old.size
            && new.root != old.root
        {
            return Err(refused("a log has one root at each length and does not shrink"));
        }
        let log = self.logs.entry((append.agent_id.to_owned(), append.log.as_str())).or_default();
        log.leaves.extend_from_slice(append.leaves);
        log.nodes.extend(append.nodes.iter().copied());
        if let Some(checkpoint) = append.checkpoint {
            log.checkpoint = Some(checkpoint.clone());
        }
        let mut posted = vec![Posted::NoOffer; reports.len()];
        for (place, is_reversal, report) in reports {
            let outcome =
                if *is_reversal { self.post_reversal(report) } else { self.post_access(report) };
            if let Some(slot) = posted.get_mut(*place) {
                *slot = outcome;
            }
        }
        Ok(Some(posted))
    }

    fn post_access(&mut self, report: &AccessReport) -> Posted {
        if self.is_posted(PostingKind::Access, report) {
            return Posted::Again;
        }
        let follows = report.turn.checked_sub(1).is_none_or(|turn| {
            self.is_posted(PostingKind::Reversal, &AccessReport { turn, ..report.clone() })
        });
        let place = of(&report.agent_id, &report.grant_id);
        let offer = self.offers.get(&place).filter(|_| follows);
        let provider = offer.and_then(|offer| self.providers.get(&offer.provider));
        let Some((offer, provider)) = offer.zip(provider) else { return Posted::NoOffer };
        let Some(agent) = self.agents.get(&report.agent_id) else { return Posted::NoOffer };
        let posting = access_posting(offer, &agent.account, provider.service_percent, report);
        let posting = self.write(posting, Some(report.leaf_index));
        self.reservations.remove(&place);
        Posted::New(posting)
    }

    fn post_reversal(&mut self, report: &AccessReport) -> Posted {
        if self.is_posted(PostingKind::Reversal, report) {
            return Posted::Again;
        }
        let Some(access) = self.posting(&posting_id(PostingKind::Access, report)) else {
            return Posted::NoOffer;
        };
        let posting = reversal_posting(access, report);
        Posted::New(self.write(posting, Some(report.leaf_index)))
    }

    fn is_posted(&self, kind: PostingKind, report: &AccessReport) -> bool {
        self.posting(&posting_id(kind, report)).is_some()
    }

    /// Whether the delivery under a grant was posted and not posted back.
    fn is_paid(&self, agent_id: &str, grant_id: &str) -> bool {
        let of_grant = |kind: PostingKind| {
            let postings = self.postings.iter().filter(move |posting| posting.kind == kind);
            let accesses = postings.filter_map(|posting| posting.access.as_ref());
            accesses.filter(|access| access.agent_id == agent_id && access.grant_id == grant_id)
        };
        of_grant(PostingKind::Access).count() > of_grant(PostingKind::Reversal).count()
    }

    pub(super) fn posting(&self, posting_id: &str) -> Option<&Posting> {
        self.places.get(posting_id).and_then(|place| self.postings.get(*place))
    }

    /// Writes a posting, not before the last one, and returns it as it is kept.
    pub(super) fn write(&mut self, mut posting: Posting, leaf: Option<u64>) -> Posting {
        if let Some(last) = self.postings.last() {
            posting.posted_at = posting.posted_at.max(last.posted_at);
        }
        let place = self.postings.len();
        for Entry { account, minor } in &posting.entries {
            let balance =
                self.balances.entry((account.clone(), posting.currency.clone())).or_insert(0);
            *balance += minor;
            self.entries.push(Line {
                posting: place,
                account: account.clone(),
                minor: *minor,
                balance_minor: *balance,
            });
        }
        self.places.insert(posting.posting_id.clone(), place);
        self.leaves.extend(leaf.map(|leaf| (posting.posting_id.clone(), leaf)));
        self.postings.push(posting.clone());
        posting
    }

    pub(super) fn balance(&self, account: &str, currency: &str) -> i64 {
        self.balances.get(&(account.to_owned(), currency.to_owned())).copied().unwrap_or(0)
    }

    pub(super) fn audit(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let mut sums: BTreeMap<&str, i128> = BTreeMap::new();
        let mut balances: BTreeMap<(&str, &str), i64> = BTreeMap::new();
        for posting in &self.postings {
            let sum: i128 = posting.entries.iter().map(|entry| i128::from(entry.minor)).sum();
            *sums.entry(&posting.currency).or_insert(0) += sum;
            if sum != 0 {
                mistakes.push(format!("posting {} adds up to {sum}", posting.posting_id));
            }
            let leaf = self.leaves.get(&posting.posting_id);
            let log = posting
                .access
                .as_ref()
                .map(|access| self.log(&access.agent_id, LogKind::Agent).map_or(0, Log::size));
            if log.is_some_and(|size| leaf.is_none_or(|leaf| *leaf >= size)) {
                mistakes.push(format!("posting {} has no leaf", posting.posting_id));
            }
        }
        for line in &self.entries {
            let Some(posting) = self.postings.get(line.posting) else { continue };
            let balance = balances.entry((&line.account, &posting.currency)).or_insert(0);
            *balance += line.minor;
            if *balance != line.balance_minor {
                mistakes.push(format!("{} does not follow in {}", line.account, line.posting));
            }
        }
        for ((account, currency), minor) in &self.balances {
            if balances.get(&(account.as_str(), currency.as_str())) != Some(minor) {
                mistakes.push(format!("{account} is not the sum of its entries"));
            }
        }
        mistakes.extend(
            sums.iter()
                .filter(|(_, sum)| **sum != 0)
                .map(|(currency, sum)| format!("all entries in {currency} add up to {sum}")),
        );
        mistakes
    }

    pub(super) fn back(&mut self, agent_id: &str, now: Timestamp) -> u32 {
        let mut by_provider: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (agent, provider, grant) in std::mem::take(&mut self.wishes) {
            if agent != agent_id {
                self.wishes.insert((agent, provider, grant));
                continue;
            }
            let is_over = self
                .offers
                .get(&of(&agent, &grant))
                .is_some_and(|offer| offer.withdrawn_at.is_some() || offer.expires_at <= now);
            if !is_over {
                by_provider.entry(provider).or_default().push(grant);
            }
        }
        for (provider, grants) in &by_provider {
            self.put_notice(back_notice(agent_id, provider, grants, now));
        }
        u32::try_from(by_provider.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn put_provider(&mut self, provider: &ProviderRow) -> Result<(), StoreError> {
        let collides = |other: &&ProviderRow| {
            other.name != provider.name
                && (provider.key.is_some() && other.key == provider.key
                    || provider.secret_hash.is_some() && other.secret_hash == provider.secret_hash)
        };
        if let Some(other) = self.providers.values().find(collides) {
            return Err(refused(format!("provider `{}` has this key or secret", other.name)));
        }
        if provider.credit_limit_minor < 0 || provider.service_percent > 100 {
            return Err(refused("a limit is not below zero, a share not above all"));
        }
        self.providers.insert(provider.name.clone(), provider.clone());
        Ok(())
    }

    pub(super) fn put_notice(&mut self, notice: NoticeRow) {
        let long_ago = notice.made_at.plus_millis(-NOTICE_KEPT_MS);
        self.notices.entry(notice.notice_id.clone()).or_insert(notice);
        self.notices.retain(|_, kept| kept.settled_at.is_none_or(|at| at > long_ago));
    }

    /// Accesses of a provider since a time, in the order in which they were posted.
    pub(super) fn accesses(
        &self,
        provider: &str,
        since: Timestamp,
    ) -> impl Iterator<Item = &Posting> {
        self.postings.iter().filter(move |posting| {
            let offer = posting
                .access
                .as_ref()
                .and_then(|access| self.offers.get(&of(&access.agent_id, &access.grant_id)));
            posting.kind == PostingKind::Access
                && posting.at >= since
                && offer.is_some_and(|offer| offer.provider == provider)
        })
    }
}
