//! Rule files that ship with the program, each with its cases.
//!
//! In:  a name. Out: both texts as they were built in, what the file says of itself, where it goes
//! in a folder of rules, and beside which others it cannot lie.
//!
//! Knows no disk.

use std::path::{Path, PathBuf};

/// A rule file that ships.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shipped {
    /// Its name without `.toml`.
    pub name: &'static str,
    rules: &'static str,
    cases: &'static str,
}

macro_rules! shipped {
    ($name:literal) => {
        Shipped {
            name: $name,
            rules: include_str!(concat!("../../rules/", $name, ".toml")),
            cases: include_str!(concat!("../../rules/", $name, ".cases.toml")),
        }
    };
}

/// The one that every new home has.
pub const FAMILY: Shipped = shipped!("family");

/// All of them.
pub const SHIPPED: [Shipped; 6] = [
    FAMILY,
    shipped!("grandparents"),
    shipped!("event-photographer"),
    shipped!("studio"),
    shipped!("archive"),
    shipped!("lab-sharing"),
];

/// Two files that make two orders of one wish where they lie in one folder.
const APART: [[&str; 2]; 1] = [["family", "event-photographer"]];

impl Shipped {
    /// The file of this name, which may end in `.toml`.
    pub fn of_name(name: &str) -> Option<Self> {
        let name = name.strip_suffix(".toml").unwrap_or(name);
        SHIPPED.into_iter().find(|shipped| shipped.name == name)
    }

    /// What it says of itself, a line.
    pub fn description(self) -> String {
        let about = self.rules.parse::<toml::Table>().ok();
        let line = about.as_ref().and_then(|about| about.get("file")?.get("description")?.as_str());
        line.unwrap_or_default().to_owned()
    }

    /// Its rules and its cases, each with its path in a folder of rules.
    pub fn files(self, folder: &Path) -> [(PathBuf, &'static str); 2] {
        let path = |ending: &str| folder.join(format!("{}.{ending}", self.name));
        [(path("toml"), self.rules), (path("cases.toml"), self.cases)]
    }

    /// Those beside which every wish would be ordered twice.
    pub fn apart_from(self) -> impl Iterator<Item = Self> {
        let pairs = APART.into_iter().filter(move |pair| pair.contains(&self.name));
        pairs.flatten().filter(move |name| *name != self.name).filter_map(Self::of_name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_file_of_the_folder_ships_and_says_in_a_line_what_it_is_for() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
        let there = std::fs::read_dir(&folder).expect("the folder of rules");
        let there = there.map(|entry| entry.expect("an entry").path());
        let there: BTreeSet<PathBuf> =
            there.filter(|path| path.extension().is_some_and(|ending| ending == "toml")).collect();
        let ships = SHIPPED.into_iter().flat_map(|shipped| shipped.files(&folder));
        assert_eq!(ships.map(|(path, _)| path).collect::<BTreeSet<_>>(), there);
        for shipped in SHIPPED {
            let line = shipped.description();
            assert!((20..=120).contains(&line.chars().count()), "{}: {line}", shipped.name);
        }
    }

    #[test]
    fn files_are_found_by_name_and_know_which_others_want_the_same() {
        assert_eq!(Shipped::of_name("family"), Some(FAMILY));
        assert_eq!(Shipped::of_name("family.toml"), Some(FAMILY));
        assert_eq!(Shipped::of_name("Family"), None);
        let apart = |name: &str| -> Vec<&str> {
            let shipped = Shipped::of_name(name).expect("it ships");
            shipped.apart_from().map(|other| other.name).collect()
        };
        assert_eq!(apart("family"), ["event-photographer"]);
        assert_eq!(apart("event-photographer"), ["family"]);
        assert!(apart("grandparents").is_empty());
    }
}
