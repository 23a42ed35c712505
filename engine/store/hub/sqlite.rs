//! `hub.sqlite`: the hub's state on one disk, full durability.
//!
//! ```text
//! sqlite/schema    tables, and the triggers that keep the books
//! sqlite/people, offers, logs, money, waiting, takings    the operations by subject, SQL
//! sqlite/audit     looks for mistakes
//! ```
//!
//! One process writes (the hub); short commands on the same computer may too, as SQLite makes them
//! take turns. An operation that fails or panics is undone alone, whatever it shared a commit with.

mod audit;
mod columns;
mod logs;
mod money;
mod offers;
mod people;
mod schema;
mod takings;
mod waiting;

use std::fs::OpenOptions;
use std::path::Path;

use rusqlite::Connection;

use super::books::{check_posting, refused, reports_in_order};
use super::{
    AccountLine, ActionRow, AgentKeys, AgentRow, AgentState, Append, CheckpointRow, CodeRow,
    HubStore, Joined, LogKind, NoticeRow, OfferRow, OperatorRow, Posted, Posting, ProviderChange,
    ProviderRow, Reserved, SessionRow, StagedRow, TakingRow,
};
use crate::base::clock::Timestamp;
use crate::base::ids::ContentHash;
use crate::store::db::{self, Durability, StoreError};
use crate::store::gather::Gather;
use crate::store::readers::Readers;

/// Pages of the database kept in memory, KiB.
const CACHE_KIB: i64 = 64 * 1024;

/// Length of the write-ahead log at which it is copied into the database: 16 MiB, as `store::db`
/// cuts it back to.
const LOG_PAGES: i64 = 4096;

/// The hub's database.
#[derive(Debug)]
pub struct SqliteHub {
    writer: Gather,
    /// `None`: it lives in memory, where nobody else can look.
    readers: Option<Readers>,
}

impl SqliteHub {
    /// Opens it, makes it or brings it to this version.
    ///
    /// # Errors
    /// A full or read-only disk, a damaged file, or one written by a newer Signet.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = db::open(path, Durability::Full, schema::MIGRATIONS)?;
        // What many owners' accesses touch lies far apart: it is kept at hand, and copied from the
        // log into the database in larger pieces.
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        Ok(Self { writer: Gather::new(connection), readers: Some(Readers::new(path)) })
    }

    /// One that lives in memory, for tests.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn in_memory() -> Result<Self, StoreError> {
        let connection = db::open_in_memory(schema::MIGRATIONS)?;
        Ok(Self { writer: Gather::new(connection), readers: None })
    }

    /// Copies it as it is at one moment into a new file, while it is in use.
    ///
    /// - `to`: must not be there yet; readable for its owner only
    ///
    /// # Errors
    /// When `to` is there or cannot be written whole; then it is removed again.
    pub fn backup(&self, to: &Path) -> Result<(), StoreError> {
        let Some(readers) = &self.readers else {
            return Err(refused("what lives in memory has no backup"));
        };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        let cannot = |source| StoreError::Open { path: to.to_path_buf(), source };
        let file = options.open(to).map_err(cannot)?;
        let name = to.to_str().ok_or_else(|| refused("the name of a backup has to be Unicode"))?;
        let copied = readers
            .open()
            .and_then(|db| Ok(db.execute("VACUUM INTO ?1", [name])?))
            .and_then(|_none| file.sync_all().map_err(cannot));
        if copied.is_err() {
            // The reason is told; half a backup would only be taken for one.
            let _ = std::fs::remove_file(to);
        }
        copied
    }

    /// Looks for mistakes in a file that is not in use, such as a backup: those of SQLite, guards
    /// that are not there, and those of [`HubStore::audit`]. None is the only good answer.
    ///
    /// # Errors
    /// A file that is no database of a hub or was written by a newer Signet.
    pub fn check(path: &Path) -> Result<Vec<String>, StoreError> {
        let db = db::open_to_read(path)?;
        let mut mistakes = audit::damage(&db)?;
        if mistakes.is_empty() {
            let seen = db::steps_seen(&db, schema::MIGRATIONS)?;
            let steps = schema::MIGRATIONS.get(..seen).unwrap_or_default();
            if steps.is_empty() {
                return Err(refused("this is no database of a hub"));
            }
            mistakes.extend(audit::missing(&db::open_in_memory(steps)?, &db)?);
        }
        if mistakes.is_empty() {
            mistakes.extend(audit::audit(&db)?);
        }
        Ok(mistakes)
    }

    fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        match &self.readers {
            Some(readers) => readers.read(work),
            None => self.writer.write(work),
        }
    }

    fn write<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.writer.write(work)
    }
}

impl HubStore for SqliteHub {
    fn put_code(&self, code: &CodeRow) -> Result<(), StoreError> {
        self.write(|db| people::put_code(db, code))
    }

    fn code(&self, code_hash: &ContentHash, now: Timestamp) -> Result<Option<CodeRow>, StoreError> {
        self.read(|db| people::code(db, code_hash, now))
    }

    fn join(
        &self,
        code_hash: &ContentHash,
        agent_id: &str,
        keys: AgentKeys<'_>,
        now: Timestamp,
    ) -> Result<Joined, StoreError> {
        self.write(|db| people::join(db, code_hash, agent_id, keys, now))
    }

    fn agent(&self, agent_id: &str) -> Result<Option<AgentRow>, StoreError> {
        self.read(|db| people::agent(db, agent_id))
    }

    fn agents(&self, after: Option<&str>, count_max: u32) -> Result<Vec<AgentRow>, StoreError> {
        self.read(|db| people::agents(db, after, count_max))
    }

    fn change_key(
        &self,
        agent_id: &str,
        from: &str,
        to: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(|db| people::change_key(db, agent_id, from, to, now))
    }

    fn agent_keys(&self, agent_id: &str) -> Result<Vec<String>, StoreError> {
        self.read(|db| people::agent_keys(db, agent_id))
    }

    fn set_agent_state(
        &self,
        agent_id: &str,
        state: AgentState,
        why: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(|db| people::set_agent_state(db, agent_id, state, why, now))
    }

    fn seen(&self, agent_id: &str, now: Timestamp) -> Result<(), StoreError> {
        self.write(|db| people::seen(db, agent_id, now))
    }

    fn put_provider(&self, provider: &ProviderRow) -> Result<(), StoreError> {
        self.write(|db| people::put_provider(db, provider))
    }

    fn provider(&self, name: &str) -> Result<Option<ProviderRow>, StoreError> {
        self.read(|db| people::provider(db, name))
    }

    fn provider_by_key(&self, key: &str) -> Result<Option<ProviderRow>, StoreError> {
        self.read(|db| people::provider_by_key(db, key))
    }

    fn provider_by_secret(&self, hash: &ContentHash) -> Result<Option<ProviderRow>, StoreError> {
        self.read(|db| people::provider_by_secret(db, hash))
    }

    fn providers(&self) -> Result<Vec<ProviderRow>, StoreError> {
        self.read(people::providers)
    }

    fn change_provider(&self, name: &str, change: &ProviderChange) -> Result<bool, StoreError> {
        self.write(|db| people::change_provider(db, name, change))
    }

    fn put_operator(&self, operator: &OperatorRow) -> Result<(), StoreError> {
        self.write(|db| people::put_operator(db, operator))
    }

    fn operator(&self, name: &str) -> Result<Option<OperatorRow>, StoreError> {
        self.read(|db| people::operator(db, name))
    }

    fn operators(&self) -> Result<Vec<OperatorRow>, StoreError> {
        self.read(people::operators)
    }

    fn put_session(&self, session: &SessionRow, now: Timestamp) -> Result<(), StoreError> {
        self.write(|db| people::put_session(db, session, now))
    }

    fn session(
        &self,
        token_hash: &ContentHash,
        now: Timestamp,
    ) -> Result<Option<OperatorRow>, StoreError> {
        self.read(|db| people::session(db, token_hash, now))
    }

    fn end_session(&self, token_hash: &ContentHash) -> Result<(), StoreError> {
        self.write(|db| people::end_session(db, token_hash))
    }

    fn note_action(&self, action: &ActionRow) -> Result<(), StoreError> {
        self.write(|db| people::note_action(db, action))
    }

    fn actions(&self, count_max: u32) -> Result<Vec<ActionRow>, StoreError> {
        self.read(|db| people::actions(db, count_max))
    }

    fn put_offer(&self, offer: &OfferRow) -> Result<bool, StoreError> {
        self.write(|db| offers::put_offer(db, offer))
    }

    fn offer(&self, agent_id: &str, grant_id: &str) -> Result<Option<OfferRow>, StoreError> {
        self.read(|db| offers::offer(db, agent_id, grant_id))
    }

    fn offers_of(
        &self,
        provider: &str,
        after: Option<(&str, &str)>,
        count_max: u32,
        now: Timestamp,
    ) -> Result<Vec<OfferRow>, StoreError> {
        self.read(|db| offers::offers_of(db, provider, after, count_max, now))
    }

    fn withdraw(
        &self,
        agent_id: &str,
        which: Option<&str>,
        now: Timestamp,
    ) -> Result<u32, StoreError> {
        self.write(|db| offers::withdraw(db, agent_id, which, now))
    }

    fn reserve(
        &self,
        agent_id: &str,
        grant_id: &str,
        now: Timestamp,
    ) -> Result<Reserved, StoreError> {
        self.write(|db| offers::reserve(db, agent_id, grant_id, now))
    }

    fn release(&self, agent_id: &str, grant_id: &str) -> Result<(), StoreError> {
        self.write(|db| offers::release(db, agent_id, grant_id))
    }

    fn append(&self, append: &Append<'_>) -> Result<Option<Vec<Posted>>, StoreError> {
        let reports = reports_in_order(append)?;
        self.write(|db| logs::append(db, append, &reports))
    }

    fn log_size(&self, agent_id: &str, log: LogKind) -> Result<u64, StoreError> {
        self.read(|db| logs::size(db, agent_id, log))
    }

    fn leaves(
        &self,
        agent_id: &str,
        log: LogKind,
        from: u64,
        to: u64,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        self.read(|db| logs::leaves(db, agent_id, log, from, to))
    }

    fn nodes(
        &self,
        agent_id: &str,
        log: LogKind,
        numbers: &[u64],
    ) -> Result<Vec<(u64, ContentHash)>, StoreError> {
        self.read(|db| logs::nodes(db, agent_id, log, numbers))
    }

    fn checkpoint(
        &self,
        agent_id: &str,
        log: LogKind,
    ) -> Result<Option<CheckpointRow>, StoreError> {
        self.read(|db| logs::checkpoint(db, agent_id, log))
    }

    fn post(&self, posting: &Posting) -> Result<bool, StoreError> {
        check_posting(posting)?;
        self.write(|db| money::post(db, posting))
    }

    fn balance(&self, account: &str, currency: &str) -> Result<i64, StoreError> {
        self.read(|db| money::balance(db, account, currency))
    }

    fn reserved(&self, provider: &str) -> Result<i64, StoreError> {
        self.read(|db| offers::reserved(db, provider))
    }

    fn balances(&self) -> Result<Vec<(String, String, i64)>, StoreError> {
        self.read(money::balances)
    }

    fn lines(
        &self,
        account: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<AccountLine>, StoreError> {
        self.read(|db| money::lines(db, account, from, to))
    }

    fn postings(&self, from: Timestamp, to: Timestamp) -> Result<Vec<Posting>, StoreError> {
        self.read(|db| money::postings(db, from, to))
    }

    fn accesses_count(&self, provider: &str, since: Timestamp) -> Result<u32, StoreError> {
        self.read(|db| money::accesses_count(db, provider, since))
    }

    fn accesses_by_hour(
        &self,
        provider: &str,
        since: Timestamp,
    ) -> Result<Vec<(i64, u32)>, StoreError> {
        self.read(|db| money::accesses_by_hour(db, provider, since))
    }

    fn last_top_up(&self, provider: &str) -> Result<Option<Posting>, StoreError> {
        self.read(|db| money::last_top_up(db, provider))
    }

    fn audit(&self) -> Result<Vec<String>, StoreError> {
        self.read(audit::audit)
    }

    fn wish(
        &self,
        agent_id: &str,
        provider: &str,
        grant_id: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(|db| waiting::wish(db, agent_id, provider, grant_id, now))
    }

    fn back(&self, agent_id: &str, now: Timestamp) -> Result<u32, StoreError> {
        self.write(|db| waiting::back(db, agent_id, now))
    }

    fn put_notice(&self, notice: &NoticeRow) -> Result<(), StoreError> {
        self.write(|db| waiting::put_notice(db, notice))
    }

    fn due_notices(&self, now: Timestamp, count_max: u32) -> Result<Vec<NoticeRow>, StoreError> {
        self.read(|db| waiting::due_notices(db, now, count_max))
    }

    fn settle_notice(
        &self,
        notice_id: &str,
        again_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(|db| waiting::settle_notice(db, notice_id, again_at, now))
    }

    fn notices_of(&self, provider: &str, count_max: u32) -> Result<Vec<NoticeRow>, StoreError> {
        self.read(|db| waiting::notices_of(db, provider, count_max))
    }

    fn put_staged(&self, staged: &StagedRow) -> Result<bool, StoreError> {
        self.write(|db| waiting::put_staged(db, staged))
    }

    fn staged(&self, agent_id: &str, grant_id: &str) -> Result<Option<StagedRow>, StoreError> {
        self.read(|db| waiting::staged(db, agent_id, grant_id))
    }

    fn staged_bytes(&self, agent_id: &str) -> Result<u64, StoreError> {
        self.read(|db| waiting::staged_bytes(db, agent_id))
    }

    fn drop_staged(&self, agent_id: &str, grant_id: &str) -> Result<(), StoreError> {
        self.write(|db| waiting::drop_staged(db, agent_id, grant_id))
    }

    fn staged_digests(&self, now: Timestamp) -> Result<Vec<ContentHash>, StoreError> {
        self.write(|db| waiting::staged_digests(db, now))
    }

    fn open_taking(&self, taking: &TakingRow) -> Result<bool, StoreError> {
        self.write(|db| takings::open(db, taking))
    }

    fn close_taking(&self, agent_id: &str, name: &ContentHash, end: u64) -> Result<(), StoreError> {
        self.write(|db| takings::close(db, agent_id, name, end))
    }

    fn settle_takings(&self) -> Result<(), StoreError> {
        self.write(takings::settle)
    }

    fn takings(&self, agent_id: &str, count_max: u32) -> Result<Vec<TakingRow>, StoreError> {
        self.read(|db| takings::of_agent(db, agent_id, count_max))
    }

    fn forget_takings(&self, agent_id: &str, names: &[ContentHash]) -> Result<(), StoreError> {
        self.write(|db| takings::forget(db, agent_id, names))
    }
}

#[cfg(test)]
mod tests;
