//! Leaves that the other side shows, and proofs about them.
//!
//! The input is lines. Each is read as a leaf of an agent's log and of a hub's; then they are the
//! leaves of a log, of which the first two bytes choose one and an earlier length, and the third a
//! bit of the proof that is turned over.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signet::base::ids::ContentHash;
use signet::ledger::tree::{self, Head, Node, Tree};
use signet::store::StoreError;
use signet::store::leaf::{self, AgentLeaf, HubLeaf};

fn turned_over(proof: &[ContentHash], bit: usize) -> Vec<ContentHash> {
    let mut proof: Vec<[u8; 32]> = proof.iter().map(|hash| *hash.as_bytes()).collect();
    let bits = proof.len() * 256;
    if let Some(byte) = proof.as_flattened_mut().get_mut(bit % bits.max(1) / 8) {
        *byte ^= 1 << (bit % 8);
    }
    proof.into_iter().map(ContentHash::from_bytes).collect()
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&[place, earlier, bit], rest)) = bytes.split_first_chunk::<3>() else { return };
    let leaves: Vec<&[u8]> = rest.split(|byte| *byte == b'\n').take(200).collect();
    for text in &leaves {
        if let Some(read) = leaf::read::<AgentLeaf>(text) {
            assert_eq!(leaf::write(&read).expect("written").as_bytes(), *text);
            let _ = read.grant();
        }
        if let Some(read) = leaf::read::<HubLeaf>(text) {
            assert_eq!(leaf::write(&read).expect("written").as_bytes(), *text);
            let _ = read.grant();
        }
        let words = leaf::words(&String::from_utf8_lossy(text));
        assert!(!words.chars().any(char::is_control));
    }

    let (mut log, mut nodes, mut heads) =
        (Tree::default(), Vec::<Node>::new(), vec![Head::empty()]);
    for text in &leaves {
        log.append(text, &mut nodes);
        heads.push(log.head());
    }
    let size = leaves.len() as u64;
    let kept = |numbers: &[u64]| -> Result<Vec<Node>, StoreError> {
        Ok(nodes.iter().filter(|(number, _)| numbers.contains(number)).copied().collect())
    };
    let (index, earlier) = (u64::from(place) % size, u64::from(earlier) % (size + 1));
    let text = leaves[usize::try_from(index).expect("small")];
    let head = log.head();
    let proof = tree::inclusion(index, size, kept).expect("all nodes are there");
    assert!(head.includes(index, text, &proof));
    assert!(!head.includes(index, &[text, b"!".as_slice()].concat(), &proof));
    let before = heads[usize::try_from(earlier).expect("small")];
    let added = tree::consistency(earlier, size, kept).expect("all nodes are there");
    assert!(head.continues(&before, &added));
    let other = Head { root: ContentHash::of(b"other"), ..before };
    assert!(!head.continues(&other, &added));
    for (proof, is_about_leaf) in [(&proof, true), (&added, false)] {
        if proof.is_empty() {
            continue;
        }
        let wrong = turned_over(proof, usize::from(bit) * 31);
        assert!(is_about_leaf || !head.continues(&before, &wrong));
        assert!(!is_about_leaf || !head.includes(index, text, &wrong));
    }
    // What strangers send as a proof: whole hashes or none, and nothing that is believed.
    let texts: Vec<String> =
        leaves.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect();
    if let Some(hashes) = tree::read_proof(&texts) {
        assert!(hashes.iter().map(tree::proof_text).eq(texts.iter().cloned()));
        assert!(hashes == proof || !head.includes(index, text, &hashes));
    }
});
