//! Finds the ONNX Runtime shared library on this computer.
//!
//! In:  where the config, the environment and the program's own place point.
//! Out: the path of one library file; [`super::session`] loads it.
//!
//! A path that somebody named is taken or refused, never quietly replaced by another.
//!
//! Knows nothing of networks.

use std::path::{Path, PathBuf};

use super::error::DetectionError;

/// Where to look, in this order.
#[derive(Debug, Clone, Default)]
pub struct LibrarySearch {
    /// `detection.onnxruntime` of `signet.toml`: the file or the folder that holds it.
    pub config: Option<PathBuf>,
    /// `ORT_DYLIB_PATH`: the file or the folder that holds it.
    pub environment: Option<PathBuf>,
    /// This program's own file; its folder and set-up's folder near it are looked at.
    pub program: Option<PathBuf>,
}

impl LibrarySearch {
    /// Gives the first library found.
    ///
    /// # Errors
    /// `LibraryNotThere` when config or environment name something that is none,
    /// `LibraryMissing` when nothing is named and nothing lies near the program.
    pub fn find(&self) -> Result<PathBuf, DetectionError> {
        let named = [
            ("detection.onnxruntime in signet.toml", &self.config),
            ("ORT_DYLIB_PATH", &self.environment),
        ];
        for (named_by, path) in named {
            if let Some(path) = path {
                return library_at(path).ok_or_else(|| DetectionError::LibraryNotThere {
                    named_by,
                    path: path.clone(),
                });
            }
        }
        let folders = self.folders();
        folders.iter().find_map(|folder| library_in(folder)).ok_or_else(|| {
            let places: Vec<_> = folders.iter().map(|f| format!("`{}`", f.display())).collect();
            DetectionError::LibraryMissing { searched: places.join(", ") }
        })
    }

    /// Beside the program, then set-up's folder `target/onnxruntime` seen from
    /// `target/release/` and from `target/release/deps/` (tests and benches).
    fn folders(&self) -> Vec<PathBuf> {
        let Some(folder) = self.program.as_deref().and_then(Path::parent) else {
            return Vec::new();
        };
        let mut folders = vec![folder.to_path_buf()];
        let above = folder.ancestors().skip(1).take(2);
        folders.extend(above.map(|parent| parent.join("onnxruntime")));
        folders
    }
}

fn library_at(path: &Path) -> Option<PathBuf> {
    if path.is_dir() { library_in(path) } else { path.is_file().then(|| path.to_path_buf()) }
}

/// The library in a folder; with several versions side by side, the plain name, else the last.
fn library_in(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| is_library(name))
        .collect();
    names.sort_by_key(|name| {
        (name != "libonnxruntime.so" && name != "libonnxruntime.dylib", name.clone())
    });
    let plain_or_last = match names.first() {
        Some(first) if first == "libonnxruntime.so" || first == "libonnxruntime.dylib" => {
            Some(first)
        }
        _ => names.last(),
    };
    plain_or_last.map(|name| folder.join(name)).filter(|path| path.is_file())
}

/// `libonnxruntime.so`, `libonnxruntime.so.1.20.0`, `libonnxruntime.1.20.0.dylib`; the
/// provider plug-ins `libonnxruntime_providers_*` are something else.
fn is_library(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("libonnxruntime") else {
        return false;
    };
    rest == ".so" || rest.starts_with(".so.") || (rest.starts_with('.') && rest.ends_with(".dylib"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(program: &Path) -> LibrarySearch {
        LibrarySearch { program: Some(program.to_path_buf()), ..LibrarySearch::default() }
    }

    #[test]
    fn library_in_set_up_folder_is_found_from_binary_and_from_test() {
        let target = tempfile::tempdir().expect("a folder");
        let library = target.path().join("onnxruntime/libonnxruntime.so.1.30.0");
        std::fs::create_dir_all(library.parent().expect("a parent")).expect("a folder");
        std::fs::write(&library, b"x").expect("a file");
        std::fs::write(library.with_file_name("libonnxruntime_providers_shared.so"), b"x")
            .expect("a file");
        for program in ["release/signet", "release/deps/suite-1234"] {
            assert_eq!(search(&target.path().join(program)).find().expect("found"), library);
        }
    }

    #[test]
    fn nothing_found_names_places_and_cure() {
        let target = tempfile::tempdir().expect("a folder");
        let error =
            search(&target.path().join("release/signet")).find().expect_err("nothing there");
        let message = error.to_string();
        assert!(message.contains("make setup") && message.contains("onnxruntime`"), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }

    #[test]
    fn named_path_that_leads_nowhere_is_not_replaced() {
        let target = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(target.path().join("onnxruntime")).expect("a folder");
        std::fs::write(target.path().join("onnxruntime/libonnxruntime.so"), b"x").expect("a file");
        let mut search = search(&target.path().join("release/signet"));
        assert!(search.find().is_ok());
        search.environment = Some(target.path().join("elsewhere.so"));
        assert!(matches!(search.find(), Err(DetectionError::LibraryNotThere { .. })));
        search.environment = Some(target.path().join("onnxruntime"));
        assert!(search.find().is_ok());
    }
}
