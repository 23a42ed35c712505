//! From verdicts to orders at a provider, each wish once.
//!
//! [`plan`] is a pure function; [`parcel`] is the neutral order; each file of [`target`] puts one
//! into the words of its provider; [`dispatch`] sends what the outbox holds, and is where async
//! begins.

pub mod catalogue;
pub mod crop;
pub mod decide;
pub mod dispatch;
pub mod failover;
mod fit;
pub mod mail;
pub mod outward;
pub mod parcel;
pub mod plan;
pub mod target;
pub mod terms;
pub mod webhook;

pub use plan::{Photo, plan};
pub use terms::Terms;
