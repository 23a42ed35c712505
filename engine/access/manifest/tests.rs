//! What a provider believes of a manifest, and what it does not.

use super::*;
use crate::orders::webhook::MemberMessage;
use crate::store::Purpose;

fn grant(member: Member, name: &str) -> GrantRow {
    GrantRow {
        grant_id: format!("g-{member}"),
        order_key: "k".into(),
        provider: "lab".into(),
        member,
        name: name.into(),
        evidence: member.is_companion().then(|| "stem".into()),
        photo: ContentHash::of(b"photo"),
        digest: ContentHash::of(name.as_bytes()),
        offset: None,
        bytes_count: 10,
        media_type: "audio/wav".into(),
        token: "t".into(),
        fee_minor: 0,
        currency: "EUR".into(),
        issued_at: Timestamp(1_790_000_000_000),
        expires_at: Timestamp(1_790_000_001_000),
        revoked_at: None,
        revoked_why: None,
    }
}

fn structure() -> Structure {
    Structure {
        album: None,
        collection: "photos".into(),
        folder: "2026/Sömmer \"x\"\u{1}".into(),
        name: "IMG_1.jpg".into(),
        sequence: Some(3),
    }
}

/// An order with its manifest, as it goes out.
fn order(key: &Key) -> OrderMessage {
    let grants = [grant(Member::Original, "IMG_1.jpg"), grant(Member::VoiceMemo, "IMG_1.WAV")];
    let manifest = Manifest::of("k", &grants, Some(structure()), &key.public());
    let member = |grant: &GrantRow| MemberMessage {
        role: grant.member,
        name: grant.name.clone(),
        media_type: grant.media_type.clone(),
        bytes_count: grant.bytes_count,
        sha256: grant.digest,
        url: "http://127.0.0.1/".into(),
        grant: grant.token.clone(),
    };
    OrderMessage {
        order_key: "k".into(),
        owner: "Ada".into(),
        owner_key: key.public().to_string(),
        purpose: Purpose::Print,
        product: None,
        copies: 1,
        addressee: None,
        recipient: None,
        express: false,
        price_minor: 0,
        currency: "EUR".into(),
        members: grants.iter().map(member).collect(),
        batch: None,
        crop: None,
        manifest: manifest.sign(key).expect("signed"),
        receipt_url: String::new(),
        status_url: String::new(),
    }
}

#[test]
fn manifest_is_canonical_json_and_says_what_was_granted() {
    let key = Key::generate().expect("a key");
    let (manifest, json) = Manifest::of_order(&order(&key)).expect("believed");
    assert_eq!(manifest.structure, Some(structure()));
    assert_eq!(manifest.members[1].evidence.as_deref(), Some("stem"));
    // Keys sorted by a map, no spaces: what RFC 8785 makes of such values.
    let value: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    fn canonical(value: &serde_json::Value) -> String {
        match value {
            serde_json::Value::Object(fields) => {
                let sorted: std::collections::BTreeMap<_, _> = fields.iter().collect();
                let fields = sorted
                    .iter()
                    .map(|(key, value)| format!("{}:{}", serde_json::json!(key), canonical(value)));
                format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
            }
            serde_json::Value::Array(values) => {
                format!("[{}]", values.iter().map(canonical).collect::<Vec<_>>().join(","))
            }
            plain => plain.to_string(),
        }
    }
    assert_eq!(String::from_utf8(json).expect("UTF-8"), canonical(&value));
}

#[test]
fn order_that_differs_from_its_manifest_is_refused() {
    let key = Key::generate().expect("a key");
    let changes: [&dyn Fn(&mut OrderMessage); 8] = [
        &|order| drop(order.members.pop()),
        &|order| order.members.push(order.members[1].clone()),
        &|order| order.members.reverse(),
        &|order| order.members[0].role = Member::Preview,
        &|order| order.members[0].name = "other.jpg".into(),
        &|order| order.members[1].media_type = "video/mp4".into(),
        &|order| order.members[1].bytes_count = 11,
        &|order| order.members[1].sha256 = ContentHash::of(b"other"),
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut order = order(&key);
        change(&mut order);
        assert_eq!(Manifest::of_order(&order), Err(ManifestError::OtherMembers), "{number}");
    }
}

#[test]
fn manifest_of_another_order_or_signer_is_refused() {
    let (key, other) = (Key::generate().expect("a key"), Key::generate().expect("a key"));
    let good = order(&key);
    let moved = OrderMessage { order_key: "l".into(), ..good.clone() };
    assert_eq!(Manifest::of_order(&moved), Err(ManifestError::OtherOrder));
    let claimed = OrderMessage { owner_key: other.public().to_string(), ..good.clone() };
    assert_eq!(Manifest::of_order(&claimed), Err(JwsError::Signature.into()));
    let none = OrderMessage { manifest: String::new(), ..good.clone() };
    assert_eq!(Manifest::of_order(&none), Err(JwsError::Malformed.into()));
    let consent = jws::sign(&key, &jws::header("signet-consent+jws", &key), &"x").expect("signed");
    let kind = OrderMessage { manifest: consent, ..good };
    assert_eq!(Manifest::of_order(&kind), Err(JwsError::Kind.into()));
}
