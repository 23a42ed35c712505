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
        posted_at: at,
        note: "invoice 7; <paid>".to_owned(),
        entries: vec![
            Entry { account: "cash".to_owned(), minor },
            Entry { account: provider_account(name), minor: -minor },
        ],
    };
    assert!(store.post(&posting).expect("posted"));
}

/// One access, and its reversal when it was not what was granted; the hub hears of it at once.
fn fetch(store: &dyn HubStore, agent: &str, name: &str, fee_minor: i64, at: Timestamp, back: bool) {
    tell(store, [agent, name], (fee_minor, "EUR"), Moments { at, told_at: at }, back);
}

/// When something happened, and when the hub was told.
#[derive(Clone, Copy)]
struct Moments {
    at: Timestamp,
    told_at: Timestamp,
}

fn tell(
    store: &dyn HubStore,
    [agent, name]: [&str; 2],
    (fee_minor, currency): (i64, &str),
    Moments { at, told_at }: Moments,
    back: bool,
) {
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
        currency: currency.to_owned(),
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
        told_at,
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
    fetch(store, "bob", "lab", 30, november().to.plus_millis(-1), false);
    fetch(store, "ada", "shop", 7, november().to.plus_millis(5), false);
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

#[test]
fn access_that_is_told_of_late_counts_when_it_is_told_and_is_marked() {
    let store = world();
    let lab = || statement(&store, Party::Provider("lab".into()));
    let given_out = [render::text(&lab()), render::csv(&lab()), render::html(&lab())];
    let december = Span { from: november().to, to: november().to.plus_millis(31 * DAY_MS) };
    // Bob's laptop was shut from November on; Ada's clock is a year behind.
    let told_at = december.from.plus_millis(DAY_MS);
    let late = Moments { at: NOW, told_at };
    let wrong = Moments { at: NOW.plus_millis(-365 * DAY_MS), told_at: told_at.plus_millis(1) };
    tell(&store, ["bob", "lab"], (40, "EUR"), late, false);
    tell(&store, ["ada", "lab"], (50, "EUR"), wrong, false);
    let now = [render::text(&lab()), render::csv(&lab()), render::html(&lab())];
    assert_eq!(given_out, now, "what was given out does not change");

    let of =
        |party| Statement::of(&store, "h", party, "December 2026", december).expect("drawn up");
    let drawn = of(Party::Provider("lab".into()));
    let [account] = drawn.accounts.as_slice() else { panic!("{drawn:?}") };
    assert_eq!((account.opening_minor, account.closing_minor), (945, 855));
    let lines: Vec<_> = account.lines.iter().map(|line| (line.minor, line.late)).collect();
    assert_eq!(lines, [(-40, true), (-50, true)]);
    assert_eq!(account.lines[0].at, NOW);
    let text = render::text(&drawn);
    assert!(text.contains("(late: posted 2026-12-02") && text.contains("2 of them from before"));
    let page = render::html(&drawn);
    assert!(page.contains("<small>late: posted 2026-12-02T00:00:00.000Z</small>"), "{page}");
    // `ledger` counts by the first date and shows the second with --aux-date.
    for party in [Party::Provider("lab".into()), Party::Owner("bob".into()), Party::Operator] {
        let journal = render::journal(&of(party));
        assert!(journal.contains("\n2026-12-02=2026-11-21 * ("), "{journal}");
    }
    assert_eq!(reconcile(&store, december).expect("compared"), [""; 0]);
}

/// One thing that happens: by which agent and provider, how much, in which currency, in which month,
/// how many days later than it happened the hub hears of it, and what kind of thing.
type Event = (usize, usize, i64, bool, i64, i64, u8);

/// What closed months said, by party and month.
type GivenOut = BTreeMap<(String, i64), Statement>;

const AGENTS: [&str; 3] = ["ada", "bob", "eve"];
const PROVIDERS: [&str; 3] = ["lab", "shop", "yen"];
const MONTHS: i64 = 4;

fn month(number: i64) -> Span {
    let at = |number: i64| november().from.plus_millis(number * 30 * DAY_MS);
    Span { from: at(number), to: at(number + 1) }
}

fn parties() -> Vec<Party> {
    let providers = PROVIDERS.map(|name| Party::Provider(name.into()));
    let owners = AGENTS.map(|agent| Party::Owner(agent.into()));
    providers.into_iter().chain(owners).chain([Party::Operator]).collect()
}

fn drawn(store: &dyn HubStore, party: &Party, number: i64) -> Statement {
    Statement::of(store, "h", party.clone(), "a month", month(number)).expect("drawn up")
}

/// What happened to one account in one month, by kind and currency, in favour of its holder.
fn moved(statement: &Statement, account: &str) -> BTreeMap<(String, &'static str), i64> {
    let mut sums = BTreeMap::new();
    for of in statement.accounts.iter().filter(|of| of.account == account) {
        for line in &of.lines {
            *sums.entry((of.currency.clone(), line.kind.as_str())).or_insert(0) += line.minor;
        }
    }
    sums
}

fn happen(store: &dyn HubStore, number: usize, event: Event, told_at: Timestamp) {
    let (agent, name, minor, back, _, days_late, kind) = event;
    let (agent, name) = (AGENTS[agent], PROVIDERS[name]);
    let currency = if name == "yen" { "JPY" } else { "EUR" };
    let entry = |account: String, minor| Entry { account, minor };
    let (kind, entries) = match kind {
        0 => {
            let entries = vec![entry("cash".into(), minor), entry(provider_account(name), -minor)];
            (PostingKind::TopUp, entries)
        }
        1 => {
            let entries = vec![entry(owner_account(agent), minor), entry("cash".into(), -minor)];
            (PostingKind::PayOut, entries)
        }
        _ => {
            let at = told_at.plus_millis(-days_late * DAY_MS);
            let moments = Moments { at, told_at };
            return tell(store, [agent, name], (minor, currency), moments, back);
        }
    };
    let posting = Posting {
        posting_id: format!("money{number}"),
        kind,
        access: None,
        currency: currency.to_owned(),
        at: told_at,
        posted_at: told_at,
        note: "by bank".to_owned(),
        entries,
    };
    assert!(store.post(&posting).expect("posted"));
}

fn money_people(store: &dyn HubStore) {
    for agent in AGENTS {
        join(store, agent);
    }
    for (name, percent, currency) in [("lab", 20, "EUR"), ("shop", 33, "EUR"), ("yen", 7, "JPY")] {
        let row = ProviderRow { currency: currency.to_owned(), ..provider(name, percent) };
        store.put_provider(&row).expect("kept");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Every month is closed when the next one begins: its statements are drawn up then, and again
    /// at the end, when late reports and wrong clocks have done what they can.
    #[test]
    fn statements_of_all_parties_reconcile_in_every_month_and_never_change(
        mut events in prop::collection::vec(
            (0..3_usize, 0..3_usize, 1..20_000_i64, any::<bool>(), 0..MONTHS, -1..400_i64, 0..6_u8),
            1..30),
    ) {
        let store = SqliteHub::in_memory().expect("a store");
        money_people(&store);
        events.sort_by_key(|event| event.4);
        let mut given_out = GivenOut::new();
        let mut closed = 0;
        for (number, event) in events.into_iter().enumerate() {
            while closed < event.4 {
                for party in parties() {
                    given_out.insert((party.words(), closed), drawn(&store, &party, closed));
                }
                closed += 1;
            }
            let millis = i64::try_from(number).expect("small");
            happen(&store, number, event, month(event.4).from.plus_millis(millis));
        }
        for number in 0..MONTHS {
            prop_assert_eq!(reconcile(&store, month(number)).expect("compared"), [""; 0]);
            let all = drawn(&store, &Party::Operator, number);
            let mut sums: BTreeMap<String, i64> = BTreeMap::new();
            for party in parties() {
                let now = drawn(&store, &party, number);
                if let Some(before) = given_out.get(&(party.words(), number)) {
                    prop_assert_eq!(before, &now, "a closed month");
                }
                let account = match &party {
                    Party::Provider(name) => provider_account(name),
                    Party::Owner(agent) => owner_account(agent),
                    Party::Operator => continue,
                };
                // What a party is told is what the operator's books say of it.
                prop_assert_eq!(moved(&now, &account), moved(&all, &account));
                for of in &now.accounts {
                    let lines: i64 = of.lines.iter().map(|line| line.minor).sum();
                    prop_assert_eq!(of.opening_minor + lines, of.closing_minor);
                    let of_all = all.accounts.iter().find(|other| {
                        (&other.account, &other.currency) == (&of.account, &of.currency)
                    });
                    prop_assert_eq!(of_all, Some(of));
                }
                // And it goes on where the month before ended.
                let before = drawn(&store, &party, number - 1);
                for of in &now.accounts {
                    let ended = before.accounts.iter().find(|other| other.currency == of.currency);
                    prop_assert_eq!(ended.map_or(0, |ended| ended.closing_minor), of.opening_minor);
                }
            }
            // Cash is in favour of the operator, everything else is owed to somebody.
            for of in &all.accounts {
                let minor = if of.account == CASH { of.closing_minor } else { -of.closing_minor };
                *sums.entry(of.currency.clone()).or_insert(0) += minor;
            }
            prop_assert!(sums.values().all(|sum| *sum == 0), "{:?}", sums);
        }
        let last = drawn(&store, &Party::Operator, MONTHS - 1);
        for (account, currency, minor) in store.balances().expect("read") {
            let of = last.accounts.iter().find(|of| (&of.account, &of.currency) == (&account, &currency));
            prop_assert_eq!(of.map(|of| of.closing_minor), Some(favour(&account, minor)));
        }
    }
}
