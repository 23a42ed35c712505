//! Films, as far as their index is read: any bytes give facts or an error.
#![no_main]

use std::ffi::OsStr;
use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use signet_fuzz::media::companion::inspect;

fuzz_target!(|bytes: &[u8]| {
    let _either = inspect(OsStr::new("a.mov"), &mut Cursor::new(bytes));
});
