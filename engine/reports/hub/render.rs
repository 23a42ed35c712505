//! A statement as text, CSV, HTML, JSON, and as a journal for the `ledger` program.
//!
//! A journal is written into the books of whoever reads it: a provider's prepaid money is an asset of
//! the provider and a liability of the hub. So a provider sees what it paid and not how that was
//! shared, and an owner what they got.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Account, CASH, Line, Party, Statement};
use crate::base::markup::{escaped, set_apart};
use crate::base::money::{decimal, written as amount};
use crate::ledger::statement::{Transaction, plain, written};
use crate::reports::html::{document, money, table};
use crate::store::hub::PostingKind;

/// Kinds of postings, as sums are shown.
const KINDS: [PostingKind; 4] =
    [PostingKind::Access, PostingKind::Reversal, PostingKind::TopUp, PostingKind::PayOut];

/// For people, on a terminal.
pub fn text(statement: &Statement) -> String {
    let mut text = format!("{}\n", heading(statement));
    if statement.accounts.iter().all(|account| account.lines.is_empty()) {
        let _ = writeln!(text, "nothing was posted");
    }
    let with_lines = statement.party != Party::Operator;
    for account in &statement.accounts {
        let (name, currency) = (&account.account, &account.currency);
        let _ = writeln!(text, "\n{name}, {currency}");
        let _ =
            writeln!(text, "  {:<52} {:>12}", "before", amount(account.opening_minor, currency));
        for line in account.lines.iter().filter(|_| with_lines) {
            let note = on_one_line(&line.note);
            let what = format!("{}  {:<9} {note}{}", line.at, line.kind.as_str(), late(line));
            let _ = writeln!(
                text,
                "  {what:<80} {:>12} {:>12}",
                amount(line.minor, currency),
                amount(line.balance_minor, currency)
            );
        }
        for kind in KINDS {
            let count = account.lines.iter().filter(|line| line.kind == kind).count();
            if count > 0 {
                let lates = account.lines.iter().filter(|line| line.kind == kind && line.late);
                let of_before = match lates.count() {
                    0 => String::new(),
                    late_count => format!(", {late_count} of them from before"),
                };
                let what = format!("{count} x {}{of_before}", kind.as_str());
                let _ =
                    writeln!(text, "  {what:<52} {:>12}", amount(account.sum_of(kind), currency));
            }
        }
        let _ = writeln!(text, "  {:<52} {:>12}", "after", amount(account.closing_minor, currency));
    }
    text
}

/// What stands behind a line that happened before the span.
fn late(line: &Line) -> String {
    if line.late { format!(" (late: posted {})", line.posted_at) } else { String::new() }
}

/// For spreadsheets (RFC 4180): one row for each line.
pub fn csv(statement: &Statement) -> String {
    let mut text =
        "account,currency,at,posted,late,kind,amount,balance,provider,agent,grant,order,posting,note\r\n"
            .to_owned();
    for account in &statement.accounts {
        for line in &account.lines {
            let option = |field: &Option<String>| field.clone().unwrap_or_default();
            let fields = [
                account.account.clone(),
                account.currency.clone(),
                line.at.to_string(),
                line.posted_at.to_string(),
                line.late.to_string(),
                line.kind.as_str().to_owned(),
                decimal(line.minor),
                decimal(line.balance_minor),
                option(&line.provider),
                option(&line.agent_id),
                option(&line.grant_id),
                option(&line.order_key),
                line.posting_id.clone(),
                line.note.clone(),
            ];
            let fields: Vec<String> = fields.iter().map(|field| csv_field(field)).collect();
            text += &fields.join(",");
            text += "\r\n";
        }
    }
    text
}

/// A field that is one field, and that no spreadsheet takes for a formula. Amounts may begin with a
/// minus.
fn csv_field(field: &str) -> String {
    let is_number = field.parse::<f64>().is_ok();
    let is_formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number;
    let guarded = if is_formula { format!("'{field}") } else { field.to_owned() };
    match guarded.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", guarded.replace('"', "\"\"")),
        false => guarded,
    }
}

/// For programs: each line, then each account.
pub fn values(statement: &Statement) -> Vec<Value> {
    let mut values = Vec::new();
    for account in &statement.accounts {
        let Account { account: name, currency, opening_minor, closing_minor, lines } = account;
        for line in lines {
            let mut value = json!(line);
            if let Some(fields) = value.as_object_mut() {
                fields.insert("type".into(), "line".into());
                fields.insert("account".into(), json!(name));
                fields.insert("currency".into(), json!(currency));
            }
            values.push(value);
        }
        values.push(json!({
            "type": "account", "account": name, "currency": currency,
            "opening_minor": opening_minor, "closing_minor": closing_minor,
            "lines_count": lines.len(),
        }));
    }
    values
}

/// One page that needs nothing else.
pub fn html(statement: &Statement) -> String {
    let mut body = format!(
        "<h1>{}</h1><p class=\"soft\">{} · {}</p>",
        set_apart(&statement.service),
        escaped(&statement.party.words()),
        escaped(&statement.title)
    );
    let headings = ["Account", "Before", "Accesses", "Reversed", "Paid in", "Paid out", "After"];
    body += &table("Accounts", &headings, &statement.accounts, |account| {
        let amount = |minor: i64| money(minor, &account.currency);
        let mut cells = vec![set_apart(&account.account), amount(account.opening_minor)];
        cells.extend(KINDS.map(|kind| amount(account.sum_of(kind))));
        cells.push(amount(account.closing_minor));
        cells
    });
    if statement.accounts.iter().all(|account| account.lines.is_empty()) {
        body += "<p class=\"lead\">Nothing was posted.</p>";
    }
    let with_lines = statement.party != Party::Operator;
    for account in statement.accounts.iter().filter(|_| with_lines) {
        let headings = ["When", "What", "About", "Order", "Amount", "Balance"];
        body += &table(&account.account, &headings, &account.lines, |line| {
            vec![
                match line.late {
                    false => line.at.to_string(),
                    true => format!("{}<small>late: posted {}</small>", line.at, line.posted_at),
                },
                line.kind.as_str().to_owned(),
                set_apart(&line.note),
                escaped(line.order_key.as_deref().unwrap_or("")),
                money(line.minor, &account.currency),
                money(line.balance_minor, &account.currency),
            ]
        });
    }
    document(&heading(statement), &body)
}

/// A journal that the `ledger` program reads, also with `--pedantic`.
pub fn journal(statement: &Statement) -> String {
    let transactions = match &statement.party {
        Party::Operator => whole_books(statement),
        Party::Provider(_) => own_books(statement, "Assets:Prepaid", "Expenses:Access"),
        Party::Owner(_) => own_books(statement, "Assets:Receivable", "Income:Access"),
    };
    written(&heading(statement), &transactions)
}

fn own_books(statement: &Statement, account: &str, access: &str) -> Vec<Transaction> {
    let account = format!("{account}:{}", plain(&statement.service));
    let lines =
        statement.accounts.iter().flat_map(|of| of.lines.iter().map(move |line| (of, line)));
    lines
        .map(|(of, line)| {
            let other = match line.kind {
                PostingKind::Access | PostingKind::Reversal => access.to_owned(),
                PostingKind::TopUp | PostingKind::PayOut => "Assets:Bank".to_owned(),
            };
            let entries = vec![(account.clone(), line.minor), (other, -line.minor)];
            transaction(line, &of.currency, entries)
        })
        .collect()
}

/// The hub's own books, each posting whole: put together again from the lines of all accounts.
fn whole_books(statement: &Statement) -> Vec<Transaction> {
    let mut transactions: Vec<Transaction> = Vec::new();
    let mut places = std::collections::BTreeMap::new();
    for account in &statement.accounts {
        for line in &account.lines {
            let place = *places.entry(line.posting_id.as_str()).or_insert_with(|| {
                transactions.push(transaction(line, &account.currency, Vec::new()));
                transactions.len() - 1
            });
            // Entries of books are debits; a statement shows what is in favour of the holder.
            let minor = if account.account == CASH { line.minor } else { -line.minor };
            if let Some(transaction) = transactions.get_mut(place) {
                transaction.entries.push((account_name(&account.account), minor));
            }
        }
    }
    transactions.sort_by_key(|transaction| transaction.posted_at);
    transactions
}

fn account_name(account: &str) -> String {
    match account.split_once(':') {
        Some(("provider", name)) => format!("Liabilities:Prepaid:{}", plain(name)),
        Some(("owner", agent_id)) => format!("Liabilities:Owner:{}", plain(agent_id)),
        _ if account == CASH => "Assets:Cash".to_owned(),
        _ => "Income:Service".to_owned(),
    }
}

fn transaction(line: &Line, currency: &str, entries: Vec<(String, i64)>) -> Transaction {
    let what = match &line.provider {
        Some(provider) => format!("{} {}: {}", line.kind.as_str(), plain(provider), line.note),
        None => format!("{}: {}", line.kind.as_str(), line.note),
    };
    let note = match (&line.agent_id, &line.grant_id) {
        (Some(agent_id), Some(grant_id)) => {
            format!("grant {grant_id} of {agent_id} at {}", line.at)
        }
        _ => format!("at {}", line.at),
    };
    let note = format!("{note}{}", late(line));
    let currency = currency.to_owned();
    let Line { at, posted_at, posting_id, .. } = line;
    let code = posting_id.clone();
    Transaction { posted_at: *posted_at, at: *at, code, what, note, currency, entries }
}

fn heading(statement: &Statement) -> String {
    let Statement { service, party, title, .. } = statement;
    format!("{}: {}, {title}", on_one_line(service), on_one_line(&party.words()))
}

fn on_one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
