//! A report says what the rows say: golden facts, and sums over random ledgers.

use proptest::prelude::*;

use super::*;
use crate::ledger::access_entries;
use crate::ledger::statement::balances;
use crate::store::log::LieRow;

/// 2026-11-21, 14:05 UTC.
pub(in crate::reports) const NOW: Timestamp = Timestamp(1_795_269_900_000);

pub(in crate::reports) fn access(number: i64, provider: &str, currency: &str) -> AccessRow {
    AccessRow {
        at: NOW.plus_millis(number * 60_000),
        grant_id: format!("grant{number}"),
        order_key: format!("order{number}"),
        provider: provider.to_owned(),
        member: Member::Original,
        name: format!("IMG_{number}.jpg"),
        photo: ContentHash::of(&number.to_be_bytes()),
        path: format!("photos/IMG_{number}.jpg"),
        product: Some("print-10x15".to_owned()),
        copies: 2,
        bytes_count: 3_600_000,
        currency: currency.to_owned(),
        entries: access_entries(provider, "signet", 25, 20).to_vec(),
    }
}

pub(in crate::reports) fn order(number: i64, provider: &str) -> Order {
    Order {
        provider: provider.to_owned(),
        product: Some("print-10x15".to_owned()),
        copies: 2,
        price_minor: 58,
        currency: "EUR".to_owned(),
        origin: "the icon print-10x15".to_owned(),
        ..Order::new(format!("order{number}"), ContentHash::of(&number.to_be_bytes()), NOW)
    }
}

pub(in crate::reports) fn november() -> Scope {
    Scope::of(Period::month("2026-11").expect("a month"), &Zone::utc())
}

/// A report of November 2026 by a reader in UTC.
pub(in crate::reports) fn report(rows: &ReportRows) -> Report {
    let credits: Vec<Credit> = rows.accesses.iter().map(credit).collect();
    let reader = Reader { owner: "Ada", zone: &Zone::utc(), now: NOW };
    Report::of(&november(), rows, &credits, reader)
}

fn credit(row: &AccessRow) -> Credit {
    let owner = row.entries.iter().filter(|entry| entry.account == "owner");
    let minor = owner.map(|entry| entry.minor).sum();
    Credit { at: row.at, currency: row.currency.clone(), minor, is_access: true }
}

/// Two providers, two currencies, a refusal, a revoked grant.
pub(in crate::reports) fn rows() -> ReportRows {
    ReportRows {
        accesses: vec![access(1, "lab", "EUR"), access(2, "lab", "EUR"), access(3, "shop", "USD")],
        orders: vec![order(1, "lab"), order(2, "lab")],
        refusals: vec![RefusalRow {
            at: NOW,
            remote: "203.0.113.7".to_owned(),
            grant_id: "grant1".to_owned(),
            reason: "its time is over".to_owned(),
            tries_count: 3,
        }],
        ..ReportRows::default()
    }
}

/// A hub that posted twice what was agreed.
pub(in crate::reports) fn lie() -> LieRow {
    LieRow {
        log: "hubkeyhubkey 5".to_owned(),
        kind: "fee".to_owned(),
        subject: "grant1/0".to_owned(),
        words: "the hub posted 0.50 EUR for grant grant1, the fee is 0.25 EUR".to_owned(),
        proof: "{}".to_owned(),
        at: NOW,
    }
}

#[test]
fn hub_that_lied_is_the_first_thing_that_is_said() {
    let rows = ReportRows { lies: vec![lie()], ..ReportRows::default() };
    let report = report(&rows);
    assert!(!report.is_empty());
    let first = "THE HUB SAID SOMETHING THAT CANNOT BE TRUE: see below.";
    assert!(report.summary.starts_with(first), "{}", report.summary);
}

#[test]
fn access_that_was_posted_back_is_no_credit_and_says_why() {
    let row = access(1, "lab", "EUR");
    let back = row.entries.iter().map(|entry| Entry { minor: -entry.minor, ..entry.clone() });
    let correction = CorrectionRow {
        at: row.at,
        grant_id: row.grant_id.clone(),
        order_key: row.order_key.clone(),
        provider: "lab".into(),
        kind: CorrectionKind::Reversal,
        reason: "another digest".into(),
        currency: "EUR".into(),
        entries: back.collect(),
    };
    let rows = ReportRows {
        accesses: vec![row],
        corrections: vec![correction],
        orders: vec![order(1, "lab")],
        ..ReportRows::default()
    };
    let report = report(&rows);
    assert_eq!(
        report.summary,
        "1 access by lab paid 0.00 EUR; you got 0.00 EUR. 1 access was posted back."
    );
    let [sum] = report.sums.as_slice() else { panic!("{:?}", report.sums) };
    assert_eq!((sum.total.accesses_count, sum.total.paid_minor), (1, 0));
    let corrected = &report.corrected[0];
    assert_eq!((corrected.what, corrected.fee.owner_minor), ("posted back", -20));
}

#[test]
fn report_says_who_got_what_for_which_order_and_what_it_paid() {
    let report = report(&rows());
    assert_eq!(report.title, "November 2026");
    assert_eq!(report.made, "2026-11-21 14:05");
    assert_eq!(
        report.summary,
        "3 accesses by lab and shop paid 0.50 EUR and 0.25 USD; you got 0.40 EUR and 0.20 USD. \
         3 tries were refused."
    );
    let first = &report.accesses[0];
    assert_eq!(
        (first.when.as_str(), first.what.as_str(), first.order_key.as_str()),
        ("2026-11-21 14:06", "print-10x15 x 2", "order1")
    );
    let fee = (first.fee.paid_minor, first.fee.owner_minor, first.fee.service_minor);
    assert_eq!(fee, (25, 20, 5));
    let sums: Vec<_> = report
        .sums
        .iter()
        .map(|sum| (sum.provider.as_str(), sum.purpose, sum.total.owner_minor))
        .collect();
    assert_eq!(sums, [("lab", Some(Purpose::Print), 40), ("shop", None, 20)]);
    let last = report.months.last().expect("this month");
    assert_eq!((report.months.len(), last.letters.as_str()), (MONTHS_COUNT, "Nov"));
    assert_eq!((last.accesses_count, last.credits["EUR"], last.credits["USD"]), (3, 40, 20));
    assert_eq!(report.months[0].words, "December 2025");
}

#[test]
fn month_without_anything_says_so() {
    let report = report(&ReportRows::default());
    assert!(report.is_empty());
    assert_eq!(report.summary, "Nobody fetched anything: November 2026. Nobody was refused.");
}

#[test]
fn companion_is_named_beside_its_photo() {
    let row =
        AccessRow { member: Member::VoiceMemo, name: "a.wav".into(), ..access(1, "l", "EUR") };
    let report = report(&ReportRows { accesses: vec![row], ..ReportRows::default() });
    assert_eq!(report.accesses[0].path, "photos/IMG_1.jpg (a.wav)");
}

#[test]
fn access_falls_into_the_month_of_the_readers_clocks() {
    // 30 November, 23:30 UTC: in the east it is December.
    let at = Timestamp(1_796_081_400_000);
    let credits = [Credit { at, currency: "EUR".into(), minor: -20, is_access: true }];
    for (zone, expected) in
        [(Zone::utc(), "November 2026"), (Zone::hours_ahead(1), "December 2026")]
    {
        let months = month_sums(at, &credits, &zone);
        let paid: Vec<_> = months.iter().filter(|month| month.accesses_count > 0).collect();
        assert_eq!((paid.len(), paid[0].words.as_str()), (1, expected));
    }
}

proptest! {
    #[test]
    fn sums_are_those_of_the_entries(
        fees in prop::collection::vec((0..5_i64, 0..2_usize, 0..10_000_000_i64, 0..=100_u8), 0..40)
    ) {
        let rows: Vec<AccessRow> = fees
            .iter()
            .enumerate()
            .map(|(number, (provider, currency, fee, percent))| {
                let provider = format!("lab{provider}");
                let row = access(i64::try_from(number).expect("small"), &provider, ["EUR", "USD"][*currency]);
                let entries = access_entries(&provider, "signet", *fee, *percent).to_vec();
                AccessRow { entries, ..row }
            })
            .collect();
        let books = balances(&rows, &[]);
        let report = report(&ReportRows { accesses: rows, ..ReportRows::default() });
        for total in &report.totals {
            prop_assert_eq!(total.paid_minor, total.owner_minor + total.service_minor);
            let book = |account: &str| {
                let key = (account.to_owned(), total.currency.clone());
                books.get(&key).copied().unwrap_or(0)
            };
            prop_assert_eq!(total.owner_minor, -book("owner"));
            prop_assert_eq!(total.service_minor, -book("service:signet"));
            let month = report.months.last().expect("this month");
            prop_assert_eq!(month.credits[&total.currency], total.owner_minor);
            let of_providers: i64 = report.sums.iter()
                .filter(|sum| sum.total.currency == total.currency)
                .map(|sum| book(&format!("provider:{}", sum.provider)))
                .sum();
            prop_assert_eq!(of_providers, total.paid_minor);
        }
        let count: u64 = report.totals.iter().map(|total| total.accesses_count).sum();
        prop_assert_eq!(count, report.accesses.len() as u64);
    }
}
