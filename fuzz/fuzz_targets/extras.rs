//! What a photo's bytes say of what travels with it: parts lie inside the file and apart.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| signet_fuzz::check_extras(bytes));
