//! Operators: who they are, what they may do, and a note of everything they did.
//!
//! In:  a name with a password, or the token of a session.
//! Out: an [`Actor`], without whom nothing at the hub is changed: [`act`] is the one place where
//!      roles are checked and where actions are noted.
//!
//! Passwords are kept as Argon2id with the parameters that OWASP calls the least (19 MiB, two
//! passes, one lane), as PHC text. One is computed at a time, so that a crowd at the door
//! takes no more than 19 MiB. A name that is not there takes as long as a wrong password.
//!
//! An action is noted before it is done: one that a crash cut off is in the list, one that is not in
//! the list was not done. What failed gets a second note that says so.
//!
//! Knows no HTTP: `http/operator_api.rs` and the commands call it.

use std::sync::{Mutex, PoisonError};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::tries::Tries;
use crate::base::clock::Timestamp;
use crate::base::ids::ContentHash;
use crate::store::StoreError;
use crate::store::hub::{ActionRow, HubStore, OperatorRow, Role, SessionRow};

/// Shortest password, in characters.
pub const PASSWORD_CHARS_MIN: usize = 12;

/// Longest password, in bytes: hashing takes as long as the password is.
const PASSWORD_BYTES_MAX: usize = 1024;

/// How long a session holds.
pub const SESSION_MS: i64 = 12 * 60 * 60 * 1000;

/// What commands on the hub's own computer are noted as.
pub const HOST: &str = "host";

/// What agents did by themselves is noted as.
pub const AGENT: &str = "agent";

/// Wrong passwords for one name from one address, and from one address for any name, before it has
/// to wait.
const WRONG_MAX: (u32, u32) = (5, 20);

/// How long it waits then.
const WAIT_MS: i64 = 15 * 60 * 1000;

/// Something that changes the hub. Its word is what the list of actions shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Let a computer join.
    Invite,
    /// Believe nothing of a computer any more.
    Lose,
    /// End a membership.
    RemoveAgent,
    /// Add or change a provider, without its money.
    PutProvider,
    /// Let a provider fetch or not.
    SetProviderState,
    /// Tell a provider a new secret.
    RenewSecret,
    /// What a provider pays, what the service keeps, how far it may go below zero.
    SetMoney,
    /// A provider paid in.
    TopUp,
    /// An owner was paid.
    PayOut,
    /// Add an operator or change who they are.
    PutOperator,
    /// Change one's own password.
    ChangePassword,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Invite,
        Self::Lose,
        Self::RemoveAgent,
        Self::PutProvider,
        Self::SetProviderState,
        Self::RenewSecret,
        Self::SetMoney,
        Self::TopUp,
        Self::PayOut,
        Self::PutOperator,
        Self::ChangePassword,
    ];

    /// The word in the list of actions.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invite => "agent.invite",
            Self::Lose => "agent.lost",
            Self::RemoveAgent => "agent.remove",
            Self::PutProvider => "provider.set",
            Self::SetProviderState => "provider.state",
            Self::RenewSecret => "provider.secret",
            Self::SetMoney => "provider.money",
            Self::TopUp => "provider.top-up",
            Self::PayOut => "owner.pay-out",
            Self::PutOperator => "operator.set",
            Self::ChangePassword => "operator.password",
        }
    }

    /// The least role that may do it.
    const fn role(self) -> Role {
        match self {
            Self::ChangePassword => Role::Viewer,
            Self::Invite
            | Self::Lose
            | Self::RemoveAgent
            | Self::PutProvider
            | Self::SetProviderState
            | Self::RenewSecret => Role::Operator,
            Self::SetMoney | Self::TopUp | Self::PayOut | Self::PutOperator => Role::Admin,
        }
    }
}

/// Whether a role may do something.
pub fn may(role: Role, action: Action) -> bool {
    role >= action.role()
}

/// Who acts: an operator that signed in, or somebody at the hub's own computer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    name: String,
    role: Role,
}

impl Actor {
    /// Whoever may run commands in the hub's home: they could change its files as well.
    pub fn host() -> Self {
        Self { name: HOST.into(), role: Role::Admin }
    }

    /// Name in the list of actions.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What they may do.
    pub const fn role(&self) -> Role {
        self.role
    }
}

impl From<OperatorRow> for Actor {
    fn from(row: OperatorRow) -> Self {
        Self { name: row.name, role: row.role }
    }
}

/// What is done, to whom, with which values. No secrets.
#[derive(Debug, Clone)]
pub struct Deed<'a> {
    /// What.
    pub action: Action,
    /// To whom or what.
    pub subject: &'a str,
    /// With which values.
    pub detail: String,
}

/// Why an operator did not get in, or got nothing done.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// Wrong name or password; nobody is told which.
    #[error("name or password is wrong")]
    Wrong,
    /// Too many wrong tries.
    #[error("too many wrong passwords: try again in {} minutes", wait_ms.div_euclid(60_000) + 1)]
    Wait {
        /// For how long.
        wait_ms: i64,
    },
    /// Their role is not enough.
    #[error("`{name}` may not do that: `{action}` needs the role `{needs}`")]
    Role {
        /// Who.
        name: String,
        /// What they wanted.
        action: &'static str,
        /// The least role that may.
        needs: &'static str,
    },
    /// What was asked for is not possible; nothing was changed.
    #[error("{0}")]
    Refused(String),
    /// The password is too short or too long.
    #[error("a password has at least {PASSWORD_CHARS_MIN} characters and at most 1024 bytes")]
    Password,
    /// The hash could not be computed.
    #[error("passwords cannot be hashed here: {0}")]
    Hash(String),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random(#[from] getrandom::Error),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Does something in the name of somebody: checks their role, notes it, does it. When it fails the
/// note gets another one that says so.
///
/// # Errors
/// `Role`, whatever the change says, or the database.
pub fn act<T, E: From<OperatorError> + std::fmt::Display>(
    store: &dyn HubStore,
    actor: &Actor,
    deed: &Deed<'_>,
    now: Timestamp,
    change: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    check(actor, deed.action)?;
    let note = |detail: String| {
        store
            .note_action(&ActionRow {
                at: now,
                operator: actor.name.clone(),
                action: deed.action.as_str().into(),
                subject: deed.subject.into(),
                detail,
            })
            .map_err(OperatorError::from)
    };
    note(deed.detail.clone())?;
    let done = change();
    if let Err(error) = &done {
        note(format!("not done: {error}"))?;
    }
    done
}

/// Asserts that an actor may do something.
///
/// # Errors
/// `Role`
pub fn check(actor: &Actor, action: Action) -> Result<(), OperatorError> {
    if may(actor.role, action) {
        return Ok(());
    }
    Err(OperatorError::Role {
        name: actor.name.clone(),
        action: action.as_str(),
        needs: role_word(action.role()),
    })
}

/// How a role is written.
pub const fn role_word(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::Operator => "operator",
        Role::Admin => "admin",
    }
}

/// A session that just began.
#[derive(Debug, Clone)]
pub struct Session {
    /// What its holder shows; kept nowhere.
    pub token: String,
    /// Until when.
    pub expires_at: Timestamp,
    /// Who.
    pub actor: Actor,
}

/// Where operators come in: counts wrong passwords, computes one hash at a time.
#[derive(Debug)]
pub struct Door {
    by_name: Tries,
    by_address: Tries,
    one_at_a_time: Mutex<()>,
}

impl Default for Door {
    fn default() -> Self {
        Self {
            by_name: Tries::new(WRONG_MAX.0, WAIT_MS),
            by_address: Tries::new(WRONG_MAX.1, WAIT_MS),
            one_at_a_time: Mutex::new(()),
        }
    }
}

/// What somebody at the door says.
#[derive(Clone, Copy)]
pub struct Knock<'a> {
    /// Who they say they are.
    pub name: &'a str,
    /// And what proves it.
    pub password: &'a str,
    /// Address that they come from.
    pub remote: &'a str,
}

/// Lets an operator in. Takes some ten milliseconds: not for async threads.
///
/// # Errors
/// `Wrong`, `Wait`, or the database.
pub fn sign_in(
    store: &dyn HubStore,
    door: &Door,
    knock: Knock<'_>,
    now: Timestamp,
) -> Result<Session, OperatorError> {
    let both = format!("{} {}", knock.remote, knock.name);
    let wait = |wait_ms| OperatorError::Wait { wait_ms };
    door.by_address.begin(knock.remote, now).map_err(wait)?;
    door.by_name.begin(&both, now).map_err(wait)?;
    let row = store.operator(knock.name)?;
    let kept = row.as_ref().map_or(NOBODY, |row| row.password_hash.as_str());
    let is_right = {
        let _turn = door.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        is_password(kept, knock.password)
    };
    let Some(row) = row.filter(|row| is_right && row.is_active) else {
        return Err(OperatorError::Wrong);
    };
    door.by_name.right(&both);
    door.by_address.right(knock.remote);
    let token = random_text::<32>()?;
    let expires_at = now.plus_millis(SESSION_MS);
    let token_hash = ContentHash::of(token.as_bytes());
    let session = SessionRow { token_hash, operator: row.name.clone(), expires_at };
    store.put_session(&session, now)?;
    Ok(Session { token, expires_at, actor: row.into() })
}

/// Who holds a token, if it holds.
///
/// # Errors
/// The database.
pub fn session(
    store: &dyn HubStore,
    token: &str,
    now: Timestamp,
) -> Result<Option<Actor>, StoreError> {
    Ok(store.session(&ContentHash::of(token.as_bytes()), now)?.map(Actor::from))
}

/// Ends a session; one that is over already is no mistake.
///
/// # Errors
/// The database.
pub fn sign_out(store: &dyn HubStore, token: &str) -> Result<(), StoreError> {
    store.end_session(&ContentHash::of(token.as_bytes()))
}

/// Adds an operator.
///
/// # Errors
/// `Role`, `Password`, `Refused` for a name that is taken or is none, or the database.
pub fn add(
    store: &dyn HubStore,
    actor: &Actor,
    name: &str,
    password: &str,
    role: Role,
    now: Timestamp,
) -> Result<OperatorRow, OperatorError> {
    check(actor, Action::PutOperator)?;
    if !is_name(name) || [HOST, AGENT].contains(&name) {
        return Err(OperatorError::Refused(format!(
            "`{name}` is no name of an operator: a-z 0-9 . - _, 40 at most, and neither `{HOST}` nor `{AGENT}`"
        )));
    }
    if store.operator(name)?.is_some() {
        return Err(OperatorError::Refused(format!("there is an operator `{name}` already")));
    }
    let password_hash = hash(password)?;
    let row = OperatorRow { name: name.into(), password_hash, role, is_active: true };
    put(store, actor, Action::PutOperator, &row, "added", now)?;
    Ok(row)
}

/// Changes an operator's role, or whether they may sign in; their sessions end.
///
/// # Errors
/// `Role`, `Refused` for a name that is not there, or the database.
pub fn change(
    store: &dyn HubStore,
    actor: &Actor,
    name: &str,
    change: Change,
    now: Timestamp,
) -> Result<OperatorRow, OperatorError> {
    check(actor, Action::PutOperator)?;
    let mut row = known(store, name)?;
    match change {
        Change::Role(role) => row.role = role,
        Change::Active(is_active) => row.is_active = is_active,
    }
    put(store, actor, Action::PutOperator, &row, "changed", now)?;
    Ok(row)
}

/// What may be changed of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// What they may do.
    Role(Role),
    /// Whether they may sign in.
    Active(bool),
}

/// Gives an operator another password; their sessions end. Everybody may change their own.
///
/// # Errors
/// `Role`, `Password`, `Refused` for a name that is not there, or the database.
pub fn change_password(
    store: &dyn HubStore,
    actor: &Actor,
    name: &str,
    password: &str,
    now: Timestamp,
) -> Result<(), OperatorError> {
    let own = actor.name == name;
    let action = if own { Action::ChangePassword } else { Action::PutOperator };
    check(actor, action)?;
    let row = OperatorRow { password_hash: hash(password)?, ..known(store, name)? };
    put(store, actor, action, &row, "password changed", now)
}

fn put(
    store: &dyn HubStore,
    actor: &Actor,
    action: Action,
    row: &OperatorRow,
    what: &str,
    now: Timestamp,
) -> Result<(), OperatorError> {
    let state = if row.is_active { "active" } else { "disabled" };
    let detail = format!("{what}: {} {state}", role_word(row.role));
    let deed = Deed { action, subject: &row.name, detail };
    act(store, actor, &deed, now, || store.put_operator(row).map_err(OperatorError::from))
}

fn known(store: &dyn HubStore, name: &str) -> Result<OperatorRow, OperatorError> {
    let row = store.operator(name)?;
    row.ok_or_else(|| OperatorError::Refused(format!("there is no operator `{name}`")))
}

/// Names of operators are also in log lines and addresses.
fn is_name(name: &str) -> bool {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    (1..=40).contains(&name.len()) && name.bytes().all(known)
}

/// So many random bytes as base64url.
pub(super) fn random_text<const BYTES: usize>() -> Result<String, getrandom::Error> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Argon2id with the parameters below, of a password that nobody has: what a name that is not there
/// is compared with, so that it takes as long.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2lnbmV0LWh1Yi1kb29y$\
                      oNv5bR0cZ7Jm1dEoE4v0b3v8bC9mVqT6o1m2Y3Z4a5c";

fn hash(password: &str) -> Result<String, OperatorError> {
    if password.chars().count() < PASSWORD_CHARS_MIN || password.len() > PASSWORD_BYTES_MAX {
        return Err(OperatorError::Password);
    }
    // The crate's default: Argon2id, 19 MiB, two passes, one lane, random salt.
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| OperatorError::Hash(error.to_string()))
}

fn is_password(kept: &str, password: &str) -> bool {
    password.len() <= PASSWORD_BYTES_MAX
        && PasswordHash::new(kept)
            .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests;
