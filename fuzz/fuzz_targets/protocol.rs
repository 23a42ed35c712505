//! What a decoding worker that was taken over may write to the agent.
//!
//! The first byte says in what pieces the rest arrives.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signet::media::sandbox::protocol::{Answer, Inbox, MESSAGE_BYTES_MAX, Posture, Request};
use signet::media::{DecodeError, DecodeSpec};

fuzz_target!(|bytes: &[u8]| {
    let Some((pieces, stream)) = bytes.split_first() else { return };
    let request = Request {
        bytes_count: 1000,
        spec: DecodeSpec { cover_px: 64, pixels_max: 10_000, ..DecodeSpec::default() },
    };
    let mut inbox = Inbox::default();
    let mut is_first = true;
    for piece in stream.chunks(usize::from(*pieces) + 1) {
        if inbox.push(piece).is_err() {
            assert!(stream.len() > MESSAGE_BYTES_MAX);
            return;
        }
        loop {
            // A worker begins with its posture.
            if is_first {
                match inbox.take::<Posture>() {
                    Ok(Some(posture)) => drop(posture.harmless()),
                    Ok(None) => break,
                    Err(_) => return,
                }
                is_first = false;
                continue;
            }
            match inbox.take::<Answer>() {
                Ok(Some(Answer { result: Ok(found), .. })) => {
                    let Ok(bytes_count) = found.check(&request) else { continue };
                    // Pixels of one colour, as many as were said.
                    let decoded = found.with(vec![7; bytes_count]).expect("a frame that was checked");
                    assert!(u64::from(decoded.width_px) * u64::from(decoded.height_px) <= 10_000);
                    for part in &decoded.extras.embedded {
                        assert!(part.offset + part.bytes_count <= request.bytes_count);
                    }
                }
                Ok(Some(Answer { result: Err(failure), .. })) => {
                    let text = DecodeError::from(failure).to_string();
                    assert!(!text.chars().any(char::is_control), "{text:?}");
                }
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
});
