//! Names, and Google's JSON: a photo is tied to every companion that is asked for.
#![no_main]

use std::ffi::OsStr;
use std::io::Cursor;
use std::os::unix::ffi::OsStrExt;

use libfuzzer_sys::fuzz_target;
use signet_fuzz::collection::group::{candidates, kind_of, photos_of, tie};
use signet_fuzz::media::companion::{album_title, inspect};

fuzz_target!(|bytes: &[u8]| {
    // Two names and a JSON, with a slash between them, which no name can hold.
    let mut parts = bytes.splitn(3, |byte| *byte == b'/');
    let mut part = || OsStr::from_bytes(parts.next().unwrap_or_default());
    let (photo, other, json) = (part(), part(), part().as_bytes());
    let names = candidates(photo);
    assert!(names.len() <= 64);
    for name in &names {
        assert!(tie(photo, name).is_some(), "{photo:?} {name:?}");
        assert_eq!(photos_of(name, [photo]), [photo]);
    }
    let _whatever = (tie(photo, other), tie(other, photo), kind_of(other));
    let _either = inspect(OsStr::new("a.json"), &mut Cursor::new(json));
    let _whatever = album_title(json);
});
