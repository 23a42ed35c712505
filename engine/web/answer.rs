//! Status and headers with which a member is answered, whoever has its bytes: the owner's computer, or
//! a hub where a sealed copy lies.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header, response};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub use super::range::Span;
use super::range::{Wanted, wanted};
use crate::access::sealed::{SEALED_TYPE, sealed_len};
use crate::base::ids::ContentHash;

/// What is answered.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// SHA-256 of the whole; its ETag too.
    pub digest: &'a ContentHash,
    /// Length of the whole.
    pub bytes_count: u64,
    /// `None`: its bytes go sealed.
    pub media_type: Option<&'a str>,
}

/// What the headers of a request come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The provider has it.
    NotModified,
    /// These bytes, with this status.
    Bytes(StatusCode, Span),
    /// Nothing that exists.
    Outside,
}

impl Answered<'_> {
    /// Reads `If-None-Match`, `If-Range` and `Range`.
    pub fn asked(&self, headers: &HeaderMap) -> Asked {
        let etag = self.etag();
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        if text(header::IF_NONE_MATCH).is_some_and(|tags| tags == "*" || tags.contains(&etag)) {
            return Asked::NotModified;
        }
        // A range that was asked for another version gets the whole of this one.
        let same = text(header::IF_RANGE).is_none_or(|tag| tag == etag);
        let range = if same { text(header::RANGE) } else { None };
        match wanted(range, self.bytes_count) {
            Wanted::Whole => Asked::Bytes(StatusCode::OK, Span { start: 0, end: self.bytes_count }),
            Wanted::Part(span) => Asked::Bytes(StatusCode::PARTIAL_CONTENT, span),
            Wanted::Outside => Asked::Outside,
        }
    }

    /// The head of an answer without a body.
    pub fn head(&self, status: StatusCode) -> response::Builder {
        let digest = STANDARD.encode(self.digest.as_bytes());
        Response::builder()
            .status(status)
            .header(header::ETAG, self.etag())
            .header(header::ACCEPT_RANGES, "bytes")
            .header(header::CACHE_CONTROL, "private, no-store")
            .header("x-content-type-options", "nosniff")
            .header("repr-digest", format!("sha-256=:{digest}:"))
    }

    /// How long a body with these bytes is, where just these were sealed.
    pub const fn length(&self, Span { start, end }: Span) -> u64 {
        match self.media_type {
            None => sealed_len(end - start),
            Some(_) => end - start,
        }
    }

    /// The head of an answer that brings bytes, or would.
    ///
    /// - `length`: of the body
    pub fn head_of(&self, status: StatusCode, span: Span, length: u64) -> response::Builder {
        let Span { start, end } = span;
        let head = self
            .head(status)
            .header(header::CONTENT_TYPE, self.media_type.unwrap_or(SEALED_TYPE))
            .header(header::CONTENT_LENGTH, length);
        match status {
            StatusCode::PARTIAL_CONTENT => {
                let range = format!("bytes {start}-{}/{}", end - 1, self.bytes_count);
                head.header(header::CONTENT_RANGE, range)
            }
            _ => head,
        }
    }

    fn etag(&self) -> String {
        format!("\"{}\"", self.digest)
    }
}
