//! Where the face networks lie, and whether they are what their manifest says.
//!
//! In:  a folder with `model.toml` and the two files that it names.
//! Out: manifest and bytes, length and SHA-256 checked.
//!
//! A folder without a `model.toml` has no networks, and that is no mistake: icons work without.
//! Nothing outside the folder is opened: the manifest names files without folders, and a network
//! that keeps weights elsewhere is refused (`onnx`).

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::manifest::{Manifest, ManifestError, Source};
use crate::base::ids::ContentHash;

/// Name of the manifest in a folder of networks.
pub const MANIFEST: &str = "model.toml";

/// Largest manifest, in bytes.
const MANIFEST_BYTES_MAX: u64 = 64 * 1024;

/// Both networks as they lie in a folder.
#[derive(Debug)]
pub struct FaceFiles {
    /// What they are.
    pub manifest: Manifest,
    /// ONNX file of the detector.
    pub detector: Vec<u8>,
    /// ONNX file of the recogniser.
    pub recogniser: Vec<u8>,
}

/// Why the networks of a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FaceFilesError {
    /// A file cannot be read.
    #[error("`{path}` cannot be read: `signet models pull faces` fetches it again")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The manifest is none.
    #[error("`{path}` cannot be used")]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// A network is cut off, or another one.
    #[error(
        "`{path}` is {cause}: `signet models pull faces` fetches it again; for a network of your \
         own, correct `model.toml` beside it"
    )]
    Altered {
        /// The file.
        path: PathBuf,
        /// In which way.
        cause: String,
    },
}

impl FaceFiles {
    /// Reads the networks of a folder; `None` where there is no manifest.
    ///
    /// # Errors
    /// See [`FaceFilesError`].
    pub fn read(folder: &Path) -> Result<Option<Self>, FaceFilesError> {
        let Some(manifest) = manifest(folder)? else { return Ok(None) };
        let detector = network(folder, &manifest.detector.source)?;
        let recogniser = network(folder, &manifest.recogniser.source)?;
        Ok(Some(Self { manifest, detector, recogniser }))
    }
}

/// Reads the manifest of a folder and leaves its networks alone; `None` where there is none.
///
/// # Errors
/// See [`FaceFilesError`].
pub fn manifest(folder: &Path) -> Result<Option<Manifest>, FaceFilesError> {
    let path = folder.join(MANIFEST);
    let unreadable = |source| FaceFilesError::Unreadable { path: path.clone(), source };
    let text = match bytes_of(&path, MANIFEST_BYTES_MAX) {
        Ok(bytes) => String::from_utf8(bytes).map_err(io::Error::other).map_err(unreadable)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let manifest = Manifest::parse(&text);
    manifest.map(Some).map_err(|source| FaceFilesError::Manifest { path, source })
}

/// Reads one network of a folder and checks it.
///
/// # Errors
/// See [`FaceFilesError`].
pub fn network(folder: &Path, source: &Source) -> Result<Vec<u8>, FaceFilesError> {
    let path = folder.join(&source.file);
    match bytes_of(&path, source.bytes) {
        Ok(bytes) => check(source, &bytes)
            .map(|()| bytes)
            .map_err(|cause| FaceFilesError::Altered { path, cause }),
        Err(source) => Err(FaceFilesError::Unreadable { path, source }),
    }
}

/// Whether bytes are the network that a manifest names; or how they differ.
///
/// # Errors
/// In words that follow on "the file is".
pub fn check(source: &Source, bytes: &[u8]) -> Result<(), String> {
    let (found, said) = (bytes.len() as u64, source.bytes);
    if found < said {
        return Err(format!("cut off after {found} of {said} bytes"));
    }
    if found > said {
        return Err(format!("longer than the {said} bytes that it should have"));
    }
    if ContentHash::of(bytes) != source.sha256 {
        return Err("not the file that it should be (its SHA-256 differs)".into());
    }
    Ok(())
}

/// Reads a file, and one byte more than it should have.
fn bytes_of(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::manifest::SHIPPED;
    use super::*;

    /// A folder with two files in the place of the networks.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let manifest = Manifest::parse(SHIPPED).expect("the manifest");
        let mut text = SHIPPED.to_owned();
        for (source, bytes) in
            [(&manifest.detector.source, &b"one"[..]), (&manifest.recogniser.source, b"other")]
        {
            std::fs::write(folder.path().join(&source.file), bytes).expect("written");
            let sha256 = ContentHash::of(bytes).to_string();
            text = text.replace(&source.sha256.to_string(), &sha256);
            text = text
                .replace(&format!("bytes = {}", source.bytes), &format!("bytes = {}", bytes.len()));
        }
        std::fs::write(folder.path().join(MANIFEST), text).expect("written");
        folder
    }

    #[test]
    fn folder_without_a_manifest_has_no_networks_and_no_mistake() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(FaceFiles::read(folder.path()).expect("no mistake").is_none());
        assert!(FaceFiles::read(&folder.path().join("nowhere")).expect("no mistake").is_none());
    }

    #[test]
    fn networks_are_read_as_they_are_and_each_change_is_told_by_its_file() {
        let folder = folder();
        let files = FaceFiles::read(folder.path()).expect("read").expect("networks");
        assert_eq!((&*files.detector, &*files.recogniser), (&b"one"[..], &b"other"[..]));
        let file = files.manifest.recogniser.source.file;
        let path = folder.path().join(&file);
        for (bytes, cause) in [
            (&b"othe"[..], "cut off after 4 of 5"),
            (b"others", "longer than"),
            (b"Other", "SHA-256"),
        ] {
            std::fs::write(&path, bytes).expect("written");
            let error = FaceFiles::read(folder.path()).expect_err(cause).to_string();
            assert!(error.contains(cause) && error.contains(&file), "{error}");
        }
        std::fs::remove_file(&path).expect("removed");
        let error = FaceFiles::read(folder.path()).expect_err("missing").to_string();
        assert!(error.contains(&file) && error.contains("models pull faces"), "{error}");
        std::fs::write(folder.path().join(MANIFEST), "nonsense").expect("written");
        let error = FaceFiles::read(folder.path()).expect_err("no manifest").to_string();
        assert!(error.contains(MANIFEST), "{error}");
    }
}
