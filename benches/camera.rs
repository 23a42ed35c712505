//! Large inputs: real camera files, when they are here.
//!
//! They are looked for in `SIGNET_SHARED` (default: `shared` beside the project); without
//! them only small inputs run.

#![expect(clippy::print_stdout, reason = "a bench says what it skips")]

use std::path::{Path, PathBuf};

/// The 12-megapixel camera files, or nothing when they are not here.
pub(crate) fn camera_12mp() -> Vec<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "a bench has no config")]
    let shared = std::env::var_os("SIGNET_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let Ok(folder) = std::fs::read_dir(shared.join("camera/12mp")) else {
        println!("no 12-megapixel camera files here: large inputs skipped");
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = folder.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}
