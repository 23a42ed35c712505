//! Rolls against databases in memory: any order of arrival comes to the same orders.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::access::people_book::{Enrolled, PeopleBook, PeopleError};
use crate::base::file_kind::FileKind;
use crate::base::file_state::FileState;
use crate::base::home::Home;
use crate::base::member::Member;
use crate::base::money::Currency;
use crate::detection::faces::FaceSighting;
use crate::detection::{IconSet, IconSighting, Tier};
use crate::orders::catalogue::Product;
use crate::orders::terms::Fees;
use crate::rules::{Known, RuleFile};
use crate::store::{CompanionRow, Order, OrderState, PhotoRow, Purpose};

const NOW: Timestamp = Timestamp(1_790_000_000_000);
/// Nothing more will come.
const READY: Readiness<'_> = Readiness { is_settled: true, is_grace_over: true, unread: &[] };
const PAUSE_MS: i64 = 10 * 60_000;

/// A photo in a few words.
#[derive(Debug, Clone)]
struct Taken {
    name: String,
    camera: &'static str,
    /// Seconds behind ten o'clock.
    second: u32,
    /// `name` or `name?`.
    icons: Vec<&'static str>,
    /// The same.
    people: Vec<&'static str>,
    card: bool,
}

fn taken(name: &str, second: u32, icons: &[&'static str]) -> Taken {
    let (name, icons) = (name.to_owned(), icons.to_vec());
    Taken { name, camera: "a", second, icons, people: Vec::new(), card: false }
}

fn with_people(name: &str, second: u32, people: &[&'static str]) -> Taken {
    Taken { people: people.to_vec(), ..taken(name, second, &[]) }
}

fn card(name: &str, second: u32, icons: &[&'static str]) -> Taken {
    Taken { card: true, ..taken(name, second, icons) }
}

impl Taken {
    fn hash(&self) -> ContentHash {
        ContentHash::of(self.name.as_bytes())
    }

    fn analysis(&self) -> Analysis {
        let clock = self.second;
        let icon = |text: &&str| IconSighting {
            seal: None,
            name: text.trim_end_matches('?').to_owned(),
            tier: if text.ends_with('?') { Tier::Ask } else { Tier::Order },
            score: 0.9,
            corners: [[0.0, 0.0], [40.0, 0.0], [40.0, 40.0], [0.0, 40.0]],
        };
        // `[Anna]` is her portrait.
        let face = |text: &&str| {
            let name = text.trim_matches(['[', ']']);
            FaceSighting {
                person: Some(name.trim_end_matches('?').to_owned()),
                tier: Some(if name.ends_with('?') { Tier::Ask } else { Tier::Order }),
                score: 0.6,
                bounds: [100.0, 100.0, 180.0, 200.0],
                frame: (name != *text).then_some([
                    [60.0, 60.0],
                    [220.0, 60.0],
                    [220.0, 220.0],
                    [60.0, 220.0],
                ]),
            }
        };
        Analysis {
            width_px: 400,
            height_px: 300,
            bytes_count: 1000,
            media_type: "image/jpeg".to_owned(),
            taken_at: Some(format!(
                "2026-07-01T{:02}:{:02}:{:02}",
                10 + clock / 3600,
                clock / 60 % 60,
                clock % 60
            )),
            taken_millis: 0,
            camera: Some(self.camera.to_owned()),
            camera_make: None,
            camera_model: None,
            place: None,
            icons: self.icons.iter().map(icon).collect(),
            faces: self.people.iter().map(face).collect(),
            strangers: crate::agent::analyse::Strangers::default(),
            card: self.card,
            extras: crate::media::Extras::default(),
            seen_by: String::new(),
        }
    }
}

/// Orders for faces, beside the shipped rules.
const FACES: &str = r#"
[people]
friends = ["Anna", "Ben"]
[[rule]]
name = "anna"
when = 'has("Anna")'
order = { product = "canvas", provider = "lab" }
hold = "0"
[[rule]]
name = "friends"
when = 'seen(friends)'
order = { product = "mug", provider = "lab" }
hold = "0"
[[rule]]
name = "portrait"
when = 'seen(portrait("Anna"))'
order = { product = "print-10x15", provider = "lab" }
"#;

struct Desk {
    index: Mutex<Index>,
    state: State,
    decisions: Decisions,
    rules: RuleSet,
    providers: BTreeMap<String, Terms>,
    home: Home,
    register: Register,
    _folder: tempfile::TempDir,
}

/// A home in which Anna and Ben are enrolled.
fn home() -> (tempfile::TempDir, Home) {
    let folder = tempfile::tempdir().expect("a folder");
    let home = Home::at(folder.path());
    home.create().expect("made");
    for name in ["Anna", "Ben"] {
        let person = Enrolled {
            name: name.to_owned(),
            consent_by: name.to_owned(),
            consent_at: Timestamp(0),
            consent_until: NOW,
            recogniser: ContentHash::of(b"a network"),
            faces: Vec::new(),
        };
        PeopleBook::add(&home, person).expect("enrolled");
    }
    (folder, home)
}

impl Desk {
    fn new() -> Self {
        let known = Known::of_icons(IconSet::house().expect("the icons").names());
        let text = include_str!("../../../rules/family.toml");
        let files = [RuleFile::new("family.toml", text), RuleFile::new("faces.toml", FACES)];
        let products = ["print-10x15", "canvas", "mug"];
        let terms = Terms {
            orders_url: "http://127.0.0.1:1/".into(),
            purposes: [Purpose::Print, Purpose::Share].into(),
            products: products.map(|name| (name.to_owned(), Product::priced(1))).into(),
            fees: Fees { original_minor: 25, preview_minor: 0, companion_minor: 0 },
            service_percent: 20,
            service: "signet".into(),
            ..Terms::new(Currency::try_from("EUR".to_owned()).expect("a currency"))
        };
        let (_folder, home) = home();
        Self {
            register: Register::of(&home),
            home,
            _folder,
            index: Mutex::new(Index::open_in_memory().expect("an index")),
            state: State::in_memory().expect("a state"),
            decisions: Decisions::in_memory().expect("a log"),
            rules: RuleSet::load(&files, &known).expect("the shipped rules"),
            providers: [("lab".to_owned(), terms)].into(),
        }
    }

    fn arrive(&self, photo: &Taken) {
        let analysis = photo.analysis();
        let row = PhotoRow {
            hash: photo.hash(),
            analysis_json: serde_json::to_string(&analysis).expect("JSON"),
            first_seen: NOW,
            may_order: true,
        };
        let mut index = lock(&self.index);
        index.record_photo(&row).expect("recorded");
        let place = ("photos", Path::new(&photo.name));
        arrive(&mut index, &photo.hash(), place, &analysis, (Icons::default(), PAUSE_MS))
            .expect("in its place");
    }

    fn as_judge(&self) -> Judge<'_> {
        Judge {
            index: &self.index,
            state: &self.state,
            decisions: &self.decisions,
            rules: &self.rules,
            providers: &self.providers,
            icons: Icons::default(),
            register: &self.register,
        }
    }

    fn judge(&self) -> Vec<Outcome> {
        let photos = lock(&self.index).photos_to_judge().expect("asks");
        let judge = self.as_judge();
        let outcomes = photos.iter().map(|photo| {
            let judged = judge.judge(photo, READY, NOW).expect("judged");
            let Judged::Now(outcome) = judged else { panic!("it is settled") };
            lock(&self.index).set_judged(photo, true).expect("marked");
            *outcome
        });
        outcomes.collect()
    }

    fn live(&self) -> Vec<Order> {
        let mut orders = self.state.orders(None).expect("read");
        orders.retain(|order| order.state != OrderState::Cancelled);
        orders
    }

    /// `IMG_1: order 2 mug …` of all orders that hold.
    fn orders(&self) -> BTreeSet<String> {
        let live = self.live().into_iter().map(|order| {
            let ask = if order.state == OrderState::Ask { "ask: " } else { "" };
            format!("{}: {ask}{}", order.relative, crate::store::orders::words(&order))
        });
        live.collect()
    }
}

#[track_caller]
fn check(photos: &[Taken], expected: &[&str]) {
    let desk = Desk::new();
    for photo in photos {
        desk.arrive(photo);
    }
    desk.judge();
    let expected: BTreeSet<String> = expected.iter().map(|text| (*text).to_owned()).collect();
    assert_eq!(desk.orders(), expected);
}

#[test]
fn card_goes_for_the_series_until_a_pause_an_end_or_another_card() {
    check(
        &[
            taken("0", 0, &[]),
            card("card", 10, &["print-10x15", "copies-2"]),
            taken("1", 20, &[]),
            taken("2", 20 + 600, &[]),
            taken("3", 20 + 600 + 601, &[]),
            card("other", 1300, &["mug"]),
            taken("4", 1310, &[]),
            taken("5", 1320, &["end"]),
            taken("6", 1330, &[]),
        ],
        &["1: print-10x15 x 2", "2: print-10x15 x 2", "4: mug x 1"],
    );
}

#[test]
fn end_that_is_not_sure_makes_the_rest_ask() {
    check(
        &[
            card("card", 0, &["mug"]),
            taken("1", 1, &[]),
            taken("2", 2, &["end?"]),
            taken("3", 3, &[]),
        ],
        &["1: mug x 1", "2: ask: mug x 1", "3: ask: mug x 1"],
    );
}

#[test]
fn own_icons_of_a_photo_and_do_not_share_come_before_the_card() {
    check(
        &[
            card("card", 0, &["print-10x15", "copies-3", "to-a"]),
            taken("1", 1, &["canvas"]),
            taken("2", 2, &["do-not-share"]),
            taken("3", 3, &["to-b", "express"]),
        ],
        &["1: canvas x 3 to a", "3: print-10x15 x 3 to b, express"],
    );
}

#[test]
fn cameras_have_their_own_cards() {
    let other = |photo: Taken| Taken { camera: "b", ..photo };
    check(
        &[
            card("card", 0, &["mug"]),
            other(card("card b", 0, &["canvas"])),
            taken("1", 5, &[]),
            other(taken("2", 6, &[])),
        ],
        &["1: mug x 1", "2: canvas x 1"],
    );
}

#[test]
fn reason_names_the_card_and_its_time() {
    let desk = Desk::new();
    desk.arrive(&card("card", 120, &["print-10x15"]));
    desk.arrive(&taken("1", 130, &[]));
    desk.judge();
    let origin = desk.live()[0].origin.clone();
    assert_eq!(origin, "the icon print-10x15; card `print-10x15` photographed at 10:02");
}

#[test]
fn photo_waits_only_while_something_of_it_would_leave() {
    let desk = Desk::new();
    desk.arrive(&taken("1", 0, &["mug"]));
    desk.arrive(&taken("2", 1, &["copies-2"]));
    let judge = desk.as_judge();
    let judged = |name: &str| {
        judge
            .judge(&ContentHash::of(name.as_bytes()), Readiness { is_settled: false, ..READY }, NOW)
            .expect("judged")
    };
    assert!(matches!(judged("1"), Judged::Later(Until::Settled)));
    let Judged::Now(outcome) = judged("2") else { panic!("nothing of it leaves") };
    assert_eq!(outcome.notes.len(), 1, "it says that there is nothing to order");
    assert!(desk.live().is_empty());
}

#[test]
fn card_that_comes_late_is_judged_with_what_it_is_for() {
    let desk = Desk::new();
    desk.arrive(&taken("1", 10, &[]));
    desk.arrive(&taken("2", 20, &["mug"]));
    desk.judge();
    assert_eq!(desk.orders(), ["2: mug x 1".to_owned()].into());
    desk.arrive(&card("card", 0, &["print-10x15", "copies-3"]));
    let outcomes = desk.judge();
    assert_eq!(outcomes.iter().map(|outcome| outcome.orders.changed.len()).sum::<usize>(), 1);
    let expected = ["1: print-10x15 x 3", "2: mug x 3"].map(str::to_owned);
    assert_eq!(desk.orders(), expected.into());
    // An end that comes later still takes back what nobody was told of.
    desk.arrive(&taken("end", 5, &["end"]));
    let outcomes = desk.judge();
    assert_eq!(outcomes.iter().map(|outcome| outcome.orders.withdrawn.len()).sum::<usize>(), 1);
    assert_eq!(desk.orders(), ["2: mug x 1".to_owned()].into());
    // And a photo in between makes it another series again.
    desk.arrive(&card("again", 7, &["print-10x15", "copies-3"]));
    desk.judge();
    let expected = ["1: print-10x15 x 3", "2: mug x 3"].map(str::to_owned);
    assert_eq!(desk.orders(), expected.into());
}

#[test]
fn order_on_its_way_or_decided_by_the_owner_stays_and_is_told_of() {
    let desk = Desk::new();
    for (name, second) in [("1", 10), ("2", 20), ("3", 30)] {
        desk.arrive(&taken(name, second, &["mug"]));
    }
    desk.judge();
    let orders = desk.live();
    let key = |name: &str| {
        let order = orders.iter().find(|order| order.relative == name);
        order.expect("ordered").order_key.clone()
    };
    let (ready, taken) = ([OrderState::Ready], OrderState::Accepted);
    assert!(desk.state.move_order(&key("1"), &ready, taken, "", NOW).expect("moved"));
    let cancelled = OrderState::Cancelled;
    assert!(desk.state.move_order(&key("2"), &ready, cancelled, "", NOW).expect("moved"));
    desk.arrive(&card("card", 0, &["copies-3"]));
    let outcomes = desk.judge();
    let kept: Vec<_> = outcomes.iter().flat_map(|outcome| &outcome.orders.kept).collect();
    assert_eq!(kept.len(), 1, "{kept:#?}");
    assert_eq!(kept[0].relative, "1");
    let expected = ["1: mug x 1", "3: mug x 3"].map(str::to_owned);
    assert_eq!(desk.orders(), expected.into(), "the cancelled one came back");
    let events = desk.state.order_events(&key("1")).expect("read");
    assert!(events.last().expect("events").2.contains("mug x 3"), "{events:?}");
}

#[test]
fn photo_of_a_series_that_was_edited_where_it_lies_asks() {
    let desk = Desk::new();
    desk.arrive(&card("card", 0, &["mug"]));
    let photo = taken("1", 10, &[]);
    desk.arrive(&photo);
    desk.judge();
    let analysis = photo.analysis();
    let row = PhotoRow {
        hash: ContentHash::of(b"edited"),
        analysis_json: serde_json::to_string(&analysis).expect("JSON"),
        first_seen: NOW,
        may_order: true,
    };
    let mut index = lock(&desk.index);
    index.record_photo(&row).expect("recorded");
    let place = ("photos", Path::new("1"));
    arrive(&mut index, &row.hash, place, &analysis, (Icons::default(), PAUSE_MS))
        .expect("in its place");
    drop(index);
    desk.judge();
    assert_eq!(desk.orders(), ["1: mug x 1", "1: ask: mug x 1"].map(str::to_owned).into());
    let waiting = desk.live().into_iter().find(|order| order.state == OrderState::Ask);
    let reason = waiting.expect("one asks").reason;
    assert!(reason.ends_with("but an earlier version of it was ordered"), "{reason}");
}

#[test]
fn photo_that_was_there_before_is_not_judged_when_a_card_comes() {
    let desk = Desk::new();
    let photo = taken("1", 10, &[]);
    desk.arrive(&photo);
    let held = lock(&desk.index).photo(&photo.hash()).expect("asks").expect("is there");
    let held = PhotoRow { may_order: false, ..held };
    lock(&desk.index).record_photo(&held).expect("recorded");
    desk.arrive(&card("card", 0, &["mug"]));
    desk.judge();
    assert!(desk.orders().is_empty());
}

#[test]
fn judging_again_changes_nothing_and_counts_nothing_twice() {
    let desk = Desk::new();
    let photo = taken("1", 10, &["mug", "copies-2"]);
    desk.arrive(&photo);
    desk.judge();
    let before = desk.live();
    for _ in 0..60 {
        lock(&desk.index).set_judged(&photo.hash(), false).expect("marked");
        let outcome = desk.judge().remove(0);
        assert_eq!(outcome.orders, Replanned::default());
    }
    assert_eq!(desk.live(), before, "the limit of orders a day is 50");
}

#[test]
fn card_photo_without_a_time_says_that_it_is_for_nothing() {
    let desk = Desk::new();
    let photo = card("card", 0, &["mug"]);
    let analysis = Analysis { taken_at: None, ..photo.analysis() };
    let row = PhotoRow {
        hash: photo.hash(),
        analysis_json: serde_json::to_string(&analysis).expect("JSON"),
        first_seen: NOW,
        may_order: true,
    };
    let place = ("photos", Path::new("card"));
    let mut index = lock(&desk.index);
    index.record_photo(&row).expect("recorded");
    arrive(&mut index, &photo.hash(), place, &analysis, (Icons::default(), PAUSE_MS))
        .expect("kept");
    drop(index);
    let outcomes = desk.judge();
    assert!(outcomes[0].notes[0].contains("when it was taken"), "{outcomes:?}");
    assert!(desk.orders().is_empty());
}

/// A rule that names companions, in the place of the shipped ones.
fn desk_with(covered: &[Member]) -> Desk {
    let mut desk = Desk::new();
    let rule = r#"
[[rule]]
name = "with"
when = 'has("mug")'
order = { product = "mug", provider = "lab", with = ["voice-memo", "motion", "raw"] }
"#;
    let file = RuleFile::new("with.toml", rule);
    let known = Known::of_icons(IconSet::house().expect("the icons").names());
    desk.rules = RuleSet::load(&[file], &known).expect("a rule");
    let terms = desk.providers.get_mut("lab").expect("terms");
    terms.companions = covered.iter().copied().collect();
    desk
}

/// Puts a companion beside the photos, as the agent does when it was read.
fn put_companion(desk: &Desk, name: &str, member: Member) {
    let mut index = lock(&desk.index);
    let hash = ContentHash::of(name.as_bytes());
    let facts = serde_json::json!({ "member": member, "media_type": "x/y" }).to_string();
    let row = CompanionRow { hash, bytes_count: 9, facts_json: facts };
    index.record_companion(&row).expect("recorded");
    put_file(&mut index, name, FileKind::Companion);
    for photo in
        crate::agent::group::photos_beside(&index, "photos", Path::new(name)).expect("asked")
    {
        index.judge_again(&photo).expect("marked");
    }
}

fn put_file(index: &mut Index, name: &str, kind: FileKind) {
    let hash = ContentHash::of(name.as_bytes());
    let inode = u64::from(hash.as_bytes()[0]);
    let state = FileState { bytes_count: 1, modified_ns: 2, changed_ns: 3, device: 4, inode };
    index.note_file("photos", Path::new(name), kind, &state, Some(&hash)).expect("noted");
}

fn arrive_with_file(desk: &Desk, photo: &Taken) {
    desk.arrive(photo);
    put_file(&mut lock(&desk.index), &photo.name, FileKind::Photo);
}

#[test]
fn companion_that_comes_late_changes_an_order_that_nobody_was_told_of_and_adds_none() {
    let desk = desk_with(&[]);
    arrive_with_file(&desk, &taken("1.jpg", 10, &["mug"]));
    desk.judge();
    let before = desk.live();
    assert_eq!(before[0].reason, "the rule with applies");
    put_companion(&desk, "1.wav", Member::VoiceMemo);
    let outcomes = desk.judge();
    assert_eq!(outcomes[0].orders.changed.len(), 1);
    let after = desk.live();
    assert_eq!((after.len(), &after[0].order_key), (1, &before[0].order_key));
    assert!(after[0].reason.contains("without its voice-memo: the consent"), "{}", after[0].reason);
    // On its way it stays as it is.
    let (ready, accepted) = ([OrderState::Ready], OrderState::Accepted);
    assert!(desk.state.move_order(&after[0].order_key, &ready, accepted, "", NOW).expect("moved"));
    put_companion(&desk, "1.mov", Member::Motion);
    assert_eq!(desk.judge()[0].orders, Replanned::default());
    assert_eq!(desk.live().len(), 1);
}

#[test]
fn photo_waits_for_companions_that_are_known_to_exist_and_no_longer_than_allowed() {
    let desk = desk_with(&[Member::VoiceMemo]);
    let photo = taken("1.jpg", 10, &["mug"]);
    arrive_with_file(&desk, &photo);
    let judge = desk.as_judge();
    let unread = [PathBuf::from("1.WAV")];
    let judged = |readiness| judge.judge(&photo.hash(), readiness, NOW).expect("judged");
    let waiting = Readiness { is_grace_over: false, unread: &unread, ..READY };
    assert!(matches!(judged(waiting), Judged::Later(Until::Complete)));
    assert!(desk.live().is_empty());
    let Judged::Now(_) = judged(Readiness { unread: &unread, ..READY }) else { panic!("over") };
    let reason = desk.live()[0].reason.clone();
    assert!(reason.ends_with("without its voice-memo `1.WAV`, which did not come"), "{reason}");
}

#[test]
fn raw_data_is_ordered_alone_and_never_beside_its_picture() {
    let desk = desk_with(&[]);
    let (raw, picture) = (taken("1.NEF", 10, &["mug"]), taken("1.jpg", 10, &["mug"]));
    arrive_with_file(&desk, &raw);
    desk.judge();
    assert_eq!(desk.live().len(), 1, "alone it is a photo");
    arrive_with_file(&desk, &picture);
    lock(&desk.index).judge_again(&raw.hash()).expect("marked");
    // As the agent does it: the raw data first.
    for photo in [&raw, &picture] {
        let judge = desk.as_judge();
        judge.judge(&photo.hash(), READY, NOW).expect("judged");
    }
    let live = desk.live();
    assert_eq!((live.len(), live[0].relative.as_str()), (1, "1.jpg"));
    assert_eq!(live[0].state, OrderState::Ready);
}

#[test]
fn picture_whose_raw_data_is_on_its_way_asks() {
    let desk = desk_with(&[]);
    let (raw, picture) = (taken("1.NEF", 10, &["mug"]), taken("1.jpg", 10, &["mug"]));
    arrive_with_file(&desk, &raw);
    desk.judge();
    let key = desk.live()[0].order_key.clone();
    let (ready, accepted) = ([OrderState::Ready], OrderState::Accepted);
    assert!(desk.state.move_order(&key, &ready, accepted, "", NOW).expect("moved"));
    arrive_with_file(&desk, &picture);
    desk.judge();
    let asked = desk.live().into_iter().find(|order| order.relative == "1.jpg").expect("planned");
    assert_eq!(asked.state, OrderState::Ask);
    assert!(asked.reason.contains("but its raw file `1.NEF` was ordered"), "{}", asked.reason);
}

/// What becomes of photos with people, in the words of [`Desk::orders`].
#[track_caller]
fn check_people(photos: &[Taken], expected: &[&str]) {
    check(photos, expected);
    // Whichever came last.
    let back: Vec<Taken> = photos.iter().rev().cloned().collect();
    check(&back, expected);
}

#[test]
fn face_alone_asks_and_a_second_photo_of_the_hour_orders() {
    let anna = |name: &str, second| with_people(name, second, &["Anna"]);
    check_people(&[anna("1", 0)], &["1: ask: canvas x 1", "1: ask: mug x 1"]);
    let both = ["1: canvas x 1", "1: mug x 1", "2: canvas x 1", "2: mug x 1"];
    check_people(&[anna("1", 0), anna("2", 3600)], &both);
    // Another camera's photo says as much.
    check_people(&[anna("1", 0), Taken { camera: "b", ..anna("2", 60) }], &both);
    let apart = ["1: ask: canvas x 1", "1: ask: mug x 1", "2: ask: canvas x 1", "2: ask: mug x 1"];
    check_people(&[anna("1", 0), anna("2", 3601)], &apart);
    // The same moment twice is one picture in two files.
    check_people(&[anna("1", 0), anna("2", 0)], &apart);
    check_people(
        &[anna("1", 0), with_people("2", 10, &["Anna?"])],
        &["1: ask: canvas x 1", "1: ask: mug x 1", "2: ask: mug x 1"],
    );
    // Two who agree on one of them.
    check_people(&[anna("1", 0), with_people("2", 10, &["Anna", "Ben"])], &both);
}

#[test]
fn face_beside_a_sure_icon_orders_and_one_that_is_not_sure_asks_whatever_is_beside_it() {
    let with_icon =
        |icon, people: &[&'static str]| Taken { icons: vec![icon], ..with_people("1", 0, people) };
    check(&[with_icon("copies-2", &["Anna"])], &["1: canvas x 1", "1: mug x 1"]);
    check(&[with_icon("copies-2?", &["Anna"])], &["1: ask: canvas x 1", "1: ask: mug x 1"]);
    check(&[with_icon("copies-2", &["Ben?"])], &["1: ask: mug x 1"]);
    check(&[with_icon("do-not-share", &["Anna"])], &[]);
}

#[test]
fn portrait_orders_by_the_rule_that_says_portrait_and_is_nobody_of_the_hour() {
    let desk = Desk::new();
    desk.arrive(&with_people("1", 0, &["Anna"]));
    desk.arrive(&with_people("2", 10, &["[Anna]"]));
    desk.arrive(&with_people("3", 20, &["[Anna?]"]));
    desk.judge();
    let expected =
        ["1: ask: canvas x 1", "1: ask: mug x 1", "2: print-10x15 x 1", "3: ask: print-10x15 x 1"];
    assert_eq!(desk.orders(), expected.map(str::to_owned).into());
    let asked = desk.live().into_iter().find(|order| order.relative == "3").expect("planned");
    assert!(asked.reason.contains("a portrait is not recognised surely"), "{}", asked.reason);
    // As an icon it speaks for whoever is on the same photo.
    let desk = Desk::new();
    desk.arrive(&with_people("1", 0, &["Anna", "[Ben]"]));
    desk.judge();
    let expected = ["1: canvas x 1", "1: mug x 1"].map(str::to_owned);
    assert_eq!(desk.orders(), expected.into());
}

#[test]
fn reason_says_why_a_face_is_asked_about() {
    let desk = Desk::new();
    desk.arrive(&with_people("1", 0, &["Anna", "Ben?"]));
    desk.judge();
    let reason = |product: Option<&str>| {
        let found = desk.live().into_iter().find(|order| order.product.as_deref() == product);
        found.expect("planned").reason
    };
    for order in desk.live() {
        let kept = order.reason + &order.origin;
        assert!(!kept.contains("Anna") && !kept.contains("Ben"), "{kept}");
    }
    let canvas = reason(Some("canvas"));
    assert!(canvas.contains("only a face speaks for it"), "{canvas}");
    let mug = reason(Some("mug"));
    assert!(mug.contains("a face is not recognised surely"), "{mug}");
}

#[test]
fn owner_who_said_no_to_a_face_is_not_asked_again_by_a_second_photo() {
    let desk = Desk::new();
    desk.arrive(&with_people("1", 0, &["Anna"]));
    desk.judge();
    for order in desk.live() {
        let (asked, cancelled) = ([OrderState::Ask], OrderState::Cancelled);
        assert!(
            desk.state.move_order(&order.order_key, &asked, cancelled, "", NOW).expect("moved")
        );
    }
    desk.arrive(&with_people("2", 10, &["Anna"]));
    desk.judge();
    let expected = ["2: canvas x 1", "2: mug x 1"].map(str::to_owned);
    assert_eq!(desk.orders(), expected.into());
}

#[test]
fn photo_that_shows_somebody_no_more_speaks_for_nobody() {
    let desk = Desk::new();
    desk.arrive(&with_people("1", 0, &["Anna"]));
    desk.arrive(&with_people("2", 10, &["Anna"]));
    desk.judge();
    desk.arrive(&with_people("2", 10, &[]));
    desk.judge();
    let expected = ["1: ask: canvas x 1", "1: ask: mug x 1"].map(str::to_owned);
    assert_eq!(desk.orders(), expected.into());
}

fn any_roll() -> impl Strategy<Value = Vec<Taken>> {
    let icons = prop_oneof![
        8 => Just(vec![]),
        1 => Just(vec!["mug"]),
        1 => Just(vec!["copies-2"]),
        1 => Just(vec!["end"]),
        1 => Just(vec!["end?"]),
        1 => Just(vec!["do-not-share"]),
        1 => Just(vec!["canvas?"]),
    ];
    let cards = prop_oneof![
        Just(vec!["print-10x15", "copies-3"]),
        Just(vec!["canvas", "to-a"]),
        Just(vec!["end"]),
        Just(vec!["mug", "end"]),
        Just(vec!["print-10x15?"]),
    ];
    let kind = prop_oneof![
        4 => icons.prop_map(|icons| (icons, false)),
        1 => cards.prop_map(|icons| (icons, true)),
    ];
    // Some gaps are pauses, some photos are taken in the same second.
    let gap = prop_oneof![Just(0_u32), 1_u32..400, 500_u32..700];
    let people = prop_oneof![
        4 => Just(vec![]),
        2 => Just(vec!["Anna"]),
        1 => Just(vec!["Ben"]),
        1 => Just(vec!["Anna?", "Ben"]),
    ];
    let photo = (kind, people, gap, proptest::sample::select(vec!["a", "a", "a", "b"]));
    proptest::collection::vec(photo, 1..14).prop_map(|photos| {
        let mut second = 0;
        let number =
            |(number, ((icons, card), people, gap, camera)): (usize, ((_, _), _, u32, _))| {
                second += gap * 3;
                Taken { name: format!("IMG_{number}"), camera, second, icons, people, card }
            };
        photos.into_iter().enumerate().map(number).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..Default::default() })]

    /// Photos arrive in any order and are judged at any time in between; nothing was sent.
    #[test]
    fn any_order_of_arrival_comes_to_the_same_orders(
        roll in any_roll(),
        places in proptest::collection::vec(any::<(u64, bool)>(), 14),
    ) {
        let (in_order, shuffled) = (Desk::new(), Desk::new());
        for photo in &roll {
            in_order.arrive(photo);
        }
        in_order.judge();
        let mut arrivals: Vec<_> = roll.iter().zip(&places).collect();
        arrivals.sort_by_key(|(_, (place, _))| *place);
        for (photo, (_, then_judge)) in arrivals {
            shuffled.arrive(photo);
            if *then_judge {
                shuffled.judge();
            }
        }
        shuffled.judge();
        prop_assert_eq!(in_order.orders(), shuffled.orders());
        let origins = |desk: &Desk| -> BTreeSet<String> {
            desk.live().into_iter().map(|order| order.relative + &order.origin).collect()
        };
        prop_assert_eq!(origins(&in_order), origins(&shuffled));
    }
}

#[test]
fn every_kept_decision_is_made_again_and_says_the_same() {
    let desk = Desk::new();
    desk.arrive(&card("card", 0, &["print-10x15", "copies-3"]));
    for (second, icons) in [(10, &["mug?"][..]), (20, &["do-not-share"]), (30, &[])] {
        desk.arrive(&taken(&format!("{second}"), second, icons));
    }
    desk.judge();
    desk.arrive(&taken("end", 5, &["end"]));
    desk.judge();
    let rows = desk.decisions.page(Timestamp(0), 0, 99).expect("read");
    assert_eq!(rows.len(), 5 + 3, "four photos, the end, and the three that it changed");
    for (_, row) in &rows {
        let archive = desk.decisions.rules(&row.revision).expect("read").expect("kept");
        let archive: crate::rules::Archive = serde_json::from_str(&archive).expect("JSON");
        let inputs: crate::rules::Inputs = serde_json::from_str(&row.inputs_json).expect("JSON");
        let was: Judgement = serde_json::from_str(&row.answer_json).expect("JSON");
        assert_eq!(inputs.judge(&archive.load().expect("loads")), was, "{}", row.inputs_json);
    }
    // Judged again with nothing new, nothing is kept.
    lock(&desk.index).set_judged(&taken("10", 0, &[]).hash(), false).expect("marked");
    desk.judge();
    assert_eq!(desk.decisions.count(Timestamp(0)).expect("read"), rows.len());
}

#[test]
fn photo_of_somebody_who_was_removed_meanwhile_names_nobody() {
    let mut desk = Desk::new();
    let rules = "[people]\nfriends = [\"Anna\", \"Ben\"]\n[[rule]]\nname = \"faces\"\n\
                 when = 'seen(friends)'\nnote = \"somebody is there\"\n";
    let known = Known::of_icons(Vec::new());
    desk.rules = RuleSet::load(&[RuleFile::new("a.toml", rules)], &known).expect("a rule");
    let photo = taken("1", 0, &[]);
    desk.arrive(&photo);
    let face = |name: &str| FaceSighting {
        person: Some(name.to_owned()),
        tier: Some(Tier::Order),
        score: 0.7,
        bounds: [10.0, 10.0, 90.0, 90.0],
        frame: None,
    };
    let analysis = Analysis { faces: vec![face("Anna"), face("Ben")], ..photo.analysis() };
    let row = PhotoRow {
        hash: photo.hash(),
        analysis_json: serde_json::to_string(&analysis).expect("JSON"),
        first_seen: NOW,
        may_order: true,
    };
    let inputs = |desk: &Desk| -> crate::rules::Inputs {
        // As if the photo had been looked at before, and were kept only now.
        lock(&desk.index).record_photo(&row).expect("recorded");
        lock(&desk.index).set_judged(&photo.hash(), false).expect("marked");
        assert_eq!(desk.judge()[0].notes, ["somebody is there"]);
        let last = desk.decisions.last(&photo.hash()).expect("read").expect("decided");
        serde_json::from_str(&last.inputs_json).expect("JSON")
    };
    let named = |inputs: &crate::rules::Inputs| -> Vec<String> {
        inputs.facts.people.iter().map(|person| person.name.clone()).collect()
    };
    let before = inputs(&desk);
    assert_eq!(
        (named(&before), before.facts.unknown_faces),
        (vec!["Anna".into(), "Ben".into()], 0)
    );
    PeopleBook::erase(&desk.home, &["Anna".to_owned()], |_| Ok::<_, PeopleError>(()))
        .expect("erased");
    let after = inputs(&desk);
    assert_eq!((named(&after), after.facts.unknown_faces), (vec!["Ben".into()], 1));
}
