//! Everything that is kept in SQLite. The only folder that holds SQL.
//!
//! `state.sqlite` ([`State`]: orders, grants, accesses, ledger) is never rebuilt;
//! `index.sqlite` (what was seen in the collections) can be; `decisions.sqlite` (what rules
//! said and why) can be done without.
//!
//! Knows no photo formats, no rules and no HTTP: other stages hand it plain values.

pub mod copies;
pub mod corrections;
pub mod db;
pub mod decisions;
pub mod erase;
pub mod failover;
pub mod fetches;
mod gather;
pub mod grants;
pub mod hub;
pub mod index;
pub mod leaf;
pub mod log;
pub mod members;
pub mod offers;
pub mod orders;
pub mod parcels;
mod readers;
pub mod reports;
pub mod state;
pub mod tellings;
pub mod told;

pub use copies::CopyRow;
pub use corrections::{CorrectionKind, CorrectionRow, Reversed};
pub use db::{Durability, StoreError};
pub use decisions::{DecisionRow, Decisions};
pub use erase::{ErasedOrders, Fate};
pub use grants::{AccessRow, Delivered, Entry, GrantRow, RefusalRow};
pub use index::files::{FilesReader, Known, KnownFile, Seen, Standing, Swept, Volume};
pub use index::{Arrival, Index, Location, Neighbour, PhotoRow, Shot};
pub use leaf::Way;
pub use members::{CompanionRow, Held, MarkRow};
pub use offers::GrantOffer;
pub use orders::{Due, Hold, Order, OrderFilter, OrderState, Purpose, Replanned, Spent, Usage};
pub use parcels::{News, ParcelRow};
pub use reports::{Credit, ReportRows};
pub use state::State;
pub use tellings::{About, Begun, Telling};
