//! Which rules nearly applied to a photo: a number was a little short, an icon not quite sure.
//!
//! In:  rules, a margin, later photos. Out: a [`NearMiss`] for each rule that would let something
//! leave, did not apply, and would have with one number of its condition easier to reach by the
//! margin, or with everything that was seen seen for sure. Nothing is detected anew.

use serde::Serialize;

use super::eval::Condition;
use super::facts::Facts;
use super::inputs::Inputs;
use super::roll::CardFact;
use super::set::RuleSet;
use super::views::Views;
use crate::detection::Tier;

/// A rule that nearly applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NearMiss {
    /// Its name.
    pub rule: String,
    /// What it lacked.
    pub lacks: String,
}

/// What to look for in the photos.
#[derive(Debug)]
pub struct NearMisses<'s> {
    set: &'s RuleSet,
    /// Of each rule its condition with one number easier to reach, and which.
    easier: Vec<Vec<(Condition, String)>>,
}

impl<'s> NearMisses<'s> {
    /// Prepares the rules.
    ///
    /// - `margin`: how much easier a number is made to reach, as a share of itself
    pub fn new(set: &'s RuleSet, margin: f64) -> Self {
        let easier = set.rules().iter().map(|rule| {
            if !rule.plan.leaves() {
                return Vec::new();
            }
            let thresholds = rule.when.thresholds().into_iter().enumerate();
            let easier = thresholds.filter_map(|(index, (clause, threshold))| {
                let value = threshold.relaxed(margin)?;
                let lacks = format!("`{clause}` would hold at {}", rounded(value));
                Some((rule.when.with_threshold(index, value), lacks))
            });
            easier.collect()
        });
        Self { set, easier: easier.collect() }
    }

    /// The near misses of one photo.
    pub fn find(&self, inputs: &Inputs) -> Vec<NearMiss> {
        let mut found = Vec::new();
        if !inputs.standing.is_photo() {
            return found;
        }
        let views = Views::new(self.set, &inputs.facts, inputs.card.as_ref());
        let scopes = views.scopes();
        let surer = surer(inputs);
        let surer = surer.as_ref().map(|(facts, card)| Views::new(self.set, facts, card.as_ref()));
        let surer = surer.as_ref().map(Views::scopes);
        for (rule, easier) in self.set.rules().iter().zip(&self.easier) {
            if !rule.plan.leaves() || (easier.is_empty() && surer.is_none()) {
                continue;
            }
            let scope = scopes.of(&rule.file).0;
            if rule.when.truth(scope) != Ok(false) {
                continue;
            }
            let holds = |condition: &Condition| condition.truth(scope) == Ok(true);
            let number = easier.iter().find(|(condition, _)| holds(condition));
            let lacks = number.map(|(_, lacks)| lacks.clone()).or_else(|| {
                let surer = surer.as_ref()?.of(&rule.file).0;
                (rule.when.truth(surer) == Ok(true)).then(|| unsure(inputs))
            });
            let rule = &rule.name;
            found.extend(lacks.map(|lacks| NearMiss { rule: rule.clone(), lacks }));
        }
        found
    }
}

/// The photo and its card with everything seen for sure; nothing where all of it is.
fn surer(inputs: &Inputs) -> Option<(Facts, Option<CardFact>)> {
    let icons = inputs.card.iter().flat_map(|card| &card.icons).chain(&inputs.facts.icons);
    let people = inputs.facts.people.iter().map(|person| person.tier);
    if !icons.map(|icon| icon.tier).chain(people).any(|tier| tier == Tier::Ask) {
        return None;
    }
    let (mut facts, mut card) = (inputs.facts.clone(), inputs.card.clone());
    let icons = card.iter_mut().flat_map(|card| &mut card.icons).chain(&mut facts.icons);
    icons.for_each(|icon| icon.tier = Tier::Order);
    facts.people.iter_mut().for_each(|person| person.tier = Tier::Order);
    Some((facts, card))
}

/// What was not seen for sure, in words.
fn unsure(inputs: &Inputs) -> String {
    let icons = inputs.card.iter().flat_map(|card| &card.icons).chain(&inputs.facts.icons);
    let icons = icons.map(|icon| (icon.name.clone(), icon.tier, icon.score));
    let people = inputs.facts.people.iter();
    let people = people.map(|person| (person.words(), person.tier, person.score));
    let unsure = icons.chain(people).filter(|(_, tier, _)| *tier == Tier::Ask);
    let unsure: Vec<String> =
        unsure.map(|(name, _, score)| format!("{name} ({score:.2})")).collect();
    format!("not seen for sure: {}", unsure.join(", "))
}

/// A number with as many digits as people read.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::Seal;
    use crate::rules::census::Census;
    use crate::rules::facts::{PersonFact, PlaceFact};
    use crate::rules::story::{Answer, stories};
    use crate::rules::tune::Tuning;
    use crate::rules::{IconFact, Known, RuleFile};

    const RULES: &str = r#"
[people]
family = ["Anna", "Ben"]
[[rule]]
name = "wide"
when = 'width_px >= 2000 && has("mug")'
order = { product = "mug", provider = "lab" }
[[rule]]
name = "close"
when = 'near(52.0, 13.0, 10)'
share = { provider = "lab" }
[[rule]]
name = "loop"
when = 'icons.exists(i, i.score > 0.9) && count(family) >= 1'
share = { provider = "lab" }
stop = true
[[rule]]
name = "behind"
when = 'width_px < 10'
note = "never"
"#;

    fn set() -> RuleSet {
        let known = Known::of_icons(vec!["mug".to_owned()]);
        RuleSet::load(&[RuleFile::new("a.toml", RULES)], &known).expect("loads")
    }

    fn inputs(width_px: u32, icon: (Tier, f64), people: &[&str]) -> Inputs {
        let person = |name: &&str| PersonFact {
            name: (*name).to_owned(),
            tier: Tier::Order,
            alone: false,
            portrait: false,
            score: 0.7,
            size: 0.1,
            x: 0.5,
            y: 0.5,
        };
        let icon = IconFact {
            name: "mug".to_owned(),
            tier: icon.0,
            seal: Seal::None,
            lowered: false,
            score: icon.1,
            size: 0.1,
            x: 0.5,
            y: 0.5,
        };
        let facts = Facts {
            width_px,
            icons: vec![icon],
            people: people.iter().map(person).collect(),
            place: Some(PlaceFact { latitude: 52.0, longitude: 13.155 }),
            ..Facts::default()
        };
        Inputs { facts, ..Inputs::default() }
    }

    #[track_caller]
    fn check(inputs: &Inputs, margin: f64, wanted: &[(&str, &str)]) {
        let set = set();
        let found = NearMisses::new(&set, margin).find(inputs);
        let found: Vec<_> =
            found.iter().map(|miss| (miss.rule.as_str(), miss.lacks.as_str())).collect();
        assert_eq!(found, wanted);
    }

    #[test]
    fn rule_that_lacks_little_is_a_near_miss_and_one_that_lacks_much_is_none() {
        let sure = (Tier::Order, 0.95);
        let wide = ("wide", "`width_px >= 2000` would hold at 1800");
        // 10.6 km away.
        let close = ("close", "`near(52.0, 13.0, 10)` would hold at 11");
        check(&inputs(1800, sure, &["Anna"]), 0.1, &[wide, close]);
        check(&inputs(1799, sure, &["Anna"]), 0.1, &[close]);
        check(&inputs(1799, sure, &["Anna"]), 0.05, &[]);
        check(&inputs(2000, sure, &["Anna"]), 0.05, &[]);
        let score = ("loop", "`icons.exists(i, i.score > 0.9)` would hold at 0.81");
        check(&inputs(100, (Tier::Order, 0.85), &["Anna"]), 0.1, &[close, score]);
        // One of at least one is no near miss of nobody: half a person is none.
        check(&inputs(100, sure, &[]), 0.1, &[close]);
        let unsure = ("wide", "not seen for sure: mug (0.95)");
        check(&inputs(2000, (Tier::Ask, 0.95), &["Anna"]), 0.05, &[unsure]);
    }

    #[test]
    fn census_counts_the_clauses_of_rules_that_never_applied() {
        let set = set();
        let mut census = Census::new(&set);
        for width_px in [1800, 2000] {
            census.add(&inputs(width_px, (Tier::Ask, 0.95), &["Anna"]));
        }
        let silent = census.silent();
        let told: Vec<_> =
            silent.iter().map(|silent| (silent.rule.as_str(), &silent.clauses)).collect();
        let of = |text: &str, count| (text.to_owned(), count);
        let wide = vec![of("width_px >= 2000", 1), of("has(\"mug\")", 0)];
        let close = vec![of("near(52.0, 13.0, 10)", 0)];
        // `loop` applies, and `behind` would only tell.
        assert_eq!(told, [("wide", &wide), ("close", &close)]);
    }

    #[test]
    fn story_tells_the_clauses_with_their_values_and_who_was_not_asked() {
        let set = set();
        let facts = inputs(1800, (Tier::Ask, 0.95), &["Anna"]).facts;
        let stories = stories(&set, &facts, None);
        let told = |at: usize| {
            let clauses = stories[at].clauses.iter();
            let clauses = clauses.map(|clause| {
                let values = clause.values.iter();
                let values = values.map(|value| format!("{}={}", value.name, value.value));
                (clause.holds, values.collect::<Vec<_>>().join(" "))
            });
            (stories[at].answer, clauses.collect::<Vec<_>>())
        };
        let of = |holds, values: &str| (Some(holds), values.to_owned());
        let mug = "has(\"mug\")=mug not for sure (0.95)";
        let wide = vec![of(false, "width_px=1800"), of(false, mug)];
        assert_eq!(told(0), (Answer::DoesNotApply, wide));
        let people = "count(\"Anna\", \"Ben\")=1: Anna for sure (0.70)";
        let looped = vec![of(true, "size(icons)=1"), of(true, people)];
        assert_eq!(told(2), (Answer::Applies, looped));
        assert_eq!(stories[2].says.as_deref(), Some("share with lab after 24h"));
        assert_eq!(told(3), (Answer::NotAsked, vec![of(false, "width_px=1800")]));
        assert_eq!(stories[3].says.as_deref(), Some("loop"));
    }

    #[test]
    fn portraits_are_told_apart_from_people_in_stories_near_misses_and_tuning() {
        let rules = r#"
[[rule]]
name = "portrait"
when = 'has(portrait("Anna")) && middle("Ben")'
share = { provider = "lab" }
"#;
        let people = Some(["Anna", "Ben"].map(str::to_owned).to_vec());
        let known = Known { people, ..Known::of_icons(Vec::new()) };
        let set = RuleSet::load(&[RuleFile::new("a.toml", rules)], &known).expect("loads");
        let mut inputs = inputs(100, (Tier::Order, 0.9), &["Anna", "Ben"]);
        let anna = &mut inputs.facts.people[0];
        (anna.portrait, anna.tier) = (true, Tier::Ask);
        let told = |inputs: &Inputs| {
            let clauses = &stories(&set, &inputs.facts, None)[0].clauses;
            let values = clauses.iter().flat_map(|clause| &clause.values);
            values.map(|value| format!("{}={}", value.name, value.value)).collect::<Vec<_>>()
        };
        let portrait = "has(portrait(\"Anna\"))=Anna not for sure (0.70)";
        assert_eq!(told(&inputs), [portrait, "middle(\"Ben\")=Ben for sure (0.70)"]);
        let found = NearMisses::new(&set, 0.1).find(&inputs);
        assert_eq!(found[0].lacks, "not seen for sure: portrait of Anna (0.70)");
        let mut tuning = Tuning::new(&set, "portrait").expect("there");
        tuning.add(&inputs);
        let sweeps = tuning.sweeps();
        let of: Vec<_> = sweeps.iter().map(|sweep| sweep.what.as_str()).collect();
        let score = |whom: &str| format!("score from which {whom} are seen for sure");
        assert_eq!(of, [score("people"), score("portraits")]);
        let goes = |sweep: usize, at: f64| {
            let step = sweeps[sweep].steps.iter().find(|step| step.at == Some(at)).expect("a step");
            step.goes_count
        };
        // Anna's portrait is not made sure by what makes people sure.
        assert_eq!((goes(0, 0.5), goes(1, 0.7), goes(1, 0.75)), (0, 1, 0));
        (inputs.facts.unknown_faces, inputs.facts.unknown_is_nearest) = (1, true);
        assert_eq!(told(&inputs), [portrait, "middle(\"Ben\")=an unknown face"]);
        inputs.facts.unknown_is_nearest = false;
        inputs.facts.people.truncate(1);
        assert_eq!(told(&inputs), [portrait, "middle(\"Ben\")=nobody"]);
    }

    #[test]
    fn tuning_counts_what_a_rule_orders_at_each_number() {
        let set = set();
        assert!(Tuning::new(&set, "absent").is_none());
        let mut tuning = Tuning::new(&set, "wide").expect("there");
        for width_px in [1500, 2000, 2500] {
            tuning.add(&inputs(width_px, (Tier::Order, 0.95), &[]));
        }
        tuning.add(&inputs(9000, (Tier::Ask, 0.7), &[]));
        let sweeps = tuning.sweeps();
        let goes = |sweep: usize, at: f64| {
            let step = sweeps[sweep].steps.iter().find(|step| step.at == Some(at)).expect("a step");
            step.goes_count
        };
        assert_eq!(sweeps[0].what, "2000 in `width_px >= 2000`");
        assert_eq!([1000.0, 2000.0, 2200.0, 3000.0].map(|at| goes(0, at)), [3, 2, 1, 0]);
        assert_eq!(sweeps[1].what, "score from which icons are seen for sure");
        assert_eq!([0.5, 0.7, 0.75, 1.0].map(|at| goes(1, at)), [3, 3, 2, 0]);
        assert_eq!(sweeps[1].steps[0].goes_count, 2, "as it is");
    }
}
