//! Habits that a machine can check, over all files that belong to the project.
//!
//! Every mistake is listed, not only the first. A new outside crate that should stay in one
//! place gets a line in [`HOMES`]; a new folder of the engine gets its place in [`ORDER`].

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Folders and files of `engine/`, left to right: a file imports only from its left.
const ORDER: [&str; 16] = [
    "base",
    "store",
    "collection",
    "media",
    "preview",
    "detection",
    "rules",
    "orders",
    "access",
    "ledger",
    "reports",
    "web",
    "hub",
    "lab",
    "agent",
    "commands",
];

/// Outside crates and the only places of `engine/` that may name them.
const HOMES: &[(&str, &[&str])] = &[
    ("ort", &["detection/session.rs", "detection/runtime.rs"]),
    ("deunicode", &["orders/target/hot_folder/words.rs", "reports/pdf/text.rs"]),
    ("pdf_writer", &["reports/pdf.rs", "reports/pdf/", "commands/icons_sheet.rs"]),
    ("cel", &["rules/eval.rs", "rules/eval/"]),
    ("regex", &["rules/eval/pattern.rs"]),
    ("md5", &["orders/target/asset.rs"]),
    ("fast_image_resize", &["media/resize.rs"]),
    ("rusqlite", &["store/"]),
    ("chacha20poly1305", &["access/vault.rs", "access/sealed.rs"]),
    ("icu_normalizer", &["access/people_book.rs"]),
    ("lettre", &["orders/mail.rs"]),
    // What connects goes through the gate; the lab reads answers as they come.
    ("ureq", &["orders/outward.rs", "orders/outward/", "lab/fetch.rs"]),
    ("rustls", &["orders/outward/", "web/tls.rs", "hub/http/", "agent/reach/", "agent/bucket/"]),
    ("argon2", &["hub/operators.rs"]),
    ("axum", &["web/", "hub/http.rs", "hub/http/", "agent/enrol", "agent/reach/"]),
    ("ct_merkle", &["ledger/tree.rs"]),
    ("governor", &["hub/http/pace.rs"]),
    (
        "hyper",
        &["web/", "hub/http.rs", "hub/http/", "agent/enrol", "agent/reach/", "agent/bucket/"],
    ),
    (
        "hyper_util",
        &["web/", "hub/http.rs", "hub/http/", "agent/enrol", "agent/reach/", "agent/bucket/"],
    ),
    ("object_store", &["agent/bucket.rs", "agent/bucket/"]),
    ("prometheus_client", &["hub/metrics.rs"]),
    ("rcgen", &["hub/certificate.rs", "orders/outward/tests/"]),
    ("tokio_rustls", &["web/", "hub/http/", "agent/reach/", "agent/bucket/"]),
    ("tokio_tungstenite", &["agent/reach/"]),
    ("utoipa", &["hub/http/", "hub/http.rs"]),
    ("x25519_dalek", &["access/sealed.rs"]),
    ("notify", &["collection/"]),
    (
        "roxmltree",
        &[
            "media/companion/xmp.rs",
            "detection/foreign.rs",
            "detection/faces/graph.rs",
            "orders/target/xjdf/tests.rs",
            "reports/",
        ],
    ),
    // `media/decode.rs` names our modules of these names.
    ("gif", &["media/gif.rs", "media/decode.rs"]),
    ("ipp", &["orders/target/ipp/wire.rs"]),
    ("libloading", &["media/heif/library.rs"]),
    ("moxcms", &["media/colour.rs"]),
    ("tiff", &["media/tiff.rs", "media/decode.rs"]),
    ("turbojpeg", &["media/", "preview/encode.rs"]),
    ("landlock", &["media/sandbox/jail.rs"]),
    ("seccompiler", &["media/sandbox/filter.rs"]),
    ("memmap2", &["media/sandbox/memory.rs"]),
    ("libc", &["base/heap.rs", "media/sandbox/filter.rs", "media/sandbox/jail.rs"]),
    // The others have or name a module of this name, of ours and of `image`.
    ("webp", &["preview/encode.rs", "media/decode.rs", "commands/icons_export.rs"]),
    ("resvg", &["detection/icon_set.rs", "detection/foreign.rs", "commands/icons"]),
];

/// Largest file that is no weights, in bytes.
const FILE_BYTES_MAX: u64 = 256 * 1024;

#[test]
fn every_source_file_has_a_header() {
    expect_none(sources().filter_map(|source| {
        (!source.text.starts_with("//! "))
            .then(|| format!("{}: begins without `//! `", source.name))
    }));
}

#[test]
fn imports_point_left() {
    let mut mistakes = Vec::new();
    for source in sources() {
        let Some(inside) = source.name.strip_prefix("engine/") else { continue };
        let own = inside.split(['/', '.']).next().unwrap_or_default();
        // `lib.rs` and `main.rs` name everything.
        let Some(own_place) = ORDER.iter().position(|name| *name == own) else { continue };
        for (line, code) in source.code() {
            for name in crate_names(&code) {
                match ORDER.iter().position(|other| *other == name) {
                    Some(place) if place > own_place => {
                        mistakes.push(format!(
                            "{}:{line}: imports `{name}`, which is right of `{own}`",
                            source.name
                        ));
                    }
                    _ => {}
                }
            }
        }
    }
    expect_none(mistakes);
}

#[test]
fn every_folder_of_the_engine_has_its_place_in_the_order() {
    let folders = sources().filter_map(|source| {
        let inside = source.name.strip_prefix("engine/")?;
        inside.split(['/', '.']).next().map(str::to_owned)
    });
    let folders: BTreeSet<String> = folders.collect();
    expect_none(folders.into_iter().filter_map(|folder| {
        let known = ORDER.contains(&folder.as_str()) || folder == "lib" || folder == "main";
        (!known).then(|| format!("engine/{folder}: has no place in ORDER of tests/tidy.rs"))
    }));
}

#[test]
fn outside_crates_stay_in_their_homes() {
    let mut mistakes = Vec::new();
    for source in sources() {
        let Some(inside) = source.name.strip_prefix("engine/") else { continue };
        for (outside, homes) in HOMES {
            if homes.iter().any(|home| inside.starts_with(home)) {
                continue;
            }
            for (line, code) in source.code() {
                if names_crate(&code, outside) {
                    mistakes.push(format!(
                        "{}:{line}: `{outside}` is at home in {homes:?}",
                        source.name
                    ));
                }
            }
        }
    }
    expect_none(mistakes);
}

#[test]
fn sql_stays_in_the_store() {
    let words = ["SELECT ", "INSERT ", "UPDATE ", "DELETE FROM ", "CREATE TABLE ", "PRAGMA "];
    let mut mistakes = Vec::new();
    for source in sources() {
        let name = &source.name;
        if !name.starts_with("engine/") || name.starts_with("engine/store/") {
            continue;
        }
        for (line, code) in source.code() {
            if words.iter().any(|word| code.contains(&format!("\"{word}"))) {
                mistakes.push(format!("{name}:{line}: SQL outside engine/store"));
            }
        }
    }
    expect_none(mistakes);
}

#[test]
fn no_file_is_larger_than_it_should_be() {
    expect_none(files().iter().filter_map(|name| {
        let bytes_count = std::fs::metadata(root().join(name)).ok()?.len();
        let weights = name.starts_with("models/") && name.ends_with(".onnx");
        (bytes_count > FILE_BYTES_MAX && !weights)
            .then(|| format!("{name}: {bytes_count} bytes, the limit is {FILE_BYTES_MAX}"))
    }));
}

#[test]
fn nothing_unfinished_and_no_trace_of_a_workplace() {
    // Put together here, so that this file does not find itself.
    let words = [
        ["dbg", "!("],
        ["FIX", "ME"],
        ["XX", "X:"],
        ["todo", "!("],
        ["unimplement", "ed!("],
        ["/wo", "rk/"],
        ["/tm", "p/wt"],
        ["/ro", "ot/"],
        ["/tm", "p/brief"],
        ["py", "pi.org"],
        ["pythonhos", "ted.org"],
        ["index.cra", "tes.io"],
        ["static.cra", "tes.io"],
        ["artifac", "tory"],
        ["issues sh", "ow"],
        ["Co-Auth", "ored-By"],
    ]
    .map(|halves| halves.concat());
    let mut mistakes = Vec::new();
    for name in files() {
        // Written by cargo, which names where crates come from.
        if name == "Cargo.lock" {
            continue;
        }
        let Ok(text) = std::fs::read_to_string(root().join(&name)) else { continue };
        for (index, line) in text.lines().enumerate() {
            for word in words.iter().filter(|word| line.contains(word.as_str())) {
                mistakes.push(format!("{name}:{}: `{word}`", index + 1));
            }
        }
    }
    expect_none(mistakes);
}

#[test]
fn every_rule_file_has_its_cases_beside_it() {
    let files = files();
    expect_none(files.iter().filter_map(|name| {
        let stem = name.strip_prefix("rules/")?.strip_suffix(".toml")?;
        let cases = format!("rules/{stem}.cases.toml");
        (!stem.ends_with(".cases") && !files.contains(&cases))
            .then(|| format!("{name}: no {cases}"))
    }));
}

#[test]
fn checks_see_what_they_are_made_for() {
    assert_eq!(crate_names("use crate::base::ids::Id;"), ["base"]);
    assert_eq!(
        crate_names("use crate::{base::ids, web::{a, b}, media};"),
        ["base", "web", "media"]
    );
    assert_eq!(crate_names("let a = crate::rules::x(crate::web::y);"), ["rules", "web"]);
    assert!(names_crate("use ort::session::Session;", "ort"));
    assert!(names_crate("fn f(value: cel::Value) {", "cel"));
    assert!(!names_crate("use support::session;", "ort"));
    assert!(!names_crate("crate::web::notify::x()", "notify"));
    let source = Source { name: String::new(), text: "a // ort::x\n/// cel::y\nb".to_owned() };
    let code: Vec<String> = source.code().map(|(_, code)| code).collect();
    assert_eq!(code, ["a ", "", "b"]);
}

/// A Rust file of the project.
struct Source {
    /// Path from the root, `/` between folders.
    name: String,
    text: String,
}

impl Source {
    /// Lines without comments, with their numbers from 1. A `//` in a text also ends its
    /// line, which hides nothing that is looked for here.
    fn code(&self) -> impl Iterator<Item = (usize, String)> {
        self.text.lines().enumerate().map(|(index, line)| {
            (index + 1, line.split("//").next().unwrap_or_default().to_owned())
        })
    }
}

fn sources() -> impl Iterator<Item = Source> {
    let places = ["engine/", "tests/", "benches/"];
    files().into_iter().filter_map(move |name| {
        let rust = name.ends_with(".rs") && places.iter().any(|place| name.starts_with(place));
        let text =
            if rust { std::fs::read_to_string(root().join(&name)).ok()? } else { return None };
        Some(Source { name, text })
    })
}

/// Names behind every `crate::` of a line, those in braces too.
fn crate_names(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for rest in code.split("crate::").skip(1) {
        let Some(group) = rest.strip_prefix('{') else {
            names.push(word(rest));
            continue;
        };
        let mut depth = 1;
        let mut at_name = true;
        for (index, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => at_name = true,
                c if at_name && (c.is_alphanumeric() || c == '_') => {
                    names.push(word(group.get(index..).unwrap_or_default()));
                    at_name = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Whether a line names a crate: `ort::` not behind a letter, a dot or another path.
fn names_crate(code: &str, outside: &str) -> bool {
    code.match_indices(&format!("{outside}::")).any(|(at, _)| {
        let before = code.get(..at).unwrap_or_default().chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '.'))
    })
}

/// Files that git keeps or would keep; without git, all that are not built or hidden.
fn files() -> Vec<String> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output();
    let mut names: Vec<String> = match listed {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout)
            .split('\0')
            .filter(|name| !name.is_empty() && root().join(name).is_file())
            .map(str::to_owned)
            .collect(),
        _ => {
            let mut names = Vec::new();
            walk(root(), &mut names);
            names
        }
    };
    names.sort();
    assert!(names.iter().any(|name| name == "engine/lib.rs"), "the project is not where it was");
    names
}

fn walk(folder: &Path, names: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path.strip_prefix(root()).map(PathBuf::from).unwrap_or_default();
        let name = name.to_string_lossy().replace('\\', "/");
        if name.starts_with('.') || name == "target" || name.contains("__pycache__") {
            continue;
        }
        if path.is_dir() {
            walk(&path, names);
        } else {
            names.push(name);
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn expect_none(mistakes: impl IntoIterator<Item = String>) {
    let mistakes: Vec<String> = mistakes.into_iter().collect();
    assert!(mistakes.is_empty(), "{} found:\n{}", mistakes.len(), mistakes.join("\n"));
}
