//! Tables of `hub.sqlite`, and the triggers by which it refuses what must never be.
//!
//! A posting brings its entries as JSON; the database itself writes them into `entries`, each with
//! what is on its account after it, and lets nobody else write there. So a posting without its
//! entries, or an entry that does not follow from a posting, cannot be, whichever program writes.

/// Steps of the schema, see `store::db`. One that was released is never edited.
pub(super) const MIGRATIONS: &[&str] = &["
CREATE TABLE agents (
    agent_id TEXT PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    label TEXT NOT NULL,
    state TEXT NOT NULL,
    why TEXT NOT NULL,
    joined_ms INTEGER NOT NULL,
    seen_ms INTEGER
) STRICT;

-- Every key that an agent has or had: nobody else may come with it.
CREATE TABLE agent_keys (
    key TEXT PRIMARY KEY,
    agent_id TEXT NOT NULL REFERENCES agents,
    since_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE codes (
    code_hash BLOB PRIMARY KEY,
    verifier BLOB NOT NULL,
    label TEXT NOT NULL,
    replaces TEXT,
    made_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    used_key TEXT,
    used_agent TEXT REFERENCES agents
) STRICT;

CREATE TABLE providers (
    name TEXT PRIMARY KEY,
    key TEXT UNIQUE,
    secret_hash BLOB UNIQUE,
    purposes TEXT NOT NULL,
    currency TEXT NOT NULL,
    credit_limit_minor INTEGER NOT NULL CHECK (credit_limit_minor >= 0),
    service_percent INTEGER NOT NULL CHECK (service_percent <= 100),
    requests_per_minute INTEGER NOT NULL,
    accesses_per_day INTEGER NOT NULL,
    notify_url TEXT NOT NULL,
    notify_secret TEXT NOT NULL,
    state TEXT NOT NULL,
    why TEXT NOT NULL,
    prices TEXT NOT NULL CHECK (json_valid(prices))
) STRICT;

CREATE TABLE operators (
    name TEXT PRIMARY KEY,
    password_hash TEXT NOT NULL,
    role TEXT NOT NULL,
    is_active INTEGER NOT NULL
) STRICT;

CREATE TABLE sessions (
    token_hash BLOB PRIMARY KEY,
    operator TEXT NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE actions (
    action_seq INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    operator TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;

CREATE TABLE offers (
    agent_id TEXT NOT NULL REFERENCES agents,
    grant_id TEXT NOT NULL,
    order_key TEXT NOT NULL,
    provider TEXT NOT NULL REFERENCES providers,
    member TEXT NOT NULL,
    purpose TEXT NOT NULL,
    digest BLOB NOT NULL,
    bytes_count INTEGER NOT NULL,
    fee_minor INTEGER NOT NULL CHECK (fee_minor BETWEEN 0 AND 1000000000000000),
    currency TEXT NOT NULL,
    expires_ms INTEGER NOT NULL,
    withdrawn_ms INTEGER,
    PRIMARY KEY (agent_id, grant_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE reservations (
    agent_id TEXT NOT NULL,
    grant_id TEXT NOT NULL,
    provider TEXT NOT NULL,
    minor INTEGER NOT NULL,
    PRIMARY KEY (agent_id, grant_id),
    FOREIGN KEY (agent_id, grant_id) REFERENCES offers
) STRICT, WITHOUT ROWID;
CREATE INDEX reservations_by_provider ON reservations (provider, minor);

CREATE TABLE leaves (
    agent_id TEXT NOT NULL REFERENCES agents,
    log TEXT NOT NULL,
    leaf_index INTEGER NOT NULL,
    leaf BLOB NOT NULL,
    PRIMARY KEY (agent_id, log, leaf_index)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER leaves_follow BEFORE INSERT ON leaves BEGIN
    SELECT RAISE(ABORT, 'a leaf follows the last one of its log') WHERE NEW.leaf_index <>
        coalesce((SELECT max(leaf_index) + 1 FROM leaves
                  WHERE agent_id = NEW.agent_id AND log = NEW.log), 0);
END;
CREATE TRIGGER leaves_never_change BEFORE UPDATE ON leaves BEGIN
    SELECT RAISE(ABORT, 'leaves are never changed'); END;
CREATE TRIGGER leaves_never_go BEFORE DELETE ON leaves BEGIN
    SELECT RAISE(ABORT, 'leaves are never deleted'); END;

CREATE TABLE nodes (
    agent_id TEXT NOT NULL REFERENCES agents,
    log TEXT NOT NULL,
    number INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (agent_id, log, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoints (
    agent_id TEXT NOT NULL REFERENCES agents,
    log TEXT NOT NULL,
    size INTEGER NOT NULL,
    root BLOB NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (agent_id, log)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER checkpoints_grow BEFORE UPDATE ON checkpoints BEGIN
    SELECT RAISE(ABORT, 'a log has one root at each length and does not shrink')
    WHERE NEW.size < OLD.size OR (NEW.size = OLD.size AND NEW.root <> OLD.root);
END;
CREATE TRIGGER checkpoints_never_go BEFORE DELETE ON checkpoints BEGIN
    SELECT RAISE(ABORT, 'a log never loses its head'); END;

-- One balanced set of entries. `entries` is JSON: [{\"account\": text, \"minor\": integer}].
-- `log` is always 'agent': an access hangs on the leaf of the agent's own log that tells of it.
CREATE TABLE postings (
    posting_seq INTEGER PRIMARY KEY,
    posting_id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    agent_id TEXT,
    grant_id TEXT,
    turn INTEGER,
    leaf_index INTEGER,
    log TEXT,
    provider TEXT,
    currency TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    note TEXT NOT NULL,
    entries TEXT NOT NULL CHECK (json_valid(entries)),
    UNIQUE (agent_id, grant_id, turn, kind),
    FOREIGN KEY (agent_id, grant_id) REFERENCES offers,
    FOREIGN KEY (agent_id, log, leaf_index) REFERENCES leaves,
    CHECK (kind IN ('access', 'reversal', 'top-up', 'pay-out')),
    CHECK (CASE WHEN kind IN ('access', 'reversal')
        THEN agent_id IS NOT NULL AND grant_id IS NOT NULL AND turn IS NOT NULL
            AND leaf_index IS NOT NULL AND log IS 'agent' AND provider IS NOT NULL
        ELSE coalesce(agent_id, grant_id, turn, leaf_index, log, provider) IS NULL END)
) STRICT;
CREATE INDEX postings_by_time ON postings (at_ms);
CREATE INDEX top_ups ON postings (posting_seq) WHERE kind = 'top-up';
CREATE INDEX accesses_by_provider ON postings (provider, at_ms) WHERE kind = 'access';

CREATE TABLE entries (
    posting_seq INTEGER NOT NULL REFERENCES postings,
    place INTEGER NOT NULL,
    account TEXT NOT NULL,
    currency TEXT NOT NULL,
    minor INTEGER NOT NULL CHECK (minor BETWEEN -1000000000000000 AND 1000000000000000),
    balance_after INTEGER NOT NULL,
    PRIMARY KEY (posting_seq, place),
    UNIQUE (account, currency, posting_seq),
    CHECK (account IN ('service', 'cash') OR account GLOB 'provider:?*' OR account GLOB 'owner:?*')
) STRICT, WITHOUT ROWID;

-- `INSERT OR REPLACE` deletes without asking triggers that watch over deleting, so those that
-- watch over inserting look for what would be replaced.
CREATE TRIGGER postings_balance BEFORE INSERT ON postings BEGIN
    SELECT RAISE(ABORT, 'postings are never replaced') WHERE EXISTS
        (SELECT 1 FROM postings WHERE posting_seq = NEW.posting_seq)
        OR EXISTS (SELECT 1 FROM postings WHERE posting_id = NEW.posting_id)
        OR EXISTS (SELECT 1 FROM postings WHERE agent_id = NEW.agent_id
            AND grant_id = NEW.grant_id AND turn = NEW.turn AND kind = NEW.kind);
    SELECT RAISE(ABORT, 'entries of a posting must add up to zero') WHERE 0 IS NOT
        (SELECT sum(json_extract(value, '$.minor')) FROM json_each(NEW.entries));
    SELECT RAISE(ABORT, 'an entry needs an account and whole minor units') WHERE EXISTS
        (SELECT 1 FROM json_each(NEW.entries)
         WHERE json_type(value, '$.account') IS NOT 'text'
            OR json_type(value, '$.minor') IS NOT 'integer');
    SELECT RAISE(ABORT, 'an account is in a posting once') WHERE
        (SELECT count(*) <> count(DISTINCT json_extract(value, '$.account'))
         FROM json_each(NEW.entries));
    SELECT RAISE(ABORT, 'there is no access to post back') WHERE NEW.kind = 'reversal' AND NOT EXISTS
        (SELECT 1 FROM postings WHERE kind = 'access' AND agent_id = NEW.agent_id
             AND grant_id = NEW.grant_id AND turn = NEW.turn);
    SELECT RAISE(ABORT, 'the delivery before was not posted back') WHERE NEW.kind = 'access'
        AND NEW.turn <> 0 AND NOT EXISTS
        (SELECT 1 FROM postings WHERE kind = 'reversal' AND agent_id = NEW.agent_id
             AND grant_id = NEW.grant_id AND turn = NEW.turn - 1);
END;
CREATE TRIGGER postings_are_entered AFTER INSERT ON postings BEGIN
    INSERT INTO entries (posting_seq, place, account, currency, minor, balance_after)
    SELECT NEW.posting_seq, key, json_extract(value, '$.account'), NEW.currency,
        json_extract(value, '$.minor'),
        json_extract(value, '$.minor') + coalesce(
            (SELECT balance_after FROM entries
             WHERE account = json_extract(value, '$.account') AND currency = NEW.currency
             ORDER BY posting_seq DESC LIMIT 1), 0)
    FROM json_each(NEW.entries);
    -- With `INSERT OR IGNORE` an entry that is not possible would be left out.
    SELECT RAISE(ABORT, 'an entry of a posting is not possible') WHERE
        (SELECT count(*) FROM entries WHERE posting_seq = NEW.posting_seq)
        <> json_array_length(NEW.entries);
END;
CREATE TRIGGER entries_follow BEFORE INSERT ON entries BEGIN
    SELECT RAISE(ABORT, 'entries are never replaced') WHERE EXISTS
        (SELECT 1 FROM entries WHERE posting_seq = NEW.posting_seq AND place = NEW.place);
    SELECT RAISE(ABORT, 'an entry says what its posting says') WHERE NOT EXISTS
        (SELECT 1 FROM postings, json_each(postings.entries) WHERE posting_seq = NEW.posting_seq
             AND postings.currency = NEW.currency AND key = NEW.place
             AND json_extract(value, '$.account') = NEW.account
             AND json_extract(value, '$.minor') = NEW.minor);
    SELECT RAISE(ABORT, 'an entry continues its account') WHERE NEW.balance_after <> NEW.minor +
        coalesce((SELECT balance_after FROM entries
                  WHERE account = NEW.account AND currency = NEW.currency
                  ORDER BY posting_seq DESC LIMIT 1), 0);
END;
CREATE TRIGGER postings_never_change BEFORE UPDATE ON postings BEGIN
    SELECT RAISE(ABORT, 'postings are never changed'); END;
CREATE TRIGGER postings_never_go BEFORE DELETE ON postings BEGIN
    SELECT RAISE(ABORT, 'postings are never deleted'); END;
CREATE TRIGGER entries_never_change BEFORE UPDATE ON entries BEGIN
    SELECT RAISE(ABORT, 'entries are never changed'); END;
CREATE TRIGGER entries_never_go BEFORE DELETE ON entries BEGIN
    SELECT RAISE(ABORT, 'entries are never deleted'); END;
CREATE TRIGGER actions_are_added BEFORE INSERT ON actions BEGIN
    SELECT RAISE(ABORT, 'actions are never replaced') WHERE EXISTS
        (SELECT 1 FROM actions WHERE action_seq = NEW.action_seq);
END;
CREATE TRIGGER actions_never_change BEFORE UPDATE ON actions BEGIN
    SELECT RAISE(ABORT, 'actions are never changed'); END;
CREATE TRIGGER actions_never_go BEFORE DELETE ON actions BEGIN
    SELECT RAISE(ABORT, 'actions are never deleted'); END;

CREATE TABLE wishes (
    agent_id TEXT NOT NULL,
    provider TEXT NOT NULL,
    grant_id TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (agent_id, provider, grant_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE notices (
    notice_id TEXT PRIMARY KEY,
    provider TEXT NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL,
    attempts_count INTEGER NOT NULL,
    made_ms INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,
    settled_ms INTEGER
) STRICT;
CREATE INDEX notices_by_time ON notices (due_ms, notice_id) WHERE settled_ms IS NULL;
CREATE INDEX notices_settled ON notices (settled_ms) WHERE settled_ms IS NOT NULL;
CREATE INDEX notices_by_provider ON notices (provider, made_ms, notice_id);
CREATE INDEX offers_by_provider ON offers (provider, agent_id, grant_id);

CREATE TABLE staged (
    agent_id TEXT NOT NULL,
    grant_id TEXT NOT NULL,
    bytes_count INTEGER NOT NULL,
    digest BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    delivered_ms INTEGER,
    PRIMARY KEY (agent_id, grant_id),
    FOREIGN KEY (agent_id, grant_id) REFERENCES offers
) STRICT, WITHOUT ROWID;
", "
-- When a posting was made, by the hub's own clock: it decides the month that it counts in. `at_ms`
-- is when it happened, which of an access the owner's computer says. Until now it decided.
ALTER TABLE postings ADD COLUMN posted_ms INTEGER NOT NULL DEFAULT 0;
DROP TRIGGER postings_never_change;
UPDATE postings SET posted_ms = at_ms;
CREATE TRIGGER postings_never_change BEFORE UPDATE ON postings BEGIN
    SELECT RAISE(ABORT, 'postings are never changed'); END;
DROP INDEX postings_by_time;
CREATE INDEX postings_by_posted ON postings (posted_ms);
CREATE TRIGGER postings_follow BEFORE INSERT ON postings BEGIN
    SELECT RAISE(ABORT, 'a posting is not before the last one') WHERE NEW.posted_ms <
        (SELECT max(posted_ms) FROM postings);
END;
", "
-- The key that an agent signs grants with. It was the one that it joined with, whatever was changed
-- since; one that came back after leaving had it before.
ALTER TABLE agents ADD COLUMN grant_key TEXT NOT NULL DEFAULT '';
ALTER TABLE agents ADD COLUMN account TEXT NOT NULL DEFAULT '';
ALTER TABLE agents ADD COLUMN replaced_by TEXT REFERENCES agents;
UPDATE agents SET account = 'owner:' || agent_id, grant_key = coalesce(
    (SELECT agent_keys.key FROM agent_keys JOIN actions ON since_ms = at_ms
     WHERE agent_keys.agent_id = agents.agent_id AND subject = agents.agent_id
         AND action = 'agent.joined'
     ORDER BY since_ms DESC LIMIT 1),
    key);
", "
-- `name`: SHA-256 of the proof. `what`: JSON, bytes that were sent or a receipt.
ALTER TABLE staged DROP COLUMN delivered_ms;
CREATE TABLE takings (
    agent_id TEXT NOT NULL,
    name BLOB NOT NULL,
    grant_id TEXT NOT NULL,
    proof TEXT NOT NULL,
    what TEXT NOT NULL CHECK (json_valid(what)),
    at_ms INTEGER NOT NULL,
    is_open INTEGER NOT NULL,
    PRIMARY KEY (agent_id, name),
    FOREIGN KEY (agent_id, grant_id) REFERENCES offers
) STRICT, WITHOUT ROWID;
CREATE INDEX takings_by_grant ON takings (agent_id, grant_id);
"];
