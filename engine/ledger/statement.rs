//! Statements for people and programs: what was accessed, by whom, what it paid.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

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

/// Writes a journal that the `ledger` program reads, also with `--pedantic`.
///
/// `provider:lab` becomes `Assets:Receivable:lab`, `owner` `Income:Owner`, `service:signet`
/// `Income:Service:signet`; debits are positive there too.
pub fn journal(accesses: &[AccessRow], corrections: &[CorrectionRow]) -> String {
    let mut commodities = BTreeSet::new();
    let mut accounts = BTreeSet::new();
    for access in accesses {
        commodities.insert(access.currency.as_str());
        accounts.extend(access.entries.iter().map(|entry| account_name(&entry.account)));
    }
    let mut text = String::from("; Signet: accesses and what they paid\n");
    for commodity in commodities {
        let _ = writeln!(text, "commodity {commodity}");
    }
    for account in accounts {
        let _ = writeln!(text, "account {account}");
    }
    for access in accesses {
        let date: String = access.at.to_string().chars().take(10).collect();
        let _ = writeln!(
            text,
            "\n{date} * ({}) {} fetched {} for order {}\n    ; photo {} at {}",
            access.grant_id,
            plain(&access.provider),
            access.member,
            access.order_key,
            access.photo,
            access.at,
        );
        write_entries(&mut text, &access.entries, &access.currency);
    }
    for row in corrections {
        let date: String = row.at.to_string().chars().take(10).collect();
        let what = match row.kind {
            CorrectionKind::Reversal => "posted back to",
            CorrectionKind::Again => "posted anew for",
        };
        let _ = writeln!(
            text,
            "\n{date} * ({}) {what} {} for order {}\n    ; {} at {}",
            row.grant_id,
            plain(&row.provider),
            row.order_key,
            row.reason.replace(char::is_control, " "),
            row.at,
        );
        write_entries(&mut text, &row.entries, &row.currency);
    }
    text
}

fn write_entries(text: &mut String, entries: &[Entry], currency: &str) {
    for entry in entries {
        let (account, amount) = (account_name(&entry.account), decimal(entry.minor));
        let _ = writeln!(text, "    {account:<40}  {amount} {currency}");
    }
}

fn account_name(account: &str) -> String {
    match account.split_once(':') {
        Some(("provider", name)) => format!("Assets:Receivable:{}", plain(name)),
        Some(("service", name)) => format!("Income:Service:{}", plain(name)),
        _ => "Income:Owner".into(),
    }
}

/// A name without what means something to the journal's reader.
fn plain(name: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    name.chars().map(plain).collect()
}
