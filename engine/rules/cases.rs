//! Cases: photos in a few words and what the rules beside them should say.
//!
//! In:  a rule set and its `NAME.cases.toml`. Out: for each case what was expected and
//! what was given, and the rules that no case ever made speak.
//!
//! ```toml
//! [[case]]
//! name = "two prints of a marked photo"
//! icons = ["print-10x15", "copies-2?"]     # ? after a name: seen, but not surely (tier ask)
//! expect = ["ask: order 2 print-10x15 from lab"]
//! ```
//!
//! An icon may also be `{ name, tier, seal, score, size, x, y }`. `card` lists the icons of the
//! card that was photographed before. A photo may have `collection`,
//! `path` (folders and name), `taken`, `width_px`, `height_px`, `bytes_count`, `companions`
//! (`["voice-memo"]`), `dpof` (`[{ kind, copies, size_mm, channel, paper, caption, creator }]`),
//! `keywords`, `title`, `instructions`, `rating`, `people` (`["anna", "ben?"]`), `portraits` (the
//! same), `unknown_faces`, `unknown_is_nearest`, `unknown_is_largest`, `place` (`[52.52, 13.40]`), `camera` (`{ make, model }`), `album`,
//! `ordered` (`[{ product, provider, copies, rule }]`). `fails` names the rules that are meant to be
//! skipped. The order of what is expected is free.
//!
//! Knows no disk: the command reads the files.

use std::collections::BTreeMap;

use serde::Serialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::facts::{
    CameraFact, CompanionFact, Facts, IconFact, OrderedFact, PathFact, PersonFact, PlaceFact,
    PrintFact, PrintKind, TimeFact, WordsFact,
};
use super::limit::{parse_span, span_words};
use super::read::{COPIES_MAX, Known, copies_within, is_name, is_word};
use super::roll::CardFact;
use super::set::RuleSet;
use super::source::{RuleFile, RuleMistake, Source, hint};
use super::story::{ClauseStory, RuleStory, stories};
use crate::base::member::Member;
use crate::base::money::{Currency, decimal, parse_minor};
use crate::detection::{Seal, Tier};
use crate::preview::{LONG_SIDE_PX, PreviewFormat};

/// How one case went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaseReport {
    /// What the case calls itself.
    pub name: String,
    /// Line it starts on, from 1.
    pub line: usize,
    /// Whether the rules said what was expected and nothing else.
    pub passed: bool,
    /// Verdicts expected, in words, sorted.
    pub expected: Vec<String>,
    /// Verdicts given, in words, sorted.
    pub given: Vec<String>,
    /// Rules that were skipped although the case does not say so, and why; or that were
    /// not, although it does.
    pub failures: Vec<String>,
}

/// How all cases of a file went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CasesReport {
    /// Every case, in the order of the file.
    pub cases: Vec<CaseReport>,
    /// Rules that gave no verdict in any case.
    pub untested: Vec<String>,
    /// Clauses of all conditions; a rule that is made for each of a list counts once.
    pub clauses_count: usize,
    /// Those that were not true in one case and false in another.
    pub uncovered: Vec<Uncovered>,
}

/// A clause of a condition that cases do not show both ways.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Uncovered {
    /// The rule; the first of those made for each of a list.
    pub rule: String,
    /// Line of the rule's name in the rule file, from 1.
    pub line: usize,
    /// The clause as it is written, on one line.
    pub clause: String,
    /// What it never was: `true`, `false`, or `true or false`.
    pub never: &'static str,
}

impl CasesReport {
    /// Whether every case went as expected.
    pub fn passed(&self) -> bool {
        self.cases.iter().all(|case| case.passed)
    }
}

/// Runs the cases of a file.
///
/// # Errors
/// Every mistake in the file, with its place; no case is run then.
pub fn run(file: &RuleFile, set: &RuleSet, known: &Known) -> Result<CasesReport, Vec<RuleMistake>> {
    let source = Source::new(file).map_err(|mistake| vec![mistake])?;
    let mut reader = Reader { source, set, known, mistakes: Vec::new() };
    let cases = reader.cases();
    if !reader.mistakes.is_empty() {
        reader.mistakes.sort();
        return Err(reader.mistakes);
    }
    let mut spoke: Vec<String> = Vec::new();
    let mut coverage = Coverage::new(set);
    let cases = cases
        .into_iter()
        .map(|Case { name, line, facts, card, mut expected, fails }| {
            let judgement = set.judge_with(&facts, card.as_ref());
            coverage.add(&stories(set, &facts, card.as_ref()));
            spoke.extend(judgement.verdicts.iter().map(|verdict| verdict.rule.clone()));
            let mut given: Vec<String> =
                judgement.verdicts.iter().map(ToString::to_string).collect();
            given.sort();
            expected.sort();
            let mut failures: Vec<String> = judgement
                .failures
                .iter()
                .filter(|failure| !fails.contains(&failure.rule))
                .map(ToString::to_string)
                .collect();
            let went_on = |rule: &&String| judgement.failures.iter().all(|f| f.rule != **rule);
            failures.extend(
                fails.iter().filter(went_on).map(|rule| format!("the rule `{rule}` did not fail")),
            );
            let passed = given == expected && failures.is_empty();
            CaseReport { name, line, passed, expected, given, failures }
        })
        .collect();
    let untested =
        set.names().filter(|name| !spoke.iter().any(|rule| rule == name)).map(str::to_owned);
    let (clauses_count, uncovered) = (coverage.clauses.len(), coverage.uncovered());
    Ok(CasesReport { cases, untested: untested.collect(), clauses_count, uncovered })
}

/// Which clauses were true and which were false, by file, line and place in the condition.
struct Coverage {
    clauses: BTreeMap<(String, usize, usize), Covered>,
}

struct Covered {
    rule: String,
    clause: String,
    was_true: bool,
    was_false: bool,
}

impl Coverage {
    fn new(set: &RuleSet) -> Self {
        let mut clauses = BTreeMap::new();
        for rule in set.rules() {
            for (at, text) in rule.when.clause_texts().enumerate() {
                clauses.entry((rule.file.clone(), rule.line, at)).or_insert_with(|| Covered {
                    rule: rule.name.clone(),
                    clause: text.to_owned(),
                    was_true: false,
                    was_false: false,
                });
            }
        }
        Self { clauses }
    }

    fn add(&mut self, stories: &[RuleStory]) {
        for RuleStory { file, line, clauses, .. } in stories {
            for (at, ClauseStory { holds, .. }) in clauses.iter().enumerate() {
                let Some(covered) = self.clauses.get_mut(&(file.clone(), *line, at)) else {
                    continue;
                };
                covered.was_true |= *holds == Some(true);
                covered.was_false |= *holds == Some(false);
            }
        }
    }

    fn uncovered(self) -> Vec<Uncovered> {
        let uncovered = self.clauses.into_iter().filter_map(|((_, line, _), covered)| {
            let never = match (covered.was_true, covered.was_false) {
                (true, true) => return None,
                (true, false) => "false",
                (false, true) => "true",
                (false, false) => "true or false",
            };
            let Covered { rule, clause, .. } = covered;
            // What is always true is meant to be.
            (clause != "true").then_some(Uncovered { rule, line, clause, never })
        });
        uncovered.collect()
    }
}

/// An icon or a person, as a case describes it.
struct Sighting {
    name: String,
    tier: Tier,
    score: f64,
    size: f64,
    x: f64,
    y: f64,
}

impl Default for Sighting {
    fn default() -> Self {
        let (tier, score) = (Tier::Order, SCORE_ORDER);
        Self { name: String::new(), tier, score, size: 0.1, x: 0.5, y: 0.5 }
    }
}

struct Case {
    name: String,
    line: usize,
    facts: Facts,
    card: Option<CardFact>,
    expected: Vec<String>,
    fails: Vec<String>,
}

const CASE_KEYS: [&str; 26] = [
    "name",
    "icons",
    "card",
    "collection",
    "path",
    "taken",
    "width_px",
    "height_px",
    "bytes_count",
    "companions",
    "dpof",
    "keywords",
    "title",
    "instructions",
    "rating",
    "people",
    "portraits",
    "unknown_faces",
    "unknown_is_nearest",
    "unknown_is_largest",
    "place",
    "camera",
    "album",
    "ordered",
    "expect",
    "fails",
];
const JOB_KEYS: [&str; 7] = ["kind", "copies", "size_mm", "channel", "paper", "caption", "creator"];
const CAMERA_KEYS: [&str; 2] = ["make", "model"];
const ORDERED_KEYS: [&str; 4] = ["product", "provider", "copies", "rule"];
const PERSON_KEYS: [&str; 7] = ["name", "tier", "alone", "score", "size", "x", "y"];
const ICON_KEYS: [&str; 7] = ["name", "tier", "seal", "score", "size", "x", "y"];
/// Scores of a short icon without and with `?`; any that fit their tier would do.
const SCORE_ORDER: f64 = 0.95;
const SCORE_ASK: f64 = 0.7;

struct Reader<'a> {
    source: Source<'a>,
    set: &'a RuleSet,
    known: &'a Known,
    mistakes: Vec<RuleMistake>,
}

type Value<'a> = Spanned<DeValue<'a>>;

impl Reader<'_> {
    fn mistake(&mut self, at: usize, message: impl Into<String>) {
        self.mistakes.push(self.source.mistake(at, message));
    }

    fn cases(&mut self) -> Vec<Case> {
        let (table, errors) = DeTable::parse_recoverable(self.source.text);
        for error in &errors {
            let at = error.span().map_or(0, |span| span.start);
            self.mistake(at, error.message().replace('\n', ", ").to_lowercase());
        }
        if !errors.is_empty() {
            return Vec::new();
        }
        self.only(table.get_ref(), &["case"], "a case file");
        let Some(list) = table.get_ref().get("case").and_then(|list| list.get_ref().as_array())
        else {
            self.mistake(0, "there is no `[[case]]`");
            return Vec::new();
        };
        list.iter().filter_map(|value| self.case(value)).collect()
    }

    fn case(&mut self, value: &Value<'_>) -> Option<Case> {
        let start = value.span().start;
        let Some(table) = value.get_ref().as_table() else {
            self.mistake(start, "write `[[case]]`, in double brackets");
            return None;
        };
        self.only(table, &CASE_KEYS, "a case");
        let name = match table.get("name") {
            Some(value) => self.text(value, "name")?.to_owned(),
            None => {
                self.mistake(start, "here is missing `name`");
                return None;
            }
        };
        let mut icons = Vec::new();
        for value in self.list(table, "icons") {
            icons.extend(self.icon(value));
        }
        let mut card = table.get("card").map(|_| CardFact::default());
        for value in self.list(table, "card") {
            if let Some(card) = &mut card {
                card.icons.extend(self.icon(value));
            }
        }
        let path = match table.get("path") {
            Some(value) => self.text(value, "path")?,
            None => "photo.jpg",
        };
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension);
        let collection = match table.get("collection") {
            Some(value) => self.text(value, "collection")?,
            None => "photos",
        };
        let taken = match table.get("taken") {
            Some(value) => Some(self.taken(value)?),
            None => None,
        };
        let mut people = Vec::new();
        for (key, portrait) in [("people", false), ("portraits", true)] {
            for value in self.list(table, key) {
                people.extend(self.person(value).map(|person| PersonFact { portrait, ..person }));
            }
        }
        let unknown_faces = self.number(table, "unknown_faces", 0)?;
        let [unknown_is_nearest, unknown_is_largest] = ["unknown_is_nearest", "unknown_is_largest"]
            .map(|key| {
                let value = table.get(key)?;
                let (at, truth) = (value.span().start, value.get_ref().as_bool());
                if truth.is_none() {
                    self.mistake(at, format!("`{key}` is true or false"));
                } else if truth == Some(true) && unknown_faces == 0 {
                    self.mistake(at, format!("`{key}` needs an unknown face: `unknown_faces = 1`"));
                }
                truth
            });
        let place = match table.get("place") {
            Some(value) => Some(self.place(value)?),
            None => None,
        };
        let facts = Facts {
            icons,
            people,
            unknown_faces,
            unknown_is_nearest: unknown_is_nearest.unwrap_or_default(),
            unknown_is_largest: unknown_is_largest.unwrap_or_default(),
            place,
            camera: self.camera(table)?,
            album: match table.get("album") {
                Some(album) => self.text(album, "album")?.to_owned(),
                // As the agent takes it.
                None => folder.rsplit('/').next().unwrap_or_default().to_owned(),
            },
            ordered: self.ordered(table),
            path: PathFact {
                collection: collection.to_owned(),
                folder: folder.to_owned(),
                name: file.to_owned(),
                extension: extension.to_lowercase(),
            },
            taken,
            width_px: self.number(table, "width_px", 4_032)?,
            height_px: self.number(table, "height_px", 3_024)?,
            bytes_count: self.number(table, "bytes_count", 3_000_000)?,
            companions: self.companions(table),
            dpof: self.jobs(table),
            words: self.words(table)?,
        };
        if table.get("expect").is_none() {
            self.mistake(start, "here is missing `expect`; `expect = []` where nothing happens");
        }
        let mut expected = Vec::new();
        for value in self.list(table, "expect") {
            expected.extend(self.verdict(value));
        }
        let mut fails = Vec::new();
        for value in self.list(table, "fails") {
            let Some(rule) = self.text(value, "fails") else {
                continue;
            };
            if !self.set.names().any(|name| name == rule) {
                let hint = hint(rule, self.set.names());
                self.mistake(value.span().start, format!("there is no rule `{rule}`{hint}"));
            }
            fails.push(rule.to_owned());
        }
        let (line, _) = self.source.place(start);
        Some(Case { name, line, facts, card, expected, fails })
    }

    fn icon(&mut self, value: &Value<'_>) -> Option<IconFact> {
        let at = value.span().start;
        let sighting = self.sighting(value, "an icon", &ICON_KEYS)?;
        let table = value.get_ref().as_table();
        let seal = table.and_then(|table| table.get("seal"));
        let seal = match seal.map(|seal| (seal.span().start, seal.get_ref().as_str())) {
            None | Some((_, Some("none"))) => Seal::None,
            Some((_, Some("mine"))) => Seal::Mine,
            Some((_, Some("foreign"))) => Seal::Foreign,
            Some((_, Some("unreadable"))) => Seal::Unreadable,
            Some((at, _)) => {
                self.mistake(at, "`seal` is \"mine\", \"foreign\", \"unreadable\" or \"none\"");
                Seal::None
            }
        };
        let Sighting { name, tier, score, size, x, y } = sighting;
        if !self.known.icons.contains(&name) {
            let hint = hint(&name, self.known.icons.iter().map(String::as_str));
            self.mistake(at, format!("there is no icon `{name}`{hint}"));
        }
        Some(IconFact { name, tier, seal, lowered: false, score, size, x, y })
    }

    fn person(&mut self, value: &Value<'_>) -> Option<PersonFact> {
        let at = value.span().start;
        let sighting = self.sighting(value, "a person", &PERSON_KEYS)?;
        let Sighting { name, tier, score, size, x, y } = sighting;
        if !is_name(&name) {
            self.mistake(at, "a person has a name, on one line");
        }
        let alone = match value.get_ref().as_table().and_then(|table| table.get("alone")) {
            None => false,
            Some(value) => value.get_ref().as_bool().unwrap_or_else(|| {
                self.mistake(value.span().start, "`alone` is true or false");
                false
            }),
        };
        Some(PersonFact { name, tier, alone, portrait: false, score, size, x, y })
    }

    /// Something seen in the photo: its name in quotes, `?` behind it where it is not sure, or
    /// a table.
    fn sighting(&mut self, value: &Value<'_>, what: &str, keys: &[&str]) -> Option<Sighting> {
        let mut sighting = Sighting::default();
        if let Some(text) = value.get_ref().as_str() {
            let name = text.strip_suffix('?');
            name.unwrap_or(text).clone_into(&mut sighting.name);
            if name.is_some() {
                (sighting.tier, sighting.score) = (Tier::Ask, SCORE_ASK);
            }
            return Some(sighting);
        }
        let Some(table) = value.get_ref().as_table() else {
            let message = format!("{what} is its name in quotes, or `{{ name, tier, … }}`");
            self.mistake(value.span().start, message);
            return None;
        };
        self.only(table, keys, what);
        let name = table.get("name").and_then(|name| name.get_ref().as_str());
        name.unwrap_or_default().clone_into(&mut sighting.name);
        match table.get("tier").map(|tier| (tier.span().start, tier.get_ref().as_str())) {
            None | Some((_, Some("order"))) => {}
            Some((_, Some("ask"))) => (sighting.tier, sighting.score) = (Tier::Ask, SCORE_ASK),
            Some((at, _)) => self.mistake(at, "`tier` is \"order\" or \"ask\""),
        }
        let shares = [
            ("score", &mut sighting.score),
            ("size", &mut sighting.size),
            ("x", &mut sighting.x),
            ("y", &mut sighting.y),
        ];
        for (key, share) in shares {
            let Some(value) = table.get(key) else {
                continue;
            };
            match read_number(value.get_ref()).filter(|number| (0.0..=1.0).contains(number)) {
                Some(number) => *share = number,
                None => {
                    let message = format!("`{key}` is a number from 0.0 to 1.0");
                    self.mistake(value.span().start, message);
                }
            }
        }
        Some(sighting)
    }

    fn place(&mut self, value: &Value<'_>) -> Option<PlaceFact> {
        let numbers = value.get_ref().as_array().map(|list| {
            let numbers = list.iter().map(|value| read_number(value.get_ref()));
            numbers.collect::<Option<Vec<f64>>>()
        });
        match numbers.flatten().as_deref() {
            Some(&[latitude, longitude]) if latitude.abs() <= 90.0 && longitude.abs() <= 180.0 => {
                Some(PlaceFact { latitude, longitude })
            }
            _ => {
                let message = "`place` is degrees north and east, such as `[52.52, 13.40]`";
                self.mistake(value.span().start, message);
                None
            }
        }
    }

    fn camera(&mut self, table: &DeTable<'_>) -> Option<CameraFact> {
        let Some(value) = table.get("camera") else {
            return Some(CameraFact::default());
        };
        let Some(camera) = value.get_ref().as_table() else {
            self.mistake(value.span().start, "a camera is `{ make = \"…\", model = \"…\" }`");
            return None;
        };
        self.only(camera, &CAMERA_KEYS, "a camera");
        Some(CameraFact { make: self.word(camera, "make")?, model: self.word(camera, "model")? })
    }

    fn ordered(&mut self, table: &DeTable<'_>) -> Vec<OrderedFact> {
        let mut ordered = Vec::new();
        for value in self.list(table, "ordered") {
            let Some(order) = value.get_ref().as_table() else {
                let message = "an order is `{ product = \"mug\", provider = \"lab\" }`";
                self.mistake(value.span().start, message);
                continue;
            };
            self.only(order, &ORDERED_KEYS, "an order");
            let words = ["rule", "provider", "product"].map(|key| self.word(order, key));
            if let ([Some(rule), Some(provider), Some(product)], Some(copies)) =
                (words, self.number(order, "copies", 1))
            {
                ordered.push(OrderedFact { rule, provider, product, copies });
            }
        }
        ordered
    }

    fn companions(&mut self, table: &DeTable<'_>) -> Vec<CompanionFact> {
        let mut companions = Vec::new();
        for value in self.list(table, "companions") {
            let Some(word) = self.text(value, "companions") else { continue };
            match word.parse::<Member>() {
                Ok(role) if role.is_companion() => companions.push(CompanionFact {
                    role,
                    name: format!("photo.{role}"),
                    media_type: "application/octet-stream".to_owned(),
                    bytes_count: 1_000,
                }),
                _ => {
                    let words = Member::ALL.into_iter().filter(|member| member.is_companion());
                    let hint = hint(word, words.map(Member::as_str));
                    self.mistake(value.span().start, format!("`{word}` is no companion{hint}"));
                }
            }
        }
        companions
    }

    fn jobs(&mut self, table: &DeTable<'_>) -> Vec<PrintFact> {
        let jobs = self.list(table, "dpof").into_iter().filter_map(|value| self.job(value));
        jobs.collect()
    }

    fn job(&mut self, value: &Value<'_>) -> Option<PrintFact> {
        let start = value.span().start;
        let Some(table) = value.get_ref().as_table() else {
            self.mistake(start, "a print job is `{ kind = \"standard\", copies = 1 }`");
            return None;
        };
        self.only(table, &JOB_KEYS, "a print job");
        let kind = self.word(table, "kind")?;
        let Some(kind) = PrintKind::ALL.into_iter().find(|known| known.as_str() == kind) else {
            let hint = hint(&kind, PrintKind::ALL.map(PrintKind::as_str));
            self.mistake(start, format!("`kind` cannot be `{kind}`{hint}"));
            return None;
        };
        Some(PrintFact {
            kind,
            copies: self.number(table, "copies", 1)?,
            size_mm: self.number(table, "size_mm", 0)?,
            channel: self.number(table, "channel", 0)?,
            paper: self.word(table, "paper")?,
            caption: self.word(table, "caption")?,
            creator: self.word(table, "creator")?,
        })
    }

    fn words(&mut self, table: &DeTable<'_>) -> Option<WordsFact> {
        let keywords = self.list(table, "keywords").into_iter();
        Some(WordsFact {
            keywords: keywords
                .filter_map(|value| self.text(value, "keywords"))
                .map(str::to_owned)
                .collect(),
            title: self.word(table, "title")?,
            instructions: self.word(table, "instructions")?,
            rating: self.number(table, "rating", 0)?,
        })
    }

    /// A text that may be left out and is empty then.
    fn word(&mut self, table: &DeTable<'_>, key: &str) -> Option<String> {
        match table.get(key) {
            Some(value) => self.text(value, key).map(str::to_owned),
            None => Some(String::new()),
        }
    }

    fn taken(&mut self, value: &Value<'_>) -> Option<TimeFact> {
        let text = match value.get_ref() {
            DeValue::Datetime(moment) => moment.to_string(),
            other => other.as_str().unwrap_or_default().to_owned(),
        };
        let taken = TimeFact::parse(&text);
        if taken.is_none() {
            self.mistake(value.span().start, "`taken` is a time such as 2026-07-01T10:00:00");
        }
        taken
    }

    /// One line of `expect`, in the words that a verdict prints.
    fn verdict(&mut self, value: &Value<'_>) -> Option<String> {
        if value.get_ref().as_str().is_none() {
            let message = "write texts in quotes: `expect = [\"order 2 mug from lab\"]`";
            self.mistake(value.span().start, message);
        }
        let text = value.get_ref().as_str()?;
        let (wish, span) = match text.rsplit_once(" after ") {
            Some((wish, span)) => (wish, Some(span)),
            None => (text.strip_prefix("ask: ").unwrap_or(text), None),
        };
        // As a verdict prints it, else no case could ever pass.
        let is_span = |span: &str| parse_span(span).is_some_and(|ms| span_words(ms) == span);
        let mut parts = wish.split(" and ");
        let words: Vec<&str> = parts.next().unwrap_or_default().split(' ').collect();
        let companions: Vec<&str> = parts.collect();
        let is_companion = |word: &&str| word.parse().is_ok_and(Member::is_companion);
        let fine = match words.as_slice() {
            ["order", copies, product, "from", provider, rest @ ..] => {
                let rest_fine = are_order_words(rest);
                copies.parse().is_ok_and(|number| copies_within(number, COPIES_MAX).is_some())
                    && is_word(product)
                    && is_word(provider)
                    && rest_fine
            }
            ["share", "with", provider, rest @ ..] => {
                let as_preview = |rest: &[&str]| match rest {
                    [] => true,
                    ["as", words @ ..] => is_preview(words),
                    _ => false,
                };
                let rest_fine = match rest {
                    ["to", label, rest @ ..] => is_word(label) && as_preview(rest),
                    rest => as_preview(rest),
                };
                is_word(provider) && rest_fine
            }
            ["forbid" | "keep" | "note"] => wish == text && companions.is_empty(),
            _ => false,
        };
        let fine = fine && span.is_none_or(is_span);
        if !fine || !companions.iter().all(is_companion) {
            let message = "write `order 2 mug from lab or lab-2 to a express remove-icon up to 2.00 \
                           EUR and voice-memo`, `share with \
                           lab to a as 2048 webp` (both also without what follows the provider), \
                           `keep`, `note` or `forbid`; `ask: ` goes before the first two, or \
                           ` after 24h` behind them";
            self.mistake(value.span().start, message);
            return None;
        }
        Some(text.to_owned())
    }

    fn list<'v>(&mut self, table: &'v DeTable<'v>, key: &str) -> Vec<&'v Value<'v>> {
        let Some(value) = table.get(key) else {
            return Vec::new();
        };
        let Some(list) = value.get_ref().as_array() else {
            self.mistake(value.span().start, format!("`{key}` is a list in square brackets"));
            return Vec::new();
        };
        list.iter().collect()
    }

    fn number<N: TryFrom<i64>>(
        &mut self,
        table: &DeTable<'_>,
        key: &str,
        otherwise: N,
    ) -> Option<N> {
        let Some(value) = table.get(key) else {
            return Some(otherwise);
        };
        let number = value
            .get_ref()
            .as_integer()
            .and_then(|number| i64::from_str_radix(number.as_str(), number.radix()).ok())
            .and_then(|number| N::try_from(number).ok());
        if number.is_none() {
            self.mistake(value.span().start, format!("`{key}` is a whole number"));
        }
        number
    }

    fn text<'v>(&mut self, value: &'v Value<'_>, key: &str) -> Option<&'v str> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.mistake(value.span().start, format!("`{key}` is text in quotes"));
        }
        text
    }

    fn only(&mut self, table: &DeTable<'_>, keys: &[&str], place: &str) {
        for key in table.keys() {
            let name: &str = key.get_ref();
            if !keys.contains(&name) {
                let message =
                    format!("{place} has no `{name}`{}", hint(name, keys.iter().copied()));
                self.mistake(key.span().start, message);
            }
        }
    }
}

/// What may follow the provider of an order, in the order in which a verdict prints it:
/// `or lab-2 to a express remove-icon up to 2.00 EUR`.
fn are_order_words(mut words: &[&str]) -> bool {
    while let ["or", provider, rest @ ..] = words
        && is_word(provider)
    {
        words = rest;
    }
    if let ["to", label, rest @ ..] = words
        && is_word(label)
    {
        words = rest;
    }
    for flag in ["express", "remove-icon"] {
        words = words.strip_prefix(&[flag]).unwrap_or(words);
    }
    match words {
        [] => true,
        // As money is printed, else no case could ever pass.
        ["up", "to", amount, currency] => {
            parse_minor(amount).is_ok_and(|minor| decimal(minor) == *amount)
                && Currency::try_from((*currency).to_owned()).is_ok()
        }
        _ => false,
    }
}

/// `2048 webp`, or one of the two.
fn is_preview(words: &[&str]) -> bool {
    let is_side = |word: &str| word.parse().is_ok_and(|side: u32| LONG_SIDE_PX.contains(&side));
    let is_format = |word: &str| word.parse::<PreviewFormat>().is_ok();
    match words {
        [word] => is_side(word) || is_format(word),
        [side, format] => is_side(side) && is_format(format),
        _ => false,
    }
}

/// A number with or without a point; what is none gives nothing.
fn read_number(value: &DeValue<'_>) -> Option<f64> {
    let text = match value {
        DeValue::Float(number) => number.as_str(),
        DeValue::Integer(number) => number.as_str(),
        _ => return None,
    };
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
#[path = "cases/tests.rs"]
mod tests;
