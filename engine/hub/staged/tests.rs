//! Copies that are brought, kept, opened and cleaned up, with a real store and real files.

use super::*;
use crate::access::Key;
use crate::access::proof;
use crate::access::sealed::{Opened as Unsealed, Sealer, Subject};
use crate::base::member::Member;
use crate::store::Purpose;
use crate::store::hub::{AgentKeys, CodeRow, ModelHub, ProviderRow};

const NOW: Timestamp = Timestamp(1_790_000_000_000);

struct World {
    folder: tempfile::TempDir,
    copies: Copies,
    store: ModelHub,
    agent: Key,
    lab: Key,
    photo: Vec<u8>,
}

impl World {
    /// - `room_max`: bytes for copies
    fn new(room_max: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let copies = Copies::new(folder.path().to_owned(), room_max);
        let (agent, lab) = (Key::generate().expect("a key"), Key::generate().expect("a key"));
        let store = ModelHub::default();
        let hash = ContentHash::of(b"code");
        let code = CodeRow {
            code_hash: hash,
            verifier: hash,
            label: "Ada".into(),
            replaces: None,
            made_at: NOW,
            expires_at: NOW.plus_millis(1000),
        };
        store.put_code(&code).expect("kept");
        let key = agent.public().to_string();
        let id = agent.public().thumbprint();
        store.join(&hash, &id, AgentKeys::one(&key), NOW).expect("joined");
        let provider = ProviderRow {
            name: "lab".into(),
            key: Some(lab.public().to_string()),
            secret_hash: None,
            purposes: vec![Purpose::Print],
            currency: "EUR".into(),
            credit_limit_minor: 1000,
            service_percent: 20,
            requests_per_minute: 60,
            accesses_per_day: 60,
            notify_url: String::new(),
            notify_secret: String::new(),
            state: ProviderState::Active,
            why: String::new(),
            prices: Vec::new(),
        };
        store.put_provider(&provider).expect("kept");
        let number = |i: u32| u8::try_from(i % 251).expect("small");
        let photo: Vec<u8> = (0..150_000).map(number).collect();
        let world = Self { folder, copies, store, agent, lab, photo };
        assert!(world.store.put_offer(&world.offer("g")).expect("kept"));
        world
    }

    fn offer(&self, grant: &str) -> OfferRow {
        OfferRow {
            agent_id: self.agent.public().thumbprint(),
            grant_id: grant.into(),
            order_key: "order".into(),
            provider: "lab".into(),
            member: Member::Original,
            purpose: Purpose::Print,
            digest: ContentHash::of(&self.photo),
            bytes_count: self.photo.len() as u64,
            fee_minor: 25,
            currency: "EUR".into(),
            expires_at: NOW.plus_millis(3_600_000),
            withdrawn_at: None,
        }
    }

    fn sealed(&self, grant: &str) -> (String, Vec<u8>) {
        let digest = ContentHash::of(&self.photo);
        let end = self.photo.len() as u64;
        let subject = Subject { grant_id: grant, digest: &digest, start: 0, end };
        let mut sealer = Sealer::new(&self.lab.public(), subject).expect("a key");
        (sealer.header(), sealer.seal(&self.photo).expect("sealed"))
    }

    fn bring(&self, grant: &str) -> Result<(), Refusal> {
        let (offer, (header, sealed)) = (self.offer(grant), self.sealed(grant));
        let mut incoming = self.copies.begin(&self.store, &offer, &header, sealed.len() as u64)?;
        sealed.chunks(70_000).for_each(|piece| incoming.write(piece).expect("written"));
        self.copies.keep(&self.store, &offer, &incoming, NOW)
    }

    fn files(&self) -> usize {
        std::fs::read_dir(self.folder.path()).expect("a folder").count()
    }

    fn row(&self, grant: &str) -> StagedRow {
        let row = self.store.staged(&self.agent.public().thumbprint(), grant).expect("read");
        row.expect("a copy")
    }
}

#[test]
fn copy_that_was_brought_opens_for_the_lab_whole_and_in_parts() {
    let world = World::new(10 << 20);
    world.bring("g").expect("kept");
    let (row, offer, count) = (world.row("g"), world.offer("g"), world.photo.len() as u64);
    for (start, end) in [(0, count), (1, count), (65_536, 65_537), (70_000, 140_000)] {
        let opened = world.copies.open(&row, &offer, Span { start, end }).expect("read");
        let mut opened = opened.expect("a file");
        let mut sealed = Vec::new();
        loop {
            let piece = opened.piece().expect("read");
            if piece.is_empty() {
                break;
            }
            sealed.extend(piece);
        }
        let subject = Subject { grant_id: "g", digest: &offer.digest, start, end };
        let unsealed = Unsealed::of_member(&*sealed, &world.lab, &opened.header, subject, count);
        let mut plain = Vec::new();
        unsealed.expect("a seal").read_to_end(&mut plain).expect("opened");
        let (start, end) =
            (usize::try_from(start).expect("small"), usize::try_from(end).expect("small"));
        assert_eq!(plain, world.photo[start..end]);
    }
}

#[test]
fn copy_of_another_length_half_of_one_and_more_than_there_is_room_for_are_not_kept() {
    let world = World::new(1 << 20);
    let (offer, (header, sealed)) = (world.offer("g"), world.sealed("g"));
    let begin = |header: &str, length| world.copies.begin(&world.store, &offer, header, length);
    let length = sealed.len() as u64;
    assert!(matches!(begin(&header, length - 1), Err(Refusal::Large)));
    assert!(matches!(begin("v1 a\nb", length), Err(Refusal::Large)));
    assert!(matches!(begin(&"v".repeat(65), length), Err(Refusal::Large)));
    let mut half = begin(&header, length).expect("begun");
    half.write(&sealed[..9]).expect("written");
    assert!(half.write(&sealed).is_err(), "more than was promised");
    assert!(matches!(world.copies.keep(&world.store, &offer, &half, NOW), Err(Refusal::Slow)));
    drop(half);
    assert_eq!(world.files(), 0, "nothing is left of it");
    world.bring("g").expect("kept");
    // An owner has a quarter of the room, also with what is only promised.
    assert!(world.store.put_offer(&world.offer("h")).expect("kept"));
    assert!(matches!(world.bring("h"), Err(Refusal::Full)));
    let none = World::new(0);
    let request = Request {
        method: "PUT".into(),
        path: "/v1/staged/a/g".into(),
        agent_id: none.agent.public().thumbprint(),
        grant_id: "g".into(),
        grant: "t".into(),
        proof: {
            let shown = ProvenRequest { method: "PUT", url: "/v1/staged/a/g", grant: "t" };
            proof::make(&none.agent, shown, NOW).expect("a proof")
        },
    };
    let refused = none.copies.may_bring(&none.store, &request, NOW);
    assert!(matches!(refused, Err(Refusal::Full)), "{refused:?}");
}

#[test]
fn copies_that_nobody_wants_are_removed_and_no_others() {
    let world = World::new(10 << 20);
    let clean = |is_start, now| world.copies.clean(&world.store, is_start, now).expect("cleaned");
    world.bring("g").expect("kept");
    world.bring("g").expect("another in its place");
    assert!(world.copies.is_untidy() && !world.copies.is_untidy());
    assert_eq!((world.files(), clean(false, NOW), world.files()), (2, 1, 1));
    std::fs::write(world.folder.path().join("x.part"), "half").expect("written");
    std::fs::write(world.folder.path().join("notes.txt"), "somebody's").expect("written");
    assert_eq!(clean(false, NOW), 0, "somebody may be writing it");
    assert_eq!(clean(true, NOW), 1, "nobody writes at the start");
    let row = world.row("g");
    assert_eq!(clean(false, NOW.plus_millis(3_600_000)), 1, "the offer is over");
    assert_eq!(world.files(), 1);
    let span = Span { start: 0, end: 9 };
    let opened = world.copies.open(&row, &world.offer("g"), span).expect("asked");
    assert!(opened.is_none(), "as after a restore");
    // What is withdrawn while it comes is not kept.
    let (offer, (header, sealed)) = (world.offer("g"), world.sealed("g"));
    let mut incoming =
        world.copies.begin(&world.store, &offer, &header, sealed.len() as u64).expect("begun");
    incoming.write(&sealed).expect("written");
    world.store.withdraw(&offer.agent_id, None, NOW).expect("withdrawn");
    let kept = world.copies.keep(&world.store, &offer, &incoming, NOW);
    assert!(matches!(kept, Err(Refusal::Over)));
    drop(incoming);
    assert_eq!((clean(false, NOW), world.files()), (1, 1));
}
