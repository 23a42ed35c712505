//! Puts reports together for their owner: rows of the store, pictures from the previews.
//!
//! In:  the home and its store. Out: a report, and the pictures that go with it where it stays with
//! the owner. Neither sends nor writes anything.

use super::outlet::preview_path;
use crate::base::calendar::{Span, Zone};
use crate::base::clock::Timestamp;
use crate::base::home::Home;
use crate::preview::PreviewSpec;
use crate::reports::facts::Reader;
use crate::reports::{Pictures, Report, Scope, picture};
use crate::store::{ReportRows, State, StoreError};

/// Writes reports.
#[derive(Debug, Clone, Copy)]
pub struct Author<'a> {
    /// Where previews lie.
    pub home: &'a Home,
    /// What happened.
    pub state: &'a State,
    /// Name of the owner.
    pub owner: &'a str,
    /// By whose clocks.
    pub zone: &'a Zone,
    /// When the report is made.
    pub now: Timestamp,
}

impl Author<'_> {
    /// A report of a span.
    ///
    /// # Errors
    /// As any read.
    pub fn of_span(&self, scope: &Scope) -> Result<Report, StoreError> {
        let Span { from, to } = scope.span;
        self.put_together(scope, &self.state.report_rows(from, to)?)
    }

    /// A report of what a hub said that cannot be true, and of nothing else.
    ///
    /// # Errors
    /// As any read.
    pub fn of_lies(&self, span: Span) -> Result<Report, StoreError> {
        let rows =
            ReportRows { lies: self.state.lies(span.from, span.to)?, ..ReportRows::default() };
        let scope = Scope { title: "about your hub".to_owned(), span, until: self.now };
        let report = self.put_together(&scope, &rows)?;
        Ok(Report { summary: "Your hub said what cannot be true.".to_owned(), ..report })
    }

    /// A report of one order; `None` when there is none with that key.
    ///
    /// # Errors
    /// As any read.
    pub fn of_order(&self, order_key: &str) -> Result<Option<Report>, StoreError> {
        let rows = self.state.report_rows_of_order(order_key)?;
        if rows.orders.is_empty() {
            return Ok(None);
        }
        let title = format!("order {order_key}");
        let scope = Scope { title, span: Span::ALL, until: self.now };
        self.put_together(&scope, &rows).map(Some)
    }

    /// A report of accesses by their place, see [`State::report_rows_of_news`].
    ///
    /// # Errors
    /// As any read.
    pub fn of_news(&self, after: i64, up_to: i64) -> Result<Report, StoreError> {
        let rows = self.state.report_rows_of_news(after, up_to)?;
        let title = match rows.accesses.as_slice() {
            [access] => format!("{} by {}", access.member, access.provider),
            accesses => format!("{} accesses", accesses.len()),
        };
        let scope = Scope { title, span: Span::ALL, until: self.now };
        // What becomes of the orders is told elsewhere; so the report stays as it is.
        Ok(Report { orders: Vec::new(), ..self.put_together(&scope, &rows)? })
    }

    fn put_together(&self, scope: &Scope, rows: &ReportRows) -> Result<Report, StoreError> {
        let Span { from, to } = scope.months(self.zone);
        let credits = self.state.credits(from, to)?;
        let reader = Reader { owner: self.owner, zone: self.zone, now: self.now };
        Ok(Report::of(scope, rows, &credits, reader))
    }

    /// Pictures of the first `count_max` photos of a report. They stay with the owner.
    pub fn pictures(&self, report: &Report, count_max: usize) -> Pictures {
        let preview =
            |photo: &_| std::fs::read(preview_path(self.home, photo, PreviewSpec::default())).ok();
        picture::of_report(report, count_max, preview)
    }
}
