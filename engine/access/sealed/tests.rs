//! Sealed and opened, by ourselves and beside Python's `cryptography`; altered in every way.

use proptest::prelude::*;

use super::*;

/// A key whose secret half is the bytes 0 to 31.
fn lab() -> Key {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("lab.key");
    let secret: Vec<u8> = (0..32).collect();
    std::fs::write(&path, URL_SAFE_NO_PAD.encode(secret)).expect("written");
    Key::load_or_create(&path).expect("a key")
}

fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|i| u8::try_from((i * 7 + i / 251) % 256).expect("small")).collect()
}

fn subject(digest: &ContentHash, count: usize) -> Subject<'_> {
    Subject { grant_id: "grant-1", digest, start: 5, end: 5 + count as u64 }
}

/// Seals in pieces of so many chunks.
fn seal(plain: &[u8], digest: &ContentHash, piece_chunks: usize) -> (String, Vec<u8>) {
    let subject = subject(digest, plain.len());
    let mut sealer = Sealer::with([7; 32], &lab().public(), subject).expect("a key");
    let mut sealed = Vec::new();
    for piece in plain.chunks(piece_chunks * CHUNK_BYTES) {
        sealed.extend(sealer.seal(piece).expect("sealed"));
    }
    if plain.is_empty() {
        sealed.extend(sealer.seal(plain).expect("sealed"));
    }
    (sealer.header(), sealed)
}

fn open(sealed: &[u8], header: &str, subject: Subject<'_>) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    let opened = Opened::new(sealed, &lab(), header, subject).map_err(io::Error::other);
    opened?.read_to_end(&mut plain).map(|_count| plain)
}

#[test]
fn answer_is_that_of_an_independent_peer() {
    // Printed by tests/peers/seal.py.
    let plain = bytes(CHUNK_BYTES + 100);
    let digest = ContentHash::of(&plain);
    assert_eq!(lab().public().to_string(), "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg");
    let (header, sealed) = seal(&plain, &digest, 1);
    assert_eq!(header, "v1 E75P6uryBMf9M1j8nAByGIHRdCeBKCJ-xnTzf3_pe20");
    assert_eq!(
        (sealed.len(), ContentHash::of(&sealed).to_string().as_str()),
        (65668, "aa3d04d53aeae755d8dd66741d97c0cd25b6ee25f4d3869ffcfde2448f4d00f1")
    );
    let opened = open(&sealed, &header, subject(&digest, plain.len()));
    assert_eq!(opened.expect("opened"), plain);
}

#[test]
fn other_key_grant_version_and_range_do_not_open() {
    let plain = bytes(1000);
    let (digest, other) = (ContentHash::of(&plain), ContentHash::of(b"other"));
    let (header, sealed) = seal(&plain, &digest, 1);
    let right = subject(&digest, plain.len());
    assert!(open(&sealed, &header, right).is_ok());
    for wrong in [
        Subject { grant_id: "grant-2", ..right },
        Subject { digest: &other, ..right },
        Subject { start: right.start + 1, end: right.end + 1, ..right },
        Subject { end: right.end - 1, ..right },
        Subject { end: right.end + 1, ..right },
    ] {
        assert!(open(&sealed, &header, wrong).is_err(), "{wrong:?}");
    }
    let stranger = Key::generate().expect("a key");
    let opened = Opened::new(sealed.as_slice(), &stranger, &header, right).expect("a header");
    assert!(io::copy(&mut { opened }, &mut io::sink()).is_err());
    for header in ["", "v1", "v1 ", "v2 E75P6uryBMf9M1j8nAByGIHRdCeBKCJ-xnTzf3_pe20", "v1 E75P"] {
        assert!(open(&sealed, header, right).is_err(), "{header}");
    }
}

#[test]
fn points_with_which_everybody_shares_a_secret_are_refused() {
    let digest = ContentHash::of(b"");
    let zero = format!("v1 {}", URL_SAFE_NO_PAD.encode([0; 32]));
    assert!(Opened::new(&b""[..], &lab(), &zero, subject(&digest, 0)).is_err());
    // The neutral element, as an Ed25519 key.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let neutral: PublicKey = URL_SAFE_NO_PAD.encode(neutral).parse().expect("a point");
    let sealer = Sealer::new(&neutral, subject(&digest, 0));
    assert!(matches!(sealer, Err(SealError::WeakKey(_))));
}

#[test]
fn chunks_dropped_swapped_repeated_or_added_are_noticed_and_what_came_before_is_right() {
    let plain = bytes(3 * CHUNK_BYTES);
    let digest = ContentHash::of(&plain);
    let (header, sealed) = seal(&plain, &digest, 2);
    let chunk = |n: usize| &sealed[n * (CHUNK_BYTES + TAG_BYTES)..][..CHUNK_BYTES + TAG_BYTES];
    for (order, right_chunks) in [
        (&[0, 1][..], 2),
        (&[0, 2], 1),
        (&[1, 0, 2], 0),
        (&[0, 1, 1], 2),
        (&[0, 1, 2, 2], 2),
        (&[2], 0),
        (&[], 0),
    ] {
        let altered: Vec<u8> = order.iter().flat_map(|n| chunk(*n)).copied().collect();
        let right = subject(&digest, plain.len());
        let mut opened = Opened::new(altered.as_slice(), &lab(), &header, right).expect("header");
        let mut read = Vec::new();
        assert!(opened.read_to_end(&mut read).is_err(), "{order:?}");
        assert_eq!(read, plain[..right_chunks * CHUNK_BYTES], "{order:?}");
    }
}

#[test]
fn sealing_in_other_pieces_is_refused() {
    let digest = ContentHash::of(b"");
    let mut sealer = Sealer::new(&lab().public(), subject(&digest, 100_000)).expect("a key");
    assert!(sealer.seal(&[0; 1000]).is_err(), "not a whole chunk");
    assert!(sealer.seal(&[0; 131_072]).is_err(), "more than there is");
    assert_eq!(sealer.seal(&[0; CHUNK_BYTES]).expect("a chunk").len(), CHUNK_BYTES + TAG_BYTES);
    assert_eq!(sealer.seal(&[0; 34_464]).expect("the rest").len(), 34_464 + TAG_BYTES);
    assert_eq!(sealer.seal(&[]).expect("nothing more").len(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn what_was_sealed_is_opened(count in 0_usize..300_000, piece in 1_usize..5) {
        let plain = bytes(count);
        let digest = ContentHash::of(&plain);
        let (header, sealed) = seal(&plain, &digest, piece);
        prop_assert_eq!(sealed.len() as u64, sealed_len(count as u64));
        let opened = open(&sealed, &header, subject(&digest, count)).expect("opened");
        prop_assert_eq!(opened, plain);
    }

    #[test]
    fn one_altered_bit_or_a_cut_is_noticed(
        count in 0_usize..150_000, place in any::<prop::sample::Index>(), bit in 0_u8..8,
        cut: bool,
    ) {
        let plain = bytes(count);
        let digest = ContentHash::of(&plain);
        let (header, mut sealed) = seal(&plain, &digest, 1);
        let place = place.index(sealed.len());
        if cut { sealed.truncate(place) } else { sealed[place] ^= 1 << bit }
        prop_assert!(open(&sealed, &header, subject(&digest, count)).is_err());
    }

    #[test]
    fn any_header_is_read_without_panic(header in "\\PC*") {
        let digest = ContentHash::of(b"");
        prop_assert!(open(&[0; 16], &header, subject(&digest, 0)).is_err());
    }
}

#[test]
fn part_of_what_was_sealed_whole_opens_and_nothing_else_passes_for_it() {
    let plain = bytes(3 * CHUNK_BYTES + 1000);
    let (digest, count) = (ContentHash::of(&plain), plain.len() as u64);
    let whole = Subject { grant_id: "grant-1", digest: &digest, start: 0, end: count };
    let mut sealer = Sealer::new(&lab().public(), whole).expect("a key");
    let header = part_header(&sealer.header());
    let sealed = sealer.seal(&plain).expect("sealed");
    let chunk = CHUNK_BYTES as u64;
    let cut = |start: u64, end: u64| {
        let (from, to) = sealed_span(start, end, count);
        let (from, to) =
            (usize::try_from(from).expect("small"), usize::try_from(to).expect("small"));
        sealed[from..to].to_vec()
    };
    let opened = |bytes: &[u8], start, end| -> io::Result<Vec<u8>> {
        let subject = Subject { start, end, ..whole };
        let mut opened =
            Opened::of_member(bytes, &lab(), &header, subject, count).map_err(io::Error::other)?;
        let mut plain = Vec::new();
        opened.read_to_end(&mut plain).map(|_count| plain)
    };
    for (start, end) in [
        (0, count),
        (1, count),
        (chunk - 1, chunk + 1),
        (chunk, 2 * chunk),
        (chunk, count),
        (2 * chunk + 7, 2 * chunk + 8),
        (count - 1, count),
    ] {
        let bytes = cut(start, end);
        let expected =
            &plain[usize::try_from(start).expect("small")..usize::try_from(end).expect("small")];
        assert_eq!(opened(&bytes, start, end).expect("opened"), expected, "{start}..{end}");
        assert_eq!(plain_end(start, end, bytes.len() as u64), end);
        assert_eq!(plain_end(start, end, 0), start);
        assert!(opened(&bytes[..bytes.len() - 1], start, end).is_err(), "{start}..{end} cut");
    }
    // Other chunks, other places, more than was asked for.
    assert!(opened(&cut(0, chunk), chunk, 2 * chunk).is_err());
    assert!(opened(&cut(chunk, 3 * chunk), chunk, 2 * chunk).is_err());
    assert!(opened(&cut(chunk, 2 * chunk), chunk, count).is_err());
    let mut altered = cut(chunk, 2 * chunk);
    altered[9] ^= 1;
    assert!(opened(&altered, chunk, 2 * chunk).is_err());
    // Who expects an answer that was sealed for its range does not take a part of the whole for it.
    let range = Subject { start: chunk, end: count, ..whole };
    assert!(open(&cut(chunk, count), &header, range).is_err());
}
