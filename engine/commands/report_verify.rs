//! `signet report --verify`: which lines of the report the logs prove.

use std::collections::BTreeSet;

use crate::access::Membership;
use crate::base::clock::Timestamp;
use crate::base::home::Home;
use crate::ledger::own_log::Signer;
use crate::ledger::proven::{Proof, prove};
use crate::store::State;
use crate::store::log::LieRow;

use super::{CommandError, Outcome, failed, output};

/// Runs it, for accesses with `from <= at < to`.
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
    let accesses = state.accesses(Timestamp(0), Timestamp(i64::MAX)).map_err(failed)?;
    let findings = prove(state, &accesses, signer, Timestamp::now()).map_err(failed)?;
    let lies = state.lies(from, to).map_err(failed)?;

    let mut not_proven = BTreeSet::new();
    let mut proofs_count = 0;
    for (access, proof) in accesses.iter().zip(&findings.proofs) {
        if proof.at < from || proof.at >= to {
            continue;
        }
        proofs_count += 1;
        if !proof.faults.is_empty() {
            not_proven.insert(&proof.grant_id);
        }
        if json {
            output::json(&serde_json::json!({
                "kind": "proof", "grant_id": proof.grant_id, "at": proof.at,
                "proven": proof.faults.is_empty(), "faults": proof.faults,
            }));
        } else {
            let what = format!("{} {} {}", access.provider, access.member, access.path);
            output::line(line_of(proof, &what));
        }
    }
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
    if !json {
        let proven_count = proofs_count - not_proven.len();
        output::line(format_args!("{proven_count} of {proofs_count} accesses proven"));
    }
    let all_good = not_proven.is_empty() && findings.faults.is_empty() && lies.is_empty();
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

fn line_of(proof: &Proof, what: &str) -> String {
    if proof.faults.is_empty() {
        format!("proven      {}  {what}", proof.at)
    } else {
        format!("NOT PROVEN  {}  {what}: {}", proof.at, proof.faults.join(", "))
    }
}
