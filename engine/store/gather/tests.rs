//! Writers that share commits: what each is told, and what is on the disk then.

use std::path::Path;
use std::sync::mpsc;
use std::thread;

use super::*;
use crate::store::Durability;
use crate::store::db;

const SCHEMA: &[&str] = &["CREATE TABLE a (x INTEGER NOT NULL UNIQUE) STRICT;"];

fn writer(path: &Path) -> Gather {
    Gather::new(db::open(path, Durability::Full, SCHEMA).expect("opens"))
}

fn count(path: &Path) -> i64 {
    let other = db::open_to_read(path).expect("opens");
    other.query_row("SELECT count(*) FROM a", [], |row| row.get(0)).expect("counted")
}

fn put(number: i64) -> impl FnOnce(&Connection) -> rusqlite::Result<usize> {
    move |tx| tx.execute("INSERT INTO a VALUES (?1)", [number])
}

/// Writes 1, and holds the connection until another has queued behind it; says when it holds it.
fn write_before_another(writer: &Gather, holds: &mpsc::Sender<()>) -> Result<usize, StoreError> {
    writer.write(|tx| {
        let done = put(1)(tx)?;
        holds.send(()).expect("told");
        while writer.coming_count() == 0 {
            thread::yield_now();
        }
        Ok(done)
    })
}

#[test]
fn whoever_returns_is_on_the_disk_however_many_write() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.sqlite");
    let writer = writer(&path);
    thread::scope(|scope| {
        for thread in 0..16 {
            let (writer, path) = (&writer, &path);
            scope.spawn(move || {
                let other = db::open_to_read(path).expect("opens");
                for number in 0..20 {
                    let number = thread * 100 + number;
                    // Every fifth is there already: it fails, and alone.
                    let result = writer.write(|tx| {
                        put(number)(tx)?;
                        if number % 5 == 0 { put(number)(tx) } else { Ok(1) }
                    });
                    assert_eq!(result.is_ok(), number % 5 != 0, "{result:?}");
                    let sql = "SELECT count(*) FROM a WHERE x = ?1";
                    let kept: i64 = other.query_row(sql, [number], |row| row.get(0)).expect("read");
                    assert_eq!(kept, i64::from(result.is_ok()), "another connection sees it");
                }
            });
        }
    });
    assert_eq!(count(&path), 16 * 16);
}

#[test]
fn writers_that_queue_return_after_one_commit() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.sqlite");
    let writer = writer(&path);
    thread::scope(|scope| {
        let (holds, is_held) = mpsc::channel();
        let (writer, path) = (&writer, &path);
        let first = scope.spawn(move || {
            write_before_another(writer, &holds).expect("written");
            count(path)
        });
        is_held.recv().expect("held");
        let seen = writer.write(|tx| {
            put(2)(tx)?;
            Ok(count(path))
        });
        assert_eq!(seen.expect("written"), 0, "the first was passed over without a commit");
        assert_eq!(first.join().expect("no panic"), 2, "it was told after both were kept");
    });
}

#[test]
fn transaction_that_fails_fails_for_all_who_worked_in_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.sqlite");
    let writer = writer(&path);
    thread::scope(|scope| {
        let (holds, is_held) = mpsc::channel();
        let writer = &writer;
        let first = scope.spawn(move || write_before_another(writer, &holds));
        is_held.recv().expect("held");
        // What a full disk does in the middle of somebody's work.
        let second = writer.write(|tx| {
            tx.execute_batch("ROLLBACK")?;
            tx.execute("INSERT INTO a VALUES (NULL)", [])
        });
        assert!(second.is_err());
        assert!(first.join().expect("no panic").is_err(), "its work is gone as well");
    });
    assert_eq!(count(&path), 0);
    writer.write(put(3)).expect("the next begins anew");
    assert_eq!(count(&path), 1);
}

#[test]
fn panic_undoes_its_own_work_and_nobody_elses() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.sqlite");
    let writer = writer(&path);
    let broken = catch_unwind(AssertUnwindSafe(|| {
        let _ = writer.write(|tx| -> rusqlite::Result<usize> {
            put(1)(tx)?;
            panic!("a bug");
        });
    }));
    assert!(broken.is_err());
    writer.write(put(2)).expect("written");
    assert_eq!(count(&path), 1);
}
