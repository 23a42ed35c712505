//! Bytes that no camera writes: every reader survives them and says nothing untrue.
//!
//! What cameras do write is read in `tests/suite/companions.rs`, with exiftool beside it.

use std::io::Cursor;

use proptest::prelude::*;

use super::*;
use crate::media::extras::Extras;

/// Pieces of all formats, so that chance comes deeper than the first bytes.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let known = proptest::sample::select(vec![
        b"\xFF\xD8\xFF\xE1\x00\x20Exif\0\0II*\0\x08\0\0\0".as_slice(),
        b"\xFF\xE2\x00\x58MPF\0MM\0*\0\0\0\x08\0\x01\xB0\x02\0\x07\0\0\0\x20\0\0\0\x1A",
        b"\xFF\xED\x00\x30Photoshop 3.0\08BIM\x04\x04\0\0\0\0\0\x10\x1C\x02\x19\0\x03one",
        b"\xFF\xDA\x00\x08\x01\x01\0\0\x3F\0",
        b"\xFF\xD9",
        b"\0\0\0\x18ftypmp42\0\0\0\0isommp42",
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        b"\0\0\0\x10moov\0\0\0\x08mvhd",
        b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x18",
        b"\0\0\0\x3Cmeta\0\0\0\0\0\0\0\x10iinf\0\0\0\0\0\x01",
        b"\0\0\0\x10iloc\x01\0\0\0\x44\x44\0\x01",
        b"\0\0\0\0mpvd",
        b"SEFH\x6A\0\0\0\x01\0\0\0\0\0\x30\x0A\x20\0\0\0\x20\0\0\0\x18\0\0\0SEFT",
        b"\x14\0\0\0QDIOBS",
        b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1F\0\0\x40\x1F\0\0",
        b"LIST\x14\0\0\0exiferel\x05\0\0\0a.jpg\0",
        b"data\xFF\xFF\xFF\xFF",
        b"<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">",
        b"\x89PNG\r\n\x1A\n\0\0\0\x04eXIfII*\0",
    ]);
    let piece = prop_oneof![
        3 => known.prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..24),
    ];
    let change = (any::<usize>(), any::<u8>());
    (proptest::collection::vec(piece, 1..8), proptest::collection::vec(change, 0..4)).prop_map(
        |(pieces, changes)| {
            let mut bytes = pieces.concat();
            for (at, value) in changes {
                let length = bytes.len().max(1);
                if let Some(byte) = bytes.get_mut(at % length) {
                    *byte = value;
                }
            }
            bytes
        },
    )
}

proptest! {
    #[test]
    fn parts_lie_inside_the_file_and_apart(bytes in pieces()) {
        let mut end = 0;
        for part in Extras::read(&bytes).embedded {
            prop_assert!(part.offset >= end && part.bytes_count > 0);
            end = part.offset + part.bytes_count;
        }
        prop_assert!(end <= bytes.len() as u64);
    }

    #[test]
    fn companions_of_any_bytes_give_facts_or_an_error(bytes in pieces()) {
        for name in ["a.wav", "a.mov", "a.xmp", "a.json", "a.aae", "a.thm", "a.nef", "a.cr3"] {
            let either = inspect(OsStr::new(name), &mut Cursor::new(&bytes));
            if let Ok(facts) = either {
                prop_assert!(facts.member.is_companion() && !facts.media_type.is_empty());
            }
        }
        let _whatever = album_title(&bytes);
    }
}

#[test]
fn packets_that_would_take_long_are_refused() {
    let start = r#"<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description"#;
    let end = "></rdf:Description></rdf:RDF></x:xmpmeta>";
    let attributes =
        |count: usize| -> String { (0..count).map(|n| format!(r#" a{n}=">""#)).collect() };
    let spaces =
        |count: usize| -> String { (0..count).map(|n| format!(r#" xmlns:n{n}="u{n}""#)).collect() };
    for (text, is_read) in [
        (format!("{start}{}{end}", attributes(1900)), true),
        (format!("{start}{}{end}", attributes(2100)), false),
        (format!("{start}{}{end}", spaces(250)), true),
        (format!("{start}{}{end}", spaces(350)), false),
        (format!("{start}>{}</rdf:Description{end}", "<a>".repeat(100_000)), false),
        ("<".repeat(xmp::BYTES_MAX), false),
        (" ".repeat(xmp::BYTES_MAX + 1), false),
    ] {
        assert_eq!(xmp::read(text.as_bytes()).is_some(), is_read, "{:.80}", text);
    }
}

#[test]
fn texts_that_are_too_long_are_not_read() {
    for name in ["a.json", "a.xmp"] {
        let long = vec![b' '; xmp::BYTES_MAX + 1];
        let error = inspect(OsStr::new(name), &mut Cursor::new(long)).expect_err("too long");
        assert!(matches!(error, InspectError::TooLarge { .. }), "{error}");
    }
}
