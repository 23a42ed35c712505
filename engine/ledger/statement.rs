//! Statements for people and programs: what was accessed, by whom, what it paid.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::base::clock::Timestamp;
use crate::base::money::decimal;
use crate::store::{AccessRow, CorrectionKind, CorrectionRow, Entry};

/// Sum of an account's entries by `(account, currency)`, in minor units.
pub fn balances(
    accesses: &[AccessRow],
    corrections: &[CorrectionRow],
) -> BTreeMap<(String, String), i64> {
    let posted = accesses.iter().map(|access| (&access.currency, &access.entries));
    let corrected = corrections.iter().map(|row| (&row.currency, &row.entries));
    let mut balances = BTreeMap::new();
    for (currency, entries) in posted.chain(corrected) {
        for entry in entries {
            *balances.entry((entry.account.clone(), currency.clone())).or_insert(0) += entry.minor;
        }
    }
    balances
}

/// One transaction of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// When it was posted: the date that it counts at.
    pub posted_at: Timestamp,
    /// When it happened: the auxiliary date, where that is another day.
    pub at: Timestamp,
    /// What names it.
    pub code: String,
    /// What happened, on one line.
    pub what: String,
    /// More about it; may be empty.
    pub note: String,
    /// Currency of all entries.
    pub currency: String,
    /// Accounts as the `ledger` program names them, and minor units; debits are positive.
    pub entries: Vec<(String, i64)>,
}

/// The journal of an owner's books.
///
/// `provider:lab` becomes `Assets:Receivable:lab`, `owner` `Income:Owner`, `service:signet`
/// `Income:Service:signet`; debits are positive there too.
pub fn journal(accesses: &[AccessRow], corrections: &[CorrectionRow]) -> String {
    let of_access = |access: &AccessRow| Transaction {
        posted_at: access.at,
        at: access.at,
        code: access.grant_id.clone(),
        what: format!(
            "{} fetched {} for order {}",
            plain(&access.provider),
            access.member,
            access.order_key
        ),
        note: format!("photo {} at {}", access.photo, access.at),
        currency: access.currency.clone(),
        entries: named(&access.entries),
    };
    let of_correction = |row: &CorrectionRow| Transaction {
        posted_at: row.at,
        at: row.at,
        code: row.grant_id.clone(),
        what: format!(
            "{} {} for order {}",
            match row.kind {
                CorrectionKind::Reversal => "posted back to",
                CorrectionKind::Again => "posted anew for",
            },
            plain(&row.provider),
            row.order_key
        ),
        note: format!("{} at {}", row.reason, row.at),
        currency: row.currency.clone(),
        entries: named(&row.entries),
    };
    let transactions: Vec<Transaction> =
        accesses.iter().map(of_access).chain(corrections.iter().map(of_correction)).collect();
    written("Signet: accesses and what they paid", &transactions)
}

/// Entries with their accounts as the `ledger` program names them.
fn named(entries: &[Entry]) -> Vec<(String, i64)> {
    entries.iter().map(|entry| (account_name(&entry.account), entry.minor)).collect()
}

/// Writes a journal that the `ledger` program reads, also with `--pedantic`.
pub fn written(title: &str, transactions: &[Transaction]) -> String {
    let mut commodities = BTreeSet::new();
    let mut accounts = BTreeSet::new();
    for transaction in transactions {
        commodities.insert(transaction.currency.as_str());
        accounts.extend(transaction.entries.iter().map(|(account, _)| account.as_str()));
    }
    let mut text = format!("; {}\n", on_one_line(title));
    for commodity in commodities {
        let _ = writeln!(text, "commodity {commodity}");
    }
    for account in accounts {
        let _ = writeln!(text, "account {account}");
    }
    for transaction in transactions {
        let Transaction { posted_at, at, code, what, note, currency, entries } = transaction;
        let day = |at: &Timestamp| -> String { at.to_string().chars().take(10).collect() };
        let mut date = day(posted_at);
        if day(at) != date {
            date = format!("{date}={}", day(at));
        }
        let _ = writeln!(text, "\n{date} * ({}) {}", plain(code), on_one_line(what));
        if !note.is_empty() {
            let _ = writeln!(text, "    ; {}", on_one_line(note));
        }
        for (account, minor) in entries {
            let _ = writeln!(text, "    {account:<40}  {} {currency}", decimal(*minor));
        }
    }
    text
}

fn account_name(account: &str) -> String {
    match account.split_once(':') {
        Some(("provider", name)) => format!("Assets:Receivable:{}", plain(name)),
        Some(("service", name)) => format!("Income:Service:{}", plain(name)),
        _ => "Income:Owner".into(),
    }
}

/// A name without what means something to the journal's reader.
pub fn plain(name: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    name.chars().map(plain).collect()
}

/// A text that neither ends its line nor begins a note.
fn on_one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || c == ';' { ' ' } else { c }).collect()
}
