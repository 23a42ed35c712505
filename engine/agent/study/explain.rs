//! Why the rules say of one photo what they say.

use serde::Serialize;

use super::{Replay, Study, StudyError, replay_of};
use crate::agent::dossier::Dossier;
use crate::agent::judge::before;
use crate::base::clock::{Moment, Timestamp};
use crate::base::ids::ContentHash;
use crate::orders::plan::{Agreed, plan};
use crate::rules::story::stories;
use crate::rules::{CardFact, Facts, RuleSet, RuleStory, Standing, Wish};
use crate::store::{Order, OrderState};

/// One photo and the rules.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// The photo version.
    pub photo: ContentHash,
    /// Where it was found first: name of the collection …
    pub collection: String,
    /// … and path inside it.
    pub path: String,
    /// What it is to the rules.
    pub standing: Standing,
    /// `false`: it was there before the first start and orders nothing by itself.
    pub may_order: bool,
    /// What is known of it.
    pub facts: Facts,
    /// The card that applies to it.
    pub card: Option<CardFact>,
    /// Revision of the rules that were asked.
    pub revision: String,
    /// Every rule, in the order in which they are asked.
    pub rules: Vec<RuleStory>,
    /// Why nothing may leave, if so.
    pub forbidden: Option<String>,
    /// What would be planned now.
    pub planned: Vec<Planned>,
    /// What its orders are, as they stand.
    pub orders: Vec<Order>,
    /// The last decision that was kept.
    pub last: Option<LastDecision>,
}

/// What would become of a wish.
#[derive(Debug, Serialize)]
pub struct Planned {
    /// Key of the order that it would be.
    pub order_key: String,
    /// The rule that wishes it.
    pub rule: String,
    /// What for, in words.
    pub what: String,
    /// Whether it goes ahead.
    pub state: OrderState,
    /// Why it is in this state.
    pub reason: String,
}

/// What was decided of a photo last.
#[derive(Debug, Serialize)]
pub struct LastDecision {
    /// When.
    pub at: Timestamp,
    /// By which rules.
    pub revision: String,
    /// The networks that had looked at the photo.
    pub seen_by: String,
    /// Whether the rules asked now say the same of what was known then.
    pub is_same: bool,
}

impl Study {
    /// Explains one photo by rules; nothing for one that nobody looked at.
    ///
    /// # Errors
    /// A database that cannot be read.
    pub fn explain(
        &self,
        photo: &ContentHash,
        rules: &RuleSet,
        now: Timestamp,
    ) -> Result<Option<Explanation>, StudyError> {
        let Some(dossier) = Dossier::of(&self.index, photo, self.icons)? else { return Ok(None) };
        let dossier = dossier.with_past(photo, &self.state)?;
        let inputs = &dossier.inputs;
        let judgement = inputs.judge(rules);
        let mut verdicts = judgement.verdicts.iter();
        let forbidden = verdicts.find(|verdict| verdict.wish == Wish::Forbid);
        let agreed = Agreed { consent: &self.providers, limits: rules.limits() };
        let before = before(&self.state, agreed, photo, now)?;
        let orders = plan(
            &dossier.named(photo, &[]),
            &judgement.verdicts,
            agreed,
            &before,
            Moment::local(now),
        );
        let planned = orders.into_iter().map(|order| Planned {
            what: format!("{} from {}", crate::store::orders::words(&order), order.provider),
            order_key: order.order_key,
            rule: order.rule,
            state: order.state,
            reason: order.reason,
        });
        let rules_told = match inputs.standing {
            Standing::Photo => stories(rules, &inputs.facts, inputs.card.as_ref()),
            _ => Vec::new(),
        };
        let last = self.decisions.last(photo)?.map(|row| LastDecision {
            at: row.at,
            is_same: replay_of(&row, rules) == Replay::Same,
            revision: row.revision,
            seen_by: row.seen_by,
        });
        let orders = self.state.orders_of(photo)?;
        Ok(Some(Explanation {
            photo: *photo,
            standing: inputs.standing,
            may_order: dossier.may_order,
            card: inputs.card.clone(),
            facts: inputs.facts.clone(),
            revision: rules.revision().to_owned(),
            rules: rules_told,
            forbidden: forbidden.map(|verdict| verdict.reason.clone()),
            planned: planned.collect(),
            orders,
            last,
            collection: dossier.collection,
            path: dossier.relative.to_string_lossy().into_owned(),
        }))
    }
}
