//! Agents, providers and operators.

use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

use super::columns::{hash_of, json, json_of, maybe_time_of, time_of, unfit, word, word_of};
use super::{money, offers};
use crate::base::clock::Timestamp;
use crate::base::ids::ContentHash;
use crate::store::hub::books::{changed, owner_account, provider_account};
use crate::store::hub::{
    ActionRow, AgentKeys, AgentRow, AgentState, CodeRow, Joined, OperatorRow, ProviderChange,
    ProviderRow, SessionRow,
};

fn agent_of(row: &Row<'_>) -> rusqlite::Result<AgentRow> {
    Ok(AgentRow {
        agent_id: row.get("agent_id")?,
        key: row.get("key")?,
        grant_key: row.get("grant_key")?,
        account: row.get("account")?,
        replaced_by: row.get("replaced_by")?,
        label: row.get("label")?,
        state: word_of(row, "state")?,
        why: row.get("why")?,
        joined_at: time_of(row, "joined_ms")?,
        seen_at: maybe_time_of(row, "seen_ms")?,
    })
}

pub(super) fn put_code(db: &Connection, code: &CodeRow) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO codes (code_hash, verifier, label, replaces, made_ms, expires_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
    )?
    .execute(params![
        code.code_hash.as_bytes(),
        code.verifier.as_bytes(),
        code.label,
        code.replaces,
        code.made_at.0,
        code.expires_at.0
    ])?;
    Ok(())
}

pub(super) fn code(
    db: &Connection,
    code_hash: &ContentHash,
    now: Timestamp,
) -> rusqlite::Result<Option<CodeRow>> {
    db.prepare_cached("SELECT * FROM codes WHERE code_hash = ?1 AND expires_ms > ?2")?
        .query_row(params![code_hash.as_bytes(), now.0], |row| {
            Ok(CodeRow {
                code_hash: hash_of(row, "code_hash")?,
                verifier: hash_of(row, "verifier")?,
                label: row.get("label")?,
                replaces: row.get("replaces")?,
                made_at: time_of(row, "made_ms")?,
                expires_at: time_of(row, "expires_ms")?,
            })
        })
        .optional()
}

/// A code with the key and the agent that it was used by.
struct Code {
    label: String,
    replaces: Option<String>,
    expires_at: Timestamp,
    used: Option<(String, String)>,
}

fn find_code(db: &Connection, hash: &ContentHash) -> rusqlite::Result<Option<Code>> {
    db.prepare_cached("SELECT * FROM codes WHERE code_hash = ?1")?
        .query_row([hash.as_bytes()], |row| {
            let (key, agent): (Option<String>, Option<String>) =
                (row.get("used_key")?, row.get("used_agent")?);
            Ok(Code {
                label: row.get("label")?,
                replaces: row.get("replaces")?,
                expires_at: time_of(row, "expires_ms")?,
                used: key.zip(agent),
            })
        })
        .optional()
}

pub(super) fn join(
    db: &Connection,
    code_hash: &ContentHash,
    agent_id: &str,
    AgentKeys { key, grant_key }: AgentKeys<'_>,
    now: Timestamp,
) -> rusqlite::Result<Joined> {
    let Some(code) = find_code(db, code_hash)? else { return Ok(Joined::NoCode) };
    if let Some((used_key, used_agent)) = code.used {
        // Who used the code and lost the answer asks again; anybody else comes too late.
        let row = agent(db, &used_agent)?.filter(|row| {
            used_key == key
                && row.key == key
                && row.grant_key == grant_key
                && row.state == AgentState::Active
        });
        return Ok(row.map_or(Joined::NoCode, Joined::Again));
    }
    if code.expires_at <= now {
        return Ok(Joined::NoCode);
    }
    let (id, lost) = match owner_of_key(db, key)? {
        // It left and comes back.
        Some(owner)
            if owner.state == AgentState::Left
                && owner.key == key
                && owner.replaced_by.is_none()
                && code.replaces.as_ref().is_none_or(|old| *old == owner.agent_id) =>
        {
            (owner.agent_id, None)
        }
        Some(_) => return Ok(Joined::KeyTaken),
        None if agent(db, agent_id)?.is_some() => return Ok(Joined::KeyTaken),
        None => match code.replaces {
            None => (agent_id.to_owned(), None),
            Some(old) => match agent(db, &old)? {
                Some(row) if row.state != AgentState::Active && row.replaced_by.is_none() => {
                    (agent_id.to_owned(), Some(row))
                }
                _ => return Ok(Joined::NoCode),
            },
        },
    };
    if owner_of_key(db, grant_key)?.is_some_and(|owner| owner.agent_id != id) {
        return Ok(Joined::KeyTaken);
    }
    let account = lost.as_ref().map_or_else(|| owner_account(&id), |lost| lost.account.clone());
    db.prepare_cached(
        "INSERT INTO agents (agent_id, key, grant_key, label, state, why, joined_ms, account)
         VALUES (?1, ?2, ?3, ?4, 'active', '', ?5, ?6)
         ON CONFLICT (agent_id) DO UPDATE SET key = ?2, grant_key = ?3, label = ?4,
             state = 'active', why = '', joined_ms = ?5, seen_ms = NULL",
    )?
    .execute(params![id, key, grant_key, code.label, now.0, account])?;
    if let Some(lost) = lost {
        db.prepare_cached("UPDATE agents SET replaced_by = ?2 WHERE agent_id = ?1")?
            .execute([&lost.agent_id, &id])?;
    }
    remember_key(db, &id, key, now)?;
    remember_key(db, &id, grant_key, now)?;
    db.prepare_cached("UPDATE codes SET used_key = ?2, used_agent = ?3 WHERE code_hash = ?1")?
        .execute(params![code_hash.as_bytes(), key, id])?;
    let row = agent(db, &id)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    Ok(Joined::New(row))
}

/// The agent that has a key or had it.
fn owner_of_key(db: &Connection, key: &str) -> rusqlite::Result<Option<AgentRow>> {
    db.prepare_cached(
        "SELECT agents.* FROM agents JOIN agent_keys USING (agent_id) WHERE agent_keys.key = ?1",
    )?
    .query_row([key], agent_of)
    .optional()
}

fn remember_key(
    db: &Connection,
    agent_id: &str,
    key: &str,
    now: Timestamp,
) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO agent_keys VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?
        .execute(params![key, agent_id, now.0])?;
    Ok(())
}

pub(super) fn agent(db: &Connection, agent_id: &str) -> rusqlite::Result<Option<AgentRow>> {
    db.prepare_cached("SELECT * FROM agents WHERE agent_id = ?1")?
        .query_row([agent_id], agent_of)
        .optional()
}

/// Whether an agent is there and may connect.
pub(super) fn is_active(db: &Connection, agent_id: &str) -> rusqlite::Result<bool> {
    Ok(agent(db, agent_id)?.is_some_and(|agent| agent.state == AgentState::Active))
}

pub(super) fn agents(
    db: &Connection,
    after: Option<&str>,
    count_max: u32,
) -> rusqlite::Result<Vec<AgentRow>> {
    db.prepare_cached(
        "SELECT * FROM agents WHERE agent_id > coalesce(?1, '') ORDER BY agent_id LIMIT ?2",
    )?
    .query_map(params![after, count_max], agent_of)?
    .collect()
}

pub(super) fn change_key(
    db: &Connection,
    agent_id: &str,
    from: &str,
    to: &str,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let is_own = owner_of_key(db, to)?.is_none_or(|owner| owner.agent_id == agent_id);
    let is_now = agent(db, agent_id)?
        .is_some_and(|agent| agent.key == from && agent.state == AgentState::Active);
    if !is_own || !is_now {
        return Ok(false);
    }
    db.prepare_cached("UPDATE agents SET key = ?2 WHERE agent_id = ?1")?.execute([agent_id, to])?;
    remember_key(db, agent_id, to, now)?;
    Ok(true)
}

pub(super) fn agent_keys(db: &Connection, agent_id: &str) -> rusqlite::Result<Vec<String>> {
    db.prepare_cached("SELECT key FROM agent_keys WHERE agent_id = ?1 ORDER BY key")?
        .query_map([agent_id], |row| row.get(0))?
        .collect()
}

pub(super) fn set_agent_state(
    db: &Connection,
    agent_id: &str,
    state: AgentState,
    why: &str,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let is_there = db
        .prepare_cached("UPDATE agents SET state = ?2, why = ?3 WHERE agent_id = ?1")?
        .execute(params![agent_id, word(&state)?, why])?
        == 1;
    if is_there && state != AgentState::Active {
        offers::withdraw(db, agent_id, None, now)?;
    }
    Ok(is_there)
}

pub(super) fn seen(db: &Connection, agent_id: &str, now: Timestamp) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE agents SET seen_ms = ?2 WHERE agent_id = ?1")?
        .execute(params![agent_id, now.0])?;
    Ok(())
}

fn provider_of(row: &Row<'_>) -> rusqlite::Result<ProviderRow> {
    let secret: Option<[u8; 32]> = row.get("secret_hash")?;
    Ok(ProviderRow {
        name: row.get("name")?,
        key: row.get("key")?,
        secret_hash: secret.map(ContentHash::from_bytes),
        purposes: json_of(row, "purposes")?,
        currency: row.get("currency")?,
        credit_limit_minor: row.get("credit_limit_minor")?,
        service_percent: row.get("service_percent")?,
        requests_per_minute: row.get("requests_per_minute")?,
        accesses_per_day: row.get("accesses_per_day")?,
        notify_url: row.get("notify_url")?,
        notify_secret: row.get("notify_secret")?,
        state: word_of(row, "state")?,
        why: row.get("why")?,
        prices: json_of(row, "prices")?,
    })
}

pub(super) fn put_provider(db: &Connection, provider: &ProviderRow) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO providers VALUES (:name, :key, :secret, :purposes, :currency, :credit_limit,
             :percent, :requests, :accesses, :notify_url, :notify_secret, :state, :why, :prices)
         ON CONFLICT (name) DO UPDATE SET key = excluded.key, secret_hash = excluded.secret_hash,
             purposes = excluded.purposes, currency = excluded.currency,
             credit_limit_minor = excluded.credit_limit_minor,
             service_percent = excluded.service_percent,
             requests_per_minute = excluded.requests_per_minute,
             accesses_per_day = excluded.accesses_per_day, notify_url = excluded.notify_url,
             notify_secret = excluded.notify_secret, state = excluded.state, why = excluded.why,
             prices = excluded.prices",
    )?
    .execute(named_params! {
        ":name": provider.name, ":key": provider.key,
        ":secret": provider.secret_hash.as_ref().map(ContentHash::as_bytes),
        ":purposes": json(&provider.purposes)?, ":currency": provider.currency,
        ":credit_limit": provider.credit_limit_minor, ":percent": provider.service_percent,
        ":requests": provider.requests_per_minute, ":accesses": provider.accesses_per_day,
        ":notify_url": provider.notify_url, ":notify_secret": provider.notify_secret,
        ":state": word(&provider.state)?, ":why": provider.why,
        ":prices": json(&provider.prices)?,
    })?;
    Ok(())
}

pub(super) fn provider(db: &Connection, name: &str) -> rusqlite::Result<Option<ProviderRow>> {
    db.prepare_cached("SELECT * FROM providers WHERE name = ?1")?
        .query_row([name], provider_of)
        .optional()
}

pub(super) fn provider_by_key(db: &Connection, key: &str) -> rusqlite::Result<Option<ProviderRow>> {
    db.prepare_cached("SELECT * FROM providers WHERE key = ?1")?
        .query_row([key], provider_of)
        .optional()
}

pub(super) fn provider_by_secret(
    db: &Connection,
    hash: &ContentHash,
) -> rusqlite::Result<Option<ProviderRow>> {
    db.prepare_cached("SELECT * FROM providers WHERE secret_hash = ?1")?
        .query_row([hash.as_bytes()], provider_of)
        .optional()
}

pub(super) fn providers(db: &Connection) -> rusqlite::Result<Vec<ProviderRow>> {
    db.prepare_cached("SELECT * FROM providers ORDER BY name")?
        .query_map([], provider_of)?
        .collect()
}

pub(super) fn change_provider(
    db: &Connection,
    name: &str,
    change: &ProviderChange,
) -> rusqlite::Result<bool> {
    let Some(before) = provider(db, name)? else { return Ok(false) };
    let Some(after) = changed(&before, change) else { return Ok(false) };
    if after.currency != before.currency {
        let account = provider_account(name);
        let is_empty = money::balance(db, &account, &before.currency)? == 0
            && offers::reserved(db, name)? == 0;
        if !is_empty {
            return Err(unfit("there is money on its account"));
        }
    }
    put_provider(db, &after)?;
    Ok(true)
}

fn operator_of(row: &Row<'_>) -> rusqlite::Result<OperatorRow> {
    Ok(OperatorRow {
        name: row.get("name")?,
        password_hash: row.get("password_hash")?,
        role: word_of(row, "role")?,
        is_active: row.get("is_active")?,
    })
}

pub(super) fn put_operator(db: &Connection, operator: &OperatorRow) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO operators VALUES (?1, ?2, ?3, ?4) ON CONFLICT (name) DO UPDATE SET
             password_hash = excluded.password_hash, role = excluded.role,
             is_active = excluded.is_active",
    )?
    .execute(params![
        operator.name,
        operator.password_hash,
        word(&operator.role)?,
        operator.is_active
    ])?;
    db.prepare_cached("DELETE FROM sessions WHERE operator = ?1")?.execute([&operator.name])?;
    Ok(())
}

pub(super) fn operator(db: &Connection, name: &str) -> rusqlite::Result<Option<OperatorRow>> {
    db.prepare_cached("SELECT * FROM operators WHERE name = ?1")?
        .query_row([name], operator_of)
        .optional()
}

pub(super) fn operators(db: &Connection) -> rusqlite::Result<Vec<OperatorRow>> {
    db.prepare_cached("SELECT * FROM operators ORDER BY name")?
        .query_map([], operator_of)?
        .collect()
}

pub(super) fn put_session(
    db: &Connection,
    session: &SessionRow,
    now: Timestamp,
) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM sessions WHERE expires_ms <= ?1")?.execute([now.0])?;
    db.prepare_cached("INSERT OR REPLACE INTO sessions VALUES (?1, ?2, ?3)")?.execute(params![
        session.token_hash.as_bytes(),
        session.operator,
        session.expires_at.0
    ])?;
    Ok(())
}

pub(super) fn session(
    db: &Connection,
    token_hash: &ContentHash,
    now: Timestamp,
) -> rusqlite::Result<Option<OperatorRow>> {
    db.prepare_cached(
        "SELECT operators.* FROM operators JOIN sessions ON operator = name
         WHERE token_hash = ?1 AND expires_ms > ?2 AND is_active",
    )?
    .query_row(params![token_hash.as_bytes(), now.0], operator_of)
    .optional()
}

pub(super) fn end_session(db: &Connection, token_hash: &ContentHash) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM sessions WHERE token_hash = ?1")?
        .execute([token_hash.as_bytes()])?;
    Ok(())
}

pub(super) fn note_action(db: &Connection, action: &ActionRow) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO actions (at_ms, operator, action, subject, detail)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        action.at.0,
        action.operator,
        action.action,
        action.subject,
        action.detail
    ])?;
    Ok(())
}

pub(super) fn actions(db: &Connection, count_max: u32) -> rusqlite::Result<Vec<ActionRow>> {
    db.prepare_cached("SELECT * FROM actions ORDER BY action_seq DESC LIMIT ?1")?
        .query_map([count_max], |row| {
            Ok(ActionRow {
                at: time_of(row, "at_ms")?,
                operator: row.get("operator")?,
                action: row.get("action")?,
                subject: row.get("subject")?,
                detail: row.get("detail")?,
            })
        })?
        .collect()
}
