//! How many requests somebody may make: providers as agreed with each, strangers by address.
//!
//! Who may make `n` a minute may make `n` at once and is given `n` back a minute, evenly. More get
//! 429 with the seconds after which one more will do. Counts are in memory; a restart forgets them.
//!
//! An address stands for itself in IPv4 and for its network (/64) in IPv6, where everybody has
//! billions of addresses.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, NotUntil, Quota, RateLimiter};

/// Addresses that are remembered; when there are more, those that have made few requests are forgotten.
const ADDRESSES_MAX: usize = 50_000;

/// Who asked how often.
#[derive(Debug)]
pub struct Pace {
    clock: DefaultClock,
    providers: Mutex<HashMap<String, (u32, Arc<DefaultDirectRateLimiter>)>>,
    strangers: DefaultKeyedRateLimiter<IpAddr>,
}

/// Too many; one more will do after so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// At least 1.
    pub wait_s: u64,
}

impl Pace {
    /// Nobody has asked yet.
    ///
    /// - `strangers_per_minute`: requests from an address that has not shown who it is; at least 1
    pub fn new(strangers_per_minute: u32) -> Self {
        let per_minute = NonZeroU32::new(strangers_per_minute).unwrap_or(NonZeroU32::MIN);
        let strangers = RateLimiter::keyed(Quota::per_minute(per_minute));
        Self { clock: DefaultClock::default(), providers: Mutex::default(), strangers }
    }

    /// A provider makes a request.
    ///
    /// - `per_minute`: what was agreed; 0 allows none, and another number begins anew
    ///
    /// # Errors
    /// `Wait`
    pub fn provider(&self, name: &str, per_minute: u32) -> Result<(), Wait> {
        let Some(quota) = NonZeroU32::new(per_minute).map(Quota::per_minute) else {
            return Err(Wait { wait_s: 3600 });
        };
        let limiter = {
            let mut providers = self.providers.lock().unwrap_or_else(PoisonError::into_inner);
            let fresh = || (per_minute, Arc::new(RateLimiter::direct(quota)));
            let entry = providers.entry(name.to_owned()).or_insert_with(fresh);
            if entry.0 != per_minute {
                *entry = fresh();
            }
            entry.1.clone()
        };
        limiter.check().map_err(|not_until| self.wait(&not_until))
    }

    /// Somebody at an address asks, or failed to show who they are.
    ///
    /// # Errors
    /// `Wait`
    pub fn stranger(&self, address: IpAddr) -> Result<(), Wait> {
        if self.strangers.len() >= ADDRESSES_MAX {
            self.strangers.retain_recent();
            if self.strangers.len() >= ADDRESSES_MAX {
                return Err(Wait { wait_s: 60 });
            }
        }
        self.strangers.check_key(&network(address)).map_err(|not_until| self.wait(&not_until))
    }

    fn wait(&self, not_until: &NotUntil<<DefaultClock as Clock>::Instant>) -> Wait {
        let left = not_until.wait_time_from(self.clock.now());
        Wait { wait_s: left.as_secs() + 1 }
    }
}

/// What an address stands for.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provider_gets_what_was_agreed_and_no_other_suffers() {
        let pace = Pace::new(120);
        let allowed = (0..50).filter(|_| pace.provider("lab", 30).is_ok()).count();
        assert!((30..=31).contains(&allowed), "{allowed}");
        let wait = pace.provider("lab", 30).expect_err("too many").wait_s;
        assert!((1..=3).contains(&wait), "{wait} s");
        assert!(pace.provider("other", 30).is_ok());
        assert!(pace.provider("lab", 31).is_ok(), "agreed anew");
        assert!(pace.provider("none", 0).is_err());
    }

    #[test]
    fn network_of_billions_of_addresses_is_one_stranger() {
        let pace = Pace::new(120);
        let most = 120;
        let ask = |text: String| pace.stranger(text.parse().expect("an address"));
        let allowed = (0..3 * most).filter(|n| ask(format!("2001:db8::{n:x}")).is_ok()).count();
        assert!((most..=most + 2).contains(&u32::try_from(allowed).expect("few")), "{allowed}");
        assert!(ask("2001:db8:0:1::1".into()).is_ok());
        assert!(ask("192.0.2.1".into()).is_ok());
        assert_eq!(network("::ffff:192.0.2.1".parse().expect("one")).to_string(), "192.0.2.1");
    }
}
