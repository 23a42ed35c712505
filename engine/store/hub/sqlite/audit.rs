//! Looks for what must not be, in all that was written: for whoever took the guards of the schema
//! away, and for disks that forget.

use std::collections::BTreeSet;

use rusqlite::Connection;

/// Each finds the mistakes of one kind and names them.
const QUESTIONS: [&str; 12] = [
    "SELECT 'the entries of posting ' || coalesce(posting_id, posting_seq) || ' add up to '
         || sum(minor)
     FROM entries LEFT JOIN postings USING (posting_seq)
     GROUP BY posting_seq HAVING sum(minor) <> 0",
    "SELECT 'all entries in ' || currency || ' add up to ' || sum(minor)
     FROM entries GROUP BY currency HAVING sum(minor) <> 0",
    "SELECT 'entry ' || place || ' of posting ' || coalesce(posting_id, posting_seq)
         || ' is not what the posting says'
     FROM entries LEFT JOIN postings USING (posting_seq) WHERE NOT EXISTS
         (SELECT 1 FROM json_each(postings.entries)
          WHERE postings.currency = entries.currency AND key = place
          AND json_extract(value, '$.account') IS account
          AND json_extract(value, '$.minor') IS minor)",
    "SELECT 'posting ' || posting_id || ' has not as many entries as it says' FROM postings
     WHERE json_array_length(entries) = 0 OR json_array_length(entries) <>
         (SELECT count(*) FROM entries AS kept WHERE kept.posting_seq = postings.posting_seq)",
    "SELECT 'the balance of ' || account || ' after posting ' || coalesce(posting_id, posting_seq)
         || ' is ' || balance_after || ' and should be ' || balance
     FROM (SELECT *, sum(minor) OVER
               (PARTITION BY account, currency ORDER BY posting_seq) AS balance FROM entries)
     LEFT JOIN postings USING (posting_seq)
     WHERE balance <> balance_after",
    "SELECT 'posting ' || posting_id || ' has no leaf in the log of agent ' || agent_id
     FROM postings WHERE kind IN ('access', 'reversal') AND NOT EXISTS
         (SELECT 1 FROM leaves WHERE leaves.agent_id = postings.agent_id
          AND leaves.log = 'agent' AND leaves.leaf_index = postings.leaf_index)",
    "SELECT 'posting ' || posting_id || ' has no offer' FROM postings
     WHERE kind IN ('access', 'reversal') AND NOT EXISTS
         (SELECT 1 FROM offers WHERE offers.agent_id = postings.agent_id
          AND offers.grant_id = postings.grant_id)",
    "SELECT 'posting ' || posting_id || ' does not give an access back as it was'
     FROM postings WHERE kind = 'reversal' AND NOT EXISTS
         (SELECT 1 FROM postings AS access WHERE access.kind = 'access'
          AND access.agent_id = postings.agent_id AND access.grant_id = postings.grant_id
          AND access.turn = postings.turn AND access.currency = postings.currency
          AND NOT EXISTS
              (SELECT account, minor FROM entries WHERE posting_seq = access.posting_seq
               EXCEPT SELECT account, -minor FROM entries
               WHERE posting_seq = postings.posting_seq))",
    "SELECT 'posting ' || posting_id || ' follows a delivery that was not posted back'
     FROM postings WHERE kind = 'access' AND turn > 0 AND NOT EXISTS
         (SELECT 1 FROM postings AS back WHERE back.kind = 'reversal'
          AND back.agent_id = postings.agent_id AND back.grant_id = postings.grant_id
          AND back.turn = postings.turn - 1)",
    "SELECT 'posting ' || posting_id || ' names provider ' || provider || ' and debits another'
     FROM postings WHERE kind = 'access' AND NOT EXISTS
         (SELECT 1 FROM entries WHERE entries.posting_seq = postings.posting_seq
          AND account = 'provider:' || provider)",
    "SELECT 'the ' || log || ' log of agent ' || agent_id || ' has gaps' FROM leaves
     GROUP BY agent_id, log HAVING max(leaf_index) + 1 <> count(*) OR min(leaf_index) <> 0",
    "SELECT 'the head of the ' || log || ' log of agent ' || agent_id
         || ' is for more leaves than there are'
     FROM checkpoints WHERE size >
         (SELECT count(*) FROM leaves WHERE leaves.agent_id = checkpoints.agent_id
          AND leaves.log = checkpoints.log)",
];

/// Mistakes of one kind that are named; more are of no more help.
const NAMED_MAX: usize = 100;

pub(super) fn audit(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut mistakes = Vec::new();
    for question in QUESTIONS {
        let mut statement = db.prepare(question)?;
        let found = statement.query_map([], |row| row.get(0))?.take(NAMED_MAX);
        mistakes.extend(found.collect::<rusqlite::Result<Vec<String>>>()?);
    }
    Ok(mistakes)
}

/// What SQLite itself finds wrong.
pub(super) fn damage(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut mistakes: Vec<String> = db
        .prepare("PRAGMA integrity_check")?
        .query_map([], |row| row.get(0))?
        .take(NAMED_MAX)
        .collect::<rusqlite::Result<_>>()?;
    mistakes.retain(|line| line != "ok");
    let strays = db
        .prepare("PRAGMA foreign_key_check")?
        .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(2)?)))?
        .take(NAMED_MAX)
        .map(|stray| stray.map(|(table, of)| format!("a row of {table} hangs on no row of {of}")))
        .collect::<rusqlite::Result<Vec<String>>>()?;
    mistakes.extend(strays);
    Ok(mistakes)
}

/// Tables, indexes and triggers of a sound database that another does not have as they are.
pub(super) fn missing(sound: &Connection, other: &Connection) -> rusqlite::Result<Vec<String>> {
    let parts = |db: &Connection| {
        db.prepare("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<rusqlite::Result<BTreeSet<(String, String, String)>>>()
    };
    let (sound, other) = (parts(sound)?, parts(other)?);
    let missing = sound.difference(&other);
    Ok(missing.map(|(kind, name, _)| format!("the {kind} {name} is not as it should be")).collect())
}
