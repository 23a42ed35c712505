//! What only a database on a disk promises: sharing commits, guards, backups.

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
    (folder, hub)
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
    assert_eq!(restored.balance("provider:lab", "EUR").expect("read"), -75);
    assert_eq!(hub.balance("provider:lab", "EUR").expect("read"), -76);
    assert_eq!(restored.postings(NOW, NOW.plus_millis(1)).expect("read").len(), 2);
}
