//! Rule files as they are kept with the decisions they made, so that these can be made again.
//!
//! Who was enrolled then is not kept: a name that is no icon is a person.
//!
//! Knows no database.

use serde::{Deserialize, Serialize};

use super::read::Known;
use super::set::RuleSet;
use super::source::{Author, RuleFile, RuleMistake};

/// The rules of one revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// Icons that there were.
    icons: Vec<String>,
    files: Vec<ArchivedFile>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ArchivedFile {
    name: String,
    text: String,
    #[serde(default)]
    by: Author,
}

impl Archive {
    /// Of files that were read without a mistake, and the icons that were known then.
    pub fn of(files: &[RuleFile], known: &Known) -> Self {
        let file = |file: &RuleFile| ArchivedFile {
            name: file.name.clone(),
            text: String::from_utf8_lossy(&file.bytes).into_owned(),
            by: file.by,
        };
        Self { icons: known.icons.clone(), files: files.iter().map(file).collect() }
    }

    /// The rules that they were.
    ///
    /// # Errors
    /// Mistakes that this version of Signet sees in them.
    pub fn load(self) -> Result<RuleSet, Vec<RuleMistake>> {
        let files = self.files.into_iter().map(|file| RuleFile {
            name: file.name,
            bytes: file.text.into_bytes(),
            by: file.by,
        });
        let known = Known::of_icons(self.icons).as_it_was();
        RuleSet::load(&files.collect::<Vec<_>>(), &known)
    }
}
