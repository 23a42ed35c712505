//! Numbers out of bytes that may end anywhere.
//!
//! In:  a slice and a place in it. Out: what is there, or `None`. Nothing here panics.

/// `N` bytes at a place.
pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// A range that begins at a place.
pub(super) fn slice(bytes: &[u8], at: usize, count: usize) -> Option<&[u8]> {
    bytes.get(at..at.checked_add(count)?)
}

/// Big-endian, 16 bits, as a size.
pub(super) fn be16(bytes: &[u8], at: usize) -> Option<usize> {
    array(bytes, at).map(|number| usize::from(u16::from_be_bytes(number)))
}

/// Big-endian, 32 bits.
pub(super) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

/// Big-endian, 64 bits.
pub(super) fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_be_bytes)
}

/// Little-endian, 16 bits.
pub(super) fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

/// Little-endian, 32 bits.
pub(super) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

/// Text up to the first zero, without blanks around it; `None` when nothing is left.
///
/// What is no UTF-8 is taken for Latin-1, as older writers have it.
pub(super) fn text(bytes: &[u8]) -> Option<String> {
    let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    };
    tidy(&text)
}

/// Characters kept of one text; the longest caption that IPTC allows.
const TEXT_CHARS_MAX: usize = 2000;

/// Text without blanks around it, control characters and excessive length.
pub(super) fn tidy(text: &str) -> Option<String> {
    let is_kept = |c: &char| !c.is_control() || *c == '\n';
    let text: String = text.trim().chars().filter(is_kept).take(TEXT_CHARS_MAX).collect();
    (!text.is_empty()).then_some(text)
}
