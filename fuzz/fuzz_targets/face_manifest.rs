//! Manifests of face networks, as somebody writes or damages them; what is taken makes sense.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signet::detection::faces::Manifest;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Manifest::parse(text) {
        Ok(manifest) => {
            let thresholds = manifest.thresholds;
            assert!(thresholds.ask_min > 0.0 && thresholds.ask_min <= thresholds.order_min);
            assert!(thresholds.order_min < 1.0 && thresholds.bar.eyes_px_min.is_finite());
            for source in [&manifest.detector.source, &manifest.recogniser.source] {
                assert!(!source.file.contains(['/', '\\']) && source.bytes > 0, "{source:?}");
            }
            for scaling in [manifest.detector.scaling, manifest.recogniser.scaling] {
                for (_, mean, deviation) in scaling.channels() {
                    assert!(mean.is_finite() && deviation > 0.0);
                }
            }
        }
        Err(error) => assert!(!error.to_string().contains(char::is_control), "{error:?}"),
    }
});
