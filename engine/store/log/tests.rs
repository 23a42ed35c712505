//! A leaf is there with what it tells of, and stays.

use super::super::leaf::read;
use super::super::state::MIGRATIONS;
use super::super::state::tests::{NOW, grant, order};
use super::*;
use crate::store::db::{self, Durability};
use crate::store::{Entry, OrderState};

fn granted() -> (State, crate::store::GrantRow) {
    let state = State::in_memory().expect("opens");
    let order = order("k", OrderState::Ready);
    state.put_orders(vec![order.clone()]).expect("kept");
    let kept = state.put_grants(&order, &[grant("k", 10)], &[], NOW).expect("kept");
    (state, kept.expect("as read").remove(0))
}

fn own_leaves(state: &State) -> Vec<AgentLeaf> {
    let leaves = state.log_leaves(OWN, 0, u64::MAX).expect("read");
    leaves.iter().map(|leaf| read(leaf.as_bytes()).expect("a leaf")).collect()
}

fn entries(minors: &[i64]) -> Vec<Entry> {
    minors.iter().map(|minor| Entry { account: "a".into(), minor: *minor }).collect()
}

#[test]
fn grant_access_refusal_and_revocation_each_leave_one_leaf() {
    let (state, grant) = granted();
    let way = Way::Hub("photo-lab".into());
    for _ in 0..2 {
        state.record_refusal("192.0.2.1", &grant.grant_id, "no proof", NOW).expect("counted");
        state.post_access(&grant, &entries(&[25, -25]), &way, NOW).expect("posted");
        state.revoke(None, "stopped by the owner", NOW).expect("revoked");
    }
    let leaves = own_leaves(&state);
    assert_eq!(leaves.len(), 4, "{leaves:?}");
    assert_eq!(leaves[0], AgentLeaf::granted(&grant));
    assert!(matches!(&leaves[1], AgentLeaf::Refusal { provider, .. } if provider == "lab"));
    assert_eq!(leaves[2], AgentLeaf::Access(AccessLeaf::of(&grant, 0, &way, NOW)));
    assert!(matches!(&leaves[3], AgentLeaf::Revoked { grant: id, .. } if *id == grant.grant_id));
    let of_grant = state.log_leaves_of(OWN, &grant.grant_id).expect("read");
    assert_eq!(of_grant.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[test]
fn what_is_refused_leaves_no_leaf() {
    let (state, grant) = granted();
    let posted = state.post_access(&grant, &entries(&[25, -24]), &Way::Direct, NOW);
    assert!(posted.is_err(), "it does not add up to zero");
    assert_eq!(own_leaves(&state).len(), 1);
}

#[test]
fn flood_of_refusals_is_told_of_in_few_leaves() {
    let (state, _) = granted();
    for number in 0..200 {
        state.record_refusal(&format!("192.0.2.{number}"), "", "no grant", NOW).expect("counted");
    }
    let leaves = own_leaves(&state);
    assert_eq!(leaves.len(), 1 + 61);
    assert!(matches!(leaves.last(), Some(AgentLeaf::Refusal { remote, .. }) if remote == "many"));
    assert_eq!(state.refusals(Timestamp(0), Timestamp(i64::MAX)).expect("read").len(), 200);
}

#[test]
fn home_from_before_there_were_logs_gets_its_past_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state.sqlite");
    let steps_count = MIGRATIONS.iter().position(|step| *step == SCHEMA).expect("a step");
    let old = db::open(&path, Durability::Full, &MIGRATIONS[..steps_count]).expect("opens");
    old.execute_batch(
        "INSERT INTO orders (order_key, rule, revision, photo, collection, relative, provider,
             purpose, copies, price_minor, currency, state, reason, created_ms, updated_ms)
             VALUES ('o', 'r', '0', x'00', 'c', 'p.jpg', 'lab', 'print', 1, 0, 'EUR', 'done', '',
             1, 1);
         INSERT INTO grants (grant_id, order_key, provider, member, name, place, photo, digest,
             bytes_count, media_type, token, fee_minor, currency, issued_ms, expires_ms, revoked_ms,
             revoked_why)
             VALUES ('g', 'o', 'lab', 'original', '', 0, zeroblob(32), zeroblob(32), 10,
                 'image/jpeg', '', 25, 'EUR', 60000, 900000, 240000, 'enough'),
                 ('h', 'o', 'lab', 'motion', '', 1, zeroblob(32), zeroblob(32), 10, 'video/mp4',
                 '', 0, 'EUR', 60000, 900000, NULL, NULL);
         INSERT INTO deliveries (grant_id, start_byte, end_byte) VALUES ('g', 0, 10);
         INSERT INTO accesses (grant_id, order_key, provider, member, photo, bytes_count, at_ms)
             VALUES ('g', 'o', 'lab', 'original', zeroblob(32), 10, 120000),
                 ('h', 'o', 'lab', 'motion', zeroblob(32), 10, 60000);
         INSERT INTO refusals VALUES (3, '192.0.2.1', 'g', 'no proof', 7);",
    )
    .expect("as the program before this one left it");
    drop(old);
    for _ in 0..2 {
        let state = State::open(&path).expect("opens");
        let leaves = own_leaves(&state);
        let told: Vec<_> = leaves.iter().map(AgentLeaf::grant).collect();
        assert_eq!(told, ["g", "h", "h", "g", "g", "g"], "{leaves:?}");
        let way = |leaf: &AgentLeaf| match leaf {
            AgentLeaf::Access(access) => Some(access.way.clone()),
            _ => None,
        };
        assert_eq!((way(&leaves[2]), way(&leaves[3])), (Some(Way::Handover), Some(Way::Direct)));
        assert!(matches!(&leaves[4], AgentLeaf::Refusal { provider, .. } if provider == "lab"));
        assert!(matches!(&leaves[5], AgentLeaf::Revoked { reason, .. } if reason == "enough"));
    }
}

#[test]
fn leaves_and_lies_are_never_changed_or_deleted() {
    let (state, _) = granted();
    let lie = LieRow {
        log: "hub".into(),
        kind: "fee".into(),
        subject: "g".into(),
        words: "w".into(),
        proof: "p".into(),
        at: NOW,
    };
    assert!(state.put_lie(&lie).expect("kept"));
    assert!(!state.put_lie(&lie).expect("asked"), "kept once");
    assert_eq!(state.lies(NOW, NOW.plus_millis(1)).expect("read"), [lie]);
    for sql in [
        "UPDATE log_leaves SET leaf = '{}'",
        "DELETE FROM log_leaves",
        "INSERT INTO log_leaves VALUES ('own', 5, '{}', '')",
        "INSERT INTO log_leaves VALUES ('own', 0, '{}', '')",
        "UPDATE hub_lies SET words = ''",
        "DELETE FROM hub_lies",
    ] {
        assert!(state.write(|tx| tx.execute(sql, [])).is_err(), "{sql}");
    }
}

#[test]
fn log_grows_only_from_where_it_ends() {
    let state = State::in_memory().expect("opens");
    let head = |size| HeadRow {
        head: CheckpointRow { size, root: ContentHash::of(b"r"), note: "n".into() },
        signer: "s".into(),
        at: NOW,
    };
    let leaves = [("{}".to_owned(), "g".to_owned()), ("{}".to_owned(), String::new())];
    let grow = |size| {
        let head = head(size);
        let nodes = [(0, ContentHash::of(b"0"))];
        let growth = Growth { log: "hub", leaves: &leaves, nodes: &nodes, head: &head };
        state.grow_log(&growth).expect("written")
    };
    assert!(!grow(3), "one is missing");
    assert!(grow(2));
    assert!(!grow(2), "they are there");
    assert!(grow(4));
    assert_eq!(state.log_size("hub").expect("read"), 4);
    assert_eq!(state.log_heads("hub").expect("read"), [head(2), head(4)]);
    assert_eq!(state.log_head("hub").expect("read"), Some(head(4)));
    assert_eq!(state.log_nodes("hub", &[0, 1]).expect("read"), [(0, ContentHash::of(b"0"))]);
    assert_eq!(state.hub_logs().expect("read"), ["hub"]);
    assert_eq!(state.progress("hub").expect("read"), Progress::default());
    state.note_progress("hub", Progress { told_size: 5, checked_size: 2 }).expect("noted");
    state.note_progress("hub", Progress { told_size: 3, checked_size: 4 }).expect("noted");
    assert_eq!(
        state.progress("hub").expect("read"),
        Progress { told_size: 5, checked_size: 4 },
        "it never goes back"
    );
}
