//! Puts what was found about rules into words, in one warning for all the rules of one `each`.
//!
//! In:  rules, and what is wrong with which. Out: warnings, in no order that matters.

use std::collections::{BTreeMap, HashMap};

use super::{About, Finding, RuleWarning};
use crate::rules::read::{Plan, Rule};

/// Which name of a rule is told.
type Name = fn(&Rule) -> &str;

pub(super) fn warnings(rules: &[Rule], found: &[Finding]) -> Vec<RuleWarning> {
    let mut lots: HashMap<(&str, usize, &str), usize> = HashMap::new();
    for rule in rules {
        *lots.entry(lot(rule)).or_default() += 1;
    }
    let written: Name = |rule| &rule.written;
    let mut alike: BTreeMap<_, Vec<&Finding>> = BTreeMap::new();
    for finding in found {
        let message = message(rules, finding, written, None);
        alike.entry((lot(&rules[finding.rule]), message)).or_default().push(finding);
    }
    let mut warnings = Vec::new();
    for ((lot, _), findings) in alike {
        let lot_count = lots.get(&lot).copied().unwrap_or(1);
        let is_whole = lot_count > 1 && findings.len() == lot_count;
        let (told, name, lot_count): (_, Name, _) = match findings.first() {
            Some(first) if is_whole => (vec![*first], written, Some(lot_count)),
            _ => (findings, |rule| &rule.name, None),
        };
        warnings.extend(told.into_iter().map(|finding| {
            let rule = &rules[finding.rule];
            RuleWarning {
                file: rule.file.clone(),
                line: rule.line,
                rule: name(rule).to_owned(),
                kind: finding.kind,
                message: message(rules, finding, name, lot_count),
            }
        }));
    }
    warnings
}

/// What the rules that one `each` makes have in common.
fn lot(rule: &Rule) -> (&str, usize, &str) {
    (&rule.file, rule.line, &rule.written)
}

/// - `lot_count`: of how many rules it is told
fn message(rules: &[Rule], finding: &Finding, name: Name, lot_count: Option<usize>) -> String {
    let rule = &rules[finding.rule];
    let this = match lot_count {
        Some(count) => format!("`{}` (each of the {count})", name(rule)),
        None => format!("`{}`", name(rule)),
    };
    let side = |is_else| if is_else { format!("the `else` of {this}") } else { this.clone() };
    let other = |by: usize| {
        let Rule { file, line, .. } = &rules[by];
        format!("`{}` ({file}:{line})", name(&rules[by]))
    };
    match &finding.about {
        About::NeverTrue => format!(
            "{this} is unreachable: no photo makes its `when` true; mend it or take the rule out"
        ),
        About::NeverFalse => format!(
            "the `else` of {this} is unreachable: no photo makes its `when` false; mend that or \
             take the `else` out"
        ),
        About::NeverAsks(number) => {
            let asks = match rule.doubts.get(*number) {
                Some(doubt) if lot_count.is_none() && name(rule) == rule.name => {
                    format!("its `ask` because `{}`", doubt.reason)
                }
                Some(_) => format!("number {} of its `ask`", number + 1),
                None => "its `ask_when`".to_owned(),
            };
            format!(
                "{this} never asks: {asks} is true of no photo that it applies to; mend that or \
                 take it out"
            )
        }
        About::Stopped { is_else, by } => format!(
            "{} is unreachable: wherever it applies, {} is asked before it and stops; give it a \
             higher `priority`, or narrow the other's `when`",
            side(*is_else),
            other(*by)
        ),
        About::Forbidden { is_else, by } if is_contradiction(finding) => format!(
            "{} contradicts {}, which forbids for the very same photos; keep one of them",
            side(*is_else),
            other(*by)
        ),
        About::Forbidden { is_else, by } => format!(
            "{} is shadowed: wherever it applies, {} forbids, so it has no effect; narrow the \
             other's `when`, or take it out",
            side(*is_else),
            other(*by)
        ),
        About::Twice { is_else, by, differing } => {
            let wish = match (&rule.plan, &rule.otherwise) {
                (_, Some((plan, _))) if *is_else => wish(plan),
                (plan, _) => wish(plan),
            };
            if differing.is_empty() {
                format!(
                    "{} is shadowed: wherever it applies, {} {wish} too, and rules do not add up: \
                     these are two; narrow one of them, or let the one asked first `stop`",
                    side(*is_else),
                    other(*by)
                )
            } else {
                format!(
                    "{} contradicts {}, which {wish} for the very same photos, with other {}; \
                     keep one of them",
                    side(*is_else),
                    other(*by),
                    differing.join(" and ")
                )
            }
        }
    }
}

fn is_contradiction(finding: &Finding) -> bool {
    finding.kind == super::WarningKind::Contradictory
}

/// What a plan does, as one does it.
fn wish(plan: &Plan) -> String {
    match plan {
        Plan::Order { provider, product, .. } => format!("orders `{product}` from `{provider}`"),
        Plan::Share { provider, .. } => format!("shares with `{provider}`"),
        Plan::Keep => "keeps it".to_owned(),
        Plan::Note => "notes it".to_owned(),
        Plan::Forbid => "forbids".to_owned(),
    }
}
