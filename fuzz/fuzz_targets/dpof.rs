//! Print orders: jobs are sound whatever the bytes, and their paths stay below the root.
#![no_main]

use std::path::{Component, Path};

use libfuzzer_sys::fuzz_target;
use signet_fuzz::media::dpof::{COPIES_MAX, IMAGES_MAX, JOBS_MAX, parse, resolve};

fuzz_target!(|bytes: &[u8]| {
    // What stands behind a zero byte is UNICODE.MRK.
    let (marks, unicode) = match bytes.iter().position(|byte| *byte == 0) {
        Some(at) => (&bytes[..at], Some(&bytes[at + 1..])),
        None => (bytes, None),
    };
    let marks = parse(marks, unicode);
    assert!(marks.jobs.len() <= JOBS_MAX);
    assert!(marks.jobs.iter().map(|job| job.images.len()).sum::<usize>() <= IMAGES_MAX);
    for job in &marks.jobs {
        assert!((1..=COPIES_MAX).contains(&job.copies) && !job.images.is_empty());
        for path in job.images.iter().filter_map(|image| resolve(Path::new("MISC"), image)) {
            assert!(path.components().all(|part| matches!(part, Component::Normal(_))));
        }
    }
});
