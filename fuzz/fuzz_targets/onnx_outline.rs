//! Networks that somebody dropped in: what a file says of itself before a library sees it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signet_fuzz::detection::onnx::outline;

fuzz_target!(|bytes: &[u8]| match outline(bytes) {
    Ok(found) => {
        assert!(!found.outputs.is_empty());
        let names = found.inputs.iter().chain(&found.outputs);
        assert!(names.flat_map(|name| name.chars()).all(|char| !char.is_control()), "{found:?}");
    }
    Err(error) => assert!(!error.to_string().contains(char::is_control), "{error:?}"),
});
