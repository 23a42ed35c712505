//! Messages of the channel between an agent and a hub, and addresses that providers ask for.
//!
//! What is read as a message is written and read again as the same. An address that the hub hands on
//! names an agent and a grant, and nothing in it leads anywhere else.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;
use signet::hub::code::Code;
use signet::hub::greeting::is_nonce;
use signet::hub::protocol::{FromAgent, FromHub, Head, HubHello, HubWelcome};
use signet::hub::relay::{What, aim};

fn check<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(text: &str) {
    let Ok(message) = serde_json::from_str::<T>(text) else { return };
    let written = serde_json::to_string(&message).expect("written");
    assert_eq!(serde_json::from_str::<T>(&written).expect("read again"), message, "{written}");
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    check::<FromAgent>(text);
    check::<FromHub>(text);
    check::<HubHello>(text);
    check::<HubWelcome>(text);
    check::<Head>(text);
    if let Ok(code) = text.parse::<Code>() {
        assert_eq!(code.to_string().parse(), Ok(code));
    }
    let (method, path) = text.split_once(' ').unwrap_or(("GET", text));
    if let Ok(aim) = aim(method, path) {
        assert!(is_nonce(&aim.agent_id));
        assert!(
            path.starts_with("/o/") && !path.split('/').any(|piece| piece == ".." || piece == ".")
        );
        assert!(!path.contains(['?', '#', '\\']) && path.is_ascii(), "{path}");
        if let What::Content { grant_id } = aim.what {
            assert!(path.contains(&grant_id) && !grant_id.contains('/'));
        }
    }
});
