//! Sends the bytes of a member: `HEAD`, ranges, `ETag`, resume.
//!
//! Bytes that the system has in memory go to the connection straight (`file_queue`), as long as they
//! are neither sealed nor the last. Others are read in chunks of 512 KiB, the next one when the
//! provider took the one before: a provider that stalls holds two chunks at most and no thread, until
//! its connection is cut (`connection`).
//! Before each chunk the grant is looked at again, so that a revocation ends a transfer under way
//! (one that stalls: `cut`), and the file too, so that a photo edited meanwhile is never delivered
//! half old, half new.
//!
//! A companion inside the photo's file, such as a film behind the picture, is a member like any
//! other: its bytes, its length, its ETag. Nothing around it can be asked for.
//!
//! What passes through a hub is sealed to the key that the provider proved (`access::sealed`): the
//! answer names the range and counts the access in plain bytes, its length is that of sealed ones.
//!
//! INVARIANT: the chunk that makes a delivery complete is handed over only after the access
//! was posted, in one transaction with its entries. A crash before it: the provider misses
//! bytes and comes again. A crash after it: posted once, whatever comes again.

use std::fs::File;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, StatusCode, response};
use axum::response::Response;

use super::answer::{Answered, Asked, Span};
use super::chunks::{CHUNK_BYTES, is_at_hand};
use super::file_queue::{FilePart, FileQueue, QUEUED_BYTES_MAX, Stamp};
use super::places::Place;
use super::reply::Failure;
use super::{Cut, NotThere, Right, Service, accessed, charge};
use crate::access::sealed::{self, SEAL_HEADER, Sealer, Subject};
use crate::base::clock::Timestamp;
use crate::store::{Delivered, GrantRow, Way};

// Whole chunks of the seal, so that it begins anew with none of them.
const _: () = assert!(CHUNK_BYTES.is_multiple_of(sealed::CHUNK_BYTES));

/// What a response goes by.
pub(super) struct Going {
    /// Where the bytes are.
    pub(super) file: File,
    /// Its place among those under way.
    pub(super) place: Place,
    /// Ends its connection.
    pub(super) cut: Cut,
    /// Sends files over it.
    pub(super) files: FileQueue,
}

/// Answers a request that was allowed.
pub(super) fn open(
    service: Arc<Service>,
    right: &Right,
    Going { file, place, cut, files }: Going,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, Failure> {
    let grant = &right.grant;
    let media_type = right.sealed_to.is_none().then_some(grant.media_type.as_str());
    let answered = Answered { digest: &grant.digest, bytes_count: grant.bytes_count, media_type };
    let (status, span) = match answered.asked(headers) {
        Asked::NotModified => return reply(answered.head(StatusCode::NOT_MODIFIED), Body::empty()),
        Asked::Bytes(status, span) => (status, span),
        Asked::Outside => return Err(Failure::Range(grant.bytes_count)),
    };
    let mut head = answered.head_of(status, span, answered.length(span));
    if method == Method::HEAD {
        return reply(head, Body::empty());
    }
    let stamp = Stamp::of(&file).map_err(Failure::Disk)?;
    let (begin, file_bytes_count) = (grant.offset.unwrap_or(0), stamp.bytes_count);
    let fits = match grant.offset {
        None => file_bytes_count == grant.bytes_count,
        Some(offset) => {
            offset.checked_add(grant.bytes_count).is_some_and(|end| end <= file_bytes_count)
        }
    };
    if !fits {
        return Err(Failure::NotThere(NotThere::Gone));
    }
    let Span { start, end } = span;
    let subject = Subject { grant_id: &grant.grant_id, digest: &grant.digest, start, end };
    let sealer = right.sealed_to.as_ref().map(|key| Sealer::new(key, subject)).transpose();
    let sealer = sealer.map_err(|error| Failure::Bug(error.to_string()))?;
    if let Some(sealer) = &sealer {
        head = head.header(SEAL_HEADER, sealer.header());
    }
    let terms = service.shelf.terms(&grant.provider);
    let fetches_max = terms.and_then(|terms| terms.target.fetches_max());
    if let Some(fetches_max) = fetches_max {
        let bytes_max = grant.bytes_count.saturating_mul(fetches_max.into());
        let taken = service.state.take_fetch(&grant.grant_id, span.end - span.start, bytes_max);
        if !taken.map_err(Failure::Store)? {
            return Err(Failure::UsedUp);
        }
    }
    let delivery = service
        .state
        .delivery_opened(&grant.grant_id, span.start, span.end)
        .map_err(Failure::Store)?
        .ok_or(Failure::TooManyRanges)?;
    service.under_way.begin(delivery, &grant.grant_id, cut);
    let delivery = Delivery {
        service,
        grant: grant.clone(),
        way: right.way.clone(),
        file: Arc::new(file),
        files,
        stamp,
        id: delivery,
        begin,
        next: span.start,
        end: span.end,
        is_counted: fetches_max.is_some(),
        sealer,
        _place: place,
    };
    let chunks = futures_util::stream::unfold(Some(delivery), |delivery| async {
        let mut delivery = delivery.filter(|delivery| delivery.next < delivery.end)?;
        if let Some(chunk) = delivery.chunk_at_hand() {
            return Some((Ok(chunk), Some(delivery)));
        }
        let read = tokio::task::spawn_blocking(move || {
            let chunk = delivery.chunk();
            (delivery, chunk)
        });
        match read.await {
            Ok((delivery, Ok(chunk))) => Some((Ok(chunk), Some(delivery))),
            // An error ends the response short of its length, so the provider notices.
            Ok((_, Err(error))) => Some((Err(error), None)),
            Err(error) => Some((Err(std::io::Error::other(error)), None)),
        }
    });
    reply(head, Body::from_stream(chunks))
}

fn reply(head: response::Builder, body: Body) -> Result<Response, Failure> {
    head.body(body).map_err(|error| Failure::Bug(error.to_string()))
}

/// A response under way. When it breaks off, dropping it notes how far it came.
struct Delivery {
    service: Arc<Service>,
    grant: GrantRow,
    way: Way,
    file: Arc<File>,
    files: FileQueue,
    stamp: Stamp,
    id: i64,
    /// Where the member begins in the file.
    begin: u64,
    next: u64,
    end: u64,
    is_counted: bool,
    sealer: Option<Sealer>,
    _place: Place,
}

impl Delivery {
    /// The next bytes, if neither the disk, a commit nor a seal has to be waited for.
    fn chunk_at_hand(&mut self) -> Option<Bytes> {
        // The last chunk comes after the access was posted.
        let before_last = self.end.checked_sub(self.next)?.checked_sub(CHUNK_BYTES as u64)?;
        if before_last == 0 || self.sealer.is_some() {
            return None;
        }
        let most = if self.files.is_there() { QUEUED_BYTES_MAX } else { CHUNK_BYTES };
        let count = usize::try_from(before_last).unwrap_or(most).min(most);
        let (file, stamp, offset) = (self.file.clone(), self.stamp, self.begin + self.next);
        // Whatever is wrong is said by the thread that looks again.
        let chunk = if self.files.is_there() {
            self.may_go_on().ok().filter(|()| is_at_hand(&file, offset, count))?;
            self.files.put(FilePart { file, stamp, offset, count })?
        } else {
            let chunk = self.service.chunks.read_at_hand(&file, offset, count)?;
            self.may_go_on().ok()?;
            chunk
        };
        self.next += count as u64;
        Some(chunk)
    }

    fn chunk(&mut self) -> std::io::Result<Bytes> {
        let (count, reached) = self.step().ok_or(std::io::ErrorKind::UnexpectedEof)?;
        let chunk = self.service.chunks.read(&self.file, self.begin + self.next, count)?;
        self.may_go_on()?;
        // What cannot be sealed is not paid either, so it comes first.
        let chunk = match &mut self.sealer {
            Some(sealer) => sealer.seal(&chunk)?.into(),
            None => chunk,
        };
        if reached == self.end {
            let (service, grant) = (&self.service, &self.grant);
            let (entries, way) =
                charge(service, grant, &self.way).map_err(std::io::Error::other)?;
            let now = Timestamp::now();
            let delivered = service.state.delivered(grant, self.id, &entries, &way, now);
            if let Delivered::Whole { first } = delivered.map_err(std::io::Error::other)? {
                accessed(service, grant, first)
                    .map_err(|failure| std::io::Error::other(format!("{failure:?}")))?;
            }
        }
        self.next = reached;
        Ok(chunk)
    }

    /// How many bytes come next, and where the member is then.
    fn step(&self) -> Option<(usize, u64)> {
        let count = usize::try_from(self.end - self.next).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        Some((count, self.next.checked_add(count as u64)?))
    }

    /// Bytes that were read may be handed over: they are of the version that was granted, and the
    /// grant still holds.
    fn may_go_on(&self) -> std::io::Result<()> {
        if Stamp::of(&self.file)? != self.stamp {
            return Err(std::io::Error::other("the photo was changed while it was sent"));
        }
        let holds = self.service.state.still_holds(&self.grant.grant_id);
        match holds.map_err(std::io::Error::other)? {
            true => Ok(()),
            false => Err(std::io::Error::other("the grant was revoked while it was used")),
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.service.under_way.end(self.id);
        if self.next == self.end {
            return;
        }
        let (service, id, end) = (self.service.clone(), self.id, self.next);
        let unsent = self.is_counted.then(|| (self.grant.grant_id.clone(), self.end - end));
        let close = move || {
            if let Some((grant_id, bytes_count)) = unsent
                && let Err(error) = service.state.give_fetch_back(&grant_id, bytes_count)
            {
                tracing::warn!(%error, "a fetch that broke off counts as whole");
            }
            if let Err(error) = service.state.delivery_broken(id, end) {
                tracing::warn!(%error, "a delivery counts as whole at the next start");
            }
        };
        // Dropped by the connection, on an async thread: the store's write goes elsewhere.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(close)),
            Err(_no_runtime) => close(),
        }
    }
}
