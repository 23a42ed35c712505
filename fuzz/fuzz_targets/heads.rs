//! Signed heads of logs and the greetings of agent and hub: whatever is done to one, nothing but what
//! was signed is believed.
//!
//! The first byte says what is altered, the next two where, the next how much of it goes; the rest is
//! put there. With nothing to alter the rest is the text.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use signet::access::Key;
use signet::base::ids::ContentHash;
use signet::hub::greeting;
use signet::hub::protocol::{HubHello, HubWelcome};
use signet::ledger::checkpoint;
use signet::ledger::tree::Head;

const ORIGIN: &str = "signet/agent/kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

struct Said {
    key: Key,
    note: String,
    hello: HubHello,
    agent_hello: String,
    agent_id: String,
    nonce: String,
    welcome: String,
}

static SAID: LazyLock<Said> = LazyLock::new(|| {
    let (key, hub) = (Key::generate().expect("a key"), Key::generate().expect("a key"));
    let head = Head { size: 1047, root: ContentHash::of(b"root") };
    let hello = greeting::hub_hello(&hub.public()).expect("said");
    let agent_id = key.public().thumbprint();
    let hub_key = hub.public().to_string();
    let (agent_hello, nonce) =
        greeting::agent_hello(&hello, &hub_key, &agent_id, &key).expect("said");
    let row = checkpoint::sign(ORIGIN, head, &key);
    let welcome = HubWelcome {
        agent_id: agent_id.clone(),
        nonce: nonce.clone(),
        base_url: "https://hub.example.org/o/a".into(),
        agent_log_size: 7,
        hub_log: Some(row.clone()),
    };
    // One key for all of it: a text of one kind must not pass for another.
    let welcome = greeting::welcome(&key, &welcome).expect("said");
    Said { note: row.note, key, hello, agent_hello, agent_id, nonce, welcome }
});

fn altered(text: &str, [high, low, gone]: [u8; 3], new: &str) -> Option<String> {
    let at = usize::from(u16::from_be_bytes([high, low])) % (text.len() + 1);
    let end = (at + usize::from(gone)).min(text.len());
    Some(format!("{}{new}{}", text.get(..at)?, text.get(end..)?))
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&[kind, high, low, gone], rest)) = bytes.split_first_chunk::<4>() else { return };
    let Ok(new) = std::str::from_utf8(rest) else { return };
    let said = &*SAID;
    let text = match kind % 4 {
        0 => Some(new.to_owned()),
        1 => altered(&said.note, [high, low, gone], new),
        2 => altered(&said.agent_hello, [high, low, gone], new),
        _ => altered(&said.welcome, [high, low, gone], new),
    };
    let Some(text) = text else { return };
    let key = said.key.public();
    let is_believed = checkpoint::read(&text, ORIGIN, &key).is_ok();
    assert_eq!(is_believed, text == said.note, "{text}");
    let is_believed = greeting::read_agent_hello(&text, &said.hello).is_ok();
    assert_eq!(is_believed, text == said.agent_hello, "{text}");
    let is_believed = greeting::read_welcome(&text, &key, &said.agent_id, &said.nonce).is_ok();
    assert_eq!(is_believed, text == said.welcome, "{text}");
});
