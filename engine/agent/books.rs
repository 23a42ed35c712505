//! Consent and rules as they are now: read again when somebody changed them on disk.
//!
//! A consent that cannot be believed counts as none: nothing leaves. Rules that have
//! mistakes leave the last good ones in force; a copy of those is kept in the home, so that
//! they also survive a restart.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::access::consent::{ConsentError, newest};
use crate::access::people_book::{PeopleBook, PeopleError};
use crate::access::{Consent, PublicKey};
use crate::base::allow::Allow;
use crate::base::causes::one_line;
use crate::base::config::Config;
use crate::base::files::{Readers, write_atomic};
use crate::base::home::{Home, make_private_dir};
use crate::orders::Terms;
use crate::orders::outward::Outward;
use crate::rules::files::{self, FilesError};
use crate::rules::limit::Limit;
use crate::rules::{Author, Known, Offer, RuleMistake, RuleSet, RulesInForce};

/// What rules may name in a home: these icons, those who are enrolled.
///
/// # Errors
/// When the book of people cannot be opened.
pub fn known(home: &Home, icons: Vec<String>) -> Result<Known, PeopleError> {
    let book = PeopleBook::open(home)?;
    let people = book.all().iter().map(|person| person.name.clone()).collect();
    Ok(Known { people: Some(people), ..Known::of_icons(icons) })
}

/// The consent in force.
#[derive(Debug)]
pub struct ConsentBook {
    home: Home,
    key: PublicKey,
    cached: Mutex<Option<Arc<Consent>>>,
}

impl ConsentBook {
    /// Opens the book; nothing is read yet.
    pub fn new(home: Home, key: PublicKey) -> Self {
        Self { home, key, cached: Mutex::new(None) }
    }

    /// The consent in force now.
    ///
    /// # Errors
    /// When the newest file cannot be read or believed.
    pub fn current(&self) -> Result<Arc<Consent>, ConsentError> {
        let number = newest(&self.home)?.unwrap_or(0);
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(consent) = cached.as_ref()
            && consent.number == number
        {
            return Ok(consent.clone());
        }
        *cached = None;
        let consent = Arc::new(Consent::load(&self.home, &self.key)?);
        *cached = Some(consent.clone());
        Ok(consent)
    }

    /// Terms by provider; none at all when the consent cannot be believed.
    pub fn providers(&self) -> BTreeMap<String, Terms> {
        match self.current() {
            Ok(consent) => consent.providers.clone(),
            Err(error) => {
                tracing::error!(%error, "without a consent nothing leaves this computer");
                BTreeMap::new()
            }
        }
    }
}

/// Whom this computer calls: public addresses, and what `signet.toml` names now.
#[derive(Debug)]
pub struct OutwardBook {
    home: Home,
    cached: Mutex<(Allow, Outward)>,
}

impl OutwardBook {
    /// Opens the book.
    ///
    /// - `allow`: what `signet.toml` named when it was read first
    pub fn new(home: Home, allow: Allow) -> Self {
        let outward = Outward::new(allow.clone());
        Self { home, cached: Mutex::new((allow, outward)) }
    }

    /// What makes calls now. While `signet.toml` has mistakes, what it named before counts.
    pub fn current(&self) -> Outward {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(config) = Config::load(&self.home)
            && config.outward.allow != cached.0
        {
            let allow = config.outward.allow;
            *cached = (allow.clone(), Outward::new(allow));
        }
        cached.1.clone()
    }
}

/// Files that were the same for so long are saved.
const SAVED_AFTER: Duration = Duration::from_millis(200);

/// The rules in force.
#[derive(Debug)]
pub struct RuleBook {
    folder: PathBuf,
    good: PathBuf,
    known: Known,
    in_force: RulesInForce,
    stamp: Stamp,
    /// Files that differ from those, and since when they look like this.
    saving: Option<(Stamp, Instant)>,
    /// Whether the newest files are not the ones in force.
    refused: bool,
    limits: LimitsInForce,
}

/// What the rules in force limit orders by, for those who know no rules.
#[derive(Debug, Clone)]
pub struct LimitsInForce(Arc<Mutex<Arc<[Limit]>>>);

impl LimitsInForce {
    /// As they are now.
    pub fn get(&self) -> Arc<[Limit]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, limits: &[Limit]) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = limits.into();
    }
}

/// Names, sizes and times of the rule files: enough to see that one was saved.
type Stamp = Vec<(PathBuf, u64, Option<SystemTime>)>;

/// What became of saved rule files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleChange {
    /// They are in force, with this revision.
    Taken(String),
    /// They have mistakes; what was in force stays.
    Refused(Vec<RuleMistake>),
}

/// Why there are no rules to judge by.
#[derive(Debug, thiserror::Error)]
pub enum RuleBookError {
    /// The folder or a file in it.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// Mistakes, and no last good rules to fall back on.
    #[error("{}", mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Mistakes {
        /// All of them.
        mistakes: Vec<RuleMistake>,
    },
}

impl RuleBookError {
    /// The mistakes; of files that cannot be read that they cannot.
    fn mistakes(self) -> Vec<RuleMistake> {
        match self {
            Self::Mistakes { mistakes } => mistakes,
            Self::Files(error) => {
                let file = match &error {
                    FilesError::Unreadable { path, .. } => files::name_inside(path),
                    FilesError::TooMany { folder } => files::name_inside(folder),
                };
                let message = one_line(&error);
                let excerpt = String::new();
                vec![RuleMistake { file, line: 1, column: 1, message, excerpt }]
            }
        }
    }
}

impl RuleBook {
    /// Reads the rules of a home; when they have mistakes, the last good ones instead.
    ///
    /// # Errors
    /// Neither the files nor a last good copy can be used.
    pub fn open(home: &Home, known: Known) -> Result<(Self, Option<RuleChange>), RuleBookError> {
        let folder = home.rules_dir();
        let good = home.root().join("rules-in-force");
        let stamp = stamp(&folder);
        let (set, change) = match read_set(&folder, &known) {
            Ok(set) => (set, None),
            // An icon or a person in them may have been removed since.
            Err(error) => match read_set(&good, &known.clone().as_it_was()) {
                Ok(set) => (set, Some(RuleChange::Refused(error.mistakes()))),
                Err(_none) => return Err(error),
            },
        };
        let (in_force, refused) = (RulesInForce::new(set), change.is_some());
        let limits = LimitsInForce(Arc::new(Mutex::new(in_force.set().limits().into())));
        let mut book = Self { folder, good, known, in_force, stamp, saving: None, refused, limits };
        if change.is_none() {
            book.keep();
        }
        Ok((book, change))
    }

    /// Learns which icons and people there are now. Files refused before are read again with that
    /// soon; where those in force name an icon or a person who is gone, that is told, and they stay:
    /// no photo shows what is gone.
    pub fn learn(&mut self, known: Known) -> Option<RuleChange> {
        if self.known == known {
            return None;
        }
        self.known = known;
        if self.refused {
            self.stamp.clear();
            return None;
        }
        let error = read_set(&self.folder, &self.known).err()?;
        self.refused = true;
        Some(RuleChange::Refused(error.mistakes()))
    }

    /// What they limit orders by, now and whenever it is asked for.
    pub fn limits(&self) -> LimitsInForce {
        self.limits.clone()
    }

    /// The rules to judge by.
    pub fn set(&self) -> &RuleSet {
        self.in_force.set()
    }

    /// Looks whether files were saved, and takes them if they have no mistake.
    ///
    /// An editor may empty a file before it writes it anew, and an empty file has no
    /// mistake: files are read once they have been the same for [`SAVED_AFTER`].
    pub fn refresh(&mut self) -> Option<RuleChange> {
        let stamp = stamp(&self.folder);
        if stamp == self.stamp {
            self.saving = None;
            return None;
        }
        match &self.saving {
            Some((seen, since)) if *seen == stamp => {
                if since.elapsed() < SAVED_AFTER {
                    return None;
                }
            }
            _ => {
                self.saving = Some((stamp, Instant::now()));
                return None;
            }
        }
        self.saving = None;
        self.stamp = stamp;
        let files = match files::read_folder(&self.folder) {
            Ok(files) => files,
            Err(error) => {
                self.refused = true;
                return Some(RuleChange::Refused(RuleBookError::from(error).mistakes()));
            }
        };
        match self.in_force.offer(&files, &self.known) {
            // Back to what was in force all the time: worth telling after a refusal.
            Offer::Same => std::mem::take(&mut self.refused)
                .then(|| RuleChange::Taken(self.in_force.set().revision().to_owned())),
            Offer::Taken(revision) => {
                self.refused = false;
                self.limits.set(self.in_force.set().limits());
                self.keep();
                Some(RuleChange::Taken(revision))
            }
            Offer::Refused(mistakes) => {
                self.refused = true;
                Some(RuleChange::Refused(mistakes))
            }
        }
    }

    /// Copies the files in force aside.
    fn keep(&mut self) {
        if let Err(error) = copy_rules(&self.folder, &self.good) {
            tracing::warn!(%error, "the last good rules cannot be kept aside");
        }
    }
}

fn read_set(folder: &Path, known: &Known) -> Result<RuleSet, RuleBookError> {
    let files = files::read_folder(folder)?;
    RuleSet::load(&files, known).map_err(|mistakes| RuleBookError::Mistakes { mistakes })
}

fn copy_rules(from: &Path, to: &Path) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    make_private_dir(to)?;
    let files = files::read_folder(from)?;
    for old in files::list(to)? {
        if !files.iter().any(|file| file.name == files::name_inside(&old)) {
            std::fs::remove_file(old)?;
        }
    }
    if files.iter().any(|file| file.by == Author::Operator) {
        make_private_dir(&to.join(files::OPERATOR))?;
    }
    for file in files {
        write_atomic(&to.join(&file.name), &file.bytes, Readers::Usual)?;
    }
    Ok(())
}

fn stamp(folder: &Path) -> Stamp {
    let paths = files::list(folder).unwrap_or_default();
    // A link to nowhere is a file that cannot be read, and a change.
    let entry = |path: PathBuf| match path.metadata() {
        Ok(metadata) => (path, metadata.len(), metadata.modified().ok()),
        Err(_unreadable) => (path, 0, None),
    };
    paths.into_iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_that_is_empty_for_a_moment_is_not_taken_as_no_rules() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::at(folder.path());
        home.create().expect("made");
        let path = home.rules_dir().join("a.toml");
        let rule = "[[rule]]\nname = \"a\"\nwhen = 'has(\"share\")'\nforbid = true\n";
        std::fs::write(&path, rule).expect("written");
        let known = Known::of_icons(vec!["share".to_owned()]);
        let (mut book, change) = RuleBook::open(&home, known).expect("opens");
        assert_eq!((book.set().rules_count(), change), (1, None));

        std::fs::write(&path, "").expect("emptied");
        assert_eq!(book.refresh(), None);
        std::fs::write(&path, rule.replace("name = \"a\"", "name = \"b\"")).expect("written");
        assert_eq!(book.refresh(), None, "it may still be written");
        let until = Instant::now() + SAVED_AFTER * 2;
        let change = loop {
            match book.refresh() {
                Some(change) => break change,
                None => assert!(Instant::now() < until + Duration::from_secs(5), "never taken"),
            }
            std::thread::park_timeout(Duration::from_millis(5));
        };
        assert!(matches!(change, RuleChange::Taken(_)));
        assert_eq!(book.set().names().collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn rules_that_name_somebody_who_is_gone_stay_in_force_and_are_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::at(folder.path());
        home.create().expect("made");
        let anna = "[[rule]]\nname = \"a\"\nwhen = 'has(\"Anna\")'\nkeep = true\n";
        let other = "[[rule]]\nname = \"b\"\nwhen = 'has(\"share\")'\nforbid = true\n";
        std::fs::write(home.rules_dir().join("a.toml"), anna).expect("written");
        std::fs::write(home.rules_dir().join("b.toml"), other).expect("written");
        let icons = || vec!["share".to_owned()];
        let with_anna =
            || Known { people: Some(vec!["Anna".to_owned()]), ..Known::of_icons(icons()) };
        RuleBook::open(&home, Known::of_icons(icons())).expect_err("nobody is enrolled");
        let (mut book, change) = RuleBook::open(&home, with_anna()).expect("opens");
        assert_eq!((book.set().rules_count(), change), (2, None));
        assert_eq!(book.learn(with_anna()), None);
        let Some(RuleChange::Refused(mistakes)) = book.learn(Known::of_icons(icons())) else {
            panic!("not told")
        };
        assert!(mistakes[0].to_string().starts_with("a.toml:3:"), "{mistakes:?}");
        assert_eq!(book.set().rules_count(), 2);
        // The same after a restart.
        let (book, change) = RuleBook::open(&home, Known::of_icons(icons())).expect("opens");
        assert_eq!(book.set().rules_count(), 2);
        assert!(matches!(change, Some(RuleChange::Refused(_))));
    }
}
