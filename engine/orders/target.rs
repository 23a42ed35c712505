//! The ways by which providers get orders: one trait, a file for each.
//!
//! A target puts a [`Parcel`] into the words of its provider and says what became of it. It keeps
//! nothing: what must survive is in the store, and [`super::dispatch`] asks again.
//!
//! Exactly once: before the first call the parcel is marked as sent. When it is not known whether
//! the provider took it, [`Target::find`] is asked before it is sent again.
//!
//! Blocking code; called off the async threads. Every call to a network address goes through
//! `outward`.

mod answer;
mod asset;
mod handover;
pub mod hot_folder;
pub mod ipp;
pub mod lab;
pub mod link;
pub mod mail;
pub mod prodigi;
pub mod whcc;
pub mod xjdf;

use std::io::{self, Read};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::outward::Outward;
use super::parcel::Parcel;
use super::webhook::MemberMessage;
use crate::store::OrderState;

/// One way to give parcels to a provider.
pub trait Target: Send + Sync {
    /// What it can carry, and what of an order is lost on the way.
    fn carries(&self) -> Carries;

    /// Asks what a parcel would cost; `None`: the provider names no prices, those agreed hold.
    ///
    /// # Errors
    /// A [`Setback`]; nothing was ordered.
    fn quote(&self, _parcel: &Parcel) -> Result<Option<Quote>, Setback> {
        Ok(None)
    }

    /// Gives a parcel to the provider.
    ///
    /// # Errors
    /// A [`Setback`], which says whether the provider may have it all the same.
    fn send(&self, parcel: &Parcel, files: &dyn Files) -> Result<Taken, Setback>;

    /// Asks whether the provider has a parcel of which that is not known.
    ///
    /// # Errors
    /// A [`Setback`]; it is still not known.
    fn find(&self, _parcel: &Parcel) -> Result<Search, Setback> {
        Ok(Search::SendAgain)
    }

    /// Asks what became of a parcel that the provider has.
    ///
    /// - `remote`: the provider's own name of it, from [`Taken`]
    ///
    /// # Errors
    /// A [`Setback`]; it is asked again later.
    fn follow(&self, parcel_key: &str, remote: &str) -> Result<Progress, Setback>;

    /// Asks the provider to stop a parcel that it has.
    ///
    /// - `remote`: the provider's own name of it; the key of its first order where the provider
    ///   takes the same parcel twice as once and it is not known whether it did
    ///
    /// # Errors
    /// A [`Setback`]; whether it was stopped is not known.
    fn cancel(&self, _parcel_key: &str, _remote: &str) -> Result<Cancelled, Setback> {
        Ok(Cancelled::CannotBeAsked)
    }
}

/// Opens members of a parcel where they lie on this computer.
pub trait Files {
    /// Exactly the bytes that the member names, from the first to the last. Reading them to the end
    /// is an access and is posted when the provider took the parcel.
    ///
    /// # Errors
    /// When the photo is offline, was changed or removed.
    fn open(&self, order_key: &str, member: &MemberMessage) -> io::Result<Box<dyn Read + Send>>;
}

/// What a target can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a column of the table in docs/labs.md")]
pub struct Carries {
    /// Several orders in one parcel.
    pub batches: bool,
    /// The bytes themselves go with the parcel; otherwise the provider fetches them.
    pub bytes: bool,
    /// Which part of the photo to show.
    pub crop: bool,
    /// Companions beside the photo.
    pub companions: bool,
    /// Name and street of the addressee.
    pub address: bool,
    /// Telephone and mail of the addressee.
    pub contact: bool,
    /// Whether the provider tells what became of a parcel.
    pub progress: bool,
    /// Whether the provider can be asked to stop a parcel.
    pub cancels: bool,
}

/// The provider has a parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The provider's own name of it; the parcel's key where it has none.
    pub remote: String,
    /// What is known of it now.
    pub progress: Progress,
}

/// What became of a parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// `accepted`, `fetching`, `production`, `shipped`, `done`, `cancelled` or `failed`.
    pub state: OrderState,
    /// In words, for the owner; with the tracking number where there is one.
    pub note: String,
    /// Seconds until it is worth asking again; `None`: never, the provider tells or it is over.
    pub look_again_s: Option<i64>,
}

/// What a parcel would cost, everything included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// Minor units.
    pub minor: i64,
    /// ISO 4217.
    pub currency: String,
}

/// Whether the provider has a parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Search {
    /// It has.
    Found(Taken),
    /// It has not: send it.
    SendAgain,
    /// Nobody has to ask: it takes the same parcel twice as once.
    TakesAgain,
}

/// What a provider said to a request to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cancelled {
    /// It stopped; the words are its own.
    Stopped(String),
    /// It is too late, and why.
    TooLate(String),
    /// There is no way to ask it.
    CannotBeAsked,
}

/// Why a call to a provider did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setback {
    /// In words, for the owner.
    pub why: String,
    /// Whether the provider may have acted on the call.
    pub fate: Fate,
    /// Seconds after which the provider wants to be asked again.
    pub wait_s: Option<i64>,
}

/// What is known of a call that did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The provider has not acted and never will: another try would end the same way.
    Refused,
    /// The provider has not acted; another try may get through.
    NotTaken,
    /// As [`Self::NotTaken`], and it would be the same for every parcel just now: the provider
    /// cannot be reached, or wants to be left alone for a while.
    Away,
    /// Nobody knows: ask before trying again.
    Unknown,
}

impl Setback {
    /// Another try would end the same way.
    pub fn refused(why: impl Into<String>) -> Self {
        Self { why: why.into(), fate: Fate::Refused, wait_s: None }
    }

    /// It did not get there; another try may.
    pub fn not_taken(why: impl Into<String>) -> Self {
        Self { why: why.into(), fate: Fate::NotTaken, wait_s: None }
    }

    /// The provider cannot be reached, so it has not acted.
    pub fn away(why: impl Into<String>) -> Self {
        Self { why: why.into(), fate: Fate::Away, wait_s: None }
    }

    /// It may have got there.
    pub fn unknown(why: impl Into<String>) -> Self {
        Self { why: why.into(), fate: Fate::Unknown, wait_s: None }
    }

    /// The same, not before so many seconds; a day at most.
    pub fn after(self, wait_s: Option<i64>) -> Self {
        Self { wait_s: wait_s.map(|seconds| seconds.clamp(0, 86_400)), ..self }
    }
}

/// Which target a provider has, and what it has to know. Part of the signed consent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum TargetSpec {
    /// `signet lab`, or any receiver of signed CloudEvents; at `orders_url`.
    Lab(lab::Spec),
    /// A printer that speaks IPP; at `orders_url`.
    Ipp(self::ipp::Spec),
    /// A folder that a lab's software watches.
    HotFolder(hot_folder::Spec),
    /// A folder that takes XJDF job tickets.
    Xjdf(xjdf::Spec),
    /// Print on demand by REST, in the shape of Prodigi's API; at `orders_url`, with an API key.
    Prodigi(prodigi::Spec),
    /// A pro lab that takes orders in two steps, in the shape of WHCC's API; at `orders_url`, with
    /// a consumer key and secret.
    Whcc(Box<whcc::Spec>),
    /// Mail with the files attached.
    Mail(mail::Spec),
    /// A share link that the owner passes on.
    Link(link::Spec),
}

impl Default for TargetSpec {
    fn default() -> Self {
        Self::Lab(lab::Spec::default())
    }
}

/// Signs bytes with the agent's key.
pub type Sign = dyn Fn(&[u8]) -> [u8; 64] + Send + Sync;

/// What targets work with.
#[derive(Clone)]
pub struct Means {
    /// Where orders go, from the terms.
    pub orders_url: String,
    /// What the provider and the owner share: an API key, a password, or webhook secrets with
    /// blanks between them.
    pub secret: String,
    /// Makes calls.
    pub outward: Outward,
    /// Signs as the owner's agent.
    pub sign: Arc<Sign>,
    /// Id of the owner's agent.
    pub agent_id: String,
}

impl TargetSpec {
    /// Puts a target together.
    pub fn open(&self, means: Means) -> Box<dyn Target> {
        match self {
            Self::Lab(spec) => Box::new(lab::Lab::new(*spec, means)),
            Self::Ipp(spec) => Box::new(self::ipp::Printer::new(spec, means)),
            Self::HotFolder(spec) => Box::new(hot_folder::HotFolder::new(spec)),
            Self::Xjdf(spec) => Box::new(xjdf::Xjdf::new(spec)),
            Self::Prodigi(spec) => {
                let Means { orders_url, secret, outward, .. } = means;
                Box::new(prodigi::Prodigi::new(spec, &orders_url, &secret, outward))
            }
            Self::Whcc(spec) => {
                let Means { orders_url, secret, outward, .. } = means;
                Box::new(whcc::Whcc::new(spec, &orders_url, &secret, outward))
            }
            Self::Mail(spec) => Box::new(mail::Mail::new(spec, &means.secret, means.outward)),
            Self::Link(spec) => Box::new(link::Link::new(spec)),
        }
    }

    /// Whether what is written there makes sense, before it is agreed to.
    ///
    /// # Errors
    /// In words, with the cure.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::HotFolder(spec) => spec.check(),
            Self::Xjdf(spec) => spec.check(),
            Self::Lab(_)
            | Self::Ipp(_)
            | Self::Prodigi(_)
            | Self::Whcc(_)
            | Self::Mail(_)
            | Self::Link(_) => Ok(()),
        }
    }

    /// How often each file can be fetched whole, where addresses are passed from hand to hand.
    pub const fn fetches_max(&self) -> Option<u32> {
        match self {
            Self::Link(spec) => Some(spec.fetches_max),
            _ => None,
        }
    }

    /// What it can carry.
    pub const fn carries(&self) -> Carries {
        match self {
            Self::Lab(spec) => spec.carries(),
            Self::Ipp(_) => self::ipp::CARRIES,
            Self::HotFolder(_) => hot_folder::CARRIES,
            Self::Xjdf(_) => xjdf::CARRIES,
            Self::Prodigi(_) => prodigi::CARRIES,
            Self::Whcc(_) => whcc::CARRIES,
            Self::Mail(spec) => spec.carries(),
            Self::Link(_) => link::CARRIES,
        }
    }

    /// Where calls go, as HTTP has it; `None`: it calls nobody.
    pub fn called_url(&self, orders_url: &str) -> Option<String> {
        match self {
            Self::Ipp(_) => self::ipp::http_url(orders_url).ok(),
            _ => orders_url.starts_with("http").then(|| orders_url.to_owned()),
        }
    }

    /// How its address begins; empty: it needs none.
    pub const fn schemes(&self) -> &'static [&'static str] {
        match self {
            Self::Ipp(_) => &["ipp://", "ipps://"],
            Self::Lab(_) | Self::Prodigi(_) | Self::Whcc(_) => &["https://", "http://"],
            Self::HotFolder(_) | Self::Xjdf(_) | Self::Mail(_) | Self::Link(_) => &[],
        }
    }
}
