//! Mail of a parcel: what is in it, and what is not sent at all.

use std::io;

use super::*;
use crate::base::clock::Timestamp;
use crate::base::ids::ContentHash;
use crate::orders::catalogue::Product;
use crate::orders::mail::tests::{address, loopback, peer};
use crate::orders::parcel::Sender;
use crate::orders::target::Fate;
use crate::store::Purpose;

/// The same bytes for every member.
struct Bytes(&'static [u8]);

impl Files for Bytes {
    fn open(&self, _key: &str, _member: &MemberMessage) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(self.0))
    }
}

fn parcel(bytes_count: u64) -> Parcel {
    let member = MemberMessage {
        role: Member::Original,
        name: "IMG_1.jpg".into(),
        media_type: "image/jpeg".into(),
        bytes_count,
        sha256: ContentHash::of(b"photo"),
        url: "https://ada.example/l/unguessable".into(),
        grant: String::new(),
    };
    Parcel {
        parcel_key: "0123456789abcdefghjkmnpqrs".into(),
        provider: "shop".into(),
        sender: Sender {
            name: "Ada\r\nBcc: eve@example.org".into(),
            address: "mailto:ada@example.org".into(),
            agent_id: String::new(),
            key: String::new(),
        },
        recipient: Some(Recipient {
            name: "Grandma".into(),
            line1: "Lane 2".into(),
            postal_code: "10115".into(),
            town: "Berlin".into(),
            country_code: "DE".into(),
            ..Recipient::default()
        }),
        addressee: Some("a".into()),
        express: true,
        delivery: None,
        lines: vec![Line {
            order_key: "abcdefghjkmnpqrs0123456789".into(),
            purpose: Purpose::Print,
            product: Some(("print-10x15".into(), Product::priced(29))),
            copies: 2,
            price_minor: 58,
            pixels: None,
            batch: None,
            crop: None,
            members: vec![member],
            manifest: String::new(),
            receipt_url: String::new(),
            status_url: String::new(),
        }],
        currency: "EUR".into(),
        callback_url: String::new(),
        created_at: Timestamp(0),
    }
}

fn target(server: MailServer, link: bool, with_address: bool) -> Mail {
    let (to, from) = (vec![address("shop@example.org")], address("ada@example.org"));
    let spec = Spec { to, from, server, link, address: with_address };
    Mail::new(&spec, "", Outward::new(loopback()))
}

#[test]
fn mail_carries_the_files_and_only_what_the_spec_says() {
    let sent = |link, with_address| {
        let (server, said) = peer("", "");
        let mail = target(server, link, with_address);
        let taken = mail.send(&parcel(5), &Bytes(b"photo")).expect("taken");
        assert_eq!(taken.progress.state, OrderState::Done);
        said.join().expect("the server").1
    };
    let bare = sent(false, false);
    for part in ["print-10x15 x 2", "0.58 EUR", "It is urgent", "cGhvdG8=", "Reply-To: ada@"] {
        assert!(bare.contains(part), "{part} is missing: {bare}");
    }
    for part in ["Grandma", "unguessable", "\nBcc"] {
        assert!(!bare.contains(part), "{part} left: {bare}");
    }
    let full = sent(true, true);
    assert!(full.contains("Grandma\r\nLane 2\r\n10115 Berlin\r\nDE"), "{full}");
    assert!(full.contains("https://ada.example/l/unguessable"), "{full}");
}

#[test]
fn file_that_is_too_large_or_was_changed_is_not_sent() {
    let nowhere = MailServer { host: "127.0.0.1".into(), port: 1, user: None, plain: true };
    let send = |link, bytes_count| {
        target(nowhere.clone(), link, false).send(&parcel(bytes_count), &Bytes(b"photo"))
    };
    let large = send(false, ATTACHED_BYTES_MAX + 1).expect_err("too large");
    assert!(large.fate == Fate::Refused && large.why.contains("link = true"), "{}", large.why);
    for bytes_count in [4, 6] {
        let changed = send(false, bytes_count).expect_err("changed");
        assert!(changed.fate == Fate::NotTaken && changed.why.contains("changed"));
    }
    // By link nothing is read, so the next thing that goes wrong is the connection.
    let linked = send(true, ATTACHED_BYTES_MAX + 1).expect_err("nobody is there");
    assert!(
        linked.fate == Fate::NotTaken && linked.why.contains("cannot be used"),
        "{}",
        linked.why
    );
}

#[test]
fn spec_is_written_as_it_was_read_and_a_wrong_word_is_a_mistake() {
    let text = "to = [\"a@x.org\"]\nfrom = \"b@x.org\"\nlink = true\n\n[server]\nhost = \"smtp.x.org\"\nport = 465\nuser = \"b\"\n";
    let spec: Spec = toml::from_str(text).expect("a spec");
    assert_eq!(toml::to_string(&spec).expect("a text"), text);
    for wrong in ["to = [\"a@x\\nb\"]", "sender = 1", "link = 1"] {
        assert!(toml::from_str::<Spec>(&format!("{wrong}\n{text}")).is_err(), "{wrong}");
    }
}
