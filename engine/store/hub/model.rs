//! A hub's state in memory: the plainest store that keeps every promise of [`HubStore`].
//!
//! It is what other stores are compared with, so it is written to be read: maps with names, one
//! lock, each rule said once. `model/tables` has the operations that are more than a look or an
//! insert.

mod tables;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use self::tables::{Code, Tables};
use super::books::{changed, check_posting, provider_account, refused, reports_in_order};
use super::{
    AccountLine, ActionRow, AgentKeys, AgentRow, AgentState, Append, CheckpointRow, CodeRow,
    HubStore, Joined, LogKind, NoticeRow, OfferRow, OperatorRow, Posted, Posting, PostingKind,
    ProviderChange, ProviderRow, Reserved, SessionRow, StagedRow, TAKINGS_MAX, Taking, TakingRow,
};
use crate::base::clock::Timestamp;
use crate::base::ids::ContentHash;
use crate::store::db::StoreError;

/// A hub's state in memory.
#[derive(Debug, Default)]
pub struct ModelHub(Mutex<Tables>);

impl ModelHub {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How rows of an agent are found.
fn of(agent_id: &str, grant_id: &str) -> (String, String) {
    (agent_id.to_owned(), grant_id.to_owned())
}

fn first<T>(rows: impl IntoIterator<Item = T>, count_max: u32) -> Vec<T> {
    rows.into_iter().take(usize::try_from(count_max).unwrap_or(usize::MAX)).collect()
}

impl HubStore for ModelHub {
    fn put_code(&self, code: &CodeRow) -> Result<(), StoreError> {
        let new = Code { row: code.clone(), used_by: None };
        self.tables().codes.entry(code.code_hash).or_insert(new);
        Ok(())
    }

    fn code(&self, code_hash: &ContentHash, now: Timestamp) -> Result<Option<CodeRow>, StoreError> {
        let tables = self.tables();
        let code = tables.codes.get(code_hash).map(|code| &code.row);
        Ok(code.filter(|row| row.expires_at > now).cloned())
    }

    fn join(
        &self,
        code_hash: &ContentHash,
        agent_id: &str,
        keys: AgentKeys<'_>,
        now: Timestamp,
    ) -> Result<Joined, StoreError> {
        Ok(self.tables().join(code_hash, agent_id, keys, now))
    }

    fn agent(&self, agent_id: &str) -> Result<Option<AgentRow>, StoreError> {
        Ok(self.tables().agents.get(agent_id).cloned())
    }

    fn agents(&self, after: Option<&str>, count_max: u32) -> Result<Vec<AgentRow>, StoreError> {
        let tables = self.tables();
        let behind =
            tables.agents.values().filter(|agent| agent.agent_id.as_str() > after.unwrap_or(""));
        Ok(first(behind.cloned(), count_max))
    }

    fn change_key(
        &self,
        agent_id: &str,
        from: &str,
        to: &str,
        _now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        let is_free = tables.keys.get(to).is_none_or(|owner| owner == agent_id);
        let Some(agent) = tables.agents.get_mut(agent_id) else { return Ok(false) };
        if !is_free || agent.key != from || agent.state != AgentState::Active {
            return Ok(false);
        }
        to.clone_into(&mut agent.key);
        tables.keys.insert(to.to_owned(), agent_id.to_owned());
        Ok(true)
    }

    fn agent_keys(&self, agent_id: &str) -> Result<Vec<String>, StoreError> {
        let tables = self.tables();
        let own = tables.keys.iter().filter(|(_, owner)| *owner == agent_id);
        Ok(own.map(|(key, _)| key.clone()).collect())
    }

    fn set_agent_state(
        &self,
        agent_id: &str,
        state: AgentState,
        why: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        let Some(agent) = tables.agents.get_mut(agent_id) else { return Ok(false) };
        agent.state = state;
        why.clone_into(&mut agent.why);
        if state != AgentState::Active {
            tables.withdraw(agent_id, None, now);
        }
        Ok(true)
    }

    fn seen(&self, agent_id: &str, now: Timestamp) -> Result<(), StoreError> {
        if let Some(agent) = self.tables().agents.get_mut(agent_id) {
            agent.seen_at = Some(now);
        }
        Ok(())
    }

    fn put_provider(&self, provider: &ProviderRow) -> Result<(), StoreError> {
        self.tables().put_provider(provider)
    }

    fn provider(&self, name: &str) -> Result<Option<ProviderRow>, StoreError> {
        Ok(self.tables().providers.get(name).cloned())
    }

    fn provider_by_key(&self, key: &str) -> Result<Option<ProviderRow>, StoreError> {
        let tables = self.tables();
        let is_it = |provider: &&ProviderRow| provider.key.as_deref() == Some(key);
        Ok(tables.providers.values().find(is_it).cloned())
    }

    fn provider_by_secret(&self, hash: &ContentHash) -> Result<Option<ProviderRow>, StoreError> {
        let tables = self.tables();
        let is_it = |provider: &&ProviderRow| provider.secret_hash.as_ref() == Some(hash);
        Ok(tables.providers.values().find(is_it).cloned())
    }

    fn providers(&self) -> Result<Vec<ProviderRow>, StoreError> {
        Ok(self.tables().providers.values().cloned().collect())
    }

    fn change_provider(&self, name: &str, change: &ProviderChange) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        let Some(before) = tables.providers.get(name) else { return Ok(false) };
        let Some(after) = changed(before, change) else { return Ok(false) };
        let held = tables.balance(&provider_account(name), &before.currency);
        if after.currency != before.currency && (held != 0 || tables.reserved(name) != 0) {
            return Err(refused("there is money on its account"));
        }
        tables.put_provider(&after)?;
        Ok(true)
    }

    fn put_operator(&self, operator: &OperatorRow) -> Result<(), StoreError> {
        let mut tables = self.tables();
        tables.operators.insert(operator.name.clone(), operator.clone());
        tables.sessions.retain(|_, session| session.operator != operator.name);
        Ok(())
    }

    fn operator(&self, name: &str) -> Result<Option<OperatorRow>, StoreError> {
        Ok(self.tables().operators.get(name).cloned())
    }

    fn operators(&self) -> Result<Vec<OperatorRow>, StoreError> {
        Ok(self.tables().operators.values().cloned().collect())
    }

    fn put_session(&self, session: &SessionRow, now: Timestamp) -> Result<(), StoreError> {
        let mut tables = self.tables();
        tables.sessions.retain(|_, session| session.expires_at > now);
        tables.sessions.insert(session.token_hash, session.clone());
        Ok(())
    }

    fn session(
        &self,
        token_hash: &ContentHash,
        now: Timestamp,
    ) -> Result<Option<OperatorRow>, StoreError> {
        let tables = self.tables();
        let session = tables.sessions.get(token_hash).filter(|session| session.expires_at > now);
        let operator = session.and_then(|session| tables.operators.get(&session.operator));
        Ok(operator.filter(|operator| operator.is_active).cloned())
    }

    fn end_session(&self, token_hash: &ContentHash) -> Result<(), StoreError> {
        self.tables().sessions.remove(token_hash);
        Ok(())
    }

    fn note_action(&self, action: &ActionRow) -> Result<(), StoreError> {
        self.tables().actions.push(action.clone());
        Ok(())
    }

    fn actions(&self, count_max: u32) -> Result<Vec<ActionRow>, StoreError> {
        Ok(first(self.tables().actions.iter().rev().cloned(), count_max))
    }

    fn put_offer(&self, offer: &OfferRow) -> Result<bool, StoreError> {
        self.tables().put_offer(offer)
    }

    fn offer(&self, agent_id: &str, grant_id: &str) -> Result<Option<OfferRow>, StoreError> {
        Ok(self.tables().offers.get(&of(agent_id, grant_id)).cloned())
    }

    fn offers_of(
        &self,
        provider: &str,
        after: Option<(&str, &str)>,
        count_max: u32,
        now: Timestamp,
    ) -> Result<Vec<OfferRow>, StoreError> {
        let (agent_id, grant_id) = after.unwrap_or(("", ""));
        let tables = self.tables();
        let behind = tables.offers.iter().filter(|(place, _)| **place > of(agent_id, grant_id));
        let holds = behind.map(|(_, offer)| offer).filter(|offer| {
            offer.provider == provider && offer.withdrawn_at.is_none() && offer.expires_at > now
        });
        Ok(first(holds.cloned(), count_max))
    }

    fn withdraw(
        &self,
        agent_id: &str,
        which: Option<&str>,
        now: Timestamp,
    ) -> Result<u32, StoreError> {
        Ok(self.tables().withdraw(agent_id, which, now))
    }

    fn reserve(
        &self,
        agent_id: &str,
        grant_id: &str,
        now: Timestamp,
    ) -> Result<Reserved, StoreError> {
        Ok(self.tables().reserve(agent_id, grant_id, now))
    }

    fn release(&self, agent_id: &str, grant_id: &str) -> Result<(), StoreError> {
        self.tables().reservations.remove(&of(agent_id, grant_id));
        Ok(())
    }

    fn append(&self, append: &Append<'_>) -> Result<Option<Vec<Posted>>, StoreError> {
        let reports = reports_in_order(append)?;
        self.tables().append(append, &reports)
    }

    fn log_size(&self, agent_id: &str, log: LogKind) -> Result<u64, StoreError> {
        Ok(self.tables().log(agent_id, log).map_or(0, tables::Log::size))
    }

    fn leaves(
        &self,
        agent_id: &str,
        log: LogKind,
        from: u64,
        to: u64,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let tables = self.tables();
        let leaves = tables.log(agent_id, log).map(|log| log.leaves.as_slice()).unwrap_or_default();
        let wanted = (0..).zip(leaves).filter(|(index, _)| (from..to).contains(index));
        Ok(wanted.map(|(_, leaf)| leaf.clone()).collect())
    }

    fn nodes(
        &self,
        agent_id: &str,
        log: LogKind,
        numbers: &[u64],
    ) -> Result<Vec<(u64, ContentHash)>, StoreError> {
        let tables = self.tables();
        let Some(log) = tables.log(agent_id, log) else { return Ok(Vec::new()) };
        let node = |number: &u64| log.nodes.get(number).map(|hash| (*number, *hash));
        Ok(numbers.iter().filter_map(node).collect())
    }

    fn checkpoint(
        &self,
        agent_id: &str,
        log: LogKind,
    ) -> Result<Option<CheckpointRow>, StoreError> {
        Ok(self.tables().log(agent_id, log).and_then(|log| log.checkpoint.clone()))
    }

    fn post(&self, posting: &Posting) -> Result<bool, StoreError> {
        check_posting(posting)?;
        let mut tables = self.tables();
        let Some(before) = tables.posting(&posting.posting_id) else {
            drop(tables.write(posting.clone(), None));
            return Ok(true);
        };
        let is_same = before.kind == posting.kind
            && before.currency == posting.currency
            && before.entries == posting.entries;
        if is_same { Ok(false) } else { Err(refused("another posting has this id")) }
    }

    fn balance(&self, account: &str, currency: &str) -> Result<i64, StoreError> {
        Ok(self.tables().balance(account, currency))
    }

    fn reserved(&self, provider: &str) -> Result<i64, StoreError> {
        Ok(self.tables().reserved(provider))
    }

    fn balances(&self) -> Result<Vec<(String, String, i64)>, StoreError> {
        let tables = self.tables();
        let balances = tables.balances.iter();
        Ok(balances
            .map(|((account, currency), minor)| (account.clone(), currency.clone(), *minor))
            .collect())
    }

    fn lines(
        &self,
        account: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<AccountLine>, StoreError> {
        let tables = self.tables();
        let wanted = tables.entries.iter().filter(|entry| entry.account == account);
        let lines = wanted.filter_map(|entry| {
            let posting = tables.postings.get(entry.posting)?;
            let offer = posting.access.as_ref().and_then(|access| {
                tables.offers.get(&of(&access.agent_id, &access.grant_id)).cloned()
            });
            (from..to).contains(&posting.posted_at).then(|| AccountLine {
                posting: posting.clone(),
                minor: entry.minor,
                balance_minor: entry.balance_minor,
                offer,
            })
        });
        Ok(lines.collect())
    }

    fn postings(&self, from: Timestamp, to: Timestamp) -> Result<Vec<Posting>, StoreError> {
        let tables = self.tables();
        let wanted =
            tables.postings.iter().filter(|posting| (from..to).contains(&posting.posted_at));
        Ok(wanted.cloned().collect())
    }

    fn accesses_count(&self, provider: &str, since: Timestamp) -> Result<u32, StoreError> {
        Ok(self.tables().accesses(provider, since).map(|_| 1).sum())
    }

    fn accesses_by_hour(
        &self,
        provider: &str,
        since: Timestamp,
    ) -> Result<Vec<(i64, u32)>, StoreError> {
        let mut hours = BTreeMap::new();
        for access in self.tables().accesses(provider, since) {
            *hours.entry(access.at.0 / 3_600_000).or_insert(0) += 1;
        }
        Ok(hours.into_iter().collect())
    }

    fn last_top_up(&self, provider: &str) -> Result<Option<Posting>, StoreError> {
        let tables = self.tables();
        let account = provider_account(provider);
        let mut top_ups = tables.postings.iter().filter(|posting| {
            posting.kind == PostingKind::TopUp
                && posting.entries.iter().any(|entry| entry.account == account)
        });
        Ok(top_ups.next_back().cloned())
    }

    fn audit(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.tables().audit())
    }

    fn wish(
        &self,
        agent_id: &str,
        provider: &str,
        grant_id: &str,
        _now: Timestamp,
    ) -> Result<(), StoreError> {
        let wish = (agent_id.to_owned(), provider.to_owned(), grant_id.to_owned());
        self.tables().wishes.insert(wish);
        Ok(())
    }

    fn back(&self, agent_id: &str, now: Timestamp) -> Result<u32, StoreError> {
        Ok(self.tables().back(agent_id, now))
    }

    fn put_notice(&self, notice: &NoticeRow) -> Result<(), StoreError> {
        self.tables().put_notice(notice.clone());
        Ok(())
    }

    fn due_notices(&self, now: Timestamp, count_max: u32) -> Result<Vec<NoticeRow>, StoreError> {
        let tables = self.tables();
        let waits = |notice: &&NoticeRow| notice.settled_at.is_none() && notice.due_at <= now;
        let mut due: Vec<NoticeRow> = tables.notices.values().filter(waits).cloned().collect();
        due.sort_by(|a, b| (a.due_at, &a.notice_id).cmp(&(b.due_at, &b.notice_id)));
        Ok(first(due, count_max))
    }

    fn settle_notice(
        &self,
        notice_id: &str,
        again_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tables = self.tables();
        let notice = tables.notices.get_mut(notice_id);
        if let Some(notice) = notice.filter(|notice| notice.settled_at.is_none()) {
            notice.attempts_count += 1;
            match again_at {
                Some(at) => notice.due_at = at,
                None => notice.settled_at = Some(now),
            }
        }
        Ok(())
    }

    fn notices_of(&self, provider: &str, count_max: u32) -> Result<Vec<NoticeRow>, StoreError> {
        let tables = self.tables();
        let of_provider = |notice: &&NoticeRow| notice.provider == provider;
        let mut kept: Vec<NoticeRow> =
            tables.notices.values().filter(of_provider).cloned().collect();
        kept.sort_by(|a, b| (b.made_at, &b.notice_id).cmp(&(a.made_at, &a.notice_id)));
        Ok(first(kept, count_max))
    }

    fn put_staged(&self, staged: &StagedRow) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        let place = of(&staged.agent_id, &staged.grant_id);
        if tables.offers.get(&place).is_none_or(|offer| offer.withdrawn_at.is_some()) {
            return Ok(false);
        }
        // The same copy again says nothing new; another takes its place.
        if tables.staged.get(&place).is_none_or(|before| before.digest != staged.digest) {
            tables.staged.insert(place, staged.clone());
        }
        Ok(true)
    }

    fn staged(&self, agent_id: &str, grant_id: &str) -> Result<Option<StagedRow>, StoreError> {
        Ok(self.tables().staged.get(&of(agent_id, grant_id)).cloned())
    }

    fn staged_bytes(&self, agent_id: &str) -> Result<u64, StoreError> {
        let tables = self.tables();
        let own = tables.staged.values().filter(|staged| staged.agent_id == agent_id);
        Ok(own.map(|staged| staged.bytes_count).sum())
    }

    fn drop_staged(&self, agent_id: &str, grant_id: &str) -> Result<(), StoreError> {
        self.tables().staged.remove(&of(agent_id, grant_id));
        Ok(())
    }

    fn staged_digests(&self, now: Timestamp) -> Result<Vec<ContentHash>, StoreError> {
        let tables = &mut *self.tables();
        let holds = |offer: &OfferRow| offer.withdrawn_at.is_none() && offer.expires_at > now;
        tables.staged.retain(|place, _| tables.offers.get(place).is_none_or(holds));
        let mut digests: Vec<ContentHash> =
            tables.staged.values().map(|staged| staged.digest).collect();
        digests.sort();
        digests.dedup();
        Ok(digests)
    }

    fn open_taking(&self, taking: &TakingRow) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        let place = of(&taking.agent_id, &taking.grant_id);
        let waiting = tables.takings.values();
        let waiting = waiting.filter(|one| of(&one.agent_id, &one.grant_id) == place);
        if waiting.count() >= TAKINGS_MAX as usize || !tables.staged.contains_key(&place) {
            return Ok(false);
        }
        match tables.takings.entry((taking.agent_id.clone(), taking.name())) {
            Entry::Occupied(_) => Ok(false),
            Entry::Vacant(place) => {
                place.insert(taking.clone());
                Ok(true)
            }
        }
    }

    fn close_taking(&self, agent_id: &str, name: &ContentHash, end: u64) -> Result<(), StoreError> {
        let mut tables = self.tables();
        let place = (agent_id.to_owned(), *name);
        let Some(taking) = tables.takings.get_mut(&place).filter(|taking| taking.is_open) else {
            return Ok(());
        };
        taking.is_open = false;
        if let Taking::Bytes { start, end: all } = &mut taking.what {
            *all = end.min(*all);
            if end <= *start {
                tables.takings.remove(&place);
            }
        }
        Ok(())
    }

    fn settle_takings(&self) -> Result<(), StoreError> {
        self.tables().takings.values_mut().for_each(|taking| taking.is_open = false);
        Ok(())
    }

    fn takings(&self, agent_id: &str, count_max: u32) -> Result<Vec<TakingRow>, StoreError> {
        let tables = self.tables();
        let is_it = |taking: &&TakingRow| taking.agent_id == agent_id && !taking.is_open;
        let mut told: Vec<TakingRow> = tables.takings.values().filter(is_it).cloned().collect();
        told.sort_by_key(|taking| (taking.at, taking.name()));
        Ok(first(told, count_max))
    }

    fn forget_takings(&self, agent_id: &str, names: &[ContentHash]) -> Result<(), StoreError> {
        let is_it = |taking: &TakingRow| {
            taking.agent_id == agent_id && !taking.is_open && names.contains(&taking.name())
        };
        self.tables().takings.retain(|_, taking| !is_it(taking));
        Ok(())
    }
}
