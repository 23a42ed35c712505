//! Statements against a real store: golden lines, and random ledgers that always reconcile.

use proptest::prelude::*;

use super::*;
use crate::base::ids::ContentHash;
use crate::base::member::Member;
use crate::store::hub::{
    AccessReport, AgentKeys, Append, CodeRow, LogKind, OfferRow, Price, ProviderRow, ProviderState,
    SqliteHub,
};
use crate::store::{Entry, Purpose};

/// 2026-11-21, 14:05 UTC.
const NOW: Timestamp = Timestamp(1_795_269_900_000);
const DAY_MS: i64 = 86_400_000;

fn november() -> Span {
    Span { from: Timestamp(1_793_491_200_000), to: Timestamp(1_796_083_200_000) }
}

fn hash(text: &str) -> ContentHash {
    ContentHash::of(text.as_bytes())
}

fn join(store: &dyn HubStore, agent: &str) {
    let code = CodeRow {
        code_hash: hash(agent),
        verifier: hash("v"),
        label: agent.to_owned(),
        replaces: None,
        made_at: NOW,
        expires_at: NOW.plus_millis(DAY_MS),
    };
    store.put_code(&code).expect("kept");
    store.join(&hash(agent), agent, AgentKeys::one(&format!("key-{agent}")), NOW).expect("joined");
}

fn provider(name: &str, percent: u8) -> ProviderRow {
    ProviderRow {
        name: name.to_owned(),
        key: Some(format!("key-{name}")),
        secret_hash: None,
        purposes: vec![Purpose::Print],
        currency: "EUR".to_owned(),
        credit_limit_minor: 1_000_000,
        service_percent: percent,
        requests_per_minute: 600,
        accesses_per_day: 100_000,
        notify_url: String::new(),
        notify_secret: String::new(),
        state: ProviderState::Active,
        why: String::new(),
        prices: vec![Price { member: None, purpose: None, megapixels_max: None, fee_minor: 25 }],
    }
}

fn top_up(store: &dyn HubStore, name: &str, minor: i64, at: Timestamp) {
    let posting = Posting {
        posting_id: format!("top-up-{name}-{}", at.0),
        kind: PostingKind::TopUp,
        access: None,
        currency: "EUR".to_owned(),
        at,
        note: "invoice 7; <paid>".to_owned(),
        entries: vec![
            Entry { account: "cash".to_owned(), minor },
            Entry { account: provider_account(name), minor: -minor },
        ],
    };
    assert!(store.post(&posting).expect("posted"));
}

/// One access, and its reversal when it was not what was granted.
fn fetch(store: &dyn HubStore, agent: &str, name: &str, fee_minor: i64, at: Timestamp, back: bool) {
    let leaf_index = store.log_size(agent, LogKind::Agent).expect("asked");
    let grant_id = format!("g{leaf_index}");
    let offer = OfferRow {
        agent_id: agent.to_owned(),
        grant_id: grant_id.clone(),
        order_key: format!("order-{agent}-{leaf_index}"),
        provider: name.to_owned(),
        member: Member::Original,
        purpose: Purpose::Print,
        digest: hash("photo"),
        bytes_count: 3_000_000,
        fee_minor,
        currency: "EUR".to_owned(),
        expires_at: at.plus_millis(DAY_MS),
        withdrawn_at: None,
    };
    assert!(store.put_offer(&offer).expect("kept"));
    let report = |leaf_index| AccessReport {
        agent_id: agent.to_owned(),
        leaf_index,
        grant_id: grant_id.clone(),
        turn: 0,
        at,
    };
    let leaves = [b"access".to_vec(), b"back".to_vec()];
    let (leaves, _) = leaves.split_at(if back { 2 } else { 1 });
    let append = Append {
        agent_id: agent,
        log: LogKind::Agent,
        from: leaf_index,
        leaves,
        nodes: &[],
        checkpoint: None,
        accesses: &[report(leaf_index)],
        reversals: if back { &[report(leaf_index + 1)] } else { &[] },
    };
    assert!(store.append(&append).expect("appended").is_some());
}

/// Two owners, two providers, a top-up before November and one in it, a reversal.
pub(crate) fn world() -> SqliteHub {
    let store = SqliteHub::in_memory().expect("a store");
    fill(&store);
    store
}

fn fill(store: &dyn HubStore) {
    for agent in ["ada", "bob"] {
        join(store, agent);
    }
    store.put_provider(&provider("lab", 20)).expect("kept");
    store.put_provider(&provider("shop", 33)).expect("kept");
    top_up(store, "lab", 1000, november().from.plus_millis(-1));
    top_up(store, "shop", 500, NOW);
    fetch(store, "ada", "lab", 25, NOW.plus_millis(1), false);
    fetch(store, "ada", "lab", 25, NOW.plus_millis(2), true);
    fetch(store, "bob", "shop", 11, NOW.plus_millis(3), false);
    // December, posted before the last of November.
    fetch(store, "ada", "shop", 7, november().to.plus_millis(5), false);
    fetch(store, "bob", "lab", 30, november().to.plus_millis(-1), false);
}

fn statement(store: &dyn HubStore, party: Party) -> Statement {
    Statement::of(store, "Ada's hub", party, "November 2026", november()).expect("drawn up")
}

#[test]
fn provider_sees_what_it_paid_and_owner_what_they_got() {
    let store = world();
    let lab = statement(&store, Party::Provider("lab".into()));
    let [account] = lab.accounts.as_slice() else { panic!("{lab:?}") };
    assert_eq!((account.opening_minor, account.closing_minor), (1000, 945));
    let lines: Vec<_> = account.lines.iter().map(|line| (line.minor, line.balance_minor)).collect();
    assert_eq!(lines, [(-25, 975), (-25, 950), (25, 975), (-30, 945)]);
    assert_eq!(account.lines[0].order_key.as_deref(), Some("order-ada-0"));

    let ada = statement(&store, Party::Owner("ada".into()));
    let [account] = ada.accounts.as_slice() else { panic!("{ada:?}") };
    assert_eq!((account.opening_minor, account.closing_minor), (0, 20));
    assert_eq!(account.sum_of(PostingKind::Reversal), -20);

    let text = render::text(&lab);
    assert!(
        text.contains("before") && text.contains("3 x access") && text.contains("9.45"),
        "{text}"
    );
    let nobody = statement(&store, Party::Owner("eve".into()));
    assert!(render::text(&nobody).contains("nothing was posted"));
}

#[test]
fn statements_of_all_parties_add_up_to_nothing() {
    let store = world();
    let all = statement(&store, Party::Operator);
    let closing = |prefix: &str| -> i64 {
        let of = all.accounts.iter().filter(|account| account.account.starts_with(prefix));
        of.map(|account| account.closing_minor).sum()
    };
    // Cash is in favour of the operator, everything else is owed to somebody.
    assert_eq!(closing("cash"), closing("provider:") + closing("owner:") + closing("service"));
    assert_eq!(closing("cash"), 1500);
    assert_eq!(reconcile(&store, november()).expect("compared"), [""; 0]);
    let lines: usize = all.accounts.iter().map(|account| account.lines.len()).sum();
    assert_eq!(render::csv(&all).lines().count(), lines + 1);
    assert_eq!(render::values(&all).len(), lines + all.accounts.len());
}

#[test]
fn page_of_a_statement_escapes_what_operators_write() {
    let shop = statement(&world(), Party::Provider("shop".into()));
    let page = render::html(&shop);
    assert!(page.contains("invoice 7; &lt;paid&gt;") && !page.contains("<paid>"), "{page}");
    let journal = render::journal(&shop);
    assert!(journal.contains("top-up: invoice 7  <paid>"), "{journal}");
}

#[test]
fn note_cannot_become_a_formula_or_a_second_field() {
    let mut shop = statement(&world(), Party::Provider("shop".into()));
    for (note, expected) in [
        ("=1+1", "'=1+1"),
        ("a,\"b\"\n", "\"a,\"\"b\"\"\n\""),
        ("-5.00", "-5.00"),
        ("-5+cmd", "'-5+cmd"),
    ] {
        shop.accounts[0].lines[0].note = note.to_owned();
        let csv = render::csv(&shop);
        assert!(csv.contains(&format!(",{expected}\r\n")), "{csv}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn random_ledgers_reconcile_in_every_span(
        events in prop::collection::vec(
            (any::<bool>(), any::<bool>(), 0..2000_i64, -40..40_i64, 0..4_u8), 1..20),
    ) {
        let store = SqliteHub::in_memory().expect("a store");
        for agent in ["ada", "bob"] {
            join(&store, agent);
        }
        store.put_provider(&provider("lab", 20)).expect("kept");
        store.put_provider(&provider("shop", 33)).expect("kept");
        for (number, (first, other, minor, days, kind)) in events.into_iter().enumerate() {
            let name = if first { "lab" } else { "shop" };
            let agent = if other { "ada" } else { "bob" };
            let at = NOW.plus_millis(days * DAY_MS + i64::try_from(number).expect("small"));
            match kind {
                0 => top_up(&store, name, minor, at),
                kind => fetch(&store, agent, name, minor, at, kind == 1),
            }
        }
        for span in [november(), Span::ALL, Span { from: NOW, to: november().to }] {
            prop_assert_eq!(reconcile(&store, span).expect("compared"), [""; 0]);
        }
        // What one span ends with the next begins with, and the last ends with the balance.
        let from = |from, to| {
            let party = Party::Provider("lab".into());
            let drawn = Statement::of(&store, "h", party, "", Span { from, to }).expect("drawn up");
            drawn.accounts.first().map_or((0, 0), |of| (of.opening_minor, of.closing_minor))
        };
        let (before, after) = (from(Timestamp(0), NOW), from(NOW, Timestamp(i64::MAX)));
        prop_assert_eq!(before.1, after.0);
        let balance = store.balance("provider:lab", "EUR").expect("read");
        prop_assert_eq!(after.1, -balance);
    }
}
