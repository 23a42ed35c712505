//! How much a rule would order with another number in its condition.
//!
//! In:  one rule of a set, later the inputs of many photos. Out: a [`Sweep`] for each number that
//! its condition compares with, and for how sure icons and people have to be: what it orders and
//! asks at each of some twenty steps. Nothing is detected anew.
//!
//! The rule is asked as if it stood alone; photos that another rule forbids do not count.

use serde::Serialize;

use super::eval::Of;
use super::facts::Facts;
use super::inputs::Inputs;
use super::near::rounded;
use super::read::Rule;
use super::roll::CardFact;
use super::set::RuleSet;
use super::verdict::Confirm;
use super::views::Views;
use crate::detection::Tier;

/// One number of a rule, and what the rule makes of photos as it moves.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sweep {
    /// What is moved, in words.
    pub what: String,
    /// As it is now; nothing for how sure sightings have to be, which networks decide by more
    /// than the score.
    pub now: Option<f64>,
    /// From low to high.
    pub steps: Vec<Step>,
}

/// What a rule makes of all photos at one number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Step {
    /// The number; nothing: as it is.
    pub at: Option<f64>,
    /// Wishes that go ahead by themselves.
    pub goes_count: u64,
    /// Wishes that ask first.
    pub asks_count: u64,
}

/// What is moved.
enum Lever {
    /// The rule with each number.
    Number(Vec<Rule>),
    /// Icons, people or portraits count as sure from a score on.
    Sureness(Of),
}

/// A rule that is being tuned.
pub struct Tuning<'s> {
    set: &'s RuleSet,
    rule: &'s Rule,
    levers: Vec<(Lever, Sweep)>,
}

/// Scores from which sightings count as sure, in hundredths.
const SURE_FROM: std::ops::RangeInclusive<u8> = 10..=20;

impl<'s> Tuning<'s> {
    /// Takes one rule of a set; nothing where there is none of the name.
    pub fn new(set: &'s RuleSet, name: &str) -> Option<Self> {
        let rule = set.rules().iter().find(|rule| rule.name == name)?;
        let mut levers = Vec::new();
        for (index, (clause, threshold)) in rule.when.thresholds().into_iter().enumerate() {
            let values = values_around(threshold.value, threshold.is_whole);
            let with = |value: &f64| Rule {
                when: rule.when.with_threshold(index, *value),
                ..rule.clone()
            };
            let rules = values.iter().map(with).collect();
            let steps = values.iter().map(|value| Step::at(Some(rounded(*value)))).collect();
            let what = format!("{} in `{clause}`", rounded(threshold.value));
            levers.push((Lever::Number(rules), Sweep { what, now: Some(threshold.value), steps }));
        }
        let whoms = [(Of::Icons, "icons"), (Of::People, "people"), (Of::Portraits, "portraits")];
        for (of, whom) in whoms {
            if !rule.when.looks_at(of) {
                continue;
            }
            let scores = SURE_FROM.map(|twentieth| Some(f64::from(twentieth) / 20.0));
            let steps = std::iter::once(None).chain(scores).map(Step::at).collect();
            let what = format!("score from which {whom} are seen for sure");
            levers.push((Lever::Sureness(of), Sweep { what, now: None, steps }));
        }
        Some(Self { set, rule, levers })
    }

    /// Counts one photo.
    pub fn add(&mut self, inputs: &Inputs) {
        if !inputs.standing.is_photo() || self.is_forbidden(inputs) {
            return;
        }
        let (set, rule) = (self.set, self.rule);
        for (lever, sweep) in &mut self.levers {
            match lever {
                Lever::Number(rules) => {
                    let views = Views::new(set, &inputs.facts, inputs.card.as_ref());
                    let scopes = views.scopes();
                    for (rule, step) in rules.iter().zip(&mut sweep.steps) {
                        step.add(set, rule, scopes.of(&rule.file).0);
                    }
                }
                Lever::Sureness(of) => {
                    for step in &mut sweep.steps {
                        let (facts, card) = sure_from(inputs, *of, step.at);
                        let views = Views::new(set, &facts, card.as_ref());
                        step.add(set, rule, views.scopes().of(&rule.file).0);
                    }
                }
            }
        }
    }

    /// What came of it.
    pub fn sweeps(self) -> Vec<Sweep> {
        self.levers.into_iter().map(|(_, sweep)| sweep).collect()
    }

    fn is_forbidden(&self, inputs: &Inputs) -> bool {
        inputs.judge(self.set).forbids()
    }
}

impl Step {
    const fn at(at: Option<f64>) -> Self {
        Self { at, goes_count: 0, asks_count: 0 }
    }

    fn add(&mut self, set: &RuleSet, rule: &Rule, photo: &super::eval::PhotoScope<'_>) {
        let Ok(Some((verdict, true))) = set.ask_as_first(rule, photo) else { return };
        match verdict.confirm {
            Confirm::No => self.goes_count += 1,
            Confirm::Ask => self.asks_count += 1,
        }
    }
}

/// The photo with icons or people seen for sure from a score on.
fn sure_from(inputs: &Inputs, of: Of, score: Option<f64>) -> (Facts, Option<CardFact>) {
    let (mut facts, mut card) = (inputs.facts.clone(), inputs.card.clone());
    let Some(least) = score else { return (facts, card) };
    let tier = |score: f64| if score >= least { Tier::Order } else { Tier::Ask };
    match of {
        Of::Icons => {
            let icons = card.iter_mut().flat_map(|card| &mut card.icons).chain(&mut facts.icons);
            icons.for_each(|icon| icon.tier = tier(icon.score));
        }
        Of::People | Of::Portraits => {
            let people = facts.people.iter_mut();
            let people = people.filter(|person| person.portrait == (of == Of::Portraits));
            people.for_each(|person| person.tier = tier(person.score));
        }
    }
    (facts, card)
}

/// Numbers around one, itself among them, from low to high.
fn values_around(value: f64, is_whole: bool) -> Vec<f64> {
    let shares = [0.0, 0.25, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2, 1.3, 1.5, 2.0, 4.0];
    let mut values: Vec<f64> = match (0.0..=1.0).contains(&value) && !is_whole {
        true => (0..=20).map(|twentieth| f64::from(twentieth) / 20.0).chain([value]).collect(),
        false => shares.iter().map(|share| value * share).collect(),
    };
    if is_whole {
        // Small numbers are all tried.
        values.extend((-3..=3).map(|step| value + f64::from(step)).filter(|moved| *moved >= 0.0));
        values.iter_mut().for_each(|value| *value = value.round());
    }
    values.sort_by(f64::total_cmp);
    values.dedup();
    values
}
