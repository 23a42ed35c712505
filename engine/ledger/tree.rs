//! Merkle trees of RFC 6962 whose nodes lie somewhere else: a few are asked for, a few come out.
//!
//! In:  leaves as bytes, and a function that gives nodes by their numbers.
//! Out: roots, proofs, and the new nodes that each leaf makes.
//!
//! Nodes are numbered as RFC 9420 (appendix C) numbers them: leaf `i` is node `2 i`, and the tree
//! above `2^k` leaves from `i` on is node `2 i + 2^k - 1`. Only nodes above whole powers of two are
//! kept. They never change once they are there; what stands above a number of leaves that is no
//! power of two changes with every leaf, and is worked out from them when it is wanted.
//!
//! Which nodes a proof needs, and whether a proof holds, is said by `ct_merkle`.
//!
//! Knows neither what leaves say nor where nodes are kept.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ct_merkle::{
    ConsistencyProof, InclusionProof, RootHash, indices_for_consistency_proof,
    indices_for_inclusion_proof,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::base::ids::ContentHash;
use crate::store::StoreError;

/// Most leaves that a tree may have. No log comes near; sizes that a stranger names may.
pub const LEAVES_MAX: u64 = 1 << 48;

/// A node by its number.
pub type Node = (u64, ContentHash);

/// What a tree is, in 40 bytes: who knows it can be shown that a leaf is in it, and that a larger
/// tree only added to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Leaves.
    pub size: u64,
    /// RFC 6962 root.
    pub root: ContentHash,
}

/// Why there is no answer about a tree.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// The nodes could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A node that should be kept is not there.
    #[error("node {0} of the log is missing")]
    Missing(u64),
    /// Nobody can say anything about a leaf or a length that is not there.
    #[error("place {place} is not in a log of {size} leaves")]
    Outside {
        /// What was asked for.
        place: u64,
        /// How long the log is.
        size: u64,
    },
}

/// The right edge of a tree: all that is needed to add leaves and to name its root.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    size: u64,
    /// Tops of the whole trees that it is made of, largest first.
    tops: Vec<ContentHash>,
}

impl Tree {
    /// The tree of `size` leaves.
    ///
    /// # Errors
    /// When its nodes cannot be read or are not all there.
    pub fn of(
        size: u64,
        nodes: impl FnOnce(&[u64]) -> Result<Vec<Node>, StoreError>,
    ) -> Result<Self, TreeError> {
        if size > LEAVES_MAX {
            return Err(TreeError::Outside { place: size, size: LEAVES_MAX });
        }
        let numbers = whole_trees(0, size);
        let known: BTreeMap<u64, ContentHash> = nodes(&numbers)?.into_iter().collect();
        let top = |number: &u64| known.get(number).copied().ok_or(TreeError::Missing(*number));
        Ok(Self { size, tops: numbers.iter().map(top).collect::<Result<_, _>>()? })
    }

    /// Leaves so far.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Its size and root.
    pub fn head(&self) -> Head {
        Head { size: self.size, root: joined(&self.tops) }
    }

    /// Adds a leaf. The nodes that are whole with it are put behind `new`.
    pub fn append(&mut self, leaf: &[u8], new: &mut Vec<Node>) {
        let index = self.size;
        self.size += 1;
        let mut top = leaf_hash(leaf);
        new.push((2 * index, top));
        for level in 1..=self.size.trailing_zeros() {
            // As many whole trees lie to the left as the length has bits set.
            let Some(left) = self.tops.pop() else { break };
            top = parent_hash(&left, &top);
            let first = self.size - (1 << level);
            new.push((2 * first + (1 << level) - 1, top));
        }
        self.tops.push(top);
    }
}

impl Head {
    /// The head of a log without leaves: SHA-256 of nothing.
    pub fn empty() -> Self {
        Tree::default().head()
    }

    /// Whether a proof shows that `leaf` is the one at `index`.
    pub fn includes(&self, index: u64, leaf: &[u8], proof: &[ContentHash]) -> bool {
        if self.size > LEAVES_MAX || index >= self.size {
            return false;
        }
        InclusionProof::try_from_bytes(flat(proof))
            .and_then(|proof| root_of(self).verify_inclusion(&leaf, index, &proof))
            .is_ok()
    }

    /// Whether a proof shows that this log is `earlier` with leaves added, or with none.
    pub fn continues(&self, earlier: &Self, proof: &[ContentHash]) -> bool {
        if earlier.size > self.size || self.size > LEAVES_MAX {
            return false;
        }
        if earlier.size == 0 || earlier.size == self.size {
            let is_same = if earlier.size == 0 { Self::empty() } else { *self } == *earlier;
            return is_same && proof.is_empty();
        }
        ConsistencyProof::try_from_bytes(flat(proof))
            .and_then(|proof| root_of(self).verify_consistency(&root_of(earlier), &proof))
            .is_ok()
    }
}

/// The head that a log had when it was `size` leaves long.
///
/// # Errors
/// As [`Tree::of`].
pub fn head_at(
    size: u64,
    nodes: impl FnOnce(&[u64]) -> Result<Vec<Node>, StoreError>,
) -> Result<Head, TreeError> {
    Ok(Tree::of(size, nodes)?.head())
}

/// The proof (RFC 6962 §2.1.1) that leaf `index` is in the log of `size` leaves.
///
/// # Errors
/// `Outside` when it is not, else as [`Tree::of`].
pub fn inclusion(
    index: u64,
    size: u64,
    nodes: impl FnOnce(&[u64]) -> Result<Vec<Node>, StoreError>,
) -> Result<Vec<ContentHash>, TreeError> {
    if index >= size || size > LEAVES_MAX {
        return Err(TreeError::Outside { place: index, size });
    }
    worked_out(&indices_for_inclusion_proof(size, index), size, nodes)
}

/// The proof (RFC 6962 §2.1.2) that the log of `size` leaves is that of `earlier_size` with leaves
/// added; empty where that is clear without one.
///
/// # Errors
/// `Outside` when it was never shorter than that, else as [`Tree::of`].
pub fn consistency(
    earlier_size: u64,
    size: u64,
    nodes: impl FnOnce(&[u64]) -> Result<Vec<Node>, StoreError>,
) -> Result<Vec<ContentHash>, TreeError> {
    if earlier_size > size || size > LEAVES_MAX {
        return Err(TreeError::Outside { place: earlier_size, size });
    }
    if earlier_size == 0 || earlier_size == size {
        return Ok(Vec::new());
    }
    worked_out(&indices_for_consistency_proof(earlier_size, size - earlier_size), size, nodes)
}

/// How many nodes are kept of a tree of `size` leaves.
pub const fn nodes_count(size: u64) -> u64 {
    2 * size - size.count_ones() as u64
}

/// A hash of a proof as it goes over the wire: base64url, 43 characters.
pub fn proof_text(hash: &ContentHash) -> String {
    URL_SAFE_NO_PAD.encode(hash.as_bytes())
}

/// Reads what [`proof_text`] wrote.
pub fn read_proof(texts: &[String]) -> Option<Vec<ContentHash>> {
    let hash = |text: &String| URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok();
    texts.iter().map(|text| hash(text).map(ContentHash::from_bytes)).collect()
}

/// Values of nodes of the tree of `size` leaves, also of those that are not kept.
fn worked_out(
    wanted: &[u64],
    size: u64,
    nodes: impl FnOnce(&[u64]) -> Result<Vec<Node>, StoreError>,
) -> Result<Vec<ContentHash>, TreeError> {
    let parts: Vec<Vec<u64>> = wanted.iter().map(|number| parts(*number, size)).collect();
    let known: BTreeMap<u64, ContentHash> = nodes(&parts.concat())?.into_iter().collect();
    let top = |number: &u64| known.get(number).copied().ok_or(TreeError::Missing(*number));
    let value =
        |parts: &Vec<u64>| Ok(joined(&parts.iter().map(top).collect::<Result<Vec<_>, _>>()?));
    parts.iter().map(value).collect()
}

/// Nodes that are kept and together make up a node of the tree of `size` leaves.
fn parts(number: u64, size: u64) -> Vec<u64> {
    let width = 1 << number.trailing_ones();
    let first = (number + 1 - width) / 2;
    whole_trees(first, width.min(size - first))
}

/// Numbers of the tops of the largest whole trees above leaves `first..first + count`, from the
/// left. `first` is where a whole tree begins that is at least as wide as the first of them.
fn whole_trees(mut first: u64, mut count: u64) -> Vec<u64> {
    let mut numbers = Vec::new();
    while let Some(level) = count.checked_ilog2() {
        let width = 1 << level;
        numbers.push(2 * first + width - 1);
        (first, count) = (first + width, count - width);
    }
    numbers
}

/// The root above whole trees, largest first.
fn joined(tops: &[ContentHash]) -> ContentHash {
    match tops.split_last() {
        None => ContentHash::of(b""),
        Some((last, before)) => {
            before.iter().rev().fold(*last, |right, left| parent_hash(left, &right))
        }
    }
}

fn leaf_hash(leaf: &[u8]) -> ContentHash {
    ContentHash::from_bytes(Sha256::new_with_prefix([0]).chain_update(leaf).finalize().into())
}

fn parent_hash(left: &ContentHash, right: &ContentHash) -> ContentHash {
    let hasher = Sha256::new_with_prefix([1]).chain_update(left.as_bytes());
    ContentHash::from_bytes(hasher.chain_update(right.as_bytes()).finalize().into())
}

fn root_of(head: &Head) -> RootHash<Sha256> {
    RootHash::new((*head.root.as_bytes()).into(), head.size)
}

fn flat(hashes: &[ContentHash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

#[cfg(test)]
mod tests;
