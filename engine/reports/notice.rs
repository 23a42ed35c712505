//! A report for programs: ids, counts and sums, and nothing by which a photo could be recognised.
//!
//! No paths, no names of files, no pictures, no names of people: what is told may be kept anywhere.

use serde::Serialize;

use super::Report;
use super::facts::{Accessed, Sum};
use super::lies::Lied;
use crate::base::calendar::Span;
use crate::base::member::Member;
use crate::base::money::written;

/// Type of the event that tells of one access.
pub const ACCESS_EVENT: &str = "signet.access";

/// Type of the event that tells of a span.
pub const REPORT_EVENT: &str = "signet.report";

/// Type of the event that tells what a hub said and cannot be true.
pub const LIE_EVENT: &str = "signet.hub-lie";

/// Data of [`LIE_EVENT`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LieNotice {
    /// What was found at that moment.
    pub lies: Vec<Lied>,
}

/// Data of [`ACCESS_EVENT`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccessNotice {
    /// Under which grant.
    pub grant_id: String,
    /// For which order.
    pub order_key: String,
    /// Who fetched.
    pub provider: String,
    /// What it is.
    pub member: Member,
    /// Its length.
    pub bytes_count: u64,
    /// Currency of the amounts.
    pub currency: String,
    /// Paid by the provider, minor units.
    pub paid_minor: i64,
    /// To the owner.
    pub owner_minor: i64,
    /// To the service.
    pub service_minor: i64,
}

/// Data of [`REPORT_EVENT`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportNotice {
    /// Such as `2026-11`.
    pub span: String,
    /// Its first moment, RFC 3339.
    pub from: String,
    /// The first one behind it.
    pub to: String,
    /// What happened, in words.
    pub summary: String,
    /// Accesses.
    pub accesses_count: usize,
    /// Accesses that were posted back, and those that were posted anew.
    pub corrected_count: usize,
    /// Tries that were refused.
    pub refused_count: u64,
    /// Grants that were taken back.
    pub revoked_count: usize,
    /// What a hub said that cannot be true.
    pub lies: Vec<Lied>,
    /// By provider, purpose and currency.
    pub sums: Vec<Sum>,
}

impl AccessNotice {
    /// Tells of one access.
    pub fn of(access: &Accessed) -> Self {
        Self {
            grant_id: access.grant_id.clone(),
            order_key: access.order_key.clone(),
            provider: access.provider.clone(),
            member: access.member,
            bytes_count: access.bytes_count,
            currency: access.fee.currency.clone(),
            paid_minor: access.fee.paid_minor,
            owner_minor: access.fee.owner_minor,
            service_minor: access.fee.service_minor,
        }
    }

    /// `lab fetched the original for order 01h…, paid 0.25 EUR, you got 0.20`
    pub fn words(&self) -> String {
        format!(
            "{} fetched the {} for order {}, paid {} {}, you got {}",
            self.provider,
            self.member,
            self.order_key,
            written(self.paid_minor, &self.currency),
            self.currency,
            written(self.owner_minor, &self.currency),
        )
    }
}

impl ReportNotice {
    /// Tells of a span.
    ///
    /// - `name`: what names it, such as `2026-11`
    pub fn of(report: &Report, name: &str, span: Span) -> Self {
        Self {
            span: name.to_owned(),
            from: span.from.to_string(),
            to: span.to.to_string(),
            summary: report.summary.clone(),
            accesses_count: report.accesses.len(),
            corrected_count: report.corrected.len(),
            refused_count: report.refused.iter().map(|row| u64::from(row.tries_count)).sum(),
            revoked_count: report.revoked.len(),
            lies: report.lies.clone(),
            sums: report.sums.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::tests::{november, report, rows};
    use super::*;

    #[test]
    fn programs_are_told_ids_and_sums_and_nothing_of_the_photos() {
        let report = report(&rows());
        let notice = ReportNotice::of(&report, "2026-11", november().span);
        let access = AccessNotice::of(&report.accesses[0]);
        let told = serde_json::json!([notice, access]).to_string();
        assert!(
            !told.contains("IMG_") && !told.contains("photos/") && !told.contains("jpg"),
            "{told}"
        );
        let photo = report.accesses[0].photo.to_string();
        assert!(!told.contains(&photo) && !told.contains("203.0.113"), "{told}");
        assert_eq!((notice.accesses_count, notice.refused_count), (3, 3));
        assert_eq!(notice.from, "2026-11-01T00:00:00.000Z");
        assert_eq!(
            access.words(),
            "lab fetched the original for order order1, paid 0.25 EUR, you got 0.20"
        );
    }
}
