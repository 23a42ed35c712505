//! Statements for people and programs: what was accessed, by whom, what it paid.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::base::money::decimal;
use crate::store::AccessRow;

/// Sum of an account's entries by `(account, currency)`, in minor units.
pub fn balances(accesses: &[AccessRow]) -> BTreeMap<(String, String), i64> {
    let mut balances = BTreeMap::new();
    for access in accesses {
        for entry in &access.entries {
            *balances.entry((entry.account.clone(), access.currency.clone())).or_insert(0) +=
                entry.minor;
        }
    }
    balances
}

/// Writes a journal that the `ledger` program reads, also with `--pedantic`.
///
/// `provider:lab` becomes `Assets:Receivable:lab`, `owner` `Income:Owner`, `service:signet`
/// `Income:Service:signet`; debits are positive there too.
pub fn journal(accesses: &[AccessRow]) -> String {
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
        for entry in &access.entries {
            let _ = writeln!(
                text,
                "    {:<40}  {} {}",
                account_name(&entry.account),
                decimal(entry.minor),
                access.currency
            );
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
fn plain(name: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    name.chars().map(plain).collect()
}
