//! Sealed copies that wait at the hub, so that a lab can fetch while the owner's computer is off.
//!
//! ```text
//! agent     PUT /v1/staged/AGENT/GRANT               sealed to the lab's key, whole
//! provider  GET /o/AGENT/v1/grants/GRANT/content     while the agent is away: the copy, or parts of it
//! provider  POST /o/AGENT/v1/orders/ORDER/receipt    kept until the agent is back
//! agent     is told of both with the provider's proofs, books what it believes, drops the copy
//! ```
//!
//! In:  requests as they were made, the store, the folder of copies. Blocking.
//! Out: files, named by their SHA-256: the seal's header as a line, then the sealed bytes.
//!
//! The hub checks grant and proof as far as it can, with the agent's key that it knows. It cannot
//! open a copy, so a mistake here gives nothing away but sealed bytes.
//!
//! What is sent is noted before the first byte leaves, and cut to what was sent when it breaks off: a
//! crash counts as sent, as at the agent.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::greeting::nonce;
use super::relay::Refusal;
use crate::access::grant::TYP;
use crate::access::proof::{ProvenRequest, Seen};
use crate::access::sealed::{part_header, sealed_len, sealed_span};
use crate::access::{Claims, PublicKey, jws};
use crate::base::clock::Timestamp;
use crate::base::files::sync_folder;
use crate::base::ids::ContentHash;
use crate::store::hub::{AgentRow, AgentState, HubStore, OfferRow, ProviderState, StagedRow};
use crate::web::answer::Span;

/// Longest header of a seal.
const HEADER_BYTES_MAX: usize = 64;

/// Longest proof that is kept for an agent: several of them fit into one message.
const PROOF_BYTES_MAX: usize = 4096;

/// Bytes of a copy that are read at once.
const PIECE_BYTES: usize = 256 * 1024;

/// Copies that are fetched, and those that are brought, at the same time.
const FETCHED_MAX: usize = 256;
const BROUGHT_MAX: usize = 64;

/// One owner has at most such a part of the room.
const PART_OF_ROOM: u64 = 4;

/// Ending of a file that is being written.
const PART: &str = "part";

/// A request for a copy, or with one.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `HEAD`, `POST` or `PUT`.
    pub method: String,
    /// Path as it was called.
    pub path: String,
    /// Whose computer.
    pub agent_id: String,
    /// What is fetched or brought.
    pub grant_id: String,
    /// `Authorization: DPoP …`, the grant.
    pub grant: String,
    /// `DPoP: …`
    pub proof: String,
}

/// Bytes of a copy that are about to be sent.
#[derive(Debug)]
pub struct Opened {
    file: io::Take<File>,
    /// Value of `Signet-Seal`.
    pub header: String,
}

impl Opened {
    /// Sealed bytes that are left.
    pub fn length(&self) -> u64 {
        self.file.limit()
    }

    /// The next bytes; empty at the end.
    ///
    /// # Errors
    /// The disk's.
    pub fn piece(&mut self) -> io::Result<Vec<u8>> {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        self.file.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut piece)?;
        match piece.is_empty() && self.file.limit() > 0 {
            true => Err(io::ErrorKind::UnexpectedEof.into()),
            false => Ok(piece),
        }
    }
}

/// The copies of a hub: who brings and who fetches.
#[derive(Debug)]
pub struct Copies {
    folder: PathBuf,
    room_max: u64,
    seen: Mutex<Seen>,
    /// Held while a file gets its row: nobody takes it for unwanted in between.
    keeping: Mutex<()>,
    is_untidy: AtomicBool,
    fetching: Arc<Semaphore>,
    bringing: Arc<Semaphore>,
}

impl Copies {
    /// - `room_max`: bytes of all copies together; 0: none are kept
    pub fn new(folder: PathBuf, room_max: u64) -> Self {
        Self {
            folder,
            room_max,
            seen: Mutex::default(),
            keeping: Mutex::default(),
            is_untidy: AtomicBool::new(true),
            fetching: Arc::new(Semaphore::new(FETCHED_MAX)),
            bringing: Arc::new(Semaphore::new(BROUGHT_MAX)),
        }
    }

    /// A place for one more that fetches.
    pub fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.fetching.clone().try_acquire_owned().ok()
    }

    /// A place for one more that brings.
    pub fn place_to_bring(&self) -> Option<OwnedSemaphorePermit> {
        self.bringing.clone().try_acquire_owned().ok()
    }

    /// Some copy may be unwanted now.
    pub fn untidy(&self) {
        self.is_untidy.store(true, Ordering::Release);
    }

    /// Whether one was since this was last asked.
    pub fn is_untidy(&self) -> bool {
        self.is_untidy.swap(false, Ordering::AcqRel)
    }

    /// Whether an agent may bring a copy of what it offers; what it offered.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn may_bring(
        &self,
        store: &dyn HubStore,
        request: &Request,
        now: Timestamp,
    ) -> Result<OfferRow, Refusal> {
        let (agent, offer) = offered(store, &request.agent_id, &request.grant_id, now)?;
        if self.holder(request, now)?.to_string() != agent.key {
            return Err(Refusal::Stranger);
        }
        match self.room_max {
            0 => Err(Refusal::Full),
            _ => Ok(offer),
        }
    }

    /// The copy of which a provider asks something, with a grant and a proof that hold. `None` when
    /// there is none.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn asked_of(
        &self,
        store: &dyn HubStore,
        request: &Request,
        now: Timestamp,
    ) -> Result<Option<(StagedRow, OfferRow)>, Refusal> {
        let Request { agent_id, grant_id, .. } = request;
        let Some(row) = store.staged(agent_id, grant_id)? else { return Ok(None) };
        let (agent, offer) = offered(store, agent_id, grant_id, now)?;
        let key: PublicKey = agent.grant_key.parse().map_err(|_no_key| Refusal::Nothing)?;
        let claims: Claims = jws::parse(&request.grant, TYP)
            .and_then(|grant| grant.verify(&key))
            .map_err(|_not_signed| Refusal::Stranger)?;
        if now.seconds() >= claims.exp {
            return Err(Refusal::Over);
        }
        if request.proof.len() > PROOF_BYTES_MAX {
            return Err(Refusal::Large);
        }
        let holder = self.holder(request, now)?;
        match claims.jti == *grant_id && claims.cnf.jkt == holder.thumbprint() {
            true => Ok(Some((row, offer))),
            false => Err(Refusal::Stranger),
        }
    }

    /// Opens a copy where it holds some plain bytes. `None` when its file is not there: the hub was
    /// restored from a backup, which has none.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(
        &self,
        row: &StagedRow,
        offer: &OfferRow,
        Span { start, end }: Span,
    ) -> Result<Option<Opened>, Refusal> {
        let bug = |error: io::Error| Refusal::Bug(format!("a copy cannot be read: {error}"));
        let file = match File::open(path_of(&self.folder, &row.digest)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(bug(error)),
        };
        let mut reader = BufReader::with_capacity(HEADER_BYTES_MAX * 2, file);
        let mut header = String::new();
        let begin = reader.read_line(&mut header).map_err(bug)? as u64;
        let header = header.trim_end();
        let header = match start == 0 && end == offer.bytes_count {
            true => header.to_owned(),
            false => part_header(header),
        };
        let (from, to) = sealed_span(start, end, offer.bytes_count);
        let mut file = reader.into_inner();
        file.seek(SeekFrom::Start(begin + from)).map_err(bug)?;
        Ok(Some(Opened { file: file.take(to - from), header }))
    }

    /// Begins to write a copy.
    ///
    /// - `length`: sealed bytes that were promised
    ///
    /// # Errors
    /// `Large` when it is not as long as such a copy is, `Full` when there is no room.
    pub fn begin(
        &self,
        store: &dyn HubStore,
        offer: &OfferRow,
        header: &str,
        length: u64,
    ) -> Result<Incoming, Refusal> {
        let is_plain = header.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        if header.len() > HEADER_BYTES_MAX || !is_plain || length != sealed_len(offer.bytes_count) {
            return Err(Refusal::Large);
        }
        let bug = |error: io::Error| Refusal::Bug(format!("a copy cannot be kept: {error}"));
        let own = store.staged_bytes(&offer.agent_id)?;
        // A file has its length from the beginning, so those that are written count too.
        let _nobody_else_begins = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = taken(&self.folder).map_err(bug)?;
        if taken.saturating_add(length) > self.room_max
            || own.saturating_add(length) > (self.room_max / PART_OF_ROOM).max(1)
        {
            return Err(Refusal::Full);
        }
        let name = nonce().map_err(|error| Refusal::Bug(error.to_string()))?;
        let part = self.folder.join(format!("{name}.{PART}"));
        let file = File::create_new(&part).map_err(bug)?;
        let line = format!("{header}\n");
        let mut incoming = Incoming { file, part, hasher: Sha256::new(), left: length, length };
        incoming.file.set_len(line.len() as u64 + length).map_err(bug)?;
        incoming.put(line.as_bytes()).map_err(bug)?;
        Ok(incoming)
    }

    /// Keeps a copy that came whole, and tells the store of it.
    ///
    /// # Errors
    /// `Slow` when bytes are missing, `Over` when the offer was withdrawn meanwhile.
    pub fn keep(
        &self,
        store: &dyn HubStore,
        offer: &OfferRow,
        incoming: &Incoming,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if incoming.left > 0 {
            return Err(Refusal::Slow);
        }
        let bug = |error: io::Error| Refusal::Bug(format!("a copy cannot be kept: {error}"));
        let digest = ContentHash::from_bytes(incoming.hasher.clone().finalize().into());
        incoming.file.sync_all().map_err(bug)?;
        let path = path_of(&self.folder, &digest);
        let _nobody_cleans = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        fs::rename(&incoming.part, &path).map_err(bug)?;
        sync_folder(&self.folder).map_err(bug)?;
        let is_kept = store.put_staged(&StagedRow {
            agent_id: offer.agent_id.clone(),
            grant_id: offer.grant_id.clone(),
            bytes_count: incoming.length,
            digest,
            at: now,
        });
        // One that was there before is unwanted, and so is this one when it was refused.
        self.untidy();
        match is_kept? {
            true => Ok(()),
            false => Err(Refusal::Over),
        }
    }

    /// Removes copies that nobody wants any more.
    ///
    /// - `is_start`: nobody writes yet, so what a crash left half written goes too
    ///
    /// # Errors
    /// The disk's or the store's.
    pub fn clean(
        &self,
        store: &dyn HubStore,
        is_start: bool,
        now: Timestamp,
    ) -> Result<usize, Refusal> {
        let bug =
            |error: io::Error| Refusal::Bug(format!("copies cannot be looked through: {error}"));
        let _nobody_keeps = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        let (wanted, mut count) = (store.staged_digests(now)?, 0);
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            entries => entries.map_err(bug)?,
        };
        for entry in entries {
            let path = entry.map_err(bug)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let is_part = path.extension().is_some_and(|extension| extension == PART);
            let is_unwanted =
                name.parse().is_ok_and(|digest| wanted.binary_search(&digest).is_err());
            if (is_part && is_start) || is_unwanted {
                fs::remove_file(&path).map_err(bug)?;
                count += 1;
            }
        }
        Ok(count)
    }

    /// The key that proves a request.
    fn holder(&self, request: &Request, now: Timestamp) -> Result<PublicKey, Refusal> {
        let Request { method, path, grant, proof, .. } = request;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let proven = seen.check(proof, ProvenRequest { method, url: path, grant }, now);
        proven.map_err(Refusal::Unproven)
    }
}

/// The agent and its offer, where both hold.
fn offered(
    store: &dyn HubStore,
    agent_id: &str,
    grant_id: &str,
    now: Timestamp,
) -> Result<(AgentRow, OfferRow), Refusal> {
    let agent = store.agent(agent_id)?;
    let agent = agent.filter(|agent| agent.state == AgentState::Active).ok_or(Refusal::Nothing)?;
    let offer = store.offer(agent_id, grant_id)?.ok_or(Refusal::Nothing)?;
    if offer.withdrawn_at.is_some() || offer.expires_at <= now {
        return Err(Refusal::Over);
    }
    match store.provider(&offer.provider)? {
        Some(provider) if provider.state == ProviderState::Active => Ok((agent, offer)),
        Some(provider) => Err(Refusal::Closed(provider.why)),
        None => Err(Refusal::Nothing),
    }
}

/// A copy that is being written. Dropped before it is kept, it leaves nothing.
#[derive(Debug)]
pub struct Incoming {
    file: File,
    part: PathBuf,
    hasher: Sha256,
    left: u64,
    length: u64,
}

impl Incoming {
    /// Writes the next sealed bytes.
    ///
    /// # Errors
    /// The disk's, or more than was promised.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let left = self.left.checked_sub(bytes.len() as u64);
        self.left = left.ok_or_else(|| io::Error::other("more than was promised"))?;
        self.put(bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.file.write_all(bytes)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // There is none any more when it was kept.
        let _not_there = fs::remove_file(&self.part);
    }
}

fn path_of(folder: &Path, digest: &ContentHash) -> PathBuf {
    folder.join(digest.to_string())
}

/// Bytes of all copies, those that are being written too.
fn taken(folder: &Path) -> io::Result<u64> {
    let mut bytes_count = 0;
    for entry in fs::read_dir(folder)? {
        bytes_count += entry?.metadata().map_or(0, |metadata| metadata.len());
    }
    Ok(bytes_count)
}

#[cfg(test)]
#[path = "staged/tests.rs"]
mod tests;
