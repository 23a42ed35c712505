//! Sealed copies of what is ordered, left at the hub for while this computer is off, where the owner
//! agreed to that with the provider (`Terms::may_wait`).
//!
//! ```text
//! bring   of each grant that the hub has: checked against its digest, sealed to the provider's key
//! note    what was taken while this computer was away: booked here, if the provider proves it
//! drop    when the order is over, the grant taken back or expired, or the owner agreed otherwise
//! ```
//!
//! In:  grants and consent as they are now, members from the shelf. Out: copies; accesses.
//!
//! Nothing leaves before all bytes of a member were read and are those that were granted. They are
//! read again to be sealed, and the last chunk stays here when they are others then, so a photo that is
//! changed meanwhile leaves no whole copy.
//!
//! INVARIANT: the hub is told to forget what was taken only after it was booked.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::Tell;
use super::books::ConsentBook;
use super::event::AgentEvent;
use super::reach::{Brought, Parcel, Reach, Standing};
use super::reach_log::log_name;
use crate::access::grant::TYP;
use crate::access::sealed::{self, Sealer, Subject, sealed_len};
use crate::access::{Claims, PublicKey, jws};
use crate::base::clock::Timestamp;
use crate::base::ids::ContentHash;
use crate::hub::protocol::{Answer, Ask};
use crate::orders::Terms;
use crate::store::hub::TakingRow;
use crate::store::log::LieRow;
use crate::store::{GrantRow, State};
use crate::web::staged::{Noted, take_note};
use crate::web::{Service, Shelf};

/// How often it is looked whether there is something to do.
const LOOK: Duration = Duration::from_secs(1);

/// How often the hub is asked what was taken, while copies lie there.
const ASK_EVERY_MS: i64 = 30_000;

/// How often it is asked on, at once. A hub that invents what was taken gets no further.
const TELLS_MAX: usize = 200;

/// Copies that are brought at once.
const BRINGING_MAX: usize = 2;

/// Grants that are looked at in one go.
const LOOKED_AT_MAX: u32 = 200;

/// How long to wait before a copy that did not get there is brought again: the first time, and at
/// most.
const AGAIN_MS: i64 = 5_000;
const AGAIN_MAX_MS: i64 = 15 * 60_000;

/// Bytes that are read, sealed and sent at once.
const PIECE_BYTES: usize = 8 * sealed::CHUNK_BYTES;

/// Leaves sealed copies at the hub.
pub(super) struct Stager {
    pub(super) state: Arc<State>,
    pub(super) service: Arc<Service>,
    pub(super) consent: Arc<ConsentBook>,
    pub(super) shelf: Arc<dyn Shelf>,
    pub(super) reach: Arc<Reach>,
    pub(super) tell: Tell,
}

/// A copy that did not get there.
#[derive(Debug, Clone, Copy)]
struct Failed {
    tries: u32,
    again_at: Timestamp,
}

impl Stager {
    /// Goes on until `shutdown` becomes true.
    pub(super) async fn run(self, mut shutdown: watch::Receiver<bool>) {
        let stager = Arc::new(self);
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut asked_at, mut greeting) = (None, String::new());
        let mut bringing: JoinSet<(GrantRow, Result<Brought, String>)> = JoinSet::new();
        let mut failed: HashMap<String, Failed> = HashMap::new();
        loop {
            tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => return,
                Some(done) = bringing.join_next(), if !bringing.is_empty() => {
                    if let Ok((grant, brought)) = done {
                        stager.settle(grant, brought, &mut failed);
                    }
                    continue;
                }
                _ = looks.tick() => {}
            }
            let standing = stager.reach.standing().borrow().clone();
            let Standing::Connected(welcome) = standing else { continue };
            // Also a connection that was gone between two looks is another one.
            if welcome.nonce != greeting {
                asked_at = None;
                greeting.clone_from(&welcome.nonce);
            }
            let (worker, now) = (stager.clone(), Timestamp::now());
            let round = tokio::task::spawn_blocking(move || worker.round(asked_at, now)).await;
            let wanted = match round {
                Ok(Ok((at, wanted))) => {
                    asked_at = at;
                    wanted
                }
                Ok(Err(why)) => {
                    tracing::debug!(why, "copies at the hub wait");
                    continue;
                }
                Err(error) => {
                    tracing::error!(%error, "a look at copies broke off");
                    continue;
                }
            };
            failed.retain(|grant_id, _| wanted.iter().any(|grant| grant.grant_id == *grant_id));
            for grant in wanted {
                let waits = failed.get(&grant.grant_id).is_some_and(|one| one.again_at > now);
                if bringing.len() >= BRINGING_MAX || waits {
                    continue;
                }
                // Not begun again while it is on its way.
                let on_its_way = Failed { tries: 0, again_at: Timestamp(i64::MAX) };
                failed.entry(grant.grant_id.clone()).or_insert(on_its_way).again_at =
                    on_its_way.again_at;
                bringing.spawn(stager.clone().bring(grant));
            }
        }
    }

    /// Takes note of what was taken, drops what is over; what is to be brought, and when the hub was
    /// last asked.
    fn round(
        &self,
        asked_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(Option<Timestamp>, Vec<GrantRow>), String> {
        let words = |error: crate::store::StoreError| error.to_string();
        let copies = self.state.copies(now).map_err(words)?;
        // First thing after a connect, whatever lies there: it may have been withdrawn meanwhile.
        let is_due = asked_at.is_none_or(|at| {
            !copies.is_empty() && (at.plus_millis(ASK_EVERY_MS) <= now || at > now)
        });
        if is_due {
            self.note_taken(now)?;
        }
        let providers = self.consent.providers();
        let may_wait =
            |terms: &&Terms| terms.may_wait() && terms.valid_until.is_none_or(|end| end > now);
        let copies = self.state.copies(now).map_err(words)?;
        let is_agreed = |name: &str| providers.get(name).is_some_and(|terms| may_wait(&terms));
        let unwanted = copies.into_iter().filter(|copy| copy.is_over || !is_agreed(&copy.provider));
        let unwanted: Vec<String> = unwanted.map(|copy| copy.grant_id).collect();
        for grants in unwanted.chunks(LOOKED_AT_MAX as usize) {
            match self.reach.ask_blocking(Ask::Drop { grants: grants.to_vec() }) {
                Ok(Answer::Done) => self.state.note_copies_dropped(grants, now).map_err(words)?,
                other => return Err(format!("{other:?}")),
            }
        }
        let is_stopped = self.state.stopped_since().map_err(words)?.is_some();
        let mut wanted = Vec::new();
        for (name, _) in providers.iter().filter(|(_, terms)| !is_stopped && may_wait(terms)) {
            let base_url = self.reach.base_url();
            let grants = self.state.grants_without_copy(name, base_url, now, LOOKED_AT_MAX);
            wanted.extend(grants.map_err(words)?);
        }
        Ok((if is_due { Some(now) } else { asked_at }, wanted))
    }

    /// Books what was taken until the hub tells of nothing more.
    fn note_taken(&self, now: Timestamp) -> Result<(), String> {
        let mut noted = Vec::new();
        for _ in 0..TELLS_MAX {
            let before = noted.clone();
            let takings = match self.reach.ask_blocking(Ask::Delivered { noted }) {
                Ok(Answer::Delivered { takings }) => takings,
                other => return Err(format!("{other:?}")),
            };
            noted = takings.iter().map(TakingRow::name).collect();
            if noted.is_empty() {
                return Ok(());
            }
            if noted == before {
                return Err("the hub tells again what it was told to forget".into());
            }
            let prefix = format!("/o/{}", self.reach.membership().agent_id);
            for taking in takings {
                if let Noted::Unbelieved(why) = take_note(&self.service, &prefix, &taking, now)? {
                    self.lie(&taking, why, now)?;
                }
            }
        }
        Err("the hub tells of more than can be".into())
    }

    /// Keeps that the hub told of what is not believed, and tells of it, once.
    fn lie(&self, taking: &TakingRow, why: &str, now: Timestamp) -> Result<(), String> {
        // Of grants that it makes up one lie is kept, however many there are.
        let is_ours = self.state.grant(&taking.grant_id).map_err(|error| error.to_string())?;
        let grant = is_ours.map_or("unknown".to_owned(), |grant| grant.grant_id);
        let lie = LieRow {
            log: log_name(self.reach.membership()),
            kind: "taking".into(),
            subject: grant.clone(),
            words: format!("the hub says that its copy for grant {grant} was fetched: {why}"),
            proof: taking.proof.chars().take(4096).collect(),
            at: now,
        };
        if self.state.put_lie(&lie).map_err(|error| error.to_string())? {
            (self.tell)(AgentEvent::HubLied {
                kind: lie.kind,
                subject: lie.subject,
                words: lie.words,
            });
        }
        Ok(())
    }

    /// Brings a copy of one member.
    async fn bring(self: Arc<Self>, grant: GrantRow) -> (GrantRow, Result<Brought, String>) {
        let (worker, checked) = (self.clone(), grant.clone());
        let ready = tokio::task::spawn_blocking(move || worker.ready(&checked)).await;
        let ready = ready.map_err(|error| error.to_string()).and_then(|ready| ready);
        let (file, sealer) = match ready {
            Ok(ready) => ready,
            Err(why) => return (grant, Err(why)),
        };
        let (sender, pieces) = mpsc::channel(1);
        let parcel = Parcel {
            grant_id: grant.grant_id.clone(),
            token: grant.token.clone(),
            seal: sealer.header(),
            length: sealed_len(grant.bytes_count),
            pieces,
        };
        let (state, sealed) = (self.state.clone(), grant.clone());
        let sealing = tokio::task::spawn_blocking(move || {
            let still_holds = || state.still_holds(&sealed.grant_id).map_err(io::Error::other);
            seal(&file, &sealed.digest, sealed.bytes_count, sealer, &sender, still_holds)
        });
        let brought = self.reach.bring(parcel).await;
        // Whatever went wrong here says more than that the hub got no whole copy.
        match sealing.await {
            Ok(Ok(())) if brought == Ok(Brought::Kept) => {
                let (state, grant_id) = (self.state.clone(), grant.grant_id.clone());
                let noting = move || state.note_copy(&grant_id, Timestamp::now());
                let noted = match tokio::task::spawn_blocking(noting).await {
                    Ok(noted) => noted.map_err(|error| error.to_string()),
                    Err(error) => Err(error.to_string()),
                };
                (grant, noted.and(brought))
            }
            Ok(Ok(())) => (grant, brought),
            Ok(Err(error)) if brought.is_err() => (grant, Err(error.to_string())),
            Ok(Err(_told_by_the_hub)) => (grant, brought),
            Err(error) => (grant, Err(error.to_string())),
        }
    }

    /// The file of a member, whose bytes are those that were granted, and what seals them to whom the
    /// grant is bound to.
    fn ready(&self, grant: &GrantRow) -> Result<(File, Sealer), String> {
        let terms = self.shelf.terms(&grant.provider).ok_or("there is no consent any more")?;
        let key: PublicKey =
            terms.key.parse().map_err(|_no_key| "the provider's key is damaged")?;
        let claims = jws::parse(&grant.token, TYP)
            .and_then(|token| token.verify::<Claims>(&self.service.agent_key))
            .map_err(|error| error.to_string())?;
        if claims.cnf.jkt != key.thumbprint() {
            return Err("the grant is bound to another key than the consent names".into());
        }
        let mut file = self.shelf.open(grant).map_err(|why| why.to_string())?;
        let words = |error: io::Error| error.to_string();
        let begin = SeekFrom::Start(grant.offset.unwrap_or(0));
        file.seek(begin).map_err(words)?;
        let digest = ContentHash::of_reader((&file).take(grant.bytes_count)).map_err(words)?;
        if digest != grant.digest {
            return Err("the photo was changed".into());
        }
        file.seek(begin).map_err(words)?;
        let subject = Subject {
            grant_id: &grant.grant_id,
            digest: &grant.digest,
            start: 0,
            end: grant.bytes_count,
        };
        let sealer = Sealer::new(&key, subject).map_err(|error| error.to_string())?;
        Ok((file, sealer))
    }

    fn settle(
        &self,
        grant: GrantRow,
        brought: Result<Brought, String>,
        failed: &mut HashMap<String, Failed>,
    ) {
        let now = Timestamp::now();
        let why = match brought {
            Ok(Brought::Kept) => {
                failed.remove(&grant.grant_id);
                let GrantRow { order_key, provider, name, .. } = grant;
                (self.tell)(AgentEvent::Staged { order_key, provider, name });
                return;
            }
            Ok(Brought::Unwanted) => "the hub says that it was withdrawn".to_owned(),
            Ok(Brought::Later(status)) => format!("the hub answered {}", status.as_u16()),
            Err(why) => why,
        };
        let tries = failed.get(&grant.grant_id).map_or(0, |one| one.tries);
        let wait_ms = AGAIN_MS.saturating_mul(1 << tries.min(10)).min(AGAIN_MAX_MS);
        tracing::warn!(grant = grant.grant_id, why, "a copy is brought to the hub again later");
        let again_at = now.plus_millis(wait_ms);
        failed.insert(grant.grant_id, Failed { tries: tries + 1, again_at });
    }
}

/// Seals a member, piece by piece; the last piece goes only when all bytes were those of the digest.
fn seal(
    mut file: &File,
    digest: &ContentHash,
    bytes_count: u64,
    mut sealer: Sealer,
    sender: &mpsc::Sender<io::Result<Vec<u8>>>,
    still_holds: impl Fn() -> io::Result<bool>,
) -> io::Result<()> {
    let mut pieces = || -> io::Result<()> {
        let (mut hasher, mut left) = (Sha256::new(), bytes_count);
        let mut plain = vec![0; PIECE_BYTES];
        loop {
            let count = usize::try_from(left).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
            let piece = plain.get_mut(..count).unwrap_or_default();
            file.read_exact(piece)?;
            hasher.update(&*piece);
            left -= count as u64;
            if left == 0 && ContentHash::from_bytes(hasher.clone().finalize().into()) != *digest {
                return Err(io::Error::other("the photo was changed while it was sealed"));
            }
            if !still_holds()? {
                return Err(io::Error::other("the grant was revoked"));
            }
            let sealed = sealer.seal(piece)?;
            if sender.blocking_send(Ok(sealed)).is_err() {
                return Err(io::Error::other("the hub took no more"));
            }
            if left == 0 {
                return Ok(());
            }
        }
    };
    pieces().inspect_err(|error| {
        // The body ends short of its length, so the hub keeps nothing of it.
        let _gone = sender.blocking_send(Err(io::Error::other(error.to_string())));
    })
}

#[cfg(test)]
#[path = "staging/tests.rs"]
mod tests;
