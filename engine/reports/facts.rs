//! What a report contains: lines, sums, twelve months, and a sentence on top.
//!
//! In:  rows of the store, what they are the rows of, the reader's time zone.
//! Out: a [`Report`], in which money is whole minor units and people read what they get as a plus.
//!
//! Several currencies are never added up. An access whose order nobody knows has no purpose; it is
//! counted all the same.
//!
//! Knows nothing of databases, HTML, paper or mail.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::lies::Lied;
use crate::base::calendar::{Cycle, Period, Span, Zone};
use crate::base::clock::Timestamp;
use crate::base::ids::ContentHash;
use crate::base::member::Member;
use crate::base::money::written;
use crate::store::orders::words as order_words;
use crate::store::{
    AccessRow, CorrectionKind, CorrectionRow, Credit, Entry, GrantRow, Order, Purpose, RefusalRow,
    ReportRows,
};

/// Months of the plot.
pub const MONTHS_COUNT: usize = 12;

/// What a report is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// As it stands in a title: `November 2026`, `order 01h…`.
    pub title: String,
    /// Its span of time; all of time where it is about an order.
    pub span: Span,
    /// Last moment of the twelve months of the plot.
    pub until: Timestamp,
}

/// Everything that a report says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Whose photos these are.
    pub owner: String,
    /// What it is about.
    pub title: String,
    /// When it was made, by the reader's clocks.
    pub made: String,
    /// What happened, in one or two sentences.
    pub summary: String,
    /// What was fetched, oldest first.
    pub accesses: Vec<Accessed>,
    /// What a hub said that cannot be true.
    pub lies: Vec<Lied>,
    /// Deliveries that were posted back or anew.
    pub corrected: Vec<Corrected>,
    /// Sums by provider, purpose and currency.
    pub sums: Vec<Sum>,
    /// Sums by currency.
    pub totals: Vec<Total>,
    /// Orders that were made, or that something was fetched for.
    pub orders: Vec<Ordered>,
    /// Tries that were refused.
    pub refused: Vec<Refused>,
    /// Grants that were taken back.
    pub revoked: Vec<Revoked>,
    /// The last twelve months, oldest first.
    pub months: Vec<MonthSum>,
}

/// One member that one provider got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accessed {
    /// When the delivery was complete, by the reader's clocks.
    pub when: String,
    /// Who.
    pub provider: String,
    /// What it is.
    pub member: Member,
    /// Where the photo lay when it was ordered; behind it a companion's own name.
    pub path: String,
    /// The photo version.
    pub photo: ContentHash,
    /// Under which grant.
    pub grant_id: String,
    /// For which order.
    pub order_key: String,
    /// What was ordered, such as `print-10x15 x 2`.
    pub what: String,
    /// Its length.
    pub bytes_count: u64,
    /// What it paid, and to whom.
    pub fee: Fee,
}

/// A delivery that was not what was granted: its access was posted back; or it was delivered anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corrected {
    /// When, by the reader's clocks.
    pub when: String,
    /// Who had fetched.
    pub provider: String,
    /// `posted back` or `posted anew`.
    pub what: &'static str,
    /// For which order.
    pub order_key: String,
    /// Of which access.
    pub grant_id: String,
    /// Why.
    pub why: String,
    /// What it changed.
    pub fee: Fee,
}

/// What one access paid. Minor units; the provider pays, the others get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fee {
    /// Currency of all three.
    pub currency: String,
    /// By the provider.
    pub paid_minor: i64,
    /// To the owner.
    pub owner_minor: i64,
    /// To the service.
    pub service_minor: i64,
}

/// What came together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// By whom.
    pub provider: String,
    /// For what; absent where the order is not known.
    pub purpose: Option<Purpose>,
    /// In which currency.
    #[serde(flatten)]
    pub total: Total,
}

/// Accesses of one currency and what they paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Total {
    /// Currency of the sums.
    pub currency: String,
    /// How many accesses.
    pub accesses_count: u64,
    /// Paid by providers, minor units.
    pub paid_minor: i64,
    /// To the owner.
    pub owner_minor: i64,
    /// To the service.
    pub service_minor: i64,
}

/// An order, as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ordered {
    /// When it was planned, by the reader's clocks.
    pub when: String,
    /// Its key.
    pub order_key: String,
    /// Such as `print-10x15 x 2`.
    pub what: String,
    /// From whom.
    pub provider: String,
    /// Such as `0.58 EUR`; empty where it costs nothing.
    pub price: String,
    /// Where it is now.
    pub state: String,
    /// Why it was made.
    pub origin: String,
}

/// Tries that were refused within a minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The minute, by the reader's clocks.
    pub when: String,
    /// Address they came from.
    pub remote: String,
    /// How many.
    pub tries_count: u32,
    /// Why they were refused.
    pub reason: String,
    /// The grant they named; empty when they named none.
    pub grant_id: String,
}

/// A grant that was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// When, by the reader's clocks.
    pub when: String,
    /// Who may not fetch any more.
    pub provider: String,
    /// The grant.
    pub grant_id: String,
    /// What it was about.
    pub name: String,
    /// Why.
    pub why: String,
}

/// One month of the plot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonthSum {
    /// Such as `November 2026`.
    pub words: String,
    /// Such as `Nov`.
    pub letters: String,
    /// How many accesses.
    pub accesses_count: u64,
    /// What the owner got, minor units by currency.
    pub credits: BTreeMap<String, i64>,
}

/// Who reads, and when.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    /// Name of the owner.
    pub owner: &'a str,
    /// By whose clocks.
    pub zone: &'a Zone,
    /// When the report is made.
    pub now: Timestamp,
}

impl Scope {
    /// A day, week or month.
    pub fn of(period: Period, zone: &Zone) -> Self {
        let span = period.span(zone);
        Self { title: period.words(), span, until: span.to.plus_millis(-1) }
    }

    /// The months of its plot, first to last, as one span.
    pub fn months(&self, zone: &Zone) -> Span {
        let months = months_until(self.until, zone);
        let at = |month: Option<&Period>| month.map_or(Span::ALL, |month| month.span(zone));
        Span { from: at(months.first()).from, to: at(months.last()).to }
    }
}

impl Report {
    /// Puts a report together.
    ///
    /// - `credits`: what the owner got in [`Scope::months`]
    pub fn of(scope: &Scope, rows: &ReportRows, credits: &[Credit], reader: Reader<'_>) -> Self {
        let zone = reader.zone;
        let purposes: BTreeMap<&str, Purpose> =
            rows.orders.iter().map(|order| (order.order_key.as_str(), order.purpose)).collect();
        let accesses: Vec<Accessed> = rows.accesses.iter().map(|row| accessed(row, zone)).collect();
        let corrected: Vec<Corrected> =
            rows.corrections.iter().map(|row| corrected(row, zone)).collect();
        let paid = accesses
            .iter()
            .map(|access| (access.provider.as_str(), access.order_key.as_str(), 1, &access.fee));
        let put_right = corrected.iter().map(|corrected| {
            (corrected.provider.as_str(), corrected.order_key.as_str(), 0, &corrected.fee)
        });
        let mut sums = BTreeMap::new();
        let mut totals = BTreeMap::new();
        for (provider, order_key, count, fee) in paid.chain(put_right) {
            let currency = fee.currency.as_str();
            let key = (provider, purposes.get(order_key).copied(), currency);
            sums.entry(key).or_insert_with(|| Total::none(currency)).add(count, fee);
            totals.entry(currency).or_insert_with(|| Total::none(currency)).add(count, fee);
        }
        let sum = |((provider, purpose, _), total): ((&str, _, _), Total)| Sum {
            provider: provider.to_owned(),
            purpose,
            total,
        };
        let sums: Vec<Sum> = sums.into_iter().map(sum).collect();
        let totals: Vec<Total> = totals.into_values().collect();
        Self {
            owner: reader.owner.to_owned(),
            title: scope.title.clone(),
            made: zone.clock(reader.now),
            summary: summary(scope, rows, &totals),
            sums,
            totals,
            orders: rows.orders.iter().map(|order| ordered(order, zone)).collect(),
            refused: rows.refusals.iter().map(|row| refused(row, zone)).collect(),
            revoked: rows.revoked.iter().map(|row| revoked(row, zone)).collect(),
            months: month_sums(scope.until, credits, zone),
            lies: rows.lies.iter().map(|row| Lied::of(row, zone)).collect(),
            corrected,
            accesses,
        }
    }

    /// Whether there is nothing to tell.
    pub const fn is_empty(&self) -> bool {
        self.accesses.is_empty()
            && self.lies.is_empty()
            && self.corrected.is_empty()
            && self.refused.is_empty()
            && self.revoked.is_empty()
    }
}

impl Total {
    fn none(currency: &str) -> Self {
        Self {
            currency: currency.to_owned(),
            accesses_count: 0,
            paid_minor: 0,
            owner_minor: 0,
            service_minor: 0,
        }
    }

    /// Sums beyond what 64 bits hold stay at the largest: no currency has so much.
    fn add(&mut self, accesses_count: u64, fee: &Fee) {
        self.accesses_count += accesses_count;
        self.paid_minor = self.paid_minor.saturating_add(fee.paid_minor);
        self.owner_minor = self.owner_minor.saturating_add(fee.owner_minor);
        self.service_minor = self.service_minor.saturating_add(fee.service_minor);
    }
}

impl Fee {
    /// Reads a posting. What is on no account of the three goes to nobody here.
    pub fn of(entries: &[Entry], currency: &str) -> Self {
        let sum = |is_of: &dyn Fn(&str) -> bool| {
            let of = entries.iter().filter(|entry| is_of(&entry.account));
            of.fold(0_i64, |sum, entry| sum.saturating_add(entry.minor))
        };
        Self {
            currency: currency.to_owned(),
            paid_minor: sum(&|account| account.starts_with("provider:")),
            owner_minor: sum(&|account| account == "owner").saturating_neg(),
            service_minor: sum(&|account| account.starts_with("service:")).saturating_neg(),
        }
    }
}

/// The twelve months that end with the one that holds a moment.
fn months_until(until: Timestamp, zone: &Zone) -> Vec<Period> {
    let last = Period::holding(Cycle::Monthly, until, zone);
    let back = std::iter::successors(Some(last), |month| Some(month.previous()));
    let mut months: Vec<Period> = back.take(MONTHS_COUNT).collect();
    months.reverse();
    months
}

fn month_sums(until: Timestamp, credits: &[Credit], zone: &Zone) -> Vec<MonthSum> {
    let sum = |month: Period| {
        let span = month.span(zone);
        let mut sum = MonthSum {
            words: month.words(),
            letters: month.month_letters(),
            accesses_count: 0,
            credits: BTreeMap::new(),
        };
        for credit in credits.iter().filter(|credit| span.holds(credit.at)) {
            sum.accesses_count += u64::from(credit.is_access);
            let all = sum.credits.entry(credit.currency.clone()).or_insert(0);
            *all = all.saturating_sub(credit.minor);
        }
        sum
    };
    months_until(until, zone).into_iter().map(sum).collect()
}

fn accessed(row: &AccessRow, zone: &Zone) -> Accessed {
    let path = match row.member.is_companion() {
        true => format!("{} ({})", row.path, row.name),
        false => row.path.clone(),
    };
    Accessed {
        when: zone.clock(row.at),
        provider: row.provider.clone(),
        member: row.member,
        path,
        photo: row.photo,
        grant_id: row.grant_id.clone(),
        order_key: row.order_key.clone(),
        what: format!("{} x {}", row.product.as_deref().unwrap_or("share"), row.copies),
        bytes_count: row.bytes_count,
        fee: Fee::of(&row.entries, &row.currency),
    }
}

fn corrected(row: &CorrectionRow, zone: &Zone) -> Corrected {
    Corrected {
        when: zone.clock(row.at),
        provider: row.provider.clone(),
        what: match row.kind {
            CorrectionKind::Reversal => "posted back",
            CorrectionKind::Again => "posted anew",
        },
        order_key: row.order_key.clone(),
        grant_id: row.grant_id.clone(),
        why: row.reason.clone(),
        fee: Fee::of(&row.entries, &row.currency),
    }
}

fn ordered(order: &Order, zone: &Zone) -> Ordered {
    let price = match order.price_minor {
        0 => String::new(),
        minor => format!("{} {}", written(minor, &order.currency), order.currency),
    };
    Ordered {
        when: zone.clock(order.created_at),
        order_key: order.order_key.clone(),
        what: order_words(order),
        provider: order.provider.clone(),
        price,
        state: order.state.to_string(),
        origin: order.origin.clone(),
    }
}

fn refused(row: &RefusalRow, zone: &Zone) -> Refused {
    Refused {
        when: zone.clock(row.at),
        remote: row.remote.clone(),
        tries_count: row.tries_count,
        reason: row.reason.clone(),
        grant_id: row.grant_id.clone(),
    }
}

fn revoked(row: &GrantRow, zone: &Zone) -> Revoked {
    Revoked {
        when: row.revoked_at.map(|at| zone.clock(at)).unwrap_or_default(),
        provider: row.provider.clone(),
        grant_id: row.grant_id.clone(),
        name: row.name.clone(),
        why: row.revoked_why.clone().unwrap_or_default(),
    }
}

/// `2 accesses by lab and gallery paid 0.50 EUR; you got 0.40 EUR. 1 try was refused.`
fn summary(scope: &Scope, rows: &ReportRows, totals: &[Total]) -> String {
    let mut sentences = Vec::new();
    match rows.lies.len() {
        0 => {}
        1 => sentences.push("THE HUB SAID SOMETHING THAT CANNOT BE TRUE: see below.".to_owned()),
        count => {
            sentences.push(format!("THE HUB SAID {count} THINGS THAT CANNOT BE TRUE: see below."));
        }
    }
    match rows.accesses.len() {
        0 => sentences.push(format!("Nobody fetched anything: {}.", scope.title)),
        count => {
            let who: BTreeSet<&str> =
                rows.accesses.iter().map(|access| access.provider.as_str()).collect();
            let money = |minor: fn(&Total) -> i64| -> String {
                let of = |total: &Total| {
                    format!("{} {}", written(minor(total), &total.currency), total.currency)
                };
                listed(totals.iter().map(of).collect())
            };
            sentences.push(format!(
                "{} by {} paid {}; you got {}.",
                counted(count as u64, "access", "accesses"),
                listed(who.into_iter().map(str::to_owned).collect()),
                money(|total| total.paid_minor),
                money(|total| total.owner_minor),
            ));
        }
    }
    let back = |row: &&CorrectionRow| row.kind == CorrectionKind::Reversal;
    match rows.corrections.iter().filter(back).count() {
        0 => {}
        1 => sentences.push("1 access was posted back.".to_owned()),
        count => sentences.push(format!("{count} accesses were posted back.")),
    }
    let tries_count: u64 = rows.refusals.iter().map(|row| u64::from(row.tries_count)).sum();
    match tries_count {
        0 if rows.accesses.is_empty() => sentences.push("Nobody was refused.".to_owned()),
        0 => {}
        1 => sentences.push("1 try was refused.".to_owned()),
        count => sentences.push(format!("{count} tries were refused.")),
    }
    match rows.revoked.len() {
        0 => {}
        1 => sentences.push("1 grant was taken back.".to_owned()),
        count => sentences.push(format!("{count} grants were taken back.")),
    }
    sentences.join(" ")
}

/// `1 access`, `2 accesses`.
pub(super) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// `a`, `a and b`, `a, b and c`.
fn listed(mut names: Vec<String>) -> String {
    let Some(last) = names.pop() else { return String::new() };
    if names.is_empty() { last } else { format!("{} and {last}", names.join(", ")) }
}

#[cfg(test)]
#[path = "facts/tests.rs"]
pub(super) mod tests;
