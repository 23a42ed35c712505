//! Reads rule files: TOML in, rules or every mistake at once out.
//!
//! A file has `[file]` (title, description), `[lists]` (icons that belong together),
//! `[people]` (people who do), `[define]` (names for parts of conditions), any number of
//! `[[limit]]`, in a file of the operator's of `[[allow]]`, and of `[[rule]]`. The keys of a rule:
//!
//! | key | is |
//! |---|---|
//! | `name` | lower-case letters, digits and hyphens, unique over all files |
//! | `when` | the condition |
//! | `each` | name of a list: the rule is made once for each of its icons |
//! | `order` | `{ product, provider, or, copies, to, express, with, price_max, remove_icon }`; see below |
//! | `share` | `{ provider, to, preview_px, preview_format, with }`: the preview, nothing made of it |
//! | `keep` | `true`: the original is copied into the owner's private folder |
//! | `note` | words: the owner is told, nothing else happens |
//! | `forbid` | `true`: nothing leaves the computer for this photo |
//! | `ask` | list of `{ when, reason }`: where one is true a person confirms first, and is told why |
//! | `confirm` | `"no"` (as if left out) or `"ask"`: a person confirms first |
//! | `ask_when` | a condition: when it is true a person confirms first |
//! | `reason` | words for the owner |
//! | `else` | `{ order \| share \| keep \| note, reason }`: what is wanted where `when` is false |
//! | `priority` | a whole number, 0 if left out: rules with a higher one are asked first |
//! | `stop` | `true`: where `when` is true, rules behind it are not asked, but for those that forbid |
//! | `hold` | how long what it wants waits for somebody to stop it: `"24h"` |
//! | `budget` | `{ cost_per_month, orders_per_month, copies_per_month }`; see `read/limits.rs` |
//!
//! `copies` is a number or a condition giving one, else 1; `to` a condition giving the label
//! of an addressee, `""` is nobody in particular; `express` a condition; `with` a list of
//! companions that go with the photo; `or` one provider or a list, asked where the one before surely
//! did not make it; `price_max` what the order may cost; `remove_icon` `true`. In a rule with `each`, `{each}` in its texts and `each` in
//! its conditions stand for the icon.
//!
//! A rule has exactly one of `order`, `share`, `keep`, `note` and `forbid`, and so has its `else`,
//! which cannot forbid. Where TOML itself is broken, the
//! parser recovers and reading goes on; only mistakes that are no echo of the break are told.
//!
//! A file of a million bytes can hold more rules, mistakes and parts than anybody wants to wait
//! for. Reading stops at [`RULES_MAX`], [`MISTAKES_MAX`] and [`PARTS_MAX`] and says so.
//!
//! One rule is read in `read/rule.rs`, what it wants in `read/plan.rs`, limits in `read/limits.rs`.
//!
//! Knows no photos and no disk.

mod limits;
mod plan;
mod rule;

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::eval::{self, Condition, ExprMistake, Kind, List, Names, Of};
use super::limit::Limit;
use super::source::{Author, RuleFile, RuleMistake, Source, hint};
use super::verdict::Confirm;
use crate::base::member::Member;
use crate::base::money::Money;
use crate::preview::PreviewWish;
use limits::Allowed;
pub(super) use limits::{ALLOW_KEYS, BUDGET_KEYS, LIMIT_KEYS, QUIET_KEYS};

/// Most copies one order may ask for.
pub const COPIES_MAX: u32 = 999;
/// Most rules over all files.
pub const RULES_MAX: usize = 1_000;
/// Most parts of all conditions over all files, as `eval` counts them.
pub const PARTS_MAX: usize = 100_000;
/// Most names in the lists of one file.
pub const LISTED_MAX: usize = 2_000;
/// Most mistakes that are told of one file.
pub const MISTAKES_MAX: usize = 100;
/// Longest name of a rule, product or provider, in characters.
pub const NAME_CHARS_MAX: usize = 64;
/// Longest reason, in characters.
pub const REASON_CHARS_MAX: usize = 200;

/// The names that rules may use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Icons of the set in force.
    pub icons: Vec<String>,
    /// Products that can be ordered; `None` takes any.
    pub products: Option<Vec<String>>,
    /// Providers of the consent; `None` takes any.
    pub providers: Option<Vec<String>>,
    /// People who are enrolled; files may name others in `[people]` and limits, and are warned of
    /// them. `None`: whoever is no icon is a person, for files that were good once and whose people
    /// may be gone.
    pub people: Option<Vec<String>>,
    /// Rules of files that are not read now and that a limit may name.
    pub rules: Vec<String>,
}

impl Known {
    /// These icons, any product, any provider; nobody is enrolled.
    pub const fn of_icons(icons: Vec<String>) -> Self {
        let people = Some(Vec::new());
        Self { icons, products: None, providers: None, people, rules: Vec::new() }
    }

    /// The same for files that had no mistake when they were kept: who is named in them and is
    /// neither an icon nor enrolled any more is a person whom no photo shows.
    #[must_use]
    pub fn as_it_was(self) -> Self {
        Self { people: None, ..self }
    }
}

/// One rule, checked and ready.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) name: String,
    /// The same as it stands in the file: `{each}` where the rule is made for each icon of a list.
    pub(crate) written: String,
    pub(crate) file: String,
    /// Line of its `name`, from 1.
    pub(crate) line: usize,
    pub(crate) when: Condition,
    pub(crate) plan: Plan,
    pub(crate) confirm: Confirm,
    pub(crate) ask_when: Option<Condition>,
    pub(crate) doubts: Vec<Doubt>,
    pub(crate) reason: String,
    /// What is wanted, and why, where its condition does not hold.
    pub(crate) otherwise: Option<(Plan, String)>,
    /// Higher ones are asked first.
    pub(crate) priority: i32,
    /// Where its condition holds, rules behind it are not asked.
    pub(crate) stops: bool,
    /// How long what it wants is held; `None`: as long as its evidence asks for.
    pub(crate) hold_ms: Option<i64>,
}

/// Something that makes a rule ask, and what it says then.
#[derive(Debug, Clone)]
pub(crate) struct Doubt {
    pub(crate) when: Condition,
    pub(crate) reason: String,
}

/// What one or more files say.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// In the order in which they are asked: by priority, then of the files and of the lines.
    pub(crate) rules: Vec<Rule>,
    /// The lists of icons of each file that has some, by its name.
    pub(crate) lists: HashMap<String, Vec<Vec<String>>>,
    /// What narrows the orders of all files.
    pub(crate) limits: Vec<Limit>,
    /// Where people are named who are not enrolled, and what to do.
    pub(crate) strangers: Vec<RuleMistake>,
}

/// What a rule wants where its condition holds.
#[derive(Debug, Clone)]
pub(crate) enum Plan {
    Order {
        provider: String,
        product: String,
        copies: Copies,
        to: Option<Condition>,
        express: Option<Condition>,
        with: Vec<Member>,
        or: Vec<String>,
        price_max: Option<Money>,
        remove_icon: bool,
    },
    Share {
        provider: String,
        to: Option<Condition>,
        with: Vec<Member>,
        preview: PreviewWish,
    },
    Keep,
    Note,
    Forbid,
}

impl Plan {
    /// Whether something would leave the computer.
    pub(crate) const fn leaves(&self) -> bool {
        matches!(self, Self::Order { .. } | Self::Share { .. })
    }
}

/// How many.
#[derive(Debug, Clone)]
pub(crate) enum Copies {
    Fixed(u32),
    /// What a condition gives, and the most that it may.
    Computed(Box<Condition>, u32),
}

pub(super) const FILE_KEYS: [&str; 7] =
    ["file", "lists", "people", "define", "limit", "allow", "rule"];
pub(super) const ABOUT_KEYS: [&str; 2] = ["title", "description"];
pub(super) const RULE_KEYS: [&str; 17] = [
    "name", "each", "when", "order", "share", "keep", "note", "forbid", "confirm", "ask_when",
    "ask", "reason", "else", "priority", "stop", "hold", "budget",
];
/// Furthest a priority may be from 0.
pub const PRIORITY_MAX: i32 = 1_000;
pub(super) const ELSE_KEYS: [&str; 5] = ["order", "share", "keep", "note", "reason"];
/// What a rule may want.
pub(super) const PLAN_KEYS: [&str; 5] = ["order", "share", "keep", "note", "forbid"];
pub(super) const ORDER_KEYS: [&str; 9] =
    ["product", "provider", "or", "copies", "to", "express", "with", "price_max", "remove_icon"];
/// Most providers that an order may go on to.
pub const FALLBACK_MAX: usize = 8;
pub(super) const SHARE_KEYS: [&str; 5] = ["provider", "to", "preview_px", "preview_format", "with"];
pub(super) const DOUBT_KEYS: [&str; 2] = ["when", "reason"];
/// Longest text in which reading goes on behind a mistake in its TOML, in bytes.
const RECOVERED_BYTES_MAX: usize = 200_000;
/// In the texts of a rule with `each`: the icon it is made for.
const EACH_IN_TEXT: &str = "{each}";

/// Reads all files; rules of one priority stay in the order of the files and of the lines.
pub(crate) fn read(files: &[RuleFile], known: &Known) -> Result<Contents, Vec<RuleMistake>> {
    let (mut rules, mut mistakes, mut limits) = (Vec::new(), Vec::new(), Vec::new());
    let (mut lists, mut strangers) = (HashMap::new(), Vec::new());
    let (mut places, mut mentions) = (HashMap::new(), Vec::new());
    let mut allowed = Allowed::default();
    // What the operator allows has to be known before the owner's rules are read.
    let mut files: Vec<&RuleFile> = files.iter().collect();
    files.sort_by_key(|file| file.by != Author::Operator);
    let is_bound = files.first().is_some_and(|file| file.by == Author::Operator);
    let mut parts_left = PARTS_MAX;
    for file in files {
        if rules.len() > RULES_MAX {
            break;
        }
        match Source::new(file) {
            Ok(source) => {
                let mut reader = Reader {
                    source,
                    known,
                    by: file.by,
                    is_bound: is_bound && file.by == Author::Owner,
                    mistakes: Vec::new(),
                    strangers: &mut strangers,
                    has_more: false,
                    places: &mut places,
                    mentions: &mut mentions,
                    allowed: &mut allowed,
                    parts_left: &mut parts_left,
                };
                let contents = reader.file();
                rules.extend(contents.rules);
                lists.extend(contents.lists);
                limits.extend(contents.limits);
                mistakes.append(&mut reader.mistakes);
            }
            Err(mistake) => mistakes.push(mistake),
        }
    }
    for (rule, mut mistake) in mentions {
        if !places.contains_key(&rule) && !known.rules.contains(&rule) {
            let names = places.keys().chain(&known.rules).filter(|name| !name.contains(' '));
            mistake.message += &hint(&rule, names.map(String::as_str));
            mistakes.push(mistake);
        }
    }
    if let (true, Some(rule)) = (rules.len() > RULES_MAX, rules.get(RULES_MAX)) {
        mistakes.push(RuleMistake {
            file: rule.file.clone(),
            line: rule.line,
            column: 1,
            message: format!("with this one there are more than {RULES_MAX} rules"),
            excerpt: String::new(),
        });
    }
    rules.sort_by_key(|rule| std::cmp::Reverse(rule.priority));
    mistakes.sort();
    mistakes.dedup();
    strangers.sort();
    match mistakes.is_empty() {
        true => Ok(Contents { rules, lists, limits, strangers }),
        false => Err(mistakes),
    }
}

struct Reader<'a> {
    source: Source<'a>,
    known: &'a Known,
    by: Author,
    /// Whether it may only order what the operator's files allow.
    is_bound: bool,
    mistakes: Vec<RuleMistake>,
    /// People who are named and not enrolled, over all files.
    strangers: &'a mut Vec<RuleMistake>,
    /// Whether reading stopped, so that there may be more than are told.
    has_more: bool,
    /// Where each name of a rule, or `limit ` and that of a limit, was first used, over all files.
    places: &'a mut HashMap<String, String>,
    /// Rules that a limit names, and what is wrong if there is none of that name.
    mentions: &'a mut Vec<(String, RuleMistake)>,
    allowed: &'a mut Allowed,
    /// Parts that conditions may still have, over all files.
    parts_left: &'a mut usize,
}

type Value<'a> = Spanned<DeValue<'a>>;

impl Reader<'_> {
    fn mistake(&mut self, at: usize, message: impl Into<String>) {
        if self.mistakes.len() < MISTAKES_MAX {
            self.mistakes.push(self.source.mistake(at, message));
        } else {
            self.has_more = true;
        }
    }

    /// Reads a file, and says where not all was read of it.
    fn file(&mut self) -> Contents {
        let contents = self.whole_file();
        if self.has_more
            && let Some(last) = self.mistakes.iter().max()
        {
            let message =
                "nothing was read from here on; mend the mistakes before first".to_owned();
            self.mistakes.push(RuleMistake { message, ..last.clone() });
        }
        contents
    }

    fn whole_file(&mut self) -> Contents {
        let (table, errors) = parsed(self.source.text);
        let mut contents = Contents::default();
        self.contents(table.get_ref(), &mut contents);
        if errors.is_empty() {
            return contents;
        }
        self.has_more |= errors.len() > MISTAKES_MAX;
        let broken: Vec<RuleMistake> = errors
            .iter()
            .take(MISTAKES_MAX)
            .map(|error| {
                let at = error.span().map_or(0, |span| span.start);
                self.source.mistake(at, error.message().replace('\n', ", ").to_lowercase())
            })
            .collect();
        // The recovered table may lack what the break swallowed: keep what stands on other
        // lines and does not complain of something missing.
        let lines: BTreeSet<usize> = broken.iter().map(|mistake| mistake.line).collect();
        self.mistakes.retain(|mistake| {
            !lines.contains(&mistake.line) && !mistake.message.starts_with(MISSING)
        });
        self.mistakes.extend(broken);
        contents
    }

    fn contents(&mut self, table: &DeTable<'_>, contents: &mut Contents) {
        self.only(table, &FILE_KEYS, "a rule file");
        if let Some(about) = table.get("file")
            && let Some(about) = self.table(about, "[file]")
        {
            self.only(about, &ABOUT_KEYS, "`[file]`");
            for key in ABOUT_KEYS {
                if let Some(value) = about.get(key) {
                    self.text(value, key);
                }
            }
        }
        let known = self.known;
        let mut names = Names::of_icons(&known.icons);
        names.people = known.people.as_deref();
        names.takes_anybody = known.people.is_none();
        for (key, shape, of) in
            [("lists", "[lists]", Of::Icons), ("people", "[people]", Of::People)]
        {
            if let Some(lists) = table.get(key)
                && let Some(lists) = self.table(lists, shape)
            {
                self.lists(lists, of, &mut names);
            }
        }
        let icons = names.lists.values().filter(|list| list.of == Of::Icons);
        let icons: Vec<_> = icons.map(|list| list.names.clone()).collect();
        if !icons.is_empty() {
            contents.lists.insert(self.source.file.to_owned(), icons);
        }
        if let Some(define) = table.get("define")
            && let Some(define) = self.table(define, "[define]")
        {
            self.define(define, &mut names);
        }
        if let Some(value) = table.get("allow") {
            self.allow(value);
        }
        if let Some(value) = table.get("limit") {
            contents.limits = self.limits(value);
        }
        let Some(value) = table.get("rule") else {
            return;
        };
        let Some(list) = value.get_ref().as_array() else {
            self.mistake(value.span().start, "write `[[rule]]`, in double brackets");
            return;
        };
        for value in list.iter() {
            let Some(table) = self.table(value, "[[rule]]") else {
                continue;
            };
            let made_from = contents.rules.len();
            for each in self.each(table, &names) {
                if self.has_more || contents.rules.len() > RULES_MAX {
                    return;
                }
                names.each = each;
                let mistakes_count = self.mistakes.len();
                let rule = self.rule(table, value.span(), &names);
                if let (Some(rule), true) = (rule, self.mistakes.len() == mistakes_count) {
                    contents.rules.push(rule);
                }
            }
            names.each = None;
            let made = contents.rules.get(made_from..).unwrap_or_default();
            contents.limits.extend(self.budget(table, made));
        }
    }

    /// What a rule is made for: once for each icon of a list, or once.
    fn each(&mut self, table: &DeTable<'_>, names: &Names<'_>) -> Vec<Option<String>> {
        let Some(value) = table.get("each") else {
            return vec![None];
        };
        let Some(name) = self.text(value, "each") else {
            return Vec::new();
        };
        let Some(list) = names.lists.get(name) else {
            let hint = hint(name, names.lists.keys().map(String::as_str));
            self.mistake(value.span().start, format!("there is no list `{name}`{hint}"));
            return Vec::new();
        };
        if list.of == Of::People {
            let message = format!("`{name}` is a list of people; a rule is made for each icon");
            self.mistake(value.span().start, message);
            return Vec::new();
        }
        list.names.iter().cloned().map(Some).collect()
    }

    /// Reads `[lists]` or `[people]`.
    fn lists(&mut self, table: &DeTable<'_>, of: Of, names: &mut Names<'_>) {
        let known = self.known;
        let (one, all) = match of {
            Of::Icons => ("icon", Some(known.icons.as_slice())),
            // Lists are written before everybody is enrolled, and stay when somebody is removed.
            Of::People | Of::Portraits => ("person", None),
        };
        for (key, value) in table {
            if self.has_more {
                return;
            }
            let name: &str = key.get_ref();
            if !eval::may_define(name) || names.lists.contains_key(name) {
                let message = format!(
                    "a list cannot be called `{name}`: take lower-case letters, digits and `_`, \
                     and no name that means something already"
                );
                self.mistake(key.span().start, message);
                continue;
            }
            let Some(values) = value.get_ref().as_array().filter(|values| !values.is_empty())
            else {
                let message = format!("write `{name} = [\"…\", \"…\"]`, names of {}", plural(one));
                self.mistake(value.span().start, message);
                continue;
            };
            let listed_before: usize = names.lists.values().map(|list| list.names.len()).sum();
            if listed_before + values.len() > LISTED_MAX {
                let message = format!("the lists of a file have at most {LISTED_MAX} names");
                self.mistake(value.span().start, message);
                continue;
            }
            let mut listed: Vec<String> = Vec::new();
            for value in values.iter() {
                let Some(text) = self.text(value, name) else {
                    continue;
                };
                if let Some(all) = all
                    && !all.iter().any(|known| known == text)
                {
                    let hint = hint(text, all.iter().map(String::as_str));
                    let message = format!("there is no {one} `{text}`{hint}");
                    self.mistake(value.span().start, message);
                } else if !is_name(text) {
                    let message = format!(
                        "the name of a {one} has 1 to {NAME_CHARS_MAX} characters, on one line"
                    );
                    self.mistake(value.span().start, message);
                } else if listed.iter().any(|other| other == text) {
                    let message = format!("`{text}` is in this list already");
                    self.mistake(value.span().start, message);
                } else {
                    listed.push(text.to_owned());
                    if of == Of::People {
                        self.note_stranger(text, value.span().start);
                    }
                }
            }
            names.lists.insert(name.to_owned(), List { of, names: listed });
        }
    }

    /// Remembers that somebody is named, where they are not enrolled.
    fn note_stranger(&mut self, name: &str, at: usize) {
        let Some(people) = &self.known.people else { return };
        if people.iter().any(|known| known == name) {
            return;
        }
        let hint = hint(name, people.iter().map(String::as_str));
        let message = format!(
            "nobody is enrolled as `{name}` (`signet people add` enrols somebody), so no photo shows \
             them{hint}"
        );
        let stranger = self.source.mistake(at, message);
        let is_same = |other: &RuleMistake| {
            (&other.file, &other.message) == (&stranger.file, &stranger.message)
        };
        if !self.strangers.iter().any(is_same) {
            self.strangers.push(stranger);
        }
    }

    fn define(&mut self, table: &DeTable<'_>, names: &mut Names<'_>) {
        // A definition may use those above it, so they are taken as written, not by name.
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            if self.has_more {
                return;
            }
            let name: &str = key.get_ref();
            if !eval::may_define(name) || names.lists.contains_key(name) {
                let message = format!(
                    "`{name}` cannot be defined: take lower-case letters, digits and `_`, \
                     and no name that means something already"
                );
                self.mistake(key.span().start, message);
                continue;
            }
            let Some(text) = self.text(value, name) else {
                continue;
            };
            match eval::define(text, names) {
                Ok(defined) => {
                    self.count(defined.parts_count(), &value.span());
                    names.defined.insert(name.to_owned(), defined);
                }
                Err(mistakes) => self.inside(&value.span(), &mistakes),
            }
        }
    }

    /// Words for the owner, on one line.
    fn sentence(&mut self, value: &Value<'_>, key: &str, names: &Names<'_>) -> Option<String> {
        let text = self.filled(value, key, names)?;
        if text.chars().count() > REASON_CHARS_MAX {
            let message = format!("longer than {REASON_CHARS_MAX} characters");
            self.mistake(value.span().start, message);
        }
        Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// A text in which `{each}` has become the icon that the rule is made for.
    fn filled(&mut self, value: &Value<'_>, key: &str, names: &Names<'_>) -> Option<String> {
        let text = self.text(value, key)?;
        match &names.each {
            Some(icon) => Some(text.replace(EACH_IN_TEXT, icon)),
            None if text.contains(EACH_IN_TEXT) => {
                let message =
                    format!("`{EACH_IN_TEXT}` stands only in a rule that says `each = \"…\"`");
                self.mistake(value.span().start, message);
                None
            }
            None => Some(text.to_owned()),
        }
    }

    fn is_true(&mut self, value: &Value<'_>, key: &str) -> bool {
        let is_true = value.get_ref().as_bool() == Some(true);
        if !is_true {
            self.mistake(value.span().start, format!("write `{key} = true`, or leave it out"));
        }
        is_true
    }

    /// Reports keys that do not belong, each with the nearest that does.
    fn only(&mut self, table: &DeTable<'_>, keys: &[&str], place: &str) {
        for key in table.keys() {
            let name: &str = key.get_ref();
            if !self.has_more && !keys.contains(&name) {
                let message =
                    format!("{place} has no `{name}`{}", hint(name, keys.iter().copied()));
                self.mistake(key.span().start, message);
            }
        }
    }

    fn table<'v>(&mut self, value: &'v Value<'_>, shape: &str) -> Option<&'v DeTable<'v>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            let kind = article(value.get_ref().type_str());
            self.mistake(value.span().start, format!("write `{shape}`, this is {kind}"));
        }
        table
    }

    fn text<'v>(&mut self, value: &'v Value<'_>, key: &str) -> Option<&'v str> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            let kind = article(value.get_ref().type_str());
            self.mistake(value.span().start, format!("`{key}` is text in quotes, this is {kind}"));
        }
        text
    }

    /// A name: of a rule, a product, a provider.
    fn word(&mut self, value: &Value<'_>, key: &str, names: &Names<'_>) -> Option<String> {
        let text = self.filled(value, key, names)?;
        if !is_word(&text) {
            let message =
                format!("`{key}` has 1 to {NAME_CHARS_MAX} lower-case letters, digits and hyphens");
            self.mistake(value.span().start, message);
            return None;
        }
        Some(text)
    }

    fn known_word(
        &mut self,
        table: &DeTable<'_>,
        around: &Value<'_>,
        (key, known): (&str, Option<&[String]>),
        names: &Names<'_>,
    ) -> Option<String> {
        let Some(value) = table.get(key) else {
            return self.missing(&around.span(), &format!("`{key}`"));
        };
        let word = self.word(value, key, names)?;
        if let Some(known) = known
            && !known.contains(&word)
        {
            let hint = hint(&word, known.iter().map(String::as_str));
            self.mistake(value.span().start, format!("there is no {key} `{word}`{hint}"));
            return None;
        }
        Some(word)
    }

    fn condition(
        &mut self,
        value: &Value<'_>,
        key: &str,
        wanted: Kind,
        names: &Names<'_>,
    ) -> Option<Condition> {
        let text = self.text(value, key)?;
        match eval::compile(text, wanted, names) {
            Ok(condition) => {
                self.count(condition.parts_count(), &value.span());
                Some(condition)
            }
            Err(mistakes) => {
                self.inside(&value.span(), &mistakes);
                None
            }
        }
    }

    /// Counts the parts of a condition; where there are too many, nothing more is read.
    fn count(&mut self, parts_count: usize, span: &Range<usize>) {
        match self.parts_left.checked_sub(parts_count) {
            Some(left) => *self.parts_left = left,
            None => {
                let message =
                    format!("the conditions up to here have more than {PARTS_MAX} parts together");
                self.mistake(span.start, message);
                (*self.parts_left, self.has_more) = (0, true);
            }
        }
    }

    /// Mistakes inside a condition, at their place in the file.
    fn inside(&mut self, span: &Range<usize>, mistakes: &[ExprMistake]) {
        for ExprMistake { chars_before, message } in mistakes {
            let at = self.source.inside_string(span.clone(), *chars_before);
            self.mistake(at, message.clone());
        }
    }

    fn missing<T>(&mut self, span: &Range<usize>, what: &str) -> Option<T> {
        self.mistake(span.start, format!("{MISSING} {what}"));
        None
    }
}

/// The table of a file, as far as it can be read, and what is wrong with its TOML: of a very long
/// file the first mistake only, because the parser keeps as many as there are.
fn parsed(text: &str) -> (Spanned<DeTable<'_>>, Vec<toml::de::Error>) {
    if text.len() <= RECOVERED_BYTES_MAX {
        return DeTable::parse_recoverable(text);
    }
    match DeTable::parse(text) {
        Ok(table) => (table, Vec::new()),
        Err(error) => (Spanned::new(0..0, DeTable::new()), vec![error]),
    }
}

const MISSING: &str = "here is missing";

fn article(kind: &str) -> String {
    let vowel = kind.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {kind}", if vowel { "an" } else { "a" })
}

fn plural(one: &str) -> &'static str {
    if one == "icon" { "icons" } else { "people" }
}

/// Whether a text may name a person.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&text.chars().count()) && !text.contains(char::is_control)
}

/// Whether a text may name a rule, a product or a provider.
pub(crate) fn is_word(text: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// The number of copies, if it is one that may be ordered.
pub(crate) fn copies_within(number: i64, most: u32) -> Option<u32> {
    u32::try_from(number).ok().filter(|copies| (1..=most).contains(copies))
}
