//! Rule files, as somebody writes or damages them; those without a mistake judge a photo.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signet::rules::{Facts, Known, RuleFile, RuleSet};

fuzz_target!(init: signet_fuzz::keep_quiet(), |bytes: &[u8]| {
    let file = RuleFile::new("a.toml", bytes);
    let icons = ["mug", "canvas", "copies-2", "share"].map(str::to_owned);
    match RuleSet::load(&[file], &Known::of_icons(icons.to_vec())) {
        Ok(set) => drop(set.judge(&Facts::default())),
        Err(mistakes) => {
            assert!(!mistakes.is_empty());
            for mistake in mistakes {
                assert!(mistake.line > 0 && mistake.column > 0);
                assert!(!mistake.to_string().contains(char::is_control), "{mistake:?}");
            }
        }
    }
});
