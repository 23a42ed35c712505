//! The tree against RFC 6962 §2.1 written down as it stands there.

use proptest::prelude::*;

use super::*;

/// Largest power of two smaller than `n`.
fn split(n: usize) -> usize {
    n.next_power_of_two() / 2
}

/// `MTH`
fn naive_root(leaves: &[Vec<u8>]) -> ContentHash {
    match leaves {
        [] => ContentHash::of(b""),
        [leaf] => ContentHash::of(&[&[0], leaf.as_slice()].concat()),
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            let (left, right) = (naive_root(left), naive_root(right));
            ContentHash::of(&[&[1], left.as_bytes().as_slice(), right.as_bytes()].concat())
        }
    }
}

/// `PATH(m, D[n])`
fn naive_inclusion(index: usize, leaves: &[Vec<u8>]) -> Vec<ContentHash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut path, sibling) = match index.checked_sub(left.len()) {
        None => (naive_inclusion(index, left), naive_root(right)),
        Some(index) => (naive_inclusion(index, right), naive_root(left)),
    };
    path.push(sibling);
    path
}

/// `SUBPROOF(m, D[n], b)`
fn naive_consistency(earlier: usize, leaves: &[Vec<u8>], is_known: bool) -> Vec<ContentHash> {
    if earlier == leaves.len() {
        return if is_known { Vec::new() } else { vec![naive_root(leaves)] };
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut proof, other) = match earlier.checked_sub(left.len()) {
        None | Some(0) => (naive_consistency(earlier, left, is_known), naive_root(right)),
        Some(earlier) => (naive_consistency(earlier, right, false), naive_root(left)),
    };
    proof.push(other);
    proof
}

fn leaves(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| format!("leaf {number}").into_bytes()).collect()
}

fn grown(leaves: &[Vec<u8>]) -> (Tree, BTreeMap<u64, ContentHash>) {
    let (mut tree, mut new) = (Tree::default(), Vec::new());
    leaves.iter().for_each(|leaf| tree.append(leaf, &mut new));
    (tree, new.into_iter().collect())
}

fn reader(
    nodes: &BTreeMap<u64, ContentHash>,
) -> impl FnOnce(&[u64]) -> Result<Vec<Node>, StoreError> + '_ {
    |numbers| Ok(numbers.iter().filter_map(|n| Some((*n, *nodes.get(n)?))).collect())
}

#[test]
fn roots_and_proofs_of_every_small_tree_are_those_of_the_rfc() {
    for count in 0..=70 {
        let leaves = leaves(count);
        let (tree, nodes) = grown(&leaves);
        let size = count as u64;
        assert_eq!(tree.head(), Head { size, root: naive_root(&leaves) });
        assert_eq!(Tree::of(size, reader(&nodes)).expect("nodes"), tree);
        for index in 0..count {
            let proof = inclusion(index as u64, size, reader(&nodes)).expect("a proof");
            assert_eq!(proof, naive_inclusion(index, &leaves), "leaf {index} of {count}");
            assert!(tree.head().includes(index as u64, &leaves[index], &proof));
        }
        for earlier in 0..=count {
            let proof = consistency(earlier as u64, size, reader(&nodes)).expect("a proof");
            if earlier > 0 {
                assert_eq!(proof, naive_consistency(earlier, &leaves, true), "{earlier} {count}");
            }
            let earlier = head_at(earlier as u64, reader(&nodes)).expect("nodes");
            assert!(tree.head().continues(&earlier, &proof), "{} {count}", earlier.size);
        }
    }
}

#[test]
fn node_is_kept_once_and_never_changes() {
    let (mut tree, mut kept) = (Tree::default(), BTreeMap::new());
    for leaf in leaves(200) {
        let mut new = Vec::new();
        tree.append(&leaf, &mut new);
        for (number, hash) in new {
            assert_eq!(kept.insert(number, hash), None, "node {number} was there");
        }
    }
    assert_eq!(kept.len() as u64, nodes_count(200));
}

#[test]
fn what_is_not_there_is_named() {
    let (_, mut nodes) = grown(&leaves(6));
    assert!(matches!(
        inclusion(6, 6, reader(&nodes)),
        Err(TreeError::Outside { place: 6, size: 6 })
    ));
    assert!(matches!(consistency(7, 6, reader(&nodes)), Err(TreeError::Outside { .. })));
    assert!(matches!(head_at(u64::MAX, reader(&nodes)), Err(TreeError::Outside { .. })));
    nodes.remove(&3);
    assert!(matches!(head_at(6, reader(&nodes)), Err(TreeError::Missing(3))));
    assert!(matches!(inclusion(4, 6, reader(&nodes)), Err(TreeError::Missing(3))));
}

#[test]
fn sizes_that_a_stranger_names_are_no_trouble() {
    let head = |size| Head { size, root: ContentHash::of(b"") };
    for size in [0, 1, LEAVES_MAX, LEAVES_MAX + 1, u64::MAX / 2 + 2, u64::MAX] {
        for other in [0, 1, 5, LEAVES_MAX + 1, u64::MAX] {
            let proof = vec![ContentHash::of(b"a"); 3];
            assert!(!head(size).includes(other, b"leaf", &proof));
            assert!(!head(size).continues(&head(other), &proof));
        }
    }
}

proptest! {
    #[test]
    fn altered_proof_or_leaf_is_never_believed(
        count in 2_usize..200, index in any::<prop::sample::Index>(),
        earlier in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bit in 0..8_u32,
    ) {
        let leaves = leaves(count);
        let (tree, nodes) = grown(&leaves);
        let (head, size) = (tree.head(), count as u64);
        let flip = |proof: &[ContentHash]| {
            let mut bytes = flat(proof);
            let place = at.index(bytes.len());
            bytes[place] ^= 1_u8 << bit;
            bytes.chunks_exact(32)
                .map(|hash| ContentHash::from_bytes(hash.try_into().expect("32")))
                .collect::<Vec<_>>()
        };
        let index = index.index(count);
        let proof = inclusion(index as u64, size, reader(&nodes)).expect("a proof");
        prop_assert!(!head.includes(index as u64, &leaves[index], &flip(&proof)));
        prop_assert!(!head.includes(index as u64, b"another", &proof));
        prop_assert!(!head.includes(index as u64, &leaves[index], &proof[1..]));
        prop_assert!(!head.includes((index as u64 + 1) % size, &leaves[index], &proof));

        let earlier = 1 + earlier.index(count - 1);
        let proof = consistency(earlier as u64, size, reader(&nodes)).expect("a proof");
        let earlier = head_at(earlier as u64, reader(&nodes)).expect("nodes");
        prop_assert!(!head.continues(&earlier, &flip(&proof)));
        let other = Head { root: ContentHash::of(b"other"), ..earlier };
        prop_assert!(!head.continues(&other, &proof));
        prop_assert!(!earlier.continues(&head, &proof), "shorter than before");
    }
}
