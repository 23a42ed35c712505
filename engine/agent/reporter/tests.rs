//! Which reports are due, and that each arrives once, against a mail server that knows nothing of us.

use std::sync::Mutex;

use super::*;
use crate::base::ids::ContentHash;
use crate::base::mail::{MailAddress, MailServer};
use crate::base::member::Member;
use crate::ledger::access_entries;
use crate::orders::mail::tests::{loopback, peer};
use crate::store::log::LieRow;
use crate::store::{GrantRow, Order, Way};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// 2026-11-21, 12:00 UTC.
const NOVEMBER: Timestamp = Timestamp(1_795_262_400_000);
/// 2026-12-01, 00:02 UTC.
const DECEMBER: Timestamp = Timestamp(1_796_083_320_000);

struct Scene {
    _folder: tempfile::TempDir,
    reporter: Reporter,
    warnings: Arc<Mutex<Vec<String>>>,
}

fn scene(wanted: Reporting, server: Option<MailServer>) -> Scene {
    let folder = tempfile::tempdir().expect("a folder");
    let home = Home::at(folder.path());
    home.create().expect("made");
    let address = |text: &str| MailAddress::try_from(text.to_owned()).expect("an address");
    let (from, to) = (address("signet@example.org"), address("ada@example.org"));
    let warnings = Arc::new(Mutex::new(Vec::new()));
    let heard = warnings.clone();
    let key = Arc::new(Key::generate().expect("a key"));
    let reporter = Reporter {
        owner: "Ada".into(),
        wanted,
        mail: server.map(|server| Mail { to, from, server, gather_s: 60 }),
        feed_url: feed_url(&LinkKey::of(&key), "https://ada.example"),
        key,
        state: Arc::new(State::in_memory().expect("a store")),
        outward: Arc::new(OutwardBook::new(home.clone(), loopback())),
        zone: Zone::utc(),
        tell: Arc::new(move |event| {
            if let AgentEvent::Warning { text } = event {
                heard.lock().expect("a list").push(text);
            }
        }),
        home,
    };
    Scene { _folder: folder, reporter, warnings }
}

fn fetched(state: &State, number: i64, at: Timestamp) {
    let key = format!("order{number}");
    let photo = ContentHash::of(&number.to_be_bytes());
    let order = Order {
        provider: "lab".into(),
        relative: "IMG_1.jpg".into(),
        ..Order::new(&key, photo, at)
    };
    state.put_orders(vec![order.clone()]).expect("kept");
    let grant = GrantRow {
        grant_id: format!("grant{number}"),
        order_key: key,
        provider: "lab".into(),
        member: Member::Original,
        name: "IMG_1.jpg".into(),
        evidence: None,
        photo,
        digest: photo,
        offset: None,
        bytes_count: 1000,
        media_type: "image/jpeg".into(),
        token: "t".into(),
        fee_minor: 25,
        currency: "EUR".into(),
        issued_at: at,
        expires_at: at,
        revoked_at: None,
        revoked_why: None,
    };
    let kept = state.put_grants(&order, &[grant], &[], at).expect("kept").expect("new");
    assert!(
        state
            .post_access(&kept[0], &access_entries("lab", "signet", 25, 20), &Way::Direct, at)
            .expect("posted")
    );
}

fn header<'a>(letter: &'a str, name: &str) -> &'a str {
    letter.lines().find(|line| line.starts_with(name)).unwrap_or_default()
}

fn nobody() -> MailServer {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    MailServer { host: "127.0.0.1".into(), port, user: None, plain: true }
}

#[test]
fn spans_are_told_of_when_they_are_over_and_settled() {
    let names = |cycle, since, now| -> Vec<String> {
        let spans = ended_spans(cycle, since, now, &Zone::utc());
        spans.into_iter().map(|span| span.name()).collect()
    };
    assert_eq!(names(Cycle::Monthly, NOVEMBER, NOVEMBER), [""; 0]);
    assert_eq!(names(Cycle::Monthly, NOVEMBER, DECEMBER), ["2026-11"]);
    assert_eq!(names(Cycle::Monthly, NOVEMBER, DECEMBER.plus_millis(-90_000)), [""; 0]);
    assert_eq!(names(Cycle::Weekly, NOVEMBER, DECEMBER), ["2026-W47", "2026-W48"]);
    let days = names(Cycle::Daily, NOVEMBER.plus_millis(-40 * DAY_MS), NOVEMBER);
    assert_eq!((days.len(), days[0].as_str(), days[11].as_str()), (12, "2026-11-09", "2026-11-20"));
}

#[test]
fn month_is_told_once_when_the_server_is_back_under_the_same_message_id() {
    let mut scene = scene(Reporting::default(), Some(nobody()));
    let mut memory = scene.reporter.memory();
    scene.reporter.turn(&mut memory, NOVEMBER);
    fetched(&scene.reporter.state, 1, NOVEMBER.plus_millis(1));
    assert!(scene.warnings.lock().expect("a list").is_empty(), "nothing is due yet");
    scene.reporter.turn(&mut memory, DECEMBER);
    let warned = scene.warnings.lock().expect("a list").concat();
    assert!(
        warned.contains("no report by mail") && warned.contains("next try in 10 s"),
        "{warned}"
    );

    // After a restart, with a server that hangs up behind the letter, and then with a good one.
    let mut ids = Vec::new();
    let later = |s: i64| DECEMBER.plus_millis(s * 1000);
    for (verb, answer, now) in [(".", "hang up", later(20)), ("", "", later(40))] {
        let (server, said) = peer(verb, answer);
        scene.reporter.mail.as_mut().expect("mail").server = server;
        scene.reporter.turn(&mut scene.reporter.memory(), now);
        let (_, letter) = said.join().expect("a letter");
        assert!(letter.contains("1 access, you got 0.20 EUR, November 2026"), "{letter}");
        ids.push((header(&letter, "Message-ID").to_owned(), letter));
    }
    assert!(ids[0].0.contains("@example.org") && ids[0] == ids[1], "the same to the byte");
    scene.reporter.mail.as_mut().expect("mail").server = nobody();
    scene.reporter.turn(&mut scene.reporter.memory(), later(80));
    assert_eq!(scene.reporter.state.next_telling("mail").expect("read"), None, "it is told");
}

#[test]
fn accesses_that_come_together_are_one_mail_and_those_before_are_none() {
    let (server, said) = peer("", "");
    let wanted = Reporting { mail: Some(Often::Each), ..Reporting::default() };
    let scene = scene(wanted, Some(server));
    let mut memory = scene.reporter.memory();
    fetched(&scene.reporter.state, 1, NOVEMBER.plus_millis(-1));
    scene.reporter.turn(&mut memory, NOVEMBER);
    fetched(&scene.reporter.state, 2, NOVEMBER.plus_millis(1));
    fetched(&scene.reporter.state, 3, NOVEMBER.plus_millis(30_000));
    scene.reporter.turn(&mut memory, NOVEMBER.plus_millis(59_000));
    assert_eq!(scene.reporter.state.told_up_to("mail").expect("read"), 1, "it waits for others");
    scene.reporter.turn(&mut memory, NOVEMBER.plus_millis(61_000));
    let (_, letter) = said.join().expect("a letter");
    assert!(header(&letter, "Subject").contains("2 accesses, you got 0.40 EUR"), "{letter}");
    assert!(letter.contains("multipart/alternative") && letter.contains("text/html"), "{letter}");
    assert!(!letter.contains("order1"), "that was before");
    assert_eq!(scene.reporter.state.told_up_to("mail").expect("read"), 3);
    assert_eq!(scene.reporter.state.next_telling("mail").expect("read"), None);
}

#[test]
fn feed_tells_of_accesses_and_months_and_goes_when_it_is_not_wanted() {
    let wanted = Reporting { feed: true, ..Reporting::default() };
    let mut scene = scene(wanted, None);
    let mut memory = scene.reporter.memory();
    let path = scene.reporter.home.feed_path();
    let read = || std::fs::read_to_string(&path).expect("a feed");
    scene.reporter.turn(&mut memory, NOVEMBER);
    assert_eq!(read().matches("<entry>").count(), 0);
    fetched(&scene.reporter.state, 7, NOVEMBER.plus_millis(5));
    scene.reporter.turn(&mut memory, NOVEMBER.plus_millis(HOUR_MS));
    let text = read();
    assert!(text.contains("lab fetched the original for order order7") && !text.contains("IMG_1"));
    let url = &scene.reporter.feed_url;
    assert!(url.starts_with("https://ada.example/v1/feed/") && text.contains(url.as_str()));
    scene.reporter.turn(&mut memory, DECEMBER);
    assert!(read().contains("<title>November 2026</title>"));
    scene.reporter.wanted.feed = false;
    scene.reporter.turn(&mut scene.reporter.memory(), DECEMBER);
    assert!(!path.exists());
}

fn lied(state: &State, subject: &str, at: Timestamp) {
    let lie = LieRow {
        log: "hubkeyhubkey 5".into(),
        kind: "fee".into(),
        subject: subject.into(),
        words: "the hub posted 0.50 EUR for grant g, the fee is 0.25 EUR".into(),
        proof: "{}".into(),
        at,
    };
    assert!(state.put_lie(&lie).expect("kept"));
}

#[test]
fn hub_that_lied_is_told_of_once_by_mail_without_any_access() {
    let (server, said) = peer("", "");
    let wanted = Reporting { mail: Some(Often::Each), feed: true, ..Reporting::default() };
    let scene = scene(wanted, Some(server));
    let (state, mut memory) = (&scene.reporter.state, scene.reporter.memory());
    lied(state, "old/0", NOVEMBER.plus_millis(-1));
    scene.reporter.turn(&mut memory, NOVEMBER);
    lied(state, "g/0", NOVEMBER.plus_millis(1));
    lied(state, "g/1", NOVEMBER.plus_millis(1));
    scene.reporter.turn(&mut memory, NOVEMBER.plus_millis(5_000));
    assert_eq!(state.next_telling("mail").expect("read"), None, "more of the round may come");
    scene.reporter.turn(&mut memory, NOVEMBER.plus_millis(11_000));
    let (_, letter) = said.join().expect("a letter");
    let subject = header(&letter, "Subject");
    assert!(subject.contains("THE HUB SAID WHAT CANNOT BE TRUE"), "{letter}");
    assert_eq!(letter.matches("The hub said: the hub posted 0.50 EUR").count(), 2, "{letter}");
    // Also after a restart.
    scene.reporter.turn(&mut scene.reporter.memory(), NOVEMBER.plus_millis(12_000));
    assert_eq!(state.next_telling("mail").expect("read"), None);
    let feed = std::fs::read_to_string(scene.reporter.home.feed_path()).expect("a feed");
    assert_eq!(feed.matches("<title>The hub said what cannot be true</title>").count(), 2);
}

#[test]
fn digest_of_a_month_tells_of_the_hub_that_lied_in_it() {
    let (server, said) = peer("", "");
    let scene = scene(Reporting::default(), Some(server));
    let mut memory = scene.reporter.memory();
    scene.reporter.turn(&mut memory, NOVEMBER);
    lied(&scene.reporter.state, "g/0", NOVEMBER.plus_millis(1));
    scene.reporter.turn(&mut memory, DECEMBER);
    let (_, letter) = said.join().expect("a letter");
    assert!(letter.contains("THE HUB SAID SOMETHING THAT CANNOT BE TRUE"), "{letter}");
}
