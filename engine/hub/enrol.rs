//! How owners' computers join, change their key, leave, and are cut off when they were lost.
//!
//! ```text
//! operator  invite LABEL ──► code ──► owner
//! agent     GET  /v1/join                     [`JoinOffer`]   who the hub says it is
//! agent     POST /v1/join            JWS of   [`JoinAsk`]     by its key, with a proof of the code
//! hub                                         [`JoinAnswer`]  with the hub's proof of the code
//! agent     POST /v1/agents/ID/key            [`KeyChange`]   signed by the old key and the new
//! agent     POST /v1/agents/ID/leave  JWS of  [`Leave`]
//! ```
//!
//! The agent does not trust the certificate of the connection when it joins: the code proves more.
//! Both proofs are over both keys, both nonces and the certificate that each side sees, so nobody
//! in between can put in keys of their own (`code`).
//!
//! A key that was changed is one for the hub alone: grants and consent stay signed by the agent's own
//! key. A computer that joins shows that it has that one too ([`GrantKey`]), and the hub keeps it
//! beside the other: an offer has to be signed with it.
//!
//! Knows no HTTP: `http/enrol.rs` does; and no TLS: it is told which certificate the hub shows.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::code::{Code, Transcript, Verifier};
use super::operators::{self, Action, Actor, Deed, OperatorError};
use super::protocol::PROTOCOL;
use super::tries::Tries;
use crate::access::jws;
use crate::access::key::{Key, PublicKey};
use crate::base::clock::Timestamp;
use crate::base::ids::ContentHash;
use crate::store::StoreError;
use crate::store::hub::{ActionRow, AgentKeys, AgentRow, AgentState, CodeRow, HubStore, Joined};

/// Kind of the signed text of a [`JoinAsk`].
pub const JOIN: &str = "signet-join+jws";
/// As [`JOIN`], of a [`GrantKey`].
pub const GRANT_KEY: &str = "signet-grant-key+jws";
/// As [`JOIN`], of a [`NewKey`].
pub const NEW_KEY: &str = "signet-new-key+jws";
/// As [`JOIN`], of a [`Leave`].
pub const LEAVE: &str = "signet-leave+jws";

/// Longest body of any of these requests, in bytes.
pub const ENROL_BYTES_MAX: usize = 16 * 1024;

/// How long a code is good unless the operator says otherwise, in hours.
pub const CODE_HOURS: u32 = 48;

/// Longest time that a code may be good, in hours.
const CODE_HOURS_MAX: u32 = 24 * 30;

/// How long the hub's nonce is good.
const NONCE_MS: i64 = 2 * 60 * 1000;

/// How far apart the clocks of a hub and an agent that leaves may be.
const CLOCKS_MS: i64 = 5 * 60 * 1000;

/// Wrong codes from one address before it has to wait.
const WRONG_CODES_MAX: u32 = 10;

/// How long it waits then.
const WAIT_MS: i64 = 15 * 60 * 1000;

/// Longest label, in characters.
pub const LABEL_CHARS_MAX: usize = 60;

/// Who the hub says it is, to somebody who is about to join. Believed only with its proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinOffer {
    /// The hub's Ed25519 key, base64url.
    pub hub_key: String,
    /// Good for two minutes.
    pub nonce: String,
    /// SHA-256 of the certificate that the hub made itself, lower-case hex; absent where it shows
    /// one that browsers trust, or something in front of it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// [`PROTOCOL`]
    pub protocol: u32,
    /// Who runs it.
    pub name: String,
}

/// What a computer that joins signs with its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinAsk {
    /// Its Ed25519 key for this hub, base64url.
    pub key: String,
    /// The hub that it sees.
    pub hub_key: String,
    /// The hub's nonce.
    pub hub_nonce: String,
    /// 32 random bytes of its own, base64url.
    pub nonce: String,
    /// SHA-256 of the certificate that it sees; empty where the hub named none.
    pub certificate: String,
    /// Names the code.
    pub code: ContentHash,
    /// Proves that it knows the code, base64url.
    pub proof: String,
    /// JWS of a [`GrantKey`] by the key that it names.
    pub grant_key: String,
}

/// What the key signs that a computer signs grants with, so that nobody names somebody else's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantKey {
    /// That key, base64url.
    pub grant_key: String,
    /// The key of the computer that joins with it, base64url.
    pub key: String,
    /// The hub that it joins.
    pub hub_key: String,
    /// The hub's nonce.
    pub hub_nonce: String,
}

/// What a computer gets that joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinAnswer {
    /// Its id.
    pub agent_id: String,
    /// Where providers reach it: `https://hub.example/o/AGENT`.
    pub base_url: String,
    /// What the operator calls it.
    pub label: String,
    /// Proves that the hub knows the code, over all of the above but the label; base64url.
    pub proof: String,
}

/// A change of key, signed by both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyChange {
    /// JWS of a [`NewKey`] by the key that was.
    pub by_old: String,
    /// JWS of the same by the key that will be.
    pub by_new: String,
}

/// What both keys sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// The agent's id at the hub.
    pub agent_id: String,
    /// The hub that is meant.
    pub hub_key: String,
    /// The key that was, base64url.
    pub old: String,
    /// The key that will be, base64url.
    pub new: String,
}

/// What an agent signs that leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leave {
    /// The agent's id at the hub.
    pub agent_id: String,
    /// The hub that is meant.
    pub hub_key: String,
    /// When.
    pub at: Timestamp,
}

/// Why nobody joined, or nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// No such code, or the proof does not hold: nobody is told which.
    #[error("the code is wrong, was used, or its time is over: ask for another one")]
    Code,
    /// Too many wrong codes from one address.
    #[error("too many wrong codes: try again in {} minutes", wait_ms.div_euclid(60_000) + 1)]
    Wait {
        /// For how long.
        wait_ms: i64,
    },
    /// The nonce is not ours or too old.
    #[error("that took too long: try again")]
    Nonce,
    /// The two sides see different keys or certificates.
    #[error(
        "the agent sees another certificate than the hub shows: somebody is in between, or the \
         address is another hub's"
    )]
    Between,
    /// The key is another agent's, or one that was lost.
    #[error("this key is known here already: run `signet hub leave` first")]
    KeyTaken,
    /// The signed text is not what it should be.
    #[error("the request is not signed as it should be: {0}")]
    Signature(#[from] jws::JwsError),
    /// There is no such agent, or it may not do that.
    #[error("there is no such agent here, or its membership is over")]
    NoAgent,
    /// Not possible; nothing was changed.
    #[error("{0}")]
    Refused(String),
    /// The operator may not, or their action could not be noted.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random(#[from] getrandom::Error),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A bug.
    #[error("a request broke off: {0}")]
    Broken(String),
}

/// Somebody who wants to join.
#[derive(Debug, Clone, Copy)]
pub struct Knock<'a> {
    /// JWS of a [`JoinAsk`].
    pub ask: &'a str,
    /// Address that it came from.
    pub remote: &'a str,
}

/// Where computers join: what the hub shows them, and who has to wait.
#[derive(Debug)]
pub struct Desk {
    hub_key: String,
    nonce_secret: [u8; 32],
    name: String,
    url: String,
    wrong_codes: Tries,
}

impl Desk {
    /// A desk of the hub with this key.
    ///
    /// - `name`: who runs it
    /// - `url`: how agents and providers name it, no slash at the end
    pub fn new(key: &Key, name: &str, url: &str) -> Self {
        Self {
            hub_key: key.public().to_string(),
            nonce_secret: key.derived("signet join nonce v1"),
            name: name.into(),
            url: url.into(),
            wrong_codes: Tries::new(WRONG_CODES_MAX, WAIT_MS),
        }
    }

    /// Who the hub is, for somebody who is about to join.
    ///
    /// - `pinned`: SHA-256 of the certificate that it made itself, lower-case hex; `None` where it
    ///   shows one that browsers trust
    ///
    /// # Errors
    /// Only when the system gives no random numbers.
    pub fn offer(&self, pinned: Option<String>, now: Timestamp) -> Result<JoinOffer, EnrolError> {
        Ok(JoinOffer {
            hub_key: self.hub_key.clone(),
            nonce: self.nonce(now)?,
            certificate: pinned,
            protocol: PROTOCOL,
            name: self.name.clone(),
        })
    }

    /// Lets a computer join; may be repeated by the same.
    ///
    /// - `pinned`: as for [`Self::offer`]
    ///
    /// # Errors
    /// As [`EnrolError`] says; nothing was changed then.
    pub fn join(
        &self,
        store: &dyn HubStore,
        knock: Knock<'_>,
        pinned: Option<&str>,
        now: Timestamp,
    ) -> Result<JoinAnswer, EnrolError> {
        let (ask, key): (JoinAsk, PublicKey) =
            signed_by_itself(knock.ask, JOIN, |ask: &JoinAsk| &ask.key)?;
        if ask.hub_key != self.hub_key || ask.certificate != pinned.unwrap_or_default() {
            return Err(EnrolError::Between);
        }
        if !self.is_nonce(&ask.hub_nonce, now) {
            return Err(EnrolError::Nonce);
        }
        let (grants, _): (GrantKey, _) =
            signed_by_itself(&ask.grant_key, GRANT_KEY, |said: &GrantKey| &said.grant_key)?;
        if (&grants.key, &grants.hub_key, &grants.hub_nonce)
            != (&ask.key, &ask.hub_key, &ask.hub_nonce)
        {
            return Err(EnrolError::Signature(jws::JwsError::Malformed));
        }
        self.wrong_codes
            .begin(knock.remote, now)
            .map_err(|wait_ms| EnrolError::Wait { wait_ms })?;
        let mut seen = Transcript {
            agent_key: ask.key.clone(),
            hub_key: ask.hub_key,
            certificate: ask.certificate,
            agent_nonce: ask.nonce,
            hub_nonce: ask.hub_nonce,
            given: Default::default(),
        };
        let code = store.code(&ask.code, now)?.ok_or(EnrolError::Code)?;
        let verifier = Verifier(code.verifier);
        let proof = URL_SAFE_NO_PAD.decode(&ask.proof).ok().and_then(|b| b.try_into().ok());
        if !proof.is_some_and(|proof| verifier.believes(&proof, &seen)) {
            return Err(EnrolError::Code);
        }
        self.wrong_codes.right(knock.remote);
        let keys = AgentKeys { key: &ask.key, grant_key: &grants.grant_key };
        let row = match store.join(&code.code_hash, &key.thumbprint(), keys, now)? {
            Joined::New(row) => {
                note(store, &row, "agent.joined", &row.label, now)?;
                row
            }
            Joined::Again(row) => row,
            Joined::NoCode => return Err(EnrolError::Code),
            Joined::KeyTaken => return Err(EnrolError::KeyTaken),
        };
        let base_url = format!("{}/o/{}", self.url, row.agent_id);
        seen.given = [row.agent_id, base_url];
        let proof = URL_SAFE_NO_PAD.encode(verifier.prove(&seen));
        let [agent_id, base_url] = seen.given;
        Ok(JoinAnswer { agent_id, base_url, label: row.label, proof })
    }

    /// Puts another key in the place of an agent's; may be repeated.
    ///
    /// # Errors
    /// `NoAgent`, `Signature`, `Refused` when the old key is not its key any more.
    pub fn change_key(
        &self,
        store: &dyn HubStore,
        agent_id: &str,
        change: &KeyChange,
        now: Timestamp,
    ) -> Result<(), EnrolError> {
        let row = self.active(store, agent_id)?;
        let (said, _): (NewKey, _) =
            signed_by_itself(&change.by_old, NEW_KEY, |said: &NewKey| &said.old)?;
        let (same, _): (NewKey, _) =
            signed_by_itself(&change.by_new, NEW_KEY, |said: &NewKey| &said.new)?;
        if said != same || said.agent_id != agent_id || said.hub_key != self.hub_key {
            return Err(EnrolError::Refused("the two keys did not sign the same".into()));
        }
        // The answer to this very change was lost.
        if row.key == said.new {
            return Ok(());
        }
        if row.key != said.old || !store.change_key(agent_id, &said.old, &said.new, now)? {
            return Err(EnrolError::Refused(
                "the old key is not the one of this agent, or the new one is another's".into(),
            ));
        }
        note(store, &row, "agent.key", "", now)
    }

    /// Ends a membership by the agent's own will; may be repeated.
    ///
    /// - `text`: JWS of a [`Leave`]
    ///
    /// # Errors
    /// `NoAgent`, `Signature`.
    pub fn leave(
        &self,
        store: &dyn HubStore,
        agent_id: &str,
        text: &str,
        now: Timestamp,
    ) -> Result<(), EnrolError> {
        let row = store.agent(agent_id)?.ok_or(EnrolError::NoAgent)?;
        let key: PublicKey = row.key.parse().ok().ok_or(EnrolError::NoAgent)?;
        let said: Leave = jws::parse(text, LEAVE)?.verify(&key)?;
        let apart_ms = said.at.0.saturating_sub(now.0).saturating_abs();
        if said.agent_id != agent_id || said.hub_key != self.hub_key || apart_ms > CLOCKS_MS {
            return Err(EnrolError::Signature(jws::JwsError::Malformed));
        }
        match row.state {
            AgentState::Left => Ok(()),
            AgentState::Lost => Err(EnrolError::NoAgent),
            AgentState::Active => {
                store.set_agent_state(agent_id, AgentState::Left, "left by itself", now)?;
                note(store, &row, "agent.left", "", now)
            }
        }
    }

    fn active(&self, store: &dyn HubStore, agent_id: &str) -> Result<AgentRow, EnrolError> {
        let row = store.agent(agent_id)?.filter(|row| row.state == AgentState::Active);
        row.ok_or(EnrolError::NoAgent)
    }

    /// Time and random bytes with a code over both: nothing has to be remembered of it.
    fn nonce(&self, now: Timestamp) -> Result<String, getrandom::Error> {
        let mut bytes = [0; 48];
        getrandom::fill(&mut bytes)?;
        bytes[..8].copy_from_slice(&now.0.to_be_bytes());
        let mac = hmac_sha256::HMAC::mac(&bytes[..16], self.nonce_secret);
        bytes[16..].copy_from_slice(&mac);
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    fn is_nonce(&self, nonce: &str, now: Timestamp) -> bool {
        let bytes = URL_SAFE_NO_PAD.decode(nonce).unwrap_or_default();
        let Some((said, mac)) = bytes.split_at_checked(16) else { return false };
        let (Some(at), Ok(mac)) = (said.first_chunk::<8>(), mac.try_into()) else { return false };
        let age_ms = now.0.saturating_sub(i64::from_be_bytes(*at));
        hmac_sha256::HMAC::verify(said, self.nonce_secret, mac) && (0..=NONCE_MS).contains(&age_ms)
    }
}

/// Makes a code for one computer.
///
/// - `replaces`: the lost agent whose place it takes
///
/// # Errors
/// `Refused` for a label or time that is not possible, or an agent that is not lost.
pub fn invite(
    store: &dyn HubStore,
    actor: &Actor,
    label: &str,
    hours: u32,
    replaces: Option<&str>,
    now: Timestamp,
) -> Result<(Code, CodeRow), EnrolError> {
    let printable = label.chars().all(|char| !char.is_control());
    if !(1..=LABEL_CHARS_MAX).contains(&label.chars().count()) || !printable {
        return Err(EnrolError::Refused(format!(
            "a label has 1 to {LABEL_CHARS_MAX} characters and no control characters"
        )));
    }
    if !(1..=CODE_HOURS_MAX).contains(&hours) {
        return Err(EnrolError::Refused(format!("a code is good for 1 to {CODE_HOURS_MAX} hours")));
    }
    if let Some(agent_id) = replaces {
        match store.agent(agent_id)?.map(|row| (row.state, row.replaced_by)) {
            Some((AgentState::Lost, None)) => {}
            Some((AgentState::Lost, Some(other))) => {
                return Err(EnrolError::Refused(format!(
                    "`{other}` took the place of `{agent_id}`: if that one is lost as well, run \
                     `signet hub lost {other}` and invite one in its place"
                )));
            }
            Some((AgentState::Active | AgentState::Left, _)) => {
                return Err(EnrolError::Refused(format!(
                    "`{agent_id}` is not lost: run `signet hub lost {agent_id}` first"
                )));
            }
            None => return Err(EnrolError::Refused(format!("there is no agent `{agent_id}`"))),
        }
    }
    let code = Code::generate()?;
    let verifier = code.verifier();
    let row = CodeRow {
        code_hash: verifier.name(),
        verifier: verifier.0,
        label: label.into(),
        replaces: replaces.map(str::to_owned),
        made_at: now,
        expires_at: now.plus_millis(i64::from(hours) * 60 * 60 * 1000),
    };
    let place = replaces.map(|agent_id| format!(" in the place of {agent_id}")).unwrap_or_default();
    let detail = format!("good for {hours} hours{place}");
    let deed = Deed { action: Action::Invite, subject: label, detail };
    operators::act(store, actor, &deed, now, || store.put_code(&row).map_err(EnrolError::from))?;
    Ok((code, row))
}

/// Cuts off a computer that was lost, or ends a membership. Its offers are withdrawn; the running
/// hub closes its channel within a second.
///
/// # Errors
/// `NoAgent`, or the operator may not.
pub fn cut_off(
    store: &dyn HubStore,
    actor: &Actor,
    agent_id: &str,
    state: AgentState,
    why: &str,
    now: Timestamp,
) -> Result<AgentRow, EnrolError> {
    let action = match state {
        AgentState::Lost => Action::Lose,
        AgentState::Left => Action::RemoveAgent,
        AgentState::Active => {
            return Err(EnrolError::Refused("a computer is let in by a code only".into()));
        }
    };
    let deed = Deed { action, subject: agent_id, detail: why.into() };
    operators::act(store, actor, &deed, now, || {
        match store.set_agent_state(agent_id, state, why, now)? {
            true => store.agent(agent_id)?.ok_or(EnrolError::NoAgent),
            false => Err(EnrolError::NoAgent),
        }
    })
}

/// Notes what an agent did by itself, so that operators see it where they see their own actions.
fn note(
    store: &dyn HubStore,
    row: &AgentRow,
    action: &str,
    detail: &str,
    now: Timestamp,
) -> Result<(), EnrolError> {
    let subject = row.agent_id.clone();
    let (action, detail) = (action.to_owned(), detail.to_owned());
    let row = ActionRow { at: now, operator: operators::AGENT.into(), action, subject, detail };
    Ok(store.note_action(&row)?)
}

/// Reads a text that is signed by the key that it names: it proves that its sender has that key.
fn signed_by_itself<T: serde::de::DeserializeOwned>(
    text: &str,
    typ: &str,
    key: impl Fn(&T) -> &str,
) -> Result<(T, PublicKey), jws::JwsError> {
    let unverified = jws::parse(text, typ)?;
    let malformed = jws::JwsError::Malformed;
    let said: T = serde_json::from_slice(unverified.payload()).ok().ok_or(malformed)?;
    let key: PublicKey = key(&said).parse().ok().ok_or(malformed)?;
    let said = unverified.verify(&key)?;
    Ok((said, key))
}

#[cfg(test)]
mod tests;
