//! Samsung's trailer behind a small picture, whatever the trailer holds.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|trailer: &[u8]| {
    let picture = [0xFF, 0xD8, 0xFF, 0xDA, 0, 2, 0x55, 0xFF, 0xD9].as_slice();
    signet_fuzz::check_extras(&[picture, trailer].concat());
});
