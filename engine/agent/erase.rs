//! Erases people from every file of a home, whether its agent runs or not.
//!
//! In:  a home, names. Out: what was erased, and which words of the owner's still bear a name.
//!
//! ```text
//! hold the register > index > decisions > orders > copies of rule files > who is enrolled
//! ```
//!
//! Who is enrolled comes last, and an agent writes a name only while it holds the register and the
//! name is in it: a photo that was looked at before cannot bring it back, and a crash on the way
//! leaves everybody enrolled, to be removed again.
//!
//! What becomes of what named somebody:
//!
//! - faces in photos that were seen: nobody's
//! - decisions about photos with them: not kept; how many there were is
//! - words in orders, their history, other decisions and kept rule files: other words in their place
//! - orders: stay as they are, without the name
//!
//! The owner's own rule files, paths of photos and labels of addressees are told and not touched.

use std::fs;
use std::path::{Path, PathBuf};

use crate::access::people_book::{PeopleBook, PeopleError};
use crate::agent::analyse::Analysis;
use crate::base::clock::Timestamp;
use crate::base::files::{Readers, write_atomic};
use crate::base::home::Home;
use crate::base::names::Names;
use crate::rules::{Archive, Inputs, files};
use crate::store::erase::scrub;
use crate::store::{DecisionRow, Decisions, Fate, Index, State, StoreError};

/// What was erased.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Erased {
    /// Who was enrolled.
    pub people: Vec<String>,
    /// Photos in which they were.
    pub photos_count: usize,
    /// Decisions that are not kept any more.
    pub decisions_count: usize,
    /// Orders that named them.
    pub orders_count: usize,
    /// Whether other texts did: of other decisions, of rule files that were kept.
    pub other_texts: bool,
    /// What still bears a name because it is the owner's.
    pub left: Left,
}

/// Words of the owner's that bear a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Left {
    /// Rule files and lines in them.
    pub rule_lines: Vec<(PathBuf, usize)>,
    /// Rules that are called so, whose name stands in orders.
    pub rules: Vec<String>,
    /// Files of the collections with such a path.
    pub paths_count: usize,
    /// Orders for an addressee of such a label.
    pub addressed_count: usize,
}

impl Erased {
    /// Whether nothing named them.
    pub fn is_nothing(&self) -> bool {
        self.people.is_empty()
            && !self.other_texts
            && self.photos_count + self.decisions_count + self.orders_count == 0
    }
}

/// Why people could not be erased. They are enrolled still; the same again goes on.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// Who is enrolled.
    #[error(transparent)]
    People(#[from] PeopleError),
    /// A database.
    #[error("`{path}`")]
    Store {
        /// Which one.
        path: PathBuf,
        /// What is wrong.
        source: StoreError,
    },
    /// Another file.
    #[error("`{path}` cannot be read or written")]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Erases people.
///
/// - `also`: those of the names who are not enrolled as well, who may have been removed before
///
/// # Errors
/// See [`EraseError`].
pub fn erase(
    home: &Home,
    names: &[String],
    also: bool,
    now: Timestamp,
) -> Result<Erased, EraseError> {
    PeopleBook::erase(home, names, |enrolled| {
        let meant = if also { names } else { enrolled };
        let mut erased = erase_elsewhere(home, &Names::new(meant), now)?;
        erased.people = enrolled.to_vec();
        Ok(erased)
    })
}

fn erase_elsewhere(home: &Home, names: &Names, now: Timestamp) -> Result<Erased, EraseError> {
    let mut erased = Erased::default();
    if names.all().next().is_none() {
        return Ok(erased);
    }
    let (rule_texts, rule_lines) = rule_files(&home.rules_dir(), names)?;
    erased.left.rule_lines = rule_lines;
    // A rule whose words are in no file any more is in force nowhere.
    let in_files = names.all().filter(|name| {
        let name = Names::new([*name]);
        rule_texts.iter().any(|text| name.are_in(text))
    });
    let in_files = Names::new(in_files);

    let path = home.index_path();
    if path.exists() {
        let failed = |source| EraseError::Store { path: path.clone(), source };
        let mut index = Index::open(&path).map_err(failed)?;
        let without = |json: &str| Analysis::without(json, names);
        erased.photos_count = index.erase_people(names, without).map_err(failed)?;
        erased.left.paths_count = index.named_paths(names).map_err(failed)?;
        drop(index);
        scrub(&path).map_err(failed)?;
    }
    let path = home.decisions_path();
    if path.exists() {
        let failed = |source| EraseError::Store { path: path.clone(), source };
        let decisions = Decisions::open(&path).map_err(failed)?;
        let (gone_count, changed_count) = decisions
            .erase_people(names, |row| fate(row, names), |json| rules_without(json, names), now)
            .map_err(failed)?;
        erased.decisions_count = gone_count;
        erased.other_texts |= changed_count > 0;
        drop(decisions);
        scrub(&path).map_err(failed)?;
    }
    let path = home.state_path();
    if path.exists() {
        let failed = |source| EraseError::Store { path: path.clone(), source };
        let state = State::open(&path).map_err(failed)?;
        let orders = state.erase_people(names, |rule| in_files.are_in(rule)).map_err(failed)?;
        erased.orders_count = orders.orders_count;
        (erased.left.rules, erased.left.addressed_count) = (orders.rules, orders.addressed_count);
        drop(state);
        scrub(&path).map_err(failed)?;
    }
    for path in [home.index_path(), home.decisions_path()] {
        drop_damaged(&path, names)?;
    }
    erased.other_texts |= rewrite_copies(&home.rules_in_force_dir(), names)?;
    Ok(erased)
}

/// What becomes of a kept decision.
fn fate(row: &DecisionRow, names: &Names) -> Fate {
    let inputs = serde_json::from_str(&row.inputs_json);
    let answer = serde_json::from_str(&row.answer_json);
    let (Ok(mut inputs), Ok(mut answer)) = (inputs, answer) else {
        // Nobody can read it, so nobody can make it again.
        return Fate::Goes;
    };
    if Inputs::names_any_of(&inputs, names) {
        return Fate::Goes;
    }
    let inputs_changed = Inputs::take_out(&mut inputs, names);
    if !(names.out_of_json(&mut answer) | inputs_changed) {
        return Fate::Stays;
    }
    Fate::Changes { inputs_json: inputs.to_string(), answer_json: answer.to_string() }
}

/// Kept rule files without these people.
fn rules_without(json: &str, names: &Names) -> Option<String> {
    match serde_json::from_str::<Archive>(json) {
        Ok(archive) => archive
            .without(names)
            .map(|archive| serde_json::to_string(&archive).unwrap_or_default()),
        Err(_unreadable) => names.out_of(json),
    }
}

/// Texts of all rule files and cases of a folder, and the lines that bear a name.
#[expect(clippy::type_complexity, reason = "two lists that are made in one go")]
fn rule_files(
    folder: &Path,
    names: &Names,
) -> Result<(Vec<String>, Vec<(PathBuf, usize)>), EraseError> {
    let (mut texts, mut lines) = (Vec::new(), Vec::new());
    for path in all_files(&[folder.to_path_buf(), folder.join(files::OPERATOR)])? {
        if path.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("toml")) {
            continue;
        }
        let text = read(&path)?;
        lines.extend(names.lines_of(&text).into_iter().map(|line| (path.clone(), line)));
        texts.push(text);
    }
    Ok((texts, lines))
}

/// Takes people out of the copies of rule files that were in force; tells whether they were there.
fn rewrite_copies(folder: &Path, names: &Names) -> Result<bool, EraseError> {
    let mut was_there = false;
    for path in all_files(&[folder.to_path_buf(), folder.join(files::OPERATOR)])? {
        if let Some(without) = names.out_of(&read(&path)?) {
            write_atomic(&path, without.as_bytes(), Readers::Usual)
                .map_err(|source| EraseError::File { path, source })?;
            was_there = true;
        }
    }
    Ok(was_there)
}

/// Removes what was set aside of a damaged database, if it holds a name.
fn drop_damaged(database: &Path, names: &Names) -> Result<(), EraseError> {
    let mut path = database.as_os_str().to_os_string();
    path.push(".damaged");
    let path = PathBuf::from(path);
    if !path.is_file() {
        return Ok(());
    }
    let text = read(&path)?;
    // What stands beside a name in a damaged file may be anything.
    if names.all().any(|name| text.contains(name)) {
        fs::remove_file(&path).map_err(|source| EraseError::File { path, source })?;
    }
    Ok(())
}

/// Files of some folders, by name; none of one that is not there.
fn all_files(folders: &[PathBuf]) -> Result<Vec<PathBuf>, EraseError> {
    let mut paths = Vec::new();
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        let failed = |source| EraseError::File { path: folder.clone(), source };
        for entry in fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            paths.extend(path.is_file().then_some(path));
        }
    }
    paths.sort();
    Ok(paths)
}

/// The text of a file; other bytes in it are told apart from any name.
fn read(path: &Path) -> Result<String, EraseError> {
    let bytes = fs::read(path);
    let bytes = bytes.map_err(|source| EraseError::File { path: path.to_path_buf(), source })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::ContentHash;

    fn fate_of(inputs: &str, answer: &str) -> Fate {
        let row = DecisionRow {
            photo: ContentHash::of(b"photo"),
            at: Timestamp(0),
            revision: "a".to_owned(),
            seen_by: String::new(),
            inputs_json: inputs.to_owned(),
            answer_json: answer.to_owned(),
        };
        fate(&row, &Names::new(["Anna"]))
    }

    #[test]
    fn decision_about_somebody_goes_and_words_of_others_change_but_for_the_owners() {
        let about = |name: &str, rule: &str, doubt: &str| {
            serde_json::json!({
                "facts": {
                    "people": [{"name": name}], "ordered": [{"rule": rule, "provider": "lab"}],
                    "path": {"name": "Anna.jpg", "folder": "Anna"}, "album": "Anna",
                    "words": {"title": "Anna", "keywords": ["Anna"]},
                },
                "doubts": [doubt],
            })
            .to_string()
        };
        assert_eq!(fate_of(&about("Anna", "r", ""), "{}"), Fate::Goes);
        assert_eq!(fate_of(&about("Anna Berg", "r", ""), "{}"), Fate::Stays);
        assert_eq!(fate_of("Anna", "{}"), Fate::Goes, "nobody can read it");
        let changed = Fate::Changes {
            inputs_json: about("Ben", "for somebody", "its raw file `somebody.NEF`"),
            answer_json: r#"{"verdicts":[{"reason":"not somebody"}]}"#.to_owned(),
        };
        let (inputs, answer) = (
            about("Ben", "for Anna", "its raw file `Anna.NEF`"),
            r#"{"verdicts":[{"reason":"not Anna"}]}"#,
        );
        assert_eq!(fate_of(&inputs, answer), changed);
    }

    #[test]
    fn home_without_databases_is_searched_for_files_and_nothing_is_made() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::at(folder.path());
        home.create().expect("made");
        let write = |path: &Path, text: &str| {
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, text).expect("written");
        };
        let rule = home.rules_dir().join("a.toml");
        write(&rule, "# for Susanna\n# for Anna\n");
        write(&home.rules_dir().join("operator/b.cases.toml"), "Anna");
        write(&home.rules_dir().join("notes.txt"), "Anna");
        write(&home.rules_in_force_dir().join("a.toml"), "# for Susanna\n# for Anna\n");
        write(&home.rules_in_force_dir().join(".b.toml.part"), "# for An");
        write(&home.root().join("index.sqlite.damaged"), "xxAnnaxx");
        write(&home.root().join("decisions.sqlite.damaged"), "xxx");
        let names = ["Anna".to_owned()];
        let nothing = erase(&home, &names, false, Timestamp(0)).expect("nobody");
        assert!(nothing.is_nothing());
        let erased = erase(&home, &names, true, Timestamp(0)).expect("erased");
        assert!(erased.people.is_empty() && erased.other_texts && !erased.is_nothing());
        let lines = [(rule.clone(), 2), (home.rules_dir().join("operator/b.cases.toml"), 1)];
        assert_eq!(erased.left.rule_lines, lines);
        let read = |path: &Path| fs::read_to_string(path).expect("read");
        assert_eq!(read(&rule), "# for Susanna\n# for Anna\n");
        let copy = home.rules_in_force_dir().join("a.toml");
        assert_eq!(read(&copy), "# for Susanna\n# for somebody\n");
        assert!(!home.root().join("index.sqlite.damaged").exists());
        assert!(home.root().join("decisions.sqlite.damaged").exists());
        for path in [home.index_path(), home.decisions_path(), home.state_path()] {
            assert!(!path.exists(), "{}", path.display());
        }
        assert!(erase(&home, &names, true, Timestamp(0)).expect("again").is_nothing());
    }
}
