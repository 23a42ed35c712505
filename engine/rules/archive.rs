//! Rule files as they are kept with the decisions they made, so that these can be made again.
//!
//! Who was enrolled then is not kept: a name that is no icon is a person.
//!
//! Knows no database.

use serde::{Deserialize, Serialize};

use super::read::Known;
use super::set::RuleSet;
use super::source::{Author, RuleFile, RuleMistake};
use crate::base::names::Names;

/// The rules of one revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// Icons that there were.
    icons: Vec<String>,
    files: Vec<ArchivedFile>,
    /// They named people who were removed, and do not any more.
    #[serde(default, skip_serializing_if = "is_false")]
    lacks_names: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
const fn is_false(truth: &bool) -> bool {
    !*truth
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
        let files = files.iter().map(file).collect();
        Self { icons: known.icons.clone(), files, lacks_names: false }
    }

    /// The same without these people; `None` where they are not named.
    ///
    /// For a photo without them such rules say what they said, but where a text that is no name of a
    /// person, such as a folder's, was the same word.
    pub fn without(self, names: &Names) -> Option<Self> {
        // Whatever is kept of rules, now and later, but for icons, which are nobody.
        let mut kept = serde_json::to_value(&Self { icons: Vec::new(), ..self.clone() }).ok()?;
        let is_named = names.out_of_json(&mut kept);
        let without: Self = is_named.then(|| serde_json::from_value(kept).ok())??;
        Some(Self { icons: self.icons, lacks_names: true, ..without })
    }

    /// Whether they named people who were removed since.
    pub const fn lacks_names(&self) -> bool {
        self.lacks_names
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Facts, Judgement};

    #[test]
    fn kept_rules_without_somebody_say_the_same_of_photos_without_them() {
        let text = "# for oma\n[people]\nfriends = [\"oma\", \"Ben\"]\noma_too = [\"oma\"]\n\
                    [[rule]]\nname = \"for-oma\"\nwhen = '!has(\"oma\") && !seen(oma_too)'\n\
                    note = \"without oma\"\n";
        let known = Known::of_icons(Vec::new());
        let set = RuleSet::load(&[RuleFile::new("oma.toml", text)], &known).expect("rules");
        let archive = set.archive().clone();
        assert!(!archive.lacks_names());
        let names = Names::new(["oma"]);
        let without = archive.without(&names).expect("named");
        assert!(without.lacks_names());
        let json = serde_json::to_string(&without).expect("JSON");
        assert!(!json.contains("oma"), "{json}");
        assert_eq!(without.clone().without(&names), None);
        let was = serde_json::to_value(set.judge(&Facts::default())).expect("JSON");
        let is: Judgement = without.load().expect("rules").judge(&Facts::default());
        let mut was = was;
        assert!(names.out_of_json(&mut was));
        assert!(is.says_the_same(&serde_json::from_value(was).expect("a judgement")));
    }
}
