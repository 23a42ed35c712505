//! The engine's parsers by themselves, as fuzz targets need them.
//!
//! Each file here names files of the engine and holds nothing else. The whole engine takes
//! minutes to build with instruments, and nearly all of it is libraries that are not meant
//! here; the parsers take seconds.

#![allow(dead_code, reason = "no target needs all of a file")]

pub mod base;
pub mod collection;
pub mod detection;
pub mod media;

/// Reads what a photo's bytes say and asserts what holds for any bytes.
pub fn check_extras(bytes: &[u8]) {
    let extras = media::extras::Extras::read(bytes);
    let mut end = 0;
    for part in &extras.embedded {
        assert!(part.offset >= end && part.bytes_count > 0, "{extras:?}");
        end = part.offset + part.bytes_count;
        assert!(end <= bytes.len() as u64, "{extras:?}");
    }
    assert!(extras.words.rating.is_none_or(|stars| (-1..=5).contains(&stars)));
}

/// Lets the engine catch what the crate for conditions breaks off with; what it lets through still
/// ends the run.
pub fn keep_quiet() {
    std::panic::set_hook(Box::new(|_| {}));
}
