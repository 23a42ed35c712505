//! From verdicts to orders at a provider, each wish once.
//!
//! [`plan`] is a pure function; [`webhook`] writes the message; [`dispatch`] sends what the
//! outbox holds, and is where async begins.

pub mod catalogue;
pub mod crop;
pub mod dispatch;
pub mod outward;
pub mod parcel;
pub mod plan;
pub mod target;
pub mod terms;
pub mod webhook;

pub use plan::{Photo, plan};
pub use terms::Terms;
