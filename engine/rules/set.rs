//! The rules in force, and what they answer for a photo.
//!
//! In:  rule files, later facts. Out: verdicts, in the order of files and lines, and the
//! rules that failed. A pure function of both: no clock, disk or network.
//!
//! What it means:
//! - Rules are asked by priority, the highest first, then in the order of files and lines;
//!   each whose condition holds gives one verdict, and each with an `else` one where it does not.
//! - Behind a rule with `stop` whose condition holds nobody is asked any more but the rules that
//!   forbid: those are asked always.
//! - `forbid` wins: where any rule forbids, nothing else is given but what stays on the
//!   computer ([`Wish::Keep`]).
//! - The icon `do-not-share`, even not for sure, on the photo or on the card that applies to it,
//!   forbids by itself: no rule has to say so, and none can say otherwise.
//! - Under a card, its icons are added to the photo's own; see `roll` for which give way.
//!   That is done for each file by the lists of that file.
//! - A rule that fails is skipped and reported; the others go on. When a rule that would
//!   forbid fails, nobody knows whether it would have: everything else then waits for a
//!   person ([`Confirm::Ask`]).
//! - Where a face decided, what would leave is held for a day, unless the rule says otherwise.
//! - Limits are no rules: they narrow what the planner makes of the verdicts.
//! - Two rules may want the same; making one order of one wish is the planner's work.
//!
//! Knows nothing of orders, consent or money.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::archive::Archive;
use super::eval::{Condition, Of, PhotoScope};
use super::facts::{Facts, OrderedFact};
use super::limit::{HOLD_OF_FACES_MS, Limit};
use super::read::{self, Contents, Copies, Known, NAME_CHARS_MAX, Plan, Rule};
use super::roll::CardFact;
use super::source::{Author, RuleFile, RuleMistake};
use super::verdict::{Confirm, Verdict, Wish};
use super::views::{Scopes, Views};
use crate::base::ids::ContentHash;
use crate::detection::Seal;
use crate::detection::detector::FORBIDDING;

/// Rules that were read without a mistake.
#[derive(Debug, Clone)]
pub struct RuleSet {
    rules: Vec<Rule>,
    /// Lists of icons by file name.
    lists: HashMap<String, Vec<Vec<String>>>,
    limits: Arc<[Limit]>,
    strangers: Vec<RuleMistake>,
    revision: String,
    archive: Arc<Archive>,
}

/// What the rules say of one photo.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// Answers of the rules, in the order in which they were asked.
    pub verdicts: Vec<Verdict>,
    /// Rules that gave no answer, and why.
    pub failures: Vec<RuleFailure>,
}

impl Judgement {
    /// Whether nothing may leave.
    pub fn forbids(&self) -> bool {
        self.verdicts.iter().any(|verdict| verdict.wish == Wish::Forbid)
    }

    fn forbid(&mut self, verdict: Verdict) {
        self.verdicts.push(verdict);
        self.leave_nothing();
    }

    fn leave_nothing(&mut self) {
        self.verdicts.retain(|verdict| matches!(verdict.wish, Wish::Forbid | Wish::Keep));
    }

    /// Whether another one says the same, whatever revision of the rules said it.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let of_no_revision = |judgement: &Self| {
            let mut judgement = judgement.clone();
            judgement.verdicts.iter_mut().for_each(|verdict| verdict.revision.clear());
            judgement
        };
        of_no_revision(self) == of_no_revision(other)
    }

    /// Lets everything that would leave wait for a person, for one more reason.
    pub fn ask(&mut self, doubt: &str) {
        for verdict in self.verdicts.iter_mut().filter(|verdict| verdict.wish.leaves()) {
            verdict.confirm = Confirm::Ask;
            verdict.doubts.push(doubt.to_owned());
        }
    }
}

/// A rule that could not be asked about one photo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleFailure {
    /// Name of the rule.
    pub rule: String,
    /// Name of its file.
    pub file: String,
    /// Line of its name, from 1.
    pub line: usize,
    /// Why, lower case, one line.
    pub why: String,
}

impl fmt::Display for RuleFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, file, line, why } = self;
        write!(f, "{file}:{line}: the rule `{rule}` was skipped: {why}")
    }
}

impl RuleSet {
    /// Reads rule files.
    ///
    /// # Errors
    /// Every mistake of every file, sorted by file, line and column.
    pub fn load(files: &[RuleFile], known: &Known) -> Result<Self, Vec<RuleMistake>> {
        let Contents { rules, lists, limits, strangers } = read::read(files, known)?;
        let (archive, revision) = (Arc::new(Archive::of(files, known)), revision_of(files));
        Ok(Self { rules, lists, limits: limits.into(), strangers, revision, archive })
    }

    /// What narrows the orders that follow from the rules.
    pub fn limits(&self) -> &[Limit] {
        &self.limits
    }

    /// Where lists and limits name people who are not enrolled, sorted by file and line.
    pub fn strangers(&self) -> &[RuleMistake] {
        &self.strangers
    }

    /// Its files, to be kept with the decisions that it makes.
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// 12 hexadecimal digits of the SHA-256 over the contents of the files, in their order.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Names of the rules, in the order in which they are asked.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.name.as_str())
    }

    /// The rules themselves, in that order.
    pub(crate) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Number of rules.
    pub fn rules_count(&self) -> usize {
        self.rules.len()
    }

    /// Asks every rule about one photo; see the file's header for what wins.
    pub fn judge(&self, facts: &Facts) -> Judgement {
        self.judge_with(facts, None)
    }

    /// Asks every rule about one photo to which a card may apply as well. Reasons then name the
    /// icons that came from the card.
    pub fn judge_with(&self, facts: &Facts, card: Option<&CardFact>) -> Judgement {
        let mut judgement = self.ask_all(&Views::new(self, facts, card).scopes());
        let icons = card.iter().flat_map(|card| &card.icons).chain(&facts.icons);
        if icons.clone().any(|icon| icon.name == FORBIDDING) && !judgement.forbids() {
            judgement.forbid(Verdict {
                rule: FORBIDDING.to_owned(),
                revision: self.revision.clone(),
                wish: Wish::Forbid,
                confirm: Confirm::No,
                reason: format!("the {FORBIDDING} icon"),
                doubts: Vec::new(),
                hold_ms: 0,
            });
        }
        judgement
    }

    /// Rules whose orders are held for a day because a face decides, and that do not say so
    /// themselves.
    pub fn held_for_faces(&self) -> impl Iterator<Item = &str> {
        let held = self.rules.iter().filter(|rule| {
            rule.plan.leaves() && rule.hold_ms.is_none() && rule.when.looks_at(Of::People)
        });
        held.map(|rule| rule.name.as_str())
    }

    /// Lists of icons of a file.
    pub(super) fn lists_of(&self, file: &str) -> &[Vec<String>] {
        self.lists.get(file).map_or(&[], Vec::as_slice)
    }

    fn ask_all(&self, scopes: &Scopes<'_>) -> Judgement {
        let mut judgement = Judgement::default();
        let mut forbids_unknown = false;
        self.ask_each(scopes, |rule, asked| match asked {
            Asked::Silent | Asked::Stopped { .. } => {}
            Asked::Says { verdict, .. } => judgement.verdicts.push(*verdict),
            Asked::Failed(why) => {
                forbids_unknown |= matches!(rule.plan, Plan::Forbid);
                let Rule { name, file, line, .. } = rule;
                let (rule, file, line) = (name.clone(), file.clone(), *line);
                judgement.failures.push(RuleFailure { rule, file, line, why });
            }
        });
        if judgement.forbids() {
            judgement.leave_nothing();
        } else if forbids_unknown {
            judgement.ask("a rule that might forbid it could not be asked");
        }
        judgement
    }

    /// Asks the rules one after the other, before it is known what wins.
    pub(super) fn ask_each(&self, scopes: &Scopes<'_>, mut hear: impl FnMut(&Rule, Asked)) {
        let mut stopped_by = None;
        for (index, rule) in self.rules.iter().enumerate() {
            if let Some(behind) = stopped_by
                && !matches!(rule.plan, Plan::Forbid)
            {
                hear(rule, Asked::Stopped { behind });
                continue;
            }
            let (scope, addition) = scopes.of(&rule.file);
            let asked = match self.ask_as_first(rule, scope) {
                Ok(None) => Asked::Silent,
                Ok(Some((mut verdict, applies))) => {
                    if applies && rule.stops {
                        stopped_by.get_or_insert(index);
                    }
                    if let Some(addition) = addition {
                        verdict.reason = format!("{}; {addition}", verdict.reason);
                    }
                    Asked::Says { verdict: Box::new(verdict), applies }
                }
                Err(why) => Asked::Failed(why),
            };
            hear(rule, asked);
        }
    }

    /// Asks a rule that does not see what it ordered itself: else it would take that back.
    pub(super) fn ask_as_first(
        &self,
        rule: &Rule,
        photo: &PhotoScope<'_>,
    ) -> Result<Option<(Verdict, bool)>, String> {
        let is_own = |order: &OrderedFact| order.rule == rule.name;
        if !photo.facts().ordered.iter().any(is_own) {
            return self.ask(rule, photo);
        }
        let mut facts = photo.facts().clone();
        facts.ordered.retain(|order| !is_own(order));
        self.ask(rule, &PhotoScope::new(&facts))
    }

    /// What a rule says, and whether its condition holds.
    fn ask(&self, rule: &Rule, photo: &PhotoScope<'_>) -> Result<Option<(Verdict, bool)>, String> {
        let applies = rule.when.truth(photo)?;
        let (plan, reason) = match &rule.otherwise {
            _ if applies => (&rule.plan, &rule.reason),
            Some((plan, reason)) => (plan, reason),
            None => return Ok(None),
        };
        let wish = match plan {
            Plan::Order {
                provider,
                product,
                copies,
                to,
                express,
                with,
                or,
                price_max,
                remove_icon,
            } => {
                let copies = match copies {
                    Copies::Fixed(copies) => *copies,
                    Copies::Computed(condition, most) => {
                        let number = condition.whole(photo)?;
                        read::copies_within(number, *most).ok_or_else(|| {
                            format!("its copies come to {number}, allowed are 1 to {most}")
                        })?
                    }
                };
                Wish::Order {
                    provider: provider.clone(),
                    product: product.clone(),
                    copies,
                    addressee: addressee(to.as_ref(), photo)?,
                    express: express.as_ref().map_or(Ok(false), |express| express.truth(photo))?,
                    with: with.clone(),
                    or: or.clone(),
                    price_max: price_max.clone(),
                    remove_icon: *remove_icon,
                }
            }
            Plan::Share { provider, to, preview, with } => {
                let addressee = addressee(to.as_ref(), photo)?;
                let (provider, with) = (provider.clone(), with.clone());
                Wish::Share { provider, addressee, preview: *preview, with }
            }
            Plan::Keep => Wish::Keep,
            Plan::Note => Wish::Note,
            Plan::Forbid => Wish::Forbid,
        };
        let mut asks = match &rule.ask_when {
            Some(condition) => condition.truth(photo)?,
            None => false,
        };
        let mut doubts = Vec::new();
        for doubt in &rule.doubts {
            if doubt.when.truth(photo)? {
                asks = true;
                doubts.push(doubt.reason.clone());
            }
        }
        let mut confirm = if asks { Confirm::Ask } else { rule.confirm };
        if plan.leaves() && self.hangs_on_faces(rule, photo, &wish, confirm) {
            confirm = Confirm::Ask;
            doubts.extend(photo.facts().unproven());
        }
        if confirm == Confirm::Ask {
            doubts.extend(photo.facts().unsealed());
        }
        let verdict = Verdict {
            rule: rule.name.clone(),
            revision: self.revision.clone(),
            wish,
            confirm,
            reason: reason.clone(),
            doubts,
            hold_ms: hold_of(rule, plan, photo.facts()),
        };
        Ok(Some((verdict, applies)))
    }

    /// Whether a rule would say something else, or ask, did it not see the people of whom no more
    /// than one face speaks.
    fn hangs_on_faces(
        &self,
        rule: &Rule,
        photo: &PhotoScope<'_>,
        wish: &Wish,
        confirm: Confirm,
    ) -> bool {
        let Some(proven) = photo.facts().proven() else { return false };
        match self.ask(rule, &PhotoScope::new(&proven)) {
            Ok(Some((verdict, _))) => {
                verdict.wish != *wish
                    || (verdict.confirm == Confirm::Ask && confirm != Confirm::Ask)
            }
            Ok(None) | Err(_) => true,
        }
    }
}

/// What became of asking one rule about one photo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// It says this; where its condition does not hold (`applies` is false) by its `else`.
    Says { verdict: Box<Verdict>, applies: bool },
    /// Its condition does not hold.
    Silent,
    /// Why it gave no answer.
    Failed(String),
    /// The rule with this number stopped before it.
    Stopped { behind: usize },
}

/// How long what a rule wants is held: as it says; else a day where a face decided and no icon of
/// the owner's own seal did as well.
fn hold_of(rule: &Rule, plan: &Plan, facts: &Facts) -> i64 {
    if !plan.leaves() {
        return 0;
    }
    let is_sealed = || facts.icons.iter().any(|icon| icon.seal == Seal::Mine);
    match rule.hold_ms {
        Some(hold_ms) => hold_ms,
        None if !rule.when.looks_at(Of::People) => 0,
        None if rule.when.looks_at(Of::Icons) && is_sealed() => 0,
        None => HOLD_OF_FACES_MS,
    }
}

/// The label that `to` gives: none where it is empty.
fn addressee(to: Option<&Condition>, photo: &PhotoScope<'_>) -> Result<Option<String>, String> {
    let Some(to) = to else { return Ok(None) };
    let label = to.text(photo)?;
    if label.is_empty() {
        return Ok(None);
    }
    if !read::is_word(&label) {
        return Err(format!(
            "its addressee has to be 1 to {NAME_CHARS_MAX} lower-case letters, digits and hyphens"
        ));
    }
    Ok(Some(label))
}

/// The revision that these files would have, whether they are good or not.
pub fn revision_of(files: &[RuleFile]) -> String {
    let mut bytes = Vec::new();
    for RuleFile { bytes: content, by, .. } in files {
        if *by == Author::Operator {
            bytes.extend_from_slice(b"operator");
        }
        // The length goes first, so that no two lists of files look alike.
        bytes.extend_from_slice(&(content.len() as u64).to_be_bytes());
        bytes.extend_from_slice(content);
    }
    let mut digits = ContentHash::of(&bytes).to_string();
    digits.truncate(12);
    digits
}

/// The last good rules, kept while newer files have mistakes.
#[derive(Debug, Clone)]
pub struct RulesInForce {
    set: Arc<RuleSet>,
    refused: Vec<RuleMistake>,
}

/// What became of files that were offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offer {
    /// They are the ones in force.
    Same,
    /// They are in force now, with this revision.
    Taken(String),
    /// They have mistakes; what was in force stays.
    Refused(Vec<RuleMistake>),
}

impl RulesInForce {
    /// Starts with rules that were read without a mistake.
    pub fn new(set: RuleSet) -> Self {
        Self { set: Arc::new(set), refused: Vec::new() }
    }

    /// The rules to judge by; cheap to clone, stays whole while others are taken.
    pub fn set(&self) -> &Arc<RuleSet> {
        &self.set
    }

    /// Mistakes of the files that were refused last; empty when the newest are in force.
    pub fn refused(&self) -> &[RuleMistake] {
        &self.refused
    }

    /// Takes newer files if they have no mistake.
    pub fn offer(&mut self, files: &[RuleFile], known: &Known) -> Offer {
        if revision_of(files) == self.set.revision {
            self.refused.clear();
            return Offer::Same;
        }
        match RuleSet::load(files, known) {
            Ok(set) => {
                let revision = set.revision.clone();
                *self = Self::new(set);
                Offer::Taken(revision)
            }
            Err(mistakes) => {
                self.refused.clone_from(&mistakes);
                Offer::Refused(mistakes)
            }
        }
    }
}

#[cfg(test)]
#[path = "set/tests.rs"]
mod tests;
