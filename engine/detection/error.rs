//! Why detection cannot work, each with its cure.

use std::path::PathBuf;

/// Why icons cannot be looked for. None of these is the fault of a photo.
#[derive(Debug, thiserror::Error)]
pub enum DetectionError {
    /// The ONNX Runtime shared library lies in none of the usual places.
    #[error(
        "no ONNX Runtime library found (looked in {searched}): run `make setup`, or \
         `pip install onnxruntime` and set ORT_DYLIB_PATH to its libonnxruntime file"
    )]
    LibraryMissing {
        /// The places, joined by commas.
        searched: String,
    },
    /// A path that somebody named leads nowhere.
    #[error("{named_by} says the ONNX Runtime library is `{path}`, but no such library is there")]
    LibraryNotThere {
        /// Who named it: the config key or the variable.
        named_by: &'static str,
        /// What was named.
        path: PathBuf,
    },
    /// It is there, but cannot be loaded or is older than 1.20.
    #[error(
        "the ONNX Runtime library `{path}` cannot be used ({cause}): run `make setup`, or \
         `pip install -U onnxruntime` (1.20 or newer) and set ORT_DYLIB_PATH to its libonnxruntime file"
    )]
    LibraryUnusable {
        /// The library.
        path: PathBuf,
        /// What the loader said, on one line.
        cause: String,
    },
    /// A network does not load or does not fit this program.
    #[error("the network `{name}` cannot be used: {cause}")]
    Network {
        /// `localiser`, `aligner` or `embedder`; `face detector`, `face recogniser`.
        name: &'static str,
        /// What ONNX Runtime said, on one line.
        cause: String,
    },
    /// A network for faces, fetched or dropped in, does not load or is not what its manifest says.
    #[error(
        "`{file}` cannot be used for faces: {cause}; correct `model.toml` beside it, or put back the \
         usual ones with `signet models pull faces`"
    )]
    FaceNetwork {
        /// Its name in the folder of the manifest.
        file: String,
        /// What does not fit, or what ONNX Runtime said, on one line.
        cause: String,
    },
    /// A file that should hold a network cannot be read.
    #[error("`{path}` cannot be read")]
    NetworkFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The icon set cannot be used.
    #[error(transparent)]
    IconSet(#[from] super::icon_set::IconSetError),
}

/// Makes a message of an outside library fit into one line.
pub(crate) fn one_line(error: &impl std::fmt::Display) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}
