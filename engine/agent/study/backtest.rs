//! What rules would have ordered of all photos that were seen, against what was ordered.
//!
//! The past is played through once more with these rules, photo by photo in the order in which
//! they came: what they order counts towards consent and limits of its month, and is what
//! `ordered` knows of. Photos that were there before the first start order nothing in truth;
//! here they count as if they had come when they were taken, and are told apart.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Serialize;

use super::{Study, StudyError};
use crate::agent::dossier::{Past, ordered_fact};
use crate::base::clock::{Moment, Timestamp};
use crate::base::ids::ContentHash;
use crate::orders::plan::{Agreed, Before, plan};
use crate::rules::RuleSet;
use crate::rules::census::{Census, Silent};
use crate::rules::facts::OrderedFact;
use crate::rules::near::{NearMiss, NearMisses};
use crate::store::orders::words;
use crate::store::{Order, OrderState, StoreError};

/// Near misses and failures that are told one by one; the others are counted.
const TOLD_MAX: usize = 1_000;

/// What came of it.
#[derive(Debug, Default, Serialize)]
pub struct Backtest {
    /// Revision of the rules.
    pub revision: String,
    /// Photos that were asked about.
    pub photos_count: usize,
    /// Of them, those that were there before the first start.
    pub existing_count: usize,
    /// Orders that are as they were.
    pub same_count: usize,
    /// Orders that there were not.
    pub added: Vec<Change>,
    /// Orders that there were and would not be.
    pub dropped: Vec<Change>,
    /// Orders that would be others than they were.
    pub changed: Vec<Change>,
    /// By provider.
    pub providers: BTreeMap<String, Totals>,
    /// By rule.
    pub rules: BTreeMap<String, Totals>,
    /// Rules that would let something leave and applied to none of the photos.
    pub silent: Vec<Silent>,
    /// Rules that nearly applied.
    pub near: Vec<Near>,
    /// How many those are; more than are told.
    pub near_count: usize,
    /// Rules that could not be asked.
    pub failures: Vec<String>,
    /// How many those are; more than are told.
    pub failures_count: usize,
}

/// One order that would be another.
#[derive(Debug, Clone, Serialize)]
pub struct Change {
    /// Collection and path of the photo.
    pub path: String,
    /// The rule.
    pub rule: String,
    /// The provider.
    pub provider: String,
    /// What it would be, of a dropped one what it was.
    pub what: String,
    /// What it was, of a changed one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
    /// What would become of it; of a dropped one what became of it.
    pub state: OrderState,
    /// Why.
    pub reason: String,
    /// Minor units.
    pub price_minor: i64,
    /// Currency of the price.
    pub currency: String,
    /// The photo was there before the first start.
    pub is_existing: bool,
}

/// A rule that nearly applied to a photo.
#[derive(Debug, Clone, Serialize)]
pub struct Near {
    /// Collection and path of the photo.
    pub path: String,
    /// What it lacked.
    #[serde(flatten)]
    pub miss: NearMiss,
}

/// Orders added up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Those that would go out by themselves, at once or when they were held.
    pub goes_count: u64,
    /// Those that would ask.
    pub asks_count: u64,
    /// Those that the consent does not cover.
    pub refused_count: u64,
    /// What those that would go out cost, by currency, in minor units.
    pub cost_minor: BTreeMap<String, i64>,
    /// Those that went out.
    pub went_count: u64,
    /// What they cost.
    pub was_cost_minor: BTreeMap<String, i64>,
}

impl Totals {
    fn add(&mut self, order: &Order) {
        match order.state {
            OrderState::Ask => self.asks_count += 1,
            OrderState::Refused => self.refused_count += 1,
            _ => {
                self.goes_count += 1;
                *self.cost_minor.entry(order.currency.clone()).or_default() += order.price_minor;
            }
        }
    }

    fn add_past(&mut self, order: &Order) {
        if goes(order) {
            self.went_count += 1;
            *self.was_cost_minor.entry(order.currency.clone()).or_default() += order.price_minor;
        }
    }
}

/// Whether an order goes out by itself or went out.
fn goes(order: &Order) -> bool {
    use OrderState::{Accepted, Done, Held, Ready};
    matches!(order.state, Held | Ready | Accepted | Done)
}

/// What would have been ordered before, as the backtest goes along.
#[derive(Default)]
struct Played {
    told: HashMap<ContentHash, Vec<OrderedFact>>,
    wanted: HashSet<ContentHash>,
    /// What counts in the day and the month that it is.
    before: Before,
    now: Option<Timestamp>,
}

impl Past for Played {
    fn told(&self, photo: &ContentHash) -> Result<Vec<OrderedFact>, StoreError> {
        Ok(self.told.get(photo).cloned().unwrap_or_default())
    }

    fn is_wanted(&self, photo: &ContentHash) -> Result<bool, StoreError> {
        Ok(self.wanted.contains(photo))
    }
}

impl Played {
    /// Moves on to a time: a new month begins with nothing, a new day with no orders.
    fn move_to(&mut self, now: Timestamp) {
        let before = self.now.replace(now);
        let is_new = |start: fn(Timestamp) -> Timestamp| before.map(start) != Some(start(now));
        if is_new(Timestamp::month_start) {
            self.before = Before::default();
        } else if is_new(Timestamp::day_start) {
            self.before.usage.values_mut().for_each(|usage| usage.orders_count_day = 0);
        }
    }

    fn add(&mut self, order: &Order, agreed: Agreed<'_>) {
        if order.state == OrderState::Refused {
            return;
        }
        self.wanted.insert(order.photo);
        if goes(order) {
            self.before.spent.resize(agreed.limits.len(), Default::default());
            self.before.count(order, agreed.limits);
            self.told.entry(order.photo).or_default().push(ordered_fact(order));
        }
    }
}

impl Study {
    /// Plays the past through with other rules.
    ///
    /// - `since`: photos that came before are left out
    /// - `margin`: how near a near miss is, as a share of the number that was missed
    /// - `progress`: photos done, and all of them
    ///
    /// # Errors
    /// A database that cannot be read.
    pub fn backtest(
        &self,
        rules: &RuleSet,
        since: Timestamp,
        margin: f64,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Backtest, StudyError> {
        let agreed = Agreed { consent: &self.providers, limits: rules.limits() };
        let near = NearMisses::new(rules, margin);
        let mut census = Census::new(rules);
        let mut played = Played::default();
        let mut found = Backtest { revision: rules.revision().to_owned(), ..Backtest::default() };
        let mut was = self.was()?;
        let taken_back = self.state.orders_taken_back()?;
        let mut photos = BTreeSet::new();
        self.each(since, progress, |arrival, dossier| {
            let photo = arrival.photo;
            photos.insert(photo);
            let is_existing = !arrival.may_order;
            found.photos_count += 1;
            found.existing_count += usize::from(is_existing);
            let dossier = dossier.with_past(&photo, &played)?;
            let judgement = dossier.inputs.judge(rules);
            let path = format!("{}/{}", dossier.collection, dossier.relative.display());
            for failure in judgement.failures {
                found.failures_count += 1;
                if found.failures.len() < TOLD_MAX {
                    found.failures.push(format!("{path}: {failure}"));
                }
            }
            census.add(&dossier.inputs);
            for miss in near.find(&dossier.inputs) {
                found.near_count += 1;
                if found.near.len() < TOLD_MAX {
                    found.near.push(Near { path: path.clone(), miss });
                }
            }
            if !judgement.verdicts.iter().any(|verdict| verdict.wish.leaves()) {
                return Ok(());
            }
            played.move_to(arrival.at);
            let named = dossier.named(&photo, &[]);
            let now = Moment::local(arrival.at);
            for order in plan(&named, &judgement.verdicts, agreed, &played.before, now) {
                played.add(&order, agreed);
                found.providers.entry(order.provider.clone()).or_default().add(&order);
                found.rules.entry(order.rule.clone()).or_default().add(&order);
                if order.state == OrderState::Refused {
                    continue;
                }
                match was.remove(&order.order_key) {
                    None if taken_back.contains(&order.order_key) => found.same_count += 1,
                    None => found.added.push(Change::of(&order, None, is_existing)),
                    Some(old) if words(&old) == words(&order) && goes(&old) == goes(&order) => {
                        found.add_past(&old);
                        found.same_count += 1;
                    }
                    Some(old) => {
                        found.add_past(&old);
                        found.changed.push(Change::of(&order, Some(&old), is_existing));
                    }
                }
            }
            Ok(())
        })?;
        found.silent = census.silent();
        for old in was.values().filter(|old| photos.contains(&old.photo)) {
            found.add_past(old);
            // One in the place of another follows from what a provider said, not from a rule.
            if old.instead_of.is_none() {
                found.dropped.push(Change::of(old, None, false));
            }
        }
        Ok(found)
    }

    /// Orders that there are, by their keys; not those that were refused or taken back.
    fn was(&self) -> Result<BTreeMap<String, Order>, StoreError> {
        let mut orders = self.state.orders(None)?;
        orders.retain(|order| !matches!(order.state, OrderState::Cancelled | OrderState::Refused));
        Ok(orders.into_iter().map(|order| (order.order_key.clone(), order)).collect())
    }
}

impl Backtest {
    fn add_past(&mut self, old: &Order) {
        self.providers.entry(old.provider.clone()).or_default().add_past(old);
        self.rules.entry(old.rule.clone()).or_default().add_past(old);
    }
}

impl Change {
    fn of(order: &Order, was: Option<&Order>, is_existing: bool) -> Self {
        Self {
            path: format!("{}/{}", order.collection, order.relative),
            rule: order.rule.clone(),
            provider: order.provider.clone(),
            what: words(order),
            was: was.map(|was| {
                let asked = if goes(was) { "" } else { ", which asked" };
                format!("{}{asked}", words(was))
            }),
            state: order.state,
            reason: order.reason.clone(),
            price_minor: order.price_minor,
            currency: order.currency.clone(),
            is_existing,
        }
    }
}
