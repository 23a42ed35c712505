//! Bytes that only one provider can read, whoever hands them on: sealed to its Ed25519 key.
//!
//! In:  plain bytes, the provider's key, and what they are (grant, version, range).
//! Out: sealed bytes and one header, `Signet-Seal: v1 EPHEMERAL`; and back again.
//!
//! ```text
//! secret   X25519(fresh ephemeral key, the provider's key as a Montgomery point)
//! key      HKDF-SHA256(salt "signet seal v1", secret,
//!                      ephemeral ‖ provider ‖ digest ‖ start ‖ end ‖ grant id)
//! chunk n  ChaCha20-Poly1305(key, nonce = 000 ‖ n as 8 bytes ‖ last?, 64 KiB of plain bytes) + tag
//! ```
//!
//! Numbers are big-endian. Each answer has a key of its own, so nonces never meet; the key hangs on
//! what the bytes are, so that an answer cannot pass for another range or version. Chunks are
//! numbered and the last is marked (the STREAM construction, eprint 2015/189): none can be dropped,
//! repeated, reordered or added unnoticed.
//!
//! What is sealed whole can be handed out in parts by somebody who cannot open it: the chunks that
//! hold a range, with `whole` behind the header. They open with the key of the whole; numbers and
//! the mark of the last chunk are what they were.
//!
//! Surprising: it does not say who sealed. Anybody can seal to a public key; that the bytes are the
//! owner's follows from their digest, which the owner signed.
//!
//! Knows no HTTP, files or grants in the store.

use std::io::{self, Read};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Nonce, Tag};
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};

use super::key::{Key, PublicKey};
use crate::base::ids::ContentHash;

/// Header that comes with sealed bytes.
pub const SEAL_HEADER: &str = "signet-seal";

/// Media type of sealed bytes.
pub const SEALED_TYPE: &str = "application/vnd.signet.sealed";

/// Plain bytes in each chunk but the last.
pub const CHUNK_BYTES: usize = 64 * 1024;

/// What a chunk grows by.
const TAG_BYTES: usize = 16;

/// First word of the header.
const VERSION: &str = "v1";

/// Behind the header of chunks of what was sealed whole.
const WHOLE: &str = " whole";

const SALT: &str = "signet seal v1";

/// What sealed bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject<'a> {
    /// Id of the grant under which they are sent.
    pub grant_id: &'a str,
    /// SHA-256 of the whole member.
    pub digest: &'a ContentHash,
    /// First of its bytes.
    pub start: u64,
    /// Behind the last of them.
    pub end: u64,
}

/// Why bytes cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random(#[from] getrandom::Error),
    /// A key with which everybody would share the same secret.
    #[error("the key `{0}` is none that can be sealed to")]
    WeakKey(String),
    /// The header is missing, damaged, or of another version.
    #[error("`{0}` is no seal that this program can open")]
    Header(String),
}

/// How many bytes so many plain bytes are when they are sealed.
pub const fn sealed_len(bytes_count: u64) -> u64 {
    let chunks_count = bytes_count.div_ceil(CHUNK_BYTES as u64);
    let chunks_count = if chunks_count == 0 { 1 } else { chunks_count };
    bytes_count.saturating_add(chunks_count.saturating_mul(TAG_BYTES as u64))
}

/// Header of a part of what was sealed whole.
pub fn part_header(header: &str) -> String {
    format!("{header}{WHOLE}")
}

/// Where in what was sealed whole the chunks are that hold plain bytes `start..end`.
///
/// - `bytes_count`: plain bytes of the whole
pub fn sealed_span(start: u64, end: u64, bytes_count: u64) -> (u64, u64) {
    let chunk = CHUNK_BYTES as u64;
    let whole_chunks = |plain: u64| sealed_len(plain.min(bytes_count));
    let begin = match start / chunk {
        0 => 0,
        number => whole_chunks(number * chunk),
    };
    (begin, whole_chunks(end.div_ceil(chunk).saturating_mul(chunk)))
}

/// Which plain bytes of `start..end` are in so many bytes of those chunks, from the first on.
pub fn plain_end(start: u64, end: u64, sealed_count: u64) -> u64 {
    let (plain, sealed) = (CHUNK_BYTES as u64, (CHUNK_BYTES + TAG_BYTES) as u64);
    let reached = (start / plain * plain)
        .saturating_add(sealed_count / sealed * plain)
        .saturating_add((sealed_count % sealed).min(plain));
    reached.clamp(start, end)
}

/// Seals one answer.
pub struct Sealer {
    stream: Stream,
    ephemeral: [u8; 32],
}

impl Sealer {
    /// Begins an answer for the holder of a key.
    ///
    /// # Errors
    /// No random numbers, or a key that cannot be sealed to.
    pub fn new(to: &PublicKey, subject: Subject<'_>) -> Result<Self, SealError> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        Self::with(secret, to, subject)
    }

    fn with(secret: [u8; 32], to: &PublicKey, subject: Subject<'_>) -> Result<Self, SealError> {
        let (ephemeral, recipient) = (x25519(secret, X25519_BASEPOINT_BYTES), to.montgomery());
        let shared = x25519(secret, recipient);
        let stream = Stream::new(&shared, &ephemeral, &recipient, subject)
            .ok_or_else(|| SealError::WeakKey(to.to_string()))?;
        Ok(Self { stream, ephemeral })
    }

    /// Value of [`SEAL_HEADER`].
    pub fn header(&self) -> String {
        format!("{VERSION} {}", URL_SAFE_NO_PAD.encode(self.ephemeral))
    }

    /// Seals the next plain bytes.
    ///
    /// - `plain`: a multiple of [`CHUNK_BYTES`], or everything that is left
    ///
    /// # Errors
    /// `InvalidInput` when it is neither; nothing was sealed then.
    pub fn seal(&mut self, plain: &[u8]) -> io::Result<Vec<u8>> {
        let (count, chunks_count) = (plain.len() as u64, plain.len().div_ceil(CHUNK_BYTES));
        let is_rest = count == self.stream.left;
        if count > self.stream.left || (!is_rest && !plain.len().is_multiple_of(CHUNK_BYTES)) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "sealed in other pieces"));
        }
        let chunks_count = chunks_count.max(usize::from(is_rest && !self.stream.is_over));
        let mut sealed = Vec::with_capacity(plain.len() + chunks_count * TAG_BYTES);
        let mut chunks = plain.chunks(CHUNK_BYTES);
        for _ in 0..chunks_count {
            let begin = sealed.len();
            sealed.extend_from_slice(chunks.next().unwrap_or_default());
            let (_, nonce) = self.stream.next();
            let chunk = sealed.get_mut(begin..).unwrap_or_default();
            let tag = self.stream.cipher.encrypt_inout_detached(&nonce, &[], chunk.into());
            sealed.extend_from_slice(&tag.map_err(io::Error::other)?);
        }
        Ok(sealed)
    }
}

/// Plain bytes of a sealed stream. An error tells where it was altered or broke off; what was read
/// before is right.
pub struct Opened<R> {
    source: R,
    stream: Stream,
    plain: Vec<u8>,
    taken: usize,
    /// Plain bytes of the first chunk that nobody asked for.
    skip: usize,
    /// Plain bytes that are still to come.
    left: u64,
    is_over: bool,
}

impl<R: Read> Opened<R> {
    /// Opens what was sealed to a key.
    ///
    /// - `header`: value of [`SEAL_HEADER`]
    /// - `subject`: what is expected; anything else does not open
    ///
    /// # Errors
    /// A header that cannot be read.
    pub fn new(
        source: R,
        key: &Key,
        header: &str,
        subject: Subject<'_>,
    ) -> Result<Self, SealError> {
        Self::part(source, key, header, subject, None)
    }

    /// As [`Self::new`], also for a part of what was sealed whole.
    ///
    /// - `bytes_count`: plain bytes of the whole
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of_member(
        source: R,
        key: &Key,
        header: &str,
        subject: Subject<'_>,
        bytes_count: u64,
    ) -> Result<Self, SealError> {
        match header.strip_suffix(WHOLE) {
            Some(header) => Self::part(source, key, header, subject, Some(bytes_count)),
            None => Self::new(source, key, header, subject),
        }
    }

    /// - `whole`: plain bytes that were sealed, where they are more than are expected
    fn part(
        source: R,
        key: &Key,
        header: &str,
        subject: Subject<'_>,
        whole: Option<u64>,
    ) -> Result<Self, SealError> {
        let unknown = || SealError::Header(header.chars().take(80).collect());
        let text = header.strip_prefix(VERSION).and_then(|rest| rest.strip_prefix(' '));
        let ephemeral = URL_SAFE_NO_PAD.decode(text.ok_or_else(unknown)?).ok();
        let ephemeral = ephemeral.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let ephemeral = ephemeral.ok_or_else(unknown)?;
        let shared = x25519(key.scalar(), ephemeral);
        let recipient = key.public().montgomery();
        let (mut skip, Subject { start, end, .. }) = (0, subject);
        let sealed = whole.map_or(subject, |end| Subject { start: 0, end, ..subject });
        let mut stream =
            Stream::new(&shared, &ephemeral, &recipient, sealed).ok_or_else(unknown)?;
        if whole.is_some() {
            let chunk = CHUNK_BYTES as u64;
            stream.number = start / chunk;
            stream.left = stream.left.saturating_sub(stream.number * chunk);
            skip = usize::try_from(start % chunk).unwrap_or(0);
        }
        let left = end.saturating_sub(start);
        Ok(Self { source, stream, plain: Vec::new(), taken: 0, skip, left, is_over: false })
    }

    fn open_next(&mut self) -> io::Result<()> {
        let (count, nonce) = self.stream.next();
        self.plain.resize(count + TAG_BYTES, 0);
        self.source.read_exact(&mut self.plain)?;
        let altered = || {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "the sealed bytes were altered on their way, or sealed for somebody else",
            )
        };
        let (chunk, tag) = self.plain.split_at_mut_checked(count).ok_or_else(altered)?;
        let tag: [u8; TAG_BYTES] = (&*tag).try_into().map_err(|_error| altered())?;
        let cipher = &self.stream.cipher;
        let opened = cipher.decrypt_inout_detached(&nonce, &[], chunk.into(), &Tag::from(tag));
        opened.map_err(|_error| altered())?;
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).saturating_add(self.skip);
        self.plain.truncate(count.min(wanted));
        self.taken = std::mem::take(&mut self.skip).min(self.plain.len());
        self.left = self.left.saturating_sub((self.plain.len() - self.taken) as u64);
        // A part ends with the chunk that holds its last byte, the whole with the marked one.
        self.is_over = self.left == 0;
        if self.is_over && self.source.read(&mut [0])? != 0 {
            return Err(altered());
        }
        Ok(())
    }
}

impl<R: Read> Read for Opened<R> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.plain.len()
            && !self.is_over
            && let Err(error) = self.open_next()
        {
            // Nothing of a chunk that does not open is ever handed on.
            self.plain.clear();
            self.taken = 0;
            return Err(error);
        }
        let left = self.plain.get(self.taken..).unwrap_or_default();
        let count = left.len().min(target.len());
        let (source, target) = (left.get(..count), target.get_mut(..count));
        if let (Some(source), Some(target)) = (source, target) {
            target.copy_from_slice(source);
        }
        self.taken += count;
        Ok(count)
    }
}

/// The chunks of one answer: which comes next, how long it is, under which nonce.
struct Stream {
    cipher: ChaCha20Poly1305,
    /// Number of the next chunk.
    number: u64,
    /// Plain bytes that are left.
    left: u64,
    /// The last chunk was given.
    is_over: bool,
}

impl Stream {
    /// `None` when the secret is the same for everybody.
    fn new(
        shared: &[u8; 32],
        ephemeral: &[u8; 32],
        recipient: &[u8; 32],
        subject: Subject<'_>,
    ) -> Option<Self> {
        if *shared == [0; 32] {
            return None;
        }
        let (start, end) = (subject.start.to_be_bytes(), subject.end.to_be_bytes());
        let digest = subject.digest.as_bytes();
        let parts: [&[u8]; 6] =
            [ephemeral, recipient, digest, &start, &end, subject.grant_id.as_bytes()];
        let (mut key, extracted) = ([0; 32], hmac_sha256::HKDF::extract(SALT, shared));
        hmac_sha256::HKDF::expand(&mut key, extracted, parts.concat());
        let cipher = ChaCha20Poly1305::new(&key.into());
        let left = subject.end.saturating_sub(subject.start);
        Some(Self { cipher, number: 0, left, is_over: false })
    }

    /// Plain length and nonce of the next chunk.
    fn next(&mut self) -> (usize, Nonce) {
        let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(CHUNK_BYTES);
        self.left -= count as u64;
        self.is_over = self.left == 0;
        let mut nonce = [0; 12];
        if let Some(number) = nonce.get_mut(3..11) {
            number.copy_from_slice(&self.number.to_be_bytes());
        }
        nonce[11] = u8::from(self.is_over);
        self.number += 1;
        (count, nonce.into())
    }
}

#[cfg(test)]
#[path = "sealed/tests.rs"]
mod tests;
