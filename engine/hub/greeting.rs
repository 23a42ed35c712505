//! How an agent and its hub prove to each other who they are, when a channel begins.
//!
//! ```text
//! hub    hello     its key and a nonce                      worth nothing yet
//! agent  hello     both nonces and the hub's key, signed    the hub knows the agent
//! hub    welcome   the agent's id and nonce, signed         the agent knows the hub
//! ```
//!
//! Each signs what the other chose, so nothing said before is of use again; the agent names the hub
//! that it means, so nobody can hand its hello on to another hub.
//!
//! Plain functions; knows neither sockets nor the store.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::protocol::{AGENT_HELLO, AgentHello, HUB_WELCOME, HubHello, HubWelcome, PROTOCOL};
use crate::access::jws::{self, JwsError};
use crate::access::{Key, PublicKey};

/// Why one side does not believe the other.
#[derive(Debug, thiserror::Error)]
pub enum GreetingError {
    /// Not what is said at this point.
    #[error("the greeting is malformed")]
    Malformed(#[from] serde_json::Error),
    /// Its signature.
    #[error(transparent)]
    Signature(#[from] JwsError),
    /// It is about another connection, another hub or another agent.
    #[error("the greeting was made for another connection")]
    Other,
    /// Another version of the messages.
    #[error("it speaks version {0} of the protocol, this program version {PROTOCOL}: update both")]
    Version(u32),
    /// The key is not the one that was pinned.
    #[error(
        "this is not the hub that this computer joined: it shows the key `{0}`; nothing was said to it"
    )]
    OtherHub(String),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random(#[from] getrandom::Error),
}

/// 32 random bytes, base64url: names something that nobody can guess.
///
/// # Errors
/// Only when the system gives no random numbers.
pub fn nonce() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Whether a text has the shape of a [`nonce`], a public key or a thumbprint.
pub fn is_nonce(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// What a hub says first.
///
/// # Errors
/// Only when the system gives no random numbers.
pub fn hub_hello(key: &PublicKey) -> Result<HubHello, GreetingError> {
    Ok(HubHello { hub_key: key.to_string(), nonce: nonce()?, protocol: PROTOCOL })
}

/// What an agent answers: the signed text, and the nonce in it.
///
/// - `hub_key`: the one that was pinned
///
/// # Errors
/// When the hub is another one, or of another version.
pub fn agent_hello(
    hello: &HubHello,
    hub_key: &str,
    agent_id: &str,
    key: &Key,
) -> Result<(String, String), GreetingError> {
    if hello.hub_key != hub_key {
        return Err(GreetingError::OtherHub(hello.hub_key.chars().take(43).collect()));
    }
    if hello.protocol != PROTOCOL {
        return Err(GreetingError::Version(hello.protocol));
    }
    let nonce = nonce()?;
    let said = AgentHello {
        agent_id: agent_id.to_owned(),
        key: key.public().to_string(),
        hub_key: hub_key.to_owned(),
        hub_nonce: hello.nonce.clone(),
        nonce: nonce.clone(),
        protocol: PROTOCOL,
        program: concat!("signet/", env!("CARGO_PKG_VERSION")).to_owned(),
    };
    Ok((jws::sign(key, &jws::header(AGENT_HELLO, key), &said)?, nonce))
}

/// Reads what an agent answered. It holds the key that it names; whether that is the key of the
/// agent that it says it is, only the store knows.
///
/// # Errors
/// When it is not an answer to `hello`.
pub fn read_agent_hello(text: &str, hello: &HubHello) -> Result<AgentHello, GreetingError> {
    let parsed = jws::parse(text, AGENT_HELLO)?;
    let named: AgentHello = serde_json::from_slice(parsed.payload())?;
    let key: PublicKey = named.key.parse().ok().ok_or(JwsError::Malformed)?;
    let said: AgentHello = parsed.verify(&key)?;
    if said.hub_key != hello.hub_key || said.hub_nonce != hello.nonce || !is_nonce(&said.agent_id) {
        return Err(GreetingError::Other);
    }
    if said.protocol != PROTOCOL {
        return Err(GreetingError::Version(said.protocol));
    }
    Ok(said)
}

/// Signs a welcome.
///
/// # Errors
/// Only when it cannot be written as JSON.
pub fn welcome(key: &Key, welcome: &HubWelcome) -> Result<String, GreetingError> {
    Ok(jws::sign(key, &jws::header(HUB_WELCOME, key), welcome)?)
}

/// Reads a welcome: from here on the agent knows that this is its hub.
///
/// # Errors
/// When the hub did not sign it, or not for this agent and this connection.
pub fn read_welcome(
    text: &str,
    hub_key: &PublicKey,
    agent_id: &str,
    nonce: &str,
) -> Result<HubWelcome, GreetingError> {
    let said: HubWelcome = jws::parse(text, HUB_WELCOME)?.verify(hub_key)?;
    match said.agent_id == agent_id && said.nonce == nonce {
        true => Ok(said),
        false => Err(GreetingError::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Two {
        hub: Key,
        agent: Key,
        hello: HubHello,
    }

    impl Two {
        fn new() -> Self {
            let (hub, agent) = (Key::generate().expect("a key"), Key::generate().expect("a key"));
            let hello = hub_hello(&hub.public()).expect("hello");
            Self { hub, agent, hello }
        }

        fn id(&self) -> String {
            self.agent.public().thumbprint()
        }
    }

    #[test]
    fn both_sides_know_each_other_in_the_end() {
        let two = Two::new();
        let hub_key = two.hub.public().to_string();
        let (text, nonce) = agent_hello(&two.hello, &hub_key, &two.id(), &two.agent).expect("said");
        let heard = read_agent_hello(&text, &two.hello).expect("believed");
        assert_eq!((heard.agent_id, heard.key), (two.id(), two.agent.public().to_string()));
        let said = HubWelcome {
            agent_id: two.id(),
            nonce: nonce.clone(),
            base_url: "https://hub/o/a".into(),
            agent_log_size: 0,
            hub_log: None,
        };
        let text = welcome(&two.hub, &said).expect("signed");
        let key = two.hub.public();
        assert_eq!(read_welcome(&text, &key, &two.id(), &nonce).expect("believed"), said);
        assert!(read_welcome(&text, &key, &two.id(), "another").is_err());
        assert!(read_welcome(&text, &key, "another", &nonce).is_err());
        assert!(read_welcome(&text, &two.agent.public(), &two.id(), &nonce).is_err());
    }

    #[test]
    fn another_hub_gets_no_hello_and_cannot_use_one_that_it_heard() {
        let (two, other) = (Two::new(), Two::new());
        let hub_key = two.hub.public().to_string();
        let refused = agent_hello(&other.hello, &hub_key, &two.id(), &two.agent);
        assert!(matches!(refused, Err(GreetingError::OtherHub(_))));
        let (text, _) = agent_hello(&two.hello, &hub_key, &two.id(), &two.agent).expect("said");
        // The other one hands it on, or somebody says it again later.
        assert!(matches!(read_agent_hello(&text, &other.hello), Err(GreetingError::Other)));
        let later = HubHello { nonce: nonce().expect("random"), ..two.hello.clone() };
        assert!(matches!(read_agent_hello(&text, &later), Err(GreetingError::Other)));
    }

    #[test]
    fn hello_signed_by_another_key_than_it_names_is_not_believed() {
        let (two, thief) = (Two::new(), Key::generate().expect("a key"));
        let claims = AgentHello {
            agent_id: two.id(),
            key: two.agent.public().to_string(),
            hub_key: two.hello.hub_key.clone(),
            hub_nonce: two.hello.nonce.clone(),
            nonce: nonce().expect("random"),
            protocol: PROTOCOL,
            program: String::new(),
        };
        let text = jws::sign(&thief, &jws::header(AGENT_HELLO, &thief), &claims).expect("signed");
        let read = read_agent_hello(&text, &two.hello);
        assert!(matches!(read, Err(GreetingError::Signature(JwsError::Signature))));
        let new = AgentHello { protocol: PROTOCOL + 1, ..claims };
        let text = jws::sign(&two.agent, &jws::header(AGENT_HELLO, &two.agent), &new);
        let read = read_agent_hello(&text.expect("signed"), &two.hello);
        assert!(matches!(read, Err(GreetingError::Version(2))));
    }
}
