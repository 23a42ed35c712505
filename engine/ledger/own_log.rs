//! The agent's own log: grows the tree above its leaves and signs heads.
//!
//! Leaves are there already, written with what they tell of (`store::log`). A head is signed when
//! somebody is to be shown the log; from the last one on, so that it costs what is new.
//!
//! Before anything is added, what was signed last is looked at again: nodes that do not lead to it
//! were changed by somebody, and nothing is signed on top of them.

use crate::access::{Key, PublicKey};
use crate::base::clock::Timestamp;
use crate::ledger::checkpoint::{CheckpointError, agent_origin, sign, verify};
use crate::ledger::tree::{self, Head, Node, Tree, TreeError};
use crate::store::log::{Growth, HeadRow, OWN};
use crate::store::{State, StoreError};

/// Leaves that are read at once.
const PAGE_LEAVES: u64 = 1024;

/// Why no head was signed.
#[derive(Debug, thiserror::Error)]
pub enum OwnLogError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The last head is not one that this computer signed.
    #[error("the last signed head of the log of this computer is not believed: {0}")]
    Head(#[from] CheckpointError),
    /// The tree was changed.
    #[error(
        "the log of this computer was changed after it was signed: see `signet report --verify`"
    )]
    Changed,
}

/// Whose log it is, and who signs it.
#[derive(Debug, Clone, Copy)]
pub struct Signer<'a> {
    /// The agent's id: thumbprint of the key that it joined a hub with, or of its key now.
    pub agent_id: &'a str,
    /// Its key now.
    pub key: &'a Key,
}

/// The signed head of the own log when it was `size` leaves long.
///
/// # Errors
/// When the log is shorter, was changed, or cannot be read or written.
pub fn signed_head(
    state: &State,
    signer: Signer<'_>,
    size: u64,
    now: Timestamp,
) -> Result<HeadRow, OwnLogError> {
    let public = signer.key.public();
    let last = last_head(state, signer.agent_id, &public)?;
    if let Some(kept) = state.log_head_at(OWN, size)?
        && kept.signer == public.to_string()
    {
        return Ok(kept);
    }
    let mut nodes = Vec::new();
    let head = match last {
        Some(last) if size <= last.size => tree::head_at(size, |numbers| read(state, numbers))?,
        _ => grow(state, last, size, &mut nodes)?,
    };
    let row = HeadRow {
        head: sign(&agent_origin(signer.agent_id), head, signer.key),
        signer: public.to_string(),
        at: now,
    };
    let growth = Growth { log: OWN, leaves: &[], nodes: &nodes, head: &row };
    if state.grow_log(&growth)? {
        Ok(row)
    } else {
        Err(TreeError::Outside { place: size, size: state.log_size(OWN)? }.into())
    }
}

/// The newest head, if one was signed; checked with the key where that still is the one.
fn last_head(state: &State, agent_id: &str, key: &PublicKey) -> Result<Option<Head>, OwnLogError> {
    let Some(last) = state.log_head(OWN)? else { return Ok(None) };
    if last.signer == key.to_string() {
        verify(&last.head, &agent_origin(agent_id), key)?;
    }
    let head = Head { size: last.head.size, root: last.head.root };
    if tree::head_at(head.size, |numbers| read(state, numbers))? == head {
        Ok(Some(head))
    } else {
        Err(OwnLogError::Changed)
    }
}

fn grow(
    state: &State,
    last: Option<Head>,
    size: u64,
    nodes: &mut Vec<Node>,
) -> Result<Head, OwnLogError> {
    let mut tree = match last {
        Some(last) => Tree::of(last.size, |numbers| read(state, numbers))?,
        None => Tree::default(),
    };
    while tree.size() < size {
        let to = size.min(tree.size() + PAGE_LEAVES);
        let leaves = state.log_leaves(OWN, tree.size(), to)?;
        if leaves.is_empty() {
            return Err(TreeError::Outside { place: size, size: tree.size() }.into());
        }
        leaves.iter().for_each(|leaf| tree.append(leaf.as_bytes(), nodes));
    }
    Ok(tree.head())
}

fn read(state: &State, numbers: &[u64]) -> Result<Vec<Node>, StoreError> {
    state.log_nodes(OWN, numbers)
}
