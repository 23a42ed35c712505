//! `signet report --verify`: which lines of the report the logs prove, and what they come to.
//!
//! A line is a posted movement of money, also one back or anew. Their sums are compared with the
//! books, entry by entry, so a posting without its line is found.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::access::Membership;
use crate::base::clock::Timestamp;
use crate::base::home::Home;
use crate::base::money::decimal;
use crate::ledger::own_log::Signer;
use crate::ledger::proven::{Movement, Proof, movements, prove};
use crate::reports::facts::Fee;
use crate::store::log::LieRow;
use crate::store::{Credit, State};

use super::report::kind_of;
use super::{CommandError, Outcome, failed, output};

/// Lines of one currency and what they come to.
#[derive(Debug, Default, Serialize)]
struct Total {
    lines_count: u64,
    proven_count: u64,
    paid_minor: i64,
    owner_minor: i64,
    service_minor: i64,
}

/// Runs it, for what was posted with `from <= at < to`.
///
/// # Errors
/// When something cannot be read. What is not proven is no error but exit code 1.
pub(super) fn run(
    home: &Home,
    state: &State,
    (from, to): (Timestamp, Timestamp),
    json: bool,
) -> Result<Outcome, CommandError> {
    let key = Membership::key(home).map_err(failed)?;
    let joined = Membership::load(home).map_err(failed)?;
    let agent_id = joined.map_or_else(|| key.public().thumbprint(), |joined| joined.agent_id);
    let signer = Signer { agent_id: &agent_id, key: &key };
    // Read at one moment: the agent may be serving meanwhile.
    let rows = state.report_rows(Timestamp(0), Timestamp(i64::MAX)).map_err(failed)?;
    let posted = movements(&rows.accesses, &rows.corrections);
    let mut findings = prove(state, &posted, signer, Timestamp::now()).map_err(failed)?;
    let lies = state.lies(from, to).map_err(failed)?;

    let mut totals: BTreeMap<&str, Total> = BTreeMap::new();
    let mut counts = [(0_u64, 0_u64); 2];
    let lines = posted.iter().zip(&findings.proofs);
    for (movement, proof) in lines.filter(|(_, proof)| from <= proof.at && proof.at < to) {
        let fee = Fee::of(movement.entries(), movement.currency());
        let proven = u64::from(proof.faults.is_empty());
        totals.entry(movement.currency()).or_default().add(&fee, proven);
        let (all, good) = &mut counts[usize::from(movement.correction.is_some())];
        *all += 1;
        *good += proven;
        tell_line(movement, proof, &fee, json);
    }
    // Whatever was posted since the lines were read is later than all of them.
    let until = posted.last().map_or(from, |last| last.at().plus_millis(1)).min(to);
    let credits = state.credits(from, until).map_err(failed)?;
    findings.faults.extend(differences(&totals, &credits));
    for fault in &findings.faults {
        if json {
            output::json(&serde_json::json!({ "kind": "fault", "words": fault }));
        } else {
            output::line(format_args!("WRONG       {fault}"));
        }
    }
    lies.iter().for_each(|lie| tell(lie, json));
    for (log, leaves_count, heads_count) in &findings.logs {
        if json {
            output::json(&serde_json::json!({
                "kind": "log", "log": log, "leaves": leaves_count, "heads": heads_count,
            }));
        } else {
            let words = match log.split_once(' ') {
                None => "this computer's log".to_owned(),
                Some((hub, _)) => format!("the log of hub {hub}"),
            };
            output::line(format_args!(
                "{words}: {leaves_count} leaves, {heads_count} signed heads"
            ));
        }
    }
    for (currency, total) in &totals {
        tell_total(currency, total, json);
    }
    let [(accesses_count, accesses_good), (corrected_count, corrected_good)] = counts;
    if !json {
        output::line(format_args!("{accesses_good} of {accesses_count} accesses proven"));
        if corrected_count > 0 {
            let what = "postings back and anew proven";
            output::line(format_args!("{corrected_good} of {corrected_count} {what}"));
        }
    }
    let not_proven = accesses_count - accesses_good + corrected_count - corrected_good;
    let all_good = not_proven == 0 && findings.faults.is_empty() && lies.is_empty();
    Ok(if all_good { Outcome::Done } else { Outcome::SomeFailed })
}

/// Prints a lie of a hub.
pub(super) fn tell(lie: &LieRow, json: bool) {
    if json {
        output::json(&serde_json::json!({
            "kind": "hub-lie", "at": lie.at, "lie": lie.kind, "subject": lie.subject,
            "words": lie.words, "proof": lie.proof,
        }));
    } else {
        output::line(format_args!("{}  HUB LIES   {}", lie.at, lie.words));
    }
}

impl Total {
    fn add(&mut self, fee: &Fee, proven: u64) {
        self.lines_count += 1;
        self.proven_count += proven;
        self.paid_minor = self.paid_minor.saturating_add(fee.paid_minor);
        self.owner_minor = self.owner_minor.saturating_add(fee.owner_minor);
        self.service_minor = self.service_minor.saturating_add(fee.service_minor);
    }
}

/// Where what the lines pay the owner is not what the books say.
fn differences(totals: &BTreeMap<&str, Total>, credits: &[Credit]) -> Vec<String> {
    let mut open: BTreeMap<&str, i128> =
        totals.iter().map(|(of, total)| (*of, i128::from(total.owner_minor))).collect();
    for credit in credits {
        // A credit is negative.
        *open.entry(&credit.currency).or_insert(0) += i128::from(credit.minor);
    }
    let differs = open.into_iter().filter(|(_, minor)| *minor != 0);
    differs
        .map(|(currency, minor)| {
            format!("the lines pay you {minor} minor units in {currency} more than the books say")
        })
        .collect()
}

fn tell_line(movement: &Movement<'_>, proof: &Proof, fee: &Fee, json: bool) {
    let kind = kind_of(movement.correction);
    if json {
        output::json(&serde_json::json!({
            "kind": "proof", "of": kind, "grant_id": proof.grant_id, "at": proof.at,
            "currency": fee.currency, "paid_minor": fee.paid_minor,
            "owner_minor": fee.owner_minor, "service_minor": fee.service_minor,
            "proven": proof.faults.is_empty(), "faults": proof.faults,
        }));
        return;
    }
    let access = movement.access;
    let put_right = match movement.correction {
        None => String::new(),
        Some(row) => format!(" {kind} ({})", row.reason),
    };
    let what = format!(
        "{} {} {}{put_right}, paid {} {}, you got {}",
        access.provider,
        access.member,
        access.path,
        decimal(fee.paid_minor),
        fee.currency,
        decimal(fee.owner_minor),
    );
    if proof.faults.is_empty() {
        output::line(format_args!("proven      {}  {what}", proof.at));
    } else {
        let faults = proof.faults.join(", ");
        output::line(format_args!("NOT PROVEN  {}  {what}: {faults}", proof.at));
    }
}

fn tell_total(currency: &str, total: &Total, json: bool) {
    if json {
        let mut value = serde_json::json!(total);
        if let Some(fields) = value.as_object_mut() {
            fields.insert("kind".into(), "total".into());
            fields.insert("currency".into(), currency.into());
        }
        output::json(&value);
        return;
    }
    output::line(format_args!(
        "{} of {} lines in {currency} proven: paid {}, you got {}, the service {}",
        total.proven_count,
        total.lines_count,
        decimal(total.paid_minor),
        decimal(total.owner_minor),
        decimal(total.service_minor),
    ));
}
