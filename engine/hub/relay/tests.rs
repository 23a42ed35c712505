//! Where requests lead, and where none does.

use proptest::prelude::*;

use super::*;
use crate::base::ids::derived;

fn agent() -> String {
    "A".repeat(43)
}

fn grant() -> String {
    derived("grant", &["a"])
}

fn secret() -> String {
    "s-_9".repeat(11).chars().take(43).collect()
}

#[test]
fn addresses_of_an_agent_are_read() {
    let (agent, grant, secret) = (agent(), grant(), secret());
    let content = What::Content { grant_id: grant.clone() };
    let check = |method: &str, path: &str, what: &What| {
        let read = aim(method, &format!("/o/{agent}/v1/{path}")).expect(path);
        assert_eq!(read, Aim { agent_id: agent.clone(), what: what.clone() });
    };
    check("GET", &format!("grants/{grant}/content"), &content);
    check("HEAD", &format!("grants/{grant}/content"), &content);
    check("GET", &format!("links/{grant}/{secret}/a%20b_%C3%A4.jpg"), &content);
    check("POST", &format!("orders/{grant}/receipt"), &What::Word);
    check("POST", &format!("orders/{grant}/status"), &What::Word);
    check("POST", &format!("callbacks/{grant}/{secret}"), &What::Word);
    let wrong = aim("DELETE", &format!("/o/{agent}/v1/grants/{grant}/content"));
    assert!(matches!(wrong, Err(Refusal::Method("GET, HEAD"))));
    let wrong = aim("GET", &format!("/o/{agent}/v1/orders/{grant}/receipt"));
    assert!(matches!(wrong, Err(Refusal::Method("POST"))));
}

/// Ways to write something that some programs read as something else.
const TRICKS: [&str; 34] = [
    "",
    ".",
    "..",
    "%2e",
    "%2E%2e",
    "..%2f",
    "%2f",
    "%2F..%2F",
    "%5c",
    "\\",
    "..\\",
    "%00",
    "\0",
    "%",
    "%2",
    "%zz",
    "%25%32%66",
    "//",
    "/./",
    "/../",
    ";a=b",
    "%0d%0a",
    "\r\n",
    "é",
    "%C3",
    "\u{202e}",
    "\u{ff0e}\u{ff0e}",
    "%c0%ae",
    "~",
    "*",
    "a b",
    "%20",
    "\u{feff}",
    "A",
];

#[test]
fn tricks_with_paths_lead_nowhere() {
    let (agent, grant, secret) = (agent(), grant(), secret());
    let mut tried = 0;
    for trick in TRICKS {
        let long = trick.repeat(5000);
        for trick in [trick, long.as_str()] {
            let mut paths = vec![
                format!("/o/{trick}/v1/grants/{grant}/content"),
                format!("/o/{agent}{trick}x/v1/grants/{grant}/content"),
                format!("/o/{trick}{agent}x/v1/grants/{grant}/content"),
                format!("/o/{agent}/{trick}/grants/{grant}/content"),
                format!("/o/{agent}/v1/{trick}/{grant}/content"),
                format!("/o/{agent}/v1/grants/{trick}/content"),
                format!("/o/{agent}/v1/grants/{grant}{trick}x/content"),
                format!("/o/{agent}/v1/grants/x{trick}{grant}/content"),
                format!("/o/{agent}/v1/grants/{grant}/{trick}"),
                format!("/o/{agent}/v1/grants/{grant}/content{trick}x"),
                format!("/o/{agent}/v1/grants/{grant}/content/{trick}"),
                format!("/o/{agent}/v1/links/{grant}/{trick}/a.jpg"),
                format!("/o/{agent}/v1/links/{trick}/{secret}/a.jpg"),
                format!("/o/{agent}/v1/orders/{trick}/receipt"),
                format!("/o/{agent}/v1/decide/{secret}{trick}"),
                format!("{trick}o/{agent}/v1/grants/{grant}/content"),
            ];
            if !trick.is_empty() {
                paths.push(format!("{trick}/o/{agent}/v1/grants/{grant}/content"));
            }
            for path in paths {
                tried += 1;
                let led = aim("GET", &path);
                assert!(matches!(led, Err(Refusal::Nothing)), "{path:?} led to {led:?}");
            }
        }
    }
    assert!(tried > 1000);
}

#[test]
fn name_of_a_link_is_a_name_and_nothing_else() {
    for good in ["a.jpg", "a%20b", "%C3%A4", "a;b=c", "~a", "..a", "%7e"] {
        assert!(is_name(good), "{good}");
    }
    for bad in
        ["", ".", "..", "%2e%2e", "a%2fb", "a%5Cb", "a%00", "a%7f", "a%", "a%2", "a%g0", "é", "a b"]
    {
        assert!(!is_name(bad), "{bad}");
    }
    assert!(is_name(&"a".repeat(400)) && !is_name(&"a".repeat(401)));
}

proptest! {
    #[test]
    fn any_path_is_read_without_panic_and_no_two_spellings_lead_to_one_place(
        path in "(/o/)?[A-Za-z0-9_/%.-]{0,200}|\\PC{0,100}",
    ) {
        if let Ok(aim) = aim("GET", &path) {
            // What was read stands in the path as it is.
            let begin = format!("/o/{}/v1/", aim.agent_id);
            prop_assert!(path.starts_with(&begin));
            prop_assert!(path.contains(aim.grant_id()));
        }
    }
}

#[test]
fn transfer_is_taken_once_and_by_nobody_who_went_away() {
    let transfers: Arc<Transfers<u8>> = Arc::default();
    let head = || Head { status: 200, headers: std::collections::BTreeMap::new() };
    let mut expected = transfers.expect("a", "t");
    assert!(!transfers.arrive("u", Arrived { head: head(), body: 1 }));
    assert!(transfers.arrive("t", Arrived { head: head(), body: 2 }));
    assert!(!transfers.arrive("t", Arrived { head: head(), body: 3 }));
    let came = expected.answer.try_recv().expect("came");
    assert_eq!(came.body, 2);
    drop(transfers.expect("a", "v"));
    assert!(!transfers.arrive("v", Arrived { head: head(), body: 4 }), "nobody waits");
    let mut expected = transfers.expect("a", "w");
    transfers.forget("b");
    assert!(transfers.is_expected("w"));
    transfers.forget("a");
    expected.answer.try_recv().expect_err("its channel ended");
}

#[test]
fn only_what_is_meant_is_cut() {
    let transfers: Arc<Transfers<u8>> = Arc::default();
    let offer = |grant: &str, order: &str, provider: &str| OfferRow {
        agent_id: "a".into(),
        grant_id: grant.into(),
        order_key: order.into(),
        provider: provider.into(),
        member: crate::base::member::Member::Original,
        purpose: crate::store::Purpose::Print,
        digest: crate::base::ids::ContentHash::of(b""),
        bytes_count: 1,
        fee_minor: 1,
        currency: "EUR".into(),
        expires_at: Timestamp(1),
        withdrawn_at: None,
    };
    let first = transfers.begin("a", Some(offer("g", "o", "lab")), Cut::default());
    let second = transfers.begin("a", Some(offer("h", "p", "lab")), Cut::default());
    let other = transfers.begin("b", Some(offer("g", "o", "lab")), Cut::default());
    let is_cut =
        |entry: &Entry<u8>| entry.under_way.is_cut.load(std::sync::atomic::Ordering::Acquire);
    transfers.cut("a", Some("nothing"));
    assert!(!is_cut(&first) && !is_cut(&second) && !is_cut(&other));
    transfers.cut("a", Some("o"));
    assert!(is_cut(&first) && !is_cut(&second));
    transfers.cut("a", Some("lab"));
    assert!(is_cut(&second) && !is_cut(&other), "another agent's stays");
    assert_eq!(transfers.count_of("a", "g"), 1);
    drop((first, second));
    assert_eq!(transfers.grants(), [("b".to_owned(), "g".to_owned())]);
    drop(other);
    assert_eq!(transfers.count(), 0);
}
