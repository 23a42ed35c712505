//! The `Range` header (RFC 9110 §14): one range of bytes; several are answered whole.

/// Bytes `start..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub start: u64,
    /// Behind the last.
    pub end: u64,
}

/// What a request wants of `bytes_count` bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Everything: no range, several, or one that cannot be read.
    Whole,
    /// A part.
    Part(Span),
    /// Nothing that exists.
    Outside,
}

/// Reads a `Range` header.
pub(super) fn wanted(header: Option<&str>, bytes_count: u64) -> Wanted {
    let Some(spec) = header.and_then(|text| text.trim().strip_prefix("bytes=")) else {
        return Wanted::Whole;
    };
    let Some((first, last)) = spec.split_once('-') else { return Wanted::Whole };
    let number = |text: &str| -> Option<u64> {
        let text = text.trim();
        (text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty())
            .then(|| text.parse().unwrap_or(u64::MAX))
    };
    match (first.trim().is_empty(), number(first), last.trim().is_empty(), number(last)) {
        // The last so many bytes.
        (true, None, false, Some(0)) => Wanted::Outside,
        (true, None, false, Some(count)) => {
            Wanted::Part(Span { start: bytes_count.saturating_sub(count), end: bytes_count })
        }
        (false, Some(start), true, None) if start < bytes_count => {
            Wanted::Part(Span { start, end: bytes_count })
        }
        (false, Some(start), false, Some(last)) if start <= last && start < bytes_count => {
            Wanted::Part(Span { start, end: last.saturating_add(1).min(bytes_count) })
        }
        (false, Some(start), false, Some(last)) if start > last => Wanted::Whole,
        (false, Some(_), _, _) if last.trim().is_empty() || number(last).is_some() => {
            Wanted::Outside
        }
        _ => Wanted::Whole,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn headers_are_read_as_the_standard_says() {
        let part = |start, end| Wanted::Part(Span { start, end });
        for (header, expected) in [
            ("bytes=0-", part(0, 100)),
            ("bytes=0-0", part(0, 1)),
            ("bytes=99-", part(99, 100)),
            ("bytes=10-19", part(10, 20)),
            ("bytes=90-1000", part(90, 100)),
            ("bytes=-10", part(90, 100)),
            ("bytes=-1000", part(0, 100)),
            ("bytes=-0", Wanted::Outside),
            ("bytes=100-", Wanted::Outside),
            ("bytes=100-200", Wanted::Outside),
            ("bytes=99999999999999999999-", Wanted::Outside),
            ("bytes=20-10", Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("pages=1-2", Wanted::Whole),
        ] {
            assert_eq!(wanted(Some(header), 100), expected, "{header}");
        }
        assert_eq!(wanted(None, 100), Wanted::Whole);
    }

    proptest! {
        #[test]
        fn part_always_lies_inside(header in "bytes=[0-9 ,-]{0,30}", count in 1_u64..1000) {
            if let Wanted::Part(span) = wanted(Some(&header), count) {
                prop_assert!(span.start < span.end && span.end <= count, "{header}: {span:?}");
            }
        }
    }
}
