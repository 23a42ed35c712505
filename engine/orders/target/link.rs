//! Share link: nothing is sent. The owner passes on an address that nobody can guess.
//!
//! In:  a parcel. Out: it waits to be fetched; `signet orders show` prints the addresses.
//!
//! A link holds until the grant's time is over (`grant_hours`) and for so many fetches as the spec
//! says; it is checked where it is served, by `web`, and is gone at once when the order is
//! cancelled, the grant revoked or the consent withdrawn. The order is done when it was fetched
//! whole for the first time.

use serde::{Deserialize, Serialize};

use super::{Cancelled, Carries, Files, Progress, Setback, Taken, Target};
use crate::orders::parcel::Parcel;
use crate::store::OrderState;

/// How often a link can be used where nobody says.
const FETCHES_MAX: u32 = 10;

/// What a link can carry: whatever is fetched.
pub const CARRIES: Carries = Carries {
    batches: true,
    bytes: false,
    crop: false,
    companions: true,
    address: false,
    contact: false,
    progress: false,
    cancels: true,
};

/// Limits of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Spec {
    /// How often each file can be fetched whole.
    pub fetches_max: u32,
}

impl Default for Spec {
    fn default() -> Self {
        Self { fetches_max: FETCHES_MAX }
    }
}

/// Waits to be fetched.
#[derive(Debug)]
pub struct Link {
    fetches_max: u32,
}

impl Link {
    /// Needs no address and no secret.
    pub const fn new(spec: &Spec) -> Self {
        Self { fetches_max: spec.fetches_max }
    }

    fn waiting(&self) -> Progress {
        let note = format!(
            "pass the link on, `signet orders show` prints it; it can be used {} times",
            self.fetches_max
        );
        Progress { state: OrderState::Accepted, note, look_again_s: None }
    }
}

impl Target for Link {
    fn carries(&self) -> Carries {
        CARRIES
    }

    fn send(&self, parcel: &Parcel, _files: &dyn Files) -> Result<Taken, Setback> {
        Ok(Taken { remote: parcel.parcel_key.clone(), progress: self.waiting() })
    }

    fn follow(&self, _parcel_key: &str, _remote: &str) -> Result<Progress, Setback> {
        Ok(self.waiting())
    }

    fn cancel(&self, _parcel_key: &str, _remote: &str) -> Result<Cancelled, Setback> {
        Ok(Cancelled::Stopped(
            "the link no longer works; what was fetched before stays there".into(),
        ))
    }
}
