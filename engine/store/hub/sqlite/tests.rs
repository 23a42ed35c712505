//! What only a database on a disk promises: shared commits, guards, backups.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc;
use std::thread;

use super::*;
use crate::store::hub::conformance::{NOW, join, offer, provider, tell, top_up};

fn on_disk() -> (tempfile::TempDir, SqliteHub) {
    let folder = tempfile::tempdir().expect("a folder");
    let hub = SqliteHub::open(&folder.path().join("hub.sqlite")).expect("opens");
    join(&hub, "a");
    hub.put_provider(&provider("lab")).expect("kept");
    hub.put_offer(&offer("a", "g")).expect("kept");
    assert!(hub.post(&top_up("t", "lab", 100)).expect("posted"));
    tell(&hub, "a", &[("g", 0)], &[]);
    tell(&hub, "a", &[], &[("g", 0)]);
    (folder, hub)
}

#[test]
fn callers_that_write_together_do_not_take_each_other_with_them() {
    let (_folder, hub) = on_disk();
    let hub = &hub;
    let (entered, has_entered) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            hub.write(|_| {
                entered.send(()).expect("heard");
                may_go.recv().expect("told");
                Ok(())
            })
            .expect("nothing to write");
        });
        has_entered.recv().expect("told");
        let posters: Vec<_> = (0..20)
            .map(|number| {
                scope.spawn(move || {
                    let outcome = catch_unwind(AssertUnwindSafe(|| match number {
                        // Refused by the database in the middle, and a bug of ours.
                        7 => hub.write(|db| {
                            money::post(db, &top_up("seven", "lab", 1))?;
                            db.execute("DELETE FROM postings", [])?;
                            Ok(true)
                        }),
                        8 => hub.write(|db| {
                            money::post(db, &top_up("eight", "lab", 1))?;
                            resume_unwind(Box::new("a bug"))
                        }),
                        _ => hub.post(&top_up(&format!("n{number}"), "lab", 1)),
                    }));
                    // Whoever has an answer finds what it wrote.
                    let kept = hub.postings(NOW, NOW.plus_millis(1)).expect("read");
                    let id = format!("n{number}");
                    (outcome, kept.iter().any(|posting| posting.posting_id == id))
                })
            })
            .collect();
        while hub.writer.coming_count() < 20 {
            thread::yield_now();
        }
        go.send(()).expect("heard");
        for (number, poster) in posters.into_iter().enumerate() {
            let (outcome, is_kept) = poster.join().expect("caught");
            match number {
                7 => assert!(matches!(outcome, Ok(Err(StoreError::Refused(_)))) && !is_kept),
                8 => assert!(outcome.is_err() && !is_kept),
                _ => assert!(matches!(outcome, Ok(Ok(true))) && is_kept),
            }
        }
    });
    assert_eq!(hub.balance("cash", "EUR").expect("read"), 118);
    assert_eq!(hub.audit().expect("looked"), [""; 0]);
}

#[test]
fn commit_that_fails_is_told_to_all_that_were_in_it_and_the_next_one_goes_well() {
    let (_folder, hub) = on_disk();
    // A full disk: SQLite ends the transaction with all that is in it.
    let pages: i64 =
        hub.write(|db| db.query_row("PRAGMA page_count", [], |row| row.get(0))).expect("read");
    let limit = |pages: i64| {
        hub.write(|db| db.pragma_update(None, "max_page_count", pages)).expect("set");
    };
    limit(pages);
    let note = "n".repeat(200_000);
    let big = Posting { note, ..top_up("big", "lab", 1) };
    let error = hub.post(&big).expect_err("it is full");
    assert!(matches!(error, StoreError::Full(_)), "{error}");
    limit(pages + 1000);
    assert!(hub.post(&big).expect("posted"));
    assert_eq!(hub.audit().expect("looked"), [""; 0]);
}

/// Tries a statement on the database itself, past all our code.
fn refused_by_itself(hub: &SqliteHub, statement: &str) {
    let outcome = hub.tamper(statement);
    assert!(matches!(outcome, Err(StoreError::Refused(_))), "{statement}: {outcome:?}");
}

#[test]
fn database_itself_refuses_to_change_or_forget_what_was_written() {
    let (_folder, hub) = on_disk();
    hub.note_action(&ActionRow {
        at: NOW,
        operator: "host".into(),
        action: "look".into(),
        subject: "lab".into(),
        detail: String::new(),
    })
    .expect("noted");
    for table in ["postings", "entries", "leaves", "actions"] {
        refused_by_itself(&hub, &format!("DELETE FROM {table}"));
    }
    for (table, change) in [
        ("postings", "note = ''"),
        ("postings", "entries = '[]'"),
        ("postings", "at_ms = 0"),
        ("entries", "minor = 0"),
        ("entries", "balance_after = 0"),
        ("entries", "account = 'cash'"),
        ("leaves", "leaf = x'00'"),
        ("actions", "operator = 'nobody'"),
    ] {
        refused_by_itself(&hub, &format!("UPDATE {table} SET {change}"));
        refused_by_itself(&hub, &format!("UPDATE OR REPLACE {table} SET {change}"));
    }
    // The ways to delete that do not ask triggers which watch over deleting.
    for table in ["postings", "entries", "leaves", "actions"] {
        for way in ["REPLACE", "INSERT OR REPLACE"] {
            refused_by_itself(&hub, &format!("{way} INTO {table} SELECT * FROM {table}"));
        }
    }
    assert_eq!(hub.audit().expect("looked"), [""; 0]);
}

#[test]
fn database_itself_refuses_postings_that_do_not_add_up_and_entries_without_one() {
    let (_folder, hub) = on_disk();
    let good = r#"{"account":"cash","minor":5},{"account":"service","minor":-5}"#;
    let insert = |way: &str, kind: &str, entries: &str| {
        format!(
            "{way} INTO postings (posting_id, kind, currency, at_ms, posted_ms, note, entries)
             VALUES ('x', '{kind}', 'EUR', 1, {}, '', '{entries}')",
            NOW.0
        )
    };
    for way in ["INSERT", "INSERT OR IGNORE", "INSERT OR REPLACE"] {
        for entries in [
            "[]",
            "not JSON",
            "{}",
            r#"[{"account":"cash","minor":5}]"#,
            r#"[{"account":"cash","minor":5},{"account":"service","minor":-4}]"#,
            r#"[{"account":"cash","minor":0.5},{"account":"service","minor":-0.5}]"#,
            r#"[{"account":"cash","minor":"5"},{"account":"service","minor":-5}]"#,
            r#"[{"account":7,"minor":5},{"account":"service","minor":-5}]"#,
            r#"[{"minor":5},{"account":"service","minor":-5}]"#,
            r#"[{"account":"cash","minor":5},{"account":"cash","minor":-5}]"#,
            r#"[{"account":"cash","minor":5},{"account":"bank","minor":-5}]"#,
            r#"[{"account":"cash","minor":5},{"account":"PROVIDER:x","minor":-5}]"#,
            r#"[{"account":"cash","minor":2000000000000000},
                {"account":"service","minor":-2000000000000000}]"#,
        ] {
            let statement = insert(way, "top-up", entries);
            let outcome = hub.write(|db| {
                // `OR IGNORE` may do nothing; it may not do half.
                db.execute(&statement, []).map(|count| assert_eq!(count, 0, "{statement}"))
            });
            assert!(outcome.is_err() || way == "INSERT OR IGNORE", "{statement}");
        }
    }
    let before = insert("INSERT", "top-up", &format!("[{good}]"));
    refused_by_itself(&hub, &before.replace(&NOW.0.to_string(), &(NOW.0 - 1).to_string()));
    let access = insert("INSERT", "access", &format!("[{good}]"));
    refused_by_itself(&hub, &access);
    for row in [
        // For a posting that is not there, at a place that it does not have, twice.
        "99, 0, 'cash', 'EUR', 5, 105",
        "1, 2, 'service', 'EUR', 0, 0",
        "1, 0, 'cash', 'EUR', 100, 200",
    ] {
        for way in ["INSERT", "INSERT OR REPLACE"] {
            refused_by_itself(&hub, &format!("{way} INTO entries VALUES ({row})"));
        }
    }
    assert_eq!(hub.audit().expect("looked"), [""; 0]);
    assert_eq!(hub.postings(Timestamp(0), NOW.plus_millis(1)).expect("read").len(), 3);
    hub.tamper(&insert("INSERT", "top-up", &format!("[{good}]"))).expect("what adds up is let in");
}

#[test]
fn audit_finds_what_was_done_past_the_guards() {
    for (tables, tampering, found) in [
        ("entries", "UPDATE entries SET minor = minor + 1 WHERE account = 'cash'", "add up to"),
        ("entries", "UPDATE entries SET balance_after = 7 WHERE account = 'cash'", "should be 100"),
        ("entries", "DELETE FROM entries WHERE account = 'service'", "not as many entries"),
        ("entries", "UPDATE entries SET account = 'owner:b' WHERE account = 'owner:a'", "not what"),
        (
            "postings",
            "UPDATE postings SET entries = '[]' WHERE posting_id = 't'",
            "as many entries",
        ),
        (
            "postings",
            "UPDATE postings SET provider = 'shop' WHERE kind = 'access'",
            "debits another",
        ),
        ("postings", "UPDATE postings SET turn = 2 WHERE kind = 'access'", "was not posted back"),
        ("postings", "UPDATE postings SET turn = 3 WHERE kind = 'reversal'", "as it was"),
        ("leaves", "DELETE FROM leaves WHERE leaf_index = 0", "has no leaf"),
        ("leaves", "DELETE FROM leaves WHERE leaf_index = 0", "has gaps"),
        ("postings", "DELETE FROM offers", "has no offer"),
    ] {
        let (folder, hub) = on_disk();
        drop(hub);
        let path = folder.path().join("hub.sqlite");
        let db = db::open(&path, Durability::Full, schema::MIGRATIONS).expect("opens");
        let guards: Vec<String> = db
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1")
            .and_then(|mut found| found.query_map([tables], |row| row.get(0))?.collect())
            .expect("listed");
        db.pragma_update(None, "foreign_keys", false).expect("set");
        for guard in guards {
            db.execute_batch(&format!("DROP TRIGGER {guard}")).expect("dropped");
        }
        assert!(db.execute(tampering, []).expect("done") > 0, "{tampering}");
        let mistakes = audit::audit(&db).expect("looked");
        assert!(mistakes.iter().any(|line| line.contains(found)), "{tampering}: {mistakes:#?}");
        drop(db);
        let checked = SqliteHub::check(&path).expect("looked");
        assert!(!checked.is_empty(), "{tampering}");
    }
}

#[test]
fn backup_holds_what_was_there_and_is_found_sound() {
    let (folder, hub) = on_disk();
    let copy = folder.path().join("copy.sqlite");
    hub.backup(&copy).expect("copied");
    assert!(hub.backup(&copy).is_err(), "a backup never takes the place of another");
    assert!(hub.post(&top_up("u", "lab", 1)).expect("posted"));
    assert_eq!(SqliteHub::check(&copy).expect("looked"), [""; 0]);
    let restored = SqliteHub::open(&copy).expect("opens");
    assert_eq!(restored.balance("provider:lab", "EUR").expect("read"), -100);
    assert_eq!(hub.balance("provider:lab", "EUR").expect("read"), -101);
    assert!(restored.post(&top_up("u", "lab", 7)).expect("posted"), "it goes on from there");
    assert!(SqliteHub::in_memory().expect("opens").backup(&folder.path().join("x")).is_err());
}

#[test]
fn backup_while_others_post_is_of_one_moment() {
    let (folder, hub) = on_disk();
    let (hub, folder) = (&hub, folder.path());
    thread::scope(|scope| {
        for poster in 0..4 {
            scope.spawn(move || {
                for number in 0..200 {
                    let id = format!("{poster}-{number}");
                    assert!(hub.post(&top_up(&id, "lab", 1)).expect("posted"));
                }
            });
        }
        for number in 0..5 {
            let copy = folder.join(format!("copy-{number}.sqlite"));
            hub.backup(&copy).expect("copied");
            assert_eq!(SqliteHub::check(&copy).expect("looked"), [""; 0]);
        }
    });
    assert_eq!(hub.balance("cash", "EUR").expect("read"), 900);
}

#[test]
fn file_that_is_no_sound_hub_is_not_taken_for_one() {
    let (folder, hub) = on_disk();
    let copy = folder.path().join("copy.sqlite");
    hub.backup(&copy).expect("copied");
    let other = folder.path().join("other.sqlite");
    std::fs::write(&other, b"").expect("written");
    assert!(SqliteHub::check(&other).is_err(), "no hub");
    let mut bytes = std::fs::read(&copy).expect("read");
    bytes.iter_mut().skip(5000).step_by(97).for_each(|byte| *byte ^= 0x55);
    std::fs::write(&other, &bytes).expect("written");
    let looked = SqliteHub::check(&other);
    assert!(looked.is_err() || looked.is_ok_and(|found| !found.is_empty()), "damaged");
    let db = db::open(&copy, Durability::Full, schema::MIGRATIONS).expect("opens");
    db.execute_batch("DROP TRIGGER postings_never_go").expect("dropped");
    drop(db);
    let found = SqliteHub::check(&copy).expect("looked");
    assert_eq!(found, ["the trigger postings_never_go is not as it should be"]);
}

impl SqliteHub {
    /// Writes a posting and then fails, or panics.
    pub(in crate::store::hub) fn post_and_break_off(&self, posting: &Posting) {
        let outcome = self.write(|db| {
            money::post(db, posting)?;
            if posting.posting_id.len().is_multiple_of(2) {
                return Err(rusqlite::Error::QueryReturnedNoRows);
            }
            resume_unwind(Box::new("a bug"))
        });
        let outcome: Result<(), StoreError> = outcome;
        assert!(outcome.is_err());
    }

    /// Runs a statement past all our code.
    pub(in crate::store::hub) fn tamper(&self, statement: &str) -> Result<(), StoreError> {
        self.write(|db| db.execute_batch(statement))
    }
}

#[test]
fn postings_from_before_there_was_a_time_of_posting_count_when_they_happened() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hub.sqlite");
    let steps = schema::MIGRATIONS;
    let before = crate::store::db::open(&path, Durability::Full, &steps[..1]).expect("as it was");
    before
        .execute_batch(
            "INSERT INTO postings (posting_id, kind, currency, at_ms, note, entries) VALUES
                 ('x', 'top-up', 'EUR', 7, '',
                  '[{\"account\":\"cash\",\"minor\":5},{\"account\":\"service\",\"minor\":-5}]')",
        )
        .expect("posted");
    drop(before);
    let hub = SqliteHub::open(&path).expect("brought up to date");
    let kept = hub.postings(Timestamp(7), Timestamp(8)).expect("read");
    assert_eq!(kept.iter().map(|posting| posting.posted_at).collect::<Vec<_>>(), [Timestamp(7)]);
    assert_eq!(hub.audit().expect("looked"), [""; 0]);
    refused_by_itself(&hub, "UPDATE postings SET posted_ms = 8");
}

#[test]
fn agents_of_an_older_hub_keep_their_accounts_and_the_key_that_they_sign_grants_with() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hub.sqlite");
    let steps = schema::MIGRATIONS.get(..1).expect("the first step");
    let db = db::open(&path, Durability::Full, steps).expect("opens");
    // `a` changed its key, left and came back with it; `b` did nothing; `c` took the place of a lost
    // computer, as it was done then, and changed its key afterwards; of `d` nothing was noted.
    db.execute_batch(
        "INSERT INTO agents VALUES ('a', 'a-2', 'A', 'active', '', 50, NULL),
             ('b', 'b-1', 'B', 'lost', 'stolen', 10, 11), ('c', 'c-3', 'C', 'active', '', 30, NULL),
             ('d', 'd-1', 'D', 'left', '', 10, NULL);
         INSERT INTO agent_keys VALUES ('a-1', 'a', 10), ('a-2', 'a', 20), ('b-1', 'b', 10),
             ('c-1', 'c', 10), ('c-2', 'c', 30), ('c-3', 'c', 40), ('d-1', 'd', 10);
         INSERT INTO actions (at_ms, operator, action, subject, detail) VALUES
             (10, 'agent', 'agent.joined', 'a', ''), (20, 'agent', 'agent.key', 'a', ''),
             (50, 'agent', 'agent.joined', 'a', ''), (10, 'agent', 'agent.joined', 'b', ''),
             (10, 'agent', 'agent.joined', 'c', ''), (30, 'agent', 'agent.joined', 'c', ''),
             (40, 'agent', 'agent.key', 'c', '');",
    )
    .expect("written");
    drop(db);
    assert_eq!(SqliteHub::check(&path).expect("looked"), [""; 0], "as it was");
    let hub = SqliteHub::open(&path).expect("brought to this version");
    let rows = hub.agents(None, 10).expect("read");
    let keys: Vec<_> = rows.iter().map(|row| (row.key.as_str(), row.grant_key.as_str())).collect();
    assert_eq!(keys, [("a-2", "a-1"), ("b-1", "b-1"), ("c-3", "c-2"), ("d-1", "d-1")]);
    for row in &rows {
        assert_eq!(row.account, format!("owner:{}", row.agent_id));
        assert_eq!(row.replaced_by, None);
    }
    assert_eq!(rows[1].why, "stolen");
    drop(hub);
    assert_eq!(SqliteHub::check(&path).expect("looked"), [""; 0]);
}
