//! Charges that a log proves, and every way in which a hub may charge for something else.

use super::*;
use crate::access::Key;
use crate::base::clock::Timestamp;
use crate::ledger::checkpoint::{agent_origin, sign};
use crate::ledger::tree::{self, Node, Tree, proof_text};
use crate::store::leaf::{Way, write};

const CHARGES: u64 = 5;

/// An owner's log of accesses, and charges for each of them.
struct World {
    key: Key,
    agent: String,
    statement: Statement,
}

fn access(grant: u64, way: Way) -> AccessLeaf {
    AccessLeaf {
        grant: format!("g{grant}"),
        order: format!("o{grant}"),
        provider: "lab".into(),
        member: Member::Original,
        sha256: ContentHash::of(&grant.to_le_bytes()),
        bytes: 1000 + grant,
        fee_minor: 25,
        currency: "EUR".into(),
        turn: 0,
        way,
        at: Timestamp(1_790_000_000_000 + grant.cast_signed()),
    }
}

fn world() -> World {
    let key = Key::generate().expect("a key");
    let agent = key.public().thumbprint();
    let accesses: Vec<_> =
        (0..CHARGES).map(|grant| access(grant, Way::Hub("lab".into()))).collect();
    let mut leaves: Vec<_> = accesses.iter().cloned().map(AgentLeaf::Access).collect();
    leaves.push(AgentLeaf::Reversal { why: "other bytes".into(), of: accesses[0].clone() });
    let lines = lines(&key, &agent, &leaves);
    World { key, agent, statement: Statement { lines } }
}

/// Charges for leaves, each with its proof.
fn lines(key: &Key, agent: &str, leaves: &[AgentLeaf]) -> Vec<Line> {
    let (mut tree, mut nodes) = (Tree::default(), Vec::<Node>::new());
    let texts: Vec<_> = leaves.iter().map(|leaf| write(leaf).expect("written")).collect();
    texts.iter().for_each(|text| tree.append(text.as_bytes(), &mut nodes));
    let head = sign(&agent_origin(agent), tree.head(), key).note;
    let line = |(index, (leaf, text)): (u64, (&AgentLeaf, &String))| {
        let (of, kind, sign) = match leaf {
            AgentLeaf::Access(of) => (of, PostingKind::Access, 1),
            AgentLeaf::Reversal { of, .. } => (of, PostingKind::Reversal, -1),
            other => panic!("{other:?}"),
        };
        let path = tree::inclusion(index, tree.size(), |wanted| {
            Ok(nodes.iter().filter(|(number, _)| wanted.contains(number)).copied().collect())
        });
        let proof = Evidence {
            index,
            leaf: text.clone(),
            path: path.expect("a path").iter().map(proof_text).collect(),
            head: head.clone(),
            key: key.public().to_string(),
        };
        Line {
            posting: format!("p{index}"),
            at: of.at.to_string(),
            kind,
            minor: sign * of.fee_minor,
            currency: of.currency.clone(),
            access: Some(Charged {
                agent: agent.to_owned(),
                grant: of.grant.clone(),
                turn: of.turn,
                order: Some(of.order.clone()),
                member: Some(of.member),
                sha256: Some(of.sha256),
                bytes: Some(of.bytes),
                proof: Some(proof),
            }),
        }
    };
    (0..).zip(leaves.iter().zip(&texts)).map(line).collect()
}

/// Changes the third line, and finds that it is the only one that is not proven, for a reason.
#[track_caller]
fn caught(change: impl FnOnce(&mut Line), why: &str) {
    let mut world = world();
    change(&mut world.statement.lines[2]);
    let findings = check(&[world.statement], &Keys::new());
    let wrong: Vec<_> = findings.iter().filter(|finding| !finding.proven).collect();
    assert!(wrong.len() == 1 && wrong[0].posting == "p2", "{why}: {wrong:#?}");
    assert!(wrong[0].faults.iter().any(|fault| fault.contains(why)), "no `{why}`: {wrong:#?}");
}

fn proof(line: &mut Line) -> &mut Evidence {
    line.access.as_mut().and_then(|access| access.proof.as_mut()).expect("a proof")
}

fn said(line: &mut Line) -> &mut Charged {
    line.access.as_mut().expect("an access")
}

#[test]
fn charges_that_are_in_the_log_are_proven_and_money_alone_is_left_out() {
    let mut world = world();
    let paid = Line { kind: PostingKind::TopUp, access: None, ..world.statement.lines[0].clone() };
    world.statement.lines.push(paid);
    let findings = check(&[world.statement], &Keys::new());
    assert_eq!(findings.len() as u64, CHARGES + 1);
    assert!(findings.iter().all(|finding| finding.proven), "{findings:#?}");
}

#[test]
fn charge_that_says_something_else_than_the_log_is_found() {
    caught(|line| line.minor += 1, "another fee");
    caught(|line| line.currency = "USD".into(), "another currency");
    caught(|line| line.at = "2026-01-01T00:00:00Z".into(), "another moment");
    caught(|line| line.kind = PostingKind::Reversal, "something else");
    caught(|line| said(line).grant = "g9".into(), "another grant");
    caught(|line| said(line).turn = 1, "another turn");
    caught(|line| said(line).order = Some("o9".into()), "another order");
    caught(|line| said(line).member = Some(Member::Preview), "another member");
    caught(|line| said(line).sha256 = Some(ContentHash::of(b"x")), "another digest");
    caught(|line| said(line).bytes = Some(1), "another length");
    caught(|line| said(line).proof = None, "no proof");
}

#[test]
fn evidence_that_was_altered_proves_nothing() {
    caught(|line| proof(line).leaf = proof(line).leaf.replace("25", "26"), "not in the log");
    caught(|line| proof(line).index = 1, "not in the log");
    caught(|line| drop(proof(line).path.pop()), "not in the log");
    caught(|line| proof(line).path[0] = "no hash".into(), "not in the log");
    caught(|line| proof(line).head = proof(line).head.replacen("\n6\n", "\n7\n", 1), "signature");
    caught(|line| proof(line).key = "no key".into(), "is no key");
}

#[test]
fn log_that_somebody_else_signed_counts_only_if_the_owner_named_the_key() {
    let other = Key::generate().expect("a key");
    let mut world = world();
    let leaf = AgentLeaf::Access(access(9, Way::Hub("lab".into())));
    world.statement.lines = lines(&other, &world.agent, &[leaf]);
    let findings = check(std::slice::from_ref(&world.statement), &Keys::new());
    assert!(findings[0].faults[0].contains("--key"), "{findings:?}");
    let keys = Keys::from([(world.agent.clone(), vec![world.key.public(), other.public()])]);
    assert!(check(&[world.statement], &keys)[0].proven);
}

#[test]
fn leaf_that_is_charged_twice_and_log_that_was_forked_are_found() {
    let mut world = world();
    let mut twice = world.statement.lines[1].clone();
    twice.posting = "again".into();
    world.statement.lines.push(twice);
    let findings = check(std::slice::from_ref(&world.statement), &Keys::new());
    let last = findings.last().expect("one");
    assert_eq!(last.faults, ["its leaf is that of posting p1 already"]);

    world.statement.lines.pop();
    let pages = [world.statement.clone(), world.statement.clone()];
    assert!(check(&pages, &Keys::new()).iter().all(|finding| finding.proven), "the same page");

    let leaves: Vec<_> =
        (10..16).map(|n| AgentLeaf::Access(access(n, Way::Hub("lab".into())))).collect();
    let mut forked = lines(&world.key, &world.agent, &leaves);
    world.statement.lines.truncate(1);
    world.statement.lines.push(forked.remove(3));
    let findings = check(&[world.statement], &Keys::new());
    assert_eq!(findings[1].faults, ["that computer signed two logs of 6 leaves"]);
}

#[test]
fn what_was_fetched_without_a_hub_is_no_charge_of_one() {
    let world = world();
    let leaf = AgentLeaf::Access(access(9, Way::Direct));
    let lines = lines(&world.key, &world.agent, &[leaf]);
    let findings = check(&[Statement { lines }], &Keys::new());
    assert_eq!(findings[0].faults, ["the log says that it was fetched without a hub"]);
}
