//! Sends the bytes of a member: `HEAD`, ranges, `ETag`, resume.
//!
//! Bytes are read in chunks of 512 KiB, the next one when the provider took the one before:
//! a provider that stalls holds two chunks and no thread. Before each chunk the grant is
//! looked at again, so that a revocation ends a transfer under way, and the file too, so
//! that a photo edited meanwhile is never delivered half old, half new.
//!
//! A companion inside the photo's file, such as a film behind the picture, is a member like any
//! other: its bytes, its length, its ETag. Nothing around it can be asked for.
//!
//! INVARIANT: the chunk that makes a delivery complete is handed over only after the access
//! was posted, in one transaction with its entries. A crash before it: the provider misses
//! bytes and comes again. A crash after it: posted once, whatever comes again.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;
use std::time::SystemTime;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::OwnedSemaphorePermit;

use super::range::{Span, Wanted, wanted};
use super::reply::Failure;
use super::{NotThere, Service, post_access};
use crate::store::GrantRow;

const CHUNK_BYTES: u64 = 512 * 1024;

/// Answers a request that was allowed.
pub(super) fn open(
    service: Arc<Service>,
    grant: &GrantRow,
    file: File,
    method: &Method,
    headers: &HeaderMap,
    place: OwnedSemaphorePermit,
) -> Result<Response, Failure> {
    let etag = format!("\"{}\"", grant.digest);
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if text(header::IF_NONE_MATCH).is_some_and(|tags| tags == "*" || tags.contains(&etag)) {
        return reply(grant, StatusCode::NOT_MODIFIED, &etag, None, Body::empty());
    }
    // A range that was asked for another version gets the whole of this one.
    let same = text(header::IF_RANGE).is_none_or(|tag| tag == etag);
    let range = if same { text(header::RANGE) } else { None };
    let whole = Span { start: 0, end: grant.bytes_count };
    let (status, span) = match wanted(range, grant.bytes_count) {
        Wanted::Whole => (StatusCode::OK, whole),
        Wanted::Part(span) => (StatusCode::PARTIAL_CONTENT, span),
        Wanted::Outside => return Err(Failure::Range(grant.bytes_count)),
    };
    if method == Method::HEAD {
        return reply(grant, status, &etag, Some(span), Body::empty());
    }
    let stamp = stamp(&file).map_err(Failure::Disk)?;
    let (begin, file_bytes_count) = (grant.offset.unwrap_or(0), stamp.0);
    let fits = match grant.offset {
        None => file_bytes_count == grant.bytes_count,
        Some(offset) => {
            offset.checked_add(grant.bytes_count).is_some_and(|end| end <= file_bytes_count)
        }
    };
    if !fits {
        return Err(Failure::NotThere(NotThere::Gone));
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
    let mut delivery = Delivery {
        service,
        grant: grant.clone(),
        file,
        stamp,
        id: delivery,
        next: span.start,
        end: span.end,
        is_counted: fetches_max.is_some(),
        _place: place,
    };
    delivery.file.seek(SeekFrom::Start(begin + span.start)).map_err(Failure::Disk)?;
    let chunks = futures_util::stream::unfold(Some(delivery), |delivery| async {
        let mut delivery = delivery.filter(|delivery| delivery.next < delivery.end)?;
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
    reply(grant, status, &etag, Some(span), Body::from_stream(chunks))
}

fn reply(
    grant: &GrantRow,
    status: StatusCode,
    etag: &str,
    span: Option<Span>,
    body: Body,
) -> Result<Response, Failure> {
    let digest = STANDARD.encode(grant.digest.as_bytes());
    let mut response = Response::builder()
        .status(status)
        .header(header::ETAG, etag)
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::CACHE_CONTROL, "private, no-store")
        .header("x-content-type-options", "nosniff")
        .header("repr-digest", format!("sha-256=:{digest}:"));
    if let Some(span) = span {
        response = response
            .header(header::CONTENT_TYPE, &grant.media_type)
            .header(header::CONTENT_LENGTH, span.end - span.start);
        if status == StatusCode::PARTIAL_CONTENT {
            let range = format!("bytes {}-{}/{}", span.start, span.end - 1, grant.bytes_count);
            response = response.header(header::CONTENT_RANGE, range);
        }
    }
    response.body(body).map_err(|error| Failure::Bug(error.to_string()))
}

/// Length and time of last change.
type Stamp = (u64, Option<SystemTime>);

fn stamp(file: &File) -> std::io::Result<Stamp> {
    let metadata = file.metadata()?;
    Ok((metadata.len(), metadata.modified().ok()))
}

/// A response under way. When it breaks off, dropping it notes how far it came.
struct Delivery {
    service: Arc<Service>,
    grant: GrantRow,
    file: File,
    stamp: Stamp,
    id: i64,
    next: u64,
    end: u64,
    is_counted: bool,
    _place: OwnedSemaphorePermit,
}

impl Delivery {
    fn chunk(&mut self) -> std::io::Result<Bytes> {
        let wanted = (self.end - self.next).min(CHUNK_BYTES);
        let mut chunk = Vec::with_capacity(usize::try_from(wanted).unwrap_or(0));
        (&self.file).take(wanted).read_to_end(&mut chunk)?;
        if chunk.len() as u64 != wanted || stamp(&self.file)? != self.stamp {
            return Err(std::io::Error::other("the photo was changed while it was sent"));
        }
        let state = &self.service.state;
        let kept = state.grant(&self.grant.grant_id).map_err(std::io::Error::other)?;
        let revoked = kept.is_none_or(|grant| grant.revoked_at.is_some());
        if revoked || state.stopped_since().map_err(std::io::Error::other)?.is_some() {
            return Err(std::io::Error::other("the grant was revoked while it was used"));
        }
        let reached = self.next + wanted;
        if reached == self.end
            && state.delivery_finished(&self.grant, self.id).map_err(std::io::Error::other)?
        {
            post_access(&self.service, &self.grant)
                .map_err(|failure| std::io::Error::other(format!("{failure:?}")))?;
        }
        self.next = reached;
        Ok(chunk.into())
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
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
