//! What agents are called in logs and events: short names that say nothing to whoever has the logs
//! alone.
//!
//! An agent's id stands in the addresses that labs fetch from, so logs with ids would tell whoever
//! gets hold of them which owner was fetched from and when. An alias is a keyed hash of the id: the
//! hub can say whose it is (`signet hub agents`), others cannot, and it stays the same over restarts.
//!
//! Grants keep their ids, which are those of one photo at one lab: without them no delivery could be
//! followed from the lab's log to the hub's.

use super::event::HubEvent;
use crate::access::Key;

/// Digits of an alias: two of ten thousand agents have the same once in some five million hubs.
const HEX_DIGITS: usize = 12;

/// Gives agents their aliases.
#[derive(Clone)]
pub struct Aliases([u8; 32]);

impl Aliases {
    /// Those of the hub with this key.
    pub fn of(key: &Key) -> Self {
        Self(key.derived("signet hub log names v1"))
    }

    /// What an agent is called.
    pub fn alias(&self, agent_id: &str) -> String {
        let mac = hmac_sha256::HMAC::mac(agent_id, self.0);
        let digits = mac.iter().flat_map(|byte| [byte >> 4, byte & 15]).take(HEX_DIGITS);
        let digit = |digit: u8| char::from_digit(digit.into(), 16).unwrap_or_default();
        std::iter::once('a').chain(digits.map(digit)).collect()
    }

    /// An event that calls its agent by the alias.
    pub fn hide(&self, mut event: HubEvent) -> HubEvent {
        match &mut event {
            HubEvent::Connected { agent }
            | HubEvent::Away { agent, .. }
            | HubEvent::Relayed { agent, .. }
            | HubEvent::Passed { agent, .. } => *agent = self.alias(agent),
            HubEvent::Listening { .. } | HubEvent::Stranger { .. } | HubEvent::Warning { .. } => {}
        }
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alias_is_the_same_at_one_hub_and_another_at_the_next() {
        let (key, other) = (Key::generate().expect("a key"), Key::generate().expect("a key"));
        let (here, there) = (Aliases::of(&key), Aliases::of(&other));
        let alias = here.alias("agent");
        assert_eq!(alias, Aliases::of(&key).alias("agent"));
        assert_ne!(alias, there.alias("agent"));
        assert_ne!(alias, here.alias("agenu"));
        assert!(alias.len() == 13 && alias.bytes().all(|b| b.is_ascii_hexdigit()), "{alias}");
    }

    #[test]
    fn no_event_names_an_agent_by_its_id() {
        let aliases = Aliases::of(&Key::generate().expect("a key"));
        let id = || "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k".to_owned();
        for event in [
            HubEvent::Connected { agent: id() },
            HubEvent::Away { agent: id(), why: "it went away".into() },
            HubEvent::Relayed {
                agent: id(),
                provider: "lab".into(),
                grant: "g".into(),
                method: "GET".into(),
                status: 200,
            },
            HubEvent::Passed { agent: id(), grant: "g".into(), bytes_count: 1, broken: None },
        ] {
            let shown = serde_json::to_string(&aliases.hide(event)).expect("written");
            assert!(shown.contains(&aliases.alias(&id())) && !shown.contains(&id()), "{shown}");
        }
    }
}
