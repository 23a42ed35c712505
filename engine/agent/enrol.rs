//! The owner's side of a membership: joins a hub, changes the key, leaves.
//!
//! ```text
//! HOME/hub.json                the hub, its key, its certificate where it made that itself
//! HOME/keys/agent.key          who this computer is there, until that is changed
//! HOME/keys/hub-identity.key   who it is there since then
//! HOME/keys/hub-identity.next  the key that is about to take its place
//! ```
//!
//! Joining trusts nothing but the code: neither the certificate nor the name of the hub. `hub.json`
//! is written when the hub has proven that it knows the code as well, over the keys and the
//! certificate that were seen here.
//!
//! A change of key that was cut off anywhere is finished by doing it again: the new key is on disk
//! before the hub hears of it, the hub takes the same change twice, and the old key is let go last.
//! [`finish_change`] does that whenever the agent connects. One at a time changes it.
//!
//! Grants and consent are signed by `agent.key`, which stays: the hub keeps it from the joining on, and
//! knows grants by it whatever the other key is. The own log is signed with the key that
//! the hub knows: its newest head gets the new signature together with the change.

mod dial;

use std::fs::File;
use std::path::PathBuf;

use axum::http::Uri;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde_json::Value;

use self::dial::{Question, Reply};
use super::reach::Trust;
use crate::access::jws;
use crate::access::key::{Key, KeyError};
use crate::access::membership::{Membership, MembershipError};
use crate::base::clock::Timestamp;
use crate::base::files::sync_folder;
use crate::base::home::Home;
use crate::base::ids::ContentHash;
use crate::hub::code::{Code, Transcript};
use crate::hub::enrol::{
    GRANT_KEY, GrantKey, JOIN, JoinAnswer, JoinAsk, JoinOffer, KeyChange, LEAVE, Leave, NEW_KEY,
    NewKey,
};
use crate::hub::protocol::PROTOCOL;
use crate::ledger::own_log::{OwnLogError, Signer, signed_head};
use crate::orders::outward::{Outward, Refusal};
use crate::store::log::OWN;
use crate::store::{State, StoreError};

/// Why a hub was not joined, left or told of a new key.
#[derive(Debug, thiserror::Error)]
pub enum HubCallError {
    /// No address of a hub.
    #[error("`{url}` is no address of a hub: {why}")]
    Address {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// It is where this computer does not call.
    #[error(transparent)]
    Gate(#[from] Refusal),
    /// Nobody answered.
    #[error("the hub at `{url}` cannot be reached: {why}")]
    Away {
        /// Where it should be.
        url: String,
        /// What went wrong.
        why: String,
    },
    /// Keys or certificates are not the same on both sides.
    #[error(
        "somebody is between this computer and the hub, or another hub is at that address: nothing \
         was told to it but what is of no use to anybody"
    )]
    Between,
    /// `certificate` in `hub.json` is damaged.
    #[error("`certificate` in hub.json is damaged: join the hub anew with `signet hub join`")]
    Pin,
    /// It is no hub, or one of another version.
    #[error("`{url}` does not answer as a hub of this version does: {why}")]
    NoHub {
        /// Where it should be.
        url: String,
        /// What it said.
        why: String,
    },
    /// The hub said no.
    #[error("the hub says: {0}")]
    Refused(String),
    /// There is no hub to speak to.
    #[error("this computer joined no hub: `signet hub join URL CODE` does")]
    None,
    /// It joined already.
    #[error("this computer joined `{url}` already: run `signet hub leave` first")]
    Already {
        /// Which one.
        url: String,
    },
    /// A key file could not be put in its place, or is held by somebody else.
    #[error("`{}` cannot be used", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// `hub.json`.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// The own log could not be signed.
    #[error(transparent)]
    Log(#[from] OwnLogError),
    /// `state.sqlite`.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random(#[from] getrandom::Error),
    /// A text could not be written as JSON.
    #[error("a message cannot be written")]
    Json(#[from] serde_json::Error),
}

/// A hub as it was joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// What is kept of it.
    pub membership: Membership,
    /// Who runs it.
    pub name: String,
    /// What its operator calls this computer.
    pub label: String,
}

/// Joins a hub with a code. May be repeated with the same code when its answer was lost.
///
/// - `url`: `https://hub.example:8443`; without TLS only on this computer
///
/// # Errors
/// As [`HubCallError`] says; this computer joined nothing then.
pub fn join(
    home: &Home,
    url: &str,
    code: &Code,
    outward: &Outward,
    now: Timestamp,
) -> Result<Joined, HubCallError> {
    if let Some(other) = Membership::load(home)? {
        return Err(HubCallError::Already { url: other.url });
    }
    let url = checked(url)?;
    outward.spot(url)?;
    let reply = call(url, &Trust::Any, outward, "/v1/join", None)?;
    let offer: JoinOffer = read(url, &reply)?;
    if offer.protocol != PROTOCOL {
        let why = format!("it speaks version {}, this program {PROTOCOL}", offer.protocol);
        return Err(HubCallError::NoHub { url: url.into(), why });
    }
    let pin = pin(&reply, &offer)?;

    let key = Membership::key(home)?;
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce)?;
    let mut seen = Transcript {
        agent_key: key.public().to_string(),
        hub_key: offer.hub_key,
        certificate: pin.map(|pin| pin.to_string()).unwrap_or_default(),
        agent_nonce: URL_SAFE_NO_PAD.encode(nonce),
        hub_nonce: offer.nonce,
        given: Default::default(),
    };
    let grant_key = Membership::grant_key(home)?;
    let grants = GrantKey {
        grant_key: grant_key.public().to_string(),
        key: seen.agent_key.clone(),
        hub_key: seen.hub_key.clone(),
        hub_nonce: seen.hub_nonce.clone(),
    };
    let ask = JoinAsk {
        key: seen.agent_key.clone(),
        hub_key: seen.hub_key.clone(),
        hub_nonce: seen.hub_nonce.clone(),
        nonce: seen.agent_nonce.clone(),
        certificate: seen.certificate.clone(),
        code: code.verifier().name(),
        proof: URL_SAFE_NO_PAD.encode(code.prove(&seen)),
        grant_key: jws::sign(&grant_key, &jws::header(GRANT_KEY, &grant_key), &grants)?,
    };
    let ask = jws::sign(&key, &jws::header(JOIN, &key), &ask)?;
    // From here on the certificate is the one that was seen, on this connection as on the first.
    let trust = trust(pin.as_ref());
    let answer: JoinAnswer = read(url, &call(url, &trust, outward, "/v1/join", Some(ask))?)?;
    seen.given = [answer.agent_id, answer.base_url];
    let proof = URL_SAFE_NO_PAD.decode(&answer.proof).ok().and_then(|b| b.try_into().ok());
    if !proof.is_some_and(|proof| code.verifier().believes_hub(&proof, &seen)) {
        return Err(HubCallError::Between);
    }
    let [agent_id, base_url] = seen.given;
    let membership = Membership {
        url: url.to_owned(),
        hub_key: seen.hub_key,
        certificate: pin.map(|pin| pin.to_string()),
        agent_id,
        base_url,
        joined_at: now,
    };
    membership.save(home)?;
    sign_log_anew(home, &membership.agent_id, &[&key], now)?;
    Ok(Joined { membership, name: offer.name, label: answer.label })
}

/// Which certificate to pin: the one that was seen, where the hub says that it made it itself. Where
/// it does not, the next connection asks what browsers think of it.
fn pin(reply: &Reply, offer: &JoinOffer) -> Result<Option<ContentHash>, HubCallError> {
    match (&offer.certificate, reply.certificate) {
        (None, _) => Ok(None),
        (Some(said), Some(seen)) if *said == seen.to_string() => Ok(Some(seen)),
        (Some(_), _) => Err(HubCallError::Between),
    }
}

fn trust(pin: Option<&ContentHash>) -> Trust {
    pin.map_or(Trust::Browsers, |pin| Trust::Pinned(*pin))
}

/// Tells the hub that this computer leaves, and forgets it.
///
/// - `anyway`: also when the hub cannot be told
///
/// # Errors
/// When there is no hub, or it cannot be told; nothing was forgotten then.
pub fn leave(
    home: &Home,
    outward: &Outward,
    anyway: bool,
    now: Timestamp,
) -> Result<Membership, HubCallError> {
    let hub = Membership::load(home)?.ok_or(HubCallError::None)?;
    let told = tell_leave(home, &hub, outward, now);
    match told {
        Err(error) if !anyway => return Err(error),
        Err(error) => tracing::warn!("left without telling the hub: {error}"),
        Ok(()) => {}
    }
    Membership::forget(home)?;
    Ok(hub)
}

fn tell_leave(
    home: &Home,
    hub: &Membership,
    outward: &Outward,
    now: Timestamp,
) -> Result<(), HubCallError> {
    let key = Membership::key(home)?;
    let said = Leave { agent_id: hub.agent_id.clone(), hub_key: hub.hub_key.clone(), at: now };
    let text = jws::sign(&key, &jws::header(LEAVE, &key), &said)?;
    let path = format!("/v1/agents/{}/leave", hub.agent_id);
    let _nothing: Value = ask(hub, outward, &path, text)?;
    Ok(())
}

/// Puts a new key in the place of the one that this computer has at its hub; says which it is now.
/// Finishes a change that was cut off instead, where there is one.
///
/// # Errors
/// When the hub did not take it; the old key is in force then, or the change is finished at the next
/// try.
pub fn change_key(home: &Home, outward: &Outward, now: Timestamp) -> Result<String, HubCallError> {
    let _turn = turn(home)?;
    let hub = Membership::load(home)?.ok_or(HubCallError::None)?;
    change(home, &hub, outward, now)
}

/// Finishes a change of key that was cut off; does nothing when there is none. Says whether there
/// was one.
///
/// # Errors
/// As [`change_key`].
pub fn finish_change(home: &Home, outward: &Outward, now: Timestamp) -> Result<bool, HubCallError> {
    let next = Membership::next_key_path(home);
    if !next.exists() {
        return Ok(false);
    }
    let _turn = turn(home)?;
    match Membership::load(home)? {
        Some(hub) if next.exists() => change(home, &hub, outward, now).map(|_key| true),
        _ => Ok(false),
    }
}

fn change(
    home: &Home,
    hub: &Membership,
    outward: &Outward,
    now: Timestamp,
) -> Result<String, HubCallError> {
    let old = Membership::key(home)?;
    let next_path = Membership::next_key_path(home);
    let new = Key::load_or_create(&next_path)?;
    let said = NewKey {
        agent_id: hub.agent_id.clone(),
        hub_key: hub.hub_key.clone(),
        old: old.public().to_string(),
        new: new.public().to_string(),
    };
    let change = KeyChange {
        by_old: jws::sign(&old, &jws::header(NEW_KEY, &old), &said)?,
        by_new: jws::sign(&new, &jws::header(NEW_KEY, &new), &said)?,
    };
    let path = format!("/v1/agents/{}/key", hub.agent_id);
    let _nothing: Value = ask(hub, outward, &path, serde_json::to_string(&change)?)?;
    sign_log_anew(home, &hub.agent_id, &[&old, &new], now)?;
    let path = Membership::key_path(home);
    std::fs::rename(&next_path, &path)
        .and_then(|()| sync_folder(&home.keys_dir()))
        .map_err(|source| HubCallError::File { path, source })?;
    Ok(said.new)
}

/// Signs the newest head of the own log as who this computer is now: with the new key after it was
/// found good with the old one; or with the key that it joins with, where somebody else signed it, as
/// in a backup of a lost computer.
fn sign_log_anew(
    home: &Home,
    agent_id: &str,
    keys: &[&Key],
    now: Timestamp,
) -> Result<(), HubCallError> {
    let state = State::open(&home.state_path())?;
    let Some(newest) = state.log_head(OWN)? else { return Ok(()) };
    for key in keys {
        signed_head(&state, Signer { agent_id, key }, newest.head.size, now)?;
    }
    Ok(())
}

/// Waits until nobody else changes the key; the system lets go of it however the process ends.
fn turn(home: &Home) -> Result<File, HubCallError> {
    let path = home.keys_dir().join("hub-identity.lock");
    let opened = File::options().create(true).truncate(false).write(true).open(&path);
    opened
        .and_then(|file| file.lock().map(|()| file))
        .map_err(|source| HubCallError::File { path, source })
}

fn ask<T: DeserializeOwned>(
    hub: &Membership,
    outward: &Outward,
    path: &str,
    body: String,
) -> Result<T, HubCallError> {
    let url = checked(&hub.url)?;
    let pin = hub.certificate.as_deref().map(str::parse).transpose();
    let pin: Option<ContentHash> = pin.map_err(|_no_hash| HubCallError::Pin)?;
    outward.spot(url)?;
    read(url, &call(url, &trust(pin.as_ref()), outward, path, Some(body))?)
}

fn call(
    url: &str,
    trust: &Trust,
    outward: &Outward,
    path: &str,
    body: Option<String>,
) -> Result<Reply, HubCallError> {
    dial::ask(Question { url, trust, path, body }, outward)
        .map_err(|why| HubCallError::Away { url: url.into(), why })
}

/// An address of a hub: scheme, host and port, nothing behind them, no slash at the end.
fn checked(url: &str) -> Result<&str, HubCallError> {
    let wrong = |why: &str| HubCallError::Address { url: url.into(), why: why.into() };
    let bare = url.trim_end_matches('/');
    let uri: Uri = bare.parse().map_err(|_no_url| wrong("it is no URL"))?;
    let authority = uri.authority().ok_or_else(|| wrong("it names no host"))?;
    if authority.as_str().contains('@') {
        return Err(wrong("it carries a name or password before the host"));
    }
    if uri.path_and_query().is_some_and(|rest| rest.as_str() != "/") {
        return Err(wrong("there is something behind its host"));
    }
    let here = ["localhost", "127.0.0.1", "[::1]"].contains(&authority.host());
    match uri.scheme_str() {
        Some("https") => Ok(bare),
        Some("http") if here => Ok(bare),
        _ => Err(wrong("it should begin with https://")),
    }
}

/// Reads an answer; one that says no is told with the hub's words.
fn read<T: DeserializeOwned>(url: &str, reply: &Reply) -> Result<T, HubCallError> {
    let no_hub = |why: String| HubCallError::NoHub { url: url.into(), why };
    if !(200..300).contains(&reply.status) {
        let problem: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let said = problem.get("detail").and_then(Value::as_str).unwrap_or_default();
        let said: String = said.chars().filter(|c| !c.is_control()).take(300).collect();
        return Err(match said.is_empty() {
            true => no_hub(format!("status {}", reply.status)),
            false => HubCallError::Refused(said),
        });
    }
    serde_json::from_slice(&reply.body).map_err(|error| no_hub(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_of_a_hub_is_scheme_host_and_port() {
        for url in ["https://hub.example", "https://hub.example:8443/", "http://127.0.0.1:8080"] {
            checked(url).expect(url);
        }
        for url in [
            "hub.example",
            "http://hub.example",
            "https://",
            "https://a:b@hub.example",
            "https://hub.example/hub",
            "https://hub.example?x",
            "ftp://hub.example",
            "",
        ] {
            assert!(matches!(checked(url), Err(HubCallError::Address { .. })), "{url}");
        }
    }
}
