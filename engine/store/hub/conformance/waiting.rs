//! Wishes, notices and copies that wait.

use super::*;
use crate::store::hub::{
    BACK_NOTICE, NOTICE_KEPT_MS, NoticeRow, StagedRow, TAKINGS_MAX, Taking, TakingRow,
    WITHDRAWN_NOTICE,
};

#[test]
fn agent_that_is_back_is_told_once_to_each_provider_that_wanted_something() {
    every(|store| {
        world(store);
        for (agent, provider, grant) in [
            ("a", "lab", "h"),
            ("a", "lab", "g"),
            ("a", "lab", "g"),
            ("a", "shop", "unknown"),
            ("b", "lab", "g"),
        ] {
            store.wish(agent, provider, grant, NOW).expect("noted");
        }
        assert_eq!(store.back("a", later(1)).expect("told"), 2);
        assert_eq!(store.back("a", later(1)).expect("told"), 0, "told already");
        assert_eq!(store.due_notices(NOW, 10).expect("read"), []);
        let mut due = store.due_notices(later(1), 10).expect("read");
        due.sort_by(|a, b| a.provider.cmp(&b.provider));
        let told: Vec<(&str, &str, &str)> = due
            .iter()
            .map(|notice| (notice.provider.as_str(), notice.kind.as_str(), notice.data.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("lab", BACK_NOTICE, r#"{"agent":"a","grants":["g","h"]}"#),
                ("shop", BACK_NOTICE, r#"{"agent":"a","grants":["unknown"]}"#),
            ]
        );
        assert_eq!(store.back("b", NOW).expect("told"), 1, "nothing of b's was taken");
    });
}

#[test]
fn wish_for_what_was_withdrawn_or_is_over_is_not_told() {
    every(|store| {
        world(store);
        store.wish("a", "lab", "g", NOW).expect("noted");
        store.wish("b", "lab", "g", NOW).expect("noted");
        store.withdraw("a", Some("g"), NOW).expect("withdrawn");
        assert_eq!(store.back("a", NOW).expect("told"), 0);
        assert_eq!(store.back("b", later(10)).expect("told"), 0, "it is over");
        assert_eq!(store.back("b", NOW).expect("told"), 0, "the wish was taken");
    });
}

#[test]
fn withdrawal_tells_the_providers_of_what_held_in_the_same_transaction() {
    every(|store| {
        world(store);
        let more = (0..600).map(|n| format!("m{n:03}"));
        for grant in more {
            let offer = OfferRow { provider: "shop".into(), ..offer("a", &grant) };
            assert!(store.put_offer(&offer).expect("kept"));
        }
        let over = OfferRow { expires_at: NOW, ..offer("a", "over") };
        assert!(store.put_offer(&over).expect("kept"));
        let told = |provider: &str| -> Vec<(String, usize)> {
            let kept = store.notices_of(provider, 9).expect("read");
            assert!(kept.iter().all(|notice| notice.kind == WITHDRAWN_NOTICE));
            let grants = |data: &str| data.matches("\"m").count().max(1);
            kept.into_iter().map(|n| (n.data.clone(), grants(&n.data))).collect()
        };
        assert_eq!(store.withdraw("a", Some("g"), NOW).expect("withdrawn"), 1);
        let first = (r#"{"agent":"a","grants":["g"]}"#.to_owned(), 1);
        assert_eq!(told("lab"), std::slice::from_ref(&first));
        assert_eq!(store.withdraw("a", Some("g"), later(1)).expect("asked"), 0);
        assert_eq!(told("lab"), std::slice::from_ref(&first), "once");
        assert_eq!(store.withdraw("a", Some("over"), later(1)).expect("withdrawn"), 1);
        assert_eq!(told("lab"), [first], "it was over anyway");
        assert!(store.set_agent_state("a", AgentState::Lost, "", later(2)).expect("set"));
        let mut counts: Vec<usize> = told("shop").into_iter().map(|(_, count)| count).collect();
        counts.sort_unstable();
        assert_eq!(counts, [100, 500], "no notice is too long");
        assert_eq!(told("lab").len(), 2, "what an agent had that was lost");
    });
}

fn notice(id: &str, hours: i64) -> NoticeRow {
    NoticeRow {
        notice_id: id.into(),
        provider: "lab".into(),
        kind: "signet.provider.paused".into(),
        data: "{}".into(),
        attempts_count: 0,
        made_at: NOW,
        due_at: later(hours),
        settled_at: None,
    }
}

#[test]
fn notice_waits_until_it_was_sent() {
    every(|store| {
        for (id, hours) in [("n", 2), ("o", 1), ("p", 1), ("n", 0)] {
            store.put_notice(&notice(id, hours)).expect("kept");
        }
        let due = |hours: i64, count_max: u32| -> String {
            let due = store.due_notices(later(hours), count_max).expect("read");
            due.into_iter().map(|notice| notice.notice_id).collect()
        };
        assert_eq!([due(0, 9), due(1, 9), due(2, 9), due(2, 1)], ["", "op", "opn", "o"]);
        store.settle_notice("o", Some(later(3)), NOW).expect("settled");
        store.settle_notice("p", None, later(1)).expect("settled");
        store.settle_notice("p", Some(later(3)), later(2)).expect("asked: it was sent");
        store.settle_notice("none", None, later(2)).expect("asked");
        store.put_notice(&notice("p", 0)).expect("asked: it was sent");
        assert_eq!([due(2, 9), due(3, 9)], ["n", "no"]);
        let kept = store.notices_of("lab", 2).expect("read");
        let tried = NoticeRow { attempts_count: 1, ..notice("o", 3) };
        let sent = NoticeRow { attempts_count: 1, settled_at: Some(later(1)), ..notice("p", 1) };
        assert_eq!(kept, [sent, tried], "newest first");
        assert_eq!(store.notices_of("shop", 9).expect("read"), []);
    });
}

#[test]
fn notice_is_forgotten_a_month_after_it_was_settled() {
    every(|store| {
        for id in ["sent", "waits"] {
            store.put_notice(&notice(id, 0)).expect("kept");
        }
        store.settle_notice("sent", None, later(1)).expect("settled");
        let ids = || -> String {
            let kept = store.notices_of("lab", 9).expect("read");
            kept.into_iter().map(|notice| notice.notice_id + " ").collect()
        };
        let month = later(1).plus_millis(NOTICE_KEPT_MS);
        let made = |id: &str, made_at| NoticeRow { made_at, ..notice(id, 0) };
        store.put_notice(&made("x", month.plus_millis(-1))).expect("kept");
        assert_eq!(ids(), "x waits sent ");
        store.put_notice(&made("y", month)).expect("kept");
        assert_eq!(ids(), "y x waits ");
    });
}

fn staged(agent: &str, grant: &str, text: &str) -> StagedRow {
    StagedRow {
        agent_id: agent.into(),
        grant_id: grant.into(),
        bytes_count: 3_000_016,
        digest: hash(text),
        at: NOW,
    }
}

#[test]
fn copy_lies_here_until_it_is_dropped_withdrawn_or_over() {
    every(|store| {
        world(store);
        assert!(!store.put_staged(&staged("a", "unknown", "s")).expect("asked"));
        for (agent, grant, text) in [("a", "g", "s"), ("a", "h", "t"), ("b", "g", "s")] {
            assert!(store.put_staged(&staged(agent, grant, text)).expect("kept"));
        }
        let mut both = [hash("s"), hash("t")];
        both.sort();
        assert_eq!(store.staged_digests(NOW).expect("read"), both);
        let bytes = ["a", "b", "c"].map(|agent| store.staged_bytes(agent).expect("read"));
        assert_eq!(bytes, [6_000_032, 3_000_016, 0]);
        assert!(store.put_staged(&staged("a", "g", "s")).expect("asked"), "the same again");
        assert!(store.put_staged(&staged("a", "g", "u")).expect("kept"), "another copy");
        assert_eq!(store.staged("a", "g").expect("read"), Some(staged("a", "g", "u")));
        store.drop_staged("a", "g").expect("dropped");
        assert_eq!(store.staged("a", "g").expect("read"), None);
        assert_eq!(store.staged("b", "g").expect("read"), Some(staged("b", "g", "s")));
        store.withdraw("a", None, NOW).expect("withdrawn");
        assert_eq!(store.staged("a", "h").expect("read"), None);
        assert!(!store.put_staged(&staged("a", "h", "t")).expect("asked"), "withdrawn");
        assert_eq!(store.staged_digests(NOW).expect("read"), [hash("s")]);
        assert_eq!(store.staged_digests(later(10)).expect("read"), [], "the offer is over");
        assert_eq!(store.staged("b", "g").expect("read"), None);
    });
}

fn taking(grant: &str, proof: &str, start: u64, end: u64) -> TakingRow {
    TakingRow {
        agent_id: "a".into(),
        grant_id: grant.into(),
        proof: proof.into(),
        what: Taking::Bytes { start, end },
        at: NOW,
        is_open: true,
    }
}

#[test]
fn what_was_taken_is_told_when_it_is_over_until_the_agent_took_note() {
    every(|store| {
        world(store);
        assert!(!store.open_taking(&taking("g", "p", 0, 9)).expect("asked"), "there is no copy");
        assert!(store.put_staged(&staged("a", "g", "s")).expect("kept"));
        assert!(store.open_taking(&taking("g", "p", 0, 9)).expect("noted"));
        assert!(!store.open_taking(&taking("g", "p", 0, 9)).expect("asked"), "used before");
        assert!(store.open_taking(&taking("g", "q", 5, 9)).expect("noted"));
        assert!(store.open_taking(&taking("g", "r", 7, 9)).expect("noted"));
        assert_eq!(store.takings("a", 10).expect("read"), [], "under way");
        store.forget_takings("a", &[hash("p")]).expect("does nothing");
        store.close_taking("a", &hash("p"), 6).expect("closed");
        store.close_taking("a", &hash("p"), 9).expect("does nothing");
        store.close_taking("a", &hash("q"), 5).expect("nothing was sent");
        store.close_taking("b", &hash("r"), 9).expect("somebody else's");
        let told = TakingRow { is_open: false, ..taking("g", "p", 0, 6) };
        assert_eq!(store.takings("a", 10).expect("read"), std::slice::from_ref(&told));
        store.settle_takings().expect("after a crash");
        let crashed = TakingRow { is_open: false, ..taking("g", "r", 7, 9) };
        assert_eq!(store.takings("a", 10).expect("read").len(), 2);
        // Neither a withdrawal nor the end of the copy forgets what the provider has to pay.
        store.drop_staged("a", "g").expect("dropped");
        store.withdraw("a", None, NOW).expect("withdrawn");
        store.forget_takings("b", &[told.name()]).expect("somebody else's");
        store.forget_takings("a", &[told.name()]).expect("noted");
        assert_eq!(store.takings("a", 10).expect("read"), [crashed]);
    });
}

#[test]
fn more_takings_than_an_agent_is_told_of_at_once_are_not_begun() {
    every(|store| {
        world(store);
        assert!(store.put_staged(&staged("a", "g", "s")).expect("kept"));
        for number in 0..TAKINGS_MAX {
            let proof = format!("p{number}");
            assert!(store.open_taking(&taking("g", &proof, 0, 9)).expect("noted"));
        }
        assert!(!store.open_taking(&taking("g", "more", 0, 9)).expect("asked"));
    });
}
